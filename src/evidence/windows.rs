//! What a Windows system is called, which version it is and when it was installed, out of its registry.
//! Keys: `Microsoft\Windows NT\CurrentVersion` of SOFTWARE; `Control` of the control set in use, of SYSTEM.
use super::registry::{Holds, Registry, hives};
use super::system::System;
use super::tree::Entry;
use crate::base::{Gaps, Time};
use crate::inventory::{OsInfo, SystemInfo};

/// Version, name, host name and zone; what cannot be read stays empty, and the reader of the registry tells why.
pub(super) fn describe(system: &System, gaps: &Gaps) -> SystemInfo {
    let mut info = SystemInfo {
        os: OsInfo { family: "windows".into(), id: "windows".into(), ..OsInfo::default() },
        ..SystemInfo::default()
    };
    for (entry, holds) in hives(system) {
        if matches!(holds, Holds::User(_)) {
            continue;
        }
        let mut tell = |entry: &Entry, offset: Option<u64>, what: String, bytes: u64| {
            let gaps = gaps.at(|p| {
                p.path = Some(entry.path.clone());
                p.inode = Some(entry.node.number);
                p.offset = offset.map(|o| ("file_offset".to_owned(), o));
            });
            gaps.add("identify", what, bytes);
        };
        let Some(registry) = Registry::open(system, entry, holds, &mut tell) else { continue };
        match registry.holds {
            Holds::Software => software(&registry, &mut info),
            Holds::System => own(&registry, &mut info),
            Holds::User(_) | Holds::Other(_) => {}
        }
    }
    info
}

fn software(registry: &Registry<'_>, info: &mut SystemInfo) {
    let Some(key) = registry.key(r"Microsoft\Windows NT\CurrentVersion") else { return };
    let text = |name: &str| registry.text(&key, name).unwrap_or_default();
    let build = text("CurrentBuildNumber");
    // Since Windows 10 the number of the version is kept in two others.
    let version = match registry.number(&key, "CurrentMajorVersionNumber") {
        Some(major) => format!("{major}.{}", registry.number(&key, "CurrentMinorVersionNumber").unwrap_or(0)),
        None => text("CurrentVersion"),
    };
    let patch = registry.number(&key, "UBR").map(|n| format!(".{n}")).unwrap_or_default();
    info.os.version =
        [version, format!("{build}{patch}")].iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(".");
    let release = [text("DisplayVersion"), text("ReleaseId")].into_iter().find(|t| !t.is_empty());
    let parts = [text("ProductName"), release.unwrap_or_default(), text("CSDVersion")];
    info.os.name = parts.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    info.installed = registry.number(&key, "InstallDate").filter(|n| *n != 0).map(|n| Time::seconds(i64::from(n)));
    if let Some(id) = registry.key(r"Microsoft\Cryptography").and_then(|k| registry.text(&k, "MachineGuid")) {
        info.machine_id = id;
    }
}

fn own(registry: &Registry<'_>, info: &mut SystemInfo) {
    let Some(set) = control_set(registry) else { return };
    let of = |path: &str, name: &str| {
        registry.key(&format!(r"{set}\{path}")).and_then(|k| registry.text(&k, name)).unwrap_or_default()
    };
    info.hostname = of(r"Control\ComputerName\ComputerName", "ComputerName");
    info.timezone = match of(r"Control\TimeZoneInformation", "TimeZoneKeyName") {
        name if name.is_empty() => of(r"Control\TimeZoneInformation", "StandardName"),
        name => name,
    };
    info.architecture = match of(r"Control\Session Manager\Environment", "PROCESSOR_ARCHITECTURE").as_str() {
        "AMD64" => "x86-64".to_owned(),
        "ARM64" => "aarch64".to_owned(),
        other => other.to_lowercase(),
    };
}

/// The control set that the system started with last: `ControlSet001`.
pub fn control_set(registry: &Registry<'_>) -> Option<String> {
    let number = registry.key("Select").and_then(|k| registry.number(&k, "Current"));
    let named = number.map(|n| format!("ControlSet{n:03}")).filter(|name| registry.key(name).is_some());
    // A hive of a running system, exported, and one whose choice is lost.
    named.or_else(|| {
        ["CurrentControlSet", "ControlSet001"].iter().find(|n| registry.key(n).is_some()).map(|n| (*n).to_owned())
    })
}
