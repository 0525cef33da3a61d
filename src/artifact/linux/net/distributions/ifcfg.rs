//! ifcfg-NAME of Red Hat's initscripts and of SUSE's wicked, with the files of routes beside them.
use super::{Variables, name_rows, with_mask};
use crate::artifact::Out;
use crate::artifact::linux::net::{bounded, cite, is_no, is_yes, kind_of_interface, once};
use crate::artifact::linux::starts::Way;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::lines::decode;
use crate::inventory::{Connection, Interface, NameSetting, Route};

pub(super) fn extract(system: &System, out: &Out) {
    let both: &[&str] = &["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"];
    out.each_text(system, both, |text| {
        let suse = text.entry.path.bytes().starts_with(b"/etc/sysconfig/network/");
        let file = decode(text.entry.path.file_name()).into_owned();
        // Editors' copies, and the pattern that SUSE ships.
        if file.ends_with(['~'])
            || [".bak", ".orig", ".rpmsave", ".rpmnew", ".template"].iter().any(|e| file.ends_with(e))
        {
            return;
        }
        interface(system, text, file.strip_prefix("ifcfg-").unwrap_or(&file), suse, out);
    });
    out.each_text(
        system,
        &["/etc/sysconfig/network-scripts/route-*", "/etc/sysconfig/network-scripts/route6-*"],
        |text| {
            red_hat_routes(text, out);
        },
    );
    out.each_text(system, &["/etc/sysconfig/network/ifroute-*", "/etc/sysconfig/network/routes"], |text| {
        suse_routes(text, out);
    });
    out.each_text(system, &["/etc/sysconfig/network"], |text| {
        let all = Variables::read(text, out);
        if let Some(v) = all.entry("GATEWAY").filter(|v| !v.value.is_empty()) {
            out.push(Route {
                destination: "default".into(),
                gateway: v.value.clone(),
                interface: all.get("GATEWAYDEV").to_owned(),
                manager: "ifcfg".into(),
                evidence: cite(text, v.line, v.run, "GATEWAY"),
                ..Route::default()
            });
        }
    });
    out.each_text(system, &["/etc/sysconfig/network/config"], |text| {
        let all = Variables::read(text, out);
        for (key, kind) in [
            ("NETCONFIG_DNS_STATIC_SERVERS", "nameserver"),
            ("NETCONFIG_DNS_STATIC_SEARCHLIST", "search"),
            ("NETCONFIG_NTP_STATIC_SERVERS", "ntp"),
        ] {
            if let Some(v) = all.entry(key) {
                name_rows(text, v, kind, "netconfig", out);
            }
        }
    });
    out.each_text(system, &["/etc/sysconfig/proxy"], |text| {
        let all = Variables::read(text, out);
        for v in all.0.iter().filter(|v| v.key.ends_with("_PROXY") && v.key != "NO_PROXY" && !v.value.is_empty()) {
            let off = is_no(all.get("PROXY_ENABLED"));
            out.push(NameSetting {
                kind: "proxy".into(),
                value: format!("{}={}", v.key.to_ascii_lowercase(), v.value),
                scope: if off { "sysconfig (off)" } else { "sysconfig" }.into(),
                evidence: cite(text, v.line, v.run, &v.key),
                ..NameSetting::default()
            });
        }
    });
}

fn interface(system: &System, text: &Text<'_>, file: &str, suse: bool, out: &Out) {
    let all = Variables::read(text, out);
    if all.0.is_empty() {
        return;
    }
    let name = [all.get("DEVICE"), file].into_iter().find(|n| !n.is_empty()).unwrap_or_default().to_owned();
    // What is set of the interface itself, what stands for whom, and what makes it an interface of its kind.
    let kind = match all.get("TYPE").to_ascii_lowercase().as_str() {
        "wireless" => "wifi",
        "bridge" => "bridge",
        "bond" | "team" => "bond",
        "vlan" => "vlan",
        "modem" | "ppp" | "xdsl" | "dialup" => "ppp",
        "gre" | "ipip" | "sit" | "ipsec" | "tun" | "tap" | "tunnel" => "tunnel",
        _ if is_yes(all.get("BRIDGE")) => "bridge",
        _ if !all.get("BONDING_MASTER").is_empty() || !all.get("BONDING_OPTS").is_empty() => "bond",
        _ if is_yes(all.get("VLAN")) || !all.get("ETHERDEVICE").is_empty() => "vlan",
        _ if !all.get("ESSID").is_empty() || !all.get("WIRELESS_ESSID").is_empty() => "wifi",
        _ if !all.get("TUNNEL").is_empty() => "tunnel",
        _ => kind_of_interface(&name),
    };
    let mode = all.get("STARTMODE");
    let auto = if suse { !matches!(mode, "" | "manual" | "off" | "ifplugd") } else { is_yes(all.get("ONBOOT")) };
    let mut row = Interface {
        name: name.clone(),
        manager: "ifcfg".into(),
        kind: kind.into(),
        method: [all.get("BOOTPROTO"), "none"].into_iter().find(|m| !m.is_empty()).unwrap_or_default().to_owned(),
        mac: ["HWADDR", "MACADDR", "LLADDR"]
            .into_iter()
            .map(|k| all.get(k))
            .find(|m| !m.is_empty())
            .unwrap_or_default()
            .to_owned(),
        auto,
        evidence: all
            .entry("DEVICE")
            .or_else(|| all.entry("BOOTPROTO"))
            .or_else(|| all.0.first())
            .map_or_else(|| text.evidence(), |v| cite(text, v.line, v.run, &v.key)),
        ..Interface::default()
    };
    for (tail, v) in all.numbered("IPADDR") {
        let prefix = all.get(&format!("PREFIX{tail}"));
        let prefix = if prefix.is_empty() { all.get(&format!("PREFIXLEN{tail}")) } else { prefix };
        once(&mut row.addresses, &with_mask(&v.value, prefix, all.get(&format!("NETMASK{tail}"))));
    }
    for key in ["IPV6ADDR", "IPV6ADDR_SECONDARIES"] {
        all.get(key).split_whitespace().for_each(|a| once(&mut row.addresses, a));
    }
    for (_, v) in all.numbered("GATEWAY").chain(all.numbered("IPV6_DEFAULTGW")) {
        once(&mut row.gateway, &v.value);
    }
    for (_, v) in all.numbered("DNS") {
        name_rows(text, v, "nameserver", &name, out);
    }
    if let Some(v) = all.entry("DOMAIN") {
        name_rows(text, v, "search", &name, out);
    }
    let told = ["DEVICE", "BOOTPROTO", "NAME", "UUID", "HWADDR", "MACADDR", "LLADDR", "DOMAIN"];
    for v in &all.0 {
        let shown = ["IPADDR", "PREFIX", "NETMASK", "GATEWAY", "DNS", "IPV6ADDR", "IPV6_DEFAULTGW"];
        if !told.contains(&v.key.as_str())
            && !shown.iter().any(|s| v.key.starts_with(s))
            && !is_secret(&v.key)
            && v.key != "KEY"
        {
            row.details.push(format!("{}={}", v.key.to_ascii_lowercase(), v.value.replace('\n', " ")));
        }
    }
    for key in ["PRE_UP_SCRIPT", "POST_UP_SCRIPT", "PRE_DOWN_SCRIPT", "POST_DOWN_SCRIPT"] {
        if let Some(v) = all.entry(key).filter(|v| !v.value.is_empty()) {
            let way = Way::root("ifcfg", "network").only(auto, "nothing brings the interface up");
            // `wicked:script` and `systemd:unit` name what they are; a relative name lies beside the file.
            let plain = v.value.rsplit(':').next().unwrap_or(&v.value);
            let path =
                if plain.starts_with('/') { plain.to_owned() } else { format!("/etc/sysconfig/network/{plain}") };
            out.push(way.words(system, &name, key, &path, cite(text, v.line, v.run, key)));
        }
    }
    connection(text, &all, &row, out);
    out.push(row);
}

/// Wi-Fi, dial-up and tunnels among them.
fn connection(text: &Text<'_>, all: &Variables, row: &Interface, out: &Out) {
    let first = |keys: &[&str]| keys.iter().find_map(|k| all.entry(k)).filter(|v| !v.value.is_empty());
    let (kind, telling, endpoint) = match &*row.kind {
        "wifi" => {
            let essid = first(&["ESSID", "WIRELESS_ESSID"]);
            let master = all.get("MODE").eq_ignore_ascii_case("master") || all.get("MODE").eq_ignore_ascii_case("ap");
            (if master { "wifi-ap" } else { "wifi" }, essid, essid)
        }
        "ppp" => {
            let modem = first(&["MODEMPORT", "PHONE", "WVDIALSECT"]);
            let kind = if all.get("TYPE").eq_ignore_ascii_case("xDSL") { "pppoe" } else { "ppp-modem" };
            (kind, modem.or_else(|| first(&["PROVIDER", "USER", "DEVICE"])), None)
        }
        "tunnel" => {
            let outer = first(&["PEER_OUTER_IPADDR", "TUNNEL_REMOTE_IPADDR", "IPV6TUNNELIPV4", "DST"]);
            ("tunnel", outer, outer)
        }
        _ => return,
    };
    let Some(telling) = telling else { return };
    let secrets = all.0.iter().filter(|v| (is_secret(&v.key) || v.key.starts_with("KEY")) && !v.value.is_empty());
    out.push(Connection {
        name: [all.get("NAME"), endpoint.map_or("", |e| &e.value), &row.name]
            .into_iter()
            .find(|n| !n.is_empty())
            .unwrap_or_default()
            .to_owned(),
        manager: "ifcfg".into(),
        kind: kind.into(),
        enabled: row.auto,
        enabled_by: vec![
            if row.auto { "brought up at boot (ONBOOT, STARTMODE)" } else { "only when asked for (ONBOOT, STARTMODE)" }
                .into(),
        ],
        interface: row.name.clone(),
        device: all.get("MODEMPORT").to_owned(),
        number: all.get("PHONE").to_owned(),
        username: [all.get("USER"), all.get("PAPNAME")]
            .into_iter()
            .find(|u| !u.is_empty())
            .unwrap_or_default()
            .to_owned(),
        endpoints: endpoint.map(|e| e.value.clone()).into_iter().collect(),
        uuid: all.get("UUID").to_owned(),
        secrets: secrets.map(|v| v.key.clone()).collect(),
        default_route: is_yes(all.get("DEFROUTE")),
        evidence: cite(text, telling.line, telling.run, &telling.key),
        ..Connection::default()
    });
}

/// `ADDRESS0=`, `NETMASK0=`, `GATEWAY0=`, or lines as `ip route` takes them.
fn red_hat_routes(text: &Text<'_>, out: &Out) {
    let file = decode(text.entry.path.file_name()).into_owned();
    let name = file.split_once('-').map_or("", |(_, n)| n).to_owned();
    let all = Variables::read(text, out);
    for (tail, v) in all.numbered("ADDRESS") {
        out.push(Route {
            destination: with_mask(&v.value, "", all.get(&format!("NETMASK{tail}"))),
            gateway: all.get(&format!("GATEWAY{tail}")).to_owned(),
            interface: name.clone(),
            manager: "ifcfg".into(),
            evidence: cite(text, v.line, v.run, &v.key),
            ..Route::default()
        });
    }
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default().trim();
        let w: Vec<&str> = body.split_whitespace().collect();
        let after = |key: &str| w.iter().position(|x| *x == key).and_then(|at| w.get(at.saturating_add(1))).copied();
        let Some(destination) = w.iter().find(|x| !matches!(**x, "add" | "to" | "unicast")) else { continue };
        if destination.contains('=') || (after("via").is_none() && after("dev").is_none()) {
            continue;
        }
        out.push(Route {
            destination: (*destination).to_owned(),
            gateway: after("via").unwrap_or_default().to_owned(),
            interface: after("dev").unwrap_or(&name).to_owned(),
            manager: "ifcfg".into(),
            evidence: cite(text, line.number, line.run, "route"),
            ..Route::default()
        });
    }
}

/// `destination gateway netmask interface type`, with `-` for what is not set.
fn suse_routes(text: &Text<'_>, out: &Out) {
    let file = decode(text.entry.path.file_name()).into_owned();
    let own = file.strip_prefix("ifroute-").unwrap_or_default();
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default();
        let w: Vec<&str> = body.split_whitespace().collect();
        let cell = |at: usize| w.get(at).copied().filter(|c| *c != "-").unwrap_or_default();
        if w.is_empty() {
            continue;
        }
        out.push(Route {
            destination: with_mask(cell(0), "", cell(2)),
            gateway: cell(1).to_owned(),
            interface: [cell(3), own].into_iter().find(|i| !i.is_empty()).unwrap_or_default().to_owned(),
            manager: "ifcfg".into(),
            evidence: cite(text, line.number, line.run, "route"),
            ..Route::default()
        });
    }
}
