//! Chunks: how a run of logical bytes is spread over devices.
use super::raw::{KEY, Key, u16_at, u64_at};
use crate::volume::btrfs::Uuid;
use std::collections::BTreeMap;

const SYSTEM: u64 = 2;
const METADATA: u64 = 4;
/// Bytes of a chunk's item before its stripes, and of each stripe.
const HEAD: usize = 48;
const STRIPE: usize = 32;
/// Longest chunk that is believed.
const MAX_LEN: u64 = 1 << 56;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// Each stripe holds all bytes; of `Single` there is one.
    Copies,
    Striped,
    /// Copies side by side, then striped.
    Both,
    /// Striped, with so many parities.
    Parity(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Stripe {
    pub(super) device: u64,
    pub(super) uuid: Uuid,
    /// Byte of the device.
    pub(super) offset: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Logical byte.
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) flags: u64,
    pub(super) profile: Profile,
    pub(super) stripe_len: u64,
    /// Copies side by side.
    sub: usize,
    pub(super) stripes: Vec<Stripe>,
}

/// A place on one of a chunk's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Position among the stripes.
    pub(super) stripe: usize,
    /// Byte of the device.
    pub(super) offset: u64,
    /// Bytes that lie there in one run.
    pub(super) len: u64,
}

impl Chunk {
    /// The item of the chunk that begins at a logical byte; `None` where it contradicts itself.
    pub(super) fn parse(start: u64, bytes: &[u8]) -> Option<Self> {
        let len = u64_at(bytes, 0)?;
        let flags = u64_at(bytes, 24)?;
        let count = usize::from(u16_at(bytes, 44)?);
        let stripes: Vec<Stripe> = bytes
            .get(HEAD..)?
            .as_chunks::<STRIPE>()
            .0
            .iter()
            .take(count)
            .filter_map(|s| {
                Some(Stripe {
                    device: u64_at(s, 0)?,
                    offset: u64_at(s, 8)?,
                    uuid: s.get(16..)?.first_chunk().copied()?,
                })
            })
            .collect();
        let profile = match flags >> 3 & 0xff {
            0 | 2 | 4 | 0x40 | 0x80 => Profile::Copies,
            1 => Profile::Striped,
            8 => Profile::Both,
            0x10 => Profile::Parity(1),
            0x20 => Profile::Parity(2),
            _ => return None,
        };
        let sub = usize::from(u16_at(bytes, 46)?).max(1);
        let mut chunk = Self { start, len, flags, profile, stripe_len: u64_at(bytes, 16)?, sub, stripes };
        let least = match profile {
            Profile::Copies | Profile::Striped => 1,
            Profile::Both => sub,
            Profile::Parity(n) => n.saturating_add(1),
        };
        let striped = chunk.stripe_len >= 4096 && chunk.stripe_len.is_power_of_two();
        let fits = (1..=MAX_LEN).contains(&len)
            && start.checked_add(len).is_some()
            && chunk.stripes.len() == count
            && count >= least
            && striped
            && (profile != Profile::Both || count.is_multiple_of(sub));
        if chunk.profile_name() == "single" {
            chunk.stripes.truncate(1);
        }
        fits.then_some(chunk)
    }
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
    pub(super) fn is_metadata(&self) -> bool {
        self.flags & (METADATA | SYSTEM) != 0
    }
    pub(super) fn is_data(&self) -> bool {
        self.flags & 1 != 0
    }
    /// As `btrfs filesystem usage` names it.
    pub(super) fn profile_name(&self) -> &'static str {
        match self.flags >> 3 & 0xff {
            1 => "raid0",
            2 => "raid1",
            4 => "dup",
            8 => "raid10",
            0x10 => "raid5",
            0x20 => "raid6",
            0x40 => "raid1c3",
            0x80 => "raid1c4",
            _ => "single",
        }
    }
    /// Copies that stand as they are.
    pub(super) fn copies(&self) -> usize {
        match self.profile {
            Profile::Copies => self.stripes.len(),
            Profile::Both => self.sub,
            Profile::Striped | Profile::Parity(_) => 1,
        }
    }
    /// Ways to come by the bytes: copies, then what the rest of a row gives, then that without one more of it.
    pub(super) fn attempts(&self) -> usize {
        match self.profile {
            Profile::Parity(1) => 2,
            Profile::Parity(_) => self.stripes.len().saturating_add(2),
            _ => self.copies(),
        }
    }
    /// Columns of a row that hold different data.
    pub(super) fn columns(&self) -> u64 {
        let count = self.stripes.len() as u64;
        match self.profile {
            Profile::Copies => 1,
            Profile::Striped => count,
            Profile::Both => count / (self.sub as u64).max(1),
            Profile::Parity(n) => count.saturating_sub(n as u64),
        }
        .max(1)
    }
    /// Row, column and byte within both of a byte of the chunk.
    pub(super) fn cell(&self, inside: u64) -> (u64, u64, u64) {
        let number = inside.checked_div(self.stripe_len).unwrap_or(0);
        let rest = inside.checked_rem(self.stripe_len).unwrap_or(0);
        (number / self.columns(), number % self.columns(), rest)
    }
    /// The stripe that holds a column of a row; with parity these turn from row to row.
    pub(super) fn turned(&self, row: u64, column: u64) -> usize {
        let count = (self.stripes.len() as u64).max(1);
        usize::try_from((row % count).saturating_add(column) % count).unwrap_or(0)
    }
    /// Where copy number `copy` of a byte of the chunk stands.
    pub(super) fn spot(&self, inside: u64, copy: usize) -> Option<Spot> {
        if inside >= self.len || copy >= self.copies() {
            return None;
        }
        let (stripe, at, len) = if self.profile == Profile::Copies {
            (copy, inside, self.len.saturating_sub(inside))
        } else {
            let (row, column, rest) = self.cell(inside);
            let first = usize::try_from(column).ok()?;
            let stripe = match self.profile {
                Profile::Both => first.checked_mul(self.sub)?.checked_add(copy)?,
                Profile::Parity(_) => self.turned(row, column),
                _ => first,
            };
            (stripe, row.checked_mul(self.stripe_len)?.checked_add(rest)?, self.stripe_len.saturating_sub(rest))
        };
        let offset = self.stripes.get(stripe)?.offset.checked_add(at)?;
        Some(Spot { stripe, offset, len: len.min(self.len.saturating_sub(inside)) })
    }
}

/// All chunks, by their first logical byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks(pub(super) BTreeMap<u64, Chunk>);

impl Chunks {
    /// The list in a superblock, as far as it can be read; and whether all of it could.
    pub(super) fn of_superblock(mut list: &[u8]) -> (Self, bool) {
        let mut chunks = Self::default();
        while !list.is_empty() {
            let Some((chunk, len)) = (|| {
                let key = Key::parse(list, 0)?;
                let item = list.get(KEY..)?;
                let len = usize::from(u16_at(item, 44)?).checked_mul(STRIPE)?.checked_add(HEAD)?;
                Some((Chunk::parse(key.offset, item.get(..len)?)?, len))
            })() else {
                return (chunks, false);
            };
            chunks.0.insert(chunk.start, chunk);
            list = list.get(KEY.saturating_add(len)..).unwrap_or_default();
        }
        (chunks, true)
    }
    /// The chunk that holds a logical byte.
    pub(super) fn find(&self, logical: u64) -> Option<&Chunk> {
        self.0.range(..=logical).next_back().map(|(_, c)| c).filter(|c| logical < c.end())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chunk(flags: u64, count: u16, sub: u16) -> Option<Chunk> {
        let mut item = vec![0; 48 + usize::from(count) * 32];
        let mut put = |at: usize, value: u64| item.splice(at..at + 8, value.to_le_bytes()).for_each(drop);
        put(0, 1 << 20);
        put(16, 65_536);
        put(24, flags);
        for n in 0..usize::from(count) {
            put(48 + n * 32, n as u64 + 1);
            put(56 + n * 32, (n as u64 + 1) << 24);
        }
        item.splice(44..46, count.to_le_bytes());
        item.splice(46..48, sub.to_le_bytes());
        Chunk::parse(1 << 30, &item)
    }
    fn at(chunk: &Chunk, inside: u64, copy: usize) -> (usize, u64, u64) {
        let spot = chunk.spot(inside, copy).unwrap();
        (spot.stripe, spot.offset - ((spot.stripe as u64 + 1) << 24), spot.len)
    }

    #[test]
    fn bytes_stand_where_the_profile_says() {
        let k = 65_536;
        let mirrored = chunk(1 | 16, 2, 1).unwrap();
        assert_eq!((at(&mirrored, 5, 0), at(&mirrored, 5, 1)), ((0, 5, (1 << 20) - 5), (1, 5, (1 << 20) - 5)));
        let striped = chunk(1 | 8, 3, 1).unwrap();
        assert_eq!(at(&striped, 4 * k + 7, 0), (1, k + 7, k - 7));
        let both = chunk(1 | 64, 4, 2).unwrap();
        assert_eq!((at(&both, 3 * k, 0), at(&both, 3 * k, 1)), ((2, k, k), (3, k, k)));
        let parity = chunk(1 | 128, 3, 1).unwrap();
        // Row 0: data, data, parity; row 1: parity, data, data.
        assert_eq!(
            (at(&parity, k, 0), at(&parity, 2 * k, 0), at(&parity, 3 * k, 0)),
            ((1, 0, k), (1, k, k), (2, k, k))
        );
        assert_eq!(chunk(1, 2, 1).unwrap().stripes.len(), 1);
        for impossible in [(1 | 8 | 16, 2, 1), (1 | 128, 1, 1), (1 | 64, 3, 2), (1, 0, 1)] {
            assert!(chunk(impossible.0, impossible.1, impossible.2).is_none());
        }
    }
}
