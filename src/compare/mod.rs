//! What differs between machines of one kind: several sisters among themselves, or one machine in time.
//!
//! Rows are laid side by side by keys (`align`), expected variation is set apart by rules (`variation`), what follows
//! from packages of different versions is put under these, and the rest is ranked by how telling it is (`weigh`).
//! Beside it stands what all machines share and neither contract nor anybody independent vouches for (`shared`). Of one machine in time it is
//! told by whose hand a change came (`hand`), and how the findings moved.
mod align;
mod columns;
mod fold;
mod hand;
mod learn;
mod moved;
mod own;
mod runs;
mod shared;
#[cfg(test)]
mod tests;
mod trail;
#[cfg(test)]
mod trail_tests;
mod variation;
mod weigh;
pub mod write;

pub use columns::documented;
pub use hand::{Hand, Whose};
pub use learn::learn;
pub use moved::{Change, Moved};
pub use shared::Unvouched;
pub use trail::following;
pub use variation::{KINDS, LearntRule, Rule, Variation, VariationError, write_learnt};
pub use weigh::Class;

use crate::baseline::Baselines;
use crate::case::CaseData;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One machine of a comparison.
#[derive(Clone, Debug)]
pub struct Machine {
    /// As the examiner named it.
    pub name: String,
    /// The case, or the image.
    pub source: std::path::PathBuf,
    pub data: Arc<CaseData>,
    /// In what its case was not as it is compared: judged again, since …
    pub notes: Vec<String>,
    /// Rows, by the number of their table, that the delivery policy declares and of which nothing tells an alteration.
    pub declared: BTreeSet<(usize, usize)>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Machines that should be alike.
    Sisters,
    /// One machine: first as it was, then as it is.
    Time,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: &'static str,
    pub system: Option<u32>,
    /// The key's columns with their values; where these differ by the machines' own names, those of the first.
    pub key: Vec<(&'static str, String)>,
    pub class: Class,
    /// For each machine which of the states it has, numbered by first appearance; `None` where it has no such row.
    pub states: Vec<Option<u32>>,
    /// For each machine its row in the table.
    pub rows: Vec<Option<usize>>,
    /// Columns that differ, with each machine's value, as shown.
    pub columns: Vec<(&'static str, Vec<Option<String>>)>,
    /// Columns that differ as well, in ways that rules explain.
    pub usual: Vec<&'static str>,
    /// Machines that are not as most are, by number.
    pub odd: Vec<usize>,
    /// The file it was read from, as shown.
    pub source: String,
    /// The package that owns that file, and what the machine's own database says of it.
    pub package: String,
    pub check: String,
    /// Ids of the rules that explain it; empty where it is not expected variation.
    pub explained: Vec<String>,
    /// Of one machine in time: by whose hand.
    pub hand: Option<Hand>,
    /// Why it stands under a package's change: an id of [`following`]; empty where it does not.
    pub follows: &'static str,
    /// Differences that are put under it: read from the same file, or following from the same package.
    pub below: Vec<Difference>,
}

/// How the machines stand to each other.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub mode: Mode,
    pub machines: Vec<Machine>,
    /// Rows that all machines have, alike.
    pub shared: usize,
    /// What all share and nobody independent vouches for, the most telling first.
    pub unvouched: Vec<Unvouched>,
    /// Rows of these kinds for which only the machines' own package databases vouch, where no independent set was given.
    pub own_word: usize,
    /// The delivery policy by which all were judged; empty without one.
    pub policy: String,
    /// Rows of these kinds that it declares on every machine.
    pub declared: usize,
    /// Names of the baselines that vouch, and of those that do not count.
    pub vouching: Vec<String>,
    pub not_vouching: Vec<String>,
    /// The most telling first.
    pub differences: Vec<Difference>,
    /// Expected variation, in the order of tables.
    pub expected: Vec<Difference>,
    /// Rules of expected variation that were not applied, since nobody approved them.
    pub unapproved: Vec<String>,
    /// Of one machine in time: findings that are new, gone or on another rung.
    pub findings: Vec<Moved>,
}

impl Comparison {
    /// How many differences each rule explains.
    pub fn by_rule(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for id in self.expected.iter().flat_map(|d| &d.explained) {
            let count: &mut usize = counts.entry(id.as_str()).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
    /// How many differences stand under packages, by why ([`following`]).
    pub fn by_following(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        let below = self.differences.iter().flat_map(|d| &d.below);
        for kind in below.map(|d| d.follows).filter(|f| !f.is_empty()) {
            let count: &mut usize = counts.entry(kind).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
    /// Differences with all that is put under them.
    pub fn count(&self) -> usize {
        self.differences.iter().fold(0, |sum, d| sum.saturating_add(d.below.len()).saturating_add(1))
    }
}

/// What a comparison is made with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    pub variation: &'a Variation,
    pub baselines: &'a Baselines,
    pub mode: Mode,
    /// What the delivery policy is called by which all were judged; empty without one.
    pub policy: &'a str,
}

/// Compares two or more machines; of [`Mode::Time`] the first is the earlier.
pub fn compare(machines: Vec<Machine>, means: Means<'_>) -> Comparison {
    let inventories: Vec<&crate::inventory::Inventory> = machines.iter().map(|m| &m.data.inventory).collect();
    let own: Vec<own::Own> = machines.iter().map(|m| own::Own::of(&m.data.scene)).collect();
    let records = align::align(&inventories, &own);
    let explained = variation::Explainer::new(means.variation, &inventories, &own).explain(&records);
    let files: Vec<fold::Files<'_>> = inventories.iter().map(|i| fold::Files::of(i)).collect();
    let shared = records.iter().filter(|r| r.is_shared()).count();
    let apart = shared::unvouched(&records, &explained, &machines, &files, means.baselines);
    let mut expected = Vec::new();
    let mut told = Vec::new();
    for (record, why) in records.iter().zip(explained).filter(|(r, _)| !r.is_shared()) {
        let difference = fold::difference(record, why, &inventories, &files, &own);
        if difference.explained.is_empty() { &mut told } else { &mut expected }.push(difference);
    }
    let mut differences = fold::ranked(told, &inventories, &files);
    if let Some(hands) = hand::Hands::of(&machines).filter(|_| means.mode == Mode::Time) {
        differences.iter_mut().chain(&mut expected).for_each(|d| hands.tell(d));
    }
    let findings = if means.mode == Mode::Time { moved::findings(&machines) } else { Vec::new() };
    Comparison {
        mode: means.mode,
        shared,
        unvouched: apart.rows,
        own_word: apart.own_word,
        policy: means.policy.to_owned(),
        declared: apart.declared,
        vouching: apart.vouching,
        not_vouching: apart.not_vouching,
        differences,
        expected,
        unapproved: means.variation.unapproved.clone(),
        findings,
        machines,
    }
}
