//! E01: every form that ewfacquire writes, damage of each structure, real images of the corpus.
use super::help::*;
use crate::common::have;
use std::path::{Path, PathBuf};

/// Acquires the sample into `folder`; `name` becomes the file's stem.
pub(super) fn acquire(folder: &Path, name: &str, arguments: &[&str]) {
    let (target, source) = (folder.join(name), sample());
    let known = ["-u", "-q", "-t", target.to_str().unwrap(), "-C", "case 7", "-D", "crane 岸桥", "-e", "A. Weber"];
    run("ewfacquire", &[&known[..], &["-E", "EX-3", "-N", "notes"], arguments, &[source.to_str().unwrap()]].concat());
}

fn first(folder: &Path, name: &str) -> PathBuf {
    ["E01", "e01", "s01"].map(|e| folder.join(name).with_extension(e)).into_iter().find(|p| p.exists()).unwrap()
}

#[test]
fn every_form_gives_the_raw_disk() {
    if !have("ewfacquire") {
        return;
    }
    let folder = folder();
    let raw = std::fs::read(sample()).unwrap();
    for (name, arguments) in [
        ("fast", &["-c", "fast", "-d", "sha1"][..]),
        ("stored", &["-c", "none"]),
        ("empty", &["-c", "empty-block"]),
        ("split", &["-c", "none", "-S", "1M"]),
        ("large", &["-f", "encase5", "-c", "best", "-b", "1024"]),
        ("small", &["-f", "encase2", "-c", "best", "-b", "16"]),
        ("smart", &["-f", "smart", "-c", "fast"]),
        ("ftk", &["-f", "ftk", "-c", "fast"]),
        ("oldest", &["-f", "ewf", "-c", "fast"]),
        ("ewfx", &["-f", "ewfx", "-c", "fast"]),
        ("linen", &["-f", "linen6", "-c", "fast"]),
    ] {
        acquire(folder.path(), name, arguments);
        let opened = open(&first(folder.path(), name)).unwrap();
        assert_eq!(opened.format, "E01");
        same(&opened.disk, &raw, name);
        assert_eq!(opened.gaps, [], "{name}");
        let said = |field: &str| opened.details.iter().find(|(f, _)| f == field).map(|(_, v)| v.as_str());
        assert_eq!(said("case number"), Some("case 7"), "{name}");
        assert_eq!(said("examiner"), Some("A. Weber"), "{name}");
        if name == "fast" {
            assert_eq!(said("description"), Some("crane 岸桥"));
            assert!(said("acquired").unwrap().ends_with('Z'), "{:?}", opened.details);
        }
        let md5 = opened.hashes.iter().find(|(a, _)| a == "md5").unwrap();
        use md5::Digest as _;
        assert_eq!(md5.1, cranescope::base::hex(&md5::Md5::digest(&raw)), "{name}");
        assert_eq!(opened.hashes.iter().any(|(a, _)| a == "sha1"), name == "fast");
    }
}

/// A file that ends within a sector: ewfacquire counts whole sectors, but keeps and hashes all bytes. `ewfexport` gives
/// what is counted (and `ewfverify` finds that the hash differs); here all of it is the disk.
#[test]
fn a_file_that_ends_within_a_sector_is_whole() {
    if !have("ewfacquire") || !have("ewfexport") {
        return;
    }
    let folder = folder();
    for (name, len) in [("odd", 1_000_100), ("sectors", 999_936), ("packed", 3_000_000)] {
        // What packs well, and what does not.
        let raw = if name == "packed" { vec![b'a'; len] } else { crate::look::pattern(8, len) };
        let at = folder.path().join(format!("{name}.raw"));
        std::fs::write(&at, &raw).unwrap();
        let (target, exported) = (folder.path().join(name), folder.path().join(format!("{name}.out")));
        run("ewfacquire", &["-u", "-q", "-c", "fast", "-t", target.to_str().unwrap(), at.to_str().unwrap()]);
        let opened = open(&target.with_extension("E01")).unwrap();
        same(&opened.disk, &raw, name);
        assert_eq!(opened.gaps, [], "{name}");
        use md5::Digest as _;
        let md5 = opened.hashes.iter().find(|(a, _)| a == "md5").unwrap();
        assert_eq!(md5.1, cranescope::base::hex(&md5::Md5::digest(&raw)), "{name}");
        let behind = opened.details.iter().find(|(f, _)| f == "bytes behind the last whole sector");
        assert_eq!(behind.map(|(_, n)| n.parse().unwrap()), Some(len % 512).filter(|n| *n > 0), "{name}");
        let source = target.with_extension("E01");
        run("ewfexport", &["-u", "-q", "-f", "raw", "-t", exported.to_str().unwrap(), source.to_str().unwrap()]);
        let exported = std::fs::read(exported.with_extension("out.raw")).unwrap();
        assert!(exported == raw[..len / 512 * 512], "{name}: {} of {len}", exported.len());
    }
}

/// Sections of an image: kind, first byte of the descriptor, first byte behind the contents.
fn sections(bytes: &[u8]) -> Vec<(String, usize, usize)> {
    let mut at = 13;
    let mut found = Vec::new();
    loop {
        let kind = bytes[at..at + 16].split(|b| *b == 0).next().unwrap();
        let next = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap());
        let next = usize::try_from(next).unwrap();
        found.push((String::from_utf8(kind.to_vec()).unwrap(), at, next));
        if next <= at {
            return found;
        }
        at = next;
    }
}

#[test]
fn damage_costs_what_it_hits_and_is_named() {
    if !have("ewfacquire") {
        return;
    }
    let folder = folder();
    let raw = std::fs::read(sample()).unwrap();
    acquire(folder.path(), "a", &["-c", "fast"]);
    let path = folder.path().join("a.E01");
    let whole = std::fs::read(&path).unwrap();
    let list = sections(&whole);
    let at = |kind: &str| list.iter().find(|s| s.0 == kind).unwrap().1;
    let opened = |changes: &[usize]| {
        let mut bytes = whole.clone();
        for at in changes {
            bytes[*at] ^= 0x55;
        }
        std::fs::write(&path, bytes).unwrap();
        open(&path)
    };
    let told = |gaps: &[cranescope::base::Gap], words: &str| {
        assert!(gaps.iter().any(|g| g.what.contains(words)), "{words}: {gaps:#?}");
    };
    // A chunk: it alone is lost, with its number and its place.
    let hit = at("sectors") + 76 + 5000;
    let one = opened(&[hit]).unwrap();
    let (bytes, errors) = content(&one.disk);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("chunk ") && errors[0].contains("of the disk (byte "), "{errors:?}");
    let differ: Vec<usize> = (0..raw.len()).step_by(512).filter(|n| bytes[*n..n + 512] != raw[*n..n + 512]).collect();
    assert!(!differ.is_empty() && differ.last().unwrap() - differ[0] < 32768, "{differ:?}");
    // A table, its copy, both: the chunks are found all the same.
    for (changes, words) in [
        (vec![at("table") + 76 + 24 + 40], "its copy is used"),
        (vec![at("table") + 76 + 2], "its copy is used"),
        (vec![at("table2") + 76 + 24 + 40], "this copy is damaged"),
        (vec![at("table") + 76 + 30, at("table2") + 76 + 30], "found by decoding"),
        (vec![at("table") + 3], "damaged section at byte"),
        (vec![at("table2") + 3], "damaged section at byte"),
        (vec![at("table") + 3, at("table2") + 3], "found by decoding"),
        (vec![at("sectors") + 3], "damaged section at byte"),
        (vec![at("hash") + 76 + 2], "the stored hash is not used"),
        (vec![at("header2") + 3], "damaged section at byte"),
    ] {
        let opened = opened(&changes).unwrap();
        same(&opened.disk, &raw, words);
        told(&opened.gaps, words);
    }
    // The size of the disk stands once in a set of one segment.
    let second_volume = list.iter().any(|s| s.0 == "data");
    assert_eq!(opened(&[at("volume") + 76 + 4]).is_ok(), second_volume);
    // Cut in the middle of the chunks, before any table: what is there is read.
    let cut = at("sectors") + (at("table") - at("sectors")) / 2;
    std::fs::write(&path, &whole[..cut]).unwrap();
    let half = open(&path).unwrap();
    assert_eq!(half.disk.len(), raw.len() as u64);
    told(&half.gaps, "it was cut short");
    told(&half.gaps, "stored in no segment");
    let (bytes, errors) = content(&half.disk);
    let same_until = bytes.iter().zip(&raw).take_while(|(a, b)| a == b).count();
    assert!(same_until > 1 << 20 && !errors.is_empty(), "{same_until}");
    // Everything else: no panic.
    let borders: Vec<u64> = list.iter().flat_map(|s| [s.1, s.1 + 76, s.1 + 100, s.2]).map(|n| n as u64).collect();
    let beside = Beside(folder.path().join("none.E01"));
    mangle(&whole, &borders, whole.len(), &beside);
    for (kind, start, _) in &list {
        let head = |bytes: &mut Vec<u8>, word: u64| {
            bytes[start + 16..start + 24].copy_from_slice(&word.to_le_bytes());
            let mut sum = libdeflater::Adler32::new();
            sum.update(&bytes[*start..start + 72]);
            bytes[start + 72..start + 76].copy_from_slice(&sum.sum().to_le_bytes());
        };
        for next in [0, 13, *start as u64, *start as u64 + 1, u64::MAX, whole.len() as u64 * 2] {
            let mut bytes = whole.clone();
            head(&mut bytes, next);
            eprintln!("{kind} leads to {next}");
            survives(bytes, &beside);
        }
    }
}

#[test]
fn missing_and_foreign_segments_are_named() {
    if !have("ewfacquire") {
        return;
    }
    let folder = folder();
    let raw = std::fs::read(sample()).unwrap();
    acquire(folder.path(), "s", &["-c", "none", "-S", "1M"]);
    acquire(folder.path(), "t", &["-c", "none", "-S", "1M", "-b", "128"]);
    let path = |name: &str| folder.path().join(name);
    assert!(open(&path("s.E02")).err().unwrap().contains("this is segment 2 of its set"));
    // One in the middle: the rest keeps its place, counted from the end.
    std::fs::rename(path("s.E04"), path("kept")).unwrap();
    let opened = open(&path("s.E01")).unwrap();
    let gap = |opened: &Opened, words: &str| opened.gaps.iter().any(|g| g.what.contains(words));
    assert!(gap(&opened, "segment 4 is missing: "), "{:?}", opened.gaps);
    let (bytes, errors) = content(&opened.disk);
    let lost = (0..raw.len()).step_by(512).filter(|n| bytes[*n..n + 512] != raw[*n..n + 512]).count() * 512;
    assert!(lost > 0 && lost <= 1 << 20, "{lost}");
    assert!(errors.iter().all(|e| e.contains("no segment that is there stores it")), "{errors:?}");
    // A segment of another set in its place.
    std::fs::copy(path("t.E04"), path("s.E04")).unwrap();
    let other = open(&path("s.E01"));
    assert!(other.is_err_and(|e| e.contains("belongs to another set")));
    // The last one.
    std::fs::rename(path("kept"), path("s.E04")).unwrap();
    std::fs::remove_file(path("s.E10")).unwrap();
    let opened = open(&path("s.E01")).unwrap();
    assert!(gap(&opened, "segment 10 is missing: "), "{:?}", opened.gaps);
    assert!(opened.gaps.iter().any(|g| g.at.offset.is_some() && g.bytes > 0), "{:?}", opened.gaps);
}

#[test]
fn images_of_the_corpus() {
    use sha2::Digest as _;
    let digest = |bytes: &[u8]| cranescope::base::hex(&sha2::Sha256::digest(bytes));
    for (image, oracle) in
        [("dfvfs/ext2.E01", "dfvfs/ext2.raw"), ("plaso/image-split.E01", ""), ("keramics/ewf/ext2.E01", "")]
    {
        let Some(path) = shared(image) else { continue };
        let opened = open(&path).unwrap();
        assert_eq!(opened.gaps, [], "{image}");
        let (bytes, errors) = content(&opened.disk);
        assert_eq!(errors, Vec::<String>::new(), "{image}");
        // The hash that the acquisition stored is an oracle too.
        let stored = opened.hashes.iter().find(|(a, _)| a == "md5");
        let md5 = cranescope::base::hex(&md5::Md5::digest(&bytes));
        assert_eq!(stored.map(|(_, h)| h.as_str()), Some(md5.as_str()), "{image}");
        if let Some(raw) = Some(oracle).filter(|o| !o.is_empty()).and_then(shared) {
            assert_eq!(digest(&bytes), digest(&std::fs::read(raw).unwrap()), "{image}");
        }
    }
}
