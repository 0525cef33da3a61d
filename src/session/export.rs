//! Files of the evidence written into a folder, with a manifest that says what each of them was: original bytes of
//! names, metadata, hashes, where the bytes lie in the images, and what could not be read. Links and special files
//! are lines of the manifest; nothing of them is made.
use super::beneath::{Beneath, set_times};
use super::evidence_of::open_planned;
use super::open::shown;
use super::safe_name::safe;
use super::supervisor::{Next, Worker, accept, specs};
use super::{Failure, Plan};
use crate::base::{Name, PieceKind, Time, is_zero};
use crate::inventory::Scene;
use crate::worker::protocol::{Exported, Job, Order, Report};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where files stand in the folder, and the manifest's name.
const FILES: &str = "files";
const MANIFEST: &str = "manifest.json";
/// After so many dead workers the rest is not worth another one.
const MAX_DEATHS: u32 = 200;

/// What an export came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files written, whole or with gaps.
    pub files: u64,
    pub bytes: u64,
    /// Entries of the manifest of which something could not be read.
    pub unread: u64,
    /// The first of them: the path, escaped, and what could not be read.
    pub failures: Vec<(String, String)>,
    /// Where all of this stands.
    pub manifest: PathBuf,
}

/// Entries that could not be read whole and are told by name; the manifest names all.
const MAX_FAILURES: usize = 100;

/// Shared by an export and whoever watches it.
#[derive(Default)]
pub struct ExportWatch {
    files: AtomicU64,
    bytes: AtomicU64,
    cancelled: AtomicBool,
    wake: Option<Box<dyn Fn() + Send + Sync>>,
}
impl ExportWatch {
    /// `wake` is called whenever there is something new to show; it must be cheap.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { wake: Some(Box::new(wake)), ..Self::default() }
    }
    /// Files written so far, and bytes.
    pub fn progress(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
    fn count(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.wake.iter().for_each(|wake| wake());
    }
}

/// Writes what lies at and below `places` into an empty folder (made if it is not there).
///
/// # Errors
/// [`Failure`]; code 5 where it was cancelled: what was written so far then has its manifest all the same.
pub fn export(plan: &Plan, places: &[String], to: &Path, watch: &ExportWatch) -> Result<Written, Failure> {
    let images = open_planned(plan)?;
    let keys = super::keys::read(&plan.keys)?;
    let mut out = Out::new(to)?;
    let mut deaths = 0_u32;
    loop {
        let order = Order {
            images: specs(&images),
            threads: 1,
            replay_journal: true,
            keys: keys.clone(),
            nand: plan.nand,
            unconfined: plan.no_sandbox,
            scratch: plan.scratch.most(),
            job: Job::Export { places: places.to_vec(), skip: out.told },
        };
        let mut worker = Worker::start(plan, &images, &order)?;
        let before = out.told;
        let why = loop {
            if watch.is_cancelled() {
                return Err(out.cancelled());
            }
            match worker.next(&|| watch.is_cancelled()) {
                Next::Report(Report::Confined(how)) => accept(&how, order.unconfined)?,
                Next::Report(Report::Scene(scene)) => out.scene = *scene,
                Next::Report(Report::Entry(entry)) => out.begin(*entry)?,
                Next::Report(Report::Bytes(bytes)) => {
                    out.write(&bytes)?;
                    watch.count(0, bytes.len() as u64);
                }
                Next::Report(Report::EntryEnd { gaps }) => {
                    let before = out.written.files;
                    out.end(&gaps)?;
                    watch.count(out.written.files.saturating_sub(before), 0);
                }
                Next::Report(Report::Finished) => return out.finish(),
                Next::Report(Report::Failed { what }) => return Err(Failure::evidence(what)),
                Next::Report(_) => {}
                Next::Dead(why) => break why,
                Next::Cancelled => return Err(out.cancelled()),
            }
        };
        deaths = deaths.saturating_add(1);
        if !out.is_open() && out.told == before || deaths > MAX_DEATHS {
            return Err(Failure::evidence(format!("the worker died: {why}; what was written so far has no manifest")));
        }
        if out.is_open() {
            out.end(&[(0, 0, format!("the worker died over it ({why}); the content is cut short"))])?;
        }
    }
}

/// The file that is being written.
struct Open {
    entry: Exported,
    file: Option<(File, String)>,
    hash: Sha256,
    len: u64,
}

struct Out {
    folder: Beneath,
    files: Beneath,
    manifest: BufWriter<File>,
    scene: Scene,
    /// Entries that were told, whole or not.
    told: u64,
    open: Option<Open>,
    /// Times of folders, set when nothing is written into them any more: the deepest first.
    folders: BTreeMap<Vec<String>, (Option<Time>, Option<Time>)>,
    written: Written,
    shown: String,
    manifest_at: PathBuf,
}

impl Out {
    fn new(to: &Path) -> Result<Self, Failure> {
        let name = shown(to);
        let fail = |e: &io::Error| Failure::environment(format!("{name}: {e}; choose another folder"));
        match std::fs::create_dir(to) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(fail(&e)),
            _ => {}
        }
        if std::fs::read_dir(to).map_err(|e| fail(&e))?.next().is_some() {
            return Err(Failure::usage(format!("{name}: the folder is not empty; nothing in it is overwritten")));
        }
        let folder = Beneath::open(to).map_err(|e| fail(&e))?;
        let files = folder.folder(FILES).map_err(|e| fail(&e))?;
        let (manifest, _) = folder.file(MANIFEST).map_err(|e| fail(&e))?;
        let mut out = Self {
            folder,
            files,
            manifest: BufWriter::new(manifest),
            scene: Scene::default(),
            told: 0,
            open: None,
            folders: BTreeMap::new(),
            written: Written::default(),
            shown: name,
            manifest_at: to.join(MANIFEST),
        };
        let head = json!({"name": "cranescope", "version": env!("CARGO_PKG_VERSION")});
        out.line(&format!("{{\"schema\":\"cranescope-export/1\",\"tool\":{head},\"entries\":["))?;
        Ok(out)
    }
    fn fail(&self, e: &io::Error) -> Failure {
        Failure::environment(format!("{}: {e}; the export is not whole", self.shown))
    }
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.manifest.write_all(text.as_bytes()).map_err(|e| self.fail(&e))
    }
    fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn begin(&mut self, entry: Exported) -> Result<(), Failure> {
        let names = names(&entry.path);
        let file = match names.split_last() {
            _ if entry.kind == "directory" => {
                self.files.folders(names.iter().map(String::as_str)).map_err(|e| self.fail(&e))?;
                self.folders.insert(names, (entry.accessed, entry.modified));
                None
            }
            Some((name, above)) if entry.has_content => {
                // A deleted folder's name may be a file's as well: what it held then stands beside it.
                let made = self.files.folders(above.iter().map(String::as_str)).and_then(|f| f.file(name));
                let made = made.or_else(|e| match e.kind() {
                    io::ErrorKind::NotADirectory => self.folder.folder("beside")?.file(name),
                    _ => Err(e),
                });
                Some(made.map_err(|e| self.fail(&e))?)
            }
            _ => None,
        };
        self.open = Some(Open { entry, file, hash: Sha256::new(), len: 0 });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(open) = &mut self.open else { return Err(Failure::evidence("the worker sent bytes of no file")) };
        open.hash.update(bytes);
        open.len = open.len.saturating_add(bytes.len() as u64);
        let Some((file, _)) = &mut open.file else { return Ok(()) };
        // Holes stay holes.
        let done = if is_zero(bytes) {
            i64::try_from(bytes.len()).map_err(io::Error::other).and_then(|n| file.seek(SeekFrom::Current(n))).map(drop)
        } else {
            file.write_all(bytes)
        };
        done.map_err(|e| self.fail(&e))
    }

    fn end(&mut self, gaps: &[(u64, u64, String)]) -> Result<(), Failure> {
        let Some(open) = self.open.take() else { return Err(Failure::evidence("the worker ended no file")) };
        let Open { entry, file, hash, len } = open;
        let mut names = names(&entry.path);
        let mut is_written = false;
        if let Some((file, name)) = file {
            file.set_len(len).map_err(|e| self.fail(&e))?;
            let time = |t: Option<Time>| t.map(|t| (t.seconds, t.nanos));
            if let Some(modified) = time(entry.modified).or(time(entry.accessed)) {
                // A time that this file system cannot hold stands in the manifest.
                drop(set_times(&file, time(entry.accessed).unwrap_or(modified), modified));
            }
            if let Some(last) = names.last_mut() {
                *last = name;
            }
            is_written = true;
            self.written.files = self.written.files.saturating_add(1);
            self.written.bytes = self.written.bytes.saturating_add(len);
        }
        self.written.unread = self.written.unread.saturating_add(u64::from(!gaps.is_empty()));
        if let Some((_, _, what)) = gaps.first().filter(|_| self.written.failures.len() < MAX_FAILURES) {
            self.written.failures.push((entry.path.display(), what.clone()));
        }
        let written_as = is_written.then(|| format!("{FILES}/{}", names.join("/")));
        let digest = is_written.then(|| crate::base::hex(&hash.finalize()));
        let line = described(&entry, &self.scene, written_as.as_deref(), digest.as_deref(), len, gaps);
        let comma = if self.told > 0 { ",\n" } else { "\n" };
        self.told = self.told.saturating_add(1);
        self.line(&format!("{comma}{line}"))
    }

    /// Ends what was begun, so that the manifest is whole as far as it goes.
    fn cancelled(mut self) -> Failure {
        if self.is_open()
            && let Err(failure) = self.end(&[(0, 0, "cancelled: the content is cut short".to_owned())])
        {
            return failure;
        }
        let (shown, Written { files, bytes, .. }) = (self.shown.clone(), self.written.clone());
        match self.finish() {
            Ok(_) => Failure::new(
                5,
                format!("cancelled; {files} files, {bytes} bytes are in {shown}, and {MANIFEST} there names them"),
            ),
            Err(failure) => failure,
        }
    }

    fn finish(mut self) -> Result<Written, Failure> {
        for (names, (accessed, modified)) in self.folders.iter().rev() {
            let time = |t: &Option<Time>| t.map(|t| (t.seconds, t.nanos));
            if let Some(modified) = time(modified)
                && let Ok(folder) = self.files.folders(names.iter().map(String::as_str))
            {
                drop(folder.set_times(time(accessed).unwrap_or(modified), modified));
            }
        }
        self.line("\n]}\n")?;
        self.manifest.flush().map_err(|e| self.fail(&e))?;
        Ok(Written { manifest: self.manifest_at, ..self.written })
    }
}

/// The components of a path, each as a name that can be written anywhere.
fn names(path: &Name) -> Vec<String> {
    path.bytes().split(|b| *b == b'/').filter(|n| !n.is_empty()).map(safe).collect()
}

fn described(
    entry: &Exported,
    scene: &Scene,
    written_as: Option<&str>,
    sha256: Option<&str>,
    len: u64,
    gaps: &[(u64, u64, String)],
) -> Value {
    let time = |t: Option<Time>| t.map(|t| t.to_string());
    let raw = |n: &Name| STANDARD.encode(n.bytes());
    let kind = |k: PieceKind| match k {
        PieceKind::Stored => "stored",
        PieceKind::Hole => "hole",
        PieceKind::Decoded => "decoded",
        PieceKind::Absent => "absent",
    };
    let image = |n: u32| scene.images.get(n as usize).map_or("", |i| i.id.as_str());
    let runs = entry.image_runs.iter().map(|r| {
        let place = r.kind.has_place().then(|| (image(r.image), r.offset));
        let (image, offset) = (place.map(|p| p.0), place.map(|p| p.1));
        json!({"image": image, "file_offset": r.file_offset, "offset": offset, "length": r.len, "kind": kind(r.kind)})
    });
    let xattrs = entry
        .xattrs
        .iter()
        .map(|(name, value)| json!({"name": name.display(), "name_bytes": raw(name), "value": STANDARD.encode(value)}));
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| drop(line.insert(key.to_owned(), value));
    put("path", json!(entry.path.display()));
    put("path_bytes", json!(raw(&entry.path)));
    put("written_as", json!(written_as));
    put("kind", json!(entry.kind));
    put("deleted", json!(entry.deleted));
    let filesystem = scene.filesystems.get(entry.filesystem.0 as usize).map(|f| f.id.as_str());
    put("filesystem", json!(filesystem));
    put("inode", json!(entry.node.number));
    put("size", json!(entry.size));
    put("written", json!(written_as.map(|_| len)));
    put("sha256", json!(sha256));
    put("mode", json!(format!("{:04o}", entry.mode)));
    put("uid", json!(entry.uid));
    put("gid", json!(entry.gid));
    put("links", json!(entry.links));
    put("modified", json!(time(entry.modified)));
    put("accessed", json!(time(entry.accessed)));
    put("changed", json!(time(entry.changed)));
    put("created", json!(time(entry.created)));
    put("device", json!(entry.device));
    put("target", json!(entry.target.as_ref().map(Name::display)));
    put("target_bytes", json!(entry.target.as_ref().map(raw)));
    put("xattrs", Value::Array(xattrs.collect()));
    put("image_runs", Value::Array(runs.collect()));
    let gaps = gaps.iter().map(|(at, len, what)| json!({"file_offset": at, "length": len, "what": what}));
    put("gaps", Value::Array(gaps.collect()));
    Value::Object(line)
}
