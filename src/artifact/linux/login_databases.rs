//! Logins by the databases that follow wtmp and lastlog: wtmpdb(8) (`wtmp`: one row a login or boot, times in
//! microseconds) and lastlog2(8) (`Lastlog2`: the last login of each account, in seconds). Both are SQLite.
use super::sqlite_tables::{Named, evidence, rows};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Digits, Evidence, Run, Time};
use crate::evidence::{Entry, System};
use crate::inventory::{Event, Session};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.login-databases",
    about: "Logins from start to end and boots by wtmpdb, and the last login of each account by lastlog2.",
    os: Os::Linux,
    reads: &["/var/{lib/wtmpdb/wtmp.db,log/wtmp.db}", "/var/lib/lastlog/lastlog2.db"],
    references: &["wtmpdb(8)", "lastlog2(8)"],
    extract,
};

/// Rows of one database that are listed.
const MAX_ROWS: usize = 20_000;

/// A row of wtmpdb.
struct Login {
    id: i64,
    kind: i64,
    user: String,
    from: Option<Time>,
    to: Option<Time>,
    terminal: String,
    host: String,
    service: String,
    place: Option<Run>,
}

fn micros(raw: i64) -> Option<Time> {
    let nanos = u32::try_from(raw.rem_euclid(1_000_000)).ok()?.checked_mul(1000)?;
    (raw > 0).then(|| Time { seconds: raw.div_euclid(1_000_000), nanos, digits: Digits::Six })
}

fn extract(system: &System, out: &Out) {
    for path in ["/var/lib/wtmpdb/wtmp.db", "/var/log/wtmp.db"] {
        if let Some(entry) = system.resolve(path).filter(|e| e.is_file() && !e.is_empty()) {
            wtmpdb(system, entry, out);
        }
    }
    if let Some(entry) = system.resolve("/var/lib/lastlog/lastlog2.db").filter(|e| e.is_file() && !e.is_empty()) {
        lastlog2(system, entry, out);
    }
}

fn wtmpdb(system: &System, entry: &Entry, out: &Out) {
    let (mut all, mut more) = (Vec::new(), 0_u64);
    let source = rows(system, entry, out, &["wtmp"], &mut |named: Named<'_>| {
        if all.len() >= MAX_ROWS {
            more = more.saturating_add(1);
            return;
        }
        let text = |name: &str| named.text(&[name]).unwrap_or_default();
        all.push(Login {
            id: named.number(&["ID"]).unwrap_or(named.row.rowid),
            kind: named.number(&["Type"]).unwrap_or(0),
            user: text("User"),
            from: named.number(&["Login"]).and_then(micros),
            to: named.number(&["Logout"]).and_then(micros),
            terminal: text("TTY"),
            host: text("RemoteHost"),
            service: text("Service"),
            place: named.row.place,
        });
    });
    let Some(source) = source else { return };
    if more > 0 {
        out.gap_bytes(entry, format!("budget: login records; {more} of them were not listed"), 0);
    }
    for login in all {
        let from = if login.host.is_empty() { String::new() } else { format!(" from {}", login.host) };
        let text = format!("{} on {}{from}", login.user, login.terminal);
        let evidence = Evidence {
            excerpt: Some(text.clone()),
            ..evidence(system, entry, &source, login.place, format!("row {}", login.id))
        };
        // 1 is a boot, 3 a login (wtmpdb.h).
        if login.kind == 1 {
            out.push(Event {
                time: login.from,
                kind: "boot".into(),
                class: "device".into(),
                program: "wtmpdb".to_owned(),
                text: format!("boot of {}", login.host),
                count: 1,
                last: login.from,
                evidence,
                ..Event::default()
            });
            continue;
        }
        if login.kind != 3 {
            continue;
        }
        out.push(Session {
            kind: "login".into(),
            program: "wtmpdb".to_owned(),
            start: login.from,
            end: login.to,
            ended: if login.to.is_some() { "recorded" } else { "not-recorded" }.into(),
            user: login.user,
            device: login.terminal,
            connection: login.service,
            peer: Some(login.host).filter(|h| !h.is_empty()).into_iter().collect(),
            lines: 1,
            evidence,
            ..Session::default()
        });
    }
}

fn lastlog2(system: &System, entry: &Entry, out: &Out) {
    let (mut all, mut more) = (Vec::new(), 0_u64);
    let source = rows(system, entry, out, &["Lastlog2"], &mut |named: Named<'_>| {
        let Some(seconds) = named.number(&["Time"]).filter(|s| *s > 0) else { return };
        if all.len() >= MAX_ROWS {
            more = more.saturating_add(1);
            return;
        }
        let text = |name: &str| named.text(&[name]).unwrap_or_default();
        all.push((text("Name"), Time::seconds(seconds), text("TTY"), text("RemoteHost"), named.row.place));
    });
    let Some(source) = source else { return };
    if more > 0 {
        out.gap_bytes(entry, format!("budget: login records; {more} of them were not listed"), 0);
    }
    for (user, time, terminal, host, place) in all {
        let from = if host.is_empty() { String::new() } else { format!(" from {host}") };
        let text = format!("{user} last on {terminal}{from}");
        let mut fields = vec![format!("user={user}")];
        if !host.is_empty() {
            fields.push(format!("host={host}"));
        }
        let evidence = Evidence {
            excerpt: Some(text.clone()),
            ..evidence(system, entry, &source, place, format!("row of {user}"))
        };
        out.push(Event {
            time: Some(time),
            kind: "last-login".into(),
            class: "login".into(),
            program: "lastlog2".to_owned(),
            text,
            fields,
            count: 1,
            last: Some(time),
            evidence,
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
    use rusqlite::Connection;

    #[test]
    fn rows_of_both_databases() {
        let dir = tempfile::tempdir().unwrap();
        let (wtmp, last) = (dir.path().join("wtmp.db"), dir.path().join("lastlog2.db"));
        Connection::open(&wtmp)
            .unwrap()
            .execute_batch(
                "create table wtmp (ID INTEGER PRIMARY KEY, Type INTEGER, User TEXT NOT NULL, Login INTEGER,
                 Logout INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT) STRICT;
                 insert into wtmp values (1, 1, 'reboot', 1700000000000000, NULL, '~', '6.12.0', NULL);
                 insert into wtmp values (2, 3, 'root', 1700000060000001, 1700000600000000, 'pts/0', '10.0.0.9', 'sshd');
                 insert into wtmp values (3, 3, 'op', 1700001000000000, NULL, 'tty1', NULL, 'login');",
            )
            .unwrap();
        Connection::open(&last)
            .unwrap()
            .execute_batch(
                "create table Lastlog2 (Name TEXT PRIMARY KEY, Time INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT);
                 insert into Lastlog2 values ('root', 1700000060, 'pts/0', '10.0.0.9', 'sshd');",
            )
            .unwrap();
        let mut fs = MemFs::default();
        fs.add("/var/lib/wtmpdb/wtmp.db", std::fs::read(&wtmp).unwrap());
        fs.add("/var/lib/lastlog/lastlog2.db", std::fs::read(&last).unwrap());
        let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        let time = |t: Option<Time>| t.map_or_else(|| "?".to_owned(), |t| t.to_string());
        let shown: Vec<String> = rows
            .iter()
            .map(|r| match r {
                Row::Event(e) => format!("{} {} {}", e.kind, time(e.time), e.text),
                Row::Session(s) => {
                    format!("{} {} {} {}..{} {:?}", s.user, s.device, s.ended, time(s.start), time(s.end), s.peer)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "boot 2023-11-14T22:13:20.000000Z boot of 6.12.0",
                "root pts/0 recorded 2023-11-14T22:14:20.000001Z..2023-11-14T22:23:20.000000Z [\"10.0.0.9\"]",
                "op tty1 not-recorded 2023-11-14T22:30:00.000000Z..? []",
                "last-login 2023-11-14T22:14:20Z root last on pts/0 from 10.0.0.9",
            ]
        );
        // The place is that of the row.
        let bytes = std::fs::read(&wtmp).unwrap();
        let Some(Row::Session(s)) = rows.iter().find(|r| matches!(r, Row::Session(_))) else { panic!() };
        let at = s.evidence.range.unwrap();
        let (from, to) = (usize::try_from(at.offset).unwrap(), usize::try_from(at.end()).unwrap());
        assert!(String::from_utf8_lossy(&bytes[from..to]).contains("10.0.0.9"));
        let mut fs = MemFs::default();
        fs.add("/var/lib/wtmpdb/wtmp.db", b"nothing".to_vec());
        assert_eq!(super::super::testing::rows(&system_of(fs), &ARTIFACT).1.len(), 1);
    }
}
