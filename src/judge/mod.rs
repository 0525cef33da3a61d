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

pub use crate::baseline::{BaselineVerdict, Standing};
pub use finding::{Category, Confidence, Conformity, Finding, Review, Rung, Searched, Severity, Unexamined};
pub use knowledge::Knowledge;
pub use rule::{Rule, RuleError, RuleSeverity, RuleTest, Words};
pub use test_ground::TEST_GROUND;

use crate::base::Gap;
use crate::baseline::Baselines;
use crate::inventory::{Inventory, Scene};
use draft::Draft;
use rows::Tables;

/// What judging gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Most severe first, then by rule, system and subject.
    pub findings: Vec<Finding>,
    /// Every rule, also those that found nothing, by id.
    pub searched: Vec<Searched>,
    pub unexamined: Vec<Unexamined>,
}

/// Judges what was found so far. `as_of` (`YYYY-MM-DD`) is the day against which validity is judged.
pub fn judge(
    knowledge: &Knowledge,
    baselines: &Baselines,
    as_of: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
) -> Judgement {
    let _ = (as_of, gaps);
    let tables = Tables::new(inventory);
    let (hits, mut searched) = engine::apply(knowledge.rules(), &tables);
    let (mut drafts, correlated) = links::apply(knowledge, scene, inventory);
    searched.extend(correlated);
    drafts.extend(hits.into_iter().filter_map(|hit| Draft::of_hit(knowledge, &tables, hit)));
    let drafts = draft::drop_told_elsewhere(knowledge, &tables, drafts);
    let mut findings: Vec<Finding> =
        drafts.into_iter().filter_map(|d| d.finish(knowledge, baselines, scene, &tables)).collect();
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.rule.clone(), f.system, f.subject.clone());
        key(a).cmp(&key(b))
    });
    searched.sort_by(|a, b| a.rule.cmp(&b.rule));
    Judgement { findings, searched, unexamined: unexamined::devices(inventory) }
}
