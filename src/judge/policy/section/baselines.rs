//! Baselines that findings must have been judged with.
use super::{Column, Needs, Section, Takes, Thing, word};
use crate::baseline::{Set, Trust};
use crate::inventory::{Kind, Value};

pub(super) const SECTION: Section = Section {
    name: "baselines",
    about: "Baselines that were given (`--baseline`). A required one that was not given, or whose signature no given key \
            (`--baseline-key`) made, leaves the verdict incomplete; `signed = false` requires one without a signature.",
    one: "baseline",
    requires: true,
    columns: || {
        let column = |name, about, kind| Column { name, about, kind, takes: Takes::Nothing };
        vec![
            column("name", "Its name.", Kind::Text),
            column("kind", "known-good, known-bad, noteworthy …, as the file says.", Kind::Text),
            column("origin", "approved, vendor, delivery.", Kind::Text),
            column("by", "Who vouches for it, by its own word.", Kind::Text),
            column(
                "signed",
                "A given key signed these very bytes; without a condition on it, one must have.",
                Kind::Bool,
            ),
            column("key", "Id of that key, 16 hex digits as minisign writes them.", Kind::Text),
        ]
    },
    key: &["name"],
    pins: &["name", "by", "key"],
    together: &[],
    needs: Needs::Tables(&[]),
    things: |ground| ground.baselines.sets().map(thing).collect(),
};

fn thing(set: &Set) -> Thing {
    let about = &set.about;
    let told = |v: Result<serde_json::Value, serde_json::Error>| {
        word(v.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default())
    };
    let key = if let Trust::Signed { key, .. } = set.trust() { key.as_str() } else { "" };
    let values = vec![
        word(&about.name),
        told(serde_json::to_value(about.kind)),
        told(serde_json::to_value(about.origin)),
        word(&about.by),
        Value::Bool(set.trust().is_signed()),
        word(key),
    ];
    Thing { values, ..Thing::default() }
}
