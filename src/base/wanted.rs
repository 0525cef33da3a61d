//! Files that an image names beside itself, and secrets that the examiner gives: what worker and parent
//! both speak of.
use serde::{Deserialize, Serialize};
use std::fmt;

/// A file that belongs to an image: asked for by the reader, looked up by the parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wanted {
    /// As the image names it, path and all (a backing file, a parent, an extent): raw bytes.
    Named(Vec<u8>),
    /// The image's own name with another extension, without the dot (`E02` beside `disk.E01`).
    Extension(String),
    /// A file of a folder that is evidence, by its position in the listing.
    Item(u32),
    /// A temporary file for what is decoded; `is_full`: the one that was given cannot be written any more.
    Scratch { is_full: bool },
}
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(&super::Name::new(name).display()),
            Self::Item(number) => write!(f, "file {number} of the folder"),
            Self::Scratch { .. } => f.write_str("a temporary file"),
            Self::Extension(extension) => write!(f, "the file with the extension .{extension}"),
        }
    }
}

/// Bytes that open an encrypted volume. They are shown nowhere, not even for debugging.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub Vec<u8>);
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// A key from the examiner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Id of the volume it is for, or the UUID that the encrypted volume itself carries.
    pub volume: String,
    pub secret: Secret,
}
