//! Files of the evidence, indexed once: every file system's tree, and the systems installed on them.
//! Everything after asks the index, not the disk.
mod glob;
mod identify;
mod system;
mod tree;

pub use glob::matches;
pub use identify::find_systems;
pub use system::{System, Text};
pub use tree::{Entry, Tree};
