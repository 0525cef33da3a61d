//! One test binary; each file under it tests one promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod dpkg;
mod host_fs;
#[cfg(feature = "gui")]
mod fixture;
#[cfg(feature = "gui")]
mod gui;
mod tidy;
