//! Tunnels and proxies with files of their own: ngrok, cloudflared, stunnel, ssh client forwards,
//! V2Ray and its kin, Shadowsocks, Trojan, GOST, Tor onion services, MQTT bridges.
//! Formats: the projects' documentation; ssh_config(5), stunnel(8), mosquitto.conf(5), torrc.
use super::{BY_UNIT, cite, ini, once};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::lines::{decode, words};
use crate::format::tree::{Leaf, Tree};
use crate::inventory::{Connection, Listener};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.tunnels",
    about: "Tunnels and proxies by their own files: ngrok, cloudflared, stunnel, ssh forwards, V2Ray, Shadowsocks, Trojan, GOST, Tor, MQTT bridges",
    os: Os::Linux,
    reads: &[
        "/{root,home/*}/.{ngrok2,config/ngrok,cpolar}/*.yml",
        "/usr/local/etc/cpolar/*.yml",
        "/etc/ngrok*",
        "/{etc,usr/local/etc}/cloudflared/*",
        "/{root,home/*}/.cloudflared/*",
        "/etc/stunnel/*.conf",
        "/etc/ssh/ssh_config",
        "/etc/ssh/ssh_config.d/*.conf",
        "/{root,home/*}/.ssh/config",
        "/{etc,usr/local/etc}/{v2ray,xray,sing-box,trojan,trojan-go,shadowsocks*,hysteria,gost,mihomo,clash}/*",
        "/etc/tor/torrc",
        "/etc/mosquitto/**.conf",
    ],
    references: &[
        "ssh_config(5)",
        "stunnel(8)",
        "mosquitto.conf(5)",
        "https://ngrok.com/docs/agent/config/",
        "https://developers.cloudflare.com/cloudflare-one/",
    ],
    extract,
};

/// Whether a host is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[');
    host.is_empty()
        || host.starts_with("127.")
        || host.starts_with("localhost")
        || host.starts_with("::1")
        || host.starts_with("0.0.0.0")
        || host.starts_with('/')
}

fn row(text: &Text<'_>, manager: &str, evidence: Evidence) -> Connection {
    Connection {
        name: text.entry.path.display(),
        manager: manager.into(),
        kind: "tunnel".into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        evidence,
        ..Connection::default()
    }
}
fn at(text: &Text<'_>, leaf: &Leaf) -> Evidence {
    cite(text, leaf.line, leaf.run, &leaf.dotted())
}
fn secrets(tree: &Tree, c: &mut Connection) {
    for l in tree.leaves.iter().filter(|l| !l.value.is_empty()) {
        // A list of passwords has numbers for keys.
        let name = l.path.iter().rev().find(|k| k.parse::<usize>().is_err());
        if let Some(name) = name.filter(|n| is_secret(n)) {
            once(&mut c.secrets, name);
        }
    }
}

fn extract(system: &System, out: &Out) {
    let home = |rest: &str| [format!("/root/{rest}"), format!("/home/*/{rest}")];
    let globs = |own: &[&str], homes: &[&str]| -> Vec<String> {
        own.iter().map(|s| (*s).to_owned()).chain(homes.iter().flat_map(|h| home(h))).collect()
    };
    let each = |files: &[String], then: &mut dyn FnMut(&Text<'_>)| {
        out.each(system, &files.iter().map(String::as_str).collect::<Vec<_>>(), |t| then(t));
    };
    each(
        &globs(
            &["/etc/ngrok.yml", "/etc/ngrok/*.yml", "/opt/ngrok/*.yml", "/usr/local/etc/cpolar/*.yml"],
            &[".ngrok2/*.yml", ".config/ngrok/*.yml", ".cpolar/*.yml"],
        ),
        &mut |t| ngrok(t, out),
    );
    each(&globs(&["/etc/cloudflared/*", "/usr/local/etc/cloudflared/*"], &[".cloudflared/*"]), &mut |t| {
        cloudflared(t, out);
    });
    each(&globs(&["/etc/stunnel/*.conf", "/etc/stunnel/conf.d/*", "/usr/local/etc/stunnel/*.conf"], &[]), &mut |t| {
        stunnel(t, out);
    });
    each(&globs(&["/etc/ssh/ssh_config", "/etc/ssh/ssh_config.d/*.conf"], &[".ssh/config"]), &mut |t| {
        ssh_config(t, out);
    });
    let mut proxies = Vec::new();
    for dir in ["/etc", "/usr/local/etc", "/opt", "/root", "/usr/local"] {
        for tool in [
            "v2ray",
            "xray",
            "sing-box",
            "trojan",
            "trojan-go",
            "shadowsocks-libev",
            "shadowsocks-rust",
            "shadowsocks",
            "hysteria",
            "gost",
        ] {
            proxies.push(format!("{dir}/{tool}/*"));
        }
    }
    proxies.extend(["/etc/shadowsocks.json", "/etc/v2ray.json", "/etc/gost.json", "/etc/gost.yml"].map(str::to_owned));
    each(&proxies, &mut |t| proxy(t, out));
    each(&globs(&["/etc/tor/torrc", "/etc/tor/torrc.d/*"], &[]), &mut |t| tor(t, out));
    each(&globs(&["/etc/mosquitto/**.conf"], &[]), &mut |t| bridge(t, out));
}

fn ngrok(text: &Text<'_>, out: &Out) {
    let tree = Tree::yaml(&text.bytes);
    let tool = if text.entry.path.lossy().contains("cpolar") { "cpolar" } else { "ngrok" };
    let Some(token) = tree
        .any(&["authtoken", "agent.authtoken"])
        .or_else(|| tree.below("tunnels").next())
        .or_else(|| tree.below("endpoints").next())
    else {
        return;
    };
    let mut c = row(text, tool, at(text, token));
    secrets(&tree, &mut c);
    for list in ["tunnels", "endpoints"] {
        for (name, one) in tree.groups(list).into_iter().take(200) {
            let get = |k: &str| one.get(k).unwrap_or_default();
            c.details.push(format!(
                "tunnel={name} {} {}{} {}",
                get("proto"),
                get("addr"),
                get("upstream.url"),
                [get("remote_addr"), get("domain"), get("hostname"), get("url")].concat()
            ));
        }
    }
    for key in ["region", "agent.region", "server_addr", "agent.connect_url"] {
        if let Some(v) = tree.get(key) {
            c.details.push(format!("{key}={v}"));
        }
    }
    out.push(c);
}

fn cloudflared(text: &Text<'_>, out: &Out) {
    let name = decode(text.entry.path.file_name()).to_ascii_lowercase();
    let ending = name.rsplit('.').next().unwrap_or_default();
    if ending == "json" {
        let tree = Tree::json(&text.bytes);
        if let Some(id) = tree.leaf("TunnelID").filter(|_| tree.named("TunnelSecret").is_some()) {
            let mut c = row(text, "cloudflared", at(text, id));
            c.details.push("credentials of a tunnel".into());
            c.uuid.clone_from(&id.value);
            c.secrets.push("TunnelSecret".into());
            out.push(c);
        }
    } else if matches!(ending, "yml" | "yaml") {
        let tree = Tree::yaml(&text.bytes);
        let Some(tunnel) = tree.any(&["tunnel", "credentials-file"]).or_else(|| tree.below("ingress").next()) else {
            return;
        };
        let mut c = row(text, "cloudflared", at(text, tunnel));
        tree.get("tunnel").unwrap_or_default().clone_into(&mut c.uuid);
        if tree.get("credentials-file").is_some() {
            c.secrets.push("credentials-file".into());
        }
        for (_, one) in tree.groups("ingress").into_iter().take(200) {
            let get = |k: &str| one.get(k).unwrap_or_default();
            c.details.push(format!("ingress={} -> {}", get("hostname"), get("service")));
        }
        out.push(c);
    } else if name == "cert.pem" {
        let mut c = row(text, "cloudflared", text.evidence());
        c.details.push("certificate of an account".into());
        c.secrets.push("cert.pem".into());
        out.push(c);
    }
}

fn stunnel(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    let top = ini.sections.iter().find(|s| s.name.is_empty());
    for s in ini.sections.iter().filter(|s| !s.name.is_empty()) {
        let Some(telling) = s.entry("connect").or_else(|| s.entry("exec")) else { continue };
        let client = s.get("client").or_else(|| top?.get("client")).is_some_and(super::is_yes);
        let mut c = row(text, "stunnel", cite(text, telling.line, telling.run, &format!("{}.{}", s.name, telling.key)));
        c.name = format!("{} [{}]", c.name, s.name);
        let to = s.get("connect").unwrap_or_default();
        if !is_local(to) && to.parse::<u16>().is_err() {
            c.endpoints.push(to.to_owned());
        }
        c.details.push(format!("role={}", if client { "client" } else { "server" }));
        for key in ["accept", "connect", "exec", "execArgs", "pty", "protocol", "CAfile"] {
            if let Some(v) = s.get(key) {
                c.details.push(format!("{key}={v}"));
            }
        }
        if let Some(v) = s.get("PSKsecrets").or_else(|| s.get("key")) {
            c.secrets.push(format!("key file {v}"));
        }
        if let Some(accept) = s.entry("accept") {
            let (address, port) = accept.value.rsplit_once(':').unwrap_or(("*", &accept.value));
            out.push(Listener {
                protocol: "tcp".into(),
                address: if address.is_empty() { "*".into() } else { address.to_owned() },
                port: port.to_owned(),
                program: "stunnel".into(),
                evidence: cite(text, accept.line, accept.run, &format!("{}.accept", s.name)),
                ..Listener::default()
            });
        }
        out.push(c);
    }
}

/// Forwards that an ssh client sets up whenever it calls a host.
fn ssh_config(text: &Text<'_>, out: &Out) {
    struct Block {
        host: String,
        name: String,
        port: String,
        user: String,
        details: Vec<String>,
        telling: Option<Evidence>,
    }
    let new = |host: &str| Block {
        host: host.to_owned(),
        name: String::new(),
        port: String::new(),
        user: String::new(),
        details: Vec::new(),
        telling: None,
    };
    let done = |b: Block| {
        let Some(evidence) = b.telling else { return };
        let mut c = row(text, "ssh", evidence);
        c.name = format!("{} [{}]", c.name, b.host);
        let to = if b.name.is_empty() { &b.host } else { &b.name };
        if !to.contains(['*', '?']) {
            c.endpoints.push(if b.port.is_empty() { to.clone() } else { format!("{to}:{}", b.port) });
        }
        c.username = b.user;
        c.details = b.details;
        out.push(c);
    };
    let mut open = new("*");
    for line in bounded(text, out) {
        let body = line.text.trim();
        if body.starts_with('#') {
            continue;
        }
        let w = words(&body.replacen('=', " ", 1));
        let rest = w.get(1..).unwrap_or_default().join(" ");
        match w.first().map(|k| k.to_ascii_lowercase()).as_deref() {
            Some("host") => done(std::mem::replace(&mut open, new(&rest))),
            Some("match") => done(std::mem::replace(&mut open, new(&format!("Match {rest}")))),
            Some("hostname") => open.name = rest,
            Some("port") => open.port = rest,
            Some("user") => open.user = rest,
            Some(key @ ("remoteforward" | "dynamicforward" | "localforward" | "tunnel" | "tunneldevice"))
                if !matches!(rest.as_str(), "no" | "") =>
            {
                open.details.push(format!("{key}={rest}"));
                open.telling.get_or_insert_with(|| cite(text, line.number, line.run, key));
            }
            Some(
                key @ ("serveraliveinterval"
                | "exitonforwardfailure"
                | "proxycommand"
                | "proxyjump"
                | "stricthostkeychecking"
                | "identityfile"),
            ) => open.details.push(format!("{key}={rest}")),
            _ => {}
        }
    }
    done(open);
}

/// V2Ray, Xray, sing-box, Shadowsocks, Trojan, Hysteria, GOST.
fn proxy(text: &Text<'_>, out: &Out) {
    let name = decode(text.entry.path.file_name()).to_ascii_lowercase();
    if ![".json", ".yml", ".yaml", ".toml"].iter().any(|e| name.ends_with(e)) {
        return;
    }
    let tree = Tree::guess(name.as_bytes(), &text.bytes);
    let path = text.entry.path.lossy().into_owned();
    let has = |tool: &str| path.contains(tool);
    let manager = ["xray", "v2ray", "sing-box", "trojan", "shadowsocks", "hysteria", "gost"]
        .into_iter()
        .find(|t| has(t))
        .unwrap_or("proxy");
    // Hosts that it calls: the addresses of what goes out.
    let far: Vec<&Leaf> = tree
        .leaves
        .iter()
        .filter(|l| {
            let outward =
                !l.path.iter().any(|p| p.starts_with("inbound") || p == "dns" || p == "routing" || p == "mysql");
            let host = matches!(l.key(), "address" | "server" | "remote_addr")
                || (l.key() == "addr" && l.path.iter().any(|p| p == "nodes"))
                || (l.path.iter().any(|p| p == "ChainNodes"))
                || (l.path.iter().any(|p| p == "server") && l.key().parse::<usize>().is_ok());
            outward && host && !is_local(&l.value)
        })
        .collect();
    let server = tree.get("run_type") == Some("server") || tree.has("listen");
    let inbound: Vec<&Leaf> = tree
        .leaves
        .iter()
        .filter(|l| {
            l.path.first().is_some_and(|p| p.starts_with("inbound")) && matches!(l.key(), "port" | "listen_port")
        })
        .collect();
    if far.is_empty() && !(tree.has("reverse") || (server && tree.named("local_port").is_none())) {
        return;
    }
    let telling = far.first().copied().or_else(|| tree.below("reverse").next()).or_else(|| tree.named("listen"));
    let Some(telling) = telling else { return };
    let mut c = row(text, manager, at(text, telling));
    for l in &far {
        let port = l.path.split_last().and_then(|(_, parent)| {
            tree.leaves.iter().find(|p| {
                p.path.split_last().is_some_and(|(k, rest)| {
                    rest == parent && matches!(k.as_str(), "port" | "server_port" | "remote_port")
                })
            })
        });
        let host = &l.value;
        once(&mut c.endpoints, &port.map_or_else(|| host.clone(), |p| format!("{host}:{}", p.value)));
    }
    secrets(&tree, &mut c);
    if tree.named("id").is_some_and(|l| l.path.iter().any(|p| p == "users")) {
        once(&mut c.secrets, "id");
    }
    for l in tree.leaves.iter().filter(|l| matches!(l.key(), "protocol" | "method" | "run_type" | "type")).take(20) {
        c.details.push(format!("{}={}", l.dotted(), l.value));
    }
    if tree.has("reverse") {
        c.details.push("reverse: the far side reaches in".into());
    }
    for l in inbound {
        if l.value.parse::<u16>().is_ok() {
            out.push(Listener {
                protocol: "tcp".into(),
                address: "*".into(),
                port: l.value.clone(),
                program: manager.to_owned(),
                evidence: at(text, l),
                ..Listener::default()
            });
        }
    }
    out.push(c);
}

fn tor(text: &Text<'_>, out: &Out) {
    let mut c = row(text, "tor", text.evidence());
    let mut found = false;
    for line in bounded(text, out) {
        let w: Vec<&str> = line.text.split_whitespace().collect();
        if let [key @ ("HiddenServiceDir" | "HiddenServicePort" | "Bridge" | "ClientTransportPlugin"), rest @ ..] =
            w.as_slice()
        {
            if *key == "HiddenServicePort" || !found {
                c.evidence = cite(text, line.number, line.run, key);
            }
            found = true;
            c.details.push(format!("{key}={}", rest.join(" ")));
        }
    }
    if found {
        out.push(c);
    }
}

/// A broker that calls another broker. Listeners of brokers are read elsewhere.
fn bridge(text: &Text<'_>, out: &Out) {
    let mut open: Option<Connection> = None;
    for line in bounded(text, out) {
        let body = line.text.trim();
        let Some((key, value)) = body.split_once(' ').filter(|_| !body.starts_with('#')) else { continue };
        let value = value.trim();
        match (key, &mut open) {
            ("connection", slot) => {
                let next = Connection {
                    name: value.to_owned(),
                    manager: "mosquitto".into(),
                    kind: "mqtt-bridge".into(),
                    enabled: false,
                    enabled_by: vec![format!("{BY_UNIT} (mosquitto)")],
                    evidence: cite(text, line.number, line.run, "connection"),
                    ..Connection::default()
                };
                if let Some(c) = slot.replace(next) {
                    out.push(c);
                }
            }
            ("address" | "addresses", Some(c)) => {
                c.endpoints.extend(value.split_whitespace().map(str::to_owned));
                c.evidence = cite(text, line.number, line.run, key);
            }
            ("remote_username" | "username", Some(c)) => value.clone_into(&mut c.username),
            ("remote_password" | "password" | "bridge_psk", Some(c)) => once(&mut c.secrets, key),
            ("topic" | "start_type" | "bridge_cafile", Some(c)) => c.details.push(format!("{key}={value}")),
            _ => {}
        }
    }
    if let Some(c) = open {
        out.push(c);
    }
}
