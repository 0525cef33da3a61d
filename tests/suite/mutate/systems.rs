//! File systems and archives, small and with something of everything, made by the formats' own tools.
use super::run::Subject;
use crate::kit::layouts::{containers, ext, flash, linux, windows};
use crate::kit::{Change, Disk, Look};
use crate::look::{Image, Mount, pattern, run, tool, tools};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const fn subject(
    name: &'static str,
    reader: &'static str,
    layout: &'static crate::kit::Layout,
    make: fn() -> Option<Disk>,
    is_whole: fn(&Change, &str) -> bool,
) -> Subject {
    Subject { name, layout, look: Look::Files(reader), make, is_whole, slow: 1 }
}

pub(super) const SUBJECTS: &[Subject] = &[
    subject("ext4", "ext", &ext::EXT, || ext("ext4", &["-O", "metadata_csum,64bit,^resize_inode"]), never),
    subject("ext2", "ext", &ext::EXT, || ext("ext2", &[]), never),
    subject("ext4-inline", "ext", &ext::EXT, || ext("ext4", &["-O", "metadata_csum,inline_data"]), never),
    subject("ext4-bigalloc", "ext", &ext::EXT, || ext("ext4", &["-O", "metadata_csum,bigalloc", "-C", "4096"]), never),
    subject("ext4-meta-bg", "ext", &containers::SECTORS, meta_bg, never),
    subject("xfs", "xfs", &linux::XFS, xfs, never),
    subject("btrfs", "btrfs", &linux::BTRFS, btrfs, never),
    subject("ntfs", "ntfs", &windows::NTFS, ntfs, never),
    subject("f2fs", "f2fs", &linux::F2FS, f2fs, never),
    subject("erofs", "erofs", &linux::EROFS, erofs, never),
    subject("squashfs", "squashfs", &linux::SQUASHFS, squashfs, never),
    subject("fat12", "fat", &windows::FAT, || fat("12", 2), never),
    subject("fat16", "fat", &windows::FAT, || fat("16", 4), never),
    Subject { slow: 10, ..subject("fat32", "fat", &windows::FAT, || fat("32", 34), never) },
    subject("exfat", "exfat", &windows::EXFAT, exfat, never),
    subject("ubifs", "ubifs", &flash::UBIFS, ubifs, never),
    subject("jffs2", "jffs2", &flash::JFFS2, jffs2, never),
    subject("iso", "iso9660", &containers::SECTORS, iso, never),
    subject("tar", "tar", &containers::SECTORS, tar, never),
    subject("cpio", "cpio", &containers::SECTORS, cpio, never),
    subject("zip", "zip", &containers::SECTORS, zip, never),
];

fn never(_: &Change, _: &str) -> bool {
    false
}

/// What a format can keep.
#[derive(Clone, Copy, PartialEq)]
enum Can {
    Names,
    Links,
    Attributes,
}

/// Images are to be small: seeds for the fuzzer.
pub(super) static SMALL: AtomicBool = AtomicBool::new(false);

/// A little of everything that a format keeps in its own way.
fn fill_small(root: &Path, can: Can) {
    std::fs::create_dir(root.join("d")).unwrap();
    for (n, len) in [0, 30, 700, 5000].into_iter().enumerate() {
        std::fs::write(root.join(format!("d/file-{n}")), pattern(n as u64, len)).unwrap();
    }
    std::fs::write(root.join("text"), b"The quick brown crane. ".repeat(400)).unwrap();
    if can == Can::Names {
        return;
    }
    let pieces = std::fs::File::create(root.join("pieces")).unwrap();
    for n in 0..8_u64 {
        std::os::unix::fs::FileExt::write_all_at(&pieces, b"piece", n * 16_384).unwrap();
    }
    std::os::unix::fs::symlink("text", root.join("link")).unwrap();
    std::os::unix::fs::symlink("x".repeat(100), root.join("long-link")).unwrap();
    std::fs::hard_link(root.join("text"), root.join("d/same-text")).unwrap();
    if can == Can::Attributes {
        for (name, len) in [("user.a", 5), ("user.b", 500)] {
            let value = pattern(3, len);
            rustix::fs::lsetxattr(root.join("text"), name, &value, rustix::fs::XattrFlags::empty()).unwrap();
        }
    }
}

fn fill(root: &Path, can: Can) {
    if SMALL.load(Ordering::Relaxed) {
        return fill_small(root, can);
    }
    std::fs::create_dir_all(root.join("a/b/c/d")).unwrap();
    for n in 0..40_usize {
        std::fs::write(root.join(format!("a/file-with-a-name-{n:03}")), pattern(n as u64, n * 67)).unwrap();
    }
    for n in 0..160_usize {
        std::fs::write(root.join(format!("a/b/entry-with-a-longer-name-{n:04}")), b"").unwrap();
    }
    std::fs::write(root.join("a/b/c/d/deep"), b"deep").unwrap();
    for (n, len) in [1, 1023, 4096, 4097, 70_000, 180_000].into_iter().enumerate() {
        std::fs::write(root.join(format!("size-{len}")), pattern(n as u64 + 7, len)).unwrap();
    }
    std::fs::write(root.join("text"), b"The quick brown crane lifts a container. ".repeat(2000)).unwrap();
    if can == Can::Names {
        return;
    }
    let pieces = std::fs::File::create(root.join("pieces")).unwrap();
    for n in 0..60_u64 {
        std::os::unix::fs::FileExt::write_all_at(&pieces, format!("piece {n}").as_bytes(), n * 16_384).unwrap();
    }
    std::os::unix::fs::symlink("size-1", root.join("link")).unwrap();
    std::os::unix::fs::symlink("x".repeat(900), root.join("long-link")).unwrap();
    std::fs::hard_link(root.join("text"), root.join("a/same-text")).unwrap();
    if can == Can::Attributes {
        for n in 0..7_u64 {
            let name = format!("user.attribute-{n}");
            let value = pattern(n, 20 + 9 * usize::try_from(n).unwrap());
            for file in ["size-1", "text"] {
                rustix::fs::lsetxattr(root.join(file), &name, &value, rustix::fs::XattrFlags::empty()).unwrap();
            }
        }
        rustix::fs::lsetxattr(root.join("a"), "user.small", b"x", rustix::fs::XattrFlags::empty()).unwrap();
    }
}

fn folder(can: Can) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), can);
    folder
}
/// Makes it through a mount; `None` where this machine has none.
fn mounted(image: &Image, options: &[&str], can: Can) -> Option<Disk> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount");
        return None;
    }
    let at = image.folder().join("mount");
    std::fs::create_dir_all(&at).unwrap();
    let out = tool("mount").args(options).arg(image.path()).arg(&at).output().unwrap();
    if !out.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&out.stderr).trim());
        return None;
    }
    let mount = Mount { at, device: None };
    fill(&mount.at, can);
    // The reader tells of XFS' deleted inodes that nothing is left of them, which is a gap.
    for n in (0..160).step_by(5).filter(|_| !SMALL.load(Ordering::Relaxed) && !options.contains(&"xfs")) {
        std::fs::remove_file(mount.at.join(format!("a/b/entry-with-a-longer-name-{n:04}"))).unwrap();
    }
    drop(mount);
    Some(disk(image))
}
fn disk(image: &Image) -> Disk {
    Disk::of(&image.bytes())
}

fn meta_bg() -> Option<Disk> {
    ext("ext4", &["-O", "meta_bg,^resize_inode,^metadata_csum", "-g", "1024"])
}
fn ext(kind: &str, options: &[&str]) -> Option<Disk> {
    if !tools(&["mke2fs"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Attributes), Image::empty(0));
    let mut command = tool("mke2fs");
    // A fuzzer reads each image whole, again and again: of its seeds one has a journal, which takes a megabyte.
    let is_small = SMALL.load(Ordering::Relaxed);
    let is_plain = is_small && kind == "ext4" && !options.iter().any(|o| o.contains("64bit"));
    let (size, inodes) = match (is_small, is_plain || kind == "ext2") {
        (false, _) => ("6M", "512"),
        (true, true) => ("400K", "64"),
        (true, false) => ("2300K", "64"),
    };
    command.args(["-q", "-F", "-t", kind, "-b", "1024", "-N", inodes, "-U"]);
    command.args(["6a0bd1c2-3e2f-4c55-8a6e-000102030405", "-E", "hash_seed=6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00"]);
    let options = options
        .iter()
        .map(|o| if is_plain && o.contains("meta") { format!("{o},^has_journal") } else { (*o).to_owned() });
    run(command.args(options).arg("-d").arg(folder.path()).arg(image.path()).arg(size));
    Some(disk(&image))
}
fn xfs() -> Option<Disk> {
    if !tools(&["mkfs.xfs", "mount"]) {
        return None;
    }
    let image = Image::empty(40);
    run(tool("mkfs.xfs").args(["--unsupported", "-q", "-d", "agcount=2"]).arg(image.path()));
    mounted(&image, &["-t", "xfs", "-o", "loop"], Can::Attributes)
}
fn btrfs() -> Option<Disk> {
    if !tools(&["mkfs.btrfs", "mount"]) {
        return None;
    }
    let image = Image::empty(40);
    run(tool("mkfs.btrfs").args(["-q", "-M", "-n", "4096", "-m", "single", "-d", "single"]).arg(image.path()));
    mounted(&image, &["-t", "btrfs", "-o", "loop,compress=zlib"], Can::Attributes)
}
fn ntfs() -> Option<Disk> {
    if !tools(&["mkntfs", "ntfs-3g", "mount"]) || !Path::new("/dev/fuse").exists() {
        return None;
    }
    let image = Image::empty(6);
    run(tool("mkntfs").args(["-F", "-q", "-Q", "-c", "1024"]).arg(image.path()));
    mounted(&image, &["-t", "ntfs-3g"], Can::Links)
}
fn f2fs() -> Option<Disk> {
    if !tools(&["mkfs.f2fs", "sload.f2fs"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Links), Image::empty(64));
    run(tool("mkfs.f2fs").args(["-q", "-f"]).arg(image.path()));
    run(tool("sload.f2fs").args(["-P", "-f"]).arg(folder.path()).arg(image.path()));
    Some(disk(&image))
}
fn erofs() -> Option<Disk> {
    if !tools(&["mkfs.erofs"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Attributes), Image::empty(0));
    run(tool("mkfs.erofs").arg("-zlz4").arg(image.path()).arg(folder.path()));
    Some(disk(&image))
}
fn squashfs() -> Option<Disk> {
    if !tools(&["mksquashfs"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Attributes), Image::empty(0));
    let mut command = tool("mksquashfs");
    command.arg(folder.path()).arg(image.path()).args(["-noappend", "-quiet", "-no-progress"]);
    run(command.args(["-noI", "-noId", "-noX", "-b", "16K"]));
    Some(disk(&image))
}
fn fat(bits: &str, mib: u64) -> Option<Disk> {
    if !tools(&["mkfs.fat", "mcopy"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Names), Image::empty(mib));
    run(tool("mkfs.fat").args(["-F", bits, "-s", "1"]).arg(image.path()));
    let mut command = tool("sh");
    command.args(["-c", "cd \"$1\" && mcopy -s -m -Q -i \"$2\" * ::/", "sh"]);
    run(command.arg(folder.path()).arg(image.path()));
    Some(disk(&image))
}
fn exfat() -> Option<Disk> {
    if !tools(&["mkfs.exfat", "mount.exfat-fuse"]) || !Path::new("/dev/fuse").exists() {
        return None;
    }
    let image = Image::empty(4);
    run(tool("mkfs.exfat").args(["-c", "512"]).arg(image.path()));
    mounted(&image, &["-t", "exfat-fuse", "-o", "rw,loop"], Can::Names)
}
fn ubifs() -> Option<Disk> {
    if !tools(&["mkfs.ubifs"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Links), Image::empty(0));
    let mut command = tool("mkfs.ubifs");
    command.arg("-r").arg(folder.path()).args(["-m", "2048", "-e", "126976", "-c", "100", "-o"]);
    run(command.arg(image.path()));
    Some(disk(&image))
}
fn jffs2() -> Option<Disk> {
    if !tools(&["mkfs.jffs2"]) {
        return None;
    }
    let (folder, image) = (folder(Can::Names), Image::empty(0));
    run(tool("mkfs.jffs2").arg("-r").arg(folder.path()).args(["-e", "128KiB", "-o"]).arg(image.path()));
    Some(disk(&image))
}
/// What a shell command makes of the folder `$1`, as the file `$2`.
fn script(needed: &[&str], can: Can, text: &str) -> Option<Disk> {
    if !tools(needed) {
        return None;
    }
    let (folder, image) = (folder(can), Image::empty(0));
    std::fs::remove_file(image.path()).unwrap();
    run(tool("sh").args(["-c", text, "sh"]).arg(folder.path()).arg(image.path()));
    Some(disk(&image))
}
fn iso() -> Option<Disk> {
    script(&["genisoimage"], Can::Names, "genisoimage -quiet -R -o \"$2\" \"$1\"")
}
fn tar() -> Option<Disk> {
    script(&["tar"], Can::Links, "tar --format=pax --sort=name -cf \"$2\" -C \"$1\" .")
}
fn cpio() -> Option<Disk> {
    script(&["cpio"], Can::Links, "cd \"$1\" && find . | LC_ALL=C sort | cpio --quiet -o -H newc >\"$2\"")
}
fn zip() -> Option<Disk> {
    script(&["zip"], Can::Names, "cd \"$1\" && zip -q -r -y - . >\"$2\"")
}
