//! EWF version 2 (`.Ex01`), the format of EnCase 7 and later: what version 1 has, in sections that are read from the
//! last to the first, with 64 bits throughout.
//!
//! Specified by the libewf project, "Expert Witness Compression Format 2 (EWF2)" (J. Metz), after Guidance's
//! "EnCase Evidence File Format Version 2".
mod section;
mod text;

use super::disk::Disk;
use super::header::Said;
use super::segment::extension;
use super::table::{Form, Places, Table, entries, words};
use super::volume::Volume;
use crate::base::{Gaps, Wanted, hex};
use crate::image::inflate::adler32;
use crate::image::{Container, Format, OpenError, Opening, Segment, Source, read_exact};
use libdeflater::Adler32;
use md5::Digest as _;
use section::{CASE, DEVICE, DONE, ERRORS, FILE_HEADER, Head, KEYS, MD5, NEXT, SECTORS, SHA1, Section, TABLE};
use std::sync::Arc;
use text::{MOMENTS, Object};

const EWF: &[u8; 8] = b"EVF2\x0d\x0a\x81\x00";
const LOGICAL: &[u8; 8] = b"LEF2\x0d\x0a\x81\x00";
/// Bytes of a table's header with its padding, and of an entry.
const HEADER: u64 = 32;
const ENTRY: u64 = 16;
/// Entries whose checksum is taken in one go.
const PAGE: u32 = 4096;
/// Segments behind a missing one that are still asked for.
const LOOK_AHEAD: u32 = 8;
/// Longest section of text, packed.
const MAX_TEXT: u64 = 1 << 20;
const BY: &str = "EWF";

pub(in crate::image) const FORMAT: Format = Format {
    name: "Ex01",
    about: "EWF version 2 of EnCase 7 and later and of libewf, with all its segments (.Ex01–.Ex99, .ExAA–.EzZZ)",
    limits: "encrypted sets and logical evidence (Lx01) are recognized but not read; chunks whose table is damaged are not \
             looked for",
    probe: |source| matches!(read_exact(&**source, 0, 8), Ok(Some(m)) if m == EWF || m == LOGICAL),
    open,
};

/// Everything that is learned while the segments are gone through.
#[derive(Default)]
struct Set {
    segments: Vec<Segment>,
    tables: Vec<Table>,
    device: Option<Object>,
    case: Option<Object>,
    said: Said,
    is_encrypted: bool,
}

fn open(opening: &Opening<'_>) -> Result<Container, OpenError> {
    let gaps = opening.gaps;
    if is_logical(&opening.source) {
        let what = "logical evidence (Lx01): it holds files, not a disk; export them with the tool that made it";
        return Err(OpenError::Unsupported(what.into()));
    }
    let first = Segment { source: opening.source.clone(), name: "the first segment".into() };
    let head = Head::read(&first)?.ok_or(OpenError::Corrupt { at: 0, what: "the file header is cut".into() })?;
    if head.number != 1 {
        let what = format!("this is segment {} of its set; name the first (.Ex01)", head.number);
        return Err(OpenError::Unsupported(what));
    }
    if head.compression > 2 {
        return Err(OpenError::Unsupported(format!("compression method {}", head.compression)));
    }
    let mut set = Set::default();
    let mut end = set.add(first, &head, gaps)?;
    let mut number = 1_u32;
    while end != Some(DONE) {
        number = number.saturating_add(1);
        match next(opening, &head, number) {
            Ok(segment) => end = set.add(segment, &head, gaps)?,
            Err(_) if end.is_none() => break,
            Err(why) => {
                let behind = (1..=LOOK_AHEAD).map(|n| number.saturating_add(n));
                let found = behind.into_iter().find_map(|n| Some((n, next(opening, &head, n).ok()?)));
                gaps.add(BY, format!("segment {number} is missing: {why}"), 0);
                let Some((n, segment)) = found else { break };
                number = n;
                end = set.add(segment, &head, gaps)?;
            }
        }
    }
    if end.is_none() {
        let what = format!("segment {number} ends without its last section: it was cut short, or never finished");
        gaps.add(BY, what, 0);
    }
    set.container(gaps)
}

fn is_logical(source: &Source) -> bool {
    matches!(read_exact(&**source, 0, 8), Ok(Some(m)) if m == LOGICAL)
}

/// Segment `number`, by its name beside the first.
fn next(opening: &Opening<'_>, first: &Head, number: u32) -> Result<Segment, String> {
    let name = extension(b'X', number).ok_or("no segment may have this number")?;
    // `X01` is `Ex01`, and the letter goes on from there.
    let wanted =
        format!("E{}{}", name.get(..1).unwrap_or_default().to_ascii_lowercase(), name.get(1..).unwrap_or_default());
    let segment = opening.files.ask(&Wanted::Extension(wanted))?;
    match Head::read(&segment).map_err(|e| e.to_string())? {
        None => Err(format!("{} is no segment of EWF version 2", segment.name)),
        Some(h) if h.number != number => Err(format!("{} says that it is segment {}", segment.name, h.number)),
        Some(h) if h.id != first.id => Err(format!("{} belongs to another set of segments", segment.name)),
        Some(_) => Ok(segment),
    }
}

impl Set {
    /// Takes a segment's sections in; the kind of the one that ends it.
    fn add(&mut self, segment: Segment, head: &Head, gaps: &Gaps) -> Result<Option<u32>, OpenError> {
        let (list, _) = section::sections(&segment, gaps)?;
        let index = self.segments.len();
        let mut pending: Option<&Section> = None;
        let mut end = None;
        for section in &list {
            let say = |what: String, bytes: u64| {
                let what = format!("{}: section {} at byte {}: {what}", segment.name, section.kind, section.start);
                gaps.add(BY, what, bytes);
            };
            if section.kind == KEYS || section.is_encrypted {
                self.is_encrypted = true;
                continue;
            }
            let told = match section.kind {
                SECTORS => {
                    if let Some(lost) = pending.replace(section) {
                        lost_table(&segment, lost, gaps);
                    }
                    Ok(())
                }
                TABLE => {
                    pending = None;
                    table(&segment, index, section, head.compression).map(|t| self.tables.push(t))
                }
                DEVICE if self.device.is_none() => self::text(&segment, section, head).map(|o| self.device = Some(o)),
                CASE if self.case.is_none() => self::text(&segment, section, head).map(|o| self.case = Some(o)),
                MD5 => bytes(&segment, section).and_then(|b| self.said.checked_hash("md5", &b, 16)),
                SHA1 => bytes(&segment, section).and_then(|b| self.said.checked_hash("sha1", &b, 20)),
                ERRORS => self.errors(&segment, section),
                NEXT | DONE => {
                    end = Some(section.kind);
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(what) = told {
                say(what, 0);
            }
        }
        if let Some(lost) = pending {
            lost_table(&segment, lost, gaps);
        }
        self.segments.push(segment);
        Ok(end)
    }

    fn errors(&mut self, segment: &Segment, section: &Section) -> Result<(), String> {
        let bytes = bytes(segment, section)?;
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?));
        for n in 0..word(0).unwrap_or(0) as usize {
            let at = n.saturating_mul(16).saturating_add(32);
            let (Some(first), Some(count)) = (long(at), word(at.saturating_add(8))) else {
                return Err("it is cut".into());
            };
            self.said.unread(first, u64::from(count));
        }
        Ok(())
    }

    fn container(mut self, gaps: &Gaps) -> Result<Container, OpenError> {
        if self.is_encrypted {
            return Err(OpenError::Unsupported("the set is encrypted, in a form that is not published".into()));
        }
        let corrupt = |what: &str| OpenError::Corrupt { at: FILE_HEADER, what: what.into() };
        let (Some(device), Some(case)) = (&self.device, &self.case) else {
            return Err(corrupt("no section says how large the disk and its chunks are"));
        };
        let per_chunk = case.number("sb");
        let sector = match device.number("bp") {
            0 => 512,
            n => n,
        };
        let volume = Volume::of(sector, per_chunk, device.number("ts"), case.number("tb")).map_err(|e| corrupt(&e))?;
        let mut details = Vec::new();
        for object in [case, device] {
            for (name, field, value) in object.shown() {
                if MOMENTS.contains(&name) {
                    self.said.moment(field, value);
                } else {
                    self.said.field(field, value);
                }
            }
        }
        told(device, case, &self.segments, &mut details);
        self.tables.sort_by_key(|t| t.first);
        let mut reach = 0_u64;
        self.tables.retain(|t| {
            let is_new = t.first >= reach;
            if is_new {
                reach = t.first.saturating_add(u64::from(t.count));
            } else {
                gaps.add(BY, format!("two tables claim chunk {}; the first is used", t.first), 0);
            }
            is_new
        });
        if self.tables.is_empty() {
            return Err(corrupt("no chunk of the disk is there"));
        }
        let len = volume.len(reach, gaps);
        let disk = Disk::new(self.segments, self.tables, volume.chunk, len);
        for hole in disk.holes() {
            let what = format!("{} bytes of the disk are stored in no segment that is there", hole.len);
            gaps.add_at(BY, "image_offset", hole.offset, what, hole.len);
        }
        self.said.errors(u64::from(volume.sector), len, gaps);
        let (mut all, stored_hashes) = self.said.tell(&volume);
        all.extend(details);
        Ok(Container { disk: Arc::new(disk), stored_hashes, details: all })
    }
}

/// Details beside the fields that both versions have.
fn told(device: &Object, case: &Object, segments: &[Segment], to: &mut Vec<(String, String)>) {
    let media = match device.get("dt") {
        "a" => "RAM disk",
        "c" => "optical disc",
        "f" => "fixed disk",
        "m" => "memory",
        "p" => "Palm device",
        "r" => "removable disk",
        _ => "unknown",
    };
    to.push(("media type".into(), media.into()));
    to.push(("acquired as".into(), if device.get("ph") == "1" { "physical disk" } else { "logical volume" }.into()));
    match case.number("wb") {
        1 => to.push(("write blocker".into(), "FastBloc".into())),
        2 => to.push(("write blocker".into(), "Tableau".into())),
        _ => {}
    }
    for (name, field) in [("hs", "sectors in the protected area (HPA)"), ("dc", "sectors hidden by overlay (DCO)")] {
        if device.number(name) > 0 {
            to.push((field.into(), device.number(name).to_string()));
        }
    }
    if let Some(Ok(Some(head))) = segments.first().map(Head::read) {
        to.push(("set identifier".into(), hex(&head.id)));
    }
}

/// A short section's data, whose hash fits where one was noted.
fn bytes(segment: &Segment, section: &Section) -> Result<Vec<u8>, String> {
    let len = section.end.saturating_sub(section.start).min(MAX_TEXT);
    let bytes = read_exact(&*segment.source, section.start, usize::try_from(len).unwrap_or(0));
    let bytes = bytes.map_err(|e| e.to_string())?.ok_or("it is cut")?;
    let is_whole = len == section.end.saturating_sub(section.start);
    match section.hash {
        Some(hash) if is_whole && md5::Md5::digest(&bytes)[..] != hash => Err("its hash does not fit".into()),
        _ => Ok(bytes),
    }
}

fn text(segment: &Segment, section: &Section, head: &Head) -> Result<Object, String> {
    Object::read(&bytes(segment, section)?, head.compression)
}

fn lost_table(segment: &Segment, sectors: &Section, gaps: &Gaps) {
    let bytes = sectors.end.saturating_sub(sectors.start);
    let what = format!("{}: chunks at byte {}: no table of them is there", segment.name, sectors.start);
    gaps.add(BY, what, bytes);
}

/// A table of chunks: its header, and the checksum of all its entries.
fn table(segment: &Segment, index: usize, section: &Section, compression: u16) -> Result<Table, String> {
    let lost = |what: &str| format!("chunk table: {what}; its chunks are not read");
    let head = read_exact(&*segment.source, section.start, 20).map_err(|e| e.to_string())?;
    let head = head.ok_or_else(|| lost("it is cut"))?;
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let first = head.get(..8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    let count = word(8).unwrap_or(0);
    if word(16) != head.get(..16).map(adler32) {
        return Err(lost("the checksum of its header does not fit"));
    }
    let at = section.start.saturating_add(HEADER);
    let end = at.saturating_add(u64::from(count).saturating_mul(ENTRY));
    if end > section.end || first.checked_add(u64::from(count)).is_none() {
        return Err(lost(&format!("it cannot have {count} entries")));
    }
    let mut sum = Adler32::new();
    for page in (0..count).step_by(PAGE as usize) {
        let n = PAGE.min(count.saturating_sub(page));
        let bytes = entries(segment, at, page.saturating_mul(4), n.saturating_mul(4));
        sum.update(&bytes.ok_or_else(|| lost("its entries cannot be read"))?);
    }
    let stored = read_exact(&*segment.source, end, 4).ok().flatten();
    if stored.and_then(|b| words(&b).next()) != Some(sum.sum()) {
        return Err(lost("the checksum of its entries does not fit"));
    }
    let packed = if compression == 2 { Form::Bzip2 } else { Form::Zlib };
    Ok(Table { first, count, segment: index, places: Places::Wide { at, packed } })
}
