//! A worker process as its parent sees it: started, listened to, answered, ended.
//!
//! Nothing that comes from it is believed. What waits to be taken is bounded in bytes, one that talks without end or
//! says nothing is ended, and neither a worker that does not read nor one that closes its socket and lives on can
//! hold up the parent.
use super::open::OpenedImage;
use super::scratch::Scratch;
use super::waits::Silence;
use super::{Failure, Plan, siblings};
use crate::base::Wanted;
use crate::worker::protocol::{Given, Job, Order, Report, receive_sized, send, send_files};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Messages waiting between the reader and the case.
const QUEUE: usize = 64;
/// And their bytes as they came; one more message may stand beside them.
const WAITING: u64 = 64 << 20;
/// A worker that says nothing for this long hangs; time in which it waited for the processor does not count.
const SILENCE: Duration = super::Limits::DEFAULT.silence;
/// For the GNU C library's memory: what is large goes back to the system when it is freed (glibc would learn from the
/// first such piece to keep them), what is small stays for the next. Others do not look at it.
const MEMORY: [(&str, &str); 3] =
    [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "33554432"), ("MALLOC_TOP_PAD_", "1048576")];
/// How often the parent looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);
/// How long a worker that closed its socket has for ending, and one that is told something for listening.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages that bring nothing, one after the other: more than the items of any evidence that are announced at once.
const CHATTER: u64 = 1_000_000;
/// Words of progress in a second that a worker may send: it sends ten.
const WORDS: u32 = 100;

/// A running worker.
pub(super) struct Worker<'a> {
    child: Option<Child>,
    reports: Receiver<(u64, io::Result<Report>)>,
    queue: Arc<Queue>,
    /// The way to it, for answers.
    to: UnixStream,
    images: &'a [OpenedImage],
    scratch: Scratch,
    silence: Duration,
    talk: Talk,
    /// Bytes of all that was taken.
    taken: u64,
}
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // It may be parsing something endless; nothing of its is worth waiting for.
        self.end();
        self.scratch.over();
    }
}

/// What the next message was.
pub(super) enum Next {
    Report(Report),
    /// The worker is gone or hangs: why.
    Dead(String),
    Cancelled,
}

/// What was read and not taken yet.
#[derive(Default)]
struct Queue {
    /// Bytes as they came.
    waiting: AtomicU64,
    /// Nobody takes any more.
    closed: AtomicBool,
}

impl<'a> Worker<'a> {
    /// Starts one on an order. It is this very binary unless a test's plan names another.
    pub(super) fn start(plan: &Plan, images: &'a [OpenedImage], order: &Order) -> Result<Self, Failure> {
        let environment = |what: &str, e: &io::Error| Failure::environment(format!("cannot {what}: {e}"));
        let program = match &plan.worker {
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
            .envs(MEMORY.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| environment("start the worker process", &e))?;
        let files =
            images.iter().flat_map(|i| &i.segments).map(|s| s.file.try_clone()).collect::<io::Result<Vec<File>>>();
        let files = files.map_err(|e| environment("pass the evidence to the worker", &e))?;
        ours.set_write_timeout(Some(PATIENCE)).map_err(|e| environment("make a socket", &e))?;
        let (to, reports) = sync_channel(QUEUE);
        let answers = ours.try_clone().map_err(|e| environment("make a socket", &e))?;
        let queue = Arc::new(Queue::default());
        let talk = Talk::new(Instant::now());
        let worker = Self {
            child: Some(child),
            reports,
            queue: queue.clone(),
            to: answers,
            images,
            scratch: plan.scratch.clone(),
            silence: SILENCE,
            talk,
            taken: 0,
        };
        // A worker that is gone already shows as its first report's absence.
        let told = send(&mut &ours, order).and_then(|()| send_files(&ours, &files));
        if told.is_ok() {
            std::thread::Builder::new()
                .name("worker-reports".into())
                .spawn(move || listen(ours, &to, &queue))
                .map_err(|e| environment("start a thread", &e))?;
        }
        Ok(worker)
    }

    /// With another limit of silence.
    pub(super) fn silent_for(mut self, silence: Duration) -> Self {
        self.may_be_silent_for(silence);
        self
    }
    /// Another limit from the next message on.
    pub(super) fn may_be_silent_for(&mut self, silence: Duration) {
        self.silence = silence;
    }
    /// Bytes of everything that it said and that was taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn next(&mut self, cancelled: &dyn Fn() -> bool) -> Next {
        let mut silence = Silence::new(self.child.as_ref().map(Child::id));
        loop {
            match self.poll(TICK) {
                Some(next) => return next,
                None if cancelled() => return Next::Cancelled,
                None if silence.is_over(self.silence) => {
                    return Next::Dead(format!("it said nothing for {} seconds", self.silence.as_secs()));
                }
                None => silence.note(),
            }
        }
    }

    /// What comes within this time. A file that the worker asks for is given on the way.
    pub(super) fn poll(&mut self, patience: Duration) -> Option<Next> {
        let (bytes, report) = match self.reports.recv_timeout(patience) {
            Ok(report) => report,
            Err(RecvTimeoutError::Disconnected) => return Some(Next::Dead(self.obituary())),
            Err(RecvTimeoutError::Timeout) => return None,
        };
        self.queue.waiting.fetch_sub(bytes, Ordering::AcqRel);
        self.taken = self.taken.saturating_add(bytes);
        let report = match report {
            Ok(report) => report,
            Err(e) => return Some(Next::Dead(format!("its report cannot be read: {e}"))),
        };
        if let Err(why) = self.talk.hear(&report, Instant::now()) {
            return Some(Next::Dead(why));
        }
        let Report::Want { image, wanted } = report else { return Some(Next::Report(report)) };
        // Whoever waits looks in between whether to go on.
        let answered = self.answer(image, &wanted);
        answered.err().map(|e| Next::Dead(format!("it cannot be answered: {e}")))
    }

    /// For what it is told beyond its order.
    pub(super) fn way(&self) -> &UnixStream {
        &self.to
    }

    /// Ends it now.
    pub(super) fn end(&mut self) {
        self.queue.closed.store(true, Ordering::Release);
        // Not even until its memory is freed. Without a thread for it the process stays in the system's list until
        // this one ends.
        let Some(mut child) = self.child.take() else { return };
        drop(child.kill());
        drop(std::thread::Builder::new().name("worker-end".into()).spawn(move || child.wait()));
    }

    /// Gives the worker a file that an image names, or says why not.
    fn answer(&self, image: u32, wanted: &Wanted) -> io::Result<()> {
        let given = match wanted {
            Wanted::Scratch { is_full } => self.scratch.give(*is_full),
            _ => siblings::give(self.images, image, wanted),
        };
        match given {
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
        let until = Instant::now() + PATIENCE;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => {
                    return match status.signal() {
                        Some(signal) => format!("it was ended by signal {signal}"),
                        None => format!("it exited with status {}", status.code().unwrap_or(-1)),
                    };
                }
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => return "it closed its socket and went on".into(),
                Err(e) => return e.to_string(),
            }
        }
    }
}

/// Reads what the worker says until it ends or says what nobody understands.
fn listen(from: UnixStream, to: &SyncSender<(u64, io::Result<Report>)>, queue: &Queue) {
    let mut from = io::BufReader::with_capacity(1 << 20, from);
    loop {
        while queue.waiting.load(Ordering::Acquire) > WAITING {
            if queue.closed.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let (bytes, report) = match receive_sized::<Report>(&mut from) {
            Ok(None) => return,
            Ok(Some((bytes, report))) => (bytes, Ok(report)),
            Err(e) => (0, Err(e)),
        };
        queue.waiting.fetch_add(bytes, Ordering::AcqRel);
        let last = report.is_err();
        if to.send((bytes, report)).is_err() || last {
            return;
        }
    }
}

/// How much of what a worker says brings nothing.
struct Talk {
    idle: u64,
    /// As told last.
    done: u64,
    second: Instant,
    words: u32,
}
impl Talk {
    fn new(now: Instant) -> Self {
        Self { idle: 0, done: 0, second: now, words: 0 }
    }
    fn hear(&mut self, report: &Report, now: Instant) -> Result<(), String> {
        match report {
            Report::Commit { items, .. } if !items.is_empty() => self.idle = 0,
            Report::Bytes(bytes) if !bytes.is_empty() => self.idle = 0,
            Report::Entry(_) => self.idle = 0,
            Report::Stage { .. } => {
                self.done = 0;
                self.idle = self.idle.saturating_add(1);
            }
            Report::Advance { done } if *done > self.done && self.may_word(now) => self.done = *done,
            _ => self.idle = self.idle.saturating_add(1),
        }
        if self.idle > CHATTER {
            return Err(format!("it sent {CHATTER} messages that brought nothing"));
        }
        Ok(())
    }
    fn may_word(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.words) = (now, 0);
        }
        self.words = self.words.saturating_add(1);
        self.words <= WORDS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn talk_without_end_is_noticed_and_work_is_not() {
        let start = Instant::now();
        let mut talk = Talk::new(start);
        // A day of progress, ten words a second.
        for n in 1..864_000_u32 {
            talk.hear(&Report::Advance { done: n.into() }, start + Duration::from_millis(100) * n).unwrap();
        }
        // Items by the million, each announced and committed.
        for n in 0..3_000_000 {
            talk.hear(&Report::Enter { item: n, name: String::new() }, start).unwrap();
            talk.hear(&Report::Commit { items: vec![n], rows: Vec::new(), gaps: Vec::new() }, start).unwrap();
        }
        for report in [
            Report::Advance { done: 0 },
            Report::Leave { items: vec![1] },
            Report::Commit { items: Vec::new(), rows: Vec::new(), gaps: Vec::new() },
        ] {
            let mut talk = Talk::new(start);
            let heard = (0..=CHATTER).filter(|_| talk.hear(&report, start).is_ok()).count();
            assert_eq!(heard as u64, CHATTER, "{report:?}");
        }
        let mut talk = Talk::new(start);
        let heard = (1..=2 * CHATTER).filter(|done| talk.hear(&Report::Advance { done: *done }, start).is_ok()).count();
        assert!((heard as u64) < 2 * CHATTER, "progress faster than any work is no progress");
    }
}
