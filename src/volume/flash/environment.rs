//! The environment of U-Boot: variables in flash behind a CRC-32, alone or in two copies with a counting flag.
//! Format: `env/common.c` and `include/env_internal.h` of U-Boot; the CRC in the byte order of the machine.
use crate::base::Run;
use crate::image::{Source, read_exact};

/// Sizes that boards use, in bytes; CRC and flag count.
const SIZES: &[usize] = &[0x1000, 0x2000, 0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x800, 0x3000, 0x6000, 0xc000];
/// Longest name of a variable that is believed at the start.
const LONGEST: usize = 64;

/// An environment whose CRC fits.
pub struct Environment {
    pub size: u64,
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
    let named = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = rest.iter().take(LONGEST).position(|b| *b == b'=');
        let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'#' | b':' | b'/');
        len.is_some_and(|len| len > 0 && rest.iter().take(len).all(fits))
    };
    named(4) || named(5)
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
                return Some(Environment { size: *size as u64, flag, variables: variables(&bytes, first) });
            }
        }
    }
    None
}

/// Pairs with a zero between them, up to an empty one.
fn variables(bytes: &[u8], first: usize) -> Vec<(Vec<u8>, Vec<u8>, Run)> {
    let mut all = Vec::new();
    let mut at = first;
    while let Some(rest) = bytes.get(at..).filter(|r| r.first().is_some_and(|b| *b != 0 && *b != 0xff)) {
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
