//! The ext reader against independent oracles: what `mke2fs -d` was given, `debugfs`, `dumpe2fs`,
//! `e2fsck`, `fls`. Images are made at test time by e2fsprogs; without it the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod contradiction;
mod corpus;
mod damage;
mod image;
mod journal;
mod layout;
mod second;
