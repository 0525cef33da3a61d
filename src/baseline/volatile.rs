//! What differs between two examinations of the same state: clocks, counters, and what is derived
//! from other columns. Baselines and comparisons leave these columns out.
use crate::base::Digest;
use crate::inventory::{AnyTable, CellRef, Table};
use sha2::{Digest as _, Sha256};

/// Tables that record the past instead of a state.
const RECORDS: &[&str] = &["events", "sessions", "traces", "removed", "file_events", "content_matches"];

/// Columns of files that follow from other columns or other tables.
pub const DERIVED_OF_FILES: &[&str] = &[
    "allocated",
    "links",
    "unhashed",
    "content",
    "package",
    "package_check",
    "package_attributes",
    "layer",
    "covered",
    "against_lower",
    "against_system",
    "no_account",
    "sha1",
    "md5",
];

/// Table, and columns of it.
const COLUMNS: &[(&str, &[&str])] = &[
    ("files", DERIVED_OF_FILES),
    ("files", &["modified", "accessed", "changed", "created", "deleted_at"]),
    ("binaries", &["covered"]),
    ("drivers", &["covered"]),
    ("connections", &["last_used"]),
    ("devices", &["first_seen", "last_seen", "count"]),
    ("packages", &["installed", "matching"]),
    ("components", &["covered", "matching"]),
    ("certificates", &["covered"]),
    ("containers", &["state"]),
    ("accounts", &["changed"]),
];

/// Whether rows of the table describe a state that can be vouched for, and compared.
pub fn is_state(table: &Table) -> bool {
    !RECORDS.contains(&table.name)
}

/// Whether the running system shows what the row tells: what is covered vouches for nothing.
pub fn is_shown(table: &dyn AnyTable, row: usize) -> bool {
    let covered = table.table().column("covered").map(|c| table.cell(row, c));
    covered.is_none_or(|c| matches!(c, CellRef::Null | CellRef::Text("")))
}

/// Whether a column is left out of comparisons.
pub(super) fn is_volatile(table: &Table, column: &str) -> bool {
    COLUMNS.iter().any(|(t, columns)| *t == table.name && columns.contains(&column))
}

/// A cell as text, losslessly; lists keep their order and their parts apart.
pub fn canonical(cell: &CellRef<'_>) -> String {
    match cell {
        CellRef::Null => String::new(),
        CellRef::Text(t) => (*t).to_owned(),
        CellRef::Path(p) => p.display(),
        CellRef::List(l) => l.join("\u{1f}"),
        other => other.to_value().to_string(),
    }
}

/// The named cell of a row as text; empty where the table has no such column.
pub fn named(table: &dyn AnyTable, row: usize, column: &str) -> String {
    table.table().column(column).map_or_else(String::new, |c| canonical(&table.cell(row, c)))
}

/// The key of a row, as texts.
pub(super) fn key(table: &dyn AnyTable, row: usize) -> Vec<String> {
    table.table().key.iter().map(|k| named(table, row, k)).collect()
}

/// 128 bits that stand for a table and a key.
pub(super) fn key_hash(table: &str, key: &[String]) -> [u8; 16] {
    let mut hash = Sha256::new();
    part(&mut hash, table);
    for k in key {
        part(&mut hash, k);
    }
    short(hash)
}

/// 128 bits that stand for what a row says beside its key, without what is volatile.
pub(super) fn state_hash(table: &dyn AnyTable, row: usize) -> [u8; 16] {
    let described = table.table();
    let mut hash = Sha256::new();
    for (at, column) in described.columns.iter().enumerate() {
        if !described.key.contains(&column.name) && !is_volatile(described, column.name) {
            part(&mut hash, column.name);
            part(&mut hash, &canonical(&table.cell(row, at)));
        }
    }
    short(hash)
}

/// The content of a file row, where it was hashed.
pub(super) fn content(table: &dyn AnyTable, row: usize) -> Option<Digest> {
    (table.table().name == "files").then(|| Digest::parse(&named(table, row, "sha256")))?
}

fn part(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

fn short(hash: Sha256) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::inventory::TABLES;

    #[test]
    fn every_named_column_exists() {
        for (name, columns) in COLUMNS {
            let table = TABLES.iter().find(|t| t.name == *name).unwrap();
            for column in *columns {
                assert!(table.column(column).is_some(), "{name}.{column}");
                assert!(!table.key.contains(column), "{name}.{column} is part of the key");
            }
        }
        assert!(RECORDS.iter().all(|r| TABLES.iter().any(|t| t.name == *r)));
    }
}
