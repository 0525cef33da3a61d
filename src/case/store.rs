//! The case file: an SQLite database that any other tool can read.
//!
//! Rows are added in transactions, so a kill at any moment leaves a case that opens and holds what
//! was committed. `meta.state` says whether the examination was finished.
use super::cells;
use super::data::{CaseData, Exhibit};
use super::schema::{APPLICATION_ID, VERSION, table_name};
use crate::base::Evidence;
use crate::inventory::portable::{Ids, PortableEvidence};
use crate::inventory::portable_gap::PortableGap;
use crate::inventory::{AnyTable, CellRef, Row, Scene, TABLES, Table, portable_text};
use crate::judge::{Finding, Review};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, params};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Why a case could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// The file is no case, or one of another version, or damaged.
    NotACase(String),
    /// It exists, is a case of something else, and was not to be replaced.
    Exists { path: PathBuf, differs: String },
    /// Another process is writing it.
    Busy(PathBuf),
    /// No space, no permission, no such folder.
    Environment(String),
}
impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACase(what) | Self::Environment(what) => f.write_str(what),
            Self::Exists { path, differs } => {
                let path = path.display();
                write!(
                    f,
                    "{path}: this case exists and differs in {differs}; use --overwrite, or name another with --case"
                )
            }
            Self::Busy(path) => write!(f, "{}: another process is writing this case; close it first", path.display()),
        }
    }
}

/// An open case.
pub struct Case {
    db: Connection,
    path: PathBuf,
    /// Which file it is, so that one put in its place is noticed.
    inode: Option<(u64, u64)>,
}

impl Case {
    pub(super) fn of(db: Connection, path: &Path, inode: Option<(u64, u64)>) -> Self {
        // One for each table, and those of the commits.
        db.set_prepared_statement_cache_capacity(TABLES.len() + 4);
        Self { db, path: path.to_owned(), inode }
    }

    /// Opens a case to read it, and to add reviews.
    pub fn open(path: &Path) -> Result<Self, CaseError> {
        if !path.is_file() {
            return Err(CaseError::NotACase(format!("{}: no such case", path.display())));
        }
        let inode = inode(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|e| fault(path, &e))?;
        let case = Self::of(db, path, inode);
        case.check_version()?;
        Ok(case)
    }

    /// Refuses what is no case, and cases of other versions.
    pub(super) fn check_version(&self) -> Result<(), CaseError> {
        let at = self.path.display();
        let id = self.db.pragma_query_value(None, "application_id", |r| r.get::<_, i32>(0));
        let version = if id.map_err(|e| self.fault(&e))? == APPLICATION_ID { self.meta("version")? } else { None };
        match version.as_deref() {
            Some(VERSION) => Ok(()),
            Some(other) => {
                let text = format!("{at}: a case of version {other}; this program reads version {VERSION}");
                Err(CaseError::NotACase(text))
            }
            None if std::fs::metadata(&self.path).is_ok_and(|m| m.len() == 0) => {
                Err(CaseError::NotACase(format!("{at}: empty; its examination was stopped before it began")))
            }
            None => Err(CaseError::NotACase(format!("{at}: not a case file"))),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
    pub(super) fn db(&self) -> &Connection {
        &self.db
    }
    pub(super) fn fault(&self, e: &rusqlite::Error) -> CaseError {
        fault(&self.path, e)
    }
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, CaseError> {
        use rusqlite::OptionalExtension as _;
        let row = self.db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0));
        row.optional().map_err(|e| self.fault(&e))
    }
    pub(super) fn set_meta(&self, key: &str, value: &str) -> rusqlite::Result<()> {
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value]).map(drop)
    }

    /// Begins a transaction that the next [`Self::commit`] ends.
    pub fn begin(&self) -> Result<(), CaseError> {
        self.db.execute_batch("BEGIN IMMEDIATE").map_err(|e| self.fault(&e))?;
        if inode(&self.path) == self.inode {
            return Ok(());
        }
        drop(self.db.execute_batch("ROLLBACK"));
        Err(CaseError::Environment(format!(
            "{}: the case was removed or replaced while it was open; run again",
            self.path.display()
        )))
    }
    pub fn commit(&self) -> Result<(), CaseError> {
        self.db.execute_batch("COMMIT").map_err(|e| self.fault(&e))
    }

    /// Adds rows; `ids` must know the file systems and images they name.
    pub fn add_rows<'a>(&self, rows: impl IntoIterator<Item = &'a Row>, ids: &Ids) -> Result<(), CaseError> {
        let mut into: Option<Intake<'_>> = None;
        for row in rows {
            let mut add = || -> rusqlite::Result<()> {
                let table = row.table();
                let into = match &mut into {
                    Some(into) if into.table == table.name => into,
                    // The statement before goes back first.
                    other => {
                        drop(other.take());
                        other.insert(Intake::new(&self.db, table)?)
                    }
                };
                into.add(row.system(), &|each| row.cells(each), row.evidence(), ids)
            };
            add().map_err(|e| self.fault(&e))?;
        }
        Ok(())
    }

    /// Replaces a whole table of facts, in its order.
    pub fn replace_table(&self, table: &dyn AnyTable, ids: &Ids) -> Result<(), CaseError> {
        let name = table.table().name;
        let replace = || -> rusqlite::Result<()> {
            self.db.execute(&format!("DELETE FROM {}", table_name(name)), [])?;
            let mut into = Intake::new(&self.db, table.table())?;
            for row in 0..table.len() {
                if let Some(evidence) = table.evidence(row) {
                    let cells = |each: &mut dyn FnMut(_)| table.cells(row, each);
                    into.add(table.system(row), &cells, evidence, ids)?;
                }
            }
            Ok(())
        };
        replace().map_err(|e| self.fault(&e))
    }

    /// Replaces everything but the tables of facts, the reviews and the log.
    pub fn write_documents(&self, data: &CaseData) -> Result<(), CaseError> {
        self.documents(data).map_err(|e| self.fault(&e))
    }
    fn documents(&self, data: &CaseData) -> rusqlite::Result<()> {
        let (db, ids) = (&self.db, Ids::of(&data.scene));
        for table in ["exhibits", "devices", "cranes", "findings", "searched", "unexamined", "gaps"] {
            db.execute(&format!("DELETE FROM {table}"), [])?;
        }
        db.execute("INSERT INTO cranes VALUES ('crane', ?1)", [&data.scope.crane])?;
        for d in &data.scope.devices {
            db.execute("INSERT INTO devices VALUES (?1, 'crane', ?2, ?3)", params![d.id, d.role, d.named_by])?;
        }
        for e in &data.scope.exhibits {
            db.execute("INSERT INTO exhibits VALUES (?1, ?2, ?3)", params![e.id, e.device, json(e)])?;
        }
        self.scene(&data.scene, &data.scope.exhibits)?;
        for (n, f) in (0_i64..).zip(&data.findings) {
            let evidence: Vec<_> = f.evidence.iter().map(|evidence| PortableEvidence { evidence, ids: &ids }).collect();
            let bare = Finding { evidence: Vec::new(), reviews: Vec::new(), ..f.clone() };
            let severity = json(&f.severity).replace('"', "");
            let values = params![n, f.id, f.rule, severity, f.subject, json(&bare), json(&evidence)];
            db.execute("INSERT INTO findings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values)?;
        }
        for s in &data.searched {
            db.execute(
                "INSERT OR REPLACE INTO searched VALUES (?1, ?2, ?3)",
                params![s.rule, s.inputs, i64::try_from(s.hits).unwrap_or(i64::MAX)],
            )?;
        }
        for (n, u) in (0_i64..).zip(&data.unexamined) {
            let evidence = json(&PortableEvidence { evidence: &u.named_by, ids: &ids });
            db.execute("INSERT INTO unexamined VALUES (?1, ?2, ?3)", params![n, u.device, evidence])?;
        }
        let volume_ids: Vec<String> = data.scene.volumes.iter().map(|v| v.id.clone()).collect();
        for (n, gap) in (0_i64..).zip(&data.gaps) {
            let document = json(&PortableGap { gap, ids: &ids, volumes: &volume_ids });
            db.execute("INSERT INTO gaps VALUES (?1, ?2)", params![n, document])?;
        }
        self.set_meta("run", &json(&data.run))?;
        self.set_meta("tool", &json(&data.tool))?;
        self.set_meta("verdict", &json(&data.verdict))
    }

    pub(super) fn scene(&self, scene: &Scene, exhibits: &[Exhibit]) -> rusqlite::Result<()> {
        let db = &self.db;
        for table in ["images", "volumes", "filesystems", "systems"] {
            db.execute(&format!("DELETE FROM {table}"), [])?;
        }
        let Scene { images, volumes, filesystems, systems } = scene;
        for (n, image) in (0_i64..).zip(images) {
            let exhibit = exhibits.iter().find(|e| e.images.contains(&image.id)).map(|e| &e.id);
            db.execute("INSERT INTO images VALUES (?1, ?2, ?3, ?4)", params![n, image.id, exhibit, json(image)])?;
        }
        for (n, v) in (0_i64..).zip(volumes) {
            db.execute("INSERT INTO volumes VALUES (?1, ?2, ?3)", params![n, v.id, json(v)])?;
        }
        for (n, f) in (0_i64..).zip(filesystems) {
            db.execute("INSERT INTO filesystems VALUES (?1, ?2, ?3)", params![n, f.id, json(f)])?;
        }
        for (n, s) in (0_i64..).zip(systems) {
            db.execute("INSERT INTO systems VALUES (?1, ?2, ?3)", params![n, s.id, json(s)])?;
        }
        Ok(())
    }

    /// Marks the examination as finished.
    pub fn finish(&self) -> Result<(), CaseError> {
        self.set_meta("state", "finished").map_err(|e| self.fault(&e))
    }
    /// Whether the examination ran to its end.
    pub fn is_finished(&self) -> Result<bool, CaseError> {
        Ok(self.meta("state")?.as_deref() == Some("finished"))
    }

    /// Adds an examiner's decision, and a line in the log.
    pub fn add_review(&self, finding: &str, review: &Review) -> Result<(), CaseError> {
        self.begin()?;
        let known = self.db.query_row("SELECT count(*) FROM findings WHERE id = ?1", [finding], |r| r.get::<_, i64>(0));
        if known.map_err(|e| self.fault(&e))? == 0 {
            return Err(CaseError::NotACase(format!("{}: no finding {finding}", self.path.display())));
        }
        let add = || -> rusqlite::Result<()> {
            let values = params![finding, review.examiner, review.disposition, review.note, review.at.to_string()];
            self.db.execute(
                "INSERT INTO reviews (finding, examiner, disposition, note, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                values,
            )?;
            self.append(&review.examiner, &format!("review of {finding}: {} {}", review.disposition, review.note))
        };
        add().map_err(|e| self.fault(&e))?;
        // A decision may be what the verdict waited for; that it changed is in the log.
        if let Some((before, now)) = self.verdict_again()? {
            let what = format!("verdict weighed again: {}, before {}", now.result.word(), before.result.word());
            let write = || self.set_meta("verdict", &json(&now)).and_then(|()| self.append("", &what));
            write().map_err(|e| self.fault(&e))?;
        }
        self.commit()
    }
}

/// Takes rows of one table.
struct Intake<'a> {
    table: &'static str,
    statement: CachedStatement<'a>,
    /// For texts on their way.
    room: Vec<u8>,
}
impl<'a> Intake<'a> {
    fn new(db: &'a Connection, table: &Table) -> rusqlite::Result<Self> {
        Ok(Self { table: table.name, statement: db.prepare_cached(insert(table))?, room: Vec::new() })
    }
    fn add<'r>(
        &mut self,
        system: Option<u32>,
        cells: &dyn Fn(&mut dyn FnMut(CellRef<'r>)),
        evidence: &Evidence,
        ids: &Ids,
    ) -> rusqlite::Result<()> {
        let Self { statement, room, .. } = self;
        statement.raw_bind_parameter(1, system)?;
        let mut at = 1_usize;
        let mut bound = Ok(());
        cells(&mut |cell| {
            at = at.saturating_add(1);
            if bound.is_ok() {
                bound = statement.raw_bind_parameter(at, cells::store(&cell, room));
            }
        });
        bound?;
        room.clear();
        portable_text::evidence(room, evidence, ids);
        let text = ToSqlOutput::Borrowed(ValueRef::Text(room));
        statement.raw_bind_parameter(at.saturating_add(1), text)?;
        statement.raw_execute().map(drop)
    }
}

/// The statement that adds a row, made once for each table.
fn insert(table: &Table) -> &'static str {
    static ALL: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
        let sql = |t: &Table| {
            format!("INSERT INTO {} VALUES (?{})", table_name(t.name), ", ?".repeat(t.columns.len().saturating_add(1)))
        };
        TABLES.iter().map(|t| (t.name, sql(t))).collect()
    });
    ALL.iter().find(|(name, _)| *name == table.name).map_or("", |(_, sql)| sql)
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    // Fails only for maps whose keys are no text; none of ours has such keys.
    serde_json::to_string(value).unwrap_or_default()
}

/// Which file lies at a path: device and inode.
#[cfg(unix)]
pub(super) fn inode(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}
#[cfg(not(unix))]
pub(super) fn inode(_: &Path) -> Option<(u64, u64)> {
    None
}

/// What went wrong, for the user: full disks and foreign files are told apart from the rest.
pub(super) fn fault(path: &Path, e: &rusqlite::Error) -> CaseError {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, PermissionDenied, ReadOnly,
    };
    let at = path.display();
    match e.sqlite_error_code() {
        Some(DiskFull) => CaseError::Environment(format!("{at}: no space left for the case; free some and run again")),
        Some(DatabaseBusy | DatabaseLocked) => CaseError::Busy(path.to_owned()),
        Some(NotADatabase | DatabaseCorrupt) => CaseError::NotACase(format!("{at}: not a case file, or damaged ({e})")),
        Some(CannotOpen | PermissionDenied | ReadOnly) => CaseError::Environment(format!(
            "{at}: the case cannot be opened for writing; check folder and permission ({e})"
        )),
        _ => CaseError::Environment(format!("{at}: {e}")),
    }
}
