//! Devices that the configurations name and no image covers: gateways, hosts, servers and known SSH
//! hosts with an address of a local network that none of the examined systems has itself.
use super::finding::Unexamined;
use crate::base::{Evidence, Name};
use crate::inventory::Inventory;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One entry an address, by address; the words say in which roles it is named.
pub(super) fn devices(inventory: &Inventory) -> Vec<Unexamined> {
    let own: BTreeSet<IpAddr> =
        inventory.interfaces.iter().flat_map(|i| &i.addresses).filter_map(|a| address(a)).collect();
    let mut found: BTreeMap<IpAddr, (BTreeSet<String>, &Evidence)> = BTreeMap::new();
    let mut name = |text: &str, role: String, evidence| {
        if let Some(at) = address(text).filter(|a| is_local(*a) && !own.contains(a)) {
            found.entry(at).or_insert_with(|| (BTreeSet::new(), evidence)).0.insert(role);
        }
    };
    for i in inventory.interfaces.iter() {
        for gateway in &i.gateway {
            name(gateway, format!("gateway of {}", i.name), &i.evidence);
        }
    }
    for r in inventory.routes.iter() {
        name(&r.gateway, format!("gateway to {}", r.destination), &r.evidence);
    }
    for n in inventory.names.iter() {
        match &*n.kind {
            "host" => {
                let (at, names) = n.value.split_once(char::is_whitespace).unwrap_or((&n.value, ""));
                name(at, format!("host {}", names.trim()), &n.evidence);
            }
            "nameserver" => name(&n.value, "name server".into(), &n.evidence),
            "ntp" => name(&n.value, "time server".into(), &n.evidence),
            "proxy" => name(host_of(&n.value), "proxy".into(), &n.evidence),
            _ => {}
        }
    }
    for k in inventory.keys.iter().filter(|k| &*k.kind == "known-host") {
        for host in k.host.split(',') {
            name(host_of(host), "known SSH host".into(), &k.evidence);
        }
    }
    for c in inventory.connections.iter() {
        for endpoint in &c.endpoints {
            name(host_of(endpoint), format!("end point of {}", c.name), &c.evidence);
        }
    }
    found
        .into_iter()
        .map(|(at, (roles, evidence))| {
            let roles = roles.into_iter().collect::<Vec<_>>().join(", ");
            Unexamined { device: Name::from(format!("{at} ({roles})")).display_text(), named_by: evidence.clone() }
        })
        .collect()
}

/// The address of `a.b.c.d`, `a.b.c.d/24`, `[v6]`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.split_once('/').map_or(text, |(a, _)| a);
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The host of `scheme://host:port/path`, `host:port`, `[host]:port`.
pub(super) fn host_of(text: &str) -> &str {
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split_once('/').map_or(text, |(host, _)| host);
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => text,
    }
}

/// An address of a local network: private, shared, link-local or unique local, but not the machine's own loopback.
pub(super) fn is_local(at: IpAddr) -> bool {
    match at {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments().first().copied().unwrap_or(0);
            (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::inventory::{Interface, NameSetting};
    use std::sync::Arc;

    #[test]
    fn names_what_no_image_covers() {
        let inventory = Inventory {
            interfaces: Arc::new(vec![Interface {
                name: "eth0".into(),
                addresses: vec!["10.1.0.2/24".into()],
                gateway: vec!["10.1.0.1".into()],
                ..Interface::default()
            }]),
            names: Arc::new(vec![
                NameSetting { kind: "host".into(), value: "10.1.0.9 plc spreader".into(), ..NameSetting::default() },
                NameSetting { kind: "host".into(), value: "127.0.1.1 crane".into(), ..NameSetting::default() },
                NameSetting { kind: "host".into(), value: "10.1.0.2 self".into(), ..NameSetting::default() },
                NameSetting { kind: "nameserver".into(), value: "8.8.8.8".into(), ..NameSetting::default() },
                NameSetting { kind: "ntp".into(), value: "10.1.0.1".into(), ..NameSetting::default() },
            ]),
            ..Inventory::default()
        };
        let found: Vec<String> = devices(&inventory).into_iter().map(|u| u.device).collect();
        assert_eq!(found, ["10.1.0.1 (gateway of eth0, time server)", "10.1.0.9 (host plc spreader)"]);
    }

    #[test]
    fn hosts() {
        for (text, host) in [
            ("ssh://a@b.example:22/x", "b.example"),
            ("[fe80::1]:22", "fe80::1"),
            ("10.0.0.1:51820", "10.0.0.1"),
            ("fd00::1", "fd00::1"),
        ] {
            assert_eq!(host_of(text), host);
        }
    }
}
