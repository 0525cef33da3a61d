//! Entry sets of exFAT: a file entry, its stream extension and the parts of its name.
//! Format: Microsoft's "exFAT file system specification", sections 6 and 7.
use super::geometry::ENTRY;
use super::item::Item;
use super::raw::{clock, size, u8_at, u16_at, u32_at, u64_at};
use super::short::Raw;
use crate::fs::{Times, utf16};

pub(super) const BITMAP: u8 = 0x81;
pub(super) const UPCASE: u8 = 0x82;
pub(super) const LABEL: u8 = 0x83;
pub(super) const FILE: u8 = 0x85;
/// Set while an entry is in use.
pub(super) const IN_USE: u8 = 0x80;
const STREAM: u8 = 0xc0;
const NAME: u8 = 0xc1;

/// Whether an entry belongs to a set that began before.
pub(super) fn is_secondary(raw: &Raw) -> bool {
    raw[0] & 0x40 != 0
}
/// Entries that follow a file entry.
pub(super) fn followers(raw: &Raw) -> usize {
    usize::from(raw[1])
}

/// Why a set is not as it was written.
pub(super) type Fault = Option<&'static str>;

/// The sum over a set; the marks of being in use count as set, so that a deleted set keeps its own.
pub(super) fn checksum(set: &[(u64, Raw)]) -> u16 {
    let mut sum = 0_u16;
    for (n, (_, raw)) in set.iter().enumerate() {
        for (at, byte) in raw.iter().enumerate() {
            if n == 0 && (at == 2 || at == 3) {
                continue;
            }
            let byte = if at == 0 { byte | IN_USE } else { *byte };
            sum = sum.rotate_right(1).wrapping_add(u16::from(byte));
        }
    }
    sum
}
pub(super) fn sum_fits(set: &[(u64, Raw)]) -> bool {
    set.first().and_then(|(_, raw)| u16_at(raw, 2)) == Some(checksum(set))
}

fn name_hash(units: &[u8], upcase: &[u16]) -> u16 {
    let mut hash = 0_u16;
    for unit in units.as_chunks::<2>().0 {
        let unit = u16::from_le_bytes(*unit);
        let large = upcase.get(usize::from(unit)).copied().unwrap_or(unit);
        for byte in large.to_le_bytes() {
            hash = hash.rotate_right(1).wrapping_add(u16::from(byte));
        }
    }
    hash
}

/// Reads a set. `None` if it has no stream extension, and so neither size nor place.
pub(super) fn item(set: &[(u64, Raw)], deleted: bool, upcase: Option<&[u16]>) -> Option<(Item, Fault)> {
    let (at, file) = set.first()?;
    let second = set.get(1).map(|s| &s.1).filter(|raw| raw[0] | IN_USE == STREAM)?;
    let mut fault = if sum_fits(set) { None } else { Some("checksum of a file's entries does not fit") };
    let wanted = usize::from(u8_at(second, 3)?).saturating_mul(2);
    let mut units: Vec<u8> = Vec::with_capacity(wanted);
    for (_, raw) in set.iter().skip(2).take_while(|(_, raw)| raw[0] | IN_USE == NAME) {
        units.extend_from_slice(raw.get(2..).unwrap_or_default());
    }
    if units.len() < wanted {
        fault = fault.or(Some("name of a file is longer than its entries"));
    }
    units.truncate(wanted);
    if let (None, Some(upcase)) = (fault, upcase)
        && u16_at(second, 4) != Some(name_hash(&units, upcase))
    {
        fault = Some("hash of a file's name does not fit");
    }
    let mut local = false;
    let mut time = |at: usize, tenths: Option<usize>, zone: usize| {
        let zone = u8_at(file, zone)?;
        // Seven bits with a sign, in quarters of an hour; the eighth says that they count.
        let quarters = i16::from(zone & 0x7f).wrapping_sub(if zone & 0x40 != 0 { 128 } else { 0 });
        let known = zone & 0x80 != 0;
        let offset = if known { quarters.saturating_mul(15) } else { 0 };
        let tenths = tenths.and_then(|t| u8_at(file, t));
        let time = clock(u16_at(file, at.checked_add(2)?)?, u16_at(file, at)?, tenths, offset)?;
        local |= !known;
        Some(time)
    };
    let times = Times {
        created: time(8, Some(20), 22),
        modified: time(12, Some(21), 23),
        accessed: time(16, None, 24),
        changed: None,
        deleted: None,
    };
    let attributes = u16_at(file, 4)?;
    let len = u64_at(second, 24)?;
    let item = Item {
        name: utf16::name(&units),
        at: *at,
        deleted: deleted || file[0] & IN_USE == 0,
        attributes,
        first: u32_at(second, 20)?,
        len,
        valid: u64_at(second, 8)?,
        contiguous: second[1] & 2 != 0,
        times,
        local,
    };
    Some((item, fault))
}

/// The label of the volume, from its entry.
pub(super) fn label(raw: &Raw) -> Vec<u8> {
    let len = usize::from(raw[1]).min(11).saturating_mul(2);
    utf16::name(raw.get(2..len.saturating_add(2)).unwrap_or_default())
}

/// The table of capital letters as it is stored: a unit of 0xffff and a count stand for letters that
/// are their own capitals. What it does not tell is its own capital.
pub(super) fn upcase(stored: &[u8]) -> Vec<u16> {
    let mut out: Vec<u16> = Vec::with_capacity(1 << 16);
    let mut units = stored.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
    let own = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    while let Some(unit) = units.next() {
        if unit != 0xffff || out.len() >= 0xffff {
            out.push(unit);
        } else {
            let count = usize::from(units.next().unwrap_or(0));
            for _ in 0..count {
                out.push(own(out.len()));
            }
        }
        if out.len() > 1 << 16 {
            break;
        }
    }
    out.truncate(1 << 16);
    while out.len() < 1 << 16 {
        out.push(own(out.len()));
    }
    out
}
/// The sum over the table of capital letters, as its entry keeps it.
pub(super) fn table_sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, b| sum.rotate_right(1).wrapping_add(u32::from(*b)))
}

/// Bytes of a set.
pub(super) fn set_len(raw: &Raw) -> usize {
    followers(raw).saturating_add(1).saturating_mul(size(ENTRY))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::decimal_bitwise_operands)]
    use super::*;

    #[test]
    fn zones_count_in_quarters() {
        let mut file = [0; 32];
        (file[0], file[1]) = (FILE, 1);
        // 2022-01-19, noon.
        let stamp = (42_u32 << 9 | 1 << 5 | 19) << 16 | 12 << 11;
        file[8..12].copy_from_slice(&stamp.to_le_bytes());
        file[12..16].copy_from_slice(&stamp.to_le_bytes());
        (file[20], file[22]) = (51, 0x80 | 12);
        let mut stream = [0; 32];
        stream[0] = STREAM;
        let set = [(0, file), (32, stream)];
        let (item, fault) = item(&set, false, None).unwrap_or_else(|| unreachable!());
        assert_eq!(item.times.created.map(|t| t.to_string()).as_deref(), Some("2022-01-19T09:00:00.51Z"));
        assert_eq!(item.times.modified.map(|t| t.to_string()).as_deref(), Some("2022-01-19T12:00:00.00Z"));
        assert!(item.local && fault.is_some());
    }
    #[test]
    fn stored_capitals_unfold() {
        let stored: Vec<u8> = [0xffff_u16, 97, 65, 66].iter().flat_map(|u| u.to_le_bytes()).collect();
        let table = upcase(&stored);
        assert_eq!(
            (table.len(), table.get(97), table.get(98), table.get(96)),
            (65536, Some(&65), Some(&66), Some(&96))
        );
    }
}
