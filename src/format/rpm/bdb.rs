//! `Packages` as a hash table of Berkeley DB, in either byte order. Pages are read one after the other, without the
//! table that leads a lookup, so that a damaged bucket hides nothing.
use super::{MAX_HEADER, Stored};
use crate::base::Run;
use crate::format::bytes::Bytes;

const MAGIC: u32 = 0x0006_1561;
const PAGE_HEAD: usize = 26;
/// Kinds of pages, and of items in them.
const HASH_META: u8 = 8;
const UNSORTED: u8 = 2;
const SORTED: u8 = 13;
const OVERFLOW: u8 = 7;
const KEY_DATA: u8 = 1;
const OFF_PAGE: u8 = 3;

struct Table<'a, 'b> {
    file: &'a Bytes<'b>,
    big: bool,
    page: u64,
    pages: u32,
}

pub(super) fn headers(
    file: &Bytes<'_>,
    damaged: &mut dyn FnMut(u64, String),
    each: &mut dyn FnMut(Stored) -> bool,
) -> Result<(), String> {
    let head = file.exact(0, 72.min(file.len))?;
    let magic = head.get(12..).and_then(|b| b.first_chunk()).copied().unwrap_or_default();
    let big = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
        (MAGIC, _) => false,
        (_, MAGIC) => true,
        _ => return Err("neither SQLite nor rpm's own nor a hash table of Berkeley DB".to_owned()),
    };
    let mut table = Table { file, big, page: 0, pages: 0 };
    table.page = u64::from(table.u32(&head, 20));
    if head.get(25) != Some(&HASH_META) || !table.page.is_power_of_two() || !(512..=65_536).contains(&table.page) {
        return Err("a damaged head of a hash table".to_owned());
    }
    if head.get(24).is_some_and(|cipher| *cipher != 0) {
        return Err("encrypted".to_owned());
    }
    table.pages = u32::try_from(file.len.div_ceil(table.page)).unwrap_or(u32::MAX);
    let last = table.u32(&head, 32);
    if last >= table.pages {
        damaged(file.len, format!("the database has {last} pages, the file {}", table.pages.saturating_sub(1)));
    }
    // Chains may cross one another; what they give together is bounded.
    let mut left = file.len.saturating_mul(2);
    for number in 1..table.pages {
        let at = u64::from(number).saturating_mul(table.page);
        let page = match table.content(number) {
            Ok(page) => page,
            Err(what) => {
                damaged(at, format!("page {number}: {what}"));
                continue;
            }
        };
        let kind = page.get(25).copied().unwrap_or(0);
        if kind != UNSORTED && kind != SORTED {
            // Overflow pages are read by who leads to them. A page that was never written is empty.
            if ![0, OVERFLOW, HASH_META].contains(&kind) {
                damaged(at, format!("page {number} is of kind {kind}"));
            }
            continue;
        }
        let items = usize::from(table.u16(&page, 20));
        // Keys and their data take turns.
        for pair in 0..items / 2 {
            let found = table.pair(&page, at, pair.saturating_mul(2), &mut left);
            if left == 0 {
                damaged(at, "budget: its packages are more than the file; the rest is not read".to_owned());
                return Ok(());
            }
            match found {
                // Number 0 holds the highest number that was given.
                Ok(found) if found.number == 0 => {}
                Ok(found) => {
                    if !each(found) {
                        return Ok(());
                    }
                }
                Err(what) => damaged(at, format!("page {number}, entry {pair}: {what}")),
            }
        }
    }
    Ok(())
}

impl Table<'_, '_> {
    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let raw = bytes.get(at..).and_then(|b| b.first_chunk()).copied().unwrap_or_default();
        if self.big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
    }
    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let raw = bytes.get(at..).and_then(|b| b.first_chunk()).copied().unwrap_or_default();
        if self.big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) }
    }
    fn content(&self, number: u32) -> Result<Vec<u8>, String> {
        self.file.exact(u64::from(number).saturating_mul(self.page), self.page)
    }
    /// An item's place in its page: items grow from the page's end down, so each ends where the one before began.
    fn item<'p>(&self, page: &'p [u8], n: usize) -> Result<(usize, &'p [u8]), String> {
        let offset = |n: usize| usize::from(self.u16(page, n.saturating_mul(2).saturating_add(PAGE_HEAD)));
        let start = offset(n);
        let end = n.checked_sub(1).map_or(page.len(), offset);
        let item = page.get(start..end).filter(|i| !i.is_empty());
        Ok((start, item.ok_or("it lies behind the page")?))
    }
    fn pair(&self, page: &[u8], at: u64, n: usize, left: &mut u64) -> Result<Stored, String> {
        let (_, key) = self.item(page, n)?;
        let (start, data) = self.item(page, n.saturating_add(1))?;
        if key.first() != Some(&KEY_DATA) || key.len() != 5 {
            return Err("its key is no number of a package".to_owned());
        }
        let number = self.u32(key, 1);
        match data.first() {
            Some(&KEY_DATA) => {
                let blob = data.get(1..).unwrap_or_default().to_vec();
                *left = left.saturating_sub(blob.len() as u64);
                let offset = at.saturating_add(start as u64).saturating_add(1);
                Ok(Stored { number, place: Some(Run::new(offset, blob.len() as u64)), blob })
            }
            Some(&OFF_PAGE) => {
                let (first, size) = (self.u32(data, 4), u64::from(self.u32(data, 8)));
                if size > MAX_HEADER || size > self.file.len {
                    return Err(format!("budget: {size} bytes of a package"));
                }
                *left = left.saturating_sub(size);
                let (blob, own) = self.chain(first, usize::try_from(size).unwrap_or(0))?;
                Ok(Stored { number, blob, place: Some(own) })
            }
            other => Err(format!("data of kind {}", other.copied().unwrap_or(0))),
        }
    }
    /// The content of a chain of overflow pages, and the bytes of its first page.
    fn chain(&self, first: u32, size: usize) -> Result<(Vec<u8>, Run), String> {
        let (mut blob, mut next, mut own) = (Vec::new(), first, 0_u64);
        while blob.len() < size {
            if next == 0 || next >= self.pages {
                return Err(format!("its chain ends after {} of {size} bytes", blob.len()));
            }
            let page = self.content(next)?;
            let len = usize::from(self.u16(&page, 22));
            let part = page.get(PAGE_HEAD..len.saturating_add(PAGE_HEAD)).filter(|p| !p.is_empty());
            let Some(part) = part.filter(|_| page.get(25) == Some(&OVERFLOW) && self.u32(&page, 8) == next) else {
                return Err(format!("page {next} of its chain is none"));
            };
            if blob.is_empty() {
                own = len as u64;
            }
            blob.extend_from_slice(part);
            next = self.u32(&page, 16);
        }
        blob.truncate(size);
        let start = u64::from(first).saturating_mul(self.page).saturating_add(PAGE_HEAD as u64);
        Ok((blob, Run::new(start, own.min(size as u64))))
    }
}
