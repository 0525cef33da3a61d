//! A draft of a policy from what a case holds, for the analyst to cut down. Its reasons are empty, so that it is not
//! accepted before somebody has thought about each line.
use super::SCHEMA;
use super::condition::Condition;
use super::entry::{Entry, Verb};
use super::section::{self, Ground, Section, Thing};
use crate::base::inert;
use crate::inventory::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Things that one section writes one by one.
const MOST: usize = 2000;

/// The text of the draft; `name` is what it is called.
pub(in crate::judge) fn draft(ground: &Ground<'_>, name: &str) -> String {
    let mut out = format!(
        "# A draft of a delivery policy, made by cranescope {} from what one case holds.\n\
         # It declares everything that is there. Take out what the contract does not allow, widen what may vary, and fill\n\
         # in why each line is there (reason) and who answers for it (owner); an end date is optional (until = 2027-01-31).\n\
         # `cranescope policy check` refuses it until then. What the keys mean stands in docs/policy.md.\n\
         schema = \"{SCHEMA}\"\nname = {}\n\n[acceptance]\n# Findings above it wait for an examiner's decision.\nmax-severity = \"low\"\n",
        env!("CARGO_PKG_VERSION"),
        quoted(name)
    );
    for section in section::ALL {
        one(section, &(section.things)(ground), &mut out);
    }
    out
}

fn one(section: &'static Section, things: &[Thing], out: &mut String) {
    let _ = write!(out, "\n# {}\n[{}]\n", section.about, section.name);
    let verb = if section.requires { "require" } else { "allow" };
    if !section.requires {
        out.push_str("undeclared = \"breach\"\n");
    }
    let mut rest: Vec<&Thing> = things.iter().collect();
    for (condition, means) in section.together {
        let Some(entry) = together(section, condition) else { continue };
        let (within, others): (Vec<&Thing>, Vec<&Thing>) = rest.into_iter().partition(|t| entry.holds(t));
        rest = others;
        if !within.is_empty() {
            let _ = write!(out, "\n# {means} There are {}.\n[[{}.{verb}]]\n", within.len(), section.name);
            for (column, value) in &entry.written {
                let _ = writeln!(out, "{column} = {value}");
            }
            out.push_str(OPEN);
        }
    }
    let mut seen = BTreeSet::new();
    for thing in rest {
        let lines = pins(section, thing);
        if lines.is_empty() || !seen.insert(lines.clone()) {
            continue;
        }
        if seen.len() > MOST {
            let _ = write!(out, "\n# There are more than {MOST}; the rest is not written here.\n");
            break;
        }
        let _ = write!(out, "\n[[{}.{verb}]]\n{lines}{OPEN}", section.name);
    }
}

const OPEN: &str = "reason = \"\"\nowner = \"\"\n";

/// A condition of the section's own table as a line.
pub(super) fn together(section: &'static Section, condition: &str) -> Option<Entry> {
    let text = condition.split(", ").fold(String::new(), |mut all, part| {
        // Commas within brackets part nothing.
        let open = |t: &str| t.matches(['[', '{']).count() > t.matches([']', '}']).count();
        let last = all.rsplit('\n').next().unwrap_or_default().to_owned();
        all.push_str(if all.is_empty() {
            ""
        } else if open(&last) {
            ", "
        } else {
            "\n"
        });
        all.push_str(part);
        all
    });
    let table: toml::Table = text.parse().ok()?;
    let columns = (section.columns)();
    let mut conditions = Vec::new();
    for (name, value) in &table {
        let at = section.column(name)?;
        conditions.push((at, Condition::parse(value, columns.get(at)?).ok()?));
    }
    let written = table.into_iter().collect();
    let (reason, owner) = (String::new(), String::new());
    Some(Entry { line: 0, verb: Verb::Allow, conditions, written, reason, owner, until: None, severity: None })
}

/// The conditions that mean exactly this thing.
fn pins(section: &Section, thing: &Thing) -> String {
    let mut out = String::new();
    for name in section.pins {
        let value = section.column(name).and_then(|at| thing.values.get(at)).unwrap_or(&Value::Null);
        let text = match value {
            Value::Bool(b) => b.to_string(),
            Value::Number(n) => n.to_string(),
            Value::List(list) if !list.is_empty() => {
                format!("[{}]", list.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(", "))
            }
            Value::Text(t) if !t.is_empty() => quoted(t),
            Value::Path(p) if !p.is_empty() => quoted(&p.lossy()),
            Value::Time(t) => quoted(&t.to_string()),
            _ => "{ empty = true }".to_owned(),
        };
        let _ = writeln!(out, "{name} = {text}");
    }
    out
}

/// A TOML string; what cannot be shown as it is stands as its code.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    inert::walk(text, |c, escaped| match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        c if escaped || c.is_control() => {
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        }
        c => out.push(c),
    });
    out.push('"');
    out
}
