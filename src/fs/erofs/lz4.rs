//! LZ4 blocks, decoded until a wanted length is reached. The library decodes whole blocks only, and here what follows
//! the wanted bytes may be padding or another file's.
//! Format: "LZ4 Block Format Description" (lz4 project).

struct Input<'a>(&'a [u8]);
impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
    /// A length of 15 goes on in bytes, as long as they are 255.
    fn length(&mut self, nibble: u8) -> Option<usize> {
        let mut sum = usize::from(nibble);
        if nibble == 15 {
            loop {
                let byte = self.byte()?;
                sum = sum.checked_add(usize::from(byte))?;
                if byte != 255 {
                    break;
                }
            }
        }
        Some(sum)
    }
}

/// The first `wanted` bytes; `None` where the data contradicts the format or gives fewer.
pub(super) fn expand(packed: &[u8], wanted: usize) -> Option<Vec<u8>> {
    let mut input = Input(packed);
    let mut out: Vec<u8> = Vec::with_capacity(wanted.min(packed.len().saturating_mul(256)));
    while out.len() < wanted {
        let token = input.byte()?;
        let literals = input.length(token >> 4)?;
        let room = wanted.saturating_sub(out.len());
        let take = literals.min(room);
        out.extend_from_slice(input.0.get(..take)?);
        if take == room {
            break;
        }
        input.0 = input.0.get(literals..)?;
        let distance = usize::from(input.byte()?) | usize::from(input.byte()?) << 8;
        let len = input.length(token & 15)?.checked_add(4)?;
        let from = out.len().checked_sub(distance).filter(|_| distance > 0)?;
        let len = len.min(wanted.saturating_sub(out.len()));
        if distance >= len {
            out.extend_from_within(from..from.checked_add(len)?);
        } else {
            for at in from..from.checked_add(len)? {
                let byte = *out.get(at)?;
                out.push(byte);
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn agrees_with_the_library_and_stops_where_told() {
        let text = b"crane crane crane lifts, lifts and lifts; crane crane 0123456789".repeat(40);
        let packed = lz4_flex::block::compress(&text);
        for wanted in [0, 1, 5, 63, 64, 65, 1000, text.len()] {
            assert_eq!(expand(&packed, wanted).unwrap(), text.get(..wanted).unwrap());
        }
        assert_eq!(expand(&packed, text.len() + 1), None);
        let padded = [packed.as_slice(), &[0; 100]].concat();
        assert_eq!(expand(&padded, text.len()).unwrap(), text);
        for len in 0..packed.len() {
            assert!(expand(packed.get(..len).unwrap(), text.len()).is_none_or(|t| t == text));
        }
    }
    #[test]
    fn a_match_before_the_beginning_is_none() {
        assert_eq!(expand(&[0x10, b'a', 2, 0, 0], 100), None);
        assert_eq!(expand(&[0x10, b'a', 0, 0, 0], 100), None);
    }
}
