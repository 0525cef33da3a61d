//! Bluetooth: devices that were paired or seen, and those among the paired that offer a network.
//! Formats: BlueZ's doc/settings-storage.txt, the Bluetooth SIG's assigned numbers (services, class of device),
//! rfcomm.conf(5).
use super::{cite, ini, is_yes};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{System, Text};
use crate::format::lines::decode;
use crate::inventory::{Connection, Device, Setting};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.bluetooth",
    about: "Bluetooth devices that were paired or seen, networks that paired ones offer, serial lines over Bluetooth",
    os: Os::Linux,
    reads: &[
        "/var/lib/bluetooth/*/*/info",
        "/var/lib/bluetooth/*/cache/*",
        "/var/lib/bluetooth/*/settings",
        "/etc/bluetooth/rfcomm.conf",
        "/etc/bluetooth/{main,network}.conf",
    ],
    references: &["https://github.com/bluez/bluez/blob/master/doc/settings-storage.txt", "rfcomm.conf(5)"],
    extract,
};

/// Services by which a device takes others along into a network: the first eight digits of the UUID.
const NETWORKS: &[(&str, &str)] = &[("00001103", "DUN"), ("00001115", "PANU"), ("00001116", "NAP"), ("00001117", "GN")];

fn extract(system: &System, out: &Out) {
    let each = |patterns: &[&str], then: &dyn Fn(&Text<'_>)| out.each_text(system, patterns, then);
    each(&["/var/lib/bluetooth/*/*/info"], &|text| paired(text, out));
    each(&["/var/lib/bluetooth/*/cache/*"], &|text| seen(system, text, out));
    each(&["/var/lib/bluetooth/*/settings"], &|text| settings(text, "adapter", out));
    each(&["/etc/bluetooth/main.conf", "/etc/bluetooth/network.conf"], &|text| settings(text, "bluetooth", out));
    each(&["/etc/bluetooth/rfcomm.conf"], &|text| rfcomm(text, out));
}

/// The name of the folder so many levels above the file.
fn above(text: &Text<'_>, levels: usize) -> String {
    decode(text.entry.path.bytes().rsplit(|b| *b == b'/').nth(levels).unwrap_or_default()).into_owned()
}

/// Major class of a device's 24 bits.
fn class(value: &str) -> &'static str {
    let bits = u32::from_str_radix(value.trim_start_matches("0x"), 16).unwrap_or(0);
    if bits >> 8 & 0x1f == 2 { "phone" } else { "other" }
}

fn paired(text: &Text<'_>, out: &Out) {
    let ini = ini(text, out);
    let (address, adapter) = (above(text, 1), above(text, 2));
    let has_key = ["LinkKey", "LongTermKey", "SlaveLongTermKey", "PeripheralLongTermKey"]
        .iter()
        .any(|s| ini.section(s).is_some());
    let services: Vec<String> =
        ini.get("General", "Services").unwrap_or_default().split(';').map(str::to_ascii_lowercase).collect();
    let offers: Vec<&str> =
        NETWORKS.iter().filter(|(id, _)| services.iter().any(|s| s.starts_with(id))).map(|(_, name)| *name).collect();
    let telling = ini.entry("General", "Name").or_else(|| ini.entry("General", "Alias"));
    let evidence = telling.map_or_else(|| text.evidence(), |e| cite(text, e.line, e.run, "General.Name"));
    let name = [ini.get("General", "Name"), ini.get("General", "Alias")].into_iter().flatten().find(|n| !n.is_empty());
    let name = name.unwrap_or(&address).to_owned();
    let id = |key: &str| {
        let number = ini.get("DeviceID", key).and_then(|v| v.parse::<u16>().ok());
        number.map(|n| format!("{n:04x}")).unwrap_or_default()
    };
    out.push(Device {
        bus: "bluetooth".into(),
        vendor: id("Vendor"),
        product: id("Product"),
        name: name.clone(),
        class: class(ini.get("General", "Class").unwrap_or_default()).into(),
        serial: address.clone(),
        node: adapter.clone(),
        source: if has_key { "bluetooth-pairing" } else { "bluetooth" }.into(),
        last_seen: text.entry.stat.as_ref().and_then(|s| s.times.modified),
        count: 1,
        evidence: evidence.clone(),
        ..Device::default()
    });
    // A device that takes part in a network is no way out by that; one that offers it is.
    if has_key && offers.iter().any(|o| matches!(*o, "NAP" | "DUN" | "GN")) {
        let blocked = ini.get("General", "Blocked").is_some_and(is_yes);
        let evidence =
            ini.entry("General", "Services").map_or(evidence, |e| cite(text, e.line, e.run, "General.Services"));
        out.push(Connection {
            name,
            manager: "bluez".into(),
            kind: "bluetooth".into(),
            enabled: false,
            enabled_by: vec![
                if blocked {
                    "the device is blocked"
                } else {
                    "nothing in this file: a program has to ask for the network"
                }
                .into(),
            ],
            interface: "bnep0".into(),
            device: address,
            details: vec![
                format!("offers={}", offers.join(",")),
                format!("trusted={}", ini.get("General", "Trusted").unwrap_or("false (not set)")),
                format!("adapter={adapter}"),
            ],
            evidence,
            ..Connection::default()
        });
    }
}

/// A name that was heard. What has a folder of its own is told there.
fn seen(system: &System, text: &Text<'_>, out: &Out) {
    let (address, adapter) = (above(text, 0), above(text, 2));
    if system.get(format!("/var/lib/bluetooth/{adapter}/{address}/info")).is_some() {
        return;
    }
    let ini = ini(text, out);
    let Some(name) = ini.entry("General", "Name") else { return };
    out.push(Device {
        bus: "bluetooth".into(),
        name: name.value.clone(),
        class: "other".into(),
        serial: address,
        node: adapter,
        source: "bluetooth".into(),
        last_seen: text.entry.stat.as_ref().and_then(|s| s.times.modified),
        count: 1,
        evidence: cite(text, name.line, name.run, "General.Name"),
        ..Device::default()
    });
}

fn settings(text: &Text<'_>, scope: &str, out: &Out) {
    let adapter = if scope == "adapter" { above(text, 1) } else { String::new() };
    for s in &ini(text, out).sections {
        for e in &s.entries {
            out.push(Setting {
                program: "bluez".into(),
                scope: if adapter.is_empty() { s.name.clone() } else { adapter.clone() },
                name: e.key.clone(),
                value: e.value.clone(),
                effective: true,
                evidence: cite(text, e.line, e.run, &format!("{}.{}", s.name, e.key)),
                ..Setting::default()
            });
        }
    }
}

/// `rfcomm0 { bind yes; device 11:22:33:44:55:66; channel 1; }`
fn rfcomm(text: &Text<'_>, out: &Out) {
    let mut open: Option<Connection> = None;
    for line in bounded(text, out) {
        let body = line.text.split('#').next().unwrap_or_default().trim();
        if let Some(head) = body.strip_suffix('{') {
            open = Some(Connection {
                name: head.trim().to_owned(),
                manager: "rfcomm".into(),
                kind: "bluetooth".into(),
                enabled_by: vec!["bind (not set: no)".into()],
                interface: head.trim().to_owned(),
                evidence: cite(text, line.number, line.run, "rfcomm"),
                ..Connection::default()
            });
        } else if body.starts_with('}') {
            if let Some(c) = open.take().filter(|c| !c.device.is_empty()) {
                out.push(c);
            }
        } else if let (Some(c), Some((key, value))) =
            (&mut open, body.trim_end_matches(';').split_once(char::is_whitespace))
        {
            let value = value.trim().trim_matches('"');
            match key {
                "bind" => {
                    c.enabled = is_yes(value);
                    c.enabled_by = vec![format!("bind {value}")];
                }
                "device" => {
                    value.clone_into(&mut c.device);
                    c.evidence = cite(text, line.number, line.run, "device");
                }
                "channel" | "comment" => c.details.push(format!("{key}={value}")),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::tests::run;
    use super::*;

    #[test]
    fn a_paired_phone_that_offers_a_network() {
        let (inv, gaps) = run(
            "
/var/lib/bluetooth/00:1A:7D:DA:71:13/settings
    [General]
    Discoverable=true

/var/lib/bluetooth/00:1A:7D:DA:71:13/4C:32:75:00:11:22/info
    [General]
    Name=Li's phone
    Class=0x5a020c
    Trusted=true
    Services=00001103-0000-1000-8000-00805f9b34fb;00001116-0000-1000-8000-00805f9b34fb;
    [LinkKey]
    Key=0123456789ABCDEF0123456789ABCDEF
    [DeviceID]
    Source=1
    Vendor=76
    Product=29440

/var/lib/bluetooth/00:1A:7D:DA:71:13/4C:32:75:00:11:33/info
    [General]
    Name=keyboard
    Class=0x002540
    Services=00001124-0000-1000-8000-00805f9b34fb;
    [LinkKey]
    Key=0123456789ABCDEF0123456789ABCDEF

/var/lib/bluetooth/00:1A:7D:DA:71:13/4C:32:75:00:11:44/info
    [General]
    Name=unpaired
    Services=00001116-0000-1000-8000-00805f9b34fb;

/var/lib/bluetooth/00:1A:7D:DA:71:13/cache/4C:32:75:00:11:22
    [General]
    Name=Li's phone

/var/lib/bluetooth/00:1A:7D:DA:71:13/cache/4C:32:75:00:11:55
    [General]
    Name=passer-by

/etc/bluetooth/rfcomm.conf
    #rfcomm0 {
    rfcomm1 {
      bind yes;
      device 11:22:33:44:55:66;
      channel 1;
    }
",
            &[&ARTIFACT],
        );
        assert!(gaps.is_empty(), "{gaps:?}");
        let devices: Vec<String> = inv
            .devices
            .iter()
            .map(|d| format!("{} {} {} {}:{} {}", d.name, d.serial, d.class, d.vendor, d.product, d.source))
            .collect();
        assert_eq!(
            devices,
            [
                "keyboard 4C:32:75:00:11:33 other : bluetooth-pairing",
                "unpaired 4C:32:75:00:11:44 other : bluetooth",
                "passer-by 4C:32:75:00:11:55 other : bluetooth",
                "Li's phone 4C:32:75:00:11:22 phone 004c:7300 bluetooth-pairing",
            ]
        );
        let connections: Vec<String> = inv
            .connections
            .iter()
            .map(|c| format!("{} {} {} {} {:?}", c.manager, c.name, c.device, c.enabled, c.details))
            .collect();
        assert_eq!(
            connections,
            [
                "bluez Li's phone 4C:32:75:00:11:22 false [\"offers=DUN,NAP\", \"trusted=true\", \"adapter=00:1A:7D:DA:71:13\"]",
                "rfcomm rfcomm1 11:22:33:44:55:66 true [\"channel=1\"]",
            ]
        );
        assert_eq!(inv.connections[0].evidence.line, Some(5));
        assert!(!format!("{inv:?}").contains("0123456789ABCDEF"));
    }
}
