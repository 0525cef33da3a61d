//! How far back the logs of a system go, and where they are silent.
use crate::artifact::linux::dropins;
use crate::base::Time;
use crate::evidence::System;
use crate::inventory::{Event, LogWindow};

/// Kind of the events that tell from when to when a system's main logs have lines.
pub(super) const EXTENT: &str = "log-extent";
/// Silence that is worth a word, in seconds.
pub(super) const SILENCE: i64 = 86_400;

/// The window of a system's logs, out of the events that the log artifact gave for it. What journals
/// hold is not in it.
pub fn log_window<'a>(system: &System, events: impl IntoIterator<Item = &'a Event>) -> LogWindow {
    let spans = events.into_iter().filter(|e| &*e.kind == EXTENT).filter_map(|e| e.time.zip(e.last));
    let spans = union(spans.collect());
    let gaps = spans.iter().zip(spans.iter().skip(1)).map(|(a, b)| (a.1, b.0)).collect();
    LogWindow { first: spans.first().map(|s| s.0), last: spans.last().map(|s| s.1), gaps, volatile: volatile(system) }
}

/// Joins spans that overlap or lie less than a day apart.
pub(super) fn union(mut spans: Vec<(Time, Time)>) -> Vec<(Time, Time)> {
    spans.sort();
    let mut all: Vec<(Time, Time)> = Vec::new();
    for (from, to) in spans {
        match all.last_mut() {
            Some(open) if from.seconds <= open.1.seconds.saturating_add(SILENCE) => open.1 = open.1.max(to),
            _ => all.push((from, to)),
        }
    }
    all
}

/// Whether the journal is kept in memory only: journald.conf(5) `Storage`; `auto` keeps it on disk only
/// where its folder exists.
fn volatile(system: &System) -> bool {
    let roots = ["/usr/lib/systemd", "/usr/local/lib/systemd", "/etc/systemd"];
    if roots.iter().all(|r| system.canonical(r.as_bytes()).is_none()) {
        return false;
    }
    let mut storage = "auto".to_owned();
    for text in dropins::conf(system, "systemd/journald.conf") {
        for (_, line, _) in text.lines() {
            if let Some((key, value)) = line.split_once('=')
                && key.trim() == "Storage"
            {
                storage = value.trim().to_ascii_lowercase();
            }
        }
    }
    match storage.as_str() {
        "volatile" => true,
        "persistent" | "none" => false,
        _ => system.resolve("/var/log/journal").is_none(),
    }
}
