//! What OpenWrt's backup says of the system that it leaves out: the packages that were installed and where they lay,
//! and the services that were switched off. Format: OpenWrt's `/sbin/sysupgrade` (options `-k` and `-o`).
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::System;
use crate::inventory::{Package, Service};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.backup-lists",
    about: "Lists in an OpenWrt backup: installed packages (delivered or added), services that are switched off.",
    os: Os::Linux,
    reads: &[PACKAGES, WORLD, DISABLED],
    references: &["https://openwrt.org/docs/guide-user/troubleshooting/backup_restore"],
    extract,
};

const PACKAGES: &str = "/etc/backup/installed_packages.txt";
/// Packages that somebody asked apk for.
const WORLD: &str = "/etc/apk/world";
const DISABLED: &str = "/etc/uci-defaults/10_disable_services";
/// Lines of one list.
const MAX: usize = 20_000;

fn extract(system: &System, out: &Out) {
    // Where a package database is, it says more.
    if system.info.package_database.is_empty() {
        out.each(system, &[PACKAGES], |text| {
            for (number, line, run) in text.lines().take(MAX) {
                let mut words = line.split_whitespace();
                let Some(name) = words.next() else { continue };
                let state = match words.next() {
                    Some("rom") => "delivered (rom)",
                    Some("overlay") => "added (overlay)",
                    Some("unknown") => "unknown",
                    other => {
                        out.gap_line(text.entry, number, format!("no place of a package: {}", other.unwrap_or("")));
                        continue;
                    }
                };
                out.push(Package {
                    name: name.into(),
                    manager: "opkg".into(),
                    state: state.to_owned(),
                    automatic: None,
                    evidence: text.line_at(number, run),
                    ..Package::default()
                });
            }
        });
        out.each(system, &[WORLD], |text| {
            for (number, line, run) in text.lines().take(MAX) {
                for word in line.split_whitespace() {
                    // `name=1.0`, `name>2`, `name~3`, `name@repository`; `!name` keeps one out.
                    let name = word.split(['=', '<', '>', '~', '@']).next().unwrap_or_default();
                    if name.is_empty() || name.starts_with('!') {
                        continue;
                    }
                    out.push(Package {
                        name: name.into(),
                        manager: "apk".into(),
                        state: "asked for (world)".to_owned(),
                        automatic: Some(false),
                        evidence: text.line_at(number, run),
                        ..Package::default()
                    });
                }
            }
        });
    }
    // It runs once, at the first start after the backup was put back, and is removed.
    if !system.info.partial.is_empty() {
        out.each(system, &[DISABLED], |text| {
            for (number, line, run) in text.lines().take(MAX) {
                let name = line.trim().strip_prefix("/etc/init.d/").and_then(|l| l.strip_suffix(" disable"));
                let Some(name) = name.filter(|n| !n.is_empty() && !n.contains(char::is_whitespace)) else { continue };
                out.push(Service {
                    name: name.to_owned(),
                    manager: "sysv".into(),
                    kind: "service".into(),
                    state: "disabled".into(),
                    evidence: text.line_at(number, run),
                    ..Service::default()
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn lists_of_a_backup() {
        let text = "/etc/backup/installed_packages.txt\n    base-files\trom\n    zerotier\toverlay\n    broken\n\n/etc/apk/world\n    luci zerotier>=1.2 !dnsmasq wireguard-tools@edge\n\n/etc/uci-defaults/10_disable_services\n    /etc/init.d/telnet disable\n    exit 0\n";
        let mut whole = system(text);
        let (found, gaps) = rows(&whole, &ARTIFACT);
        let told: Vec<String> = found
            .iter()
            .map(|r| match r {
                Row::Package(p) => format!("{} {} {}", p.manager, p.name, p.state),
                Row::Service(s) => format!("{} {} {}", s.name, s.state, s.enabled),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            "opkg base-files delivered (rom)",
            "opkg zerotier added (overlay)",
            "apk luci asked for (world)",
            "apk zerotier asked for (world)",
            "apk wireguard-tools asked for (world)",
        ];
        assert_eq!(told, expected);
        assert!(gaps.len() == 1 && gaps.first().unwrap().what.contains("line 3"), "{gaps:?}");
        whole.info.partial = "configuration".to_owned();
        assert_eq!(rows(&whole, &ARTIFACT).0.len(), 6);
        whole.info.package_database = "opkg".to_owned();
        assert_eq!(rows(&whole, &ARTIFACT).0.len(), 1);
    }
}
