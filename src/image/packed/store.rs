//! What all decoded streams of an examination may keep in memory together.
use super::decoder::Decoder;
use super::scratch::Scratch;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Decoded bytes that stay in memory from a stream's opening on.
const KEPT: u64 = 192 << 20;
/// Bytes that places in streams may take, at which decoding can begin.
const PLACES: u64 = 128 << 20;
/// Pieces of longer streams that were decoded last, and decoders on their way through one.
const RECENT: usize = 48;
const DECODERS: usize = 4;

/// Cheap to clone; all clones share one allowance.
#[derive(Clone)]
pub struct Store(Arc<Inner>);
struct Inner {
    left: AtomicU64,
    places: AtomicU64,
    next: AtomicU64,
    /// The one used last in front.
    recent: Mutex<VecDeque<((u64, u64), Arc<Vec<u8>>)>>,
    /// Stream, piece that comes next, decoder; the one used last in front.
    decoders: Mutex<VecDeque<(u64, u64, Decoder)>>,
    scratch: Option<Arc<dyn Scratch>>,
    allotted: Mutex<Allotted>,
}
/// What of the temporary file is in use.
#[derive(Default)]
struct Allotted {
    /// The first byte that was never in use.
    next: u64,
    /// Parts that are in use no more, of one length.
    free: Vec<u64>,
    /// Writing failed.
    is_over: bool,
}
impl Default for Store {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Store {
    /// A store with a temporary file for what finds no room in memory.
    pub fn new(scratch: Option<Arc<dyn Scratch>>) -> Self {
        Self::of(KEPT, scratch)
    }
    /// A store that keeps so many bytes of streams decoded for good.
    pub(super) fn of(kept: u64, scratch: Option<Arc<dyn Scratch>>) -> Self {
        let (recent, decoders, allotted) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner {
            scratch,
            allotted,
            left: AtomicU64::new(kept),
            places: AtomicU64::new(PLACES),
            next: AtomicU64::new(0),
            recent,
            decoders,
        }))
    }
    /// A number for a stream.
    pub(super) fn number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }
    /// Whether so many bytes more may be kept for good.
    pub(super) fn take(&self, bytes: u64) -> bool {
        self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
    /// Such bytes are kept no more.
    pub(super) fn give_back(&self, bytes: u64) {
        self.0.left.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Whether places may take so many bytes more.
    pub(super) fn take_places(&self, bytes: u64) -> bool {
        self.0.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
    pub(super) fn give_back_places(&self, bytes: u64) {
        self.0.places.fetch_add(bytes, Ordering::Relaxed);
    }
    /// A part of the temporary file, of the length that all parts have.
    pub(super) fn allot(&self, len: u64) -> Option<u64> {
        let mut allotted = self.0.allotted.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = self.0.scratch.as_ref().filter(|_| !allotted.is_over)?;
        if let Some(at) = allotted.free.pop() {
            return Some(at);
        }
        let (at, room) = (allotted.next, scratch.room());
        if let Some(end) = at.checked_add(len).filter(|end| *end <= room) {
            allotted.next = end;
            return Some(at);
        }
        allotted.is_over = true;
        if room > 0 {
            scratch.is_over();
        }
        None
    }
    pub(super) fn allot_again(&self, parts: Vec<u64>) {
        self.0.allotted.lock().unwrap_or_else(PoisonError::into_inner).free.extend(parts);
    }
    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> bool {
        let Some(scratch) = &self.0.scratch else { return false };
        let allotted = || self.0.allotted.lock().unwrap_or_else(PoisonError::into_inner);
        if allotted().is_over {
            return false;
        }
        let done = scratch.write(at, bytes);
        if !done && !std::mem::replace(&mut allotted().is_over, true) {
            scratch.is_over();
        }
        done
    }
    pub(super) fn read(&self, at: u64, out: &mut [u8]) -> bool {
        self.0.scratch.as_ref().is_some_and(|s| s.read(at, out))
    }
    /// So many bytes were decoded.
    pub(super) fn goes_on(&self, bytes: u64) {
        if let Some(scratch) = &self.0.scratch {
            scratch.goes_on(bytes);
        }
    }
    pub(super) fn recent(&self, stream: u64, piece: u64) -> Option<Arc<Vec<u8>>> {
        let mut all = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(key, _)| *key == (stream, piece))?;
        let found = all.remove(at)?;
        let bytes = found.1.clone();
        all.push_front(found);
        Some(bytes)
    }
    pub(super) fn note(&self, stream: u64, piece: u64, bytes: Arc<Vec<u8>>) {
        let mut all = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front(((stream, piece), bytes));
        all.truncate(RECENT);
    }
    /// The decoder of a stream that is closest before a piece, and not before `from`.
    pub(super) fn decoder(&self, stream: u64, piece: u64, from: u64) -> Option<(u64, Decoder)> {
        let mut all = self.0.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = all.iter().enumerate().filter(|(_, (s, next, _))| *s == stream && (from..=piece).contains(next));
        let at = of_it.max_by_key(|(_, (_, next, _))| *next).map(|(at, _)| at)?;
        all.remove(at).map(|(_, next, decoder)| (next, decoder))
    }
    pub(super) fn put_back(&self, stream: u64, next: u64, decoder: Decoder) {
        let mut all = self.0.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front((stream, next, decoder));
        all.truncate(DECODERS);
    }
}
