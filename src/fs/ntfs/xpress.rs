//! XPRESS with Huffman codes, one block: the compression of the Windows overlay in chunks of 4, 8
//! and 16 KiB.
//! Format: MS-XCA section 2.1 and 2.2.
use super::huffman::{Bits, Broken, Code, copy};

/// Bytes that hold the lengths of the 512 codewords.
const TABLE: usize = 256;

/// Expands a block into exactly `len` bytes, at most 64 KiB.
pub(super) fn expand(input: &[u8], len: usize) -> Result<Vec<u8>, Broken> {
    let table = input.get(..TABLE).ok_or(Broken)?;
    let lengths: Vec<u8> = table.iter().flat_map(|b| [b & 15, b >> 4]).collect();
    let code = Code::new(&lengths)?;
    let mut bits = Bits::new(input.get(TABLE..).unwrap_or_default());
    let mut out = Vec::with_capacity(len);
    bits.ensure(32)?;
    while out.len() < len {
        let symbol = code.read(&mut bits)?;
        bits.ensure(16)?;
        let Some(found) = symbol.checked_sub(256) else {
            out.push(u8::try_from(symbol).map_err(|_| Broken)?);
            continue;
        };
        let mut count = found & 15;
        if count == 15 {
            count = match bits.byte()? {
                255 => match bits.word()? {
                    0 => bits.double()?,
                    n => n,
                },
                n => n.saturating_add(15),
            };
            if count < 15 {
                return Err(Broken);
            }
        }
        let reach = u32::try_from(found >> 4).unwrap_or(0);
        let distance = bits.take(reach)?.saturating_add(1 << reach);
        bits.ensure(16)?;
        copy(&mut out, distance, count.saturating_add(3), len)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_published_examples() {
        // MS-XCA section 3.2: the alphabet, and 'abc' a hundred times.
        let mut alphabet = vec![0; TABLE];
        alphabet[0x30] = 0x50;
        alphabet[0x31..0x3b].fill(0x55);
        alphabet[0x3b..0x3e].copy_from_slice(&[0x45, 0x44, 0x04]);
        alphabet[0x80] = 0x04;
        alphabet.extend([
            0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11, 0x5b, 0xe9, 0x19, 0x5f, 0xf9, 0xd6, 0x7c, 0xdf, 0x8d, 0x04, 0, 0, 0, 0,
        ]);
        assert_eq!(expand(&alphabet, 26).unwrap(), b"abcdefghijklmnopqrstuvwxyz");
        let mut abc = vec![0; TABLE];
        abc[0x30] = 0x30;
        abc[0x31] = 0x23;
        abc[0x80] = 0x02;
        abc[0x8f] = 0x20;
        abc.extend([0xa8, 0xdc, 0x00, 0x00, 0xff, 0x26, 0x01]);
        assert_eq!(expand(&abc, 300).unwrap(), b"abc".repeat(100));
        assert_eq!(expand(&abc[..258], 300), Err(Broken));
        assert_eq!(expand(&[0xff; 300], 10), Err(Broken));
    }
}
