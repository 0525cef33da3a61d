//! The crane's side of the picture: what joins networks, the networks, and the controllers that rules and settings name.
use super::{Build, Node, Place, box_of};
use crate::case::CaseData;
use crate::inventory::{FirewallRule, Interface};
use regex::Regex;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// TCP and UDP ports of control networks, and what speaks there (IANA's list, and the makers' manuals).
const CONTROL_PORTS: &[(u16, &str)] = &[
    (102, "S7 or MMS (ISO-TSAP)"),
    (502, "Modbus/TCP"),
    (789, "Red Lion"),
    (1089, "Foundation Fieldbus"),
    (1217, "CODESYS"),
    (1911, "Niagara Fox"),
    (2222, "EtherNet/IP"),
    (2404, "IEC 60870-5-104"),
    (4840, "OPC UA"),
    (5006, "MELSEC"),
    (5007, "MELSEC"),
    (5094, "HART-IP"),
    (9600, "FINS"),
    (11740, "CODESYS"),
    (18245, "GE SRTP"),
    (20000, "DNP3"),
    (34962, "PROFINET"),
    (34964, "PROFINET"),
    (44818, "EtherNet/IP"),
    (47808, "BACnet/IP"),
    (48898, "ADS"),
];
/// Ports by which people get in, for the words.
const OTHER_PORTS: &[(u16, &str)] =
    &[(22, "SSH"), (23, "Telnet"), (80, "HTTP"), (443, "HTTPS"), (3389, "RDP"), (5900, "VNC")];

/// Where a rule leads to: iptables, nftables, firewalld, OpenWrt.
static TARGET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)(?:--to-destination[\s=]+|\bdnat\s+(?:ip6?\s+)?to\s+|\btoaddr=["']?|\bto-addr=["']?|\bdest_ip=["']?)
           (?P<host>\d{1,3}(?:\.\d{1,3}){3})(?::(?P<port>\d{1,5}))?"#,
    )
    .ok()
});
static TARGET_PORT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\b(?:toport|to-port|dest_port)=["']?(\d{1,5})"#).ok());
static OUT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:\s-o\s+|--out-interface[\s=]+|\boifname\s+|\boif\s+)["']?([\w.*+@-]+)"#).ok());

/// Computer and port to which a rule leads.
fn target(rule: &FirewallRule) -> Option<(Ipv4Addr, Option<u16>)> {
    let found = TARGET.as_ref()?.captures(&rule.rule)?;
    let later = || TARGET_PORT.as_ref()?.captures(&rule.rule)?.get(1);
    let port = found.name("port").or_else(later).and_then(|p| p.as_str().parse().ok());
    Some((found.name("host")?.as_str().parse().ok()?, port))
}

/// What speaks on a port, where that is known.
fn speaks(port: u16) -> Option<&'static str> {
    CONTROL_PORTS.iter().chain(OTHER_PORTS).find(|(p, _)| *p == port).map(|(_, name)| *name)
}

/// Whether an address lies in a network as interfaces write it, `10.1.0.1/24`.
fn lies_in(host: Ipv4Addr, network: &str) -> bool {
    let Some((address, bits)) = network.split_once('/') else { return false };
    let (Ok(address), Ok(bits)) = (address.parse::<Ipv4Addr>(), bits.parse::<u32>()) else { return false };
    if bits == 0 || bits > 32 {
        return false;
    }
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
    (u32::from(host) & mask) == (u32::from(address) & mask)
}

/// Interfaces that are ways out and not networks of the crane.
fn is_way(i: &Interface) -> bool {
    matches!(&*i.kind, "wwan" | "ppp" | "tunnel" | "loopback")
        || ["wwan", "ppp", "tun", "tap", "wg", "lo"]
            .iter()
            .any(|p| i.name.strip_prefix(p).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())))
}

impl Build {
    pub(super) fn inside(&mut self, data: &CaseData) {
        let inventory = &data.inventory;
        let mut systems: BTreeSet<Option<u32>> = BTreeSet::new();
        systems.extend(inventory.interfaces.iter().map(|i| i.system));
        systems.extend(inventory.firewall.iter().map(|f| f.system));
        for system in systems {
            self.system(data, system);
        }
    }
    fn system(&mut self, data: &CaseData, system: Option<u32>) {
        let inventory = &data.inventory;
        let networks: Vec<(usize, &Interface)> =
            inventory.interfaces.iter().enumerate().filter(|(_, i)| i.system == system && !is_way(i)).collect();
        let forwarding = inventory.settings.iter().enumerate().find(|(_, s)| {
            let name = s.name.replace('/', ".");
            let forwards = name.ends_with("ip_forward") || name.ends_with("all.forwarding");
            s.system == system && &*s.program == "sysctl" && s.effective && s.value == "1" && forwards
        });
        let rules: Vec<(usize, &FirewallRule)> =
            inventory.firewall.iter().enumerate().filter(|(_, f)| f.system == system).collect();
        let joins = |f: &FirewallRule| matches!(&*f.action, "masquerade" | "snat" | "dnat");
        if networks.is_empty() && forwarding.is_none() && !rules.iter().any(|(_, f)| joins(f)) {
            return;
        }
        let computer = self.computer(data, system);
        let mut shown: Vec<(Option<usize>, &Interface)> = Vec::new();
        for (row, i) in &networks {
            let node = self.node(Place::Network, &format!("{system:?} {}", i.name), || Node {
                title: i.name.clone(),
                lines: vec![i.kind.to_string()],
                on: Some(i.auto),
                row: Some(("interfaces", *row)),
                ..box_of(Place::Network)
            });
            if let Some(node) = node.and_then(|n| self.picture.nodes.get_mut(n)) {
                let lines = i.addresses.iter().chain((!i.method.is_empty()).then_some(&i.method));
                for line in lines {
                    if !node.lines.contains(line) {
                        node.lines.push(line.clone());
                    }
                }
            }
            shown.push((node, i));
        }
        let mut joints = Vec::new();
        if let Some((row, s)) = forwarding {
            joints.push((
                self.joint(computer, &format!("{system:?} forwarding"), "forwards packets", &s.name, ("settings", row)),
                None,
            ));
        }
        for (row, f) in rules.iter().filter(|(_, f)| joins(f)) {
            let words = if &*f.action == "dnat" { "leads a port on" } else { "hides others behind it" };
            let node = self.joint(computer, &format!("{system:?} rule {row}"), words, &f.rule, ("firewall", *row));
            let Some((host, port)) = target(f) else {
                let out = OUT.as_ref().and_then(|r| r.captures(&f.rule)?.get(1)).map(|m| m.as_str().to_owned());
                joints.push((node, out));
                continue;
            };
            // It leads to one computer, over the network in which that is.
            let over = shown.iter().find(|(_, i)| i.addresses.iter().any(|a| lies_in(host, a)));
            self.edge(node, over.and_then(|(network, _)| *network), true);
            self.target(node, &shown, host, port, "by a rule of the firewall", ("firewall", *row));
        }
        for (row, i) in networks.iter().filter(|(_, i)| &*i.kind == "bridge") {
            let ports = i.details.iter().find(|d| d.contains("ports") || d.starts_with("interfaces=")).cloned();
            let words = format!("bridge {}", i.name);
            let key = format!("{system:?} {words}");
            let node = self.joint(computer, &key, &words, &ports.unwrap_or_default(), ("interfaces", *row));
            joints.push((node, None));
        }
        for (network, i) in &shown {
            let through = joints.iter().filter(|(_, out)| out.as_ref().is_none_or(|o| *o != i.name));
            let through: Vec<Option<usize>> = through.map(|(joint, _)| *joint).collect();
            // Without a joint the computer is in each of its networks, and leads from none to another.
            if through.is_empty() {
                self.edge(computer, *network, i.auto);
            }
            for joint in through {
                self.edge(joint, *network, i.auto);
            }
        }
        self.named(data, system, &shown, computer);
    }
    fn joint(
        &mut self,
        computer: Option<usize>,
        key: &str,
        title: &str,
        line: &str,
        row: (&'static str, usize),
    ) -> Option<usize> {
        let node = self.node(Place::Joint, key, || Node {
            title: title.to_owned(),
            lines: if line.is_empty() { Vec::new() } else { vec![line.to_owned()] },
            on: Some(true),
            row: Some(row),
            ..box_of(Place::Joint)
        });
        self.edge(computer, node, true);
        node
    }
    /// A computer that is named: reached over the network in whose range it lies, else from `from`.
    fn target(
        &mut self,
        from: Option<usize>,
        networks: &[(Option<usize>, &Interface)],
        host: Ipv4Addr,
        port: Option<u16>,
        by: &str,
        row: (&'static str, usize),
    ) {
        let title = port.map_or_else(|| host.to_string(), |p| format!("{host}:{p}"));
        let node = self.node(Place::Inside, &title, || Node {
            title: title.clone(),
            lines: port.and_then(speaks).map(str::to_owned).into_iter().chain([by.to_owned()]).collect(),
            row: Some(row),
            ..box_of(Place::Inside)
        });
        let over = networks.iter().find(|(_, i)| i.addresses.iter().any(|a| lies_in(host, a)));
        self.edge(over.map_or(from, |(n, _)| *n), node, true);
    }
    /// Private addresses with a port of control networks that configuration names.
    fn named(
        &mut self,
        data: &CaseData,
        system: Option<u32>,
        networks: &[(Option<usize>, &Interface)],
        computer: Option<usize>,
    ) {
        for (row, e) in data.inventory.endpoints.iter().enumerate() {
            let control = e.port.parse().is_ok_and(|p: u16| CONTROL_PORTS.iter().any(|(c, _)| *c == p));
            if e.system != system || &*e.class != "private" || !control {
                continue;
            }
            if let Ok(host) = e.host.parse() {
                let by = format!("named by {}", e.by);
                self.target(computer, networks, host, e.port.parse().ok(), &by, ("endpoints", row));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_every_front_end_name_their_target() {
        let of = |rule: &str| target(&FirewallRule { rule: rule.to_owned(), ..FirewallRule::default() });
        let plc = Ipv4Addr::new(10, 1, 0, 9);
        let modbus = Some((plc, Some(502)));
        assert_eq!(of("-A PREROUTING -p tcp --dport 10502 -j DNAT --to-destination 10.1.0.9:502"), modbus);
        assert_eq!(of("tcp dport 10502 dnat to 10.1.0.9:502"), modbus);
        assert_eq!(of("iifname wwan0 dnat ip to 10.1.0.9"), Some((plc, None)));
        assert_eq!(of("port=10502 proto=tcp toport=502 toaddr=10.1.0.9"), modbus);
        assert_eq!(of("src=wan dest_ip='10.1.0.9' dest_port='502'"), modbus);
        assert_eq!(of("-A INPUT -p tcp --dport 22 -j ACCEPT"), None);
    }
    #[test]
    fn a_network_holds_its_addresses_only() {
        let host = Ipv4Addr::new(10, 1, 0, 9);
        assert!(lies_in(host, "10.1.0.1/24"));
        assert!(lies_in(host, "10.1.0.9/32"));
        assert!(!lies_in(host, "10.1.1.1/24"));
        for wrong in ["10.1.0.1", "10.1.0.1/0", "10.1.0.1/33", "x/24", "fd00::1/64"] {
            assert!(!lies_in(host, wrong), "{wrong}");
        }
    }
}
