//! Cases brought together for a comparison: all are judged by the same rules first, so that what changed in the tool is
//! no difference of the machines. Nothing is written into them.
use super::examine::{load_baselines, load_knowledge, tool};
use super::saved::open_or_examine;
use super::{Failure, resume};
use crate::base::Time;
use crate::baseline::Baselines;
use crate::case::{CaseData, Tool, Verdict};
use crate::compare::{Comparison, Machine, Means, Mode, Variation, compare};
use crate::judge::{self, Assessment, Policy};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What is compared, and how.
#[derive(Clone, Debug, Default)]
pub struct Together {
    /// Cases or images.
    pub sources: Vec<PathBuf>,
    pub baselines: Vec<PathBuf>,
    /// Public keys whose signatures on baselines count.
    pub baseline_keys: Vec<PathBuf>,
    /// The delivery policy by which all are judged; by default the one that all cases keep.
    pub policy: Option<PathBuf>,
    /// Further files of expected variation.
    pub variation: Vec<PathBuf>,
    /// Further folders of rules.
    pub rules: Vec<PathBuf>,
    /// `None`: two cases of one machine id are one machine in time, all else are sisters.
    pub mode: Option<Mode>,
    pub as_of: Option<String>,
    pub no_sandbox: bool,
}

/// The rules of expected variation: those of the program, and the analyst's.
pub fn load_variation(files: &[PathBuf]) -> Result<Variation, Failure> {
    let mut all = Variation::built_in().map_err(|e| Failure::usage(e.to_string()))?;
    for file in files {
        all.load(file).map_err(|e| Failure::usage(e.to_string()))?;
    }
    Ok(all)
}

/// Opens the cases, or examines the images, and judges all of them by the same rules where they are not. Gives the
/// baselines and the policy by which they stand as well.
pub fn bring_together(plan: &Together) -> Result<(Vec<Machine>, Baselines, Policy), Failure> {
    let knowledge = load_knowledge(&plan.rules)?;
    let baselines = load_baselines(&plan.baselines, &plan.baseline_keys)?;
    let given = super::load_policy(plan.policy.as_deref())?;
    let now = tool(&knowledge);
    let today = || Time::now().to_string().chars().take(10).collect::<String>();
    let as_of = plan.as_of.clone().unwrap_or_else(today);
    let hashes = baselines.more_hashes();
    let open = |source: &PathBuf| open_or_examine(source, false, plan.no_sandbox, hashes);
    let cases = plan.sources.iter().map(open).collect::<Result<Vec<CaseData>, Failure>>()?;
    let (policy, by) = contract(given, &cases)?;
    let mut machines = Vec::new();
    for ((source, name), mut data) in plan.sources.iter().zip(names(&plan.sources)).zip(cases) {
        let mut notes = differences(&data.tool, &now);
        if !baselines.is_empty() {
            notes.push("by the baselines that were given".to_owned());
        }
        if policy.is_given() || data.verdict.assessment.is_some() {
            notes.push(by.clone());
        }
        let mut declared = BTreeSet::new();
        if !notes.is_empty() {
            let policy = policy.about(data.scope.delivered());
            let judged =
                judge::judge(&knowledge, &baselines, &policy, &as_of, &data.scene, &data.inventory, &data.gaps);
            let reviews = resume::reviews(&data);
            data.findings = judged.findings;
            resume::keep_reviews(&mut data, &reviews);
            data.searched = judged.searched;
            data.tool = now.clone();
            data.run.baselines = baselines.used();
            data.verdict = Verdict::of(&data, judged.reasons, judged.assessment);
            declared = judged.declared.into_iter().collect();
            notes = vec![format!("judged again for this comparison, as of {as_of}: {}", notes.join("; "))];
            if policy.is_given() {
                notes.push(format!("conformity to the policy {}: {}", policy.name(), data.verdict.result.word()));
            }
        }
        if !data.gaps.is_empty() {
            notes.push(format!("{} gaps: what was not read there cannot differ here", data.gaps.len()));
        }
        machines.push(Machine { name, source: source.clone(), data: Arc::new(data), notes, declared });
    }
    Ok((machines, baselines, policy))
}

/// The contract by which all are compared, and how that is told: the policy that is given, else the one that every case
/// was judged by already. Where they were judged by different ones, none of these is all machines' own.
fn contract(given: Policy, cases: &[CaseData]) -> Result<(Policy, String), Failure> {
    if given.is_given() {
        let by = format!("by the delivery policy {}", given.name());
        return Ok((given, by));
    }
    let own: Vec<Option<&Assessment>> = cases.iter().map(|c| c.verdict.assessment.as_ref()).collect();
    let kept = own.first().copied().flatten();
    match kept.filter(|kept| own.iter().all(|o| o.is_some_and(|o| o.sha256 == kept.sha256))) {
        Some(kept) => {
            let policy = Policy::parse(&kept.file, &kept.text).map_err(|errors| {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let what = "the policy that the cases keep cannot be used; give it anew with --policy";
                Failure::usage(format!("{}\n{what}", lines.join("\n")))
            })?;
            Ok((policy, format!("by the delivery policy {}, which the cases keep", kept.name)))
        }
        None => Ok((Policy::default(), "without a delivery policy, since not all were judged by the same".to_owned())),
    }
}

/// In what a case was made by another tool, in words.
fn differences(then: &Tool, now: &Tool) -> Vec<String> {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let mut all = Vec::new();
    if then.version != now.version {
        all.push(format!("it was made by version {}, this is {}", then.version, now.version));
    }
    for (what, then, now) in
        [("rules", &then.rules_sha256, &now.rules_sha256), ("knowledge", &then.knowledge_sha256, &now.knowledge_sha256)]
    {
        if then != now {
            all.push(format!("other {what} ({}… then, {}… now)", short(then), short(now)));
        }
    }
    all
}

/// The sources' names without what they have in common at the end; whole paths where these are not told apart by it.
fn names(sources: &[PathBuf]) -> Vec<String> {
    let stem =
        |p: &PathBuf| p.file_stem().map_or_else(|| p.display().to_string(), |s| s.to_string_lossy().into_owned());
    let name =
        |p: &PathBuf| p.file_name().map_or_else(|| p.display().to_string(), |s| s.to_string_lossy().into_owned());
    let whole = |p: &PathBuf| p.display().to_string();
    let unique = |all: &[String]| all.iter().collect::<std::collections::BTreeSet<_>>().len() == all.len();
    for short in [&stem as &dyn Fn(&PathBuf) -> String, &name, &whole] {
        let all: Vec<String> = sources.iter().map(short).collect();
        if unique(&all) {
            return all.iter().map(|n| crate::base::Name::from(n.as_str()).display_text()).collect();
        }
    }
    (1_usize..).zip(sources).map(|(n, p)| format!("{n}: {}", p.display())).collect()
}

/// Compares cases or images.
pub fn compare_together(plan: &Together) -> Result<Comparison, Failure> {
    if plan.sources.len() < 2 {
        return Err(Failure::usage("name two or more cases or images to compare"));
    }
    if plan.mode == Some(Mode::Time) && plan.sources.len() != 2 {
        return Err(Failure::usage("--in-time compares two cases of one machine: the earlier, then the later"));
    }
    let variation = load_variation(&plan.variation)?;
    let (machines, baselines, policy) = bring_together(plan)?;
    let mode = plan.mode.unwrap_or_else(|| mode(&machines));
    Ok(compare(machines, Means { variation: &variation, baselines: &baselines, mode, policy: policy.name() }))
}

fn mode(machines: &[Machine]) -> Mode {
    let id = |m: &Machine| m.data.scene.systems.first().map(|s| s.machine_id.clone()).filter(|id| !id.is_empty());
    match machines {
        [a, b] if id(a).is_some() && id(a) == id(b) => Mode::Time,
        _ => Mode::Sisters,
    }
}
