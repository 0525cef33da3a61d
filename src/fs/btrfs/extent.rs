//! What a file's bytes are made of: extents inline in their item, plain, compressed, reserved or holes.
use super::Volume;
use super::codec::Codec;
use super::raw::{EXTENT_DATA, Key, u8_at, u64_at};

/// Bytes of an extent's item before inline data, and of one that stands on the devices.
pub(super) const INLINE: usize = 21;
pub(super) const REGULAR: usize = 53;
const PREALLOCATED: u8 = 2;
/// Longest extent that is decoded at once; the format's own limit is 128 KiB.
const MAX_PACKED: u64 = 2 << 20;

/// Where a part of a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Logical byte; whether its checksums are compared is the inode's affair.
    Plain(u64),
    Hole,
    /// Logical byte and length of what is decoded, decoded length, first decoded byte that belongs here.
    Packed {
        at: u64,
        stored: u64,
        len: u64,
        skip: u64,
        codec: Codec,
        inline: bool,
    },
    Lost(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// First byte of the file.
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) from: From,
    /// Inline: in a tree block, whose checksum is its own.
    pub(super) inline: bool,
}
impl Part {
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
    /// The part from a byte of the file on.
    fn behind(mut self, start: u64) -> Option<Self> {
        let cut = start.saturating_sub(self.start);
        self.len = self.len.checked_sub(cut).filter(|n| *n > 0)?;
        self.start = self.start.max(start);
        match &mut self.from {
            From::Plain(at) => *at = at.saturating_add(cut),
            From::Packed { skip, .. } => *skip = skip.saturating_add(cut),
            From::Hole | From::Lost(_) => {}
        }
        Some(self)
    }
}

/// The part that an item describes; `None` where it is cut short.
pub(super) fn parse(start: u64, data: &[u8], logical: u64, sector: u64) -> Option<Part> {
    let ram = u64_at(data, 8)?;
    let compression = u8_at(data, 16)?;
    let encoded = u8_at(data, 17)? != 0 || data.get(18..20)? != [0, 0];
    let kind = u8_at(data, 20)?;
    let lost = |what| From::Lost(what);
    let codec = Codec::of(compression);
    let inline = kind == 0;
    if inline {
        let at = logical.checked_add(INLINE as u64)?;
        let stored = data.get(INLINE..)?.len() as u64;
        let (len, from) = match (compression, codec) {
            _ if encoded => (ram.min(sector), lost("an encrypted extent is not read")),
            (0, _) => (stored, From::Plain(at)),
            (_, Some(codec)) if ram <= MAX_PACKED => {
                (ram, From::Packed { at, stored, len: ram, skip: 0, codec, inline: true })
            }
            _ => (ram.min(MAX_PACKED), lost("an unknown compression is not read")),
        };
        return Some(Part { start, len, from, inline });
    }
    let (disk, stored, offset, len) = (u64_at(data, 21)?, u64_at(data, 29)?, u64_at(data, 37)?, u64_at(data, 45)?);
    let from = match (compression, codec) {
        _ if disk == 0 || kind == PREALLOCATED => From::Hole,
        _ if kind != 1 => lost("an unknown kind of extent is not read"),
        _ if encoded => lost("an encrypted extent is not read"),
        (0, _) => disk
            .checked_add(offset)
            .filter(|at| at.checked_add(len).is_some())
            .map_or(lost("an extent lies beyond all bytes"), From::Plain),
        (_, None) => lost("an unknown compression is not read"),
        (_, Some(_)) if ram > MAX_PACKED || stored > MAX_PACKED => lost("a compressed extent has an impossible size"),
        (_, Some(_)) if offset.checked_add(len).is_none_or(|end| end > ram) => {
            lost("an extent reaches beyond what was compressed")
        }
        (_, Some(codec)) => From::Packed { at: disk, stored, len: ram, skip: offset, codec, inline: false },
    };
    Some(Part { start, len, from, inline })
}

/// The parts of a file in order, not overlapping; and whether all of them could be read.
pub(super) fn parts(volume: &Volume, subvolume: u64, inode: u64) -> (Vec<Part>, bool) {
    let mut list: Vec<Part> = Vec::new();
    let mut steps = volume.budget;
    let mut cut = false;
    let note = |what, logical: u64| {
        volume.damage.note(what, inode, volume.blocks.space.volume_offset(logical), 0);
    };
    let from = Key::new(inode, EXTENT_DATA, 0);
    let whole = volume.items(subvolume, from, Key::new(inode, EXTENT_DATA, u64::MAX), &mut |item| {
        if steps.step(1).is_err() {
            note("budget: extents of a file; the rest is not read", item.logical);
            cut = true;
            return false;
        }
        let part = parse(item.key.offset, item.data, item.logical, u64::from(volume.sb.sector));
        let Some(part) = part.filter(|p| p.len > 0) else {
            note("an extent of a file is cut short; not read", item.logical);
            return true;
        };
        let end = list.last().map_or(0, Part::end);
        if part.start < end {
            note("extents of a file overlap; the first counts", item.logical);
        }
        list.extend(part.behind(end));
        true
    });
    (list, whole && !cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(compression: u8, kind: u8, fields: [u64; 5]) -> Vec<u8> {
        let mut data = vec![0; REGULAR];
        let mut put = |at: usize, v: u64| data.splice(at..at + 8, v.to_le_bytes()).for_each(drop);
        for (at, v) in [(8, fields[0]), (21, fields[1]), (29, fields[2]), (37, fields[3]), (45, fields[4])] {
            put(at, v);
        }
        data.splice(16..17, [compression]);
        data.splice(20..21, [kind]);
        data
    }

    #[test]
    fn every_kind_is_told_from_the_others() {
        let from = |data: &[u8]| parse(4096, data, 1000, 4096).map(|p| p.from);
        assert_eq!(from(&item(0, 1, [8192, 1 << 20, 8192, 4096, 4096])), Some(From::Plain((1 << 20) + 4096)));
        assert_eq!(from(&item(0, 1, [8192, 0, 0, 0, 8192])), Some(From::Hole));
        assert_eq!(from(&item(0, 2, [8192, 1 << 20, 8192, 0, 8192])), Some(From::Hole));
        assert!(matches!(from(&item(2, 1, [8192, 1 << 20, 4096, 0, 8192])), Some(From::Packed { .. })));
        assert!(matches!(from(&item(2, 1, [8192, 1 << 20, 4096, 4096, 8192])), Some(From::Lost(_))));
        assert!(matches!(from(&item(9, 1, [8192, 1 << 20, 4096, 0, 8192])), Some(From::Lost(_))));
        assert!(matches!(from(&item(1, 1, [1 << 40, 1 << 20, 4096, 0, 1 << 40])), Some(From::Lost(_))));
        assert_eq!(parse(0, &[0; 40], 1000, 4096).map(|p| (p.len, p.from)), Some((19, From::Plain(1021))));
        let whole = item(0, 1, [8192, 1 << 20, 8192, 4096, 4096]);
        assert!(
            (0..REGULAR).all(|n| from(whole.get(..n).unwrap_or_default()).is_none_or(|f| n < 53 && f != From::Hole))
        );
    }
    #[test]
    fn what_overlaps_is_cut_off() {
        let part = Part { start: 0, len: 8192, from: From::Plain(100), inline: false };
        assert_eq!(
            part.clone().behind(4096),
            Some(Part { start: 4096, len: 4096, from: From::Plain(4196), inline: false })
        );
        assert_eq!(part.clone().behind(0), Some(part.clone()));
        assert_eq!(part.behind(8192), None);
    }
}
