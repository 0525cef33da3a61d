//! The pass over made file systems: every hash against the reference, faults of every kind, any thread count.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
use super::contents::{Done, Job, read_with};
use super::flight::PIECE;
use crate::artifact::{Content, Out, Sight};
use crate::base::{Cancelled, Digest, FsId, Gaps, Md5, Name, NodeId, Piece, PieceKind, Progress, Run, Sha1};
use crate::evidence::{Hashes, Tree};
use crate::fs::{DirEntry, FileSystem, FsError, FsInfo, MemFs, Stat, Stream};
use crate::image::{ReadAt, ReadError, Source};
use crate::inventory::Setting;
use md5::Digest as _;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A file system whose files answer in the ways that hostile or failing ones do, by their names.
struct Odd(MemFs, BTreeMap<u64, &'static str>);
impl Odd {
    fn new(mem: MemFs) -> Self {
        let mut how = BTreeMap::new();
        let mut dirs = vec![mem.root()];
        while let Some(dir) = dirs.pop() {
            let each = &mut |e: DirEntry| {
                let words = ["ends-early", "bad-sector", "panics", "no-open", "monster", "vast"];
                if let Some(word) = words.into_iter().find(|w| e.name.lossy().starts_with(w)) {
                    how.insert(e.node.number, word);
                }
                if e.kind == crate::fs::NodeKind::Directory {
                    dirs.push(e.node);
                }
            };
            mem.read_dir(dir, each).unwrap();
        }
        Self(mem, how)
    }
}
struct OddSource {
    inner: Source,
    how: &'static str,
}
const MONSTER: u64 = 16 << 40;
impl ReadAt for OddSource {
    fn len(&self) -> u64 {
        match self.how {
            "monster" => MONSTER,
            "vast" => 3 << 30,
            "ends-early" => self.inner.len() + 1000,
            _ => self.inner.len(),
        }
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        assert!(self.how != "panics", "index out of bounds");
        let bad = 3000;
        if self.how == "bad-sector" && offset <= bad && bad < offset + buf.len() as u64 {
            return Err(ReadError { offset: bad, what: "input/output error".into() });
        }
        let n = self.inner.read_at(offset, buf)?;
        if matches!(self.how, "monster" | "vast") {
            buf[n..].fill(0);
            return Ok(buf.len());
        }
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let stored = self.inner.len();
        vec![
            Piece { image: 0, offset: 4096, len: stored.min(bytes.len), kind: PieceKind::Stored },
            Piece { image: 0, offset: 0, len: bytes.len.saturating_sub(stored), kind: PieceKind::Hole },
        ]
    }
}
impl FileSystem for Odd {
    fn info(&self) -> &FsInfo {
        self.0.info()
    }
    fn root(&self) -> NodeId {
        self.0.root()
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        self.0.read_dir(dir, each)
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let stat = self.0.stat(node)?;
        let len = match self.1.get(&node.number) {
            Some(&"monster") => MONSTER,
            Some(&"vast") => 3 << 30,
            _ => stat.len,
        };
        Ok(Stat { len, ..stat })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        self.0.read_link(node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        let how = self.1.get(&node.number).copied().unwrap_or_default();
        if how == "no-open" {
            return Err(FsError::Corrupt { at: 77, what: "extent tree".into() });
        }
        Ok(Arc::new(OddSource { inner: self.0.open(node, stream)?, how }))
    }
}

/// Takes every file that begins with `!`; its row is the content's length and last byte.
static COUNTS: Content = Content {
    name: "test.counts",
    about: "",
    wants: |_, head| head.starts_with(b"!"),
    consume: |sight: &Sight<'_>, bytes: &[u8], out: &Out| {
        let value = format!("{} {:?}", bytes.len(), bytes.last());
        out.push(Setting { value, evidence: sight.evidence.clone(), ..Setting::default() });
    },
};
static PANICS: Content = Content {
    name: "test.panics",
    about: "",
    wants: |_, head| head.starts_with(b"!!"),
    consume: |_, bytes, _| assert!(bytes.is_empty(), "attempt to subtract with overflow"),
};

fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x.to_le_bytes()[2]
    };
    (0..len).map(next).collect()
}

fn tree(files: Vec<(String, Vec<u8>)>) -> Tree {
    let mut mem = MemFs::parse("");
    for (path, data) in files {
        mem.add(&path, data);
    }
    let gaps = Gaps::default();
    Tree::index(Arc::new(Odd::new(mem)), FsId(0), &gaps, &Progress::default()).unwrap()
}

/// All files of a tree, with MD5 unless the name says otherwise.
fn pass(tree: &Tree, threads: usize) -> BTreeMap<Name, Done> {
    let jobs: Vec<Job> = tree
        .entries
        .iter()
        .filter(|e| e.is_file())
        .map(|entry| {
            let want_md5 = !entry.path.lossy().contains("no-md5");
            let known =
                entry.path.lossy().contains("known").then_some(Hashes { sha256: Digest([7; 32]), md5: Md5([7; 16]) });
            let want_sha1 = entry.path.lossy().contains("sha1");
            Job { entry, tree, system: None, want_md5, want_sha1, known, parse: true }
        })
        .collect();
    let done = Mutex::new(BTreeMap::new());
    let parsed = AtomicUsize::new(0);
    let before = |_: usize| {
        parsed.fetch_add(1, Ordering::Relaxed);
        true
    };
    let sink = |mut d: Done| {
        d.gaps.sort();
        let twice = done.lock().unwrap().insert(jobs[d.job].entry.path.clone(), d);
        assert!(twice.is_none());
    };
    read_with(&jobs, &[&COUNTS, &PANICS], threads, &Progress::default(), &|_, _| (), &before, &sink).unwrap();
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), jobs.len());
    done
}

#[test]
fn hashes_are_right_whatever_the_sizes_and_threads() {
    let mut files: Vec<(String, Vec<u8>)> = (0..300).map(|n| (format!("/s/{n}"), noise(n as u32, n))).collect();
    for n in 0..60_usize {
        let len = n * n * 211 + n;
        files.push((format!("/m/{n}{}", ["-no-md5", "-sha1", ""][n % 7 / 3]), noise(1000 + n as u32, len)));
    }
    // Large ones: read in pieces, ends on and around the piece's edge and that of what is kept, some wanted whole.
    let edges = [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 63, 3 * PIECE + 56];
    let larger = [(4 << 20) - 1, 4 << 20, (4 << 20) + 1, (6 << 20) + 56, 9_000_001];
    for (n, len) in edges.into_iter().chain(larger).enumerate() {
        files.push((format!("/l/{n}"), noise(5000 + n as u32, len)));
        let mut wanted = noise(6000 + n as u32, len);
        wanted[0] = b'!';
        wanted[1] = b'x';
        files.push((format!("/w/{n}"), wanted));
    }
    // More than one thread may hold at once, read again one by one.
    for n in 0..3 {
        let mut wanted = noise(7000 + n, 23 << 20);
        wanted[..2].copy_from_slice(b"!x");
        files.push((format!("/h/{n}"), wanted));
    }
    let expected: BTreeMap<Name, Vec<u8>> = files.iter().map(|(p, d)| (Name::from(p.as_str()), d.clone())).collect();
    let tree = tree(files);
    let one = pass(&tree, 1);
    for (path, done) in &one {
        let data = &expected[path];
        assert_eq!(done.sha256, Some(Digest(sha2::Sha256::digest(data).into())), "{path}");
        let md5 = (!path.lossy().contains("no-md5")).then(|| Md5(md5::Md5::digest(data).into()));
        assert_eq!(done.md5, md5, "{path}");
        let sha1 = path.lossy().contains("sha1").then(|| Sha1(sha1::Sha1::digest(data).into()));
        assert_eq!(done.sha1, sha1, "{path}");
        assert_eq!((&*done.unhashed, done.gaps.len()), ("", 0), "{path}");
        let wanted = data.starts_with(b"!");
        assert_eq!(done.rows.len(), usize::from(wanted), "{path}");
        if wanted {
            let row = &done.rows[0];
            let value = row.value(row.table().column("value").unwrap()).to_string();
            assert_eq!(value, format!("{} {:?}", data.len(), data.last()), "{path}");
            assert_eq!(row.evidence().sha256, done.sha256);
            assert_eq!(row.evidence().image_runs, done.runs);
        }
        assert_eq!(done.runs.iter().map(|r| r.len).sum::<u64>(), data.len() as u64);
    }
    for threads in [3] {
        let more = pass(&tree, threads);
        for (path, done) in &one {
            let other = &more[path];
            assert_eq!((done.sha256, done.md5, done.content), (other.sha256, other.md5, other.content), "{path}");
            assert_eq!((&done.rows, &done.gaps, &done.runs), (&other.rows, &other.gaps, &other.runs), "{path}");
        }
    }
}

#[test]
fn what_fails_costs_its_own_file_and_says_so() {
    let mut vast = b"!x".to_vec();
    vast.resize(5000, 1);
    let files = [
        ("bad-sector", noise(1, 10_000)),
        ("bad-sector-large", noise(2, 5 << 20)),
        ("ends-early", noise(3, 10_000)),
        ("panics", noise(4, 100)),
        ("panics-large", noise(4, 3 << 20)),
        ("no-open", noise(5, 100)),
        ("monster", noise(6, 100)),
        ("vast", vast),
        ("!!both", b"!!x".to_vec()),
        ("known", b"!known".to_vec()),
        ("known-2", b"plain".to_vec()),
        ("fine", b"text\n".to_vec()),
    ];
    let tree = tree(files.into_iter().map(|(n, d)| (format!("/{n}"), d)).collect());
    for threads in [1, 3] {
        let done = pass(&tree, threads);
        let of = |name: &str| &done[&Name::from(format!("/{name}"))];
        let told = |name: &str| of(name).gaps.iter().map(|g| g.what.clone()).collect::<Vec<_>>();
        for name in ["bad-sector", "bad-sector-large"] {
            let gap = &of(name).gaps[0];
            assert_eq!(gap.at.offset, Some(("file_offset".into(), 3000)), "{name}");
            assert!(gap.what.contains("input/output error"));
            assert_eq!((of(name).sha256, of(name).md5, &*of(name).unhashed), (None, None, "read error"), "{name}");
        }
        assert_eq!(told("ends-early"), ["content not read: it ends before its size"]);
        for name in ["panics", "panics-large"] {
            assert!(told(name)[0].contains("parser fault in the file system's reader: index out"), "{:?}", told(name));
            assert_eq!(&*of(name).unhashed, "read error");
        }
        assert_eq!(told("no-open"), ["content not read: damaged at volume_offset 77: extent tree"]);
        assert_eq!((&*of("monster").unhashed, of("monster").sha256), ("sparse: 100 bytes allocated", None));
        assert_eq!(told("monster"), Vec::<String>::new());
        assert_eq!((&*of("vast").unhashed, of("vast").rows.len()), ("sparse: 5000 bytes allocated", 1));
        assert!(told("vast")[0].contains("longer than 268435456 bytes"));
        let both = of("!!both");
        assert_eq!(both.rows.len(), 1, "the other reader's rows stay");
        assert_eq!(told("!!both"), ["parser fault in test.panics: attempt to subtract with overflow"]);
        assert_eq!(both.gaps[0].at.path, Some(Name::from("/!!both")));
        assert!(both.sha256.is_some());
        assert_eq!((of("known").sha256, of("known").md5), (Some(Digest([7; 32])), Some(Md5([7; 16]))));
        assert_eq!((of("known").rows.len(), of("known-2").rows.len()), (1, 0));
        assert_eq!((of("known-2").content, of("fine").content, of("monster").content), ("text", "text", "data"));
    }
}

#[test]
fn it_can_be_cancelled_and_readers_can_be_left_out() {
    let tree = tree((0..50).map(|n| (format!("/{n}"), format!("!x{n}").into_bytes())).collect());
    let jobs: Vec<Job> = tree
        .entries
        .iter()
        .filter(|e| e.is_file())
        .map(|entry| Job {
            entry,
            tree: &tree,
            system: None,
            want_md5: false,
            want_sha1: false,
            known: None,
            parse: true,
        })
        .collect();
    let rows = AtomicUsize::new(0);
    let count = |d: Done| {
        rows.fetch_add(d.rows.len(), Ordering::Relaxed);
    };
    let progress = Progress::default();
    read_with(&jobs, &[&COUNTS], 2, &progress, &|_, _| (), &|job| job % 2 == 0, &count).unwrap();
    assert_eq!(rows.load(Ordering::Relaxed), 25);
    progress.cancel();
    assert_eq!(read_with(&jobs, &[&COUNTS], 2, &progress, &|_, _| (), &|_| true, &count), Err(Cancelled));
}
