//! Makes images, mounts them with the kernel, and compares.
use crate::host::{same_content, same_kind, stored_attributes as attributes};
use crate::look::{Image, Look, tool, tools};
use cranescope::base::Name;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn usable() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount");
        return false;
    }
    tools(&["mkfs.btrfs", "btrfs", "mount", "losetup"])
}

/// A tool, which is stopped where it takes too long.
pub(super) fn timed(name: &str) -> Command {
    tool(name)
}
pub(super) fn run(command: &mut Command) {
    crate::look::run(command);
}

pub(super) fn make(options: &[&str], mib: u64) -> Image {
    let image = Image::empty(mib);
    run(timed("mkfs.btrfs").args(["-q", "-f"]).args(options).arg(image.path()));
    image
}

/// Unmounted, and its loop devices given back, when the value goes.
pub(super) struct Mounted {
    pub(super) at: PathBuf,
    loops: Vec<String>,
}
impl Drop for Mounted {
    fn drop(&mut self) {
        let done = timed("umount").arg(&self.at).output().is_ok_and(|o| o.status.success());
        if !done {
            let _ = timed("umount").arg("-l").arg(&self.at).output();
        }
        for device in &self.loops {
            let _ = timed("btrfs").args(["device", "scan", "--forget", device]).output();
            let _ = timed("losetup").args(["-d", device]).output();
        }
    }
}

/// Mounts one file system of these devices; `None`, and a word, where this kernel does not.
pub(super) fn mount(images: &[&Path], folder: &Path, options: &str) -> Option<Mounted> {
    let at = folder.join("mount");
    std::fs::create_dir_all(&at).unwrap();
    let mut mounted = Mounted { at: at.clone(), loops: Vec::new() };
    for image in images {
        let out = timed("losetup").args(["-f", "--show"]).arg(image).output().unwrap();
        assert!(out.status.success(), "losetup: {}", String::from_utf8_lossy(&out.stderr));
        mounted.loops.push(String::from_utf8(out.stdout).unwrap().trim().to_owned());
    }
    // What is damaged is not registered, and then not mounted.
    for device in mounted.loops.iter().filter(|_| images.len() > 1) {
        run(timed("btrfs").args(["device", "scan", device]));
    }
    let out = timed("mount").args(["-t", "btrfs", "-o", options]).arg(&mounted.loops[0]).arg(&at).output().unwrap();
    if !out.status.success() {
        eprintln!("not mounted: {}", String::from_utf8_lossy(&out.stderr).trim());
        return None;
    }
    Some(mounted)
}

/// Writes into it through a mount; whether there was one.
pub(super) fn write(image: &Image, options: &str, fill: impl FnOnce(&Path)) -> bool {
    let Some(mounted) = mount(&[&image.path()], image.folder(), options) else { return false };
    fill(&mounted.at);
    true
}

/// Which of what a mount shows is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exact {
    All,
    /// Not the times of directories, which a replay of the log sets to its own.
    ButTimesOfDirectories,
}

/// Names, kinds, sizes, owners, modes, links, times, devices, attributes, targets and contents are
/// those of the mount.
pub(super) fn compare(look: &Look, root: &Path, exact: Exact) -> usize {
    let wanted = crate::look::below(root);
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    let only = |a: &[&[u8]], b: &[&[u8]]| -> Vec<Name> {
        a.iter().filter(|n| !b.contains(n)).take(10).map(|n| Name::new(n)).collect()
    };
    assert!(ours == names, "only here {:?}, only there {:?}", only(&ours, &names), only(&names, &ours));
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        let kind = meta.file_type();
        let name = &entry.path;
        if stat.flags.contains(&"subvolume-elsewhere") {
            assert_eq!(meta.ino(), 2, "{name}");
            continue;
        }
        assert_eq!(entry.node.number, meta.ino(), "{name}");
        assert_eq!(stat.len, meta.len(), "{name}");
        assert_eq!((stat.uid, stat.gid, stat.mode), (meta.uid(), meta.gid(), meta.mode() & 0o7777), "{name}");
        assert_eq!(u64::from(stat.links), meta.nlink(), "{name}");
        if !kind.is_dir() {
            assert_eq!(stat.allocated, meta.blocks() * 512, "{name}");
        }
        let ours = |t: Option<cranescope::base::Time>| t.map(|t| (t.seconds, i64::from(t.nanos))).unwrap_or_default();
        if exact == Exact::All || !kind.is_dir() {
            assert_eq!(ours(stat.times.modified), (meta.mtime(), meta.mtime_nsec()), "{name}");
            assert_eq!(ours(stat.times.changed), (meta.ctime(), meta.ctime_nsec()), "{name}");
            assert_eq!(ours(stat.times.accessed), (meta.atime(), meta.atime_nsec()), "{name}");
        }
        if let Ok(birth) = meta.created() {
            let birth = birth.duration_since(std::time::UNIX_EPOCH).unwrap();
            let birth = (i64::try_from(birth.as_secs()).unwrap(), i64::from(birth.subsec_nanos()));
            assert_eq!(ours(stat.times.created), birth, "{name}");
        }
        assert!(stat.xattrs == attributes(host), "attributes of {name}: {:?}", stat.xattrs);
        same_kind(stat, &meta, &name.display());
        same_content(look, entry, host, &name.display());
    }
    wanted.len()
}
