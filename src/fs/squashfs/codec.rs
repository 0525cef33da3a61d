//! The compressors. Each block is a stream of its own, and its output is capped by the size of a block.
//! Format: RFC 1950 (gzip means zlib here), the LZMA SDK's `.lzma`, `.xz`, LZ4 blocks, LZO1X, RFC 8878.
use crate::image::expand_lzo;
use std::io::Read;

/// KiB of memory for the window of xz and lzma. A block has at most 1 MiB.
const MEMORY: u32 = 16 << 10;
/// Bytes of window for zstd.
const WINDOW: u64 = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Lzma,
    Lzo,
    Xz,
    Lz4,
    Zstd,
}

impl Codec {
    pub(super) fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
    /// The decoded block, at most `cap` bytes. An error where the data contradicts the format or gives more.
    pub(super) fn decode(self, packed: &[u8], cap: usize) -> Result<Vec<u8>, String> {
        let said = |what: &dyn std::fmt::Display| format!("{}: {what}", self.name());
        match self {
            Self::Gzip => read(flate2::read::ZlibDecoder::new(packed), cap),
            Self::Lzma => match lzma_rust2::LzmaReader::new_mem_limit(packed, MEMORY, None) {
                Ok(reader) => read(reader, cap),
                Err(e) => Err(e.to_string()),
            },
            Self::Xz => read(lzma_rust2::XzReader::new_mem_limit(packed, false, MEMORY), cap),
            Self::Zstd => match ruzstd::decoding::StreamingDecoder::new_with_max_window_size(packed, WINDOW) {
                Ok(reader) => read(reader, cap),
                Err(e) => Err(e.to_string()),
            },
            Self::Lz4 => {
                let mut out = vec![0; cap];
                match lz4_flex::block::decompress_into(packed, &mut out) {
                    Ok(n) => {
                        out.truncate(n);
                        Ok(out)
                    }
                    Err(e) => Err(e.to_string()),
                }
            }
            Self::Lzo => expand_lzo(packed, cap).ok_or_else(|| "contradicts its format".to_owned()),
        }
        .map_err(|e| said(&e))
    }
}

fn read(reader: impl Read, cap: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take((cap as u64).saturating_add(1)).read_to_end(&mut out).map_err(|e| e.to_string())?;
    if out.len() > cap {
        return Err("gives more than a block".to_owned());
    }
    Ok(out)
}
