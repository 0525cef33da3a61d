//! The change journal as rows, through the whole program: paths, places, damage; and a real journal, with
//! dissect.ntfs as the oracle where it is installed.
use super::image::{Image, tools};
use crate::common::{report, run};
use crate::look::{corpus, tool};
use serde_json::Value;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the journal begins: before that there is a hole.
const START: u64 = 1 << 20;

/// A record; version 3 has wider references.
fn record(version: u16, usn: u64, file: u64, parent: u64, reason: u32, attributes: u32, name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = |n: u64| if version == 2 { n.to_le_bytes().to_vec() } else { [n, 0].map(u64::to_le_bytes).concat() };
    let head = if version == 2 { 0x3c } else { 0x4c };
    let len = (head + name.len()).next_multiple_of(8);
    let mut out = u32::try_from(len).unwrap().to_le_bytes().to_vec();
    out.extend([version.to_le_bytes(), [0, 0]].concat());
    out.extend([wide(file), wide(parent), usn.to_le_bytes().to_vec()].concat());
    out.extend((133_000_000_000_000_000 + usn).to_le_bytes());
    out.extend([reason, 0, 0, attributes].map(u32::to_le_bytes).concat());
    out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    out.extend(u16::try_from(head).unwrap().to_le_bytes());
    out.extend(name);
    out.resize(len, 0);
    out
}

/// An image whose journal has these bytes behind a hole.
fn image(journal: &[u8], start: u64) -> (Image, u64) {
    let image = Image::make(&["-c", "4096"], 24);
    image.write(|root| std::fs::create_dir_all(root.join("岸桥/配置")).unwrap());
    let folder = image.look().get("/岸桥/配置").node;
    let mount = image.mount("streams_interface=windows,no_def_opts,show_sys_files");
    std::fs::write(mount.at.join("journal"), b"").unwrap();
    let stream = std::fs::File::create(mount.at.join("journal:$J")).unwrap();
    stream.write_all_at(journal, start).unwrap();
    drop(stream);
    let mut about = vec![0; 32];
    about[2] = 2;
    about[16..24].copy_from_slice(&132_000_000_000_000_000_u64.to_le_bytes());
    std::fs::write(mount.at.join("journal:$Max"), about).unwrap();
    // Nothing may be created there, but things can be moved.
    std::fs::rename(mount.at.join("journal"), mount.at.join("$Extend/$UsnJrnl")).unwrap();
    drop(mount);
    (image, folder.number | folder.generation << 48)
}

fn examine(path: &Path) -> Value {
    let folder = path.parent().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let said = run(folder, &["examine", name, "--case", "case", "--overwrite", "--json", "r.json", "--quiet"]);
    assert_eq!(said.0, 0, "{}", said.2);
    report(&folder.join("r.json"))
}
fn gaps(report: &Value) -> Vec<String> {
    let of = report["gaps"].as_array().unwrap().iter().filter(|g| g["by"] == "file-events");
    of.map(|g| format!("{} ({})", g["what"].as_str().unwrap(), g["bytes"])).collect()
}

#[test]
fn changes_are_rows_with_paths_and_places() {
    if !tools() {
        return;
    }
    let (made, folder) = image(b"x", 0);
    drop(made);
    // The number of the folder is the same each time.
    let gone = 0x0007_0000_0000_0f00;
    let mut journal = Vec::new();
    let mut add = |version, file, parent, reason, attributes, name: &str| {
        let bytes = record(version, START + journal.len() as u64, file, parent, reason, attributes, name);
        if journal.len() % 4096 + bytes.len() > 4096 {
            journal.resize(journal.len().next_multiple_of(4096), 0);
        }
        let usn = START + journal.len() as u64;
        journal.extend(record(version, usn, file, parent, reason, attributes, name));
    };
    add(2, 0x0002_0000_0000_0f01, folder, 0x100, 0x20, "modem.conf");
    add(3, 0x0002_0000_0000_0f01, folder, 0x8000_0102, 0x20, "modem.conf");
    add(2, 0x0003_0000_0000_0f02, gone, 0x8000_0200, 0x20, "ppp-dial.exe");
    add(2, gone, folder, 0x8000_0200, 0x10, "旧");
    add(3, 0x0001_0000_0000_0f03, 0x00ff_0000_00ff_ffff, 0x1000, 0x6, "nowhere");
    for n in 0..300 {
        add(
            2 + n % 2,
            0x0001_0000_0000_1000 + u64::from(n),
            0x0005_0000_0000_0005,
            0x2000,
            0x20,
            &format!("log-{n:04}.txt"),
        );
    }
    let (image, again) = image(&journal, START);
    assert_eq!(again, folder);
    let report = examine(&image.path());
    let rows = report["inventory"]["file_events"].as_array().unwrap();
    assert_eq!(rows.len(), 305);
    let first = &rows[0];
    assert_eq!((&first["name"], &first["path"]), (&"modem.conf".into(), &"/岸桥/配置/modem.conf".into()));
    assert_eq!(first["usn"], START);
    assert_eq!(first["time"], "2022-06-18T04:26:40.1048576Z");
    assert_eq!(first["reasons"], serde_json::json!(["file-create"]));
    assert_eq!(rows[1]["reasons"], serde_json::json!(["data-extend", "file-create", "close"]));
    assert_eq!(rows[2]["path"], "/岸桥/配置/旧/ppp-dial.exe");
    assert_eq!(rows[4]["path"], "");
    assert_eq!(rows[4]["attributes"], serde_json::json!(["attribute-hidden", "system"]));
    assert_eq!(rows[304]["path"], "/log-0299.txt");
    // Its place in the image is that of the record.
    let evidence = &first["evidence"];
    assert_eq!(evidence["path"], "/$Extend/$UsnJrnl:$J");
    let run = &evidence["image_runs"][0];
    let (at, len) = (run["offset"].as_u64().unwrap(), run["length"].as_u64().unwrap());
    let bytes = image.bytes();
    let at = usize::try_from(at).unwrap();
    assert_eq!(bytes[at..at + usize::try_from(len).unwrap()], journal[..usize::try_from(len).unwrap()]);
    assert_eq!(gaps(&report), [""; 0]);
    let details = report["filesystems"][0]["details"].as_array().unwrap();
    let detail = |field: &str| details.iter().find(|d| d["field"] == field).map(|d| d["value"].as_str().unwrap());
    assert_eq!(detail("change journal"), Some("yes"));
    assert_eq!(detail("change journal since"), Some("2019-04-17T18:40:00.0000000Z"));
    assert_eq!(detail("change journal size limit"), Some("131072"));
    assert!(detail("log").is_some() && detail("volume flags").is_some(), "{details:?}");

    // A record that is overwritten, one that is cut, and one that was written elsewhere.
    let mut damaged = bytes;
    damaged[at + 4] = 77;
    let second = at + record(2, 0, 0, 0, 0, 0, "modem.conf").len();
    damaged[second + 40] ^= 8;
    std::fs::write(image.path(), &damaged).unwrap();
    let report = examine(&image.path());
    let rows = report["inventory"]["file_events"].as_array().unwrap();
    assert_eq!(rows.len(), 304);
    let said = gaps(&report);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|s| s.contains("no record of it (80)")), "{said:?}");
    assert!(said.iter().any(|s| s.contains("1 records of the change journal stand elsewhere")), "{said:?}");
}

#[test]
fn a_real_journal_is_read_as_others_read_it() {
    if !tools() {
        return;
    }
    let Some(real) = corpus().and_then(|c| std::fs::read(c.join("dfir_ntfs/usnjrnlj.bin")).ok()) else { return };
    let (image, _) = image(&real, 0);
    let report = examine(&image.path());
    let rows = report["inventory"]["file_events"].as_array().unwrap();
    assert_eq!(rows.len(), 271);
    assert_eq!(gaps(&report), [""; 0]);
    // The other reader leaves records of version 4 out.
    let ours: Vec<String> = rows
        .iter()
        .filter(|r| r["version"] == 2)
        .map(|r| format!("{} {} {} {}", r["usn"], r["file"], r["parent"], r["name"].as_str().unwrap()))
        .collect();
    assert_eq!(ours.len(), 264);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("j"), &real).unwrap();
    let script = "from dissect.ntfs.usnjrnl import UsnJrnl
for r in UsnJrnl(open('j','rb')).records():
    n = r.record
    print(n.Usn, n.FileReferenceNumber.SegmentNumberLowPart, n.ParentFileReferenceNumber.SegmentNumberLowPart, r.filename)";
    let oracle = tool("timeout").args(["60", "python3", "-c", script]).current_dir(folder.path()).output().unwrap();
    if !oracle.status.success() {
        eprintln!("not compared: dissect.ntfs is not installed");
        return;
    }
    let theirs = String::from_utf8(oracle.stdout).unwrap();
    assert!(ours.iter().map(String::as_str).eq(theirs.lines()), "{ours:#?}\n{theirs}");
}
