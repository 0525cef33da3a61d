//! A set of hashes as one sorted file: what millions of contents are known by, in a few bytes each.
//!
//! Layout, integers little-endian:
//! ```text
//! 8 bytes    CRSHASH1
//! N x 32     SHA-256 values, each once, in ascending order
//! N x 20     SHA-1 values, likewise
//! N x 16     MD5 values, likewise
//! A bytes    what the set says of itself (`About`, JSON)
//! 4 x 8      how many SHA-256, SHA-1 and MD5 values there are; A
//! 32 bytes   SHA-256 of everything before
//! ```
//! Of a content that several hashes are known of, the strongest stands in it. The whole file is read and checked once,
//! when it is opened; then only 64 Ki positions a kind stay in memory, and a question reads the few values that begin
//! with the same two bytes.
use super::file::{About, SCHEMA};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, OnceLock};

pub(super) const MAGIC: &[u8; 8] = b"CRSHASH1";
/// Counts, and the checksum over all before it.
const COUNTS: usize = 4 * 8;
const CHECKSUM: usize = 32;
/// Longest text about itself.
pub(super) const LONGEST_ABOUT: u64 = 1 << 20;
/// Positions in memory: one for each first two bytes, and the end.
const FAN: usize = 1 << 16;
/// Values that are read at once; a larger share of the file is narrowed down first.
const AT_ONCE: u64 = 4096;

/// The kinds of hashes, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha1,
    Md5,
}
impl Algorithm {
    /// The strongest first.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha1, Self::Md5];
    /// Bytes of a value.
    pub(super) const fn width(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha1 => 20,
            Self::Md5 => 16,
        }
    }
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha1 => "SHA-1",
            Self::Md5 => "MD5",
        }
    }
    fn at(self) -> usize {
        match self {
            Self::Sha256 => 0,
            Self::Sha1 => 1,
            Self::Md5 => 2,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Section {
    /// Where its values begin in the file.
    offset: u64,
    count: u64,
    /// For each first two bytes, the number of values before them.
    fan: Vec<u64>,
}

/// A set of hashes, opened and checked.
#[derive(Clone, Debug)]
pub(super) struct HashIndex {
    file: Arc<File>,
    sections: [Section; 3],
    /// The first question that could not be answered.
    failure: Arc<OnceLock<String>>,
}

impl HashIndex {
    /// Reads and checks the whole file. The error says what is wrong, and where.
    pub(super) fn open(mut file: File) -> Result<(About, Self), String> {
        let io = |e: std::io::Error| format!("cannot be read: {e}");
        let len = file.metadata().map_err(io)?.len();
        let short = || format!("the file is cut short: {len} bytes");
        let body = len.checked_sub(CHECKSUM as u64).ok_or_else(short)?;
        let counts_at = body.checked_sub(COUNTS as u64).filter(|at| *at >= 8).ok_or_else(short)?;
        file.seek(SeekFrom::Start(counts_at)).map_err(io)?;
        let mut counts = [0_u64; 4];
        for count in &mut counts {
            let mut raw = [0; 8];
            file.read_exact(&mut raw).map_err(io)?;
            *count = u64::from_le_bytes(raw);
        }
        let [.., about_len] = counts;
        let mut offset = 8_u64;
        let mut sections: [Section; 3] = Default::default();
        for ((algorithm, count), section) in Algorithm::ALL.into_iter().zip(counts).zip(&mut sections) {
            (section.offset, section.count) = (offset, count);
            let bytes = count.checked_mul(algorithm.width() as u64);
            offset = bytes.and_then(|b| offset.checked_add(b)).filter(|end| *end <= counts_at).ok_or_else(short)?;
        }
        if about_len > LONGEST_ABOUT || offset.checked_add(about_len) != Some(counts_at) {
            return Err(format!("the file is cut short or was changed: its parts are not {len} bytes"));
        }
        file.rewind().map_err(io)?;
        let mut from = Checked { from: BufReader::with_capacity(1 << 18, &file), hash: Sha256::new() };
        let mut magic = [0; 8];
        from.take(&mut magic).map_err(io)?;
        if &magic != MAGIC {
            return Err("not a set of hashes".into());
        }
        for (algorithm, section) in Algorithm::ALL.into_iter().zip(&mut sections) {
            section.fan = fan(&mut from, algorithm, section.count)?;
        }
        let mut about = vec![0; usize::try_from(about_len).unwrap_or(0)];
        from.take(&mut about).map_err(io)?;
        from.take(&mut [0; COUNTS]).map_err(io)?;
        let Checked { mut from, hash } = from;
        let mut stored = [0; CHECKSUM];
        from.read_exact(&mut stored).map_err(io)?;
        if hash.finalize().as_slice() != stored {
            return Err("the file was changed: its checksum is not that of its content".into());
        }
        let about: About = serde_json::from_slice(&about).map_err(|e| format!("what it says of itself: {e}"))?;
        if about.schema != SCHEMA {
            return Err(format!("its schema is {}; this program reads {SCHEMA}", about.schema));
        }
        Ok((about, Self { file: Arc::new(file), sections, failure: Arc::default() }))
    }
    /// How many values of a kind it has.
    pub(super) fn count(&self, algorithm: Algorithm) -> u64 {
        self.sections.get(algorithm.at()).map_or(0, |s| s.count)
    }
    /// Whether it holds a value. What cannot be read is remembered: [`Self::failure`].
    pub(super) fn holds(&self, algorithm: Algorithm, value: &[u8]) -> bool {
        self.find(algorithm, value).unwrap_or_else(|e| {
            self.failure.get_or_init(|| e.to_string());
            false
        })
    }
    /// Why a question could not be answered, if one could not.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
    fn find(&self, algorithm: Algorithm, value: &[u8]) -> std::io::Result<bool> {
        let width = algorithm.width();
        let (Some(section), Some(first)) = (self.sections.get(algorithm.at()), first_two(value)) else {
            return Ok(false);
        };
        if value.len() != width {
            return Ok(false);
        }
        let before = |at: usize| section.fan.get(at).copied().unwrap_or(section.count);
        let (mut from, mut to) = (before(first), before(first.saturating_add(1)));
        let place = |n: u64| section.offset.saturating_add(n.saturating_mul(width as u64));
        while to.saturating_sub(from) > AT_ONCE {
            let middle = from.midpoint(to);
            let mut there = vec![0; width];
            read_exact_at(&self.file, &mut there, place(middle))?;
            match there.as_slice().cmp(value) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => from = middle.saturating_add(1),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        let some = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        let mut values = vec![0; some.saturating_mul(width)];
        read_exact_at(&self.file, &mut values, place(from))?;
        let (mut low, mut high) = (0, some);
        while low < high {
            let middle = low.midpoint(high);
            let at = middle.saturating_mul(width);
            let there = values.get(at..at.saturating_add(width)).unwrap_or_default();
            match there.cmp(value) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => low = middle.saturating_add(1),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }
}

/// A reader that hashes what it gives.
struct Checked<R> {
    from: R,
    hash: Sha256,
}
impl<R: Read> Checked<R> {
    fn take(&mut self, into: &mut [u8]) -> std::io::Result<()> {
        self.from.read_exact(into)?;
        self.hash.update(&*into);
        Ok(())
    }
}

/// Reads the values of a section, which must ascend.
fn fan<R: Read>(from: &mut Checked<R>, algorithm: Algorithm, count: u64) -> Result<Vec<u64>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let width = algorithm.width();
    let mut fan = Vec::with_capacity(FAN);
    let mut last: Option<Vec<u8>> = None;
    let mut block = vec![0; width.saturating_mul(4096)];
    let mut number = 0_u64;
    while number < count {
        let some = count.saturating_sub(number).min(4096);
        let bytes = usize::try_from(some).unwrap_or(0).saturating_mul(width);
        let part = block.get_mut(..bytes).unwrap_or_default();
        from.take(part).map_err(|e| format!("cannot be read: {e}"))?;
        for value in part.chunks_exact(width) {
            if last.as_deref().is_some_and(|last| last >= value) {
                return Err(format!("{} value {number} is not in order: the file was changed", algorithm.word()));
            }
            let first = first_two(value).unwrap_or(0);
            while fan.len() <= first {
                fan.push(number);
            }
            match &mut last {
                Some(last) => last.copy_from_slice(value),
                None => last = Some(value.to_vec()),
            }
            number = number.saturating_add(1);
        }
    }
    fan.resize(FAN, count);
    Ok(fan)
}

fn first_two(value: &[u8]) -> Option<usize> {
    value.first_chunk().map(|raw| usize::from(u16::from_be_bytes(*raw)))
}

#[cfg(unix)]
fn read_exact_at(file: &File, into: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}
#[cfg(windows)]
fn read_exact_at(file: &File, mut into: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !into.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, into, at)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        into = into.get_mut(n..).unwrap_or_default();
        at = at.saturating_add(n as u64);
    }
    Ok(())
}
