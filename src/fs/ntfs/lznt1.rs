//! LZNT1, the compression of NTFS streams.
//! Format: MS-XCA section 2.5.
use super::raw::u16_at;

/// Bytes that one chunk expands to at most.
const CHUNK: usize = 4096;

/// Expands `input` into exactly `len` bytes; what the input does not reach is zeros, as in NTFS.
/// The error is the byte of the input at which it contradicts the format.
pub(super) fn expand(input: &[u8], len: usize) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(len);
    let mut at = 0_usize;
    while out.len() < len {
        let Some(head) = u16_at(input, at).filter(|h| *h != 0) else { break };
        let from = at.saturating_add(2);
        let size = usize::from(head & 0x0fff).saturating_add(1);
        let chunk = input.get(from..from.saturating_add(size)).ok_or(at)?;
        let start = out.len();
        if head & 0x8000 == 0 {
            out.extend_from_slice(chunk);
        } else {
            expand_chunk(chunk, start, &mut out).ok_or(at)?;
        }
        // A chunk that expands to less ends with zeros.
        out.resize(start.saturating_add(CHUNK), 0);
        at = from.saturating_add(size);
    }
    out.resize(len, 0);
    Ok(out)
}

fn expand_chunk(chunk: &[u8], start: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut at = 0_usize;
    while let Some(flags) = chunk.get(at) {
        at = at.saturating_add(1);
        for bit in 0..8 {
            let Some(byte) = chunk.get(at) else { return Some(()) };
            let done = out.len().checked_sub(start)?;
            if flags >> bit & 1 == 0 {
                if done >= CHUNK {
                    return None;
                }
                out.push(*byte);
                at = at.saturating_add(1);
                continue;
            }
            let token = u16_at(chunk, at)?;
            at = at.saturating_add(2);
            // The further in the chunk, the more bits the distance has; at least four.
            let mut shift = 12_u32;
            let mut reach = done.checked_sub(1)?;
            while reach >= 16 {
                shift = shift.checked_sub(1)?;
                reach >>= 1;
            }
            let distance = usize::from(token >> shift).saturating_add(1);
            let count = usize::from(token & ((1_u16 << shift).wrapping_sub(1))).saturating_add(3);
            if distance > done || done.saturating_add(count) > CHUNK {
                return None;
            }
            for _ in 0..count {
                let byte = *out.get(out.len().checked_sub(distance)?)?;
                out.push(byte);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_published_example() {
        // MS-XCA section 3.3.
        let input = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45,
            0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4,
            0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00,
            0x04, 0x01, 0x18, 0x90, 0x00,
        ];
        let text = b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        assert_eq!(expand(&input, text.len()).unwrap(), text);
    }
    #[test]
    fn damage_is_told() {
        // A distance that reaches before the chunk, a chunk that is cut off, a literal of no chunk.
        assert_eq!(expand(&[0x02, 0xb0, 0x01, 0x00, 0x00], 10), Err(0));
        assert_eq!(expand(&[0x38, 0xb0, 0x88], 10), Err(0));
        assert_eq!(expand(&[], 3), Ok(vec![0; 3]));
        // A run of one byte: 'a', then all of the chunk but it.
        let all = expand(&[0x03, 0xb0, 0x02, b'a', 0xfc, 0x0f], 4096).unwrap();
        assert_eq!(all, [b'a'; 4096]);
        assert_eq!(expand(&[0x03, 0xb0, 0x02, b'a', 0xfd, 0x0f], 4096), Err(0));
    }
}
