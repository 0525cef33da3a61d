//! From records to ranked differences: what is read from one file stands together, what follows from packages of
//! other versions stands under these.
use super::Difference;
use super::align::Record;
use super::columns::key;
use super::own::Own;
use super::trail::{Ground, of_database};
use super::variation::Told;
use super::weigh::{Class, class, is_as_shipped};
use crate::base::Name;
use crate::baseline::named as cell;
use crate::inventory::{AnyTable, File, Inventory};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The files of one machine by path.
pub(super) struct Files<'a> {
    by_path: HashMap<(Option<u32>, &'a [u8]), &'a File>,
}

impl<'a> Files<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let shown = inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty());
        Self { by_path: shown.map(|f| ((f.system, f.path.bytes()), f)).collect() }
    }
    pub(super) fn file(&self, system: Option<u32>, path: &str) -> Option<&'a File> {
        self.by_path.get(&(system, path.as_bytes())).copied()
    }
    /// What a link leads to, on this machine alone.
    pub(super) fn resolved(&self, link: &'a File) -> Option<&'a File> {
        let mut at = link;
        for _ in 0..MOST_LINKS {
            if &*at.kind != "symlink" {
                return Some(at);
            }
            let path = Name::new(at.path.parent()).leads(at.target.as_ref()?.bytes());
            let path = path.plain()?;
            // Of a system whose /bin is /usr/bin, files stand below /usr.
            at = self.file(at.system, path).or_else(|| self.file(at.system, &format!("/usr{path}")))?;
        }
        None
    }
    /// The package that owns the file a row was read from, and what the database says of it.
    pub(super) fn source(&self, table: &dyn AnyTable, row: usize) -> (&'a str, &'a str) {
        let Some(evidence) = table.evidence(row) else { return ("", "") };
        let file = self.by_path.get(&(table.system(row), evidence.path.bytes()));
        file.map_or(("", ""), |f| (f.package.as_deref().unwrap_or_default(), &*f.package_check))
    }
}

/// Links that are followed one after the other.
const MOST_LINKS: usize = 16;

/// The table of a machine.
pub(super) fn table<'a>(inventories: &[&'a Inventory], machine: usize, name: &str) -> Option<&'a dyn AnyTable> {
    inventories.get(machine)?.table(name)
}

pub(super) fn difference(
    record: &Record,
    told: Told,
    inventories: &[&Inventory],
    files: &[Files<'_>],
    own: &[Own],
) -> Difference {
    let at = |machine: usize| table(inventories, machine, record.table);
    let shown = |machine: usize, row: usize, column: &str| {
        at(machine).map_or_else(String::new, |t| t.get(row, column).to_string())
    };
    let value = |machine: usize, column: &str| {
        record.rows.get(machine).copied().flatten().map(|row| shown(machine, row, column))
    };
    let numbers = 0..record.rows.len();
    let is_explained = told.is_explained();
    // What is ordinary in a difference that is not says nothing of who is odd.
    let (telling, usual): (Vec<&'static str>, Vec<&'static str>) =
        record.columns.iter().copied().partition(|c| is_explained || told.telling.contains(c));
    let columns: Vec<(&'static str, Vec<Option<String>>)> =
        telling.iter().map(|c| (*c, numbers.clone().map(|m| value(m, c)).collect())).collect();
    let states = states(record, &telling, inventories, own);
    let odd = odd(&states);
    let first = record.present().next();
    let key = first.map_or_else(Vec::new, |(machine, row)| {
        let described = at(machine).map(AnyTable::table);
        described.map_or_else(Vec::new, |t| key(t).iter().map(|k| (*k, shown(machine, row, k))).collect())
    });
    // Told by the machine that is not as the others are, where it has the row.
    let teller = odd.iter().find_map(|m| Some((*m, record.rows.get(*m).copied().flatten()?))).or(first);
    let (mut source, mut package, mut check) = Default::default();
    let mut bears = Class::Rest;
    for (machine, row) in record.present() {
        let (Some(table), Some(files)) = (at(machine), files.get(machine)) else { continue };
        let (owner, word) = files.source(table, row);
        bears = bears.min(class(table, row, word));
        if Some((machine, row)) == teller {
            source = table.evidence(row).map_or_else(String::new, |e| e.path.display());
            (package, check) = (owner.to_owned(), word.to_owned());
        }
    }
    Difference {
        table: record.table,
        system: record.system,
        key,
        class: bears,
        states,
        rows: record.rows.clone(),
        columns,
        odd,
        source,
        package,
        check,
        usual,
        explained: if is_explained { told.rules } else { Vec::new() },
        hand: None,
        follows: "",
        below: Vec::new(),
    }
}

/// States numbered by first appearance, without the machines' own names.
fn states(record: &Record, columns: &[&'static str], inventories: &[&Inventory], own: &[Own]) -> Vec<Option<u32>> {
    let mut seen: Vec<Vec<String>> = Vec::new();
    let state = |machine: usize, row: usize| -> Vec<String> {
        let table = table(inventories, machine, record.table);
        let neutral = |text: String| own.get(machine).map_or(text.clone(), |own| own.neutral(&text).into_owned());
        table.map_or_else(Vec::new, |t| columns.iter().map(|c| neutral(cell(t, row, c))).collect())
    };
    let number = |(machine, row): (usize, &Option<usize>)| {
        let state = state(machine, (*row)?);
        let at = seen.iter().position(|s| *s == state).unwrap_or_else(|| {
            seen.push(state);
            seen.len().saturating_sub(1)
        });
        u32::try_from(at).ok()
    };
    record.rows.iter().enumerate().map(number).collect()
}

/// Machines that are not as most are; of as many on both sides the later ones.
fn odd(states: &[Option<u32>]) -> Vec<usize> {
    let mut counts: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    states.iter().for_each(|s| *counts.entry(*s).or_default() += 1);
    let most = counts.values().max().copied().unwrap_or_default();
    let usual = states.iter().find(|s| counts.get(s) == Some(&most)).copied().unwrap_or_default();
    states.iter().enumerate().filter(|(_, s)| **s != usual).map(|(machine, _)| machine).collect()
}

/// Puts together what belongs together, and ranks.
pub(super) fn ranked(told: Vec<Difference>, inventories: &[&Inventory], files: &[Files<'_>]) -> Vec<Difference> {
    let (packages, others): (Vec<_>, Vec<_>) = told.into_iter().partition(|d| d.table == "packages");
    let mut by_package: BTreeMap<(Option<u32>, String), Difference> = BTreeMap::new();
    let mut rest = Vec::new();
    for package in packages {
        let name = package.key.first().map_or_else(String::new, |(_, name)| name.clone());
        let told_by_version =
            package.rows.iter().any(Option::is_none) || package.columns.iter().any(|(c, _)| *c == "version");
        let known = (package.system, name);
        if told_by_version && !by_package.contains_key(&known) {
            by_package.insert(known, package);
        } else {
            rest.push(package);
        }
    }
    let ground = Ground::new(inventories, files, by_package.keys().cloned().collect());
    let mut left = Vec::new();
    let mut under: BTreeMap<(Option<u32>, String), String> = BTreeMap::new();
    for mut difference in others {
        let follows = ground.of(&difference);
        let package = follows.and_then(|(owner, kind)| Some((by_package.get_mut(&(difference.system, owner))?, kind)));
        if let Some((package, kind)) = package {
            difference.follows = kind.id;
            if let Some((_, name)) = package.key.first().filter(|_| difference.table == "files") {
                under.insert((difference.system, difference.source.clone()), name.clone());
            }
            package.below.push(difference);
        } else {
            left.push(difference);
        }
    }
    let stays: BTreeSet<(Option<u32>, String)> =
        left.iter().filter(|d| !is_folder(d, inventories)).map(|d| (d.system, d.source.clone())).collect();
    for mut difference in left {
        // Folders of which all that differs follows from packages.
        let folder = folder_of(&difference, inventories, &under, &stays);
        if let Some(package) = folder.and_then(|name| by_package.get_mut(&(difference.system, name))) {
            difference.follows = "folders";
            package.below.push(difference);
            continue;
        }
        // Content that each machine's own database vouches for; or what this database is, without a package that changed:
        // where a list was made to fit a file, it stands under that file.
        let kept = of_database(&difference.source).filter(|_| difference.table == "files");
        let contradicted = kept.and_then(|(package, _)| {
            rest.iter_mut().find(|d| {
                (d.table, d.class, d.system, &*d.package, &d.odd)
                    == ("files", Class::Altered, difference.system, package, &difference.odd)
            })
        });
        if let Some(file) = contradicted {
            file.below.push(difference);
            continue;
        }
        if kept.is_some() || contradicts(&difference, inventories, files) {
            difference.class = difference.class.min(Class::Altered);
        }
        rest.push(difference);
    }
    for mut package in by_package.into_values() {
        // One that only some have, and that was asked for, is as telling as what came with it.
        if package.rows.iter().any(Option::is_none) && is_asked_for(&package, inventories) {
            let telling = package.below.iter().filter(|d| d.follows != "installation-files");
            package.class = telling.map(|d| d.class).min().map_or(package.class, |most| package.class.min(most));
        }
        "ok".clone_into(&mut package.check);
        package.below.sort_by(|a, b| (a.class, a.table, &a.key).cmp(&(b.class, b.table, &b.key)));
        rest.push(package);
    }
    let mut ranked = under_contents(together(rest));
    ranked.sort_by(|a, b| order(a).cmp(&order(b)));
    ranked
}

/// Of one version of its package on all machines and of other content, while the database of each machine says that it is
/// as shipped: one of these lists was changed together with the file.
fn contradicts(d: &Difference, inventories: &[&Inventory], files: &[Files<'_>]) -> bool {
    let is_vouched = |(machine, row): (usize, &Option<usize>)| {
        let (Some(row), Some(table), Some(files)) = (*row, table(inventories, machine, d.table), files.get(machine))
        else {
            return false;
        };
        let (package, check) = files.source(table, row);
        !package.is_empty() && is_as_shipped(check)
    };
    d.table == "files" && d.columns.iter().any(|(c, _)| *c == "sha256") && d.rows.iter().enumerate().all(is_vouched)
}

/// Folders that came with what lies in them stand under that, and links that enable a unit under the unit.
fn under_contents(told: Vec<Difference>) -> Vec<Difference> {
    type Place<'a> = (Option<u32>, &'a [usize], &'a str);
    let mut places: BTreeMap<Place<'_>, usize> = BTreeMap::new();
    let mut units: BTreeMap<Place<'_>, usize> = BTreeMap::new();
    for (at, d) in told.iter().enumerate() {
        places.entry((d.system, &d.odd, &d.source)).or_insert(at);
        if let Some((_, name)) = d.key.first().filter(|_| d.table == "services") {
            units.entry((d.system, &d.odd, name)).or_insert(at);
        }
    }
    let within = |d: &Difference, path: &str| -> Option<usize> {
        let from = format!("{path}/");
        let (place, at) = places.range((d.system, d.odd.as_slice(), from.as_str())..).next()?;
        ((place.0, place.1) == (d.system, d.odd.as_slice()) && place.2.starts_with(&from)).then_some(*at)
    };
    let leads = |at: usize, d: &Difference| -> Option<usize> {
        if d.table != "files" || !d.below.is_empty() || d.rows.iter().all(Option::is_some) {
            return None;
        }
        let (folder, name) = d.source.rsplit_once('/')?;
        let kind = folder.rsplit('.').next().unwrap_or_default();
        if matches!(kind, "wants" | "requires") {
            return units.get(&(d.system, d.odd.as_slice(), name)).copied().filter(|unit| *unit != at);
        }
        // Down to what is no folder itself; each step is a longer path.
        let mut found = within(d, &d.source)?;
        while let Some(next) = told.get(found).and_then(|f| within(f, &f.source)) {
            found = next;
        }
        Some(found)
    };
    let under: Vec<Option<usize>> = told.iter().enumerate().map(|(at, d)| leads(at, d)).collect();
    let mut below: BTreeMap<usize, Vec<Difference>> = BTreeMap::new();
    let mut kept = Vec::new();
    for (at, (d, lead)) in told.into_iter().zip(&under).enumerate() {
        match lead {
            Some(lead) if under.get(*lead) == Some(&None) => below.entry(*lead).or_default().push(d),
            _ => kept.push((at, d)),
        }
    }
    for (at, d) in &mut kept {
        d.below.extend(below.remove(at).into_iter().flatten());
    }
    kept.into_iter().map(|(_, d)| d).collect()
}

/// What the ranking goes by: what it bears on, whether a package vouches for it, how few machines have it.
fn order(d: &Difference) -> (Class, bool, usize, usize, &str, Option<u32>, &[(&'static str, String)]) {
    let tables = crate::inventory::TABLES.iter().position(|t| t.name == d.table).unwrap_or(usize::MAX);
    (d.class, is_as_shipped(&d.check), d.odd.len(), tables, &d.source, d.system, &d.key)
}

/// Files and programs stand under what was read from them, on the same machines.
fn together(told: Vec<Difference>) -> Vec<Difference> {
    type Place = (Option<u32>, String, Vec<usize>);
    let place = |d: &Difference| -> Place { (d.system, d.source.clone(), d.odd.clone()) };
    let is_lead = |d: &Difference| !matches!(d.table, "files" | "binaries" | "packages");
    let mut best: BTreeMap<Place, usize> = BTreeMap::new();
    for (at, d) in told.iter().enumerate() {
        if d.source.is_empty() || d.table == "packages" {
            continue;
        }
        let better = |other: &usize| {
            told.get(*other).is_none_or(|o| {
                (!is_lead(d), d.class, rank(d.table), &d.key) < (!is_lead(o), o.class, rank(o.table), &o.key)
            })
        };
        let known = best.entry(place(d)).or_insert(at);
        if better(known) {
            *known = at;
        }
    }
    let mut leads: BTreeMap<(Option<u32>, String), usize> = BTreeMap::new();
    for ((system, source, _), at) in &best {
        if told.get(*at).is_some_and(is_lead) {
            leads.entry((*system, source.clone())).or_insert(*at);
        }
    }
    let mut below: BTreeMap<usize, Vec<Difference>> = BTreeMap::new();
    let mut kept = Vec::new();
    for (at, d) in told.into_iter().enumerate() {
        match best.get(&place(&d)) {
            Some(lead) if *lead != at && matches!(d.table, "files" | "binaries" | "starts" | "drivers") => {
                below.entry(*lead).or_default().push(d);
            }
            // A file in which each machine has something of its own stands under what is told of it.
            _ => match leads.get(&(d.system, d.source.clone())) {
                Some(lead) if d.table == "files" && !d.source.is_empty() => below.entry(*lead).or_default().push(d),
                _ => kept.push((at, d)),
            },
        }
    }
    for (at, d) in &mut kept {
        for under in below.remove(at).into_iter().flatten() {
            d.class = d.class.min(under.class);
            d.below.push(under);
        }
    }
    kept.into_iter().map(|(_, d)| d).collect()
}

/// Which of several rows of one file tells most: the way itself before the start that it causes.
fn rank(table: &str) -> u8 {
    match table {
        "starts" => 1,
        "files" => 2,
        "binaries" => 3,
        _ => 0,
    }
}

/// A package that is installed and that no other package pulled in.
fn is_asked_for(package: &Difference, inventories: &[&Inventory]) -> bool {
    let pulled_in = |(machine, row): (usize, &Option<usize>)| {
        let Some((row, table)) = row.zip(table(inventories, machine, "packages")) else { return true };
        cell(table, row, "automatic") == "true" || cell(table, row, "state").ends_with("config-files")
    };
    !package.rows.iter().enumerate().all(pulled_in)
}

/// A folder that came or went, with nothing but that to be said of it.
fn is_folder(d: &Difference, inventories: &[&Inventory]) -> bool {
    let is_plain = |(machine, row): (usize, &Option<usize>)| {
        let Some((row, table)) = row.zip(table(inventories, machine, "files")) else { return true };
        cell(table, row, "kind") == "directory" && !super::variation::is_program(table, row)
    };
    d.table == "files" && d.rows.iter().any(Option::is_none) && d.rows.iter().enumerate().all(is_plain)
}

/// The package under which all that differs below such a folder stands.
fn folder_of(
    d: &Difference,
    inventories: &[&Inventory],
    under: &BTreeMap<(Option<u32>, String), String>,
    stays: &BTreeSet<(Option<u32>, String)>,
) -> Option<String> {
    let within = (d.system, format!("{}/", d.source));
    let below = |place: &(Option<u32>, String)| place.0 == within.0 && place.1.starts_with(&within.1);
    if !is_folder(d, inventories) || stays.range(within.clone()..).next().is_some_and(below) {
        return None;
    }
    let (place, package) = under.range(within.clone()..).next()?;
    below(place).then(|| package.clone())
}
