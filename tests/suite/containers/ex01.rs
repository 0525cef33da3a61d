//! Ex01: an image that libewf wrote, and images of a writer of our own for what it does not write (bzip2, several
//! segments of any size, unread sectors); damage of each structure.
use super::help::*;
use std::io::Write as _;
use std::path::Path;

const CHUNK: usize = 32 << 10;

/// What `tests/data/containers/small.Ex01` was made from: zeros, a pattern, random bytes, text, half a chunk.
pub(super) fn small() -> Vec<u8> {
    let mut out = Vec::new();
    let mut random = 88_172_645_463_325_252_u64;
    for chunk in 0..19 {
        match chunk {
            n if n % 5 == 0 => out.resize(out.len() + CHUNK, 0),
            n if n % 5 == 1 => out.extend(b"ABCDEFGH".repeat(CHUNK / 8)),
            2 => out.extend((0..CHUNK / 8).flat_map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random.to_le_bytes()
            })),
            n => {
                let text: String = (0..2500).map(|line| format!("line {line} of chunk {n}\n")).collect();
                out.extend(&text.as_bytes()[..CHUNK]);
            }
        }
    }
    out.extend([0x5a; 5120]);
    out
}

fn written_by_libewf() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containers/small.Ex01")).unwrap()
}

#[test]
fn what_libewf_wrote_gives_the_raw_disk() {
    let opened = open_source(std::sync::Arc::new(written_by_libewf()), &cranescope::image::Alone).unwrap();
    assert_eq!((opened.format, opened.gaps.as_slice()), ("Ex01", &[][..]));
    let raw = small();
    same(&opened.disk, &raw, "small.Ex01");
    let said = |field: &str| opened.details.iter().find(|(f, _)| f == field).map(|(_, v)| v.as_str());
    for (field, value) in [
        ("case number", "case 7"),
        ("description", "crane 岸桥"),
        ("examiner", "A. Weber"),
        ("evidence number", "EX-3"),
        ("notes", "notes"),
        ("acquired", "2026-11-29T12:46:20Z"),
        ("media type", "fixed disk"),
        ("acquired as", "physical disk"),
        ("bytes per sector", "512"),
        ("bytes per chunk", "32768"),
    ] {
        assert_eq!(said(field), Some(value), "{:?}", opened.details);
    }
    use md5::Digest as _;
    let hashes = [
        ("md5".to_owned(), cranescope::base::hex(&md5::Md5::digest(&raw))),
        ("sha1".to_owned(), cranescope::base::hex(&sha1::Sha1::digest(&raw))),
    ];
    assert_eq!(opened.hashes, hashes);
}

/// How the writer below keeps chunks.
#[derive(Clone, Copy, PartialEq)]
enum Pack {
    Zlib,
    Bzip2,
    /// Without what stands before the first block and behind the last, as EnCase does.
    Bzip2Bare,
    Plain,
}

/// Writes a segment file, section by section.
struct Writer {
    bytes: Vec<u8>,
    last: u64,
}
impl Writer {
    fn new(compression: u16, number: u32) -> Self {
        let mut bytes = b"EVF2\x0d\x0a\x81\x00\x02\x01".to_vec();
        bytes.extend(compression.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend([7; 16]);
        Self { bytes, last: 0 }
    }
    /// Ends a section of `kind` whose data stand from `start` on.
    fn end(&mut self, kind: u32, flags: u32, start: usize) {
        let pad = self.bytes.len().next_multiple_of(16) - self.bytes.len();
        self.bytes.resize(self.bytes.len() + pad, 0);
        use md5::Digest as _;
        let hash: [u8; 16] = md5::Md5::digest(&self.bytes[start..]).into();
        let at = self.bytes.len();
        let mut head = [kind, flags].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        head.extend(self.last.to_le_bytes());
        head.extend(((at - start) as u64).to_le_bytes());
        head.extend([64, u32::try_from(pad).unwrap()].into_iter().flat_map(u32::to_le_bytes));
        head.extend(if flags & 1 != 0 { hash } else { [0; 16] });
        head.resize(60, 0);
        head.extend(adler(&head));
        self.bytes.extend(head);
        self.last = at as u64;
    }
    fn section(&mut self, kind: u32, flags: u32, data: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend(data);
        self.end(kind, flags, start);
    }
    fn object(&mut self, kind: u32, pack: Pack, names: &str, values: &str) {
        let text = format!("1\nmain\n{names}\n{values}\n\n");
        let units: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let packed = if pack == Pack::Zlib || pack == Pack::Plain { zlib(&units) } else { bzip2(&units) };
        self.section(kind, 1, &packed);
    }
}

fn adler(bytes: &[u8]) -> [u8; 4] {
    let mut sum = libdeflater::Adler32::new();
    sum.update(bytes);
    sum.sum().to_le_bytes()
}
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Segment files of a disk, `each` chunks in one; a table for every three chunks.
fn write(disk: &[u8], pack: Pack, each: usize, has_unread: bool) -> Vec<Vec<u8>> {
    let chunks: Vec<&[u8]> = disk.chunks(CHUNK).collect();
    let method = if matches!(pack, Pack::Bzip2 | Pack::Bzip2Bare) { 2 } else { 1 };
    let parts: Vec<&[&[u8]]> = chunks.chunks(each).collect();
    let mut files = Vec::new();
    let mut first = 0_u64;
    for (number, part) in parts.iter().enumerate() {
        let mut writer = Writer::new(method, u32::try_from(number + 1).unwrap());
        writer.object(1, pack, "sn\tmd\tts\tdt\tbp\tph", &format!("S1\tM2\t{}\tr\t512\t", disk.len() / 512));
        writer.object(2, pack, "cn\tat\ttb\tsb\twb", &format!("case 9\t0\t{}\t64\t2", chunks.len()));
        for group in part.chunks(3) {
            let start = writer.bytes.len();
            let mut table = Vec::new();
            for chunk in group {
                let (stored, flags) = match pack {
                    Pack::Zlib => (zlib(chunk), 1_u32),
                    Pack::Bzip2 => (bzip2(chunk), 1),
                    Pack::Bzip2Bare => (bzip2(chunk)[4..].to_vec(), 1),
                    Pack::Plain => (chunk.to_vec(), 0),
                };
                table.extend((writer.bytes.len() as u64).to_le_bytes());
                table.extend([u32::try_from(stored.len()).unwrap(), flags].into_iter().flat_map(u32::to_le_bytes));
                writer.bytes.extend(&stored);
                let aligned = writer.bytes.len().next_multiple_of(16);
                writer.bytes.resize(aligned, 0);
            }
            writer.end(3, 0, start);
            let mut head = first.to_le_bytes().to_vec();
            head.extend([u32::try_from(group.len()).unwrap(), 0].into_iter().flat_map(u32::to_le_bytes));
            head.extend(adler(&head));
            head.resize(32, 0);
            head.extend(&table);
            head.extend(adler(&table));
            writer.section(4, 0, &head);
            first += group.len() as u64;
        }
        if number + 1 < parts.len() {
            writer.section(13, 0, &[]);
        } else {
            let mut errors =
                [u32::from(has_unread), 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
            errors.extend(adler(&errors));
            errors.resize(32, 0);
            errors.extend(70_u64.to_le_bytes());
            errors.extend([2_u32, 0].into_iter().flat_map(u32::to_le_bytes));
            writer.section(5, 1, &errors);
            writer.section(15, 0, &[]);
        }
        files.push(writer.bytes);
    }
    files
}

/// A disk in one segment.
pub(crate) fn whole(disk: &[u8]) -> Vec<u8> {
    write(disk, Pack::Zlib, usize::MAX, false).remove(0)
}

fn lay(folder: &Path, files: &[Vec<u8>]) {
    for (number, bytes) in files.iter().enumerate() {
        std::fs::write(folder.join(format!("a.Ex{:02}", number + 1)), bytes).unwrap();
    }
}

#[test]
fn every_form_and_segments_give_the_raw_disk() {
    let raw = small();
    for (pack, each) in [(Pack::Zlib, 100), (Pack::Zlib, 4), (Pack::Bzip2, 100), (Pack::Bzip2Bare, 7), (Pack::Plain, 5)]
    {
        let folder = folder();
        lay(folder.path(), &write(&raw, pack, each, true));
        let opened = open(&folder.path().join("a.Ex01")).unwrap();
        same(&opened.disk, &raw, "written here");
        let gaps: Vec<_> = opened.gaps.iter().map(|g| (g.what.as_str(), g.bytes)).collect();
        assert!(
            matches!(gaps.as_slice(), [(w, 1024)] if w.starts_with("2 sectors could not be read when")),
            "{gaps:?}"
        );
        let said = |field: &str| opened.details.iter().find(|(f, _)| f == field).map(|(_, v)| v.as_str());
        assert_eq!((said("serial number"), said("write blocker")), (Some("S1"), Some("Tableau")));
        assert_eq!(said("acquired as"), Some("logical volume"));
    }
}

#[test]
fn missing_foreign_and_later_segments_are_named() {
    let raw = small();
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    lay(folder.path(), &write(&raw, Pack::Zlib, 4, true));
    assert!(open(&at("a.Ex02")).err().unwrap().contains("this is segment 2 of its set"));
    let third = std::fs::read(at("a.Ex03")).unwrap();
    std::fs::remove_file(at("a.Ex03")).unwrap();
    let opened = open(&at("a.Ex01")).unwrap();
    assert!(opened.gaps.iter().any(|g| g.what.starts_with("segment 3 is missing: ")), "{:?}", opened.gaps);
    let lost = opened.gaps.iter().find(|g| g.what.contains("are stored in no segment")).unwrap();
    assert_eq!((lost.at.offset.clone(), lost.bytes), (Some(("image_offset".into(), 8 << 15)), 4 << 15));
    let (bytes, errors) = content(&opened.disk);
    assert!(bytes[..8 << 15] == raw[..8 << 15] && bytes[12 << 15..] == raw[12 << 15..] && !errors.is_empty());
    // One of another set in its place.
    let mut other = third;
    other[20] ^= 1;
    std::fs::write(at("a.Ex03"), other).unwrap();
    let opened = open(&at("a.Ex01")).unwrap();
    assert!(opened.gaps.iter().any(|g| g.what.contains("belongs to another set")), "{:?}", opened.gaps);
}

#[test]
fn damage_costs_what_it_hits_and_is_named() {
    let raw = small();
    let whole = written_by_libewf();
    let opened = |bytes: Vec<u8>| open_source(std::sync::Arc::new(bytes), &cranescope::image::Alone);
    let with = |changes: &[usize]| {
        let mut bytes = whole.clone();
        changes.iter().for_each(|at| bytes[*at] ^= 0x55);
        opened(bytes)
    };
    let told = |opened: &Opened, words: &str| {
        assert!(opened.gaps.iter().any(|g| g.what.contains(words)), "{words}: {:#?}", opened.gaps);
    };
    // A chunk kept as it is, and a packed one: each costs itself.
    for (at, chunk) in [(1000, 2), (33_300, 3)] {
        let one = with(&[at]).unwrap();
        let (bytes, errors) = content(&one.disk);
        assert!(errors.len() == 1 && errors[0].starts_with(&format!("chunk {chunk}, ")), "{errors:?}");
        let differ = (0..raw.len())
            .filter(|n| bytes[*n] != raw[*n])
            .map(|n| n / CHUNK)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(differ.into_iter().collect::<Vec<_>>(), [chunk]);
    }
    // Places after the list of sections that the file has: descriptors end them.
    let whole_again = with(&[73_448]).unwrap();
    told(&whole_again, "the stored hash is not used");
    same(&whole_again.disk, &raw, "hash");
    for descriptor in [73_480, 73_576] {
        let damaged = with(&[descriptor + 20]).unwrap();
        told(&damaged, "damaged section before byte");
        same(&damaged.disk, &raw, "descriptor");
    }
    told(&with(&[73_640 + 3]).unwrap(), "no section ends at the file's end");
    // The only table, its header and its entries.
    for at in [73_016 + 9, 73_016 + 40] {
        assert!(with(&[at]).err().unwrap().contains("no chunk of the disk is there"));
    }
    assert!(with(&[40]).is_err());
    // Cut behind the table, and before it.
    let cut = opened(whole[..73_460].to_vec()).unwrap();
    told(&cut, "no section ends at the file's end");
    told(&cut, "ends without its last section");
    same(&cut.disk, &raw, "cut behind the table");
    assert!(opened(whole[..60_000].to_vec()).is_err());
    // Everything else: no panic.
    let borders = [32, 128, 192, 352, 416, 432, 72_952, 73_016, 73_048, 73_384, 73_448, 73_480, 73_544, 73_640, 73_704];
    mangle(&whole, &borders, 420, &cranescope::image::Alone);
    mangle(&whole[72_900..], &[], 100, &cranescope::image::Alone);
    let folder = folder();
    lay(folder.path(), &write(&raw, Pack::Bzip2Bare, 100, true));
    let mine = std::fs::read(folder.path().join("a.Ex01")).unwrap();
    mangle(&mine, &[], mine.len(), &cranescope::image::Alone);
}

#[test]
fn what_is_not_read_is_named() {
    let refused = |bytes: Vec<u8>| open_source(std::sync::Arc::new(bytes), &cranescope::image::Alone).err().unwrap();
    let mut logical = b"LEF2\x0d\x0a\x81\x00\x02\x01\x01\x00\x01\x00\x00\x00".to_vec();
    logical.resize(4096, 0);
    assert!(refused(logical).contains("logical evidence (Lx01)"));
    let mut writer = Writer::new(1, 1);
    writer.section(1, 3, &[9; 48]);
    writer.section(11, 1, &[8; 64]);
    writer.section(15, 0, &[]);
    assert!(refused(writer.bytes).contains("encrypted"));
}
