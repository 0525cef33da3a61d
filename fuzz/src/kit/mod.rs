//! What the mutation tests and the fuzz targets share: disks that change cheaply, where the structures of each format
//! lie and how their checksums are made to fit again, the changes themselves, and what a reader shows of the result.
//! Part of the test suite (by `#[path]`) and of the fuzz crate.
pub mod disk;
pub mod engine;
pub mod hives;
pub mod layouts;
pub mod random;
pub mod seen;
pub mod told;

pub use disk::Disk;
pub use engine::{Change, mutant};
pub use layouts::{Layout, Part};
pub use random::Random;
pub use seen::{Difference, Look, Reach, Seen};
