//! Events that start units without anybody's link: D-Bus activation files, and `SYSTEMD_WANTS` of udev rules.
use super::graph::Event;
use super::names;
use super::paths::children;
use crate::artifact::Out;
use crate::artifact::linux::program;
use crate::artifact::linux::starts::Way;
use crate::evidence::{System, Text};
use crate::format::unitfile;
use crate::inventory::Service;
use std::collections::BTreeMap;

/// Where D-Bus looks for services to activate (dbus-daemon(1)), best first.
fn dbus_folders(user: bool) -> [String; 4] {
    let kind = if user { "services" } else { "system-services" };
    ["/run", "/usr/local/share", "/usr/share", "/lib"].map(|base| format!("{base}/dbus-1/{kind}"))
}

/// Names on the bus that start a unit; those that D-Bus starts itself become services of their own.
pub(super) fn dbus(system: &System, out: &Out, user_bus: bool, manager: &str) -> Vec<Event> {
    let mut files: BTreeMap<Vec<u8>, _> = BTreeMap::new();
    for dir in dbus_folders(user_bus) {
        let Some(dir) = system.canonical(dir.as_bytes()) else { continue };
        for entry in children(system, dir.bytes()) {
            if entry.path.bytes().ends_with(b".service") {
                files.entry(entry.path.file_name().to_vec()).or_insert(entry);
            }
        }
    }
    let mut events = Vec::new();
    for entry in files.into_values() {
        let Some(text) = out.read(system, entry) else { continue };
        let file = unitfile::parse(&text.bytes);
        let item = |key: &str| file.items.iter().rfind(|i| i.section == "D-BUS Service" && i.key == key);
        let value = |key: &str| item(key).map(|i| i.value.clone()).unwrap_or_default();
        let (name, unit, exec) = (value("Name"), value("SystemdService"), value("Exec"));
        if name.is_empty() {
            out.gap(text.entry, "no D-Bus service");
        } else if names::kind(&unit).is_some() {
            events.push(Event { unit, why: format!("D-Bus {name}"), trigger: true });
        } else if !matches!(exec.as_str(), "" | "/bin/false" | "/usr/bin/false") {
            let line = item("Exec").map_or(1, |i| i.line);
            let user = value("User");
            let way = Way::root(manager, "request").user(if user.is_empty() && !user_bus { "root" } else { &user });
            out.push(way.words(system, &name, "D-Bus", &exec, text.key(Some(line), "[D-BUS Service] Exec")));
            out.push(activated(system, &text, line, &name, &exec, &user, manager));
        }
    }
    events
}

fn activated(
    system: &System,
    text: &Text<'_>,
    line: u32,
    name: &str,
    exec: &str,
    user: &str,
    manager: &str,
) -> Service {
    let words: Vec<String> = unitfile::words(exec).into_iter().map(|w| w.0).collect();
    let found = program::of_words(system, &words, program::PATH);
    let mut commands = vec![format!("Exec={exec}")];
    commands.extend(found.wrappers.iter().map(|w| format!("wrapper={}", w.display())));
    Service {
        name: name.to_owned(),
        manager: manager.into(),
        kind: "dbus".into(),
        state: "static".into(),
        enabled: true,
        enabled_by: vec![text.entry.path.display()],
        user: user.to_owned(),
        commands,
        program: found.program,
        triggers: vec![format!("D-Bus {name}")],
        evidence: text.key(Some(line), "[D-BUS Service] Exec"),
        ..Service::default()
    }
}

const RULES: &[&str] = &[
    "/etc/udev/rules.d",
    "/run/udev/rules.d",
    "/usr/local/lib/udev/rules.d",
    "/usr/lib/udev/rules.d",
    "/lib/udev/rules.d",
];

/// Units that a device starts when it appears.
pub(super) fn udev(system: &System, out: &Out, user: bool) -> Vec<Event> {
    let key = if user { "SYSTEMD_USER_WANTS" } else { "SYSTEMD_WANTS" };
    let mut files: BTreeMap<Vec<u8>, _> = BTreeMap::new();
    for dir in RULES {
        let Some(dir) = system.canonical(dir.as_bytes()) else { continue };
        for entry in children(system, dir.bytes()) {
            if entry.path.bytes().ends_with(b".rules") {
                files.entry(entry.path.file_name().to_vec()).or_insert(entry);
            }
        }
    }
    let mut events = Vec::new();
    for entry in files.into_values() {
        let Some(text) = out.read(system, entry) else { continue };
        for (number, line, _) in text.lines() {
            if line.trim_start().starts_with('#') {
                continue;
            }
            for after in line.split(&format!("ENV{{{key}}}")).skip(1) {
                let after = after.trim_start();
                let Some(rest) =
                    after.strip_prefix("+=").or_else(|| after.strip_prefix("=").filter(|r| !r.starts_with('=')))
                else {
                    continue;
                };
                let Some(value) = rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next()) else {
                    continue;
                };
                for unit in value.split_whitespace().filter_map(wanted) {
                    events.push(Event { unit, why: format!("udev {}:{number}", entry.path.display()), trigger: true });
                }
            }
        }
    }
    events
}

/// The unit a rule names; what depends on the device (`$name`, `%k`) leaves the template.
fn wanted(word: &str) -> Option<String> {
    if names::kind(word).is_some() && !word.contains(['$', '%']) {
        // A bare template is started with the device as its instance.
        return Some(word.to_owned());
    }
    names::template(word).filter(|t| names::kind(t).is_some() && !t.contains(['$', '%']))
}
