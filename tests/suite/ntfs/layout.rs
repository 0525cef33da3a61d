//! Everything that names, sizes and layouts can do, written by ntfs-3g and read back.
use super::image::{Image, compare, text, tools};
use crate::look::{Look, check_places, pattern};
use cranescope::base::{PieceKind, Run};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

pub(super) fn attribute(path: &Path, bits: u32) {
    let value = format!("0x{:08x}", bits.swap_bytes());
    let mut command = Command::new("setfattr");
    let out = command.args(["-h", "-n", "system.ntfs_attrib", "-v", &value]).arg(path).output().unwrap();
    assert!(out.status.success(), "setfattr: {}", String::from_utf8_lossy(&out.stderr));
}

pub(super) fn fill(root: &Path, names: usize, compressed: bool) {
    let put = |path: &str, bytes: &[u8]| std::fs::write(root.join(path), bytes).unwrap();
    for (n, len) in
        [0, 1, 480, 511, 600, 1023, 1025, 4095, 4096, 4097, 65_536, 70_000, 1_300_000].into_iter().enumerate()
    {
        put(&format!("size-{len}"), &pattern(n as u64 * 77 + 5, len));
    }
    put("岸桥-配置.conf", b"utf-8");
    put("emoji-😀", b"beyond the first plane");
    put("control-\u{1}\u{1b}[2J\t", b"control");
    put(&"n".repeat(255), b"long name");
    put(" lead and trail ", b"spaces");
    put("Case", b"upper");
    put("case", b"lower");
    put("a\\c*?\"<>|", b"names that only POSIX allows");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/h")).unwrap();
    put("a/b/c/d/e/f/g/h/deep", b"deep");
    std::fs::hard_link(root.join("size-70000"), root.join("a/linked")).unwrap();
    std::fs::hard_link(root.join("size-70000"), root.join("size-70000-again")).unwrap();
    std::os::unix::fs::symlink("size-1", root.join("link")).unwrap();
    std::os::unix::fs::symlink("../".repeat(200), root.join("a/long-link")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..names {
        put(&format!("many/entry-with-a-longer-name-{n:06}"), b"");
    }
    // Names in another order than they were made, some gone again.
    for n in (0..names).step_by(7) {
        std::fs::remove_file(root.join(format!("many/entry-with-a-longer-name-{n:06}"))).unwrap();
    }
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"head", 0).unwrap();
    sparse.write_all_at(&pattern(9, 5000), 300_001).unwrap();
    sparse.write_all_at(b"tail", 9_000_000).unwrap();
    drop(sparse);
    if compressed {
        std::fs::create_dir(root.join("packed")).unwrap();
        attribute(&root.join("packed"), 0x800);
        for len in [1, 700, 4096, 65_535, 65_536, 65_537, 400_000, 1_000_000] {
            put(&format!("packed/text-{len}"), &text(len as u64, len));
        }
        put("packed/random", &pattern(4, 300_000));
        put("packed/zeros", &vec![0; 500_000]);
        let mixed = [text(1, 100_000), vec![0; 200_000], pattern(2, 90_000), text(3, 50_000)].concat();
        put("packed/mixed", &mixed);
        let late = std::fs::File::create(root.join("packed/late")).unwrap();
        late.write_all_at(&text(5, 10_000), 777_777).unwrap();
    }
}

/// Two files that grow in turns, so that none of them lies in one piece.
fn fragmented(root: &Path, pieces: usize) {
    let mut files: Vec<_> = (0..2).map(|n| std::fs::File::create(root.join(format!("pieces-{n}"))).unwrap()).collect();
    for piece in 0..pieces {
        for (n, file) in files.iter_mut().enumerate() {
            file.write_all(&pattern((piece * 2 + n) as u64, 4096)).unwrap();
            file.sync_all().unwrap();
        }
    }
}

fn check(options: &[&str], mib: u64, names: usize, compressed: bool) -> Look {
    let image = Image::make(options, mib);
    image.write(|root| {
        fill(root, names, compressed);
        fragmented(root, 60);
    });
    let look = image.look();
    let mount = image.mount("ro");
    let seen = compare(&look, &mount.at);
    assert!(seen > names * 5 / 7, "{seen}");
    drop(mount);
    check_places(&look, &image.bytes());
    // Every cluster that the bitmap calls free, counted by hand.
    let map = look.read("/$Bitmap");
    let clusters = usize::try_from(mib << 20).unwrap() / look.fs().info().block_size as usize;
    let used = |n: &usize| map.get(n / 8).is_none_or(|b| b >> (n % 8) & 1 == 1);
    let free = (0..clusters).filter(|n| !used(n)).count() as u64 * u64::from(look.fs().info().block_size);
    assert_eq!(look.fs().unallocated().iter().map(|r| r.len).sum::<u64>(), free);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
    look
}

#[test]
fn trees_are_read_as_the_mount_shows_them() {
    if !tools() {
        return;
    }
    check(&["-L", "岸桥 1", "-c", "4096"], 64, 300, true);
    check(&["-c", "512"], 48, 300, true);
    check(&["-c", "65536"], 96, 300, false);
    let look = check(&["-c", "1024", "-s", "1024", "-L", "label"], 48, 50, true);
    assert_eq!((look.fs().info().label.as_str(), look.fs().info().block_size), ("label", 1024));
    assert_eq!(look.fs().info().features, ["version-3.1"]);
}

#[test]
fn twelve_thousand_names_in_one_directory() {
    if !tools() {
        return;
    }
    check(&[], 96, 12_000, false);
}

#[test]
fn a_file_of_many_pieces_has_an_attribute_list() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-c", "512"], 22);
    image.write(|root| {
        for n in 0..9000 {
            std::fs::write(root.join(format!("filler-{n}")), pattern(n, 1000)).unwrap();
        }
        for n in (0..9000).step_by(2) {
            std::fs::remove_file(root.join(format!("filler-{n}"))).unwrap();
        }
        let mut file = std::fs::File::create(root.join("scattered")).unwrap();
        let mut n = 0;
        while n < 4000 && file.write_all(&pattern(n + 50_000, 1024)).is_ok() {
            n += 1;
        }
        // A hard-linked file with more names than a record holds.
        std::fs::write(root.join("named"), b"one content").unwrap();
        for n in 0..40 {
            std::fs::hard_link(root.join("named"), root.join(format!("another-name-of-the-same-file-{n:03}"))).unwrap();
        }
    });
    let look = image.look();
    let mount = image.mount("ro");
    compare(&look, &mount.at);
    drop(mount);
    let file = look.tree.open(look.get("/scattered")).unwrap();
    let pieces = file.locate(Run::new(0, file.len()));
    assert!(pieces.len() > 500, "{} pieces", pieces.len());
    assert!(pieces.iter().all(|p| p.kind == PieceKind::Stored));
    check_places(&look, &image.bytes());
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn named_streams_are_entries_of_their_own() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 32);
    let large = pattern(3, 200_000);
    image.write(|root| {
        std::fs::write(root.join("file"), b"content").unwrap();
        std::fs::write(root.join("file:small"), b"in the record").unwrap();
        std::fs::write(root.join("file:流"), &large).unwrap();
        std::fs::create_dir(root.join("dir")).unwrap();
        std::fs::write(root.join("dir:of the directory"), b"kept").unwrap();
        std::fs::hard_link(root.join("file"), root.join("dir/link")).unwrap();
    });
    let look = image.look();
    assert_eq!(look.read("/file"), b"content");
    assert_eq!(look.read("/file:small"), b"in the record");
    assert!(look.read("/file:流") == large);
    assert!(look.read("/dir/link:流") == large);
    assert_eq!(look.read("/dir:of the directory"), b"kept");
    let (file, stream) = (look.get("/file").node, look.get("/file:流").node);
    assert_eq!(file.number, stream.number);
    assert_eq!(look.get("/file:流").len(), 200_000);
    assert_eq!(look.get("/file").len(), 7);
    use cranescope::fs::Stream;
    let named = look.fs().open(file, Stream::Named("流".as_bytes())).unwrap();
    assert_eq!(named.len(), 200_000);
    assert!(look.fs().open(file, Stream::Named(b"none")).is_err());
    check_places(&look, &image.bytes());
    assert!(look.gaps().is_empty());
}

/// Sets one of the attributes that ntfs-3g gives access to.
fn set(path: &Path, name: &str, value: &str) {
    let out = Command::new("setfattr").args(["-h", "-n", name, "-v", value]).arg(path).output().unwrap();
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn names_for_dos_links_and_special_files() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 32);
    image.write(|root| {
        std::fs::write(root.join("a long name.text"), b"once").unwrap();
        set(&root.join("a long name.text"), "system.ntfs_dos_name", "ALONGN~1.TEX");
        std::fs::create_dir(root.join("target")).unwrap();
        std::fs::write(root.join("target/inside"), b"x").unwrap();
        // A junction as mklink /J writes it.
        std::fs::create_dir(root.join("junction")).unwrap();
        let text: Vec<u8> = "\\??\\C:\\target\0"
            .encode_utf16()
            .chain("C:\\target\0".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let (first, second) = (26_u16, 18_u16);
        let mut point = vec![3, 0, 0, 0xa0];
        point.extend(u16::try_from(text.len() + 8).unwrap().to_le_bytes());
        point.extend([0, 0]);
        point.extend([0, first, first + 2, second].iter().flat_map(|n| n.to_le_bytes()));
        point.extend(&text);
        let hex: String = point.iter().map(|b| format!("{b:02x}")).collect();
        set(&root.join("junction"), "system.ntfs_reparse_data", &format!("0x{hex}"));
        for (name, kind) in [("null", "c"), ("disk", "b")] {
            let out = Command::new("mknod").arg(root.join(name)).args([kind, "1", "3"]).output().unwrap();
            assert!(out.status.success());
        }
    });
    let look = image.look();
    assert_eq!(look.read("/a long name.text"), b"once");
    assert_eq!(look.get("/a long name.text").stat.as_ref().unwrap().links, 1);
    let same = look.get("/a long name.text").node;
    assert_eq!(look.live().filter(|e| e.node == same).count(), 1);
    let junction = look.get("/junction");
    assert_eq!(junction.kind().as_str(), "symlink");
    assert_eq!(look.fs().read_link(junction.node).unwrap(), b"/target");
    assert!(look.tree.get(b"/junction/inside").is_none());
    for (path, kind) in [("/null", "char-device"), ("/disk", "block-device")] {
        let stat = look.get(path).stat.clone().unwrap();
        assert_eq!((stat.kind.as_str(), stat.device), (kind, Some((1, 3))));
    }
    assert!(look.gaps().is_empty());
}

#[test]
fn times_beside_the_name_are_kept() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 16);
    image.write(|root| {
        std::fs::write(root.join("set back"), b"x").unwrap();
        let out =
            Command::new("touch").args(["-d", "2001-02-03T04:05:06.7Z"]).arg(root.join("set back")).output().unwrap();
        assert!(out.status.success());
    });
    let look = image.look();
    let stat = look.get("/set back").stat.clone().unwrap();
    assert_eq!(stat.times.modified.unwrap().to_string(), "2001-02-03T04:05:06.7000000Z");
    let kept = stat.xattrs.iter().find(|(n, _)| n.bytes() == cranescope::fs::NAME_TIMES).unwrap();
    let text = cranescope::fs::name_times(&kept.1);
    assert!(text.contains(" modified=20") && !text.contains("2001-02-03"), "{text}");
}

#[test]
fn deleted_files_are_listed_with_their_content() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 32);
    let large = pattern(11, 100_000);
    image.write(|root| {
        std::fs::create_dir_all(root.join("kept/gone")).unwrap();
        for (name, bytes) in [("kept/large", large.as_slice()), ("kept/small", b"resident"), ("kept/gone/deep", b"x")] {
            std::fs::write(root.join(name), bytes).unwrap();
        }
        std::fs::write(root.join("kept/large:stream"), b"of a deleted file").unwrap();
        std::fs::write(root.join("stays"), b"live").unwrap();
    });
    image.write(|root| {
        std::fs::remove_file(root.join("kept/large")).unwrap();
        std::fs::remove_file(root.join("kept/small")).unwrap();
        std::fs::remove_dir_all(root.join("kept/gone")).unwrap();
    });
    let look = image.look();
    let gone = |path: &str| {
        let found: Vec<_> = look.gone().filter(|e| e.path.bytes() == path.as_bytes()).collect();
        assert_eq!(found.len(), 1, "{path}: {:?}", look.gone().map(|e| e.path.display()).collect::<Vec<_>>());
        look.content(found[0]).unwrap()
    };
    assert!(gone("/kept/large") == large);
    assert_eq!(gone("/kept/large:stream"), b"of a deleted file");
    assert_eq!(gone("/kept/small"), b"resident");
    assert_eq!(gone("/kept/gone/deep"), b"x");
    assert!(look.gone().any(|e| e.path.bytes() == b"/kept/gone" && e.is_dir()));
    assert!(look.live().all(|e| !e.path.bytes().starts_with(b"/kept/")));
    let free = look.fs().unallocated();
    let place = look.tree.open(look.gone().find(|e| e.path.bytes() == b"/kept/large").unwrap()).unwrap();
    let piece = place.locate(Run::new(0, 1))[0];
    assert!(free.iter().any(|r| r.offset <= piece.offset && piece.offset < r.end()), "its clusters are free");
}

#[test]
fn a_deleted_file_does_not_show_what_another_wrote_in_its_place() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 8);
    image.write(|root| {
        for n in 0..10 {
            std::fs::write(root.join(format!("old-{n}")), pattern(n, 200_000)).unwrap();
        }
    });
    image.write(|root| {
        for n in 0..10 {
            std::fs::remove_file(root.join(format!("old-{n}"))).unwrap();
        }
    });
    image.write(|root| {
        let mut file = std::fs::File::create(root.join("new")).unwrap();
        while file.write_all(&[0xaa; 4096]).is_ok() {}
    });
    let look = image.look();
    let gone: Vec<_> = look.gone().filter(|e| e.path.bytes().starts_with(b"/old-") && e.is_file()).collect();
    assert!(gone.len() >= 8, "{}", gone.len());
    for entry in gone {
        let error = look.content(entry).unwrap_err().to_string();
        assert!(error.contains("in use again"), "{error}");
    }
}

#[test]
fn content_of_a_size_that_was_never_written_reads_as_zeros() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 32);
    image.write(|root| {
        let mut file = std::fs::File::create(root.join("grown")).unwrap();
        file.write_all(b"head").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.set_len(3_000_000).unwrap();
    });
    let look = image.look();
    let bytes = look.read("/grown");
    assert_eq!((bytes.len(), &bytes[..6]), (3_000_000, b"head\0\0".as_slice()));
    assert!(bytes[4..].iter().all(|b| *b == 0));
}
