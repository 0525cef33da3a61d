//! Programs and packages that set links up, the connections themselves, and files that belong to them.
use super::{INSTALLED, View, is_packaging, line_key, off_the_path, usb_ids};
use crate::inventory::{Binary, Connection, Interface, Start};
use crate::judge::finding::Rung;
use crate::judge::links::frame::Piece;
use crate::judge::links::ground::Vouched;
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl View<'_> {
    pub(super) fn programs(&mut self) {
        for (row, b) in self.of(self.look.binaries, |b| b.system) {
            let file_name = String::from_utf8_lossy(b.path.file_name()).into_owned();
            let vouched = self.vouched(&b.path);
            if is_packaging(&b.path) || !b.covered.is_empty() {
                continue;
            }
            if &*b.format == "script" && vouched != Vouched::Owned {
                self.script(row, b, vouched);
                continue;
            }
            let traced = self.traces.identify(&b.traces).filter(|(tool, _)| self.traces.is_modem(tool)).map(|(_, t)| t);
            let dialer = self.know.dialers.contains(&file_name);
            if !dialer && traced.is_none() && !self.know.managers.contains(&file_name) {
                continue;
            }
            if vouched == Vouched::Owned {
                continue; // its package speaks for it
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
    /// A script that speaks to a modem: it names both a device or tool and what to say to it.
    fn script(&mut self, row: usize, b: &Binary, vouched: Vouched) {
        let has = |what: &str| b.imports.iter().any(|i| i == what);
        let dials = has("pppd") || has("modem manager") || (has("modem device") && has("AT command"));
        // The command that a script describes is a start of its own, which tells more.
        let handed = |s: &Start| {
            s.system == self.system
                && &*s.by == "procd"
                && s.evidence.path == b.path
                && self.know.commands.is_match(&s.command)
        };
        if !dials || self.look.starts.iter().any(handed) {
            return;
        }
        let mut rows = vec![(self.ids.binaries, row)];
        rows.extend(self.ground.file(self.system, &b.path).map(|(f, _)| (self.ids.files, f)));
        self.pieces.push(Piece {
            rows,
            rung: Some(Rung::Configured),
            chain: 3,
            keys: vec![format!("prog:{}", b.path.lossy())],
            name: Some((2, format!("program {}", b.path))),
            told: format!("the script {} drives a modem ({}); it is {}", b.path, b.imports.join(", "), vouched.words()),
            passive: true,
            ..Piece::default()
        });
    }
    pub(super) fn packages(&mut self) {
        for (row, p) in self.of(self.look.packages, |p| p.system) {
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
    pub(super) fn is_cellular(&self, c: &Connection) -> bool {
        let tty = self.node_key(&c.device).is_some();
        self.know.connection_kinds.contains(&*c.kind)
            || (!self.know.not_cellular_kinds.contains(&*c.kind) && (!c.apn.is_empty() || !c.number.is_empty() || tty))
    }
    pub(super) fn connections(&mut self) {
        for (row, c) in self.of(self.look.connections, |c| c.system) {
            // A number of asterisks is the placeholder of a packaged template.
            let template = c.number.chars().all(|n| n == '*') && !c.number.is_empty();
            if !self.is_cellular(c) || template || self.ground.source(self.system, &c.evidence).is_stock() {
                continue;
            }
            let mut keys = vec![format!("peer:{}", c.name), line_key(&c.evidence)];
            if c.evidence.path.bytes().ends_with(b".service") {
                keys.push(format!("unit:{}", c.evidence.path.lossy()));
            }
            // The one link that a script sets up is what the script is told for.
            let beside = |o: &&Connection| o.system == c.system && o.evidence.path == c.evidence.path;
            let by_line = || c.name.strip_prefix(&*c.evidence.path.lossy()).is_some_and(|rest| rest.starts_with(':'));
            if (&*c.manager == "command" || by_line()) && self.look.connections.iter().filter(beside).count() == 1 {
                keys.push(format!("prog:{}", c.evidence.path.lossy()));
            }
            keys.extend(self.node_key(&c.device));
            keys.extend(self.node_key(&c.interface));
            keys.extend((!c.uuid.is_empty()).then(|| format!("uuid:{}", c.uuid)));
            keys.extend(usb_ids(&c.device).into_iter().map(|id| format!("id:{id}")));
            if matches!(&*c.kind, "gsm" | "cdma") && self.node_key(&c.device).is_none() && usb_ids(&c.device).is_empty()
            {
                keys.push("unbound".into());
            }
            let mut told = format!("the {} connection {} ({}", c.manager, c.name, c.kind);
            for (word, value) in [("APN", &c.apn), ("number", &c.number), ("device", &c.device)] {
                if !value.is_empty() {
                    let _ = write!(told, ", {word} {value}");
                }
            }
            told.push(')');
            let (rung, passive) = if let Some(at) = c.last_used {
                let _ = write!(told, " was last used {at}");
                (Rung::Used, false)
            } else if c.enabled {
                let _ = write!(told, " comes up by itself ({})", c.enabled_by.join(", "));
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
                // What a command line sets up has no name of its own: what runs it has.
                name: Some((if c.name.starts_with('/') { 6 } else { 1 }, format!("connection {}", c.name))),
                told,
                raises,
                passive,
                ..Piece::default()
            });
        }
    }
    /// The connections that an interface's own file sets up over it.
    fn same_file(&self, i: &Interface) -> Vec<&Connection> {
        let all = self.look.connections.iter().filter(|c| c.system == self.system && c.interface == i.name);
        all.filter(|c| !i.name.is_empty() && c.evidence.path == i.evidence.path).collect()
    }
    pub(super) fn interfaces(&mut self) {
        let foreign: BTreeSet<&str> = self
            .of(self.look.connections, |c| c.system)
            .into_iter()
            .filter(|(_, c)| !self.is_cellular(c))
            .map(|(_, c)| c.name.as_str())
            .collect();
        for (row, i) in self.of(self.look.interfaces, |i| i.system) {
            let wwan = &*i.kind == "wwan" || i.name.starts_with("wwan");
            let dial = &*i.kind == "ppp" || matches!(i.method.as_str(), "ppp" | "wvdial");
            // A peer of pppd, a section of wvdial.
            let peer =
                i.details.iter().find_map(|d| ["provider=", "wvdialsect="].iter().find_map(|k| d.strip_prefix(k)));
            if !(wwan || dial) || peer.is_some_and(|p| foreign.contains(p)) {
                continue;
            }
            let same = self.same_file(i);
            if !wwan && !same.is_empty() && same.iter().all(|c| !self.is_cellular(c)) {
                continue; // DSL, a tunnel: the connection in its file says so
            }
            let auto = if i.auto { "comes up by itself" } else { "is set up" };
            let mut keys = vec![format!("if:{}", i.name)];
            keys.extend(self.node_key(&i.name));
            keys.extend(peer.map(|p| format!("peer:{p}")));
            keys.extend(same.iter().filter(|c| self.is_cellular(c)).map(|c| format!("peer:{}", c.name)));
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
    pub(super) fn files(&mut self) {
        for (row, f) in self.of(self.look.files, |f| f.system) {
            if &*f.kind == "directory" || !f.covered.is_empty() {
                continue;
            }
            let path = f.path.lossy();
            // All patterns begin with one of these.
            if !path.starts_with("/etc/") && !path.starts_with("/var/") {
                continue;
            }
            let name = String::from_utf8_lossy(f.path.file_name()).into_owned();
            let base = Piece { rows: vec![(self.ids.files, row)], chain: 4, ..Piece::default() };
            if f.deleted {
                let stem = name.split('.').next().unwrap_or(&name).to_owned();
                let kept = |c: &Connection| c.name == stem || c.evidence.path == f.path;
                if self.know.link_files.is_match(&path)
                    && !self.of(self.look.connections, |c| c.system).iter().any(|(_, c)| kept(c))
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
                let known = self.of(self.look.connections, |c| c.system).iter().any(|(_, c)| c.evidence.path == f.path);
                if known {
                    continue;
                }
                self.pieces.push(Piece {
                    rung: Some(if used { Rung::Used } else { Rung::Configured }),
                    keys: vec![format!("state:{}", String::from_utf8_lossy(f.path.parent())), format!("file:{path}")],
                    name: Some((6, format!("file {}", f.path))),
                    told,
                    ..base
                });
            }
        }
    }
}
