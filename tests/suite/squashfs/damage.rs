//! Damaged images: what is lost is told with its place, the rest is read; nothing panics or hangs.
use super::layout::{TOOLS, make};
use crate::look::{Image, Look, Random, exercise, pattern, rounds, tools};
use cranescope::base::PieceKind;
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn image(compressor: &str, files: u32) -> Option<Image> {
    if !tools(TOOLS) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..files {
        std::fs::write(root.join(format!("many/file with a name {n}")), n.to_string()).unwrap();
    }
    std::fs::write(root.join("a/large"), b"some text that repeats ".repeat(9000)).unwrap();
    std::fs::write(root.join("a/other"), pattern(7, 70_000)).unwrap();
    std::os::unix::fs::symlink("a/large", root.join("link")).unwrap();
    Some(make(root, compressor, "16K", &[]))
}
fn field(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

#[test]
fn a_damaged_data_block_is_told_and_the_rest_is_read() {
    let Some(image) = image("gzip", 30) else { return };
    let mut bytes = image.bytes();
    let whole = image.look("squashfs");
    let file = whole.tree.open(whole.get("/a/large")).unwrap();
    let at = file.locate(cranescope::base::Run::new(40_000, 1))[0];
    assert_eq!(at.kind, PieceKind::Decoded);
    let from = usize::try_from(at.offset).unwrap();
    bytes[from..from + 8].fill(0xff);
    let look = Look::at(&Image::from_bytes(&bytes).source(), "squashfs").unwrap();
    let error = look.content(look.get("/a/large")).unwrap_err().to_string();
    assert!(error.contains(&format!("volume_offset {}", at.offset)), "{error}");
    let source = look.tree.open(look.get("/a/large")).unwrap();
    let mut buf = [0; 4096];
    assert_eq!(source.read_at(0, &mut buf).unwrap(), 4096);
    assert_eq!(source.read_at(100_000, &mut buf).unwrap(), 4096);
    assert_eq!(look.read("/a/other"), pattern(7, 70_000));
    assert_eq!(look.read("/many/file with a name 29"), b"29");
}

#[test]
fn a_damaged_directory_goes_on_behind_the_damage() {
    let Some(image) = image("gzip", 6000) else { return };
    let mut bytes = image.bytes();
    // The third metadata block of the directory table.
    let mut at = field(&bytes, 72);
    for _ in 0..2 {
        at += 2 + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]) & 0x7fff);
    }
    bytes[at + 2..at + 10].fill(0xff);
    let look = Look::at(&Image::from_bytes(&bytes).source(), "squashfs").unwrap();
    let names = look.live().filter(|e| e.path.bytes().starts_with(b"/many/")).count();
    assert!((4500..6000).contains(&names), "{names}");
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| format!("{} {}", g.at, g.what).contains(&at.to_string())), "{gaps:?}");
    eprintln!("{names} of 6000 names left");
}

#[test]
fn a_damaged_block_of_inodes_loses_only_its_files() {
    let Some(image) = image("zstd", 3000) else { return };
    let mut bytes = image.bytes();
    let at = field(&bytes, 64);
    bytes[at + 2..at + 10].fill(0xff);
    let look = Look::at(&Image::from_bytes(&bytes).source(), "squashfs").unwrap();
    let gaps = look.gaps();
    let read = look.live().filter(|e| e.stat.is_some()).count();
    let lost = look.live().filter(|e| e.stat.is_none()).count();
    assert!(read > 1000 && lost > 100, "{read} {lost}");
    assert!(gaps.len() >= lost && gaps.iter().any(|g| g.what.contains(&format!("volume_offset {at}"))));
}

#[test]
fn cut_images_are_told() {
    let Some(image) = image("xz", 300) else { return };
    let bytes = image.bytes();
    let used = field(&bytes, 40);
    let borders: Vec<usize> =
        [48, 56, 64, 72, 80, 88].iter().map(|at| field(&bytes, *at)).filter(|n| *n < used).collect();
    for border in borders.into_iter().chain([0, 4, 32, 96, used]) {
        for cut in [border.saturating_sub(1), border, border + 1, border + 2].into_iter().filter(|n| *n < used) {
            let source: Source = Arc::new(bytes[..cut].to_vec());
            match Look::at(&source, "squashfs") {
                Ok(look) => assert!(!look.gaps().is_empty(), "cut at {cut}"),
                Err(e) => assert!(!e.to_string().is_empty()),
            }
            exercise(&source, "squashfs");
        }
    }
}

#[test]
fn a_directory_that_holds_itself_is_listed_once() {
    if !tools(TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    let mut bytes = make(folder.path(), "gzip", "4K", &["-noI"]).bytes();
    // The entry of `b` (place, number, type, length of the name, name) gets the place of the root's inode.
    let table = field(&bytes, 72);
    let entry = bytes[table..].windows(5).position(|w| w == [1, 0, 0, 0, b'b']).unwrap() + table - 4;
    let root = bytes[32..34].to_vec();
    bytes[entry..entry + 2].copy_from_slice(&root);
    let look = Look::at(&(Arc::new(bytes) as Source), "squashfs").unwrap();
    let paths: Vec<String> = look.live().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["/", "/a"]);
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains("more than one place")), "{gaps:?}");
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    for (seed, compressor, options) in [
        (1, "gzip", &["-noI", "-noD", "-noF", "-noX"] as &[&str]),
        (2, "lzo", &[]),
        (3, "lz4", &[]),
        (4, "xz", &[]),
        (5, "zstd", &[]),
        (6, "lzma", &[]),
    ] {
        if !tools(TOOLS) {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        for n in 0..40 {
            std::fs::create_dir_all(folder.path().join(format!("d{n}"))).unwrap();
            std::fs::write(folder.path().join(format!("d{n}/f")), b"text ".repeat(n * 100)).unwrap();
        }
        let whole = make(folder.path(), compressor, "4K", options).bytes();
        let tables = field(&whole, 64) as u64;
        let mut random = Random(seed);
        for round in 0..rounds() {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(12) {
                let len = bytes.len() as u64;
                let at = match random.below(4) {
                    0 => random.below(96),
                    1 => random.below(len),
                    _ => tables + random.below(len - tables),
                };
                let at = usize::try_from(at).unwrap();
                bytes[at] = match random.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => bytes[at] ^ (1 << random.below(8)),
                    _ => u8::try_from(random.below(256)).unwrap(),
                };
            }
            let start = Instant::now();
            let source: Source = Arc::new(bytes);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "squashfs")));
            assert!(ran.is_ok(), "{compressor}, round {round}");
            assert!(start.elapsed() < Duration::from_secs(10), "{compressor}, round {round}: {:?}", start.elapsed());
        }
    }
}
