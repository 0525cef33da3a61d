//! What all decoded streams of an examination may keep in memory together.
use super::decoder::Decoder;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Decoded bytes that stay in memory from a stream's opening on.
const KEPT: u64 = 192 << 20;
/// Pieces of longer streams that were decoded last, and decoders on their way through one.
const RECENT: usize = 48;
const DECODERS: usize = 4;

/// Cheap to clone; all clones share one allowance.
#[derive(Clone)]
pub struct Store(Arc<Inner>);
struct Inner {
    left: AtomicU64,
    next: AtomicU64,
    /// The one used last in front.
    recent: Mutex<VecDeque<((u64, u64), Arc<Vec<u8>>)>>,
    /// Stream, piece that comes next, decoder; the one used last in front.
    decoders: Mutex<VecDeque<(u64, u64, Decoder)>>,
}
impl Default for Store {
    fn default() -> Self {
        let (recent, decoders) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { left: AtomicU64::new(KEPT), next: AtomicU64::new(0), recent, decoders }))
    }
}

impl Store {
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
    /// The decoder of a stream that is closest before a piece.
    pub(super) fn decoder(&self, stream: u64, piece: u64) -> Option<(u64, Decoder)> {
        let mut all = self.0.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = all.iter().enumerate().filter(|(_, (s, next, _))| *s == stream && *next <= piece);
        let at = of_it.max_by_key(|(_, (_, next, _))| *next).map(|(at, _)| at)?;
        all.remove(at).map(|(_, next, decoder)| (next, decoder))
    }
    pub(super) fn put_back(&self, stream: u64, next: u64, decoder: Decoder) {
        let mut all = self.0.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front((stream, next, decoder));
        all.truncate(DECODERS);
    }
}
