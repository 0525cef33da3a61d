//! Taking a case to examine into it: made, or found; in either case held against every other process until it
//! is closed. And what an examination leaves on its way, so that a later one can go on.
//!
//! Whatever was committed together is written together: the rows, their gaps, and the keys of the items that
//! gave them. So a case killed at any moment holds every item whole or not at all.
use super::data::Run;
use super::identity::{Asked, Identity};
use super::schema::{APPLICATION_ID, VERSION, statements};
use super::store::{Case, CaseError, fault, inode, json};
use crate::base::Gap;
use crate::inventory::Scene;
use crate::inventory::portable::Ids;
use crate::inventory::portable_gap::PortableGap;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of a page of a new case.
const PAGE: u32 = 32 << 10;
/// How long a case that another process holds is asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one attempt waits: less than that, as two may wait for one another.
const ATTEMPT: Duration = Duration::from_millis(50);

/// An item that brought down workers, and what of it was therefore not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Not parsed; where it is a file, read and hashed.
    Unparsed,
    /// Not read either.
    Unread,
}

/// What an examination has behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub items: Vec<u64>,
    pub left_out: Vec<(u64, LeftOut)>,
    /// Of those items.
    pub gaps: Vec<Gap>,
}

impl Case {
    /// Takes the case at `path`, and says whether it is new. Nothing is made of what the file holds already,
    /// unless it is a case and `overwrite` is set.
    pub fn claim(path: &Path, overwrite: bool, identity: &Identity, asked: &Asked) -> Result<(Self, bool), CaseError> {
        let began = Instant::now();
        // Of two that begin at the same moment each may hold what the other one waits for, as exclusive locking keeps
        // a shared lock while it waits. They let go and come back after different times.
        let pause = Duration::from_millis(u64::from(20 + std::process::id() % 16 * 15));
        loop {
            match Self::claim_once(path, overwrite, identity, asked) {
                Err(CaseError::Busy(_)) if began.elapsed() < PATIENCE => std::thread::sleep(pause),
                done => return done,
            }
        }
    }
    fn claim_once(path: &Path, overwrite: bool, identity: &Identity, asked: &Asked) -> Result<(Self, bool), CaseError> {
        let length = || std::fs::metadata(path).map(|m| m.len());
        let replaced = if overwrite && length().is_ok_and(|len| len > 0) {
            // A file that is no case is never removed, whatever was asked; nor is one that somebody writes.
            let old = Self::open(path)?;
            old.db().busy_timeout(ATTEMPT).map_err(|e| old.fault(&e))?;
            old.db().execute_batch("BEGIN EXCLUSIVE").map_err(|e| old.fault(&e))?;
            let refused = |e: std::io::Error| {
                format!("{}: the case cannot be replaced; check folder and permission ({e})", path.display())
            };
            std::fs::remove_file(path).map_err(|e| CaseError::Environment(refused(e)))?;
            Some(old)
        } else {
            None
        };
        let was_there = path.exists();
        let seen = inode(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|e| fault(path, &e))?;
        let lock = || -> rusqlite::Result<()> {
            db.busy_timeout(ATTEMPT)?;
            // Of a new file: rows are about a kilobyte long, and each page is a call of the system.
            db.pragma_update(None, "page_size", PAGE)?;
            db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            // Synced at every commit, as a case must outlive a loss of power; there is one in a second at most.
            db.pragma_update(None, "synchronous", "FULL")?;
            db.execute_batch("BEGIN EXCLUSIVE")?;
            db.busy_timeout(PATIENCE)
        };
        lock().map_err(|e| fault(path, &e))?;
        drop(replaced);
        let now = inode(path);
        if was_there && seen != now {
            return Err(CaseError::Busy(path.to_owned()));
        }
        let case = Self::of(db, path, now);
        // An empty file is an examination that was stopped before it began.
        let is_new = length().is_ok_and(|len| len == 0);
        if is_new {
            let made = case.set_up(identity, asked).map_err(|e| case.fault(&e));
            if made.is_err() && !was_there && length().is_ok_and(|len| len == 0) {
                drop(std::fs::remove_file(path));
            }
            made?;
        } else {
            case.commit()?;
            case.check_version()?;
        }
        Ok((case, is_new))
    }

    fn set_up(&self, identity: &Identity, asked: &Asked) -> rusqlite::Result<()> {
        self.db().pragma_update(None, "application_id", APPLICATION_ID)?;
        self.db().execute_batch(&statements())?;
        self.set_meta("version", VERSION)?;
        self.set_meta("state", "running")?;
        self.set_meta("identity", &json(identity))?;
        self.set_meta("asked", &json(asked))?;
        self.db().execute_batch("COMMIT")
    }

    /// What the case is a case of; `None` in one of an earlier build.
    pub fn identity(&self) -> Result<Option<Identity>, CaseError> {
        self.optional("identity")
    }
    pub fn asked(&self) -> Result<Asked, CaseError> {
        Ok(self.optional("asked")?.unwrap_or_default())
    }
    fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CaseError> {
        let parse = |json: String| serde_json::from_str(&json).map_err(|e| self.broken("meta", &e.to_string()));
        self.meta(key)?.map(parse).transpose()
    }

    /// Writes who examines, when and how, before there is anything else to write.
    pub fn write_run(&self, run: &Run) -> Result<(), CaseError> {
        self.set_meta("run", &json(run)).map_err(|e| self.fault(&e))
    }

    /// Opens a finished or stopped examination again, in the transaction that is open.
    pub fn reopen(&self, asked: &Asked) -> Result<(), CaseError> {
        let set = || self.set_meta("state", "running").and_then(|()| self.set_meta("asked", &json(asked)));
        set().map_err(|e| self.fault(&e))
    }

    /// Adds the keys of items whose rows the open transaction holds, with their gaps.
    pub fn add_items(&self, items: &[u64], gaps: &[Gap], scene: &Scene, ids: &Ids) -> Result<(), CaseError> {
        let keys: Vec<u8> = items.iter().flat_map(|i| i.to_le_bytes()).collect();
        let volumes: Vec<String> = scene.volumes.iter().map(|v| v.id.clone()).collect();
        let gaps: Vec<_> = gaps.iter().map(|gap| PortableGap { gap, ids, volumes: &volumes }).collect();
        let add = || -> rusqlite::Result<()> {
            let mut statement = self.db().prepare_cached("INSERT INTO commits (items, gaps) VALUES (?1, ?2)")?;
            statement.execute(rusqlite::params![keys, json(&gaps)]).map(drop)
        };
        add().map_err(|e| self.fault(&e))
    }
    /// Adds an item that is to be left out from now on.
    pub fn add_left_out(&self, item: u64, what: LeftOut) -> Result<(), CaseError> {
        let values = rusqlite::params![item.cast_signed(), what == LeftOut::Unread];
        let added = self.db().execute("INSERT OR REPLACE INTO left_out VALUES (?1, ?2)", values);
        added.map(drop).map_err(|e| self.fault(&e))
    }
    /// Replaces the scene, as far as it is known on the way.
    pub fn write_scene(&self, scene: &Scene) -> Result<(), CaseError> {
        self.scene(scene, &[]).map_err(|e| self.fault(&e))
    }

    /// Whether the file is whole as a database: in SQLite's own words what is not.
    pub fn check_file(&self) -> Result<Option<String>, CaseError> {
        let told = self.db().query_row("PRAGMA quick_check(1)", [], |r| r.get::<_, String>(0)).optional();
        Ok(told.map_err(|e| self.fault(&e))?.filter(|t| t != "ok"))
    }
}

/// A digest of the tables' layout.
pub fn layout_sha256() -> String {
    crate::base::Digest(Sha256::digest(statements()).into()).to_string()
}
