//! rpm's own database (`Packages.db`): slots that lead to blobs in units of 16 bytes.
use super::{MAX_HEADER, Stored};
use crate::base::Run;
use crate::format::bytes::Bytes;
use libdeflater::Adler32;

pub(super) const MAGIC: &[u8; 4] = b"RpmP";
const PAGE: u64 = 4096;
const SLOT: usize = 16;
const UNIT: u64 = 16;
/// Slot pages of a database of a million packages.
const MAX_PAGES: u64 = 8192;

pub(super) fn headers(
    file: &Bytes<'_>,
    damaged: &mut dyn FnMut(u64, String),
    each: &mut dyn FnMut(Stored) -> bool,
) -> Result<(), String> {
    let head = file.exact(0, 32)?;
    let version = le(&head, 4);
    if version != 0 {
        return Err(format!("version {version} of rpm's own database"));
    }
    let pages = u64::from(le(&head, 12));
    if pages == 0 || pages > MAX_PAGES {
        return Err(format!("{pages} pages of slots"));
    }
    let mut blobs = Vec::new();
    for page in 0..pages {
        let at = page.saturating_mul(PAGE);
        let bytes = match file.exact(at, PAGE) {
            Ok(bytes) => bytes,
            Err(what) => {
                damaged(at, format!("page {page} of slots: {what}"));
                continue;
            }
        };
        // The file's head takes the place of the first two.
        let first = if page == 0 { 2 } else { 0 };
        for (n, slot) in bytes.chunks_exact(SLOT).enumerate().skip(first) {
            let place = at.saturating_add((n as u64).saturating_mul(SLOT as u64));
            if !slot.starts_with(b"Slot") {
                damaged(place, "no slot".to_owned());
                continue;
            }
            let (number, unit, units) = (le(slot, 4), le(slot, 8), le(slot, 12));
            if number != 0 {
                blobs.push((u64::from(unit).saturating_mul(UNIT), u64::from(units).saturating_mul(UNIT), number));
            }
        }
    }
    blobs.sort_unstable();
    let mut before = 0_u64;
    for (at, len, number) in blobs {
        // Packages over one another would be read again and again.
        let blob =
            if at < before { Err("it lies over another package".to_owned()) } else { blob(file, at, len, number) };
        before = before.max(at.saturating_add(len));
        match blob {
            Ok(blob) => {
                let place = Some(Run::new(at.saturating_add(UNIT), blob.len() as u64));
                if !each(Stored { number, blob, place }) {
                    return Ok(());
                }
            }
            Err(what) => damaged(at, format!("package {number}: {what}")),
        }
    }
    Ok(())
}

/// Head, content, padding to whole units less the tail's 12 bytes, tail.
fn blob(file: &Bytes<'_>, at: u64, len: u64, number: u32) -> Result<Vec<u8>, String> {
    let head = file.exact(at, UNIT)?;
    let size = u64::from(le(&head, 12));
    if !head.starts_with(b"BlbS") || le(&head, 4) != number {
        return Err("its place does not begin with it".to_owned());
    }
    if size.saturating_add(28) > len || size > MAX_HEADER {
        return Err(format!("{size} bytes do not fit into {len}"));
    }
    let tail = file.exact(at.saturating_add(len).saturating_sub(12), 12)?;
    if !tail.ends_with(b"BlbE") || u64::from(le(&tail, 4)) != size {
        return Err("its place does not end with it".to_owned());
    }
    let all = file.exact(at, len.saturating_sub(12))?;
    if adler32(&all) != le(&tail, 0) {
        return Err("its checksum differs".to_owned());
    }
    let end = usize::try_from(size.saturating_add(UNIT)).unwrap_or(usize::MAX);
    Ok(all.get(16..end).unwrap_or_default().to_vec())
}

/// RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    let mut sum = Adler32::new();
    sum.update(bytes);
    sum.sum()
}

fn le(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |raw| u32::from_le_bytes(*raw))
}
