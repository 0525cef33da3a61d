//! A file as its directory entry describes it, the same for FAT and exFAT.
use crate::fs::{NodeKind, Times};

const READONLY: u16 = 0x1;
const HIDDEN: u16 = 0x2;
const SYSTEM: u16 = 0x4;
pub(super) const LABEL: u16 = 0x8;
pub(super) const DIRECTORY: u16 = 0x10;
const ARCHIVE: u16 = 0x20;

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: Vec<u8>,
    /// Byte of the volume at which the entry stands.
    pub(super) at: u64,
    /// Marked so, or found where only deleted entries can be.
    pub(super) deleted: bool,
    pub(super) attributes: u16,
    pub(super) first: u32,
    /// Bytes.
    pub(super) len: u64,
    /// Bytes that were ever written.
    pub(super) valid: u64,
    /// The clusters follow each other, and the table says nothing of them.
    pub(super) contiguous: bool,
    pub(super) times: Times,
    /// The times are a clock's reading whose zone is not known.
    pub(super) local: bool,
}

impl Item {
    pub(super) fn is_dir(&self) -> bool {
        self.attributes & DIRECTORY != 0
    }
    pub(super) fn kind(&self) -> NodeKind {
        if self.is_dir() { NodeKind::Directory } else { NodeKind::File }
    }
    pub(super) fn flags(&self) -> Vec<&'static str> {
        let mut out = Vec::new();
        for (bit, name) in [
            (READONLY, "readonly"),
            (HIDDEN, "attribute-hidden"),
            (SYSTEM, "system"),
            (ARCHIVE, "archive"),
            (0x4000, "encrypted"),
        ] {
            if self.attributes & bit != 0 {
                out.push(name);
            }
        }
        if self.local {
            out.push("times-in-local-clock");
        }
        out
    }
}
