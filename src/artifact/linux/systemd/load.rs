//! One unit, put together: its file by precedence, links followed as aliases, drop-ins applied.
use super::names;
use super::paths::Index;
use crate::artifact::Out;
use crate::base::{Evidence, Name};
use crate::evidence::{Entry, Text};
use crate::format::unitfile::{self, UnitFile};
use crate::fs::NodeKind;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// A file that was read and taken apart.
pub(super) struct Parsed<'a> {
    pub(super) text: Text<'a>,
    pub(super) unit: UnitFile,
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file of this name (for an instance: perhaps its template's).
    File(Name),
    /// A link to a file outside the unit folders.
    Linked(Name),
    /// Another name of this unit.
    Alias(String),
    Masked,
    /// A link that leads nowhere or in a circle; why.
    Bad(&'static str),
    Missing,
}

/// One unit under its own name.
pub(super) struct Unit<'a> {
    pub(super) name: String,
    pub(super) kind: String,
    /// The file it is loaded from, or the link that masks or breaks it.
    pub(super) entry: Option<&'a Entry>,
    pub(super) found: Found,
    /// The file, then the drop-ins in order.
    pub(super) files: Vec<Rc<Parsed<'a>>>,
    pub(super) dropins: Vec<Name>,
    /// Other names, sorted.
    pub(super) aliases: BTreeSet<String>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Value<'u> {
    pub(super) text: &'u str,
    pub(super) file: usize,
    pub(super) item: usize,
}

/// systemd follows no more links than this from one name to its file.
const MAX_LINKS: usize = 64;
/// Drop-ins of one unit; more is an attack on whoever reads them.
const MAX_DROPINS: usize = 2000;

/// Loads units of one manager and keeps what was read.
pub(super) struct Loader<'a, 'o> {
    pub(super) index: &'o Index<'a>,
    pub(super) out: &'o Out,
    parsed: RefCell<HashMap<Name, Option<Rc<Parsed<'a>>>>>,
    aliases: BTreeMap<String, BTreeSet<String>>,
}

impl<'a, 'o> Loader<'a, 'o> {
    pub(super) fn new(index: &'o Index<'a>, out: &'o Out) -> Self {
        let mut loader = Self { index, out, parsed: RefCell::default(), aliases: BTreeMap::new() };
        for name in index.files.keys() {
            let real = loader.real_name(name);
            if real != *name {
                loader.aliases.entry(real).or_default().insert(name.clone());
            }
        }
        loader
    }
    /// What a name leads to by the best file or link of that name, and that entry.
    pub(super) fn find(&self, name: &str) -> (Found, Option<&'a Entry>) {
        let Some((_, entry)) = self.index.files.get(name).and_then(|f| f.first()).copied() else {
            if names::is_instance(name)
                && let Some(template) = names::template(name)
            {
                let (found, entry) = self.find(&template);
                return match found {
                    // An alias of the template is one of each of its instances.
                    Found::Alias(other) if names::is_template(&other) => {
                        (Found::Alias(names::with_instance(&other, names::instance(name))), entry)
                    }
                    other => (other, entry),
                };
            }
            return (Found::Missing, None);
        };
        (self.follow(name, entry), Some(entry))
    }
    /// Where a link points, as an absolute path; only its folder's links are to be followed.
    fn target(&self, entry: &Entry) -> Option<Name> {
        let target = self.index.system.link_target(entry)?;
        let relative = !target.bytes().starts_with(b"/");
        Some(if relative { Name::new(entry.path.parent()).join(target.bytes()) } else { target })
    }
    fn is_inside(&self, target: &Name) -> bool {
        let dir = self.index.system.canonical(target.parent());
        dir.is_some_and(|d| self.index.roots.iter().any(|r| r.path == d))
    }
    /// Whether the best entry of a name is a link to that same name within the unit folders.
    pub(super) fn is_own_link(&self, name: &str) -> bool {
        let entry = self.index.files.get(name).and_then(|f| f.first()).map(|f| f.1);
        let target = entry.filter(|e| e.kind() == NodeKind::Symlink).and_then(|e| self.target(e));
        target.is_some_and(|t| t.file_name() == name.as_bytes() && self.is_inside(&t))
    }
    fn follow(&self, name: &str, entry: &'a Entry) -> Found {
        let system = self.index.system;
        if self.index.is_mask(entry) {
            return Found::Masked;
        }
        if entry.kind() != NodeKind::Symlink {
            return if entry.is_file() { Found::File(entry.path.clone()) } else { Found::Bad("not a regular file") };
        }
        let Some(target) = self.target(entry) else { return Found::Bad("link not read") };
        let last = Name::new(target.file_name());
        let inside = self.is_inside(&target);
        let Some(other) = last.plain().filter(|n| names::kind(n).is_some()) else {
            return match system.resolve(entry.path.bytes()) {
                Some(e) if e.is_file() => Found::Linked(e.path.clone()),
                _ => Found::Bad("link to nothing"),
            };
        };
        if inside && other != name {
            if !names::may_alias(name, other) {
                return Found::Bad("link to a unit whose name it cannot stand for");
            }
            if names::is_template(other) && names::is_instance(name) {
                if names::template(name).as_deref() == Some(other) {
                    let to =
                        system.canonical(target.parent()).and_then(|d| system.get(d.join(other.as_bytes()).bytes()));
                    return to.map_or(Found::Bad("link to nothing"), |to| self.follow(other, to));
                }
                return Found::Alias(names::with_instance(other, names::instance(name)));
            }
            return Found::Alias(other.to_owned());
        }
        match system.resolve(entry.path.bytes()) {
            Some(e) if e.is_file() && e.is_empty() => Found::Masked,
            Some(e) if e.is_file() && inside => Found::File(e.path.clone()),
            Some(e) if e.is_file() => Found::Linked(e.path.clone()),
            _ => Found::Bad("link to nothing, or in a circle"),
        }
    }
    /// The name behind all aliases; the name itself where there is a circle or nothing.
    pub(super) fn real_name(&self, name: &str) -> String {
        let mut now = name.to_owned();
        for _ in 0..MAX_LINKS {
            match self.find(&now).0 {
                Found::Alias(other) if other != now => now = other,
                _ => return now,
            }
        }
        name.to_owned()
    }
    /// Whether a name only leads back to itself.
    pub(super) fn is_circle(&self, name: &str) -> bool {
        matches!(self.find(name).0, Found::Alias(_)) && self.real_name(name) == name
    }
    /// Puts a unit together under exactly this name.
    pub(super) fn load(&self, name: &str) -> Unit<'a> {
        let (mut found, entry) = self.find(name);
        if self.is_circle(name) {
            found = Found::Bad("aliases in a circle");
        }
        let mut unit = Unit {
            name: name.to_owned(),
            kind: names::kind(name).unwrap_or_default().to_owned(),
            entry,
            found,
            files: Vec::new(),
            dropins: Vec::new(),
            aliases: self.aliases.get(name).cloned().unwrap_or_default(),
        };
        if let Some(of_template) =
            names::template(name).filter(|_| names::is_instance(name)).and_then(|t| self.aliases.get(&t))
        {
            unit.aliases.extend(
                of_template
                    .iter()
                    .filter(|a| names::is_template(a))
                    .map(|a| names::with_instance(a, names::instance(name))),
            );
        }
        if let Found::File(path) | Found::Linked(path) = &unit.found {
            unit.entry = self.index.system.get(path.bytes()).or(unit.entry);
            unit.files.extend(unit.entry.and_then(|e| self.parse(e)));
        }
        if !matches!(unit.found, Found::Masked | Found::Alias(_)) {
            self.dropins(&mut unit);
        }
        unit
    }
    fn dropins(&self, unit: &mut Unit<'a>) {
        // The first file of a name wins; then all apply in the order of their names.
        let mut by_name: BTreeMap<&str, &'a Entry> = BTreeMap::new();
        let mut add = |dirs: &[String]| {
            let found: Vec<_> = dirs.iter().filter_map(|d| self.index.dropins.get(d)).collect();
            for root in 0..self.index.roots.len() {
                for (_, name, entry) in found.iter().flat_map(|f| f.iter().filter(|d| d.0 == root)) {
                    by_name.entry(name.as_str()).or_insert(entry);
                }
            }
        };
        add(&names::dropin_names(&unit.name));
        unit.aliases.iter().for_each(|a| add(&names::dropin_names(a)));
        add(std::slice::from_ref(&unit.kind));
        for (at, entry) in by_name.into_values().filter(|e| !self.index.is_mask(e)).enumerate() {
            if at >= MAX_DROPINS {
                self.out.gap(
                    entry,
                    format!("budget: drop-ins of {}; this one and those after it were not applied", unit.name),
                );
                break;
            }
            if let Some(parsed) = self.parse(entry) {
                unit.dropins.push(entry.path.clone());
                unit.files.push(parsed);
            }
        }
    }
    /// Reads and takes apart a file, once.
    pub(super) fn parse(&self, entry: &'a Entry) -> Option<Rc<Parsed<'a>>> {
        if let Some(known) = self.parsed.borrow().get(&entry.path) {
            return known.clone();
        }
        let parsed = self.out.read(self.index.system, entry).map(|text| {
            let unit = unitfile::parse(&text.bytes);
            if let Some((line, why)) = unit.malformed {
                self.out.gap_line(text.entry, line, why);
            }
            Rc::new(Parsed { text, unit })
        });
        self.parsed.borrow_mut().insert(entry.path.clone(), parsed.clone());
        parsed
    }
}

impl Unit<'_> {
    /// All assignments of a key in order, nothing reset.
    pub(super) fn all(&self, section: &str, key: &str) -> Vec<Value<'_>> {
        let mut all = Vec::new();
        for (file, parsed) in self.files.iter().enumerate() {
            for (item, i) in parsed.unit.items.iter().enumerate() {
                if i.section == section && i.key == key {
                    all.push(Value { text: &i.value, file, item });
                }
            }
        }
        all
    }
    /// The assignments that count where an empty one takes back those before it.
    pub(super) fn list(&self, section: &str, key: &str) -> Vec<Value<'_>> {
        let mut all = self.all(section, key);
        if let Some(reset) = all.iter().rposition(|v| v.text.is_empty()) {
            all.drain(..=reset);
        }
        all
    }
    /// The last assignment; empty if there is none.
    pub(super) fn last(&self, section: &str, key: &str) -> &str {
        self.all(section, key).last().map_or("", |v| v.text)
    }
    /// The words of all assignments, specifiers replaced.
    pub(super) fn names(&self, section: &str, key: &str) -> Vec<String> {
        let values = self.list(section, key);
        let words = values.iter().flat_map(|v| v.text.split_whitespace());
        words.map(|w| unitfile::expand(w.trim_matches('"'), &self.name, None)).collect()
    }
    /// A switch; `default` where it is not set or not understood.
    pub(super) fn flag(&self, section: &str, key: &str, default: bool) -> bool {
        match self.last(section, key).to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => true,
            "0" | "no" | "n" | "false" | "f" | "off" => false,
            _ => default,
        }
    }
    /// One assignment as evidence.
    pub(super) fn evidence(&self, value: &Value<'_>) -> Option<Evidence> {
        let parsed = self.files.get(value.file)?;
        let item = parsed.unit.items.get(value.item)?;
        let mut evidence = parsed.text.line_at(item.line, item.run);
        evidence.key = Some(format!("[{}] {}", item.section, item.key));
        Some(evidence)
    }
    /// Where a value stands, in words.
    pub(super) fn place(&self, value: &Value<'_>) -> String {
        self.files.get(value.file).map(|f| f.text.entry.path.display()).unwrap_or_default()
    }
    pub(super) fn is_loaded(&self) -> bool {
        matches!(self.found, Found::File(_) | Found::Linked(_))
    }
}
