//! What Linux boots from: archives one behind another, plain and packed in every way.
use super::{acquired, awkward, made, same_as, through};
use crate::common::have;
use crate::look::Look;

#[test]
fn early_microcode_and_every_compression() {
    if !have("cpio") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    std::fs::create_dir_all(dir.path().join("early/kernel/x86/microcode")).unwrap();
    std::fs::write(dir.path().join("early/kernel/x86/microcode/GenuineIntel.bin"), vec![7; 5000]).unwrap();
    let pack = |folder: &str| {
        let line = format!("cd {folder} && find . -print0 | LC_ALL=C sort -z | cpio -0 --quiet -o -H newc");
        through(&["sh", "-c", &format!("cd {} && {line}", dir.path().display())], b"")
    };
    let (early, main) = (pack("early"), pack("root"));
    std::fs::create_dir_all(root.join("kernel/x86/microcode")).unwrap();
    std::fs::copy(
        dir.path().join("early/kernel/x86/microcode/GenuineIntel.bin"),
        root.join("kernel/x86/microcode/GenuineIntel.bin"),
    )
    .unwrap();
    let tools: [&[&str]; 7] = [
        &["gzip", "-c"],
        &["xz", "-c", "--check=crc32"],
        &["zstd", "-c", "-q"],
        &["bzip2", "-c"],
        &["lzma", "-c"],
        &["lz4", "-l", "-c"],
        &["lzop", "-c"],
    ];
    for tool in tools {
        if !have(tool[0]) {
            continue;
        }
        let packed = through(tool, &main);
        let mut image = early.clone();
        image.resize(image.len().next_multiple_of(512) + 1024, 0);
        image.extend_from_slice(&packed);
        let look = Look::at(&acquired(&image), "cpio").unwrap();
        assert_eq!(look.gaps(), [], "{tool:?}");
        same_as(&look, &root, false);
        let features = &look.fs().info().features;
        assert!(features.contains(&"newc".to_owned()) && features.len() == 2, "{features:?}");
        // A stored member is found in the image, a packed one leads to the packed bytes.
        let place = |path: &str| {
            let entry = look.get(path);
            look.tree.open(entry).unwrap().locate(cranescope::base::Run::new(0, 1))[0]
        };
        use cranescope::base::PieceKind::{Decoded, Stored};
        let stored = place("/kernel/x86/microcode/GenuineIntel.bin");
        assert_eq!((stored.kind, image[usize::try_from(stored.offset).unwrap()]), (Stored, 7));
        let decoded = place("/block");
        assert_eq!(decoded.kind, Decoded);
        assert!(decoded.offset >= (image.len() - packed.len()) as u64);
        // A packed archive alone, and one with another behind it that replaces a file.
        std::fs::create_dir_all(dir.path().join("over")).unwrap();
        std::fs::write(dir.path().join("over/empty"), b"no more").unwrap();
        let over = pack("over");
        let look = Look::at(&acquired(&[packed.as_slice(), &[0; 8], &over].concat()), "cpio").unwrap();
        assert_eq!(look.gaps(), [], "{tool:?}");
        assert_eq!(look.read("/empty"), b"no more", "{tool:?}");
        assert_eq!(look.gone().count(), 1, "{tool:?}");
    }
    made(dir.path(), &["true"]);
}

#[test]
fn garbage_behind_is_told() {
    if !have("cpio") {
        return;
    }
    let archive = through(&["sh", "-c", "cd /dev && echo null | cpio --quiet -o -H newc"], b"");
    let gaps = |tail: &[u8]| {
        let look = Look::at(&acquired(&[archive.as_slice(), tail].concat()), "cpio").unwrap();
        assert_eq!(look.get("/null").stat.as_ref().unwrap().device, Some((1, 3)));
        look.gaps()
    };
    assert_eq!(gaps(&[0; 5000]), []);
    let told = gaps(b"\0\0\0\0something else");
    assert!(told.len() == 1 && told[0].what.contains("14 bytes of something else"), "{told:?}");
    assert!(gaps(b"070701zzzz").len() == 1);
}
