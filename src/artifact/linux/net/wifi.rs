//! Wi-Fi as a client and as an access point: wpa_supplicant, iwd, hostapd.
//! Formats: wpa_supplicant.conf(5), iwd.network(5), hostapd.conf.
use super::{BY_UNIT, cite, ini, is_no, once};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::lines::decode;
use crate::inventory::Connection;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.wifi",
    about: "Wireless networks of wpa_supplicant and iwd, access points of hostapd",
    os: Os::Linux,
    reads: &[
        "/etc/wpa_supplicant/*.conf",
        "/etc/wpa_supplicant.conf",
        "/var/lib/iwd/*",
        "/etc/hostapd/*.conf",
        "/etc/hostapd.conf",
    ],
    references: &["wpa_supplicant.conf(5)", "iwd.network(5)", "hostapd(8)"],
    extract,
};

/// More networks than this in one file are no configuration.
const MAX_NETWORKS: usize = 5000;

fn extract(system: &System, out: &Out) {
    out.each_text(system, &["/etc/wpa_supplicant/*.conf", "/etc/wpa_supplicant.conf"], |text| supplicant(text, out));
    out.each_text(system, &["/var/lib/iwd/*.{psk,open,8021x}"], |text| iwd(text, out));
    out.each_text(system, &["/etc/hostapd/*.conf", "/etc/hostapd.conf"], |text| hostapd(text, out));
}

/// `"text"` as it is, hex otherwise.
fn ssid(value: &str) -> String {
    if let Some(text) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        return text.to_owned();
    }
    let bytes: Option<Vec<u8>> = value
        .as_bytes()
        .chunks(2)
        .map(|p| std::str::from_utf8(p).ok().filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok()))
        .collect();
    bytes.filter(|b| !b.is_empty()).map_or_else(|| value.to_owned(), |b| decode(&b).into_owned())
}

fn supplicant(text: &Text<'_>, out: &Out) {
    let file = decode(text.entry.path.file_name()).into_owned();
    let interface = file
        .strip_prefix("wpa_supplicant-")
        .and_then(|f| f.strip_suffix(".conf"))
        .map(|f| f.trim_start_matches("nl80211-").trim_start_matches("wired-").to_owned())
        .unwrap_or_default();
    let unit =
        if interface.is_empty() { BY_UNIT.to_owned() } else { format!("{BY_UNIT} (wpa_supplicant@{interface})") };
    let mut open: Option<Connection> = None;
    let mut networks = 0_usize;
    for line in bounded(text, out) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let body = line.text.trim();
        if body.starts_with("network={") || body.replace(' ', "").starts_with("network={") {
            networks = networks.saturating_add(1);
            if networks > MAX_NETWORKS {
                return out.gap_line(text.entry, line.number, "budget: networks; the rest was not read");
            }
            open = Some(Connection {
                manager: "wpa_supplicant".into(),
                kind: "wifi".into(),
                enabled: false,
                enabled_by: vec![unit.clone()],
                interface: interface.clone(),
                evidence: cite(text, line.number, line.run, "network"),
                ..Connection::default()
            });
        } else if body.starts_with('}') {
            if let Some(mut c) = open.take() {
                if c.name.is_empty() {
                    c.name = "(any)".into();
                }
                out.push(c);
            }
        } else if let Some((key, value)) = body.split_once('=')
            && let Some(c) = &mut open
        {
            let (key, value) = (key.trim(), value.trim());
            match key {
                "ssid" => {
                    c.name = ssid(value);
                    c.endpoints = vec![c.name.clone()];
                    c.evidence = cite(text, line.number, line.run, "network.ssid");
                }
                "mode" if value == "2" => c.kind = "wifi-ap".into(),
                "disabled" if value == "1" => c.enabled_by = vec!["disabled=1".into()],
                "identity" => value.trim_matches('"').clone_into(&mut c.username),
                "key_mgmt" | "bssid" | "scan_ssid" | "eap" | "priority" | "id_str" => {
                    c.details.push(format!("{key}={}", value.trim_matches('"')));
                }
                key if is_secret(key.trim_start_matches('#')) && !key.starts_with('#') => once(&mut c.secrets, key),
                _ => {}
            }
        }
    }
    if let Some(c) = open {
        out.gap(text.entry, "the last network is not closed");
        out.push(c);
    }
}

fn iwd(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    let file = decode(text.entry.path.file_name()).into_owned();
    let (stem, security) = file.rsplit_once('.').unwrap_or((&file, ""));
    let name = stem.strip_prefix('=').map_or_else(|| stem.to_owned(), ssid);
    let auto = ini.get("Settings", "AutoConnect");
    let mut c = Connection {
        endpoints: vec![name.clone()],
        name,
        manager: "iwd".into(),
        kind: "wifi".into(),
        enabled: !auto.is_some_and(is_no),
        enabled_by: vec![format!("AutoConnect={}", auto.unwrap_or("true (not set)"))],
        username: ini.get("Security", "EAP-Identity").unwrap_or_default().to_owned(),
        details: vec![format!("security={security}")],
        evidence: text.evidence(),
        ..Connection::default()
    };
    for e in ini.sections.iter().flat_map(|s| &s.entries).filter(|e| is_secret(&e.key)) {
        once(&mut c.secrets, &e.key);
    }
    out.push(c);
}

fn hostapd(text: &Text<'_>, out: &Out) {
    let mut c = Connection {
        manager: "hostapd".into(),
        kind: "wifi-ap".into(),
        enabled: false,
        enabled_by: vec![format!("{BY_UNIT} (hostapd)")],
        ..Connection::default()
    };
    let mut telling: Option<(u32, Run)> = None;
    for line in bounded(text, out) {
        let body = line.text.trim();
        let Some((key, value)) = body.split_once('=').filter(|_| !body.starts_with('#')) else { continue };
        match key {
            "ssid" | "ssid2" => {
                c.name = if key == "ssid" { value.to_owned() } else { ssid(value) };
                c.endpoints = vec![c.name.clone()];
                telling = Some((line.number, line.run));
            }
            "interface" => value.clone_into(&mut c.interface),
            "bridge" | "channel" | "hw_mode" | "wpa" | "ignore_broadcast_ssid" | "country_code" => {
                c.details.push(format!("{key}={value}"));
            }
            key if is_secret(key) => once(&mut c.secrets, key),
            _ => {}
        }
    }
    if let Some((line, run)) = telling {
        c.evidence = cite(text, line, run, "ssid");
        out.push(c);
    }
}
