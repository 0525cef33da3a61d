//! A volume that nothing recognises, searched from end to end for what begins anywhere in it: the dump of a
//! flash or eMMC chip, whose table stands in the boot loader's arguments or nowhere.
use super::bytes::Class as Bytes;
use super::density::Densities;
use super::layout::{Layout, Means};
use super::scan::{Role, Spot};
use crate::base::{Gaps, PieceKind, Run};
use crate::fs;
use crate::image::magic::{self, Class, ENVIRONMENT, HEAD, Magic};
use crate::image::{self, ReadError, Slice, Source, read_exact};
use crate::inventory::{VolumeInfo, VolumeState};
use crate::volume;
use aho_corasick::AhoCorasick;
use std::sync::Arc;

/// The scheme of volumes that were found by a search.
pub(super) const SCHEME: &str = "search";
/// Bytes read at once, and how far a signature may reach out of them.
const CHUNK: usize = 4 << 20;
const REACH: usize = 1 << 17;
/// Short signatures are believed at multiples of this only.
const SECTOR: u64 = 512;
/// Structures of one volume that are listed.
const MAX_FOUND: usize = 1000;

/// Something that begins at a byte of the volume.
struct Found {
    at: u64,
    name: String,
    /// Where it says that it ends, if it does.
    len: Option<u64>,
    /// A boot loader's image: what lies in it is looked for as well.
    boot: bool,
}

impl Layout {
    /// Lists and opens what is found.
    pub(super) fn search(&mut self, spot: &Spot, source: &Source, means: &Means<'_>) -> VolumeState {
        let len = source.len();
        let looked_at = len.min(self.search_left());
        self.searched = self.searched.saturating_add(looked_at);
        let id = self.volume_id(spot.volume);
        let mut found = Finds::default();
        if (means.enter)(&format!("search for file systems in {id}")) {
            found.run(source, looked_at, means, &spot.gaps);
        }
        let Finds { list, fillings, .. } = found;
        let ends = ends(&list, len);
        let mut covered = Vec::new();
        let count = list.len();
        for (what, end) in list.into_iter().zip(ends) {
            let run = Run::new(what.at, end.saturating_sub(what.at));
            covered.push(run);
            let part: Source = Arc::new(Slice::new(source.clone(), run));
            let info = VolumeInfo {
                image: spot.image,
                parent: Some(spot.volume),
                scheme: SCHEME.into(),
                offset: run.offset,
                size: part.len(),
                type_name: what.name,
                ..VolumeInfo::default()
            };
            if what.boot && fs::recognise(&part).is_none() {
                self.list_boot_image(spot, &id, info, &part);
            } else {
                self.go_on(spot, info, &part, Role::Part, means);
            }
        }
        fillings.tell(&covered, &spot.gaps);
        self.fill(spot, source, &fillings);
        let rest: u64 = super::bytes::without(len, covered).iter().map(|r| r.len).fold(0, u64::saturating_add);
        let mut what = "no known structure at its start".to_owned();
        if looked_at < len {
            what += &format!("; searched to byte {looked_at} (budget)");
        }
        what += &match count {
            0 => "; nothing known was found further on".to_owned(),
            n => format!("; {n} structures were found further on, and what lies outside them is not interpreted"),
        };
        spot.gaps.add("volume", what, rest);
        // What the structures hold counts as they say; the rest stays uninterpreted.
        self.claim(spot, source, Run::new(0, len), Bytes::Unparsed);
        if count > 0 { VolumeState::Read } else { VolumeState::Unsupported }
    }

    fn list_boot_image(&mut self, spot: &Spot, above: &str, info: VolumeInfo, part: &Source) {
        let (name, offset, size) = (info.type_name.clone(), info.offset.to_le_bytes(), info.size);
        let Some(volume) =
            self.add_volume(info, &[above.as_bytes(), SCHEME.as_bytes(), &offset], part.clone(), &spot.gaps)
        else {
            return;
        };
        let gaps = spot.gaps.at(|p| p.volume = Some(volume));
        gaps.add("volume", format!("{name}: recognised, its content is not interpreted"), size);
    }
}

/// Where each find ends: where it says, else where the next begins that does not lie in it.
fn ends(list: &[Found], len: u64) -> Vec<u64> {
    let end = |(n, f): (usize, &Found)| {
        let next = list.iter().skip(n.saturating_add(1)).find(|next| !next.boot).map_or(len, |next| next.at);
        f.len.map_or(next, |size| f.at.saturating_add(size)).min(len)
    };
    list.iter().enumerate().map(end).collect()
}

#[derive(Default)]
struct Finds {
    list: Vec<Found>,
    /// What the bytes are.
    fillings: Densities,
    /// The first read error, and the bytes that were not searched for such.
    lost: Option<(ReadError, u64)>,
    /// The first byte that no find has claimed.
    free: u64,
    full: bool,
}

impl Finds {
    fn run(&mut self, source: &Source, len: u64, means: &Means<'_>, gaps: &Gaps) {
        let strong: Vec<&Magic> = magic::ALL.iter().filter(|m| is_strong(m)).collect();
        let Ok(finder) = AhoCorasick::new(strong.iter().map(|m| m.bytes)) else { return };
        let mut buf = vec![0; CHUNK.saturating_add(REACH)];
        let mut at = 0_u64;
        while at < len && !self.full {
            if means.progress.step(1).is_err() {
                return;
            }
            let left = source.len().saturating_sub(at);
            if is_hole(source, Run::new(at, left.min(buf.len() as u64))) {
                self.fillings.hole(Run::new(at, left.min(CHUNK as u64)));
                at = at.saturating_add(CHUNK as u64);
                continue;
            }
            let n = match source.read_at(at, &mut buf) {
                Ok(n) => n,
                Err(e) => {
                    let bytes = (CHUNK as u64).min(len.saturating_sub(at));
                    self.lost.get_or_insert((e, 0)).1 += bytes;
                    at = at.saturating_add(CHUNK as u64);
                    continue;
                }
            };
            let window = buf.get(..n).unwrap_or_default();
            self.fillings.note(window.get(..CHUNK.min(window.len())).unwrap_or_default(), at);
            let mut starts: Vec<(u64, &Magic)> = Vec::new();
            for hit in finder.find_overlapping_iter(window) {
                let Some(magic) = strong.get(hit.pattern().as_usize()) else { continue };
                let Some(start) = at.saturating_add(hit.start() as u64).checked_sub(magic.at as u64) else { continue };
                starts.push((start, magic));
            }
            weak(window, at, &mut starts);
            starts.sort_by_key(|(start, magic)| (*start, magic.name));
            starts.dedup_by_key(|(start, magic)| (*start, magic.name));
            // What begins in the reach is seen again with the next window.
            let next = at.saturating_add(CHUNK as u64);
            for (start, magic) in starts {
                // A signature deep in its structure is met a window later than the structure's start.
                if start < next {
                    self.consider(source, start, magic);
                }
            }
            at = next;
        }
        if let Some((e, bytes)) = &self.lost {
            gaps.add_at("search", "volume_offset", e.offset, format!("{bytes} bytes not searched, first: {e}"), *bytes);
        }
        if self.full {
            gaps.add("search", format!("budget: more than {MAX_FOUND} structures; the rest was not searched"), 0);
        }
    }

    /// Enters what begins at `start`, if a reader says that it does and it lies in nothing found before.
    fn consider(&mut self, source: &Source, start: u64, magic: &Magic) {
        let before = self.list.last();
        if start < self.free || self.full || before.is_some_and(|f| f.at == start) {
            return;
        }
        let rest: Source = Arc::new(Slice::new(source.clone(), Run::new(start, source.len().saturating_sub(start))));
        let Some(found) = identify(&rest, start, magic) else { return };
        // Structures that repeat themselves (erase blocks, copies of a superblock) are one.
        let last = self.list.iter().rev().find(|f| !f.boot);
        if !found.boot && last.is_some_and(|f| f.len.is_none() && f.name == found.name) {
            return;
        }
        if let (Some(len), false) = (found.len, found.boot) {
            self.free = start.saturating_add(len);
        }
        self.full = self.list.len() >= MAX_FOUND;
        if !self.full {
            self.list.push(found);
        }
    }
}

/// Whether nothing is stored of a run: a sparse container of terabytes is not read as zeros.
fn is_hole(source: &Source, run: Run) -> bool {
    let pieces = source.locate(run);
    !pieces.is_empty() && pieces.iter().all(|p| p.kind == PieceKind::Hole)
}

/// Long enough to be looked for at any byte. UBIFS repeats its own in every node and lies within UBI.
fn is_strong(magic: &Magic) -> bool {
    magic.class != Class::File && magic.bytes.len() >= 4 && magic.name != "UBIFS"
}

/// Starts at whole sectors of what has a short signature: ext, FAT; JFFS2 at whole erase blocks.
fn weak(window: &[u8], at: u64, starts: &mut Vec<(u64, &Magic)>) {
    let short: Vec<&'static Magic> =
        magic::ALL.iter().filter(|m| m.class != Class::File && m.bytes.len() < 4).collect();
    let step = usize::try_from(SECTOR).unwrap_or(512);
    for offset in (0..window.len().min(CHUNK)).step_by(step) {
        let head = window.get(offset..).unwrap_or_default();
        let start = at.saturating_add(offset as u64);
        for magic in &short {
            let coarse = magic.name.starts_with("JFFS2") || magic.name == ENVIRONMENT;
            let aligned = !coarse || start.is_multiple_of(1 << 12);
            let fits = |head: &[u8]| (magic.fits)(head.get(..HEAD).unwrap_or(head));
            let boots =
                !magic.bytes.is_empty() || magic.name == ENVIRONMENT || head.get(510..512) == Some(&[0x55, 0xaa]);
            if aligned && boots && head.get(magic.at..).is_some_and(|h| h.starts_with(magic.bytes)) && fits(head) {
                starts.push((start, magic));
            }
        }
    }
}

/// What begins at the start of `rest`, by whoever reads it; where nobody does, by its signature alone,
/// believed on a sector's border.
fn identify(rest: &Source, at: u64, magic: &Magic) -> Option<Found> {
    let found = |name: &str, len: Option<u64>| Found { at, name: name.to_owned(), len, boot: false };
    let piece = fs::recognise(rest).filter(|f| magic.class == Class::Boot && fs::is_piece(f, rest));
    // What follows a legacy image's header may be looked for as well; the others give all that they hold.
    if let Some(format) = piece.filter(|f| f.name != "uimage") {
        return Some(found(format.name, (format.size)(rest)));
    }
    if magic.class == Class::Boot {
        let (name, len) = boot_image(rest, magic)?;
        return Some(Found { at, name, len: Some(len), boot: true });
    }
    if let Some(format) = fs::recognise(rest) {
        return Some(found(format.name, (format.size)(rest).filter(|len| *len > 0)));
    }
    if let Some((_, manager)) = volume::member_of(rest) {
        return Some(found(manager.name, (manager.size)(rest).filter(|len| *len > 0)));
    }
    if let Some(encryption) = volume::encrypted(rest) {
        return Some(found(encryption.name, None));
    }
    if let Some(format) = image::recognise(rest) {
        return Some(found(format.name, None));
    }
    let certain = magic.bytes.len() >= 4 && at.is_multiple_of(SECTOR);
    certain.then(|| found(magic.name, None))
}

/// Name and length of a boot loader's image, if its header holds.
fn boot_image(rest: &Source, magic: &Magic) -> Option<(String, u64)> {
    let head = read_exact(&**rest, 0, 64).ok().flatten()?;
    let four = |at: usize| -> Option<[u8; 4]> { head.get(at..at.checked_add(4)?)?.try_into().ok() };
    let big = |at| four(at).map(u32::from_be_bytes);
    let little = |at| four(at).map(u32::from_le_bytes);
    let fits = |len: u64| (len >= 28 && len <= rest.len()).then_some(len);
    match magic.name {
        // docs/uImage in U-Boot: the header's CRC is taken with its own field zero.
        "U-Boot image" => {
            let mut zeroed = head.clone();
            zeroed.get_mut(4..8)?.fill(0);
            if big(4)? != crc32fast::hash(&zeroed) {
                return None;
            }
            let label: String = head.get(32..64)?.iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect();
            Some((
                format!("U-Boot image \"{}\"", label.escape_default()),
                fits(u64::from(big(12)?).saturating_add(64))?,
            ))
        }
        "TRX firmware" => Some((magic.name.to_owned(), fits(u64::from(little(4)?))?)),
        // Devicetree Specification, "Flattened Devicetree (DTB) Format".
        "device tree or FIT image" => {
            let (len, structure, strings) = (big(4)?, big(8)?, big(12)?);
            let holds = structure < len && strings <= len && structure.is_multiple_of(4) && big(24)? <= 17;
            holds.then_some(())?;
            Some((magic.name.to_owned(), fits(u64::from(len))?))
        }
        // Android boot image header, versions 0 to 2: kernel, ramdisk and second stage, each in whole pages.
        "Android boot image" => {
            let page = u64::from(little(36)?);
            (page.is_power_of_two() && (2048..=1 << 17).contains(&page)).then_some(())?;
            let sizes = [little(8)?, little(16)?, little(24)?];
            let len = sizes.iter().fold(page, |sum, n| sum.saturating_add(u64::from(*n).next_multiple_of(page)));
            Some((magic.name.to_owned(), fits(len)?))
        }
        _ => None,
    }
}
