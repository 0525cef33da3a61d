//! One test binary; each file under it tests one promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod dpkg;
#[cfg(feature = "gui")]
mod fixture;
#[cfg(feature = "gui")]
mod gui;
mod host_fs;
mod systemd;
mod tidy;
