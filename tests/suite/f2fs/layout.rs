//! Whole images: what was loaded is what is read.
use super::image::{TOOLS, format, limited, load};
use crate::host::{same_content, same_kind};
use crate::look::{Look, below, check_places, pattern, run, tool, tools};
use cranescope::fs::NodeKind;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Features, and options of the tool that loads.
const RECIPES: &[(&[&str], &[&str])] = &[
    (&[], &[]),
    (&["-O", "extra_attr"], &[]),
    (&["-O", "extra_attr,inode_checksum,inode_crtime,project_quota,flexible_inline_xattr,quota"], &[]),
    (&["-O", "extra_attr,inode_checksum,sb_checksum,lost_found,verity"], &[]),
    (&["-O", "encrypt", "-s", "2"], &[]),
    (&["-i"], &[]),
    (&["-O", "casefold", "-C", "utf8"], &[]),
    (&["-O", "extra_attr,compression"], &["-c", "-a", "lz4"]),
    (&["-O", "extra_attr,compression,inode_checksum"], &["-c", "-a", "lz4", "-L", "4", "-m", "1"]),
    (&["-O", "extra_attr,compression"], &["-c", "-a", "lzo", "-L", "3"]),
    (&["-O", "extra_attr,compression"], &["-c", "-a", "zstd"]),
];

/// Fills a folder with files of all kinds.
fn populate(root: &Path) {
    let put = |name: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(name)), bytes).unwrap();
    put(b"empty", b"");
    put(b"small", b"inline");
    put(b"inline", &pattern(9, 3400));
    put(b"noise", &pattern(3, 900_123));
    // Beyond the inode's own addresses, and beyond two direct nodes.
    put(b"large", &pattern(4, 4_200_000));
    put(b"larger", &pattern(8, 13_000_000));
    put(b"text", &b"The quick brown crane lifts a container. ".repeat(40_000));
    let mixed: Vec<u8> =
        (0..30).flat_map(|n| [pattern(n, 20_000), vec![u8::try_from(n).unwrap(); 45_000]].concat()).collect();
    put(b"mixed", &mixed);
    put(b"\xb0\xb6\xc7\xc5", b"GBK");
    put(b"a\nb\x1b[31m\x07", b"control characters");
    put(&[b'n'; 255], b"long name");
    put("岸桥".as_bytes(), b"UTF-8");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(900_001).unwrap();
    sparse.write_at(b"in the middle", 450_000).unwrap();
    std::os::unix::fs::symlink("x/".repeat(1500), root.join("link")).unwrap();
    std::os::unix::fs::symlink("text", root.join("short link")).unwrap();
    std::fs::create_dir_all(root.join("deep/".repeat(40))).unwrap();
    std::fs::create_dir(root.join("nothing")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..1200_u32 {
        std::fs::write(root.join(format!("many/entry number {n}")), n.to_string()).unwrap();
    }
    std::fs::set_permissions(root.join("noise"), std::fs::Permissions::from_mode(0o6751)).unwrap();
    run(tool("touch").args(["-h", "-d", "@1234567890"]).arg(root.join("noise")));
    if rustix::process::geteuid().is_root() {
        // The tool loads no devices and pipes.
        run(tool("chown").arg("1000:7000").arg(root.join("mixed")));
    }
}

/// Names, kinds, sizes, owners, modes, times, devices, targets and contents.
fn compare(look: &Look, root: &Path, what: &str) {
    let wanted = below(root);
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/" && *p != b"/lost+found").collect();
    assert!(ours == names, "{what}: {} names of {}", ours.len(), names.len());
    for (path, host) in &wanted {
        let entry = look.get(path);
        let name = format!("{what}: {}", entry.path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        same_kind(stat, &meta, &name);
        assert_eq!((stat.uid, stat.gid, stat.mode), (meta.uid(), meta.gid(), meta.mode() & 0o7777), "{name}");
        assert_eq!(stat.times.modified.map(|t| t.seconds), Some(meta.mtime()), "{name}");
        if stat.kind == NodeKind::File {
            assert_eq!(stat.len, meta.len(), "{name}");
        }
        same_content(look, entry, host, &name);
    }
}

#[test]
fn what_was_loaded_is_read() {
    if !tools(TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    populate(&root);
    let mut compared = 0;
    for (features, options) in RECIPES {
        let what = format!("{} {}", features.join(" "), options.join(" "));
        let image = format(features, 128);
        if let Err(e) = load(&image, &root, options) {
            eprintln!("skipped {what}: {e}");
            continue;
        }
        let look = image.look("f2fs");
        compare(&look, &root, &what);
        check_places(&look, &image.bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        let info = look.fs().info();
        assert!(info.clean && info.label == "CRANE", "{what}: {info:?}");
        let packed = |path: &str| look.get(path).stat.as_ref().unwrap().flags.contains(&"compressed");
        assert_eq!(packed("/text"), options.contains(&"-c"), "{what}");
        // What is not free is what the tool counts as used.
        let free: u64 = look.fs().unallocated().iter().map(|r| r.len).sum();
        assert!(free > 20 << 20, "{what}: {free}");
        eprintln!("{what}: equal");
        compared += 1;
    }
    assert!(compared >= 6, "{compared}");
}

#[test]
fn the_tool_dumps_the_same_bytes() {
    if !tools(&["mkfs.f2fs", "sload.f2fs", "dump.f2fs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), pattern(1, 4_500_000)).unwrap();
    let image = super::image::make(&root, &[]);
    let look = image.look("f2fs");
    let entry = look.get("/file");
    let mut dump = limited("dump.f2fs");
    dump.current_dir(image.folder()).arg("-i").arg(format!("{:#x}", entry.node.number)).arg(image.path());
    dump.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut child = dump.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"y\n").unwrap();
    child.wait().unwrap();
    let dumped = below(image.folder()).into_iter().find(|(p, _)| p.ends_with(b"lost_found/file"));
    match dumped {
        Some((_, path)) => assert!(std::fs::read(path).unwrap() == look.read("/file")),
        None => eprintln!("skipped: dump.f2fs wrote nothing"),
    }
    assert!(look.read("/file") == pattern(1, 4_500_000));
}
