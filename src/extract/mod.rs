//! The worker's pipeline: images in, rows and gaps out, in four phases.
//!
//! (A) metadata of all file systems; (B) small declared inputs; (C) all contents once, in the order
//! in which they lie on the disk; (D) joins, which the parent does over the finished inventory.
//! What a phase finds is committed item by item, so that a commit can be repeated and an item left out.
mod allowance;
mod archives;
mod assemble;
mod beside;
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
mod indexing;
mod lanes;
mod layout;
mod nand;
pub mod packages;
mod remains;
mod scan;
mod search;
pub mod second_reader;
mod sniff;
mod text;
mod unread;

pub use layout::{Input, Layout};
pub use text::{Collector, examine_fs, examine_text};

use crate::base::{Cancelled, Gap, Gaps, Key, MoreHashes, Nand, Progress, Stage, Wanted};
use crate::evidence::{System, Tree};
use crate::image::{self, Segment, Source};
use crate::inventory::{Row, Scene, StoredHash};
use beside::Beside;
use indexing::{Opened, find};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

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
    /// Hashes of all contents beside SHA-256.
    pub hashes: MoreHashes,
}
impl Default for Request {
    fn default() -> Self {
        Self {
            threads: 1,
            replay_journal: true,
            show_secrets: false,
            keys: Vec::new(),
            nand: None,
            hashes: MoreHashes::default(),
        }
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
    let mut opened = Opened::disks(inputs, request, sink, progress)?;
    opened.archives(request, sink, progress)?;
    let systems = find(&opened.candidates(), &opened.gaps);
    let known = systems.iter().map(|s| s.info.clone()).collect();
    opened.finish(&systems, known, request, sink, progress);
    let Opened { layout, trees, gaps, .. } = opened;
    Ok(Indexed { layout, trees, systems, gaps })
}

/// The whole examination of `inputs`. Archives in the files of disks hold no systems: they are opened and read beside
/// the rest.
pub fn run(
    inputs: Vec<Input>,
    request: &Request,
    extra: &Extra,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let first = extra::first_hashes(&inputs, &extra.hash_first, sink, progress)?;
    let mut opened = Opened::disks(inputs, request, sink, progress)?;
    let disks = Disks {
        candidates: opened.candidates(),
        trees: opened.trees.clone(),
        kinds: opened.kinds(),
        scene: opened.layout.scene.clone(),
        sources: opened.layout.sources.clone(),
    };
    // Who opens archives keeps a ledger of its own: readers merge what repeats in theirs.
    let ledger = std::mem::take(&mut opened.gaps);
    let beside = Beside::new(sink);
    let systems = OnceLock::new();
    // At most one message, so that sending it never waits.
    let (tell, told) = sync_channel(1);
    let (own, systems, there) = (&mut opened, &systems, &beside);
    let mut archives = move || archives(own, &told, systems, request, there);
    let ran = std::thread::scope(|scope| {
        // One item after the other where one of them is to be found out.
        let builder = (!sink.is_probing()).then(|| std::thread::Builder::new().name("archives".into()));
        let running = builder.and_then(|b| b.spawn_scoped(scope, &mut archives).ok());
        // It goes with this closure: where that ends early, who waits for it is told.
        let tell = tell;
        disks.run(&tell, systems, request, there, sink, progress)?;
        // A parser's panic ends this worker, as it would in any other thread.
        Ok(running.map(|r| r.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    })?;
    match ran {
        Some(done) => done?,
        None => archives()?,
    }
    let Opened { mut layout, trees, gaps, .. } = opened;
    let found = systems.get().map_or(&[][..], Vec::as_slice);
    remains::run(&layout, &trees, found, request, sink, progress)?;
    if extra.second_reader {
        extra::second_readers(&mut layout, &trees, sink, progress)?;
    }
    extra::image_hashes(&mut layout, &extra.stored, extra.hash_images, sink, progress)?;
    extra::compare_first(&mut layout, first, sink, progress)?;
    // What the readers noted since the index stood. All at once, as they merge what repeats.
    sink.commit(&[], Vec::new(), ledger.take().into_iter().chain(gaps.take()).collect());
    sink.scene(&layout.scene);
    // The worker ends: the system takes back at once what would be freed entry by entry.
    std::mem::forget((layout, trees));
    Ok(())
}

/// What lies on the images but for archives in its files.
struct Disks {
    candidates: Vec<indexing::Place>,
    trees: Vec<Arc<Tree>>,
    kinds: bulk::Kinds,
    scene: Scene,
    /// The bytes of each volume.
    sources: Vec<Source>,
}
impl Disks {
    /// Finds the systems, asks them (phase B), and reads all contents (phase C).
    fn run(
        mut self,
        tell: &SyncSender<Scene>,
        found: &OnceLock<Vec<System>>,
        request: &Request,
        beside: &Beside<'_>,
        sink: &dyn Sink,
        progress: &Progress,
    ) -> Result<(), Cancelled> {
        let gaps = Gaps::default();
        let systems = found.get_or_init(|| find(&self.candidates, &gaps));
        self.scene.systems = systems.iter().map(|s| s.info.clone()).collect();
        sink.commit(&[], Vec::new(), gaps.take());
        sink.scene(&self.scene);
        let begin = |total| beside.begin(Stage::Configuration, total);
        let found = configuration::run(systems, request, &begin, sink, progress)?;
        for ((info, logs), unowned) in self.scene.systems.iter_mut().zip(found.logs).zip(found.unowned) {
            (info.logs, info.unowned) = (logs, unowned);
        }
        file_events::run(&mut self.scene, &self.trees, systems, sink, progress)?;
        sink.scene(&self.scene);
        let ground = environments::Ground { scene: &self.scene, sources: &self.sources, kinds: &self.kinds };
        environments::run(&ground, &self.trees, systems, request, sink);
        // Who waits for it may have ended.
        let _ = tell.send(self.scene);
        let begin = |bytes| {
            progress.begin(bytes);
            beside.begin(Stage::Contents, bytes);
        };
        bulk::run(&self.trees, systems, &found.owners, &self.kinds, request, &begin, sink, progress)
    }
}

/// Opens the archives in the files of disks, and reads what is in them.
fn archives(
    opened: &mut Opened,
    told: &Receiver<Scene>,
    systems: &OnceLock<Vec<System>>,
    request: &Request,
    sink: &Beside<'_>,
) -> Result<(), Cancelled> {
    // What it counts is not in the unit of the stages that it runs beside.
    let progress = Progress::default();
    opened.archives(request, sink, &progress)?;
    let known = told.recv().map_err(|_| Cancelled)?;
    for (info, known) in opened.layout.scene.filesystems.iter_mut().zip(known.filesystems) {
        info.details = known.details;
    }
    let later = opened.later().to_vec();
    file_events::run(&mut opened.layout.scene, &later, &[], sink, &progress)?;
    opened.finish(systems.get().map_or(&[], Vec::as_slice), known.systems, request, sink, &progress);
    let (trees, kinds) = (opened.later(), opened.kinds());
    bulk::run(trees, &[], &[], &kinds, request, &|_| (), sink, &progress)?;
    trees.iter().for_each(|tree| tree.fs.release());
    Ok(())
}
