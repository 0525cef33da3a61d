//! Blocks spread over devices: stripes, mirrors, parity, as Linux md and device-mapper's raid target do it.
//! Layouts: the kernel's `Documentation/admin-guide/device-mapper/dm-raid.rst` and `md(4)`; parity of RAID 6 by
//! H. P. Anvin, "The mathematics of RAID-6".
use crate::base::{Piece, PieceKind, Run};
use crate::image::{self, ReadAt, ReadError, Source};

/// Where a row's parity stands, and in which order its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parity {
    LeftAsymmetric,
    RightAsymmetric,
    LeftSymmetric,
    RightSymmetric,
    First,
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// RAID 0, all devices alike.
    Striped,
    Mirrored,
    /// RAID 4 and 5.
    Single(Parity),
    /// RAID 6. `by_device`: the second parity weighs data by its device, not by its turn (DDF layouts).
    Double {
        parity: Parity,
        by_device: bool,
    },
    /// RAID 10: copies side by side, copies a section further on, and whether these follow in the next row.
    Copies {
        near: u64,
        far: u64,
        offset: bool,
    },
}

/// An array. Devices are in the order of their roles; those that are missing or not in sync are `None`.
pub(crate) struct Array {
    pub level: Level,
    pub devices: Vec<Option<Source>>,
    /// Bytes of a chunk.
    pub chunk: u64,
    /// Bytes of the array.
    pub len: u64,
}

/// A place on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    device: usize,
    offset: u64,
}

impl Array {
    /// Bytes that an array of these devices has; `None` where the geometry is impossible.
    pub(crate) fn capacity(level: Level, devices: u64, chunk: u64, used: u64) -> Option<u64> {
        if devices == 0 || devices > 4096 || (chunk == 0 && level != Level::Mirrored) {
            return None;
        }
        let rows = |used: u64| Some(used.checked_div(chunk)?.saturating_mul(chunk));
        match level {
            Level::Striped => rows(used)?.checked_mul(devices),
            Level::Mirrored => Some(used),
            Level::Single(_) => rows(used)?.checked_mul(devices.checked_sub(1).filter(|n| *n > 0)?),
            Level::Double { .. } => rows(used)?.checked_mul(devices.checked_sub(2).filter(|n| *n > 0)?),
            Level::Copies { near, far, .. } => {
                near.checked_mul(far).filter(|c| *c > 0 && *c <= devices)?;
                // Rows of one section, all devices, less the copies side by side.
                let rows = used.checked_div(chunk)?.checked_div(far)?.checked_mul(devices)?.checked_div(near)?;
                rows.checked_mul(chunk)
            }
        }
    }

    fn count(&self) -> u64 {
        self.devices.len() as u64
    }

    /// Places of the byte, the first being the preferred; and how many bytes lie there in one run.
    fn copies(&self, offset: u64) -> Option<(Vec<Spot>, u64)> {
        if self.level == Level::Mirrored {
            let all = (0..self.devices.len()).map(|device| Spot { device, offset });
            return Some((all.collect(), self.len.checked_sub(offset)?));
        }
        let number = offset.checked_div(self.chunk)?;
        let inside = offset.checked_rem(self.chunk)?;
        let left = self.chunk.checked_sub(inside)?;
        let spot = |device: u64, row: u64| {
            let offset = row.checked_mul(self.chunk)?.checked_add(inside)?;
            Some(Spot { device: usize::try_from(device).ok()?, offset })
        };
        let spots = match self.level {
            Level::Striped => {
                vec![spot(number.checked_rem(self.count())?, number.checked_div(self.count())?)?]
            }
            Level::Single(_) | Level::Double { .. } => {
                let (row, device) = self.data_place(number)?;
                vec![spot(device, row)?]
            }
            Level::Copies { near, far, offset } => {
                let first = number.checked_mul(near)?;
                let (row, device) = (first.checked_div(self.count())?, first.checked_rem(self.count())?);
                // Rows of a section: as many as all copies of all chunks need.
                let chunks = self.len.div_ceil(self.chunk).checked_mul(near)?.checked_mul(far)?;
                let section = chunks.div_ceil(self.count()).checked_div(far)?;
                let mut spots = Vec::new();
                for f in 0..far {
                    for n in 0..near {
                        let position = device.checked_add(n)?;
                        // Copies side by side may go on in the next row.
                        let wrapped = position.checked_div(self.count())?;
                        let device = position.checked_add(f.checked_mul(near)?)?.checked_rem(self.count())?;
                        let (first, step) =
                            if offset { (row.checked_mul(far)?, f) } else { (row, f.checked_mul(section)?) };
                        spots.push(spot(device, first.checked_add(wrapped)?.checked_add(step)?)?);
                    }
                }
                spots
            }
            Level::Mirrored => Vec::new(),
        };
        Some((spots, left))
    }

    /// How many devices of a row hold parity, and where.
    fn parity(&self) -> Option<(u64, Parity)> {
        match self.level {
            Level::Single(parity) => Some((1, parity)),
            Level::Double { parity, .. } => Some((2, parity)),
            _ => None,
        }
    }

    /// Row and device of a chunk of data.
    fn data_place(&self, number: u64) -> Option<(u64, u64)> {
        let (parities, _) = self.parity()?;
        let width = self.count().checked_sub(parities)?;
        let (row, nth) = (number.checked_div(width)?, number.checked_rem(width)?);
        Some((row, self.data_device(row, nth)?))
    }

    /// The device of a row's first parity chunk.
    fn parity_device(&self, row: u64) -> Option<u64> {
        let (parities, parity) = self.parity()?;
        let (count, turn) = (self.count(), row.checked_rem(self.count())?);
        let last = count.checked_sub(1)?;
        Some(match parity {
            Parity::LeftAsymmetric | Parity::LeftSymmetric => last.checked_sub(turn)?,
            Parity::RightAsymmetric | Parity::RightSymmetric => turn,
            Parity::First => 0,
            Parity::Last => count.checked_sub(parities)?,
        })
    }

    /// The device of the `nth` data chunk of a row.
    fn data_device(&self, row: u64, nth: u64) -> Option<u64> {
        let (parities, parity) = self.parity()?;
        let (count, p) = (self.count(), self.parity_device(row)?);
        match parity {
            Parity::LeftSymmetric | Parity::RightSymmetric => {
                p.checked_add(parities)?.checked_add(nth)?.checked_rem(count)
            }
            Parity::LeftAsymmetric | Parity::RightAsymmetric => {
                // Data in order, stepping over the parity; that of RAID 6 may go around the edge.
                let q_wraps = parities == 2 && p.checked_add(1)? == count;
                if q_wraps {
                    nth.checked_add(1)
                } else if nth >= p {
                    nth.checked_add(parities)
                } else {
                    Some(nth)
                }
            }
            Parity::First => nth.checked_add(parities),
            Parity::Last => Some(nth),
        }
    }

    /// With which power of the generator the second parity of a row takes a device's data.
    fn weight(&self, row: u64, device: u64) -> Option<u8> {
        if matches!(self.level, Level::Double { by_device: true, .. }) {
            return Some(power(device));
        }
        let (count, p) = (self.count(), self.parity_device(row)?);
        let q = p.checked_add(1)?.checked_rem(count)?;
        // Data is counted from the device after the second parity, around the edge.
        let order = (1..count).filter_map(|n| q.checked_add(n)?.checked_rem(count)).filter(|d| *d != p);
        order.zip(0..).find(|(d, _)| *d == device).map(|(_, turn)| power(turn))
    }

    fn read_spot(&self, spot: Spot, buf: &mut [u8]) -> Result<(), String> {
        let device = self.devices.get(spot.device).and_then(Option::as_ref);
        let device = device.ok_or_else(|| format!("device {} of the array is missing", spot.device))?;
        match device.read_at(spot.offset, buf) {
            Ok(n) if n == buf.len() => Ok(()),
            Ok(_) => Err(format!("device {} of the array ends too early", spot.device)),
            Err(e) => Err(format!("device {} of the array: {e}", spot.device)),
        }
    }

    /// A chunk's bytes from the rest of its row. `offset` is one of the array, within one chunk with all of `buf`.
    fn rebuild(&self, offset: u64, buf: &mut [u8]) -> Result<(), String> {
        let none = || "the array's geometry is impossible".to_owned();
        let (parities, _) = self.parity().ok_or_else(|| "no copy of it is left".to_owned())?;
        let number = offset.checked_div(self.chunk).ok_or_else(none)?;
        let inside = offset.checked_rem(self.chunk).ok_or_else(none)?;
        let (row, lost) = self.data_place(number).ok_or_else(none)?;
        let at = row.checked_mul(self.chunk).and_then(|r| r.checked_add(inside)).ok_or_else(none)?;
        let width = self.count().checked_sub(parities).ok_or_else(none)?;
        let p_device = self.parity_device(row).ok_or_else(none)?;
        let q_device =
            (parities == 2).then(|| p_device.checked_add(1).map(|q| q.checked_rem(self.count()).unwrap_or(0)));
        let read = |device: u64, buf: &mut [u8]| {
            self.read_spot(Spot { device: usize::try_from(device).unwrap_or(usize::MAX), offset: at }, buf)
        };
        // Sums over the data that is there: plain, and weighted for the second parity.
        let (mut sum, mut weighted) = (vec![0_u8; buf.len()], vec![0_u8; buf.len()]);
        let mut chunk = vec![0_u8; buf.len()];
        let mut missing = Vec::new();
        let mut mine = 1;
        for nth in 0..width {
            let device = self.data_device(row, nth).ok_or_else(none)?;
            let weight = if parities == 2 { self.weight(row, device).ok_or_else(none)? } else { 1 };
            if device == lost {
                mine = weight;
                missing.push(weight);
            } else if read(device, &mut chunk).is_ok() {
                add(&mut sum, &chunk);
                add_scaled(&mut weighted, &chunk, weight);
            } else {
                missing.push(weight);
            }
        }
        let p = read(p_device, &mut chunk).ok().map(|()| chunk.clone());
        let q = q_device.flatten().and_then(|q| read(q, &mut chunk).ok().map(|()| chunk.clone()));
        match (missing.as_slice(), p, q) {
            ([_], Some(p), _) => {
                add(&mut sum, &p);
                buf.copy_from_slice(&sum);
            }
            ([_], None, Some(q)) => {
                add(&mut weighted, &q);
                buf.fill(0);
                add_scaled(buf, &weighted, inverse(mine));
            }
            ([a, b], Some(p), Some(q)) => {
                // D_a + D_b = P', g^a D_a + g^b D_b = Q'.
                let other = if *a == mine { *b } else { *a };
                add(&mut sum, &p);
                add(&mut weighted, &q);
                add_scaled(&mut weighted, &sum, other);
                buf.fill(0);
                add_scaled(buf, &weighted, inverse(mine ^ other));
            }
            _ => return Err("too many devices of the array are missing".to_owned()),
        }
        Ok(())
    }
}

impl ReadAt for Array {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let end = offset.saturating_add(buf.len() as u64).min(self.len);
        let mut at = offset;
        while at < end {
            let fail = |what: String| ReadError { offset: at, what };
            let (spots, left) = self.copies(at).ok_or_else(|| fail("the array's geometry is impossible".into()))?;
            let len = left.min(end.saturating_sub(at));
            let from = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
            let Some(part) = buf.get_mut(from..to).filter(|p| !p.is_empty()) else { break };
            if !spots.iter().any(|spot| self.read_spot(*spot, part).is_ok()) {
                self.rebuild(at, part).map_err(fail)?;
            }
            at = at.saturating_add(len);
        }
        Ok(usize::try_from(at.saturating_sub(offset)).unwrap_or(0))
    }
    /// The first copy that exists; what would be rebuilt from others lies nowhere as it is.
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        let mut pieces: Vec<Piece> = Vec::new();
        while at < end {
            let Some((spots, left)) = self.copies(at) else { break };
            let len = left.min(end.saturating_sub(at));
            let device = |s: &Spot| self.devices.get(s.device).and_then(Option::as_ref).map(|d| (d, s.offset));
            let found = spots.iter().find_map(device);
            let absent = || vec![Piece { image: 0, offset: 0, len, kind: PieceKind::Absent }];
            let run = found.map_or_else(absent, |(d, offset)| image::pieces(&**d, Run::new(offset, len)));
            for piece in run {
                match pieces.last_mut() {
                    Some(last)
                        if last.kind == PieceKind::Stored
                            && piece.kind == PieceKind::Stored
                            && last.image == piece.image
                            && last.offset.saturating_add(last.len) == piece.offset =>
                    {
                        last.len = last.len.saturating_add(piece.len);
                    }
                    _ => pieces.push(piece),
                }
            }
            at = at.saturating_add(len);
        }
        pieces
    }
}

pub(crate) fn add(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t ^= f);
}
pub(crate) fn add_scaled(to: &mut [u8], from: &[u8], by: u8) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t ^= times(*f, by));
}
/// Product in GF(2^8) with the polynomial 0x11d.
fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        let carry = a & 0x80 != 0;
        a <<= 1;
        if carry {
            a ^= 0x1d;
        }
        b >>= 1;
    }
    product
}
/// The generator 2 to the power `n`.
pub(crate) fn power(n: u64) -> u8 {
    (0..n.checked_rem(255).unwrap_or(0)).fold(1, |p, _| times(p, 2))
}
/// `a` to the power 254, which is its inverse.
pub(crate) fn inverse(a: u8) -> u8 {
    (0..253).fold(a, |p, _| times(p, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_one() {
        for a in 1..=255_u8 {
            assert_eq!(times(a, inverse(a)), 1, "{a}");
        }
        assert_eq!((power(0), power(8), power(255)), (1, 0x1d, 1));
    }
}
