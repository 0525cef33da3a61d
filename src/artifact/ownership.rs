//! Which package owns which path, and whether the file is still what the package shipped.
//!
//! Paths are canonical: directories with their links followed (a list that says `/bin/ls` owns
//! `/usr/bin/ls` on a merged system), the last name as it is, since packages own links too.
//! The database is read in phase B; files are checked in phase C; the packages' rows are phase D.
use super::components::{self, Listing};
use super::shipped::{Shipped, There};
use super::{Out, linux};
use crate::base::{Digest, Md5, Name, Sha1};
use crate::evidence::{Entry, System};
use crate::fs::NodeKind;
use crate::inventory::{Component, Package};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What the database says of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub package: Arc<str>,
    /// As shipped; `None` for directories, links and whatever the package lists no digest of.
    pub sum: Option<Sum>,
    /// Marked as a configuration file: the administrator may change it.
    pub conffile: bool,
    /// The package ships it under another name, which a diversion led here.
    pub diverted: bool,
    /// A link that the alternatives database made and that points where it says.
    pub alternative: bool,
    /// The package lists it, but need not have put it there.
    pub optional: bool,
    /// Owner and permissions as shipped, where the database says them.
    pub shipped: Option<Arc<Shipped>>,
    /// Index into the packages.
    index: u32,
}

/// A digest of a content as a database lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Digest),
}
impl Sum {
    /// By its number of hex digits, as far as it is one of these.
    pub fn parse(hex: &str) -> Option<Self> {
        match hex.len() {
            32 => Md5::parse(hex).map(Self::Md5),
            40 => Sha1::parse(hex).map(Self::Sha1),
            64 => Digest::parse(hex).map(Self::Sha256),
            _ => None,
        }
    }
}

/// The digests of a content, as far as they were computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub md5: Option<Md5>,
    pub sha1: Option<Sha1>,
    pub sha256: Option<Digest>,
}
impl Sums {
    /// Whether the content is the listed one; `None` where that digest was not computed.
    fn fits(&self, listed: Sum) -> Option<bool> {
        match listed {
            Sum::Md5(listed) => Some(self.md5? == listed),
            Sum::Sha1(listed) => Some(self.sha1? == listed),
            Sum::Sha256(listed) => Some(self.sha256? == listed),
        }
    }
}

/// The index of all owned paths. About 100 bytes a path.
pub struct Ownership {
    packages: Vec<Package>,
    rows: Vec<Row>,
    /// All paths, end to end.
    paths: Vec<u8>,
    /// A package database was read.
    managed: bool,
    /// What other package managers list of their files.
    components: Option<Box<Listing>>,
}

struct Row {
    at: u32,
    len: u32,
    owned: Owned,
}

/// Readers of package databases, in the order in which they are tried.
const DATABASES: &[fn(&System, &Out) -> Option<Ownership>] = &[
    linux::dpkg::ownership,
    linux::rpm::ownership,
    linux::apk::ownership,
    linux::opkg::ownership,
    linux::pacman::ownership,
];

/// Databases beyond these are damaged or made to exhaust; what is over becomes a gap.
const MAX_ROWS: usize = 3_000_000;
const MAX_PATH_BYTES: usize = 256 << 20;

impl Ownership {
    /// Reads the package database of a system, and the lists of its components; `None` where there is neither. What
    /// of them cannot be read goes to `out` as gaps.
    pub fn read(system: &System, out: &Out) -> Option<Self> {
        let packages = DATABASES.iter().find_map(|read| read(system, out));
        let components = components::listed(system, out).map(Box::new);
        if packages.is_none() && components.is_none() {
            return None;
        }
        let none =
            || Self { packages: Vec::new(), rows: Vec::new(), paths: Vec::new(), managed: false, components: None };
        Some(Self { components, ..packages.unwrap_or_else(none) })
    }
    /// Whether a package database was read; without one there may still be components.
    pub fn is_managed(&self) -> bool {
        self.managed
    }
    /// The owner of exactly this canonical path. Of several, the one that lists a digest, then the
    /// first by name.
    pub fn expect(&self, path: &[u8]) -> Option<&Owned> {
        self.expect_at(self.first(path), path)
    }
    /// [`Self::expect`], where [`Self::seek`] has found its place.
    pub fn expect_at(&self, at: usize, path: &[u8]) -> Option<&Owned> {
        self.rows.get(at).filter(|r| self.path(r) == path).map(|r| &r.owned)
    }
    /// Everybody who owns this canonical path: directories belong to many packages.
    pub fn owners<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a Owned> {
        self.owners_at(self.first(path), path)
    }
    fn owners_at<'a>(&'a self, at: usize, path: &'a [u8]) -> impl Iterator<Item = &'a Owned> {
        let rest = self.rows.get(at..).unwrap_or_default();
        rest.iter().take_while(move |r| self.path(r) == path).map(|r| &r.owned)
    }
    fn first(&self, path: &[u8]) -> usize {
        self.rows.partition_point(|r| self.path(r) < path)
    }
    /// Where a path stands, or would stand. Quick for whoever asks for paths in their order: `last` is the answer
    /// before.
    pub fn seek(&self, last: usize, path: &[u8]) -> usize {
        let before = |at: usize| self.rows.get(at).is_some_and(|r| self.path(r) < path);
        if last.checked_sub(1).is_some_and(|at| !before(at)) {
            return self.first(path);
        }
        let mut at = last;
        for _ in 0..16 {
            if !before(at) {
                return at;
            }
            at = at.saturating_add(1);
        }
        self.first(path)
    }
    /// Who owns a file (as [`Self::expect`] says), and how it compares with its owner's digest: in
    /// `files.package_check`'s word. `at` is what [`Self::seek`] has found.
    pub fn vouch_at<'a>(&'a self, at: usize, entry: &'a Entry, sums: &Sums) -> (Option<&'a Owned>, &'static str) {
        let unowned = if self.managed { "unowned" } else { "" };
        let mut word = unowned;
        let mut owner = None;
        for owned in self.owners_at(at, entry.path.bytes()) {
            owner = owner.or(Some(owned));
            let fits = owned.sum.and_then(|listed| sums.fits(listed));
            let this = match (owned.sum, entry.kind(), fits) {
                (None, ..) => "no-digest",
                (Some(_), NodeKind::File | NodeKind::Unknown, None) => "unchecked",
                (Some(_), NodeKind::File, Some(true)) => {
                    return (owner, if owned.conffile { "conffile-ok" } else { "ok" });
                }
                // Something else stands where the package shipped a regular file, or another content.
                (Some(_), ..) if owned.conffile => "conffile-changed",
                (Some(_), ..) => "differs",
            };
            if matches!(word, "unowned" | "no-digest") {
                word = this;
            }
        }
        if owner.is_none()
            && let Some(listing) = &self.components
        {
            let (component, word) = listing.index.vouch(entry, sums);
            return match word {
                "ok" => (component, "component-ok"),
                "differs" => (component, "component-differs"),
                // A list without a digest vouches for nothing.
                _ => (component, unowned),
            };
        }
        (owner, word)
    }
    /// How owner, permissions and capabilities of what stands at a path differ from what every owner of it says; `at`
    /// as for [`Self::vouch_at`].
    pub fn attributes_at(&self, at: usize, path: &[u8], there: &There<'_>) -> Vec<String> {
        let mut first = None;
        for shipped in self.owners_at(at, path).filter_map(|o| o.shipped.as_ref()) {
            let differences = shipped.differences(there);
            if differences.is_empty() {
                return differences;
            }
            first = first.or(Some(differences));
        }
        first.unwrap_or_default()
    }
    /// [`Self::vouch_at`], wherever its place is.
    pub fn vouch<'a>(&'a self, entry: &'a Entry, sums: &Sums) -> (Option<&'a Owned>, &'static str) {
        self.vouch_at(self.first(entry.path.bytes()), entry, sums)
    }
    /// The packages; `there` are the paths of all there is, sorted. What checking their files gave is joined later,
    /// from the files' own rows.
    pub fn packages<'e>(&self, there: impl Iterator<Item = &'e [u8]>) -> Vec<Package> {
        let mut all = self.packages.clone();
        let mut there = there.peekable();
        for row in self.rows.iter().filter(|r| !r.owned.alternative) {
            let Some(package) = usize::try_from(row.owned.index).ok().and_then(|i| all.get_mut(i)) else { continue };
            let path = self.path(row);
            package.files = package.files.saturating_add(1);
            if row.owned.sum.is_some() {
                package.listed = package.listed.saturating_add(1);
            }
            // Both are sorted: what comes before this path has had its turn.
            while there.next_if(|p| *p < path).is_some() {}
            if there.peek() != Some(&path) && !row.owned.optional {
                package.missing.push(Name::new(path).display());
            }
        }
        all
    }
    /// The components that list their files; `there` as for [`Self::packages`].
    pub fn components<'e>(&self, there: impl Iterator<Item = &'e [u8]>) -> Vec<Component> {
        let Some(listing) = &self.components else { return Vec::new() };
        let counted = listing.index.packages(there);
        let all = listing.components.iter().zip(counted);
        all.map(|(row, p)| Component { files: p.files, listed: p.listed, missing: p.missing, ..row.clone() }).collect()
    }
    /// Number of owned paths; a directory counts once for each owner.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// All owned paths, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Owned)> {
        self.rows.iter().map(|r| (self.path(r), &r.owned))
    }
    fn path(&self, row: &Row) -> &[u8] {
        let at = usize::try_from(row.at).unwrap_or(usize::MAX);
        let end = at.saturating_add(usize::try_from(row.len).unwrap_or(usize::MAX));
        self.paths.get(at..end).unwrap_or_default()
    }
    fn sort(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by(|a, b| {
            let key = |r: &Row| (r.owned.sum.is_none(), r.owned.index);
            self.path(a).cmp(self.path(b)).then_with(|| key(a).cmp(&key(b)))
        });
        rows.dedup_by(|a, b| a.owned == b.owned && self.path(a) == self.path(b));
        self.rows = rows;
    }
}

/// A path as a package lists it.
#[derive(Clone, Copy, Default)]
pub(super) struct Listed<'a> {
    /// Absolute, links not followed.
    pub(super) path: &'a [u8],
    pub(super) sum: Option<Sum>,
    pub(super) conffile: bool,
    pub(super) diverted: bool,
    pub(super) alternative: bool,
    pub(super) optional: bool,
    pub(super) shipped: Option<&'a Shipped>,
}

/// Collects owned paths in any order. Packages must be added sorted by name.
pub(super) struct Builder<'s> {
    system: &'s System,
    all: Ownership,
    /// Directory as listed → as it is.
    directories: HashMap<Vec<u8>, Arc<[u8]>>,
    /// Few differ from each other.
    shipped: BTreeSet<Arc<Shipped>>,
    last: (Vec<u8>, Arc<[u8]>),
    full: bool,
}

impl<'s> Builder<'s> {
    pub(super) fn new(system: &'s System) -> Self {
        Self {
            system,
            all: Ownership {
                packages: Vec::new(),
                rows: Vec::new(),
                paths: Vec::new(),
                managed: true,
                components: None,
            },
            directories: HashMap::new(),
            shipped: BTreeSet::new(),
            last: (Vec::new(), Arc::from([].as_slice())),
            full: false,
        }
    }
    /// The package that the next paths belong to.
    pub(super) fn package(&mut self, package: Package) {
        self.all.packages.push(package);
    }
    /// Adds a path to the latest package.
    pub(super) fn add(&mut self, listed: Listed<'_>) {
        let index = self.all.packages.len().saturating_sub(1);
        self.add_to(index, listed);
    }
    fn add_to(&mut self, index: usize, listed: Listed<'_>) {
        let path = self.canonical(listed.path);
        let Some(package) = self.all.packages.get(index).map(|p| p.name.clone()) else { return };
        if self.all.rows.len() >= MAX_ROWS || self.all.paths.len().saturating_add(path.len()) > MAX_PATH_BYTES {
            self.full = true;
            return;
        }
        let (Ok(at), Ok(len)) = (u32::try_from(self.all.paths.len()), u32::try_from(path.len())) else { return };
        let Listed { sum, conffile, diverted, alternative, optional, .. } = listed;
        let shipped = listed.shipped.map(|s| self.intern(s));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.all.paths.extend_from_slice(&path);
        let owned = Owned { package, sum, conffile, diverted, alternative, optional, shipped, index };
        self.all.rows.push(Row { at, len, owned });
    }
    fn intern(&mut self, shipped: &Shipped) -> Arc<Shipped> {
        if let Some(known) = self.shipped.get(shipped) {
            return known.clone();
        }
        let new = Arc::new(shipped.clone());
        self.shipped.insert(new.clone());
        new
    }
    /// Directories with their links followed, as far as they exist; the last name as it is.
    pub(super) fn canonical(&mut self, path: &[u8]) -> Vec<u8> {
        let path = path.strip_suffix(b"/.").or_else(|| path.strip_suffix(b"/")).unwrap_or(path);
        let Some(cut) = path.iter().rposition(|b| *b == b'/') else {
            return b"/".to_vec();
        };
        let (dir, name) = path.split_at(cut);
        let dir = self.directory(dir);
        let mut out = Vec::with_capacity(dir.len().saturating_add(name.len()));
        out.extend_from_slice(&dir);
        out.extend_from_slice(name);
        out
    }
    /// Without a trailing slash; the root is empty.
    fn directory(&mut self, dir: &[u8]) -> Arc<[u8]> {
        if self.last.0 == dir {
            return self.last.1.clone();
        }
        let known = self.directories.get(dir).cloned();
        let found = known.unwrap_or_else(|| {
            let found = self.follow(dir);
            self.directories.insert(dir.to_vec(), found.clone());
            found
        });
        self.last = (dir.to_vec(), found.clone());
        found
    }
    fn follow(&self, dir: &[u8]) -> Arc<[u8]> {
        // The deepest part that exists decides; below it the names stand as listed.
        let mut end = dir.len();
        loop {
            let (head, tail) = dir.split_at(end);
            if let Some(real) = self.system.canonical(head) {
                let real = real.bytes().strip_suffix(b"/").unwrap_or(real.bytes());
                return [real, tail].concat().into();
            }
            match head.iter().rposition(|b| *b == b'/') {
                Some(cut) => end = cut,
                None => return dir.into(),
            }
        }
    }
    /// Sorts what was added, so that [`Self::owner`] can answer.
    pub(super) fn settle(&mut self) {
        self.all.sort();
    }
    /// Index of the package that owns a path as listed; after [`Self::settle`].
    pub(super) fn owner(&mut self, path: &[u8]) -> Option<usize> {
        let own = self.canonical(path);
        let owned = self.all.expect(&own).or_else(|| {
            let real = self.system.canonical(path)?;
            self.all.expect(real.bytes())
        })?;
        usize::try_from(owned.index).ok()
    }
    /// Adds links that the alternatives database made, each under the package it leads to.
    pub(super) fn alternatives(&mut self, links: &[(usize, Vec<u8>)]) {
        for (index, path) in links {
            self.add_to(*index, Listed { path, alternative: true, ..Listed::default() });
        }
    }
    /// The index. `told` gets what was left out because a limit was reached.
    pub(super) fn finish(mut self, told: impl FnOnce(&str)) -> Ownership {
        if self.full {
            told("budget: owned paths; the rest of the files lists was not used");
        }
        self.all.sort();
        self.all.rows.shrink_to_fit();
        self.all.paths.shrink_to_fit();
        self.all
    }
}
