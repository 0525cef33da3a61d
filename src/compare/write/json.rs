//! A comparison as JSON, schema `cranescope-compare/1` (docs/compare.md): keys in a fixed order, lists in the order of
//! the ranking, the same bytes for the same cases, rules and baselines.
use super::{key, odd};
use crate::compare::{Comparison, Difference, Mode, Unvouched};
use serde_json::{Value, json};
use std::io::{self, Write};

/// What this program writes.
pub const SCHEMA: &str = "cranescope-compare/1";

/// Writes it, with a line end. `expected`: each difference that a rule explains, too; they are counted in any case.
pub fn json(c: &Comparison, expected: bool, to: &mut dyn Write) -> io::Result<()> {
    let machine = |m: &crate::compare::Machine| {
        let system = m.data.scene.systems.first();
        let images: Vec<&str> = m.data.scene.images.iter().map(|i| i.path.as_str()).collect();
        json!({
            "name": m.name,
            "hostname": system.map(|s| s.hostname.as_str()),
            "machine_id": system.map(|s| s.machine_id.as_str()),
            "images": images,
            "rules_sha256": m.data.tool.rules_sha256,
            "knowledge_sha256": m.data.tool.knowledge_sha256,
            "notes": m.notes,
        })
    };
    let differences: Vec<Value> = (1_usize..).zip(&c.differences).map(|(rank, d)| one(c, d, Some(rank))).collect();
    let told: Vec<Value> = c.expected.iter().filter(|_| expected).map(|d| one(c, d, None)).collect();
    let whole = json!({
        "schema": SCHEMA,
        "tool": { "name": "cranescope", "version": env!("CARGO_PKG_VERSION") },
        "mode": match c.mode { Mode::Sisters => "sisters", Mode::Time => "time" },
        "machines": c.machines.iter().map(machine).collect::<Vec<_>>(),
        "vouching": c.vouching,
        "not_vouching": c.not_vouching,
        "shared": c.shared,
        "unvouched": c.unvouched.iter().map(unvouched).collect::<Vec<_>>(),
        "own_word": c.own_word,
        "policy": (!c.policy.is_empty()).then_some(&c.policy),
        "declared": c.declared,
        "differences": differences,
        "following": c.by_following(),
        "findings": c.findings,
        "expected": {
            "count": c.expected.len(),
            "by_rule": c.by_rule(),
            "not_applied": c.unapproved,
            "differences": told,
        },
    });
    serde_json::to_writer_pretty(&mut *to, &whole)?;
    writeln!(to)
}

fn keys(key: &[(&'static str, String)]) -> Value {
    Value::Object(key.iter().map(|(k, v)| ((*k).to_owned(), Value::String(v.clone()))).collect())
}

fn unvouched(u: &Unvouched) -> Value {
    json!({
        "class": u.class,
        "table": u.table,
        "system": u.system,
        "key": keys(&u.key),
        "source": u.source,
        "package": u.package,
        "check": u.check,
    })
}

fn one(c: &Comparison, d: &Difference, rank: Option<usize>) -> Value {
    let columns: serde_json::Map<String, Value> =
        d.columns.iter().map(|(column, values)| ((*column).to_owned(), json!(values))).collect();
    let below: Vec<Value> = d.below.iter().map(|b| one(c, b, None)).collect();
    json!({
        "rank": rank,
        "class": d.class,
        "table": d.table,
        "system": d.system,
        "key": keys(&d.key),
        "label": key(d),
        "states": d.states,
        "odd": d.odd,
        "says": odd(c, d),
        "columns": columns,
        "usual": d.usual,
        "source": d.source,
        "package": d.package,
        "check": d.check,
        "hand": d.hand,
        "explained": d.explained,
        "follows": (!d.follows.is_empty()).then_some(d.follows),
        "below": below,
    })
}
