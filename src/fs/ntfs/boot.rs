//! The boot sector and its copy behind the last sector of the file system.
//! Format: "$Boot" in the Linux-NTFS project's documentation. The crate `ntfs` reads the geometry;
//! what it does not give (place of the mirror, size of index blocks) is read here.
use super::BY;
use super::raw::{corrupt, u8_at, u64_at};
use crate::base::Gaps;
use crate::fs::FsError;
use crate::image::{Cursor, Source, read_exact};

const LEN: usize = 512;

/// Sizes in bytes, places in bytes of the volume.
#[derive(Clone, Debug)]
pub(super) struct Boot {
    pub(super) cluster: u64,
    /// Of a record of the MFT.
    pub(super) record: usize,
    /// Of an index block, where the index itself does not say.
    pub(super) index: usize,
    pub(super) len: u64,
    pub(super) mft: u64,
    pub(super) mirror: u64,
    pub(super) serial: u64,
}

pub(super) fn probe(source: &Source) -> bool {
    read_exact(&**source, 0, LEN).is_ok_and(|bytes| bytes.is_some_and(|b| is_boot(&b)))
}
/// Whether the copy of the boot sector is there, or one without its signature that leads to an MFT.
pub(super) fn probe_damaged(source: &Source) -> bool {
    let first = read_exact(&**source, 0, LEN).ok().flatten();
    backup(source).is_some() || first.is_some_and(|bytes| nameless(source, &bytes).is_some())
}

/// A boot sector without its signature, if it leads to an MFT or to the mirror of one.
fn nameless(source: &Source, bytes: &[u8]) -> Option<Boot> {
    let boot = fields(bytes).ok()?;
    let is_mft = |at: u64| read_exact(&**source, at, 4).ok().flatten().is_some_and(|b| b == b"FILE");
    (is_mft(boot.mft) || is_mft(boot.mirror)).then_some(boot)
}

fn is_boot(bytes: &[u8]) -> bool {
    bytes.get(3..11) == Some(b"NTFS    ")
}

/// The copy, and where it stands.
fn backup(source: &Source) -> Option<(u64, Vec<u8>)> {
    [512, 1024, 2048, 4096].into_iter().find_map(|back: u64| {
        let at = source.len().checked_sub(back)?;
        let bytes = read_exact(&**source, at, LEN).ok().flatten()?;
        is_boot(&bytes).then_some((at, bytes))
    })
}

/// A size as it stands in the boot sector: clusters, or negated a power of two.
fn stated(raw: u8, cluster: u64) -> Option<u64> {
    match raw.cast_signed() {
        0 => None,
        n if n > 0 => cluster.checked_mul(u64::from(n.unsigned_abs())),
        n => 1_u64.checked_shl(u32::from(n.unsigned_abs())),
    }
}

fn parse(bytes: &[u8]) -> Result<Boot, String> {
    if !is_boot(bytes) {
        return Err("no NTFS signature".to_owned());
    }
    fields(bytes)
}

fn fields(bytes: &[u8]) -> Result<Boot, String> {
    let bytes = bytes.to_vec();
    let read = ntfs::Ntfs::new(&mut Cursor::new(&bytes)).map_err(|e| e.to_string())?;
    let cluster = u64::from(read.cluster_size());
    let mft = read.mft_position().value().map_or(0, std::num::NonZero::get);
    let mirror = u64_at(&bytes, 0x38).and_then(|n| n.checked_mul(cluster)).unwrap_or(0);
    let index = u8_at(&bytes, 0x44).and_then(|n| stated(n, cluster)).filter(|n| (512..=1 << 16).contains(n));
    let record = read.file_record_size();
    if !(512..=1 << 16).contains(&record) || record % 512 != 0 {
        return Err(format!("MFT records of {record} bytes"));
    }
    Ok(Boot {
        cluster,
        record: record as usize,
        index: index.and_then(|n| usize::try_from(n).ok()).unwrap_or(4096),
        len: read.size(),
        mft,
        mirror,
        serial: read.serial_number(),
    })
}

/// The boot sector if it can be used, else its copy; damage is a gap.
pub(super) fn read(source: &Source, gaps: &Gaps) -> Result<Boot, FsError> {
    let add = |at: u64, what: String, bytes| gaps.add_at(BY, "volume_offset", at, what, bytes);
    let bytes = read_exact(&**source, 0, LEN);
    let first = match &bytes {
        Ok(Some(bytes)) => parse(bytes),
        Ok(None) => Err("the volume ends before it".to_owned()),
        Err(e) => Err(e.to_string()),
    };
    let boot = match first {
        Ok(boot) => boot,
        Err(what) => {
            let nameless = bytes.ok().flatten().and_then(|bytes| nameless(source, &bytes));
            let copy = || backup(source).and_then(|(at, bytes)| Some((at, parse(&bytes).ok()?)));
            if let Some(boot) = nameless {
                add(0, format!("boot sector damaged ({what}), but its fields lead to an MFT; they were used"), 8);
                boot
            } else if let Some((at, boot)) = copy() {
                add(0, format!("boot sector damaged ({what}); its copy at byte {at} was used"), LEN as u64);
                boot
            } else {
                return Err(corrupt(0, format!("boot sector: {what}")));
            }
        }
    };
    if boot.len > source.len() {
        let missing = boot.len.saturating_sub(source.len());
        add(0, format!("the file system has {} bytes, {} of them exist", boot.len, source.len()), missing);
    }
    Ok(boot)
}
