//! A table that says for each block of a disk where it lies: what VHD, VHDX and VDI have in common.
use super::cache::Cache;
use super::{ReadError, Source, read_exact};

/// Bytes of the table that are read in one go.
const PAGE: u64 = 16 << 10;
/// Pages that are kept.
const PAGES: usize = 64;
/// Entries that are held against each other: a disk of 8 TiB in blocks of 2 MiB has so many.
const MAX_CHECKED: u64 = 4 << 20;

/// Entries of equal size, read as they are asked for.
pub(super) struct BlockTable {
    file: Source,
    at: u64,
    count: u64,
    /// Bytes of an entry: 4 or 8.
    width: u64,
    is_big: bool,
    pages: Cache<Vec<u8>>,
}

impl BlockTable {
    pub(super) fn new(file: Source, at: u64, count: u64, width: u64, is_big: bool) -> Self {
        Self { file, at, count, width, is_big, pages: Cache::new(PAGES) }
    }
    /// Tells of entries whose blocks of `size` bytes lie over one another or outside of the bytes `from` to `to` of the
    /// file, which no writer makes: at least one of them leads to bytes that are not its own. And of bytes there that
    /// would be a block and are none: these tables have no checksum, and an entry that was lost or changed shows by
    /// what it no longer leads to. `place` gives the byte of an entry's block; `None` where it has none.
    pub(super) fn check(
        &self,
        place: impl Fn(u64) -> Option<u64>,
        size: u64,
        (from, to): (u64, u64),
    ) -> Option<String> {
        let mut all = Vec::new();
        for number in 0..self.count.min(MAX_CHECKED) {
            match self.entry(number) {
                Ok(entry) => all.extend(place(entry).map(|at| (at, number))),
                // Each read of such a block says so itself.
                Err(_) => break,
            }
        }
        all.sort_unstable();
        let early = all.first().filter(|(at, _)| *at < from);
        if let Some((at, number)) = early {
            return Some(format!("block {number} is said to lie at byte {at} of the file, where no block can"));
        }
        let mut pairs = all.iter().zip(all.iter().skip(1));
        if let Some((one, other)) = pairs.find(|(one, other)| other.0 < one.0.saturating_add(size)) {
            let (one, other) = (one.1, other.1);
            return Some(format!("blocks {one} and {other} are said to lie over one another: not both are as written"));
        }
        if let Some((at, number)) = all.last().filter(|(at, _)| at.saturating_add(size) > to) {
            return Some(format!("block {number} is said to lie at byte {at} of the file, and does not end within it"));
        }
        if self.count > MAX_CHECKED {
            return None;
        }
        let (mut end, mut first, mut lost) = (from, 0, 0_u64);
        for at in all.into_iter().map(|(at, _)| at).chain([to]) {
            let free = at.saturating_sub(end);
            if free >= size {
                first = if lost == 0 { end } else { first };
                lost = lost.saturating_add(free);
            }
            end = at.saturating_add(size);
        }
        (lost > 0).then(|| {
            format!(
                "{lost} bytes of the file, from byte {first} on, belong to no block: entries of the table were lost or \
                 changed, or their blocks given up"
            )
        })
    }
    pub(super) fn count(&self) -> u64 {
        self.count
    }
    pub(super) fn entry(&self, number: u64) -> Result<u64, String> {
        if number >= self.count {
            return Err(format!("block {number}: the table of {} entries ends before it", self.count));
        }
        let byte = number.saturating_mul(self.width);
        let page = byte.div_euclid(PAGE);
        let read = || {
            let from = page.saturating_mul(PAGE);
            let len = self.count.saturating_mul(self.width).saturating_sub(from).min(PAGE);
            let at = self.at.saturating_add(from);
            let bytes = read_exact(&*self.file, at, usize::try_from(len).unwrap_or(0));
            let bytes = bytes.map_err(|e: ReadError| e.to_string())?;
            bytes.ok_or_else(|| format!("the table of blocks at byte {at} lies beyond the file's end"))
        };
        let page = self.pages.get(page, read)?;
        let at = usize::try_from(byte.rem_euclid(PAGE)).map_err(|e| e.to_string())?;
        let width = usize::try_from(self.width).map_err(|e| e.to_string())?;
        let bytes = page.get(at..at.saturating_add(width)).ok_or("the table of blocks is cut")?;
        let shift = |n: u64, b: &u8| (n << 8) | u64::from(*b);
        Ok(if self.is_big { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// What is said of blocks of 100 bytes at these places of a file in which blocks are from byte 1000 to 1400.
    fn said(places: &[u32]) -> Option<String> {
        let bytes: Vec<u8> = places.iter().flat_map(|p| p.to_le_bytes()).collect();
        let table = BlockTable::new(Arc::new(bytes), 0, places.len() as u64, 4, false);
        table.check(|entry| (entry > 0).then_some(entry), 100, (1000, 1400))
    }

    #[test]
    fn blocks_fill_their_part_of_the_file() {
        assert_eq!(said(&[1200, 0, 1000, 1300, 1100]), None);
        // Less than a block between them.
        assert_eq!(said(&[1010, 1110, 1290]), None);
        for (places, words) in [
            (&[900, 1000, 1100, 1200][..], "block 0 is said to lie at byte 900 of the file, where no block can"),
            (&[1000, 1050, 1200, 1300], "blocks 0 and 1 are said to lie over one another"),
            (&[1000, 1100, 1200, 1301], "block 3 is said to lie at byte 1301 of the file, and does not end"),
            (&[1000, 1100, 1200, 0], "100 bytes of the file, from byte 1300 on, belong to no block"),
            (&[0, 1100, 1200, 0], "200 bytes of the file, from byte 1000 on, belong to no block"),
            (&[0, 0], "400 bytes of the file, from byte 1000 on, belong to no block"),
        ] {
            let said = said(places);
            assert!(said.as_ref().is_some_and(|s| s.starts_with(words)), "{places:?}: {said:?}");
        }
    }
}
