//! How a system is set up to reach out and to be reached: interfaces, connections, tunnels, names,
//! packet filters, listening servers. One file per artifact.
//!
//! What a configuration says of itself stands in `enabled`; what only a unit, a task or a script could
//! start is said so in `enabled_by`, and the judge joins those by the file, peer or connection they name.
pub(crate) mod bluetooth;
pub(crate) mod cellular;
mod chat;
mod commands;
pub(crate) mod distributions;
pub(crate) mod endpoints;
pub(crate) mod firewalld;
pub(crate) mod front_ends;
pub(crate) mod ifupdown;
pub(crate) mod ipsec;
pub(crate) mod iptables;
pub(crate) mod key_sets;
pub(crate) mod leases;
pub(crate) mod listeners;
pub(crate) mod names;
pub(crate) mod netplan;
pub(crate) mod network_manager;
pub(crate) mod networkd;
pub(crate) mod nftables;
pub(crate) mod openvpn;
pub(crate) mod overlays;
pub(crate) mod ppp;
pub(crate) mod remote_control;
pub(crate) mod scripts;
pub(crate) mod tunnels;
pub(crate) mod uci;
pub(crate) mod wifi;

use crate::artifact::Out;
use crate::base::{Evidence, Run};
use crate::evidence::Text;
use crate::format::ini::Ini;
use crate::format::lines::{Line, decode, lines};

/// Said of what only a unit, task or script can start.
pub(super) const BY_UNIT: &str = "nothing in this file: needs a unit, task or script that names it";

/// Longest excerpt.
const EXCERPT: usize = 300;

/// One line as evidence, under the name of the setting it holds.
pub(super) fn cite(text: &Text<'_>, line: u32, run: Run, key: &str) -> Evidence {
    if line == 0 {
        return Evidence { key: named(key), ..text.evidence() };
    }
    let shown = excerpt(&line_text(text, run));
    Evidence { key: named(key), excerpt: Some(shown), ..text.line_at(line, run) }
}

/// As [`cite`], with what is shown of the line.
pub(super) fn cite_as(text: &Text<'_>, line: u32, run: Run, key: &str, shown: &str) -> Evidence {
    Evidence { key: named(key), excerpt: Some(excerpt(shown)), ..text.place(line, run) }
}

fn named(key: &str) -> Option<String> {
    (!key.is_empty()).then(|| key.to_owned())
}

/// The text of a run, as much of it as an excerpt may need.
fn line_text(text: &Text<'_>, run: Run) -> String {
    let start = usize::try_from(run.offset).unwrap_or(usize::MAX);
    let len = usize::try_from(run.len).unwrap_or(0).min(4096);
    decode(text.bytes.get(start..start.saturating_add(len)).unwrap_or_default()).into_owned()
}

fn excerpt(line: &str) -> String {
    line.trim_end().chars().take(EXCERPT).collect()
}

/// Reads an INI-like file; lines that fit nothing become gaps.
pub(super) fn ini(text: &Text<'_>, out: &Out) -> Ini {
    let ini = Ini::parse(&text.bytes);
    problems(text, out, &ini.problems);
    ini
}

/// Records lines that were not understood: the first few each, the rest as a number.
pub(super) fn problems(text: &Text<'_>, out: &Out, problems: &[(u32, String)]) {
    const SHOWN: usize = 5;
    for (line, what) in problems.iter().take(SHOWN) {
        out.gap_line(text.entry, *line, what);
    }
    if let Some((line, _)) = problems.get(SHOWN) {
        let more = problems.len().saturating_sub(SHOWN);
        out.gap_line(text.entry, *line, format!("{more} more lines from here on were not understood"));
    }
}

/// No configuration has more lines; the rest of a longer text is not read, and a gap says so.
const MAX_LINES: usize = 100_000;

/// The lines of a text, as many of them as a configuration may have.
pub(super) fn bounded<'t>(text: &'t Text<'_>, out: &'t Out) -> impl Iterator<Item = Line<'t>> {
    lines(&text.bytes).enumerate().map_while(|(index, line)| {
        if index >= MAX_LINES {
            out.gap_line(text.entry, line.number, "budget: lines; the rest was not read");
            return None;
        }
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        Some(line)
    })
}

/// Splits a list at commas, semicolons and blanks.
pub(super) fn list(value: &str) -> Vec<String> {
    value.split([',', ';', ' ', '\t']).map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned).collect()
}

/// Words that switch something on.
pub(super) fn is_yes(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "yes" | "true" | "1" | "on" | "y" | "enable" | "enabled")
}

/// Words that switch something off.
pub(super) fn is_no(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "no" | "false" | "0" | "off" | "n" | "disable" | "disabled")
}

/// Adds a name to a list that should hold it once; a list that grows beyond reason ends in `… and more`.
pub(super) fn once(list: &mut Vec<String>, name: &str) {
    const MOST: usize = 500;
    if list.len() < MOST && !list.iter().any(|l| l == name) {
        list.push(if list.len().saturating_add(1) == MOST { "… and more".to_owned() } else { name.to_owned() });
    }
}

/// Names of the interfaces a kind can be told from.
pub(super) fn kind_of_interface(name: &str) -> &'static str {
    const PREFIXES: &[(&str, &str)] = &[
        ("ppp", "ppp"),
        ("wwan", "wwan"),
        ("wwp", "wwan"),
        ("wwx", "wwan"),
        ("rmnet", "wwan"),
        ("mhi_hwip", "wwan"),
        ("ccmni", "wwan"),
        ("wlan", "wifi"),
        ("wlp", "wifi"),
        ("wlx", "wifi"),
        ("ath", "wifi"),
        ("tun", "tunnel"),
        ("tap", "tunnel"),
        ("wg", "tunnel"),
        ("gre", "tunnel"),
        ("sit", "tunnel"),
        ("br-", "bridge"),
        ("bond", "bond"),
        ("vlan", "vlan"),
    ];
    if name == "lo" {
        return "loopback";
    }
    if let Some((_, kind)) = PREFIXES.iter().find(|(p, _)| name.starts_with(p)) {
        return kind;
    }
    if name.strip_prefix("br").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()) && !n.is_empty()) {
        return "bridge";
    }
    if name.rsplit_once('.').is_some_and(|(_, id)| !id.is_empty() && id.chars().all(|c| c.is_ascii_digit())) {
        return "vlan";
    }
    "ethernet"
}

#[cfg(test)]
mod tests;
