//! Leases that are no text: the DHCP message that dhcpcd keeps (RFC 2131, options of RFC 2132), and udhcpd's dump.
use super::MAX_ROWS;
use crate::artifact::Out;
use crate::base::{Evidence, Run, Time};
use crate::evidence::Text;
use crate::format::lines::decode;
use crate::inventory::Lease;
use std::net::Ipv4Addr;

fn address(bytes: &[u8]) -> Option<String> {
    let four: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    Some(Ipv4Addr::from(four).to_string())
}
fn addresses(bytes: &[u8]) -> Vec<String> {
    bytes.chunks_exact(4).take(16).filter_map(address).collect()
}
fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}
fn cite(text: &Text<'_>, run: Run) -> Evidence {
    // The offset tells what no line can.
    Evidence { line: None, ..text.place(0, run) }
}

/// A BOOTREPLY with the cookie of DHCP.
pub(super) fn message(text: &Text<'_>, out: &Out) {
    const COOKIE: usize = 236;
    let bytes = &text.bytes;
    if bytes.get(COOKIE..).and_then(|b| b.get(..4)) != Some(&[99, 130, 83, 99]) {
        return out.gap(text.entry, "no DHCP message: without the cookie of RFC 2131");
    }
    let file = decode(text.entry.path.file_name()).into_owned();
    let stem = file.strip_suffix(".lease").unwrap_or(&file);
    // dhcpcd-eth0.lease, eth0.lease, wlan0-NETWORK.lease
    let stem = stem.strip_prefix("dhcpcd-").unwrap_or(stem);
    let (interface, network) = stem.split_once('-').unwrap_or((stem, ""));
    let length = bytes.get(2).map_or(0, |b| usize::from(*b).min(16));
    let mut lease = Lease {
        role: "client".into(),
        program: "dhcpcd".into(),
        interface: interface.to_owned(),
        address: bytes.get(16..).and_then(address).unwrap_or_default(),
        mac: bytes.get(28..).and_then(|b| b.get(..length)).map(mac).unwrap_or_default(),
        start: text.entry.stat.as_ref().and_then(|s| s.times.modified),
        details: if network.is_empty() { Vec::new() } else { vec![format!("network={network}")] },
        evidence: cite(text, Run::new(16, 4)),
        ..Lease::default()
    };
    let mut at = COOKIE + 4;
    while let Some(&code) = bytes.get(at) {
        at = at.saturating_add(1);
        match code {
            0 => continue,
            255 => break,
            _ => {}
        }
        let Some(&len) = bytes.get(at) else { break };
        let from = at.saturating_add(1);
        let Some(value) = bytes.get(from..from.saturating_add(usize::from(len))) else {
            out.gap_in(text.entry, at as u64, "an option reaches beyond the message", 0);
            break;
        };
        at = from.saturating_add(usize::from(len));
        match code {
            1 => lease.details.extend(address(value).map(|m| format!("netmask={m}"))),
            3 => lease.routers = addresses(value),
            6 => lease.nameservers = addresses(value),
            12 => lease.hostname = decode(value).into_owned(),
            15 => lease.domain = decode(value).trim_end_matches('\0').to_owned(),
            42 => lease.details.push(format!("ntp={}", addresses(value).join(","))),
            51 => {
                let seconds = <[u8; 4]>::try_from(value).ok().map(u32::from_be_bytes);
                lease.end = seconds
                    .filter(|s| *s != u32::MAX)
                    .zip(lease.start)
                    .and_then(|(s, start)| Some(Time::seconds(start.seconds.checked_add(i64::from(s))?)));
            }
            54 => lease.server = address(value).unwrap_or_default(),
            _ => {}
        }
    }
    out.push(lease);
}

/// The time of writing, then entries of 36 bytes: seconds left, address, hardware address, name (big-endian).
pub(super) fn udhcpd(text: &Text<'_>, out: &Out) {
    const HEAD: usize = 8;
    const ENTRY: usize = 36;
    let bytes = &text.bytes;
    let Some(written) = bytes.get(..HEAD).and_then(|b| b.try_into().ok()).map(i64::from_be_bytes) else {
        if !bytes.is_empty() {
            out.gap(text.entry, "shorter than its heading");
        }
        return;
    };
    let body = bytes.get(HEAD..).unwrap_or_default();
    for (row, entry) in body.chunks(ENTRY).enumerate() {
        let at = HEAD.saturating_add(row.saturating_mul(ENTRY)) as u64;
        if entry.len() < ENTRY {
            return out.gap_in(text.entry, at, "an entry is cut", entry.len() as u64);
        }
        if row >= MAX_ROWS {
            return out.gap_in(text.entry, at, "budget: rows; the rest of the leases was not listed", 0);
        }
        let left = entry.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes).unwrap_or_default();
        let host = entry.get(14..34).unwrap_or_default();
        let host = host.split(|b| *b == 0).next().unwrap_or_default();
        out.push(Lease {
            role: "server".into(),
            program: "udhcpd".into(),
            address: entry.get(4..).and_then(address).unwrap_or_default(),
            mac: entry.get(8..14).map(mac).unwrap_or_default(),
            hostname: decode(host).into_owned(),
            end: written.checked_add(i64::from(left)).map(Time::seconds),
            details: vec![format!("written={}", Time::seconds(written))],
            evidence: cite(text, Run::new(at, ENTRY as u64)),
            ..Lease::default()
        });
    }
}
