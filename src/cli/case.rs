//! `list`, `judge`, `report` and `verify`: work on saved cases.
use super::{Outcome, examine, print};
use crate::base::MoreHashes;
use crate::case::CaseData;
use crate::inventory::{AnyTable, TABLES};
use crate::session::{self, Failure};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
enum ListFormat {
    Table,
    Csv,
    Json,
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// The table; without it, all are named with their columns.
    table: Option<String>,
    /// A case, or an image (which is then examined into a case of its own).
    #[arg(requires = "table")]
    source: Option<PathBuf>,
    /// COLUMN=PATTERN, with * for any text; every one must fit.
    #[arg(long = "where")]
    filters: Vec<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: ListFormat,
    /// Show keys, passwords and PINs of the configuration as they are. Otherwise they are masked.
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn list(a: &ListArguments) -> Outcome {
    let (Some(name), Some(source)) = (&a.table, &a.source) else {
        print(&mut |to| describe(a.table.as_deref(), to))?;
        return Ok(0);
    };
    if !TABLES.iter().any(|t| t.name == name.as_str()) {
        return Err(Failure::usage(format!("there is no table {name}; `cranescope list` names them all")));
    }
    let data = session::open_or_examine(source, a.show_secrets, a.confinement.no_sandbox, MoreHashes::default())?;
    let table = data.inventory.table(name).ok_or_else(|| Failure::usage(format!("there is no table {name}")))?;
    let filters = a.filters.iter().map(|f| filter(table, f)).collect::<Result<Vec<_>, _>>()?;
    let fits = |row: &usize| filters.iter().all(|(c, p)| matches(p, &table.value(*row, *c).to_string()));
    let rows: Vec<usize> = (0..table.len()).filter(fits).collect();
    print(&mut |to| match a.format {
        ListFormat::Table => crate::report::text_table(table, &rows, to),
        ListFormat::Csv => crate::report::csv(table, &rows, to),
        ListFormat::Json => crate::report::json_rows(&data.scene, table, &rows, to),
    })?;
    Ok(0)
}

fn describe(only: Option<&str>, to: &mut dyn Write) -> std::io::Result<()> {
    for table in TABLES.iter().filter(|t| only.is_none_or(|o| o == t.name)) {
        writeln!(to, "{}: {}", table.name, table.about)?;
        for column in table.columns {
            writeln!(to, "    {:18} {}", column.name, column.about)?;
        }
    }
    Ok(())
}

fn filter(table: &dyn AnyTable, text: &str) -> Result<(usize, String), Failure> {
    let wrong = |what: &str| Failure::usage(format!("--where {text}: {what}"));
    let (column, pattern) = text.split_once('=').ok_or_else(|| wrong("write COLUMN=PATTERN"))?;
    let column = table.table().column(column).ok_or_else(|| wrong("the table has no such column"))?;
    Ok((column, pattern.to_owned()))
}

/// `*` stands for any text; linear, greedy from the left.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A case; an image is examined into a case in a temporary place and forgotten.
pub(super) fn load(path: &std::path::Path, confinement: &super::Confinement) -> Result<CaseData, Failure> {
    session::open_or_examine(path, false, confinement.no_sandbox, MoreHashes::default())
}

#[derive(Args)]
pub(super) struct JudgeArguments {
    case: PathBuf,
    /// A known-good, known-bad or noteworthy set; may be given several times, asked in this order.
    #[arg(long)]
    baseline: Vec<PathBuf>,
    /// A public key (minisign) whose signatures under baselines count; may be given several times.
    #[arg(long, value_name = "FILE")]
    baseline_key: Vec<PathBuf>,
    /// The delivery policy (TOML). Without one, conformity is not assessed, whatever the case was judged by before.
    #[arg(long)]
    policy: Option<PathBuf>,
    #[arg(long)]
    rules: Vec<PathBuf>,
    #[arg(long, value_parser = examine::day)]
    as_of: Option<String>,
}

pub(super) fn judge(a: &JudgeArguments) -> Outcome {
    let (keys, day) = (&a.baseline_key, a.as_of.as_deref());
    let data = session::judge_again(&a.case, &a.rules, &a.baseline, keys, a.policy.as_deref(), day)?;
    super::tell_marks(&data);
    print(&mut |to| examine::summary(&data, &a.case, to))?;
    Ok(0)
}

#[derive(Args)]
pub(super) struct ReportArguments {
    case: PathBuf,
    /// html, json, csv or sarif.
    #[arg(long, default_value = "json")]
    format: String,
    /// For csv: the table; findings, gaps, searched, unexamined, or one of the inventory (`list` names them).
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// The file to write; - for standard output.
    #[arg(short, long)]
    output: PathBuf,
    /// Show keys, passwords and PINs of the configuration as they are. Otherwise they are masked.
    #[arg(long)]
    show_secrets: bool,
}

pub(super) fn report(a: &ReportArguments) -> Outcome {
    let known = crate::report::ALL;
    let format = known.iter().find(|f| f.name == a.format).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|f| f.name).collect();
        Failure::usage(format!("no report format {}; there are: {}", a.format, names.join(", ")))
    })?;
    if a.table.is_some() && format.name != "csv" {
        return Err(Failure::usage("--table is for --format csv; the other formats hold all tables"));
    }
    let data = session::allowed(&a.case, session::open_case(&a.case)?, a.show_secrets)?;
    let name = a.table.as_deref().unwrap_or("findings");
    if data.inventory.table(name).is_none() && !["findings", "gaps", "searched", "unexamined"].contains(&name) {
        return Err(Failure::usage(format!(
            "there is no table {name}; `cranescope list` names those of the inventory"
        )));
    }
    let mut write = |to: &mut dyn Write| match &a.table {
        Some(name) => crate::report::csv_table(&data, name, to).unwrap_or(Ok(())),
        None => (format.write)(&data, to),
    };
    if a.output.as_os_str() == "-" {
        print(&mut write)?;
    } else {
        session::save(&a.output, &mut write)?;
    }
    Ok(0)
}

#[derive(Args)]
pub(super) struct VerifyArguments {
    /// A case, or an image: its first segment.
    source: PathBuf,
    #[command(flatten)]
    confinement: super::Confinement,
}

/// 1 where something is not as it was recorded, or cannot be read.
pub(super) fn verify(a: &VerifyArguments) -> Outcome {
    let plan = a.confinement.looking_at(vec![a.source.clone()]);
    let verified = session::verify(&a.source, &plan)?;
    super::tell_scratch(&plan);
    print(&mut |to| verified.lines.iter().try_for_each(|line| writeln!(to, "{line}")))?;
    Ok(u8::from(!verified.whole))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("ssh*", "sshd", true),
            ("*d", "sshd", true),
            ("s*h*d", "sshd", true),
            ("", "", true),
            ("", "x", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
