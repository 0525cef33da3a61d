//! From records to ranked differences: what is read from one file stands together, what follows from packages of
//! other versions stands under these.
use super::Difference;
use super::align::Record;
use super::columns::key;
use super::own::Own;
use super::variation::Told;
use super::weigh::{Class, class, is_as_shipped};
use crate::baseline::named as cell;
use crate::inventory::{AnyTable, Inventory};
use std::collections::{BTreeMap, HashMap};

/// The files of one machine by path, for what its package database says of them.
pub(super) struct Files<'a> {
    by_path: HashMap<(Option<u32>, &'a [u8]), (&'a str, &'a str)>,
}

impl<'a> Files<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let shown = inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty());
        let entry = |f: &'a crate::inventory::File| {
            ((f.system, f.path.bytes()), (f.package.as_deref().unwrap_or_default(), &*f.package_check))
        };
        Self { by_path: shown.map(entry).collect() }
    }
    /// The package that owns the file a row was read from, and what the database says of it.
    pub(super) fn source(&self, table: &dyn AnyTable, row: usize) -> (&'a str, &'a str) {
        let Some(evidence) = table.evidence(row) else { return ("", "") };
        let system = table.system(row);
        self.by_path.get(&(system, evidence.path.bytes())).copied().unwrap_or_default()
    }
}

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
    for mut difference in others {
        let owner = follows(&difference, inventories, files).map(|owner| (difference.system, owner));
        if let Some(package) = owner.and_then(|owner| by_package.get_mut(&owner)) {
            package.below.push(difference);
            continue;
        }
        if contradicts(&difference, inventories, files) {
            difference.class = difference.class.min(Class::Altered);
        }
        rest.push(difference);
    }
    for mut package in by_package.into_values() {
        // One that only some have is as telling as what came with it.
        if package.rows.iter().any(Option::is_none) {
            let most = package.below.iter().map(|d| d.class).min();
            package.class = most.map_or(package.class, |most| package.class.min(most));
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

/// The one package from which a difference follows: on each machine that has the row it was read from a file that is
/// as this package ships it.
fn follows(d: &Difference, inventories: &[&Inventory], files: &[Files<'_>]) -> Option<String> {
    let mut owner: Option<&str> = None;
    let present = d.rows.iter().enumerate().filter_map(|(machine, row)| Some((machine, (*row)?)));
    for (machine, row) in present {
        let table = table(inventories, machine, d.table)?;
        let (package, check) = files.get(machine)?.source(table, row);
        // What carries no digest may be a folder or a link, of which a list of names says enough.
        let named = check == "no-digest"
            && d.table == "files"
            && matches!(cell(table, row, "kind").as_str(), "directory" | "symlink");
        let vouched = is_as_shipped(check) || named || is_own_file(package, &d.source, d.table);
        if package.is_empty() && !is_own_file(package, &d.source, d.table) || !vouched {
            return None;
        }
        let package = if package.is_empty() { of_database(&d.source)? } else { package };
        if owner.is_some_and(|o| o != package) {
            return None;
        }
        owner = Some(package);
    }
    owner.map(str::to_owned)
}

/// A list of files or of their digests that dpkg itself keeps of a package; its scripts run and are none of these.
fn is_own_file(package: &str, source: &str, table: &str) -> bool {
    package.is_empty() && table == "files" && of_database(source).is_some()
}

fn of_database(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/var/lib/dpkg/info/")?;
    let (package, kind) = name.rsplit_once('.')?;
    let package = package.split(':').next().unwrap_or(package);
    matches!(kind, "list" | "md5sums" | "conffiles" | "shlibs" | "symbols" | "triggers").then_some(package)
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
