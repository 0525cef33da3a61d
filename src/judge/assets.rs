//! The rules and knowledge that are part of the program, as listed by the build script.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));
