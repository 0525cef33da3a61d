//! Overlay networks and VPN clients with files of their own: tinc, ZeroTier, Tailscale, Nebula,
//! NetBird, Yggdrasil, OpenConnect's kin, SoftEther. Formats: the projects' documentation.
use super::{BY_UNIT, cite, ini, once};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::base::secret::is_secret;
use crate::evidence::{Entry, System, Text};
use crate::format::lines::decode;
use crate::format::tree::Tree;
use crate::inventory::{Connection, Listener};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.overlays",
    about: "Overlay networks and VPN clients: tinc, ZeroTier, Tailscale, Nebula, NetBird, Yggdrasil, vpnc, openfortivpn, SoftEther",
    os: Os::Linux,
    reads: &[
        "/etc/tinc/*/tinc.conf",
        "/etc/tinc/nets.boot",
        "/var/lib/zerotier-one/networks.d/*.conf",
        "/var/lib/tailscale/tailscaled.state",
        "/etc/nebula/**.{yml,yaml}",
        "/etc/netbird/config.json",
        "/var/lib/netbird/*.json",
        "/etc/yggdrasil*",
        "/etc/yggdrasil/*.conf",
        "/etc/openfortivpn/config",
        "/etc/vpnc/*.conf",
        "/{etc,opt,usr/local,usr/libexec,var/lib,root,srv,home}/**vpn_{client,bridge,server}.config",
    ],
    references: &[
        "tinc.conf(5)",
        "https://docs.zerotier.com",
        "https://nebula.defined.net/docs/config/",
        "vpnc(8)",
        "openfortivpn(1)",
    ],
    extract,
};

fn row(name: &str, manager: &str, evidence: crate::base::Evidence) -> Connection {
    Connection {
        name: name.to_owned(),
        manager: manager.into(),
        kind: "vpn".into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        evidence,
        ..Connection::default()
    }
}

fn extract(system: &System, out: &Out) {
    tinc(system, out);
    for entry in system.glob("/var/lib/zerotier-one/networks.d/*.conf") {
        let file = decode(entry.path.file_name()).into_owned();
        if file.ends_with(".local.conf") || !entry.is_file() {
            continue;
        }
        // The file's name is the network; the service joins every network that has one.
        let mut c = row(file.trim_end_matches(".conf"), "zerotier", system.evidence(entry));
        c.enabled = true;
        c.enabled_by = vec!["zerotier-one joins it when it runs".into()];
        out.push(c);
    }
    if let Some(entry) = system.resolve("/var/lib/tailscale/tailscaled.state").filter(|e| e.is_file() && !e.is_empty())
    {
        tailscale(system, entry, out);
    }
    out.each(system, &["/etc/nebula/**.yml", "/etc/nebula/**.yaml"], |text| nebula(text, out));
    out.each(system, &["/etc/netbird/config.json", "/var/lib/netbird/*.json"], |text| {
        let tree = Tree::json(&text.bytes);
        if let Some(url) =
            tree.any(&["ManagementURL.Host", "ManagementURL"]).filter(|_| tree.named("PrivateKey").is_some())
        {
            let mut c = row(&text.entry.path.display(), "netbird", cite(text, url.line, url.run, &url.dotted()));
            c.endpoints.push(url.value.clone());
            c.secrets.push("PrivateKey".into());
            out.push(c);
        }
    });
    out.each(system, &["/etc/yggdrasil.conf", "/etc/yggdrasil/*.conf"], |text| {
        let tree = Tree::json(&text.bytes);
        let peers: Vec<_> = tree.below("Peers").chain(tree.below("InterfacePeers")).collect();
        if let Some(first) = peers.first() {
            let mut c = row(&text.entry.path.display(), "yggdrasil", cite(text, first.line, first.run, "Peers"));
            for p in &peers {
                once(&mut c.endpoints, &p.value);
            }
            c.secrets.extend(tree.named("PrivateKey").map(|_| "PrivateKey".to_owned()));
            out.push(c);
        }
    });
    out.each(system, &["/etc/openfortivpn/config", "/etc/openfortivpn/*.conf"], |text| {
        let ini = ini(text, out);
        let top = ini.sections.first();
        if let Some(host) = top
            .and_then(|s| s.entry("host"))
            .filter(|h| !h.value.is_empty() && !h.value.contains("vpn-gateway") && h.value != "vpn.example.com")
        {
            let mut c = row(&text.entry.path.display(), "openfortivpn", cite(text, host.line, host.run, "host"));
            let get = |key: &str| top.and_then(|s| s.get(key)).unwrap_or_default().to_owned();
            c.endpoints.push(super::key_sets::endpoint(&host.value, &get("port")));
            c.username = get("username");
            for e in top.into_iter().flat_map(|s| &s.entries).filter(|e| is_secret(&e.key) && !e.value.is_empty()) {
                once(&mut c.secrets, &e.key);
            }
            out.push(c);
        }
    });
    out.each(system, &["/etc/vpnc/*.conf", "/etc/vpnc.conf"], |text| {
        let mut c = row(&text.entry.path.display(), "vpnc", text.evidence());
        for line in bounded(text, out) {
            let body = line.text.trim();
            if let Some(host) = body.strip_prefix("IPSec gateway ").filter(|h| !h.contains('<')) {
                c.endpoints.push(host.to_owned());
                c.evidence = cite(text, line.number, line.run, "IPSec gateway");
            } else if let Some(user) = body.strip_prefix("Xauth username ") {
                user.clone_into(&mut c.username);
            } else if body.starts_with("IPSec secret ") || body.starts_with("Xauth password ") {
                once(&mut c.secrets, body.rsplit_once(' ').map_or("secret", |(k, _)| k));
            }
        }
        if !c.endpoints.is_empty() {
            out.push(c);
        }
    });
    let places = ["/etc", "/opt", "/usr/local", "/usr/libexec", "/usr/vpnclient", "/var/lib", "/root", "/srv", "/home"];
    let files: Vec<String> =
        places.iter().flat_map(|p| ["client", "bridge", "server"].map(|k| format!("{p}/**vpn_{k}.config"))).collect();
    out.each(system, &files.iter().map(String::as_str).collect::<Vec<_>>(), |text| softether(text, out));
}

fn tinc(system: &System, out: &Out) {
    let mut boot = Vec::new();
    out.each(system, &["/etc/tinc/nets.boot"], |text| {
        boot.extend(
            bounded(text, out).map(|l| l.text.trim().to_owned()).filter(|l| !l.is_empty() && !l.starts_with('#')),
        );
    });
    out.each(system, &["/etc/tinc/*/tinc.conf", "/etc/tinc/tinc.conf"], |text| {
        let net = decode(text.entry.path.parent().rsplit(|b| *b == b'/').next().unwrap_or_default()).into_owned();
        let mut c = row(&net, "tinc", text.evidence());
        for line in bounded(text, out) {
            let Some((key, value)) = line.text.split_once('=').filter(|_| !line.text.trim_start().starts_with('#'))
            else {
                continue;
            };
            match (key.trim().to_ascii_lowercase().as_str(), value.trim()) {
                ("connectto", peer) => {
                    c.evidence = cite(text, line.number, line.run, "ConnectTo");
                    c.details.push(format!("ConnectTo={peer}"));
                    for host in peer_addresses(system, out, &net, peer) {
                        once(&mut c.endpoints, &host);
                    }
                }
                ("interface", name) => name.clone_into(&mut c.interface),
                ("name" | "mode" | "autoconnect" | "port", v) => c.details.push(format!("{}={v}", key.trim())),
                _ => {}
            }
        }
        if boot.contains(&net) {
            c.enabled = true;
            c.enabled_by = vec!["named in /etc/tinc/nets.boot".into()];
        } else {
            c.enabled_by = vec![format!("{BY_UNIT} (tinc@{net})")];
        }
        if system.resolve(format!("/etc/tinc/{net}/rsa_key.priv")).is_some()
            || system.resolve(format!("/etc/tinc/{net}/ed25519_key.priv")).is_some()
        {
            c.secrets.push("private-key".into());
        }
        out.push(c);
    });
}

fn peer_addresses(system: &System, out: &Out, net: &str, peer: &str) -> Vec<String> {
    // The name comes out of a hostile file: it must not lead elsewhere.
    if peer.contains('/') {
        return Vec::new();
    }
    let Some(text) = system.resolve(format!("/etc/tinc/{net}/hosts/{peer}")).and_then(|e| out.read(system, e)) else {
        return Vec::new();
    };
    bounded(&text, out)
        .filter_map(|l| {
            let (key, value) = l.text.split_once('=')?;
            key.trim().eq_ignore_ascii_case("address").then(|| value.trim().replace(' ', ":"))
        })
        .take(50)
        .collect()
}

/// The state holds keys; that a profile with a private key exists is the fact.
fn tailscale(system: &System, entry: &Entry, out: &Out) {
    let Some(text) = out.read(system, entry) else { return };
    let tree = Tree::json(&text.bytes);
    let profiles: Vec<&str> = tree
        .leaves
        .iter()
        .map(crate::format::tree::Leaf::key)
        .filter(|k| k.starts_with("profile-") || *k == "_machinekey")
        .collect();
    let mut c = row("tailscale", "tailscale", system.evidence(entry));
    c.details.extend(profiles.iter().map(|p| format!("state={p}")));
    if !tree.leaves.is_empty() {
        c.secrets.push("machine-key".into());
        // A machine key alone is made at the first start of the service; a profile means someone logged in.
        c.enabled = tree.leaves.iter().any(|l| l.key().starts_with("profile-"));
        c.enabled_by = vec![if c.enabled {
            "tailscaled connects when it runs".into()
        } else {
            "no profile: nobody logged in".into()
        }];
    }
    out.push(c);
}

fn nebula(text: &Text<'_>, out: &Out) {
    let tree = Tree::yaml(&text.bytes);
    if !tree.has("static_host_map") && !tree.has("lighthouse") || !tree.has("pki") {
        return;
    }
    let first = tree.below("static_host_map").next().or_else(|| tree.below("lighthouse").next());
    let mut c = row(
        &text.entry.path.display(),
        "nebula",
        first.map_or_else(|| text.evidence(), |l| cite(text, l.line, l.run, &l.dotted())),
    );
    tree.below("static_host_map").for_each(|l| once(&mut c.endpoints, &l.value));
    tree.get("tun.dev").unwrap_or_default().clone_into(&mut c.interface);
    for key in ["lighthouse.am_lighthouse", "punchy.punch"] {
        if let Some(v) = tree.get(key) {
            c.details.push(format!("{key}={v}"));
        }
    }
    if let Some(port) = tree.leaf("listen.port").filter(|p| p.value != "0") {
        out.push(Listener {
            protocol: "udp".into(),
            address: tree.get("listen.host").unwrap_or("*").to_owned(),
            port: port.value.clone(),
            program: "nebula".into(),
            evidence: cite(text, port.line, port.run, "listen.port"),
            ..Listener::default()
        });
    }
    out.push(c);
}

/// `declare` blocks; accounts of a client and cascades of a bridge name the host they call.
fn softether(text: &Text<'_>, out: &Out) {
    let mut c = row(&text.entry.path.display(), "softether", text.evidence());
    let mut path: Vec<String> = Vec::new();
    for line in bounded(text, out) {
        let body = line.text.trim();
        if let Some(name) = body.strip_prefix("declare ") {
            path.truncate(64);
            path.push(name.to_owned());
        } else if body == "}" {
            path.pop();
        } else if let Some((kind, rest)) = body.split_once(' ') {
            let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
            let account = path
                .iter()
                .any(|p| p.starts_with("Account") || p.starts_with("Cascade") || p.starts_with("CascadeList"));
            match (kind, key) {
                ("string", "Hostname") if account && !value.is_empty() => {
                    if c.endpoints.is_empty() {
                        c.evidence = cite(text, line.number, line.run, "Hostname");
                    }
                    once(&mut c.endpoints, value);
                }
                ("string", "Username") if account => value.clone_into(&mut c.username),
                ("byte", "HashedPassword" | "EncryptedPassword") if account => once(&mut c.secrets, key),
                ("bool", "StartupAccount") if value == "true" => {
                    c.enabled = true;
                    c.enabled_by = vec!["StartupAccount true".into()];
                }
                _ => {}
            }
        }
    }
    let server = text.entry.path.file_name() == b"vpn_server.config";
    c.details.push(format!("role={}", if server { "server" } else { "client" }));
    if !c.endpoints.is_empty() || server {
        out.push(c);
    }
}
