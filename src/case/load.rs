//! A case read back into memory. The file may have been changed by anybody: what does not fit is an error
//! that names the table, never a panic.
use super::cells;
use super::claim::{LeftOut, Taken};
use super::data::CaseData;
use super::schema::table_name;
use super::store::{Case, CaseError};
use super::verdict::Verdict;
use crate::base::{Evidence, Gap, Place, Time};
use crate::inventory::portable::{Ids, parse_evidence};
use crate::inventory::portable_gap::parse_gap;
use crate::inventory::{Inventory, Row, Scene, TABLES, Table};
use crate::judge::{Finding, Review, Searched, Unexamined};
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;

/// A case of an examination that was stopped or killed: it says so itself, wherever it is shown.
fn unfinished(data: &mut CaseData) {
    data.run.finished = None;
    let gap = Gap {
        at: Place::default(),
        by: "session".into(),
        what: "the examination did not finish: what it had not read is missing, and is no statement of absence".into(),
        bytes: 0,
    };
    // Judging such a case again saves its gaps.
    if !data.gaps.contains(&gap) {
        data.gaps.insert(0, gap);
    }
}

impl Case {
    /// Everything the case holds. One that was never finished is completed as far as it goes, and says so.
    pub fn load(&self) -> Result<CaseData, CaseError> {
        let mut data = self.load_as_taken()?;
        // Of the largest table what joins give is not written: it follows from the rows.
        crate::inventory::join(&mut data.inventory);
        if !self.is_finished()? {
            unfinished(&mut data);
            let CaseData { verdict, findings, .. } = &mut data;
            verdict.mark_unfinished(findings);
        }
        Ok(data)
    }

    /// The same as it lies there: what an examination goes on with. Rows that were joined with half of the others
    /// must not be taken for joined with all.
    pub fn load_as_taken(&self) -> Result<CaseData, CaseError> {
        self.check_columns()?;
        let mut data = CaseData::default();
        data.scene.images = self.list("images")?;
        data.scene.volumes = self.list("volumes")?;
        data.scene.filesystems = self.list("filesystems")?;
        data.scene.systems = self.list("systems")?;
        let ids = Ids::of(&data.scene);
        self.scope(&mut data)?;
        for table in TABLES {
            self.rows(table, &ids, &mut data.inventory)?;
        }
        // Rows lie in the order in which they were read, which depends on the threads.
        data.inventory.sort();
        data.findings = self.findings(&ids)?;
        data.searched = self.query("SELECT rule, inputs, hits FROM searched ORDER BY rule", "searched", |r| {
            Ok(Searched { rule: text(r, 0)?, inputs: text(r, 1)?, hits: u64::try_from(number(r, 2)?).unwrap_or(0) })
        })?;
        data.unexamined =
            self.query("SELECT device, evidence FROM unexamined ORDER BY position", "unexamined", |r| {
                Ok(Unexamined { device: text(r, 0)?, named_by: parse_evidence(&text(r, 1)?, &ids)? })
            })?;
        let volumes: Vec<String> = data.scene.volumes.iter().map(|v| v.id.clone()).collect();
        data.gaps = self.query("SELECT document FROM gaps ORDER BY position", "gaps", |r| {
            parse_gap(&text(r, 0)?, &ids, &volumes)
        })?;
        data.run = self.document("run")?;
        data.tool = self.document("tool")?;
        data.verdict = self.document("verdict")?;
        Ok(data)
    }

    /// Refuses tables whose columns are not those of this build.
    fn check_columns(&self) -> Result<(), CaseError> {
        for table in TABLES {
            let name = format!("rows_{}", table.name);
            let there =
                self.query(&format!("SELECT name FROM pragma_table_info('{name}') ORDER BY cid"), &name, |r| {
                    text(r, 0)
                })?;
            let here = std::iter::once("system").chain(table.columns.iter().map(|c| c.name)).chain(["evidence"]);
            if !here.eq(there.iter().map(String::as_str)) {
                return Err(CaseError::NotACase(format!(
                    "{}: its table {} has other columns than this build of the program writes: open the case with the \
                     build that made it, or examine the images again",
                    self.path().display(),
                    table.name
                )));
            }
        }
        Ok(())
    }

    /// What the examination has behind it; the scene must be the case's own.
    pub fn taken(&self, scene: &Scene) -> Result<Taken, CaseError> {
        let ids = Ids::of(scene);
        let volumes: Vec<String> = scene.volumes.iter().map(|v| v.id.clone()).collect();
        let commits = self.query("SELECT items, gaps FROM commits ORDER BY number", "commits", |r| {
            let keys: Vec<u8> = r.get(0).map_err(|e| e.to_string())?;
            let (keys, rest) = keys.as_chunks::<8>();
            if !rest.is_empty() {
                return Err("keys of items are cut short".to_owned());
            }
            let gaps: Vec<Box<serde_json::value::RawValue>> =
                serde_json::from_str(&text(r, 1)?).map_err(|e| e.to_string())?;
            let gaps: Result<Vec<Gap>, String> = gaps.iter().map(|g| parse_gap(g.get(), &ids, &volumes)).collect();
            Ok((keys.iter().map(|k| u64::from_le_bytes(*k)).collect::<Vec<u64>>(), gaps?))
        })?;
        let mut taken = Taken::default();
        for (items, gaps) in commits {
            taken.items.extend(items);
            taken.gaps.extend(gaps);
        }
        taken.left_out = self.query("SELECT item, unread FROM left_out ORDER BY item", "left_out", |r| {
            let what = if number(r, 1)? == 0 { LeftOut::Unparsed } else { LeftOut::Unread };
            Ok((number(r, 0)?.cast_unsigned(), what))
        })?;
        Ok(taken)
    }

    /// The verdict anew, with what examiners decided by now; `None` where that changes nothing.
    pub(super) fn verdict_again(&self) -> Result<Option<(Verdict, Verdict)>, CaseError> {
        let before: Verdict = self.document("verdict")?;
        if before.assessment.is_none() {
            return Ok(None);
        }
        let scene = Scene {
            images: self.list("images")?,
            volumes: self.list("volumes")?,
            filesystems: self.list("filesystems")?,
            systems: self.list("systems")?,
        };
        let now = before.again(&self.findings(&Ids::of(&scene))?);
        Ok((now != before).then_some((before, now)))
    }

    fn scope(&self, data: &mut CaseData) -> Result<(), CaseError> {
        let cranes = self.query("SELECT name FROM cranes", "cranes", |r| text(r, 0))?;
        data.scope.crane = cranes.into_iter().next().unwrap_or_default();
        data.scope.exhibits = self.list_of("SELECT document FROM exhibits ORDER BY rowid", "exhibits")?;
        data.scope.devices = self.query("SELECT id, role, named_by FROM devices ORDER BY rowid", "devices", |r| {
            Ok(super::data::Device { id: text(r, 0)?, role: text(r, 1)?, named_by: text(r, 2)?, exhibits: Vec::new() })
        })?;
        for device in &mut data.scope.devices {
            let own = data.scope.exhibits.iter().filter(|e| e.device == device.id);
            device.exhibits = own.map(|e| e.id.clone()).collect();
        }
        Ok(())
    }

    fn findings(&self, ids: &Ids) -> Result<Vec<Finding>, CaseError> {
        let mut findings =
            self.query("SELECT document, evidence FROM findings ORDER BY position", "findings", |r| {
                let mut finding: Finding = serde_json::from_str(&text(r, 0)?).map_err(|e| e.to_string())?;
                let evidence: Vec<Box<serde_json::value::RawValue>> =
                    serde_json::from_str(&text(r, 1)?).map_err(|e| e.to_string())?;
                finding.evidence = evidence.iter().map(|e| parse_evidence(e.get(), ids)).collect::<Result<_, _>>()?;
                Ok(finding)
            })?;
        let reviews = self.query(
            "SELECT finding, examiner, disposition, note, at FROM reviews ORDER BY number",
            "reviews",
            |r| {
                let at = Time::parse(&text(r, 4)?).ok_or("a review's time is no time")?;
                Ok((text(r, 0)?, Review { examiner: text(r, 1)?, disposition: text(r, 2)?, note: text(r, 3)?, at }))
            },
        )?;
        for (id, review) in reviews {
            if let Some(finding) = findings.iter_mut().find(|f| f.id == id) {
                finding.reviews.push(review);
            }
        }
        Ok(findings)
    }

    fn rows(&self, table: &Table, ids: &Ids, into: &mut Inventory) -> Result<(), CaseError> {
        let sql = format!("SELECT * FROM {} ORDER BY rowid", table_name(table.name));
        let rows = self.query(&sql, table.name, |r| {
            let system = match r.get_ref(0).map_err(|e| e.to_string())? {
                ValueRef::Null => None,
                _ => u32::try_from(number(r, 0)?).ok(),
            };
            let mut cells = Vec::with_capacity(table.columns.len());
            for (n, column) in table.columns.iter().enumerate() {
                let stored = r.get_ref(n.saturating_add(1)).map_err(|e| e.to_string())?;
                cells.push(
                    cells::load(column.kind, stored).ok_or_else(|| format!("column {} does not fit", column.name))?,
                );
            }
            let evidence: Evidence = parse_evidence(&text(r, table.columns.len().saturating_add(1))?, ids)?;
            Row::from_values(table.name, system, cells, evidence).ok_or_else(|| "a row does not fit".to_owned())
        })?;
        rows.into_iter().for_each(|row| into.push(row));
        Ok(())
    }

    fn list<T: DeserializeOwned>(&self, table: &str) -> Result<Vec<T>, CaseError> {
        self.list_of(&format!("SELECT document FROM {table} ORDER BY position"), table)
    }
    fn list_of<T: DeserializeOwned>(&self, sql: &str, table: &str) -> Result<Vec<T>, CaseError> {
        self.query(sql, table, |r| serde_json::from_str(&text(r, 0)?).map_err(|e| e.to_string()))
    }
    fn document<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T, CaseError> {
        match self.meta(key)? {
            Some(json) => serde_json::from_str(&json).map_err(|e| self.broken(key, &e.to_string())),
            None => Ok(T::default()),
        }
    }
    fn query<T>(
        &self,
        sql: &str,
        table: &str,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> Result<T, String>,
    ) -> Result<Vec<T>, CaseError> {
        let mut statement = self.db().prepare(sql).map_err(|e| self.fault(&e))?;
        let mut rows = statement.query([]).map_err(|e| self.fault(&e))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.fault(&e))? {
            all.push(each(row).map_err(|what| self.broken(table, &what))?);
        }
        Ok(all)
    }
    pub(super) fn broken(&self, table: &str, what: &str) -> CaseError {
        CaseError::NotACase(format!("{}: damaged in table {table}: {what}", self.path().display()))
    }
}

fn text(row: &rusqlite::Row<'_>, column: usize) -> Result<String, String> {
    row.get(column).map_err(|e| e.to_string())
}
fn number(row: &rusqlite::Row<'_>, column: usize) -> Result<i64, String> {
    row.get(column).map_err(|e| e.to_string())
}
