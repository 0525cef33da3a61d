//! Master boot record: four primary entries and a chain of extended boot records (EBR).
//! Format: the IBM PC layout as the Linux kernel reads it (`block/partitions/msdos.c` numbers them the same way).
use super::layout::{Report, cover, table};
use super::signs::{self, le32};
use super::{Part, PartKind, Scheme, types};
use crate::base::{Budget, Gaps, Run};
use crate::image::{ReadError, Source, read_exact};
use std::collections::HashSet;

pub(super) const SCHEME: Scheme = Scheme {
    name: "mbr",
    about: "MBR partition table with extended partitions, 512 and 4096-byte sectors",
    limits: "tables of Solaris and Minix inside partitions are not read; what a Windows dynamic disk joins is not put together",
    probe: |source| Mbr::read(source).ok().flatten().is_some_and(|m| m.is_table(source)),
    read,
};

/// Sectors that the chain of extended boot records may have; real ones have a few dozen at most.
const MAX_EBRS: usize = 4096;
const ENTRIES_AT: usize = 446;
const SIGNATURE_AT: usize = 510;

/// One entry of the table, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub status: u8,
    pub code: u8,
    pub start: u64,
    pub sectors: u64,
}
impl Entry {
    pub(super) fn is_empty(self) -> bool {
        self.code == 0 || self.sectors == 0
    }
    /// What of a partition is left in an entry that counts as empty: no tool leaves it so.
    fn remains(self) -> Option<&'static str> {
        match (self.start, self.code, self.sectors) {
            (1.., 1.., 0) => Some("a type and no sectors"),
            (1.., 0, 1..) => Some("sectors and no type"),
            _ => None,
        }
    }
    fn is_extended(self) -> bool {
        matches!(self.code, 0x05 | 0x0f | 0x85)
    }
    fn end(self) -> u64 {
        self.start.saturating_add(self.sectors)
    }
}

/// A sector with the boot signature and its four entries.
pub(super) struct Mbr {
    pub entries: [Entry; 4],
    signature: u32,
}

impl Mbr {
    /// The first sector, if it carries the boot signature.
    pub(super) fn read(source: &Source) -> Result<Option<Self>, ReadError> {
        Self::read_at(source, 0)
    }
    fn read_at(source: &Source, offset: u64) -> Result<Option<Self>, ReadError> {
        Ok(read_exact(&**source, offset, 512)?.as_deref().and_then(Self::parse))
    }
    fn parse(sector: &[u8]) -> Option<Self> {
        if sector.get(SIGNATURE_AT..)? != [0x55, 0xaa] {
            return None;
        }
        let mut entries = [Entry { status: 0, code: 0, start: 0, sectors: 0 }; 4];
        for (to, from) in entries.iter_mut().zip(sector.get(ENTRIES_AT..SIGNATURE_AT)?.chunks_exact(16)) {
            *to = Entry {
                status: *from.first()?,
                code: *from.get(4)?,
                start: u64::from(le32(from, 8)?),
                sectors: u64::from(le32(from, 12)?),
            };
        }
        Some(Self { entries, signature: le32(sector, 440)? })
    }
    /// Whether any entry is in use.
    pub(super) fn has_entries(&self) -> bool {
        self.entries.iter().any(|e| !e.is_empty())
    }
    /// Whether an entry protects a GPT.
    pub(super) fn is_protective(&self) -> bool {
        self.entries.iter().any(|e| e.code == 0xee)
    }
    /// Boot sectors of FAT and NTFS carry the same signature. A table has only the two legal status bytes
    /// (what Linux asks for), or, where nothing else explains the sector, entries that fit the disk.
    pub(super) fn is_table(&self, source: &Source) -> bool {
        if !self.has_entries() {
            return false;
        }
        let legal = self.entries.iter().all(|e| matches!(e.status, 0 | 0x80));
        let sectors = source.len().div_euclid(512);
        let fits = |e: &Entry| e.is_empty() || (e.start > 0 && e.start < sectors && e.end() <= sectors);
        let used: Vec<&Entry> = self.entries.iter().filter(|e| !e.is_empty()).collect();
        let apart = used
            .iter()
            .enumerate()
            .all(|(i, a)| used.iter().skip(i.saturating_add(1)).all(|b| a.end() <= b.start || b.end() <= a.start));
        let sane = self.entries.iter().all(fits) && apart;
        match (legal, signs::starts(source, 0)) {
            (true, None) => true,
            (true, Some(_)) | (false, None) => sane,
            (false, Some(_)) => false,
        }
    }
}

/// 512, or 4096 where only that makes the entries point at something. A raw image does not record it.
fn sector_size(source: &Source, mbr: &Mbr) -> u64 {
    let hits = |size: u64| {
        let used = mbr.entries.iter().filter(|e| !e.is_empty());
        used.filter(|e| e.start.checked_mul(size).is_some_and(|at| signs::looks_used(source, at))).count()
    };
    let (small, large) = (hits(512), hits(4096));
    if large > small { 4096 } else { 512 }
}

struct Reader<'a> {
    source: &'a Source,
    report: Report<'a>,
    size: u64,
    signature: u32,
    claims: Vec<Part>,
    /// Number of the next logical partition.
    next: u32,
    /// EBRs seen, in sectors, over all chains.
    seen: HashSet<u64>,
}

fn read(source: &Source, gaps: &Gaps, mut budget: Budget) -> Result<Vec<Part>, ReadError> {
    let report = Report { gaps, by: "mbr" };
    let Some(mbr) = Mbr::read(source)? else {
        return Ok(cover(Vec::new(), source.len(), &report));
    };
    if let Some(name) = signs::starts(source, 0) {
        report.at(0, format!("the disk carries both a partition table and the first structures of {name} over all of it; the table was followed"), 0);
    }
    let size = sector_size(source, &mbr);
    let mut reader = Reader {
        source,
        report,
        size,
        signature: mbr.signature,
        claims: vec![table(0, size, "MBR")],
        next: 5,
        seen: HashSet::new(),
    };
    for (number, entry) in (1..).zip(mbr.entries) {
        if !matches!(entry.status, 0 | 0x80) {
            let at = (ENTRIES_AT as u64).saturating_add(u64::from(number) * 16).saturating_sub(16);
            reader.report.at(
                at,
                format!("entry {number} has the status byte {:#04x}; 0x00 and 0x80 are defined", entry.status),
                0,
            );
        }
        if !entry.is_empty() && !entry.is_extended() {
            reader.partition(number, entry.start, entry);
        }
        reader.remains(0, number, entry);
    }
    if mbr.is_protective() {
        reader.report.at(
            0,
            "the MBR says that a GPT is in force, but no GPT header could be read at either end of the disk",
            0,
        );
    } else if let Some(at) = super::gpt::header_at(source) {
        reader.report.at(at, "a GPT header is present, but the MBR has no protective entry: the MBR was followed", 0);
    }
    for entry in mbr.entries.into_iter().filter(|e| !e.is_empty() && e.is_extended()) {
        reader.chain(entry, &mut budget);
    }
    Ok(cover(reader.claims, source.len(), &reader.report))
}

impl Reader<'_> {
    /// Bytes of a number of sectors; saturating, as entries beyond the disk are reported by their bytes.
    fn bytes(&self, sectors: u64) -> u64 {
        sectors.saturating_mul(self.size)
    }
    fn partition(&mut self, index: u32, start: u64, entry: Entry) {
        self.claims.push(Part {
            index,
            run: Run::new(self.bytes(start), self.bytes(entry.sectors)),
            kind: PartKind::Partition,
            type_name: types::mbr(entry.code).map_or_else(|| format!("{:#04x}", entry.code), str::to_owned),
            label: String::new(),
            uuid: if self.signature == 0 { String::new() } else { format!("{:08x}-{index:02x}", self.signature) },
        });
    }
    fn remains(&self, at: u64, number: u32, entry: Entry) {
        if let Some(what) = entry.remains() {
            let start = entry.start;
            let what = format!("entry {number} says that a partition begins at sector {start}, with {what}; left out");
            self.report.at(at, what, self.bytes(entry.sectors));
        }
    }
    /// Follows the EBRs of one extended partition.
    fn chain(&mut self, container: Entry, budget: &mut Budget) {
        let base = container.start;
        let mut next = Some(base);
        while let Some(lba) = next.take() {
            let at = self.bytes(lba);
            if self.seen.len() >= MAX_EBRS || budget.step(1).is_err() {
                self.report.at(at, "budget: EBR chain; what follows was not read", 0);
                return;
            }
            if !self.seen.insert(lba) {
                self.report.at(at, "the chain of extended boot records returns to this sector; it was read once", 0);
                return;
            }
            if lba < base || lba >= container.end() {
                self.report.at(
                    at,
                    format!(
                        "extended boot record outside its extended partition (sectors {base} to {})",
                        container.end()
                    ),
                    0,
                );
            }
            let ebr = match Mbr::read_at(self.source, at) {
                Ok(Some(ebr)) => ebr,
                Ok(None) if at >= self.source.len() => {
                    self.report.at(at, "the chain of extended boot records leads beyond the end of the disk", 0);
                    return;
                }
                Ok(None) => {
                    self.report.at(at, "no extended boot record here (no signature 0x55AA); the chain ends", 0);
                    return;
                }
                Err(e) => {
                    self.report.at(at, format!("extended boot record not read: {e}"), self.size);
                    return;
                }
            };
            self.claims.push(table(at, self.size, "EBR"));
            for (slot, entry) in (1..).zip(ebr.entries) {
                if entry.is_empty() {
                    self.remains(at, slot, entry);
                    continue;
                }
                if entry.is_extended() {
                    let to = base.saturating_add(entry.start);
                    if next.is_some() {
                        let what = format!("a second link in the chain, to sector {to}, was not followed");
                        self.report.at(at, what, self.bytes(entry.sectors));
                    } else {
                        next = Some(to);
                    }
                    continue;
                }
                let start = lba.saturating_add(entry.start);
                if slot > 2 {
                    self.report.at(
                        at,
                        format!("entry {slot} of an extended boot record is in use; only two are defined"),
                        0,
                    );
                }
                if start < base || start.saturating_add(entry.sectors) > container.end() {
                    self.report.at(
                        self.bytes(start),
                        format!("logical partition {} reaches out of its extended partition", self.next),
                        0,
                    );
                }
                self.partition(self.next, start, entry);
                self.next = self.next.saturating_add(1);
            }
        }
    }
}
