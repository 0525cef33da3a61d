//! Databases of AIDE, plain and gzip: a line that names the columns, then a line a file; hashes are base64.
//! Format: aide.conf(5), and the database that aide 0.16 to 0.18 write.
use super::{Each, Fault, Importer, lines, some};
use crate::base::{Digest, Md5, Sha1};
use crate::baseline::gather::Hashes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "aide",
    about: "databases of AIDE, plain and gzip",
    limits: "names, owners, permissions and times are not kept; other digests than SHA-256, SHA-1 and MD5 are not used",
    probe: |head| {
        let text = String::from_utf8_lossy(head);
        text.lines().take(8).any(|l| l == "@@begin_db")
    },
    read,
};

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let mut columns: Vec<String> = Vec::new();
    let (mut found, mut ended) = (false, false);
    lines(path, &mut |number, line| {
        let wrong = |what: String| Err(Fault::List(number, what));
        let line = String::from_utf8_lossy(line);
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(names) = line.strip_prefix("@@db_spec ") {
            columns = names.split_ascii_whitespace().map(str::to_owned).collect();
            return if columns.iter().any(|c| matches!(c.as_str(), "sha256" | "sha1" | "md5")) {
                Ok(())
            } else {
                wrong(format!("expected a column sha256, sha1 or md5, found {names}"))
            };
        }
        ended |= line == "@@end_db";
        if line.starts_with("@@") {
            return Ok(());
        }
        let cells: Vec<&str> = line.split_ascii_whitespace().collect();
        if columns.is_empty() || cells.len() != columns.len() {
            return wrong(format!("expected {} columns (@@db_spec), found {}", columns.len(), cells.len()));
        }
        let mut hashes = Hashes::default();
        for (column, cell) in columns.iter().zip(cells) {
            // What was not computed is 0, or one 0 in base64.
            if matches!(cell, "0" | "MA==") || !matches!(column.as_str(), "sha256" | "sha1" | "md5") {
                continue;
            }
            let raw = STANDARD.decode(cell).unwrap_or_default();
            match column.as_str() {
                "sha256" => hashes.sha256 = raw.try_into().ok().map(Digest),
                "sha1" => hashes.sha1 = raw.try_into().ok().map(Sha1),
                _ => hashes.md5 = raw.try_into().ok().map(Md5),
            }
            if hashes == Hashes::default() {
                return wrong(format!("{cell:?} is no {column}"));
            }
        }
        if hashes != Hashes::default() {
            found = true;
            each(&hashes)?;
        }
        Ok(())
    })?;
    if !ended {
        return Err(Fault::List(0, "the file is cut short: its last line, @@end_db, is missing".into()));
    }
    some(found, "lines with a hash")
}
