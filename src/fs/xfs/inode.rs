//! Inodes: the chunk cache they are read through, and their fields.
//! Format: "On-disk Inode" in "XFS Algorithms & Data Structures".
use super::Volume;
use super::raw::{corrupt, size, sum_fits, u8_at, u16_at, u32_at, u64_at};
use crate::base::{NodeId, Time};
use crate::fs::{FsError, NodeKind, Times};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes read at once: a chunk of 64 inodes of 512 bytes.
const CHUNK: u64 = 32 << 10;
const SHARDS: usize = 16;
/// 32 MiB in all.
const PER_SHARD: usize = 64;

/// Piece number → bytes, and when they were last used.
type Shard = Mutex<(u64, HashMap<u64, (Arc<Vec<u8>>, u64)>)>;

#[derive(Default)]
pub(super) struct Cache([Shard; SHARDS]);

impl Cache {
    /// The piece of the volume that holds byte `at`: its first byte and its bytes.
    fn piece(&self, volume: &Volume, at: u64) -> Option<(u64, Arc<Vec<u8>>)> {
        let key = at / CHUNK;
        let start = key.saturating_mul(CHUNK);
        let shard = self.0.get(size(key % SHARDS as u64))?;
        {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.0 = shard.0.wrapping_add(1);
            let now = shard.0;
            if let Some((bytes, used)) = shard.1.get_mut(&key) {
                *used = now;
                return Some((start, bytes.clone()));
            }
        }
        let mut bytes = vec![0; size(CHUNK)];
        let n = volume.source.read_at(start, &mut bytes).ok()?;
        bytes.truncate(n);
        let bytes = Arc::new(bytes);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.1.len() >= PER_SHARD
            && let Some(oldest) = shard.1.iter().min_by_key(|(_, (_, used))| *used).map(|(k, _)| *k)
        {
            shard.1.remove(&oldest);
        }
        let now = shard.0;
        shard.1.insert(key, (bytes.clone(), now));
        Some((start, bytes))
    }
    /// `len` bytes at `at`, which lie within one piece or are read apart.
    fn bytes(&self, volume: &Volume, at: u64, len: usize) -> Result<Vec<u8>, FsError> {
        let held = self.piece(volume, at).and_then(|(start, bytes)| {
            let from = size(at.saturating_sub(start));
            bytes.get(from..from.saturating_add(len)).map(<[u8]>::to_vec)
        });
        match held {
            Some(bytes) => Ok(bytes),
            None => volume.bytes(at, len),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Device,
    Local,
    Extents,
    Btree,
    Other(u8),
}

/// Which part of an inode: its data or its extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fork {
    Data,
    Attributes,
}

#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) number: u64,
    /// Byte of the volume.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) literal: usize,
    v3: bool,
}

pub(super) const REALTIME: u16 = 1;
const NREXT64: u64 = 0x10;
const BIGTIME: u64 = 8;

/// Reads an inode by number; its checksum is checked, a mismatch noted.
pub(super) fn read(volume: &Volume, number: u64) -> Result<Inode, FsError> {
    let none = FsError::NotFound(NodeId { number, generation: 0 });
    let at = volume.sb.inode_at(number).ok_or(none)?;
    let bytes = volume.cache.bytes(volume, at, size(volume.sb.inode))?;
    if u16_at(&bytes, 0) != Some(0x494e) {
        return Err(corrupt(at, "no inode here (its magic number is missing)"));
    }
    // All inodes of version 5 of the file system are of version 3, and none of those before.
    let v3 = volume.sb.v5;
    if (u8_at(&bytes, 4) == Some(3)) != v3 {
        let what = "inode of a version that this file system does not have, read as one of its own";
        volume.damage.note(what, number, at, volume.sb.inode);
    }
    if v3 && !sum_fits(&bytes, 100) {
        volume.damage.note("checksum of an inode does not fit", number, at, volume.sb.inode);
    }
    if v3 && u64_at(&bytes, 152) != Some(number) {
        volume.damage.note("inode that says it is another one", number, at, volume.sb.inode);
    }
    Ok(Inode { number, at, bytes, literal: if v3 { 176 } else { 100 }, v3 })
}

impl Inode {
    fn half(&self, at: usize) -> u16 {
        u16_at(&self.bytes, at).unwrap_or(0)
    }
    fn word(&self, at: usize) -> u32 {
        u32_at(&self.bytes, at).unwrap_or(0)
    }
    fn long(&self, at: usize) -> u64 {
        u64_at(&self.bytes, at).unwrap_or(0)
    }
    pub(super) fn mode(&self) -> u16 {
        self.half(2)
    }
    pub(super) fn kind(&self) -> NodeKind {
        match self.mode() >> 12 {
            1 => NodeKind::Fifo,
            2 => NodeKind::CharDevice,
            4 => NodeKind::Directory,
            6 => NodeKind::BlockDevice,
            8 => NodeKind::File,
            10 => NodeKind::Symlink,
            12 => NodeKind::Socket,
            _ => NodeKind::Unknown,
        }
    }
    pub(super) fn uid(&self) -> u32 {
        self.word(8)
    }
    pub(super) fn gid(&self) -> u32 {
        self.word(12)
    }
    pub(super) fn links(&self) -> u32 {
        if u8_at(&self.bytes, 4) == Some(1) { u32::from(self.half(6)) } else { self.word(16) }
    }
    pub(super) fn len(&self) -> u64 {
        self.long(56)
    }
    /// Blocks of storage, those of its attributes among them.
    pub(super) fn blocks(&self) -> u64 {
        self.long(64)
    }
    pub(super) fn flags(&self) -> u16 {
        self.half(90)
    }
    pub(super) fn flags2(&self) -> u64 {
        if self.v3 { self.long(120) } else { 0 }
    }
    pub(super) fn generation(&self) -> u64 {
        u64::from(self.word(92))
    }
    pub(super) fn node(&self) -> NodeId {
        NodeId { number: self.number, generation: self.generation() }
    }
    fn time(&self, at: usize) -> Option<Time> {
        let raw = self.long(at);
        if self.flags2() & BIGTIME != 0 {
            // Nanoseconds from the earliest second of the old form.
            let seconds = i64::try_from(raw / 1_000_000_000).ok()?.checked_sub(1 << 31)?;
            return Some(Time::nanos(seconds, u32::try_from(raw % 1_000_000_000).ok()?));
        }
        let seconds = self.word(at).cast_signed();
        Some(Time::nanos(i64::from(seconds), self.word(at.checked_add(4)?).min(999_999_999)))
    }
    pub(super) fn times(&self) -> Times {
        Times {
            accessed: self.time(32),
            modified: self.time(40),
            changed: self.time(48),
            created: if self.v3 { self.time(144) } else { None },
            deleted: None,
        }
    }
    /// Nothing was ever written to it but its number.
    pub(super) fn is_blank(&self) -> bool {
        self.long(32) == 0 && self.long(40) == 0 && self.long(48) == 0
    }
    fn fork_at(&self) -> usize {
        usize::from(u8_at(&self.bytes, 82).unwrap_or(0)).saturating_mul(8)
    }
    pub(super) fn has(&self, fork: Fork) -> bool {
        fork == Fork::Data || (self.fork_at() != 0 && self.literal.saturating_add(self.fork_at()) < self.bytes.len())
    }
    /// Where a fork begins in the inode.
    pub(super) fn fork_start(&self, fork: Fork) -> usize {
        if fork == Fork::Data { self.literal } else { self.literal.saturating_add(self.fork_at()) }
    }
    pub(super) fn fork(&self, fork: Fork) -> &[u8] {
        let rest = self.bytes.get(self.fork_start(fork)..).unwrap_or_default();
        let len = if fork == Fork::Data && self.fork_at() != 0 { self.fork_at().min(rest.len()) } else { rest.len() };
        rest.get(..len).unwrap_or_default()
    }
    pub(super) fn format(&self, fork: Fork) -> Format {
        match u8_at(&self.bytes, if fork == Fork::Data { 5 } else { 83 }).unwrap_or(u8::MAX) {
            0 => Format::Device,
            1 => Format::Local,
            2 => Format::Extents,
            3 => Format::Btree,
            other => Format::Other(other),
        }
    }
    /// How many extents the inode says a fork has.
    pub(super) fn extents(&self, fork: Fork) -> u64 {
        let wide = self.flags2() & NREXT64 != 0;
        match (fork, wide) {
            (Fork::Data, true) => self.long(24),
            (Fork::Data, false) | (Fork::Attributes, true) => u64::from(self.word(76)),
            (Fork::Attributes, false) => u64::from(self.half(80)),
        }
    }
}
