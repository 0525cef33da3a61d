//! Tables as CSV (RFC 4180). No cell can start a formula, whatever a name in the evidence says; the last column names
//! the columns in which something had to be escaped.
use super::Format;
use crate::base::{Evidence, inert::is_plain};
use crate::case::CaseData;
use crate::inventory::AnyTable;
use crate::judge::Finding;
use std::borrow::Cow;
use std::io::{self, Write};

pub(super) const FORMAT: Format = Format {
    name: "csv",
    about: "one table: the findings, or what --table names",
    write: |case, to| findings(case, to),
};

/// What stands over the column of marks.
pub const ESCAPED: &str = "escaped";

/// Writes the rows, in the order given, with a header; every row ends with where it was read.
pub fn csv(table: &dyn AnyTable, rows: &[usize], to: &mut dyn Write) -> io::Result<()> {
    let columns = table.table().columns;
    let names: Vec<&str> = columns.iter().map(|c| c.name).chain(["evidence"]).collect();
    head(to, &names)?;
    for row in rows {
        let cells = (0..columns.len()).map(|c| table.value(*row, c)).map(|v| (v.to_string(), v.is_marked()));
        let cells: Vec<_> = cells.chain([place(table.evidence(*row))]).collect();
        line(to, &names, &cells)?;
    }
    Ok(())
}

/// One table of a case: of the inventory, or one of the lists beside it; `None` if there is none of this name.
pub fn csv_table(case: &CaseData, name: &str, to: &mut dyn Write) -> Option<io::Result<()>> {
    Some(match name {
        "findings" => findings(case, to),
        "gaps" => gaps(case, to),
        "searched" => searched(case, to),
        "unexamined" => unexamined(case, to),
        _ => {
            let table = case.inventory.table(name)?;
            let rows: Vec<usize> = (0..table.len()).collect();
            csv(table, &rows, to)
        }
    })
}

/// A cell, and whether something in it had to be escaped.
type Cell = (String, bool);

fn place(evidence: Option<&Evidence>) -> Cell {
    evidence.map_or_else(Cell::default, |e| {
        let line = e.line.map(|l| format!(":{l}")).unwrap_or_default();
        (format!("{}{line} inode {}", e.path, e.node.number), e.path.is_marked())
    })
}
/// Text that may be anything.
fn text(text: &str) -> Cell {
    (crate::base::Name::from(text).display_text(), !is_plain(text))
}
/// Text of several lines: they are kept, as CSV can carry them.
fn lines(text: &str) -> Cell {
    (crate::base::inert::lines(text), !text.lines().all(is_plain))
}

fn findings(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    const NAMES: &[&str] = &[
        "id",
        "rule",
        "title",
        "severity",
        "conformity",
        "category",
        "rung",
        "confidence",
        "system",
        "subject",
        "observed",
        "supports",
        "does_not_show",
        "ordinary_explanations",
        "check",
        "attack",
        "baseline",
        "reviews",
        "disposition",
        "examiner",
        "note",
        "places",
        "evidence",
    ];
    head(to, NAMES)?;
    for f in &case.findings {
        line(to, NAMES, &finding(case, f))?;
    }
    Ok(())
}

fn finding(case: &CaseData, f: &Finding) -> Vec<Cell> {
    let word = |w: serde_json::Result<serde_json::Value>| match w {
        Ok(serde_json::Value::String(word)) => (word, false),
        _ => Cell::default(),
    };
    let system = f.system.and_then(|s| case.scene.systems.get(s as usize)).map_or("", |s| &s.id);
    let last = f.reviews.last();
    vec![
        text(&f.id),
        text(&f.rule),
        text(&f.title),
        word(serde_json::to_value(f.severity)),
        word(serde_json::to_value(f.conformity)),
        word(serde_json::to_value(f.category)),
        word(serde_json::to_value(f.rung)),
        word(serde_json::to_value(f.confidence)),
        text(system),
        text(&f.subject),
        lines(&f.observed),
        lines(&f.supports),
        lines(&f.does_not_show),
        lines(&f.ordinary_explanations),
        lines(&f.check),
        text(&f.attack.join(", ")),
        word(serde_json::to_value(f.baseline.verdict)),
        (f.reviews.len().to_string(), false),
        last.map(|r| text(&r.disposition)).unwrap_or_default(),
        last.map(|r| text(&r.examiner)).unwrap_or_default(),
        last.map(|r| lines(&r.note)).unwrap_or_default(),
        (f.evidence.len().to_string(), false),
        place(f.evidence.first()),
    ]
}

fn gaps(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    const NAMES: &[&str] = &["path", "place", "by", "what", "bytes"];
    head(to, NAMES)?;
    for gap in &case.gaps {
        let path = gap.at.path.as_ref().map(|p| (p.display(), p.is_marked())).unwrap_or_default();
        let place = (gap.at.to_string(), path.1);
        line(to, NAMES, &[path, place, text(&gap.by), text(&gap.what), (gap.bytes.to_string(), false)])?;
    }
    Ok(())
}

fn searched(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    const NAMES: &[&str] = &["rule", "inputs", "hits"];
    head(to, NAMES)?;
    let mut all = case.searched.iter();
    all.try_for_each(|s| line(to, NAMES, &[text(&s.rule), text(&s.inputs), (s.hits.to_string(), false)]))
}

fn unexamined(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    const NAMES: &[&str] = &["device", "excerpt", "evidence"];
    head(to, NAMES)?;
    let mut all = case.unexamined.iter();
    all.try_for_each(|u| {
        let excerpt = text(u.named_by.excerpt.as_deref().unwrap_or_default());
        line(to, NAMES, &[text(&u.device), excerpt, place(Some(&u.named_by))])
    })
}

fn head(to: &mut dyn Write, names: &[&str]) -> io::Result<()> {
    write!(to, "{},{ESCAPED}\r\n", names.join(","))
}

fn line(to: &mut dyn Write, names: &[&str], cells: &[Cell]) -> io::Result<()> {
    let marked = marked(names.iter().zip(cells).map(|(name, (_, marked))| (*name, *marked)));
    let cells: Vec<Cow<'_, str>> = cells.iter().map(|(c, _)| csv_cell(c)).chain([marked.into()]).collect();
    write!(to, "{}\r\n", cells.join(","))
}

/// What stands in the column of marks: names of columns.
pub fn marked<'a>(cells: impl Iterator<Item = (&'a str, bool)>) -> String {
    cells.filter(|(_, marked)| *marked).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// A cell that a spreadsheet cannot take for a formula: what begins with `= + - @` (also of full width, and after
/// blanks), a tab or a carriage return gets an apostrophe in front. Evidence decides what stands in a cell.
pub fn inert(cell: &str) -> Cow<'_, str> {
    let first = cell.trim_start_matches(' ').chars().next();
    let is_formula = |c| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    if first.is_some_and(is_formula) { format!("'{cell}").into() } else { cell.into() }
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
        let names = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "a,\"b\"", "a\nb", " =1", "＝1"];
        let rows: Vec<File> = names.iter().map(|n| File { path: (*n).into(), ..File::default() }).collect();
        let mut out = Vec::new();
        csv(&rows, &[0, 1, 2, 3, 4, 5, 6, 7], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\r\n").count(), 9);
        for record in text.split("\r\n") {
            assert!(!record.starts_with(['=', '+', '-', '@', ' ', '＝']), "{record}");
        }
        assert!(text.contains("\"a,\"\"b\"\"\""));
        let marks: Vec<&str> = text.lines().skip(1).map(|l| l.rsplit(',').next().unwrap()).collect();
        assert_eq!(marks, ["", "", "", "", "", "path", "", ""]);
    }
}
