//! One segment file of an EWF set: its sections, one after the other. A damaged descriptor is passed over by
//! looking for the next one, which its own checksum makes known.
use crate::base::{Exceeded, Gaps, is_zero};
use crate::image::inflate::adler32;
use crate::image::{ReadError, Segment, read_exact};
use aho_corasick::AhoCorasick;
use std::sync::OnceLock;

/// Bytes before the first section.
pub(super) const FILE_HEADER: u64 = 13;
/// Bytes of a section's descriptor.
pub(super) const DESCRIPTOR: u64 = 76;
/// Bytes of the descriptor that its checksum covers.
const COVERED: usize = 72;
/// More sections than any segment has; a table every 32 MiB gives 32 for each GiB.
const MAX_SECTIONS: usize = 1 << 20;
/// Bytes that are read at first where a descriptor is looked for, and at most in one go: the next one is near where
/// one was damaged, and far where the segment was overwritten.
const WINDOWS: (usize, usize) = (16 << 10, 1 << 20);
/// Damaged sections behind which is looked: each costs a search.
const MAX_SEARCHES: u32 = 4096;
/// Bytes that are searched behind one: sections have two gigabytes at most, as their tables count with 31 bits.
const MAX_SEARCHED: u64 = 4 << 30;
const BY: &str = "EWF";

/// Names that a descriptor may carry.
const KINDS: &[&str] = &[
    "header",
    "header2",
    "xheader",
    "volume",
    "disk",
    "data",
    "sectors",
    "table",
    "table2",
    "error2",
    "session",
    "hash",
    "digest",
    "xhash",
    "next",
    "done",
    "ltree",
    "ltypes",
    "incomplete",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub kind: String,
    /// Bytes of its contents, behind the descriptor, in the segment file.
    pub start: u64,
    pub end: u64,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The last of its set.
    Done,
    /// Another follows.
    Next,
    /// Without a word: it was cut short.
    Cut,
}

pub(super) struct Sections {
    pub list: Vec<Section>,
    pub end: End,
}

/// The number that a segment file says it has; `None` if it does not begin like one.
pub(super) fn number(segment: &Segment) -> Result<Option<u16>, ReadError> {
    let head = read_exact(&*segment.source, 0, 13)?;
    let field = |h: &Vec<u8>| Some(u16::from_le_bytes([*h.get(9)?, *h.get(10)?]));
    Ok(head.filter(|h| super::is_ewf(h)).as_ref().and_then(field))
}

/// Follows the sections of a segment.
pub(super) fn sections(segment: &Segment, gaps: &Gaps) -> Result<Sections, Exceeded> {
    let len = segment.source.len();
    let mut list: Vec<Section> = Vec::new();
    let mut at = FILE_HEADER;
    let mut searches = 0_u32;
    while at.saturating_add(DESCRIPTOR) <= len {
        if list.len() >= MAX_SECTIONS {
            return Err(Exceeded("budget: sections of a segment"));
        }
        let Some(found) = descriptor(segment, at) else {
            searches = searches.saturating_add(1);
            if searches > MAX_SEARCHES {
                return Err(Exceeded("budget: damaged sections of a segment"));
            }
            let next = search(segment, at.saturating_add(1));
            let until = next.unwrap_or(len);
            let what = format!("{}: damaged section at byte {at}; read on from byte {until}", segment.name);
            gaps.add(BY, what, until.saturating_sub(at));
            match next {
                Some(next) => at = next,
                None => break,
            }
            continue;
        };
        let end = match found.kind.as_str() {
            "done" => Some(End::Done),
            "next" => Some(End::Next),
            _ => None,
        };
        let start = at.saturating_add(DESCRIPTOR);
        if let Some(end) = end {
            return Ok(Sections { list, end });
        }
        // Older writers leave the size out, or count it differently; the next section bounds it anyway.
        let by_size = at.checked_add(found.size).filter(|e| found.size >= DESCRIPTOR && *e <= len);
        let by_next = Some(found.next).filter(|n| *n >= start && *n <= len);
        let stop = by_next.or(by_size).unwrap_or(len);
        if by_next.is_none() {
            let what = format!("{}: section “{}” at byte {at} goes beyond the file", segment.name, found.kind);
            gaps.add(BY, what, found.next.saturating_sub(len));
        }
        list.push(Section { kind: found.kind, start, end: stop });
        at = stop.max(start);
    }
    Ok(Sections { list, end: End::Cut })
}

struct Descriptor {
    kind: String,
    next: u64,
    size: u64,
}

/// The descriptor at a byte, if one is there that its checksum covers.
fn descriptor(segment: &Segment, at: u64) -> Option<Descriptor> {
    let bytes = read_exact(&*segment.source, at, 76).ok()??;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Option<Descriptor> {
    let covered = bytes.get(..COVERED)?;
    let sum = u32::from_le_bytes(bytes.get(COVERED..76)?.try_into().ok()?);
    if sum != adler32(covered) {
        return None;
    }
    let name = bytes.get(..16)?.split(|b| *b == 0).next()?;
    let kind = std::str::from_utf8(name).ok().filter(|k| k.bytes().all(|b| b.is_ascii_graphic()))?.to_owned();
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?));
    Some(Descriptor { kind, next: word(16)?, size: word(24)? }).filter(|d| !d.kind.is_empty())
}

/// The first whole descriptor of a known kind from a byte on.
fn search(segment: &Segment, from: u64) -> Option<u64> {
    static NAMES: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    // Each name ends with a zero.
    let names = NAMES.get_or_init(|| AhoCorasick::new(KINDS.iter().map(|k| [k.as_bytes(), &[0]].concat())).ok());
    let names = names.as_ref()?;
    let len = segment.source.len().min(from.saturating_add(MAX_SEARCHED));
    let (mut size, most) = WINDOWS;
    let mut buf = Vec::new();
    let mut at = from;
    while at < len {
        buf.resize(size, 0);
        size = size.saturating_mul(4).min(most);
        let n = segment.source.read_at(at, &mut buf).ok().filter(|n| *n > 0)?;
        let window = buf.get(..n)?;
        let fits =
            |start: &usize| window.get(*start..start.saturating_add(76)).is_some_and(|bytes| parse(bytes).is_some());
        // Most of a sparse file is zeros, in which no name is.
        let candidates = names.find_overlapping_iter(if is_zero(window) { &[] } else { window }).map(|m| m.start());
        if let Some(found) = candidates.filter(fits).min() {
            return Some(at.saturating_add(found as u64));
        }
        // The next window begins where a descriptor could have been cut.
        let step = n.saturating_sub(75).max(1);
        if n < 76 {
            return None;
        }
        at = at.saturating_add(step as u64);
    }
    None
}

/// The extension of segment `number` (1-based) of a set whose first ends in `letter` and `01`: two digits, then
/// letters, of which the first goes on from `letter`. `None` beyond the last name there is.
pub(super) fn extension(letter: u8, number: u32) -> Option<String> {
    if number < 100 {
        return Some(format!("{}{number:02}", char::from(letter)));
    }
    let n = number.checked_sub(100)?;
    let first = u32::from(letter).checked_add(n.checked_div(676)?)?;
    let first = u8::try_from(first).ok().filter(u8::is_ascii_uppercase)?;
    let low = |n: u32| u8::try_from(n.checked_rem(26)?).ok()?.checked_add(b'A').map(char::from);
    Some(format!("{}{}{}", char::from(first), low(n.checked_div(26)?)?, low(n)?))
}

#[cfg(test)]
mod tests {
    use super::extension;

    #[test]
    fn segments_are_named_past_99() {
        let name = |n| extension(b'E', n);
        for (n, text) in [(1, "E01"), (99, "E99"), (100, "EAA"), (125, "EAZ"), (126, "EBA"), (775, "EZZ"), (776, "FAA")]
        {
            assert_eq!(name(n).as_deref(), Some(text));
        }
        assert_eq!(name(14_971).as_deref(), Some("ZZZ"));
        assert_eq!(name(14_972), None);
    }
}
