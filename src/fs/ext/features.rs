//! Feature flags of the superblock: the ones the reader asks for, and the names `dumpe2fs` gives them.

pub(super) const HAS_JOURNAL: u32 = 0x4;
pub(super) const SPARSE_SUPER2: u32 = 0x200;

pub(super) const COMPRESSION: u32 = 0x1;
pub(super) const FILETYPE: u32 = 0x2;
pub(super) const RECOVER: u32 = 0x4;
pub(super) const JOURNAL_DEV: u32 = 0x8;
pub(super) const META_BG: u32 = 0x10;
pub(super) const BIT64: u32 = 0x80;
pub(super) const EA_INODE: u32 = 0x400;
pub(super) const CSUM_SEED: u32 = 0x2000;
pub(super) const LARGE_DIR: u32 = 0x4000;
pub(super) const INLINE_DATA: u32 = 0x8000;
pub(super) const ENCRYPT: u32 = 0x1_0000;

pub(super) const SPARSE_SUPER: u32 = 0x1;
pub(super) const HUGE_FILE: u32 = 0x8;
pub(super) const GDT_CSUM: u32 = 0x10;
pub(super) const BIGALLOC: u32 = 0x200;
pub(super) const METADATA_CSUM: u32 = 0x400;

/// Which of the three words a flag stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Compat,
    Incompat,
    ReadOnly,
}
use Word::{Compat as C, Incompat as I, ReadOnly as R};

/// Flags that an ext2 or ext3 driver would mount are marked.
const NAMES: &[(Word, u32, &str, bool)] = &[
    (C, 0x1, "dir_prealloc", true),
    (C, 0x2, "imagic_inodes", true),
    (C, 0x4, "has_journal", true),
    (C, 0x8, "ext_attr", true),
    (C, 0x10, "resize_inode", true),
    (C, 0x20, "dir_index", true),
    (C, 0x40, "lazy_bg", true),
    (C, 0x100, "snapshot_bitmap", true),
    (C, 0x200, "sparse_super2", true),
    (C, 0x400, "fast_commit", true),
    (C, 0x800, "stable_inodes", true),
    (C, 0x1000, "orphan_file", true),
    (I, 0x1, "compression", false),
    (I, 0x2, "filetype", true),
    (I, 0x4, "needs_recovery", true),
    (I, 0x8, "journal_dev", false),
    (I, 0x10, "meta_bg", true),
    (I, 0x40, "extent", false),
    (I, 0x80, "64bit", false),
    (I, 0x100, "mmp", false),
    (I, 0x200, "flex_bg", false),
    (I, 0x400, "ea_inode", false),
    (I, 0x1000, "dirdata", false),
    (I, 0x2000, "metadata_csum_seed", false),
    (I, 0x4000, "large_dir", false),
    (I, 0x8000, "inline_data", false),
    (I, 0x1_0000, "encrypt", false),
    (I, 0x2_0000, "casefold", false),
    (R, 0x1, "sparse_super", true),
    (R, 0x2, "large_file", true),
    (R, 0x4, "btree_dir", true),
    (R, 0x8, "huge_file", false),
    (R, 0x10, "uninit_bg", false),
    (R, 0x20, "dir_nlink", false),
    (R, 0x40, "extra_isize", false),
    (R, 0x80, "has_snapshot", false),
    (R, 0x100, "quota", false),
    (R, 0x200, "bigalloc", false),
    (R, 0x400, "metadata_csum", false),
    (R, 0x800, "replica", false),
    (R, 0x1000, "read-only", false),
    (R, 0x2000, "project", false),
    (R, 0x4000, "shared_blocks", false),
    (R, 0x8000, "verity", false),
    (R, 0x1_0000, "orphan_present", false),
];

/// The three words, as the superblock has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) compat: u32,
    pub(super) incompat: u32,
    pub(super) read_only: u32,
}

impl Features {
    fn word(self, word: Word) -> u32 {
        match word {
            C => self.compat,
            I => self.incompat,
            R => self.read_only,
        }
    }
    pub(super) fn has_incompat(self, flag: u32) -> bool {
        self.incompat & flag != 0
    }
    pub(super) fn has_read_only(self, flag: u32) -> bool {
        self.read_only & flag != 0
    }
    pub(super) fn has_compat(self, flag: u32) -> bool {
        self.compat & flag != 0
    }
    /// Sorted; a flag without a name is given as `incompat:0x…`.
    pub(super) fn names(self) -> Vec<String> {
        let mut out: Vec<String> = NAMES
            .iter()
            .filter(|(word, flag, ..)| self.word(*word) & flag != 0)
            .map(|(_, _, name, _)| (*name).to_owned())
            .collect();
        for (word, prefix) in [(C, "compat"), (I, "incompat"), (R, "ro_compat")] {
            let rest = self.unknown(word);
            if rest != 0 {
                out.push(format!("{prefix}:{rest:#x}"));
            }
        }
        out.sort();
        out
    }
    fn unknown(self, word: Word) -> u32 {
        NAMES.iter().filter(|n| n.0 == word).fold(self.word(word), |bits, n| bits & !n.1)
    }
    /// Incompatible features that no name is known for.
    pub(super) fn unknown_incompat(self) -> u32 {
        self.unknown(I)
    }
    /// `ext2`, `ext3`, `ext4` or `jbd`, by the rule `blkid` uses.
    pub(super) fn kind(self) -> &'static str {
        let new = NAMES.iter().any(|(word, flag, _, old)| !old && *word != C && self.word(*word) & flag != 0);
        if self.has_incompat(JOURNAL_DEV) {
            "jbd"
        } else if new || self.unknown(I) != 0 || self.unknown(R) != 0 {
            "ext4"
        } else if self.has_compat(HAS_JOURNAL) {
            "ext3"
        } else {
            "ext2"
        }
    }
}
