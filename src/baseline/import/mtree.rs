//! mtree specifications, as `mtree -c` of the BSDs and bsdtar write them.
//! Format: mtree(5) of NetBSD.
use super::{Each, Fault, Importer, lines, named, some, take};
use crate::baseline::gather::Hashes;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "mtree",
    about: "mtree specifications with sha256, sha1 or md5 (mtree -c -K sha256)",
    limits: "names, owners and permissions are not kept; other digests are not used",
    probe: |head| {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        let first = lines.next().unwrap_or_default();
        let is_entry = |l: &str| !l.starts_with('#') && l.split_ascii_whitespace().any(|w| w.starts_with("type="));
        let mut rest = text.lines().filter(|l| !l.starts_with('#')).take(40);
        first.starts_with("#mtree") || rest.any(|l| l.starts_with("/set ") || is_entry(l))
    },
    read,
};

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let mut found = false;
    let mut whole = String::new();
    lines(path, &mut |number, line| {
        let line = String::from_utf8_lossy(line);
        // An entry goes on where its line ends with a backslash.
        if let Some(part) = line.strip_suffix('\\') {
            if whole.len() > 1 << 20 {
                return Err(Fault::List(number, "an entry that does not end".into()));
            }
            whole.push_str(part);
            return Ok(());
        }
        let mut entry = std::mem::take(&mut whole);
        entry.push_str(&line);
        let text = entry.trim();
        if text.is_empty() || text.starts_with('#') || text.starts_with('/') || text == ".." {
            return Ok(());
        }
        let mut hashes = Hashes::default();
        let mut has = false;
        // The first word is the name.
        for word in text.split_ascii_whitespace().skip(1) {
            let Some((key, value)) = word.split_once('=') else { continue };
            if let Some(kind) = named(key) {
                let value = value.strip_prefix("0x").unwrap_or(value);
                if !take(&mut hashes, kind, value) {
                    return Err(Fault::List(number, format!("{value:?} is no {key}")));
                }
                has = true;
            }
        }
        if has {
            found = true;
            each(&hashes)?;
        }
        Ok(())
    })?;
    some(found, "entries with sha256=, sha1= or md5=")
}
