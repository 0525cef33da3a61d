//! The folders units come from, in their precedence (systemd.unit(5), "Unit File Load Path"), and
//! what stands in them: unit files, drop-in folders, folders of dependency links.
use super::names;
use crate::artifact::Out;
use crate::base::Name;
use crate::evidence::{Entry, System};
use crate::fs::NodeKind;
use std::collections::{BTreeMap, HashSet};

/// What a folder is for; decides how an enabled unit's state is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What `systemctl set-property` wrote.
    Control,
    /// The administrator's.
    Config,
    Runtime,
    Transient,
    Generated,
    Vendor,
}

pub(super) struct Root {
    /// As it is, links followed.
    pub(super) path: Name,
    pub(super) place: Place,
    /// Written at run time and gone after a boot.
    pub(super) runtime: bool,
}

/// A link in a `.wants`, `.requires` or `.upholds` folder.
pub(super) struct Link<'a> {
    pub(super) root: usize,
    /// The unit whose folder it is.
    pub(super) of: String,
    pub(super) name: String,
    pub(super) entry: &'a Entry,
}

/// Everything in the folders of one manager.
pub(super) struct Index<'a> {
    pub(super) system: &'a System,
    pub(super) roots: Vec<Root>,
    /// Unit name → files and links of that name, best first.
    pub(super) files: BTreeMap<String, Vec<(usize, &'a Entry)>>,
    /// Unit name (or type) → its drop-in files with their names, in the order of the roots.
    pub(super) dropins: BTreeMap<String, Vec<(usize, String, &'a Entry)>>,
    pub(super) links: Vec<Link<'a>>,
}

const SYSTEM: &[(&str, Place)] = &[
    ("/etc/systemd/system.control", Place::Control),
    ("/run/systemd/system.control", Place::Control),
    ("/run/systemd/transient", Place::Transient),
    ("/run/systemd/generator.early", Place::Generated),
    ("/etc/systemd/system", Place::Config),
    ("/etc/systemd/system.attached", Place::Config),
    ("/run/systemd/system", Place::Runtime),
    ("/run/systemd/system.attached", Place::Runtime),
    ("/run/systemd/generator", Place::Generated),
    ("/usr/local/lib/systemd/system", Place::Vendor),
    ("/usr/lib/systemd/system", Place::Vendor),
    ("/lib/systemd/system", Place::Vendor),
    ("/run/systemd/generator.late", Place::Generated),
];
const USER: &[(&str, Place)] = &[
    ("~/.config/systemd/user.control", Place::Control),
    ("~/.config/systemd/user", Place::Config),
    ("/etc/systemd/user", Place::Config),
    ("/run/systemd/user", Place::Runtime),
    ("~/.local/share/systemd/user", Place::Vendor),
    ("/usr/local/share/systemd/user", Place::Vendor),
    ("/usr/share/systemd/user", Place::Vendor),
    ("/usr/local/lib/systemd/user", Place::Vendor),
    ("/usr/lib/systemd/user", Place::Vendor),
    ("/lib/systemd/user", Place::Vendor),
];
/// Entries looked at in all folders together; far more than any real system has.
const MAX_ENTRIES: usize = 1_000_000;

pub(super) fn system_roots(system: &System) -> Vec<Root> {
    roots(system, SYSTEM, None)
}
/// `home` adds the folders of one user.
pub(super) fn user_roots(system: &System, home: Option<&str>) -> Vec<Root> {
    roots(system, USER, home)
}
fn roots(system: &System, all: &[(&str, Place)], home: Option<&str>) -> Vec<Root> {
    let mut seen = HashSet::new();
    let mut roots = Vec::new();
    for (path, place) in all {
        let path = match (path.strip_prefix('~'), home) {
            (Some(below), Some(home)) => format!("{home}{below}"),
            (Some(_), None) => continue,
            (None, _) => (*path).to_owned(),
        };
        if let Some(real) = system.canonical(path.as_bytes())
            && seen.insert(real.clone())
        {
            roots.push(Root { path: real, place: *place, runtime: path.starts_with("/run/") });
        }
    }
    roots
}

/// What stands directly in a folder, sorted. Skips what lies deeper without visiting it.
pub(super) fn children<'a>(system: &'a System, dir: &[u8]) -> Vec<&'a Entry> {
    let mut prefix = dir.strip_suffix(b"/").unwrap_or(dir).to_vec();
    prefix.push(b'/');
    let mut rest = system.entries();
    let mut all = Vec::new();
    let skip_to = |rest: &'a [Entry], key: &[u8]| {
        let at = rest.partition_point(|e| e.path.bytes() < key);
        rest.get(at..).unwrap_or_default()
    };
    rest = skip_to(rest, &prefix);
    while let Some((entry, tail)) = rest.split_first() {
        let Some(name) = entry.path.bytes().strip_prefix(prefix.as_slice()) else { break };
        if let Some(slash) = name.iter().position(|b| *b == b'/') {
            let child = name.get(..slash).unwrap_or_default();
            // `0` is the byte after the slash.
            rest = skip_to(rest, &[prefix.as_slice(), child, b"0"].concat());
            continue;
        }
        if !name.is_empty() {
            all.push(entry);
        }
        rest = tail;
    }
    all
}

impl<'a> Index<'a> {
    pub(super) fn read(system: &'a System, roots: Vec<Root>, out: &Out) -> Self {
        let mut index =
            Self { system, roots: Vec::new(), files: BTreeMap::new(), dropins: BTreeMap::new(), links: Vec::new() };
        let mut left = MAX_ENTRIES;
        for (at, root) in roots.iter().enumerate() {
            for entry in children(system, root.path.bytes()) {
                if index.entry(at, entry, &mut left).is_none() {
                    out.gap(entry, "budget: unit folders; the rest was not read");
                    break;
                }
            }
        }
        index.roots = roots;
        index
    }
    fn entry(&mut self, root: usize, entry: &'a Entry, left: &mut usize) -> Option<()> {
        *left = left.checked_sub(1)?;
        let Ok(name) = std::str::from_utf8(entry.path.file_name()) else { return Some(()) };
        if names::kind(name).is_some() && !entry.is_dir() {
            self.files.entry(name.to_owned()).or_default().push((root, entry));
            return Some(());
        }
        let Some((of, ending)) = name.rsplit_once('.') else { return Some(()) };
        let dropins = match ending {
            "wants" | "requires" | "upholds" => false,
            "d" => true,
            _ => return Some(()),
        };
        let dir = if entry.kind() == NodeKind::Symlink { self.system.resolve(entry.path.bytes()) } else { Some(entry) };
        let Some(dir) = dir.filter(|d| d.is_dir()) else { return Some(()) };
        for item in children(self.system, dir.path.bytes()) {
            *left = left.checked_sub(1)?;
            let Ok(name) = std::str::from_utf8(item.path.file_name()) else { continue };
            if dropins {
                if name.strip_suffix(".conf").is_some() && !item.is_dir() {
                    self.dropins.entry(of.to_owned()).or_default().push((root, name.to_owned(), item));
                }
            } else if names::kind(name).is_some() {
                self.links.push(Link { root, of: of.to_owned(), name: name.to_owned(), entry: item });
            }
        }
        Some(())
    }
    /// The root that holds a path directly.
    pub(super) fn root_of(&self, path: &Name) -> Option<usize> {
        self.roots.iter().position(|r| r.path.bytes() == path.parent())
    }
    /// `/dev/null`, or an empty file: how units and drop-ins are masked.
    pub(super) fn is_mask(&self, entry: &Entry) -> bool {
        match entry.kind() {
            NodeKind::File => entry.is_empty(),
            NodeKind::Symlink => self.system.link_target(entry).is_some_and(|t| t.bytes() == b"/dev/null"),
            _ => false,
        }
    }
}
