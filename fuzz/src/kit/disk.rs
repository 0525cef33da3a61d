//! A disk of which only the blocks that hold something are kept, so that a change costs one block and an image of
//! 300 MB fits a seed of a few kilobytes.
use cranescope::base::{Piece, PieceKind, Run};
use cranescope::image::{ReadAt, ReadError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BLOCK: u64 = 4096;
/// How a packed disk begins.
const MAGIC: &[u8; 4] = b"CSD1";
/// A packed disk says how long it is; beyond this nothing is learned from it.
const MAX_LEN: u64 = 1 << 40;
/// Zeros between two runs of a packed disk that are worth a run of their own.
const WORTH: usize = 24;

pub struct Disk {
    pub len: u64,
    blocks: BTreeMap<u64, Arc<Vec<u8>>>,
    /// Bytes that may still be read: a reader that goes round in circles meets an error.
    left: AtomicU64,
    reads: AtomicU64,
}

impl Clone for Disk {
    /// A disk that was not read from so far.
    fn clone(&self) -> Self {
        Self { blocks: self.blocks.clone(), ..Self::empty(self.len) }
    }
}

impl Disk {
    pub fn empty(len: u64) -> Self {
        Self { len, blocks: BTreeMap::new(), left: AtomicU64::new(u64::MAX), reads: AtomicU64::new(0) }
    }
    pub fn of(bytes: &[u8]) -> Self {
        let mut disk = Self::empty(bytes.len() as u64);
        disk.put(0, bytes);
        disk
    }
    pub fn size(&self) -> u64 {
        self.len
    }
    /// With no more than `bytes` to be read from it.
    pub fn with_allowance(self, bytes: u64) -> Self {
        self.left.store(bytes, Ordering::Relaxed);
        self
    }
    /// Whether more was read than was allowed.
    pub fn is_exhausted(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
    /// Calls of `read_at` so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
    /// Bytes at a place; zeros where the disk has none.
    pub fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.fill(at, &mut out);
        out
    }
    fn fill(&self, at: u64, out: &mut [u8]) {
        let end = at.saturating_add(out.len() as u64);
        for (start, block) in self.blocks.range(at.saturating_sub(at % BLOCK)..end) {
            let (from, to) = (at.max(*start), end.min(start.saturating_add(BLOCK)));
            let (here, there) = ((from - at) as usize, (from - start) as usize);
            let n = (to - from) as usize;
            out[here..here + n].copy_from_slice(&block[there..there + n]);
        }
    }
    /// Writes within the disk; what lies behind its end is dropped.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        let end = at.saturating_add(bytes.len() as u64).min(self.len);
        let mut here = at;
        while here < end {
            let start = here - here % BLOCK;
            let upto = end.min(start + BLOCK);
            let part = &bytes[(here - at) as usize..(upto - at) as usize];
            if self.blocks.contains_key(&start) || part.iter().any(|b| *b != 0) {
                let block = self.blocks.entry(start).or_insert_with(|| Arc::new(vec![0; BLOCK as usize]));
                let from = (here - start) as usize;
                Arc::make_mut(block)[from..from + part.len()].copy_from_slice(part);
            }
            here = upto;
        }
    }
    /// Byte offsets of all `step`s that hold something, in order; `step` divides a block or is a multiple of it.
    pub fn used(&self, step: usize) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        for (start, block) in &self.blocks {
            if step as u64 >= BLOCK {
                found.push(start - start % step as u64);
            } else {
                let parts = block.chunks(step).enumerate().filter(|(_, p)| p.iter().any(|b| *b != 0));
                found.extend(parts.map(|(n, _)| start + (n * step) as u64));
            }
        }
        found.dedup();
        found.retain(|at| *at < self.len);
        found
    }
    pub fn u16(&self, at: u64) -> u64 {
        u64::from(u16::from_le_bytes(self.get(at, 2).try_into().unwrap_or_default()))
    }
    pub fn u32(&self, at: u64) -> u64 {
        u64::from(u32::from_le_bytes(self.get(at, 4).try_into().unwrap_or_default()))
    }
    pub fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().unwrap_or_default())
    }
    /// The disk as a seed: its length, and what is not zero.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.len.to_le_bytes());
        for (start, block) in &self.blocks {
            let mut at = 0;
            while let Some(from) = block[at..].iter().position(|b| *b != 0).map(|n| n + at) {
                let mut to = from;
                while let Some(next) = block[to..].iter().take(WORTH).position(|b| *b != 0) {
                    to += next + 1;
                }
                out.extend_from_slice(&(start + from as u64).to_le_bytes());
                out.extend_from_slice(&u32::try_from(to - from).unwrap_or_default().to_le_bytes());
                out.extend_from_slice(&block[from..to]);
                at = to;
            }
        }
        out
    }
    /// A packed disk, or the bytes as they are.
    pub fn unpack(bytes: &[u8]) -> Self {
        let Some((head, mut rest)) = bytes.strip_prefix(MAGIC).and_then(|b| b.split_first_chunk::<8>()) else {
            return Self::of(bytes);
        };
        let mut disk = Self::empty(u64::from_le_bytes(*head).min(MAX_LEN));
        while let Some((at, more)) = rest.split_first_chunk::<8>() {
            let Some((len, more)) = more.split_first_chunk::<4>() else { break };
            let len = (u32::from_le_bytes(*len) as usize).min(more.len());
            disk.put(u64::from_le_bytes(*at), &more[..len]);
            rest = &more[len..];
        }
        disk
    }
}

impl ReadAt for Disk {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let n = (buf.len() as u64).min(self.len.saturating_sub(offset));
        let took = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(n)));
        if took.is_ok_and(|left| left < n || left == 0) {
            return Err(ReadError { offset, what: "the allowance of this run is used up".to_owned() });
        }
        let n = n as usize;
        buf[..n].fill(0);
        self.fill(offset, &mut buf[..n]);
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let len = bytes.len.min(self.len.saturating_sub(bytes.offset));
        vec![Piece { image: 0, offset: bytes.offset, len, kind: PieceKind::Stored }]
    }
}
