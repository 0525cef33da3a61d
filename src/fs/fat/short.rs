//! Directory entries of FAT: short entries, and the long names in front of them.
//! Format: fatgen103, "FAT Directory Structure" and "FAT Long Directory Entries". Where a deleted
//! file had a long name, its checksum tells the first character that deleting overwrote.
use super::item::{DIRECTORY, Item, LABEL};
use super::raw::{clock, u8_at, u16_at, u32_at};
use crate::fs::{Times, utf16};

pub(super) type Raw = [u8; 32];

/// First byte of a deleted entry.
pub(super) const DELETED: u8 = 0xe5;
/// Stands for the first character of a deleted short name that nothing tells.
const LOST: u8 = b'?';
/// Parts of the longest name.
const MAX_PARTS: usize = 20;

pub(super) fn is_long(raw: &Raw) -> bool {
    raw[11] & 0x3f == 0x0f
}
pub(super) fn is_label(raw: &Raw) -> bool {
    raw[11] & 0x18 == 8
}
pub(super) fn is_dots(raw: &Raw) -> bool {
    raw.starts_with(b".          ") || raw.starts_with(b"..         ")
}
/// The entry for the directory itself, deleted or not: by its form alone, for its cluster tells more.
pub(super) fn is_own(raw: &Raw) -> bool {
    matches!(raw[0], b'.' | DELETED) && raw.get(1..11) == Some(b"          ") && raw[11] & 0x10 != 0
}
/// Whether bytes behind the end of a directory can be an entry: such as no other data looks like.
pub(super) fn is_plausible(raw: &Raw, has: impl Fn(u32) -> bool) -> bool {
    let name = raw.get(..11).unwrap_or_default();
    let legal = |b: &u8| *b > 0x20 && !b"\"*+,./:;<=>?[\\]|\x7f".contains(b) && !b.is_ascii_lowercase();
    let (base, ext) = name.split_at(8);
    let padded = |part: &[u8]| {
        let end = part.iter().rposition(|b| *b != b' ').map_or(0, |n| n.saturating_add(1));
        part.iter().take(end).all(|b| legal(b) || *b == b' ')
    };
    let first = leads_to(raw);
    let dated = clock(u16_at(raw, 24).unwrap_or(0), u16_at(raw, 22).unwrap_or(0), None, 0).is_some();
    raw[11] & 0xc8 == 0
        && raw[12] & !0x18 == 0
        && padded(base)
        && padded(ext)
        && base != b"        "
        && dated
        && (first == 0 || has(first))
}

/// The cluster that an entry leads to.
pub(super) fn leads_to(raw: &Raw) -> u32 {
    let half = |at| u32::from(u16_at(raw, at).unwrap_or(0));
    half(20) << 16 | half(26)
}

/// What long entries keep of the short name they belong to.
fn checksum(first: u8, rest: &[u8]) -> u8 {
    rest.iter().fold(first, |sum, b| sum.rotate_right(1).wrapping_add(*b))
}

/// Reads a short entry without its long name. `wide`: the upper half of the cluster number counts.
pub(super) fn item(raw: &Raw, at: u64, wide: bool, deleted: bool) -> Item {
    let time = |day: usize, time: Option<usize>, tenths| {
        let time = time.map_or(Some(0), |t| u16_at(raw, t))?;
        clock(u16_at(raw, day)?, time, tenths, 0)
    };
    let times = Times {
        created: time(16, Some(14), u8_at(raw, 13)),
        accessed: time(18, None, None),
        modified: time(24, Some(22), None),
        changed: None,
        deleted: None,
    };
    let first = leads_to(raw);
    let attributes = u16::from(raw[11]);
    let is_dir = attributes & DIRECTORY != 0 && attributes & LABEL == 0;
    let len = if is_dir { 0 } else { u64::from(u32_at(raw, 28).unwrap_or(0)) };
    Item {
        name: short_name(raw),
        at,
        deleted: deleted || raw[0] == DELETED,
        attributes: attributes & 0xff,
        first: if wide { first } else { first & 0xffff },
        len,
        valid: len,
        contiguous: false,
        times,
        local: true,
    }
}

/// The short name's own bytes, in whatever code page they are, with the letters that Windows marks
/// as small made small.
fn short_name(raw: &Raw) -> Vec<u8> {
    let mut name = *raw.first_chunk::<11>().unwrap_or(&[b' '; 11]);
    match name[0] {
        DELETED => name[0] = LOST,
        5 => name[0] = DELETED,
        _ => {}
    }
    let (base, ext) = name.split_at_mut(8);
    if raw[12] & 0x08 != 0 {
        base.make_ascii_lowercase();
    }
    if raw[12] & 0x10 != 0 {
        ext.make_ascii_lowercase();
    }
    let trimmed = |part: &[u8]| {
        let end = part.iter().rposition(|b| *b != b' ').map_or(0, |n| n.saturating_add(1));
        part.get(..end).unwrap_or_default().to_vec()
    };
    let (base, ext) = (trimmed(base), trimmed(ext));
    match (base.is_empty(), ext.is_empty()) {
        (true, true) => name.to_vec(),
        (_, true) => base,
        _ => [base.as_slice(), b".", &ext].concat(),
    }
}

/// The label entry's bytes, without the padding.
pub(super) fn label(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|b| *b != b' ' && *b != 0).map_or(0, |n| n.saturating_add(1));
    let mut out = bytes.get(..end).unwrap_or_default().to_vec();
    if out.first() == Some(&5) {
        out.splice(..1, [DELETED]);
    }
    out
}

/// Long entries that were read and wait for their short one.
#[derive(Default)]
pub(super) struct Pending(Vec<(u64, Raw)>);

/// What a short entry's long name is.
pub(super) struct Named {
    pub(super) name: Option<Vec<u8>>,
    /// Long entries in front of it that belong to no file: where the first of them stands.
    pub(super) orphan: Option<u64>,
}

impl Pending {
    pub(super) fn push(&mut self, at: u64, raw: &Raw) -> Option<u64> {
        let begins = raw[0] & 0x40 != 0 && raw[0] != DELETED;
        let orphan = if begins { self.clear() } else { None };
        if self.0.len() >= MAX_PARTS.saturating_mul(4) {
            self.0.remove(0);
        }
        self.0.push((at, *raw));
        orphan
    }
    /// Forgets what waits; where it stood if it was live, for then it has lost its file.
    pub(super) fn clear(&mut self) -> Option<u64> {
        let live = self.0.iter().find(|(_, raw)| raw[0] != DELETED).map(|p| p.0);
        self.0.clear();
        live
    }
    /// The long name of the short entry that follows.
    pub(super) fn take(&mut self, short: &Raw) -> Named {
        let found = if short[0] == DELETED { self.of_deleted(short) } else { self.of_live(short) };
        let Some((parts, name)) = found else { return Named { name: None, orphan: self.clear() } };
        let kept = self.0.len().saturating_sub(parts);
        self.0.truncate(kept);
        Named { name: Some(name), orphan: self.clear() }
    }
    /// Parts n to 1, the first of them marked as the last of the name, all with the short name's sum.
    fn of_live(&self, short: &Raw) -> Option<(usize, Vec<u8>)> {
        let (first, rest) = short.get(..11)?.split_first()?;
        let sum = checksum(*first, rest);
        let (mut text, mut parts) = (Vec::new(), 0_usize);
        for (want, (_, raw)) in (1_u8..).zip(self.0.iter().rev()) {
            if raw[13] != sum || raw[0] & 0x1f != want || raw[0] == DELETED {
                return None;
            }
            text.extend(units(raw));
            parts = parts.saturating_add(1);
            if raw[0] & 0x40 != 0 {
                return Some((parts, ended(&text)));
            }
        }
        None
    }
    /// Deleting overwrote the order numbers: the parts in front of the entry with one checksum, up to
    /// the one in which the name ends. The checksum must go with a character that a name can begin with.
    fn of_deleted(&self, short: &Raw) -> Option<(usize, Vec<u8>)> {
        let sum = self.0.last()?.1[13];
        restored(short, sum)?;
        let (mut text, mut parts) = (Vec::new(), 0_usize);
        for (_, raw) in self.0.iter().rev() {
            if raw[13] != sum || raw[0] != DELETED || parts >= MAX_PARTS {
                break;
            }
            let more = units(raw);
            let ends = more.as_chunks::<2>().0.contains(&[0, 0]);
            text.extend(more);
            parts = parts.saturating_add(1);
            if ends {
                break;
            }
        }
        (parts > 0).then(|| (parts, ended(&text)))
    }
}

/// The first byte that a deleted short name must have had for its checksum.
fn restored(short: &Raw, sum: u8) -> Option<u8> {
    let rest = short.get(1..11)?;
    let first = (0..=u8::MAX).find(|c| checksum(*c, rest) == sum)?;
    let legal = first == 5 || (first > 0x20 && first != DELETED && !b"\"*+,./:;<=>?[\\]|\x7f".contains(&first));
    (legal && !first.is_ascii_lowercase()).then_some(first)
}

/// The thirteen units of a part.
fn units(raw: &Raw) -> Vec<u8> {
    [(1, 11), (14, 26), (28, 32)]
        .into_iter()
        .flat_map(|(from, to)| raw.get(from..to).unwrap_or_default())
        .copied()
        .collect()
}
/// The name up to its end.
fn ended(text: &[u8]) -> Vec<u8> {
    let end = text.as_chunks::<2>().0.iter().position(|u| *u == [0, 0]);
    utf16::name(text.get(..end.map_or(text.len(), |n| n.saturating_mul(2))).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::decimal_bitwise_operands)]
    use super::*;

    fn short(name: &[u8; 11]) -> Raw {
        let mut raw = [0; 32];
        raw[..11].copy_from_slice(name);
        raw
    }
    fn long(order: u8, text: &str, sum: u8) -> Raw {
        let mut raw = [0xff; 32];
        let mut text: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        text.resize(26, 0xff);
        (raw[0], raw[11], raw[13]) = (order, 0x0f, sum);
        let mut text = text.into_iter();
        for (from, to) in [(1, 11), (14, 26), (28, 32)] {
            raw[from..to].fill_with(|| text.next().unwrap_or_default());
        }
        raw
    }

    #[test]
    fn names_of_live_entries() {
        let entry = short(b"LONGNA~1TXT");
        let sum = checksum(entry[0], &entry[1..11]);
        let mut pending = Pending::default();
        pending.push(0, &long(0x41, "岸桥", sum));
        let named = pending.take(&entry);
        assert_eq!((named.name.as_deref(), named.orphan), (Some("岸桥".as_bytes()), None));
        pending.push(64, &long(0x41, "other", sum ^ 1));
        let named = pending.take(&entry);
        assert_eq!((named.name, named.orphan), (None, Some(64)));
    }
    #[test]
    fn the_checksum_gives_back_a_lost_first_character() {
        let mut entry = short(b"LONGNA~1TXT");
        let sum = checksum(entry[0], &entry[1..11]);
        entry[0] = DELETED;
        assert_eq!(restored(&entry, sum), Some(b'L'));
        let mut pending = Pending::default();
        pending.push(0, &long(DELETED, "long name", sum));
        assert_eq!(pending.take(&entry).name.as_deref(), Some(b"long name".as_slice()));
        assert_eq!(item(&entry, 0, true, false).name, b"?ONGNA~1.TXT");
    }
    #[test]
    fn short_names_keep_their_bytes() {
        assert_eq!(short_name(&short(b"\x05\xb0\xb6     TXT")), b"\xe5\xb0\xb6.TXT");
        let mut small = short(b"README  TXT");
        small[12] = 0x18;
        assert_eq!(short_name(&small), b"readme.txt");
    }
}
