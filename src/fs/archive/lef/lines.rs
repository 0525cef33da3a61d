//! The lines of the list: UTF-16 without a byte-order mark, read piece by piece; and the MD5 of all of it.
use crate::base::utf16;
use crate::fs::FsError;
use crate::image::{Source, read_exact};
use md5::{Digest as _, Md5};

/// Bytes read at once.
const PIECE: u64 = 256 << 10;
/// Longest line that is kept whole, in bytes; the rest of a longer one is passed over.
const MAX_LINE: usize = 4 << 20;

pub(super) struct Lines<'a> {
    source: &'a Source,
    /// First byte of what is in `piece`, and first byte that was not read.
    at: u64,
    next: u64,
    end: u64,
    piece: Vec<u8>,
    /// Bytes of `piece` that were given out.
    used: usize,
    sum: Md5,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a Source, from: u64, end: u64) -> Self {
        Self { source, at: from, next: from, end, piece: Vec::new(), used: 0, sum: Md5::new() }
    }
    fn more(&mut self) -> Result<bool, FsError> {
        let len = usize::try_from(PIECE.min(self.end.saturating_sub(self.next))).unwrap_or(0);
        if len == 0 {
            return Ok(false);
        }
        let bytes = read_exact(&**self.source, self.next, len)?.unwrap_or_default();
        self.sum.update(&bytes);
        self.at = self.next;
        self.next = self.next.saturating_add(len as u64);
        self.piece = bytes;
        self.used = 0;
        Ok(!self.piece.is_empty())
    }
    /// The next line without its end, and the byte of the source at which it begins; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(u64, String)>, FsError> {
        let mut line = Vec::new();
        let mut start = None;
        loop {
            if self.used >= self.piece.len() && !self.more()? {
                // What follows the last line's end is no line.
                return Ok(start.map(|at| (at, text(&line))));
            }
            start = start.or(Some(self.at.saturating_add(self.used as u64)));
            let rest = self.piece.get(self.used..).unwrap_or_default();
            // Pieces begin at units of two bytes; a single byte at the end is none.
            let units = rest.chunks_exact(2).position(|unit| unit == b"\n\0");
            let len = units.map_or(rest.len(), |n| n.saturating_mul(2));
            if line.len() < MAX_LINE {
                line.extend_from_slice(rest.get(..len).unwrap_or_default());
            }
            if units.is_some() {
                self.used = self.used.saturating_add(len).saturating_add(2);
                return Ok(start.map(|at| (at, text(&line))));
            }
            self.used = self.piece.len();
        }
    }
    /// The MD5 of the whole text, whether its lines were asked for or not.
    pub(super) fn digest(mut self) -> Result<Vec<u8>, FsError> {
        while self.more()? {}
        Ok(self.sum.finalize().to_vec())
    }
}

/// A surrogate without its partner is kept in bytes of its own by [`utf16::name`]; here it is shown as U+FFFD, since
/// the writer of such lists already changes characters of names.
fn text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&utf16::name(line)).into_owned();
    text.trim_end_matches('\r').to_owned()
}
