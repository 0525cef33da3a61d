//! Makes images, mounts them with ntfs-3g, and looks into them.
use cranescope::base::{FsId, Gap, Gaps, Name, PieceKind, Progress, Run};
use cranescope::evidence::{Entry, Tree};
use cranescope::fs::{self, FileSystem, FsError, NodeKind, Options};
use cranescope::image::{Alone, OpenFile, Source};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

fn tool(name: &str) -> Command {
    let path = ["/usr/sbin", "/sbin", "/usr/bin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists());
    let mut command = Command::new(path.unwrap_or_else(|| name.into()));
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Whether images can be made and mounted; says so where they cannot.
pub(super) fn tools() -> bool {
    let found = ["mkntfs", "ntfs-3g", "umount"].iter().all(|t| tool(t).arg("-V").output().is_ok());
    let fuse = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !found || !fuse {
        eprintln!("skipped: ntfs-3g is not installed, or FUSE cannot be used");
    }
    found && fuse
}

pub(super) struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    /// An empty file system of so many MiB.
    pub(super) fn make(options: &[&str], mib: u64) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::File::create(image.path()).unwrap().set_len(mib << 20).unwrap();
        let out = tool("mkntfs").args(["-F", "-q", "-Q"]).args(options).arg(image.path()).output().unwrap();
        assert!(out.status.success(), "mkntfs: {}", String::from_utf8_lossy(&out.stderr));
        image
    }
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(image.path(), bytes).unwrap();
        image
    }
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }
    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
    /// Mounts it; unmounted when the value goes.
    pub(super) fn mount(&self, options: &str) -> Mount {
        let at = self.dir.path().join("mount");
        std::fs::create_dir_all(&at).unwrap();
        let out = tool("ntfs-3g").args(["-o", options]).arg(self.path()).arg(&at).output().unwrap();
        assert!(out.status.success(), "ntfs-3g: {}", String::from_utf8_lossy(&out.stderr));
        Mount { at }
    }
    /// Writes into it through a mount.
    pub(super) fn write(&self, fill: impl FnOnce(&Path)) {
        let mount = self.mount("compression,streams_interface=windows,no_def_opts");
        fill(&mount.at);
    }
    pub(super) fn source(&self) -> Source {
        let file = std::fs::File::open(self.path()).unwrap();
        let len = file.metadata().unwrap().len();
        let source = Arc::new(OpenFile::new(file, "image".into(), len));
        cranescope::image::open(source, 0, &Alone, &Gaps::default()).unwrap().1.disk
    }
    pub(super) fn look(&self) -> Look {
        Look::at(&self.source()).unwrap()
    }
}

pub(super) struct Mount {
    pub(super) at: PathBuf,
}
impl Drop for Mount {
    fn drop(&mut self) {
        let out = tool("umount").arg(&self.at).output().unwrap();
        assert!(out.status.success() || std::thread::panicking(), "umount");
        // The driver goes on writing for a moment after the mount point is free.
        for _ in 0..200 {
            let busy = Command::new("pgrep").arg("-f").arg(&self.at).output().is_ok_and(|o| o.status.success());
            if !busy {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// An image opened and walked.
pub(super) struct Look {
    pub(super) tree: Tree,
    pub(super) gaps: Gaps,
}

pub(super) fn format() -> &'static fs::Format {
    fs::ALL.iter().find(|f| f.name == "ntfs").unwrap()
}

impl Look {
    pub(super) fn at(source: &Source) -> Result<Self, FsError> {
        let gaps = Gaps::default();
        let options = Options { gaps: gaps.clone(), ..Options::default() };
        let fs = (format().open)(source, &options)?;
        let tree = Tree::index(fs, FsId(0), &gaps, &Progress::default()).unwrap();
        Ok(Self { tree, gaps })
    }
    pub(super) fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.tree.fs
    }
    pub(super) fn get(&self, path: impl AsRef<[u8]>) -> &Entry {
        let path = path.as_ref();
        self.tree.get(path).unwrap_or_else(|| panic!("{} is not listed", Name::new(path)))
    }
    pub(super) fn read(&self, path: impl AsRef<[u8]>) -> Vec<u8> {
        self.content(self.get(path)).unwrap()
    }
    pub(super) fn content(&self, entry: &Entry) -> Result<Vec<u8>, FsError> {
        let source = self.tree.open(entry)?;
        let mut bytes = vec![0; usize::try_from(source.len().min(64 << 20)).unwrap()];
        let n = source.read_at(0, &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }
    pub(super) fn gaps(&self) -> Vec<Gap> {
        self.gaps.take()
    }
    pub(super) fn live(&self) -> impl Iterator<Item = &Entry> {
        self.tree.entries.iter().filter(|e| !e.deleted)
    }
    pub(super) fn gone(&self) -> impl Iterator<Item = &Entry> {
        self.tree.entries.iter().filter(|e| e.deleted)
    }
}

/// Every file's bytes must also be where `locate` says they are.
pub(super) fn check_places(look: &Look, image: &Image) {
    let raw = image.bytes();
    for entry in look.live().filter(|e| e.is_file()) {
        let Ok(source) = look.tree.open(entry) else { continue };
        let Ok(bytes) = look.content(entry) else { continue };
        let mut at = 0_usize;
        for piece in source.locate(Run::new(0, bytes.len() as u64)) {
            let len = usize::try_from(piece.len).unwrap();
            let got = &bytes[at..at + len];
            match piece.kind {
                PieceKind::Stored => {
                    let from = usize::try_from(piece.offset).unwrap();
                    assert!(got == &raw[from..from + len], "{}", entry.path);
                }
                PieceKind::Hole => assert!(got.iter().all(|b| *b == 0), "{}", entry.path),
                PieceKind::Absent => panic!("{}: a whole image lacks nothing", entry.path),
                PieceKind::Decoded => {}
            }
            at += len;
        }
        assert_eq!(at, bytes.len(), "pieces of {}", entry.path);
        // A part of it, off any boundary.
        let part = Run::new(3, (bytes.len() as u64).saturating_sub(5));
        let sum: u64 = source.locate(part).iter().map(|p| p.len).sum();
        assert_eq!(sum, part.len.min((bytes.len() as u64).saturating_sub(3)), "{}", entry.path);
        // Read piece by piece it is the same.
        let mut buf = [0; 777];
        for at in [1, 500, 511, 4095, 65_530, 70_001].into_iter().filter(|at| *at < bytes.len()) {
            let n = source.read_at(at as u64, &mut buf).unwrap();
            assert!(buf[..n] == bytes[at..(at + 777).min(bytes.len())], "{} at {at}", entry.path);
        }
    }
}

/// A fixed sequence of numbers (SplitMix64).
pub(super) struct Random(pub(super) u64);
impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Bytes that differ at every place.
pub(super) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Text that compresses, and not by repeating itself only.
pub(super) fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["crane", "gantry", "hoist", "spreader", "trolley", "boom", "winch", "quay"];
    let mut random = Random(seed);
    let mut out = Vec::with_capacity(len + 32);
    while out.len() < len {
        let word = WORDS[usize::try_from(random.below(8)).unwrap()];
        out.extend_from_slice(format!("{word} {} ", random.below(1000)).as_bytes());
    }
    out.truncate(len);
    out
}

/// Compares the live tree with a mounted one: names, kinds, sizes, times to the last digit, link
/// targets and every byte. The file system's own files and named streams are left out.
pub(super) fn compare(look: &Look, root: &Path) -> usize {
    let mut wanted = Vec::new();
    let mut todo = vec![(root.to_path_buf(), b"".to_vec())];
    while let Some((dir, path)) = todo.pop() {
        for item in std::fs::read_dir(&dir).unwrap() {
            let item = item.unwrap();
            let path = [&path, b"/".as_slice(), item.file_name().as_bytes()].concat();
            if item.file_type().unwrap().is_dir() {
                todo.push((item.path(), path.clone()));
            }
            wanted.push((path, item.path()));
        }
    }
    wanted.sort();
    let is_stream = |e: &Entry| e.node.generation >> 16 != 0;
    let listed: Vec<&[u8]> = look
        .live()
        .filter(|e| !is_stream(e))
        .map(|e| e.path.bytes())
        .filter(|p| *p != b"/" && !p.starts_with(b"/$"))
        .collect();
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).filter(|p| !p.starts_with(b"/$")).collect();
    assert_eq!(listed.len(), names.len());
    assert!(listed == names, "names differ");
    for (path, host) in wanted.iter().filter(|w| !w.0.starts_with(b"/$")) {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        let time = |s: i64, n: i64| (s, u32::try_from(n).unwrap());
        let ours = |t: Option<cranescope::base::Time>| t.map(|t| (t.seconds, t.nanos)).unwrap();
        assert_eq!(ours(stat.times.modified), time(meta.mtime(), meta.mtime_nsec()), "{}", entry.path);
        assert_eq!(ours(stat.times.changed), time(meta.ctime(), meta.ctime_nsec()), "{}", entry.path);
        assert_eq!(ours(stat.times.accessed), time(meta.atime(), meta.atime_nsec()), "{}", entry.path);
        if meta.is_dir() {
            assert_eq!(stat.kind, NodeKind::Directory, "{}", entry.path);
        } else if meta.is_symlink() {
            assert_eq!(stat.kind, NodeKind::Symlink, "{}", entry.path);
            let target = look.fs().read_link(entry.node).unwrap();
            assert_eq!(target, std::fs::read_link(host).unwrap().as_os_str().as_bytes(), "{}", entry.path);
        } else {
            assert_eq!(stat.kind, NodeKind::File, "{}", entry.path);
            assert_eq!(stat.len, meta.len(), "{}", entry.path);
            assert_eq!(u64::from(stat.links), meta.nlink(), "{}", entry.path);
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {}", entry.path);
        }
    }
    wanted.len()
}
