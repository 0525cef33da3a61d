//! What the tests of containers share: opening one from a folder, comparing it with the raw disk, damaging it.
use cranescope::base::{Gap, Gaps, Run, Wanted};
use cranescope::image::{self, OpenFile, Segment, Siblings, Source};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub(super) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/crane-pc/disk.img")
}

/// A folder of images that others are made from and beside; made anew for each test.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var("CRANESCOPE_SHARED").map_or_else(|_| Path::new("../shared").to_owned(), PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(shared).join("corpus").join(path);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Looks up what an image asks for in its own folder, as the parent process does.
pub(super) struct Beside(pub PathBuf);
impl Siblings for Beside {
    fn ask(&self, wanted: &Wanted) -> Result<Segment, String> {
        let path = match wanted {
            Wanted::Named(name) => {
                let name = String::from_utf8_lossy(name).into_owned();
                self.0.with_file_name(name.rsplit(['/', '\\']).next().unwrap())
            }
            Wanted::Extension(extension) => self.0.with_extension(extension),
            Wanted::Item(_) | Wanted::Scratch { .. } => return Err(format!("{wanted}: this is no folder")),
        };
        segment(&path).map_err(|e| format!("{}: {e}", path.display()))
    }
}

fn segment(path: &Path) -> std::io::Result<Segment> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let name = path.display().to_string();
    Ok(Segment { source: Arc::new(OpenFile::new(file, name.clone(), len)), name })
}

pub(super) struct Opened {
    pub format: &'static str,
    pub disk: Source,
    pub details: Vec<(String, String)>,
    pub hashes: Vec<(String, String)>,
    pub gaps: Vec<Gap>,
}

pub(super) fn open(path: &Path) -> Result<Opened, String> {
    let source = segment(path).map_err(|e| e.to_string())?.source;
    open_source(source, &Beside(path.to_owned()))
}

pub(super) fn open_source(source: Source, files: &dyn Siblings) -> Result<Opened, String> {
    let gaps = Gaps::default();
    let (format, container) = image::open(source, 0, files, &gaps).map_err(|e| e.to_string())?;
    let (details, hashes) = (container.details, container.stored_hashes);
    Ok(Opened { format: format.name, disk: container.disk, details, hashes, gaps: gaps.take() })
}

/// The whole disk; runs that cannot be read are 0xee, and their errors are given in order, each once.
pub(super) fn content(disk: &Source) -> (Vec<u8>, Vec<String>) {
    let len = disk.len();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    let mut errors: Vec<String> = Vec::new();
    for at in (0..len).step_by(512) {
        let end = (at + 512).min(len);
        let part = &mut bytes[usize::try_from(at).unwrap()..usize::try_from(end).unwrap()];
        match disk.read_at(at, part) {
            Ok(n) => assert_eq!(n, part.len(), "short at {at}"),
            Err(e) => {
                part.fill(0xee);
                assert!(e.offset >= at && e.offset < end, "{e} for {at}");
                if errors.last() != Some(&e.what) {
                    errors.push(e.what);
                }
            }
        }
    }
    (bytes, errors)
}

/// Numbers without a pattern, the same in every run.
pub(super) struct Random(pub u64);
impl Random {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n.max(1)
    }
}

/// Every byte of the disk, in one pass of large reads, in random pieces, and from two threads at once.
pub(super) fn same(disk: &Source, raw: &[u8], what: &str) {
    assert_eq!(disk.len(), raw.len() as u64, "{what}: size");
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    while at < raw.len() {
        let n = disk.read_at(at as u64, &mut buf).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(n > 0 && buf[..n] == raw[at..at + n], "{what}: differs within {n} bytes of {at}");
        at += n;
    }
    assert_eq!(disk.read_at(disk.len(), &mut buf), Ok(0), "{what}");
    assert_eq!(disk.read_at(u64::MAX, &mut buf), Ok(0), "{what}");
    std::thread::scope(|scope| {
        for seed in [88_172_645_463_325_252, 42] {
            scope.spawn(move || {
                let mut random = Random(seed);
                let mut buf = vec![0; 200_000];
                for _ in 0..400 {
                    let at = usize::try_from(random.below(raw.len() as u64)).unwrap();
                    let len = usize::try_from(random.below(200_000)).unwrap() + 1;
                    let n = disk.read_at(at as u64, &mut buf[..len]).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_eq!(n, len.min(raw.len() - at), "{what}: short at {at}");
                    assert!(buf[..n] == raw[at..at + n], "{what}: {len} bytes at {at} differ");
                }
            });
        }
    });
    let located: u64 = disk.locate(Run::new(0, u64::MAX)).iter().map(|p| p.len).sum();
    assert_eq!(located, disk.len(), "{what}: locate");
}

pub(super) fn run(program: &str, arguments: &[&str]) {
    let out = Command::new(program).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Opens and reads what damage left, in the ways the frame does: nothing may panic, run on or grow without bounds.
pub(super) fn survives(bytes: Vec<u8>, files: &dyn Siblings) {
    let Ok(opened) = open_source(Arc::new(bytes), files) else { return };
    let disk = opened.disk;
    let mut buf = vec![0; 64 << 10];
    let len = disk.len();
    let mut at = 0_u64;
    for _ in 0..600 {
        match disk.read_at(at, &mut buf) {
            Ok(0) => break,
            Ok(n) => at += n as u64,
            Err(e) => at = e.offset.max(at) + 32768,
        }
    }
    for at in [len / 2, len.saturating_sub(1), len.saturating_sub(70_000)] {
        if let Ok(n) = disk.read_at(at, &mut buf) {
            assert_eq!(n as u64, len.saturating_sub(at).min(64 << 10), "short count within the disk");
        }
        disk.locate(Run::new(at, 1 << 16));
    }
}

/// The image cut at each of `borders` and one byte to either side, and mutated with a fixed seed.
pub(super) fn mangle(bytes: &[u8], borders: &[u64], header: usize, files: &dyn Siblings) {
    for border in borders {
        for cut in [border.saturating_sub(1), *border, border + 1] {
            let cut = usize::try_from(cut).unwrap().min(bytes.len());
            survives(bytes[..cut].to_vec(), files);
        }
    }
    let mut random = Random(0x5eed_5eed);
    for round in 0..120 {
        let mut bytes = bytes.to_vec();
        for _ in 0..=random.below(8) {
            // Structures are hit more often than contents.
            let within = if round % 3 == 0 { bytes.len() } else { header.min(bytes.len()) };
            let at = usize::try_from(random.below(within as u64)).unwrap();
            let value = [0, 0xff, 0x80, 1, u8::try_from(random.below(256)).unwrap()];
            bytes[at] = value[usize::try_from(random.below(5)).unwrap()];
        }
        survives(bytes, files);
    }
}
