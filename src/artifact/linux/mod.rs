//! Linux systems.
pub(crate) mod net;
