//! Disks that real Linux made (`tests/data/volumes`), for the tests of managers.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{Assembled, Manager, Member};
use crate::base::{Budget, Digest, Gap, Gaps, Piece, PieceKind, Run};
use crate::image::{Alone, ReadAt, Segment, Source, join, open};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) fn data(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/volumes")).join(name)
}

/// A packed disk's bytes.
pub(super) fn disk(name: &str) -> Vec<u8> {
    let packed = std::fs::read(data(name)).unwrap();
    let mut bytes = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Bytes without a pattern, the same for the same seed.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    (0..len).map(|_| next()).collect()
}

/// A disk as image number `image` of a case.
pub(super) fn image(bytes: Vec<u8>, image: u32) -> Source {
    let segment = Segment { source: Arc::new(bytes), name: format!("disk{image}") };
    open(join(vec![segment]), image, &Alone, &Gaps::default()).unwrap().1.disk
}

/// What a manager makes of these sources, and the gaps.
pub(super) fn assembled(manager: &Manager, sources: &[Source]) -> (Vec<Assembled>, Vec<Gap>) {
    let gaps = Gaps::default();
    let member = |(n, s): (usize, &Source)| Member {
        source: s.clone(),
        gaps: gaps.at(|p| (p.image, p.volume) = (u32::try_from(n).ok(), u32::try_from(n).ok())),
    };
    let fits = sources.iter().enumerate().filter(|(_, s)| (manager.probe)(s));
    let members: Vec<Member> = fits.map(member).collect();
    let made = (manager.assemble)(&members, &gaps, Budget::default());
    (made, gaps.take())
}

/// Volumes by name with bytes and SHA-256, as the kernel read them.
pub(super) fn oracle(name: &str) -> BTreeMap<String, (u64, String)> {
    let text = std::fs::read_to_string(data(name)).unwrap();
    let line = |l: &str| {
        let mut words = l.split(' ').map(str::to_owned);
        let (hash, len, name) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        Some((name, (len, hash)))
    };
    text.lines().filter_map(line).collect()
}

/// SHA-256 of a source, read in pieces that fit no boundary; `None` where something cannot be read.
pub(super) fn hash(source: &dyn ReadAt) -> Option<String> {
    let mut hash = Sha256::new();
    let mut buf = vec![0; 100_003];
    let mut at = 0;
    loop {
        let n = source.read_at(at, &mut buf).ok()?;
        if n == 0 {
            return (at == source.len()).then(|| Digest(hash.finalize().into()).to_string());
        }
        hash.update(buf.get(..n)?);
        at += n as u64;
    }
}

/// Every stored piece of a source holds the bytes that the source gives, and the pieces cover it.
pub(super) fn leads_back(source: &dyn ReadAt, disks: &[Vec<u8>]) {
    let mut at = 0;
    for Piece { image, offset, len, kind } in source.locate(Run::new(0, source.len())) {
        let mut ours = vec![0; usize::try_from(len).unwrap()];
        if kind != PieceKind::Absent {
            assert_eq!(source.read_at(at, &mut ours), Ok(ours.len()));
        }
        match kind {
            PieceKind::Stored => {
                let from = usize::try_from(offset).unwrap();
                let theirs = disks.get(image as usize).unwrap().get(from..from + ours.len()).unwrap();
                assert!(ours == theirs, "byte {at}");
            }
            PieceKind::Hole => assert!(ours.iter().all(|b| *b == 0) || ours.iter().all(|b| *b == 0xff), "byte {at}"),
            PieceKind::Decoded | PieceKind::Absent => {}
        }
        at += len;
    }
    assert_eq!(at, source.len());
}
