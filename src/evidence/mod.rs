//! Files of the evidence, indexed once: every file system's tree, and the systems installed on them.
//! Everything after asks the index, not the disk.
mod boot;
mod copies;
mod devices;
mod glob;
mod identify;
#[cfg(test)]
mod layered_tests;
mod mounts;
mod namespace;
mod overlay;
mod partial;
mod registry;
mod roots;
mod script;
mod slots;
mod stack;
mod system;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod view;
mod walk;
mod windows;

pub use copies::{ENVIRONMENT, ENVIRONMENT_FILES};
pub use glob::matches;
pub use identify::{Candidate, find_systems, looks_installed};
pub use overlay::{Layer, Marks, layer_name, merge};
pub use registry::{Holds, Registry, hives};
pub use system::{Hashes, System, Text};
pub(crate) use tree::image_runs;
pub use tree::{Cover, Entry, Tree};
pub use view::{Folder, Merged, View};
pub use windows::control_set;
