//! Damage made on purpose: it costs what it covers, and a gap says so.
use super::image::{make, usable, write};
use crate::look::{Image, Look, pattern};
use cranescope::image::Source;
use std::sync::Arc;

fn sample() -> Option<Image> {
    let image = make(&["-d", "agcount=2"], 64);
    write(&image, |root| {
        std::fs::create_dir(root.join("dir")).unwrap();
        for n in 0..60 {
            std::fs::write(root.join(format!("dir/a-name-{n:04}")), pattern(n, 5000)).unwrap();
        }
    })
    .then_some(image)
}
fn open(bytes: Vec<u8>) -> Look {
    Look::at(&(Arc::new(bytes) as Source), "xfs").unwrap()
}
fn said(look: &Look, what: &str) {
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains(what)), "{what}: {gaps:#?}");
}

#[test]
fn a_lost_superblock_is_read_from_its_copy() {
    if !usable() {
        return;
    }
    let Some(image) = sample() else { return };
    let whole = image.bytes();
    let mut bytes = whole.clone();
    bytes[..512].fill(0);
    let source: Source = Arc::new(bytes.clone());
    assert!(cranescope::fs::recognise(&source).is_none());
    assert_eq!(cranescope::fs::recognise_damaged(&source).unwrap().name, "xfs");
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "its copy at");
    let mut bytes = whole;
    bytes[160] ^= 1;
    let look = open(bytes);
    assert!(look.read("/dir/a-name-0007") == pattern(7, 5000));
    said(&look, "checksum of the superblock does not fit; its copy");
}

#[test]
fn checksums_that_do_not_fit_are_said_and_what_is_there_is_read() {
    if !usable() {
        return;
    }
    let Some(image) = sample() else { return };
    let whole = image.bytes();
    let clean = open(whole.clone());
    assert!(clean.gaps().is_empty());
    // The directory's block, by its magic number; a byte in the middle of an entry's name.
    let block = whole.chunks(4096).position(|b| b.starts_with(b"XDB3")).unwrap() * 4096;
    let name = whole[block..].windows(11).position(|w| w == b"a-name-0009").unwrap() + block;
    let mut bytes = whole.clone();
    bytes[name] = b'b';
    let look = open(bytes);
    assert!(look.read("/dir/b-name-0009") == pattern(9, 5000));
    said(&look, "checksum of a block of a directory does not fit");
    // An entry that says it is longer than the block: the rest of the block is lost, and said.
    let mut bytes = whole.clone();
    bytes[name - 1] = 0;
    let look = open(bytes);
    assert!(look.tree.get(b"/dir/a-name-0008").is_some());
    said(&look, "the rest of the block was not listed");
    // An inode.
    let inode = usize::try_from(clean.get("/dir/a-name-0009").node.number).unwrap() * 512;
    let mut bytes = whole.clone();
    bytes[inode + 8] ^= 1;
    let look = open(bytes);
    assert_eq!(look.get("/dir/a-name-0009").stat.as_ref().unwrap().uid, 1 << 24);
    said(&look, "checksum of an inode does not fit");
    let mut bytes = whole;
    bytes[inode..inode + 2].fill(0);
    let look = open(bytes);
    assert!(look.get("/dir/a-name-0009").stat.is_none());
    assert!(look.read("/dir/a-name-0010") == pattern(10, 5000));
    said(&look, "no inode here");
}
