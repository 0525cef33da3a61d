//! Everything a view can ask for. Views collect commands while they draw; the app applies them after.
use crate::session::Plan;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Shows the form that opens images and cases.
    ShowOpen,
    HideOpen,
    /// Asks the desktop for paths.
    PickImages,
    PickCase,
    PickSave {
        table: &'static str,
    },
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
    Preview(BytesAt),
    SetDark(bool),
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

/// The form of an examination, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDraft {
    pub images: Vec<PathBuf>,
    pub case: String,
    pub intake: String,
    pub baseline: String,
    pub overwrite: bool,
    pub hash_image: bool,
    pub second_reader: bool,
    /// The examiner's word that the worker may go on unconfined.
    pub no_sandbox: bool,
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
            baselines: path(&self.baseline).into_iter().collect(),
            hash_image: self.hash_image,
            second_reader: self.second_reader,
            no_sandbox: self.no_sandbox,
            examiner: self.examiner.trim().to_owned(),
            command: std::iter::once("cranescope".to_owned())
                .chain(self.images.iter().map(|i| i.to_string_lossy().into_owned()))
                .collect(),
            ..Plan::default()
        }
    }
}
