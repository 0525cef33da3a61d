//! What every file system has to give back: files, names, links, attributes as awkward as crane computers hold them.
use crate::look::pattern;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

/// What a format (or the tool that fills it here) can keep.
#[derive(Clone, Copy)]
pub(super) struct Can {
    /// Names are any bytes; otherwise Unicode without what FAT forbids.
    pub(super) bytes: bool,
    /// Owners, modes and symbolic links.
    pub(super) posix: bool,
    /// Pipes and device nodes (of what `posix` has).
    pub(super) devices: bool,
    /// Hard links are one node.
    pub(super) hard: bool,
    /// `user.` attributes.
    pub(super) xattrs: bool,
    /// Steps of a modification time in nanoseconds; 0: not kept, or not by the tool.
    pub(super) time: u32,
    /// A sparse file of over 4 GiB, without writing it out.
    pub(super) big: bool,
    /// Names in one directory.
    pub(super) names: usize,
}
impl Can {
    /// All that Linux has.
    pub(super) const LINUX: Self =
        Self { bytes: true, posix: true, devices: true, hard: true, xattrs: true, time: 1, big: false, names: 12_000 };
    /// What archives and small file systems of Linux keep.
    pub(super) const PLAIN: Self = Self { xattrs: false, time: 1_000_000_000, ..Self::LINUX };
}

/// Where the bytes of the file of over 4 GiB stand that are not zero.
pub(super) const BIG: &[(u64, usize)] = &[(0, 5000), ((4 << 30) - 3, 9000), ((5 << 30) - 777, 777)];
pub(super) const BIG_NAME: &str = "over-4-gib";

/// Fills an empty folder.
pub(super) fn fill(root: &Path, can: Can) {
    let put = |name: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(name)), bytes).unwrap();
    for len in [0, 1, 511, 512, 4095, 4096, 4097, 65_537, 400_000] {
        put(format!("size-{len}").as_bytes(), &pattern(len as u64, len));
    }
    put(b"text", &b"The quick brown crane lifts a container. ".repeat(9_000));
    let mixed: Vec<u8> = (0..12).flat_map(|n| [pattern(n, 9000), vec![b'a'; 25_000]].concat()).collect();
    put(b"mixed", &mixed);
    put(b"zeros", &vec![0; 200_000]);
    put("岸桥-配置.conf".as_bytes(), b"utf-8");
    put(&[b'n'; 200], b"long name");
    put(b"MixedCase.Name", b"case");
    if can.bytes {
        put(b"\xb0\xb6\xc7\xc5.gbk", b"gbk");
        put(b"invalid-\xff\xfe", b"no utf-8");
        put(b"control-\x01\x1b[2J\t", b"control");
        put(b" lead and trail ", b"spaces");
        put(&[b'm'; 255], b"the longest name");
    }
    std::fs::create_dir_all(root.join("deep/".repeat(40))).unwrap();
    put(format!("{}file", "deep/".repeat(40)).as_bytes(), b"deep");
    std::fs::create_dir_all(root.join("nothing in it")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..can.names {
        std::fs::File::create(root.join(format!("many/entry with a longer name {n:06}"))).unwrap();
    }
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3_000_001).unwrap();
    sparse.write_all_at(&pattern(9, 5000), 300_001).unwrap();
    // Grow in turns, so that neither lies in one piece where the format divides space.
    let mut turns: Vec<_> = (0..2).map(|n| std::fs::File::create(root.join(format!("turns-{n}"))).unwrap()).collect();
    for piece in 0..40 {
        for (n, file) in turns.iter_mut().enumerate() {
            file.write_all(&pattern(piece * 2 + n as u64, 4096)).unwrap();
        }
    }
    if can.posix {
        std::os::unix::fs::symlink("text", root.join("link")).unwrap();
        // mkfs.jffs2 cuts targets of more than 255 bytes.
        std::os::unix::fs::symlink(format!("{}end", "../".repeat(80)), root.join("deep/long-link")).unwrap();
        let mode = |name, mode| {
            std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("size-512", 0o4751);
        mode("deep", 0o1777);
        std::os::unix::fs::lchown(root.join("size-511"), Some(1000), Some(1001)).unwrap();
    }
    if can.devices {
        let device = |name, kind, major, minor| {
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(rustix::fs::CWD, root.join(name), kind, 0o600.into(), device).unwrap();
        };
        device("character", rustix::fs::FileType::CharacterDevice, 188, 3);
        device("block", rustix::fs::FileType::BlockDevice, 8, 1);
        device("pipe", rustix::fs::FileType::Fifo, 0, 0);
    }
    if can.hard {
        std::fs::hard_link(root.join("text"), root.join("deep/same text")).unwrap();
    }
    if can.xattrs {
        let set = |name: &str, key: &str, value: &[u8]| {
            rustix::fs::lsetxattr(root.join(name), key, value, rustix::fs::XattrFlags::empty()).unwrap();
        };
        set("size-1", "user.small", b"value");
        set("size-512", "user.larger", &pattern(3, 700));
        set("deep", "user.on-a-directory", b"x");
    }
    if can.big {
        fill_big(root);
    }
}

/// Puts the sparse file of over 4 GiB into a folder.
pub(super) fn fill_big(root: &Path) {
    let big = std::fs::File::create(root.join(BIG_NAME)).unwrap();
    big.set_len(5 << 30).unwrap();
    for (at, len) in BIG {
        big.write_all_at(&pattern(*at, *len), *at).unwrap();
    }
}
