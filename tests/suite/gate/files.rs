//! File systems: a sample each, filled by the kernel or by the format's own tools.
use super::content::{Can, fill};
use super::{Subject, compare};
use crate::look::{Image, Mount, run, tool, tools};
use std::path::Path;

const SUBJECTS: &[Subject] = &[
    Subject {
        name: "ext",
        // mke2fs keeps whole seconds only.
        can: Can { big: true, time: 1_000_000_000, ..Can::LINUX },
        tools: &["mke2fs"],
        make: |root, image| {
            let mut command = tool("mke2fs");
            command.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-N", "30000", "-d"]).arg(root);
            run(command.arg(image.path()).arg("200M"));
            true
        },
        own: &["/lost+found"],
    },
    Subject {
        name: "xfs",
        can: Can { big: true, ..Can::LINUX },
        tools: &["mkfs.xfs", "mount", "cp"],
        make: |root, image| {
            run(tool("mkfs.xfs").arg("-q").arg(image.path()));
            mounted(image, root, &["-t", "xfs", "-o", "loop"])
        },
        own: &[],
    },
    Subject {
        name: "ntfs",
        can: Can { bytes: false, posix: false, hard: true, xattrs: false, time: 100, big: true, names: 12_000 },
        tools: &["mkntfs", "ntfs-3g", "cp"],
        make: |root, image| {
            run(tool("mkntfs").args(["-F", "-q", "-Q"]).arg(image.path()));
            mounted(image, root, &["-t", "ntfs-3g"])
        },
        own: &["/$"],
    },
    Subject {
        name: "squashfs",
        can: Can { time: 1_000_000_000, ..Can::LINUX },
        tools: &["mksquashfs"],
        make: |root, image| {
            let mut command = tool("mksquashfs");
            run(command.arg(root).arg(image.path()).args(["-noappend", "-quiet", "-no-progress", "-comp", "zstd"]));
            true
        },
        own: &[],
    },
    Subject {
        name: "fat",
        can: FAT,
        tools: &["mkfs.fat", "mcopy"],
        make: |root, image| {
            run(tool("mkfs.fat").args(["-F", "32"]).arg(image.path()));
            let mut command = tool("sh");
            run(command.args(["-c", "cd \"$1\" && mcopy -s -m -Q -i \"$2\" * ::/", "sh"]).arg(root).arg(image.path()));
            true
        },
        own: &[],
    },
    Subject {
        name: "exfat",
        can: FAT,
        tools: &["mkfs.exfat", "mount.exfat-fuse", "cp"],
        make: |root, image| {
            run(tool("mkfs.exfat").arg(image.path()));
            mounted(image, root, &["-t", "exfat-fuse"])
        },
        own: &[],
    },
];

/// No owners, no links, and times in steps of two seconds.
const FAT: Can =
    Can { bytes: false, posix: false, hard: false, xattrs: false, time: 2_000_000_000, big: false, names: 200 };

/// Copies the folder into the image through a mount; `false` where this machine has no such mount.
fn mounted(image: &Image, root: &Path, options: &[&str]) -> bool {
    let at = image.folder().join("mount");
    std::fs::create_dir_all(&at).unwrap();
    let out = tool("mount").args(options).arg(image.path()).arg(&at).output().unwrap();
    if !out.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&out.stderr).trim());
        return false;
    }
    let mount = Mount { at, device: None };
    let mut from = root.as_os_str().to_owned();
    from.push("/.");
    let preserve = "--preserve=mode,ownership,timestamps,links,xattr";
    let is_linux = options.contains(&"loop");
    let preserve = if is_linux { preserve } else { "--preserve=timestamps,links" };
    let mut command = tool("cp");
    run(command.args(["-r", "--no-dereference", "--sparse=always", preserve]).arg(from).arg(&mount.at));
    true
}

#[test]
fn every_file_system_gives_back_what_was_put_in() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount, and make what has other owners");
        return;
    }
    for subject in SUBJECTS.iter().filter(|s| tools(s.tools)) {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), subject.can);
        let image = Image::empty(400);
        if !(subject.make)(folder.path(), &image) {
            continue;
        }
        let found = cranescope::fs::recognise(&image.source()).map(|f| f.name);
        assert_eq!(found, Some(subject.name));
        let start = std::time::Instant::now();
        compare(&image.look(subject.name), folder.path(), subject.can, subject.own);
        eprintln!("{}: equal, {:?}", subject.name, start.elapsed());
    }
}

#[test]
fn every_file_system_has_a_sample() {
    for format in cranescope::fs::ALL {
        assert!(SUBJECTS.iter().any(|s| s.name == format.name), "{} has no sample in the gate", format.name);
    }
}
