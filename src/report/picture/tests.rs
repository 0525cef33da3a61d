//! The picture of a gateway, box by box.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::inventory::{FirewallRule, Interface, Listener, Setting};
use std::sync::Arc;

/// A gateway with a modem, forwarding, and a rule that leads to a controller.
fn gateway() -> CaseData {
    let mut data = CaseData::default();
    data.scene.systems = vec![SystemInfo { hostname: "crane-7".into(), ..SystemInfo::default() }];
    let system = Some(0);
    let gsm = Connection {
        system,
        name: "up".into(),
        manager: "networkmanager".into(),
        kind: "gsm".into(),
        apn: "m2m.example".into(),
        enabled: true,
        enabled_by: vec!["autoconnect".into()],
        ..Connection::default()
    };
    let office = Connection { system, name: "office".into(), kind: "ethernet".into(), ..Connection::default() };
    let tunnel = Connection {
        system,
        name: "service".into(),
        kind: "tunnel".into(),
        endpoints: (0..6).map(|n| format!("203.0.113.{n}:443")).collect(),
        ..Connection::default()
    };
    data.inventory.connections = Arc::new(vec![gsm, office, tunnel]);
    let interface = |name: &str, kind: &str, address: &str| Interface {
        system,
        name: name.into(),
        kind: kind.into(),
        addresses: vec![address.into()],
        auto: true,
        ..Interface::default()
    };
    data.inventory.interfaces = Arc::new(vec![
        interface("eth0", "ethernet", "10.1.0.1/24"),
        interface("eth1", "ethernet", "192.168.5.2/24"),
        interface("wwan0", "wwan", ""),
        interface("lo", "loopback", "127.0.0.1/8"),
    ]);
    data.inventory.settings = Arc::new(vec![Setting {
        system,
        program: "sysctl".into(),
        name: "net.ipv4.ip_forward".into(),
        value: "1".into(),
        effective: true,
        ..Setting::default()
    }]);
    let rule = |rule: &str, action: &str| FirewallRule {
        system,
        rule: rule.into(),
        action: action.into(),
        ..FirewallRule::default()
    };
    data.inventory.firewall = Arc::new(vec![
        rule("-A PREROUTING -p tcp --dport 10502 -j DNAT --to-destination 10.1.0.9:502", "dnat"),
        rule("-A POSTROUTING -o eth1 -j MASQUERADE", "masquerade"),
        rule("-A INPUT -j DROP", "drop"),
    ]);
    let listener = |address: &str, port: &str| Listener {
        system,
        protocol: "tcp".into(),
        address: address.into(),
        port: port.into(),
        program: "sshd".into(),
        ..Listener::default()
    };
    data.inventory.listeners = Arc::new(vec![listener("*", "22"), listener("127.0.0.1", "631")]);
    data
}
fn find<'a>(p: &'a Picture, title: &str) -> (usize, &'a Node) {
    p.nodes.iter().enumerate().find(|(_, n)| n.title == title).unwrap_or_else(|| panic!("{title}: {:#?}", p.nodes))
}
fn leads(p: &Picture, from: &str, to: &str) -> Option<bool> {
    let (from, to) = (find(p, from).0, find(p, to).0);
    p.edges.iter().find(|e| (e.from, e.to) == (from, to)).map(|e| e.on)
}

#[test]
fn from_the_carrier_to_the_controller() {
    let p = Picture::of(&gateway());
    assert_eq!(leads(&p, "APN m2m.example", "up"), Some(true));
    assert_eq!(leads(&p, "up", "crane-7"), Some(true));
    assert_eq!(leads(&p, "203.0.113.0:443", "service"), Some(false), "nothing brings it up");
    assert_eq!(leads(&p, "2 more far ends of service", "service"), Some(false));
    assert_eq!(leads(&p, "crane-7", "forwards packets"), Some(true));
    assert_eq!(leads(&p, "forwards packets", "eth0"), Some(true));
    assert_eq!(leads(&p, "leads a port on", "eth0"), Some(true));
    assert_eq!(leads(&p, "leads a port on", "eth1"), None, "its target is not there");
    assert_eq!(leads(&p, "eth0", "10.1.0.9:502"), Some(true), "over the network in whose range it lies");
    assert_eq!(find(&p, "10.1.0.9:502").1.lines, ["Modbus/TCP", "by a rule of the firewall"]);
    assert_eq!(leads(&p, "hides others behind it", "eth1"), None, "it leads out of that one");
    assert_eq!(leads(&p, "hides others behind it", "eth0"), Some(true));
    let titles: Vec<&str> = p.nodes.iter().map(|n| n.title.as_str()).collect();
    assert!(!titles.contains(&"office") && !titles.contains(&"wwan0") && !titles.contains(&"lo"), "{titles:?}");
    let computer = find(&p, "crane-7").1;
    assert!(computer.lines.contains(&"listens: sshd 22".to_owned()), "{computer:?}");
}
#[test]
fn a_computer_that_joins_nothing_has_no_joint() {
    let mut data = gateway();
    data.inventory.settings = Arc::default();
    data.inventory.firewall = Arc::default();
    let p = Picture::of(&data);
    assert_eq!(leads(&p, "crane-7", "eth0"), Some(true));
    assert!(p.nodes.iter().all(|n| n.place != Place::Joint), "{:#?}", p.nodes);
}
#[test]
fn thousands_of_links_are_counted() {
    let mut data = gateway();
    let many = (0..5000).map(|n| Connection { name: format!("c{n}"), kind: "vpn".into(), ..Connection::default() });
    data.inventory.connections = Arc::new(many.collect());
    let p = Picture::of(&data);
    assert_eq!(p.nodes.iter().filter(|n| n.place == Place::Way).count(), MOST);
    assert_eq!(p.left_out, 5000 - MOST);
    let laid = layout(&p);
    assert_eq!((laid.boxes.len(), laid.lines.len()), (p.nodes.len(), p.edges.len()));
    assert!(
        laid.boxes
            .iter()
            .all(|b| b.x >= 0.0 && b.y >= 0.0 && b.x + Laid::BOX <= laid.width && b.y + b.height <= laid.height)
    );
}
#[test]
fn nothing_gives_no_picture() {
    assert!(Picture::of(&CaseData::default()).is_empty());
}
