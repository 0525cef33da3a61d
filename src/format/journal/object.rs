//! Objects of a journal file: their headers, and the payload of data objects.
use super::window::Windows;
use crate::format::decompress::Compression;

/// Head of every object: type, flags, six zeros, size.
pub(super) const HEAD: u64 = 16;
pub(super) const DATA: u8 = 1;
pub(super) const ENTRY: u8 = 3;
/// Bytes of an entry before its items.
pub(super) const ENTRY_HEAD: u64 = 64;
/// A payload beyond this is not decoded.
pub(super) const PAYLOAD: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) size: u64,
}
impl Object {
    /// `None`: no object can begin like this.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let [kind, flags, rest @ ..] = head.first_chunk::<16>()?;
        let (zeros, size) = rest.split_first_chunk::<6>()?;
        let size = u64::from_le_bytes(*size.first_chunk()?);
        let least = match *kind {
            DATA => 64,
            2 => 40,
            ENTRY => ENTRY_HEAD,
            4 | 5 => HEAD,
            6 => 24,
            7 => 64,
            _ => return None,
        };
        (*zeros == [0; 6] && flags.count_ones() <= 1 && *flags < 8 && size >= least).then_some(Self {
            kind: *kind,
            flags: *flags,
            size,
        })
    }
}

/// Where a data object's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) flags: u8,
    /// What its object says it hashes to.
    pub(super) hash: u64,
}

impl Payload {
    /// Of the data object that begins at `at`.
    pub(super) fn of(object: Object, at: u64, compact: bool, windows: &mut Windows<'_>) -> Result<Self, String> {
        let head = if compact { 72 } else { 64 };
        let len = object.size.checked_sub(head).ok_or("a data object is too short")?;
        let hash = windows.bytes(at.saturating_add(HEAD), 8)?;
        let hash = hash.first_chunk().map(|b| u64::from_le_bytes(*b)).ok_or("a data object is cut off")?;
        Ok(Self { offset: at.saturating_add(head), len, flags: object.flags, hash })
    }
    pub(super) fn is_packed(&self) -> bool {
        self.flags != 0
    }
    /// `FIELD=value`, decoded.
    pub(super) fn decode(&self, windows: &mut Windows<'_>) -> Result<Vec<u8>, String> {
        if self.len > PAYLOAD {
            return Err(format!("budget: a field of {} bytes", self.len));
        }
        let bytes = windows.bytes(self.offset, self.len)?;
        let compression = match self.flags {
            0 => return Ok(bytes),
            1 => Compression::Xz,
            4 => Compression::Zstd,
            // Eight bytes of length, then one block.
            _ => {
                let (len, block) = bytes.split_first_chunk::<8>().ok_or("a compressed field is cut off")?;
                let len = u64::from_le_bytes(*len);
                let len = usize::try_from(len).ok().filter(|n| *n as u64 <= PAYLOAD).ok_or("budget: a field's size")?;
                return lz4_flex::block::decompress(block, len).map_err(|e| format!("compressed field: {e}"));
            }
        };
        compression.decode(&bytes, PAYLOAD).map_err(|e| e.to_string())
    }
    /// The first bytes, as far as they are stored as they are.
    pub(super) fn head(&self, len: u64, windows: &mut Windows<'_>) -> Result<Vec<u8>, String> {
        windows.bytes(self.offset, len.min(self.len))
    }
}
