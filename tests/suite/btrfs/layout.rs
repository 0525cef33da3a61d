//! Everything that names, sizes, attributes, subvolumes and layouts can do, written by the kernel and read back.
use super::image::{Exact, compare, make, mount, run, timed, usable, write};
use crate::look::{Image, Look, check_places, pattern};
use cranescope::base::PieceKind;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

fn attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}
fn flag(path: &Path, flags: &str) {
    run(timed("chattr").arg(flags).arg(path));
}

/// Bytes that compress, and are not all alike.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let words = pattern(seed, len / 16 + 1);
    words.iter().flat_map(|b| format!("crane {:03} moves\n", b % 7).into_bytes()).take(len).collect()
}

fn fill(root: &Path, names: usize) {
    let put = |path: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(path)), bytes).unwrap();
    for len in [0, 1, 511, 2047, 4095, 4096, 4097, 70_000, 1_300_000] {
        put(format!("size-{len}").as_bytes(), &pattern(len as u64, len));
        put(format!("text-{len}").as_bytes(), &text(len as u64, len));
    }
    put("岸桥-配置.conf".as_bytes(), b"utf-8");
    put(b"\xb0\xb6\xc7\xc5.gbk", b"gbk");
    put(b"invalid-\xff\xfe", b"no utf-8");
    put(b"control-\x01\x1b[2J\t\n", b"control");
    put(&[b'n'; 255], b"long name");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/h")).unwrap();
    put(b"a/b/c/d/e/f/g/h/deep", b"deep");
    std::fs::hard_link(root.join("size-70000"), root.join("a/linked")).unwrap();
    // More links in one directory than a reference holds.
    for n in 0..300 {
        let name = format!("a/b/another-link-with-quite-a-long-name-so-that-few-fit-into-one-reference-{n:05}");
        std::fs::hard_link(root.join("size-511"), root.join(name)).unwrap();
    }
    for len in [1, 60, 300, 1000, 2000] {
        std::os::unix::fs::symlink("x".repeat(len), root.join(format!("link-{len}"))).unwrap();
    }
    let mode =
        |path: &str, mode| std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    mode("size-1", 0o4751);
    mode("a/b", 0o1777);
    std::os::unix::fs::lchown(root.join("size-1"), Some(1000), Some(70_000)).unwrap();
    let device = |name: &str, kind, major, minor| {
        let at = rustix::fs::CWD;
        rustix::fs::mknodat(at, root.join(name), kind, 0o600.into(), rustix::fs::makedev(major, minor)).unwrap();
    };
    device("character", rustix::fs::FileType::CharacterDevice, 188, 300);
    device("block", rustix::fs::FileType::BlockDevice, 8, 1);
    device("pipe", rustix::fs::FileType::Fifo, 0, 0);
    device("socket", rustix::fs::FileType::Socket, 0, 0);
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..names {
        std::fs::File::create(root.join(format!("many/an-entry-with-a-longer-name-{n:06}"))).unwrap();
    }
    for n in (0..names).step_by(7) {
        std::fs::remove_file(root.join(format!("many/an-entry-with-a-longer-name-{n:06}"))).unwrap();
    }
    attribute(&root.join("size-1"), "user.small", b"value");
    attribute(
        &root.join("size-1"),
        "security.capability",
        &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    attribute(&root.join("size-1"), "trusted.root", b"");
    for n in 0..60 {
        attribute(&root.join("size-511"), &format!("user.many-{n}"), &pattern(n, 300));
    }
    attribute(&root.join("a"), "user.岸", b"on a directory");
    attribute(&root.join("link-60"), "trusted.link", b"on a link");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"head", 0).unwrap();
    sparse.write_all_at(&pattern(9, 5000), 300_001).unwrap();
    sparse.write_all_at(b"tail", 9_000_000).unwrap();
    let reserved = std::fs::File::create(root.join("preallocated")).unwrap();
    rustix::fs::fallocate(&reserved, rustix::fs::FallocateFlags::empty(), 0, 500_000).unwrap();
    reserved.write_all_at(&pattern(3, 10_000), 100_000).unwrap();
    let mut files: Vec<_> = (0..2).map(|n| std::fs::File::create(root.join(format!("turns-{n}"))).unwrap()).collect();
    for piece in 0..20 {
        for (n, file) in files.iter_mut().enumerate() {
            file.write_all(&pattern(piece * 2 + n as u64, 5000)).unwrap();
            file.sync_data().unwrap();
        }
    }
    // Shared extents, wholly and from the middle on.
    let copy = |from: &str, to: &str| {
        run(timed("cp").arg("--reflink=always").arg(root.join(from)).arg(root.join(to)));
    };
    copy("size-1300000", "copy");
    copy("text-1300000", "copy-text");
    let changed = std::fs::OpenOptions::new().write(true).open(root.join("copy-text")).unwrap();
    changed.write_all_at(&pattern(77, 9000), 200_000).unwrap();
    std::fs::write(root.join("no-cow"), b"").unwrap();
    flag(&root.join("no-cow"), "+C");
    put(b"no-cow", &pattern(5, 100_000));
    flag(&root.join("size-4096"), "+d");
    flag(&root.join("text-4096"), "+a");
    flag(&root.join("text-4097"), "+i");
}
fn unlock(root: &Path) {
    flag(&root.join("text-4096"), "-a");
    flag(&root.join("text-4097"), "-i");
}

fn subvolumes(root: &Path) {
    let btrfs = |args: &[&str]| {
        let mut command = timed("btrfs");
        command.args(args).current_dir(root);
        run(&mut command);
    };
    btrfs(&["subvolume", "create", "@"]);
    btrfs(&["subvolume", "create", "@/home"]);
    std::fs::create_dir(root.join("@/snapshots")).unwrap();
    std::fs::write(root.join("@/os-release"), b"ID=crane\n").unwrap();
    std::fs::write(root.join("@/home/notes"), text(4, 50_000)).unwrap();
    btrfs(&["subvolume", "snapshot", "-r", "@", "@/snapshots/first"]);
    btrfs(&["subvolume", "snapshot", "@", "work"]);
    std::fs::write(root.join("@/os-release"), b"ID=crane\nVERSION=2\n").unwrap();
    std::fs::write(root.join("work/added"), b"in the snapshot only").unwrap();
}

fn check(options: &[&str], mount_options: &str, mib: u64, names: usize) -> Option<(Look, Image)> {
    let image = make(options, mib);
    if !write(&image, mount_options, |root| {
        fill(root, names);
        subvolumes(root);
    }) {
        return None;
    }
    let look = image.look("btrfs");
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{options:?}: {gaps:#?}");
    let mounted = mount(&[&image.path()], image.folder(), "ro,subvolid=5").unwrap();
    assert!(compare(&look, &mounted.at, Exact::All) > names / 2);
    drop(mounted);
    check_places(&look, &image.bytes());
    assert!(look.fs().info().clean);
    assert!(look.fs().unallocated().iter().map(|r| r.len).sum::<u64>() > (mib << 20) / 8);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{options:?}: {gaps:#?}");
    Some((look, image))
}

#[test]
fn a_tree_reads_as_the_kernel_shows_it() {
    if !usable() {
        return;
    }
    let id = "6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f01";
    let Some((look, image)) = check(&["-L", "crane 7", "-U", id], "noatime", 160, 900) else { return };
    let info = look.fs().info();
    assert_eq!((info.kind.as_str(), info.label.as_str(), info.uuid.as_str()), ("btrfs", "crane 7", id));
    let flags = |path: &str| look.get(path).stat.as_ref().unwrap().flags.clone();
    assert_eq!(flags("/text-4096"), ["append"]);
    assert_eq!(flags("/text-4097"), ["immutable"]);
    assert_eq!(flags("/no-cow"), ["nodatasum", "nodatacow"]);
    assert!(flags("/@/snapshots/first").contains(&"read-only"));
    assert!(flags("/@/snapshots/first/home").contains(&"subvolume-elsewhere"));
    assert!(flags("/@").contains(&"subvolume"));
    // One inode number, two subvolumes: two nodes.
    assert_eq!(look.get("/@/os-release").node.number, look.get("/work/os-release").node.number);
    assert_ne!(look.get("/@/os-release").node, look.get("/work/os-release").node);
    assert_eq!(look.read("/work/os-release"), b"ID=crane\n");
    let details: Vec<String> = info.details.iter().map(|(k, v)| format!("{k}: {v}")).collect();
    let found = |what: &str| details.iter().any(|d| d.contains(what));
    assert!(found("/@/snapshots/first;") && found("read-only") && found("parent uuid"), "{details:#?}");
    // What btrfs-progs says of the same image.
    let out = timed("btrfs").args(["inspect-internal", "dump-tree", "-t", "root"]).arg(image.path()).output().unwrap();
    let dump = String::from_utf8_lossy(&out.stdout).into_owned();
    for line in dump.lines().filter_map(|l| l.trim().strip_prefix("uuid ")).filter(|u| !u.starts_with("00000000")) {
        let is_subvolume =
            info.details.iter().any(|(name, _)| name.contains("subvolume")) && found(&format!("uuid {line}"));
        assert!(is_subvolume || dump.contains("FS_TREE"), "{line}");
    }
    let mounted = mount(&[&image.path()], image.folder(), "rw").unwrap();
    unlock(&mounted.at);
}

#[test]
fn compressed_contents_read_as_the_kernel_shows_them() {
    if !usable() {
        return;
    }
    for codec in ["zlib", "lzo", "zstd"] {
        let Some((look, _)) = check(&[], &format!("compress-force={codec}"), 160, 20) else { return };
        let source = look.tree.open(look.get("/text-1300000")).unwrap();
        let all = cranescope::base::Run::new(0, source.len());
        assert!(source.locate(all).iter().all(|p| p.kind == PieceKind::Decoded), "{codec}");
    }
}

#[test]
fn other_sizes_sums_and_features_read_as_the_kernel_shows_them() {
    if !usable() {
        return;
    }
    check(&["--csum", "xxhash", "-n", "4096", "-O", "^no-holes", "-R", "^free-space-tree"], "noatime", 160, 900);
    check(&["--csum", "sha256", "-n", "65536", "-d", "dup"], "compress=zstd", 256, 100);
    check(&["--csum", "blake2", "-M", "-O", "^skinny-metadata"], "noatime,max_inline=0", 160, 100);
}

#[test]
fn a_tree_made_without_the_kernel_holds_what_was_put_in() {
    if !usable() {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(host.path().join("a/b")).unwrap();
    for len in [0, 100, 5000, 300_000] {
        std::fs::write(host.path().join(format!("a/b/size-{len}")), pattern(len as u64, len)).unwrap();
    }
    let root = host.path().to_str().unwrap();
    let image = make(&["--rootdir", root, "--shrink"], 120);
    let look = image.look("btrfs");
    for len in [0, 100, 5000, 300_000] {
        assert!(look.read(format!("/a/b/size-{len}")) == pattern(len as u64, len), "{len}");
    }
    check_places(&look, &image.bytes());
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn deleted_names_and_contents_are_listed_with_what_is_left() {
    if !usable() {
        return;
    }
    let image = make(&[], 160);
    let large = pattern(11, 100_000);
    if !write(&image, "noatime", |root| {
        std::fs::create_dir_all(root.join("kept/gone")).unwrap();
        for n in 0..40 {
            std::fs::write(root.join(format!("kept/a-file-that-stays-{n}")), b"live").unwrap();
        }
        std::fs::write(root.join("kept/gone/a-file-that-goes"), &large).unwrap();
        std::fs::write(root.join("kept/small"), b"inline content").unwrap();
    }) {
        return;
    }
    assert!(write(&image, "noatime,nodiscard", |root| {
        std::fs::remove_file(root.join("kept/gone/a-file-that-goes")).unwrap();
        std::fs::remove_dir(root.join("kept/gone")).unwrap();
        std::fs::remove_file(root.join("kept/small")).unwrap();
        std::fs::rename(root.join("kept/a-file-that-stays-3"), root.join("kept/renamed")).unwrap();
    }));
    let look = image.look("btrfs");
    let gone = |path: &str| {
        let all = || look.gone().map(|e| e.path.display()).collect::<Vec<_>>();
        look.gone().find(|e| e.path.bytes() == path.as_bytes()).unwrap_or_else(|| panic!("{path}: {:#?}", all()))
    };
    let file = gone("/kept/gone/a-file-that-goes");
    assert_eq!(file.len(), 100_000);
    assert!(look.content(file).unwrap() == large);
    assert_eq!(look.content(gone("/kept/small")).unwrap(), b"inline content");
    assert_eq!(gone("/kept/a-file-that-stays-3").node, look.get("/kept/renamed").node);
    assert!(gone("/kept/gone").is_dir());
    assert!(look.gone().all(|e| !e.path.bytes().ends_with(b"stays-4")));
    assert_eq!(look.live().filter(|e| e.path.bytes().starts_with(b"/kept/")).count(), 40);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn twelve_thousand_names_in_one_directory() {
    if !usable() {
        return;
    }
    let image = make(&[], 160);
    if !write(&image, "noatime", |root| {
        for n in 0..12_000 {
            std::fs::File::create(root.join(format!("a-name-{n:06}"))).unwrap();
        }
    }) {
        return;
    }
    let start = std::time::Instant::now();
    let look = image.look("btrfs");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(look.live().count(), 12_001);
    assert!(look.gaps().is_empty());
}
