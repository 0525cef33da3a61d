//! Flipped bytes, with checksums made to fit again: no panic, no hang, whatever the metadata says.
use super::image::{make, usable, write};
use crate::look::{Random, exercise, pattern, rounds};
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the checksum of a structure stands, and how long the structure is; by its first bytes.
fn sum(block: &[u8], sector: usize, inode: usize) -> Option<(usize, usize)> {
    Some(match block.get(..4)? {
        b"XFSB" => (224, sector),
        b"XAGF" => (216, sector),
        b"XAGI" => (312, sector),
        [b'I', b'N', ..] => (100, inode),
        b"AB3B" | b"AB3C" | b"IAB3" | b"FIB3" => (52, 4096),
        b"BMA3" => (64, 4096),
        b"XDB3" | b"XDD3" => (4, 4096),
        b"XSLM" | b"XARM" => (12, 4096),
        _ if matches!(block.get(8..10)?, [0x3b, 0xee] | [0x3e, 0xbe]) => (12, 4096),
        _ => return None,
    })
}

#[test]
fn flipped_metadata_neither_panics_nor_hangs() {
    if !usable() {
        return;
    }
    let image = make(&["-d", "agcount=2"], 40);
    if !write(&image, |root| {
        for n in 0..60 {
            std::fs::write(root.join(format!("file-with-a-name-{n}")), pattern(n, 3000)).unwrap();
        }
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        for n in 0..300 {
            std::fs::File::create(root.join(format!("a/b/an-empty-file-with-a-name-{n}"))).unwrap();
        }
        for n in (0..300).step_by(3) {
            std::fs::remove_file(root.join(format!("a/b/an-empty-file-with-a-name-{n}"))).unwrap();
        }
        std::os::unix::fs::symlink("x".repeat(900), root.join("link")).unwrap();
        let pieces = std::fs::File::create(root.join("pieces")).unwrap();
        for n in 0..300_u64 {
            std::os::unix::fs::FileExt::write_all_at(&pieces, b"x", n * 8192).unwrap();
        }
        for n in 0..60 {
            let name = format!("user.attribute-{n}");
            rustix::fs::lsetxattr(
                root.join("link"),
                format!("trusted.{n}"),
                &pattern(n, 60),
                rustix::fs::XattrFlags::empty(),
            )
            .unwrap();
            rustix::fs::lsetxattr(root.join("pieces"), name, &pattern(n, 90), rustix::fs::XattrFlags::empty()).unwrap();
        }
    }) {
        return;
    }
    let whole = image.bytes();
    let used: Vec<usize> = (0..whole.len())
        .step_by(512)
        .filter(|at| sum(&whole[*at..(*at + 512).min(whole.len())], 512, 512).is_some())
        .collect();
    assert!(used.len() > 100, "{}", used.len());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(24) {
            let start = used[usize::try_from(random.below(used.len() as u64)).unwrap()];
            let (place, len) = sum(&whole[start..], 512, 512).unwrap();
            let reach = [64, 200, len as u64][usize::try_from(random.below(3)).unwrap()].min(len as u64);
            let at = start + usize::try_from(random.below(reach)).unwrap();
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << random.below(8)),
                _ => u8::try_from(random.below(256)).unwrap(),
            };
            if random.below(8) > 0 {
                bytes[start + place..start + place + 4].fill(0);
                let fitting = crc32c::crc32c(&bytes[start..start + len]);
                bytes[start + place..start + place + 4].copy_from_slice(&fitting.to_le_bytes());
            }
        }
        let start = Instant::now();
        let source: Source = Arc::new(bytes);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "xfs")));
        assert!(ran.is_ok(), "round {round}");
        assert!(start.elapsed() < Duration::from_secs(20), "round {round}: {:?}", start.elapsed());
    }
}
