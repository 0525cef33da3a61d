//! Ids derived from content, so that they survive re-examination on another machine.
use sha2::{Digest as _, Sha256};

/// `prefix-` and 12 hex digits of the SHA-256 over the length-prefixed parts.
pub fn short_id(prefix: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = super::hex(&hash.finalize());
    format!("{prefix}-{}", digest.get(..12).unwrap_or(&digest))
}
