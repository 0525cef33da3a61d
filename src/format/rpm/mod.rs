//! RPM's databases of installed packages, in their three forms, and the package headers in them.
//!
//! Formats: header structures of the RPM package format (rpm.org, "Package format V4"); `ndb` (rpm's
//! `lib/backend/ndb/rpmpkg.c`); Berkeley DB hash tables (db 4 and 5, page types `P_HASH`, `P_OVERFLOW`); SQLite
//! ([`super::sqlite`]), table `Packages` of header number and blob.
mod bdb;
mod header;
mod ndb;

pub use header::{Header, Seal, tag};

use super::bytes::Bytes;
use super::sqlite::{Database, MAGIC as SQLITE, Value};
use crate::base::Run;

/// Longest header that is read: rpm itself stops at 256 MiB of data, real ones stay below 16.
const MAX_HEADER: u64 = 64 << 20;
/// Damaged places told one by one.
const MAX_TOLD: usize = 64;

/// A package's header as the database holds it.
pub struct Stored {
    /// The number under which the database has it.
    pub number: u32,
    pub blob: Vec<u8>,
    /// Bytes of the database file that it begins with, where it has any of its own.
    pub place: Option<Run>,
}

/// Calls `each` with every header, in the order of the file; `each` says whether to go on. `log` is the write-ahead log
/// of an SQLite database. What is damaged is told with its place. The error says why it is no such database.
pub fn headers<'a>(
    file: Bytes<'a>,
    log: Option<Bytes<'a>>,
    damaged: &mut dyn FnMut(u64, String),
    each: &mut dyn FnMut(Stored) -> bool,
) -> Result<(), String> {
    let head = file.exact(0, file.len.min(32))?;
    if head.starts_with(SQLITE) {
        let database = Database::open(file, log)?;
        let root = database.table("Packages", damaged).ok_or("it has no table of packages")?;
        let mut odd = 0_usize;
        database.rows(root, damaged, &mut |row| {
            let number = u32::try_from(row.rowid).unwrap_or(0);
            if let Some(Value::Blob(blob)) = row.values.into_iter().nth(1) {
                return each(Stored { number, blob, place: row.place });
            }
            odd = odd.saturating_add(1);
            true
        });
        if odd > 0 {
            damaged(0, format!("{odd} rows of the table of packages hold no header"));
        }
        return Ok(());
    }
    let mut told = 0_usize;
    let mut tell = |at: u64, what: String| {
        told = told.saturating_add(1);
        if told <= MAX_TOLD {
            damaged(at, what);
        }
    };
    if head.starts_with(ndb::MAGIC) {
        ndb::headers(&file, &mut tell, each)
    } else {
        bdb::headers(&file, &mut tell, each)
    }?;
    if told > MAX_TOLD {
        damaged(0, format!("{} further damaged places", told.saturating_sub(MAX_TOLD)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
