//! One pass over all directories: what was deleted, which clusters two files claim, and which are in
//! use though no file leads to them.
use super::file::{self, GONE, LOST};
use super::folder::{self, Listing};
use super::geometry::{ROOT, Root, Width};
use super::item::Item;
use super::raw::{size, u32_at, u64_at};
use super::short;
use super::table::{Next, Window};
use super::{Volume, exset};
use crate::base::{Name, NodeId, Run};
use crate::fs::{DirEntry, NodeKind};
use crate::image::read_exact;
use std::collections::HashSet;
use std::sync::PoisonError;

type Each<'a> = &'a mut dyn FnMut(Option<NodeId>, DirEntry);

/// Directories of deleted directories that are followed.
const MAX_DEPTH: u32 = 64;
/// Chains without a file that are listed.
const MAX_LOST: usize = 1 << 16;
/// Runs of clusters without a file that are told one by one.
const MAX_RUNS: usize = 32;
/// Clusters of a deleted directory whose chain is gone.
const MAX_GUESSED: u32 = 256;

/// One bit a cluster.
struct Bits(Vec<u64>);
impl Bits {
    fn new(count: u32) -> Self {
        Self(vec![0; size(u64::from(count) / 64).saturating_add(1)])
    }
    /// Sets it; whether it was set before.
    fn set(&mut self, cluster: u32) -> bool {
        let index = cluster.saturating_sub(2);
        let Some(word) = self.0.get_mut(size(u64::from(index) / 64)) else { return true };
        let bit = 1 << (index % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
    fn has(&self, cluster: u32) -> bool {
        let index = cluster.saturating_sub(2);
        self.0.get(size(u64::from(index) / 64)).is_some_and(|w| w >> (index % 64) & 1 != 0)
    }
}

/// Clusters that belong to nothing, in runs: their first and how many.
#[derive(Default)]
struct Unowned {
    runs: Vec<(u32, u64)>,
    /// Of further runs together.
    more: Option<(u32, u64)>,
    last: u32,
}
impl Unowned {
    fn add(&mut self, cluster: u32) {
        let is_next = self.last.checked_add(1) == Some(cluster);
        self.last = cluster;
        let is_full = self.runs.len() >= MAX_RUNS;
        match (&mut self.more, self.runs.last_mut()) {
            (Some((_, count)), _) => *count = count.saturating_add(1),
            (None, Some((_, count))) if is_next => *count = count.saturating_add(1),
            (None, _) if is_full => self.more = Some((cluster, 1)),
            (None, _) => self.runs.push((cluster, 1)),
        }
    }
}

struct Survey<'a> {
    volume: &'a Volume,
    used: Bits,
    /// First clusters of deleted directories that were listed.
    seen: HashSet<u32>,
}

pub(super) fn deleted(volume: &Volume, each: Each<'_>) {
    let mut survey = Survey { volume, used: Bits::new(volume.table.geometry.count), seen: HashSet::new() };
    let mut dirs = vec![(ROOT, None::<Item>)];
    let mut visited = HashSet::new();
    let mut gone = Vec::new();
    while let Some((node, item)) = dirs.pop() {
        if !visited.insert(node) {
            continue;
        }
        if item.is_none() {
            survey.mark_root();
        }
        let runs = folder::runs(volume, node, item.as_ref());
        let listing = folder::list(volume, node, &runs, false);
        if node == ROOT {
            survey.mark_special(&listing);
        }
        for item in listing.items {
            if item.deleted {
                gone.push((node, item));
                continue;
            }
            survey.mark(&item);
            if item.is_dir() {
                dirs.push((survey.node(&item, 0), Some(item)));
            }
        }
    }
    gone.sort_by_key(|(dir, item)| (dir.number, item.at));
    for (dir, item) in gone {
        let name = item.name.clone();
        survey.gone(dir, &item, &name, MAX_DEPTH, each);
    }
    survey.unowned(each);
}

impl Survey<'_> {
    fn node(&self, item: &Item, generation: u64) -> NodeId {
        NodeId { number: self.volume.table.geometry.number(item.at), generation }
    }
    fn mark_root(&mut self) {
        if let Root::Cluster(first) = self.volume.table.geometry.root {
            for (first, count) in self.volume.table.chain(first).runs {
                (first..first.saturating_add(count)).for_each(|c| _ = self.used.set(c));
            }
        }
    }
    /// The bitmap and the table of capital letters of exFAT.
    fn mark_special(&mut self, root: &Listing) {
        for (_, raw) in &root.special {
            if matches!(raw[0], exset::BITMAP | exset::UPCASE) {
                let chain = self.volume.together(u32_at(raw, 20).unwrap_or(0), u64_at(raw, 24).unwrap_or(0));
                for (first, count) in chain.runs {
                    (first..first.saturating_add(count)).for_each(|c| _ = self.used.set(c));
                }
            }
        }
    }
    fn mark(&mut self, item: &Item) {
        let mut shared = 0_u64;
        for (first, count) in file::live(self.volume, item).runs {
            for cluster in first..first.saturating_add(count) {
                shared = shared.saturating_add(u64::from(self.used.set(cluster)));
            }
        }
        if shared > 0 {
            let geometry = &self.volume.table.geometry;
            let bytes = shared.saturating_mul(geometry.cluster);
            let what = "file with clusters that another file has as well (cross-linked)";
            self.volume.damage.note(what, geometry.number(item.at), item.at, bytes);
        }
    }
    /// A deleted file, and below a deleted directory what it held.
    fn gone(&mut self, dir: NodeId, item: &Item, path: &[u8], depth: u32, each: Each<'_>) {
        let node = self.node(item, GONE);
        each(Some(dir), DirEntry { name: Name::new(path), node, kind: item.kind() });
        let Some(depth) = depth.checked_sub(1).filter(|_| item.is_dir()) else { return };
        let runs = self.gone_runs(item);
        if runs.is_empty() {
            return;
        }
        for child in folder::list(self.volume, node, &runs, true).items {
            let path = [path, b"/", &child.name].concat();
            self.gone(dir, &child, &path, depth, each);
        }
    }
    /// Where a deleted directory lay, as far as that is still told.
    fn gone_runs(&mut self, item: &Item) -> Vec<Run> {
        let geometry = &self.volume.table.geometry;
        let mut window = Window::default();
        let Some(place) = geometry.place(item.first) else { return Vec::new() };
        let claims = self.volume.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.contains_key(&item.first) || !self.volume.is_free(item.first, &mut window) {
            return Vec::new();
        }
        drop(claims);
        if geometry.width == Width::ExFat {
            let Ok(chain) = file::gone(self.volume, item) else { return Vec::new() };
            return self.fresh(chain.runs.iter().flat_map(|(f, n)| *f..f.saturating_add(*n)));
        }
        let head = |place: u64| read_exact(&*self.volume.source, place, 32).ok().flatten();
        let head_raw = |place| head(place).and_then(|b| b.first_chunk::<32>().copied());
        // A directory's first entry names itself.
        let own = head_raw(place).filter(|raw| {
            let first = short::item(raw, place, geometry.width == Width::Fat32, true).first;
            short::is_own(raw) && first == item.first
        });
        if own.is_none() {
            return Vec::new();
        }
        let mut count = 1_u32;
        while count < MAX_GUESSED {
            let next = item.first.saturating_add(count);
            let Some(place) = geometry.place(next).filter(|_| self.volume.is_free(next, &mut window)) else { break };
            let goes_on = head_raw(place).is_some_and(|raw| {
                let mut shown = raw;
                if raw[0] == short::DELETED {
                    shown[0] = b'A';
                }
                !short::is_own(&raw) && (short::is_long(&raw) || short::is_plausible(&shown, |c| geometry.has(c)))
            });
            if !goes_on {
                break;
            }
            count = count.saturating_add(1);
        }
        self.fresh(item.first..item.first.saturating_add(count))
    }
    /// The runs of those clusters that no deleted directory was listed from yet.
    fn fresh(&mut self, clusters: impl Iterator<Item = u32>) -> Vec<Run> {
        let geometry = &self.volume.table.geometry;
        let mut out = Vec::new();
        for cluster in clusters {
            match geometry.place(cluster) {
                Some(place) if self.seen.insert(cluster) => out.push(Run::new(place, geometry.cluster)),
                _ => break,
            }
        }
        out
    }
    /// Tells of a directory that nothing leads to at the one above, which lost the entry.
    fn lost_folder(&self, head: u32) {
        let geometry = &self.volume.table.geometry;
        let Some(start) = geometry.place(head) else { return };
        let Some(above) = folder::above(self.volume, &[Run::new(start, geometry.cluster)]) else { return };
        let root = match geometry.root {
            Root::Cluster(first) => geometry.place(first),
            Root::Area { at, .. } => Some(at),
        };
        let place = if above == 0 { root } else { geometry.place(above) };
        if let Some(place) = place {
            let what = "directory that lost the entry of one below it, whose names are not listed";
            self.volume.damage.note(what, u64::from(head), place, geometry.cluster);
        }
    }
    /// Clusters in use that no file leads to.
    fn unowned(&mut self, each: Each<'_>) {
        let geometry = &self.volume.table.geometry;
        let all = 2..geometry.count.saturating_add(2);
        let mut window = Window::default();
        let (mut unowned, mut bad) = (Unowned::default(), 0_u64);
        let ex = geometry.width == Width::ExFat;
        if ex && self.volume.bitmap.get().is_none() {
            return;
        }
        let mut heads: Vec<u32> = Vec::new();
        let mut followed = Bits::new(geometry.count);
        for cluster in all {
            let next = if ex { Next::End } else { self.volume.table.get(cluster, &mut window) };
            match next {
                Next::Free | Next::Unreadable => continue,
                Next::Bad => {
                    bad = bad.saturating_add(1);
                    continue;
                }
                _ if self.used.has(cluster) || (ex && self.volume.is_free(cluster, &mut window)) => continue,
                Next::Cluster(next) => _ = followed.set(next),
                Next::End | Next::Invalid => {}
            }
            unowned.add(cluster);
            heads.push(cluster);
            if heads.len() >= MAX_LOST.saturating_mul(16) {
                heads.retain(|c| !followed.has(*c));
            }
        }
        if bad > 0 {
            let what = format!("{bad} clusters are marked bad; their bytes count as unallocated");
            self.volume.damage.once(geometry.heap, what, bad.saturating_mul(geometry.cluster));
        }
        let further = unowned.more.map(|run| (run, "further "));
        for ((first, count), more) in unowned.runs.into_iter().map(|run| (run, "")).chain(further) {
            let what = format!("{count} {more}clusters are in use and no file leads to them");
            let place = geometry.place(first).unwrap_or(geometry.heap);
            self.volume.damage.once(place, what, count.saturating_mul(geometry.cluster));
        }
        if ex {
            return;
        }
        heads.retain(|c| !followed.has(*c));
        if heads.len() > MAX_LOST {
            self.volume.damage.once(geometry.heap, "budget: chains without a file; the rest was not listed", 0);
            heads.truncate(MAX_LOST);
        }
        let mut listed = Bits::new(geometry.count);
        for head in heads {
            // One that joins another is counted, but not listed.
            let mut at = head;
            let joins = loop {
                if listed.set(at) {
                    break true;
                }
                match self.volume.table.get(at, &mut window) {
                    Next::Cluster(next) => at = next,
                    _ => break false,
                }
            };
            if !joins {
                self.lost_folder(head);
                let node = NodeId { number: u64::from(head), generation: LOST };
                each(None, DirEntry { name: Name::default(), node, kind: NodeKind::File });
            }
        }
    }
}
