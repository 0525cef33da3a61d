//! A finding: what was observed about one subject, under one rule, with its evidence.
use crate::base::Evidence;
use crate::baseline::BaselineVerdict;
use serde::{Deserialize, Serialize};

/// Priority for the examiner. Never a statement of conformity: that is the policy's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Least severe first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];
    /// As reports, rules and policies write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What the delivery policy says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conformity {
    Breach,
    Permitted,
    NotStated,
    #[default]
    NoPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    Modem,
    RemoteAccess,
    Persistence,
    Integrity,
    Account,
    Network,
    Configuration,
    AntiForensics,
    Policy,
}

/// How far the evidence of one link reaches, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    Capable,
    Installed,
    Altered,
    Configured,
    Enabled,
    Seen,
    Used,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Low,
    #[default]
    Medium,
    High,
}

/// What an examiner decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub examiner: String,
    /// confirmed, benign, unclear …
    pub disposition: String,
    pub note: String,
    pub at: crate::base::Time,
}

/// One finding. The texts are the rule's, filled in; `observed` is about this very subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// From rule and subject only, so that it survives re-examination and new wording.
    pub id: String,
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub conformity: Conformity,
    pub category: Category,
    pub rung: Option<Rung>,
    pub confidence: Confidence,
    /// Index of the system.
    pub system: Option<u32>,
    pub subject: String,
    pub observed: String,
    pub supports: String,
    pub does_not_show: String,
    pub ordinary_explanations: String,
    pub check: String,
    pub attack: Vec<String>,
    pub baseline: BaselineVerdict,
    pub evidence: Vec<Evidence>,
    pub reviews: Vec<Review>,
}

/// A rule that was applied: also where it found nothing, and on how much it looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    pub rule: String,
    /// Rows looked at, with their tables: `1204 services`.
    pub inputs: String,
    pub hits: u64,
}

/// A device that the intake or a configuration names and no image covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unexamined {
    pub device: String,
    pub named_by: Evidence,
}
