//! Which systems are installed: os-release(5) and its relatives; layers and mounts joined as each system would.
use super::mounts::Maker;
use super::namespace::{Namespace, same_view};
use super::roots::{self, Found};
use super::system::System;
use super::table::SMALL;
use super::tree::{Entry, Tree};
use super::view::Folder;
use super::{boot, script, slots, stack, table};
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

/// Every installed system, in the order of the file systems that hold their roots.
pub fn find_systems(candidates: &[Candidate<'_>], gaps: &Gaps) -> Vec<System> {
    let (lines, states) = boot::all(candidates, gaps);
    let found = roots::all(candidates, &lines, gaps);
    let stacks: Vec<_> = found.iter().map(|f| stack::of(&f.root(candidates, &lines))).collect();
    // What is a layer of another root is no system of its own.
    let layer_of_another = |number: usize| {
        let Some(own) = found.get(number) else { return false };
        let is = |f: &Folder| same_view(&f.view, &own.folder.view) && f.path == own.folder.path;
        stacks.iter().enumerate().any(|(n, s)| {
            let first = found.get(n).is_some_and(|f| s.as_ref().is_some_and(|s| s.lowers.iter().any(|l| same_folder(l, &f.folder))));
            n != number
                && s.as_ref().is_some_and(|s| s.lowers.iter().any(is) || matches!(&s.upper, stack::Upper::Disk(u) if is(u)))
                // Of two that are layers of one stack, the earlier stands for it.
                && (n < number || !first || own.partial.is_some())
        })
    };
    let kept: Vec<bool> = (0..found.len()).map(|n| !layer_of_another(n)).collect();
    let mut systems = Vec::new();
    for ((root, stack), _) in found.into_iter().zip(stacks).zip(kept).filter(|(_, kept)| *kept) {
        let index = u32::try_from(systems.len()).unwrap_or(u32::MAX);
        systems.push(system(index, root, stack, candidates, gaps));
    }
    slots::assign(&mut systems, candidates, &lines, &states);
    systems
}

fn same_folder(a: &Folder, b: &Folder) -> bool {
    same_view(&a.view, &b.view) && a.path == b.path
}

/// One system, put together from its layers and mounts.
fn system(index: u32, found: Found<'_, '_>, stack: Option<stack::Stack>, all: &[Candidate<'_>], gaps: &Gaps) -> System {
    let Found { candidate, folder, alone, family, partial, .. } = found;
    let gaps = gaps.at(|p| p.filesystem = Some(candidate.tree.id));
    let mut maker = Maker::new(all, candidate, gaps.clone());
    let (mut space, recurse, whole) = match stack {
        None => (Namespace::new(folder.clone()), None, alone),
        Some(mut stack) => {
            let recurse = stack.recurse.take();
            let space = maker.root(stack, &gaps);
            let whole = System::of(0, SystemInfo::default(), space.shown_root(), Vec::new());
            (space, recurse, whole)
        }
    };
    let mut lines = table::fstab(&whole, &gaps);
    lines.extend(table::units(&whole, &gaps));
    lines.extend(script::lines(&whole, &gaps));
    let root_line = lines.iter().find(|l| l.at.is_empty() && !l.is_overlay());
    let device = root_line.map(|l| l.device.clone()).unwrap_or_default();
    maker.root.clone_from(&device);
    let path = Name::new(&folder.path).display();
    maker.listed.push(Mount { at: "/".into(), filesystem: Some(candidate.tree.id), device, path, kind: String::new() });
    table::memory(&lines, &mut space);
    maker.make(&lines, &mut space);
    if let Some(recurse) = recurse {
        maker.recurse(&lines, &recurse, &mut space);
    }
    let Maker { mut listed, mut layerings, notes, .. } = maker;
    listed.sort_by(|a, b| a.at.cmp(&b.at));
    layerings.sort_by(|a, b| a.at.cmp(&b.at));
    let (shown, aliases) = space.finish();
    // Most systems lie on one file system, which is joined already.
    let mut system = if shown.len() == 1 { whole } else { System::of(index, SystemInfo::default(), shown, aliases) };
    system.index = index;
    partial.unwrap_or_default().clone_into(&mut system.info.partial);
    system.info = SystemInfo {
        mounts: listed,
        layers: layerings,
        mount_notes: notes,
        ..describe(&Look { system: &system, gaps: &gaps }, family, candidate.filesystem)
    };
    if let Some(partial) = partial {
        super::partial::mark(&mut system, partial, &gaps);
    }
    let id = [candidate.filesystem.id.as_bytes(), system.info.machine_id.as_bytes(), folder.path.as_slice()];
    // A root at the top of its file system has the id it always had.
    let parts = id.get(..if folder.path.is_empty() { 2 } else { 3 }).unwrap_or_default();
    system.info.id = short_id("sys", parts);
    system
}

/// What kind of system a folder is the root of, if it is one.
pub(super) fn family(has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    if ["/etc/os-release", "/usr/lib/os-release", "/etc/openwrt_release"].iter().any(|p| has(p)) {
        return Some("linux");
    }
    // Small systems identify themselves nowhere: an account list beside programs is enough.
    let programs = has("/bin/sh") || has("/bin/busybox") || has("/sbin/init") || has("/usr/bin/sh");
    if programs && (has("/etc/passwd") || has("/etc/inittab") || has("/etc/init.d")) {
        return Some("linux");
    }
    is_windows(has).then_some("windows")
}

/// Whether the folders of Windows are there, as its versions spell them.
fn is_windows(has: &dyn Fn(&str) -> bool) -> bool {
    const ROOTS: &[&str] = &["Windows", "WINDOWS", "windows", "WINNT", "WinNT", "Winnt", "winnt"];
    ROOTS.iter().any(|root| ["System32", "system32", "SYSTEM32"].iter().any(|s| has(&format!("/{root}/{s}"))))
}

/// Whether a tree has what identifies the root of a system, by its names alone.
pub fn looks_installed(tree: &Tree) -> bool {
    let has = |path: &str| tree.get(path.as_bytes()).is_some();
    ["/etc/os-release", "/usr/lib/os-release", "/etc/openwrt_release"].iter().any(|p| has(p))
        || is_windows(&has)
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
    if family == "windows" {
        let info = super::windows::describe(system, look.gaps);
        return SystemInfo { installed: info.installed.or(filesystem.created), ..info };
    }
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
        ("rpm", "/usr/share/rpm/rpmdb.sqlite"),
        ("apk", "/lib/apk/db/installed"),
        ("apk", "/usr/lib/apk/db/installed"),
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
