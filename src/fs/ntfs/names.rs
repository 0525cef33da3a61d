//! `$FILE_NAME` (in records and in indexes) and `$STANDARD_INFORMATION`: names, parents, times, flags.
//! Format: the attributes of these names in the Linux-NTFS project's documentation; MS-FSCC 2.6.
use super::raw::{Reference, filetime, name, u8_at, u32_at, u64_at};
use crate::base::Time;
use crate::fs::Times;

/// A name that exists only so that programs of DOS can use the file.
const DOS: u8 = 2;
/// Bytes before the name itself.
const HEAD: usize = 66;

pub(super) const READONLY: u32 = 0x1;
pub(super) const SYSTEM: u32 = 0x4;

/// A name of a file in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) parent: Reference,
    pub(super) times: Times,
    /// UTF-8; see [`name`].
    pub(super) name: Vec<u8>,
    /// Second name of a file that has a longer one.
    pub(super) is_dos: bool,
    pub(super) is_directory: bool,
    /// Bytes; kept up to date in indexes only.
    pub(super) len: u64,
    pub(super) allocated: u64,
    pub(super) flags: u32,
}

impl FileName {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let len = usize::from(u8_at(bytes, 64)?).checked_mul(2)?;
        let space = u8_at(bytes, 65)?;
        let text = bytes.get(HEAD..HEAD.checked_add(len)?)?;
        if space > 3 || len == 0 {
            return None;
        }
        Some(Self {
            parent: Reference::new(u64_at(bytes, 0)?),
            times: times(bytes, 8)?,
            name: name(text),
            is_dos: space == DOS,
            is_directory: u32_at(bytes, 56)? & 0x1000_0000 != 0,
            len: u64_at(bytes, 48)?,
            allocated: u64_at(bytes, 40)?,
            flags: u32_at(bytes, 56)?,
        })
    }
    pub(super) fn is_reparse(&self) -> bool {
        self.flags & REPARSE != 0
    }
    /// The parent of a name that is not only for DOS.
    pub(super) fn parent(bytes: &[u8]) -> Option<Reference> {
        let is_dos = u8_at(bytes, 65)? == DOS;
        if is_dos { None } else { u64_at(bytes, 0).map(Reference::new) }
    }
    /// Bytes that a name of this one's length takes in an index.
    pub(super) fn stored_len(bytes: &[u8]) -> Option<usize> {
        Some(usize::from(u8_at(bytes, 64)?).saturating_mul(2).saturating_add(HEAD))
    }
}

/// Creation, change of the content, change of the record, access: in this order.
pub(super) fn times(bytes: &[u8], at: usize) -> Option<Times> {
    let time = |n: usize| u64_at(bytes, at.saturating_add(n)).map(filetime);
    Some(Times { created: time(0)?, modified: time(8)?, changed: time(16)?, accessed: time(24)?, deleted: None })
}

const REPARSE: u32 = 0x400;
/// Flags of a file as MS-FSCC names them.
const FLAGS: &[(u32, &str)] = &[
    (READONLY, "readonly"),
    (0x2, "attribute-hidden"),
    (SYSTEM, "system"),
    (0x20, "archive"),
    (0x100, "temporary"),
    (0x200, "sparse"),
    (REPARSE, "reparse-point"),
    (0x800, "compressed"),
    (0x1000, "offline"),
    (0x2000, "not-content-indexed"),
    (0x4000, "encrypted"),
    (0x8000, "integrity-stream"),
    (0x2_0000, "no-scrub-data"),
    (0x4_0000, "recall-on-open"),
    (0x8_0000, "pinned"),
    (0x10_0000, "unpinned"),
    (0x40_0000, "recall-on-data-access"),
];

pub(super) fn flags(bits: u32) -> Vec<&'static str> {
    FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

/// The same, with what only the change journal tells.
pub(super) fn all_flags(bits: u32) -> Vec<String> {
    let folder = if bits & 0x10 == 0 { None } else { Some("directory") };
    flags(bits).into_iter().chain(folder).map(str::to_owned).collect()
}

/// `$STANDARD_INFORMATION`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standard {
    pub(super) times: Times,
    pub(super) flags: u32,
}
impl Standard {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self { times: times(bytes, 0)?, flags: u32_at(bytes, 32)? })
    }
}

/// Times as [`times`] reads them, as text; empty if they are none.
pub(super) fn times_text(bytes: &[u8]) -> String {
    let Some(times) = times(bytes, 0) else { return String::new() };
    let text = |t: Option<Time>| t.map_or_else(|| "none".to_owned(), |t| t.to_string());
    format!(
        "created={} modified={} changed={} accessed={}",
        text(times.created),
        text(times.modified),
        text(times.changed),
        text(times.accessed)
    )
}
