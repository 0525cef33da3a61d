//! netctl, netifrc, wicked, dhcpcd, ConnMan, and the names of routing tables.
use super::{Variable, Variables, name_rows};
use crate::artifact::Out;
use crate::artifact::linux::net::{bounded, cite, ini, is_yes, kind_of_interface, list, once};
use crate::artifact::linux::starts::Way;
use crate::base::Run;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::ini::Entry;
use crate::format::lines::decode;
use crate::format::tags::tags;
use crate::inventory::{Connection, Interface, NameSetting, Route, Setting};

pub(super) fn extract(system: &System, out: &Out) {
    out.each_text(system, &["/etc/netctl/*"], |text| netctl(system, text, out));
    out.each_text(system, &["/etc/conf.d/net", "/etc/conf.d/net.*"], |text| netifrc(system, text, out));
    out.each_text(system, &["/etc/wicked/ifconfig/*.xml"], |text| wicked(text, out));
    out.each_text(system, &["/etc/dhcpcd.conf"], |text| dhcpcd(text, out));
    out.each_text(system, &["/var/lib/connman/*.config"], |text| provisioned(text, out));
    out.each_text(system, &["/var/lib/connman/*/settings"], |text| services(text, out));
    out.each_text(system, &["/var/lib/connman/settings", "/etc/connman/main.conf"], |text| connman(text, out));
    out.each_text(system, &["/etc/iproute2/rt_tables", "/etc/iproute2/rt_tables.d/*.conf"], |text| tables(text, out));
}

/// A profile: variables of bash. Its unit is `netctl@NAME.service`.
fn netctl(system: &System, text: &Text<'_>, out: &Out) {
    let all = Variables::read(text, out);
    let Some(telling) = all.entry("Connection") else { return };
    let profile = decode(text.entry.path.file_name()).into_owned();
    let unit = format!("netctl@{profile}.service");
    let linked = system.glob(&format!("/etc/systemd/system/*.wants/{unit}")).len()
        + system.glob("/etc/systemd/system/*.wants/netctl-auto@*.service").len();
    let auto = linked > 0;
    let connection = telling.value.as_str();
    let kind = match connection {
        "wireless" => "wifi",
        "mobile_ppp" => "wwan",
        "pppoe" => "ppp",
        "tunnel" | "tuntap" | "wireguard" | "openvpn" => "tunnel",
        "bridge" | "bond" | "vlan" | "ethernet" => connection,
        _ => kind_of_interface(all.get("Interface")),
    };
    let lines = |key: &str| all.get(key).lines().map(str::to_owned).filter(|l| !l.is_empty()).collect::<Vec<_>>();
    let row = Interface {
        name: all.get("Interface").to_owned(),
        manager: "netctl".into(),
        kind: kind.into(),
        method: all.get("IP").to_owned(),
        addresses: [lines("Address"), lines("Address6")].concat(),
        gateway: [lines("Gateway"), lines("Gateway6")].concat(),
        mac: all.get("MACAddress").to_owned(),
        auto,
        details: all
            .0
            .iter()
            .filter(|v| {
                matches!(
                    v.key.as_str(),
                    "BindsToInterfaces" | "VLANID" | "Mode" | "Description" | "After" | "SkipForwardingDelay"
                )
            })
            .map(|v| format!("{}={}", v.key, v.value.replace('\n', " ")))
            .chain([format!("profile={profile}")])
            .collect(),
        evidence: cite(text, telling.line, telling.run, "Connection"),
        ..Interface::default()
    };
    for (key, kind) in [("DNS", "nameserver"), ("DNSDomain", "search"), ("DNSSearch", "search")] {
        if let Some(v) = all.entry(key) {
            name_rows(text, v, kind, &row.name, out);
        }
    }
    for (key, v) in ["Routes", "Routes6"].into_iter().filter_map(|k| all.entry(k).map(|v| (k, v))) {
        v.value.lines().for_each(|l| route(text, l, &row.name, "netctl", (v.line, v.run), key, out));
    }
    for key in ["ExecUpPost", "ExecDownPre"] {
        if let Some(v) = all.entry(key).filter(|v| !v.value.is_empty()) {
            let way = Way::root("netctl", "network").only(auto, "no unit brings the profile up");
            out.push(way.shell(system, &profile, key, &v.value, cite(text, v.line, v.run, key)));
        }
    }
    let (kind, far) = match connection {
        "wireless" => ("wifi", all.entry("ESSID")),
        "mobile_ppp" => ("gsm", None),
        "pppoe" => ("pppoe", None),
        "tunnel" => ("tunnel", all.entry("Remote")),
        "wireguard" | "openvpn" => ("vpn", None),
        _ => {
            out.push(row);
            return;
        }
    };
    out.push(Connection {
        name: profile,
        manager: "netctl".into(),
        kind: kind.into(),
        enabled: auto,
        enabled_by: vec![if auto { unit } else { format!("no unit starts it: {unit} is not enabled") }],
        interface: row.name.clone(),
        device: if kind == "gsm" { row.name.clone() } else { String::new() },
        apn: all.get("AccessPointName").to_owned(),
        number: all.get("PhoneNumber").to_owned(),
        username: all.get("User").to_owned(),
        secrets: all
            .0
            .iter()
            .filter(|v| (is_secret(&v.key) || v.key == "Key") && !v.value.is_empty())
            .map(|v| v.key.clone())
            .collect(),
        endpoints: far.map(|v| v.value.clone()).into_iter().collect(),
        default_route: is_yes(all.get("DefaultRoute")),
        evidence: cite(text, telling.line, telling.run, "Connection"),
        ..Connection::default()
    });
    out.push(row);
}

/// `10.0.0.0/8 via 10.0.0.1 dev eth0`
fn route(text: &Text<'_>, line: &str, name: &str, manager: &str, at: (u32, Run), key: &str, out: &Out) {
    let w: Vec<&str> = line.split_whitespace().collect();
    let after = |key: &str| w.iter().position(|x| *x == key).and_then(|at| w.get(at.saturating_add(1))).copied();
    let Some(destination) = w.iter().find(|x| **x != "-net" && **x != "-host") else { return };
    out.push(Route {
        destination: (*destination).to_owned(),
        gateway: after("via").or_else(|| after("gw")).unwrap_or_default().to_owned(),
        interface: after("dev").unwrap_or(name).to_owned(),
        manager: manager.into(),
        evidence: cite(text, at.0, at.1, key),
        ..Route::default()
    });
}

/// `config_eth0="10.0.0.5/24"`, `routes_eth0="default via 10.0.0.1"`; brought up by `net.eth0` in a runlevel.
fn netifrc(system: &System, text: &Text<'_>, out: &Out) {
    let all = Variables::read(text, out);
    for v in &all.0 {
        let Some(name) = v.key.strip_prefix("config_").filter(|n| !n.is_empty()) else { continue };
        let auto = !system.glob(&format!("/etc/runlevels/*/net.{name}")).is_empty();
        let words: Vec<&str> = v.value.split(['\n', '"', '\'']).map(str::trim).filter(|w| !w.is_empty()).collect();
        let mut row = Interface {
            name: name.to_owned(),
            manager: "netifrc".into(),
            kind: if all.entry(&format!("bridge_{name}")).is_some() { "bridge" } else { kind_of_interface(name) }
                .into(),
            mac: all.get(&format!("mac_{name}")).to_owned(),
            auto,
            evidence: cite(text, v.line, v.run, &v.key),
            ..Interface::default()
        };
        for word in words {
            match word {
                "dhcp" | "null" | "noop" | "ppp" | "adsl" => word.clone_into(&mut row.method),
                address => {
                    let mut parts = address.split_whitespace();
                    let first = parts.next().unwrap_or_default();
                    let mask = parts.skip_while(|p| *p != "netmask").nth(1).unwrap_or_default();
                    once(&mut row.addresses, &super::with_mask(first, "", mask));
                }
            }
        }
        if row.method.is_empty() {
            row.method = "static".into();
        }
        for (key, kind) in [("dns_servers_", "nameserver"), ("dns_search_", "search"), ("ntp_servers_", "ntp")] {
            if let Some(v) = all.entry(&format!("{key}{name}")) {
                name_rows(text, v, kind, name, out);
            }
        }
        if let Some(v) = all.entry(&format!("routes_{name}")) {
            v.value.lines().map(str::trim).filter(|l| !l.is_empty()).for_each(|l| {
                route(text, l, name, "netifrc", (v.line, v.run), &v.key, out);
            });
        }
        let rest =
            |v: &&Variable| v.key.ends_with(&format!("_{name}")) && !v.key.starts_with("config_") && !is_secret(&v.key);
        row.details = all.0.iter().filter(rest).map(|v| format!("{}={}", v.key, v.value.replace('\n', " "))).collect();
        out.push(row);
    }
}

/// `<interface>` with its name and addresses, elements by name.
fn wicked(text: &Text<'_>, out: &Out) {
    let (found, cut) = tags(&text.bytes);
    if cut {
        out.gap(text.entry, "budget: elements; the rest was not read");
    }
    let mut open: Option<Interface> = None;
    for tag in &found {
        let value = tag.text.trim();
        match (tag.name.as_str(), tag.closes, &mut open) {
            ("interface", false, _) => {
                open = Some(Interface {
                    manager: "wicked".into(),
                    evidence: cite(text, tag.line, tag.run, "interface"),
                    ..Interface::default()
                });
            }
            ("interface", true, _) => {
                if let Some(row) = open.take().filter(|r| !r.name.is_empty()) {
                    out.push(row);
                }
            }
            ("name", false, Some(row)) if row.name.is_empty() => {
                value.clone_into(&mut row.name);
                row.kind = kind_of_interface(value).into();
            }
            ("mode", false, Some(row)) => row.auto = value == "boot" || value == "hotplug",
            ("ipv4:static" | "ipv6:static", false, Some(row)) => row.method = "static".into(),
            ("ipv4:dhcp" | "ipv6:dhcp", false, Some(row)) => row.method = "dhcp".into(),
            ("local", false, Some(row)) => once(&mut row.addresses, value),
            ("gateway", false, Some(row)) => once(&mut row.gateway, value),
            _ => {}
        }
    }
}

/// Blocks that begin with `interface`, `ssid` or `profile`; what stands before is for all.
fn dhcpcd(text: &Text<'_>, out: &Out) {
    let mut rows: Vec<Interface> = Vec::new();
    let mut name = "*".to_owned();
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default().trim();
        let (key, value) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        let value = value.trim();
        match key {
            "interface" | "ssid" | "profile" => {
                name = if key == "interface" { value.to_owned() } else { format!("{key} {value}") };
            }
            "static" | "inform" | "fallback" | "denyinterfaces" | "allowinterfaces" | "nogateway" | "noipv4"
            | "metric" | "arping" | "clientid" | "vendorclassid" => {
                let at = cite(text, line.number, line.run, key);
                let known = rows.iter().position(|r| r.name == name);
                if known.is_none() {
                    if rows.len() >= 500 {
                        return out.gap_line(text.entry, line.number, "budget: interfaces; the rest was not read");
                    }
                    rows.push(Interface {
                        name: name.clone(),
                        manager: "dhcpcd".into(),
                        kind: kind_of_interface(&name).into(),
                        method: "dhcp".into(),
                        auto: true,
                        evidence: at.clone(),
                        ..Interface::default()
                    });
                }
                let last = rows.len().saturating_sub(1);
                let Some(row) = rows.get_mut(known.unwrap_or(last)) else { continue };
                let (option, set) = value.split_once('=').unwrap_or((value, ""));
                match (key, option.trim()) {
                    ("static", "ip_address" | "ip6_address") => {
                        row.method = "static".into();
                        once(&mut row.addresses, set.trim());
                        row.evidence = at;
                    }
                    ("static", "routers") => once(&mut row.gateway, set.trim()),
                    ("static", "domain_name_servers" | "domain_search" | "domain_name" | "ntp_servers") => {
                        let kind = match option.trim() {
                            "domain_name_servers" => "nameserver",
                            "ntp_servers" => "ntp",
                            _ => "search",
                        };
                        for value in list(set) {
                            out.push(NameSetting {
                                kind: kind.into(),
                                value,
                                scope: name.clone(),
                                evidence: at.clone(),
                                ..NameSetting::default()
                            });
                        }
                    }
                    _ => row.details.push(format!("{key}={value}").trim_end_matches('=').to_owned()),
                }
            }
            _ => {}
        }
    }
    out.extend(rows);
}

/// A service that was provisioned: `[service_x]`, `Type=wifi`, `IPv4=address/mask/gateway`.
fn provisioned(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    for s in ini.sections.iter().filter(|s| s.name.starts_with("service_")) {
        let kind = s.get("Type").unwrap_or("ethernet");
        let at = s.entry("IPv4").or_else(|| s.entry("Type"));
        let evidence =
            at.map_or_else(|| text.evidence(), |e| cite(text, e.line, e.run, &format!("{}.{}", s.name, e.key)));
        let parts: Vec<&str> = s.get("IPv4").unwrap_or_default().split('/').collect();
        let (addresses, gateway, method) = match parts.as_slice() {
            [address, mask, gateway] => {
                (vec![super::with_mask(address, "", mask)], vec![(*gateway).to_owned()], "static")
            }
            _ => (Vec::new(), Vec::new(), parts.first().copied().unwrap_or_default()),
        };
        if let Some(e) = s.entry("Nameservers") {
            for value in list(&e.value) {
                out.push(NameSetting {
                    kind: "nameserver".into(),
                    value,
                    scope: s.name.clone(),
                    evidence: cite(text, e.line, e.run, "Nameservers"),
                    ..NameSetting::default()
                });
            }
        }
        if kind == "wifi"
            && let Some(e) = s.entry("Name").or_else(|| s.entry("SSID"))
        {
            out.push(Connection {
                name: e.value.clone(),
                manager: "connman".into(),
                kind: "wifi".into(),
                enabled: true,
                enabled_by: vec!["provisioned: joined wherever it is seen".into()],
                endpoints: vec![e.value.clone()],
                username: s.get("Identity").unwrap_or_default().to_owned(),
                secrets: s
                    .entries
                    .iter()
                    .filter(|e| is_secret(&e.key) && !e.value.is_empty())
                    .map(|e| e.key.clone())
                    .collect(),
                evidence: cite(text, e.line, e.run, &format!("{}.{}", s.name, e.key)),
                ..Connection::default()
            });
        }
        out.push(Interface {
            name: s.name.clone(),
            manager: "connman".into(),
            kind: kind.into(),
            method: method.to_owned(),
            addresses,
            gateway,
            mac: s.get("MAC").unwrap_or_default().to_owned(),
            auto: true,
            evidence,
            ..Interface::default()
        });
    }
}

/// What ConnMan keeps of each service that was set by hand.
fn services(text: &Text<'_>, out: &Out) {
    for s in &ini(text, out).sections {
        let Some(method) = s.entry("IPv4.method").filter(|m| m.value == "manual") else { continue };
        let get = |key: &str| s.get(key).unwrap_or_default();
        out.push(Interface {
            name: s.name.clone(),
            manager: "connman".into(),
            kind: s.name.split('_').next().unwrap_or_default().into(),
            method: "static".into(),
            addresses: vec![super::with_mask(get("IPv4.local_address"), get("IPv4.netmask_prefixlen"), "")],
            gateway: [get("IPv4.gateway").to_owned()].into_iter().filter(|g| !g.is_empty()).collect(),
            auto: s.get("AutoConnect").is_some_and(is_yes),
            evidence: cite(text, method.line, method.run, "IPv4.method"),
            ..Interface::default()
        });
    }
}

/// Technologies that are on, and whether one lends its network to others.
fn connman(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    for s in &ini.sections {
        let told = |e: &&Entry| {
            matches!(
                e.key.as_str(),
                "Enable"
                    | "Tethering"
                    | "Tethering.Identifier"
                    | "OfflineMode"
                    | "PersistentTetheringMode"
                    | "TetheringTechnologies"
                    | "FallbackNameservers"
                    | "FallbackTimeservers"
                    | "NetworkInterfaceBlacklist"
                    | "AllowHostnameUpdates"
                    | "SingleConnectedTechnology"
                    | "PreferredTechnologies"
            )
        };
        for e in s.entries.iter().filter(told) {
            let kind = match e.key.as_str() {
                "FallbackNameservers" => "nameserver",
                "FallbackTimeservers" => "ntp",
                _ => {
                    out.push(Setting {
                        program: "connman".into(),
                        scope: s.name.clone(),
                        name: e.key.clone(),
                        value: e.value.clone(),
                        effective: true,
                        evidence: cite(text, e.line, e.run, &format!("{}.{}", s.name, e.key)),
                        ..Setting::default()
                    });
                    continue;
                }
            };
            for value in list(&e.value) {
                out.push(NameSetting {
                    kind: kind.into(),
                    value,
                    scope: "connman (fallback)".into(),
                    evidence: cite(text, e.line, e.run, &e.key),
                    ..NameSetting::default()
                });
            }
        }
        if s.get("Tethering").is_some_and(is_yes)
            && let Some(e) = s.entry("Tethering.Identifier")
        {
            out.push(Connection {
                name: e.value.clone(),
                manager: "connman".into(),
                kind: if s.name == "WiFi" { "wifi-ap" } else { "bluetooth" }.into(),
                enabled: true,
                enabled_by: vec!["Tethering=true".into()],
                endpoints: vec![e.value.clone()],
                evidence: cite(text, e.line, e.run, &format!("{}.Tethering.Identifier", s.name)),
                ..Connection::default()
            });
        }
    }
}

/// Names of tables that the kernel does not have by itself: policy routing.
fn tables(text: &Text<'_>, out: &Out) {
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default();
        let w: Vec<&str> = body.split_whitespace().collect();
        let [number, name, ..] = w.as_slice() else { continue };
        if matches!(*number, "255" | "254" | "253" | "0") {
            continue;
        }
        out.push(Setting {
            program: "iproute2".into(),
            scope: "rt_tables".into(),
            name: (*name).to_owned(),
            value: (*number).to_owned(),
            effective: true,
            evidence: cite(text, line.number, line.run, name),
            ..Setting::default()
        });
    }
}
