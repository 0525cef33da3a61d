//! Opens the evidence, read-only: the parent alone does this and passes the files on.
//!
//! A split raw image is named by its first segment; the rest is found beside it by name, the way
//! split, dd's relatives and FTK Imager count: `.001 .002 …`, `.000 .001 …`, `.00 .01 …`, `.aa .ab …`.
use super::Failure;
use super::changed::Stamp;
use super::folder::OpenedFolder;
use crate::base::{Gap, Name, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// One file of an acquisition.
#[derive(Debug)]
pub struct OpenedSegment {
    pub file: File,
    /// As the examiner named it; segments found beside the first carry the same folder.
    pub name: String,
    /// Bytes; for a block device the device's size.
    pub len: u64,
    /// As it was opened.
    pub path: PathBuf,
    pub(super) modified: Option<SystemTime>,
    pub(super) stamp: Stamp,
}

/// All segments of one image, in order.
#[derive(Debug)]
pub struct OpenedImage {
    /// As the examiner named it.
    pub path: PathBuf,
    pub segments: Vec<OpenedSegment>,
    /// Files that the image names, opened when its reader asked for them.
    pub(super) further: Mutex<Vec<OpenedSegment>>,
    /// The image is a folder, and has no segments.
    pub folder: Option<OpenedFolder>,
    /// What is odd about the set but does not stop it from being read.
    pub gaps: Vec<Gap>,
}

impl OpenedImage {
    /// Bytes of all segments together.
    pub fn len(&self) -> u64 {
        let folder = self.folder.as_ref().map_or(0, OpenedFolder::len);
        self.segments.iter().fold(folder, |sum, s| sum.saturating_add(s.len))
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A path as it is shown: escaped, so that a file name cannot steer a terminal.
pub(super) fn shown(path: &Path) -> String {
    Name::new(path.as_os_str().as_encoded_bytes()).display_text()
}

/// Opens the image that begins with `path`, with all its segments; or a folder, with all that lies below it.
pub fn open_evidence(path: &Path) -> Result<OpenedImage, Failure> {
    if std::fs::metadata(path).is_ok_and(|m| m.is_dir()) {
        let (folder, gaps) = OpenedFolder::open(path)?;
        let (segments, further) = (Vec::new(), Mutex::default());
        return Ok(OpenedImage { path: path.to_owned(), segments, further, folder: Some(folder), gaps });
    }
    let first = open_one(path)?;
    let mut segments = vec![first];
    for next in siblings(path)? {
        segments.push(open_one(&next)?);
    }
    let gaps = uneven(&segments);
    Ok(OpenedImage { path: path.to_owned(), segments, further: Mutex::default(), folder: None, gaps })
}

/// Opens every image of an examination; one file may stand in one image only.
pub fn open_all(paths: &[PathBuf]) -> Result<Vec<OpenedImage>, Failure> {
    let mut images: Vec<OpenedImage> = Vec::new();
    let mut seen = BTreeMap::new();
    for path in paths {
        let image = open_evidence(path)?;
        for segment in &image.segments {
            let Some(identity) = identity(segment) else { continue };
            if let Some(other) = seen.insert(identity, segment.name.clone()) {
                let same = if other == segment.name {
                    format!("{other}: named twice")
                } else {
                    format!("{} and {other}: the same file", segment.name)
                };
                return Err(Failure::usage(format!("{same}; name each image once, by its first segment")));
            }
        }
        images.push(image);
    }
    Ok(images)
}

pub(super) fn open_one(path: &Path) -> Result<OpenedSegment, Failure> {
    let refuse = |e: &std::io::Error| refused(path, e);
    // Asked before opening: opening a pipe would wait for its writer.
    let before = std::fs::metadata(path).map_err(|e| refuse(&e))?;
    kind(path, &before)?;
    let mut file = open_file(path).map_err(|e| refuse(&e))?;
    let now = file.metadata().map_err(|e| refuse(&e))?;
    kind(path, &now)?;
    let len = if now.is_file() { now.len() } else { file.seek(SeekFrom::End(0)).map_err(|e| refuse(&e))? };
    if len == 0 {
        let what = if now.is_file() { "the file is empty" } else { "the device reports a size of 0 bytes" };
        return Err(Failure::evidence(format!(
            "{}: {what}; check the acquisition, or name another image",
            shown(path)
        )));
    }
    let (modified, stamp) = (now.modified().ok(), Stamp::of(&now));
    Ok(OpenedSegment { file, name: shown(path), len, path: path.to_owned(), modified, stamp })
}

/// Only regular files and block devices hold images.
fn kind(path: &Path, meta: &Metadata) -> Result<(), Failure> {
    if meta.is_dir() {
        return Err(Failure::evidence(format!(
            "{}: this is a directory; name the image file in it (of a split set the first segment)",
            shown(path)
        )));
    }
    if meta.is_file() || is_block_device(meta) {
        return Ok(());
    }
    Err(Failure::evidence(format!("{}: neither a file nor a block device; name an image", shown(path))))
}

/// The one line for a file that the operating system does not let us open.
fn refused(path: &Path, e: &std::io::Error) -> Failure {
    let (what, advice) = match e.kind() {
        ErrorKind::NotFound => ("no such file".to_owned(), "check the path"),
        ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), "run as a user who may read it (a device usually needs root)")
        }
        ErrorKind::NotADirectory => ("no such file (a part of the path is no directory)".to_owned(), "check the path"),
        _ => (format!("cannot be opened: {e}"), "check the medium and the path"),
    };
    Failure::evidence(format!("{}: {what}; {advice}", shown(path)))
}

#[cfg(target_os = "linux")]
fn open_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Leaves the time of access alone; allowed to the owner and to root only.
    let flags = i32::try_from(rustix::fs::OFlags::NOATIME.bits()).unwrap_or(0);
    match File::options().read(true).custom_flags(flags).open(path) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => File::open(path),
        other => other,
    }
}
#[cfg(not(target_os = "linux"))]
fn open_file(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn is_block_device(meta: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    meta.file_type().is_block_device()
}
#[cfg(not(unix))]
fn is_block_device(_: &Metadata) -> bool {
    false
}

/// What tells two names of one file from two files: device and inode (of a block device its number).
#[cfg(unix)]
fn identity(segment: &OpenedSegment) -> Option<(u64, u64, PathBuf)> {
    use std::os::unix::fs::MetadataExt;
    let meta = segment.file.metadata().ok()?;
    let device = if meta.is_file() { (meta.dev(), meta.ino()) } else { (u64::MAX, meta.rdev()) };
    Some((device.0, device.1, PathBuf::new()))
}
#[cfg(not(unix))]
fn identity(segment: &OpenedSegment) -> Option<(u64, u64, PathBuf)> {
    Some((0, 0, segment.path.canonicalize().ok()?))
}

/// How the segments of a set are counted: the part of the name after the last dot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    /// Decimal, at least so many digits.
    Digits(usize),
    /// `a` to `z` (or capitals), exactly so many.
    Letters(usize, u8),
}
impl Count {
    fn of(suffix: &[u8]) -> Option<Self> {
        let all = |test: fn(&u8) -> bool| suffix.iter().all(test);
        match suffix.len() {
            2..=4 if all(u8::is_ascii_digit) => Some(Self::Digits(suffix.len())),
            2..=3 if all(u8::is_ascii_lowercase) => Some(Self::Letters(suffix.len(), b'a')),
            2..=3 if all(u8::is_ascii_uppercase) => Some(Self::Letters(suffix.len(), b'A')),
            _ => None,
        }
    }
    fn number(self, suffix: &[u8]) -> Option<u64> {
        match self {
            // Beyond 999 a three-digit count goes on with four.
            Self::Digits(width) => {
                let text = std::str::from_utf8(suffix).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
                let number = text.parse::<u64>().ok()?;
                (self.suffix(number).as_bytes() == suffix && suffix.len() >= width).then_some(number)
            }
            Self::Letters(width, zero) => {
                let fits = suffix.len() == width && suffix.iter().all(|b| (zero..zero.saturating_add(26)).contains(b));
                let digit = |n: u64, b: &u8| n.saturating_mul(26).saturating_add(u64::from(b.saturating_sub(zero)));
                fits.then(|| suffix.iter().fold(0, digit))
            }
        }
    }
    fn suffix(self, number: u64) -> String {
        match self {
            Self::Digits(width) => format!("{number:0width$}"),
            Self::Letters(width, zero) => {
                let mut left = number;
                let mut text = vec![char::from(zero); width];
                for place in text.iter_mut().rev() {
                    let digit = u8::try_from(left.wrapping_rem(26)).unwrap_or(0);
                    *place = char::from(zero.saturating_add(digit));
                    left = left.wrapping_div(26);
                }
                text.into_iter().collect()
            }
        }
    }
    /// Numbers at which a set begins.
    fn is_first(self, number: u64) -> bool {
        match self {
            Self::Digits(_) => number <= 1,
            Self::Letters(..) => number == 0,
        }
    }
}

/// The further segments of the set that `path` begins: none if it is no set.
fn siblings(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let Some((stem, count, number)) = split_name(path) else {
        return Ok(Vec::new());
    };
    let beside = |n: u64| {
        let mut name = stem.clone();
        name.push(count.suffix(n));
        path.with_file_name(name)
    };
    let present = numbers(path, &stem, count);
    // Letters make a set where its first is there: `disk.vdi` beside `disk.vhd` is another image.
    if matches!(count, Count::Letters(..)) && !present.contains(&0) {
        return Ok(Vec::new());
    }
    if !count.is_first(number) {
        let Some(first) = present.first().copied().filter(|first| *first < number) else {
            // `disk.2024` alone is a name, no count.
            return Ok(Vec::new());
        };
        return Err(Failure::evidence(format!(
            "{}: not the first segment of its set; name {}",
            shown(path),
            shown(&beside(first))
        )));
    }
    // With `.000` beside it, `.001` is the second.
    if number == 1 && present.contains(&0) {
        return Err(Failure::evidence(format!(
            "{}: not the first segment of its set; name {}",
            shown(path),
            shown(&beside(0))
        )));
    }
    let mut found = Vec::new();
    let mut expected = number;
    for n in present.iter().copied().filter(|n| *n > number) {
        expected = expected.saturating_add(1);
        if n != expected {
            return Err(Failure::evidence(format!(
                "{}: this segment is missing, while {} is there; restore it beside the others",
                shown(&beside(expected)),
                shown(&beside(n))
            )));
        }
        found.push(beside(n));
    }
    // split without -a goes on with longer suffixes after `yz` and `89`: a set that we would cut short.
    for longer in ["zaaa", "9000"] {
        let mut name = stem.clone();
        name.push(longer);
        let longer = path.with_file_name(name);
        if !found.is_empty() && !found.contains(&longer) && longer.exists() {
            return Err(Failure::evidence(format!(
                "{}: the set goes on under longer names; join the segments into one file",
                shown(&longer)
            )));
        }
    }
    Ok(found)
}

/// The name up to and with its last dot, how the rest counts, and its number.
fn split_name(path: &Path) -> Option<(OsString, Count, u64)> {
    let suffix = path.extension()?.as_encoded_bytes().to_vec();
    let count = Count::of(&suffix)?;
    let number = count.number(&suffix)?;
    let mut stem = path.file_stem()?.to_owned();
    stem.push(".");
    Some((stem, count, number))
}

/// Which numbers of the set exist beside `path`, by listing the folder; where it may not be listed, by asking.
fn numbers(path: &Path, stem: &OsString, count: Count) -> BTreeSet<u64> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(list) = std::fs::read_dir(folder) {
        let names = list.filter_map(Result::ok).map(|e| e.file_name());
        let number = |name: OsString| {
            let suffix = name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes())?.to_vec();
            count.number(&suffix)
        };
        return names.filter_map(number).collect();
    }
    let there = |n: &u64| {
        let mut name = stem.clone();
        name.push(count.suffix(*n));
        path.with_file_name(name).exists()
    };
    (0..10_000).filter(there).collect()
}

/// Tools cut sets into equal segments, but for the last, which is no longer than the others.
fn uneven(segments: &[OpenedSegment]) -> Vec<Gap> {
    let Some(len) = segments.first().map(|s| s.len) else { return Vec::new() };
    let last = segments.len().saturating_sub(1);
    let odd = |(i, s): &(usize, &OpenedSegment)| if *i == last { s.len > len } else { s.len != len };
    segments
        .iter()
        .enumerate()
        .filter(odd)
        .map(|(_, s)| Gap {
            at: Place { path: Some(Name::from(s.name.as_str())), ..Place::default() },
            by: "open".into(),
            what: format!("segment of {} bytes in a set of segments of {len} bytes", s.len),
            bytes: 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn folder(files: &[(&str, usize)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, len) in files {
            std::fs::write(dir.path().join(name), vec![b'x'; *len]).unwrap();
        }
        dir
    }
    fn names(image: &OpenedImage) -> Vec<String> {
        image.segments.iter().map(|s| s.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn finds_the_rest_of_a_set() {
        let dir = folder(&[
            ("a.raw.001", 10),
            ("a.raw.002", 10),
            ("a.raw.003", 4),
            ("a.raw.log", 9),
            ("a.raw.x02", 9),
            ("b.raw.002", 9),
            ("c.000", 5),
            ("c.001", 5),
            ("d.aa", 5),
            ("d.ab", 5),
            ("d.ac", 1),
            ("d.txt", 1),
            ("e.00", 1),
            ("e.01", 1),
            ("single.img", 7),
            ("year.2024", 7),
            ("word.doc", 7),
            ("disk.vhd", 3),
            ("disk.vdi", 3),
            ("f.AA", 2),
            ("f.AB", 2),
        ]);
        for (first, all) in [
            ("a.raw.001", vec!["a.raw.001", "a.raw.002", "a.raw.003"]),
            ("c.000", vec!["c.000", "c.001"]),
            ("d.aa", vec!["d.aa", "d.ab", "d.ac"]),
            ("e.00", vec!["e.00", "e.01"]),
            ("f.AA", vec!["f.AA", "f.AB"]),
            ("single.img", vec!["single.img"]),
            ("year.2024", vec!["year.2024"]),
            ("word.doc", vec!["word.doc"]),
            ("disk.vhd", vec!["disk.vhd"]),
        ] {
            let image = open_evidence(&dir.path().join(first)).unwrap();
            assert_eq!(names(&image), all);
            assert_eq!(image.gaps, []);
            assert_eq!(image.changed(), Vec::<String>::new());
        }
        assert_eq!(open_evidence(&dir.path().join("a.raw.001")).unwrap().len(), 24);
    }

    #[test]
    fn counts_go_on_past_the_width() {
        let digits = Count::of(b"001").unwrap();
        assert_eq!(digits.suffix(1000), "1000");
        assert_eq!(digits.number(b"1000"), Some(1000));
        assert_eq!(digits.number(b"0100"), None);
        let letters = Count::of(b"aa").unwrap();
        for (n, text) in [(0, "aa"), (25, "az"), (26, "ba"), (675, "zz")] {
            assert_eq!((letters.suffix(n).as_str(), letters.number(text.as_bytes())), (text, Some(n)));
        }
        let all: Vec<(String, usize)> = (1..=1001).map(|n| (format!("x.{n:03}"), 1)).collect();
        let dir = folder(&all.iter().map(|(n, l)| (n.as_str(), *l)).collect::<Vec<_>>());
        assert_eq!(open_evidence(&dir.path().join("x.001")).unwrap().segments.len(), 1001);
    }

    #[test]
    fn what_cannot_be_opened_is_one_line() {
        let dir = folder(&[
            ("empty.img", 0),
            ("gap.001", 1),
            ("gap.002", 1),
            ("gap.004", 1),
            ("z.000", 1),
            ("z.001", 1),
            ("hole.001", 1),
            ("hole.002", 0),
            ("long.aa", 1),
            ("long.ab", 1),
            ("long.zaaa", 1),
        ]);
        for (name, words) in [
            ("none.img", "no such file; check the path"),
            ("empty.img", "the file is empty"),
            ("empty.img/x", "no such file"),
            ("gap.001", "gap.003: this segment is missing"),
            ("gap.002", "not the first segment of its set; name"),
            ("z.001", "z.000"),
            ("hole.001", "hole.002: the file is empty"),
            ("long.aa", "under longer names"),
        ] {
            let failure = open_evidence(&dir.path().join(name)).unwrap_err();
            assert_eq!(failure.code, 3, "{failure}");
            assert!(failure.message.contains(words) && !failure.message.contains('\n'), "{failure}");
        }
        let denied = refused(Path::new("/dev/sda"), &std::io::Error::from(ErrorKind::PermissionDenied));
        assert_eq!((denied.code, denied.message.contains("permission denied; run as")), (3, true));
        #[cfg(unix)]
        assert!(open_evidence(Path::new("/dev/null")).unwrap_err().message.contains("neither a file nor a block"));
    }

    #[test]
    fn one_file_in_two_images_is_refused() {
        let dir = folder(&[("a.001", 1), ("a.002", 1), ("b.img", 1)]);
        let at = |name: &str| dir.path().join(name);
        assert_eq!(open_all(&[at("a.001"), at("b.img")]).unwrap().len(), 2);
        assert!(open_all(&[at("b.img"), at("b.img")]).unwrap_err().message.contains("named twice"));
        std::fs::hard_link(at("a.002"), at("c.img")).unwrap();
        let failure = open_all(&[at("a.001"), at("c.img")]).unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.message.contains("the same file"), "{failure}");
    }

    #[test]
    fn uneven_segments_and_changes_are_told() {
        let dir = folder(&[("a.001", 10), ("a.002", 7), ("a.003", 10)]);
        let image = open_evidence(&dir.path().join("a.001")).unwrap();
        assert_eq!(image.gaps.len(), 1);
        assert!(image.gaps.first().unwrap().what.contains("segment of 7 bytes"));
        std::fs::write(dir.path().join("a.003"), b"other").unwrap();
        assert_eq!(image.changed().len(), 1);
    }
}
