//! Damage made on purpose: it costs what it covers, and a gap says so.
use super::image::{make, usable, write};
use crate::look::{Image, Look, pattern};
use cranescope::image::Source;
use std::sync::Arc;

const NODE: usize = 16_384;

fn sample(options: &[&str]) -> Option<Image> {
    let image = make(options, 256);
    write(&image, "noatime", |root| {
        std::fs::create_dir(root.join("dir")).unwrap();
        for n in 0..60 {
            std::fs::write(root.join(format!("dir/a-name-{n:04}")), pattern(n, 5000)).unwrap();
        }
        std::fs::write(root.join("large"), pattern(99, 300_000)).unwrap();
    })
    .then_some(image)
}
fn open(bytes: Vec<u8>) -> Look {
    Look::at(&(Arc::new(bytes) as Source), "btrfs").unwrap()
}
fn said(look: &Look, what: &str) {
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains(what)), "{what}: {gaps:#?}");
}
/// Places of tree blocks of one owner and level, newest generation only.
fn blocks(bytes: &[u8], owner: u64) -> Vec<usize> {
    let id = &bytes[65_568..65_584];
    let all: Vec<usize> = (1 << 20..bytes.len())
        .step_by(4096)
        .filter(|at| {
            bytes[at + 32..at + 48] == *id && bytes[at + 88..at + 96] == owner.to_le_bytes() && bytes[at + 100] == 0
        })
        .collect();
    let generation = |at: &usize| u64::from_le_bytes(bytes[at + 80..at + 88].try_into().unwrap());
    let newest = all.iter().map(generation).max().unwrap_or(0);
    all.into_iter().filter(|at| generation(at) == newest).collect()
}
fn resum(bytes: &mut [u8], at: usize, len: usize) {
    let sum = crc32c::crc32c(&bytes[at + 32..at + len]);
    bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_lost_superblock_is_read_from_its_mirror() {
    if !usable() {
        return;
    }
    let Some(image) = sample(&[]) else { return };
    let whole = image.bytes();
    let mut bytes = whole.clone();
    bytes[65_536..69_632].fill(0);
    let source: Source = Arc::new(bytes.clone());
    assert!(cranescope::fs::recognise(&source).is_none());
    assert_eq!(cranescope::fs::recognise_damaged(&source).unwrap().name, "btrfs");
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "mirror at byte 67108864");
    // Its checksum does not fit.
    let mut bytes = whole.clone();
    bytes[65_536 + 0x130] ^= 1;
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "has a checksum that does not fit");
    // An older first superblock.
    let mut bytes = whole;
    bytes[65_536 + 0x48] -= 1;
    resum(&mut bytes, 65_536, 4096);
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "is older than");
}

#[test]
fn the_other_copy_of_a_damaged_block_is_read() {
    if !usable() {
        return;
    }
    let Some(image) = sample(&["-m", "dup", "-d", "dup"]) else { return };
    let whole = image.bytes();
    let clean = open(whole.clone());
    let gaps = clean.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
    let leaves = blocks(&whole, 5);
    assert!(leaves.len() >= 2 && leaves.len().is_multiple_of(2), "{leaves:?}");
    let mut bytes = whole.clone();
    for at in &leaves[..leaves.len() / 2] {
        bytes[at + 200] ^= 1;
    }
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "one copy is damaged (copy 1: its checksum does not fit); copy 2 is read");
    // Both copies: read as they stand, and said.
    let mut bytes = whole.clone();
    for at in &leaves {
        bytes[at + 4] ^= 1;
        bytes[*at] ^= 1;
    }
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "its checksum fits in no copy; it is read as it stands");
    // Both copies gone.
    let mut bytes = whole.clone();
    for at in &leaves {
        bytes[*at..at + NODE].fill(0);
    }
    let look = open(bytes);
    said(&look, "what lies in or below it is lost");
    // A content's first copy, then both.
    let piece = &pattern(99, 300_000)[4096..8192];
    let places: Vec<usize> = (0..whole.len()).step_by(4096).filter(|at| whole[*at..at + 4096] == *piece).collect();
    assert_eq!(places.len(), 2);
    let mut bytes = whole.clone();
    bytes[places[0] + 9] ^= 1;
    let look = open(bytes.clone());
    assert!(look.read("/large") == pattern(99, 300_000));
    said(&look, "checksum fits in another copy only");
    let source = look.tree.open(look.get("/large")).unwrap();
    let piece = source.locate(cranescope::base::Run::new(4096, 4096))[0];
    assert_eq!(usize::try_from(piece.offset).unwrap(), places[1]);
    bytes[places[1] + 9] ^= 1;
    let look = open(bytes);
    assert!(look.read("/large") != pattern(99, 300_000));
    said(&look, "checksum fits in no copy; given as it stands");
}

#[test]
fn a_lost_list_of_names_is_made_up_for_by_the_other() {
    if !usable() {
        return;
    }
    let Some(image) = sample(&["-m", "single"]) else { return };
    let mut bytes = image.bytes();
    // Every entry by index of the newest leaves becomes an item of an unknown kind.
    let mut turned = 0;
    for at in blocks(&bytes, 5) {
        let count = u32::from_le_bytes(bytes[at + 96..at + 100].try_into().unwrap()) as usize;
        for n in 0..count {
            let kind = at + 101 + n * 25 + 8;
            if bytes[kind] == 96 {
                bytes[kind] = 97;
                turned += 1;
            }
        }
        resum(&mut bytes, at, NODE);
    }
    assert!(turned > 50, "{turned}");
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "names stand in one of the two lists");
}

#[test]
fn a_volume_cut_off_anywhere_is_read_as_far_as_it_goes() {
    if !usable() {
        return;
    }
    let Some(image) = sample(&["-m", "single"]) else { return };
    let whole = image.bytes();
    let used: Vec<usize> =
        (0..whole.len()).step_by(4096).filter(|at| whole[*at..at + 4096].iter().any(|b| *b != 0)).collect();
    for at in used.iter().step_by(7).chain([&65_536, &69_000, &69_632]) {
        let source: Source = Arc::new(whole[..at + 1000].to_vec());
        if let Ok(look) = Look::at(&source, "btrfs") {
            let gaps = look.gaps();
            assert!(gaps.iter().any(|g| g.what.contains("of them exist")), "{at}: {gaps:#?}");
            for entry in look.live().filter(|e| e.is_file()) {
                let _ = look.content(entry);
            }
        }
    }
}
