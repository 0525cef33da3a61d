//! The log: whether the last thing in it is that the file system was unmounted. It is not replayed; what
//! it may hold beyond the blocks is said.
//! Format: "Journaling Log" in "XFS Algorithms & Data Structures". The log is a ring of 512-byte blocks,
//! each beginning with the number of the turn in which it was written.
use super::Volume;
use super::raw::{size, u8_at, u32_at, u64_at};

const BLOCK: u64 = 512;
const RECORD: u32 = 0xfeed_babe;
/// Mark of an operation that says that the file system was unmounted.
const UNMOUNT: u8 = 0x20;
/// Longest record, its headers included.
const LONGEST: u64 = (256 << 10) + 16 * BLOCK;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Clean,
    Dirty,
    /// Why it cannot be told.
    Unknown(&'static str),
}

struct Log<'a> {
    volume: &'a Volume,
    at: u64,
    blocks: u64,
}

impl Log<'_> {
    fn block(&self, number: u64) -> Option<Vec<u8>> {
        let at = self.at.checked_add((number % self.blocks).checked_mul(BLOCK)?)?;
        self.volume.bytes(at, size(BLOCK)).ok()
    }
    /// The turn in which a block was written; records begin with a magic number in its place.
    fn turn(&self, number: u64) -> Option<u32> {
        let bytes = self.block(number)?;
        u32_at(&bytes, if u32_at(&bytes, 0)? == RECORD { 4 } else { 0 })
    }
    /// The block behind the last that was written.
    fn head(&self) -> Option<u64> {
        let first = self.turn(0)?;
        if self.turn(self.blocks.checked_sub(1)?)? == first {
            return Some(0);
        }
        let (mut low, mut high) = (0, self.blocks.saturating_sub(1));
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if self.turn(middle)? == first { low = middle } else { high = middle }
        }
        Some(high)
    }
}

pub(super) fn state(volume: &Volume) -> State {
    let sb = &volume.sb;
    if sb.log_start == 0 {
        return State::Unknown("the log is on another device");
    }
    let blocks = sb.log_blocks.saturating_mul(sb.block) / BLOCK;
    let Some(at) = sb.block_at(sb.log_start).filter(|_| blocks > 0) else {
        return State::Unknown("the log lies outside of the volume");
    };
    let log = Log { volume, at, blocks };
    let Some(head) = log.head() else { return State::Unknown("the log could not be read") };
    // The newest record before the head.
    for back in 1..=(LONGEST / BLOCK).min(blocks) {
        let number = head.saturating_add(blocks).saturating_sub(back);
        let Some(bytes) = log.block(number) else { return State::Unknown("the log could not be read") };
        if u32_at(&bytes, 0) != Some(RECORD) {
            continue;
        }
        let itself = u64_at(&bytes, 16).map(|lsn| lsn & 0xffff_ffff);
        if itself != Some(number % blocks) {
            continue;
        }
        let held = u64::from(u32_at(&bytes, 320).unwrap_or(0));
        let headers = held.div_ceil(32 << 10).clamp(1, 16);
        let operation = log.block(number.saturating_add(headers)).unwrap_or_default();
        let unmounted = u32_at(&bytes, 40) == Some(1) && u8_at(&operation, 9) == Some(UNMOUNT);
        return if unmounted { State::Clean } else { State::Dirty };
    }
    State::Unknown("no record was found in the log")
}
