//! The second reading: an independent reader lists and reads the same file system, and every
//! difference is told, with whether it is a known limit of that reader.
use crate::base::{Cancelled, Gaps, Name, PieceKind, Progress, Run};
use crate::evidence::{Entry, Tree};
use crate::fs::{NodeKind, SecondEntry, SecondReader};
use crate::image::ReadAt;
use std::collections::BTreeMap;

/// The stage's name in gaps.
const BY: &str = "second reader";
/// Differences of one kind that are told one by one; the rest are counted.
const MAX_TOLD: u64 = 50;

/// How far two readers agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecondReading {
    /// The other reader's name.
    pub reader: String,
    /// Directories and files compared.
    pub compared: u64,
    pub agree: u64,
    pub differ: u64,
    /// Of `differ`: what is a known limit of the second reader.
    pub known_limits: u64,
    /// Of `compared`: files whose content was compared, byte for byte.
    pub contents: u64,
}

impl From<&SecondReading> for crate::inventory::SecondReading {
    fn from(r: &SecondReading) -> Self {
        Self { compared: r.compared, agree: r.agree, differ: r.differ }
    }
}

/// Why two readings differ, by what the difference itself shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// The other reader stops with an error.
    Refused,
    /// All bytes that differ stand in blocks that are allocated but were never written, or in holes.
    NeverWritten,
    /// Our own reader could not read it either, and said so.
    OurGap,
    Unexplained,
}
impl Cause {
    fn text(self) -> &'static str {
        match self {
            Self::Refused => "a limit of the second reader: it does not read this",
            Self::NeverWritten => {
                "a known limit of the second reader: it shows what lies in blocks that were allocated but never written, which read as zeros"
            }
            Self::OurGap => "this part is damaged; see the gap of the first reader",
            Self::Unexplained => "unexplained",
        }
    }
}

/// Compares every directory's names, every file's kind and size, and the content of the files that
/// `contents` names. `None` where the file system has no second reader; one that refuses the whole
/// file system is a gap and an empty reading.
pub fn compare(
    tree: &Tree,
    contents: &dyn Fn(&Entry) -> bool,
    gaps: &Gaps,
    progress: &Progress,
) -> Result<Option<SecondReading>, Cancelled> {
    let gaps = gaps.at(|p| p.filesystem = Some(tree.id));
    let mut reader = match tree.fs.second_reader() {
        None => return Ok(None),
        Some(Ok(reader)) => reader,
        Some(Err(e)) => {
            gaps.add(BY, format!("the second reader refuses the file system ({e}); nothing was compared"), 0);
            return Ok(Some(SecondReading::default()));
        }
    };
    let mut run = Comparison {
        reading: SecondReading { reader: reader.name().to_owned(), ..SecondReading::default() },
        gaps,
        told: BTreeMap::new(),
    };
    let ours = children(tree);
    for (dir, names) in &ours {
        progress.step(1)?;
        run.directory(dir, names, &mut *reader);
    }
    for entry in tree.entries.iter().filter(|e| !e.deleted && e.is_file() && contents(e)) {
        progress.step(1)?;
        run.content(tree, entry, &mut *reader);
    }
    run.finish();
    Ok(Some(run.reading))
}

/// The live entries of every directory, by its path.
fn children(tree: &Tree) -> BTreeMap<Name, Vec<&Entry>> {
    let mut out: BTreeMap<Name, Vec<&Entry>> = BTreeMap::new();
    for entry in tree.entries.iter().filter(|e| !e.deleted) {
        if entry.is_dir() {
            out.entry(entry.path.clone()).or_default();
        }
        if entry.path.bytes() != b"/" {
            let parent = match entry.path.parent() {
                [] => Name::from("/"),
                path => Name::new(path),
            };
            out.entry(parent).or_default().push(entry);
        }
    }
    out
}

struct Comparison {
    reading: SecondReading,
    gaps: Gaps,
    /// What was met more often than [`MAX_TOLD`] times.
    told: BTreeMap<(Cause, &'static str), u64>,
}

impl Comparison {
    fn agree(&mut self) {
        self.reading.compared = self.reading.compared.saturating_add(1);
        self.reading.agree = self.reading.agree.saturating_add(1);
    }
    fn differ(&mut self, path: &Name, cause: Cause, subject: &'static str, what: &str) {
        self.reading.compared = self.reading.compared.saturating_add(1);
        self.reading.differ = self.reading.differ.saturating_add(1);
        if matches!(cause, Cause::Refused | Cause::NeverWritten) {
            self.reading.known_limits = self.reading.known_limits.saturating_add(1);
        }
        let count = self.told.entry((cause, subject)).or_default();
        *count = count.saturating_add(1);
        if *count <= MAX_TOLD {
            let text = format!("two readers differ: {what} ({})", cause.text());
            self.gaps.at(|p| p.path = Some(path.clone())).add(BY, text, 0);
        }
    }
    fn finish(&self) {
        for ((cause, subject), count) in &self.told {
            if let Some(more) = count.checked_sub(MAX_TOLD).filter(|n| *n > 0) {
                let text = format!("two readers differ in {more} more places: {subject} ({})", cause.text());
                self.gaps.add(BY, text, 0);
            }
        }
    }
    fn directory(&mut self, dir: &Name, ours: &[&Entry], reader: &mut dyn SecondReader) {
        let theirs = match reader.list(dir) {
            Ok(theirs) => theirs,
            Err(e) => return self.differ(dir, Cause::Refused, "directories", &format!("directory not listed: {e}")),
        };
        let known: BTreeMap<&[u8], &SecondEntry> = theirs.iter().map(|e| (e.name.bytes(), e)).collect();
        let mut names: Vec<&[u8]> = ours.iter().map(|e| e.path.file_name()).collect();
        names.sort_unstable();
        if names.iter().copied().eq(known.keys().copied()) {
            self.agree();
        } else {
            let only = |a: &mut dyn Iterator<Item = &[u8]>, b: &dyn Fn(&[u8]) -> bool| {
                a.filter(|n| !b(n)).take(3).map(|n| Name::new(n).display()).collect::<Vec<_>>().join(", ")
            };
            let first = only(&mut names.iter().copied(), &|n| known.contains_key(n));
            let second = only(&mut known.keys().copied(), &|n| names.binary_search(&n).is_ok());
            let what = format!("names, only the first: [{first}], only the second: [{second}]");
            self.differ(dir, Cause::Unexplained, "names", &what);
        }
        for entry in ours {
            let Some(other) = known.get(entry.path.file_name()) else {
                continue;
            };
            let Some(stat) = &entry.stat else {
                self.differ(&entry.path, Cause::OurGap, "kinds and sizes", "the inode was read by the second only");
                continue;
            };
            // A directory's size is its own affair; a device has none.
            let sized = matches!(stat.kind, NodeKind::File | NodeKind::Symlink);
            if stat.kind.as_str() == other.kind && (!sized || stat.len == other.len) {
                self.agree();
            } else {
                let what =
                    format!("{} of {} bytes, {} of {} bytes", stat.kind.as_str(), stat.len, other.kind, other.len);
                self.differ(&entry.path, Cause::Unexplained, "kinds and sizes", &what);
            }
        }
    }
    fn content(&mut self, tree: &Tree, entry: &Entry, reader: &mut dyn SecondReader) {
        let source = match tree.open(entry) {
            Ok(source) => source,
            Err(e) => return self.differ(&entry.path, Cause::OurGap, "contents", &format!("content not read: {e}")),
        };
        self.reading.contents = self.reading.contents.saturating_add(1);
        let mut at = 0_u64;
        let mut ours = Vec::new();
        let mut failed = None;
        // First byte that differs, and whether all that differ were never written.
        let mut first: Option<u64> = None;
        let mut all_unwritten = true;
        let read = reader.read(&entry.path, &mut |theirs| {
            ours.resize(theirs.len(), 0);
            match source.read_at(at, &mut ours) {
                Ok(n) if n == theirs.len() => {}
                Ok(_) => {
                    first = first.or(Some(at));
                    all_unwritten = false;
                    return false;
                }
                Err(e) => {
                    failed = Some(e);
                    return false;
                }
            }
            if ours != theirs {
                let start = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count() as u64;
                first = first.or(Some(at.saturating_add(start)));
                all_unwritten = all_unwritten && only_holes_differ(&*source, at, &ours, theirs);
            }
            at = at.saturating_add(theirs.len() as u64);
            first.is_none() || all_unwritten
        });
        let subject = "contents";
        if let Err(e) = read {
            self.differ(&entry.path, Cause::Refused, subject, &format!("content not read by the second: {e}"));
        } else if let Some(e) = failed {
            self.differ(&entry.path, Cause::OurGap, subject, &format!("content not read by the first: {e}"));
        } else if let Some(byte) = first {
            let cause = if all_unwritten { Cause::NeverWritten } else { Cause::Unexplained };
            self.differ(&entry.path, cause, subject, &format!("content differs from file_offset {byte} on"));
        } else if at != source.len() {
            let what = format!("content has {} bytes, {at} bytes", source.len());
            self.differ(&entry.path, Cause::Unexplained, subject, &what);
        } else {
            self.agree();
        }
    }
}

/// Whether the bytes that differ, of those at `at`, all stand where the image stores none.
fn only_holes_differ(source: &dyn ReadAt, at: u64, ours: &[u8], theirs: &[u8]) -> bool {
    let mut from = 0_usize;
    for piece in source.locate(Run::new(at, ours.len() as u64)) {
        let to = from.saturating_add(usize::try_from(piece.len).unwrap_or(usize::MAX)).min(ours.len());
        if piece.kind != PieceKind::Hole && ours.get(from..to) != theirs.get(from..to) {
            return false;
        }
        from = to;
    }
    true
}
