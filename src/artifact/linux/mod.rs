//! Linux systems.
pub(super) mod modules;
