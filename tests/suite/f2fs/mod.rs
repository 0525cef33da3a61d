//! The F2FS reader against the folders that `sload.f2fs` loads and against `dump.f2fs`; this needs no kernel that
//! knows F2FS. Where the tools are missing the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod former;
mod image;
mod layout;
