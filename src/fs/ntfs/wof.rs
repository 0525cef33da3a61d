//! A file that the Windows overlay filter compresses ("CompactOS"): its content stands in a stream of
//! its own, a table of chunks and then the chunks.
//! Format: the resources of WIM archives, as the wimlib project describes them; MS-FSCC for the
//! reparse point that names the algorithm.
use super::content::fail;
use super::huffman::Broken;
use super::raw::{size, u32_at, u64_at};
use super::{lzx, xpress};
use crate::base::{Piece, PieceKind, Run};
use crate::fs::extents::absent;
use crate::image::{ReadAt, ReadError, Source, pieces};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bytes of the table that are kept: sixteen GiB of content in the smallest chunks.
const MAX_TABLE: u64 = 16 << 20;

/// How a file is compressed, by the number in its reparse point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithm {
    chunk: u64,
    expand: fn(&[u8], usize) -> Result<Vec<u8>, Broken>,
    name: &'static str,
}
pub(super) fn algorithm(number: u32) -> Option<Algorithm> {
    let xpress = |chunk, name| Some(Algorithm { chunk, expand: xpress::expand, name });
    match number {
        0 => xpress(4 << 10, "XPRESS4K"),
        1 => Some(Algorithm { chunk: lzx::CHUNK as u64, expand: lzx::expand, name: "LZX" }),
        2 => xpress(8 << 10, "XPRESS8K"),
        3 => xpress(16 << 10, "XPRESS16K"),
        _ => None,
    }
}

pub(super) struct Overlay {
    /// The stream that holds the table and the chunks.
    stored: Source,
    /// Bytes of the content.
    len: u64,
    algorithm: Algorithm,
    table: OnceLock<Result<Vec<u8>, ReadError>>,
    /// The chunk that was expanded last.
    last: Mutex<Option<(u64, Vec<u8>)>>,
}

impl Overlay {
    pub(super) fn new(stored: Source, len: u64, algorithm: Algorithm) -> Self {
        Self { stored, len, algorithm, table: OnceLock::new(), last: Mutex::default() }
    }
    /// Bytes of an entry of the table.
    fn width(&self) -> u64 {
        if self.len > u64::from(u32::MAX) { 8 } else { 4 }
    }
    fn table_len(&self) -> u64 {
        self.len.div_ceil(self.algorithm.chunk).saturating_sub(1).saturating_mul(self.width())
    }
    fn table(&self) -> Result<&[u8], ReadError> {
        let read = || {
            let len = self.table_len();
            if len > MAX_TABLE || len > self.stored.len() {
                return Err(fail(0, "table of compressed chunks has an impossible size"));
            }
            let mut bytes = vec![0; size(len)];
            match self.stored.read_at(0, &mut bytes)? {
                n if n == bytes.len() => Ok(bytes),
                _ => Err(fail(0, "table of compressed chunks is cut off")),
            }
        };
        self.table.get_or_init(read).as_deref().map_err(Clone::clone)
    }
    /// Where a chunk stands in the stream, and how many bytes it holds there and expanded.
    fn chunk(&self, number: u64) -> Result<(Run, u64), ReadError> {
        let start = number.saturating_mul(self.algorithm.chunk);
        let len = self.algorithm.chunk.min(self.len.saturating_sub(start));
        let table = self.table()?;
        let entry = |n: u64| {
            let at = size(n.saturating_mul(self.width()));
            if self.width() == 8 { u64_at(table, at) } else { u32_at(table, at).map(u64::from) }
        };
        let all = self.stored.len().saturating_sub(self.table_len());
        let from = if number == 0 { Some(0) } else { entry(number.saturating_sub(1)) };
        let to = if start.saturating_add(len) >= self.len { Some(all) } else { entry(number) };
        let run = from.zip(to).filter(|(from, to)| from < to && *to <= all);
        let (from, to) = run.ok_or_else(|| fail(start, "table of compressed chunks is damaged here"))?;
        let packed = to.saturating_sub(from);
        if packed > len {
            return Err(fail(start, "compressed chunk is longer than its content"));
        }
        Ok((Run::new(self.table_len().saturating_add(from), packed), len))
    }
    fn copy(&self, number: u64, into: usize, to: &mut [u8]) -> Result<(), ReadError> {
        let start = number.saturating_mul(self.algorithm.chunk);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|l| l.0 != number) {
            let (run, len) = self.chunk(number)?;
            let mut bytes = vec![0; size(run.len)];
            if self.stored.read_at(run.offset, &mut bytes)? != bytes.len() {
                return Err(fail(start, "compressed chunk is cut off"));
            }
            if run.len < len {
                let what = || format!("{} data contradicts its format in this chunk", self.algorithm.name);
                bytes = (self.algorithm.expand)(&bytes, size(len)).map_err(|Broken| fail(start, &what()))?;
            }
            *last = Some((number, bytes));
        }
        let bytes = last.as_ref().and_then(|l| l.1.get(into..into.saturating_add(to.len())));
        to.copy_from_slice(bytes.ok_or_else(|| fail(start, "chunk of the wrong size"))?);
        Ok(())
    }
}

impl ReadAt for Overlay {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.len.saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let into = at % self.algorithm.chunk;
            let rest = size(self.algorithm.chunk.saturating_sub(into));
            let end = done.saturating_add(rest).min(total);
            let Some(part) = buf.get_mut(done..end) else { break };
            self.copy(at / self.algorithm.chunk, size(into), part)?;
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        // Byte of the image behind the last compressed chunk.
        let mut next = None;
        while at < end {
            let into = at % self.algorithm.chunk;
            let len = self.algorithm.chunk.saturating_sub(into).min(end.saturating_sub(at));
            match self.chunk(at / self.algorithm.chunk) {
                Ok((run, whole)) if run.len == whole => {
                    out.extend(pieces(&*self.stored, Run::new(run.offset.saturating_add(into), len)));
                    next = None;
                }
                Ok((run, _)) => {
                    let pieces = self.stored.locate(run);
                    let first = pieces.first().map_or((0, 0), |p| (p.image, p.offset));
                    match out.last_mut() {
                        Some(last) if next == Some(first) => last.len = last.len.saturating_add(len),
                        _ => out.push(Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded }),
                    }
                    next = pieces.last().map(|p| (p.image, p.offset.saturating_add(p.len)));
                }
                // Nothing can be read here; a read says why.
                Err(_) => {
                    let len = end.saturating_sub(at);
                    out.push(absent(len));
                    return out;
                }
            }
            at = at.saturating_add(len);
        }
        out
    }
}
