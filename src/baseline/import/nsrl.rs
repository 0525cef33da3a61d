//! The NSRL's reference data set, version 3: a database of SQLite, full (`METADATA`, with views) or minimal (`FILE`).
//! Format: the schema that NIST publishes with it.
use super::{Each, Fault, Importer, some};
use crate::base::{Digest, Md5, Sha1};
use crate::baseline::gather::Hashes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::io::Read as _;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "nsrl",
    about: "NSRL RDS 3 (SQLite), full and minimal",
    limits: "products and names are not kept; deltas (.sql) must be applied first; the RDS names what is known, not what is good: it holds hacking tools as well",
    probe: |head| head.starts_with(b"SQLite format 3\0"),
    read,
};

/// Tables that hold a row a file, the full layout's first: there `FILE` is a view that joins.
const TABLES: &[&str] = &["METADATA", "FILE", "DISTINCT_HASH"];

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    whole(path)?;
    let fault = |e: rusqlite::Error| Fault::List(0, format!("not a database that can be read: {e}"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(fault)?;
    let (table, columns) = layout(&db).map_err(fault)?.map_err(|what| Fault::List(0, what))?;
    let list: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let mut statement = db.prepare(&format!("SELECT {} FROM \"{table}\"", list.join(", "))).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    let mut number = 0_u64;
    while let Some(row) = rows.next().map_err(fault)? {
        number = number.saturating_add(1);
        let mut hashes = Hashes::default();
        for (at, (name, kind)) in columns.iter().enumerate() {
            let wrong = |found: &str| Fault::List(0, format!("{table} row {number}: {found:?} is no {name}"));
            let fits = match row.get_ref(at).map_err(fault)? {
                ValueRef::Null | ValueRef::Text([]) => true,
                ValueRef::Text(hex) => {
                    let hex = std::str::from_utf8(hex).map_err(|_| wrong("bytes"))?;
                    if !super::take(&mut hashes, *kind, hex) {
                        return Err(wrong(hex));
                    }
                    true
                }
                ValueRef::Blob(raw) => raw_value(&mut hashes, *kind, raw),
                _ => false,
            };
            if !fits {
                return Err(wrong("another value"));
            }
        }
        each(&hashes)?;
    }
    some(number > 0, "rows")
}

/// A database that is shorter than its header says: SQLite would read what is missing as zeros.
fn whole(path: &Path) -> Result<(), Fault> {
    let unread = |e: std::io::Error| Fault::List(0, format!("cannot be read: {e}"));
    let mut file = std::fs::File::open(path).map_err(unread)?;
    let mut head = [0; 100];
    file.read_exact(&mut head).map_err(unread)?;
    let word = |at: usize| head.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b));
    let size = match word(16) >> 16 {
        1 => 65_536_u64,
        size => size.into(),
    };
    // Versions of SQLite before 3.7 leave the number of pages alone.
    let pages = if word(24) == word(92) { u64::from(word(28)) } else { 0 };
    let (len, said) = (file.metadata().map_err(unread)?.len(), pages.saturating_mul(size));
    if len < said {
        return Err(Fault::List(0, format!("the file is cut short: {len} bytes where its header says {said}")));
    }
    Ok(())
}

fn raw_value(hashes: &mut Hashes, kind: super::Named, raw: &[u8]) -> bool {
    match kind {
        super::Named::Sha256 => hashes.sha256 = raw.try_into().ok().map(Digest),
        super::Named::Sha1 => hashes.sha1 = raw.try_into().ok().map(Sha1),
        super::Named::Md5 => hashes.md5 = raw.try_into().ok().map(Md5),
    }
    *hashes != Hashes::default()
}

type Layout = (String, Vec<(String, super::Named)>);

/// The table to read and its columns of hashes, or what was expected and what was found.
fn layout(db: &Connection) -> rusqlite::Result<Result<Layout, String>> {
    let mut statement = db.prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for wanted in TABLES {
        let Some(table) = names.iter().find(|n| n.eq_ignore_ascii_case(wanted)) else { continue };
        let mut statement = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns: Vec<String> = statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let hashed: Vec<_> = columns.into_iter().filter_map(|c| super::named(&c).map(|kind| (c, kind))).collect();
        if !hashed.is_empty() {
            return Ok(Ok((table.clone(), hashed)));
        }
    }
    let found = if names.is_empty() { "no table".to_owned() } else { names.join(", ") };
    let expected = "expected a table METADATA or FILE with columns sha256, sha1 or md5";
    Ok(Err(format!("another layout than that of NSRL RDS 3: {expected}, found {found}")))
}
