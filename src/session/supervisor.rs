//! Starts workers and takes what they send. A worker that dies costs the item it had in hand.
//!
//! A dead worker's items in flight are tried again one at a time, in workers that do nothing else; the
//! one that kills its worker again becomes a gap, and the rest goes on without it.
use super::open::OpenedImage;
use super::{Failure, Plan, Watch};
use crate::base::{Gap, Place, Stage};
use crate::inventory::{Row, Scene, StoredHash};
use crate::worker::protocol::{ImageSpec, Job, Order, Report, SegmentSpec, receive, send, send_files};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Messages waiting between the reader and the case; bounds memory.
const QUEUE: usize = 64;
/// A worker that says nothing for this long hangs.
const SILENCE: Duration = Duration::from_mins(2);
/// How often the parent looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);
/// After so many dead workers the evidence is not worth another one.
const MAX_DEATHS: u32 = 200;
/// After so many deaths that no item explains, there is no use in another try.
const MAX_IDLE_DEATHS: u32 = 5;

/// Takes what workers send; called in one thread.
pub(super) trait Taker {
    fn scene(&mut self, scene: Scene) -> Result<(), Failure>;
    fn rows(&mut self, rows: Vec<Row>, gaps: Vec<Gap>) -> Result<(), Failure>;
    /// A stage begins; `total` in its unit, 0 where that is not known.
    fn stage(&mut self, stage: Stage, total: u64) -> Result<(), Failure>;
}

/// A running worker.
pub(super) struct Worker {
    child: Child,
    reports: Receiver<io::Result<Report>>,
}
impl Drop for Worker {
    fn drop(&mut self) {
        // It may be parsing something endless; nothing of its is worth waiting for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the next message was.
pub(super) enum Next {
    Report(Report),
    /// The worker is gone or hangs: why.
    Dead(String),
    Cancelled,
}

impl Worker {
    /// Starts one on an order. `program` is this very binary unless a test names another.
    pub(super) fn start(program: Option<&PathBuf>, images: &[OpenedImage], order: &Order) -> Result<Self, Failure> {
        let environment = |what: &str, e: &io::Error| Failure::environment(format!("cannot {what}: {e}"));
        let program = match program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(|e| environment("find this program's own file", &e))?,
        };
        let (ours, theirs) = UnixStream::pair().map_err(|e| environment("make a socket", &e))?;
        let child = Command::new(&program)
            .arg("worker")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| environment("start the worker process", &e))?;
        let files =
            images.iter().flat_map(|i| &i.segments).map(|s| s.file.try_clone()).collect::<io::Result<Vec<File>>>();
        let files = files.map_err(|e| environment("pass the evidence to the worker", &e))?;
        let (to, reports) = sync_channel(QUEUE);
        let worker = Self { child, reports };
        // A worker that is gone already shows as its first report's absence.
        let told = send(&mut &ours, order).and_then(|()| send_files(&ours, &files));
        let mut from = io::BufReader::with_capacity(1 << 20, ours);
        let read = move || {
            loop {
                let message = receive::<Report>(&mut from).transpose();
                let last = !matches!(message, Some(Ok(_)));
                if message.is_none_or(|m| to.send(m).is_err()) || last {
                    return;
                }
            }
        };
        if told.is_ok() {
            std::thread::Builder::new()
                .name("worker-reports".into())
                .spawn(read)
                .map_err(|e| environment("start a thread", &e))?;
        }
        Ok(worker)
    }

    pub(super) fn next(&mut self, cancelled: &dyn Fn() -> bool) -> Next {
        let since = Instant::now();
        loop {
            match self.reports.recv_timeout(TICK) {
                Ok(Ok(report)) => return Next::Report(report),
                Ok(Err(e)) => return Next::Dead(format!("its report cannot be read: {e}")),
                Err(RecvTimeoutError::Disconnected) => return Next::Dead(self.obituary()),
                Err(RecvTimeoutError::Timeout) if cancelled() => return Next::Cancelled,
                Err(RecvTimeoutError::Timeout) if since.elapsed() > SILENCE => {
                    return Next::Dead(format!("it said nothing for {} seconds", SILENCE.as_secs()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn obituary(&mut self) -> String {
        use std::os::unix::process::ExitStatusExt;
        match self.child.wait() {
            Ok(status) => match status.signal() {
                Some(signal) => format!("it was ended by signal {signal}"),
                None => format!("it exited with status {}", status.code().unwrap_or(-1)),
            },
            Err(e) => e.to_string(),
        }
    }
}

/// What the images are called, as the worker needs it.
pub(super) fn specs(images: &[OpenedImage]) -> Vec<ImageSpec> {
    let segments =
        |i: &OpenedImage| i.segments.iter().map(|s| SegmentSpec { name: s.name.clone(), len: s.len }).collect();
    images.iter().map(|i| ImageSpec { name: super::open::shown(&i.path), segments: segments(i) }).collect()
}

/// How an examination's workers went.
#[derive(Default)]
struct Lives {
    done: Vec<u64>,
    skip: Vec<u64>,
    /// To be tried one at a time.
    suspects: Vec<u64>,
    names: BTreeMap<u64, String>,
    deaths: u32,
    /// Deaths with nothing in hand.
    idle_deaths: u32,
}

/// Examines the images with as many workers as it takes.
pub(super) fn examine(
    plan: &Plan,
    images: &[OpenedImage],
    stored: &[Vec<StoredHash>],
    watch: &Watch,
    taker: &mut dyn Taker,
) -> Result<(), Failure> {
    let threads = match plan.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        n => u32::try_from(n).unwrap_or(u32::MAX),
    };
    let mut lives = Lives::default();
    loop {
        let only: Vec<u64> = lives.suspects.first().copied().into_iter().collect();
        let probing = !only.is_empty();
        let order = Order {
            images: specs(images),
            threads: if probing { 1 } else { threads },
            replay_journal: true,
            job: Job::Examine {
                done: lives.done.clone(),
                skip: lives.skip.clone(),
                only,
                hash_images: plan.hash_image && !probing,
                second_reader: plan.second_reader && !probing,
                show_secrets: plan.show_secrets,
                stored: stored.to_vec(),
            },
        };
        let mut worker = Worker::start(plan.worker.as_ref(), images, &order)?;
        match live(&mut worker, &mut lives, probing, watch, taker)? {
            None if probing => {
                lives.suspects.remove(0);
            }
            None => return Ok(()),
            Some((why, in_flight)) => bury(&mut lives, &why, in_flight, probing, taker)?,
        }
        if lives.deaths > MAX_DEATHS {
            let what = format!("{MAX_DEATHS} workers died on this evidence; what is left was not read");
            return taker.rows(Vec::new(), vec![gap(what)]);
        }
    }
}

/// One worker's life: `None` if it finished, else why it died and what it had in hand.
fn live(
    worker: &mut Worker,
    lives: &mut Lives,
    probing: bool,
    watch: &Watch,
    taker: &mut dyn Taker,
) -> Result<Option<(String, Vec<u64>)>, Failure> {
    let mut in_flight: BTreeMap<u64, String> = BTreeMap::new();
    loop {
        match worker.next(&|| watch.is_cancelled()) {
            Next::Cancelled => return Err(Failure::cancelled()),
            Next::Dead(why) => {
                let items = in_flight.keys().copied().collect();
                lives.names.append(&mut in_flight);
                return Ok(Some((why, items)));
            }
            Next::Report(Report::Finished) => return Ok(None),
            Next::Report(Report::Failed { what }) => return Err(Failure::evidence(what)),
            Next::Report(Report::Enter { item, name }) => {
                in_flight.insert(item, name);
            }
            Next::Report(Report::Stage { stage, total }) => {
                // Items of a stage that is over were finished, whether they had anything to commit or not.
                in_flight.clear();
                if !probing {
                    taker.stage(stage, total)?;
                }
            }
            Next::Report(Report::Advance { done }) => watch.advance(done),
            Next::Report(Report::Scene(scene)) => taker.scene(*scene)?,
            Next::Report(Report::Commit { items, rows, gaps }) => {
                for item in &items {
                    in_flight.remove(item);
                }
                // What opening and walking found comes again with every life; the taker keeps it once.
                lives.done.extend(items);
                taker.rows(rows, gaps)?;
            }
            Next::Report(Report::Listed(_) | Report::Bytes(_) | Report::Formats(_)) => {
                return Ok(Some(("it answered what nobody asked".into(), Vec::new())));
            }
        }
        if watch.is_cancelled() {
            return Err(Failure::cancelled());
        }
    }
}

/// Decides what a death means for the items that were in flight.
fn bury(
    lives: &mut Lives,
    why: &str,
    in_flight: Vec<u64>,
    probing: bool,
    taker: &mut dyn Taker,
) -> Result<(), Failure> {
    lives.deaths = lives.deaths.saturating_add(1);
    // Only a second death over the same item, with nothing else in hand, is held against it.
    let guilty = if probing { lives.suspects.first().copied() } else { None };
    match guilty {
        Some(item) => {
            lives.skip.push(item);
            lives.suspects.retain(|s| *s != item);
            let name = lives.names.get(&item).map_or("an unnamed item", String::as_str);
            taker.rows(Vec::new(), vec![gap(format!("{name}: the worker died over it ({why}); left out"))])
        }
        None if in_flight.is_empty() => {
            // Nothing to blame. Somebody may have killed it; if not, the same will happen again.
            lives.idle_deaths = lives.idle_deaths.saturating_add(1);
            if lives.idle_deaths <= MAX_IDLE_DEATHS {
                return Ok(());
            }
            lives.deaths = MAX_DEATHS.saturating_add(1);
            taker.rows(
                Vec::new(),
                vec![gap(format!("the worker died between items, {MAX_IDLE_DEATHS} times and once more ({why})"))],
            )
        }
        None => {
            lives.suspects.extend(in_flight);
            Ok(())
        }
    }
}

fn gap(what: String) -> Gap {
    Gap { at: Place::default(), by: "worker".into(), what, bytes: 0 }
}
