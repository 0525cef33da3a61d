//! Names are bytes: whatever a name in the evidence is made of, nothing that is shown or written hides, moves,
//! imitates or steers, and nothing is lost.
mod set;
#[cfg(feature = "gui")]
mod window;

use crate::common::{cranescope, have};
use crate::fixture;
use base64::Engine as _;
use cranescope::base::{Evidence, Gap, Name, inert};
use cranescope::case::{CaseData, Device, Exhibit};
use cranescope::inventory::{File, Inventory, Row, Value};
use cranescope::judge::{Review, Searched, Unexamined};
pub(crate) use set::set;
use std::cell::Cell;

/// A case in which every text of the evidence is made by `name`, called with 0, 1, 2 …
pub(crate) fn case(name: &dyn Fn(usize) -> Vec<u8>) -> CaseData {
    let next = Cell::new(0);
    let raw = || {
        next.set(next.get() + 1);
        Name::from(name(next.get() - 1))
    };
    let text = || String::from_utf8_lossy(raw().bytes()).into_owned();
    let evidence = |e: &Evidence| Evidence {
        path: Name::from([b"/srv/".as_slice(), raw().bytes()].concat()),
        excerpt: e.excerpt.as_ref().map(|_| text()),
        key: Some(text()),
        ..e.clone()
    };
    let mut data = fixture::rich();
    let mut inventory = Inventory::default();
    for row in std::mem::take(&mut data.inventory).into_rows().into_iter().step_by(7) {
        let table = row.table();
        let mut values: Vec<Value> = (0..table.columns.len()).map(|c| row.value(c)).collect();
        for at in 0..values.len() {
            let hostile = match &values[at] {
                Value::Text(_) => Value::Text(text().into()),
                Value::Path(_) => Value::Path(raw()),
                Value::List(_) => Value::List(vec![text(), text()]),
                _ => continue,
            };
            let kept = std::mem::replace(&mut values[at], hostile);
            // Hashes, modes and other closed sets stay as they are: the worker cannot send another text there.
            if Row::from_values(table.name, None, values.clone(), Evidence::default()).is_none() {
                values[at] = kept;
            }
        }
        let at = evidence(row.evidence());
        inventory.push(Row::from_values(table.name, row.system(), values, at).unwrap());
    }
    for n in 0..set().len() {
        let path = Name::from([b"/opt/".as_slice(), &name(n)].concat());
        let at = Evidence { path: path.clone(), ..Evidence::default() };
        inventory.push(Row::from(File { path, evidence: at, ..File::default() }));
    }
    inventory.sort();
    data.inventory = inventory;
    for f in &mut data.findings {
        (f.title, f.subject, f.observed, f.check) = (text(), text(), text(), text());
        (f.supports, f.does_not_show, f.ordinary_explanations) = (text(), text(), text());
        (f.rule, f.baseline.by) = (text(), text());
        f.evidence = f.evidence.iter().map(&evidence).collect();
        f.reviews.push(Review {
            examiner: text(),
            disposition: text(),
            note: text(),
            at: cranescope::base::Time::seconds(1_740_816_000),
        });
    }
    data.gaps = data
        .gaps
        .iter()
        .map(|g| {
            let mut at = g.at.clone();
            at.path = Some(raw());
            Gap { at, by: text(), what: text(), bytes: g.bytes }
        })
        .collect();
    data.searched = (0..3).map(|n| Searched { rule: text(), inputs: text(), hits: n }).collect();
    data.unexamined =
        data.unexamined.iter().map(|u| Unexamined { device: text(), named_by: evidence(&u.named_by) }).collect();
    data.verdict.policy = text();
    data.verdict.reasons = vec![text(), text()];
    for image in &mut data.scene.images {
        (image.path, image.container) = (text(), text());
        image.details = vec![(text(), text())];
        image.stored_hashes[0].stored = text();
    }
    for v in &mut data.scene.volumes {
        (v.scheme, v.type_name, v.label, v.uuid) = (text(), text(), text(), text());
    }
    for f in &mut data.scene.filesystems {
        (f.kind, f.label, f.last_mounted) = (text(), text(), text());
    }
    for s in &mut data.scene.systems {
        (s.hostname, s.machine_id, s.architecture, s.timezone) = (text(), text(), text(), text());
        (s.os.name, s.package_database) = (text(), text());
        (s.kernels, s.clone_signs, s.mount_notes) = (vec![text()], vec![text()], vec![text()]);
        (s.slot.name, s.slot.by) = (text(), text());
        s.layers = vec![cranescope::inventory::LayeringInfo {
            at: text(),
            by: text(),
            upper_named: text(),
            ..Default::default()
        }];
        s.mounts = vec![cranescope::inventory::Mount { at: text(), device: text(), ..Default::default() }];
    }
    let device = |_: &Device| Device { id: text(), role: text(), named_by: text(), exhibits: vec![text()] };
    data.scope.devices = data.scope.devices.iter().map(device).collect();
    let exhibit = |e: &Exhibit| Exhibit {
        id: text(),
        device: text(),
        seal: text(),
        serial: text(),
        write_blocker: text(),
        acquisition_log: text(),
        ..e.clone()
    };
    data.scope.exhibits = data.scope.exhibits.iter().map(exhibit).collect();
    (data.scope.crane, data.run.examiner, data.run.host) = (text(), text(), text());
    data.run.command = vec![text()];
    data
}

/// The case of all hostile names.
pub(crate) fn hostile() -> CaseData {
    let names = set();
    case(&move |n| names[n % names.len()].clone())
}

/// What must not stand in anything that is shown, line by line.
pub(crate) fn is_inert(text: &str) -> bool {
    text.lines().all(inert::is_plain)
}

#[test]
fn there_are_enough_of_them_and_each_is_shown_without_loss() {
    let names = set();
    assert!(names.len() >= 200, "{}", names.len());
    let mut shown = std::collections::BTreeSet::new();
    for name in &names {
        let display = Name::new(name).display();
        assert!(inert::is_plain(&display), "{display}");
        assert!(inert::is_plain(&Name::new(name).display_text()), "{display}");
        // Two names that look the same would be one; and what was escaped says so.
        shown.insert(display.clone());
        assert!(Name::new(name).is_marked() || display.replace("\\\\", "\\").as_bytes() == name.as_slice());
    }
    let distinct: std::collections::BTreeSet<_> = names.into_iter().collect();
    assert_eq!(shown.len(), distinct.len());
}

#[test]
fn csv_has_no_formula_no_control_and_the_lines_it_says() {
    let data = hostile();
    let lists = ["findings", "gaps", "searched", "unexamined"];
    let tables = cranescope::inventory::TABLES.iter().map(|t| t.name);
    for table in lists.into_iter().chain(tables) {
        let mut out = Vec::new();
        cranescope::report::csv_table(&data, table, &mut out).unwrap().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(is_inert(&text.replace("\r\n", "\n")), "{table}");
        let records = parse_csv(&text);
        let width = records[0].len();
        let rows = match table {
            "findings" => data.findings.len(),
            "gaps" => data.gaps.len(),
            "searched" => data.searched.len(),
            "unexamined" => data.unexamined.len(),
            other => data.inventory.table(other).unwrap().len(),
        };
        assert_eq!(records.len(), rows + 1, "{table}");
        for record in &records {
            assert_eq!(record.len(), width, "{table}: {record:?}");
            for cell in record {
                let start = cell.trim_start_matches(' ');
                assert!(
                    !start.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']),
                    "{table}: {cell:?}"
                );
            }
        }
        if table == "files" {
            let (path, mark) = (position(&records[0], "path"), position(&records[0], "escaped"));
            for (record, file) in records[1..].iter().zip(data.inventory.files.iter()) {
                assert_eq!(record[mark].split(' ').any(|m| m == "path"), file.path.is_marked(), "{record:?}");
                assert!(record[path] == file.path.display() || record[path] == format!("'{}", file.path));
            }
        }
    }
}

fn position(head: &[String], name: &str) -> usize {
    head.iter().position(|h| h == name).unwrap()
}

/// RFC 4180, as a spreadsheet reads it.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {
                chars.next();
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            c => cell.push(c),
        }
    }
    assert!(record.is_empty() && cell.is_empty() && !quoted, "the last record has no end");
    records
}

#[test]
fn json_is_inert_as_bytes_and_whole_as_values() {
    let data = hostile();
    for (name, write) in [
        ("json", cranescope::report::json as fn(&CaseData, &mut dyn std::io::Write) -> _),
        ("sarif", cranescope::report::sarif),
    ] {
        let mut out = Vec::new();
        write(&data, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(is_inert(&text), "{name}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        if name == "json" {
            let files = json["inventory"]["files"].as_array().unwrap();
            assert_eq!(files.len(), data.inventory.files.len());
            for (row, file) in files.iter().zip(data.inventory.files.iter()) {
                assert_eq!(row["path"], file.path.plain().map_or_else(|| file.path.display(), str::to_owned));
                // The mark, and the exact bytes.
                let bytes =
                    row["path_bytes"].as_str().map(|b| base64::engine::general_purpose::STANDARD.decode(b).unwrap());
                assert_eq!(bytes.is_some(), file.path.is_marked());
                assert!(bytes.is_none_or(|b| b == file.path.bytes()));
            }
            // Text that is no path has its own characters, as JSON escapes.
            assert_eq!(json["findings"][0]["subject"], data.findings[0].subject);
        } else {
            assert_eq!(json["runs"][0]["results"].as_array().unwrap().len(), data.findings.len());
        }
    }
}

#[test]
fn a_table_for_a_terminal_steers_nothing_and_marks_what_it_escaped() {
    let data = hostile();
    for table in data.inventory.all() {
        let rows: Vec<usize> = (0..table.len()).collect();
        let mut out = Vec::new();
        cranescope::report::text_table(table, &rows, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(is_inert(&text), "{}", table.table().name);
        assert_eq!(text.lines().count(), rows.len() + 1);
        if table.table().name == "files" {
            assert!(text.lines().next().unwrap().ends_with("escaped"), "{text}");
            let marked = text.lines().filter(|l| l.ends_with(" path") || l.contains(" path ")).count();
            assert!(marked >= data.inventory.files.iter().filter(|f| f.path.is_marked()).count());
        }
    }
}

/// The whole way: names in a real file system, through worker, case and every verb that prints.
#[test]
fn no_verb_prints_what_steers_a_terminal() {
    if !have("mke2fs") || !have("debugfs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir_all(at.join("root/etc/systemd/system")).unwrap();
    std::fs::create_dir_all(at.join("root/srv")).unwrap();
    let mut made = 0;
    for (n, name) in set().iter().enumerate() {
        use std::os::unix::ffi::OsStrExt;
        if name.len() > 255 || name.contains(&b'/') || name.contains(&0) || name == b"." || name == b".." {
            continue;
        }
        std::fs::write(at.join("root/srv").join(std::ffi::OsStr::from_bytes(name)), n.to_string()).unwrap();
        made += 1;
    }
    assert!(made >= 200, "{made}");
    std::fs::write(at.join("root/etc/os-release"), b"ID=debian\nPRETTY_NAME=\"\x1b[2Jx\xe2\x80\xae\"\n").unwrap();
    std::fs::write(at.join("root/etc/hostname"), b"crane\x1b]0;x\x07\n").unwrap();
    std::fs::write(at.join("root/etc/passwd"), b"root:x:0:0::/root:/bin/sh\ns\xd0\xb5rvice:x:0:0::/:/bin/sh\n")
        .unwrap();
    crate::common::ext4(at, &at.join("root"), "disk.img");
    let run = |arguments: &[&str]| {
        let out = cranescope().args(arguments).current_dir(at).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
        assert!(is_inert(&text.replace("\r\n", "\n").replace('\t', " ")), "{arguments:?}");
        (out.status.code(), text)
    };
    let (code, text) = run(&["examine", "disk.img", "--json", "r.json", "--html", "r.html"]);
    assert_eq!(code, Some(0), "{text}");
    let (_, listing) = run(&["ls", "disk.img", "0:/srv"]);
    assert_eq!(listing.lines().count(), made);
    assert!(listing.lines().filter(|l| l.ends_with(" (escaped)")).count() >= 60);
    for format in ["table", "csv", "json"] {
        run(&["list", "files", "disk.cranecase", "--format", format]);
    }
    for format in ["html", "json", "csv", "sarif"] {
        run(&["report", "disk.cranecase", "--format", format, "-o", "-"]);
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    for finding in json["findings"].as_array().unwrap() {
        run(&["explain", finding["id"].as_str().unwrap(), "disk.cranecase"]);
    }
    // A name that is not there comes back in the words of the failure.
    let (code, _) = run(&["cat", "disk.img", "/no\x1b[2J\u{202e}such"]);
    assert_eq!(code, Some(3));
    run(&["compare", "disk.cranecase", "disk.cranecase"]);
}
