//! Gathers millions of hashes in bounded memory and writes them sorted: what fits is sorted and set down as a run in a
//! temporary file, the runs are merged at the end.
use super::file::About;
use super::index::{LONGEST_ABOUT, MAGIC};
use crate::base::{Digest, Md5, Sha1};
use sha2::{Digest as _, Sha256};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

/// Bytes of values that are sorted in memory.
const IN_MEMORY: usize = 64 << 20;
/// Bytes of each run that are read at once when runs are merged.
const AT_ONCE: usize = 1 << 16;
/// Most runs: a terabyte of values needs fewer.
const MOST_RUNS: usize = 1 << 14;

/// What a list says of one content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    pub sha256: Option<Digest>,
    pub sha1: Option<Sha1>,
    pub md5: Option<Md5>,
}
impl Hashes {
    /// Takes a value by its length in hex; `false` if it is of no kind that is known.
    pub(super) fn set_hex(&mut self, text: &str) -> bool {
        if let Some(value) = Digest::parse(text) {
            self.sha256 = Some(value);
        } else if let Some(value) = Sha1::parse(text) {
            self.sha1 = Some(value);
        } else if let Some(value) = Md5::parse(text) {
            self.md5 = Some(value);
        } else {
            return false;
        }
        true
    }
}

/// What was gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Entries of the lists.
    pub entries: u64,
    /// Entries without a hash that a set can hold.
    pub without: u64,
    /// Different values that were written.
    pub sha256: u64,
    pub sha1: u64,
    pub md5: u64,
}

/// Makes a temporary file that is gone with the program.
pub type Temporary<'a> = dyn Fn() -> io::Result<File> + 'a;

/// Sorts values of one width.
struct Sorter<const N: usize> {
    waiting: Vec<[u8; N]>,
    most: usize,
    runs: Option<File>,
    /// Where each run begins in the file, and how many values it has.
    places: Vec<(u64, u64)>,
    end: u64,
}

impl<const N: usize> Sorter<N> {
    fn new(in_memory: usize) -> Self {
        let most = (in_memory / N).max(1);
        Self { waiting: Vec::new(), most, runs: None, places: Vec::new(), end: 0 }
    }
    fn add(&mut self, value: [u8; N], temporary: &Temporary<'_>) -> io::Result<()> {
        self.waiting.push(value);
        if self.waiting.len() < self.most {
            return Ok(());
        }
        self.waiting.sort_unstable();
        self.waiting.dedup();
        // Lists that repeat themselves need no run.
        if self.waiting.len() <= self.most / 2 {
            return Ok(());
        }
        self.set_down(temporary)
    }
    fn set_down(&mut self, temporary: &Temporary<'_>) -> io::Result<()> {
        if self.places.len() >= MOST_RUNS {
            return Err(io::Error::other("more hashes than a set can hold"));
        }
        let file = match &mut self.runs {
            Some(file) => file,
            none => none.insert(temporary()?),
        };
        file.seek(SeekFrom::Start(self.end))?;
        let mut to = BufWriter::with_capacity(1 << 18, &mut *file);
        for value in &self.waiting {
            to.write_all(value)?;
        }
        to.flush()?;
        drop(to);
        let count = self.waiting.len() as u64;
        self.places.push((self.end, count));
        self.end = self.end.saturating_add(count.saturating_mul(N as u64));
        self.waiting.clear();
        Ok(())
    }
    /// Gives every value once, in order.
    fn finish(mut self, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.waiting.sort_unstable();
        self.waiting.dedup();
        let Some(mut file) = self.runs else {
            return self.waiting.iter().try_for_each(|value| each(value));
        };
        let memory = std::mem::take(&mut self.waiting);
        let mut runs: Vec<Run<N>> = self.places.iter().map(|(at, left)| Run::new(*at, *left)).collect();
        runs.push(Run { at: 0, left: 0, values: memory, next: 0 });
        let mut heap = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next(&mut file)?.map(|value| Reverse((value, number))));
        }
        let mut last: Option<[u8; N]> = None;
        while let Some(Reverse((value, number))) = heap.pop() {
            if last != Some(value) {
                each(&value)?;
                last = Some(value);
            }
            if let Some(run) = runs.get_mut(number) {
                heap.extend(run.next(&mut file)?.map(|value| Reverse((value, number))));
            }
        }
        Ok(())
    }
}

/// A sorted run, a part of it in memory.
struct Run<const N: usize> {
    at: u64,
    left: u64,
    values: Vec<[u8; N]>,
    next: usize,
}
impl<const N: usize> Run<N> {
    fn new(at: u64, left: u64) -> Self {
        Self { at, left, values: Vec::new(), next: 0 }
    }
    fn next(&mut self, file: &mut File) -> io::Result<Option<[u8; N]>> {
        if self.next >= self.values.len() && self.left > 0 {
            let some = self.left.min((AT_ONCE / N).max(1) as u64);
            let mut bytes = vec![0; usize::try_from(some).unwrap_or(0).saturating_mul(N)];
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(&mut bytes)?;
            self.values.clear();
            self.values.extend(bytes.as_chunks::<N>().0);
            self.next = 0;
            self.at = self.at.saturating_add(bytes.len() as u64);
            self.left = self.left.saturating_sub(some);
        }
        let value = self.values.get(self.next).copied();
        self.next = self.next.saturating_add(1);
        Ok(value)
    }
}

/// Takes hashes in any order and number.
pub struct Gatherer<'a> {
    temporary: &'a Temporary<'a>,
    sha256: Sorter<32>,
    sha1: Sorter<20>,
    md5: Sorter<16>,
    gathered: Gathered,
}

impl<'a> Gatherer<'a> {
    pub fn new(temporary: &'a Temporary<'a>) -> Self {
        Self::within(IN_MEMORY, temporary)
    }
    fn within(bytes: usize, temporary: &'a Temporary<'a>) -> Self {
        let (sha256, sha1, md5) = (Sorter::new(bytes), Sorter::new(bytes), Sorter::new(bytes));
        Self { temporary, sha256, sha1, md5, gathered: Gathered::default() }
    }
    /// Takes the strongest hash of an entry.
    pub fn add(&mut self, hashes: &Hashes) -> io::Result<()> {
        let Gathered { entries, without, .. } = &mut self.gathered;
        *entries = entries.saturating_add(1);
        match hashes {
            Hashes { sha256: Some(value), .. } => self.sha256.add(value.0, self.temporary),
            Hashes { sha1: Some(value), .. } => self.sha1.add(value.0, self.temporary),
            Hashes { md5: Some(value), .. } => self.md5.add(value.0, self.temporary),
            _ => {
                *without = without.saturating_add(1);
                Ok(())
            }
        }
    }
    /// Whether nothing was taken that could be written.
    pub fn is_empty(&self) -> bool {
        self.gathered.entries == self.gathered.without
    }
    /// Writes the set. The same hashes give the same bytes, in whatever order they came.
    pub fn finish(self, about: &About, out: &mut dyn Write) -> io::Result<Gathered> {
        let mut gathered = self.gathered;
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| -> io::Result<()> {
            hash.update(bytes);
            out.write_all(bytes)
        };
        put(MAGIC)?;
        let mut counts = [0_u64; 3];
        let [sha256, sha1, md5] = &mut counts;
        let mut section = |count: &mut u64, value: &[u8]| {
            *count = count.saturating_add(1);
            put(value)
        };
        self.sha256.finish(&mut |value| section(sha256, value))?;
        self.sha1.finish(&mut |value| section(sha1, value))?;
        self.md5.finish(&mut |value| section(md5, value))?;
        let about = serde_json::to_vec(about)?;
        if about.len() as u64 > LONGEST_ABOUT {
            return Err(io::Error::other("the texts about the set are too long"));
        }
        put(&about)?;
        for count in counts.into_iter().chain([about.len() as u64]) {
            put(&count.to_le_bytes())?;
        }
        [gathered.sha256, gathered.sha1, gathered.md5] = counts;
        out.write_all(&hash.finalize())?;
        Ok(gathered)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::index::{Algorithm, HashIndex};
    use super::*;
    use crate::baseline::Origin;
    use crate::inventory::Scene;

    fn about() -> About {
        About::new("known", Origin::Vendor, "", "", &Scene::default())
    }
    fn value(n: u32) -> Digest {
        Digest(Sha256::digest(n.to_le_bytes()).into())
    }
    /// A set of so many values, each given twice, sorted in so many bytes of memory.
    fn set(many: u32, bytes: usize) -> (Vec<u8>, Gathered) {
        let temporary = || tempfile::tempfile();
        let mut gatherer = Gatherer::within(bytes, &temporary);
        for n in (0..many).chain((0..many).rev()) {
            let sha256 = Some(value(n));
            gatherer.add(&Hashes { sha256, md5: Some(Md5([0; 16])), ..Hashes::default() }).unwrap();
        }
        gatherer.add(&Hashes { sha1: Some(Sha1([7; 20])), ..Hashes::default() }).unwrap();
        gatherer.add(&Hashes { md5: Some(Md5([9; 16])), ..Hashes::default() }).unwrap();
        gatherer.add(&Hashes::default()).unwrap();
        let mut out = Vec::new();
        let gathered = gatherer.finish(&about(), &mut out).unwrap();
        (out, gathered)
    }
    fn open(bytes: &[u8]) -> Result<(About, HashIndex), String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        HashIndex::open(file)
    }

    #[test]
    fn what_is_set_down_in_runs_is_what_fits_into_memory() {
        let (whole, gathered) = set(5000, 1 << 20);
        assert_eq!(gathered, Gathered { entries: 10_003, without: 1, sha256: 5000, sha1: 1, md5: 1 });
        for bytes in [32, 33, 1000, 40_000] {
            assert!(set(5000, bytes).0 == whole, "{bytes} bytes of memory");
        }
        let (told, index) = open(&whole).unwrap();
        assert_eq!(told, about());
        assert!((0..5000).all(|n| index.holds(Algorithm::Sha256, &value(n).0)));
        assert!((5000..9000).all(|n| !index.holds(Algorithm::Sha256, &value(n).0)));
        assert!(index.holds(Algorithm::Sha1, &[7; 20]) && index.holds(Algorithm::Md5, &[9; 16]));
        for (algorithm, value) in [(Algorithm::Sha1, vec![8; 20]), (Algorithm::Md5, vec![0; 16])] {
            assert!(!index.holds(algorithm, &value), "{algorithm:?}");
        }
        assert!(!index.holds(Algorithm::Sha256, &[7; 20]) && !index.holds(Algorithm::Sha256, &[]));
        assert_eq!(index.failure(), None);
        // An empty set is a set.
        assert!(open(&set(0, 1).0).is_ok_and(|(_, i)| i.count(Algorithm::Sha256) == 0));
    }

    #[test]
    fn many_values_with_the_same_beginning_are_found() {
        let temporary = || tempfile::tempfile();
        let mut gatherer = Gatherer::new(&temporary);
        let value = |n: u16| {
            let mut value = [0xab; 16];
            value.last_chunk_mut::<2>().unwrap().copy_from_slice(&n.to_be_bytes());
            Md5(value)
        };
        for n in (0..20_000).step_by(2) {
            gatherer.add(&Hashes { md5: Some(value(n)), ..Hashes::default() }).unwrap();
        }
        let mut out = Vec::new();
        gatherer.finish(&about(), &mut out).unwrap();
        let (_, index) = open(&out).unwrap();
        assert!((0..20_000).all(|n| index.holds(Algorithm::Md5, &value(n).0) == (n % 2 == 0)));
    }

    #[test]
    fn any_byte_changed_and_any_cut_is_noticed() {
        let (whole, _) = set(20, 1 << 20);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (at % 8);
            }
            assert!(open(&bytes).is_err(), "byte {at}");
            assert!(open(whole.get(..at).unwrap()).is_err(), "cut at {at}");
        }
        assert!(open(&[whole.as_slice(), b"x"].concat()).is_err());
        // Counts that lie cost no memory.
        let mut lie = whole.clone();
        let at = lie.len() - 64;
        lie.get_mut(at..at + 8).unwrap().copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(open(&lie).unwrap_err().contains("cut short"));
    }
}
