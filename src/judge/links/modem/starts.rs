//! What brings links up, what the logs recorded of them, and what surrounds them.
use super::{View, line_key};
use crate::base::Name;
use crate::inventory::{Event, Interface};
use crate::judge::finding::Rung;
use crate::judge::links::frame::{Piece, subject};
use crate::judge::links::periods;

impl View<'_> {
    /// Units, tasks and interface commands that bring a link up.
    pub(super) fn starts(&mut self) {
        for (row, s) in self.of(self.look.services, |s| s.system) {
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
            // A list of starts holds several: the line tells which.
            let mut follows = vec![format!("unit:{}", s.evidence.path.lossy()), line_key(&s.evidence)];
            follows.extend(s.program.as_ref().map(program_key));
            self.start(row, follows, &s.commands, s.enabled, &format!("the service {}", s.name), &how);
        }
        for (row, t) in self.of(self.look.tasks, |t| t.system) {
            if !self.ground.source(self.system, &t.evidence).is_stock() {
                let commands = std::slice::from_ref(&t.command);
                let mut follows = vec![line_key(&t.evidence)];
                follows.extend(t.program.as_ref().map(program_key));
                let told = format!("the scheduled command '{}'", t.command);
                self.start(
                    (self.ids.tasks, row),
                    follows,
                    commands,
                    t.enabled,
                    &told,
                    &format!("runs at {}", t.schedule),
                );
            }
        }
        for (row, s, how) in self.ground.own_starts(self.system, self.look.starts) {
            let mut follows = vec![line_key(&s.evidence)];
            follows.extend(s.program.as_ref().map(program_key));
            let commands = std::slice::from_ref(&s.command);
            let told = format!("the start of {} by {}", s.name, s.by);
            self.start((self.ids.starts, row), follows, commands, s.enabled, &told, &how);
        }
        // The details of ifcfg are variables; its scripts are starts of their own.
        let with_commands = |i: &&Interface| &*i.manager != "ifcfg";
        for (row, i) in self.of(self.look.interfaces, |i| i.system).into_iter().filter(|(_, i)| with_commands(i)) {
            let how =
                if i.auto { "runs when the interface comes up, by itself" } else { "runs when the interface comes up" };
            self.start(
                (self.ids.interfaces, row),
                vec![line_key(&i.evidence)],
                &i.details,
                i.auto,
                &format!("a command of the interface {}", i.name),
                how,
            );
        }
    }
    fn start(
        &mut self,
        row: (usize, usize),
        mut follows: Vec<String>,
        commands: &[String],
        enabled: bool,
        what: &str,
        how: &str,
    ) {
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
            .of(self.look.connections, |c| c.system)
            .into_iter()
            .any(|(_, c)| !self.is_cellular(c) && follows.contains(&format!("peer:{}", c.name)));
        if foreign && !known {
            return; // it starts a link of another kind
        }
        let command = dials.map(|d| format!(" ({d})")).unwrap_or_default();
        let (programs, unvouched) = self.ground.unvouched(self.system, &follows);
        let mut rows = vec![row];
        rows.extend(programs.into_iter().map(|f| (self.ids.files, f)));
        self.pieces.push(Piece {
            rows,
            rung: Some(if enabled { Rung::Enabled } else { Rung::Configured }),
            chain: 5,
            keys: Vec::new(),
            follows: if follows.is_empty() { vec![format!("start:{what}")] } else { follows },
            name: Some((5, subject(what))),
            told: format!("{what}{command} {how}{unvouched}"),
            passive: !enabled,
            ..Piece::default()
        });
    }
    pub(super) fn events(&mut self) {
        let ppp_elsewhere = self
            .of(self.look.connections, |c| c.system)
            .iter()
            .any(|(_, c)| matches!(&*c.kind, "pppoe" | "pptp" | "l2tp"));
        for (row, e) in self.of(self.look.events, |e| e.system) {
            let rung = match &*e.class {
                "modem-hardware" => Rung::Seen,
                "modem-use" => Rung::Used,
                _ => continue,
            };
            if self.weak_events.contains(&*e.kind) {
                continue;
            }
            let keys = self.event_keys(e);
            let unbound =
                !keys.iter().any(|k| k.starts_with("node:") || k.starts_with("id:") || k.starts_with("peer:"));
            if unbound && ppp_elsewhere && e.kind.starts_with("ppp") {
                continue; // ppp that another kind of link explains
            }
            let when = e.time.map(|t| format!("{t} ")).unwrap_or_default();
            let lowers: Vec<String> = periods::foreign(&e.recorded_as).into_iter().collect();
            let times = if e.count > 1 { format!(", {} times", e.count) } else { String::new() };
            let keys = if unbound { [keys, vec!["unbound-log".to_owned()]].concat() } else { keys };
            self.pieces.push(Piece {
                rows: vec![(self.ids.events, row)],
                rung: Some(rung),
                chain: 6,
                keys,
                name: Some((7, "log records of a modem".into())),
                told: format!("{when}{}: {}{times}", e.program, e.text),
                lowers,
                ..Piece::default()
            });
        }
    }
    /// Periods of use: the highest rung, with start and end.
    pub(super) fn sessions(&mut self) {
        for (row, s) in self.of(self.look.sessions, |s| s.system) {
            if &*s.kind != "modem" {
                continue;
            }
            let mut keys: Vec<String> =
                [&s.device, &s.interface].iter().flat_map(|n| n.split(", ")).filter_map(|n| self.node_key(n)).collect();
            keys.extend((!s.connection.is_empty()).then(|| format!("peer:{}", s.connection)));
            if !keys.iter().any(|k| k.starts_with("node:")) {
                keys.push("unbound-log".to_owned());
            }
            let (told, lowers) = (periods::told(s), periods::foreign(&s.recorded_as).into_iter().collect());
            self.pieces.push(Piece {
                rows: vec![(self.ids.sessions, row)],
                rung: Some(Rung::Used),
                chain: 6,
                keys,
                name: Some((7, "log records of a modem".into())),
                told,
                lowers,
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
    pub(super) fn context(&mut self) {
        let mut around = Vec::new();
        for (row, s) in self.of(self.look.settings, |s| s.system) {
            if &*s.program == "sysctl"
                && s.effective
                && s.value == "1"
                && s.name.replace('/', ".").ends_with("ip_forward")
            {
                around.push((self.ids.settings, row, format!("{} forwards packets between networks", s.name)));
            }
        }
        for (row, f) in self.of(self.look.firewall, |f| f.system) {
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
}

fn program_key(program: &Name) -> String {
    format!("prog:{}", program.lossy())
}
