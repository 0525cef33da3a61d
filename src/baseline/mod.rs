//! Known-good as an index that the judge can ask: what accepted cranes, vendors and analysts vouch
//! for. A baseline is an examined system that somebody trusts, as one file (format: `file`).
mod compare;
mod file;
mod set;
mod sets;
#[cfg(test)]
mod tests;
mod verdict;
mod volatile;

pub use compare::{Changed, TableDiff, compare};
pub use file::{About, BaselineError, Image, Origin, SCHEMA, build};
pub use set::Set;
pub use sets::{Baselines, Missing};
pub use verdict::{BaselineVerdict, Standing};
