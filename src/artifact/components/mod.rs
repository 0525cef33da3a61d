//! Components: what other package managers than the system's have installed, and what programs were built from. Those
//! of Python list their files with digests, so that they are held against them like a package's; of the others name and
//! version are told, from the one pass over the contents.
//!
//! Formats: "Core metadata" and "Recording installed projects" of Python's packaging specifications; package.json(5) and
//! package-lock.json(5) of npm; Composer's `installed.json`; RubyGems' specifications (stub line); the JAR file
//! specification and Maven's `pom.properties`. Modules of Go and crates of Rust are `executables`'.
mod metadata;
mod python;

pub(super) use metadata::CONTENT;
pub(super) use python::{Listing, listed};
