//! Cellular and dial-up programs with settings of their own: wvdial, SMS handlers, oFono, ConnMan,
//! ModemManager's hooks, qmi-network and mbim-network. Formats: the programs' manuals.
use super::{BY_UNIT, cite, ini, is_no, is_yes, list, once};
use crate::artifact::linux::net::bounded;
use crate::artifact::operators::operator;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Time;
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::ini::{Entry, Ini, Section};
use crate::format::lines::{decode, unquote};
use crate::fs::NodeKind;
use crate::inventory::{Connection, Setting};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.cellular",
    about: "Dialers, SMS handlers and cellular managers: wvdial, smstools, gammu, gnokii, oFono, ConnMan, ModemManager hooks, qmi-network, mbim-network",
    os: Os::Linux,
    reads: &[
        "/etc/wvdial.conf",
        "/etc/smsd.conf",
        "/etc/gammu-smsdrc",
        "/etc/gammurc",
        "/etc/gnokiirc",
        "/var/lib/ofono/**",
        "/etc/ofono/*.conf",
        "/var/lib/connman/**",
        "/etc/ModemManager/{connection.d,fcc-unlock.d,modem-setup.d}/*",
        "/etc/qmi-network.conf",
        "/etc/mbim-network.conf",
    ],
    references: &[
        "wvdial.conf(5)",
        "https://smstools3.kekekasvi.com",
        "gammu-smsdrc(5)",
        "ofonod(8)",
        "ModemManager(8)",
        "qmi-network(1)",
    ],
    extract,
};

fn extract(system: &System, out: &Out) {
    out.each(system, &["/etc/wvdial.conf", "/root/.wvdialrc", "/home/*/.wvdialrc"], |text| wvdial(text, out));
    out.each(system, &["/etc/smsd.conf", "/etc/smstools/smsd.conf"], |text| smstools(text, out));
    out.each(
        system,
        &[
            "/etc/gammu-smsdrc",
            "/etc/gammurc",
            "/root/.gammurc",
            "/home/*/.gammurc",
            "/etc/gnokiirc",
            "/root/.gnokiirc",
        ],
        |text| phone(text, out),
    );
    out.each(system, &["/var/lib/ofono/*/gprs"], |text| ofono(text, out));
    out.each(system, &["/var/lib/ofono/*/settings", "/etc/ofono/modem.conf"], |text| {
        for e in ini(text, out).sections.iter().flat_map(|s| &s.entries).filter(|e| !is_secret(&e.key)) {
            setting("ofono", text, &decode(text.entry.path.parent()), e, out);
        }
    });
    out.each(
        system,
        &[
            "/var/lib/connman/cellular_*/settings",
            "/var/lib/connman/wifi_*/settings",
            "/var/lib/connman/vpn_*/settings",
        ],
        |text| connman(text, out),
    );
    out.each(system, &["/etc/qmi-network.conf", "/etc/mbim-network.conf"], |text| network_script(text, out));
    for entry in system.glob("/etc/ModemManager/{connection.d,fcc-unlock.d,modem-setup.d}/*") {
        if entry.is_file() || entry.kind() == NodeKind::Symlink {
            let hook = decode(entry.path.parent().rsplit(|b| *b == b'/').next().unwrap_or_default()).into_owned();
            let target = system.link_target(entry).map(|t| format!(" -> {t}")).unwrap_or_default();
            out.push(Setting {
                program: "modemmanager".into(),
                scope: hook,
                name: decode(entry.path.file_name()).into_owned(),
                value: format!("hook{target}"),
                effective: true,
                evidence: system.evidence(entry),
                ..Setting::default()
            });
        }
    }
}

fn setting(program: &str, text: &Text<'_>, scope: &str, e: &Entry, out: &Out) {
    out.push(Setting {
        program: program.into(),
        scope: scope.to_owned(),
        name: e.key.clone(),
        value: e.value.clone(),
        effective: true,
        evidence: cite(text, e.line, e.run, &e.key),
        ..Setting::default()
    });
}

/// Device names that stand for nothing in an example.
fn is_placeholder(device: &str) -> bool {
    matches!(device, "" | "/dev/null") || device.contains('*') || device.contains('<')
}

fn wvdial(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    let defaults = ini.section("Dialer Defaults").cloned().unwrap_or_default();
    let mut names: Vec<&Section> =
        ini.sections.iter().filter(|s| s.name.to_ascii_lowercase().starts_with("dialer ")).collect();
    // The defaults alone are a connection as well.
    if names.len() > 1 {
        names.retain(|s| !s.name.eq_ignore_ascii_case("Dialer Defaults") || s.get("Phone").is_some());
    }
    for s in names {
        let entry = |key: &str| s.entry(key).or_else(|| defaults.entry(key));
        let get = |key: &str| entry(key).map(|e| unquote(&e.value).to_owned()).unwrap_or_default();
        let modem = get("Modem");
        let Some(telling) = entry("Phone")
            .filter(|p| p.value.bytes().any(|b| b.is_ascii_digit()))
            .or_else(|| entry("Modem").filter(|_| !is_placeholder(&modem)))
        else {
            continue;
        };
        let mut c = Connection {
            name: s.name.split_whitespace().skip(1).collect::<Vec<_>>().join(" "),
            manager: "wvdial".into(),
            kind: "ppp-modem".into(),
            enabled: false,
            enabled_by: vec![BY_UNIT.into()],
            device: modem.clone(),
            number: get("Phone"),
            username: get("Username"),
            default_route: true,
            evidence: cite(text, telling.line, telling.run, &format!("{}.{}", s.name, telling.key)),
            ..Connection::default()
        };
        let mut dial = super::chat::Dial::default();
        for e in defaults.entries.iter().chain(&s.entries) {
            if e.key.to_ascii_lowercase().starts_with("init") {
                super::chat::learn(&e.value, "", &mut dial);
                c.details.push(format!("{}={}", e.key, e.value));
            } else if is_secret(&e.key) && !e.value.is_empty() {
                once(&mut c.secrets, &e.key);
            } else if ["auto reconnect", "carrier check", "stupid mode", "baud", "isdn", "dial command"]
                .contains(&e.key.to_ascii_lowercase().as_str())
            {
                once(&mut c.details, &format!("{}={}", e.key, e.value));
            }
        }
        c.apn = dial.apn;
        dial.secrets.iter().for_each(|n| once(&mut c.secrets, n));
        out.push(c);
    }
}

/// The line devices of smsd, each with what runs when a message comes.
fn smstools(text: &Text<'_>, out: &Out) {
    let ini = Ini::parse(&text.bytes);
    let top = ini.sections.iter().find(|s| s.name.is_empty()).cloned().unwrap_or_default();
    let handlers: Vec<&Entry> = ini
        .sections
        .iter()
        .flat_map(|s| &s.entries)
        .filter(|e| {
            matches!(
                e.key.to_ascii_lowercase().as_str(),
                "eventhandler" | "alarmhandler" | "regular_run" | "checkhandler"
            )
        })
        .collect();
    for e in &handlers {
        setting("smstools", text, "", e, out);
    }
    for device in top.get("devices").map(list).unwrap_or_default() {
        let Some(s) = ini.section(&device) else { continue };
        let Some(node) = s.entry("device").filter(|d| !is_placeholder(&d.value)) else { continue };
        // What Debian's package writes when nobody answers its questions.
        let untouched = device == "GSM1" && node.value == "/dev/ttyS0" && handlers.is_empty() && s.get("pin").is_none();
        if untouched {
            setting("smstools (package default)", text, &device, node, out);
            continue;
        }
        let mut c = Connection {
            name: device.clone(),
            manager: "smstools".into(),
            kind: "sms".into(),
            enabled: false,
            enabled_by: vec![BY_UNIT.into()],
            device: node.value.clone(),
            evidence: cite(text, node.line, node.run, &format!("{device}.device")),
            ..Connection::default()
        };
        for e in &s.entries {
            if is_secret(&e.key) {
                once(&mut c.secrets, &e.key);
            } else if e.key != "device" {
                c.details.push(format!("{}={}", e.key, e.value));
            }
        }
        c.details.extend(handlers.iter().map(|h| format!("{}={}", h.key, h.value)));
        out.push(c);
    }
}

/// gammu and gnokii: one phone or modem a section.
fn phone(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    let manager = if decode(text.entry.path.file_name()).contains("gnokii") { "gnokii" } else { "gammu" };
    let run = ini.sections.iter().flat_map(|s| &s.entries).filter(|e| {
        matches!(
            e.key.to_ascii_lowercase().as_str(),
            "runonreceive" | "runonfailure" | "runonsent" | "runonincomingcall"
        )
    });
    let handlers: Vec<String> = run.map(|e| format!("{}={}", e.key, e.value)).collect();
    for s in ini.sections.iter().filter(|s| {
        s.name.to_ascii_lowercase().starts_with("gammu") || s.name == "global" || s.name.starts_with("phone_")
    }) {
        let Some(port) = s.entry("device").or_else(|| s.entry("port")).filter(|p| !is_placeholder(&p.value)) else {
            continue;
        };
        let mut c = Connection {
            name: text.entry.path.display(),
            manager: manager.into(),
            kind: "sms".into(),
            enabled: false,
            enabled_by: vec![BY_UNIT.into()],
            device: port.value.clone(),
            details: handlers.clone(),
            evidence: cite(text, port.line, port.run, &format!("{}.{}", s.name, port.key)),
            ..Connection::default()
        };
        if let Some(v) = s.get("connection") {
            c.details.push(format!("connection={v}"));
        }
        for e in ini.sections.iter().flat_map(|s| &s.entries).filter(|e| is_secret(&e.key) && !e.value.is_empty()) {
            once(&mut c.secrets, &e.key);
        }
        out.push(c);
    }
}

/// A context of a subscriber; the directory is named by the IMSI.
fn ofono(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    let imsi = decode(text.entry.path.parent().rsplit(|b| *b == b'/').next().unwrap_or_default()).into_owned();
    let powered = ini.get("Settings", "Powered");
    for s in &ini.sections {
        let Some(apn) = s.entry("AccessPointName").filter(|a| !a.value.is_empty()) else { continue };
        let mut c = Connection {
            name: format!("{imsi}/{}", s.name),
            manager: "ofono".into(),
            kind: "gsm".into(),
            enabled: powered.is_none_or(is_yes),
            enabled_by: vec![format!("Powered={}", powered.unwrap_or("(not set)"))],
            apn: apn.value.clone(),
            username: s.get("Username").unwrap_or_default().to_owned(),
            default_route: s.get("Type").is_none_or(|t| t == "internet"),
            details: [format!("imsi={imsi}"), format!("type={}", s.get("Type").unwrap_or_default())]
                .into_iter()
                .chain(operator(&imsi).map(|o| format!("sim-network={o}")))
                .collect(),
            evidence: cite(text, apn.line, apn.run, &format!("{}.AccessPointName", s.name)),
            ..Connection::default()
        };
        for e in s.entries.iter().filter(|e| is_secret(&e.key) && !e.value.is_empty()) {
            once(&mut c.secrets, &e.key);
        }
        out.push(c);
    }
}

fn connman(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    for s in &ini.sections {
        let kind = match s.name.split('_').next() {
            Some("cellular") => "gsm",
            Some("wifi") => "wifi",
            Some("vpn") => "vpn",
            _ => continue,
        };
        let name = s.get("Name").unwrap_or(&s.name).to_owned();
        let mut c = Connection {
            name,
            manager: "connman".into(),
            kind: kind.into(),
            enabled: s.get("AutoConnect").is_some_and(is_yes),
            enabled_by: vec![format!("AutoConnect={}", s.get("AutoConnect").unwrap_or("false (not set)"))],
            apn: s.get("Cellular.APN").or_else(|| s.get("APN")).unwrap_or_default().to_owned(),
            last_used: s.get("Modified").and_then(Time::parse),
            details: vec![format!("Favorite={}", s.get("Favorite").unwrap_or_default())],
            evidence: cite(text, s.line, s.run, &s.name),
            ..Connection::default()
        };
        for e in s.entries.iter().filter(|e| is_secret(&e.key) && !e.value.is_empty()) {
            once(&mut c.secrets, &e.key);
        }
        out.push(c);
    }
}

/// The settings of libqmi's and libmbim's scripts: shell variables.
fn network_script(text: &Text<'_>, out: &Out) {
    let name = decode(text.entry.path.file_name()).into_owned();
    let mut c = Connection {
        name: name.trim_end_matches(".conf").to_owned(),
        manager: "dialer".into(),
        kind: "gsm".into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        default_route: true,
        ..Connection::default()
    };
    let mut found = false;
    for line in bounded(text, out) {
        let body = line.text.trim();
        let Some((key, value)) = body.split_once('=').filter(|_| !body.starts_with('#')) else { continue };
        let value = unquote(value);
        match key.trim() {
            "APN" if !value.is_empty() => {
                found = true;
                value.clone_into(&mut c.apn);
                c.evidence = cite(text, line.number, line.run, "APN");
            }
            "APN_USER" => value.clone_into(&mut c.username),
            key if is_secret(key) && !value.is_empty() => once(&mut c.secrets, key),
            key if !is_no(value) => c.details.push(format!("{key}={value}")),
            _ => {}
        }
    }
    if found {
        out.push(c);
    }
}
