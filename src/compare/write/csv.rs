//! A comparison as CSV (RFC 4180): one line a difference, ranked, with the machines' states as columns.
use super::{key, label, odd, stands};
use crate::compare::{Comparison, Difference};
use crate::report::csv_cell;
use std::io::{self, Write};

/// Writes all: what all share and nobody vouches for, differences with what stands below them, expected variation.
pub fn csv(c: &Comparison, expected: bool, to: &mut dyn Write) -> io::Result<()> {
    let mut names: Vec<String> =
        ["rank", "part", "class", "table", "key", "odd", "columns"].iter().map(|n| (*n).to_owned()).collect();
    names.extend(c.machines.iter().map(|m| m.name.clone()));
    names.extend(["package", "check", "source", "hand", "when", "by", "explained"].iter().map(|n| (*n).to_owned()));
    cells_of(&names, to)?;
    for u in &c.unvouched {
        let head = ["", "shared", &class(u.class)?, u.table, &label(&u.key), "", ""];
        let mut cells: Vec<String> = head.iter().map(|t| (*t).to_owned()).collect();
        cells.extend(c.machines.iter().map(|_| "has".to_owned()));
        cells.extend([u.package.clone(), u.check.clone(), u.source.clone()]);
        cells.extend(std::iter::repeat_n(String::new(), 4));
        cells_of(&cells, to)?;
    }
    for (rank, d) in (1_usize..).zip(&c.differences) {
        line(c, d, &rank.to_string(), "difference", to)?;
        for below in &d.below {
            line(c, below, &rank.to_string(), "below", to)?;
        }
    }
    for d in c.expected.iter().filter(|_| expected) {
        line(c, d, "", "expected", to)?;
    }
    Ok(())
}

fn class(class: crate::compare::Class) -> io::Result<String> {
    Ok(serde_json::to_value(class)?.as_str().unwrap_or_default().to_owned())
}

fn line(c: &Comparison, d: &Difference, rank: &str, part: &str, to: &mut dyn Write) -> io::Result<()> {
    let columns: Vec<&str> = d.columns.iter().map(|(column, _)| *column).collect();
    let head = [rank, part, &class(d.class)?, d.table, &key(d), &odd(c, d), &columns.join(", ")];
    let mut cells: Vec<String> = head.iter().map(|t| (*t).to_owned()).collect();
    cells.extend((0..c.machines.len()).map(|machine| cell(d, machine)));
    cells.extend([d.package.clone(), d.check.clone(), d.source.clone()]);
    let hand = d.hand.as_ref();
    cells.push(hand.map_or_else(String::new, |h| h.whose.words().to_owned()));
    cells.push(hand.map_or_else(String::new, |h| h.when.clone()));
    cells.push(hand.map_or_else(String::new, |h| h.by.join("; ")));
    cells.push(d.explained.join(", "));
    cells_of(&cells, to)
}

/// What a machine has, with its own values.
fn cell(d: &Difference, machine: usize) -> String {
    let stands = stands(d, machine);
    if stands != "other" {
        return stands.to_owned();
    }
    let value = |(column, values): &(&str, Vec<Option<String>>)| {
        let value = values.get(machine).cloned().flatten();
        value.map(|v| format!("{column}={v}"))
    };
    format!("{stands}: {}", d.columns.iter().filter_map(value).collect::<Vec<_>>().join("; "))
}

fn cells_of(cells: &[String], to: &mut dyn Write) -> io::Result<()> {
    let cells: Vec<_> = cells.iter().map(|c| csv_cell(c)).collect();
    write!(to, "{}\r\n", cells.join(","))
}
