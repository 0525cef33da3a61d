//! The picture of ways through: from what lies outside, over the links and this computer, to the networks and
//! controllers of the crane. Made of the inventory and the findings alone; every node leads to its row or finding.
mod inside;
mod layout;
#[cfg(test)]
mod tests;

pub use layout::{Laid, layout};

use super::ways::{Way, ways};
use crate::case::CaseData;
use crate::inventory::{Connection, SystemInfo};
use crate::judge::{Category, Finding, Rung, Severity};
use std::collections::BTreeMap;

/// Columns from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// What is not the crane's: carriers, far ends, whoever is behind a gateway.
    Outside,
    /// A link out or in.
    Way,
    Computer,
    /// What joins networks: forwarding, address translation, bridges.
    Joint,
    /// A network of the crane, by the interface to it.
    Network,
    /// A computer or controller in it that a rule or a setting names.
    Inside,
}
impl Place {
    pub const ALL: [Self; 6] = [Self::Outside, Self::Way, Self::Computer, Self::Joint, Self::Network, Self::Inside];
    pub fn title(self) -> &'static str {
        match self {
            Self::Outside => "Outside",
            Self::Way => "Ways out and in",
            Self::Computer => "Computer",
            Self::Joint => "Joined by",
            Self::Network => "Networks",
            Self::Inside => "Named in them",
        }
    }
}

/// One box.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Place,
    pub title: String,
    pub lines: Vec<String>,
    /// Comes up or works by itself, as configured; `None` where that cannot be said.
    pub on: Option<bool>,
    /// Of the finding that rests on it.
    pub severity: Option<Severity>,
    /// Table and row that it comes from.
    pub row: Option<(&'static str, usize)>,
    /// Id of the finding.
    pub finding: Option<String>,
}

/// One line, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// Open as configured; otherwise it is set up, and nothing brings it up.
    pub on: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    pub nodes: Vec<Node>,
    /// Sorted.
    pub edges: Vec<Edge>,
    /// Boxes that did not fit.
    pub left_out: usize,
}

/// Boxes of one column; what is beyond is counted.
const MOST: usize = 24;
/// Far ends of one link.
const FAR_ENDS: usize = 4;
/// Kinds of connections that are a cable of the crane's own network, and lead out only as the default route.
const PLAIN: &[&str] = &["ethernet", "bridge", "bond", "vlan", "team", "dummy", "loopback", "bond-slave"];
const CELLULAR: &[&str] = &["gsm", "cdma", "ppp-modem", "wwan", "mbim", "qmi", "sms"];

impl Picture {
    pub fn of(data: &CaseData) -> Self {
        Self::with(data, &ways(data))
    }
    /// The same, where the ways are there already.
    pub fn with(data: &CaseData, ways: &[Way]) -> Self {
        let mut build = Build { picture: Self::default(), by_key: BTreeMap::new(), counts: BTreeMap::new() };
        let mut told: Vec<&str> = Vec::new();
        for way in ways.iter().filter(|w| w.table == "connections") {
            if let Some(c) = data.inventory.connections.get(way.row)
                && (!PLAIN.contains(&&*c.kind) || c.default_route)
            {
                told.extend(way.finding.iter().map(|(id, _)| id.as_str()));
                build.connection(data, way, c);
            }
        }
        for finding in &data.findings {
            let link = matches!(finding.category, Category::Modem | Category::RemoteAccess);
            if link && finding.rung.is_some_and(|r| r > Rung::Capable) && !told.contains(&finding.id.as_str()) {
                build.finding(data, finding);
            }
        }
        build.listeners(data, ways);
        build.gateways(data);
        build.inside(data);
        build.done()
    }
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
    pub(super) fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }
}

struct Build {
    picture: Picture,
    by_key: BTreeMap<(Place, String), Option<usize>>,
    counts: BTreeMap<Place, usize>,
}

impl Build {
    /// The box with this key, made by `make` where there is none; `None` where its column is full.
    fn node(&mut self, place: Place, key: &str, make: impl FnOnce() -> Node) -> Option<usize> {
        let key = (place, key.to_owned());
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let count = self.counts.entry(place).or_default();
        let at = if *count < MOST {
            *count = count.saturating_add(1);
            self.picture.nodes.push(make());
            self.picture.nodes.len().checked_sub(1)
        } else {
            self.picture.left_out = self.picture.left_out.saturating_add(1);
            None
        };
        self.by_key.insert(key, at);
        at
    }
    fn edge(&mut self, from: Option<usize>, to: Option<usize>, on: bool) {
        if let (Some(from), Some(to)) = (from, to) {
            self.picture.edges.push(Edge { from, to, on });
        }
    }
    fn done(mut self) -> Picture {
        let edges = &mut self.picture.edges;
        // Of two lines between the same boxes the open one counts.
        edges.sort_by_key(|e| (e.from, e.to, !e.on));
        edges.dedup_by_key(|e| (e.from, e.to));
        self.picture
    }
    fn computer(&mut self, data: &CaseData, system: Option<u32>) -> Option<usize> {
        let info = system.and_then(|s| data.scene.systems.get(usize::try_from(s).ok()?));
        let name = |s: &SystemInfo| if s.hostname.is_empty() { s.id.clone() } else { s.hostname.clone() };
        self.node(Place::Computer, &format!("{system:?}"), || Node {
            title: info.map_or_else(|| "a disk without a system".to_owned(), name),
            lines: info.map(system_words).into_iter().collect(),
            ..box_of(Place::Computer)
        })
    }
    fn connection(&mut self, data: &CaseData, way: &Way, c: &Connection) {
        let on = way.enabled == Some(true);
        let severity =
            way.finding.as_ref().and_then(|(id, _)| data.findings.iter().find(|f| f.id == *id)).map(|f| f.severity);
        let mut lines = vec![format!("{} ({})", c.kind, c.manager)];
        lines.extend((!c.interface.is_empty()).then(|| format!("interface {}", c.interface)));
        lines.extend((!c.device.is_empty()).then(|| format!("device {}", c.device)));
        lines.push(match (on, way.last_used) {
            (true, _) if !way.enabled_by.is_empty() => format!("on: {}", way.enabled_by),
            (true, _) => "comes up by itself".to_owned(),
            (false, _) => "set up; nothing brings it up".to_owned(),
        });
        lines.extend(way.last_used.map(|at| format!("last used {at}")));
        let node = self.node(Place::Way, &format!("connection {}", way.row), || Node {
            title: c.name.clone(),
            lines,
            on: way.enabled,
            severity,
            row: Some(("connections", way.row)),
            finding: way.finding.as_ref().map(|(id, _)| id.clone()),
            ..box_of(Place::Way)
        });
        for (title, line) in far_ends(c) {
            let far = self.node(Place::Outside, &title, || Node {
                title: title.clone(),
                lines: vec![line],
                ..box_of(Place::Outside)
            });
            self.edge(far, node, on);
        }
        let computer = self.computer(data, c.system);
        self.edge(node, computer, on);
    }
    /// A link that findings show and no configured connection does: a program, a driver, lines of a log.
    fn finding(&mut self, data: &CaseData, f: &Finding) {
        let on = f.rung.is_some_and(|r| r >= Rung::Enabled);
        let node = self.node(Place::Way, &f.id, || Node {
            title: f.subject.clone(),
            lines: vec![f.title.clone(), format!("rung: {}", f.rung.map(super::html::word).unwrap_or_default())],
            on: Some(on),
            severity: Some(f.severity),
            finding: Some(f.id.clone()),
            ..box_of(Place::Way)
        });
        let (title, line) = if f.category == Category::Modem {
            ("cellular network", "carrier not stated")
        } else {
            ("far end not stated", "no setting that was read names it")
        };
        let far = self.node(Place::Outside, title, || Node {
            title: title.to_owned(),
            lines: vec![line.to_owned()],
            ..box_of(Place::Outside)
        });
        self.edge(far, node, on);
        let computer = self.computer(data, f.system);
        self.edge(node, computer, on);
    }
    /// Ports that are open on more than the computer itself, told in its box.
    fn listeners(&mut self, data: &CaseData, ways: &[Way]) {
        let mut ports: BTreeMap<Option<u32>, Vec<String>> = BTreeMap::new();
        for way in ways.iter().filter(|w| w.table == "listeners" && w.enabled != Some(false)) {
            let Some(l) = data.inventory.listeners.get(way.row) else { continue };
            let local = l.address.starts_with("127.") || matches!(l.address.as_str(), "::1" | "[::1]" | "localhost");
            if !local {
                ports.entry(l.system).or_default().push(format!("{} {}", l.program, l.port));
            }
        }
        for (system, mut ports) in ports {
            ports.sort();
            ports.dedup();
            if let Some(node) = self.computer(data, system).and_then(|at| self.picture.nodes.get_mut(at)) {
                node.lines.push(format!("listens: {}", ports.join(", ")));
            }
        }
    }
    /// Default routes over a cable: what lies behind the gateway.
    fn gateways(&mut self, data: &CaseData) {
        for (row, i) in data.inventory.interfaces.iter().enumerate() {
            for gateway in i.gateway.iter().filter(|g| !g.is_empty()) {
                self.gateway(data, i.system, gateway, &i.name, i.auto, ("interfaces", row));
            }
        }
        for (row, r) in data.inventory.routes.iter().enumerate() {
            let default = matches!(r.destination.as_str(), "default" | "0.0.0.0/0" | "::/0" | "0.0.0.0" | "0/0");
            if default && !r.gateway.is_empty() {
                self.gateway(data, r.system, &r.gateway, &r.interface, true, ("routes", row));
            }
        }
    }
    fn gateway(
        &mut self,
        data: &CaseData,
        system: Option<u32>,
        gateway: &str,
        interface: &str,
        on: bool,
        row: (&'static str, usize),
    ) {
        let far = self.node(Place::Outside, &format!("gateway {gateway}"), || Node {
            title: format!("behind {gateway}"),
            lines: vec!["whatever the gateway leads to".to_owned()],
            ..box_of(Place::Outside)
        });
        let way = self.node(Place::Way, &format!("gateway {system:?} {gateway} {interface}"), || Node {
            title: format!("gateway {gateway}"),
            lines: if interface.is_empty() {
                vec!["default route".to_owned()]
            } else {
                vec![format!("default route, interface {interface}")]
            },
            on: Some(on),
            row: Some(row),
            ..box_of(Place::Way)
        });
        self.edge(far, way, on);
        let computer = self.computer(data, system);
        self.edge(way, computer, on);
    }
}

/// Name and version of a system; some names have the version in them.
fn system_words(s: &SystemInfo) -> String {
    let has = s.os.version.is_empty() || s.os.name.split_whitespace().any(|w| w == s.os.version);
    if has { s.os.name.clone() } else { format!("{} {}", s.os.name, s.os.version) }
}

fn box_of(place: Place) -> Node {
    Node { place, title: String::new(), lines: Vec::new(), on: None, severity: None, row: None, finding: None }
}

/// What a connection leads to, and what that is.
fn far_ends(c: &Connection) -> Vec<(String, String)> {
    let mut ends: Vec<(String, String)> =
        c.endpoints.iter().take(FAR_ENDS).map(|e| (e.clone(), "far end, as configured".to_owned())).collect();
    let more = c.endpoints.len().saturating_sub(FAR_ENDS);
    if more > 0 {
        ends.push((format!("{more} more far ends of {}", c.name), "as configured".to_owned()));
    }
    if CELLULAR.contains(&&*c.kind) || !c.apn.is_empty() {
        ends.push(match (c.apn.is_empty(), c.number.is_empty()) {
            (false, true) => (format!("APN {}", c.apn), "cellular network".to_owned()),
            (false, false) => (format!("APN {}", c.apn), format!("cellular network, number {}", c.number)),
            (true, false) => (format!("number {}", c.number), "cellular network or telephone line".to_owned()),
            (true, true) => ("cellular network".to_owned(), "carrier not stated".to_owned()),
        });
    } else if c.kind.starts_with("wifi") {
        ends.push((format!("wireless network {}", c.name), "whoever is in its reach".to_owned()));
    }
    if ends.is_empty() {
        ends.push(("far end not stated".to_owned(), "no setting that was read names it".to_owned()));
    }
    ends
}
