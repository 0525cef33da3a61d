//! The parent's pipeline: starts workers, takes rows, judges at phase ends, writes the case.
//! Window and command line are two faces over this one.
mod attributes;
mod baselines;
mod beneath;
mod changed;
mod content_rules;
mod evidence_of;
mod examine;
mod export;
mod folder;
mod gap_ledger;
mod imager_log;
mod intake;
mod kernel;
mod keys;
mod look;
mod mount;
mod mount_place;
mod open;
mod packages;
mod policy;
mod process;
mod resume;
mod rows;
mod safe_name;
mod saved;
mod scratch;
mod secret_file;
mod siblings;
mod supervisor;
mod together;
mod verify;
mod waits;
mod watch;

pub use crate::base::Stage;
pub use crate::worker::protocol::{FormatInfo, Listed};
pub use baselines::import_lists;
pub use examine::{Report, examine, examine_and, load_knowledge};
pub use export::{ExportWatch, Written, export};
pub use intake::Intake;
pub use look::{examine_text, formats, list, looking_at, preview, read, read_start};
pub use mount::{MountWatch, Phase, mount};
pub use mount_place::{default_mount_place, make_mount_place, mount_users, remove_mount_place};
pub use open::{OpenedImage, OpenedSegment, open_all, open_evidence};
pub use packages::{BuiltPackages, build_from_packages, packages_of};
pub use policy::{draft_policy, load_policy};
pub use saved::{add_review, allowed, is_case, judge_again, open_case, open_or_examine, save, save_text};
pub use scratch::Scratch;
pub use secret_file::save_secret;
pub use together::{Together, bring_together, compare_together, load_variation};
pub use verify::{Verified, verify};
pub use watch::{Status, Watch};

use crate::case::CaseData;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What to examine, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// First segment of each image.
    pub images: Vec<PathBuf>,
    /// The case to write; by default the first image's name with `.cranecase`, in the current directory.
    pub case: Option<PathBuf>,
    pub overwrite: bool,
    /// For looks, exports and mounts: the case whose evidence these images must be; they are also looked for beside it.
    pub of_case: Option<PathBuf>,
    pub intake: Option<PathBuf>,
    pub baselines: Vec<PathBuf>,
    /// Public keys of those whose signatures under baselines count.
    pub baseline_keys: Vec<PathBuf>,
    /// The delivery policy (TOML) by which is judged.
    pub policy: Option<PathBuf>,
    /// Further folders of rules.
    pub rules: Vec<PathBuf>,
    pub hash_image: bool,
    pub second_reader: bool,
    /// Hashes of all contents beside SHA-256, and beside those that the baselines need.
    pub hashes: crate::base::MoreHashes,
    /// The case holds secrets of the configuration as they are; otherwise they are masked.
    pub show_secrets: bool,
    /// What opens encrypted volumes: the volume's id or UUID, and the file that holds passphrase or key.
    pub keys: Vec<(String, PathBuf)>,
    /// The images are dumps of NAND flash, pages and spare areas of this shape.
    pub nand: Option<crate::base::Nand>,
    /// `YYYY-MM-DD`: the day against which validity is judged; by default today.
    pub as_of: Option<String>,
    /// 0: as many as there are processors.
    pub threads: usize,
    pub examiner: String,
    /// Go on where the kernel lacks a part of the worker's confinement.
    pub no_sandbox: bool,
    /// The program to run as the worker; by default this very binary.
    pub worker: Option<PathBuf>,
    /// As typed, for the report's `run`.
    pub command: Vec<String>,
    pub limits: Limits,
    /// Where what is decoded may lie meanwhile.
    pub scratch: Scratch,
}

/// What the workers of one examination may cost their parent. They are not trusted: without an end to what is taken
/// from them, one that an image took over could fill the parent's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A worker that says nothing for this long is ended.
    pub silence: Duration,
    /// Rows, gaps and items together.
    pub entries: u64,
    /// Bytes of all messages.
    pub bytes: u64,
}
impl Limits {
    /// Far beyond any disk that fits into the memory of one machine.
    pub const DEFAULT: Self = Self { silence: Duration::from_mins(2), entries: 100_000_000, bytes: 16 << 30 };
}
impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a session could not do what was asked: one line for the user, and the documented exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// 2 usage, 3 evidence not readable, 4 environment, 5 cancelled.
    pub code: u8,
    /// What, where, and what to do.
    pub message: String,
    /// The worker could not be confined: with [`Plan::no_sandbox`] it goes on.
    pub is_unconfined: bool,
}
impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), is_unconfined: false }
    }
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }
    pub fn evidence(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(4, message)
    }
    /// The worker cannot be confined as it must be.
    pub fn unconfined(missing: &[String]) -> Self {
        let what = missing.join("; ");
        let message = format!(
            "the worker that parses the evidence is not confined: {what}; use a kernel that has it, or go on \
             without by --no-sandbox"
        );
        Self { is_unconfined: true, ..Self::environment(message) }
    }
    pub fn cancelled() -> Self {
        Self::new(5, "cancelled; the case holds what was finished")
    }
}
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A finished examination and where its case lies.
#[derive(Clone, Debug)]
pub struct Examined {
    pub case: PathBuf,
    pub data: std::sync::Arc<CaseData>,
    pub past: Came,
}

/// What of an examination an earlier one had done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Came {
    #[default]
    Nothing,
    /// So many items (files, artifacts) were in the case already.
    Items(usize),
    /// Everything: the evidence was not read again.
    All,
}

/// The process that waits for the end of one that mounted, and unmounts: `at` as it was mounted.
pub fn unmount_when_over(at: &std::path::Path) {
    kernel::unmount_when_over(at);
}
