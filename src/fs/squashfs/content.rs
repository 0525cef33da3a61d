//! A file's bytes: blocks that are stored, compressed or holes, and a tail that may stand in a fragment
//! block together with those of other files.
use super::Volume;
use super::inode::FileAt;
use super::tables::{Fragment, fragment};
use crate::base::{Piece, PieceKind, Run};
use crate::fs::raw::size;
use crate::image::{ReadAt, ReadError, pieces, read_exact};
use std::sync::Arc;

/// In the word that is a block's size: stored as it is.
const PLAIN: u32 = 1 << 24;
/// Blocks of one file whose sizes are kept; what lies beyond them is lost. A terabyte in blocks of 128 KiB.
const MAX_BLOCKS: u64 = 8 << 20;
/// Between places that are kept of every file: blocks.
const STEP: usize = 64;
/// Sizes read at once.
const READ: u64 = 2048;

pub(super) struct Content {
    volume: Arc<Volume>,
    /// Bytes.
    len: u64,
    /// Blocks before the tail.
    count: u64,
    /// Of the blocks, as far as they could be read.
    words: Vec<u32>,
    /// Byte of the volume of each [`STEP`]th block.
    places: Vec<u64>,
    tail: Option<(Result<Fragment, String>, u32)>,
    /// Why not all sizes are known.
    lost: String,
}

enum Part {
    Hole,
    Lost(String),
    /// From this byte of the volume.
    Plain(u64),
    /// A compressed block, and the first of its decoded bytes that belongs here.
    Packed(Run, u64),
}

impl Content {
    pub(super) fn new(volume: &Arc<Volume>, file: &FileAt<'_>) -> Self {
        let block = u64::from(volume.superblock.block);
        let count = if file.fragment.is_some() { file.len / block } else { file.len.div_ceil(block) };
        let mut words = Vec::new();
        let mut lost = String::new();
        let wanted = count.min(MAX_BLOCKS);
        let mut cursor = file.sizes;
        let number: fn([u8; 4]) -> u32 = if cursor.is_big() { u32::from_be_bytes } else { u32::from_le_bytes };
        while (words.len() as u64) < wanted {
            let n = wanted.saturating_sub(words.len() as u64).min(READ);
            let mut before = cursor;
            match cursor.bytes(size(n.saturating_mul(4))) {
                Ok(bytes) => {
                    words.extend(bytes.chunks_exact(4).filter_map(|w| w.first_chunk().map(|w| number(*w))));
                }
                Err(e) => {
                    // What stands before the damage still counts.
                    while let Ok(word) = before.u32() {
                        words.push(word);
                    }
                    lost = format!("list of the file's blocks: {e}");
                    break;
                }
            }
        }
        if lost.is_empty() && wanted < count {
            lost = "budget: blocks of one file".to_owned();
        }
        let mut at = file.start;
        let mut places = Vec::with_capacity(words.len() / STEP);
        for (n, word) in words.iter().enumerate() {
            if n % STEP == 0 {
                places.push(at);
            }
            at = at.saturating_add(u64::from(word & !PLAIN));
        }
        let tail = file.fragment.map(|(number, from)| (fragment(volume, number).map_err(|e| e.to_string()), from));
        Self { volume: volume.clone(), len: file.len, count, words, places, tail, lost }
    }
    fn block(&self) -> u64 {
        u64::from(self.volume.superblock.block)
    }
    /// What block `number` (or the tail, behind the last) is.
    fn part(&self, number: u64) -> Part {
        if number >= self.count {
            return match &self.tail {
                Some((Ok(f), from)) => self.stored(f.start, f.word, u64::from(*from), "fragment"),
                Some((Err(e), _)) => Part::Lost(format!("fragment of the file: {e}")),
                None => Part::Lost("no block for this part of the file".to_owned()),
            };
        }
        let index = size(number);
        let near = index / STEP;
        let first = near.saturating_mul(STEP);
        match (self.words.get(index), self.words.get(first..index), self.places.get(near)) {
            (Some(0), _, _) => Part::Hole,
            (Some(word), Some(before), Some(place)) => {
                let place = before.iter().fold(*place, |at, w| at.saturating_add(u64::from(w & !PLAIN)));
                self.stored(place, *word, 0, "block")
            }
            _ => Part::Lost(self.lost.clone()),
        }
    }
    fn stored(&self, place: u64, word: u32, from: u64, what: &str) -> Part {
        let len = u64::from(word & !PLAIN);
        if len > self.block() || len == 0 {
            return Part::Lost(format!("{what} at volume_offset {place} has an impossible size"));
        }
        if place.saturating_add(len) > self.volume.source.len() {
            return Part::Lost(format!("{what} at volume_offset {place} lies beyond the end of the volume"));
        }
        if word & PLAIN == 0 {
            Part::Packed(Run::new(place, len), from)
        } else {
            Part::Plain(place.saturating_add(from))
        }
    }
    /// Bytes of block `number` that are the file's.
    fn bytes(&self, number: u64) -> u64 {
        self.block().min(self.len.saturating_sub(number.saturating_mul(self.block())))
    }
    /// The number of bytes that stand behind the beginning of a plain part, at most.
    fn plain_len(&self, number: u64) -> u64 {
        match (&self.tail, usize::try_from(number).ok().filter(|_| number < self.count)) {
            (_, Some(index)) => u64::from(self.words.get(index).copied().unwrap_or(0) & !PLAIN),
            (Some((Ok(f), from)), None) => u64::from(f.word & !PLAIN).saturating_sub(u64::from(*from)),
            _ => 0,
        }
    }
    fn copy(&self, number: u64, into: u64, to: &mut [u8]) -> Result<(), String> {
        let short = |at: u64| format!("block at volume_offset {at} holds less than the file has there");
        match self.part(number) {
            Part::Hole => to.fill(0),
            Part::Lost(why) => return Err(why),
            Part::Plain(at) => {
                if into.saturating_add(to.len() as u64) > self.plain_len(number) {
                    return Err(short(at));
                }
                let read = self.volume.source.read_at(at.saturating_add(into), to).map_err(|e| e.to_string())?;
                if read != to.len() {
                    return Err(short(at));
                }
            }
            Part::Packed(run, from) => {
                let skip = from.saturating_add(into);
                // A whole block is wanted once, a part of one and a fragment more often.
                let whole = number < self.count && into == 0 && to.len() as u64 == self.bytes(number);
                let decoded = if whole { Arc::new(self.volume.decode(run)?) } else { self.volume.kept(run)? };
                let end = skip.saturating_add(to.len() as u64);
                to.copy_from_slice(decoded.get(size(skip)..size(end)).ok_or_else(|| short(run.offset))?);
            }
        }
        Ok(())
    }
}

impl Volume {
    fn decode(&self, run: Run) -> Result<Vec<u8>, String> {
        let stored = read_exact(&*self.source, run.offset, size(run.len)).map_err(|e| e.to_string())?;
        let stored = stored.ok_or_else(|| "a block lies beyond the end of the volume".to_owned())?;
        let cap = usize::try_from(self.superblock.block).unwrap_or(0);
        let failed = |e| format!("compressed block at volume_offset {}: {e}", run.offset);
        self.codec.decode(&stored, cap).map_err(failed)
    }
    fn kept(&self, run: Run) -> Result<Arc<Vec<u8>>, String> {
        // The length belongs to the key: damaged tables may give one place several.
        match run.offset.checked_mul(1 << 21).filter(|_| run.offset < 1 << 42) {
            Some(key) => self.blocks.get(key | run.len, || self.decode(run)),
            None => self.decode(run).map(Arc::new),
        }
    }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.len.saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let (number, into) = (at / self.block(), at % self.block());
            let rest = size(self.bytes(number).saturating_sub(into));
            let end = done.saturating_add(rest).min(total);
            let Some(part) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else { break };
            self.copy(number, into, part).map_err(|what| ReadError { offset: at, what })?;
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        let source = &self.volume.source;
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        // Byte of the volume behind the last compressed block.
        let mut next = None;
        while at < end {
            let (number, into) = (at / self.block(), at % self.block());
            let len = self.bytes(number).saturating_sub(into).min(end.saturating_sub(at));
            let mut behind = None;
            match self.part(number) {
                Part::Hole => push(&mut out, Piece { image: 0, offset: 0, len, kind: PieceKind::Hole }),
                // Nothing can be read here; a read says why.
                Part::Lost(_) if number < self.count && !self.lost.is_empty() && size(number) >= self.words.len() => {
                    // So is all up to the tail.
                    let len = self.count.saturating_mul(self.block()).min(end).saturating_sub(at);
                    push(&mut out, Piece { image: 0, offset: 0, len, kind: PieceKind::Absent });
                    at = at.saturating_add(len);
                    next = None;
                    continue;
                }
                Part::Lost(_) => push(&mut out, Piece { image: 0, offset: 0, len, kind: PieceKind::Absent }),
                Part::Plain(from) => {
                    out.extend(pieces(&**source, Run::new(from.saturating_add(into), len)));
                }
                Part::Packed(run, _) => {
                    behind = (number < self.count).then(|| run.end());
                    match out.last_mut() {
                        Some(last) if next == Some(run.offset) => last.len = last.len.saturating_add(len),
                        _ => {
                            let first = source.locate(run).first().map_or((0, run.offset), |p| (p.image, p.offset));
                            out.push(Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded });
                        }
                    }
                }
            }
            next = behind;
            at = at.saturating_add(len);
        }
        out
    }
}

/// Adds a piece without bytes in the image, to the last one where that is of its kind.
fn push(out: &mut Vec<Piece>, piece: Piece) {
    match out.last_mut() {
        Some(last) if last.kind == piece.kind => last.len = last.len.saturating_add(piece.len),
        _ => out.push(piece),
    }
}
