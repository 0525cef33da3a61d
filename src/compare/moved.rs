//! How findings moved between the first and the last of two examinations of one machine.
use super::Machine;
use crate::judge::{Finding, Rung, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    New,
    Gone,
    /// On another rung or of another severity.
    Moved,
}

/// One finding that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub change: Change,
    pub id: String,
    pub rule: String,
    pub title: String,
    pub subject: String,
    /// Severity and rung as they were; `None` for a new one.
    pub before: Option<(Severity, Option<Rung>)>,
    /// As they are; `None` for one that is gone.
    pub after: Option<(Severity, Option<Rung>)>,
}

/// The most severe first.
pub(super) fn findings(machines: &[Machine]) -> Vec<Moved> {
    let (Some(first), Some(last)) = (machines.first(), machines.last()) else { return Vec::new() };
    let mut before = by_id(&first.data.findings);
    let mut all = Vec::new();
    let stands = |f: &Finding| (f.severity, f.rung);
    let one = |change, f: &Finding, before, after| Moved {
        change,
        id: f.id.clone(),
        rule: f.rule.clone(),
        title: f.title.clone(),
        subject: f.subject.clone(),
        before,
        after,
    };
    for (id, now) in by_id(&last.data.findings) {
        match before.remove(id) {
            None => all.push(one(Change::New, now, None, Some(stands(now)))),
            Some(then) if stands(then) != stands(now) => {
                all.push(one(Change::Moved, now, Some(stands(then)), Some(stands(now))));
            }
            Some(_) => {}
        }
    }
    all.extend(before.values().map(|then| one(Change::Gone, then, Some(stands(then)), None)));
    let severity = |m: &Moved| m.after.or(m.before).map(|(severity, _)| severity);
    all.sort_by(|a, b| {
        let key = |m: &Moved| (std::cmp::Reverse(severity(m)), m.change, m.rule.clone(), m.subject.clone());
        key(a).cmp(&key(b))
    });
    all
}

fn by_id(findings: &[Finding]) -> BTreeMap<&str, &Finding> {
    findings.iter().map(|f| (f.id.as_str(), f)).collect()
}
