//! Flipped bytes: no panic, no hang, whatever the metadata says.
use super::image::{Image, text, tools};
use super::layout::attribute;
use crate::look::{Random, exercise, pattern, rounds};
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn flipped_metadata_neither_panics_nor_hangs() {
    if !tools() {
        return;
    }
    for (n, options) in [["-c", "4096"], ["-c", "512"]].into_iter().enumerate() {
        let image = Image::make(&options, 6);
        image.write(|root| {
            for n in 0..60 {
                std::fs::write(
                    root.join(format!("file-with-a-name-{n}")),
                    pattern(n, 20 * usize::try_from(n).unwrap()),
                )
                .unwrap();
            }
            std::fs::create_dir_all(root.join("a/b/c")).unwrap();
            attribute(&root.join("a/b/c"), 0x800);
            std::fs::write(root.join("a/b/c/packed"), text(1, 100_000)).unwrap();
            std::fs::write(root.join("a/b/file:stream"), pattern(2, 9000)).unwrap();
            std::os::unix::fs::symlink("a/b", root.join("link")).unwrap();
            for n in 0..30 {
                std::fs::hard_link(root.join("file-with-a-name-7"), root.join(format!("a/a-longer-name-of-it-{n}")))
                    .unwrap();
            }
        });
        let whole = image.bytes();
        // Metadata: records, index blocks, the boot sector and its copy.
        let is_metadata = |b: &usize| {
            let block = &whole[b * 512..b * 512 + 512];
            let start = *b & !1;
            let head = &whole[start * 512..start * 512 + 4];
            head == b"FILE" || head == b"INDX" || &block[3..7] == b"NTFS"
        };
        let used: Vec<usize> = (0..whole.len() / 512).filter(is_metadata).collect();
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (n as u64 + 1));
        for round in 0..rounds() {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(24) {
                let block = used[usize::try_from(random.below(used.len() as u64)).unwrap()];
                // The first bytes of a sector hold most of the structure; sector ends are left whole
                // now and then, so that more gets past the update sequence.
                let at = block * 512 + usize::try_from(random.below(508)).unwrap();
                bytes[at] = match random.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => bytes[at] ^ (1 << random.below(8)),
                    _ => u8::try_from(random.below(256)).unwrap(),
                };
            }
            let start = Instant::now();
            let source: Source = Arc::new(bytes);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "ntfs")));
            assert!(ran.is_ok(), "image {n}, round {round}");
            assert!(start.elapsed() < Duration::from_secs(20), "image {n}, round {round}: {:?}", start.elapsed());
        }
    }
}
