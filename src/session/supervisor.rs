//! Starts workers and takes what they send. A worker that dies costs the item it had in hand.
//!
//! A dead worker's items in hand are tried again one after the other, in workers that do nothing else; the one
//! that kills its worker again becomes a gap, and the rest goes on without it.
use super::open::OpenedImage;
use super::siblings;
use super::{Failure, Plan, Watch};
use crate::base::{Gap, Place, Stage, Wanted};
use crate::case::{Asked, LeftOut, Taken};
use crate::inventory::{Row, Scene, StoredHash};
use crate::worker::protocol::{
    Confinement, Given, ImageSpec, Job, Order, Report, SegmentSpec, receive, send, send_files,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
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
    /// Everything that the items gave, or, without items, what every life of a worker finds again.
    fn commit(&mut self, items: Vec<u64>, rows: Vec<Row>, gaps: Vec<Gap>) -> Result<(), Failure>;
    /// An item is left out from now on, with the gap that says so.
    fn left_out(&mut self, item: u64, what: LeftOut, gap: Gap) -> Result<(), Failure>;
    fn gap(&mut self, gap: Gap);
    /// How the worker that begins now is confined.
    fn confined(&mut self, how: &Confinement);
    /// A stage begins; `total` in its unit, 0 where that is not known.
    fn stage(&mut self, stage: Stage, total: u64) -> Result<(), Failure>;
}

/// A running worker.
pub(super) struct Worker<'a> {
    child: Option<Child>,
    reports: Receiver<io::Result<Report>>,
    /// The way to it, for answers.
    to: UnixStream,
    images: &'a [OpenedImage],
}
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // It may be parsing something endless; nothing of its is worth waiting for.
        self.end();
    }
}

/// What the next message was.
pub(super) enum Next {
    Report(Report),
    /// The worker is gone or hangs: why.
    Dead(String),
    Cancelled,
}

impl<'a> Worker<'a> {
    /// Starts one on an order. `program` is this very binary unless a test names another.
    pub(super) fn start(program: Option<&PathBuf>, images: &'a [OpenedImage], order: &Order) -> Result<Self, Failure> {
        let environment = |what: &str, e: &io::Error| Failure::environment(format!("cannot {what}: {e}"));
        let program = match program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(|e| environment("find this program's own file", &e))?,
        };
        let (ours, theirs) = UnixStream::pair().map_err(|e| environment("make a socket", &e))?;
        let mut command = Command::new(&program);
        if matches!(order.job, Job::Mount { .. }) {
            // Ctrl-C in a terminal is the parent's to answer: until it has unmounted, the kernel wants answers.
            command.process_group(0);
        }
        let child = command
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
        let answers = ours.try_clone().map_err(|e| environment("make a socket", &e))?;
        let worker = Self { child: Some(child), reports, to: answers, images };
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
            match self.poll(TICK) {
                Some(next) => return next,
                None if cancelled() => return Next::Cancelled,
                None if since.elapsed() > SILENCE => {
                    return Next::Dead(format!("it said nothing for {} seconds", SILENCE.as_secs()));
                }
                None => {}
            }
        }
    }

    /// What comes within this time. Files that the worker asks for are given on the way.
    pub(super) fn poll(&mut self, patience: Duration) -> Option<Next> {
        loop {
            match self.reports.recv_timeout(patience) {
                Ok(Ok(Report::Want { image, wanted })) => {
                    if let Err(e) = self.answer(image, &wanted) {
                        return Some(Next::Dead(format!("it cannot be answered: {e}")));
                    }
                }
                Ok(Ok(report)) => return Some(Next::Report(report)),
                Ok(Err(e)) => return Some(Next::Dead(format!("its report cannot be read: {e}"))),
                Err(RecvTimeoutError::Disconnected) => return Some(Next::Dead(self.obituary())),
                Err(RecvTimeoutError::Timeout) => return None,
            }
        }
    }

    /// For what it is told beyond its order.
    pub(super) fn way(&self) -> &UnixStream {
        &self.to
    }

    /// Ends it now.
    pub(super) fn end(&mut self) {
        // Not even until its memory is freed. Without a thread for it the process stays in the system's list until
        // this one ends.
        let Some(mut child) = self.child.take() else { return };
        drop(child.kill());
        drop(std::thread::Builder::new().name("worker-end".into()).spawn(move || child.wait()));
    }

    /// Gives the worker a file that an image names, or says why not.
    fn answer(&self, image: u32, wanted: &Wanted) -> io::Result<()> {
        match siblings::give(self.images, image, wanted) {
            Ok((spec, file)) => {
                send(&mut &self.to, &Given::File(spec))?;
                send_files(&self.to, &[file])
            }
            Err(why) => send(&mut &self.to, &Given::Refused(why)),
        }
    }

    fn obituary(&mut self) -> String {
        use std::os::unix::process::ExitStatusExt;
        let Some(child) = &mut self.child else { return "it is gone".into() };
        match child.wait() {
            Ok(status) => match status.signal() {
                Some(signal) => format!("it was ended by signal {signal}"),
                None => format!("it exited with status {}", status.code().unwrap_or(-1)),
            },
            Err(e) => e.to_string(),
        }
    }
}

/// Whether evidence may be parsed under this confinement.
pub(super) fn accept(how: &Confinement, unconfined: bool) -> Result<(), Failure> {
    if how.missing.is_empty() || unconfined {
        return Ok(());
    }
    Err(Failure::unconfined(&how.missing))
}

/// What the images are called, as the worker needs it.
pub(super) fn specs(images: &[OpenedImage]) -> Vec<ImageSpec> {
    let segments =
        |i: &OpenedImage| i.segments.iter().map(|s| SegmentSpec { name: s.name.clone(), len: s.len }).collect();
    let folder = |i: &OpenedImage| i.folder.as_ref().map(|f| f.folder.clone());
    images
        .iter()
        .map(|i| ImageSpec { name: super::open::shown(&i.path), segments: segments(i), folder: folder(i) })
        .collect()
}

/// How an examination's workers went.
#[derive(Default)]
struct Lives {
    done: HashSet<u64>,
    skip: BTreeSet<u64>,
    unread: BTreeSet<u64>,
    /// To be tried on their own, group by group, the last first; in each group one item after the other.
    suspects: Vec<Vec<u64>>,
    /// The item that is tried a last time without being parsed, and why its worker died.
    accused: Option<(u64, String)>,
    names: BTreeMap<u64, String>,
    deaths: u32,
    /// Deaths with nothing in hand.
    idle_deaths: u32,
}

/// Examines the images with as many workers as it takes. `false` if they were given up before the end.
pub(super) fn examine(
    plan: &Plan,
    asked: &Asked,
    images: &[OpenedImage],
    stored: &[Vec<StoredHash>],
    watch: &Watch,
    behind: &Taken,
    taker: &mut dyn Taker,
) -> Result<bool, Failure> {
    let threads = match plan.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        n => u32::try_from(n).unwrap_or(u32::MAX),
    };
    let keys = super::keys::read(&plan.keys)?;
    let left_out = |which: LeftOut| behind.left_out.iter().filter(move |(_, w)| *w == which).map(|(item, _)| *item);
    let mut lives = Lives {
        done: behind.items.iter().copied().collect(),
        skip: left_out(LeftOut::Unparsed).collect(),
        unread: left_out(LeftOut::Unread).collect(),
        ..Lives::default()
    };
    loop {
        let only = lives.suspects.last().cloned().unwrap_or_default();
        let probing = !only.is_empty();
        let list = |set: &BTreeSet<u64>| set.iter().copied().collect();
        let order = Order {
            images: specs(images),
            threads: if probing { 1 } else { threads },
            replay_journal: true,
            keys: keys.clone(),
            nand: plan.nand,
            unconfined: plan.no_sandbox,
            job: Job::Examine {
                done: lives.done.iter().copied().collect::<BTreeSet<u64>>().into_iter().collect(),
                skip: list(&lives.skip),
                unread: list(&lives.unread),
                only,
                hash_images: asked.hash_images && !probing,
                second_reader: asked.second_reader && !probing,
                show_secrets: plan.show_secrets,
                stored: stored.to_vec(),
            },
        };
        let mut worker = Worker::start(plan.worker.as_ref(), images, &order)?;
        match live(&mut worker, &mut lives, probing, plan.no_sandbox, watch, taker)? {
            None if probing => acquit(&mut lives, taker)?,
            None => return Ok(true),
            Some((why, in_hand)) if probing => accuse(&mut lives, why, &in_hand, taker)?,
            Some((why, in_hand)) if in_hand.is_empty() => {
                // Nothing to blame. Somebody may have killed it; if not, the same will happen again.
                lives.idle_deaths = lives.idle_deaths.saturating_add(1);
                if lives.idle_deaths > MAX_IDLE_DEATHS {
                    taker.gap(gap(format!(
                        "the worker died between items, {MAX_IDLE_DEATHS} times and once more ({why}); \
                         what is left was not read"
                    )));
                    return Ok(false);
                }
            }
            Some((_, in_hand)) => {
                lives.deaths = lives.deaths.saturating_add(1);
                lives.suspects.push(in_hand.into_iter().collect());
            }
        }
        if lives.deaths > MAX_DEATHS {
            taker.gap(gap(format!("{MAX_DEATHS} workers died on this evidence; what is left was not read")));
            return Ok(false);
        }
    }
}

/// One worker's life: `None` if it finished, else why it died and what it had in hand.
fn live(
    worker: &mut Worker<'_>,
    lives: &mut Lives,
    probing: bool,
    unconfined: bool,
    watch: &Watch,
    taker: &mut dyn Taker,
) -> Result<Option<(String, BTreeSet<u64>)>, Failure> {
    let mut in_hand: HashSet<u64> = HashSet::new();
    loop {
        match worker.next(&|| watch.is_cancelled()) {
            Next::Cancelled => return Err(Failure::cancelled()),
            Next::Dead(why) => return Ok(Some((why, in_hand.into_iter().collect()))),
            Next::Report(Report::Finished) => return Ok(None),
            Next::Report(Report::Failed { what }) => return Err(Failure::evidence(what)),
            Next::Report(Report::Confined(how)) => {
                accept(&how, unconfined)?;
                taker.confined(&how);
            }
            Next::Report(Report::Enter { item, name }) => {
                in_hand.insert(item);
                lives.names.insert(item, name);
            }
            Next::Report(Report::Take { items, names }) => {
                lives.names.extend(items.iter().copied().zip(names));
                in_hand.extend(items);
            }
            Next::Report(Report::Leave { items }) => {
                for item in &items {
                    in_hand.remove(item);
                }
            }
            Next::Report(Report::Stage { stage, total }) => {
                // Items of a stage that is over were finished, whether they had anything to commit or not.
                in_hand.clear();
                if !probing {
                    taker.stage(stage, total)?;
                }
            }
            Next::Report(Report::Advance { done }) => watch.advance(done),
            Next::Report(Report::Scene(scene)) => taker.scene(*scene)?,
            Next::Report(Report::Commit { items, rows, gaps }) => {
                for item in &items {
                    in_hand.remove(item);
                }
                // What opening and walking found comes again with every life; the taker keeps it once.
                lives.done.extend(&items);
                taker.commit(items, rows, gaps)?;
            }
            Next::Report(
                Report::Listed(_)
                | Report::Bytes(_)
                | Report::Formats(_)
                | Report::Checked(_)
                | Report::Ready { .. }
                | Report::Entry(_)
                | Report::EntryEnd { .. }
                | Report::Serving
                | Report::Want { .. },
            ) => {
                return Ok(Some(("it answered what nobody asked".into(), BTreeSet::new())));
            }
        }
        if watch.is_cancelled() {
            return Err(Failure::cancelled());
        }
    }
}

/// A group of suspects was tried and its worker lived.
fn acquit(lives: &mut Lives, taker: &mut dyn Taker) -> Result<(), Failure> {
    lives.suspects.pop();
    let Some((item, why)) = lives.accused.take() else { return Ok(()) };
    // It lived because the item was not parsed.
    let what = format!("{}: the worker died over it ({why}); left out", lives.name(item));
    taker.left_out(item, LeftOut::Unparsed, gap(what))
}

/// A group of suspects was tried and its worker died again. Only a second death over the same item, with nothing
/// else in hand, is held against it.
fn accuse(lives: &mut Lives, why: String, in_hand: &BTreeSet<u64>, taker: &mut dyn Taker) -> Result<(), Failure> {
    let group = lives.suspects.pop().unwrap_or_default();
    let accused = lives.accused.take();
    // What was neither in hand nor committed has its turn with the rest.
    let left: Vec<u64> = group.into_iter().filter(|item| in_hand.contains(item)).collect();
    if let [item] = *left {
        if accused.is_none() && lives.skip.insert(item) {
            // Once more, without parsing it: a file may still be read and hashed.
            lives.accused = Some((item, why));
            lives.suspects.push(left);
            return Ok(());
        }
        lives.unread.insert(item);
        lives.deaths = lives.deaths.saturating_add(1);
        let what = format!("{}: the worker died reading it ({why}); its content is left out", lives.name(item));
        return taker.left_out(item, LeftOut::Unread, gap(what));
    }
    if let Some((item, _)) = accused {
        // Something else happened: nothing is known about the item yet.
        lives.skip.remove(&item);
    }
    lives.deaths = lives.deaths.saturating_add(1);
    let (first, second) = left.split_at(left.len().div_ceil(2));
    lives.suspects.extend([second, first].into_iter().filter(|half| !half.is_empty()).map(<[u64]>::to_vec));
    Ok(())
}

impl Lives {
    fn name(&self, item: u64) -> &str {
        self.names.get(&item).map_or("an unnamed item", String::as_str)
    }
}

fn gap(what: String) -> Gap {
    Gap { at: Place::default(), by: "worker".into(), what, bytes: 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Default)]
    struct Told(Vec<(u64, LeftOut, String)>);
    impl Taker for Told {
        fn scene(&mut self, _: Scene) -> Result<(), Failure> {
            Ok(())
        }
        fn commit(&mut self, _: Vec<u64>, _: Vec<Row>, _: Vec<Gap>) -> Result<(), Failure> {
            Ok(())
        }
        fn left_out(&mut self, item: u64, what: LeftOut, gap: Gap) -> Result<(), Failure> {
            self.0.push((item, what, gap.what));
            Ok(())
        }
        fn gap(&mut self, _: Gap) {}
        fn confined(&mut self, _: &Confinement) {}
        fn stage(&mut self, _: Stage, _: u64) -> Result<(), Failure> {
            Ok(())
        }
    }

    /// One of a group kills: it alone is blamed, for parsing if it can be read, else for reading.
    #[test]
    fn the_one_that_kills_is_blamed() {
        for (readable, what) in [(true, LeftOut::Unparsed), (false, LeftOut::Unread)] {
            let (mut lives, mut told) = (Lives::default(), Told::default());
            lives.suspects.push(vec![1, 2, 3]);
            lives.names.insert(2, "/bin/odd".into());
            accuse(&mut lives, "signal 6".into(), &[2].into(), &mut told).unwrap();
            assert_eq!((lives.suspects.clone(), told.0.len()), (vec![vec![2]], 0));
            if readable {
                acquit(&mut lives, &mut told).unwrap();
            } else {
                accuse(&mut lives, "signal 6".into(), &[2].into(), &mut told).unwrap();
            }
            let (item, kind, text) = told.0.pop().unwrap();
            assert_eq!((item, kind, lives.suspects.len(), told.0.len()), (2, what, 0, 0));
            assert!(text.contains("/bin/odd") && text.contains("signal 6"), "{text}");
        }
    }

    /// A worker that dies of something else while one is tried says nothing about it.
    #[test]
    fn a_death_with_something_else_in_hand_blames_nobody() {
        let (mut lives, mut told) = (Lives::default(), Told::default());
        lives.suspects.push(vec![1]);
        accuse(&mut lives, "signal 9".into(), &[1].into(), &mut told).unwrap();
        accuse(&mut lives, "signal 9".into(), &[7].into(), &mut told).unwrap();
        assert!(told.0.is_empty() && lives.skip.is_empty() && lives.suspects.is_empty() && lives.deaths == 1);
    }
}
