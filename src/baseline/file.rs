//! The baseline file: JSON lines. The first names the schema and who vouches for what; each further
//! one is `[table, [key…], state]`, for hashed files `[table, [key…], state, sha256]`, sorted; the
//! last counts them and carries the SHA-256 of all lines before it, so that a file cut short or
//! edited is noticed.
use super::volatile::{content, is_shown, is_state, key, state_hash};
use crate::base::hex;
use crate::inventory::{AnyTable, Inventory, Scene};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Write};

/// The version that this program writes and reads.
pub const SCHEMA: &str = "cranescope-baseline/1";

/// The same for files of packages.
pub const PACKAGES_SCHEMA: &str = "cranescope-packages/1";

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Checked and accepted by an analyst: it lowers findings.
    Approved,
    /// Given by the vendor.
    Vendor,
    /// What was delivered, unchecked.
    Delivery,
}
impl Origin {
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Vendor => "vendor",
            Self::Delivery => "delivery",
        }
    }
}

/// What it says of what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Accepted: what is the same is known. The kind of a file that names none.
    #[default]
    KnownGood,
    /// A file with such a content is a finding.
    KnownBad,
    /// Worth a look wherever it is found, without saying that it is bad.
    Noteworthy,
}
impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::KnownGood => "known-good",
            Self::KnownBad => "known-bad",
            Self::Noteworthy => "noteworthy",
        }
    }
}

/// An image that the baseline was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub path: String,
    pub size: u64,
    pub sha256: Option<String>,
}

/// What a baseline says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    pub schema: String,
    pub name: String,
    pub origin: Origin,
    #[serde(default)]
    pub kind: Kind,
    pub by: String,
    pub reason: String,
    /// Name and version of the program that made it.
    pub tool: String,
    /// When it was made, RFC 3339; empty where that is not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub made: String,
    pub images: Vec<Image>,
}

impl About {
    /// For a baseline made from these images.
    pub fn new(name: &str, origin: Origin, by: &str, reason: &str, scene: &Scene) -> Self {
        let image =
            |i: &crate::inventory::ImageInfo| Image { path: i.path.clone(), size: i.size, sha256: i.sha256.clone() };
        Self {
            schema: SCHEMA.into(),
            name: name.into(),
            origin,
            kind: Kind::default(),
            by: by.into(),
            reason: reason.into(),
            tool: concat!("cranescope ", env!("CARGO_PKG_VERSION")).into(),
            made: String::new(),
            images: scene.images.iter().map(image).collect(),
        }
    }
}

/// The last line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) rows: u64,
    pub(super) sha256: String,
}

/// Why a baseline cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineError {
    pub file: String,
    /// 1-based; 0 where the whole file is meant.
    pub line: u64,
    pub what: String,
}
impl fmt::Display for BaselineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// Writes a baseline of everything in the inventory that describes a state. The same inventory gives
/// the same bytes.
pub fn build(about: &About, inventory: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Sealed::begin(about, out)?;
    for table in inventory.all() {
        if !is_state(table.table()) {
            continue;
        }
        let mut rows = (0..table.len())
            .filter(|row| is_shown(table, *row))
            .map(|row| line(table, row))
            .collect::<Result<Vec<_>, _>>()?;
        rows.sort();
        rows.dedup();
        rows.iter().try_for_each(|row| lines.row(row))?;
    }
    lines.end().map(drop)
}

/// A baseline while it is written: what was written so far is counted and hashed for the last line.
pub(super) struct Sealed<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    rows: u64,
}
impl<'a> Sealed<'a> {
    /// Writes the first line.
    pub(super) fn begin(about: &About, out: &'a mut dyn Write) -> io::Result<Self> {
        let mut new = Self { out, hash: Sha256::new(), rows: 0 };
        new.put(&serde_json::to_string(about)?)?;
        Ok(new)
    }
    pub(super) fn row(&mut self, line: &str) -> io::Result<()> {
        self.rows = self.rows.saturating_add(1);
        self.put(line)
    }
    fn put(&mut self, line: &str) -> io::Result<()> {
        for bytes in [line.as_bytes(), b"\n"] {
            self.hash.update(bytes);
            self.out.write_all(bytes)?;
        }
        Ok(())
    }
    /// Writes the last line; gives the number of rows.
    pub(super) fn end(self) -> io::Result<u64> {
        let (rows, sha256) = (self.rows, hex(&self.hash.finalize()));
        writeln!(self.out, "{}", serde_json::to_string(&End { rows, sha256 })?)?;
        Ok(rows)
    }
}

fn line(table: &dyn AnyTable, row: usize) -> Result<String, serde_json::Error> {
    let name = table.table().name;
    let state = hex(&state_hash(table, row));
    match content(table, row) {
        Some(sha256) => serde_json::to_string(&(name, key(table, row), state, sha256.to_string())),
        None => serde_json::to_string(&(name, key(table, row), state)),
    }
}
