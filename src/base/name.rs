//! Names and paths as they lie on disk: bytes, not text.
//!
//! Text for people is made once, at the edge, by [`Name::display`]: lossless and free of control
//! characters, so that a file name can steer neither a terminal nor a reader's eye.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A raw name or path. Identity is the bytes; `Display` gives the escaped form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<[u8]>);

impl Name {
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The text if every byte of it can be shown as it is: UTF-8, and nothing that hides, moves or imitates.
    pub fn plain(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().filter(|text| super::inert::is_plain(text))
    }
    /// `true` if [`Self::display`] had to escape something other than a backslash.
    pub fn is_marked(&self) -> bool {
        self.plain().is_none()
    }
    /// Readable and lossless: `\xNN` for a byte that is no UTF-8, `\u{…}` for a character that
    /// would not show, would reorder its neighbours, or passes for another, `\\` for a backslash.
    pub fn display(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            super::inert::walk(chunk.valid(), |c, escaped| match c {
                '\\' => out.push_str("\\\\"),
                c if escaped => out.extend(c.escape_unicode()),
                c => out.push(c),
            });
            for byte in chunk.invalid() {
                out.push_str(&format!("\\x{byte:02x}"));
            }
        }
        out
    }
    /// [`Self::display`] for text that is no name: a backslash stays as it is, so the result is
    /// inert but not reversible.
    pub fn display_text(&self) -> String {
        match self.plain() {
            Some(text) => text.to_owned(),
            None => self.display(),
        }
    }
    /// The part after the last `/`.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
    /// The part before the last `/`; empty for a path directly below the root.
    pub fn parent(&self) -> &[u8] {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => self.0.get(..at).unwrap_or_default(),
            None => &[],
        }
    }
    /// Lossy text for matching against ASCII patterns; never for identity.
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        // Nearly all names are UTF-8, and to find that out is quicker than to look for what is not.
        std::str::from_utf8(&self.0).map_or_else(|_| String::from_utf8_lossy(&self.0), std::borrow::Cow::Borrowed)
    }
    /// Where a path leads that is written in this folder: absolute, without `.` and `..`, links left as they are.
    pub fn leads(&self, path: &[u8]) -> Self {
        let start: &[u8] = if path.starts_with(b"/") { b"" } else { &self.0 };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in start.split(|b| *b == b'/').chain(path.split(|b| *b == b'/')) {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Self::from([b"/".as_slice(), &parts.join(&b'/')].concat())
    }
    /// `self/name`, with one slash between.
    pub fn join(&self, name: &[u8]) -> Self {
        let mut all = Vec::with_capacity(self.0.len().saturating_add(name.len()).saturating_add(1));
        all.extend_from_slice(&self.0);
        if all.last() != Some(&b'/') {
            all.push(b'/');
        }
        all.extend_from_slice(name);
        Self(all.into())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}
impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}
impl From<Vec<u8>> for Name {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}
impl Default for Name {
    fn default() -> Self {
        Self(Arc::from([].as_slice()))
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.display())
    }
}
thread_local! {
    /// What was read last of what a worker sent.
    static LAST: std::cell::RefCell<Name> = std::cell::RefCell::default();
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> serde::de::Visitor<'de> for Bytes {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, v: &[u8]) -> Result<Name, E> {
                // A row says its path twice: as a cell, and as where it was read.
                Ok(LAST.with_borrow_mut(|last| {
                    if last.bytes() != v {
                        *last = Name::new(v);
                    }
                    last.clone()
                }))
            }
            fn visit_byte_buf<E>(self, v: Vec<u8>) -> Result<Name, E> {
                Ok(v.into())
            }
            /// As JSON writes bytes.
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut all: A) -> Result<Name, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = all.next_element::<u8>()? {
                    bytes.push(byte);
                }
                Ok(bytes.into())
            }
        }
        d.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_every_byte() {
        for raw in [b"/boot/initrd".as_slice(), b"\xff\0", b""] {
            let text = serde_json::to_string(&Name::new(raw)).unwrap();
            assert_eq!(serde_json::from_str::<Name>(&text).unwrap(), Name::new(raw), "{text}");
        }
    }

    #[test]
    fn display_is_lossless_and_inert() {
        for (raw, shown) in [
            (b"/etc/hosts".as_slice(), "/etc/hosts"),
            ("/opt/岸桥/配置".as_bytes(), "/opt/岸桥/配置"),
            (b"a\x1b[2Jb", "a\\u{1b}[2Jb"),
            (b"\xb0\xb6", "\\xb0\\xb6"),
            ("x\u{202e}gpj".as_bytes(), "x\\u{202e}gpj"),
            (b"dev-\\x2d", "dev-\\\\x2d"),
        ] {
            assert_eq!(Name::new(raw).display(), shown);
        }
        assert_ne!(Name::new(b"\xff").display(), Name::new(b"\\xff").display());
    }
}
