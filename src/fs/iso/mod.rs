//! ISO 9660: CDs, DVDs and the images that installers and live systems come as, with Joliet, Rock Ridge, zisofs,
//! several sessions and El Torito boot images. A node's number is the byte of the volume where its first directory
//! record stands; its generation is the tree's number and one.
//! Format: ECMA-119 (4th edition); Joliet; IEEE P1281 and P1282; "El Torito" 1.0.
mod boot;
mod descriptor;
mod fields;
mod folder;
mod packed;
mod record;
mod rock;
mod survey;

use super::chunks::Chunks;
use super::damage::Damage;
use super::extents::{At, Extent, Extents};
use super::listed::Listed;
use super::raw::{corrupt, size};
use crate::base::{Name, NodeId, Run, Time};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, NodeKind, Options, Stat, Stream, Times};
use crate::image::{Slice, Source, read_exact};
use descriptor::{Names, SECTOR};
use folder::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The format's name.
pub(crate) const NAME: &str = "iso9660";
/// The reader's name in gaps.
const BY: &str = "fs.iso9660";
/// Bytes of the volume whose equal faults are one gap.
const STRETCH: u64 = 1 << 20;
/// Generations of what stands in no directory: the folder of boot images, and its images.
const BOOT_FOLDER: u64 = u64::MAX;
const BOOT_IMAGE: u64 = u64::MAX - 1;
/// The folder's name.
const BOOT: &str = "[BOOT]";

pub(super) const FORMAT: Format = Format {
    name: NAME,
    about: "ISO 9660 with Joliet, Rock Ridge, zisofs, AAIP attributes, files of several extents, sessions and El Torito boot images (folder [BOOT])",
    limits: "High Sierra, raw 2352-byte sectors and a UDF tree over the same files are named but not read; interleaved files and Rock Ridge sparse files are gaps; of several trees the richest is read (Rock Ridge, Joliet, plain), another one only where it leads to files that the first does not; hard links are separate nodes",
    probe: descriptor::probe,
    // No copy of the descriptors exists.
    probe_damaged: |_| false,
    size: |source| Some(descriptor::read(source, 0).end()).filter(|n| *n > 0),
    open: |source, options| Ok(Arc::new(open(source, options)?)),
};

/// One tree of directories.
struct View {
    tree: descriptor::Tree,
    /// First sector of its session, and descriptors that it has.
    start: u64,
    count: u64,
    /// Bytes before the entries behind each name, where such are used.
    skip: Option<usize>,
    /// It belongs to a session that a later one replaced.
    old: bool,
}
impl View {
    fn root(&self, volume: &Volume, number: u64) -> NodeId {
        self.directory(volume, number, self.tree.root.first(), self.tree.root.at)
    }
}

/// What all readers of one disc share.
struct Volume {
    source: Source,
    views: Vec<View>,
    damage: Damage,
    listed: Listed,
}
impl Volume {
    /// No record leads behind this block.
    fn most(&self) -> u32 {
        let block = self.views.first().map_or(SECTOR, |v| v.tree.block);
        u32::try_from(self.source.len() / block).unwrap_or(u32::MAX)
    }
    fn old(&self) -> Vec<(u64, &View)> {
        (0..).zip(&self.views).filter(|(_, v)| v.old).collect()
    }
    fn view(&self, node: NodeId) -> Result<(u64, &View), FsError> {
        let number = node.generation.saturating_sub(1);
        self.views.get(size(number)).map(|v| (number, v)).ok_or(FsError::NotFound(node))
    }
}

struct Iso {
    volume: Arc<Volume>,
    info: FsInfo,
    root: NodeId,
    /// Further entries of the root: trees that hold what the first does not, the folder of boot images.
    extra: Vec<DirEntry>,
    survey: survey::Survey,
    /// Used by the other trees and sessions as well.
    also_used: Vec<Run>,
    catalog: boot::Catalog,
    /// First bytes of the boot images that are files of the tree.
    boot_files: BTreeSet<u64>,
}

/// Whether `part` begins with the descriptors of the same disc as `whole`: a hybrid image repeats them for its
/// partition.
pub(crate) fn same_disc(whole: &Source, part: &Source) -> bool {
    let stamp = |source| descriptor::read(source, 0).primary().map(|t| t.stamp.clone());
    stamp(whole).is_some_and(|a| stamp(part) == Some(a))
}
/// Whether a disc's tree can be followed, beyond a descriptor that may be left from before.
pub(crate) fn holds_disc(source: &Source) -> bool {
    let set = descriptor::read(source, 0);
    set.trees.iter().any(|t| descriptor::root_holds(source, t))
}

fn view(source: &Source, set: &descriptor::Set, tree: &descriptor::Tree, old: bool) -> View {
    let at = tree.root.first().saturating_mul(tree.block);
    let own = descriptor::record_at(source, at);
    let skip = own.filter(|_| tree.names == Names::Plain).and_then(|r| rock::skipped(&r.system));
    View { tree: tree.clone(), start: set.start, count: set.count, skip, old }
}

/// The trees of a session, the one to be read first in front.
fn views(source: &Source, set: &descriptor::Set, old: bool) -> Vec<View> {
    let mut all: Vec<View> = set.trees.iter().map(|t| view(source, set, t, old)).collect();
    let rank = |v: &View| match (v.skip.is_some(), v.tree.names, v.tree.enhanced) {
        (true, _, false) => 0,
        (_, Names::Joliet, _) => 1,
        (_, _, true) => 2,
        _ => 3,
    };
    // A tree whose root is lost is no first choice.
    all.sort_by_key(|v| (!descriptor::root_holds(source, &v.tree), rank(v)));
    all
}

fn open(source: &Source, options: &Options) -> Result<Iso, FsError> {
    let damage = Damage::new(options.gaps.clone(), BY, "places", STRETCH);
    let first = descriptor::read(source, 0);
    if first.trees.is_empty() {
        let at = descriptor::FIRST.saturating_mul(SECTOR);
        return Err(match (descriptor::other_name(source), first.damaged.first()) {
            (Some(what), _) => FsError::Unsupported(what),
            (None, Some((at, what))) => corrupt(*at, what.clone()),
            (None, None) => corrupt(at, "no volume descriptor with a tree"),
        });
    }
    let appended = descriptor::sessions(source, &first);
    let roots = |set: &descriptor::Set| set.primary().map(|t| (t.root.extent, t.stamp.clone()));
    // Where sector 16 leads to the newest session's tree, as a writer on a disk leaves it, it counts; else the last.
    let newest = appended.last().filter(|s| roots(s).map(|r| r.0) != roots(&first).map(|r| r.0)).unwrap_or(&first);
    for (at, what) in &newest.damaged {
        damage.once(*at, what, SECTOR);
    }
    if !newest.closed {
        let at = newest.start.saturating_add(descriptor::FIRST).saturating_mul(SECTOR);
        damage.once(at, "no terminator behind the volume descriptors", 0);
    }
    let mut all = views(source, newest, false);
    let current = all.len();
    for set in std::iter::once(&first).chain(&appended) {
        let same = all.iter().any(|v| Some(v.tree.root.extent) == roots(set).map(|r| r.0));
        if !same {
            all.extend(views(source, set, true).into_iter().next());
        }
    }
    let most = (source.len() / 16).saturating_add(1 << 16).min(options.budget.steps);
    let listed = Listed::new(most);
    let volume = Volume { source: source.clone(), views: all, damage, listed };
    let main = volume.views.first().ok_or_else(|| corrupt(0, "no tree"))?;
    let end = newest.end();
    if end > source.len() {
        let what = format!("disc of {end} bytes on a volume of {}", source.len());
        volume.damage.once(main.tree.at.saturating_add(80), what, end.saturating_sub(source.len()));
    }
    let survey = survey::survey(&volume, main);
    let mut extra = Vec::new();
    let mut also_used = Vec::new();
    for (number, view) in (0_u64..).zip(&volume.views).skip(1) {
        let other = survey::survey(&volume, view);
        let missing = other.files.difference(&survey.files).count();
        also_used.extend(other.used);
        if view.old || missing == 0 {
            continue;
        }
        let name = if view.tree.names == Names::Joliet { "[JOLIET]" } else { "[ISO9660]" };
        let what = format!("{missing} files of the tree shown as /{name} stand in no directory of the first tree");
        volume.damage.once(view.tree.at, what, 0);
        let node = view.root(&volume, number);
        extra.push(DirEntry { name: name.into(), node, kind: NodeKind::Directory });
    }
    if let Some(name) = udf(source, newest) {
        let at = newest.start.saturating_add(descriptor::FIRST).saturating_add(newest.count).saturating_mul(SECTOR);
        volume.damage.once(
            at,
            format!("a UDF file system ({name}) lies over the same files: not read, ISO 9660 is"),
            0,
        );
    }
    let catalog = newest.catalog.map(|at| boot::read(&volume, at)).unwrap_or_default();
    let starts: BTreeSet<u64> = survey.files.iter().map(|(at, _)| *at).collect();
    let boot_files = catalog.images.iter().map(|i| i.run.offset).filter(|at| starts.contains(at)).collect();
    if catalog.images.iter().any(|i| !starts.contains(&i.run.offset)) {
        let node = NodeId { number: catalog.at, generation: BOOT_FOLDER };
        extra.push(DirEntry { name: BOOT.into(), node, kind: NodeKind::Directory });
    }
    let info = info(&volume, main, &survey, newest, current, !catalog.images.is_empty());
    let root = main.root(&volume, 0);
    Ok(Iso { volume: Arc::new(volume), info, root, extra, survey, also_used, catalog, boot_files })
}

/// The name of a UDF volume structure behind the descriptors.
fn udf(source: &Source, set: &descriptor::Set) -> Option<String> {
    let from = set.start.saturating_add(descriptor::FIRST).saturating_add(set.count);
    (from..from.saturating_add(8)).find_map(|n| {
        let head = read_exact(&**source, n.saturating_mul(SECTOR), 6).ok().flatten()?;
        let name = head.get(1..6)?;
        (name.starts_with(b"NSR0")).then(|| String::from_utf8_lossy(name).into_owned())
    })
}

fn info(
    volume: &Volume,
    main: &View,
    survey: &survey::Survey,
    set: &descriptor::Set,
    current: usize,
    boots: bool,
) -> FsInfo {
    let mut features: Vec<String> = survey.extensions.iter().map(|e| format!("extension {e}")).collect();
    let mut has = |yes: bool, name: &str| features.extend(yes.then(|| name.to_owned()));
    let trees = volume.views.get(..current).unwrap_or_default();
    has(survey.rock, "rock-ridge");
    has(survey.packed, "zisofs");
    has(trees.iter().any(|v| v.tree.names == Names::Joliet), "joliet");
    has(trees.iter().any(|v| v.tree.enhanced && v.tree.names == Names::Plain), "enhanced-descriptor");
    has(boots, "el-torito");
    has(volume.views.len() > current, "several-sessions");
    has(udf(&volume.source, set).is_some(), "udf");
    features.extend(set.others.iter().cloned());
    let tree = &main.tree;
    features.extend(Some(&tree.system).filter(|s| !s.is_empty()).map(|s| format!("system {s}")));
    features.sort();
    FsInfo {
        kind: "iso9660".to_owned(),
        label: tree.label.clone(),
        uuid: tree.modified.or(tree.created).map(uuid).unwrap_or_default(),
        block_size: u32::try_from(tree.block).unwrap_or(0),
        created: tree.created,
        last_write_time: tree.modified,
        clean: true,
        features,
        ..FsInfo::default()
    }
}
/// As `blkid` writes it: the moment's digits, to hundredths.
fn uuid(time: Time) -> String {
    let text = time.to_string();
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { c } else { '-' }).collect();
    digits.trim_end_matches('-').to_owned()
}

impl Iso {
    fn item(&self, node: NodeId) -> Result<(u64, &View, Item), FsError> {
        let (number, view) = self.volume.view(node)?;
        let item = match volume_root(view, node) {
            Some(item) => item,
            None => folder::item(&self.volume, node.number)?,
        };
        Ok((number, view, item))
    }
    fn boot_image(&self, node: NodeId) -> Result<&boot::Image, FsError> {
        self.catalog.images.iter().find(|i| i.number == node.number).ok_or(FsError::NotFound(node))
    }
    /// Boot images that are no files of the tree.
    fn boot_images(&self) -> impl Iterator<Item = &boot::Image> {
        self.catalog.images.iter().filter(|i| !self.boot_files.contains(&i.run.offset))
    }
    fn content(&self, view: &View, item: &Item) -> Result<Source, FsError> {
        let rock = view.rock(&self.volume, &item.record);
        if rock.sparse.is_some() {
            return Err(FsError::Unsupported("sparse file of Rock Ridge (SF)".to_owned()));
        }
        let mut list = Vec::new();
        let mut start = 0_u64;
        for record in item.records() {
            let from = record.first().saturating_mul(view.tree.block);
            let at = match record {
                r if r.interleaved != (0, 0) => At::Lost("an interleaved file: not read"),
                r if r.volume != view.tree.root.volume => At::Lost("the file stands on another disc of the set"),
                _ => At::Volume(from),
            };
            list.push(Extent { start, len: record.size.into(), at });
            start = start.saturating_add(record.size.into());
        }
        list.retain(|e| e.len > 0);
        let volume = self.volume.source.clone();
        if let (Some(told), [Extent { at: At::Volume(from), len, .. }]) = (rock.packed, list.as_slice()) {
            let file = packed::File::new(&volume, Run::new(*from, *len), told);
            let file = file.map_err(|e| corrupt(item.record.at, format!("zisofs: {e}")))?;
            return Ok(Arc::new(Chunks(file)));
        }
        Ok(Arc::new(Extents { volume, len: start, valid: start, list: list.into() }))
    }
}

/// The root by its descriptor's record, where the directory's own is damaged.
fn volume_root(view: &View, node: NodeId) -> Option<Item> {
    (node.number == view.tree.root.at).then(|| Item { record: view.tree.root.clone(), more: Vec::new() })
}

impl FileSystem for Iso {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        self.root
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        if dir.generation == BOOT_FOLDER {
            for image in self.boot_images() {
                let node = NodeId { number: image.number, generation: BOOT_IMAGE };
                each(DirEntry { name: image.name().into(), node, kind: NodeKind::File });
            }
            return Ok(());
        }
        let (number, view, item) = self.item(dir)?;
        if !item.record.is_dir() {
            return Err(corrupt(item.record.at, "not a directory"));
        }
        let volume = &self.volume;
        let mut count = 0_u64;
        folder::walk(volume, view.listing(&item.record), &mut |item| {
            count = count.saturating_add(1);
            volume.listed.take(dir, count)?;
            let rock = view.rock(volume, &item.record);
            let directory = View::kind(&item.record, &rock) == NodeKind::Directory;
            // What was moved away is listed where it belongs, unless nothing there leads to it.
            if rock.moved && directory && self.survey.moved.contains(&item.record.extent) && !view.old {
                return Ok(());
            }
            let name = view.name(&item.record, &rock);
            let at = item.record.at;
            if name.iter().any(|b| *b == b'/' || *b == 0) {
                volume.damage.note("directory record with '/' or NUL in its name", at, at, 0);
            }
            let block = rock.child.map_or_else(|| item.record.first(), u64::from);
            let node = if directory {
                view.directory(volume, number, block, at)
            } else {
                NodeId { number: at, generation: number.saturating_add(1) }
            };
            each(DirEntry { name: Name::from(name), node, kind: View::kind(&item.record, &rock) });
            Ok(())
        })?;
        if dir == self.root {
            self.extra.iter().cloned().for_each(each);
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let mut stat = Stat {
            kind: NodeKind::Directory,
            len: 0,
            allocated: 0,
            mode: 0o555,
            uid: 0,
            gid: 0,
            links: 1,
            times: Times::default(),
            flags: Vec::new(),
            xattrs: Vec::new(),
            device: None,
        };
        if node.generation == BOOT_FOLDER {
            stat.len = self.catalog.len;
            return Ok(stat);
        }
        if node.generation == BOOT_IMAGE {
            stat.kind = NodeKind::File;
            stat.mode = 0o444;
            stat.flags.push("boot-image");
            stat.len = self.boot_image(node)?.run.len;
            stat.allocated = stat.len;
            return Ok(stat);
        }
        let (_, view, item) = self.item(node)?;
        let rock = view.rock(&self.volume, &item.record);
        stat.kind = View::kind(&item.record, &rock);
        let record = &item.record;
        stat.len = item.len();
        stat.allocated = item.runs(view.tree.block).fold(0, |n, r| n.saturating_add(r.len));
        stat.times = rock.times;
        stat.times.modified = stat.times.modified.or(record.time);
        match rock.owner {
            Some(owner) => {
                stat.mode = owner.mode & 0o7777;
                (stat.uid, stat.gid, stat.links) = (owner.uid, owner.gid, owner.links);
            }
            None if stat.kind != NodeKind::Directory => stat.mode = 0o444,
            None => {}
        }
        match stat.kind {
            NodeKind::Symlink => stat.len = rock.target.as_ref().map_or(0, |t| t.len() as u64),
            NodeKind::CharDevice | NodeKind::BlockDevice => stat.device = rock.device,
            NodeKind::File => {
                if let Some(packed) = rock.packed {
                    stat.len = packed.len;
                    stat.flags.push("compressed");
                }
                if let Some(len) = rock.sparse {
                    stat.len = len;
                    stat.flags.push("sparse");
                }
            }
            _ => {}
        }
        if record.flags & record::HIDDEN != 0 {
            stat.flags.push("hidden");
        }
        if self.boot_files.contains(&record.first().saturating_mul(view.tree.block)) && item.len() > 0 {
            stat.flags.push("boot-image");
        }
        stat.xattrs = rock.xattrs;
        Ok(stat)
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        let (_, view, item) = self.item(node)?;
        view.rock(&self.volume, &item.record).target.ok_or(FsError::NotFound(node))
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        if let Stream::Named(_) = stream {
            return Err(FsError::NotFound(node));
        }
        match node.generation {
            BOOT_FOLDER => Ok(Arc::new(Vec::new())),
            BOOT_IMAGE => Ok(Arc::new(Slice::new(self.volume.source.clone(), self.boot_image(node)?.run))),
            _ => {
                let (_, view, item) = self.item(node)?;
                let rock = view.rock(&self.volume, &item.record);
                match View::kind(&item.record, &rock) {
                    NodeKind::File => self.content(view, &item),
                    _ => Ok(Arc::new(Vec::new())),
                }
            }
        }
    }
    /// What an earlier session holds and the last does not.
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        survey::replaced(&self.volume, each);
        Ok(())
    }
    /// What no descriptor, directory, file or boot image uses, of any session; behind the disc as well.
    fn unallocated(&self) -> Vec<Run> {
        let system = Run::new(0, descriptor::FIRST.saturating_mul(SECTOR));
        let boot = self.catalog.images.iter().map(|i| i.run);
        let catalog = Run::new(self.catalog.at, self.catalog.len);
        let used = self.survey.used.iter().chain(&self.also_used).copied();
        let mut used: Vec<Run> = used.chain(boot).chain([system, catalog]).collect();
        used.sort_unstable();
        let mut left = BTreeMap::new();
        let mut at = 0_u64;
        for run in used.into_iter().filter(|r| r.len > 0) {
            if run.offset.min(self.volume.source.len()) > at {
                left.insert(at, run.offset.min(self.volume.source.len()));
            }
            at = at.max(run.end());
        }
        if at < self.volume.source.len() {
            left.insert(at, self.volume.source.len());
        }
        left.into_iter().map(|(from, to)| Run::new(from, to.saturating_sub(from))).collect()
    }
}
