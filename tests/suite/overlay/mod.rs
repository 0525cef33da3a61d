//! Trees merged of layers: equal to what the kernel's own overlay mount shows, and whole systems built on them.
mod kernel;
mod layouts;
mod subvolumes;
