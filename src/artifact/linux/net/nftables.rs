//! nftables rule files, includes followed. Format: nft(8).
use super::cite;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::format::lines::lines;
use crate::inventory::FirewallRule;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.nftables",
    about: "nftables chains and rules as written",
    os: Os::Linux,
    reads: &["/etc/nftables.conf", "/etc/nftables/**", "/etc/nftables.d/**", "/etc/sysconfig/nftables.conf"],
    references: &["nft(8)"],
    extract,
};

const MAX_DEPTH: u32 = 8;
/// Rules beyond this in one file are counted, not listed.
const MAX_RULES: usize = 20_000;

fn extract(system: &System, out: &Out) {
    let mut read = BTreeSet::new();
    for entry in system
        .glob("/etc/nftables.conf")
        .into_iter()
        .chain(system.glob("/etc/sysconfig/nftables.conf"))
        .chain(system.glob("/etc/nftables/**"))
        .chain(system.glob("/etc/nftables.d/**"))
    {
        if let Some(text) = out.read(system, entry) {
            file(system, out, &text, &mut read, MAX_DEPTH);
        }
    }
}

fn file(system: &System, out: &Out, text: &Text<'_>, read: &mut BTreeSet<Vec<u8>>, depth: u32) {
    if !read.insert(text.entry.path.bytes().to_vec()) {
        return;
    }
    let Some(depth) = depth.checked_sub(1) else { return out.gap(text.entry, "budget: includes; not followed") };
    let mut at = Place::default();
    let mut rules = 0_usize;
    let mut pending: Option<(String, u32, Run)> = None;
    for line in lines(&text.bytes) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let body = line.text.split('#').next().unwrap_or_default().trim();
        if body.is_empty() {
            continue;
        }
        if let Some(path) = body.strip_prefix("include ") {
            let path = path.trim().trim_matches(['"', '\'', ';']);
            let full = if path.starts_with('/') { path.to_owned() } else { format!("/etc/{path}") };
            for entry in system.glob(&full).into_iter().take(1000) {
                if let Some(next) = out.read(system, entry) {
                    file(system, out, &next, read, depth);
                }
            }
            continue;
        }
        // A statement may go on over lines: by a backslash, or inside the braces of a set.
        let (mut whole, number, run) = pending.take().unwrap_or((String::new(), line.number, line.run));
        if !whole.is_empty() {
            whole.push(' ');
        }
        if let Some(part) = body.strip_suffix('\\') {
            whole.push_str(part);
            pending = Some((whole, number, run));
            continue;
        }
        whole.push_str(body);
        let (parts, open) = statements(&whole);
        if open && whole.len() < 1 << 16 {
            pending = Some((whole, number, run));
            continue;
        }
        for part in parts {
            match at.take(&part) {
                Found::Nothing => {}
                Found::Rule(rule) => {
                    rules = rules.saturating_add(1);
                    if rules > MAX_RULES {
                        return out.gap_line(text.entry, number, "budget: rules; the rest was not listed");
                    }
                    out.push(FirewallRule {
                        manager: "nftables".into(),
                        table: at.table.clone(),
                        chain: at.chain.clone().unwrap_or_default(),
                        action: action(&rule).into(),
                        rule,
                        evidence: cite(
                            text,
                            number,
                            run,
                            &format!("{} {}", at.table, at.chain.as_deref().unwrap_or_default()),
                        ),
                        ..FirewallRule::default()
                    });
                }
            }
        }
    }
    if at.depth != 0 {
        out.gap(text.entry, "a table or chain is not closed");
    }
}

#[derive(Default)]
struct Place {
    table: String,
    chain: Option<String>,
    depth: u32,
    /// Depth at which a set, map or other block began that holds no rules.
    skip: Option<u32>,
}
enum Found {
    Nothing,
    Rule(String),
}
impl Place {
    fn take(&mut self, part: &str) -> Found {
        if part == "}" {
            self.depth = self.depth.saturating_sub(1);
            if self.skip.is_some_and(|s| self.depth <= s) {
                self.skip = None;
            }
            match self.depth {
                0 => self.table.clear(),
                1 => self.chain = None,
                _ => {}
            }
            return Found::Nothing;
        }
        if let Some(head) = part.strip_suffix('{') {
            let w: Vec<&str> = head.split_whitespace().collect();
            match w.as_slice() {
                ["table", rest @ ..] | ["add", "table", rest @ ..] if self.depth == 0 => self.table = rest.join(" "),
                ["chain", name, ..] | ["add", "chain", .., name] if self.depth <= 1 => {
                    self.chain = Some((*name).to_owned())
                }
                _ if self.skip.is_none() => self.skip = Some(self.depth),
                _ => {}
            }
            self.depth = self.depth.saturating_add(1);
            return Found::Nothing;
        }
        if self.skip.is_some() {
            return Found::Nothing;
        }
        // Rules by command: `add rule inet filter input …`.
        if self.depth == 0 {
            let w: Vec<&str> = part.split_whitespace().collect();
            let verb = usize::from(matches!(w.first(), Some(&("add" | "insert"))));
            let rest = if w.get(verb) == Some(&"rule") {
                w.get(verb.saturating_add(1)..).unwrap_or_default()
            } else {
                return Found::Nothing;
            };
            let family =
                usize::from(matches!(rest.first(), Some(&("ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev"))));
            self.table = rest.get(..=family).unwrap_or_default().join(" ");
            self.chain = rest.get(family.saturating_add(1)).map(|c| (*c).to_owned());
            return Found::Rule(rest.get(family.saturating_add(2)..).unwrap_or_default().join(" "));
        }
        if self.chain.is_some() { Found::Rule(part.to_owned()) } else { Found::Nothing }
    }
}

/// Splits at `;` and around the braces of blocks; the braces of a set stay inside their rule. `true` if
/// such a set is still open at the end.
fn statements(line: &str) -> (Vec<String>, bool) {
    let mut out = Vec::new();
    let mut part = String::new();
    let mut quote = false;
    let mut inner = 0_u32;
    for c in line.chars() {
        match c {
            '"' => {
                quote = !quote;
                part.push(c);
            }
            '{' if !quote => {
                let head = part.trim();
                let block = inner == 0
                    && [
                        "table",
                        "chain",
                        "add table",
                        "add chain",
                        "set",
                        "map",
                        "flowtable",
                        "counter ",
                        "quota ",
                        "limit ",
                    ]
                    .iter()
                    .any(|k| head == k.trim() || head.starts_with(&format!("{} ", k.trim())))
                    && !head.contains('@')
                    && !head.contains("saddr")
                    && !head.contains("dport");
                if block {
                    out.push(format!("{head} {{"));
                    part.clear();
                } else {
                    inner = inner.saturating_add(1);
                    part.push(c);
                }
            }
            '}' if !quote => {
                if inner > 0 {
                    inner = inner.saturating_sub(1);
                    part.push(c);
                } else {
                    out.push(std::mem::take(&mut part).trim().to_owned());
                    out.push("}".into());
                }
            }
            ';' if !quote && inner == 0 => out.push(std::mem::take(&mut part).trim().to_owned()),
            c => part.push(c),
        }
    }
    out.push(part.trim().to_owned());
    out.retain(|p| !p.is_empty());
    (out, inner > 0)
}

fn action(rule: &str) -> &'static str {
    if rule.starts_with("type ") || rule.starts_with("policy ") {
        return "policy";
    }
    let words: Vec<&str> = rule.split_whitespace().collect();
    ["masquerade", "dnat", "snat", "redirect", "accept", "drop", "reject", "queue", "tproxy", "jump", "goto", "return"]
        .into_iter()
        .find(|a| words.contains(a))
        .map_or("other", |a| if a == "redirect" { "dnat" } else { a })
}
