//! The compressors of file contents. The output is capped by what the extent says that it holds.
//! Format: RFC 1950, RFC 8878; LZO1X in pieces of a sector each, "Compression" in the Btrfs documentation.
use super::raw::{size, u32_at};
use crate::image::{expand_lzo, expand_zstd};
use std::io::Read;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Zlib,
    Lzo,
    Zstd,
}

impl Codec {
    pub(super) fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Zlib,
            2 => Self::Lzo,
            3 => Self::Zstd,
            _ => return None,
        })
    }
    fn name(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
            Self::Lzo => "lzo",
            Self::Zstd => "zstd",
        }
    }
    /// The decoded extent: `len` bytes, what is missing at its end being zeros.
    pub(super) fn decode(self, packed: &[u8], len: usize, sector: usize) -> Result<Vec<u8>, String> {
        let mut out = match self {
            Self::Zlib => read(flate2::read::ZlibDecoder::new(packed), len),
            Self::Zstd => expand_zstd(packed, len),
            Self::Lzo => lzo_pieces(packed, len, sector).ok_or_else(|| "contradicts its format".to_owned()),
        }
        .map_err(|e| format!("{}: {e}", self.name()))?;
        out.resize(len, 0);
        Ok(out)
    }
}

fn read(reader: impl Read, len: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take(len as u64).read_to_end(&mut out).map_err(|e| e.to_string())?;
    Ok(out)
}

/// A length of all, then for each sector of the content a length and a stream. No length stands across a sector
/// of the packed bytes.
fn lzo_pieces(packed: &[u8], len: usize, sector: usize) -> Option<Vec<u8>> {
    let total = size(u64::from(u32_at(packed, 0)?));
    let packed = packed.get(..total)?;
    let mut out = Vec::new();
    let mut at = 4_usize;
    while out.len() < len && at < total {
        let left = sector.checked_sub(at.checked_rem(sector)?)?;
        if left < 4 {
            at = at.checked_add(left)?;
        }
        let n = size(u64::from(u32_at(packed, at)?));
        let start = at.checked_add(4)?;
        let end = start.checked_add(n)?;
        out.extend(expand_lzo(packed.get(start..end)?, sector)?);
        at = end;
    }
    out.truncate(len);
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lzo_lengths_do_not_stand_across_sectors() {
        let piece = [21_u8, b'a', b'b', b'c', b'd', 0x11, 0, 0];
        let mut packed = vec![0; 4];
        // Sectors of 26 bytes: the second length would begin 2 bytes before the end of one.
        for pad in [0, 0, 0] {
            packed.extend(vec![0; pad]);
            if packed.len() % 26 > 22 {
                packed.resize(packed.len().next_multiple_of(26), 0);
            }
            packed.extend(8_u32.to_le_bytes());
            packed.extend(piece);
        }
        let total = u32::try_from(packed.len()).unwrap();
        packed.splice(..4, total.to_le_bytes());
        assert_eq!(packed.len(), 4 + 12 + 10 - 10 + 12 + 12);
        assert_eq!(lzo_pieces(&packed, 12, 26).unwrap(), b"abcdabcdabcd");
        for cut in 0..packed.len() {
            assert_eq!(lzo_pieces(packed.get(..cut).unwrap(), 12, 26), None);
        }
    }
}
