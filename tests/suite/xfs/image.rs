//! Makes images, mounts them with the kernel, and compares.
use crate::look::{Image, Look, Mount, below, run, tool, tools};
use cranescope::base::Name;
use cranescope::fs::NodeKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
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

fn attributes(path: &Path) -> Vec<(Name, Vec<u8>)> {
    let mut names = vec![0; 1 << 16];
    let len = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    let mut out = Vec::new();
    for name in names[..len].split(|b| *b == 0).filter(|n| !n.is_empty() && !n.starts_with(b"system.")) {
        let mut value = vec![0; 1 << 16];
        let text = std::ffi::CString::new(name).unwrap();
        let len = rustix::fs::lgetxattr(path, text.as_c_str(), value.as_mut_slice()).unwrap();
        value.truncate(len);
        out.push((Name::new(name), value));
    }
    out.sort();
    out
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
        let kind = meta.file_type();
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
        let is = match stat.kind {
            NodeKind::File => kind.is_file(),
            NodeKind::Directory => kind.is_dir(),
            NodeKind::Symlink => kind.is_symlink(),
            NodeKind::Fifo => kind.is_fifo(),
            NodeKind::Socket => kind.is_socket(),
            NodeKind::CharDevice => kind.is_char_device(),
            NodeKind::BlockDevice => kind.is_block_device(),
            NodeKind::Unknown => false,
        };
        assert!(is, "kind of {name}: {:?}", stat.kind);
        if kind.is_char_device() || kind.is_block_device() {
            let (major, minor) = stat.device.unwrap();
            assert_eq!(rustix::fs::makedev(major, minor), meta.rdev(), "{name}");
        }
        if kind.is_symlink() {
            let target = look.fs().read_link(entry.node).unwrap();
            assert_eq!(target, std::fs::read_link(host).unwrap().as_os_str().as_bytes(), "{name}");
        }
        if kind.is_file() {
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {name}");
        }
    }
    wanted.len()
}
