//! Scripts, hooks, units and tables of tasks whose command lines dial or tunnel by themselves.
//! What starts them is the judge's join, by the path of the file they stand in.
use super::{BY_UNIT, cite_as, commands};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{Entry, System};
use crate::format::lines::is_text;
use crate::inventory::{Connection, FirewallRule, Listener, Setting};
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.dialing-commands",
    about: "Command lines in scripts, hooks, units and task tables that dial a modem, open a tunnel, filter or forward packets",
    os: Os::Linux,
    reads: PATTERNS,
    references: &["ssh(1)", "qmicli(1)", "mmcli(1)", "socat(1)"],
    extract,
};

const PATTERNS: &[&str] = &[
    "/etc/rc.local",
    "/etc/rc.d/**",
    "/etc/init.d/*",
    "/etc/inittab",
    "/etc/profile",
    "/etc/profile.d/*",
    "/etc/crontab",
    "/etc/cron.*/*",
    "/etc/anacrontab",
    "/var/spool/cron/**",
    "/var/spool/at/*",
    "/etc/network/if-*.d/*",
    "/etc/ppp/ip-*.d/*",
    "/etc/ppp/*.sh",
    "/etc/NetworkManager/dispatcher.d/**",
    "/usr/lib/NetworkManager/dispatcher.d/**",
    "/etc/networkd-dispatcher/**",
    "/etc/systemd/system/**.{service,conf}",
    "/etc/systemd/user/**.service",
    "/usr/lib/systemd/system/*.service",
    "/usr/local/lib/systemd/system/*.service",
    "/run/systemd/system/**.service",
    "/etc/udev/rules.d/*.rules",
    "/etc/hotplug.d/**",
    "/etc/uci-defaults/*",
    "/etc/xdg/autostart/*.desktop",
    "/etc/conf.d/*",
    "/etc/supervisor/**.conf",
    "/etc/local.d/*",
    "/etc/runit/**",
    "/etc/sv/**/run",
    "/etc/ModemManager/**",
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
    "/usr/local/etc/**",
    "/opt/**",
    "/srv/**",
    "/root/**",
    "/home/**",
];

/// Scripts are small.
const MAX_FILE: u64 = 128 << 10;
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 256 << 20;
/// One file that has more such lines than this is a log or a manual.
const MAX_ROWS: usize = 20;
const MAX_FILTERS: usize = 500;

fn extract(system: &System, out: &Out) {
    let mut entries: Vec<&Entry> = PATTERNS
        .iter()
        .flat_map(|p| system.glob(p))
        .filter(|e| e.is_file() && e.len() <= MAX_FILE && !e.is_empty())
        .collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    let (mut files, mut bytes) = (0_usize, 0_u64);
    let mut seen = BTreeSet::new();
    for entry in entries {
        let path = entry.path.bytes();
        let free = ["/opt/", "/srv/", "/root/", "/home/", "/usr/local/"].iter().any(|p| path.starts_with(p.as_bytes()));
        if free && !script_name(entry) {
            continue;
        }
        if !seen.insert((entry.fs, entry.node)) {
            continue;
        }
        files = files.saturating_add(1);
        bytes = bytes.saturating_add(entry.len());
        if files > MAX_FILES || bytes > MAX_BYTES {
            out.gap(
                entry,
                format!(
                    "budget: {MAX_FILES} scripts or {MAX_BYTES} bytes; from here on not searched for command lines"
                ),
            );
            return;
        }
        let text = match system.read(entry, MAX_FILE) {
            Ok(text) => text,
            Err(e) => {
                out.gap(entry, e);
                continue;
            }
        };
        // A name without an ending is a script only if it says so.
        let named = entry.path.file_name().contains(&b'.');
        if !is_text(&text.bytes) || (free && !named && !text.bytes.starts_with(b"#!")) {
            continue;
        }
        let (mut rows, mut filters) = (0_usize, 0_usize);
        for line in bounded(&text, out) {
            let body = line.text.trim();
            if body.is_empty() || body.starts_with(['#', ';']) || body.starts_with("//") {
                continue;
            }
            let evidence = || cite_as(&text, line.number, line.run, "command", body);
            if let Some((program, protocol, address, port)) = commands::listens(body) {
                let (protocol, evidence) = (protocol.into(), evidence());
                out.push(Listener { protocol, address, port, program, evidence, ..Listener::default() });
            }
            for rule in commands::rules(body) {
                filters = filters.saturating_add(1);
                if filters <= MAX_FILTERS {
                    out.push(FirewallRule { evidence: evidence(), ..rule });
                } else if filters == MAX_FILTERS.saturating_add(1) {
                    out.gap_line(
                        entry,
                        line.number,
                        "budget: rules; further filter rules of this file were not listed",
                    );
                }
            }
            if let Some(setting) = commands::forwarding(body) {
                out.push(Setting { scope: entry.path.display(), evidence: evidence(), ..setting });
            }
            let Some(found) = commands::recognise(body) else { continue };
            rows = rows.saturating_add(1);
            if rows > MAX_ROWS {
                out.gap_line(entry, line.number, "budget: rows; further command lines of this file were not listed");
                break;
            }
            out.push(Connection {
                name: format!("{}:{}", entry.path.display(), line.number),
                manager: if &*found.kind == "tunnel" || &*found.kind == "vpn" {
                    "command".into()
                } else {
                    "dialer".into()
                },
                enabled: false,
                enabled_by: vec![BY_UNIT.into()],
                evidence: evidence(),
                ..found
            });
        }
    }
}

/// Endings of scripts; none at all counts.
fn script_name(entry: &Entry) -> bool {
    let name = entry.path.file_name();
    match name.iter().rposition(|b| *b == b'.') {
        None | Some(0) => true,
        Some(dot) => [
            b"sh".as_slice(),
            b"bash",
            b"py",
            b"pl",
            b"lua",
            b"tcl",
            b"expect",
            b"service",
            b"conf",
            b"cron",
            b"profile",
        ]
        .contains(&name.get(dot.saturating_add(1)..).unwrap_or_default()),
    }
}
