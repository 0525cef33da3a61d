//! `rules` and `explain`: what is judged, in the rules' own words, and their own tests.
use super::{Outcome, print};
use crate::judge::{self, Finding, Knowledge, Rule};
use crate::session::{self, Plan};
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct RulesArguments {
    #[command(subcommand)]
    action: Option<RulesAction>,
    /// A folder of further rules (TOML, and YARA over contents); may be given several times.
    #[arg(long, global = true)]
    rules: Vec<PathBuf>,
}
#[derive(Subcommand)]
enum RulesAction {
    /// Run the tests that each rule file carries, through the whole pipeline.
    Test,
}
#[derive(Args)]
pub(super) struct ExplainArguments {
    /// A rule's id, or a finding's id together with its case.
    id: String,
    /// The case that holds the finding.
    case: Option<PathBuf>,
}

pub(super) fn run(a: &RulesArguments) -> Outcome {
    let knowledge = session::load_knowledge(&a.rules)?;
    match a.action {
        None => {
            print(&mut |to| knowledge.rules().iter().try_for_each(|r| writeln!(to, "{:48} {}", r.id, r.title)))?;
            Ok(0)
        }
        Some(RulesAction::Test) => test(&knowledge),
    }
}

/// Every rule's own trees, through a worker and the judge; exit code 1 if one does not hold.
fn test(knowledge: &Knowledge) -> Outcome {
    let (mut passed, mut failed) = (0_u64, 0_u64);
    let policy = judge::Policy::default();
    for rule in knowledge.rules() {
        for test in &rule.tests {
            let (scene, inventory, gaps) =
                session::examine_text(&Plan::default(), &format!("{}\n{}", judge::TEST_GROUND, test.tree))?;
            let baselines = test.given().map_err(|e| session::Failure::usage(format!("{}: {e}", rule.id)))?;
            let judged = judge::judge(knowledge, &baselines, &policy, "2026-01-01", &scene, &inventory, &gaps);
            let mut flagged: Vec<String> =
                judged.findings.into_iter().filter(|f| f.rule == rule.id).map(|f| f.subject).collect();
            flagged.sort();
            let mut expected = test.flags.clone();
            expected.sort();
            if flagged == expected {
                passed = passed.saturating_add(1);
            } else {
                failed = failed.saturating_add(1);
                eprintln!("{}: {}: flags {flagged:?}, expected {expected:?}", rule.id, test.name);
            }
        }
    }
    print(&mut |to| writeln!(to, "{passed} passed, {failed} failed"))?;
    Ok(u8::from(failed > 0))
}

pub(super) fn explain(a: &ExplainArguments) -> Outcome {
    if let Some(case) = &a.case {
        let data = session::allowed(case, session::open_case(case)?, false)?;
        let finding = data.findings.iter().find(|f| f.id == a.id);
        let finding =
            finding.ok_or_else(|| session::Failure::usage(format!("{}: no finding {}", case.display(), a.id)))?;
        print(&mut |to| write_finding(finding, to))?;
        return Ok(0);
    }
    if let Some(about) = judge::policy_rule(&a.id) {
        print(&mut |to| to.write_all(about.as_bytes()))?;
        return Ok(0);
    }
    let knowledge = session::load_knowledge(&[])?;
    let rule = knowledge.rule(&a.id).ok_or_else(|| {
        session::Failure::usage(format!(
            "no rule {}; `cranescope rules` names them; a finding needs its case: explain FINDING CASE",
            a.id
        ))
    })?;
    print(&mut |to| write_rule(rule, to))?;
    Ok(0)
}

fn write_rule(rule: &Rule, to: &mut dyn Write) -> std::io::Result<()> {
    writeln!(to, "{}\n{}\n", rule.id, rule.title)?;
    let words = &rule.words;
    section(to, "Observed", &words.observed)?;
    section(to, "Supports", &words.supports)?;
    section(to, "Does not show", &words.does_not_show)?;
    section(to, "Ordinary explanations", &words.ordinary_explanations)?;
    section(to, "Check", &words.check)?;
    section(to, "ATT&CK", &words.attack.join(", "))?;
    section(to, "References", &words.references.join("\n"))
}

fn write_finding(f: &Finding, to: &mut dyn Write) -> std::io::Result<()> {
    writeln!(to, "{}  {:?}  {}\n{}\n", f.id, f.severity, f.rule, f.title)?;
    section(to, "Observed", &f.observed)?;
    section(to, "Supports", &f.supports)?;
    section(to, "Does not show", &f.does_not_show)?;
    section(to, "Ordinary explanations", &f.ordinary_explanations)?;
    section(to, "Check", &f.check)?;
    for e in &f.evidence {
        let line = e.line.map(|l| format!(" line {l}")).unwrap_or_default();
        writeln!(to, "  {}{line}, inode {}", e.path, e.node.number)?;
        for run in &e.image_runs {
            writeln!(to, "      image {} offset {} length {}", run.image, run.offset, run.len)?;
        }
        if let Some(excerpt) = &e.excerpt {
            writeln!(to, "      {}", crate::base::Name::from(excerpt.as_str()).display_text())?;
        }
    }
    for r in &f.reviews {
        writeln!(to, "  review by {} at {}: {} {}", r.examiner, r.at, r.disposition, r.note)?;
    }
    Ok(())
}

fn section(to: &mut dyn Write, title: &str, text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(to, "{title}")?;
    for line in text.lines() {
        writeln!(to, "  {line}")?;
    }
    writeln!(to)
}
