//! Periods of use out of the lines that tell of them: of the files of one log in their order, so that a clock that was
//! set in between does not tear them apart. What several logs, or several programs, tell of one period is one row.
use super::Source;
use super::talk::{Does, Line, Mark};
use crate::base::Time;
use crate::inventory::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Periods that are open at a time, and lines that wait for a start.
const MAX_OPEN: usize = 4096;
const MAX_WAITING: usize = 64;
/// Lines of a period that are kept: of more the first and the last.
const MAX_LOG: usize = 24;
/// Values of one kind.
const MAX_VALUES: usize = 16;
/// Seconds for which what was said before a start counts for it.
const BEFORE: i64 = 600;
/// Seconds in which a second start is the same one (IPv4 and IPv6).
const SAME_START: i64 = 5;
/// Seconds by which what two programs say of one period may differ.
const APART: i64 = 90;
/// Periods that are told of one system.
const MAX_PERIODS: usize = 20_000;

/// A line with its time, and its place.
pub(super) struct Told {
    pub(super) time: Option<Time>,
    pub(super) source: Source,
    /// The machine of its file that it is of.
    pub(super) segment: usize,
    pub(super) mark: Mark,
}

#[derive(Clone, Default)]
pub(super) struct Period {
    group: BTreeSet<Arc<str>>,
    programs: BTreeSet<String>,
    kind: Arc<str>,
    start: Option<Time>,
    end: Option<Time>,
    ended: &'static str,
    end_before: Option<Time>,
    fields: BTreeMap<String, Vec<String>>,
    lines: u32,
    log: Vec<(Source, String)>,
    recorded_as: BTreeSet<String>,
    notes: BTreeSet<&'static str>,
}

/// Of group and what tells its periods apart.
type Id = (Arc<str>, String);

#[derive(Default)]
struct Walk<'a> {
    open: BTreeMap<Id, Period>,
    /// By group and process.
    processes: BTreeMap<(Arc<str>, u32), Id>,
    waiting: BTreeMap<Id, Vec<&'a Told>>,
    done: Vec<Period>,
}

/// The periods that the lines of one log tell of.
pub(super) fn periods(lines: &[Line], told: &[Told]) -> Vec<Period> {
    let mut walk = Walk::default();
    for one in told {
        let Some(line) = lines.get(one.mark.line) else { continue };
        match line.does {
            Does::Boot => walk.restart(one.time),
            Does::Clock => walk.open.values_mut().filter(|p| p.ended.is_empty()).for_each(|p| {
                p.notes.insert("the clock was set while it lasted");
            }),
            Does::Before => walk.wait(line, one),
            Does::Tells => match walk.find(line, &one.mark).filter(|id| walk.is_running(id)) {
                Some(id) => walk.add(&id, one),
                None => walk.wait(line, one),
            },
            Does::Start => walk.start(line, one),
            Does::Ends => walk.end(line, one),
        }
    }
    walk.close();
    walk.done
}

impl<'a> Walk<'a> {
    fn is_running(&self, id: &Id) -> bool {
        self.open.get(id).is_some_and(|p| p.ended.is_empty())
    }
    /// The period that a line is of: by its id, by its process, or the only one of its group.
    fn find(&self, line: &Line, mark: &Mark) -> Option<Id> {
        let id = (line.group.clone(), mark.id.clone());
        if self.open.contains_key(&id) {
            return Some(id);
        }
        let by_process = self.processes.get(&(line.group.clone(), mark.pid)).filter(|_| mark.pid != 0);
        if let Some(known) = by_process.filter(|known| self.open.contains_key(known)) {
            return Some(known.clone());
        }
        let mut same = self.open.keys().filter(|(group, _)| *group == line.group);
        same.next().filter(|_| mark.id.is_empty() && same.next().is_none()).cloned()
    }
    fn wait(&mut self, line: &Line, told: &'a Told) {
        let waiting = self.waiting.entry((line.group.clone(), told.mark.id.clone())).or_default();
        if waiting.len() >= MAX_WAITING {
            waiting.remove(0);
        }
        waiting.push(told);
        if self.waiting.len() > MAX_OPEN {
            self.waiting.pop_first();
        }
    }
    /// What was said before, of this period or of whichever comes next.
    fn waited(&mut self, line: &Line, told: &Told) -> Vec<&'a Told> {
        let own = self.waiting.remove(&(line.group.clone(), told.mark.id.clone())).unwrap_or_default();
        let any = self.waiting.remove(&(line.group.clone(), String::new())).unwrap_or_default();
        let near = |w: &&Told| match (w.time, told.time) {
            (Some(a), Some(b)) => a.seconds.abs_diff(b.seconds) <= BEFORE.unsigned_abs(),
            _ => true,
        };
        own.into_iter().chain(any).filter(near).collect()
    }
    fn start(&mut self, line: &Line, told: &'a Told) {
        let id = (line.group.clone(), told.mark.id.clone());
        let running = self.open.get(&id).filter(|p| p.ended.is_empty());
        let again = running.is_some_and(|p| match (p.start, told.time) {
            (Some(a), Some(b)) => a.seconds.abs_diff(b.seconds) <= SAME_START.unsigned_abs(),
            _ => false,
        });
        if again {
            self.add(&id, told);
            return;
        }
        let before = self.waited(line, told);
        if line.needs && before.is_empty() {
            return;
        }
        if let Some(mut old) = self.open.remove(&id) {
            if old.ended.is_empty() {
                old.ended = "superseded";
                old.end_before = told.time;
            }
            self.done.push(old);
        }
        if self.open.len() >= MAX_OPEN {
            self.close();
        }
        let period = Period {
            group: BTreeSet::from([line.group.clone()]),
            kind: line.kind.clone(),
            start: told.time,
            ..Period::default()
        };
        self.open.insert(id.clone(), period);
        if told.mark.pid != 0 {
            if self.processes.len() > MAX_OPEN {
                self.processes.clear();
            }
            self.processes.insert((line.group.clone(), told.mark.pid), id.clone());
        }
        // The start itself is the row's evidence.
        self.add(&id, told);
        before.into_iter().for_each(|b| self.add(&id, b));
    }
    fn add(&mut self, id: &Id, told: &Told) {
        let Some(period) = self.open.get_mut(id) else { return };
        period.add(told);
    }
    fn end(&mut self, line: &Line, told: &'a Told) {
        if let Some(id) = self.find(line, &told.mark) {
            if let Some(period) = self.open.get_mut(&id) {
                if period.ended.is_empty() {
                    period.ended = "recorded";
                    period.end = told.time;
                    if period.start.zip(told.time).is_some_and(|(a, b)| b < a) {
                        period
                            .notes
                            .insert("by the log's own times it ends before it starts: the clock was set in between");
                    }
                }
                period.add(told);
            }
        } else if line.proves {
            let id = (line.group.clone(), told.mark.id.clone());
            let group = BTreeSet::from([line.group.clone()]);
            let kind = if line.group.contains("VPN") { "tunnel" } else { "line" };
            let mut period =
                Period { group, kind: kind.into(), end: told.time, ended: "recorded", ..Period::default() };
            period.notes.insert("the log does not hold its start");
            period.add(told);
            self.open.insert(id, period);
        }
    }
    fn restart(&mut self, time: Option<Time>) {
        for (_, mut period) in std::mem::take(&mut self.open) {
            if period.ended.is_empty() {
                period.ended = "restart";
                period.end_before = time;
            }
            self.done.push(period);
        }
        self.processes.clear();
        self.waiting.clear();
    }
    /// The log ends.
    fn close(&mut self) {
        for (_, mut period) in std::mem::take(&mut self.open) {
            if period.ended.is_empty() {
                period.ended = "not-recorded";
            }
            self.done.push(period);
        }
    }
}

impl Period {
    fn add(&mut self, told: &Told) {
        self.lines = self.lines.saturating_add(1);
        self.programs.insert(told.mark.program.clone());
        if self.log.len() < MAX_LOG {
            self.log.push((told.source, told.mark.text.clone()));
        } else if let Some(last) = self.log.last_mut() {
            *last = (told.source, told.mark.text.clone());
        }
        for (name, value) in &told.mark.fields {
            self.value(name, value);
        }
        if !told.mark.recorded_as.is_empty() && self.recorded_as.len() < MAX_VALUES {
            self.recorded_as.insert(told.mark.recorded_as.clone());
        }
    }
    fn value(&mut self, name: &str, value: &str) {
        let all = self.fields.entry(name.to_owned()).or_default();
        if all.len() < MAX_VALUES && !all.iter().any(|v| v == value) {
            all.push(value.to_owned());
        }
    }
    fn first(&self, name: &str) -> &str {
        self.fields.get(name).and_then(|v| v.first()).map_or("", String::as_str)
    }
    /// The device as it can be compared: ModemManager's numbers are none.
    fn device(&self) -> &str {
        let device = self.first("device").trim_start_matches("/dev/");
        if device.starts_with("modem") || device.starts_with("Modem") { "" } else { device }
    }
    fn is_line(&self) -> bool {
        matches!(&*self.kind, "line" | "modem" | "ppp")
    }
    /// Takes what another log or program says of the same period.
    fn absorb(&mut self, other: Self) {
        let mut other = other;
        if other.start.is_some() && (self.start.is_none() || other.start < self.start) && !other.log.is_empty() {
            std::mem::swap(self, &mut other);
        }
        if self.end.is_none() && other.end.is_some() {
            (self.end, self.ended, self.end_before) = (other.end, other.ended, None);
        }
        for (name, values) in &other.fields {
            values.iter().for_each(|v| self.value(name, v));
        }
        self.group.extend(other.group);
        self.programs.extend(other.programs);
        self.recorded_as.extend(other.recorded_as);
        self.notes.extend(other.notes);
        if self.kind.as_ref() == "line" {
            self.kind = other.kind;
        }
    }
}

fn near(a: Option<Time>, b: Option<Time>, most: i64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.seconds.abs_diff(b.seconds) <= most.unsigned_abs(),
        _ => false,
    }
}
fn agree(a: &str, b: &str) -> bool {
    a.is_empty() || b.is_empty() || a == b
}

/// Joins what several logs hold of the same period, then what several programs say of it.
pub(super) fn joined(mut all: Vec<Period>) -> Vec<Period> {
    let key = |p: &Period| {
        let moment = p.start.or(p.end).map(|t| t.seconds);
        (moment, p.group.clone(), p.first("device").to_owned(), p.first("interface").to_owned())
    };
    all.sort_by_cached_key(|p| (key(p), std::cmp::Reverse(p.lines), p.log.first().map(|l| l.0.file)));
    let mut once: Vec<Period> = Vec::new();
    for period in all {
        let known = once.iter_mut().rev().take(8).find(|k| {
            k.group == period.group
                && k.start.map(|t| t.seconds) == period.start.map(|t| t.seconds)
                && (k.start.is_some() && period.start.is_some() || near(k.end, period.end, 0))
                && k.recorded_as == period.recorded_as
                && k.first("port") == period.first("port")
                && k.first("user") == period.first("user")
                && agree(k.device(), period.device())
                && agree(k.first("interface"), period.first("interface"))
                && agree(k.first("connection"), period.first("connection"))
                && k.log.first().map(|l| l.0.file) != period.log.first().map(|l| l.0.file)
        });
        match known {
            Some(known) => {
                // The same lines in another log are no further lines.
                let (lines, log) = (known.lines, known.log.clone());
                known.absorb(period);
                (known.lines, known.log) = (lines, log);
            }
            None => once.push(period),
        }
    }
    let mut out: Vec<Period> = Vec::new();
    for period in once {
        let fits = |k: &&mut Period| {
            k.is_line()
                && period.is_line()
                && k.group.is_disjoint(&period.group)
                && near(k.start, period.start, APART)
                && (k.end.is_none() || period.end.is_none() || near(k.end, period.end, APART))
                && agree(k.device(), period.device())
                && k.recorded_as == period.recorded_as
        };
        let mut fitting = out.iter_mut().rev().take(16).filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(known), None) => {
                known.lines = known.lines.saturating_add(period.lines);
                let room = MAX_LOG.saturating_sub(known.log.len());
                let log: Vec<_> = period.log.iter().take(room).cloned().collect();
                let lines = known.lines;
                known.absorb(period);
                known.lines = lines;
                for line in log {
                    if !known.log.iter().any(|l| l.1 == line.1) {
                        known.log.push(line);
                    }
                }
            }
            _ => out.push(period),
        }
    }
    out
}

/// How many are told, and how many are not.
pub(super) fn bounded(mut all: Vec<Period>) -> (Vec<Period>, usize) {
    let more = all.len().saturating_sub(MAX_PERIODS);
    all.truncate(MAX_PERIODS);
    (all, more)
}

impl Period {
    /// Where its first line stands, and that line.
    pub(super) fn evidence(&self) -> Option<(Source, &str)> {
        self.log.first().map(|(source, text)| (*source, text.as_str()))
    }
    /// The row; `place` names a line.
    pub(super) fn row(&self, place: &dyn Fn(Source) -> String) -> Session {
        let list = |name: &str| self.fields.get(name).cloned().unwrap_or_default();
        let one = |name: &str| list(name).join(", ");
        let sum = |name: &str| {
            let all: Option<Vec<u64>> = list(name).iter().map(|v| v.parse().ok()).collect();
            all.and_then(|a| a.into_iter().max())
        };
        let recorded_as: Vec<String> = self.recorded_as.iter().cloned().collect();
        let own_device = |d: String| if self.device().is_empty() { d } else { d.replace("/dev/", "") };
        let devices = list("device");
        let known: Vec<String> =
            devices.iter().filter(|d| !d.to_ascii_lowercase().starts_with("modem")).cloned().collect();
        let device = own_device(if known.is_empty() { devices.join(", ") } else { known.join(", ") });
        let kind = match &*self.kind {
            "line" if is_modem(&device) || self.group.iter().any(|g| !matches!(&**g, "pppd")) => "modem",
            "line" => "ppp",
            other => other,
        };
        Session {
            kind: kind.into(),
            program: self.programs.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(", "),
            start: self.start,
            end: self.end,
            ended: self.ended.into(),
            end_before: self.end_before,
            user: one("user"),
            device,
            interface: one("interface"),
            connection: one("connection"),
            address: list("address"),
            peer: list("peer"),
            dns: list("dns"),
            operator: list("operator"),
            apn: one("apn"),
            number: one("number"),
            sent: sum("sent"),
            received: sum("received"),
            lines: self.lines,
            log: self.log.iter().map(|(source, text)| format!("{}: {text}", place(*source))).collect(),
            recorded_as: recorded_as.join(", "),
            notes: self.notes.iter().map(|n| (*n).to_owned()).collect(),
            ..Session::default()
        }
    }
}

/// A serial port or control port, as modems have them.
fn is_modem(device: &str) -> bool {
    let name = device.trim_start_matches("/dev/");
    ["ttyUSB", "ttyACM", "ttyHS", "ttyS", "ttyAMA", "ttymxc", "cdc-wdm", "wwan", "rfcomm", "modem", "gsm", "qcqmi"]
        .iter()
        .any(|n| name.starts_with(n))
}
