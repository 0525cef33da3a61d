//! Damaged images: what is lost is told with its place, the rest is read; nothing panics or hangs.
use super::image::make;
use crate::look::{Image, Look, Random, exercise, pattern, rounds, tools};
use cranescope::base::{PieceKind, Run};
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn image(options: &[&str]) -> Option<Vec<u8>> {
    if !tools(&["mkfs.erofs"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    for n in 0..60 {
        std::fs::write(root.join(format!("a/file with a name {n}")), pattern(n, 600)).unwrap();
        std::fs::write(
            root.join(format!("a/b/text {n}")),
            b"text that repeats ".repeat(20 * usize::try_from(n).unwrap()),
        )
        .unwrap();
    }
    std::fs::write(root.join("large"), b"some text that repeats ".repeat(9000)).unwrap();
    std::fs::write(root.join("other"), pattern(7, 30_000)).unwrap();
    std::os::unix::fs::symlink("a/large", root.join("link")).unwrap();
    make(root, options).map(|i| i.bytes())
}
fn look(bytes: &[u8]) -> Look {
    Look::at(&Image::from_bytes(bytes).source(), "erofs").unwrap()
}

#[test]
fn a_changed_superblock_is_told() {
    let Some(mut bytes) = image(&[]) else { return };
    bytes[1024 + 70] ^= 1;
    let gaps = look(&bytes).gaps();
    assert!(gaps.iter().any(|g| g.what.contains("checksum of the superblock")), "{gaps:?}");
}

#[test]
fn newer_features_are_named() {
    let Some(mut bytes) = image(&[]) else { return };
    for (bit, name) in [(0x80_u16, "48bit"), (0x100, "metabox"), (0x200, "")] {
        bytes[1024 + 80..1024 + 82].copy_from_slice(&bit.to_le_bytes());
        let error = Look::at(&(Arc::new(bytes.clone()) as Source), "erofs").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(&format!("{bit:#x}")), "{error}");
    }
}

#[test]
fn a_damaged_cluster_is_told_and_the_rest_is_read() {
    let Some(mut bytes) = image(&["-zlz4"]) else { return };
    let whole = look(&bytes);
    let file = whole.tree.open(whole.get("/large")).unwrap();
    let at = file.locate(Run::new(0, 1))[0];
    assert_eq!(at.kind, PieceKind::Decoded);
    let from = usize::try_from(at.offset).unwrap();
    bytes[from..from + 4096].fill(0xff);
    let look = look(&bytes);
    let error = look.content(look.get("/large")).unwrap_err().to_string();
    assert!(error.contains(&format!("volume_offset {}", at.offset)), "{error}");
    assert_eq!(look.read("/other"), pattern(7, 30_000));
}

#[test]
fn cut_images_are_told() {
    let Some(bytes) = image(&["-zlz4hc"]) else { return };
    let borders = [0, 1024, 1152, 1216, 4096, 8192, bytes.len() / 2, bytes.len() - 4096, bytes.len()];
    for cut in borders.into_iter().flat_map(|b| [b.saturating_sub(1), b, b + 1, b + 33]).filter(|n| *n < bytes.len()) {
        let source: Source = Arc::new(bytes[..cut].to_vec());
        match Look::at(&source, "erofs") {
            Ok(look) => assert!(!look.gaps().is_empty(), "cut at {cut}"),
            Err(e) => assert!(!e.to_string().is_empty()),
        }
        exercise(&source, "erofs");
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    for (seed, options) in [
        (1, &[] as &[&str]),
        (2, &["-zlz4", "-Elegacy-compress"]),
        (3, &["-zlz4hc", "-C16384"]),
        (4, &["-zlz4hc", "-Eztailpacking"]),
        (5, &["--chunksize=4096"]),
        (6, &["-zlzma", "-Efragments,ztailpacking"]),
        (7, &["-zzstd", "-Ededupe"]),
    ] {
        let Some(whole) = image(options) else { continue };
        let mut random = Random(seed);
        for round in 0..rounds() {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(16) {
                let len = bytes.len() as u64;
                let at = match random.below(3) {
                    0 => 1024 + random.below(128),
                    _ => 1024 + random.below(len - 1024),
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
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "erofs")));
            assert!(ran.is_ok(), "{options:?}, round {round}");
            assert!(start.elapsed() < Duration::from_secs(10), "{options:?}, round {round}: {:?}", start.elapsed());
        }
    }
}
