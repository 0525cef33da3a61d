//! `compare`: what differs between cranes, or between two examinations of one.
use super::{Outcome, print};
use crate::compare::{Mode, write};
use crate::session::{self, Together};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
enum OutputFormat {
    Text,
    Csv,
    Json,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("mode").args(["sisters", "in_time"]))]
pub(super) struct Arguments {
    /// Cases or images. Two of one machine id are one crane in time, the earlier first; all others are sisters.
    #[arg(required = true, num_args = 2..)]
    sources: Vec<PathBuf>,
    /// They are different cranes, whatever their machine ids say.
    #[arg(long)]
    sisters: bool,
    /// They are one crane: as it was, then as it is.
    #[arg(long)]
    in_time: bool,
    /// Who vouches for what all share: baselines of origin approved or vendor. The cases are judged by them, too.
    #[arg(long)]
    baseline: Vec<PathBuf>,
    /// Public key of somebody whose signature on a baseline counts.
    #[arg(long, value_name = "FILE")]
    baseline_key: Vec<PathBuf>,
    /// The delivery policy (TOML) by which all are judged: what it declares on every machine is not listed as vouched for
    /// by nobody. By default the policy that all cases keep.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Further rules of expected variation (docs/compare.md).
    #[arg(long, value_name = "FILE")]
    variation: Vec<PathBuf>,
    #[arg(long)]
    rules: Vec<PathBuf>,
    #[arg(long)]
    as_of: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: OutputFormat,
    /// List each difference that is expected variation, too; otherwise they are counted.
    #[arg(long)]
    expected: bool,
    /// The file to write; by default, or for -, standard output.
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn run(a: &Arguments) -> Outcome {
    let comparison = session::compare_together(&Together {
        sources: a.sources.clone(),
        baselines: a.baseline.clone(),
        baseline_keys: a.baseline_key.clone(),
        policy: a.policy.clone(),
        variation: a.variation.clone(),
        rules: a.rules.clone(),
        mode: match (a.sisters, a.in_time) {
            (true, _) => Some(Mode::Sisters),
            (_, true) => Some(Mode::Time),
            _ => None,
        },
        as_of: a.as_of.clone(),
        no_sandbox: a.confinement.no_sandbox,
    })?;
    let mut write = |to: &mut dyn Write| match a.format {
        OutputFormat::Text => write::text(&comparison, a.expected, to),
        OutputFormat::Csv => write::csv(&comparison, a.expected, to),
        OutputFormat::Json => write::json(&comparison, a.expected, to),
    };
    match &a.output {
        Some(path) if path.as_os_str() != "-" => session::save(path, &mut write)?,
        _ => print(&mut write)?,
    }
    Ok(0)
}
