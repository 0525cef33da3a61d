//! systemd: every unit of the system and of its users, what it runs, its state, and what starts it.
//!
//! systemd.unit(5) for folders, drop-ins and names; systemctl(1) for states; systemd.generator(7).
//! A unit counts as enabled if the boot's goal, a socket, a timer, a path, D-Bus, a device or
//! another event of the machine leads to it; what it is waiting for (Condition…=) is not judged here.
mod events;
mod graph;
mod load;
mod names;
mod paths;
mod preset;
mod rows;
mod state;

use crate::artifact::linux::starts::Way;
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::System;
use crate::fs::NodeKind;
use crate::inventory::Service;
use graph::{Event, Graph};
use load::{Found, Loader};
use paths::Index;
use preset::Presets;
use rows::{Manager, Rows};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.systemd",
    about: "systemd units of the system and of its users: what they run, their state, what starts them",
    os: Os::Linux,
    reads: &[
        "/etc/systemd/{system,user,system.control,system.attached}/**",
        "/run/systemd/{system,user,transient,system.control,generator,generator.early,generator.late}/**",
        "/usr/local/lib/systemd/{system,user}/**",
        "/usr/lib/systemd/{system,user}/**",
        "/lib/systemd/{system,user}/**",
        "/home/*/.config/systemd/{user,user.control}/**",
        "/usr/{local/,}share/systemd/user/**",
        "/home/*/.local/share/systemd/user/**",
        "/{etc,run,usr/lib,usr/local/lib,lib}/systemd/{system,user}-preset/*",
        "/{etc,run,usr/lib,usr/local/lib,lib}/systemd/{system,user}-{generators,environment-generators}/*",
        "/{etc,run,usr/lib,usr/local/lib,lib}/systemd/system-{shutdown,sleep}/*",
        "/{etc,run,usr/lib,usr/local/lib,lib}/udev/rules.d/*",
        "/usr/{local/,}share/dbus-1/{system-services,services}/*",
        "/var/lib/systemd/linger/*",
    ],
    references: &["systemd.unit(5)", "systemd.syntax(7)", "systemctl(1)", "systemd.preset(5)", "systemd.generator(7)"],
    extract,
};

/// Accounts whose home is looked at for units of their own.
const MAX_ACCOUNTS: usize = 10_000;

fn extract(system: &System, out: &Out) {
    let runs = is_init(system);
    let roots = paths::system_roots(system);
    if !roots.is_empty() {
        let index = Index::read(system, roots, out);
        let mut events = events::udev(system, out, false);
        events.extend(events::dbus(system, out, false, "dbus"));
        let manager = Manager { name: "systemd", user: None, runs };
        manage(&index, out, false, &events, manager, None);
    }
    users(system, out, runs);
    for (folder, manager) in GENERATORS {
        generators(system, out, folder, manager);
    }
}

/// Whether systemd is what the kernel starts; where nothing says so, whether it is there.
pub(super) fn is_init(system: &System) -> bool {
    let init = ["/sbin/init", "/usr/sbin/init", "/etc/init", "/bin/init"]
        .into_iter()
        .find_map(|p| system.canonical(p.as_bytes()));
    match init {
        Some(init) => init.bytes().ends_with(b"/systemd"),
        None => {
            system.resolve("/lib/systemd/systemd").is_some() || system.resolve("/usr/lib/systemd/systemd").is_some()
        }
    }
}

/// The state of a service's name, where a unit of it exists; for what units stand in for.
pub(super) fn unit_names(system: &System) -> std::collections::BTreeSet<String> {
    let silent = Out::new(None, ARTIFACT.name);
    Index::read(system, paths::system_roots(system), &silent).files.into_keys().collect()
}

/// Loads and reports everything one manager sees; with `below`, only what lies in that home or is linked from it.
fn manage(index: &Index<'_>, out: &Out, user: bool, events: &[Event], manager: Manager<'_>, below: Option<&str>) {
    let goals = if user { graph::USER_GOALS } else { graph::SYSTEM_GOALS };
    let loader = Loader::new(index, out);
    let (graph, units) = Graph::build(&loader, goals, events);
    let presets = Presets::read(index.system, out, user);
    let linger =
        manager.user.and_then(|(name, _)| index.system.get(format!("/var/lib/systemd/linger/{name}").as_bytes()));
    let rows = Rows { loader: &loader, graph: &graph, units: &units, presets: &presets, manager };
    let inside = |path: &Name| below.is_none_or(|b| path.bytes().starts_with(b.as_bytes()));
    for unit in units.values() {
        // A name that something wants but nothing provides is no service, unless a link claims it.
        let link = index.links.iter().find(|l| l.name == unit.name);
        if unit.found == Found::Missing && link.is_none() {
            continue;
        }
        let entry = unit.entry.or(link.map(|l| l.entry));
        let linked = link.is_some_and(|_| index.links.iter().any(|l| l.name == unit.name && inside(&l.entry.path)));
        if !linked && !entry.is_some_and(|e| inside(&e.path)) && !unit.dropins.iter().any(inside) {
            continue;
        }
        let mut row = rows.service(unit);
        if let (Found::Missing, Some(link)) = (&unit.found, link) {
            row.evidence = index.system.evidence(link.entry);
        }
        if let Found::Bad(why) = unit.found
            && let Some(entry) = unit.entry
        {
            out.gap(entry, format!("unit not loaded: {why}"));
        }
        if let Some(linger) = linger.filter(|_| row.enabled) {
            row.enabled_by.push(linger.path.display());
        }
        if unit.is_loaded() {
            out.extend(rows.starts(unit, &row));
        }
        out.push(row);
        if unit.kind == "timer" && unit.is_loaded() {
            out.push(rows.task(unit));
        }
        if unit.kind == "socket" && rows.enabled(unit) {
            rows.listeners(unit).into_iter().for_each(|l| out.push(l));
        }
    }
    for (name, files) in &index.files {
        let real = loader.real_name(name);
        if real != *name && files.first().is_some_and(|(_, e)| inside(&e.path)) {
            out.push(rows.alias(name, &real));
        }
    }
}

fn users(system: &System, out: &Out, runs: bool) {
    let roots = paths::user_roots(system, None);
    let mut events = Vec::new();
    if !roots.is_empty() {
        events = events::udev(system, out, true);
        events.extend(events::dbus(system, out, true, "dbus-user"));
        let index = Index::read(system, roots, out);
        manage(&index, out, true, &events, Manager { name: "systemd-user", user: None, runs }, None);
    }
    let Some(passwd) = system.resolve("/etc/passwd").and_then(|e| out.read(system, e)) else { return };
    for (_, line, _) in passwd.lines().take(MAX_ACCOUNTS) {
        let fields: Vec<&str> = line.split(':').collect();
        let (Some(name), Some(home)) = (fields.first(), fields.get(5)) else { continue };
        let own = [".config/systemd", ".local/share/systemd"];
        let Some(real) = system.canonical(home.as_bytes()).filter(|h| h.bytes() != b"/") else { continue };
        if !own.iter().any(|p| system.resolve(real.join(p.as_bytes()).bytes()).is_some()) {
            continue;
        }
        let home = String::from_utf8_lossy(real.bytes()).into_owned();
        let index = Index::read(system, paths::user_roots(system, Some(&home)), out);
        let manager = format!("systemd-user:{name}");
        let below = format!("{home}/");
        manage(&index, out, true, &events, Manager { name: &manager, user: Some((name, &home)), runs }, Some(&below));
    }
}

const GENERATORS: &[(&str, &str)] = &[
    ("system-generators", "systemd"),
    ("user-generators", "systemd-user"),
    ("system-environment-generators", "systemd"),
    ("user-environment-generators", "systemd-user"),
    ("system-shutdown", "systemd"),
    ("system-sleep", "systemd"),
];

/// Programs that systemd runs by themselves: at boot before any unit, or around sleep and shutdown.
fn generators(system: &System, out: &Out, folder: &str, manager: &str) {
    let mut seen = std::collections::BTreeSet::new();
    let kind = if folder.ends_with("generators") { "generator" } else { folder };
    for root in ["/run/systemd", "/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"] {
        let Some(dir) = system.canonical(format!("{root}/{folder}").as_bytes()) else { continue };
        for entry in paths::children(system, dir.bytes()) {
            if entry.is_dir() || !seen.insert(entry.path.file_name().to_vec()) {
                continue;
            }
            let target = system.resolve(entry.path.bytes());
            let masked = match entry.kind() {
                NodeKind::Symlink => system.link_target(entry).is_some_and(|t| t.bytes() == b"/dev/null"),
                _ => entry.is_empty(),
            };
            let executable = target.and_then(|t| t.stat.as_ref()).is_some_and(|s| s.mode & 0o111 != 0);
            let (state, enabled) = match (masked, executable) {
                (true, _) => ("masked", false),
                (false, true) => ("static", is_init(system)),
                (false, false) => ("disabled", false),
            };
            let when = match (kind, manager) {
                ("system-shutdown", _) => "stop",
                ("system-sleep", _) => "sleep",
                (_, "systemd") => "boot",
                _ => "login",
            };
            let why = format!("is {state}");
            let user = if manager == "systemd" { "root" } else { "" };
            let way = Way { by: manager, when, user, enabled, why: if enabled { "" } else { &why } };
            out.extend(way.file(system, entry, kind));
            out.push(Service {
                name: Name::new(entry.path.file_name()).display(),
                manager: manager.into(),
                kind: kind.into(),
                state: state.into(),
                enabled,
                enabled_by: if enabled { vec![entry.path.display()] } else { Vec::new() },
                program: target.filter(|_| !masked).map(|t| t.path.clone()),
                evidence: system.evidence(entry),
                ..Service::default()
            });
        }
    }
}

#[cfg(test)]
mod tests;
