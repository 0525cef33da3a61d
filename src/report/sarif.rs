//! Findings for other tools: SARIF 2.1.0 (OASIS). A finding is a result, its evidence its locations, a gap a
//! notification of the run; what the examiners decided stands beside the result.
use super::Format;
use super::inert::Inert;
use crate::base::{Evidence, Name, PieceKind};
use crate::case::CaseData;
use crate::judge::{Finding, Severity};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

pub(super) const FORMAT: Format =
    Format { name: "sarif", about: "findings as results of SARIF 2.1.0", write: |case, to| sarif(case, to) };

/// Gaps that are told one by one; the report JSON has all.
const GAPS: usize = 1000;

/// Writes one run.
pub fn sarif(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for f in &case.findings {
        rules.entry(&f.rule).or_insert_with(|| {
            let title = if f.title.is_empty() { &f.rule } else { &f.title };
            json!({
                "id": f.rule,
                "shortDescription": {"text": title},
                "fullDescription": {"text": or_none(&f.supports)},
                "help": {"text": or_none(&f.check)},
                "properties": {"category": f.category, "attack": f.attack},
            })
        });
    }
    // Rules that found nothing were applied as well.
    for searched in &case.searched {
        rules.entry(&searched.rule).or_insert_with(|| json!({"id": searched.rule}));
    }
    let order: Vec<&str> = rules.keys().copied().collect();
    let results: Vec<Value> = case.findings.iter().map(|f| result(case, f, &order)).collect();
    let notes: Vec<Value> = case
        .gaps
        .iter()
        .take(GAPS)
        .map(|g| json!({"level": "warning", "message": {"text": format!("{}: {} ({})", g.at, g.what, g.by)}}))
        .collect();
    let artifacts: Vec<Value> = case
        .scene
        .images
        .iter()
        .map(|i| {
            let mut artifact =
                json!({"location": {"uri": uri(&Name::from(i.path.as_str()))}, "roles": ["analysisTarget"]});
            if let (Some(map), Ok(size)) = (artifact.as_object_mut(), i64::try_from(i.size)) {
                map.insert("length".into(), json!(size));
                if let Some(sha) = &i.sha256 {
                    map.insert("hashes".into(), json!({"sha-256": sha}));
                }
            }
            artifact
        })
        .collect();
    let mut invocation = Map::new();
    invocation.insert("executionSuccessful".into(), json!(case.run.finished.is_some()));
    for (key, at) in [("startTimeUtc", case.run.started), ("endTimeUtc", case.run.finished)] {
        if let Some(at) = at {
            invocation.insert(key.into(), json!(at.to_string()));
        }
    }
    invocation.insert("toolExecutionNotifications".into(), Value::Array(notes));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": or_none(&case.tool.name),
                "version": case.tool.version,
                "rules": rules.into_values().collect::<Vec<_>>(),
                "properties": {"rules_sha256": case.tool.rules_sha256, "knowledge_sha256": case.tool.knowledge_sha256},
            }},
            "invocations": [invocation],
            "artifacts": artifacts,
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {
                "crane": case.scope.crane,
                "verdict": case.verdict.result,
                "policy": case.verdict.policy,
                "gaps": case.gaps.len(),
            },
        }],
    });
    let mut to = Inert { to, begun: Vec::new() };
    serde_json::to_writer_pretty(&mut to, &log).map_err(io::Error::from)?;
    to.write_all(b"\n")?;
    to.flush()
}

/// SARIF wants a text where it wants one.
fn or_none(text: &str) -> &str {
    if text.is_empty() { "not stated" } else { text }
}

fn result(case: &CaseData, f: &Finding, rules: &[&str]) -> Value {
    let level = match f.severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    };
    let observed = if f.observed.is_empty() { &f.title } else { &f.observed };
    let message = format!("{}: {observed}", f.subject);
    let mut result = json!({
        "ruleId": f.rule,
        "level": level,
        "message": {"text": message},
        "locations": f.evidence.iter().map(|e| location(case, e)).collect::<Vec<_>>(),
        "partialFingerprints": {"cranescope/1": f.id},
        "properties": {
            "severity": f.severity,
            "conformity": f.conformity,
            "category": f.category,
            "rung": f.rung,
            "confidence": f.confidence,
            "subject": f.subject,
            "does_not_show": f.does_not_show,
            "ordinary_explanations": f.ordinary_explanations,
        },
    });
    let Some(map) = result.as_object_mut() else { return result };
    if let Ok(at) = rules.binary_search(&f.rule.as_str()) {
        map.insert("ruleIndex".into(), json!(at));
    }
    if let Some(review) = f.reviews.last() {
        let text = format!("{}: {} {}", review.examiner, review.disposition, review.note);
        map.entry("properties").and_modify(|p| drop(p.as_object_mut().map(|p| p.insert("review".into(), json!(text)))));
        if ["benign", "mistaken"].contains(&review.disposition.as_str()) {
            let why = json!([{"kind": "external", "status": "accepted", "justification": text}]);
            map.insert("suppressions".into(), why);
        }
    }
    result
}

fn location(case: &CaseData, e: &Evidence) -> Value {
    let mut region = Map::new();
    match (e.line.filter(|l| *l > 0), e.range) {
        (Some(line), _) => drop(region.insert("startLine".into(), json!(line))),
        (None, Some(range)) => {
            if let (Ok(offset), Ok(len)) = (i64::try_from(range.offset), i64::try_from(range.len)) {
                region.insert("byteOffset".into(), json!(offset));
                region.insert("byteLength".into(), json!(len));
            }
        }
        (None, None) => {}
    }
    if let Some(excerpt) = e.excerpt.as_ref().filter(|_| !region.is_empty()) {
        region.insert("snippet".into(), json!({"text": excerpt}));
    }
    let mut physical = Map::new();
    physical.insert("artifactLocation".into(), json!({"uri": uri(&e.path)}));
    if !region.is_empty() {
        physical.insert("region".into(), Value::Object(region));
    }
    let filesystem = case.scene.filesystems.get(e.filesystem.0 as usize).map_or("", |f| f.id.as_str());
    let runs = e.image_runs.iter().filter(|r| r.kind == PieceKind::Stored).take(8);
    let runs = runs.map(|r| json!({"image": r.image, "offset": r.offset, "length": r.len})).collect::<Vec<_>>();
    json!({
        "physicalLocation": physical,
        "properties": {
            "path": e.path.display(), "filesystem": filesystem, "inode": e.node.number, "deleted": e.deleted, "image_runs": runs,
        },
    })
}

/// A path as a relative reference (RFC 3986): every byte that is not unreserved, percent-encoded.
fn uri(path: &Name) -> String {
    let mut out = String::new();
    for b in path.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(*b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    // Two slashes would name a host.
    match out.strip_prefix("//") {
        Some(_) => format!("/%2F{}", out.trim_start_matches('/')),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_path_has_its_place_in_the_reference() {
        assert_eq!(uri(&Name::new(b"/etc/a b")), "/etc/a%20b");
        assert_eq!(uri(&Name::new(b"/\xb0\xb6:?#%")), "/%B0%B6%3A%3F%23%25");
        assert_eq!(uri(&Name::new(b"//host/x")), "/%2Fhost/x");
    }
}
