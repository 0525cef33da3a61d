//! The case's tables, out of the inventory's own description: a new table or column needs nothing here.
use crate::inventory::{Kind, TABLES};
use std::fmt::Write as _;

/// Version of the layout; a case of another version is not opened.
pub(super) const VERSION: &str = "1";
/// `PRAGMA application_id`: "CRSC".
pub(super) const APPLICATION_ID: i32 = 0x4352_5343;

/// Whether a file that begins with these bytes is a case: SQLite's header has the application's number at byte 68.
pub fn begins_case(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0") && head.get(68..72) == Some(APPLICATION_ID.to_be_bytes().as_slice())
}

/// All `CREATE TABLE` statements. Documents (scene, scope, findings, gaps …) are JSON with the keys of the report.
/// Columns of `files` that joins fill (`against_lower`, `against_system`) are empty here and filled when a case is loaded.
/// `commits` is what an examination has behind it: keys of items (8 bytes each, little-endian) and their gaps.
pub(super) fn statements() -> String {
    let mut sql = String::from(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE cranes (id TEXT PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE devices (id TEXT PRIMARY KEY, crane TEXT NOT NULL REFERENCES cranes, role TEXT NOT NULL, named_by TEXT NOT NULL);
         CREATE TABLE exhibits (id TEXT PRIMARY KEY, device TEXT NOT NULL REFERENCES devices, document TEXT NOT NULL);
         CREATE TABLE images (position INTEGER PRIMARY KEY, id TEXT NOT NULL, exhibit TEXT, document TEXT NOT NULL);
         CREATE TABLE volumes (position INTEGER PRIMARY KEY, id TEXT NOT NULL, document TEXT NOT NULL);
         CREATE TABLE filesystems (position INTEGER PRIMARY KEY, id TEXT NOT NULL, document TEXT NOT NULL);
         CREATE TABLE systems (position INTEGER PRIMARY KEY, id TEXT NOT NULL, document TEXT NOT NULL);
         CREATE TABLE findings (position INTEGER PRIMARY KEY, id TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL, subject TEXT NOT NULL, document TEXT NOT NULL, evidence TEXT NOT NULL);
         CREATE TABLE reviews (number INTEGER PRIMARY KEY, finding TEXT NOT NULL, examiner TEXT NOT NULL, disposition TEXT NOT NULL, note TEXT NOT NULL, at TEXT NOT NULL);
         CREATE TABLE searched (rule TEXT PRIMARY KEY, inputs TEXT NOT NULL, hits INTEGER NOT NULL);
         CREATE TABLE unexamined (position INTEGER PRIMARY KEY, device TEXT NOT NULL, evidence TEXT NOT NULL);
         CREATE TABLE gaps (position INTEGER PRIMARY KEY, document TEXT NOT NULL);
         CREATE TABLE commits (number INTEGER PRIMARY KEY, items BLOB NOT NULL, gaps TEXT NOT NULL);
         CREATE TABLE left_out (item INTEGER PRIMARY KEY, unread INTEGER NOT NULL);
         CREATE TABLE log (number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);\n",
    );
    for table in TABLES {
        let _ = write!(sql, "CREATE TABLE {} (system INTEGER", table_name(table.name));
        for column in table.columns {
            let _ = write!(sql, ", \"{}\"{}", column.name, affinity(column.kind));
        }
        sql.push_str(", evidence TEXT NOT NULL);\n");
    }
    sql
}

/// `rows_files` …, so that no table of facts collides with the case's own.
pub(super) fn table_name(table: &str) -> String {
    format!("\"rows_{table}\"")
}

/// None for paths and numbers: a path that is no text is a BLOB, a number beyond SQLite's is TEXT.
fn affinity(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::List | Kind::Time => " TEXT",
        Kind::Bool | Kind::Number | Kind::Path => "",
    }
}
