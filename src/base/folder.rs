//! A folder as evidence, as its parent process listed it: what the worker knows of it before it asks for a file.
use super::{Name, Time};
use serde::{Deserialize, Serialize};
use std::fs::File;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemKind {
    File,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
    Unknown,
}

/// An entry, as `lstat` and its kin describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Position of the folder it lies in; the first item is the folder itself and its own parent.
    pub parent: u32,
    pub name: Name,
    pub kind: ItemKind,
    /// Bytes.
    pub len: u64,
    /// Bytes of storage.
    pub allocated: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    /// Device and inode: equal for names of one file, and a check that a file is the one that was listed.
    pub device: u64,
    pub inode: u64,
    pub modified: Time,
    pub accessed: Time,
    pub changed: Time,
    /// Major and minor number of a device node.
    pub special: (u32, u32),
    /// Of a symlink, as stored; nobody follows it.
    pub target: Option<Name>,
    /// Of files and folders: full names and values, sorted by name.
    pub xattrs: Vec<(Name, Vec<u8>)>,
}

/// All entries below a folder: every folder stands before what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    pub items: Vec<Item>,
}

/// Opens files of a folder, by their position in its listing.
pub trait Opener: Send + Sync {
    /// The file, read-only; or why it is not given.
    fn open(&self, item: u32) -> Result<File, String>;
}
