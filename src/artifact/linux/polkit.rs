//! Who may do what by polkit: rules are programs in JavaScript (polkit(8)), of which the conditions that name users, groups
//! and actions are told with what they give; older grants are key files (pklocalauthority(8)).
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{System, Text};
use crate::format::ini::Ini;
use crate::inventory::SudoRule;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.polkit",
    about: "Grants of polkit: rules that answer for users and groups, and the older key files of grants",
    os: Os::Linux,
    reads: &[
        "/{etc,run,usr/local/share,usr/share}/polkit-1/rules.d/*.rules",
        "/etc/polkit-1/localauthority/**",
        "/var/lib/polkit-1/**",
    ],
    references: &["polkit(8)", "pklocalauthority(8)"],
    extract,
};

/// Rules and grants of one file.
const MAX: usize = 1_000;
/// Names of one rule.
const MAX_NAMES: usize = 100;

fn extract(system: &System, out: &Out) {
    out.each_text(system, &["/{etc,run,usr/local/share,usr/share}/polkit-1/rules.d/*.rules"], |text| rules(text, out));
    let grants = ["/etc/polkit-1/localauthority/**.pkla", "/var/lib/polkit-1/**.pkla"];
    out.each_text(system, &grants, |text| grants_of(text, out));
}

struct Patterns {
    comment: Regex,
    action: Regex,
    quoted: Regex,
    group: Regex,
    user: Regex,
    result: Regex,
}
/// Written here, so that they compile; one that does not is left out of the search.
static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        comment: Regex::new(r"(?s)/\*.*?\*/|(?m)(^|[\s;{}])//[^\n]*").ok()?,
        action: Regex::new(r#"action\.id\s*(?:===?\s*|\.(?:indexOf|startsWith|match|search)\(\s*)["'/]\^?([^"'/$]+)"#)
            .ok()?,
        quoted: Regex::new(r#"["']((?:org|com|net|io|fi|de)\.[A-Za-z0-9_.\-]+\.?)["']"#).ok()?,
        group: Regex::new(r#"isIn(?:Net)?Group\(\s*["']([^"']+)["']"#).ok()?,
        user: Regex::new(r#"subject\.user\s*===?\s*["']([^"']+)["']"#).ok()?,
        result: Regex::new(r#"polkit\.Result\.([A-Z_]+)|return\s+["']([a-z_]+)["']"#).ok()?,
    })
});

/// One row for each function that is added as a rule and returns an answer of its own.
fn rules(text: &Text<'_>, out: &Out) {
    let Some(patterns) = PATTERNS.as_ref() else { return };
    let whole = text.text();
    // Comments become blanks, so that places stay.
    let plain = patterns.comment.replace_all(&whole, |found: &regex::Captures<'_>| {
        found.get(0).map_or("", |m| m.as_str()).chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>()
    });
    let starts: Vec<usize> = memchr::memmem::find_iter(plain.as_bytes(), b"addRule").collect();
    if starts.len() > MAX {
        out.gap(text.entry, "budget: rules; the rest was not listed");
    }
    for (n, start) in starts.iter().enumerate().take(MAX) {
        let end = starts.get(n.saturating_add(1)).copied().unwrap_or(plain.len());
        let block = plain.get(*start..end).unwrap_or_default();
        let all = |pattern: &Regex, mark: &str| -> BTreeSet<String> {
            let names = pattern.captures_iter(block).filter_map(|c| c.get(1)).take(MAX_NAMES);
            names.map(|m| format!("{mark}{}", m.as_str())).collect()
        };
        let results: BTreeSet<String> = patterns
            .result
            .captures_iter(block)
            .filter_map(|c| c.get(1).or(c.get(2)))
            .map(|m| m.as_str().to_ascii_lowercase())
            .filter(|r| r != "not_handled")
            .collect();
        if results.is_empty() {
            continue;
        }
        let mut who = all(&patterns.group, "%");
        who.extend(all(&patterns.user, ""));
        let mut actions = all(&patterns.action, "");
        actions.extend(all(&patterns.quoted, ""));
        let line = plain.get(..*start).map_or(0, |before| memchr::memchr_iter(b'\n', before.as_bytes()).count());
        let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1);
        let joined = |all: BTreeSet<String>| {
            if all.is_empty() { "ALL".to_owned() } else { all.into_iter().collect::<Vec<_>>().join(", ") }
        };
        out.push(SudoRule {
            by: "polkit".into(),
            who: joined(who),
            hosts: "ALL".to_owned(),
            runas: results.iter().cloned().collect::<Vec<_>>().join(", "),
            commands: joined(actions),
            nopasswd: results.contains("yes"),
            evidence: text.line(line),
            ..SudoRule::default()
        });
    }
}

/// Sections of `Identity`, `Action` and `ResultAny`, `ResultInactive`, `ResultActive`.
fn grants_of(text: &Text<'_>, out: &Out) {
    let ini = Ini::parse(&text.bytes);
    if let Some((line, what)) = ini.problems.first() {
        out.gap_line(text.entry, *line, what);
    }
    if ini.sections.len() > MAX {
        out.gap(text.entry, "budget: grants; the rest was not listed");
    }
    for section in ini.sections.iter().take(MAX) {
        let Some(identity) = section.entry("Identity") else { continue };
        let who: Vec<String> = identity
            .value
            .split(';')
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(|w| match w.split_once(':') {
                Some(("unix-group", group)) => format!("%{group}"),
                Some((_, name)) => name.to_owned(),
                None => w.to_owned(),
            })
            .collect();
        let results: Vec<&str> =
            ["ResultAny", "ResultInactive", "ResultActive"].iter().filter_map(|k| section.get(k)).collect();
        let actions: Vec<&str> =
            section.get("Action").unwrap_or_default().split(';').map(str::trim).filter(|a| !a.is_empty()).collect();
        out.push(SudoRule {
            by: "polkit".into(),
            who: who.join(", "),
            hosts: "ALL".to_owned(),
            runas: results.join(", "),
            commands: if actions.is_empty() { "ALL".to_owned() } else { actions.join(", ") },
            nopasswd: results.contains(&"yes"),
            evidence: text.line_at(identity.line, identity.run),
            ..SudoRule::default()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn rules_and_grants() {
        assert!(PATTERNS.is_some());
        let s = system(
            r#"/etc/polkit-1/rules.d/10-x.rules
    // polkit.addRule(function(a, s) { return polkit.Result.YES; });
    polkit.addRule(function(action, subject) {
        if ((action.id == "org.freedesktop.NetworkManager.network-control" ||
             action.id.indexOf("org.freedesktop.ModemManager1.") === 0) &&
            subject.isInGroup("netdev") && subject.user == "op") {
            return polkit.Result.YES;
        }
        return polkit.Result.NOT_HANDLED;
    });
    /* a comment
       polkit.addRule */
    polkit.addRule(function(action, subject) {
        return polkit.Result.AUTH_ADMIN;
    });
    polkit.addRule(function(action, subject) { polkit.log("seen"); });

/usr/share/polkit-1/rules.d/49-all.rules
    polkit.addRule(function(action, subject) { if (subject.isInGroup('wheel')) return "yes"; });

/var/lib/polkit-1/localauthority/50-local.d/modem.pkla
    [Modems]
    Identity=unix-group:dialout;unix-user:crane
    Action=org.freedesktop.ModemManager1.*;org.x
    ResultAny=no
    ResultActive=yes
"#,
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let told: Vec<String> = rows
            .iter()
            .map(|r| match r {
                Row::SudoRule(s) => {
                    format!(
                        "{} {} [{}] {} {}@{}",
                        s.by,
                        s.who,
                        s.commands,
                        s.runas,
                        s.nopasswd,
                        s.evidence.line.unwrap()
                    )
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            told,
            [
                "polkit %netdev, op [org.freedesktop.ModemManager1., org.freedesktop.NetworkManager.network-control] yes true@2",
                "polkit ALL [ALL] auth_admin false@12",
                "polkit %wheel [ALL] yes true@1",
                "polkit %dialout, crane [org.freedesktop.ModemManager1.*, org.x] no, yes true@2",
            ]
        );
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
