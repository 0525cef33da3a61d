//! Servers with a file of their own.
use super::{push, split};
use crate::artifact::Out;
use crate::artifact::linux::net::bounded;
use crate::artifact::linux::net::is_yes;
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::format::ini::Ini;
use crate::format::lines::{Line, unquote, words};
use crate::format::tree::Tree;

/// Whole file as the place of a default.
pub(super) const FILE: (u32, Run) = (0, Run::new(0, 0));

/// Lines of `key value`, comments cut off, one trailing `;` as well.
pub(super) fn each(text: &Text<'_>, out: &Out, mut then: impl FnMut(&Line<'_>, &str, &str)) {
    for line in bounded(text, out) {
        let body = line.text.split(" #").next().unwrap_or_default().trim().trim_end_matches(';').trim();
        if body.is_empty() || body.starts_with(['#', ';']) {
            continue;
        }
        let (key, value) = body.split_once([' ', '\t', '=']).unwrap_or((body, ""));
        then(&line, key.trim(), value.trim().trim_start_matches('=').trim());
    }
}

pub(super) fn extract(system: &System, out: &Out) {
    ssh(system, out);
    web(system, out);
    files_and_screens(system, out);
    data(system, out);
    industrial(system, out);
    proxies(system, out);
}

fn ssh(system: &System, out: &Out) {
    let mut ports: Vec<(String, String)> = Vec::new();
    let mut any = false;
    let mut main = None;
    let files =
        ["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf", "/usr/local/etc/sshd_config", "/opt/**sshd_config*"];
    out.each(system, &files, |text| {
        if text.entry.path.bytes() == b"/etc/ssh/sshd_config" {
            main = Some(text.entry.path.clone());
        }
        let mut inside_match = false;
        each(text, out, |line, key, value| match key.to_ascii_lowercase().as_str() {
            "match" => inside_match = true,
            "port" if !inside_match => {
                any = true;
                ports.push((value.to_owned(), String::new()));
                push(text, out, (line.number, line.run), "Port", "sshd", "tcp", "", value);
            }
            "listenaddress" if !inside_match => {
                let first = value.split_whitespace().next().unwrap_or_default();
                let many = first.matches(':').count() > 1 && !first.starts_with('[');
                let (address, port) = if many { (first, "") } else { split(first) };
                let port = if port.is_empty() {
                    ports.first().map_or("22", |p| p.0.as_str()).to_owned()
                } else {
                    port.to_owned()
                };
                any = true;
                push(text, out, (line.number, line.run), "ListenAddress", "sshd", "tcp", address, &port);
            }
            _ => {}
        });
    });
    if let Some(entry) = main.filter(|_| !any).and_then(|p| system.resolve(p.bytes()))
        && let Some(text) = out.read(system, entry)
    {
        push(&text, out, FILE, "Port (not set)", "sshd", "tcp", "", "22");
    }
    out.each(system, &["/etc/default/dropbear", "/etc/dropbear/dropbear.conf"], |text| {
        each(text, out, |line, key, value| {
            let value = unquote(value);
            match key {
                "DROPBEAR_PORT" if !value.is_empty() => {
                    push(text, out, (line.number, line.run), key, "dropbear", "tcp", "", value);
                }
                "DROPBEAR_EXTRA_ARGS" => {
                    let w = words(value);
                    for (at, _) in w.iter().enumerate().filter(|(_, a)| *a == "-p") {
                        let (address, port) = split(w.get(at.saturating_add(1)).map_or("", String::as_str));
                        push(text, out, (line.number, line.run), key, "dropbear", "tcp", address, port);
                    }
                }
                _ => {}
            }
        });
    });
}

fn web(system: &System, out: &Out) {
    out.each(
        system,
        &[
            "/etc/nginx/nginx.conf",
            "/etc/nginx/conf.d/**",
            "/etc/nginx/sites-enabled/*",
            "/etc/nginx/modules-enabled/*",
            "/etc/nginx/stream*/**",
            "/usr/local/nginx/conf/*.conf",
        ],
        |text| {
            each(text, out, |line, key, value| {
                if key == "listen"
                    && let Some(first) = value.split_whitespace().next()
                {
                    let first = first.trim_end_matches(';');
                    let udp = value.contains(" udp");
                    if let Some(path) = first.strip_prefix("unix:") {
                        push(text, out, (line.number, line.run), key, "nginx", "unix", path, "");
                    } else {
                        let (address, port) = split(first);
                        push(
                            text,
                            out,
                            (line.number, line.run),
                            key,
                            "nginx",
                            if udp { "udp" } else { "tcp" },
                            address,
                            if port.is_empty() { "80" } else { port },
                        );
                    }
                }
            });
        },
    );
    out.each(
        system,
        &[
            "/etc/apache2/ports.conf",
            "/etc/apache2/apache2.conf",
            "/etc/apache2/sites-enabled/*",
            "/etc/apache2/conf-enabled/*",
            "/etc/httpd/conf/**.conf",
            "/etc/httpd/conf.d/*.conf",
        ],
        |text| {
            each(text, out, |line, key, value| {
                if key == "Listen" {
                    let (address, port) = split(value.split_whitespace().next().unwrap_or_default());
                    push(text, out, (line.number, line.run), key, "apache", "tcp", address, port);
                }
            });
        },
    );
    out.each(
        system,
        &["/etc/lighttpd/lighttpd.conf", "/etc/lighttpd/conf-enabled/*", "/etc/lighttpd/conf.d/*.conf"],
        |text| {
            let mut bind = String::new();
            each(text, out, |line, key, value| match key {
                "server.bind" => unquote(value).clone_into(&mut bind),
                "server.port" => push(text, out, (line.number, line.run), key, "lighttpd", "tcp", &bind, value),
                k if k.starts_with("$SERVER[\"socket\"]") => {
                    let socket = line.text.split('"').nth(3).unwrap_or_default();
                    let (address, port) = split(socket);
                    push(text, out, (line.number, line.run), "$SERVER[\"socket\"]", "lighttpd", "tcp", address, port);
                }
                _ => {}
            });
        },
    );
}

fn files_and_screens(system: &System, out: &Out) {
    out.each(system, &["/etc/vsftpd.conf", "/etc/vsftpd/*.conf"], |text| {
        let (mut on, mut port, mut address) = (None, "21".to_owned(), String::new());
        each(text, out, |line, key, value| match key {
            "listen" | "listen_ipv6" if is_yes(value) => on = Some((line.number, line.run)),
            "listen_port" => value.clone_into(&mut port),
            "listen_address" => value.clone_into(&mut address),
            _ => {}
        });
        if let Some(at) = on {
            push(text, out, at, "listen", "vsftpd", "tcp", &address, &port);
        }
    });
    out.each(system, &["/etc/proftpd/proftpd.conf", "/etc/proftpd.conf"], |text| {
        each(text, out, |line, key, value| {
            if key == "Port" && value != "0" {
                push(text, out, (line.number, line.run), key, "proftpd", "tcp", "", value);
            }
        });
    });
    out.each(system, &["/etc/rsyncd.conf"], |text| {
        let ini = Ini::parse(&text.bytes);
        let port = ini.entry("", "port");
        if !ini.sections.iter().all(|s| s.name.is_empty()) || port.is_some() {
            let address = ini.get("", "address").unwrap_or_default();
            push(
                text,
                out,
                port.map_or(FILE, |p| (p.line, p.run)),
                "port",
                "rsync",
                "tcp",
                address,
                port.map_or("873", |p| p.value.as_str()),
            );
        }
    });
    out.each(system, &["/etc/samba/smb.conf"], |text| {
        let ini = Ini::parse(&text.bytes);
        let ports = ini.get("global", "smb ports").unwrap_or("445 139").to_owned();
        let only = ini.get("global", "bind interfaces only").is_some_and(is_yes);
        let address = if only { ini.get("global", "interfaces").unwrap_or_default() } else { "" };
        let at = ini.section("global").map_or(FILE, |s| (s.line, s.run));
        for port in ports.split_whitespace() {
            push(text, out, at, "global", "smbd", "tcp", address, port);
        }
    });
    out.each(system, &["/etc/default/tftpd-hpa"], |text| {
        each(text, out, |line, key, value| {
            if key == "TFTP_ADDRESS" {
                let (address, port) = split(unquote(value));
                push(text, out, (line.number, line.run), key, "tftpd", "udp", address, port);
            }
        });
    });
    out.each(system, &["/etc/xrdp/xrdp.ini"], |text| {
        let ini = Ini::parse(&text.bytes);
        if let Some(e) = ini.entry("Globals", "port") {
            for value in e.value.split([' ', ',']).filter(|v| !v.is_empty()) {
                let plain = value.trim_start_matches("tcp://").trim_start_matches("tcp6://");
                if value.starts_with("unix:") || value.starts_with("vsock:") {
                    push(text, out, (e.line, e.run), "Globals.port", "xrdp", "unix", value, "");
                } else {
                    let (address, port) = split(plain);
                    push(
                        text,
                        out,
                        (e.line, e.run),
                        "Globals.port",
                        "xrdp",
                        "tcp",
                        address.trim_start_matches('.'),
                        port,
                    );
                }
            }
        }
    });
    out.each(system, &["/root/.vnc/config", "/home/*/.vnc/config", "/etc/tigervnc/vncserver-config-*"], |text| {
        each(text, out, |line, key, value| {
            if key == "rfbport" || key == "$rfbport" {
                push(text, out, (line.number, line.run), key, "vncserver", "tcp", "", value);
            }
        });
    });
    out.each(system, &["/etc/tigervnc/vncserver.users"], |text| {
        for line in bounded(text, out) {
            if let Some((display, _)) = line.text.trim().strip_prefix(':').and_then(|l| l.split_once('='))
                && let Ok(display) = display.parse::<u16>()
            {
                push(
                    text,
                    out,
                    (line.number, line.run),
                    "vncserver.users",
                    "vncserver",
                    "tcp",
                    "",
                    &5900_u16.saturating_add(display).to_string(),
                );
            }
        }
    });
    out.each(system, &["/etc/snmp/snmpd.conf", "/etc/snmp/snmpd.conf.d/*.conf"], |text| {
        each(text, out, |line, key, value| {
            if key.eq_ignore_ascii_case("agentaddress") {
                for one in value.split([',', ' ']).filter(|v| !v.is_empty()) {
                    let (protocol, rest) = match one.split_once(':') {
                        Some((p @ ("udp" | "udp6" | "tcp" | "tcp6"), rest)) => {
                            (if p.starts_with("udp") { "udp" } else { "tcp" }, rest)
                        }
                        _ => ("udp", one),
                    };
                    let (address, port) = split(rest);
                    push(
                        text,
                        out,
                        (line.number, line.run),
                        key,
                        "snmpd",
                        protocol,
                        address,
                        if port.is_empty() { "161" } else { port },
                    );
                }
            }
        });
    });
    out.each(system, &["/etc/cups/cupsd.conf"], |text| {
        each(text, out, |line, key, value| match key {
            "Port" => push(text, out, (line.number, line.run), key, "cups", "tcp", "", value),
            "Listen" if !value.starts_with('/') => {
                let (address, port) = split(value);
                push(text, out, (line.number, line.run), key, "cups", "tcp", address, port);
            }
            _ => {}
        });
    });
}

fn data(system: &System, out: &Out) {
    out.each(system, &["/etc/postgresql/*/*/postgresql.conf", "/var/lib/pgsql/**postgresql.conf"], |text| {
        let mut address = "localhost".to_owned();
        let mut port: Option<((u32, Run), String)> = None;
        each(text, out, |line, key, value| match key {
            "listen_addresses" => unquote(value.split('#').next().unwrap_or_default()).clone_into(&mut address),
            "port" => {
                port = Some(((line.number, line.run), value.split_whitespace().next().unwrap_or_default().to_owned()));
            }
            _ => {}
        });
        let (at, port) = port.unwrap_or((FILE, "5432".into()));
        push(text, out, at, "port", "postgres", "tcp", &address, &port);
    });
    out.each(system, &["/etc/mysql/**.cnf", "/etc/my.cnf", "/etc/my.cnf.d/*.cnf"], |text| {
        let ini = Ini::parse(&text.bytes);
        for s in ini.sections.iter().filter(|s| matches!(s.name.as_str(), "mysqld" | "mariadb" | "server" | "mariadbd"))
        {
            if let Some(e) = s.entry("bind-address").or_else(|| s.entry("bind_address")).or_else(|| s.entry("port")) {
                push(
                    text,
                    out,
                    (e.line, e.run),
                    &format!("{}.{}", s.name, e.key),
                    "mysqld",
                    "tcp",
                    s.get("bind-address").or_else(|| s.get("bind_address")).unwrap_or_default(),
                    s.get("port").unwrap_or("3306"),
                );
            }
        }
    });
    out.each(system, &["/etc/redis/*.conf", "/etc/redis.conf"], |text| {
        let mut address = String::new();
        each(text, out, |line, key, value| match key {
            "bind" => value.clone_into(&mut address),
            "port" if value != "0" => push(text, out, (line.number, line.run), key, "redis", "tcp", &address, value),
            _ => {}
        });
    });
    out.each(system, &["/etc/mosquitto/mosquitto.conf", "/etc/mosquitto/conf.d/*.conf"], |text| {
        each(text, out, |line, key, value| {
            let mut w = value.split_whitespace();
            let (port, address) = (w.next().unwrap_or_default(), w.next().unwrap_or_default());
            match key {
                "listener" if port == "0" => {
                    push(text, out, (line.number, line.run), key, "mosquitto", "unix", address, "");
                }
                "listener" | "port" => push(text, out, (line.number, line.run), key, "mosquitto", "tcp", address, port),
                _ => {}
            }
        });
    });
    out.each(system, &["/etc/docker/daemon.json"], |text| {
        let tree = Tree::json(&text.bytes);
        for l in tree.below("hosts") {
            if let Some(rest) = l.value.strip_prefix("tcp://") {
                let (address, port) = split(rest);
                push(text, out, (l.line, l.run), "hosts", "dockerd", "tcp", address, port);
            }
        }
    });
}

fn industrial(system: &System, out: &Out) {
    out.each(
        system,
        &[
            "/root/.node-red/settings.js",
            "/home/*/.node-red/settings.js",
            "/opt/**node-red/settings.js",
            "/data/settings.js",
        ],
        |text| {
            for line in bounded(text, out) {
                if let Some(value) = line.text.trim().strip_prefix("uiPort:") {
                    // `process.env.PORT || 1880`
                    let port: String = value
                        .chars()
                        .rev()
                        .skip_while(|c| !c.is_ascii_digit())
                        .take_while(char::is_ascii_digit)
                        .collect();
                    push(
                        text,
                        out,
                        (line.number, line.run),
                        "uiPort",
                        "node-red",
                        "tcp",
                        "",
                        &port.chars().rev().collect::<String>(),
                    );
                }
            }
        },
    );
    // The runtime and the gateway listen on these unless told otherwise.
    for (pattern, section, key, default, program) in [
        ("/etc/{,codesyscontrol/,codesys/}CODESYSControl.cfg", "CmpBlkDrvTcp", "Port", "11740", "codesyscontrol"),
        ("/etc/{,codesysedge/,codesys/}Gateway.cfg", "CmpGwCommDrvTcp", "ListenPort", "1217", "codesys-gateway"),
        ("/etc/codesyscontrol/CODESYSControl_User.cfg", "CmpOPCUAServer", "NetworkPort", "4840", "codesyscontrol"),
    ] {
        out.each(system, &[pattern], |text| {
            let ini = Ini::parse(&text.bytes);
            match ini.entry(section, key) {
                Some(e) => push(text, out, (e.line, e.run), &format!("{section}.{key}"), program, "tcp", "", &e.value),
                None if default != "4840" => {
                    push(text, out, FILE, &format!("{section}.{key} (not set)"), program, "tcp", "", default);
                }
                None => {}
            }
        });
    }
    out.each(system, &["/etc/ser2net.conf"], |text| {
        for line in bounded(text, out) {
            let parts: Vec<&str> = line.text.trim().split(':').collect();
            if let [port, mode @ ("raw" | "rawlp" | "telnet"), _, device, ..] = parts.as_slice()
                && !port.starts_with('#')
            {
                let (address, port) = port.split_once(',').unwrap_or(("", port));
                push(text, out, (line.number, line.run), &format!("{mode} {device}"), "ser2net", "tcp", address, port);
            }
        }
    });
    out.each(system, &["/etc/ser2net.yaml", "/etc/ser2net/*.yaml"], |text| {
        let tree = Tree::yaml(&text.bytes);
        for l in tree.leaves.iter().filter(|l| l.key() == "accepter") {
            let value = l.value.rsplit_once("tcp,").map_or("", |(_, v)| v);
            if !value.is_empty() {
                let (address, port) = value.rsplit_once(',').unwrap_or(("", value));
                push(text, out, (l.line, l.run), "accepter", "ser2net", "tcp", address, port);
            }
        }
    });
}

fn proxies(system: &System, out: &Out) {
    out.each(system, &["/etc/squid/squid.conf", "/etc/squid/conf.d/*.conf"], |text| {
        each(text, out, |line, key, value| {
            if matches!(key, "http_port" | "https_port") {
                let (address, port) = split(value.split_whitespace().next().unwrap_or_default());
                push(text, out, (line.number, line.run), key, "squid", "tcp", address, port);
            }
        });
    });
    out.each(system, &["/etc/tinyproxy/tinyproxy.conf", "/etc/tinyproxy.conf"], |text| {
        each(text, out, |line, key, value| {
            if key == "Port" {
                push(text, out, (line.number, line.run), key, "tinyproxy", "tcp", "", value);
            }
        });
    });
    out.each(system, &["/etc/danted.conf", "/etc/sockd.conf"], |text| {
        each(text, out, |line, key, value| {
            if key == "internal:" || key == "internal" {
                let address = value.trim_start_matches(':').split_whitespace().next().unwrap_or_default();
                let port = value.rsplit_once('=').map_or("1080", |(_, p)| p.trim());
                push(text, out, (line.number, line.run), "internal", "danted", "tcp", address, port);
            }
        });
    });
    out.each(system, &["/etc/ocserv/ocserv.conf"], |text| {
        each(text, out, |line, key, value| {
            if let Some(protocol) = key.strip_suffix("-port").filter(|p| matches!(*p, "tcp" | "udp")) {
                push(text, out, (line.number, line.run), key, "ocserv", protocol, "", value);
            }
        });
    });
    out.each(system, &["/etc/rinetd.conf"], |text| {
        for line in bounded(text, out) {
            let w: Vec<&str> = line.text.split_whitespace().collect();
            if let [address, port, _, _, ..] = w.as_slice()
                && port.split('/').next().is_some_and(|p| p.parse::<u16>().is_ok())
                && !address.starts_with('#')
            {
                let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
                push(text, out, (line.number, line.run), &line.text, "rinetd", protocol, address, port);
            }
        }
    });
}
