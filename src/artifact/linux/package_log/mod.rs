//! When packages came and went, and who asked for it: dpkg.log and apt's history, with rotations; the logs and histories
//! of dnf and yum (`rpm`); pacman's log.
mod rpm;

use crate::artifact::{Artifact, Os, Out};
use crate::base::Time;
use crate::evidence::{Entry, System};
use crate::format::decompress::Compression;
use crate::format::syslog::{Stamp, stamp};
use crate::inventory::Event;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.package-log",
    about: "Installed and removed packages by day, those of modems and remote access one by one; the commands that asked for it, and as whom.",
    os: Os::Linux,
    reads: &[
        "/var/log/dpkg.log*",
        "/var/log/apt/history.log*",
        "/var/log/{dnf.rpm.log,dnf.log,yum.log}*",
        "/var/lib/dnf/history.sqlite",
        "/usr/lib/sysimage/libdnf5/transaction_history.sqlite",
        "/var/lib/yum/history/history-*.sqlite",
        "/var/log/pacman.log*",
    ],
    references: &["dpkg(1)", "apt(8)", "dnf(8)", "yum(8)", "pacman(8)"],
    extract,
};

const TEXT: &str = include_str!("../../../../assets/knowledge/log-packages.toml");
/// Decoded bytes of one file.
const BUDGET: u64 = 64 << 20;
/// Events of one kind of one file.
const MAX_EVENTS: usize = 20_000;
/// Packages named in the days of one file, and characters of a name or version.
const MAX_LISTED: usize = 50_000;
const MAX_NAME: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Asset {
    #[serde(rename = "schema")]
    _schema: u32,
    modem: Vec<String>,
    remote_access: Vec<String>,
}

static NAMED: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    let Ok(asset) = toml::from_str::<Asset>(TEXT) else { return BTreeMap::new() };
    let modem = asset.modem.into_iter().map(|n| (n, "modem"));
    asset.remote_access.into_iter().map(|n| (n, "remote-access")).chain(modem).collect()
});

struct Day {
    first: Option<Time>,
    last: Option<Time>,
    count: u32,
    line: u32,
    text: String,
    /// `changed=NAME VERSION`, for each package.
    changed: BTreeSet<String>,
}

fn extract(system: &System, out: &Out) {
    let zone = TimeZone::get(&system.info.timezone).unwrap_or(TimeZone::UTC);
    for entry in system.glob("/var/log/dpkg.log*") {
        each(system, entry, out, |bytes| dpkg(system, entry, bytes, &zone, out));
    }
    for entry in system.glob("/var/log/apt/history.log*") {
        each(system, entry, out, |bytes| apt(system, entry, bytes, &zone, out));
    }
    for entry in system.glob("/var/log/pacman.log*") {
        each(system, entry, out, |bytes| pacman(system, entry, bytes, &zone, out));
    }
    rpm::read(system, &zone, out);
}

/// The decoded content, in memory: package logs are small.
fn each(system: &System, entry: &Entry, out: &Out, then: impl FnOnce(&[u8])) {
    if !entry.is_file() {
        return;
    }
    let text = match system.read(entry, BUDGET) {
        Ok(text) => text,
        Err(e) => return out.gap(entry, e),
    };
    if text.truncated {
        out.gap(entry, "budget: package log; only its first 64 MiB were read");
    }
    match Compression::recognise(&text.bytes) {
        None => then(&text.bytes),
        Some(kind) => match kind.decode(&text.bytes, BUDGET) {
            Ok(bytes) => then(&bytes),
            Err(e) => out.gap(entry, e),
        },
    }
}

fn time(line: &[u8], zone: &TimeZone) -> Option<Time> {
    match stamp(line).0 {
        Stamp::Exact(time) => Some(time),
        Stamp::Local(year, c) => {
            let date = jiff::civil::Date::new(
                i16::try_from(year).ok()?,
                i8::try_from(c.month).ok()?,
                i8::try_from(c.day).ok()?,
            );
            let part = |n: u32| i8::try_from(n).ok();
            let at = date.ok()?.at(part(c.second / 3600)?, part(c.second / 60 % 60)?, part(c.second % 60)?, 0);
            Some(Time::seconds(zone.to_ambiguous_timestamp(at).compatible().ok()?.as_second()))
        }
        _ => None,
    }
}

fn event(system: &System, entry: &Entry, kind: &str, program: &str, day: Day, fields: Vec<String>) -> Event {
    let excerpt = Some(day.text.clone());
    Event {
        time: day.first,
        kind: kind.into(),
        class: "package".into(),
        program: program.to_owned(),
        text: day.text,
        fields,
        count: day.count,
        last: day.last,
        evidence: crate::base::Evidence { line: Some(day.line), excerpt, ..system.evidence(entry) },
        ..Event::default()
    }
}

/// What a line says of a package.
struct Change {
    time: Option<Time>,
    action: &'static str,
    name: String,
    version: String,
}

/// Events of a log of changes: by day and action, and those of named packages one by one.
fn changes(
    (system, entry, out): (&System, &Entry, &Out),
    program: &str,
    bytes: &[u8],
    read: &mut dyn FnMut(&[u8]) -> Option<Change>,
) {
    let mut days: BTreeMap<(Vec<u8>, &str), Day> = BTreeMap::new();
    let (mut listed, mut unlisted) = (0_usize, 0_usize);
    for (number, line) in (1_u32..).zip(bytes.split(|b| *b == b'\n')) {
        let Some(change) = read(line) else { continue };
        let at = change.time;
        let shown = || String::from_utf8_lossy(line.trim_ascii_end()).chars().take(300).collect::<String>();
        if let Some(what) = NAMED.get(&change.name) {
            let day = Day { first: at, last: at, count: 1, line: number, text: shown(), changed: BTreeSet::new() };
            let fields = vec![
                format!("action={}", change.action),
                format!("package={}", change.name),
                format!("version={}", change.version),
                format!("about={what}"),
            ];
            out.push(event(system, entry, "package-named", program, day, fields));
        }
        let key = (line.trim_ascii_start().get(..10).unwrap_or_default().to_vec(), change.action);
        if days.len() >= MAX_EVENTS && !days.contains_key(&key) {
            continue;
        }
        let day = days.entry(key).or_insert_with(|| Day {
            first: at,
            last: at,
            count: 0,
            line: number,
            text: shown(),
            changed: BTreeSet::new(),
        });
        day.count = day.count.saturating_add(1);
        day.last = at.or(day.last);
        let named = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
        let name = format!("changed={} {}", named(&change.name), named(&change.version));
        if change.name.is_empty() || day.changed.contains(&name) {
            continue;
        }
        if listed < MAX_LISTED {
            listed = listed.saturating_add(1);
            day.changed.insert(name);
        } else {
            unlisted = unlisted.saturating_add(1);
        }
    }
    if days.len() >= MAX_EVENTS {
        out.gap_bytes(entry, format!("budget: package log; only its first {MAX_EVENTS} days were counted"), 0);
    }
    if unlisted > 0 {
        let what =
            format!("budget: package log; only its first {MAX_LISTED} packages were named, {unlisted} were counted");
        out.gap_bytes(entry, what, 0);
    }
    for ((_, action), day) in days {
        let mut fields = vec![format!("action={action}")];
        fields.extend(day.changed.iter().cloned());
        out.push(event(system, entry, "package-day", program, day, fields));
    }
}

/// `2016-08-06 17:35:39 install base-passwd:amd64 <none> 3.5.33`.
fn dpkg(system: &System, entry: &Entry, bytes: &[u8], zone: &TimeZone, out: &Out) {
    changes((system, entry, out), "dpkg", bytes, &mut |line| {
        let text = String::from_utf8_lossy(line.get(20..)?);
        let mut words = text.split_whitespace();
        let action = match words.next()? {
            "install" => "install",
            "upgrade" => "upgrade",
            "remove" => "remove",
            "purge" => "purge",
            _ => return None,
        };
        let package = words.next()?;
        let versions: Vec<&str> = words.collect();
        let version = versions.iter().rev().find(|v| **v != "<none>").copied().unwrap_or_default();
        let name = package.split(':').next().unwrap_or(package);
        Some(Change { time: time(line, zone), action, name: name.to_owned(), version: version.to_owned() })
    });
}

/// `[2024-01-01T10:00:00+0000] [ALPM] installed openvpn (2.6.8-1)`, `… [PACMAN] Running 'pacman -S openvpn'`.
fn pacman(system: &System, entry: &Entry, bytes: &[u8], zone: &TimeZone, out: &Out) {
    let parts = |line: &[u8]| -> Option<(Option<Time>, String)> {
        let rest = line.strip_prefix(b"[")?;
        let end = rest.iter().position(|b| *b == b']')?;
        let mut stamp = rest.get(..end)?.to_vec();
        // Before 2019 without seconds.
        if stamp.len() == 16 {
            stamp.extend_from_slice(b":00");
        }
        let after = rest.get(end.saturating_add(1)..)?.trim_ascii();
        Some((time(&stamp, zone), String::from_utf8_lossy(after).into_owned()))
    };
    changes((system, entry, out), "pacman", bytes, &mut |line| {
        let (time, text) = parts(line)?;
        let mut words = text.strip_prefix("[ALPM] ")?.split_whitespace();
        let action = match words.next()? {
            "installed" => "install",
            "reinstalled" => "reinstall",
            "upgraded" => "upgrade",
            "downgraded" => "downgrade",
            "removed" => "remove",
            _ => return None,
        };
        let name = words.next()?.to_owned();
        let version = words.next_back().unwrap_or_default().trim_matches(['(', ')']).to_owned();
        Some(Change { time, action, name, version })
    });
    let mut asked = 0_usize;
    for (number, line) in (1_u32..).zip(bytes.split(|b| *b == b'\n')) {
        let Some((at, text)) = parts(line) else { continue };
        let command = text.strip_prefix("[PACMAN] Running '").and_then(|t| t.strip_suffix('\''));
        let Some(command) = command.filter(|_| asked < MAX_EVENTS) else { continue };
        asked = asked.saturating_add(1);
        let text: String = command.chars().take(300).collect();
        let day = Day { first: at, last: at, count: 1, line: number, text, changed: BTreeSet::new() };
        out.push(event(system, entry, "package-asked", "pacman", day, named(command)));
    }
}

/// The packages of a command that are known for modems or remote access.
fn named(command: &str) -> Vec<String> {
    let words = command.split(|c: char| c.is_whitespace() || c == '=' || c == '/');
    words.filter(|w| NAMED.contains_key(*w)).map(|w| format!("package={w}")).collect()
}

/// Paragraphs with `Start-Date`, `Commandline`, `Requested-By`: what was asked for by hand.
fn apt(system: &System, entry: &Entry, bytes: &[u8], zone: &TimeZone, out: &Out) {
    let text = String::from_utf8_lossy(bytes);
    let (mut at, mut command, mut who, mut line) = (None, String::new(), String::new(), 0_u32);
    let mut asked = 0_usize;
    for (number, row) in (1_u32..).zip(text.lines().chain(std::iter::once(""))) {
        if let Some(value) = row.strip_prefix("Start-Date: ") {
            // Two blanks stand between date and time.
            at = time(value.replacen("  ", " ", 1).as_bytes(), zone);
            line = number;
        } else if let Some(value) = row.strip_prefix("Commandline: ") {
            command = value.chars().take(300).collect();
        } else if let Some(value) = row.strip_prefix("Requested-By: ") {
            value.clone_into(&mut who);
        } else if row.is_empty() {
            if !command.is_empty() && asked < MAX_EVENTS {
                asked = asked.saturating_add(1);
                let mut fields = named(&command);
                if !who.is_empty() {
                    fields.push(format!("by={who}"));
                }
                let day = Day { first: at, last: at, count: 1, line, text: command.clone(), changed: BTreeSet::new() };
                out.push(event(system, entry, "package-asked", "apt", day, fields));
            }
            command.clear();
            who.clear();
            at = None;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    pub(super) fn shown(rows: Vec<Row>) -> Vec<String> {
        let show = |r: Row| match r {
            Row::Event(e) => {
                let time = e.time.map_or_else(|| "-".to_owned(), |t| t.to_string());
                format!("{} {} {time} {}x {} [{}]", e.program, e.kind, e.count, e.text, e.fields.join(" "))
            }
            other => panic!("{other:?}"),
        };
        let mut all: Vec<String> = rows.into_iter().map(show).collect();
        all.sort();
        all
    }

    #[test]
    fn pacman_tells_changes_and_commands() {
        let s = system(
            "/var/log/pacman.log
    [2024-01-01T10:00:00+0000] [PACMAN] Running 'pacman -S openvpn'
    [2024-01-01T10:00:05+0000] [ALPM] installed openvpn (2.6.8-1)
    [2018-01-01 10:00] [ALPM] upgraded glibc (2.26-1 -> 2.26-2)
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        assert_eq!(
            shown(rows),
            [
                "pacman package-asked 2024-01-01T10:00:00Z 1x pacman -S openvpn [package=openvpn]",
                "pacman package-day 2018-01-01T10:00:00Z 1x [2018-01-01 10:00] [ALPM] upgraded glibc (2.26-1 -> 2.26-2) [action=upgrade changed=glibc 2.26-2]",
                "pacman package-day 2024-01-01T10:00:05Z 1x [2024-01-01T10:00:05+0000] [ALPM] installed openvpn (2.6.8-1) [action=install changed=openvpn 2.6.8-1]",
                "pacman package-named 2024-01-01T10:00:05Z 1x [2024-01-01T10:00:05+0000] [ALPM] installed openvpn (2.6.8-1) [action=install package=openvpn version=2.6.8-1 about=remote-access]",
            ]
        );
    }

    #[test]
    fn named_packages_and_days() {
        assert_eq!(NAMED.get("modemmanager"), Some(&"modem"));
        let s = system(
            "/var/log/dpkg.log
    2016-08-03 15:25:53 startup archives install
    2016-08-06 17:35:39 install base-passwd:amd64 <none> 3.5.33
    2016-08-06 17:35:40 status installed base-passwd:amd64 3.5.33
    2016-08-06 17:35:41 install modemmanager:amd64 <none> 1.20.4-1
    2016-08-09 04:57:14 remove openvpn:amd64 2.6.3-1 <none>

/var/log/apt/history.log

    Start-Date: 2016-08-06  17:35:38
    Commandline: apt-get install -y modemmanager
    Requested-By: op (1000)
    Install: modemmanager:amd64 (1.20.4-1)
    End-Date: 2016-08-06  17:35:42
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        let mut seen: Vec<_> = rows
            .iter()
            .map(|r| match r {
                Row::Event(e) => format!("{} {} {} {}", e.kind, e.time.unwrap(), e.fields.join(" "), e.count),
                other => panic!("{other:?}"),
            })
            .collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                "package-asked 2016-08-06T17:35:38Z package=modemmanager by=op (1000) 1",
                "package-day 2016-08-06T17:35:39Z action=install changed=base-passwd 3.5.33 changed=modemmanager 1.20.4-1 2",
                "package-day 2016-08-09T04:57:14Z action=remove changed=openvpn 2.6.3-1 1",
                "package-named 2016-08-06T17:35:41Z action=install package=modemmanager version=1.20.4-1 about=modem 1",
                "package-named 2016-08-09T04:57:14Z action=remove package=openvpn version=2.6.3-1 about=remote-access 1",
            ]
        );
    }
}
