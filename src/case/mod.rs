//! The case: one SQLite file with what was found, what the examiner decided, and the log of both.
mod cells;
mod claim;
mod data;
mod identity;
mod load;
mod log;
mod schema;
mod store;
mod verdict;

pub use claim::{LeftOut, Taken, layout_sha256};
pub use data::{CaseData, Device, Exhibit, Run, SHOW_SECRETS, Scope, Tool};
pub use identity::{Asked, Identity, SegmentIdentity};
pub use log::BadLine;
pub use schema::begins_case;
pub use store::{Case, CaseError};
pub use verdict::{Outcome, Verdict};
