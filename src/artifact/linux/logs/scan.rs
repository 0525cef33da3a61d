//! One log file, window by window: which lines say something, and on which days there are lines.
use super::clock::{Turns, When};
use super::machines::Machines;
use super::patterns::Patterns;
use super::talk::{Origin, Talk, is_same, origin};
use super::usb::Usb;
use crate::base::Time;
use crate::format::syslog::{Stamp, parse, repeated, stamp};
use std::collections::BTreeMap;

/// Different events of one kind that a file may give; further ones are counted together.
pub(super) const DISTINCT: u32 = 4096;
/// Days a file may tell apart.
const MAX_DAYS: usize = 20_000;
/// Of a line that goes into the case.
const TEXT: usize = 300;

/// Where a line stands in the decoded text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Of an entry of a journal, which has no lines; 0 elsewhere.
    pub(super) seqnum: u64,
}

/// Lines of one kind with the same fields.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) first: When,
    pub(super) last: When,
    pub(super) count: u32,
    pub(super) at: Spot,
    pub(super) text: String,
}

/// Pattern, program, fields.
pub(super) type Key = (usize, String, Vec<String>);

pub(super) struct Scan<'p> {
    patterns: &'p Patterns,
    path: &'p str,
    number: u32,
    /// The window before ended within a line.
    is_cut: bool,
    turns: Turns,
    /// What the first bytes of the line before said of its day.
    day: Vec<u8>,
    /// The head of the last line of the window before.
    carried: Vec<u8>,
    /// Lines since the kernel started last: of which machine they are shows at the next start.
    fresh: BTreeMap<Key, Hit>,
    /// With the machine, of `machines`.
    pub(super) hits: BTreeMap<(Key, usize), Hit>,
    pub(super) machines: Machines,
    /// When each of them began.
    pub(super) began: Vec<When>,
    /// When the kernel started last.
    start: When,
    /// The first line about periods that was taken since.
    fresh_marks: usize,
    distinct: Vec<u32>,
    /// The machine whose lines the file holds, if it says another than the system's: `machine-id …`.
    pub(super) machine: Option<String>,
    pub(super) usb: Usb,
    /// Lines about periods of use.
    pub(super) talk: Talk,
    /// The system's name for itself.
    pub(super) own_host: String,
    /// The day, since 1970, of a journal's last entry.
    entry_day: Option<i64>,
    /// First and last line of every day.
    pub(super) days: Vec<(When, When)>,
    /// The last line with a time.
    pub(super) last: When,
}

impl<'p> Scan<'p> {
    pub(super) fn new(patterns: &'p Patterns, path: &'p str) -> Self {
        Self {
            patterns,
            path,
            number: 0,
            is_cut: false,
            turns: Turns::default(),
            day: Vec::new(),
            carried: Vec::new(),
            fresh: BTreeMap::new(),
            hits: BTreeMap::new(),
            machines: Machines::default(),
            began: vec![When::default()],
            start: When::default(),
            fresh_marks: 0,
            distinct: vec![0; patterns.all.len()],
            machine: None,
            usb: Usb::default(),
            talk: Talk::default(),
            own_host: String::new(),
            entry_day: None,
            days: Vec::new(),
            last: When::default(),
        }
    }
    /// A window that ends with a line's end, with a cut or with the file.
    pub(super) fn feed(&mut self, text: &[u8], base: u64) {
        // The end of a line whose rest was cut off.
        let mut from = usize::from(self.is_cut && text.first() == Some(&b'\n'));
        self.is_cut = text.last() != Some(&b'\n');
        let mut hit = self.patterns.next(text, from);
        let mut before: &[u8] = &[];
        for end in memchr::memchr_iter(b'\n', text).skip(from).chain(std::iter::once(text.len())) {
            let line = text.get(from..end).unwrap_or_default();
            if end == text.len() && line.is_empty() {
                break;
            }
            self.number = self.number.saturating_add(1);
            if self.other_day(line) {
                let earlier = if before.is_empty() { std::mem::take(&mut self.carried) } else { before.to_vec() };
                self.new_day(line, &earlier);
            }
            if hit.is_some_and(|h| h <= end) {
                let (offset, len) = (base.saturating_add(from as u64), line.len() as u64);
                let spot = Spot { line: self.number, offset, len, seqnum: 0 };
                self.line(line, spot);
                hit = self.patterns.next(text, end);
            }
            before = line;
            from = end.saturating_add(1).min(text.len());
        }
        self.carried = before.get(..before.len().min(64)).unwrap_or_default().to_vec();
    }
    /// Whether the line's first bytes name another day than the line before it did.
    fn other_day(&self, line: &[u8]) -> bool {
        let Some(first) = line.first() else { return false };
        let len = match first {
            b'0'..=b'9' => 10,
            b'A'..=b'Z' => 6,
            // `<14>…`, `[…]` and levels: the day stands further on; these logs are few and short.
            b'<' | b'[' | b' ' => 26,
            _ => return false,
        };
        line.get(..len).is_some_and(|head| head != self.day)
    }
    fn new_day(&mut self, line: &[u8], before: &[u8]) {
        let found = stamp(line).0;
        let found = if found == Stamp::None { parse(line).stamp } else { found };
        if matches!(found, Stamp::None | Stamp::Uptime(_)) {
            return;
        }
        let earlier = parse(before).stamp;
        if !matches!(earlier, Stamp::None | Stamp::Uptime(_)) {
            self.last = self.turns.now(earlier);
            if let Some(open) = self.days.last_mut() {
                open.1 = self.last;
            }
        }
        let when = self.turns.see(found);
        let len = if line.first().is_some_and(u8::is_ascii_digit) { 10 } else { 6 };
        let len = if matches!(line.first(), Some(b'<' | b'[' | b' ')) { 26 } else { len };
        self.day = line.get(..len).unwrap_or_default().to_vec();
        self.last = when;
        if self.days.len() < MAX_DAYS {
            self.days.push((when, when));
        } else if let Some(open) = self.days.last_mut() {
            open.1 = when;
        }
    }
    /// Closes the file: its very last line.
    pub(super) fn finish(&mut self) {
        let last = parse(&std::mem::take(&mut self.carried)).stamp;
        if !matches!(last, Stamp::None | Stamp::Uptime(_)) {
            self.last = self.turns.now(last);
            if let Some(open) = self.days.last_mut() {
                open.1 = self.last;
            }
        }
        self.settle(self.last);
    }
    /// The kernel starts, or the file ends: what was told since the last start is put to its machine.
    fn settle(&mut self, now: When) {
        let at = self.machines.settle();
        for (key, hit) in std::mem::take(&mut self.fresh) {
            match self.hits.get_mut(&(key.clone(), at)) {
                Some(known) => {
                    known.count = known.count.saturating_add(hit.count);
                    known.last = hit.last;
                }
                None => {
                    self.hits.insert((key, at), hit);
                }
            }
        }
        for mark in self.talk.marks.iter_mut().skip(self.fresh_marks) {
            mark.machine = at;
        }
        self.fresh_marks = self.talk.marks.len();
        self.usb.settle_all(at);
        while self.began.len() <= at {
            self.began.push(self.start);
        }
        self.start = now;
    }
    fn line(&mut self, line: &[u8], at: Spot) {
        let parsed = parse(line);
        let (count, message) = repeated(parsed.message);
        let when = self.turns.now(parsed.stamp);
        let own = std::mem::take(&mut self.own_host);
        let origin = origin(line, parsed.program, parsed.message, &own);
        self.said(origin, message, count, when, at, &|| show(line));
        self.own_host = own;
    }
    /// An entry of a journal.
    pub(super) fn entry(&mut self, time: Time, origin: Origin<'_>, message: &[u8], at: Spot) {
        let when = When { stamp: Stamp::Exact(time), turn: 0 };
        let day = time.seconds.div_euclid(86_400);
        let is_new = self.entry_day != Some(day) && self.days.len() < MAX_DAYS;
        match self.days.last_mut().filter(|_| !is_new) {
            Some(open) => open.1 = when,
            None => self.days.push((when, when)),
        }
        self.entry_day = Some(day);
        self.last = when;
        if self.patterns.next(message, 0).is_some() {
            let text = || show(&[time.to_string().as_bytes(), b" ", origin.program, b": ", message].concat());
            let host = origin.host.filter(|h| !self.own_host.is_empty() && !is_same(h, &self.own_host));
            self.said(Origin { host, ..origin }, message, 1, when, at, &text);
        }
    }
    fn said(
        &mut self,
        origin: Origin<'_>,
        message: &[u8],
        count: u32,
        when: When,
        at: Spot,
        text: &dyn Fn() -> String,
    ) {
        let program = origin.program;
        if Machines::is_start(program, message) {
            self.settle(when);
        }
        self.machines.line(program, message, at, text);
        self.talk.line((origin, self.path), message, (when, at), self.machine.as_deref(), text);
        if program == b"kernel" || program.is_empty() {
            self.usb.line(message, when, at, text);
        }
        for (pattern, mut fields) in self.patterns.matches(program, message, self.path) {
            fields.extend(self.machine.as_ref().map(|m| m.replace("machine-id ", "machine_id=")));
            fields.extend(origin.host.map(|h| format!("{LOGGED_BY}{}", String::from_utf8_lossy(h))));
            let program = String::from_utf8_lossy(program).into_owned();
            let mut key = (pattern, program, fields);
            let last = self.machines.all.len().saturating_sub(1);
            if !self.fresh.contains_key(&key)
                && !self.hits.contains_key(&(key.clone(), last))
                && let Some(n) = self.distinct.get_mut(pattern)
            {
                *n = n.saturating_add(1);
                if *n > DISTINCT {
                    key = (pattern, String::new(), vec![OTHERS.to_owned()]);
                }
            }
            let hit =
                self.fresh.entry(key).or_insert_with(|| Hit { first: when, last: when, count: 0, at, text: text() });
            hit.count = hit.count.saturating_add(count);
            hit.last = when;
        }
    }
}

/// A field that names the machine which a line is of, if that is not the system's.
pub(super) const LOGGED_BY: &str = "logged_by=";

/// Fields of the event that stands for all beyond [`DISTINCT`].
pub(super) const OTHERS: &str = "others=counted together";

/// A line as it is shown: cut.
fn show(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().take(TEXT).collect()
}
