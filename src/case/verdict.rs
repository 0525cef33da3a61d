//! The verdict: conformity to a named delivery policy, never fitness for service.
//!
//! What the policy says (`judge::Assessment`) is weighed with what examiners decided: a decision sets aside what waits
//! for one; it undoes no breach. So a review changes the verdict, and the reasons say by which decisions.
use super::data::CaseData;
use crate::judge::{Assessment, Category, Conformity, Finding, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Sentences of one kind that are told one by one.
const MOST: usize = 30;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Breach,
    Review,
    NoBreach,
    Incomplete,
    #[default]
    NotAssessed,
}
impl Outcome {
    /// As reports write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Review => "review",
            Self::NoBreach => "no-breach",
            Self::Incomplete => "incomplete",
            Self::NotAssessed => "not-assessed",
        }
    }
}

/// Conformity to the named policy; never a statement of fitness for service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub result: Outcome,
    /// The policy's name; empty without one.
    pub policy: String,
    pub reasons: Vec<String>,
    /// What it was weighed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessment: Option<Assessment>,
}

impl Verdict {
    /// Of a case that was just judged; `judged` are the bounds that the judgement found.
    pub fn of(data: &CaseData, judged: Vec<String>, assessment: Option<Assessment>) -> Self {
        let changed = data.scene.images.iter().any(|i| !i.changed.is_empty());
        let changed = changed
            .then(|| "the evidence changed during the examination: what was read may be of either state".to_owned());
        let gaps = data.gaps.len();
        let gaps = (gaps > 0).then(|| format!("{gaps} gaps: parts of the evidence were not read or not understood"));
        let marks = data.run.baselines.iter().filter_map(crate::baseline::Used::mark);
        let Some(mut assessment) = assessment else {
            let mut reasons = vec!["no delivery policy was given".to_owned()];
            reasons.extend(gaps.into_iter().chain(changed).chain(marks).chain(judged));
            return Self { reasons, ..Self::default() };
        };
        assessment.unread.extend(changed);
        assessment.bounds = gaps.into_iter().chain(marks).chain(judged).collect();
        Self::weigh(assessment, &data.findings)
    }
    /// The same after examiners decided more.
    #[must_use]
    pub fn again(&self, findings: &[Finding]) -> Self {
        self.assessment.clone().map_or_else(|| self.clone(), |assessment| Self::weigh(assessment, findings))
    }
    /// Of an examination that did not finish: what was not read may breach anything.
    pub(super) fn mark_unfinished(&mut self, findings: &[Finding]) {
        const WHY: &str = "the examination did not finish: what it had not read is no statement of absence";
        if let Some(mut assessment) = self.assessment.clone() {
            if !assessment.unread.iter().any(|u| u == WHY) {
                assessment.unread.insert(0, WHY.to_owned());
            }
            *self = Self::weigh(assessment, findings);
        }
    }

    fn weigh(assessment: Assessment, findings: &[Finding]) -> Self {
        let decided: BTreeSet<&str> = findings.iter().filter(|f| is_set_aside(f)).map(|f| f.id.as_str()).collect();
        let breaches: Vec<String> = assessment.told.iter().filter(|t| t.breach).map(|t| t.sentence.clone()).collect();
        let mut waiting: Vec<String> = assessment
            .told
            .iter()
            .filter(|t| !t.breach && !decided.contains(t.finding.as_str()))
            .map(|t| t.sentence.clone())
            .collect();
        let most = assessment.max_severity;
        let above =
            |f: &&Finding| f.category != Category::Policy && f.conformity != Conformity::Breach && f.severity > most;
        let line = &assessment.max_line;
        waiting.extend(findings.iter().filter(above).filter(|f| !is_set_aside(f)).map(|f| {
            let subject = crate::base::Name::from(crate::base::secret::masked_command(&f.subject).as_str());
            format!(
                "{line}: {} is {}, above {}, and waits for a decision: {}: {}",
                f.id,
                f.severity.word(),
                most.word(),
                f.title,
                subject.display_text()
            )
        }));
        let result = if !breaches.is_empty() {
            Outcome::Breach
        } else if !waiting.is_empty() {
            Outcome::Review
        } else if !assessment.unread.is_empty() {
            Outcome::Incomplete
        } else {
            Outcome::NoBreach
        };
        let mut reasons = Vec::new();
        cut(&mut reasons, breaches, "breaches");
        cut(&mut reasons, waiting, "findings that wait for a decision");
        reasons.extend(assessment.unread.iter().cloned());
        let wanted = |f: &&Finding| above(f) || assessment.told.iter().any(|t| !t.breach && t.finding == f.id);
        reasons.extend(set_aside(findings.iter().filter(wanted).filter(|f| is_set_aside(f))));
        let reviewed = assessment.told.iter().filter(|t| t.breach && decided.contains(t.finding.as_str())).count();
        if reviewed > 0 {
            let word = if reviewed == 1 { "breach was" } else { "breaches were" };
            reasons.push(format!(
                "{reviewed} {word} reviewed as ordinary: a review undoes no breach, a change of the policy does"
            ));
        }
        reasons.extend(assessment.notes.iter().chain(&assessment.bounds).cloned());
        Self { result, policy: assessment.name.clone(), reasons, assessment: Some(assessment) }
    }
}

/// The latest decision says that it has an ordinary explanation, or does not hold.
fn is_set_aside(f: &Finding) -> bool {
    f.reviews.last().is_some_and(|r| matches!(r.disposition.as_str(), "benign" | "mistaken"))
}

/// Who set aside what.
fn set_aside<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<String> {
    let told = |f: &Finding| {
        let review = f.reviews.last()?;
        Some(format!("{} ({}, {})", f.id, review.disposition, review.examiner))
    };
    let all: Vec<String> = findings.filter_map(told).collect();
    let shown = all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!all.is_empty()).then(|| format!("set aside by decisions of examiners: {shown}{rest}"))
}

fn cut(into: &mut Vec<String>, all: Vec<String>, what: &str) {
    let more = all.len().saturating_sub(MOST);
    into.extend(all.into_iter().take(MOST));
    if more > 0 {
        into.push(format!("{more} more {what}"));
    }
}

impl CaseData {
    /// Findings at a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}
