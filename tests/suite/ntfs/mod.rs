//! The NTFS reader against independent oracles: what a mount by ntfs-3g shows, `fls`, `istat`.
//! Images are made at test time by `mkntfs` and written through that mount; where the tools or FUSE
//! are missing the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod bare;
mod corpus;
mod damage;
mod image;
mod journal;
mod layout;
mod overlay;
mod owners;
mod second;
