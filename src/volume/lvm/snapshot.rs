//! Snapshots by copy on write: the store holds the chunks that were changed in the origin since.
//! Format: the kernel's `drivers/md/dm-snap-persistent.c`.
use crate::base::Budget;
use crate::image::{Extent, Map, ReadError, Source, read_exact};
use std::collections::BTreeMap;

const MAGIC: u32 = 0x7041_6e53;
/// Bytes of an entry: the chunk of the origin, and where in the store its copy is.
const ENTRY: u64 = 16;
/// Changed chunks kept in memory.
const MAX_CHUNKS: usize = 4_000_000;

pub(super) struct Snapshot {
    origin: Source,
    store: Source,
    /// Bytes of a chunk.
    chunk: u64,
    copied: BTreeMap<u64, u64>,
}

impl Snapshot {
    pub(super) fn open(origin: Source, store: Source, budget: &mut Budget) -> Result<Self, String> {
        let word = |bytes: &[u8], at| super::super::signs::le32(bytes, at);
        let head = read_exact(&*store, 0, 16).map_err(|e| e.to_string())?.ok_or("the store is too small")?;
        if word(&head, 0) != Some(MAGIC) {
            return Err("no header of a snapshot's store".to_owned());
        }
        if word(&head, 4) != Some(1) {
            return Err("the snapshot is marked as invalid: its store had overflowed".to_owned());
        }
        if word(&head, 8) != Some(1) {
            return Err("an unknown version of the store".to_owned());
        }
        let chunk = u64::from(word(&head, 12).unwrap_or(0)).saturating_mul(512);
        if !(512..=1 << 30).contains(&chunk) {
            return Err(format!("chunks of {chunk} bytes"));
        }
        let mut copied = BTreeMap::new();
        let per_area = chunk.checked_div(ENTRY).unwrap_or(0);
        let mut area = 1_u64;
        'areas: loop {
            budget.take(chunk).map_err(|e| e.0.to_owned())?;
            let Some(at) = area.checked_mul(chunk).filter(|at| *at < store.len()) else { break };
            let bytes = read_exact(&*store, at, usize::try_from(chunk).unwrap_or(0)).map_err(|e| e.to_string())?;
            let Some(bytes) = bytes else { break };
            for entry in bytes.chunks_exact(16) {
                let number = |at| super::super::signs::le64(entry, at).unwrap_or(0);
                // Chunk 0 of the store is its header: an entry that points there is none, and the last.
                if number(8) == 0 {
                    break 'areas;
                }
                copied.insert(number(0), number(8));
            }
            if copied.len() > MAX_CHUNKS {
                return Err(format!("budget: more than {MAX_CHUNKS} changed chunks"));
            }
            area = area.saturating_add(per_area).saturating_add(1);
        }
        Ok(Self { origin, store, chunk, copied })
    }
}

impl Map for Snapshot {
    fn len(&self) -> u64 {
        self.origin.len()
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let fail = || ReadError { offset, what: "beyond what a snapshot can have".into() };
        let number = offset.checked_div(self.chunk).ok_or_else(fail)?;
        let inside = offset.checked_rem(self.chunk).ok_or_else(fail)?;
        if let Some(copy) = self.copied.get(&number) {
            let offset = copy.checked_mul(self.chunk).and_then(|at| at.checked_add(inside)).ok_or_else(fail)?;
            let len = self.chunk.saturating_sub(inside);
            return Ok(Extent::Stored { source: self.store.clone(), offset, len });
        }
        let next = self.copied.range(number..).next().map_or(self.len(), |(n, _)| n.saturating_mul(self.chunk));
        let len = next.min(self.len()).saturating_sub(offset);
        Ok(Extent::Stored { source: self.origin.clone(), offset, len })
    }
}
