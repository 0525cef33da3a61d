//! Reverse tunnels: frp, nps, rathole, phtunnel.
use super::{endpoint, listens, secrets, tunnel};
use crate::artifact::Out;
use crate::evidence::Text;
use crate::format::ini::Ini;
use crate::format::tree::Tree;

fn tree(text: &Text<'_>) -> Tree {
    Tree::guess(text.entry.path.file_name(), &text.bytes)
}

/// frpc and frps, in the old INI form and in the TOML, YAML and JSON forms.
pub(super) fn frp(text: &Text<'_>, out: &Out) -> bool {
    let tree = tree(text);
    // nps has a [common] section and server_addr, too, but a vkey and no server_port.
    if tree.named("vkey").is_some() {
        return false;
    }
    let old = tree.leaf("common.server_addr").filter(|_| tree.has("common.server_port"));
    let new = tree
        .leaf("serverAddr")
        .filter(|_| ["serverPort", "proxies", "visitors", "auth", "loginFailExit"].iter().any(|k| tree.has(k)));
    if let Some(server) = old.or(new) {
        let mut c = tunnel(text, "frp", server);
        let port = tree.any(&["common.server_port", "serverPort"]).map_or("7000", |p| p.value.as_str());
        c.endpoints.push(endpoint(&server.value, port));
        c.username = tree.any(&["common.user", "user"]).map(|u| u.value.clone()).unwrap_or_default();
        c.secrets = secrets(&tree);
        c.details.push("role=client".into());
        for key in [
            "common.protocol",
            "transport.protocol",
            "common.tls_enable",
            "transport.tls.enable",
            "common.login_fail_exit",
            "loginFailExit",
            "common.http_proxy",
            "transport.proxyURL",
        ] {
            if let Some(v) = tree.get(key) {
                c.details.push(format!("{}={}", key.trim_start_matches("common."), v));
            }
        }
        if old.is_some() {
            // Names of the old form may hold dots: they are sections, not paths.
            let ini = Ini::parse(&text.bytes);
            for s in ini.sections.iter().filter(|s| !s.name.is_empty() && s.name != "common").take(500) {
                c.details.push(proxy(&s.name, &|key| s.get(key).map(str::to_owned)));
            }
        } else {
            for list in ["proxies", "visitors"] {
                for (index, one) in tree.groups(list).into_iter().take(500) {
                    c.details.push(proxy(&format!("{list}.{index}"), &|key| one.get(key).map(str::to_owned)));
                }
            }
        }
        out.push(c);
        return true;
    }
    let bind = tree.any(&["common.bind_port", "bindPort"]);
    let server = [
        "common.vhost_http_port",
        "common.dashboard_port",
        "common.token",
        "common.subdomain_host",
        "common.bind_addr",
        "common.allow_ports",
        "vhostHTTPPort",
        "webServer",
        "auth",
        "subDomainHost",
        "allowPorts",
        "kcpBindPort",
    ];
    let Some(bind) = bind.filter(|_| server.iter().any(|k| tree.has(k))) else { return false };
    let mut c = tunnel(text, "frp", bind);
    c.details.push("role=server".into());
    c.secrets = secrets(&tree);
    let address = tree.any(&["common.bind_addr", "bindAddr"]).map_or("", |a| a.value.as_str());
    listens(text, out, "frps", "tcp", address, bind);
    for (paths, protocol) in [
        (["common.vhost_http_port", "vhostHTTPPort"], "tcp"),
        (["common.vhost_https_port", "vhostHTTPSPort"], "tcp"),
        (["common.dashboard_port", "webServer.port"], "tcp"),
        (["common.kcp_bind_port", "kcpBindPort"], "udp"),
        (["common.bind_udp_port", "quicBindPort"], "udp"),
    ] {
        if let Some(port) = tree.any(&paths) {
            listens(text, out, "frps", protocol, "", port);
        }
    }
    out.push(c);
    true
}

/// `proxy=ssh tcp 127.0.0.1:22 -> 6000`
fn proxy(at: &str, one: &dyn Fn(&str) -> Option<String>) -> String {
    let get = |names: &[&str]| names.iter().find_map(|n| one(n)).unwrap_or_default();
    let name = match get(&["name"]) {
        n if n.is_empty() => at.to_owned(),
        n => n,
    };
    let kind = get(&["type"]);
    let plugin = get(&["plugin", "plugin.type"]);
    let local = if plugin.is_empty() {
        let ip = get(&["local_ip", "localIP"]);
        endpoint(if ip.is_empty() { "127.0.0.1" } else { &ip }, &get(&["local_port", "localPort"]))
    } else {
        format!("plugin {plugin}")
    };
    let remote = get(&[
        "remote_port",
        "remotePort",
        "custom_domains",
        "customDomains",
        "customDomains.0",
        "subdomain",
        "serverName",
        "server_name",
        "bindPort",
        "bind_port",
    ]);
    format!("proxy={name} {kind} {local} -> {remote}")
}

/// npc (client) and nps (server).
pub(super) fn nps(text: &Text<'_>, out: &Out) -> bool {
    let ini = Ini::parse(&text.bytes);
    let tree = Tree::toml(&text.bytes);
    if let Some(server) = tree.named("server_addr").filter(|_| tree.named("vkey").is_some()) {
        let mut c = tunnel(text, "nps", server);
        c.endpoints.push(server.value.clone());
        c.secrets = secrets(&tree);
        tree.get("common.username").unwrap_or_default().clone_into(&mut c.username);
        c.details.push("role=client".into());
        for key in ["conn_type", "auto_reconnection", "proxy_url"] {
            if let Some(v) = tree.named(key) {
                c.details.push(format!("{key}={}", v.value));
            }
        }
        for s in ini.sections.iter().filter(|s| !s.name.is_empty() && s.name != "common").take(500) {
            let get = |k: &str| s.get(k).unwrap_or_default();
            let local = if get("target_addr").is_empty() { get("local_port") } else { get("target_addr") };
            c.details.push(format!(
                "proxy={} {} {local} -> {}",
                s.name,
                get("mode"),
                [get("server_port"), get("host")].concat()
            ));
        }
        out.push(c);
        return true;
    }
    let Some(bridge) =
        tree.named("bridge_port").filter(|_| tree.named("web_port").is_some() || tree.named("public_vkey").is_some())
    else {
        return false;
    };
    let mut c = tunnel(text, "nps", bridge);
    c.secrets = secrets(&tree);
    c.details.push("role=server".into());
    listens(text, out, "nps", "tcp", tree.named("bridge_ip").map_or("", |l| l.value.as_str()), bridge);
    for key in ["web_port", "http_proxy_port", "https_proxy_port"] {
        if let Some(port) = tree.named(key) {
            listens(text, out, "nps", "tcp", "", port);
        }
    }
    out.push(c);
    true
}

pub(super) fn rathole(text: &Text<'_>, out: &Out) -> bool {
    let tree = tree(text);
    let client = tree.leaf("client.remote_addr").filter(|_| tree.has("client.services"));
    let server = tree.leaf("server.bind_addr").filter(|_| tree.has("server.services"));
    let Some(at) = client.or(server) else { return false };
    let role = if client.is_some() { "client" } else { "server" };
    let mut c = tunnel(text, "rathole", at);
    c.details.push(format!("role={role}"));
    c.secrets = secrets(&tree);
    if client.is_some() {
        c.endpoints.push(at.value.clone());
    } else if let Some((address, port)) = at.value.rsplit_once(':') {
        let port = crate::format::tree::Leaf { value: port.to_owned(), ..at.clone() };
        listens(text, out, "rathole", "tcp", address, &port);
    }
    if let Some(v) = tree.get(&format!("{role}.transport.type")) {
        c.details.push(format!("transport={v}"));
    }
    for (name, one) in tree.groups(&format!("{role}.services")).into_iter().take(500) {
        let get = |k: &str| one.get(k).unwrap_or_default();
        c.details.push(format!("proxy={name} {} {}{}", get("type"), get("local_addr"), get("bind_addr")));
    }
    out.push(c);
    true
}

/// Oray's phtunnel and phddns.
pub(super) fn phtunnel(text: &Text<'_>, out: &Out) -> bool {
    let tree = tree(text);
    let Some(host) = tree.named("szHost").filter(|_| tree.named("szUserID").is_some()) else { return false };
    let mut c = tunnel(text, "phtunnel", host);
    c.endpoints.push(host.value.clone());
    c.username = tree.named("szUserID").map(|l| l.value.clone()).unwrap_or_default();
    if tree.named("szUserPWD").is_some_and(|l| !l.value.is_empty()) {
        c.secrets.push("szUserPWD".into());
    }
    out.push(c);
    true
}
