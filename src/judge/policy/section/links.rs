//! What the sections of links (remote access, modems) share: a thing is a finding, and what its evidence names are
//! its columns.
use super::{Column, Ground, Made, Takes, Thing, word};
use crate::inventory::{Kind, TABLES, Value};
use crate::judge::finding::{Category, Rung};
use std::collections::BTreeSet;

/// Columns of every link.
pub(super) fn columns(own: &[(&'static str, &'static str, Takes)]) -> Vec<Column> {
    let text = |name, about| Column { name, about, kind: Kind::Text, takes: Takes::Nothing };
    let mut all: Vec<Column> =
        own.iter().map(|(name, about, takes)| Column { name, about, kind: Kind::List, takes: *takes }).collect();
    all.extend([
        text("subject", "What the finding is about, as it stands in the report."),
        text("rule", "The rule that found it."),
        text("rung", "How far its evidence reaches: installed, configured, enabled, seen, used …; empty where the rule has none."),
    ]);
    all
}

/// The findings of a category as things, but for what the distribution is capable of by itself.
pub(super) fn things(
    ground: &Ground<'_>,
    category: Category,
    names: impl Fn(&Ground<'_>, &Made) -> Vec<BTreeSet<String>>,
) -> Vec<Thing> {
    let mut things = Vec::new();
    for (at, made) in ground.made.iter().enumerate() {
        let f = &made.finding;
        if f.category != category || f.rung == Some(Rung::Capable) {
            continue;
        }
        let mut values: Vec<Value> =
            names(ground, made).into_iter().map(|set| Value::List(set.into_iter().collect())).collect();
        let rung = serde_json::to_value(f.rung).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        values.extend([word(&f.subject), word(&f.rule), word(rung)]);
        let (system, evidence) = (f.system, f.evidence.clone());
        things.push(Thing { system, values, finding: Some(at), evidence, ..Thing::default() });
    }
    things
}

/// What the keys of a link name with this prefix.
pub(super) fn keyed(made: &Made, prefix: &str) -> BTreeSet<String> {
    made.keys.iter().filter_map(|k| k.strip_prefix(prefix)).filter(|k| !k.is_empty()).map(str::to_owned).collect()
}

/// What these columns hold in the rows of these tables that a finding stands on.
pub(super) fn cells(ground: &Ground<'_>, made: &Made, columns: &[(&str, &str)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (id, row) in &made.rows {
        let (Some(table), Some(described)) = (ground.tables.get(*id), TABLES.get(*id)) else { continue };
        for (_, column) in columns.iter().filter(|(name, _)| *name == described.name) {
            match table.get(*row, column) {
                Value::List(list) => found.extend(list),
                other => drop(found.insert(other.to_string())),
            }
        }
    }
    found.retain(|text| !text.is_empty());
    found
}

/// What events captured as `name=value`.
pub(super) fn captured(ground: &Ground<'_>, made: &Made, name: &str) -> BTreeSet<String> {
    let prefix = format!("{name}=");
    let fields = cells(ground, made, &[("events", "fields")]);
    fields.iter().filter_map(|f| f.strip_prefix(&prefix)).map(str::to_owned).collect()
}
