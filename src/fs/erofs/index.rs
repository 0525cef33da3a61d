//! The table of a compressed file: for each piece of its decoded bytes, which cluster holds it. The long form has
//! eight bytes for each block of the file, the short one two or four.
//! Format: see `superblock.rs`, "compression"; the structures `z_erofs_map_header` and `z_erofs_lcluster_index`.
use super::Volume;
use super::inode::Inode;
use crate::fs::raw::{size, u8_at, u16_at, u32_at, u64_at};
use crate::image::read_exact;

/// Blocks of one file whose entries are read: 64 GiB in blocks of 4 KiB.
const MAX_ENTRIES: u64 = 16 << 20;
/// Bytes of the table read at once; a multiple of every pack.
const CHUNK: u64 = 64 << 10;
/// In a distance: it is a count of blocks instead.
const COUNT: u32 = 1 << 11;

const SHORT_PACKS: u16 = 1;
const BIG_FIRST: u16 = 2;
const BIG_SECOND: u16 = 4;
const INLINE: u16 = 8;
const INTERLACED: u16 = 16;
const FRAGMENT: u16 = 32;

/// How a cluster holds its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// From its first byte on.
    Plain,
    /// Each byte at its own place of a block, wrapped around.
    Interlaced,
    /// By the compressor with this number.
    Packed(u8),
}

/// Where a cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// From this block on, so many.
    Blocks(u32, u32),
    /// In the volume, behind the table: byte and length.
    Inline(u64, u64),
    /// In the inode that holds the ends of many files, from this byte on.
    Fragment(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// First byte of the file.
    pub(super) start: u64,
    pub(super) form: Form,
    pub(super) place: Place,
}

/// Sorted by start, without holes between them from the first on.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) extents: Vec<Extent>,
    /// Byte of the file from which on the table could not be read, and why.
    pub(super) lost: Option<(u64, String)>,
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Head {
        kind: u8,
        offset: u32,
        block: u32,
    },
    /// Further blocks of the cluster before, with their count if it is told.
    Body(Option<u32>),
}

struct Head {
    advise: u16,
    algorithms: [u8; 2],
    /// Power of two of the bytes that an entry stands for.
    log: u32,
    inline: u16,
    fragment: u32,
}

pub(super) fn read(volume: &Volume, inode: &Inode, full: bool) -> Result<Index, String> {
    let at = inode.behind().next_multiple_of(8);
    let bytes = read_exact(&*volume.source, at, 8).map_err(|e| e.to_string())?.ok_or("its head is cut off")?;
    let bits = u8_at(&bytes, 7).unwrap_or(0);
    if bits & 0x80 != 0 {
        let from = u64_at(&bytes, 0).unwrap_or(0) & !(1 << 63);
        return Ok(Index {
            extents: vec![Extent { start: 0, form: Form::Plain, place: Place::Fragment(from) }],
            lost: None,
        });
    }
    let algorithms = u8_at(&bytes, 6).unwrap_or(0);
    let head = Head {
        advise: u16_at(&bytes, 4).unwrap_or(0),
        algorithms: [algorithms & 15, algorithms >> 4],
        log: u32::from(volume.sb.log).saturating_add(u32::from(bits & 7)),
        inline: u16_at(&bytes, 2).unwrap_or(0),
        fragment: u32_at(&bytes, 0).unwrap_or(0),
    };
    if head.log > 20 {
        return Err(format!("an entry stands for 2^{} bytes", head.log));
    }
    let count = inode.len.div_ceil(1 << head.log);
    let wanted = count.min(MAX_ENTRIES);
    let mut build = Build { volume, head: &head, out: Index::default(), open: None, last: None };
    let behind =
        if full { build.full(at.saturating_add(16), wanted) } else { build.short(at.saturating_add(8), wanted) };
    if build.out.lost.is_none() && wanted < count {
        build.out.lost = Some((wanted << head.log, "budget: blocks of one compressed file".to_owned()));
    }
    let Build { mut out, last, .. } = build;
    // An entry that stands for the file's last bytes may name a cluster behind them.
    while out.extents.last().is_some_and(|e| e.start >= inode.len) {
        out.extents.pop();
    }
    if out.lost.is_none()
        && let Some(extent) = out.extents.last_mut()
    {
        if head.advise & INLINE != 0 && head.inline > 0 {
            extent.place = Place::Inline(behind, head.inline.into());
        } else if head.advise & FRAGMENT != 0 {
            let high = if full { u64::from(last.unwrap_or(0)) << 32 } else { 0 };
            extent.place = Place::Fragment(high | u64::from(head.fragment));
        }
    }
    if let Some(first) = out.extents.first().filter(|e| e.start > 0) {
        return Err(format!("it begins with byte {} of the file", first.start));
    }
    Ok(out)
}

struct Build<'a> {
    volume: &'a Volume,
    head: &'a Head,
    out: Index,
    /// The last extent may get a count of blocks from the next entry.
    open: Option<u8>,
    /// Block of the last head.
    last: Option<u32>,
}

impl Build<'_> {
    fn lose(&mut self, number: u64, what: impl Into<String>) {
        self.out.lost.get_or_insert((number << self.head.log, what.into()));
    }
    fn bytes(&mut self, at: u64, len: u64, number: u64) -> Option<Vec<u8>> {
        match read_exact(&*self.volume.source, at, size(len)) {
            Ok(Some(bytes)) => return Some(bytes),
            Ok(None) => self.lose(number, "its table of blocks reaches beyond the end of the volume"),
            Err(e) => self.lose(number, format!("its table of blocks: {e}")),
        }
        None
    }
    fn take(&mut self, number: u64, entry: Entry) -> bool {
        match entry {
            Entry::Body(count) => {
                if let (Some(count), Some(kind)) = (count, self.open.take()) {
                    let big = if kind == 3 { BIG_SECOND } else { BIG_FIRST };
                    if self.head.advise & big == 0 {
                        self.lose(number, "a count of blocks where clusters have one");
                        return false;
                    }
                    if let Some(Extent { place: Place::Blocks(_, blocks), .. }) = self.out.extents.last_mut() {
                        *blocks = count;
                    }
                }
                if self.out.extents.is_empty() {
                    self.lose(number, "its table of blocks begins within a cluster");
                    return false;
                }
                self.open = None;
            }
            Entry::Head { kind, offset, block } => {
                if offset >= 1 << self.head.log {
                    self.lose(number, "an entry of its table of blocks begins beyond its block");
                    return false;
                }
                let form = match kind {
                    0 if self.head.advise & INTERLACED != 0 => Form::Interlaced,
                    0 => Form::Plain,
                    1 => Form::Packed(self.head.algorithms[0]),
                    _ => Form::Packed(self.head.algorithms[1]),
                };
                let start = (number << self.head.log).saturating_add(offset.into());
                // A cluster of one entry has as many blocks as the entry stands for.
                let blocks = 1 << self.head.log.saturating_sub(self.volume.sb.log.into());
                self.out.extents.push(Extent { start, form, place: Place::Blocks(block, blocks) });
                self.open = Some(kind);
                self.last = Some(block);
            }
        }
        true
    }
    /// Eight bytes an entry. Gives the byte behind the table.
    fn full(&mut self, at: u64, count: u64) -> u64 {
        let mut number = 0;
        while number < count {
            let here = at.saturating_add(number.saturating_mul(8));
            let some = count.saturating_sub(number).min(CHUNK / 8);
            let Some(bytes) = self.bytes(here, some.saturating_mul(8), number) else { break };
            for entry in bytes.as_chunks::<8>().0 {
                let kind = entry[0] & 3;
                let block = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
                let entry = if kind == 2 {
                    let distance = block & 0xffff;
                    Entry::Body((distance & COUNT != 0).then_some(distance & !COUNT))
                } else {
                    Entry::Head { kind, offset: u16::from_le_bytes([entry[2], entry[3]]).into(), block }
                };
                if !self.take(number, entry) {
                    return here;
                }
                number = number.saturating_add(1);
            }
        }
        at.saturating_add(count.saturating_mul(8))
    }
    /// Packs of two entries in 8 bytes up to a border of 32, then of sixteen in 32 where such are used, and the rest
    /// in packs of two. Gives the byte behind the last pack.
    fn short(&mut self, at: u64, count: u64) -> u64 {
        let first = ((32 - at % 32) / 4 % 8).min(count);
        let dense = if self.head.advise & SHORT_PACKS != 0 && self.head.log <= 12 {
            count.saturating_sub(first) / 16 * 16
        } else {
            0
        };
        if self.head.log > 14 {
            self.lose(0, "short entries for blocks of more than 16 KiB");
            return at;
        }
        let mut place = at;
        let mut number = 0;
        for (entries, each, pack) in
            [(first, 2, 8), (dense, 16, 32), (count.saturating_sub(first).saturating_sub(dense), 2, 8)]
        {
            let end = number + entries;
            while number < end {
                let packs = (end - number).div_ceil(each).min(CHUNK / pack);
                let Some(bytes) = self.bytes(place, packs * pack, number) else { return place };
                for pack in bytes.chunks_exact(size(pack)) {
                    for entry in unpack(pack, each, self.head) {
                        if number >= end {
                            break;
                        }
                        match entry {
                            Some(entry) if self.take(number, entry) => {}
                            Some(_) => return place,
                            None => {
                                self.lose(number, "an entry of its table of blocks contradicts itself");
                                return place;
                            }
                        }
                        number += 1;
                    }
                }
                place = place.saturating_add(packs * pack);
            }
        }
        place
    }
}

/// The entries of one pack. A head does not say where it stands: it follows the clusters before it in the pack,
/// of which the first begins at the block at the pack's end.
fn unpack(pack: &[u8], count: u64, head: &Head) -> Vec<Option<Entry>> {
    let low = head.log.max(12);
    let bits = (size(pack.len() as u64).saturating_sub(4)).saturating_mul(8) / size(count);
    let base = u32_at(pack, pack.len().saturating_sub(4)).unwrap_or(0);
    let raw: Vec<(u32, u8)> = (0..size(count))
        .map(|n| {
            let at = n.saturating_mul(bits);
            let word = pack.get(at / 8..).unwrap_or_default();
            let word = word.iter().take(4).enumerate().fold(0_u64, |w, (i, b)| w | u64::from(*b) << (8 * i));
            let value = u32::try_from(word >> (at % 8) & 0xffff_ffff).unwrap_or(0);
            (value & ((1 << low) - 1), u8::try_from(value >> low & 3).unwrap_or(0))
        })
        .collect();
    let big = head.advise & (BIG_FIRST | BIG_SECOND) != 0;
    raw.iter()
        .enumerate()
        .map(|(n, (value, kind))| {
            if *kind == 2 {
                return Some(Entry::Body((big && value & COUNT != 0).then_some(value & !COUNT)));
            }
            let before = before(&raw, n, big)?;
            Some(Entry::Head { kind: *kind, offset: *value, block: base.wrapping_add(before) })
        })
        .collect()
}

/// Blocks of the pack's clusters up to its entry `number`.
fn before(raw: &[(u32, u8)], number: usize, big: bool) -> Option<u32> {
    let mut blocks = u32::from(!big);
    let mut at = number;
    while at > 0 {
        at -= 1;
        let (value, kind) = *raw.get(at)?;
        if kind != 2 {
            blocks = blocks.checked_add(1)?;
            continue;
        }
        let step = size(value.into());
        if !big {
            // The distance leads to its head, which may stand before the pack.
            match at.checked_sub(step) {
                Some(head) => {
                    at = head;
                    blocks = blocks.checked_add(1)?;
                }
                None => break,
            }
        } else if value & COUNT != 0 {
            at = at.saturating_sub(1);
            blocks = blocks.checked_add(value & !COUNT)?;
        } else {
            if value <= 1 {
                return None;
            }
            // To the entry behind the head, which has the count.
            at = match at.checked_sub(step.saturating_sub(2)) {
                Some(at) => at,
                None => break,
            };
        }
    }
    Some(blocks)
}
