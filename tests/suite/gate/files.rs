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
        can: Can {
            bytes: false,
            posix: false,
            devices: false,
            hard: true,
            xattrs: false,
            time: 100,
            big: true,
            names: 12_000,
        },
        tools: &["mkntfs", "ntfs-3g", "cp"],
        make: |root, image| {
            run(tool("mkntfs").args(["-F", "-q", "-Q"]).arg(image.path()));
            mounted(image, root, &["-t", "ntfs-3g"])
        },
        own: &["/$"],
    },
    Subject {
        name: "squashfs",
        can: Can { big: true, time: 1_000_000_000, ..Can::LINUX },
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
            mounted(image, root, &["-t", "exfat-fuse", "-o", "rw,loop"])
        },
        own: &[],
    },
    Subject {
        name: "btrfs",
        can: Can { big: true, ..Can::LINUX },
        tools: &["mkfs.btrfs", "mount", "cp"],
        make: |root, image| {
            run(tool("mkfs.btrfs").arg("-q").arg(image.path()));
            mounted(image, root, &["-t", "btrfs", "-o", "loop,compress=zstd"])
        },
        own: &[],
    },
    Subject {
        name: "erofs",
        can: Can { big: true, ..Can::LINUX },
        tools: &["mkfs.erofs"],
        make: |root, image| made(tool("mkfs.erofs").arg("-zlz4").arg(image.path()).arg(root)),
        own: &[],
    },
    Subject {
        name: "f2fs",
        // sload.f2fs takes files, folders and links only.
        can: Can { hard: false, devices: false, ..Can::PLAIN },
        tools: &["mkfs.f2fs", "sload.f2fs"],
        make: |root, image| {
            run(tool("mkfs.f2fs").args(["-q", "-f"]).arg(image.path()));
            made(tool("sload.f2fs").args(["-P", "-f"]).arg(root).arg(image.path()))
        },
        own: &["/lost+found"],
    },
    Subject {
        name: "ubifs",
        // Debian's mkfs.ubifs is built without attributes but those of SELinux.
        can: Can::PLAIN,
        tools: &["mkfs.ubifs"],
        make: |root, image| {
            let mut command = tool("mkfs.ubifs");
            command.arg("-r").arg(root).args(["-m", "2048", "-e", "126976", "-c", "800", "-o"]).arg(image.path());
            run(&mut command);
            true
        },
        own: &[],
    },
    Subject {
        name: "jffs2",
        can: Can { hard: false, ..Can::PLAIN },
        tools: &["mkfs.jffs2"],
        make: |root, image| {
            run(tool("mkfs.jffs2").arg("-r").arg(root).args(["-e", "128KiB", "-o"]).arg(image.path()));
            true
        },
        own: &[],
    },
    Subject {
        name: "iso9660",
        // Each name has a record of its own.
        can: Can { hard: false, ..Can::PLAIN },
        tools: &["xorriso"],
        make: |root, image| {
            std::fs::remove_file(image.path()).unwrap();
            let mut command = tool("xorriso");
            command.args(["-abort_on", "FAILURE", "-hardlinks", "on", "-outdev"]).arg(image.path());
            run(command.arg("-map").arg(root).arg("/"));
            true
        },
        own: &[],
    },
    Subject {
        name: "tar",
        can: Can { xattrs: true, time: 1, big: true, ..Can::PLAIN },
        tools: &["tar"],
        make: |root, image| {
            let mut command = tool("tar");
            command.args(["--format=pax", "--xattrs", "--sparse", "--sort=name", "-cf"]).arg(image.path());
            run(command.arg("-C").arg(root).arg("."));
            true
        },
        own: &[],
    },
    Subject {
        name: "cpio",
        can: Can::PLAIN,
        tools: &["cpio", "find"],
        make: |root, image| {
            let script = "cd \"$1\" && find . -print0 | cpio --null --quiet -o -H newc >\"$2\"";
            run(tool("sh").args(["-c", script, "sh"]).arg(root).arg(image.path()));
            true
        },
        own: &[],
    },
    Subject {
        name: "zip",
        can: Can { posix: false, devices: false, hard: false, bytes: false, time: 1_000_000_000, ..Can::PLAIN },
        tools: &["zip"],
        make: |root, image| {
            std::fs::remove_file(image.path()).unwrap();
            let file = image.path().with_extension("zip");
            run(tool("zip").args(["-q", "-r", "-y"]).arg(&file).arg(".").current_dir(root));
            std::fs::rename(file, image.path()).unwrap();
            true
        },
        own: &[],
    },
];

/// No owners, no links, and times in steps of two seconds.
const FAT: Can = Can {
    bytes: false,
    posix: false,
    devices: false,
    hard: false,
    xattrs: false,
    time: 2_000_000_000,
    big: false,
    // mcopy looks through all of a directory for every name that it adds; 12,000 have a test of their own.
    names: 200,
};

/// Whether the tool made it: some of them refuse what others take, by their version.
fn made(command: &mut std::process::Command) -> bool {
    let out = command.output().unwrap();
    if !out.status.success() {
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        eprintln!("skipped: {command:?}: {}", said.lines().last().unwrap_or_default());
    }
    out.status.success()
}

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
    let is_linux = options.iter().any(|o| o.starts_with("loop"));
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

/// Formats that hold parts instead of a tree of files: how a tool makes one out of the file `part`, and what it is
/// called inside.
const BOXES: &[(&str, &[&str], &str, &str)] = &[
    ("ar", &["ar"], "ar rcS made part", "/part"),
    ("uimage", &["mkimage"], "mkimage -A arm -O linux -T kernel -C none -n x -d part made", "/kernel"),
    (
        "fit",
        &["mkimage", "dtc"],
        "printf '/dts-v1/; / { description = \"x\"; images { part { description = \"x\"; data = /incbin/(\"part\"); \
         type = \"kernel\"; arch = \"arm\"; os = \"linux\"; compression = \"none\"; load = <0>; entry = <0>; \
         hash-1 { algo = \"sha256\"; }; }; }; configurations { default = \"a\"; a { kernel = \"part\"; }; }; };' >a.its && mkimage -f a.its made",
        "/part",
    ),
    (
        "trx",
        &["python3"],
        "python3 -c \"import struct, zlib; p = open('part', 'rb').read(); b = struct.pack('<I3I', 1 << 16, 28, 0, 0) + p; \
         open('made', 'wb').write(b'HDR0' + struct.pack('<II', len(b) + 12, zlib.crc32(b) ^ 0xffffffff) + b)\"",
        "/partition-1",
    ),
    ("u-boot-env", &["mkenvimage"], "echo bootcmd=run >env; mkenvimage -s 0x4000 -o made env", "/uboot.env"),
    (
        "router-firmware",
        &["python3"],
        "python3 -c \"import struct, hashlib; p = open('part', 'rb').read(); m = b'signature=x' + bytes(1); \
         h = bytes.fromhex('5ea3a4170000') + struct.pack('>H', len(m)); \
         open('made', 'wb').write(h + struct.pack('>I', len(p)) + hashlib.md5(p).digest() + m + p)\"",
        "/image",
    ),
    ("android-boot", &["mkbootimg"], "mkbootimg --kernel part -o made", "/kernel"),
];

#[test]
fn boxes_give_their_parts() {
    for (name, needed, script, inside) in BOXES.iter().filter(|b| tools(b.1)) {
        let folder = tempfile::tempdir().unwrap();
        let part = crate::look::pattern(7, 70_001);
        std::fs::write(folder.path().join("part"), &part).unwrap();
        run(tool("sh").args(["-c", script]).current_dir(folder.path()));
        let image = Image::from_bytes(&std::fs::read(folder.path().join("made")).unwrap());
        assert_eq!(cranescope::fs::recognise(&image.source()).map(|f| f.name), Some(*name), "{needed:?}");
        let look = image.look(name);
        if *name == "u-boot-env" {
            assert_eq!(look.read(inside), b"bootcmd=run\n");
        } else {
            assert!(look.read(inside) == part, "{name}");
        }
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:#?}");
    }
}

/// What only a container of its own kind holds: the test that makes it and compares it with another reader.
const WITHIN: &[(&str, fn())] = &[("l01", crate::containers::l01::files_are_those_that_libewf_exports)];

#[test]
fn every_file_system_has_a_sample() {
    for format in cranescope::fs::ALL {
        let is_there = SUBJECTS.iter().any(|s| s.name == format.name)
            || BOXES.iter().any(|b| b.0 == format.name)
            || WITHIN.iter().any(|w| w.0 == format.name);
        assert!(is_there, "{} has no sample in the gate", format.name);
    }
}
