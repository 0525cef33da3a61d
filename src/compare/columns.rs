//! What identifies a row on two machines, and which columns say nothing of their own.
//!
//! The key of a table finds a row again on one machine; between two, what may change must not be part of the key: a
//! setting with another value is a changed setting. Columns that follow from other columns or other tables are left
//! out, since what they follow from is compared. Tables that record the past tell when and by whose hand, and are not
//! compared.
use crate::baseline::{DERIVED_OF_FILES, is_state};
use crate::inventory::{TABLES, Table};

/// Keys that differ from the tables' own, and why.
const KEYS: &[(&str, &[&str], &str)] = &[
    ("settings", &["program", "scope", "name"], "the value is what may change"),
    ("routes", &["destination", "interface"], "another gateway is a changed route"),
    ("listeners", &["protocol", "port", "program"], "another address is a changed listener"),
    ("leases", &["role", "program", "interface"], "each machine is lent its own addresses"),
    ("components", &["ecosystem", "name", "path"], "another version is a changed component"),
    ("certificates", &["path", "number"], "another certificate in the same place is a changed one"),
    ("containers", &["runtime", "kind", "name"], "another digest is a changed image"),
    ("boot_environment", &["name", "copy"], "the place holds offsets of the image"),
];

/// Columns that follow from what is compared anyway.
const DERIVED: &[(&str, &[&str])] = &[
    ("files", DERIVED_OF_FILES),
    ("binaries", &["covered"]),
    // By its shell, password and keys.
    ("accounts", &["login"]),
    ("drivers", &["covered"]),
    ("devices", &["count"]),
    ("packages", &["files", "listed", "matching", "differing", "missing", "conffiles_changed"]),
    (
        "components",
        &["covered", "owner", "files", "listed", "matching", "differing", "missing", "package", "package_check"],
    ),
    ("certificates", &["covered", "package", "package_check", "packaged"]),
    ("containers", &["state"]),
    ("starts", &["package", "package_check", "source_package", "source_check"]),
    ("endpoints", &["source_package", "source_check"]),
    ("boot_environment", &["place"]),
];

/// The columns that identify a row on two machines.
pub(super) fn key(table: &Table) -> &'static [&'static str] {
    KEYS.iter().find(|(name, ..)| *name == table.name).map_or(table.key, |(_, key, _)| key)
}

/// Whether a column follows from what is compared anyway.
pub(super) fn is_derived(table: &Table, column: &str) -> bool {
    DERIVED.iter().any(|(name, columns)| *name == table.name && columns.contains(&column))
}

/// Positions of the columns that are compared beside the key.
pub(super) fn compared(table: &Table) -> Vec<usize> {
    let key = key(table);
    let columns = table.columns.iter().enumerate();
    columns.filter(|(_, c)| !key.contains(&c.name) && !is_derived(table, c.name)).map(|(at, _)| at).collect()
}

/// The rows of documentation: each state table with its key, and why where that is not the table's own.
pub fn documented() -> Vec<(&'static str, String, &'static str)> {
    let state = TABLES.iter().filter(|t| is_state(t));
    let row = |t: &&'static Table| {
        let why = KEYS.iter().find(|(name, ..)| *name == t.name).map_or("", |(_, _, why)| why);
        (t.name, key(t).join(", "), why)
    };
    state.map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_named_column_exists_and_no_key_is_left_out() {
        let of = |name: &str| *TABLES.iter().find(|t| t.name == name).unwrap();
        for (name, columns) in DERIVED {
            for column in *columns {
                assert!(of(name).column(column).is_some(), "{name}.{column}");
                assert!(!key(of(name)).contains(column), "{name}.{column} is part of the key");
            }
        }
        for (name, key, _) in KEYS {
            for column in *key {
                assert!(of(name).column(column).is_some(), "{name}.{column}");
            }
            assert_ne!(of(name).key, *key, "{name} has its own key already");
        }
        // Whatever is compared has something to be found by, and all but lists of names something to differ in.
        for table in TABLES.iter().filter(|t| is_state(t)) {
            assert!(!key(table).is_empty(), "{}", table.name);
            assert!(key(table).len() + compared(table).len() > 1, "{}", table.name);
        }
    }
}
