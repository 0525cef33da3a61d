//! What a reader shows of an image: every file, part or window with the hash of its bytes, and every gap; and what of
//! the intact image a damaged one does not show.
use super::told::{Told, Where};
use cranescope::base::{Budget, FsId, Gaps, PieceKind, Progress, Run};
use cranescope::evidence::{Entry, Tree};
use cranescope::fs::{self, NodeKind, Options};
use cranescope::image::{self, Alone, ReadAt, Slice, Source};
use cranescope::volume::{self, Member};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which reader is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A file system of `fs::ALL`.
    Files(&'static str),
    /// A scheme of `volume::ALL`.
    Table(&'static str),
    /// A manager of `volume::MANAGERS`, of so many members of equal size that lie one behind another.
    Manager(&'static str, u64),
    /// An encryption of `volume::ENCRYPTIONS`, opened by this key.
    Locked(&'static str, &'static [u8]),
    /// A container of `image::ALL`.
    Container(&'static str),
    /// A registry hive, with its transaction logs behind it, each from a multiple of 4096 on.
    Hive,
}

/// One thing that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Kind, size and what else is told of it.
    pub told: String,
    /// Of the bytes.
    pub hash: u32,
    /// A part of it could not be read, and that was said.
    pub unread: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub items: BTreeMap<Vec<u8>, Shown>,
    /// Where each of them is.
    pub places: BTreeMap<Vec<u8>, Where>,
    pub gaps: Vec<Told>,
    /// Nothing was opened: why.
    pub refused: Option<String>,
    /// What is shown as deleted.
    pub gone: Vec<Shown>,
    /// Where the bytes of files (of a container: of the disk) lie: first byte and the one behind.
    pub data: Vec<(u64, u64)>,
}

/// What the intact image shows, and this one does not or otherwise.
#[derive(Clone, Debug)]
pub struct Difference {
    pub path: Vec<u8>,
    pub text: String,
    /// A word for it.
    pub how: &'static str,
}

/// How much is read of what is shown.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Bytes of one file that are hashed, from its start.
    pub one: u64,
    /// Bytes of all of them.
    pub all: u64,
    /// Bytes that a container may decode.
    pub decoded: u64,
    /// Bytes of a packed disk: it ends there.
    pub disk: u64,
    /// And of one that is a container or a journal, or a hive with its logs.
    pub container: u64,
    pub hive: u64,
}
impl Reach {
    /// All that an image of some MiB holds.
    pub const WHOLE: Self =
        Self { one: 4 << 20, all: 48 << 20, decoded: 256 << 20, disk: u64::MAX, container: u64::MAX, hive: u64::MAX };
    /// What leads a fuzzer on; more of the same bytes only costs executions.
    pub const QUICK: Self =
        Self { one: 128 << 10, all: 1 << 20, decoded: 8 << 20, disk: 512 << 20, container: 32 << 20, hive: 2 << 20 };
}

impl Seen {
    pub fn at(look: Look, source: &Source) -> Self {
        Self::within(look, source, Reach::WHOLE)
    }
    pub fn within(look: Look, source: &Source, reach: Reach) -> Self {
        let gaps = Gaps::default();
        let mut seen = Self::default();
        let shown = match look {
            Look::Files(name) => files(name, source, &gaps, reach),
            Look::Table(name) => table(name, source, &gaps, reach),
            Look::Manager(name, count) => manager(name, count, source, &gaps, reach),
            Look::Locked(name, key) => locked(name, key, source, &gaps, reach),
            Look::Container(name) => container(name, source, &gaps, reach),
            Look::Hive => hive(source, &gaps),
        };
        match shown {
            Ok(shown) => (seen.items, seen.places, seen.data, seen.gone) = shown,
            Err(why) => seen.refused = Some(why),
        }
        seen.gaps = gaps.take().iter().map(|g| Told::of(g, source.len())).collect();
        seen
    }
    /// Words that tell one kind of trouble from another, numbers and names left out.
    pub fn words(&self) -> BTreeSet<String> {
        let plain = |text: &str| {
            // Identifiers are letters and digits mixed: none of their parts is a word.
            let all = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
            let words = all.filter(|w| w.len() > 2 && w.bytes().all(|b| b.is_ascii_alphabetic()));
            words.take(12).collect::<Vec<_>>().join(" ")
        };
        self.gaps.iter().map(|g| &g.text).chain(&self.refused).map(|t| plain(t)).collect()
    }
    /// Whether places are known of what is shown: it is of files, not of a disk.
    pub fn has_places(&self) -> bool {
        !self.places.is_empty()
    }
    /// Whether anything says that something is amiss.
    pub fn is_told(&self) -> bool {
        self.refused.is_some() || !self.gaps.is_empty()
    }
    /// What this one does not show, or shows otherwise, of what the intact image has. That of which a part could not be
    /// read, and which says so, is none.
    pub fn differences(&self, intact: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (path, was) in &intact.items {
            let name = String::from_utf8_lossy(path).into_owned();
            let mut add = |text: String, how| found.push(Difference { path: path.clone(), text, how });
            match self.items.get(path) {
                Some(now) if now.unread || now == was => {}
                Some(now) if now.hash == was.hash => {
                    add(format!("{name}: {} not {}", now.told, was.told), "told otherwise");
                }
                Some(now) => add(format!("{name}: {} not {}", now.told, was.told), "content"),
                None => {
                    let elsewhere = |(path, now): (&Vec<u8>, &Shown)| now == was && !intact.items.contains_key(path);
                    let how = match was {
                        _ if self.items.iter().any(elsewhere) => "other name",
                        _ if self.gone.contains(was) => "deleted",
                        _ => "lost",
                    };
                    add(name, how);
                }
            }
        }
        found
    }
    /// Whether a gap of this one says where a file of the intact image is that it does not show as it was: the file's
    /// name, inode or bytes, or those of a folder above it; or that nothing of the volume can be relied on.
    pub fn covers(&self, path: &[u8], intact: &Self) -> bool {
        if self.gaps.iter().any(Told::is_of_all) {
            return true;
        }
        let mut above = path;
        loop {
            let at = intact.places.get(above);
            if self.gaps.iter().any(|g| at.is_some_and(|at| g.covers(above, at)) || g.names_path(above)) {
                return true;
            }
            above = match above.iter().rposition(|b| *b == b'/') {
                Some(0) if above.len() > 1 => b"/",
                Some(n) if n > 0 => &above[..n],
                _ => return false,
            };
        }
    }
}

/// What is shown, and where its bytes lie.
type Items = (BTreeMap<Vec<u8>, Shown>, BTreeMap<Vec<u8>, Where>, Vec<(u64, u64)>, Vec<Shown>);
/// Pieces of one source that are kept.
const PIECES: usize = 4000;

/// Where the bytes of a source lie.
fn places(source: &dyn ReadAt, into: &mut Vec<(u64, u64)>) {
    let run = Run::new(0, source.len().min(1 << 32));
    let stored = |k: PieceKind| matches!(k, PieceKind::Stored | PieceKind::Decoded);
    let pieces = source.locate(run).into_iter().filter(|p| stored(p.kind)).take(PIECES);
    into.extend(pieces.map(|p| (p.offset, p.offset.saturating_add(p.len))));
}

/// The hash of what can be read, and whether all could.
fn hash(source: &dyn ReadAt, most: u64) -> (u32, bool) {
    let mut hash = crc32fast::Hasher::new();
    let mut buf = vec![0; 64 << 10];
    let len = source.len().min(most);
    let (mut at, mut whole) = (0_u64, true);
    while at < len {
        let want = usize::try_from(len - at).unwrap_or(usize::MAX).min(buf.len());
        match source.read_at(at, &mut buf[..want]) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(&buf[..n]);
                at += n as u64;
            }
            Err(_) => {
                whole = false;
                hash.update(b"unread");
                at += want as u64;
            }
        }
    }
    // The end of what is longer, and places: they must come to an end as well.
    if source.len() > len {
        let _ = source.read_at(source.len().saturating_sub(100), &mut buf);
    }
    let run = Run::new(0, source.len().min(1 << 32));
    let sum: u64 = source.locate(run).iter().map(|p| p.len).sum();
    assert_eq!(sum, run.len, "the pieces of a source are not as long as it is");
    (hash.finalize(), whole)
}

fn files(name: &str, source: &Source, gaps: &Gaps, reach: Reach) -> Result<Items, String> {
    let format = fs::ALL.iter().find(|f| f.name == name).ok_or("no such format")?;
    let options = Options { gaps: gaps.clone(), ..Options::default() };
    let fs = (format.open)(source, &options).map_err(|e| e.to_string())?;
    let tree = Tree::index(fs, FsId(0), gaps, &Progress::default()).map_err(|_| "cancelled")?;
    let mut left = reach.all;
    let (mut items, mut whereabouts, mut data, mut gone) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), Vec::new());
    for entry in &tree.entries {
        // What NTFS shows as files of its own is its metadata.
        let is_own = name == "ntfs" && entry.path.bytes().starts_with(b"/$");
        let into = if entry.deleted || is_own { None } else { Some(&mut data) };
        let shown = file(&tree, entry, reach.one, &mut left, into);
        if entry.deleted {
            gone.push(shown);
        } else if !is_own {
            let mut at = Where { node: entry.node.number, data: Vec::new() };
            if let (NodeKind::File | NodeKind::Directory, Ok(source)) = (entry.kind(), tree.open(entry)) {
                places(&*source, &mut at.data);
            }
            whereabouts.insert(entry.path.bytes().to_vec(), at);
            items.insert(entry.path.bytes().to_vec(), shown);
        }
    }
    tree.fs.unallocated();
    data.sort_unstable();
    Ok((items, whereabouts, data, gone))
}

fn file(tree: &Tree, entry: &Entry, most: u64, left: &mut u64, data: Option<&mut Vec<(u64, u64)>>) -> Shown {
    let Some(stat) = &entry.stat else { return Shown { unread: true, ..Shown::default() } };
    let mut xattrs = crc32fast::Hasher::new();
    for (name, value) in &stat.xattrs {
        xattrs.update(name.bytes());
        xattrs.update(value);
    }
    let size = if stat.kind == NodeKind::Directory { 0 } else { stat.len };
    let told = format!("{} of {size}, {:?}, xattrs {:x}", stat.kind.as_str(), stat.device, xattrs.finalize());
    let (hash, whole) = match stat.kind {
        NodeKind::File => match tree.open(entry) {
            Ok(source) => {
                if let Some(data) = data {
                    places(&*source, data);
                }
                let most = most.min(*left);
                *left = left.saturating_sub(source.len().min(most));
                hash(&*source, most)
            }
            Err(_) => (0, false),
        },
        NodeKind::Symlink => match tree.fs.read_link(entry.node) {
            Ok(target) => (crc32fast::hash(&target), true),
            Err(_) => (0, false),
        },
        _ => (0, true),
    };
    Shown { told, hash, unread: !whole }
}

fn shown(told: String, source: &dyn ReadAt, reach: Reach) -> Shown {
    let (hash, whole) = hash(source, reach.all);
    Shown { told, hash, unread: !whole }
}

fn table(name: &str, source: &Source, gaps: &Gaps, reach: Reach) -> Result<Items, String> {
    let scheme = volume::ALL.iter().find(|s| s.name == name).ok_or("no such scheme")?;
    if !(scheme.probe)(source) {
        return Err("not recognised".to_owned());
    }
    let parts = (scheme.read)(source, gaps, Budget::default()).map_err(|e| e.to_string())?;
    let parts = parts.into_iter().filter(|p| p.kind == volume::PartKind::Partition);
    let items = parts
        .map(|p| {
            let told = format!("{} {} {} {}", p.run.offset, p.run.len, p.type_name, p.uuid);
            let bytes = Slice::new(source.clone(), p.run);
            (format!("{} {}", p.index, p.label).into_bytes(), shown(told, &bytes, reach))
        })
        .collect();
    Ok((items, BTreeMap::new(), Vec::new(), Vec::new()))
}

fn manager(name: &str, count: u64, source: &Source, gaps: &Gaps, reach: Reach) -> Result<Items, String> {
    let manager = volume::MANAGERS.iter().find(|m| m.name == name).ok_or("no such manager")?;
    let len = source.len() / count.max(1);
    let slice = |n: u64| Arc::new(Slice::new(source.clone(), Run::new(n * len, len))) as Source;
    let members = (0..count).map(slice).filter(|s| (manager.probe)(s));
    let members: Vec<Member> = members.map(|source| Member { source, gaps: gaps.clone() }).collect();
    for member in &members {
        (manager.size)(&member.source);
    }
    if members.is_empty() {
        return Err("not recognised".to_owned());
    }
    let made = (manager.assemble)(&members, gaps, Budget::default());
    let item = |made: volume::Assembled| {
        let name = format!("{} {}", made.index, made.label).into_bytes();
        let shown = match &made.source {
            Some(source) => shown(format!("{} {} {}", made.type_name, made.uuid, source.len()), &**source, reach),
            None => Shown { unread: true, ..Shown::default() },
        };
        (name, shown)
    };
    Ok((made.into_iter().map(item).collect(), BTreeMap::new(), Vec::new(), Vec::new()))
}

fn locked(name: &str, key: &[u8], source: &Source, gaps: &Gaps, reach: Reach) -> Result<Items, String> {
    let encryption = volume::ENCRYPTIONS.iter().find(|e| e.name == name).ok_or("no such encryption")?;
    if !(encryption.probe)(source) {
        return Err("not recognised".to_owned());
    }
    let keys = [cranescope::base::Key { volume: "v".to_owned(), secret: cranescope::base::Secret(key.to_vec()) }];
    let meant = std::cell::RefCell::default();
    let keys = volume::Keys::new(&keys, "v", &meant);
    let sealed = (encryption.open)(source, &keys, gaps, Budget::default()).map_err(|e| e.to_string())?;
    let content = sealed.content.map_err(|e| format!("{e:?}"))?;
    let told = format!("{} {} at {}", sealed.type_name, content.source.len(), content.offset);
    let items = BTreeMap::from([(b"content".to_vec(), shown(told, &*content.source, reach))]);
    Ok((items, BTreeMap::new(), Vec::new(), Vec::new()))
}

/// Of a disk, how much one item of what is seen covers.
const WINDOW: u64 = 64 << 10;

fn container(name: &str, source: &Source, gaps: &Gaps, reach: Reach) -> Result<Items, String> {
    let format = image::ALL.iter().find(|f| f.name == name).ok_or("no such container")?;
    if !(format.probe)(source) {
        return Err("not recognised".to_owned());
    }
    let budget = Budget { bytes: reach.decoded, ..Budget::default() };
    let opening =
        image::Opening { source: source.clone(), files: &Alone, gaps, budget, store: image::Store::default() };
    let container = (format.open)(&opening).map_err(|e| e.to_string())?;
    let disk = container.disk;
    let len = disk.len();
    let mut items = BTreeMap::from([(b"size".to_vec(), Shown { told: len.to_string(), ..Shown::default() })]);
    for at in (0..len.min(reach.all)).step_by(WINDOW as usize) {
        let window = Slice::new(disk.clone(), Run::new(at, WINDOW.min(len - at)));
        items.insert(format!("window {at:012}").into_bytes(), shown("bytes".to_owned(), &window, reach));
    }
    if len > 1 << 20 {
        let mut buf = vec![0; 4096];
        for at in [len / 2, len - 1, len - 4096] {
            let _ = disk.read_at(at, &mut buf);
        }
    }
    let mut data = Vec::new();
    places(&*disk, &mut data);
    data.sort_unstable();
    Ok((items, BTreeMap::new(), data, Vec::new()))
}

/// The bytes of a hive and of the logs behind it, with where each begins.
pub fn parts_of_hive(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let starts: Vec<usize> = (0..bytes.len())
        .step_by(4096)
        .filter(|at| *at == 0 || bytes[*at..].starts_with(b"regf"))
        .take(4)
        .chain([bytes.len()])
        .collect();
    starts.windows(2).map(|w| (w[0], &bytes[w[0]..w[1]])).collect()
}

fn hive(source: &Source, gaps: &Gaps) -> Result<Items, String> {
    use cranescope::format::hive::Hive;
    let len = usize::try_from(source.len().min(64 << 20)).unwrap_or(0);
    let mut bytes = vec![0; len];
    let read = source.read_at(0, &mut bytes).map_err(|e| e.to_string())?;
    bytes.truncate(read);
    let parts = parts_of_hive(&bytes);
    let (_, own) = parts.first().ok_or("nothing there")?;
    let logs: Vec<Vec<u8>> = parts.iter().skip(1).map(|(_, log)| log.to_vec()).collect();
    let hive = Hive::open(own.to_vec(), &logs)?;
    let place = |run: Run| {
        let (file, run) = hive.lies(run);
        let at = parts.get(file).map_or(0, |p| p.0 as u64) + run.offset;
        (at, at + run.len)
    };
    let (mut items, mut whereabouts, mut data) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    hive.check(&mut |visit| {
        let mut path = b"/".to_vec();
        path.extend(visit.path.iter().map(|b| if *b == b'\\' { b'/' } else { *b }));
        let told = format!("{:?} {:x}", visit.key.written, visit.key.flags);
        items.insert(path.clone(), Shown { told, ..Shown::default() });
        whereabouts.insert(path.clone(), Where { node: u64::MAX, data: vec![place(visit.key.run)] });
        for value in visit.values {
            let mut own = path.clone();
            own.extend_from_slice(b"/value ");
            own.extend_from_slice(value.name.bytes());
            let bytes = hive.data(value, 1 << 20);
            let told = format!("{} {}", value.kind, value.len);
            items.insert(own.clone(), Shown { told, hash: crc32fast::hash(&bytes), unread: false });
            whereabouts.insert(own, Where { node: u64::MAX, data: vec![place(value.run)] });
            data.extend(hive.data_run(value).filter(|_| value.len > 4).map(place));
        }
        hive.class(visit.key);
        hive.subkey(visit.key, "Select");
    });
    for fault in hive.faults() {
        let at = parts.get(fault.file).map_or(0, |p| p.0 as u64) + fault.offset;
        gaps.add_at("hive", "image_offset", at, fault.what, fault.bytes);
    }
    data.sort_unstable();
    Ok((items, whereabouts, data, Vec::new()))
}

/// A source over a disk, shared with who wants to know how much was read.
pub fn source(disk: &Arc<super::Disk>) -> Source {
    disk.clone()
}
