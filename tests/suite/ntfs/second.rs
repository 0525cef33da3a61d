//! The second reader: it agrees where it can, and a difference says what it is.
use super::image::{Image, text, tools};
use super::layout::{attribute, fill};
use crate::look::pattern;
use cranescope::base::{Gaps, Progress};
use cranescope::extract::second_reader::{SecondReading, compare};

fn read_twice(image: &Image) -> (SecondReading, Vec<String>) {
    let look = image.look();
    let gaps = Gaps::default();
    let reading = compare(&look.tree, &|_| true, &gaps, &Progress::default()).unwrap().unwrap();
    (reading, gaps.take().into_iter().map(|g| format!("{}: {}", g.at, g.what)).collect())
}

#[test]
fn two_readers_agree_on_a_sound_image() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 64);
    image.write(|root| {
        fill(root, 200, false);
        std::fs::write(root.join("a/b:stream"), pattern(2, 9000)).unwrap();
    });
    let (reading, gaps) = read_twice(&image);
    assert!(gaps.len() == 1 && gaps[0].contains("/$Boot: "), "{gaps:?}");
    assert_eq!((reading.reader.as_str(), reading.differ, reading.known_limits), ("ntfs", 1, 1));
    assert!(reading.compared > 250 && reading.contents > 150);
}

#[test]
fn what_the_second_cannot_read_is_its_limit() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 32);
    image.write(|root| {
        std::fs::create_dir(root.join("packed")).unwrap();
        attribute(&root.join("packed"), 0x800);
        std::fs::write(root.join("packed/text"), text(1, 300_000)).unwrap();
    });
    let (reading, gaps) = read_twice(&image);
    assert_eq!((reading.differ, reading.known_limits), (2, 2), "{gaps:?}");
    assert!(gaps.iter().any(|g| g.contains("/packed/text: ") && g.contains("compressed")), "{gaps:?}");
}

#[test]
fn damage_does_not_bring_the_second_down() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 16);
    image.write(|root| fill(root, 50, false));
    let whole = image.bytes();
    let records: Vec<usize> = (0..whole.len() / 1024).filter(|b| whole[b * 1024..].starts_with(b"FILE")).collect();
    // Each attribute's length, and each index entry's, as they would bring down a reader that trusts them.
    for record in records.iter().skip(24) {
        let mut bytes = whole.clone();
        let first = record * 1024 + usize::from(bytes[record * 1024 + 0x14]);
        bytes[first + 4..first + 8].copy_from_slice(&[8, 0, 0, 0]);
        bytes[record * 1024 + 0x18] ^= 0xff;
        let (reading, _) = read_twice(&Image::from_bytes(&bytes));
        assert!(reading.compared > 0);
    }
}
