//! Several baselines, asked in order.
use super::file::{BaselineError, Origin};
use super::set::Set;
use super::verdict::{BaselineVerdict, Standing};
use super::volatile::{content, is_shown, key, key_hash, state_hash};
use crate::inventory::{AnyTable, Inventory, TABLES};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Baseline sets in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    sets: Vec<(Arc<Set>, Vec<bool>)>,
}

/// A row that a baseline holds and the inventory does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub table: &'static str,
    pub key: String,
    /// Name of the baseline.
    pub by: String,
}

impl Baselines {
    /// Reads all of them; the first that is wrong ends it.
    pub fn load(files: &[PathBuf]) -> Result<Self, BaselineError> {
        Ok(Self::new(files.iter().map(|f| Set::load(f)).collect::<Result<_, _>>()?))
    }
    pub fn new(sets: Vec<Set>) -> Self {
        let known = |set: Set| {
            let tables = (0..TABLES.len()).map(|t| set.speaks_of(t)).collect();
            (Arc::new(set), tables)
        };
        Self { sets: sets.into_iter().map(known).collect() }
    }
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        self.sets.iter().map(|(set, _)| &**set)
    }
    /// What the sets say about a row, and whether an approved set vouches for it. A file whose
    /// content is known from another place is told as known, but nobody vouches for it there.
    pub fn row(&self, table: &dyn AnyTable, row: usize) -> (BaselineVerdict, bool) {
        let described = table.table();
        let Some(id) = TABLES.iter().position(|t| t.name == described.name) else {
            return Default::default();
        };
        if !is_shown(table, row) {
            return Default::default();
        }
        let asked = || self.sets.iter().filter(|(_, tables)| tables.get(id) == Some(&true)).map(|(set, _)| &**set);
        if asked().next().is_none() {
            return Default::default();
        }
        let hash = key_hash(described.name, &key(table, row));
        let state = state_hash(table, row);
        let told = |verdict, by: String| BaselineVerdict { verdict, by };
        let same = |set: &&Set| set.states(&hash).iter().any(|(_, s)| *s == state);
        if let Some(set) = asked().filter(same).min_by_key(|s| s.about.origin != Origin::Approved) {
            return (told(Standing::Known, set.about.name.clone()), set.about.origin == Origin::Approved);
        }
        if let Some(set) = asked().find(|s| !s.states(&hash).is_empty()) {
            return (told(Standing::Changed, set.about.name.clone()), false);
        }
        let content = content(table, row);
        if let Some(set) = content.and_then(|c| asked().find(|s| s.holds_content(&c))) {
            return (told(Standing::Known, format!("{} (the same content at another path)", set.about.name)), false);
        }
        let names: Vec<&str> = asked().map(|s| s.about.name.as_str()).collect();
        (told(Standing::Unknown, names.join(", ")), false)
    }
    /// Rows that a set holds and the inventory does not, sorted.
    pub fn missing(&self, inventory: &Inventory) -> Vec<Missing> {
        let mut there = BTreeSet::new();
        for table in inventory.all() {
            let name = table.table().name;
            there.extend(
                (0..table.len()).filter(|row| is_shown(table, *row)).map(|row| key_hash(name, &key(table, row))),
            );
        }
        let mut missing = BTreeSet::new();
        for set in self.sets() {
            for (table, hash, key) in set.names() {
                if let Some(table) = TABLES.get(*table).filter(|_| !there.contains(hash)) {
                    missing.insert(Missing { table: table.name, key: key.to_string(), by: set.about.name.clone() });
                }
            }
        }
        missing.into_iter().collect()
    }
}
