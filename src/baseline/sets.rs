//! Several baselines, asked in order.
use super::file::{BaselineError, Kind, Origin};
use super::hashed::Hashed;
use super::index::Algorithm;
use super::packages::Likeness;
use super::set::{Body, Set};
use super::trust::{Keys, Trust};
use super::verdict::{BaselineVerdict, Standing};
use super::volatile::{content, is_shown, key, key_hash, state_hash};
use crate::base::MoreHashes;
use crate::inventory::{AnyTable, CellRef, File, Inventory, TABLES};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Baseline sets in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    sets: Vec<(Arc<Set>, Vec<bool>)>,
}

/// A row that a baseline holds and the inventory does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub table: &'static str,
    pub key: String,
    /// Name of the baseline.
    pub by: String,
}

/// A baseline that was asked, for the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// As it was named.
    pub file: String,
    pub name: String,
    pub kind: Kind,
    pub origin: String,
    pub by: String,
    pub reason: String,
    pub tool: String,
    pub made: String,
    pub trust: Trust,
}
impl Used {
    /// What must be seen wherever its word counts; `None` where a given key signed it.
    pub fn mark(&self) -> Option<String> {
        (!self.trust.is_signed()).then(|| format!("the baseline {} is {}", self.name, self.trust.words()))
    }
    /// One line on it.
    pub fn words(&self) -> String {
        let mut words = format!("{}, {}, origin {}", self.name, self.kind.word(), self.origin);
        for (what, value) in [("by", &self.by), ("made", &self.made), ("with", &self.tool), ("for", &self.reason)] {
            if !value.is_empty() {
                words.push_str(&format!(", {what} {value}"));
            }
        }
        format!("{words}; {}", self.trust.words())
    }
}

impl Baselines {
    /// Reads all of them; the first that is wrong ends it. `keys` are of those whose signatures count.
    pub fn load(files: &[PathBuf], keys: &Keys) -> Result<Self, BaselineError> {
        Ok(Self::new(files.iter().map(|f| Set::load(f, keys)).collect::<Result<_, _>>()?))
    }
    /// The sets of a kind that hold a file of this content, at whatever path, in their order, and by which hash.
    pub fn with_content(&self, kind: Kind, content: Hashed) -> impl Iterator<Item = (&Set, Algorithm)> {
        self.sets().filter(move |s| s.about.kind == kind).filter_map(move |s| Some((s, s.holds_content(&content)?)))
    }
    /// Hashes that files must have beside SHA-256 so that all of the sets can be asked.
    pub fn more_hashes(&self) -> MoreHashes {
        self.sets().map(Set::more_hashes).fold(MoreHashes::default(), MoreHashes::or)
    }
    /// What of the sets cannot be asked about these files.
    pub fn limits(&self, files: &[File]) -> Vec<String> {
        self.sets().flat_map(|s| s.limits(files)).collect()
    }
    /// What the report says of the sets, in the order in which they are asked.
    pub fn used(&self) -> Vec<Used> {
        let used = |set: &Set| Used {
            file: set.file().to_owned(),
            name: set.about.name.clone(),
            kind: set.about.kind,
            origin: set.about.origin.word().to_owned(),
            by: set.about.by.clone(),
            reason: set.about.reason.clone(),
            tool: set.about.tool.clone(),
            made: set.about.made.clone(),
            trust: set.trust().clone(),
        };
        self.sets().map(used).collect()
    }
    pub fn new(sets: Vec<Set>) -> Self {
        let known = |set: Set| {
            let tables = (0..TABLES.len()).map(|t| set.speaks_of(t)).collect();
            (Arc::new(set), tables)
        };
        Self { sets: sets.into_iter().map(known).collect() }
    }
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        self.sets.iter().map(|(set, _)| &**set)
    }
    /// What the sets say about a row, and whether an approved set vouches for it. A file whose
    /// content is known from another place is told as known, but nobody vouches for it there.
    ///
    /// Only what is known to be good speaks here.
    pub fn row(&self, table: &dyn AnyTable, row: usize) -> (BaselineVerdict, bool) {
        let described = table.table();
        let Some(id) = TABLES.iter().position(|t| t.name == described.name) else {
            return Default::default();
        };
        if !is_shown(table, row) {
            return Default::default();
        }
        let asked = || {
            let speaks = |(set, tables): &&(Arc<Set>, Vec<bool>)| {
                set.about.kind == Kind::KnownGood && tables.get(id) == Some(&true)
            };
            self.sets.iter().filter(speaks).map(|(set, _)| &**set)
        };
        if asked().next().is_none() {
            return Default::default();
        }
        let hash = key_hash(described.name, &key(table, row));
        let state = state_hash(table, row);
        let told = |verdict, by: String| BaselineVerdict { verdict, by };
        let words: Vec<(&Set, Word)> = asked().map(|s| (s, word(s, table, row, &hash, &state))).collect();
        let of = |wanted: Standing| words.iter().filter(move |(_, w)| w.standing == wanted);
        let same = of(Standing::Known).min_by_key(|(s, w)| !w.is_whole || s.about.origin != Origin::Approved);
        if let Some((set, word)) = same {
            let lowers = word.is_whole && set.about.origin == Origin::Approved;
            return (told(Standing::Known, format!("{}{}", set.about.name, word.more)), lowers);
        }
        if let Some((set, word)) = of(Standing::Changed).next() {
            return (told(Standing::Changed, format!("{}{}", set.about.name, word.more)), false);
        }
        let content = Hashed::of_row(table, row);
        if let Some((set, by)) = content.and_then(|c| asked().find_map(|s| Some((s, s.holds_content(&c)?)))) {
            let how = if matches!(set.body, Body::Hashes(_)) { by_content(by) } else { ELSEWHERE.to_owned() };
            return (told(Standing::Known, format!("{}{how}", set.about.name)), false);
        }
        let names: Vec<&str> = asked().map(|s| s.about.name.as_str()).collect();
        (told(Standing::Unknown, names.join(", ")), false)
    }
    /// Rows that a set holds and the inventory does not, sorted.
    pub fn missing(&self, inventory: &Inventory) -> Vec<Missing> {
        let mut there = BTreeSet::new();
        for table in inventory.all() {
            let name = table.table().name;
            there.extend(
                (0..table.len()).filter(|row| is_shown(table, *row)).map(|row| key_hash(name, &key(table, row))),
            );
        }
        let mut missing = BTreeSet::new();
        for set in self.sets().filter(|s| s.about.kind == Kind::KnownGood) {
            let Body::Rows(rows) = &set.body else { continue };
            for (table, hash, key) in rows.names() {
                if let Some(table) = TABLES.get(*table).filter(|_| !there.contains(hash)) {
                    missing.insert(Missing { table: table.name, key: key.to_string(), by: set.about.name.clone() });
                }
            }
        }
        missing.into_iter().collect()
    }
}

/// Behind the name of a set that knows the content of a file from another path.
const ELSEWHERE: &str = " (the same content at another path)";

/// Behind the name of a set of hashes.
fn by_content(by: Algorithm) -> String {
    format!(" (the content, by {})", by.word())
}

impl BaselineVerdict {
    /// The set knows the content, and says nothing of the path at which it lies.
    pub fn is_of_content(&self) -> bool {
        self.by.ends_with(ELSEWHERE) || Algorithm::ALL.into_iter().any(|by| self.by.ends_with(&by_content(by)))
    }
}

/// What one set says of a row by its key.
struct Word {
    standing: Standing,
    /// It vouches for all that is compared.
    is_whole: bool,
    /// Behind the name of the set.
    more: String,
}

fn word(set: &Set, table: &dyn AnyTable, row: usize, hash: &[u8; 16], state: &[u8; 16]) -> Word {
    let plain = |standing| Word { standing, is_whole: standing == Standing::Known, more: String::new() };
    match &set.body {
        Body::Hashes(_) => plain(Standing::Unknown),
        Body::Rows(rows) => match rows.states(hash) {
            [] => plain(Standing::Unknown),
            states if states.iter().any(|(_, s)| s == state) => plain(Standing::Known),
            _ => plain(Standing::Changed),
        },
        Body::Packages(packages) => {
            let Some(file) = file_row(table, row) else { return plain(Standing::Unknown) };
            let best = packages.at(&file.path).into_iter().map(|s| (s.likeness(&file), s)).min_by_key(|(l, _)| *l);
            let Some((likeness, shipped)) = best else { return plain(Standing::Unknown) };
            let of = packages.package(shipped).map(|p| format!("{} {}", p.name, p.version)).unwrap_or_default();
            let (standing, words) = match likeness {
                Likeness::Same => (Standing::Known, ""),
                Likeness::Attributes => (Standing::Known, ", other permissions or owner"),
                Likeness::Differs => (Standing::Changed, ""),
                Likeness::Unknown => (Standing::Unknown, ""),
            };
            Word { standing, is_whole: likeness == Likeness::Same, more: format!(" ({of}{words})") }
        }
    }
}

/// What packages vouch for of a row of files; of any other table they say nothing.
fn file_row(table: &dyn AnyTable, row: usize) -> Option<File> {
    let described = table.table();
    if described.name != "files" {
        return None;
    }
    let cell = |name: &str| described.column(name).map_or(CellRef::Null, |c| table.cell(row, c));
    let path = |name: &str| match cell(name) {
        CellRef::Path(path) => Some(path.clone()),
        _ => None,
    };
    let number = |name: &str| match cell(name) {
        CellRef::Number(n) => u32::try_from(n).ok(),
        _ => None,
    };
    if matches!(cell("deleted"), CellRef::Bool(true)) {
        return None;
    }
    let kind = match cell("kind") {
        CellRef::Text(kind) => kind.into(),
        _ => return None,
    };
    let CellRef::Mode(mode) = cell("mode") else { return None };
    Some(File {
        path: path("path")?,
        kind,
        mode,
        uid: number("uid")?,
        gid: number("gid")?,
        target: path("target"),
        sha256: content(table, row),
        ..File::default()
    })
}
