//! Flipped bytes, with checksums made to fit again: no panic, no hang, whatever the metadata says.
use super::image::{make, timed, usable, write};
use crate::look::{Random, exercise, pattern, rounds};
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODE: usize = 4096;

#[test]
fn flipped_metadata_neither_panics_nor_hangs() {
    if !usable() {
        return;
    }
    let image = make(&["-M", "-n", "4096", "-m", "single", "-d", "single"], 24);
    if !write(&image, "compress-force=zlib,noatime", |root| {
        for n in 0..60 {
            std::fs::write(root.join(format!("file-with-a-name-{n}")), vec![b'x'; 3000 * (n % 5)]).unwrap();
        }
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        for n in 0..300 {
            std::fs::File::create(root.join(format!("a/b/an-empty-file-with-a-name-{n}"))).unwrap();
        }
        std::os::unix::fs::symlink("x".repeat(900), root.join("link")).unwrap();
        let pieces = std::fs::File::create(root.join("pieces")).unwrap();
        for n in 0..100_u64 {
            std::os::unix::fs::FileExt::write_all_at(&pieces, b"x", n * 8192).unwrap();
        }
        for n in 0..30 {
            let name = format!("user.attribute-{n}");
            rustix::fs::lsetxattr(root.join("pieces"), name, &pattern(n, 90), rustix::fs::XattrFlags::empty()).unwrap();
        }
        let snapshot = timed("btrfs").args(["subvolume", "snapshot", "-r", "."]).arg("s").current_dir(root).output();
        assert!(snapshot.unwrap().status.success());
        for n in (0..300).step_by(3) {
            std::fs::remove_file(root.join(format!("a/b/an-empty-file-with-a-name-{n}"))).unwrap();
        }
    }) {
        return;
    }
    let whole = image.bytes();
    let id = whole[65_568..65_584].to_vec();
    let used: Vec<usize> = (0..whole.len())
        .step_by(NODE)
        .filter(|at| {
            whole[at + 32..at + 48] == id
                && (*at == 65_536 || whole[at + 64..at + 80] == whole[(1 << 20) + 64..][..16] || *at > 1 << 20)
        })
        .collect();
    assert!(used.len() > 50, "{}", used.len());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(24) {
            let start = used[usize::try_from(random.below(used.len() as u64)).unwrap()];
            let reach = [101, 400, NODE as u64][usize::try_from(random.below(3)).unwrap()];
            let at = start + usize::try_from(random.below(reach)).unwrap();
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << random.below(8)),
                _ => u8::try_from(random.below(256)).unwrap(),
            };
            if random.below(8) > 0 {
                let sum = crc32c::crc32c(&bytes[start + 32..start + NODE]);
                bytes[start..start + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        let start = Instant::now();
        let source: Source = Arc::new(bytes);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "btrfs")));
        assert!(ran.is_ok(), "round {round}");
        assert!(start.elapsed() < Duration::from_secs(20), "round {round}: {:?}", start.elapsed());
    }
}
