//! Logins from their start to their end, out of the records of wtmp: a terminal is somebody's until a record says that it
//! is free, that the machine started anew or was shut down.
use super::logins::evidence;
use crate::base::{Run, Time};
use crate::evidence::{Entry, System};
use crate::format::utmp::{Kind, Record};
use crate::inventory::Session;
use std::collections::BTreeMap;

/// Logins of a file that are told from start to end.
const MAX_SESSIONS: usize = 20_000;
/// Terminals with someone on them at a time.
const MAX_OPEN: usize = 4096;

/// Logins from start to end, by the records of one file.
#[derive(Default)]
pub(super) struct Lasting {
    /// By terminal.
    open: BTreeMap<String, (Record, Option<Run>)>,
    pub(super) done: Vec<Lasted>,
    pub(super) dropped: u64,
}
pub(super) struct Lasted {
    record: Record,
    at: Option<Run>,
    end: Option<Time>,
    ended: &'static str,
    before: Option<Time>,
}
impl Lasting {
    pub(super) fn see(&mut self, r: &Record, at: Option<Run>) {
        match r.kind {
            Kind::User => {
                if let Some(old) = self.open.remove(&r.line) {
                    self.end(old, None, "superseded", Some(r.time));
                }
                if self.open.len() >= MAX_OPEN {
                    self.close();
                }
                self.open.insert(r.line.clone(), (r.clone(), at));
            }
            Kind::Dead => {
                if let Some(old) = self.open.remove(&r.line) {
                    self.end(old, Some(r.time), "recorded", None);
                }
            }
            Kind::Boot => self.all("restart", Some(r.time)),
            Kind::RunLevel if r.user == "shutdown" => {
                for old in std::mem::take(&mut self.open).into_values() {
                    self.end(old, Some(r.time), "shutdown", None);
                }
            }
            _ => {}
        }
    }
    fn all(&mut self, ended: &'static str, before: Option<Time>) {
        for old in std::mem::take(&mut self.open).into_values() {
            self.end(old, None, ended, before);
        }
    }
    /// The records end.
    pub(super) fn close(&mut self) {
        self.all("not-recorded", None);
    }
    fn end(
        &mut self,
        (record, at): (Record, Option<Run>),
        end: Option<Time>,
        ended: &'static str,
        before: Option<Time>,
    ) {
        if self.done.len() < MAX_SESSIONS {
            self.done.push(Lasted { record, at, end, ended, before });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

/// A login's row.
pub(super) fn session(system: &System, entry: &Entry, l: Lasted) -> Session {
    let r = l.record;
    let from = if r.host.is_empty() { String::new() } else { format!(" from {}", r.host) };
    let text = format!("{} on {}{from}", r.user, r.line);
    let address = r.address.map(|a| a.to_string()).filter(|a| *a != r.host);
    let backwards = l.end.is_some_and(|end| end < r.time);
    let note = "by the records' own times it ends before it starts: the clock was set in between";
    Session {
        kind: "login".into(),
        program: "wtmp".to_owned(),
        start: Some(r.time),
        end: l.end,
        ended: l.ended.into(),
        end_before: l.before,
        user: r.user,
        device: r.line,
        peer: [r.host].into_iter().chain(address).filter(|p| !p.is_empty()).collect(),
        lines: 1,
        notes: backwards.then(|| note.to_owned()).into_iter().collect(),
        evidence: evidence(system, entry, l.at, &text),
        ..Session::default()
    }
}
