//! By whose hand a change came, as far as the later image tells: a package manager whose log says so, a login that was
//! open at that time, or unknown. A login that was open is a possibility, not a proof.
use super::{Difference, Machine};
use crate::base::Time;
use crate::inventory::{Event, File, Inventory, Session};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Whose hand it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The package's version changed and its manager's log tells of it.
    PackageManager,
    /// The package's version changed by its database; no log of the manager tells of it.
    PackageUnlogged,
    /// A login was open when the file was last changed.
    Login,
    Unknown,
}
impl Whose {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::PackageManager => "package manager",
            Self::PackageUnlogged => "package database, without a line of its log",
            Self::Login => "a login was open",
            Self::Unknown => "unknown",
        }
    }
}

/// When and by whom, and what says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hand {
    pub whose: Whose,
    /// When it was changed, RFC 3339; empty where nothing tells.
    pub when: String,
    /// The log's line, the logins, or a bound of what is said.
    pub by: Vec<String>,
}

/// Logins shown for one change.
const MOST_LOGINS: usize = 3;
/// Seconds that a login without a recorded end is taken to last.
const OPEN_END: i64 = 12 * 3600;

/// What the later image holds of times, packages and logins.
pub(super) struct Hands<'a> {
    later: &'a Inventory,
    files: HashMap<(Option<u32>, &'a [u8]), &'a File>,
    /// Package and version (empty for a removal), with the event of the day that tells of it.
    logged: BTreeMap<(Option<u32>, String, String), &'a Event>,
    logins: Vec<&'a Session>,
}

impl<'a> Hands<'a> {
    pub(super) fn of(machines: &'a [Machine]) -> Option<Self> {
        let later = &machines.last()?.data.inventory;
        let shown = later.files.iter().filter(|f| !f.deleted && f.covered.is_empty());
        let mut logged = BTreeMap::new();
        for event in later.events.iter().filter(|e| &*e.class == "package") {
            let removal = event.fields.iter().any(|f| f == "action=remove" || f == "action=purge");
            for (package, version) in event.fields.iter().filter_map(|f| f.strip_prefix("changed=")?.split_once(' ')) {
                let version = if removal { "" } else { version };
                // The last line that tells of it counts.
                logged.insert((event.system, package.to_owned(), version.to_owned()), event);
            }
        }
        Some(Self {
            later,
            files: shown.map(|f| ((f.system, f.path.bytes()), f)).collect(),
            logged,
            logins: later.sessions.iter().filter(|s| &*s.kind == "login").collect(),
        })
    }
    /// What is known of a difference.
    fn of_difference(&self, d: &Difference) -> Hand {
        if d.table == "packages"
            && let Some((_, name)) = d.key.first()
        {
            // Marks such as "automatic" are changed without a line of the log; its last line is about something else.
            let same =
                d.rows.iter().all(Option::is_some) && !d.columns.iter().any(|(c, _)| matches!(*c, "version" | "state"));
            if same {
                let by = vec![format!("{name} is of the same version; its entry in the package database differs")];
                return Hand { whose: Whose::Unknown, when: String::new(), by };
            }
            return self.package(d.system, name);
        }
        self.by_time(d)
    }
    /// A package's change.
    fn package(&self, system: Option<u32>, name: &str) -> Hand {
        let there = self.later.packages.iter().find(|p| p.system == system && &*p.name == name);
        let version = there.map_or("", |p| p.version.as_str());
        let installed = there.and_then(|p| p.installed);
        let key = (system, name.to_owned(), version.to_owned());
        match self.logged.get(&key) {
            Some(event) => Hand {
                whose: Whose::PackageManager,
                when: event.time.or(installed).map_or_else(String::new, |t| t.to_string()),
                by: vec![format!(
                    "{}: {} tells of {name} {version}{}",
                    event.evidence.path.display(),
                    event.program,
                    if version.is_empty() { "(removed)" } else { "" }
                )],
            },
            None => Hand {
                whose: Whose::PackageUnlogged,
                when: installed.map_or_else(String::new, |t| t.to_string()),
                by: vec![format!("no line of a package log tells of {name} {version}")],
            },
        }
    }
    fn by_time(&self, d: &Difference) -> Hand {
        let row = d.rows.last().copied().flatten();
        let table = self.later.table(d.table);
        let path = row.zip(table).and_then(|(row, table)| table.evidence(row)).map(|e| e.path.clone());
        let file = path.and_then(|path| self.files.get(&(d.system, path.bytes())).copied());
        let Some(file) = file else {
            let gone = if row.is_none() { "it is gone; nothing keeps the time" } else { "its file has no time" };
            return Hand { whose: Whose::Unknown, when: String::new(), by: vec![gone.to_owned()] };
        };
        // The time of the metadata's change is set by the kernel alone.
        let Some(at) = file.changed.or(file.modified) else {
            return Hand { whose: Whose::Unknown, when: String::new(), by: vec!["its file has no time".to_owned()] };
        };
        let mut open: Vec<String> =
            self.logins.iter().filter(|s| s.system == d.system && is_open(s, at)).map(|s| login(s)).collect();
        open.dedup();
        let more = open.len().saturating_sub(MOST_LOGINS);
        open.truncate(MOST_LOGINS);
        if more > 0 {
            open.push(format!("and {more} more"));
        }
        let whose = if open.is_empty() { Whose::Unknown } else { Whose::Login };
        let day = self.package_day(d.system, at);
        open.extend(day);
        Hand { whose, when: at.to_string(), by: open }
    }
    /// A bound: packages changed within minutes of it.
    fn package_day(&self, system: Option<u32>, at: Time) -> Option<String> {
        const NEAR: i64 = 120;
        let mut runs = self.later.events.iter().filter(|e| e.system == system && &*e.class == "package");
        let near = |e: &&Event| {
            e.fields.iter().any(|f| f.starts_with("changed="))
                && e.time.is_some_and(|t| t.seconds <= at.seconds)
                && e.last.or(e.time).is_some_and(|t| at.seconds <= t.seconds.saturating_add(NEAR))
        };
        runs.find(|e| near(e)).map(|e| format!("packages changed at that time ({})", e.evidence.path.display()))
    }
}

impl Hands<'_> {
    /// Sets the hand of a difference and of all below it; what follows from a package has that of the package.
    pub(super) fn tell(&self, d: &mut Difference) {
        let hand = self.of_difference(d);
        for below in &mut d.below {
            below.hand = Some(if d.table == "packages" { hand.clone() } else { self.of_difference(below) });
        }
        d.hand = Some(hand);
    }
}

fn is_open(session: &Session, at: Time) -> bool {
    let Some(start) = session.start else { return false };
    let end = session.end.or(session.end_before).map_or(start.seconds.saturating_add(OPEN_END), |t| t.seconds);
    (start.seconds..=end).contains(&at.seconds)
}

fn login(s: &Session) -> String {
    let from = if s.peer.is_empty() { s.device.clone() } else { s.peer.join(", ") };
    let since = s.start.map_or_else(String::new, |t| format!(" since {t}"));
    let text = format!("{} from {from}{since} ({})", s.user, s.program);
    crate::base::Name::from(text.as_str()).display_text()
}
