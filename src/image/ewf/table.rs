//! Tables of an EWF set: where each chunk lies. A table has a copy (`table2`); chunks that no whole table
//! covers are found by decoding the `sectors` section from its start, as they lie there one after the other.
use super::segment::{DESCRIPTOR, FILE_HEADER, Section};
use crate::base::Gaps;
use crate::image::inflate::adler32;
use crate::image::{Segment, read_exact};
use libdeflater::Adler32;
use std::sync::Arc;

const HEADER: u64 = 24;
/// Entries that are read in one go.
pub(super) const PAGE: u32 = 4096;
const COMPRESSED: u32 = 1 << 31;
const OFFSET: u32 = COMPRESSED - 1;
/// Decoded bytes that a search for chunks may cost: large chunks that are stored in few bytes are read over and over.
const WORK: u64 = 4 << 30;
const BY: &str = "EWF";

/// How a chunk's bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Zlib,
    Bzip2,
    /// As they are, with their checksum behind them.
    Summed,
    /// As they are.
    Plain,
    /// Not at all: eight bytes, repeated.
    Fill([u8; 8]),
}

/// Where a chunk lies in its segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub offset: u64,
    pub len: u64,
    pub form: Form,
}

/// Chunks that follow each other.
pub(super) struct Table {
    /// Number of the first.
    pub first: u64,
    pub count: u32,
    /// Index of the segment.
    pub segment: usize,
    pub places: Places,
}

pub(super) enum Places {
    /// Read from the table when they are needed.
    Entries {
        /// First byte of the entries in the segment file.
        at: u64,
        base: u64,
        /// First byte behind the last chunk.
        end: u64,
        /// From this entry on all 32 bits are the offset, and nothing is compressed.
        wide_from: u32,
    },
    /// Found by decoding.
    Walked(Vec<Stored>),
    /// Of version 2: entries of 16 bytes, read when they are needed; compressed chunks are `packed` so.
    Wide { at: u64, packed: Form },
}

impl Table {
    /// The place of the `number`th chunk of this table; `page` gives a page of its entries: [`PAGE`] of them
    /// and the one behind. The error says what is wrong.
    pub(super) fn place(
        &self,
        number: u32,
        page: impl FnOnce(u32, u64) -> Result<Arc<Vec<u32>>, String>,
    ) -> Result<Stored, String> {
        let beyond = || "the chunk table ends before it".to_owned();
        let (at, base, end, wide_from) = match &self.places {
            Places::Walked(list) => return list.get(number as usize).copied().ok_or_else(beyond),
            Places::Wide { at, packed } => return self.wide(number, &page(number.div_euclid(PAGE), *at)?, *packed),
            Places::Entries { at, base, end, wide_from } => (*at, *base, *end, *wide_from),
        };
        let page_number = number.div_euclid(PAGE);
        let inside = number.rem_euclid(PAGE) as usize;
        let page = page(page_number, at)?;
        let offset = |number: u32, word: u32| {
            let offset = if number >= wide_from { word } else { word & OFFSET };
            base.saturating_add(u64::from(offset))
        };
        let word = page.get(inside).copied().ok_or_else(beyond)?;
        let next = number.saturating_add(1);
        let stop = match page.get(inside.saturating_add(1)) {
            Some(word) if next < self.count => offset(next, *word),
            _ => end,
        };
        let from = offset(number, word);
        let len = stop.checked_sub(from).filter(|n| *n > 0).ok_or("its entry in the chunk table is out of order")?;
        let is_packed = number < wide_from && word & COMPRESSED != 0;
        Ok(Stored { offset: from, len, form: if is_packed { Form::Zlib } else { Form::Summed } })
    }
    /// An entry of version 2: offset or filling, size, flags.
    fn wide(&self, number: u32, page: &[u32], packed: Form) -> Result<Stored, String> {
        let at = (number.rem_euclid(PAGE) as usize).saturating_mul(4);
        let Some([low, high, len, flags]) = page.get(at..at.saturating_add(4)).filter(|_| number < self.count) else {
            return Err("the chunk table ends before it".into());
        };
        let place = u64::from(*low) | u64::from(*high) << 32;
        let form = match (flags & 1 != 0, flags & 4 != 0, flags & 2 != 0) {
            (true, true, _) => Form::Fill(place.to_le_bytes()),
            (true, false, _) => packed,
            (false, _, true) => Form::Summed,
            (false, _, false) => Form::Plain,
        };
        let is_fill = matches!(form, Form::Fill(_));
        Ok(Stored { offset: if is_fill { 0 } else { place }, len: if is_fill { 0 } else { u64::from(*len) }, form })
    }
    /// The entries of a page, and the one behind.
    pub(super) fn page(&self, segment: &Segment, page: u32, at: u64) -> Result<Vec<u32>, String> {
        let from = page.saturating_mul(PAGE);
        let n = self.count.saturating_sub(from).min(PAGE.saturating_add(1));
        let width = if matches!(self.places, Places::Wide { .. }) { 4 } else { 1 };
        let (from, n) = (from.saturating_mul(width), n.saturating_mul(width));
        let bytes = entries(segment, at, from, n).ok_or("the chunk table cannot be read")?;
        Ok(words(&bytes).collect())
    }
}

/// What a table section says.
struct Parsed {
    count: u32,
    /// The number of chunks is covered by its checksum.
    is_counted: bool,
    /// Everything else is as well, and lies within the segment in order.
    is_whole: bool,
    at: u64,
    base: u64,
    end: u64,
    wide_from: u32,
}

/// What could be learned of the chunks that a table stands for.
pub(super) enum Learned {
    Table(Table),
    /// Where they lie is not known; how many they are may be.
    Lost(Option<u32>),
}

/// Reads a table or its copy. `sectors` are the sections of the segment that hold chunks.
pub(super) fn read(
    segment: &Segment,
    index: usize,
    table: Option<&Section>,
    copy: Option<&Section>,
    sectors: &[Section],
    gaps: &Gaps,
) -> Learned {
    let parse = |s: Option<&Section>| s.and_then(|s| parse(segment, s, sectors));
    let say = |section: Option<&Section>, what: &str| {
        let at = section.map_or(0, |s| s.start.saturating_sub(DESCRIPTOR));
        gaps.add(BY, format!("{}: chunk table at byte {at}: {what}", segment.name), 0);
    };
    let (first, second) = (parse(table), parse(copy));
    let is_whole = |p: &Option<Parsed>| p.as_ref().is_some_and(|p| p.is_whole);
    let chosen = match (is_whole(&first), is_whole(&second)) {
        (true, false) => {
            if copy.is_some() {
                say(copy, "this copy is damaged; the table itself is whole");
            }
            first
        }
        (true, true) => first,
        (false, true) => {
            say(table.or(copy), "damaged or absent; its copy is used");
            second
        }
        (false, false) => {
            say(table.or(copy), "damaged, and no whole copy of it is there");
            let counted = |p: Option<Parsed>| p.filter(|p| p.is_counted).map(|p| p.count);
            return Learned::Lost(counted(first).or_else(|| counted(second)));
        }
    };
    let Some(Parsed { count, at, base, end, wide_from, .. }) = chosen else { return Learned::Lost(None) };
    Learned::Table(Table { first: 0, count, segment: index, places: Places::Entries { at, base, end, wide_from } })
}

fn parse(segment: &Segment, section: &Section, sectors: &[Section]) -> Option<Parsed> {
    let head = read_exact(&*segment.source, section.start, 24).ok()??;
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let base = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
    let count = word(0)?;
    let is_counted = word(20)? == adler32(head.get(..20)?);
    let at = section.start.checked_add(HEADER)?;
    let room = section.end.checked_sub(at)?.checked_div(4)?;
    let mut parsed =
        Parsed { count, is_counted, is_whole: is_counted, at, base, end: section.end, wide_from: u32::MAX };
    if u64::from(count) > room {
        parsed.is_whole = false;
        return Some(parsed);
    }
    // In the oldest form the chunks stand in the table's own section, behind the entries.
    let first = words(&entries(segment, at, 0, count.min(1))?).next().unwrap_or(0);
    let start = base.checked_add(u64::from(first & OFFSET))?;
    let (from, end) = match sectors.iter().find(|s| s.start <= start && start < s.end) {
        Some(sectors) => (sectors.start, sectors.end),
        None if start >= at => (at, section.end),
        // Their section is lost; they lie before the table all the same.
        None => (FILE_HEADER, section.start.saturating_sub(DESCRIPTOR)),
    };
    parsed.end = end;
    let mut sum = Adler32::new();
    let mut last = None;
    for page in (0..count).step_by(PAGE as usize) {
        let bytes = entries(segment, at, page, PAGE.min(count.saturating_sub(page)))?;
        sum.update(&bytes);
        for (number, word) in (page..).zip(words(&bytes)) {
            let fits = |offset: u64| last.is_none_or(|last| last < offset) && offset >= from && offset < end;
            let narrow = base.checked_add(u64::from(word & OFFSET))?;
            let wide = base.checked_add(u64::from(word))?;
            let is_wide = number >= parsed.wide_from || (!fits(narrow) && fits(wide));
            if is_wide {
                // Beyond 2 GiB the flag's bit belongs to the offset.
                parsed.wide_from = parsed.wide_from.min(number);
            }
            let offset = if is_wide { wide } else { narrow };
            parsed.is_whole &= fits(offset);
            last = Some(offset);
        }
    }
    // The oldest form has no checksum of the entries; the chunks follow at once.
    let after = at.checked_add(u64::from(count).checked_mul(4)?)?;
    if from != at {
        let stored = read_exact(&*segment.source, after, 4).ok()?;
        parsed.is_whole &= stored.and_then(|s| s.try_into().ok()).map(u32::from_le_bytes) == Some(sum.sum());
    }
    Some(parsed)
}

/// Finds chunks by decoding: they lie one after the other from `start` on. `most` of them at most, of `size`
/// decoded bytes each; the disk's last chunk may be shorter, `last` bytes.
pub(super) fn walk(segment: &Segment, run: (u64, u64), most: u64, size: usize, last: usize) -> Vec<Stored> {
    let (mut at, end) = run;
    let mut found = Vec::new();
    // What does not compress is stored with its checksum; a compressed chunk is never longer than that.
    let mut buf = vec![0; size.saturating_add(4)];
    let mut out = vec![0; size];
    let mut work = WORK;
    while at < end && (found.len() as u64) < most && work > 0 {
        work = work.saturating_sub(size as u64);
        let room = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        let Ok(n) = segment.source.read_at(at, buf.get_mut(..room).unwrap_or_default()) else { break };
        let bytes = buf.get(..n).unwrap_or_default();
        let raw = [size, last].into_iter().filter(|n| *n > 0).find(|n| is_raw(bytes, *n)).map(|n| n.saturating_add(4));
        let found_here = raw.map(|n| (n, false)).or_else(|| Some((inflated(bytes, &mut out)?, true)));
        let Some((len, is_compressed)) = found_here.filter(|(n, _)| *n > 0) else { break };
        let form = if is_compressed { Form::Zlib } else { Form::Summed };
        found.push(Stored { offset: at, len: len as u64, form });
        at = at.saturating_add(len as u64);
    }
    found
}

/// Whether `size` bytes stand here with their checksum behind them.
fn is_raw(bytes: &[u8], size: usize) -> bool {
    let (data, rest) = (bytes.get(..size), bytes.get(size..size.saturating_add(4)));
    let sum = rest.and_then(|r| r.try_into().ok()).map(u32::from_le_bytes);
    data.is_some_and(|data| sum == Some(adler32(data)))
}

/// Bytes of the zlib stream that stands here, if it is whole and fits.
fn inflated(bytes: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut decoder = flate2::Decompress::new(true);
    let status = decoder.decompress(bytes, out, flate2::FlushDecompress::Finish).ok()?;
    (status == flate2::Status::StreamEnd).then(|| usize::try_from(decoder.total_in()).ok())?
}

/// `n` entries of a table whose first lies at byte `at`, from entry `from` on.
pub(super) fn entries(segment: &Segment, at: u64, from: u32, n: u32) -> Option<Vec<u8>> {
    let at = at.checked_add(u64::from(from).checked_mul(4)?)?;
    read_exact(&*segment.source, at, usize::try_from(n).ok()?.checked_mul(4)?).ok()?
}

pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).filter_map(|c| c.try_into().ok().map(u32::from_le_bytes))
}
