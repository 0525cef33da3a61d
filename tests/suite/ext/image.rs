//! Makes images and looks into them.
use cranescope::base::{FsId, Gap, Gaps, Name, Progress, Run};
use cranescope::evidence::{Entry, Tree};
use cranescope::fs::{self, FileSystem, FsError, NodeKind, Options};
use cranescope::image::{Alone, OpenFile, Source};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Whether e2fsprogs can be run; says so where it cannot.
pub(super) fn tools() -> bool {
    let found = ["mke2fs", "debugfs", "dumpe2fs", "e2fsck"].iter().all(|t| tool(t).arg("-V").output().is_ok());
    if !found {
        eprintln!("skipped: e2fsprogs is not installed");
    }
    found
}
fn tool(name: &str) -> Command {
    let path = Path::new("/usr/sbin").join(name);
    let mut command = Command::new(if path.exists() { path } else { name.into() });
    command.env("LC_ALL", "C").env("MKE2FS_CONFIG", config()).env("E2FSPROGS_FAKE_TIME", "1700000000");
    command
}

/// The defaults that distributions ship, so that the machine's own do not matter.
fn config() -> &'static Path {
    static DIR: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    static PATH: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    PATH.get_or_init(|| {
        let path = DIR.get_or_init(|| tempfile::tempdir().unwrap()).path().join("mke2fs.conf");
        let text = "[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext3 = {
 features = has_journal
}
ext4 = {
 features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
small = {
 inode_ratio = 4096
}
floppy = {
 inode_ratio = 8192
}
";
        std::fs::write(&path, text).unwrap();
        path
    })
}

pub(super) struct Image {
    dir: tempfile::TempDir,
}

/// Numbers that repeat from run to run.
pub(super) struct Random(pub(super) u64);
impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

impl Image {
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }
    /// `options` as for mke2fs; `kib` is the size.
    pub(super) fn make(options: &[&str], kib: u32, from: Option<&Path>) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        let mut command = tool("mke2fs");
        command.args(["-q", "-F", "-U", "6a0bd1c2-3e2f-4c55-8a6e-000102030405", "-L", "crane"]).args(options);
        if let Some(dir) = from {
            command.arg("-d").arg(dir);
        }
        let out = command.arg(image.path()).arg(kib.to_string()).output().unwrap();
        assert!(out.status.success(), "mke2fs {options:?}: {}", String::from_utf8_lossy(&out.stderr));
        image
    }
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(image.path(), bytes).unwrap();
        image
    }
    /// Runs debugfs commands that write.
    pub(super) fn change(&self, commands: &str) -> String {
        let script = self.dir.path().join("commands");
        std::fs::write(&script, commands).unwrap();
        let out = tool("debugfs").args(["-w", "-f"]).arg(&script).arg(self.path()).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
    pub(super) fn ask(&self, command: &str) -> String {
        let out = tool("debugfs").args(["-R", command]).arg(self.path()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
    pub(super) fn run(&self, program: &str, args: &[&str]) -> String {
        let out = tool(program).args(args).arg(self.path()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
    pub(super) fn write(&self, at: u64, bytes: &[u8]) {
        std::fs::File::options().write(true).open(self.path()).unwrap().write_all_at(bytes, at).unwrap();
    }
    pub(super) fn source(&self) -> Source {
        let file = std::fs::File::open(self.path()).unwrap();
        let len = file.metadata().unwrap().len();
        let source = Arc::new(OpenFile::new(file, "image".into(), len));
        cranescope::image::open(source, 0, &Alone, &Gaps::default()).unwrap().1.disk
    }
    pub(super) fn look(&self) -> Look {
        Look::at(&self.source(), true).unwrap()
    }
    /// A file of the test's own directory, to be written into the image.
    pub(super) fn scratch(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// An image opened and walked.
pub(super) struct Look {
    pub(super) tree: Tree,
    pub(super) gaps: Gaps,
}

pub(super) fn format() -> &'static fs::Format {
    fs::ALL.iter().find(|f| f.name == "ext").unwrap()
}

impl Look {
    pub(super) fn at(source: &Source, replay_journal: bool) -> Result<Self, FsError> {
        let gaps = Gaps::default();
        let options = Options { gaps: gaps.clone(), replay_journal, ..Options::default() };
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
                cranescope::base::PieceKind::Stored => {
                    let from = usize::try_from(piece.offset).unwrap();
                    assert!(got == &raw[from..from + len], "{}", entry.path);
                }
                cranescope::base::PieceKind::Hole => assert!(got.iter().all(|b| *b == 0), "{}", entry.path),
                cranescope::base::PieceKind::Decoded => {}
                cranescope::base::PieceKind::Absent => panic!("{}: a whole image lacks nothing", entry.path),
            }
            at += len;
        }
        assert_eq!(at, bytes.len(), "pieces of {}", entry.path);
        // A part of it, off any boundary.
        let part = Run::new(3, (bytes.len() as u64).saturating_sub(5));
        let sum: u64 = source.locate(part).iter().map(|p| p.len).sum();
        assert_eq!(sum, part.len.min((bytes.len() as u64).saturating_sub(3)), "{}", entry.path);
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

/// A directory with everything that names and sizes can do.
pub(super) fn odd_tree(names: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let put = |path: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(path)), bytes).unwrap();
    for (n, len) in
        [0, 1, 59, 60, 61, 150, 1023, 1024, 1025, 4095, 4096, 4097, 70_000, 1_300_000].into_iter().enumerate()
    {
        put(format!("size-{len}").as_bytes(), &pattern(n as u64 * 77 + 5, len));
    }
    put(b"gbk-\xb0\xb6\xc7\xc5", b"quay crane");
    put(b"invalid-\xff\xfe\xc0", b"bytes");
    put("岸桥-配置.conf".as_bytes(), b"utf-8");
    put(b"control-\x01\x1b[2J\n\t", b"control");
    put(&[b'n'; 255], b"long name");
    put(b" lead and trail ", b"spaces");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/h")).unwrap();
    std::fs::write(root.join("a/b/c/d/e/f/g/h/deep"), b"deep").unwrap();
    std::fs::hard_link(root.join("size-70000"), root.join("a/linked")).unwrap();
    std::os::unix::fs::symlink("size-1", root.join("fast")).unwrap();
    std::os::unix::fs::symlink("t".repeat(59), root.join("fast-59")).unwrap();
    std::os::unix::fs::symlink("t".repeat(60), root.join("slow-60")).unwrap();
    std::os::unix::fs::symlink("/x".repeat(400), root.join("slow-800")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..names {
        std::fs::write(root.join(format!("many/entry-with-a-longer-name-{n:06}")), b"").unwrap();
    }
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"head", 0).unwrap();
    sparse.write_all_at(&pattern(9, 5000), 300_001).unwrap();
    sparse.write_all_at(b"tail", 9_000_000).unwrap();
    dir
}

/// Compares the live tree with a directory of this machine: names, kinds, sizes, modes, times to
/// the second, link targets and every byte.
pub(super) fn compare(look: &Look, root: &Path) {
    use std::os::unix::fs::MetadataExt;
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
    let listed: Vec<&[u8]> =
        look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/" && !p.starts_with(b"/lost+found")).collect();
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    assert_eq!(listed.len(), names.len());
    assert!(listed == names, "names differ");
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        assert_eq!(stat.mode, meta.mode() & 0o7777, "{}", entry.path);
        assert_eq!(stat.times.modified.unwrap().seconds, meta.mtime(), "{}", entry.path);
        if meta.is_dir() {
            assert_eq!(stat.kind, NodeKind::Directory);
        } else if meta.is_symlink() {
            assert_eq!(stat.kind, NodeKind::Symlink);
            let target = look.fs().read_link(entry.node).unwrap();
            assert_eq!(target, std::fs::read_link(host).unwrap().as_os_str().as_bytes(), "{}", entry.path);
        } else {
            assert_eq!(stat.len, meta.len(), "{}", entry.path);
            assert_eq!(u64::from(stat.links), meta.nlink(), "{}", entry.path);
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {}", entry.path);
        }
    }
}
