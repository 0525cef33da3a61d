//! Slots: several installations of one system, of which the boot loader starts one. RAUC, swupdate, Mender and
//! U-Boot's own counting keep them in pairs of partitions, told apart by label or by their update tool's settings.
use super::boot::{BootLine, BootState};
use super::devices::names;
use super::identify::Candidate;
use super::system::System;
use super::table::SMALL;
use crate::base::FsId;
use crate::inventory::SlotInfo;
use std::collections::BTreeMap;

/// Names each system's slot, and which is started, where the evidence tells.
pub(super) fn assign(systems: &mut [System], all: &[Candidate<'_>], lines: &[BootLine], states: &[BootState]) {
    let roots: Vec<Option<FsId>> =
        systems.iter().map(|s| s.info.mounts.iter().find(|m| m.at == "/")?.filesystem).collect();
    let root = |n: usize| roots.get(n).copied().flatten().and_then(|id| all.iter().find(|c| c.tree.id == id));
    // Which systems are of one set: the same system on the same image, in more than one place.
    let mut sets: BTreeMap<(u32, String), Vec<usize>> = BTreeMap::new();
    for (number, system) in systems.iter().enumerate() {
        if let Some(candidate) = root(number).filter(|_| system.info.os.family == "linux") {
            sets.entry((candidate.volume.image, system.info.os.id.clone())).or_default().push(number);
        }
    }
    let mut told: Vec<(usize, SlotInfo)> = Vec::new();
    for ((image, _), set) in sets.into_iter().filter(|(_, set)| set.len() > 1) {
        let settings: Vec<Settings> = set.iter().filter_map(|n| systems.get(*n)).map(settings).collect();
        let of = |n: usize| root(n).and_then(|c| slot_of(c, &settings));
        let named: Vec<(usize, Slot)> = set.iter().filter_map(|n| Some((*n, of(*n)?))).collect();
        if named.len() < 2 {
            continue;
        }
        let here: Vec<&BootState> = states.iter().filter(|s| s.image == image).collect();
        let active = active(&named, &root, lines.iter().filter(|l| l.image == image), &here, all);
        for (number, slot) in named {
            let (is, by) = match &active {
                Some((first, by)) => (Some(*first == number), by.clone()),
                None => (None, String::new()),
            };
            let by = if by.is_empty() { slot.by } else { format!("{}; {by}", slot.by) };
            told.push((number, SlotInfo { name: slot.name, active: is, by }));
        }
    }
    for (number, slot) in told {
        if let Some(system) = systems.get_mut(number) {
            system.info.slot = slot;
        }
    }
}

struct Slot {
    name: String,
    /// Names under which boot loaders know it.
    boot_names: Vec<String>,
    by: String,
}

/// What an update tool's settings say: (slot, boot name, device), and the file.
struct Settings {
    slots: Vec<(String, String, String)>,
    by: &'static str,
}

fn settings(system: &System) -> Settings {
    let text = |path: &str| {
        let entry = system.resolve(path).filter(|e| e.is_file())?;
        // What of it cannot be read, the artifacts that read it tell.
        system.read(entry, SMALL).ok().map(|t| t.text().into_owned())
    };
    if let Some(text) = text("/etc/rauc/system.conf") {
        return Settings { slots: rauc(&text), by: "/etc/rauc/system.conf" };
    }
    for path in ["/etc/mender/mender.conf", "/var/lib/mender/mender.conf", "/data/mender/mender.conf"] {
        if let Some(text) = text(path) {
            let slots = ["A", "B"].iter().filter_map(|slot| {
                let device = quoted_after(&text, &format!("\"RootfsPart{slot}\""))?;
                let number = device.trim_start_matches(|c: char| !c.is_ascii_digit());
                let number = number.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().to_owned();
                Some(((*slot).to_owned(), number, device))
            });
            let slots: Vec<_> = slots.collect();
            if !slots.is_empty() {
                return Settings { slots, by: "mender.conf" };
            }
        }
    }
    Settings { slots: Vec::new(), by: "" }
}

/// The text in quotes behind a key of JSON.
fn quoted_after(text: &str, key: &str) -> Option<String> {
    let rest = text.get(text.find(key)?.saturating_add(key.len())..)?.trim_start().strip_prefix(':')?.trim_start();
    rest.strip_prefix('"')?.split('"').next().map(str::to_owned)
}

/// `[slot.rootfs.0]` with `device=` and `bootname=`.
fn rauc(text: &str) -> Vec<(String, String, String)> {
    let mut slots: Vec<(String, String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inside = section.starts_with("slot.");
            if inside {
                slots.push((section.trim_start_matches("slot.").to_owned(), String::new(), String::new()));
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside)
            && let Some(last) = slots.last_mut()
        {
            match key.trim() {
                "bootname" => value.trim().clone_into(&mut last.1),
                "device" => value.trim().clone_into(&mut last.2),
                _ => {}
            }
        }
    }
    slots.retain(|(_, _, device)| !device.is_empty());
    slots
}

fn slot_of(candidate: &Candidate<'_>, settings: &[Settings]) -> Option<Slot> {
    for one in settings {
        let found = one.slots.iter().find(|(_, _, device)| names(device, candidate, None));
        if let Some((name, boot, _)) = found {
            let boot_names = vec![boot.clone(), name.clone()];
            return Some(Slot { name: name.clone(), boot_names, by: one.by.to_owned() });
        }
    }
    let (volume, fs) = (candidate.volume, candidate.filesystem);
    for (label, what) in [(&volume.label, "the partition's label"), (&fs.label, "the file system's label")] {
        let last = label.rsplit([':', '/']).next().unwrap_or_default();
        let stem = last.trim_end_matches(['a', 'b', 'A', 'B', '0', '1', '2']);
        let end = last.get(stem.len()..).unwrap_or_default();
        let apart = stem.ends_with(['_', '-', '.']);
        let known =
            ["root", "system", "boot", "firmware", "slot"].iter().any(|w| stem.to_ascii_lowercase().contains(w));
        if end.len() == 1 && !stem.is_empty() && (apart || known) {
            let name = end.to_ascii_uppercase();
            let boot_names = vec![name.clone(), last.to_owned(), volume.index.to_string()];
            return Some(Slot { name, boot_names, by: format!("{what} {last}") });
        }
    }
    None
}

/// Position of the system that is started, and what says so.
fn active<'l>(
    named: &[(usize, Slot)],
    root: &dyn Fn(usize) -> Option<&'l Candidate<'l>>,
    lines: impl Iterator<Item = &'l BootLine>,
    states: &[&BootState],
    all: &[Candidate<'_>],
) -> Option<(usize, String)> {
    let by_name = |wanted: &str| {
        let is = |n: &&(usize, Slot)| n.1.boot_names.iter().any(|b| !b.is_empty() && b == wanted);
        named.iter().find(is).map(|(n, _)| *n)
    };
    // What the loader counts comes before what a menu says, as the menu is written once.
    for state in states {
        let get = |key: &str| state.values.get(key).map(String::as_str);
        let path = &state.path;
        if let Some(order) = get("BOOT_ORDER").or_else(|| get("ORDER")) {
            let left = |name: &str| {
                let tries = get(&format!("BOOT_{name}_LEFT")).is_none_or(|v| !matches!(v, "0" | "0x0"));
                let good = get(&format!("{name}_OK")).is_none_or(|v| v == "1")
                    && get(&format!("{name}_TRY")).is_none_or(|v| v == "0");
                tries && good
            };
            if let Some(found) = order.split_whitespace().filter(|n| left(n)).find_map(by_name) {
                return Some((found, format!("{path}: the order is {order}")));
            }
        }
        for key in ["mender_boot_part", "rootpart", "bootpart", "active_slot", "boot_slot", "slot", "swupdate_slot"] {
            if let Some(value) = get(key) {
                let last = value.rsplit([':', ' ']).next().unwrap_or_default();
                if let Some(found) = by_name(last).or_else(|| by_name(&last.to_ascii_uppercase())) {
                    return Some((found, format!("{path}: {key} is {value}")));
                }
            }
        }
    }
    let mut told: Vec<(usize, String)> = Vec::new();
    for line in lines.filter(|l| l.default) {
        if let Some(found) = line
            .get("rauc.slot")
            .or_else(|| line.get("androidboot.slot_suffix").map(|s| s.trim_start_matches('_')))
            .and_then(|s| by_name(s).or_else(|| by_name(&s.to_ascii_uppercase())))
        {
            told.push((found, format!("{}: its default entry names the slot", line.path)));
            continue;
        }
        let Some(device) = line.get("root") else { continue };
        let holder = all.get(line.candidate).map(|c| c.tree.id);
        // A menu that lies in a slot starts that slot, so it tells nothing of which is started.
        if named.iter().any(|(n, _)| root(*n).is_some_and(|c| Some(c.tree.id) == holder)) {
            continue;
        }
        if let Some((found, _)) = named.iter().find(|(n, _)| root(*n).is_some_and(|c| names(device, c, None))) {
            told.push((*found, format!("{}: its default entry has root={device}", line.path)));
        }
    }
    let first = told.first()?.clone();
    told.iter().all(|(n, _)| *n == first.0).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_update_tools_are_read() {
        let text = "[system]\ncompatible=x\n[slot.rootfs.0]\ndevice=/dev/mmcblk0p2\nbootname=A\n[slot.rootfs.1]\ndevice=/dev/mmcblk0p3\nbootname=B\n[keyring]\npath=x\n";
        let told: Vec<String> = rauc(text).into_iter().map(|(a, b, c)| format!("{a} {b} {c}")).collect();
        assert_eq!(told, ["rootfs.0 A /dev/mmcblk0p2", "rootfs.1 B /dev/mmcblk0p3"]);
        let json = "{\"RootfsPartA\": \"/dev/mmcblk0p2\", \"RootfsPartB\":\"/dev/mmcblk0p3\"}";
        assert_eq!(quoted_after(json, "\"RootfsPartB\"").as_deref(), Some("/dev/mmcblk0p3"));
    }
}
