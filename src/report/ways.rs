//! Links out and in: what the configuration says of a link, together with the unit or
//! task that starts it, the log lines about its device, and the finding that rests on it.
use crate::base::{Evidence, FsId, Time};
use crate::case::CaseData;
use crate::inventory::{Connection, Inventory, Listener};
use crate::judge::{Finding, Rung};
use std::collections::HashMap;

/// A link out or in, however it is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub kind: String,
    pub name: String,
    /// What it leads to: endpoints, APN, number, address and port.
    pub leads: String,
    pub enabled: Option<bool>,
    pub enabled_by: String,
    pub last_used: Option<Time>,
    /// What says when it was used.
    pub used_by: String,
    /// The finding that has it among its evidence: id and rung.
    pub finding: Option<(String, Option<Rung>)>,
    pub table: &'static str,
    /// Its row there.
    pub row: usize,
}

/// Every connection and listening port; what is on comes first, then what was used last.
pub fn ways(data: &CaseData) -> Vec<Way> {
    let inventory = &data.inventory;
    let findings = by_place(&data.findings);
    let mut ways: Vec<Way> =
        inventory.connections.iter().enumerate().map(|(row, c)| connection(inventory, &findings, row, c)).collect();
    ways.extend(
        inventory
            .listeners
            .iter()
            .enumerate()
            .filter(|(_, l)| &*l.protocol != "unix")
            .map(|(row, l)| listener(inventory, &findings, row, l)),
    );
    ways.sort_by_key(|way| std::cmp::Reverse((way.enabled, way.last_used)));
    ways
}

type ByPlace<'a> = HashMap<(FsId, &'a [u8], Option<u32>), &'a Finding>;

/// For every place that a finding rests on, the finding that reaches highest.
fn by_place(findings: &[Finding]) -> ByPlace<'_> {
    let mut places: ByPlace<'_> = HashMap::new();
    for finding in findings {
        for evidence in &finding.evidence {
            let slot = places.entry(place(evidence)).or_insert(finding);
            if (finding.severity, finding.rung) > (slot.severity, slot.rung) {
                *slot = finding;
            }
        }
    }
    places
}
fn place(e: &Evidence) -> (FsId, &[u8], Option<u32>) {
    (e.filesystem, e.path.bytes(), e.line)
}
fn finding(findings: &ByPlace<'_>, evidence: &Evidence) -> Option<(String, Option<Rung>)> {
    findings.get(&place(evidence)).map(|f| (f.id.clone(), f.rung))
}

fn connection(inventory: &Inventory, findings: &ByPlace<'_>, row: usize, c: &Connection) -> Way {
    let mut leads = c.endpoints.clone();
    leads.extend(
        [("APN ", &c.apn), ("number ", &c.number), ("on ", &c.device), ("on ", &c.interface)]
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(what, value)| format!("{what}{value}")),
    );
    let starter = if c.enabled { None } else { starter(inventory, c) };
    let logged = logged(inventory, c).filter(|(at, _)| c.last_used.is_none_or(|own| own < *at));
    let own = c.last_used.map(|at| (at, format!("the record of {}", c.manager)));
    let (last_used, used_by) = logged.or(own).map_or((None, String::new()), |(at, by)| (Some(at), by));
    Way {
        kind: c.kind.to_string(),
        name: c.name.clone(),
        leads: leads.join(", "),
        enabled: Some(c.enabled || starter.is_some()),
        enabled_by: starter.unwrap_or_else(|| c.enabled_by.join(", ")),
        last_used,
        used_by,
        finding: finding(findings, &c.evidence),
        table: "connections",
        row,
    }
}

/// What starts a connection that does not come up by its own settings: an enabled unit or task whose
/// command names its file or is the very line it was read from, or an enabled connection that uses it.
fn starter(inventory: &Inventory, c: &Connection) -> Option<String> {
    let file = c.evidence.path.lossy();
    let runs = |command: &str, at: &Evidence| {
        place(at) == place(&c.evidence)
            || command.split(|w: char| w.is_whitespace() || "=\"'".contains(w)).any(|w| !w.is_empty() && w == file)
    };
    let service = inventory
        .services
        .iter()
        .filter(|s| s.enabled && s.system == c.system)
        .find(|s| s.commands.iter().any(|command| runs(command, &s.evidence)))
        .map(|s| format!("{} {}", s.manager, s.name));
    let task = || {
        let tasks = inventory.tasks.iter().filter(|t| t.enabled && t.system == c.system);
        tasks.into_iter().find(|t| runs(&t.command, &t.evidence)).map(|t| format!("{} {}", t.manager, t.schedule))
    };
    let peer = || {
        let by = |o: &&Connection| {
            o.enabled && o.system == c.system && o.details.iter().any(|d| d.strip_prefix("peer=") == Some(&c.name))
        };
        let found = inventory.connections.iter().filter(|_| &*c.manager == "ppp").find(by);
        found.map(|o| format!("{}: {}", o.manager, o.enabled_by.join(", ")))
    };
    service.or_else(task).or_else(peer)
}

/// The latest log line of a use that names the connection's own device or interface.
fn logged(inventory: &Inventory, c: &Connection) -> Option<(Time, String)> {
    let names = [("device=", &c.device), ("interface=", &c.interface)];
    let ours = |field: &String| {
        names
            .iter()
            .any(|(key, value)| !value.is_empty() && field.strip_prefix(key).is_some_and(|f| bare(f) == bare(value)))
    };
    inventory
        .events
        .iter()
        .filter(|e| &*e.class == "modem-use" && e.system == c.system && e.fields.iter().any(ours))
        .filter_map(|e| Some((e.last.max(e.time)?, e)))
        .max_by_key(|(at, _)| *at)
        .map(|(at, e)| (at, format!("{}: {}", e.evidence.path.display(), e.text)))
}
fn bare(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

fn listener(inventory: &Inventory, findings: &ByPlace<'_>, row: usize, l: &Listener) -> Way {
    let unit = l.service.strip_suffix(".service").unwrap_or(&l.service);
    // By the unit that it names, otherwise by the units whose program is the one that listens.
    let ours = |s: &&crate::inventory::Service| {
        s.system == l.system
            && if unit.is_empty() {
                s.program.as_ref().is_some_and(|p| !l.program.is_empty() && p.file_name() == l.program.as_bytes())
            } else {
                s.name.strip_suffix(".service").unwrap_or(&s.name) == unit
            }
    };
    let found = || inventory.services.iter().filter(ours);
    let service = found().find(|s| s.enabled).or_else(|| found().next());
    Way {
        kind: "listens".to_owned(),
        name: l.program.clone(),
        leads: format!("{} {}:{}", l.protocol, l.address, l.port),
        // Where no unit is known, nothing is said.
        enabled: service.map(|s| s.enabled),
        enabled_by: service.map_or_else(String::new, |s| format!("{} {}", s.manager, s.name)),
        last_used: None,
        used_by: String::new(),
        finding: finding(findings, &l.evidence),
        table: "listeners",
        row,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::base::Name;
    use crate::inventory::{Event, Service, Task};
    use std::sync::Arc;

    fn at(path: &str, line: u32) -> Evidence {
        Evidence { path: Name::from(path), line: Some(line), ..Evidence::default() }
    }
    fn tunnel(path: &str) -> Connection {
        let name = format!("{path}:1");
        Connection { name, kind: "tunnel".into(), evidence: at(path, 1), ..Connection::default() }
    }

    #[test]
    fn a_link_is_on_if_what_starts_it_is_on() {
        let mut data = CaseData::default();
        let service = |name: &str, enabled, command: &str| Service {
            name: name.to_owned(),
            manager: "systemd".into(),
            enabled,
            commands: vec![command.to_owned()],
            program: Some(Name::from("/usr/sbin/sshd")),
            ..Service::default()
        };
        data.inventory.services = Arc::new(vec![
            service("off.service", false, "ExecStart=/bin/x -c /etc/off.toml"),
            service("on.service", true, "ExecStart=/bin/x --config=/etc/on.toml"),
        ]);
        let task =
            Task { enabled: true, schedule: "@reboot".into(), evidence: at("/etc/cron.d/sync", 1), ..Task::default() };
        data.inventory.tasks = Arc::new(vec![task]);
        let peer = Connection {
            name: "wan".into(),
            manager: "ppp".into(),
            device: "/dev/ttyUSB3".into(),
            ..Connection::default()
        };
        let auto = Connection {
            name: "if".into(),
            enabled: true,
            details: vec!["peer=wan".into()],
            enabled_by: vec!["auto wan".into()],
            ..Connection::default()
        };
        data.inventory.connections = Arc::new(vec![
            tunnel("/etc/off.toml"),
            tunnel("/etc/on.toml"),
            tunnel("/etc/on.toml.bak"),
            tunnel("/etc/cron.d/sync"),
            peer,
            auto,
        ]);
        let listener = |program: &str| Listener { program: program.into(), ..Listener::default() };
        data.inventory.listeners = Arc::new(vec![listener("sshd"), listener("other")]);
        let used = |seconds, field: &str| Event {
            class: "modem-use".into(),
            time: Some(Time::seconds(seconds)),
            fields: vec![field.to_owned()],
            ..Event::default()
        };
        data.inventory.events = Arc::new(vec![
            used(20, "device=/dev/ttyUSB3"),
            used(10, "device=ttyUSB3"),
            used(99, "device=/dev/ttyUSB9"),
        ]);
        let ways = ways(&data);
        let way = |table: &str, row: usize| ways.iter().find(|w| w.table == table && w.row == row).unwrap();
        let on: Vec<_> = (0..6).map(|row| way("connections", row).enabled).collect();
        assert_eq!(on, [Some(false), Some(true), Some(false), Some(true), Some(true), Some(true)]);
        assert_eq!(way("connections", 1).enabled_by, "systemd on.service");
        assert_eq!(way("connections", 4).last_used, Some(Time::seconds(20)));
        assert_eq!(way("connections", 3).last_used, None);
        assert_eq!((way("listeners", 0).enabled, way("listeners", 1).enabled), (Some(true), None));
    }

    #[test]
    fn the_finding_that_reaches_highest_is_named() {
        let of = |id: &str, rung, path: &str| Finding {
            id: id.to_owned(),
            rule: String::new(),
            title: String::new(),
            severity: crate::judge::Severity::High,
            conformity: crate::judge::Conformity::NoPolicy,
            category: crate::judge::Category::Modem,
            rung: Some(rung),
            confidence: crate::judge::Confidence::High,
            system: None,
            subject: String::new(),
            observed: String::new(),
            supports: String::new(),
            does_not_show: String::new(),
            ordinary_explanations: String::new(),
            check: String::new(),
            attack: Vec::new(),
            baseline: crate::judge::BaselineVerdict::default(),
            evidence: vec![at(path, 1)],
            reviews: Vec::new(),
        };
        let findings = vec![of("low", Rung::Configured, "/etc/a"), of("top", Rung::Used, "/etc/a")];
        let places = by_place(&findings);
        assert_eq!(finding(&places, &at("/etc/a", 1)), Some(("top".to_owned(), Some(Rung::Used))));
        assert_eq!(finding(&places, &at("/etc/a", 2)), None);
    }
}
