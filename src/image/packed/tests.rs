//! Long streams read here and there, with nothing kept decoded: every byte is the one that was packed, and reading
//! back costs what lies between two places, not the whole stream.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::{Codec, Scratch, Store, Unpacked};
use crate::base::{Piece, Run};
use crate::image::{ReadAt, ReadError, Source};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Bytes that count how often they are read.
struct Counted(Vec<u8>, AtomicU64);
impl ReadAt for Counted {
    fn len(&self) -> u64 {
        ReadAt::len(&self.0)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let n = self.0.read_at(offset, buf)?;
        self.1.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        self.0.locate(bytes)
    }
}

/// Some of it packs well, some does not.
fn plain(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut out = Vec::with_capacity(len + 4096);
    while out.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = state.to_le_bytes();
        match state >> 61 {
            0 => out.extend(noise.iter().cycle().take(600)),
            1..=4 => out.extend(format!("crane {} lifts {}\n", state >> 40, state >> 50).into_bytes()),
            _ => out.extend(noise),
        }
    }
    out.truncate(len);
    out
}

fn by_tool(program: &str, arguments: &[&str], plain: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: {program} is not installed (see ci/setup.sh)");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let bytes = plain.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    out.status.success().then_some(out.stdout)
}

/// Reads in an order that goes back over and over; gives how many bytes of input that took, beside the first way.
fn check(packed: Vec<u8>, plain: &[u8], codec: Codec) -> u64 {
    check_with(packed, plain, codec, None)
}
fn check_with(packed: Vec<u8>, plain: &[u8], codec: Codec, scratch: Option<Arc<dyn Scratch>>) -> u64 {
    let counted = Arc::new(Counted(packed, AtomicU64::new(0)));
    let source: Source = counted.clone();
    let store = Store::of(0, scratch);
    let opened = Unpacked::open(&source, 0, codec, u64::MAX, &store);
    assert_eq!(opened.stopped, None);
    let stream = opened.stream;
    assert_eq!(stream.len(), plain.len() as u64);
    let first = counted.1.load(Ordering::Relaxed);
    let mut buf = vec![0; 3000];
    let mut state = 99_u64;
    for _ in 0..24 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = usize::try_from((state >> 20) % plain.len() as u64).unwrap();
        let n = stream.read_at(at as u64, &mut buf).unwrap();
        assert!(buf[..n] == plain[at..(at + 3000).min(plain.len())], "{codec:?} at {at}");
    }
    // What many threads and the end see is the same.
    std::thread::scope(|scope| {
        for part in 0..2 {
            let stream = &stream;
            scope.spawn(move || {
                let mut buf = vec![0; 100_000];
                for n in 0..4 {
                    let at = plain.len() - 100_000 - (n * 2 + part) * 1_500_000;
                    stream.read_at(at as u64, &mut buf).unwrap();
                    assert!(buf == plain[at..at + 100_000], "{codec:?} at {at}");
                }
            });
        }
    });
    counted.1.load(Ordering::Relaxed) - first
}

const LEN: usize = 24 << 20;

#[test]
fn reading_back_begins_at_the_nearest_place() {
    let plain = plain(LEN);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(&plain).unwrap();
    let frames = plain.chunks(3 << 20).flat_map(|part| zstd::encode_all(part, 1).unwrap()).collect();
    let mut all = vec![(gzip, Codec::Gzip), (bzip2.finish().unwrap(), Codec::Bzip2), (frames, Codec::Zstd)];
    let xz = by_tool("xz", &["-0", "-T1", "--block-size=3MiB", "-c"], &plain);
    all.extend(xz.map(|xz| (xz, Codec::Xz)));
    let two = plain.chunks(LEN / 2).map(|half| by_tool("xz", &["-0", "-T1", "--block-size=2MiB", "-c"], half));
    all.extend(two.collect::<Option<Vec<_>>>().map(|two| (two.concat(), Codec::Xz)));
    for program in ["lz4", "lzop"] {
        let codec = if program == "lz4" { Codec::Lz4 } else { Codec::Lzop };
        all.extend(by_tool(program, &["-1", "-c"], &plain).map(|bytes| (bytes, codec)));
    }
    for (packed, codec) in all {
        let whole = packed.len() as u64;
        let read = check(packed, &plain, codec);
        // 32 places, some MiB each, of 24; from the start each would be half of it on average.
        assert!(read < whole * 32 / 4, "{codec:?}: {read} of {whole}");
    }
}

#[test]
fn one_frame_without_places_is_read_all_the_same() {
    let plain = plain(LEN / 2);
    check(zstd::encode_all(plain.as_slice(), 1).unwrap(), &plain, Codec::Zstd);
    if let Some(one) = by_tool("xz", &["-0", "-T1", "-c"], &plain) {
        check(one, &plain, Codec::Xz);
    }
}

/// A temporary file in memory, of limited size; what was written to it beyond the middle can be lost.
struct Paper {
    room: u64,
    bytes: Mutex<Vec<u8>>,
    is_torn: bool,
    told: AtomicU64,
}
impl Paper {
    fn of(room: usize, is_torn: bool) -> Arc<Self> {
        Arc::new(Self { room: room as u64 * 2, bytes: Mutex::new(vec![0; room]), is_torn, told: AtomicU64::new(0) })
    }
    fn used(&self) -> usize {
        self.bytes.lock().unwrap().iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)
    }
}
impl Scratch for Paper {
    /// More than there is, as on a disk that others fill.
    fn room(&self) -> u64 {
        self.room
    }
    fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let at = usize::try_from(offset).unwrap();
        let mut all = self.bytes.lock().unwrap();
        all.get_mut(at..at + bytes.len()).map(|to| to.copy_from_slice(bytes)).is_some()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        let at = usize::try_from(offset).unwrap();
        let all = self.bytes.lock().unwrap();
        let torn = self.is_torn && at > all.len() / 2;
        !torn && all.get(at..at + out.len()).map(|from| out.copy_from_slice(from)).is_some()
    }
    fn is_over(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }
    fn goes_on(&self, bytes: u64) {
        assert!(bytes > 0);
    }
}

#[test]
fn one_frame_in_a_temporary_file_is_read_once() {
    let plain = plain(LEN / 2);
    let mut all = vec![(zstd::encode_all(plain.as_slice(), 1).unwrap(), Codec::Zstd)];
    all.extend(by_tool("xz", &["-0", "-T1", "-c"], &plain).map(|one| (one, Codec::Xz)));
    all.extend(by_tool("xz", &["-0", "--format=lzma", "-c"], &plain).map(|one| (one, Codec::Lzma)));
    for (packed, codec) in all {
        // Of the short stream of xz its index says that its one block is near enough.
        let is_far = codec != Codec::Xz;
        let paper = Paper::of(16 << 20, false);
        let read = check_with(packed.clone(), &plain, codec, Some(paper.clone()));
        assert_eq!((read == 0, paper.used() == LEN / 2), (is_far, is_far), "{codec:?}: {read}, {}", paper.used());
        // Full half way; damaged half way: the rest is decoded again.
        for paper in [Paper::of(8 << 20, false), Paper::of(16 << 20, true)] {
            let read = check_with(packed.clone(), &plain, codec, Some(paper.clone()));
            assert!(read > 0 && (paper.used() > 5 << 20) == is_far, "{codec:?}: {read}");
            let is_full = is_far && !paper.is_torn;
            assert_eq!(paper.told.load(Ordering::Relaxed), u64::from(is_full), "{codec:?}: told once");
        }
    }
}

#[test]
fn what_has_places_needs_no_temporary_file() {
    let plain = plain(LEN);
    let frames = plain.chunks(3 << 20).flat_map(|part| zstd::encode_all(part, 1).unwrap()).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    for (packed, codec, most) in [(frames, Codec::Zstd, 6 << 20), (gzip.finish().unwrap(), Codec::Gzip, 0)] {
        let paper = Paper::of(64 << 20, false);
        check_with(packed, &plain, codec, Some(paper.clone()));
        assert!(paper.used() <= most, "{codec:?}: {}", paper.used());
    }
}

#[test]
fn zeros_take_no_room() {
    let mut plain = plain(LEN / 4);
    plain.resize(LEN, 0);
    let paper = Paper::of(32 << 20, false);
    let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
    assert_eq!(check_with(packed, &plain, Codec::Zstd, Some(paper.clone())), 0);
    assert_eq!(paper.used(), LEN / 4);
}

#[test]
fn what_a_stream_had_of_the_file_is_given_to_the_next() {
    let plain = plain(LEN);
    let paper = Paper::of(32 << 20, false);
    let store = Store::of(0, Some(paper));
    let packed: Source = Arc::new(zstd::encode_all(plain.as_slice(), 1).unwrap());
    for _ in 0..4 {
        let stream = Unpacked::open(&packed, 0, Codec::Zstd, u64::MAX, &store).stream;
        assert!(stream.kept_in_file() == LEN >> 20);
    }
    let first = Unpacked::open(&packed, 0, Codec::Zstd, u64::MAX, &store).stream;
    let second = Unpacked::open(&packed, 0, Codec::Zstd, u64::MAX, &store).stream;
    assert!(second.kept_in_file() < LEN >> 20 && first.kept_in_file() == LEN >> 20);
    let mut buf = vec![0; 1 << 20];
    for stream in [&first, &second] {
        let at = LEN - (3 << 20) - 77;
        stream.read_at(at as u64, &mut buf).unwrap();
        assert!(buf == plain[at..at + buf.len()]);
    }
}
