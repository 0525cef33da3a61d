//! The sections of a policy, one file each: what a section speaks about, its columns, and how the things it speaks
//! about are found. [`ALL`] is the only list of them.
mod accounts;
mod baselines;
mod connections;
mod devices;
mod endpoints;
mod interfaces;
mod links;
mod listeners;
mod modems;
mod remote_access;
mod routes;
mod services;
mod starts;
mod systems;

use crate::base::Evidence;
use crate::baseline::Baselines;
use crate::inventory::{AnyTable, Inventory, Kind, Scene, TABLES, Value};
use crate::judge::finding::{Category, Finding};
use crate::judge::knowledge::Knowledge;
use crate::judge::rows::{TableId, Tables, table_id};

/// A kind of thing that a policy declares.
#[derive(Debug)]
pub(super) struct Section {
    /// The table of the TOML file.
    pub(super) name: &'static str,
    /// What it speaks about, for the manual: which things, and which not.
    pub(super) about: &'static str,
    /// One of them, in words: `listening port`.
    pub(super) one: &'static str,
    /// Its lines say what must be there (`require`), not what may be (`allow`, `forbid`).
    pub(super) requires: bool,
    pub(super) columns: fn() -> Vec<Column>,
    /// Columns that make the name of a thing.
    pub(super) key: &'static [&'static str],
    /// Columns that a draft writes for each thing.
    pub(super) pins: &'static [&'static str],
    /// Conditions under which a draft declares things together, as TOML, with what they mean.
    pub(super) together: &'static [(&'static str, &'static str)],
    /// Tables of the inventory that it needs; a gap in what feeds them bounds what it says.
    pub(super) needs: Needs,
    pub(super) things: fn(&Ground<'_>) -> Vec<Thing>,
}

/// Tables of the inventory that a section needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Needs {
    Tables(&'static [&'static str]),
    /// Its things are findings: what the rules of this category look at.
    Findings(Category),
}
impl Needs {
    pub(super) fn tables(self, knowledge: &Knowledge) -> Vec<&'static str> {
        match self {
            Self::Tables(tables) => tables.to_vec(),
            Self::Findings(category) => knowledge.looked_at(|rule| rule.category == category),
        }
    }
}

/// Every section, in the order of reasons and of the manual.
pub(super) const ALL: &[&Section] = &[
    &systems::SECTION,
    &services::SECTION,
    &starts::SECTION,
    &accounts::SECTION,
    &listeners::SECTION,
    &interfaces::SECTION,
    &routes::SECTION,
    &connections::SECTION,
    &endpoints::SECTION,
    &remote_access::SECTION,
    &modems::SECTION,
    &baselines::SECTION,
    &devices::SECTION,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    pub(super) takes: Takes,
}

/// Which further conditions a column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Addresses,
    /// Addresses that stand for networks.
    Networks,
    Numbers,
    Versions,
}

/// A device of the delivery, and whether an image of it was examined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub id: String,
    pub role: String,
    pub examined: bool,
}

/// A finding together with what it was made from.
pub(in crate::judge) struct Made {
    pub(in crate::judge) finding: Finding,
    pub(in crate::judge) rows: Vec<(TableId, usize)>,
    /// Of a link: what its pieces have in common (`tool:…`, `id:…`, `node:…`).
    pub(in crate::judge) keys: Vec<String>,
    /// Made by correlation, not by one table's rows.
    pub(in crate::judge) is_link: bool,
    /// No declaration lowers it.
    pub(in crate::judge) stays: bool,
}

/// What sections look at.
pub(in crate::judge) struct Ground<'a> {
    pub(in crate::judge) scene: &'a Scene,
    pub(in crate::judge) inventory: &'a Inventory,
    pub(in crate::judge) tables: &'a Tables<'a>,
    pub(in crate::judge) made: &'a [Made],
    pub(in crate::judge) baselines: &'a Baselines,
    pub(in crate::judge) devices: &'a [Delivered],
}

/// One thing that a section speaks about.
#[derive(Clone, Debug, Default)]
pub(super) struct Thing {
    pub(super) system: Option<u32>,
    /// One a column.
    pub(super) values: Vec<Value>,
    pub(super) rows: Vec<(TableId, usize)>,
    /// Index of the finding that it is.
    pub(super) finding: Option<usize>,
    pub(super) evidence: Vec<Evidence>,
    /// Whose packages order versions as its versions are ordered: `dpkg`, `rpm`, `apk` …
    pub(super) family: String,
}

impl Section {
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        (self.columns)().iter().position(|c| c.name == name)
    }
    /// The name of a thing: its key columns.
    pub(super) fn subject(&self, thing: &Thing) -> String {
        let values = self.key.iter().filter_map(|k| thing.values.get(self.column(k)?)).map(Value::to_string);
        values.filter(|v| !v.is_empty()).collect::<Vec<_>>().join(" ")
    }
    /// One of them with its article.
    pub(super) fn a(&self) -> String {
        let article = if self.one.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {}", self.one)
    }
    /// The word before a line of it.
    pub(super) fn verbs(&self) -> &'static [&'static str] {
        if self.requires { &["require"] } else { &["allow", "forbid"] }
    }
}

/// Columns that tell of the file in which a row was read, where the table has none of its own.
const SOURCE: [(&str, &str); 2] = [
    ("source_package", "The package that owns the file that says so."),
    (
        "source_check",
        "That file against its package: ok and conffile-ok mean that it is as shipped; unowned, differs, conffile-changed …",
    ),
];

/// The columns of a table of the inventory, and of the file that a row was read in.
fn table_columns(table: &str, takes: &[(&str, Takes)]) -> Vec<Column> {
    let Some(described) = TABLES.iter().find(|t| t.name == table) else { return Vec::new() };
    let takes = |name: &str| takes.iter().find(|(n, _)| *n == name).map_or(Takes::Nothing, |(_, t)| *t);
    let column =
        |c: &crate::inventory::Column| Column { name: c.name, about: c.about, kind: c.kind, takes: takes(c.name) };
    let mut columns: Vec<Column> = described.columns.iter().map(column).collect();
    for (name, about) in SOURCE.iter().filter(|(name, _)| described.column(name).is_none()) {
        columns.push(Column { name, about, kind: Kind::Text, takes: Takes::Nothing });
    }
    columns
}

/// The rows of a table as things, those that are `wanted`.
fn table_things(ground: &Ground<'_>, table: &str, wanted: impl Fn(&dyn AnyTable, usize) -> bool) -> Vec<Thing> {
    let Some(id) = table_id(table) else { return Vec::new() };
    let Some(rows) = ground.tables.get(id) else { return Vec::new() };
    let described = rows.table();
    let mut things = Vec::new();
    for row in (0..rows.len()).filter(|row| wanted(rows, *row)) {
        let mut values: Vec<Value> = (0..described.columns.len()).map(|c| rows.value(row, c)).collect();
        if described.column("source_check").is_none() {
            let (package, check) = source(ground, rows, row);
            values.extend([package, check]);
        }
        things.push(Thing { system: rows.system(row), values, rows: vec![(id, row)], ..Thing::default() });
    }
    things
}

/// The package of the file in which a row was read, and what checking that file gave.
fn source(ground: &Ground<'_>, rows: &dyn AnyTable, row: usize) -> (Value, Value) {
    let file = || {
        let path = rows.evidence(row)?.path.lossy();
        let id = table_id("files")?;
        let column = TABLES.get(id)?.column("path")?;
        let found = ground.tables.find(id, column, rows.system(row), &path);
        let files = &ground.inventory.files;
        found.into_iter().filter_map(|at| files.as_slice().get(at)).find(|f| !f.deleted && f.covered.is_empty())
    };
    match file() {
        Some(f) => (f.package.clone().map_or(Value::Null, Value::Text), Value::Text(f.package_check.clone())),
        None => (Value::Null, Value::Text("".into())),
    }
}

/// Whether a cell is `true`.
fn is_true(rows: &dyn AnyTable, row: usize, column: &str) -> bool {
    rows.get(row, column) == Value::Bool(true)
}

fn word(text: impl AsRef<str>) -> Value {
    Value::Text(text.as_ref().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_section_is_whole() {
        let knowledge = Knowledge::load(&[]).unwrap();
        let mut names = BTreeSet::new();
        for section in ALL {
            assert!(names.insert(section.name), "a second section {}", section.name);
            let columns = (section.columns)();
            assert!(!columns.is_empty() && !section.about.is_empty() && !section.one.is_empty(), "{}", section.name);
            let mut seen = BTreeSet::new();
            for column in &columns {
                assert!(seen.insert(column.name), "{}: a second column {}", section.name, column.name);
                // Columns of the inventory are described there, where their names do not say it all.
                let of_table = TABLES.iter().any(|t| t.columns.iter().any(|c| c.name == column.name));
                assert!(of_table || !column.about.is_empty(), "{}.{}", section.name, column.name);
                assert!(!super::super::entry::KEYS.contains(&column.name), "{}.{}", section.name, column.name);
            }
            for name in section.key.iter().chain(section.pins) {
                assert!(seen.contains(name), "{}: no column {name}", section.name);
            }
            for table in section.needs.tables(&knowledge) {
                assert!(TABLES.iter().any(|t| t.name == table), "{}: no table {table}", section.name);
            }
        }
    }
}
