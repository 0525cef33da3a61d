//! The worker's pipeline: images in, rows and gaps out, in four phases.
//!
//! (A) metadata of all file systems; (B) small declared inputs; (C) all contents once, in the order
//! in which they lie on the disk; (D) joins, which the parent does over the finished inventory.
//! What a phase finds is committed item by item, so that a commit can be repeated and an item left out.
mod bulk;
mod configuration;
pub mod contents;
#[cfg(test)]
mod contents_tests;
mod extra;
mod file_row;
mod flight;
pub mod hash_image;
mod layout;
mod md5_lanes;
pub mod second_reader;
mod sniff;
mod text;

pub use layout::{Input, Layout};
pub use text::{Collector, examine_fs, examine_text};

use crate::base::{Cancelled, Gap, Gaps, Progress, Stage};
use crate::evidence::{Candidate, System, Tree, find_systems};
use crate::inventory::{Row, Scene, StoredHash};
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
}
impl Default for Request {
    fn default() -> Self {
        Self { threads: 1, replay_journal: true, show_secrets: false }
    }
}

/// Stages beyond the four phases, each asked for on its own.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    pub hash_images: bool,
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
    let mut layout = Layout::open(inputs, request.replay_journal, &gaps, &enter);
    sink.commit(&[], Vec::new(), gaps.take());
    sink.scene(&layout.scene);

    sink.stage(Stage::Metadata, 0);
    let mut trees = Vec::new();
    for (number, fs) in layout.filesystems.iter().enumerate() {
        let id = crate::base::FsId(u32::try_from(number).unwrap_or(u32::MAX));
        let name = format!("walk of file system {number}");
        let key = item_key(&("walk", number));
        if !sink.enter(key, &name) {
            continue;
        }
        let tree = Arc::new(Tree::index(fs.clone(), id, &gaps, progress)?);
        if let Some(info) = layout.scene.filesystems.get_mut(number) {
            let count =
                |keep: fn(&crate::evidence::Entry) -> bool| tree.entries.iter().filter(|e| keep(e)).count() as u64;
            info.files = count(|e| !e.deleted && !e.is_dir());
            info.directories = count(|e| !e.deleted && e.is_dir());
            info.deleted = count(|e| e.deleted);
        }
        sink.commit(&[key], Vec::new(), gaps.take());
        trees.push(tree);
    }
    let systems = {
        let candidates: Vec<Candidate<'_>> = trees
            .iter()
            .filter_map(|tree| {
                let filesystem = layout.scene.filesystems.get(tree.id.0 as usize)?;
                let volume = layout.scene.volumes.get(filesystem.volume as usize)?;
                Some(Candidate { tree: tree.clone(), filesystem, volume })
            })
            .collect();
        find_systems(&candidates, &gaps)
    };
    layout.scene.systems = systems.iter().map(|s| s.info.clone()).collect();
    sink.commit(&[], Vec::new(), gaps.take());
    sink.scene(&layout.scene);
    Ok(Indexed { layout, trees, systems })
}

/// The whole examination of `inputs`.
pub fn run(
    inputs: Vec<Input>,
    request: &Request,
    extra: &Extra,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let mut indexed = index(inputs, request, sink, progress)?;
    let found = configuration::run(&indexed.systems, request, sink, progress)?;
    for (info, logs) in indexed.layout.scene.systems.iter_mut().zip(found.logs) {
        info.logs = logs;
    }
    for (info, unowned) in indexed.layout.scene.systems.iter_mut().zip(found.unowned) {
        info.unowned = unowned;
    }
    sink.scene(&indexed.layout.scene);
    bulk::run(&indexed.trees, &indexed.systems, &found.owners, request.threads, sink, progress)?;
    if extra.second_reader {
        extra::second_readers(&mut indexed.layout, &indexed.trees, sink, progress)?;
    }
    extra::image_hashes(&mut indexed.layout, &extra.stored, extra.hash_images, sink, progress)?;
    sink.scene(&indexed.layout.scene);
    Ok(())
}
