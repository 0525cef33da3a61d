//! How far back a system's logs go and where they are silent, out of the events that tell from when to when
//! each log has lines.
use super::{Event, Inventory, LogWindow, SystemInfo};
use crate::base::Time;

/// Kind of the events that tell from when to when a system's main logs have lines.
pub const LOG_EXTENT: &str = "log-extent";
/// Kind of the events that tell of another machine's lines in the logs.
pub const OTHER_MACHINE: &str = "other-machine";
/// Kind of the events that tell of a network card which configuration names and this machine's logs do not have.
pub const CARD_NOT_SEEN: &str = "card-not-seen";
/// Signs of one system that the scene tells; the events have all of them.
const MAX_SIGNS: usize = 50;
/// Silence that is worth a word, in seconds.
const LOG_SILENCE: i64 = 86_400;

/// The window of one system's logs. What journals hold is not in it, nor whether they are kept on disk.
pub fn log_window<'a>(events: impl IntoIterator<Item = &'a Event>) -> LogWindow {
    let spans = events.into_iter().filter(|e| &*e.kind == LOG_EXTENT).filter_map(|e| e.time.zip(e.last));
    let spans = log_spans(spans.collect());
    let gaps = spans.iter().zip(spans.iter().skip(1)).map(|(a, b)| (a.1, b.0)).collect();
    LogWindow { first: spans.first().map(|s| s.0), last: spans.last().map(|s| s.1), gaps, volatile: false }
}

/// Joins spans that overlap or lie less than a day apart.
pub fn log_spans(mut spans: Vec<(Time, Time)>) -> Vec<(Time, Time)> {
    spans.sort();
    let mut all: Vec<(Time, Time)> = Vec::new();
    for (from, to) in spans {
        match all.last_mut() {
            Some(open) if from.seconds <= open.1.seconds.saturating_add(LOG_SILENCE) => open.1 = open.1.max(to),
            _ => all.push((from, to)),
        }
    }
    all
}

/// Enters the windows of all systems, and what their logs tell of other machines: the events are complete then, whatever life of a worker read them.
pub fn join_logs(systems: &mut [SystemInfo], inventory: &Inventory) {
    for (index, system) in systems.iter_mut().enumerate() {
        let index = u32::try_from(index).ok();
        let told = |e: &&super::Event| matches!(&*e.kind, OTHER_MACHINE | CARD_NOT_SEEN) && e.system == index;
        let mut signs: Vec<_> = inventory.events.iter().filter(told).map(|e| (e.time, &e.text)).collect();
        signs.sort();
        for (_, sign) in signs.into_iter().take(MAX_SIGNS) {
            if !system.clone_signs.contains(sign) {
                system.clone_signs.push(sign.clone());
            }
        }
        let window = log_window(inventory.events.iter().filter(|e| e.system == index));
        system.logs = LogWindow { volatile: system.logs.volatile, ..window };
    }
}
