//! Decompression of whole blocks of known size, and the checksum that stands beside stored ones.
use libdeflater::{Adler32, DecompressionError, Decompressor};
use std::cell::RefCell;

thread_local! {
    /// Its tables are large; each thread keeps one.
    static DECODER: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// Decodes a zlib stream (RFC 1950) into `out`; how many bytes came out. Its checksum is checked.
pub(super) fn zlib(stream: &[u8], out: &mut [u8]) -> Result<usize, String> {
    DECODER.with_borrow_mut(|d| d.zlib_decompress(stream, out)).map_err(|e| told(&e))
}

/// Decodes a raw deflate stream (RFC 1951), behind which other bytes may stand; how many bytes came out.
pub(super) fn deflate(stream: &[u8], out: &mut [u8]) -> Result<usize, String> {
    DECODER.with_borrow_mut(|d| d.deflate_decompress(stream, out)).map_err(|e| told(&e))
}

fn told(e: &DecompressionError) -> String {
    match *e {
        DecompressionError::BadData => "its compressed data or their checksum are damaged".into(),
        DecompressionError::InsufficientSpace => "it holds more bytes than a block may".into(),
    }
}

/// Adler-32 (RFC 1950).
pub(super) fn adler32(bytes: &[u8]) -> u32 {
    let mut sum = Adler32::new();
    sum.update(bytes);
    sum.sum()
}
