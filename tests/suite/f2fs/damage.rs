//! Damaged images: what is lost is told with its place, the rest is read; nothing panics or hangs.
use super::image::*;
use crate::look::{Look, Random, exercise, pattern, rounds, tools};
use std::time::{Duration, Instant};

fn image() -> Option<Vec<u8>> {
    if !tools(TOOLS) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    for n in 0..60 {
        std::fs::write(root.join(format!("a/file with a name {n}")), pattern(n, 600)).unwrap();
    }
    std::fs::write(root.join("other"), pattern(7, 30_000)).unwrap();
    std::fs::write(root.join("large"), pattern(8, 5_000_000)).unwrap();
    Some(make(&root, &["-O", "extra_attr,inode_checksum"]).bytes())
}

#[test]
fn one_of_two_superblocks_and_checkpoints_is_enough() {
    let Some(whole) = image() else { return };
    let mut bytes = whole.clone();
    bytes[1024..1100].fill(0);
    let opened = Look::at(&source(&bytes), "f2fs").unwrap();
    assert_eq!(opened.read("/other"), pattern(7, 30_000));
    assert!(opened.gaps().iter().any(|g| g.what.contains("copy 1 of the superblock")));
    assert!((super::super::look::format("f2fs").probe_damaged)(&source(&bytes)));
    // The newer checkpoint is damaged: the older one may be that of the empty file system.
    let mut bytes = whole.clone();
    let cp = checkpoint(&bytes);
    bytes[cp + 20] ^= 1;
    match Look::at(&source(&bytes), "f2fs") {
        Ok(look) => assert!(look.gaps().iter().any(|g| g.what.contains("one checkpoint is not usable"))),
        Err(e) => assert!(e.to_string().contains("checksum of the checkpoint"), "{e}"),
    }
}

#[test]
fn damaged_nodes_are_told_and_the_rest_is_read() {
    let Some(whole) = image() else { return };
    let look_whole = look(&whole);
    let number = |path: &str| u32::try_from(look_whole.get(path).node.number).unwrap();
    let mut bytes = whole.clone();
    let at = inode(&bytes, number("/other"));
    bytes[at + 300] ^= 1;
    let opened = look(&bytes);
    assert!(opened.gaps().iter().any(|g| g.what.contains("checksum of an inode")));
    assert_eq!(opened.read("/other"), pattern(7, 30_000));
    let mut bytes = whole.clone();
    put(&mut bytes, at + 4072, 7);
    let opened = look(&bytes);
    assert!(opened.get("/other").stat.is_none());
    assert!(opened.gaps().iter().any(|g| g.what.contains("by its own footer")));
    assert!(opened.read("/large") == pattern(8, 5_000_000));
    // A direct node of the large file.
    let mut bytes = whole.clone();
    let large = inode(&bytes, number("/large"));
    let direct = word(&bytes, large + 4052);
    let node = (main_area(&bytes)..bytes.len()).step_by(BLOCK).find(|at| word(&bytes, at + 4072) == direct).unwrap();
    put(&mut bytes, node + 4076, 3);
    let opened = look(&bytes);
    let error = opened.content(opened.get("/large")).unwrap_err().to_string();
    assert!(error.contains("belongs to inode 3"), "{error}");
    let file = opened.tree.open(opened.get("/large")).unwrap();
    let mut buf = [0; 100];
    assert_eq!(file.read_at(0, &mut buf).unwrap(), 100);
}

#[test]
fn cut_images_are_told() {
    let Some(bytes) = image() else { return };
    let fields = [76, 80, 84, 88, 92].map(|f| area(&bytes, f));
    let borders = fields.into_iter().chain([0, 1024, 4096, 8192, bytes.len() / 2, bytes.len()]);
    for cut in borders.flat_map(|b| [b.saturating_sub(1), b, b + 1, b + 4096]).filter(|n| *n < bytes.len()) {
        let source = source(&bytes[..cut]);
        match Look::at(&source, "f2fs") {
            Ok(look) => assert!(!look.gaps().is_empty(), "cut at {cut}"),
            Err(e) => assert!(!e.to_string().is_empty()),
        }
        exercise(&source, "f2fs");
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    let Some(whole) = image() else { return };
    // Where something stands.
    let used: Vec<usize> =
        (0..whole.len()).step_by(BLOCK).filter(|at| whole[*at..at + BLOCK].iter().any(|b| *b != 0)).collect();
    let mut random = Random(5);
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(24) {
            let block = match random.below(4) {
                0 => 0,
                1 => used[usize::try_from(random.below(12)).unwrap()],
                _ => used[usize::try_from(random.below(used.len() as u64)).unwrap()],
            };
            let at = block + usize::try_from(random.below(4096)).unwrap();
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << random.below(8)),
                _ => u8::try_from(random.below(256)).unwrap(),
            };
        }
        let start = Instant::now();
        let source = source(&bytes);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "f2fs")));
        assert!(ran.is_ok(), "round {round}");
        assert!(start.elapsed() < Duration::from_secs(10), "round {round}: {:?}", start.elapsed());
    }
}
