//! What of a Windows system is not read: a gap each, at its place, so that what is absent from a table is not taken for
//! absent from the system.
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::System;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "windows.not-read",
    about: "Reads nothing: tells what of Windows is not read (accounts, event logs, scheduled tasks, connection profiles, firewall rules)",
    os: Os::Windows,
    reads: &[],
    references: &[],
    extract,
};

/// What is not read, and where it lies, in lower case; the first place that is there is named.
const NOT_READ: &[(&str, &[&str])] = &[
    (
        "accounts, groups and their passwords are not read: nothing is said of who can log in",
        &["/windows/system32/config/sam", "/winnt/system32/config/sam"],
    ),
    (
        "event logs are not read: nothing is said of logins, of devices in use and of what services did",
        &["/windows/system32/winevt/logs", "/windows/system32/config/sysevent.evt"],
    ),
    ("scheduled tasks are not read", &["/windows/system32/tasks", "/windows/tasks", "/winnt/tasks"]),
    (
        "profiles of mobile broadband, Wi-Fi, dial-up and VPN connections are not read",
        &[
            "/programdata/microsoft/wwansvc/profiles",
            "/programdata/microsoft/network/connections/pbk/rasphone.pbk",
            "/programdata/microsoft/wlansvc/profiles",
        ],
    ),
    (
        "firewall rules, port proxies, routes and listening ports are not read",
        &["/windows/system32/config/system", "/winnt/system32/config/system"],
    ),
];

fn extract(system: &System, out: &Out) {
    for (what, places) in NOT_READ {
        match places.iter().find_map(|place| system.folded(place)) {
            Some(entry) => out.gap(entry, format!("of Windows {what}")),
            None => out.gap_system(system, format!("of Windows {what}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::linux::testing::{rows, system};

    #[test]
    fn each_is_told_where_it_lies() {
        let tree = "/Windows/System32/config/SAM\n    x\n/Windows/System32/winevt/Logs/System.evtx\n    x\n";
        let (rows, gaps) = rows(&system(tree), &ARTIFACT);
        assert!(rows.is_empty());
        let told: Vec<_> = gaps.iter().map(|g| g.at.path.as_ref().map(crate::base::Name::display)).collect();
        assert_eq!(told.iter().filter(|p| p.is_none()).count(), 3);
        for path in ["/Windows/System32/config/SAM", "/Windows/System32/winevt/Logs"] {
            assert!(told.contains(&Some(path.to_owned())), "{told:?}");
        }
    }
}
