//! A window of another source: a partition, an extent, an embedded image.
use super::{ReadAt, ReadError, Source};
use crate::base::{Piece, Run};

pub struct Slice {
    parent: Source,
    run: Run,
}

impl Slice {
    /// The part of `run` that lies within `parent`; a table that promises more is cut (and the
    /// caller, who can compare lengths, says so).
    pub fn new(parent: Source, run: Run) -> Self {
        let offset = run.offset.min(parent.len());
        let len = run.len.min(parent.len().saturating_sub(offset));
        Self { parent, run: Run { offset, len } }
    }
    fn clip(&self, offset: u64, len: u64) -> Run {
        let offset = offset.min(self.run.len);
        Run { offset: self.run.offset.saturating_add(offset), len: len.min(self.run.len.saturating_sub(offset)) }
    }
}

impl ReadAt for Slice {
    fn len(&self) -> u64 {
        self.run.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let run = self.clip(offset, buf.len() as u64);
        let n = usize::try_from(run.len).unwrap_or(usize::MAX);
        match buf.get_mut(..n) {
            Some(buf) if n > 0 => self
                .parent
                .read_at(run.offset, buf)
                .map_err(|e| ReadError { offset: e.offset.saturating_sub(self.run.offset), what: e.what }),
            _ => Ok(0),
        }
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        self.parent.locate(self.clip(bytes.offset, bytes.len))
    }
}
