//! Damaged discs: what is lost is told with its place, the rest is read; nothing panics or hangs.
use crate::look::{Image, Look, Random, exercise, pattern, rounds, run, tool, tools};
use cranescope::fs::FsError;
use cranescope::image::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECTOR: usize = 2048;

fn disc() -> Option<Vec<u8>> {
    if !tools(&["genisoimage"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/h/i")).unwrap();
    std::fs::write(root.join("a/b/c/d/e/f/g/h/i/deep"), b"deep").unwrap();
    for n in 0..150 {
        std::fs::write(root.join(format!("a/file with a name {n}")), pattern(n, 600)).unwrap();
    }
    std::fs::write(root.join("aaa"), pattern(1, 4096)).unwrap();
    std::fs::write(root.join("aab"), pattern(2, 5000)).unwrap();
    std::fs::write(root.join("boot"), pattern(3, 2048)).unwrap();
    std::os::unix::fs::symlink("a/deep/target", root.join("link")).unwrap();
    let image = Image::empty(0);
    let mut command = tool("genisoimage");
    command.args(["-quiet", "-R", "-J", "-b", "boot", "-no-emul-boot", "-o"]);
    run(command.arg(image.path()).arg(root));
    Some(image.bytes())
}
fn at(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|w| w == what).unwrap()
}
fn look(bytes: &[u8]) -> Look {
    Look::at(&(Arc::new(bytes.to_vec()) as Source), "iso9660").unwrap()
}
/// Byte of the root's directory.
fn root(bytes: &[u8]) -> usize {
    let pvd = 16 * SECTOR;
    SECTOR * usize::try_from(u32::from_le_bytes(bytes[pvd + 158..pvd + 162].try_into().unwrap())).unwrap()
}

#[test]
fn a_file_of_several_extents_is_put_together() {
    let Some(mut bytes) = disc() else { return };
    // The record of `aab` becomes the second extent of `aaa`.
    let first = root(&bytes) + at(&bytes[root(&bytes)..], b"AAA.;1") - 33;
    let second = root(&bytes) + at(&bytes[root(&bytes)..], b"AAB.;1") - 33;
    bytes[first + 25] |= 0x80;
    bytes[second + 33..second + 39].copy_from_slice(b"AAA.;1");
    let look = look(&bytes);
    assert_eq!(look.read("/aaa"), [pattern(1, 4096), pattern(2, 5000)].concat());
    assert_eq!(look.get("/aaa").len(), 9096);
    assert!(look.tree.get(b"/aab").is_none());
    // Joliet still has the second one as a file of its own.
    assert_eq!(look.read("/[JOLIET]/aab"), pattern(2, 5000));
}

#[test]
fn a_damaged_record_costs_its_sector_only() {
    let Some(mut bytes) = disc() else { return };
    let record = at(&bytes, b"FILE_000.;1");
    bytes[record - 33] = 20;
    let look = look(&bytes);
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.at.offset == Some(("volume_offset".into(), record as u64 - 33))), "{gaps:?}");
    let names = look.live().filter(|e| e.path.bytes().starts_with(b"/a/file")).count();
    assert!((100..150).contains(&names), "{names}");
    // What is lost there is found by the other tree, which is told.
    assert!(look.live().any(|e| e.path.bytes().starts_with(b"/[JOLIET]/a/file")));
}

#[test]
fn a_lost_descriptor_leaves_the_other_tree() {
    let Some(mut bytes) = disc() else { return };
    bytes[16 * SECTOR..17 * SECTOR].fill(0);
    let look = look(&bytes);
    assert_eq!(look.read("/aaa"), pattern(1, 4096));
    assert!(look.gaps().iter().any(|g| g.what.contains("first volume descriptor")));
}

#[test]
fn relatives_are_named() {
    let mut bytes = vec![0; 20 * SECTOR];
    bytes[16 * SECTOR + 9..16 * SECTOR + 14].copy_from_slice(b"CDROM");
    let Err(FsError::Unsupported(what)) = Look::at(&(Arc::new(bytes) as Source), "iso9660").map(|_| ()) else {
        panic!()
    };
    assert!(what.contains("High Sierra"));
}

#[test]
fn a_directory_that_holds_itself_is_listed_once() {
    let Some(mut bytes) = disc() else { return };
    let root = root(&bytes);
    let record = root + at(&bytes[root..], b"\x01\x01A") - 31;
    let sector = u32::try_from(root / SECTOR).unwrap();
    bytes[record + 2..record + 6].copy_from_slice(&sector.to_le_bytes());
    bytes[record + 6..record + 10].copy_from_slice(&sector.to_be_bytes());
    let look = look(&bytes);
    assert!(look.live().count() < 400);
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains("more than one place")), "{gaps:?}");
}

#[test]
fn cut_discs_are_told() {
    let Some(bytes) = disc() else { return };
    let root = root(&bytes);
    for border in [0, 16 * SECTOR, 17 * SECTOR, 18 * SECTOR, root, root + SECTOR, root + 2 * SECTOR, bytes.len() / 2] {
        for cut in [border.saturating_sub(1), border, border + 1, border + 40].into_iter().filter(|n| *n < bytes.len())
        {
            let source: Source = Arc::new(bytes[..cut].to_vec());
            match Look::at(&source, "iso9660") {
                Ok(look) => assert!(!look.gaps().is_empty(), "cut at {cut}"),
                Err(e) => assert!(!e.to_string().is_empty()),
            }
            exercise(&source, "iso9660");
        }
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    let Some(whole) = disc() else { return };
    let end = root(&whole) + 60 * SECTOR;
    let mut random = Random(11);
    for round in 0..rounds() * 4 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(12) {
            let from = 16 * SECTOR as u64;
            let at = match random.below(4) {
                0 => from + random.below(4 * SECTOR as u64),
                _ => from + random.below(end.min(bytes.len()) as u64 - from),
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
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "iso9660")));
        assert!(ran.is_ok(), "round {round}");
        assert!(start.elapsed() < Duration::from_secs(10), "round {round}: {:?}", start.elapsed());
    }
}
