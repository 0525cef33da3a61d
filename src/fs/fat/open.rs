//! Opening: the boot sector, the table's copies, and what the volume says of itself.
use super::geometry::{ROOT, Width};
use super::item::Item;
use super::raw::{corrupt, size, u32_at, u64_at};
use super::table::{Next, Table, Window};
use super::{FatFs, Volume, boot, exboot, exset, folder, short};
use crate::base::Run;
use crate::fs::damage::Damage;
use crate::fs::extents::{At, Extent, Extents};
use crate::fs::{FsError, FsInfo, Options};
use crate::image::{ReadAt, Source};
use std::sync::{Mutex, OnceLock};

/// A table of capital letters has no more bytes.
const MAX_UPCASE: u64 = 128 << 10;
/// Directories of the root that are held against what the boot sector says.
const LOOKED_AT: usize = 16;
/// Entries whose equal faults are one gap: all of a volume.
const STRETCH: u64 = u64::MAX;

fn volume(source: &Source, table: Table, damage: Damage) -> Volume {
    Volume {
        source: source.clone(),
        table,
        damage,
        bitmap: OnceLock::new(),
        upcase: OnceLock::new(),
        claims: Mutex::default(),
    }
}

fn serial(number: u32) -> String {
    format!("{:04x}-{:04x}", number >> 16, number & 0xffff)
}

pub(super) fn fat(source: &Source, options: &Options) -> Result<FatFs, FsError> {
    let boot = boot::read(source, &options.gaps)?;
    let damage = Damage::new(options.gaps.clone(), boot::BY, "entries", STRETCH);
    let mut table = Table::new(source, &boot.geometry);
    table.check(boot.media, &damage);
    let volume = volume(source, table, damage);
    let width = match boot.geometry.width {
        Width::Fat12 => "fat12",
        Width::Fat16 => "fat16",
        Width::Fat32 | Width::ExFat => "fat32",
    };
    let root = folder::list(&volume, ROOT, &folder::runs(&volume, ROOT, None), false);
    let mut folders = root.items.iter().filter(|i| i.is_dir() && !i.deleted).take(LOOKED_AT).peekable();
    let home = |item: &Item| {
        let place = volume.table.geometry.place(item.first);
        place.is_some_and(|at| folder::is_at_home(&volume, &[Run::new(at, volume.table.geometry.cluster)]))
    };
    if folders.peek().is_some() && !folders.any(home) {
        let what = "no directory begins where the boot sector leads; its counts, and what is listed, may be wrong";
        volume.damage.once(0, what, 512);
    }
    let own = short::label(&boot.label);
    let label = root.label.or((own != b"NO NAME").then_some(own)).unwrap_or_default();
    let info = FsInfo {
        kind: "vfat".to_owned(),
        label: String::from_utf8_lossy(&label).into_owned(),
        uuid: if boot.geometry.serial == 0 { String::new() } else { serial(boot.geometry.serial) },
        block_size: u32::try_from(boot.geometry.cluster).unwrap_or(u32::MAX),
        clean: !boot.dirty && was_unmounted(&volume),
        features: vec![width.to_owned(), "times-in-local-clock".to_owned()],
        ..FsInfo::default()
    };
    Ok(FatFs { volume, info })
}

/// The second entry of the table has a bit that is cleared while Windows has the volume mounted.
fn was_unmounted(volume: &Volume) -> bool {
    let geometry = &volume.table.geometry;
    let Some(at) = geometry.tables.first() else { return false };
    let mut head = [0xff; 8];
    if !volume.source.read_at(*at, &mut head).is_ok_and(|n| n == 8) {
        return false;
    }
    match geometry.width {
        Width::Fat16 => head[3] & 0x80 != 0,
        Width::Fat32 => head[7] & 0x08 != 0,
        Width::Fat12 | Width::ExFat => true,
    }
}

pub(super) fn exfat(source: &Source, options: &Options) -> Result<FatFs, FsError> {
    let boot = exboot::read(source, &options.gaps)?;
    let damage = Damage::new(options.gaps.clone(), exboot::BY, "entries", STRETCH);
    let volume = volume(source, Table::new(source, &boot.geometry), damage);
    let runs = folder::runs(&volume, ROOT, None);
    if runs.is_empty() {
        return Err(corrupt(boot.geometry.first, "root directory not found"));
    }
    let root = folder::list(&volume, ROOT, &runs, false);
    let mut wanted = Some(0);
    for (at, raw) in &root.special {
        let (first, len) = (u32_at(raw, 20).unwrap_or(0), u64_at(raw, 24).unwrap_or(0));
        match raw[0] {
            // With two bitmaps (TexFAT) the flags tell which one goes with which table.
            exset::BITMAP if wanted == Some(raw[1] & 1) => {
                wanted = None;
                let _ = volume.bitmap.set(stored(&volume, first, len, *at));
            }
            exset::UPCASE if volume.upcase.get().is_none() => {
                let bytes = bytes(&stored(&volume, first, len.min(MAX_UPCASE), *at));
                if bytes.as_ref().is_some_and(|b| u32_at(raw, 4) == Some(exset::table_sum(b))) {
                    let _ = volume.upcase.set(exset::upcase(&bytes.unwrap_or_default()));
                } else {
                    let what = "table of capital letters damaged; hashes of names are not checked";
                    volume.damage.once(*at, what, len);
                }
            }
            _ => {}
        }
    }
    if volume.bitmap.get().is_none() {
        volume.damage.once(boot.geometry.heap, "allocation bitmap not found; nothing counts as unallocated", 0);
        if volume.upcase.get().is_none() {
            let what = "the boot region leads to no root directory with what each has; what is listed may be wrong";
            volume.damage.once(0, what, 512);
        }
    }
    let info = FsInfo {
        kind: "exfat".to_owned(),
        label: String::from_utf8_lossy(&root.label.unwrap_or_default()).into_owned(),
        uuid: serial(boot.geometry.serial),
        block_size: u32::try_from(boot.geometry.cluster).unwrap_or(u32::MAX),
        clean: !boot.dirty,
        features: vec![format!("revision-{}.{}", boot.revision >> 8, boot.revision & 0xff)],
        ..FsInfo::default()
    };
    Ok(FatFs { volume, info })
}

/// A structure of the volume in clusters: by its chain, or where the table has none, as one run.
fn stored(volume: &Volume, first: u32, len: u64, at: u64) -> Extents {
    let geometry = &volume.table.geometry;
    let mut chain = match volume.table.get(first, &mut Window::default()) {
        Next::Cluster(_) | Next::End => volume.table.chain(first),
        _ => volume.together(first, len),
    };
    if chain.clusters() < geometry.clusters(len) {
        chain = volume.together(first, len);
        volume.damage.once(at, "chain of the volume's own structure is damaged; taken as one run", 0);
    }
    let mut start = 0_u64;
    let mut list = Vec::new();
    for (first, count) in chain.runs {
        let run =
            Run::new(geometry.place(first).unwrap_or(u64::MAX), u64::from(count).saturating_mul(geometry.cluster));
        list.push(Extent { start, len: run.len, at: At::Volume(run.offset) });
        start = start.saturating_add(run.len);
    }
    let len = len.min(start);
    Extents { volume: volume.source.clone(), len, valid: len, list: list.into() }
}
fn bytes(source: &Extents) -> Option<Vec<u8>> {
    let mut out = vec![0; size(ReadAt::len(source))];
    source.read_at(0, &mut out).is_ok_and(|n| n == out.len()).then_some(out)
}
