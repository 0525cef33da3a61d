//! Cellular, satellite and dial-up links: hardware, drivers, settings, dialers, connections, what
//! starts them and what the logs recorded, one finding a link.
use super::facts::{Cellular, Traces};
use super::frame::{Link, Piece, join, one_a_name, subject};
use super::ground::{Ground, Vouched};
use super::tables::Ids;
use crate::base::Name;
use crate::inventory::{Connection, Device, Event};
use crate::judge::draft::Draft;
use crate::judge::finding::Rung;
use crate::judge::knowledge::Knowledge;
use std::collections::BTreeSet;

/// All links of all systems.
pub(super) fn findings(knowledge: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    let know = &*knowledge.facts().cellular;
    let traces = &*knowledge.facts().traces;
    let mut drafts = Vec::new();
    for system in &ground.systems {
        let mut view =
            View { know, traces, ground, ids: Ids::new(), system: *system, pieces: Vec::new(), stock: Vec::new() };
        view.devices();
        view.drivers();
        view.settings();
        view.programs();
        view.packages();
        view.connections();
        view.interfaces();
        view.files();
        view.starts();
        view.events();
        view.context();
        drafts.extend(view.links().into_iter().filter_map(|l| l.draft(knowledge, rule, *system)));
    }
    drafts
}

/// One system while its pieces are collected.
struct View<'a> {
    know: &'a Cellular,
    traces: &'a Traces,
    ground: &'a Ground<'a>,
    ids: Ids,
    system: Option<u32>,
    pieces: Vec<Piece>,
    /// What packages ship and set up by themselves.
    stock: Vec<Piece>,
}

const CAPABLE: &str = "stock cellular support";
const INSTALLED: &str = "installed cellular software";

impl View<'_> {
    fn vouched(&self, path: &Name) -> Vouched {
        self.ground.vouched(self.system, path)
    }
    /// Rows of one table that belong to this system.
    fn of<'r, T>(&self, rows: &'r [T], system: impl Fn(&T) -> Option<u32>) -> Vec<(usize, &'r T)> {
        rows.iter().enumerate().filter(|(_, r)| system(r) == self.system).collect()
    }
    fn node_key(&self, node: &str) -> Option<String> {
        let name = node.trim().trim_start_matches("/dev/");
        self.know.nodes.is_match(name).then(|| format!("node:{name}"))
    }
    fn is_modem(&self, d: &Device) -> bool {
        let class = &*d.class;
        let driver = d.driver.replace('-', "_");
        match class {
            "cellular" | "cellular-vendor" | "satellite" => true,
            "gnss" => false,
            _ => {
                self.know.is_module(&driver)
                    || d.node.split([',', ' ']).any(|n| {
                        let n = n.trim_start_matches("/dev/");
                        n.starts_with("wwan") || n.starts_with("cdc-wdm") || n.starts_with("qcqmi")
                    })
            }
        }
    }
    fn devices(&mut self) {
        for (row, d) in self.of(&self.ground.inventory.devices, |d| d.system) {
            if !self.is_modem(d) {
                continue;
            }
            let recorded = &*d.source == "log";
            if !recorded && self.ground.source(self.system, &d.evidence).is_stock() {
                continue;
            }
            let id = format!("{}:{}", d.vendor, d.product);
            let mut keys: Vec<String> = d.node.split([',', ' ']).filter_map(|n| self.node_key(n)).collect();
            if !d.vendor.is_empty() {
                keys.push(format!("id:{id}"));
            }
            if !d.driver.is_empty() {
                keys.push(format!("driver-of:{}", d.driver.replace('-', "_")));
            }
            let name = if d.name.is_empty() {
                format!("{} device {id}", d.bus)
            } else {
                format!("{} device {id} {}", d.bus, d.name)
            };
            let told = if recorded {
                let when = match (d.first_seen, d.last_seen) {
                    (Some(first), Some(last)) if first != last => format!(", first {first}, last {last}"),
                    (Some(at), _) | (None, Some(at)) => format!(", at {at}"),
                    _ => ", at an unknown time".into(),
                };
                format!("the log recorded {name}{when}, {} times", d.count.max(1))
            } else {
                format!("{} names {name} ({})", d.evidence.path, d.source)
            };
            self.pieces.push(Piece {
                rows: vec![(self.ids.devices, row)],
                rung: Some(if recorded { Rung::Seen } else { Rung::Configured }),
                chain: 0,
                keys,
                name: Some((0, format!("modem {id}"))),
                told,
                ..Piece::default()
            });
        }
    }
    fn drivers(&mut self) {
        for (row, d) in self.of(&self.ground.inventory.drivers, |d| d.system) {
            if !self.know.is_module(&d.name) {
                continue;
            }
            let vouched = self.vouched(&d.path);
            let vendor = self.know.vendor_modules.contains(&*d.name);
            let mut reasons = Vec::new();
            if !d.builtin && vouched.is_altered() {
                reasons.push(vouched.words().to_owned());
            }
            if !d.builtin && self.ground.has_database(self.system) {
                if d.outside && d.intree != Some(true) {
                    reasons.push("outside the kernel's own tree, without its mark".into());
                }
                if d.ordered == Some(false) && !vouched.is_stock() {
                    reasons.push("not in the kernel's modules.order".into());
                }
            }
            let mut rows = vec![(self.ids.drivers, row)];
            rows.extend(self.ground.file(self.system, &d.path).map(|(f, _)| (self.ids.files, f)));
            let place = if d.builtin { format!("built into the kernel {}", d.kernel) } else { d.path.display() };
            let piece = Piece {
                rows,
                chain: 1,
                keys: vec![format!("driver:{}", d.name)],
                follows: vec![format!("driver-of:{}", d.name)],
                name: Some((4, format!("driver {}", d.name))),
                ..Piece::default()
            };
            if !reasons.is_empty() {
                let told = format!("the driver {} ({place}) is {}", d.name, reasons.join(", "));
                self.pieces.push(Piece { rung: Some(Rung::Altered), told, ..piece });
            } else if d.builtin || vendor || !self.ground.has_database(self.system) {
                let told = format!("the driver {} is there ({place})", d.name);
                let name = Some((8, INSTALLED.to_owned()));
                let keys = [piece.keys, vec!["installed".to_owned()]].concat();
                self.pieces.push(Piece { rung: Some(Rung::Installed), told, name, keys, ..piece });
            } else {
                let told = format!(
                    "the driver {} of package {}",
                    d.name,
                    self.ground.package(self.system, &d.path).unwrap_or("?")
                );
                self.stock.push(Piece { told, keys: vec![format!("driver:{}", d.name)], ..piece });
            }
        }
    }
    fn settings(&mut self) {
        let vendor_driver: Vec<String> = self
            .of(&self.ground.inventory.drivers, |d| d.system)
            .into_iter()
            .filter(|(_, d)| self.know.vendor_modules.contains(&*d.name))
            .map(|(_, d)| d.name.to_string())
            .collect();
        for (row, s) in self.of(&self.ground.inventory.driver_settings, |s| s.system) {
            let name = s.name.replace('-', "_");
            let ids = usb_ids(&s.value);
            let known = self.know.is_module(&name);
            // `options usbserial vendor=… product=…` and new_id lines bind a device by its ids.
            let binds = matches!(&*s.action, "new-id" | "udev") || (name == "usbserial" && !ids.is_empty());
            let by_id = binds && ids.iter().any(|id| self.pieces.iter().any(|p| p.keys.contains(&format!("id:{id}"))));
            if !known && !by_id {
                continue;
            }
            if self.ground.source(self.system, &s.evidence).is_stock() {
                continue;
            }
            let base = Piece {
                rows: vec![(self.ids.driver_settings, row)],
                chain: 2,
                follows: if by_id { Vec::new() } else { vec![format!("driver-of:{name}")] },
                keys: ids.iter().map(|id| format!("id:{id}")).chain([format!("driver:{name}")]).collect(),
                name: Some((3, format!("driver {name}"))),
                ..Piece::default()
            };
            let at = s.evidence.path.display();
            match &*s.action {
                "blacklist" | "remove" => self.blacklist(base, &name, &at, &vendor_driver),
                "install" if s.value.ends_with("/false") || s.value.ends_with("/true") => {
                    self.blacklist(base, &name, &at, &vendor_driver);
                }
                "load" => {
                    let told = format!("{at} loads the driver {name} at boot");
                    self.pieces.push(Piece { rung: Some(Rung::Configured), told, ..base });
                }
                action => {
                    let told = format!("{at} sets {action} for the driver {name}: {}", s.value);
                    self.pieces.push(Piece { rung: Some(Rung::Configured), told, ..base });
                }
            }
        }
    }
    /// Keeping a stock driver away lowers a link, unless a vendor's driver stands in its place.
    fn blacklist(&mut self, base: Piece, name: &str, at: &str, vendor: &[String]) {
        if let (true, Some(other)) = (self.know.replaced_by_vendor.contains(name), vendor.first()) {
            let told = format!("{at} keeps the stock driver {name} away, beside {other}");
            let keys = vec![format!("driver:{other}")];
            let follows = vec![format!("driver:{other}")];
            let raises = vec![format!("the stock driver {name} is kept away beside {other}")];
            self.pieces.push(Piece { rung: Some(Rung::Configured), told, raises, keys, follows, name: None, ..base });
        } else {
            let told = format!("{at} keeps the driver {name} away");
            let lowers = vec![format!("{at} keeps the driver {name} away")];
            self.pieces.push(Piece {
                rung: Some(Rung::Capable),
                told,
                lowers,
                name: Some((9, CAPABLE.into())),
                ..base
            });
        }
    }
    fn programs(&mut self) {
        for (row, b) in self.of(&self.ground.inventory.binaries, |b| b.system) {
            let file_name = String::from_utf8_lossy(b.path.file_name()).into_owned();
            let traced = self.traces.identify(&b.traces).filter(|(tool, _)| self.traces.is_modem(tool)).map(|(_, t)| t);
            let dialer = self.know.dialers.contains(&file_name);
            if !dialer && traced.is_none() && !self.know.managers.contains(&file_name) {
                continue;
            }
            let vouched = self.vouched(&b.path);
            if traced.is_none() && !dialer && vouched == Vouched::Owned {
                continue; // its package speaks for it
            }
            if vouched == Vouched::Owned {
                continue;
            }
            let mut rows = vec![(self.ids.binaries, row)];
            rows.extend(self.ground.file(self.system, &b.path).map(|(f, _)| (self.ids.files, f)));
            let identity = traced.map(|t| format!(", holds the strings of {t}")).unwrap_or_default();
            let told = format!(
                "the program {} sets up cellular or dial-up links{identity}; it is {}",
                b.path,
                vouched.words()
            );
            let rung = if vouched.is_altered() { Rung::Altered } else { Rung::Installed };
            let raises = if off_the_path(&b.path) {
                vec![format!("the program {} lies off the usual paths", b.path)]
            } else {
                Vec::new()
            };
            self.pieces.push(Piece {
                rows,
                rung: Some(rung),
                chain: 3,
                keys: vec![format!("prog:{}", b.path.lossy())],
                name: Some((2, format!("program {}", b.path))),
                told,
                raises,
                ..Piece::default()
            });
        }
    }
    fn packages(&mut self) {
        for (row, p) in self.of(&self.ground.inventory.packages, |p| p.system) {
            if !p.state.is_empty() && !p.state.ends_with(" installed") {
                continue;
            }
            let base = Piece { rows: vec![(self.ids.packages, row)], chain: 3, ..Piece::default() };
            if self.know.packages.contains(&*p.name) {
                self.pieces.push(Piece {
                    rung: Some(Rung::Installed),
                    keys: vec!["installed".into()],
                    name: Some((8, INSTALLED.into())),
                    told: format!(
                        "the package {} {} is installed, which no default installation pulls in",
                        p.name, p.version
                    ),
                    ..base
                });
            } else if self.know.stock_packages.contains(&*p.name) {
                self.stock.push(Piece { told: format!("the package {}", p.name), ..base });
            }
        }
    }
    fn is_cellular(&self, c: &Connection) -> bool {
        let tty = self.node_key(&c.device).is_some();
        self.know.connection_kinds.contains(&*c.kind)
            || (!self.know.not_cellular_kinds.contains(&*c.kind) && (!c.apn.is_empty() || !c.number.is_empty() || tty))
    }
    fn connections(&mut self) {
        for (row, c) in self.of(&self.ground.inventory.connections, |c| c.system) {
            // A number of asterisks is the placeholder of a packaged template.
            let template = c.number.chars().all(|n| n == '*') && !c.number.is_empty();
            if !self.is_cellular(c) || template || self.ground.source(self.system, &c.evidence).is_stock() {
                continue;
            }
            let mut keys = vec![format!("peer:{}", c.name)];
            keys.extend(self.node_key(&c.device));
            keys.extend(self.node_key(&c.interface));
            keys.extend((!c.uuid.is_empty()).then(|| format!("uuid:{}", c.uuid)));
            keys.extend(usb_ids(&c.device).into_iter().map(|id| format!("id:{id}")));
            if matches!(&*c.kind, "gsm" | "cdma") && keys.len() < 3 + usize::from(c.uuid.is_empty()) {
                keys.push("unbound".into());
            }
            let mut told = format!("the {} connection {} ({}", c.manager, c.name, c.kind);
            for (word, value) in [("APN", &c.apn), ("number", &c.number), ("device", &c.device)] {
                if !value.is_empty() {
                    told.push_str(&format!(", {word} {value}"));
                }
            }
            told.push(')');
            let (rung, passive) = if let Some(at) = c.last_used {
                told.push_str(&format!(" was last used {at}"));
                (Rung::Used, false)
            } else if c.enabled {
                told.push_str(&format!(" comes up by itself ({})", c.enabled_by.join(", ")));
                (Rung::Enabled, false)
            } else {
                told.push_str(" is set up");
                (Rung::Configured, true)
            };
            let mut raises = Vec::new();
            if c.default_route {
                raises.push(format!("{} may become the default route", c.name));
            }
            raises.extend(
                c.details
                    .iter()
                    .filter(|d| d.starts_with("eventhandler=") || d.to_ascii_lowercase().starts_with("runonreceive="))
                    .map(|d| format!("an incoming message runs a command ({d})")),
            );
            self.pieces.push(Piece {
                rows: vec![(self.ids.connections, row)],
                rung: Some(rung),
                chain: 4,
                keys,
                name: Some((1, format!("connection {}", c.name))),
                told,
                raises,
                passive,
                ..Piece::default()
            });
        }
    }
    fn interfaces(&mut self) {
        let foreign: BTreeSet<&str> = self
            .of(&self.ground.inventory.connections, |c| c.system)
            .into_iter()
            .filter(|(_, c)| !self.is_cellular(c))
            .map(|(_, c)| c.name.as_str())
            .collect();
        for (row, i) in self.of(&self.ground.inventory.interfaces, |i| i.system) {
            let wwan = &*i.kind == "wwan" || i.name.starts_with("wwan");
            let dial = &*i.kind == "ppp" || matches!(i.method.as_str(), "ppp" | "wvdial");
            let peer = i.details.iter().find_map(|d| d.strip_prefix("provider="));
            if !(wwan || dial) || peer.is_some_and(|p| foreign.contains(p)) {
                continue;
            }
            let auto = if i.auto { "comes up by itself" } else { "is set up" };
            let mut keys = vec![format!("if:{}", i.name)];
            keys.extend(self.node_key(&i.name));
            keys.extend(peer.map(|p| format!("peer:{p}")));
            self.pieces.push(Piece {
                rows: vec![(self.ids.interfaces, row)],
                rung: Some(if i.auto { Rung::Enabled } else { Rung::Configured }),
                chain: 4,
                keys,
                name: Some((2, format!("interface {}", i.name))),
                told: format!("the interface {} ({}, {}) {auto}", i.name, i.manager, i.method),
                passive: !i.auto,
                ..Piece::default()
            });
        }
    }
    /// Configuration and state that no table holds, and deleted configuration of a link.
    fn files(&mut self) {
        for (row, f) in self.of(&self.ground.inventory.files, |f| f.system) {
            if &*f.kind == "directory" {
                continue;
            }
            let path = f.path.lossy();
            let name = String::from_utf8_lossy(f.path.file_name()).into_owned();
            let base = Piece { rows: vec![(self.ids.files, row)], chain: 4, ..Piece::default() };
            if f.deleted {
                let stem = name.split('.').next().unwrap_or(&name).to_owned();
                let kept = |c: &Connection| c.name == stem || c.evidence.path == f.path;
                if self.know.link_files.is_match(&path)
                    && !self.of(&self.ground.inventory.connections, |c| c.system).iter().any(|(_, c)| kept(c))
                {
                    self.pieces.push(Piece {
                        rung: Some(Rung::Configured),
                        keys: vec![format!("peer:{stem}")],
                        name: Some((5, format!("deleted {}", f.path))),
                        told: format!("{} was there and is deleted", f.path),
                        passive: true,
                        ..base
                    });
                }
            } else if self.know.files.is_match(&path) && !self.vouched(&f.path).is_stock() && f.size > 0 {
                let used = self.know.used_files.is_match(&path);
                let told = format!(
                    "{} holds {} of a cellular link",
                    f.path,
                    if used { "traces of use" } else { "the configuration" }
                );
                let known = self
                    .of(&self.ground.inventory.connections, |c| c.system)
                    .iter()
                    .any(|(_, c)| c.evidence.path == f.path);
                if known {
                    continue;
                }
                self.pieces.push(Piece {
                    rung: Some(if used { Rung::Used } else { Rung::Configured }),
                    keys: vec![format!("state:{}", String::from_utf8_lossy(f.path.parent()))],
                    name: Some((6, format!("file {}", f.path))),
                    told,
                    ..base
                });
            }
        }
    }
    /// Units, tasks and interface commands that bring a link up.
    fn starts(&mut self) {
        for (row, s) in self.of(&self.ground.inventory.services, |s| s.system) {
            let stem = s.name.trim_end_matches(".service");
            let stock = self.ground.source(self.system, &s.evidence).is_stock() && s.dropins.is_empty();
            let row = (self.ids.services, row);
            if stock {
                if self.know.stock_units.contains(stem) {
                    let how = if s.enabled { "enabled by its package's default" } else { "not enabled" };
                    self.stock.push(Piece {
                        rows: vec![row],
                        chain: 5,
                        told: format!("the service {} ({how})", s.name),
                        ..Piece::default()
                    });
                }
                continue;
            }
            let how =
                if s.enabled { format!("is started by {}", s.enabled_by.join(", ")) } else { "is not enabled".into() };
            self.start(row, &s.commands, s.program.as_ref(), s.enabled, format!("the service {}", s.name), &how);
        }
        for (row, t) in self.of(&self.ground.inventory.tasks, |t| t.system) {
            if !self.ground.source(self.system, &t.evidence).is_stock() {
                let commands = std::slice::from_ref(&t.command);
                let told = format!("the scheduled command '{}'", t.command);
                self.start(
                    (self.ids.tasks, row),
                    commands,
                    t.program.as_ref(),
                    t.enabled,
                    told,
                    &format!("runs at {}", t.schedule),
                );
            }
        }
        for (row, i) in self.of(&self.ground.inventory.interfaces, |i| i.system) {
            let how =
                if i.auto { "runs when the interface comes up, by itself" } else { "runs when the interface comes up" };
            self.start(
                (self.ids.interfaces, row),
                &i.details,
                None,
                i.auto,
                format!("a command of the interface {}", i.name),
                how,
            );
        }
    }
    fn start(
        &mut self,
        row: (usize, usize),
        commands: &[String],
        program: Option<&Name>,
        enabled: bool,
        what: String,
        how: &str,
    ) {
        let mut follows: Vec<String> = program.map(|p| format!("prog:{}", p.lossy())).into_iter().collect();
        let mut dials = None;
        for command in commands {
            if let Some(found) = self.know.commands.captures(command) {
                // nmcli brings up profiles of all kinds: only a known modem profile counts.
                if found.name("nmcli").is_none() {
                    dials = Some(command.clone());
                }
                for peer in ["pon", "call", "wvdial", "nmcli", "ifup"] {
                    follows.extend(found.name(peer).map(|p| format!("peer:{}", p.as_str())));
                }
                follows.extend(found.name("tty").and_then(|t| self.node_key(t.as_str())));
            }
        }
        let known = self.pieces.iter().any(|p| p.keys.iter().any(|k| follows.contains(k)));
        if dials.is_none() && !known {
            return;
        }
        let foreign = self
            .of(&self.ground.inventory.connections, |c| c.system)
            .into_iter()
            .any(|(_, c)| !self.is_cellular(c) && follows.contains(&format!("peer:{}", c.name)));
        if foreign && !known {
            return; // it starts a link of another kind
        }
        let command = dials.map(|d| format!(" ({d})")).unwrap_or_default();
        self.pieces.push(Piece {
            rows: vec![row],
            rung: Some(if enabled { Rung::Enabled } else { Rung::Configured }),
            chain: 5,
            keys: Vec::new(),
            follows: if follows.is_empty() { vec![format!("start:{what}")] } else { follows },
            name: Some((5, subject(&what))),
            told: format!("{what}{command} {how}"),
            passive: !enabled,
            ..Piece::default()
        });
    }
    fn events(&mut self) {
        let ppp_elsewhere = self
            .of(&self.ground.inventory.connections, |c| c.system)
            .iter()
            .any(|(_, c)| matches!(&*c.kind, "pppoe" | "pptp" | "l2tp"));
        for (row, e) in self.of(&self.ground.inventory.events, |e| e.system) {
            let rung = match &*e.class {
                "modem-hardware" => Rung::Seen,
                "modem-use" => Rung::Used,
                _ => continue,
            };
            let keys = self.event_keys(e);
            let unbound =
                !keys.iter().any(|k| k.starts_with("node:") || k.starts_with("id:") || k.starts_with("peer:"));
            if unbound && ppp_elsewhere && e.kind.starts_with("ppp") {
                continue; // ppp that another kind of link explains
            }
            let when = e.time.map(|t| format!("{t} ")).unwrap_or_default();
            let times = if e.count > 1 { format!(", {} times", e.count) } else { String::new() };
            let keys = if unbound { [keys, vec!["unbound-log".to_owned()]].concat() } else { keys };
            self.pieces.push(Piece {
                rows: vec![(self.ids.events, row)],
                rung: Some(rung),
                chain: 6,
                keys,
                name: Some((7, "log records of a modem".into())),
                told: format!("{when}{}: {}{times}", e.program, e.text),
                ..Piece::default()
            });
        }
    }
    fn event_keys(&self, e: &Event) -> Vec<String> {
        let field = |name: &str| e.fields.iter().find_map(|f| f.strip_prefix(name)).filter(|v| !v.is_empty());
        let mut keys = Vec::new();
        if let (Some(vid), Some(pid)) = (field("vid="), field("pid=")) {
            keys.push(format!("id:{vid}:{pid}"));
        }
        for name in ["tty=", "node=", "dev=", "device=", "if=", "interface=", "port="] {
            keys.extend(field(name).and_then(|v| self.node_key(v)));
        }
        for name in ["drv=", "driver="] {
            keys.extend(field(name).map(|d| format!("driver-of:{}", d.replace('-', "_"))));
        }
        keys.extend(field("connection=").map(|c| format!("peer:{c}")));
        keys.extend(field("uuid=").map(|u| format!("uuid:{u}")));
        keys
    }
    /// What raises every configured link of the system: forwarding, and firewall rules for its interfaces.
    fn context(&mut self) {
        let mut around = Vec::new();
        for (row, s) in self.of(&self.ground.inventory.settings, |s| s.system) {
            if &*s.program == "sysctl"
                && s.effective
                && s.value == "1"
                && s.name.replace('/', ".").ends_with("ip_forward")
            {
                around.push((self.ids.settings, row, format!("{} forwards packets between networks", s.name)));
            }
        }
        for (row, f) in self.of(&self.ground.inventory.firewall, |f| f.system) {
            if self.know.interfaces.is_match(&f.rule)
                && matches!(&*f.action, "accept" | "masquerade" | "snat" | "dnat" | "forward")
            {
                around.push((self.ids.firewall, row, format!("a firewall rule for the link's interface ({})", f.rule)));
            }
        }
        for (id, row, told) in around {
            self.pieces.push(Piece {
                rows: vec![(id, row)],
                chain: 7,
                follows: vec!["context".into()],
                raises: vec![told.clone()],
                told,
                ..Piece::default()
            });
        }
    }
    fn links(self) -> Vec<Link> {
        let (context, pieces): (Vec<Piece>, Vec<Piece>) = self.pieces.into_iter().partition(|p| p.chain == 7);
        let mut links = join(pieces);
        bind(&mut links, "unbound");
        bind(&mut links, "unbound-log");
        links.retain(|l| l.rung().is_some());
        for link in links.iter_mut().filter(|l| l.rung() >= Some(Rung::Configured)) {
            link.pieces.extend(context.iter().cloned());
        }
        // What packages ship belongs to a link that uses it, else to the one line about stock support.
        let stock: Vec<Piece> = self
            .stock
            .into_iter()
            .map(|p| Piece { rung: Some(Rung::Capable), name: Some((9, CAPABLE.to_owned())), ..p })
            .collect();
        let mut rest = Vec::new();
        for piece in stock {
            let mut used = false;
            for link in &mut links {
                let serves = link.pieces.iter().any(|p| {
                    p.keys.iter().any(|k| piece.follows.contains(k)) || p.keys.iter().any(|k| piece.keys.contains(k))
                });
                if serves && link.rung() > Some(Rung::Capable) {
                    link.pieces.push(piece.clone());
                    used = true;
                }
            }
            if !used {
                rest.push(piece);
            }
        }
        if !rest.is_empty() {
            links.push(Link { pieces: rest });
        }
        one_a_name(links)
    }
}

/// A profile without a device, and log lines without one, belong to the only modem there is.
fn bind(links: &mut Vec<Link>, key: &str) {
    let is_hardware =
        |l: &Link| (l.has("id:") || l.has("node:")) && !l.pieces.iter().any(|p| p.keys.iter().any(|k| k == key));
    let loose: Vec<usize> = links
        .iter()
        .enumerate()
        .filter(|(_, l)| l.pieces.iter().any(|p| p.keys.iter().any(|k| k == key)) && !(l.has("id:") || l.has("node:")))
        .map(|(at, _)| at)
        .collect();
    let hardware: Vec<usize> = links
        .iter()
        .enumerate()
        .filter(|(_, l)| is_hardware(l) && l.rung() >= Some(Rung::Configured))
        .map(|(at, _)| at)
        .collect();
    if let (&[target], false) = (hardware.as_slice(), loose.is_empty()) {
        let mut moved = Vec::new();
        for at in loose.into_iter().rev() {
            moved.push((at, links.remove(at)));
        }
        let target = target - moved.iter().filter(|(at, _)| *at < target).count();
        if let Some(link) = links.get_mut(target) {
            for (_, other) in moved.into_iter().rev() {
                link.absorb(other);
            }
        }
    }
}

/// `vvvv:pppp` pairs in a text, also as `vendor=0xvvvv product=0xpppp` and `vvvv pppp`.
pub(super) fn usb_ids(text: &str) -> Vec<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|w| w.strip_prefix("0x").unwrap_or(w).to_ascii_lowercase())
        .collect();
    let hex = |w: &&String| w.len() == 4 && w.bytes().all(|b| b.is_ascii_hexdigit());
    let found: Vec<&String> = words.iter().filter(hex).collect();
    found.chunks_exact(2).filter_map(|p| Some(format!("{}:{}", p.first()?, p.get(1)?))).collect()
}

/// In a temporary folder, or below a name that begins with a dot.
pub(super) fn off_the_path(path: &Name) -> bool {
    let text = path.lossy();
    ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/"].iter().any(|p| text.starts_with(p)) || text.contains("/.")
}
