//! Hashes of a whole image, to compare with what the imager recorded, and a map of what could not be read.
//!
//! An image with an unreadable sector has no hash here: imagers write zeros, patterns or nothing in its
//! place, and a hash over any of these would be one of other bytes than the disk's.
use crate::base::{Cancelled, Digest, Gaps, Md5, Progress, Run, hex};
use crate::image::Source;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes of one read; what is retried by sectors where it fails.
const CHUNK: usize = 1 << 20;
/// Chunks on their way to each hash.
const AHEAD: usize = 4;
const SECTOR: usize = 512;
/// Unreadable runs that are listed one by one.
const MAX_RUNS: usize = 10_000;

/// Which hashes to compute besides SHA-256, because a stored one is to be compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    pub md5: bool,
    pub sha1: bool,
}
impl Wanted {
    /// By the names of the stored hashes' algorithms: `md5`, `sha1`, `sha256`.
    pub fn for_algorithms<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wanted = Self::default();
        for name in names {
            wanted.md5 |= name == "md5";
            wanted.sha1 |= name == "sha1";
        }
        wanted
    }
}

/// The hashes of an image; absent where not wanted or where a byte could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageHashes {
    pub sha256: Option<Digest>,
    pub md5: Option<Md5>,
    /// Lower-case hex.
    pub sha1: Option<String>,
    /// Runs of sectors that could not be read, in order and merged.
    pub unreadable: Vec<Run>,
}
impl ImageHashes {
    /// Lower-case hex by the algorithm's name, as stored hashes give it.
    pub fn hex(&self, algorithm: &str) -> Option<String> {
        match algorithm {
            "sha256" => self.sha256.map(|d| d.to_string()),
            "md5" => self.md5.map(|d| d.to_string()),
            "sha1" => self.sha1.clone(),
            _ => None,
        }
    }
}

/// Reads the image from end to end, each algorithm on a thread of its own. `gaps` is the ledger of the image.
/// Progress is counted in bytes.
pub fn hash_image(source: &Source, wanted: Wanted, gaps: &Gaps, progress: &Progress) -> Result<ImageHashes, Cancelled> {
    std::thread::scope(|scope| {
        let mut to = Vec::new();
        let sha256 = feed(&mut to);
        let sha256 = spawn(scope, "hash-sha256", move || over::<sha2::Sha256>(&sha256));
        let md5 = wanted.md5.then(|| feed(&mut to));
        let md5 = md5.map(|from| spawn(scope, "hash-md5", move || over::<md5::Md5>(&from)));
        let sha1 = wanted.sha1.then(|| feed(&mut to));
        let sha1 = sha1.map(|from| spawn(scope, "hash-sha1", move || over::<sha1::Sha1>(&from)));
        let unreadable = read(source, gaps, progress, &to);
        drop(to);
        let sha256 = finish(sha256);
        let md5 = md5.and_then(finish);
        let sha1 = sha1.and_then(finish);
        let unreadable = unreadable?;
        let missing = sha256.is_none() || (wanted.md5 && md5.is_none()) || (wanted.sha1 && sha1.is_none());
        if missing {
            gaps.add("hash", "a hash of the image was not computed: no thread could be started for it", 0);
        }
        if !unreadable.is_empty() {
            return Ok(ImageHashes { unreadable, ..ImageHashes::default() });
        }
        Ok(ImageHashes {
            sha256: sha256.and_then(|d| Some(Digest(d.try_into().ok()?))),
            md5: md5.and_then(|d| Some(Md5(d.try_into().ok()?))),
            sha1: sha1.map(|d| hex(&d)),
            unreadable,
        })
    })
}

type Hashing<'s> = std::io::Result<std::thread::ScopedJoinHandle<'s, Vec<u8>>>;

fn feed(to: &mut Vec<SyncSender<Arc<Vec<u8>>>>) -> Receiver<Arc<Vec<u8>>> {
    let (sender, receiver) = sync_channel(AHEAD);
    to.push(sender);
    receiver
}
fn spawn<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    name: &str,
    work: impl FnOnce() -> Vec<u8> + Send + 's,
) -> Hashing<'s> {
    std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)
}
fn over<H: md5::Digest>(from: &Receiver<Arc<Vec<u8>>>) -> Vec<u8> {
    let mut hash = H::new();
    while let Ok(chunk) = from.recv() {
        hash.update(chunk.as_slice());
    }
    hash.finalize().to_vec()
}
/// `None` where there was no thread to be had.
fn finish(hashing: Hashing<'_>) -> Option<Vec<u8>> {
    hashing.ok()?.join().ok()
}

/// Sends the image's bytes in order, and collects the runs that cannot be read.
fn read(
    source: &Source,
    gaps: &Gaps,
    progress: &Progress,
    to: &[SyncSender<Arc<Vec<u8>>>],
) -> Result<Vec<Run>, Cancelled> {
    let mut lost: Vec<Run> = Vec::new();
    let mut at = 0_u64;
    while at < source.len() {
        let len = usize::try_from(source.len().saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; len];
        match source.read_at(at, &mut chunk) {
            Ok(n) if n == len => {
                // No hash comes of it once a byte is missing: then only the map of the rest is of use.
                if lost.is_empty() {
                    let chunk = Arc::new(chunk);
                    for sender in to {
                        // A hash whose thread did not start has no receiver; it is absent in the end.
                        drop(sender.send(chunk.clone()));
                    }
                }
            }
            Ok(n) => by_sectors(source, Run::new(at.saturating_add(n as u64), len.saturating_sub(n) as u64), &mut lost),
            Err(_) => by_sectors(source, Run::new(at, len as u64), &mut lost),
        }
        at = at.saturating_add(len as u64);
        progress.step(len as u64)?;
    }
    for run in lost.iter().take(MAX_RUNS) {
        gaps.add_at("hash", "image_offset", run.offset, format!("{} bytes cannot be read", run.len), run.len);
    }
    if let Some(rest) = lost.get(MAX_RUNS..).filter(|r| !r.is_empty()) {
        let bytes = rest.iter().fold(0_u64, |sum, r| sum.saturating_add(r.len));
        let from = rest.first().map_or(0, |r| r.offset);
        let what = format!("{bytes} more bytes in {} runs from here on cannot be read", rest.len());
        gaps.add_at("hash", "image_offset", from, what, bytes);
    }
    Ok(lost)
}

/// Tries each sector of a run that failed as a whole.
fn by_sectors(source: &Source, run: Run, lost: &mut Vec<Run>) {
    let mut at = run.offset;
    while at < run.end() {
        let end = at.saturating_add(1).next_multiple_of(SECTOR as u64).min(run.end());
        let len = end.saturating_sub(at);
        let mut sector = [0; SECTOR];
        let read = usize::try_from(len).ok().and_then(|n| Some(source.read_at(at, sector.get_mut(..n)?)));
        if !matches!(read, Some(Ok(n)) if n as u64 == len) {
            match lost.last_mut().filter(|r| r.end() == at) {
                Some(before) => before.len = before.len.saturating_add(len),
                None => lost.push(Run::new(at, len)),
            }
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::base::Piece;
    use crate::image::{ReadAt, ReadError};
    use sha2::Digest as _;

    struct Failing(Vec<u8>, Vec<Run>);
    impl ReadAt for Failing {
        fn len(&self) -> u64 {
            ReadAt::len(&self.0)
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
            let asked = Run::new(offset, buf.len() as u64);
            match self.1.iter().find(|r| r.offset < asked.end() && offset < r.end()) {
                Some(bad) => Err(ReadError { offset: bad.offset.max(offset), what: "input/output error".into() }),
                None => self.0.read_at(offset, buf),
            }
        }
        fn locate(&self, bytes: Run) -> Vec<Piece> {
            self.0.locate(bytes)
        }
    }
    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 7 / 3).to_le_bytes()[0]).collect()
    }
    fn hash(disk: Failing) -> (ImageHashes, Vec<crate::base::Gap>) {
        let gaps = Gaps::default();
        let source: Source = Arc::new(disk);
        let wanted = Wanted::for_algorithms(["md5", "sha1", "sha256"]);
        let progress = Progress::default();
        progress.begin(source.len());
        let hashes = hash_image(&source, wanted, &gaps, &progress).unwrap();
        assert_eq!(progress.fraction(), (source.len(), source.len()));
        (hashes, gaps.take())
    }

    #[test]
    fn hashes_are_those_of_the_reference() {
        for len in [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 513] {
            let disk = bytes(len);
            let (hashes, gaps) = hash(Failing(disk.clone(), Vec::new()));
            assert_eq!(hashes.sha256, Some(Digest(sha2::Sha256::digest(&disk).into())));
            assert_eq!(hashes.md5, Some(Md5(md5::Md5::digest(&disk).into())));
            let sha1 = hex(&sha1::Sha1::digest(&disk));
            assert_eq!(hashes.hex("sha1"), Some(sha1));
            assert_eq!((hashes.unreadable.len(), gaps.len()), (0, 0));
        }
        let none: Source = Arc::new(Vec::new());
        let only = hash_image(&none, Wanted::default(), &Gaps::default(), &Progress::default()).unwrap();
        assert_eq!((only.md5, only.sha1), (None, None));
        // NIST's test vector for the empty message.
        assert!(only.sha256.unwrap().to_string().starts_with("e3b0c44298fc1c14"));
    }

    #[test]
    fn unreadable_sectors_are_mapped_exactly_and_leave_no_hash() {
        let bad = vec![Run::new(512, 512), Run::new(1024, 512), Run::new(2 << 20, 1), Run::new((3 << 20) + 500, 512)];
        let (hashes, gaps) = hash(Failing(bytes(4 << 20), bad));
        assert_eq!((hashes.sha256, hashes.md5, hashes.sha1.clone()), (None, None, None));
        assert_eq!(hashes.unreadable, [Run::new(512, 1024), Run::new(2 << 20, 512), Run::new(3 << 20, 1024)]);
        let told: Vec<_> = gaps.iter().map(|g| (g.at.offset.clone().unwrap().1, g.bytes)).collect();
        assert_eq!(told, [(512, 1024), (2 << 20, 512), (3 << 20, 1024)]);
        assert_eq!(gaps[0].what, "1024 bytes cannot be read");
    }

    #[test]
    fn it_can_be_cancelled() {
        let source: Source = Arc::new(bytes(8 << 20));
        let progress = Progress::default();
        progress.cancel();
        let wanted = Wanted::for_algorithms(["md5"]);
        assert_eq!(hash_image(&source, wanted, &Gaps::default(), &progress), Err(Cancelled));
    }
}
