//! Blocks of an xz stream: its index tells where each lies, and each can be decoded without those before it.
//! Format: xz-file-format.txt, "Index" and "Stream Footer".
use super::codec::{Step, Steps};
use super::decoder::{Mark, Member};
use crate::image::{Source, read_exact};
use lzma_rust2::{Action, XzStream};

/// Bytes of a stream's header, and of its footer.
const EDGE: u64 = 12;
/// Longest index that is read.
const MAX_INDEX: u64 = 64 << 20;
/// Blocks whose places are gathered at once.
const MAX_BLOCKS: usize = 4096;

/// A number of the format: seven bits a byte.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The places of a stream's blocks, the first left out; none where the index is not what it should be, since the
/// stream was decoded all the same.
pub(super) fn blocks(source: &Source, member: &Member) -> Vec<Mark> {
    read(source, member).map(|(marks, _)| marks).unwrap_or_default()
}

/// The places, and the bytes that all blocks hold together.
fn read(source: &Source, member: &Member) -> Option<(Vec<Mark>, u64)> {
    let bytes = |at: u64, len: u64| read_exact(&**source, at, usize::try_from(len).ok()?).ok()?;
    let header: [u8; 12] = bytes(member.input.offset, EDGE)?.try_into().ok()?;
    let footer = bytes(member.input.end().checked_sub(EDGE)?, EDGE)?;
    let size = u32::from_le_bytes(*footer.get(4..)?.first_chunk()?);
    let len = u64::from(size).checked_add(1)?.checked_mul(4)?;
    let start = member.input.end().checked_sub(EDGE)?.checked_sub(len).filter(|_| len <= MAX_INDEX)?;
    let index = bytes(start, len)?;
    let mut rest = index.get(1..)?;
    let count = number(&mut rest)?;
    // Of very many blocks some are enough.
    let each = count.checked_div(MAX_BLOCKS as u64)?.checked_add(1)?;
    let all: u64 = total(rest, count)?;
    let (mut at, mut out) = (member.input.offset.checked_add(EDGE)?, 0_u64);
    let mut found = Vec::new();
    for block in 0..count {
        if block > 0 && block.is_multiple_of(each) {
            let steps = From {
                header,
                fed: 0,
                left: all.checked_sub(out)?,
                body: start.checked_sub(at)?,
                span: member.input.end().checked_sub(at)?,
                read: 0,
                decoder: None,
            };
            let out = member.out.checked_add(out)?;
            found.push(Mark { out, position: at, steps: Some(Box::new(steps)) });
        }
        let (packed, plain) = (number(&mut rest)?, number(&mut rest)?);
        at = at.checked_add(packed.checked_next_multiple_of(4)?)?;
        out = out.checked_add(plain)?;
    }
    (at == start).then_some((found, all))
}

/// Zeros behind a stream that are looked through for its end.
const BEHIND: u64 = 64 << 10;

/// Bytes of output of the longest block, as the index at the end of the source tells; `None` where it tells nothing.
/// Only a hint: the stream need not be what its index says.
pub(super) fn longest_block(source: &Source, from: u64) -> Option<u64> {
    let start = source.len().saturating_sub(BEHIND).max(from);
    let tail = read_exact(&**source, start, usize::try_from(source.len().checked_sub(start)?).ok()?).ok()??;
    let end = tail.iter().rposition(|b| *b != 0)?.checked_add(1)?;
    let input = crate::base::Run::new(from, start.checked_add(end as u64)?.checked_sub(from)?);
    let (marks, all) = read(source, &Member { input, out: 0 })?;
    let ends = marks.iter().map(|m| m.out).chain([all]);
    let begins = [0].into_iter().chain(marks.iter().map(|m| m.out));
    ends.zip(begins).map(|(end, begin)| end.saturating_sub(begin)).max()
}

/// Bytes that all blocks hold together.
fn total(mut index: &[u8], count: u64) -> Option<u64> {
    let mut all = 0_u64;
    for _ in 0..count {
        number(&mut index)?;
        all = all.checked_add(number(&mut index)?)?;
    }
    Some(all)
}

/// A decoder that begins with a block in the middle: it is given the stream's header first, and nothing of the index,
/// which would not fit to what it has seen.
struct From {
    header: [u8; 12],
    fed: usize,
    /// Bytes of output to the end of the stream.
    left: u64,
    /// Bytes of input to the index, to the end of the stream, and how many of them were used.
    body: u64,
    span: u64,
    read: u64,
    decoder: Option<XzStream>,
}

impl Steps for From {
    fn step(&mut self, input: &[u8], out: &mut [u8], _last: bool) -> Result<Step, String> {
        if self.left == 0 {
            let rest = self.span.saturating_sub(self.read);
            let read = usize::try_from(rest).unwrap_or(usize::MAX).min(input.len());
            self.read = self.read.saturating_add(read as u64);
            return Ok(Step { read, wrote: 0, end: self.read >= self.span });
        }
        let decoder = self.decoder.get_or_insert_with(super::codec::xz);
        let damaged = |e: std::io::Error| format!("damaged: {e}");
        while let Some(head) = self.header.get(self.fed..).filter(|h| !h.is_empty()) {
            let done = decoder.process(head, &mut [], Action::Run).map_err(damaged)?;
            self.fed = self.fed.saturating_add(done.bytes_consumed);
            if done.bytes_consumed == 0 {
                return Err("damaged: the header of the stream".into());
            }
        }
        let body = usize::try_from(self.body.saturating_sub(self.read)).unwrap_or(usize::MAX).min(input.len());
        let input = input.get(..body).unwrap_or_default();
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let out = out.get_mut(..room).unwrap_or_default();
        let done = decoder.process(input, out, Action::Run).map_err(damaged)?;
        self.left = self.left.saturating_sub(done.bytes_produced as u64);
        self.read = self.read.saturating_add(done.bytes_consumed as u64);
        Ok(Step { read: done.bytes_consumed, wrote: done.bytes_produced, end: false })
    }
    fn size(&self) -> u64 {
        128
    }
    /// Before it began.
    fn save(&self) -> Option<Box<dyn Steps>> {
        self.decoder.is_none().then(|| {
            let Self { header, left, body, span, .. } = *self;
            Box::new(Self { header, fed: 0, left, body, span, read: 0, decoder: None }) as Box<dyn Steps>
        })
    }
}
