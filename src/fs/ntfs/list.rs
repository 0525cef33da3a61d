//! `$ATTRIBUTE_LIST`: a file whose attributes do not fit into one record of the MFT has more records,
//! and a list of what stands where.
//! Format: "$ATTRIBUTE_LIST" in the Linux-NTFS project's documentation.
use super::content::Content;
use super::raw::{Reference, size, u16_at, u64_at};
use super::record::{ATTRIBUTE_LIST, Attribute, Record};
use super::runs;
use super::table::Mft;
use crate::fs::FsError;
use crate::fs::damage::Damage;
use crate::image::ReadAt;
use std::collections::BTreeSet;

/// Windows keeps lists of at most 256 KiB.
const MAX_LIST: u64 = 1 << 20;
/// Records of other files that a list may name before the rest of it is left out.
const MAX_FOREIGN: usize = 64;

/// A file: its record, and those that extend it.
pub(super) struct Node {
    pub(super) base: Record,
    pub(super) more: Vec<Record>,
}

impl Node {
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.base).chain(&self.more)
    }
    /// Calls `each` for every attribute of the file.
    pub(super) fn attributes<'a>(&'a self, mut each: impl FnMut(&'a Record, Attribute<'a>)) {
        for record in self.records() {
            // A broken chain was told when the records were gathered.
            let _ = record.attributes(|a| each(record, a));
        }
    }
}

/// The file at a record of the MFT, with all its records.
pub(super) fn gather(number: u64, mft: &Mft, damage: &Damage) -> Result<Node, FsError> {
    let base = mft.record(number, damage)?;
    let mut has_list = false;
    let broken = base.attributes(|a| has_list |= a.kind == ATTRIBUTE_LIST);
    broken_chain(&base, broken, mft, damage);
    if !has_list {
        return Ok(Node { base, more: Vec::new() });
    }
    let mut more = Vec::new();
    let mut foreign = 0_usize;
    for number in records(&base, mft, damage) {
        if foreign >= MAX_FOREIGN {
            let what =
                "budget: list of a file's attributes that names many records of others; the rest was not followed";
            damage.note(what, base.number, mft.volume_offset(base.number), 0);
            break;
        }
        let Ok(record) = mft.record(number, damage) else {
            let what = "record that extends a file could not be read; what it holds of the file is missing";
            damage.note(what, base.number, mft.volume_offset(number), mft.record as u64);
            foreign = foreign.saturating_add(1);
            continue;
        };
        let owner = record.base();
        if owner.number != base.number || record.is_used() != base.is_used() {
            let what = "record that extends a file belongs to another one; what it held is missing";
            damage.note(what, base.number, mft.volume_offset(number), 0);
            foreign = foreign.saturating_add(1);
            continue;
        }
        let broken = record.attributes(|_| {});
        broken_chain(&record, broken, mft, damage);
        more.push(record);
    }
    Ok(Node { base, more })
}

fn broken_chain(record: &Record, broken: Result<(), usize>, mft: &Mft, damage: &Damage) {
    // What was deleted may be overwritten in part; it is told where it is shown.
    if let Err(at) = broken
        && record.is_used()
    {
        let here = mft.volume_offset(record.number).saturating_add(at as u64);
        damage.note("chain of a file's attributes is broken; what followed is missing", record.number, here, 0);
    }
}

/// Numbers of the other records that a record's list names, sorted.
pub(super) fn records(base: &Record, mft: &Mft, damage: &Damage) -> BTreeSet<u64> {
    let mut bytes = Vec::new();
    let here = mft.volume_offset(base.number);
    let _ = base.attributes(|a| {
        if a.kind == ATTRIBUTE_LIST && bytes.is_empty() {
            bytes = value(&a, mft).unwrap_or_else(|what| {
                damage.note(what, base.number, here, 0);
                Vec::new()
            });
        }
    });
    let mut numbers = BTreeSet::new();
    let mut at = 0_usize;
    while let Some(entry) = bytes.get(at..).filter(|rest| rest.len() >= 24) {
        let len = usize::from(u16_at(entry, 4).unwrap_or(0));
        if len < 24 {
            damage.note("list of a file's attributes is broken; what followed is missing", base.number, here, 0);
            break;
        }
        let number = Reference::new(u64_at(entry, 16).unwrap_or(0)).number;
        if number != base.number {
            numbers.insert(number);
        }
        at = at.saturating_add(len);
    }
    numbers
}

fn value(list: &Attribute<'_>, mft: &Mft) -> Result<Vec<u8>, &'static str> {
    if let Some(bytes) = list.value() {
        return Ok(bytes.to_vec());
    }
    let len = list.len();
    if list.is_resident() || len > MAX_LIST {
        return Err("list of a file's attributes has an impossible size");
    }
    let mut extents = Vec::new();
    runs::decode(list.runs(), 0, &mut extents)?;
    let disk = mft.content.disk.clone();
    let content = Content { disk, len, initialized: list.initialized(), extents: extents.into() };
    let mut bytes = vec![0; size(len)];
    match content.read_at(0, &mut bytes) {
        Ok(n) if n == bytes.len() => Ok(bytes),
        _ => Err("list of a file's attributes could not be read"),
    }
}
