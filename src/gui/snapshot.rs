//! What the views draw from: a case as it stood at one moment, with everything that would be a
//! query answered beforehand, on the thread that made it.
use super::rows::{ListRows, Rows, TableRows};
use super::ways::Way;
use crate::case::CaseData;
use crate::inventory::{Account, Event, Inventory, Service, Task};
use crate::judge::{Category, Severity};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Immutable; a new one replaces it as a whole.
pub struct Snapshot {
    pub data: Arc<CaseData>,
    pub overview: Overview,
    /// Grows with every snapshot of a window, so that a table knows when to ask again.
    pub generation: u64,
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
        Self { overview: Overview::new(&data), data, generation, tables }
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
    pub starts: Vec<Start>,
    /// Enabled services and tasks that were looked at for it.
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
        let missing_database = |s: &&crate::inventory::SystemInfo| s.package_database.is_empty();
        Self {
            ways: super::ways::ways(data),
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

/// What the files table says of a program: the package check, and the package.
type Owned<'a> = (&'a str, Option<&'a str>);

/// Enabled services and tasks whose program no package vouches for, and how many were looked at.
fn starts(data: &CaseData) -> (Vec<Start>, usize) {
    let inventory = &data.inventory;
    let services = inventory.services.iter().enumerate();
    let services = services.filter(|(_, s)| s.enabled && (s.program.is_some() || !s.commands.is_empty()));
    let tasks = inventory.tasks.iter().enumerate().filter(|(_, t)| t.enabled);
    let mut wanted: HashMap<(Option<u32>, &[u8]), Option<Owned<'_>>> = HashMap::new();
    for (system, program) in services
        .clone()
        .map(|(_, s)| (s.system, &s.program))
        .chain(tasks.clone().map(|(_, t)| (t.system, &t.program)))
        .filter_map(|(s, p)| Some((s, p.as_ref()?)))
    {
        wanted.insert((system, program.bytes()), None);
    }
    for file in inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty()) {
        if let Some(found) = wanted.get_mut(&(file.system, file.path.bytes())) {
            *found = Some((&*file.package_check, file.package.as_deref()));
        }
    }
    let has_database = |system: Option<u32>| {
        system.and_then(|s| data.scene.systems.get(s as usize)).is_some_and(|s| !s.package_database.is_empty())
    };
    let verdict = |system: Option<u32>, program: Option<&crate::base::Name>| -> Option<String> {
        let Some(program) = program else { return Some("its program could not be resolved".to_owned()) };
        match wanted.get(&(system, program.bytes())).copied().flatten() {
            None => Some("its program is not on the disk".to_owned()),
            _ if !has_database(system) => None,
            Some(("differs" | "conffile-changed" | "component-differs", package)) => {
                Some(format!("differs from package {}", package.unwrap_or("its package")))
            }
            Some(("unowned", _) | ("", None)) => Some("no package owns it".to_owned()),
            Some(_) => None,
        }
    };
    let service = |(row, s): (usize, &Service)| {
        Some(Start {
            name: s.name.clone(),
            by: s.manager.to_string(),
            program: s.program.as_ref().map_or_else(|| s.commands.join("; "), crate::base::Name::display),
            why: verdict(s.system, s.program.as_ref())?,
            table: "services",
            row,
        })
    };
    let task = |(row, t): (usize, &Task)| {
        Some(Start {
            name: format!("{} {}", t.name, t.schedule),
            by: t.manager.to_string(),
            program: t.program.as_ref().map_or_else(|| t.command.clone(), crate::base::Name::display),
            why: verdict(t.system, t.program.as_ref())?,
            table: "tasks",
            row,
        })
    };
    let seen = services.clone().count().saturating_add(tasks.clone().count());
    (services.filter_map(service).chain(tasks.filter_map(task)).collect(), seen)
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
