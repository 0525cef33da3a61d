//! Front ends of packet filters with languages of their own: Shorewall and ferm.
//! Formats: shorewall-rules(5), shorewall-policy(5), shorewall-snat(5), shorewall-masq(5), ferm(1).
use super::{bounded, cite};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::format::lines::decode;
use crate::inventory::FirewallRule;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.filter-front-ends",
    about: "Rules, policies and address translation of Shorewall and ferm",
    os: Os::Linux,
    reads: &["/etc/shorewall{,6}/*", "/etc/ferm/**"],
    references: &["shorewall-rules(5)", "shorewall-snat(5)", "ferm(1)"],
    extract,
};

const MAX_RULES: usize = 20_000;
const MAX_DEPTH: u32 = 8;
const MAX_FILES: usize = 200;

fn extract(system: &System, out: &Out) {
    out.each_text(system, &["/etc/shorewall/*", "/etc/shorewall6/*"], |text| shorewall(text, out));
    let mut seen = BTreeSet::new();
    if let Some(text) = system.resolve("/etc/ferm/ferm.conf").and_then(|e| out.text(system, e)) {
        ferm(system, &text, &mut seen, MAX_DEPTH, out);
    }
}

/// Columns parted by blanks; the file's name says of what. A backslash joins lines.
fn shorewall(text: &Text<'_>, out: &Out) {
    let file = decode(text.entry.path.file_name()).into_owned();
    if !matches!(
        file.as_str(),
        "rules"
            | "policy"
            | "masq"
            | "snat"
            | "nat"
            | "netmap"
            | "interfaces"
            | "tunnels"
            | "zones"
            | "stoppedrules"
            | "blrules"
            | "tcrules"
            | "mangle"
            | "providers"
    ) {
        return;
    }
    let mut rows = 0_usize;
    let mut joined = String::new();
    let mut from: Option<(u32, Run)> = None;
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default().trim();
        let at = *from.get_or_insert((line.number, line.run));
        if let Some(part) = body.strip_suffix('\\').filter(|_| joined.len() < 1 << 16) {
            joined.push_str(part);
            continue;
        }
        joined.push_str(body);
        let whole = std::mem::take(&mut joined);
        from = None;
        let w: Vec<&str> = whole.split_whitespace().collect();
        // `?SECTION NEW`, `?FORMAT 2`, `SECTION NEW`
        if w.is_empty() || whole.starts_with('?') || w.first() == Some(&"SECTION") {
            continue;
        }
        rows = rows.saturating_add(1);
        if rows > MAX_RULES {
            return out.gap_line(text.entry, line.number, "budget: rules; the rest was not listed");
        }
        let verb = match file.as_str() {
            "policy" => w.get(2).copied(),
            _ => w.first().copied(),
        };
        // `DNAT(LOG)`, `ACCEPT:info`, `SSH(ACCEPT)`, `SNAT(10.0.0.1)`
        let verb = verb.unwrap_or_default().to_ascii_uppercase();
        let has = |word: &str| verb.split(|c: char| !c.is_ascii_alphabetic()).any(|part| part == word);
        let action = match file.as_str() {
            "masq" => "masquerade",
            "snat" if has("MASQUERADE") => "masquerade",
            "snat" | "nat" | "netmap" => "snat",
            "policy" => "policy",
            "rules" | "stoppedrules" | "blrules" if has("DNAT") || has("REDIRECT") => "dnat",
            "rules" | "stoppedrules" | "blrules" if has("ACCEPT") => "accept",
            "rules" | "stoppedrules" | "blrules" if has("DROP") => "drop",
            "rules" | "stoppedrules" | "blrules" if has("REJECT") => "reject",
            _ => "other",
        };
        out.push(FirewallRule {
            manager: "shorewall".into(),
            table: if text.entry.path.bytes().starts_with(b"/etc/shorewall6/") { "ip6".into() } else { String::new() },
            chain: file.clone(),
            rule: w.join(" "),
            action: action.into(),
            evidence: cite(text, at.0, at.1, &file),
            ..FirewallRule::default()
        });
    }
}

/// Blocks within blocks: a statement is what stands before its `;` and before the `{` of every block around it.
fn ferm(system: &System, text: &Text<'_>, seen: &mut BTreeSet<Vec<u8>>, depth: u32, out: &Out) {
    if !seen.insert(text.entry.path.bytes().to_vec()) {
        return out.gap(text.entry, "included more than once; read once");
    }
    let Some(depth) = depth.checked_sub(1).filter(|_| seen.len() <= MAX_FILES) else {
        return out.gap(text.entry, "budget: includes; not followed");
    };
    let mut around: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut rows = 0_usize;
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default();
        for c in body.chars() {
            match c {
                '{' => {
                    if around.len() >= 64 {
                        return out.gap_line(text.entry, line.number, "budget: depth; the rest was not read");
                    }
                    around.push(std::mem::take(&mut part).trim().to_owned());
                }
                '}' => {
                    part.clear();
                    around.pop();
                }
                ';' => {
                    let statement = std::mem::take(&mut part).trim().to_owned();
                    if let Some(path) = statement.strip_prefix("@include ") {
                        include(system, text, path, seen, depth, out);
                    } else if !statement.is_empty() && !statement.starts_with("@def") {
                        rows = rows.saturating_add(1);
                        if rows > MAX_RULES {
                            return out.gap_line(text.entry, line.number, "budget: rules; the rest was not listed");
                        }
                        rule(text, &around, &statement, (line.number, line.run), out);
                    }
                }
                c if part.len() < 1 << 16 => part.push(c),
                _ => {}
            }
        }
        part.push(' ');
    }
    if !around.is_empty() {
        out.gap(text.entry, "a block is not closed");
    }
}

fn include(system: &System, text: &Text<'_>, path: &str, seen: &mut BTreeSet<Vec<u8>>, depth: u32, out: &Out) {
    let path = path.trim().trim_matches(['"', '\'']);
    let full = if path.starts_with('/') { path.to_owned() } else { format!("/etc/ferm/{path}") };
    // A folder stands for what lies in it.
    let pattern = if full.ends_with('/') { format!("{full}*") } else { full };
    if pattern.ends_with('|') {
        return out.gap(text.entry, "a program gives further rules; it cannot be asked");
    }
    for entry in system.glob(&pattern).into_iter().take(MAX_FILES) {
        if let Some(next) = out.text(system, entry) {
            ferm(system, &next, seen, depth, out);
        }
    }
}

fn rule(text: &Text<'_>, around: &[String], statement: &str, at: (u32, Run), out: &Out) {
    let whole =
        around.iter().map(String::as_str).chain([statement]).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ");
    let w: Vec<&str> = whole.split_whitespace().collect();
    let after = |key: &str| w.iter().position(|x| *x == key).and_then(|at| w.get(at.saturating_add(1))).copied();
    let action = if w.contains(&"policy") {
        "policy"
    } else {
        w.iter()
            .rev()
            .find_map(|x| match *x {
                "ACCEPT" => Some("accept"),
                "DROP" => Some("drop"),
                "REJECT" => Some("reject"),
                "MASQUERADE" => Some("masquerade"),
                "DNAT" | "REDIRECT" => Some("dnat"),
                "SNAT" => Some("snat"),
                "RETURN" => Some("return"),
                "LOG" => Some("log"),
                _ => None,
            })
            .unwrap_or("other")
    };
    out.push(FirewallRule {
        manager: "ferm".into(),
        table: after("table").unwrap_or("filter").to_owned(),
        chain: after("chain").unwrap_or_default().to_owned(),
        rule: whole.chars().take(2000).collect(),
        action: action.into(),
        evidence: cite(text, at.0, at.1, "rule"),
        ..FirewallRule::default()
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn shorewall_and_ferm() {
        let (inv, gaps) = run(
            "
/etc/shorewall/rules
    ?SECTION NEW
    #ACTION SOURCE DEST PROTO DPORT
    SSH(ACCEPT) net $FW
    DNAT net loc:10.0.0.9:502 tcp 10502

/etc/shorewall/policy
    loc net ACCEPT
    net all DROP info

/etc/shorewall/snat
    MASQUERADE 10.0.0.0/8 \\
      ppp0

/etc/ferm/ferm.conf
    @def $DEV = eth0;
    table filter {
        chain INPUT {
            policy DROP; # default
            proto tcp dport ssh ACCEPT;
        }
    }
    @include 'more/';

/etc/ferm/more/nat
    table nat chain POSTROUTING outerface wwan0 MASQUERADE;
    @include '/etc/ferm/ferm.conf';
",
            &[&ARTIFACT],
        );
        let shown: Vec<String> = inv
            .firewall
            .iter()
            .map(|f| format!("{}|{}|{}|{}|{}", f.manager, f.table, f.chain, f.rule, f.action))
            .collect();
        assert_eq!(
            shown,
            [
                "ferm|filter|INPUT|table filter chain INPUT policy DROP|policy",
                "ferm|filter|INPUT|table filter chain INPUT proto tcp dport ssh ACCEPT|accept",
                "ferm|nat|POSTROUTING|table nat chain POSTROUTING outerface wwan0 MASQUERADE|masquerade",
                "shorewall||policy|loc net ACCEPT|policy",
                "shorewall||policy|net all DROP info|policy",
                "shorewall||rules|DNAT net loc:10.0.0.9:502 tcp 10502|dnat",
                "shorewall||rules|SSH(ACCEPT) net $FW|accept",
                "shorewall||snat|MASQUERADE 10.0.0.0/8 ppp0|masquerade",
            ]
        );
        // The include that leads back.
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps.iter().all(|g| g.what.contains("included more than once")), "{gaps:?}");
    }
}
