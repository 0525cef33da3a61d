//! Rows of one kind on several machines, side by side.
//!
//! Rows are found by system and key. Where a key stands in several rows of a machine, rows that say the same on all
//! machines belong together first; what is left belongs together where each machine has one, else each stands alone.
//! What one machine has and another has not is tried once more without the machines' own names.
use super::columns::{compared, key};
use super::own::Own;
use crate::baseline::{canonical as text, is_shown, is_state};
use crate::inventory::{AnyTable, CellRef, Inventory, Table};
use std::collections::BTreeMap;

/// One kind of row on all machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) table: &'static str,
    pub(super) system: Option<u32>,
    /// For each machine its row; `None` where it has none.
    pub(super) rows: Vec<Option<usize>>,
    /// Columns in which the rows that are there differ.
    pub(super) columns: Vec<&'static str>,
}

impl Record {
    /// All machines have it, alike.
    pub(super) fn is_shared(&self) -> bool {
        self.columns.is_empty() && self.rows.iter().all(Option::is_some)
    }
    /// Machines that have it, with their rows.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.rows.iter().enumerate().filter_map(|(machine, row)| row.map(|row| (machine, row)))
    }
}

/// All records of all state tables, in the order of tables and keys.
pub(super) fn align(machines: &[&Inventory], own: &[Own]) -> Vec<Record> {
    let all: Vec<Vec<&dyn AnyTable>> = machines.iter().map(|m| m.all()).collect();
    let mut records = Vec::new();
    for at in 0..all.first().map_or(0, Vec::len) {
        let tables: Vec<&dyn AnyTable> = all.iter().filter_map(|m| m.get(at).copied()).collect();
        let Some(described) = tables.first().map(|t| t.table()).filter(|t| is_state(t)) else { continue };
        let found = one_table(described, &tables);
        records.extend(without_own_names(described, &tables, own, found));
    }
    records
}

type Key = (Option<u32>, String);

fn one_table(described: &'static Table, tables: &[&dyn AnyTable]) -> Vec<Record> {
    let columns = compared(described);
    let mut keyed: BTreeMap<Key, Vec<Vec<usize>>> = BTreeMap::new();
    for (machine, table) in tables.iter().enumerate() {
        for row in (0..table.len()).filter(|row| is_shown(*table, *row)) {
            let rows = keyed
                .entry((table.system(row), key_text(described, *table, row, None)))
                .or_insert_with(|| vec![Vec::new(); tables.len()]);
            if let Some(rows) = rows.get_mut(machine) {
                rows.push(row);
            }
        }
    }
    let mut records = Vec::with_capacity(keyed.len());
    for ((system, _), rows) in keyed {
        if rows.iter().all(|r| r.len() <= 1) {
            let rows: Vec<Option<usize>> = rows.into_iter().map(|r| r.first().copied()).collect();
            records.push(record(described, tables, &columns, system, rows));
        } else {
            several(described, tables, &columns, system, &rows, &mut records);
        }
    }
    records
}

/// A key that stands in several rows.
fn several(
    described: &'static Table,
    tables: &[&dyn AnyTable],
    columns: &[usize],
    system: Option<u32>,
    rows: &[Vec<usize>],
    records: &mut Vec<Record>,
) {
    let mut states: BTreeMap<String, Vec<Vec<usize>>> = BTreeMap::new();
    for (machine, (table, rows)) in tables.iter().zip(rows).enumerate() {
        for row in rows {
            let state: Vec<String> = columns.iter().map(|c| text(&table.cell(*row, *c))).collect();
            let of = states.entry(state.join("\u{1e}")).or_insert_with(|| vec![Vec::new(); tables.len()]);
            if let Some(of) = of.get_mut(machine) {
                of.push(*row);
            }
        }
    }
    let mut left: Vec<Vec<Option<usize>>> = Vec::new();
    for alike in states.into_values() {
        let most = alike.iter().map(Vec::len).max().unwrap_or_default();
        for n in 0..most {
            let rows: Vec<Option<usize>> = alike.iter().map(|r| r.get(n).copied()).collect();
            if rows.iter().all(Option::is_some) {
                records.push(record(described, tables, columns, system, rows));
            } else {
                left.push(rows);
            }
        }
    }
    // What is left is one changed row where no machine has two of them.
    let count = |machine: usize| left.iter().filter(|rows| rows.get(machine).is_some_and(Option::is_some)).count();
    if left.len() > 1 && (0..tables.len()).all(|machine| count(machine) <= 1) {
        let of = |machine: usize| left.iter().find_map(|rows| rows.get(machine).copied().flatten());
        let rows = (0..tables.len()).map(of).collect();
        records.push(record(described, tables, columns, system, rows));
    } else {
        records.extend(left.into_iter().map(|rows| record(described, tables, columns, system, rows)));
    }
}

fn record(
    described: &'static Table,
    tables: &[&dyn AnyTable],
    columns: &[usize],
    system: Option<u32>,
    rows: Vec<Option<usize>>,
) -> Record {
    let mut record = Record { table: described.name, system, rows, columns: Vec::new() };
    let present: Vec<(&dyn AnyTable, usize)> =
        record.present().filter_map(|(machine, row)| Some((*tables.get(machine)?, row))).collect();
    let Some(((first, of), others)) = present.split_first().map(|((table, row), others)| ((*table, *row), others))
    else {
        return record;
    };
    let mut differing = Vec::new();
    for column in columns {
        let one = first.cell(of, *column);
        if others.iter().any(|(table, row)| table.cell(*row, *column) != one) {
            differing.extend(described.columns.get(*column).map(|c| c.name));
        }
    }
    // The size of a folder is that of its entries' list, which tells of its past alone.
    if described.name == "files" && differing.contains(&"size") && is_folder(first, of) {
        differing.retain(|c| *c != "size");
    }
    record.columns = differing;
    record
}

fn is_folder(table: &dyn AnyTable, row: usize) -> bool {
    table.table().column("kind").is_some_and(|c| table.cell(row, c) == CellRef::Text("directory"))
}

fn key_text(described: &Table, table: &dyn AnyTable, row: usize, own: Option<&Own>) -> String {
    let mut out = String::new();
    for column in key(described).iter().filter_map(|k| described.column(k)) {
        let cell = text(&table.cell(row, column));
        match own {
            Some(own) => out.push_str(&own.neutral(&cell)),
            None => out.push_str(&cell),
        }
        out.push('\u{1e}');
    }
    out
}

/// Puts together what is one row but for the machines' own names, where as many machines agree on it as on the rows as
/// they stand.
fn without_own_names(
    described: &'static Table,
    tables: &[&dyn AnyTable],
    own: &[Own],
    mut records: Vec<Record>,
) -> Vec<Record> {
    // Machine, row, and the record it stands in.
    let mut groups: BTreeMap<Key, Vec<(usize, usize, usize)>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate().filter(|(_, r)| r.rows.iter().any(Option::is_none)) {
        for (machine, row) in record.present() {
            let (Some(table), Some(own)) = (tables.get(machine), own.get(machine)) else { continue };
            let neutral = key_text(described, *table, row, Some(own));
            groups.entry((record.system, neutral)).or_default().push((machine, row, at));
        }
    }
    let mut columns: Vec<usize> = key(described).iter().filter_map(|k| described.column(k)).collect();
    columns.extend(compared(described));
    let mut merged = Vec::new();
    for ((system, _), mut members) in groups {
        members.sort_unstable();
        let several = members.iter().any(|(_, _, at)| Some(*at) != members.first().map(|m| m.2));
        let twice = members.windows(2).any(|two| matches!(two, [a, b] if a.0 == b.0));
        let size = |at: usize| records.get(at).map_or(0, |r| r.present().count());
        if !several || twice || members.iter().any(|(_, _, at)| size(*at) > members.len()) {
            continue;
        }
        let mut rows = vec![None; tables.len()];
        for (machine, row, at) in members {
            if let Some(cell) = rows.get_mut(machine) {
                *cell = Some(row);
            }
            if let Some(left) = records.get_mut(at).and_then(|r| r.rows.get_mut(machine)) {
                *left = None;
            }
        }
        merged.push(record(described, tables, &columns, system, rows));
    }
    if merged.is_empty() {
        return records;
    }
    // What is left of the rows as they stood.
    let columns = compared(described);
    let left = records.into_iter().filter(|r| r.rows.iter().any(Option::is_some));
    let left = left.map(|r| if r.is_shared() { r } else { record(described, tables, &columns, r.system, r.rows) });
    left.chain(merged).collect()
}
