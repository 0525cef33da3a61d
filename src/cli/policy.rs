//! `policy check` and `policy draft`: what the contract allows.
use super::{Outcome, complain, examine, print};
use crate::judge::Policy;
use crate::session::{self, Failure};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct PolicyArguments {
    #[command(subcommand)]
    action: Action,
}
#[derive(Subcommand)]
enum Action {
    /// Check a policy, and say in sentences what it allows. Exit code 2 if anything about it is wrong.
    Check(CheckArguments),
    /// Write a policy that declares everything a case holds, to be cut down by hand. Its reasons are left empty, so
    /// that it is not accepted as it stands.
    Draft(DraftArguments),
}
#[derive(Args)]
struct CheckArguments {
    file: PathBuf,
    /// The day on which it is to hold: YYYY-MM-DD; by default today.
    #[arg(long, value_parser = examine::day)]
    as_of: Option<String>,
}
#[derive(Args)]
struct DraftArguments {
    case: PathBuf,
    /// The file to write; - for standard output.
    #[arg(short, long)]
    output: PathBuf,
}

pub(super) fn run(a: &PolicyArguments) -> Outcome {
    match &a.action {
        Action::Check(a) => check(a),
        Action::Draft(a) => draft(a),
    }
}

fn check(a: &CheckArguments) -> Outcome {
    let policy = Policy::load(&a.file).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    })?;
    print(&mut |to| policy.sentences().iter().try_for_each(|line| writeln!(to, "{line}")))?;
    let today = || crate::base::Time::now().to_string().chars().take(10).collect();
    let over = policy.over(&a.as_of.clone().unwrap_or_else(today));
    over.iter().for_each(|e| complain(&e.to_string()));
    Ok(if over.is_empty() { 0 } else { 2 })
}

fn draft(a: &DraftArguments) -> Outcome {
    let text = session::draft_policy(&a.case)?;
    if a.output.as_os_str() == "-" {
        print(&mut |to| to.write_all(text.as_bytes()))?;
    } else {
        if a.output.exists() {
            return Err(Failure::usage(format!("{}: exists; name another file", a.output.display())));
        }
        session::save_text(&a.output, &text)?;
    }
    Ok(0)
}
