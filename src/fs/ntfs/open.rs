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

pub(super) fn open(source: &Source, options: &Options) -> Result<NtfsFs, FsError> {
    let boot = boot::read(source, &options.gaps)?;
    let damage = Damage::new(options.gaps.clone(), BY, "records", STRETCH);
    let disk = Arc::new(Disk { source: source.clone(), cluster: boot.cluster });
    let mft = Mft::find(&disk, &boot, &damage)?;
    let survey = Survey::new(&mft, &damage);
    let root = mft.record(ROOT, &damage).map_or(5, |r| u64::from(r.sequence()));
    let mut info = info(&boot, &mft, &damage);
    let (slack, bitmap) = (OnceLock::new(), OnceLock::new());
    let volume = Volume { disk, mft, survey, damage, budget: options.budget, slack, bitmap, index_block: boot.index };
    info.clean &= log::is_done(&volume);
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
                info.clean = u16_at(value, 10).is_some_and(|flags| flags & DIRTY == 0);
            }
            STANDARD_INFORMATION => info.created = Standard::parse(value).and_then(|s| s.times.created),
            _ => {}
        }
    });
    info
}
