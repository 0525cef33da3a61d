//! Work off the window's thread: one named thread for each job, its result as one value back.
use super::command::{BytesAt, LookAt, SaveItem};
use super::file_text::{Encoding, Text};
use super::query::Query;
use super::rows::Rows;
use super::snapshot::Snapshot;
use crate::base::ImageRun;
use crate::case::CaseData;
use crate::judge::Review;
use crate::report;
use crate::session::{self, Examined, ExportWatch, Failure, MountWatch, Plan, Watch, Written};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What the window needs of the session and of the desktop. Every call may block.
pub trait Backend: Send + Sync {
    fn examine(&self, plan: Plan, watch: Arc<Watch>) -> Result<Examined, Failure>;
    fn open_case(&self, path: &Path) -> Result<CaseData, Failure>;
    fn add_review(&self, case: &Path, finding: &str, review: Review) -> Result<(), Failure>;
    /// Judges a saved case again, as `again` says.
    fn judge_again(&self, case: &Path, again: &Again) -> Result<CaseData, Failure>;
    /// Bytes of an image of the plan, by its number.
    fn preview(&self, plan: &Plan, image: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure>;
    /// The first bytes of a file of the evidence, and whether these are all.
    fn look(&self, plan: &Plan, place: &str, most: usize) -> Result<(Vec<u8>, bool), Failure>;
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure>;
    fn save_report(&self, path: &Path, format: &report::Format, data: &CaseData) -> Result<(), Failure>;
    /// Writes files of the evidence into a folder.
    fn export(&self, plan: &Plan, places: &[String], to: &Path, watch: &ExportWatch) -> Result<Written, Failure>;
    /// Makes the folder if nothing is there; `true` if it was made.
    fn make_mount_place(&self, at: &Path) -> Result<bool, Failure>;
    fn remove_mount_place(&self, at: &Path);
    /// Until the watch says stop, or somebody unmounts.
    fn mount(&self, plan: &Plan, at: &Path, watch: &MountWatch) -> Result<(), Failure>;
    /// Programs that use what is mounted there.
    fn mount_users(&self, at: &Path) -> Vec<String>;
    /// Opens and judges all of them, and lays them side by side.
    fn compare(&self, plan: &session::Together) -> Result<crate::compare::Comparison, Failure> {
        session::compare_together(plan)
    }
    /// Asks with the desktop's dialog. `None` is both "cancelled" and "there is no such dialog here".
    fn pick(&self, what: &Pick) -> Option<Vec<PathBuf>> {
        desktop_pick(what)
    }
}

/// The session itself.
pub struct Session;
impl Backend for Session {
    fn examine(&self, plan: Plan, watch: Arc<Watch>) -> Result<Examined, Failure> {
        session::examine(&plan, &watch)
    }
    fn open_case(&self, path: &Path) -> Result<CaseData, Failure> {
        session::open_case(path)
    }
    fn add_review(&self, case: &Path, finding: &str, review: Review) -> Result<(), Failure> {
        session::add_review(case, finding, &review)
    }
    fn judge_again(&self, case: &Path, again: &Again) -> Result<CaseData, Failure> {
        let day = (!again.as_of.is_empty()).then_some(again.as_of.as_str());
        session::judge_again(case, &again.rules, &again.baselines, &again.keys, Some(&again.policy), day)
    }
    fn preview(&self, plan: &Plan, image: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        session::preview(plan, image, offset, len)
    }
    fn look(&self, plan: &Plan, place: &str, most: usize) -> Result<(Vec<u8>, bool), Failure> {
        session::read_start(plan, place, most)
    }
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure> {
        session::save_text(path, text)
    }
    fn save_report(&self, path: &Path, format: &report::Format, data: &CaseData) -> Result<(), Failure> {
        session::save(path, &mut |to| (format.write)(data, to))
    }
    fn export(&self, plan: &Plan, places: &[String], to: &Path, watch: &ExportWatch) -> Result<Written, Failure> {
        session::export(plan, places, to, watch)
    }
    fn make_mount_place(&self, at: &Path) -> Result<bool, Failure> {
        session::make_mount_place(at)
    }
    fn remove_mount_place(&self, at: &Path) {
        session::remove_mount_place(at);
    }
    fn mount(&self, plan: &Plan, at: &Path, watch: &MountWatch) -> Result<(), Failure> {
        session::mount(plan, at, watch)
    }
    fn mount_users(&self, at: &Path) -> Vec<String> {
        session::mount_users(at)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    Images,
    /// A folder as evidence.
    Folder,
    Case,
    Policy,
    Save {
        table: &'static str,
        name: String,
    },
    /// Cases to compare with.
    Compare,
    MountFolder,
    SaveFolder,
    Report {
        name: String,
    },
}

fn desktop_pick(what: &Pick) -> Option<Vec<PathBuf>> {
    let dialog = rfd::FileDialog::new();
    match what {
        Pick::Images => dialog.set_title("Open disk images").pick_files(),
        Pick::Compare => {
            dialog.set_title("Cases to compare with").add_filter("Cranescope case", &["cranecase"]).pick_files()
        }
        Pick::Folder => dialog.set_title("Open a folder as evidence").pick_folders(),
        Pick::MountFolder => dialog.set_title("An empty folder to mount at").pick_folder().map(|p| vec![p]),
        Pick::SaveFolder => dialog.set_title("An empty folder to save into").pick_folder().map(|p| vec![p]),
        Pick::Report { name } => dialog.set_title("Write the report").set_file_name(name).save_file().map(|p| vec![p]),
        Pick::Case => {
            dialog.set_title("Open a case").add_filter("Cranescope case", &["cranecase"]).pick_file().map(|p| vec![p])
        }
        Pick::Policy => {
            dialog.set_title("Choose a delivery policy").add_filter("policy", &["toml"]).pick_file().map(|p| vec![p])
        }
        Pick::Save { name, .. } => dialog.set_title("Export as CSV").set_file_name(name).save_file().map(|p| vec![p]),
    }
}

/// By what a case is judged again: the policy that is chosen now, and what its examination was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    pub policy: PathBuf,
    pub baselines: Vec<PathBuf>,
    /// Public keys of those whose signatures under baselines count.
    pub keys: Vec<PathBuf>,
    pub rules: Vec<PathBuf>,
    /// `YYYY-MM-DD`; empty for today.
    pub as_of: String,
}
impl Again {
    /// As the command of its examination says.
    pub(crate) fn of(policy: PathBuf, command: &[String]) -> Self {
        let values = |option: &str| {
            let joined = format!("{option}=");
            let mut found = Vec::new();
            for (n, word) in command.iter().enumerate() {
                if word == option {
                    found.extend(command.get(n.saturating_add(1)).cloned());
                } else if let Some(value) = word.strip_prefix(&joined) {
                    found.push(value.to_owned());
                }
            }
            found
        };
        let paths = |option: &str| values(option).into_iter().map(PathBuf::from).collect();
        let as_of = values("--as-of").pop().unwrap_or_default();
        Self { policy, baselines: paths("--baseline"), keys: paths("--baseline-key"), rules: paths("--rules"), as_of }
    }
}

/// What a job brought.
pub(crate) enum Done {
    Examined(Result<Examined, Failure>),
    Opened(PathBuf, Result<Arc<CaseData>, Failure>),
    Snapshot(Arc<Snapshot>),
    Ordered(Box<Ordered>),
    Preview(BytesAt, Result<Vec<u8>, Failure>),
    Picked(Pick, Option<Vec<PathBuf>>),
    /// What was written, in words, or why not.
    Saved(Result<String, Failure>),
    /// The case, and what it is judged again.
    Judged(PathBuf, Result<Arc<CaseData>, Failure>),
    /// The finding, and the case with the review in it.
    Reviewed(String, Result<Arc<CaseData>, Failure>),
    Copied(String, usize),
    /// The folder that was made for the mount, and how it ended.
    MountOver(Option<PathBuf>, Result<(), Failure>),
    Users(Vec<String>),
    ToSave(Vec<SaveItem>),
    FilesSaved(Result<Written, Failure>),
    Looked(LookAt, Result<Arc<Looked>, Failure>),
    Decoded(LookAt, Encoding, Arc<Text>),
    Compared(Result<Arc<crate::compare::Comparison>, Failure>),
    /// Row of the matrix, the two cranes, and their lines.
    Contents(usize, (usize, usize), Result<Arc<Vec<super::comparing::Pair>>, String>),
    /// A job ended by a fault of its own.
    Broken(&'static str, String),
}

/// The beginning of a file, and where it lies.
#[derive(Debug, PartialEq)]
pub(crate) struct Looked {
    pub bytes: Vec<u8>,
    /// These are all.
    pub is_whole: bool,
    /// As the file system says it.
    pub size: Option<u64>,
    pub runs: Vec<ImageRun>,
}
impl Looked {
    /// Bytes that are looked at; more are saved.
    pub(crate) const MOST: usize = 1 << 20;
}

pub(crate) struct Ordered {
    pub table: &'static str,
    pub rows: Arc<dyn Rows>,
    pub query: Query,
    pub generation: u64,
    pub order: Vec<u32>,
    pub widths: Vec<super::query::Width>,
    /// Where the row that was under the cursor is now.
    pub cursor: Option<usize>,
}

/// Starts jobs and collects what they bring.
pub(crate) struct Jobs {
    pub backend: Arc<dyn Backend>,
    sender: SyncSender<Done>,
    receiver: Receiver<Done>,
    ctx: egui::Context,
}
impl Jobs {
    pub(crate) fn new(ctx: &egui::Context, backend: Arc<dyn Backend>) -> Self {
        // Bounded: a job that is ahead of the window waits for it.
        let (sender, receiver) = sync_channel(64);
        Self { backend, sender, receiver, ctx: ctx.clone() }
    }
    /// Runs `work` on a thread of this name; `None` brings nothing.
    pub(crate) fn spawn(&self, name: &'static str, work: impl FnOnce() -> Option<Done> + Send + 'static) {
        let (sender, ctx) = (self.sender.clone(), self.ctx.clone());
        let body = move || {
            let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|fault| {
                let text = fault.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| fault.downcast_ref::<String>().cloned());
                Some(Done::Broken(name, text.unwrap_or_else(|| "no message".to_owned())))
            });
            // The window may be gone by now; then nobody waits for the result.
            if done.is_some_and(|done| sender.send(done).is_ok()) {
                ctx.request_repaint();
            }
        };
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
            let _ = self.sender.try_send(Done::Broken(name, error.to_string()));
        }
    }
    pub(crate) fn poll(&self) -> Option<Done> {
        self.receiver.try_recv().ok()
    }
}
