//! The boot catalog: what firmware may start from the disc, most of it in no directory.
//! Format: "El Torito" Bootable CD-ROM Format Specification 1.0 (Phoenix and IBM, 1995).
use super::Volume;
use super::descriptor::SECTOR;
use crate::base::Run;
use crate::fs::raw::{u8_at, u16_at, u32_at};
use crate::image::{Slice, Source, read_exact};
use std::sync::Arc;

/// Bytes of an entry.
const ENTRY: usize = 32;
/// Sectors of the catalog that are read.
const MAX_SECTORS: u64 = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// Of the catalog's entries with an image, from 1 on.
    pub(super) number: u64,
    pub(super) platform: &'static str,
    pub(super) emulation: &'static str,
    /// In the volume.
    pub(super) run: Run,
}
impl Image {
    pub(super) fn name(&self) -> String {
        format!("{}-{}-{}.img", self.number, self.platform, self.emulation)
    }
}

#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) at: u64,
    /// Bytes.
    pub(super) len: u64,
    pub(super) images: Vec<Image>,
}

fn platform(number: u8) -> &'static str {
    match number {
        0 => "x86",
        1 => "powerpc",
        2 => "mac",
        0xef => "efi",
        _ => "other",
    }
}

pub(super) fn read(volume: &Volume, at: u64) -> Catalog {
    let mut out = Catalog { at, ..Catalog::default() };
    let left = volume.source.len().saturating_sub(at).min(MAX_SECTORS.saturating_mul(SECTOR));
    let len = usize::try_from(left).unwrap_or(0);
    let bytes = match read_exact(&*volume.source, at, len) {
        Ok(Some(bytes)) if !bytes.is_empty() => bytes,
        Ok(_) => {
            volume.damage.once(at, "the boot catalog lies beyond the end of the volume", 0);
            return out;
        }
        Err(e) => {
            volume.damage.once(at, format!("the boot catalog cannot be read: {e}"), 0);
            return out;
        }
    };
    let sum = bytes.get(..ENTRY).unwrap_or_default().as_chunks::<2>().0;
    let sum = sum.iter().fold(0_u16, |n, w| n.wrapping_add(u16::from_le_bytes(*w)));
    if bytes.first() != Some(&1) || bytes.get(30..32) != Some(&[0x55, 0xaa]) || sum != 0 {
        volume.damage.once(at, "the boot catalog's first entry does not validate it", 0);
        if bytes.first() != Some(&1) {
            return out;
        }
    }
    let mut now = platform(u8_at(&bytes, 1).unwrap_or(0));
    for (number, entry) in bytes.chunks_exact(ENTRY).enumerate().skip(1) {
        out.len = (number.saturating_add(1).saturating_mul(ENTRY) as u64).next_multiple_of(SECTOR);
        let here = at.saturating_add(number.saturating_mul(ENTRY) as u64);
        match entry.first() {
            // Header of a section; 0x91 is the last one.
            Some(0x90 | 0x91) => now = platform(u8_at(entry, 1).unwrap_or(0)),
            // More of the selection criteria.
            Some(0x44) => {}
            Some(0x88) => image(volume, entry, now, here, &mut out),
            // Not bootable, but an image all the same; an empty entry ends the catalog.
            Some(0) if number == 1 || u32_at(entry, 8).is_some_and(|n| n > 0) => {
                image(volume, entry, now, here, &mut out);
            }
            _ => break,
        }
    }
    out
}

fn image(volume: &Volume, entry: &[u8], platform: &'static str, here: u64, out: &mut Catalog) {
    let start = u64::from(u32_at(entry, 8).unwrap_or(0)).saturating_mul(SECTOR);
    if start == 0 {
        return;
    }
    let left = volume.source.len().saturating_sub(start);
    if left == 0 {
        volume.damage.once(here, "a boot image lies beyond the end of the volume", 0);
        return;
    }
    let rest: Source = Arc::new(Slice::new(volume.source.clone(), Run::new(start, left)));
    let loaded = u64::from(u16_at(entry, 6).unwrap_or(0)).saturating_mul(512);
    let (emulation, len) = match u8_at(entry, 1).unwrap_or(0) & 0x0f {
        0 => ("no-emulation", loaded.max(own_size(&rest).unwrap_or(0)).max(SECTOR)),
        1 => ("floppy", 1_228_800),
        2 => ("floppy", 1_474_560),
        3 => ("floppy", 2_949_120),
        4 => ("disk", disk_size(&rest).unwrap_or(loaded)),
        _ => ("unknown", loaded.max(SECTOR)),
    };
    if len > left {
        volume.damage.once(here, "a boot image reaches beyond the end of the volume", len.saturating_sub(left));
    }
    let number = (out.images.len() as u64).saturating_add(1);
    out.images.push(Image { number, platform, emulation, run: Run::new(start, len.min(left)) });
}

/// The catalog counts only what firmware loads; an EFI image is a file system that knows its own size.
fn own_size(rest: &Source) -> Option<u64> {
    let format = crate::fs::ALL.iter().filter(|f| f.name != super::FORMAT.name).find(|f| (f.probe)(rest))?;
    (format.size)(rest)
}
/// Behind the last partition of the one table that such an image has.
fn disk_size(rest: &Source) -> Option<u64> {
    let table = read_exact(&**rest, 446, 64).ok().flatten()?;
    let ends = table.as_chunks::<16>().0.iter().filter_map(|e| {
        let (start, count) = (u32_at(e, 8)?, u32_at(e, 12)?);
        (count > 0).then(|| u64::from(start).saturating_add(count.into()).saturating_mul(512))
    });
    ends.max()
}
