//! One decoder on its way through a stream: input by pieces, member after member, to the end.
use super::codec::{Codec, Steps};
use super::{Store, Unpacked};
use crate::base::{Piece, PieceKind, Run};
use crate::image::{ReadAt, ReadError, Slice, Source};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Bytes of input read at once.
const INPUT: usize = 128 << 10;
/// Zeros behind a stream that are stepped over: archives are filled up to whole records, images to whole blocks.
const PADDING: u64 = 64 << 20;
/// Calls of a decoder that may in a row do nothing at all.
const IDLE: u32 = 4;

/// Why decoding stopped, and at which byte of the input.
pub(super) type Stop = (u64, String);

pub(crate) struct Decoder {
    source: Source,
    codec: Codec,
    steps: Option<Box<dyn Steps>>,
    buffer: Vec<u8>,
    /// What of the buffer is not decoded yet.
    from: usize,
    to: usize,
    /// Where in the source the buffer's end lies.
    at: u64,
    /// Where reading ends.
    stop: u64,
    is_over: bool,
    /// First byte behind the stream that is no padding.
    pub(super) behind: Option<u64>,
    /// Byte after the last member.
    pub(super) end: u64,
    /// Bytes that came out so far.
    total: u64,
    marks: Option<Marks>,
}

/// A place at which decoding can begin: byte of the output, byte of the input, and the decoder, where it is not a new
/// one.
pub(super) struct Mark {
    pub(super) out: u64,
    pub(super) position: u64,
    pub(super) steps: Option<Box<dyn Steps>>,
}

/// A member: its bytes of input, and the byte of the output at which it begins.
pub(super) struct Member {
    pub(super) input: Run,
    pub(super) out: u64,
}

/// What is noted on the way through a stream.
#[derive(Default)]
struct Marks {
    /// Bytes of output between two marks.
    spacing: u64,
    last: u64,
    found: Vec<Mark>,
    /// Where the member began that is being decoded.
    begun: (u64, u64),
    members: Vec<Member>,
}

impl Decoder {
    /// Begins at byte `from` of a source, where a stream of this kind begins; it reads to byte `stop` at most.
    pub(crate) fn new(source: &Source, from: u64, stop: u64, codec: Codec) -> Self {
        Self {
            source: source.clone(),
            codec,
            steps: None,
            buffer: Vec::new(),
            from: 0,
            to: 0,
            at: from,
            stop: stop.min(source.len()),
            is_over: false,
            behind: None,
            end: from,
            total: 0,
            marks: None,
        }
    }
    /// Goes on from a mark.
    pub(super) fn resume(source: &Source, codec: Codec, position: u64, steps: Option<Box<dyn Steps>>) -> Self {
        Self { steps, ..Self::new(source, position, source.len(), codec) }
    }
    /// Notes from now on where decoding could begin, every so many bytes of output.
    pub(super) fn mark(&mut self, spacing: u64) {
        let begun = (self.position(), self.total);
        self.marks.get_or_insert_with(|| Marks { begun, ..Marks::default() }).spacing = spacing;
    }
    /// What was noted since it was asked for last.
    pub(super) fn take_marks(&mut self) -> (Vec<Mark>, Vec<Member>) {
        self.marks.as_mut().map(|m| (std::mem::take(&mut m.found), std::mem::take(&mut m.members))).unwrap_or_default()
    }
    /// Notes this place, if it is time to and possible.
    fn note(&mut self, begins: bool) {
        let position = self.position();
        let Some(marks) = self.marks.as_mut().filter(|m| self.total >= m.last.saturating_add(m.spacing)) else {
            return;
        };
        let saved = if begins { None } else { self.steps.as_ref().and_then(|s| s.save()) };
        if begins || saved.is_some() {
            marks.last = self.total;
            marks.found.push(Mark { out: self.total, position, steps: saved });
        }
    }
    /// The byte of the source that is decoded next.
    pub(super) fn position(&self) -> u64 {
        self.at.saturating_sub(self.to.saturating_sub(self.from) as u64)
    }
    fn input(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }
    /// Reads more input behind what is left of it; `false` at its end.
    fn refill(&mut self) -> Result<bool, Stop> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; INPUT.min(usize::try_from(self.stop.saturating_sub(self.at)).unwrap_or(INPUT))];
        }
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to.saturating_sub(self.from));
        let left = usize::try_from(self.stop.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = self.buffer.get_mut(self.to..).unwrap_or_default();
        let want = left.min(room.len());
        let n = self.source.read_at(self.at, room.get_mut(..want).unwrap_or_default());
        let n = n.map_err(|e| (e.offset, e.what))?;
        self.to = self.to.saturating_add(n);
        self.at = self.at.saturating_add(n as u64);
        Ok(n > 0)
    }
    /// Fills `out` as far as the stream goes. What was decoded before a failure is in `out` all the same.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> (usize, Result<(), Stop>) {
        let mut done = 0_usize;
        let result = self.fill(out, &mut done);
        if result.is_err() {
            self.is_over = true;
        }
        (done, result)
    }
    fn fill(&mut self, out: &mut [u8], done: &mut usize) -> Result<(), Stop> {
        let mut idle = 0_u32;
        while *done < out.len() && !self.is_over {
            if self.input().is_empty() {
                self.refill()?;
            }
            let last = self.at >= self.stop;
            let here = self.position();
            if self.steps.is_none() {
                self.steps = Some(self.codec.steps().map_err(|e| (here, e))?);
            }
            let input = self.buffer.get(self.from..self.to).unwrap_or_default();
            let room = out.get_mut(*done..).unwrap_or_default();
            let Some(steps) = &mut self.steps else { break };
            let step = steps.step(input, room, last).map_err(|e| (here, e))?;
            self.from = self.from.saturating_add(step.read).min(self.to);
            *done = done.saturating_add(step.wrote).min(out.len());
            self.total = self.total.saturating_add(step.wrote as u64);
            if step.end {
                self.steps = None;
                self.end = self.position();
                let end = self.end;
                if let Some(marks) = &mut self.marks {
                    let (from, out) = marks.begun;
                    marks.members.push(Member { input: Run::new(from, end.saturating_sub(from)), out });
                }
                self.next_member()?;
                let here = (self.position(), self.total);
                if let Some(marks) = &mut self.marks {
                    marks.begun = here;
                }
                if !self.is_over {
                    self.note(true);
                }
                continue;
            }
            if self.marks.is_some() && step.wrote > 0 {
                self.note(false);
            }
            idle = if step.read == 0 && step.wrote == 0 { idle.saturating_add(1) } else { 0 };
            if idle > 0 && !last {
                self.refill()?;
            } else if last && self.input().is_empty() && step.wrote == 0 {
                return Err((self.position(), "it ends within the stream".into()));
            }
            if idle > IDLE {
                return Err((self.position(), "damaged: its decoder stands still".into()));
            }
        }
        Ok(())
    }
    /// Steps over zeros, and over frames for the user's own data, to the next member of the same kind, if one follows.
    fn next_member(&mut self) -> Result<(), Stop> {
        self.is_over = true;
        let mut left = PADDING;
        while self.codec != Codec::Deflate {
            if self.to.saturating_sub(self.from) < 16 {
                self.refill()?;
            }
            let zeros = self.input().iter().take_while(|b| **b == 0).count();
            self.from = self.from.saturating_add(zeros);
            left = left.saturating_sub(zeros as u64);
            if self.position() >= self.stop {
                break;
            }
            let here = self.input().len();
            if here < 16 && self.at < self.stop && left > 0 {
                continue;
            }
            if let Some(len) = self.skippable() {
                // RFC 8878, 3.1.2.
                let skip = usize::try_from(len).unwrap_or(usize::MAX).min(here);
                self.from = self.from.saturating_add(skip);
                if skip == here {
                    self.at = self.at.saturating_add(len.saturating_sub(skip as u64)).min(self.stop);
                }
                self.end = self.position();
                continue;
            }
            if Codec::recognise(self.input()) == Some(self.codec) {
                self.is_over = false;
            } else {
                self.behind = Some(self.position());
            }
            break;
        }
        Ok(())
    }
    /// Bytes of the skippable frame that begins here.
    fn skippable(&self) -> Option<u64> {
        let ([0x50..=0x5f, 0x2a, 0x4d, 0x18, l0, l1, l2, l3], Codec::Zstd) =
            (self.input().first_chunk::<8>()?, self.codec)
        else {
            return None;
        };
        Some(u64::from(u32::from_le_bytes([*l0, *l1, *l2, *l3])).saturating_add(8))
    }
}

/// The first `len` bytes of what a stream holds, or all of it if it is shorter; `None` if it does not decode.
pub(crate) fn peek(source: &Source, from: u64, codec: Codec, len: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; len];
    let (n, result) = Decoder::new(source, from, source.len(), codec).read(&mut out);
    out.truncate(n);
    (result.is_ok() || n > 0).then_some(out)
}

/// Times that a stream is begun again before it is taken to be read here and there.
const REWINDS: u32 = 2;

/// A stream of known length that is read from its start on, as members of zip archives are: going on costs
/// nothing, going back decodes again, and after some of that its pieces are kept as those of other streams are.
pub(crate) struct Forward {
    source: Source,
    /// Its input.
    input: Run,
    codec: Codec,
    len: u64,
    /// CRC-32 of all of it.
    sum: Option<u32>,
    store: Option<Store>,
    state: Mutex<(u32, Option<State>)>,
    whole: OnceLock<Unpacked>,
}
struct State {
    decoder: Decoder,
    at: u64,
    sum: crc32fast::Hasher,
}

impl Forward {
    /// `input` decodes to `len` bytes with the checksum `sum`, by the archive's own word.
    pub(crate) fn new(
        source: Source,
        input: Run,
        codec: Codec,
        len: u64,
        sum: Option<u32>,
        store: Option<Store>,
    ) -> Self {
        Self { source, input, codec, len, sum, store, state: Mutex::default(), whole: OnceLock::new() }
    }
    fn of_whole(whole: &Unpacked, offset: u64, out: &mut [u8]) -> Result<usize, ReadError> {
        match whole.read_at(offset, out)? {
            n if n == out.len() => Ok(n),
            n => Err(ReadError {
                offset: offset.saturating_add(n as u64),
                what: "it decodes to less than its stated size".into(),
            }),
        }
    }
    fn begin(&self) -> State {
        let decoder = Decoder::new(&self.source, self.input.offset, self.input.end(), self.codec);
        State { decoder, at: 0, sum: crc32fast::Hasher::new() }
    }
    /// Decodes the next bytes; all of `out` or an error.
    fn go_on(&self, state: &mut State, out: &mut [u8]) -> Result<(), ReadError> {
        let at = state.at;
        let (n, result) = state.decoder.read(out);
        state.at = at.saturating_add(n as u64);
        state.sum.update(out.get(..n).unwrap_or_default());
        let failed = |what: String| ReadError { offset: state.at, what };
        result.map_err(|(_, what)| failed(what))?;
        if n < out.len() {
            return Err(failed("it decodes to less than its stated size".into()));
        }
        if state.at == self.len && self.sum.is_some_and(|sum| sum != state.sum.clone().finalize()) {
            return Err(failed("its content does not match the checksum in the archive".into()));
        }
        Ok(())
    }
}

impl ReadAt for Forward {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let n = buf.len().min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let Some(out) = buf.get_mut(..n).filter(|o| !o.is_empty()) else { return Ok(0) };
        if let Some(whole) = self.whole.get() {
            return Self::of_whole(whole, offset, out);
        }
        let mut kept = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let going_on = kept.1.take().filter(|s| s.at <= offset);
        if going_on.is_none() {
            kept.0 = kept.0.saturating_add(1);
            if let Some(store) = self.store.as_ref().filter(|_| kept.0 > REWINDS.saturating_add(1)) {
                let limit = self.len.saturating_add(1);
                let part: Source = Arc::new(Slice::new(self.source.clone(), self.input));
                let whole = self.whole.get_or_init(|| Unpacked::open(&part, 0, self.codec, limit, store).stream);
                return Self::of_whole(whole, offset, out);
            }
        }
        let mut state = going_on.unwrap_or_else(|| self.begin());
        let mut skip = vec![0; usize::try_from(offset.saturating_sub(state.at).min(1 << 16)).unwrap_or(0)];
        while state.at < offset {
            let len = usize::try_from(offset.saturating_sub(state.at)).unwrap_or(usize::MAX).min(skip.len());
            self.go_on(&mut state, skip.get_mut(..len).unwrap_or_default())?;
        }
        self.go_on(&mut state, out)?;
        kept.1 = Some(state);
        Ok(n)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let len = bytes.len.min(self.len.saturating_sub(bytes.offset));
        if len == 0 {
            return Vec::new();
        }
        let place = self.source.locate(Run::new(self.input.offset, 1)).first().copied();
        vec![decoded(place, len)]
    }
}

/// A piece that comes out of a decoder whose input lies at `place`.
pub(super) fn decoded(place: Option<Piece>, len: u64) -> Piece {
    match place.filter(|p| matches!(p.kind, PieceKind::Stored | PieceKind::Decoded)) {
        Some(p) => Piece { image: p.image, offset: p.offset, len, kind: PieceKind::Decoded },
        None => Piece { image: 0, offset: 0, len, kind: PieceKind::Absent },
    }
}
