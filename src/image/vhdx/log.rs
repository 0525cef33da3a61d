//! The log of a VHDX: writes to its own structures that were noted and perhaps not carried out. The newest
//! whole sequence of entries is laid over the file; nothing is written.
use super::{Header, sums_up};
use crate::base::{Piece, PieceKind, Run};
use crate::image::fields::Fields;
use crate::image::{ReadAt, ReadError, Source, read_exact};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECTOR: u64 = 4096;
/// Larger logs are not searched; tools make them of 1 MiB.
const MAX_LOG: u32 = 256 << 20;
/// Entries lie one behind the other; what remains of older ones may overlap them, but not many times over.
const OVERLAP: u64 = 4;
/// Steps from entry to entry, and runs of zeros, that any real log does with.
const MAX_STEPS: u32 = 1 << 20;
const MAX_ZEROS: usize = 1 << 14;

/// An entry whose checksum fits.
struct Entry {
    len: u64,
    tail: u64,
    sequence: u64,
    bytes: Fields,
}

/// The file with its log replayed, and how many entries that took; `None` if no whole sequence is there.
pub(super) fn replay(file: &Source, header: &Header) -> Result<Option<(Source, usize)>, String> {
    if header.log_len > MAX_LOG || header.log_len == 0 || !u64::from(header.log_len).is_multiple_of(SECTOR) {
        return Err(format!("it is said to have {} bytes", header.log_len));
    }
    let len = header.log_len as usize;
    let bytes = read_exact(&**file, header.log_at, len).map_err(|e| e.to_string())?;
    let log = bytes.ok_or("it lies beyond the file's end")?;
    let mut starts: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut left = u64::from(header.log_len).saturating_mul(OVERLAP);
    for at in (0..u64::from(header.log_len)).step_by(4096) {
        if let Some(entry) = entry(&log, at, &header.log_id, &mut left) {
            starts.insert(at, entry);
        }
    }
    let Some(sequence) = newest(&starts, log.len() as u64) else { return Ok(None) };
    let mut over = Over { file: file.clone(), len: file.len(), data: BTreeMap::new(), zeros: Vec::new() };
    for at in &sequence {
        let entry = starts.get(at).ok_or("an entry is missing")?;
        over.apply(entry).ok_or_else(|| format!("the entry at byte {at} of it is damaged"))?;
    }
    Ok(Some((Arc::new(over), sequence.len())))
}

/// The bytes of a ring; copied once, not more than asked for.
fn ring(log: &[u8], at: u64, len: u64) -> Option<Vec<u8>> {
    let size = log.len() as u64;
    if len > size || at >= size {
        return None;
    }
    let first = usize::try_from(at).ok()?;
    let len = usize::try_from(len).ok()?;
    let (rest, start) = (log.get(first..)?, log.get(..first)?);
    let head = rest.get(..len).unwrap_or(rest);
    Some([head, start.get(..len.saturating_sub(head.len()))?].concat())
}

fn entry(log: &[u8], at: u64, id: &[u8], left: &mut u64) -> Option<Entry> {
    let from = usize::try_from(at).ok()?;
    let head = Fields(log.get(from..from.checked_add(64)?)?.to_vec());
    let len = u64::from(head.le32(8)?);
    if head.bytes(0, 4) != b"loge" || head.bytes(32, 16) != id || len == 0 || !len.is_multiple_of(SECTOR) {
        return None;
    }
    *left = left.checked_sub(len)?;
    let bytes = ring(log, at, len).filter(|b| sums_up(b, 4))?;
    Some(Entry { len, tail: u64::from(head.le32(12)?), sequence: head.le64(16)?, bytes: Fields(bytes) })
}

/// Places of the entries of the newest sequence, in order: from the tail that its last entry names to that entry.
fn newest(starts: &BTreeMap<u64, Entry>, size: u64) -> Option<Vec<u64>> {
    let mut best: Option<(u64, Vec<u64>)> = None;
    let mut steps = MAX_STEPS;
    for first in starts.keys() {
        let mut places = vec![*first];
        let mut at = *first;
        while let Some(entry) = starts.get(&at) {
            steps = steps.checked_sub(1)?;
            let next = at.checked_add(entry.len)?.checked_rem(size)?;
            let follows = starts.get(&next).is_some_and(|n| Some(n.sequence) == entry.sequence.checked_add(1));
            if !follows || places.len() > starts.len() {
                break;
            }
            places.push(next);
            at = next;
        }
        let Some(head) = starts.get(&at) else { continue };
        // It counts only from the entry on that the last one names as its tail.
        let Some(tail) = places.iter().position(|p| *p == head.tail) else { continue };
        if best.as_ref().is_none_or(|(sequence, _)| *sequence < head.sequence) {
            best = Some((head.sequence, places.get(tail..)?.to_vec()));
        }
    }
    best.map(|(_, places)| places)
}

/// The file, and what is laid over it: sectors of data, and before them runs of zeros.
struct Over {
    file: Source,
    len: u64,
    data: BTreeMap<u64, Vec<u8>>,
    /// In the order in which they were written.
    zeros: Vec<Run>,
}

impl Over {
    fn apply(&mut self, entry: &Entry) -> Option<()> {
        let bytes = &entry.bytes;
        let count = bytes.le32(24)?;
        let mut data = 64_u64.checked_add(u64::from(count).checked_mul(32)?)?.next_multiple_of(SECTOR);
        for n in 0..count as usize {
            let at = n.checked_mul(32)?.checked_add(64)?;
            let offset = bytes.le64(at.checked_add(16)?)?;
            if bytes.le64(at.checked_add(24)?)? != entry.sequence || !offset.is_multiple_of(SECTOR) {
                return None;
            }
            match bytes.bytes(at, 4) {
                b"zero" => {
                    if self.zeros.len() >= MAX_ZEROS {
                        return None;
                    }
                    let run = Run::new(offset, bytes.le64(at.checked_add(8)?)?);
                    let within: Vec<u64> = self.data.range(offset..run.end()).map(|(k, _)| *k).collect();
                    for sector in within {
                        self.data.remove(&sector);
                    }
                    self.zeros.push(run);
                    self.len = self.len.max(run.end().min(self.file.len().saturating_add(1 << 32)));
                }
                b"desc" => {
                    let from = usize::try_from(data).ok()?;
                    let sector = bytes.bytes(from, 4096);
                    let low = Fields(sector.get(4092..)?.to_vec()).le32(0)?;
                    let high = Fields(sector.get(4..8)?.to_vec()).le32(0)?;
                    let is_same = (u64::from(high) << 32 | u64::from(low)) == entry.sequence;
                    if !sector.starts_with(b"data") || !is_same {
                        return None;
                    }
                    // The first eight bytes and the last four stand in the descriptor.
                    let mut whole = bytes.bytes(at.checked_add(8)?, 8).to_vec();
                    whole.extend_from_slice(sector.get(8..4092)?);
                    whole.extend_from_slice(bytes.bytes(at.checked_add(4)?, 4));
                    self.data.insert(offset, whole);
                    self.len = self.len.max(offset.checked_add(SECTOR)?);
                    data = data.checked_add(SECTOR)?;
                }
                _ => return None,
            }
        }
        Some(())
    }
}

impl ReadAt for Over {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let Some(buf) = buf.get_mut(..wanted).filter(|b| !b.is_empty()) else { return Ok(0) };
        let n = self.file.read_at(offset, buf)?;
        buf.get_mut(n..).unwrap_or_default().fill(0);
        let end = offset.saturating_add(wanted as u64);
        let part = |from: u64, to: u64| {
            let [from, to] = [from, to].map(|n| n.clamp(offset, end).saturating_sub(offset));
            usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0)
        };
        for run in &self.zeros {
            buf.get_mut(part(run.offset, run.end())).unwrap_or_default().fill(0);
        }
        for (at, sector) in self.data.range(offset.saturating_sub(SECTOR.saturating_sub(1))..end) {
            let range = part(*at, at.saturating_add(SECTOR));
            let from = usize::try_from(offset.saturating_sub(*at)).unwrap_or(0);
            let to = buf.get_mut(range).unwrap_or_default();
            if let Some(from) = sector.get(from..from.saturating_add(to.len())) {
                to.copy_from_slice(from);
            }
        }
        Ok(wanted)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        // Blocks are found by replayed structures, but are not written by the log themselves.
        let mut pieces = self.file.locate(bytes);
        let found = pieces.iter().fold(0_u64, |sum, p| sum.saturating_add(p.len));
        let len = bytes.end().min(self.len).saturating_sub(bytes.offset);
        if found < len {
            let rest = len.saturating_sub(found);
            pieces.push(Piece { image: 0, offset: 0, len: rest, kind: PieceKind::Hole });
        }
        pieces
    }
}
