//! Everything that names, sizes, attributes and layouts can do, written by the kernel and read back.
use super::image::{compare, make, mount, usable, write};
use crate::look::{Image, Look, check_places, pattern, run, tool};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

fn attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

fn fill(root: &Path, names: usize) {
    let put = |path: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(path)), bytes).unwrap();
    for len in [0, 1, 511, 512, 4095, 4096, 4097, 70_000, 1_300_000] {
        put(format!("size-{len}").as_bytes(), &pattern(len as u64, len));
    }
    put("岸桥-配置.conf".as_bytes(), b"utf-8");
    put(b"\xb0\xb6\xc7\xc5.gbk", b"gbk");
    put(b"invalid-\xff\xfe", b"no utf-8");
    put(b"control-\x01\x1b[2J\t\n", b"control");
    put(&[b'n'; 255], b"long name");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/h")).unwrap();
    put(b"a/b/c/d/e/f/g/h/deep", b"deep");
    std::fs::hard_link(root.join("size-70000"), root.join("a/linked")).unwrap();
    for len in [1, 60, 300, 330, 700, 1000] {
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
    // Directories of every form: within the inode, one block, with an index, with a tree of indexes.
    for (dir, count) in [("few", 3), ("block", 20), ("leaf", 200), ("node", names)] {
        let dir = root.join(format!("dir-{dir}"));
        std::fs::create_dir(&dir).unwrap();
        for n in 0..count {
            std::fs::File::create(dir.join(format!("an-entry-with-a-longer-name-{n:06}"))).unwrap();
        }
        for n in (0..count).step_by(7) {
            std::fs::remove_file(dir.join(format!("an-entry-with-a-longer-name-{n:06}"))).unwrap();
        }
    }
    // Attributes within the inode, in a leaf, in a tree, and in blocks of their own.
    attribute(&root.join("size-1"), "user.small", b"value");
    attribute(
        &root.join("size-1"),
        "security.capability",
        &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    attribute(&root.join("size-1"), "trusted.root", b"");
    for n in 0..40 {
        attribute(&root.join("size-511"), &format!("user.leaf-{n}"), &pattern(n, 30));
    }
    for n in 0..300 {
        attribute(&root.join("size-512"), &format!("user.node-{n:04}"), &pattern(n, 100));
    }
    attribute(&root.join("size-4095"), "user.remote", &pattern(5, 60_000));
    attribute(&root.join("a"), "user.岸", b"on a directory");
    attribute(&root.join("link-60"), "trusted.link", b"on a link");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"head", 0).unwrap();
    sparse.write_all_at(&pattern(9, 5000), 300_001).unwrap();
    sparse.write_all_at(b"tail", 9_000_000).unwrap();
    let reserved = std::fs::File::create(root.join("preallocated")).unwrap();
    let none = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&reserved, none, 0, 500_000).unwrap();
    reserved.write_all_at(&pattern(3, 10_000), 100_000).unwrap();
    // Many extents: every second block.
    let pieces = std::fs::File::create(root.join("pieces")).unwrap();
    for n in 0..600_u64 {
        pieces.write_all_at(&pattern(n, 1000), n * 16_384).unwrap();
    }
    let mut files: Vec<_> = (0..2).map(|n| std::fs::File::create(root.join(format!("turns-{n}"))).unwrap()).collect();
    for piece in 0..60 {
        for (n, file) in files.iter_mut().enumerate() {
            file.write_all(&pattern(piece * 2 + n as u64, 4096)).unwrap();
            file.sync_all().unwrap();
        }
    }
}

fn check(options: &[&str], mib: u64, names: usize) -> Option<(Look, Image)> {
    let image = make(options, mib);
    if !write(&image, |root| {
        fill(root, names);
        // A copy that shares its blocks, where the format has that.
        let _ = std::process::Command::new("cp")
            .arg("--reflink=auto")
            .arg(root.join("size-1300000"))
            .arg(root.join("copy"))
            .output();
    }) {
        return None;
    }
    let look = image.look("xfs");
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{options:?}: {gaps:#?}");
    let mounted = mount(&image, "loop,ro,norecovery").unwrap();
    compare(&look, &mounted.at);
    drop(mounted);
    check_places(&look, &image.bytes());
    assert!(look.fs().info().clean);
    assert!(look.fs().unallocated().iter().map(|r| r.len).sum::<u64>() > (mib << 20) / 8);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{options:?}: {gaps:#?}");
    Some((look, image))
}

#[test]
fn a_tree_of_version_5_reads_as_the_kernel_shows_it() {
    if !usable() {
        return;
    }
    let id = "6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00";
    let Some((look, _)) = check(&["-L", "crane 7", "-m", &format!("uuid={id}"), "-d", "agcount=3"], 96, 900) else {
        return;
    };
    let info = look.fs().info();
    assert_eq!((info.kind.as_str(), info.label.as_str(), info.uuid.as_str()), ("xfs", "crane 7", id));
}

#[test]
fn other_sizes_and_features_read_as_the_kernel_shows_them() {
    if !usable() {
        return;
    }
    check(&["-b", "size=2048", "-i", "size=1024"], 96, 900);
    check(&["-b", "size=1024", "-n", "size=8192", "-m", "reflink=0,bigtime=0"], 96, 900);
    check(&["-m", "bigtime=1,inobtcount=1,rmapbt=1", "-i", "sparse=1,nrext64=1"], 96, 300);
}

#[test]
fn a_tree_of_version_4_reads_as_the_kernel_shows_it() {
    if !usable() {
        return;
    }
    check(&["-m", "crc=0", "-n", "ftype=0"], 96, 900);
    check(&["-m", "crc=0", "-n", "ftype=1", "-i", "size=256", "-b", "size=512"], 96, 300);
}

/// Kernels may come without version 4: `mkfs.xfs` itself fills these images.
#[test]
fn trees_of_version_4_made_from_a_prototype_hold_what_it_says() {
    if !usable() {
        return;
    }
    for options in
        [&["-m", "crc=0", "-n", "ftype=0"][..], &["-m", "crc=0", "-n", "ftype=1", "-b", "size=512", "-i", "size=256"]]
    {
        let image = Image::empty(64);
        let host = image.folder().join("host");
        let mut text = String::from("/boot\n0 0\nd--755 0 0\n");
        for len in [1, 5000, 200_000] {
            std::fs::write(host.with_extension(len.to_string()), pattern(len as u64, len)).unwrap();
            text += &format!("size-{len} ---640 1000 1001 {}\n", host.with_extension(len.to_string()).display());
        }
        text += &format!("short l--777 0 0 target\nlong l--777 0 0 {}\n", "x".repeat(700));
        text += "tty c--600 0 5 188 1\nmany d--750 7 8\n";
        for n in 0..900 {
            text += &format!("an-entry-with-a-name-{n:05} ---644 0 0 {}\n", host.with_extension("1").display());
        }
        text += "$\n$\n";
        let prototype = image.folder().join("prototype");
        std::fs::write(&prototype, text).unwrap();
        let mut command = tool("mkfs.xfs");
        run(command.args(["--unsupported", "-q", "-p"]).arg(&prototype).args(options).arg(image.path()));
        let look = image.look("xfs");
        assert_eq!(look.live().count(), 1 + 6 + 1 + 900);
        for len in [1, 5000, 200_000] {
            let stat = look.get(format!("/size-{len}")).stat.clone().unwrap();
            assert_eq!((stat.mode, stat.uid, stat.gid), (0o640, 1000, 1001));
            assert!(look.read(format!("/size-{len}")) == pattern(len as u64, len));
        }
        assert_eq!(look.fs().read_link(look.get("/short").node).unwrap(), b"target");
        assert_eq!(look.fs().read_link(look.get("/long").node).unwrap(), "x".repeat(700).as_bytes());
        assert_eq!(look.get("/tty").stat.as_ref().unwrap().device, Some((188, 1)));
        assert!(look.read("/many/an-entry-with-a-name-00899") == pattern(1, 1));
        check_places(&look, &image.bytes());
        assert!(look.fs().info().clean && look.fs().info().features.contains(&"version-4".to_owned()));
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{gaps:#?}");
    }
}

#[test]
fn twelve_thousand_names_in_one_directory() {
    if !usable() {
        return;
    }
    let image = make(&[], 128);
    if !write(&image, |root| {
        for n in 0..12_000 {
            std::fs::File::create(root.join(format!("a-name-{n:06}"))).unwrap();
        }
    }) {
        return;
    }
    let start = std::time::Instant::now();
    let look = image.look("xfs");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(look.live().count(), 12_001);
    assert!(look.gaps().is_empty());
}

#[test]
fn deleted_names_and_inodes_are_listed_with_what_is_left() {
    if !usable() {
        return;
    }
    let image = make(&[], 64);
    let large = pattern(11, 100_000);
    if !write(&image, |root| {
        std::fs::create_dir(root.join("kept")).unwrap();
        for n in 0..40 {
            std::fs::write(root.join(format!("kept/a-file-that-stays-{n}")), b"live").unwrap();
        }
        std::fs::write(root.join("kept/a-file-that-goes"), &large).unwrap();
        std::fs::write(root.join("kept/after-it"), b"live").unwrap();
    }) {
        return;
    }
    write(&image, |root| std::fs::remove_file(root.join("kept/a-file-that-goes")).unwrap());
    let look = image.look("xfs");
    let all = || look.gone().map(|e| e.path.display()).collect::<Vec<_>>();
    let gone =
        look.gone().find(|e| e.path.bytes() == b"/kept/a-file-that-goes").unwrap_or_else(|| panic!("{:?}", all()));
    let stat = gone.stat.as_ref().unwrap();
    assert!(stat.flags.contains(&"size-lost") && stat.times.deleted.is_some(), "{stat:?}");
    let content = look.content(gone).unwrap();
    assert!(content.len() >= large.len() && content[..large.len()] == large[..]);
    assert!(content[large.len()..].iter().all(|b| *b == 0));
    assert!(look.live().filter(|e| e.path.bytes().starts_with(b"/kept/")).count() == 41);
}
