//! BCH codes as the kernel's software computes them for NAND, and as many controllers do: a code for each step of a
//! page, in its spare area. Format: the kernel's `lib/bch.c` and `drivers/mtd/nand/ecc-sw-bch.c`; the arithmetic is that
//! of any book on binary BCH codes (syndromes, Berlekamp-Massey, a search for the roots).
use super::check::Outcome;
use crate::base::{Bch as Shape, Nand};

/// Primitive polynomials for fields of 2^5 to 2^15 elements.
const POLYNOMIALS: [u32; 11] = [0x25, 0x43, 0x83, 0x11d, 0x211, 0x409, 0x805, 0x1053, 0x201b, 0x402b, 0x8003];

/// A code: its field, and the remainders of all bytes.
pub(super) struct Bch {
    shape: Shape,
    /// Elements of the field but zero.
    n: usize,
    /// Powers of the field's generator, twice over; and their inverse.
    exp: Vec<u16>,
    log: Vec<u16>,
    /// Bits and bytes of a code.
    bits: usize,
    bytes: usize,
    /// What a byte at the top of the register leaves, as bytes with the highest degree first.
    table: Vec<Vec<u8>>,
    /// What the stored code is xored with.
    mask: Vec<u8>,
    /// Where the codes begin in the spare area.
    first: usize,
}

impl Bch {
    /// The code for pages of this geometry; an error says why there is none.
    pub(super) fn new(geometry: Nand, shape: Shape) -> Result<Self, String> {
        let (step, strength) = (size(shape.step), usize::from(shape.bits));
        let width = usize::BITS.saturating_sub((step.saturating_mul(8).saturating_add(1)).leading_zeros());
        let index = usize::try_from(width).unwrap_or(0).checked_sub(5);
        let polynomial = index.and_then(|i| POLYNOMIALS.get(i)).ok_or("no field for steps of this length")?;
        let n = (1_usize << width).saturating_sub(1);
        let (exp, log) = field(*polynomial, n);
        let mut this = Self { shape, n, exp, log, bits: 0, bytes: 0, table: Vec::new(), mask: Vec::new(), first: 0 };
        let generator = this.generator(strength);
        this.bits = generator.len().saturating_sub(1);
        this.bytes = this.bits.div_ceil(8);
        if step.saturating_mul(8).saturating_add(this.bits) > n {
            return Err(format!("{strength} bits in {step} bytes do not fit into the code"));
        }
        this.table = (0..=255_u8).map(|byte| this.remainder(byte, &generator)).collect();
        let steps = size(geometry.page).checked_div(step).unwrap_or(0);
        let all = steps.saturating_mul(this.bytes);
        let spare = size(geometry.spare);
        let first = match shape.place {
            Some(place) => Some(size(place)).filter(|p| p.saturating_add(all) <= spare),
            None => spare.checked_sub(all),
        };
        this.first = first.ok_or_else(|| {
            format!("{steps} codes of {} bytes do not fit into a spare area of {spare} bytes", this.bytes)
        })?;
        // An erased page has the code of an erased page.
        this.mask = if shape.plain {
            vec![0; this.bytes]
        } else {
            this.encode(&vec![0xff; step]).into_iter().map(|b| !b).collect()
        };
        Ok(this)
    }

    fn multiply(&self, a: u16, b: u16) -> u16 {
        if a == 0 || b == 0 {
            return 0;
        }
        self.power(self.logarithm(a).saturating_add(self.logarithm(b)))
    }
    fn logarithm(&self, a: u16) -> usize {
        self.log.get(usize::from(a)).map_or(0, |n| usize::from(*n))
    }
    /// The generator of the field to any power.
    fn power(&self, exponent: usize) -> u16 {
        self.exp.get(exponent % self.n.max(1)).copied().unwrap_or(0)
    }
    fn divide(&self, a: u16, b: u16) -> u16 {
        if a == 0 {
            return 0;
        }
        self.power(self.logarithm(a).saturating_add(self.n).saturating_sub(self.logarithm(b)))
    }

    /// The generating polynomial, lowest degree first: its roots are the odd powers and all their squares.
    fn generator(&self, strength: usize) -> Vec<bool> {
        let mut roots = vec![false; self.n];
        for odd in (0..strength).map(|k| k.saturating_mul(2).saturating_add(1)) {
            let mut root = odd % self.n;
            while let Some(seen) = roots.get_mut(root).filter(|seen| !**seen) {
                *seen = true;
                root = root.saturating_mul(2) % self.n;
            }
        }
        let mut poly = vec![1_u16];
        for (root, _) in roots.iter().enumerate().filter(|(_, is)| **is) {
            let root = self.power(root);
            let mut next = vec![0; poly.len().saturating_add(1)];
            for (degree, factor) in poly.iter().enumerate() {
                if let Some(up) = next.get_mut(degree.saturating_add(1)) {
                    *up ^= factor;
                }
                if let Some(here) = next.get_mut(degree) {
                    *here ^= self.multiply(*factor, root);
                }
            }
            poly = next;
        }
        poly.into_iter().map(|factor| factor != 0).collect()
    }

    /// What a byte leaves that stands right above the register.
    fn remainder(&self, byte: u8, generator: &[bool]) -> Vec<u8> {
        let mut register = vec![false; self.bits];
        for bit in (0..8).rev() {
            let out = register.last().copied().unwrap_or(false) ^ (byte >> bit & 1 == 1);
            register.rotate_right(1);
            if let Some(lowest) = register.first_mut() {
                *lowest = false;
            }
            if out {
                for (to, factor) in register.iter_mut().zip(generator) {
                    *to ^= factor;
                }
            }
        }
        let mut bytes = vec![0; self.bytes];
        for (at, bit) in register.iter().rev().enumerate() {
            if let Some(byte) = bytes.get_mut(at / 8) {
                *byte |= u8::from(*bit) << (7 - at % 8);
            }
        }
        bytes
    }

    fn turned(&self, byte: u8) -> u8 {
        if self.shape.swapped { byte.reverse_bits() } else { byte }
    }

    /// The code of a step, as it is stored but for the mask.
    pub(super) fn encode(&self, data: &[u8]) -> Vec<u8> {
        let mut register = vec![0_u8; self.bytes];
        for byte in data {
            let top = register.first().copied().unwrap_or(0) ^ self.turned(*byte);
            let Some(left) = self.table.get(usize::from(top)) else { continue };
            register.rotate_left(1);
            if let Some(last) = register.last_mut() {
                *last = 0;
            }
            for (to, from) in register.iter_mut().zip(left) {
                *to ^= from;
            }
        }
        register.into_iter().map(|b| self.turned(b)).collect()
    }

    /// Degrees of the wrong bits of a step, the lowest of the code being 0; `None` where there are too many.
    fn wrong(&self, data: &[u8], stored: &[u8]) -> Option<Vec<usize>> {
        let made = self.encode(data);
        let differs: Vec<u8> =
            made.iter().zip(stored).zip(&self.mask).map(|((a, b), mask)| self.turned(a ^ b ^ mask)).collect();
        // The bits behind the code's last one stand for nothing.
        let set = |degree: &usize| {
            let at = self.bits.saturating_sub(degree.saturating_add(1));
            differs.get(at / 8).is_some_and(|b| b >> (7 - at % 8) & 1 == 1)
        };
        let set: Vec<usize> = (0..self.bits).filter(set).collect();
        if set.is_empty() {
            return Some(Vec::new());
        }
        let strength = usize::from(self.shape.bits);
        let syndromes: Vec<u16> = (1..=strength.saturating_mul(2))
            .map(|power| set.iter().fold(0, |sum, degree| sum ^ self.power(degree.saturating_mul(power))))
            .collect();
        let locator = self.locator(&syndromes);
        let count = locator.len().saturating_sub(1);
        if count > strength {
            return None;
        }
        let most = data.len().saturating_mul(8).saturating_add(self.bits);
        let mut found = Vec::new();
        // The bit of degree d is wrong where the inverse of the generator to d is a root.
        for degree in 0..most {
            let back = self.n.saturating_sub(degree % self.n);
            let sum = locator
                .iter()
                .enumerate()
                .fold(0, |sum, (power, factor)| sum ^ self.multiply(*factor, self.power(back.saturating_mul(power))));
            if sum == 0 {
                found.push(degree);
                if found.len() == count {
                    break;
                }
            }
        }
        (found.len() == count).then_some(found)
    }

    /// The polynomial whose roots tell the wrong bits, lowest degree first (Berlekamp and Massey).
    fn locator(&self, syndromes: &[u16]) -> Vec<u16> {
        let mut current = vec![1_u16];
        let mut before = vec![1_u16];
        let (mut len, mut shift, mut last) = (0_usize, 1_usize, 1_u16);
        for (n, syndrome) in syndromes.iter().enumerate() {
            let mut gap = *syndrome;
            for (k, factor) in current.iter().enumerate().skip(1).take(len) {
                let earlier = n.checked_sub(k).and_then(|at| syndromes.get(at)).copied().unwrap_or(0);
                gap ^= self.multiply(*factor, earlier);
            }
            if gap == 0 {
                shift = shift.saturating_add(1);
                continue;
            }
            let old = current.clone();
            let ratio = self.divide(gap, last);
            current.resize(current.len().max(before.len().saturating_add(shift)), 0);
            for (k, factor) in before.iter().enumerate() {
                if let Some(to) = current.get_mut(k.saturating_add(shift)) {
                    *to ^= self.multiply(ratio, *factor);
                }
            }
            if len.saturating_mul(2) <= n {
                len = n.saturating_add(1).saturating_sub(len);
                (before, last, shift) = (old, gap, 1);
            } else {
                shift = shift.saturating_add(1);
            }
        }
        while current.last() == Some(&0) {
            current.pop();
        }
        current
    }

    /// Puts a page right; behind it stands its spare area.
    pub(super) fn correct(&self, bytes: &mut [u8], page: usize) -> Outcome {
        let step = size(self.shape.step).max(1);
        let mut outcome = Outcome::default();
        let Some((data, spare)) = bytes.split_at_mut_checked(page) else { return outcome };
        for (n, part) in data.chunks_exact_mut(step).enumerate() {
            let from = self.first.saturating_add(n.saturating_mul(self.bytes));
            let Some(stored) = spare.get(from..from.saturating_add(self.bytes)) else { continue };
            let zeros = |bytes: &[u8]| bytes.iter().map(|b| u64::from(b.count_zeros())).sum::<u64>();
            // An erased step needs no code: with a few wrong bits it is an erased step all the same.
            let own = zeros(part);
            if own.saturating_add(zeros(stored)) <= u64::from(self.shape.bits) {
                outcome.bits = outcome.bits.saturating_add(own);
                part.fill(0xff);
                continue;
            }
            let Some(wrong) = self.wrong(part, stored) else {
                outcome.lost = outcome.lost.saturating_add(1);
                continue;
            };
            let all = part.len().saturating_mul(8).saturating_add(self.bits);
            for degree in wrong {
                let at = all.saturating_sub(degree.saturating_add(1));
                match part.get_mut(at / 8).filter(|_| degree >= self.bits) {
                    Some(byte) => {
                        *byte ^= self.turned(1 << (7 - at % 8));
                        outcome.bits = outcome.bits.saturating_add(1);
                    }
                    None => outcome.code_bits = outcome.code_bits.saturating_add(1),
                }
            }
        }
        outcome
    }
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The powers of the generator, and their inverse.
fn field(polynomial: u32, n: usize) -> (Vec<u16>, Vec<u16>) {
    let mut exp = vec![0; n];
    let mut log = vec![0; n.saturating_add(1)];
    let mut value = 1_u32;
    for (power, to) in exp.iter_mut().enumerate() {
        let element = u16::try_from(value).unwrap_or(0);
        *to = element;
        if let Some(place) = log.get_mut(usize::from(element)) {
            *place = u16::try_from(power).unwrap_or(0);
        }
        value <<= 1;
        if value as usize > n {
            value ^= polynomial;
        }
    }
    (exp, log)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::super::testing::noise;
    use super::*;

    fn code(bits: u16, step: u32, swapped: bool, plain: bool) -> Bch {
        let geometry = Nand::of(step * 4, 256);
        Bch::new(geometry, Shape { bits, step, place: None, swapped, plain }).unwrap()
    }
    fn text(bytes: &[u8]) -> String {
        crate::base::hex(bytes)
    }

    /// Codes of the kernel's library, by its Python binding (bchlib 2): noise of a seed, and erased bytes.
    #[test]
    fn codes_are_those_of_the_kernels_library() {
        for (bits, step, swapped, seed, of_noise, of_erased) in [
            (4, 512, false, 1304, "8fc2fbe7fe91a0", "d7ec33c6695380"),
            (4, 512, true, 1304, "ae2852fa997e0e", "eb37cc6396ca01"),
            (8, 512, false, 1308, "57a793debba3aa7bfe8ba644ab", "10aed1f6126c653d68861adb4a"),
            (8, 512, true, 1308, "ea393f0db1c1cdade1a3c050c4", "08758b6f4836a6bc166158db52"),
            (8, 1024, false, 1408, "00b9d159a468ec0fb38dee992f0f", "09a5be0be7afb481d0293f00758e"),
            (
                24,
                1024,
                false,
                1424,
                "aee00a5033973d142f62fffdb34cced5f0dd80f880b049b1180debf4ba059188167411558abeba7e6d00",
                "32532e7f5900dbb5cb8e957db116d2d442fa9acd85293e65d7783eae7100c6d6be1b9c0439edf35a63aa",
            ),
            (1, 512, false, 1301, "3640", "f470"),
            (1, 512, true, 1301, "5905", "2f0e"),
        ] {
            let code = code(bits, step, swapped, true);
            assert_eq!(text(&code.encode(&noise(seed, step as usize))), of_noise, "{bits}/{step} {swapped}");
            assert_eq!(text(&code.encode(&vec![0xff; step as usize])), of_erased, "{bits}/{step} {swapped}");
        }
    }

    fn page(code: &Bch) -> (Vec<u8>, usize) {
        let step = code.shape.step as usize;
        let mut bytes = noise(u64::from(code.shape.bits), step * 4);
        let mut spare = vec![0xff; 256];
        for (n, part) in bytes.chunks(step).enumerate() {
            let from = code.first + n * code.bytes;
            for ((to, from), mask) in spare[from..].iter_mut().zip(code.encode(part)).zip(&code.mask) {
                *to = from ^ mask;
            }
        }
        bytes.extend(spare);
        (bytes, step * 4)
    }

    #[test]
    fn as_many_bits_as_the_code_has_are_put_right_and_no_more() {
        for (bits, step, swapped, plain) in [
            (4, 512, false, false),
            (8, 512, true, false),
            (8, 1024, false, true),
            (24, 1024, true, true),
            (1, 512, false, false),
        ] {
            let code = code(bits, step, swapped, plain);
            let (whole, len) = page(&code);
            let mut seen = whole.clone();
            assert_eq!(code.correct(&mut seen, len), Outcome::default());
            let places = noise(u64::from(step), 4096);
            let place = |n: usize| usize::from(places[2 * n]) * 256 + usize::from(places[2 * n + 1]);
            for round in 0..20_usize {
                let mut wrong = whole.clone();
                let mut flipped = std::collections::BTreeSet::new();
                // Of step 2, and of its code.
                while flipped.len() < usize::from(bits) {
                    let at = place(round * 30 + flipped.len()) % (step as usize * 8);
                    let at = if flipped.insert(at) { at } else { (at + 1) % (step as usize * 8) };
                    flipped.insert(at);
                }
                for at in &flipped {
                    wrong[2 * step as usize + at / 8] ^= 1 << (at % 8);
                }
                let outcome = code.correct(&mut wrong, len);
                let count = flipped.len() as u64;
                if count == u64::from(bits) {
                    assert_eq!(outcome, Outcome { bits: count, ..Outcome::default() }, "{bits} {step} {round}");
                    assert!(wrong[..len] == whole[..len]);
                }
            }
            let mut in_code = whole.clone();
            in_code[len + code.first] ^= 0x80;
            assert_eq!(code.correct(&mut in_code, len), Outcome { code_bits: 1, ..Outcome::default() });
            let mut lost = whole.clone();
            for n in 0..usize::from(bits) * 3 + 2 {
                lost[7 + n * 5] ^= 1 << (n % 8);
            }
            let before = lost.clone();
            let outcome = code.correct(&mut lost, len);
            if bits > 1 {
                // A code of one bit takes three for one.
                assert_eq!((outcome.lost, outcome.bits), (1, 0), "{bits} {step}");
                assert!(lost == before);
            }
            let mut erased = vec![0xff; len + 256];
            erased[9] = 0xfe;
            assert_eq!(code.correct(&mut erased, len).bits, 1);
            assert!(erased.iter().all(|b| *b == 0xff));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let geometry = Nand::of(2048, 64);
        let shape = Shape { bits: 4, step: 512, place: None, swapped: false, plain: false };
        assert_eq!(Bch::new(geometry, shape).unwrap().first, 64 - 28);
        assert!(Bch::new(geometry, Shape { bits: 16, ..shape }).is_err());
        assert!(Bch::new(geometry, Shape { place: Some(60), ..shape }).is_err());
        assert_eq!(Bch::new(geometry, Shape { place: Some(8), ..shape }).unwrap().first, 8);
    }
}
