//! `variation`: rules of expected variation shown, checked, and proposed from good machines.
use super::{Outcome, print};
use crate::compare::{self, KINDS};
use crate::session::{self, Failure, Together};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The rules of the program and of files, with why.
    Show { files: Vec<PathBuf> },
    /// Proposes rules from two or more good machines; none is applied before it is approved in the file.
    Learn(LearnArguments),
}

#[derive(Args)]
struct LearnArguments {
    /// Cases or images.
    #[arg(required = true, num_args = 2..)]
    sources: Vec<PathBuf>,
    /// Rules that are there already.
    #[arg(long, value_name = "FILE")]
    variation: Vec<PathBuf>,
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn run(a: &Arguments) -> Outcome {
    match &a.action {
        Action::Show { files } => show(files),
        Action::Learn(a) => learn(a),
    }
}

fn show(files: &[PathBuf]) -> Outcome {
    let all = session::load_variation(files)?;
    print(&mut |to| {
        for (kind, about) in KINDS {
            let of_kind: Vec<_> = all.rules.iter().filter(|r| r.kind == *kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            writeln!(to, "{kind}: {about}")?;
            for rule in of_kind {
                let what = if rule.rows { "rows" } else { "columns" };
                let columns = rule.columns.join(", ");
                writeln!(to, "    {} ({} of {}) {columns}\n        {}", rule.id, what, rule.table, rule.why)?;
            }
        }
        all.unapproved.iter().try_for_each(|rule| writeln!(to, "not applied, since nobody approved it: {rule}"))
    })?;
    Ok(0)
}

fn learn(a: &LearnArguments) -> Outcome {
    let known = session::load_variation(&a.variation)?;
    let plan = Together { sources: a.sources.clone(), no_sandbox: a.confinement.no_sandbox, ..Together::default() };
    let (machines, ..) = session::bring_together(&plan)?;
    let (text, count) = compare::learn(&machines, &known).map_err(Failure::usage)?;
    session::save(&a.output, &mut |to| to.write_all(text.as_bytes()))?;
    print(&mut |to| {
        writeln!(
            to,
            "{count} rules proposed; none is applied before `approved = true` stands in {}",
            a.output.display()
        )
    })?;
    Ok(0)
}
