//! A rule file: what it looks for, in whose words it tells it, and the tests that prove it.
//!
//! `where` holds conditions on columns of `table` (all of them; several `[[where]]` are
//! alternatives); `[[join]]` asks for rows of other tables, equal in the columns named by `on`
//! (joined column = own column; without `on`: any row of the same system), and with `none = true`
//! for their absence. `[count]` asks for several rows of one subject, within a time (`judge/count.rs`). Rows of deleted files count only where a rule names the column `deleted`, and what a
//! layer or a mount covers only where it names `covered`.
//! `permit = "never"`: no declaration of a delivery policy lowers what it finds (always so in the categories integrity
//! and anti-forensics).
//! A rule whose logic is correlation in code names it by `code` and has no `table`.
use super::count::{Count, RawCount};
use super::finding::{Category, Confidence, Severity};
use super::predicate::Predicate;
use super::rows::{TableId, table_id};
use super::template::Template;
use crate::baseline::{self, BaselineError, Baselines, Kind, Set};
use crate::inventory::{TABLES, Table};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A rule or knowledge file that cannot be used: where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub file: String,
    /// 1-based; 0 where the whole file is meant.
    pub line: usize,
    pub what: String,
}
impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// What a rule's severity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSeverity {
    Fixed(Severity),
    /// The ladder decides, by the highest rung and what raises or lowers it.
    ByRung,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub category: Category,
    pub severity: RuleSeverity,
    pub confidence: Confidence,
    pub(super) logic: Logic,
    pub(super) subject: Template,
    pub(super) observed: Template,
    pub(super) check: Template,
    pub words: Words,
    /// It tells of something altered or open to anybody: no declaration of a policy lowers it.
    pub stays: bool,
    /// Rules that tell the same: a finding all of whose evidence stands in one of theirs is dropped.
    pub suppressed_by: Vec<String>,
    pub tests: Vec<RuleTest>,
}

impl Rule {
    /// Whether a finding of it can be above a severity.
    pub(super) fn can_be_above(&self, most: Severity) -> bool {
        match self.severity {
            // The ladder ends at high; critical needs a policy that forbids the link.
            RuleSeverity::ByRung => most < Severity::High,
            RuleSeverity::Fixed(severity) => severity > most,
        }
    }
}

/// The texts as written.
#[derive(Clone, Debug, Default)]
pub struct Words {
    pub observed: String,
    pub supports: String,
    pub does_not_show: String,
    pub ordinary_explanations: String,
    pub check: String,
    pub attack: Vec<String>,
    pub references: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Logic {
    Rows {
        table: TableId,
        when: Vec<Conditions>,
        joins: Vec<Join>,
        count: Option<Count>,
    },
    Code(String),
    /// A rule over contents: a worker ran it, and `content_matches` has what it found.
    Content,
}

/// Column and condition; all must hold. Cheap ones come first.
pub(super) type Conditions = Vec<(usize, Predicate)>;

#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) table: TableId,
    /// Joined column, and the own column it must equal.
    pub(super) on: Vec<(usize, Own)>,
    pub(super) when: Vec<Conditions>,
    /// No such row may exist.
    pub(super) none: bool,
}

/// A column of the rule's own table, or of the table of an earlier join; `evidence.path` (and
/// `table.evidence.path`) is the file in which the row was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub(super) join: Option<usize>,
    /// `None`: the path of the evidence.
    pub(super) column: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    pub name: String,
    /// Files, in the notation of `fs::mem`, beside the small system of `TEST_GROUND`.
    pub tree: String,
    /// Subjects of the findings that this rule alone makes of it.
    pub flags: Vec<String>,
    /// Baselines that are given with it, in their order.
    #[serde(default, rename = "baseline")]
    baselines: Vec<RuleBaseline>,
}
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBaseline {
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    of: Of,
    /// As in a baseline file. A last text that begins with `@` stands for the SHA-256 of what follows.
    lines: String,
}
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    #[default]
    Rows,
    Packages,
}

impl RuleTest {
    /// What it is judged against.
    pub fn given(&self) -> Result<Baselines, BaselineError> {
        let set = |given: &RuleBaseline| {
            let schema = match given.of {
                Of::Rows => baseline::SCHEMA,
                Of::Packages => baseline::PACKAGES_SCHEMA,
            };
            let lines = given.lines.lines().filter(|l| !l.trim().is_empty()).map(hashed).collect::<Vec<_>>();
            Set::given("given", given.kind, schema, &lines)
        };
        Ok(Baselines::new(self.baselines.iter().map(set).collect::<Result<_, _>>()?))
    }
}

/// A line whose last text is hashed where it asks for that; what is no such line is left to be refused.
fn hashed(line: &str) -> String {
    let Ok(serde_json::Value::Array(mut cells)) = serde_json::from_str(line) else { return line.to_owned() };
    if let Some(last) = cells.last_mut()
        && let Some(text) = last.as_str().and_then(|t| t.strip_prefix('@'))
    {
        *last = crate::base::hex(&Sha256::digest(text)).into();
    }
    serde_json::Value::Array(cells).to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    id: String,
    title: String,
    category: Category,
    severity: String,
    #[serde(default)]
    confidence: Confidence,
    table: Option<String>,
    code: Option<String>,
    subject: Option<String>,
    #[serde(rename = "where")]
    when: Option<toml::Value>,
    #[serde(default, rename = "join")]
    joins: Vec<RawJoin>,
    count: Option<RawCount>,
    #[serde(default)]
    observed: String,
    supports: String,
    does_not_show: String,
    ordinary_explanations: String,
    check: String,
    #[serde(default)]
    attack: Vec<String>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    suppressed_by: Vec<String>,
    permit: Option<String>,
    #[serde(default, rename = "test")]
    tests: Vec<RuleTest>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawJoin {
    table: String,
    #[serde(default)]
    on: std::collections::BTreeMap<String, String>,
    #[serde(rename = "where")]
    when: Option<toml::Value>,
    #[serde(default)]
    none: bool,
}

/// A complaint, and the word of the file it is about.
type Complaint = (String, String);

impl Rule {
    /// Reads a rule file; `file` names it in errors.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, RuleError> {
        let raw: Raw = toml::from_str(text).map_err(|e| RuleError {
            file: file.into(),
            line: e.span().map_or(0, |s| line_of(text, s.start)),
            what: e.message().lines().collect::<Vec<_>>().join(" "),
        })?;
        raw.check().map_err(|(what, word)| RuleError {
            file: file.into(),
            line: text.find(&word).map_or(0, |at| line_of(text, at)),
            what,
        })
    }
}

impl Raw {
    fn check(self) -> Result<Rule, Complaint> {
        let at = |word: &str| {
            let word = word.to_owned();
            move |what: String| (what, word.clone())
        };
        let kebab = !self.id.is_empty()
            && self.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !self.id.starts_with('-');
        if !kebab {
            return Err((format!("id `{}` is not in kebab-case", self.id), "id".into()));
        }
        for (name, text) in [
            ("title", &self.title),
            ("supports", &self.supports),
            ("does-not-show", &self.does_not_show),
            ("ordinary-explanations", &self.ordinary_explanations),
            ("check", &self.check),
        ] {
            if text.trim().is_empty() {
                return Err((format!("`{name}` is empty"), name.into()));
            }
        }
        let severity = severity(&self.severity).map_err(at("severity"))?;
        if self.permit.as_ref().is_some_and(|p| p != "never") {
            return Err(("`permit` can only be \"never\"".into(), "permit".into()));
        }
        let (logic, own, joined) = match (&self.table, &self.code) {
            (Some(name), None) => {
                if severity == RuleSeverity::ByRung {
                    return Err(("only a rule with `code` has a rung".into(), "severity".into()));
                }
                let table =
                    table_id(name).ok_or_else(|| (format!("no table `{name}`"), format!("table = \"{name}\"")))?;
                let own = TABLES.get(table).copied();
                let mut tables = Vec::new();
                let mut joins = Vec::new();
                for join in &self.joins {
                    joins.push(join.check(own, &tables)?);
                    tables.extend(table_id(&join.table).and_then(|t| TABLES.get(t)).copied());
                }
                let when = self.when.as_ref().ok_or_else(|| ("`where` is missing".to_owned(), "table".to_owned()))?;
                let count = self.count.as_ref().map(|c| c.check(own).map_err(at("[count]"))).transpose()?;
                (Logic::Rows { table, when: conditions(own, when)?, joins, count }, own, tables)
            }
            (None, Some(code)) if self.when.is_none() && self.joins.is_empty() && self.count.is_none() => {
                (Logic::Code(code.clone()), None, Vec::new())
            }
            _ => return Err(("exactly one of `table` (with `where`) and `code` is needed".into(), "id".into())),
        };
        let subject = match (&self.subject, own) {
            (Some(text), _) => Template::parse(text, own, &joined).map_err(at("subject"))?,
            (None, Some(table)) => {
                let key = table.key.first().map(|k| format!("{{{k}}}")).unwrap_or_default();
                Template::parse(&key, own, &joined).map_err(at("id"))?
            }
            (None, None) => Template::default(),
        };
        if own.is_some() && self.observed.trim().is_empty() {
            return Err(("`observed` is empty".into(), "observed".into()));
        }
        // Correlations write what they observed themselves; the rule's own text describes it.
        let observed = match own {
            Some(_) => Template::parse(&self.observed, own, &joined).map_err(at("observed"))?,
            None => Template::default(),
        };
        let check = Template::parse(&self.check, own, &joined).map_err(at("check"))?;
        Ok(Rule {
            id: self.id,
            title: self.title,
            category: self.category,
            severity,
            confidence: self.confidence,
            logic,
            subject,
            observed,
            check,
            words: Words {
                observed: self.observed,
                supports: self.supports.trim().to_owned(),
                does_not_show: self.does_not_show.trim().to_owned(),
                ordinary_explanations: self.ordinary_explanations.trim().to_owned(),
                check: self.check.trim().to_owned(),
                attack: self.attack,
                references: self.references,
            },
            stays: self.permit.is_some() || matches!(self.category, Category::Integrity | Category::AntiForensics),
            suppressed_by: self.suppressed_by,
            tests: self.tests,
        })
    }
}

impl RawJoin {
    fn check(&self, own: Option<&'static Table>, before: &[&'static Table]) -> Result<Join, Complaint> {
        let table = table_id(&self.table)
            .ok_or_else(|| (format!("no table `{}`", self.table), format!("table = \"{}\"", self.table)))?;
        let described = TABLES.get(table).copied();
        let mut on = Vec::new();
        for (theirs, ours) in &self.on {
            let missing = |name: &str| (format!("no column `{name}`"), name.to_owned());
            let column = described.and_then(|t| t.column(theirs)).ok_or_else(|| missing(theirs))?;
            let (other, name) = match ours.split_once('.') {
                Some(("evidence", _)) | None => (None, ours.as_str()),
                Some((other, name)) => (Some(other), name),
            };
            let (join, table) = match other {
                None => (None, own),
                Some(other) => {
                    let join = before.iter().position(|t| t.name == other).ok_or_else(|| missing(ours))?;
                    (Some(join), before.get(join).copied())
                }
            };
            let own = match name {
                "evidence.path" => Own { join, column: None },
                _ => Own { join, column: Some(table.and_then(|t| t.column(name)).ok_or_else(|| missing(ours))?) },
            };
            on.push((column, own));
        }
        let when = match &self.when {
            Some(when) => conditions(described, when)?,
            None => conditions(described, &toml::Value::Table(toml::Table::new()))?,
        };
        Ok(Join { table, on, when, none: self.none })
    }
}

fn conditions(table: Option<&'static Table>, from: &toml::Value) -> Result<Vec<Conditions>, Complaint> {
    let table = table.ok_or_else(|| ("no such table".to_owned(), "table".to_owned()))?;
    let alternatives: Vec<&toml::Value> = match from {
        toml::Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    let mut out = Vec::new();
    for one in alternatives {
        let one = one.as_table().ok_or_else(|| ("`where` must be a table".to_owned(), "where".to_owned()))?;
        let mut all = Vec::new();
        for (name, value) in one {
            let at = table
                .column(name)
                .ok_or_else(|| (format!("table `{}` has no column `{name}`", table.name), name.clone()))?;
            let kind = table.columns.get(at).map_or(crate::inventory::Kind::Text, |c| c.kind);
            all.push((at, Predicate::parse(value, kind).map_err(|what| (format!("{name}: {what}"), name.clone()))?));
        }
        if let Some(at) = table.column("deleted")
            && !all.iter().any(|(c, _)| *c == at)
        {
            let live = Predicate::parse(&toml::Value::Boolean(false), crate::inventory::Kind::Bool);
            all.push((at, live.map_err(|what| (what, "where".to_owned()))?));
        }
        if let Some(at) = table.column("covered")
            && !all.iter().any(|(c, _)| *c == at)
        {
            let empty = toml::Table::from_iter([("empty".to_owned(), toml::Value::Boolean(true))]);
            let seen = Predicate::parse(&toml::Value::Table(empty), crate::inventory::Kind::Text);
            all.push((at, seen.map_err(|what| (what, "where".to_owned()))?));
        }
        all.sort_by_key(|(_, p)| !p.is_cheap());
        out.push(all);
    }
    Ok(out)
}

fn severity(word: &str) -> Result<RuleSeverity, String> {
    Ok(RuleSeverity::Fixed(match word {
        "by-rung" => return Ok(RuleSeverity::ByRung),
        "info" => Severity::Info,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        other => return Err(format!("no severity `{other}`")),
    }))
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count().saturating_add(1)
}
