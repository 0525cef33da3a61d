//! What the views draw from: a case as it stood at one moment, with everything that would be a
//! query answered beforehand, on the thread that made it.
use super::comparing::{Matrix, TABLE};
use super::rows::{ListRows, Rows, TableRows};
use crate::case::CaseData;
use crate::inventory::{Account, Event, Inventory};
use crate::judge::{Category, Severity};
use crate::report::{Laid, Picture, Way, layout, ways};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Immutable; a new one replaces it as a whole.
pub struct Snapshot {
    pub data: Arc<CaseData>,
    pub overview: Overview,
    /// Grows with every snapshot of a window, so that a table knows when to ask again.
    pub generation: u64,
    /// What the case was compared with, if it was.
    pub(crate) matrix: Option<Arc<Matrix>>,
    tables: BTreeMap<&'static str, Arc<dyn Rows>>,
}

impl Snapshot {
    /// Answers the overview's questions; call it off the window's thread.
    pub fn new(data: Arc<CaseData>, generation: u64) -> Self {
        let mut tables: BTreeMap<&'static str, Arc<dyn Rows>> = BTreeMap::new();
        for table in data.inventory.shared() {
            tables.insert(table.table().name, Arc::new(TableRows::new(table, &data)));
        }
        for list in ListRows::all(&data) {
            tables.insert(list.name(), Arc::new(list));
        }
        Self { overview: Overview::new(&data), data, generation, matrix: None, tables }
    }
    /// The same with a comparison beside the case.
    pub(crate) fn beside(mut self, comparison: Option<Arc<crate::compare::Comparison>>) -> Self {
        if let Some(comparison) = comparison {
            let matrix = Arc::new(Matrix::new(comparison));
            self.tables.insert(TABLE, matrix.clone());
            self.matrix = Some(matrix);
        }
        self
    }
    pub fn rows(&self, table: &str) -> Option<&Arc<dyn Rows>> {
        self.tables.get(table)
    }
    pub fn count(&self, table: &str) -> usize {
        self.rows(table).map_or(0, |r| r.len())
    }
}

/// A start that no package owns, or whose file differs from what its package lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    pub name: String,
    pub by: String,
    pub program: String,
    /// Why nothing vouches for it.
    pub why: String,
    pub table: &'static str,
    /// Its row there.
    pub row: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    pub name: String,
    pub uid: u32,
    pub how: Vec<String>,
    /// Its row in accounts.
    pub row: usize,
}

/// Answers to the overview's questions that take more than a look at one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    pub ways: Vec<Way>,
    /// Ways from the outside to the crane's networks, and where they are drawn.
    pub picture: (Picture, Laid),
    pub starts: Vec<Start>,
    /// Enabled starts that were looked at for it.
    pub starts_seen: usize,
    /// A system has no package database: there nothing can vouch for a start.
    pub unvouched_systems: Vec<String>,
    pub logins: Vec<Login>,
    /// What bears on the clock: log events of that class.
    pub clock: Vec<String>,
    /// Findings by severity, info first.
    pub severities: [usize; 5],
    pub unreviewed: usize,
    /// Findings at medium or above in the categories modem and remote access.
    pub link_findings: usize,
}

impl Overview {
    fn new(data: &CaseData) -> Self {
        let inventory = &data.inventory;
        let mut severities = [0; 5];
        for finding in &data.findings {
            if let Some(n) = severities.get_mut(finding.severity as usize) {
                *n += 1;
            }
        }
        let (starts, starts_seen) = starts(data);
        let ways = ways(data);
        let picture = Picture::with(data, &ways);
        let laid = layout(&picture);
        let missing_database = |s: &&crate::inventory::SystemInfo| s.package_database.is_empty();
        Self {
            ways,
            picture: (picture, laid),
            starts,
            starts_seen,
            unvouched_systems: data
                .scene
                .systems
                .iter()
                .filter(missing_database)
                .map(|s| super::rows::system_name(s).to_owned())
                .collect(),
            logins: inventory
                .accounts
                .iter()
                .enumerate()
                .filter(|(_, a)| a.login)
                .map(|(row, a)| login(row, a, inventory))
                .collect(),
            clock: inventory.events.iter().filter(|e| &*e.class == "clock").map(clock).collect(),
            severities,
            unreviewed: data.findings.iter().filter(|f| f.severity >= Severity::Medium && f.reviews.is_empty()).count(),
            link_findings: data
                .findings
                .iter()
                .filter(|f| f.severity >= Severity::Medium)
                .filter(|f| matches!(f.category, Category::Modem | Category::RemoteAccess))
                .count(),
        }
    }
}

fn clock(event: &Event) -> String {
    let at = event.time.map_or_else(|| "no time".to_owned(), |t| t.to_string());
    format!("{at}  {}", crate::base::Name::from(event.text.as_str()).display_text())
}

/// Scripts that packages carry for their own installation: no record lists their digests, and each package has some.
const OF_PACKAGES: [&str; 4] = ["dpkg", "opkg", "rpm", "apk"];

/// Enabled starts that no package vouches for, the most telling first, and how many were looked at.
fn starts(data: &CaseData) -> (Vec<Start>, usize) {
    let rows = data.inventory.starts.iter().enumerate();
    let rows = rows.filter(|(_, s)| s.enabled && !OF_PACKAGES.contains(&&*s.by));
    let has_database = |system: Option<u32>| {
        system.and_then(|s| data.scene.systems.get(s as usize)).is_some_and(|s| !s.package_database.is_empty())
    };
    let verdict = |s: &crate::inventory::Start| -> Option<(u8, String)> {
        let of = |package: &Option<Arc<str>>| package.as_deref().unwrap_or("its package").to_owned();
        let has_database = has_database(s.system);
        match &*s.package_check {
            "differs" | "conffile-changed" | "component-differs" => {
                return Some((0, format!("differs from package {}", of(&s.package))));
            }
            "missing" => return Some((2, "its program is not on the disk".to_owned())),
            "unowned" if has_database => return Some((1, "no package owns it".to_owned())),
            _ if s.program.is_none() => return Some((3, "its program could not be resolved".to_owned())),
            _ => {}
        }
        // Code that other programs load is named by files that packages write when they are installed.
        match &*s.source_check {
            "unowned" if has_database && &*s.kind == "command" => {
                Some((4, "no package owns the file that says so".to_owned()))
            }
            _ => None,
        }
    };
    let seen = rows.clone().count();
    let mut told: Vec<(u8, Start)> = rows
        .filter_map(|(row, s)| {
            let (rank, why) = verdict(s)?;
            let program = s.program.as_ref().map_or_else(|| s.command.clone(), crate::base::Name::display);
            Some((rank, Start { name: s.name.clone(), by: s.by.to_string(), program, why, table: "starts", row }))
        })
        .collect();
    told.sort_by_key(|(rank, start)| (*rank, start.row));
    (told.into_iter().map(|(_, start)| start).collect(), seen)
}

fn login(row: usize, account: &Account, inventory: &Inventory) -> Login {
    let mut how = vec![match &*account.password {
        "empty" => "no password needed".to_owned(),
        "none" | "locked" | "disabled" => format!("password {}", account.password),
        kind => format!("password ({kind})"),
    }];
    let keys = inventory
        .keys
        .iter()
        .filter(|k| k.system == account.system && &*k.kind == "authorized" && k.user == account.name)
        .count();
    if keys > 0 {
        how.push(format!("{keys} authorized {}", if keys == 1 { "key" } else { "keys" }));
    }
    if account.uid == 0 {
        how.push("root".to_owned());
    }
    let group = |who: &str| who.strip_prefix('%').is_some_and(|g| account.groups.iter().any(|a| a == g));
    let sudo: Vec<_> = inventory
        .sudoers
        .iter()
        .filter(|s| s.system == account.system && (s.who == account.name || group(&s.who)))
        .collect();
    if !sudo.is_empty() {
        let free = sudo.iter().any(|s| s.nopasswd);
        how.push(if free { "sudo without password" } else { "sudo" }.to_owned());
    }
    Login { name: account.name.clone(), uid: account.uid, how, row }
}
