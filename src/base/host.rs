//! Hosts as configuration writes them: an address or a name, with a port or without, and what kind it is.
//! RFC 6890 (special-purpose addresses), RFC 6761 and 6762 (special-use names), RFC 5737 and 3849 (documentation).
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a host is: loopback, private, shared (carriers' NAT), link-local, multicast, documentation, reserved,
/// public, local-name (a name that only the network at hand knows), name.
pub fn class(host: &str) -> &'static str {
    let plain = host.split('%').next().unwrap_or(host);
    match plain.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => v4(a),
        Ok(IpAddr::V6(a)) => a.to_ipv4_mapped().map_or_else(|| v6(a), v4),
        Err(_) => name(&host.to_ascii_lowercase()),
    }
}

fn v4(a: Ipv4Addr) -> &'static str {
    match a.octets() {
        [127, ..] => "loopback",
        [10, ..] | [192, 168, ..] => "private",
        [172, b, ..] if b & 0xf0 == 16 => "private",
        [100, b, ..] if b & 0xc0 == 64 => "shared",
        [169, 254, ..] => "link-local",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [224..=239, ..] => "multicast",
        [0 | 240..=255, ..] | [198, 18 | 19, ..] | [192, 0, 0, _] => "reserved",
        _ => "public",
    }
}

fn v6(a: Ipv6Addr) -> &'static str {
    match a.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0x2001, 0xdb8, ..] => "documentation",
        [s, ..] if s & 0xfe00 == 0xfc00 => "private",
        [s, ..] if s & 0xffc0 == 0xfe80 => "link-local",
        [s, ..] if s & 0xff00 == 0xff00 => "multicast",
        [s, ..] if s & 0xe000 == 0x2000 => "public",
        _ => "reserved",
    }
}

fn name(host: &str) -> &'static str {
    let host = host.trim_end_matches('.');
    let ends = |zones: &[&str]| {
        zones.iter().any(|z| host.strip_suffix(z).is_some_and(|head| head.is_empty() || head.ends_with('.')))
    };
    if ends(&["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"]) {
        "loopback"
    } else if ends(&["example", "test", "invalid", "example.com", "example.net", "example.org"]) {
        "documentation"
    } else if !host.contains('.') || ends(&["local", "lan", "localdomain", "internal", "home.arpa", "intranet"]) {
        "local-name"
    } else {
        "name"
    }
}

/// Whether this is an address that a program can send to: not `0.0.0.0`, no mask, no broadcast.
pub fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => !a.is_unspecified() && !matches!(a.octets(), [255 | 0, ..] | [.., 255]),
        IpAddr::V6(a) => !a.is_unspecified(),
    }
}

/// Host and port of `host`, `host:port`, `[v6]:port`, `v6`, `host/path`; the port is empty where none is given.
pub fn split(value: &str) -> (&str, &str) {
    let value = value.split('/').next().unwrap_or(value);
    if let Some((host, rest)) = value.strip_prefix('[').and_then(|v| v.split_once(']')) {
        return (host, rest.strip_prefix(':').unwrap_or_default());
    }
    match value.split_once(':') {
        Some((host, port)) if is_port(port) => (host, port),
        Some((host, "")) => (host, ""),
        _ => (value, ""),
    }
}

/// A number that can be a port.
pub fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.parse::<u16>().is_ok_and(|p| p != 0)
}

/// Whether a text is a name of a host in full: at least two labels, the last one of letters.
pub fn is_full_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or_default();
    let zone = last.starts_with("xn--") || last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic());
    text.len() <= 253 && text.contains('.') && zone && text.split('.').all(is_label)
}

/// Whether a text can be one label of a name.
pub fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_host() {
        for (host, kind) in [
            ("127.0.1.1", "loopback"),
            ("::1", "loopback"),
            ("localhost", "loopback"),
            ("a.localhost", "loopback"),
            ("10.1.2.3", "private"),
            ("172.31.0.1", "private"),
            ("172.32.0.1", "public"),
            ("fd00::1", "private"),
            ("100.64.0.1", "shared"),
            ("100.128.0.1", "public"),
            ("169.254.1.1", "link-local"),
            ("fe80::1%eth0", "link-local"),
            ("ff02::1", "multicast"),
            ("239.1.1.1", "multicast"),
            ("203.0.113.7", "documentation"),
            ("2001:db8::1", "documentation"),
            ("mqtt.example.com", "documentation"),
            ("0.0.0.0", "reserved"),
            ("198.18.0.1", "reserved"),
            ("8.8.8.8", "public"),
            ("::ffff:8.8.8.8", "public"),
            ("2606:4700::1111", "public"),
            ("plc7", "local-name"),
            ("nas.local", "local-name"),
            ("mylocal.cn", "name"),
            ("Relay.Vendor.CN.", "name"),
        ] {
            assert_eq!(class(host), kind, "{host}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        for (text, host, port) in [
            ("a.b:80", "a.b", "80"),
            ("[2001:db8::1]:443/x", "2001:db8::1", "443"),
            ("2001:db8::1", "2001:db8::1", ""),
            ("a:b", "a:b", ""),
            ("10.0.0.1/x", "10.0.0.1", ""),
            ("h:", "h", ""),
            ("h:99999", "h:99999", ""),
        ] {
            assert_eq!(split(text), (host, port), "{text}");
        }
        for (text, full) in [
            ("a.b.cn", true),
            ("a-1.b_2.com.", true),
            ("plc", false),
            ("1.2.3", false),
            ("a..b", false),
            ("-a.com", false),
            ("xn--fiq228c.xn--fiqs8s", true),
        ] {
            assert_eq!(is_full_name(text), full, "{text}");
        }
    }
}
