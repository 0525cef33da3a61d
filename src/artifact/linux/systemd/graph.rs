//! What leads to what: dependencies, links, sockets, timers, paths, and the events that start units
//! by themselves; and what of it the boot or an event reaches.
use super::load::{Found, Loader, Unit};
use super::names;
use crate::format::unitfile;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Something outside the units that starts one: D-Bus, a device, the boot.
pub(super) struct Event {
    pub(super) unit: String,
    /// `D-Bus org.x`, `udev /path:12`, `boot`.
    pub(super) why: String,
    /// Shown among the unit's triggers.
    pub(super) trigger: bool,
}

/// One way in which a unit is started.
#[derive(Clone, Debug)]
struct Edge {
    /// The unit that starts it; `None` for an event.
    from: Option<String>,
    /// The link's path, or the unit and directive.
    why: String,
}

#[derive(Default)]
pub(super) struct Graph {
    into: BTreeMap<String, Vec<Edge>>,
    reached: BTreeSet<String>,
    triggers: BTreeMap<String, BTreeSet<String>>,
}

/// Directives that start the units they name.
const STARTS: &[&str] =
    &["Wants", "Requires", "BindsTo", "Upholds", "OnFailure", "OnSuccess", "BindTo", "RequiresOverridable"];
/// Where systemd begins, whatever is enabled: the boot's goal, and those that events of the machine start.
pub(super) const SYSTEM_GOALS: &[&str] = &[
    "default.target",
    "sysinit.target",
    "ctrl-alt-del.target",
    "shutdown.target",
    "reboot.target",
    "poweroff.target",
    "halt.target",
    "kexec.target",
    "final.target",
    "umount.target",
    "sleep.target",
    "suspend.target",
    "hibernate.target",
    "hybrid-sleep.target",
    "suspend-then-hibernate.target",
];
pub(super) const USER_GOALS: &[&str] = &["default.target", "basic.target", "exit.target", "shutdown.target"];
/// More units than this come from names made up by hostile files.
const MAX_UNITS: usize = 20_000;

impl Graph {
    /// Loads every unit there is a file or link for, and every one these lead to.
    pub(super) fn build<'a>(
        loader: &Loader<'a, '_>,
        goals: &[&str],
        events: &[Event],
    ) -> (Self, BTreeMap<String, Unit<'a>>) {
        let mut graph = Self::default();
        let mut units: BTreeMap<String, Unit<'a>> = BTreeMap::new();
        let mut todo: VecDeque<String> = loader.index.files.keys().cloned().collect();
        for goal in goals {
            graph.edge(loader, None, goal, "boot", &mut todo);
        }
        for event in events {
            let real = graph.edge(loader, None, &event.unit, &event.why, &mut todo);
            if event.trigger {
                graph.triggers.entry(real).or_default().insert(event.why.clone());
            }
        }
        let mut by_owner: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for link in &loader.index.links {
            by_owner.entry(link.of.as_str()).or_default().push(link);
            todo.push_back(link.name.clone());
        }
        while let Some(name) = todo.pop_front() {
            let name = loader.real_name(&name);
            if units.contains_key(&name) {
                continue;
            }
            if units.len() >= MAX_UNITS {
                loader.out.gap_at(loader.index.system, "/etc/systemd", "budget: units; the rest was not followed");
                break;
            }
            let unit = loader.load(&name);
            for owner in std::iter::once(&unit.name).chain(&unit.aliases) {
                // A template's links hold for each of its instances.
                let of_template = names::template(owner).filter(|t| t != owner);
                for owner in std::iter::once(owner.as_str()).chain(of_template.as_deref()) {
                    for link in by_owner.get(owner).into_iter().flatten() {
                        if loader.index.is_mask(link.entry) {
                            continue;
                        }
                        let inst = names::instance(&name);
                        let target = if names::is_template(&link.name) && !inst.is_empty() {
                            names::with_instance(&link.name, inst)
                        } else {
                            link.name.clone()
                        };
                        graph.edge(loader, Some(&name), &target, &link.entry.path.display(), &mut todo);
                    }
                }
            }
            if unit.is_loaded() {
                graph.follow(loader, &unit, &mut todo);
            }
            units.insert(name, unit);
        }
        graph.reach(&units);
        (graph, units)
    }
    fn follow(&mut self, loader: &Loader<'_, '_>, unit: &Unit<'_>, todo: &mut VecDeque<String>) {
        let from = Some(unit.name.as_str());
        for key in STARTS {
            // Dependencies add up; an empty assignment takes nothing back.
            for value in unit.all("Unit", key) {
                let why = format!("{key}= in {}", unit.place(&value));
                for name in value.text.split_whitespace() {
                    let name = unitfile::expand(name, &unit.name, None);
                    if names::kind(&name).is_some() {
                        self.edge(loader, from, &name, &why, todo);
                    }
                }
            }
        }
        let started = match unit.kind.as_str() {
            "socket" => {
                let named = unit.names("Socket", "Service").pop();
                let own = if unit.flag("Socket", "Accept", false) {
                    unit.name.strip_suffix(".socket").map(|stem| format!("{stem}@.service")).unwrap_or_default()
                } else {
                    names::with_kind(&unit.name, "service")
                };
                Some((named.unwrap_or(own), "socket"))
            }
            "timer" => {
                Some((unit.names("Timer", "Unit").pop().unwrap_or(names::with_kind(&unit.name, "service")), "timer"))
            }
            "path" => {
                Some((unit.names("Path", "Unit").pop().unwrap_or(names::with_kind(&unit.name, "service")), "path"))
            }
            "automount" => Some((names::with_kind(&unit.name, "mount"), "automount")),
            "service" => {
                for socket in unit.names("Service", "Sockets") {
                    self.edge(loader, from, &socket, &format!("Sockets= of {}", unit.name), todo);
                }
                None
            }
            _ => None,
        };
        if let Some((name, how)) = started
            && names::kind(&name).is_some()
        {
            let real = self.edge(loader, from, &name, &format!("{how} {}", unit.name), todo);
            self.triggers.entry(real).or_default().insert(unit.name.clone());
        }
        // Every unit but the earliest pulls in sysinit.target, and its slice.
        if unit.flag("Unit", "DefaultDependencies", true)
            && matches!(unit.kind.as_str(), "service" | "socket" | "timer" | "path")
        {
            self.edge(loader, from, "sysinit.target", &format!("default dependency of {}", unit.name), todo);
        }
        for slice in ["Service", "Socket", "Mount", "Swap"].iter().flat_map(|s| unit.names(s, "Slice")) {
            self.edge(loader, from, &slice, &format!("Slice= of {}", unit.name), todo);
        }
    }
    fn edge(
        &mut self,
        loader: &Loader<'_, '_>,
        from: Option<&str>,
        to: &str,
        why: &str,
        todo: &mut VecDeque<String>,
    ) -> String {
        let real = loader.real_name(to);
        todo.push_back(real.clone());
        self.into.entry(real.clone()).or_default().push(Edge { from: from.map(str::to_owned), why: why.to_owned() });
        real
    }
    fn reach(&mut self, units: &BTreeMap<String, Unit<'_>>) {
        let mut out: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
        for (to, edges) in &self.into {
            for edge in edges {
                out.entry(edge.from.as_deref()).or_default().insert(to);
            }
        }
        let mut todo: Vec<&str> = out.get(&None).into_iter().flatten().copied().collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = todo.pop() {
            let starts =
                units.get(name).is_some_and(|u| !matches!(u.found, Found::Masked | Found::Missing | Found::Bad(_)));
            if starts && reached.insert(name.to_owned()) {
                todo.extend(out.get(&Some(name)).into_iter().flatten());
            }
        }
        self.reached = reached;
    }
    pub(super) fn is_reached(&self, name: &str) -> bool {
        self.reached.contains(name)
    }
    /// The links and units that start it and are reached themselves, sorted. What every unit pulls
    /// in by default is left out where something says so itself.
    pub(super) fn enabled_by(&self, name: &str) -> Vec<String> {
        let edges = self.into.get(name).into_iter().flatten();
        let live = edges.filter(|e| e.from.as_ref().is_none_or(|f| self.reached.contains(f) && f != name));
        let all: BTreeSet<&str> = live.map(|e| e.why.as_str()).collect();
        let own: Vec<String> =
            all.iter().filter(|w| !w.starts_with("default dependency")).map(|w| (*w).to_owned()).collect();
        if own.is_empty() { all.into_iter().take(1).map(str::to_owned).collect() } else { own }
    }
    pub(super) fn triggers(&self, name: &str) -> Vec<String> {
        self.triggers.get(name).into_iter().flatten().cloned().collect()
    }
}
