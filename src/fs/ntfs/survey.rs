//! One pass over the whole MFT, in sequence, when the file system is opened: which file says that
//! it lies in which directory, what nothing leads to, and what was deleted.
use super::names::FileName;
use super::raw::Reference;
use super::record::{FILE_NAME, INDEX_ROOT};
use super::table::Mft;
use crate::fs::damage::Damage;
use std::collections::{HashMap, HashSet};

/// Number of the root directory's record.
pub(super) const ROOT: u64 = 5;
/// Records below are the file system's own.
const FIRST_FILE: u64 = 24;

/// A name that a file has by its own record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    parent: Reference,
    child: Reference,
}

#[derive(Default)]
pub(super) struct Survey {
    /// Sorted.
    links: Vec<Link>,
    /// Records in use that no directory leads to, topmost ones only.
    pub(super) lost: Vec<Reference>,
    /// Records that are not in use and still tell of a file.
    pub(super) deleted: Vec<u64>,
}

impl Survey {
    pub(super) fn new(mft: &Mft, damage: &Damage) -> Self {
        let mut survey = Self::default();
        let mut dirs: HashMap<u64, u16> = HashMap::new();
        let mut files: Vec<Reference> = Vec::new();
        // Owner and parent, as records that only extend others tell them.
        let mut extended: Vec<(Reference, Reference)> = Vec::new();
        mft.each(damage, |record| {
            let own = Reference { number: record.number, sequence: record.sequence() };
            if !record.is_used() {
                if record.is_base() && record.number >= FIRST_FILE {
                    survey.deleted.push(record.number);
                }
                return;
            }
            let mut indexed = false;
            let _ = record.attributes(|a| {
                indexed |= a.kind == INDEX_ROOT;
                if a.kind != FILE_NAME {
                    return;
                }
                let Some(parent) = a.value().and_then(FileName::parent) else { return };
                if record.is_base() {
                    survey.links.push(Link { parent, child: own });
                } else {
                    extended.push((record.base(), parent));
                }
            });
            if record.is_base() {
                if record.is_directory() {
                    dirs.insert(record.number, own.sequence);
                }
                files.push(own);
            }
        });
        for (owner, parent) in extended {
            if let Ok(at) = files.binary_search_by_key(&owner.number, |f| f.number)
                && let Some(child) = files.get(at)
            {
                survey.links.push(Link { parent, child: *child });
            }
        }
        survey.links.sort_unstable();
        survey.find_lost(&dirs, &files);
        survey
    }
    /// Files whose own record says that they lie in a directory, once for each such name.
    pub(super) fn children(&self, dir: Reference) -> impl Iterator<Item = Reference> {
        // A number without a sequence counts for any.
        [dir.sequence, 0].into_iter().take(if dir.sequence == 0 { 1 } else { 2 }).flat_map(move |sequence| {
            let parent = Reference { sequence, ..dir };
            let at = self.links.partition_point(|l| l.parent < parent);
            self.links.iter().skip(at).take_while(move |l| l.parent == parent).map(|l| l.child)
        })
    }
    fn find_lost(&mut self, dirs: &HashMap<u64, u16>, files: &[Reference]) {
        let mut reached: HashSet<u64> = HashSet::with_capacity(files.len());
        let root = Reference { number: ROOT, sequence: dirs.get(&ROOT).copied().unwrap_or(5) };
        self.reach(root, dirs, &mut reached);
        let of = |r: &Reference| dirs.get(&r.number).is_some_and(|s| *s == r.sequence || r.sequence == 0);
        let mut held: HashSet<u64> = HashSet::new();
        for link in self.links.iter().filter(|l| of(&l.parent) && l.parent.number != l.child.number) {
            held.insert(link.child.number);
        }
        let mut lost = Vec::new();
        // First those without any directory, then one of each ring.
        for ring in [false, true] {
            for file in files.iter().filter(|f| f.number >= FIRST_FILE) {
                if (ring || !held.contains(&file.number)) && !reached.contains(&file.number) {
                    lost.push(*file);
                    self.reach(*file, dirs, &mut reached);
                }
            }
        }
        lost.sort_unstable();
        self.lost = lost;
    }
    /// Marks a file and all that lies below it.
    fn reach(&self, top: Reference, dirs: &HashMap<u64, u16>, reached: &mut HashSet<u64>) {
        let mut todo = vec![top];
        while let Some(next) = todo.pop() {
            if reached.insert(next.number) && dirs.contains_key(&next.number) {
                todo.extend(self.children(next));
            }
        }
    }
}
