//! Which parts of a volume are encrypted, where Windows 10 and later encrypt on write: a bit for each part, in
//! bitmaps of regions, each kept in two records of which the later counts. Packed structures, little-endian.
use super::BY;
use super::entry::{long, short, word};
use crate::base::{Gaps, Run};
use crate::image::{Source, read_exact};

/// Bytes in front of the offsets of the bitmaps, of a bitmap's records, of a record's bits.
const HEADER: usize = 56;
const BITMAP_HEADER: usize = 60;
const RECORD_HEADER: usize = 36;
/// Largest record, and all together: a bit stands for 64 KiB or more.
const MAX_RECORD: u32 = 16 << 20;
const MAX_BITS: u64 = 64 << 20;
/// Parts that are looked at for one answer.
const MAX_ALIKE: u64 = 4096;

/// Regions in the order of their offsets.
pub(super) struct OnWrite {
    /// Bytes that a bit stands for.
    chunk: u64,
    regions: Vec<Region>,
    /// Runs of the volume that these structures have for themselves.
    pub reserved: Vec<Run>,
}
struct Region {
    run: Run,
    /// `None` where they cannot be read.
    bits: Option<Vec<u8>>,
    count: u64,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Encrypted,
    Plain,
    Unknown,
}

impl OnWrite {
    /// The first copy that holds; an error says why there is none.
    pub(super) fn read(source: &Source, copies: &[u64], gaps: &Gaps) -> Result<Self, String> {
        let mut failed = "none is there".to_owned();
        for at in copies {
            match Self::at(source, *at, gaps) {
                Ok(found) => return Ok(found),
                Err(what) => failed = format!("at byte {at}: {what}"),
            }
        }
        Err(failed)
    }

    fn at(source: &Source, at: u64, gaps: &Gaps) -> Result<Self, String> {
        let cut = "it lies beyond the end";
        let read = |at: u64, len: usize| {
            read_exact(&**source, at, len).map_err(|e| e.to_string())?.ok_or_else(|| cut.to_owned())
        };
        let head = read(at, HEADER)?;
        let header = usize::from(short(&head, 8).unwrap_or(0));
        let size = usize::from(short(&head, 10).unwrap_or(0));
        if !head.starts_with(b"FVE-EOW\0") || header < HEADER || size < header {
            return Err("nothing of the kind stands there".into());
        }
        let bytes = read(at, size)?;
        check(&bytes, 36)?;
        let chunk = u64::from(word(&bytes, 20).filter(|n| *n >= 512).ok_or("its parts have an impossible size")?);
        let log = u64::from(word(&bytes, 24).unwrap_or(0));
        let copies = [long(&bytes, 40), long(&bytes, 48)].into_iter().flatten();
        let mut all =
            Self { chunk, regions: Vec::new(), reserved: copies.map(|at| Run::new(at, size as u64)).collect() };
        let mut left = MAX_BITS;
        for at in bytes.get(header..).unwrap_or_default().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)) {
            let found = all.bitmap(at, log, &read, &mut left);
            if let Err(what) = found {
                let what = format!("the map of what is encrypted: {what}");
                gaps.add_at(BY, "volume_offset", at, what, 0);
            }
        }
        all.regions.sort_by_key(|r| r.run.offset);
        Ok(all)
    }

    fn bitmap(
        &mut self,
        at: u64,
        log: u64,
        read: &impl Fn(u64, usize) -> Result<Vec<u8>, String>,
        left: &mut u64,
    ) -> Result<(), String> {
        let head = read(at, BITMAP_HEADER)?;
        if !head.starts_with(b"FVE-EOWBM\0") {
            return Err("nothing of the kind stands there".into());
        }
        let field = |at| word(&head, at).unwrap_or(0);
        let run = Run::new(long(&head, 20).unwrap_or(0), long(&head, 28).unwrap_or(0));
        let records = [field(44), field(48)];
        // The checksum covers what stands before the first record.
        let covered = usize::try_from(records.into_iter().min().unwrap_or(0)).unwrap_or(0);
        let covered = covered.clamp(BITMAP_HEADER, 1 << 16);
        check(&read(at, covered)?, 56)?;
        self.reserved.push(Run::new(at, u64::from(field(12))));
        self.reserved.push(Run::new(long(&head, 36).unwrap_or(0), log));
        let mut best: Option<(u64, Vec<u8>, u64)> = None;
        for record in records {
            let Ok((number, bits, count)) = Self::record(at.saturating_add(u64::from(record)), read, left) else {
                continue;
            };
            if best.as_ref().is_none_or(|(n, ..)| *n < number) {
                best = Some((number, bits, count));
            }
        }
        let (bits, count) = best.map_or((None, 0), |(_, bits, count)| (Some(bits), count));
        let is_lost = bits.is_none();
        self.regions.push(Region { run, bits, count });
        if is_lost { Err("both of its records are damaged; that region is not read".into()) } else { Ok(()) }
    }

    /// Number, bits, how many.
    fn record(
        at: u64,
        read: &impl Fn(u64, usize) -> Result<Vec<u8>, String>,
        left: &mut u64,
    ) -> Result<(u64, Vec<u8>, u64), String> {
        let head = read(at, RECORD_HEADER)?;
        let size = word(&head, 12).filter(|n| *n <= MAX_RECORD).ok_or("a record of an impossible size")?;
        *left = left.checked_sub(u64::from(size)).ok_or("budget: bytes of maps")?;
        let mut bytes = read(at, usize::try_from(size).unwrap_or(0))?;
        if !head.starts_with(b"FVE-EOWBR\0") {
            return Err("no record".into());
        }
        check(&bytes, 32)?;
        let start = usize::from(short(&head, 10).unwrap_or(0)).max(RECORD_HEADER).min(bytes.len());
        let count = u64::from(word(&head, 16).unwrap_or(0));
        let number = long(&head, 20).unwrap_or(0);
        Ok((number, bytes.split_off(start), count))
    }

    /// What the byte is, and for how many bytes that holds, 1 at least.
    pub(super) fn part(&self, offset: u64) -> (Part, u64) {
        let next = self.regions.partition_point(|r| r.run.offset <= offset);
        let until_next = self.regions.get(next).map_or(u64::MAX, |r| r.run.offset).saturating_sub(offset);
        let region = next.checked_sub(1).and_then(|n| self.regions.get(n)).filter(|r| offset < r.run.end());
        let Some(region) = region else { return (Part::Unknown, until_next) };
        let until_end = region.run.end().saturating_sub(offset).min(until_next);
        let first = offset.saturating_sub(region.run.offset).checked_div(self.chunk).unwrap_or(0);
        let (this, mut last) = (region.part(first), first);
        if first >= region.count {
            return (this, until_end);
        }
        let most = until_end.checked_div(self.chunk).unwrap_or(0).min(MAX_ALIKE).saturating_add(first);
        while last < most && region.part(last.saturating_add(1)) == this {
            last = last.saturating_add(1);
        }
        let end = last.saturating_add(1).saturating_mul(self.chunk).saturating_add(region.run.offset);
        (this, end.saturating_sub(offset).clamp(1, until_end.max(1)))
    }

    /// Bytes that are not encrypted.
    pub(super) fn plain(&self) -> u64 {
        let of = |r: &Region| {
            let ones: u64 = r.bits.iter().flatten().map(|b| u64::from(b.count_ones())).sum();
            r.count.saturating_sub(ones).saturating_mul(self.chunk).min(r.run.len)
        };
        self.regions.iter().filter(|r| r.bits.is_some()).map(of).fold(0, u64::saturating_add)
    }
}

impl Region {
    fn part(&self, number: u64) -> Part {
        let byte = usize::try_from(number.div_euclid(8)).ok().filter(|_| number < self.count);
        let byte = byte.and_then(|n| self.bits.as_ref()?.get(n));
        match byte.map(|b| b >> number.rem_euclid(8) & 1) {
            Some(1) => Part::Encrypted,
            Some(_) => Part::Plain,
            None => Part::Unknown,
        }
    }
}

/// Compares the checksum at byte `at` of a structure, which was taken with its own field zero.
fn check(bytes: &[u8], at: usize) -> Result<(), String> {
    let stored = word(bytes, at).ok_or("it is cut short")?;
    let mut sum = crc32fast::Hasher::new();
    let (before, after) = bytes.split_at_checked(at).unwrap_or_default();
    sum.update(before);
    sum.update(&[0; 4]);
    sum.update(after.get(4..).unwrap_or_default());
    if sum.finalize() == stored { Ok(()) } else { Err("its checksum does not fit".into()) }
}
