//! Other machines that the logs tell of, as events; and network cards that configuration and leases name by their address
//! where the newest logs have another card: what a copied master leaves (udev's persistent-net rules, ifcfg `HWADDR`,
//! key files, `.link` files, client ids of DHCP by RFC 2132 and RFC 8415).
use super::Source;
use super::machines::{Verdict, address};
use crate::artifact::Out;
use crate::base::{Evidence, Run};
use crate::evidence::{System, Text};
use crate::inventory::{CARD_NOT_SEEN, Event, OTHER_MACHINE};
use regex::Regex;
use std::sync::LazyLock;

/// Where configuration names a card by its address.
const FILES: &[&str] = &[
    "/etc/udev/rules.d/*net*.rules",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/sysconfig/network/ifcfg-*",
    "/etc/NetworkManager/system-connections/*",
    "/etc/systemd/network/*.{link,network}",
    "/etc/netplan/*.yaml",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/dhcp{,3}/*.lease*",
    "/var/lib/dhclient/*.lease*",
    "/var/lib/dhcpcd*/duid",
];
/// Lines of one file that name an address.
const MOST: usize = 200;

/// An address behind the name of a setting, in the forms of these files.
static SETTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:\{address\}\s*==\s*"|\b(?:HWADDR|mac-address|MACAddress|PermanentMACAddress|macaddress)\s*[=:]\s*["']?|hardware ethernet )(?P<mac>(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})(?:[^0-9a-f:-]|$)"#,
    )
    .ok()
});
/// A client id that is an address, or ends with one: type 1, a DUID of a link layer address.
static CLIENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:CLIENTID=|dhcp-client-identifier |^)(?:(?P<plain>0?1:?(?P<a>(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}|[0-9a-f]{12}))|(?:ff:?(?:[0-9a-f]{2}:?){4})?(?:00:?01:?00:?01:?(?:[0-9a-f]{2}:?){4}|00:?03:?00:?01:?)(?P<b>(?:[0-9a-f]{2}:?){5}[0-9a-f]{2}));?$",
    )
    .ok()
});
/// The interface that a line or its file is about.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:\bNAME\s*=\s*"|^DEVICE=["']?|^interface-name=|^Name=|^\s*interface ")(?P<name>[A-Za-z0-9_.-]{1,15})"#,
    )
    .ok()
});

pub(super) fn others(system: &System, verdict: &Verdict, evidence: &dyn Fn(Source, &str) -> Evidence, out: &Out) {
    for other in &verdict.others {
        let when = |t: Option<crate::base::Time>| t.map_or_else(|| "an unknown time".to_owned(), |t| t.to_string());
        out.push(Event {
            time: other.from,
            last: other.to,
            kind: OTHER_MACHINE.into(),
            class: "log".into(),
            text: format!(
                "the logs from {} to {} name another machine than the newest ones, or this one with other parts: {}",
                when(other.from),
                when(other.to),
                other.label
            ),
            fields: vec![other.label.clone()],
            count: 1,
            recorded_as: other.label.clone(),
            evidence: other.at.as_ref().map(|(source, text)| evidence(*source, text)).unwrap_or_default(),
            ..Event::default()
        });
    }
    if verdict.own.addresses().is_empty() {
        return;
    }
    out.each(system, FILES, |text| file(text, verdict, out));
}

/// The address that a line names, and whether it is one of a client id.
fn named(line: &str) -> Option<String> {
    if let Some(found) = SETTING.as_ref()?.captures(line) {
        return address(found.name("mac")?.as_str());
    }
    let found = CLIENT.as_ref()?.captures(line.trim())?;
    let digits = found.name("a").or_else(|| found.name("b"))?.as_str();
    let pairs: Vec<String> = if digits.contains(':') {
        digits.split(':').map(|p| format!("{p:0>2}")).collect()
    } else {
        digits.as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).into_owned()).collect()
    };
    address(&pairs.join(":"))
}

fn file(text: &Text<'_>, verdict: &Verdict, out: &Out) {
    if !crate::format::lines::is_text(&text.bytes) {
        return; // the artifact that reads it says so
    }
    let path = text.entry.path.lossy();
    let mut interface = path.rsplit('/').next().and_then(|f| f.strip_prefix("ifcfg-")).unwrap_or_default().to_owned();
    let mut found: Vec<(u32, Run, String, String)> = Vec::new();
    for (number, line, run) in text.lines() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        let name = NAME.as_ref().and_then(|n| n.captures(&line)).and_then(|c| c.name("name"));
        let own = name.map(|n| n.as_str().to_owned());
        if let Some(address) = named(&line) {
            if found.len() == MOST {
                let what = format!(
                    "budget: lines that name a network card ({MOST}); later ones were not held against the logs"
                );
                out.gap_line(text.entry, number, what);
                break;
            }
            found.push((number, run, own.clone().unwrap_or_default(), address));
        }
        // A rule of udev speaks of its own interface only.
        if let Some(own) = own.filter(|_| !path.ends_with(".rules")) {
            interface = own;
        }
    }
    for (line, run, name, mac) in found {
        let name = if name.is_empty() { interface.clone() } else { name };
        if verdict.own.addresses().contains(mac.as_str()) {
            continue;
        }
        let there = verdict.own.of_place(&name).filter(|_| !name.is_empty());
        let of_other = verdict.others.iter().any(|o| o.addresses.contains(&mac));
        let what = match (there, of_other) {
            (Some(there), _) => {
                let there: Vec<&str> = there.iter().map(String::as_str).collect();
                format!("names {name} by {mac}; there the newest logs have {}", there.join(" "))
            }
            (None, true) => format!("names {mac}, which older logs have and the newest ones do not"),
            (None, false) => continue,
        };
        out.push(Event {
            kind: CARD_NOT_SEEN.into(),
            class: "log".into(),
            text: format!("{path}:{line} {what}"),
            fields: vec![format!("interface={name}"), format!("mac={mac}")],
            count: 1,
            recorded_as: format!("MAC {mac}"),
            evidence: super::super::net::cite(text, line, run, "address"),
            ..Event::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_configuration_and_leases() {
        let card = Some("00:22:68:0a:0b:0c".to_owned());
        for line in [
            r#"SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="00:22:68:0a:0b:0c", ATTR{type}=="1", NAME="eth0""#,
            "HWADDR=00:22:68:0A:0B:0C",
            "HWADDR='00:22:68:0A:0B:0C'",
            "mac-address=00:22:68:0A:0B:0C",
            "PermanentMACAddress=00-22-68-0a-0b-0c",
            "        macaddress: \"00:22:68:0a:0b:0c\"",
            "CLIENTID=010022680a0b0c",
            "  option dhcp-client-identifier 1:0:22:68:a:b:c;",
            "00:01:00:01:2b:5a:11:22:00:22:68:0a:0b:0c",
            "CLIENTID=ff6b2c3d4e000100012b5a11220022680a0b0c",
        ] {
            assert_eq!(named(line), card, "{line}");
        }
        for line in [
            "HWADDR=52:54:00:0a:0b:0c",
            "cloned-mac-address=random",
            "bssid=00:22:68:0A:0B:0C",
            "CLIENTID=ff6b2c3d4e00020000ab11aabbccddeeff0011",
            "seen 00:22:68:0a:0b:0c",
        ] {
            assert_eq!(named(line), None, "{line}");
        }
    }
}
