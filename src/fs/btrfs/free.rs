//! What no file and no structure uses: devices outside of chunks, and chunks between extents.
use super::Volume;
use super::block::Item;
use super::contradiction::Extents;
use super::raw::{EXTENT_ITEM, Key, METADATA_ITEM};
use crate::base::Run;
use crate::volume::btrfs::{LEN, PLACES};

/// Bytes at the start of each device that are kept for boot loaders and the superblock.
const RESERVED: u64 = 1 << 20;
/// Free stretches that are kept.
const MAX_RUNS: usize = 1 << 22;

/// Logical stretches between the extents of all chunks, in order; none where that is not known.
/// `see` is shown each item of the tree of extents.
pub(super) fn logical(volume: &Volume, see: &mut dyn FnMut(&Item<'_>)) -> Vec<(u64, u64)> {
    let Some(root) = volume.extent_root else { return Vec::new() };
    let chunks: Vec<(u64, u64)> = volume.blocks.space.chunks.0.values().map(|c| (c.start, c.end())).collect();
    let mut out = Vec::new();
    let mut number = 0_usize;
    let mut at = chunks.first().map_or(0, |c| c.0);
    let mut too_many = false;
    // Frees what lies before a byte, chunk by chunk.
    let mut advance = |to: u64, out: &mut Vec<(u64, u64)>, at: &mut u64| {
        while let Some((start, end)) = chunks.get(number).copied() {
            *at = (*at).max(start);
            let stop = to.min(end);
            if stop > *at {
                out.push((*at, stop));
                *at = stop;
            }
            if to < end {
                return;
            }
            number = number.saturating_add(1);
        }
    };
    let whole = volume.blocks.each(root, Key::default(), Key::LAST, &mut |item| {
        see(&item);
        let len = match item.key.kind {
            EXTENT_ITEM => item.key.offset,
            METADATA_ITEM => u64::from(volume.sb.node),
            _ => return true,
        };
        advance(item.key.object, &mut out, &mut at);
        at = at.max(item.key.object.saturating_add(len));
        too_many = out.len() > MAX_RUNS;
        !too_many
    });
    if !whole || too_many {
        let what = "what is free within chunks is not known, as the tree of extents could not be read";
        volume.damage.once(volume.blocks.space.volume_offset(root.logical), what, 0);
        return Vec::new();
    }
    advance(u64::MAX, &mut out, &mut at);
    out
}

/// Free runs of the volume, sorted, joined where they touch.
pub(super) fn unallocated(volume: &Volume) -> Vec<Run> {
    let space = &volume.blocks.space;
    let mut free = Vec::new();
    let mut extents = Extents::default();
    let stretches = logical(volume, &mut |item| extents.see(volume, item));
    // Where the tree could not be read nothing is known of any.
    if !stretches.is_empty() {
        extents.tell(volume, &stretches);
    }
    for (from, to) in stretches {
        if let Some(chunk) = space.chunks.find(from) {
            space.runs(chunk, from, to, &mut free);
        }
    }
    let mut used: Vec<Run> = Vec::new();
    for device in &space.devices {
        let at = device.run.offset;
        used.push(Run::new(at, RESERVED));
        used.extend(
            PLACES.iter().filter(|p| **p < device.run.len).map(|p| Run::new(at.saturating_add(*p), LEN as u64)),
        );
    }
    let superblocks = used.clone();
    for chunk in space.chunks.0.values() {
        let len = chunk.len / chunk.columns();
        for stripe in &chunk.stripes {
            let mine = |d: &&super::space::Device| d.uuid == stripe.uuid || d.id == stripe.device;
            if let Some(device) = space.devices.iter().find(mine) {
                used.push(Run::new(device.run.offset.saturating_add(stripe.offset), len));
            }
        }
    }
    free.extend(without(space.source.len(), used));
    let mut free = joined(free);
    // Superblocks may stand within chunks.
    let mut kept = Vec::new();
    let superblocks = joined(superblocks);
    for run in free.drain(..) {
        let mut at = run.offset;
        let first = superblocks.partition_point(|s| s.end() <= run.offset);
        for hole in superblocks.iter().skip(first).take_while(|s| s.offset < run.end()) {
            if hole.offset > at {
                kept.push(Run::new(at, hole.offset.saturating_sub(at)));
            }
            at = at.max(hole.end());
        }
        if run.end() > at {
            kept.push(Run::new(at, run.end().saturating_sub(at)));
        }
    }
    kept
}

fn joined(mut runs: Vec<Run>) -> Vec<Run> {
    runs.sort_unstable();
    let mut out: Vec<Run> = Vec::new();
    for run in runs.into_iter().filter(|r| r.len > 0) {
        match out.last_mut() {
            Some(last) if last.end() >= run.offset => last.len = last.end().max(run.end()).saturating_sub(last.offset),
            _ => out.push(run),
        }
    }
    out
}

/// What the runs leave of so many bytes.
fn without(len: u64, used: Vec<Run>) -> Vec<Run> {
    let mut out = Vec::new();
    let mut at = 0;
    for run in joined(used) {
        if run.offset.min(len) > at {
            out.push(Run::new(at, run.offset.min(len).saturating_sub(at)));
        }
        at = at.max(run.end());
    }
    if at < len {
        out.push(Run::new(at, len.saturating_sub(at)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_and_turned_around() {
        let run = Run::new;
        assert_eq!(joined(vec![run(5, 5), run(0, 3), run(10, 1), run(2, 1)]), [run(0, 3), run(5, 6)]);
        assert_eq!(without(20, vec![run(5, 5), run(15, 50)]), [run(0, 5), run(10, 5)]);
    }
}
