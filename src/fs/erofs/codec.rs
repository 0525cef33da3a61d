//! The compressors of EROFS; each cluster is a stream of its own, of which only as much is decoded as a file needs.
//! Format: LZ4 blocks; MicroLZMA (XZ Utils), LZMA whose first byte holds the properties; RFC 1951; RFC 8878.
use super::lz4;
use crate::image::expand_zstd;
use std::io::Read;

/// Bytes of the dictionary of MicroLZMA, at most (as the kernel).
const DICTIONARY: u32 = 8 << 20;

/// What the superblock says of the compressors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    pub(super) dictionary: u32,
    /// A bit for each compressor that is in use.
    pub(super) used: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Lz4,
    Lzma,
    Deflate,
    Zstd,
}

impl Codec {
    pub(super) fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Lz4,
            1 => Self::Lzma,
            2 => Self::Deflate,
            3 => Self::Zstd,
            _ => return None,
        })
    }
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
    /// The first `wanted` bytes. `padded` says that zeros stand before the data, else it begins at once.
    pub(super) fn decode(self, stored: &[u8], wanted: usize, padded: bool, set: Settings) -> Result<Vec<u8>, String> {
        let begins = if padded { stored.iter().position(|b| *b != 0) } else { Some(0) };
        let packed = begins.and_then(|n| stored.get(n..)).ok_or("a compressed cluster of zeros")?;
        match self {
            Self::Lz4 => lz4::expand(packed, wanted).ok_or_else(|| "contradicts its format".to_owned()),
            Self::Lzma => lzma(packed, wanted, set),
            Self::Deflate => read(flate2::read::DeflateDecoder::new(packed), wanted),
            Self::Zstd => expand_zstd(packed, wanted),
        }
        .map_err(|e| format!("{}: {e}", self.name()))
    }
}

fn lzma(packed: &[u8], wanted: usize, set: Settings) -> Result<Vec<u8>, String> {
    let (first, rest) = packed.split_first().ok_or("no data")?;
    // A stream begins with a zero, in whose place the properties stand, inverted.
    let stream = [0_u8].as_slice().chain(rest);
    let dictionary = if set.dictionary == 0 { DICTIONARY } else { set.dictionary.clamp(4096, DICTIONARY) };
    let reader = lzma_rust2::LzmaReader::new_with_props(stream, wanted as u64, !first, dictionary, None);
    let mut reader = reader.map_err(|e| e.to_string())?;
    // Of a cluster that several files share, only a part is wanted.
    reader.set_relaxed_end_condition(true);
    read(reader, wanted)
}

fn read(reader: impl Read, wanted: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take(wanted as u64).read_to_end(&mut out).map_err(|e| e.to_string())?;
    if out.len() < wanted {
        return Err(format!("gives {} bytes of {wanted}", out.len()));
    }
    Ok(out)
}
