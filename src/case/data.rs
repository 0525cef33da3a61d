//! What a case holds, as one value: what was found and what the examiner decided. Reports and views
//! are made from it and from nothing else.
use super::verdict::Verdict;
use crate::base::{Gap, Time};
use crate::inventory::{Inventory, Scene};
use crate::judge::{Delivered, Finding, Searched, Unexamined};
use serde::{Deserialize, Serialize};

/// The word in a run's command that says that the case holds secrets as they are.
pub const SHOW_SECRETS: &str = "--show-secrets";

/// The moment and machine of an examination: the only part of a report that differs between two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub started: Option<Time>,
    pub finished: Option<Time>,
    pub host: String,
    pub examiner: String,
    pub command: Vec<String>,
    /// Stage and seconds.
    pub timings: Vec<(String, f64)>,
    /// What the worker's confinement was, in words.
    pub sandbox: String,
    /// What was unpacked into a temporary file, and where; empty if nothing was.
    #[serde(default)]
    pub scratch: String,
    /// The baselines that were asked, in their order, and what their signatures are worth.
    #[serde(default)]
    pub baselines: Vec<crate::baseline::Used>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub version: String,
    pub rules: u64,
    pub rules_sha256: String,
    pub knowledge_sha256: String,
}

/// The unit of acceptance is the crane: crane → device → exhibit → image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub crane: String,
    pub devices: Vec<Device>,
    pub exhibits: Vec<Exhibit>,
}
impl Scope {
    /// The devices as a policy sees them: whether an image of each was examined.
    pub fn delivered(&self) -> Vec<Delivered> {
        let examined = |d: &Device| self.exhibits.iter().any(|e| e.device == d.id && !e.images.is_empty());
        let one = |d: &Device| Delivered { id: d.id.clone(), role: d.role.clone(), examined: examined(d) };
        self.devices.iter().map(one).collect()
    }
}
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: String,
    /// crane management, PLC engineering, OCR, gateway …
    pub role: String,
    /// `intake`, or `assumed` where there is none.
    pub named_by: String,
    /// Ids.
    pub exhibits: Vec<String>,
}
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    pub id: String,
    pub device: String,
    /// Ids of images.
    pub images: Vec<String>,
    pub seal: String,
    pub serial: String,
    /// Capacity as printed on the label, in bytes.
    pub label_bytes: Option<u64>,
    pub write_blocker: String,
    /// Path of the imager's log, as given.
    pub acquisition_log: String,
}

/// A case in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseData {
    pub run: Run,
    pub tool: Tool,
    pub scope: Scope,
    pub scene: Scene,
    pub inventory: Inventory,
    /// Most severe first, then by rule and subject.
    pub findings: Vec<Finding>,
    pub searched: Vec<Searched>,
    pub unexamined: Vec<Unexamined>,
    pub gaps: Vec<Gap>,
    pub verdict: Verdict,
}

impl CaseData {
    /// Whether it was examined with `--show-secrets`, and so holds secrets as they are.
    pub fn shows_secrets(&self) -> bool {
        self.run.command.iter().any(|word| word == SHOW_SECRETS)
    }
}
