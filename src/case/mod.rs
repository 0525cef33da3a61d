//! The case: one SQLite file with what was found, what the examiner decided, and the log of both.
mod cells;
mod data;
mod load;
mod schema;
mod store;

pub use data::{CaseData, Device, Exhibit, Outcome, Run, SHOW_SECRETS, Scope, Tool, Verdict};
pub use store::{Case, CaseError};
