//! The changes: each hits a structure at a field, and its checksum is mended more often than not, so that what lies
//! behind the checksum is reached as well.
use super::{Disk, Layout, Part, Random};
use std::collections::HashMap;
use std::fmt;

/// What was done to an image.
#[derive(Clone, Debug)]
pub struct Change {
    pub how: &'static str,
    /// Kind of the structure.
    pub kind: &'static str,
    /// Byte of the image at which the structure begins.
    pub at: u64,
    /// Byte of the structure.
    pub offset: usize,
    /// Whether the checksum fits.
    pub mended: bool,
}
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = if self.mended { "mended" } else { "not mended" };
        write!(f, "{} of {} at {} +{} ({sum})", self.how, self.kind, self.at, self.offset)
    }
}

/// Values at which lengths and counts turn.
fn border(random: &mut Random, width: usize) -> u64 {
    let max = if width >= 8 { u64::MAX } else { (1 << (width * 8)) - 1 };
    let sign = 1_u64 << (width * 8 - 1);
    let values = [0, 1, 2, max, max - 1, sign, sign - 1, sign + 1, max / 2, 0xff, 0x100, 0xffff, 0x1_0000, 1 << 20];
    values[random.index(values.len())] & max
}
fn read(bytes: &[u8], big: bool) -> u64 {
    let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
    if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
}
fn write(bytes: &mut [u8], big: bool, value: u64) {
    let width = bytes.len();
    for (n, byte) in bytes.iter_mut().enumerate() {
        let shift = if big { width - 1 - n } else { n } * 8;
        *byte = (value >> shift) as u8;
    }
}

/// The places of a structure that hold a number by which others are pointed at.
fn pointers(bytes: &[u8], names: &HashMap<u64, usize>, big: bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (width, step) in [(8, 8), (4, 4), (6, 2)] {
        for at in (0..bytes.len().saturating_sub(width - 1)).step_by(step) {
            if names.contains_key(&read(&bytes[at..at + width], big)) {
                found.push((at, width));
            }
        }
    }
    found
}

/// The numbers that lead to structures, with the structure's position.
pub fn names(parts: &[Part]) -> HashMap<u64, usize> {
    let all = parts.iter().enumerate().flat_map(|(n, p)| p.names.iter().map(move |name| (*name, n)));
    all.filter(|(name, _)| *name > 1).collect()
}

/// The image with one change or several, decided by `seed` alone; one change where `seed` is even.
pub fn mutant(
    whole: &Disk,
    parts: &[Part],
    names: &HashMap<u64, usize>,
    layout: &Layout,
    seed: u64,
) -> (Disk, Vec<Change>) {
    let mut random = Random(seed);
    let mut disk = whole.clone();
    let mut changes = Vec::new();
    let count = if seed.is_multiple_of(2) { 1 } else { 2 + random.below(10) };
    // Kinds with few structures are hit as often as those with many, half of the time.
    let mut kinds: Vec<&str> = parts.iter().map(|p| p.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for _ in 0..count {
        let part = if random.below(2) == 0 {
            let Some(kind) = random.pick(&kinds) else { break };
            let of: Vec<&Part> = parts.iter().filter(|p| p.kind == *kind).collect();
            of[random.index(of.len())]
        } else {
            let Some(part) = random.pick(parts) else { break };
            part
        };
        if let Some(change) = apply(&mut disk, part, parts, names, layout, &mut random) {
            changes.push(change);
        }
    }
    (disk, changes)
}

fn apply(
    disk: &mut Disk,
    part: &Part,
    parts: &[Part],
    names: &HashMap<u64, usize>,
    layout: &Layout,
    random: &mut Random,
) -> Option<Change> {
    let mended = layout.mend.is_some() && random.below(4) > 0;
    let mut bytes = disk.get(part.at, part.len);
    if let Some(plain) = layout.plain {
        plain(part, &mut bytes);
    }
    // The head of a structure says more than its end.
    let reach = [64, 256, part.len][random.index(3)].min(part.len).max(1);
    let width = [1, 2, 4, 8][random.index(4)];
    let field = |random: &mut Random| {
        let at = random.index(reach);
        (at - at % width).min(part.len.saturating_sub(width))
    };
    let mut offset = 0;
    let how = match random.below(16) {
        0..=3 => {
            offset = random.index(reach);
            *bytes.get_mut(offset)? ^= 1 << random.below(8);
            "bit flipped"
        }
        4..=6 => {
            offset = field(random);
            write(bytes.get_mut(offset..offset + width)?, layout.big, border(random, width));
            "border value"
        }
        7 => {
            offset = field(random);
            let place = bytes.get_mut(offset..offset + width)?;
            let old = read(place, layout.big);
            let new = if random.below(2) == 0 { old.wrapping_add(1) } else { old.wrapping_sub(1) };
            write(place, layout.big, new);
            "one more or less"
        }
        8..=10 => {
            let all = pointers(&bytes, names, layout.big);
            let (at, width) = *random.pick(&all)?;
            offset = at;
            let place = bytes.get_mut(at..at + width)?;
            let own = part.names.first().copied().unwrap_or_default();
            let other = random.pick(parts)?.names.first().copied().unwrap_or_default();
            let far = names.keys().max().copied().unwrap_or_default();
            let (to, how) = match random.below(4) {
                0 => (own, "pointer to itself"),
                1 => (other, "pointer to another"),
                2 => (far.saturating_mul(1000) & ((1 << (width * 8 - 1)) - 1), "pointer out of the volume"),
                _ => (0, "pointer to nothing"),
            };
            write(place, layout.big, to);
            how
        }
        11 | 12 => {
            let of: Vec<&Part> = parts.iter().filter(|p| p.kind == part.kind && p.len == part.len).collect();
            let other = of[random.index(of.len())];
            if other.at == part.at {
                return None;
            }
            let mut theirs = disk.get(other.at, other.len);
            if let Some(plain) = layout.plain {
                plain(other, &mut theirs);
            }
            let swap = random.below(2) == 0;
            if swap {
                let mut ours = bytes;
                if let (Some(mend), true) = (layout.mend, mended) {
                    mend(other, &mut ours);
                }
                disk.put(other.at, &ours);
            }
            bytes = theirs;
            if swap { "swapped with another" } else { "another in its place" }
        }
        13 => {
            bytes.fill(if random.below(4) == 0 { 0xff } else { 0 });
            "erased"
        }
        14 => {
            offset = random.index(part.len);
            if random.below(3) > 0 {
                bytes.get_mut(offset..)?.fill(0);
                "end erased"
            } else {
                disk.len = part.at + offset as u64;
                return Some(Change { how: "image cut", kind: part.kind, at: part.at, offset, mended: false });
            }
        }
        _ => {
            offset = field(random);
            let place = bytes.get_mut(offset..offset + width)?;
            write(place, layout.big, random.next());
            "noise"
        }
    };
    // Of a structure that has no checksum, what was written fits.
    let mut fitting = bytes.clone();
    if let Some(mend) = layout.mend {
        mend(part, &mut fitting);
    }
    let mended = mended || fitting == bytes;
    disk.put(part.at, if mended { &fitting } else { &bytes });
    Some(Change { how, kind: part.kind, at: part.at, offset, mended })
}
