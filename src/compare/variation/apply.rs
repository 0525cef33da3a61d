//! Which rules explain a difference.
use super::guard::is_guarded;
use super::{Rule, Variation};
use crate::baseline::{canonical as text, named as cell};
use crate::compare::align::Record;
use crate::compare::own::Own;
use crate::inventory::{AnyTable, Inventory, TABLES};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a difference follows from where no rule has a word for it: the machines' own names.
pub(in crate::compare) const OWN_NAMES: &str = "own-names";

/// What the rules say of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::compare) struct Told {
    /// Ids of the rules that explain some or all of it.
    pub(in crate::compare) rules: Vec<String>,
    /// Columns that no rule explains.
    pub(in crate::compare) telling: Vec<&'static str>,
    /// That some machines do not have it is explained by no rule.
    pub(in crate::compare) is_alone: bool,
}
impl Told {
    /// All of the difference is expected variation.
    pub(in crate::compare) fn is_explained(&self) -> bool {
        !self.rules.is_empty() && self.telling.is_empty() && !self.is_alone
    }
}

/// Asks the rules about records of some machines.
pub(in crate::compare) struct Explainer<'a> {
    variation: &'a Variation,
    machines: &'a [&'a Inventory],
    own: &'a [Own],
    /// Places of tables in an inventory's list.
    tables: BTreeMap<&'static str, usize>,
}

impl<'a> Explainer<'a> {
    pub(in crate::compare) fn new(variation: &'a Variation, machines: &'a [&'a Inventory], own: &'a [Own]) -> Self {
        let tables = TABLES.iter().enumerate().map(|(at, t)| (t.name, at)).collect();
        Self { variation, machines, own, tables }
    }
    fn table(&self, machine: usize, name: &str) -> Option<&'a dyn AnyTable> {
        self.machines.get(machine)?.all().get(*self.tables.get(name)?).copied()
    }
    /// What the rules say of each record.
    pub(in crate::compare) fn explain(&self, records: &[Record]) -> Vec<Told> {
        let mut told: Vec<Told> = records.iter().map(|r| self.one(r, None)).collect();
        // What rows were read from a file, whether one of them differs, and whether all that do are explained.
        let mut files: BTreeMap<(Option<u32>, String), bool> = BTreeMap::new();
        for (record, told) in records.iter().zip(&told) {
            if record.is_shared() || matches!(record.table, "files" | "binaries") {
                continue;
            }
            let paths: BTreeSet<String> = record
                .present()
                .filter_map(|(machine, row)| Some(self.table(machine, record.table)?.evidence(row)?.path.display()))
                .collect();
            for path in paths {
                let all = files.entry((record.system, path)).or_insert(true);
                *all &= told.is_explained();
            }
        }
        for (record, told) in records.iter().zip(&mut told) {
            if record.table == "files" && !told.is_explained() && !record.is_shared() {
                *told = self.one(record, Some(&files));
            }
        }
        told
    }
    fn one(&self, record: &Record, files: Option<&BTreeMap<(Option<u32>, String), bool>>) -> Told {
        if record.is_shared() {
            return Told::default();
        }
        let present: Vec<(usize, &dyn AnyTable, usize)> =
            record.present().filter_map(|(m, row)| Some((m, self.table(m, record.table)?, row))).collect();
        let guarded = present.iter().any(|(_, table, row)| is_guarded(*table, *row));
        let standing = || {
            let (_, table, row) = present.first()?;
            files?.get(&(record.system, cell(*table, *row, "path"))).copied()
        };
        let holds = |rule: &&Rule| {
            rule.table == record.table
                && (!guarded || rule.kind == "timestamp")
                && present.iter().all(|(_, table, row)| {
                    rule.when.iter().all(|(column, pattern)| matches(*table, *row, column, pattern))
                })
                && (!rule.follows || standing() == Some(true))
                && (!rule.told || standing().is_some())
        };
        let rules: Vec<&Rule> = self.variation.rules.iter().filter(holds).collect();
        let mut used = BTreeSet::new();
        let mut told = Told::default();
        if record.rows.iter().any(Option::is_none) {
            match rules.iter().find(|r| r.rows && self.balanced(r, record, &present)) {
                Some(rule) => drop(used.insert(rule.id.clone())),
                None => told.is_alone = true,
            }
        }
        for column in &record.columns {
            let values: Vec<String> = present.iter().map(|(_, table, row)| cell(*table, *row, column)).collect();
            let may = |rule: &&&Rule| rule.columns.iter().any(|c| c == column) && fits(rule, &values);
            if let Some(rule) = rules.iter().find(may) {
                used.insert(rule.id.clone());
            } else if self.is_own_name(&present, &values) {
                used.insert(OWN_NAMES.to_owned());
            } else {
                told.telling.push(column);
            }
        }
        told.rules = used.into_iter().collect();
        told
    }
    /// The values are the same without the machines' own names.
    fn is_own_name(&self, present: &[(usize, &dyn AnyTable, usize)], values: &[String]) -> bool {
        let neutral: Option<BTreeSet<String>> = present
            .iter()
            .zip(values)
            .map(|((machine, ..), value)| Some(self.own.get(*machine)?.neutral(value).into_owned()))
            .collect();
        neutral.is_some_and(|n| n.len() == 1)
    }
    /// Every machine has as many rows that the rule speaks of and that are alike in its columns of `each`.
    fn balanced(&self, rule: &Rule, record: &Record, present: &[(usize, &dyn AnyTable, usize)]) -> bool {
        let Some((_, table, row)) = present.first().filter(|_| !rule.each.is_empty()) else { return true };
        let alike: Vec<String> = rule.each.iter().map(|c| cell(*table, *row, c)).collect();
        let count = |machine: usize| {
            let table = self.table(machine, record.table)?;
            let fits = |row: &usize| {
                table.system(*row) == record.system
                    && rule.each.iter().zip(&alike).all(|(c, value)| cell(table, *row, c) == *value)
                    && rule.when.iter().all(|(column, pattern)| matches(table, *row, column, pattern))
            };
            Some((0..table.len()).filter(fits).count())
        };
        let counts: BTreeSet<Option<usize>> = (0..self.machines.len()).map(count).collect();
        counts.len() == 1
    }
}

fn matches(table: &dyn AnyTable, row: usize, column: &str, pattern: &regex::Regex) -> bool {
    let Some(at) = table.table().column(column) else { return false };
    match table.cell(row, at) {
        crate::inventory::CellRef::List(list) => list.iter().any(|one| pattern.is_match(one)),
        other => pattern.is_match(&text(&other)),
    }
}

/// Whether all values are what the rule lets stand there.
fn fits(rule: &Rule, values: &[String]) -> bool {
    let addresses = || -> Option<Vec<(IpAddr, Option<u8>)>> {
        let all = values.iter().flat_map(|v| v.split(['\u{1f}', ' ', ','])).filter(|v| !v.is_empty());
        all.map(address).collect()
    };
    let in_ranges = rule.within.is_empty()
        || addresses()
            .is_some_and(|all| all.iter().all(|(a, _)| rule.within.iter().any(|(net, bits)| shares(*a, *net, *bits))));
    let in_network = rule.network.is_none_or(|bits| {
        addresses().is_some_and(|all| {
            let Some((first, _)) = all.first() else { return false };
            all.iter().all(|(a, own)| is_private(*a) && shares(*a, *first, own.unwrap_or(bits).max(bits)))
        })
    });
    in_ranges && in_network && rule.matches.as_ref().is_none_or(|m| values.iter().all(|v| m.is_match(v)))
}

fn address(text: &str) -> Option<(IpAddr, Option<u8>)> {
    match text.split_once('/') {
        Some((address, bits)) => Some((address.parse().ok()?, Some(bits.parse().ok()?))),
        None => Some((text.parse().ok()?, None)),
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_private() || a.is_link_local(),
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local(),
    }
}

/// Whether two addresses are alike in their first bits.
fn shares(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    let head = |value: u128, width: u32| {
        let rest = width.saturating_sub(u32::from(bits));
        value.checked_shr(rest).unwrap_or_default()
    };
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => head(u32::from(a).into(), 32) == head(u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => head(a.into(), 128) == head(b.into(), 128),
        _ => false,
    }
}
