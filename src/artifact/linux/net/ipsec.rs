//! IPsec, L2TP and PPTP: strongSwan and Libreswan (`ipsec.conf`, `swanctl.conf`), xl2tpd, pptpd.
//! Formats: ipsec.conf(5), swanctl.conf(5), xl2tpd.conf(5), pptpd.conf(5).
use super::{BY_UNIT, cite, is_yes, list, once};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::ini::Ini;
use crate::format::lines::unquote;
use crate::inventory::{Connection, Listener};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.ipsec",
    about: "IPsec, L2TP and PPTP connections and servers",
    os: Os::Linux,
    reads: &[
        "/etc/ipsec.conf",
        "/etc/ipsec.d/*.conf",
        "/etc/swanctl/swanctl.conf",
        "/etc/swanctl/conf.d/*.conf",
        "/etc/ipsec.secrets",
        "/etc/xl2tpd/xl2tpd.conf",
        "/etc/pptpd.conf",
    ],
    references: &["ipsec.conf(5)", "swanctl.conf(5)", "xl2tpd.conf(5)", "pptpd.conf(5)"],
    extract,
};

fn extract(system: &System, out: &Out) {
    let mut stored = false;
    out.each_text(system, &["/etc/ipsec.secrets", "/etc/ipsec.d/*.secrets"], |text| {
        stored |= bounded(text, out).any(|l| {
            !l.text.trim().starts_with('#') && l.text.contains(" : ") || l.text.trim_start().starts_with(": ")
        });
    });
    out.each_text(system, &["/etc/ipsec.conf", "/etc/ipsec.d/*.conf"], |text| conf(text, out, stored));
    out.each_text(system, &["/etc/swanctl/swanctl.conf", "/etc/swanctl/conf.d/*.conf"], |text| swanctl(text, out));
    out.each_text(system, &["/etc/xl2tpd/xl2tpd.conf"], |text| l2tp(text, out));
    out.each_text(system, &["/etc/pptpd.conf"], |text| pptpd(text, out));
}

/// Name, line and settings of a section: `(key, value, line, bytes)`.
type Conn = (String, u32, Run, Vec<(String, String, u32, Run)>);

/// `conn` sections: a heading at the margin, settings indented below it.
fn conf(text: &Text<'_>, out: &Out, stored: bool) {
    let mut defaults: Vec<(String, String)> = Vec::new();
    let mut open: Option<Conn> = None;
    let done = |open: &mut Option<Conn>, defaults: &mut Vec<(String, String)>| {
        let Some((name, line, run, own)) = open.take() else { return };
        if name == "%default" {
            *defaults = own.into_iter().map(|(k, v, ..)| (k, v)).collect();
            return;
        }
        let get = |key: &str| {
            own.iter()
                .rev()
                .find(|(k, ..)| k == key)
                .map(|(_, v, ..)| v.clone())
                .or_else(|| defaults.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.clone()))
                .unwrap_or_default()
        };
        let right = get("right");
        let auto = get("auto");
        let telling = own.iter().find(|(k, ..)| k == "right").map_or((line, run), |(_, _, l, r)| (*l, *r));
        let l2tp = get("type") == "transport"
            && (get("leftprotoport").contains("1701") || get("rightprotoport").contains("1701"));
        let endpoints = if right.is_empty() || right.starts_with("%any") { Vec::new() } else { vec![right.clone()] };
        let details = own
            .iter()
            .filter(|(k, ..)| {
                matches!(
                    k.as_str(),
                    "right"
                        | "left"
                        | "rightsubnet"
                        | "leftsubnet"
                        | "leftid"
                        | "rightid"
                        | "authby"
                        | "keyexchange"
                        | "type"
                        | "auto"
                        | "leftauth"
                        | "rightauth"
                        | "also"
                        | "leftprotoport"
                        | "rightprotoport"
                )
            })
            .map(|(k, v, ..)| format!("{k}={v}"))
            .collect();
        out.push(Connection {
            name,
            manager: "ipsec".into(),
            kind: if l2tp { "l2tp".into() } else { "vpn".into() },
            enabled: matches!(auto.as_str(), "start" | "route" | "ondemand" | "up" | "keep"),
            enabled_by: vec![format!("auto={}", if auto.is_empty() { "ignore (not set)" } else { &auto })],
            username: [get("eap_identity"), get("xauth_identity"), get("leftusername")]
                .into_iter()
                .find(|v| !v.is_empty())
                .unwrap_or_default(),
            secrets: if stored { vec!["ipsec.secrets".into()] } else { Vec::new() },
            default_route: get("rightsubnet").contains("0.0.0.0/0"),
            endpoints,
            details,
            evidence: cite(text, telling.0, telling.1, "conn"),
            ..Connection::default()
        });
    };
    let mut rows = 0_usize;
    for line in bounded(text, out) {
        let whole = line.text.split('#').next().unwrap_or_default();
        let body = whole.trim();
        if body.is_empty() {
            continue;
        }
        if whole.starts_with(char::is_whitespace) {
            if let Some((key, value)) = body.split_once('=')
                && let Some((.., own)) = &mut open
                && own.len() < 500
            {
                own.push((key.trim().to_ascii_lowercase(), unquote(value).to_owned(), line.number, line.run));
            }
            continue;
        }
        done(&mut open, &mut defaults);
        let mut w = body.split_whitespace();
        if let (Some("conn"), Some(name)) = (w.next(), w.next()) {
            rows = rows.saturating_add(1);
            if rows > 5000 {
                return out.gap_line(text.entry, line.number, "budget: connections; the rest was not read");
            }
            open = Some((name.to_owned(), line.number, line.run, Vec::new()));
        }
    }
    done(&mut open, &mut defaults);
}

/// Sections in braces; only what lies below `connections` and `secrets` is looked at.
fn swanctl(text: &Text<'_>, out: &Out) {
    let mut path: Vec<String> = Vec::new();
    let mut open: Option<Connection> = None;
    let mut secrets = Vec::new();
    let mut found = Vec::new();
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default().trim();
        if let Some(name) = body.strip_suffix('{') {
            if path.len() < 32 {
                path.push(name.trim().to_owned());
            }
            if let [root, name] = path.as_slice()
                && root == "connections"
            {
                open = Some(Connection {
                    name: name.clone(),
                    manager: "swanctl".into(),
                    kind: "vpn".into(),
                    enabled: false,
                    enabled_by: vec!["start_action=none (not set)".into()],
                    evidence: cite(text, line.number, line.run, &format!("connections.{name}")),
                    ..Connection::default()
                });
            }
            continue;
        }
        if body.starts_with('}') {
            if path.len() == 2
                && let Some(c) = open.take()
            {
                found.push(c);
            }
            path.pop();
            continue;
        }
        let Some((key, value)) = body.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        if path.first().is_some_and(|p| p == "secrets") && is_secret(key) {
            once(&mut secrets, key);
        }
        let Some(c) = &mut open else { continue };
        match key {
            "remote_addrs" => {
                c.endpoints = list(value).into_iter().filter(|e| !e.starts_with("%any")).collect();
                c.evidence = cite(text, line.number, line.run, &format!("connections.{}.remote_addrs", c.name));
            }
            "start_action" => {
                c.enabled |= value.contains("start") || value.contains("trap");
                c.enabled_by = vec![format!("start_action={value}")];
            }
            "eap_id" | "xauth_id" => value.clone_into(&mut c.username),
            "remote_ts" | "local_ts" | "auth" | "id" | "version" | "local_addrs" => {
                c.default_route |= key == "remote_ts" && value.contains("0.0.0.0/0");
                c.details.push(format!("{}.{key}={value}", path.last().map_or("", String::as_str)));
            }
            _ => {}
        }
    }
    for mut c in found.into_iter().chain(open) {
        c.secrets.clone_from(&secrets);
        out.push(c);
    }
}

fn l2tp(text: &Text<'_>, out: &Out) {
    let ini = Ini::parse(&text.bytes);
    for s in ini.sections.iter().filter(|s| s.name.starts_with("lac")) {
        let Some(lns) = s.entry("lns") else { continue };
        let auto = s.get("autodial").is_some_and(is_yes);
        let mut c = Connection {
            name: s.name.trim_start_matches("lac").trim().to_owned(),
            manager: "xl2tpd".into(),
            kind: "l2tp".into(),
            enabled: auto,
            enabled_by: vec![format!("autodial={}", s.get("autodial").unwrap_or("no (not set)"))],
            username: s.get("name").unwrap_or_default().to_owned(),
            endpoints: vec![lns.value.clone()],
            evidence: cite(text, lns.line, lns.run, &format!("{}.lns", s.name)),
            ..Connection::default()
        };
        for key in ["pppoptfile", "redial", "require authentication"] {
            if let Some(v) = s.get(key) {
                c.details.push(format!("{key}={v}"));
            }
        }
        out.push(c);
    }
    if let Some(s) = ini.sections.iter().find(|s| s.name.starts_with("lns")) {
        let port = ini.entry("global", "port");
        out.push(Listener {
            protocol: "udp".into(),
            address: ini.get("global", "listen-addr").unwrap_or("*").to_owned(),
            port: port.map_or_else(|| "1701".into(), |p| p.value.clone()),
            program: "xl2tpd".into(),
            evidence: cite(text, s.line, s.run, &s.name),
            ..Listener::default()
        });
    }
}

/// The file that the package ships sets no addresses to give out; then it serves nobody of note, but
/// the port is open all the same, so only a set `localip` or `remoteip` is told.
fn pptpd(text: &Text<'_>, out: &Out) {
    for line in bounded(text, out) {
        let mut w = line.text.split_whitespace();
        if matches!(w.next(), Some("localip" | "remoteip")) {
            out.push(Listener {
                protocol: "tcp".into(),
                address: "*".into(),
                port: "1723".into(),
                program: "pptpd".into(),
                evidence: cite(text, line.number, line.run, "localip"),
                ..Listener::default()
            });
            out.push(Connection {
                name: "pptpd".into(),
                manager: "pptpd".into(),
                kind: "pptp".into(),
                enabled: false,
                enabled_by: vec![format!("{BY_UNIT} (pptpd)")],
                details: vec!["role=server".into(), line.text.trim().to_owned()],
                evidence: cite(text, line.number, line.run, "localip"),
                ..Connection::default()
            });
            return;
        }
    }
}
