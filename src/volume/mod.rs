//! What parts an image has: partition tables, volume managers, encrypted volumes. Three lists, as they differ
//! in what goes in and comes out: a table divides one volume, a manager joins several, an encryption needs a key.
mod apm;
mod bitlocker;
mod bsd;
pub(crate) mod btrfs;
mod cipher;
mod described;
mod elephant;
mod encryption;
pub mod flash;
mod gpt;
mod gpt_parse;
mod layout;
mod luks;
mod lvm;
mod manager;
mod mbr;
pub mod nand;
mod raid;
mod signs;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod types;
mod ubi;

use crate::base::{Budget, Gaps, Run};
use crate::image::{ReadError, Source};
pub use described::described;
pub use encryption::{Content, ENCRYPTIONS, Encryption, Keys, Locked, Sealed, encrypted};
pub use manager::{Assembled, MANAGERS, Manager, Member, member_of};
pub(crate) use raid::layout::{add, add_scaled, inverse, power};

/// What a run of the disk is, by its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// An entry of the table: may hold a file system.
    Partition,
    /// The table itself, its backup, boot code, EBR sectors.
    Table,
    /// Between entries: nothing claims it.
    Unallocated,
}

/// One part of a disk, in order of its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number as the running system would count it (sda1 is 1); 0 for what is no partition.
    pub index: u32,
    /// Bytes of the source the table was read from.
    pub run: Run,
    pub kind: PartKind,
    /// Readable type (`Linux filesystem`), or the raw code where it has no name.
    pub type_name: String,
    pub label: String,
    /// Partition UUID, or disk signature and number for MBR; empty if none.
    pub uuid: String,
}

/// A partition scheme: how to recognise it and how to read its parts.
pub struct Scheme {
    pub name: &'static str,
    pub about: &'static str,
    pub limits: &'static str,
    pub probe: fn(&Source) -> bool,
    /// Gaps, overlaps and damage go to the ledger; only a table that yields nothing at all is an error.
    pub read: fn(&Source, &Gaps, Budget) -> Result<Vec<Part>, ReadError>,
}

/// Every scheme, in the order in which they are tried (GPT before the MBR that protects it).
pub const ALL: &[&Scheme] = &[&gpt::SCHEME, &mbr::SCHEME, &apm::SCHEME, &bsd::SCHEME];

/// The first scheme that recognises the source.
pub fn recognise(source: &Source) -> Option<&'static Scheme> {
    ALL.iter().find(|s| (s.probe)(source)).copied()
}
