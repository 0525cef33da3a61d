//! Extended attributes: in the inode's own tail, in a block that inodes may share, or (large
//! values) in inodes of their own. Values are raw, as stored.
use super::Volume;
use super::content::Content;
use super::damage::Of;
use super::features::EA_INODE;
use super::inode::Inode;
use super::map;
use super::raw::{crc32c, crc32c_without, u8_at, u16_at, u32_at};
use crate::base::{Name, Run};
use crate::image::ReadAt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const MAGIC: u32 = 0xea02_0000;
/// Bytes before the first entry of an attribute block.
const HEADER: usize = 32;
const BLOCK_SUM: usize = 0x10;
/// Longest value that is kept; Linux itself refuses values over 64 KiB.
const MAX_VALUE: usize = 1 << 20;
/// Entries per inode or block: more do not fit into the largest block.
const MAX_ENTRIES: usize = 4096;
/// Shared attribute blocks kept in memory.
const MAX_CACHED: usize = 128;
/// The index and name under which the rest of inline content stands.
const INLINE: (u8, &[u8]) = (7, b"data");

#[derive(Clone, Debug)]
pub(super) struct Attribute {
    index: u8,
    name: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// Where the value lies in the volume, if it lies in one piece beside its name.
    pub(super) stored: Option<Run>,
}
impl Attribute {
    /// The full name, as `getfattr` gives it.
    fn full_name(&self) -> Name {
        let prefix: &[u8] = match self.index {
            1 => b"user.",
            2 => b"system.posix_acl_access",
            3 => b"system.posix_acl_default",
            4 => b"trusted.",
            5 => b"lustre.",
            6 => b"security.",
            7 => b"system.",
            8 => b"system.richacl",
            9 => b"encryption.",
            10 => b"gnu.",
            other => return Name::from([format!("index{other}.").as_bytes(), &self.name].concat()),
        };
        Name::from([prefix, &self.name].concat())
    }
    pub(super) fn is_inline_content(&self) -> bool {
        (self.index, self.name.as_slice()) == INLINE
    }
}

/// An attribute block as read once.
struct Block {
    list: Vec<Attribute>,
    fault: Option<&'static str>,
}

#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<u64, Arc<Block>>>);

/// A list of entries, and what the places in it count from.
struct Region<'a> {
    bytes: &'a [u8],
    first: usize,
    /// Byte of the volume where `bytes` start.
    offset: u64,
}

impl Volume {
    /// All attributes but inline content, sorted as stored: the inode's own first.
    pub(super) fn attributes(self: &Arc<Self>, inode: &Inode) -> Vec<(Name, Vec<u8>)> {
        let own = self.own_attributes(inode);
        let mut out: Vec<_> =
            own.into_iter().filter(|a| !a.is_inline_content()).map(|a| (a.full_name(), a.value)).collect();
        if inode.xattr_block() != 0 {
            let block = self.attribute_block(inode);
            if let Some(what) = block.fault {
                let at = self.blocks.offset(inode.xattr_block()).unwrap_or(inode.offset());
                self.damage.note(what, Of::Inode(inode.number), at, u64::from(self.sb.block_size));
            }
            out.extend(block.list.iter().map(|a| (a.full_name(), a.value.clone())));
        }
        out
    }
    /// Attributes in the inode's own tail.
    pub(super) fn own_attributes(self: &Arc<Self>, inode: &Inode) -> Vec<Attribute> {
        let Some(at) = inode.attributes_at() else {
            return Vec::new();
        };
        let tail = inode.bytes().get(at..).unwrap_or_default();
        if u32_at(tail, 0) != Some(MAGIC) {
            return Vec::new();
        }
        let offset = inode.offset().saturating_add(at as u64).saturating_add(4);
        let region = Region { bytes: tail.get(4..).unwrap_or_default(), first: 0, offset };
        let (list, fault) = self.entries(&region);
        if let Some(what) = fault {
            self.damage.note(what, Of::Inode(inode.number), offset, tail.len() as u64);
        }
        list
    }
    fn attribute_block(self: &Arc<Self>, inode: &Inode) -> Arc<Block> {
        let number = inode.xattr_block();
        if let Some(known) = self.xattrs.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return known.clone();
        }
        let block = Arc::new(self.read_attribute_block(number));
        let mut cache = self.xattrs.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(number, block.clone());
        block
    }
    fn read_attribute_block(self: &Arc<Self>, number: u64) -> Block {
        let failed = |what| Block { list: Vec::new(), fault: Some(what) };
        if number >= self.sb.blocks {
            return failed("attribute block lies outside the volume");
        }
        let Ok(bytes) = self.blocks.block(number) else {
            return failed("attribute block could not be read");
        };
        if u32_at(&bytes, 0) != Some(MAGIC) {
            return failed("attribute block without its signature");
        }
        let seed = crc32c(self.sb.seed, &number.to_le_bytes());
        let fits = !self.sb.has_metadata_csum()
            || u32_at(&bytes, BLOCK_SUM) == Some(crc32c_without(seed, &bytes, BLOCK_SUM, 4));
        let offset = self.blocks.offset(number).unwrap_or(0);
        let (list, fault) = self.entries(&Region { bytes: &bytes, first: HEADER, offset });
        Block { list, fault: fault.or((!fits).then_some("checksum of an attribute block differs")) }
    }
    fn entries(self: &Arc<Self>, region: &Region<'_>) -> (Vec<Attribute>, Option<&'static str>) {
        let mut out = Vec::new();
        let mut fault = None;
        let mut at = region.first;
        for _ in 0..MAX_ENTRIES {
            let entry = region.bytes.get(at..).unwrap_or_default();
            // The list ends with four zero bytes, or where the region does.
            let Some(word) = u32_at(entry, 0).filter(|w| *w != 0) else {
                return (out, fault);
            };
            let name_len = usize::from(word.to_le_bytes()[0]);
            let (Some(index), Some(inum), Some(len), Some(place), Some(name)) = (
                u8_at(entry, 1),
                u32_at(entry, 4),
                u32_at(entry, 8),
                u16_at(entry, 2),
                entry.get(16..16_usize.saturating_add(name_len)),
            ) else {
                return (out, Some("attribute list is cut off"));
            };
            let (value, stored) = if inum != 0 && self.sb.features.has_incompat(EA_INODE) {
                (self.large_value(inum, len as usize), None)
            } else {
                let from = usize::from(place);
                let value = region.bytes.get(from..from.saturating_add(len as usize)).map(<[u8]>::to_vec);
                (value, Some(Run::new(region.offset.saturating_add(from as u64), u64::from(len))))
            };
            match value {
                Some(value) => out.push(Attribute { index, name: name.to_vec(), value, stored }),
                None => fault = Some("value of an attribute could not be read"),
            }
            at = at.saturating_add(16).saturating_add(name_len.next_multiple_of(4));
        }
        (out, Some("attribute list without an end"))
    }
    /// A value that fills an inode of its own.
    fn large_value(self: &Arc<Self>, number: u32, len: usize) -> Option<Vec<u8>> {
        let inode = self.slot(number).ok()?;
        let size = inode.size(&self.sb);
        if len > MAX_VALUE || size < len as u64 || !inode.is_used() {
            return None;
        }
        let blocks = size.div_ceil(u64::from(self.sb.block_size));
        let runs = map::runs(self, &inode, blocks);
        let content = Content { volume: self.clone(), len: len as u64, runs };
        let mut value = vec![0; len];
        (content.read_at(0, &mut value).ok()? == len).then_some(value)
    }
}
