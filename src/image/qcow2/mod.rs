//! QCOW2, versions 2 and 3: the disk of QEMU, KVM and OpenStack. Clusters are found through two levels of
//! tables; they may be compressed, lie in another file, or in the image that this one builds on.
//!
//! Specified by QEMU, docs/interop/qcow2.txt.
mod counts;
mod disk;

use super::fields::Fields;
use super::parent::Below;
use super::{Container, Format, Mapped, OpenError, Opening, Source, read_exact};
use crate::base::{Name, Run, Wanted};
use disk::{Disk, Features, Tables};
use std::sync::Arc;

const MAGIC: &[u8] = b"QFI\xfb";
/// QEMU's own limit.
const MAX_L1: u32 = 32 << 20 >> 3;
const MAX_NAME: u32 = 4096;
const BY: &str = "QCOW2";

const DIRTY: u64 = 1;
const CORRUPT: u64 = 2;
const EXTERNAL: u64 = 4;
const COMPRESSION: u64 = 8;
const EXTENDED: u64 = 16;

pub(super) const FORMAT: Format = Format {
    name: "QCOW2",
    about: "QCOW2 versions 2 and 3: deflate and zstd clusters, subclusters, backing files, external data file",
    limits: "internal snapshots are named, not read; encrypted images are recognized, not opened; QCOW version 1 is not \
             read",
    probe: |source| read_exact(&**source, 0, 4).is_ok_and(|m| m.as_deref() == Some(MAGIC)),
    open,
};

fn open(opening: &Opening<'_>) -> Result<Container, OpenError> {
    let source = &opening.source;
    let corrupt = |at: u64, what: &str| OpenError::Corrupt { at, what: what.into() };
    let head = head(source)?;
    let cut = || corrupt(0, "the header is cut");
    let version = head.be32(4).ok_or_else(cut)?;
    if !matches!(version, 2 | 3) {
        return Err(OpenError::Unsupported(format!("QCOW version {version}")));
    }
    let (Some(bits), Some(size), Some(crypt)) = (head.be32(20), head.be64(24), head.be32(32)) else {
        return Err(cut());
    };
    if !(9..=21).contains(&bits) {
        return Err(corrupt(20, &format!("clusters of 2^{bits} bytes")));
    }
    match crypt {
        0 => {}
        1 => return Err(OpenError::Unsupported("encrypted (AES of QCOW)".into())),
        2 => return Err(OpenError::Unsupported("encrypted (LUKS within QCOW2)".into())),
        other => return Err(corrupt(32, &format!("encryption of kind {other}"))),
    }
    let is_3 = version == 3;
    let features = if is_3 { head.be64(72).ok_or_else(cut)? } else { 0 };
    if features & !(DIRTY | CORRUPT | EXTERNAL | COMPRESSION | EXTENDED) != 0 {
        return Err(OpenError::Unsupported(format!("features {features:#x} of a later version")));
    }
    let mut details = vec![("version".to_owned(), version.to_string())];
    if features & DIRTY != 0 {
        details.push(("state".into(), "was open when it was copied".into()));
    }
    if features & CORRUPT != 0 {
        details.push(("state".into(), "marked as corrupt by QEMU".into()));
        opening.gaps.add(BY, "QEMU has marked this image as corrupt", 0);
    }
    let has_type = features & COMPRESSION != 0 && head.be32(100).is_some_and(|len| len > 104);
    let is_zstd = match head.0.get(104).copied().filter(|_| has_type) {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => return Err(OpenError::Unsupported(format!("compression of kind {other}"))),
    };
    let extensions = Extensions::read(source, &head, is_3, bits);
    let snapshots = head.be32(60).unwrap_or(0);
    if snapshots > 0 {
        let what = format!("{snapshots} internal snapshots are not read; the disk is the active state");
        opening.gaps.add(BY, &what, 0);
        details.push(("internal snapshots".into(), snapshots.to_string()));
    }
    let l1 = table(opening, &head, size, bits, features & EXTENDED != 0)?;
    let below = backing(opening, &head, &extensions, &mut details)?;
    let data = if features & EXTERNAL == 0 {
        source.clone()
    } else {
        let name = extensions.data_file.clone().unwrap_or_default();
        details.push(("external data file".into(), Name::new(&name).display()));
        let wanted = Wanted::Named(name);
        let given = opening.files.ask(&wanted);
        given.map_err(|why| OpenError::Missing { wanted: wanted.to_string(), why })?.source
    };
    let features_bits = features;
    let features =
        Features { is_extended: features & EXTENDED != 0, has_zeros: is_3, is_external: features & EXTERNAL != 0 };
    let taken = taken(opening, &head, &l1, bits);
    // Snapshots and bitmaps lead to clusters as well; where QEMU did not close the image, its counts may lag behind.
    if snapshots == 0 && !extensions.has_bitmaps && features_bits & (DIRTY | EXTERNAL) == 0 {
        let counts = (head.be64(48).unwrap_or(0), head.be32(56).unwrap_or(0));
        let mut all = taken.clone();
        // The table may be longer than the disk needs it.
        all.push(Run::new(
            head.be64(40).unwrap_or(0),
            u64::from(head.be32(36).unwrap_or(0).min(MAX_L1)).saturating_mul(8),
        ));
        all.extend(counts::blocks(source, counts.0, counts.1, bits));
        all.retain(|run| run.len > 0);
        let order = if is_3 { head.be32(96).unwrap_or(4) } else { 4 };
        let is_extended = features.is_extended;
        let image = counts::Image { file: source, l1: &l1, bits, is_extended, size, taken: &all, counts, order };
        counts::check(&image, opening.gaps);
        counts::behind(&image, opening.gaps);
    }
    let tables = Arc::new(Tables::new(source.clone(), l1, bits, size, features, taken));
    let disk = Disk::new(tables, data, below, is_zstd);
    Ok(Container { disk: Arc::new(Mapped(disk)), stored_hashes: Vec::new(), details })
}

/// As much of the header as any version has.
fn head(source: &Source) -> Result<Fields, OpenError> {
    let mut head = vec![0; 112];
    let n = source.read_at(0, &mut head)?;
    head.truncate(n);
    Ok(Fields(head))
}

/// The first level of tables, as far as the disk needs it.
fn table(opening: &Opening<'_>, head: &Fields, size: u64, bits: u32, extended: bool) -> Result<Vec<u64>, OpenError> {
    let cut = || OpenError::Corrupt { at: 36, what: "the header is cut".into() };
    let (count, at) = (head.be32(36).ok_or_else(cut)?, head.be64(40).ok_or_else(cut)?);
    // One entry stands for a cluster full of entries.
    let reach = u64::from(bits).saturating_mul(2).saturating_sub(if extended { 4 } else { 3 });
    let needed = size.div_ceil(1_u64.checked_shl(u32::try_from(reach).unwrap_or(63)).unwrap_or(u64::MAX));
    let wanted = needed.min(u64::from(count));
    if needed > u64::from(MAX_L1) {
        return Err(OpenError::Unsupported(format!("a disk of {size} bytes in clusters of 2^{bits}")));
    }
    if needed > u64::from(count) {
        let what = format!("the table of {count} entries stands for a part of the disk's {size} bytes only");
        opening.gaps.add(BY, what, 0);
    }
    let len = usize::try_from(wanted.saturating_mul(8)).unwrap_or(usize::MAX);
    let Some(bytes) = read_exact(&*opening.source, at, len)? else {
        return Err(OpenError::Corrupt { at, what: "the file ends before its first table does".into() });
    };
    Ok(bytes.chunks_exact(8).filter_map(|c| c.try_into().ok().map(u64::from_be_bytes)).collect())
}

/// What stands in the file beside clusters and their tables: the header, the table of the first level, that of the
/// counts of use. A table that two entries lead to is a gap, as one of them must be wrong.
fn taken(opening: &Opening<'_>, head: &Fields, l1: &[u64], bits: u32) -> Vec<Run> {
    let cluster = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
    let mut tables: Vec<u64> = l1.iter().map(|entry| entry & disk::OFFSET).filter(|at| *at != 0).collect();
    tables.sort_unstable();
    let same = |pair: &[u64]| pair.first().filter(|at| pair.get(1) == Some(at)).copied();
    let mut twice: Vec<u64> = tables.windows(2).filter_map(same).collect();
    twice.dedup();
    for at in twice {
        let what =
            "two entries of the first table lead to one table of the second; a part of the disk is not as written";
        opening.gaps.add_at(BY, "image_offset", at, what, cluster);
    }
    let first = Run::new(head.be64(40).unwrap_or(0), (l1.len() as u64).saturating_mul(8));
    let counts = Run::new(head.be64(48).unwrap_or(0), u64::from(head.be32(56).unwrap_or(0)).saturating_mul(cluster));
    vec![Run::new(0, 104), first, counts].into_iter().filter(|run| run.len > 0).collect()
}

fn backing(
    opening: &Opening<'_>,
    head: &Fields,
    extensions: &Extensions,
    details: &mut Vec<(String, String)>,
) -> Result<Below, OpenError> {
    let (at, len) = (head.be64(8).unwrap_or(0), head.be32(16).unwrap_or(0));
    if at == 0 || len == 0 {
        return Ok(Below::Nothing);
    }
    let name = read_exact(&*opening.source, at, len.min(MAX_NAME) as usize)?.unwrap_or_default();
    details.push(("backing file".into(), Name::new(&name).display()));
    Ok(Below::open(opening, &[Wanted::Named(name)], extensions.backing_format.as_deref() == Some(b"raw")))
}

/// What stands behind the header.
#[derive(Default)]
struct Extensions {
    backing_format: Option<Vec<u8>>,
    data_file: Option<Vec<u8>>,
    has_bitmaps: bool,
}
impl Extensions {
    fn read(source: &Source, head: &Fields, is_3: bool, bits: u32) -> Self {
        let mut found = Self::default();
        let mut at = if is_3 { u64::from(head.be32(100).unwrap_or(104)) } else { 72 };
        // All of it stands in the first cluster.
        let end = 1_u64.checked_shl(bits).unwrap_or(0);
        while at < end {
            let Ok(Some(bytes)) = read_exact(&**source, at, 8) else { break };
            let field = Fields(bytes);
            let (Some(kind), Some(len)) = (field.be32(0), field.be32(4)) else { break };
            let data = || read_exact(&**source, at.saturating_add(8), len.min(MAX_NAME) as usize).ok().flatten();
            match kind {
                0 => break,
                0xe279_2aca => found.backing_format = data(),
                0x2385_2875 => found.has_bitmaps = true,
                0x4441_5441 => found.data_file = data(),
                _ => {}
            }
            at = at.saturating_add(8).saturating_add(u64::from(len).next_multiple_of(8));
        }
        found
    }
}
