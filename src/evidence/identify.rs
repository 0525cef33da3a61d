//! Which systems are installed: os-release(5) and its relatives, and file systems joined by fstab(5).
use super::system::System;
use super::tree::{Entry, Tree};
use crate::base::{Gaps, Name, short_id};
use crate::fs::NodeKind;
use crate::inventory::{FilesystemInfo, Mount, OsInfo, SystemInfo, VolumeInfo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file system with its tree, as far as identification needs it.
pub struct Candidate<'a> {
    pub tree: Arc<Tree>,
    pub filesystem: &'a FilesystemInfo,
    pub volume: &'a VolumeInfo,
}

/// Small files only: what identifies a system never is large.
const SMALL: u64 = 1 << 20;

/// Every installed system, in the order of the file systems that hold their roots.
pub fn find_systems(candidates: &[Candidate<'_>], gaps: &Gaps) -> Vec<System> {
    let mut systems = Vec::new();
    for root in candidates {
        let alone = System::new(0, SystemInfo::default(), vec![(Vec::new(), root.tree.clone())]);
        // A text tree shows only what matters to a test; it is a Linux system whatever it lacks.
        let text = (root.filesystem.kind == "text").then_some("linux");
        let Some(family) = family(&alone).or(text) else { continue };
        let gaps = gaps.at(|p| p.filesystem = Some(root.tree.id));
        let (info, mounts) = mounts(&alone, root, candidates, &gaps);
        let index = u32::try_from(systems.len()).unwrap_or(u32::MAX);
        // Most systems lie on one file system, which is joined already.
        let mut system = if mounts.len() == 1 { alone } else { System::new(index, SystemInfo::default(), mounts) };
        system.index = index;
        system.info =
            SystemInfo { mounts: info, ..describe(&Look { system: &system, gaps: &gaps }, family, root.filesystem) };
        system.info.id = short_id("sys", &[root.filesystem.id.as_bytes(), system.info.machine_id.as_bytes()]);
        systems.push(system);
    }
    systems
}

/// What kind of system this tree is the root of, if it is one.
fn family(system: &System) -> Option<&'static str> {
    let has = |path: &str| system.resolve(path).is_some();
    if ["/etc/os-release", "/usr/lib/os-release", "/etc/openwrt_release"].iter().any(|p| has(p)) {
        return Some("linux");
    }
    // Small systems identify themselves nowhere: an account list beside programs is enough.
    let programs = has("/bin/sh") || has("/bin/busybox") || has("/sbin/init") || has("/usr/bin/sh");
    if programs && (has("/etc/passwd") || has("/etc/inittab") || has("/etc/init.d")) {
        return Some("linux");
    }
    has("/Windows/System32").then_some("windows")
}

/// Whether a tree has what identifies the root of a system, by its names alone.
pub fn looks_installed(tree: &Tree) -> bool {
    let has = |path: &str| tree.get(path.as_bytes()).is_some();
    ["/etc/os-release", "/usr/lib/os-release", "/etc/openwrt_release", "/Windows/System32"].iter().any(|p| has(p))
        || (has("/etc/passwd") && (has("/bin/sh") || has("/bin") || has("/sbin/init") || has("/usr/bin/sh")))
}

/// A system as it is identified: what of it cannot be read on the way is a gap.
struct Look<'a> {
    system: &'a System,
    gaps: &'a Gaps,
}

impl Look<'_> {
    fn small(&self, path: &str) -> Option<String> {
        self.read(self.system.resolve(path).filter(|e| e.is_file())?)
    }
    fn read(&self, entry: &Entry) -> Option<String> {
        let gaps = self.gaps.at(|p| {
            p.path = Some(entry.path.clone());
            p.inode = Some(entry.node.number);
        });
        match self.system.read(entry, SMALL) {
            Ok(text) => {
                if text.truncated {
                    let rest = entry.len().saturating_sub(SMALL);
                    gaps.add("identify", format!("read to byte {SMALL} only"), rest);
                }
                Some(text.text().into_owned())
            }
            Err(e) => {
                gaps.add("identify", format!("not read: {e}"), entry.len());
                None
            }
        }
    }
    fn first_line(&self, path: &str) -> Option<String> {
        first_line(&self.small(path)?)
    }
}

fn first_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|l| !l.is_empty()).map(str::to_owned)
}

/// `KEY=value` lines, quotes removed.
fn assignments(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .map(|(k, v)| (k.trim().to_owned(), v.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

fn describe(look: &Look<'_>, family: &str, filesystem: &FilesystemInfo) -> SystemInfo {
    let system = look.system;
    let architecture = ["/sbin/init", "/bin/sh", "/bin/busybox", "/usr/lib/systemd/systemd"]
        .iter()
        .find_map(|p| machine(system, system.resolve(p)?))
        .unwrap_or_default();
    SystemInfo {
        os: os(look, family),
        hostname: hostname(look),
        machine_id: look
            .first_line("/etc/machine-id")
            .or_else(|| look.first_line("/var/lib/dbus/machine-id"))
            .unwrap_or_default(),
        architecture: architecture.to_owned(),
        kernels: kernels(system),
        installed: installed(system, filesystem),
        timezone: timezone(look),
        clone_signs: clone_signs(look),
        package_database: package_database(system).to_owned(),
        ..SystemInfo::default()
    }
}

fn os(look: &Look<'_>, family: &str) -> OsInfo {
    let release = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|p| look.small(p));
    let release = assignments(&release.unwrap_or_default());
    let get = |key: &str| release.get(key).cloned().unwrap_or_default();
    let mut os = OsInfo { family: family.into(), id: get("ID"), version: get("VERSION_ID"), name: get("PRETTY_NAME") };
    // The point release stands only here.
    if os.id == "debian"
        && let Some(exact) = look.first_line("/etc/debian_version")
    {
        os.version = exact;
    }
    if os.id.is_empty() {
        let openwrt = assignments(&look.small("/etc/openwrt_release").unwrap_or_default());
        let lsb = assignments(&look.small("/etc/lsb-release").unwrap_or_default());
        let from = |m: &BTreeMap<String, String>, k: &str| m.get(k).cloned().unwrap_or_default();
        let source = if openwrt.is_empty() { &lsb } else { &openwrt };
        os.id = from(source, "DISTRIB_ID").to_lowercase();
        os.version = from(source, "DISTRIB_RELEASE");
        os.name = from(source, "DISTRIB_DESCRIPTION");
    }
    if os.name.is_empty() {
        let line = ["/etc/redhat-release", "/etc/alpine-release", "/etc/issue", "/etc/version"]
            .iter()
            .find_map(|p| look.first_line(p));
        os.name = line.unwrap_or_default();
    }
    os
}

fn hostname(look: &Look<'_>) -> String {
    if let Some(name) = look.first_line("/etc/hostname").filter(|l| !l.starts_with('#')) {
        return name;
    }
    let uci = look.small("/etc/config/system").unwrap_or_default();
    uci.lines()
        .find_map(|l| l.trim().strip_prefix("option hostname"))
        .map(|v| v.trim().trim_matches(['"', '\'']).to_owned())
        .unwrap_or_default()
}

/// Releases with modules or an image on disk.
fn kernels(system: &System) -> Vec<String> {
    let modules = system.glob("/lib/modules/*").into_iter().filter(|e| e.is_dir());
    let mut names: Vec<String> = modules.map(|e| Name::new(e.path.file_name()).display()).collect();
    for image in system.glob("/boot/vmlinu*-*") {
        let name = Name::new(image.path.file_name()).display();
        names.extend(name.split_once('-').map(|(_, release)| release.to_owned()));
    }
    names.sort();
    names.dedup();
    names
}

/// When the system was put on this disk: the installer's log, else the making of the file system.
fn installed(system: &System, filesystem: &FilesystemInfo) -> Option<crate::base::Time> {
    let installer = ["/var/log/installer/syslog", "/var/log/installer", "/root/anaconda-ks.cfg"];
    let by_log = installer.iter().find_map(|p| system.resolve(p)?.stat.as_ref()?.times.modified);
    by_log.or(filesystem.created)
}

fn timezone(look: &Look<'_>) -> String {
    if let Some(zone) = look.first_line("/etc/timezone") {
        return zone;
    }
    let system = look.system;
    let link = system.get("/etc/localtime").filter(|e| e.kind() == NodeKind::Symlink);
    let target = link.and_then(|e| system.link_target(e)).unwrap_or_default();
    target.lossy().split_once("zoneinfo/").map(|(_, zone)| zone.to_owned()).unwrap_or_default()
}

fn package_database(system: &System) -> &'static str {
    const DATABASES: &[(&str, &str)] = &[
        ("dpkg", "/var/lib/dpkg/status"),
        ("dpkg", "/var/lib/dpkg/status.d"),
        ("rpm", "/var/lib/rpm"),
        ("rpm", "/usr/lib/sysimage/rpm"),
        ("apk", "/lib/apk/db/installed"),
        ("opkg", "/usr/lib/opkg/status"),
        ("opkg", "/var/lib/opkg/status"),
        ("pacman", "/var/lib/pacman/local"),
    ];
    DATABASES.iter().find(|(_, path)| system.resolve(path).is_some()).map_or("", |(name, _)| name)
}

/// Traces of another machine: the disk may hold a copy of a master.
fn clone_signs(look: &Look<'_>) -> Vec<String> {
    let system = look.system;
    let mut signs = Vec::new();
    let id = look.first_line("/etc/machine-id").unwrap_or_default();
    if let Some(dbus) = look.first_line("/var/lib/dbus/machine-id")
        && !id.is_empty()
        && dbus != id
    {
        signs.push(format!("/var/lib/dbus/machine-id is {dbus}, /etc/machine-id is {id}"));
    }
    for dir in system.glob("/var/log/journal/*").into_iter().filter(|e| e.is_dir()) {
        let name = Name::new(dir.path.file_name()).display();
        if name.len() == 32 && !id.is_empty() && name != id {
            signs.push(format!("the journal holds a folder of another machine-id: {name}"));
        }
    }
    let host = hostname(look);
    for key in system.glob("/etc/ssh/ssh_host_*_key.pub") {
        let text = look.read(key).unwrap_or_default();
        let comment = text.split_whitespace().nth(2).unwrap_or_default();
        if let Some((_, made_on)) = comment.rsplit_once('@')
            && !host.is_empty()
            && made_on.split('.').next() != host.split('.').next()
        {
            signs.push(format!("{} was made on a host named {made_on}", key.path));
        }
    }
    signs
}

/// Machine of an ELF program by its header (System V ABI, `e_machine`).
fn machine(system: &System, entry: &Entry) -> Option<&'static str> {
    let source = system.open(entry).ok()?;
    let head = crate::image::read_exact(&*source, 0, 20).ok()??;
    let [0x7f, b'E', b'L', b'F', _, order, .., low, high] = head.as_slice() else { return None };
    let code = if *order == 2 { u16::from_be_bytes([*low, *high]) } else { u16::from_le_bytes([*low, *high]) };
    Some(match code {
        3 => "x86",
        8 => "mips",
        20 => "powerpc",
        21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86-64",
        183 => "aarch64",
        243 => "riscv",
        258 => "loongarch",
        _ => return None,
    })
}

type Mounts = Vec<(Vec<u8>, Arc<Tree>)>;

/// What fstab mounts where; a line that no file system of the evidence answers is a gap.
fn mounts(root: &System, own: &Candidate<'_>, all: &[Candidate<'_>], gaps: &Gaps) -> (Vec<Mount>, Mounts) {
    let mut listed = vec![Mount { at: "/".into(), filesystem: Some(own.tree.id), device: String::new() }];
    let mut joined: Mounts = vec![(Vec::new(), own.tree.clone())];
    let fstab = root.resolve("/etc/fstab").filter(|e| e.is_file());
    let text = fstab.map(|e| root.read(e, SMALL));
    let text = match text {
        Some(Ok(text)) => text,
        Some(Err(e)) => {
            let here = gaps.at(|p| p.path = Some(Name::from("/etc/fstab")));
            here.add("fstab", format!("not read: {e}; only the root is known of what this system mounts"), 0);
            return (listed, joined);
        }
        None => return (listed, joined),
    };
    for (number, line, _) in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(device), Some(at), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        if device.starts_with('#') {
            continue;
        }
        if at == "/" {
            if let Some(mount) = listed.first_mut() {
                device.clone_into(&mut mount.device);
            }
            continue;
        }
        let at = unescape(at);
        if !at.starts_with('/') || !is_disk(device, kind) {
            continue;
        }
        let same_disk = listed.first().and_then(|root| same_disk(device, &root.device));
        let on_disk = |c: &Candidate<'_>| same_disk.is_none_or(|same| same == (c.volume.image == own.volume.image));
        let found: Vec<&Candidate<'_>> =
            all.iter().filter(|c| names(device, c, own.volume.parent) && on_disk(c)).collect();
        let here = gaps.at(|p| p.path = Some(Name::from("/etc/fstab")));
        let filesystem = match found.as_slice() {
            [one] => {
                joined.push((at.trim_end_matches('/').as_bytes().to_vec(), one.tree.clone()));
                Some(one.tree.id)
            }
            [] => {
                here.add(
                    "fstab",
                    format!("line {number}: {device} at {at} is no readable file system of the evidence"),
                    0,
                );
                None
            }
            more => {
                let ids: Vec<String> = more.iter().map(|c| c.filesystem.id.clone()).collect();
                here.add("fstab", format!("line {number}: {device} may be any of {}; not joined", ids.join(", ")), 0);
                None
            }
        };
        listed.push(Mount { at, filesystem, device: device.to_owned() });
    }
    listed.sort_by(|a, b| a.at.cmp(&b.at));
    joined.sort_by(|a, b| a.0.cmp(&b.0));
    // Two lines for one place: the later one in effect covers the earlier; fstab order is lost, so keep one.
    joined.dedup_by(|a, b| a.0 == b.0);
    (listed, joined)
}

fn is_disk(device: &str, kind: &str) -> bool {
    const VIRTUAL: &[&str] = &[
        "proc", "sysfs", "tmpfs", "devpts", "devtmpfs", "swap", "cgroup", "cgroup2", "debugfs", "nfs", "nfs4", "cifs",
        "overlay", "none", "bind",
    ];
    !VIRTUAL.contains(&kind)
        && (device.contains('=') || device.starts_with("/dev/"))
        && !device.starts_with("/dev/sr")
        && !device.starts_with("/dev/cdrom")
        && !device.starts_with("/dev/fd")
}

/// `\040` and its kin, as fstab(5) writes blanks.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Whether an fstab device word means this file system. `within` is the volume that holds the asking system.
fn names(device: &str, candidate: &Candidate<'_>, within: Option<u32>) -> bool {
    let (fs, volume) = (candidate.filesystem, candidate.volume);
    let same = |a: &str, b: &str| !a.is_empty() && a.eq_ignore_ascii_case(b);
    let word = |v: &str| v.trim_matches('"').to_owned();
    if let Some((tag, value)) = device.split_once('=') {
        let value = word(value);
        return match tag {
            "UUID" => same(&value, &fs.uuid),
            "LABEL" => same(&value, &fs.label),
            "PARTUUID" => same(&value, &volume.uuid),
            "PARTLABEL" => same(&value, &volume.label),
            _ => false,
        };
    }
    if let Some(by) = device.strip_prefix("/dev/disk/by-") {
        let Some((tag, value)) = by.split_once('/') else { return false };
        return match tag {
            "uuid" => same(value, &fs.uuid),
            "label" => same(value, &fs.label),
            "partuuid" => same(value, &volume.uuid),
            "partlabel" => same(value, &volume.label),
            _ => false,
        };
    }
    if volume.scheme == "lvm2"
        && let Some((group, name)) = volume.label.split_once('/')
    {
        // The device mapper doubles dashes, so that the one between group and volume can be told.
        let mapped = format!("/dev/mapper/{}-{}", group.replace('-', "--"), name.replace('-', "--"));
        return device == mapped || device.strip_prefix("/dev/") == Some(volume.label.as_str());
    }
    if volume.scheme == "md" {
        // `host:name` of newer metadata; `md0` of the old one.
        let name = volume.label.rsplit(':').next().unwrap_or_default();
        return device.strip_prefix("/dev/md/").or(device.strip_prefix("/dev/")) == Some(name) && !name.is_empty();
    }
    // sda3, nvme0n1p3, mmcblk0p3: the number is all that can be known from one disk's image.
    let digits: String = device.chars().rev().take_while(char::is_ascii_digit).collect();
    let number: String = digits.chars().rev().collect();
    let of_table = matches!(volume.scheme.as_str(), "gpt" | "mbr");
    let near = volume.parent.is_none() || volume.parent == within;
    volume.index > 0 && number.parse() == Ok(volume.index) && of_table && near
}

/// Whether two kernel names (`/dev/sda1`, `/dev/sda5`) are of one disk; `None` if either is no such name.
fn same_disk(a: &str, b: &str) -> Option<bool> {
    let disk = |d: &str| {
        let stem = d.strip_prefix("/dev/")?.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        (!stem.is_empty() && !stem.contains('/')).then_some(stem)
    };
    Some(disk(a)? == disk(b)?)
}
