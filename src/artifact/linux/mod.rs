//! Linux systems.
