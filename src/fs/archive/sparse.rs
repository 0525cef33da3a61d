//! Sparse files in tar: the old map of GNU in the header and the blocks behind it, and the three forms in pax
//! headers (0.0, 0.1, 1.0).
//! Format: "Storing Sparse Files" of the GNU tar manual.
use super::pax::{Records, decimal};
use super::tar::{BLOCK, number};
use crate::fs::extents::{At, Extent};
use crate::image::{ReadAt, read_exact};

/// Parts of one file that are believed.
const MAX_PARTS: usize = 1 << 20;

/// The parts of a file that have bytes.
pub(super) struct Map {
    /// Bytes of the file.
    pub(super) len: u64,
    /// Where in the archive its bytes begin.
    pub(super) data: u64,
    /// Offset in the file and length, in the order of the bytes.
    parts: Vec<(u64, u64)>,
}

impl Map {
    /// What the parts mean, if they are in order and within the file.
    fn new(len: u64, data: u64, pairs: &[u64]) -> Result<Self, String> {
        let (pairs, rest) = pairs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("damaged: its map of a sparse file has half an entry".into());
        }
        let mut parts = Vec::with_capacity(pairs.len());
        let mut end = 0_u64;
        for [offset, bytes] in pairs {
            let after = offset.checked_add(*bytes).filter(|after| *after <= len);
            let Some(after) = after.filter(|_| *offset >= end) else {
                return Err("damaged: its map of a sparse file is not in order".into());
            };
            end = after;
            if *bytes > 0 {
                parts.push((*offset, *bytes));
            }
        }
        Ok(Self { len, data, parts })
    }
    pub(super) fn extents(&self) -> Vec<Extent> {
        let mut at = self.data;
        let extent = |(start, len): &(u64, u64)| {
            let extent = Extent { start: *start, len: *len, at: At::Volume(at) };
            at = at.saturating_add(*len);
            extent
        };
        self.parts.iter().map(extent).collect()
    }
}

/// The map in a header of GNU; further blocks of it stand from `at` on.
pub(super) fn gnu(source: &dyn ReadAt, header: &[u8], mut at: u64) -> Result<Map, String> {
    let field = |bytes: &[u8], from: usize| {
        let n = number(bytes.get(from..from.saturating_add(12))?)?;
        u64::try_from(n).ok()
    };
    let damaged = || "damaged: its map of a sparse file".to_owned();
    let len = field(header, 483).ok_or_else(damaged)?;
    let mut pairs = Vec::new();
    let mut take = |block: &[u8], from: usize, count: usize| -> Option<()> {
        for entry in 0..count {
            let from = from.checked_add(entry.checked_mul(24)?)?;
            // An empty field ends the map.
            if block.get(from.checked_add(12)?).is_none_or(|b| *b == 0) {
                break;
            }
            pairs.extend([field(block, from)?, field(block, from.checked_add(12)?)?]);
        }
        (pairs.len() <= MAX_PARTS.saturating_mul(2)).then_some(())
    };
    take(header, 386, 4).ok_or_else(damaged)?;
    let mut more = header.get(482).is_some_and(|b| *b != 0);
    while more {
        let block = read_exact(source, at, 512).map_err(|e| e.to_string())?.ok_or_else(damaged)?;
        take(&block, 0, 21).ok_or_else(damaged)?;
        more = block.get(504).is_some_and(|b| *b != 0);
        at = at.saturating_add(BLOCK);
    }
    Map::new(len, at, &pairs)
}

/// The map in pax records, or, in its last form, before the file's bytes.
pub(super) fn pax(source: &dyn ReadAt, records: &Records, data: u64, stored: u64) -> Result<Map, String> {
    let len = records.sparse_len().ok_or("damaged: a sparse file without its size")?;
    match records.sparse_version() {
        (0, _) => {
            let pairs = records.sparse_pairs().ok_or("damaged: its map of a sparse file")?;
            Map::new(len, data, &pairs)
        }
        (1, 0) => {
            let (pairs, used) = written(source, data, stored)?;
            Map::new(len, data.saturating_add(used), &pairs)
        }
        (major, minor) => Err(format!("sparse form {major}.{minor} is not read")),
    }
}

/// Decimal numbers, each on a line: how many parts, then their offsets and lengths; filled up to a whole block.
fn written(source: &dyn ReadAt, data: u64, stored: u64) -> Result<(Vec<u64>, u64), String> {
    let damaged = || "damaged: its map of a sparse file".to_owned();
    let mut numbers: Vec<u64> = Vec::new();
    let mut line = Vec::new();
    let mut used = 0_u64;
    while used < stored {
        let block = read_exact(source, data.saturating_add(used), 512).map_err(|e| e.to_string())?;
        used = used.saturating_add(BLOCK);
        for byte in block.ok_or_else(damaged)? {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > 20 {
                    return Err(damaged());
                }
                continue;
            }
            numbers.push(decimal(&line).ok_or_else(damaged)?);
            line.clear();
            let count = numbers.first().copied().and_then(|n| usize::try_from(n).ok()).ok_or_else(damaged)?;
            if count > MAX_PARTS {
                return Err(format!("budget: {count} parts of a sparse file"));
            }
            if numbers.len() > count.saturating_mul(2) {
                return Ok((numbers.split_off(1), used));
            }
        }
    }
    Err(damaged())
}
