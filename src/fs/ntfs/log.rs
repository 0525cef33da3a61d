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
    /// Nothing is left to be done, or the log was emptied.
    Done,
    Open,
    Damaged,
}

/// Whether nothing is left in the log; a gap says where something may be.
pub(super) fn is_done(volume: &Volume) -> bool {
    let here = volume.mft.volume_offset(LOG);
    let node = gather(LOG, &volume.mft, &volume.damage).ok();
    let stream = node.and_then(|node| value(volume, &node, DATA, b""));
    let Some(log) = stream.and_then(|v| v.content(volume)) else {
        volume.damage.once(here, "$LogFile not found: whether transactions are left in it is not known", 0);
        return false;
    };
    let mut pages = vec![0; PAGE * 2];
    let read = log.read_at(0, &mut pages).unwrap_or(0);
    pages.truncate(read);
    let at = if let At::Volume(at) = log.place(0).0 { at } else { here };
    match state(&mut pages) {
        State::Done => true,
        State::Open => {
            let what = "$LogFile holds transactions that a mount would carry out; they were not replayed, so that the newest changes of names and places may be missing";
            volume.damage.once(at, what, log.len);
            false
        }
        State::Damaged => {
            volume.damage.once(at, "$LogFile is damaged: whether transactions are left in it is not known", log.len);
            false
        }
    }
}

/// What the newer of the two restart pages says.
fn state(pages: &mut [u8]) -> State {
    if pages.is_empty() {
        return State::Damaged;
    }
    if pages.iter().all(|b| *b == 0xff) {
        return State::Done;
    }
    let second = pages.get(16..20).and_then(|b| u32_at(b, 0)).map_or(PAGE, |n| n as usize);
    let second = if (512..=PAGE).contains(&second) { second } else { PAGE };
    let mut best: Option<(u64, bool)> = None;
    for at in [0, second] {
        let Some(page) = pages.get_mut(at..).and_then(|p| p.get_mut(..PAGE.min(p.len()))) else { continue };
        if let Some(found) = restart(page)
            && best.is_none_or(|b| found.0 > b.0)
        {
            best = Some(found);
        }
    }
    match best {
        Some((_, true)) => State::Done,
        Some((_, false)) => State::Open,
        None => State::Damaged,
    }
}

/// The page's last transaction, and whether nothing is left to be done.
fn restart(page: &mut [u8]) -> Option<(u64, bool)> {
    if page.get(..4) != Some(b"RSTR") || fix_up(page).is_err() {
        return None;
    }
    let area = page.get(size(u64::from(u16_at(page, 24)?))..)?;
    let (lsn, user, flags) = (u64_at(area, 0)?, u16_at(area, 12)?, u16_at(area, 14)?);
    Some((lsn, user == NOBODY || flags & CLEAN != 0))
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
        let of = |a: &[u8], b: &[u8]| state(&mut [a, b].concat());
        let (open, done) = (pages(5, 0, 0), pages(6, NOBODY, 0));
        assert_eq!(of(&open, &done), State::Done);
        assert_eq!(of(&done, &open), State::Done);
        assert_eq!(of(&open, &pages(4, 0, 2)), State::Open);
        assert_eq!(of(&pages(9, 0, 2), &open), State::Done);
        assert_eq!(of(&[0; PAGE], &open), State::Open);
        assert_eq!(of(&[0; PAGE], &[0; PAGE]), State::Damaged);
        assert_eq!(of(&[0xff; PAGE], &[0xff; PAGE]), State::Done);
    }
}
