//! Long streams read here and there, with nothing kept decoded: every byte is the one that was packed, and reading
//! back costs what lies between two places, not the whole stream.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::{Codec, Store, Unpacked};
use crate::base::{Piece, Run};
use crate::image::{ReadAt, ReadError, Source};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    let counted = Arc::new(Counted(packed, AtomicU64::new(0)));
    let source: Source = counted.clone();
    let store = Store::of(0);
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
