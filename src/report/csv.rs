//! A table as CSV (RFC 4180). No cell can start a formula, whatever a name in the evidence says.
use crate::inventory::AnyTable;
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes the rows, in the order given, with a header; every row ends with where it was read.
pub fn csv(table: &dyn AnyTable, rows: &[usize], to: &mut dyn Write) -> io::Result<()> {
    let columns = table.table().columns;
    let header: Vec<String> = columns.iter().map(|c| c.name.to_owned()).chain(["evidence".to_owned()]).collect();
    line(to, &header)?;
    for row in rows {
        let cells = (0..columns.len()).map(|c| table.value(*row, c).to_string());
        let evidence = table.evidence(*row).map(|e| {
            let line = e.line.map(|l| format!(":{l}")).unwrap_or_default();
            format!("{}{line} inode {}", e.path, e.node.number)
        });
        let cells: Vec<String> = cells.chain([evidence.unwrap_or_default()]).collect();
        line(to, &cells)?;
    }
    Ok(())
}

fn line(to: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    let cells: Vec<Cow<'_, str>> = cells.iter().map(|c| csv_cell(c)).collect();
    write!(to, "{}\r\n", cells.join(","))
}

/// A cell that a spreadsheet cannot take for a formula: what begins with `= + - @`, a tab or a carriage
/// return gets an apostrophe in front. Evidence decides what stands in a cell.
pub fn inert(cell: &str) -> Cow<'_, str> {
    match cell.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => format!("'{cell}").into(),
        _ => cell.into(),
    }
}

/// [`inert`], and quoted where CSV needs it.
pub fn csv_cell(cell: &str) -> Cow<'_, str> {
    let cell = inert(cell);
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")).into() } else { cell }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inventory::File;

    #[test]
    fn no_cell_is_a_formula_and_no_cell_breaks_a_line() {
        let names = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "a,\"b\"", "a\nb"];
        let rows: Vec<File> = names.iter().map(|n| File { path: (*n).into(), ..File::default() }).collect();
        let mut out = Vec::new();
        csv(&rows, &[0, 1, 2, 3, 4, 5], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\r\n").count(), 7);
        for record in text.split("\r\n") {
            assert!(!record.starts_with(['=', '+', '-', '@']), "{record}");
        }
        assert!(text.contains("\"a,\"\"b\"\"\""));
    }
}
