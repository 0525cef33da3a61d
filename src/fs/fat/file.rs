//! One file: its entry read again by its number, what is known of it, and its bytes.
use super::geometry::{ENTRY, ROOT, Root, Width};
use super::item::Item;
use super::raw::corrupt;
use super::short::{self, Raw};
use super::table::{Chain, Stop, Window};
use super::{Volume, exset};
use crate::base::{NodeId, Run};
use crate::fs::extents::{At, Extent, Extents};
use crate::fs::{FsError, NodeKind, Stat, Times};
use crate::image::{Source, read_exact};
use std::sync::Arc;

/// Generation of a node that was found where deleted entries are.
pub(super) const GONE: u64 = 1;
/// Generation of clusters in use that no entry leads to; the number is that of the first.
pub(super) const LOST: u64 = 2;

/// The entry behind a node.
pub(super) fn item(volume: &Volume, node: NodeId) -> Result<Item, FsError> {
    let geometry = &volume.table.geometry;
    let at = geometry.entry(node.number).filter(|_| node.generation <= GONE).ok_or(FsError::NotFound(node))?;
    let gone = node.generation == GONE;
    let raw = raw(volume, at)?.ok_or(FsError::NotFound(node))?;
    if geometry.width != Width::ExFat {
        return Ok(short::item(&raw, at, geometry.width == Width::Fat32, gone));
    }
    if raw[0] | exset::IN_USE != exset::FILE {
        return Err(FsError::NotFound(node));
    }
    let set = set(volume, at, &raw)?;
    let (item, _) = exset::item(&set, gone, None).ok_or_else(|| corrupt(at, "entry without a stream extension"))?;
    Ok(item)
}

fn raw(volume: &Volume, at: u64) -> Result<Option<Raw>, FsError> {
    let bytes = read_exact(&*volume.source, at, 32)?;
    Ok(bytes.and_then(|b| b.first_chunk::<32>().copied()))
}

/// A set of exFAT from its first entry on. Where it goes on in another cluster, that is the one the
/// table names or the next one: the checksum tells.
fn set(volume: &Volume, at: u64, head: &Raw) -> Result<Vec<(u64, Raw)>, FsError> {
    let geometry = &volume.table.geometry;
    let cluster = geometry.cluster_at(at).ok_or_else(|| corrupt(at, "entry outside of all clusters"))?;
    let end = geometry.place(cluster).unwrap_or(at).saturating_add(geometry.cluster);
    let len = exset::set_len(head) as u64;
    let here = len.min(end.saturating_sub(at));
    let next = volume.table.chain(cluster).runs;
    let named = match next.as_slice() {
        [(first, 2..), ..] => first.checked_add(1),
        [_, (second, _), ..] => Some(*second),
        _ => None,
    };
    let mut last = Vec::new();
    for other in [named, cluster.checked_add(1)].into_iter().flatten() {
        let Some(place) = geometry.place(other) else { continue };
        last = collect(volume, &[Run::new(at, here), Run::new(place, len.saturating_sub(here))])?;
        if here == len || exset::sum_fits(&last) {
            return Ok(last);
        }
    }
    if last.is_empty() {
        last = collect(volume, &[Run::new(at, here)])?;
    }
    Ok(last)
}
fn collect(volume: &Volume, runs: &[Run]) -> Result<Vec<(u64, Raw)>, FsError> {
    let mut out = Vec::new();
    for run in runs {
        let mut at = run.offset;
        while at < run.end() {
            if let Some(raw) = raw(volume, at)? {
                out.push((at, raw));
            }
            at = at.saturating_add(ENTRY);
        }
    }
    Ok(out)
}

fn empty(kind: NodeKind) -> Stat {
    Stat {
        kind,
        len: 0,
        allocated: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 1,
        times: Times::default(),
        flags: Vec::new(),
        xattrs: Vec::new(),
        device: None,
    }
}

pub(super) fn stat(volume: &Volume, node: NodeId) -> Result<Stat, FsError> {
    let geometry = &volume.table.geometry;
    if node == ROOT {
        let len = match geometry.root {
            Root::Area { len, .. } => len,
            Root::Cluster(first) => bytes(volume, &volume.table.chain(first)),
        };
        return Ok(Stat { len, allocated: len, ..empty(NodeKind::Directory) });
    }
    if node.generation == LOST {
        let len = bytes(volume, &volume.table.chain(lost_cluster(node)?));
        return Ok(Stat { len, allocated: len, flags: vec!["no-entry"], ..empty(NodeKind::File) });
    }
    let item = item(volume, node)?;
    let mut stat = Stat { len: item.len, times: item.times, flags: item.flags(), ..empty(item.kind()) };
    if item.deleted {
        if !item.is_dir() && guessed(volume, &item) {
            stat.flags.push("clusters-guessed");
        }
        return Ok(stat);
    }
    if item.first != 0 || item.len != 0 {
        stat.allocated = bytes(volume, &live(volume, &item));
    }
    if item.is_dir() && geometry.width != Width::ExFat {
        stat.len = stat.allocated;
    }
    Ok(stat)
}

fn lost_cluster(node: NodeId) -> Result<u32, FsError> {
    u32::try_from(node.number).map_err(|_| FsError::NotFound(node))
}
fn bytes(volume: &Volume, chain: &Chain) -> u64 {
    chain.clusters().saturating_mul(volume.table.geometry.cluster)
}

/// The clusters of a live file; what is wrong with them is noted.
pub(super) fn live(volume: &Volume, item: &Item) -> Chain {
    let geometry = &volume.table.geometry;
    if item.first == 0 && item.len == 0 {
        return Chain { runs: Vec::new(), stop: Stop::End };
    }
    let mut chain =
        if item.contiguous { volume.together(item.first, item.len) } else { volume.table.chain(item.first) };
    let (have, want) = (chain.clusters(), geometry.clusters(item.len));
    if have < want && chain.stop == Stop::End {
        chain.stop = Stop::Fault("its chain of clusters ends before its size does");
    }
    if let Stop::Fault(what) = chain.stop
        && (have < want || item.is_dir())
    {
        let lost = item.len.saturating_sub(have.saturating_mul(geometry.cluster));
        volume.damage.note(what, geometry.number(item.at), item.at, lost);
    }
    chain
}

/// Whether the clusters of a deleted file are more than its entry tells: all but the first.
fn guessed(volume: &Volume, item: &Item) -> bool {
    !item.contiguous && item.len > volume.table.geometry.cluster
}

/// The clusters of a deleted file: by what the entry or a table that was left says where all of them
/// are free; else the free ones that follow the first without a break.
pub(super) fn gone(volume: &Volume, item: &Item) -> Result<Chain, FsError> {
    let geometry = &volume.table.geometry;
    let want = geometry.clusters(item.len);
    if !geometry.has(item.first) {
        return Err(corrupt(item.at, "first cluster of a deleted file is none of the volume"));
    }
    let mut window = Window::default();
    let mut free = |cluster: u32| volume.is_free(cluster, &mut window);
    if !free(item.first) {
        return Err(FsError::Unsupported("content of a deleted file whose first cluster is in use again".to_owned()));
    }
    if geometry.width == Width::ExFat && !item.contiguous {
        // Deleting leaves the table as it was.
        let chain = volume.table.chain(item.first);
        let all = chain.runs.iter().all(|(first, count)| (*first..first.saturating_add(*count)).all(&mut free));
        if all && chain.stop == Stop::End && chain.clusters() == want {
            return Ok(chain);
        }
    }
    let limit = u32::try_from(want).unwrap_or(u32::MAX);
    let count = (0..limit).take_while(|n| item.first.checked_add(*n).is_some_and(|c| geometry.has(c) && free(c)));
    let count = u32::try_from(count.count()).unwrap_or(u32::MAX);
    if guessed(volume, item) {
        let what = "deleted files whose chain is gone: content is taken from the free clusters behind the first";
        volume.damage.note(what, geometry.number(item.at), item.at, 0);
    }
    let stop = if count < limit { Stop::Fault("the clusters of a deleted file are in use again") } else { Stop::End };
    Ok(Chain { runs: vec![(item.first, count)], stop })
}

pub(super) fn open(volume: &Volume, node: NodeId) -> Result<Source, FsError> {
    if node.generation == LOST {
        let chain = volume.table.chain(lost_cluster(node)?);
        let len = bytes(volume, &chain);
        return Ok(content(volume, &chain, len, len));
    }
    if node == ROOT {
        return Ok(Arc::new(Vec::new()));
    }
    let item = item(volume, node)?;
    if item.len == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    let chain = if item.deleted { gone(volume, &item)? } else { live(volume, &item) };
    Ok(content(volume, &chain, item.len, item.valid))
}

fn content(volume: &Volume, chain: &Chain, len: u64, valid: u64) -> Source {
    let geometry = &volume.table.geometry;
    let mut list = Vec::with_capacity(chain.runs.len().saturating_add(1));
    let mut start = 0_u64;
    for (first, count) in &chain.runs {
        let bytes = u64::from(*count).saturating_mul(geometry.cluster);
        let at = geometry.place(*first).map_or(At::Lost("cluster outside of the volume"), At::Volume);
        list.push(Extent { start, len: bytes, at });
        start = start.saturating_add(bytes);
    }
    if start < len {
        let why = match chain.stop {
            Stop::Fault(what) => what,
            Stop::End => "its chain of clusters ends before its size does",
        };
        list.push(Extent { start, len: len.saturating_sub(start), at: At::Lost(why) });
    }
    Arc::new(Extents { volume: volume.source.clone(), len, valid: valid.min(len), list: list.into() })
}
