//! Texts with placeholders, filled from the rows that a rule matched.
//!
//! `{column}` is a cell of the rule's table, `{table.column}` one of a joined table (both from the
//! first matched row), `{all:column}` the distinct values of all matched rows, `{count}` how many
//! rows matched, `{evidence.path}`, `{evidence.inode}`, `{evidence.line}` and `{evidence.excerpt}`
//! where the first row was read. Two braces stand for one.
use super::rows::{Match, Tables};
use crate::base::{Evidence, Name};
use crate::inventory::{AnyTable, Table, Value};
use std::fmt::Write as _;

/// Values longer than this many characters are cut in a text; the evidence holds them whole.
const LONGEST: usize = 240;
/// How many distinct values `{all:…}` lists before it counts the rest.
const MOST: usize = 12;

#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Count,
    Evidence(Field),
    Cell { join: Option<usize>, column: usize, all: bool },
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Path,
    Inode,
    Line,
    Excerpt,
}

impl Template {
    /// Reads a text. `table` is the rule's own table, `joins` the joined ones in order.
    pub(super) fn parse(text: &str, table: Option<&'static Table>, joins: &[&'static Table]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (head, tail) = rest.split_at(at);
            literal.push_str(head);
            if let Some(after) = tail.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = tail.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some((name, after)) = tail.strip_prefix('{').and_then(|t| t.split_once('}')) {
                parts.push(Part::Text(std::mem::take(&mut literal)));
                parts.push(placeholder(name, table, joins)?);
                rest = after;
            } else {
                return Err("a brace without its partner (write two for one)".into());
            }
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        Ok(Self { parts })
    }
    /// Fills the text from `matches`, of which there is at least one.
    pub(super) fn fill(&self, tables: &Tables<'_>, table: &dyn AnyTable, matches: &[Match]) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Count => {
                    let _ = write!(out, "{}", matches.len());
                }
                Part::Evidence(field) => {
                    if let Some(e) = matches.first().and_then(|m| table.evidence(m.row)) {
                        out.push_str(&shorten(&field.of(e)));
                    }
                }
                Part::Cell { join, column, all: false } => {
                    if let Some(m) = matches.first() {
                        out.push_str(&shorten(&cell(tables, table, m, *join, *column).to_string()));
                    }
                }
                Part::Cell { join, column, all: true } => {
                    let mut seen: Vec<String> = Vec::new();
                    for m in matches {
                        let text = shorten(&cell(tables, table, m, *join, *column).to_string());
                        if !seen.contains(&text) && seen.len() <= MOST.saturating_mul(20) {
                            seen.push(text);
                        }
                    }
                    out.push_str(&list(&seen));
                }
            }
        }
        out
    }
}

/// `a, b, c and 4 more`.
pub(super) fn list(all: &[String]) -> String {
    let shown = all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Cuts a value that is too long for a sentence.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn cell(tables: &Tables<'_>, table: &dyn AnyTable, m: &Match, join: Option<usize>, column: usize) -> Value {
    match join {
        None => table.value(m.row, column),
        Some(j) => match m.joined.get(j) {
            Some(Some((t, row))) => tables.get(*t).map_or(Value::Null, |t| t.value(*row, column)),
            _ => Value::Null,
        },
    }
}

impl Field {
    fn of(self, e: &Evidence) -> String {
        match self {
            Self::Path => e.path.display(),
            Self::Inode => e.node.number.to_string(),
            Self::Line => e.line.map(|l| l.to_string()).unwrap_or_default(),
            Self::Excerpt => Name::from(e.excerpt.as_deref().unwrap_or_default()).display_text(),
        }
    }
}

fn placeholder(name: &str, table: Option<&'static Table>, joins: &[&'static Table]) -> Result<Part, String> {
    let unknown = || format!("no column `{name}` to put here");
    let (all, name) = match name.strip_prefix("all:") {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    match name {
        "count" => return Ok(Part::Count),
        "evidence.path" => return Ok(Part::Evidence(Field::Path)),
        "evidence.inode" => return Ok(Part::Evidence(Field::Inode)),
        "evidence.line" => return Ok(Part::Evidence(Field::Line)),
        "evidence.excerpt" => return Ok(Part::Evidence(Field::Excerpt)),
        _ => {}
    }
    if let Some((other, column)) = name.split_once('.') {
        let join = joins.iter().position(|t| t.name == other).ok_or_else(unknown)?;
        let column = joins.get(join).and_then(|t| t.column(column)).ok_or_else(unknown)?;
        return Ok(Part::Cell { join: Some(join), column, all });
    }
    let column = table.and_then(|t| t.column(name)).ok_or_else(unknown)?;
    Ok(Part::Cell { join: None, column, all })
}
