//! Runs readers over mutants, each watched from outside: a panic is caught, a reader that does not come back is named.
use crate::kit::engine::names;
use crate::kit::{Change, Difference, Disk, Layout, Look, Part, Seen, mutant};
use cranescope::image::Source;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A reader that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes that a reader may read of a mutant: some hundred times what it reads of the intact image.
const ALLOWANCE: u64 = 4 << 30;

/// An intact image of a format.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) layout: &'static Layout,
    pub(super) look: Look,
    /// `None`, and a word, where this machine cannot make it.
    pub(super) make: fn() -> Option<Disk>,
    /// Whether the loss of a file that nothing tells is one that nothing can tell: what the format says after the
    /// change is as whole as before, and this is why.
    pub(super) is_whole: fn(&Change, &str) -> bool,
    /// The share of mutants that a test run makes is divided by this: what is slow.
    pub(super) slow: u64,
}

/// What became of one mutant.
pub(super) enum Outcome {
    Panicked(String),
    Endless,
    Read(Seen),
}

/// A thread that reads mutants; another takes its place when it does not come back.
struct Reader {
    send: Sender<Arc<Disk>>,
    outcome: Receiver<Outcome>,
}
impl Reader {
    fn new(look: Look) -> Self {
        let (send, jobs) = channel::<Arc<Disk>>();
        let (done, outcome) = channel();
        let read = move || {
            for disk in jobs {
                let source: Source = disk.clone();
                let outcome = match catch_unwind(AssertUnwindSafe(|| Seen::at(look, &source))) {
                    Ok(_) if disk.is_exhausted() => Outcome::Endless,
                    Ok(seen) => Outcome::Read(seen),
                    Err(panic) => {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                        Outcome::Panicked(text.unwrap_or_default())
                    }
                };
                if done.send(outcome).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("mutants".into()).spawn(read).unwrap();
        Self { send, outcome }
    }
    fn read(&self, disk: Disk) -> Option<Outcome> {
        self.send.send(Arc::new(disk.with_allowance(ALLOWANCE))).ok()?;
        self.outcome.recv_timeout(PATIENCE).ok()
    }
}

/// Whether a number stands in a structure, as one of 4 or 8 bytes.
fn is_said(bytes: &[u8], number: u64, big: bool) -> bool {
    let of = |width: usize| {
        let all = if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let part = if big { all[8 - width..].to_vec() } else { all[..width].to_vec() };
        number >> (8 * width - 1) == 0
            && bytes.chunks_exact(4).enumerate().any(|(n, _)| bytes[n * 4..].starts_with(&part))
    };
    of(8) || of(4)
}

/// What a run over many mutants found.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) mutants: u64,
    /// Showed all that the intact image shows.
    pub(super) same: u64,
    /// Did not, and said so.
    pub(super) told: u64,
    /// Did not, which nothing in the image can tell.
    pub(super) whole: u64,
    /// Did not, and said nothing: the class, with how many and an example.
    pub(super) silent: BTreeMap<String, (u64, String)>,
    pub(super) faults: Vec<String>,
    /// Kinds of trouble that were told.
    pub(super) words: BTreeSet<String>,
    /// Mutants since the last new kind of trouble.
    pub(super) since_news: u64,
}

pub(super) struct Run<'a> {
    subject: &'a Subject,
    whole: Disk,
    parts: Vec<Part>,
    names: HashMap<u64, usize>,
    intact: Seen,
    reader: Reader,
    pub(super) tally: Tally,
}

impl<'a> Run<'a> {
    pub(super) fn new(subject: &'a Subject) -> Option<Self> {
        let whole = (subject.make)()?;
        let reader = Reader::new(subject.look);
        let Some(Outcome::Read(intact)) = reader.read(whole.clone()) else {
            panic!("{}: the intact image cannot be read", subject.name)
        };
        assert!(
            !intact.is_told(),
            "{}: the intact image has gaps: {:?} {:#?}",
            subject.name,
            intact.refused,
            intact.gaps
        );
        assert!(intact.items.values().all(|i| !i.unread) && !intact.items.is_empty(), "{}", subject.name);
        let mut parts = (subject.layout.parts)(&whole);
        // Content is no structure.
        parts.retain(|p| !intact.data.iter().any(|d| d.0 <= p.at && p.at + p.len as u64 <= d.1));
        assert!(!parts.is_empty(), "{}: no structures were found", subject.name);
        let names = names(&parts);
        Some(Self { subject, whole, parts, names, intact, reader, tally: Tally::default() })
    }
    pub(super) fn structures(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for part in &self.parts {
            *kinds.entry(part.kind).or_default() += 1;
        }
        kinds
    }
    pub(super) fn intact(&self) -> Vec<u8> {
        self.whole.pack()
    }
    /// Whether a gap covers what is not shown as it was, by its place: the file's own or a folder's above it, the
    /// structure that was damaged, or one to which that leads now. Of disks, whose windows say themselves what of them is
    /// unread, any gap does.
    fn is_covered(&self, seen: &Seen, damaged: &Disk, changes: &[Change], path: &[u8]) -> bool {
        let changed = |c: &Change| {
            let len = self.parts.iter().find(|p| p.at == c.at && p.kind == c.kind).map_or(1, |p| p.len);
            let (from, to) = match c.how {
                // What was cut off begins where the image now ends.
                "image cut" => (c.at + c.offset as u64, u64::MAX),
                // Sectors are no structures: a member of an archive has a header of several.
                _ if c.kind == "sector" => (c.at.saturating_sub(4 * 512), c.at + len as u64 + 4 * 512),
                _ => (c.at, c.at + len as u64),
            };
            let bytes = damaged.get(c.at, len);
            let leads = |p: &Part| p.names.iter().any(|n| *n > 1 && is_said(&bytes, *n, self.subject.layout.big));
            seen.gaps
                .iter()
                .any(|g| g.meets(from, to) || self.parts.iter().any(|p| g.meets(p.at, p.at + p.len as u64) && leads(p)))
        };
        !self.intact.has_places() || seen.covers(path, &self.intact) || changes.iter().any(changed)
    }
    /// Whether the image is as whole as before, and says something else: of some files, whose bytes or whose own
    /// structures were changed to what is valid as well.
    fn is_whole(&self, changes: &[Change], differences: &[Difference], how: &str) -> bool {
        let within = |c: &Change| {
            let at = c.at + c.offset as u64;
            self.intact.data.iter().any(|d| d.0 <= at && at < d.1)
        };
        if how != "lost" && changes.iter().any(within) {
            return true;
        }
        // A structure with a fitting checksum, or of a format that has none, tells of two files at most: its own, and
        // one that it was swapped with; each may have two names.
        let is_few = differences.len() <= 4 * changes.len();
        // A name, or the mark that a file is deleted, is what the directory says.
        let is_said = matches!(how, "other name" | "deleted");
        if how != "lost" && (is_few || is_said) && changes.iter().any(|c| c.mended) {
            return true;
        }
        changes.iter().any(|c| (self.subject.is_whole)(c, how))
    }
    /// The packed bytes of a mutant.
    pub(super) fn image(&self, seed: u64) -> Vec<u8> {
        mutant(&self.whole, &self.parts, &self.names, self.subject.layout, seed).0.pack()
    }
    /// One mutant; its number says all of it.
    pub(super) fn one(&mut self, seed: u64) {
        let (disk, changes) = mutant(&self.whole, &self.parts, &self.names, self.subject.layout, seed);
        let said = || changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        self.tally.mutants += 1;
        let damaged = disk.clone();
        let seen = match self.reader.read(disk) {
            None => {
                self.tally.faults.push(format!("mutant {seed} hangs: {}", said()));
                self.reader = Reader::new(self.subject.look);
                return;
            }
            Some(Outcome::Endless) => {
                self.tally.faults.push(format!("mutant {seed} is read without end: {}", said()));
                return;
            }
            Some(Outcome::Panicked(text)) => {
                self.tally.faults.push(format!("mutant {seed} panics: {text}: {}", said()));
                return;
            }
            Some(Outcome::Read(seen)) => seen,
        };
        let known = self.tally.words.len();
        self.tally.words.extend(seen.words());
        self.tally.since_news = if self.tally.words.len() > known { 0 } else { self.tally.since_news + 1 };
        if seen.refused.is_some() {
            // What is refused shows nothing, and says so.
            self.tally.told += 1;
            return;
        }
        let is_told = seen.is_told();
        let mut differences = seen.differences(&self.intact);
        let any = !differences.is_empty();
        differences.retain(|d| !is_told || !self.is_covered(&seen, &damaged, &changes, &d.path));
        let Some(Difference { text: example, how, .. }) = differences.iter().max_by_key(|d| d.how) else {
            let tally = if any || is_told { &mut self.tally.told } else { &mut self.tally.same };
            *tally += 1;
            return;
        };
        // Several changes can make an image whole again in another way; they are for what must not happen to a reader.
        if changes.len() > 1 || self.is_whole(&changes, &differences, how) {
            self.tally.whole += 1;
            return;
        }
        let Some(change) = changes.first() else { return };
        let sum = if change.mended { "" } else { ", checksum left" };
        let elsewhere = if is_told { ", told of another place" } else { "" };
        let class = format!("{how}: {} of {}{sum}{elsewhere}", change.how, change.kind);
        let text = format!("mutant {seed}: {}: {} of them, as {example}", said(), differences.len());
        let told: Vec<String> = seen.gaps.iter().take(3).map(ToString::to_string).collect();
        let text = if is_told { format!("{text}; told: {told:?}") } else { text };
        self.tally.silent.entry(class).or_insert((0, text)).0 += 1;
    }
}
