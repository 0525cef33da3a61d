//! The fuzz targets as a library. `targets` and `kit` are shared with the test suite, which replays every seed below
//! `tests/seeds` on each run.
#![allow(clippy::all)]
pub mod kit;
pub mod targets;
