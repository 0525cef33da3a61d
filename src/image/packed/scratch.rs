//! Decoded pieces that lie in a temporary file, since decoding could begin nowhere near them and memory has no room.
//!
//! The file is the parent's: it has no name, ends with this process, and is as long as the parent allows. Where it is
//! refused or full, pieces are decoded again as they are read.
use super::store::Store;

/// A temporary file.
pub trait Scratch: Send + Sync {
    /// Bytes that may be written to it, 0 where there is none. Asking makes it.
    fn room(&self) -> u64;
    /// `false` if not all of it was written: nothing more is tried then.
    fn write(&self, offset: u64, bytes: &[u8]) -> bool;
    /// `false` if not all of it could be read.
    fn read(&self, offset: u64, out: &mut [u8]) -> bool;
    /// It has no more room, or cannot be written: the examiner is to know.
    fn is_over(&self);
    /// So many bytes were decoded by somebody who has nothing to tell yet.
    fn goes_on(&self, bytes: u64);
}

/// Pieces that are allotted at once.
const CHUNK: u64 = 16;

/// What one stream has of the file.
pub(super) struct Lease {
    store: Store,
    /// Bytes of a piece.
    piece: u64,
    /// Where they lie in the file.
    chunks: Vec<u64>,
    /// Pieces that were put there.
    used: u64,
}

impl Lease {
    pub(super) fn new(store: &Store, piece: u64) -> Self {
        Self { store: store.clone(), piece, chunks: Vec::new(), used: 0 }
    }
    /// Writes a piece; gives where it lies.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<u64> {
        let len = self.piece.checked_mul(CHUNK)?;
        let number = self.used.checked_div(CHUNK)?;
        if number >= self.chunks.len() as u64 {
            self.chunks.push(self.store.allot(len)?);
        }
        let chunk = self.chunks.get(usize::try_from(number).ok()?)?;
        let at = chunk.checked_add(self.used.checked_rem(CHUNK)?.checked_mul(self.piece)?)?;
        self.store.write(at, bytes).then(|| {
            self.used = self.used.saturating_add(1);
            at
        })
    }
    pub(super) fn used(&self) -> u64 {
        self.used
    }
    /// What was put there since `used` was this is not wanted any more.
    pub(super) fn back_to(&mut self, used: u64) {
        self.used = self.used.min(used);
    }
}
impl Drop for Lease {
    fn drop(&mut self) {
        self.store.allot_again(std::mem::take(&mut self.chunks));
    }
}
