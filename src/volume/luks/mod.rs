//! LUKS, versions 1 and 2.
//! Formats: "LUKS On-Disk Format Specification" 1.2.3 and "LUKS2 On-Disk Format Specification" 1.1, both of the
//! cryptsetup project.
mod slot;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use super::encryption::{Content, Encryption, Keys, Locked, Sealed};
use crate::base::{Budget, Gaps, Secret};
use crate::image::{ReadAt, ReadError, Source, read_exact};

pub(super) const ENCRYPTION: Encryption = Encryption {
    name: "luks",
    about: "LUKS1 and LUKS2, opened with a passphrase or key file",
    limits: "AES only, in XTS or CBC; no detached headers, no integrity protection (dm-integrity), no volume whose re-encryption was interrupted",
    probe: |source| version(&**source, 0, b"LUKS\xba\xbe").is_some() || v2::second_header(source).is_some(),
    open,
};

/// The reader's name in gaps.
const BY: &str = "luks";

/// The version that a header with this magic states.
fn version(source: &dyn ReadAt, at: u64, magic: &[u8]) -> Option<u16> {
    let head = read_exact(source, at, 8).ok().flatten()?;
    let version = u16::from_be_bytes(head.get(6..8)?.try_into().ok()?);
    (head.starts_with(magic) && matches!(version, 1 | 2)).then_some(version)
}

fn open(source: &Source, keys: &Keys<'_>, gaps: &Gaps, _budget: Budget) -> Result<Sealed, ReadError> {
    let broken = |what: String| ReadError { offset: 0, what };
    if version(&**source, 0, b"LUKS\xba\xbe") == Some(1) {
        let header =
            v1::Header::read(source)?.ok_or_else(|| broken("the LUKS1 header is cut short or impossible".into()))?;
        let keys = keys.of(&header.uuid);
        let content = unlock(&keys, |key| header.open(source, key));
        return Ok(Sealed {
            type_name: "LUKS1".into(),
            label: String::new(),
            uuid: header.uuid.clone(),
            about: header.about(),
            content,
        });
    }
    let header = v2::Header::read(source, gaps).map_err(broken)?;
    let keys = keys.of(&header.uuid);
    let content = unlock(&keys, |key| header.open(source, key));
    Ok(Sealed {
        type_name: "LUKS2".into(),
        label: header.label.clone(),
        uuid: header.uuid.clone(),
        about: header.about(),
        content,
    })
}

/// Tries each key, as it is and without a line end. `Ok(None)` of `open` is a key that does not fit.
fn unlock(keys: &[&Secret], open: impl Fn(&[u8]) -> Result<Option<Content>, String>) -> Result<Content, Locked> {
    if keys.is_empty() {
        return Err(Locked::NoKey);
    }
    for Secret(key) in keys {
        let trimmed = key.strip_suffix(b"\n").map(|k| k.strip_suffix(b"\r").unwrap_or(k));
        for key in [Some(key.as_slice()), trimmed].into_iter().flatten() {
            match open(key) {
                Ok(Some(content)) => return Ok(content),
                Ok(None) => {}
                Err(why) => return Err(Locked::Unsupported(why)),
            }
        }
    }
    Err(Locked::WrongKey(keys.len()))
}
