//! Encrypted volumes: opened with a key from the examiner, else described by their header.
use crate::base::{Budget, Gaps, Key, Secret};
use crate::image::{ReadError, Source};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The keys of the examiner, as one volume sees them.
pub struct Keys<'a> {
    all: &'a [Key],
    volume: &'a str,
    /// Positions of those that were meant for a volume of the evidence.
    meant: &'a RefCell<BTreeSet<usize>>,
}
impl<'a> Keys<'a> {
    pub fn new(all: &'a [Key], volume: &'a str, meant: &'a RefCell<BTreeSet<usize>>) -> Self {
        Self { all, volume, meant }
    }
    /// Those for this volume, in the order given; `uuid` is the one that its header carries.
    pub fn of(&self, uuid: &str) -> Vec<&'a Secret> {
        let for_this = |k: &Key| k.volume == self.volume || (!uuid.is_empty() && k.volume.eq_ignore_ascii_case(uuid));
        let found: Vec<_> = self.all.iter().enumerate().filter(|(_, k)| for_this(k)).collect();
        self.meant.borrow_mut().extend(found.iter().map(|(n, _)| *n));
        found.into_iter().map(|(_, k)| &k.secret).collect()
    }
}

/// Why an encrypted volume stays closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// None was given for it.
    NoKey,
    /// So many were given, and none of them opens it.
    WrongKey(usize),
    /// This reader cannot open it, whatever the key: why.
    Unsupported(String),
}

/// An encrypted volume.
pub struct Sealed {
    /// `LUKS2`, `BitLocker`.
    pub type_name: String,
    pub label: String,
    /// Of the encryption, as its header gives it.
    pub uuid: String,
    /// What the header tells without a key: cipher, key slots, dates. One line for the examiner.
    pub about: String,
    pub content: Result<Content, Locked>,
}

/// What lies behind the encryption.
pub struct Content {
    pub source: Source,
    /// Byte of the encrypted volume at which it begins.
    pub offset: u64,
}

/// A kind of encryption.
pub struct Encryption {
    pub name: &'static str,
    pub about: &'static str,
    pub limits: &'static str,
    pub probe: fn(&Source) -> bool,
    /// Reads the header and opens the volume if one of the keys fits. Damage goes to the ledger; an error
    /// means that the header tells nothing.
    pub open: fn(&Source, &Keys<'_>, &Gaps, Budget) -> Result<Sealed, ReadError>,
}

/// Every encryption, in the order in which they are tried.
pub const ENCRYPTIONS: &[&Encryption] = &[&super::luks::ENCRYPTION, &super::bitlocker::ENCRYPTION];

/// The first encryption that recognises the source.
pub fn encrypted(source: &Source) -> Option<&'static Encryption> {
    ENCRYPTIONS.iter().find(|e| (e.probe)(source)).copied()
}
