//! The ISO 9660 reader against the folders that the discs were made of, and against what 7-Zip extracts; where the
//! tools are missing the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod damage;
mod hybrid;
mod layout;
