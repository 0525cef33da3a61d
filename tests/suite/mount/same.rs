//! Names, attributes and contents of a mount are those of the kernel's own, for every tool.
use super::{Mounting, Theirs, timed, usable};
use crate::common::{SMALL_SYSTEM, ext4, have, plant, run};
use crate::look::{below, pattern};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

/// Content that is awkward for one who shows it: everything that a file system can hold.
fn fill(root: &Path) {
    let at = |name: &[u8]| root.join(OsStr::from_bytes(name));
    std::fs::create_dir_all(at(b"deep/er/and/deeper")).unwrap();
    std::fs::write(at(b"deep/er/and/deeper/file"), pattern(1, 3_000_000)).unwrap();
    for name in [b"\xb0\xb6\xc7\xc5".as_slice(), b"\xff\xfe\n\t\x1b[31m", "岸桥 说明".as_bytes(), &[b'x'; 255]] {
        std::fs::write(at(name), name).unwrap();
    }
    std::fs::create_dir(at(b"many")).unwrap();
    for number in 0..1500 {
        std::fs::write(root.join(format!("many/a file with a longer name {number}")), number.to_string()).unwrap();
    }
    let sparse = std::fs::File::create(at(b"sparse")).unwrap();
    sparse.set_len(40 << 20).unwrap();
    sparse.write_all_at(&pattern(2, 70_000), 9 << 20).unwrap();
    std::fs::write(at(b"empty"), b"").unwrap();
    std::fs::hard_link(at(b"deep/er/and/deeper/file"), at(b"another name")).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", at(b"absolute")).unwrap();
    std::os::unix::fs::symlink(OsStr::from_bytes(b"../\xff/\x01"), at(b"odd target")).unwrap();
    std::os::unix::fs::symlink("x".repeat(900), at(b"long target")).unwrap();
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    let path = |name: &[u8]| at(name).into_os_string();
    run(timed("mknod").arg(path(b"tty")).args(["c", "4", "300"]));
    run(timed("mknod").arg(path(b"disk")).args(["b", "259", "70000"]));
    run(timed("mkfifo").arg(path(b"pipe")));
    std::os::unix::net::UnixListener::bind(at(b"socket")).unwrap();
    run(timed("chown").args(["70000:3000000000"]).arg(path(b"empty")));
    run(timed("chmod").args(["6751"]).arg(path(b"another name")));
    run(timed("setfattr").args(["-n", "user.note", "-v", "0x00ff0a"]).arg(path(b"empty")));
    run(timed("setfattr").args(["-n", "trusted.note", "-v", "kept"]).arg(path(b"deep")));
    run(timed("setfattr")
        .args(["-n", "security.capability", "-v", "0x0100000200200000000000000000000000000000"])
        .arg(path(b"another name")));
    run(timed("touch").args(["-h", "-d", "1969-12-31T23:59:58.123456789Z"]).arg(path(b"absolute")));
    run(timed("touch").args(["-d", "2036-05-05T05:05:05.987654321Z"]).arg(path(b"deep/er")));
}

fn attributes(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0; 1 << 16];
    let len = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    let value = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let text = std::ffi::CString::new(name).unwrap();
        let len = rustix::fs::lgetxattr(path, text.as_c_str(), value.as_mut_slice()).unwrap();
        value.truncate(len);
        (name.to_vec(), value)
    };
    let mut all: Vec<_> = names[..len].split(|b| *b == 0).filter(|n| !n.is_empty()).map(value).collect();
    all.sort();
    all
}

/// Everything that stat(2), readlink(2), getxattr(2) and read(2) tell.
fn compare(ours: &Path, theirs: &Path) -> usize {
    let wanted = below(theirs);
    let names = |all: &[(Vec<u8>, std::path::PathBuf)]| all.iter().map(|w| w.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&below(ours)), names(&wanted));
    for (name, path) in &wanted {
        let own = ours.join(OsStr::from_bytes(&name[1..]));
        let shown = String::from_utf8_lossy(name);
        let (a, b) = (own.symlink_metadata().unwrap(), path.symlink_metadata().unwrap());
        let all = |m: &std::fs::Metadata| {
            let times = [(m.atime(), m.atime_nsec()), (m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec())];
            (m.ino(), m.mode(), m.nlink(), m.uid(), m.gid(), m.rdev(), m.size(), times)
        };
        assert_eq!(all(&a), all(&b), "{shown}");
        assert_eq!(attributes(&own), attributes(path), "{shown}");
        if a.is_symlink() {
            assert_eq!(std::fs::read_link(&own).unwrap(), std::fs::read_link(path).unwrap(), "{shown}");
        }
        if a.is_file() {
            assert!(std::fs::read(&own).unwrap() == std::fs::read(path).unwrap(), "{shown}");
        }
    }
    wanted.len()
}

/// What a tool prints about each of two folders is the same.
fn same_words(ours: &Path, theirs: &Path, command: &str) {
    let ask = |at: &Path| {
        let out = timed("sh").args(["-c", command]).current_dir(at).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let (ours, theirs) = (ask(ours), ask(theirs));
    assert!(!theirs.is_empty(), "{command}");
    let differs = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
    assert_eq!((differs, ours.len()), (None, theirs.len()), "{command}");
}

fn same_for_tools(ours: &Path, theirs: &Path) {
    for command in [
        "find . -printf '%P %y %m %n %U %G %s %T@ %C@ %i %l\\n' | sort",
        "find . -type f -print0 | sort -z | xargs -0 sha256sum",
        "grep -r 'name 149' . | sort; grep -rl 149 . | sort",
        "find . -print0 | sort -z | xargs -0 getfattr -h -d -m- -e hex 2>&1",
        "ls -lAR --full-time . | sed 's/^total.*//'",
        "tar --sort=name --xattrs --numeric-owner -cf - . 2>/dev/null | sha256sum",
    ] {
        same_words(ours, theirs, command);
    }
    if have("rsync") {
        let slash = |p: &Path| format!("{}/", p.display());
        let out = timed("rsync").args(["-aHAXnci", "--delete"]).args([slash(theirs), slash(ours)]).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "");
    }
}

fn image(folder: &Path, mib: u64, make: &[&str]) -> std::path::PathBuf {
    let path = folder.join("disk.img");
    std::fs::File::create(&path).unwrap().set_len(mib << 20).unwrap();
    let out = timed(make[0]).args(&make[1..]).arg(&path).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    path
}

fn as_the_kernel_shows_it(kind: &str, mib: u64, make: &[&str]) {
    if !usable() || !have(make[0]) || !have("getfattr") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), mib, make);
    let Some(theirs) = Theirs::mount(&image, kind, "loop") else { return };
    fill(&theirs.at);
    drop(theirs);
    let Some(theirs) = Theirs::mount(&image, kind, "loop,ro") else { return };
    let ours = Mounting::start(&image, &[]);
    let files = ours.at.join("volumes/0");
    assert!(compare(&files, &theirs.at) > 1500);
    same_for_tools(&files, &theirs.at);
    assert!(std::fs::read(ours.at.join("disks/0.raw")).unwrap() == std::fs::read(&image).unwrap());
    // What reads holes apart finds them.
    let used = std::fs::metadata(files.join("sparse")).unwrap().blocks() * 512;
    let copy = folder.path().join("copy");
    assert!(timed("cp").args(["--sparse=auto"]).arg(files.join("sparse")).arg(&copy).status().unwrap().success());
    assert!(used < 1 << 20 && std::fs::metadata(&copy).unwrap().blocks() * 512 < 2 << 20);
    // Devices are not opened, programs not run, nothing is written.
    assert_eq!(std::fs::File::open(files.join("disk")).unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(std::fs::write(files.join("new"), b"").unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let mode = files.join("another name");
    assert_eq!(Command::new(mode).status().unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn ext4_is_shown_as_the_kernel_shows_it() {
    as_the_kernel_shows_it("ext4", 96, &["mke2fs", "-q", "-F", "-t", "ext4", "-N", "4000"]);
}

#[test]
fn xfs_is_shown_as_the_kernel_shows_it() {
    as_the_kernel_shows_it("xfs", 320, &["mkfs.xfs", "-q"]);
}

#[test]
fn squashfs_is_shown_as_the_kernel_shows_it() {
    if !usable() || !have("mksquashfs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    fill(&root);
    let image = folder.path().join("disk.img");
    let out = timed("mksquashfs").arg(&root).arg(&image).args(["-quiet", "-no-progress"]).output().unwrap();
    assert!(out.status.success());
    let Some(theirs) = Theirs::mount(&image, "squashfs", "loop,ro") else { return };
    let ours = Mounting::start(&image, &[]);
    assert!(compare(&ours.at.join("volumes/0"), &theirs.at) > 1500);
    same_for_tools(&ours.at.join("volumes/0"), &theirs.at);
}

/// NTFS keeps no modes and no owners: names, sizes, times and contents are compared.
#[test]
fn ntfs_is_shown_as_ntfs_3g_shows_it() {
    if !usable() || !have("mkfs.ntfs") || !have("ntfs-3g") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), 32, &["mkfs.ntfs", "-q", "-F", "-f"]);
    {
        let Some(theirs) = Theirs::mount(&image, "ntfs-3g", "loop,compression") else { return };
        std::fs::create_dir(theirs.at.join("岸桥")).unwrap();
        for number in 0..300_u32 {
            let name = format!("岸桥/{number} 说明 with a long name.txt");
            std::fs::write(theirs.at.join(name), pattern(number.into(), number as usize * 100)).unwrap();
        }
    }
    let Some(theirs) = Theirs::mount(&image, "ntfs-3g", "loop,ro") else { return };
    let ours = Mounting::start(&image, &[]);
    let files = ours.at.join("volumes/0");
    let mut compared = 0;
    for (name, path) in below(&theirs.at).into_iter().filter(|(_, p)| !p.ends_with("$Extend")) {
        let own = files.join(OsStr::from_bytes(&name[1..]));
        let (a, b) = (own.symlink_metadata().unwrap(), path.symlink_metadata().unwrap());
        let shown = path.display();
        assert_eq!((a.is_dir(), a.mtime(), a.mtime_nsec()), (b.is_dir(), b.mtime(), b.mtime_nsec()), "{shown}");
        if a.is_file() {
            assert_eq!(a.len(), b.len(), "{shown}");
            assert!(std::fs::read(&own).unwrap() == std::fs::read(&path).unwrap(), "{shown}");
            assert_eq!(a.mode() & 0o7777, 0o444);
        }
        compared += 1;
    }
    assert!(compared > 300);
}

#[test]
fn systems_deleted_files_and_what_was_not_read_stand_apart() {
    if !usable() || !have("mke2fs") || !have("debugfs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), SMALL_SYSTEM);
    plant(&at.join("root"), &[("/home/gone.txt", "still here\n"), ("/home/kept.txt", "kept\n")]);
    let image = ext4(at, &at.join("root"), "disk.img");
    let out = timed("debugfs").args(["-w", "-R", "rm /home/gone.txt"]).arg(&image).output().unwrap();
    assert!(out.status.success());
    let ours = Mounting::start(&image, &[]);
    let text = |path: &str| std::fs::read_to_string(ours.at.join(path)).unwrap();
    assert_eq!(text("systems/0/etc/hostname"), "crane-7\n");
    assert_eq!(text("systems/0/opt/岸桥/说明.txt"), "crane\n");
    assert!(text("about.txt").contains("systems/0: Debian GNU/Linux 12, host crane-7; / = volumes/0"));
    assert!(!ours.at.join("volumes/0/home/gone.txt").exists());
    assert!(!ours.at.join("deleted/0/home/kept.txt").exists());
    let gone = text("deleted/0/home/gone.txt");
    assert_eq!(gone, "still here\n");
    assert!(text("gaps.txt").lines().count() < 100);
}

#[test]
fn what_cannot_be_mounted_says_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(at, &[("disk.img", "no disk"), ("full/file", ""), ("empty/x/y", "")]);
    for (arguments, code, word) in [
        (["mount", "none.img", "empty/x"], 3, "no such file"),
        (["mount", "disk.img", "full"], 2, "not empty"),
        (["mount", "disk.img", "nowhere"], 2, "empty folder"),
    ] {
        // An image of nothing mounts as a raw disk, where one can mount at all.
        let (got, out, said) = run(at, &arguments);
        assert_eq!((got, out.as_str()), (code, ""), "{arguments:?}: {said}");
        assert!(said.lines().all(|l| l.starts_with("cranescope: ")) && said.contains(word), "{said}");
    }
    assert_eq!(run(at, &["mount", "disk.img"]).0, 2);
}
