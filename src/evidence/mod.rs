//! Files of the evidence, indexed once: every file system's tree, and the systems installed on them.
//! Everything after asks the index, not the disk.
mod glob;
mod identify;
mod system;
#[cfg(test)]
mod tests;
mod tree;

pub use glob::matches;
pub use identify::{Candidate, find_systems, mounted_by};
pub use system::{Hashes, System, Text};
pub(crate) use tree::image_runs;
pub use tree::{Entry, Tree};
