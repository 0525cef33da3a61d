//! Lists of sha256sum, sha1sum, md5sum and their kin: a hash and a name a line, or `KIND (name) = hash`.
//! Format: GNU coreutils manual, "md5sum invocation"; the second form is that of the BSDs and of `--tag`.
use super::{Each, Fault, Importer, lines, named, some, take};
use crate::baseline::gather::Hashes;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "sums",
    about: "lists of sha256sum, sha1sum and md5sum, also with --tag, and bare hashes one a line",
    limits: "names are not kept: the same content is known wherever it lies",
    probe: |head| {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        lines.next().is_some_and(|line| matches!(entry(line), Ok(Some(_))))
    },
    read,
};

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let mut found = false;
    lines(path, &mut |number, line| {
        let line = String::from_utf8_lossy(line);
        match entry(&line) {
            Ok(None) => Ok(()),
            Ok(Some(hashes)) => {
                found = true;
                Ok(each(&hashes)?)
            }
            Err(what) => Err(Fault::List(number, what)),
        }
    })?;
    some(found, "lines of a hash and a name")
}

/// `None` for a line that is blank or a comment.
fn entry(line: &str) -> Result<Option<Hashes>, String> {
    // An escaped name is marked at the line's beginning.
    let line = line.strip_prefix('\\').unwrap_or(line);
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut hashes = Hashes::default();
    let found: String = line.chars().take(60).collect();
    if let Some((kind, rest)) = line.split_once(" (")
        && let Some((_, value)) = rest.rsplit_once(") = ")
    {
        return match named(kind) {
            Some(kind) if take(&mut hashes, kind, value.trim()) => Ok(Some(hashes)),
            Some(_) => Err(format!("{value:?} is no {kind}")),
            // Other kinds (BLAKE2b, SHA512) are counted as entries without a usable hash.
            None if !kind.contains(' ') => Ok(Some(hashes)),
            None => Err(format!("expected KIND (name) = hash, found {found:?}")),
        };
    }
    let value = line.split(' ').next().unwrap_or_default();
    let rest = line.get(value.len()..).unwrap_or_default();
    let fits = rest.is_empty() || rest.starts_with("  ") || rest.starts_with(" *");
    let is_other = || matches!(value.len(), 56 | 96 | 128) && value.bytes().all(|b| b.is_ascii_hexdigit());
    if fits && (hashes.set_hex(value) || is_other()) {
        Ok(Some(hashes))
    } else {
        Err(format!("expected a SHA-256, SHA-1 or MD5, two characters and a name, found {found:?}"))
    }
}
