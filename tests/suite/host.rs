//! What this machine shows of a file, beside what a reader shows: the part that every comparison shares.
use crate::look::Look;
use cranescope::base::Name;
use cranescope::evidence::Entry;
use cranescope::fs::{NodeKind, Stat};
use std::fs::{FileType, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

pub(crate) fn kind(kind: FileType) -> NodeKind {
    match kind {
        k if k.is_symlink() => NodeKind::Symlink,
        k if k.is_dir() => NodeKind::Directory,
        k if k.is_file() => NodeKind::File,
        k if k.is_char_device() => NodeKind::CharDevice,
        k if k.is_block_device() => NodeKind::BlockDevice,
        k if k.is_fifo() => NodeKind::Fifo,
        _ => NodeKind::Socket,
    }
}

/// Every extended attribute, sorted.
pub(crate) fn attributes(path: &Path) -> Vec<(Name, Vec<u8>)> {
    let mut names = vec![0; 1 << 16];
    let len = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    let mut out = Vec::new();
    for name in names[..len].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0; 1 << 16];
        let text = std::ffi::CString::new(name).unwrap();
        let len = rustix::fs::lgetxattr(path, text.as_c_str(), value.as_mut_slice()).unwrap();
        value.truncate(len);
        out.push((Name::new(name), value));
    }
    out.sort();
    out
}
/// Those that the disk holds: `system.` ones may be the driver's own.
pub(crate) fn stored_attributes(path: &Path) -> Vec<(Name, Vec<u8>)> {
    let mut all = attributes(path);
    all.retain(|(name, _)| !name.bytes().starts_with(b"system."));
    all
}

/// Kind, and of a device node its numbers.
pub(crate) fn same_kind(stat: &Stat, host: &Metadata, name: &str) {
    assert_eq!(stat.kind, kind(host.file_type()), "kind of {name}");
    if matches!(stat.kind, NodeKind::CharDevice | NodeKind::BlockDevice) {
        let (major, minor) = stat.device.unwrap();
        assert_eq!(rustix::fs::makedev(major, minor), host.rdev(), "{name}");
    }
}

/// Of a link its target, of a file its bytes.
pub(crate) fn same_content(look: &Look, entry: &Entry, host: &Path, name: &str) {
    match entry.kind() {
        NodeKind::Symlink => {
            let target = look.fs().read_link(entry.node).unwrap();
            assert_eq!(target, std::fs::read_link(host).unwrap().as_os_str().as_bytes(), "{name}");
        }
        NodeKind::File => {
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {name}");
        }
        _ => {}
    }
}
