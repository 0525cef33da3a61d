//! Tables with commas, semicolons or tabs whose first line names the columns; the four NSRL files before its third
//! version are such tables.
//! Format: RFC 4180, with quotes as it has them.
use super::{Each, Fault, Importer, lines, named, some, take};
use crate::baseline::gather::Hashes;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "csv",
    about: "tables with a header that names a column SHA-256, SHA-1 or MD5 (NSRLFile.txt of RDS 2 is one)",
    limits: "all other columns are not kept; a quoted cell ends on its line",
    probe: |head| {
        let text = String::from_utf8_lossy(head);
        let first = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
        columns(first).is_some()
    },
    read,
};

type Columns = (char, usize, Vec<(usize, super::Named)>);

/// The separator, the number of columns, and which of them hold hashes.
fn columns(first: &str) -> Option<Columns> {
    let separator = [',', ';', '\t'].into_iter().max_by_key(|s| first.matches(*s).count())?;
    let cells = cells(first, separator)?;
    let hashes: Vec<_> = cells.iter().enumerate().filter_map(|(at, cell)| Some((at, named(cell)?))).collect();
    (!hashes.is_empty()).then_some((separator, cells.len(), hashes))
}

/// The cells of a line; `None` if a quote does not end on it.
fn cells(line: &str, separator: char) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cells.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            c if c == separator && !quoted => cells.push(String::new()),
            c => cells.last_mut()?.push(c),
        }
    }
    (!quoted).then_some(cells)
}

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let mut header: Option<Columns> = None;
    let mut found = false;
    lines(path, &mut |number, line| {
        let wrong = |what: String| Err(Fault::List(number, what));
        let line = String::from_utf8_lossy(line);
        let Some((separator, many, hashed)) = &header else {
            let first = line.trim_start_matches('\u{feff}');
            header = columns(first);
            return if header.is_some() {
                Ok(())
            } else {
                wrong(format!("expected a header with a column sha256, sha1 or md5, found {first:?}"))
            };
        };
        if line.trim().is_empty() {
            return Ok(());
        }
        let Some(cells) = cells(&line, *separator) else { return wrong("a quote that does not end".into()) };
        if cells.len() != *many {
            return wrong(format!("expected {many} columns, found {}", cells.len()));
        }
        let mut hashes = Hashes::default();
        for (at, kind) in hashed {
            let cell = cells.get(*at).map_or("", |c| c.trim());
            if !cell.is_empty() && !take(&mut hashes, *kind, cell) {
                return wrong(format!("column {}: {cell:?} is no such hash", at.saturating_add(1)));
            }
        }
        found = true;
        Ok(each(&hashes)?)
    })?;
    some(found, "lines below the header")
}
