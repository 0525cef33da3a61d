//! Phase B: every artifact over every system, side by side.
use super::{Request, Sink, item_key};
use crate::artifact::{self, Artifact, Os, Out, Ownership, log_window};
use crate::base::{Cancelled, Name, Progress};
use crate::evidence::System;
use crate::inventory::{Event, LogWindow, Row};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Systems and the files that gave rows in this life of the worker.
type Cited = Mutex<BTreeSet<(u32, Name)>>;

/// What later stages need of this phase, for each system.
pub(super) struct Found {
    pub owners: Vec<Option<Ownership>>,
    /// Of the logs that were read in this life of the worker.
    pub logs: Vec<LogWindow>,
    /// Files that gave rows and that no package owns, sorted.
    pub unowned: Vec<Vec<Name>>,
}

/// Runs them all; gives each system's package ownership, which phase C checks the files against. `begin` is told how
/// many units there are.
pub(super) fn run(
    systems: &[System],
    request: &Request,
    begin: &dyn Fn(u64),
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<Found, Cancelled> {
    let work: Vec<(&System, &Artifact)> =
        systems.iter().flat_map(|s| artifact::ALL.iter().filter(|a| fits(a, s)).map(move |a| (s, *a))).collect();
    begin(work.len().saturating_add(systems.len()) as u64);
    let next = AtomicUsize::new(0);
    let next_owners = AtomicUsize::new(0);
    let owners: Vec<Mutex<Option<Ownership>>> = systems.iter().map(|_| Mutex::default()).collect();
    let events: Mutex<Vec<Event>> = Mutex::default();
    let cited: Cited = Mutex::default();
    std::thread::scope(|scope| {
        for n in 0..request.threads.max(1) {
            let run = || {
                // The package databases first: they take longest.
                while let Some((system, to)) = next_in(systems, &owners, &next_owners) {
                    if progress.step(1).is_err() {
                        return;
                    }
                    *to.lock().unwrap_or_else(PoisonError::into_inner) = ownership(system, sink);
                }
                while let Some((system, artifact)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if progress.step(1).is_err() {
                        return;
                    }
                    one(system, artifact, request.show_secrets, sink, &events, &cited);
                }
            };
            let spawned = std::thread::Builder::new().name(format!("configuration-{n}")).spawn_scoped(scope, run);
            if spawned.is_err() {
                run(); // no thread to be had: this one does the work
            }
        }
    });
    progress.step(0)?;
    let events = events.into_inner().unwrap_or_else(PoisonError::into_inner);
    let logs = |s: &System| log_window(s, events.iter().filter(|e| e.system == Some(s.index)));
    let owners: Vec<Option<Ownership>> =
        owners.into_iter().map(|o| o.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    let cited = cited.into_inner().unwrap_or_else(PoisonError::into_inner);
    let unowned = |(system, owners): (&System, &Option<Ownership>)| {
        let Some(owners) = owners.as_ref().filter(|o| o.is_managed()) else { return Vec::new() };
        let of_it = cited.iter().filter(|(index, _)| *index == system.index).map(|(_, path)| path);
        of_it.filter(|path| owners.expect(path.bytes()).is_none()).cloned().collect()
    };
    let unowned = systems.iter().zip(&owners).map(unowned).collect();
    Ok(Found { owners, logs: systems.iter().map(logs).collect(), unowned })
}

/// The next system whose packages nobody reads yet, and where they go.
fn next_in<'a>(
    systems: &'a [System],
    owners: &'a [Mutex<Option<Ownership>>],
    next: &AtomicUsize,
) -> Option<(&'a System, &'a Mutex<Option<Ownership>>)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    systems.get(at).zip(owners.get(at))
}

/// The package database of a system, and its packages as rows. Read in every life of a worker, since
/// the checks need it; its rows are committed once.
fn ownership(system: &System, sink: &dyn Sink) -> Option<Ownership> {
    let name = format!("package database of system {}", system.index);
    let key = item_key(&("packages", system.index));
    if !sink.enter(key, &name) {
        return None;
    }
    let out = Out::new(Some(system.index), "packages");
    let owners = catch_unwind(AssertUnwindSafe(|| Ownership::read(system, &out)));
    if owners.is_err() {
        out.gap_system(system, "parser fault in the package database; nothing is vouched for by packages");
    }
    let is_whole = owners.is_ok();
    let owners = owners.ok().flatten();
    let kind = &system.info.package_database;
    let is_read = owners.as_ref().is_some_and(Ownership::is_managed);
    if is_whole && !is_read && !kind.is_empty() {
        out.gap_system(system, format!("package database {kind} is not read; nothing is vouched for by packages"));
    }
    if !sink.is_done(key) {
        let there = system.entries().iter().map(|e| e.path.bytes());
        let packages = owners.as_ref().map(|o| o.packages(there)).unwrap_or_default();
        packages.into_iter().for_each(|p| out.push(p));
        let there = system.entries().iter().map(|e| e.path.bytes());
        let components = owners.as_ref().map(|o| o.components(there)).unwrap_or_default();
        components.into_iter().for_each(|c| out.push(c));
        let (rows, gaps) = out.take();
        sink.commit(&[key], rows, gaps);
    }
    owners
}

fn fits(artifact: &Artifact, system: &System) -> bool {
    match artifact.os {
        Os::Any => true,
        Os::Linux => system.info.os.family == "linux",
        Os::Windows => system.info.os.family == "windows",
    }
}

fn one(
    system: &System,
    artifact: &Artifact,
    show_secrets: bool,
    sink: &dyn Sink,
    events: &Mutex<Vec<Event>>,
    cited: &Cited,
) {
    let name = format!("{} on system {}", artifact.name, system.index);
    let key = item_key(&(artifact.name, system.index));
    if sink.is_done(key) || !sink.enter(key, &name) {
        return;
    }
    let out = Out::new(Some(system.index), artifact.name).showing_secrets(show_secrets);
    let outcome = catch_unwind(AssertUnwindSafe(|| (artifact.extract)(system, &out)));
    let (rows, mut gaps) = out.take();
    if outcome.is_err() {
        out.gap_system(system, format!("parser fault in {}; what it had read before is kept", artifact.name));
        gaps.extend(out.take().1);
    }
    let paths = rows.iter().map(|r| (system.index, r.evidence().path.clone()));
    cited.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
    let seen = rows.iter().filter_map(|r| if let Row::Event(e) = r { Some((**e).clone()) } else { None });
    events.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
    sink.commit(&[key], rows, gaps);
}
