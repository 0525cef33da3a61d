//! Flipped bytes: no panic, no hang, whatever the metadata says.
use super::image::{Image, Random, odd_tree, tools};
use crate::look::{Look, rounds};
use cranescope::base::Run;
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn exercise(source: &Source) {
    let Ok(look) = Look::at(source, "ext") else { return };
    for entry in &look.tree.entries {
        let _ = look.fs().read_link(entry.node);
        let Ok(file) = look.tree.open(entry) else { continue };
        let mut buf = [0; 4096];
        for at in [0, 4096, file.len() / 2, file.len().saturating_sub(10)] {
            let _ = file.read_at(at, &mut buf);
        }
        let part = Run::new(0, file.len());
        let sum: u64 = file.locate(part).iter().map(|p| p.len).sum();
        assert_eq!(sum, file.len(), "pieces of {}", entry.path);
    }
    look.fs().unallocated();
}

#[test]
fn flipped_metadata_neither_panics_nor_hangs() {
    if !tools() {
        return;
    }
    let tree = odd_tree(40);
    let layouts: [&[&str]; 6] = [
        &["-t", "ext4", "-b", "1024", "-N", "256", "-O", "metadata_csum,64bit"],
        &["-t", "ext4", "-b", "1024", "-N", "256", "-O", "^metadata_csum,^uninit_bg,inline_data"],
        &["-t", "ext2", "-b", "1024", "-N", "256"],
        &["-t", "ext3", "-b", "2048", "-N", "256"],
        &["-t", "ext4", "-b", "1024", "-N", "256", "-O", "^metadata_csum,bigalloc", "-C", "4096"],
        &["-t", "ext4", "-b", "1024", "-N", "256", "-O", "meta_bg,^resize_inode,^metadata_csum", "-g", "1024"],
    ];
    for (n, options) in layouts.iter().enumerate() {
        let image = Image::make(options, 12_000, Some(tree.path()));
        let whole = image.bytes();
        // Metadata: everything but blocks of zeros and the contents' pattern, found by what dumpe2fs
        // calls it; the front of the image holds nearly all of it.
        let used: Vec<usize> =
            (0..whole.len() / 1024).filter(|b| whole[b * 1024..(b + 1) * 1024].iter().any(|x| *x != 0)).collect();
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (n as u64 + 1));
        for round in 0..rounds() {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(24) {
                let pick = usize::try_from(random.below(1000)).unwrap();
                // Half of the flips in the first blocks: superblock, descriptors, inodes, root.
                let block = if pick < 500 { used[pick % used.len().min(80)] } else { used[pick * 7919 % used.len()] };
                let at = block * 1024 + usize::try_from(random.below(1024)).unwrap();
                bytes[at] = match random.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => bytes[at] ^ (1 << random.below(8)),
                    _ => random.next().to_le_bytes()[0],
                };
            }
            // Keep it recognisable, so that what lies behind is reached.
            bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
            let start = Instant::now();
            let source: Source = Arc::new(bytes);
            exercise(&source);
            assert!(start.elapsed() < Duration::from_secs(30), "{options:?} round {round}: {:?}", start.elapsed());
        }
    }
}
