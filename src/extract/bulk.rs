//! Phase C seen from above: which contents are to be read, and the row that each entry becomes.
use super::allowance;
use super::contents::{Done, Job, cost, read_all};
use super::file_row::{Content, Vouched, file_row};
use super::{Request, Sink, item_key};
use crate::artifact::{Ownership, Sum, Sums, There};
use crate::base::{Cancelled, FsId, Gap, Name, NodeId, Place, Progress};
use crate::evidence::{Cover, Entry, System, Tree};
use crate::fs::STORED_MD5;
use crate::inventory::{File, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows committed together.
const BATCH: usize = 512;
/// Why a system does not show what lies in an archive.
const IN_ARCHIVE: &str = "archive";
/// Why members of an archive have no hash.
const LISTED_ONLY: &str = "budget: archives";
/// Why a file has no hash that no worker survives.
const UNREAD: &str = "left out: workers died reading it";

/// An inode and all names that lead to it, in all systems.
struct Group<'a> {
    tree: &'a Tree,
    names: Vec<Named<'a>>,
    key: u64,
    /// Its content would cost more than all contents may.
    cut: bool,
}

/// An entry, the system that it is an entry of, and its place in that system's index of owned paths.
type Named<'a> = (Option<&'a System>, &'a Entry, usize);

/// File systems that are read in another way than those of disks.
#[derive(Default)]
pub(super) struct Kinds {
    /// The file that each archive is.
    pub archives: BTreeMap<FsId, Name>,
    /// Content of another system: no content reader takes its programs for installed ones.
    pub archived: BTreeSet<FsId>,
    /// Their files are not read.
    pub listed_only: BTreeSet<FsId>,
    /// Bytes of contents that are read; `None`: all.
    pub most: Option<u64>,
}

/// Reads all contents and commits a row for every entry. `begin` is told how many bytes that will be.
#[allow(clippy::too_many_arguments)]
pub(super) fn run(
    trees: &[Arc<Tree>],
    systems: &[System],
    owners: &[Option<Ownership>],
    kinds: &Kinds,
    request: &Request,
    begin: &dyn Fn(u64),
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let deleted = deleted(trees, systems);
    let groups = groups(trees, systems, owners, &deleted, kinds.most, sink);
    let (files, others): (Vec<&Group<'_>>, Vec<&Group<'_>>) = groups
        .iter()
        .partition(|g| is_file(g) && !g.cut && !sink.is_unread(g.key) && !kinds.listed_only.contains(&g.tree.id));
    let owner = |system: Option<&System>| system.and_then(|s| owners.get(s.index as usize)).and_then(Option::as_ref);
    let jobs: Vec<Job<'_>> = files
        .iter()
        .filter_map(|g| {
            // What parsers make of a content is told under a name that the system shows, if there is one.
            let (system, entry, _) = *g.names.iter().min_by_key(|(_, e, _)| e.covered != Cover::Seen)?;
            let listed = |(system, e, at): &Named<'_>| {
                let owner = owner(*system).filter(|_| e.covered == Cover::Seen);
                let expected = owner.and_then(|o| o.expect_at(*at, e.path.bytes()));
                expected.and_then(|o| o.sum)
            };
            let wants =
                |want: fn(&Sum) -> bool| !entry.deleted && g.names.iter().filter_map(listed).any(|sum| want(&sum));
            let want_sha1 = request.hashes.sha1 || wants(|s| matches!(s, Sum::Sha1(_)));
            Some(Job {
                entry,
                tree: g.tree,
                system,
                want_md5: request.hashes.md5 || acquired(entry).is_some() || wants(|s| matches!(s, Sum::Md5(_))),
                want_sha1,
                known: g.names.iter().filter(|_| !want_sha1).find_map(|(s, e, _)| s.as_ref()?.known_hashes(e)),
                parse: !kinds.archived.contains(&g.tree.id),
            })
        })
        .collect();
    let bytes = jobs.iter().map(cost).fold(0, u64::saturating_add);
    begin(bytes);
    let batch = Batch { sink, open: Mutex::default() };
    let mut cuts = allowance::Cuts::of(kinds.most.unwrap_or(u64::MAX));
    for group in others {
        let mut gaps = Vec::new();
        let unhashed = match is_file(group) {
            true if kinds.listed_only.contains(&group.tree.id) => LISTED_ONLY.into(),
            true if group.cut => {
                gaps.extend(group.names.first().and_then(|(_, entry, _)| cuts.gap(entry)));
                allowance::REASON.into()
            }
            true => UNREAD.into(),
            false => Arc::default(),
        };
        let rows = rows(group, &owner, kinds, &Content { unhashed, ..Content::default() }, &Sums::default());
        batch.add(group.key, rows, gaps);
    }
    if let Some((key, gap)) = cuts.rest() {
        batch.add(key, Vec::new(), vec![gap]);
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
                let name = |at: usize| groups.get(at).and_then(|g| g.names.first()).map(|(_, e, _)| e.path.display());
                sink.take(&keys, &|at| name(at).unwrap_or_default());
            } else {
                sink.leave(&keys);
            }
        };
        let before_parse = |job: usize| group(job).is_none_or(|g| !sink.is_skipped(g.key));
        let done = |done: Done| {
            let Some(group) = group(done.job) else { return };
            let (sha1, md5) = (done.sha1.filter(|_| request.hashes.sha1), done.md5.filter(|_| request.hashes.md5));
            let content = Content {
                sha256: done.sha256,
                sha1: sha1.map(|s| s.to_string()).unwrap_or_default(),
                md5: md5.map(|s| s.to_string()).unwrap_or_default(),
                unhashed: done.unhashed,
                kind: done.content,
                runs: done.runs,
            };
            let mut all = done.rows;
            let acquired = group.names.first().and_then(|(_, entry, _)| Some((*entry, acquired(entry)?)));
            let as_acquired = acquired.and_then(|(_, sum)| Some(done.md5.as_ref()?.0 == sum));
            let mut gaps = done.gaps;
            if let (Some(false), Some((entry, _))) = (as_acquired, acquired) {
                gaps.push(differs(entry));
            }
            let sums = Sums { md5: done.md5, sha1: done.sha1, sha256: done.sha256 };
            all.extend(rows(group, &owner, kinds, &content, &sums).into_iter().map(|mut row| {
                if let (Row::File(file), Some(same)) = (&mut row, as_acquired) {
                    file.flags.push(if same { "md5-as-acquired" } else { "md5-differs" }.to_owned());
                }
                row
            }));
            batch.add(group.key, all, gaps);
        };
        read_all(some, request.threads, progress, &announce, &before_parse, &done)?;
        batch.flush();
    }
    batch.flush();
    Ok(())
}

/// The MD5 that an acquisition of files tells of a content.
fn acquired(entry: &Entry) -> Option<[u8; 16]> {
    let stat = entry.stat.as_ref()?;
    let (_, sum) = stat.xattrs.iter().find(|(name, _)| name.bytes() == STORED_MD5)?;
    sum.as_slice().try_into().ok()
}

fn differs(entry: &Entry) -> Gap {
    let at = Place {
        filesystem: Some(entry.fs),
        path: Some(entry.path.clone()),
        inode: Some(entry.node.number),
        ..Place::default()
    };
    let what = "the content's MD5 is not the one that the acquisition recorded".to_owned();
    Gap { at, by: "contents".into(), what, bytes: entry.len() }
}

fn is_file(group: &Group<'_>) -> bool {
    group.names.first().is_some_and(|(_, e, _)| e.is_file())
}

/// Deleted entries, at the paths that the systems would show them at.
fn deleted<'a>(trees: &[Arc<Tree>], systems: &'a [System]) -> Vec<(Option<&'a System>, Entry)> {
    let mut all = Vec::new();
    for entry in trees.iter().flat_map(|t| &t.entries).filter(|e| e.deleted) {
        let before = all.len();
        all.extend(systems.iter().filter_map(|s| Some((Some(s), s.deleted(entry)?))));
        if all.len() == before {
            all.push((None, entry.clone()));
        }
    }
    all
}

/// All entries, those of one inode together, without what earlier workers committed. What no system shows or
/// covers has its own file system's path.
fn groups<'a>(
    trees: &'a [Arc<Tree>],
    systems: &'a [System],
    owners: &[Option<Ownership>],
    deleted: &'a [(Option<&'a System>, Entry)],
    most: Option<u64>,
    sink: &dyn Sink,
) -> Vec<Group<'a>> {
    let by_id: HashMap<FsId, &Tree> = trees.iter().map(|t| (t.id, &**t)).collect();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_node: HashMap<(FsId, NodeId, bool), usize> = HashMap::new();
    let mut add = |system: Option<&'a System>, entry: &'a Entry, place: usize, groups: &mut Vec<Group<'a>>| {
        let Some(tree) = by_id.get(&entry.fs).copied() else { return };
        let at = *by_node.entry((entry.fs, entry.node, entry.deleted)).or_insert(groups.len());
        if let Some(group) = groups.get_mut(at) {
            group.names.push((system, entry, place));
        } else {
            let key = item_key(&("file", tree.id, entry.node, entry.deleted));
            groups.push(Group { tree, names: vec![(system, entry, place)], key, cut: false });
        }
    };
    for system in systems {
        let owners = owners.get(system.index as usize).and_then(Option::as_ref);
        let mut place = 0;
        for entry in system.entries() {
            place = owners.map_or(0, |o| o.seek(place, entry.path.bytes()));
            add(Some(system), entry, place, &mut groups);
        }
        for entry in system.covered() {
            add(Some(system), entry, 0, &mut groups);
        }
    }
    for entry in trees.iter().flat_map(|t| &t.entries).filter(|e| !e.deleted) {
        if !systems.iter().any(|s| s.holds(entry)) {
            add(None, entry, 0, &mut groups);
        }
    }
    for (system, entry) in deleted {
        add(*system, entry, 0, &mut groups);
    }
    // Before those that an earlier worker committed are left out: what is cut must not depend on where that one died.
    if let Some(most) = most {
        let cost = |g: &Group<'_>| g.names.first().map_or(0, |(_, entry, _)| allowance::cost(entry));
        let costs: Vec<u64> = groups.iter().map(cost).collect();
        for (group, cut) in groups.iter_mut().zip(allowance::cut(&costs, most)) {
            group.cut = cut;
        }
    }
    groups.retain(|g| {
        let is_done = sink.is_done(g.key);
        // What its reader notes of where its bytes lie was noted in an earlier worker's ledger, which is gone.
        if is_done && is_file(g) {
            let _ = g.names.first().map(|(_, e, _)| super::flight::guard(|| g.tree.open(e)));
        }
        !is_done
    });
    groups
}

/// A row for each name of an inode.
fn rows<'a>(
    group: &Group<'_>,
    owner: &dyn Fn(Option<&System>) -> Option<&'a Ownership>,
    kinds: &Kinds,
    content: &Content,
    sums: &Sums,
) -> Vec<Row> {
    let row = |(system, entry, at): &Named<'_>| {
        let vouched = vouched(owner(*system), *at, entry, sums);
        let mut row = file_row(system.map(|s| s.index), group.tree, entry, content.clone(), vouched);
        row.package_attributes = attributes(owner(*system), *at, entry, &row);
        row.archive = kinds.archives.get(&group.tree.id).cloned();
        if kinds.archived.contains(&group.tree.id) {
            row.covered = IN_ARCHIVE.into();
        }
        row.into()
    };
    group.names.iter().map(row).collect()
}

/// Who owns an entry and whether it is as shipped.
fn vouched(owners: Option<&Ownership>, at: usize, entry: &Entry, sums: &Sums) -> Vouched {
    match owners {
        Some(owners) if !entry.deleted && entry.covered == Cover::Seen => {
            let (owner, check) = owners.vouch_at(at, entry, sums);
            Vouched { package: owner.map(|o| o.package.clone()), check }
        }
        _ => Vouched::default(),
    }
}

/// What of its owner and permissions is not as its package says.
fn attributes(owners: Option<&Ownership>, at: usize, entry: &Entry, row: &File) -> Vec<String> {
    let Some(owners) = owners.filter(|_| entry.covered == Cover::Seen && !entry.deleted) else { return Vec::new() };
    if entry.stat.is_none() {
        return Vec::new();
    }
    let there = There {
        is_link: &*row.kind == "symlink",
        mode: row.mode.0,
        uid: row.uid,
        gid: row.gid,
        capabilities: &row.capabilities,
        target: row.target.as_ref().map(Name::bytes),
    };
    owners.attributes_at(at, entry.path.bytes(), &there)
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
