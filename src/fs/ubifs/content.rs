//! A file's bytes: blocks of 4096, each a node of its own, compressed by itself; a block without a node is a hole.
use super::node::{BLOCK, DATA, ENCRYPTED, Key, Spot};
use super::{Volume, codec, file};
use crate::base::{NodeId, Piece, PieceKind, Run};
use crate::fs::raw::{size, u16_at, u32_at};
use crate::fs::{FsError, NodeKind};
use crate::image::{ReadAt, ReadError, Source, pieces, read_exact};
use std::sync::Arc;

/// Bytes of a block's node before its data.
const HEAD: usize = 48;
/// Blocks that a key can number.
const NUMBERS: u64 = 1 << 29;

struct Content {
    volume: Arc<Volume>,
    inode: u32,
    live: bool,
    /// Bytes.
    len: u64,
}

pub(super) fn open(volume: &Arc<Volume>, node: NodeId) -> Result<Source, FsError> {
    if super::deleted::name_only(node).is_some() {
        return Err(FsError::Unsupported("content of a deleted file whose inode is lost".to_owned()));
    }
    let (inode, live, _) = file::inode(volume, node)?;
    if inode.kind() != NodeKind::File {
        return Ok(Arc::new(Vec::new()));
    }
    if inode.flags & ENCRYPTED != 0 {
        return Err(FsError::Unsupported("content encrypted by fscrypt".to_owned()));
    }
    Ok(Arc::new(Content { volume: volume.clone(), inode: inode.key.inode, live, len: inode.size }))
}

impl Content {
    /// The node of the block at a byte, or the bytes up to the next block that has one.
    fn part(&self, at: u64) -> Result<Spot, u64> {
        let number = at / BLOCK;
        let end = self.len.saturating_sub(at);
        let Some(wanted) = u32::try_from(number).ok().filter(|_| number < NUMBERS) else { return Err(end) };
        match file::blocks(&self.volume, self.inode, wanted, self.live) {
            Some((key, spot)) if key.number() == wanted => Ok(spot),
            Some((key, _)) => Err(u64::from(key.number()).saturating_mul(BLOCK).saturating_sub(at).min(end)),
            None => Err(end),
        }
    }
    /// A hole of a file that is in use; of a deleted one the flash may just not have it any more.
    fn is_hole(&self) -> bool {
        self.live
    }
    fn decode(&self, number: u64, spot: Spot) -> Result<Vec<u8>, String> {
        let node = self.volume.node(spot, DATA).map_err(|e| e.to_string())?;
        let wanted = Key::new(self.inode, DATA, u32::try_from(number).unwrap_or(u32::MAX));
        let damaged = || format!("block at volume_offset {} is damaged", self.volume.at(spot));
        if Key::parse(&node, 24) != Some(wanted) {
            return Err(damaged());
        }
        let len = u32_at(&node, 40).map(|n| size(u64::from(n))).filter(|n| *n as u64 <= BLOCK).ok_or_else(damaged)?;
        let packed = node.get(HEAD..).ok_or_else(damaged)?;
        let failed = |e| format!("block at volume_offset {}: {e}", self.volume.at(spot));
        codec::decode(u16_at(&node, 44).ok_or_else(damaged)?, packed, len).map_err(failed)
    }
    fn kept(&self, number: u64, spot: Spot) -> Result<Arc<Vec<u8>>, String> {
        let key = u64::from(spot.block) << 32 | u64::from(spot.offset);
        self.volume.blocks.get(key, || self.decode(number, spot))
    }
    /// Compressor and decoded bytes, by the node's own word.
    fn told(&self, spot: Spot) -> Option<(u16, u64)> {
        let head = read_exact(&*self.volume.source, self.volume.at(spot), HEAD).ok()??;
        Some((u16_at(&head, 44)?, u64::from(u32_at(&head, 40)?)))
    }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.len.saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let fail = |what: String| ReadError { offset: at, what };
            let (part, into) = (self.part(at), at % BLOCK);
            let len = part.as_ref().map_or_else(|hole| *hole, |_| BLOCK.saturating_sub(into));
            let end = done.saturating_add(size(len)).min(total);
            let Some(to) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else { break };
            match part {
                Ok(spot) => {
                    let block = self.kept(at / BLOCK, spot).map_err(fail)?;
                    // A block that holds less is zeros from there on.
                    let from = block.get(size(into)..).unwrap_or_default();
                    let n = from.len().min(to.len());
                    let (head, tail) = to.split_at_mut(n);
                    head.copy_from_slice(from.get(..n).unwrap_or_default());
                    tail.fill(0);
                }
                Err(_) if self.is_hole() => to.fill(0),
                Err(_) => return Err(fail("this part of the deleted file is no longer there".to_owned())),
            }
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        // Byte of the volume behind the last compressed block.
        let mut next = None;
        let missing = |len: u64, kind: PieceKind, out: &mut Vec<Piece>| match out.last_mut() {
            _ if len == 0 => {}
            Some(last) if last.kind == kind => last.len = last.len.saturating_add(len),
            _ => out.push(Piece { image: 0, offset: 0, len, kind }),
        };
        while at < end {
            let into = at % BLOCK;
            let spot = match self.part(at) {
                Ok(spot) => spot,
                Err(hole) => {
                    let len = hole.min(end.saturating_sub(at));
                    let kind = if self.is_hole() { PieceKind::Hole } else { PieceKind::Absent };
                    missing(len, kind, &mut out);
                    next = None;
                    at = at.saturating_add(len.max(1));
                    continue;
                }
            };
            let len = BLOCK.saturating_sub(into).min(end.saturating_sub(at));
            let from = self.volume.at(spot);
            match self.told(spot) {
                Some((0, held)) => {
                    let stored = held.saturating_sub(into).min(len);
                    let run = Run::new(from.saturating_add(HEAD as u64).saturating_add(into), stored);
                    out.extend(pieces(&*self.volume.source, run));
                    missing(len.saturating_sub(stored), PieceKind::Hole, &mut out);
                    next = None;
                }
                Some(_) => {
                    match out.last_mut() {
                        Some(last) if next == Some(from) => last.len = last.len.saturating_add(len),
                        _ => {
                            let run = Run::new(from, u64::from(spot.len));
                            let first =
                                self.volume.source.locate(run).first().map_or((0, from), |p| (p.image, p.offset));
                            out.push(Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded });
                        }
                    }
                    next = Some(from.saturating_add(u64::from(spot.len).next_multiple_of(8)));
                }
                None => {
                    missing(len, PieceKind::Absent, &mut out);
                    next = None;
                }
            }
            at = at.saturating_add(len);
        }
        out
    }
}
