//! Carrying out the log in memory, as a mount would: buffers, inodes and new chunks of inodes of committed
//! transactions, in their order, where the volume does not hold them newer already. Nothing is written.
//! Format: "Log Items" in "XFS Algorithms & Data Structures".
use super::Volume;
use super::log;
use super::overlay::{SECTOR, Sector};
use super::raw::{size, sum_fits, u16_at, u32_at, u64_at};
use super::records::{Item, Transaction, committed, le16, le32, le64};
use std::collections::{BTreeMap, BTreeSet};

const EFI: u16 = 0x1236;
const INODE: u16 = 0x123b;
const BUFFER: u16 = 0x123c;
const CREATE: u16 = 0x123f;
/// Changes that later transactions finish: what begins one, what ends it, and its name.
const DEFERRED: &[(u16, u16, &str)] = &[
    (EFI, 0x1237, "freeing of extents"),
    (0x1240, 0x1241, "reverse mappings"),
    (0x1242, 0x1243, "counts of references"),
    (0x1244, 0x1245, "mappings of files"),
    (0x1246, 0x1247, "extended attributes"),
    (0x1248, 0x1249, "exchanges of mappings"),
];
const CANCEL: u16 = 2;
const INODES: u16 = 1;
/// Bytes that one bit of a buffer's map stands for.
const UNIT: usize = 128;
/// Longest buffer, and longest inode.
const MAX_BUFFER: u64 = 64 << 10;
const MAX_INODE: usize = 2048;
/// Sectors that the replay may change.
const MAX_SECTORS: usize = 1 << 20;

/// What a log makes of its volume.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) sectors: BTreeMap<u64, Sector>,
    /// What is not done, or not wholly.
    pub(super) notes: Vec<String>,
}

struct Replay<'a> {
    volume: &'a Volume,
    out: Replayed,
    /// Buffers that were given up: sector and length, with how often.
    cancelled: BTreeMap<(u64, u64), usize>,
}

pub(super) fn replay(volume: &Volume) -> Result<Replayed, String> {
    let log = log::find(volume)?;
    let found = committed(&log)?;
    let mut replay = Replay { volume, out: Replayed::default(), cancelled: BTreeMap::new() };
    if let Some(why) = found.stopped {
        replay.out.notes.push(format!("the log was replayed up to a place that cannot be read: {why}"));
    }
    let mut begun: BTreeMap<u16, BTreeSet<u64>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for item in found.transactions.iter().flat_map(|t| &t.items) {
        let Some(format) = item.regions.first() else { continue };
        match item.kind() {
            BUFFER if le16(format, 4) & CANCEL != 0 => {
                let count = replay.cancelled.entry(buffer_key(format)).or_default();
                *count = count.saturating_add(1);
            }
            BUFFER | INODE | CREATE | 0x1238 | 0x123d | 0x123e => {}
            kind => match DEFERRED.iter().find(|(begins, ends, _)| kind == *begins || kind == *ends) {
                Some((begins, _, _)) if kind == *begins => {
                    begun.entry(*begins).or_default().insert(le64(format, 8));
                }
                Some((begins, ..)) => {
                    begun.entry(*begins).or_default().remove(&le64(format, 8));
                }
                None => _ = unknown.insert(kind),
            },
        }
    }
    for transaction in &found.transactions {
        replay.transaction(transaction)?;
    }
    for (begins, _, name) in DEFERRED {
        if let Some(count) = begun.get(begins).map(BTreeSet::len).filter(|n| *n > 0) {
            replay.out.notes.push(format!("{count} changes that the log begins and a mount would finish: {name}"));
        }
    }
    for kind in unknown {
        replay.out.notes.push(format!("changes of an unknown kind {kind:#x} in the log were not carried out"));
    }
    Ok(replay.out)
}

fn buffer_key(format: &[u8]) -> (u64, u64) {
    (le64(format, 8), u64::from(le16(format, 6)))
}

impl Replay<'_> {
    /// A transaction's changes: buffers first, then inodes, then what it gives up.
    fn transaction(&mut self, transaction: &Transaction) -> Result<(), String> {
        let is_cancel = |i: &Item| i.kind() == BUFFER && i.regions.first().is_some_and(|f| le16(f, 4) & CANCEL != 0);
        let first = |i: &&Item| matches!(i.kind(), BUFFER | CREATE) && !is_cancel(i);
        for item in transaction.items.iter().filter(first) {
            if item.kind() == CREATE { self.create(item, transaction.from)? } else { self.buffer(item, transaction)? }
        }
        for item in transaction.items.iter().filter(|i| i.kind() == INODE) {
            self.inode(item, transaction)?;
        }
        for item in transaction.items.iter().filter(|i| is_cancel(i)) {
            let key = item.regions.first().map(|f| buffer_key(f)).unwrap_or_default();
            if let Some(count) = self.cancelled.get_mut(&key) {
                *count = count.saturating_sub(1);
            }
        }
        Ok(())
    }
    fn is_cancelled(&self, key: (u64, u64)) -> bool {
        self.cancelled.get(&key).is_some_and(|count| *count > 0)
    }
    /// Bytes of the volume as they are by now.
    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, String> {
        let mut bytes = self.volume.bytes(at, len).map_err(|e| format!("what the log changes: {e}"))?;
        let end = at.saturating_add(len as u64);
        for (number, sector) in self.out.sectors.range(at / SECTOR..end.div_ceil(SECTOR)) {
            let start = number.saturating_mul(SECTOR);
            let (from, to) = (start.max(at), start.saturating_add(SECTOR).min(end));
            let there = bytes.get_mut(size(from.saturating_sub(at))..size(to.saturating_sub(at)));
            let here = sector.bytes.get(size(from.saturating_sub(start))..size(to.saturating_sub(start)));
            if let (Some(there), Some(here)) = (there, here) {
                there.copy_from_slice(here);
            }
        }
        Ok(bytes)
    }
    /// Lays bytes over the volume, in whole sectors.
    fn write(&mut self, at: u64, bytes: &[u8], from: u64) -> Result<(), String> {
        let first = at / SECTOR * SECTOR;
        let end = at.saturating_add(bytes.len() as u64).next_multiple_of(SECTOR);
        let mut whole = self.read(first, size(end.saturating_sub(first)))?;
        let skip = size(at.saturating_sub(first));
        if let Some(to) = whole.get_mut(skip..skip.saturating_add(bytes.len())) {
            to.copy_from_slice(bytes);
        }
        for (n, sector) in (first / SECTOR..).zip(whole.as_chunks::<512>().0) {
            if self.out.sectors.len() >= MAX_SECTORS {
                return Err("budget: sectors that the log changes".to_owned());
            }
            self.out.sectors.insert(n, Sector { bytes: Box::new(*sector), from });
        }
        Ok(())
    }

    fn buffer(&mut self, item: &Item, transaction: &Transaction) -> Result<(), String> {
        let Some(format) = item.regions.first() else { return Ok(()) };
        let key = buffer_key(format);
        let flags = le16(format, 4);
        // Of a buffer of inodes only the list of those without a name changes, which nothing here reads.
        if self.is_cancelled(key) || flags & INODES != 0 {
            return Ok(());
        }
        let (Some(at), len) = (key.0.checked_mul(SECTOR), key.1.saturating_mul(SECTOR)) else { return Ok(()) };
        if len == 0 || len > MAX_BUFFER {
            self.out.notes.push(format!("the log changes a buffer of {len} bytes at {at}, which cannot be; left out"));
            return Ok(());
        }
        let mut bytes = self.read(at, size(len))?;
        if self.volume.sb.v5 && self.is_newer(&bytes, transaction.lsn) {
            return Ok(());
        }
        let words = size(u64::from(le32(format, 16)));
        let bit = |n: usize| le32(format, n / 32 * 4 + 20) >> (n % 32) & 1 != 0 && n / 32 < words;
        let count = bytes.len() / UNIT;
        let mut n = 0_usize;
        for region in item.regions.iter().skip(1) {
            while n < count && !bit(n) {
                n = n.saturating_add(1);
            }
            let start = n;
            // A run of bits may be cut into several regions.
            let stop = start.saturating_add((region.len() / UNIT).max(1)).min(count);
            while n < stop && bit(n) {
                n = n.saturating_add(1);
            }
            let end = start.saturating_mul(UNIT).saturating_add(region.len()).min(n.saturating_mul(UNIT));
            let to = bytes.get_mut(start.saturating_mul(UNIT)..end).unwrap_or_default();
            to.copy_from_slice(region.get(..to.len()).unwrap_or_default());
        }
        if self.volume.sb.v5 {
            resum(&mut bytes, size(self.volume.sb.sector));
        }
        self.write(at, &bytes, transaction.from)
    }
    /// Whether the volume holds a buffer as it was after this transaction already.
    fn is_newer(&self, bytes: &[u8], lsn: u64) -> bool {
        let Some((place, uuid)) = marks(bytes) else { return false };
        if bytes.get(uuid..uuid.saturating_add(16)) != Some(&self.volume.sb.uuid) {
            return false;
        }
        let held = u64_at(bytes, place).unwrap_or(0);
        held != 0 && held != u64::MAX && held >= lsn
    }

    /// A chunk of new inodes.
    fn create(&mut self, item: &Item, from: u64) -> Result<(), String> {
        let Some(format) = item.regions.first() else { return Ok(()) };
        // These are big-endian.
        let field = |at: usize| u64::from(u32_at(format, at).unwrap_or(0));
        let (group, block, count, inode, generation) = (field(4), field(8), field(12), field(16), field(24));
        let sb = &self.volume.sb;
        let (Some(at), true) = (sb.group_block(group, block), inode == sb.inode && count <= 4096) else {
            self.out.notes.push("the log makes inodes where none can be; left out".to_owned());
            return Ok(());
        };
        let first = block.checked_shl(sb.inode_bits).unwrap_or(0);
        let len = size(inode);
        let mut bytes = vec![0; len.saturating_mul(size(count))];
        for (n, one) in (0_u64..).zip(bytes.chunks_mut(len.max(1))) {
            put(one, 0, &0x494e_u16.to_be_bytes());
            put(one, 4, &[if sb.v5 { 3 } else { 2 }]);
            put(one, 92, &u32::try_from(generation).unwrap_or(0).to_be_bytes());
            put(one, 96, &[0xff; 4]);
            if sb.v5 {
                put(one, 152, &sb.inode_number(group, first.saturating_add(n)).to_be_bytes());
                put(one, 160, &sb.uuid);
                set_sum(one, 100);
            }
        }
        self.write(at, &bytes, from)
    }

    fn inode(&mut self, item: &Item, transaction: &Transaction) -> Result<(), String> {
        let (Some(format), Some(core)) = (item.regions.first(), item.regions.get(1)) else { return Ok(()) };
        // Without padding the format of 32-bit machines is shorter.
        let short = format.len() < 56;
        let fields = le32(format, 4);
        let number = le64(format, if short { 12 } else { 16 });
        let block = le64(format, if short { 36 } else { 40 });
        let count = u64::from(le32(format, if short { 44 } else { 48 })) / SECTOR;
        if self.is_cancelled((block, count)) {
            return Ok(());
        }
        let sb = &self.volume.sb;
        let Some(at) = sb.inode_at(number) else {
            self.out.notes.push(format!("the log changes inode {number}, which cannot be; left out"));
            return Ok(());
        };
        let mut bytes = self.read(at, size(sb.inode).min(MAX_INODE))?;
        if le16(core, 0) != 0x494e {
            self.out.notes.push(format!("the log holds no inode where inode {number} should be; left out"));
            return Ok(());
        }
        let v3 = core.get(4) == Some(&3);
        if v3 {
            let held = u64_at(&bytes, 112).filter(|_| u16_at(&bytes, 0) == Some(0x494e)).unwrap_or(0);
            if held != 0 && held != u64::MAX && held >= transaction.lsn {
                return Ok(());
            }
        } else {
            let (held, new) = (u16_at(&bytes, 30).unwrap_or(0), le16(core, 30));
            if new < held && !(held == u16::MAX && new < u16::MAX / 2) {
                return Ok(());
            }
        }
        turn_core(core, &mut bytes, v3, transaction.lsn);
        let literal = if v3 { 176 } else { 100 };
        let fork = bytes.get(82).map_or(0, |f| usize::from(*f).saturating_mul(8));
        let end = if fork == 0 { bytes.len() } else { literal.min(bytes.len()).saturating_add(fork) };
        if fields & 0x10 != 0 {
            put(&mut bytes, literal, &le32(format, if short { 20 } else { 24 }).to_be_bytes());
        }
        let mut regions = item.regions.iter().skip(2);
        if let Some(region) = regions.next_if_some(fields & 0xe != 0) {
            place(region, &mut bytes, literal..end, fields & 8 != 0, sb.v5);
        }
        if let Some(region) = regions.next_if_some(fields & 0x1c0 != 0)
            && fork != 0
        {
            let last = bytes.len();
            place(region, &mut bytes, end..last, fields & 0x100 != 0, sb.v5);
        }
        if v3 {
            set_sum(&mut bytes, 100);
        }
        self.write(at, &bytes, transaction.from)
    }
}

/// The next of a list, if it is wanted.
trait NextIf: Iterator {
    fn next_if_some(&mut self, wanted: bool) -> Option<Self::Item> {
        if wanted { self.next() } else { None }
    }
}
impl<I: Iterator> NextIf for I {}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at.saturating_add(value.len())) {
        to.copy_from_slice(value);
    }
}
/// Sets the CRC-32C at byte `at`.
fn set_sum(bytes: &mut [u8], at: usize) {
    put(bytes, at, &[0; 4]);
    let sum = crc32c::crc32c(bytes);
    put(bytes, at, &sum.to_le_bytes());
}

/// Numbers of an inode's core: place and width. What is left out here the log does not decide.
const CORE: &[(usize, usize)] = &[
    (0, 2),
    (2, 2),
    (4, 1),
    (5, 1),
    (6, 2),
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 2),
    (22, 2),
    (56, 8),
    (64, 8),
    (72, 4),
    (76, 4),
    (80, 2),
    (82, 1),
    (83, 1),
    (84, 4),
    (88, 2),
    (90, 2),
    (92, 4),
    (104, 8),
    (120, 8),
    (128, 4),
    (152, 8),
];

/// The core as the log has it, in the byte order of the volume.
fn turn_core(core: &[u8], bytes: &mut [u8], v3: bool, lsn: u64) {
    let flags2 = if v3 { le64(core, 120) } else { 0 };
    let mut turn = |at: usize, width: usize| {
        if let Some(field) = core.get(at..at.saturating_add(width)) {
            let turned: Vec<u8> = field.iter().rev().copied().collect();
            put(bytes, at, &turned);
        }
    };
    for (at, width) in CORE.iter().filter(|(at, _)| v3 || *at < 96) {
        turn(*at, *width);
    }
    // A count of 64 bits, or padding and a counter.
    if flags2 & 0x10 != 0 {
        turn(24, 8);
    } else {
        turn(30, 2);
    }
    for at in [32, 40, 48].into_iter().chain(v3.then_some(144)) {
        if flags2 & 8 != 0 {
            turn(at, 8);
        } else {
            turn(at, 4);
            turn(at.saturating_add(4), 4);
        }
    }
    if v3 {
        put(bytes, 112, &lsn.to_be_bytes());
        put(bytes, 160, core.get(160..176).unwrap_or_default());
    }
}

/// Puts a fork into its place; the root of a tree has a longer header in the log.
fn place(region: &[u8], bytes: &mut [u8], fork: std::ops::Range<usize>, tree: bool, v5: bool) {
    let room = fork.len();
    if !tree {
        put(bytes, fork.start, region.get(..room.min(region.len())).unwrap_or_default());
        return;
    }
    let header = if v5 { 72 } else { 24 };
    let count = usize::from(u16_at(region, 6).unwrap_or(0));
    let (there, here) = (region.len().saturating_sub(header) / 16, room.saturating_sub(4) / 16);
    if count > there || count > here {
        return;
    }
    let len = count.saturating_mul(8);
    put(bytes, fork.start, region.get(4..8).unwrap_or_default());
    let keys = region.get(header..).and_then(|r| r.get(..len)).unwrap_or_default();
    put(bytes, fork.start.saturating_add(4), keys);
    let pointers = region.get(header.saturating_add(there.saturating_mul(8))..).and_then(|r| r.get(..len));
    put(bytes, fork.start.saturating_add(4).saturating_add(here.saturating_mul(8)), pointers.unwrap_or_default());
}

/// Where a structure of version 5 keeps the number of its last change in the log, and the file system's id.
fn marks(bytes: &[u8]) -> Option<(usize, usize)> {
    Some(match bytes.get(..4)? {
        b"XFSB" => (240, 32),
        b"XAGF" => (208, 64),
        b"XAGI" => (320, 296),
        b"XAFL" => (24, 8),
        b"AB3B" | b"AB3C" | b"IAB3" | b"FIB3" | b"RMB3" | b"R3FC" => (24, 32),
        b"BMA3" => (32, 40),
        b"XDB3" | b"XDD3" | b"XDF3" => (16, 24),
        b"XSLM" => (48, 16),
        _ if is_leaf(bytes) => (24, 32),
        _ => return None,
    })
}
fn is_leaf(bytes: &[u8]) -> bool {
    matches!(bytes.get(8..10), Some([0x3b, 0xee] | [0x3e, 0xbe] | [0x3d, 0xf1 | 0xff]))
}
/// Makes the checksum of a structure fit again: a change in the log does not carry it.
fn resum(bytes: &mut [u8], sector: usize) {
    let (at, len) = match bytes.get(..4).unwrap_or_default() {
        b"XFSB" => (224, sector),
        b"XAGF" => (216, sector),
        b"XAGI" => (312, sector),
        b"XAFL" => (32, sector),
        b"AB3B" | b"AB3C" | b"IAB3" | b"FIB3" | b"RMB3" | b"R3FC" => (52, bytes.len()),
        b"BMA3" => (64, bytes.len()),
        b"XDB3" | b"XDD3" | b"XDF3" => (4, bytes.len()),
        b"XSLM" => (12, bytes.len()),
        _ if is_leaf(bytes) => (12, bytes.len()),
        _ => return,
    };
    if let Some(whole) = bytes.get_mut(..len)
        && !sum_fits(whole, at)
    {
        set_sum(whole, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_change_their_byte_order() {
        let mut core = vec![0; 176];
        put(&mut core, 0, &0x494e_u16.to_le_bytes());
        put(&mut core, 4, &[3]);
        put(&mut core, 56, &1234_u64.to_le_bytes());
        put(&mut core, 40, &77_u32.to_le_bytes());
        let mut bytes = vec![0xee; 256];
        turn_core(&core, &mut bytes, true, 9);
        assert_eq!((u16_at(&bytes, 0), u64_at(&bytes, 56), u32_at(&bytes, 40)), (Some(0x494e), Some(1234), Some(77)));
        assert_eq!((u64_at(&bytes, 112), bytes.get(96..100)), (Some(9), Some(&[0xee; 4][..])));
    }
    #[test]
    fn roots_of_trees_lose_their_longer_header() {
        let mut region = vec![0; 72 + 3 * 16];
        put(&mut region, 4, &[0, 1, 0, 2]);
        put(&mut region, 72, &[1; 16]);
        put(&mut region, 72 + 24, &[2; 16]);
        let mut bytes = vec![0; 256];
        place(&region, &mut bytes, 176..256, true, true);
        assert_eq!(bytes.get(176..196), Some(&[[0, 1, 0, 2].as_slice(), &[1; 16]].concat()[..]));
        assert_eq!(bytes.get(176 + 4 + 32..176 + 4 + 48), Some(&[2; 16][..]));
        // More than has room changes nothing.
        put(&mut region, 6, &[0xff, 0xff]);
        let before = bytes.clone();
        place(&region, &mut bytes, 176..256, true, true);
        assert_eq!(bytes, before);
    }
}
