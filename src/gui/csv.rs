//! Rows as text for other programs: CSV (RFC 4180) for files, tab-separated for the clipboard.
use super::rows::Rows;
use crate::report::{ESCAPED, csv_cell, inert, marked};

/// These rows with all columns, where they were read, and a header line.
pub(super) fn text(rows: &dyn Rows, order: &[u32]) -> String {
    let mut out = String::new();
    for spec in rows.specs() {
        out.push_str(&csv_cell(spec.name));
        out.push(',');
    }
    out.push_str(&format!("evidence_path,evidence_inode,evidence_line,{ESCAPED}\r\n"));
    for row in order.iter().map(|r| *r as usize) {
        for column in 0..rows.specs().len() {
            out.push_str(&csv_cell(&rows.value(row, column).to_string()));
            out.push(',');
        }
        if let Some(evidence) = rows.evidence(row).first() {
            out.push_str(&csv_cell(&evidence.path.display()));
            out.push(',');
            out.push_str(&evidence.node.number.to_string());
            out.push(',');
            out.push_str(&evidence.line.map(|l| l.to_string()).unwrap_or_default());
        } else {
            out.push_str(",,");
        }
        out.push(',');
        let path = rows.evidence(row).first().is_some_and(|e| e.path.is_marked());
        let cells = rows.specs().iter().enumerate().map(|(n, s)| (s.name, rows.value(row, n).is_marked()));
        out.push_str(&marked(cells.chain([("evidence_path", path)])));
        out.push_str("\r\n");
    }
    out
}

/// These rows, tab-separated, with the columns that are shown and a header line.
pub(super) fn tabbed(rows: &dyn Rows, order: &[u32], columns: &[usize]) -> String {
    let titles: Vec<&str> = columns.iter().filter_map(|c| rows.specs().get(*c)).map(|s| s.name).collect();
    let mut out = titles.join("\t");
    for row in order {
        out.push('\n');
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.push('\t');
            }
            // Control characters are escaped by the value's own text, so a cell holds no tab or line end.
            out.push_str(&inert(&rows.value(*row as usize, *column).to_string()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert!(inert(cell).starts_with('\''), "{cell:?}");
        }
        assert_eq!(inert("/etc/=x"), "/etc/=x");
        assert_eq!(csv_cell("=\"a\",b"), "\"'=\"\"a\"\",b\"");
    }
}
