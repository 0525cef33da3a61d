//! GUID partition table: a header and an entry array at the start of the disk, both repeated at its end.
//! Format: UEFI specification, chapter 5 ("GUID Partition Table (GPT) Disk Layout").
use super::gpt_parse::{Copy, Entry, Header, SECTOR_SIZES};
use super::layout::{Report, cover, table};
use super::mbr::Mbr;
use super::{Part, PartKind, Scheme, signs, types};
use crate::base::{Budget, Gaps, Run};
use crate::image::{ReadError, Source};
use std::collections::BTreeMap;

pub(super) const SCHEME: Scheme = Scheme {
    name: "gpt",
    about: "GUID partition table, 512 and 4096-byte sectors, primary and backup compared",
    limits: "only the copy in force is followed; where primary and backup differ, a gap says how",
    probe: in_force,
    read,
};

/// Whether a GPT is what the running system would follow. Where the MBR does not say so (no protective
/// entry), the table counts only if nothing else claims the disk: a disk that was formatted as a whole
/// often keeps the backup of its former GPT.
fn in_force(source: &Source) -> bool {
    let mbr = Mbr::read(source).ok().flatten();
    if mbr.as_ref().is_some_and(Mbr::is_protective) {
        return any_header(source).is_some();
    }
    !mbr.is_some_and(|m| m.is_table(source))
        && signs::starts(source, 0).is_none()
        && any_header(source).is_some_and(|h| h.crc_ok)
}

fn any_header(source: &Source) -> Option<Header> {
    SECTOR_SIZES.iter().find_map(|size| {
        let primary = Header::read(source, *size, *size).ok().flatten();
        primary.or_else(|| Header::read(source, last_sector(source, *size)?, *size).ok().flatten())
    })
}

/// Byte of an intact header, for the MBR's reader to mention.
pub(super) fn header_at(source: &Source) -> Option<u64> {
    any_header(source).filter(|h| h.crc_ok).map(|h| h.at)
}

fn last_sector(source: &Source, size: u64) -> Option<u64> {
    source.len().checked_div(size)?.checked_sub(1)?.checked_mul(size)
}

/// The two copies of a table for one sector size, as far as they can be read.
struct Pair {
    size: u64,
    primary: Option<Copy>,
    backup: Option<Copy>,
}
impl Pair {
    fn read(source: &Source, size: u64, report: &Report<'_>) -> Self {
        let copy = |at: u64| match Copy::read(source, at, size) {
            Ok(copy) => copy,
            Err(e) => {
                report.at(at, format!("GPT header or entries not read: {e}"), size);
                None
            }
        };
        let primary = copy(size);
        let named = primary.as_ref().and_then(|p| p.header.alternate.checked_mul(size));
        let backup = named
            .filter(|at| *at > size)
            .and_then(copy)
            .or_else(|| last_sector(source, size).filter(|at| *at > size && Some(*at) != named).and_then(copy));
        Self { size, primary, backup }
    }
    fn quality(&self) -> u8 {
        let of = |c: &Option<Copy>| c.as_ref().map_or(0, Copy::quality);
        of(&self.primary).max(of(&self.backup))
    }
}

#[allow(clippy::unnecessary_wraps)] // the signature of all schemes; what cannot be read is a gap here
fn read(source: &Source, gaps: &Gaps, mut budget: Budget) -> Result<Vec<Part>, ReadError> {
    let report = Report { gaps, by: "gpt" };
    let mut pairs: Vec<Pair> = SECTOR_SIZES.iter().map(|size| Pair::read(source, *size, &report)).collect();
    // Stable: of equal ones the smaller sector size stays first.
    pairs.sort_by_key(|p| std::cmp::Reverse(p.quality()));
    let mut pairs = pairs.into_iter().filter(|p| p.quality() > 0);
    let Some(pair) = pairs.next() else {
        report.at(0, "no GPT header could be read at either end of the disk", 0);
        return Ok(cover(Vec::new(), source.len(), &report));
    };
    for other in pairs {
        report.at(
            other.size,
            format!("a GPT for {}-byte sectors is present as well; the one for {} was followed", other.size, pair.size),
            0,
        );
    }
    say_damage(source, &pair, &report);
    let Pair { size, primary, backup } = pair;
    let mut claims = vec![table(0, size, "protective MBR")];
    let from_backup = backup.as_ref().map_or(0, Copy::quality) > primary.as_ref().map_or(0, Copy::quality);
    for (copy, header, entries) in
        [(&primary, "GPT header", "GPT entries"), (&backup, "GPT backup header", "GPT backup entries")]
    {
        if let Some(copy) = copy {
            claims.push(table(copy.header.at, size, header));
            claims.push(table(copy.entries_run.offset, copy.entries_run.len, entries));
        }
    }
    if let (Some(primary), Some(backup)) = (&primary, &backup) {
        compare(primary, backup, &report);
    }
    if let Some(used) = if from_backup { &backup } else { &primary } {
        if from_backup {
            report.at(used.header.at, "the backup GPT was followed", 0);
        }
        partitions(used, size, &report, &mut budget, &mut claims);
        check_mbr(source, used, size, &report);
    }
    Ok(cover(claims, source.len(), &report))
}

/// What is wrong with the copies themselves.
fn say_damage(source: &Source, pair: &Pair, report: &Report<'_>) {
    let size = pair.size;
    for (copy, name, at) in
        [(&pair.primary, "primary", Some(size)), (&pair.backup, "backup", last_sector(source, size))]
    {
        let Some(copy) = copy else {
            report.at(at.unwrap_or(0), format!("no {name} GPT header here"), size);
            continue;
        };
        let header = &copy.header;
        if !header.crc_ok {
            let what = format!("{name} GPT header: its CRC32 is {:08x}, stored {:08x}", header.crc, header.crc_stored);
            report.at(header.at, what, size);
        }
        if header.this != header.at.checked_div(size).unwrap_or(0) {
            report.at(header.at, format!("{name} GPT header says that it is sector {}", header.this), 0);
        }
        if let Some(problem) = &copy.problem {
            report.at(copy.entries_run.offset, format!("{name} GPT entries: {problem}"), copy.entries_run.len);
        }
    }
    let Some(primary) = &pair.primary else { return };
    let end = last_sector(source, size);
    let Some(named) = primary.header.alternate.checked_mul(size) else {
        report.at(size, format!("primary GPT header names sector {} as its backup", primary.header.alternate), 0);
        return;
    };
    if named >= source.len() {
        let what = format!("the backup GPT should be at byte {named}; the image ends at {}", source.len());
        report.at(size, what, named.saturating_add(size).saturating_sub(source.len()));
    } else if Some(named) != end {
        let what =
            format!("the backup GPT is named at byte {named}, not in the last sector (byte {})", end.unwrap_or(0));
        report.at(size, what, 0);
    }
}

/// Differences between two copies that should be the same.
fn compare(primary: &Copy, backup: &Copy, report: &Report<'_>) {
    let (p, b) = (&primary.header, &backup.header);
    if p.disk != b.disk {
        report.at(b.at, format!("primary and backup GPT differ: disk GUID {} and {}", p.disk, b.disk), 0);
    }
    if (p.first, p.last) != (b.first, b.last) {
        let what = format!(
            "primary and backup GPT differ: usable sectors {} to {} and {} to {}",
            p.first, p.last, b.first, b.last
        );
        report.at(b.at, what, 0);
    }
    let in_copy = |entry: Option<&Entry>| entry.map_or_else(|| "no entry".to_owned(), ToString::to_string);
    let numbers: std::collections::BTreeSet<u32> =
        primary.entries.keys().chain(backup.entries.keys()).copied().collect();
    for number in numbers {
        let (a, z) = (primary.entries.get(&number), backup.entries.get(&number));
        if a != z {
            let what = format!("primary and backup GPT differ in entry {number}: {} and {}", in_copy(a), in_copy(z));
            report.at(b.at, what, 0);
        }
    }
}

fn partitions(copy: &Copy, size: u64, report: &Report<'_>, budget: &mut Budget, claims: &mut Vec<Part>) {
    let mut guids: BTreeMap<&str, u32> = BTreeMap::new();
    for (&number, entry) in &copy.entries {
        let entry_at = copy.entry_at(number);
        if budget.step(1).is_err() {
            report.at(entry_at, "budget: GPT entries; the rest was not read", 0);
            return;
        }
        let sectors = entry.last.checked_sub(entry.first).and_then(|n| n.checked_add(1));
        let run = sectors
            .and_then(|n| n.checked_mul(size))
            .zip(entry.first.checked_mul(size))
            .map(|(len, offset)| Run::new(offset, len));
        let Some(run) = run else {
            report.at(entry_at, format!("entry {number} runs from sector {} to {}", entry.first, entry.last), 0);
            continue;
        };
        if entry.first < copy.header.first || entry.last > copy.header.last {
            let what = format!(
                "partition {number} (sectors {} to {}) lies outside the usable sectors {} to {}",
                entry.first, entry.last, copy.header.first, copy.header.last
            );
            report.at(run.offset, what, 0);
        }
        if let Some(other) = guids.insert(&entry.guid, number) {
            report.at(entry_at, format!("partitions {other} and {number} carry the same GUID {}", entry.guid), 0);
        }
        claims.push(Part {
            index: number,
            run,
            kind: PartKind::Partition,
            type_name: types::gpt(&entry.kind).map_or_else(|| entry.kind.clone(), str::to_owned),
            label: entry.label.clone(),
            uuid: entry.guid.clone(),
        });
    }
}

/// Whether the MBR in front says what it should: one protective entry from sector 1, nothing else.
fn check_mbr(source: &Source, copy: &Copy, size: u64, report: &Report<'_>) {
    let mbr = match Mbr::read(source) {
        Ok(mbr) => mbr,
        Err(e) => {
            report.at(0, format!("protective MBR not read: {e}"), size);
            return;
        }
    };
    let protective = mbr.as_ref().and_then(|m| m.entries.into_iter().find(|e| e.code == 0xee));
    match protective {
        None => report.at(0, "no protective MBR in front of the GPT; Linux would not follow this table unasked", 0),
        Some(entry) if entry.start != 1 => {
            report.at(0, format!("the protective MBR entry starts at sector {}, not 1", entry.start), 0);
        }
        Some(_) => {}
    }
    let Some(mbr) = mbr.filter(|_| protective.is_some()) else { return };
    for (number, entry) in (1..).zip(mbr.entries).filter(|(_, e)| !e.is_empty() && e.code != 0xee) {
        let last = entry.start.saturating_add(entry.sectors).saturating_sub(1);
        let twin = copy.entries.iter().find(|(_, e)| (e.first, e.last) == (entry.start, last)).map(|(n, _)| *n);
        let kind = types::mbr(entry.code).map_or_else(|| format!("{:#04x}", entry.code), str::to_owned);
        let what = match twin {
            Some(n) => format!("hybrid MBR: entry {number} ({kind}) names the same bytes as GPT partition {n}"),
            None => format!(
                "hybrid MBR: entry {number} ({kind}) names sectors {} to {last}, which is no partition of the GPT; the GPT was followed",
                entry.start
            ),
        };
        report.at(entry.start.saturating_mul(size), what, 0);
    }
}
