//! Judging: the inventory against knowledge. Sees the inventory only, so a saved case can be judged
//! again without its image.
//!
//! Table rules are applied row by row (`engine`), correlations in code (`links`) give one finding a
//! link, then baselines speak, and what another rule tells better is dropped. Nothing here depends
//! on time, threads or hash order.
mod assets;
mod draft;
mod engine;
mod finding;
mod knowledge;
mod links;
mod predicate;
mod rows;
mod rule;
mod template;
mod test_ground;
#[cfg(test)]
mod tests;
mod unexamined;
mod unread;

pub use crate::baseline::{BaselineVerdict, Standing};
pub use finding::{Category, Confidence, Conformity, Finding, Review, Rung, Searched, Severity, Unexamined};
pub use knowledge::Knowledge;
pub use rule::{Rule, RuleError, RuleSeverity, RuleTest, Words};
pub use test_ground::TEST_GROUND;

use crate::base::Gap;
use crate::baseline::Baselines;
use crate::inventory::{Inventory, Scene};
use draft::Draft;
use links::Ground;
use rows::Tables;
use unread::Unread;

/// What judging gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Most severe first, then by rule, system and subject.
    pub findings: Vec<Finding>,
    /// Every rule, also those that found nothing, by id.
    pub searched: Vec<Searched>,
    pub unexamined: Vec<Unexamined>,
    /// What bounds the result, for the verdict.
    pub reasons: Vec<String>,
}

/// Judges a whole inventory. `as_of` (`YYYY-MM-DD`) is the day against which validity is judged; empty
/// for none.
pub fn judge(
    knowledge: &Knowledge,
    baselines: &Baselines,
    as_of: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
) -> Judgement {
    judged(knowledge, baselines, as_of, scene, inventory, gaps, true)
}

/// Judges what was found so far, before all contents were read: what is not known yet of a file counts
/// in its favor, so that a finding can only rise until the end.
pub fn judge_so_far(
    knowledge: &Knowledge,
    baselines: &Baselines,
    as_of: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
) -> Judgement {
    judged(knowledge, baselines, as_of, scene, inventory, gaps, false)
}

fn judged(
    knowledge: &Knowledge,
    baselines: &Baselines,
    as_of: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
    whole: bool,
) -> Judgement {
    let tables = Tables::new(inventory, as_of);
    let unread = Unread::new(gaps);
    let correlate = || links::apply(knowledge, &Ground::new(baselines, scene, inventory, whole), &unread);
    let ((hits, mut searched), (mut drafts, correlated)) = std::thread::scope(|scope| {
        let beside = std::thread::Builder::new().name("correlation".into()).spawn_scoped(scope, correlate);
        let applied = engine::apply(knowledge.rules(), &tables, &unread, whole);
        (applied, beside.ok().and_then(|b| b.join().ok()).unwrap_or_else(correlate))
    });
    searched.extend(correlated);
    drafts.extend(hits.into_iter().filter_map(|hit| Draft::of_hit(knowledge, &tables, hit)));
    let drafts = draft::drop_told_elsewhere(knowledge, &tables, drafts);
    let mut findings: Vec<Finding> =
        drafts.into_iter().filter_map(|d| d.finish(knowledge, baselines, scene, &tables)).collect();
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.rule.clone(), f.system, f.subject.clone());
        key(a).cmp(&key(b))
    });
    searched.sort_by(|a, b| a.searched.rule.cmp(&b.searched.rule));
    let mut reasons = Vec::new();
    if !as_of.is_empty() {
        reasons.push(format!("judged as of {as_of}"));
    }
    let bounded = searched.iter().filter(|s| s.bounded && s.searched.hits == 0).count();
    if bounded > 0 {
        let rules = if bounded == 1 { "rule" } else { "rules" };
        reasons.push(format!("{bounded} {rules} found nothing, with gaps in what feeds them"));
    }
    reasons.extend(baselines.limits());
    let searched = searched.into_iter().map(|s| s.searched).collect();
    Judgement { findings, searched, unexamined: unexamined::devices(inventory), reasons }
}
