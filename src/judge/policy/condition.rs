//! Conditions of a policy's line: those of rules (`judge::predicate`), and beside them `in` (addresses within
//! ranges in CIDR notation, RFC 4632 and 4291), `range` (numbers from-to) and `at-least`, `below` (versions, in the order
//! of the system's own packages: `baseline::compare_versions`).
//!
//! A list column is looked at element by element: a line that allows needs every element to fit, one that forbids
//! or requires needs one. So an interface with one declared and one other address is not declared.
use super::section::{Column, Takes};
use crate::baseline::{VERSION_FAMILIES, compare_versions};
use crate::inventory::{CellRef, Kind, Value};
use crate::judge::predicate::{Predicate, text};
use crate::judge::unexamined::host_of;
use std::cmp::Ordering;
use std::net::IpAddr;

/// What one column must be.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Plain(Predicate),
    Within { nets: Vec<Net>, whole: bool },
    Range(Vec<(u64, u64)>),
    AtLeast(String),
    Below(String),
}

/// Words of conditions beside those of rules.
const OWN: &[&str] = &["in", "range", "at-least", "below"];

impl Condition {
    /// Reads what stands at a column; the error says what is wrong.
    pub(super) fn parse(from: &toml::Value, column: &Column) -> Result<Self, String> {
        let toml::Value::Table(table) = from else {
            plain_type(from, column)?;
            return Ok(Self { parts: vec![Part::Plain(Predicate::parse(from, column.kind)?)] });
        };
        let (own, plain): (toml::Table, toml::Table) =
            table.clone().into_iter().partition(|(word, _)| OWN.contains(&word.as_str()));
        if own.is_empty() && plain.is_empty() {
            return Err("an empty condition".into());
        }
        let mut parts = Vec::new();
        for (word, value) in &own {
            parts.push(part(word, value, column)?);
        }
        versions_are_a_range(&parts)?;
        for word in ["is", "not"] {
            plain.get(word).map_or(Ok(()), |value| plain_type(value, column))?;
        }
        if let (Some(more), Some(less)) = (integer(&plain, "more"), integer(&plain, "less"))
            && more.saturating_add(1) >= less
        {
            return Err(format!("no number is more than {more} and less than {less}"));
        }
        if !plain.is_empty() {
            parts.push(Part::Plain(Predicate::parse(&toml::Value::Table(plain), column.kind)?));
        }
        Ok(Self { parts })
    }
    /// `every`: of a list, all elements must fit, else one. `family`: whose packages order versions as these are ordered.
    pub(super) fn holds(&self, value: &Value, every: bool, family: &str) -> bool {
        let one = |cell: &CellRef<'_>| self.parts.iter().all(|p| p.holds(cell, family));
        match value {
            Value::List(list) if !list.is_empty() => {
                let mut fits = list.iter().map(|e| one(&CellRef::Text(e)));
                if every { fits.all(|f| f) } else { fits.any(|f| f) }
            }
            other => one(&view(other)),
        }
    }
}

impl Part {
    fn holds(&self, cell: &CellRef<'_>, family: &str) -> bool {
        let order = |other: &str| compare_versions(family, text(cell).trim(), other);
        match self {
            Self::Plain(predicate) => predicate.holds(cell, None),
            Self::Within { nets, whole } => {
                reach(&text(cell), *whole).is_some_and(|found| nets.iter().any(|n| n.holds(&found)))
            }
            Self::Range(ranges) => text(cell).trim().parse::<u64>().is_ok_and(|n| {
                // Both ends belong to it.
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&n))
            }),
            Self::AtLeast(from) => !text(cell).is_empty() && order(from) != Ordering::Less,
            Self::Below(end) => !text(cell).is_empty() && order(end) == Ordering::Less,
        }
    }
}

fn part(word: &str, value: &toml::Value, column: &Column) -> Result<Part, String> {
    let takes = |wanted: &[Takes], what: &str| {
        if wanted.contains(&column.takes) { Ok(()) } else { Err(format!("`{word}` needs a column of {what}")) }
    };
    match word {
        "in" => {
            takes(&[Takes::Addresses, Takes::Networks], "addresses")?;
            let nets = texts(value)?.iter().map(|t| Net::parse(t)).collect::<Result<Vec<_>, _>>()?;
            if nets.is_empty() {
                return Err("`in` names no range of addresses".into());
            }
            Ok(Part::Within { nets, whole: column.takes == Takes::Networks })
        }
        "range" => {
            takes(&[Takes::Numbers], "numbers")?;
            let ranges = texts(value)?.iter().map(|t| range(t)).collect::<Result<Vec<_>, _>>()?;
            if ranges.is_empty() {
                return Err("`range` names no range".into());
            }
            Ok(Part::Range(ranges))
        }
        _ => {
            takes(&[Takes::Versions], "versions")?;
            let version = value.as_str().filter(|v| !v.trim().is_empty());
            let version = version.ok_or_else(|| format!("`{word}` needs a version as text"))?.trim().to_owned();
            Ok(if word == "below" { Part::Below(version) } else { Part::AtLeast(version) })
        }
    }
}

fn versions_are_a_range(parts: &[Part]) -> Result<(), String> {
    let from = parts.iter().find_map(|p| if let Part::AtLeast(v) = p { Some(v) } else { None });
    let end = parts.iter().find_map(|p| if let Part::Below(v) = p { Some(v) } else { None });
    match (from, end) {
        // Of which family the system is stands nowhere in a policy: what no family has in this order is none.
        (Some(from), Some(end))
            if VERSION_FAMILIES.iter().all(|family| compare_versions(family, from, end) != Ordering::Less) =>
        {
            Err(format!("no version is at least {from} and below {end}"))
        }
        _ => Ok(()),
    }
}

/// Values that a column of this kind can have: a number is no answer to yes or no.
fn plain_type(value: &toml::Value, column: &Column) -> Result<(), String> {
    use toml::Value::{Array, Boolean, Integer, String};
    match (value, column.kind) {
        (Array(list), _) => list.iter().try_for_each(|v| plain_type(v, column)),
        (Boolean(_), Kind::Bool)
        | (Integer(_), Kind::Number)
        | (String(_) | Integer(_), Kind::Text | Kind::List | Kind::Path | Kind::Time) => Ok(()),
        (_, Kind::Bool) => Err("expected true or false".into()),
        (_, Kind::Number) => Err("expected a whole number".into()),
        _ => Err("expected text".into()),
    }
}

fn integer(table: &toml::Table, word: &str) -> Option<i64> {
    table.get(word).and_then(toml::Value::as_integer)
}

fn texts(value: &toml::Value) -> Result<Vec<String>, String> {
    match value {
        toml::Value::String(s) => Ok(vec![s.clone()]),
        toml::Value::Integer(n) => Ok(vec![n.to_string()]),
        toml::Value::Array(list) => Ok(list.iter().map(texts).collect::<Result<Vec<_>, _>>()?.concat()),
        _ => Err("expected text or a list of texts".into()),
    }
}

/// `8000-8100`, or one number.
fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let number = |t: &str| t.trim().parse::<u64>().map_err(|_| format!("`{text}` is no range: write FROM-TO"));
    let (from, to) = (number(from)?, number(to)?);
    if from > to { Err(format!("`{text}` is no range: it ends before it begins")) } else { Ok((from, to)) }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Net {
    at: IpAddr,
    bits: u32,
}

impl Net {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no range of addresses: {why}");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let at: IpAddr = address.trim().parse().map_err(|_| wrong("write it as 10.1.2.0/24"))?;
        let most = width(at);
        let bits = bits.map_or(Ok(most), |b| b.trim().parse().map_err(|_| wrong("no length of a prefix")))?;
        if bits > most {
            return Err(wrong(&format!("its prefix is longer than {most} bits")));
        }
        if masked(at, bits) != number(at) {
            return Err(wrong("bits are set behind its prefix"));
        }
        Ok(Self { at, bits })
    }
    /// Whether all of the other lies in it.
    fn holds(&self, other: &Self) -> bool {
        self.at.is_ipv4() == other.at.is_ipv4()
            && self.bits <= other.bits
            && masked(other.at, self.bits) == number(self.at)
    }
}

fn width(at: IpAddr) -> u32 {
    if at.is_ipv4() { 32 } else { 128 }
}
fn number(at: IpAddr) -> u128 {
    match at {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}
/// The bits of the prefix alone.
fn masked(at: IpAddr, bits: u32) -> u128 {
    let behind = width(at).saturating_sub(bits);
    number(at).checked_shr(behind).and_then(|n| n.checked_shl(behind)).unwrap_or(0)
}

/// The addresses that a cell stands for: `*`, `default`, `0.0.0.0` and `::` are all there are, a network is whole
/// where the column holds networks.
fn reach(text: &str, whole: bool) -> Option<Net> {
    let text = text.trim();
    if text == "*" || text == "default" {
        return Some(Net { at: IpAddr::from([0, 0, 0, 0]), bits: 0 });
    }
    let at: IpAddr = host_of(text).trim_matches(['[', ']']).parse().ok()?;
    if at.is_unspecified() {
        return Some(Net { at, bits: 0 });
    }
    let bits = text.rsplit_once('/').filter(|_| whole).and_then(|(_, bits)| bits.parse().ok());
    let bits = bits.filter(|b| *b <= width(at)).unwrap_or(width(at));
    Some(Net { at, bits })
}

fn view(value: &Value) -> CellRef<'_> {
    match value {
        Value::Null => CellRef::Null,
        Value::Bool(b) => CellRef::Bool(*b),
        Value::Number(n) => CellRef::Number(*n),
        Value::Time(t) => CellRef::Time(*t),
        Value::Text(t) => CellRef::Text(t),
        Value::Path(p) => CellRef::Path(p),
        Value::List(l) => CellRef::List(l),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(toml: &str, kind: Kind, takes: Takes) -> Result<Condition, String> {
        let table: toml::Table = toml.parse().unwrap();
        Condition::parse(table.get("c").unwrap(), &Column { name: "c", about: "", kind, takes })
    }
    fn holds(toml: &str, takes: Takes, value: &Value) -> bool {
        parse(toml, Kind::Text, takes).unwrap().holds(value, true, "deb")
    }
    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn ranges_of_addresses() {
        let inside = "c = { in = [\"10.1.0.0/16\", \"fd00::/8\"] }";
        for (value, expected) in [
            ("10.1.2.3", true),
            ("10.1.2.3/24", true),
            ("10.2.0.1", false),
            ("https://10.1.2.3:8443/x", true),
            ("[fd00::1]:22", true),
            ("10.1.2.3:502", true),
            ("*", false),
            ("0.0.0.0", false),
            ("::", false),
            ("example.org", false),
            ("", false),
        ] {
            assert_eq!(holds(inside, Takes::Addresses, &text(value)), expected, "{value}");
        }
        assert!(holds("c = { in = \"0.0.0.0/0\" }", Takes::Addresses, &text("*")));
        // A route's destination is a network, which must lie in the range as a whole.
        assert!(!holds(inside, Takes::Networks, &text("10.0.0.0/8")));
        assert!(holds(inside, Takes::Networks, &text("10.1.4.0/24")));
        let both = Value::List(vec!["10.1.2.3/24".into(), "192.0.2.1/24".into()]);
        assert!(!holds(inside, Takes::Addresses, &both));
        assert!(parse(inside, Kind::List, Takes::Addresses).unwrap().holds(&both, false, "deb"));
    }

    #[test]
    fn numbers_and_versions() {
        let ports = "c = { range = [\"8000-8100\", 22] }";
        for (value, expected) in [("8000", true), ("8100", true), ("8101", false), ("22", true), ("ssh", false)] {
            assert_eq!(holds(ports, Takes::Numbers, &text(value)), expected, "{value}");
        }
        let versions = "c = { at-least = \"12\", below = \"13\" }";
        for (value, expected) in [("12", true), ("12.15", true), ("13", false), ("9.9", false), ("", false)] {
            assert_eq!(holds(versions, Takes::Versions, &text(value)), expected, "{value}");
        }
        // The order is that of the family of packages: a tilde comes before the end, apk's suffixes have one of their own.
        let from =
            |least: &str| parse(&format!("c = {{ at-least = \"{least}\" }}"), Kind::Text, Takes::Versions).unwrap();
        for (value, least, deb, rpm, apk) in [
            ("6.1.0-50-amd64", "6.1.0-9-amd64", true, true, true),
            ("6.5.6-300.fc39.x86_64", "6.5.6-1", true, true, true),
            ("12.4", "12.04", true, true, true),
            ("13~rc1", "13", false, false, true),
            ("3.19_rc1", "3.19", true, true, false),
        ] {
            let holds = |family| from(least).holds(&text(value), true, family);
            assert_eq!((holds("deb"), holds("rpm"), holds("apk")), (deb, rpm, apk), "{value} {least}");
        }
    }

    #[test]
    fn what_is_no_condition_says_why() {
        for (toml, takes, what) in [
            ("c = { in = \"10.1.2.3/24\" }", Takes::Addresses, "bits are set"),
            ("c = { in = \"10.1.2.0/33\" }", Takes::Addresses, "longer than 32"),
            ("c = { in = \"fd00::/129\" }", Takes::Addresses, "longer than 128"),
            ("c = { in = \"crane\" }", Takes::Addresses, "no range of addresses"),
            ("c = { in = [] }", Takes::Addresses, "names no range"),
            ("c = { in = \"10.0.0.0/8\" }", Takes::Nothing, "needs a column of addresses"),
            ("c = { range = \"9-3\" }", Takes::Numbers, "ends before it begins"),
            ("c = { range = \"a-b\" }", Takes::Numbers, "no range"),
            ("c = { at-least = \"13\", below = \"12\" }", Takes::Versions, "no version is at least 13"),
            ("c = { at-least = 12 }", Takes::Versions, "as text"),
            ("c = {}", Takes::Nothing, "empty condition"),
            ("c = { near = 1 }", Takes::Nothing, "unknown condition"),
            ("c = 1.5", Takes::Nothing, "expected text"),
        ] {
            let error = parse(toml, Kind::Text, takes).unwrap_err();
            assert!(error.contains(what), "{toml}: {error}");
        }
        for (toml, kind) in [
            ("c = \"yes\"", Kind::Bool),
            ("c = \"5\"", Kind::Number),
            ("c = true", Kind::Text),
            ("c = { more = 4, less = 5 }", Kind::Number),
        ] {
            assert!(parse(toml, kind, Takes::Nothing).is_err(), "{toml}");
        }
    }
}
