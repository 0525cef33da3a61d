//! Work off the window's thread: one named thread for each job, its result as one value back.
use super::command::BytesAt;
use super::query::Query;
use super::rows::Rows;
use super::snapshot::Snapshot;
use crate::case::CaseData;
use crate::judge::Review;
use crate::session::{self, Examined, Failure, Plan, Watch};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What the window needs of the session and of the desktop. Every call may block.
pub trait Backend: Send + Sync {
    fn examine(&self, plan: Plan, watch: Arc<Watch>) -> Result<Examined, Failure>;
    fn open_case(&self, path: &Path) -> Result<CaseData, Failure>;
    fn add_review(&self, case: &Path, finding: &str, review: Review) -> Result<(), Failure>;
    /// Bytes of image number `image` of `images`.
    fn preview(&self, images: &[PathBuf], image: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure>;
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure>;
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
    fn preview(&self, images: &[PathBuf], image: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        session::preview(&session::looking_at(images.to_vec()), image, offset, len)
    }
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure> {
        session::save_text(path, text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    Images,
    Case,
    Save { table: &'static str, name: String },
}

fn desktop_pick(what: &Pick) -> Option<Vec<PathBuf>> {
    let dialog = rfd::FileDialog::new();
    match what {
        Pick::Images => dialog.set_title("Open disk images").pick_files(),
        Pick::Case => {
            dialog.set_title("Open a case").add_filter("Cranescope case", &["cranecase"]).pick_file().map(|p| vec![p])
        }
        Pick::Save { name, .. } => dialog.set_title("Export as CSV").set_file_name(name).save_file().map(|p| vec![p]),
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
    /// The finding, and the case with the review in it.
    Reviewed(String, Result<Arc<CaseData>, Failure>),
    Copied(String, usize),
    /// A job ended by a fault of its own.
    Broken(&'static str, String),
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
