//! A policy in plain sentences, and the manual of what a policy can hold (docs/policy.md).
use super::entry::Verb;
use super::section::{self, Takes};
use super::{Policy, SCHEMA, Undeclared};
use crate::inventory::Kind;
use crate::judge::finding::Category;
use crate::judge::knowledge::Knowledge;
use std::fmt::Write as _;

impl Policy {
    /// What it allows, forbids and requires, one sentence a line.
    pub fn sentences(&self) -> Vec<String> {
        let Some(content) = &self.content else { return Vec::new() };
        let a = content.acceptance;
        let at = if a.line == 0 { "no line says another".to_owned() } else { format!("line {}", a.line) };
        let mut out = vec![
            format!("policy {} ({}, SHA-256 {})", content.name, content.file, content.sha256),
            format!("Findings above {} wait for an examiner's decision ({at}).", a.most.word()),
            format!("A breach has severity {} where no line says another.", a.breach.word()),
        ];
        for part in &content.parts {
            let counts: Vec<String> = part
                .section
                .verbs()
                .iter()
                .filter_map(|verb| {
                    let n = part.entries.iter().filter(|e| Verb::of(verb) == Some(e.verb)).count();
                    (n > 0).then(|| format!("{n} {verb}"))
                })
                .collect();
            let counts = if counts.is_empty() { "no lines".to_owned() } else { counts.join(", ") };
            let undeclared = match part.undeclared {
                _ if part.section.requires => "what is required must be there".to_owned(),
                Undeclared::Breach => format!("what is not declared is a breach (line {})", part.line),
                Undeclared::Review => format!("what is not declared waits for a review (line {})", part.line),
                Undeclared::Allow => format!("what is not declared is no matter of this policy (line {})", part.line),
            };
            out.push(format!("{}: {counts}; {undeclared}.", part.section.name));
            for e in &part.entries {
                let words = e.verb.words();
                out.push(format!(
                    "  line {} {words} {}: {} ({}).",
                    e.line,
                    e.means(&part.section.a()),
                    e.reason,
                    e.owned()
                ));
            }
        }
        let silent: Vec<&str> = section::ALL
            .iter()
            .filter(|s| !content.parts.iter().any(|p| p.section.name == s.name))
            .map(|s| s.name)
            .collect();
        if !silent.is_empty() {
            out.push(format!("It says nothing of {}.", silent.join(", ")));
        }
        out
    }
}

/// docs/policy.md: every section and column, out of the same tables that check a policy.
pub fn manual(knowledge: &Knowledge) -> String {
    let mut out = String::from(MANUAL.replace("SCHEMA", SCHEMA).trim_start());
    let never: Vec<&str> = knowledge
        .rules()
        .iter()
        .filter(|r| r.stays && !matches!(r.category, Category::Integrity | Category::AntiForensics))
        .map(|r| r.id.as_str())
        .collect();
    out.push_str("\n## Never lowered\n\n");
    out.push_str(NEVER.trim_start());
    let _ =
        writeln!(out, "\nThese rules: {}.", never.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "));
    out.push_str("\n## The sections\n");
    for section in section::ALL {
        let _ = writeln!(out, "\n### {}\n\n{}\n", section.name, section.about);
        let _ = writeln!(out, "| column | holds | conditions |\n|---|---|---|");
        for c in (section.columns)() {
            let mut words = vec![match c.kind {
                Kind::Bool => "true, false",
                Kind::Number => "number, more, less",
                Kind::Time => "time, more, less, empty",
                Kind::Text | Kind::Path | Kind::List => "text, glob, regex, not, empty",
            }];
            words.extend(match c.takes {
                Takes::Nothing => None,
                Takes::Addresses | Takes::Networks => Some("in"),
                Takes::Numbers => Some("range"),
                Takes::Versions => Some("at-least, below"),
            });
            let list = if c.kind == Kind::List { " (a list)" } else { "" };
            let about = c.about.replace('|', "\\|");
            let _ = writeln!(out, "| `{}` | {about}{list} | {} |", c.name, words.join(", "));
        }
    }
    out
}

const MANUAL: &str = r#"
# The delivery policy

What the contract allows on a crane, as one TOML file. `cranescope policy check FILE` checks it and says in sentences what
it allows; `examine … --policy FILE` and `judge CASE --policy FILE` judge by it; `cranescope policy draft CASE -o FILE`
writes one from what a case holds, to be cut down by hand. A commented example with every key: [policy-example.toml](policy-example.toml).
The first part of this file is prose; the tables below are made from the program and tested against it.

```toml
schema = "SCHEMA"
name = "Quay crane 7, delivery 2026"

[acceptance]
max-severity = "low"

[listeners]
undeclared = "breach"

[[listeners.allow]]
protocol = "tcp"
port = 22
address = { in = "10.20.0.0/24" }
reason = "Maintenance from the workshop, contract annex 4"
owner = "Terminal IT"
until = 2027-01-31
```

## Keys

- `schema`: `SCHEMA`. `name`: what the policy is called; reports name it. `by` and `issued` (a day) are optional.
- `[acceptance]`: `max-severity` (by default `low`): findings above it wait for an examiner's decision.
  `breach-severity` (by default `high`): severity of a breach where neither section nor line says another.
- A section speaks of one kind of thing. `undeclared` says what becomes of a thing that no line declares: `breach`, `review` (a
  finding that waits for a decision) or `allow` (no matter of this policy). `severity`: that of its breaches and reviews.
- `[[SECTION.allow]]`: a thing may be there. `[[SECTION.forbid]]`: it may not, whatever else allows it; it may have a
  `severity` of its own. The sections `baselines` and `devices` have `[[SECTION.require]]` instead: it must be there.
- Each line has a `reason` and an `owner`, neither empty, and may have `until`, the last day on which it holds. Everything
  else in it are conditions on columns, all of which must hold. A line without a condition is refused.

Conditions are those of rules: a value or a list of values means equality with one of them; a table combines `is`, `not`, `glob`
(`*` anything but `/`, `**` anything, `?` one character, `{a,b}`), `not-glob`, `regex`, `not-regex`, `more`, `less`, `empty`. Beside
them: `in` (ranges of addresses: `"10.20.0.0/16"`), `range` (numbers: `"8000-8100"`), `at-least` and `below` (versions, in the order of the
system's own packages). Of a list column a line that allows needs every element to fit, one that forbids or requires needs one.

## Before it is used

A policy is used as a whole or not at all. Told with file and line, all at once: TOML that is none, unknown keys, columns and
conditions, values of another type, severities, days and ranges that are none, missing or empty reasons and owners, a line that
means the same as another, a thing that one line allows and another forbids, an end date before the day of issue. `policy check`
(exit code 2 where there is anything to tell) also tells end dates that have passed as of `--as-of` (by default today); judging
uses such a policy, but what has ended permits nothing, and the verdict says so.

## What it does to findings

- Each thing that is not declared, or forbidden, is a finding of category `policy` under the rule `policy-SECTION`, with the evidence of
  its row and the line. Findings of the rules that rest on such a thing have the conformity `breach` as well.
- A finding that rests on declared things alone has the conformity `permitted` and is lowered by two steps: critical to medium,
  high to low, everything below to info. It is never removed, and says which line permits it, with reason, owner and end date.
- A link (modem, remote access) is judged as a whole by its own section: what it uses does not permit it.
- Everything else is `not-stated`.

## The verdict

| result | when |
|---|---|
| `breach` | something is forbidden, or undeclared where that is a breach; no review undoes it, only another policy |
| `review` | something undeclared waits for a decision, or a finding is above `max-severity`, and the latest decision about it is not `benign` or `mistaken` |
| `incomplete` | what a line needs was not read (gaps, unread volumes, no system, no image of a required device, no required baseline) |
| `no-breach` | none of these |
| `not-assessed` | no policy was given |

The first that holds. Its reasons say all of them, each with its line; then what examiners set aside by their decisions, which lines
have ended, and what was declared and not found. Gaps among the members of an archive that lies in a file of the disk bear on
no line: nothing runs from there. The case keeps name, SHA-256 and text of the policy, so that a report says what it was judged by.
The verdict speaks of conformity to the named policy, never of fitness for service.
"#;

const NEVER: &str = r"
A line that declares a thing permits no alteration of it. Whatever is declared, these findings keep their severity and are not
`permitted`: those of the categories integrity and anti-forensics; a link of which a part differs from its package or belongs to no
package (rung `altered`); anything that a baseline holds otherwise (`changed`), or whose content a known-bad set holds; and what rules say of passing places, shells
opened to the network, code that is fetched or loaded into other programs, names taken from packages, and doors without a lock
(`permit = never` in the rule's file).
";
