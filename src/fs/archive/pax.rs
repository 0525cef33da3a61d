//! Records of pax extended headers: `length key=value`, a line each.
//! Format: POSIX.1-2017 "pax", extended header; the keys of GNU tar, star and libarchive by their manuals.
use crate::base::{Digits, Name, Time};
use crate::fs::Times;
use base64::Engine as _;
use std::collections::BTreeMap;

/// What the headers of one member say together, by key; the last word counts.
#[derive(Clone, Default)]
pub(super) struct Records {
    all: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Offsets and lengths of the first sparse form, whose keys repeat.
    pairs: Vec<u64>,
}

impl Records {
    /// Takes the records of one header; `false` where they are damaged.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() && rest.first() != Some(&0) {
            let Some((record, after)) = record(rest) else { return false };
            let Some(at) = record.iter().position(|b| *b == b'=') else { return false };
            let (key, value) = record.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            if matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
                self.pairs.extend(decimal(value));
            }
            self.all.insert(key.to_vec(), value.to_vec());
            rest = after;
        }
        true
    }
    /// These, and for what they do not say those of the archive as a whole.
    pub(super) fn over(mut self, global: &Self) -> Self {
        for (key, value) in &global.all {
            self.all.entry(key.clone()).or_insert_with(|| value.clone());
        }
        // An empty value takes an earlier one back.
        self.all.retain(|_, value| !value.is_empty());
        self
    }
    fn get(&self, key: &str) -> Option<&[u8]> {
        self.all.get(key.as_bytes()).map(Vec::as_slice)
    }
    fn number(&self, key: &str) -> Option<u64> {
        decimal(self.get(key)?)
    }
    pub(super) fn path(&self) -> Option<Vec<u8>> {
        self.get("path").map(<[u8]>::to_vec)
    }
    pub(super) fn target(&self) -> Option<Vec<u8>> {
        self.get("linkpath").map(<[u8]>::to_vec)
    }
    pub(super) fn size(&self) -> Option<u64> {
        self.number("size")
    }
    pub(super) fn uid(&self) -> Option<u32> {
        self.number("uid").map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }
    pub(super) fn gid(&self) -> Option<u32> {
        self.number("gid").map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }
    pub(super) fn times(&self) -> Times {
        let at = |key: &str| time(self.get(key)?);
        Times {
            modified: at("mtime"),
            accessed: at("atime"),
            changed: at("ctime"),
            created: at("LIBARCHIVE.creationtime"),
            deleted: None,
        }
    }
    /// Extended attributes and access control lists (as text), of whichever program wrote them.
    pub(super) fn xattrs(&self) -> Vec<(Name, Vec<u8>)> {
        let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, value) in &self.all {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                found.insert(name.to_vec(), value.clone());
            } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                let packed: Vec<u8> =
                    value.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'=').collect();
                if let Ok(value) = base64::engine::general_purpose::STANDARD_NO_PAD.decode(&packed) {
                    found.entry(unescaped(name)).or_insert(value);
                }
            } else if matches!(key.as_slice(), b"SCHILY.acl.access" | b"SCHILY.acl.default" | b"SCHILY.acl.ace") {
                found.insert(key.clone(), value.clone());
            } else if key == b"RHT.security.selinux" {
                found.insert(b"security.selinux".to_vec(), value.clone());
            }
        }
        found.into_iter().map(|(name, value)| (Name::from(name), value)).collect()
    }
    pub(super) fn is_sparse(&self) -> bool {
        ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.numblocks"]
            .iter()
            .any(|key| self.get(key).is_some())
    }
    /// Major and minor number of the sparse form.
    pub(super) fn sparse_version(&self) -> (u64, u64) {
        (self.number("GNU.sparse.major").unwrap_or(0), self.number("GNU.sparse.minor").unwrap_or(0))
    }
    pub(super) fn sparse_len(&self) -> Option<u64> {
        self.number("GNU.sparse.realsize").or_else(|| self.number("GNU.sparse.size"))
    }
    pub(super) fn sparse_name(&self) -> Option<Vec<u8>> {
        self.get("GNU.sparse.name").map(<[u8]>::to_vec)
    }
    /// Offset, length, offset, length … of forms 0.0 and 0.1.
    pub(super) fn sparse_pairs(&self) -> Option<Vec<u64>> {
        match self.get("GNU.sparse.map") {
            Some(map) => map.split(|b| *b == b',').map(decimal).collect(),
            None => Some(self.pairs.clone()),
        }
    }
}

/// The first record, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|b| *b == b' ')?;
    let len = usize::try_from(decimal(bytes.get(..blank)?)?).ok()?;
    let (record, rest) = bytes.split_at_checked(len)?;
    Some((record.get(blank.checked_add(1)?..)?.strip_suffix(b"\n")?, rest))
}

pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Seconds since 1970, with a fraction of as many digits as were written.
fn time(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().take(9).collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{digits:0<9}").parse().ok()?;
    // Before 1970 the fraction goes the other way.
    let (seconds, nanos) = match (whole.starts_with('-'), nanos) {
        (true, 1..) => (seconds.checked_sub(1)?, 1_000_000_000_u32.checked_sub(nanos)?),
        _ => (seconds, nanos),
    };
    Some(Time { seconds, nanos, digits: Digits::of(digits.len()) })
}

/// `%41` as in addresses of the web.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        if let (b'%', Some(byte)) = (first, hex) {
            out.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_are_read_up_to_the_damage() {
        let mut records = Records::default();
        assert!(records.read(b"13 path=a=b\xff\n19 mtime=12.000005\n12 uid=7000\n\0\0"));
        assert_eq!(records.path().unwrap(), b"a=b\xff");
        assert_eq!(records.uid(), Some(7000));
        assert_eq!(records.times().modified.unwrap().to_string(), "1970-01-01T00:00:12.000005Z");
        for bad in [&b"99 path=a\n"[..], b"x", b"8 path=a", b"0 =\n", b"18446744073709551616 a=b\n", b"7 patha\n"] {
            assert!(!records.read(bad), "{bad:?}");
        }
        let mut own = Records::default();
        assert!(own.read(b"8 path=\n"));
        assert_eq!(own.over(&records).path(), None);
    }
    #[test]
    fn times_before_1970() {
        assert_eq!(time(b"-1.25").unwrap().to_string(), "1969-12-31T23:59:58.75Z");
        assert_eq!(time(b"1e5"), None);
        assert_eq!(time(b"1.x"), None);
    }
}
