//! Logs, text and journal: what they recorded of modems, tunnels, logins, accounts and the clock.
//!
//! Every journal and every text file below /var/log is read, rotated and compressed ones too, and the own logs of
//! remote-control programs elsewhere. A line that several files hold (syslog, kern.log) counts once: the
//! count of an event is the highest that one log and its rotations give. Periods of use: `talk` and `periods`.
mod cited;
mod clock;
mod emit;
mod journals;
mod machines;
mod named;
mod patterns;
mod periods;
mod scan;
mod sessions;
mod stream;
mod talk;
mod usb;
mod window;

use crate::artifact::{Artifact, Os, Out};
use crate::base::{Name, Time};
use crate::evidence::{Entry, System};
use clock::{Resolver, When};
use jiff::tz::TimeZone;
use machines::Segment;
use patterns::Patterns;
use scan::{Hit, Scan, Spot};
use std::collections::BTreeMap;
use std::sync::Arc;
pub use window::log_window;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.logs",
    about: "Modem, tunnel, login, account and clock lines of text logs and of systemd's journals; periods of use of modems, tunnels and logins; also of logs packed by gzip, xz and zstd; USB devices; from when to when logs exist.",
    os: Os::Linux,
    reads: &[
        "/var/log/**",
        "/var/log/journal/**",
        "/run/log/journal/**",
        "/home/*/.anydesk*/**.trace",
        "/root/.anydesk*/**.trace",
        "/opt/teamviewer/logfiles/**",
        "/home/*/.local/share/logs/RustDesk/**",
        "/root/.local/share/logs/RustDesk/**",
    ],
    references: &["syslog.conf(5)", "systemd.io/JOURNAL_FILE_FORMAT", "RFC 3164", "RFC 5424", "dmesg(1)"],
    extract,
};

/// Decoded bytes of all logs of a system.
const TOTAL_BUDGET: u64 = 16 << 30;
/// Files of a system.
const MAX_FILES: usize = 50_000;

/// Folders and files below /var/log that are read elsewhere or hold no lines.
const OTHER: &[&str] =
    &["journal/", "wtmp", "btmp", "lastlog", "faillog", "tallylog", "dpkg.log", "apt/", "alternatives.log"];
/// Logs that a running system fills every day: their silence means something.
const MAIN: &[&str] =
    &["syslog", "messages", "kern.log", "daemon.log", "auth.log", "secure", "debug", "user.log", "cron.log", "cron"];

/// Literals of the patterns of some classes.
pub(crate) fn line_needles(classes: &[&str]) -> Vec<String> {
    let all = patterns::patterns().map(|p| p.needles_of(classes));
    all.unwrap_or_default()
}

/// What a line says that was found without its file: kind, class and fields. It is none of a log unless it begins with
/// a time; of a journal's message nothing tells the program.
pub(crate) fn known_lines(line: &[u8]) -> Vec<(Arc<str>, Arc<str>, Vec<String>)> {
    let Ok(patterns) = patterns::patterns() else { return Vec::new() };
    let found = if let Some(message) = line.strip_prefix(b"MESSAGE=") {
        patterns.told(None, message, "")
    } else {
        let parsed = crate::format::syslog::parse(line);
        if parsed.stamp == crate::format::syslog::Stamp::None {
            return Vec::new();
        }
        patterns.told(Some(parsed.program), crate::format::syslog::repeated(parsed.message).1, "")
    };
    let named = |(at, fields): (usize, Vec<String>)| {
        let pattern = patterns.all.get(at)?;
        Some((pattern.id.clone(), pattern.class.clone(), fields))
    };
    found.into_iter().filter_map(named).collect()
}

/// The times of stamps that may lack the year, one after the other in a file that was last changed at `bound`.
pub(crate) fn yearless(
    zone: &TimeZone,
    stamps: &[crate::format::syslog::Stamp],
    bound: Option<i64>,
) -> Vec<Option<Time>> {
    let mut turns = clock::Turns::default();
    let seen: Vec<When> = stamps.iter().map(|s| turns.see(*s)).collect();
    let last = seen.iter().rev().find(|w| w.stamp != crate::format::syslog::Stamp::None).copied().unwrap_or_default();
    let resolver = Resolver::new(zone, last, bound.filter(|b| *b > 0));
    seen.into_iter().map(|w| resolver.time(w)).collect()
}

/// A log file, its name without rotation and compression, and its place in the rotation (0 is current).
struct File<'a> {
    entry: &'a Entry,
    family: Name,
    age: u64,
}

/// Takes `.gz`, `.1` and `-20260131` off a name.
fn family(path: &[u8]) -> (Name, u64) {
    let mut stem = path;
    for end in [b".gz".as_slice(), b".xz", b".zst", b".bz2"] {
        stem = stem.strip_suffix(end).unwrap_or(stem);
    }
    let digits = stem.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let cut = stem.len().saturating_sub(digits);
    let number: Option<u64> = stem.get(cut..).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok());
    match (stem.get(cut.saturating_sub(1)), number) {
        (Some(b'.'), Some(n)) if digits <= 4 => (Name::new(stem.get(..cut.saturating_sub(1)).unwrap_or(stem)), n),
        // Later dates come first.
        (Some(b'-'), Some(n)) if digits >= 8 => {
            (Name::new(stem.get(..cut.saturating_sub(1)).unwrap_or(stem)), u64::MAX.saturating_sub(n))
        }
        _ => (Name::new(stem), 0),
    }
}

fn files(system: &System) -> Vec<File<'_>> {
    let elsewhere = [
        "/home/*/.anydesk*/**.trace",
        "/root/.anydesk*/**.trace",
        "/opt/teamviewer/logfiles/**",
        "/home/*/.local/share/logs/RustDesk/**",
        "/root/.local/share/logs/RustDesk/**",
    ];
    let root = system.canonical(b"/var/log").unwrap_or_else(|| Name::from("/var/log"));
    let prefix = [root.bytes(), b"/"].concat();
    let other = |e: &&Entry| {
        let rest = e.path.bytes().strip_prefix(prefix.as_slice()).unwrap_or_default();
        !OTHER.iter().any(|o| rest.starts_with(o.as_bytes())) && !rest.ends_with(b".journal")
    };
    let start = system.entries().partition_point(|e| e.path.bytes() < prefix.as_slice());
    let below = system.entries().iter().skip(start).take_while(|e| e.path.bytes().starts_with(&prefix));
    let mut all: Vec<&Entry> = below.filter(other).collect();
    all.extend(elsewhere.iter().flat_map(|p| system.glob(p)));
    all.retain(|e| e.is_file() && !e.is_empty());
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    let mut files: Vec<_> = all
        .into_iter()
        .map(|entry| {
            let (family, age) = family(entry.path.bytes());
            File { entry, family, age }
        })
        .collect();
    files.sort_by(|a, b| (&a.family, a.age, &a.entry.path).cmp(&(&b.family, b.age, &b.entry.path)));
    files
}

/// Lines of one kind, over all files.
struct Merged {
    first: Option<Time>,
    last: Option<Time>,
    /// By family of logs.
    counts: BTreeMap<usize, u32>,
    evidence: Source,
    text: String,
}

/// Where the first line of an event stands; made into evidence only for what is kept.
#[derive(Clone, Copy)]
struct Source {
    file: usize,
    spot: Spot,
}

#[derive(Default)]
struct Gathered {
    /// With the machine, of `segments`.
    events: BTreeMap<(scan::Key, usize), Merged>,
    devices: BTreeMap<(usb::Ids, usize), (usb::Seen, Merged)>,
    segments: Vec<Segment>,
    /// By file: its first segment.
    bases: BTreeMap<usize, usize>,
    spans: Vec<(Time, Time, Source)>,
    /// What tells of periods of use.
    told: sessions::Logs,
    marks: usize,
}

fn extract(system: &System, out: &Out) {
    let patterns = match patterns::patterns() {
        Ok(patterns) => patterns,
        Err(e) => {
            if let Some(entry) = system.resolve("/var/log") {
                out.gap(entry, format!("logs not searched: {e}"));
            }
            return;
        }
    };
    let zone = TimeZone::get(&system.info.timezone).unwrap_or(TimeZone::UTC);
    let mut files = files(system);
    let texts = files.len();
    files.append(&mut journals::files(system));
    if let (Err(e), Some(file)) = (talk::lines(), files.first()) {
        out.gap(file.entry, format!("periods of use not looked for: {e}"));
    }
    let mut gathered = Gathered::default();
    let mut spent = 0_u64;
    let mut newer: Option<(&Name, i64)> = None;
    let mut families: BTreeMap<&Name, usize> = BTreeMap::new();
    for (at, file) in files.iter().enumerate().take(texts) {
        if at >= MAX_FILES || spent >= TOTAL_BUDGET {
            out.gap(file.entry, "budget: logs; this file and those after it were not searched");
            break;
        }
        let next = families.len();
        let family = *families.entry(&file.family).or_insert(next);
        let main = is_main(&file.family);
        let Some((mut scan, read)) = read(system, file, patterns, main, out) else { continue };
        spent = spent.saturating_add(read);
        // No line is later than the file's last change, nor than the next newer file's first line.
        let changed = file.entry.stat.as_ref().and_then(|s| s.times.modified).map(|t| t.seconds);
        let follows = newer.filter(|(f, _)| *f == &file.family).map(|(_, first)| first);
        let bound = [changed.filter(|t| *t > 0), follows].into_iter().flatten().min();
        let resolver = Resolver::new(&zone, scan.last, bound);
        if let Some(first) = scan.days.first().and_then(|d| resolver.time(d.0)) {
            newer = Some((&file.family, first.seconds));
        }
        if main {
            spans(&scan, &resolver, at, &mut gathered);
        }
        segments(&mut scan, &resolver, at, file, &mut gathered);
        sessions::talks(&mut scan, &resolver, at, file, &mut gathered, out);
        gather(scan, &resolver, at, family, &mut gathered);
    }
    for (at, file) in files.iter().enumerate().skip(texts) {
        let next = families.len();
        let family = *families.entry(&file.family).or_insert(next);
        let Some(mut scan) = journals::read(system, file, patterns, &mut spent, out) else { continue };
        let resolver = Resolver::new(&zone, scan.last, None);
        spans(&scan, &resolver, at, &mut gathered);
        segments(&mut scan, &resolver, at, file, &mut gathered);
        sessions::talks(&mut scan, &resolver, at, file, &mut gathered, out);
        gather(scan, &resolver, at, family, &mut gathered);
    }
    emit::emit(system, patterns, &files, gathered, out);
}

fn is_main(family: &Name) -> bool {
    MAIN.iter().any(|m| m.as_bytes() == family.file_name()) && family.parent().ends_with(b"/log")
}

fn read<'p>(
    system: &System,
    file: &'p File<'_>,
    patterns: &'p Patterns,
    main: bool,
    out: &Out,
) -> Option<(Scan<'p>, u64)> {
    let entry = file.entry;
    let source = match system.open(entry) {
        Ok(source) => source,
        Err(e) => {
            out.gap(entry, e);
            return None;
        }
    };
    let path = std::str::from_utf8(entry.path.bytes()).unwrap_or_default();
    let mut scan = Scan::new(patterns, path);
    scan.own_host.clone_from(&system.info.hostname);
    let mut text = true;
    let mut fresh = true;
    let left = stream::windows(&*source, &mut |window, base| {
        if fresh {
            fresh = false;
            // Power loss leaves zeros in the main logs; elsewhere they mean that this is no text.
            text = main || !window.iter().take(512).any(|b| *b == 0);
        }
        if text {
            scan.feed(window, base);
        }
    });
    scan.finish();
    if let Some(e) = &left.error {
        out.gap(entry, format!("{e}; {} bytes of text were read before", left.read));
    }
    if left.over_budget {
        out.gap(entry, format!("budget: log; only its first {} bytes of text were searched", left.read));
    }
    if left.cut.0 > 0 && text {
        let (lines, bytes) = left.cut;
        out.gap_bytes(
            entry,
            format!("{lines} lines are longer than 64 KiB; {bytes} bytes of them were not searched"),
            bytes,
        );
    }
    if main && text && left.read > 0 && left.error.is_none() && scan.days.is_empty() {
        out.gap(entry, "no line of it begins with a time: what it holds was not recognised as a log");
    }
    if scan.usb.dropped > 0 {
        out.gap(entry, format!("budget: devices; {} USB devices were not listed", scan.usb.dropped));
    }
    Some((scan, left.read))
}

fn spans(scan: &Scan<'_>, resolver: &Resolver<'_>, file: usize, gathered: &mut Gathered) {
    let days = scan.days.iter().filter_map(|(a, b)| resolver.time(*a).zip(resolver.time(*b)));
    let days = days.map(|(a, b)| (a.min(b), a.max(b))).collect();
    let source = Source { file, spot: Spot::default() };
    gathered.spans.extend(window::union(days).into_iter().map(|(a, b)| (a, b, source)));
}

/// Whose lines the file holds.
fn segments(scan: &mut Scan<'_>, resolver: &Resolver<'_>, at: usize, file: &File<'_>, gathered: &mut Gathered) {
    gathered.bases.insert(at, gathered.segments.len());
    let mut began: Vec<Option<Time>> = scan.began.iter().map(|w| resolver.time(*w)).collect();
    if let (Some(first), Some((day, _))) = (began.first_mut(), scan.days.first()) {
        *first = resolver.time(*day);
    }
    let end = resolver.time(scan.last);
    for (number, machine) in std::mem::take(&mut scan.machines.all).into_iter().enumerate() {
        gathered.segments.push(Segment {
            file: at,
            log: (file.family.clone(), sessions::is_of_user(file)),
            age: std::cmp::Reverse(file.age),
            first: began.get(number).copied().flatten(),
            last: began.get(number.saturating_add(1)).copied().flatten().or(end),
            machine,
            foreign: scan.machine.clone(),
        });
    }
}

fn gather(scan: Scan<'_>, resolver: &Resolver<'_>, file: usize, family: usize, gathered: &mut Gathered) {
    let new = |first: When, last: When, count: u32, spot: Spot, text: String| {
        let (a, b) = (resolver.time(first), resolver.time(last));
        Merged {
            first: a.into_iter().chain(b).min(),
            last: a.into_iter().chain(b).max(),
            counts: BTreeMap::from([(family, count)]),
            evidence: Source { file, spot },
            text,
        }
    };
    let base = gathered.bases.get(&file).copied().unwrap_or_default();
    for ((key, machine), Hit { first, last, count, at, text }) in scan.hits {
        let fresh = new(first, last, count, at, text);
        let key = (key, base.saturating_add(machine));
        match gathered.events.get_mut(&key) {
            Some(known) => known.join(fresh),
            None => {
                gathered.events.insert(key, fresh);
            }
        }
    }
    for ((ids, machine), seen) in scan.usb.devices {
        let key = (ids, base.saturating_add(machine));
        let fresh = new(seen.first, seen.last, seen.count, seen.at, seen.text.clone());
        put(&mut gathered.devices, key, seen, fresh);
    }
}

/// Adds what one file, or one machine, shows of a device to what is known of it.
fn put<K: Ord>(all: &mut BTreeMap<K, (usb::Seen, Merged)>, key: K, seen: usb::Seen, merged: Merged) {
    match all.get_mut(&key) {
        Some((known, old)) => {
            old.join(merged);
            known.drivers.extend(seen.drivers);
            known.nodes.extend(seen.nodes);
        }
        None => {
            all.insert(key, (seen, merged));
        }
    }
}

impl Merged {
    fn join(&mut self, other: Self) {
        // Evidence is the earliest line that has a time.
        if other.first.is_some() && (self.first.is_none() || other.first < self.first) {
            self.evidence = other.evidence;
            self.text = other.text;
            self.first = other.first;
        }
        self.last = self.last.max(other.last);
        for (family, n) in other.counts {
            let count = self.counts.entry(family).or_insert(0);
            *count = count.saturating_add(n);
        }
    }
    fn count(&self) -> u32 {
        self.counts.values().copied().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;
