//! Opening: the superblock, the state of the log, and what the file system says of itself.
use super::inode::{self, Cache};
use super::log::{self, State};
use super::overlay::Overlaid;
use super::replay::replay;
use super::sb::{self, Super};
use super::{BY, Volume, XfsFs};
use crate::base::{Gaps, NodeId};
use crate::fs::damage::Damage;
use crate::fs::{FsError, FsInfo, Options};
use crate::image::Source;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};

/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 4096;

const INCOMPAT: &[(u32, &str)] = &[
    (1, "ftype"),
    (2, "sparse-inodes"),
    (4, "meta-uuid"),
    (8, "bigtime"),
    (0x10, "needs-repair"),
    (0x20, "nrext64"),
    (0x40, "exchange-range"),
    (0x80, "parent-pointers"),
    (0x100, "metadata-directory"),
    (0x200, "zoned"),
];
const RO_COMPAT: &[(u32, &str)] = &[(1, "finobt"), (2, "rmapbt"), (4, "reflink"), (8, "inobtcount")];
/// Features with which all that is read here keeps its meaning.
const KNOWN: u32 = 0x1ff;

pub(super) fn open(source: &Source, options: &Options) -> Result<XfsFs, FsError> {
    let sb = sb::read(source, &options.gaps)?;
    let damage = Damage::new(options.gaps.clone(), BY, "inodes", STRETCH);
    let end = sb.blocks.saturating_mul(sb.block);
    if end > source.len() {
        let what = "the file system is longer than its volume; what lies beyond cannot be read";
        damage.once(source.len(), what, end.saturating_sub(source.len()));
    }
    if sb.incompat & !KNOWN != 0 {
        let what = format!("features that are not known here ({:#x}); what is read may be wrong", sb.incompat & !KNOWN);
        damage.once(0, what, 0);
    }
    if sb.realtime {
        damage.once(0, "the file system has a real-time device; contents on it are not read", 0);
    }
    let mut volume = Volume {
        source: source.clone(),
        sb,
        cache: Cache::default(),
        damage,
        budget: options.budget,
        claims: Mutex::default(),
        free: OnceLock::new(),
    };
    let log = log::state(&volume);
    let at = volume.sb.block_at(volume.sb.log_start).unwrap_or(0);
    let len = volume.sb.log_blocks.saturating_mul(volume.sb.block);
    match log {
        State::Clean => {}
        State::Dirty if !options.replay_journal => {
            let what = "not unmounted: its log holds newer changes; left out as asked";
            volume.damage.once(at, what, len);
        }
        State::Dirty => lay_over(&mut volume, at, len),
        State::Unknown(why) => volume.damage.once(at, format!("{why}; the last changes may be missing"), 0),
    }
    let root = volume.sb.root;
    let generation = inode::read(&volume, root)?.generation();
    let info = info(&volume.sb, log == State::Clean);
    Ok(XfsFs { volume, info, root: NodeId { number: root, generation } })
}

/// Lays what the log holds over the volume, as a mount would write it.
fn lay_over(volume: &mut Volume, at: u64, len: u64) {
    match replay(volume) {
        Ok(done) => {
            for note in done.notes {
                volume.damage.once(at, note, 0);
            }
            volume.source = Arc::new(Overlaid { source: volume.source.clone(), sectors: done.sectors });
            volume.cache = Cache::default();
            // The superblock may be among what changed; it must still be one of this file system.
            let newer = sb::read(&volume.source, &Gaps::default()).ok();
            let fits = |new: &Super| {
                (new.block, new.ag_blocks, new.uuid) == (volume.sb.block, volume.sb.ag_blocks, volume.sb.uuid)
            };
            if let Some(newer) = newer.filter(fits) {
                volume.sb = newer;
            }
        }
        Err(why) => {
            let what = format!(
                "not unmounted: its log was not replayed, so the last changes may be missing or half done ({why})"
            );
            volume.damage.once(at, what, len);
        }
    }
}

fn info(sb: &Super, clean: bool) -> FsInfo {
    let mut uuid = String::new();
    for (n, byte) in sb.uuid.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        let _ = write!(uuid, "{byte:02x}");
    }
    let mut features = vec![format!("version-{}", sb.version & 15)];
    let named = |bits: u32, table: &[(u32, &str)]| {
        table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect::<Vec<_>>()
    };
    features.extend(named(sb.incompat, INCOMPAT));
    features.extend(named(sb.ro_compat, RO_COMPAT));
    if !sb.v5 && sb.ftype {
        features.push("ftype".to_owned());
    }
    features.sort();
    FsInfo {
        kind: "xfs".to_owned(),
        label: String::from_utf8_lossy(&sb.label).into_owned(),
        uuid,
        block_size: u32::try_from(sb.block).unwrap_or(u32::MAX),
        clean,
        features,
        ..FsInfo::default()
    }
}
