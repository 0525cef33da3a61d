//! netplan: interfaces, modems, Wi-Fi, tunnels in YAML. Format: netplan-yaml documentation (netplan(5)).
use super::{cite, is_no, is_yes, once, problems};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::base::secret::is_secret;
use crate::evidence::{Entry, System, Text};
use crate::format::tree::{Leaf, Tree};
use crate::inventory::{Connection, Interface, Listener, NameSetting, Route, Setting};
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.netplan",
    about: "netplan's interfaces, modems, Wi-Fi access points, tunnels and routes",
    os: Os::Linux,
    reads: &["/run/netplan/*.yaml", "/etc/netplan/*.yaml", "/usr/lib/netplan/*.yaml"],
    references: &["https://netplan.readthedocs.io/en/stable/netplan-yaml/"],
    extract,
};

fn extract(system: &System, out: &Out) {
    // A file hides those of the same name in lower directories.
    let mut files: BTreeMap<Vec<u8>, &Entry> = BTreeMap::new();
    for dir in ["/run/netplan/*.yaml", "/etc/netplan/*.yaml", "/usr/lib/netplan/*.yaml"] {
        for entry in system.glob(dir) {
            files.entry(entry.path.file_name().to_vec()).or_insert(entry);
        }
    }
    for entry in files.into_values() {
        let Some(text) = out.read(system, entry) else { continue };
        let tree = Tree::yaml(&text.bytes);
        problems(&text, out, &tree.problems);
        if let Some(renderer) = tree.leaf("network.renderer") {
            out.push(Setting {
                program: "netplan".into(),
                name: "renderer".into(),
                value: renderer.value.clone(),
                effective: true,
                evidence: at(&text, renderer),
                ..Setting::default()
            });
        }
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for leaf in &tree.leaves {
            if let [root, section, name, _, ..] = leaf.path.as_slice()
                && root == "network"
                && !seen.contains(&(section, name))
            {
                seen.push((section, name));
                if seen.len() > 500 {
                    out.gap_line(text.entry, leaf.line, "budget: definitions; the rest was not read");
                    break;
                }
            }
        }
        for (section, name) in seen {
            let leaves: Vec<&Leaf> = tree
                .leaves
                .iter()
                .filter(|l| matches!(l.path.as_slice(), [r, s, n, ..] if r == "network" && s == section && n == name))
                .collect();
            definition(&Definition { section, name, leaves, text: &text }, out);
        }
    }
}

fn at(text: &Text<'_>, leaf: &Leaf) -> Evidence {
    cite(text, leaf.line, leaf.run, &leaf.dotted())
}

/// One named thing of a section.
struct Definition<'a> {
    section: &'a str,
    name: &'a str,
    leaves: Vec<&'a Leaf>,
    text: &'a Text<'a>,
}
impl<'a> Definition<'a> {
    /// The path below the definition.
    fn rest(leaf: &'a Leaf) -> &'a [String] {
        leaf.path.get(3..).unwrap_or_default()
    }
    fn leaf(&self, path: &[&str]) -> Option<&'a Leaf> {
        self.leaves.iter().copied().find(|l| Self::rest(l).iter().map(String::as_str).eq(path.iter().copied()))
    }
    fn get(&self, path: &[&str]) -> String {
        self.leaf(path).map(|l| l.value.clone()).unwrap_or_default()
    }
    /// Leaves whose path below the definition starts so.
    fn below<'s>(&'s self, path: &'s [&'s str]) -> impl Iterator<Item = &'a Leaf> + 's {
        self.leaves.iter().copied().filter(move |l| {
            let rest = Self::rest(l);
            rest.len() > path.len() && rest.iter().zip(path).all(|(a, b)| a == b)
        })
    }
}

fn definition(d: &Definition<'_>, out: &Out) {
    let Some(first) = d.leaves.first() else { return };
    let kind = match d.section {
        "ethernets" => super::kind_of_interface(d.name),
        "wifis" => "wifi",
        "modems" => "wwan",
        "bridges" => "bridge",
        "bonds" => "bond",
        "vlans" => "vlan",
        "tunnels" => "tunnel",
        "vrfs" => "vrf",
        "dummy-devices" => "dummy",
        "nm-devices" => "other",
        "virtual-ethernets" => "ethernet",
        _ => return,
    };
    let mode = d.get(&["activation-mode"]);
    let auto = !matches!(mode.as_str(), "manual" | "off");
    let addresses: Vec<&Leaf> = d.below(&["addresses"]).filter(|l| Definition::rest(l).len() == 2).collect();
    let mut gateway: Vec<String> =
        d.leaf(&["gateway4"]).into_iter().chain(d.leaf(&["gateway6"])).map(|l| l.value.clone()).collect();
    routes(d, &mut gateway, out);
    let mut details = Vec::new();
    for l in &d.leaves {
        let rest = Definition::rest(l);
        let kept = matches!(
            rest.first().map(String::as_str),
            Some(
                "match"
                    | "set-name"
                    | "interfaces"
                    | "id"
                    | "link"
                    | "renderer"
                    | "optional"
                    | "activation-mode"
                    | "critical"
                    | "mode"
                    | "local"
                    | "remote"
            )
        );
        if kept {
            details.push(format!("{}={}", rest.join("."), l.value));
        }
    }
    let dhcp = is_yes(&d.get(&["dhcp4"])) || is_yes(&d.get(&["dhcp6"]));
    out.push(Interface {
        name: d.name.to_owned(),
        manager: "netplan".into(),
        kind: kind.into(),
        method: if dhcp {
            "dhcp".into()
        } else if addresses.is_empty() {
            "manual".into()
        } else {
            "static".into()
        },
        addresses: addresses.iter().map(|l| l.value.clone()).collect(),
        gateway,
        mac: [d.get(&["macaddress"]), d.get(&["match", "macaddress"])]
            .into_iter()
            .find(|m| !m.is_empty())
            .unwrap_or_default(),
        auto,
        details,
        evidence: at(d.text, first),
        ..Interface::default()
    });
    for (key, kind) in [("addresses", "nameserver"), ("search", "search")] {
        for l in d.below(&["nameservers", key]) {
            out.push(NameSetting {
                kind: kind.into(),
                value: l.value.clone(),
                scope: d.name.to_owned(),
                evidence: at(d.text, l),
                ..NameSetting::default()
            });
        }
    }
    connections(d, auto, &mode, out);
}

fn routes(d: &Definition<'_>, gateway: &mut Vec<String>, out: &Out) {
    let mut index = 0_usize;
    while let Some(to) = d.leaf(&["routes", &index.to_string(), "to"]) {
        if index >= 500 {
            return out.gap_line(d.text.entry, to.line, "budget: routes; the rest was not read");
        }
        let via = d.get(&["routes", &index.to_string(), "via"]);
        if matches!(to.value.as_str(), "default" | "0.0.0.0/0" | "::/0") {
            once(gateway, &via);
        } else {
            out.push(Route {
                destination: to.value.clone(),
                gateway: via,
                interface: d.name.to_owned(),
                manager: "netplan".into(),
                evidence: at(d.text, to),
                ..Route::default()
            });
        }
        index = index.saturating_add(1);
    }
}

fn connections(d: &Definition<'_>, auto: bool, mode: &str, out: &Out) {
    let base = Connection {
        name: d.name.to_owned(),
        manager: "netplan".into(),
        enabled: auto,
        enabled_by: vec![if auto { "netplan brings it up at boot".into() } else { format!("activation-mode={mode}") }],
        interface: d.name.to_owned(),
        ..Connection::default()
    };
    let mut secrets = Vec::new();
    for l in d.leaves.iter().filter(|l| !l.value.is_empty()) {
        // WireGuard keys stand under `key` and `keys`.
        let tunnel_key = d.section == "tunnels" && matches!(Definition::rest(l), [k] if k == "key")
            || l.path.iter().any(|p| p == "keys") && l.key() != "public";
        if is_secret(l.key()) || tunnel_key {
            once(&mut secrets, l.key());
        }
    }
    match d.section {
        "modems" => modem(d, Connection { secrets, kind: "gsm".into(), ..base }, out),
        "wifis" => {
            let mut names: Vec<&str> = Vec::new();
            for l in d.below(&["access-points"]) {
                if let Some(name) = Definition::rest(l).get(1)
                    && !names.contains(&name.as_str())
                {
                    names.push(name);
                    if names.len() > 200 {
                        return out.gap_line(d.text.entry, l.line, "budget: access points; the rest was not read");
                    }
                    let ap = d.get(&["access-points", name, "mode"]) == "ap";
                    let hidden = d.get(&["access-points", name, "hidden"]);
                    let mut c = Connection {
                        name: name.clone(),
                        kind: if ap { "wifi-ap".into() } else { "wifi".into() },
                        endpoints: vec![name.clone()],
                        secrets: secrets.clone(),
                        username: d.get(&["access-points", name, "auth", "identity"]),
                        evidence: at_name(d, l, name),
                        ..base.clone()
                    };
                    if !hidden.is_empty() {
                        c.details.push(format!("hidden={hidden}"));
                    }
                    out.push(c);
                }
            }
        }
        "tunnels" => {
            let wireguard = d.get(&["mode"]) == "wireguard";
            let mut c =
                Connection { kind: if wireguard { "wireguard".into() } else { "tunnel".into() }, secrets, ..base };
            let mut telling = d.leaf(&["mode"]);
            for l in d.below(&["peers"]) {
                match l.key() {
                    "endpoint" => {
                        once(&mut c.endpoints, &l.value);
                        telling = Some(l);
                    }
                    _ if l.path.iter().any(|p| p == "allowed-ips") => {
                        c.default_route |= matches!(l.value.as_str(), "0.0.0.0/0" | "::/0");
                        once(&mut c.details, &format!("allowed-ips={}", l.value));
                    }
                    "keepalive" => once(&mut c.details, &format!("keepalive={}", l.value)),
                    _ => {}
                }
            }
            if let Some(remote) = d.leaf(&["remote"]) {
                once(&mut c.endpoints, &remote.value);
                telling = Some(remote);
            }
            c.details.push(format!("mode={}", d.get(&["mode"])));
            if let Some(port) = d.leaf(&["port"]).filter(|_| wireguard) {
                out.push(Listener {
                    protocol: "udp".into(),
                    address: "*".into(),
                    port: port.value.clone(),
                    program: "wireguard".into(),
                    evidence: at(d.text, port),
                    ..Listener::default()
                });
            }
            if let Some(leaf) = telling.or_else(|| d.leaves.first().copied()) {
                c.evidence = at(d.text, leaf);
            }
            out.push(c);
        }
        // A profile of NetworkManager, kept by netplan.
        _ => {
            if let Some(kind) =
                d.leaf(&["networkmanager", "passthrough", "connection.type"]).filter(|_| d.section == "nm-devices")
            {
                let mut c = Connection {
                    kind: kind.value.as_str().into(),
                    secrets,
                    uuid: d.get(&["networkmanager", "uuid"]),
                    evidence: at(d.text, kind),
                    ..base
                };
                let auto = d.get(&["networkmanager", "passthrough", "connection.autoconnect"]);
                c.enabled &= !is_no(&auto);
                c.apn = d.get(&["networkmanager", "passthrough", "gsm.apn"]);
                for l in d.below(&["networkmanager", "passthrough"]).filter(|l| !is_secret(l.key())) {
                    c.details.push(format!("{}={}", l.key(), l.value));
                }
                out.push(c);
            }
        }
    }
}

/// The access point's own line, if a leaf stands below it: the leaf's line at least names it in its key.
fn at_name(d: &Definition<'_>, leaf: &Leaf, name: &str) -> Evidence {
    Evidence { key: Some(format!("network.wifis.{}.access-points.{name}", d.name)), ..at(d.text, leaf) }
}

fn modem(d: &Definition<'_>, mut c: Connection, out: &Out) {
    c.apn = d.get(&["apn"]);
    c.number = d.get(&["number"]);
    c.username = d.get(&["username"]);
    c.device = d.get(&["device-id"]);
    c.uuid = d.get(&["networkmanager", "uuid"]);
    c.default_route = true;
    for key in ["sim-id", "sim-operator-id", "network-id", "auto-config"] {
        let v = d.get(&[key]);
        if !v.is_empty() {
            c.details.push(format!("{key}={v}"));
        }
    }
    let telling = d.leaf(&["apn"]).or_else(|| d.leaf(&["number"])).or_else(|| d.leaves.first().copied());
    if let Some(leaf) = telling {
        c.evidence = at(d.text, leaf);
    }
    out.push(c);
}
