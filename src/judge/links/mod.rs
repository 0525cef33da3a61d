//! Correlation in code: what one row is not enough for. Each code gives its rules' findings.

/// The names that a rule's `code` may have.
pub(super) const CODES: &[&str] = &[];
