//! The nodes of a logical block one after the other, and what that is used for: the log and the blocks it names
//! (the journal), and a search among all nodes for what the index no longer leads to.
use super::Volume;
use super::index::{Event, event};
use super::node::{COMMIT, HEADER, Head, Key, PADDING, REFERENCE, Spot, head};
use super::superblock::Master;
use crate::base::Budget;
use crate::fs::raw::{size, u32_at, u64_at};
use crate::image::read_exact;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Nodes begin at multiples of this.
const ALIGN: usize = 8;
/// What small spaces are filled with.
const PAD: u8 = 0xce;
/// Blocks of a log whose length is not known.
const LOG: u32 = 64;

/// Bytes of a block that are neither node nor filling.
#[derive(Clone, Copy, Default)]
pub(super) struct Odd {
    pub(super) first: Option<u64>,
    pub(super) bytes: u64,
}

/// Calls `each` for the nodes of a block from byte `from` on; their CRC fits.
pub(super) fn nodes(volume: &Volume, block: u32, from: u32, each: &mut dyn FnMut(Head, Spot, &[u8])) -> Odd {
    let mut odd = Odd::default();
    let start = volume.superblock.block.saturating_mul(u64::from(block));
    let len = volume.superblock.block.min(volume.source.len().saturating_sub(start));
    let bytes = match read_exact(&*volume.source, start, size(len)) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(e) => {
            volume.damage.once(start, format!("block {block} not read: {e}"), len);
            return odd;
        }
    };
    let mut at = size(u64::from(from)).next_multiple_of(ALIGN);
    while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
        let Some(found) = head(rest).filter(|h| h.whole) else {
            let here = rest.get(..ALIGN.min(rest.len())).unwrap_or_default();
            if here.iter().all(|b| *b == 0xff) {
                let blank = rest.iter().position(|b| *b != 0xff).unwrap_or(rest.len());
                at = at.saturating_add(blank / ALIGN * ALIGN).max(at.saturating_add(here.len()));
                continue;
            }
            if !here.iter().all(|b| *b == PAD) {
                odd.first.get_or_insert(start.saturating_add(at as u64));
                odd.bytes = odd.bytes.saturating_add(here.len() as u64);
            }
            at = at.saturating_add(ALIGN);
            continue;
        };
        let spot = Spot {
            block,
            offset: u32::try_from(at).unwrap_or(u32::MAX),
            len: u32::try_from(found.len).unwrap_or(u32::MAX),
        };
        let node = rest.get(..found.len).unwrap_or_default();
        let mut next = found.len;
        if found.kind == PADDING {
            next = next.saturating_add(size(u64::from(u32_at(node, HEADER).unwrap_or(0))));
        } else {
            each(found, spot, node);
        }
        at = at.saturating_add(next.min(rest.len()).next_multiple_of(ALIGN));
    }
    odd
}

/// Blocks that the log names as the journal's, with the byte at which each begins.
pub(super) fn journal(volume: &Volume, master: &Master) -> BTreeMap<u32, u32> {
    let mut buds = BTreeMap::new();
    let count = if volume.superblock.log_blocks == 0 { LOG } else { volume.superblock.log_blocks };
    let end = count.saturating_add(3);
    if !(3..end).contains(&master.log) {
        volume.damage.once(0, format!("the log is said to begin in block {}; the journal is not read", master.log), 0);
        return buds;
    }
    let mut oldest = None;
    for block in (master.log..end).chain(3..master.log) {
        let mut found = Vec::new();
        nodes(volume, block, 0, &mut |head, spot, node| found.push((head, spot, node.to_vec())));
        let place = u64::from(block).saturating_mul(volume.superblock.block);
        let Some((first, _, node)) = found.first() else {
            if oldest.is_none() {
                volume.damage.once(place, "the log is lost; what was written last may be missing", 0);
            }
            break;
        };
        if oldest.is_none() && (first.kind != COMMIT || u64_at(node, HEADER) != Some(master.commit)) {
            volume.damage.once(place, "the log does not begin with the last commit; it is read all the same", 0);
        }
        let oldest = *oldest.get_or_insert(first.sequence);
        if first.sequence < oldest {
            // Older rounds of the log begin here.
            break;
        }
        for (_, spot, node) in found.iter().filter(|(h, ..)| h.kind == REFERENCE && h.sequence >= oldest) {
            let (Some(bud), Some(from)) = (u32_at(node, 24), u32_at(node, 28)) else { continue };
            if bud < volume.superblock.main || bud >= volume.superblock.blocks {
                volume.damage.once(volume.at(*spot), format!("the log names block {bud}, which holds no files"), 0);
                continue;
            }
            let known = buds.entry(bud).or_insert(from);
            *known = from.min(*known);
        }
    }
    buds
}

/// What the nodes of the journal did.
pub(super) fn journaled(volume: &Volume, buds: &BTreeMap<u32, u32>, budget: &mut Budget) -> Vec<Event> {
    let mut events = Vec::new();
    for (block, from) in buds {
        let odd = collect(volume, *block, *from, budget, &mut |_| true, &mut events);
        if let Some(first) = odd.first {
            let what = format!("block {block} of the journal: bytes that are no node (a write that was cut off)");
            volume.damage.once(first, what, odd.bytes);
        }
    }
    events
}

/// What all nodes say of the keys that the index lost.
pub(super) fn searched(volume: &Volume, lost: &[RangeInclusive<Key>], budget: &mut Budget) -> Vec<Event> {
    let mut events = Vec::new();
    let mut wanted = |key: Key| lost.iter().any(|keys| keys.contains(&key));
    for block in volume.superblock.main..volume.reach() {
        collect(volume, block, 0, budget, &mut wanted, &mut events);
    }
    events
}

fn collect(
    volume: &Volume,
    block: u32,
    from: u32,
    budget: &mut Budget,
    wanted: &mut dyn FnMut(Key) -> bool,
    events: &mut Vec<Event>,
) -> Odd {
    let mut ended = false;
    let odd = nodes(volume, block, from, &mut |head, spot, node| {
        ended |= budget.step(1).is_err();
        if let Some(event) = event(head.kind, head.sequence, spot, node).filter(|e| !ended && wanted(e.key)) {
            events.push(event);
        }
    });
    if ended {
        let at = u64::from(block).saturating_mul(volume.superblock.block);
        volume.damage.once(at, "budget: nodes; the rest was not read", 0);
    }
    odd
}
