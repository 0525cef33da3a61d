//! The structures of a GUID partition table: header, entry array, GUIDs, with their CRC32 checksums.
//! Format: UEFI specification, tables 5.5 (header) and 5.6 (entry).
use super::signs::{le32, le64};
use crate::base::Run;
use crate::image::{ReadError, Source, read_exact};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

pub(super) const SECTOR_SIZES: &[u64] = &[512, 4096];
/// Largest entry array that is read, in bytes; a usual one has 16 KiB.
const MAX_ARRAY: u64 = 16 << 20;
const SIGNATURE: &[u8] = b"EFI PART";

/// A GUID in its canonical text: the first three groups are stored little-endian.
fn guid(bytes: &[u8]) -> Option<String> {
    let b: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = b;
    let mut text = format!(
        "{:08x}-{:04x}-{:04x}-",
        u32::from_le_bytes([a0, a1, a2, a3]),
        u16::from_le_bytes([b0, b1]),
        u16::from_le_bytes([c0, c1])
    );
    for (i, byte) in rest.iter().enumerate() {
        if i == 2 {
            text.push('-');
        }
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// UTF-16 up to the first zero; a lone surrogate is written as `\u{…}`.
fn label(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).filter_map(|p| Some(u16::from_le_bytes(p.try_into().ok()?)));
    char::decode_utf16(units.take_while(|u| *u != 0))
        .map(|c| c.map_or_else(|e| format!("\\u{{{:x}}}", e.unpaired_surrogate()), String::from))
        .collect()
}

/// Sector numbers are in sectors of the disk.
pub(super) struct Header {
    /// Byte of the source at which it stands.
    pub at: u64,
    pub crc: u32,
    pub crc_stored: u32,
    pub crc_ok: bool,
    /// The sector it says it is.
    pub this: u64,
    /// The sector of the other copy.
    pub alternate: u64,
    /// First and last sector that partitions may use.
    pub first: u64,
    pub last: u64,
    pub disk: String,
    entries: u64,
    count: u32,
    entry_size: u32,
    entries_crc: u32,
}

impl Header {
    /// `None` where there is no header's signature or the source ends.
    pub(super) fn read(source: &Source, at: u64, size: u64) -> Result<Option<Self>, ReadError> {
        let sector = read_exact(&**source, at, usize::try_from(size).unwrap_or(512))?;
        Ok(sector.and_then(|s| Self::parse(&s, at)))
    }
    fn parse(sector: &[u8], at: u64) -> Option<Self> {
        if !sector.starts_with(SIGNATURE) {
            return None;
        }
        let crc_stored = le32(sector, 16)?;
        let len = usize::try_from(le32(sector, 12)?).ok()?;
        // The checksum covers the header with its own field as zeros.
        let covered = sector.get(..len).filter(|h| h.len() >= 92);
        let crc = covered.map_or(0, |h| {
            let mut h = h.to_vec();
            if let Some(field) = h.get_mut(16..20) {
                field.fill(0);
            }
            crc32fast::hash(&h)
        });
        Some(Self {
            at,
            crc,
            crc_stored,
            crc_ok: covered.is_some() && crc == crc_stored,
            this: le64(sector, 24)?,
            alternate: le64(sector, 32)?,
            first: le64(sector, 40)?,
            last: le64(sector, 48)?,
            disk: guid(sector.get(56..)?)?,
            entries: le64(sector, 72)?,
            count: le32(sector, 80)?,
            entry_size: le32(sector, 84)?,
            entries_crc: le32(sector, 88)?,
        })
    }
}

/// One entry in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Type GUID, canonical text.
    pub kind: String,
    pub guid: String,
    /// First and last sector, inclusive.
    pub first: u64,
    pub last: u64,
    attributes: u64,
    pub label: String,
}
impl Entry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..16)?.iter().all(|b| *b == 0) {
            return None;
        }
        Some(Self {
            kind: guid(bytes)?,
            guid: guid(bytes.get(16..)?)?,
            first: le64(bytes, 32)?,
            last: le64(bytes, 40)?,
            attributes: le64(bytes, 48)?,
            label: label(bytes.get(56..128)?),
        })
    }
}
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sectors {} to {}, type {}, GUID {}, attributes {:#x}, label {:?}",
            self.first, self.last, self.kind, self.guid, self.attributes, self.label
        )
    }
}

/// A header with its entries.
pub(super) struct Copy {
    pub header: Header,
    /// Bytes of the array, whole sectors.
    pub entries_run: Run,
    /// Entries in use by number (the first is 1).
    pub entries: BTreeMap<u32, Entry>,
    /// Why the array is not to be trusted, if it is not.
    pub problem: Option<String>,
}

impl Copy {
    pub(super) fn read(source: &Source, at: u64, size: u64) -> Result<Option<Self>, ReadError> {
        let Some(header) = Header::read(source, at, size)? else {
            return Ok(None);
        };
        let offset = header.entries.saturating_mul(size);
        let claimed = u64::from(header.count).saturating_mul(u64::from(header.entry_size));
        let fits = header.entry_size >= 128 && header.entry_size.is_multiple_of(8) && header.entry_size <= 4096;
        let mut copy = Self {
            entries_run: Run::new(offset, claimed.min(MAX_ARRAY).next_multiple_of(size)),
            entries: BTreeMap::new(),
            problem: None,
            header,
        };
        if !fits {
            copy.problem = Some(format!("entries of {} bytes each are not defined", copy.header.entry_size));
            copy.entries_run.len = 0;
            return Ok(Some(copy));
        }
        let len = claimed.min(MAX_ARRAY).min(source.len().saturating_sub(offset));
        let array = match read_exact(&**source, offset, usize::try_from(len).unwrap_or(0)) {
            Ok(array) => array.unwrap_or_default(),
            Err(e) => {
                copy.problem = Some(e.to_string());
                return Ok(Some(copy));
            }
        };
        let crc = crc32fast::hash(&array);
        copy.problem = if claimed > MAX_ARRAY {
            Some(format!("budget: {claimed} bytes of entries; the first {MAX_ARRAY} were read, unchecked"))
        } else if len < claimed {
            Some(format!("{claimed} bytes of entries, of which the disk holds {len}"))
        } else if crc != copy.header.entries_crc {
            Some(format!("their CRC32 is {crc:08x}, stored {:08x}", copy.header.entries_crc))
        } else {
            None
        };
        let each = usize::try_from(copy.header.entry_size).unwrap_or(128);
        let entries = (1..).zip(array.chunks_exact(each)).filter_map(|(n, b)| Some((n, Entry::parse(b)?)));
        copy.entries = entries.collect();
        Ok(Some(copy))
    }
    /// 4 if header and entries agree with their checksums, less for what does not; 0 is unusable.
    pub(super) fn quality(&self) -> u8 {
        match (self.header.crc_ok, self.problem.is_none()) {
            (true, true) => 4,
            (false, true) => 3,
            (true, false) => 2,
            (false, false) => u8::from(!self.entries.is_empty()),
        }
    }
    /// Byte at which an entry stands.
    pub(super) fn entry_at(&self, number: u32) -> u64 {
        let before = u64::from(number.saturating_sub(1)).saturating_mul(u64::from(self.header.entry_size));
        self.entries_run.offset.saturating_add(before)
    }
}
