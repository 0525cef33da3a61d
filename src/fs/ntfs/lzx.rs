//! LZX with a window of 32 KiB, as in WIM archives and the Windows overlay: each chunk stands alone.
//! Format: MS-PATCH section 2 (LZX), with the block headers of WIM as the wimlib project describes
//! them.
use super::huffman::{Bits, Broken, Code, copy};

/// Bytes of a chunk.
pub(super) const CHUNK: usize = 32 << 10;
/// Slots of distances in a window of that size.
const SLOTS: usize = 30;
const MAIN: usize = 256 + 8 * SLOTS;
const LENGTHS: usize = 249;
/// What call instructions were counted against when they were made absolute.
const FILE_SIZE: i32 = 12_000_000;

/// Expands a chunk into exactly `len` bytes, at most [`CHUNK`].
pub(super) fn expand(input: &[u8], len: usize) -> Result<Vec<u8>, Broken> {
    let mut bits = Bits::new(input);
    let mut out = Vec::with_capacity(len);
    let mut recent = [1_usize; 3];
    let mut main_lengths = [0_u8; MAIN];
    let mut length_lengths = [0_u8; LENGTHS];
    while out.len() < len {
        let kind = bits.take(3)?;
        let size = if bits.take(1)? == 1 { CHUNK } else { bits.take(16)? };
        let end = out.len().saturating_add(size).min(len);
        if size == 0 {
            return Err(Broken);
        }
        match kind {
            1 | 2 => {
                let aligned = if kind == 2 { Some(aligned_code(&mut bits)?) } else { None };
                let (literals, matches) = main_lengths.split_at_mut(256);
                read_lengths(&mut bits, literals)?;
                read_lengths(&mut bits, matches)?;
                read_lengths(&mut bits, &mut length_lengths)?;
                let main = Code::new(&main_lengths)?;
                let length = Code::new(&length_lengths)?;
                block(&mut bits, &main, &length, aligned.as_ref(), &mut recent, &mut out, end)?;
            }
            3 => {
                bits.align();
                for place in &mut recent {
                    *place = bits.double()?;
                }
                let size = end.saturating_sub(out.len());
                out.extend_from_slice(bits.bytes(size)?);
                if size % 2 == 1 {
                    let _ = bits.byte();
                }
            }
            _ => return Err(Broken),
        }
    }
    restore_calls(&mut out);
    Ok(out)
}

fn aligned_code(bits: &mut Bits<'_>) -> Result<Code, Broken> {
    let mut lengths = [0_u8; 8];
    for len in &mut lengths {
        *len = u8::try_from(bits.take(3)?).map_err(|_| Broken)?;
    }
    Code::new(&lengths)
}

/// Lengths of codewords, told as differences from those of the block before.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Result<(), Broken> {
    let mut pre = [0_u8; 20];
    for len in &mut pre {
        *len = u8::try_from(bits.take(4)?).map_err(|_| Broken)?;
    }
    let code = Code::new(&pre)?;
    let less = |old: u8, by: usize| {
        let by = u8::try_from(by).ok().filter(|n| *n <= 16).ok_or(Broken)?;
        Ok(old.saturating_add(17).saturating_sub(by) % 17)
    };
    let mut at = 0_usize;
    while let Some(old) = lengths.get(at).copied() {
        let symbol = code.read(bits)?;
        let (count, value) = match symbol {
            17 => (bits.take(4)?.saturating_add(4), 0),
            18 => (bits.take(5)?.saturating_add(20), 0),
            19 => {
                let count = bits.take(1)?.saturating_add(4);
                let by = code.read(bits)?;
                (count, less(old, by)?)
            }
            by => (1, less(old, by)?),
        };
        let end = at.saturating_add(count).min(lengths.len());
        lengths.get_mut(at..end).ok_or(Broken)?.fill(value);
        at = end;
    }
    Ok(())
}

/// The smallest distance of a slot, two more than it is, and the bits that follow it.
fn slot(number: usize) -> (usize, u32) {
    if number < 4 {
        return (number, 0);
    }
    let extra = u32::try_from(number / 2).unwrap_or(0).saturating_sub(1);
    ((2 | (number & 1)) << extra, extra)
}

fn block(
    bits: &mut Bits<'_>,
    main: &Code,
    length: &Code,
    aligned: Option<&Code>,
    recent: &mut [usize; 3],
    out: &mut Vec<u8>,
    end: usize,
) -> Result<(), Broken> {
    while out.len() < end {
        let symbol = main.read(bits)?;
        let Some(found) = symbol.checked_sub(256) else {
            out.push(u8::try_from(symbol).map_err(|_| Broken)?);
            continue;
        };
        let mut count = found & 7;
        if count == 7 {
            count = count.saturating_add(length.read(bits)?);
        }
        let number = found >> 3;
        let distance = if number < 3 {
            let distance = *recent.get(number).ok_or(Broken)?;
            recent.swap(0, number);
            distance
        } else {
            let (base, extra) = slot(number);
            let more = match aligned {
                Some(code) if extra >= 3 => {
                    let high = bits.take(extra.saturating_sub(3))? << 3;
                    high | code.read(bits)?
                }
                _ => bits.take(extra)?,
            };
            let distance = base.saturating_add(more).checked_sub(2).ok_or(Broken)?;
            *recent = [distance, recent[0], recent[1]];
            distance
        };
        copy(out, distance, count.saturating_add(2), end)?;
    }
    Ok(())
}

/// Call instructions (0xe8) were given absolute targets so that they compress better.
fn restore_calls(out: &mut [u8]) {
    let last = out.len().saturating_sub(10);
    let mut at = 0_usize;
    while at < last {
        if out.get(at) != Some(&0xe8) {
            at = at.saturating_add(1);
            continue;
        }
        let here = i32::try_from(at).unwrap_or(i32::MAX);
        if let Some(target) = out.get_mut(at.saturating_add(1)..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let absolute = i32::from_le_bytes(*target);
            if (0..FILE_SIZE).contains(&absolute) {
                *target = absolute.wrapping_sub(here).to_le_bytes();
            } else if absolute < 0 && absolute >= here.wrapping_neg() {
                *target = absolute.wrapping_add(FILE_SIZE).to_le_bytes();
            }
        }
        at = at.saturating_add(5);
    }
}
