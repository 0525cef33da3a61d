//! Whatever a table of the window can show: the inventory's tables through their columns, findings,
//! gaps, applied rules and devices without an image.
use crate::base::{Evidence, FsId, Gap};
use crate::case::CaseData;
use crate::inventory::{AnyTable, Kind, Value};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A column as it is shown.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
    /// Numbers that are sizes or counts get thousands separators; ids do not.
    pub grouped: bool,
    /// The cell's word is a severity and takes its color.
    pub severity: bool,
}
impl Spec {
    pub(super) const fn new(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self { name, about, kind, grouped: matches!(kind, Kind::Number), severity: false }
    }
    /// The name for people: `static_linked` as `static linked`.
    pub fn title(&self) -> String {
        self.name.replace('_', " ")
    }
    /// A cell as the table shows it; exports use the value itself.
    pub fn shown(&self, value: &Value) -> String {
        match value {
            Value::Number(n) if self.grouped => grouped(*n),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::Time(t) => {
                let text = t.to_string();
                text.trim_end_matches('Z').split('.').next().unwrap_or_default().replacen('T', " ", 1)
            }
            other => super::widgets::drawn(&other.to_string()),
        }
    }
}

/// `1,234,567`.
pub(super) fn grouped(n: i128) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len().saturating_mul(4) / 3 + 2);
    if n < 0 {
        out.push('-');
    }
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Rows behind a table of the window. Shared with the threads that sort, filter and export.
pub trait Rows: Send + Sync {
    /// The table's name, as in the report.
    fn name(&self) -> &'static str;
    /// What the table holds.
    fn about(&self) -> &'static str;
    fn specs(&self) -> &[Spec];
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn value(&self, row: usize, column: usize) -> Value;
    /// What the column sorts by, where that is not its value.
    fn key(&self, row: usize, column: usize) -> Value {
        self.value(row, column)
    }
    fn evidence(&self, row: usize) -> &[Evidence];
    /// The same for the same row of a later snapshot.
    fn identity(&self, row: usize) -> u64;
    fn column(&self, name: &str) -> Option<usize> {
        self.specs().iter().position(|s| s.name == name)
    }
}

pub(super) fn hash(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// The identity of a finding's row.
pub(super) fn finding_identity(finding: &crate::judge::Finding) -> u64 {
    hash(&finding.id)
}

/// One table of the inventory, with the system's name in front where there are several.
pub(super) struct TableRows {
    table: Arc<dyn AnyTable + Send>,
    /// Names of the systems; empty if there are fewer than two.
    systems: Vec<Arc<str>>,
    specs: Vec<Spec>,
    keys: Vec<usize>,
}
impl TableRows {
    pub(super) fn new(table: Arc<dyn AnyTable + Send>, data: &CaseData) -> Self {
        let systems = match data.scene.systems.as_slice() {
            [] | [_] => Vec::new(),
            several => several.iter().map(|s| Arc::from(system_name(s))).collect(),
        };
        let mut specs = Vec::new();
        if !systems.is_empty() {
            specs.push(Spec::new("system", "The installed system it belongs to.", Kind::Text));
        }
        let described = table.table();
        specs.extend(described.columns.iter().map(|c| Spec {
            grouped: c.kind == Kind::Number && !["uid", "gid", "bits"].contains(&c.name),
            ..Spec::new(c.name, c.about, c.kind)
        }));
        let keys = described.key.iter().filter_map(|k| described.column(k)).collect();
        Self { table, systems, specs, keys }
    }
}
impl Rows for TableRows {
    fn name(&self) -> &'static str {
        self.table.table().name
    }
    fn about(&self) -> &'static str {
        self.table.table().about
    }
    fn specs(&self) -> &[Spec] {
        &self.specs
    }
    fn len(&self) -> usize {
        self.table.len()
    }
    fn value(&self, row: usize, column: usize) -> Value {
        if self.systems.is_empty() {
            return self.table.value(row, column);
        }
        if let Some(column) = column.checked_sub(1) {
            return self.table.value(row, column);
        }
        let system = self.table.system(row).and_then(|s| self.systems.get(s as usize));
        system.map_or(Value::Null, |name| Value::Text(name.clone()))
    }
    fn evidence(&self, row: usize) -> &[Evidence] {
        self.table.evidence(row).map(std::slice::from_ref).unwrap_or_default()
    }
    fn identity(&self, row: usize) -> u64 {
        let keys: Vec<String> = self.keys.iter().map(|k| self.table.value(row, *k).to_string()).collect();
        let at = self.table.evidence(row).map(|e| (e.filesystem, e.path.clone(), e.line, e.range));
        hash((self.table.system(row), keys, at))
    }
}

/// How a system is called in lists.
pub(super) fn system_name(system: &crate::inventory::SystemInfo) -> &str {
    [&system.hostname, &system.id].into_iter().find(|s| !s.is_empty()).map_or("unnamed", String::as_str)
}

/// The lists of a case that are no table of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Findings,
    Gaps,
    Searched,
    Unexamined,
}
pub(super) struct ListRows {
    data: Arc<CaseData>,
    list: List,
    specs: Vec<Spec>,
    /// For every gap, what is known of its place.
    places: Vec<Vec<Evidence>>,
}
impl ListRows {
    pub(super) fn all(data: &Arc<CaseData>) -> Vec<Self> {
        [List::Findings, List::Gaps, List::Searched, List::Unexamined]
            .map(|list| Self {
                data: data.clone(),
                list,
                specs: specs(list),
                places: if list == List::Gaps { places(data) } else { Vec::new() },
            })
            .into()
    }
}

/// Gaps name a place; where that is a file of the inventory or a run of an image, its bytes can be looked at.
fn places(data: &CaseData) -> Vec<Vec<Evidence>> {
    let mut files: HashMap<(FsId, &[u8]), Option<&Evidence>> = HashMap::new();
    for gap in &data.gaps {
        if let (Some(filesystem), Some(path)) = (gap.at.filesystem, &gap.at.path) {
            files.insert((filesystem, path.bytes()), None);
        }
    }
    for file in data.inventory.files.iter() {
        if let Some(found) = files.get_mut(&(file.evidence.filesystem, file.evidence.path.bytes()))
            && found.is_none_or(|f| f.deleted)
        {
            *found = Some(&file.evidence);
        }
    }
    let place = |gap: &Gap| {
        let file = gap.at.filesystem.zip(gap.at.path.as_ref());
        file.and_then(|(fs, path)| files.get(&(fs, path.bytes())).copied().flatten()).cloned()
    };
    data.gaps.iter().map(|gap| place(gap).into_iter().collect()).collect()
}

fn specs(list: List) -> Vec<Spec> {
    let text = |name, about| Spec::new(name, about, Kind::Text);
    let number = |name, about| Spec::new(name, about, Kind::Number);
    match list {
        List::Findings => vec![
            Spec { severity: true, ..text("severity", "Priority for the examiner; no statement of conformity.") },
            text("title", "What the rule found."),
            text("subject", "What it is about."),
            text("rung", "How far the evidence of a link reaches: capable … used."),
            text("category", "Kind of matter."),
            text("conformity", "What the delivery policy says about it."),
            text("system", "The installed system it belongs to."),
            text("baseline", "What the baselines say about the subject."),
            text("confidence", "How sure the rule is of its observation."),
            number("reviews", "Decisions that examiners recorded."),
            text("disposition", "The latest decision."),
            number("evidence", "Places where it was read."),
            text("rule", "Id of the rule."),
            text("id", "Id of the finding; it survives re-examination."),
        ],
        List::Gaps => vec![
            text("what", "What could not be read, and why."),
            number("bytes", "Bytes of evidence it covers; 0 where that is not known."),
            text("by", "The reader, artifact or stage that met it."),
            Spec::new("path", "The file, where it is one.", Kind::Path),
            text("place", "Where it is, as far as it is known."),
        ],
        List::Searched => vec![
            text("rule", "Id of the rule."),
            number("hits", "Findings it made."),
            text("inputs", "How much it looked at."),
        ],
        List::Unexamined => vec![
            text("device", "A device that no image covers."),
            Spec::new("named_by", "The file that names it.", Kind::Path),
            text("excerpt", "The words that name it."),
        ],
    }
}

/// The kebab-case word that the report uses for a closed set's member.
pub(super) fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
fn text(text: impl AsRef<str>) -> Value {
    Value::Text(Arc::from(text.as_ref()))
}
fn count(n: usize) -> Value {
    Value::Number(n as i128)
}

impl Rows for ListRows {
    fn name(&self) -> &'static str {
        match self.list {
            List::Findings => "findings",
            List::Gaps => "gaps",
            List::Searched => "searched",
            List::Unexamined => "unexamined",
        }
    }
    fn about(&self) -> &'static str {
        match self.list {
            List::Findings => "What was observed, one line for each subject of each rule.",
            List::Gaps => "What could not be read, and why.",
            List::Searched => "Rules that were applied, also those that found nothing.",
            List::Unexamined => "Devices that the intake or a configuration names and no image covers.",
        }
    }
    fn specs(&self) -> &[Spec] {
        &self.specs
    }
    fn len(&self) -> usize {
        match self.list {
            List::Findings => self.data.findings.len(),
            List::Gaps => self.data.gaps.len(),
            List::Searched => self.data.searched.len(),
            List::Unexamined => self.data.unexamined.len(),
        }
    }
    fn value(&self, row: usize, column: usize) -> Value {
        let name = self.specs.get(column).map_or("", |s| s.name);
        let value = match self.list {
            List::Findings => self.data.findings.get(row).map(|f| match name {
                "severity" => text(word(f.severity)),
                "title" => text(&f.title),
                "subject" => text(&f.subject),
                "rung" => f.rung.map_or(Value::Null, |r| text(word(r))),
                "category" => text(word(f.category)),
                "conformity" => text(word(f.conformity)),
                "system" => {
                    let system = f.system.and_then(|s| self.data.scene.systems.get(s as usize));
                    system.map_or(Value::Null, |s| text(system_name(s)))
                }
                "baseline" => text(word(f.baseline.verdict)),
                "confidence" => text(word(f.confidence)),
                "reviews" => count(f.reviews.len()),
                "disposition" => f.reviews.last().map_or(Value::Null, |r| text(&r.disposition)),
                "evidence" => count(f.evidence.len()),
                "rule" => text(&f.rule),
                "id" => text(&f.id),
                _ => Value::Null,
            }),
            List::Gaps => self.data.gaps.get(row).map(|g| match name {
                "what" => text(&g.what),
                "bytes" => Value::Number(g.bytes.into()),
                "by" => text(&g.by),
                "path" => g.at.path.clone().map_or(Value::Null, Value::Path),
                "place" => text(g.at.to_string()),
                _ => Value::Null,
            }),
            List::Searched => self.data.searched.get(row).map(|s| match name {
                "rule" => text(&s.rule),
                "hits" => Value::Number(s.hits.into()),
                "inputs" => text(&s.inputs),
                _ => Value::Null,
            }),
            List::Unexamined => self.data.unexamined.get(row).map(|u| match name {
                "device" => text(&u.device),
                "named_by" => Value::Path(u.named_by.path.clone()),
                "excerpt" => u.named_by.excerpt.as_ref().map_or(Value::Null, text),
                _ => Value::Null,
            }),
        };
        value.unwrap_or(Value::Null)
    }
    fn key(&self, row: usize, column: usize) -> Value {
        match (self.specs.get(column).map(|s| s.name), self.data.findings.get(row)) {
            (Some("severity"), Some(f)) => Value::Number(f.severity as i128),
            (Some("rung"), Some(f)) => f.rung.map_or(Value::Null, |r| Value::Number(r as i128)),
            (Some("confidence"), Some(f)) => Value::Number(f.confidence as i128),
            _ => self.value(row, column),
        }
    }
    fn evidence(&self, row: usize) -> &[Evidence] {
        match self.list {
            List::Findings => self.data.findings.get(row).map(|f| f.evidence.as_slice()).unwrap_or_default(),
            List::Unexamined => {
                self.data.unexamined.get(row).map(|u| std::slice::from_ref(&u.named_by)).unwrap_or_default()
            }
            List::Gaps => self.places.get(row).map(Vec::as_slice).unwrap_or_default(),
            List::Searched => &[],
        }
    }
    fn identity(&self, row: usize) -> u64 {
        match self.list {
            List::Findings => self.data.findings.get(row).map_or(0, finding_identity),
            List::Gaps => hash(self.data.gaps.get(row)),
            List::Searched => hash(self.data.searched.get(row).map(|s| &s.rule)),
            List::Unexamined => hash(self.data.unexamined.get(row).map(|u| (&u.device, &u.named_by.path))),
        }
    }
}

/// A path cell that had to be escaped; it gets a mark of its own.
pub(super) fn is_marked(value: &Value) -> bool {
    value.is_marked()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (n, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(grouped(n), shown);
        }
    }
    #[test]
    fn words_are_those_of_the_report() {
        assert_eq!(word(crate::judge::Category::RemoteAccess), "remote-access");
        assert_eq!(word(crate::judge::Severity::Critical), "critical");
    }
}
