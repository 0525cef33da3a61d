//! Reading a policy: TOML, checked as a whole before anything of it is used. Every fault is told with its line, all
//! at once as far as that goes.
use super::condition::Condition;
use super::entry::{Entry, KEYS, Verb};
use super::section::{self, Section};
use super::{Acceptance, Content, Part, SCHEMA, Undeclared};
use crate::base::{Digest, Time};
use crate::judge::finding::Severity;
use crate::judge::rule::RuleError;
use sha2::{Digest as _, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Lines that one policy may have; what is beyond is no policy of people.
const MOST_ENTRIES: usize = 20_000;

/// Reads a policy; `file` is its name, as reasons give it.
pub(super) fn parse(file: &str, text: &str) -> Result<Content, Vec<RuleError>> {
    let mut reader = Reader { file, text, errors: Vec::new() };
    let (table, faults) = DeTable::parse_recoverable(text);
    for fault in faults {
        let what = fault.message().lines().collect::<Vec<_>>().join(" ");
        reader.complain(fault.span().map_or(0, |s| s.start), what);
    }
    // What does not follow TOML was recovered somehow; what else is said of it would be said of guesses.
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    let content = reader.whole(table.get_ref());
    if reader.errors.is_empty() {
        Ok(content)
    } else {
        reader.errors.sort_by(|a, b| (a.line, &a.what).cmp(&(b.line, &b.what)));
        Err(reader.errors)
    }
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    errors: Vec<RuleError>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|b| *b == b'\n').count().saturating_add(1)
    }
    fn complain(&mut self, at: usize, what: impl Into<String>) {
        let line = self.line(at);
        self.errors.push(RuleError { file: self.file.to_owned(), line, what: what.into() });
    }
    /// Of the file as a whole.
    fn lacks(&mut self, what: &str) {
        self.errors.push(RuleError { file: self.file.to_owned(), line: 0, what: what.to_owned() });
    }

    fn whole(&mut self, table: &DeTable<'_>) -> Content {
        let mut content = Content {
            name: String::new(),
            file: self.file.to_owned(),
            sha256: Digest(Sha256::digest(self.text).into()).to_string(),
            text: self.text.to_owned(),
            acceptance: Acceptance::default(),
            parts: Vec::new(),
        };
        let mut schema = false;
        let mut issued = None;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "schema" => {
                    schema = true;
                    if value.get_ref().as_str().is_none_or(|s| s != SCHEMA) {
                        self.complain(
                            value.span().start,
                            format!("`schema` is not {SCHEMA}, which this program reads"),
                        );
                    }
                }
                "name" => content.name = self.words(value, "name"),
                "by" => drop(self.words(value, "by")),
                "issued" => issued = self.day(value, "issued"),
                "acceptance" => content.acceptance = self.acceptance(value),
                name => {
                    if let Some(section) = section::ALL.iter().find(|s| s.name == name) {
                        content.parts.extend(self.part(section, key.span().start, value));
                    } else {
                        let known: Vec<&str> = section::ALL.iter().map(|s| s.name).collect();
                        let what = format!(
                            "no key `{name}` is known here; there are schema, name, by, issued, acceptance, and the sections {}",
                            known.join(", ")
                        );
                        self.complain(key.span().start, what);
                    }
                }
            }
        }
        if !schema {
            self.lacks(&format!("`schema = \"{SCHEMA}\"` is missing"));
        }
        if content.name.is_empty() && !table.keys().any(|k| k.get_ref() == "name") {
            self.lacks("`name` is missing: what the policy is called");
        }
        content.parts.sort_by_key(|p| section::ALL.iter().position(|s| s.name == p.section.name));
        if content.parts.iter().map(|p| p.entries.len()).sum::<usize>() > MOST_ENTRIES {
            self.lacks(&format!("more than {MOST_ENTRIES} lines"));
        } else {
            self.consistent(&content, issued.as_deref());
        }
        content
    }

    fn acceptance(&mut self, value: &Spanned<DeValue<'_>>) -> Acceptance {
        let mut acceptance = Acceptance::default();
        let Some(table) = value.get_ref().as_table() else {
            self.complain(value.span().start, "`acceptance` must be a table");
            return acceptance;
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "max-severity" => {
                    acceptance.line = self.line(key.span().start);
                    acceptance.most = self.severity(value).unwrap_or(acceptance.most);
                }
                "breach-severity" => acceptance.breach = self.severity(value).unwrap_or(acceptance.breach),
                other => self.complain(
                    key.span().start,
                    format!("no key `{other}` in acceptance; there are max-severity, breach-severity"),
                ),
            }
        }
        acceptance
    }

    fn part(&mut self, section: &'static Section, at: usize, value: &Spanned<DeValue<'_>>) -> Option<Part> {
        let Some(table) = value.get_ref().as_table() else {
            self.complain(at, format!("`{}` must be a table", section.name));
            return None;
        };
        let mut part =
            Part { section, line: self.line(at), undeclared: Undeclared::Allow, severity: None, entries: Vec::new() };
        let mut says = section.requires;
        for (key, value) in table {
            let here = key.span().start;
            match key.get_ref().as_ref() {
                "undeclared" if !section.requires => {
                    says = true;
                    part.line = self.line(here);
                    match value.get_ref().as_str().and_then(Undeclared::of) {
                        Some(undeclared) => part.undeclared = undeclared,
                        None => self.complain(here, "`undeclared` must be \"breach\", \"review\" or \"allow\""),
                    }
                }
                "severity" if !section.requires => part.severity = self.severity(value),
                word if section.verbs().contains(&word) => {
                    let verb = Verb::of(word).unwrap_or(Verb::Allow);
                    self.entries(section, verb, value, &mut part.entries);
                }
                other => {
                    let own = if section.requires { "" } else { "undeclared, severity, " };
                    let what = format!(
                        "no key `{other}` in {}; there are {own}[[{}.{}]]",
                        section.name,
                        section.name,
                        section.verbs().join(&format!("]], [[{}.", section.name))
                    );
                    self.complain(here, what);
                }
            }
        }
        if !says {
            self.complain(
                at,
                format!(
                    "{}: `undeclared` is missing: \"breach\", \"review\" or \"allow\" what no line declares",
                    section.name
                ),
            );
        }
        part.entries.sort_by_key(|e| e.line);
        Some(part)
    }

    fn entries(&mut self, section: &'static Section, verb: Verb, value: &Spanned<DeValue<'_>>, into: &mut Vec<Entry>) {
        let Some(list) = value.get_ref().as_array() else {
            let what = format!("write [[{}.{}]] with two brackets: there may be several", section.name, word(verb));
            return self.complain(value.span().start, what);
        };
        for one in list {
            match one.get_ref().as_table() {
                Some(table) => into.push(self.entry(section, verb, one.span().start, table)),
                None => self.complain(one.span().start, "a line must be a table"),
            }
        }
    }

    fn entry(&mut self, section: &'static Section, verb: Verb, at: usize, table: &DeTable<'_>) -> Entry {
        let first = table.keys().map(|k| k.span().start).min().unwrap_or(at);
        // Of an inline table or a header, whichever comes first.
        let at = if at == 0 { first } else { at.min(first) };
        let mut entry = Entry {
            line: self.line(at),
            verb,
            conditions: Vec::new(),
            written: Vec::new(),
            reason: String::new(),
            owner: String::new(),
            until: None,
            severity: None,
        };
        let columns = (section.columns)();
        for (key, value) in table {
            let here = key.span().start;
            match key.get_ref().as_ref() {
                "reason" => entry.reason = self.words(value, "reason"),
                "owner" => entry.owner = self.words(value, "owner"),
                "until" => entry.until = self.day(value, "until"),
                "severity" if verb == Verb::Forbid => entry.severity = self.severity(value),
                name => {
                    if let Some((column, described)) = section.column(name).and_then(|at| Some((at, columns.get(at)?)))
                    {
                        let parsed =
                            plain(value.get_ref()).and_then(|plain| Ok((Condition::parse(&plain, described)?, plain)));
                        match parsed {
                            Ok((condition, plain)) => {
                                entry.conditions.push((column, condition));
                                entry.written.push((name.to_owned(), plain));
                            }
                            Err(what) => self.complain(here, format!("{name}: {what}")),
                        }
                    } else {
                        let known: Vec<&str> = columns.iter().map(|c| c.name).collect();
                        let own = KEYS.iter().filter(|k| **k != "severity" || verb == Verb::Forbid);
                        let own: Vec<&str> = own.copied().collect();
                        let what = format!(
                            "no key `{name}` in {}.{}; there are {}, and the columns {}",
                            section.name,
                            word(verb),
                            own.join(", "),
                            known.join(", ")
                        );
                        self.complain(here, what);
                    }
                }
            }
        }
        entry.written.sort_by(|a, b| a.0.cmp(&b.0));
        for key in ["reason", "owner"] {
            if !table.keys().any(|k| k.get_ref() == key) {
                self.complain(at, format!("`{key}` is missing"));
            }
        }
        if !table.keys().any(|k| section.column(k.get_ref()).is_some()) {
            let what = match verb {
                Verb::Allow => "it names no column, so it would mean everything: write undeclared = \"allow\" for that",
                Verb::Forbid => {
                    "it names no column, so it would mean everything: write undeclared = \"breach\" for that"
                }
                Verb::Require => "it names no column, so it would mean anything",
            };
            self.complain(at, what);
        }
        entry
    }

    /// A text that says something.
    fn words(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> String {
        match value.get_ref().as_str().map(str::trim) {
            Some("") => self.complain(value.span().start, format!("`{key}` is empty")),
            Some(text) => return text.to_owned(),
            None => self.complain(value.span().start, format!("`{key}` must be text")),
        }
        String::new()
    }
    fn day(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<String> {
        let text = match value.get_ref() {
            DeValue::String(s) => s.to_string(),
            DeValue::Datetime(d) => d.to_string(),
            _ => String::new(),
        };
        if is_day(&text) {
            return Some(text);
        }
        self.complain(value.span().start, format!("`{key}` is no day: write YYYY-MM-DD"));
        None
    }
    fn severity(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Severity> {
        let text = value.get_ref().as_str().unwrap_or_default();
        let severity = Severity::ALL.into_iter().find(|s| s.word() == text);
        if severity.is_none() {
            self.complain(value.span().start, "a severity is one of info, low, medium, high, critical");
        }
        severity
    }

    /// What lines say of each other.
    fn consistent(&mut self, content: &Content, issued: Option<&str>) {
        let mut found = Vec::new();
        for part in &content.parts {
            for (n, entry) in part.entries.iter().enumerate() {
                if let (Some(until), Some(issued)) = (&entry.until, issued)
                    && until.as_str() < issued
                {
                    found.push((entry.line, format!("it ends on {until}, before the policy was issued on {issued}")));
                }
                for before in part.entries.iter().take(n) {
                    let (one, other) = (part.section.a(), before.line);
                    if before.verb == entry.verb && before.written == entry.written && !entry.written.is_empty() {
                        found.push((entry.line, format!("it means the same as line {other}")));
                    }
                    let (allow, forbid) = match (before.verb, entry.verb) {
                        (Verb::Allow, Verb::Forbid) => (before, entry),
                        (Verb::Forbid, Verb::Allow) => (entry, before),
                        _ => continue,
                    };
                    if !forbid.written.is_empty() && Entry::contradicts(allow, forbid) {
                        let (a, b) = (entry.verb.words(), before.verb.words());
                        found.push((entry.line, format!("it {a} {one} that line {other} {b}")));
                    }
                }
            }
        }
        let file = self.file.to_owned();
        self.errors.extend(found.into_iter().map(|(line, what)| RuleError { file: file.clone(), line, what }));
    }
}

/// A day of the calendar.
pub(super) fn is_day(text: &str) -> bool {
    text.len() == 10 && Time::parse(&format!("{text}T00:00:00Z")).is_some()
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Allow => "allow",
        Verb::Forbid => "forbid",
        Verb::Require => "require",
    }
}

/// A value without its places.
fn plain(value: &DeValue<'_>) -> Result<toml::Value, String> {
    Ok(match value {
        DeValue::String(s) => toml::Value::String(s.to_string()),
        DeValue::Integer(n) => {
            let number = i64::from_str_radix(n.as_str(), n.radix()).map_err(|_| "a number that is too large")?;
            toml::Value::Integer(number)
        }
        DeValue::Float(_) => return Err("no column holds numbers with fractions".into()),
        DeValue::Boolean(b) => toml::Value::Boolean(*b),
        DeValue::Datetime(d) => toml::Value::String(d.to_string()),
        DeValue::Array(list) => {
            toml::Value::Array(list.iter().map(|v| plain(v.get_ref())).collect::<Result<Vec<_>, _>>()?)
        }
        DeValue::Table(table) => {
            let mut out = toml::Table::new();
            for (key, value) in table {
                out.insert(key.get_ref().to_string(), plain(value.get_ref())?);
            }
            toml::Value::Table(out)
        }
    })
}
