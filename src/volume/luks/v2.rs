//! LUKS2: two copies of a binary header, each followed by a description in JSON.
use super::super::cipher::{Decrypted, SectorCipher};
use super::super::encryption::Content;
use super::slot::{Cost, MAX_KEY, Material, argon2, hash, pbkdf2, volume_key};
use super::{BY, version};
use crate::base::{Gaps, Run};
use crate::image::{Source, read_exact};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::Arc;

/// Where the second header may stand, by the size of the first.
const SECOND: [u64; 9] = [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];
const BINARY: usize = 4096;
/// Largest header with its description.
const MAX_HEADER: u64 = 4 << 20;

pub(super) struct Header {
    pub uuid: String,
    pub label: String,
    json: Value,
}

/// Byte of the second header, where it can be found.
pub(super) fn second_header(source: &Source) -> Option<u64> {
    SECOND.into_iter().find(|at| version(&**source, *at, b"SKUL\xba\xbe") == Some(2))
}

/// A number that JSON holds as a string, as 64 bits do not fit its numbers.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
fn bytes(value: &Value, field: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text(value, field)).map_err(|e| format!("{field}: {e}"))
}

impl Header {
    /// The first header if it holds, else the second.
    pub(super) fn read(source: &Source, gaps: &Gaps) -> Result<Self, String> {
        let first = Self::at(source, 0, b"LUKS\xba\xbe");
        let why = match first {
            Ok(header) => return Ok(header),
            Err(why) => why,
        };
        let at = second_header(source).ok_or_else(|| why.clone())?;
        let second =
            Self::at(source, at, b"SKUL\xba\xbe").map_err(|also| format!("{why}; the second header: {also}"))?;
        gaps.add_at(BY, "volume_offset", 0, format!("first header damaged ({why}); the one at byte {at} was used"), 0);
        Ok(second)
    }
    fn at(source: &Source, at: u64, magic: &[u8]) -> Result<Self, String> {
        let read = |len: usize| {
            let bytes = read_exact(&**source, at, len).map_err(|e| e.to_string())?;
            bytes.ok_or_else(|| "the LUKS2 header is cut short".to_owned())
        };
        let head = read(BINARY)?;
        if version(&**source, at, magic) != Some(2) {
            return Err("no LUKS2 header".to_owned());
        }
        let size = head.get(8..16).and_then(|b| Some(u64::from_be_bytes(b.try_into().ok()?))).unwrap_or(0);
        if size <= BINARY as u64 || size > MAX_HEADER {
            return Err(format!("a LUKS2 header of {size} bytes is not possible"));
        }
        let mut all = read(usize::try_from(size).unwrap_or(0))?;
        let field = |from: usize, len: usize| {
            let bytes = head.get(from..from.saturating_add(len)).unwrap_or_default();
            String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
        };
        let sum = head.get(448..512).unwrap_or_default();
        if let Some(zeroed) = all.get_mut(448..512) {
            zeroed.fill(0);
        }
        let computed = hash(&field(72, 32), &[&all])?;
        if !sum.starts_with(&computed) {
            return Err("the checksum of the LUKS2 header differs".to_owned());
        }
        let json = all.get(BINARY..).and_then(|b| b.split(|b| *b == 0).next()).unwrap_or_default();
        let json = serde_json::from_slice(json).map_err(|e| format!("its description is no JSON: {e}"))?;
        Ok(Self { uuid: field(168, 40), label: field(24, 48), json })
    }

    fn slots(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.json.get("keyslots").and_then(Value::as_object).into_iter().flatten()
    }
    /// The one segment that is in force.
    fn segment(&self) -> Result<&Value, String> {
        let all = self.json.get("segments").and_then(Value::as_object).ok_or("it describes no segments")?;
        let mut data = all.values().filter(|s| s.get("flags").is_none());
        match (data.next(), data.next()) {
            (Some(one), None) if text(one, "type") == "crypt" => Ok(one),
            (Some(_), None) => Err("its segment is not encrypted".to_owned()),
            _ => Err("its re-encryption was not finished; such volumes are not read".to_owned()),
        }
    }
    pub(super) fn about(&self) -> String {
        let cipher = self.segment().map_or("unknown", |s| text(s, "encryption"));
        let kinds: Vec<&str> = self.slots().map(|(_, s)| s.get("kdf").map_or("", |k| text(k, "type"))).collect();
        let tokens = self.json.get("tokens").and_then(Value::as_object);
        let tokens: Vec<&str> = tokens.into_iter().flatten().map(|(_, t)| text(t, "type")).collect();
        let tokens = if tokens.is_empty() { String::new() } else { format!(", tokens: {}", tokens.join(", ")) };
        format!("{cipher}, {} key slots in use ({}){tokens}", kinds.len(), kinds.join(", "))
    }

    /// The plain volume, if the key opens a slot.
    pub(super) fn open(&self, source: &Source, key: &[u8]) -> Result<Option<Content>, String> {
        let segment = self.segment()?;
        if segment.get("integrity").is_some() {
            return Err("its data is kept with integrity tags, which is not read".to_owned());
        }
        let mut failed = None;
        for (name, slot) in self.slots() {
            match self.try_slot(source, name, slot, key) {
                Ok(Some(key)) => return content(source, segment, &key).map(Some),
                Ok(None) => {}
                Err(what) => failed = Some(format!("key slot {name}: {what}")),
            }
        }
        failed.map_or(Ok(None), Err)
    }
    fn try_slot(&self, source: &Source, name: &str, slot: &Value, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if text(slot, "type") != "luks2" {
            return Ok(None);
        }
        let part = |field: &str| slot.get(field).ok_or_else(|| format!("it has no {field}"));
        let (kdf, area, af) = (part("kdf")?, part("area")?, part("af")?);
        let of = |value: &Value, field: &str| {
            value.get(field).and_then(number).ok_or_else(|| format!("it states no {field}"))
        };
        let salt = bytes(kdf, "salt")?;
        let len =
            |n: u64| usize::try_from(n).ok().filter(|n| *n > 0 && *n <= MAX_KEY).ok_or("a key of an impossible size");
        let slot_len = len(of(area, "key_size")?)?;
        let slot_key = match text(kdf, "type") {
            "pbkdf2" => pbkdf2(text(kdf, "hash"), key, &salt, of(kdf, "iterations")?, slot_len)?,
            kind @ ("argon2i" | "argon2id") => {
                let cost = Cost { passes: of(kdf, "time")?, memory: of(kdf, "memory")?, lanes: of(kdf, "cpus")? };
                argon2(kind, key, &salt, &cost, slot_len)?
            }
            other => return Err(format!("keys made by {other} are not read")),
        };
        let material = Material {
            offset: of(area, "offset")?,
            stripes: of(af, "stripes")?,
            key_len: len(of(slot, "key_size")?)?,
            cipher: text(area, "encryption"),
            hash: text(af, "hash"),
        };
        let key = volume_key(&**source, &slot_key, &material)?;
        let fits = self.digests(name).any(|digest| digest_fits(digest, &key).unwrap_or(false));
        Ok(fits.then_some(key))
    }
    /// The digests that vouch for the key of a slot.
    fn digests<'a>(&'a self, slot: &'a str) -> impl Iterator<Item = &'a Value> {
        let all = self.json.get("digests").and_then(Value::as_object).into_iter().flatten().map(|(_, d)| d);
        let names = move |d: &&Value| {
            let list = d.get("keyslots").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|s| s.as_str() == Some(slot)))
        };
        all.filter(names)
    }
}

fn digest_fits(digest: &Value, key: &[u8]) -> Result<bool, String> {
    let (salt, stored) = (bytes(digest, "salt")?, bytes(digest, "digest")?);
    let rounds = digest.get("iterations").and_then(number).unwrap_or(0);
    Ok(!stored.is_empty() && pbkdf2(text(digest, "hash"), key, &salt, rounds, stored.len())? == stored)
}

fn content(source: &Source, segment: &Value, key: &[u8]) -> Result<Content, String> {
    let offset = segment.get("offset").and_then(number).ok_or("its segment states no offset")?;
    let rest = source.len().saturating_sub(offset);
    let len = segment.get("size").and_then(number).map_or(rest, |n| n.min(rest));
    let unit = segment.get("sector_size").and_then(number).unwrap_or(512);
    if !matches!(unit, 512 | 1024 | 2048 | 4096) {
        return Err(format!("sectors of {unit} bytes"));
    }
    let run = Run::new(offset, len.saturating_sub(len.checked_rem(unit).unwrap_or(0)));
    let cipher = SectorCipher::new(text(segment, "encryption"), key)?;
    let first = segment.get("iv_tweak").and_then(number).unwrap_or(0);
    let unit = usize::try_from(unit).unwrap_or(512);
    Ok(Content { source: Arc::new(Decrypted { source: source.clone(), run, cipher, unit, first }), offset })
}
