//! Rows out of loaded units: services, timers as tasks, sockets as listeners.
use super::graph::Graph;
use super::load::{Loader, Unit, Value};
use super::preset::Presets;
use super::state;
use crate::artifact::linux::program::{self, Found};
use crate::artifact::linux::starts::cut;
use crate::base::{Evidence, Name};
use crate::format::unitfile;
use crate::inventory::{Listener, Service, Start, Task};
use std::collections::BTreeMap;

/// One manager: the system's, every user's, or one user's.
pub(super) struct Manager<'m> {
    pub(super) name: &'m str,
    /// Account and home of the one user it is for.
    pub(super) user: Option<(&'m str, &'m str)>,
    /// It runs on this system.
    pub(super) runs: bool,
}

const MAX_LIST: usize = 1000;

const EXEC: &[&str] = &[
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStopPre",
    "ExecStop",
    "ExecStopPost",
];
const LISTENS: &[&str] = &[
    "ListenStream",
    "ListenDatagram",
    "ListenSequentialPacket",
    "ListenFIFO",
    "ListenSpecial",
    "ListenNetlink",
    "ListenMessageQueue",
    "ListenUSBFunction",
];
const TIMES: &[&str] = &[
    "OnCalendar",
    "OnBootSec",
    "OnStartupSec",
    "OnActiveSec",
    "OnUnitActiveSec",
    "OnUnitInactiveSec",
    "OnClockChange",
    "OnTimezoneChange",
];
/// Variables whose values decide which code runs and are no secrets.
const TELLING: &[&str] =
    &["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "PERL5LIB", "BASH_ENV", "ENV", "NODE_OPTIONS"];

pub(super) struct Rows<'r, 'a, 'o> {
    pub(super) loader: &'r Loader<'a, 'o>,
    pub(super) graph: &'r Graph,
    pub(super) units: &'r BTreeMap<String, Unit<'a>>,
    pub(super) presets: &'r Presets,
    pub(super) manager: Manager<'r>,
}

impl Rows<'_, '_, '_> {
    /// The service row of a unit under its own name.
    pub(super) fn service(&self, unit: &Unit<'_>) -> Service {
        let state = state::of(self.loader, &unit.name);
        let section = section(&unit.kind);
        let exec = self.exec(unit);
        let enabled = self.enabled(unit);
        let mut commands = Vec::new();
        for key in EXEC {
            for value in unit.list(section, key) {
                commands.push(cut(&format!("{key}={}", value.text)));
            }
        }
        commands.extend(exec.iter().flat_map(|(_, f)| &f.wrappers).map(|w| format!("wrapper={}", w.display())));
        let mut user = unit.last(section, "User").to_owned();
        if user.is_empty() && unit.flag(section, "DynamicUser", false) {
            "(dynamic)".clone_into(&mut user);
        }
        if let (true, Some((name, _))) = (user.is_empty(), self.manager.user) {
            name.clone_into(&mut user);
        }
        commands.truncate(MAX_LIST);
        Service {
            name: unit.name.clone(),
            manager: self.manager.name.into(),
            kind: unit.kind.as_str().into(),
            description: cut(&unitfile::expand(unit.last("Unit", "Description"), &unit.name, self.home())),
            state: state.into(),
            enabled,
            enabled_by: if enabled { self.graph.enabled_by(&unit.name) } else { Vec::new() },
            preset: self.presets.of(&unit.name).into(),
            user,
            commands,
            program: exec.as_ref().and_then(|(_, f)| f.program.clone()),
            triggers: self.graph.triggers(&unit.name),
            aliases: unit.aliases.iter().cloned().collect(),
            dropins: unit.dropins.iter().map(Name::display).collect(),
            environment: environment(unit, section),
            listens: listens(unit).into_iter().map(|(key, value)| cut(&format!("{key}={value}"))).collect(),
            restart: unit.last(section, "Restart").into(),
            evidence: self.evidence(unit, exec.map(|(v, _)| v).as_ref()),
            ..Service::default()
        }
    }
    /// The row of a name that only leads to another unit.
    pub(super) fn alias(&self, name: &str, of: &str) -> Service {
        let entry = self.loader.find(name).1;
        Service {
            name: name.to_owned(),
            manager: self.manager.name.into(),
            kind: super::names::kind(name).unwrap_or_default().into(),
            description: format!("another name of {of}"),
            state: state::of(self.loader, name).into(),
            preset: self.presets.of(name).into(),
            aliases: vec![of.to_owned()],
            evidence: entry.map(|e| self.loader.index.system.evidence(e)).unwrap_or_default(),
            ..Service::default()
        }
    }
    /// A timer as a task: when, and what the unit it starts runs.
    pub(super) fn task(&self, timer: &Unit<'_>) -> Task {
        let named = timer.names("Timer", "Unit").pop();
        let starts = named.unwrap_or_else(|| super::names::with_kind(&timer.name, "service"));
        let service = self.units.get(&self.loader.real_name(&starts));
        let exec = service.and_then(|s| self.exec(s));
        let first = service.and_then(|s| s.list("Service", "ExecStart").first().map(|v| cut(v.text)));
        let when = TIMES.iter().flat_map(|k| timer.list("Timer", k).into_iter().map(move |v| (k, v)));
        let (schedule, at): (Vec<_>, Vec<_>) = when.map(|(k, v)| (format!("{k}={}", v.text), v)).unzip();
        let user = service.map(|s| s.last("Service", "User").to_owned()).unwrap_or_default();
        Task {
            name: timer.name.clone(),
            manager: "systemd-timer".into(),
            schedule: cut(&schedule.join("; ")),
            user: if user.is_empty() { self.manager.user.map_or("root", |u| u.0).to_owned() } else { user },
            command: first.unwrap_or(starts),
            program: exec.and_then(|(_, f)| f.program),
            enabled: self.enabled(timer),
            evidence: self.evidence(timer, at.first()),
            ..Task::default()
        }
    }
    /// Every command of a unit, each with the line it stands in.
    pub(super) fn starts(&self, unit: &Unit<'_>, service: &Service) -> Vec<Start> {
        let section = section(&unit.kind);
        let when = self.when(service);
        let base = |evidence: Option<Evidence>| Start {
            by: self.manager.name.into(),
            name: unit.name.clone(),
            when: when.into(),
            trigger: service.triggers.join("; "),
            kind: "command".into(),
            user: if service.user.is_empty() { "root".to_owned() } else { service.user.clone() },
            enabled: service.enabled,
            why: if service.enabled { service.enabled_by.clone() } else { vec![format!("is {}", service.state)] },
            evidence: evidence.unwrap_or_default(),
            ..Start::default()
        };
        let mut all = Vec::new();
        for key in EXEC {
            let values = unit.list(section, key);
            if let (Some(over), Some(entry)) = (values.get(MAX_LIST), unit.entry) {
                let what =
                    format!("budget: {key} lines of {}; those from {} on are not listed", unit.name, unit.place(over));
                self.loader.out.gap(entry, what);
            }
            for value in values.into_iter().take(MAX_LIST) {
                for command in unitfile::commands(value.text).into_iter().take(MAX_LIST) {
                    let found = self.found(unit, &command);
                    let mut start = found.fill(Start { command: cut(value.text), ..base(unit.evidence(&value)) });
                    match *key {
                        "ExecReload" => start.when = "event".into(),
                        "ExecStop" | "ExecStopPre" | "ExecStopPost" => start.when = "stop".into(),
                        _ => {}
                    }
                    // A mark that keeps the rights of the manager, whatever the user.
                    if command.prefixes.contains('+') {
                        "root".clone_into(&mut start.user);
                    }
                    start.trigger =
                        if start.trigger.is_empty() { (*key).to_owned() } else { format!("{key}; {}", start.trigger) };
                    all.push(start);
                }
            }
        }
        for value in unit.list(section, "Environment") {
            for (word, _) in unitfile::words(value.text) {
                let Some((name @ ("LD_PRELOAD" | "LD_AUDIT"), libraries)) = word.split_once('=') else { continue };
                for library in libraries.split([':', ' ']).filter(|l| !l.is_empty()) {
                    let real = self.loader.index.system.canonical(library.as_bytes());
                    all.push(Start {
                        kind: "library".into(),
                        command: cut(&word),
                        trigger: name.to_owned(),
                        program: real.or_else(|| library.starts_with('/').then(|| Name::from(library))),
                        ..base(unit.evidence(&value))
                    });
                }
            }
        }
        all
    }
    /// When a unit is started, by what leads to it.
    fn when(&self, service: &Service) -> &'static str {
        const EVENTS: &[(&str, &str)] = &[
            ("timer ", "schedule"),
            ("socket ", "connection"),
            ("path ", "event"),
            ("automount ", "event"),
            ("D-Bus ", "request"),
            ("udev ", "device"),
        ];
        if !service.enabled {
            return "manual";
        }
        let of = |why: &String| EVENTS.iter().find(|(head, _)| why.starts_with(head)).map(|e| e.1);
        let found: Vec<_> =
            service.enabled_by.iter().filter(|w| !w.starts_with("default dependency")).map(of).collect();
        match found.first() {
            Some(Some(first)) if found.iter().all(Option::is_some) => first,
            _ if self.manager.name == "systemd" => "boot",
            _ if service.enabled_by.iter().any(|w| w.starts_with("/var/lib/systemd/linger/")) => "boot",
            _ => "login",
        }
    }
    /// What a socket that is reached listens on, where it is a port.
    pub(super) fn listeners(&self, unit: &Unit<'_>) -> Vec<Listener> {
        let started =
            unit.names("Socket", "Service").pop().unwrap_or_else(|| super::names::with_kind(&unit.name, "service"));
        let service = self.units.get(&self.loader.real_name(&started));
        let program = service.and_then(|s| self.exec(s)).and_then(|(_, f)| f.program);
        let mut rows = Vec::new();
        for (key, protocol) in [("ListenStream", "tcp"), ("ListenDatagram", "udp")] {
            for value in unit.list("Socket", key).into_iter().take(MAX_LIST) {
                let text = unitfile::expand(value.text, &unit.name, self.home());
                let (address, port) = text.rsplit_once(':').unwrap_or(("*", &text));
                if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) || address.starts_with("vsock") {
                    continue;
                }
                rows.push(Listener {
                    protocol: protocol.into(),
                    address: address.trim_matches(['[', ']']).to_owned(),
                    port: port.to_owned(),
                    program: program.as_ref().map(Name::display).unwrap_or_default(),
                    service: unit.name.clone(),
                    evidence: self.evidence(unit, Some(&value)),
                    ..Listener::default()
                });
            }
        }
        rows
    }
    pub(super) fn enabled(&self, unit: &Unit<'_>) -> bool {
        self.manager.runs && self.graph.is_reached(&unit.name)
    }
    fn home(&self) -> Option<&str> {
        self.manager.user.map(|u| u.1)
    }
    /// The assignment that names the program, and the program.
    fn exec<'u>(&self, unit: &'u Unit<'_>) -> Option<(Value<'u>, Found)> {
        let section = section(&unit.kind);
        let order =
            ["ExecStart", "ExecStartPre", "ExecStartPost", "ExecCondition", "ExecStop", "ExecStopPost", "ExecReload"];
        let value = order.iter().find_map(|key| unit.list(section, key).into_iter().next())?;
        let command = unitfile::commands(value.text).into_iter().next()?;
        let found = self.found(unit, &command);
        Some((value, found))
    }
    /// What a command comes down to.
    fn found(&self, unit: &Unit<'_>, command: &unitfile::Command) -> Found {
        let section = section(&unit.kind);
        let mut words: Vec<String> =
            command.words.iter().map(|w| unitfile::expand(w, &unit.name, self.home())).collect();
        let search = unit.names(section, "ExecSearchPath");
        let search: Vec<&str> = search.iter().flat_map(|p| p.split(':')).chain(program::PATH.iter().copied()).collect();
        // Below RootDirectory= the paths are those of that folder.
        let root = unit.last(section, "RootDirectory").trim_end_matches('/');
        if let Some(first) = words.first_mut().filter(|w| !root.is_empty() && w.starts_with('/')) {
            *first = format!("{root}{first}");
        }
        if command.prefixes.contains('|') {
            program::of_shell(self.loader.index.system, &words.join(" "), &search)
        } else {
            program::of_words(self.loader.index.system, &words, &search)
        }
    }
    fn evidence(&self, unit: &Unit<'_>, value: Option<&Value<'_>>) -> Evidence {
        let line = value.and_then(|v| unit.evidence(v));
        let whole = || unit.files.first().map(|f| f.text.evidence());
        let entry = || unit.entry.map(|e| self.loader.index.system.evidence(e));
        line.or_else(whole).or_else(entry).unwrap_or_default()
    }
}

fn section(kind: &str) -> &'static str {
    match kind {
        "socket" => "Socket",
        "mount" => "Mount",
        "swap" => "Swap",
        _ => "Service",
    }
}

fn listens<'u>(unit: &'u Unit<'_>) -> Vec<(&'static str, &'u str)> {
    let all = LISTENS.iter().flat_map(|key| unit.list("Socket", key).into_iter().map(move |v| (*key, v.text)));
    all.take(MAX_LIST).collect()
}

fn environment(unit: &Unit<'_>, section: &str) -> Vec<String> {
    let mut all = Vec::new();
    for value in unit.list(section, "Environment") {
        for (word, _) in unitfile::words(value.text) {
            let name = word.split_once('=').map_or(word.as_str(), |(n, _)| n);
            all.push(cut(if TELLING.contains(&name) { &word } else { name }));
        }
    }
    for key in ["EnvironmentFile", "PassEnvironment", "UnsetEnvironment"] {
        all.extend(unit.list(section, key).iter().map(|v| cut(&format!("{key}={}", v.text))));
    }
    all.truncate(MAX_LIST);
    all
}
