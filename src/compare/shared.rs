//! What all machines share and neither contract nor anybody independent vouches for: of all findings of a comparison the one that comparing
//! sisters would hide. The word of a machine's own package database is not independent, since whoever changes the
//! machine can change it; neither is a baseline of what the examined party delivered. What the delivery policy declares on
//! every machine is counted, but for what tells of an alteration.
use super::Machine;
use super::align::Record;
use super::columns::key;
use super::fold::{Files, table};
use super::variation::Told;
use super::weigh::{Class, class, is_as_shipped};
use crate::baseline::named as cell;
use crate::baseline::{Baselines, Kind, Origin, Set, Standing};
use crate::inventory::{AnyTable, Inventory};

/// One row that all share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unvouched {
    pub table: &'static str,
    pub system: Option<u32>,
    pub key: Vec<(&'static str, String)>,
    pub class: Class,
    pub source: String,
    pub package: String,
    /// What the machines' own package database says of the file it was read from.
    pub check: String,
    /// Row of the first machine.
    pub row: usize,
}

#[derive(Default)]
pub(super) struct Apart {
    pub(super) rows: Vec<Unvouched>,
    pub(super) own_word: usize,
    pub(super) declared: usize,
    pub(super) vouching: Vec<String>,
    pub(super) not_vouching: Vec<String>,
}

/// Telling rows that all machines have, alike or but for expected variation, without the word of anybody independent.
pub(super) fn unvouched(
    records: &[Record],
    explained: &[Told],
    machines: &[Machine],
    files: &[Files<'_>],
    baselines: &Baselines,
) -> Apart {
    let vouches = |s: &&Set| s.about.origin != Origin::Delivery && s.about.kind == Kind::KnownGood;
    let (yes, not): (Vec<&Set>, Vec<&Set>) = baselines.sets().partition(vouches);
    let independent = Baselines::new(yes.iter().map(|s| (*s).clone()).collect());
    // What nobody signed is used with a visible mark.
    let told = |sets: &[&Set]| {
        let name = |s: &&Set| match s.trust() {
            trust if trust.is_signed() => s.about.name.clone(),
            trust => format!("{} ({})", s.about.name, trust.words()),
        };
        sets.iter().map(name).collect::<Vec<String>>()
    };
    let inventories: Vec<&Inventory> = machines.iter().map(|m| &m.data.inventory).collect();
    let mut apart = Apart { vouching: told(&yes), not_vouching: told(&not), ..Apart::default() };
    for (record, why) in records.iter().zip(explained) {
        let alike = record.rows.iter().all(Option::is_some) && (record.is_shared() || why.is_explained());
        let Some(row) = record.rows.first().copied().flatten().filter(|_| alike) else { continue };
        let (Some(table), Some(files)) = (table(&inventories, 0, record.table), files.first()) else { continue };
        let (package, check) = files.source(table, row);
        let class = class(table, row, check);
        if !is_telling(table, row, class) {
            continue;
        }
        let (verdict, _) = independent.row(table, row);
        // Known at another place only does not vouch for this one.
        let known = verdict.verdict == Standing::Known && !verdict.is_of_content();
        let own_word = has_own_word(table, row, check);
        if known {
            continue;
        }
        if is_declared(record, machines) {
            apart.declared = apart.declared.saturating_add(1);
            continue;
        }
        if own_word && verdict.verdict == Standing::None {
            apart.own_word = apart.own_word.saturating_add(1);
            continue;
        }
        let key = key(table.table()).iter().map(|k| (*k, table.get(row, k).to_string())).collect();
        apart.rows.push(Unvouched {
            table: record.table,
            system: record.system,
            key,
            class,
            source: table.evidence(row).map_or_else(String::new, |e| e.path.display()),
            package: package.to_owned(),
            check: check.to_owned(),
            row,
        });
    }
    apart.rows.sort_by(|a, b| {
        let order = |u: &Unvouched| (u.class, is_as_shipped(&u.check), table_number(u.table), u.system);
        order(a).cmp(&order(b)).then_with(|| a.key.cmp(&b.key))
    });
    apart
}

/// Whether the contract declares it on every machine.
fn is_declared(record: &Record, machines: &[Machine]) -> bool {
    let table = table_number(record.table);
    let one =
        |(row, machine): (&Option<usize>, &Machine)| row.is_some_and(|row| machine.declared.contains(&(table, row)));
    record.rows.len() == machines.len() && record.rows.iter().zip(machines).all(one)
}

fn table_number(name: &str) -> usize {
    crate::inventory::TABLES.iter().position(|t| t.name == name).unwrap_or(usize::MAX)
}

/// What the machines' own package database says of all that counts: for a start that is its program, and for a command
/// the file that says so as well. Code that other programs load is named by files that packages write when they are
/// installed; scripts that packages carry for their own installation have no digest anywhere.
fn has_own_word(table: &dyn AnyTable, row: usize, check: &str) -> bool {
    match table.table().name {
        "starts" => {
            let program = is_as_shipped(&cell(table, row, "package_check"));
            program && (is_as_shipped(check) || cell(table, row, "kind") != "command")
        }
        "files" => {
            let path = cell(table, row, "path");
            let is_script =
                [".preinst", ".postinst", ".prerm", ".postrm", ".config"].iter().any(|end| path.ends_with(end));
            is_as_shipped(check) || is_script && path.starts_with("/var/lib/dpkg/info/")
        }
        _ => is_as_shipped(check),
    }
}

/// Whether a row bears on what an examination is about, as it stands.
fn is_telling(table: &dyn AnyTable, row: usize, class: Class) -> bool {
    let of = |column: &str| cell(table, row, column);
    match table.table().name {
        "files" => matches!(class, Class::Programs | Class::Altered) && of("deleted") != "true",
        "binaries" | "groups" => false,
        "services" | "tasks" => of("enabled") == "true",
        "starts" => of("enabled") == "true" && !["dpkg", "opkg", "rpm", "apk"].contains(&of("by").as_str()),
        "accounts" => of("login") == "true" || of("uid") == "0" && of("name") != "root",
        "keys" => matches!(of("kind").as_str(), "authorized" | "certificate-authority"),
        _ => class <= Class::Traffic,
    }
}
