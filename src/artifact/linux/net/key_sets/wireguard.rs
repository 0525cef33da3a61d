//! WireGuard in the form that wg-quick and wg read.
use super::super::{BY_UNIT, cite, once};
use crate::artifact::Out;
use crate::base::Run;
use crate::base::secret::is_secret;
use crate::evidence::Text;
use crate::format::ini::Ini;
use crate::format::lines::decode;
use crate::inventory::{Connection, Interface, Listener, NameSetting};

pub(super) fn read(text: &Text<'_>, out: &Out) -> bool {
    let ini = Ini::parse(&text.bytes);
    let Some(own) = ini.section("Interface") else { return false };
    if own.get("PrivateKey").is_none()
        || !ini.all("Peer").any(|p| p.get("PublicKey").is_some() && p.get("AllowedIPs").is_some())
    {
        // A server without peers yet is one as well, but only where wg-quick would look for it.
        if own.get("PrivateKey").is_none() || !text.entry.path.bytes().starts_with(b"/etc/wireguard/") {
            return false;
        }
    }
    super::super::problems(text, out, &ini.problems);
    let home = text.entry.path.bytes().starts_with(b"/etc/wireguard/");
    let file = decode(text.entry.path.file_name()).into_owned();
    let stem = file.strip_suffix(".conf").unwrap_or(&file).to_owned();
    let mut c = Connection {
        name: if home { stem.clone() } else { text.entry.path.display() },
        manager: "wireguard".into(),
        kind: "wireguard".into(),
        enabled: false,
        enabled_by: vec![if home { format!("{BY_UNIT} (wg-quick@{stem})") } else { BY_UNIT.into() }],
        interface: stem.clone(),
        ..Connection::default()
    };
    let mut telling: Option<(u32, Run, String)> = None;
    for e in &own.entries {
        if is_secret(&e.key) && !e.value.is_empty() {
            once(&mut c.secrets, &e.key);
        } else if !e.key.eq_ignore_ascii_case("DNS") {
            c.details.push(format!("{}={}", e.key, e.value));
        }
        if e.key.eq_ignore_ascii_case("PrivateKey") {
            telling = Some((e.line, e.run, "Interface.PrivateKey".into()));
        }
    }
    for peer in ini.all("Peer") {
        for e in peer.all("Endpoint") {
            if c.endpoints.is_empty() {
                telling = Some((e.line, e.run, "Peer.Endpoint".into()));
            }
            once(&mut c.endpoints, &e.value);
        }
        if peer.get("PresharedKey").is_some_and(|v| !v.is_empty()) {
            once(&mut c.secrets, "PresharedKey");
        }
        for key in ["AllowedIPs", "PersistentKeepalive"] {
            for e in peer.all(key) {
                once(&mut c.details, &format!("{key}={}", e.value));
                let all =
                    e.value.split(',').any(|n| matches!(n.trim(), "0.0.0.0/0" | "::/0" | "0.0.0.0/1" | "128.0.0.0/1"));
                c.default_route |= key == "AllowedIPs" && all && own.get("Table") != Some("off");
            }
        }
    }
    if let Some((line, run, key)) = telling {
        c.evidence = cite(text, line, run, &key);
    }
    if let Some(port) = own.entry("ListenPort").filter(|p| p.value != "0") {
        out.push(Listener {
            protocol: "udp".into(),
            address: "*".into(),
            port: port.value.clone(),
            program: "wireguard".into(),
            service: if home { format!("wg-quick@{stem}.service") } else { String::new() },
            evidence: cite(text, port.line, port.run, "Interface.ListenPort"),
            ..Listener::default()
        });
    }
    for e in own.all("DNS") {
        for value in super::super::list(&e.value) {
            out.push(NameSetting {
                kind: if value.parse::<std::net::IpAddr>().is_ok() { "nameserver".into() } else { "search".into() },
                value,
                scope: c.name.clone(),
                evidence: cite(text, e.line, e.run, "Interface.DNS"),
                ..NameSetting::default()
            });
        }
    }
    if home {
        out.push(Interface {
            name: stem,
            manager: "wg-quick".into(),
            kind: "tunnel".into(),
            method: "static".into(),
            addresses: own.all("Address").flat_map(|e| super::super::list(&e.value)).collect(),
            auto: false,
            evidence: cite(text, own.line, own.run, "Interface"),
            ..Interface::default()
        });
    }
    out.push(c);
    true
}
