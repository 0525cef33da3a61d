//! Flipped bytes: no panic, no hang, whatever the metadata says.
use super::{exfat, layout};
use crate::look::{Random, exercise, pattern, rounds, tools};
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes bytes among the first `used` bytes of an image, most of all near the beginning.
fn flip(whole: &[u8], used: usize, format: &str, seed: u64) {
    let mut random = Random(seed);
    for round in 0..rounds() {
        let mut bytes = whole.to_vec();
        for _ in 0..=random.below(40) {
            let reach = [512, 8192, used as u64][usize::try_from(random.below(3)).unwrap()];
            let at = usize::try_from(random.below(reach)).unwrap();
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << random.below(8)),
                _ => u8::try_from(random.below(256)).unwrap(),
            };
        }
        let start = Instant::now();
        let source: Source = Arc::new(bytes);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, format)));
        assert!(ran.is_ok(), "{format}, seed {seed}, round {round}");
        assert!(start.elapsed() < Duration::from_secs(20), "{format}, round {round}: {:?}", start.elapsed());
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang_on_fat() {
    if !tools(layout::TOOLS) {
        return;
    }
    for (seed, (options, mib)) in
        (1..).zip([(["-F", "12", "-s", "4"], 1), (["-F", "16", "-s", "1"], 4), (["-F", "32", "-s", "1"], 34)])
    {
        let image = layout::make(&options, mib);
        let root = image.folder().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for n in 0..40 {
            std::fs::write(root.join(format!("a/file with a name {n}")), pattern(n, 3000)).unwrap();
        }
        layout::copy(&image, &root);
        layout::mtool(&image, "mdel", &["::a/file with a name 7"]);
        let bytes = image.bytes();
        let used = bytes.iter().rposition(|b| *b != 0).unwrap();
        flip(&bytes, used, "fat", seed);
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang_on_exfat() {
    if !exfat::usable() {
        return;
    }
    let image = exfat::make(&["-c", "512"], 4);
    exfat::write(&image, |root| {
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for n in 0..40 {
            std::fs::write(root.join(format!("a/file with a name {n}")), pattern(n, 3000)).unwrap();
        }
        std::fs::remove_file(root.join("a/file with a name 7")).unwrap();
    });
    let bytes = image.bytes();
    let heap = bytes.chunks(32).position(|e| e[0] == 0x81 && e[1] == 0).unwrap() * 32;
    flip(&bytes, (heap + (256 << 10)).min(bytes.len()), "exfat", 9);
}
