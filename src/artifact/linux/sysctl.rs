//! Kernel settings that are applied at boot: sysctl.d(5), sysctl.conf(5).
use super::dropins;
use super::starts::Way;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::evidence::{System, Text};
use crate::inventory::Setting;
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.sysctl",
    about: "Kernel settings: forwarding, reverse-path filter, module loading, core dumps and all others.",
    os: Os::Linux,
    reads: &["/{etc,run,usr/local/lib,usr/lib}/sysctl.d/*.conf", "/etc/sysctl.conf", "/etc/ufw/sysctl.conf"],
    references: &["sysctl.d(5)", "sysctl.conf(5)", "systemd-sysctl.service(8)"],
    extract,
};

struct Line {
    key: String,
    value: String,
    evidence: Evidence,
    masked: bool,
}

fn extract(system: &System, out: &Out) {
    let mut lines = Vec::new();
    let mut main_read = false;
    let main = system.resolve("/etc/sysctl.conf");
    for part in dropins::folder(system, "sysctl.d") {
        let Some(entry) = system.resolve(part.entry.path.bytes()) else { continue };
        // Debian applies sysctl.conf through a link 99-sysctl.conf.
        main_read |= main.is_some_and(|m| m.path == entry.path) && !part.masked;
        if let Some(text) = out.text(system, entry) {
            read(&text, part.masked, &mut lines);
        }
    }
    // Without the link, `sysctl --system` and init scripts read it last.
    if let Some(text) = main.filter(|_| !main_read).and_then(|e| out.text(system, e)) {
        read(&text, false, &mut lines);
    }
    out.each_text(system, &["/etc/ufw/sysctl.conf"], |text| read(text, false, &mut lines));
    let last: BTreeMap<String, usize> =
        lines.iter().enumerate().filter(|(_, l)| !l.masked).map(|(at, l)| (l.key.clone(), at)).collect();
    for (at, line) in lines.into_iter().enumerate() {
        // The kernel itself starts these, as root; a pattern of core files only with a pipe.
        let command = match line.key.as_str() {
            "kernel.core_pattern" => line.value.strip_prefix('|').map(|c| ("a program crashes", c)),
            "kernel.modprobe" => Some(("a module is asked for", line.value.as_str())),
            "kernel.poweroff_cmd" => Some(("the machine is switched off", line.value.as_str())),
            "kernel.hotplug" => Some(("a device appears", line.value.as_str())),
            _ => None,
        };
        if let Some((trigger, command)) = command.filter(|(_, c)| !c.trim().is_empty()) {
            let way = Way::root("kernel", "event").only(last.get(&line.key) == Some(&at), "a later line has its place");
            out.push(way.words(system, &line.key, trigger, command, line.evidence.clone()));
        }
        out.push(Setting {
            program: "sysctl".into(),
            effective: last.get(&line.key) == Some(&at),
            name: line.key,
            value: line.value,
            evidence: line.evidence,
            ..Setting::default()
        });
    }
}

fn read(text: &Text<'_>, masked: bool, lines: &mut Vec<Line>) {
    for (number, line, run) in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // `-key = value` ignores errors; `-key` alone exempts it from a pattern.
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let key = key.trim().trim_start_matches('-');
        lines.push(Line {
            key: dotted(key),
            value: value.trim().to_owned(),
            evidence: text.line_at(number, run),
            masked,
        });
    }
}

/// `net/ipv4/ip_forward` is `net.ipv4.ip_forward`; the first separator decides which way it is written,
/// and with slashes a dot belongs to a name (`eth0.100`), written back as a slash.
fn dotted(key: &str) -> String {
    match key.find(['/', '.']) {
        Some(at) if key.get(at..).is_some_and(|k| k.starts_with('/')) => key
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            })
            .collect(),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::starts::testing::line;
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn the_last_one_counts_and_names_mask() {
        let s = system(
            "/etc/sysctl.conf
    net.ipv4.ip_forward=1
    # net.ipv4.tcp_syncookies=1

/etc/sysctl.d/99-sysctl.conf -> ../sysctl.conf

/etc/sysctl.d/50-off.conf -> /dev/null

/usr/lib/sysctl.d/50-off.conf
    kernel.sysrq = 438

/usr/lib/sysctl.d/10-a.conf
    net.ipv4.ip_forward = 0
    -net/ipv4/conf/eth0.100/rp_filter = 2

/usr/lib/sysctl.d/99-z.conf
    kernel.core_pattern=|/usr/bin/collect %p
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Setting(s) => Some(format!("{}={} {}", s.name, s.value, s.effective)),
                Row::Start(_) => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            seen,
            [
                "net.ipv4.ip_forward=0 false",
                "net.ipv4.conf.eth0/100.rp_filter=2 true",
                "kernel.sysrq=438 false",
                "net.ipv4.ip_forward=1 true",
                "kernel.core_pattern=|/usr/bin/collect %p true",
            ]
        );
        let starts: Vec<_> = super::super::starts::testing::only(rows).iter().map(line).collect();
        assert_eq!(starts, ["kernel event root /usr/bin/collect %p"]);
        assert!(gaps.is_empty());
    }
}
