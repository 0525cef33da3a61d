//! Systems of which only a part is there: the backup that a router writes of its configuration, the folder `/etc` of
//! a gateway in an archive, a writable layer without the layers below it. They are examined like a system, and say
//! what they lack. What backups hold: OpenWrt's `sysupgrade -b` (files named by `/lib/upgrade/keep.d` and packages).
use super::identify::Candidate;
use super::registry::{alone, begins_as_hive};
use super::system::System;
use crate::base::Gaps;
use crate::fs::ARCHIVES;

/// Settings of OpenWrt and its kin.
const UCI: &[&str] = &["/etc/config/network", "/etc/config/system", "/etc/config/wireless", "/etc/config/firewall"];
/// What an account list stands beside, where it is the configuration of a machine.
const OTHERS: &[&str] = &[
    "/etc/crontab",
    "/etc/crontabs",
    "/etc/dropbear",
    "/etc/fstab",
    "/etc/hostname",
    "/etc/init.d",
    "/etc/network/interfaces",
    "/etc/ssh",
    "/etc/systemd/system",
];
/// Where programs lie.
const PROGRAMS: &[&str] = &["/bin", "/sbin", "/usr/bin", "/usr/sbin"];

/// What there is of a system, if it is a part of one. `kind` is that of the file system, `named` whether something
/// in it names a system.
pub(super) fn of(kind: &str, named: bool, has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let any = |list: &[&str]| list.iter().any(|p| has(p));
    // Loose files may be any part of a machine; a file system of its own that lacks programs has another reason.
    let loose = ARCHIVES.contains(&kind) || kind == "folder";
    if any(PROGRAMS) {
        return None;
    }
    if any(UCI) && (loose || !named) {
        return Some("UCI configuration (OpenWrt or a relative)");
    }
    (loose && (named || has("/etc/passwd")) && any(OTHERS)).then_some("configuration of Linux")
}

/// Whether a folder or an archive holds hives at its top.
pub(super) fn of_hives(candidate: &Candidate<'_>) -> Option<&'static str> {
    let kind = candidate.filesystem.kind.as_str();
    if !ARCHIVES.contains(&kind) && kind != "folder" {
        return None;
    }
    let tree = &candidate.tree;
    alone(&tree.entries).any(|e| begins_as_hive(tree.open(e))).then_some("registry hives of Windows")
}

/// Marks a system as partial, and bounds what its absences say.
pub(super) fn mark(system: &mut System, what: &str, gaps: &Gaps) {
    what.clone_into(&mut system.info.partial);
    let os = &mut system.info.os;
    os.name = match os.name.as_str() {
        "" => format!("{what} only"),
        name => format!("{name} ({what} only)"),
    };
    // What was made when the archive was made is not the system.
    system.info.installed = None;
    gaps.add(
        "identify",
        format!(
            "of this system only a part is there: {what}. Its programs, kernel, start scripts and logs are not in the evidence, and files that equal the delivered ones may have been left out: what is not found here may still be on the device"
        ),
        0,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_from_systems() {
        let told = |kind: &str, named: bool, paths: &[&str]| of(kind, named, &|p| paths.contains(&p));
        let uci = Some("UCI configuration (OpenWrt or a relative)");
        assert_eq!(told("tar", false, &["/etc/config/network", "/etc/passwd"]), uci);
        // A writable layer alone; a whole system on a file system of its own has its programs elsewhere.
        assert_eq!(told("jffs2", false, &["/etc/config/system"]), uci);
        assert_eq!(told("ext4", true, &["/etc/config/system"]), None);
        assert_eq!(told("tar", false, &["/etc/config/network", "/bin"]), None);
        let linux = Some("configuration of Linux");
        assert_eq!(told("tar", true, &["/etc/fstab"]), linux);
        assert_eq!(told("folder", false, &["/etc/passwd", "/etc/ssh"]), linux);
        assert_eq!(told("ext4", false, &["/etc/passwd", "/etc/ssh"]), None);
        assert_eq!(told("tar", false, &["/etc/passwd"]), None);
        assert_eq!(told("zip", false, &["/etc/fstab"]), None);
    }
}
