//! How far a job is, and the one place where it learns that it was cancelled.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The user asked to stop. Carried up by `?`; not an error to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// Shared by a running job and whoever watches it. Units are whatever the stage says (files, bytes).
#[derive(Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Counts `n` units.
    pub fn step(&self, n: u64) -> Result<(), Cancelled> {
        self.done.fetch_add(n, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
    /// Begins a stage of `total` units.
    pub fn begin(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
    /// (done, total)
    pub fn fraction(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}
