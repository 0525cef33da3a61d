//! The one pass over the bulk: every file's content is read once, in the order in which files lie on the
//! disk, hashed, named by its first bytes, and handed to every content reader that wants it.
//!
//! Each thread works in rounds. A round reads a megabyte: small files whole, large ones piece by piece,
//! at most [`FLIGHTS`] of them side by side, so that every lane has a message.
use super::flight::{Flight, PIECE, Part, guard, unhashed};
use super::lanes::{self, BLOCK, Function, Md5Lanes, Sha256Lanes, Tail, Task, sha256_pays};
use crate::artifact::{CONTENTS, Content};
use crate::base::parallel::{in_order, split};
use crate::base::{Cancelled, Digest, Gap, ImageRun, Md5, Progress, Run, Sha1};
use crate::evidence::{Entry, Hashes, System, Tree};
use crate::inventory::Row;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// One content to be read. Entries that are links to the same inode are one job.
pub struct Job<'a> {
    pub entry: &'a Entry,
    pub tree: &'a Tree,
    pub system: Option<&'a System>,
    /// A manifest lists the MD5 of this file.
    pub want_md5: bool,
    /// A manifest lists its SHA-1. Hashes that are known already do not have it.
    pub want_sha1: bool,
    /// The hashes, where the file was read whole before; it is then read again only for a reader that wants it.
    pub known: Option<Hashes>,
    /// Content readers may have it.
    pub parse: bool,
}

/// What one job gave.
#[derive(Debug)]
pub struct Done {
    /// Index of the job.
    pub job: usize,
    pub sha256: Option<Digest>,
    /// Only where it was wanted or known.
    pub md5: Option<Md5>,
    /// Only where it was wanted.
    pub sha1: Option<Sha1>,
    /// Why there is no hash; empty if there is one.
    pub unhashed: Arc<str>,
    /// What the content is, by its first bytes; empty if nothing of it could be read.
    pub content: &'static str,
    /// Where the content lies, in file order.
    pub runs: Vec<ImageRun>,
    pub rows: Vec<Row>,
    pub gaps: Vec<Gap>,
}

/// Bytes that a round takes: at most one piece more than this.
const ROUND: usize = 1 << 20;
/// Files larger than a piece that one thread reads side by side: one for each lane.
const FLIGHTS: usize = 16;
/// Files of a round, however small: empty ones would never fill it.
const MANY: usize = 8192;
/// Files that wait for memory or a lane before a thread begins no more: enough that smaller ones, which need neither,
/// are found behind them.
const PARKED: usize = 64;
/// Jobs and bytes that a thread takes from the queue at once.
const BATCH_JOBS: usize = 256;
const BATCH_BYTES: u64 = 16 << 20;
/// Bytes of finished files' memory that each thread keeps.
const SPARE: usize = 8 << 20;
/// Bytes of large files that all threads together hold whole for content readers.
const HELD: u64 = 16 << 20;

/// Bytes that the pass will read of a job, for its total: none of a file whose hash is known or that is not
/// hashed (the few that a content reader wants of those come on top).
pub fn cost(job: &Job<'_>) -> u64 {
    let len = job.entry.len();
    let allocated = job.entry.stat.as_ref().map_or(len, |s| s.allocated);
    if job.known.is_some() || unhashed(len, allocated).is_some() { 0 } else { len }
}

/// Files from this size on are begun first.
const EARLY: u64 = 8 << 20;
/// Files that are looked up together, to find out where they lie.
const PLACED: usize = 1024;

/// Told of jobs that a thread takes in hand (`true`) or lays down again undone (`false`).
pub(super) type Announce<'a> = dyn Fn(&[usize], bool) + Sync + 'a;

/// Reads every job on `threads` threads. `announce` is called before anything of a file is looked at;
/// it is in hand until `done`. `before_parse` is called right before the content readers get a file;
/// `false` leaves them out for it. `done` is called once for each job, in no particular order, from any thread.
/// Progress is counted in bytes read; [`cost`] tells how many to expect.
pub fn read_all(
    jobs: &[Job<'_>],
    threads: usize,
    progress: &Progress,
    announce: &Announce<'_>,
    before_parse: &(dyn Fn(usize) -> bool + Sync),
    done: &(dyn Fn(Done) + Sync),
) -> Result<(), Cancelled> {
    read_with(jobs, CONTENTS, threads, progress, announce, before_parse, done)
}

/// [`read_all`] with other content readers.
pub(super) fn read_with(
    jobs: &[Job<'_>],
    readers: &[&'static Content],
    threads: usize,
    progress: &Progress,
    announce: &Announce<'_>,
    before_parse: &(dyn Fn(usize) -> bool + Sync),
    done: &(dyn Fn(Done) + Sync),
) -> Result<(), Cancelled> {
    let order = in_disk_order(jobs, threads.max(1), progress, announce)?;
    let bytes = jobs.iter().map(|j| j.entry.len()).fold(0, u64::saturating_add);
    let lanes = (threads.max(1) as u64).saturating_mul(FLIGHTS as u64);
    let pass = Pass {
        jobs,
        readers,
        progress,
        announce,
        before_parse,
        done,
        sha256_in_lanes: sha256_pays(),
        longest: jobs.iter().map(cost).fold(0, u64::saturating_add).div_euclid(lanes).saturating_mul(2).max(EARLY),
        queue: Mutex::new(Queue { waiting: order.into(), bytes }),
        threads: threads.max(1) as u64,
        held: Held::default(),
        again: Mutex::default(),
        stopped: AtomicBool::new(false),
    };
    let work = || {
        if Thread::new(&pass).run().is_err() {
            pass.stopped.store(true, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for number in 1..threads.max(1) {
            let builder = std::thread::Builder::new().name(format!("contents-{number}"));
            if builder.spawn_scoped(scope, work).is_err() {
                // No further thread is to be had: those that run do all of it.
                break;
            }
        }
        work();
    });
    if pass.stopped.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
}

/// Indices of the jobs by where the first byte of each lies: image, then offset. What has no place comes first. The
/// largest files come before all others: begun at the end, one would be left over for a single thread and lane.
fn in_disk_order(
    jobs: &[Job<'_>],
    threads: usize,
    progress: &Progress,
    announce: &Announce<'_>,
) -> Result<Vec<usize>, Cancelled> {
    let place = |index: usize, job: &Job<'_>| {
        let first = guard(|| job.tree.open(job.entry).map(|s| s.locate(Run::new(0, 1))));
        let place = match first {
            Ok(Ok(pieces)) => pieces.first().map(|p| (p.image, p.offset)),
            // Told when it is read.
            Ok(Err(_)) | Err(_) => None,
        };
        (job.entry.len() < EARLY, place, index)
    };
    let look = |range: Range<usize>| -> Result<Vec<_>, Cancelled> {
        let mut order = Vec::with_capacity(range.len());
        let indices: Vec<usize> = range.collect();
        for some in indices.chunks(PLACED) {
            announce(some, true);
            for index in some.iter().copied() {
                progress.step(0)?;
                order.extend(jobs.get(index).map(|job| place(index, job)));
            }
            announce(some, false);
        }
        order.sort_unstable();
        Ok(order)
    };
    let parts = in_order("order", &split(jobs.len(), threads), &look);
    let mut order = parts.into_iter().collect::<Result<Vec<_>, Cancelled>>()?.concat();
    // Sorted runs, which this sort merges.
    order.sort();
    Ok(order.into_iter().map(|(.., index)| index).collect())
}

/// Jobs that nobody has begun, and the bytes of their files.
struct Queue {
    waiting: VecDeque<usize>,
    bytes: u64,
}

/// What all threads share.
pub(super) struct Pass<'a> {
    pub jobs: &'a [Job<'a>],
    pub readers: &'a [&'static Content],
    pub sha256_in_lanes: bool,
    /// A longer file would go on in its lane long after all others are through in theirs.
    pub longest: u64,
    progress: &'a Progress,
    announce: &'a Announce<'a>,
    pub before_parse: &'a (dyn Fn(usize) -> bool + Sync),
    done: &'a (dyn Fn(Done) + Sync),
    queue: Mutex<Queue>,
    threads: u64,
    held: Held,
    /// Whose turn it is to be read again, and the memory for it.
    pub again: Mutex<Vec<u8>>,
    stopped: AtomicBool,
}
impl Pass<'_> {
    fn batch(&self, to: &mut VecDeque<usize>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // Towards the end less at once, so that all threads end together.
        let share = queue.bytes.checked_div(self.threads.saturating_mul(4)).unwrap_or(0);
        let most = share.clamp(ROUND as u64, BATCH_BYTES);
        let mut bytes = 0_u64;
        while to.len() < BATCH_JOBS && bytes < most {
            let Some(next) = queue.waiting.pop_front() else { return };
            let len = self.jobs.get(next).map_or(0, |j| j.entry.len());
            bytes = bytes.saturating_add(len);
            queue.bytes = queue.bytes.saturating_sub(len);
            to.push_back(next);
        }
    }
    fn step(&self, bytes: u64) -> Result<(), Cancelled> {
        self.progress.step(bytes)?;
        // Another thread may have been told before this one asked.
        if self.stopped.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// Large files in memory, over all threads.
#[derive(Default)]
struct Held {
    bytes: Mutex<u64>,
    freed: Condvar,
}
/// Gives its bytes back when it goes.
pub(super) struct Hold<'a> {
    held: &'a Held,
    bytes: u64,
}
impl Held {
    /// One file always fits, whatever its size, so that every one gets its turn.
    fn take(&self, bytes: u64) -> Option<Hold<'_>> {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let after = held.saturating_add(bytes);
        if *held > 0 && after > HELD {
            return None;
        }
        *held = after;
        Some(Hold { held: self, bytes })
    }
    /// Waits until something was given back, or a moment.
    fn wait(&self) {
        let held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if *held > 0 {
            drop(self.freed.wait_timeout(held, Duration::from_millis(50)));
        }
    }
}
impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut held = self.held.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(self.bytes);
        self.held.freed.notify_all();
    }
}

/// Buffers to be used again, by their length.
#[derive(Default)]
struct Spare(Vec<Vec<u8>>);
impl Spare {
    /// The smallest that holds `bytes`, else the largest there is.
    fn take(&mut self, bytes: u64) -> Vec<u8> {
        let fits = self.0.partition_point(|b| (b.len() as u64) < bytes);
        if fits < self.0.len() { self.0.remove(fits) } else { self.0.pop().unwrap_or_default() }
    }
    fn keep(&mut self, buffer: Vec<u8>) {
        let all = self.0.iter().map(Vec::len).fold(buffer.len(), usize::saturating_add);
        if all <= SPARE {
            let at = self.0.partition_point(|b| b.len() < buffer.len());
            self.0.insert(at, buffer);
        }
    }
}

struct Thread<'a> {
    pass: &'a Pass<'a>,
    /// Jobs of this thread that are not begun.
    queue: VecDeque<usize>,
    /// Large files that have to wait for memory or for a free lane.
    parked: VecDeque<Flight<'a>>,
    flights: Vec<Flight<'a>>,
    /// Hashed, but to be read once more when it is their turn.
    late: Vec<Flight<'a>>,
    /// Memory of large files that are finished, for the next ones: to fault pages in and zero them costs as
    /// much as to read a file.
    spare: Spare,
    /// What this round reads. Untouched pages of it cost nothing.
    arena: Vec<u8>,
    /// First byte of the arena that is free.
    free: usize,
}

impl<'a> Thread<'a> {
    fn new(pass: &'a Pass<'a>) -> Self {
        let arena = vec![0; ROUND.saturating_add(PIECE)];
        let (queue, parked, flights, late) = (VecDeque::new(), VecDeque::new(), Vec::new(), Vec::new());
        Self { pass, queue, parked, flights, late, spare: Spare::default(), arena, free: 0 }
    }

    fn run(&mut self) -> Result<(), Cancelled> {
        loop {
            self.free = 0;
            for flight in &mut self.flights {
                self.pass.step(flight.read(&mut self.arena, &mut self.free))?;
            }
            self.begin()?;
            self.finish_late(self.flights.is_empty() && self.parked.is_empty())?;
            if self.flights.is_empty() {
                if self.parked.is_empty() {
                    return Ok(());
                }
                self.pass.step(0)?;
                self.pass.held.wait();
            }
            self.hash();
            for flight in self.flights.extract_if(.., |f| f.is_through()) {
                if flight.is_read_again() {
                    self.late.push(flight);
                    continue;
                }
                let (done, buffer) = flight.finish(self.pass, &self.arena, None);
                (self.pass.done)(done);
                buffer.into_iter().for_each(|b| self.spare.keep(b));
            }
        }
    }

    /// Ends files that are to be read again, while no other thread is at one; in the end all of them, and before
    /// they become many.
    fn finish_late(&mut self, all: bool) -> Result<(), Cancelled> {
        while let Some(flight) = self.late.pop() {
            let turn = match self.pass.again.try_lock() {
                Ok(turn) => turn,
                Err(_) if all || self.late.len() >= FLIGHTS => {
                    self.pass.again.lock().unwrap_or_else(PoisonError::into_inner)
                }
                Err(_) => {
                    self.late.push(flight);
                    break;
                }
            };
            self.pass.step(0)?;
            let (done, _) = flight.finish(self.pass, &self.arena, Some(turn));
            (self.pass.done)(done);
        }
        Ok(())
    }

    /// Begins files until the round is full or there are no more.
    fn begin(&mut self) -> Result<(), Cancelled> {
        for _ in 0..self.parked.len() {
            if let Some(flight) = self.parked.pop_front() {
                self.admit(flight)?;
            }
        }
        while self.parked.len() < PARKED && self.free < ROUND && self.flights.len() < MANY {
            if self.queue.is_empty() {
                self.pass.batch(&mut self.queue);
                if !self.queue.is_empty() {
                    (self.pass.announce)(self.queue.make_contiguous(), true);
                }
            }
            let Some(index) = self.queue.pop_front() else { break };
            let Some(job) = self.pass.jobs.get(index) else { continue };
            match Flight::open(self.pass, index, job) {
                Ok(flight) => self.admit(flight)?,
                Err(done) => (self.pass.done)(*done),
            }
        }
        Ok(())
    }

    /// Takes a file into this round, or parks it.
    fn admit(&mut self, mut flight: Flight<'a>) -> Result<(), Cancelled> {
        if !flight.is_through() {
            // Of files of some bytes each a round holds very many: those are not counted for every one of them.
            let is_full = || self.flights.iter().filter(|f| !f.is_small()).count() >= FLIGHTS;
            if self.free >= ROUND || (!flight.is_small() && is_full()) {
                self.parked.push_back(flight);
                return Ok(());
            }
            if let Some(bytes) = flight.needs() {
                let Some(hold) = self.pass.held.take(bytes) else {
                    self.parked.push_back(flight);
                    return Ok(());
                };
                flight.hold(hold, self.spare.take(bytes));
            }
            self.pass.step(flight.read(&mut self.arena, &mut self.free))?;
        }
        self.flights.push(flight);
        Ok(())
    }

    /// Hashes this round's pieces.
    fn hash(&mut self) {
        let md5 = in_lanes::<Md5Lanes, 4>(self.flights.iter().map(|f| f.md5_part(&self.arena)));
        for (flight, state) in self.flights.iter_mut().zip(md5) {
            state.into_iter().for_each(|state| flight.set_md5(state));
        }
        let sha256 = in_lanes::<Sha256Lanes, 8>(self.flights.iter().map(|f| f.sha256_part(&self.arena)));
        for (flight, state) in self.flights.iter_mut().zip(sha256) {
            state.into_iter().for_each(|state| flight.set_sha256(state));
        }
    }
}

/// The state after each part; `None` for what has none.
fn in_lanes<'a, F: Function<N>, const N: usize>(
    parts: impl Iterator<Item = Option<([u32; N], Part<'a>)>>,
) -> Vec<Option<[u32; N]>> {
    let parts: Vec<_> = parts.collect();
    let tail = |part: &Part<'_>| part.end.map(|(rest, len)| Tail::new::<F, N>(rest, len));
    let tails: Vec<Option<Tail>> = parts.iter().map(|p| p.as_ref().and_then(|(_, part)| tail(part))).collect();
    let mut tasks: Vec<Task<'_, N>> = parts
        .iter()
        .zip(&tails)
        .map(|(part, tail)| {
            let tail: &[[u8; BLOCK]] = tail.as_ref().map_or(&[], Tail::blocks);
            part.as_ref().map_or(Task { state: F::START, blocks: &[], tail: &[] }, |(state, part)| Task {
                state: *state,
                blocks: part.blocks,
                tail,
            })
        })
        .collect();
    lanes::run::<F, N>(&mut tasks);
    parts.iter().zip(tasks).map(|(part, task)| part.as_ref().map(|_| task.state)).collect()
}
