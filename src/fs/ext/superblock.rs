//! The superblock: geometry, features, identity; and its backups.
//! Format: "Super Block" in the Linux kernel's Documentation/filesystems/ext4.
use super::features::{BIGALLOC, BIT64, CSUM_SEED, Features, METADATA_CSUM, RECOVER, SPARSE_SUPER, SPARSE_SUPER2};
use super::raw::{crc32c, join, u8_at, u16_at, u32_at};
use crate::base::Time;
use crate::fs::FsInfo;
use crate::image::{ReadAt, Source, read_exact};

/// Bytes from the start of the volume, and its length.
pub(super) const AT: u64 = 1024;
pub(super) const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;
const MAGIC_AT: usize = 0x38;
const CHECKSUM_AT: usize = 0x3fc;
/// How far from the volume's start a backup is looked for when it is at none of the usual places.
const SEARCH: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub(super) struct Super {
    pub(super) inodes: u32,
    pub(super) blocks: u64,
    pub(super) first_data_block: u32,
    /// Bytes.
    pub(super) block_size: u32,
    /// Blocks per cluster; 1 without bigalloc.
    pub(super) cluster_ratio: u32,
    pub(super) blocks_per_group: u32,
    pub(super) inodes_per_group: u32,
    /// The first inode that is not reserved.
    pub(super) first_inode: u32,
    /// Bytes.
    pub(super) inode_size: u32,
    /// Bytes per group descriptor.
    pub(super) desc_size: u32,
    pub(super) desc_size_stated: u32,
    pub(super) features: Features,
    /// The group whose copy this is; 0 for the primary.
    pub(super) copy_of_group: u16,
    pub(super) reserved_gdt_blocks: u16,
    pub(super) first_meta_bg: u32,
    backup_groups: [u32; 2],
    pub(super) journal_inode: u32,
    /// Inodes of the file system's own beside the reserved ones: project quotas, orphans.
    own: [u32; 2],
    /// Bytes of extra fields that inodes have at least, and that new ones should have.
    pub(super) extra_sizes: [u16; 2],
    pub(super) journal_uuid: [u8; 16],
    /// The journal inode's block map and size, kept for when that inode is damaged.
    pub(super) journal_backup: Option<([u8; 60], u64)>,
    /// Start value of all metadata checksums.
    pub(super) seed: u32,
    uuid: [u8; 16],
    label: Vec<u8>,
    last_mounted: Vec<u8>,
    state: u16,
    mkfs_time: u64,
    mount_time: u64,
    write_time: u64,
    /// Whether the stored checksum fits, where there is one.
    pub(super) checksum_fits: bool,
}

fn text(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|b| *b == 0).next().unwrap_or_default().to_vec()
}

impl Super {
    /// Reads 1024 bytes; the text says what contradicts the format.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        Self::fields(bytes).ok_or("the superblock is cut short")?.and_then(Self::check)
    }
    fn fields(b: &[u8]) -> Option<Result<Self, String>> {
        if u16_at(b, MAGIC_AT)? != MAGIC {
            return Some(Err("no ext superblock".to_owned()));
        }
        let features = Features { compat: u32_at(b, 0x5c)?, incompat: u32_at(b, 0x60)?, read_only: u32_at(b, 0x64)? };
        let old = u32_at(b, 0x4c)? == 0;
        let log = u32_at(b, 0x18)?;
        let cluster_log = u32_at(b, 0x1c)?;
        if log > 6 {
            return Some(Err(format!("block size 2^{} is not possible", u64::from(log) + 10)));
        }
        let wide = features.has_incompat(BIT64);
        let uuid: [u8; 16] = *b.get(0x68..)?.first_chunk()?;
        let seed = if features.has_incompat(CSUM_SEED) { u32_at(b, 0x270)? } else { crc32c(!0, &uuid) };
        let journal_map = b.get(0x10c..)?.first_chunk::<60>()?;
        let journal_size = join(u32_at(b, 0x14c)?, u32_at(b, 0x148)?);
        let stated = u32::from(u16_at(b, 0xfe)?);
        Some(Ok(Self {
            inodes: u32_at(b, 0)?,
            blocks: join(u32_at(b, 4)?, if wide { u32_at(b, 0x150)? } else { 0 }),
            first_data_block: u32_at(b, 0x14)?,
            block_size: 1024 << log,
            cluster_ratio: if features.has_read_only(BIGALLOC) {
                cluster_log.checked_sub(log).and_then(|n| 1_u32.checked_shl(n)).unwrap_or(0)
            } else {
                1
            },
            blocks_per_group: u32_at(b, 0x20)?,
            inodes_per_group: u32_at(b, 0x28)?,
            first_inode: if old { 11 } else { u32_at(b, 0x54)? },
            inode_size: if old { 128 } else { u32::from(u16_at(b, 0x58)?) },
            desc_size: match (wide, stated) {
                (false, _) => 32,
                (true, n) if (64..=1024).contains(&n) && n.is_power_of_two() => n,
                (true, _) => 64,
            },
            desc_size_stated: stated,
            features,
            copy_of_group: u16_at(b, 0x5a)?,
            reserved_gdt_blocks: u16_at(b, 0xce)?,
            first_meta_bg: u32_at(b, 0x104)?,
            backup_groups: [u32_at(b, 0x24c)?, u32_at(b, 0x250)?],
            journal_inode: u32_at(b, 0xe0)?,
            own: [u32_at(b, 0x26c)?, u32_at(b, 0x280)?],
            extra_sizes: if old { [0; 2] } else { [u16_at(b, 0x15c)?, u16_at(b, 0x15e)?] },
            journal_uuid: *b.get(0xd0..)?.first_chunk()?,
            journal_backup: (u8_at(b, 0xfd)? == 1).then_some((*journal_map, journal_size)),
            seed,
            uuid,
            label: text(b.get(0x78..0x88)?),
            last_mounted: text(b.get(0x88..0xc8)?),
            state: u16_at(b, 0x3a)?,
            mkfs_time: join(u32_at(b, 0x108)?, u32::from(u8_at(b, 0x276)?)),
            mount_time: join(u32_at(b, 0x2c)?, u32::from(u8_at(b, 0x275)?)),
            write_time: join(u32_at(b, 0x30)?, u32::from(u8_at(b, 0x274)?)),
            checksum_fits: !features.has_read_only(METADATA_CSUM)
                || u32_at(b, CHECKSUM_AT)? == crc32c(!0, b.get(..CHECKSUM_AT)?),
        }))
    }
    /// Whether an inode is the file system's own, which no directory names.
    pub(super) fn is_own(&self, number: u32) -> bool {
        number < self.first_inode || number == self.journal_inode || self.own.contains(&number)
    }
    /// Refuses geometry that no reader could follow.
    fn check(self) -> Result<Self, String> {
        let bits = u64::from(self.block_size).saturating_mul(8);
        let per_group = bits.saturating_mul(u64::from(self.cluster_ratio));
        if self.cluster_ratio == 0 {
            return Err("cluster size is smaller than block size".to_owned());
        }
        if !self.inode_size.is_power_of_two() || self.inode_size < 128 || self.inode_size > self.block_size {
            return Err(format!("inode size {} is not possible", self.inode_size));
        }
        if self.blocks_per_group == 0 || u64::from(self.blocks_per_group) > per_group {
            return Err(format!("{} blocks per group are not possible", self.blocks_per_group));
        }
        if self.inodes_per_group == 0 || u64::from(self.inodes_per_group) > bits {
            return Err(format!("{} inodes per group are not possible", self.inodes_per_group));
        }
        if self.blocks <= u64::from(self.first_data_block) || self.first_data_block > 1 {
            return Err("it counts no blocks".to_owned());
        }
        Ok(self)
    }
    /// Block groups, by the count of blocks.
    pub(super) fn groups(&self) -> u64 {
        self.blocks.saturating_sub(u64::from(self.first_data_block)).div_ceil(u64::from(self.blocks_per_group))
    }
    /// The first block of a group.
    pub(super) fn group_start(&self, group: u64) -> u64 {
        u64::from(self.first_data_block).saturating_add(group.saturating_mul(u64::from(self.blocks_per_group)))
    }
    /// The block that holds the primary superblock.
    pub(super) fn primary_block(&self) -> u64 {
        AT / u64::from(self.block_size)
    }
    /// Blocks of one group's inode table.
    pub(super) fn inode_table_blocks(&self) -> u64 {
        u64::from(self.inodes_per_group).saturating_mul(u64::from(self.inode_size)).div_ceil(u64::from(self.block_size))
    }
    /// Whether a group holds a copy of the superblock.
    pub(super) fn has_super(&self, group: u64) -> bool {
        let power_of = |base: u64| {
            let mut n = base;
            while n < group {
                n = n.saturating_mul(base);
            }
            n == group
        };
        if group == 0 {
            true
        } else if self.features.has_compat(SPARSE_SUPER2) {
            self.backup_groups.iter().any(|g| u64::from(*g) == group)
        } else if group == 1 || !self.features.has_read_only(SPARSE_SUPER) {
            true
        } else {
            [3, 5, 7].into_iter().any(power_of)
        }
    }
    fn numbered(self, group: u64) -> Self {
        Self { copy_of_group: u16::try_from(group).unwrap_or(u16::MAX), ..self }
    }
    pub(super) fn needs_recovery(&self) -> bool {
        self.features.has_incompat(RECOVER)
    }
    pub(super) fn has_metadata_csum(&self) -> bool {
        self.features.has_read_only(METADATA_CSUM)
    }
    pub(super) fn uuid_bytes(&self) -> [u8; 16] {
        self.uuid
    }
    /// What `info()` tells. `replayed` says that the journal was laid over.
    pub(super) fn info(&self) -> FsInfo {
        let moment = |s: u64| (s != 0).then(|| Time::seconds(i64::try_from(s).unwrap_or(i64::MAX)));
        FsInfo {
            kind: self.features.kind().to_owned(),
            label: String::from_utf8_lossy(&self.label).into_owned(),
            uuid: uuid_text(&self.uuid),
            block_size: self.block_size,
            last_mounted: String::from_utf8_lossy(&self.last_mounted).into_owned(),
            created: moment(self.mkfs_time),
            last_mount_time: moment(self.mount_time),
            last_write_time: moment(self.write_time),
            clean: self.state & 1 == 1 && self.state & 2 == 0 && !self.needs_recovery(),
            features: self.features.names(),
            ..FsInfo::default()
        }
    }
}

pub(super) fn uuid_text(uuid: &[u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*uuid));
    let part = |a: usize, b: usize| hex.get(a..b).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Whether a primary superblock's signature is where it belongs.
pub(super) fn has_magic(source: &dyn ReadAt) -> bool {
    let at = AT.saturating_add(MAGIC_AT as u64);
    matches!(read_exact(source, at, 2), Ok(Some(b)) if u16_at(&b, 0) == Some(MAGIC))
}

/// Bytes that the primary superblock says the file system has.
pub(super) fn stated_size(source: &Source) -> Option<u64> {
    let sb = Super::parse(&read_exact(&**source, AT, LEN).ok().flatten()?).ok()?;
    sb.blocks.checked_mul(u64::from(sb.block_size))
}

/// A copy of the superblock that stands where its own geometry says it must, with its byte offset.
pub(super) fn backup(source: &Source) -> Option<(u64, Super)> {
    usual_places(source.len()).into_iter().find_map(|at| backup_at(source, at)).or_else(|| search(source))
}

fn backup_at(source: &Source, at: u64) -> Option<(u64, Super)> {
    let bytes = read_exact(&**source, at, LEN).ok().flatten()?;
    plausible_backup(&bytes, at).map(|s| (at, s))
}
fn plausible_backup(bytes: &[u8], at: u64) -> Option<Super> {
    let copy = Super::parse(bytes).ok()?;
    let block = at.checked_div(u64::from(copy.block_size))?.checked_sub(u64::from(copy.first_data_block))?;
    let group = block / u64::from(copy.blocks_per_group);
    let start = copy.group_start(group).checked_mul(u64::from(copy.block_size))?;
    // The oldest revision does not number its copies.
    let numbered = u64::from(copy.copy_of_group) == group || copy.copy_of_group == 0;
    (group != 0 && numbered && start == at && copy.checksum_fits).then(|| copy.numbered(group))
}

/// Groups 1, 3, 5, 7, 9 … of file systems with a full bitmap block per group, for each block size.
fn usual_places(len: u64) -> Vec<u64> {
    let mut out = Vec::new();
    for log in [2_u32, 0, 1, 3, 4, 5, 6] {
        let bs = 1024_u64 << log;
        let first = u64::from(log == 0);
        for group in [1_u64, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343] {
            let at = group.saturating_mul(bs).saturating_mul(8).saturating_add(first).saturating_mul(bs);
            if at < len {
                out.push(at);
            }
        }
    }
    out
}

fn search(source: &Source) -> Option<(u64, Super)> {
    const STEP: u64 = 1 << 20;
    let mut buf = vec![0; 1 << 20];
    for at in (0..SEARCH.min(source.len())).step_by(1 << 20) {
        debug_assert_eq!(STEP, buf.len() as u64);
        let n = source.read_at(at, &mut buf).ok()?;
        for (i, part) in buf.get(..n)?.chunks_exact(LEN).enumerate() {
            let here = at.saturating_add((i as u64).saturating_mul(LEN as u64));
            if let Some(copy) = plausible_backup(part, here) {
                return Some((here, copy));
            }
        }
    }
    None
}
