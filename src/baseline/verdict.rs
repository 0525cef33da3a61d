//! What baselines say about a row.
use serde::{Deserialize, Serialize};

/// How a row stands to the baselines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// A set holds the very same row.
    Known,
    /// A set holds a row with the same key and other values.
    Changed,
    /// No set holds a row with this key.
    Unknown,
    /// A set holds a row that is not there.
    Missing,
    /// No set was given, or none speaks about this table.
    #[default]
    None,
}

/// What the baselines say, and which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineVerdict {
    pub verdict: Standing,
    pub by: String,
}
