//! All directories of a tree gone through once: which bytes are used, which directories were moved, where files begin;
//! and what an earlier session holds that the last one does not.
use super::descriptor::{FIRST, SECTOR};
use super::folder::{self, Item};
use super::rock::Rock;
use super::{View, Volume};
use crate::base::{Name, NodeId, Run};
use crate::fs::{DirEntry, FsError, NodeKind};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Records of one tree that are gone through.
const MAX_RECORDS: u64 = 4 << 20;
/// Bytes of a path.
const MAX_PATH: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Survey {
    /// Runs of the volume, as they were met.
    pub(super) used: Vec<Run>,
    /// Blocks of directories that stand elsewhere in the tree than their records do.
    pub(super) moved: HashSet<u32>,
    /// First byte and length of every file with content.
    pub(super) files: BTreeSet<(u64, u64)>,
    /// Rock Ridge was met.
    pub(super) rock: bool,
    pub(super) extensions: BTreeSet<String>,
    pub(super) packed: bool,
}

/// Calls `each` for every record of the tree, with the path of its directory; until it says no more.
pub(super) fn all(
    volume: &Volume,
    view: &View,
    each: &mut dyn FnMut(&[u8], &Item, &Rock, &[u8]) -> Result<(), FsError>,
) {
    let mut seen = HashSet::new();
    let mut count = 0_u64;
    let root = &view.tree.root;
    let mut todo = vec![(root.first(), u64::from(root.size), Vec::new())];
    while let Some((block, len, path)) = todo.pop() {
        let at = block.saturating_mul(view.tree.block);
        if !seen.insert(at) || path.len() > MAX_PATH {
            continue;
        }
        // The directory's own record says how long it is.
        let own = folder::item(volume, at).ok().filter(|i| i.record.is_dir() && i.record.name == [0]);
        let len = own.map_or(len, |i| i.record.size.into());
        let walked = folder::walk(volume, Run::new(at, len), &mut |item| {
            count = count.saturating_add(1);
            if count > MAX_RECORDS {
                return Err(FsError::Unsupported("budget: records of one tree".to_owned()));
            }
            let rock = view.rock(volume, &item.record);
            let name = view.name(&item.record, &rock);
            each(&path, &item, &rock, &name)?;
            let child = rock.child.map(u64::from).or_else(|| item.record.is_dir().then(|| item.record.first()));
            if let Some(child) = child
                && !rock.moved
            {
                todo.push((child, item.record.size.into(), [&path, b"/".as_slice(), &name].concat()));
            } else if item.record.is_dir() {
                // Met again where it belongs; what nothing leads to is met here.
                todo.insert(
                    0,
                    (item.record.first(), item.record.size.into(), [&path, b"/".as_slice(), &name].concat()),
                );
            }
            Ok(())
        });
        if let Err(e) = walked {
            volume.damage.once(at, format!("not all directories were gone through: {e}"), 0);
            return;
        }
    }
}

pub(super) fn survey(volume: &Volume, view: &View) -> Survey {
    let mut out = Survey::default();
    let block = view.tree.block;
    let first = view.start.saturating_add(FIRST).saturating_mul(SECTOR);
    out.used.push(Run::new(first, view.count.saturating_mul(SECTOR)));
    out.used.extend(view.tree.paths.map(|(at, len)| Run::new(at, len.next_multiple_of(block))));
    out.used.push(view.listing(&view.tree.root));
    let root = folder::item(volume, view.tree.root.first().saturating_mul(block));
    if let Ok(root) = root {
        let rock = view.rock(volume, &root.record);
        out.rock |= rock.owner.is_some();
        out.extensions.extend(rock.extensions);
        out.used.extend(rock.areas);
    }
    all(volume, view, &mut |_, item, rock, _| {
        out.rock |= rock.owner.is_some() || rock.name.is_some();
        out.packed |= rock.packed.is_some();
        out.used.extend(rock.areas.iter().copied());
        out.moved.extend(rock.child);
        if item.len() > 0 && rock.child.is_none() {
            out.used.extend(item.runs(block));
            if !item.record.is_dir() {
                out.files.insert((item.record.first().saturating_mul(block), item.len()));
            }
        }
        Ok(())
    });
    out.used.sort_unstable();
    out
}

/// A live file or directory.
struct Live {
    node: NodeId,
    directory: bool,
    place: (u32, u64),
}

/// What an earlier session holds and the last does not, or holds with other content.
pub(super) fn replaced(volume: &Volume, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) {
    let olds = volume.old();
    let Some(main) = volume.views.first().filter(|_| !olds.is_empty()) else { return };
    let mut live: HashMap<Vec<u8>, Live> = HashMap::new();
    let root = main.root(volume, 0);
    live.insert(Vec::new(), Live { node: root, directory: true, place: (0, 0) });
    all(volume, main, &mut |path, item, rock, name| {
        let directory = View::kind(&item.record, rock) == NodeKind::Directory;
        let block = rock.child.map_or_else(|| item.record.first(), u64::from);
        let node = if directory {
            main.directory(volume, 0, block, item.record.at)
        } else {
            NodeId { number: item.record.at, generation: 1 }
        };
        live.insert([path, b"/", name].concat(), Live { node, directory, place: (item.record.extent, item.len()) });
        Ok(())
    });
    // The same file may stand in many sessions.
    let mut told = HashSet::new();
    for (number, view) in olds {
        all(volume, view, &mut |path, item, rock, name| {
            let full = [path, b"/", name].concat();
            let directory = View::kind(&item.record, rock) == NodeKind::Directory;
            let place = (item.record.extent, item.len());
            let same = live.get(&full).is_some_and(|l| l.directory == directory && (directory || l.place == place));
            if same || rock.moved || !told.insert((full.clone(), place)) {
                return Ok(());
            }
            // The nearest directory that is still there.
            let mut above = path;
            while !live.get(above).is_some_and(|l| l.directory) {
                above = above.iter().rposition(|b| *b == b'/').and_then(|n| above.get(..n)).unwrap_or_default();
            }
            let parent = live.get(above).map(|l| l.node);
            let below = full.get(above.len().saturating_add(1)..).unwrap_or_default();
            let kind = View::kind(&item.record, rock);
            let node = NodeId { number: item.record.at, generation: number.saturating_add(1) };
            each(parent, DirEntry { name: Name::new(below), node, kind });
            Ok(())
        });
    }
}
