//! NetworkManager: connection profiles (key files), its own settings, and what it remembers of use.
//! Formats: nm-settings-keyfile(5), NetworkManager.conf(5).
mod ip;

use super::{cite, ini, is_no, list, once};
use crate::artifact::operators::operator;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Time;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::ini::{Entry, Ini, Section};
use crate::inventory::{Connection, Setting};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.networkmanager",
    about: "NetworkManager's connection profiles, settings, and the times of last use it keeps",
    os: Os::Linux,
    reads: &[
        "/run/NetworkManager/system-connections/*",
        "/etc/NetworkManager/system-connections/*",
        "/usr/lib/NetworkManager/system-connections/*",
        "/etc/NetworkManager/NetworkManager.conf",
        "/etc/NetworkManager/conf.d/*.conf",
        "/usr/lib/NetworkManager/conf.d/*.conf",
        "/run/NetworkManager/conf.d/*.conf",
        "/var/lib/NetworkManager/{timestamps,seen-bssids,NetworkManager.state}",
    ],
    references: &["nm-settings-keyfile(5)", "nm-settings-nmcli(5)", "NetworkManager.conf(5)"],
    extract,
};

/// Directories of profiles, the first wins where two files have one UUID.
const DIRS: &[&str] = &[
    "/run/NetworkManager/system-connections/*",
    "/etc/NetworkManager/system-connections/*",
    "/usr/lib/NetworkManager/system-connections/*",
];

/// What the state files say of a connection, by its UUID.
#[derive(Default)]
struct Memory {
    used: BTreeMap<String, (Time, Entry)>,
    bssids: BTreeMap<String, String>,
    known: BTreeSet<String>,
}

fn extract(system: &System, out: &Out) {
    let mut memory = Memory::default();
    out.each(system, &["/var/lib/NetworkManager/seen-bssids"], |text| {
        for e in ini(text, out).sections.iter().filter(|s| s.name == "seen-bssids").flat_map(|s| &s.entries) {
            memory.bssids.insert(e.key.clone(), e.value.trim_end_matches([',', ';']).to_owned());
        }
    });
    out.each(system, &["/var/lib/NetworkManager/timestamps"], |text| {
        for e in ini(text, out).sections.iter().filter(|s| s.name == "timestamps").flat_map(|s| &s.entries) {
            match e.value.parse() {
                Ok(seconds) if seconds > 0 => {
                    memory.used.insert(e.key.clone(), (Time::seconds(seconds), e.clone()));
                }
                Ok(_) => {}
                Err(_) => out.gap_line(text.entry, e.line, "no number of seconds"),
            }
        }
    });
    for dir in DIRS {
        out.each(system, &[dir], |text| profile(text, out, &mut memory));
    }
    out.each(system, &["/var/lib/NetworkManager/timestamps"], |text| {
        for (uuid, (time, entry)) in memory.used.iter().filter(|(u, _)| !memory.known.contains(*u)) {
            out.push(Connection {
                name: uuid.clone(),
                manager: "networkmanager".into(),
                kind: "removed".into(),
                uuid: uuid.clone(),
                last_used: Some(*time),
                enabled_by: vec!["no profile with this UUID is on the disk".into()],
                details: vec![
                    "NetworkManager keeps the time of profiles that were deleted, and of wired ones it makes by itself"
                        .into(),
                ],
                evidence: cite(text, entry.line, entry.run, &format!("timestamps.{uuid}")),
                ..Connection::default()
            });
        }
    });
    settings(system, out);
}

fn settings(system: &System, out: &Out) {
    const KEYS: &[&str] = &[
        "plugins",
        "dns",
        "dhcp",
        "unmanaged-devices",
        "managed",
        "no-auto-default",
        "uri",
        "enabled",
        "wwanenabled",
        "wirelessenabled",
        "networkingenabled",
        "rc-manager",
    ];
    let files = [
        "/usr/lib/NetworkManager/conf.d/*.conf",
        "/run/NetworkManager/conf.d/*.conf",
        "/etc/NetworkManager/NetworkManager.conf",
        "/etc/NetworkManager/conf.d/*.conf",
        "/var/lib/NetworkManager/NetworkManager.state",
    ];
    out.each(system, &files, |text| {
        for section in &ini(text, out).sections {
            for e in &section.entries {
                let key = e.key.trim_end_matches(['+', '-']).to_ascii_lowercase();
                if KEYS.contains(&key.as_str()) {
                    out.push(Setting {
                        program: "networkmanager".into(),
                        scope: section.name.clone(),
                        name: e.key.clone(),
                        value: e.value.clone(),
                        // Which file wins per key is NetworkManager's merge; each says what it says.
                        effective: true,
                        evidence: cite(text, e.line, e.run, &format!("{}.{}", section.name, e.key)),
                        ..Setting::default()
                    });
                }
            }
        }
    });
}

/// The short name of a connection type; old files carry the long ones.
fn kind(of: &str) -> &str {
    match of {
        "802-3-ethernet" => "ethernet",
        "802-11-wireless" => "wifi",
        "ip-tunnel" | "vxlan" | "tun" | "macsec" | "hsr" => "tunnel",
        "adsl" => "pppoa",
        other => other,
    }
}

/// File names that NetworkManager passes over.
fn ignored(name: &[u8]) -> bool {
    name.starts_with(b".")
        || [
            b"~".as_slice(),
            b".bak",
            b".swp",
            b".swx",
            b".rpmsave",
            b".rpmnew",
            b".rpmorig",
            b".dpkg-old",
            b".dpkg-new",
            b".dpkg-dist",
            b".nmmeta",
        ]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Key files write blanks at the ends as `\s`, and separators with a backslash.
fn plain(value: &str) -> String {
    value.replace("\\s", " ").replace("\\t", "\t").replace("\\;", ";").replace("\\\\", "\\")
}

/// A network name: text, or a list of byte values.
fn ssid(value: &str) -> String {
    let bytes: Option<Vec<u8>> =
        value.strip_suffix(';').map(|v| v.split(';').map(|n| n.trim().parse().ok()).collect()).unwrap_or_default();
    match bytes {
        Some(bytes) if !bytes.is_empty() => crate::format::lines::decode(&bytes).into_owned(),
        _ => plain(value),
    }
}

struct Profile<'a> {
    ini: Ini,
    text: &'a Text<'a>,
}
impl Profile<'_> {
    /// A setting by its section's short or long name.
    fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        let long = match section {
            "ethernet" => "802-3-ethernet",
            "wifi" => "802-11-wireless",
            "wifi-security" => "802-11-wireless-security",
            _ => section,
        };
        self.ini.entry(section, key).or_else(|| self.ini.entry(long, key))
    }
    fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.entry(section, key).map(|e| e.value.as_str()).filter(|v| !v.is_empty())
    }
    fn text(&self, section: &str, key: &str) -> String {
        self.get(section, key).map(plain).unwrap_or_default()
    }
    /// Numbered settings (`route1`, `address2`) of the IP sections.
    fn numbered<'a>(&'a self, stem: &'a str) -> impl Iterator<Item = (&'a Section, &'a Entry)> {
        self.ini.sections.iter().filter(|s| s.name == "ipv4" || s.name == "ipv6").flat_map(move |s| {
            s.entries.iter().filter_map(move |e| {
                let rest = e.key.strip_prefix(stem)?.trim_start_matches("es");
                (!rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())).then_some((s, e))
            })
        })
    }
}

fn profile(text: &Text<'_>, out: &Out, memory: &mut Memory) {
    let p = Profile { ini: Ini::parse(&text.bytes), text };
    let Some(typed) = p.entry("connection", "type") else {
        // A file here that is no profile is worth a word: NetworkManager would complain as well.
        if !text.bytes.is_empty() {
            out.gap(text.entry, "no [connection] type: not read as a profile");
        }
        return;
    };
    super::problems(text, out, &p.ini.problems);
    let kind = kind(&typed.value);
    let file = text.entry.path.file_name();
    let uuid = p.text("connection", "uuid");
    let name = match p.text("connection", "id") {
        id if id.is_empty() => {
            let stem = file.strip_suffix(b".nmconnection").unwrap_or(file);
            crate::format::lines::decode(stem).into_owned()
        }
        id => id,
    };
    let mut c = Connection {
        kind: match kind {
            "wifi" if matches!(p.get("wifi", "mode"), Some("ap")) => "wifi-ap".into(),
            _ => kind.into(),
        },
        manager: "networkmanager".into(),
        interface: p.text("connection", "interface-name"),
        uuid: uuid.clone(),
        ..Connection::default()
    };
    enabling(&p, file, &mut c);
    if !uuid.is_empty() && !memory.known.insert(uuid.clone()) {
        c.enabled = false;
        c.enabled_by = vec!["another profile with this UUID stands in a directory of higher rank".into()];
    }
    let mut telling = typed;
    let mut section = "connection";
    if let Some((s, e)) = specifics(&p, kind, &mut c) {
        telling = e;
        section = s;
    }
    for s in &p.ini.sections {
        for e in &s.entries {
            let stored = s.name == "vpn-secrets" || is_secret(&e.key);
            if stored && !e.value.is_empty() {
                once(&mut c.secrets, &e.key);
            }
        }
    }
    ip::settings(&p, &name, &mut c, out);
    if let Some((time, _)) = memory.used.get(&uuid) {
        c.last_used = Some(*time);
    }
    if let Some(seen) = memory.bssids.get(&uuid) {
        c.details.push(format!("seen-bssids={seen}"));
    }
    ip::interface(&p, &c, out);
    c.name = name;
    c.evidence = cite(text, telling.line, telling.run, &format!("{section}.{}", telling.key));
    out.push(c);
}

fn enabling(p: &Profile<'_>, file: &[u8], c: &mut Connection) {
    let auto = p.get("connection", "autoconnect");
    c.enabled = !auto.is_some_and(is_no);
    c.enabled_by.push(match auto {
        None => "autoconnect (not set: yes)".into(),
        Some(v) if is_no(v) => format!("autoconnect={v}: only when asked for"),
        Some(v) => format!("autoconnect={v}"),
    });
    if ignored(file) {
        c.enabled = false;
        c.enabled_by = vec!["NetworkManager passes over files of this name".into()];
    }
    for key in [
        "autoconnect-priority",
        "autoconnect-retries",
        "permissions",
        "zone",
        "secondaries",
        "master",
        "controller",
        "metered",
    ] {
        if let Some(v) = p.get("connection", key) {
            c.details.push(format!("{key}={v}"));
        }
    }
    if let Some(stat) = &p.text.entry.stat
        && (stat.uid != 0 || stat.mode & 0o077 != 0)
    {
        c.details.push(format!("file: uid {} mode {:04o} (NetworkManager wants root and 0600)", stat.uid, stat.mode));
    }
}

/// Fills in what the type has of its own; returns the section and setting that tell most.
fn specifics<'p>(p: &'p Profile<'_>, kind: &str, c: &mut Connection) -> Option<(&'static str, &'p Entry)> {
    let mut details = |section: &str, keys: &[&str]| {
        for key in keys {
            if let Some(v) = p.get(section, key) {
                c.details.push(format!("{key}={}", plain(v)));
            }
        }
    };
    match kind {
        "gsm" | "cdma" | "bluetooth" => {
            details(
                "gsm",
                &[
                    "sim-id",
                    "sim-operator-id",
                    "network-id",
                    "home-only",
                    "auto-config",
                    "initial-eps-bearer-apn",
                    "initial-eps-bearer-configure",
                ],
            );
            details("bluetooth", &["type"]);
            details("serial", &["baud"]);
            for key in ["sim-operator-id", "network-id"] {
                let network = p.get("gsm", key).and_then(operator);
                c.details.extend(network.map(|n| format!("{}={n}", key.replace("-id", "-name"))));
            }
            let section = if kind == "cdma" { "cdma" } else { "gsm" };
            c.apn = p.text("gsm", "apn");
            c.number = p.text(section, "number");
            c.username = p.text(section, "username");
            c.device = match p.text(section, "device-id") {
                d if d.is_empty() => p.text("bluetooth", "bdaddr"),
                d => d,
            };
            let of = |key| {
                p.entry(section, key)
                    .filter(|e| !e.value.is_empty())
                    .map(|e| (if kind == "cdma" { "cdma" } else { "gsm" }, e))
            };
            of("apn").or_else(|| of("number")).or_else(|| p.entry("bluetooth", "bdaddr").map(|e| ("bluetooth", e)))
        }
        "wifi" => {
            details("wifi", &["mode", "bssid", "band", "channel", "hidden", "mac-address", "cloned-mac-address"]);
            details("wifi-security", &["key-mgmt"]);
            details("802-1x", &["eap", "identity"]);
            c.username = p.text("802-1x", "identity");
            let e = p.entry("wifi", "ssid")?;
            c.endpoints.push(ssid(&e.value));
            Some(("wifi", e))
        }
        "vpn" => {
            details(
                "vpn",
                &[
                    "service-type",
                    "connection-type",
                    "dev",
                    "dev-type",
                    "port",
                    "proto-tcp",
                    "ca",
                    "cert",
                    "key",
                    "ta",
                    "proxy-type",
                    "proxy-server",
                    "never-default",
                    "redirect-gateway",
                ],
            );
            c.username = ["username", "user", "user-name", "Xauth username"]
                .iter()
                .map(|k| p.text("vpn", k))
                .find(|v| !v.is_empty())
                .unwrap_or_default();
            let remote = ["remote", "gateway", "IPSec gateway", "address", "server", "right", "mobike-gateway"]
                .iter()
                .find_map(|k| p.entry("vpn", k))
                .filter(|e| !e.value.is_empty());
            if let Some(e) = remote {
                c.endpoints = list(&plain(&e.value));
            }
            remote.or_else(|| p.entry("vpn", "service-type")).map(|e| ("vpn", e))
        }
        "wireguard" => {
            details("wireguard", &["listen-port", "fwmark", "peer-routes"]);
            let mut first = None;
            for s in p.ini.sections.iter().filter(|s| s.name.starts_with("wireguard-peer.")) {
                if let Some(e) = s.entry("endpoint") {
                    c.endpoints.push(e.value.clone());
                    first = first.or(Some(("wireguard-peer", e)));
                }
                for key in ["allowed-ips", "persistent-keepalive"] {
                    if let Some(v) = s.get(key) {
                        c.details.push(format!("{key}={v}"));
                    }
                }
            }
            first
        }
        "pppoe" | "ppp" | "pppoa" | "serial" => {
            details("pppoe", &["service", "parent"]);
            details("ppp", &["baud", "lcp-echo-interval"]);
            c.username =
                ["pppoe", "adsl"].iter().map(|s| p.text(s, "username")).find(|v| !v.is_empty()).unwrap_or_default();
            c.device = p.text("pppoe", "parent");
            p.entry("pppoe", "username").map(|e| ("pppoe", e))
        }
        _ => {
            details("ethernet", &["cloned-mac-address"]);
            details("vlan", &["id", "parent"]);
            details("ip-tunnel", &["mode", "remote", "local", "parent"]);
            details("vxlan", &["remote", "id", "parent"]);
            details("bond", &["mode"]);
            c.device = p.text("ethernet", "mac-address");
            for s in ["ip-tunnel", "vxlan"] {
                if let Some(remote) = p.get(s, "remote") {
                    c.endpoints.push(remote.to_owned());
                }
            }
            None
        }
    }
}
