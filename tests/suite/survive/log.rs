//! The log of a case, changed in any byte: `verify` says so, and names the first line that is not as it was written.
use super::{disk, examine};
use crate::common::{rounds, run};
use cranescope::session::{Plan, verify};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A varint of SQLite: its value and length.
fn varint(bytes: &[u8]) -> (u64, usize) {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(9).enumerate() {
        if n == 8 {
            return (value << 8 | u64::from(*byte), 9);
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return (value, n + 1);
        }
    }
    panic!("a varint is cut off");
}

/// Where the page of the log lies in the file, and in it the cell of each line, in order.
fn lines(case: &Path) -> (u64, Vec<u8>, Vec<std::ops::Range<usize>>) {
    let db = rusqlite::Connection::open(case).unwrap();
    let root: i64 = db.query_row("SELECT rootpage FROM sqlite_master WHERE name = 'log'", [], |r| r.get(0)).unwrap();
    let size: i64 = db.pragma_query_value(None, "page_size", |r| r.get(0)).unwrap();
    drop(db);
    let mut page = vec![0; usize::try_from(size).unwrap()];
    let at = ((root - 1) * size).cast_unsigned();
    std::fs::File::open(case).unwrap().read_exact_at(&mut page, at).unwrap();
    assert_eq!(page[0], 13, "the log does not fit into one leaf");
    let u16_at = |n: usize| usize::from(u16::from_be_bytes([page[n], page[n + 1]]));
    let cells = (0..u16_at(3))
        .map(|n| {
            let start = u16_at(8 + 2 * n);
            let (payload, a) = varint(&page[start..]);
            let (_, b) = varint(&page[start + a..]);
            start..start + a + b + usize::try_from(payload).unwrap()
        })
        .collect();
    (at, page, cells)
}

fn log(case: &Path) -> Option<Vec<[String; 5]>> {
    let db = rusqlite::Connection::open(case).ok()?;
    let mut all = db.prepare("SELECT at, who, what, previous, hash FROM log ORDER BY number").ok()?;
    let row = |r: &rusqlite::Row<'_>| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?]);
    all.query_map([], row).ok()?.collect::<Result<_, _>>().ok()
}

#[test]
fn any_changed_byte_of_the_log_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    assert_eq!(examine(at, "c.cranecase").0, 0);
    for day in ["2026-01-02", "2026-01-03", "2026-01-04"] {
        assert_eq!(run(at, &["judge", "c.cranecase", "--as-of", day]).0, 0);
    }
    // The facts are not what is tried here; without them each look takes less.
    let case = at.join("c.cranecase");
    let db = rusqlite::Connection::open(&case).unwrap();
    db.execute_batch("DELETE FROM rows_files; DELETE FROM rows_events; VACUUM").unwrap();
    drop(db);
    let before = log(&case).unwrap();
    assert_eq!(before.len(), 5);
    assert!(verify(&case, &Plan::default()).unwrap().whole);
    let (page_at, page, cells) = lines(&case);
    assert_eq!(cells.len(), before.len());
    let file = std::fs::File::options().write(true).open(&case).unwrap();
    let header = 0..8 + 2 * cells.len();
    let (mut flips, mut harmless) = (0, 0);
    for bit in 0..rounds(1, 8) {
        let mask = [0x01, 0x80, 0x20, 0x40, 0x02, 0x04, 0x08, 0x10][bit as usize];
        for (line, byte) in std::iter::once((None, header.clone()))
            .chain(cells.iter().enumerate().map(|(n, c)| (Some(n + 1), c.clone())))
            .flat_map(|(line, bytes)| bytes.map(move |b| (line, b)))
        {
            // A share of them in every run.
            if crate::common::rounds(0, 1) == 0 && byte % 5 != 0 {
                continue;
            }
            file.write_all_at(&[page[byte] ^ mask], page_at + byte as u64).unwrap();
            flips += 1;
            let told = verify(&case, &Plan::default()).unwrap();
            let words = told.lines.join("\n");
            if told.whole {
                // SQLite reads past it: the page's own header, and the kind of a number that stands elsewhere.
                harmless += 1;
                assert_eq!(log(&case).as_ref(), Some(&before), "byte {byte} of {line:?}, mask {mask:#x}: {words}");
            } else if let Some(line) = line {
                let named = format!("log: line {line} ");
                assert!(words.contains(&named), "byte {byte} of line {line}, mask {mask:#x}: {words}");
            }
            file.write_all_at(&page[byte..=byte], page_at + byte as u64).unwrap();
        }
    }
    assert!(verify(&case, &Plan::default()).unwrap().whole);
    assert!(harmless * 100 <= flips, "{harmless} of {flips}");
    println!(
        "{flips} bytes flipped: {} found, the line named; the other {harmless} change nothing that the log says",
        flips - harmless
    );
}

/// Lines that are taken away, put in, changed, or written in another order.
#[test]
fn lines_taken_away_or_put_in_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    assert_eq!(examine(at, "c.cranecase").0, 0);
    assert_eq!(run(at, &["judge", "c.cranecase"]).0, 0);
    let of = at.join("c.cranecase");
    for (sql, line) in [
        ("DELETE FROM log WHERE number = 3", 3),
        ("DELETE FROM log WHERE number = 2", 2),
        ("DELETE FROM log", 1),
        ("DROP TABLE log", 1),
        ("UPDATE log SET number = number + 10", 1),
        ("INSERT INTO log SELECT 4, at, who, what, hash, hash FROM log WHERE number = 3", 4),
        ("UPDATE log SET who = 'somebody' WHERE number = 2", 2),
        ("UPDATE log SET what = CAST(what AS BLOB) WHERE number = 1", 1),
        ("UPDATE meta SET value = '3 0' WHERE key = 'log_end'", 3),
        ("UPDATE meta SET value = '2 0' WHERE key = 'log_end'", 3),
    ] {
        let changed = at.join("changed.cranecase");
        std::fs::copy(&of, &changed).unwrap();
        rusqlite::Connection::open(&changed).unwrap().execute_batch(sql).unwrap();
        let (code, out, err) = run(at, &["verify", "changed.cranecase"]);
        assert_eq!(code, 1, "{sql}: {out} {err}");
        assert!(out.contains(&format!("log: line {line} ")), "{sql}: {out}");
    }
}
