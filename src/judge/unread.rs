//! How far gaps bound what a rule can say: a rule that found nothing says so beside the number of
//! gaps in what feeds its tables. A gap of a reader bears on the tables which that reader fills; a gap
//! below the readers (image, volume, file system, worker) bears on all.
use super::finding::Searched;
use crate::base::Gap;
use std::collections::BTreeMap;

/// The tables that a reader fills. A reader that is not listed bears on every table.
#[rustfmt::skip] // one line a reader
const FILLS: &[(&str, &[&str])] = &[
    ("contents", &["files", "binaries", "drivers", "packages", "components", "certificates", "content_matches"]),
    ("content-rules", &["content_matches"]),
    ("executables", &["binaries", "components"]),
    ("linux.modules", &["drivers"]),
    ("packages", &["packages", "files", "components", "starts"]),
    ("linux.backup-lists", &["packages", "services"]),
    ("loose.firmware", &["settings"]),
    ("loose.modem-firmware", &["settings"]),
    ("loose.router-settings", &["settings"]),
    ("linux.dpkg", &["packages", "files", "settings"]),
    ("linux.systemd", &["services", "tasks", "starts", "listeners", "connections"]),
    ("linux.sysv", &["services", "starts"]),
    ("linux.cron", &["tasks", "starts", "settings"]),
    ("linux.hooks", &["starts"]),
    ("linux.inits", &["starts"]),
    ("linux.supervisors", &["starts"]),
    ("linux.shells", &["starts"]),
    ("linux.package-hooks", &["starts"]),
    ("linux.log-programs", &["starts"]),
    ("linux.desktop", &["starts"]),
    ("linux.containers", &["starts"]),
    ("linux.machine-events", &["starts"]),
    ("linux.interpreter-hooks", &["starts"]),
    ("linux.server-programs", &["starts"]),
    ("linux.controllers", &["starts"]),
    ("linux.accounts", &["accounts", "groups", "settings"]),
    ("linux.ssh-keys", &["keys", "accounts", "starts", "endpoints"]),
    ("linux.sshd", &["settings", "listeners", "starts"]),
    ("linux.sudoers", &["sudoers"]),
    ("linux.polkit", &["sudoers"]),
    ("linux.account-sources", &["settings", "accounts", "keys"]),
    ("linux.kernel-configuration", &["settings"]),
    ("linux.kernel-image", &["settings"]),
    ("linux.container-images", &["containers"]),
    ("components", &["components"]),
    ("certificates", &["certificates"]),
    ("linux.pam", &["settings", "starts"]),
    ("linux.access", &["settings", "starts"]),
    ("linux.sysctl", &["settings", "starts"]),
    ("linux.kernel-cmdline", &["settings", "driver_settings", "starts"]),
    ("linux.boot-environment", &["boot_environment"]),
    ("boot-environment", &["boot_environment", "settings"]),
    ("linux.driver-settings", &["driver_settings", "drivers", "starts"]),
    ("linux.udev", &["driver_settings", "devices", "starts"]),
    ("linux.logs", &["events", "sessions", "devices"]),
    ("linux.logins", &["events", "sessions"]),
    ("linux.login-databases", &["events", "sessions"]),
    ("linux.histories", &["events"]),
    ("remains", &["traces"]),
    ("loose.remains", &["traces"]),
    ("loose.removed", &["removed"]),
    ("linux.package-log", &["events"]),
    ("file-events", &["file_events"]),
    ("linux.listeners", &["listeners"]),
    ("linux.endpoints", &["endpoints"]),
    ("linux.dhcp-leases", &["leases"]),
    ("linux.names", &["names", "endpoints"]),
    ("linux.nftables", &["firewall"]),
    ("linux.iptables", &["firewall"]),
    ("linux.firewalld", &["firewall"]),
    ("linux.filter-front-ends", &["firewall"]),
    ("linux.bluetooth", &["devices", "connections", "settings"]),
    ("windows.registry", &["services", "starts", "devices", "interfaces", "names", "leases", "packages"]),
    ("windows.not-read", &["accounts", "groups", "keys", "settings", "events", "sessions", "tasks", "starts", "connections", "firewall", "listeners", "routes", "endpoints"]),
    ("linux.distribution-interfaces", &["interfaces", "routes", "names", "connections", "settings", "starts"]),
];

/// A rule that was applied, and whether gaps bound what it says.
pub(super) struct Bounded {
    pub(super) searched: Searched,
    pub(super) bounded: bool,
}

/// Gaps by the tables they bear on.
pub(super) struct Unread {
    by_reader: BTreeMap<&'static str, u64>,
    /// Of no listed reader.
    everywhere: u64,
}

impl Unread {
    pub(super) fn new(gaps: &[Gap]) -> Self {
        let mut unread = Self { by_reader: BTreeMap::new(), everywhere: 0 };
        for gap in gaps {
            let count = match FILLS.iter().find(|(reader, _)| *reader == gap.by) {
                Some((reader, _)) => unread.by_reader.entry(reader).or_default(),
                None => &mut unread.everywhere,
            };
            *count = count.saturating_add(1);
        }
        unread
    }
    /// Gaps in what feeds any of these tables.
    pub(super) fn bearing_on<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> u64 {
        let tables: Vec<&str> = tables.into_iter().collect();
        let fills = |reader: &str| {
            FILLS.iter().any(|(name, filled)| *name == reader && filled.iter().any(|table| tables.contains(table)))
        };
        let counts = self.by_reader.iter().filter(|(reader, _)| fills(reader)).map(|(_, count)| *count);
        counts.fold(self.everywhere, u64::saturating_add)
    }
    /// What a rule looked at (`inputs`, out of `tables`), with the gaps that bound it.
    pub(super) fn searched(&self, rule: &str, inputs: &str, tables: &[&str], hits: u64) -> Bounded {
        let gaps = self.bearing_on(tables.iter().copied());
        let inputs = match gaps {
            0 => inputs.to_owned(),
            1 => format!("{inputs}; 1 gap in what feeds them"),
            n => format!("{inputs}; {n} gaps in what feeds them"),
        };
        Bounded { searched: Searched { rule: rule.to_owned(), inputs, hits }, bounded: gaps > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::TABLES;

    #[test]
    fn a_gap_bears_on_what_its_reader_fills() {
        let gap = |by: &str| Gap { at: crate::base::Place::default(), by: by.into(), what: String::new(), bytes: 0 };
        let unread = Unread::new(&[gap("linux.cron"), gap("linux.cron"), gap("linux.sudoers"), gap("volume")]);
        assert_eq!(unread.bearing_on(["tasks"]), 3);
        assert_eq!(unread.bearing_on(["tasks", "sudoers"]), 4);
        assert_eq!(unread.bearing_on(["files"]), 1);
        let told = |unread: &Unread| {
            let Bounded { searched, bounded } = unread.searched("r", "7 tasks", &["tasks"], 0);
            (searched.inputs, bounded)
        };
        assert_eq!(told(&unread), ("7 tasks; 3 gaps in what feeds them".to_owned(), true));
        assert_eq!(told(&Unread::new(&[])), ("7 tasks".to_owned(), false));
    }

    #[test]
    fn only_tables_that_exist_are_filled() {
        for table in FILLS.iter().flat_map(|(_, tables)| *tables) {
            assert!(TABLES.iter().any(|t| t.name == *table), "{table}");
        }
    }
}
