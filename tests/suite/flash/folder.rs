//! A folder with files of all kinds, and what an image made of it must show.
use crate::host::{same_content, same_kind};
use crate::look::{Look, below, pattern, run, tool};
use cranescope::base::Name;
use cranescope::fs::NodeKind;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Fills a folder; `many` names stand in one directory.
pub(super) fn populate(root: &Path, many: u32) {
    let put = |name: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(name)), bytes).unwrap();
    put(b"empty", b"");
    put(b"noise", &pattern(3, 300_123));
    put(b"text", &b"The quick brown crane lifts a container. ".repeat(9000));
    let mixed: Vec<u8> =
        (0..20).flat_map(|n| [pattern(n, 3000), vec![u8::try_from(n).unwrap(); 9000]].concat()).collect();
    put(b"mixed", &mixed);
    put(b"program", &std::fs::read("/bin/sh").unwrap());
    put(b"whole", &pattern(5, 1 << 16));
    put(b"\xb0\xb6\xc7\xc5", b"GBK");
    put(b"a\nb\x1b[31m\x07", b"control characters");
    put(&[b'n'; 255], b"long name");
    put("岸桥".as_bytes(), b"UTF-8");
    put(b"\xff\xfe", b"invalid");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(900_001).unwrap();
    sparse.write_at(b"in the middle", 450_000).unwrap();
    std::fs::hard_link(root.join("text"), root.join("same text")).unwrap();
    std::os::unix::fs::symlink("x/".repeat(120), root.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    run(tool("mkfifo").arg(root.join("fifo")));
    std::fs::create_dir_all(root.join("deep/".repeat(40))).unwrap();
    std::fs::create_dir(root.join("nothing")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..many {
        std::fs::write(root.join(format!("many/entry number {n}")), n.to_string()).unwrap();
    }
    std::fs::set_permissions(root.join("program"), std::fs::Permissions::from_mode(0o6755)).unwrap();
    run(tool("touch").args(["-h", "-d", "@1234567890"]).arg(root.join("noise")));
    if is_root() {
        run(tool("mknod").arg(root.join("null")).args(["c", "1", "3"]));
        run(tool("mknod").arg(root.join("block")).args(["b", "8", "70"]));
        run(tool("chown").arg("1000:2000").arg(root.join("mixed")));
    }
}

/// Attributes that the file system of the folder takes.
pub(super) fn attributes(root: &Path) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let long = "v".repeat(700);
    let wanted = [
        ("/text", "user.first", "one"),
        ("/text", "user.second", long.as_str()),
        ("/noise", "user.second", long.as_str()),
        ("/deep", "user.third", "three"),
        ("/program", "security.capability", "\u{1}\0\0\u{2}\0\u{4}\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ];
    let set = |(path, name, value): &(&'static str, &'static str, &str)| {
        let host = root.join(path.trim_start_matches('/'));
        rustix::fs::lsetxattr(host, *name, value.as_bytes(), rustix::fs::XattrFlags::empty()).is_ok()
    };
    let taken = wanted.iter().filter(|w| set(w));
    taken.map(|(path, name, value)| (*path, *name, value.as_bytes().to_vec())).collect()
}

/// Compares every name below the folder.
pub(super) fn same(look: &Look, root: &Path, attributes: &[(&str, &str, Vec<u8>)], what: &str) {
    let listed = below(root);
    let have: Vec<&Name> = look.live().map(|e| &e.path).collect();
    assert_eq!(have.len(), listed.len() + 1, "{what}: {have:?}");
    for (path, at) in &listed {
        let entry = look.get(path);
        let named = format!("{what}: {}", entry.path);
        let host = std::fs::symlink_metadata(at).unwrap();
        let stat = entry.stat.as_ref().unwrap();
        same_kind(stat, &host, &named);
        assert_eq!((stat.uid, stat.gid), (host.uid(), host.gid()), "{named}");
        assert_eq!(stat.mode, host.mode() & 0o7777, "{named}");
        assert_eq!(stat.times.modified.map(|t| t.seconds), Some(host.mtime()), "{named}");
        if stat.kind == NodeKind::File {
            assert_eq!((stat.len, u64::from(stat.links)), (host.len(), host.nlink()), "{named}");
        }
        same_content(look, entry, at, &named);
    }
    assert_eq!(look.get("/text").node, look.get("/same text").node, "{what}");
    for (path, name, value) in attributes {
        let have = &look.get(path).stat.as_ref().unwrap().xattrs;
        assert!(have.iter().any(|(n, v)| n.bytes() == name.as_bytes() && v == value), "{what}: {path} {name} {have:?}");
    }
}
