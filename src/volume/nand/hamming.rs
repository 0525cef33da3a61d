//! The kernel's software Hamming code: three bytes for every 256, in the spare area where its drivers put them by
//! default. Format: the kernel's `drivers/mtd/nand/ecc-sw-hamming.c` and Documentation/driver-api/mtd/nand_ecc.rst.
use super::check::Outcome;
use super::{FEW, SAMPLED, SEARCHED, page};
use crate::base::Nand;
use crate::image::Source;

/// Bytes that one code covers.
const STEP: usize = 256;

/// Where the codes of a page stand in its spare area.
pub(super) struct Code {
    geometry: Nand,
    places: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fits,
    /// Byte and bit.
    Wrong(usize, u8),
    /// The code itself has a wrong bit.
    WrongCode,
    Lost,
}

/// The code of 256 bytes.
fn code(bytes: &[u8]) -> [u8; 3] {
    let (mut columns, mut rows) = (0_u8, 0_usize);
    for (n, byte) in bytes.iter().enumerate() {
        columns ^= byte;
        if byte.count_ones() % 2 == 1 {
            rows ^= n;
        }
    }
    let odd = columns.count_ones() % 2 == 1;
    // Two bits for each bit of the index: parity of the bytes in which it is 0, and of those in which it is 1.
    let pairs = |from: usize| {
        (0..4).fold(0_u8, |sum, n| {
            let ones = rows >> (from + n) & 1 == 1;
            sum | u8::from(ones == odd) << (2 * n) | u8::from(!ones) << (2 * n + 1)
        })
    };
    let even = |mask: u8| u8::from((columns & mask).count_ones().is_multiple_of(2));
    let last =
        even(0xf0) << 7 | even(0x0f) << 6 | even(0xcc) << 5 | even(0x33) << 4 | even(0xaa) << 3 | even(0x55) << 2;
    [pairs(4), pairs(0), last | 3]
}

fn verdict(bytes: &[u8], stored: [u8; 3]) -> Verdict {
    let made = code(bytes);
    let [high, low, last] = [0, 1, 2].map(|n: usize| made.get(n).zip(stored.get(n)).map_or(0, |(a, b)| a ^ b));
    if (high, low, last) == (0, 0, 0) {
        return Verdict::Fits;
    }
    // One wrong bit of the data turns exactly one of each pair.
    let one = |n: u8, mask: u8| (n ^ n >> 1) & mask == mask;
    if one(high, 0x55) && one(low, 0x55) && one(last, 0x54) {
        let address = |n: u8| n >> 1 & 1 | n >> 2 & 2 | n >> 3 & 4 | n >> 4 & 8;
        let byte = usize::from(address(high)) << 4 | usize::from(address(low));
        return Verdict::Wrong(byte, address(last >> 2) & 7);
    }
    if high.count_ones() + low.count_ones() + last.count_ones() == 1 { Verdict::WrongCode } else { Verdict::Lost }
}

impl Code {
    /// `None` where the codes do not fit into the spare area.
    pub(super) fn of(geometry: Nand) -> Option<Self> {
        let (page, spare) = (usize::try_from(geometry.page).ok()?, usize::try_from(geometry.spare).ok()?);
        let places = match (page, spare) {
            (256, 8..) => vec![0, 1, 2],
            (512, 16..) => vec![0, 1, 2, 3, 6, 7],
            (512, _) => return None,
            _ => {
                let count = page / STEP * 3;
                // The first two bytes mark bad blocks.
                let first = spare.checked_sub(count).filter(|first| *first >= 2)?;
                (first..spare).collect()
            }
        };
        Some(Self { geometry, places })
    }

    /// Each step of a page with its verdict.
    fn verdicts<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, Verdict)> + 'a {
        let data = usize::try_from(self.geometry.page).unwrap_or(0);
        let (page, spare) = bytes.split_at_checked(data).unwrap_or((bytes, &[]));
        page.chunks_exact(STEP).zip(self.places.chunks_exact(3)).enumerate().map(move |(n, (step, places))| {
            let mut stored = [0; 3];
            for (to, place) in stored.iter_mut().zip(places) {
                *to = spare.get(*place).copied().unwrap_or(0);
            }
            (n, verdict(step, stored))
        })
    }

    /// Whether nearly all of the pages that hold something hold this code.
    pub(super) fn fits(&self, raw: &Source, pages: u64) -> bool {
        let (mut looked, mut fitting) = (0_usize, 0_usize);
        let step = pages.div_ceil(SEARCHED).max(1);
        for number in (0..pages).step_by(usize::try_from(step).unwrap_or(1)) {
            let Some(bytes) = page(raw, self.geometry, number) else { continue };
            // What is filled evenly fits too easily.
            if bytes.first().is_none_or(|first| bytes.iter().all(|b| b == first)) || is_plain(&bytes) {
                continue;
            }
            looked = looked.saturating_add(1);
            if self.verdicts(&bytes).all(|(_, v)| v != Verdict::Lost) {
                fitting = fitting.saturating_add(1);
            }
            if looked >= SAMPLED || (looked >= FEW && fitting.saturating_mul(4) < looked) {
                break;
            }
        }
        looked >= FEW && fitting.saturating_mul(10) >= looked.saturating_mul(9)
    }

    /// Puts a page right; behind it stands its spare area.
    pub(super) fn correct(&self, bytes: &mut [u8]) -> Outcome {
        let wrong: Vec<(usize, Verdict)> = self.verdicts(bytes).filter(|(_, v)| *v != Verdict::Fits).collect();
        let mut outcome = Outcome::default();
        for (step, verdict) in wrong {
            match verdict {
                Verdict::Wrong(byte, bit) => {
                    if let Some(byte) = bytes.get_mut(step.saturating_mul(STEP).saturating_add(byte)) {
                        *byte ^= 1 << bit;
                        outcome.bits = outcome.bits.saturating_add(1);
                    }
                }
                Verdict::WrongCode => outcome.code_bits = outcome.code_bits.saturating_add(1),
                Verdict::Lost => outcome.lost = outcome.lost.saturating_add(1),
                Verdict::Fits => {}
            }
        }
        outcome
    }
}

/// Whether a page's code is the one of erased or evenly filled steps throughout.
fn is_plain(bytes: &[u8]) -> bool {
    let plain = |step: &[u8]| step.first().is_some_and(|first| step.iter().all(|b| b == first));
    bytes.chunks_exact(STEP).filter(|step| !plain(step)).count() < 2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::super::testing::{image, noise};
    use super::super::{guess, split};
    use super::*;
    use crate::base::{Gaps, PieceKind, Run};
    use std::sync::Arc;

    /// By the definition: parity over all bits whose address has, or lacks, one bit; inverted.
    fn by_definition(bytes: &[u8]) -> [u8; 3] {
        let parity = |bit: usize, value: usize| {
            let ones = (0..STEP * 8).filter(|a| a >> bit & 1 == value && bytes[a / 8] >> (a % 8) & 1 == 1).count();
            u8::from(ones % 2 == 0)
        };
        let byte = |first: usize| {
            (0..4).fold(0, |sum, n| sum | parity(first + n, 0) << (2 * n) | parity(first + n, 1) << (2 * n + 1))
        };
        let columns = (0..3).fold(3, |sum, n| sum | parity(n, 0) << (2 * n + 2) | parity(n, 1) << (2 * n + 3));
        [byte(7), byte(3), columns]
    }

    #[test]
    fn single_bits_are_found_wherever_they_are() {
        assert_eq!(code(&[0xff; 256]), [0xff; 3]);
        for seed in 0..20 {
            let bytes = noise(seed, STEP);
            let right = code(&bytes);
            assert_eq!(right, by_definition(&bytes));
            assert_eq!(verdict(&bytes, right), Verdict::Fits);
            for address in (0..STEP * 8).step_by(7) {
                let mut wrong = bytes.clone();
                wrong[address / 8] ^= 1 << (address % 8);
                let bit = u8::try_from(address % 8).unwrap();
                assert_eq!(verdict(&wrong, right), Verdict::Wrong(address / 8, bit));
                wrong[(address / 8 + 9) % STEP] ^= 4;
                assert_eq!(verdict(&wrong, right), Verdict::Lost);
            }
            for bit in 0..22 {
                let mut other = right;
                other[bit / 8] ^= 1 << if bit < 16 { bit % 8 } else { bit % 8 + 2 };
                assert_eq!(verdict(&bytes, other), Verdict::WrongCode);
            }
        }
    }

    fn dump(geometry: Nand, pages: usize) -> (Vec<u8>, Vec<u8>) {
        let code_of = Code::of(geometry).unwrap();
        let (page, spare) = (geometry.page as usize, geometry.spare as usize);
        let mut plain = noise(7, page * pages);
        plain[page * 3..page * 5].fill(0xff);
        let mut raw = Vec::new();
        for data in plain.chunks(page) {
            let mut area = vec![0xff; spare];
            for (step, places) in data.chunks(STEP).zip(code_of.places.chunks(3)) {
                for (place, byte) in places.iter().zip(code(step)) {
                    area[*place] = byte;
                }
            }
            raw.extend([data, &area].concat());
        }
        (plain, raw)
    }

    #[test]
    fn pages_are_told_from_spare_areas_and_put_right() {
        for (page, spare) in [(512, 16), (2048, 64), (4096, 128)] {
            let geometry = Nand::of(page, spare);
            let (plain, mut raw) = dump(geometry, 128);
            let both = usize::try_from(geometry.both()).unwrap();
            raw[both * 9 + 300] ^= 0x10;
            raw[both * 20 + 5] ^= 3;
            raw[both * 30 + page as usize + Code::of(geometry).unwrap().places[0]] ^= 1;
            let source = image(raw.clone(), 0);
            let (found, how) = guess(&source).unwrap();
            assert_eq!(found, geometry);
            assert!(how.contains("Hamming"));
            let gaps = Gaps::default();
            let parts = split(&source, found, how, &gaps);
            let mut expected = plain.clone();
            expected[page as usize * 20 + 5] ^= 3;
            let mut have = vec![0; expected.len()];
            assert_eq!(parts.data.read_at(0, &mut have), Ok(have.len()));
            assert!(have == expected);
            let mut area = vec![0; spare as usize];
            parts.spare.read_at(u64::from(spare), &mut area).unwrap();
            assert!(area == raw[both + page as usize..both * 2]);
            let gaps = gaps.take();
            assert_eq!(gaps.len(), 1, "{gaps:?}");
            assert!(gaps[0].what.starts_with(
                "1 pages have more wrong bits than their code can put right; they are read as they are: 20"
            ));
            assert_eq!(gaps[0].at.offset, Some(("image_offset".to_owned(), both as u64 * 20)));
            assert_eq!(
                parts.details[1].1,
                "software Hamming code; 1 bits put right in 1 pages, 1 wrong in the codes; 1 pages with more wrong bits than it puts right"
            );
            let pieces = parts.data.locate(Run::new(u64::from(page) * 8, u64::from(page) * 2));
            let kinds: Vec<_> = pieces.iter().map(|p| (p.offset, p.len, p.kind)).collect();
            let at = |n: usize| (both * n) as u64;
            assert_eq!(
                kinds,
                [(at(8), u64::from(page), PieceKind::Stored), (at(9), u64::from(page), PieceKind::Decoded)]
            );
        }
    }

    #[test]
    fn what_is_not_certain_is_not_guessed() {
        let raw: Source = Arc::new(noise(3, 2112 * 256));
        assert!(guess(&raw).is_none());
        let blank: Source = Arc::new(vec![0xff; 2112 * 256]);
        assert!(guess(&blank).is_none());
        let zero: Source = Arc::new(vec![0; 2112 * 256]);
        assert!(guess(&zero).is_none());
        let gaps = Gaps::default();
        let parts = split(&raw, Nand::of(2048, 64), "given", &gaps);
        assert_eq!(parts.data.len(), 2048 * 256);
        assert!(gaps.take().iter().any(|g| g.what.contains("bit errors are not put right")));
    }
}
