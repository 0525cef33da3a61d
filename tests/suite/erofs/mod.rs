//! The EROFS reader against the kernel's and against `fsck.erofs --extract`, on images made at test time; where the
//! tools are missing the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod image;
mod layout;
