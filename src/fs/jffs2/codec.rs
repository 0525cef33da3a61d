//! The compressors of a node's data. Format: the kernel's `fs/jffs2/compr_*.c` (rtime, rubin), RFC 1950, LZO1X, and
//! the raw LZMA streams of OpenWrt's kernels, whose parameters are fixed.
use crate::image::expand_lzo;
use std::io::Read;

/// Decoded bytes of one node; pages are smaller.
pub(super) const MAX: usize = 1 << 20;
/// Bytes of OpenWrt's window.
const LZMA_WINDOW: u32 = 0x2000;

pub(super) const NONE: u8 = 0;
pub(super) const ZERO: u8 = 1;
pub(super) const COPY: u8 = 4;

/// The decoded data, exactly `len` bytes.
pub(super) fn decode(number: u8, packed: &[u8], len: usize) -> Result<Vec<u8>, String> {
    if len > MAX {
        return Err(format!("{len} bytes of one node"));
    }
    let (name, out) = match number {
        NONE | COPY => {
            ("none", packed.get(..len).map(<[u8]>::to_vec).ok_or_else(|| "is shorter than it says".to_owned()))
        }
        ZERO => ("zero", Ok(vec![0; len])),
        2 => ("rtime", rtime(packed, len).ok_or_else(contradicts)),
        3 => ("rubinmips", Ok(rubin(packed, 1043, MIPS, len))),
        5 => ("dynrubin", dynrubin(packed, len).ok_or_else(contradicts)),
        6 => ("zlib", zlib(packed, len)),
        7 => ("lzo", expand_lzo(packed, len).ok_or_else(contradicts)),
        8 => ("lzma", lzma(packed, len)),
        _ => return Err(format!("compressor {number} is not known")),
    };
    match out {
        Ok(out) if out.len() == len => Ok(out),
        Ok(out) => Err(format!("{name}: {} bytes instead of {len}", out.len())),
        Err(e) => Err(format!("{name}: {e}")),
    }
}
fn contradicts() -> String {
    "contradicts its format".to_owned()
}

fn zlib(packed: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(len);
    let read = flate2::read::ZlibDecoder::new(packed).take(len as u64).read_to_end(&mut out);
    match read {
        // The node's own checksum was checked; some writers leave zlib's out.
        Err(e) if out.len() < len => Err(e.to_string()),
        _ => Ok(out),
    }
}

fn lzma(packed: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let reader = lzma_rust2::LzmaReader::new(packed, len as u64, 0, 0, 0, LZMA_WINDOW, None);
    let mut out = Vec::with_capacity(len);
    reader.map_err(|e| e.to_string())?.take(len as u64).read_to_end(&mut out).map_err(|e| e.to_string())?;
    Ok(out)
}

/// Each byte, and how many follow as they followed that byte's last appearance.
fn rtime(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut positions = [0_usize; 256];
    let mut out = Vec::with_capacity(len);
    let mut input = packed.chunks_exact(2);
    while out.len() < len {
        let &[value, repeat] = input.next()? else { return None };
        out.push(value);
        let place = positions.get_mut(usize::from(value))?;
        let from = std::mem::replace(place, out.len());
        for n in 0..usize::from(repeat) {
            if out.len() >= len {
                return None;
            }
            out.push(*out.get(from.checked_add(n)?)?);
        }
    }
    Some(out)
}

/// How probable a one is in each bit of a byte, of 1043, as measured on MIPS programs.
const MIPS: [u64; 8] = [277, 249, 290, 267, 229, 341, 212, 241];

fn dynrubin(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let (bits, rest) = packed.split_first_chunk::<8>()?;
    Some(rubin(rest, 256, bits.map(u64::from), len))
}

const UPPER: u64 = 1 << 15;

/// Arithmetic coding with a fixed probability for each bit of a byte. Behind the input's end are zeros.
fn rubin(packed: &[u8], divider: u64, bits: [u64; 8], len: usize) -> Vec<u8> {
    let mut next = 0_usize;
    let mut pull = || {
        let byte = packed.get(next / 8).copied().unwrap_or(0);
        let bit = byte >> (7 - next % 8) & 1;
        next = next.saturating_add(1);
        u64::from(bit)
    };
    let (mut low, mut width) = (0_u64, 2 * UPPER);
    let mut code = (0..16).fold(0_u64, |code, _| code << 1 | pull());
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let mut byte = 0_u8;
        for (n, ones) in bits.iter().enumerate() {
            while low >= UPPER || low + width <= UPPER {
                low = (low & !UPPER) << 1;
                width <<= 1;
                code = (code & !UPPER) << 1 | pull();
            }
            let zeros = divider.saturating_sub(*ones);
            let part = (zeros * width).checked_div(zeros + ones).unwrap_or(0).clamp(1, width.saturating_sub(1).max(1));
            if code >= low + part {
                byte |= 1 << n;
                low += part;
                width = width.saturating_sub(part).max(1);
            } else {
                width = part;
            }
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// The coder that belongs to [`rubin`].
    fn encode(data: &[u8], divider: u64, bits: [u64; 8]) -> Vec<u8> {
        let (mut low, mut width) = (0_u64, 2 * UPPER);
        let mut out: Vec<bool> = Vec::new();
        for byte in data {
            for (n, ones) in bits.iter().enumerate() {
                while low >= UPPER || low + width <= UPPER {
                    out.push(low & UPPER != 0);
                    low = (low & !UPPER) << 1;
                    width <<= 1;
                }
                let zeros = divider - ones;
                let part = (zeros * width / (zeros + ones)).clamp(1, width - 1);
                if byte >> n & 1 == 1 {
                    low += part;
                    width -= part;
                } else {
                    width = part;
                }
            }
        }
        for _ in 0..16 {
            out.push(low & UPPER != 0);
            low = (low & !UPPER) << 1;
        }
        let pack = |b: &[bool]| b.iter().enumerate().fold(0_u8, |sum, (n, bit)| sum | u8::from(*bit) << (7 - n));
        out.chunks(8).map(pack).collect()
    }

    #[test]
    fn rubin_gives_back_what_its_coder_took() {
        let data: Vec<u8> =
            (0..3000_u32).map(|n| b"addiu $sp,-24\n"[n as usize * 7 % 14] ^ u8::try_from(n % 3).unwrap()).collect();
        let packed = encode(&data, 1043, MIPS);
        assert_eq!(decode(3, &packed, data.len()).unwrap(), data);
        let bits = [150, 90, 100, 200, 30, 201, 7, 1];
        let packed = [&bits.map(|b| u8::try_from(b).unwrap())[..], &encode(&data, 256, bits)].concat();
        assert_eq!(decode(5, &packed, data.len()).unwrap(), data);
        assert!(decode(5, &packed[..7], 10).is_err());
        // Probabilities that leave nothing.
        assert_eq!(decode(5, &[0; 9], 100).unwrap().len(), 100);
        assert_eq!(decode(5, &[255; 9], 100).unwrap().len(), 100);
    }
    #[test]
    fn rtime_repeats_what_followed() {
        // "ab", then "a" and three bytes as they followed the last "a".
        assert_eq!(decode(2, &[b'a', 0, b'b', 0, b'a', 3], 6).unwrap(), b"ababab");
        assert!(decode(2, &[b'a', 0, b'b'], 3).is_err());
        assert!(decode(2, &[b'a', 200], 20).is_err());
    }
    #[test]
    fn unknown_and_impossible_are_told() {
        assert_eq!(decode(77, b"", 1).unwrap_err(), "compressor 77 is not known");
        assert!(decode(0, b"abc", 4).is_err() && decode(6, b"abc", 4).is_err() && decode(8, b"abc", 400).is_err());
        assert!(decode(1, b"", MAX + 1).is_err());
    }
}
