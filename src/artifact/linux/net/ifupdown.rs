//! ifupdown: `/etc/network/interfaces` and what it includes. Format: interfaces(5), with the options of
//! ppp, wireless-tools, wpasupplicant, bridge-utils, vlan and resolvconf.
use super::{cite, is_yes, kind_of_interface, list, once, ppp};
use crate::artifact::linux::net::bounded;
use crate::artifact::linux::starts::Way;
use crate::artifact::{Artifact, Os, Out};
use crate::base::secret::is_secret;
use crate::base::{Evidence, Run};
use crate::evidence::{System, Text};
use crate::inventory::{Connection, Interface, NameSetting, Route};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.ifupdown",
    about: "Interfaces, dial-up, wireless, bridges and commands of ifupdown",
    os: Os::Linux,
    reads: &["/etc/network/interfaces", "/etc/network/interfaces.d/*"],
    references: &["interfaces(5)"],
    extract,
};

/// Includes deeper than this are a loop.
const MAX_DEPTH: u32 = 8;
/// Includes in all.
const MAX_INCLUDES: u32 = 200;
/// No machine has more stanzas.
const MAX_STANZAS: usize = 2000;

struct Opt {
    key: String,
    value: String,
    evidence: Evidence,
}
struct Stanza {
    name: String,
    family: String,
    method: String,
    evidence: Evidence,
    options: Vec<Opt>,
}
impl Stanza {
    fn get(&self, key: &str) -> Option<&Opt> {
        self.options.iter().find(|o| o.key == key)
    }
    fn value(&self, keys: &[&str]) -> String {
        keys.iter().find_map(|k| self.get(k)).map(|o| o.value.clone()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Found {
    stanzas: Vec<Stanza>,
    /// Interface → what brings it up.
    auto: BTreeMap<String, Vec<String>>,
    read: BTreeSet<Vec<u8>>,
    includes: u32,
}

fn extract(system: &System, out: &Out) {
    let mut found = Found::default();
    if let Some(text) = system.resolve("/etc/network/interfaces").and_then(|e| out.read(system, e)) {
        file(system, out, &text, &mut found, MAX_DEPTH);
    }
    rows(system, out, &found);
}

fn file(system: &System, out: &Out, text: &Text<'_>, found: &mut Found, depth: u32) {
    let Some(depth) = depth.checked_sub(1) else {
        return out.gap(text.entry, "budget: includes; not followed");
    };
    if !found.read.insert(text.entry.path.bytes().to_vec()) {
        return out.gap(text.entry, "included more than once; read once");
    }
    let mut stray = Vec::new();
    let mut open = false;
    let mut joined = String::new();
    let mut from: Option<(u32, Run)> = None;
    for line in bounded(text, out) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let body = line.text.trim();
        if joined.is_empty() && (body.is_empty() || body.starts_with('#')) {
            continue;
        }
        let (number, run) = *from.get_or_insert((line.number, line.run));
        if let Some(part) = body.strip_suffix('\\')
            && joined.len() < 1 << 16
        {
            joined.push_str(part);
            joined.push(' ');
            continue;
        }
        joined.push_str(body);
        let whole = std::mem::take(&mut joined);
        from = None;
        let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let rest = rest.trim();
        match word {
            "source" | "source-directory" | "source-dir" => {
                open = false;
                found.includes = found.includes.saturating_add(1);
                if found.includes > MAX_INCLUDES {
                    return out.gap_line(text.entry, number, "budget: includes; the rest was not read");
                }
                let pattern = match (rest.starts_with('/'), word) {
                    (true, "source") => rest.to_owned(),
                    (true, _) => format!("{}/*", rest.trim_end_matches('/')),
                    (false, "source") => format!("/etc/network/{rest}"),
                    (false, _) => format!("/etc/network/{}/*", rest.trim_end_matches('/')),
                };
                for entry in system.glob(&pattern).into_iter().take(1000) {
                    // Only names of letters, digits, underscores and hyphens count in a directory.
                    let plain =
                        entry.path.file_name().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
                    if (word == "source" || plain)
                        && let Some(next) = out.read(system, entry)
                    {
                        file(system, out, &next, found, depth);
                    }
                }
            }
            "auto" => {
                open = false;
                rest.split_whitespace().for_each(|n| once(found.auto.entry(n.to_owned()).or_default(), "auto"));
            }
            _ if word.starts_with("allow-") => {
                open = false;
                rest.split_whitespace().for_each(|n| once(found.auto.entry(n.to_owned()).or_default(), word));
            }
            "iface" => {
                let mut w = rest.split_whitespace().map(str::to_owned);
                if found.stanzas.len() >= MAX_STANZAS {
                    return out.gap_line(text.entry, number, "budget: stanzas; the rest was not read");
                }
                open = true;
                found.stanzas.push(Stanza {
                    name: w.next().unwrap_or_default(),
                    family: w.next().unwrap_or_default(),
                    method: w.next().unwrap_or_default(),
                    evidence: cite(text, number, run, "iface"),
                    options: Vec::new(),
                });
            }
            "mapping" | "rename" | "template" | "no-auto-down" | "no-scripts" => open = false,
            key => match found.stanzas.last_mut().filter(|_| open) {
                Some(stanza) if stanza.options.len() < 1000 => stanza.options.push(Opt {
                    key: key.to_owned(),
                    value: rest.to_owned(),
                    evidence: cite(text, number, run, &format!("{}.{key}", stanza.name)),
                }),
                Some(_) => {}
                None if word == "script" || word == "map" => {}
                None => stray.push((number, "belongs to no interface".to_owned())),
            },
        }
    }
    super::problems(text, out, &stray);
}

const COMMANDS: &[&str] = &["pre-up", "up", "post-up", "down", "pre-down", "post-down"];

fn rows(system: &System, out: &Out, found: &Found) {
    let shared = ppp::Shared::new(system, out);
    let mut interfaces: BTreeMap<&str, Interface> = BTreeMap::new();
    for s in &found.stanzas {
        let bring = found.auto.get(&s.name).cloned().unwrap_or_default();
        let i = interfaces.entry(&s.name).or_insert_with(|| Interface {
            name: s.name.clone(),
            manager: "ifupdown".into(),
            kind: kind(s).into(),
            auto: !bring.is_empty(),
            details: bring.clone(),
            evidence: s.evidence.clone(),
            ..Interface::default()
        });
        let method = if s.family == "inet6" { format!("inet6 {}", s.method) } else { s.method.clone() };
        i.method = if i.method.is_empty() { method } else { format!("{}, {method}", i.method) };
        for o in &s.options {
            match o.key.as_str() {
                "address" => once(&mut i.addresses, &with_mask(&o.value, &s.value(&["netmask"]))),
                "gateway" => once(&mut i.gateway, &o.value),
                "hwaddress" => o.value.trim_start_matches("ether ").clone_into(&mut i.mac),
                "netmask" => {}
                "dns-nameservers" | "dns-nameserver" | "dns-search" | "dns-domain" => {
                    for value in list(&o.value) {
                        out.push(NameSetting {
                            kind: if o.key.starts_with("dns-name") { "nameserver".into() } else { "search".into() },
                            value,
                            scope: s.name.clone(),
                            evidence: o.evidence.clone(),
                            ..NameSetting::default()
                        });
                    }
                }
                key => i.details.push(format!("{key}={}", o.value)),
            }
            if COMMANDS.contains(&o.key.as_str()) {
                let way = Way::root("ifupdown", "network").only(!bring.is_empty(), "nothing brings the interface up");
                out.push(way.shell(system, &s.name, &o.key, &o.value, o.evidence.clone()));
            }
            if COMMANDS.contains(&o.key.as_str()) && !o.key.contains("down") {
                route(&o.value, &s.name, &o.evidence, out);
            }
        }
        connection(&shared, out, s, &bring);
    }
    for i in interfaces.into_values() {
        out.push(i);
    }
}

fn kind(s: &Stanza) -> &'static str {
    let has = |prefix: &str| s.options.iter().any(|o| o.key.starts_with(prefix));
    match s.method.as_str() {
        "ppp" | "wvdial" => "ppp",
        "loopback" => "loopback",
        "tunnel" | "v4tunnel" | "6to4" => "tunnel",
        _ if has("bridge") => "bridge",
        _ if has("bond") => "bond",
        _ if has("vlan") => "vlan",
        _ if has("wpa-") || has("wireless-") => "wifi",
        _ => kind_of_interface(&s.name),
    }
}

fn with_mask(address: &str, mask: &str) -> String {
    if mask.is_empty() || address.contains('/') {
        return address.to_owned();
    }
    let bits =
        mask.parse::<std::net::Ipv4Addr>().map_or_else(|_| mask.to_owned(), |m| u32::from(m).count_ones().to_string());
    format!("{address}/{bits}")
}

fn connection(shared: &ppp::Shared<'_>, out: &Out, s: &Stanza, bring: &[String]) {
    let provider = s.value(&["provider"]);
    let row = match s.method.as_str() {
        "ppp" => {
            let name = if provider.is_empty() { "provider" } else { &provider };
            let mut row = ppp::by_name(shared, out, name).unwrap_or_else(|| Connection {
                name: name.to_owned(),
                kind: "ppp".into(),
                details: vec![format!("/etc/ppp/peers/{name} names no line or is not on this disk")],
                ..Connection::default()
            });
            row.details.push(format!("peer={name}"));
            row.evidence = s.get("provider").map_or(&s.evidence, |o| &o.evidence).clone();
            row
        }
        "wvdial" => Connection {
            name: s.value(&["provider"]),
            kind: "ppp-modem".into(),
            details: vec!["dialer=wvdial".into()],
            evidence: s.evidence.clone(),
            ..Connection::default()
        },
        "tunnel" | "v4tunnel" => Connection {
            name: s.name.clone(),
            kind: "tunnel".into(),
            endpoints: [s.value(&["endpoint", "dstaddr", "remote"])].into_iter().filter(|e| !e.is_empty()).collect(),
            details: vec![format!("mode={}", s.value(&["mode"]))],
            evidence: s.get("endpoint").map_or(&s.evidence, |o| &o.evidence).clone(),
            ..Connection::default()
        },
        _ => {
            let ssid = s.get("wpa-ssid").or_else(|| s.get("wireless-essid")).or_else(|| s.get("wpa-conf"));
            let Some(o) = ssid else { return };
            let mut secrets = Vec::new();
            for opt in s.options.iter().filter(|o| is_secret(&o.key) || o.key == "wireless-key") {
                once(&mut secrets, &opt.key);
            }
            let ap = s.value(&["wireless-mode", "wpa-mode", "wpa-ap-scan"]);
            Connection {
                name: o.value.trim_matches('"').to_owned(),
                kind: if ap == "master" { "wifi-ap".into() } else { "wifi".into() },
                endpoints: if o.key == "wpa-conf" { Vec::new() } else { vec![o.value.trim_matches('"').to_owned()] },
                details: if o.key == "wpa-conf" { vec![format!("wpa-conf={}", o.value)] } else { Vec::new() },
                secrets,
                evidence: o.evidence.clone(),
                ..Connection::default()
            }
        }
    };
    out.push(Connection {
        manager: "ifupdown".into(),
        interface: s.name.clone(),
        enabled: !bring.is_empty(),
        enabled_by: if bring.is_empty() {
            vec!["neither auto nor allow-hotplug: only by ifup".into()]
        } else {
            bring.iter().map(|b| format!("{b} {}", s.name)).collect()
        },
        default_route: row.default_route || !s.value(&["gateway"]).is_empty() || is_yes(&s.value(&["defaultroute"])),
        ..row
    });
}

/// Static routes in commands: `ip route add … via … dev …`, `route add -net … gw …`.
fn route(command: &str, name: &str, evidence: &Evidence, out: &Out) {
    let w: Vec<&str> = command.split_whitespace().collect();
    let after = |key: &str| {
        w.iter().position(|x| *x == key).and_then(|at| w.get(at.saturating_add(1))).map(|v| (*v).to_owned())
    };
    let is = |program: &str| w.iter().any(|x| x.rsplit('/').next() == Some(program));
    let verb = w.iter().position(|x| matches!(*x, "add" | "replace" | "append"));
    let Some(verb) = verb.filter(|_| (is("ip") && (is("route") || is("r"))) || is("route")) else { return };
    let rest = w.get(verb.saturating_add(1)..).unwrap_or_default();
    let destination =
        after("-net").or_else(|| after("-host")).or_else(|| rest.first().map(|v| (*v).to_owned())).unwrap_or_default();
    let mask = after("netmask").unwrap_or_default();
    out.push(Route {
        destination: with_mask(&destination, &mask),
        gateway: after("via").or_else(|| after("gw")).unwrap_or_default(),
        interface: after("dev").unwrap_or_else(|| name.to_owned()),
        manager: "ifupdown".into(),
        evidence: evidence.clone(),
        ..Route::default()
    });
}
