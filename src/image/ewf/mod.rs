//! EWF version 1 (`.E01`, `.s01`), the format of EnCase, FTK Imager and libewf: a disk in compressed chunks,
//! each with its checksum, spread over segment files; and logical evidence (`.L01`), files in the same chunks.
//!
//! Specified by the libewf project, "Expert Witness Compression Format specification" (J. Metz), after the
//! papers of ASR Data. A chunk whose checksum does not fit is a read error with its place, never zeros.
mod disk;
mod header;
mod logical;
mod second;
mod segment;
mod table;
mod volume;

use super::{Container, Format, Joined, OpenError, Opening, ReadAt as _, Segment, Source, read_exact};
use crate::base::{Gaps, Wanted};
use disk::Disk;
pub(super) use second::FORMAT as SECOND;
use segment::{End, Section, Sections};
use std::sync::Arc;
use table::{Learned, Places, Table};
use volume::Volume;

const EWF: &[u8; 8] = b"EVF\x09\x0d\x0a\xff\x00";
const LOGICAL: &[u8; 8] = b"LVF\x09\x0d\x0a\xff\x00";
/// Segments behind a missing one that are still asked for.
const LOOK_AHEAD: u32 = 8;
/// Compressed bytes that are decoded at opening where both copies of a table are lost.
const WALK: u64 = 1 << 30;
const BY: &str = "EWF";

pub(super) const FORMAT: Format = Format {
    name: "E01",
    about: "EWF version 1 of EnCase, FTK Imager, Guymager, ewfacquire and SMART, with all its segments (.E01–.E99, .EAA–.ZZZ); logical evidence of EnCase 5 to 7 (.L01)",
    limits: "after two separate losses of segments or of both \
             copies of a chunk table, the part between them has no known place",
    probe: |source| magic(source).is_some_and(|m| m == *EWF || m == *LOGICAL),
    open,
};

fn magic(source: &Source) -> Option<[u8; 8]> {
    read_exact(&**source, 0, 8).ok()??.try_into().ok()
}
/// Whether these bytes begin like a segment.
fn is_ewf(head: &[u8]) -> bool {
    head.starts_with(EWF) || head.starts_with(LOGICAL)
}

/// What the segments give, in their order.
enum Part {
    Table(Table),
    /// Chunks without a known place; where their number is known, what follows keeps its own.
    Lost(Option<u32>),
}

/// Everything that is learned while the segments are gone through.
#[derive(Default)]
struct Set {
    segments: Vec<Segment>,
    parts: Vec<Part>,
    volume: Option<Volume>,
    said: header::Said,
    is_done: bool,
    /// The segment and section that list the files of logical evidence.
    list: Option<(Segment, Section)>,
    is_logical: bool,
    /// Compressed bytes that may still be decoded to find chunks.
    walk_left: u64,
}

fn open(opening: &Opening<'_>) -> Result<Container, OpenError> {
    let gaps = opening.gaps;
    let is_logical = magic(&opening.source).is_some_and(|m| m == *LOGICAL);
    let first = Segment { source: opening.source.clone(), name: "the first segment".into() };
    match segment::number(&first)? {
        Some(1) => {}
        Some(n) => {
            let what =
                format!("this is segment {n} of its set; name the first (.{}01)", if is_logical { 'L' } else { 'E' });
            return Err(OpenError::Unsupported(what));
        }
        None => return Err(OpenError::Corrupt { at: 0, what: "the file header is cut".into() }),
    }
    let mut set = Set { walk_left: WALK, is_logical, ..Set::default() };
    let mut end = set.add(first, opening)?;
    let letter = match &set.volume {
        _ if is_logical => b'L',
        Some(volume) if volume.is_smart => b's',
        _ => b'E',
    };
    let mut number = 1_u32;
    while end != End::Done {
        number = number.saturating_add(1);
        match next(opening, letter, number) {
            Ok(segment) => {
                if end == End::Cut {
                    set.cut(number.saturating_sub(1), opening);
                }
                end = set.add(segment, opening)?;
            }
            Err(_) if end == End::Cut => break,
            Err(why) => {
                let behind = (1..=LOOK_AHEAD).map(|n| number.saturating_add(n));
                let found = behind.into_iter().find_map(|n| Some((n, next(opening, letter, n).ok()?)));
                gaps.add(BY, format!("segment {number} is missing: {why}"), 0);
                set.parts.push(Part::Lost(None));
                let Some((n, segment)) = found else { break };
                number = n;
                end = set.add(segment, opening)?;
            }
        }
    }
    if end == End::Cut {
        set.cut(number, opening);
    }
    set.is_done = end == End::Done;
    set.container(opening)
}

/// Segment `number`, by its name beside the first.
fn next(opening: &Opening<'_>, letter: u8, number: u32) -> Result<Segment, String> {
    let name = segment::extension(letter.to_ascii_uppercase(), number).ok_or("no segment may have this number")?;
    let wanted = if letter.is_ascii_lowercase() { name.to_ascii_lowercase() } else { name };
    let segment = opening.files.ask(&Wanted::Extension(wanted))?;
    match segment::number(&segment).map_err(|e| e.to_string())? {
        None => Err(format!("{} is no EWF segment", segment.name)),
        Some(n) if u32::from(n) != number & 0xffff => Err(format!("{} says that it is segment {n}", segment.name)),
        Some(_) => Ok(segment),
    }
}

impl Set {
    /// Takes a segment's sections in.
    fn add(&mut self, segment: Segment, opening: &Opening<'_>) -> Result<End, OpenError> {
        let gaps = opening.gaps;
        let Sections { list, end } = segment::sections(&segment, gaps)?;
        let index = self.segments.len();
        let sectors: Vec<Section> = list.iter().filter(|s| s.kind == "sectors").cloned().collect();
        let mut pending: Option<&Section> = None;
        let mut at = 0;
        while let Some(section) = list.get(at) {
            at = at.saturating_add(1);
            match section.kind.as_str() {
                "volume" | "disk" | "data" => match Volume::read(&segment, section) {
                    Ok(volume) => match &self.volume {
                        None => self.volume = Some(volume),
                        Some(first) if first.is_other_set(&volume) => {
                            let what = format!("{} belongs to another set of segments", segment.name);
                            return Err(OpenError::Unsupported(what));
                        }
                        Some(_) => {}
                    },
                    Err(what) => gaps.add(BY, format!("{}: section “{}”: {what}", segment.name, section.kind), 0),
                },
                "sectors" => {
                    // Two in a row: the first has lost its table.
                    if let Some(lost) = pending.replace(section) {
                        self.walk(&segment, lost, None, gaps);
                    }
                }
                "table" | "table2" => {
                    let copy = list.get(at).filter(|s| section.kind == "table" && s.kind == "table2");
                    at = at.saturating_add(usize::from(copy.is_some()));
                    let (table, copy) =
                        if section.kind == "table" { (Some(section), copy) } else { (None, Some(section)) };
                    match (table::read(&segment, index, table, copy, &sectors, gaps), pending.take()) {
                        (Learned::Table(table), _) => self.parts.push(Part::Table(table)),
                        (Learned::Lost(count), Some(sectors)) => self.walk(&segment, sectors, count, gaps),
                        (Learned::Lost(count), None) => self.parts.push(Part::Lost(count)),
                    }
                }
                "ltree" if self.is_logical => {
                    if self.list.is_some() {
                        gaps.add(BY, format!("{}: a second list of files; it was not read", segment.name), 0);
                    }
                    self.list.get_or_insert_with(|| (segment.clone(), section.clone()));
                }
                _ => self.said.read(&segment, section, gaps),
            }
        }
        if let Some(lost) = pending {
            self.walk(&segment, lost, None, gaps);
        }
        self.segments.push(segment);
        Ok(end)
    }

    /// Finds the chunks of a `sectors` section without a table; `count` of them, where that is known.
    fn walk(&mut self, segment: &Segment, sectors: &Section, count: Option<u32>, gaps: &Gaps) {
        let Some(volume) = &self.volume else {
            self.parts.push(Part::Lost(count));
            return;
        };
        let end = sectors.end.min(sectors.start.saturating_add(self.walk_left));
        self.walk_left = self.walk_left.saturating_sub(end.saturating_sub(sectors.start));
        let most = count.map_or(if self.is_logical { u64::MAX } else { volume.chunks() }, u64::from);
        let found = table::walk(segment, (sectors.start, end), most, volume.chunk, volume.last());
        let reached = found.last().map_or(sectors.start, |s| s.offset.saturating_add(s.len));
        let n = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let what = format!("{}: chunks at byte {}: no table; {n} found by decoding", segment.name, sectors.start);
        gaps.add(BY, what, sectors.end.saturating_sub(reached));
        self.parts.push(Part::Table(Table {
            first: 0,
            count: n,
            segment: self.segments.len(),
            places: Places::Walked(found),
        }));
        if reached < sectors.end || count.is_some_and(|c| c > n) {
            self.parts.push(Part::Lost(count.map(|c| c.saturating_sub(n))));
        }
    }

    /// Notes that a segment ended without saying how.
    fn cut(&mut self, number: u32, opening: &Opening<'_>) {
        let what = format!("segment {number} ends without its last section: it was cut short, or never finished");
        opening.gaps.add(BY, what, 0);
        self.parts.push(Part::Lost(None));
    }

    /// Numbers the chunks: from the start up to what is lost, and from the end back to it.
    fn place(&mut self, volume: &Volume, gaps: &Gaps) -> Vec<Table> {
        let mut placed: Vec<Table> = Vec::new();
        let mut rest = std::mem::take(&mut self.parts).into_iter();
        let mut next = 0_u64;
        for part in rest.by_ref() {
            match part {
                Part::Table(mut table) => {
                    table.first = next;
                    next = next.saturating_add(u64::from(table.count));
                    placed.push(table);
                }
                Part::Lost(Some(count)) => next = next.saturating_add(u64::from(count)),
                Part::Lost(None) => break,
            }
        }
        let mut back = if self.is_done { volume.chunks() } else { 0 };
        let mut tail = Vec::new();
        let mut unplaced = 0_u64;
        let mut is_known = self.is_done && volume.chunks() > 0 && !self.is_logical;
        for part in rest.rev() {
            match part {
                Part::Table(mut table) if is_known => match back.checked_sub(u64::from(table.count)) {
                    Some(first) if first >= next => {
                        back = first;
                        table.first = first;
                        tail.push(table);
                    }
                    _ => unplaced = unplaced.saturating_add(u64::from(table.count)),
                },
                Part::Table(table) => unplaced = unplaced.saturating_add(u64::from(table.count)),
                Part::Lost(Some(count)) => back = back.saturating_sub(u64::from(count)),
                Part::Lost(None) => is_known = false,
            }
        }
        if unplaced > 0 {
            let bytes = unplaced.saturating_mul(volume.chunk as u64);
            gaps.add(BY, format!("{unplaced} chunks lie behind what is lost, and have no known place"), bytes);
        }
        placed.extend(tail.into_iter().rev());
        placed
    }

    fn container(mut self, opening: &Opening<'_>) -> Result<Container, OpenError> {
        let gaps = opening.gaps;
        let Some(volume) = self.volume.take() else {
            return Err(OpenError::Corrupt {
                at: segment::FILE_HEADER,
                what: "no volume section says how large the disk and its chunks are".into(),
            });
        };
        let tables = self.place(&volume, gaps);
        let held: u64 = tables.iter().map(|t| u64::from(t.count)).fold(0, u64::saturating_add);
        let reach = tables.last().map_or(0, |t| t.first.saturating_add(u64::from(t.count)));
        let len = if self.is_logical { u64::MAX } else { volume.len(reach, gaps) };
        let disk = Disk::new(std::mem::take(&mut self.segments), tables, volume.chunk, len);
        if self.is_logical {
            return self.files(volume, disk, reach, held, gaps);
        }
        for hole in disk.holes() {
            let what = format!("{} bytes of the disk are stored in no segment that is there", hole.len);
            gaps.add_at(BY, "image_offset", hole.offset, what, hole.len);
        }
        if held == 0 {
            return Err(OpenError::Corrupt { at: segment::FILE_HEADER, what: "no chunk of the disk is there".into() });
        }
        self.said.errors(u64::from(volume.sector), len, gaps);
        let (mut details, stored_hashes) = self.said.tell(&volume);
        // Writers count whole sectors, but keep and hash all bytes of a file that ends within one.
        let (disk, behind) = disk.with_behind(u64::from(volume.sector));
        if behind > 0 {
            details.push(("bytes behind the last whole sector".into(), behind.to_string()));
        }
        Ok(Container { disk: Arc::new(disk), stored_hashes, details })
    }

    /// Of logical evidence: the list of files, and what the chunks hold of them. Without the list the contents alone.
    fn files(self, volume: Volume, disk: Disk, reach: u64, held: u64, gaps: &Gaps) -> Result<Container, OpenError> {
        let (volume, disk) = logical::fit(volume, disk, reach);
        let list = match self.list.as_ref().map(|(segment, section)| logical::list(segment, section)) {
            Some(Ok(list)) => Some(list),
            Some(Err(what)) => {
                gaps.add(BY, format!("the list of files cannot be read: {what}"), disk.len());
                None
            }
            None => {
                let what = "the list of files (ltree) is not there: a segment is missing, or it was cut";
                gaps.add(BY, what, disk.len());
                None
            }
        };
        if list.is_none() && held == 0 {
            let what = "neither the list of files nor any chunk is there".into();
            return Err(OpenError::Corrupt { at: segment::FILE_HEADER, what });
        }
        let before = list.as_ref().map_or(0, |list| list.len());
        for hole in disk.holes() {
            let what = format!("{} bytes of the files' contents are stored in no segment that is there", hole.len);
            gaps.add_at(BY, "image_offset", hole.offset.saturating_add(before), what, hole.len);
        }
        let (mut details, hashes) = self.said.tell(&volume);
        // They are of something else than the list and the contents.
        details.extend(hashes.into_iter().map(|(kind, hash)| (format!("stored {kind}"), hash)));
        let parts = list.into_iter().chain([Arc::new(disk) as Source]).collect();
        Ok(Container { disk: Arc::new(Joined::new(parts)), stored_hashes: Vec::new(), details })
    }
}
