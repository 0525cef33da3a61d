//! Conditions on one cell, as rules write them in TOML.
//!
//! A string, number or boolean means equality, a list of them any of it; a table combines `is`,
//! `not`, `glob`, `not-glob`, `regex`, `not-regex`, `more`, `less`, `empty` and `after-as-of`, all of which must
//! hold. On a list column a positive condition holds if it holds for any element, a negated one if
//! it holds for all. Text is compared raw (bytes that are no UTF-8 count as U+FFFD), not in the
//! escaped form in which it is shown.
use crate::inventory::{CellRef, Kind};
use regex::Regex;
use std::borrow::Cow;

/// One condition. `all` of its parts must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Predicate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Is(Vec<String>),
    Not(Vec<String>),
    Matches(Regex),
    MatchesNot(Regex),
    More(i128),
    Less(i128),
    Empty(bool),
    /// A time that lies after the day as of which is judged, or (false) does not.
    AfterAsOf(bool),
}

impl Predicate {
    /// Reads a condition for a column of the given kind; the error says what is wrong.
    pub(super) fn parse(from: &toml::Value, kind: Kind) -> Result<Self, String> {
        let parts = match from {
            toml::Value::Table(table) => {
                table.iter().map(|(k, v)| part(k, v, kind)).collect::<Result<Vec<_>, String>>()?
            }
            other => vec![Part::Is(texts(other)?)],
        };
        if parts.is_empty() {
            return Err("an empty condition".into());
        }
        Ok(Self { parts })
    }
    /// Whether it is cheap to test: rules test those first.
    pub(super) fn is_cheap(&self) -> bool {
        self.parts.iter().all(|p| !matches!(p, Part::Matches(_) | Part::MatchesNot(_)))
    }
    /// `as_of`: the first second after the day as of which is judged.
    pub(super) fn holds(&self, value: &CellRef<'_>, as_of: Option<i64>) -> bool {
        self.parts.iter().all(|p| p.holds(value, as_of))
    }
}

impl Part {
    fn holds(&self, value: &CellRef<'_>, as_of: Option<i64>) -> bool {
        match self {
            Self::AfterAsOf(wanted) => match (value, as_of) {
                (CellRef::Time(time), Some(end)) => (time.seconds >= end) == *wanted,
                // Without a time, or without a day, nothing lies behind it.
                _ => !wanted,
            },
            Self::Is(any) => any_text(value, |t| any.iter().any(|a| a == t)),
            Self::Not(none) => !any_text(value, |t| none.iter().any(|a| a == t)),
            Self::Matches(r) => any_text(value, |t| r.is_match(t)),
            Self::MatchesNot(r) => !any_text(value, |t| r.is_match(t)),
            Self::More(n) => number(value).is_some_and(|v| v > *n),
            Self::Less(n) => number(value).is_some_and(|v| v < *n),
            Self::Empty(wanted) => is_empty(value) == *wanted,
        }
    }
}

fn part(word: &str, value: &toml::Value, kind: Kind) -> Result<Part, String> {
    Ok(match word {
        "is" => Part::Is(texts(value)?),
        "not" => Part::Not(texts(value)?),
        "glob" => Part::Matches(globs(&texts(value)?)?),
        "not-glob" => Part::MatchesNot(globs(&texts(value)?)?),
        "regex" => Part::Matches(regex(&texts(value)?)?),
        "not-regex" => Part::MatchesNot(regex(&texts(value)?)?),
        "more" | "less" if !matches!(kind, Kind::Number | Kind::Time) => {
            return Err(format!("`{word}` needs a number or time column"));
        }
        "more" => Part::More(integer(value)?),
        "less" => Part::Less(integer(value)?),
        "after-as-of" if kind != Kind::Time => return Err("`after-as-of` needs a time column".into()),
        "after-as-of" => Part::AfterAsOf(value.as_bool().ok_or("`after-as-of` must be true or false")?),
        "empty" => Part::Empty(value.as_bool().ok_or("`empty` must be true or false")?),
        other => return Err(format!("unknown condition `{other}`")),
    })
}

fn integer(value: &toml::Value) -> Result<i128, String> {
    value.as_integer().map(i128::from).ok_or_else(|| "expected a whole number".into())
}

fn texts(value: &toml::Value) -> Result<Vec<String>, String> {
    Ok(match value {
        toml::Value::String(s) => vec![s.clone()],
        toml::Value::Integer(n) => vec![n.to_string()],
        toml::Value::Boolean(b) => vec![b.to_string()],
        toml::Value::Array(list) => list.iter().map(texts).collect::<Result<Vec<_>, String>>()?.concat(),
        _ => return Err("expected text, a number, true, false or a list of them".into()),
    })
}

fn regex(any: &[String]) -> Result<Regex, String> {
    let one = any.iter().map(|r| format!("(?:{r})")).collect::<Vec<_>>().join("|");
    regex::RegexBuilder::new(&one).size_limit(8 << 20).build().map_err(|e| e.to_string())
}

/// Path patterns as one expression: `*` stands for anything but `/`, `**` for anything, `?` for one
/// character but `/`, `{a,b}` for one of several.
pub(super) fn globs(patterns: &[String]) -> Result<Regex, String> {
    let any: Vec<String> = patterns.iter().map(|p| glob(p)).collect();
    regex(&[format!("(?s)\\A(?:{})\\z", any.join("|"))])
}

fn glob(pattern: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_u32;
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => out.push_str(".*"),
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

fn number(value: &CellRef<'_>) -> Option<i128> {
    match value {
        CellRef::Number(n) => Some(*n),
        CellRef::Time(t) => Some(t.seconds.into()),
        _ => None,
    }
}

fn is_empty(value: &CellRef<'_>) -> bool {
    match value {
        CellRef::Null => true,
        CellRef::Text(t) => t.is_empty(),
        CellRef::Path(p) => p.is_empty(),
        CellRef::List(l) => l.is_empty(),
        CellRef::Bool(_) | CellRef::Number(_) | CellRef::Time(_) | CellRef::Digest(_) | CellRef::Mode(_) => false,
    }
}

fn any_text(value: &CellRef<'_>, mut test: impl FnMut(&str) -> bool) -> bool {
    match value {
        CellRef::List(list) => list.iter().any(|t| test(t)),
        other => test(&text(other)),
    }
}

/// The raw text of a cell, as conditions and joins see it.
pub(super) fn text<'a>(value: &CellRef<'a>) -> Cow<'a, str> {
    match value {
        CellRef::Null => Cow::Borrowed(""),
        CellRef::Bool(true) => Cow::Borrowed("true"),
        CellRef::Bool(false) => Cow::Borrowed("false"),
        CellRef::Text(t) => Cow::Borrowed(t),
        CellRef::Path(p) => p.lossy(),
        CellRef::Number(n) => Cow::Owned(n.to_string()),
        CellRef::Time(t) => Cow::Owned(t.to_string()),
        CellRef::Digest(d) => Cow::Owned(d.to_string()),
        CellRef::Mode(m) => Cow::Owned(m.to_string()),
        CellRef::List(l) => Cow::Owned(l.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::Name;

    fn holds(toml: &str, value: &CellRef<'_>) -> bool {
        let table: toml::Table = toml.parse().unwrap();
        let kind = if matches!(value, CellRef::Number(_)) { Kind::Number } else { Kind::Text };
        Predicate::parse(table.get("c").unwrap(), kind).unwrap().holds(value, Some(1_000))
    }

    #[test]
    fn conditions() {
        let name = Name::from("/usr/lib/x/y.ko");
        let several = ["a".to_owned(), "ab".to_owned()];
        let path = CellRef::Path(&name);
        for (toml, value, expected) in [
            ("c = true", &CellRef::Bool(true), true),
            ("c = [\"a\", \"b\"]", &CellRef::Text("b"), true),
            ("c = { not = \"b\" }", &CellRef::Text("b"), false),
            ("c = { glob = \"/usr/**.ko\" }", &path, true),
            ("c = { glob = \"/usr/*.ko\" }", &path, false),
            ("c = { glob = \"/usr/lib/{x,z}/?.ko\" }", &path, true),
            ("c = { not-glob = [\"/opt/**\", \"/usr/**\"] }", &path, false),
            ("c = { more = 3, less = 5 }", &CellRef::Number(4), true),
            ("c = { more = 4 }", &CellRef::Number(4), false),
            ("c = { empty = true }", &CellRef::Null, true),
            ("c = { regex = \"b$\" }", &CellRef::List(&several), true),
            ("c = { not-regex = \"b$\" }", &CellRef::List(&several), false),
            ("c = \"\"", &CellRef::List(&[]), false),
        ] {
            assert_eq!(holds(toml, value), expected, "{toml} {value:?}");
        }
    }

    #[test]
    fn errors_say_what() {
        for (toml, kind) in [
            ("c = { regex = \"(\" }", Kind::Text),
            ("c = { more = 1 }", Kind::Text),
            ("c = { near = 1 }", Kind::Number),
            ("c = {}", Kind::Text),
        ] {
            let table: toml::Table = toml.parse().unwrap();
            assert!(Predicate::parse(table.get("c").unwrap(), kind).is_err(), "{toml}");
        }
    }
}
