//! The FAT and exFAT readers against independent oracles: mtools and the sleuthkit for FAT, a mount
//! by exfat-fuse for exFAT. Images are made at test time; where the tools are missing the tests say
//! so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod exfat;
mod layout;
