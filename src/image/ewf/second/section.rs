//! One segment file of version 2: its sections, from the last to the first, as each descriptor stands behind its
//! data and names the one before it. What is damaged or cut is passed over by looking for the next whole descriptor.
use crate::base::{Exceeded, Gaps, is_zero};
use crate::image::inflate::adler32;
use crate::image::{ReadError, Segment, read_exact};

/// Bytes before the first section.
pub(super) const FILE_HEADER: u64 = 32;
const DESCRIPTOR: u64 = 64;
/// Where a descriptor is looked for: the format aligns sections to 16 bytes, but not all writers do.
const ALIGNED: usize = 4;
const MAX_SECTIONS: usize = 1 << 20;
/// Bytes that are read in one go where a descriptor is looked for, and how many of a segment are searched.
const WINDOW: u64 = 1 << 20;
const SEARCH: u64 = 1 << 30;
const BY: &str = "EWF";

pub(super) const DEVICE: u32 = 1;
pub(super) const CASE: u32 = 2;
pub(super) const SECTORS: u32 = 3;
pub(super) const TABLE: u32 = 4;
pub(super) const ERRORS: u32 = 5;
pub(super) const MD5: u32 = 8;
pub(super) const SHA1: u32 = 9;
pub(super) const KEYS: u32 = 11;
pub(super) const NEXT: u32 = 13;
pub(super) const DONE: u32 = 15;
/// The highest that is known.
const LAST_KIND: u32 = 0x23;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub kind: u32,
    pub is_encrypted: bool,
    /// Bytes of its data, in front of the descriptor.
    pub start: u64,
    pub end: u64,
    /// MD5 of the data, where the writer noted it.
    pub hash: Option<[u8; 16]>,
}

/// What the header of a segment file says.
pub(super) struct Head {
    /// 1: zlib, 2: bzip2.
    pub compression: u16,
    pub number: u32,
    /// Of the set.
    pub id: Vec<u8>,
}

impl Head {
    pub(super) fn read(segment: &Segment) -> Result<Option<Self>, ReadError> {
        let head = read_exact(&*segment.source, 0, 32)?;
        let of = |h: &Vec<u8>| {
            Some(Self {
                compression: u16::from_le_bytes(h.get(10..12)?.try_into().ok()?),
                number: u32::from_le_bytes(h.get(12..16)?.try_into().ok()?),
                id: h.get(16..32)?.to_vec(),
            })
        };
        Ok(head.filter(|h| h.starts_with(super::EWF)).as_ref().and_then(of))
    }
}

/// The sections in their order, and whether the segment ends as one should.
pub(super) fn sections(segment: &Segment, gaps: &Gaps) -> Result<(Vec<Section>, bool), Exceeded> {
    let len = segment.source.len();
    let mut list = Vec::new();
    let mut next = len.checked_sub(DESCRIPTOR);
    let mut search_left = SEARCH;
    let mut is_ended = false;
    while let Some(at) = next.filter(|at| *at >= FILE_HEADER) {
        if list.len() >= MAX_SECTIONS {
            return Err(Exceeded("budget: sections of a segment"));
        }
        let Some((section, before)) = descriptor(segment, at) else {
            let found = search(segment, at, &mut search_left);
            let from = found.map_or(FILE_HEADER, |at| at.saturating_add(DESCRIPTOR));
            let end = list.last().map_or(len, |s: &Section| s.start);
            if end == len {
                // What a cut left behind the last descriptor.
                let what = format!(
                    "{}: no section ends at the file's end; the last whole one ends at byte {from}",
                    segment.name
                );
                gaps.add(BY, what, len.saturating_sub(from));
            } else {
                let what =
                    format!("{}: damaged section before byte {end}; read on from byte {from} backwards", segment.name);
                gaps.add(BY, what, end.saturating_sub(from));
            }
            next = found;
            continue;
        };
        is_ended |= matches!(section.kind, NEXT | DONE);
        // It may only lead towards the start.
        next = Some(before).filter(|b| *b > 0 && b.saturating_add(DESCRIPTOR) <= section.start);
        if before > 0 && next.is_none() {
            let what = format!("{}: the section that ends at byte {at} names none before it", segment.name);
            gaps.add(BY, what, 0);
            next = search(segment, section.start, &mut search_left);
        }
        list.push(section);
    }
    list.reverse();
    Ok((list, is_ended))
}

/// The section whose descriptor stands at this byte, and where the one before it stands.
fn descriptor(segment: &Segment, at: u64) -> Option<(Section, u64)> {
    parse(&read_exact(&*segment.source, at, 64).ok()??, at)
}

fn parse(bytes: &[u8], at: u64) -> Option<(Section, u64)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?));
    let kind = word(0).filter(|k| (1..=LAST_KIND).contains(k))?;
    if word(24)? != 64 || word(60)? != adler32(bytes.get(..60)?) {
        return None;
    }
    let flags = word(4)?;
    let start = at.checked_sub(long(16)?).filter(|s| *s >= FILE_HEADER)?;
    let hash = if flags & 1 != 0 { bytes.get(32..48)?.try_into().ok() } else { None };
    Some((Section { kind, is_encrypted: flags & 2 != 0, start, end: at, hash }, long(8)?))
}

/// The last whole descriptor before a byte.
fn search(segment: &Segment, before: u64, left: &mut u64) -> Option<u64> {
    let mut end = before;
    while end > FILE_HEADER {
        let from = end.saturating_sub(WINDOW).max(FILE_HEADER);
        let from = from.saturating_sub(from.rem_euclid(ALIGNED as u64));
        // A descriptor may stand across the end of the window.
        let to = end.saturating_add(DESCRIPTOR).min(segment.source.len());
        *left = left.checked_sub(to.saturating_sub(from))?;
        let len = usize::try_from(to.saturating_sub(from)).ok()?;
        let window = read_exact(&*segment.source, from, len).ok()??;
        // Most of a sparse file is zeros, in which no descriptor is.
        if is_zero(&window) {
            end = from;
            continue;
        }
        let places = (0..len).step_by(ALIGNED).rev().map(|n| (n, from.saturating_add(n as u64)));
        let mut fitting = places.filter(|(_, at)| *at < before && *at >= FILE_HEADER);
        let found = fitting
            .find(|(n, at)| window.get(*n..n.saturating_add(64)).is_some_and(|bytes| parse(bytes, *at).is_some()));
        if let Some((_, at)) = found {
            return Some(at);
        }
        end = from;
    }
    None
}
