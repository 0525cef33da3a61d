//! Rules of expected variation as TOML, checked before use; and proposed ones written.
use super::guard::{TOO_BROAD, WHOLE_ROWS};
use super::{KINDS, Rule};
use crate::baseline::is_state;
use crate::compare::columns::key;
use crate::inventory::TABLES;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    schema: u32,
    #[serde(default)]
    pub(super) rule: Vec<Written>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}
impl OneOrMore {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Written {
    pub(super) id: String,
    kind: String,
    why: String,
    table: String,
    #[serde(default)]
    when: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    rows: bool,
    #[serde(default)]
    each: Vec<String>,
    #[serde(default)]
    within: Vec<String>,
    network: Option<u8>,
    matches: Option<String>,
    #[serde(default)]
    follows: bool,
    #[serde(default)]
    told: bool,
    #[serde(default)]
    learnt_from: Vec<String>,
    approved: Option<bool>,
    /// Read by the tests alone; that they are well formed is asked of every file.
    #[serde(default)]
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) test: Vec<TestText>,
}

/// Machines as rows by table, and whether the rule explains all that differs in its own table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TestText {
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) explained: bool,
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) machines: Vec<BTreeMap<String, Vec<toml::Table>>>,
}

pub(super) fn written(text: &str) -> Result<Vec<Written>, String> {
    let read: Text = toml::from_str(text).map_err(|e| e.to_string().trim_end().replace('\n', "; "))?;
    match read.schema {
        1 => Ok(read.rule),
        other => Err(format!("its schema is {other}; this program reads 1")),
    }
}

pub(super) fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let all = written(text)?.into_iter();
    all.map(|w| {
        let id = w.id.clone();
        rule(w).map_err(|what| format!("rule {id}: {what}"))
    })
    .collect()
}

fn rule(w: Written) -> Result<Rule, String> {
    let table = TABLES.iter().find(|t| t.name == w.table && is_state(t));
    let table = table.ok_or_else(|| format!("there is no table `{}` that is compared", w.table))?;
    if !KINDS.iter().any(|(kind, _)| *kind == w.kind) {
        let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        return Err(format!("`{}` is no kind; there are: {}", w.kind, kinds.join(", ")));
    }
    if w.why.trim().is_empty() {
        return Err("it does not say why".into());
    }
    for column in w.when.keys().chain(&w.columns).chain(&w.each) {
        if table.column(column).is_none() {
            return Err(format!("{} has no column `{column}`", w.table));
        }
    }
    if !w.rows && w.columns.is_empty() {
        return Err("it names neither columns nor rows = true".into());
    }
    if w.rows && WHOLE_ROWS.contains(&table.name) {
        return Err(format!("whole rows of {} are never expected variation", w.table));
    }
    if w.when.is_empty() && w.rows {
        return Err("whole rows need a condition".into());
    }
    if let Some(column) = w.columns.iter().find(|c| key(table).contains(&c.as_str())) {
        return Err(format!("`{column}` is part of the key of {}: rows that differ in it are other rows", w.table));
    }
    let is_timestamp = w.kind == "timestamp";
    let kind = |c: &String| table.column(c).and_then(|at| table.columns.get(at)).map(|c| c.kind);
    if is_timestamp && w.columns.iter().any(|c| kind(c) != Some(crate::inventory::Kind::Time) && c != "name_times") {
        return Err("a rule of kind timestamp is for columns of times alone".into());
    }
    if table.name == "files" && !is_timestamp {
        let paths = w.when.get("path").ok_or("a rule on files needs a condition on path")?;
        if let Some(broad) = paths.all().iter().find(|p| is_too_broad(p)) {
            return Err(format!("`{broad}` stands for too much; name files, or begin their names"));
        }
    }
    let within = w.within.iter().map(|r| range(r).ok_or_else(|| format!("`{r}` is no range of addresses")));
    let matches = w.matches.as_deref().map(|m| expression(&format!("\\A(?:{m})\\z"))).transpose()?;
    let when = w.when.iter().map(|(column, any)| Ok((column.clone(), globs(any.all())?)));
    Ok(Rule {
        when: when.collect::<Result<_, String>>()?,
        within: within.collect::<Result<_, _>>()?,
        matches,
        id: w.id,
        kind: w.kind,
        why: w.why,
        table: w.table,
        columns: w.columns,
        rows: w.rows,
        each: w.each,
        network: w.network,
        follows: w.follows,
        told: w.told,
        approved: w.approved.unwrap_or(w.learnt_from.is_empty()),
        learnt_from: w.learnt_from,
    })
}

/// A pattern that stands for all of a folder in which programs or settings lie.
fn is_too_broad(pattern: &str) -> bool {
    let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
    let folder = fixed.rfind('/').and_then(|at| fixed.get(..=at)).unwrap_or("/");
    fixed.len() != pattern.len() && (!pattern.starts_with('/') || (folder == fixed && TOO_BROAD.contains(&folder)))
}

/// `10.20.0.0/16`.
pub(super) fn range(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn expression(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text).size_limit(8 << 20).build().map_err(|e| e.to_string().replace('\n', " "))
}

/// `*` stands for anything but `/`, `**` for anything, `?` for one character, `#` for digits, `{hex}` for hex digits and `-`.
fn globs(patterns: &[String]) -> Result<Regex, String> {
    let any: Vec<String> = patterns.iter().map(|p| glob(p)).collect();
    expression(&format!("(?s)\\A(?:{})\\z", any.join("|")))
}

fn glob(pattern: &str) -> String {
    let (mut out, mut rest) = (String::new(), pattern);
    while let Some(first) = rest.chars().next() {
        let (taken, part) = if rest.starts_with("**") {
            (2, ".*".to_owned())
        } else if rest.starts_with("{hex}") {
            (5, "[0-9A-Fa-f-]+".to_owned())
        } else {
            let part = match first {
                '*' => "[^/]*".to_owned(),
                '?' => "[^/]".to_owned(),
                '#' => "[0-9]+".to_owned(),
                other => regex::escape(other.encode_utf8(&mut [0; 4])),
            };
            (first.len_utf8(), part)
        };
        out.push_str(&part);
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// A rule that was learnt, for the analyst to approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LearntRule {
    pub id: String,
    pub kind: String,
    pub why: String,
    pub table: String,
    pub when: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rows: bool,
    /// Machine and what it has there.
    pub learnt_from: Vec<String>,
    pub approved: bool,
}

/// The text of proposed rules.
pub fn write_learnt(rules: &[LearntRule]) -> Result<String, String> {
    #[derive(Serialize)]
    struct All<'a> {
        schema: u32,
        rule: &'a [LearntRule],
    }
    let text = toml::to_string(&All { schema: 1, rule: rules }).map_err(|e| e.to_string())?;
    Ok(format!(
        "# Proposed rules of expected variation. None is applied before `approved` is set to true: read what it was\n\
         # learnt from, and what it stands for.\n{text}"
    ))
}
