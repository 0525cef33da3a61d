//! Listing a directory: records one after the other, none across a sector's border; a file of several extents has a
//! record for each.
//! Format: ECMA-119, 6.8 ("Directories") and 9.1.
use super::descriptor::{Names, SECTOR};
use super::fields::wide;
use super::record::{self, Record};
use super::rock::{self, Rock};
use super::{View, Volume};
use crate::base::{NodeId, Run};
use crate::fs::raw::{corrupt, size};
use crate::fs::{FsError, NodeKind};
use crate::image::read_exact;

/// Bytes of a directory read at once.
const CHUNK: u64 = 32 * SECTOR;
/// Records of one file.
const MAX_PARTS: usize = 1 << 16;

/// A file or directory by its records.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) record: Record,
    /// Of a file of several extents: the further ones.
    pub(super) more: Vec<Record>,
}

impl Item {
    /// Bytes of all extents.
    pub(super) fn len(&self) -> u64 {
        self.more.iter().fold(u64::from(self.record.size), |n, r| n.saturating_add(r.size.into()))
    }
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.record).chain(&self.more)
    }
    /// Runs of the volume with the bytes and the attribute records before them.
    pub(super) fn runs(&self, block: u64) -> impl Iterator<Item = Run> {
        self.records().map(move |r| {
            let before = u64::from(r.before).saturating_mul(block);
            let whole = u64::from(r.size).next_multiple_of(block);
            Run::new(u64::from(r.extent).saturating_mul(block), whole.saturating_add(before))
        })
    }
}

/// Calls `each` for every record but `.` and `..` of the directory in `run`.
pub(super) fn walk(
    volume: &Volume,
    run: Run,
    each: &mut dyn FnMut(Item) -> Result<(), FsError>,
) -> Result<(), FsError> {
    let mut at = run.offset;
    let mut pending: Option<Item> = None;
    let most = volume.most();
    while at < run.end() {
        let wanted = CHUNK.min(run.end().saturating_sub(at));
        let mut bytes = vec![0; size(wanted)];
        let got = match volume.source.read_at(at, &mut bytes) {
            Ok(n) => n,
            Err(e) => {
                volume.damage.once(at, format!("a part of a directory cannot be read: {e}"), wanted);
                at = at.saturating_add(wanted);
                continue;
            }
        };
        bytes.truncate(got);
        for (sector, place) in bytes.chunks(size(SECTOR)).zip((at..).step_by(size(SECTOR))) {
            if place == run.offset && !leads(volume, sector, run, most) {
                let what = "a directory that does not begin with itself and the one above";
                volume.damage.once(place, what, 0);
            } else if sector.first() == Some(&0) {
                let what = "a sector of a directory without a record";
                volume.damage.note(what, run.offset, place, sector.len() as u64);
            }
            records(volume, sector, place, most, &mut pending, each)?;
        }
        if (got as u64) < wanted {
            let lost = run.end().saturating_sub(at.saturating_add(got as u64));
            volume.damage.once(run.offset, "a directory reaches beyond the end of the volume", lost);
            break;
        }
        at = at.saturating_add(wanted);
    }
    if let Some(item) = pending {
        volume.damage.note(
            "the last extent of a file is missing from its directory",
            item.record.at,
            item.record.at,
            0,
        );
        each(item)?;
    }
    Ok(())
}

/// Whether the first two records of a directory are those for itself and for the one above (ECMA-119, 6.8.2.2).
fn leads(volume: &Volume, sector: &[u8], run: Run, most: u32) -> bool {
    let Ok(own) = record::parse(sector, run.offset, most) else { return false };
    let above = sector.get(own.len..).map(|rest| record::parse(rest, run.offset, most));
    let is_here = volume.views.iter().any(|v| v.listing(&own).offset == run.offset);
    own.name == [0] && is_here && above.is_some_and(|a| a.is_ok_and(|a| a.name == [1]))
}

fn records(
    volume: &Volume,
    sector: &[u8],
    place: u64,
    most: u32,
    pending: &mut Option<Item>,
    each: &mut dyn FnMut(Item) -> Result<(), FsError>,
) -> Result<(), FsError> {
    let mut rest = sector;
    while let Some(len) = rest.first().filter(|n| **n != 0) {
        let at = place.saturating_add(sector.len().saturating_sub(rest.len()) as u64);
        let record = match record::parse(rest, at, most) {
            Ok(record) => record,
            Err(e) => {
                let left = rest.len() as u64;
                volume.damage.once(at, format!("the rest of a sector of a directory is not read: {e}"), left);
                return Ok(());
            }
        };
        rest = rest.get(usize::from(*len)..).unwrap_or_default();
        if record.is_special() {
            continue;
        }
        if !record.agrees {
            volume.damage.note("place or size of a file differs between its two byte orders", at, at, 0);
        }
        let goes_on = record.goes_on();
        let item = match pending.take() {
            Some(mut item) if item.record.name == record.name && item.more.len() < MAX_PARTS => {
                item.more.push(record);
                item
            }
            Some(other) => {
                let what = "the last extent of a file is missing from its directory";
                volume.damage.note(what, other.record.at, other.record.at, 0);
                each(other)?;
                Item { record, more: Vec::new() }
            }
            None => Item { record, more: Vec::new() },
        };
        if goes_on {
            *pending = Some(item);
        } else {
            each(item)?;
        }
    }
    Ok(())
}

/// The item whose first record stands at this byte.
pub(super) fn item(volume: &Volume, at: u64) -> Result<Item, FsError> {
    let most = volume.most();
    let mut next = at;
    let mut found: Option<Item> = None;
    loop {
        let inside = next % SECTOR;
        let left = SECTOR.saturating_sub(inside).min(255).min(volume.source.len().saturating_sub(next));
        let bytes = read_exact(&*volume.source, next, size(left))?;
        let bytes = bytes.ok_or_else(|| corrupt(next, "directory record beyond the end of the volume"))?;
        if bytes.first() == Some(&0) && found.is_some() && inside != 0 {
            next = next.saturating_sub(inside).saturating_add(SECTOR);
            continue;
        }
        let record = match (record::parse(&bytes, next, most), &found) {
            (Ok(record), _) => record,
            (Err(e), None) => return Err(corrupt(next, e)),
            (Err(_), Some(_)) => break,
        };
        next = next.saturating_add(record.len as u64);
        let goes_on = record.goes_on();
        match &mut found {
            Some(item) if item.record.name == record.name && item.more.len() < MAX_PARTS => item.more.push(record),
            Some(_) => break,
            None => found = Some(Item { record, more: Vec::new() }),
        }
        if !goes_on {
            break;
        }
    }
    found.ok_or_else(|| corrupt(at, "no directory record"))
}

impl View {
    /// What stands behind a record's name.
    pub(super) fn rock(&self, volume: &Volume, record: &Record) -> Rock {
        let Some(skip) = self.skip else { return Rock::default() };
        let own = u64::from(self.tree.root.extent).saturating_mul(self.tree.block) == record.at;
        let skip = if own { rock::root_begins(&record.system) } else { skip };
        let rock = rock::read(&volume.source, self.tree.block, record.system.get(skip..).unwrap_or_default());
        if let Some(fault) = rock.fault {
            volume.damage.note(fault, record.at, record.at, 0);
        }
        rock
    }
    /// The name that a mount would show.
    pub(super) fn name(&self, record: &Record, rock: &Rock) -> Vec<u8> {
        let mut name = match (&rock.name, self.tree.names) {
            (Some(name), _) if !name.is_empty() => return name.clone(),
            (_, Names::Joliet) => wide(&record.name),
            (_, Names::Plain) => record.name.clone(),
        };
        if !record.is_dir() {
            if name.ends_with(b";1") {
                name.truncate(name.len().saturating_sub(2));
                if self.tree.names == Names::Plain && name.len() > 1 && name.last() == Some(&b'.') {
                    name.pop();
                }
            }
            if record.is_associated() {
                name.extend_from_slice(b":associated");
            }
        }
        name
    }
    /// The node of the directory that begins in a block; where its own first record is damaged, that of the record
    /// that led there.
    pub(super) fn directory(&self, volume: &Volume, number: u64, block: u64, otherwise: u64) -> NodeId {
        let at = block.saturating_mul(self.tree.block);
        let own = item(volume, at).is_ok_and(|i| i.record.is_dir() && i.record.name == [0]);
        NodeId { number: if own { at } else { otherwise }, generation: number.saturating_add(1) }
    }
    /// Where a directory's records stand, by any of its records.
    pub(super) fn listing(&self, record: &Record) -> Run {
        Run::new(record.first().saturating_mul(self.tree.block), record.size.into())
    }
    pub(super) fn kind(record: &Record, rock: &Rock) -> NodeKind {
        if rock.child.is_some() || record.is_dir() {
            return NodeKind::Directory;
        }
        match rock.owner.map(|o| o.mode & 0o170_000) {
            Some(0o120_000) => NodeKind::Symlink,
            Some(0o020_000) => NodeKind::CharDevice,
            Some(0o060_000) => NodeKind::BlockDevice,
            Some(0o010_000) => NodeKind::Fifo,
            Some(0o140_000) => NodeKind::Socket,
            _ if rock.target.is_some() => NodeKind::Symlink,
            _ => NodeKind::File,
        }
    }
}
