//! A decoded stream as a source. Opening decodes all of it once, to learn its length; what the store has room for
//! stays decoded, the rest is decoded again piece by piece as it is read, by one decoder at a time.
use super::codec::Codec;
use super::decoder::{Decoder, Stop, decoded};
use super::marks::Places;
use super::store::Store;
use crate::base::{Piece, Run};
use crate::image::{ReadAt, ReadError, Source};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a piece.
const PIECE: usize = 1 << 20;
/// Output beyond this many times the input is no content but a trap, from so many bytes on.
const RATIO: u64 = 1000;
const FREE: u64 = 32 << 20;

pub(crate) struct Unpacked {
    source: Source,
    from: u64,
    codec: Codec,
    len: u64,
    /// Where the decoder's input for each piece begins.
    starts: Vec<u64>,
    /// The first pieces.
    kept: Vec<Vec<u8>>,
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
            kept: Vec::new(),
            places: None,
            store: store.clone(),
            number: store.number(),
            turn: Mutex::default(),
        };
        let mut decoder = Decoder::new(source, from, source.len(), codec);
        let mut places = Places::new(&mut decoder);
        let mut keeping = true;
        let mut spare = Vec::new();
        let stopped = loop {
            let start = decoder.position();
            let mut piece = std::mem::take(&mut spare);
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
                keeping = keeping && store.take(n as u64);
            }
            if keeping && n > 0 {
                piece.shrink_to_fit();
                stream.kept.push(piece);
            } else {
                spare = piece;
            }
            places.gather(&mut decoder, source, codec, store);
            match (result, over) {
                (Err(stop), _) => break Some(stop),
                (Ok(()), Some(what)) => break Some((decoder.position(), what)),
                (Ok(()), None) if n < PIECE => break None,
                (Ok(()), None) => {}
            }
        };
        stream.places = Some(places);
        let (end, behind) = if stopped.is_none() { (decoder.end, decoder.behind) } else { (source.len(), None) };
        Opened { stream, end, behind, stopped }
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

impl Drop for Unpacked {
    fn drop(&mut self) {
        self.store.give_back_places(self.places.as_ref().map_or(0, Places::taken));
        self.store.give_back(self.kept.iter().map(|p| p.len() as u64).fold(0, u64::saturating_add));
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
            let decoded;
            let piece = if let Some(kept) = usize::try_from(number).ok().and_then(|n| self.kept.get(n)) {
                kept
            } else {
                decoded = self.decode(number).map_err(|what| ReadError { offset: at, what })?;
                &*decoded
            };
            let from = piece.get(inside..).unwrap_or_default();
            let n = from.len().min(out.len());
            match (out.get_mut(..n), from.get(..n)) {
                (Some(to), Some(from)) if n > 0 => to.copy_from_slice(from),
                _ => break,
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
}
