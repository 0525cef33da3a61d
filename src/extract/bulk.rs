//! Phase C seen from above: which contents are to be read, and the row that each entry becomes.
use super::contents::{Done, Job, cost, read_all};
use super::file_row::{Content, Vouched, file_row};
use super::{Sink, item_key};
use crate::artifact::Ownership;
use crate::base::{Cancelled, Gap, Md5, Progress, Stage};
use crate::evidence::{Entry, System, Tree, mounted_by};
use crate::inventory::Row;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows committed together.
const BATCH: usize = 512;
/// Why a file has no hash that no worker survives.
const UNREAD: &str = "left out: workers died reading it";

/// An inode and all names that lead to it.
struct Group<'a> {
    tree: &'a Tree,
    system: Option<&'a System>,
    entries: Vec<&'a Entry>,
    key: u64,
}

/// Reads all contents and commits a row for every entry.
pub(super) fn run(
    trees: &[Arc<Tree>],
    systems: &[System],
    owners: &[Option<Ownership>],
    threads: usize,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let groups = groups(trees, systems, sink);
    let (files, others): (Vec<&Group<'_>>, Vec<&Group<'_>>) =
        groups.iter().partition(|g| is_file(g) && !sink.is_unread(g.key));
    let owner = |g: &Group<'_>| g.system.and_then(|s| owners.get(s.index as usize)).and_then(Option::as_ref);
    let jobs: Vec<Job<'_>> = files
        .iter()
        .filter_map(|g| {
            let entry = g.entries.first()?;
            let listed =
                |o: &Ownership| g.entries.iter().any(|e| o.expect(e.path.bytes()).is_some_and(|o| o.md5.is_some()));
            Some(Job {
                entry,
                tree: g.tree,
                system: g.system,
                want_md5: !entry.deleted && owner(g).is_some_and(listed),
                known: g.system.and_then(|s| s.hashes(entry)),
            })
        })
        .collect();
    let bytes = jobs.iter().map(cost).fold(0, u64::saturating_add);
    progress.begin(bytes);
    sink.stage(Stage::Contents, bytes);
    let batch = Batch { sink, open: Mutex::default() };
    for group in others {
        let unhashed = if is_file(group) { UNREAD.into() } else { Arc::default() };
        let rows = rows(group, owner(group), &Content { unhashed, ..Content::default() }, None);
        batch.add(group.key, rows, Vec::new());
    }
    // One at a time, each committed before the next, where it is to be found out which brings the worker down.
    let step = if sink.is_probing() { 1 } else { jobs.len().max(1) };
    for (number, some) in jobs.chunks(step).enumerate() {
        let first = number.saturating_mul(step);
        let group = |job: usize| files.get(first.saturating_add(job)).copied();
        let announce = |jobs: &[usize], taken: bool| {
            let groups: Vec<&Group<'_>> = jobs.iter().filter_map(|j| group(*j)).collect();
            let keys: Vec<u64> = groups.iter().map(|g| g.key).collect();
            if taken {
                let name = |at: usize| groups.get(at).and_then(|g| g.entries.first()).map(|e| e.path.display());
                sink.take(&keys, &|at| name(at).unwrap_or_default());
            } else {
                sink.leave(&keys);
            }
        };
        let before_parse = |job: usize| group(job).is_none_or(|g| !sink.is_skipped(g.key));
        let done = |done: Done| {
            let Some(group) = group(done.job) else { return };
            let content = Content { sha256: done.sha256, unhashed: done.unhashed, kind: done.content, runs: done.runs };
            let mut all = done.rows;
            all.extend(rows(group, owner(group), &content, done.md5.as_ref()));
            batch.add(group.key, all, done.gaps);
        };
        read_all(some, threads, progress, &announce, &before_parse, &done)?;
        batch.flush();
    }
    batch.flush();
    Ok(())
}

fn is_file(group: &Group<'_>) -> bool {
    group.entries.first().is_some_and(|e| e.is_file())
}

/// All entries, those of one inode together, without what earlier workers committed.
fn groups<'a>(trees: &'a [Arc<Tree>], systems: &'a [System], sink: &dyn Sink) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for tree in trees {
        let system = mounted_by(systems, tree.id);
        let live: Vec<&Entry> = match system {
            Some(system) => system.entries().iter().filter(|e| e.fs == tree.id).collect(),
            None => tree.entries.iter().filter(|e| !e.deleted).collect(),
        };
        let mut by_node: HashMap<_, usize> = HashMap::new();
        for entry in live.into_iter().chain(tree.entries.iter().filter(|e| e.deleted)) {
            let at = *by_node.entry((entry.node, entry.deleted)).or_insert(groups.len());
            if let Some(group) = groups.get_mut(at) {
                group.entries.push(entry);
            } else {
                let key = item_key(&("file", tree.id, entry.node, entry.deleted));
                groups.push(Group { tree, system, entries: vec![entry], key });
            }
        }
    }
    groups.retain(|g| !sink.is_done(g.key));
    groups
}

/// A row for each name of an inode.
fn rows(group: &Group<'_>, owners: Option<&Ownership>, content: &Content, md5: Option<&Md5>) -> Vec<Row> {
    let system = group.system.map(|s| s.index);
    let row = |entry: &&Entry| file_row(system, group.tree, entry, content.clone(), vouched(owners, entry, md5)).into();
    group.entries.iter().map(row).collect()
}

/// Who owns an entry and whether it is as shipped.
fn vouched(owners: Option<&Ownership>, entry: &Entry, md5: Option<&Md5>) -> Vouched {
    match owners {
        Some(owners) if !entry.deleted => {
            let (owner, check) = owners.vouch(entry, md5);
            Vouched { package: owner.map(|o| o.package.clone()), check }
        }
        _ => Vouched::default(),
    }
}

#[derive(Default)]
struct Open {
    items: Vec<u64>,
    rows: Vec<Row>,
    gaps: Vec<Gap>,
}
/// Gathers small commits into larger ones.
struct Batch<'a> {
    sink: &'a dyn Sink,
    open: Mutex<Open>,
}
impl Batch<'_> {
    fn add(&self, item: u64, rows: Vec<Row>, gaps: Vec<Gap>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.items.push(item);
        open.rows.extend(rows);
        open.gaps.extend(gaps);
        let full = (open.rows.len() >= BATCH).then(|| std::mem::take(&mut *open));
        drop(open);
        if let Some(full) = full {
            self.sink.commit(&full.items, full.rows, full.gaps);
        }
    }
    fn flush(&self) {
        let Open { items, rows, gaps } = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        if !items.is_empty() {
            self.sink.commit(&items, rows, gaps);
        }
    }
}
