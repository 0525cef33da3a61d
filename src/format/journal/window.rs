//! A file seen through a few remembered windows: objects refer to one another all over it.
use crate::base::is_zero;
use std::collections::VecDeque;

/// Bytes of a window.
const WINDOW: u64 = 256 << 10;
/// Windows remembered.
const KEPT: usize = 6;

pub use crate::format::bytes::Read;

pub(super) struct Windows<'a> {
    read: &'a Read<'a>,
    pub(super) len: u64,
    kept: VecDeque<(u64, Vec<u8>)>,
}
impl<'a> Windows<'a> {
    pub(super) fn new(len: u64, read: &'a Read<'a>) -> Self {
        Self { read, len, kept: VecDeque::new() }
    }
    /// `len` bytes at `offset`, all of them.
    pub(super) fn bytes(&mut self, offset: u64, len: u64) -> Result<Vec<u8>, String> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len).ok_or("it ends behind the file")?;
        let mut out = Vec::with_capacity(usize::try_from(len).map_err(|e| e.to_string())?);
        let mut at = offset;
        while at < end {
            let base = at - at % WINDOW;
            let window = self.window(base)?;
            let from = usize::try_from(at - base).unwrap_or(usize::MAX);
            let want = usize::try_from(end.saturating_sub(base).min(WINDOW)).unwrap_or(usize::MAX);
            let part = window.get(from..want).ok_or("it ends behind what could be read")?;
            out.extend_from_slice(part);
            at = base.saturating_add(WINDOW);
        }
        Ok(out)
    }
    /// The first multiple of eight from `at` on whose eight bytes are not all zero, `end` if there is none, or where
    /// bytes can no longer be read. `at` is a multiple of eight.
    pub(super) fn next_used(&mut self, at: u64, end: u64) -> u64 {
        let mut at = at;
        while at < end {
            let base = at - at % WINDOW;
            let Ok(window) = self.window(base) else { return at };
            let from = usize::try_from(at - base).unwrap_or(usize::MAX);
            let Some(rest) = window.get(from..).filter(|r| !r.is_empty()) else { return at };
            if !is_zero(rest)
                && let Some(zeros) = rest.iter().position(|b| *b != 0)
            {
                let used = at.saturating_add(zeros as u64);
                return (used - used % 8).min(end);
            }
            at = base.saturating_add(WINDOW);
        }
        end
    }
    fn window(&mut self, base: u64) -> Result<&[u8], String> {
        if let Some(at) = self.kept.iter().position(|(b, _)| *b == base) {
            let hit = self.kept.remove(at);
            self.kept.extend(hit);
        } else {
            let mut bytes = vec![0; usize::try_from(WINDOW.min(self.len.saturating_sub(base))).unwrap_or(0)];
            let mut filled = 0;
            while let Some(room) = bytes.get_mut(filled..).filter(|r| !r.is_empty()) {
                match (self.read)(base.saturating_add(filled as u64), room)? {
                    0 => break,
                    n => filled = filled.saturating_add(n),
                }
            }
            bytes.truncate(filled);
            if self.kept.len() >= KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back((base, bytes));
        }
        Ok(self.kept.back().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default())
    }
}
