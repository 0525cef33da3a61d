//! Rules as iptables-save writes them, and ufw's files, which are made of the same lines.
//! Format: iptables-restore(8), ufw-framework(8).
use super::{cite, is_yes};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{System, Text};
use crate::format::lines::{unquote, words};
use crate::inventory::{FirewallRule, Setting};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.iptables",
    about: "Saved rules of iptables, ebtables and arptables, ufw's rules and whether ufw is switched on",
    os: Os::Linux,
    reads: &[
        "/etc/iptables/*",
        "/etc/iptables.*",
        "/etc/sysconfig/ip{,6}tables",
        "/var/lib/ip{,6}tables/*",
        "/etc/{eb,arp}tables*",
        "/etc/{eb,arp}tables/*",
        "/etc/sysconfig/{eb,arp}tables*",
        "/var/lib/{eb,arp}tables/*",
        "/etc/ufw/*.rules",
        "/{lib,var/lib}/ufw/user*.rules",
        "/etc/ufw/ufw.conf",
        "/etc/default/ufw",
    ],
    references: &["iptables-restore(8)", "ufw-framework(8)"],
    extract,
};

const MAX_RULES: usize = 20_000;

fn extract(system: &System, out: &Out) {
    out.each_text(
        system,
        &[
            "/etc/iptables/*",
            "/etc/iptables.*",
            "/etc/iptables",
            "/etc/sysconfig/ip{,6}tables",
            "/var/lib/ip{,6}tables/*",
        ],
        |text| rules(text, "iptables", out),
    );
    for (manager, patterns) in [
        ("ebtables", &["/etc/ebtables*", "/etc/ebtables/*", "/etc/sysconfig/ebtables*", "/var/lib/ebtables/*"][..]),
        ("arptables", &["/etc/arptables*", "/etc/arptables/*", "/etc/sysconfig/arptables*", "/var/lib/arptables/*"]),
    ] {
        out.each_text(system, patterns, |text| rules(text, manager, out));
    }
    out.each_text(system, &["/etc/ufw/*.rules", "/lib/ufw/user*.rules", "/var/lib/ufw/user*.rules"], |text| {
        rules(text, "ufw", out);
    });
    out.each_text(system, &["/etc/ufw/ufw.conf", "/etc/default/ufw"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim();
            let Some((key, value)) = body.split_once('=').filter(|_| !body.starts_with('#')) else { continue };
            if matches!(
                key,
                "ENABLED"
                    | "LOGLEVEL"
                    | "DEFAULT_INPUT_POLICY"
                    | "DEFAULT_OUTPUT_POLICY"
                    | "DEFAULT_FORWARD_POLICY"
                    | "IPV6"
            ) {
                let value = unquote(value);
                out.push(Setting {
                    program: "ufw".into(),
                    name: key.to_owned(),
                    value: value.to_owned(),
                    effective: true,
                    evidence: cite(text, line.number, line.run, key),
                    ..Setting::default()
                });
                if key == "ENABLED" && is_yes(value) {
                    // The switch that makes the rule files count.
                    out.push(FirewallRule {
                        manager: "ufw".into(),
                        rule: "ENABLED=yes".into(),
                        action: "policy".into(),
                        evidence: cite(text, line.number, line.run, key),
                        ..FirewallRule::default()
                    });
                }
            }
        }
    });
}

fn rules(text: &Text<'_>, manager: &str, out: &Out) {
    let mut table = String::new();
    let mut found = 0_usize;
    let six = text.entry.path.file_name().windows(1).any(|w| w == b"6");
    for line in bounded(text, out) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let body = line.text.trim();
        if let Some(name) = body.strip_prefix('*') {
            table = if six { format!("{name} (ip6)") } else { name.to_owned() };
            continue;
        }
        if table.is_empty() || body.is_empty() || body.starts_with('#') || body == "COMMIT" {
            if body == "COMMIT" {
                table.clear();
            }
            continue;
        }
        let (chain, action) = if let Some(policy) = body.strip_prefix(':') {
            let mut w = policy.split_whitespace();
            (w.next().unwrap_or_default().to_owned(), "policy")
        } else {
            let w = words(body);
            let at = w.iter().position(|x| matches!(x.as_str(), "-A" | "-I" | "--append" | "--insert"));
            let Some(chain) = at.and_then(|a| w.get(a.saturating_add(1))) else {
                out.gap_line(text.entry, line.number, "neither a chain nor a rule");
                continue;
            };
            let target = w
                .iter()
                .position(|x| matches!(x.as_str(), "-j" | "--jump" | "-g" | "--goto"))
                .and_then(|t| w.get(t.saturating_add(1)));
            (chain.clone(), target.map_or("other", |t| action(t)))
        };
        found = found.saturating_add(1);
        if found > MAX_RULES {
            return out.gap_line(text.entry, line.number, "budget: rules; the rest was not listed");
        }
        out.push(FirewallRule {
            manager: manager.into(),
            table: table.clone(),
            chain,
            rule: body.to_owned(),
            action: action.into(),
            evidence: cite(text, line.number, line.run, &table),
            ..FirewallRule::default()
        });
    }
}

pub(super) fn action(target: &str) -> &'static str {
    match target {
        "ACCEPT" => "accept",
        "DROP" => "drop",
        "REJECT" => "reject",
        "MASQUERADE" => "masquerade",
        "DNAT" | "REDIRECT" | "TPROXY" => "dnat",
        "SNAT" | "NETMAP" => "snat",
        "LOG" | "NFLOG" | "ULOG" => "log",
        "RETURN" => "return",
        "MARK" | "CONNMARK" | "TCPMSS" | "CT" | "NOTRACK" | "CLASSIFY" => "mark",
        _ => "jump",
    }
}
