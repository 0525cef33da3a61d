//! Tables of a SQLite database of the evidence, row by row, with the names of their columns: what histories of packages
//! and records of logins share.
use crate::artifact::Out;
use crate::base::{Evidence, Run};
use crate::evidence::{Entry, System, image_runs};
use crate::format::bytes::Bytes;
use crate::format::sqlite::{Database, Row, Value};
use crate::image::Source;

/// Tables of one database that are looked at.
const MAX_TABLES: usize = 1000;

/// A row with the names of its columns.
pub(super) struct Named<'a> {
    pub(super) table: &'a str,
    columns: &'a [String],
    pub(super) row: Row,
}
impl Named<'_> {
    fn value(&self, names: &[&str]) -> Option<&Value> {
        let at = self.columns.iter().position(|c| names.iter().any(|n| n.eq_ignore_ascii_case(c)))?;
        self.row.values.get(at)
    }
    /// Of the first column that has one of these names.
    pub(super) fn number(&self, names: &[&str]) -> Option<i64> {
        if let Some(Value::Integer(n)) = self.value(names) { Some(*n) } else { None }
    }
    pub(super) fn text(&self, names: &[&str]) -> Option<String> {
        if let Some(Value::Text(t)) = self.value(names) { Some(String::from_utf8_lossy(t).into_owned()) } else { None }
    }
}

/// Calls `each` for the rows of the tables that are wanted; what cannot be read is a gap. The bytes of the database, to
/// cite from.
pub(super) fn rows(
    system: &System,
    entry: &Entry,
    out: &Out,
    wanted: &[&str],
    each: &mut dyn FnMut(Named<'_>),
) -> Option<Source> {
    let source = system.open(entry).map_err(|e| out.gap(entry, e)).ok()?;
    let log = system.resolve([entry.path.bytes(), b"-wal".as_slice()].concat());
    let log = log.filter(|e| e.is_file() && !e.is_empty()).and_then(|e| {
        let told = |error| out.gap(e, format!("what was written last to the database is not read: {error}"));
        system.open(e).map_err(told).ok()
    });
    let own = |at: u64, to: &mut [u8]| source.read_at(at, to).map_err(|e| e.to_string());
    let other = |at: u64, to: &mut [u8]| match &log {
        Some(log) => log.read_at(at, to).map_err(|e| e.to_string()),
        None => Ok(0),
    };
    let file = Bytes { len: source.len(), read: &own };
    let log = log.as_ref().map(|log| Bytes { len: log.len(), read: &other });
    let database = Database::open(file, log).map_err(|e| out.gap(entry, e)).ok()?;
    let mut damaged = |at: u64, what: String| out.gap_in(entry, at, what, 0);
    let mut tables: Vec<(String, u32, Vec<String>)> = Vec::new();
    database.rows(1, &mut damaged, &mut |row| {
        if let [Value::Text(kind), Value::Text(name), _, Value::Integer(root), Value::Text(sql), ..] =
            row.values.as_slice()
            && kind == b"table"
            && let Ok(root) = u32::try_from(*root)
        {
            let name = String::from_utf8_lossy(name).into_owned();
            tables.push((name, root, columns(&String::from_utf8_lossy(sql))));
        }
        tables.len() < MAX_TABLES
    });
    for (table, root, columns) in tables.iter().filter(|t| wanted.contains(&t.0.as_str())) {
        database.rows(*root, &mut damaged, &mut |row| {
            each(Named { table, columns, row });
            true
        });
    }
    drop(database);
    Some(source)
}

/// A row as evidence.
pub(super) fn evidence(system: &System, entry: &Entry, source: &Source, place: Option<Run>, key: String) -> Evidence {
    let runs = place.map(|p| image_runs(source, Some(p))).unwrap_or_default();
    Evidence { range: place, image_runs: runs, key: Some(key), ..system.evidence(entry) }
}

/// Names of a table's columns, by the statement that made it.
fn columns(sql: &str) -> Vec<String> {
    let inner = sql.split_once('(').map(|(_, rest)| rest).unwrap_or_default();
    let mut depth = 0_i32;
    let mut parts = vec![String::new()];
    for c in inner.chars() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => parts.push(String::new()),
            c => {
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    let name =
        |p: &String| p.split_whitespace().next().unwrap_or_default().trim_matches(['"', '`', '[', ']']).to_owned();
    parts.iter().map(name).collect()
}
