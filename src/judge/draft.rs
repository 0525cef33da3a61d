//! A finding in the making: rows and words, before baselines have spoken.
use super::engine::Hit;
use super::finding::{Confidence, Conformity, Finding, Rung, Severity};
use super::knowledge::Knowledge;
use super::policy::Made;
use super::rows::{TableId, Tables, table_id};
use super::rule::{Logic, RuleSeverity};
use crate::base::secret::masked_command;
use crate::base::{Digest, Evidence, FsId, Name, short_id};
use crate::baseline::{BaselineVerdict, Baselines, Hashed, Kind, Standing};
use crate::inventory::{Scene, TABLES};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A finding's evidence beyond this many rows is counted, not listed.
const MOST_EVIDENCE: usize = 500;

#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Index into the knowledge's rules.
    pub(super) rule: usize,
    pub(super) system: Option<u32>,
    pub(super) subject: String,
    pub(super) severity: Severity,
    pub(super) rung: Option<Rung>,
    pub(super) confidence: Confidence,
    pub(super) observed: String,
    pub(super) check: String,
    /// The rows it stands on, in the order in which they tell the story.
    pub(super) rows: Vec<(TableId, usize)>,
    /// Of a link: what its pieces have in common.
    pub(super) keys: Vec<String>,
    /// Of a link: a piece of it stands on the rung altered.
    pub(super) altered: bool,
}

/// Where a row was read; two rows read at the same place are the same evidence.
type Spot = (FsId, Name, Option<u32>, Option<String>);

impl Draft {
    /// The finding that a rule makes of its rows; `None` for a rule that leaves its severity to a ladder.
    pub(super) fn of_hit(knowledge: &Knowledge, tables: &Tables<'_>, hit: Hit) -> Option<Self> {
        let rule = knowledge.rules().get(hit.rule)?;
        let RuleSeverity::Fixed(severity) = rule.severity else { return None };
        let table = tables.get(hit.table)?;
        let mut rows = Vec::new();
        for found in &hit.matches {
            rows.push((hit.table, found.row));
            rows.extend(found.joined.iter().flatten());
        }
        Some(Self {
            rule: hit.rule,
            system: hit.system,
            subject: hit.subject,
            severity,
            rung: None,
            confidence: rule.confidence,
            observed: rule.observed.fill(tables, table, &hit.matches).trim().to_owned(),
            check: rule.check.fill(tables, table, &hit.matches).trim().to_owned(),
            rows,
            keys: Vec::new(),
            altered: false,
        })
    }
    /// Of a deleted file the file counts, not the line: what is left of it is told once.
    fn spots(&self, tables: &Tables<'_>) -> BTreeSet<Spot> {
        let whole = |e: &Evidence| e.deleted && !e.path.is_empty();
        self.evidence(tables)
            .map(|e| {
                let (line, key) = if whole(e) { (None, None) } else { (e.line, e.key.clone()) };
                (e.filesystem, e.path.clone(), line, key)
            })
            .collect()
    }
    fn evidence<'a>(&'a self, tables: &'a Tables<'_>) -> impl Iterator<Item = &'a Evidence> {
        self.rows.iter().filter_map(|(t, row)| tables.get(*t)?.evidence(*row))
    }
    /// Words, evidence, baseline and id.
    pub(super) fn finish(
        self,
        knowledge: &Knowledge,
        baselines: &Baselines,
        scene: &Scene,
        tables: &Tables<'_>,
    ) -> Option<Made> {
        let rule = knowledge.rules().get(self.rule)?;
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut left_out = 0_usize;
        for e in self.evidence(tables) {
            if seen.insert((e.filesystem, e.path.clone(), e.node, e.range, e.line, e.key.clone())) {
                if evidence.len() < MOST_EVIDENCE {
                    evidence.push(e.clone());
                } else {
                    left_out = left_out.saturating_add(1);
                }
            }
        }
        let (baseline, vouched) = self.standing(baselines, tables);
        let is_bad = |content: Digest| is_known_bad(baselines, tables, self.system, content);
        let known_bad = evidence.iter().filter_map(|e| e.sha256).any(is_bad);
        let stays = rule.stays || self.altered || known_bad || baseline.verdict == Standing::Changed;
        let is_link = matches!(rule.logic, Logic::Code(_));
        let mut observed = self.observed;
        let mut severity = self.severity;
        if vouched && severity > Severity::Info {
            severity = Severity::Info;
            let _ = write!(observed, " The baseline {} holds the same; it vouches for it.", baseline.by);
        }
        if left_out > 0 {
            let _ = write!(observed, " {left_out} further places are not listed.");
        }
        let system_id = self.system.and_then(|s| scene.systems.get(usize::try_from(s).ok()?)).map(|s| s.id.as_str());
        // The same finding has the same id whether secrets are shown or not.
        let subject = masked_command(&self.subject);
        let id = short_id("f", &[rule.id.as_bytes(), system_id.unwrap_or_default().as_bytes(), subject.as_bytes()]);
        let finding = Finding {
            id,
            rule: rule.id.clone(),
            title: rule.title.clone(),
            severity,
            conformity: Conformity::default(),
            category: rule.category,
            rung: self.rung,
            confidence: self.confidence,
            system: self.system,
            subject: self.subject,
            observed,
            supports: rule.words.supports.clone(),
            does_not_show: rule.words.does_not_show.clone(),
            ordinary_explanations: rule.words.ordinary_explanations.clone(),
            check: self.check,
            attack: rule.words.attack.clone(),
            baseline,
            evidence,
            reviews: Vec::new(),
        };
        Some(Made { finding, rows: self.rows, keys: self.keys, is_link, stays })
    }
    /// The worst that the baselines say about any of the rows, and whether approved sets know them all.
    fn standing(&self, baselines: &Baselines, tables: &Tables<'_>) -> (BaselineVerdict, bool) {
        let mut worst: Option<BaselineVerdict> = None;
        let mut vouched = !self.rows.is_empty();
        for (t, row) in &self.rows {
            let Some(table) = tables.get(*t) else { continue };
            let (verdict, lowers) = baselines.row(table, *row);
            vouched &= lowers;
            let rank = |s: Standing| match s {
                Standing::Changed => 4,
                Standing::Unknown => 3,
                Standing::Missing => 2,
                Standing::Known => 1,
                Standing::None => 0,
            };
            if worst.as_ref().is_none_or(|w| rank(verdict.verdict) > rank(w.verdict)) {
                worst = Some(verdict);
            }
        }
        (worst.unwrap_or_default(), vouched)
    }
}

/// Drops drafts whose rule names another that tells the same: all the draft's evidence stands in
/// one finding of that rule.
pub(super) fn drop_told_elsewhere(knowledge: &Knowledge, tables: &Tables<'_>, drafts: Vec<Draft>) -> Vec<Draft> {
    let id_of = |d: &Draft| knowledge.rules().get(d.rule).map_or("", |r| r.id.as_str());
    let wanted: BTreeSet<&str> = knowledge.rules().iter().flat_map(|r| &r.suppressed_by).map(String::as_str).collect();
    let mut told: BTreeMap<(&str, Option<u32>), Vec<BTreeSet<Spot>>> = BTreeMap::new();
    for draft in drafts.iter().filter(|d| wanted.contains(id_of(d))) {
        told.entry((id_of(draft), draft.system)).or_default().push(draft.spots(tables));
    }
    let keep: Vec<bool> = drafts
        .iter()
        .map(|draft| {
            let Some(rule) = knowledge.rules().get(draft.rule).filter(|r| !r.suppressed_by.is_empty()) else {
                return true;
            };
            let own = draft.spots(tables);
            !rule.suppressed_by.iter().any(|by| {
                told.get(&(by.as_str(), draft.system)).is_some_and(|all| all.iter().any(|spots| own.is_subset(spots)))
            })
        })
        .collect();
    drafts.into_iter().zip(keep).filter_map(|(d, keep)| keep.then_some(d)).collect()
}

/// Whether a known-bad set holds this content, by whatever hash.
fn is_known_bad(baselines: &Baselines, tables: &Tables<'_>, system: Option<u32>, sha256: Digest) -> bool {
    // Evidence has the SHA-256; the row of the file has the others.
    let with_more = || {
        let id = table_id("files").filter(|_| baselines.more_hashes().any())?;
        let column = TABLES.get(id)?.column("sha256")?;
        let row = *tables.find(id, column, system, &sha256.to_string()).first()?;
        Hashed::of_row(tables.get(id)?, row)
    };
    let content = with_more().unwrap_or_else(|| Hashed::from(sha256));
    baselines.with_content(Kind::KnownBad, content).next().is_some()
}
