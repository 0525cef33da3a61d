//! exFAT as exfat-fuse writes and shows it.
use crate::look::{Image, Look, Mount, below, check_places, pattern, run, tool, tools};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

pub(super) fn usable() -> bool {
    let fuse = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !fuse {
        eprintln!("skipped: FUSE cannot be used");
    }
    fuse && tools(&["mkfs.exfat", "mount.exfat-fuse"])
}
pub(super) fn make(options: &[&str], mib: u64) -> Image {
    let image = Image::empty(mib);
    run(tool("mkfs.exfat").args(options).arg(image.path()));
    image
}
fn mount(image: &Image, options: &str) -> Mount {
    let at = image.folder().join("mount");
    std::fs::create_dir_all(&at).unwrap();
    // The driver asks for a block device.
    let device = run(tool("losetup").args(["-f", "--show"]).arg(image.path()));
    let device = String::from_utf8(device.stdout).unwrap().trim().to_owned();
    let mount = Mount { at, device: Some(device.clone()) };
    run(tool("mount.exfat-fuse").args(["-o", options]).arg(device).arg(&mount.at));
    mount
}
pub(super) fn write(image: &Image, fill: impl FnOnce(&Path)) {
    let mount = mount(image, "rw");
    fill(&mount.at);
}

/// Names, kinds, sizes, times and contents are those of the mount.
fn compare(look: &Look, image: &Image) {
    let mount = mount(image, "ro");
    let wanted = below(&mount.at);
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    assert_eq!(ours.len(), names.len());
    assert!(ours == names, "names differ");
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::metadata(host).unwrap();
        assert_eq!(entry.is_dir(), meta.is_dir(), "{}", entry.path);
        assert_eq!(stat.times.modified.unwrap().seconds, meta.mtime(), "{}", entry.path);
        assert_eq!(stat.times.accessed.unwrap().seconds, meta.atime(), "{}", entry.path);
        if entry.is_file() {
            assert_eq!(stat.len, meta.len(), "{}", entry.path);
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {}", entry.path);
        }
    }
}

fn fill(root: &Path, names: usize) {
    let put = |path: &str, bytes: &[u8]| std::fs::write(root.join(path), bytes).unwrap();
    for len in [0, 1, 511, 4096, 4097, 70_000, 700_000] {
        put(&format!("size-{len}"), &pattern(len as u64, len));
    }
    put("岸桥-配置.conf", b"beyond ASCII");
    put("emoji-😀", b"beyond the first plane");
    put(&"n".repeat(255), b"seventeen parts");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/a directory with a long name")).unwrap();
    put("a/b/c/d/e/f/a directory with a long name/deep", b"deep");
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..names {
        put(&format!("many/entry-with-a-longer-name-{n:06}"), b"x");
    }
    for n in (0..names).step_by(7) {
        std::fs::remove_file(root.join(format!("many/entry-with-a-longer-name-{n:06}"))).unwrap();
    }
    let mut files: Vec<_> = (0..2).map(|n| std::fs::File::create(root.join(format!("pieces-{n}"))).unwrap()).collect();
    for piece in 0..60 {
        for (n, file) in files.iter_mut().enumerate() {
            file.write_all(&pattern(piece * 2 + n as u64, 4096)).unwrap();
            file.sync_all().unwrap();
        }
    }
}

#[test]
fn names_sizes_times_and_contents_are_those_of_a_mount() {
    if !usable() {
        return;
    }
    for (options, mib, names) in
        [(&["-L", "岸桥 1", "-c", "4096"][..], 64, 300), (&["-c", "512"], 32, 100), (&["-c", "131072"], 96, 100)]
    {
        let image = make(options, mib);
        write(&image, |root| fill(root, names));
        let look = image.look("exfat");
        compare(&look, &image);
        check_places(&look, &image.bytes());
        let info = look.fs().info();
        assert!(info.clean && info.kind == "exfat" && info.uuid.len() == 9, "{info:?}");
        if options.contains(&"-L") {
            assert_eq!(info.label, "岸桥 1");
        }
        let gaps = look.gaps();
        assert!(gaps.iter().all(|g| g.what.starts_with("deleted files whose chain")), "{gaps:#?}");
    }
}

#[test]
fn twelve_thousand_names_in_one_directory() {
    if !usable() {
        return;
    }
    let image = make(&["-c", "4096"], 128);
    let names = 12_000;
    write(&image, |root| {
        for n in 0..names {
            std::fs::File::create(root.join(format!("a-name-{n:06}"))).unwrap();
        }
    });
    let start = std::time::Instant::now();
    let look = image.look("exfat");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(look.live().count(), names + 1);
    assert!(look.gaps().is_empty());
}

#[test]
fn deleted_sets_are_listed_with_their_content() {
    if !usable() {
        return;
    }
    let image = make(&["-c", "4096"], 32);
    let large = pattern(5, 100_000);
    write(&image, |root| {
        std::fs::create_dir_all(root.join("kept")).unwrap();
        std::fs::write(root.join("kept/a long name that is gone.txt"), &large).unwrap();
        std::fs::write(root.join("stays"), b"live").unwrap();
    });
    write(&image, |root| std::fs::remove_file(root.join("kept/a long name that is gone.txt")).unwrap());
    let look = image.look("exfat");
    let gone = look.gone().find(|e| e.path.bytes() == b"/kept/a long name that is gone.txt").unwrap();
    assert!(look.content(gone).unwrap() == large);
    let place = look.tree.open(gone).unwrap().locate(cranescope::base::Run::new(0, 1))[0];
    assert!(look.fs().unallocated().iter().any(|r| r.offset <= place.offset && place.offset < r.end()));
}

#[test]
fn checksums_are_checked_and_the_backup_serves() {
    if !usable() {
        return;
    }
    let image = make(&["-c", "4096"], 32);
    write(&image, |root| std::fs::write(root.join("file"), b"content").unwrap());
    let whole = image.bytes();
    let open = |bytes: Vec<u8>| Look::at(&(Arc::new(bytes) as cranescope::image::Source), "exfat").unwrap();
    let said = |look: &Look, what: &str| {
        let gaps = look.gaps();
        assert!(gaps.iter().any(|g| g.what.contains(what)), "{what}: {gaps:#?}");
    };
    // A boot sector that is gone, and one of which a place was changed.
    let mut bytes = whole.clone();
    bytes[..512].fill(0);
    let source: cranescope::image::Source = Arc::new(bytes.clone());
    assert_eq!(cranescope::fs::recognise_damaged(&source).unwrap().name, "exfat");
    let look = open(bytes);
    assert_eq!(look.read("/file"), b"content");
    said(&look, "its backup at 6144 is used");
    let mut bytes = whole.clone();
    bytes[96] ^= 1;
    let look = open(bytes);
    assert_eq!(look.read("/file"), b"content");
    said(&look, "checksum of the boot region does not fit");
    // An entry of a file.
    let entry = whole.chunks(32).position(|e| e[0] == 0x85 && e[1] == 2).unwrap() * 32;
    let mut bytes = whole.clone();
    bytes[entry + 12] ^= 0x20;
    let look = open(bytes);
    assert_eq!(look.read("/file"), b"content");
    said(&look, "checksum of a file's entries does not fit");
}
