//! `compare`: what differs between cranes, or between two examinations of one.
use super::{Outcome, case, print};
use crate::baseline::{self, TableDiff};
use crate::case::CaseData;
use crate::inventory::AnyTable;
use crate::session::Failure;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    /// Cases or images; each is compared with the first.
    #[arg(required = true, num_args = 2..)]
    sources: Vec<PathBuf>,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn run(a: &Arguments) -> Outcome {
    let mut sources = a.sources.iter();
    let first = sources.next().ok_or_else(|| Failure::usage("name two cases to compare"))?;
    let left = case::load(first, &a.confinement)?;
    for source in sources {
        let right = case::load(source, &a.confinement)?;
        let differences = baseline::compare(&left.inventory, &right.inventory);
        print(&mut |to| {
            writeln!(to, "--- {}\n+++ {}", first.display(), source.display())?;
            differences.iter().try_for_each(|d| write_table(d, &left, &right, to))
        })?;
    }
    Ok(0)
}

/// One line a row: `-` only in the first, `+` only in the other, `~` changed with its columns.
fn write_table(d: &TableDiff, left: &CaseData, right: &CaseData, to: &mut dyn Write) -> std::io::Result<()> {
    let (Some(a), Some(b)) = (left.inventory.table(d.table.name), right.inventory.table(d.table.name)) else {
        return Ok(());
    };
    let key = |t: &dyn AnyTable, row: usize| {
        let cells: Vec<String> = d.table.key.iter().map(|k| t.get(row, k).to_string()).collect();
        cells.join(" | ")
    };
    writeln!(to, "{}", d.table.name)?;
    for row in &d.only_a {
        writeln!(to, "  - {}", key(a, *row))?;
    }
    for row in &d.only_b {
        writeln!(to, "  + {}", key(b, *row))?;
    }
    for change in &d.changed {
        writeln!(to, "  ~ {}", key(a, change.a))?;
        for column in &change.columns {
            writeln!(to, "      {column}: {} -> {}", a.get(change.a, column), b.get(change.b, column))?;
        }
    }
    Ok(())
}
