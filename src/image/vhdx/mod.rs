//! VHDX, the disk of Hyper-V: blocks behind a table, metadata in regions, and a log that is replayed in memory
//! before anything else is read.
//!
//! Specified by Microsoft, [MS-VHDX].
mod disk;
mod log;
mod metadata;

use super::fields::{Fields, guid};
use super::{Container, Format, Mapped, OpenError, Opening, ReadAt, Source, read_exact};
use disk::Disk;
use metadata::Metadata;
use std::sync::Arc;

const BY: &str = "VHDX";
const HEADERS: [u64; 2] = [0x1_0000, 0x2_0000];
const REGIONS: [u64; 2] = [0x3_0000, 0x4_0000];
const REGION: usize = 0x1_0000;
/// Headers and tables of regions stand before this byte.
const FIRST: u64 = 1 << 20;
const MAX_REGIONS: u32 = 2047;
/// As they stand in the file.
const BAT: [u8; 16] = [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08];
const METADATA: [u8; 16] =
    [0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e];

pub(super) const FORMAT: Format = Format {
    name: "VHDX",
    about: "Hyper-V disk: fixed, dynamic, differencing with its parents; its log is replayed in memory",
    limits: "a log of more than 256 MiB is not replayed",
    probe: |source| read_exact(&**source, 0, 8).is_ok_and(|m| m.as_deref() == Some(b"vhdxfile")),
    open,
};

/// Whether a structure's CRC-32C at `at` fits, counted with that field as zeros.
fn sums_up(bytes: &[u8], at: usize) -> bool {
    let (before, after) = (bytes.get(..at), bytes.get(at.saturating_add(4)..));
    let (Some(before), Some(after)) = (before, after) else { return false };
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), after);
    Fields(bytes.to_vec()).le32(at) == Some(sum)
}

struct Header {
    sequence: u64,
    /// Changes with the disk's contents.
    data_write: String,
    log_id: Vec<u8>,
    log_at: u64,
    log_len: u32,
}

fn header(source: &dyn ReadAt, at: u64) -> Option<Header> {
    let bytes = read_exact(source, at, 4096).ok()??;
    if !bytes.starts_with(b"head") || !sums_up(&bytes, 4) {
        return None;
    }
    let field = Fields(bytes);
    let log_id = field.bytes(48, 16).to_vec();
    let data_write = guid(field.bytes(32, 16));
    Some(Header { sequence: field.le64(8)?, data_write, log_id, log_at: field.le64(72)?, log_len: field.le32(68)? })
}

fn open(opening: &Opening<'_>) -> Result<Container, OpenError> {
    let file = &opening.source;
    let gaps = opening.gaps;
    let found = HEADERS.map(|at| header(&**file, at));
    for (header, at) in found.iter().zip(HEADERS) {
        if header.is_none() {
            gaps.add(BY, format!("the header at byte {at} is damaged; the other one is used"), 0);
        }
    }
    let newest = found.into_iter().flatten().max_by_key(|h| h.sequence);
    let Some(newest) = newest else {
        return Err(OpenError::Corrupt { at: HEADERS[0], what: "both headers are damaged".into() });
    };
    let mut details = Vec::new();
    let file = replayed(file, &newest, opening, &mut details);
    let regions = REGIONS.iter().find_map(|at| regions(&*file, *at));
    let (bat, metadata) = regions.ok_or_else(|| OpenError::Corrupt {
        at: REGIONS[0],
        what: "both region tables are damaged, or lead to no block table and metadata".into(),
    })?;
    let region = metadata;
    let metadata = Metadata::read(&*file, region)?;
    let below = metadata.parent(opening, &mut details);
    metadata.tell(&mut details);
    details.push((metadata::DATA_WRITE.into(), newest.data_write));
    let disk = Disk::new(file, bat, &metadata, below)?;
    let regions = [(0, FIRST), (newest.log_at, u64::from(newest.log_len)), bat, region];
    for what in disk.contradictions(&regions) {
        gaps.add_at(BY, "image_offset", bat.0, what, 0);
    }
    Ok(Container { disk: Arc::new(Mapped(disk)), stored_hashes: Vec::new(), details })
}

/// The file as it is once what its log holds is written.
fn replayed(file: &Source, header: &Header, opening: &Opening<'_>, details: &mut Vec<(String, String)>) -> Source {
    if header.log_id.iter().all(|b| *b == 0) {
        return file.clone();
    }
    match log::replay(file, header) {
        Ok(Some((source, entries))) => {
            details.push(("log".into(), format!("{entries} entries replayed in memory")));
            source
        }
        Ok(None) => {
            opening.gaps.add(BY, "the log is said to hold writes, but no whole sequence of entries is there", 0);
            file.clone()
        }
        Err(what) => {
            opening.gaps.add(BY, format!("the log is not replayed: {what}"), u64::from(header.log_len));
            file.clone()
        }
    }
}

/// Bytes of the block table and of the metadata: start and length of each.
fn regions(file: &dyn ReadAt, at: u64) -> Option<((u64, u64), (u64, u64))> {
    let bytes = read_exact(file, at, REGION).ok()??;
    if !bytes.starts_with(b"regi") || !sums_up(&bytes, 4) {
        return None;
    }
    let field = Fields(bytes);
    let count = field.le32(8)?.min(MAX_REGIONS);
    let find = |id: &[u8; 16]| {
        let entries = (0..count as usize).map(|n| n.saturating_mul(32).saturating_add(16));
        let mut fitting = entries.filter(|at| field.bytes(*at, 16) == id);
        let at = fitting.next()?;
        Some((field.le64(at.saturating_add(16))?, u64::from(field.le32(at.saturating_add(24))?)))
    };
    Some((find(&BAT)?, find(&METADATA)?))
}
