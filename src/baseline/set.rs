//! One baseline in memory: sorted digests, so that a crane's 60,000 files cost a few megabytes.
use super::file::{About, BaselineError, End, SCHEMA};
use super::volatile::key_hash;
use crate::base::Digest;
use crate::base::hex;
use crate::inventory::TABLES;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest line that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// Most rows that one set may have.
const MOST: u64 = 10_000_000;

/// A baseline, read whole and checked.
#[derive(Clone, Debug)]
pub struct Set {
    pub about: About,
    /// Key and state, sorted.
    rows: Vec<([u8; 16], [u8; 16])>,
    /// Contents of files, sorted.
    contents: Vec<Digest>,
    /// Table (position in `TABLES`), key hash and key of every row, for what is missing.
    names: Vec<(usize, [u8; 16], Box<str>)>,
}

impl Set {
    /// Reads a baseline file. Nothing of it is used unless all of it is right.
    pub fn load(path: &Path) -> Result<Self, BaselineError> {
        let file = path.display().to_string();
        let opened = std::fs::File::open(path).map_err(|e| BaselineError {
            file: file.clone(),
            line: 0,
            what: format!("cannot be read: {e}"),
        })?;
        Self::read(&file, BufReader::with_capacity(1 << 16, opened))
    }
    /// Reads a baseline; `file` names it in errors.
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
            let Some(set) = &mut set else {
                set = Some(Self::begin(text).map_err(fail)?);
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
                set.rows.sort_unstable();
                set.contents.sort_unstable();
                set.contents.dedup();
                return Ok(set.clone());
            }
            if number > MOST {
                return Err(fail(format!("more than {MOST} rows")));
            }
            set.row(text).map_err(fail)?;
            hash.update(&buffer);
            number = number.saturating_add(1);
        }
    }
    fn begin(text: &str) -> Result<Self, String> {
        let any: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("not a baseline: {e}"))?;
        match any.get("schema").and_then(|s| s.as_str()) {
            Some(SCHEMA) => {}
            Some(other) => return Err(format!("its schema is {other}; this program reads {SCHEMA}")),
            None => return Err("not a baseline: it names no schema".into()),
        }
        let about: About = serde_json::from_value(any).map_err(|e| format!("not a baseline: {e}"))?;
        Ok(Self { about, rows: Vec::new(), contents: Vec::new(), names: Vec::new() })
    }
    fn row(&mut self, text: &str) -> Result<(), String> {
        type Plain = (String, Vec<String>, String);
        type Hashed = (String, Vec<String>, String, String);
        let (table, key, state, content) = match serde_json::from_str::<Plain>(text) {
            Ok((table, key, state)) => (table, key, state, None),
            Err(_) => serde_json::from_str::<Hashed>(text)
                .map(|(table, key, state, content)| (table, key, state, Some(content)))
                .map_err(|e| format!("not a row: {e}"))?,
        };
        let id = TABLES.iter().position(|t| t.name == table).ok_or_else(|| format!("no table `{table}`"))?;
        let width = TABLES.get(id).map_or(0, |t| t.key.len());
        if key.len() != width {
            return Err(format!("a key of {table} has {width} parts, not {}", key.len()));
        }
        let hash = key_hash(&table, &key);
        self.rows.push((hash, half(&state).ok_or("the state is not 32 hex digits")?));
        if let Some(content) = content {
            self.contents.push(Digest::parse(&content).ok_or("the SHA-256 is not 64 hex digits")?);
        }
        self.names.push((id, hash, key.join(" ").into_boxed_str()));
        Ok(())
    }
    /// The states it holds for a key.
    pub(super) fn states(&self, key: &[u8; 16]) -> &[([u8; 16], [u8; 16])] {
        let from = self.rows.partition_point(|(k, _)| k < key);
        let rest = self.rows.get(from..).unwrap_or_default();
        let len = rest.partition_point(|(k, _)| k == key);
        rest.get(..len).unwrap_or_default()
    }
    pub(super) fn holds_content(&self, sha256: &Digest) -> bool {
        self.contents.binary_search(sha256).is_ok()
    }
    pub(super) fn speaks_of(&self, table: usize) -> bool {
        self.names.iter().any(|(t, ..)| *t == table)
    }
    pub(super) fn names(&self) -> &[(usize, [u8; 16], Box<str>)] {
        &self.names
    }
    /// Rows by table, for `baseline show`.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for name in self.names.iter().filter_map(|(t, ..)| TABLES.get(*t)).map(|t| t.name) {
            let count: &mut u64 = counts.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
}

fn half(hex: &str) -> Option<[u8; 16]> {
    crate::base::Md5::parse(hex).map(|d| d.0)
}
