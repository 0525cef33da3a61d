//! Whole images of every layout that the installed tool makes.
use super::image::{attribute, compare, extract, make, mount, node};
use crate::look::{check_places, pattern, run, tool, tools};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What older tools know stands in front; they fail on the others, which is said.
const RECIPES: &[&[&str]] = &[
    &[],
    &["-x1"],
    &["-T1234567890", "-x-1"],
    &["--chunksize=4096"],
    &["--chunksize=65536"],
    &["-Eforce-chunk-indexes", "--chunksize=8192"],
    &["-Eforce-inode-extended"],
    &["-Eforce-inode-compact", "-T1000000000"],
    &["-Enoinline_data"],
    &["-zlz4"],
    &["-zlz4", "-Elegacy-compress"],
    &["-zlz4hc,12", "-C65536"],
    &["-zlz4hc", "-Eztailpacking"],
    &["-zlz4hc", "-C16384", "-Efragments"],
    &["-zlz4hc", "-C32768", "-Efragments,ztailpacking"],
    &["-zlz4hc", "-Eall-fragments"],
    &["-zlz4hc", "-C4096", "-Ededupe"],
    &["-zlz4hc", "-C65536", "-Ededupe,fragments"],
    &["-zlzma,6", "-C65536"],
    &["-zlzma", "-Eztailpacking,fragments"],
    &["-zdeflate,9", "-C16384"],
    &["-zdeflate", "-Eztailpacking"],
    &["-zzstd,9", "-C65536"],
    &["-zzstd:lz4hc,9", "-C32768", "-Edot-omitted"],
    &["-b1024"],
    &["-b512", "-zlz4"],
    &["--xattr-prefix=user.long."],
    &["-zlz4", "--xattr-prefix=user.long.", "-Efragments"],
    &["--xattr-prefix=user.long.", "-Eplain-xattr-prefixes"],
];

/// Fills a folder with files of all kinds.
fn populate(root: &Path) {
    let put = |name: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(name)), bytes).unwrap();
    put(b"empty", b"");
    put(b"small", b"inline");
    put(b"noise", &pattern(3, 900_123));
    put(b"text", &b"The quick brown crane lifts a container. ".repeat(40_000));
    let mixed: Vec<u8> = (0..40)
        .flat_map(|n| [pattern(n, 3000), vec![u8::try_from(n).unwrap(); 25_000], pattern(7, 9000)].concat())
        .collect();
    put(b"mixed", &mixed);
    put(b"mixed again", &[pattern(99, 5000), mixed].concat());
    put(b"program", &std::fs::read(std::env::current_exe().unwrap()).unwrap()[..1_500_000]);
    put(b"block", &pattern(5, 4096));
    put(b"tail", &b"0123456789abcdef".repeat(300)[..4097]);
    put(b"\xb0\xb6\xc7\xc5", b"GBK");
    put(b"a\nb\x1b[31m\x07", b"control characters");
    // Version 1.5 of the tool fails on a name of 255 bytes.
    put(&[b'n'; 254], b"long name");
    put("岸桥".as_bytes(), b"UTF-8");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(900_001).unwrap();
    sparse.write_at(b"in the middle", 450_000).unwrap();
    std::fs::hard_link(root.join("text"), root.join("same text")).unwrap();
    std::os::unix::fs::symlink("x/".repeat(1500), root.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    node(&root.join("fifo"), &["p"]);
    node(&root.join("null"), &["c", "1", "3"]);
    node(&root.join("disk"), &["b", "259", "74565"]);
    std::fs::create_dir_all(root.join("deep/".repeat(60))).unwrap();
    std::fs::create_dir(root.join("nothing")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..1500_u32 {
        std::fs::write(root.join(format!("many/entry number {n}")), n.to_string()).unwrap();
    }
    run(tool("touch").args(["-h", "-d", "@1234567890.123456789"]).arg(root.join("noise")));
    let long = "v".repeat(700);
    attribute(&root.join("text"), "user.first", "one");
    attribute(&root.join("noise"), "user.shared", &long);
    attribute(&root.join("mixed"), "user.shared", &long);
    attribute(&root.join("block"), "user.shared", &long);
    attribute(&root.join("block"), "user.long.name", "long");
    attribute(&root.join("deep"), "trusted.x", "3");
    attribute(&root.join("tail"), "security.x", "4");
}

#[test]
fn every_layout_gives_what_the_kernel_gives() {
    if !tools(&["mkfs.erofs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    populate(&root);
    let mut compared = 0;
    for options in RECIPES {
        let what = options.join(" ");
        let Some(image) = make(&root, options) else { continue };
        let look = image.look("erofs");
        let by = if let Some(mount) = mount(&image) {
            compare(&look, &mount.0, true, &what);
            "the kernel"
        } else if let Some(out) = extract(&image) {
            compare(&look, &out, false, &what);
            "fsck.erofs"
        } else {
            compare(&look, &root, false, &what);
            "the folder"
        };
        check_places(&look, &image.bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        assert_eq!(look.get("/text").node, look.get("/same text").node, "{what}");
        eprintln!("{what}: as {by}");
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

#[test]
fn what_stands_on_another_device_is_told() {
    if !tools(&["mkfs.erofs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), pattern(1, 50_000)).unwrap();
    let blob = folder.path().join("blob");
    let option = format!("--blobdev={}", blob.display());
    let Some(image) = make(&root, &[&option, "--chunksize=4096"]) else { return };
    let look = image.look("erofs");
    assert_eq!(look.get("/file").len(), 50_000);
    let error = look.content(look.get("/file")).unwrap_err().to_string();
    assert!(error.contains("further device"), "{error}");
    assert!(look.gaps().iter().any(|g| g.what.contains("further device")));
}
