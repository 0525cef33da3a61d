//! The case: one SQLite file with what was found, what the examiner decided, and the log of both.
mod data;

pub use data::{CaseData, Device, Exhibit, Outcome, Run, Scope, Tool, Verdict};
