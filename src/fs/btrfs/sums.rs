//! Content as it lies on the devices: read with its checksums, and from another copy where one does not fit.
use super::Volume;
use super::raw::{EXTENT_CSUM, EXTENT_CSUMS, Key, size};
use super::space::Fault;
use super::tree;
use crate::image::ReadError;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Sectors that came from another copy, remembered so that `locate` leads there.
const MAX_HEALED: usize = 1 << 18;
/// Bytes read and compared at once.
const STEP: u64 = 1 << 20;

impl Volume {
    fn sector(&self) -> u64 {
        u64::from(self.sb.sector)
    }
    /// Checksums of the sectors from one logical byte to another, by the sector's first byte.
    fn sums_of(&self, from: u64, to: u64) -> BTreeMap<u64, Vec<u8>> {
        let mut sums = BTreeMap::new();
        let Some(root) = self.csum_root else { return sums };
        let width = self.blocks.sum.len();
        // How far before the first sector an item can begin.
        let reach = u64::from(self.sb.node) / width as u64 * self.sector();
        let key = |logical: u64| Key::new(EXTENT_CSUMS, EXTENT_CSUM, logical);
        let (first, last) = (key(from.saturating_sub(reach)), key(to.saturating_sub(1)));
        tree::each(&self.blocks, root, Some(&self.log_sums), first, last, &mut |item| {
            let skip = from.saturating_sub(item.key.offset) / self.sector();
            for (n, sum) in (skip..).zip(item.data.chunks_exact(width).skip(size(skip))) {
                let at = item.key.offset.saturating_add(n.saturating_mul(self.sector()));
                if at >= to {
                    break;
                }
                sums.insert(at, sum.to_vec());
            }
            true
        });
        sums
    }

    /// Fills `buf` from a logical byte on. What no copy holds as its checksum says is given as it stands, with a gap.
    pub(super) fn content(&self, logical: u64, buf: &mut [u8], check: bool, inode: u64) -> Result<(), ReadError> {
        let fail = |at: u64, e: &Fault| ReadError { offset: at, what: e.to_string() };
        let sector = self.sector();
        let mut done = 0_usize;
        while done < buf.len() {
            let at = logical.saturating_add(done as u64);
            // Up to a border of steps, in whole sectors if its sums are compared.
            let end = (at / STEP).saturating_add(1).saturating_mul(STEP).min(logical.saturating_add(buf.len() as u64));
            let stop = done.saturating_add(size(end.saturating_sub(at)));
            let Some(part) = buf.get_mut(done..stop).filter(|p| !p.is_empty()) else { break };
            done = stop;
            if !check || self.csum_root.is_none() {
                self.any_copy(at, part).map_err(|e| fail(at, &e))?;
                continue;
            }
            let (first, last) = (at / sector * sector, end.next_multiple_of(sector));
            if first == at && last == end {
                self.compared(first, part, inode).map_err(|e| fail(at, &e))?;
                continue;
            }
            let mut whole = vec![0; size(last.saturating_sub(first))];
            self.compared(first, &mut whole, inode).map_err(|e| fail(at, &e))?;
            let skip = size(at.saturating_sub(first));
            part.copy_from_slice(whole.get(skip..skip.saturating_add(part.len())).unwrap_or_default());
        }
        Ok(())
    }
    /// The first copy that can be read.
    fn any_copy(&self, logical: u64, buf: &mut [u8]) -> Result<usize, Fault> {
        let mut fault = None;
        for attempt in 0..self.blocks.space.attempts(logical).max(1) {
            match self.blocks.space.read(logical, buf, attempt) {
                Ok(()) => return Ok(attempt),
                Err(e) => fault = fault.or(Some(e)),
            }
        }
        // A run over several cells may need another way for each.
        let sector = size(self.sector());
        if buf.len() > sector {
            for (n, part) in (0_u64..).zip(buf.chunks_mut(sector)) {
                self.any_copy(logical.saturating_add(n.saturating_mul(self.sector())), part)?;
            }
            return Ok(0);
        }
        Err(fault.unwrap_or_else(|| Fault::Other("cannot be read".to_owned())))
    }
    fn compared(&self, logical: u64, buf: &mut [u8], inode: u64) -> Result<(), Fault> {
        let used = self.any_copy(logical, buf)?;
        let sums = self.sums_of(logical, logical.saturating_add(buf.len() as u64));
        for (at, sum) in sums {
            let from = size(at.saturating_sub(logical));
            let Some(part) = buf.get_mut(from..from.saturating_add(size(self.sector()))) else { continue };
            if self.blocks.sum.fits(part, &sum) {
                continue;
            }
            let space = &self.blocks.space;
            let mut other = vec![0; part.len()];
            let found = (0..space.attempts(at))
                .filter(|a| *a != used)
                .find(|attempt| space.read(at, &mut other, *attempt).is_ok() && self.blocks.sum.fits(&other, &sum));
            let place = space.offset_of(at, used);
            if let Some(attempt) = found {
                part.copy_from_slice(&other);
                self.damage.note(
                    "content whose checksum fits in another copy only, which was read",
                    inode,
                    place,
                    self.sector(),
                );
                let mut healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
                if healed.len() < MAX_HEALED {
                    healed.insert(at, attempt);
                }
            } else {
                self.damage.note(
                    "content whose checksum fits in no copy; given as it stands",
                    inode,
                    place,
                    self.sector(),
                );
            }
        }
        Ok(())
    }
    /// Stretches of a logical run, each with the copy that it was read from.
    pub(super) fn copies_of(&self, from: u64, to: u64) -> Vec<(u64, u64, usize)> {
        let healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        let mut at = from;
        for (start, copy) in healed.range(from.saturating_sub(self.sector().saturating_sub(1))..to) {
            let (start, end) = ((*start).max(at), start.saturating_add(self.sector()).min(to));
            if start > at {
                out.push((at, start, 0));
            }
            out.push((start, end, *copy));
            at = end;
        }
        if at < to {
            out.push((at, to, 0));
        }
        out
    }
}
