//! A table as aligned text for a terminal. Where something had to be escaped, the last column names the columns.
use crate::inventory::AnyTable;
use std::io::{self, Write};

/// Longest cell shown; the rest is cut with `…`.
const WIDTH: usize = 60;

/// Writes the rows with a header; columns that are empty in every row are left out.
pub fn text_table(table: &dyn AnyTable, rows: &[usize], to: &mut dyn Write) -> io::Result<()> {
    let mut columns: Vec<(Vec<String>, usize)> = Vec::new();
    for (n, column) in table.table().columns.iter().enumerate() {
        let cells: Vec<String> = rows.iter().map(|r| cut(&table.value(*r, n).to_string())).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        let width = cells.iter().map(|c| c.chars().count()).chain([column.name.len()]).max().unwrap_or(0);
        columns.push((std::iter::once(column.name.to_owned()).chain(cells).collect(), width));
    }
    let marks = |row: &usize| -> String {
        let names = table.table().columns.iter().enumerate();
        super::marked(names.map(|(n, column)| (column.name, table.value(*row, n).is_marked())))
    };
    let marks: Vec<String> = rows.iter().map(marks).collect();
    if marks.iter().any(|m| !m.is_empty()) {
        let width = marks.iter().map(String::len).chain([super::ESCAPED.len()]).max().unwrap_or(0);
        columns.push((std::iter::once(super::ESCAPED.to_owned()).chain(marks).collect(), width));
    }
    for row in 0..=rows.len() {
        let mut line = String::new();
        for (cells, width) in &columns {
            let cell = cells.get(row).map_or("", String::as_str);
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(to, "{}", line.trim_end())?;
    }
    Ok(())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH.saturating_sub(1)).chain(['…']).collect()
}
