//! The registry of a Windows system: each hive is opened once, with its logs, and every concern reads its keys of it.
//! What of a hive is damaged, wherever it stands, is a gap with its byte.
use super::{autostart, devices, network, packages, services};
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{Entry, Holds, Registry, System, control_set, hives};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "windows.registry",
    about: "Services, drivers, devices, network interfaces, programs that start and installed programs in the hives of Windows, with their transaction logs",
    os: Os::Windows,
    reads: &[
        "/{Windows,WINNT}/System32/config/{SYSTEM,SOFTWARE,DEFAULT}{,.LOG,.LOG1,.LOG2}",
        "/Windows/ServiceProfiles/*/NTUSER.DAT{,.LOG,.LOG1,.LOG2}",
        "/{Users,Documents and Settings}/*/NTUSER.DAT{,.LOG,.LOG1,.LOG2}",
        "/*",
    ],
    references: &["https://github.com/msuhanov/regf", "https://learn.microsoft.com/windows/win32/sysinfo/registry"],
    extract,
};

/// What reads of SYSTEM: the hive, and the path of the control set in use.
type OfSystem = fn(&Registry<'_>, &str, &Out);
const SYSTEM: &[OfSystem] = &[services::read, devices::read, network::read];
/// What reads of SOFTWARE.
const SOFTWARE: &[fn(&Registry<'_>, &Out)] = &[autostart::of_machine, packages::read];
/// What reads of a user's hive.
const USER: &[fn(&Registry<'_>, &Out)] = &[autostart::of_user, packages::read];

fn extract(system: &System, out: &Out) {
    for (entry, holds) in hives(system) {
        let mut tell = |entry: &Entry, offset: Option<u64>, what: String, bytes: u64| match offset {
            Some(offset) => out.gap_in(entry, offset, what, bytes),
            None => out.gap_bytes(entry, what, bytes),
        };
        let Some(registry) = Registry::open(system, entry, holds, &mut tell) else { continue };
        match &registry.holds {
            Holds::System => match control_set(&registry) {
                Some(set) => SYSTEM.iter().for_each(|read| read(&registry, &set, out)),
                None => out.gap(entry, "no control set was found in it: services, drivers and devices were not read"),
            },
            Holds::Software => SOFTWARE.iter().for_each(|read| read(&registry, out)),
            Holds::User(_) => USER.iter().for_each(|read| read(&registry, out)),
            // Of a hive that was brought by itself and holds something else, what is damaged is told.
            Holds::Other(_) => {}
        }
        registry.hive.check(&mut |_| ());
        for fault in registry.hive.faults() {
            if let Some(file) = registry.file(&fault) {
                out.gap_in(file, fault.offset, &fault.what, fault.bytes);
            }
        }
    }
}
