//! Ways in and out for people and programs elsewhere: start → program → identity → configuration →
//! keys → records, one finding a path. Programs are recognised by what they are built from,
//! whatever they are called.
mod abilities;
mod starts;
mod windows;

use super::facts::{Tool, Tools, Traces};
use super::frame::{Link, Piece, join, one_a_name};
use super::ground::{Ground, Vouched};
use super::modem::{is_packaging, off_the_path};
use super::tables::{Ids, RemoteLook};
use crate::base::{Evidence, Name};
use crate::inventory::{Binary, Connection};
use crate::judge::draft::Draft;
use crate::judge::finding::Rung;
use crate::judge::knowledge::Knowledge;
use crate::judge::unexamined::host_of;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// All paths of all systems.
pub(super) fn findings(knowledge: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    let tools = &*knowledge.facts().tools;
    let traces = &*knowledge.facts().traces;
    let weak_events = &*knowledge.facts().weak_events;
    let mut drafts = Vec::new();
    for system in &ground.systems {
        let mut view = View {
            tools,
            traces,
            weak_events,
            ground,
            look: ground.look(),
            ids: Ids::new(),
            system: *system,
            pieces: Vec::new(),
            stock: Vec::new(),
        };
        view.programs();
        view.runners();
        view.packages();
        view.connections();
        view.hosts();
        view.files();
        view.starts();
        view.listeners();
        view.events();
        view.sessions();
        view.context();
        drafts.extend(view.links().into_iter().filter_map(|l| l.draft(knowledge, rule, *system)));
    }
    drafts
}

const CAPABLE: &str = "stock remote access";
/// Connections that lead to another network over a carrier of another kind.
const KINDS: &[&str] = &[
    "vpn",
    "wireguard",
    "tunnel",
    "pptp",
    "l2tp",
    "overlay",
    "proxy",
    "ssh",
    "remote-desktop",
    "remote-control",
    "mqtt-bridge",
];
/// Constructs of scripts, as their reader names them, that do.
const CONSTRUCTS: &[&str] = &["ssh -R", "ssh -w", "ssh -D", "socat exec", "/dev/tcp/", "nc -e"];

struct View<'a> {
    tools: &'a Tools,
    traces: &'a Traces,
    weak_events: &'a BTreeSet<String>,
    ground: &'a Ground<'a>,
    look: RemoteLook<'a>,
    ids: Ids,
    system: Option<u32>,
    pieces: Vec<Piece>,
    stock: Vec<Piece>,
}

/// How a program was recognised.
struct Identity<'t> {
    tool: &'t Tool,
    /// In words; empty where only its path says so.
    by: String,
}

/// The line in which something was read.
fn line_key(e: &Evidence) -> String {
    format!("line:{}:{}", e.path.lossy(), e.line.unwrap_or(0))
}

/// The name under which the settings of an SSH client know a far end.
fn ssh_host(c: &Connection) -> Option<&str> {
    c.name.strip_suffix(']')?.rsplit_once('[').map(|(_, host)| host).filter(|_| &*c.manager == "ssh")
}

fn key(tool: &Tool) -> String {
    format!("tool:{}", tool.id)
}

impl<'a> View<'a> {
    fn of<'r, T>(&self, rows: &'r [T], system: impl Fn(&T) -> Option<u32>) -> Vec<(usize, &'r T)> {
        rows.iter().enumerate().filter(|(_, r)| system(r) == self.system).collect()
    }
    fn vouched(&self, path: &Name) -> Vouched {
        self.ground.vouched(self.system, path)
    }
    /// A server that stands where another one usually does is as ordinary as that one, if that one is not there too.
    fn is_stock(&self, tool: &Tool) -> bool {
        let alone = |other: &String| self.ground.file(self.system, &Name::from(other.as_str())).is_none();
        tool.stock || tool.in_place_of.as_ref().is_some_and(alone)
    }
    fn identity(&self, b: &Binary, vouched: Vouched) -> Option<Identity<'a>> {
        let tools = self.tools;
        if let Some(tool) = tools.by_go(&b.go_module) {
            return Some(Identity { tool, by: format!("its Go main module is {}", b.go_module) });
        }
        if let Some(tool) = tools.by_program(&b.path.lossy()) {
            return Some(Identity { tool, by: String::new() });
        }
        let traced = self.traces.identify(&b.traces).and_then(|(id, trace)| Some((tools.by_id(id)?, trace)));
        let packaged = self.ground.package(self.system, &b.path).and_then(|p| tools.by_package(p));
        if &*b.format == "pe"
            && self.ground.is_windows(self.system)
            && let Some(tool) = tools.by_windows_program(&b.path.lossy())
        {
            return Some(Identity { tool, by: "its file is called like that program's".to_owned() });
        }
        // In a packaged program a telling string or library may be there for a hundred reasons.
        if vouched == Vouched::Owned {
            let both = traced.filter(|(tool, _)| packaged.is_some_and(|p| p.id == tool.id));
            return both.map(|(tool, _)| Identity { tool, by: String::new() });
        }
        if let Some((tool, name)) = b.rust_crates.iter().find_map(|c| Some((tools.by_crate(c)?, c))) {
            return Some(Identity { tool, by: format!("it is built from the Rust crate {name}") });
        }
        if let Some((tool, trace)) = traced {
            return Some(Identity { tool, by: format!("it holds the strings of {trace}") });
        }
        let (tool, name) = b.go_deps.iter().find_map(|d| Some((tools.by_go(d.split(' ').next()?)?, d)))?;
        Some(Identity { tool, by: format!("it is built from the Go module {name}") })
    }
    fn programs(&mut self) {
        for (row, b) in self.of(self.look.binaries, |b| b.system) {
            if matches!(&*b.kind, "relocatable" | "core") || !b.covered.is_empty() {
                continue;
            }
            let vouched = self.vouched(&b.path);
            if &*b.format == "script" && vouched != Vouched::Owned && !is_packaging(&b.path) {
                self.script(row, b, vouched);
            }
            let Some(Identity { tool, by }) = self.identity(b, vouched) else {
                self.abilities(row, b, vouched);
                continue;
            };
            let mut rows = vec![(self.ids.binaries, row)];
            rows.extend(self.ground.file(self.system, &b.path).map(|(f, _)| (self.ids.files, f)));
            let base = Piece {
                rows,
                chain: 1,
                keys: vec![format!("prog:{}", b.path.lossy()), key(tool)],
                name: Some((3, tool.name.clone())),
                ..Piece::default()
            };
            if vouched == Vouched::Owned {
                let package = self.ground.package(self.system, &b.path).unwrap_or("?");
                let told = format!("{} of the package {package}", b.path);
                if self.is_stock(tool) {
                    self.stock.push(Piece { told, ..base });
                } else {
                    self.pieces.push(Piece { rung: Some(Rung::Installed), told, ..base });
                }
                continue;
            }
            let mut told = format!("the program {} is {} ({})", b.path, tool.name, tool.class);
            if !by.is_empty() {
                let _ = write!(told, ": {by}");
            }
            let named = String::from_utf8_lossy(b.path.file_name()).to_ascii_lowercase();
            let same = tool
                .name
                .to_ascii_lowercase()
                .split(|c: char| !c.is_alphanumeric())
                .any(|w| w.len() > 1 && named.contains(w));
            if !by.is_empty() && !same && !named.contains(&tool.id) {
                told.push_str("; its name differs from the identified program");
            }
            let _ = write!(told, "; it is {}", vouched.words());
            let raises = if off_the_path(&b.path) {
                vec![format!("the program {} lies off the usual paths", b.path)]
            } else {
                Vec::new()
            };
            self.pieces.push(Piece {
                rung: Some(if vouched.is_altered() { Rung::Altered } else { Rung::Installed }),
                told,
                raises,
                name: Some((0, format!("program {}", b.path))),
                ..base
            });
        }
    }
    /// Scripts of nobody's package that run one of the programs found.
    fn runners(&mut self) {
        for (row, b) in self.of(self.look.binaries, |b| b.system) {
            if b.runs.is_empty() || !b.covered.is_empty() || is_packaging(&b.path) {
                continue;
            }
            let runs: Vec<String> = b.runs.iter().map(|r| format!("prog:{r}")).collect();
            let known: Vec<&String> = runs.iter().filter(|r| self.pieces.iter().any(|p| p.keys.contains(r))).collect();
            let vouched = self.vouched(&b.path);
            if known.is_empty() || vouched == Vouched::Owned {
                continue;
            }
            let own = format!("prog:{}", b.path.lossy());
            let named: Vec<&str> = known.iter().filter_map(|k| k.strip_prefix("prog:")).collect();
            let told = format!("the script {} runs {}; it is {}", b.path, named.join(", "), vouched.words());
            let keys = known.into_iter().cloned().chain([own]).collect();
            let rows = vec![(self.ids.binaries, row)];
            self.pieces.push(Piece { rows, chain: 1, keys, told, passive: true, ..Piece::default() });
        }
    }
    /// A script that carries ports or shells elsewhere, by its own text.
    fn script(&mut self, row: usize, b: &Binary, vouched: Vouched) {
        let has = |name: &str| b.imports.iter().any(|i| i == name);
        let mut telling: Vec<&str> = b.imports.iter().map(String::as_str).filter(|i| CONSTRUCTS.contains(i)).collect();
        // Either alone is in a thousand harmless scripts.
        if has("socket") && (has("shell spawned") || has("pty.spawn")) {
            telling.push("a socket and a shell");
        }
        if telling.is_empty() {
            return;
        }
        let mut rows = vec![(self.ids.binaries, row)];
        rows.extend(self.ground.file(self.system, &b.path).map(|(f, _)| (self.ids.files, f)));
        self.pieces.push(Piece {
            rows,
            rung: Some(Rung::Configured),
            chain: 1,
            keys: vec![format!("prog:{}", b.path.lossy())],
            name: Some((0, format!("program {}", b.path))),
            told: format!("the script {} holds {}; it is {}", b.path, telling.join(", "), vouched.words()),
            passive: true,
            ..Piece::default()
        });
    }
    fn packages(&mut self) {
        for (row, p) in self.of(self.look.packages, |p| p.system) {
            let gone = !p.state.is_empty() && !p.state.ends_with(" installed");
            let by_name = match &*p.manager {
                "windows" => self.tools.by_windows_installed(&p.name),
                _ => self.tools.by_package(&p.name),
            };
            let Some(tool) = by_name.filter(|_| !gone) else { continue };
            let piece = Piece {
                rows: vec![(self.ids.packages, row)],
                chain: 1,
                keys: vec![key(tool)],
                name: Some((3, tool.name.clone())),
                told: format!("the package {} {} ({}) is installed", p.name, p.version, tool.class),
                ..Piece::default()
            };
            if self.is_stock(tool) {
                self.stock.push(piece);
            } else {
                self.pieces.push(Piece { rung: Some(Rung::Installed), ..piece });
            }
        }
    }
    fn connections(&mut self) {
        for (row, c) in self.of(self.look.connections, |c| c.system) {
            let tool = self.tools.by_id(&c.manager);
            let ours = KINDS.contains(&&*c.kind) || tool.is_some_and(|t| !t.stock);
            if !ours || self.ground.source(self.system, &c.evidence).is_stock() {
                continue;
            }
            let to = if c.endpoints.is_empty() { String::new() } else { format!(" to {}", c.endpoints.join(", ")) };
            let mut told = format!("the {} connection {} ({}){to}", c.manager, c.name, c.kind);
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
            if !c.secrets.is_empty() {
                let _ = write!(told, ", with a stored {}", c.secrets.join(", "));
            }
            let at = c.evidence.path.lossy();
            let mut keys = vec![format!("peer:{}", c.name), line_key(&c.evidence)];
            keys.extend(ssh_host(c).map(|host| format!("ssh:{host}")));
            keys.extend((!matches!(c.interface.as_str(), "" | "tun" | "tap")).then(|| format!("peer:{}", c.interface)));
            // A file may hold several; a unit is one start, whatever it runs.
            let alone = self.look.connections.iter().filter(|o| o.evidence.path == c.evidence.path).count() == 1;
            if alone || at.ends_with(".service") {
                keys.push(format!("file:{at}"));
            }
            // The one tunnel that a script sets up is what the script is told for.
            if alone && &*c.manager == "command" {
                keys.push(format!("prog:{at}"));
            }
            keys.extend(tool.map(key));
            keys.extend(c.endpoints.iter().map(|e| format!("host:{}", host_of(e))));
            let raises =
                if c.default_route { vec![format!("{} may become the default route", c.name)] } else { Vec::new() };
            self.pieces.push(Piece {
                rows: vec![(self.ids.connections, row)],
                rung: Some(rung),
                chain: 2,
                keys,
                // What a command line sets up has no name of its own: what runs it has.
                name: Some((if c.name.starts_with(&*at) { 3 } else { 1 }, format!("connection {}", c.name))),
                told,
                raises,
                passive,
                ..Piece::default()
            });
        }
    }
    /// Hosts of services for remote access that configuration names, wherever it names them.
    fn hosts(&mut self) {
        let mut seen = BTreeSet::new();
        for (row, e) in self.of(self.look.endpoints, |e| e.system) {
            let Some(tool) = self.tools.by_host(&e.host).filter(|t| !t.stock) else { continue };
            // A connection tells its own far end, and a package's own settings say nothing of this machine.
            if &*e.told == "connections" || self.ground.source(self.system, &e.evidence).is_stock() {
                continue;
            }
            let at = e.evidence.path.lossy();
            if !seen.insert((tool.id.clone(), e.host.clone(), at.clone())) {
                continue;
            }
            let line = e.evidence.line.map(|l| format!(", line {l},")).unwrap_or_default();
            self.pieces.push(Piece {
                rows: vec![(self.ids.endpoints, row)],
                rung: Some(Rung::Configured),
                chain: 2,
                keys: vec![key(tool), format!("host:{}", host_of(&e.host)), line_key(&e.evidence)],
                name: Some((4, tool.name.clone())),
                told: format!("{}{line} names {}, a host of {} ({})", e.evidence.path, e.host, tool.name, tool.class),
                passive: true,
                ..Piece::default()
            });
        }
    }
    fn files(&mut self) {
        for (row, f) in self.of(self.look.files, |f| f.system) {
            if f.deleted || &*f.kind == "directory" || !f.covered.is_empty() {
                continue;
            }
            // The patterns are many; all of them begin with one of these.
            let path = f.path.lossy();
            if !["/etc/", "/var/lib/", "/opt/", "/root/", "/home/"].iter().any(|p| path.starts_with(p)) {
                continue;
            }
            // What a super-server starts has rows of its own; its list alone lets nobody in.
            let tool = self.tools.by_file(&path).filter(|t| !t.stock && t.class != "superserver");
            let Some(tool) = tool else { continue };
            let program = matches!(&*f.content, "elf") || f.mode.is_executable();
            if program
                || f.size == 0
                || self.vouched(&f.path).is_stock()
                || self.pieces.iter().any(|p| p.keys.contains(&format!("file:{path}")))
            {
                continue;
            }
            self.pieces.push(Piece {
                rows: vec![(self.ids.files, row)],
                rung: Some(Rung::Configured),
                chain: 2,
                keys: vec![key(tool)],
                name: Some((4, tool.name.clone())),
                told: format!("{} holds settings or state of {}", f.path, tool.name),
                passive: true,
                ..Piece::default()
            });
        }
    }
    fn links(self) -> Vec<Link> {
        let mut links = join(self.pieces);
        links.retain(|l| l.rung().is_some());
        for link in &mut links {
            link.own_records();
            // A default start counts once there is something of this machine that it starts.
            if link.pieces.iter().any(|p| p.rung == Some(Rung::Configured)) {
                for piece in
                    link.pieces.iter_mut().filter(|p| p.rung == Some(Rung::Installed) && p.chain == 0 && !p.passive)
                {
                    piece.rung = Some(Rung::Enabled);
                }
            }
        }
        let mut rest = Vec::new();
        for piece in self.stock {
            let piece = Piece { rung: Some(Rung::Capable), name: Some((9, CAPABLE.to_owned())), ..piece };
            match links.iter_mut().find(|l| l.pieces.iter().any(|p| p.keys.iter().any(|k| piece.keys.contains(k)))) {
                Some(link) => link.pieces.push(piece),
                None => rest.push(piece),
            }
        }
        if !rest.is_empty() {
            links.push(Link { pieces: rest });
        }
        one_a_name(links)
    }
}
