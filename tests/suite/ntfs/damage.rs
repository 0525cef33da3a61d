//! Damage: it costs what it hits, a gap says so with its place, and the rest is still read.
use super::image::{Image, text, tools};
use crate::look::{Look, pattern};
use cranescope::base::Gap;
use cranescope::image::Source;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An image in memory that can be damaged.
struct Bytes(Vec<u8>);
impl Bytes {
    fn look(&self) -> Look {
        let source: Source = Arc::new(self.0.clone());
        Look::at(&source, "ntfs").unwrap()
    }
    /// Byte of the image at which a record of the MFT begins (the MFT of a small image is in few pieces).
    fn record(&self, number: u64) -> usize {
        let look = self.look();
        let mft = look.tree.open(look.get("/$MFT")).unwrap();
        let piece = mft.locate(cranescope::base::Run::new(number * 1024, 1024))[0];
        usize::try_from(piece.offset).unwrap()
    }
    fn number(&self, path: &str) -> u64 {
        self.look().get(path).node.number
    }
    /// Byte of an attribute of a record.
    fn attribute(&self, record: usize, kind: u32) -> usize {
        let mut at = record + usize::from(u16::from_le_bytes(self.0[record + 0x14..record + 0x16].try_into().unwrap()));
        loop {
            let word = |at: usize| u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap());
            assert_ne!(word(at), u32::MAX, "no such attribute");
            if word(at) == kind {
                return at;
            }
            at += usize::try_from(word(at + 4)).unwrap();
        }
    }
    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }
    fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Files in two directories, one of them with blocks of index.
fn image() -> Option<Bytes> {
    if !tools() {
        return None;
    }
    let image = Image::make(&["-L", "damaged"], 24);
    image.write(|root| {
        std::fs::create_dir_all(root.join("few/below")).unwrap();
        std::fs::create_dir(root.join("many")).unwrap();
        std::fs::write(root.join("few/a"), b"resident").unwrap();
        std::fs::write(root.join("few/b"), pattern(1, 50_000)).unwrap();
        std::fs::write(root.join("few/below/deep"), b"deep").unwrap();
        for n in 0..400 {
            std::fs::write(root.join(format!("many/file-number-{n:04}")), format!("content {n}")).unwrap();
        }
    });
    Some(Bytes(image.bytes()))
}

fn names(look: &Look) -> BTreeSet<String> {
    look.live().map(|e| e.path.display()).collect()
}
fn about<'a>(gaps: &'a [Gap], what: &str) -> &'a Gap {
    gaps.iter().find(|g| g.what.contains(what)).unwrap_or_else(|| panic!("no gap about {what:?}: {gaps:#?}"))
}

#[test]
fn a_torn_record_costs_its_file_only() {
    let Some(mut bytes) = image() else { return };
    let before = names(&bytes.look());
    let record = bytes.record(bytes.number("/few/b"));
    bytes.0[record + 511] ^= 0x40;
    let look = bytes.look();
    assert_eq!(names(&look), before);
    let gaps = look.gaps();
    let gap = about(&gaps, "update sequence of a record");
    assert_eq!(gap.at.offset, Some(("volume_offset".to_owned(), record as u64)));
    assert_eq!(gap.bytes, 1024);
    assert!(gaps.iter().any(|g| g.at.path.as_ref().is_some_and(|p| p.bytes() == b"/few/b")), "{gaps:#?}");
    assert!(look.get("/few/b").stat.is_none());
    assert_eq!(look.read("/few/a"), b"resident");
    assert_eq!(gaps.len(), 2, "{gaps:#?}");
}

#[test]
fn the_mirror_stands_in_for_the_start_of_the_mft() {
    let Some(whole) = image() else { return };
    let before = names(&whole.look());
    let first = whole.record(0);
    for lost in [1024, 4096] {
        let mut bytes = Bytes(whole.0.clone());
        bytes.0[first..first + lost].fill(0x5a);
        let look = bytes.look();
        assert_eq!(names(&look), before);
        assert_eq!(look.fs().info().label, "damaged");
        about(&look.gaps(), "its mirror at byte");
    }
    // Without the mirror the MFT is taken to begin where the boot sector says.
    let mut bytes = Bytes(whole.0.clone());
    let mirror = usize::try_from(bytes.word(0x38) * 4096).unwrap();
    bytes.0[first..first + 1024].fill(0);
    bytes.0[mirror..mirror + 1024].fill(0);
    let look = bytes.look();
    assert_eq!(look.read("/few/below/deep"), b"deep");
    about(&look.gaps(), "taken to lie in one piece");
}

#[test]
fn the_copy_of_the_boot_sector_is_used() {
    let Some(mut bytes) = image() else { return };
    let before = names(&bytes.look());
    bytes.0[..512].fill(0xee);
    let format = crate::look::format("ntfs");
    let source: Source = Arc::new(bytes.0.clone());
    assert!(!(format.probe)(&source) && (format.probe_damaged)(&source));
    let look = bytes.look();
    assert_eq!(names(&look), before);
    about(&look.gaps(), "boot sector damaged");
    let end = bytes.0.len();
    bytes.0[end - 512..].fill(0);
    let source: Source = Arc::new(bytes.0);
    assert!(!(format.probe_damaged)(&source) && Look::at(&source, "ntfs").is_err());
}

#[test]
fn names_missing_from_an_index_are_found_in_the_records() {
    let Some(whole) = image() else { return };
    let before = names(&whole.look());
    let blocks: Vec<usize> =
        (0..whole.0.len() / 4096).map(|b| b * 4096).filter(|b| whole.0[*b..].starts_with(b"INDX")).collect();
    assert!(blocks.len() > 5);
    // Torn, without a signature, with a broken chain.
    for damage in [(510, 0xff), (0, 0), (0x18 + 0x28 + 8, 3)] {
        let mut bytes = Bytes(whole.0.clone());
        for block in &blocks {
            bytes.0[block + damage.0] = damage.1;
        }
        let look = bytes.look();
        assert_eq!(names(&look), before, "{damage:?}");
        assert_eq!(look.read("/many/file-number-0123"), b"content 123");
        let gaps = look.gaps();
        assert!(about(&gaps, "index").bytes > 0 || damage.0 > 512, "{gaps:#?}");
        about(&gaps, "not in the index of its directory");
    }
}

#[test]
fn files_of_a_lost_directory_are_orphans() {
    let Some(mut bytes) = image() else { return };
    let record = bytes.record(bytes.number("/few"));
    bytes.0[record..record + 4].fill(0);
    let look = bytes.look();
    assert_eq!(look.read("/$Orphans/a"), b"resident");
    assert!(look.read("/$Orphans/b") == pattern(1, 50_000));
    assert_eq!(look.read("/$Orphans/below/deep"), b"deep");
    let gaps = look.gaps();
    about(&gaps, "no directory leads to");
    about(&gaps, "without its signature");
}

#[test]
fn directories_that_hold_each_other_end() {
    let Some(mut bytes) = image() else { return };
    let (outer, inner) = (bytes.number("/few"), bytes.number("/few/below"));
    let (record, below) = (bytes.record(outer), bytes.record(inner));
    // The outer directory says that it lies in the inner one, and the root forgets it.
    let sequence = u64::from(u16::from_le_bytes(bytes.0[below + 0x10..below + 0x12].try_into().unwrap()));
    let name = bytes.attribute(record, 0x30);
    bytes.set(name + 24, &(inner | sequence << 48).to_le_bytes());
    let root = bytes.record(5);
    let index: Vec<usize> = (0..bytes.0.len() / 4096)
        .map(|b| b * 4096)
        .filter(|b| bytes.0[*b..].starts_with(b"INDX"))
        .chain([root])
        .collect();
    for block in index {
        let end = (block + 4096).min(bytes.0.len() - 90);
        for at in (block..end).step_by(8) {
            if bytes.word(at) & 0xffff_ffff_ffff == outer && bytes.word(at + 16) & 0xffff_ffff_ffff == 5 {
                bytes.set(at, &(7777_u64).to_le_bytes());
            }
        }
    }
    let look = bytes.look();
    let all = names(&look);
    assert!(all.contains("/$Orphans/few/a") || all.contains("/$Orphans/below/few/a"), "{all:?}");
    assert_eq!(all.iter().filter(|n| n.ends_with("/deep")).count(), 1);
    about(&look.gaps(), "no directory leads to");
}

#[test]
fn encrypted_content_is_a_gap_and_no_garbage() {
    let Some(mut bytes) = image() else { return };
    let record = bytes.record(bytes.number("/few/b"));
    let data = bytes.attribute(record, 0x80);
    bytes.0[data + 13] |= 0x40;
    let look = bytes.look();
    let entry = look.get("/few/b");
    assert!(entry.stat.as_ref().unwrap().flags.contains(&"encrypted"));
    let error = look.content(entry).unwrap_err().to_string();
    assert!(error.contains("encrypted by EFS"), "{error}");
}

#[test]
fn runs_that_contradict_themselves_are_errors() {
    let Some(whole) = image() else { return };
    let record = whole.record(whole.number("/few/b"));
    let data = whole.attribute(record, 0x80);
    let runs = data + usize::from(u16::from_le_bytes(whole.0[data + 0x20..data + 0x22].try_into().unwrap()));
    for (bytes, what) in [
        // No clusters at all; a run of none; clusters beyond the volume.
        (vec![0_u8], "damaged"),
        (vec![0x11, 0x00, 0x10, 0], "damaged"),
        (vec![0x41, 0x0d, 0xff, 0xff, 0xff, 0x7f, 0], "volume ends"),
    ] {
        let mut image = Bytes(whole.0.clone());
        image.set(runs, &bytes);
        let look = image.look();
        let error = look.content(look.get("/few/b")).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert_eq!(look.read("/few/a"), b"resident");
    }
}

#[test]
fn a_lost_part_of_a_file_is_an_error_and_not_a_shorter_file() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-c", "512"], 22);
    image.write(|root| {
        for n in 0..9000 {
            std::fs::write(root.join(format!("filler-{n}")), pattern(n, 1000)).unwrap();
        }
        for n in (0..9000).step_by(2) {
            std::fs::remove_file(root.join(format!("filler-{n}"))).unwrap();
        }
        std::fs::write(root.join("scattered"), pattern(5, 2_000_000)).unwrap();
    });
    let mut bytes = Bytes(image.bytes());
    let look = bytes.look();
    let file = look.get("/scattered").node.number;
    assert!(look.read("/scattered") == pattern(5, 2_000_000));
    drop(look);
    let extending: Vec<usize> = (0..bytes.0.len() / 1024)
        .map(|b| b * 1024)
        .filter(|at| bytes.0[*at..].starts_with(b"FILE") && bytes.word(at + 0x20) & 0xffff_ffff_ffff == file)
        .collect();
    assert!(extending.len() > 1, "{extending:?}");
    bytes.0[extending[1] + 510] ^= 0x55;
    let look = bytes.look();
    assert_eq!(look.get("/scattered").len(), 2_000_000);
    let error = look.content(look.get("/scattered")).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    about(&look.gaps(), "record that extends a file could not be read");
}

#[test]
fn a_truncated_image_tells_what_is_missing() {
    let Some(whole) = image() else { return };
    let half = whole.0.len() / 2;
    let bytes = Bytes(whole.0[..half].to_vec());
    let look = bytes.look();
    let gap = look.gaps();
    assert_eq!(about(&gap, "of them exist").bytes, half as u64 - 512);
    assert!(names(&look).contains("/many/file-number-0001"));
    for cut in [0, 1, 511, 512, 4096, 9000, 100_000] {
        let source: Source = Arc::new(whole.0[..cut].to_vec());
        let _ = Look::at(&source, "ntfs");
    }
}

#[test]
fn a_log_with_transactions_is_told() {
    let Some(mut bytes) = image() else { return };
    let look = bytes.look();
    assert!(look.fs().info().clean);
    let place = look.tree.open(look.get("/$LogFile")).unwrap().locate(cranescope::base::Run::new(0, 1))[0].offset;
    drop(look);
    let mut page = vec![0; 4096];
    page[..8].copy_from_slice(b"RSTR\x1e\0\x09\0");
    page[17] = 0x10;
    page[24] = 0x30;
    let at = usize::try_from(place).unwrap();
    bytes.set(at, &page);
    let look = bytes.look();
    assert!(!look.fs().info().clean);
    assert_eq!(about(&look.gaps(), "not replayed").at.offset, Some(("volume_offset".to_owned(), place)));
}

#[test]
fn a_huge_sparse_file_is_listed_at_once() {
    if !tools() {
        return;
    }
    let image = Image::make(&[], 8);
    image.write(|root| {
        std::fs::File::create(root.join("huge")).unwrap().set_len(15 << 40).unwrap();
        std::fs::create_dir(root.join("packed")).unwrap();
        super::layout::attribute(&root.join("packed"), 0x800);
        let file = std::fs::File::create(root.join("packed/huge")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &text(1, 70_000), 2 << 30).unwrap();
    });
    let start = std::time::Instant::now();
    let look = image.look();
    assert_eq!(look.get("/huge").len(), 15 << 40);
    for path in ["/huge", "/packed/huge"] {
        let file = look.tree.open(look.get(path)).unwrap();
        let pieces = file.locate(cranescope::base::Run::new(0, file.len()));
        assert_eq!(pieces.iter().map(|p| p.len).sum::<u64>(), file.len());
        assert!(pieces.len() < 10, "{}", pieces.len());
    }
    let packed = look.tree.open(look.get("/packed/huge")).unwrap();
    let mut tail = vec![0; 70_000];
    assert_eq!(packed.read_at(2 << 30, &mut tail).unwrap(), 70_000);
    assert!(tail == text(1, 70_000));
    assert!(start.elapsed().as_secs() < 5);
    assert!(look.gaps().is_empty());
}

#[test]
fn a_name_in_the_slack_of_an_index_keeps_its_size_and_times() {
    let Some(mut bytes) = image() else { return };
    // A block of the large directory's index with room behind its entries.
    let number = bytes.number("/many");
    let word = |b: &Bytes, at: usize| usize::try_from(b.word(at) & 0xffff_ffff).unwrap();
    let (entry, free) = (0..bytes.0.len() / 4096)
        .map(|b| b * 4096)
        .filter(|at| bytes.0[*at..].starts_with(b"INDX"))
        .find_map(|at| {
            let first = at + 0x18 + word(&bytes, at + 0x18);
            let end = at + 0x18 + word(&bytes, at + 0x1c);
            let of_many = bytes.word(first + 16) & 0xffff_ffff_ffff == number;
            let len = usize::from(bytes.0[first + 8]);
            let whole = |from: usize| (from - at) / 512 == (from - at + len + 2) / 512;
            let free = (end..at + 4096 - len).step_by(8).find(|from| whole(*from))?;
            of_many.then_some((bytes.0[first..first + len].to_vec(), free))
        })
        .unwrap();
    let mut old = entry;
    // Another record, another name, a size of its own.
    old[..8].copy_from_slice(&(0x270f_u64 | 3 << 48).to_le_bytes());
    old[16 + 48..16 + 56].copy_from_slice(&123_456_u64.to_le_bytes());
    old[16 + 66] = b'x';
    bytes.set(free, &old);
    let look = bytes.look();
    let found: Vec<_> = look.gone().filter(|e| e.path.bytes().starts_with(b"/many/xile-number-")).collect();
    assert_eq!(found.len(), 1);
    let stat = found[0].stat.as_ref().unwrap();
    assert_eq!((found[0].node.number, stat.len, stat.kind.as_str()), (9999, 123_456, "unknown"));
    assert!(stat.times.created.is_some());
    assert!(look.content(found[0]).is_err());
    assert!(look.gaps().is_empty(), "{:?}", look.gaps());
}
