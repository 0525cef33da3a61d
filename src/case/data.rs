//! What a case holds, as one value: what was found and what the examiner decided. Reports and views
//! are made from it and from nothing else.
use crate::base::{Gap, Time};
use crate::inventory::{Inventory, Scene};
use crate::judge::{Finding, Searched, Severity, Unexamined};
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Breach,
    Review,
    NoBreach,
    Incomplete,
    #[default]
    NotAssessed,
}

/// Conformity to the named policy; never a statement of fitness for service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub result: Outcome,
    pub policy: String,
    pub reasons: Vec<String>,
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
    /// Findings at a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}

impl Verdict {
    /// What stands where no policy was given: nothing is assessed, and the report says so.
    /// `judged` are the bounds that the judgement found.
    pub fn without_policy(data: &CaseData, judged: Vec<String>) -> Self {
        let mut reasons = vec!["no delivery policy was given".to_owned()];
        if !data.gaps.is_empty() {
            reasons.push(format!("{} gaps: parts of the evidence were not read or not understood", data.gaps.len()));
        }
        if data.scene.images.iter().any(|i| !i.changed.is_empty()) {
            reasons
                .push("the evidence changed during the examination: what was read may be of either state".to_owned());
        }
        reasons.extend(data.run.baselines.iter().filter_map(crate::baseline::Used::mark));
        reasons.extend(judged);
        Self { result: Outcome::NotAssessed, policy: String::new(), reasons }
    }
}
