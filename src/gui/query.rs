//! Sorting, filtering and searching a table, off the window's thread, into a list of row numbers.
use super::rows::Rows;
use crate::base::parallel::{in_order, split, threads};
use crate::inventory::{Kind, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows from which on a table is filtered by several threads.
const MANY: usize = 50_000;

/// What the user asked of a table. Columns are named, so that it outlives a change of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Column, and whether it descends.
    pub sort: Option<(String, bool)>,
    /// Column → pattern, see [`Pattern`].
    pub filters: BTreeMap<String, String>,
    /// Must stand in some column.
    pub search: String,
}
impl Query {
    /// What a table is asked first: log events in the order of their time, all else as it was read.
    pub fn of(table: &str) -> Self {
        let sort = (table == "events").then(|| ("time".to_owned(), false));
        Self { sort, ..Self::default() }
    }
    pub fn narrows(&self) -> bool {
        !self.search.trim().is_empty() || self.filters.values().any(|f| !f.trim().is_empty())
    }
}

/// One column's filter: `text` contains, `!text` does not, `=text` is exactly that, `=` is empty;
/// `>n`, `>=n`, `<n`, `<=n` compare numbers (with k, m, g for 1024 and its powers) and times.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Contains(String),
    Lacks(String),
    Is(String),
    Number(Compare, i128),
    Time(Compare, String),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compare {
    greater: bool,
    equal: bool,
}
impl Compare {
    fn holds<T: Ord>(self, a: &T, b: &T) -> bool {
        match a.cmp(b) {
            std::cmp::Ordering::Equal => self.equal,
            std::cmp::Ordering::Greater => self.greater,
            std::cmp::Ordering::Less => !self.greater,
        }
    }
}

impl Pattern {
    fn parse(text: &str, kind: Kind) -> Self {
        let text = text.trim();
        for (sign, greater, equal) in [(">=", true, true), ("<=", false, true), (">", true, false), ("<", false, false)]
        {
            let Some(rest) = text.strip_prefix(sign) else { continue };
            let compare = Compare { greater, equal };
            match (kind, number(rest)) {
                (Kind::Number, Some(n)) => return Self::Number(compare, n),
                (Kind::Time, _) if !rest.trim().is_empty() => {
                    return Self::Time(compare, rest.trim().replacen(' ', "T", 1));
                }
                _ => {}
            }
        }
        match (text.strip_prefix('!'), text.strip_prefix('=')) {
            (Some(rest), _) => Self::Lacks(rest.trim().to_lowercase()),
            (_, Some(rest)) => Self::Is(rest.trim().to_lowercase()),
            _ => Self::Contains(text.to_lowercase()),
        }
    }
    fn matches(&self, value: &Value, shown: impl FnOnce() -> String) -> bool {
        match (self, value) {
            (Self::Number(compare, n), Value::Number(v)) => compare.holds(v, n),
            (Self::Time(compare, t), Value::Time(v)) => {
                // A day stands for all of its moments: only as much of the time as was typed is compared.
                let v = v.to_string();
                compare.holds(&v.get(..t.len()).unwrap_or(&v), &t.as_str())
            }
            (Self::Number(..) | Self::Time(..), _) => false,
            (Self::Contains(p), _) => contains(value, shown, p),
            (Self::Lacks(p), _) => !contains(value, shown, p),
            (Self::Is(p), _) => value.to_string().to_lowercase() == *p || shown().to_lowercase() == *p,
        }
    }
}

/// In the value as exported or as shown (`1234` and `1,234`; `2025-03-01 10` and `2025-03-01T10`).
fn contains(value: &Value, shown: impl FnOnce() -> String, lower: &str) -> bool {
    match value {
        Value::Null => lower.is_empty(),
        Value::Number(n) => n.to_string().contains(lower) || shown().contains(lower),
        Value::Time(_) => value.to_string().to_lowercase().contains(lower) || shown().contains(lower),
        Value::Bool(_) => shown().contains(lower) || value.to_string().contains(lower),
        _ => value.to_string().to_lowercase().contains(lower),
    }
}

fn number(text: &str) -> Option<i128> {
    let text = text.trim().replace(',', "").to_lowercase();
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' => (text.strip_suffix('k')?, 10),
        b'm' => (text.strip_suffix('m')?, 20),
        b'g' => (text.strip_suffix('g')?, 30),
        _ => (text.as_str(), 0),
    };
    digits.trim().parse::<i64>().ok().map(|n| i128::from(n) << shift)
}

/// The rows that match, in order; `None` if it was cancelled.
pub fn run(rows: &dyn Rows, query: &Query, cancelled: &AtomicBool) -> Option<Vec<u32>> {
    let len = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let mut order = if query.narrows() { narrowed(rows, len, query, cancelled)? } else { (0..len).collect() };
    let Some((column, descending)) = query.sort.as_ref().and_then(|(c, d)| Some((rows.column(c)?, *d))) else {
        return Some(order);
    };
    let mut keyed = Vec::with_capacity(order.len());
    for chunk in order.chunks(4096) {
        if cancelled.load(Ordering::Relaxed) {
            return None;
        }
        keyed.extend(chunk.iter().map(|row| (rows.key(*row as usize, column), *row)));
    }
    // Equal cells keep the table's own order, whichever way the column is sorted.
    if descending {
        keyed.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    } else {
        keyed.sort_unstable();
    }
    order.clear();
    order.extend(keyed.into_iter().map(|(_, row)| row));
    (!cancelled.load(Ordering::Relaxed)).then_some(order)
}

fn narrowed(rows: &dyn Rows, len: u32, query: &Query, cancelled: &AtomicBool) -> Option<Vec<u32>> {
    let patterns: Vec<(usize, Pattern)> = query
        .filters
        .iter()
        .filter(|(_, text)| !text.trim().is_empty())
        .filter_map(|(name, text)| {
            let column = rows.column(name)?;
            Some((column, Pattern::parse(text, rows.specs().get(column)?.kind)))
        })
        .collect();
    let search = query.search.trim().to_lowercase();
    let matches = |row: u32| {
        let row = row as usize;
        let shown = |column: usize, value: &Value| rows.specs().get(column).map(|s| s.shown(value)).unwrap_or_default();
        patterns.iter().all(|(column, pattern)| {
            let value = rows.value(row, *column);
            pattern.matches(&value, || shown(*column, &value))
        }) && (search.is_empty()
            || (0..rows.specs().len()).any(|column| {
                let value = rows.value(row, column);
                value != Value::Null && contains(&value, || shown(column, &value), &search)
            }))
    };
    let part = |rows: Range<usize>| -> Vec<u32> {
        let mut found = Vec::new();
        for row in rows.filter_map(|row| u32::try_from(row).ok()) {
            if row.is_multiple_of(1024) && cancelled.load(Ordering::Relaxed) {
                break;
            }
            if matches(row) {
                found.push(row);
            }
        }
        found
    };
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let found = in_order("filter", &split(len, if len < MANY { 1 } else { threads() }), &part).concat();
    (!cancelled.load(Ordering::Relaxed)).then_some(found)
}

/// Width of a column in points: what it has anyhow, and what would show all of its cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Width {
    pub given: f32,
    pub wanted: f32,
}

/// Widths for the columns, by what stands in rows from all over the table and in the headers.
pub(super) fn widths(rows: &dyn Rows, order: &[u32]) -> Vec<Width> {
    const MOST: u16 = 900;
    const SAMPLE: usize = 300;
    let specs = rows.specs();
    let step = order.len().div_ceil(SAMPLE).max(1);
    specs
        .iter()
        .enumerate()
        .map(|(column, spec)| {
            let widest =
                order.iter().step_by(step).map(|row| units(&spec.shown(&rows.value(*row as usize, column)))).max();
            let header = units(&spec.title()).saturating_add(30);
            if !order.is_empty() && widest == Some(0) {
                // Nothing stands in it: it waits at the width of its title.
                let given = f32::from(header.clamp(46, 170));
                return Width { given, wanted: given };
            }
            let (least, most) = match spec.kind {
                Kind::Bool => (46, 90),
                Kind::Number => (60, 150),
                Kind::Time => (138, 150),
                Kind::Path => (160, 340),
                Kind::Text | Kind::List => (64, 206),
            };
            let all = widest.unwrap_or(0).saturating_add(22);
            let given = all.clamp(least, most).max(header.min(170));
            Width { given: f32::from(given), wanted: f32::from(all.clamp(given, MOST)) }
        })
        .collect()
}

/// An estimate of a text's width in points: a table's first widths need no layout of each cell.
fn units(text: &str) -> u16 {
    let tenths: u32 = text
        .chars()
        .take(160)
        .map(|c| match c {
            'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '!' | 'f' | 't' | 'r' | '/' | '-' => 46,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 105,
            'A'..='Z' => 82,
            c if c < '\u{2e80}' => 70,
            _ => 132,
        })
        .sum();
    u16::try_from(tenths / 10).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compare_contain_and_exclude() {
        let n = |v: i128| Value::Number(v);
        let t = |v: &str| Value::Text(v.into());
        for (pattern, kind, value, expected) in [
            (">1k", Kind::Number, n(1025), true),
            (">1k", Kind::Number, n(1024), false),
            ("<=10", Kind::Number, n(10), true),
            ("1,2", Kind::Number, n(1234), true),
            ("SSH", Kind::Text, t("openssh-server"), true),
            ("!ssh", Kind::Text, t("openssh-server"), false),
            ("=ssh", Kind::Text, t("openssh"), false),
            ("=", Kind::Text, Value::Null, true),
            ("yes", Kind::Bool, Value::Bool(true), true),
            ("岸桥", Kind::Text, t("岸桥管理"), true),
        ] {
            let parsed = Pattern::parse(pattern, kind);
            let spec_shown = || match &value {
                Value::Number(v) => super::super::rows::grouped(*v),
                Value::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
                other => other.to_string(),
            };
            assert_eq!(parsed.matches(&value, spec_shown), expected, "{pattern}");
        }
    }
    #[test]
    fn a_day_stands_for_all_its_moments() {
        let at = Value::Time(crate::base::Time::parse("2025-03-01T10:00:00Z").unwrap_or(crate::base::Time::seconds(0)));
        for (pattern, expected) in
            [(">2025-03-01", false), (">=2025-03-01", true), ("<2025-03-02", true), (">2025-03-01 09", true)]
        {
            assert_eq!(Pattern::parse(pattern, Kind::Time).matches(&at, String::new), expected, "{pattern}");
        }
    }
}
