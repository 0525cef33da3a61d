//! What an EWF set says of its acquisition: the header's fields, stored hashes, sectors that could not be read
//! at the source.
use super::segment::Section;
use super::volume::Volume;
use crate::base::{Gaps, Name, hex};
use crate::image::inflate::adler32;
use crate::image::{Segment, read_exact};
use flate2::read::ZlibDecoder;
use std::io::Read;

/// Longest section of text that is read, compressed and decoded.
const MAX_TEXT: u64 = 1 << 20;
/// Longest value that is shown.
const MAX_VALUE: usize = 4096;
/// Runs of unread sectors that are listed one by one.
const MAX_ERRORS: usize = 1000;
const BY: &str = "EWF";

/// Keys of the header and what they stand for.
const FIELDS: &[(&str, &str)] = &[
    ("c", "case number"),
    ("n", "evidence number"),
    ("a", "description"),
    ("e", "examiner"),
    ("t", "notes"),
    ("m", "acquired"),
    ("u", "system date"),
    ("av", "acquired with version"),
    ("ov", "acquired on"),
    ("md", "model"),
    ("sn", "serial number"),
    ("l", "label"),
    ("pid", "process"),
    ("ext", "extents"),
];

#[derive(Default)]
pub(super) struct Said {
    /// Field and value, in the header's own order.
    fields: Vec<(String, String)>,
    /// Higher is the better source: `header2` tells times exactly and is Unicode.
    rank: u8,
    hashes: Vec<(String, String)>,
    /// First sector and number of sectors.
    errors: Vec<(u64, u64)>,
}

impl Said {
    /// Takes in a section that tells of the acquisition; of others it takes no notice.
    pub(super) fn read(&mut self, segment: &Segment, section: &Section, gaps: &Gaps) {
        let damaged = |what: String| gaps.add(BY, format!("{}: section “{}”: {what}", segment.name, section.kind), 0);
        let all = usize::try_from(section.end.saturating_sub(section.start).min(MAX_TEXT)).unwrap_or(0);
        let bytes = || match read_exact(&*segment.source, section.start, all) {
            Ok(bytes) => Ok(bytes.unwrap_or_default()),
            Err(e) => Err(e.to_string()),
        };
        let told = match section.kind.as_str() {
            "header" if self.rank < 1 => bytes().and_then(|b| self.header(&b, 1)),
            "header2" if self.rank < 2 => bytes().and_then(|b| self.header(&b, 2)),
            "hash" => bytes().and_then(|b| self.hash(&b, &[("md5", 0, 16)], 32)),
            "digest" => bytes().and_then(|b| self.hash(&b, &[("md5", 0, 16), ("sha1", 16, 20)], 76)),
            "error2" => bytes().and_then(|b| self.error(&b)),
            _ => Ok(()),
        };
        if let Err(what) = told {
            damaged(what);
        }
    }

    fn header(&mut self, bytes: &[u8], rank: u8) -> Result<(), String> {
        let mut plain = Vec::new();
        ZlibDecoder::new(bytes).take(MAX_TEXT).read_to_end(&mut plain).map_err(|e| e.to_string())?;
        let text = if rank == 2 { utf16(&plain) } else { Name::new(&plain).lossy().into_owned() };
        let mut lines = text.lines().map(|l| l.trim_end_matches('\r'));
        // The number of categories, then for each its name, its keys, its values, an empty line.
        let found = lines.by_ref().find(|l| *l == "main");
        let (Some(_), Some(keys), Some(values)) = (found, lines.next(), lines.next()) else {
            return Err("it has no category “main”".into());
        };
        self.rank = rank;
        self.fields.clear();
        for (key, value) in keys.split('\t').zip(values.split('\t')) {
            if key == "p" && !matches!(value, "" | "0") {
                self.fields.push(("password".into(), "set (the contents are not encrypted)".into()));
            }
            let Some((_, field)) = FIELDS.iter().find(|(k, _)| *k == key) else { continue };
            let value = if matches!(key, "m" | "u") { time(value) } else { value.to_owned() };
            let value: String = value.chars().take(MAX_VALUE).collect();
            if !value.is_empty() {
                self.fields.push(((*field).into(), Name::new(value.as_bytes()).display()));
            }
        }
        Ok(())
    }

    /// Hashes at fixed places; a hash of zeros was not computed.
    fn hash(&mut self, bytes: &[u8], known: &[(&str, usize, usize)], covered: usize) -> Result<(), String> {
        let sum = bytes.get(covered..covered.saturating_add(4)).and_then(|s| s.try_into().ok());
        if sum.map(u32::from_le_bytes) != bytes.get(..covered).map(adler32) {
            return Err("its checksum does not fit: the stored hash is not used".into());
        }
        for (algorithm, at, len) in known {
            let hash = bytes.get(*at..at.saturating_add(*len)).unwrap_or_default();
            let entry = ((*algorithm).to_owned(), hex(hash));
            if hash.iter().any(|b| *b != 0) && !self.hashes.contains(&entry) {
                self.hashes.push(entry);
            }
        }
        Ok(())
    }

    fn error(&mut self, bytes: &[u8]) -> Result<(), String> {
        let word = |at: usize| {
            let bytes = bytes.get(at..at.saturating_add(4)).and_then(|b| b.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or("it is cut")
        };
        for n in 0..word(0)? as usize {
            let at = n.saturating_mul(8).saturating_add(520);
            self.errors.push((u64::from(word(at)?), u64::from(word(at.saturating_add(4))?)));
        }
        self.errors.sort_unstable();
        self.errors.dedup();
        Ok(())
    }

    /// What sections of version 2 tell, in their own forms.
    pub(super) fn field(&mut self, field: &str, value: &str) {
        let value: String = value.chars().take(MAX_VALUE).collect();
        if !value.is_empty() && !self.fields.iter().any(|(f, _)| f == field) {
            self.fields.push((field.into(), Name::new(value.as_bytes()).display()));
        }
    }
    pub(super) fn moment(&mut self, field: &str, value: &str) {
        self.field(field, &time(value));
    }
    pub(super) fn checked_hash(&mut self, algorithm: &str, bytes: &[u8], len: usize) -> Result<(), String> {
        self.hash(bytes, &[(algorithm, 0, len)], len)
    }
    pub(super) fn unread(&mut self, first: u64, sectors: u64) {
        self.errors.push((first, sectors));
    }

    /// Tells of the sectors that the imager could not read.
    pub(super) fn errors(&self, sector: u64, len: u64, gaps: &Gaps) {
        let what = "could not be read when the disk was acquired; what stands here is the imager's filling";
        for (first, count) in self.errors.iter().take(MAX_ERRORS) {
            let offset = first.saturating_mul(sector).min(len);
            let bytes = count.saturating_mul(sector).min(len.saturating_sub(offset));
            gaps.add_at(BY, "image_offset", offset, format!("{count} sectors {what}"), bytes);
        }
        if let Some(rest) = self.errors.get(MAX_ERRORS..).filter(|r| !r.is_empty()) {
            let sectors = rest.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
            let what = format!("{sectors} more sectors in {} runs {what}", rest.len());
            gaps.add(BY, what, sectors.saturating_mul(sector));
        }
    }

    /// Details and stored hashes for the scene.
    pub(super) fn tell(self, volume: &Volume) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let mut details = self.fields;
        volume.tell(&mut details);
        if !self.errors.is_empty() {
            let sectors = self.errors.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
            details.push(("sectors not read at acquisition".into(), sectors.to_string()));
        }
        (details, self.hashes)
    }
}

/// Little-endian unless a mark at the start says otherwise.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let is_big = bytes.starts_with(&[0xfe, 0xff]);
    let bytes = bytes.strip_prefix(&[0xff, 0xfe]).or_else(|| bytes.strip_prefix(&[0xfe, 0xff])).unwrap_or(bytes);
    let units = bytes.chunks_exact(2).filter_map(|c| c.try_into().ok());
    let units = units.map(|c| if is_big { u16::from_be_bytes(c) } else { u16::from_le_bytes(c) });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Seconds since 1970 in UTC, or the six numbers of a local time whose zone nobody noted.
fn time(value: &str) -> String {
    if let Ok(seconds) = value.trim().parse::<i64>() {
        return jiff::Timestamp::from_second(seconds).map_or_else(|_| value.to_owned(), |t| t.to_string());
    }
    let parts: Vec<&str> = value.split_whitespace().collect();
    match parts.as_slice() {
        [year, month, day, hour, minute, second] => {
            format!("{year}-{month:0>2}-{day:0>2} {hour:0>2}:{minute:0>2}:{second:0>2} (time zone not stated)")
        }
        _ => value.to_owned(),
    }
}
