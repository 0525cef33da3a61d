//! Logical evidence (`.L01`): the chunks hold the contents of files one behind another instead of a disk, and the
//! section `ltree` lists the files. Both together are the "disk" of such a set: the list as it is stored, then the
//! contents. `fs::archive` reads that as a file system.
//!
//! Specified by the libewf project, "Expert Witness Compression Format specification", ltree section.
use super::disk::Disk;
use super::segment::Section;
use super::volume::{MAX_CHUNK, Volume};
use crate::base::Run;
use crate::image::{Segment, Slice, Source, read_exact};
use std::sync::Arc;

/// Bytes before the list: its MD5, its length, a checksum.
const HEAD: u64 = 48;

/// The set's own word on chunks is of no use here: what the volume section counts are no sectors of a disk. How large
/// a chunk is, and how many bytes they have together, is told by the first and the last of them.
pub(super) fn fit(volume: Volume, disk: Disk, reach: u64) -> (Volume, Disk) {
    let of = |chunk: u64| disk.decoded_len(chunk, MAX_CHUNK).filter(|n| *n > 0);
    let chunk = of(0).unwrap_or(volume.chunk);
    let last = reach.saturating_sub(1);
    let rest = if reach == 0 { 0 } else { of(last).unwrap_or(chunk).min(chunk) };
    let total = last.saturating_mul(chunk as u64).saturating_add(rest as u64);
    (volume.of_files(chunk, total), disk.resized(chunk, total))
}

/// The list's bytes; the error says why they cannot be told from what follows.
pub(super) fn list(segment: &Segment, section: &Section) -> Result<Source, String> {
    let room = section.end.saturating_sub(section.start);
    let head = read_exact(&*segment.source, section.start, 48).map_err(|e| e.to_string())?;
    let len = head.as_deref().and_then(|h| h.get(16..24)?.first_chunk().map(|b| u64::from_le_bytes(*b)));
    let wanted =
        len.ok_or("its head is cut")?.checked_add(HEAD).ok_or("it says that it has more bytes than there are")?;
    if wanted > room {
        return Err(format!("it says that it has {wanted} bytes; {room} are there"));
    }
    Ok(Arc::new(Slice::new(segment.source.clone(), Run::new(section.start, wanted))))
}
