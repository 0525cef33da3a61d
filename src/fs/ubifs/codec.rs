//! The compressors of a file's blocks, each a stream of its own of at most 4096 bytes.
//! Format: LZO1X, RFC 1951 (without a header), RFC 8878.
use crate::image::{expand_lzo, expand_zstd};
use std::io::Read;

pub(super) fn name(number: u16) -> &'static str {
    match number {
        0 => "none",
        1 => "lzo",
        2 => "zlib",
        3 => "zstd",
        _ => "unknown",
    }
}

/// The decoded block of exactly `len` bytes.
pub(super) fn decode(number: u16, packed: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let out = match number {
        0 => packed.get(..len).map(<[u8]>::to_vec).ok_or_else(|| "is shorter than it says".to_owned()),
        1 => expand_lzo(packed, len).ok_or_else(|| "contradicts its format".to_owned()),
        2 => read(flate2::read::DeflateDecoder::new(packed), len),
        3 => expand_zstd(packed, len.saturating_add(1)),
        _ => Err(format!("compressor {number} is not known")),
    };
    let name = name(number);
    let out = out.map_err(|e| format!("{name}: {e}"))?;
    if out.len() == len { Ok(out) } else { Err(format!("{name}: {} bytes instead of {len}", out.len())) }
}

fn read(reader: impl Read, cap: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take((cap as u64).saturating_add(1)).read_to_end(&mut out).map_err(|e| e.to_string())?;
    Ok(out)
}
