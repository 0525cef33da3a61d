//! One line of a policy: which things it means, and what it says of them.
use super::condition::Condition;
use super::section::Thing;
use crate::inventory::Value;
use crate::judge::finding::Severity;

/// Keys of a line beside the columns of its section.
pub(super) const KEYS: &[&str] = &["reason", "owner", "until", "severity"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Allow,
    Forbid,
    Require,
}
impl Verb {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "allow" => Some(Self::Allow),
            "forbid" => Some(Self::Forbid),
            "require" => Some(Self::Require),
            _ => None,
        }
    }
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Allow => "allows",
            Self::Forbid => "forbids",
            Self::Require => "requires",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// 1-based.
    pub(super) line: usize,
    pub(super) verb: Verb,
    /// By column.
    pub(super) conditions: Vec<(usize, Condition)>,
    /// The same as written: column and value.
    pub(super) written: Vec<(String, toml::Value)>,
    pub(super) reason: String,
    pub(super) owner: String,
    /// `YYYY-MM-DD`: the last day on which it holds.
    pub(super) until: Option<String>,
    pub(super) severity: Option<Severity>,
}

impl Entry {
    pub(super) fn holds(&self, thing: &Thing) -> bool {
        let every = self.verb == Verb::Allow;
        self.conditions.iter().all(|(column, condition)| {
            let value = thing.values.get(*column).unwrap_or(&Value::Null);
            condition.holds(value, every, &thing.family)
        })
    }
    /// Its end date lies before the day as of which is judged.
    pub(super) fn is_over(&self, as_of: &str) -> bool {
        // Days as YYYY-MM-DD are in the order of their text.
        self.until.as_deref().is_some_and(|until| !as_of.is_empty() && until < as_of)
    }
    /// Which things it means, in words; `one` is what one of them is called.
    pub(super) fn means(&self, one: &str) -> String {
        let all: Vec<String> = self.written.iter().map(|(column, value)| format!("{column} {}", told(value))).collect();
        format!("{one} with {}", all.join(" and "))
    }
    /// Owner and end date.
    pub(super) fn owned(&self) -> String {
        match &self.until {
            Some(until) => format!("owner {}, until {until}", self.owner),
            None => format!("owner {}", self.owner),
        }
    }
    /// Whether something could be meant by both: every column of `forbid` stands in `allow` as well, with the same
    /// condition or a value in common.
    pub(super) fn contradicts(allow: &Self, forbid: &Self) -> bool {
        forbid.written.iter().all(|(column, theirs)| {
            allow.written.iter().any(|(own, ours)| own == column && (ours == theirs || share(ours, theirs)))
        })
    }
}

/// Plain values, one of which is in both.
fn share(a: &toml::Value, b: &toml::Value) -> bool {
    let plain = |v: &toml::Value| match v {
        toml::Value::Array(list) => Some(list.clone()),
        toml::Value::Table(table) if table.len() == 1 => match table.get("is")? {
            toml::Value::Array(list) => Some(list.clone()),
            one => Some(vec![one.clone()]),
        },
        toml::Value::Table(_) => None,
        one => Some(vec![one.clone()]),
    };
    plain(a).zip(plain(b)).is_some_and(|(a, b)| a.iter().any(|v| b.contains(v)))
}

/// A condition in words.
fn told(value: &toml::Value) -> String {
    let quoted = |v: &toml::Value| match v {
        toml::Value::String(s) if s.is_empty() => "nothing".to_owned(),
        toml::Value::String(s) => format!("`{s}`"),
        other => other.to_string(),
    };
    let any = |v: &toml::Value| match v {
        toml::Value::Array(list) => list.iter().map(quoted).collect::<Vec<_>>().join(" or "),
        one => quoted(one),
    };
    match value {
        toml::Value::Table(parts) => {
            let words = |(word, v): (&String, &toml::Value)| match word.as_str() {
                "is" => any(v),
                "not" => format!("other than {}", any(v)),
                "glob" => format!("like {}", any(v)),
                "not-glob" => format!("not like {}", any(v)),
                "regex" => format!("matching {}", any(v)),
                "not-regex" => format!("not matching {}", any(v)),
                "in" => format!("within {}", any(v)),
                "range" => format!("from {}", any(v)),
                "at-least" => format!("at least {}", any(v)),
                "below" => format!("below {}", any(v)),
                "more" => format!("more than {}", any(v)),
                "less" => format!("less than {}", any(v)),
                "empty" if v.as_bool() == Some(true) => "empty".to_owned(),
                "empty" => "not empty".to_owned(),
                other => format!("{other} {}", any(v)),
            };
            parts.iter().map(words).collect::<Vec<_>>().join(" and ")
        }
        other => any(other),
    }
}
