//! Work beside other stages, as the parent sees it. Where a stage begins the parent forgets what was in hand, since
//! items of the stage before were finished; what goes on beside is told again there.
use super::Sink;
use crate::base::{Gap, Stage, Wanted};
use crate::image::{Scratch, Segment};
use crate::inventory::{Row, Scene};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The way to the parent for work beside the stages.
pub(super) struct Beside<'a> {
    sink: &'a dyn Sink,
    /// Items in hand, with their names.
    in_hand: Mutex<BTreeMap<u64, String>>,
}

impl<'a> Beside<'a> {
    pub(super) fn new(sink: &'a dyn Sink) -> Self {
        Self { sink, in_hand: Mutex::default() }
    }
    /// Begins a stage of the work that this goes on beside.
    pub(super) fn begin(&self, stage: Stage, total: u64) {
        let all = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        self.sink.stage(stage, total);
        let (items, names): (Vec<u64>, Vec<&String>) = all.iter().unzip();
        if !items.is_empty() {
            self.sink.take(&items, &|at| names.get(at).map(|n| (*n).clone()).unwrap_or_default());
        }
    }
    fn forget(&self, items: &[u64]) {
        let mut all = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        for item in items {
            all.remove(item);
        }
    }
}

impl Sink for Beside<'_> {
    fn enter(&self, item: u64, name: &str) -> bool {
        let mut all = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.sink.enter(item, name);
        if taken {
            all.insert(item, name.to_owned());
        }
        taken
    }
    fn take(&self, items: &[u64], name: &dyn Fn(usize) -> String) {
        let mut all = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        self.sink.take(items, name);
        all.extend(items.iter().enumerate().map(|(at, item)| (*item, name(at))));
    }
    fn leave(&self, items: &[u64]) {
        self.forget(items);
        self.sink.leave(items);
    }
    fn is_probing(&self) -> bool {
        self.sink.is_probing()
    }
    fn is_skipped(&self, item: u64) -> bool {
        self.sink.is_skipped(item)
    }
    fn is_unread(&self, item: u64) -> bool {
        self.sink.is_unread(item)
    }
    fn is_done(&self, item: u64) -> bool {
        self.sink.is_done(item)
    }
    /// It is part of no stage.
    fn stage(&self, _stage: Stage, _total: u64) {}
    fn scene(&self, scene: &Scene) {
        self.sink.scene(scene);
    }
    fn sibling(&self, image: u32, wanted: &Wanted) -> Result<Segment, String> {
        self.sink.sibling(image, wanted)
    }
    fn scratch(&self) -> Option<Arc<dyn Scratch>> {
        self.sink.scratch()
    }
    fn commit(&self, items: &[u64], rows: Vec<Row>, gaps: Vec<Gap>) {
        self.forget(items);
        self.sink.commit(items, rows, gaps);
    }
}
