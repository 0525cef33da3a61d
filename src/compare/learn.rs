//! Proposes rules of expected variation from machines that are known to be good: what differs between them and no rule
//! explains yet, generalised with care.
//!
//! Numbers, hexadecimal names and the machines' own names in a path become patterns within their part of the path;
//! nothing else does. Never proposed: whole folders, executables, accounts, keys that let in, what starts, what leads
//! out or in.
use super::own::Own;
use super::variation::{Explainer, is_guarded, write_learnt};
use super::weigh::{Class, class};
use super::{LearntRule, Machine, Variation, align, columns, fold};
use crate::inventory::{AnyTable, Inventory, Kind};
use std::collections::BTreeMap;

/// Proposals in one file; beyond, the machines are not alike.
const MOST: usize = 2000;
/// Examples that one proposal names.
const EXAMPLES: usize = 6;

/// The proposed rules as a text, and how many there are.
///
/// # Errors
/// Where there are fewer than two machines, or more differences than a person could approve.
pub fn learn(machines: &[Machine], known: &Variation) -> Result<(String, usize), String> {
    if machines.len() < 2 {
        return Err("rules are learnt from two or more machines".into());
    }
    let inventories: Vec<&Inventory> = machines.iter().map(|m| &m.data.inventory).collect();
    let own: Vec<Own> = machines.iter().map(|m| Own::of(&m.data.scene)).collect();
    let records = align::align(&inventories, &own);
    let explained = Explainer::new(known, &inventories, &own).explain(&records);
    let files: Vec<fold::Files<'_>> = inventories.iter().map(|i| fold::Files::of(i)).collect();
    let mut proposed: BTreeMap<(String, BTreeMap<String, String>), LearntRule> = BTreeMap::new();
    for (record, why) in records.iter().zip(&explained) {
        if record.is_shared() || why.is_explained() || !may_vary(record, &inventories, &files) {
            continue;
        }
        let whole = record.rows.iter().any(Option::is_none);
        let mut when = BTreeMap::new();
        for (machine, row) in record.present().take(1) {
            let (Some(table), Some(own)) = (fold::table(&inventories, machine, record.table), own.get(machine)) else {
                continue;
            };
            for column in columns::key(table.table()) {
                let value = crate::baseline::named(table, row, column);
                let is_path = table.table().column(column).and_then(|c| table.table().columns.get(c)).map(|c| c.kind);
                let text = if is_path == Some(Kind::Path) { general(&own.neutral(&value)) } else { literal(&value) };
                if *column != "deleted" {
                    when.insert((*column).to_owned(), text);
                }
            }
        }
        let examples = record.present().filter_map(|(machine, row)| {
            let table = fold::table(&inventories, machine, record.table)?;
            let keys: Vec<String> = columns::key(table.table()).iter().map(|k| table.get(row, k).to_string()).collect();
            Some(format!("{}: {}", machines.get(machine)?.name, keys.join(" | ")))
        });
        let number = proposed.len().saturating_add(1);
        let rule = proposed.entry((record.table.to_owned(), when.clone())).or_insert_with(|| LearntRule {
            id: format!("learnt-{number}"),
            kind: "identity".to_owned(),
            why: "differs between machines that were named as good".to_owned(),
            table: record.table.to_owned(),
            when,
            columns: Vec::new(),
            rows: false,
            learnt_from: Vec::new(),
            approved: false,
        });
        rule.rows |= whole;
        for column in &why.telling {
            if !rule.columns.iter().any(|c| c == column) && !columns::key(record_table(record.table)?).contains(column)
            {
                rule.columns.push((*column).to_owned());
            }
        }
        let room = EXAMPLES.saturating_sub(rule.learnt_from.len());
        rule.learnt_from.extend(examples.take(room));
    }
    if proposed.len() > MOST {
        return Err(format!("{} differences that no rule explains: these machines are not alike", proposed.len()));
    }
    let mut rules: Vec<LearntRule> = proposed.into_values().filter(|r| r.rows || !r.columns.is_empty()).collect();
    for (number, rule) in rules.iter_mut().enumerate() {
        rule.id = format!("learnt-{}", number.saturating_add(1));
    }
    // What is written must be taken when it is read again; a name out of signs may make a pattern that stands for too much.
    let all = rules.len();
    rules.retain(|rule| {
        let text = write_learnt(std::slice::from_ref(rule));
        text.is_ok_and(|text| Variation::default().add("the proposal", &text).is_ok())
    });
    let mut text = write_learnt(&rules)?;
    let left_out = all.saturating_sub(rules.len());
    if left_out > 0 {
        text.push_str(&format!("# {left_out} differences have names of which no careful pattern can be made.\n"));
    }
    Ok((text, rules.len()))
}

fn record_table(name: &str) -> Result<&'static crate::inventory::Table, String> {
    let table = crate::inventory::TABLES.iter().find(|t| t.name == name);
    table.copied().ok_or_else(|| format!("no table {name}"))
}

/// Whether it is of a kind that may be proposed at all.
fn may_vary(record: &align::Record, inventories: &[&Inventory], files: &[fold::Files<'_>]) -> bool {
    // Whole rows are proposed of files alone; in other tables what is there once is what an examination looks for.
    if record.rows.iter().any(Option::is_none) && record.table != "files" {
        return false;
    }
    record.present().all(|(machine, row)| {
        let (Some(table), Some(files)) = (fold::table(inventories, machine, record.table), files.get(machine)) else {
            return false;
        };
        let check = files.source(table, row).1;
        let of: Class = class(table, row, check);
        !is_guarded(table, row) && !(Class::Ways..=Class::Altered).contains(&of) && !is_deleted(table, row)
    })
}

fn is_deleted(table: &dyn AnyTable, row: usize) -> bool {
    crate::baseline::named(table, row, "deleted") == "true"
}

/// A path as a pattern: numbers of more than one digit and hexadecimal names within one part of it. What lies in /etc
/// is named as it is.
fn general(path: &str) -> String {
    if path.starts_with("/etc/") {
        return literal(path);
    }
    let parts = path.split('/').map(part);
    parts.collect::<Vec<_>>().join("/")
}

fn part(part: &str) -> String {
    let own = [("{hostname}", "*"), ("{machine-id}", "{hex}"), ("{uuid}", "{hex}")];
    let words = part.split_inclusive(['.', '_', '-', '@']);
    let is_hex = |w: &str| w.len() >= 8 && w.chars().all(|c| c.is_ascii_hexdigit());
    let mut out = String::new();
    // A UUID is one name.
    if part.len() >= 32 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return "{hex}".to_owned();
    }
    for word in words {
        let bare = word.trim_end_matches(['.', '_', '-', '@']);
        let end = word.get(bare.len()..).unwrap_or_default();
        match own.iter().find(|(sign, _)| bare == *sign) {
            Some((_, pattern)) => out.push_str(pattern),
            None if is_hex(bare) => out.push_str("{hex}"),
            None if bare.len() > 1 && bare.chars().all(|c| c.is_ascii_digit()) => out.push('#'),
            None => out.push_str(&literal(bare)),
        }
        out.push_str(end);
    }
    out
}

/// Characters that are signs of a pattern stand for any one character.
fn literal(text: &str) -> String {
    text.replace(['*', '#'], "?").replace("{hex}", "?hex?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_and_own_names_become_patterns() {
        for (path, pattern) in [
            ("/var/lib/app/0123456789abcdef/state", "/var/lib/app/{hex}/state"),
            ("/var/lib/app/run-20240101.db", "/var/lib/app/run-{hex}.db"),
            ("/var/lib/app/run-2024.db", "/var/lib/app/run-#.db"),
            ("/var/lib/{hostname}.dat", "/var/lib/*.dat"),
            ("/etc/app/run-2024.conf", "/etc/app/run-2024.conf"),
            ("/srv/x5/y*", "/srv/x5/y?"),
            ("/var/lib/x/5c3d1cd6-7b1c-4f8e-9f43-0d1c5c8f1f00", "/var/lib/x/{hex}"),
        ] {
            assert_eq!(general(path), pattern);
        }
    }
}
