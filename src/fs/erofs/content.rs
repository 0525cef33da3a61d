//! A file's bytes, in each of the layouts.
//! Format: see `superblock.rs`, "data layouts" and "compression".
use super::Volume;
use super::codec::Codec;
use super::index::{self, Extent as Cluster, Form, Index, Place};
use super::inode::{Inode, Layout};
use crate::base::Piece;
use crate::base::Run;
use crate::fs::chunks::{Chunked, Chunks, Part, Stand};
use crate::fs::extents::{At, Extent, Extents, Placed, locate_placed, read_placed};
use crate::fs::raw::{size, u16_at, u32_at};
use crate::image::{ReadAt, ReadError, Source, read_exact};
use std::sync::Arc;

/// Bytes that one cluster may decode to; the kernel's writers make no more than 12 MiB.
const MAX_DECODED: u64 = 16 << 20;
/// Bytes of one cluster as it is stored.
const MAX_STORED: u64 = 1 << 20;
/// Pointers read at once when a run of chunks is looked for.
const AHEAD: u64 = 128;

/// The error says why nothing of the file can be read.
pub(super) fn open(volume: &Arc<Volume>, inode: &Inode) -> Result<Source, String> {
    match inode.layout {
        Layout::Device(_) => Ok(Arc::new(Vec::new())),
        Layout::Flat { block, inline } => Ok(Arc::new(flat(volume, inode, block, inline))),
        Layout::Chunks(format) => Ok(Arc::new(chunks(volume, inode, format)?)),
        Layout::Packed { full, .. } => {
            let index = index::read(volume, inode, full).map_err(|e| format!("compressed file: {e}"))?;
            Ok(Arc::new(Chunks(Packed { volume: volume.clone(), len: inode.len, index })))
        }
    }
}

fn flat(volume: &Arc<Volume>, inode: &Inode, block: Option<u64>, inline: bool) -> Extents {
    let size = volume.sb.block();
    let tail = if inline { inode.len % size } else { 0 };
    let body = inode.len.saturating_sub(tail);
    let mut list = Vec::new();
    if body > 0 {
        let lost = At::Lost("the file has bytes and no first block");
        let at = block.map_or(lost, |b| volume.device(0, b).map_or(At::Lost(ELSEWHERE), At::Volume));
        list.push(Extent { start: 0, len: body, at });
    }
    if tail > 0 {
        let behind = inode.behind();
        // The kernel reads it in one block.
        let fits = behind % size + tail <= size;
        let at =
            if fits { At::Volume(behind) } else { At::Lost("the end of the file behind its inode crosses a block") };
        list.push(Extent { start: body, len: tail, at });
    }
    Extents { volume: volume.source.clone(), len: inode.len, valid: inode.len, list: list.into() }
}

const ELSEWHERE: &str = "this part of the file stands on a further device, which is not here";

/// A file in chunks, with a pointer for each.
struct ChunkFile {
    volume: Arc<Volume>,
    len: u64,
    /// Power of two of a chunk's bytes.
    log: u32,
    /// Pointers of eight bytes with a device, not four.
    long: bool,
    /// Byte of the volume of the first pointer.
    table: u64,
}

fn chunks(volume: &Arc<Volume>, inode: &Inode, format: u16) -> Result<ChunkFile, String> {
    if format & !0x3f != 0 {
        return Err(format!("chunks of the unknown form {format:#x}"));
    }
    let log = u32::from(volume.sb.log).saturating_add(u32::from(format & 31));
    if log > 62 {
        return Err(format!("chunks of 2^{log} bytes"));
    }
    let long = format & 0x20 != 0;
    let table = inode.behind().next_multiple_of(if long { 8 } else { 4 });
    Ok(ChunkFile { volume: volume.clone(), len: inode.len, log, long, table })
}

impl ChunkFile {
    fn pointer(&self, bytes: &[u8]) -> At {
        let device = if self.long { u16_at(bytes, 2) } else { Some(0) };
        let block = u32_at(bytes, if self.long { 4 } else { 0 });
        match (device, block) {
            (_, Some(u32::MAX)) => At::Zeros,
            (Some(device), Some(block)) => {
                self.volume.device(device, block.into()).map_or(At::Lost(ELSEWHERE), At::Volume)
            }
            _ => At::Lost(MAP),
        }
    }
}
const MAP: &str = "the pointers to the file's chunks cannot be read";

impl Placed for ChunkFile {
    fn place(&self, offset: u64) -> (At, u64) {
        let chunk = 1_u64 << self.log;
        let first = offset >> self.log;
        let width: u64 = if self.long { 8 } else { 4 };
        let count = self.len.div_ceil(chunk).saturating_sub(first).min(AHEAD);
        let at = first.checked_mul(width).and_then(|n| n.checked_add(self.table));
        let left = at.map_or(0, |at| self.volume.source.len().saturating_sub(at) / width).min(count);
        let bytes = at.map(|at| read_exact(&*self.volume.source, at, size(left.saturating_mul(width))));
        let bytes = match bytes {
            Some(Ok(Some(bytes))) if left > 0 => bytes,
            // All that follows is lost as well where the table leaves the volume.
            _ if left == 0 => return (At::Lost(MAP), self.len.saturating_sub(offset)),
            _ => Vec::new(),
        };
        let into = offset.saturating_sub(first << self.log);
        let mut pointers = bytes.chunks_exact(size(width)).map(|b| self.pointer(b));
        let start = pointers.next().unwrap_or(At::Lost(MAP));
        let mut len = chunk;
        for next in pointers {
            let follows = match (start, next) {
                (At::Volume(from), At::Volume(to)) => from.checked_add(len) == Some(to),
                (a, b) => a == b,
            };
            if !follows {
                break;
            }
            len = len.saturating_add(chunk);
        }
        let place = match start {
            At::Volume(from) => from.checked_add(into).map_or(At::Lost(MAP), At::Volume),
            other => other,
        };
        (place, len.saturating_sub(into).min(self.len.saturating_sub(offset)))
    }
    fn read_volume(&self, from: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        self.volume.source.read_at(from, to)
    }
    fn locate_volume(&self, run: Run, out: &mut Vec<Piece>) {
        out.extend(self.volume.source.locate(run));
    }
}
impl ReadAt for ChunkFile {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        read_placed(self, offset, buf)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        locate_placed(self, bytes)
    }
}

/// A compressed file.
struct Packed {
    volume: Arc<Volume>,
    len: u64,
    index: Index,
}

impl Packed {
    /// The cluster that holds a byte, its number and its decoded length.
    fn cluster(&self, offset: u64) -> Option<(usize, Cluster, u64)> {
        let number = self.index.extents.partition_point(|e| e.start <= offset).checked_sub(1)?;
        let extent = *self.index.extents.get(number)?;
        let known = self.index.lost.as_ref().map_or(self.len, |(from, _)| *from);
        let end = self.index.extents.get(number.saturating_add(1)).map_or(known, |next| next.start).min(self.len);
        (offset < end).then(|| (number, extent, end.saturating_sub(extent.start)))
    }
    /// The run of the volume in which a cluster stands.
    fn run(&self, place: Place) -> Result<Run, String> {
        match place {
            Place::Blocks(block, count) => {
                let at = self.volume.device(0, block.into()).ok_or(ELSEWHERE)?;
                Ok(Run::new(at, u64::from(count) << self.volume.sb.log))
            }
            Place::Inline(at, len) => Ok(Run::new(at, len)),
            Place::Fragment(_) => Err("not a cluster".to_owned()),
        }
    }
    fn bytes(&self, run: Run) -> Result<Vec<u8>, String> {
        if run.len > MAX_STORED {
            return Err(format!("cluster at volume_offset {} of {} bytes", run.offset, run.len));
        }
        // The last blocks of an image may be cut to what is used.
        let left = self.volume.source.len().saturating_sub(run.offset).min(run.len);
        let bytes = read_exact(&*self.volume.source, run.offset, size(left)).map_err(|e| e.to_string())?;
        bytes
            .filter(|b| !b.is_empty())
            .ok_or_else(|| format!("cluster at volume_offset {} lies beyond the end of the volume", run.offset))
    }
    fn expand(&self, cluster: &Cluster, len: u64) -> Result<Vec<u8>, String> {
        let wanted = size(len);
        if let Place::Fragment(from) = cluster.place {
            return self.volume.fragment(from, wanted);
        }
        let run = self.run(cluster.place)?;
        let failed = |e: String| format!("cluster at volume_offset {}: {e}", run.offset);
        let stored = self.bytes(run)?;
        let short = || failed("holds less than the file has there".to_owned());
        match cluster.form {
            Form::Plain => stored.get(..wanted).map(<[u8]>::to_vec).ok_or_else(short),
            Form::Interlaced => {
                let block = size(self.volume.sb.block());
                let from = size(cluster.start % self.volume.sb.block());
                let right = block.saturating_sub(from).min(wanted);
                let one = stored.get(from..from.saturating_add(right)).ok_or_else(short)?;
                let two = stored.get(..wanted.saturating_sub(right)).ok_or_else(short)?;
                Ok([one, two].concat())
            }
            Form::Packed(number) => {
                let codec = Codec::of(number).ok_or_else(|| failed(format!("compressor {number}")))?;
                // An end that stands behind its inode is padded as all others are.
                codec.decode(&stored, wanted, self.volume.sb.padded, self.volume.sb.settings).map_err(failed)
            }
        }
    }
}

impl Chunked for Packed {
    fn len(&self) -> u64 {
        self.len
    }
    fn volume(&self) -> &Source {
        &self.volume.source
    }
    fn part(&self, offset: u64) -> Part {
        let Some((_, cluster, len)) = self.cluster(offset) else {
            let why =
                self.index.lost.as_ref().map_or("no cluster holds this part of the file", |(_, why)| why.as_str());
            return Part { start: offset, len: self.len.saturating_sub(offset), stand: Stand::Lost(why.to_owned()) };
        };
        let start = cluster.start;
        if let Place::Fragment(from) = cluster.place {
            return Part { start, len, stand: self.volume.fragment_stand(from, len) };
        }
        let stand = match self.run(cluster.place) {
            Err(why) => Stand::Lost(why),
            Ok(_) if len > MAX_DECODED => Stand::Lost(format!("a cluster of {len} decoded bytes")),
            Ok(run) if run.offset >= self.volume.source.len() => {
                Stand::Lost(format!("cluster at volume_offset {} lies beyond the end of the volume", run.offset))
            }
            Ok(run) if cluster.form == Form::Plain && len <= run.len => Stand::Volume(run.offset),
            Ok(run) => Stand::Packed(run),
        };
        Part { start, len, stand }
    }
    fn decode(&self, part: &Part) -> Result<Arc<Vec<u8>>, String> {
        let (_, cluster, len) = self.cluster(part.start).ok_or("no cluster holds this part of the file")?;
        if len > MAX_DECODED {
            return Err(format!("a cluster of {len} decoded bytes"));
        }
        // The same cluster may give several files other lengths.
        let key = match cluster.place {
            Place::Blocks(block, _) if len < 1 << 24 => Some(u64::from(block) << 24 | len),
            _ => None,
        };
        match key.filter(|_| cluster.form != Form::Interlaced) {
            Some(key) => self.volume.clusters.get(key, || self.expand(&cluster, len)),
            None => self.expand(&cluster, len).map(Arc::new),
        }
    }
}
