//! Network interfaces with their addresses, the name servers set for them, and leases. Keys:
//! `Services\Tcpip\Parameters\Interfaces` of the control set, and `Control\Network` for the names that a user sees.
use crate::artifact::Out;
use crate::base::Time;
use crate::evidence::Registry;
use crate::format::hive::Key;
use crate::inventory::{Interface, Lease, NameSetting};

const INTERFACES: &str = r"Services\Tcpip\Parameters\Interfaces";
const NAMES: &str = r"Control\Network\{4d36e972-e325-11ce-bfc1-08002be10318}";

pub(super) fn read(registry: &Registry<'_>, set: &str, out: &Out) {
    let at = format!(r"{set}\{INTERFACES}");
    let names = registry.key(&format!(r"{set}\{NAMES}"));
    for key in registry.key(&at).map(|k| registry.hive.subkeys(&k)).unwrap_or_default() {
        let guid = key.name.lossy().into_owned();
        let connection = names.as_ref().and_then(|n| registry.hive.find(n, &format!(r"{guid}\Connection")));
        let named = connection.and_then(|c| registry.text(&c, "Name"));
        one(registry, &format!(r"{at}\{guid}"), &key, &guid, named.as_deref(), out);
    }
}

/// Addresses that mean something.
fn given(list: &[String]) -> Vec<String> {
    let all = list.iter().flat_map(|t| t.split([',', ' '])).map(str::trim);
    all.filter(|a| !matches!(*a, "" | "0.0.0.0")).map(str::to_owned).collect()
}

/// The number of bits of a mask: `255.255.255.0`.
fn bits(mask: &str) -> Option<u32> {
    let mask = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
    (mask.leading_ones() == mask.count_ones()).then(|| mask.count_ones())
}

fn with_bits(addresses: &[String], masks: &[String]) -> Vec<String> {
    let of = |(n, address): (usize, &String)| match masks.get(n).and_then(|m| bits(m)) {
        Some(bits) => format!("{address}/{bits}"),
        None => address.clone(),
    };
    addresses.iter().enumerate().map(of).collect()
}

fn one(registry: &Registry<'_>, path: &str, key: &Key, guid: &str, named: Option<&str>, out: &Out) {
    let list = |name: &str| given(&registry.texts(key, name));
    let time = |name: &str| registry.number(key, name).filter(|n| *n != 0).map(|n| Time::seconds(i64::from(n)));
    let is_dhcp = registry.number(key, "EnableDHCP") == Some(1);
    let (own, lent) = (list("IPAddress"), list("DhcpIPAddress"));
    let servers = list("NameServer");
    let lent_servers = list("DhcpNameServer");
    if own.is_empty() && lent.is_empty() && servers.is_empty() && named.is_none() {
        return; // of an adapter that the system keeps for itself
    }
    let name = named.unwrap_or(guid).to_owned();
    let mut details = vec![format!("guid={guid}")];
    for (key, values) in [("dns", &servers), ("dhcp-dns", &lent_servers)] {
        details.extend((!values.is_empty()).then(|| format!("{key}={}", values.join(" "))));
    }
    for field in ["Domain", "DhcpDomain", "DhcpServer"] {
        details.extend(registry.text(key, field).map(|t| format!("{field}={t}")));
    }
    let evidence = registry.of_key(path, key);
    let (addresses, gateway) = if is_dhcp {
        let lent = with_bits(&lent, &list("DhcpSubnetMask"));
        details.extend((!lent.is_empty()).then(|| format!("lent={}", lent.join(" "))));
        (Vec::new(), list("DhcpDefaultGateway"))
    } else {
        (with_bits(&own, &list("SubnetMask")), list("DefaultGateway"))
    };
    out.push(Interface {
        name: name.clone(),
        manager: "windows".into(),
        method: if is_dhcp { "dhcp" } else { "static" }.into(),
        addresses,
        gateway,
        auto: true,
        details,
        evidence: evidence.clone(),
        ..Interface::default()
    });
    for server in servers {
        let value = registry.hive.value(key, "NameServer");
        let evidence = value.map_or_else(|| evidence.clone(), |v| registry.of_value(path, &v));
        out.push(NameSetting {
            kind: "nameserver".into(),
            value: server,
            scope: name.clone(),
            evidence,
            ..NameSetting::default()
        });
    }
    for address in lent {
        out.push(Lease {
            role: "client".into(),
            program: "windows".into(),
            interface: name.clone(),
            address,
            routers: list("DhcpDefaultGateway"),
            nameservers: lent_servers.clone(),
            server: registry.text(key, "DhcpServer").unwrap_or_default(),
            domain: registry.text(key, "DhcpDomain").unwrap_or_default(),
            start: time("LeaseObtainedTime"),
            end: time("LeaseTerminatesTime"),
            evidence: evidence.clone(),
            ..Lease::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_counted() {
        assert_eq!([bits("255.255.255.0"), bits("255.0.255.0"), bits("x")], [Some(24), None, None]);
        assert_eq!(
            with_bits(&["10.0.0.7".into(), "10.1.0.7".into()], &["255.0.0.0".into()]),
            ["10.0.0.7/8", "10.1.0.7"]
        );
        assert_eq!(given(&["0.0.0.0".into(), "8.8.8.8,1.1.1.1".into()]), ["8.8.8.8", "1.1.1.1"]);
    }
}
