//! hashdeep and its kin: a header that names the columns, then a line a file.
//! Format: "The hashdeep file format" of the md5deep project.
use super::{Each, Fault, Importer, lines, named, some, take};
use crate::baseline::gather::Hashes;
use std::path::Path;

pub(super) const IMPORTER: Importer = Importer {
    name: "hashdeep",
    about: "lists of hashdeep (%%%% HASHDEEP-1.0)",
    limits: "names and sizes are not kept; tiger, whirlpool and SHA-3 are not used",
    probe: |head| head.starts_with(b"%%%% HASHDEEP"),
    read,
};

fn read(path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
    let mut columns: Vec<String> = Vec::new();
    let mut found = false;
    lines(path, &mut |number, line| {
        let wrong = |what: String| Err(Fault::List(number, what));
        let line = String::from_utf8_lossy(line);
        if number == 1 {
            return if line == "%%%% HASHDEEP-1.0" {
                Ok(())
            } else {
                wrong(format!("expected %%%% HASHDEEP-1.0, found {line:?}"))
            };
        }
        if let Some(names) = line.strip_prefix("%%%% ") {
            columns = names.split(',').map(str::to_owned).collect();
            return if columns.iter().any(|c| named(c).is_some()) {
                Ok(())
            } else {
                wrong(format!("expected a column sha256, sha1 or md5, found {names}"))
            };
        }
        if line.is_empty() || line.starts_with("##") {
            return Ok(());
        }
        if columns.is_empty() {
            return wrong("expected the line that names the columns before this".into());
        }
        // The name is the last column, and may hold commas.
        let cells: Vec<&str> = line.splitn(columns.len(), ',').collect();
        if cells.len() != columns.len() {
            return wrong(format!("expected {} columns, found {}", columns.len(), cells.len()));
        }
        let mut hashes = Hashes::default();
        for (column, cell) in columns.iter().zip(cells) {
            if let Some(kind) = named(column)
                && !take(&mut hashes, kind, cell)
            {
                return wrong(format!("{cell:?} is no {column}"));
            }
        }
        found = true;
        Ok(each(&hashes)?)
    })?;
    some(found, "lines of hashes")
}
