//! Opening: superblock, master node, index, journal, and what the file system says of itself.
use super::index::{self, Index, replay, walk};
use super::node::{BLOCK, Key, Spot};
use super::superblock::{self, Superblock};
use super::{BY, STRETCH, UbiFs, Volume, codec, scan};
use crate::fs::damage::Damage;
use crate::fs::{FsError, FsInfo, Options};
use crate::image::Source;
use crate::image::cache::Cache;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

/// Bytes of decoded blocks that are kept.
const KEPT: u64 = 16 << 20;
/// The newest format that is known to keep its meaning.
const VERSION: u32 = 5;

pub(super) fn open(source: &Source, options: &Options) -> Result<UbiFs, FsError> {
    let superblock = superblock::read(source)?;
    let damage = Damage::new(options.gaps.clone(), BY, "inodes", STRETCH);
    let end = superblock.block.saturating_mul(u64::from(superblock.blocks));
    if end > source.len() {
        let what = "the file system is longer than its volume; what lies beyond cannot be read";
        damage.once(source.len(), what, end.saturating_sub(source.len()));
    }
    if superblock.features.contains(&"superblock-lost") {
        let what = format!(
            "the superblock is lost; by the master nodes a block has {} bytes, and files are looked for in all of them",
            superblock.block
        );
        damage.once(0, what, 0);
    }
    if superblock.version > VERSION {
        let what = format!("format {} is newer than what is known here; what is read may be wrong", superblock.version);
        damage.once(80, what, 0);
    }
    if superblock.features.contains(&"authentication") {
        damage.once(28, "authenticated image: its hashes and signature were not checked", 0);
    }
    let mut volume = Volume {
        source: source.clone(),
        superblock,
        index: Index::default(),
        used: BTreeSet::new(),
        blocks: Cache::of_bytes(KEPT, BLOCK),
        gone: OnceLock::new(),
        budget: options.budget,
        damage,
    };
    let mut budget = options.budget;
    let (master, without) = superblock::master(source, volume.superblock.block);
    for number in without {
        let at = volume.superblock.block.saturating_mul(number);
        volume.damage.once(at, format!("no master node in block {number} holds"), volume.superblock.block);
    }
    let mut walked = if let Some(master) = &master {
        let (block, offset, len) = master.root;
        walk(&volume, Spot { block, offset, len }, &mut budget)
    } else {
        let what = "no master node holds: the index cannot be found; files are put together from all nodes";
        volume.damage.once(volume.superblock.block, what, 0);
        index::Walked { index: Index::default(), blocks: BTreeSet::new(), lost: vec![Key::default()..=Key::MAX] }
    };
    if !walked.lost.is_empty() {
        let what =
            "parts of the index were put together from all nodes; files deleted long ago may stand among the others";
        volume.damage.once(0, what, 0);
        let events = scan::searched(&volume, &walked.lost, &mut budget);
        replay(&volume, &mut walked.index, events);
    }
    let buds = master.as_ref().map(|m| scan::journal(&volume, m)).unwrap_or_default();
    if options.replay_journal {
        let events = scan::journaled(&volume, &buds, &mut budget);
        replay(&volume, &mut walked.index, events);
    }
    volume.used = used(&walked, &buds);
    volume.index = walked.index;
    let clean = master.as_ref().is_some_and(|m| !m.dirty);
    let info = info(&volume.superblock, clean, master.as_ref().map(|m| m.highest));
    Ok(UbiFs { volume: Arc::new(volume), info })
}

fn used(walked: &index::Walked, buds: &BTreeMap<u32, u32>) -> BTreeSet<u32> {
    let mut used = walked.index.blocks();
    used.extend(&walked.blocks);
    used.extend(buds.keys());
    used
}

fn info(superblock: &Superblock, clean: bool, highest: Option<u64>) -> FsInfo {
    let mut uuid = String::new();
    for (n, byte) in superblock.uuid.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        let _ = write!(uuid, "{byte:02x}");
    }
    if superblock.uuid == [0; 16] {
        uuid.clear();
    }
    let mut features: Vec<String> = superblock.features.iter().map(|f| (*f).to_owned()).collect();
    features.push(format!("version-{}", superblock.version));
    features.push(format!("compressor-{}", codec::name(superblock.compressor)));
    features.push(format!("logical-block-{}", superblock.block));
    features.push(format!("page-{}", superblock.min_io));
    features.extend(highest.map(|n| format!("highest-inode-{n}")));
    features.sort();
    FsInfo {
        kind: "ubifs".to_owned(),
        uuid,
        block_size: u32::try_from(BLOCK).unwrap_or(4096),
        clean,
        features,
        ..FsInfo::default()
    }
}
