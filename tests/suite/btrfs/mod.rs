//! The Btrfs reader against independent oracles: what the kernel's own mount shows, and btrfs-progs. Images are
//! made at test time; where the tools or the kernel lack something the tests say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod devices;
mod image;
mod layout;
mod log;
