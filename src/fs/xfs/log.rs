//! The log: whether the last thing in it is that the file system was unmounted. What else it holds is read in
//! `records.rs` and carried out in `replay.rs`.
//! Format: "Journaling Log" in "XFS Algorithms & Data Structures". The log is a ring of 512-byte blocks,
//! each beginning with the number of the turn in which it was written.
use super::Volume;
use super::raw::{size, u8_at, u32_at, u64_at};

pub(super) const BLOCK: u64 = 512;
pub(super) const RECORD: u32 = 0xfeed_babe;
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

pub(super) struct Log<'a> {
    volume: &'a Volume,
    /// Byte of the volume.
    pub(super) at: u64,
    /// Of 512 bytes.
    pub(super) blocks: u64,
}

/// Blocks of a record's header: one for each 32 KiB that the writer's buffer had.
pub(super) fn headers(header: &[u8]) -> u64 {
    let held = u64::from(u32_at(header, 320).unwrap_or(0));
    let newer = u32_at(header, 8).unwrap_or(0) & 2 != 0;
    if newer { held.div_ceil(32 << 10).clamp(1, 16) } else { 1 }
}

impl Log<'_> {
    pub(super) fn summed(&self) -> bool {
        self.volume.sb.v5
    }
    pub(super) fn block(&self, number: u64) -> Option<Vec<u8>> {
        let at = self.at.checked_add((number % self.blocks).checked_mul(BLOCK)?)?;
        self.volume.bytes(at, size(BLOCK)).ok()
    }
    /// The turn in which a block was written; records begin with a magic number in its place.
    fn turn(&self, number: u64) -> Option<u32> {
        let bytes = self.block(number)?;
        u32_at(&bytes, if u32_at(&bytes, 0)? == RECORD { 4 } else { 0 })
    }
    /// The block behind the last that was written.
    pub(super) fn head(&self) -> Option<u64> {
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

    /// The newest record before the head: its block and its header.
    pub(super) fn newest(&self, head: u64) -> Option<(u64, Vec<u8>)> {
        (1..=(LONGEST / BLOCK).min(self.blocks)).find_map(|back| {
            let number = head.saturating_add(self.blocks).saturating_sub(back) % self.blocks;
            let bytes = self.block(number)?;
            let itself = u64_at(&bytes, 16).map(|lsn| lsn & 0xffff_ffff);
            (u32_at(&bytes, 0) == Some(RECORD) && itself == Some(number)).then_some((number, bytes))
        })
    }
}

/// The log of a volume, or why there is none to read.
pub(super) fn find(volume: &Volume) -> Result<Log<'_>, &'static str> {
    let sb = &volume.sb;
    if sb.log_start == 0 {
        return Err("the log is on another device");
    }
    let blocks = sb.log_blocks.saturating_mul(sb.block) / BLOCK;
    let at = sb.block_at(sb.log_start).filter(|_| blocks > 0).ok_or("the log lies outside of the volume")?;
    Ok(Log { volume, at, blocks })
}

pub(super) fn state(volume: &Volume) -> State {
    let log = match find(volume) {
        Ok(log) => log,
        Err(why) => return State::Unknown(why),
    };
    let Some(head) = log.head() else { return State::Unknown("the log could not be read") };
    let Some((number, header)) = log.newest(head) else { return State::Unknown("no record was found in the log") };
    let operation = log.block(number.saturating_add(headers(&header))).unwrap_or_default();
    let unmounted = u32_at(&header, 40) == Some(1) && u8_at(&operation, 9) == Some(UNMOUNT);
    if unmounted { State::Clean } else { State::Dirty }
}
