//! The worker's pipeline: images in, rows and gaps out, in four phases.
//!
//! (A) metadata of all file systems; (B) small declared inputs; (C) all contents once, in the order
//! in which they lie on the disk; (D) joins, which the parent does over the finished inventory.
//! What a phase finds is committed item by item, so that a commit can be repeated and an item left out.
mod archives;
mod assemble;
mod bulk;
mod bytes;
mod configuration;
pub mod contents;
#[cfg(test)]
mod contents_tests;
mod density;
mod embedded;
mod environments;
mod extra;
mod file_events;
mod file_row;
mod flight;
pub mod hash_image;
mod lanes;
mod layout;
mod nand;
mod scan;
mod search;
pub mod second_reader;
mod sniff;
mod text;
mod unread;

pub use layout::{Input, Layout};
pub use text::{Collector, examine_fs, examine_text};

use crate::base::{Cancelled, FsId, Gap, Gaps, Key, Nand, Progress, Stage, Wanted};
use crate::evidence::{Candidate, System, Tree, find_systems};
use crate::image::{self, Segment};
use crate::inventory::{Row, Scene, StoredHash};
use layout::Means;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What to do beyond the four phases.
#[derive(Clone, Debug)]
pub struct Request {
    /// Threads for phases B and C; at least 1.
    pub threads: usize,
    pub replay_journal: bool,
    /// Rows and excerpts show secrets of the configuration; otherwise they are masked.
    pub show_secrets: bool,
    /// For encrypted volumes.
    pub keys: Vec<Key>,
    /// The images are dumps of NAND flash whose pages have this shape.
    pub nand: Option<Nand>,
}
impl Default for Request {
    fn default() -> Self {
        Self { threads: 1, replay_journal: true, show_secrets: false, keys: Vec::new(), nand: None }
    }
}

/// Stages beyond the four phases, each asked for on its own.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    pub hash_images: bool,
    /// Images that are hashed before anything else is read, too, so that a change of them shows.
    pub hash_first: Vec<bool>,
    pub second_reader: bool,
    /// Hashes of the imagers' logs, for each image.
    pub stored: Vec<Vec<StoredHash>>,
}

/// Where the pipeline's results go. Implemented by the worker's connection to its parent, and by tests.
pub trait Sink: Sync {
    /// Announces an item whose parsing may fail badly. `false`: leave it out, it brought down earlier workers.
    fn enter(&self, item: u64, name: &str) -> bool;
    /// Announces files that are to be read, many at once: any of them may fail badly until it is committed or
    /// left. `name` tells what the file at a position of `items` is called.
    fn take(&self, _items: &[u64], _name: &dyn Fn(usize) -> String) {}
    /// Takes an announcement back, without a commit.
    fn leave(&self, _items: &[u64]) {}
    /// Whether one item after the other is to be done, since one of them is to be found out.
    fn is_probing(&self) -> bool {
        false
    }
    /// Whether a file is not to be parsed: it brought down earlier workers.
    fn is_skipped(&self, _item: u64) -> bool {
        false
    }
    /// Whether it is not even to be read.
    fn is_unread(&self, _item: u64) -> bool {
        false
    }
    /// Whether an earlier worker has committed this item already.
    fn is_done(&self, item: u64) -> bool;
    fn stage(&self, stage: Stage, total: u64);
    /// The scene as far as it is known.
    fn scene(&self, scene: &Scene);
    /// A further file of image number `image`, which its reader wants; or why it is not given.
    fn sibling(&self, _image: u32, wanted: &Wanted) -> Result<Segment, String> {
        Err(format!("{wanted}: nobody looks for further files here"))
    }
    /// A temporary file for what is decoded.
    fn scratch(&self) -> Option<Arc<dyn image::Scratch>> {
        None
    }
    /// Everything that one or several items gave. Committing an item twice is harmless.
    fn commit(&self, items: &[u64], rows: Vec<Row>, gaps: Vec<Gap>);
}

/// The key of an item: stable for the same evidence and version.
pub(crate) fn item_key(parts: &impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    parts.hash(&mut hash);
    hash.finish()
}

/// The file systems' trees and the systems found on them.
pub struct Indexed {
    pub layout: Layout,
    pub trees: Vec<Arc<Tree>>,
    pub systems: Vec<System>,
    /// What is met later, when contents are read.
    pub gaps: Gaps,
}

/// Opens the images and indexes every file system (phase A).
pub fn index(
    inputs: Vec<Input>,
    request: &Request,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<Indexed, Cancelled> {
    let gaps = Gaps::default();
    sink.stage(Stage::Opening, 0);
    let enter = |name: &str| sink.enter(item_key(&("open", name)), name);
    let means = Means {
        replay_journal: request.replay_journal,
        keys: &request.keys,
        nand: request.nand,
        meant: RefCell::default(),
        enter: &enter,
        sink,
        progress,
    };
    let mut layout = Layout::open(inputs, &means, &gaps);
    progress.step(0)?;
    sink.commit(&[], Vec::new(), gaps.take());
    sink.scene(&layout.scene);

    sink.stage(Stage::Metadata, 0);
    let mut trees = Vec::new();
    // Disk images found in files append further file systems while this goes on.
    let mut number = 0;
    let mut settings_followed = false;
    loop {
        let Some(fs) = layout.filesystems.get(number).cloned() else {
            // Settings of the systems lead to further volumes, once all trees are known.
            if std::mem::replace(&mut settings_followed, true) || !layout.open_environments(&trees, &means, &gaps) {
                break;
            }
            continue;
        };
        let id = crate::base::FsId(u32::try_from(number).unwrap_or(u32::MAX));
        let name = format!("walk of file system {number}");
        let key = item_key(&("walk", number));
        let here = number;
        number = number.saturating_add(1);
        if !sink.enter(key, &name) {
            continue;
        }
        let tree = Arc::new(Tree::index(fs, id, &gaps, progress)?);
        if let Some(info) = layout.scene.filesystems.get_mut(here) {
            let count =
                |keep: fn(&crate::evidence::Entry) -> bool| tree.entries.iter().filter(|e| keep(e)).count() as u64;
            info.files = count(|e| !e.deleted && !e.is_dir());
            info.directories = count(|e| !e.deleted && e.is_dir());
            info.deleted = count(|e| e.deleted);
        }
        layout.charge(&tree, &gaps);
        trees.push(tree.clone());
        layout.note_archived(here, &trees);
        layout.open_embedded(&tree, &means, &gaps);
        layout.assemble(&means, &gaps);
        sink.commit(&[key], Vec::new(), gaps.take());
    }
    layout.finish(&means, &gaps);
    let systems = {
        let candidates: Vec<Candidate<'_>> = trees
            .iter()
            .filter(|tree| !layout.archived.contains(&(tree.id.0 as usize)))
            .filter_map(|tree| {
                let filesystem = layout.scene.filesystems.get(tree.id.0 as usize)?;
                let volume = layout.scene.volumes.get(filesystem.volume as usize)?;
                Some(Candidate { tree: tree.clone(), filesystem, volume })
            })
            .collect();
        find_systems(&candidates, &gaps)
    };
    layout.scene.systems = systems.iter().map(|s| s.info.clone()).collect();
    layout.link_initramfs(&systems);
    sink.commit(&[], Vec::new(), gaps.take());
    sink.scene(&layout.scene);
    Ok(Indexed { layout, trees, systems, gaps })
}

/// The whole examination of `inputs`.
pub fn run(
    inputs: Vec<Input>,
    request: &Request,
    extra: &Extra,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let first = extra::first_hashes(&inputs, &extra.hash_first, sink, progress)?;
    let mut indexed = index(inputs, request, sink, progress)?;
    let found = configuration::run(&indexed.systems, request, sink, progress)?;
    for (info, logs) in indexed.layout.scene.systems.iter_mut().zip(found.logs) {
        info.logs = logs;
    }
    for (info, unowned) in indexed.layout.scene.systems.iter_mut().zip(found.unowned) {
        info.unowned = unowned;
    }
    file_events::run(&mut indexed.layout, &indexed.trees, &indexed.systems, sink, progress)?;
    sink.scene(&indexed.layout.scene);
    environments::run(&indexed.layout, &indexed.trees, &indexed.systems, request, sink);
    let (archived, listed_only) = (&indexed.layout.archived, &indexed.layout.listed_only);
    let archived = archived.iter().filter_map(|n| u32::try_from(*n).ok().map(FsId)).collect();
    let archives = indexed.layout.archives(&indexed.trees);
    let kinds = bulk::Kinds { archives: &archives, archived: &archived, listed_only };
    bulk::run(&indexed.trees, &indexed.systems, &found.owners, &kinds, request.threads, sink, progress)?;
    if extra.second_reader {
        extra::second_readers(&mut indexed.layout, &indexed.trees, sink, progress)?;
    }
    extra::image_hashes(&mut indexed.layout, &extra.stored, extra.hash_images, sink, progress)?;
    extra::compare_first(&mut indexed.layout, first, sink, progress)?;
    // What the readers noted since the index stood. All at once, as they merge what repeats.
    sink.commit(&[], Vec::new(), indexed.gaps.take());
    sink.scene(&indexed.layout.scene);
    Ok(())
}
