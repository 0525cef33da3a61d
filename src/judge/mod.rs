//! Judging: the inventory against knowledge. Sees the inventory only, so a saved case can be judged
//! again without its image.
//!
//! Table rules are applied row by row (`engine`), correlations in code (`links`) give one finding a
//! link, then baselines speak, and what another rule tells better is dropped; at last the delivery policy says
//! what it allows (`policy`). Nothing here depends on time, threads or hash order.
mod assets;
mod content;
mod count;
mod draft;
mod engine;
mod finding;
mod knowledge;
mod links;
mod policy;
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
pub use content::{ContentRules, NEED_CONTENT, content_targets};
pub use finding::{Category, Confidence, Conformity, Finding, Review, Rung, Searched, Severity, Unexamined};
pub use knowledge::Knowledge;
pub use policy::{
    Assessment, Delivered, Policy, SCHEMA as POLICY_SCHEMA, Told, about_rule as policy_rule, is_day,
    manual as policy_manual,
};
pub use rule::{Rule, RuleError, RuleSeverity, RuleTest, Words};
pub use test_ground::TEST_GROUND;

use crate::base::Gap;
use crate::baseline::Baselines;
use crate::inventory::{Inventory, Scene};
use draft::Draft;
use links::Ground;
use policy::Made;
use rows::Tables;
use unread::{Bounded, Unread};

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
    /// What the delivery policy says; `None` without one.
    pub assessment: Option<Assessment>,
    /// Rows, by the number of their table, that a line of the policy declares and of which nothing tells an alteration.
    pub declared: Vec<(usize, usize)>,
}

/// Judges a whole inventory. `as_of` (`YYYY-MM-DD`) is the day against which validity is judged; empty
/// for none.
pub fn judge(
    knowledge: &Knowledge,
    baselines: &Baselines,
    policy: &Policy,
    as_of: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
) -> Judgement {
    Court { knowledge, baselines, policy, as_of, scene, inventory, gaps, whole: true }.judge()
}

/// Judges what was found so far, before all contents were read: what is not known yet of a file counts
/// in its favor, so that a finding can only rise until the end. The policy waits for the end.
pub fn judge_so_far(
    knowledge: &Knowledge,
    baselines: &Baselines,
    as_of: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
) -> Judgement {
    let policy = &Policy::default();
    Court { knowledge, baselines, policy, as_of, scene, inventory, gaps, whole: false }.judge()
}

/// A draft of a delivery policy that declares everything the inventory holds.
pub fn draft_policy(
    knowledge: &Knowledge,
    devices: &[Delivered],
    name: &str,
    scene: &Scene,
    inventory: &Inventory,
    gaps: &[Gap],
) -> String {
    let (baselines, policy) = (&Baselines::default(), &Policy::default());
    let court = Court { knowledge, baselines, policy, as_of: "", scene, inventory, gaps, whole: true };
    let tables = Tables::new(inventory, "");
    let (made, _) = court.made(&tables);
    policy::draft(&policy::Ground { scene, inventory, tables: &tables, made: &made, baselines, devices }, name)
}

/// All that judging is about.
struct Court<'a> {
    knowledge: &'a Knowledge,
    baselines: &'a Baselines,
    policy: &'a Policy,
    as_of: &'a str,
    scene: &'a Scene,
    inventory: &'a Inventory,
    gaps: &'a [Gap],
    whole: bool,
}

impl Court<'_> {
    /// The findings that rules make, and what each rule looked at.
    fn made(&self, tables: &Tables<'_>) -> (Vec<Made>, Vec<Bounded>) {
        let (knowledge, whole) = (self.knowledge, self.whole);
        let unread = Unread::new(self.gaps);
        let correlate =
            || links::apply(knowledge, &Ground::new(self.baselines, self.scene, self.inventory, whole), &unread);
        let ((hits, mut searched), (mut drafts, correlated)) = std::thread::scope(|scope| {
            let beside = std::thread::Builder::new().name("correlation".into()).spawn_scoped(scope, correlate);
            let applied = engine::apply(knowledge.rules(), tables, &unread, whole);
            (applied, beside.ok().and_then(|b| b.join().ok()).unwrap_or_else(correlate))
        });
        searched.extend(correlated);
        if whole {
            let (more, looked) = content::apply(knowledge, self.inventory, self.baselines, &unread);
            drafts.extend(more);
            searched.extend(looked);
        }
        drafts.extend(hits.into_iter().filter_map(|hit| Draft::of_hit(knowledge, tables, hit)));
        let drafts = draft::drop_told_elsewhere(knowledge, tables, drafts);
        let finish = |d: Draft| d.finish(knowledge, self.baselines, self.scene, tables);
        (drafts.into_iter().filter_map(finish).collect(), searched)
    }
    fn judge(&self) -> Judgement {
        let tables = Tables::new(self.inventory, self.as_of);
        let (made, mut searched) = self.made(&tables);
        let matter = policy::Matter {
            policy: self.policy,
            baselines: self.baselines,
            as_of: self.as_of,
            scene: self.scene,
            inventory: self.inventory,
            tables: &tables,
            gaps: self.gaps,
            knowledge: self.knowledge,
        };
        let policy::Applied { mut findings, searched: by_policy, mut assessment, declared } =
            policy::apply(&matter, made);
        findings.sort_by(|a, b| {
            let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.rule.clone(), f.system, f.subject.clone());
            key(a).cmp(&key(b))
        });
        let mut reasons = Vec::new();
        if !self.as_of.is_empty() {
            reasons.push(format!("judged as of {}", self.as_of));
        }
        let bounded = searched.iter().filter(|s| s.bounded && s.searched.hits == 0).count();
        if bounded > 0 {
            let rules = if bounded == 1 { "rule" } else { "rules" };
            reasons.push(format!("{bounded} {rules} found nothing, with gaps in what feeds them"));
        }
        reasons.extend(self.baselines.limits(&self.inventory.files));
        if self.whole {
            reasons.extend(content::missing(self.knowledge, self.inventory, self.baselines));
        }
        searched.extend(by_policy.into_iter().map(|searched| Bounded { searched, bounded: false }));
        searched.sort_by(|a, b| a.searched.rule.cmp(&b.searched.rule));
        let searched = searched.into_iter().map(|s| s.searched).collect();
        if let Some(assessment) = &mut assessment {
            assessment.bounds.clone_from(&reasons);
        }
        let unexamined = unexamined::devices(self.inventory);
        Judgement { findings, searched, unexamined, reasons, assessment, declared }
    }
}
