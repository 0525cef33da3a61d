//! Registry hives of Windows (`regf`, versions 1.3 to 1.6), read from the bytes of a file with its transaction logs.
//! Format: M. Suhanov, "Windows registry file format specification"; J. Metz, "Windows NT Registry File (REGF) format".
//!
//! Every key and value knows where in the file it lies. Nothing here follows a length or an offset further than the
//! file reaches, and whatever is not as it should be is a [`Fault`] with its place; what can be read is read all the
//! same. One hive costs at most [`MAX_STEPS`] elements of lists, whatever its structures say.
mod check;
mod header;
mod key;
mod log;
mod marvin;
#[cfg(test)]
mod tests;
mod value;

use crate::base::Run;
use crate::format::little::{u16_at, u32_at, u64_at};
pub use check::Visit;
pub use header::{Header, is_hive};
pub use key::{Key, flags};
pub use log::State;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
pub use value::{Value, kinds, string, strings};

/// Bytes of a hive that are read; those of a system are some ten megabytes, the largest some hundred.
pub const MAX_HIVE: u64 = 256 << 20;
/// Bytes of a transaction log that are read.
pub const MAX_LOG: u64 = 64 << 20;
/// Elements of lists, cells and keys that are looked at in one hive; the largest real ones need some ten millions.
pub const MAX_STEPS: u64 = 30_000_000;
/// Levels of keys; Windows allows 512.
pub const MAX_DEPTH: usize = 512;
/// Faults that are told of one hive; further ones are counted.
const MAX_FAULTS: usize = 500;
/// Where the bins begin, and what offsets in a hive count from.
const BINS: usize = 4096;
/// Bytes of a bin before its first cell.
const BIN_HEAD: usize = 32;
/// What stands for an offset where there is nothing.
const NOTHING: u32 = u32::MAX;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// 0 for the hive itself, else the number of the log.
    pub file: usize,
    /// Byte of that file.
    pub offset: u64,
    pub what: String,
    /// Bytes that it covers; 0 where that is not known.
    pub bytes: u64,
}

/// Bytes from a sector of the hive on that a log gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Patch {
    log: usize,
    offset: u64,
}
/// What logs are made of.
const SECTOR: usize = 512;

/// A hive, with what its logs add to it.
pub struct Hive {
    bytes: Vec<u8>,
    header: Header,
    state: State,
    /// Sectors of the file that came from a log.
    patches: BTreeMap<u64, Patch>,
    /// Start and end of every bin that has a header, in the file; sorted.
    bins: Vec<(usize, usize)>,
    /// Where the bins end.
    end: usize,
    steps: AtomicU64,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    /// By file, offset and text, so that what is met twice is told once; with the bytes covered.
    told: BTreeMap<(usize, u64, String), u64>,
    more: u64,
}

impl Hive {
    /// Reads the base block and finds the bins; of a dirty hive the logs are applied, `logs` in the order of their names
    /// (`.LOG`, `.LOG1`, `.LOG2`).
    /// # Errors
    /// A text, where the bytes are no hive of a version that is read.
    pub fn open(bytes: Vec<u8>, logs: &[Vec<u8>]) -> Result<Self, String> {
        let header = Header::parse(&bytes)?;
        let mut hive = Self {
            end: 0,
            bytes,
            header,
            state: State::Clean,
            patches: BTreeMap::new(),
            bins: Vec::new(),
            steps: AtomicU64::new(0),
            faults: Mutex::default(),
        };
        hive.recover(logs);
        let said = usize::try_from(hive.header.bins).unwrap_or(usize::MAX).saturating_add(BINS);
        hive.end = said.min(hive.bytes.len());
        if said > hive.bytes.len() {
            let lost = said.saturating_sub(hive.bytes.len()) as u64;
            hive.tell_at(hive.bytes.len(), format!("the hive is cut off: its base block tells of {said} bytes"), lost);
        }
        hive.find_bins();
        Ok(hive)
    }
    pub fn header(&self) -> &Header {
        &self.header
    }
    /// Whether it was dirty, and whether logs made it whole.
    pub fn state(&self) -> &State {
        &self.state
    }
    /// The hive with what its logs gave.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Bytes of the hive as they lie in one of the files (0 is the hive, then the logs): those from the first on that
    /// lie in the same file.
    pub fn lies(&self, run: Run) -> (usize, Run) {
        let sector = |at: u64| at / SECTOR as u64;
        let Some(first) = self.patches.get(&sector(run.offset)) else {
            let next = self.patches.range(sector(run.offset)..).next().map_or(u64::MAX, |(s, _)| s * SECTOR as u64);
            return (0, Run::new(run.offset, run.len.min(next.saturating_sub(run.offset))));
        };
        let within = run.offset % SECTOR as u64;
        let start = first.offset.saturating_add(within);
        let mut len = (SECTOR as u64).saturating_sub(within);
        while len < run.len {
            let next = self.patches.get(&sector(run.offset.saturating_add(len)));
            if next.is_none_or(|n| n.log != first.log || n.offset != start.saturating_add(len)) {
                break;
            }
            len = len.saturating_add(SECTOR as u64);
        }
        (first.log, Run::new(start, len.min(run.len)))
    }
    /// What was found so far that is not as it should be, sorted by place.
    pub fn faults(&self) -> Vec<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = |((file, offset, what), bytes): (&(usize, u64, String), &u64)| Fault {
            file: *file,
            offset: *offset,
            what: what.clone(),
            bytes: *bytes,
        };
        let mut all: Vec<Fault> = faults.told.iter().map(fault).collect();
        if self.steps.load(Ordering::Relaxed) > MAX_STEPS {
            let what = "budget: steps; the rest of the hive was not read".to_owned();
            all.push(Fault { file: 0, offset: 0, what, bytes: self.bytes.len() as u64 });
        }
        if faults.more > 0 {
            let what = format!("{} further faults of this hive are not listed one by one", faults.more);
            all.push(Fault { file: 0, offset: 0, what, bytes: 0 });
        }
        all
    }
    /// Tells of a byte of the hive.
    fn tell_at(&self, at: usize, what: impl Into<String>, bytes: u64) {
        let (file, run) = self.lies(Run::new(at as u64, 1));
        self.tell_in(file, run.offset, what, bytes);
    }
    fn tell_in(&self, file: usize, offset: u64, what: impl Into<String>, bytes: u64) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (file, offset, what.into());
        if faults.told.len() < MAX_FAULTS || faults.told.contains_key(&key) {
            faults.told.insert(key, bytes);
        } else {
            faults.more = faults.more.saturating_add(1);
        }
    }
    /// Tells that only the first bytes of a value were looked at.
    pub fn tell_cut(&self, value: &Value, limit: usize) {
        let rest = u64::from(value.len).saturating_sub(limit as u64);
        self.tell_at(place(value.cell), format!("budget: {limit} bytes of a value of {}", value.len), rest);
    }
    /// Tells of a cell, by its offset among the bins.
    fn tell(&self, cell: u32, what: impl Into<String>) {
        self.tell_at(place(cell), what, 0);
    }
    /// Counts what is looked at; `None` once it was too much, which [`Self::faults`] tell.
    fn step(&self, count: usize) -> Option<()> {
        let before = self.steps.fetch_add(count as u64, Ordering::Relaxed);
        (before.saturating_add(count as u64) <= MAX_STEPS).then_some(())
    }
    /// The content of a cell. One that is free is told and read all the same: what led to it was not made by Windows, or
    /// was not finished.
    fn cell(&self, offset: u32, what: &str) -> Option<&[u8]> {
        let at = place(offset);
        let fail = |why: &str| {
            self.tell(offset, format!("{what} not read: {why}"));
            None
        };
        if !offset.is_multiple_of(8) || at >= self.end {
            return fail(if at >= self.end {
                "its cell lies behind the end of the hive"
            } else {
                "no cell begins here"
            });
        }
        let Some(size) = self.bytes.get(at..).and_then(<[u8]>::first_chunk).map(|b| i32::from_le_bytes(*b)) else {
            return fail("its cell is cut off");
        };
        let len = size.unsigned_abs() as usize;
        if len < 8 || !len.is_multiple_of(8) {
            return fail("the size of its cell is none");
        }
        let end = at.saturating_add(len);
        let bin = self.bins.partition_point(|(start, _)| *start <= at).checked_sub(1).and_then(|n| self.bins.get(n));
        match bin {
            Some((start, _)) if at < start.saturating_add(BIN_HEAD) => {
                return fail("its cell lies in the head of a bin");
            }
            Some((_, bin_end)) if at < *bin_end && end > *bin_end => {
                return fail("its cell goes over the end of its bin");
            }
            _ => {}
        }
        if end > self.end {
            return fail("its cell goes over the end of the hive");
        }
        if size > 0 {
            self.tell(offset, format!("{what} lies in a cell that is free"));
        }
        self.bytes.get(at.saturating_add(4)..end)
    }
    /// The bytes of the file that a cell takes, its size included.
    fn run(offset: u32, content: usize) -> Run {
        Run::new(place(offset) as u64, content.saturating_add(4) as u64)
    }
    /// Finds where bins begin and end. What is no bin is told and gone over in steps of a page.
    fn find_bins(&mut self) {
        let mut at = BINS;
        let mut bad: Option<(usize, usize, &'static str)> = None;
        let mut bins = Vec::new();
        let mut faults = Vec::new();
        while at < self.end {
            let size = self.bin(at);
            match size {
                Ok(len) => {
                    faults.extend(bad.take());
                    bins.push((at, at.saturating_add(len)));
                    at = at.saturating_add(len);
                }
                Err(why) => {
                    let next = at.saturating_add(BINS).min(self.end);
                    match &mut bad {
                        Some((_, until, was)) if *was == why => *until = next,
                        _ => faults.extend(bad.replace((at, next, why))),
                    }
                    at = next;
                }
            }
        }
        faults.extend(bad);
        self.bins = bins;
        for (from, until, why) in faults {
            self.tell_at(from, why, until.saturating_sub(from) as u64);
        }
    }
    /// Bytes of the bin that begins here.
    fn bin(&self, at: usize) -> Result<usize, &'static str> {
        let head = self.bytes.get(at..at.saturating_add(BIN_HEAD)).ok_or("a bin is cut off")?;
        if !head.starts_with(b"hbin") {
            return Err("no bin begins here, where the one before ends");
        }
        if u32_at(head, 4).is_none_or(|own| place(own) != at) {
            return Err("a bin that says it lies elsewhere");
        }
        let len = u32_at(head, 8).map_or(0, |n| n as usize);
        if len < BINS || !len.is_multiple_of(BINS) {
            return Err("a bin whose size is none");
        }
        if len > self.end.saturating_sub(at) {
            return Err("a bin that goes over the end of the hive");
        }
        Ok(len)
    }
}

/// The byte of the file that an offset among the bins stands for.
fn place(offset: u32) -> usize {
    (offset as usize).saturating_add(BINS)
}
