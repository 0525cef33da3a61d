//! A decoded stream as a source. Opening decodes all of it once, to learn its length; what the store has room for
//! stays decoded, and what lies far from every place at which decoding can begin lies in a temporary file; the rest is
//! decoded again piece by piece as it is read, by one decoder at a time.
use super::codec::Codec;
use super::decoder::{Decoder, Stop, decoded};
use super::marks::Places;
use super::scratch::Lease;
use super::store::Store;
use super::xz;
use crate::base::{Piece, Run, is_zero};
use crate::image::{ReadAt, ReadError, Source};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Bytes of a piece.
const PIECE: usize = 1 << 20;
/// Output beyond this many times the input is no content but a trap, from so many bytes on.
const RATIO: u64 = 1000;
const FREE: u64 = 32 << 20;
/// Bytes of output that may be decoded for nothing on the way to what is read.
const NEAR: u64 = 64 << 20;

/// Where a piece is, once it was decoded.
enum Kept {
    Nowhere,
    /// It is all zeros.
    Zeros,
    Memory(Box<[u8]>),
    /// At this byte of the temporary file.
    File(u64),
}

/// Which pieces go into the temporary file: those that follow a place at which decoding can begin, if the next such
/// place is far.
struct Far {
    /// Whether there may be any.
    is_wanted: bool,
    lease: Lease,
    /// The last place, as a byte of the output.
    place: u64,
    /// The first piece behind it, and what was in the file before.
    first: usize,
    used: u64,
}
impl Far {
    fn new(source: &Source, from: u64, codec: Codec, store: &Store) -> Self {
        let blocks = if codec == Codec::Xz { xz::longest_block(source, from) } else { None };
        let is_wanted = !codec.can_be_saved() && blocks.is_none_or(|longest| longest > NEAR);
        Self { is_wanted, lease: Lease::new(store, PIECE as u64), place: 0, first: 0, used: 0 }
    }
    /// Where the piece lies, if it is wanted here.
    fn put_unless(&mut self, kept: bool, piece: &[u8]) -> Option<u64> {
        if self.is_wanted && !kept { self.lease.put(piece) } else { None }
    }
    /// What is known of places has changed.
    fn learn(&mut self, places: &mut Places, kept: &mut [Kept]) {
        let place = places.last();
        if place > self.place {
            if place.saturating_sub(self.place) <= NEAR {
                let pieces = kept.get_mut(self.first..).unwrap_or_default();
                pieces.iter_mut().filter(|k| matches!(k, Kept::File(_))).for_each(|k| *k = Kept::Nowhere);
                self.lease.back_to(self.used);
            }
            (self.place, self.first, self.used) = (place, kept.len(), self.lease.used());
        }
        // Of very long streams places are given up, until what lies between two is long.
        self.is_wanted |= places.spacing() > NEAR;
    }
}

pub(crate) struct Unpacked {
    source: Source,
    from: u64,
    codec: Codec,
    len: u64,
    /// Where the decoder's input for each piece begins.
    starts: Vec<u64>,
    /// Where each piece is, until they are released.
    kept: RwLock<Vec<Kept>>,
    /// What it has of the temporary file.
    lease: Option<Lease>,
    /// Where decoding can begin.
    places: Option<Places>,
    store: Store,
    number: u64,
    /// One decodes, the others wait and find what they want.
    turn: Mutex<()>,
}

/// A stream that was gone through once.
pub(crate) struct Opened {
    pub(crate) stream: Unpacked,
    /// Byte of the source after the stream's last member.
    pub(crate) end: u64,
    /// First byte behind it that is no padding.
    pub(crate) behind: Option<u64>,
    /// Why not all of it was decoded, and where in the source.
    pub(crate) stopped: Option<Stop>,
}

impl Unpacked {
    /// Decodes the stream at byte `from` of a source once; not more than `limit` bytes of it.
    pub(crate) fn open(source: &Source, from: u64, codec: Codec, limit: u64, store: &Store) -> Opened {
        let mut stream = Self {
            source: source.clone(),
            from,
            codec,
            len: 0,
            starts: Vec::new(),
            kept: RwLock::default(),
            lease: None,
            places: None,
            store: store.clone(),
            number: store.number(),
            turn: Mutex::default(),
        };
        let mut decoder = Decoder::new(source, from, source.len(), codec);
        let mut places = Places::new(&mut decoder);
        let mut far = Far::new(source, from, codec, store);
        let mut keeping = true;
        let mut kept = Vec::new();
        let mut spare = Vec::new();
        let stopped = loop {
            let start = decoder.position();
            let mut piece = std::mem::take(&mut spare);
            if piece.is_empty() {
                // Not resized: fresh pages are zero.
                piece = vec![0; PIECE];
            }
            piece.resize(PIECE, 0);
            let (n, result) = decoder.read(&mut piece);
            let consumed = decoder.position().saturating_sub(from);
            let after = stream.len.saturating_add(n as u64);
            let over = if after > limit {
                Some(format!("budget: {limit} decoded bytes"))
            } else if after > FREE.max(consumed.saturating_mul(RATIO)) {
                Some(format!("budget: ratio, {after} bytes out of {consumed}"))
            } else {
                None
            };
            piece.truncate(n);
            if n > 0 {
                stream.starts.push(start);
                stream.len = after;
                store.goes_on(n as u64);
                if is_zero(&piece) {
                    kept.push(Kept::Zeros);
                } else {
                    keeping = keeping && store.take(n as u64);
                    kept.push(match far.put_unless(keeping, &piece) {
                        Some(at) => Kept::File(at),
                        None if keeping => Kept::Memory(std::mem::take(&mut piece).into_boxed_slice()),
                        None => Kept::Nowhere,
                    });
                }
            }
            spare = piece;
            places.gather(&mut decoder, source, codec, store);
            far.learn(&mut places, &mut kept);
            match (result, over) {
                (Err(stop), _) => break Some(stop),
                (Ok(()), Some(what)) => break Some((decoder.position(), what)),
                (Ok(()), None) if n < PIECE => break None,
                (Ok(()), None) => {}
            }
        };
        stream.kept = RwLock::new(kept);
        (stream.places, stream.lease) = (Some(places), Some(far.lease));
        let (end, behind) = if stopped.is_none() { (decoder.end, decoder.behind) } else { (source.len(), None) };
        Opened { stream, end, behind, stopped }
    }
    #[cfg(test)]
    pub(super) fn kept_in_file(&self) -> usize {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|k| matches!(k, Kept::File(_))).count()
    }
    pub(crate) fn is_nothing(&self) -> bool {
        self.len == 0
    }
    /// Bytes of a piece, by its number.
    fn len_of(&self, piece: u64) -> usize {
        let start = piece.saturating_mul(PIECE as u64);
        usize::try_from(self.len.saturating_sub(start)).unwrap_or(usize::MAX).min(PIECE)
    }
    /// A decoder at the start of a piece, this one or one before it.
    fn near(&self, wanted: u64) -> Result<(u64, Decoder), String> {
        let start = wanted.saturating_mul(PIECE as u64);
        let place = self.places.as_ref().and_then(|p| p.before(start));
        let reached = place.as_ref().map_or(0, |(out, ..)| out / PIECE as u64);
        // One on its way is better where it is not further off.
        if let Some(found) = self.store.decoder(self.number, wanted, reached) {
            return Ok(found);
        }
        let Some((out, position, steps)) = place else {
            return Ok((0, Decoder::new(&self.source, self.from, self.source.len(), self.codec)));
        };
        let mut decoder = Decoder::resume(&self.source, self.codec, position, steps);
        let next = out.div_ceil(PIECE as u64);
        let mut skipped = vec![0; usize::try_from(next.saturating_mul(PIECE as u64).saturating_sub(out)).unwrap_or(0)];
        let (n, result) = decoder.read(&mut skipped);
        if n < skipped.len() {
            return Err(result.err().map_or_else(|| "the stream is shorter than before".to_owned(), |s| s.1));
        }
        Ok((next, decoder))
    }
    /// A piece that is not kept.
    fn decode(&self, wanted: u64) -> Result<Arc<Vec<u8>>, String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = self.store.recent(self.number, wanted) {
            return Ok(bytes);
        }
        let (mut next, mut decoder) = self.near(wanted)?;
        loop {
            let mut bytes = vec![0; self.len_of(next)];
            let (n, result) = decoder.read(&mut bytes);
            if n < bytes.len() {
                return Err(result.err().map_or_else(|| "the stream is shorter than before".to_owned(), |s| s.1));
            }
            let bytes = Arc::new(bytes);
            self.store.note(self.number, next, bytes.clone());
            let this = next;
            next = next.saturating_add(1);
            if this == wanted {
                self.store.put_back(self.number, next, decoder);
                return Ok(bytes);
            }
        }
    }
}

/// Fills `out` from byte `inside` of a piece; `false` if it has not as many.
fn copy(piece: &[u8], inside: usize, out: &mut [u8]) -> bool {
    let piece = piece.get(inside..).and_then(|p| p.get(..out.len()));
    piece.map(|p| out.copy_from_slice(p)).is_some()
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        self.store.give_back_places(self.places.as_ref().map_or(0, Places::taken));
        self.release();
    }
}

impl ReadAt for Unpacked {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let wanted = buf.len().min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut done = 0_usize;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let (number, inside) = (at / PIECE as u64, usize::try_from(at % PIECE as u64).unwrap_or(0));
            let out = buf.get_mut(done..wanted).unwrap_or_default();
            let n = self.len_of(number).saturating_sub(inside).min(out.len());
            let Some(out) = out.get_mut(..n).filter(|o| !o.is_empty()) else { break };
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            let is_there = match usize::try_from(number).ok().and_then(|n| kept.get(n)) {
                Some(Kept::Zeros) => {
                    out.fill(0);
                    true
                }
                Some(Kept::Memory(piece)) => copy(piece, inside, out),
                Some(Kept::File(start)) => self.store.read(start.saturating_add(inside as u64), out),
                Some(Kept::Nowhere) | None => false,
            };
            drop(kept);
            if !is_there {
                // Also where the temporary file could not be read.
                let piece = self.decode(number).map_err(|what| ReadError { offset: at, what })?;
                if !copy(&piece, inside, out) {
                    break;
                }
            }
            done = done.saturating_add(n);
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        let mut pieces = Vec::new();
        while at < end {
            let number = at / PIECE as u64;
            let len = number.saturating_add(1).saturating_mul(PIECE as u64).min(end).saturating_sub(at).max(1);
            let start = usize::try_from(number).ok().and_then(|n| self.starts.get(n)).copied().unwrap_or(self.from);
            pieces.push(decoded(self.source.locate(Run::new(start, 1)).first().copied(), len));
            at = at.saturating_add(len);
        }
        pieces
    }
    fn release(&self) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let mut freed = 0_u64;
        for piece in kept.iter_mut() {
            if let Kept::Memory(bytes) = piece {
                freed = freed.saturating_add(bytes.len() as u64);
                *piece = Kept::Nowhere;
            }
        }
        self.store.give_back(freed);
    }
}
