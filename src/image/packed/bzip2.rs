//! bzip2, block by block: each stands for itself, at any bit, so that decoding can begin at each of them. A block is
//! given a stream of its own (header and trailer around its bits) and decoded by the library whole.
//! Format: as libbz2 writes it; blocks and the end are found by their 48 bits of magic.
use super::codec::{Step, Steps};

const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
const MAGIC: u64 = (1 << 48) - 1;
/// Bits of the magic, and of the checksum behind it.
const HEAD: usize = 48 + 32;
/// Packed bytes of one block: 900,000 bytes that do not compress take a little more than they are.
const MAX_PACKED: usize = 2 << 20;
/// Unpacked bytes of one block: runs of equal bytes come before everything else, and are up to 51 times longer.
const MAX_PLAIN: usize = 64 << 20;

/// A stream on its way.
#[derive(Clone, Default)]
pub(super) struct Bzip2 {
    /// The digit behind `BZh`; 0 before the header.
    level: u8,
    /// Input from the byte on in which the block's first bit lies.
    input: Vec<u8>,
    /// Bit of `input` at which the block begins.
    from: usize,
    /// Bits of `input` in which the next magic was looked for.
    looked: usize,
    /// Checksum of all blocks so far.
    sum: u32,
    out: Vec<u8>,
    given: usize,
}

/// Up to 64 bits from a bit on, in the order of the stream.
fn bits(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    let end = at.checked_add(count)?;
    if end > bytes.len().checked_mul(8)? {
        return None;
    }
    (at..end).try_fold(0_u64, |n, bit| {
        let byte = bytes.get(bit / 8)?;
        Some(n << 1 | u64::from(byte >> (7_usize.saturating_sub(bit % 8)) & 1))
    })
}

/// The first magic at a bit of `from` or behind it: which, and at which bit. `Err` is the bit from which to look
/// when there is more.
fn find(bytes: &[u8], from: usize) -> Result<(u64, usize), usize> {
    let Some(mut window) = bits(bytes, from, 48) else { return Err(from) };
    let mut at = from;
    let mut next = from.saturating_add(48);
    loop {
        if window == BLOCK || window == END {
            return Ok((window, at));
        }
        let Some(byte) = bytes.get(next / 8) else { return Err(at) };
        window = (window << 1 | u64::from(byte >> (7_usize.saturating_sub(next % 8)) & 1)) & MAGIC;
        next = next.saturating_add(1);
        at = at.saturating_add(1);
    }
}

/// Bits one behind another.
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}
impl Bits {
    fn push(&mut self, value: u64, count: usize) {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let one = u8::from(value >> bit & 1 == 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= one << (7_usize.saturating_sub(self.used % 8));
            }
            self.used = self.used.saturating_add(1);
        }
    }
}

impl Bzip2 {
    /// The block between two bits as a stream of its own.
    fn alone(&self, end: usize, sum: u32) -> Vec<u8> {
        let mut out = Bits { bytes: Vec::with_capacity(self.input.len().saturating_add(32)), used: 32 };
        out.bytes.extend([b'B', b'Z', b'h', self.level]);
        let mut at = self.from;
        // Whole bytes first, shifted into place; the header ends at a byte's border.
        let shift = at % 8;
        while at.saturating_add(8) <= end {
            let high = self.input.get(at / 8).copied().unwrap_or(0);
            let low = self.input.get((at / 8).saturating_add(1)).copied().unwrap_or(0);
            let both = u16::from_be_bytes([high, low]) << shift;
            out.bytes.push(both.to_be_bytes()[0]);
            out.used = out.used.saturating_add(8);
            at = at.saturating_add(8);
        }
        let rest = end.saturating_sub(at);
        out.push(bits(&self.input, at, rest).unwrap_or(0), rest);
        out.push(END, 48);
        out.push(u64::from(sum), 32);
        out.bytes
    }
    /// Decodes the block that ends at a bit; `None` if these are not its bits.
    fn decode(&self, end: usize, sum: u32) -> Option<Vec<u8>> {
        let stream = self.alone(end, sum);
        let mut decoder = bzip2::Decompress::new(false);
        let mut out = vec![0; 1 << 20];
        let mut done = 0_usize;
        loop {
            let from = usize::try_from(decoder.total_in()).ok()?;
            let before = decoder.total_out();
            let status = decoder.decompress(stream.get(from..)?, out.get_mut(done..)?).ok()?;
            let wrote = usize::try_from(decoder.total_out().checked_sub(before)?).ok()?;
            done = done.checked_add(wrote)?;
            if status == bzip2::Status::StreamEnd {
                out.truncate(done);
                return Some(out);
            }
            if done == out.len() {
                if out.len() >= MAX_PLAIN {
                    return None;
                }
                out.resize(out.len().saturating_mul(4).min(MAX_PLAIN), 0);
            } else if wrote == 0 {
                return None;
            }
        }
    }
    /// Hands out what was decoded.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let rest = self.out.get(self.given..).unwrap_or_default();
        let n = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.given = self.given.saturating_add(n);
        n
    }
    /// Goes on with the block that begins at a bit.
    fn advance(&mut self, to: usize) {
        let bytes = (to / 8).min(self.input.len());
        self.input.drain(..bytes);
        self.from = to % 8;
        self.looked = self.from.saturating_add(HEAD);
    }
}

impl Steps for Bzip2 {
    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, String> {
        if self.given < self.out.len() {
            return Ok(Step { read: 0, wrote: self.give(out), end: false });
        }
        if self.level == 0 {
            let Some([b'B', b'Z', b'h', level @ b'1'..=b'9']) = input.first_chunk::<4>() else {
                if input.len() >= 4 || last {
                    return Err("damaged: its header is none".into());
                }
                // Fewer than four bytes wait for more.
                return Ok(Step { read: 0, wrote: 0, end: false });
            };
            (self.level, self.from, self.looked) = (*level, 0, 0);
            return Ok(Step { read: 4, wrote: 0, end: false });
        }
        let before = self.input.len();
        self.input.extend_from_slice(input);
        let read = input.len();
        match bits(&self.input, self.from, 48) {
            None if last => return Err("it ends within the stream".into()),
            None => return Ok(Step { read, wrote: 0, end: false }),
            Some(BLOCK) => {}
            Some(END) => {
                let Some(sum) = bits(&self.input, self.from.saturating_add(48), 32) else {
                    let end = Err("it ends within the stream".into());
                    return if last { end } else { Ok(Step { read, wrote: 0, end: false }) };
                };
                if sum != u64::from(self.sum) {
                    return Err("damaged: its content does not match its checksum".into());
                }
                let used = self.from.saturating_add(HEAD).div_ceil(8);
                return Ok(Step { read: used.saturating_sub(before).min(read), wrote: 0, end: true });
            }
            Some(_) => return Err("damaged: neither a block nor the end of the stream".into()),
        }
        let sum = bits(&self.input, self.from.saturating_add(48), 32).and_then(|n| u32::try_from(n).ok());
        self.looked = self.looked.max(self.from.saturating_add(HEAD));
        while let Some(sum) = sum {
            match find(&self.input, self.looked) {
                Ok((_, end)) => {
                    if let Some(plain) = self.decode(end, sum) {
                        (self.out, self.given) = (plain, 0);
                        self.sum = self.sum.rotate_left(1) ^ sum;
                        // What stands behind the next magic is not touched: it may not belong to the stream.
                        let used = end.saturating_add(48).div_ceil(8).max(before);
                        self.input.truncate(used);
                        self.advance(end);
                        let read = used.saturating_sub(before).min(read);
                        return Ok(Step { read, wrote: self.give(out), end: false });
                    }
                    // The same bits within a block, which is as good as impossible unless it was made so.
                    self.looked = end.saturating_add(1);
                }
                Err(from) => {
                    self.looked = from;
                    break;
                }
            }
        }
        if self.input.len() > MAX_PACKED {
            return Err("damaged: a block that does not decode".into());
        }
        if last {
            return Err("it ends within a block, or the block is damaged".into());
        }
        Ok(Step { read, wrote: 0, end: false })
    }
    /// Between blocks.
    fn save(&self) -> Option<Box<dyn Steps>> {
        let is_between = self.level != 0 && self.given >= self.out.len() && self.input.len() < 64 << 10;
        is_between
            .then(|| Box::new(Self { out: Vec::new(), given: 0, input: self.input.clone(), ..*self }) as Box<dyn Steps>)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::io::Write as _;

    fn packed(plain: &[u8], level: u32) -> Vec<u8> {
        let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
        to.write_all(plain).unwrap();
        to.finish().unwrap()
    }
    /// Decodes in steps of so many bytes; gives what came out, and the bytes of input that belong to it.
    fn all(stream: &[u8], most: usize, mut steps: Box<dyn Steps>) -> Result<(Vec<u8>, usize), String> {
        let (mut plain, mut from, mut to) = (Vec::new(), 0, 0);
        let mut buf = vec![0; 70_000];
        for _ in 0..1_000_000 {
            if to == from || to - from < 16 {
                to = (to + most).min(stream.len());
            }
            let step = steps.step(&stream[from..to], &mut buf, to == stream.len())?;
            plain.extend_from_slice(&buf[..step.wrote]);
            from += step.read;
            if step.end {
                return Ok((plain, from));
            }
            if let Some(saved) = steps.save() {
                steps = saved;
            }
        }
        panic!("it goes on and on");
    }
    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|n| b"crane gantry boom"[n * n / 7 % 17] ^ u8::from(n % 1000 == 0)).collect()
    }

    #[test]
    fn streams_are_decoded_whatever_the_pieces_of_input() {
        for (plain, level) in [(Vec::new(), 9), (text(10), 1), (text(350_000), 1), (vec![7; 3_000_000], 9)] {
            let stream = [packed(&plain, level), b"behind".to_vec()].concat();
            for most in [17, 1000, 1 << 20] {
                let (out, used) = all(&stream, most, Box::new(Bzip2::default())).unwrap();
                assert!(out == plain, "{} bytes", plain.len());
                assert_eq!(used, stream.len() - 6);
            }
        }
    }
    #[test]
    fn damage_is_told() {
        let whole = packed(&text(250_000), 1);
        for at in (0..whole.len()).step_by(whole.len() / 60) {
            let mut stream = whole.clone();
            stream[at] ^= 0x10;
            assert!(all(&stream, 1 << 16, Box::new(Bzip2::default())).is_err(), "{at}");
            assert!(all(&whole[..at], 1 << 16, Box::new(Bzip2::default())).is_err(), "{at}");
        }
    }
}
