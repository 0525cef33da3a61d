//! One file on its way through the pass: its bytes as they come, its hashes, and what the content readers
//! make of it. A panic in a reader of hostile bytes costs the file, not the pass.
use super::contents::{Done, Hold, Job, Pass};
use super::lanes::{Alone, BLOCK, Function, Md5Lanes, Sha256Lanes, digest};
use super::sniff::{HEAD, sniff};
use crate::artifact::{CONTENT_LIMIT, Content, Out, Sight};
use crate::base::{Digest, Evidence, Gap, Gaps, ImageRun, Md5, Sha1};
use crate::image::Source;
use crate::inventory::Row;
use sha1::Sha1 as Sha1Hasher;
use sha2::{Digest as _, Sha256};
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;

/// Most bytes of one file that a round takes; files up to this size are read in one go. A multiple of [`BLOCK`].
/// A round's pieces together fit into a processor's own cache: the lanes read them all side by side.
pub(super) const PIECE: usize = 64 << 10;
/// Pieces that a round takes of a file that is hashed by itself.
const ALONE: usize = 16;
/// Bytes of one read call: they are hashed while the processor still has them at hand.
const READ: usize = 256 << 10;
/// Larger files that a content reader wants are hashed first and read again for it, one at a time: kept in memory
/// while their pieces come, a few of them would hold up all others.
const WHOLE: u64 = 4 << 20;
/// Longest memory for them that is kept from one to the next.
const KEPT: usize = 32 << 20;
/// Larger files are not hashed.
const SIZE_LIMIT: u64 = 64 << 30;
/// From this size on, files that are nearly all holes are not hashed.
const SPARSE_FROM: u64 = 1 << 30;
const SPARSE_SHARE: u64 = 1000;
/// Longest list of places that goes into the case.
const MAX_RUNS: usize = 1 << 16;
const BY: &str = "contents";

/// Runs code that reads hostile bytes; its panic becomes a message.
pub(super) fn guard<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = |p: &Box<dyn Any + Send>| {
            p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        };
        text(&panic).unwrap_or_else(|| "no message".to_owned())
    })
}

/// Why a file is not hashed: a 16 TiB file of holes takes no space in an image, and hours to read.
pub(super) fn unhashed(len: u64, allocated: u64) -> Option<String> {
    if len >= SPARSE_FROM && allocated < len.div_euclid(SPARSE_SHARE) {
        return Some(format!("sparse: {allocated} bytes allocated"));
    }
    (len > SIZE_LIMIT).then(|| format!("over the limit of {SIZE_LIMIT} bytes"))
}

/// SHA-256 so far.
enum Sha {
    /// By the processor's SHA instructions, as the bytes come.
    Stream(Box<Sha256>),
    /// In lanes, once a round.
    Lanes([u32; 8]),
    /// By itself beside the lanes, as the bytes come.
    Alone(Box<Alone>),
}
impl Sha {
    fn new(in_lanes: bool, alone: bool) -> Self {
        match (in_lanes, alone) {
            (_, true) => Self::Alone(Box::new(Alone::new())),
            (true, false) => Self::Lanes(Sha256Lanes::START),
            (false, false) => Self::Stream(Box::default()),
        }
    }
}

/// What a round has of a message: whole blocks, and the rest with the message's length where it ends.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub blocks: &'a [[u8; BLOCK]],
    pub end: Option<(&'a [u8], u64)>,
}

/// Where this round's piece lies.
enum At {
    Arena(Range<usize>),
    /// In the file's own buffer.
    Held(Range<usize>),
}

pub(super) struct Flight<'a> {
    index: usize,
    job: &'a Job<'a>,
    source: Source,
    len: u64,
    /// Bytes read so far.
    at: u64,
    /// Where reading ends.
    stop: u64,
    sha256: Option<Sha>,
    md5: Option<[u32; 4]>,
    /// As the bytes come: few files want it.
    sha1: Option<Box<Sha1Hasher>>,
    unhashed: String,
    content: &'static str,
    /// Decided once the first bytes are known.
    want: Option<Vec<&'static Content>>,
    /// A large file that a content reader wants whole.
    hold: Option<(Hold<'a>, Vec<u8>)>,
    hold_to: u64,
    /// To be read again for the content readers.
    again: bool,
    /// So long that all other files would be through before it in its lane.
    alone: bool,
    piece: Option<At>,
    gaps: Gaps,
}

impl<'a> Flight<'a> {
    /// Opens a file; what cannot be opened is done at once.
    pub(super) fn open(pass: &Pass<'a>, index: usize, job: &'a Job<'a>) -> Result<Self, Box<Done>> {
        let entry = job.entry;
        let gaps = Gaps::default().at(|p| {
            p.filesystem = Some(entry.fs);
            p.path = Some(entry.path.clone());
            p.inode = Some(entry.node.number);
        });
        let failed = |why: String| {
            gaps.add(BY, why, entry.len());
            Box::new(Done {
                job: index,
                sha256: job.known.map(|k| k.sha256),
                md5: job.known.map(|k| k.md5),
                sha1: None,
                unhashed: if job.known.is_some() { "".into() } else { "read error".into() },
                content: "",
                runs: Vec::new(),
                rows: Vec::new(),
                gaps: gaps.take(),
            })
        };
        let source = match guard(|| job.tree.open(entry)) {
            Ok(Ok(source)) => source,
            Ok(Err(e)) => return Err(failed(format!("content not read: {e}"))),
            Err(panic) => return Err(failed(format!("parser fault in the file system's reader: {panic}"))),
        };
        let len = source.len();
        let reason = unhashed(len, entry.stat.as_ref().map_or(len, |s| s.allocated));
        let hashing = reason.is_none() && job.known.is_none();
        let alone = !job.want_md5 && len > pass.longest;
        let mut flight = Self {
            index,
            job,
            len,
            at: 0,
            stop: len,
            sha256: hashing.then(|| Sha::new(pass.sha256_in_lanes, alone)),
            md5: (hashing && job.want_md5).then_some(Md5Lanes::START),
            sha1: (hashing && job.want_sha1).then(Box::default),
            unhashed: if job.known.is_some() { String::new() } else { reason.unwrap_or_default() },
            content: "",
            want: None,
            hold: None,
            hold_to: 0,
            again: false,
            alone,
            piece: None,
            gaps,
            source,
        };
        if !flight.is_small() {
            flight.look(pass, hashing);
        }
        Ok(flight)
    }
    /// Read in one go, and looked at afterwards.
    pub(super) fn is_small(&self) -> bool {
        self.sha256.is_some() && self.len <= PIECE as u64 && self.hold_to == 0
    }
    /// Reads the first bytes, to decide what else of the file is needed.
    fn look(&mut self, pass: &Pass<'_>, hashing: bool) {
        let mut head = vec![0; usize::try_from(self.len).unwrap_or(HEAD).min(HEAD)];
        match guard(|| self.source.read_at(0, &mut head)) {
            Ok(Ok(n)) => head.truncate(n),
            Ok(Err(e)) => return self.fail(e.offset, &e.what),
            Err(panic) => return self.fail(0, &format!("parser fault in the file system's reader: {panic}")),
        }
        self.decide(pass, &head);
        let wanted = self.want.as_ref().is_some_and(|w| !w.is_empty());
        self.again = wanted && hashing && self.len > WHOLE;
        self.hold_to = if wanted && !self.again { self.len.min(CONTENT_LIMIT) } else { 0 };
        self.stop = if hashing { self.len } else { self.hold_to };
    }
    fn decide(&mut self, pass: &Pass<'_>, head: &[u8]) {
        self.content = sniff(head, self.len);
        let mut want = Vec::new();
        for reader in pass.readers.iter().filter(|_| self.job.parse) {
            match guard(|| (reader.wants)(self.job.entry, head)) {
                Ok(true) => want.push(*reader),
                Ok(false) => {}
                Err(panic) => self.gaps.add(reader.name, format!("parser fault in {}: {panic}", reader.name), self.len),
            }
        }
        self.want = Some(want);
    }
    /// Bytes of memory that it needs for itself and has not got yet.
    pub(super) fn needs(&self) -> Option<u64> {
        (self.hold_to > 0 && self.hold.is_none() && !self.is_through()).then_some(self.hold_to)
    }
    /// Gives it the memory that it [needs](Self::needs): `buffer`, made larger if it is too small.
    pub(super) fn hold(&mut self, hold: Hold<'a>, mut buffer: Vec<u8>) {
        let len = usize::try_from(self.hold_to).unwrap_or(usize::MAX);
        let more = len.saturating_sub(buffer.len());
        if buffer.try_reserve_exact(more).is_err() {
            self.gaps.add(BY, "no memory for the whole content; it was hashed only", self.len);
            self.want = Some(Vec::new());
            self.hold_to = 0;
            return;
        }
        if more > 0 {
            buffer.resize(len, 0);
        }
        self.hold = Some((hold, buffer));
    }
    /// Nothing more is to be read.
    pub(super) fn is_through(&self) -> bool {
        // An empty file is read too: its hash is that of no bytes.
        self.at >= self.stop && (self.piece.is_some() || self.sha256.is_none())
    }
    /// It is to be read a second time, for content readers.
    pub(super) fn is_read_again(&self) -> bool {
        self.again
    }
    /// Stops reading here: there is no hash.
    fn fail(&mut self, offset: u64, what: &str) {
        let lost = self.len.saturating_sub(self.at);
        self.gaps.add_at(BY, "file_offset", offset, format!("content not read: {what}"), lost);
        self.sha256 = None;
        self.md5 = None;
        self.sha1 = None;
        if self.job.known.is_none() {
            "read error".clone_into(&mut self.unhashed);
        }
        self.stop = self.at;
    }

    /// Reads the next piece, into `arena` from `free` on (which it moves) or into the file's own buffer; several
    /// pieces, one after the other, of a file that is hashed by itself. Gives the number of bytes.
    pub(super) fn read(&mut self, arena: &mut [u8], free: &mut usize) -> u64 {
        let mut all = 0_u64;
        for _ in 1..ALONE {
            if !self.alone || self.hold_to > 0 || self.stop.saturating_sub(self.at) <= PIECE as u64 {
                break;
            }
            all = all
                .saturating_add(self.fill(arena.get_mut(*free..free.saturating_add(PIECE)).unwrap_or_default()) as u64);
        }
        all.saturating_add(self.read_piece(arena, free))
    }
    fn read_piece(&mut self, arena: &mut [u8], free: &mut usize) -> u64 {
        let want = usize::try_from(self.stop.saturating_sub(self.at)).unwrap_or(usize::MAX).min(PIECE);
        let mut hold = if self.at < self.hold_to { self.hold.take() } else { None };
        // A held piece ends where the held part ends: what comes behind it goes into the arena.
        let left = usize::try_from(self.hold_to.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let (buf, start, want): (&mut [u8], usize, usize) = match &mut hold {
            Some((_, buffer)) => (buffer, usize::try_from(self.at).unwrap_or(usize::MAX), want.min(left)),
            None => (arena, *free, want),
        };
        let n = self.fill(buf.get_mut(start..start.saturating_add(want)).unwrap_or_default());
        let range = start..start.saturating_add(n);
        if hold.is_some() {
            self.hold = hold;
            self.piece = Some(At::Held(range));
        } else {
            *free = range.end;
            self.piece = Some(At::Arena(range));
        }
        n as u64
    }
    /// As many bytes of `to` as the file still has.
    fn fill(&mut self, to: &mut [u8]) -> usize {
        let want = to.len();
        let mut n = 0_usize;
        while n < want {
            let end = n.saturating_add(READ).min(want);
            let Some(part) = to.get_mut(n..end) else { break };
            let asked = part.len();
            match guard(|| self.source.read_at(self.at, part)) {
                Ok(Ok(got)) => {
                    match (&mut self.sha256, part.get(..got)) {
                        (Some(Sha::Stream(sha256)), Some(part)) => sha256.update(part),
                        (Some(Sha::Alone(sha256)), Some(part)) => sha256.update(part),
                        _ => {}
                    }
                    if let (Some(sha1), Some(part)) = (&mut self.sha1, part.get(..got)) {
                        sha1.update(part);
                    }
                    n = n.saturating_add(got);
                    self.at = self.at.saturating_add(got as u64);
                    if got < asked {
                        self.fail(self.at, "it ends before its size");
                        break;
                    }
                }
                Ok(Err(e)) => {
                    self.fail(e.offset, &e.what);
                    break;
                }
                Err(panic) => {
                    self.fail(self.at, &format!("parser fault in the file system's reader: {panic}"));
                    break;
                }
            }
        }
        n
    }
    /// What this round has of the message.
    fn part<'b>(&'b self, arena: &'b [u8]) -> Option<Part<'b>> {
        let bytes = match self.piece.as_ref()? {
            At::Arena(range) => arena.get(range.clone()),
            At::Held(range) => self.hold.as_ref()?.1.get(range.clone()),
        };
        let (blocks, rest) = bytes?.as_chunks::<BLOCK>();
        Some(Part { blocks, end: (self.at >= self.stop).then_some((rest, self.len)) })
    }
    /// MD5 so far and what this round adds to it, if it is wanted.
    pub(super) fn md5_part<'b>(&'b self, arena: &'b [u8]) -> Option<([u32; 4], Part<'b>)> {
        Some((self.md5?, self.part(arena)?))
    }
    pub(super) fn set_md5(&mut self, state: [u32; 4]) {
        self.md5 = self.md5.map(|_| state);
    }
    /// SHA-256 so far and what this round adds to it, where it is computed in lanes.
    pub(super) fn sha256_part<'b>(&'b self, arena: &'b [u8]) -> Option<([u32; 8], Part<'b>)> {
        match self.sha256 {
            Some(Sha::Lanes(state)) => Some((state, self.part(arena)?)),
            _ => None,
        }
    }
    pub(super) fn set_sha256(&mut self, state: [u32; 8]) {
        if let Some(Sha::Lanes(to)) = &mut self.sha256 {
            *to = state;
        }
    }

    /// Ends the file: hashes, place, and what the content readers find.
    /// Its buffer comes back with it, for the next file. One that [is read again](Self::is_read_again) gets `turn`,
    /// the memory for that.
    pub(super) fn finish(
        mut self,
        pass: &Pass<'_>,
        arena: &[u8],
        mut turn: Option<MutexGuard<'_, Vec<u8>>>,
    ) -> (Done, Option<Vec<u8>>) {
        let read = usize::try_from(self.at).unwrap_or(usize::MAX);
        let kept = usize::try_from(self.at.min(self.hold_to)).unwrap_or(usize::MAX);
        let hold = self.hold.take();
        let whole = turn.as_mut().map(|buffer| self.whole(buffer)).unwrap_or_default();
        let bytes = match (&hold, &self.piece) {
            (Some((_, buffer)), _) => buffer.get(..kept).unwrap_or_default(),
            _ if self.again => whole,
            // The file is in the arena whole, or this is only the last piece of it.
            (None, Some(At::Arena(range))) if range.len() == read => arena.get(range.clone()).unwrap_or_default(),
            _ => &[],
        };
        if self.want.is_none() && (self.len == 0 || !bytes.is_empty()) {
            self.decide(pass, bytes.get(..HEAD.min(bytes.len())).unwrap_or_default());
        }
        let known = self.job.known;
        let sha256 = self.sha256.take().map(|s| match s {
            Sha::Stream(s) => Digest(s.finalize().into()),
            Sha::Lanes(state) => Digest(digest::<Sha256Lanes, 8, 32>(state)),
            Sha::Alone(s) => Digest(s.finish(self.len)),
        });
        let sha256 = sha256.or(known.map(|k| k.sha256));
        let md5 = self.md5.take().map(|s| Md5(digest::<Md5Lanes, 4, 16>(s))).or(known.map(|k| k.md5));
        let sha1 = self.sha1.take().map(|s| Sha1(s.finalize().into()));
        let runs = self.runs();
        let (rows, mut gaps) = self.parse(pass, bytes, sha256, &runs);
        gaps.extend(self.gaps.take());
        let unhashed = self.unhashed.as_str().into();
        let done = Done { job: self.index, sha256, md5, sha1, unhashed, content: self.content, runs, rows, gaps };
        (done, hold.map(|(_, buffer)| buffer))
    }
    /// The file once more, as far as content readers get it and it can be read.
    fn whole<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        let len = usize::try_from(self.len.min(CONTENT_LIMIT)).unwrap_or(usize::MAX);
        if buffer.len() > KEPT {
            *buffer = Vec::new();
        }
        if buffer.try_reserve_exact(len.saturating_sub(buffer.len())).is_err() {
            self.gaps.add(BY, "no memory for the whole content; it was hashed only", self.len);
            return &[];
        }
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let bytes = buffer.get_mut(..len).unwrap_or_default();
        let mut at = 0_usize;
        while let Some(rest) = bytes.get_mut(at..).filter(|r| !r.is_empty()) {
            match guard(|| self.source.read_at(at as u64, rest)) {
                Ok(Ok(n)) if n > 0 => at = at.saturating_add(n),
                failed => {
                    let what = match failed {
                        Ok(Ok(_)) => "it ends before its size".to_owned(),
                        Ok(Err(e)) => e.what,
                        Err(panic) => format!("parser fault in the file system's reader: {panic}"),
                    };
                    // Without a hash this was told the first time.
                    if self.sha256.is_some() {
                        let lost = self.len.saturating_sub(at as u64);
                        self.gaps.add_at(BY, "file_offset", at as u64, format!("not read a second time: {what}"), lost);
                    }
                    break;
                }
            }
        }
        bytes.get(..at).unwrap_or_default()
    }
    fn runs(&self) -> Vec<ImageRun> {
        match guard(|| crate::evidence::image_runs(&self.source, None)) {
            Ok(mut runs) => {
                if runs.len() > MAX_RUNS {
                    self.gaps.add(BY, format!("budget: {} pieces; the first {MAX_RUNS} are listed", runs.len()), 0);
                    runs.truncate(MAX_RUNS);
                }
                runs
            }
            Err(panic) => {
                self.gaps.add(BY, format!("parser fault in the file system's reader: {panic}"), 0);
                Vec::new()
            }
        }
    }
    fn parse(
        &mut self,
        pass: &Pass<'_>,
        bytes: &[u8],
        sha256: Option<Digest>,
        runs: &[ImageRun],
    ) -> (Vec<Row>, Vec<Gap>) {
        let (mut rows, mut gaps) = (Vec::new(), Vec::new());
        let want = self.want.take().unwrap_or_default();
        if want.is_empty() || bytes.is_empty() || !(pass.before_parse)(self.index) {
            return (rows, gaps);
        }
        let Job { entry, system, .. } = *self.job;
        if self.len > CONTENT_LIMIT {
            let what = format!("longer than {CONTENT_LIMIT} bytes: the content readers got that many");
            self.gaps.add(BY, what, self.len.saturating_sub(CONTENT_LIMIT));
        }
        for reader in want {
            let out = Out::new(system.map(|s| s.index), reader.name);
            let evidence = Evidence {
                filesystem: entry.fs,
                path: entry.path.clone(),
                node: entry.node,
                deleted: entry.deleted,
                sha256,
                image_runs: runs.to_vec(),
                ..Evidence::default()
            };
            let sight = Sight { entry, system, evidence };
            if let Err(panic) = guard(|| (reader.consume)(&sight, bytes, &out)) {
                out.gap(entry, format!("parser fault in {}: {panic}", reader.name));
            }
            let (more, missed) = out.take();
            rows.extend(more);
            gaps.extend(missed);
        }
        (rows, gaps)
    }
}
