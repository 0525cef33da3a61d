//! Opening: the boot sector, the MFT, one pass over it, and what the volume says of itself.
use super::boot::Boot;
use super::content::Disk;
use super::list::gather;
use super::names::Standard;
use super::raw::{name, u8_at, u16_at};
use super::record::{STANDARD_INFORMATION, VOLUME_INFORMATION, VOLUME_NAME};
use super::survey::{ROOT, Survey};
use super::table::Mft;
use super::{BY, NtfsFs, Volume, boot, log};
use crate::base::NodeId;
use crate::fs::damage::Damage;
use crate::fs::{FsError, FsInfo, Options};
use crate::image::Source;
use std::sync::{Arc, OnceLock};

/// Records whose equal faults are one gap.
const STRETCH: u64 = 1024;
/// Number of `$Volume`.
const VOLUME: u64 = 3;
/// The volume was not unmounted cleanly, or needs a check.
const DIRTY: u16 = 1;
/// What the volume's flags mean, by the Linux-NTFS project's documentation of `$VOLUME_INFORMATION`.
const FLAGS: &[(u16, &str)] = &[
    (DIRTY, "dirty"),
    (0x2, "log-to-be-resized"),
    (0x4, "to-be-upgraded"),
    (0x8, "mounted-by-windows-nt-4"),
    (0x10, "change-journal-being-deleted"),
    (0x20, "object-ids-to-be-repaired"),
    (0x4000, "check-under-way"),
    (0x8000, "modified-by-check"),
];

pub(super) fn open(source: &Source, options: &Options) -> Result<NtfsFs, FsError> {
    let boot = boot::read(source, &options.gaps)?;
    let damage = Damage::new(options.gaps.clone(), BY, "records", STRETCH);
    let disk = Arc::new(Disk { source: source.clone(), cluster: boot.cluster });
    let mft = Mft::find(&disk, &boot, &damage)?;
    let survey = Survey::new(&mft, &damage);
    let root = mft.record(ROOT, &damage).map_or(5, |r| u64::from(r.sequence()));
    let mut info = info(&boot, &mft, &damage);
    let (slack, bitmap, owners) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
    let (budget, index_block) = (options.budget, boot.index);
    let volume = Volume { disk, mft, survey, damage, budget, slack, bitmap, owners, index_block };
    let log = log::look(&volume);
    info.clean &= log.is_done;
    info.details.push(("log".to_owned(), log.state.to_owned()));
    if let Some((major, minor)) = log.version {
        info.details.push(("log version".to_owned(), format!("{major}.{minor}")));
    }
    Ok(NtfsFs { volume: Arc::new(volume), info, root: NodeId { number: ROOT, generation: root } })
}

fn info(boot: &Boot, mft: &Mft, damage: &Damage) -> FsInfo {
    let mut info = FsInfo {
        kind: "ntfs".to_owned(),
        uuid: format!("{:016x}", boot.serial),
        block_size: u32::try_from(boot.cluster).unwrap_or(u32::MAX),
        ..FsInfo::default()
    };
    let Ok(volume) = gather(VOLUME, mft, damage) else { return info };
    volume.attributes(|_, a| {
        let Some(value) = a.value() else { return };
        match a.kind {
            VOLUME_NAME => info.label = String::from_utf8_lossy(&name(value)).into_owned(),
            VOLUME_INFORMATION => {
                let version = (u8_at(value, 8).unwrap_or(0), u8_at(value, 9).unwrap_or(0));
                info.features.push(format!("version-{}.{}", version.0, version.1));
                let bits = u16_at(value, 10);
                info.clean = bits.is_some_and(|bits| bits & DIRTY == 0);
                let named = FLAGS.iter().filter(|(bit, _)| bits.unwrap_or(0) & bit != 0).map(|(_, name)| *name);
                info.details.push(("volume flags".to_owned(), named.collect::<Vec<_>>().join(", ")));
            }
            STANDARD_INFORMATION => info.created = Standard::parse(value).and_then(|s| s.times.created),
            _ => {}
        }
    });
    info
}
