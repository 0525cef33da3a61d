//! OpenVPN: clients and servers, wherever their configuration lies. Format: openvpn(8); Debian's
//! `/etc/default/openvpn` and its generator decide which of `/etc/openvpn/*.conf` start at boot.
use super::{BY_UNIT, cite, once};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::evidence::{System, Text};
use crate::format::lines::{decode, unquote, words};
use crate::inventory::{Connection, Listener};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.openvpn",
    about: "OpenVPN clients and servers, and which of them Debian's start script brings up",
    os: Os::Linux,
    reads: &["/etc/openvpn/**.{conf,ovpn}", "/{root,home,opt,srv,usr/local}/**.ovpn", "/etc/default/openvpn"],
    references: &["openvpn(8)", "https://sources.debian.org/src/openvpn/"],
    extract,
};

/// Which instances start at boot.
enum Start {
    /// Nothing of Debian's start script is on this disk.
    Nothing,
    All(&'static str),
    Some(Vec<String>),
}

fn start(system: &System, out: &Out) -> Start {
    let there = [
        "/etc/init.d/openvpn",
        "/usr/lib/systemd/system-generators/openvpn-generator",
        "/lib/systemd/system-generators/openvpn-generator",
    ]
    .iter()
    .any(|p| system.resolve(p).is_some());
    let mut list = None;
    out.each_text(system, &["/etc/default/openvpn"], |text| {
        for line in bounded(text, out) {
            if let Some(value) = line.text.trim().strip_prefix("AUTOSTART=") {
                list = Some(unquote(value).to_owned());
            }
        }
    });
    match list.as_deref() {
        None | Some("") if there => Start::All("AUTOSTART is not set: all of /etc/openvpn/*.conf"),
        None => Start::Nothing,
        Some("all") => Start::All("AUTOSTART=all"),
        Some("none") => Start::Some(Vec::new()),
        Some(names) => Start::Some(names.split_whitespace().map(str::to_owned).collect()),
    }
}

fn extract(system: &System, out: &Out) {
    let start = start(system, out);
    let patterns = [
        "/etc/openvpn/**.conf",
        "/etc/openvpn/**.ovpn",
        "/root/**.ovpn",
        "/home/**.ovpn",
        "/opt/**.ovpn",
        "/srv/**.ovpn",
        "/usr/local/**.ovpn",
    ];
    out.each_text(system, &patterns, |text| config(text, out, &start));
}

fn config(text: &Text<'_>, out: &Out, start: &Start) {
    let mut c = Connection { manager: "openvpn".into(), ..Connection::default() };
    let mut telling: Option<Evidence> = None;
    let mut port: Option<(String, Evidence)> = None;
    let (mut server, mut client, mut protocol, mut address) = (false, false, "udp".to_owned(), "*".to_owned());
    let mut default_port = "1194".to_owned();
    let mut remotes: Vec<(String, String)> = Vec::new();
    let mut block: Option<String> = None;
    for line in bounded(text, out) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let body = line.text.trim();
        if let Some(name) = &block {
            if body.eq_ignore_ascii_case(&format!("</{name}>")) {
                block = None;
            }
            continue;
        }
        if body.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = body.strip_prefix('<').and_then(|b| b.strip_suffix('>')).filter(|n| n.len() < 64) {
            if matches!(
                name,
                "key"
                    | "tls-auth"
                    | "tls-crypt"
                    | "tls-crypt-v2"
                    | "secret"
                    | "pkcs12"
                    | "auth-user-pass"
                    | "http-proxy-user-pass"
            ) {
                once(&mut c.secrets, name);
            }
            // A connection block holds settings; the others hold material.
            if name != "connection" && !name.starts_with('/') {
                block = Some(name.to_owned());
            }
            continue;
        }
        let w = words(body);
        let arg = |n: usize| w.get(n).cloned().unwrap_or_default();
        let evidence = || cite(text, line.number, line.run, &arg(0));
        match arg(0).trim_start_matches("--") {
            "remote" => {
                remotes.push((arg(1), arg(2)));
                telling.get_or_insert_with(evidence);
            }
            "client" | "tls-client" => client = true,
            "server" | "server-bridge" | "tls-server" | "mode" if arg(0) != "mode" || arg(1) == "server" => {
                server = true;
                c.details.push(body.to_owned());
                if remotes.is_empty() {
                    telling = Some(evidence());
                }
            }
            "port" | "lport" => {
                default_port = arg(1);
                port = Some((arg(1), evidence()));
            }
            "rport" => default_port = arg(1),
            "local" => address = arg(1),
            "proto" => {
                protocol = if arg(1).starts_with("tcp") { "tcp".into() } else { "udp".into() };
                c.details.push(format!("proto={}", arg(1)));
            }
            "dev" => c.interface = arg(1),
            "auth-user-pass"
            | "askpass"
            | "secret"
            | "key"
            | "pkcs12"
            | "tls-auth"
            | "tls-crypt"
            | "http-proxy-user-pass" => {
                once(&mut c.secrets, arg(0).as_str());
                if !arg(1).is_empty() {
                    c.details.push(format!("{}={}", arg(0), arg(1)));
                }
            }
            "redirect-gateway" | "redirect-private" => {
                c.default_route |= arg(0) == "redirect-gateway";
                c.details.push(body.to_owned());
            }
            "route" | "push" | "up" | "down" | "route-up" | "script-security" | "http-proxy" | "socks-proxy"
            | "ifconfig" | "ca" | "cert" | "plugin" | "management" | "dev-type" | "remote-random"
            | "client-config-dir"
                if c.details.len() < 200 =>
            {
                c.details.push(body.to_owned());
            }
            _ => {}
        }
    }
    if remotes.is_empty() && !server && c.interface.is_empty() {
        return;
    }
    for (host, own) in remotes {
        let port = if own.is_empty() { &default_port } else { &own };
        once(&mut c.endpoints, &format!("{host}:{port}"));
    }
    c.kind = "vpn".into();
    c.details.insert(0, format!("role={}", if server && !client { "server" } else { "client" }));
    let path = text.entry.path.display();
    let stem = decode(text.entry.path.file_name()).trim_end_matches(".conf").trim_end_matches(".ovpn").to_owned();
    let direct = path == format!("/etc/openvpn/{stem}.conf");
    let (enabled, by) = match (direct, start) {
        (true, Start::All(why)) => (true, format!("/etc/default/openvpn: {why}")),
        (true, Start::Some(names)) if names.contains(&stem) => {
            (true, format!("/etc/default/openvpn: AUTOSTART names {stem}"))
        }
        (true, Start::Some(_)) => {
            (false, format!("/etc/default/openvpn: AUTOSTART does not name it; {BY_UNIT} (openvpn@{stem})"))
        }
        (false, _) if path.starts_with("/etc/openvpn/client/") => (false, format!("{BY_UNIT} (openvpn-client@{stem})")),
        (false, _) if path.starts_with("/etc/openvpn/server/") => (false, format!("{BY_UNIT} (openvpn-server@{stem})")),
        _ => (false, BY_UNIT.to_owned()),
    };
    c.enabled = enabled;
    c.enabled_by = vec![by];
    c.name = path;
    c.evidence = telling.unwrap_or_else(|| text.evidence());
    if server && !client {
        let (port, evidence) = port.unwrap_or_else(|| ("1194".into(), c.evidence.clone()));
        out.push(Listener {
            protocol: protocol.into(),
            address,
            port,
            program: "openvpn".into(),
            evidence,
            ..Listener::default()
        });
    }
    out.push(c);
}
