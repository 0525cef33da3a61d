//! Known-good as an index that the judge can ask: what accepted cranes, vendors and analysts vouch for.
mod verdict;

pub use verdict::{BaselineVerdict, Standing};

use crate::inventory::AnyTable;

/// Baseline sets in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Baselines;

impl Baselines {
    /// What the sets say about a row, and whether an approved set vouches for it.
    pub fn row(&self, _table: &dyn AnyTable, _row: usize) -> (BaselineVerdict, bool) {
        (BaselineVerdict::default(), false)
    }
}
