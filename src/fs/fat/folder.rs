//! Directories: their clusters, and the files that their entries describe.
use super::geometry::{ENTRY, ROOT, Root, Width};
use super::item::Item;
use super::raw::size;
use super::short::{self, Pending, Raw};
use super::table::Stop;
use super::{Volume, exset};
use crate::base::{NodeId, Run};
use crate::image::read_exact;
use std::sync::PoisonError;

/// Bytes read at once.
const READ: u64 = 64 << 10;
/// exFAT allows no larger directory; FAT allows 2 MiB.
const MAX_DIR: u64 = 256 << 20;

/// What a directory holds.
#[derive(Default)]
pub(super) struct Listing {
    /// In their order, deleted ones among them.
    pub(super) items: Vec<Item>,
    pub(super) label: Option<Vec<u8>>,
    /// Entries of exFAT that describe the volume itself.
    pub(super) special: Vec<(u64, Raw)>,
}

/// Where a directory's bytes lie. What another directory already holds is left out: a directory has
/// clusters of its own.
pub(super) fn runs(volume: &Volume, node: NodeId, item: Option<&Item>) -> Vec<Run> {
    let geometry = &volume.table.geometry;
    let (first, at) = match (item, geometry.root) {
        (Some(item), _) => (item.first, item.at),
        (None, Root::Area { at, len }) => return vec![Run::new(at, len)],
        (None, Root::Cluster(first)) => (first, geometry.first),
    };
    let chain = match item {
        Some(item) if item.contiguous => volume.together(first, item.len),
        _ => volume.table.chain(first),
    };
    if let Stop::Fault(what) = chain.stop {
        volume.damage.note(what, node.number, at, 0);
    }
    let mut claims = volume.claims.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out: Vec<Run> = Vec::new();
    let mut bytes = 0_u64;
    for (first, count) in chain.runs {
        for cluster in first..first.saturating_add(count) {
            let Some(place) = geometry.place(cluster) else { continue };
            if *claims.entry(cluster).or_insert(node.number) != node.number {
                let what = "directory that shares clusters with another one; not listed from there on";
                volume.damage.note(what, node.number, place, 0);
                return out;
            }
            bytes = bytes.saturating_add(geometry.cluster);
            if bytes > MAX_DIR.max(geometry.cluster) {
                volume.damage.note(
                    "directory longer than the format allows; the rest not listed",
                    node.number,
                    place,
                    0,
                );
                return out;
            }
            match out.last_mut() {
                Some(run) if run.end() == place => run.len = run.len.saturating_add(geometry.cluster),
                _ => out.push(Run::new(place, geometry.cluster)),
            }
        }
    }
    out
}

/// Calls `each` for every entry; `None` where some could not be read.
fn entries(volume: &Volume, node: NodeId, runs: &[Run], each: &mut dyn FnMut(Option<(u64, &Raw)>)) {
    let mut buf = Vec::new();
    for run in runs {
        let mut at = run.offset;
        while at < run.end() {
            let mut len = size(run.end().saturating_sub(at).min(READ));
            buf.resize(len, 0);
            let read = |at: u64, buf: &mut [u8]| volume.source.read_at(at, buf).is_ok_and(|n| n == buf.len());
            if !read(at, &mut buf) {
                len = len.min(512);
                buf.truncate(len);
                if !read(at, &mut buf) {
                    volume.damage.note("part of a directory could not be read", node.number, at, len as u64);
                    each(None);
                    at = at.saturating_add(len as u64);
                    continue;
                }
            }
            for (n, raw) in (0_u64..).zip(buf.as_chunks::<32>().0) {
                each(Some((at.saturating_add(n.saturating_mul(ENTRY)), raw)));
            }
            at = at.saturating_add(len as u64);
        }
    }
}

/// Whether a set of exFAT was never marked as deleted.
fn file_mark(set: &[(u64, Raw)]) -> bool {
    set.first().is_some_and(|(_, raw)| raw[0] & exset::IN_USE != 0)
}
/// Tells of a file's entry behind the end mark, which no driver leaves there.
fn behind(volume: &Volume, node: NodeId, at: u64) {
    let what = "directory with files behind its end mark, which no system shows; they are listed as deleted";
    volume.damage.note(what, node.number, at, ENTRY);
}

/// Reads a directory. `deleted`: all that it holds is deleted, because it is.
pub(super) fn list(volume: &Volume, node: NodeId, runs: &[Run], deleted: bool) -> Listing {
    if volume.table.geometry.width == Width::ExFat {
        list_sets(volume, node, runs, deleted)
    } else {
        list_short(volume, node, runs, deleted)
    }
}

/// Whether a directory of FAT begins with an entry for itself and one for that above, as all but the root do.
pub(super) fn is_at_home(volume: &Volume, runs: &[Run]) -> bool {
    above(volume, runs).is_some()
}
/// The first cluster of the directory above (0 for the root), by a directory that begins as one.
pub(super) fn above(volume: &Volume, runs: &[Run]) -> Option<u32> {
    let start = runs.first().map(|r| r.offset)?;
    let both = read_exact(&*volume.source, start, 64).ok().flatten()?;
    let [own, above] = both.as_chunks::<32>().0 else { return None };
    let is_here = volume.table.geometry.place(short::leads_to(own)) == Some(start);
    let is_home = own.starts_with(b".          ") && is_here && above.starts_with(b"..         ");
    is_home.then(|| short::leads_to(above))
}

fn list_short(volume: &Volume, node: NodeId, runs: &[Run], deleted: bool) -> Listing {
    let mut out = Listing::default();
    let mut pending = Pending::default();
    let mut ended = false;
    let wide = volume.table.geometry.width == Width::Fat32;
    let start = runs.first().map_or(0, |r| r.offset);
    if node != ROOT && !deleted && !runs.is_empty() && !is_at_home(volume, runs) {
        let what = "directory that does not begin with itself: what stands there may be another one's";
        volume.damage.note(what, node.number, start, volume.table.geometry.cluster);
    }
    let orphan = |at: Option<u64>| {
        if let Some(at) = at.filter(|_| !deleted) {
            volume.damage.note(
                "long name without a file's entry behind it",
                volume.table.geometry.number(at),
                at,
                ENTRY,
            );
        }
    };
    entries(volume, node, runs, &mut |entry| {
        let Some((at, raw)) = entry else {
            orphan(pending.clear().filter(|_| !ended));
            return;
        };
        if raw[0] == 0 {
            orphan(pending.clear().filter(|_| !ended));
            ended = true;
            return;
        }
        if short::is_long(raw) {
            orphan(pending.push(at, raw).filter(|_| !ended));
            return;
        }
        if short::is_label(raw) {
            orphan(pending.clear().filter(|_| !ended));
            if raw[0] != short::DELETED && node == ROOT && out.label.is_none() && !ended {
                out.label = Some(short::label(raw.get(..11).unwrap_or_default()));
            }
            return;
        }
        let named = pending.take(raw);
        orphan(named.orphan.filter(|_| !ended));
        // Deleting a directory may mark these two as well.
        let leads = (at == start && short::is_own(raw))
            || (at == start.saturating_add(ENTRY) && raw[0] == short::DELETED && raw.get(1..11) == Some(b".         "));
        let dots = short::is_dots(raw) || (leads && node != ROOT);
        let unlikely = ended && !short::is_plausible(raw, |c| volume.table.geometry.has(c));
        if dots || unlikely {
            return;
        }
        if ended && !deleted && raw[0] != short::DELETED {
            behind(volume, node, at);
        }
        let mut item = short::item(raw, at, wide, deleted || ended);
        if let Some(name) = named.name.filter(|n| !n.is_empty()) {
            item.name = name;
        }
        out.items.push(item);
    });
    orphan(pending.clear().filter(|_| !ended));
    out
}

fn list_sets(volume: &Volume, node: NodeId, runs: &[Run], deleted: bool) -> Listing {
    let mut out = Listing::default();
    let mut set: Vec<(u64, Raw)> = Vec::new();
    let mut wanted = 0_usize;
    let mut ended = false;
    let broken = |set: &mut Vec<(u64, Raw)>, quiet: bool| {
        if let Some((at, raw)) = set.first()
            && raw[0] & exset::IN_USE != 0
            && !quiet
        {
            let number = volume.table.geometry.number(*at);
            volume.damage.note("file of which not all entries were found", number, *at, ENTRY);
        }
        set.clear();
    };
    entries(volume, node, runs, &mut |entry| {
        let quiet = ended || deleted;
        let Some((at, raw)) = entry else {
            broken(&mut set, quiet);
            return;
        };
        if raw[0] == 0 {
            broken(&mut set, quiet);
            ended = true;
            return;
        }
        let same = set.first().is_some_and(|(_, head)| (head[0] ^ raw[0]) & exset::IN_USE == 0);
        if exset::is_secondary(raw) {
            if !same {
                broken(&mut set, quiet);
                return;
            }
            set.push((at, *raw));
        } else {
            broken(&mut set, quiet);
            if raw[0] | exset::IN_USE == exset::FILE {
                wanted = exset::followers(raw).saturating_add(1);
                set.push((at, *raw));
            } else if node == ROOT && raw[0] & exset::IN_USE != 0 && !ended {
                out.special.push((at, *raw));
                if raw[0] == exset::LABEL && out.label.is_none() {
                    out.label = Some(exset::label(raw));
                }
            }
            return;
        }
        if set.len() < wanted {
            return;
        }
        let number = set.first().map_or(0, |s| volume.table.geometry.number(s.0));
        match exset::item(&set, quiet, volume.upcase.get().map(Vec::as_slice)) {
            Some((item, fault)) => {
                match fault {
                    Some(fault) if !item.deleted => volume.damage.note(fault, number, item.at, ENTRY),
                    // Behind the end only a set that is whole is one.
                    Some(_) if ended => {
                        set.clear();
                        return;
                    }
                    Some(_) => {
                        let what = "deleted file whose entries were partly overwritten; its name or place may be wrong";
                        volume.damage.note(what, number, item.at, 0);
                    }
                    None => {}
                }
                if ended && !deleted && file_mark(&set) {
                    behind(volume, node, item.at);
                }
                out.items.push(item);
            }
            None => broken(&mut set, quiet),
        }
        set.clear();
    });
    broken(&mut set, ended || deleted);
    out
}
