//! Directory records: a name and where its bytes stand.
//! Format: ECMA-119, 9.1 ("Format of a Directory Record").
use super::fields::{both16, both32, short_time};
use crate::base::Time;
use crate::fs::raw::u8_at;

/// Bytes before the name.
const HEAD: usize = 33;
pub(super) const HIDDEN: u8 = 1;
const DIRECTORY: u8 = 2;
pub(super) const ASSOCIATED: u8 = 4;
const MORE: u8 = 0x80;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Byte of the volume where it stands.
    pub(super) at: u64,
    /// Bytes of it.
    pub(super) len: usize,
    /// First block.
    pub(super) extent: u32,
    /// Blocks of the attribute record before the data.
    pub(super) before: u8,
    /// Bytes.
    pub(super) size: u32,
    pub(super) time: Option<Time>,
    pub(super) flags: u8,
    /// Blocks that stand together and blocks between them; 0 where the data is in one piece.
    pub(super) interleaved: (u8, u8),
    pub(super) volume: u16,
    pub(super) name: Vec<u8>,
    /// What follows the name: see `rock.rs`.
    pub(super) system: Vec<u8>,
    /// Place and length say the same in both byte orders.
    pub(super) agrees: bool,
}

impl Record {
    pub(super) fn is_dir(&self) -> bool {
        self.flags & DIRECTORY != 0
    }
    pub(super) fn is_associated(&self) -> bool {
        self.flags & ASSOCIATED != 0
    }
    /// The file goes on in the next record.
    pub(super) fn goes_on(&self) -> bool {
        self.flags & MORE != 0
    }
    /// `.` or `..`.
    pub(super) fn is_special(&self) -> bool {
        matches!(self.name.as_slice(), [0 | 1])
    }
    /// Block of the first byte of the data.
    pub(super) fn first(&self) -> u64 {
        u64::from(self.extent).saturating_add(u64::from(self.before))
    }
}

/// `bytes` begin with the record, which stands at byte `at`; no block behind `most` can be.
pub(super) fn parse(bytes: &[u8], at: u64, most: u32) -> Result<Record, String> {
    fields(bytes, at, most).unwrap_or_else(|| Err("cut off".to_owned()))
}

fn fields(bytes: &[u8], at: u64, most: u32) -> Option<Result<Record, String>> {
    let len = usize::from(u8_at(bytes, 0)?);
    if len <= HEAD {
        return Some(Err(format!("directory record of {len} bytes")));
    }
    let bytes = bytes.get(..len)?;
    let named = usize::from(u8_at(bytes, 32)?);
    let behind = HEAD.checked_add(named)?;
    if named == 0 || behind > len {
        return Some(Err(format!("name of {named} bytes in a directory record of {len}")));
    }
    let (extent, one) = both32(bytes, 2, most)?;
    let (size, two) = both32(bytes, 10, u32::MAX)?;
    let system = bytes.get(behind.saturating_add(usize::from(named.is_multiple_of(2)))..).unwrap_or_default();
    Some(Ok(Record {
        at,
        len,
        extent,
        before: u8_at(bytes, 1)?,
        size,
        time: short_time(bytes, 18),
        flags: u8_at(bytes, 25)?,
        interleaved: (u8_at(bytes, 26)?, u8_at(bytes, 27)?),
        volume: both16(bytes, 28)?,
        name: bytes.get(HEAD..behind)?.to_vec(),
        system: system.to_vec(),
        agrees: one && two,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn borders_of_a_record() {
        let mut bytes = vec![0; 40];
        bytes[0] = 38;
        bytes[2] = 7;
        bytes[9] = 7;
        bytes[32] = 4;
        bytes[33..37].copy_from_slice(b"A.;1");
        let record = parse(&bytes, 100, 50).unwrap();
        assert_eq!((record.extent, record.name.as_slice(), record.system.len()), (7, b"A.;1".as_slice(), 0));
        assert!(parse(&bytes[..37], 100, 50).is_err());
        bytes[32] = 5;
        assert!(parse(&bytes, 100, 50).unwrap().system.is_empty());
        bytes[32] = 6;
        assert!(parse(&bytes, 100, 50).is_err());
        bytes[0] = 33;
        assert!(parse(&bytes, 100, 50).is_err());
        assert!(parse(&[], 0, 0).is_err());
    }
}
