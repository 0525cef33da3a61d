//! LZO1X, decoding only. No crate with a fitting licence decodes it in safe Rust.
//! Format: the Linux kernel's description of the stream (Documentation/staging/lzo.rst).

struct Input<'a>(&'a [u8]);
impl Input<'_> {
    fn byte(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }
    fn pair(&mut self) -> Option<usize> {
        Some(self.byte()? | self.byte()? << 8)
    }
    /// A length whose bits in the instruction are zero: each zero byte counts 255, the byte after them itself.
    fn length(&mut self, bits: usize, most: usize) -> Option<usize> {
        if bits != 0 {
            return Some(bits);
        }
        let mut sum = most;
        loop {
            match self.byte()? {
                0 => sum = sum.checked_add(255)?,
                n => return sum.checked_add(n),
            }
        }
    }
    fn literals(&mut self, len: usize, out: &mut Vec<u8>, cap: usize) -> Option<()> {
        let (these, rest) = self.0.split_at_checked(len)?;
        if out.len().checked_add(len)? > cap {
            return None;
        }
        out.extend_from_slice(these);
        self.0 = rest;
        Some(())
    }
}

fn copy(out: &mut Vec<u8>, distance: usize, len: usize, cap: usize) -> Option<()> {
    let from = out.len().checked_sub(distance)?;
    if distance == 0 || out.len().checked_add(len)? > cap {
        return None;
    }
    for at in from..from.checked_add(len)? {
        let byte = *out.get(at)?;
        out.push(byte);
    }
    Some(())
}

/// The decoded bytes, at most `cap`; `None` where the stream contradicts the format or gives more.
pub(crate) fn expand(packed: &[u8], cap: usize) -> Option<Vec<u8>> {
    let mut input = Input(packed);
    let mut out = Vec::new();
    // Literals that the last instruction copied: it decides what a low instruction means; 4 stands for more.
    let mut before = 0_usize;
    if let Some(n) = packed.first().map(|b| usize::from(*b)).and_then(|b| b.checked_sub(17)).filter(|n| *n > 0) {
        input.byte()?;
        input.literals(n, &mut out, cap)?;
        before = n.min(4);
    }
    loop {
        let code = input.byte()?;
        let (distance, len, after) = match code {
            0..=15 if before == 0 => {
                let n = input.length(code, 15)?.checked_add(3)?;
                input.literals(n, &mut out, cap)?;
                before = 4;
                continue;
            }
            0..=15 => {
                let distance = (input.byte()? << 2) + (code >> 2);
                if before == 4 { (distance + 2049, 3, code & 3) } else { (distance + 1, 2, code & 3) }
            }
            16..=31 => {
                let len = input.length(code & 7, 7)?.checked_add(2)?;
                let pair = input.pair()?;
                let distance = ((code & 8) << 11) + (pair >> 2);
                if distance == 0 {
                    return (len == 3).then_some(out);
                }
                (distance + 16384, len, pair & 3)
            }
            32..=63 => {
                let len = input.length(code & 31, 31)?.checked_add(2)?;
                let pair = input.pair()?;
                ((pair >> 2) + 1, len, pair & 3)
            }
            _ => ((input.byte()? << 3) + (code >> 2 & 7) + 1, (code >> 5) + 1, code & 3),
        };
        copy(&mut out, distance, len, cap)?;
        input.literals(after, &mut out, cap)?;
        before = after;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn literals_matches_and_the_end() {
        // Four literals, a match of four bytes at distance 4 with one literal behind it, the end.
        let packed = [21, b'a', b'b', b'c', b'd', 0x40 | 0x20 | 3 << 2 | 1, 0, b'!', 0x11, 0, 0];
        assert_eq!(expand(&packed, 100).unwrap(), b"abcdabcd!");
        assert_eq!(expand(&packed, 9).unwrap(), b"abcdabcd!");
        assert_eq!(expand(&packed, 8), None);
        for len in 0..packed.len() {
            assert_eq!(expand(packed.get(..len).unwrap(), 100), None);
        }
    }
    #[test]
    fn a_match_before_the_beginning_is_none() {
        assert_eq!(expand(&[21, b'a', b'b', b'c', b'd', 0x60, 9, 0x11, 0, 0], 100), None);
        assert_eq!(expand(&[0; 4096], 100), None);
    }
}
