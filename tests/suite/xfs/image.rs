//! Makes images, mounts them with the kernel, and compares.
use crate::host::{same_content, same_kind, stored_attributes as attributes};
use crate::look::{Image, Look, Mount, below, run, tool, tools};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) fn usable() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount");
        return false;
    }
    tools(&["mkfs.xfs", "mount", "losetup"])
}

pub(super) fn make(options: &[&str], mib: u64) -> Image {
    let image = Image::empty(mib);
    run(tool("mkfs.xfs").args(["--unsupported", "-q"]).args(options).arg(image.path()));
    image
}

/// Mounts it; `None`, and a word, where this kernel does not.
pub(super) fn mount(image: &Image, options: &str) -> Option<Mount> {
    let at = image.folder().join("mount");
    std::fs::create_dir_all(&at).unwrap();
    let out = tool("mount").args(["-t", "xfs", "-o", options]).arg(image.path()).arg(&at).output().unwrap();
    if !out.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&out.stderr).trim());
        return None;
    }
    Some(Mount { at, device: None })
}
/// Writes into it through a mount; whether there was one.
pub(super) fn write(image: &Image, fill: impl FnOnce(&Path)) -> bool {
    let Some(mount) = mount(image, "loop") else { return false };
    fill(&mount.at);
    true
}

/// Names, kinds, sizes, owners, modes, links, times, devices, attributes, targets and contents are
/// those of the mount.
pub(super) fn compare(look: &Look, root: &Path) -> usize {
    let wanted = below(root);
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    assert_eq!(ours.len(), names.len());
    assert!(ours == names, "names differ");
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        let name = &entry.path;
        assert_eq!(entry.node.number, meta.ino(), "{name}");
        assert_eq!(stat.len, meta.len(), "{name}");
        assert_eq!((stat.uid, stat.gid, stat.mode), (meta.uid(), meta.gid(), meta.mode() & 0o7777), "{name}");
        assert_eq!(u64::from(stat.links), meta.nlink(), "{name}");
        assert_eq!(stat.allocated, meta.blocks() * 512, "{name}");
        let ours = |t: Option<cranescope::base::Time>| t.map(|t| (t.seconds, i64::from(t.nanos))).unwrap();
        assert_eq!(ours(stat.times.modified), (meta.mtime(), meta.mtime_nsec()), "{name}");
        assert_eq!(ours(stat.times.changed), (meta.ctime(), meta.ctime_nsec()), "{name}");
        assert_eq!(ours(stat.times.accessed), (meta.atime(), meta.atime_nsec()), "{name}");
        assert!(stat.xattrs == attributes(host), "attributes of {name}");
        same_kind(stat, &meta, &name.display());
        same_content(look, entry, host, &name.display());
    }
    wanted.len()
}
