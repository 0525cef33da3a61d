//! A content as it can be asked for: by SHA-256, and by SHA-1 and MD5 where these were made.
use super::index::Algorithm;
use super::volatile::{content, named};
use crate::base::{Digest, Md5, Sha1};
use crate::inventory::{AnyTable, File};

/// The hashes of one content, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashed {
    pub sha256: Option<Digest>,
    pub sha1: Option<Sha1>,
    pub md5: Option<Md5>,
}

impl Hashed {
    pub fn of_file(file: &File) -> Self {
        Self { sha256: file.sha256, sha1: Sha1::parse(&file.sha1), md5: Md5::parse(&file.md5) }
    }
    /// Of a row of `files`; `None` for rows of other tables and for what was not hashed.
    pub fn of_row(table: &dyn AnyTable, row: usize) -> Option<Self> {
        let sha256 = content(table, row)?;
        let (sha1, md5) = (named(table, row, "sha1"), named(table, row, "md5"));
        Some(Self { sha256: Some(sha256), sha1: Sha1::parse(&sha1), md5: Md5::parse(&md5) })
    }
    /// The bytes by which an algorithm knows it.
    pub(super) fn by(&self, algorithm: Algorithm) -> Option<&[u8]> {
        match algorithm {
            Algorithm::Sha256 => self.sha256.as_ref().map(|d| d.0.as_slice()),
            Algorithm::Sha1 => self.sha1.as_ref().map(|d| d.0.as_slice()),
            Algorithm::Md5 => self.md5.as_ref().map(|d| d.0.as_slice()),
        }
    }
    /// In words, the hash by which it was found.
    pub fn words(&self, by: Algorithm) -> String {
        let value = self.by(by).map(crate::base::hex).unwrap_or_default();
        format!("{} {value}", by.word())
    }
}
impl From<Digest> for Hashed {
    fn from(sha256: Digest) -> Self {
        Self { sha256: Some(sha256), ..Self::default() }
    }
}
