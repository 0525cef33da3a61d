//! `baseline check`: every file of a case held against baselines.
use super::{Outcome, print};
use crate::baseline::{Baselines, Held, Keys, Standing};
use crate::session::{Failure, open_or_examine};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CheckArguments {
    /// A case, or an image.
    source: PathBuf,
    /// A known-good set; may be given several times, asked in this order.
    #[arg(long, required = true)]
    baseline: Vec<PathBuf>,
    /// A public key (minisign) whose signatures under baselines count; may be given several times.
    #[arg(long, value_name = "FILE")]
    baseline_key: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    confinement: super::Confinement,
}
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Counts, then a line for every file that is not as the baselines have it.
    Text,
    /// A line of JSON for every file.
    Json,
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Known => "known",
        Standing::Changed => "changed",
        Standing::Unknown => "unknown",
        Standing::Missing => "missing",
        Standing::None => "none",
    }
}

/// 1 where a file is changed, or a program is unknown.
pub(super) fn check(a: &CheckArguments) -> Outcome {
    let usage = |e: crate::baseline::BaselineError| Failure::usage(e.to_string());
    let baselines = Keys::load(&a.baseline_key).and_then(|keys| Baselines::load(&a.baseline, &keys)).map_err(usage)?;
    let data = open_or_examine(&a.source, false, a.confinement.no_sandbox, baselines.more_hashes())?;
    for mark in baselines.used().iter().filter_map(crate::baseline::Used::mark) {
        super::complain(&mark);
    }
    for limit in baselines.limits(&data.inventory.files) {
        super::complain(&limit);
    }
    let files = &data.inventory.files;
    let held = baselines.files(&data.inventory);
    let is_odd = |h: &&Held| h.standing == Standing::Changed || (h.standing == Standing::Unknown && h.is_program);
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for h in &held {
        let class = if h.standing == Standing::Unknown { h.class } else { "" };
        let count = counts.entry((word(h.standing), class)).or_default();
        *count = count.saturating_add(1);
    }
    let missing = baselines.missing(&data.inventory);
    print(&mut |to| {
        if a.format == Format::Json {
            for h in &held {
                let Some(file) = files.get(h.row) else { continue };
                let line = serde_json::json!({
                    "path": file.path.display(), "verdict": word(h.standing), "by": h.by, "class": h.class,
                    "program": h.is_program, "sha256": file.sha256.map(|s| s.to_string()),
                });
                writeln!(to, "{line}")?;
            }
            return Ok(());
        }
        for ((standing, class), count) in &counts {
            writeln!(to, "{count:8} {standing}{}{class}", if class.is_empty() { "" } else { ": " })?;
        }
        if !missing.is_empty() {
            writeln!(to, "{:8} missing rows of all tables", missing.len())?;
        }
        for h in held.iter().filter(|h| matches!(h.standing, Standing::Changed | Standing::Unknown)) {
            let Some(file) = files.get(h.row) else { continue };
            let program = if h.is_program { ", a program" } else { "" };
            match h.standing {
                Standing::Changed => writeln!(to, "changed {} ({}{program})", file.path, h.by)?,
                _ => writeln!(to, "unknown {} ({}{program})", file.path, h.class)?,
            }
        }
        Ok(())
    })?;
    Ok(u8::from(held.iter().any(|h| is_odd(&h))))
}
