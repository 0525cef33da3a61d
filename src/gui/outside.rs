//! What leaves the window: the evidence mounted for other tools, files saved from it, reports written, a file looked
//! at; and the way out itself, which leaves nothing mounted and nothing running behind.
use super::access::Access;
use super::app::App;
use super::command::{Leave, LookAt, SaveItem};
use super::file_text::{self, Encoding, Text};
use super::job::{Done, Looked, Pick};
use crate::base::FsId;
use crate::session::{ExportWatch, Failure, MountWatch, Phase, Written};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files that are named one by one in one go; more are taken by their folder.
pub(crate) const MOST_ITEMS: usize = 2000;

/// A mount, or the form for one.
#[derive(Default)]
pub(crate) struct Mounting {
    pub shown: bool,
    /// The folder, as typed.
    pub at: String,
    pub watch: Option<Arc<MountWatch>>,
}
impl Mounting {
    pub(crate) fn is_on(&self) -> bool {
        self.watch.is_some()
    }
    /// Where other tools find the evidence.
    pub(crate) fn place(&self) -> Option<PathBuf> {
        match self.watch.as_ref()?.phase() {
            Phase::Mounted(at) => Some(at),
            Phase::Reading | Phase::Over => None,
        }
    }
}

/// Files on their way out of the evidence.
#[derive(Default)]
pub(crate) struct Saving {
    pub shown: bool,
    pub items: Vec<SaveItem>,
    pub to: String,
    pub watch: Option<Arc<ExportWatch>>,
    pub ended: Option<Result<Written, Failure>>,
}

/// A report to be written.
#[derive(Default)]
pub(crate) struct Reporting {
    pub shown: bool,
    pub format: usize,
    pub path: String,
}

/// A file that is looked at.
pub(crate) struct Looking {
    pub at: LookAt,
    pub content: Option<Result<Arc<Looked>, Failure>>,
    pub as_hex: bool,
    pub encoding: Encoding,
    pub text: Option<(Encoding, Arc<Text>)>,
    asked: Option<Encoding>,
}

/// Why the window waits before it closes, unmounts or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Something runs that would be cancelled.
    Running,
    /// These programs use the mount.
    Users(Vec<String>),
}
#[derive(Default)]
pub(crate) struct Leaving {
    pub what: Option<Leave>,
    pub ask: Option<Ask>,
    /// The answers so far.
    cancel: bool,
    unmount: bool,
    looking_for_users: bool,
    may_exit: bool,
}

#[derive(Default)]
pub(crate) struct Outside {
    pub access: Access,
    pub mounting: Mounting,
    pub saving: Saving,
    pub reporting: Reporting,
    pub looking: Option<Looking>,
    pub leaving: Leaving,
}

/// What the status line says beside everything else.
pub(crate) enum Beside {
    Mounted(PathBuf),
    Mounting,
    Saving(u64, u64),
}

impl Outside {
    pub(crate) fn beside(&self) -> Option<Beside> {
        if let Some(watch) = &self.saving.watch {
            let (files, bytes) = watch.progress();
            return Some(Beside::Saving(files, bytes));
        }
        self.mounting.is_on().then(|| self.mounting.place().map_or(Beside::Mounting, Beside::Mounted))
    }
    /// Something is waited for that comes by itself.
    pub(crate) fn is_busy(&self) -> bool {
        let reading = self.mounting.is_on() && self.mounting.place().is_none();
        let looking = self.looking.as_ref().is_some_and(|l| {
            l.content.is_none() || matches!(l.content, Some(Ok(_))) && l.text.as_ref().map(|t| t.0) != Some(l.encoding)
        });
        reading || looking || self.saving.watch.is_some() || self.leaving.looking_for_users
    }
}

impl App {
    /// The images of the case in sight.
    pub(super) fn images(&self) -> Vec<PathBuf> {
        let images = self.snapshot.iter().flat_map(|s| &s.data.scene.images);
        images.map(|i| PathBuf::from(&i.path)).collect()
    }
    /// A plan that looks at the evidence of the case in sight, wherever it lies now.
    pub(super) fn looking(&self) -> crate::session::Plan {
        let of_case = self.case.clone().filter(|_| self.run.is_none());
        crate::session::Plan { of_case, ..self.outside.access.plan(self.images()) }
    }

    pub(super) fn show_mount(&mut self, shown: bool) {
        self.outside.mounting.shown = shown && self.snapshot.is_some();
        if self.outside.mounting.at.is_empty() {
            let at = crate::session::default_mount_place();
            self.outside.mounting.at = at.to_string_lossy().into_owned();
        }
    }

    pub(super) fn mount(&mut self) {
        if self.outside.mounting.is_on() || self.snapshot.is_none() {
            return;
        }
        let at = PathBuf::from(self.outside.mounting.at.trim());
        let ctx = self.ctx.clone();
        let watch = Arc::new(MountWatch::new(move || ctx.request_repaint()));
        let (plan, backend) = (self.looking(), self.jobs.backend.clone());
        self.outside.mounting.watch = Some(watch.clone());
        self.jobs.spawn("mount", move || {
            let made = match backend.make_mount_place(&at) {
                Ok(made) => made.then(|| at.clone()),
                Err(failure) => return Some(Done::MountOver(None, Err(failure))),
            };
            let outcome = backend.mount(&plan, &at, &watch);
            Some(Done::MountOver(made, outcome))
        });
    }

    pub(super) fn mount_over(&mut self, made: Option<&Path>, outcome: Result<(), Failure>) {
        if let Some(made) = made {
            self.jobs.backend.remove_mount_place(made);
        }
        let asked = self.outside.mounting.watch.take().is_some_and(|w| w.is_stopped());
        self.outside.leaving.unmount = false;
        match outcome {
            Ok(()) if asked => self.done("The evidence is unmounted."),
            // Somebody else did it: by umount, or by fusermount3 -u.
            Ok(()) => self.done("The evidence was unmounted from outside this window."),
            Err(failure) => {
                self.unconfined(&failure);
                self.error(failure.message);
                self.outside.mounting.shown = self.snapshot.is_some();
            }
        }
    }

    /// The examiner is asked where the machine cannot confine the worker.
    fn unconfined(&mut self, failure: &Failure) {
        if failure.is_unconfined {
            self.form.unconfined = Some(failure.message.clone());
        }
    }

    pub(super) fn save_as(&mut self, mut items: Vec<SaveItem>) {
        if self.outside.saving.watch.is_some() {
            self.outside.saving.shown = true;
            if !items.is_empty() {
                self.error("Files are being saved. Wait until that is done, or cancel it.");
            }
            return;
        }
        items.dedup();
        if items.len() > MOST_ITEMS {
            self.error(format!(
                "{} entries are chosen; up to {MOST_ITEMS} are saved in one go. Choose the folder they lie in instead.",
                items.len()
            ));
            return;
        }
        if items.is_empty() {
            self.error("These rows name no file of the evidence.");
            return;
        }
        let saving = &mut self.outside.saving;
        (saving.items, saving.shown, saving.ended) = (items, true, None);
        if saving.to.trim().is_empty() {
            let here = std::env::current_dir().unwrap_or_default();
            saving.to = here.join("saved-files").to_string_lossy().into_owned();
        }
    }

    pub(super) fn save(&mut self) {
        if self.outside.saving.watch.is_some() || self.snapshot.is_none() {
            return;
        }
        let ctx = self.ctx.clone();
        let watch = Arc::new(ExportWatch::new(move || ctx.request_repaint_after(Duration::from_millis(60))));
        let places: Vec<String> = self.outside.saving.items.iter().map(|i| i.place.clone()).collect();
        let to = PathBuf::from(self.outside.saving.to.trim());
        let (plan, backend) = (self.looking(), self.jobs.backend.clone());
        self.outside.saving.watch = Some(watch.clone());
        self.outside.saving.ended = None;
        self.jobs.spawn("save-files", move || Some(Done::FilesSaved(backend.export(&plan, &places, &to, &watch))));
    }

    pub(super) fn files_saved(&mut self, ended: Result<Written, Failure>) {
        self.outside.saving.watch = None;
        match &ended {
            Ok(w) if !self.outside.saving.shown => self.done(format!(
                "{} written, {} not read whole; {} names them.",
                super::widgets::plural(usize::try_from(w.files).unwrap_or(usize::MAX), "file was", "files were"),
                w.unread,
                w.manifest.to_string_lossy()
            )),
            Ok(_) => {}
            Err(failure) if failure.code == 5 => self.done(failure.message.clone()),
            Err(failure) => {
                self.unconfined(&failure.clone());
                self.error(failure.message.clone());
            }
        }
        self.outside.saving.ended = Some(ended);
    }

    pub(super) fn show_report(&mut self, shown: bool) {
        let reporting = &mut self.outside.reporting;
        reporting.shown = shown && self.snapshot.is_some();
        if reporting.path.is_empty() {
            let case = self.case.clone().unwrap_or_else(|| PathBuf::from("report"));
            let name = case.with_extension("html");
            let here = std::env::current_dir().unwrap_or_default();
            // Beside the case where there is one.
            reporting.path = here.join(name).to_string_lossy().into_owned();
        }
    }

    pub(super) fn save_report(&mut self, format: usize, path: PathBuf) {
        let (Some(snapshot), Some(format)) = (&self.snapshot, crate::report::ALL.get(format)) else { return };
        self.outside.reporting.shown = false;
        let (backend, data) = (self.jobs.backend.clone(), snapshot.data.clone());
        self.jobs.spawn("report", move || {
            let saved = backend.save_report(&path, format, &data);
            Some(Done::Saved(saved.map(|()| format!("The report was written to {}", path.to_string_lossy()))))
        });
    }

    pub(super) fn look(&mut self, at: LookAt) {
        let Some(snapshot) = &self.snapshot else { return };
        let (data, backend) = (snapshot.data.clone(), self.jobs.backend.clone());
        let plan = self.looking();
        self.outside.looking = Some(Looking {
            at: at.clone(),
            content: None,
            as_hex: false,
            encoding: Encoding::default(),
            text: None,
            asked: None,
        });
        self.jobs.spawn("look", move || {
            let found = backend.look(&plan, &at.place, Looked::MOST).map(|(bytes, is_whole)| {
                // Where all of it lies; the row that led here may name a part only.
                let same = |f: &&crate::inventory::File| {
                    f.evidence.filesystem == FsId(at.filesystem)
                        && f.evidence.node.number == at.inode
                        && f.deleted == at.deleted
                };
                let file = data.inventory.files.iter().find(same);
                let runs = file.map_or(at.runs.as_slice(), |f| f.evidence.image_runs.as_slice()).to_vec();
                Arc::new(Looked { bytes, is_whole, size: file.map(|f| f.size), runs })
            });
            Some(Done::Looked(at, found))
        });
    }

    pub(super) fn looked(&mut self, at: &LookAt, found: Result<Arc<Looked>, Failure>) {
        let Some(looking) = self.outside.looking.as_mut().filter(|l| l.at == *at) else { return };
        if let Ok(looked) = &found {
            looking.encoding = Encoding::guess(&looked.bytes);
            // Bytes that are no text in any encoding are looked at as bytes.
            let head = looked.bytes.get(..looked.bytes.len().min(4096)).unwrap_or_default();
            let utf16 = matches!(looking.encoding, Encoding::Utf16Le | Encoding::Utf16Be);
            looking.as_hex = head.contains(&0) && !utf16;
        }
        looking.content = Some(found);
        self.decode();
    }

    /// Makes the text in the chosen encoding, once.
    pub(super) fn decode(&mut self) {
        let Some(looking) = &mut self.outside.looking else { return };
        let Some(Ok(content)) = &looking.content else { return };
        let encoding = looking.encoding;
        if looking.asked == Some(encoding) {
            return;
        }
        looking.asked = Some(encoding);
        let (content, at) = (content.clone(), looking.at.clone());
        self.jobs.spawn("decode", move || {
            Some(Done::Decoded(at, encoding, Arc::new(file_text::text(&content.bytes, encoding))))
        });
    }

    pub(super) fn decoded(&mut self, at: &LookAt, encoding: Encoding, text: Arc<Text>) {
        if let Some(looking) = self.outside.looking.as_mut().filter(|l| l.at == *at && l.encoding == encoding) {
            looking.text = Some((encoding, text));
        }
    }

    /// The examiner's word that this evidence is read though the worker is not confined; what failed is read again.
    pub(super) fn allow_unconfined(&mut self) {
        self.outside.access.no_sandbox = true;
        self.previews.clear();
        if let Some(at) = self.outside.looking.take().map(|l| l.at) {
            self.look(at);
        }
    }

    pub(super) fn pick_folder_for(&mut self, what: &Pick, path: &Path) {
        let path = path.to_string_lossy().into_owned();
        match what {
            Pick::MountFolder => self.outside.mounting.at = path,
            Pick::SaveFolder => self.outside.saving.to = path,
            _ => self.outside.reporting.path = path,
        }
    }

    /// Whether something would be cut off or left behind.
    fn is_held(&self) -> bool {
        self.run.is_some() || self.outside.mounting.is_on() || self.outside.saving.watch.is_some()
    }

    /// The window is to be closed: what runs and what is mounted comes first.
    pub(super) fn follow_exit(&mut self) {
        let asked = self.ctx.input(|i| i.viewport().close_requested());
        if asked && !self.outside.leaving.may_exit && self.is_held() {
            self.ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.leave(Leave::Exit);
        }
        self.go_on_leaving();
    }

    pub(super) fn leave(&mut self, what: Leave) {
        self.outside.leaving = Leaving { what: Some(what), ..Leaving::default() };
        self.go_on_leaving();
    }

    pub(super) fn answer_leaving(&mut self, yes: bool) {
        let leaving = &mut self.outside.leaving;
        match (yes, leaving.ask.take()) {
            (false, _) => *leaving = Leaving::default(),
            (true, Some(Ask::Running)) => leaving.cancel = true,
            (true, Some(Ask::Users(_))) => leaving.unmount = true,
            (true, None) => {}
        }
        self.go_on_leaving();
    }

    pub(super) fn users_found(&mut self, users: Vec<String>) {
        let leaving = &mut self.outside.leaving;
        leaving.looking_for_users = false;
        if leaving.what.is_none() {
            return;
        }
        if users.is_empty() {
            leaving.unmount = true;
        } else {
            leaving.ask = Some(Ask::Users(users));
        }
        self.go_on_leaving();
    }

    /// One step further; each waits until what it asked for is done.
    fn go_on_leaving(&mut self) {
        let Some(what) = self.outside.leaving.what else { return };
        if self.outside.leaving.ask.is_some() {
            return;
        }
        self.ctx.request_repaint_after(Duration::from_millis(100));
        let runs = self.run.is_some() || self.outside.saving.watch.is_some();
        if what != Leave::Unmount && runs {
            if !self.outside.leaving.cancel {
                self.outside.leaving.ask = Some(Ask::Running);
                return;
            }
            if let Some(run) = &mut self.run {
                run.cancelling = true;
                run.watch.cancel();
            }
            self.outside.saving.watch.iter().for_each(|w| w.cancel());
            return;
        }
        if let Some(watch) = &self.outside.mounting.watch {
            if self.outside.leaving.unmount || watch.phase() == Phase::Reading {
                watch.unmount();
            } else if !self.outside.leaving.looking_for_users
                && let Phase::Mounted(at) = watch.phase()
            {
                self.outside.leaving.looking_for_users = true;
                let backend = self.jobs.backend.clone();
                self.jobs.spawn("mount-users", move || Some(Done::Users(backend.mount_users(&at))));
            }
            return;
        }
        self.outside.leaving = Leaving { may_exit: what == Leave::Exit, ..Leaving::default() };
        match what {
            Leave::Unmount => {}
            Leave::CloseCase => self.close(),
            Leave::Exit => self.ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }
}
