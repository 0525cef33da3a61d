//! `$LogFile`: whether its transactions were all carried out when the volume was last used.
//! Format: "$LogFile" in the Linux-NTFS project's documentation (restart pages). The log is not
//! replayed: metadata may be older than it, which a gap says.
use super::Volume;
use super::list::gather;
use super::raw::{size, u16_at, u32_at, u64_at};
use super::record::{DATA, fix_up};
use super::value::value;
use crate::fs::extents::{At, Placed as _};
use crate::image::ReadAt;

/// Number of `$LogFile`.
const LOG: u64 = 2;
const PAGE: usize = 4096;
/// No program uses the log.
const NOBODY: u16 = 0xffff;
const CLEAN: u16 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is left to be done.
    Closed,
    /// The log was emptied, or never used: nothing is left in it.
    Emptied,
    Open,
    Damaged,
}

/// What the log says of itself.
pub(super) struct Log {
    pub(super) is_done: bool,
    /// For the examiner: `closed`, `emptied`, `open`, `damaged`, `missing`.
    pub(super) state: &'static str,
    /// Version of its format, where a restart page tells it. Windows 8 and later leave 2.0 behind when they
    /// hibernate, and for a fast start.
    pub(super) version: Option<(u16, u16)>,
}

/// Looks at the log; a gap says where something may be left in it.
pub(super) fn look(volume: &Volume) -> Log {
    let here = volume.mft.volume_offset(LOG);
    let node = gather(LOG, &volume.mft, &volume.damage).ok();
    let stream = node.and_then(|node| value(volume, &node, DATA, b""));
    let Some(log) = stream.and_then(|v| v.content(volume)) else {
        volume.damage.once(here, "$LogFile not found: whether transactions are left in it is not known", 0);
        return Log { is_done: false, state: "missing", version: None };
    };
    let mut pages = vec![0; PAGE * 2];
    let read = log.read_at(0, &mut pages).unwrap_or(0);
    pages.truncate(read);
    let at = if let At::Volume(at) = log.place(0).0 { at } else { here };
    let (state, version) = state(&mut pages);
    let (is_done, state) = match state {
        State::Closed => (true, "closed"),
        State::Emptied => (true, "emptied"),
        State::Open => {
            let what = "$LogFile holds transactions that a mount would carry out; they were not replayed, so that the newest changes of names and places may be missing";
            volume.damage.once(at, what, log.len);
            (false, "open")
        }
        State::Damaged => {
            volume.damage.once(at, "$LogFile is damaged: whether transactions are left in it is not known", log.len);
            (false, "damaged")
        }
    };
    Log { is_done, state, version }
}

/// What the newer of the two restart pages says.
fn state(pages: &mut [u8]) -> (State, Option<(u16, u16)>) {
    if pages.is_empty() {
        return (State::Damaged, None);
    }
    if pages.iter().all(|b| *b == 0xff) {
        return (State::Emptied, None);
    }
    let second = pages.get(16..20).and_then(|b| u32_at(b, 0)).map_or(PAGE, |n| n as usize);
    let second = if (512..=PAGE).contains(&second) { second } else { PAGE };
    let mut best: Option<Restart> = None;
    for at in [0, second] {
        let Some(page) = pages.get_mut(at..).and_then(|p| p.get_mut(..PAGE.min(p.len()))) else { continue };
        if let Some(found) = restart(page)
            && best.as_ref().is_none_or(|b| found.last > b.last)
        {
            best = Some(found);
        }
    }
    match best {
        Some(page) => (if page.is_done { State::Closed } else { State::Open }, Some(page.version)),
        None => (State::Damaged, None),
    }
}

struct Restart {
    /// Number of the last transaction.
    last: u64,
    is_done: bool,
    version: (u16, u16),
}

fn restart(page: &mut [u8]) -> Option<Restart> {
    if page.get(..4) != Some(b"RSTR") || fix_up(page).is_err() {
        return None;
    }
    let version = (u16_at(page, 28)?, u16_at(page, 26)?);
    let area = page.get(size(u64::from(u16_at(page, 24)?))..)?;
    let (last, user, flags) = (u64_at(area, 0)?, u16_at(area, 12)?, u16_at(area, 14)?);
    Some(Restart { last, is_done: user == NOBODY || flags & CLEAN != 0, version })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn pages(lsn: u8, user: u16, flags: u8) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..4].copy_from_slice(b"RSTR");
        page[4..8].copy_from_slice(&[0x1e, 0, 9, 0]);
        page[17] = 0x10;
        page[24] = 0x40;
        page[0x40] = lsn;
        page[0x4c..0x4e].copy_from_slice(&user.to_le_bytes());
        page[0x4e] = flags;
        page
    }

    #[test]
    fn the_newer_restart_page_counts() {
        let of = |a: &[u8], b: &[u8]| state(&mut [a, b].concat()).0;
        let (open, done) = (pages(5, 0, 0), pages(6, NOBODY, 0));
        assert_eq!(of(&open, &done), State::Closed);
        assert_eq!(of(&done, &open), State::Closed);
        assert_eq!(of(&open, &pages(4, 0, 2)), State::Open);
        assert_eq!(of(&pages(9, 0, 2), &open), State::Closed);
        assert_eq!(of(&[0; PAGE], &open), State::Open);
        assert_eq!(of(&[0; PAGE], &[0; PAGE]), State::Damaged);
        assert_eq!(of(&[0xff; PAGE], &[0xff; PAGE]), State::Emptied);
    }
}
