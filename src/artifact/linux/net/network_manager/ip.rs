//! The IP side of a profile: addresses, routes, name servers, proxy.
use super::super::{cite, is_yes, list};
use super::Profile;
use crate::artifact::Out;
use crate::base::Run;
use crate::format::ini::Entry;
use crate::inventory::{Connection, Interface, NameSetting, Route};

/// Default route, static routes, name servers, proxy.
pub(super) fn settings(p: &Profile<'_>, name: &str, c: &mut Connection, out: &Out) {
    let method = |s| p.get(s, "method");
    let off = |s| matches!(method(s), Some("disabled" | "ignore" | "link-local" | "shared"));
    let never = |s| p.get(s, "never-default").is_some_and(is_yes);
    let four = !off("ipv4") && !never("ipv4");
    let six = method("ipv6").is_some() && !off("ipv6") && !never("ipv6");
    let slave = p.get("connection", "master").is_some() || p.get("connection", "controller").is_some();
    // A profile with fixed addresses and no gateway makes no default route.
    let fixed = method("ipv4") == Some("manual")
        && p.get("ipv4", "gateway").is_none()
        && !p.numbered("address").any(|(s, e)| s.name == "ipv4" && e.value.contains(','));
    c.default_route = !slave && ((four && !fixed) || six);
    for section in ["ipv4", "ipv6"] {
        if let Some(m) = method(section) {
            c.details.push(format!("{section}.method={m}"));
        }
        for key in ["never-default", "route-metric"] {
            if let Some(v) = p.get(section, key) {
                c.details.push(format!("{section}.{key}={v}"));
            }
        }
        for (key, kind) in [("dns", "nameserver"), ("dns-search", "search")] {
            if let Some(e) = p.entry(section, key) {
                for value in list(&e.value) {
                    push_name(p, e, section, kind, value, name, out);
                }
            }
        }
    }
    for (section, e) in p.numbered("route") {
        let mut parts = e.value.split(',').map(str::trim);
        out.push(Route {
            destination: parts.next().unwrap_or_default().to_owned(),
            gateway: parts.next().unwrap_or_default().to_owned(),
            interface: if c.interface.is_empty() { name.to_owned() } else { c.interface.clone() },
            manager: "networkmanager".into(),
            evidence: cite(p.text, e.line, e.run, &format!("{}.{}", section.name, e.key)),
            ..Route::default()
        });
    }
    for key in ["pac-url", "pac-script"] {
        if let Some(e) = p.entry("proxy", key) {
            push_name(p, e, "proxy", "proxy", e.value.clone(), name, out);
        }
    }
}

fn push_name(p: &Profile<'_>, e: &Entry, section: &str, kind: &str, value: String, scope: &str, out: &Out) {
    out.push(NameSetting {
        kind: kind.into(),
        value,
        scope: scope.to_owned(),
        evidence: cite(p.text, e.line, e.run, &format!("{section}.{}", e.key)),
        ..NameSetting::default()
    });
}

pub(super) fn interface(p: &Profile<'_>, c: &Connection, out: &Out) {
    if c.interface.is_empty() {
        return;
    }
    let addresses: Vec<&str> = p.numbered("address").map(|(_, e)| e.value.as_str()).collect();
    let mut gateway: Vec<String> = addresses
        .iter()
        .filter_map(|a| Some(a.split_once(',')?.1.trim().to_owned()))
        .filter(|g| !g.is_empty())
        .collect();
    gateway.extend(["ipv4", "ipv6"].iter().filter_map(|s| p.get(s, "gateway")).map(str::to_owned));
    let (line, run) = p.entry("connection", "interface-name").map_or((0, Run::default()), |e| (e.line, e.run));
    out.push(Interface {
        name: c.interface.clone(),
        manager: "networkmanager".into(),
        kind: match &*c.kind {
            "gsm" | "cdma" => "wwan".into(),
            "wifi-ap" => "wifi".into(),
            "vpn" | "wireguard" => "tunnel".into(),
            "pppoe" => "ppp".into(),
            other => other.into(),
        },
        method: match p.get("ipv4", "method") {
            Some("auto") | None => "dhcp".into(),
            Some("manual") => "static".into(),
            Some(other) => other.to_owned(),
        },
        addresses: addresses.iter().map(|a| a.split(',').next().unwrap_or(a).trim().to_owned()).collect(),
        gateway,
        mac: p.text("ethernet", "mac-address"),
        auto: c.enabled,
        details: ["master", "controller", "slave-type", "port-type", "zone"]
            .iter()
            .filter_map(|k| p.get("connection", k).map(|v| format!("{k}={v}")))
            .collect(),
        evidence: cite(p.text, line, run, "connection.interface-name"),
        ..Interface::default()
    });
}
