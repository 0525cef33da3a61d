//! What stands at the start of every physical erase block: how often it was erased, and which logical block it holds.
//! Format: the kernel's `drivers/mtd/ubi/ubi-media.h`; big-endian, each with a CRC-32 without the final inversion.
use crate::image::{ReadError, Source, read_exact};

/// Bytes of either header.
pub(super) const HEADER: usize = 64;
/// Of them the CRC counts those before its own field.
const COUNTED: usize = 60;
/// The volume that holds the volume table; fastmap has the two behind it.
pub(super) const LAYOUT: u32 = 0x7fff_efff;

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}

/// CRC-32 as UBI and UBIFS take it: the usual one, not inverted at the end.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    !crc32fast::hash(bytes)
}

fn holds(bytes: &[u8], magic: &[u8]) -> bool {
    bytes.get(..4) == Some(magic) && bytes.get(..COUNTED).map(crc) == be32(bytes, COUNTED) && bytes.get(4) == Some(&1)
}

/// The header that counts erasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Erase {
    /// Where in the block the other header and the data begin.
    pub(super) vid: u32,
    pub(super) data: u32,
    /// The same in all blocks that were written as one image; 0 where its writer knew none.
    pub(super) image: u32,
}
impl Erase {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if !holds(bytes, b"UBI#") {
            return None;
        }
        let this = Self { vid: be32(bytes, 16)?, data: be32(bytes, 20)?, image: be32(bytes, 24)? };
        let header = u32::try_from(HEADER).ok()?;
        let fits = this.vid >= header && this.vid.checked_add(header)? <= this.data && this.data <= 1 << 20;
        fits.then_some(this)
    }
    pub(super) fn at(source: &Source, offset: u64) -> Result<Option<Self>, ReadError> {
        Ok(read_exact(&**source, offset, HEADER)?.and_then(|bytes| Self::parse(&bytes)))
    }
}

/// The header that says which logical block a physical one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) is_static: bool,
    /// It was written as a copy: if its data does not fit their CRC, the original counts.
    pub(super) is_copy: bool,
    pub(super) volume: u32,
    pub(super) number: u32,
    /// Bytes that `data_crc` covers.
    pub(super) data_size: u32,
    /// Logical blocks of a static volume.
    pub(super) used: u32,
    pub(super) pad: u32,
    pub(super) data_crc: u32,
    /// Counts up with every header that is written.
    pub(super) sequence: u64,
}
impl Block {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if !holds(bytes, b"UBI!") {
            return None;
        }
        Some(Self {
            is_static: match bytes.get(5)? {
                1 => false,
                2 => true,
                _ => return None,
            },
            is_copy: *bytes.get(6)? == 1,
            volume: be32(bytes, 8)?,
            number: be32(bytes, 12)?,
            data_size: be32(bytes, 20)?,
            used: be32(bytes, 24)?,
            pad: be32(bytes, 28)?,
            data_crc: be32(bytes, 32)?,
            sequence: be64(bytes, 40)?,
        })
    }
}
