//! nftables rule files, includes followed. Format: nft(8).
use super::cite;
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{System, Text};
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
    let mut read = Seen::default();
    for entry in system
        .glob("/etc/nftables.conf")
        .into_iter()
        .chain(system.glob("/etc/sysconfig/nftables.conf"))
        .chain(system.glob("/etc/nftables/**"))
        .chain(system.glob("/etc/nftables.d/**"))
    {
        if let Some(text) = out.text(system, entry) {
            file(system, out, &text, &mut read, MAX_DEPTH);
        }
    }
}

#[derive(Default)]
struct Seen {
    files: BTreeSet<Vec<u8>>,
    includes: u32,
}
/// Includes in all.
const MAX_INCLUDES: u32 = 200;

fn file(system: &System, out: &Out, text: &Text<'_>, read: &mut Seen, depth: u32) {
    if !read.files.insert(text.entry.path.bytes().to_vec()) {
        return;
    }
    let Some(depth) = depth.checked_sub(1) else { return out.gap(text.entry, "budget: includes; not followed") };
    let mut at = Place::default();
    let mut rules = 0_usize;
    let mut pending: Option<Pending> = None;
    for line in bounded(text, out) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let body = line.text.split('#').next().unwrap_or_default().trim();
        if body.is_empty() {
            continue;
        }
        if let Some(path) = body.strip_prefix("include ") {
            read.includes = read.includes.saturating_add(1);
            if read.includes > MAX_INCLUDES {
                return out.gap_line(text.entry, line.number, "budget: includes; the rest was not read");
            }
            let path = path.trim().trim_matches(['"', '\'', ';']);
            let full = if path.starts_with('/') { path.to_owned() } else { format!("/etc/{path}") };
            for entry in system.glob(&full).into_iter().take(1000) {
                if let Some(next) = out.text(system, entry) {
                    file(system, out, &next, read, depth);
                }
            }
            continue;
        }
        // A statement may go on over lines: by a backslash, or inside the braces of a set. The braces
        // are counted first: to split the whole anew for each line would cost its square.
        let mut p = pending.take().unwrap_or(Pending {
            text: String::new(),
            number: line.number,
            run: line.run,
            open: 0,
            tries: 0,
        });
        if !p.text.is_empty() {
            p.text.push(' ');
        }
        p.text.push_str(body.strip_suffix('\\').unwrap_or(body));
        for c in body.chars() {
            match c {
                '{' => p.open = p.open.saturating_add(1),
                '}' => p.open = p.open.saturating_sub(1),
                _ => {}
            }
        }
        let room = p.text.len() < 1 << 16;
        if room && (body.ends_with('\\') || (p.tries > 0 && p.open > 0)) {
            pending = Some(p);
            continue;
        }
        let (parts, open) = statements(&p.text);
        if open > 0 && room && p.tries < 3 {
            pending = Some(Pending { open, tries: p.tries.saturating_add(1), ..p });
            continue;
        }
        let (number, run) = (p.number, p.run);
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

/// A statement that goes on.
struct Pending {
    text: String,
    number: u32,
    run: Run,
    /// Braces open.
    open: u32,
    tries: u32,
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
                    self.chain = Some((*name).to_owned());
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

/// Splits at `;` and around the braces of blocks; the braces of a set stay inside their rule. The
/// number is how many of those are still open at the end.
fn statements(line: &str) -> (Vec<String>, u32) {
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
    (out, inner)
}

pub(super) fn action(rule: &str) -> &'static str {
    if rule.starts_with("type ") || rule.starts_with("policy ") {
        return "policy";
    }
    let words: Vec<&str> = rule.split_whitespace().collect();
    ["masquerade", "dnat", "snat", "redirect", "accept", "drop", "reject", "queue", "tproxy", "jump", "goto", "return"]
        .into_iter()
        .find(|a| words.contains(a))
        .map_or("other", |a| if a == "redirect" { "dnat" } else { a })
}
