//! What tests of file systems share: images made by the tools of others, opened and walked here.
use cranescope::base::{FsId, Gap, Gaps, Name, PieceKind, Progress, Run};
use cranescope::evidence::{Entry, Tree};
use cranescope::fs::{self, FileSystem, FsError, Options};
use cranescope::image::{Alone, OpenFile, Source};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// Seconds after which a program of others is ended: a mount that hangs must fail its test, not the whole run.
const PATIENCE: &str = "120";

/// Where a program lies, also where only root's search path has it.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from).into_iter().chain(std::env::split_paths(&path));
    folders.map(|d| d.join(name)).find(|p| p.is_file())
}
/// A program, ended when it takes too long.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", PATIENCE]).arg(find(name).unwrap_or_else(|| name.into()));
    // A question that nobody answers is refused.
    command.stdin(std::process::Stdio::null());
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("MTOOLS_SKIP_CHECK", "1");
    command
}
/// Whether all of these programs are there; says so where they are not.
pub(crate) fn tools(names: &[&str]) -> bool {
    let missing: Vec<&&str> = names.iter().filter(|n| find(n).is_none()).collect();
    if !missing.is_empty() {
        eprintln!("skipped: {missing:?} not installed (see ci/setup.sh)");
    }
    missing.is_empty()
}
pub(crate) fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&out.stdout));
    out
}

pub(crate) struct Image {
    dir: tempfile::TempDir,
}
impl Image {
    pub(crate) fn empty(mib: u64) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::File::create(image.path()).unwrap().set_len(mib << 20).unwrap();
        image
    }
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(image.path(), bytes).unwrap();
        image
    }
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
    pub(crate) fn source(&self) -> Source {
        let file = std::fs::File::open(self.path()).unwrap();
        let len = file.metadata().unwrap().len();
        let source = Arc::new(OpenFile::new(file, "image".into(), len));
        cranescope::image::open(source, 0, &Alone, &Gaps::default()).unwrap().1.disk
    }
    pub(crate) fn look(&self, format: &str) -> Look {
        Look::at(&self.source(), format).unwrap()
    }
}

/// Unmounted when the value goes.
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
    /// The loop device, where one was made for it.
    pub(crate) device: Option<String>,
}
impl Drop for Mount {
    fn drop(&mut self) {
        let out = tool("umount").arg(&self.at).output().unwrap();
        if !out.status.success() {
            let _ = tool("umount").arg("-l").arg(&self.at).output();
        }
        assert!(out.status.success() || std::thread::panicking(), "umount");
        // A driver in a process goes on writing for a moment after the mount point is free.
        for _ in 0..200 {
            let busy = Command::new("pgrep").arg("-f").arg(&self.at).output().is_ok_and(|o| o.status.success());
            if !busy {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if let Some(device) = &self.device {
            let _ = tool("losetup").args(["-d", device]).output();
        }
    }
}

pub(crate) fn format(name: &str) -> &'static fs::Format {
    fs::ALL.iter().find(|f| f.name == name).unwrap()
}

/// An image opened and walked.
pub(crate) struct Look {
    pub(crate) tree: Tree,
    pub(crate) gaps: Gaps,
}
impl Look {
    pub(crate) fn at(source: &Source, format: &str) -> Result<Self, FsError> {
        Self::with(source, format, &Options::default())
    }
    /// With other options; where the gaps go is its own.
    pub(crate) fn with(source: &Source, name: &str, options: &Options) -> Result<Self, FsError> {
        let gaps = Gaps::default();
        let fs = (format(name).open)(source, &Options { gaps: gaps.clone(), ..options.clone() })?;
        let tree = Tree::index(fs, FsId(0), &gaps, &Progress::default()).unwrap();
        Ok(Self { tree, gaps })
    }
    pub(crate) fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.tree.fs
    }
    pub(crate) fn get(&self, path: impl AsRef<[u8]>) -> &Entry {
        let path = path.as_ref();
        self.tree.get(path).unwrap_or_else(|| panic!("{} is not listed", Name::new(path)))
    }
    pub(crate) fn read(&self, path: impl AsRef<[u8]>) -> Vec<u8> {
        self.content(self.get(path)).unwrap()
    }
    pub(crate) fn content(&self, entry: &Entry) -> Result<Vec<u8>, FsError> {
        let source = self.tree.open(entry)?;
        let mut bytes = vec![0; usize::try_from(source.len().min(64 << 20)).unwrap()];
        let n = source.read_at(0, &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }
    /// What was noted since the last call.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.gaps.take()
    }
    pub(crate) fn live(&self) -> impl Iterator<Item = &Entry> {
        self.tree.entries.iter().filter(|e| !e.deleted)
    }
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Entry> {
        self.tree.entries.iter().filter(|e| e.deleted)
    }
}

/// Every file's bytes must also be where `locate` says they are.
pub(crate) fn check_places(look: &Look, raw: &[u8]) {
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
        let part = Run::new(3, (bytes.len() as u64).saturating_sub(5));
        let sum: u64 = source.locate(part).iter().map(|p| p.len).sum();
        assert_eq!(sum, part.len.min((bytes.len() as u64).saturating_sub(3)), "{}", entry.path);
        let mut buf = [0; 777];
        for at in [1, 500, 511, 4095, 65_530, 70_001].into_iter().filter(|at| *at < bytes.len()) {
            let n = source.read_at(at as u64, &mut buf).unwrap();
            assert!(buf[..n] == bytes[at..(at + 777).min(bytes.len())], "{} at {at}", entry.path);
        }
    }
}

/// Every path below a folder with its bytes on the host, sorted.
pub(crate) fn below(root: &Path) -> Vec<(Vec<u8>, PathBuf)> {
    let mut found = Vec::new();
    let mut todo = vec![(root.to_path_buf(), Vec::new())];
    while let Some((dir, path)) = todo.pop() {
        for item in std::fs::read_dir(&dir).unwrap() {
            let item = item.unwrap();
            let path = [&path, b"/".as_slice(), item.file_name().as_bytes()].concat();
            if item.file_type().unwrap().is_dir() {
                todo.push((item.path(), path.clone()));
            }
            found.push((path, item.path()));
        }
    }
    found.sort();
    found
}

/// Opens, walks and reads whatever can be: for images that are damaged.
pub(crate) fn exercise(source: &Source, format: &str) {
    let Ok(look) = Look::at(source, format) else { return };
    for entry in &look.tree.entries {
        let _ = look.fs().read_link(entry.node);
        let Ok(file) = look.tree.open(entry) else { continue };
        let mut buf = [0; 4096];
        for at in [0, 4096, file.len() / 2, file.len().saturating_sub(10)] {
            let _ = file.read_at(at, &mut buf);
        }
        let part = Run::new(0, file.len().min(1 << 40));
        let sum: u64 = file.locate(part).iter().map(|p| p.len).sum();
        assert_eq!(sum, part.len, "pieces of {}", entry.path);
    }
    look.fs().unallocated();
}

/// Rounds of mutation per image; `CRANESCOPE_MUTATIONS` asks for more.
pub(crate) fn rounds() -> u64 {
    std::env::var("CRANESCOPE_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// The corpus, where it is.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let dir = std::env::var_os("CRANESCOPE_SHARED").map_or(beside, PathBuf::from).join("corpus");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("skipped: no corpus");
    None
}
pub(crate) fn unpacked(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let mut plain = Vec::new();
    match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => {
            flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(256 << 20).read_to_end(&mut plain).ok()?;
        }
        Some("zst") => {
            ruzstd::decoding::StreamingDecoder::new(bytes.as_slice()).ok()?.read_to_end(&mut plain).ok()?;
        }
        _ => plain = bytes,
    }
    Some(plain)
}

/// A fixed sequence of numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);
impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Bytes that differ at every place.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(len);
    out
}
