//! Evidence mounted for other tools: the parent mounts and keeps watch, a worker answers the kernel. A worker that
//! dies is followed by another one, to which the kernel's open requests are given again, one after the other; the
//! one that kills again is answered with an error, and so is whatever asks for that content later.
use super::evidence_of::open_planned;
use super::kernel::{self, Mounted};

use super::supervisor::{Next, Worker, accept, specs};
use super::{Failure, Plan};
use crate::inventory::Scene;
use crate::worker::protocol::{Held, InHand, Job, Order, Report, SLOTS, Serve, send, send_files};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the parent looks whether it is to stop; and whether a request hangs.
const TICK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(2);
/// A request that takes longer hangs.
const SILENCE: Duration = Duration::from_mins(2);
/// After so many dead workers the evidence is not worth another one.
const MAX_DEATHS: u32 = 200;
/// After so many that no request explains, there is no use in another try.
const MAX_IDLE_DEATHS: u32 = 5;
/// Notes kept for whoever looks.
const MAX_NOTES: usize = 200;

/// How far a mount is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Reading,
    /// Other tools find the evidence here.
    Mounted(PathBuf),
    /// Unmounted: by us, or by somebody else.
    Over,
}

/// Shared by a mount and whoever watches it.
#[derive(Default)]
pub struct MountWatch {
    phase: Mutex<Phase>,
    /// How many there were, and the last ones.
    notes: Mutex<(u64, Vec<String>)>,
    /// Set to unmount; may be set by a signal.
    pub stop: Arc<AtomicBool>,
    wake: Option<Box<dyn Fn() + Send + Sync>>,
}
impl MountWatch {
    /// `wake` is called whenever there is something new to show; it must be cheap.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { wake: Some(Box::new(wake)), ..Self::default() }
    }
    pub fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// What other tools could not read, and why; the last ones.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
    /// How many notes there were, and those from number `from` on, as far as they are still kept.
    pub fn notes_after(&self, from: u64) -> (u64, Vec<String>) {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = notes.0.saturating_sub(notes.1.len() as u64);
        let skip = usize::try_from(from.saturating_sub(kept)).unwrap_or(usize::MAX);
        (notes.0, notes.1.iter().skip(skip).cloned().collect())
    }
    pub fn unmount(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
    /// Whether it was told to unmount.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
    /// For whoever mounts.
    pub fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.wake();
    }
    /// For whoever mounts: something that other tools cannot read.
    pub fn note(&self, what: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.1.len() >= MAX_NOTES {
            notes.1.remove(0);
        }
        notes.0 = notes.0.saturating_add(1);
        notes.1.push(what);
        drop(notes);
        self.wake();
    }
    fn wake(&self) {
        self.wake.iter().for_each(|wake| wake());
    }
}

/// Mounts the images of the plan at an empty folder, until the watch says stop or somebody unmounts.
pub fn mount(plan: &Plan, at: &Path, watch: &MountWatch) -> Result<(), Failure> {
    let images = open_planned(plan)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).saturating_mul(2);
    let mut order = Order {
        images: specs(&images),
        threads: u32::try_from(threads.min(SLOTS)).unwrap_or(2),
        replay_journal: true,
        keys: super::keys::read(&plan.keys)?,
        nand: plan.nand,
        unconfined: plan.no_sandbox,
        scratch: plan.scratch.most(),
        job: Job::Mount { skip: Vec::new() },
    };
    let mut lives = Lives::default();
    let mut mounted: Option<Mounted> = None;
    let outcome = loop {
        order.job = Job::Mount { skip: lives.skip.iter().copied().collect() };
        let mut worker = Worker::start(plan, &images, &order)?;
        let ready = match indexed(&mut worker, order.unconfined, &mut lives, watch)? {
            Ready::Yes(mark) => mark,
            Ready::Died(why) if mounted.is_none() && lives.idle_deaths > MAX_IDLE_DEATHS => {
                break Err(Failure::evidence(format!("the worker died again and again: {why}")));
            }
            Ready::Died(why) if lives.idle_deaths > MAX_IDLE_DEATHS || lives.deaths > MAX_DEATHS => {
                break Err(Failure::evidence(format!("unmounted, as the worker died again and again: {why}")));
            }
            Ready::Died(_) => continue,
            Ready::Stopped => break Ok(()),
        };
        if *lives.mark.get_or_insert(ready) != ready {
            break Err(Failure::evidence(
                "unmounted: a second worker found other files in the evidence; check the medium",
            ));
        }
        if mounted.is_none() {
            let new = kernel::mount(at)?;
            watch.set(Phase::Mounted(new.at().to_owned()));
            mounted = Some(new);
        }
        let Some(kernel) = &mounted else { continue };
        match serve(&mut worker, kernel, &mut lives, watch)? {
            Served::Over => {
                // As long as the worker answers: unmounting asks as well.
                mounted = None;
                break Ok(());
            }
            Served::Died if lives.deaths > MAX_DEATHS => {
                break Err(Failure::evidence(format!("unmounted: {MAX_DEATHS} workers died on this evidence")));
            }
            Served::Died => {}
        }
    };
    drop(mounted);
    watch.set(Phase::Over);
    outcome
}

/// What is known from one worker to the next.
#[derive(Default)]
struct Lives {
    /// Items of the indexing that are left out, and how often others died in hand.
    skip: BTreeSet<u64>,
    suspects: BTreeMap<u64, u32>,
    idle_deaths: u32,
    deaths: u32,
    /// How nodes are numbered.
    mark: Option<u64>,
    /// To be carried out again.
    requests: Vec<Held>,
    /// Nodes that are answered with an error, and requests that were.
    banned: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

enum Ready {
    Yes(u64),
    Died(String),
    Stopped,
}

/// Until the worker has indexed. What kills it twice is left out.
fn indexed(worker: &mut Worker<'_>, unconfined: bool, lives: &mut Lives, watch: &MountWatch) -> Result<Ready, Failure> {
    let mut in_hand: BTreeMap<u64, String> = BTreeMap::new();
    let mut scene = Scene::default();
    loop {
        match worker.next(&|| watch.is_stopped()) {
            Next::Report(Report::Confined(how)) => accept(&how, unconfined)?,
            Next::Report(Report::Enter { item, name }) => drop(in_hand.insert(item, name)),
            Next::Report(Report::Leave { items }) => items.iter().for_each(|item| drop(in_hand.remove(item))),
            Next::Report(Report::Scene(new)) => scene = *new,
            Next::Report(Report::Ready { mark, gaps, .. }) => {
                if scene.filesystems.is_empty() && lives.mark.is_none() {
                    watch.note("no file system of this evidence can be read; disks/ holds its bytes".to_owned());
                }
                if gaps > 0 && lives.mark.is_none() {
                    watch.note(format!("{gaps} things could not be read; gaps.txt names them"));
                }
                return Ok(Ready::Yes(mark));
            }
            Next::Report(Report::Failed { what }) => return Err(Failure::evidence(what)),
            Next::Report(_) => {}
            Next::Cancelled => return Ok(Ready::Stopped),
            Next::Dead(why) => {
                // The one entered last is the one that was parsed.
                let blamed = in_hand.into_iter().filter(|(item, _)| {
                    let deaths = lives.suspects.entry(*item).or_default();
                    *deaths = deaths.saturating_add(1);
                    *deaths >= 2
                });
                let blamed: Vec<_> = blamed.collect();
                if blamed.is_empty() {
                    lives.idle_deaths = lives.idle_deaths.saturating_add(1);
                }
                lives.deaths = lives.deaths.saturating_add(1);
                for (item, name) in blamed {
                    watch.note(format!("{name}: the worker died over it ({why}); left out"));
                    lives.skip.insert(item);
                }
                return Ok(Ready::Died(why));
            }
        }
    }
}

enum Served {
    Over,
    Died,
}

/// Until the mount is over or the worker is dead; then the requests it had in hand are for the next one.
fn serve(worker: &mut Worker<'_>, kernel: &Mounted, lives: &mut Lives, watch: &MountWatch) -> Result<Served, Failure> {
    let environment = |e: std::io::Error| Failure::environment(format!("the mount cannot be served: {e}"));
    let in_hand = InHand::new().map_err(environment)?;
    let requests = lives.requests.iter().map(|h| h.request.clone()).filter(|r| !r.is_empty()).collect();
    let serve = Serve { requests, banned: lives.banned.iter().copied().collect() };
    // The first is the last that a process lets go when it ends.
    let mut files = vec![kernel.hold().map_err(environment)?, kernel.device().map_err(environment)?];
    files.extend(in_hand.files().map_err(environment)?);
    let mut one_by_one = true;
    // A worker that is gone already shows as its next report's absence.
    drop(send(&mut worker.way(), &serve).and_then(|()| send_files(worker.way(), &files)));
    drop(files);
    let mut since: HashMap<(usize, u64), Instant> = HashMap::new();
    let mut looked = Instant::now();
    let why = loop {
        match worker.poll(TICK) {
            Some(Next::Report(Report::Serving)) => {
                one_by_one = false;
                lives.requests.clear();
            }
            Some(Next::Report(Report::Commit { gaps, .. })) => {
                gaps.iter().for_each(|g| watch.note(format!("{}: {}", g.at, g.what)));
            }
            Some(Next::Report(Report::Finished)) => return Ok(Served::Over),
            Some(Next::Report(Report::Failed { what })) => break what,
            Some(Next::Report(_)) => {}
            Some(Next::Dead(why)) => break why,
            Some(Next::Cancelled) | None => {
                if watch.is_stopped() {
                    return Ok(Served::Over);
                }
                if looked.elapsed() < LOOK {
                    continue;
                }
                looked = Instant::now();
                let held = in_hand.read().map_err(environment)?;
                since.retain(|key, _| held.iter().any(|h| (h.slot, h.unique) == *key));
                let hangs = held
                    .iter()
                    .find(|h| since.entry((h.slot, h.unique)).or_insert_with(Instant::now).elapsed() > SILENCE);
                if let Some(hangs) = hangs {
                    let why = format!("one request took more than {} seconds", SILENCE.as_secs());
                    worker.end();
                    lives.ban(kernel, hangs, &why, watch);
                    break why;
                }
            }
        }
    };
    let mut held = in_hand.read().map_err(environment)?;
    worker.end();
    held.extend(in_hand.left().map_err(environment)?);
    held.retain(|h| !lives.refused.contains(&h.unique));
    lives.deaths = lives.deaths.saturating_add(1);
    if one_by_one {
        // Only one was in hand; it has had its second chance.
        if let Some(culprit) = held.first() {
            lives.ban(kernel, culprit, &why, watch);
        }
    } else {
        // Those that cannot be carried out again are none that read; nobody waits for their answer long.
        held.iter().filter(|h| h.request.is_empty()).for_each(|h| kernel.refuse(h.unique));
        lives.requests = held.into_iter().filter(|h| !h.request.is_empty()).collect();
    }
    Ok(Served::Died)
}

impl Lives {
    /// Answers a request with an error, now and for ever.
    fn ban(&mut self, kernel: &Mounted, held: &Held, why: &str, watch: &MountWatch) {
        kernel.refuse(held.unique);
        self.refused.insert(held.unique);
        self.banned.insert(held.node);
        self.requests.retain(|h| h.unique != held.unique);
        watch.note(format!("node {}: the worker died over it ({why}); it is answered with an error", held.node));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::looking_at;
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};

    fn until(mut is_so: impl FnMut() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_secs(30), "nothing happens");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The content that kills is an error, whoever asks for it and how often; what was asked for beside it is not.
    #[test]
    fn what_kills_its_worker_is_an_error_and_nothing_else_is() {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root || !Path::new("/dev/fuse").exists() || Command::new("mke2fs").arg("-V").output().is_err() {
            eprintln!("skipped: not root, no /dev/fuse, or no mke2fs");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("root")).unwrap();
        std::fs::create_dir(at("mount")).unwrap();
        for name in ["a", "b", "c", "kills-its-worker"] {
            std::fs::write(at("root").join(name), name.repeat(70_000)).unwrap();
        }
        let made = Command::new("mke2fs").args(["-q", "-F", "-d"]).args([at("root"), at("disk")]).arg("8M").output();
        assert!(made.unwrap().status.success());
        let binary = std::env::current_exe().unwrap();
        let name = "worker::mount::tests::stands_in_for_a_worker";
        let script = format!("#!/bin/sh\nexec {} --exact {name} --nocapture\n", binary.display());
        std::fs::write(at("worker"), script).unwrap();
        std::fs::set_permissions(at("worker"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let plan = Plan { worker: Some(at("worker")), ..looking_at(vec![at("disk")]) };
        let watch = MountWatch::default();
        let cat = |name: &str| -> Output {
            let path = at("mount").join("volumes/0").join(name);
            Command::new("timeout").args(["-k", "1", "30", "cat"]).arg(path).output().unwrap()
        };
        std::thread::scope(|scope| {
            let mounting = scope.spawn(|| mount(&plan, &at("mount"), &watch));
            until(|| mounting.is_finished() || watch.phase() != Phase::Reading);
            let stop = || {
                for _ in 0..2 {
                    let cat = &cat;
                    let readers = ["a", "kills-its-worker", "b", "kills-its-worker", "c"]
                        .map(|n| (n, scope.spawn(move || cat(n))));
                    for (name, reader) in readers {
                        let out = reader.join().unwrap();
                        if name == "kills-its-worker" {
                            let said = String::from_utf8_lossy(&out.stderr).into_owned();
                            assert!(!out.status.success() && said.contains("Input/output error"), "{said}");
                        } else {
                            assert!(out.stdout == name.repeat(70_000).as_bytes(), "{name}");
                        }
                    }
                }
                let notes = watch.notes();
                assert!(notes.iter().any(|n| n.contains("the worker died over it")), "{notes:?}");
                assert!(notes.len() == 1, "{notes:?}");
            };
            let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(stop));
            watch.unmount();
            assert_eq!(mounting.join().unwrap(), Ok(()));
            tried.unwrap();
        });
        assert_eq!(watch.phase(), Phase::Over);
        assert!(std::fs::read_dir(at("mount")).unwrap().next().is_none());
    }
}
