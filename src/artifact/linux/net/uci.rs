//! OpenWrt and its kin: network, wireless, firewall, names and listening servers in `/etc/config`.
//! Format: the UCI system's documentation; protocol names of netifd's handlers.
use super::{BY_UNIT, cite, is_no, is_yes, kind_of_interface, once, problems};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::uci::{Entry, Section, parse};
use crate::inventory::{Connection, FirewallRule, Interface, Listener, NameSetting, Route};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.uci",
    about: "OpenWrt settings: interfaces with cellular and tunnel protocols, Wi-Fi, firewall, names, servers",
    os: Os::Linux,
    reads: &["/etc/config/*"],
    references: &[
        "https://openwrt.org/docs/guide-user/base-system/uci",
        "https://openwrt.org/docs/guide-user/network/wan/wan_interface_protocols",
    ],
    extract,
};

fn extract(system: &System, out: &Out) {
    out.each(system, &["/etc/config/*"], |text| {
        let read: fn(&Text<'_>, &[Section], &Out) = match text.entry.path.file_name() {
            b"network" => network,
            b"wireless" => wireless,
            b"firewall" => firewall,
            b"dhcp" | b"system" => names,
            b"dropbear" | b"uhttpd" | b"ttyd" | b"telnet" | b"telnetd" | b"nginx" | b"vsftpd" => servers,
            b"frpc" | b"frp" | b"openvpn" | b"zerotier" | b"rtty" | b"qmodem" | b"modem" | b"hypermodem"
            | b"gobinetmodem" | b"pcimodem" | b"sshtunnel" | b"autossh" | b"phtunnel" | b"pgyvpn" | b"npc"
            | b"tailscale" => tools,
            _ => return,
        };
        let (sections, bad) = parse(&text.bytes);
        problems(text, out, &bad);
        read(text, &sections, out);
    });
}

fn at(text: &Text<'_>, s: &Section, e: Option<&Entry>) -> Evidence {
    match e {
        Some(e) => {
            cite(text, e.line, e.run, &format!("{}.{}", if s.name.is_empty() { &s.kind } else { &s.name }, e.key))
        }
        None => cite(text, s.line, s.run, &s.name),
    }
}

fn value(s: &Section, keys: &[&str]) -> String {
    keys.iter().find_map(|k| s.get(k)).unwrap_or_default().to_owned()
}

fn secrets(s: &Section) -> Vec<String> {
    let mut names = Vec::new();
    for e in s
        .entries
        .iter()
        .filter(|e| (is_secret(&e.key) || e.key == "key" && s.kind == "wifi-iface") && !e.value.is_empty())
    {
        once(&mut names, &e.key);
    }
    names
}

fn rest(s: &Section, keys: &[&str]) -> Vec<String> {
    s.entries.iter().filter(|e| keys.contains(&e.key.as_str())).map(|e| format!("{}={}", e.key, e.value)).collect()
}

/// Handlers of cellular modems.
const CELLULAR: &[&str] = &[
    "qmi",
    "mbim",
    "ncm",
    "3g",
    "modemmanager",
    "directip",
    "wwan",
    "quectel",
    "xmm",
    "fibocom",
    "gobinet",
    "sierra",
    "mhi",
    "rmnet",
    "cdc",
];

fn network(text: &Text<'_>, sections: &[Section], out: &Out) {
    for s in sections {
        if s.kind == "route" || s.kind == "route6" {
            out.push(Route {
                destination: [value(s, &["target"]), s.get("netmask").map(|m| format!("/{m}")).unwrap_or_default()]
                    .concat(),
                gateway: value(s, &["gateway"]),
                interface: value(s, &["interface"]),
                manager: "uci".into(),
                evidence: at(text, s, s.entry("target")),
                ..Route::default()
            });
        }
        if s.kind != "interface" {
            continue;
        }
        let proto = value(s, &["proto"]);
        let off = s.get("auto").is_some_and(is_no) || s.get("disabled").is_some_and(is_yes);
        let device = value(s, &["device", "ifname"]);
        for e in s.all("dns") {
            for v in super::list(&e.value) {
                out.push(NameSetting {
                    kind: "nameserver".into(),
                    value: v,
                    scope: s.name.clone(),
                    evidence: at(text, s, Some(e)),
                    ..NameSetting::default()
                });
            }
        }
        let kind = match proto.as_str() {
            p if CELLULAR.contains(&p) => Some("gsm"),
            "ppp" => Some(if super::ppp::is_modem_tty(&device) { "ppp-modem" } else { "ppp-serial" }),
            "pppoe" => Some("pppoe"),
            "pppoa" => Some("pppoa"),
            "pptp" => Some("pptp"),
            "l2tp" => Some("l2tp"),
            "wireguard" => Some("wireguard"),
            "vpnc" | "openconnect" | "openfortivpn" | "sstp" => Some("vpn"),
            "gre" | "gretap" | "grev6" | "vxlan" | "ipip" | "6in4" | "vti" | "xfrm" | "externalvpn" | "wgclient" => {
                Some("tunnel")
            }
            _ => None,
        };
        let method = match proto.as_str() {
            "none" | "" => "manual".to_owned(),
            other => other.to_owned(),
        };
        out.push(Interface {
            name: s.name.clone(),
            manager: "uci".into(),
            kind: match kind {
                Some("gsm") => "wwan".into(),
                Some("wireguard" | "vpn" | "tunnel" | "pptp" | "l2tp") => "tunnel".into(),
                Some(_) => "ppp".into(),
                None if s.get("type") == Some("bridge") => "bridge".into(),
                None => kind_of_interface(&device).into(),
            },
            method,
            addresses: s
                .all("ipaddr")
                .chain(s.all("ip6addr"))
                .chain(s.all("addresses"))
                .map(|e| e.value.clone())
                .collect(),
            gateway: s.all("gateway").map(|e| e.value.clone()).collect(),
            mac: value(s, &["macaddr"]),
            auto: !off,
            details: rest(s, &["device", "ifname", "netmask", "type", "metric"]),
            evidence: at(text, s, s.entry("proto")),
            ..Interface::default()
        });
        let Some(kind) = kind else { continue };
        let mut c = Connection {
            name: s.name.clone(),
            manager: "uci".into(),
            kind: kind.into(),
            enabled: !off,
            enabled_by: vec![match (s.get("auto"), s.get("disabled")) {
                (Some(v), _) => format!("auto={v}"),
                (_, Some(v)) => format!("disabled={v}"),
                _ => "auto (not set: 1)".into(),
            }],
            interface: value(s, &["ifname"]),
            device,
            apn: value(s, &["apn"]),
            number: value(s, &["dialnumber"]),
            username: value(s, &["username"]),
            secrets: secrets(s),
            default_route: !s.get("defaultroute").is_some_and(is_no),
            details: rest(
                s,
                &[
                    "proto",
                    "pdptype",
                    "service",
                    "auth",
                    "plmn",
                    "modes",
                    "iptype",
                    "allow_roaming",
                    "metric",
                    "listen_port",
                ],
            ),
            evidence: at(text, s, s.entry("apn").or_else(|| s.entry("proto"))),
            ..Connection::default()
        };
        for key in ["server", "peeraddr", "remote", "peer"] {
            if let Some(v) = s.get(key) {
                once(&mut c.endpoints, v);
            }
        }
        let peers = format!("wireguard_{}", s.name);
        for p in sections.iter().filter(|p| p.kind == peers) {
            if let Some(host) = p.entry("endpoint_host") {
                once(
                    &mut c.endpoints,
                    &super::key_sets::endpoint(&host.value, p.get("endpoint_port").unwrap_or("51820")),
                );
                c.evidence = at(text, p, Some(host));
            }
            for e in p.all("allowed_ips") {
                c.details.push(format!("allowed_ips={}", e.value));
            }
            for n in secrets(p) {
                once(&mut c.secrets, &n);
            }
        }
        if kind == "wireguard" {
            c.default_route = sections
                .iter()
                .filter(|p| p.kind == peers && p.get("route_allowed_ips").is_some_and(is_yes))
                .any(|p| p.all("allowed_ips").any(|e| e.value == "0.0.0.0/0" || e.value == "::/0"));
            if let Some(port) = s.entry("listen_port") {
                out.push(Listener {
                    protocol: "udp".into(),
                    address: "*".into(),
                    port: port.value.clone(),
                    program: "wireguard".into(),
                    evidence: at(text, s, Some(port)),
                    ..Listener::default()
                });
            }
        }
        out.push(c);
    }
}

fn wireless(text: &Text<'_>, sections: &[Section], out: &Out) {
    for s in sections.iter().filter(|s| s.kind == "wifi-iface") {
        let radio = value(s, &["device"]);
        let radio_off = sections
            .iter()
            .any(|r| r.kind == "wifi-device" && r.name == radio && r.get("disabled").is_some_and(is_yes));
        let off = s.get("disabled").is_some_and(is_yes);
        let Some(ssid) = s.entry("ssid").or_else(|| s.entry("mesh_id")) else { continue };
        out.push(Connection {
            name: ssid.value.clone(),
            manager: "uci".into(),
            kind: if s.get("mode") == Some("sta") { "wifi".into() } else { "wifi-ap".into() },
            enabled: !off && !radio_off,
            enabled_by: vec![if radio_off {
                format!("{radio} is disabled")
            } else {
                format!("disabled={}", s.get("disabled").unwrap_or("0 (not set)"))
            }],
            interface: value(s, &["network"]),
            device: radio,
            endpoints: vec![ssid.value.clone()],
            secrets: secrets(s),
            details: rest(s, &["mode", "encryption", "hidden", "bssid"]),
            // The name of the key's setting does not tell that it is one: the line of the name is cited.
            evidence: at(text, s, Some(ssid)),
            ..Connection::default()
        });
    }
}

fn firewall(text: &Text<'_>, sections: &[Section], out: &Out) {
    for s in sections {
        let target = value(s, &["target"]).to_ascii_lowercase();
        let action = match s.kind.as_str() {
            // Whatever its target, it rewrites the sender.
            kind if kind == "nat" || kind == "zone" && s.get("masq").is_some_and(is_yes) => "masquerade",
            "zone" | "defaults" => "policy",
            "forwarding" => "forward",
            "redirect" if target == "snat" => "snat",
            "redirect" => "dnat",
            "rule" => match target.as_str() {
                "accept" => "accept",
                "drop" => "drop",
                "reject" => "reject",
                _ => "other",
            },
            "include" => "other",
            _ => continue,
        };
        if s.get("enabled").is_some_and(is_no) {
            continue;
        }
        let rule: Vec<String> = s.entries.iter().map(|e| format!("{}={}", e.key, e.value)).collect();
        out.push(FirewallRule {
            manager: "uci".into(),
            chain: s.kind.clone(),
            rule: rule.join(" "),
            action: action.into(),
            evidence: at(text, s, None),
            ..FirewallRule::default()
        });
    }
}

fn names(text: &Text<'_>, sections: &[Section], out: &Out) {
    for s in sections {
        for e in &s.entries {
            let (kind, value) = match (s.kind.as_str(), e.key.as_str()) {
                ("dnsmasq", "server") => ("nameserver", e.value.clone()),
                ("dnsmasq", "address") => ("host", e.value.clone()),
                ("timeserver", "server") => ("ntp", e.value.clone()),
                ("domain", "ip") => ("host", format!("{} {}", e.value, s.get("name").unwrap_or_default())),
                _ => continue,
            };
            out.push(NameSetting {
                kind: kind.into(),
                value,
                scope: s.kind.clone(),
                evidence: at(text, s, Some(e)),
                ..NameSetting::default()
            });
        }
    }
}

fn servers(text: &Text<'_>, sections: &[Section], out: &Out) {
    let program = crate::format::lines::decode(text.entry.path.file_name()).into_owned();
    for s in sections.iter().filter(|s| {
        !s.get("enable").is_some_and(is_no)
            && !s.get("enabled").is_some_and(is_no)
            && !s.get("disabled").is_some_and(is_yes)
    }) {
        for e in &s.entries {
            let port = match e.key.as_str() {
                "Port" | "port" | "listen_http" | "listen_https" | "listen_port" => &e.value,
                _ => continue,
            };
            let (address, port) = port.rsplit_once(':').unwrap_or(("*", port));
            out.push(Listener {
                protocol: "tcp".into(),
                address: address.to_owned(),
                port: port.to_owned(),
                program: program.clone(),
                evidence: at(text, s, Some(e)),
                ..Listener::default()
            });
        }
    }
}

/// Tunnels and dialers that keep their settings here.
fn tools(text: &Text<'_>, sections: &[Section], out: &Out) {
    let tool = crate::format::lines::decode(text.entry.path.file_name()).into_owned();
    let modem = matches!(tool.as_str(), "qmodem" | "modem" | "hypermodem" | "gobinetmodem" | "pcimodem");
    for s in sections {
        let far = ["server_addr", "server", "host", "hostname", "remote", "szHost", "join", "id"]
            .iter()
            .find_map(|k| s.entry(k))
            .filter(|e| !e.value.is_empty());
        let telling = if modem { s.entry("apn").or_else(|| s.entry("enable_dial")) } else { far };
        let Some(telling) = telling else { continue };
        let switch = ["enabled", "enable", "enable_dial"].iter().find_map(|k| s.entry(k));
        let mut c = Connection {
            name: format!("{tool}.{}", if s.name.is_empty() { &s.kind } else { &s.name }),
            manager: tool.clone().into(),
            kind: if modem {
                "gsm".into()
            } else if matches!(tool.as_str(), "openvpn" | "zerotier" | "tailscale" | "pgyvpn") {
                "vpn".into()
            } else {
                "tunnel".into()
            },
            enabled: switch.is_some_and(|e| is_yes(&e.value)),
            enabled_by: vec![switch.map_or_else(|| BY_UNIT.to_owned(), |e| format!("{}={}", e.key, e.value))],
            apn: if modem { value(s, &["apn"]) } else { String::new() },
            device: if modem { value(s, &["at_port", "device", "path"]) } else { String::new() },
            username: value(s, &["user", "username"]),
            secrets: secrets(s),
            evidence: at(text, s, Some(telling)),
            ..Connection::default()
        };
        if !modem {
            c.endpoints.push(super::key_sets::endpoint(&telling.value, &value(s, &["server_port", "port"])));
        }
        c.details = rest(s, &["type", "remote_port", "remote_ports", "local_port", "local_ip", "proto", "dev"]);
        out.push(c);
    }
}
