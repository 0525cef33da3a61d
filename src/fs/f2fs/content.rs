//! A file's bytes: in the inode, or in blocks whose addresses stand in the inode, in direct nodes, and in direct nodes
//! below one or two levels of indirect ones; some in compressed clusters.
//! Format: see `superblock.rs`, "index structure" and "compression implementation".
use super::Volume;
use super::inode::{INLINE_DATA, INLINE_DENTRY, Inode, direct};
use super::node::{CLUSTER, NEW, NULL};
use super::superblock::{BLOCK, MAGIC, crc};
use crate::base::Run;
use crate::fs::chunks::{Chunked, Chunks, Part, Stand};
use crate::fs::raw::{size, u32_at};
use crate::image::{Slice, Source, expand_lzo, expand_zstd, read_exact};
use std::sync::Arc;

/// Addresses of a node.
const ADDRESSES: u64 = 1018;
/// Bytes before the data of a compressed cluster.
const HEAD: usize = 24;

pub(super) fn open(volume: &Arc<Volume>, inode: &Inode) -> Source {
    if inode.inline & (INLINE_DATA | INLINE_DENTRY) != 0 {
        let (from, len) = inode.inside();
        let at = inode.node.at().saturating_add(from as u64);
        // An inline directory is all of the area.
        let wanted = if inode.inline & INLINE_DENTRY != 0 { len as u64 } else { inode.len };
        if wanted <= len as u64 {
            return Arc::new(Slice::new(volume.source.clone(), Run::new(at, wanted)));
        }
        volume.damage.note("a file in its inode that is longer than its room", inode.ino().into(), at, wanted);
    }
    Arc::new(Chunks(File { volume: volume.clone(), inode: inode.clone() }))
}

struct File {
    volume: Arc<Volume>,
    inode: Inode,
}

/// What is known of a block: its address, or why there is none; and how many blocks from it on that holds for.
struct Found {
    address: Result<u32, String>,
    blocks: u64,
}

impl File {
    /// Addresses of a direct node of this file.
    fn width(&self) -> u64 {
        self.inode.packed.map_or(ADDRESSES, |p| ADDRESSES >> p.log << p.log)
    }
    /// Finds the address of block `number`, and how many follow it in the same node (or are missing with it).
    fn find(&self, number: u64) -> Found {
        let own = self.inode.count() as u64;
        if number < own {
            return Found { address: Ok(self.inode.address(size(number))), blocks: own.saturating_sub(number) };
        }
        let width = self.width();
        let mut rest = number.saturating_sub(own);
        // The five further nodes, and how many indirect levels each has.
        for (n, levels) in [0, 0, 1, 1, 2].into_iter().enumerate() {
            let span = (0..levels).fold(width, |s: u64, _| s.saturating_mul(ADDRESSES));
            if rest < span {
                return self.descend(self.inode.further(n), levels, rest, span);
            }
            rest = rest.saturating_sub(span);
        }
        Found { address: Err("the file is longer than its nodes can lead".to_owned()), blocks: u64::MAX }
    }
    fn descend(&self, mut nid: u32, levels: u32, mut rest: u64, mut span: u64) -> Found {
        let width = self.width();
        for level in (0..=levels).rev() {
            if nid == 0 {
                return Found { address: Ok(NULL), blocks: span.saturating_sub(rest) };
            }
            let lost = |why: String| Found { address: Err(why), blocks: span.saturating_sub(rest) };
            let node = match self.volume.node(nid) {
                Ok(node) => node,
                Err(e) => return lost(format!("a node of the file: {e}")),
            };
            if node.ino() != self.inode.ino() {
                return lost(format!("node {nid} at volume_offset {} belongs to inode {}", node.at(), node.ino()));
            }
            if level == 0 {
                return Found { address: Ok(direct(&node, size(rest))), blocks: width.saturating_sub(rest) };
            }
            span /= ADDRESSES;
            nid = direct(&node, size(rest / span.max(1)));
            rest %= span.max(1);
        }
        Found { address: Err("a node of the file".to_owned()), blocks: 1 }
    }
    fn stand(&self, address: u32) -> Stand {
        match address {
            NULL | NEW => Stand::Zeros,
            CLUSTER => Stand::Lost("the mark of a compressed cluster where none can be".to_owned()),
            block => match self.volume.place(block.into()) {
                Ok(_) if self.inode.stale && self.volume.in_use(block.into()) => {
                    Stand::Lost("this part of the deleted file was given to another one".to_owned())
                }
                Ok(at) => Stand::Volume(at),
                Err(why) => Stand::Lost(why.to_owned()),
            },
        }
    }
    /// The addresses of a cluster from its first block on.
    fn cluster(&self, first: u64, log: u32) -> Vec<Result<u32, String>> {
        (0..1_u64 << log).map(|n| self.find(first.saturating_add(n)).address).collect()
    }
    /// The stored bytes of a cluster, or where its blocks stand in the way of that.
    fn stored(&self, first: u64, log: u32) -> Result<(u64, Vec<u8>), String> {
        let mut out = Vec::new();
        let mut start = None;
        for address in self.cluster(first, log).into_iter().skip(1) {
            let address = address?;
            if matches!(address, NULL | NEW) {
                break;
            }
            match self.stand(address) {
                Stand::Volume(at) => {
                    start.get_or_insert(at);
                    let bytes = read_exact(&*self.volume.source, at, size(BLOCK)).map_err(|e| e.to_string())?;
                    out.extend(bytes.ok_or("a block of a compressed cluster lies beyond the end of the volume")?);
                }
                Stand::Lost(why) => return Err(why),
                _ => break,
            }
        }
        Ok((start.ok_or("a compressed cluster without blocks")?, out))
    }
}

impl Chunked for File {
    fn len(&self) -> u64 {
        self.inode.len
    }
    fn volume(&self) -> &Source {
        &self.volume.source
    }
    fn part(&self, offset: u64) -> Part {
        let number = offset / BLOCK;
        if let Some(packed) = self.inode.packed {
            let first = number >> packed.log << packed.log;
            if self.find(first).address == Ok(CLUSTER) {
                let start = first.saturating_mul(BLOCK);
                let len = (BLOCK << packed.log).min(self.inode.len.saturating_sub(start));
                let blocks = self.cluster(first, packed.log);
                let at = blocks.get(1).and_then(|a| a.as_ref().ok()).map(|a| self.stand(*a));
                let count = blocks.iter().skip(1).take_while(|a| !matches!(a, Ok(NULL | NEW) | Err(_))).count();
                let stand = match at {
                    Some(Stand::Volume(at)) => Stand::Packed(Run::new(at, (count as u64).saturating_mul(BLOCK))),
                    Some(Stand::Lost(why)) => Stand::Lost(why),
                    _ => Stand::Lost("a compressed cluster without blocks".to_owned()),
                };
                return Part { start, len, stand };
            }
        }
        let start = number.saturating_mul(BLOCK);
        let found = self.find(number);
        let address = match found.address {
            Ok(address) => address,
            Err(why) => {
                let len = found.blocks.saturating_mul(BLOCK).min(self.inode.len.saturating_sub(start));
                return Part { start, len, stand: Stand::Lost(why) };
            }
        };
        let stand = self.stand(address);
        // As many blocks as stand one behind the other, or are holes together. A cluster may begin after each other.
        let most =
            self.inode.packed.map_or(found.blocks, |p| (1_u64 << p.log).saturating_sub(number & ((1 << p.log) - 1)));
        let mut blocks = 1_u64;
        if address == NULL && found.blocks > ADDRESSES {
            blocks = found.blocks;
        }
        while blocks < most.min(found.blocks) {
            let next = self.find(number.saturating_add(blocks)).address.map(|a| self.stand(a));
            let follows = match (&stand, next) {
                (Stand::Volume(at), Ok(Stand::Volume(to))) => at.saturating_add(blocks.saturating_mul(BLOCK)) == to,
                (Stand::Zeros, Ok(Stand::Zeros)) => true,
                _ => false,
            };
            if !follows {
                break;
            }
            blocks = blocks.saturating_add(1);
        }
        Part { start, len: blocks.saturating_mul(BLOCK), stand }
    }
    fn decode(&self, part: &Part) -> Result<Arc<Vec<u8>>, String> {
        let packed = self.inode.packed.ok_or("not a compressed file")?;
        let first = part.start / BLOCK;
        let (at, stored) = self.stored(first, packed.log)?;
        let failed = |e: String| format!("compressed cluster at volume_offset {at}: {e}");
        // The version of a file is its block: clusters never change in place.
        self.volume.clusters.get(at, || {
            let len = size(u32_at(&stored, 0).unwrap_or(0).into());
            let data = stored.get(HEAD..HEAD.saturating_add(len)).filter(|d| !d.is_empty());
            let data = data.ok_or_else(|| failed(format!("{len} bytes in blocks of {}", stored.len())))?;
            if packed.checked && u32_at(&stored, 4) != Some(crc(MAGIC, data)) {
                return Err(failed("its checksum is wrong".to_owned()));
            }
            expand(packed.algorithm, data, size(BLOCK << packed.log)).map_err(failed)
        })
    }
}

/// A whole cluster of `len` bytes.
fn expand(algorithm: u8, data: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let out = match algorithm {
        0 => expand_lzo(data, len).ok_or_else(|| "lzo: contradicts its format".to_owned()),
        1 => {
            let mut out = vec![0; len];
            lz4_flex::block::decompress_into(data, &mut out).map_err(|e| format!("lz4: {e}")).map(|n| {
                out.truncate(n);
                out
            })
        }
        2 => expand_zstd(data, len.saturating_add(1)).map_err(|e| format!("zstd: {e}")),
        3 => Err("lzo-rle: not read".to_owned()),
        n => Err(format!("compressor {n}")),
    }?;
    if out.len() != len {
        return Err(format!("gives {} bytes of {len}", out.len()));
    }
    Ok(out)
}
