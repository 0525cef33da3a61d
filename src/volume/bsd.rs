//! BSD disklabel, on a whole disk or within a slice of an MBR: partitions a to p.
//! Format: `sys/disklabel.h` of FreeBSD, NetBSD and OpenBSD. What an offset counts from differs among them: the slice, or
//! the disk that it lies on.
use super::layout::{Report, cover, table};
use super::signs::{self, le32};
use super::{Part, PartKind, Scheme};
use crate::base::{Budget, Gaps, Run};
use crate::image::{ReadError, Source, read_exact};

pub(super) const SCHEME: Scheme = Scheme {
    name: "bsd",
    about: "BSD disklabel of FreeBSD, NetBSD and OpenBSD, on a disk or within an MBR slice",
    limits: "little-endian labels in sector 1 (or at byte 64 of sector 0) only",
    probe: |source| Label::read(source).ok().flatten().is_some(),
    read,
};

const MAGIC: u32 = 0x8256_4557;
/// Where the label may stand.
const PLACES: [u64; 2] = [512, 64];
/// Bytes of a label in front of its partitions, and of one of these.
const HEAD: usize = 148;
const ENTRY: usize = 16;
const MAX_PARTITIONS: usize = 22;
/// By custom the third partition is all of it; on NetBSD for some machines the fourth is the disk.
const WHOLE: usize = 2;

struct Entry {
    sectors: u64,
    start: u64,
    kind: u8,
}
struct Label {
    /// Byte of the source.
    at: u64,
    /// Bytes of a sector.
    sector: u64,
    entries: Vec<Entry>,
    is_summed: bool,
}

impl Label {
    fn read(source: &Source) -> Result<Option<Self>, ReadError> {
        for at in PLACES {
            if let Some(label) = read_exact(&**source, at, 512 - 64)?.as_deref().and_then(|b| Self::parse(at, b)) {
                return Ok(Some(label));
            }
        }
        Ok(None)
    }
    fn parse(at: u64, bytes: &[u8]) -> Option<Self> {
        if le32(bytes, 0)? != MAGIC || le32(bytes, 132)? != MAGIC {
            return None;
        }
        let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?));
        let count = usize::from(short(138)?).min(MAX_PARTITIONS);
        let sector = u64::from(le32(bytes, 40)?);
        let end = count.checked_mul(ENTRY)?.checked_add(HEAD)?;
        let covered = bytes.get(..end.min(bytes.len()))?;
        let sum = covered.as_chunks::<2>().0.iter().fold(0, |sum, w| sum ^ u16::from_le_bytes(*w));
        let entry = |b: &[u8]| {
            let (sectors, start) = (u64::from(le32(b, 0)?), u64::from(le32(b, 4)?));
            Some(Entry { sectors, start, kind: *b.get(12)? })
        };
        Some(Self {
            at,
            sector: if matches!(sector, 512 | 1024 | 2048 | 4096) { sector } else { 512 },
            entries: bytes.get(HEAD..)?.chunks_exact(ENTRY).take(count).map_while(entry).collect(),
            is_summed: sum == 0,
        })
    }
    /// Those that may hold something: not the whole, not empty.
    fn used(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let is_used = |(n, e): &(usize, &Entry)| *n != WHOLE && e.kind != 0 && e.sectors > 0;
        self.entries.iter().enumerate().filter(is_used)
    }
    /// The sector that offsets count from, in the space of the source: the one by which most partitions begin with
    /// something known, and else lie within it.
    fn base(&self, source: &Source) -> u64 {
        let whole = self.entries.get(WHOLE).map_or(0, |e| e.start);
        let stored = source.locate(Run::new(0, 1)).first().map_or(0, |p| p.offset);
        let fits = |base: u64| {
            let place = |e: &Entry| e.start.checked_sub(base)?.checked_mul(self.sector);
            let places: Vec<u64> = self.used().filter_map(|(_, e)| place(e)).filter(|at| *at < source.len()).collect();
            (places.iter().filter(|at| signs::looks_used(source, **at)).count(), places.len())
        };
        let candidates = [0, whole, stored.checked_div(self.sector).unwrap_or(0)];
        let mut best = (fits(0), 0);
        for base in candidates {
            let fit = fits(base);
            if fit > best.0 {
                best = (fit, base);
            }
        }
        best.1
    }
}

fn name(kind: u8) -> String {
    let known = match kind {
        1 => "swap",
        2 => "Version 6",
        3 => "Version 7",
        4 => "System V",
        7 => "4.2BSD fast file system",
        8 => "FAT",
        9 => "4.4LFS",
        11 => "HPFS",
        12 => "ISO 9660",
        13 => "boot",
        14 => "Vinum",
        15 => "raid",
        16 => "Linux file system",
        17 => "NTFS",
        18 => "HFS",
        21 => "UDF",
        27 => "ZFS",
        _ => return format!("BSD type {kind}"),
    };
    format!("BSD {known}")
}

fn read(source: &Source, gaps: &Gaps, _budget: Budget) -> Result<Vec<Part>, ReadError> {
    let report = Report { gaps, by: "bsd" };
    let Some(label) = Label::read(source)? else {
        return Ok(cover(Vec::new(), source.len(), &report));
    };
    if !label.is_summed {
        report.at(label.at, "the checksum of the disklabel does not fit", 0);
    }
    let base = label.base(source);
    let mut claims = vec![table(label.at, 404.min(source.len().saturating_sub(label.at)), "BSD disklabel")];
    for (number, entry) in label.used() {
        let letter = u8::try_from(number).ok().and_then(|n| b'a'.checked_add(n)).map_or('?', char::from);
        let Some(start) = entry.start.checked_sub(base) else {
            let what =
                format!("partition {letter} begins at sector {}, before the slice that its label is in", entry.start);
            report.at(label.at, what, entry.sectors.saturating_mul(label.sector));
            continue;
        };
        claims.push(Part {
            index: u32::try_from(number).unwrap_or(0).saturating_add(1),
            run: Run::new(start.saturating_mul(label.sector), entry.sectors.saturating_mul(label.sector)),
            kind: PartKind::Partition,
            type_name: name(entry.kind),
            label: letter.to_string(),
            uuid: String::new(),
        });
    }
    // A partition that is all of it holds the label as well: that is no overlap worth telling.
    if let [.., last] = claims.as_slice()
        && claims.iter().any(|c| c.kind == PartKind::Partition && c.run.offset <= label.at && c.run.end() > label.at)
        && last.kind == PartKind::Partition
    {
        claims.remove(0);
    }
    Ok(cover(claims, source.len(), &report))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    /// A label in a slice that begins at sector `slice` of its disk; `is_relative`: offsets count from the slice.
    fn labelled(slice: u32, is_relative: bool) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let base = if is_relative { 0 } else { slice };
        let mut label = vec![0; 404];
        label.splice(0..4, MAGIC.to_le_bytes());
        label.splice(132..136, MAGIC.to_le_bytes());
        label.splice(40..44, 512_u32.to_le_bytes());
        label.splice(138..140, 8_u16.to_le_bytes());
        for (number, start, sectors, kind) in
            [(0_usize, 64, 512, 7), (1, 576, 128, 1), (2, 0, 2048, 0), (4, 1024, 512, 8)]
        {
            let at = HEAD + number * ENTRY;
            let entry = [u32::to_le_bytes(sectors), u32::to_le_bytes(base + start)].concat();
            label.splice(at..at + 8, entry);
            label.splice(at + 12..at + 13, [kind]);
        }
        let sum =
            label.as_chunks::<2>().0.iter().take(HEAD.midpoint(8 * ENTRY)).fold(0, |s, w| s ^ u16::from_le_bytes(*w));
        label.splice(136..138, sum.to_le_bytes());
        bytes.splice(512..916, label);
        for at in [64 * 512, 1024 * 512] {
            bytes.splice(at + 510..at + 512, [0x55, 0xaa]);
        }
        bytes
    }

    fn parts(bytes: Vec<u8>) -> (Vec<(u32, u64, u64)>, Vec<String>) {
        let source: Source = Arc::new(bytes);
        assert!((SCHEME.probe)(&source));
        let gaps = Gaps::default();
        let parts = read(&source, &gaps, Budget::default()).unwrap();
        assert_eq!(parts.iter().map(|p| p.run.len).sum::<u64>(), source.len());
        let used = parts.iter().filter(|p| p.kind == PartKind::Partition);
        (used.map(|p| (p.index, p.run.offset, p.run.len)).collect(), gaps.take().into_iter().map(|g| g.what).collect())
    }

    #[test]
    fn offsets_count_from_the_slice_or_from_the_disk() {
        let expected = [(1, 64 * 512, 512 * 512), (2, 576 * 512, 128 * 512), (5, 1024 * 512, 512 * 512)];
        for is_relative in [true, false] {
            let (found, gaps) = parts(labelled(2048, is_relative));
            assert_eq!((found.as_slice(), gaps.len()), (expected.as_slice(), 0), "{is_relative} {gaps:?}");
        }
    }

    #[test]
    fn damage_is_told_and_cuts_are_survived() {
        let mut bytes = labelled(0, true);
        *bytes.get_mut(600).unwrap() ^= 1;
        assert!(parts(bytes.clone()).1.iter().any(|g| g.contains("checksum of the disklabel")));
        for end in [0, 511, 512, 600, 644, 700, 900, 916, 40_000] {
            let source: Source = Arc::new(bytes.get(..end).unwrap().to_vec());
            if (SCHEME.probe)(&source) {
                read(&source, &Gaps::default(), Budget::default()).unwrap();
            }
        }
        // Numbers that lead anywhere.
        for (at, value) in [(512 + 148, u32::MAX), (512 + 152, u32::MAX), (512 + 40, 0), (512 + 136, 0xffff_ffff)] {
            let mut bytes = bytes.clone();
            bytes.splice(at..at + 4, value.to_le_bytes());
            let source: Source = Arc::new(bytes);
            let gaps = Gaps::default();
            // Parts may overlap now; a gap says so.
            read(&source, &gaps, Budget::default()).unwrap();
            assert!(!gaps.take().is_empty(), "{at}");
        }
    }
}
