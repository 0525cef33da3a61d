//! How far back the logs of a system go, and where they are silent.
use crate::artifact::linux::dropins;
use crate::evidence::System;
use crate::inventory::{self, Event, LogWindow};
pub(super) use crate::inventory::{LOG_EXTENT as EXTENT, log_spans as union};

/// The window of a system's logs, out of the events that the log artifact gave for it.
pub fn log_window<'a>(system: &System, events: impl IntoIterator<Item = &'a Event>) -> LogWindow {
    LogWindow { volatile: volatile(system), ..inventory::log_window(events) }
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
