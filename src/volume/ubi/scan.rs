//! Every physical erase block looked at once: which logical block it holds, and which of several that claim the
//! same one counts. A fastmap would only save this.
use super::BY;
use super::geometry::Geometry;
use super::headers::{Block, Erase, HEADER, LAYOUT, crc};
use crate::base::{Budget, Gaps, is_zero};
use crate::image::{Source, read_exact};
use std::collections::BTreeMap;

/// Places that a gap writes out.
const NAMED: usize = 8;

/// A physical block that holds a logical one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Physical {
    /// Byte of the device.
    pub(super) at: u64,
    pub(super) head: Block,
}

#[derive(Default)]
pub(super) struct Scanned {
    /// Physical blocks.
    pub(super) count: u64,
    /// Volume and logical number → those that claim it, the one that counts first.
    pub(super) blocks: BTreeMap<u32, BTreeMap<u32, Physical>>,
    /// Blocks that hold something, but not what.
    pub(super) unplaced: bool,
}

/// Places with the same fault, told in one gap.
#[derive(Default)]
struct Places {
    first: Vec<u64>,
    count: u64,
    bytes: u64,
}
impl Places {
    fn add(&mut self, at: u64, bytes: u64) {
        if self.first.len() < NAMED {
            self.first.push(at);
        }
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
    fn tell(&self, gaps: &Gaps, what: &str) {
        let Some(first) = self.first.first() else { return };
        let named: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let more = if self.count > self.first.len() as u64 { " …" } else { "" };
        let text = format!("{} erase blocks {what} (at {}{more})", self.count, named.join(", "));
        gaps.add_at(BY, "volume_offset", *first, text, self.bytes);
    }
}

/// What fills a block that has no header which holds.
enum Filling {
    Blank,
    Something,
    Unreadable,
}

fn filling(source: &Source, at: u64, len: u64) -> Filling {
    match read_exact(&**source, at, usize::try_from(len).unwrap_or(usize::MAX)) {
        Ok(Some(bytes)) if bytes.iter().all(|b| *b == 0xff) || is_zero(&bytes) => Filling::Blank,
        Ok(_) => Filling::Something,
        Err(_) => Filling::Unreadable,
    }
}

pub(super) fn scan(source: &Source, geometry: &Geometry, gaps: &Gaps, budget: &mut Budget) -> Scanned {
    let mut found = Scanned::default();
    let [mut headless, mut blanked, mut counterless, mut foreign, mut lost, mut old, mut bad] =
        std::array::from_fn(|_| Places::default());
    let mut claims: BTreeMap<(u32, u32), Vec<Physical>> = BTreeMap::new();
    let mut at = 0_u64;
    while at < source.len() {
        if budget.step(1).is_err() {
            let what = "budget: erase blocks; the rest was not looked at";
            gaps.add_at(BY, "volume_offset", at, what, source.len().saturating_sub(at));
            break;
        }
        let here = at;
        let len = geometry.block.min(source.len().saturating_sub(at));
        at = at.saturating_add(geometry.block);
        found.count = found.count.saturating_add(1);
        let reach = usize::try_from(geometry.first.vid).unwrap_or(0).saturating_add(HEADER);
        let head = match read_exact(&**source, here, reach) {
            Ok(Some(head)) => head,
            Ok(None) => {
                lost.add(here, len);
                continue;
            }
            Err(_) => {
                bad.add(here, len);
                continue;
            }
        };
        let erase = Erase::parse(&head);
        if erase.is_some_and(|e| e.image != geometry.first.image && e.image != 0 && geometry.first.image != 0) {
            foreign.add(here, len);
            continue;
        }
        let vid = head.get(reach.saturating_sub(HEADER)..).unwrap_or_default();
        match Block::parse(vid) {
            Some(block) => {
                if erase.is_none() {
                    counterless.add(here, 0);
                }
                claims.entry((block.volume, block.number)).or_default().push(Physical { at: here, head: block });
            }
            // Erased and ready for use, if what is behind it is erased as well.
            None if erase.is_some() && vid.iter().all(|b| *b == 0xff) => {
                let data = u64::from(geometry.first.data);
                match filling(source, here.saturating_add(data), len.saturating_sub(data)) {
                    Filling::Blank => {}
                    Filling::Something => blanked.add(here, len),
                    Filling::Unreadable => bad.add(here, len),
                }
            }
            None => match filling(source, here, len) {
                Filling::Blank => {}
                Filling::Something => headless.add(here, len),
                Filling::Unreadable => bad.add(here, len),
            },
        }
    }
    for ((volume, number), mut all) in claims {
        // Of equal ones the one that lies first.
        all.sort_by_key(|p| (std::cmp::Reverse(p.head.sequence), p.at));
        let chosen = choose(source, geometry, &all, gaps);
        for (n, physical) in all.iter().enumerate() {
            if n != chosen {
                old.add(physical.at, geometry.block);
            }
        }
        if let Some(physical) = all.get(chosen) {
            found.blocks.entry(volume).or_default().insert(number, *physical);
        }
    }
    found.unplaced = headless.count > 0 || blanked.count > 0 || bad.count > 0;
    headless.tell(
        gaps,
        "hold something, but no header that says which logical block; a logical block that none holds reads as erased",
    );
    blanked.tell(gaps, "are said to be erased, and hold something; a logical block that none holds reads as erased");
    counterless.tell(gaps, "have a damaged header of erasures; what they hold is read by their other header");
    foreign.tell(gaps, "belong to another UBI image, which was there before; not read");
    lost.tell(gaps, "are cut off by the end of the dump");
    bad.tell(gaps, "cannot be read");
    old.tell(gaps, "hold older copies of logical blocks; the newest copies are read");
    found
}

/// The position of the one that counts: the newest, but for a copy that was not finished.
fn choose(source: &Source, geometry: &Geometry, all: &[Physical], gaps: &Gaps) -> usize {
    for (n, physical) in all.iter().enumerate() {
        let last = n.saturating_add(1) >= all.len();
        if last || !physical.head.is_copy || data_fits(source, geometry, physical) == Some(true) {
            return n;
        }
        let what = format!(
            "copy of logical block {} of volume {} was not finished: its data do not fit their checksum; the block it was copied from is read",
            physical.head.number,
            shown(physical.head.volume)
        );
        gaps.add_at(BY, "volume_offset", physical.at, what, 0);
    }
    0
}

pub(super) fn shown(volume: u32) -> String {
    match volume {
        LAYOUT => "of the layout".to_owned(),
        _ if volume > LAYOUT => "of the fastmap".to_owned(),
        _ => volume.to_string(),
    }
}

/// Whether the data of a block fit the checksum in its header; `None` where they cannot be read.
pub(super) fn data_fits(source: &Source, geometry: &Geometry, physical: &Physical) -> Option<bool> {
    let room = geometry.block.saturating_sub(u64::from(geometry.first.data));
    let len = u64::from(physical.head.data_size);
    if len > room {
        return Some(false);
    }
    let at = physical.at.saturating_add(u64::from(geometry.first.data));
    let data = read_exact(&**source, at, usize::try_from(len).ok()?).ok()??;
    Some(crc(&data) == physical.head.data_crc)
}
