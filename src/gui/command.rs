//! Everything a view can ask for. Views collect commands while they draw; the app applies them after.
use super::access::Access;
use super::file_text::Encoding;
use super::job::Pick;
use crate::base::{Evidence, ImageRun, Name};
use crate::session::Plan;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Shows the form that opens images and cases.
    ShowOpen,
    HideOpen,
    /// Asks the desktop for paths.
    Pick(Pick),
    /// Puts these into the form, or opens them if they are a case.
    Offer(Vec<PathBuf>),
    OpenCase(PathBuf),
    Examine(Box<PlanDraft>),
    Cancel,
    CloseCase,
    View(usize),
    /// A view by its name, with one of its tables.
    Go {
        view: &'static str,
        table: &'static str,
    },
    /// One row of a table of a view.
    ShowRow {
        view: &'static str,
        table: &'static str,
        row: usize,
    },
    /// Shows a finding in its view.
    ShowFinding(String),
    /// Sort, filter or search of this table changed, or there is newer data.
    Query(&'static str),
    Copy(&'static str),
    CopyText(String),
    Export {
        table: &'static str,
        path: PathBuf,
    },
    AddReview {
        finding: String,
        disposition: String,
        note: String,
    },
    /// Judges the case in sight again, by this policy.
    JudgeBy(PathBuf),
    Preview(BytesAt),
    /// Opens a file of the evidence beside everything else.
    Look(Box<LookAt>),
    LookAs(Encoding),
    LookHex(bool),
    CloseLook,
    /// Compares the case in sight with those that were named.
    Compare,
    ComparePick,
    CompareWith(Vec<PathBuf>),
    /// By its place in the list.
    CompareWithout(usize),
    /// Contents of the file behind a row of the matrix, on two cranes.
    CompareContents {
        line: usize,
        pair: (usize, usize),
    },
    /// Drops the comparison and shows its form again.
    CompareAnew,
    /// The examiner's word that this evidence is read though the worker is not confined.
    Unconfined,
    ShowMount(bool),
    Mount,
    /// Files and folders of the evidence are to be written somewhere.
    SaveAs(Vec<SaveItem>),
    /// The chosen rows of a table.
    SaveRows(&'static str),
    HideSave,
    Save,
    CancelSave,
    ShowReport(bool),
    SaveReport {
        /// Position in `report::ALL`.
        format: usize,
        path: PathBuf,
    },
    Leave(Leave),
    /// To what the window asked before it unmounts, closes or goes.
    Answer(bool),
    SetDark(bool),
    /// Paths of the public keys whose signatures under baselines count, one a line.
    BaselineKeys(String),
    Examiner(String),
    Hide {
        table: &'static str,
        column: &'static str,
        hidden: bool,
    },
    /// Widths of a table's columns; none: by what the rows hold.
    Widths {
        table: &'static str,
        widths: BTreeMap<String, f32>,
    },
    Help(bool),
    Dismiss(usize),
    ForgetRecent(Vec<PathBuf>),
}

/// Bytes of an acquired image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BytesAt {
    pub image: u32,
    pub offset: u64,
    pub len: u32,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Unmount,
    CloseCase,
    Exit,
}

/// A file or folder of the evidence that is to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveItem {
    /// As the session takes it: by file system and inode.
    pub place: String,
    /// For people.
    pub name: String,
}

/// A file of the evidence that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct LookAt {
    pub filesystem: u32,
    pub inode: u64,
    pub place: String,
    pub path: Name,
    pub deleted: bool,
    pub runs: Vec<ImageRun>,
}
impl LookAt {
    /// `None` where the evidence lies on no file system.
    pub fn of(e: &Evidence) -> Option<Self> {
        (e.filesystem.0 != u32::MAX && !e.path.is_empty()).then(|| {
            let (fs, inode, path) = (e.filesystem.0, e.node.number, e.path.display());
            let place = if inode == 0 { format!("{fs}:{path}") } else { format!("{fs}:@{inode}:{path}") };
            let (path, deleted, runs) = (e.path.clone(), e.deleted, e.image_runs.clone());
            Self { filesystem: fs, inode, place, path, deleted, runs }
        })
    }
    pub fn item(&self) -> SaveItem {
        SaveItem { place: self.place.clone(), name: self.path.display() }
    }
}

/// The paths that are typed, one a line.
pub(crate) fn paths(text: &str) -> Vec<PathBuf> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(PathBuf::from).collect()
}

/// The form of an examination, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDraft {
    pub images: Vec<PathBuf>,
    pub case: String,
    pub intake: String,
    /// Paths, one a line, in the order in which they are asked.
    pub baseline: String,
    /// Paths of public keys whose signatures under baselines count, one a line.
    pub baseline_keys: String,
    pub policy: String,
    pub overwrite: bool,
    pub hash_image: bool,
    pub second_reader: bool,
    /// The case holds keys, passwords and PINs as they are.
    pub show_secrets: bool,
    pub access: Access,
    pub examiner: String,
}
impl PlanDraft {
    pub fn plan(&self) -> Plan {
        let path = |text: &str| (!text.trim().is_empty()).then(|| PathBuf::from(text.trim()));
        Plan {
            images: self.images.clone(),
            case: path(&self.case),
            overwrite: self.overwrite,
            intake: path(&self.intake),
            baselines: paths(&self.baseline),
            baseline_keys: paths(&self.baseline_keys),
            policy: path(&self.policy),
            hash_image: self.hash_image,
            second_reader: self.second_reader,
            show_secrets: self.show_secrets,
            examiner: self.examiner.trim().to_owned(),
            command: self.command(),
            ..self.access.plan(Vec::new())
        }
    }

    /// The window, and the options that the same would need on the command line.
    fn command(&self) -> Vec<String> {
        let mut words = vec!["cranescope".to_owned()];
        words.extend(self.images.iter().map(|i| i.to_string_lossy().into_owned()));
        for (option, value) in [
            ("--intake", &self.intake),
            ("--baseline", &self.baseline),
            ("--baseline-key", &self.baseline_keys),
            ("--policy", &self.policy),
        ] {
            for path in paths(value) {
                words.extend([option.to_owned(), path.to_string_lossy().into_owned()]);
            }
        }
        let switches = [
            ("--hash-image", self.hash_image),
            ("--second-reader", self.second_reader),
            ("--show-secrets", self.show_secrets),
        ];
        words.extend(switches.iter().filter(|(_, on)| *on).map(|(option, _)| (*option).to_owned()));
        words.extend(self.access.options());
        words
    }
}
