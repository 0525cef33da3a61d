//! Leases in texts.
use super::MAX_ROWS;
use crate::artifact::Out;
use crate::artifact::linux::net::{bounded, cite, ini, list};
use crate::base::{Run, Time};
use crate::evidence::Text;
use crate::format::lines::{decode, unquote};
use crate::format::tags::tags;
use crate::inventory::Lease;

fn name(text: &Text<'_>) -> String {
    decode(text.entry.path.file_name()).into_owned()
}
fn written(text: &Text<'_>) -> Option<Time> {
    text.entry.stat.as_ref().and_then(|s| s.times.modified)
}
fn after(start: Option<Time>, seconds: &str) -> Option<Time> {
    let seconds: i64 = seconds.parse().ok()?;
    Some(Time::seconds(start?.seconds.checked_add(seconds)?))
}

/// A lease that is not complete yet.
struct Open {
    lease: Lease,
    line: u32,
    run: Run,
    /// The line of the address, once it is known: that is cited.
    cited: bool,
}

/// `lease { … }` of dhclient and `lease ADDRESS { … }` of dhcpd: declarations that end with `;`.
pub(super) fn isc(text: &Text<'_>, out: &Out) {
    let mut open: Option<Open> = None;
    let (mut depth, mut rows) = (0_u32, 0_usize);
    for line in bounded(text, out) {
        let body = line.text.trim();
        if body.starts_with('#') {
            continue;
        }
        if open.is_none()
            && let Some(head) = body.strip_prefix("lease").or_else(|| body.strip_prefix("iaaddr"))
        {
            let address = head.split(['{', ' ']).find(|w| !w.is_empty()).unwrap_or_default().to_owned();
            let server = !address.is_empty();
            let lease = Lease {
                role: if server { "server" } else { "client" }.into(),
                program: if server { "dhcpd" } else { "dhclient" }.into(),
                address,
                ..Lease::default()
            };
            open = Some(Open { lease, line: line.number, run: line.run, cited: server });
        }
        let (parts, opened, closed) = statements(body);
        depth = depth.saturating_add(opened);
        for part in parts {
            if let Some(o) = &mut open {
                statement(o, part.trim(), line.number, line.run);
            }
        }
        depth = depth.saturating_sub(closed);
        if depth == 0
            && closed > 0
            && let Some(o) = open.take()
        {
            rows = rows.saturating_add(1);
            if rows > MAX_ROWS {
                return out.gap_line(text.entry, line.number, "budget: rows; the rest of the leases was not listed");
            }
            finish(text, o, out);
        }
    }
    if let Some(o) = open {
        out.gap_line(text.entry, o.line, "the last lease is not closed");
        finish(text, o, out);
    }
}

/// What a line says, taken apart at `;` and braces; and how many of those open and close. Quoted text is left whole.
fn statements(body: &str) -> (Vec<&str>, u32, u32) {
    let (mut parts, mut opened, mut closed) = (Vec::new(), 0_u32, 0_u32);
    let (mut from, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in body.char_indices() {
        let plain = !quoted && !escaped;
        match c {
            '"' if !escaped => quoted = !quoted,
            ';' | '{' | '}' if plain => {
                parts.push(body.get(from..at).unwrap_or_default());
                from = at.saturating_add(1);
                opened = opened.saturating_add(u32::from(c == '{'));
                closed = closed.saturating_add(u32::from(c == '}'));
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(body.get(from..).unwrap_or_default());
    (parts, opened, closed)
}

fn finish(text: &Text<'_>, open: Open, out: &Out) {
    if !open.lease.address.is_empty() {
        out.push(Lease { evidence: cite(text, open.line, open.run, "lease"), ..open.lease });
    }
}

fn statement(open: &mut Open, part: &str, line: u32, run: Run) {
    let mut w = part.split_whitespace();
    let (Some(first), rest) = (w.next(), w.collect::<Vec<_>>()) else { return };
    let all = rest.join(" ");
    let lease = &mut open.lease;
    match (first, rest.as_slice()) {
        ("interface", _) => unquote(&all).clone_into(&mut lease.interface),
        ("fixed-address", [address, ..]) => {
            (*address).clone_into(&mut lease.address);
            if !open.cited {
                (open.line, open.run, open.cited) = (line, run, true);
            }
        }
        ("option", ["routers", ..]) => lease.routers = list(&rest.get(1..).unwrap_or_default().join(" ")),
        ("option", ["domain-name-servers", ..]) => {
            lease.nameservers = list(&rest.get(1..).unwrap_or_default().join(" "));
        }
        ("option", ["dhcp-server-identifier", server]) => (*server).clone_into(&mut lease.server),
        ("option", ["domain-name", domain @ ..]) => unquote(&domain.join(" ")).clone_into(&mut lease.domain),
        ("option", ["host-name", host @ ..]) => unquote(&host.join(" ")).clone_into(&mut lease.hostname),
        ("option", [option, value @ ..])
            if matches!(
                *option,
                "subnet-mask"
                    | "ntp-servers"
                    | "classless-routes"
                    | "rfc3442-classless-static-routes"
                    | "dhcp-lease-time"
            ) =>
        {
            lease.details.push(format!("{option}={}", value.join(" ")));
        }
        ("hardware", [_, mac]) => (*mac).clone_into(&mut lease.mac),
        ("client-hostname", _) => unquote(&all).clone_into(&mut lease.hostname),
        ("binding", ["state", state]) => lease.details.push(format!("state={state}")),
        ("starts", _) => lease.start = time(&rest),
        ("ends" | "expire", _) => lease.end = time(&rest),
        // What a client may do next tells when the lease began no more exactly than its file.
        ("renew" | "rebind", _) => {
            if let Some(t) = time(&rest) {
                lease.details.push(format!("{first}={t}"));
            }
        }
        _ => {}
    }
}

/// `2 2024/01/02 03:04:05` (UTC), `epoch 1704164645; # …`, `never`.
fn time(words: &[&str]) -> Option<Time> {
    match words {
        ["epoch", seconds, ..] => seconds.parse().ok().map(Time::seconds),
        [_, date, clock, ..] => Time::parse(&format!("{}T{clock}Z", date.replace('/', "-"))),
        _ => None,
    }
}

/// `KEY=value` of NetworkManager's own client and of systemd-networkd.
pub(super) fn keys(text: &Text<'_>, out: &Out) {
    let file = name(text);
    // internal-UUID-INTERFACE.lease
    let interface = file
        .strip_prefix("internal-")
        .and_then(|f| f.strip_suffix(".lease"))
        .map(|f| f.get(37..).unwrap_or_default().to_owned());
    let program = if interface.is_some() { "networkmanager" } else { "networkd" };
    let mut lease = Lease {
        role: "client".into(),
        program: program.into(),
        details: if interface.is_none() { vec![format!("interface index={file}")] } else { Vec::new() },
        interface: interface.unwrap_or_default(),
        start: written(text),
        ..Lease::default()
    };
    let mut at = (0, Run::new(0, 0));
    for line in bounded(text, out) {
        let body = line.text.trim();
        let Some((key, value)) = body.split_once('=').filter(|(_, v)| !body.starts_with('#') && !v.is_empty()) else {
            continue;
        };
        match key {
            "ADDRESS" => {
                value.clone_into(&mut lease.address);
                at = (line.number, line.run);
            }
            "ROUTER" => lease.routers = list(value),
            "DNS" => lease.nameservers = list(value),
            "SERVER_ADDRESS" => value.clone_into(&mut lease.server),
            "DOMAINNAME" => value.clone_into(&mut lease.domain),
            "HOSTNAME" => value.clone_into(&mut lease.hostname),
            "LIFETIME" => lease.end = after(lease.start, value),
            "NETMASK" | "NTP" | "ROUTES" | "MTU" | "CLIENTID" | "VENDOR_SPECIFIC" => {
                lease.details.push(format!("{}={value}", key.to_ascii_lowercase()));
            }
            _ => {}
        }
    }
    if !lease.address.is_empty() {
        out.push(Lease { evidence: cite(text, at.0, at.1, "ADDRESS"), ..lease });
    }
}

/// `expiry mac address name client-id`.
pub(super) fn dnsmasq(text: &Text<'_>, out: &Out) {
    let file = name(text);
    let interface =
        file.strip_prefix("dnsmasq-").and_then(|f| f.strip_suffix(".leases")).unwrap_or_default().to_owned();
    for (row, line) in bounded(text, out).enumerate() {
        if row >= MAX_ROWS {
            return out.gap_line(text.entry, line.number, "budget: rows; the rest of the leases was not listed");
        }
        let w: Vec<&str> = line.text.split_whitespace().collect();
        let [expiry, mac, address, host, rest @ ..] = w.as_slice() else {
            // `duid 00:01:…` stands before leases of IPv6.
            if !w.is_empty() && w.first() != Some(&"duid") {
                out.gap_line(text.entry, line.number, "no lease");
            }
            continue;
        };
        let Ok(expiry) = expiry.parse::<i64>() else {
            out.gap_line(text.entry, line.number, "a lease without a time");
            continue;
        };
        out.push(Lease {
            role: "server".into(),
            program: "dnsmasq".into(),
            interface: interface.clone(),
            address: (*address).to_owned(),
            mac: (*mac).to_owned(),
            hostname: if *host == "*" { String::new() } else { (*host).to_owned() },
            end: (expiry != 0).then(|| Time::seconds(expiry)),
            details: rest.iter().filter(|r| **r != "*").map(|r| format!("client-id={r}")).collect(),
            evidence: cite(text, line.number, line.run, "lease"),
            ..Lease::default()
        });
    }
}

/// Comma-separated, named by the first line.
pub(super) fn kea(text: &Text<'_>, out: &Out) {
    let mut head: Vec<String> = Vec::new();
    for (row, line) in bounded(text, out).enumerate() {
        if row > MAX_ROWS {
            return out.gap_line(text.entry, line.number, "budget: rows; the rest of the leases was not listed");
        }
        let cells: Vec<&str> = line.text.split(',').collect();
        if head.is_empty() {
            head = cells.iter().map(|c| c.trim().to_owned()).collect();
            if !head.iter().any(|h| h == "address") {
                return out.gap_line(text.entry, line.number, "no heading of a lease file");
            }
            continue;
        }
        let get =
            |key: &str| head.iter().position(|h| h == key).and_then(|at| cells.get(at)).copied().unwrap_or_default();
        if get("address").is_empty() {
            continue;
        }
        let end = get("expire").parse::<i64>().ok();
        let start = end.zip(get("valid_lifetime").parse::<i64>().ok()).and_then(|(e, v)| e.checked_sub(v));
        let state = match get("state") {
            "0" => "assigned",
            "1" => "declined",
            "2" => "expired",
            other => other,
        };
        out.push(Lease {
            role: "server".into(),
            program: "kea".into(),
            address: get("address").to_owned(),
            mac: get("hwaddr").to_owned(),
            hostname: get("hostname").to_owned(),
            start: start.map(Time::seconds),
            end: end.map(Time::seconds),
            details: vec![format!("state={state}"), format!("subnet={}", get("subnet_id"))],
            evidence: cite(text, line.number, line.run, "address"),
            ..Lease::default()
        });
    }
}

/// The last address of each service.
pub(super) fn connman(text: &Text<'_>, out: &Out) {
    for s in &ini(text, out).sections {
        let Some(address) = s.entry("IPv4.DHCP.LastAddress").filter(|a| !a.value.is_empty()) else { continue };
        out.push(Lease {
            role: "client".into(),
            program: "connman".into(),
            interface: s.name.clone(),
            address: address.value.clone(),
            start: s.get("Modified").and_then(Time::parse),
            evidence: cite(text, address.line, address.run, "IPv4.DHCP.LastAddress"),
            ..Lease::default()
        });
    }
}

/// wicked's lease: elements by name, whatever they stand in.
pub(super) fn wicked(text: &Text<'_>, out: &Out) {
    let (found, cut) = tags(&text.bytes);
    if cut {
        out.gap(text.entry, "budget: elements; the rest was not read");
    }
    // lease-eth0-dhcp-ipv4.xml
    let file = name(text);
    let interface = file.strip_prefix("lease-").and_then(|f| f.split("-dhcp").next()).unwrap_or_default();
    let mut lease = Lease {
        role: "client".into(),
        program: "wicked".into(),
        interface: interface.to_owned(),
        start: written(text),
        ..Lease::default()
    };
    let mut at = (0, Run::new(0, 0));
    let mut seconds = String::new();
    for tag in found.iter().filter(|t| !t.closes) {
        let value = tag.text.trim();
        match tag.name.as_str() {
            "local" if lease.address.is_empty() => {
                value.split('/').next().unwrap_or(value).clone_into(&mut lease.address);
                at = (tag.line, tag.run);
            }
            "gateway" => lease.routers.push(value.to_owned()),
            "server" => lease.nameservers.push(value.to_owned()),
            "server-address" => value.clone_into(&mut lease.server),
            "hostname" => value.clone_into(&mut lease.hostname),
            "default-domain" => value.clone_into(&mut lease.domain),
            "acquired" => lease.start = value.parse().ok().map(Time::seconds).or(lease.start),
            "lease-time" => value.clone_into(&mut seconds),
            _ => {}
        }
    }
    lease.end = after(lease.start, &seconds);
    if !lease.address.is_empty() {
        out.push(Lease { evidence: cite(text, at.0, at.1, "local"), ..lease });
    }
}
