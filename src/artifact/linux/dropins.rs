//! Configuration folders whose files replace each other by name: /etc over /run over /usr/local/lib over
//! /usr/lib, and a link to /dev/null takes a file out. See systemd.unit(5), sysctl.d(5), systemd-system.conf(5).
use crate::artifact::TEXT_LIMIT;
use crate::evidence::{Entry, System, Text};
use std::collections::BTreeMap;

/// Highest first.
const ROOTS: &[&str] = &["/etc", "/run", "/usr/local/lib", "/usr/lib"];

/// A file of such a folder.
pub(super) struct DropIn<'a> {
    /// Under this name and in this folder; a link is not followed.
    pub(super) entry: &'a Entry,
    /// One of the same name with precedence stands in for it, or it is taken out.
    pub(super) masked: bool,
}

/// The files `*.conf` of a folder (`sysctl.d`) under every root, in the order in which they are applied.
pub(super) fn folder<'a>(system: &'a System, name: &str) -> Vec<DropIn<'a>> {
    let mut by_name: BTreeMap<&[u8], Vec<DropIn<'a>>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for root in ROOTS {
        // With merged /usr, several roots may lead to one folder.
        let Some(dir) = system.canonical(format!("{root}/{name}").as_bytes()) else { continue };
        if !seen.insert(dir.clone()) {
            continue;
        }
        let prefix = dir.join(b"");
        let at = system.entries().partition_point(|e| e.path.bytes() < prefix.bytes());
        let below = system.entries().iter().skip(at).take_while(|e| e.path.bytes().starts_with(prefix.bytes()));
        for entry in
            below.filter(|e| e.path.parent() == dir.bytes() && e.path.bytes().ends_with(b".conf") && !e.is_dir())
        {
            let same = by_name.entry(entry.path.file_name()).or_default();
            let masked = !same.is_empty() || system.link_target(entry).is_some_and(|t| t.bytes() == b"/dev/null");
            same.push(DropIn { entry, masked });
        }
    }
    by_name.into_values().flatten().collect()
}

/// The texts that make up a configuration (`systemd/journald.conf`): the main file, then its drop-ins;
/// what comes later counts. Files that cannot be read are left out; the artifact that lists them says so.
pub(super) fn conf<'a>(system: &'a System, name: &str) -> Vec<Text<'a>> {
    let main = ROOTS.iter().find_map(|r| system.resolve(format!("{r}/{name}")).filter(|e| e.is_file()));
    let parts = folder(system, &format!("{name}.d"));
    let parts = parts.iter().filter(|p| !p.masked).filter_map(|p| system.resolve(p.entry.path.bytes()));
    main.into_iter().chain(parts.filter(|e| e.is_file())).filter_map(|e| system.read(e, TEXT_LIMIT).ok()).collect()
}
