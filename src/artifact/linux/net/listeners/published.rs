//! Ports of containers, mail and web servers, and of servers for field buses.
use super::by_file::each;
use super::{push, split};
use crate::artifact::Out;
use crate::artifact::linux::net::{bounded, is_no};
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::format::ini::Ini;
use crate::format::lines::{unquote, words};
use crate::format::tags::tags;
use crate::format::tree::Tree;

pub(super) fn extract(system: &System, out: &Out) {
    containers(system, out);
    mail_and_web(system, out);
    industrial(system, out);
}

/// `8080:80`, `127.0.0.1:8001:8001/udp`, `80`: what of the host leads to a container.
fn published(value: &str) -> Option<(&str, &str, &'static str)> {
    let (rest, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let protocol = if protocol == "udp" { "udp" } else { "tcp" };
    let (host, _) = rest.rsplit_once(':')?;
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) => (address.trim_matches(['[', ']']), port),
        None => ("", host),
    };
    port.bytes().all(|b| b.is_ascii_digit() || b == b'-').then_some((address, port, protocol))
}

fn containers(system: &System, out: &Out) {
    const NAMES: &str = "{docker-compose*,compose*}.{yml,yaml}";
    let files: Vec<String> =
        ["/etc/**", "/opt/**", "/srv/**", "/root/**", "/home/**", "/data/**", "/var/lib/docker/compose/**"]
            .iter()
            .map(|root| format!("{}/{NAMES}", root.trim_end_matches("/**").to_owned() + "/**"))
            .chain(["/opt", "/srv", "/root", "/data"].map(|root| format!("{root}/{NAMES}")))
            .collect();
    out.each(system, &files.iter().map(String::as_str).collect::<Vec<_>>(), |text| {
        let tree = Tree::yaml(&text.bytes);
        for (name, _) in tree.groups("services") {
            let program = format!("container {name}");
            for l in tree.below(&format!("services.{name}.ports")) {
                let at = (l.line, l.run);
                if l.key() == "published" {
                    push(text, out, at, &l.dotted(), &program, "tcp", "", &l.value);
                } else if let Some((address, port, protocol)) = published(&l.value) {
                    push(text, out, at, &l.dotted(), &program, protocol, address, port);
                }
            }
        }
    });
    out.each(system, &["/var/lib/docker/containers/*/hostconfig.json"], |text| {
        let tree = Tree::json(&text.bytes);
        let id: String = text
            .entry
            .path
            .parent()
            .rsplit(|b| *b == b'/')
            .next()
            .map(String::from_utf8_lossy)
            .unwrap_or_default()
            .chars()
            .take(12)
            .collect();
        for l in tree.below("PortBindings").filter(|l| l.key() == "HostPort" && !l.value.is_empty()) {
            let protocol = if l.path.iter().any(|p| p.ends_with("/udp")) { "udp" } else { "tcp" };
            let beside = tree.leaves.iter().find(|o| {
                o.key() == "HostIp"
                    && o.path.len() == l.path.len()
                    && o.path.split_last().map(|p| p.1) == l.path.split_last().map(|p| p.1)
            });
            let address = beside.map_or("", |o| o.value.as_str());
            push(text, out, (l.line, l.run), "PortBindings", &format!("container {id}"), protocol, address, &l.value);
        }
    });
    out.each(
        system,
        &["/etc/containers/systemd/**.{container,pod,kube}", "/home/*/.config/containers/systemd/**.{container,pod}"],
        |text| {
            let name = crate::format::lines::decode(text.entry.path.file_name()).into_owned();
            for e in Ini::parse(&text.bytes).sections.iter().flat_map(|s| &s.entries).filter(|e| e.key == "PublishPort")
            {
                if let Some((address, port, protocol)) = published(&e.value) {
                    push(
                        text,
                        out,
                        (e.line, e.run),
                        "PublishPort",
                        &format!("container {name}"),
                        protocol,
                        address,
                        port,
                    );
                }
            }
        },
    );
}

fn mail_and_web(system: &System, out: &Out) {
    let interfaces = mail_interfaces(system, out);
    out.each(system, &["/etc/postfix/master.cf"], |text| {
        for line in bounded(text, out) {
            let w: Vec<&str> = line.text.split_whitespace().collect();
            if let [service, "inet", ..] = w.as_slice()
                && !line.text.starts_with([' ', '\t', '#'])
            {
                let (address, port) = service.rsplit_once(':').unwrap_or((&interfaces, service));
                let port = match port {
                    "smtp" => "25",
                    "smtps" | "submissions" => "465",
                    "submission" => "587",
                    other => other,
                };
                push(
                    text,
                    out,
                    (line.number, line.run),
                    service,
                    "postfix",
                    "tcp",
                    address.trim_matches(['[', ']']),
                    port,
                );
            }
        }
    });
    out.each(system, &["/etc/exim4/update-exim4.conf.conf"], |text| {
        each(text, out, |line, key, value| {
            if key == "dc_local_interfaces" {
                for address in unquote(value).split(';').map(str::trim).take(64) {
                    push(text, out, (line.number, line.run), key, "exim4", "tcp", address, "25");
                }
            }
        });
    });
    out.each(system, &["/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d/*.cfg"], |text| {
        each(text, out, |line, key, value| {
            if key == "bind" {
                for one in value.split_whitespace().next().unwrap_or_default().split(',').take(64) {
                    let (address, port) = split(one);
                    push(text, out, (line.number, line.run), key, "haproxy", "tcp", address, port);
                }
            }
        });
    });
    out.each(system, &["/etc/privoxy/config"], |text| {
        each(text, out, |line, key, value| {
            if key == "listen-address" {
                let (address, port) = split(value);
                push(text, out, (line.number, line.run), key, "privoxy", "tcp", address, port);
            }
        });
    });
    out.each(system, &["/etc/3proxy/3proxy.cfg", "/etc/3proxy.cfg", "/usr/local/etc/3proxy/3proxy.cfg"], |text| {
        for line in bounded(text, out) {
            let w = words(&line.text);
            let default = match w.first().map(String::as_str) {
                Some("proxy") => "3128",
                Some("socks") => "1080",
                Some("admin") => "80",
                Some("ftppr") => "21",
                _ => continue,
            };
            let port = w.iter().find_map(|a| a.strip_prefix("-p")).unwrap_or(default);
            let address = w.iter().find_map(|a| a.strip_prefix("-i")).unwrap_or_default();
            push(
                text,
                out,
                (line.number, line.run),
                w.first().map_or("", String::as_str),
                "3proxy",
                "tcp",
                address,
                port,
            );
        }
    });
    out.each(
        system,
        &["/etc/tomcat*/server.xml", "/opt/**/conf/server.xml", "/var/lib/tomcat*/conf/server.xml"],
        |text| {
            let (found, cut) = tags(&text.bytes);
            if cut {
                out.gap(text.entry, "budget: elements; the rest was not read");
            }
            for tag in found.iter().filter(|t| t.name == "Connector" && !t.closes) {
                let address = tag.get("address").unwrap_or_default();
                push(
                    text,
                    out,
                    (tag.line, tag.run),
                    "Connector",
                    "tomcat",
                    "tcp",
                    address,
                    tag.get("port").unwrap_or_default(),
                );
            }
        },
    );
}

/// What of this machine's addresses postfix takes mail at.
fn mail_interfaces(system: &System, out: &Out) -> String {
    let mut found = String::new();
    out.each(system, &["/etc/postfix/main.cf"], |text| {
        each(text, out, |_, key, value| {
            if key == "inet_interfaces" && value != "all" {
                value.replace("loopback-only", "127.0.0.1").clone_into(&mut found);
            }
        });
    });
    found
}

fn industrial(system: &System, out: &Out) {
    // Settings of OPC UA servers of the .NET stack.
    let roots = ["/opt", "/etc", "/usr/local", "/srv", "/home", "/root"];
    let files: Vec<String> = roots.iter().map(|r| format!("{r}/**.{{Config.xml,config.xml}}")).collect();
    out.each(system, &files.iter().map(String::as_str).collect::<Vec<_>>(), |text| opc_ua(text, out));
    out.each(system, &["/etc/{,codesyscontrol/,codesys/}CODESYSControl{,_User}.cfg"], |text| {
        let ini = Ini::parse(&text.bytes);
        for key in ["WebServerPortNr", "WebServerSecurePortNr"] {
            if let Some(e) = ini.entry("CmpWebServer", key) {
                push(text, out, (e.line, e.run), &format!("CmpWebServer.{key}"), "codesyscontrol", "tcp", "", &e.value);
            }
        }
    });
    out.each(system, &["/root/.vnc/config.d/*", "/etc/vnc/config.d/*", "/etc/vnc/config"], |text| {
        each(text, out, |line, key, value| {
            if key.eq_ignore_ascii_case("rfbport") && !is_no(value) {
                push(text, out, (line.number, line.run), key, "vncserver", "tcp", "", value);
            }
        });
    });
    out.each(system, &["/root/.x11vncrc", "/home/*/.x11vncrc", "/etc/x11vnc*.conf"], |text| {
        each(text, out, |line, key, value| {
            if key.trim_start_matches('-') == "rfbport" {
                push(text, out, (line.number, line.run), key, "x11vnc", "tcp", "", value);
            }
        });
    });
}

fn opc_ua(text: &Text<'_>, out: &Out) {
    let (found, cut) = tags(&text.bytes);
    if cut {
        out.gap(text.entry, "budget: elements; the rest was not read");
    }
    let mut inside = false;
    for tag in &found {
        let name = tag.name.rsplit(':').next().unwrap_or(&tag.name);
        if name == "BaseAddresses" {
            inside = !tag.closes;
        }
        if let Some(rest) = tag.text.trim().strip_prefix("opc.tcp://").filter(|_| inside && !tag.closes) {
            let (address, port) = split(rest.split('/').next().unwrap_or(rest));
            // Such an address tells the host's own name; it listens on all.
            let own = address.eq_ignore_ascii_case("localhost");
            let at: (u32, Run) = (tag.line, tag.run);
            push(text, out, at, "BaseAddresses", "opc-ua", "tcp", if own { "" } else { address }, port);
        }
    }
}
