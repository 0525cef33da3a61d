//! UBI: volumes over raw flash, whose logical blocks wander over the physical ones so that these wear evenly.
//! Format: the kernel's `drivers/mtd/ubi/ubi-media.h`; which copy of a block counts as its `attach.c` decides.
mod geometry;
mod headers;
mod logical;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use super::{Assembled, Manager, Member};
use crate::base::{Budget, Gaps, Name, Run};
use crate::image::{Mapped, Slice, Source, read_exact};
use geometry::Geometry;
use headers::{Erase, LAYOUT};
use logical::Logical;
use scan::{Physical, Scanned};
use std::collections::BTreeMap;
use std::sync::Arc;
use table::{Record, Slot};

pub(super) const MANAGER: Manager = Manager {
    name: "ubi",
    about: "UBI on raw flash: dynamic and static volumes, both copies of the volume table, volumes that the table lost",
    limits: "the fastmap is not used, every erase block is looked at; older copies of logical blocks are counted but not shown; a logical block that none holds reads as erased flash",
    probe: |source| matches!(Erase::at(source, 0), Ok(Some(_))),
    size: |source| Geometry::find(source).ok().flatten().map(|g| g.extent(source)),
    assemble,
};

/// The reader's name in gaps.
const BY: &str = "ubi";
/// Where the first header is looked for, and how far apart, when a dump's shape is to be told by it.
const SEARCHED: u64 = 64 << 20;
const STEP: usize = 2048;

/// Whether a whole copy of a volume table is found, wherever in the source the device begins.
pub(super) fn has_table(source: &Source) -> bool {
    (0..source.len().min(SEARCHED))
        .step_by(STEP)
        .filter(|at| matches!(Erase::at(source, *at), Ok(Some(_))))
        .take(8)
        .any(|start| {
            let device: Source =
                Arc::new(Slice::new(source.clone(), Run::new(start, source.len().saturating_sub(start))));
            let Ok(Some(geometry)) = Geometry::find(&device) else { return false };
            let gaps = Gaps::default();
            let scanned = scan::scan(&device, &geometry, &gaps, &mut Budget { steps: 4096, ..Budget::default() });
            let copies = scanned.blocks.get(&LAYOUT);
            copies.is_some_and(|c| {
                c.values().any(|p| copy(&device, &geometry, p).is_some_and(|s| !s.contains(&Slot::Damaged)))
            })
        })
}

/// A copy of the volume table.
fn copy(source: &Source, geometry: &Geometry, physical: &Physical) -> Option<Vec<Slot>> {
    let data = u64::from(geometry.first.data);
    let room = geometry.block.saturating_sub(data).min(table::len() as u64);
    let bytes = read_exact(&**source, physical.at.saturating_add(data), usize::try_from(room).ok()?).ok()??;
    Some(table::parse(&bytes)).filter(|slots| !slots.is_empty())
}
/// Logical blocks that a volume may always have.
const LEAST: u64 = 16 << 10;
/// Numbers that a gap writes out.
const NAMED: usize = 8;

fn assemble(members: &[Member], _: &Gaps, mut budget: Budget) -> Vec<Assembled> {
    let mut made = Vec::new();
    for (number, member) in members.iter().enumerate() {
        match Geometry::find(&member.source) {
            Ok(Some(geometry)) => made.extend(device(number, member, &geometry, &mut budget)),
            Ok(None) => {}
            Err(e) => member.gaps.add(BY, format!("not put together: {e}"), member.source.len()),
        }
    }
    made
}

/// The volumes of one device.
fn device(member: usize, Member { source, gaps }: &Member, geometry: &Geometry, budget: &mut Budget) -> Vec<Assembled> {
    if !geometry.measured {
        let what = format!("only one header was found; erase blocks are taken to be {} bytes long", geometry.block);
        gaps.add_at(BY, "volume_offset", 0, what, 0);
    }
    let mut scanned = scan::scan(source, geometry, gaps, budget);
    let records = records(source, geometry, &scanned, gaps);
    let logical = geometry.block.saturating_sub(u64::from(geometry.first.data));
    // No volume has more logical blocks than there are physical ones; but an image that was not flashed yet has only
    // those in use.
    let most = scanned.count.saturating_mul(4).max(LEAST);
    let mut made = Vec::new();
    let blocks = std::mem::take(&mut scanned.blocks);
    for number in volumes(records.as_ref(), &blocks) {
        let own = blocks.get(&number).cloned().unwrap_or_default();
        let known = records.as_ref().and_then(|r| r.get(&number));
        let make = Make { source, geometry, gaps, logical, most, number, has_table: records.is_some() };
        made.push(make.volume(member, known, own));
    }
    made
}

/// The numbers of all volumes that the table or any block names.
fn volumes(records: Option<&BTreeMap<u32, Record>>, blocks: &BTreeMap<u32, BTreeMap<u32, Physical>>) -> Vec<u32> {
    let mut all: Vec<u32> = blocks.keys().copied().filter(|n| *n < LAYOUT).collect();
    all.extend(records.into_iter().flat_map(BTreeMap::keys));
    all.sort_unstable();
    all.dedup();
    all
}

/// The volume table: the first copy if all of it holds, since it is written first; else what either still tells.
/// `None` where both are lost.
fn records(source: &Source, geometry: &Geometry, scanned: &Scanned, gaps: &Gaps) -> Option<BTreeMap<u32, Record>> {
    let found = |number: u32| {
        let physical = scanned.blocks.get(&LAYOUT)?.get(&number)?;
        Some((physical.at.saturating_add(u64::from(geometry.first.data)), copy(source, geometry, physical)?))
    };
    let copies = [found(0), found(1)];
    for (number, found) in copies.iter().enumerate() {
        let damaged = |slots: &[Slot]| slots.iter().filter(|s| **s == Slot::Damaged).count();
        match found {
            None => gaps.add(BY, format!("copy {number} of the volume table is missing"), 0),
            Some((at, slots)) if damaged(slots) > 0 => {
                let what =
                    format!("copy {number} of the volume table: {} of {} records damaged", damaged(slots), slots.len());
                gaps.add_at(BY, "volume_offset", *at, what, 0);
            }
            Some(_) => {}
        }
    }
    let [first, second] = copies.map(|c| c.map(|(_, slots)| slots).unwrap_or_default());
    if first.is_empty() && second.is_empty() {
        gaps.add(BY, "both copies of the volume table are lost; volumes are listed by their blocks, without names", 0);
        return None;
    }
    let whole = |slots: &[Slot]| !slots.is_empty() && !slots.contains(&Slot::Damaged);
    if whole(&first) && whole(&second) && first != second {
        gaps.add(BY, "the copies of the volume table differ; the first counts, as it is written first", 0);
    }
    let mut records = BTreeMap::new();
    for number in 0..first.len().max(second.len()) {
        let slot = match (first.get(number), second.get(number)) {
            (Some(Slot::Damaged) | None, Some(other)) => other,
            (Some(one), _) => one,
            (None, None) => continue,
        };
        let id = u32::try_from(number).unwrap_or(u32::MAX);
        if let Slot::Volume(record) = slot {
            records.insert(id, record.clone());
        }
    }
    Some(records)
}

/// What one volume is made from.
struct Make<'a> {
    source: &'a Source,
    geometry: &'a Geometry,
    gaps: &'a Gaps,
    /// Bytes of a logical block.
    logical: u64,
    most: u64,
    number: u32,
    has_table: bool,
}

impl Make<'_> {
    fn say(&self, what: impl std::fmt::Display, bytes: u64) {
        self.gaps.add(BY, format!("volume {}: {what}", self.number), bytes);
    }

    fn volume(&self, member: usize, known: Option<&Record>, mut blocks: BTreeMap<u32, Physical>) -> Assembled {
        let any = blocks.values().next().map(|p| p.head);
        let is_static = known.map(|r| r.is_static).or(any.map(|h| h.is_static)).unwrap_or(false);
        let pad = known.map(|r| r.pad).or(any.map(|h| h.pad)).unwrap_or(0);
        let usable = self.logical.saturating_sub(u64::from(pad));
        let limit = self.limit(known);
        let beyond = blocks.split_off(&u32::try_from(limit).unwrap_or(u32::MAX));
        if let Some(first) = beyond.values().next() {
            let what = format!(
                "volume {}: {} erase blocks hold logical blocks beyond its end; not read",
                self.number,
                beyond.len()
            );
            let bytes = (beyond.len() as u64).saturating_mul(self.logical);
            self.gaps.add_at(BY, "volume_offset", first.at, what, bytes);
        }
        if known.is_some_and(|r| r.updating) {
            self.say("its content was being replaced when the flash was read; what is there is a part of the new", 0);
        }
        let len =
            if is_static { self.static_len(&blocks, usable, limit) } else { self.dynamic_len(known, &blocks, usable) };
        let mut type_name = if is_static { "static" } else { "dynamic" }.to_owned();
        if known.is_some_and(|r| r.resizes) {
            type_name += ", autoresize";
        }
        if known.is_none() && self.has_table {
            type_name += ", not in the volume table";
            self.say("the volume table does not have it (removed?); its blocks are still there", 0);
        }
        let source = (usable > 0).then(|| {
            let device = self.source.clone();
            let geometry = *self.geometry;
            let map = Logical { device, geometry, blocks, usable, is_static, len, erased: logical::erased() };
            Arc::new(Mapped(map)) as Source
        });
        if source.is_none() {
            self.say(format!("padding of {pad} bytes leaves nothing of its blocks"), 0);
        }
        Assembled {
            members: vec![member],
            index: self.number.saturating_add(1),
            type_name,
            label: known.map(|r| Name::new(&r.name).display()).unwrap_or_default(),
            uuid: format!("{:08x}", self.geometry.first.image),
            source,
            internal: false,
            is_filesystem: false,
        }
    }

    /// Logical blocks that the volume can have.
    fn limit(&self, known: Option<&Record>) -> u64 {
        let Some(record) = known else { return self.most };
        let reserved = u64::from(record.reserved);
        if reserved > self.most {
            self.say(format!("the table gives it {reserved} erase blocks, more than the dump can have"), 0);
        }
        reserved.min(self.most)
    }

    fn dynamic_len(&self, known: Option<&Record>, blocks: &BTreeMap<u32, Physical>, usable: u64) -> u64 {
        let held = blocks.keys().next_back().map_or(0, |n| u64::from(*n).saturating_add(1));
        known.map_or(held, |record| u64::from(record.reserved).min(self.most)).saturating_mul(usable)
    }

    /// Checks the data of every block, and what is missing.
    fn static_len(&self, blocks: &BTreeMap<u32, Physical>, usable: u64, limit: u64) -> u64 {
        let used = blocks.values().map(|p| u64::from(p.head.used)).max().unwrap_or(0).min(limit);
        let mut wrong: Vec<u32> = Vec::new();
        for (number, physical) in blocks {
            if scan::data_fits(self.source, self.geometry, physical) != Some(true) {
                wrong.push(*number);
            }
        }
        let bytes = |count: usize| (count as u64).saturating_mul(usable);
        if let Some(first) = wrong.first().and_then(|n| blocks.get(n)) {
            let what = format!(
                "volume {}: data of {} logical blocks do not fit their checksum: {}",
                self.number,
                wrong.len(),
                named(&wrong)
            );
            self.gaps.add_at(BY, "volume_offset", first.at, what, bytes(wrong.len()));
        }
        let all = u32::try_from(used).unwrap_or(u32::MAX);
        let missing: Vec<u32> = (0..all).filter(|n| !blocks.contains_key(n)).collect();
        if !missing.is_empty() {
            self.say(
                format!("no erase block holds {} logical blocks: {}", missing.len(), named(&missing)),
                bytes(missing.len()),
            );
        }
        let last = all.checked_sub(1).and_then(|n| blocks.get(&n));
        let tail = last.map_or(usable, |p| u64::from(p.head.data_size).min(usable));
        used.saturating_sub(1).saturating_mul(usable).saturating_add(if used > 0 { tail } else { 0 })
    }
}

fn named(numbers: &[u32]) -> String {
    let shown: Vec<String> = numbers.iter().take(NAMED).map(u32::to_string).collect();
    format!("{}{}", shown.join(", "), if numbers.len() > NAMED { " …" } else { "" })
}
