//! systemd-networkd: `.network`, `.netdev` and `.link` files with their drop-ins.
//! Format: systemd.network(5), systemd.netdev(5), systemd.link(5).
use super::{cite, ini, is_yes, kind_of_interface, list, once};
use crate::artifact::{Artifact, Os, Out};
use crate::base::secret::is_secret;
use crate::evidence::{Entry as File, System, Text};
use crate::format::ini::{Entry, Ini, Section};
use crate::fs::NodeKind;
use crate::inventory::{Connection, Interface, Listener, NameSetting, Route, Setting};
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.networkd",
    about: "systemd-networkd's networks, virtual devices (WireGuard, tunnels, bridges) and link names",
    os: Os::Linux,
    reads: &[
        "/etc/systemd/network/**",
        "/run/systemd/network/**",
        "/usr/local/lib/systemd/network/**",
        "/usr/lib/systemd/network/**",
    ],
    references: &["systemd.network(5)", "systemd.netdev(5)", "systemd.link(5)"],
    extract,
};

/// The higher directory hides a file of the same name in a lower one.
const DIRS: &[&str] =
    &["/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network", "/usr/lib/systemd/network"];

fn extract(system: &System, out: &Out) {
    let mut files: BTreeMap<Vec<u8>, &File> = BTreeMap::new();
    let mut drops: BTreeMap<(Vec<u8>, Vec<u8>), &File> = BTreeMap::new();
    for dir in DIRS {
        for entry in system.glob(&format!("{dir}/*.{{network,netdev,link}}")) {
            files.entry(entry.path.file_name().to_vec()).or_insert(entry);
        }
        for entry in system.glob(&format!("{dir}/*.d/*.conf")) {
            let of = entry.path.parent().rsplit(|b| *b == b'/').next().unwrap_or_default();
            let of = of.strip_suffix(b".d").unwrap_or(of).to_vec();
            drops.entry((of, entry.path.file_name().to_vec())).or_insert(entry);
        }
    }
    for (name, entry) in files {
        // A link to /dev/null switches the file off.
        if entry.kind() == NodeKind::Symlink && system.resolve(entry.path.bytes()).is_none_or(|e| !e.is_file()) {
            continue;
        }
        let Some(text) = out.text(system, entry) else { continue };
        let mut parts = vec![text];
        for (_, drop) in drops.iter().filter(|((of, _), _)| *of == name) {
            parts.extend(out.text(system, drop));
        }
        let unit = Unit { parts: parts.iter().map(|t| (ini(t, out), t)).collect() };
        match name.rsplit(|b| *b == b'.').next() {
            Some(b"network") => network(&unit, out),
            Some(b"netdev") => netdev(&unit, out),
            _ => link(&unit, out),
        }
    }
}

/// A file with its drop-ins, in order.
struct Unit<'a> {
    parts: Vec<(Ini, &'a Text<'a>)>,
}
impl<'a> Unit<'a> {
    fn sections<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s Section, &'s Text<'a>)> {
        self.parts.iter().flat_map(move |(i, t)| i.all(name).map(move |s| (s, *t)))
    }
    /// The last setting, as a rule the one that counts.
    fn entry(&self, section: &str, key: &str) -> Option<(&Entry, &Text<'a>)> {
        self.parts.iter().rev().find_map(|(i, t)| i.entry(section, key).map(|e| (e, *t)))
    }
    fn get(&self, section: &str, key: &str) -> String {
        self.entry(section, key).map(|(e, _)| e.value.clone()).unwrap_or_default()
    }
    /// All values of a setting that may stand several times; an empty one clears those before it.
    fn all(&self, section: &str, key: &str) -> Vec<(&Entry, &Text<'a>)> {
        let mut found = Vec::new();
        for (s, t) in self.parts.iter().flat_map(|(i, t)| i.sections.iter().map(move |s| (s, *t))) {
            if s.name.eq_ignore_ascii_case(section) {
                for e in s.entries.iter().filter(|e| e.key.eq_ignore_ascii_case(key)) {
                    if e.value.is_empty() { found.clear() } else { found.push((e, t)) }
                }
            }
        }
        found
    }
    fn file(&self) -> Option<&Text<'a>> {
        self.parts.first().map(|(_, t)| *t)
    }
}

fn network(u: &Unit<'_>, out: &Out) {
    let Some(file) = u.file() else { return };
    let names: Vec<&str> = u.all("Match", "Name").iter().map(|(e, _)| e.value.as_str()).collect();
    let name = if names.is_empty() {
        ["Type", "Driver", "MACAddress", "PermanentMACAddress", "Path", "Kind"]
            .iter()
            .find_map(|k| u.entry("Match", k).map(|(e, _)| format!("{k}={}", e.value)))
            .unwrap_or_else(|| "(all)".into())
    } else {
        names.join(" ")
    };
    let dhcp = u.get("Network", "DHCP");
    let mut addresses: Vec<String> = Vec::new();
    for (section, key) in [("Network", "Address"), ("Address", "Address")] {
        u.all(section, key).iter().for_each(|(e, _)| once(&mut addresses, &e.value));
    }
    let mut gateway: Vec<String> = Vec::new();
    u.all("Network", "Gateway").iter().for_each(|(e, _)| once(&mut gateway, &e.value));
    let mut details = Vec::new();
    for (section, keys) in [
        ("Match", &["Type", "Driver", "Path", "MACAddress", "Kind", "SSID"][..]),
        (
            "Network",
            &[
                "Bridge",
                "Bond",
                "VRF",
                "VLAN",
                "Tunnel",
                "MACVLAN",
                "IPForward",
                "IPv4Forwarding",
                "IPv6Forwarding",
                "IPMasquerade",
                "DHCPServer",
                "LinkLocalAddressing",
            ],
        ),
        ("Link", &["Unmanaged", "ActivationPolicy", "MACAddress", "RequiredForOnline"]),
    ] {
        for key in keys {
            for (e, _) in u.all(section, key) {
                details.push(format!("{key}={}", e.value));
            }
        }
    }
    let policy = u.get("Link", "ActivationPolicy");
    let kind = match u.get("Match", "Type").as_str() {
        "wwan" => "wwan",
        "wlan" => "wifi",
        _ if ["qmi_wwan", "cdc_mbim"].iter().any(|d| u.get("Match", "Driver").contains(d)) => "wwan",
        _ => kind_of_interface(&name),
    };
    let at = u.entry("Match", "Name").or_else(|| u.entry("Match", "Type")).or_else(|| u.entry("Match", "Driver"));
    out.push(Interface {
        name: name.clone(),
        manager: "networkd".into(),
        kind: kind.into(),
        method: if is_yes(&dhcp) || dhcp.starts_with("ipv") {
            "dhcp".into()
        } else if addresses.is_empty() {
            "manual".into()
        } else {
            "static".into()
        },
        addresses,
        gateway,
        mac: u.get("Link", "MACAddress"),
        auto: !is_yes(&u.get("Link", "Unmanaged")) && !matches!(policy.as_str(), "manual" | "down" | "always-down"),
        details,
        evidence: at.map_or_else(|| file.evidence(), |(e, t)| cite(t, e.line, e.run, &format!("Match.{}", e.key))),
        ..Interface::default()
    });
    for (key, kind) in [("DNS", "nameserver"), ("Domains", "search"), ("NTP", "ntp")] {
        for (e, t) in u.all("Network", key) {
            for value in list(&e.value) {
                out.push(NameSetting {
                    kind: kind.into(),
                    value,
                    scope: name.clone(),
                    evidence: cite(t, e.line, e.run, &format!("Network.{key}")),
                    ..NameSetting::default()
                });
            }
        }
    }
    for (s, t) in u.sections("Route") {
        let Some(e) = s.entry("Destination").or_else(|| s.entry("Gateway")) else { continue };
        out.push(Route {
            destination: s.get("Destination").unwrap_or("default").to_owned(),
            gateway: s.get("Gateway").unwrap_or_default().to_owned(),
            interface: name.clone(),
            manager: "networkd".into(),
            evidence: cite(t, e.line, e.run, &format!("Route.{}", e.key)),
            ..Route::default()
        });
    }
}

/// Kinds of virtual devices that carry traffic elsewhere.
const TUNNELS: &[&str] = &[
    "wireguard",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "ipip",
    "ip6tnl",
    "sit",
    "vti",
    "vti6",
    "vxlan",
    "geneve",
    "l2tp",
    "fou",
    "erspan",
    "tun",
    "tap",
    "ipoib",
    "macsec",
    "bareudp",
    "xfrm",
];

fn netdev(u: &Unit<'_>, out: &Out) {
    let Some((named, at)) = u.entry("NetDev", "Name") else {
        if let Some(file) = u.file() {
            out.gap(file.entry, "no [NetDev] Name: not read as a device");
        }
        return;
    };
    let name = named.value.clone();
    let kind = u.get("NetDev", "Kind").to_ascii_lowercase();
    let tunnel = TUNNELS.contains(&kind.as_str());
    let mut details = vec![format!("Kind={kind}")];
    for (section, key) in [
        ("VLAN", "Id"),
        ("Bond", "Mode"),
        ("WireGuard", "ListenPort"),
        ("WireGuard", "FirewallMark"),
        ("VXLAN", "VNI"),
        ("Tunnel", "Key"),
    ] {
        if let Some((e, _)) = u.entry(section, key) {
            details.push(format!("{key}={}", e.value));
        }
    }
    if tunnel {
        let mut c = Connection {
            name: name.clone(),
            manager: "networkd".into(),
            kind: if kind == "wireguard" { "wireguard".into() } else { "tunnel".into() },
            enabled: true,
            enabled_by: vec!["systemd-networkd makes it when it runs".into()],
            interface: name.clone(),
            details: details.clone(),
            ..Connection::default()
        };
        let mut telling = (named, at);
        for (section, key) in [
            ("WireGuardPeer", "Endpoint"),
            ("Tunnel", "Remote"),
            ("VXLAN", "Remote"),
            ("GENEVE", "Remote"),
            ("L2TP", "Remote"),
        ] {
            for (e, t) in u.all(section, key) {
                if c.endpoints.is_empty() {
                    telling = (e, t);
                }
                once(&mut c.endpoints, &e.value);
            }
        }
        for key in ["AllowedIPs", "PersistentKeepalive"] {
            u.all("WireGuardPeer", key).iter().for_each(|(e, _)| once(&mut c.details, &format!("{key}={}", e.value)));
        }
        for (i, _) in &u.parts {
            for e in i.sections.iter().flat_map(|s| &s.entries) {
                if is_secret(&e.key.replace("File", "")) && !e.value.is_empty() {
                    once(&mut c.secrets, &e.key);
                }
            }
        }
        c.default_route = u
            .all("WireGuardPeer", "AllowedIPs")
            .iter()
            .any(|(e, _)| list(&e.value).iter().any(|n| n == "0.0.0.0/0" || n == "::/0"))
            && !u.get("WireGuardPeer", "RouteTable").is_empty();
        c.evidence = cite(telling.1, telling.0.line, telling.0.run, &telling.0.key);
        if let Some((port, t)) = u.entry("WireGuard", "ListenPort").filter(|(e, _)| e.value != "auto") {
            out.push(Listener {
                protocol: "udp".into(),
                address: "*".into(),
                port: port.value.clone(),
                program: "wireguard".into(),
                evidence: cite(t, port.line, port.run, "WireGuard.ListenPort"),
                ..Listener::default()
            });
        }
        out.push(c);
    }
    out.push(Interface {
        name,
        manager: "networkd".into(),
        kind: match kind.as_str() {
            "bridge" | "bond" | "vlan" => kind.as_str().into(),
            _ if tunnel => "tunnel".into(),
            other => other.into(),
        },
        mac: u.get("NetDev", "MACAddress"),
        auto: true,
        details,
        evidence: cite(at, named.line, named.run, "NetDev.Name"),
        ..Interface::default()
    });
}

fn link(u: &Unit<'_>, out: &Out) {
    let matched: Vec<String> =
        u.sections("Match").flat_map(|(s, _)| s.entries.iter().map(|e| format!("{}={}", e.key, e.value))).collect();
    for (s, t) in u.sections("Link") {
        for e in s
            .entries
            .iter()
            .filter(|e| matches!(e.key.as_str(), "Name" | "MACAddress" | "MACAddressPolicy" | "WakeOnLan"))
        {
            out.push(Setting {
                program: "systemd-link".into(),
                scope: matched.join(" "),
                name: e.key.clone(),
                value: e.value.clone(),
                effective: true,
                evidence: cite(t, e.line, e.run, &format!("Link.{}", e.key)),
                ..Setting::default()
            });
        }
    }
}
