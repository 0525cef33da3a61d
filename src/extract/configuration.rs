//! Phase B: every artifact over every system, side by side.
use super::{Sink, item_key};
use crate::artifact::{self, Artifact, Os, Out};
use crate::base::{Cancelled, Gap, Place, Progress, Stage};
use crate::evidence::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs them all.
pub(super) fn run(systems: &[System], threads: usize, sink: &dyn Sink, progress: &Progress) -> Result<(), Cancelled> {
    let work: Vec<(&System, &Artifact)> =
        systems.iter().flat_map(|s| artifact::ALL.iter().filter(|a| fits(a, s)).map(move |a| (s, *a))).collect();
    sink.stage(Stage::Configuration, work.len() as u64);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..threads.max(1) {
            let run = || {
                while let Some((system, artifact)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if progress.step(1).is_err() {
                        return;
                    }
                    one(system, artifact, sink);
                }
            };
            let spawned = std::thread::Builder::new().name(format!("configuration-{n}")).spawn_scoped(scope, run);
            if spawned.is_err() {
                run(); // no thread to be had: this one does the work
            }
        }
    });
    progress.step(0)
}

fn fits(artifact: &Artifact, system: &System) -> bool {
    match artifact.os {
        Os::Any => true,
        Os::Linux => system.info.os.family == "linux",
        Os::Windows => system.info.os.family == "windows",
    }
}

fn one(system: &System, artifact: &Artifact, sink: &dyn Sink) {
    let name = format!("{} on system {}", artifact.name, system.index);
    let key = item_key(&(artifact.name, system.index));
    if sink.is_done(key) || !sink.enter(key, &name) {
        return;
    }
    let out = Out::new(Some(system.index), artifact.name);
    let outcome = catch_unwind(AssertUnwindSafe(|| (artifact.extract)(system, &out)));
    let (rows, mut gaps) = out.take();
    if outcome.is_err() {
        let at = Place { filesystem: system.trees().first().map(|t| t.id), ..Place::default() };
        let what = format!("parser fault in {}; what it had read before is kept", artifact.name);
        gaps.push(Gap { at, by: artifact.name.to_owned(), what, bytes: 0 });
    }
    sink.commit(&[key], rows, gaps);
}
