//! Applies table rules: each table is walked once, each cell read once, for all rules on it.
use super::predicate::text;
use super::rows::{Match, TableId, Tables};
use super::rule::{Conditions, Join, Logic, Own, Rule};
use super::unread::{Bounded, Unread};
use crate::base::parallel::{in_order, split, threads};
use crate::inventory::{AnyTable, CellRef, TABLES};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

/// Rows of one subject that met one rule.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    /// Index of the rule.
    pub(super) rule: usize,
    pub(super) table: TableId,
    pub(super) system: Option<u32>,
    pub(super) subject: String,
    pub(super) matches: Vec<Match>,
}

/// Cells of the row at hand, read when first asked for.
struct Cells<'a> {
    table: &'a dyn AnyTable,
    row: usize,
    read: Vec<Option<CellRef<'a>>>,
    as_of: Option<i64>,
}
impl Cells<'_> {
    fn go_to(&mut self, row: usize) {
        self.row = row;
        self.read.iter_mut().for_each(|c| *c = None);
    }
    fn holds(&mut self, all: &Conditions) -> bool {
        all.iter().all(|(column, predicate)| match self.read.get_mut(*column) {
            Some(cell) => {
                predicate.holds(cell.get_or_insert_with(|| plain(self.table.cell(self.row, *column))), self.as_of)
            }
            None => false,
        })
    }
    fn any(&mut self, alternatives: &[Conditions]) -> bool {
        alternatives.iter().any(|all| self.holds(all))
    }
}

/// A path that is text as text, so that not every condition finds that out anew.
fn plain(cell: CellRef<'_>) -> CellRef<'_> {
    match cell {
        CellRef::Path(path) => std::str::from_utf8(path.bytes()).map_or(CellRef::Path(path), CellRef::Text),
        other => other,
    }
}

/// Applies every table rule; hits come in the order of rules and of their subjects' first rows.
/// Before the inventory is `whole`, no rule takes the absence of a file for a fact.
pub(super) fn apply(rules: &[Rule], tables: &Tables<'_>, unread: &Unread, whole: bool) -> (Vec<Hit>, Vec<Bounded>) {
    let mut hits = Hits::new();
    let mut searched = Vec::new();
    for (id, described) in TABLES.iter().enumerate() {
        let Some(table) = tables.get(id) else { continue };
        let on_it: Vec<OnIt<'_>> = rules
            .iter()
            .enumerate()
            .filter_map(|(at, rule)| match &rule.logic {
                Logic::Rows { table, when, joins, .. }
                    if *table == id && (whole || !joins.iter().any(by_absent_file)) =>
                {
                    Some((at, rule, when.as_slice(), joins.as_slice()))
                }
                _ => None,
            })
            .collect();
        if on_it.is_empty() {
            continue;
        }
        let ranges = split(table.len(), if table.len() < MANY { 1 } else { threads() });
        let parts = in_order("judge", &ranges, &|rows| walk(tables, id, table, &on_it, rows));
        for (key, hit) in parts.into_iter().flatten() {
            match hits.entry(key) {
                Entry::Vacant(free) => drop(free.insert(hit)),
                Entry::Occupied(mut known) => known.get_mut().matches.extend(hit.matches),
            }
        }
        hits.retain(|(rule, ..), hit| {
            let count = rules.get(*rule).and_then(|r| match &r.logic {
                Logic::Rows { count, table, .. } if *table == id => count.as_ref(),
                _ => None,
            });
            count.is_none_or(|c| c.holds(table, &hit.matches))
        });
        for (at, rule, _, joins) in on_it {
            let inputs = format!("{} {}", table.len(), described.name);
            let joined = joins.iter().filter_map(|j| TABLES.get(j.table)).map(|t| t.name);
            let read: Vec<&str> = std::iter::once(described.name).chain(joined).collect();
            let hits = hits.keys().filter(|(r, ..)| *r == at).count() as u64;
            searched.push(unread.searched(&rule.id, &inputs, &read, hits));
        }
    }
    (hits.into_values().collect(), searched)
}

/// Hits by rule, system and subject.
type Hits = BTreeMap<(usize, Option<u32>, String), Hit>;
/// A rule by number, its alternatives and its joins.
type OnIt<'a> = (usize, &'a Rule, &'a [Conditions], &'a [Join]);

/// What the rules on a table say of some of its rows.
fn walk(tables: &Tables<'_>, id: TableId, table: &dyn AnyTable, on_it: &[OnIt<'_>], rows: Range<usize>) -> Hits {
    let mut hits = Hits::new();
    let columns = table.table().columns.len();
    let mut cells = Cells { table, row: 0, read: vec![None; columns], as_of: tables.as_of };
    for row in rows {
        cells.go_to(row);
        for (at, rule, when, joins) in on_it {
            if !cells.any(when) {
                continue;
            }
            let Some(joined) = follow(tables, table, row, joins) else { continue };
            let found = Match { row, joined };
            let system = table.system(row);
            let subject = rule.subject.fill(tables, table, std::slice::from_ref(&found));
            let hit = hits.entry((*at, system, subject.clone())).or_insert_with(|| Hit {
                rule: *at,
                table: id,
                system,
                subject,
                matches: Vec::new(),
            });
            hit.matches.push(found);
        }
    }
    hits
}

/// Rows from which on it is worth to walk a table in several threads.
const MANY: usize = 4096;

/// Whether a join asks that something out of the contents is not there.
fn by_absent_file(join: &Join) -> bool {
    let table = TABLES.get(join.table).map_or("", |t| t.name);
    join.none && matches!(table, "files" | "binaries" | "drivers")
}

/// The first fitting row of each join; `None` if one has none (or has one, where none is asked for).
fn follow(
    tables: &Tables<'_>,
    table: &dyn AnyTable,
    row: usize,
    joins: &[Join],
) -> Option<Vec<Option<(TableId, usize)>>> {
    let mut found: Vec<Option<(TableId, usize)>> = Vec::with_capacity(joins.len());
    for join in joins {
        let first = candidates(tables, table, row, &found, join).into_iter().find(|r| fits(tables, join, *r));
        match (first, join.none) {
            (Some(r), false) => found.push(Some((join.table, r))),
            (None, true) => found.push(None),
            _ => return None,
        }
    }
    Some(found)
}

fn candidates(
    tables: &Tables<'_>,
    table: &dyn AnyTable,
    row: usize,
    found: &[Option<(TableId, usize)>],
    join: &Join,
) -> Vec<usize> {
    let system = table.system(row);
    let Some(other) = tables.get(join.table) else { return Vec::new() };
    let mut result: Option<Vec<usize>> = None;
    for (column, own) in &join.on {
        let mut rows: Vec<usize> = wanted(tables, table, row, found, *own)
            .iter()
            .flat_map(|w| tables.find(join.table, *column, system, w))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        result = Some(match result {
            None => rows,
            Some(before) => before.into_iter().filter(|r| rows.binary_search(r).is_ok()).collect(),
        });
    }
    result.unwrap_or_else(|| (0..other.len()).filter(|r| other.system(*r) == system).collect())
}

fn wanted(
    tables: &Tables<'_>,
    table: &dyn AnyTable,
    row: usize,
    found: &[Option<(TableId, usize)>],
    own: Own,
) -> Vec<String> {
    let (table, row) = match own.join {
        None => (table, row),
        Some(j) => match found.get(j).and_then(|f| *f).and_then(|(t, r)| Some((tables.get(t)?, r))) {
            Some(other) => other,
            None => return Vec::new(),
        },
    };
    let cell = match own.column {
        Some(column) => table.cell(row, column),
        None => table.evidence(row).map_or(CellRef::Null, |e| CellRef::Path(&e.path)),
    };
    match cell {
        CellRef::Null => Vec::new(),
        CellRef::List(list) => list.to_vec(),
        other => vec![text(&other).into_owned()].into_iter().filter(|t| !t.is_empty()).collect(),
    }
}

fn fits(tables: &Tables<'_>, join: &Join, row: usize) -> bool {
    let Some(table) = tables.get(join.table) else { return false };
    let all = |all: &Conditions| all.iter().all(|(c, p)| p.holds(&table.cell(row, *c), tables.as_of));
    join.when.iter().any(all)
}
