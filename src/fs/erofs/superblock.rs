//! The superblock, with the settings of the compressors and the table of further devices behind it.
//! Format: the Linux kernel's Documentation/filesystems/erofs.rst, and the on-disk structures it describes.
use super::codec::Settings;
use crate::fs::FsError;
use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};
use crate::image::{Source, read_exact};

/// Byte of the volume.
pub(super) const AT: u64 = 1024;
const LEN: usize = 128;
const MAGIC: u32 = 0xe0f5_e1e2;
/// Powers of two of a block's size.
const BLOCKS: std::ops::RangeInclusive<u8> = 9..=16;
/// Bytes of an entry of the table of devices.
const SLOT: u64 = 128;
const COMPAT: &[(u32, &str)] = &[
    (1, "checksum"),
    (2, "mtime"),
    (4, "xattr-filter"),
    (8, "shared-xattrs-in-metabox"),
    (16, "plain-xattr-prefixes"),
];
/// Features whose bits have two names share one: big clusters and compressor settings, and so on.
const INCOMPAT: &[(u32, &str)] = &[
    (0x01, "zero-padding"),
    (0x02, "compressor-settings"),
    (0x04, "chunked-files"),
    (0x08, "device-table-or-second-head"),
    (0x10, "inline-tails"),
    (0x20, "fragments-or-dedupe"),
    (0x40, "xattr-prefixes"),
    (0x80, "48bit"),
    (0x100, "metabox"),
];
/// What this reader reads of them.
const READ: u32 = 0x7f;
const ZERO_PADDING: u32 = 1;
const SETTINGS: u32 = 2;
const DEVICES: u32 = 8;
const FRAGMENTS: u32 = 0x20;
const PREFIXES: u32 = 0x40;
const PLAIN_PREFIXES: u32 = 16;

/// Another device whose blocks follow those of this one.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) tag: String,
    pub(super) blocks: u64,
    /// First block in the one count of all devices; 0 where it has none.
    pub(super) first: u64,
}

pub(super) struct Superblock {
    /// Power of two of a block's size.
    pub(super) log: u8,
    /// Blocks of this device.
    pub(super) blocks: u64,
    pub(super) root: u64,
    /// Seconds since 1970 and nanoseconds, for inodes without a time of their own.
    pub(super) built: (u64, u32),
    /// Byte of the volume.
    pub(super) meta: u64,
    pub(super) xattrs: u64,
    pub(super) uuid: [u8; 16],
    pub(super) label: String,
    /// Inode that holds the ends of many files.
    pub(super) packed: Option<u64>,
    /// Number of long prefixes of attribute names, byte at which they begin, and whether in the packed inode.
    pub(super) prefixes: Option<(u8, u64, bool)>,
    pub(super) padded: bool,
    pub(super) settings: Settings,
    pub(super) devices: Vec<Device>,
    pub(super) features: Vec<String>,
    /// What is wrong with it: byte of the volume, and what.
    pub(super) faults: Vec<(u64, String)>,
}
impl Superblock {
    pub(super) fn block(&self) -> u64 {
        1 << self.log
    }
    /// Bytes of this device.
    pub(super) fn end(&self) -> u64 {
        self.blocks << self.log
    }
}

fn first(source: &Source) -> Option<Vec<u8>> {
    let bytes = read_exact(&**source, AT, LEN).ok().flatten()?;
    (u32_at(&bytes, 0) == Some(MAGIC) && BLOCKS.contains(&u8_at(&bytes, 12)?)).then_some(bytes)
}
pub(super) fn probe(source: &Source) -> bool {
    first(source).is_some()
}
/// Bytes of the file system, by its own word.
pub(super) fn length(source: &Source) -> Option<u64> {
    let bytes = first(source)?;
    Some(u64::from(u32_at(&bytes, 36)?) << u8_at(&bytes, 12)?)
}

pub(super) fn read(source: &Source) -> Result<Superblock, FsError> {
    let bytes = read_exact(&**source, AT, LEN)?.ok_or_else(|| corrupt(AT, "the volume ends within the superblock"))?;
    if u32_at(&bytes, 0) != Some(MAGIC) {
        return Err(corrupt(AT, "no superblock of EROFS"));
    }
    let log = u8_at(&bytes, 12).unwrap_or(0);
    if !BLOCKS.contains(&log) {
        return Err(corrupt(AT.saturating_add(12), format!("blocks of 2^{log} bytes")));
    }
    let incompat = u32_at(&bytes, 80).unwrap_or(0);
    let unknown = incompat & !READ;
    if unknown != 0 {
        let named: Vec<&str> = INCOMPAT.iter().filter(|(bit, _)| unknown & bit != 0).map(|(_, name)| *name).collect();
        return Err(FsError::Unsupported(format!("EROFS feature {} ({unknown:#x})", named.join(", "))));
    }
    if u8_at(&bytes, 90) != Some(0) {
        return Err(FsError::Unsupported("EROFS with directory blocks of another size".to_owned()));
    }
    let mut out = parse(&bytes, log, incompat).ok_or_else(|| corrupt(AT, "superblock cut off"))?;
    checksum(source, &bytes, &mut out);
    let behind = AT.saturating_add(LEN as u64).saturating_add(u64::from(u8_at(&bytes, 13).unwrap_or(0)) << 4);
    if incompat & SETTINGS != 0 {
        out.settings = settings(source, behind, u16_at(&bytes, 84).unwrap_or(0), &mut out.faults);
    }
    let count = u16_at(&bytes, 86).unwrap_or(0);
    if incompat & DEVICES != 0 && count > 0 {
        devices(source, u64::from(u16_at(&bytes, 88).unwrap_or(0)).saturating_mul(SLOT), count, &mut out);
    }
    Ok(out)
}

fn parse(bytes: &[u8], log: u8, incompat: u32) -> Option<Superblock> {
    let compat = u32_at(bytes, 8)?;
    let names = |table: &[(u32, &str)], bits: u32| {
        table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect::<Vec<_>>()
    };
    let label: Vec<u8> = bytes.get(64..80)?.iter().copied().take_while(|b| *b != 0).collect();
    let packed = u64_at(bytes, 96).filter(|n| *n != 0 && incompat & FRAGMENTS != 0);
    let start = u64::from(u32_at(bytes, 92)?) << 2;
    let count = u8_at(bytes, 91)?;
    let within = packed.is_some() && compat & PLAIN_PREFIXES == 0;
    let mut features = [names(COMPAT, compat), names(INCOMPAT, incompat)].concat();
    features.sort();
    Some(Superblock {
        log,
        blocks: u32_at(bytes, 36)?.into(),
        root: u16_at(bytes, 14)?.into(),
        built: (u64_at(bytes, 24)?, u32_at(bytes, 32)?),
        meta: u64::from(u32_at(bytes, 40)?) << log,
        xattrs: u64::from(u32_at(bytes, 44)?) << log,
        uuid: *bytes.get(48..)?.first_chunk()?,
        label: String::from_utf8_lossy(&label).into_owned(),
        packed,
        prefixes: (incompat & PREFIXES != 0 && count > 0).then_some((count, start, within)),
        padded: incompat & ZERO_PADDING != 0,
        settings: Settings::default(),
        devices: Vec::new(),
        features,
        faults: Vec::new(),
    })
}

/// The sum covers the rest of the superblock's block, with its own field zero.
fn checksum(source: &Source, bytes: &[u8], out: &mut Superblock) {
    if u32_at(bytes, 8).unwrap_or(0) & 1 == 0 {
        return;
    }
    let stated = u32_at(bytes, 4).unwrap_or(0);
    let len = if out.block() > AT { out.block().saturating_sub(AT) } else { out.block() };
    let Ok(Some(mut all)) = read_exact(&**source, AT, size(len)) else {
        out.faults.push((AT, "the volume ends within the superblock's block".to_owned()));
        return;
    };
    if let Some(own) = all.get_mut(4..8) {
        own.fill(0);
    }
    // The kernel starts with all bits set and does not invert the result.
    let sum = !crc32c::crc32c(&all);
    if sum != stated {
        out.faults.push((
            AT.saturating_add(4),
            format!("checksum of the superblock is {sum:#010x}, {stated:#010x} is stated"),
        ));
    }
}

/// One record for each compressor that is in use, in the order of their numbers.
fn settings(source: &Source, from: u64, used: u16, faults: &mut Vec<(u64, String)>) -> Settings {
    let mut out = Settings::default();
    let mut at = from;
    for number in 0..16 {
        if used & (1 << number) == 0 {
            continue;
        }
        let head = read_exact(&**source, at, 2).ok().flatten().and_then(|b| u16_at(&b, 0));
        let record = head.and_then(|n| read_exact(&**source, at.saturating_add(2), usize::from(n)).ok().flatten());
        let Some(record) = record else {
            faults.push((at, "settings of the compressors cannot be read".to_owned()));
            break;
        };
        if number == 1 {
            out.dictionary = u32_at(&record, 0).unwrap_or(0);
        }
        at = at.saturating_add(2).saturating_add(record.len() as u64);
    }
    out.used = used;
    out
}

fn devices(source: &Source, from: u64, count: u16, out: &mut Superblock) {
    for number in 0..u64::from(count) {
        let at = from.saturating_add(number.saturating_mul(SLOT));
        let Ok(Some(slot)) = read_exact(&**source, at, size(SLOT)) else {
            out.faults.push((at, "the table of devices cannot be read".to_owned()));
            return;
        };
        let tag: Vec<u8> = slot.get(..64).unwrap_or_default().iter().copied().take_while(|b| *b != 0).collect();
        let tag = String::from_utf8_lossy(&tag).into_owned();
        let (blocks, first) = (u32_at(&slot, 64).unwrap_or(0), u32_at(&slot, 68).unwrap_or(0));
        out.faults.push((
            at,
            format!("files on a further device (\"{}\", {blocks} blocks) are not here", tag.escape_default()),
        ));
        out.devices.push(Device { tag, blocks: blocks.into(), first: first.into() });
    }
}
