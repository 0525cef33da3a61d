//! Keys of encrypted volumes: files that the examiner names, read whole and handed to the worker as bytes.
use super::Failure;
use super::open::shown;
use crate::base::{Key, Secret};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Longest key file, in bytes; cryptsetup's own limit.
const MAX_KEY: u64 = 8 << 20;

/// Reads every key file; the first that cannot be read ends the run.
pub(super) fn read(keys: &[(String, PathBuf)]) -> Result<Vec<Key>, Failure> {
    keys.iter().map(|(volume, path)| Ok(Key { volume: volume.clone(), secret: secret(path)? })).collect()
}

/// Each key as a case may name it: volume, file, size and time, so that other keys make another case.
pub(super) fn named(keys: &[(String, PathBuf)]) -> Vec<String> {
    let of = |(volume, path): &(String, PathBuf)| {
        let meta = std::fs::metadata(path).ok();
        let len = meta.as_ref().map_or(0, std::fs::Metadata::len);
        let since = meta.and_then(|m| m.modified().ok()).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        format!("{volume} {} {len} {}", shown(path), since.map_or(0, |t| t.as_nanos()))
    };
    keys.iter().map(of).collect()
}

fn secret(path: &Path) -> Result<Secret, Failure> {
    let fail = |what: &str| Failure::usage(format!("--key: {}: {what}", shown(path)));
    let file = std::fs::File::open(path).map_err(|e| fail(&e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_KEY.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| fail(&e.to_string()))?;
    if bytes.is_empty() {
        return Err(fail("the file is empty"));
    }
    if bytes.len() as u64 > MAX_KEY {
        return Err(fail("longer than a key can be (8 MiB)"));
    }
    Ok(Secret(bytes))
}
