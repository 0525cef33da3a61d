//! One installed operating system: its file systems joined as it would mount them.
use super::glob::{fixed_part, matches};
use super::namespace::same_view;
use super::tree::{Cover, Entry, Tree, image_runs};
use super::view::{Folder, View, below, joined};
use super::walk::{MAX_PATH, walk};
use crate::base::{Digest, Evidence, FsId, Md5, Name, NodeId, Run};
use crate::fs::FsError;
use crate::image::Source;
use crate::inventory::SystemInfo;
use md5::Md5 as Md5Hasher;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Lists remembered by [`System::line_set`], and the longest one.
const MAX_LINE_SETS: usize = 32;
const LINE_SET_LIMIT: u64 = 4 << 20;
type LineSets = HashMap<(FsId, NodeId), Option<Arc<HashSet<Vec<u8>>>>>;

/// Hashes of a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    pub sha256: Digest,
    pub md5: Md5,
}

pub struct System {
    /// Index within the case.
    pub index: u32,
    pub info: SystemInfo,
    trees: Vec<Arc<Tree>>,
    /// Sorted by path in the running system; deleted entries are not among them.
    entries: Vec<Entry>,
    /// What lies below mounts and in layers and is not seen, at the paths where it would stand.
    covered: Vec<Entry>,
    /// Which folder of which file system stands where; in merged trees, with the name of the layer.
    places: Vec<Place>,
    /// Folders that are shown under another path as well: path, and where their entries stand.
    aliases: Vec<(Vec<u8>, Name)>,
    /// Directory path as asked → as it is, links followed.
    canonical: Mutex<HashMap<Vec<u8>, Option<Name>>>,
    /// Files that were asked for line by line again and again; see [`Self::line_set`].
    line_sets: Mutex<LineSets>,
    /// Files that were read whole, with their hashes once somebody asked: most are lists that nothing is cited from.
    hashed: Mutex<HashMap<(FsId, NodeId), Option<Hashes>>>,
    /// Numbers of the entries by the hashes of their paths in lower case, sorted; see [`Self::folded`].
    folded: OnceLock<Vec<(u64, u32)>>,
}

/// A small file, read whole or up to a limit.
pub struct Text<'a> {
    pub entry: &'a Entry,
    pub bytes: Vec<u8>,
    /// The file is longer than what was read.
    pub truncated: bool,
    system: &'a System,
    source: Source,
}

impl System {
    /// Joins trees at their mount points: `(mount point without trailing slash, tree)`, the root as `""`.
    /// What a later mount covers is not part of the system.
    pub fn new(index: u32, info: SystemInfo, mounts: Vec<(Vec<u8>, Arc<Tree>)>) -> Self {
        let shown = |(at, tree)| Shown { at, folder: Folder::root(tree), without: Vec::new() };
        Self::of(index, info, mounts.into_iter().map(shown).collect(), Vec::new())
    }
    /// Joins folders of views at their mount points. Of two at one place the later counts.
    pub(super) fn of(index: u32, info: SystemInfo, mut mounts: Vec<Shown>, aliases: Vec<(Vec<u8>, Name)>) -> Self {
        mounts.sort_by(|a, b| a.at.cmp(&b.at));
        let mut out = Joined::default();
        for (number, mount) in mounts.iter().enumerate() {
            let covers = |(other, m): (usize, &Shown)| {
                let deeper = m.at.len() > mount.at.len() && below(&m.at, &mount.at).is_some();
                (deeper || (m.at == mount.at && other > number)).then(|| m.at.clone())
            };
            let over: Vec<Vec<u8>> = mounts.iter().enumerate().filter_map(covers).collect();
            // What a layer of an overlay holds is told there.
            let layers = mounts.iter().filter_map(|m| match &m.folder.view {
                View::Merged(merged) => Some(merged.from.iter().filter(|f| same_view(&f.view, &mount.folder.view))),
                View::Tree(_) => None,
            });
            let layers: Vec<&[u8]> = layers.flatten().map(|f| f.path.as_slice()).collect();
            out.add(mount, &over, &layers);
        }
        let Joined { mut entries, mut covered, places, trees } = out;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        covered.sort_by(|a, b| (&a.path, a.fs, a.node, a.covered).cmp(&(&b.path, b.fs, b.node, b.covered)));
        Self {
            index,
            info,
            trees,
            entries,
            covered,
            places,
            aliases,
            canonical: Mutex::default(),
            line_sets: Mutex::default(),
            hashed: Mutex::default(),
            folded: OnceLock::new(),
        }
    }
    /// What lies on the disks of this system and is not seen: below mounts, in lower layers. Sorted by path.
    pub fn covered(&self) -> &[Entry] {
        &self.covered
    }
    /// Whether an entry of a file system, at its path there, is one of this system, seen or covered.
    pub fn holds(&self, entry: &Entry) -> bool {
        self.place(entry).is_some()
    }
    /// A deleted entry as this system would show it; `None` if it stands in nothing that it shows.
    pub fn deleted(&self, entry: &Entry) -> Option<Entry> {
        let place = self.place(entry)?;
        let path = joined(&place.at, below(entry.path.bytes(), &place.folder)?);
        Some(Entry { path, layer: place.layer.clone(), ..entry.clone() })
    }
    fn place(&self, entry: &Entry) -> Option<&Place> {
        let inside = |p: &&Place| p.fs == entry.fs && below(entry.path.bytes(), &p.folder).is_some();
        self.places.iter().filter(inside).max_by_key(|p| p.folder.len())
    }
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    pub fn trees(&self) -> &[Arc<Tree>] {
        &self.trees
    }
    fn tree(&self, id: FsId) -> Option<&Arc<Tree>> {
        self.trees.iter().find(|t| t.id == id)
    }
    /// The entry at exactly this path; links are not followed.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Entry> {
        let path = path.as_ref();
        let at = self.entries.partition_point(|e| e.path.bytes() < path);
        self.entries.get(at).filter(|e| e.path.bytes() == path)
    }
    /// The entry at a path whose letters may be of another case, as Windows looks it up; of several the first.
    /// Links are not followed.
    pub fn folded(&self, path: &str) -> Option<&Entry> {
        let lower = |path: &str| path.to_lowercase();
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let all = self.folded.get_or_init(|| {
            let of = |(n, e): (usize, &Entry)| Some((hash(&lower(&e.path.lossy())), u32::try_from(n).ok()?));
            let mut all: Vec<(u64, u32)> = self.entries.iter().enumerate().filter_map(of).collect();
            all.sort_unstable();
            all
        });
        let wanted = lower(path);
        let key = hash(&wanted);
        let from = all.partition_point(|(h, _)| *h < key);
        let same = all.iter().skip(from).take_while(|(h, _)| *h == key);
        let entries = same.filter_map(|(_, n)| self.entries.get(usize::try_from(*n).ok()?));
        entries.into_iter().find(|e| lower(&e.path.lossy()) == wanted)
    }
    /// The entry a program would reach under this path: links followed, inside the image only.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Option<&Entry> {
        self.get(self.canonical(path.as_ref())?.bytes())
    }
    /// The path as it is, with every link in it followed and `.`/`..` resolved; `None` if nothing is there.
    pub fn canonical(&self, path: &[u8]) -> Option<Name> {
        if path.len() > MAX_PATH {
            return None;
        }
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let cut = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        let (dir, name) = path.split_at(cut);
        self.walk(self.directory(dir)?, name)
    }
    /// Goes `path` from a directory that is canonical already.
    fn walk(&self, from: Name, path: &[u8]) -> Option<Name> {
        let aliased = |p: &[u8]| self.aliases.iter().find(|(at, _)| at == p).map(|(_, to)| to.clone());
        walk(from, path, &|p| self.get(p), &|e| self.link_target(e), &aliased)
    }
    /// [`Self::canonical`] for directories, remembered: package lists ask for the same ones again and again.
    fn directory(&self, dir: &[u8]) -> Option<Name> {
        let known = |dir: &[u8]| self.canonical.lock().unwrap_or_else(PoisonError::into_inner).get(dir).cloned();
        let mut head = dir;
        let mut from = Some(Name::from("/"));
        while !head.is_empty() {
            if let Some(found) = known(head) {
                from = found;
                break;
            }
            head = head.get(..head.iter().rposition(|b| *b == b'/').unwrap_or(0)).unwrap_or_default();
        }
        // A link in the head counts against its own limit only, as the head stands for a directory.
        let found = from.and_then(|from| self.walk(from, dir.get(head.len()..).unwrap_or_default()));
        if !dir.is_empty() {
            self.canonical.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_vec(), found.clone());
        }
        found
    }
    /// What a symlink points to, as stored.
    pub fn link_target(&self, entry: &Entry) -> Option<Name> {
        self.tree(entry.fs)?.fs.read_link(entry.node).ok().map(Name::from)
    }
    /// Live entries whose path fits the pattern (see [`matches`]), sorted. The fixed part of the
    /// pattern is resolved through links, so `/lib/systemd/**` finds what lies in `/usr/lib/systemd`;
    /// paths come back as they are.
    pub fn glob(&self, pattern: &str) -> Vec<&Entry> {
        let fixed = fixed_part(pattern);
        let rest = pattern.get(fixed.len()..).unwrap_or_default();
        if rest.is_empty() {
            return self.resolve(fixed).into_iter().collect();
        }
        let Some(dir) = self.canonical(fixed.as_bytes()) else {
            return Vec::new();
        };
        let mut prefix = dir.bytes().to_vec();
        if prefix != b"/" {
            prefix.push(b'/');
        }
        let full = [prefix.as_slice(), rest.as_bytes()].concat();
        let at = self.entries.partition_point(|e| e.path.bytes() < prefix.as_slice());
        self.entries
            .iter()
            .skip(at)
            .take_while(|e| e.path.bytes().starts_with(&prefix))
            .filter(|e| matches(&full, e.path.bytes()))
            .collect()
    }
    /// All entries whose path starts with `prefix`, sorted.
    pub fn below<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a Entry> {
        let at = self.entries.partition_point(|e| e.path.bytes() < prefix);
        self.entries.iter().skip(at).take_while(move |e| e.path.bytes().starts_with(prefix))
    }
    /// Opens a file's bytes.
    pub fn open(&self, entry: &Entry) -> Result<Source, FsError> {
        self.tree(entry.fs).ok_or(FsError::NotFound(entry.node))?.open(entry)
    }
    /// Reads a regular file, at most `limit` bytes of it. A file that was read whole is hashed once something
    /// is cited from it.
    pub fn read<'a>(&'a self, entry: &'a Entry, limit: u64) -> Result<Text<'a>, FsError> {
        let source = self.open(entry)?;
        let len = source.len().min(limit);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let n = source.read_at(0, &mut bytes)?;
        bytes.truncate(n);
        let truncated = source.len() > limit;
        if !truncated {
            let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
            hashed.entry((entry.fs, entry.node)).or_default();
        }
        Ok(Text { entry, bytes, truncated, system: self, source })
    }
    /// The hashes of a file that [`Self::read`] has read whole.
    pub fn hashes(&self, entry: &Entry) -> Option<Hashes> {
        self.hashes_of(entry, None)
    }
    /// The hashes of a file that was hashed already.
    pub fn known_hashes(&self, entry: &Entry) -> Option<Hashes> {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).get(&(entry.fs, entry.node)).copied().flatten()
    }
    /// [`Self::hashes`]; `bytes` is its content, if it is at hand.
    fn hashes_of(&self, entry: &Entry, bytes: Option<&[u8]>) -> Option<Hashes> {
        let key = (entry.fs, entry.node);
        let known = *self.hashed.lock().unwrap_or_else(PoisonError::into_inner).get(&key)?;
        if known.is_some() {
            return known;
        }
        let mut again = Vec::new();
        let bytes = if let Some(bytes) = bytes {
            bytes
        } else {
            let source = self.open(entry).ok()?;
            again.resize(usize::try_from(source.len()).ok()?, 0);
            let n = source.read_at(0, &mut again).ok()?;
            again.get(..n)?
        };
        let hashes = Hashes { sha256: Digest(Sha256::digest(bytes).into()), md5: Md5(Md5Hasher::digest(bytes).into()) };
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Some(hashes));
        Some(hashes)
    }
    /// The lines of a list that many files are looked up in (`modules.order`), read once and shared; `None`
    /// if it cannot be read whole. Only the first few such lists are kept, so memory stays bounded.
    pub fn line_set(&self, entry: &Entry) -> Option<Arc<HashSet<Vec<u8>>>> {
        let key = (entry.fs, entry.node);
        let mut sets = self.line_sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.get(&key) {
            return known.clone();
        }
        let text = self.read(entry, LINE_SET_LIMIT).ok().filter(|t| !t.truncated);
        let set = text.map(|t| Arc::new(t.bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<HashSet<_>>()));
        if sets.len() < MAX_LINE_SETS {
            sets.insert(key, set.clone());
        }
        set
    }
    /// The file as a whole as evidence.
    pub fn evidence(&self, entry: &Entry) -> Evidence {
        let mut evidence = self.tree(entry.fs).map(|t| t.evidence(entry, None)).unwrap_or_default();
        evidence.path = entry.path.clone();
        evidence.sha256 = self.hashes(entry).map(|h| h.sha256);
        evidence
    }
}

/// A folder of a view, mounted.
pub(super) struct Shown {
    /// Mount point without trailing slash; `""` for the root.
    pub(super) at: Vec<u8>,
    pub(super) folder: Folder,
    /// Folders of the view that stand elsewhere in the system, and are left out here.
    pub(super) without: Vec<Vec<u8>>,
}

/// Where a folder of a file system stands in the running system.
struct Place {
    fs: FsId,
    folder: Vec<u8>,
    at: Vec<u8>,
    layer: Option<Arc<str>>,
}

#[derive(Default)]
struct Joined {
    entries: Vec<Entry>,
    covered: Vec<Entry>,
    places: Vec<Place>,
    trees: Vec<Arc<Tree>>,
}
impl Joined {
    /// Enters what a mount shows; `over` are the mount points that cover parts of it, `layers` the folders of
    /// its view that are layers of an overlay.
    fn add(&mut self, mount: &Shown, over: &[Vec<u8>], layers: &[&[u8]]) {
        let Folder { view, path: folder } = &mount.folder;
        for tree in view.trees() {
            if !self.trees.iter().any(|t| t.id == tree.id) {
                self.trees.push(tree.clone());
            }
        }
        let place = |fs, folder: Vec<u8>, layer| Place { fs, folder, at: mount.at.clone(), layer };
        match view {
            View::Tree(tree) => self.places.push(place(tree.id, folder.clone(), None)),
            View::Merged(merged) => {
                let inner = merged.layers.iter();
                self.places.extend(inner.map(|(fs, path, name)| {
                    place(*fs, [path.as_slice(), folder.as_slice()].concat(), Some(name.clone()))
                }));
            }
        }
        let elsewhere = |p: &[u8]| mount.without.iter().any(|w| below(p, w).is_some());
        for e in view.entries().iter().filter(|e| !e.deleted) {
            let Some(rest) = below(e.path.bytes(), folder) else { continue };
            if elsewhere(e.path.bytes()) {
                continue;
            }
            let entry = Entry { path: joined(&mount.at, rest), ..e.clone() };
            if over.iter().any(|m| below(entry.path.bytes(), m).is_some()) {
                if layers.iter().any(|l| below(e.path.bytes(), l).is_some()) {
                    continue;
                }
                self.covered.push(Entry { covered: Cover::Mount, ..entry });
            } else {
                self.entries.push(entry);
            }
        }
        if let View::Merged(merged) = view {
            for e in &merged.covered {
                let Some(rest) = below(e.path.bytes(), folder).filter(|_| !elsewhere(e.path.bytes())) else { continue };
                self.covered.push(Entry { path: joined(&mount.at, rest), ..e.clone() });
            }
        }
    }
}

/// Longest excerpt of a line that goes into the case.
const EXCERPT: usize = 300;

impl<'a> Text<'a> {
    /// The system it was read in.
    pub fn system(&self) -> &'a System {
        self.system
    }
    /// Lines with their 1-based number and byte range, without the line end; bytes that are no UTF-8 are
    /// replaced (the evidence keeps the exact range).
    pub fn lines(&self) -> impl Iterator<Item = (u32, std::borrow::Cow<'_, str>, Run)> {
        let mut at = 0_u64;
        let mut number = 0_u32;
        self.bytes.split(|b| *b == b'\n').map(move |line| {
            let run = Run::new(at, line.len() as u64);
            at = at.saturating_add(line.len() as u64).saturating_add(1);
            number = number.saturating_add(1);
            (number, String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)), run)
        })
    }
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
    /// The whole file as evidence.
    pub fn evidence(&self) -> Evidence {
        self.at(None, None, None)
    }
    /// One line as evidence, with its bytes in the image and an excerpt.
    pub fn line(&self, number: u32) -> Evidence {
        let line = self.lines().find(|(n, ..)| *n == number);
        let run = line.as_ref().map(|l| l.2);
        let excerpt = line.map(|l| excerpt(&l.1));
        Evidence { line: Some(number), excerpt, ..self.at(run, None, None) }
    }
    /// A line whose range is known (cheaper than [`Self::line`] in a loop).
    pub fn line_at(&self, number: u32, run: Run) -> Evidence {
        let bytes = usize::try_from(run.offset)
            .ok()
            .zip(usize::try_from(run.end()).ok())
            .and_then(|(a, b)| self.bytes.get(a..b));
        let text = bytes.map(|b| excerpt(&String::from_utf8_lossy(b)));
        Evidence { line: Some(number), excerpt: text, ..self.at(Some(run), None, None) }
    }
    /// [`Self::line_at`] without an excerpt, for who shows another one of a line that may be long.
    pub fn place(&self, number: u32, run: Run) -> Evidence {
        Evidence { line: Some(number), ..self.at(Some(run), None, None) }
    }
    /// A key (INI section and key, JSON pointer) as evidence.
    pub fn key(&self, line: Option<u32>, key: &str) -> Evidence {
        let mut evidence = line.map_or_else(|| self.evidence(), |l| self.line(l));
        evidence.key = Some(key.to_owned());
        evidence
    }
    fn at(&self, range: Option<Run>, line: Option<u32>, key: Option<String>) -> Evidence {
        Evidence {
            filesystem: self.entry.fs,
            path: self.entry.path.clone(),
            node: self.entry.node,
            deleted: self.entry.deleted,
            sha256: self.system.hashes_of(self.entry, (!self.truncated).then_some(&self.bytes)).map(|h| h.sha256),
            range,
            image_runs: image_runs(&self.source, range),
            line,
            key,
            excerpt: None,
        }
    }
}

fn excerpt(line: &str) -> String {
    line.trim_end().chars().take(EXCERPT).collect()
}
