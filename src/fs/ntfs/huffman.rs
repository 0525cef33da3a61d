//! Canonical prefix codes and the bit stream they are read from, as XPRESS and LZX use both: words of
//! 16 bits, low byte first, each read from its highest bit.
//! Format: MS-XCA 2.1 and 2.2; MS-PATCH 2.
use super::raw::{u8_at, u16_at, u32_at};

/// Input that contradicts its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Bits of the first table; longer codewords are found by counting.
const FAST: u32 = 10;
/// Longest codeword.
const MAX: usize = 16;

pub(super) struct Bits<'a> {
    input: &'a [u8],
    /// Next byte that is not in `buf`.
    at: usize,
    /// The bits to come, from the highest.
    buf: u64,
    left: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, buf: 0, left: 0 }
    }
    /// Makes sure that `n` bits (at most 32) can be seen; behind the end there are zeros.
    pub(super) fn ensure(&mut self, n: u32) -> Result<(), Broken> {
        while self.left < n {
            // A word or two behind the end are looked at, never more.
            if self.at > self.input.len().saturating_add(8) {
                return Err(Broken);
            }
            let word = u16_at(self.input, self.at).or(u8_at(self.input, self.at).map(u16::from)).unwrap_or(0);
            self.buf |= u64::from(word) << 48_u32.saturating_sub(self.left);
            self.at = self.at.saturating_add(2);
            self.left = self.left.saturating_add(16);
        }
        Ok(())
    }
    fn peek(&self, n: u32) -> usize {
        usize::try_from(self.buf >> 32 >> 32_u32.saturating_sub(n)).unwrap_or(0)
    }
    fn skip(&mut self, n: u32) {
        self.buf <<= n;
        self.left = self.left.saturating_sub(n);
    }
    /// The next `n` bits (at most 17).
    pub(super) fn take(&mut self, n: u32) -> Result<usize, Broken> {
        self.ensure(n)?;
        let bits = self.peek(n);
        self.skip(n);
        Ok(bits)
    }
    /// A byte (word, double word) from behind the words that were taken into the buffer.
    pub(super) fn byte(&mut self) -> Result<usize, Broken> {
        let byte = u8_at(self.input, self.at).ok_or(Broken)?;
        self.at = self.at.saturating_add(1);
        Ok(usize::from(byte))
    }
    pub(super) fn word(&mut self) -> Result<usize, Broken> {
        let word = u16_at(self.input, self.at).ok_or(Broken)?;
        self.at = self.at.saturating_add(2);
        Ok(usize::from(word))
    }
    pub(super) fn double(&mut self) -> Result<usize, Broken> {
        let double = u32_at(self.input, self.at).ok_or(Broken)?;
        self.at = self.at.saturating_add(4);
        Ok(double as usize)
    }
    /// Goes to the next border of words; a whole word is left out where it stands at one.
    pub(super) fn align(&mut self) {
        let whole = usize::try_from(self.left / 16).unwrap_or(0);
        let ahead = whole.saturating_mul(2);
        self.at = if self.left.is_multiple_of(16) {
            self.at.saturating_sub(ahead).saturating_add(2)
        } else {
            self.at.saturating_sub(ahead)
        };
        (self.buf, self.left) = (0, 0);
    }
    /// The bytes that follow, outside of the bit stream.
    pub(super) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(n).ok_or(Broken)?;
        let bytes = self.input.get(self.at..end).ok_or(Broken)?;
        self.at = end;
        Ok(bytes)
    }
}

/// A canonical prefix code.
pub(super) struct Code {
    /// For each start of [`FAST`] bits: symbol and length; length 0 where the codeword is longer.
    fast: Vec<(u16, u8)>,
    /// Symbols by length, then by number.
    sorted: Vec<u16>,
    /// Codewords of each length.
    counts: [u32; MAX + 1],
    longest: u32,
}

impl Code {
    /// The code in which each symbol has a codeword of so many bits (0: it does not occur).
    pub(super) fn new(lengths: &[u8]) -> Result<Self, Broken> {
        let mut counts = [0_u32; MAX + 1];
        for len in lengths {
            let count = counts.get_mut(usize::from(*len)).ok_or(Broken)?;
            *count = count.saturating_add(1);
        }
        counts[0] = 0;
        let mut used = 0_u32;
        for (len, count) in (0_u32..).zip(&counts).skip(1) {
            used = used.saturating_add(count << 16_u32.saturating_sub(len));
        }
        if used > 1 << 16 {
            return Err(Broken);
        }
        let mut sorted: Vec<u16> = Vec::with_capacity(lengths.len());
        let mut fast = vec![(0, 0); 1 << FAST];
        let mut place = 0_usize;
        for len in 1..=MAX {
            for (symbol, _) in (0_u16..).zip(lengths).filter(|(_, l)| usize::from(**l) == len) {
                sorted.push(symbol);
                if len <= FAST as usize {
                    let span = 1_usize << (FAST as usize).saturating_sub(len);
                    let slots = fast.get_mut(place..place.saturating_add(span)).ok_or(Broken)?;
                    slots.fill((symbol, u8::try_from(len).unwrap_or(0)));
                    place = place.saturating_add(span);
                }
            }
        }
        let longest = (1..=16).rev().find(|n| counts.get(*n).is_some_and(|c| *c > 0)).unwrap_or(0);
        Ok(Self { fast, sorted, counts, longest: u32::try_from(longest).unwrap_or(0) })
    }
    /// The next symbol.
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Result<usize, Broken> {
        bits.ensure(self.longest.max(1))?;
        if let Some((symbol, len)) = self.fast.get(bits.peek(FAST)).filter(|(_, len)| *len > 0) {
            bits.skip(u32::from(*len));
            return Ok(usize::from(*symbol));
        }
        let ahead = bits.peek(16);
        let (mut first, mut index) = (0_usize, 0_usize);
        for (len, count) in (0_u32..).zip(&self.counts).skip(1) {
            let count = *count as usize;
            let code = ahead >> 16_u32.saturating_sub(len);
            if let Some(nth) = code.checked_sub(first).filter(|n| *n < count) {
                bits.skip(len);
                return self.sorted.get(index.saturating_add(nth)).map(|s| usize::from(*s)).ok_or(Broken);
            }
            index = index.saturating_add(count);
            first = first.saturating_add(count) << 1;
        }
        Err(Broken)
    }
}

/// Appends `len` bytes that stand `distance` before the end, at most up to `limit` bytes in all.
pub(super) fn copy(out: &mut Vec<u8>, distance: usize, len: usize, limit: usize) -> Result<(), Broken> {
    let from = out.len().checked_sub(distance).filter(|_| distance > 0).ok_or(Broken)?;
    if out.len().saturating_add(len) > limit {
        return Err(Broken);
    }
    if distance >= len {
        out.extend_from_within(from..from.saturating_add(len));
        return Ok(());
    }
    for at in from..from.saturating_add(len) {
        let byte = *out.get(at).ok_or(Broken)?;
        out.push(byte);
    }
    Ok(())
}
