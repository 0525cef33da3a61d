//! Hash values. They are compared as bytes and written as lower-case hex.
use serde::{Deserialize, Serialize};
use std::fmt;

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('?');
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// Hashes of every content beside its SHA-256. They cost time, so that they are made only where they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoreHashes {
    pub sha1: bool,
    pub md5: bool,
}
impl MoreHashes {
    pub fn any(self) -> bool {
        self.sha1 || self.md5
    }
    /// What either asks for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { sha1: self.sha1 || other.sha1, md5: self.md5 || other.md5 }
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub [u8; $len]);
        impl $name {
            /// Reads hex of either case; `None` unless it is exactly the right length.
            pub fn parse(hex: &str) -> Option<Self> {
                let hex = hex.as_bytes();
                let mut out = [0; $len];
                if hex.len() != out.len().saturating_mul(2) {
                    return None;
                }
                for (to, from) in out.iter_mut().zip(hex.chunks_exact(2)) {
                    let text = std::str::from_utf8(from).ok()?;
                    *to = u8::from_str_radix(text, 16).ok()?;
                }
                Some(Self(out))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
digest!(
    /// SHA-256 (FIPS 180-4).
    Digest,
    32
);
digest!(
    /// SHA-1 (FIPS 180-4): only to compare with manifests that know nothing better.
    Sha1,
    20
);
digest!(
    /// MD5 (RFC 1321): only to compare with manifests that know nothing better.
    Md5,
    16
);
