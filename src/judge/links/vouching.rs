//! What baselines say of files by themselves: contents that are known to be bad or worth a look, and files that packages
//! from outside of the system ship otherwise.
use super::ground::Ground;
use super::tables::{ContentLook, PackageContentLook, PackageVersionLook};
use crate::baseline::{Algorithm, Hashed, Kind, Likeness, Package, PackageSet, Set, Shipped, compare_versions};
use crate::inventory::{File, Package as Row};
use crate::judge::draft::Draft;
use crate::judge::finding::{Confidence, Severity};
use crate::judge::knowledge::Knowledge;
use crate::judge::rows::{TableId, table_id};
use crate::judge::template::list;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The rows of one finding and what they are called.
#[derive(Default)]
struct Rows {
    rows: Vec<usize>,
    names: Vec<String>,
}
impl Rows {
    fn add(&mut self, row: usize, name: String) {
        self.rows.push(row);
        self.names.push(name);
    }
    fn of(&self, table: TableId) -> Vec<(TableId, usize)> {
        self.rows.iter().map(|row| (table, *row)).collect()
    }
}

pub(super) fn known_bad(_: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    contents(ground, rule, Kind::KnownBad, Severity::High)
}
pub(super) fn noteworthy(_: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    contents(ground, rule, Kind::Noteworthy, Severity::Low)
}

/// One finding a content and system.
fn contents(ground: &Ground<'_>, rule: usize, kind: Kind, severity: Severity) -> Vec<Draft> {
    let Some(files) = table_id("files").filter(|_| ground.baselines.sets().any(|s| s.about.kind == kind)) else {
        return Vec::new();
    };
    let look: ContentLook<'_> = ground.look();
    let mut found: BTreeMap<_, (Rows, Hashed, Vec<(&Set, Algorithm)>)> = BTreeMap::new();
    for (row, file) in look.files.iter().enumerate() {
        // The empty file is in every list.
        let Some(content) = file.sha256.as_ref().filter(|_| file.size > 0) else { continue };
        let key = (file.system, *content);
        if let Some((rows, ..)) = found.get_mut(&key) {
            rows.add(row, file.path.display_text());
            continue;
        }
        let hashed = Hashed::of_file(file);
        let sets: Vec<(&Set, Algorithm)> = ground.baselines.with_content(kind, hashed).collect();
        if !sets.is_empty() {
            let mut rows = Rows::default();
            rows.add(row, file.path.display_text());
            found.insert(key, (rows, hashed, sets));
        }
    }
    type Found<'a> = ((Option<u32>, crate::base::Digest), (Rows, Hashed, Vec<(&'a Set, Algorithm)>));
    let draft = |((system, _), (rows, content, sets)): Found<'_>| {
        let names: Vec<String> = sets.iter().map(|(s, by)| format!("{} (by {})", s.about.name, by.word())).collect();
        let values: BTreeSet<Algorithm> =
            std::iter::once(Algorithm::Sha256).chain(sets.iter().map(|(_, by)| *by)).collect();
        let told: Vec<String> = values.iter().map(|by| content.words(*by)).collect();
        let commands: Vec<String> =
            values.iter().map(|by| format!("{}sum", by.word().to_lowercase().replace('-', ""))).collect();
        let subject = rows.names.first().cloned().unwrap_or_default();
        let observed = format!(
            "The content of {} ({}) is in the {} set {}.",
            list(&rows.names),
            told.join(", "),
            kind.word(),
            names.join(", ")
        );
        Draft {
            rule,
            system,
            subject,
            severity,
            rung: None,
            confidence: Confidence::High,
            observed,
            check: format!("{} of the file on a mounted copy: {}.", commands.join(", "), told.join(", ")),
            rows: rows.of(files),
            keys: Vec::new(),
            altered: true,
        }
    };
    found.into_iter().map(draft).collect()
}

/// Package sets that vouch, with the packages of each by name.
fn vouching<'a>(ground: &Ground<'a>) -> Vec<(&'a Set, &'a PackageSet)> {
    let good = ground.baselines.sets().filter(|s| s.about.kind == Kind::KnownGood);
    good.filter_map(|s| Some((s, s.packages()?))).collect()
}

/// Installed packages of all systems by system and name.
type Installed<'a> = HashMap<(Option<u32>, &'a str), Vec<(usize, &'a Row)>>;

fn installed(packages: &[Row]) -> Installed<'_> {
    let mut all = Installed::new();
    for (row, package) in packages.iter().enumerate() {
        let removed = ["deinstall", "config-files", "not-installed"].iter().any(|w| package.state.contains(w));
        if !removed || package.state.contains("ok installed") {
            all.entry((package.system, &*package.name)).or_default().push((row, package));
        }
    }
    all
}

/// Whether an installed package is of the same release as one that is vouched for.
fn is_same(row: &Row, package: &Package) -> bool {
    compare_versions(&package.family, &row.version, &package.version) == Ordering::Equal
        && (row.architecture.is_empty() || *row.architecture == *package.architecture)
}

/// Files of packages in the very version that is vouched for, with another content. One finding a package.
pub(super) fn other_content(_: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    let sets = vouching(ground);
    let Some(files) = table_id("files").filter(|_| !sets.is_empty()) else { return Vec::new() };
    let look: PackageContentLook<'_> = ground.look();
    let installed = installed(look.packages);
    type Key<'a> = (Option<u32>, &'a str, &'a Package);
    let mut found: BTreeMap<Key<'_>, (Rows, bool, usize, BTreeSet<String>)> = BTreeMap::new();
    for (row, file) in look.files.iter().enumerate() {
        if file.deleted || !file.covered.is_empty() || !matches!(&*file.kind, "file" | "symlink") {
            continue;
        }
        let Some((set, packages, shipped)) = differs(&sets, &installed, file) else { continue };
        let Some(package) = packages.package(shipped) else { continue };
        let (rows, program, vouched, elsewhere) = found.entry((file.system, &set.about.name, package)).or_default();
        rows.add(row, file.path.display_text());
        *program |= matches!(&*file.content, "elf" | "script");
        *vouched = vouched.saturating_add(usize::from(matches!(&*file.package_check, "ok" | "conffile-ok")));
        let other = file.sha256.as_ref().and_then(|c| packages.with_content(c));
        elsewhere.extend(other.map(|p| format!("{} {}", p.name, p.version)));
    }
    let draft = |((system, set, package), (rows, program, vouched, elsewhere)): (Key<'_>, (Rows, bool, usize, _))| {
        let elsewhere: BTreeSet<String> = elsewhere;
        let many = rows.rows.len();
        let mut observed = format!(
            "{many} files are not as the package {} {} ships them, which the baseline {set} has and which is recorded as \
             installed in this very version: {}.",
            package.name,
            package.version,
            list(&rows.names)
        );
        if vouched > 0 {
            observed.push_str(&format!(
                " The package database on this disk says of {vouched} of them that they are as shipped."
            ));
        }
        if !elsewhere.is_empty() {
            let of: Vec<String> = elsewhere.into_iter().collect();
            observed.push_str(&format!(" Contents of {} are among them.", list(&of)));
        }
        Draft {
            rule,
            system,
            subject: package.name.to_string(),
            severity: if program || vouched > 0 { Severity::High } else { Severity::Low },
            rung: None,
            confidence: Confidence::High,
            observed,
            check: format!(
                "Take {} {} ({}) from its publisher, unpack it, and compare the files with those of a mounted copy \
                 (cmp, sha256sum).",
                package.name, package.version, package.architecture
            ),
            rows: rows.of(files),
            keys: Vec::new(),
            altered: true,
        }
    };
    found.into_iter().map(draft).collect()
}

/// The first set, and what in it is shipped otherwise, for a file whose package is installed in the version of the set.
fn differs<'a>(
    sets: &[(&'a Set, &'a PackageSet)],
    installed: &Installed<'_>,
    file: &File,
) -> Option<(&'a Set, &'a PackageSet, &'a Shipped)> {
    let mut found = None;
    for (set, packages) in sets {
        for shipped in packages.at(&file.path) {
            match shipped.likeness(file) {
                // Whatever else ships it: one does so as it is.
                Likeness::Same | Likeness::Attributes => return None,
                Likeness::Unknown => {}
                Likeness::Differs if shipped.config => return None,
                Likeness::Differs => {
                    let Some(package) = packages.package(shipped) else { continue };
                    let rows = installed.get(&(file.system, &*package.name)).map(Vec::as_slice).unwrap_or_default();
                    if found.is_none() && rows.iter().any(|(_, row)| is_same(row, package)) {
                        found = Some((*set, *packages, shipped));
                    }
                }
            }
        }
    }
    found
}

/// Packages in another version than the baselines vouch for. One finding a system, set and direction.
pub(super) fn other_version(_: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    let sets = vouching(ground);
    let Some(table) = table_id("packages").filter(|_| !sets.is_empty()) else { return Vec::new() };
    let look: PackageVersionLook<'_> = ground.look();
    let installed = installed(look.packages);
    let mut found: BTreeMap<(Option<u32>, &str, Ordering), Rows> = BTreeMap::new();
    for (set, packages) in &sets {
        let mut named: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in packages.packages() {
            named.entry(&package.name).or_default().push(package);
        }
        for ((system, name), rows) in &installed {
            let Some(vouched) = named.get(name) else { continue };
            for (at, row) in rows {
                if vouched.iter().any(|p| is_same(row, p)) {
                    continue;
                }
                let newest = vouched.iter().max_by(|a, b| compare_versions(&a.family, &a.version, &b.version));
                let Some(newest) = newest else { continue };
                let order = compare_versions(&newest.family, &row.version, &newest.version);
                if order != Ordering::Equal {
                    let words = format!("{name} {} (the baseline has {})", row.version, newest.version);
                    found.entry((*system, &set.about.name, order)).or_default().add(*at, words);
                }
            }
        }
    }
    let draft = |((system, set, order), mut rows): ((Option<u32>, &str, Ordering), Rows)| {
        // The map of packages has no order.
        rows.rows.sort_unstable();
        rows.names.sort_unstable();
        let (word, means) = match order {
            Ordering::Less => ("behind", "older"),
            _ => ("ahead of", "newer"),
        };
        let many = rows.rows.len();
        Draft {
            rule,
            system,
            subject: format!("packages {word} {set}"),
            severity: Severity::Info,
            rung: None,
            confidence: Confidence::High,
            observed: format!(
                "{many} packages are recorded as installed in a version {means} than the baseline {set} has: {}. Their \
                 files cannot be held against it.",
                list(&rows.names)
            ),
            check: "dpkg-query --admindir=MOUNT/var/lib/dpkg -W, rpm --root MOUNT -qa or apk --root MOUNT info -v on a mounted copy; the versions in the baseline: cranescope baseline show.".into(),
            rows: rows.of(table),
            keys: Vec::new(),
            altered: false,
        }
    };
    found.into_iter().map(draft).collect()
}
