//! The rows of an examined system in memory: sorted digests, so that a crane's 60,000 files cost a few megabytes.
use super::volatile::key_hash;
use crate::base::Digest;
use crate::inventory::TABLES;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct RowSet {
    /// Key and state, sorted.
    rows: Vec<([u8; 16], [u8; 16])>,
    /// Contents of files, sorted.
    contents: Vec<Digest>,
    /// Table (position in `TABLES`), key hash and key of every row, for what is missing.
    names: Vec<(usize, [u8; 16], Box<str>)>,
}

impl RowSet {
    /// Takes one line of a baseline file.
    pub(super) fn row(&mut self, text: &str) -> Result<(), String> {
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
    /// All lines were taken.
    pub(super) fn finish(&mut self) {
        self.rows.sort_unstable();
        self.contents.sort_unstable();
        self.contents.dedup();
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
    /// Rows by table.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
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
