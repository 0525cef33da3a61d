//! One baseline, read whole and checked: rows of an examined system, files of packages, or hashes.
use super::file::{About, BaselineError, End, Kind, Origin, PACKAGES_SCHEMA, SCHEMA};
use super::hashed::Hashed;
use super::index::{Algorithm, HashIndex, MAGIC};
use super::packages::PackageSet;
use super::rows::RowSet;
use super::trust::{self, Keys, Trust};
use crate::base::{Digest, MoreHashes, hex};
use crate::inventory::{File, TABLES};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

/// Longest line that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// Most lines that one set may have.
const MOST: u64 = 20_000_000;

/// A baseline, read whole and checked.
#[derive(Clone, Debug)]
pub struct Set {
    pub about: About,
    /// As it was named.
    file: String,
    trust: Trust,
    pub(super) body: Body,
}

/// What a set holds.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Rows(RowSet),
    Packages(PackageSet),
    Hashes(HashIndex),
}

impl Set {
    /// Reads a baseline file, and checks the signature beside it. Nothing of it is used unless all of it is right.
    pub fn load(path: &Path, keys: &Keys) -> Result<Self, BaselineError> {
        let file = path.display().to_string();
        let fail = |what: String| BaselineError { file: file.clone(), line: 0, what };
        let unread = |e: std::io::Error| fail(format!("cannot be read: {e}"));
        let mut opened = std::fs::File::open(path).map_err(unread)?;
        let trust = trust::check(path, &opened, keys)?;
        opened.rewind().map_err(unread)?;
        let mut magic = Vec::new();
        opened.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(unread)?;
        opened.rewind().map_err(unread)?;
        if magic == MAGIC {
            let (about, index) = HashIndex::open(opened).map_err(fail)?;
            return Ok(Self { about, file, trust, body: Body::Hashes(index) });
        }
        let set = Self::read(&file, BufReader::with_capacity(1 << 16, opened))?;
        Ok(Self { trust, ..set })
    }
    /// What the signature beside it is worth; what was read from memory has none.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// Reads a baseline of lines; `file` names it in errors.
    pub fn read(file: &str, mut from: impl BufRead) -> Result<Self, BaselineError> {
        let mut hash = Sha256::new();
        let mut number = 0_u64;
        let mut set: Option<Self> = None;
        let mut buffer = Vec::new();
        loop {
            let fail = |what: String| BaselineError { file: file.to_owned(), line: number.saturating_add(1), what };
            buffer.clear();
            from.by_ref()
                .take(LONGEST)
                .read_until(b'\n', &mut buffer)
                .map_err(|e| fail(format!("cannot be read: {e}")))?;
            let text = match buffer.strip_suffix(b"\n") {
                Some(line) => std::str::from_utf8(line).map_err(|e| fail(format!("not UTF-8: {e}")))?,
                None if buffer.len() as u64 == LONGEST => return Err(fail("the line is too long".into())),
                None => return Err(fail("the file is cut short: its last line is missing".into())),
            };
            let Some(taking) = &mut set else {
                set = Some(Self::begin(file, text).map_err(fail)?);
                hash.update(&buffer);
                number = 1;
                continue;
            };
            if text.starts_with('{') {
                let end: End = serde_json::from_str(text).map_err(|e| fail(format!("not a last line: {e}")))?;
                let found = hex(&hash.finalize());
                if end.rows != number.saturating_sub(1) || end.sha256 != found {
                    return Err(fail("the file was changed: rows or checksum are not those of its last line".into()));
                }
                let more = from.fill_buf().map_err(|e| fail(format!("cannot be read: {e}")))?;
                if !more.is_empty() {
                    return Err(fail("there is more behind the last line".into()));
                }
                match &mut taking.body {
                    Body::Rows(rows) => rows.finish(),
                    Body::Packages(packages) => packages.finish(),
                    Body::Hashes(_) => {}
                }
                return set.ok_or_else(|| fail("no baseline".into()));
            }
            if number > MOST {
                return Err(fail(format!("more than {MOST} rows")));
            }
            let taken = match &mut taking.body {
                Body::Rows(rows) => rows.row(text),
                Body::Packages(packages) => packages.line(text),
                Body::Hashes(_) => Ok(()),
            };
            taken.map_err(fail)?;
            hash.update(&buffer);
            number = number.saturating_add(1);
        }
    }
    fn begin(file: &str, text: &str) -> Result<Self, String> {
        let any: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("not a baseline: {e}"))?;
        let body = match any.get("schema").and_then(|s| s.as_str()) {
            Some(SCHEMA) => Body::Rows(RowSet::default()),
            Some(PACKAGES_SCHEMA) => Body::Packages(PackageSet::default()),
            Some(other) => {
                return Err(format!("its schema is {other}; this program reads {SCHEMA} and {PACKAGES_SCHEMA}"));
            }
            None => return Err("not a baseline: it names no schema".into()),
        };
        let about: About = serde_json::from_value(any).map_err(|e| format!("not a baseline: {e}"))?;
        Ok(Self { about, file: file.to_owned(), trust: Trust::default(), body })
    }
    /// A set of these lines, as those between the first and the last of a file: what rules are tested on.
    pub fn given(name: &str, kind: Kind, schema: &str, lines: &[String]) -> Result<Self, BaselineError> {
        let about = About {
            schema: schema.into(),
            kind,
            ..About::new(name, Origin::Vendor, "", "", &crate::inventory::Scene::default())
        };
        let fail = |e: serde_json::Error| BaselineError { file: name.into(), line: 0, what: e.to_string() };
        let mut text = serde_json::to_string(&about).map_err(fail)?;
        text.push('\n');
        lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        let end = End { rows: lines.len() as u64, sha256: hex(&Sha256::digest(&text)) };
        text.push_str(&serde_json::to_string(&end).map_err(fail)?);
        text.push('\n');
        Self::read(name, text.as_bytes())
    }
    /// Whether it holds a file of this content, at whatever path, and the strongest hash by which it knows it.
    pub fn holds_content(&self, content: &Hashed) -> Option<Algorithm> {
        let by_sha256 =
            |holds: &dyn Fn(&Digest) -> bool| content.sha256.as_ref().is_some_and(holds).then_some(Algorithm::Sha256);
        match &self.body {
            Body::Rows(rows) => by_sha256(&|sha256| rows.holds_content(sha256)),
            Body::Packages(packages) => by_sha256(&|sha256| packages.holds_content(sha256)),
            Body::Hashes(index) => Algorithm::ALL
                .into_iter()
                .filter(|algorithm| index.count(*algorithm) > 0)
                .find(|algorithm| content.by(*algorithm).is_some_and(|value| index.holds(*algorithm, value))),
        }
    }
    /// Hashes that files must have beside SHA-256 so that all of it can be asked.
    pub fn more_hashes(&self) -> MoreHashes {
        let Body::Hashes(index) = &self.body else { return MoreHashes::default() };
        MoreHashes { sha1: index.count(Algorithm::Sha1) > 0, md5: index.count(Algorithm::Md5) > 0 }
    }
    /// Files of packages, where it holds such.
    pub fn packages(&self) -> Option<&PackageSet> {
        match &self.body {
            Body::Packages(packages) => Some(packages),
            _ => None,
        }
    }
    pub(super) fn speaks_of(&self, table: usize) -> bool {
        match &self.body {
            Body::Rows(rows) => rows.speaks_of(table),
            Body::Packages(_) | Body::Hashes(_) => TABLES.get(table).is_some_and(|t| t.name == "files"),
        }
    }
    /// What of it cannot be asked about these files, and what could not be read when it was asked.
    pub fn limits(&self, files: &[File]) -> Vec<String> {
        let Body::Hashes(index) = &self.body else { return Vec::new() };
        let mut limits = Vec::new();
        for algorithm in [Algorithm::Sha1, Algorithm::Md5] {
            let count = index.count(algorithm);
            if count == 0 {
                continue;
            }
            let (name, word) = (&self.about.name, algorithm.word());
            let hashed: Vec<Hashed> =
                files.iter().filter(|f| f.sha256.is_some() && f.size > 0).map(Hashed::of_file).collect();
            match hashed.iter().filter(|h| h.by(algorithm).is_none()).count() {
                0 => {}
                all if all == hashed.len() => limits.push(format!(
                    "the baseline {name} knows {count} contents by {word} alone, and the files of this case have no \
                     {word}: none was held against these; examine the images anew with this baseline (--overwrite)"
                )),
                some => limits.push(format!(
                    "the baseline {name} knows {count} contents by {word} alone, and {some} of {} hashed files have no \
                     {word}: these were not held against it",
                    hashed.len()
                )),
            }
        }
        if let Some(why) = index.failure() {
            limits.push(format!("the baseline {} could not be read in part: {why}", self.about.name));
        }
        limits
    }
    /// Rows by table, values by kind, files and packages: for `baseline show`.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        match &self.body {
            Body::Rows(rows) => rows.counts(),
            Body::Packages(packages) => packages.counts(),
            Body::Hashes(index) => Algorithm::ALL.map(|a| (a.word(), index.count(a))).into_iter().collect(),
        }
    }
}
