//! The SquashFS reader against squashfs-tools, by another's extraction of images made at test time; where
//! the tools are missing the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod layout;
mod old;
