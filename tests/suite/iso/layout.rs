//! Whole discs: every tree that the common writers make, compared with the folder and with other readers.
use crate::host::same_kind;
use crate::look::{Image, Look, below, check_places, pattern, run, tool, tools};
use cranescope::fs::{NodeKind, Stat};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

pub(super) const WRITER: &[&str] = &["xorriso"];

/// Fills a folder with files of all kinds.
pub(super) fn populate(root: &Path) {
    let put = |name: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(name)), bytes).unwrap();
    put(b"empty", b"");
    put(b"noise", &pattern(3, 1_500_123));
    put(b"text", &b"The quick brown crane lifts a container. ".repeat(9_000));
    put(b"block", &pattern(5, 4096));
    put(b"\xb0\xb6\xc7\xc5", b"GBK");
    put(b"a\nb\x1b[31m\x07", b"control characters");
    put(&[b'n'; 255], b"long name");
    put("岸桥".as_bytes(), b"UTF-8");
    put(b"Mixed.Case.Name", b"dots");
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(300_001).unwrap();
    std::fs::hard_link(root.join("text"), root.join("same text")).unwrap();
    std::os::unix::fs::symlink("x/".repeat(90) + "y", root.join("link")).unwrap();
    std::os::unix::fs::symlink("/usr/../bin/./sh", root.join("absolute")).unwrap();
    run(tool("mkfifo").arg(root.join("fifo")));
    std::fs::create_dir_all(root.join("deep/".repeat(20))).unwrap();
    std::fs::write(root.join("deep/".repeat(20)).join("far"), b"down").unwrap();
    std::fs::create_dir(root.join("nothing")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..2500_u32 {
        std::fs::write(root.join(format!("many/entry number {n}")), n.to_string()).unwrap();
    }
    std::fs::set_permissions(root.join("noise"), std::fs::Permissions::from_mode(0o6751)).unwrap();
    run(tool("touch").args(["-h", "-d", "@1234567890"]).arg(root.join("noise")));
    if rustix::process::geteuid().is_root() {
        run(tool("mknod").arg(root.join("null")).args(["c", "1", "3"]));
        run(tool("mknod").arg(root.join("disk")).args(["b", "259", "65"]));
        run(tool("chown").arg("1000:70000").arg(root.join("block")));
    }
}

fn same(stat: &Stat, host: &std::fs::Metadata, path: &str) {
    same_kind(stat, host, path);
    assert_eq!((stat.uid, stat.gid, stat.mode), (host.uid(), host.gid(), host.mode() & 0o7777), "{path}");
    assert_eq!(stat.times.modified.map(|t| t.seconds), Some(host.mtime()), "{path}");
    if stat.kind != NodeKind::Directory {
        assert_eq!(stat.len, host.len(), "{path}");
    }
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    populate(&root);
    (folder, root)
}

/// Everything that Rock Ridge keeps.
fn compare(look: &Look, root: &Path, what: &str) {
    let listed = below(root);
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    let wanted: Vec<&[u8]> = listed.iter().map(|l| l.0.as_slice()).collect();
    assert!(ours == wanted, "{what}: {} names of {}", ours.len(), wanted.len());
    for (path, host) in &listed {
        let entry = look.get(path);
        let named = format!("{what}: {}", entry.path);
        let told = std::fs::symlink_metadata(host).unwrap();
        same(entry.stat.as_ref().unwrap(), &told, &named);
        if told.is_symlink() {
            let target = std::fs::read_link(host).unwrap();
            let ours = look.fs().read_link(entry.node).unwrap();
            let plain = |t: &[u8]| t.strip_suffix(b"/").unwrap_or(t).to_vec();
            assert_eq!(plain(&ours), plain(target.as_os_str().as_bytes()), "{named}");
        } else if told.is_file() {
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "{named}");
        }
    }
}

#[test]
fn rock_ridge_keeps_what_the_folder_has() {
    if !tools(WRITER) {
        return;
    }
    let (_guard, root) = folder();
    let recipes: &[(&str, &[&str])] = &[
        ("plain", &[]),
        ("joliet", &["-joliet", "on"]),
        ("zisofs", &["-zisofs", "level=6:block_size=64k"]),
        ("zisofs2", &["-zisofs", "level=6:block_size=128k:version_2=on"]),
        ("level 1", &["-compliance", "iso_9660_level=1:deep_paths_off:long_paths_off"]),
    ];
    for (what, options) in recipes {
        let image = Image::empty(0);
        let mut command = tool("xorriso");
        command.args(["-abort_on", "FAILURE", "-outdev"]).arg(image.path()).args(*options);
        command.args(["-map"]).arg(&root).arg("/");
        if what.starts_with("zisofs") {
            command.args(["-set_filter_r", "--zisofs", "/", "--"]);
        }
        run(&mut command);
        let look = image.look("iso9660");
        compare(&look, &root, what);
        check_places(&look, &image.bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        let features = &look.fs().info().features;
        let has = |name: &str| features.iter().any(|f| f == name);
        assert!(has("rock-ridge") && has("zisofs") == what.starts_with("zisofs"), "{what}: {features:?}");
        if what.starts_with("zisofs") {
            assert!(look.get("/text").stat.as_ref().unwrap().flags.contains(&"compressed"));
        }
    }
}

#[test]
fn moved_directories_stand_where_they_belong() {
    if !tools(&["genisoimage"]) {
        return;
    }
    let (_guard, root) = folder();
    let image = Image::empty(0);
    run(tool("genisoimage").args(["-quiet", "-R", "-o"]).arg(image.path()).arg(&root));
    let look = image.look("iso9660");
    let listed = below(&root);
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    // The folder that they were moved into is there, and empty.
    let theirs: Vec<&[u8]> = listed.iter().map(|l| l.0.as_slice()).collect();
    let more: Vec<&&[u8]> = ours.iter().filter(|p| !theirs.contains(*p)).collect();
    assert!(more.iter().all(|p| ***p == b"/rr_moved"[..]), "{more:?}");
    assert!(theirs.iter().all(|p| ours.contains(p)));
    let far = [b"/".as_slice(), "deep/".repeat(20).as_bytes(), b"far"].concat();
    assert_eq!(look.read(far), b"down");
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn joliet_and_plain_names_are_those_of_another_reader() {
    if !tools(&["genisoimage", "7zz"]) {
        return;
    }
    let (_guard, root) = folder();
    for (what, options) in [
        ("joliet", &["-J", "-joliet-long", "-input-charset", "utf-8"] as &[&str]),
        ("plain", &[]),
        ("level 4", &["-iso-level", "4"]),
        ("long", &["-l", "-D", "-d"]),
    ] {
        let image = Image::empty(0);
        // Names that no tree of these can hold are left out.
        let mut command = tool("genisoimage");
        command.args(["-quiet", "-f", "-m", "link", "-m", "absolute", "-m", "fifo"]);
        run(command
            .args(["-m", "[!a-zA-Z]*", "-m", "a*b*", "-m", "nnnn*", "-m", "disk", "-m", "null", "-D"])
            .args(options)
            .arg("-o")
            .arg(image.path())
            .arg(&root));
        let out = image.folder().join("out");
        run(tool("7zz").arg("x").arg(format!("-o{}", out.display())).arg(image.path()));
        let look = image.look("iso9660");
        let listed = below(&out);
        let mut equal = 0;
        for (path, host) in &listed {
            let entry = look.get(path);
            if host.is_file() {
                assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "{what}: {}", entry.path);
                equal += 1;
            }
        }
        assert_eq!(look.live().count(), listed.len() + 1, "{what}");
        assert!(equal > 2500, "{what}: {equal}");
        check_places(&look, &image.bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        eprintln!("{what}: {} names", listed.len());
    }
}

#[test]
fn attributes_are_read() {
    if !tools(&["xorriso", "setfattr"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let long = "v".repeat(600);
    for (name, value) in [("user.a", "one"), ("user.long", long.as_str())] {
        let set = tool("setfattr").args(["-n", name, "-v", value]).arg(&file).output().unwrap();
        if !set.status.success() {
            eprintln!("skipped: the folder takes no attributes");
            return;
        }
    }
    let image = Image::empty(0);
    run(tool("xorriso").args(["-xattr", "on", "-outdev"]).arg(image.path()).arg("-map").arg(folder.path()).arg("/"));
    let look = image.look("iso9660");
    let have = &look.get("/file").stat.as_ref().unwrap().xattrs;
    for (name, value) in [("user.a", "one"), ("user.long", long.as_str())] {
        assert!(have.iter().any(|(n, v)| n.bytes() == name.as_bytes() && v == value.as_bytes()), "{name}: {have:?}");
    }
}

#[test]
fn what_a_later_session_removed_is_listed_as_deleted() {
    if !tools(WRITER) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("gone/below")).unwrap();
    std::fs::write(root.join("stays"), b"the same").unwrap();
    std::fs::write(root.join("changes"), b"before").unwrap();
    std::fs::write(root.join("gone/below/file"), pattern(9, 5000)).unwrap();
    let image = Image::empty(0);
    std::fs::remove_file(image.path()).unwrap();
    run(tool("xorriso").arg("-outdev").arg(image.path()).arg("-map").arg(&root).arg("/"));
    std::fs::write(root.join("changes"), b"and after").unwrap();
    std::fs::write(root.join("new"), b"added").unwrap();
    run(tool("xorriso")
        .arg("-dev")
        .arg(image.path())
        .args(["-rm_r", "/gone", "--", "-update_r"])
        .arg(root.join("changes"))
        .arg("/changes")
        .arg("-map")
        .arg(root.join("new"))
        .arg("/new"));
    let look = image.look("iso9660");
    let live: Vec<String> = look.live().map(|e| e.path.display()).collect();
    assert_eq!(live, ["/", "/changes", "/new", "/stays"]);
    assert_eq!(look.read("/changes"), b"and after");
    assert_eq!(look.read("/stays"), b"the same");
    let gone: Vec<String> = look.gone().map(|e| e.path.display()).collect();
    assert_eq!(gone, ["/changes", "/gone", "/gone/below", "/gone/below/file"]);
    let find = |path: &str| look.gone().find(|e| e.path.bytes() == path.as_bytes()).unwrap();
    assert_eq!(look.content(find("/changes")).unwrap(), b"before");
    assert_eq!(look.content(find("/gone/below/file")).unwrap(), pattern(9, 5000));
    assert!(look.fs().info().features.contains(&"several-sessions".to_owned()));
    assert!(look.gaps().is_empty());
}
