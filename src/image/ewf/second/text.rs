//! What sections of version 2 tell in words: a packed text of UTF-16 with one object, its attributes' names in one
//! line and their values in the next.
use super::super::header::utf16;
use flate2::read::ZlibDecoder;
use std::io::Read;

/// Longest text, decoded.
const MAX_TEXT: u64 = 1 << 20;

/// Attributes that are shown, and what they stand for.
const FIELDS: &[(&str, &str)] = &[
    ("cn", "case number"),
    ("en", "evidence number"),
    ("nm", "description"),
    ("ex", "examiner"),
    ("nt", "notes"),
    ("tt", "acquired"),
    ("at", "system date"),
    ("av", "acquired with version"),
    ("os", "acquired on"),
    ("md", "model"),
    ("sn", "serial number"),
    ("lb", "label"),
    ("pid", "process"),
];
/// Those of them that are times.
pub(super) const MOMENTS: &[&str] = &["tt", "at"];

/// Attributes and values of the object.
pub(super) struct Object(Vec<(String, String)>);

impl Object {
    /// `compression` as the file's header has it; a text that is not packed is read as well.
    pub(super) fn read(bytes: &[u8], compression: u16) -> Result<Self, String> {
        let mut plain = Vec::new();
        let is_plain = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let unpacked = match compression {
            _ if is_plain => bytes.take(MAX_TEXT).read_to_end(&mut plain),
            2 => bzip2::read::BzDecoder::new(bytes).take(MAX_TEXT).read_to_end(&mut plain),
            _ => ZlibDecoder::new(bytes).take(MAX_TEXT).read_to_end(&mut plain),
        };
        unpacked.map_err(|e| e.to_string())?;
        let text = utf16(&plain);
        let mut lines = text.split('\n').map(|l| l.trim_end_matches('\r'));
        let found = lines.by_ref().find(|l| *l == "main");
        let (Some(_), Some(names), Some(values)) = (found, lines.next(), lines.next()) else {
            return Err("it has no object “main”".into());
        };
        let plain = |value: &str| value.replace(['\u{1}', '\u{2}', '\u{3}'], " ");
        Ok(Self(names.split('\t').map(str::to_owned).zip(values.split('\t').map(plain)).collect()))
    }
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }
    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).trim().parse().unwrap_or(0)
    }
    /// Name, what it stands for, value, in the order of the list.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        FIELDS.iter().map(|(name, field)| (*name, *field, self.get(name))).filter(|(.., value)| !value.is_empty())
    }
}
