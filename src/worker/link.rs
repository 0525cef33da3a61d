//! The worker's main: one order in, reports out.
use super::descriptors::receive_files;
use super::protocol::{FormatInfo, Given, ImageSpec, Job, Order, Report, SegmentSpec, encode, receive};
use super::scratch::TemporaryFile;
use super::{confine, export, look, mount, rules, verify};
use crate::base::{Cancelled, Gap, MoreHashes, Opener, Progress, Stage, Wanted};
use crate::extract::{self, Input, Request, Sink};
use crate::image::{self, OpenFile, Scratch, Segment, Store};
use crate::inventory::{Row, Scene};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Frames are gathered up to this many bytes before they are written.
const BUFFER: usize = 256 << 10;
/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Runs until the order on standard input (a Unix socket) is carried out.
pub fn main() -> ExitCode {
    // A panic is caught where it happens and becomes a gap; its text on stderr would only confuse.
    std::panic::set_hook(Box::new(|_| {}));
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("cranescope worker: {e}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let order: Order = receive(&mut &socket)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let count = order.images.iter().map(|i| i.segments.len()).sum();
    let files = receive_files(&socket, count)?;
    // Nothing of the evidence was read so far, and this is still the only thread.
    let confinement = confine::enter(order.threads, order.scratch);
    let may_go_on = confinement.missing.is_empty() || order.unconfined;
    let wire = Arc::new(Wire::new(socket)?);
    let progress = Arc::new(Progress::default());
    let link = Link::new(wire.clone(), &order.job, &progress);
    link.send(&Report::Confined(confinement));
    link.flush();
    if !may_go_on {
        return Ok(());
    }
    let (show_secrets, hashes) = match order.job {
        Job::Examine { show_secrets, hashes, .. } => (show_secrets, hashes),
        _ => (false, MoreHashes::default()),
    };
    let Order { images, threads, replay_journal, keys, nand, job, .. } = order;
    let inputs = inputs(images, files, &wire);
    let request = Request { threads: threads.max(1) as usize, replay_journal, show_secrets, keys, nand, hashes };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ticker = std::thread::Builder::new().name("progress".into());
        let ticker = ticker.spawn_scoped(scope, || tick(&link, &progress, &over))?;
        let outcome = carry_out(job, inputs, &request, &link, &progress);
        over.store(true, Ordering::Relaxed);
        ticker.thread().unpark();
        outcome.map_err(|Cancelled| io::Error::from(io::ErrorKind::Interrupted))
    })?;
    link.send(&Report::Finished);
    link.flush();
    Ok(())
}

fn carry_out(
    job: Job,
    inputs: Vec<Input>,
    request: &Request,
    link: &Link,
    progress: &Progress,
) -> Result<(), Cancelled> {
    match job {
        Job::Examine { hash_images, hash_first, second_reader, stored, .. } => {
            let extra = extract::Extra { hash_images, hash_first, second_reader, stored };
            extract::run(inputs, request, &extra, link, progress)
        }
        Job::Text { tree } => {
            let (scene, inventory, gaps) = extract::examine_text(&tree);
            link.scene(&scene);
            link.commit(&[], inventory.into_rows(), gaps);
            Ok(())
        }
        Job::Formats => {
            link.send(&Report::Formats(formats()));
            Ok(())
        }
        Job::Packages => {
            let store = Store::new(link.scratch());
            for input in inputs {
                progress.step(1)?;
                let told = if input.folder.is_some() {
                    Err("a folder is no package".to_owned())
                } else {
                    extract::packages::read(&image::join(input.segments), &store)
                };
                link.send(&Report::Package(told.map(Box::new)));
                link.flush();
            }
            Ok(())
        }
        Job::Verify => {
            let told = verify::verify(inputs, link, progress)?;
            link.send(&told.map_or_else(|what| Report::Failed { what }, Report::Checked));
            Ok(())
        }
        Job::Rules { rules, files } => {
            if let Err(what) = rules::run(inputs, &rules, &files, request, link, progress)? {
                link.send(&Report::Failed { what });
            }
            Ok(())
        }
        Job::List { place } => {
            let told = look::list(inputs, &place, request, link, progress)?;
            link.send(&told.map_or_else(|what| Report::Failed { what }, Report::Listed));
            Ok(())
        }
        Job::Read { place } => {
            let mut emit = |bytes: &[u8]| link.send(&Report::Bytes(bytes.to_vec()));
            if let Err(what) = look::read(inputs, &place, request, link, progress, &mut emit)? {
                link.send(&Report::Failed { what });
            }
            Ok(())
        }
        Job::Export { places, skip } => {
            if let Err(what) = export::export(inputs, &places, skip, request, link, progress)? {
                link.send(&Report::Failed { what });
            }
            Ok(())
        }
        Job::Mount { .. } => {
            if let Err(e) = mount::serve(inputs, request, link, progress)? {
                link.send(&Report::Failed { what: format!("the kernel cannot be answered: {e}") });
            }
            Ok(())
        }
        Job::Raw { image, offset, len } => {
            let told = look::raw(inputs, image, offset, len, link);
            link.send(&told.map_or_else(|what| Report::Failed { what }, Report::Bytes));
            Ok(())
        }
    }
}

/// Every list of what can be read, in the order of the layers.
fn formats() -> Vec<FormatInfo> {
    let info = |layer: &str, name: &str, about: &str, limits: &str| FormatInfo {
        layer: layer.into(),
        name: name.into(),
        about: about.into(),
        limits: limits.into(),
    };
    let folder = info(
        "container",
        "folder",
        "a folder of loose files, a mounted or unpacked root: every file below it, opened one by one by the parent process",
        "symlinks are not followed; extended attributes are not kept; file systems of the running kernel (proc, sysfs …) within it are not entered",
    );
    let containers =
        std::iter::once(folder).chain(crate::image::ALL.iter().map(|f| info("container", f.name, f.about, f.limits)));
    let volumes = crate::volume::ALL.iter().map(|f| info("volumes", f.name, f.about, f.limits));
    let managers = crate::volume::MANAGERS.iter().map(|m| info("volumes", m.name, m.about, m.limits));
    let encryptions = crate::volume::ENCRYPTIONS.iter().map(|e| info("encryption", e.name, e.about, e.limits));
    let volumes = volumes.chain(managers).chain(encryptions);
    let filesystems = crate::fs::ALL.iter().map(|f| info("file system", f.name, f.about, f.limits));
    let artifacts = crate::artifact::ALL.iter().map(|a| info("artifact", a.name, a.about, &a.reads.join(" ")));
    let contents = crate::artifact::CONTENTS.iter().map(|c| info("contents", c.name, c.about, ""));
    containers.chain(volumes).chain(filesystems).chain(artifacts).chain(contents).collect()
}

fn inputs(specs: Vec<ImageSpec>, files: Vec<File>, wire: &Arc<Wire>) -> Vec<Input> {
    let mut files = files.into_iter();
    let mut inputs = Vec::with_capacity(specs.len());
    for (image, spec) in (0..).zip(specs) {
        let segments = spec.segments.iter().zip(&mut files).map(|(s, file)| segment(s, file)).collect();
        let opener = Arc::new(Asked { wire: wire.clone(), image });
        let folder = spec.folder.map(|f| (Arc::new(f), opener as Arc<dyn Opener>));
        inputs.push(Input { name: spec.name, segments, folder });
    }
    inputs
}

/// Files of a folder, asked of the parent.
struct Asked {
    wire: Arc<Wire>,
    image: u32,
}
impl Opener for Asked {
    fn open(&self, item: u32) -> Result<File, String> {
        let given = self.wire.ask(self.image, &Wanted::Item(item));
        // A broken link means that the parent is gone, and so is the reason to go on.
        given.unwrap_or_else(|_| std::process::exit(1)).map(|(_, file)| file)
    }
}

fn segment(spec: &SegmentSpec, file: File) -> Segment {
    let source = Arc::new(OpenFile::new(file, spec.name.clone(), spec.len));
    Segment { source, name: spec.name.clone() }
}

/// Tells the parent how far it is, as long as it moves: silence means that it hangs.
fn tick(link: &Link, progress: &Progress, over: &AtomicBool) {
    let mut last = None;
    while !over.load(Ordering::Relaxed) {
        std::thread::park_timeout(TICK);
        let done = progress.fraction().0;
        if last != Some(done) {
            last = Some(done);
            link.send(&Report::Advance { done });
            link.flush();
        }
    }
}

/// The way to the parent. If it breaks, the parent is gone, and so is the reason to go on.
pub(super) struct Wire {
    out: Mutex<BufWriter<UnixStream>>,
    /// What the parent answers; read by whoever asked.
    answers: Mutex<UnixStream>,
}
impl Wire {
    fn new(socket: UnixStream) -> io::Result<Self> {
        let answers = Mutex::new(socket.try_clone()?);
        Ok(Self { out: Mutex::new(BufWriter::with_capacity(BUFFER, socket)), answers })
    }
    /// Asks the parent for a file, one question at a time.
    pub(super) fn ask(&self, image: u32, wanted: &Wanted) -> io::Result<Result<(SegmentSpec, File), String>> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(&Report::Want { image, wanted: wanted.clone() });
        self.flush();
        match receive::<Given>(&mut *answers)?.ok_or(io::ErrorKind::UnexpectedEof)? {
            Given::Refused(why) => Ok(Err(why)),
            Given::File(spec) => {
                let file = receive_files(&answers, 1)?.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(Ok((spec, file)))
            }
        }
    }
    pub(super) fn send(&self, report: &Report) {
        // Encoded before the lock is taken: threads wait for the wire only.
        let frame = encode(report);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if frame.and_then(|f| out.write_all(&f)).is_err() {
            std::process::exit(1);
        }
    }
    pub(super) fn flush(&self) {
        if self.out.lock().unwrap_or_else(PoisonError::into_inner).flush().is_err() {
            std::process::exit(1);
        }
    }
}

/// The way to the parent, and what its order says of items.
pub(super) struct Link {
    wire: Arc<Wire>,
    done: HashSet<u64>,
    skip: HashSet<u64>,
    unread: HashSet<u64>,
    only: HashSet<u64>,
    scratch: Arc<TemporaryFile>,
}
impl Link {
    fn new(wire: Arc<Wire>, job: &Job, progress: &Arc<Progress>) -> Self {
        let set = |items: &[u64]| items.iter().copied().collect();
        let (done, skip, unread, only) = match job {
            Job::Examine { done, skip, unread, only, .. } => (set(done), set(skip), set(unread), set(only)),
            Job::Mount { skip } => (HashSet::new(), set(skip), HashSet::new(), HashSet::new()),
            _ => Default::default(),
        };
        let scratch = Arc::new(TemporaryFile::new(wire.clone(), progress.clone()));
        Self { wire, done, skip, unread, only, scratch }
    }
    /// Reads what the parent answers.
    pub(super) fn answered<T>(&self, read: impl FnOnce(&UnixStream) -> io::Result<T>) -> io::Result<T> {
        read(&self.wire.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
    pub(super) fn send(&self, report: &Report) {
        self.wire.send(report);
    }
    pub(super) fn flush(&self) {
        self.wire.flush();
    }
}
impl Sink for Link {
    fn enter(&self, item: u64, name: &str) -> bool {
        if self.skip.contains(&item) {
            return false;
        }
        self.send(&Report::Enter { item, name: name.to_owned() });
        self.flush();
        true
    }
    fn take(&self, items: &[u64], name: &dyn Fn(usize) -> String) {
        let names = if self.only.is_empty() { Vec::new() } else { (0..items.len()).map(name).collect() };
        self.send(&Report::Take { items: items.to_vec(), names });
        self.flush();
    }
    fn leave(&self, items: &[u64]) {
        self.send(&Report::Leave { items: items.to_vec() });
    }
    fn is_probing(&self) -> bool {
        !self.only.is_empty()
    }
    fn is_skipped(&self, item: u64) -> bool {
        self.skip.contains(&item)
    }
    fn is_unread(&self, item: u64) -> bool {
        self.unread.contains(&item)
    }
    fn is_done(&self, item: u64) -> bool {
        self.done.contains(&item) || (!self.only.is_empty() && !self.only.contains(&item))
    }
    fn stage(&self, stage: Stage, total: u64) {
        self.send(&Report::Stage { stage, total });
        self.flush();
    }
    fn scene(&self, scene: &Scene) {
        self.send(&Report::Scene(Box::new(scene.clone())));
    }
    fn sibling(&self, image: u32, wanted: &Wanted) -> Result<Segment, String> {
        // A broken link means that the parent is gone, and so is the reason to go on.
        let given = self.wire.ask(image, wanted).unwrap_or_else(|_| std::process::exit(1));
        given.map(|(spec, file)| segment(&spec, file))
    }
    fn scratch(&self) -> Option<Arc<dyn Scratch>> {
        Some(self.scratch.clone())
    }
    fn commit(&self, items: &[u64], rows: Vec<Row>, gaps: Vec<Gap>) {
        self.send(&Report::Commit { items: items.to_vec(), rows, gaps });
    }
}
