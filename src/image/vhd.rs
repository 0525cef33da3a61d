//! VHD, the disk of Virtual PC and Hyper-V: fixed, dynamic and differencing.
//!
//! Specified by Microsoft, "Virtual Hard Disk Image Format Specification" 1.0 (2006).
use super::blocks::BlockTable;
use super::cache::Cache;
use super::fields::{Fields, utf16};
use super::parent::Below;
use super::{Container, Extent, Format, Map, Mapped, OpenError, Opening, ReadError, Slice, Source, read_exact};
use crate::base::{Name, Run, Wanted};
use std::sync::Arc;

const BY: &str = "VHD";
const FOOTER: usize = 512;
const COOKIE: &[u8] = b"conectix";
const NOT_WRITTEN: u64 = 0xffff_ffff;
/// Largest block that is believed; Microsoft's tools write 2 MiB, some others up to 256.
const MAX_BLOCK: u64 = 256 << 20;
/// Sectors that one answer tells of in a differencing disk.
const RUN: u64 = 4096;

pub(super) const FORMAT: Format = Format {
    name: "VHD",
    about: "Virtual PC and Hyper-V disk: fixed, dynamic, differencing with its parents",
    limits: "",
    probe: |source| footer(source).is_some(),
    open,
};

/// The footer at the end; of a dynamic disk that was cut, its copy at the start.
fn footer(source: &Source) -> Option<(Fields, bool)> {
    let at = |at: u64| Some(read_exact(&**source, at, FOOTER).ok()??).filter(|b| b.starts_with(COOKIE)).map(Fields);
    let len = source.len();
    let end = len.checked_sub(FOOTER as u64).and_then(at);
    // Old versions of Virtual PC wrote 511 bytes; the last is not used.
    let short = || {
        let mut bytes = read_exact(&**source, len.checked_sub(511)?, 511).ok()??;
        bytes.push(0);
        Some(bytes).filter(|b| b.starts_with(COOKIE)).map(Fields)
    };
    end.or_else(short).map(|f| (f, true)).or_else(|| at(0).map(|f| (f, false)))
}

/// The complement of the sum of all bytes but the checksum's own.
fn sums_up(bytes: &[u8], at: usize) -> bool {
    let stored = Fields(bytes.to_vec()).be32(at);
    let own = at..at.saturating_add(4);
    let sum = bytes.iter().enumerate().filter(|(n, _)| !own.contains(n));
    let sum = sum.fold(0_u32, |sum, (_, b)| sum.wrapping_add(u32::from(*b)));
    stored == Some(!sum)
}

fn open(opening: &Opening<'_>) -> Result<Container, OpenError> {
    let source = &opening.source;
    let cut = || OpenError::Corrupt { at: source.len().saturating_sub(512), what: "the footer is cut".into() };
    let (footer, is_whole) = footer(source).ok_or_else(cut)?;
    if !is_whole {
        opening.gaps.add(BY, "the footer at the end is missing: the file was cut; its copy at the start is used", 0);
    }
    if !sums_up(&footer.0, 64) {
        opening.gaps.add(BY, "the checksum of the footer does not fit", 0);
    }
    let (len, kind) = (footer.be64(48).ok_or_else(cut)?, footer.be32(60).ok_or_else(cut)?);
    // All but fixed disks keep a copy at the start: sizes, geometry, kind and identifier are the same in both.
    if is_whole
        && kind != 2
        && let Ok(Some(copy)) = read_exact(&**source, 0, FOOTER).map(|c| c.map(Fields))
        && (copy.bytes(40, 24) != footer.bytes(40, 24) || copy.bytes(68, 16) != footer.bytes(68, 16))
    {
        let at = source.len().saturating_sub(FOOTER as u64);
        opening.gaps.add_at(BY, "image_offset", at, "the footer differs from its copy at the start; it is used", 0);
    }
    let word = |kind| match kind {
        2 => "fixed",
        3 => "dynamic",
        4 => "differencing",
        _ => "unknown",
    };
    let mut details = vec![("kind".to_owned(), word(kind).to_owned())];
    details.push(("made by".into(), Name::new(footer.bytes(28, 4)).display().trim().to_owned()));
    details.push(("identifier".into(), guid_of(footer.bytes(68, 16))));
    // Seconds since the start of 2000, in UTC.
    let made = footer.be32(24).and_then(|s| jiff::Timestamp::from_second(946_684_800 + i64::from(s)).ok());
    details.extend(made.map(|t| ("made".into(), t.to_string())));
    if footer.0.get(84) == Some(&1) {
        details.push(("state".into(), "the machine was suspended; its memory is not part of the disk".into()));
    }
    let disk: Source = match kind {
        2 => {
            let there = source.len().saturating_sub(FOOTER as u64);
            if len > there {
                let what = format!("the disk has {len} bytes; {there} are there");
                opening.gaps.add_at(BY, "image_offset", there, what, len.saturating_sub(there));
            }
            Arc::new(Slice::new(source.clone(), Run::new(0, len.min(there))))
        }
        3 | 4 => Arc::new(Mapped(dynamic(opening, &footer, len, (kind == 4, is_whole), &mut details)?)),
        other => return Err(OpenError::Unsupported(format!("disk of kind {other}"))),
    };
    Ok(Container { disk, stored_hashes: Vec::new(), details })
}

/// Written in the order of its bytes here, unlike elsewhere.
fn guid_of(bytes: &[u8]) -> String {
    crate::base::hex(bytes)
}

fn dynamic(
    opening: &Opening<'_>,
    footer: &Fields,
    len: u64,
    (is_differencing, is_whole): (bool, bool),
    details: &mut Vec<(String, String)>,
) -> Result<Dynamic, OpenError> {
    let source = &opening.source;
    let at = footer.be64(16).unwrap_or(u64::MAX);
    let bad = |what: &str| OpenError::Corrupt { at, what: what.into() };
    let head = Fields(read_exact(&**source, at, 1024)?.ok_or_else(|| bad("the header lies beyond the file's end"))?);
    if !head.0.starts_with(b"cxsparse") {
        return Err(bad("no header of a dynamic disk stands here"));
    }
    if !sums_up(&head.0, 36) {
        opening.gaps.add(BY, "the checksum of the header does not fit", 0);
    }
    let (table, count, block) = (head.be64(16), head.be32(28).map(u64::from), head.be32(32).map(u64::from));
    let (Some(table), Some(count), Some(block)) = (table, count, block) else { return Err(bad("the header is cut")) };
    if !block.is_power_of_two() || !(512..=MAX_BLOCK).contains(&block) {
        return Err(bad(&format!("blocks of {block} bytes")));
    }
    if len > count.saturating_mul(block) {
        return Err(bad(&format!("{count} blocks of {block} bytes do not make a disk of {len}")));
    }
    let below = if is_differencing { parent(opening, &head, details) } else { Below::Nothing };
    let bitmap = block.div_euclid(512).div_ceil(8).next_multiple_of(512);
    let blocks = BlockTable::new(source.clone(), table, count, 4, true);
    let place = |entry: u64| (entry != NOT_WRITTEN).then(|| entry.saturating_mul(512));
    let behind = if table < source.len() { table.saturating_add(count.saturating_mul(4)) } else { 0 };
    // The footer stands at the end, if it is there.
    let end = source.len().saturating_sub(if is_whole { 511 } else { 0 });
    if let Some(what) = blocks.check(place, bitmap.saturating_add(block), (behind, end)) {
        opening.gaps.add_at(BY, "image_offset", table, what, 0);
    }
    Ok(Dynamic {
        file: source.clone(),
        table: blocks,
        bitmaps: is_differencing.then(|| Cache::new(64)),
        bitmap,
        block,
        len,
        below,
    })
}

/// The parent, by the names that the header and its locators give.
fn parent(opening: &Opening<'_>, head: &Fields, details: &mut Vec<(String, String)>) -> Below {
    let mut names = Vec::new();
    for entry in (576..768).step_by(24) {
        let kind = head.bytes(entry, 4);
        let (Some(len), Some(at)) = (head.be32(entry + 8), head.be64(entry + 16)) else { continue };
        let Ok(Some(text)) = read_exact(&*opening.source, at, len.min(4096) as usize) else { continue };
        // Relative and absolute paths of Windows; what older programs wrote is a name of another time.
        if matches!(kind, b"W2ru" | b"W2ku") {
            names.push(utf16(&text, false));
        }
    }
    names.push(utf16(head.bytes(64, 512), true));
    names.retain(|n| !n.is_empty());
    names.dedup();
    let id = guid_of(head.bytes(40, 16));
    details.push(("parent identifier".into(), id.clone()));
    details.extend(names.first().map(|n| ("parent".into(), Name::new(n.as_bytes()).display())));
    let wanted: Vec<Wanted> = names.into_iter().map(|n| Wanted::Named(n.into_bytes())).collect();
    Below::known(opening, &wanted, false, Some(("identifier", &id)))
}

struct Dynamic {
    file: Source,
    table: BlockTable,
    /// In a differencing disk: which sectors of a block it holds itself.
    bitmaps: Option<Cache<Vec<u8>>>,
    /// Bytes of such a bitmap, before each block.
    bitmap: u64,
    block: u64,
    len: u64,
    below: Below,
}

impl Dynamic {
    /// Whether the sector at `inside` is this disk's own, and how many bytes from there on are alike.
    fn own(&self, cache: &Cache<Vec<u8>>, number: u64, start: u64, inside: u64) -> Result<(bool, u64), String> {
        let bitmap = cache.get(number, || {
            let len = usize::try_from(self.bitmap).map_err(|e| e.to_string())?;
            let bytes = read_exact(&*self.file, start, len).map_err(|e| e.to_string())?;
            bytes.ok_or_else(|| format!("block {number}: its bitmap at byte {start} lies beyond the file's end"))
        })?;
        let bit = |sector: u64| {
            let byte = usize::try_from(sector.div_euclid(8)).ok().and_then(|n| bitmap.get(n)).copied().unwrap_or(0);
            byte & 0x80_u8.checked_shr(u32::try_from(sector.rem_euclid(8)).unwrap_or(0)).unwrap_or(0) != 0
        };
        let first = inside.div_euclid(512);
        let is_own = bit(first);
        let last = self.block.div_euclid(512).min(first.saturating_add(RUN));
        let alike = (first..last).take_while(|s| bit(*s) == is_own).count() as u64;
        Ok((is_own, alike.saturating_mul(512).saturating_sub(inside.rem_euclid(512))))
    }
}

impl Map for Dynamic {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let failed = |what: String| ReadError { offset, what };
        let number = offset.div_euclid(self.block);
        let inside = offset.rem_euclid(self.block);
        let mut len = self.block.saturating_sub(inside);
        let entry = self.table.entry(number).map_err(failed)?;
        if entry == NOT_WRITTEN {
            return Ok(self.below.at(offset, len));
        }
        let start = entry.saturating_mul(512);
        if let Some(cache) = &self.bitmaps {
            let (is_own, alike) = self.own(cache, number, start, inside).map_err(failed)?;
            len = len.min(alike);
            if !is_own {
                return Ok(self.below.at(offset, len));
            }
        }
        let at = start.saturating_add(self.bitmap).saturating_add(inside);
        Ok(Extent::Stored { source: self.file.clone(), offset: at, len })
    }
}
