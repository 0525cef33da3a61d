//! zisofs: a file stored in blocks that are compressed each on its own, with pointers to them in front.
//! Format: "zisofs" and "zisofs2" as the libburnia project describes them.
use super::rock::Packed;
use crate::base::Run;
use crate::fs::chunks::{Chunked, Part, Stand};
use crate::fs::raw::{size, u8_at, u32_at, u64_at};
use crate::image::cache::Cache;
use crate::image::{Source, read_exact};
use std::io::Read;
use std::sync::Arc;

const FIRST: &[u8] = &[0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07];
const SECOND: &[u8] = &[0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0];
/// Powers of two that a block's size may be.
const LOGS: std::ops::RangeInclusive<u8> = 15..=20;
/// Decoded bytes that are kept of one file.
const KEPT: u64 = 4 << 20;

pub(super) struct File {
    volume: Source,
    stored: Run,
    head: Packed,
    blocks: Cache<Vec<u8>>,
}

impl File {
    /// `stored` are the bytes of the volume that hold the file. The error says why it is not read decoded.
    pub(super) fn new(volume: &Source, stored: Run, told: Packed) -> Result<Self, String> {
        let bytes = read_exact(&**volume, stored.offset, 24).map_err(|e| e.to_string())?;
        let bytes = bytes.filter(|_| stored.len >= 16).ok_or("it is too short")?;
        let (log, own, second) = if bytes.starts_with(FIRST) {
            (u8_at(&bytes, 13), u32_at(&bytes, 8).map(u64::from), false)
        } else if bytes.starts_with(SECOND) {
            (u8_at(&bytes, 11), u64_at(&bytes, 12), true)
        } else {
            return Err("it does not begin as such a file".to_owned());
        };
        let (Some(log), Some(len)) = (log, own) else { return Err("its head is cut off".to_owned()) };
        if second && u8_at(&bytes, 10) != Some(1) {
            return Err("its blocks are not compressed by zlib".to_owned());
        }
        let header = usize::from(u8_at(&bytes, if second { 9 } else { 12 }).unwrap_or(0)).saturating_mul(4);
        let least = if second { 24 } else { 16 };
        if !LOGS.contains(&log) || header < least {
            return Err(format!("blocks of 2^{log} bytes behind a head of {header}"));
        }
        // The directory and the file say the same; the file is what is decoded.
        if len != told.len {
            return Err(format!("it has {len} bytes by its own head and {} by its directory", told.len));
        }
        let head = Packed { second, header, log, len };
        Ok(Self { volume: volume.clone(), stored, head, blocks: Cache::of_bytes(KEPT, 1 << log) })
    }
    fn pointers(&self, block: u64) -> Result<(u64, u64), String> {
        let width: u64 = if self.head.second { 8 } else { 4 };
        let at = block.saturating_mul(width).saturating_add(self.head.header as u64);
        if at.saturating_add(width.saturating_mul(2)) > self.stored.len {
            return Err("the pointers to its blocks are cut off".to_owned());
        }
        let place = self.stored.offset.saturating_add(at);
        let bytes = read_exact(&*self.volume, place, size(width).saturating_mul(2)).map_err(|e| e.to_string())?;
        let bytes = bytes.ok_or("the pointers to its blocks are cut off")?;
        let short = |at| u32_at(&bytes, at).map(u64::from);
        let pair = if self.head.second { u64_at(&bytes, 0).zip(u64_at(&bytes, 8)) } else { short(0).zip(short(4)) };
        pair.ok_or_else(|| "the pointers to its blocks are cut off".to_owned())
    }
    fn block(&self) -> u64 {
        1 << self.head.log
    }
}

impl Chunked for File {
    fn len(&self) -> u64 {
        self.head.len
    }
    fn volume(&self) -> &Source {
        &self.volume
    }
    fn part(&self, offset: u64) -> Part {
        let number = offset >> self.head.log;
        let start = number << self.head.log;
        let len = self.block().min(self.head.len.saturating_sub(start));
        let stand = match self.pointers(number) {
            Ok((from, to)) if from == to => Stand::Zeros,
            Ok((from, to)) if from < to && to <= self.stored.len && to.saturating_sub(from) <= self.block() * 2 => {
                Stand::Packed(Run::new(self.stored.offset.saturating_add(from), to.saturating_sub(from)))
            }
            Ok((from, to)) => {
                Stand::Lost(format!("zisofs: block {number} stands in bytes {from} to {to} of the stored file"))
            }
            Err(e) => Stand::Lost(format!("zisofs: {e}")),
        };
        Part { start, len, stand }
    }
    fn decode(&self, part: &Part) -> Result<Arc<Vec<u8>>, String> {
        let Stand::Packed(run) = part.stand else { return Err("zisofs: not a compressed block".to_owned()) };
        self.blocks.get(part.start >> self.head.log, || {
            let failed = |what: &dyn std::fmt::Display| format!("zisofs block at volume_offset {}: {what}", run.offset);
            let stored = read_exact(&*self.volume, run.offset, size(run.len)).map_err(|e| failed(&e))?;
            let stored = stored.ok_or_else(|| failed(&"beyond the end of the volume"))?;
            let mut out = Vec::new();
            let wanted = part.len.saturating_add(1);
            let reader = flate2::read::ZlibDecoder::new(stored.as_slice());
            reader.take(wanted).read_to_end(&mut out).map_err(|e| failed(&e))?;
            if out.len() as u64 != part.len {
                return Err(failed(&format!("gives {} bytes of {}", out.len(), part.len)));
            }
            Ok(out)
        })
    }
}
