//! Sources one after the other: the segments of a split image, the extents of a file.
use super::{ReadAt, ReadError, Source};
use crate::base::{Piece, Run};

pub struct Joined {
    parts: Vec<Source>,
    /// First byte of each part in the whole.
    starts: Vec<u64>,
    len: u64,
}

impl Joined {
    pub fn new(parts: Vec<Source>) -> Self {
        let mut len = 0_u64;
        let mut starts = Vec::with_capacity(parts.len());
        for part in &parts {
            starts.push(len);
            len = len.saturating_add(part.len());
        }
        Self { parts, starts, len }
    }
    /// The part that holds `offset`, where it begins, and how much of it is left from there.
    fn part(&self, offset: u64) -> Option<(&Source, u64, u64)> {
        let at = self.starts.partition_point(|s| *s <= offset).checked_sub(1)?;
        let start = *self.starts.get(at)?;
        let part = self.parts.get(at)?;
        let left = part.len().checked_sub(offset.checked_sub(start)?).filter(|left| *left > 0)?;
        Some((part, start, left))
    }
}

impl ReadAt for Joined {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0_usize;
        while done < buf.len() {
            let at = offset.saturating_add(done as u64);
            let Some((part, start, left)) = self.part(at) else { break };
            let end = done.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)).min(buf.len());
            let Some(to) = buf.get_mut(done..end) else { break };
            let n = part
                .read_at(at.saturating_sub(start), to)
                .map_err(|e| ReadError { offset: e.offset.saturating_add(start), what: e.what })?;
            if n < to.len() {
                return Err(ReadError { offset: at, what: "a segment is shorter than it said".into() });
            }
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        let mut pieces = Vec::new();
        while at < end {
            let Some((part, start, left)) = self.part(at) else { break };
            let len = left.min(end.saturating_sub(at));
            pieces.extend(part.locate(Run::new(at.saturating_sub(start), len)));
            at = at.saturating_add(len);
        }
        pieces
    }
}
