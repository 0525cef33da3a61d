//! Journal replay (jbd2), in memory: which blocks a mount would take from the journal, and from
//! where in it. Nothing is written. Format: "Journal (jbd2)" in the Linux kernel's
//! Documentation/filesystems/ext4; all fields are big-endian.
use super::Volume;
use super::blocks::{Copy, JOURNAL_MAGIC};
use super::damage::{Damage, Of};
use super::map::{Run, runs, runs_of_copy};
use super::raw::{be16_at, be32_at, crc32c, crc32c_without, join, u16_at, u32_at};
use crate::fs::NodeKind;
use std::collections::BTreeMap;
use std::sync::Arc;

const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const SUPER_V1: u32 = 3;
const SUPER_V2: u32 = 4;
const REVOKE: u32 = 5;

const COMPAT_CHECKSUM: u32 = 1;
const WIDE: u32 = 2;
const CSUM_V2: u32 = 8;
const CSUM_V3: u32 = 0x10;
const FAST_COMMIT: u32 = 0x20;
/// Revoke, 64bit, async commit, checksums v2 and v3, fast commit.
const KNOWN_INCOMPAT: u32 = 0x3f;

const TAG_ESCAPED: u32 = 1;
const TAG_SAME_UUID: u32 = 2;
const TAG_LAST: u32 = 8;
const HEADER: usize = 12;
/// Fast-commit blocks where the journal does not say how many there are.
const DEFAULT_FAST_BLOCKS: u32 = 256;

/// The journal as found, before anything is replayed.
pub(super) struct Journal {
    runs: Box<[Run]>,
    compat: u32,
    incompat: u32,
    /// Blocks of the journal: where the log begins and ends, and where its first transaction stands.
    first: u32,
    end: u32,
    /// 0 if there is nothing to replay.
    pub(super) start: u32,
    sequence: u32,
    seed: u32,
    /// Byte of the volume.
    pub(super) offset: u64,
    /// The superblock has fields of an external journal, or of a later version.
    pub(super) is_odd: bool,
}

struct Tag {
    block: u64,
    /// Block of the journal that holds the copy.
    copy: u32,
    escaped: bool,
    /// Stored checksum: all 32 bits with version 3, the low 16 with version 2.
    sum: u32,
}

#[derive(Default)]
struct Transaction {
    sequence: u32,
    tags: Vec<Tag>,
    revoked: Vec<u64>,
    /// Running CRC-32 of version 1 checksums.
    crc: u32,
}

/// Whether transaction `a` is not older than `b`; numbers wrap.
fn not_older(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

impl Journal {
    /// Finds the journal inside the volume; the text says what is wrong with it.
    pub(super) fn find(volume: &Arc<Volume>) -> Result<Self, String> {
        let sb = &volume.sb;
        if sb.journal_inode == 0 {
            return Err(format!(
                "the journal is on another device ({})",
                super::superblock::uuid_text(&sb.journal_uuid)
            ));
        }
        let bs = u64::from(sb.block_size);
        let own = volume.slot(sb.journal_inode).ok().filter(|i| i.kind() == NodeKind::File && i.links() > 0);
        let runs = match (own, &sb.journal_backup) {
            (Some(inode), _) => runs(volume, &inode, inode.size(sb).div_ceil(bs)),
            (None, Some((map, size))) => runs_of_copy(volume, map, sb.journal_inode, size.div_ceil(bs)),
            (None, None) => return Err("the journal's inode is damaged".to_owned()),
        };
        let mut journal = Self {
            runs,
            compat: 0,
            incompat: 0,
            first: 0,
            end: 0,
            start: 0,
            sequence: 0,
            seed: 0,
            offset: 0,
            is_odd: false,
        };
        let block = journal.read(volume, 0).ok_or("the journal's superblock could not be read")?;
        journal.offset = journal.physical(0).and_then(|b| volume.blocks.offset(b)).unwrap_or(0);
        journal.superblock(&block, sb.block_size)?;
        Ok(journal)
    }
    fn superblock(&mut self, block: &[u8], block_size: u32) -> Result<(), String> {
        let field = |at| be32_at(block, at).unwrap_or(0);
        let kind = field(4);
        if !block.starts_with(&JOURNAL_MAGIC) || (kind != SUPER_V1 && kind != SUPER_V2) {
            return Err("the journal has no superblock".to_owned());
        }
        if kind == SUPER_V2 {
            self.compat = field(0x24);
            self.incompat = field(0x28);
        }
        // Users of an external journal; of the first version all fields from here on are zero.
        self.is_odd = if kind == SUPER_V2 { field(0x40) > 1 } else { [0x24, 0x28, 0x2c, 0x40].map(field) != [0; 4] };
        if self.incompat & !KNOWN_INCOMPAT != 0 {
            return Err(format!("the journal has unknown features {:#x}", self.incompat & !KNOWN_INCOMPAT));
        }
        if self.has_sums() {
            let sum = block.get(..1024).map(|b| crc32c_without(!0, b, 0xfc, 4));
            if sum != Some(field(0xfc)) {
                return Err("the checksum of the journal's superblock differs".to_owned());
            }
        }
        let blocks = self.runs.last().map_or(0, |r| r.end());
        let length = field(0x10);
        if field(0xc) != block_size || u64::from(length) > blocks {
            return Err("the journal's superblock contradicts the file system".to_owned());
        }
        let fast = match field(0x54) {
            _ if self.incompat & FAST_COMMIT == 0 => 0,
            0 => DEFAULT_FAST_BLOCKS,
            n => n,
        };
        self.first = field(0x14);
        self.end = length.saturating_sub(fast);
        self.sequence = field(0x18);
        self.start = field(0x1c);
        self.seed = crc32c(!0, block.get(0x30..0x40).unwrap_or_default());
        if self.first == 0
            || self.first >= self.end
            || self.start >= self.end
            || (self.start > 0 && self.start < self.first)
        {
            return Err("the journal's superblock points outside the journal".to_owned());
        }
        Ok(())
    }
    fn has_sums(&self) -> bool {
        self.incompat & (CSUM_V2 | CSUM_V3) != 0
    }
    fn physical(&self, block: u32) -> Option<u64> {
        let at = self.runs.partition_point(|run| run.end() <= u64::from(block));
        let run = self.runs.get(at).filter(|r| r.logical <= block && r.is_stored())?;
        Some(run.physical.saturating_add(u64::from(block.saturating_sub(run.logical))))
    }
    fn read(&self, volume: &Volume, block: u32) -> Option<Vec<u8>> {
        volume.blocks.block(self.physical(block)?).ok()
    }
    fn after(&self, block: u32) -> u32 {
        let next = block.saturating_add(1);
        if next >= self.end { self.first } else { next }
    }

    /// Reads the log up to the end of its last complete transaction: which blocks to take from where.
    pub(super) fn replay(&self, volume: &Volume, damage: &Damage) -> BTreeMap<u64, Copy> {
        let (done, expected) = self.transactions(volume, damage);
        // A block is not taken from a transaction that is not newer than its last revocation.
        let mut revoked: BTreeMap<u64, u32> = BTreeMap::new();
        for transaction in &done {
            for block in &transaction.revoked {
                revoked.insert(*block, transaction.sequence);
            }
        }
        let mut overlay = BTreeMap::new();
        for transaction in &done {
            for tag in &transaction.tags {
                if revoked.get(&tag.block).is_some_and(|at| not_older(*at, transaction.sequence)) {
                    continue;
                }
                if let Some(copy) = self.copy(volume, tag, transaction.sequence, damage) {
                    overlay.insert(tag.block, copy);
                }
            }
        }
        self.look_for_fast_commits(volume, expected, damage);
        overlay
    }
    /// The copy that a tag leads to, if it is sound.
    fn copy(&self, volume: &Volume, tag: &Tag, sequence: u32, damage: &Damage) -> Option<Copy> {
        let block = self.physical(tag.copy);
        let at = block.and_then(|b| volume.blocks.offset(b)).unwrap_or(self.offset);
        let lost = |what| damage.note(what, Of::Journal, at, u64::from(volume.sb.block_size));
        if tag.block >= volume.sb.blocks {
            lost("the journal has a copy of a block outside the volume");
            return None;
        }
        if self.has_sums() {
            let Some(bytes) = self.read(volume, tag.copy) else {
                lost("a block of the journal could not be read");
                return None;
            };
            let sum = crc32c(crc32c(self.seed, &sequence.to_be_bytes()), &bytes);
            let fits = if self.incompat & CSUM_V3 != 0 { sum == tag.sum } else { sum & 0xffff == tag.sum };
            if !fits {
                lost("checksum of a block in the journal differs; it was not laid over");
                return None;
            }
        }
        if block.is_none() {
            lost("a block of the journal could not be reached");
        }
        Some(Copy { block: block?, escaped: tag.escaped })
    }

    /// All complete transactions in order, and the number that would follow.
    fn transactions(&self, volume: &Volume, damage: &Damage) -> (Vec<Transaction>, u32) {
        let mut done = Vec::new();
        let mut expected = self.sequence;
        let mut current = Transaction { sequence: expected, crc: !0, ..Transaction::default() };
        let mut at = self.start;
        // The log is a ring; once round is all there is.
        let mut left = self.end.saturating_sub(self.first);
        while at != 0 && left > 0 {
            let Some(block) = self.read(volume, at) else {
                damage.once(
                    self.offset,
                    format!("block {at} of the journal could not be read; what follows was not replayed"),
                    0,
                );
                break;
            };
            if !block.starts_with(&JOURNAL_MAGIC) || be32_at(&block, 8) != Some(expected) {
                break;
            }
            let here = at;
            at = self.after(at);
            left = left.saturating_sub(1);
            let stop = |what: &str| {
                let what = format!(
                    "{what} in block {here} of the journal differs; transaction {expected} and later ones were not replayed"
                );
                damage.once(self.offset, what, 0);
            };
            match be32_at(&block, 4) {
                Some(DESCRIPTOR) => {
                    if !self.tail_fits(&block) {
                        stop("checksum of a descriptor");
                        break;
                    }
                    let tags = self.tags(&block);
                    let count = u32::try_from(tags.len()).unwrap_or(u32::MAX);
                    if count > left {
                        break;
                    }
                    left = left.saturating_sub(count);
                    if self.compat & COMPAT_CHECKSUM != 0 && !self.has_sums() {
                        current.crc = crc32_be(current.crc, &block);
                    }
                    for tag in tags {
                        if self.compat & COMPAT_CHECKSUM != 0 && !self.has_sums() {
                            current.crc = crc32_be(current.crc, &self.read(volume, at).unwrap_or_default());
                        }
                        current.tags.push(Tag { copy: at, ..tag });
                        at = self.after(at);
                    }
                }
                Some(REVOKE) => {
                    if self.tail_fits(&block) {
                        current.revoked.extend(self.revocations(&block));
                    } else {
                        stop("checksum of a revocation");
                        break;
                    }
                }
                Some(COMMIT) => {
                    if !self.commit_fits(&block, current.crc) {
                        stop("checksum of a commit");
                        break;
                    }
                    expected = expected.wrapping_add(1);
                    let next = Transaction { sequence: expected, crc: !0, ..Transaction::default() };
                    done.push(std::mem::replace(&mut current, next));
                }
                _ => break,
            }
        }
        (done, expected)
    }
    /// Descriptor and revocation blocks end with a checksum where the journal has any.
    fn tail_fits(&self, block: &[u8]) -> bool {
        let Some(at) = block.len().checked_sub(4).filter(|_| self.has_sums()) else {
            return true;
        };
        be32_at(block, at) == Some(crc32c_without(self.seed, block, at, 4))
    }
    fn commit_fits(&self, block: &[u8], crc: u32) -> bool {
        const SUM_AT: usize = 0x10;
        let stored = be32_at(block, SUM_AT).unwrap_or(0);
        if self.has_sums() {
            return stored == crc32c_without(self.seed, block, SUM_AT, 4);
        }
        if self.compat & COMPAT_CHECKSUM == 0 {
            return true;
        }
        // Kind 1 is CRC-32, of four bytes; all zero is a commit written without checksum.
        match block.get(HEADER..HEADER.saturating_add(2)) {
            Some([1, 4]) => stored == crc,
            Some([0, 0]) => stored == 0,
            _ => false,
        }
    }
    /// The tags of a descriptor block; `copy` is filled in by the caller.
    fn tags(&self, block: &[u8]) -> Vec<Tag> {
        let wide = self.incompat & WIDE != 0;
        let v3 = self.incompat & CSUM_V3 != 0;
        let v2 = self.incompat & CSUM_V2 != 0;
        let len = match (v3, wide) {
            (true, _) => 16,
            (false, true) => 12_usize.saturating_add(if v2 { 2 } else { 0 }),
            (false, false) => 8_usize.saturating_add(if v2 { 2 } else { 0 }),
        };
        let end = block.len().saturating_sub(if self.has_sums() { 4 } else { 0 });
        let mut out = Vec::new();
        let mut at = HEADER;
        while let Some(tag) = block.get(at..at.saturating_add(len)).filter(|_| at.saturating_add(len) <= end) {
            let low = be32_at(tag, 0).unwrap_or(0);
            let (flags, high, sum) = if v3 {
                (be32_at(tag, 4), be32_at(tag, 8), be32_at(tag, 12))
            } else {
                (be16_at(tag, 6).map(u32::from), be32_at(tag, 8), be16_at(tag, 4).map(u32::from))
            };
            let flags = flags.unwrap_or(0);
            let high = high.filter(|_| wide).unwrap_or(0);
            let escaped = flags & TAG_ESCAPED != 0;
            out.push(Tag { block: join(low, high), copy: 0, escaped, sum: sum.unwrap_or(0) });
            at = at.saturating_add(len).saturating_add(if flags & TAG_SAME_UUID == 0 { 16 } else { 0 });
            if flags & TAG_LAST != 0 {
                break;
            }
        }
        out
    }
    fn revocations(&self, block: &[u8]) -> Vec<u64> {
        let used = usize::try_from(be32_at(block, HEADER).unwrap_or(0)).unwrap_or(0);
        let end = used.min(block.len().saturating_sub(if self.has_sums() { 4 } else { 0 }));
        let list = block.get(HEADER.saturating_add(4)..end).unwrap_or_default();
        if self.incompat & WIDE != 0 {
            list.as_chunks::<8>().0.iter().map(|b| u64::from_be_bytes(*b)).collect()
        } else {
            list.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_be_bytes(*b))).collect()
        }
    }
    /// Fast commits stand behind the log and follow its last transaction; they are not replayed.
    fn look_for_fast_commits(&self, volume: &Volume, expected: u32, damage: &Damage) {
        const HEAD: u16 = 9;
        if self.incompat & FAST_COMMIT == 0 {
            return;
        }
        let Some(block) = self.read(volume, self.end) else {
            return;
        };
        // Little-endian, unlike the rest: tag, length, features, transaction.
        if u16_at(&block, 0) == Some(HEAD) && u32_at(&block, 8) == Some(expected) {
            let at = self.physical(self.end).and_then(|b| volume.blocks.offset(b)).unwrap_or(self.offset);
            damage.once(at, "the journal ends with fast commits, which were not replayed", 0);
        }
    }
}

/// CRC-32 with the most significant bit first and no inversion: version 1 checksums.
fn crc32_be(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = if crc >> 31 == 1 { (crc << 1) ^ 0x04c1_1db7 } else { crc << 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_has_its_published_check_value() {
        // CRC-32/MPEG-2.
        assert_eq!(crc32_be(!0, b"123456789"), 0x0376_e6e7);
    }
    #[test]
    fn transaction_numbers_wrap() {
        assert!(not_older(5, 5) && not_older(1, u32::MAX) && !not_older(4, 5) && !not_older(u32::MAX, 1));
    }
}
