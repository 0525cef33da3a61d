//! Nodes by their numbers: the table of nodes, the nodes themselves (inodes, direct and indirect nodes), and what was
//! synced after the checkpoint.
//! Format: see `superblock.rs`, "index structure" and "node address translation".
use super::Volume;
use super::superblock::BLOCK;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};
use crate::image::read_exact;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Entries of a block of the table, and bytes of one.
const ENTRIES: u64 = 455;
const ENTRY: usize = 9;
/// Byte of a node at which its footer stands.
pub(super) const FOOTER: usize = 4072;
/// No block; a block that was promised and not written; the mark of a compressed cluster.
pub(super) const NULL: u32 = 0;
pub(super) const NEW: u32 = u32::MAX;
pub(super) const CLUSTER: u32 = u32::MAX - 1;
/// Nodes of one chain after the checkpoint.
const MAX_CHAIN: usize = 1 << 20;
const FSYNC: u32 = 1 << 1;
const DENTRY: u32 = 1 << 2;

pub(super) struct Node {
    pub(super) bytes: Vec<u8>,
    /// Block of the volume.
    pub(super) block: u64,
}
impl Node {
    pub(super) fn at(&self) -> u64 {
        self.block.saturating_mul(BLOCK)
    }
    pub(super) fn nid(&self) -> u32 {
        u32_at(&self.bytes, FOOTER).unwrap_or(0)
    }
    pub(super) fn ino(&self) -> u32 {
        u32_at(&self.bytes, FOOTER.saturating_add(4)).unwrap_or(0)
    }
    fn flag(&self) -> u32 {
        u32_at(&self.bytes, FOOTER.saturating_add(8)).unwrap_or(0)
    }
    pub(super) fn version(&self) -> u64 {
        u64_at(&self.bytes, FOOTER.saturating_add(12)).unwrap_or(0)
    }
    fn next(&self) -> u32 {
        u32_at(&self.bytes, FOOTER.saturating_add(20)).unwrap_or(0)
    }
    pub(super) fn is_inode(&self) -> bool {
        self.nid() == self.ino()
    }
}

impl Volume {
    /// Whether a block lies in the area of files.
    pub(super) fn in_main(&self, block: u64) -> bool {
        let end = self.sb.main.saturating_add(u64::from(self.sb.main_segments) << self.sb.log);
        (self.sb.main..end).contains(&block)
    }
    /// Byte of this volume where a block of the area of files stands; the error says why not here.
    pub(super) fn place(&self, block: u64) -> Result<u64, &'static str> {
        if !self.in_main(block) {
            return Err("a pointer leads out of the area of files");
        }
        if block >= self.sb.here() {
            return Err("this part of the file stands on a further device, which is not here");
        }
        Ok(block.saturating_mul(BLOCK))
    }
    pub(super) fn node_at(&self, block: u64) -> Result<Node, FsError> {
        let at = self.place(block).map_err(|e| corrupt(block.saturating_mul(BLOCK), e))?;
        let bytes = read_exact(&*self.source, at, size(BLOCK))?;
        let bytes = bytes.ok_or_else(|| corrupt(at, "a node lies beyond the end of the volume"))?;
        Ok(Node { bytes, block })
    }
    /// Numbers that the table has room for.
    pub(super) fn max_nid(&self) -> u64 {
        (u64::from(self.sb.nat_segments >> 1) << self.sb.log).saturating_mul(ENTRIES)
    }
    /// Where a node stands, by what was synced, the journal, or the table; 0 where it does not exist.
    pub(super) fn lookup(&self, nid: u32) -> Result<u32, FsError> {
        if let Some(block) = self.synced.nodes.get(&nid) {
            return Ok(*block);
        }
        if let Some((_, block)) = self.cp.nat_journal.get(&nid) {
            return Ok(*block);
        }
        if u64::from(nid) >= self.max_nid() {
            return Err(corrupt(self.sb.nat.saturating_mul(BLOCK), format!("node {nid} beyond the table of nodes")));
        }
        let number = u64::from(nid) / ENTRIES;
        let block = self.nat.get(number, || self.nat_block(number))?;
        let at = size(u64::from(nid) % ENTRIES).saturating_mul(ENTRY);
        Ok(u32_at(&block, at.saturating_add(5)).unwrap_or(NULL))
    }
    /// A block of the table of nodes: each segment of it is followed by that with its second copies.
    fn nat_block(&self, number: u64) -> Result<Vec<u8>, FsError> {
        let segment = self.sb.segment();
        let (of, inside) = (number / segment, number % segment);
        let second = if self.cp.nat_second(number) { segment } else { 0 };
        let block = self.sb.nat.saturating_add(of.saturating_mul(segment).saturating_mul(2));
        let at = block.saturating_add(inside).saturating_add(second).saturating_mul(BLOCK);
        read_exact(&*self.source, at, size(BLOCK))?.ok_or_else(|| corrupt(at, "the table of nodes leaves the volume"))
    }
    pub(super) fn node(&self, nid: u32) -> Result<Arc<Node>, FsError> {
        self.nodes.get(nid.into(), || {
            let block = self.lookup(nid)?;
            if matches!(block, NULL | NEW) {
                let at = self.sb.nat.saturating_mul(BLOCK);
                return Err(corrupt(at, format!("node {nid} is not in use")));
            }
            let node = self.node_at(block.into())?;
            if node.nid() != nid {
                return Err(corrupt(node.at(), format!("node {nid} is node {} by its own footer", node.nid())));
            }
            Ok(node)
        })
    }
}

/// What was synced after the checkpoint, as a mount would recover it.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// Node to its newer block.
    pub(super) nodes: BTreeMap<u32, u32>,
    /// Names that were synced with their files, by directory.
    pub(super) names: BTreeMap<u32, Vec<Named>>,
    /// All blocks of the chain.
    pub(super) chain: u64,
}

/// A name that was synced with its file.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) ino: u32,
    /// The highest four bits of the mode.
    pub(super) mode: u8,
    pub(super) name: Vec<u8>,
}

/// Follows the chain of nodes from where the next one was to be written at the checkpoint.
pub(super) fn synced(volume: &Volume) -> Synced {
    let mut out = Synced::default();
    let (segment, offset) = volume.cp.warm;
    let start = volume.sb.main.saturating_add(u64::from(segment) << volume.sb.log).saturating_add(offset.into());
    let mut seen = HashSet::new();
    let mut next = start;
    while volume.in_main(next) && seen.insert(next) {
        if seen.len() > MAX_CHAIN {
            volume.damage.once(next.saturating_mul(BLOCK), "budget: nodes synced after the checkpoint", 0);
            break;
        }
        let Ok(node) = volume.node_at(next) else { break };
        if !volume.cp.follows(node.version()) {
            break;
        }
        out.chain = out.chain.saturating_add(1);
        if node.flag() & FSYNC != 0
            && let Ok(block) = u32::try_from(next)
        {
            out.nodes.insert(node.nid(), block);
            if node.is_inode() && node.flag() & DENTRY != 0 {
                let b = &node.bytes;
                let len = size(u32_at(b, 88).unwrap_or(0).into()).min(255);
                let name = b.get(92..92_usize.saturating_add(len)).unwrap_or_default().to_vec();
                let mode = u8::try_from(u16_at(b, 0).unwrap_or(0) >> 12).unwrap_or(0);
                let encrypted = u8_at(b, 2).unwrap_or(0) & 0x8 != 0;
                if !name.is_empty() && !encrypted {
                    let parent = out.names.entry(u32_at(b, 84).unwrap_or(0)).or_default();
                    parent.push(Named { ino: node.ino(), mode, name });
                }
            }
        }
        next = node.next().into();
    }
    out
}
