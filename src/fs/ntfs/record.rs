//! Records of the MFT and the attributes in them; the update sequence that protects records and
//! index blocks.
//! Format: "FILE Record", "Attribute Header" and "Fixup" in the Linux-NTFS project's documentation.
use super::raw::{Reference, u8_at, u16_at, u32_at, u64_at};
use super::table::Chunk;
use std::sync::Arc;

pub(super) const STANDARD_INFORMATION: u32 = 0x10;
pub(super) const ATTRIBUTE_LIST: u32 = 0x20;
pub(super) const FILE_NAME: u32 = 0x30;
pub(super) const SECURITY_DESCRIPTOR: u32 = 0x50;
pub(super) const VOLUME_NAME: u32 = 0x60;
pub(super) const VOLUME_INFORMATION: u32 = 0x70;
pub(super) const DATA: u32 = 0x80;
pub(super) const INDEX_ROOT: u32 = 0x90;
pub(super) const INDEX_ALLOCATION: u32 = 0xa0;
pub(super) const BITMAP: u32 = 0xb0;
pub(super) const REPARSE_POINT: u32 = 0xc0;
pub(super) const EA: u32 = 0xe0;
const END: u32 = u32::MAX;

pub(super) const IN_USE: u16 = 1;
pub(super) const DIRECTORY: u16 = 2;
/// Bytes that one number of the update sequence protects.
pub(super) const STRIDE: usize = 512;

/// Puts back the last two bytes of every 512. The error is the byte (of the record) of the first
/// sector end that does not carry the sequence number.
pub(super) fn fix_up(bytes: &mut [u8]) -> Result<(), usize> {
    let (Some(at), Some(count)) = (u16_at(bytes, 4), u16_at(bytes, 6)) else { return Err(0) };
    let (at, count) = (usize::from(at), usize::from(count));
    let Some(expected) = u16_at(bytes, at) else { return Err(4) };
    if count.saturating_sub(1) != bytes.len() / STRIDE || at % 2 != 0 {
        return Err(6);
    }
    let mut wrong = None;
    for n in 1..count {
        let end = n.saturating_mul(STRIDE).saturating_sub(2);
        let Some(kept) = u16_at(bytes, at.saturating_add(n.saturating_mul(2))) else { return Err(6) };
        let Some(place) = bytes.get_mut(end..end.saturating_add(2)) else { return Err(6) };
        if *place == expected.to_le_bytes() {
            place.copy_from_slice(&kept.to_le_bytes());
        } else {
            wrong = wrong.or(Some(end));
        }
    }
    wrong.map_or(Ok(()), Err)
}

/// One record, its update sequence applied.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) number: u64,
    chunk: Arc<Chunk>,
    /// Byte within the chunk.
    at: usize,
    len: usize,
}

impl Record {
    pub(super) fn new(number: u64, chunk: Arc<Chunk>, at: usize, len: usize) -> Option<Self> {
        chunk.bytes.get(at..at.checked_add(len)?)?;
        Some(Self { number, chunk, at, len })
    }
    pub(super) fn bytes(&self) -> &[u8] {
        self.chunk.bytes.get(self.at..self.at.saturating_add(self.len)).unwrap_or_default()
    }
    /// Byte of the MFT at which the record begins.
    pub(super) fn offset(&self) -> u64 {
        self.chunk.offset.saturating_add(self.at as u64)
    }
    /// Byte of the record where the numbers are kept that belong to the ends of its sectors.
    pub(super) fn fixups(&self) -> usize {
        usize::from(u16_at(self.bytes(), 4).unwrap_or(0)).saturating_add(2)
    }
    pub(super) fn sequence(&self) -> u16 {
        u16_at(self.bytes(), 0x10).unwrap_or(0)
    }
    fn flags(&self) -> u16 {
        u16_at(self.bytes(), 0x16).unwrap_or(0)
    }
    pub(super) fn is_used(&self) -> bool {
        self.flags() & IN_USE != 0
    }
    pub(super) fn is_directory(&self) -> bool {
        self.flags() & DIRECTORY != 0
    }
    /// The record that this one only extends; number 0 if it stands for itself.
    pub(super) fn base(&self) -> Reference {
        Reference::new(u64_at(self.bytes(), 0x20).unwrap_or(0))
    }
    pub(super) fn is_base(&self) -> bool {
        u64_at(self.bytes(), 0x20).unwrap_or(0) == 0
    }
    /// Calls `each` for every attribute; the error is the byte of the record at which their chain
    /// breaks.
    pub(super) fn attributes<'a>(&'a self, mut each: impl FnMut(Attribute<'a>)) -> Result<(), usize> {
        let bytes = self.bytes();
        let used = (u32_at(bytes, 0x18).unwrap_or(0) as usize).min(bytes.len());
        let mut at = usize::from(u16_at(bytes, 0x14).unwrap_or(0));
        loop {
            let kind = u32_at(bytes, at).ok_or(at)?;
            if kind == END {
                return Ok(());
            }
            let len = u32_at(bytes, at.saturating_add(4)).ok_or(at)? as usize;
            let end = at.checked_add(len).filter(|end| *end <= used).ok_or(at)?;
            if len < 24 || !at.is_multiple_of(8) || kind == 0 {
                return Err(at);
            }
            each(Attribute { kind, at, bytes: bytes.get(at..end).ok_or(at)? });
            at = end;
        }
    }
    /// The attribute at a byte that [`Self::attributes`] gave.
    pub(super) fn attribute(&self, at: usize) -> Option<Attribute<'_>> {
        let bytes = self.bytes().get(at..)?;
        let len = u32_at(bytes, 4)? as usize;
        Some(Attribute { kind: u32_at(bytes, 0)?, at, bytes: bytes.get(..len)? })
    }
}

/// An attribute as it lies in its record.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u32,
    /// Byte of the record.
    pub(super) at: usize,
    bytes: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// UTF-16.
    pub(super) fn name(&self) -> &'a [u8] {
        let len = usize::from(u8_at(self.bytes, 9).unwrap_or(0)).saturating_mul(2);
        let from = usize::from(u16_at(self.bytes, 10).unwrap_or(0));
        self.bytes.get(from..from.saturating_add(len)).unwrap_or_default()
    }
    pub(super) fn is_resident(&self) -> bool {
        u8_at(self.bytes, 8) == Some(0)
    }
    pub(super) fn flags(&self) -> u16 {
        u16_at(self.bytes, 12).unwrap_or(0)
    }
    /// A value that stands in the record.
    pub(super) fn value(&self) -> Option<&'a [u8]> {
        let from = self.value_at()?;
        let len = u32_at(self.bytes, 16)? as usize;
        self.bytes.get(from..from.checked_add(len)?)
    }
    /// Byte of the attribute at which that value begins.
    pub(super) fn value_at(&self) -> Option<usize> {
        self.is_resident().then(|| u16_at(self.bytes, 20).map(usize::from)).flatten()
    }
    /// First cluster of the value that this attribute's runs map.
    pub(super) fn lowest(&self) -> u64 {
        if self.is_resident() { 0 } else { u64_at(self.bytes, 0x10).unwrap_or(0) }
    }
    pub(super) fn runs(&self) -> &'a [u8] {
        let from = usize::from(u16_at(self.bytes, 0x20).unwrap_or(u16::MAX));
        self.bytes.get(from..).unwrap_or_default()
    }
    /// Power of two of the clusters that are compressed together.
    pub(super) fn unit(&self) -> u16 {
        if self.is_resident() { 0 } else { u16_at(self.bytes, 0x22).unwrap_or(0) }
    }
    /// Bytes of a value that does not stand in the record.
    pub(super) fn len(&self) -> u64 {
        u64_at(self.bytes, 0x30).unwrap_or(0)
    }
    /// Bytes of it that were ever written; the rest reads as zeros.
    pub(super) fn initialized(&self) -> u64 {
        u64_at(self.bytes, 0x38).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn record() -> Vec<u8> {
        let mut r = vec![0xaa; 1024];
        r[4..8].copy_from_slice(&[0x30, 0, 3, 0]);
        r[0x30..0x36].copy_from_slice(&[7, 0, 1, 2, 3, 4]);
        r[510..512].copy_from_slice(&[7, 0]);
        r[1022..].copy_from_slice(&[7, 0]);
        r
    }

    #[test]
    fn the_update_sequence_is_put_back() {
        let mut r = record();
        assert_eq!(fix_up(&mut r), Ok(()));
        assert_eq!((&r[510..512], &r[1022..]), ([1, 2].as_slice(), [3, 4].as_slice()));
    }
    #[test]
    fn a_sector_of_another_write_is_told() {
        let mut r = record();
        r[1022] = 8;
        assert_eq!(fix_up(&mut r), Err(1022));
        assert_eq!(&r[510..512], [1, 2]);
        for (at, value) in [(4, 0xff), (5, 0xff), (6, 9), (6, 0)] {
            let mut r = record();
            r[at] = value;
            assert!(fix_up(&mut r).is_err());
        }
        assert!(fix_up(&mut []).is_err());
    }
}
