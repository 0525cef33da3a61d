//! Evidence as a file system of the kernel: the worker's part of a mount. The parent mounts, and hands over the way
//! to the kernel; what the kernel asks is answered here, where evidence is parsed, so that the bytes go straight to it.
mod answer;
mod texts;
mod view;
mod wire;

use super::descriptors::receive_files;
use super::in_hand::{DESCRIPTORS, InHand, SLOTS};
use super::link::Link;
use super::protocol::{Report, Serve};
use crate::base::{Cancelled, Gap, Progress, Stage, Wanted};
use crate::extract::{self, Input, Request, Sink};
use crate::image::{Scratch, Segment};
use crate::inventory::{Row, Scene};
use answer::{Answers, Reply};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often what was met while reading is told.
const TICK: Duration = Duration::from_secs(1);
/// The device is gone: somebody unmounted.
const ENODEV: i32 = 19;

/// What indexing meets.
struct Indexing<'a> {
    link: &'a Link,
    gaps: Mutex<Vec<Gap>>,
}
impl Sink for Indexing<'_> {
    fn enter(&self, item: u64, name: &str) -> bool {
        self.link.enter(item, name)
    }
    fn is_done(&self, _item: u64) -> bool {
        false
    }
    fn stage(&self, stage: Stage, total: u64) {
        self.link.stage(stage, total);
    }
    fn scene(&self, scene: &Scene) {
        self.link.scene(scene);
    }
    fn sibling(&self, image: u32, wanted: &Wanted) -> Result<Segment, String> {
        self.link.sibling(image, wanted)
    }
    fn scratch(&self) -> Option<Arc<dyn Scratch>> {
        self.link.scratch()
    }
    fn commit(&self, items: &[u64], _rows: Vec<Row>, gaps: Vec<Gap>) {
        self.link.leave(items);
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).extend(gaps);
    }
}

/// Indexes, tells the parent that it is ready, and answers the kernel until the mount is gone.
pub(super) fn serve(
    inputs: Vec<Input>,
    request: &Request,
    link: &Link,
    progress: &Progress,
) -> Result<io::Result<()>, Cancelled> {
    let sink = Indexing { link, gaps: Mutex::default() };
    let indexed = extract::index(inputs, request, &sink, progress)?;
    let gaps = sink.gaps.into_inner().unwrap_or_else(PoisonError::into_inner);
    let view = view::View::new(&indexed, texts::texts(&indexed, &gaps));
    link.send(&Report::Ready { mark: view.mark(), nodes: view.len(), gaps: gaps.len() as u64 });
    link.flush();
    Ok(answer_all(view, request.threads.clamp(2, SLOTS), link))
}

fn answer_all(view: view::View<'_>, threads: usize, link: &Link) -> io::Result<()> {
    let (serve, hold, kernel, in_hand) = link.answered(|from| {
        let serve: Serve = super::protocol::receive(&mut &*from)?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut files = receive_files(from, 2 + DESCRIPTORS)?.into_iter();
        let (hold, kernel) = (files.next(), files.next());
        let missing = ErrorKind::UnexpectedEof;
        Ok((serve, hold.ok_or(missing)?, kernel.ok_or(missing)?, InHand::of(files).ok_or(missing)?))
    })?;
    // Nothing more comes from the parent: when it is gone, so is the mount.
    let parent = link.answered(std::os::unix::net::UnixStream::try_clone)?;
    let gone = move || {
        drop((&parent).read(&mut [0]));
        std::process::exit(1);
    };
    std::thread::Builder::new().name("parent".into()).spawn(gone)?;
    let gaps = view.indexed.gaps.clone();
    let serving = Serving { answers: Answers::new(view, &serve.banned), kernel, in_hand, _hold: hold };
    // What earlier workers had in hand, one after the other: it is known then which of them kills.
    let mut buf = Vec::new();
    for request in &serve.requests {
        serving.in_hand.put(0, request)?;
        serving.carry_out(0, request, &mut buf)?;
    }
    link.send(&Report::Serving);
    link.flush();
    std::thread::scope(|scope| {
        let serving = &serving;
        let answerers: Vec<_> = (0..threads)
            .map(|slot| {
                let name = format!("answers-{slot}");
                std::thread::Builder::new().name(name).spawn_scoped(scope, move || serving.answer_until_gone(slot))
            })
            .collect::<io::Result<_>>()?;
        while !answerers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(TICK);
            let met = gaps.take();
            if !met.is_empty() {
                link.commit(&[], Vec::new(), met);
                link.flush();
            }
        }
        answerers.into_iter().try_for_each(|a| a.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))))
    })
}

struct Serving<'a> {
    answers: Answers<'a>,
    /// `/dev/fuse`, mounted.
    kernel: File,
    in_hand: InHand,
    /// Who unmounts when the parent is gone waits until this is closed.
    _hold: File,
}

impl Serving<'_> {
    fn answer_until_gone(&self, slot: usize) -> io::Result<()> {
        let (mut request, mut buf) = (Vec::new(), Vec::new());
        loop {
            match self.in_hand.take(slot, &self.kernel) {
                Ok(0) => return Ok(()),
                Ok(n) => self.carry_out(slot, self.in_hand.request(slot, n, &mut request)?, &mut buf)?,
                Err(e) if e.raw_os_error() == Some(ENODEV) => return Ok(()),
                // ENOENT: the caller gave up before its request was read.
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn carry_out(&self, slot: usize, request: &[u8], buf: &mut Vec<u8>) -> io::Result<()> {
        #[cfg(test)]
        self.answers.die_if_asked(request);
        if let Some((head, fields)) = wire::request(request) {
            let answer = || self.answers.answer(head, fields, buf);
            let reply = catch_unwind(AssertUnwindSafe(answer)).unwrap_or(Reply::Error(wire::errno::EIO));
            let (error, body) = match &reply {
                Reply::Nothing => return self.in_hand.clear(slot),
                Reply::Error(error) => (*error, &[][..]),
                Reply::Small(body) => (0, body.as_slice()),
                Reply::Read(n) => (0, buf.get(..*n).unwrap_or_default()),
            };
            let out = wire::out_head(head.unique, error, body.len());
            // A reply goes out at once or not at all; one that nobody waits for any more is refused, and so be it.
            match (&self.kernel).write_vectored(&[IoSlice::new(&out), IoSlice::new(body)]) {
                Err(e) if e.kind() != ErrorKind::NotFound && e.raw_os_error() != Some(ENODEV) => {
                    let refused = wire::out_head(head.unique, wire::errno::EIO, 0);
                    drop((&self.kernel).write(&refused));
                }
                _ => {}
            }
        }
        self.in_hand.clear(slot)
    }
}

#[cfg(test)]
mod tests {
    /// Not a test of its own: what the parent's test of mounts starts as its worker, by the full name of this.
    #[test]
    fn stands_in_for_a_worker() {
        let name = "worker::mount::tests::stands_in_for_a_worker";
        if std::env::args().any(|a| a == "--exact") && std::env::args().any(|a| a == name) {
            let is_whole = super::super::main() == std::process::ExitCode::SUCCESS;
            std::process::exit(i32::from(!is_whole));
        }
    }
}
