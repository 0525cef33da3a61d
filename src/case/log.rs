//! The case's log. It only grows: the hash of each line covers the line before it, and `meta` keeps how many lines
//! there are and the hash of the last, written in one step with the line.
use super::store::{Case, CaseError};
use crate::base::{Digest, Time};
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

/// Key of `meta`: the number of lines, a space, the hash of the last.
const END: &str = "log_end";

/// The first line of a log that is not as it was written, and in what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub number: i64,
    pub why: String,
}

impl Case {
    /// Adds a line to the log.
    pub fn log(&self, who: &str, what: &str) -> Result<(), CaseError> {
        self.append(who, what).map_err(|e| self.fault(&e))
    }
    pub(super) fn append(&self, who: &str, what: &str) -> rusqlite::Result<()> {
        // Line and end together, inside of a transaction or not.
        self.db().execute_batch("SAVEPOINT line")?;
        let added = self.add_line(who, what).and_then(|()| self.db().execute_batch("RELEASE line"));
        if added.is_err() {
            // The first error is the one to tell; after a full disk SQLite may have rolled back by itself.
            drop(self.db().execute_batch("ROLLBACK TO line; RELEASE line"));
        }
        added
    }
    fn add_line(&self, who: &str, what: &str) -> rusqlite::Result<()> {
        let last = self.db().query_row("SELECT hash FROM log ORDER BY number DESC LIMIT 1", [], |r| r.get(0));
        let previous: String = last.optional()?.unwrap_or_default();
        let at = Time::now().to_string();
        let hash = line_hash(&previous, &at, who, what);
        let sql = "INSERT INTO log (at, who, what, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.db().execute(sql, params![at, who, what, previous, hash])?;
        self.set_meta(END, &format!("{} {hash}", self.db().last_insert_rowid()))
    }

    /// How many lines the log has, and the hash of the last.
    pub fn log_end(&self) -> Result<(i64, String), CaseError> {
        let sql = "SELECT count(*), coalesce((SELECT hash FROM log ORDER BY number DESC LIMIT 1), '') FROM log";
        self.db().query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?))).map_err(|e| self.fault(&e))
    }

    /// The first line that is not as it was written, if any. A log that cannot be read is bad from the line on at
    /// which it ends.
    pub fn verify_log(&self) -> Option<BadLine> {
        let mut next = 1_i64;
        let mut last = String::new();
        let bad = |number, why: String| Some(BadLine { number, why });
        let unreadable = |number, e: rusqlite::Error| bad(number, format!("it cannot be read ({e})"));
        let mut statement =
            match self.db().prepare("SELECT number, at, who, what, previous, hash FROM log ORDER BY number") {
                Ok(statement) => statement,
                Err(e) => return unreadable(next, e),
            };
        let mut rows = match statement.query([]) {
            Ok(rows) => rows,
            Err(e) => return unreadable(next, e),
        };
        loop {
            match rows.next() {
                Err(e) => return unreadable(next, e),
                Ok(None) => break,
                Ok(Some(row)) => match line(row, next, &last) {
                    Ok(hash) => last = hash,
                    Err(why) => return bad(next, why),
                },
            }
            next = next.saturating_add(1);
        }
        // Cases of earlier builds do not keep the end.
        let end = match self.meta(END) {
            Ok(end) => end?,
            Err(e) => return bad(next, format!("whether it is the last is not known ({e})")),
        };
        let count = next.saturating_sub(1);
        if end == format!("{count} {last}") {
            return None;
        }
        let kept = end.split_once(' ').and_then(|(count, _)| count.parse::<i64>().ok());
        match kept {
            Some(kept) if kept > count => bad(next, format!("it is missing: the case says that there are {kept}")),
            Some(kept) if kept < count => {
                bad(kept.saturating_add(1), format!("the case says that there are {kept} lines only"))
            }
            _ => bad(count, "the case keeps another hash of the last line".to_owned()),
        }
    }
}

/// The hash of a line that is as it was written, else what is wrong with it.
fn line(row: &Row<'_>, number: i64, previous: &str) -> Result<String, String> {
    let text = |n: usize| match row.get_ref(n) {
        Ok(ValueRef::Text(text)) => std::str::from_utf8(text).map_err(|_| "it is no text".to_owned()),
        Ok(_) => Err("it is no text".to_owned()),
        Err(e) => Err(format!("it cannot be read ({e})")),
    };
    match row.get_ref(0) {
        Ok(ValueRef::Integer(n)) if n == number => {}
        Ok(ValueRef::Integer(n)) => return Err(format!("line {n} stands in its place")),
        _ => return Err("it has no number".to_owned()),
    }
    if text(4)? != previous {
        return Err("it does not follow the line before it".to_owned());
    }
    let hash = line_hash(previous, text(1)?, text(2)?, text(3)?);
    if text(5)? == hash { Ok(hash) } else { Err("it is not covered by its hash: it was changed".to_owned()) }
}

fn line_hash(previous: &str, at: &str, who: &str, what: &str) -> String {
    let mut hash = Sha256::new();
    for part in [previous, at, who, what] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into()).to_string()
}
