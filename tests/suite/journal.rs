//! Journals as journald's own tools write them, beside what journalctl reads; and what an examination makes of them.
use crate::common::{SMALL_SYSTEM, ext4, plant, report, run as cranescope};
use crate::look::{corpus, tool, tools, unpacked};
use cranescope::format::journal::{header, walk};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";
const FIELDS: &[&str] = &["MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_HOSTNAME"];

/// Sequence number, microseconds, and the fields of every entry.
type Row = (u64, u64, Vec<Option<Vec<u8>>>);

fn ours(path: &Path) -> Vec<Row> {
    let bytes = std::fs::read(path).unwrap();
    let read = |at: u64, buf: &mut [u8]| {
        let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    };
    let head = header(bytes.len() as u64, &read).unwrap();
    let mut rows = Vec::new();
    let walked = walk(&head, bytes.len() as u64, &read, FIELDS, &mut |e| {
        let values = e.values.into_iter().map(|v| v.map(|v| v.bytes)).collect();
        rows.push((e.seqnum, e.realtime, values));
    });
    assert_eq!(walked.faults, []);
    rows.sort();
    rows
}

fn journalctl(path: &Path) -> Vec<Row> {
    let mut command = tool("journalctl");
    command.args(["--all", "--no-pager", "-o", "json", "--file"]).arg(path);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut rows: Vec<Row> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let cursor = entry["__CURSOR"].as_str().unwrap();
            let seqnum = cursor.split(';').find_map(|p| p.strip_prefix("i=")).unwrap();
            let time = entry["__REALTIME_TIMESTAMP"].as_str().unwrap().parse().unwrap();
            let value = |name: &&str| match &entry[*name] {
                Value::String(text) => Some(text.clone().into_bytes()),
                Value::Array(bytes) => Some(bytes.iter().map(|b| u8::try_from(b.as_u64().unwrap()).unwrap()).collect()),
                _ => None,
            };
            (u64::from_str_radix(seqnum, 16).unwrap(), time, FIELDS.iter().map(value).collect())
        })
        .collect();
    rows.sort();
    rows
}

/// Has journald's receiver write a file of these messages, in one of its forms.
fn written(at: &Path, form: &[(&str, &str)], compress: bool, messages: &[(&str, Vec<u8>)]) {
    let mut text = Vec::new();
    for (n, (program, message)) in messages.iter().enumerate() {
        let time = 1_700_000_000_000_000_u64 + n as u64 * 1_000_000;
        write!(text, "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={n}\n_BOOT_ID={}\n", "1".repeat(32)).unwrap();
        write!(text, "_MACHINE_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=crane-7\n").unwrap();
        write!(text, "SYSLOG_IDENTIFIER={program}\nMESSAGE\n").unwrap();
        text.extend((message.len() as u64).to_le_bytes());
        text.extend(message);
        text.extend(b"\n\n");
    }
    let mut command = tool(REMOTE);
    command.envs(form.iter().copied());
    command.arg("-o").arg(at).arg(if compress { "--compress=yes" } else { "--compress=no" }).arg("-");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    assert!(child.wait().unwrap().success());
}

fn ready() -> bool {
    if !Path::new(REMOTE).exists() {
        eprintln!("skipped: systemd-journal-remote is not installed (see ci/setup.sh)");
    }
    Path::new(REMOTE).exists() && tools(&["journalctl"])
}

#[test]
fn entries_are_those_of_journalctl() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let messages: Vec<(&str, Vec<u8>)> = (0..3000)
        .map(|n| match n % 7 {
            0 => ("CRON", b"pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)".to_vec()),
            1 => ("pppd", format!("local  IP address 10.64.{}.{}", n / 250, n % 250).into_bytes()),
            2 => ("vendor", format!("{n} {}", "岸桥 state dump ".repeat(80)).into_bytes()),
            3 => ("vendor", vec![0xd6, 0xd0, 0xb9, 0xfa, b'\n', 0x1b, b'[', 0]),
            _ => ("kernel", format!("usb 1-1.2: event {n}").into_bytes()),
        })
        .collect();
    for (number, (form, compress)) in [
        (vec![("SYSTEMD_JOURNAL_COMPACT", "0"), ("SYSTEMD_JOURNAL_KEYED_HASH", "0")], false),
        (vec![("SYSTEMD_JOURNAL_COMPACT", "0"), ("SYSTEMD_JOURNAL_KEYED_HASH", "1")], true),
        (vec![("SYSTEMD_JOURNAL_COMPACT", "1"), ("SYSTEMD_JOURNAL_KEYED_HASH", "1")], true),
    ]
    .into_iter()
    .enumerate()
    {
        let at = dir.path().join(format!("{number}.journal"));
        written(&at, &form, compress, &messages);
        let found = ours(&at);
        assert_eq!(found.len(), 3000);
        assert!(found == journalctl(&at), "{form:?}");
    }
}

#[test]
fn a_journal_of_a_real_machine() {
    let Some(corpus) = corpus() else { return };
    let Some(bytes) = unpacked(&corpus.join("plaso_big/systemd_journal_system.journal.zst")) else { return };
    if !tools(&["journalctl"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("system.journal");
    std::fs::write(&at, bytes).unwrap();
    let found = ours(&at);
    assert_eq!(found.len(), 2101);
    assert!(found == journalctl(&at));
}

#[test]
fn what_a_journal_tells_of_a_modem_is_found_and_leads_to_its_bytes() {
    if !ready() || !tools(&["mke2fs"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    plant(&root, SMALL_SYSTEM);
    let own = root.join("var/log/journal/0123456789abcdef0123456789abcdef");
    let foreign = root.join("var/log/journal/fedcba9876543210fedcba9876543210");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::create_dir_all(&foreign).unwrap();
    let lines = |address: &str| -> Vec<(&str, Vec<u8>)> {
        vec![
            ("kernel", b"usb 1-1.2: New USB device found, idVendor=2c7c, idProduct=0125, bcdDevice= 3.18".to_vec()),
            ("kernel", b"usb 1-1.2: Product: EC25-EU".to_vec()),
            ("pppd", b"Connect: ppp0 <--> /dev/ttyUSB0".to_vec()),
            ("pppd", format!("local  IP address {address}").into_bytes()),
        ]
    };
    written(&own.join("system.journal"), &[], true, &lines("10.64.12.7"));
    // What another machine logged before this disk was copied from it.
    written(&foreign.join("system.journal"), &[], true, &lines("10.99.1.1"));
    let file = foreign.join("system.journal");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40..56].copy_from_slice(&[0xfe; 16]);
    std::fs::write(&file, bytes).unwrap();
    let image = ext4(dir.path(), &root, "disk.img");
    let (code, _, err) = cranescope(dir.path(), &["examine", "disk.img", "--json", "r.json"]);
    assert_eq!(code, 0, "{err}");
    let report = report(&dir.path().join("r.json"));
    let events = report["inventory"]["events"].as_array().unwrap();
    let of = |kind: &str| events.iter().filter(|e| e["kind"] == kind).collect::<Vec<_>>();
    let addresses = of("pppd-address");
    let text = |e: &Value| e["fields"].to_string();
    assert_eq!(addresses.len(), 2, "{events:?}");
    let mark = "fe".repeat(16);
    for event in addresses {
        let is_foreign = text(event).contains("10.99.1.1");
        assert_eq!(text(event).contains(&format!("machine_id={mark}")), is_foreign);
        assert_eq!(event["time"], "2023-11-14T22:13:23.000000Z");
        let evidence = &event["evidence"];
        let evidence = if evidence.is_array() { &evidence[0] } else { evidence };
        assert_eq!(evidence["key"], "__SEQNUM=4");
        let run = &evidence["image_runs"][0];
        let (from, len) = (run["offset"].as_u64().unwrap(), run["length"].as_u64().unwrap());
        let disk = std::fs::read(&image).unwrap();
        let bytes = &disk[usize::try_from(from).unwrap()..usize::try_from(from + len).unwrap()];
        let address = if is_foreign { "10.99.1.1" } else { "10.64.12.7" };
        assert_eq!(String::from_utf8_lossy(bytes), format!("MESSAGE=local  IP address {address}"));
    }
    // Each is one period of use, that of the other machine marked.
    let sessions = report["inventory"]["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    for session in sessions {
        let is_foreign = session["address"][0] == "10.99.1.1";
        assert_eq!(session["recorded_as"].as_str().unwrap().contains(&mark), is_foreign);
        assert_eq!(
            (&session["kind"], &session["device"], &session["ended"]),
            (&"modem".into(), &"ttyUSB0".into(), &"not-recorded".into())
        );
    }
    let devices = report["inventory"]["devices"].as_array().unwrap();
    assert!(devices.iter().any(|d| d["vendor"] == "2c7c" && d["product"] == "0125" && d["name"] == "EC25-EU"));
    assert_eq!(report["systems"][0]["logs"]["first"], "2023-11-14T22:13:20.000000Z");
    let gaps = report["gaps"].as_array().unwrap();
    assert!(gaps.iter().all(|g| g["by"] != "linux.logs"), "{gaps:?}");
}
