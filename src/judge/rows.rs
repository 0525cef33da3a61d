//! The inventory as rules see it: tables by number, cells by raw text, rows found by value.
use super::predicate::text;
use crate::base::Time;
use crate::inventory::{AnyTable, CellRef, Inventory, TABLES};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Position of a table in [`TABLES`].
pub(super) type TableId = usize;

/// Rows of a table by what they hold in a column: a hash of system and raw text, and the row, sorted.
type Index = Vec<(u64, usize)>;

/// All tables of one inventory, with indices made when first asked for.
pub(super) struct Tables<'a> {
    all: Vec<&'a dyn AnyTable>,
    indices: Mutex<HashMap<(TableId, usize), Arc<Index>>>,
    /// The first second after the day against which validity is judged.
    pub(super) as_of: Option<i64>,
}

/// A row that met a rule's conditions, with the row each join found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) row: usize,
    pub(super) joined: Vec<Option<(TableId, usize)>>,
}

/// Position of the table of that name.
pub(super) fn table_id(name: &str) -> Option<TableId> {
    TABLES.iter().position(|t| t.name == name)
}

impl<'a> Tables<'a> {
    /// `as_of` is `YYYY-MM-DD`; any other text stands for no such day.
    pub(super) fn new(inventory: &'a Inventory, as_of: &str) -> Self {
        const DAY: i64 = 86_400;
        let day = Time::parse(&format!("{as_of}T00:00:00Z"));
        let as_of = day.map(|day| day.seconds.saturating_add(DAY));
        Self { all: inventory.all(), indices: Mutex::default(), as_of }
    }
    pub(super) fn get(&self, id: TableId) -> Option<&'a dyn AnyTable> {
        self.all.get(id).copied()
    }
    /// The rows of a system whose cell has this raw text (for a list: an element with it).
    pub(super) fn find(&self, id: TableId, column: usize, system: Option<u32>, wanted: &str) -> Vec<usize> {
        let index = self.index(id, column);
        let Some(table) = self.get(id) else { return Vec::new() };
        let hash = hash(system, wanted);
        let from = index.partition_point(|(h, _)| *h < hash);
        let alike = index.iter().skip(from).take_while(|(h, _)| *h == hash).map(|(_, row)| *row);
        let holds = |row: &usize| {
            table.system(*row) == system
                && match table.cell(*row, column) {
                    CellRef::Null => false,
                    CellRef::List(list) => list.iter().any(|e| e == wanted),
                    other => text(&other) == wanted,
                }
        };
        alike.filter(holds).collect()
    }
    fn index(&self, id: TableId, column: usize) -> Arc<Index> {
        // Held while an index is made: another thread that wants it waits instead of making it again.
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = indices.get(&(id, column)) {
            return Arc::clone(known);
        }
        let mut index = Index::new();
        if let Some(table) = self.get(id) {
            for row in 0..table.len() {
                let system = table.system(row);
                match table.cell(row, column) {
                    CellRef::Null => {}
                    CellRef::List(list) => index.extend(list.iter().map(|e| (hash(system, e), row))),
                    other => index.push((hash(system, &text(&other)), row)),
                }
            }
        }
        index.sort_unstable();
        index.dedup();
        let index = Arc::new(index);
        indices.insert((id, column), Arc::clone(&index));
        index
    }
}

fn hash(system: Option<u32>, text: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (system, text).hash(&mut hash);
    hash.finish()
}
