//! Logins, refused logins, boots and clock changes by the binary records: wtmp, btmp, utmp, lastlog. What wtmp tells of
//! one login from its start to its end is a session.
use super::accounts::users;
use super::lasting::{Lasting, session};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Run, Time};
use crate::evidence::{Entry, System};
use crate::format::decompress::Compression;
use crate::format::utmp::{Kind, LASTLOG, Record, last_login, record_len};
use crate::image::Source;
use crate::inventory::Event;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.logins",
    about: "Logins with the remote host and how long they lasted, refused logins, boots, shutdowns and clock changes of wtmp, btmp and lastlog.",
    os: Os::Linux,
    reads: &["/var/log/{wtmp,btmp}*", "/var/run/utmp", "/var/log/lastlog"],
    references: &["utmp(5)", "last(1)", "lastlog(8)"],
    extract,
};

/// Bytes of one file: a million records and more.
const FILE_BUDGET: u64 = 512 << 20;
/// Different events of a file; further ones are counted by kind only.
const DISTINCT: usize = 20_000;
const WINDOW: u64 = 768_000;

struct Seen {
    time: Time,
    last: Time,
    count: u32,
    text: String,
    at: Option<Run>,
}

/// Kind, class, program, fields.
type Key = (&'static str, &'static str, &'static str, Vec<String>);

fn extract(system: &System, out: &Out) {
    for (pattern, program) in [("/var/log/wtmp*", "wtmp"), ("/var/log/btmp*", "btmp"), ("/var/run/utmp", "utmp")] {
        for entry in system.glob(pattern) {
            if entry.is_file() && !entry.is_empty() && !entry.path.bytes().ends_with(b".db") {
                records(system, entry, program, out);
            }
        }
    }
    lastlog(system, out);
}

fn records(system: &System, entry: &Entry, program: &'static str, out: &Out) {
    let mut source = match system.open(entry) {
        Ok(source) => source,
        Err(e) => return out.gap(entry, e),
    };
    let mut head = [0; 6];
    let packed = source.read_at(0, &mut head).ok().and_then(|_| Compression::recognise(&head));
    if let Some(kind) = packed {
        // Rotated records are small: the whole file is decoded.
        let bytes = match system.read(entry, 16 << 20) {
            Ok(text) => text.bytes,
            Err(e) => return out.gap(entry, e),
        };
        source = match kind.decode(&bytes, 64 << 20) {
            Ok(bytes) => Arc::new(bytes),
            Err(e) => return out.gap(entry, e),
        };
    }
    let mut seen = BTreeMap::new();
    let mut lasting = Lasting::default();
    let (bad, error) = walk(&source, program, packed.is_none(), &mut seen, &mut lasting);
    lasting.close();
    if lasting.dropped > 0 {
        out.gap_bytes(entry, format!("budget: sessions; {} logins were counted but not listed", lasting.dropped), 0);
    }
    out.extend(lasting.done.into_iter().map(|l| session(system, entry, l)));
    if let Some(e) = error {
        out.gap(entry, e);
    }
    if bad.0 > 0 {
        out.gap_bytes(entry, format!("{} pieces of the file are no login records", bad.0), bad.1);
    }
    for ((kind, class, program, fields), s) in seen {
        out.push(Event {
            time: Some(s.time),
            kind: kind.into(),
            class: class.into(),
            program: program.to_owned(),
            evidence: evidence(system, entry, s.at, &s.text),
            text: s.text,
            fields,
            count: s.count,
            last: Some(s.last),
            ..Event::default()
        });
    }
}

/// All records; how many pieces are none, with their bytes, and what stopped the reading.
fn walk(
    source: &Source,
    program: &'static str,
    plain: bool,
    seen: &mut BTreeMap<Key, Seen>,
    lasting: &mut Lasting,
) -> ((u64, u64), Option<String>) {
    let mut bad = (0_u64, 0_u64);
    let mut len = 0_usize;
    let mut at = 0_u64;
    let end = source.len().min(FILE_BUDGET);
    let mut buf = vec![0; usize::try_from(WINDOW.min(end)).unwrap_or(0)];
    while at < end {
        let n = match source.read_at(at, &mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) => return (bad, Some(e.to_string())),
        };
        let window = buf.get(..n).unwrap_or_default();
        if len == 0 {
            len = record_len(window);
        }
        let mut used = 0_u64;
        for bytes in window.chunks_exact(len) {
            let place = Run::new(at.saturating_add(used), len as u64);
            used = used.saturating_add(len as u64);
            match Record::parse(bytes) {
                Some(record) => {
                    let place = plain.then_some(place);
                    note(&record, program, place, seen);
                    if program == "wtmp" {
                        lasting.see(&record, place);
                    }
                }
                None => bad = (bad.0.saturating_add(1), bad.1.saturating_add(len as u64)),
            }
        }
        if used == 0 {
            bad = (bad.0.saturating_add(1), bad.1.saturating_add(n as u64));
            break;
        }
        at = at.saturating_add(used);
    }
    let error = (source.len() > FILE_BUDGET)
        .then(|| format!("budget: login records; only the first {FILE_BUDGET} bytes were read"));
    (bad, error)
}

fn note(r: &Record, program: &'static str, at: Option<Run>, seen: &mut BTreeMap<Key, Seen>) {
    let refused = program == "btmp";
    let (kind, class) = match r.kind {
        Kind::User | Kind::Login if refused => ("login-refused", "login"),
        Kind::User => ("login", "login"),
        Kind::Boot => ("boot", "device"),
        Kind::RunLevel if r.user == "shutdown" => ("shutdown", "device"),
        Kind::NewTime | Kind::OldTime => ("clock-changed", "clock"),
        _ => return,
    };
    let mut fields = Vec::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            fields.push(format!("{name}={value}"));
        }
    };
    if class == "login" {
        // Names tried at a refused login are as many as an attacker likes.
        if !refused {
            field("user", &r.user);
        }
        field("host", &r.host);
        if let Some(address) = r.address.map(|a| a.to_string()).filter(|a| *a != r.host) {
            field("address", &address);
        }
    } else if matches!(r.kind, Kind::Boot | Kind::RunLevel) {
        field("kernel", &r.host);
    }
    let mut key = (kind, class, program, fields);
    if seen.len() >= DISTINCT && !seen.contains_key(&key) {
        key.3 = vec!["others=counted together".to_owned()];
    }
    let known = seen.entry(key).or_insert_with(|| {
        let from = if r.host.is_empty() { String::new() } else { format!(" from {}", r.host) };
        let text = match kind {
            "login" | "login-refused" => format!("{} on {}{from}", r.user, r.line),
            "boot" => format!("boot of {}", r.host),
            "shutdown" => "shutdown".to_owned(),
            _ => "the clock was set".to_owned(),
        };
        Seen { time: r.time, last: r.time, count: 0, text, at }
    });
    known.count = known.count.saturating_add(1);
    known.time = known.time.min(r.time);
    known.last = known.last.max(r.time);
}

pub(super) fn evidence(system: &System, entry: &Entry, at: Option<Run>, text: &str) -> Evidence {
    let whole = system.evidence(entry);
    let base = match at.zip(system.trees().iter().find(|t| t.id == entry.fs)) {
        Some((run, tree)) => Evidence { path: whole.path, sha256: whole.sha256, ..tree.evidence(entry, Some(run)) },
        None => whole,
    };
    Evidence { excerpt: Some(text.to_owned()), ..base }
}

/// One record for each account, at uid × 292; the file is sparse, so only the known accounts are asked.
fn lastlog(system: &System, out: &Out) {
    let Some(entry) = system.resolve("/var/log/lastlog").filter(|e| e.is_file() && !e.is_empty()) else { return };
    let source = match system.open(entry) {
        Ok(source) => source,
        Err(e) => return out.gap(entry, e),
    };
    for user in users(system) {
        let Some(at) = u64::from(user.uid).checked_mul(LASTLOG as u64) else { continue };
        let record = match crate::image::read_exact(&*source, at, LASTLOG) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(e) => {
                out.gap(entry, e);
                continue;
            }
        };
        let Some((time, line, host)) = last_login(&record) else { continue };
        let text = format!(
            "{} last on {line}{}",
            user.name,
            if host.is_empty() { String::new() } else { format!(" from {host}") }
        );
        let mut fields = vec![format!("user={}", user.name)];
        if !host.is_empty() {
            fields.push(format!("host={host}"));
        }
        out.push(Event {
            time: Some(time),
            kind: "last-login".into(),
            class: "login".into(),
            program: "lastlog".to_owned(),
            evidence: evidence(system, entry, Some(Run::new(at, LASTLOG as u64)), &text),
            text,
            fields,
            count: 1,
            last: Some(time),
            ..Event::default()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system_of};
    use super::*;
    use crate::fs::MemFs;
    use crate::inventory::Row;
    use std::process::Command;

    fn shared() -> String {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned();
        std::env::var("CRANESCOPE_SHARED").unwrap_or(default)
    }

    /// The number of logins, boots and shutdowns equals what `last -x` lists.
    #[test]
    fn agrees_with_last() {
        let path = format!("{}/corpus/plaso/utmp/utmp_x86_64", shared());
        let Ok(bytes) = std::fs::read(&path) else {
            eprintln!("skipped: no {path}");
            return;
        };
        let mut fs = MemFs::default();
        fs.add("/var/log/wtmp", bytes);
        let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        let events: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Event(e) => Some(&**e),
                _ => None,
            })
            .collect();
        let Ok(last) = Command::new("last").args(["-x", "-f", &path]).output() else {
            eprintln!("skipped: no last(1)");
            return;
        };
        let last = String::from_utf8_lossy(&last.stdout).into_owned();
        let listed = |test: &dyn Fn(&str) -> bool| last.lines().filter(|l| test(l)).count();
        let ours = |kind: &str| events.iter().filter(|e| &*e.kind == kind).map(|e| e.count as usize).sum::<usize>();
        let system = |l: &str| ["reboot", "shutdown", "runlevel", "date"].iter().any(|w| l.starts_with(w));
        assert_eq!(ours("boot"), listed(&|l| l.starts_with("reboot")), "{last}");
        assert_eq!(
            ours("login"),
            listed(&|l| !l.is_empty() && !system(l) && !l.contains(" begins ")),
            "{last}\n{events:?}"
        );
        assert_eq!(ours("clock-changed"), listed(&|l| l.starts_with("date")), "{last}");
        assert!(ours("login") + ours("boot") > 0, "{last}");
    }

    /// Start and end of every login are those that `last -F` lists.
    #[test]
    fn lasts_as_long_as_last_says() {
        let mut file = Vec::new();
        let mut add = |kind: u8, line: &str, user: &str, host: &str, time: i32| {
            let mut record = vec![0; 384];
            record[0] = kind;
            record[8..8 + line.len()].copy_from_slice(line.as_bytes());
            record[44..44 + user.len()].copy_from_slice(user.as_bytes());
            record[76..76 + host.len()].copy_from_slice(host.as_bytes());
            record[340..344].copy_from_slice(&(1_700_000_000 + time).to_le_bytes());
            file.extend(record);
        };
        add(2, "~", "reboot", "6.1.0", 0);
        add(7, "tty1", "root", "", 60);
        add(7, "pts/0", "op", "10.0.0.9", 120);
        add(8, "pts/0", "", "", 1120);
        add(1, "~~", "shutdown", "6.1.0", 4000);
        add(2, "~", "reboot", "6.1.0", 5000);
        add(7, "tty1", "root", "", 5060);
        add(2, "~", "reboot", "6.1.0", 9000);
        add(7, "pts/1", "op", "10.0.0.8", 9100);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wtmp");
        std::fs::write(&path, &file).unwrap();
        let mut fs = MemFs::default();
        fs.add("/var/log/wtmp", file);
        let (rows, _) = rows(&system_of(fs), &ARTIFACT);
        let show = |t: Time| {
            let at = jiff::Timestamp::from_second(t.seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            at.strftime("%a %b %e %H:%M:%S %Y").to_string()
        };
        let mut ours: Vec<String> = rows
            .iter()
            .filter_map(|r| if let Row::Session(s) = r { Some(&**s) } else { None })
            .map(|s| {
                let end = match &*s.ended {
                    "recorded" => show(s.end.unwrap()),
                    "shutdown" => "down".to_owned(),
                    "restart" => "crash".to_owned(),
                    _ => "gone".to_owned(),
                };
                format!("{} {} {} {end}", s.user, s.device, show(s.start.unwrap()))
            })
            .collect();
        assert_eq!(ours.len(), 4);
        let Ok(last) =
            Command::new("last").env("TZ", "UTC").env("LC_ALL", "C").args(["-F", "-w", "-f"]).arg(&path).output()
        else {
            eprintln!("skipped: no last(1)");
            return;
        };
        let last = String::from_utf8_lossy(&last.stdout).into_owned();
        let mut theirs: Vec<String> = Vec::new();
        for line in last.lines().filter(|l| !l.is_empty() && !l.starts_with("reboot") && !l.contains(" begins ")) {
            let (head, tail) = line.split_once(" - ").unwrap_or((line, "gone"));
            let words: Vec<&str> = head.split_whitespace().collect();
            let day = words.iter().position(|w| ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(w)).unwrap();
            let date = |w: &[&str]| format!("{} {} {:>2} {} {}", w[0], w[1], w[2], w[3], w[4]);
            let end: Vec<&str> = tail.split_whitespace().collect();
            let end = if end[0].len() == 3 { date(&end) } else { end[0].to_owned() };
            let end = if end == "no" { "gone".to_owned() } else { end };
            theirs.push(format!("{} {} {} {end}", words[0], words[1], date(&words[day..])));
        }
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{last}");
    }

    #[test]
    fn garbage_between_records_is_a_gap() {
        let mut record = vec![0; 384];
        record[0] = 7;
        record[8..12].copy_from_slice(b"tty1");
        record[44..48].copy_from_slice(b"root");
        record[340..344].copy_from_slice(&1_700_000_000_i32.to_le_bytes());
        let mut file = record.repeat(3);
        file.extend(vec![0xff; 384]);
        file.extend(&record);
        file.extend(b"tail");
        let mut fs = MemFs::parse("/etc/passwd\n    root:x:0:0::/root:/bin/sh\n    big:x:4294967294:0::/:/bin/sh\n");
        fs.add("/var/log/wtmp", file);
        let mut last = vec![0; LASTLOG];
        last[..4].copy_from_slice(&1_700_000_000_i32.to_le_bytes());
        last[4..8].copy_from_slice(b"tty1");
        fs.add("/var/log/lastlog", last);
        let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
        let sessions = rows.iter().filter(|r| matches!(r, Row::Session(_))).count();
        let mut shown: Vec<_> = rows
            .iter()
            .map(|r| match r {
                Row::Event(e) => format!("{} {} {} {:?}", e.kind, e.text, e.count, e.fields),
                Row::Session(s) => {
                    format!("session {} {} {} - superseded x{sessions}", s.user, s.device, s.start.unwrap())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        shown.dedup();
        assert_eq!(
            shown,
            [
                "session root tty1 2023-11-14T22:13:20Z - superseded x4",
                "login root on tty1 4 [\"user=root\"]",
                "last-login root last on tty1 1 [\"user=root\"]"
            ]
        );
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!((gaps[0].bytes, gaps[0].what.as_str()), (388, "2 pieces of the file are no login records"));
    }
}
