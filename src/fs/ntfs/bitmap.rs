//! `$Bitmap`: which clusters of the volume nothing uses.
use super::Volume;
use super::list::gather;
use super::raw::size;
use super::record::DATA;
use super::runs::Extent;
use super::value::value;
use crate::base::Run;
use crate::image::Source;

/// Number of `$Bitmap`.
const BITMAP: u64 = 6;
/// Bytes read at once.
const READ: usize = 1 << 20;

fn map(volume: &Volume) -> Option<&Source> {
    let find = || {
        let node = gather(BITMAP, &volume.mft, &volume.damage).ok()?;
        Some(value(volume, &node, DATA, b"")?.stored(volume))
    };
    volume.bitmap.get_or_init(find).as_ref()
}

/// Whether any of these clusters is in use; `false` as well where the bitmap does not tell.
pub(super) fn in_use(volume: &Volume, extents: &[Extent]) -> bool {
    let Some(map) = map(volume) else { return false };
    let mut buf = vec![0; 4096];
    for extent in extents.iter().filter(|e| e.is_stored()) {
        let end = extent.lcn.saturating_add(extent.len);
        let mut at = extent.lcn / 8;
        while at < end.div_ceil(8).min(map.len()) {
            let n = map.read_at(at, &mut buf).unwrap_or(0);
            for (byte, bits) in (at..end.div_ceil(8)).zip(buf.iter().take(n)) {
                let first = byte.saturating_mul(8);
                let inside = |bit: u64| (extent.lcn..end).contains(&first.saturating_add(bit));
                if *bits != 0 && (0..8).any(|bit| bits >> bit & 1 == 1 && inside(bit)) {
                    return true;
                }
            }
            if n == 0 {
                break;
            }
            at = at.saturating_add(n as u64);
        }
    }
    false
}

/// Free runs of the volume in bytes, sorted, joined where they touch. What the bitmap does not tell
/// counts as in use.
pub(super) fn unallocated(volume: &Volume) -> Vec<Run> {
    let here = volume.mft.volume_offset(BITMAP);
    let Some(map) = map(volume) else {
        volume.damage.note("bitmap of the volume not found; nothing counts as unallocated", BITMAP, here, 0);
        return Vec::new();
    };
    let cluster = volume.disk.cluster;
    let clusters = volume.disk.source.len() / cluster;
    let mut out: Vec<Run> = Vec::new();
    let mut buf = vec![0; READ];
    let mut at = 0_u64;
    let mut open: Option<u64> = None;
    let mut close = |first: u64, end: u64| {
        let len = end.saturating_sub(first).saturating_mul(cluster);
        out.push(Run::new(first.saturating_mul(cluster), len));
    };
    let bytes = map.len().min(clusters.div_ceil(8));
    while at < bytes {
        let want = size(bytes.saturating_sub(at)).min(READ);
        let part = buf.get_mut(..want).unwrap_or_default();
        if !map.read_at(at, part).is_ok_and(|n| n == want) {
            volume.damage.note(
                "bitmap of the volume could not be read; its part counts as in use",
                BITMAP,
                here,
                want as u64,
            );
            part.fill(0xff);
        }
        for (n, byte) in (at..).zip(part.iter()) {
            let first = n.saturating_mul(8);
            match (*byte, open) {
                (0, Some(_)) | (0xff, None) => continue,
                _ => {}
            }
            for bit in 0..8 {
                let number = first.saturating_add(bit);
                let free = byte >> bit & 1 == 0 && number < clusters;
                match (free, open) {
                    (true, None) => open = Some(number),
                    (false, Some(from)) => {
                        close(from, number);
                        open = None;
                    }
                    _ => {}
                }
            }
        }
        at = at.saturating_add(want as u64);
    }
    if let Some(from) = open {
        close(from, bytes.saturating_mul(8).min(clusters));
    }
    out
}
