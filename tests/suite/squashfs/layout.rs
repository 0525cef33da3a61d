//! Whole images: every compressor and size of a block, compared with what unsquashfs makes of them.
use crate::host::same_kind;
use crate::look::{Image, below, check_places, pattern, run, tool, tools};
use cranescope::fs::{NodeKind, Stat};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

pub(super) const TOOLS: &[&str] = &["mksquashfs", "unsquashfs"];
/// Compressor, block size, further options.
const RECIPES: &[(&str, &str, &[&str])] = &[
    ("gzip", "128K", &[]),
    ("gzip", "4K", &["-always-use-fragments", "-no-exports"]),
    ("gzip", "1M", &["-noI", "-noD", "-noF", "-noX"]),
    ("xz", "1M", &["-no-fragments"]),
    ("xz", "64K", &["-Xbcj", "x86"]),
    ("zstd", "256K", &[]),
    ("lz4", "32K", &[]),
    ("lz4", "128K", &["-Xhc", "-no-xattrs"]),
    ("lzo", "16K", &[]),
    ("lzo", "1M", &["-Xalgorithm", "lzo1x_1"]),
    ("lzma", "8K", &[]),
];

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

pub(super) fn make(root: &Path, compressor: &str, block: &str, options: &[&str]) -> Image {
    let image = Image::empty(0);
    let mut command = tool("mksquashfs");
    command.arg(root).arg(image.path()).args(["-noappend", "-quiet", "-no-progress", "-comp", compressor]);
    run(command.args(["-b", block]).args(options));
    image
}

/// Fills a folder with files of all kinds.
fn populate(root: &Path) {
    let put = |name: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(name)), bytes).unwrap();
    put(b"empty", b"");
    put(b"noise", &pattern(3, 2_500_123));
    put(b"text", &b"The quick brown crane lifts a container. ".repeat(60_000));
    let mixed: Vec<u8> =
        (0..40).flat_map(|n| [pattern(n, 9000), vec![u8::try_from(n).unwrap(); 25_000]].concat()).collect();
    put(b"mixed", &mixed);
    put(b"program", &std::fs::read(std::env::current_exe().unwrap()).unwrap()[..3_000_000]);
    put(b"whole", &pattern(5, 1 << 20));
    put(b"\xb0\xb6\xc7\xc5", b"GBK");
    put(b"a\nb\x1b[31m\x07", b"control characters");
    put(&[b'n'; 255], b"long name");
    put("岸桥".as_bytes(), b"UTF-8");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(9_000_001).unwrap();
    sparse.write_at(b"in the middle", 4_500_000).unwrap();
    std::fs::hard_link(root.join("text"), root.join("same text")).unwrap();
    std::os::unix::fs::symlink("x/".repeat(1500), root.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    run(tool("mkfifo").arg(root.join("fifo")));
    std::fs::create_dir_all(root.join("deep/".repeat(60))).unwrap();
    std::fs::create_dir(root.join("nothing")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..12_000_u32 {
        std::fs::write(root.join(format!("many/entry number {n}")), n.to_string()).unwrap();
    }
    std::fs::set_permissions(root.join("program"), std::fs::Permissions::from_mode(0o6755)).unwrap();
    run(tool("touch").args(["-h", "-d", "@1234567890"]).arg(root.join("noise")));
    if is_root() {
        run(tool("mknod").arg(root.join("null")).args(["c", "1", "3"]));
        run(tool("mknod").arg(root.join("block")).args(["b", "259", "74565"]));
        run(tool("chown").arg("1000:70000").arg(root.join("mixed")));
    }
}

/// Attributes that the file system of the folder takes.
fn attributes(root: &Path) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let long = "v".repeat(700);
    let wanted = [
        ("/text", "user.first", "one"),
        ("/text", "user.second", long.as_str()),
        ("/noise", "user.second", long.as_str()),
        ("/deep", "user.third", long.as_str()),
        ("/noise", "trusted.x", "3"),
        ("/fifo", "security.x", "4"),
    ];
    let mut set = Vec::new();
    for (path, name, value) in wanted {
        let mut command = tool("setfattr");
        let out = command.args(["-h", "-n", name, "-v", value]).arg(root.join(&path[1..])).output();
        if out.is_ok_and(|o| o.status.success()) {
            set.push((path, name, value.as_bytes().to_vec()));
        }
    }
    set
}

fn same(stat: &Stat, host: &std::fs::Metadata, path: &str) {
    same_kind(stat, host, path);
    assert_eq!((stat.uid, stat.gid), (host.uid(), host.gid()), "{path}");
    assert_eq!(stat.mode, host.mode() & 0o7777, "{path}");
    assert_eq!(stat.times.modified.map(|t| t.seconds), Some(host.mtime()), "{path}");
    if stat.kind != NodeKind::Directory {
        assert_eq!(stat.len, host.len(), "{path}");
        assert_eq!(u64::from(stat.links), host.nlink(), "{path}");
    }
}

#[test]
fn every_compressor_gives_what_unsquashfs_gives() {
    if !tools(TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    populate(&root);
    let attributes = attributes(&root);
    eprintln!("{} attributes", attributes.len());
    let available = tool("mksquashfs").arg("-help").output().unwrap();
    let available = String::from_utf8_lossy(&[available.stdout, available.stderr].concat()).into_owned();
    for (compressor, block, options) in RECIPES {
        if !available.lines().any(|l| l.trim().trim_end_matches(" (default)") == *compressor) {
            eprintln!("skipped: mksquashfs without {compressor}");
            continue;
        }
        let what = format!("{compressor} {block} {options:?}");
        let image = make(&root, compressor, block, options);
        let out = image.folder().join("out");
        let mut command = tool("unsquashfs");
        run(command.args(["-quiet", "-no-progress", "-no-xattrs", "-d"]).arg(&out).arg(image.path()));
        let look = image.look("squashfs");
        let listed = below(&out);
        assert_eq!(look.live().count(), listed.len() + 1, "{what}");
        for (path, host) in &listed {
            let entry = look.get(path);
            let named = format!("{what}: {}", entry.path);
            let told = std::fs::symlink_metadata(host).unwrap();
            same(entry.stat.as_ref().unwrap(), &told, &named);
            if told.is_symlink() {
                let target = std::fs::read_link(host).unwrap();
                assert_eq!(look.fs().read_link(entry.node).unwrap(), target.as_os_str().as_bytes(), "{named}");
            } else if told.is_file() {
                assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "{named}");
            }
        }
        same(look.get("/").stat.as_ref().unwrap(), &std::fs::metadata(&out).unwrap(), &what);
        assert_eq!(look.get("/text").node, look.get("/same text").node);
        for (path, name, value) in attributes.iter().filter(|_| !options.contains(&"-no-xattrs")) {
            let have = &look.get(path).stat.as_ref().unwrap().xattrs;
            assert!(
                have.iter().any(|(n, v)| n.bytes() == name.as_bytes() && v == value),
                "{what}: {path} {name} {have:?}"
            );
        }
        check_places(&look, &image.bytes());
        // By number alone the export table leads to the same file.
        let node = look.get("/noise").node;
        let alone = look.fs().stat(cranescope::base::NodeId { generation: 0, ..node });
        assert_eq!(alone.is_ok(), !options.contains(&"-no-exports"), "{what}");
        assert!(alone.is_err() || alone.ok() == look.get("/noise").stat.as_deref().cloned(), "{what}");
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        eprintln!("{what}: {} names equal", listed.len());
    }
}
