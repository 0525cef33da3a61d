//! The environment of U-Boot: variables in flash behind a CRC-32, alone or in two copies with a counting flag.
//! Format: `env/common.c` and `include/env_internal.h` of U-Boot; the CRC in the byte order of the machine.
use crate::base::Run;
use crate::image::{Source, read_exact};

/// Sizes that boards use, in bytes; CRC and flag count.
const SIZES: &[usize] = &[0x1000, 0x2000, 0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x800, 0x3000, 0x6000, 0xc000];
/// Longest name of a variable that is believed at the start.
const LONGEST: usize = 64;
/// Longest environment whose size is told by somebody else, and variables of one.
const LARGEST: u64 = 1 << 20;
const MOST: usize = 20_000;

/// An environment.
pub struct Environment {
    pub size: u64,
    /// Its CRC fits: a boot loader uses it.
    pub fits: bool,
    /// The counter of one of two copies; `None` where there is only one.
    pub flag: Option<u8>,
    /// Names and values as they stand, with the place of each in the environment.
    pub variables: Vec<(Vec<u8>, Vec<u8>, Run)>,
}
impl Environment {
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables.iter().find(|(n, ..)| n == name.as_bytes()).map(|(_, value, _)| value.as_slice())
    }
}

/// Whether bytes begin like an environment: a name and `=` behind the CRC, or behind the flag.
pub fn looks(bytes: &[u8]) -> bool {
    named(bytes, 4) || named(bytes, 5)
}
fn named(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let len = rest.iter().take(LONGEST).position(|b| *b == b'=');
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'#' | b':' | b'/');
    len.is_some_and(|len| len > 0 && rest.iter().take(len).all(fits))
}

/// The environment at a byte of a source. A single one is told from one of two by what its CRC covers.
pub fn read(source: &Source, at: u64) -> Option<Environment> {
    let head = read_exact(&**source, at, 0x800).ok()??;
    if !looks(&head) {
        return None;
    }
    for size in SIZES {
        let Some(bytes) = read_exact(&**source, at, *size).ok()? else { continue };
        let stored: [u8; 4] = *bytes.first_chunk()?;
        for first in [4, 5] {
            let body = bytes.get(first..)?;
            let sum = crc32fast::hash(body);
            if sum.to_le_bytes() == stored || sum.to_be_bytes() == stored {
                let flag = if first == 5 { bytes.get(4).copied() } else { None };
                return Some(Environment { size: *size as u64, fits: true, flag, variables: variables(&bytes, first) });
            }
        }
    }
    None
}

/// The environment of this size at a byte of a source, also where its CRC does not fit; `None` where nothing there
/// begins like one, or a part of it lies beyond the source.
pub fn sized(source: &Source, at: u64, size: u64) -> Option<Environment> {
    let len = usize::try_from(size).ok().filter(|_| (16..=LARGEST).contains(&size))?;
    let bytes = read_exact(&**source, at, len).ok()??;
    let stored: [u8; 4] = *bytes.first_chunk()?;
    let fits = |first: &usize| {
        let sum = crc32fast::hash(bytes.get(*first..).unwrap_or_default());
        sum.to_le_bytes() == stored || sum.to_be_bytes() == stored
    };
    let found = [4, 5].into_iter().find(fits);
    let first = found.or_else(|| [4, 5].into_iter().find(|first| named(&bytes, *first)))?;
    let flag = if first == 5 { bytes.get(4).copied() } else { None };
    Some(Environment { size, fits: found.is_some(), flag, variables: variables(&bytes, first) })
}

/// Where a copy of an environment lies, and what it says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub image: u32,
    /// Bytes into the image.
    pub offset: u64,
    pub size: u64,
    pub flag: Option<u8>,
    pub fits: bool,
}

/// Which copies belong together, as positions in the list: those with a flag and of one size, two by two in the order
/// in which they lie; one without a flag is alone.
pub fn groups(copies: &[Copied]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..copies.len()).collect();
    let key = |n: &usize| copies.get(*n).map(|c| (c.image, c.flag.is_none(), c.size, c.offset));
    order.sort_by_key(key);
    let mut all: Vec<Vec<usize>> = Vec::new();
    for n in order {
        let Some(copy) = copies.get(n) else { continue };
        let last = all.last_mut().filter(|group| {
            let before = group.first().and_then(|first| copies.get(*first));
            let same = |b: &Copied| b.image == copy.image && b.size == copy.size && b.flag.is_some();
            group.len() == 1 && copy.flag.is_some() && before.is_some_and(same)
        });
        match last {
            Some(group) => group.push(n),
            None => all.push(vec![n]),
        }
    }
    all
}

/// Which of one or two copies U-Boot uses, as a position; `None` where it uses none of them. Of two that hold the one
/// with the higher flag counts, 0 being higher than 255; the first where both are equal. Flash whose flags mark
/// obsolete copies (1 and 0) follows from that.
pub fn used(copies: &[Copied]) -> Option<usize> {
    match copies {
        [one] => one.fits.then_some(0),
        [first, second] => match (first.fits, second.fits) {
            (true, false) => Some(0),
            (false, true) => Some(1),
            (false, false) => None,
            (true, true) => Some(match (first.flag.unwrap_or(0), second.flag.unwrap_or(0)) {
                (255, 0) => 1,
                (0, 255) => 0,
                (a, b) => usize::from(b > a),
            }),
        },
        _ => None,
    }
}

/// Pairs with a zero between them, up to an empty one.
fn variables(bytes: &[u8], first: usize) -> Vec<(Vec<u8>, Vec<u8>, Run)> {
    let mut all = Vec::new();
    let mut at = first;
    while let Some(rest) = bytes.get(at..).filter(|r| r.first().is_some_and(|b| *b != 0 && *b != 0xff)) {
        if all.len() >= MOST {
            break;
        }
        let len = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        let text = rest.get(..len).unwrap_or_default();
        let (name, value) = match text.iter().position(|b| *b == b'=') {
            Some(cut) => (text.get(..cut), text.get(cut.saturating_add(1)..)),
            None => (Some(text), None),
        };
        let run = Run::new(at as u64, len as u64);
        all.push((name.unwrap_or_default().to_vec(), value.unwrap_or_default().to_vec(), run));
        at = at.saturating_add(len).saturating_add(1);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(offset: u64, flag: Option<u8>, fits: bool) -> Copied {
        Copied { image: 0, offset, size: 0x4000, flag, fits }
    }

    #[test]
    fn the_copy_that_counts_is_that_of_the_boot_loader() {
        for (first, second, wanted) in [
            ((1, true), (2, true), Some(1)),
            ((2, true), (1, true), Some(0)),
            ((255, true), (0, true), Some(1)),
            ((0, true), (255, true), Some(0)),
            ((7, true), (7, true), Some(0)),
            // Flags of NOR flash: 1 is in use, 0 is obsolete.
            ((0, true), (1, true), Some(1)),
            ((1, true), (0, true), Some(0)),
            ((9, false), (1, true), Some(1)),
            ((1, true), (9, false), Some(0)),
            ((1, false), (2, false), None),
        ] {
            let both = [copy(0, Some(first.0), first.1), copy(0x4000, Some(second.0), second.1)];
            assert_eq!(used(&both), wanted, "{first:?} {second:?}");
        }
        assert_eq!((used(&[copy(0, None, true)]), used(&[copy(0, None, false)])), (Some(0), None));
    }

    #[test]
    fn copies_with_flags_are_paired_in_their_order() {
        let list = [
            copy(0x9000, Some(1), true),
            copy(0, None, true),
            copy(0x5000, Some(2), true),
            copy(0x20_0000, Some(3), true),
            Copied { size: 0x2000, ..copy(0x1000, Some(4), true) },
        ];
        assert_eq!(groups(&list), [vec![4], vec![2, 0], vec![3], vec![1]]);
    }
}
