//! What a running examination shows: its stage and rate, what was found so far, and the way to stop it.
use crate::base::Stage;
use crate::case::CaseData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How far it is. `done` and `total` are in the stage's unit.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub stage: Stage,
    pub done: u64,
    pub total: u64,
    /// `files`, `bytes` …
    pub unit: &'static str,
    pub stage_started: Option<Instant>,
}
impl Status {
    /// Units a second in this stage; `None` before anything can be said.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.stage_started?.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // shown to people
        (seconds > 0.2 && self.done > 0).then(|| self.done as f64 / seconds)
    }
    /// Seconds left in this stage.
    pub fn time_left(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)]
        self.rate().map(|rate| self.total.saturating_sub(self.done) as f64 / rate)
    }
}

/// Shared by an examination and whoever watches it.
pub struct Watch {
    status: Mutex<Status>,
    snapshot: Mutex<Arc<CaseData>>,
    cancelled: AtomicBool,
    watched: bool,
    wake: Box<dyn Fn() + Send + Sync>,
}
impl Watch {
    /// For nobody who looks before the end: no provisional judging.
    pub fn unattended() -> Self {
        Self { watched: false, ..Self::new(|| ()) }
    }
    /// Whether somebody looks at snapshots while the examination runs.
    pub fn is_watched(&self) -> bool {
        self.watched
    }
    /// `wake` is called whenever there is something new to show; it must be cheap.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            status: Mutex::default(),
            snapshot: Mutex::default(),
            cancelled: AtomicBool::new(false),
            watched: true,
            wake: Box::new(wake),
        }
    }
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// What was found so far: findings are provisional until the stage is `Done`.
    pub fn snapshot(&self) -> Arc<CaseData> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
    pub fn publish(&self, data: Arc<CaseData>) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = data;
        (self.wake)();
    }
    pub fn stage(&self, stage: Stage, total: u64, unit: &'static str) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) =
            Status { stage, done: 0, total, unit, stage_started: Some(Instant::now()) };
        (self.wake)();
    }
    pub fn advance(&self, done: u64) {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).done = done;
        (self.wake)();
    }
}
