//! Further servers with a file of their own: monitoring, logs, names and time.
use super::by_file::{FILE, each};
use super::{push, split};
use crate::artifact::Out;
use crate::artifact::linux::net::{bounded, is_yes};
use crate::evidence::System;
use crate::format::ini::Ini;
use crate::format::lines::{unquote, words};
use crate::format::tree::{Leaf, Tree};

pub(super) fn extract(system: &System, out: &Out) {
    monitoring(system, out);
    logs(system, out);
    names_and_time(system, out);
}

/// A port that an INI file sets, or its default where the file is there and says nothing.
struct Own {
    files: &'static [&'static str],
    section: &'static str,
    port: &'static str,
    address: &'static str,
    default: &'static str,
    program: &'static str,
}

fn monitoring(system: &System, out: &Out) {
    for own in [
        Own {
            files: &["/etc/grafana/grafana.ini", "/usr/local/etc/grafana/grafana.ini"],
            section: "server",
            port: "http_port",
            address: "http_addr",
            default: "3000",
            program: "grafana",
        },
        Own {
            files: &["/etc/zabbix/zabbix_agentd.conf", "/etc/zabbix/zabbix_agent2.conf"],
            section: "",
            port: "ListenPort",
            address: "ListenIP",
            default: "10050",
            program: "zabbix_agentd",
        },
        Own {
            files: &["/etc/nagios/nrpe.cfg"],
            section: "",
            port: "server_port",
            address: "server_address",
            default: "5666",
            program: "nrpe",
        },
        Own {
            files: &["/etc/webmin/miniserv.conf"],
            section: "",
            port: "port",
            address: "bind",
            default: "10000",
            program: "webmin",
        },
        Own {
            files: &["/etc/usermin/miniserv.conf"],
            section: "",
            port: "port",
            address: "bind",
            default: "20000",
            program: "usermin",
        },
        Own {
            files: &["/etc/mbusd/*.conf", "/etc/mbusd.conf"],
            section: "",
            port: "port",
            address: "address",
            default: "502",
            program: "mbusd",
        },
        Own {
            files: &["/root/.config/wayvnc/config", "/home/*/.config/wayvnc/config"],
            section: "",
            port: "port",
            address: "address",
            default: "5900",
            program: "wayvnc",
        },
    ] {
        out.each(system, own.files, |text| {
            let ini = Ini::parse(&text.bytes);
            let address = ini.get(own.section, own.address).unwrap_or_default().to_owned();
            if let Some(e) = ini.entry(own.section, own.port) {
                push(text, out, (e.line, e.run), own.port, own.program, "tcp", &address, &e.value);
            } else {
                let key = format!("{} (not set)", own.port);
                push(text, out, FILE, &key, own.program, "tcp", &address, own.default);
            }
        });
    }
    // Services of a section that may be off.
    out.each(system, &["/etc/influxdb/influxdb.conf", "/etc/influxdb/config.toml"], |text| {
        let tree = Tree::toml(&text.bytes);
        for l in tree.leaves.iter().filter(|l| matches!(l.key(), "bind-address" | "http-bind-address")) {
            let section = l.path.get(..l.path.len().saturating_sub(1)).unwrap_or_default();
            let same = |o: &&Leaf| o.key() == "enabled" && o.path.starts_with(section) && o.path.len() == l.path.len();
            let on = tree.leaves.iter().find(same).map(|o| o.value.as_str());
            // The web interface is on unless it is switched off; all others have to be switched on.
            let plain = section.is_empty() || section.first().is_some_and(|s| s == "http");
            if on.map_or(plain, is_yes) {
                let (address, port) = split(&l.value);
                push(text, out, (l.line, l.run), &l.dotted(), "influxd", "tcp", address, port);
            }
        }
    });
    out.each(system, &["/etc/telegraf/telegraf.conf", "/etc/telegraf/telegraf.d/*.conf"], |text| {
        let tree = Tree::toml(&text.bytes);
        for l in
            tree.leaves.iter().filter(|l| l.key() == "service_address" && l.path.first().is_some_and(|p| p == "inputs"))
        {
            let (protocol, rest) = l.value.split_once("://").unwrap_or(("tcp", &l.value));
            let (address, port) = split(rest);
            let protocol = if protocol.starts_with("udp") { "udp" } else { "tcp" };
            push(text, out, (l.line, l.run), &l.dotted(), "telegraf", protocol, address, port);
        }
    });
    out.each(system, &["/etc/mongod.conf", "/etc/mongodb.conf"], |text| {
        let tree = Tree::guess(b"mongod.yaml", &text.bytes);
        let address = tree.any(&["net.bindIp", "bind_ip"]).map_or("", |l| l.value.as_str()).to_owned();
        match tree.any(&["net.port", "port"]) {
            Some(l) => push(text, out, (l.line, l.run), &l.dotted(), "mongod", "tcp", &address, &l.value),
            None => push(text, out, FILE, "net.port (not set)", "mongod", "tcp", &address, "27017"),
        }
    });
    out.each(system, &["/etc/memcached.conf"], |text| {
        let (mut address, mut port, mut at) = (String::new(), "11211".to_owned(), FILE);
        each(text, out, |line, key, value| match key {
            "-l" => value.clone_into(&mut address),
            "-p" => {
                value.clone_into(&mut port);
                at = (line.number, line.run);
            }
            _ => {}
        });
        push(text, out, at, "-p", "memcached", "tcp", &address, &port);
    });
}

fn logs(system: &System, out: &Out) {
    out.each(system, &["/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"], |text| {
        let mut address = String::new();
        for line in bounded(text, out) {
            let body = line.text.trim();
            let at = (line.number, line.run);
            let w = words(body);
            match w.first().map(String::as_str) {
                Some("$UDPServerAddress") => w.get(1).cloned().unwrap_or_default().clone_into(&mut address),
                Some(key @ ("$UDPServerRun" | "$InputTCPServerRun" | "$InputRELPServerRun")) => {
                    let protocol = if key.contains("UDP") { "udp" } else { "tcp" };
                    push(text, out, at, key, "rsyslogd", protocol, &address, w.get(1).map_or("", String::as_str));
                }
                _ => {}
            }
            let flat = body.replace(' ', "");
            if let Some(input) = flat.strip_prefix("input(") {
                let get = |key: &str| {
                    let at = input.find(&format!("{key}=\""))?.checked_add(key.len())?.checked_add(2)?;
                    input.get(at..)?.split('"').next()
                };
                let kind = get("type").unwrap_or_default();
                if let Some(port) = get("port").filter(|_| matches!(kind, "imudp" | "imtcp" | "imptcp" | "imrelp")) {
                    let protocol = if kind == "imudp" { "udp" } else { "tcp" };
                    push(text, out, at, kind, "rsyslogd", protocol, get("address").unwrap_or_default(), port);
                }
            }
        }
    });
    out.each(system, &["/etc/syslog-ng/syslog-ng.conf", "/etc/syslog-ng/conf.d/*.conf"], |text| {
        let mut source = false;
        for line in bounded(text, out) {
            let body = line.text.split('#').next().unwrap_or_default().trim();
            if body.starts_with("source ") && body.contains('{') || body == "source" {
                source = true;
            } else if ["destination ", "filter ", "log ", "options "].iter().any(|w| body.starts_with(w)) {
                source = false;
            }
            if !source {
                continue;
            }
            for driver in ["network(", "udp(", "tcp(", "syslog(", "udp6(", "tcp6("] {
                let Some(found) = body.find(driver).filter(|at| {
                    // `tcp(` is no part of `transport(tcp)`.
                    *at == 0 || body.get(..*at).is_some_and(|b| b.ends_with([' ', '{', ';', '\t']))
                }) else {
                    continue;
                };
                let inner = body.get(found.saturating_add(driver.len())..).unwrap_or_default();
                let get = |key: &str| {
                    let at = inner.find(&format!("{key}("))?.checked_add(key.len())?.checked_add(1)?;
                    inner.get(at..)?.split(')').next().map(unquote)
                };
                let udp = driver.starts_with("udp") || get("transport").is_some_and(|t| t.contains("udp"));
                let port = get("port").unwrap_or(if driver.starts_with("tcp") || driver.starts_with("syslog") {
                    "601"
                } else {
                    "514"
                });
                let address = get("ip").or_else(|| get("localip")).unwrap_or_default();
                let key = driver.trim_end_matches('(');
                push(
                    text,
                    out,
                    (line.number, line.run),
                    key,
                    "syslog-ng",
                    if udp { "udp" } else { "tcp" },
                    address,
                    port,
                );
            }
        }
    });
    out.each(system, &["/etc/systemd/journal-remote.conf"], |text| {
        if let Some(s) = Ini::parse(&text.bytes).section("Remote").filter(|s| !s.entries.is_empty()) {
            push(text, out, (s.line, s.run), "Remote", "systemd-journal-remote", "tcp", "", "19532");
        }
    });
}

fn names_and_time(system: &System, out: &Out) {
    out.each(system, &["/etc/dnsmasq.conf", "/etc/dnsmasq.d/*"], |text| {
        let main = text.entry.path.bytes() == b"/etc/dnsmasq.conf";
        let (mut port, mut at, mut addresses) = (None, FILE, Vec::new());
        for line in bounded(text, out) {
            let body = line.text.trim();
            if body.starts_with('#') {
                continue;
            }
            let here = (line.number, line.run);
            let (key, value) = body.split_once('=').unwrap_or((body, ""));
            match key.trim() {
                "port" => {
                    port = Some(value.trim().to_owned());
                    at = here;
                }
                "listen-address" => {
                    at = here;
                    addresses.extend(value.split(',').map(|a| a.trim().to_owned()));
                }
                "dhcp-range" => push(text, out, here, "dhcp-range", "dnsmasq", "udp", "", "67"),
                "enable-tftp" => push(text, out, here, "enable-tftp", "dnsmasq", "udp", "", "69"),
                _ => {}
            }
        }
        if port.as_deref() == Some("0") || !main && port.is_none() && addresses.is_empty() {
            return;
        }
        if addresses.is_empty() {
            addresses.push(String::new());
        }
        let key = if at == FILE { "port (not set)" } else { "port" };
        for address in addresses.iter().take(64) {
            push(text, out, at, key, "dnsmasq", "udp", address, port.as_deref().unwrap_or("53"));
        }
    });
    out.each(
        system,
        &["/etc/bind/named.conf", "/etc/bind/named.conf.*", "/etc/named.conf", "/etc/named/*.conf"],
        |text| {
            for line in bounded(text, out) {
                let body = line.text.split("//").next().unwrap_or_default().trim();
                if let Some(rest) = body.strip_prefix("listen-on").filter(|r| r.starts_with([' ', '-', '{'])) {
                    let port = rest.split_once("port ").and_then(|(_, p)| p.split_whitespace().next()).unwrap_or("53");
                    let inner = rest.split_once('{').map_or("", |(_, i)| i).split('}').next().unwrap_or_default();
                    for address in inner.split(';').map(str::trim).filter(|a| !a.is_empty() && *a != "none").take(64) {
                        let address = if address == "any" { "" } else { address };
                        push(text, out, (line.number, line.run), "listen-on", "named", "udp", address, port);
                    }
                }
            }
        },
    );
    out.each(system, &["/etc/unbound/unbound.conf", "/etc/unbound/unbound.conf.d/*.conf"], |text| {
        let mut port = "53".to_owned();
        let mut found = Vec::new();
        each(text, out, |line, key, value| match key {
            "port:" => value.clone_into(&mut port),
            "interface:" => found.push(((line.number, line.run), value.to_owned())),
            _ => {}
        });
        for (at, value) in found.iter().take(64) {
            let (address, own) = value.split_once('@').unwrap_or((value, &port));
            push(text, out, *at, "interface", "unbound", "udp", address, own);
        }
    });
    out.each(system, &["/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/chrony/conf.d/*.conf"], |text| {
        let (mut port, mut address, mut on) = ("123".to_owned(), String::new(), None);
        each(text, out, |line, key, value| match key {
            "port" => value.clone_into(&mut port),
            "bindaddress" => value.clone_into(&mut address),
            "allow" => on = Some((line.number, line.run)),
            _ => {}
        });
        if let Some(at) = on.filter(|_| port != "0") {
            push(text, out, at, "allow", "chronyd", "udp", &address, &port);
        }
    });
    out.each(system, &["/etc/ntp.conf", "/etc/ntpsec/ntp.conf"], |text| {
        push(text, out, FILE, "(always)", "ntpd", "udp", "", "123");
    });
    out.each(system, &["/etc/avahi/avahi-daemon.conf"], |text| {
        push(text, out, FILE, "(always)", "avahi-daemon", "udp", "", "5353");
    });
    out.each(system, &["/etc/exports", "/etc/exports.d/*.exports"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim();
            if body.starts_with('/') || body.starts_with('"') {
                push(text, out, (line.number, line.run), "export", "nfsd", "tcp", "", "2049");
            }
        }
    });
}
