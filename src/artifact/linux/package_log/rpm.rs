//! What dnf and yum tell: their logs of changes (`dnf.rpm.log`, `yum.log`), the commands in `dnf.log`, and the histories
//! in SQLite (libdnf's `trans`, yum's `trans_beg` and `trans_cmdline`), which also say as whom.
use super::{Change, Day, MAX_EVENTS, changes, each, event, named, time};
use crate::artifact::Out;
use crate::artifact::linux::logs::yearless;
use crate::artifact::linux::sqlite_tables::{Named, evidence, rows};
use crate::base::{Evidence, Run, Time};
use crate::evidence::{Entry, System};
use crate::format::syslog::stamp;
use crate::inventory::Event;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// What is done to a package, as dnf and yum write it.
const ACTIONS: &[(&str, &str)] = &[
    ("Installed: ", "install"),
    ("Dep-Installed: ", "install"),
    ("Reinstalled: ", "reinstall"),
    ("Upgraded: ", "upgrade"),
    ("Upgrade: ", "upgrade"),
    ("Updated: ", "upgrade"),
    ("Downgraded: ", "downgrade"),
    ("Downgrade: ", "downgrade"),
    ("Erased: ", "remove"),
    ("Erase: ", "remove"),
    ("Removed: ", "remove"),
];

pub(super) fn read(system: &System, zone: &TimeZone, out: &Out) {
    for entry in system.glob("/var/log/dnf.rpm.log*") {
        each(system, entry, out, |bytes| {
            changes((system, entry, out), "dnf", bytes, &mut |line| change(line, time(line, zone)));
        });
    }
    for entry in system.glob("/var/log/yum.log*") {
        each(system, entry, out, |bytes| yum(system, entry, bytes, zone, out));
    }
    for entry in system.glob("/var/log/dnf.log*") {
        each(system, entry, out, |bytes| commands(system, entry, bytes, zone, out));
    }
    let histories = ["/var/lib/dnf/history.sqlite", "/usr/lib/sysimage/libdnf5/transaction_history.sqlite"];
    for path in histories {
        system.resolve(path).filter(|e| e.is_file()).into_iter().for_each(|e| history(system, e, out));
    }
    for entry in system.glob("/var/lib/yum/history/history-*.sqlite") {
        history(system, entry, out);
    }
}

fn change(line: &[u8], time: Option<Time>) -> Option<Change> {
    let text = String::from_utf8_lossy(line);
    let (at, word, action) = ACTIONS.iter().filter_map(|(w, a)| Some((text.find(w)?, *w, *a))).min()?;
    let package = text.get(at.checked_add(word.len())?..)?.split_whitespace().next()?;
    // name-version-release.architecture; yum puts an epoch before it.
    let package = package
        .split_once(':')
        .map_or(package, |(epoch, rest)| if epoch.bytes().all(|b| b.is_ascii_digit()) { rest } else { package });
    let package = package.rsplit_once('.').map_or(package, |(rest, _)| rest);
    let mut parts = package.rsplitn(3, '-');
    let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Change { time, action, name: name.to_owned(), version: format!("{version}-{release}") })
}

/// `Oct 14 10:31:32 Installed: foo-1.2-3.x86_64`: without a year.
fn yum(system: &System, entry: &Entry, bytes: &[u8], zone: &TimeZone, out: &Out) {
    let stamps: Vec<_> = bytes.split(|b| *b == b'\n').map(|l| stamp(l).0).collect();
    let changed = entry.stat.as_ref().and_then(|s| s.times.modified).map(|t| t.seconds);
    let mut times = yearless(zone, &stamps, changed).into_iter();
    changes((system, entry, out), "yum", bytes, &mut |line| {
        let at = times.next().flatten();
        change(line, at)
    });
}

/// `2021-06-14T09:16:31+0000 DDEBUG Command: dnf -y install openvpn`.
fn commands(system: &System, entry: &Entry, bytes: &[u8], zone: &TimeZone, out: &Out) {
    let mut asked = 0_usize;
    for (number, line) in (1_u32..).zip(bytes.split(|b| *b == b'\n')) {
        let Some(at) = memchr::memmem::find(line, b"DEBUG Command: ") else { continue };
        if asked >= MAX_EVENTS {
            out.gap_bytes(entry, format!("budget: package log; only its first {MAX_EVENTS} commands were listed"), 0);
            return;
        }
        asked = asked.saturating_add(1);
        let command = String::from_utf8_lossy(line.get(at.saturating_add(15)..).unwrap_or_default()).into_owned();
        let time = time(line, zone);
        let text: String = command.trim().chars().take(300).collect();
        let day =
            Day { first: time, last: time, count: 1, line: number, text, changed: std::collections::BTreeSet::new() };
        out.push(event(system, entry, "package-asked", "dnf", day, named(&command)));
    }
}

/// A transaction, as far as its rows tell.
#[derive(Default)]
struct Asked {
    time: Option<Time>,
    command: String,
    by: Option<i64>,
    place: Option<Run>,
}

/// A history in SQLite.
fn history(system: &System, entry: &Entry, out: &Out) {
    let mut all: BTreeMap<i64, Asked> = BTreeMap::new();
    let mut more = 0_u64;
    let source = rows(system, entry, out, &["trans", "trans_beg", "trans_cmdline"], &mut |named: Named<'_>| {
        // A column that is the key of its table is stored as nothing.
        let id = named.number(&["id", "tid"]).unwrap_or(named.row.rowid);
        if all.len() >= MAX_EVENTS && !all.contains_key(&id) {
            more = more.saturating_add(1);
            return;
        }
        let asked = all.entry(id).or_default();
        if let Some(seconds) = named.number(&["dt_begin", "timestamp"]).filter(|s| *s > 0) {
            asked.time = Some(Time::seconds(seconds));
        }
        if let Some(command) = named.text(&["cmdline", "description"]) {
            asked.command = command;
        }
        asked.by = named.number(&["user_id", "loginuid"]).or(asked.by);
        if asked.place.is_none() || named.table == "trans_cmdline" {
            asked.place = named.row.place.or(asked.place);
        }
    });
    let Some(source) = source else { return };
    if more > 0 {
        out.gap_bytes(entry, format!("budget: package history; {more} of its transactions were not listed"), 0);
    }
    let program = if entry.path.bytes().starts_with(b"/var/lib/yum") { "yum" } else { "dnf" };
    for (id, asked) in all {
        if asked.time.is_none() && asked.command.is_empty() {
            continue;
        }
        let text: String = asked.command.chars().take(300).collect();
        let mut fields = named(&asked.command);
        // What nobody logged in for has the highest number there is.
        fields.extend(asked.by.filter(|by| (0..4_294_967_295).contains(by)).map(|by| format!("uid={by}")));
        let place = evidence(system, entry, &source, asked.place, format!("transaction {id}"));
        let evidence = Evidence { excerpt: Some(text.clone()), ..place };
        out.push(Event {
            time: asked.time,
            kind: "package-asked".into(),
            class: "package".into(),
            program: program.to_owned(),
            text: if text.is_empty() { format!("transaction {id}") } else { text },
            fields,
            count: 1,
            last: asked.time,
            evidence,
            ..Event::default()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::ARTIFACT;
    use super::super::tests::shown;
    use crate::artifact::linux::testing::{rows, system, system_of};
    use crate::fs::MemFs;
    use rusqlite::Connection;

    #[test]
    fn logs_of_dnf_and_yum() {
        let s = system(
            "/var/log/dnf.rpm.log
    2021-06-14T09:16:38+0000 INFO --- logging initialized ---
    2021-06-14T09:16:42+0000 SUBDEBUG Installed: openvpn-2.5.2-1.fc34.x86_64
    2021-06-14T09:16:43+0000 SUBDEBUG Installed: pkcs11-helper-1.27.0-3.fc34.x86_64

/var/log/dnf.log
    2021-06-14T09:16:31+0000 DDEBUG Command: dnf -y install openvpn

/var/log/yum.log
    Aug 14 10:31:32 Installed: 1:ModemManager-1.6.10-4.el7.x86_64
    Aug 15 10:31:32 Erased: bash-4.2-1.el7.x86_64
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        let all = shown(rows);
        let has = |text: &str| assert!(all.iter().any(|r| r.contains(text)), "{text}: {all:#?}");
        assert_eq!(all.len(), 5 + usize::from(all.iter().any(|r| r.contains("package=ModemManager"))));
        has("dnf package-asked 2021-06-14T09:16:31Z 1x dnf -y install openvpn [package=openvpn]");
        has("dnf package-day 2021-06-14T09:16:42Z 2x");
        has("[action=install package=openvpn version=2.5.2-1.fc34 about=remote-access]");
        // Tree files were last changed in September 2020.
        has("yum package-day 2020-08-14T10:31:32Z 1x");
        has("yum package-day 2020-08-15T10:31:32Z 1x");
    }

    #[test]
    fn histories_in_sqlite_are_those_of_the_library() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.sqlite");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "create table trans (id integer primary key autoincrement, dt_begin integer not null, dt_end integer,
             rpmdb_version_begin text, rpmdb_version_end text, releasever text not null, user_id integer not null,
             cmdline text, state integer not null, comment text);",
        )
        .unwrap();
        for n in 0..300_i64 {
            db.execute(
                "insert into trans (dt_begin, releasever, user_id, cmdline, state) values (?, '39', ?, ?, 1)",
                rusqlite::params![
                    1_700_000_000 + n,
                    if n % 2 == 0 { 1000_i64 } else { 4_294_967_295 },
                    format!("install package-{n}")
                ],
            )
            .unwrap();
        }
        drop(db);
        let old = dir.path().join("yum.sqlite");
        let db = Connection::open(&old).unwrap();
        db.execute_batch(
            "create table trans_beg (tid integer primary key, timestamp integer, rpmdb_version text, loginuid integer);
             create table trans_cmdline (tid integer primary key, cmdline text);
             insert into trans_beg values (7, 1600000000, 'x', 1001);
             insert into trans_cmdline values (7, 'install ppp');",
        )
        .unwrap();
        drop(db);
        let bytes = std::fs::read(&path).unwrap();
        let mut fs = MemFs::default();
        fs.add("/var/lib/dnf/history.sqlite", bytes.clone());
        fs.add("/var/lib/yum/history/history-2020-01-01.sqlite", std::fs::read(&old).unwrap());
        let (found, gaps) = rows(&system_of(fs), &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        let all = shown(found);
        assert_eq!(all.len(), 301);
        assert!(all.contains(&"dnf package-asked 2023-11-14T22:13:20Z 1x install package-0 [uid=1000]".to_owned()));
        assert!(
            all.contains(&"dnf package-asked 2023-11-14T22:13:21Z 1x install package-1 []".to_owned()),
            "{:?}",
            &all[..3]
        );
        assert!(all.iter().any(
            |r| r.starts_with("yum package-asked 2020-09-13T12:26:40Z 1x install ppp [") && r.contains("uid=1001")
        ));
        // A damaged one costs what is damaged, and says so.
        let mut fs = MemFs::default();
        let mut cut = bytes;
        let half = cut.len() / 2;
        cut[half..].fill(0xff);
        fs.add("/var/lib/dnf/history.sqlite", cut);
        fs.add("/usr/lib/sysimage/libdnf5/transaction_history.sqlite", b"no database".to_vec());
        let (found, gaps) = rows(&system_of(fs), &ARTIFACT);
        assert!(shown(found).len() < 300 && gaps.len() >= 2, "{gaps:?}");
    }
}
