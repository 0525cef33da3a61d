//! Directories: an index of names, its root in the record, its blocks in clusters. The blocks are
//! read one after the other, by the index's own bitmap; the order of the tree does not matter here.
//! Format: "$INDEX_ROOT" and "$INDEX_ALLOCATION" in the Linux-NTFS project's documentation.
use super::Volume;
use super::list::Node;
use super::names::FileName;
use super::raw::{Reference, size, u16_at, u32_at, u64_at};
use super::record::{BITMAP, INDEX_ALLOCATION, INDEX_ROOT, fix_up};
use super::value::value;
use crate::fs::extents::{At, Placed as _};
use crate::image::{ReadAt, Source};

/// `$I30` in UTF-16: the index of file names.
const I30: &[u8] = b"$\0I\x003\x000\0";
/// Bytes of index read at once.
const READ: usize = 256 << 10;
/// Bytes of one directory's index; ten million names need no more.
const MAX_INDEX: u64 = 1 << 30;
/// An entry with no more names behind it.
const LAST: u16 = 2;

/// A name in an index.
pub(super) struct Entry {
    pub(super) file: Reference,
    pub(super) name: FileName,
}

/// What an index holds.
pub(super) struct Index {
    /// In the order in which they lie.
    pub(super) live: Vec<Entry>,
    /// Names in bytes that no live entry uses, if they were asked for.
    pub(super) slack: Vec<Entry>,
}

pub(super) fn read(volume: &Volume, dir: &Node, with_slack: bool) -> Index {
    let mut index = Index { live: Vec::new(), slack: Vec::new() };
    let number = dir.base.number;
    let here = volume.mft.volume_offset(number);
    let note = |what, at, bytes| {
        if dir.base.is_used() {
            volume.damage.note(what, number, at, bytes);
        }
    };
    let mut block = volume.index_block;
    match value(volume, dir, INDEX_ROOT, I30).map(|root| (root.len, root.stored(volume))) {
        Some((len, root)) if len <= 1 << 16 => {
            let mut bytes = vec![0; size(len)];
            let n = root.read_at(0, &mut bytes).unwrap_or(0);
            bytes.truncate(n);
            if let Some(size) = u32_at(&bytes, 8).filter(|n| (512..=1 << 20).contains(n)) {
                block = size as usize;
            }
            if !node(&bytes, 16, &mut index, with_slack) {
                note("index of a directory is broken; names may be missing from it", here, 0);
            }
        }
        _ => note("directory without an index", here, 0),
    }
    let Some(blocks) = value(volume, dir, INDEX_ALLOCATION, I30) else { return index };
    let Some(blocks) = blocks.content(volume) else { return index };
    let used = value(volume, dir, BITMAP, I30).and_then(|map| bitmap(&map.stored(volume)));
    if used.is_none() {
        note("index of a directory has no readable bitmap; all its blocks were taken as in use", here, 0);
    }
    let most = MAX_INDEX.min(volume.budget.bytes);
    if blocks.len() > most {
        note(
            "budget: directory with too many blocks; the rest was not listed",
            here,
            blocks.len().saturating_sub(most),
        );
    }
    let room = READ.min(size(blocks.len()));
    let at_once = (room / block).max(1).saturating_mul(block);
    let mut buf = vec![0; at_once];
    let mut at = 0_u64;
    let mut number = 0_u64;
    while at < blocks.len().min(most) {
        // A hole holds no block.
        if let (At::Zeros, len) = blocks.place(at) {
            let len = len.saturating_sub(len % block as u64).max(block as u64);
            at = at.saturating_add(len);
            number = at / block as u64;
            continue;
        }
        let whole = blocks.read_at(at, &mut buf);
        let n = *whole.as_ref().unwrap_or(&at_once);
        for piece in buf.get_mut(..n).unwrap_or_default().chunks_exact_mut(block) {
            let live = used.as_ref().is_none_or(|map| bit(map, number));
            let from = number.saturating_mul(block as u64);
            let readable = whole.is_ok() || blocks.read_at(from, piece).is_ok_and(|n| n == block);
            if live || with_slack {
                let place = || if let At::Volume(at) = blocks.place(from).0 { at } else { here };
                if !readable {
                    if live {
                        note("block of a directory's index could not be read", place(), block as u64);
                    }
                } else if let Err(what) = one(piece, live, &mut index, with_slack)
                    && live
                {
                    note(what, place(), block as u64);
                }
            }
            number = number.saturating_add(1);
        }
        if n < block {
            break;
        }
        at = at.saturating_add(at_once as u64);
    }
    index
}

fn bitmap(map: &Source) -> Option<Vec<u8>> {
    // A bit for each block.
    let mut bits = vec![0; size(map.len().min(4 << 20))];
    let n = map.read_at(0, &mut bits).ok()?;
    (n == bits.len()).then_some(bits)
}
fn bit(map: &[u8], number: u64) -> bool {
    map.get(size(number / 8)).is_some_and(|b| b >> (number % 8) & 1 == 1)
}

/// One block of the index.
fn one(block: &mut [u8], live: bool, index: &mut Index, with_slack: bool) -> Result<(), &'static str> {
    if block.get(..4) != Some(b"INDX") {
        return Err("block of a directory's index without its signature; names may be missing from it");
    }
    if fix_up(block).is_err() {
        return Err("update sequence of a directory's index block differs: sectors of different writes");
    }
    if live {
        if node(block, 0x18, index, with_slack) {
            return Ok(());
        }
        return Err("index of a directory is broken; names may be missing from it");
    }
    slack(block, 0x18 + 16, block.len(), index);
    Ok(())
}

/// Reads the entries of a node whose header is at `head`; `false` if their chain breaks.
fn node(bytes: &[u8], head: usize, index: &mut Index, with_slack: bool) -> bool {
    let field = |at: usize| u32_at(bytes, head.saturating_add(at)).map(|n| head.saturating_add(n as usize));
    let (Some(mut at), Some(used)) = (field(0), field(4)) else { return false };
    let end = used.min(bytes.len());
    let whole = loop {
        let Some(entry) = bytes.get(at..end).filter(|e| e.len() >= 16) else { break false };
        let len = usize::from(u16_at(entry, 8).unwrap_or(0));
        let flags = u16_at(entry, 12).unwrap_or(0);
        if len < 16 || len > entry.len() || !len.is_multiple_of(8) {
            break false;
        }
        if flags & LAST != 0 {
            at = at.saturating_add(len);
            break true;
        }
        match entry.get(16..len).and_then(FileName::parse) {
            Some(name) => index.live.push(Entry { file: Reference::new(u64_at(entry, 0).unwrap_or(0)), name }),
            None => break false,
        }
        at = at.saturating_add(len);
    };
    if with_slack {
        slack(bytes, at, bytes.len(), index);
    }
    whole
}

/// Names kept per directory; more come only from a crafted one.
const MAX_SLACK: usize = 1 << 20;

/// Collects what looks like an entry in bytes that none uses.
fn slack(bytes: &[u8], from: usize, end: usize, index: &mut Index) {
    let mut at = from.next_multiple_of(8);
    while at.saturating_add(16 + 68) <= end && index.slack.len() < MAX_SLACK {
        let entry = bytes.get(at..end).unwrap_or_default();
        match plausible(entry) {
            Some((len, found)) => {
                index.slack.push(found);
                at = at.saturating_add(len);
            }
            None => at = at.saturating_add(8),
        }
    }
}

fn plausible(entry: &[u8]) -> Option<(usize, Entry)> {
    let len = usize::from(u16_at(entry, 8)?);
    let key = usize::from(u16_at(entry, 10)?);
    let name = entry.get(16..16_usize.checked_add(key)?)?;
    let file = Reference::new(u64_at(entry, 0)?);
    let fits = len >= key.checked_add(16)? && len <= key.checked_add(32)? && len.is_multiple_of(8);
    if !fits || FileName::stored_len(name)? != key || file.number == 0 || u16_at(entry, 12)? & !1 != 0 {
        return None;
    }
    let name = FileName::parse(name)?;
    (name.times.created.is_some() && !name.name.contains(&0)).then_some((len, Entry { file, name }))
}
