//! firewalld: zones, policies and direct rules (XML). Format: firewalld.zone(5), firewalld.direct(5).
use super::cite;
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{System, Text};
use crate::format::lines::decode;
use crate::format::tags::{Tag, tags};
use crate::inventory::{FirewallRule, Setting};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.firewalld",
    about: "firewalld's zones as changed on this machine, policies, direct rules and default zone",
    os: Os::Linux,
    reads: &[
        "/etc/firewalld/zones/*.xml",
        "/etc/firewalld/policies/*.xml",
        "/etc/firewalld/direct.xml",
        "/etc/firewalld/firewalld.conf",
    ],
    references: &["firewalld.zone(5)", "firewalld.policy(5)", "firewalld.direct(5)", "firewalld.conf(5)"],
    extract,
};

fn extract(system: &System, out: &Out) {
    out.each_text(system, &["/etc/firewalld/firewalld.conf"], |text| {
        for line in bounded(text, out) {
            if let Some((key @ ("DefaultZone" | "FirewallBackend" | "Lockdown"), value)) =
                line.text.trim().split_once('=')
            {
                out.push(Setting {
                    program: "firewalld".into(),
                    name: key.to_owned(),
                    value: value.to_owned(),
                    effective: true,
                    evidence: cite(text, line.number, line.run, key),
                    ..Setting::default()
                });
            }
        }
    });
    out.each_text(
        system,
        &["/etc/firewalld/zones/*.xml", "/etc/firewalld/policies/*.xml", "/etc/firewalld/direct.xml"],
        |text| zone(text, out),
    );
}

fn zone(text: &Text<'_>, out: &Out) {
    let file = decode(text.entry.path.file_name()).into_owned();
    let name = file.trim_end_matches(".xml").to_owned();
    let (found, cut) = tags(&text.bytes);
    if cut {
        out.gap(text.entry, "budget: elements; the rest was not read");
    }
    let push = |tag: &Tag, rule: String, action: &str| {
        out.push(FirewallRule {
            manager: "firewalld".into(),
            table: tag.get("table").unwrap_or_default().to_owned(),
            chain: tag.get("chain").map_or_else(|| name.clone(), str::to_owned),
            rule,
            action: action.into(),
            evidence: cite(text, tag.line, tag.run, &tag.name),
            ..FirewallRule::default()
        });
    };
    // A rich rule is told as a whole, with what stands inside it.
    let mut rich: Option<(Tag, Vec<String>)> = None;
    for tag in found {
        let attributes: Vec<String> = tag.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let shown = format!("{} {}", tag.name, attributes.join(" ")).trim().to_owned();
        if let Some((head, parts)) = &mut rich {
            if tag.closes && tag.name == "rule" {
                let action = parts
                    .iter()
                    .find_map(|p| {
                        ["accept", "drop", "reject", "masquerade", "forward-port"]
                            .into_iter()
                            .find(|a| p.starts_with(a))
                    })
                    .unwrap_or("other");
                push(head, format!("rule {}", parts.join(" ")), if action == "forward-port" { "dnat" } else { action });
                rich = None;
            } else if !tag.closes && parts.len() < 50 {
                parts.push(shown);
            }
            continue;
        }
        if tag.closes {
            // The text of a direct rule stands before its end; it is in the opening tag's line.
            continue;
        }
        match tag.name.as_str() {
            "zone" | "policy" => push(&tag, shown, "policy"),
            "rule" if name != "direct" => rich = Some((tag, Vec::new())),
            "rule" | "passthrough" => {
                let body = tag.text.trim();
                let action = ["ACCEPT", "DROP", "REJECT", "MASQUERADE", "DNAT", "SNAT"]
                    .into_iter()
                    .find(|a| body.contains(a))
                    .map_or_else(|| "other".into(), str::to_ascii_lowercase);
                push(&tag, format!("{shown} {body}"), &action);
            }
            "masquerade" => push(&tag, shown, "masquerade"),
            "forward-port" => push(&tag, shown, "dnat"),
            "forward" => push(&tag, shown, "forward"),
            "service" | "port" | "source-port" | "protocol" | "interface" | "source" => push(&tag, shown, "accept"),
            _ => {}
        }
    }
}
