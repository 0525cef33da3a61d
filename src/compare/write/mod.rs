//! A comparison written out: text for people, CSV for spreadsheets, JSON (`cranescope-compare/1`) for programs.
mod csv;
mod json;
mod text;

pub use csv::csv;
pub use json::{SCHEMA, json};
pub use text::text;

use super::{Comparison, Difference};

/// Who is odd, and how, in words: `only in crane-3`, `not in crane-3`, `other in crane-3`.
pub fn odd(of: &Comparison, d: &Difference) -> String {
    let name = |machine: &usize| of.machines.get(*machine).map_or("", |m| m.name.as_str());
    let names = |machines: &[usize]| machines.iter().map(name).collect::<Vec<_>>().join(", ");
    let has = |machine: &usize| d.rows.get(*machine).is_some_and(Option::is_some);
    let (with, without): (Vec<usize>, Vec<usize>) = d.odd.iter().copied().partition(has);
    let all_with = d.rows.iter().filter(|r| r.is_some()).count();
    let mut words = Vec::new();
    if !with.is_empty() {
        let word = if all_with == with.len() { "only in" } else { "other in" };
        words.push(format!("{word} {}", names(&with)));
    }
    if !without.is_empty() {
        words.push(format!("not in {}", names(&without)));
    }
    words.join("; ")
}

/// A key as one text; that a file is not deleted goes without saying.
pub fn label(key: &[(&'static str, String)]) -> String {
    let telling = key.iter().filter(|(column, value)| *column != "deleted" || value != "false");
    telling.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" | ")
}

/// The key of a difference as one text.
pub fn key(d: &Difference) -> String {
    label(&d.key)
}

/// What a machine has: `has not`, `has` (as most have it), or `other` (with other values).
pub fn stands(d: &Difference, machine: usize) -> &'static str {
    if d.rows.get(machine).is_none_or(Option::is_none) {
        "has not"
    } else if !d.odd.contains(&machine) || d.columns.is_empty() {
        "has"
    } else {
        "other"
    }
}
