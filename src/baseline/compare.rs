//! What differs between two inventories, row by row: two cranes, or two examinations of one.
use super::volatile::{canonical, is_shown, is_state, is_volatile, key};
use crate::inventory::{AnyTable, Inventory, Table};
use std::collections::BTreeMap;

/// The differences in one table; rows are positions in the tables of A and B.
#[derive(Debug)]
pub struct TableDiff {
    pub table: &'static Table,
    pub only_a: Vec<usize>,
    pub only_b: Vec<usize>,
    pub changed: Vec<Changed>,
}

/// Two rows with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub a: usize,
    pub b: usize,
    /// The columns that differ.
    pub columns: Vec<&'static str>,
}

impl TableDiff {
    pub fn is_empty(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.changed.is_empty()
    }
}

/// Compares all tables that describe a state, by their keys within a system, without volatile
/// columns. Tables without a difference are left out; rows come in the order of their keys.
pub fn compare(a: &Inventory, b: &Inventory) -> Vec<TableDiff> {
    a.all()
        .into_iter()
        .zip(b.all())
        .filter(|(a, _)| is_state(a.table()))
        .map(|(a, b)| table(a, b))
        .filter(|d| !d.is_empty())
        .collect()
}

type Keyed = BTreeMap<(Option<u32>, Vec<String>), Vec<usize>>;

fn keyed(table: &dyn AnyTable) -> Keyed {
    let mut rows = Keyed::new();
    for row in (0..table.len()).filter(|row| is_shown(table, *row)) {
        rows.entry((table.system(row), key(table, row))).or_default().push(row);
    }
    rows
}

fn table(a: &dyn AnyTable, b: &dyn AnyTable) -> TableDiff {
    let mut diff = TableDiff { table: a.table(), only_a: Vec::new(), only_b: Vec::new(), changed: Vec::new() };
    let mut others = keyed(b);
    for (key, rows) in keyed(a) {
        let mut matched = others.remove(&key).unwrap_or_default();
        let mut rest = Vec::new();
        // Several rows may share a key: those that agree are pairs, the others are paired in order.
        for row in rows {
            match matched.iter().position(|other| differing(a, row, b, *other).is_empty()) {
                Some(at) => drop(matched.remove(at)),
                None => rest.push(row),
            }
        }
        let mut matched = matched.into_iter();
        for row in rest {
            match matched.next() {
                Some(other) => diff.changed.push(Changed { a: row, b: other, columns: differing(a, row, b, other) }),
                None => diff.only_a.push(row),
            }
        }
        diff.only_b.extend(matched);
    }
    diff.only_b.extend(others.into_values().flatten());
    diff
}

fn differing(a: &dyn AnyTable, row: usize, b: &dyn AnyTable, other: usize) -> Vec<&'static str> {
    let described = a.table();
    let columns = described.columns.iter().enumerate();
    columns
        .filter(|(_, c)| !is_volatile(described, c.name))
        .filter(|(at, _)| canonical(&a.value(row, *at)) != canonical(&b.value(other, *at)))
        .map(|(_, c)| c.name)
        .collect()
}
