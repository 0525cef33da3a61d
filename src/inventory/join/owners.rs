//! Files whose owner or group no account of their system has: what a removed account left, or what was copied from
//! another system.
use crate::inventory::{File, Inventory};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Below these lie other systems with accounts of their own.
const CONTAINERS: &[&[u8]] = &[
    b"/var/lib/docker/",
    b"/var/lib/containers/",
    b"/var/lib/containerd/",
    b"/var/lib/lxc/",
    b"/var/lib/lxd/",
    b"/var/lib/incus/",
    b"/var/snap/",
    b"/var/lib/machines/",
    b"/var/lib/flatpak/",
    b"/var/lib/rancher/",
    b"/snap/",
];
/// The same in homes.
const OF_HOMES: &[&[u8]] = &[b"/.local/share/containers/", b"/.local/share/docker/", b"/.local/share/lxc/"];
/// Ranges of which systemd gives out numbers (uids-gids of systemd's documentation): homes, services with users of their
/// own, containers; and nobody, of 16 and 32 bits.
const GIVEN_OUT: &[(u32, u32)] =
    &[(60_001, 60_513), (61_184, 65_519), (65_534, 65_535), (524_288, 1_879_048_191), (u32::MAX, u32::MAX)];

#[derive(Default)]
struct Known {
    users: BTreeSet<u32>,
    groups: BTreeSet<u32>,
    /// Subordinate numbers: first and last.
    user_ranges: Vec<(u32, u32)>,
    group_ranges: Vec<(u32, u32)>,
}

/// Fills `files.no_account`, on systems whose accounts are known.
pub(super) fn unknown(inventory: &mut Inventory) {
    let mut systems: BTreeMap<u32, Known> = BTreeMap::new();
    for account in inventory.accounts.iter() {
        let Some(system) = account.system else { continue };
        let known = systems.entry(system).or_default();
        known.users.insert(account.uid);
        known.groups.insert(account.gid);
    }
    for group in inventory.groups.iter() {
        if let Some(known) = group.system.and_then(|s| systems.get_mut(&s)) {
            known.groups.insert(group.gid);
        }
    }
    for row in inventory.settings.iter().filter(|s| matches!(&*s.program, "subuid" | "subgid")) {
        let range = row.value.split_once(':').and_then(|(a, n)| Some((a.parse().ok()?, n.trim().parse::<u32>().ok()?)));
        let Some(((first, count), known)) = range.zip(row.system.and_then(|s| systems.get_mut(&s))) else { continue };
        let ranges = if &*row.program == "subuid" { &mut known.user_ranges } else { &mut known.group_ranges };
        ranges.push((first, u32::saturating_add(first, count.saturating_sub(1))));
    }
    let of = |file: &File| {
        let known = file.system.and_then(|s| systems.get(&s)).filter(|k| k.users.contains(&0))?;
        if file.deleted || !file.covered.is_empty() || is_inside(file.path.bytes()) {
            return None;
        }
        let is_unknown = |id: u32, all: &BTreeSet<u32>, ranges: &[(u32, u32)]| {
            !all.contains(&id) && !GIVEN_OUT.iter().chain(ranges).any(|(a, b)| (*a..=*b).contains(&id))
        };
        let user = is_unknown(file.uid, &known.users, &known.user_ranges);
        let group = is_unknown(file.gid, &known.groups, &known.group_ranges);
        match (user, group) {
            (true, true) => Some("owner, group"),
            (true, false) => Some("owner"),
            (false, true) => Some("group"),
            (false, false) => None,
        }
    };
    let told: Vec<(usize, &'static str)> =
        inventory.files.iter().enumerate().filter_map(|(at, f)| Some((at, of(f)?))).collect();
    if told.is_empty() {
        return;
    }
    let files = Arc::make_mut(&mut inventory.files);
    for (at, word) in told {
        if let Some(file) = files.get_mut(at) {
            file.no_account = word.into();
        }
    }
}

/// Whether a path lies in another system's tree, by where those lie.
fn is_inside(path: &[u8]) -> bool {
    CONTAINERS.iter().any(|c| path.starts_with(c)) || OF_HOMES.iter().any(|c| memmem(path, c))
}

fn memmem(path: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(path, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Account, Group, Setting};

    #[test]
    fn numbers_that_nobody_has() {
        let file =
            |path: &str, uid: u32, gid: u32| File { system: Some(0), path: path.into(), uid, gid, ..File::default() };
        let account = |uid, gid| Account { system: Some(0), uid, gid, ..Account::default() };
        let range = |program: &str| Setting {
            system: Some(0),
            program: program.into(),
            value: "100000:65536".into(),
            ..Setting::default()
        };
        let mut inventory = Inventory {
            accounts: Arc::new(vec![account(0, 0), account(1000, 1000)]),
            groups: Arc::new(vec![Group { system: Some(0), gid: 20, ..Group::default() }]),
            settings: Arc::new(vec![range("subuid"), range("subgid")]),
            files: Arc::new(vec![
                file("/a", 0, 20),
                file("/b", 501, 20),
                file("/c", 0, 501),
                file("/d", 501, 501),
                file("/e", 100_000, 165_535),
                file("/f", 165_536, 0),
                file("/var/lib/docker/x", 501, 501),
                file("/home/x/.local/share/containers/y", 501, 501),
                file("/g", 65_534, 65_534),
                File { system: Some(1), ..file("/h", 501, 501) },
                File { deleted: true, ..file("/i", 501, 501) },
            ]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            unknown(&mut inventory);
            let told: Vec<&str> = inventory.files.iter().map(|f| &*f.no_account).collect();
            assert_eq!(told, ["", "owner", "group", "owner, group", "", "owner", "", "", "", "", ""]);
        }
    }
}
