//! The XFS reader against independent oracles: what the kernel's own mount shows, and `xfs_db`. Images
//! are made at test time by `mkfs.xfs`; where the tools or the kernel lack something the tests say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod image;
mod layout;
mod log;
