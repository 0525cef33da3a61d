//! Ways in and out for people and programs elsewhere: start → program → identity → configuration →
//! keys → records, one finding a path. Programs are recognised by what they are built from,
//! whatever they are called.
use super::facts::{Tool, Tools, Traces};
use super::frame::{Link, Piece, join, one_a_name, subject};
use super::ground::{Ground, Vouched};
use super::modem::off_the_path;
use super::tables::Ids;
use crate::base::Name;
use crate::inventory::Binary;
use crate::judge::draft::Draft;
use crate::judge::finding::Rung;
use crate::judge::knowledge::Knowledge;
use crate::judge::unexamined::host_of;
use regex::Regex;
use std::sync::LazyLock;

/// All paths of all systems.
pub(super) fn findings(knowledge: &Knowledge, ground: &Ground<'_>, rule: usize) -> Vec<Draft> {
    let tools = &*knowledge.facts().tools;
    let traces = &*knowledge.facts().traces;
    let mut drafts = Vec::new();
    for system in &ground.systems {
        let mut view =
            View { tools, traces, ground, ids: Ids::new(), system: *system, pieces: Vec::new(), stock: Vec::new() };
        view.programs();
        view.packages();
        view.connections();
        view.files();
        view.starts();
        view.listeners();
        view.events();
        view.context();
        drafts.extend(view.links().into_iter().filter_map(|l| l.draft(knowledge, rule, *system)));
    }
    drafts
}

const CAPABLE: &str = "stock remote access";
/// Connections that lead to another network over a carrier of another kind.
const KINDS: &[&str] = &["vpn", "wireguard", "tunnel", "pptp", "l2tp", "overlay", "proxy", "ssh", "remote-desktop"];
/// Classes of tools that let somebody in by themselves, once they run.
const LETS_IN: &[&str] = &[
    "remote-desktop",
    "vnc",
    "rmm",
    "remote-shell",
    "web-shell",
    "admin-panel",
    "ics-remote",
    "implant",
    "c2",
    "overlay",
    "tunnel",
];

/// Commands that carry a port or a shell elsewhere with ordinary tools; the group `to` is the far end.
static TUNNELS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)(?:^|[\s/;&|"'=@+!:-])(?:
            (?:autossh|ssh|dbclient|plink)\s(?:[^;|&]*?\s)??
                (?:-[fNTnqvCgkKxXyYAaM46]*(?:[RD]\s*["']?(?:[\w.*\[\]-]*:)?(?:\d{1,5}|\$\{?\w+\}?)(?:[:\s"']|$)|w\s*(?:any|\d))|-o\s*["']?(?:RemoteForward|DynamicForward|Tunnel)\b)
                (?:[^;|&]*?\s(?P<to>[\w.-]+@[\w.:\[\]-]+))?
          | socat\s[^;|&]*?(?:TCP|UDP|OPENSSL|SSL)[46]?(?:-LISTEN|-CONNECT|-L)?:
          | (?:chisel|frpc|rathole|ngrok|cloudflared|gost|bore|inlets)\s
        )"#,
    )
    .ok()
});

struct View<'a> {
    tools: &'a Tools,
    traces: &'a Traces,
    ground: &'a Ground<'a>,
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
        for (row, b) in self.of(&self.ground.inventory.binaries, |b| b.system) {
            if matches!(&*b.kind, "relocatable" | "core") {
                continue;
            }
            let vouched = self.vouched(&b.path);
            let Some(Identity { tool, by }) = self.identity(b, vouched) else { continue };
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
                if tool.stock {
                    self.stock.push(Piece { told, ..base });
                } else {
                    self.pieces.push(Piece { rung: Some(Rung::Installed), told, ..base });
                }
                continue;
            }
            let mut told = format!("the program {} is {} ({})", b.path, tool.name, tool.class);
            if !by.is_empty() {
                told.push_str(&format!(": {by}"));
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
            told.push_str(&format!("; it is {}", vouched.words()));
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
    fn packages(&mut self) {
        for (row, p) in self.of(&self.ground.inventory.packages, |p| p.system) {
            let gone = !p.state.is_empty() && !p.state.ends_with(" installed");
            let Some(tool) = self.tools.by_package(&p.name).filter(|_| !gone) else { continue };
            let piece = Piece {
                rows: vec![(self.ids.packages, row)],
                chain: 1,
                keys: vec![key(tool)],
                name: Some((3, tool.name.clone())),
                told: format!("the package {} {} ({}) is installed", p.name, p.version, tool.class),
                ..Piece::default()
            };
            if tool.stock {
                self.stock.push(piece);
            } else {
                self.pieces.push(Piece { rung: Some(Rung::Installed), ..piece });
            }
        }
    }
    fn connections(&mut self) {
        for (row, c) in self.of(&self.ground.inventory.connections, |c| c.system) {
            let tool = self.tools.by_id(&c.manager);
            let ours = KINDS.contains(&&*c.kind) || tool.is_some_and(|t| !t.stock);
            if !ours || self.ground.source(self.system, &c.evidence).is_stock() {
                continue;
            }
            let to = if c.endpoints.is_empty() { String::new() } else { format!(" to {}", c.endpoints.join(", ")) };
            let mut told = format!("the {} connection {} ({}){to}", c.manager, c.name, c.kind);
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
            if !c.secrets.is_empty() {
                told.push_str(&format!(", with a stored {}", c.secrets.join(", ")));
            }
            let mut keys = vec![format!("peer:{}", c.name), format!("file:{}", c.evidence.path.lossy())];
            keys.extend(tool.map(key));
            keys.extend(c.endpoints.iter().map(|e| format!("host:{}", host_of(e))));
            let raises =
                if c.default_route { vec![format!("{} may become the default route", c.name)] } else { Vec::new() };
            self.pieces.push(Piece {
                rows: vec![(self.ids.connections, row)],
                rung: Some(rung),
                chain: 2,
                keys,
                name: Some((1, format!("connection {}", c.name))),
                told,
                raises,
                passive,
                ..Piece::default()
            });
        }
    }
    fn files(&mut self) {
        for (row, f) in self.of(&self.ground.inventory.files, |f| f.system) {
            if f.deleted || &*f.kind == "directory" {
                continue;
            }
            let path = f.path.lossy();
            let Some(tool) = self.tools.by_file(&path).filter(|t| !t.stock) else { continue };
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
    fn starts(&mut self) {
        for (row, s) in self.of(&self.ground.inventory.services, |s| s.system) {
            let source = self.ground.source(self.system, &s.evidence);
            // An instance of a packaged template was named on this machine.
            let instance =
                s.name.split_once('@').map(|(_, i)| i.split_once('.').map_or(i, |(i, _)| i)).filter(|i| !i.is_empty());
            let stock = source.is_stock() && s.dropins.is_empty() && instance.is_none();
            let tool = self.tools.by_unit(&s.name);
            let mut follows: Vec<String> = s.program.iter().map(|p| format!("prog:{}", p.lossy())).collect();
            follows.extend(instance.map(|i| format!("peer:{i}")));
            follows.extend(tool.map(key));
            let how = if s.enabled {
                format!("is started by {}", s.enabled_by.join(", "))
            } else {
                "is not enabled".to_owned()
            };
            let what = format!("the {} {}", if s.kind.is_empty() { "service" } else { &*s.kind }, s.name);
            follows.extend(paths_in(&s.commands));
            let row = (self.ids.services, row);
            let commands: Vec<&str> =
                s.commands.iter().map(|c| c.split_once('=').map_or(c.as_str(), |(_, c)| c)).collect();
            if stock {
                self.stock_start(row, tool, follows, s.enabled, &what);
            } else {
                self.start(row, &commands, follows, s.enabled, what, &how);
            }
        }
        for (row, t) in self.of(&self.ground.inventory.tasks, |t| t.system) {
            if !self.ground.source(self.system, &t.evidence).is_stock() {
                let mut follows: Vec<String> = t.program.iter().map(|p| format!("prog:{}", p.lossy())).collect();
                follows.extend(paths_in(std::slice::from_ref(&t.command)));
                let what = format!("the scheduled command '{}'", t.command);
                self.start(
                    (self.ids.tasks, row),
                    &[&t.command],
                    follows,
                    t.enabled,
                    what,
                    &format!("runs at {}", t.schedule),
                );
            }
        }
        for (row, i) in self.of(&self.ground.inventory.interfaces, |i| i.system) {
            let commands: Vec<&str> = i.details.iter().map(String::as_str).collect();
            let what = format!("a command of the interface {}", i.name);
            self.start(
                (self.ids.interfaces, row),
                &commands,
                Vec::new(),
                i.auto,
                what,
                "runs when the interface comes up",
            );
        }
    }
    /// A package's own unit: what starts a packaged tool by default.
    fn stock_start(
        &mut self,
        row: (usize, usize),
        tool: Option<&Tool>,
        follows: Vec<String>,
        enabled: bool,
        what: &str,
    ) {
        let known = self.pieces.iter().chain(&self.stock).find(|p| p.keys.iter().any(|k| follows.contains(k)));
        let tool = tool.or_else(|| known?.keys.iter().find_map(|k| self.tools.by_id(k.strip_prefix("tool:")?)));
        if known.is_none() && tool.is_none() {
            return;
        }
        let stock =
            self.stock.iter().any(|p| p.keys.iter().any(|k| follows.contains(k))) || tool.is_some_and(|t| t.stock);
        let told = format!("{what} is {} by its package's default", if enabled { "enabled" } else { "not enabled" });
        let piece = Piece { rows: vec![row], chain: 0, told, passive: !enabled, ..Piece::default() };
        if stock {
            self.stock.push(Piece { keys: follows, ..piece });
        } else {
            let open = enabled && tool.is_some_and(|t| LETS_IN.contains(&t.class.as_str()));
            let raises = if open { vec![format!("{what} starts at boot and lets somebody in")] } else { Vec::new() };
            self.pieces.push(Piece {
                rung: Some(Rung::Installed),
                follows,
                raises,
                name: Some((5, subject(what))),
                ..piece
            });
        }
    }
    /// A start that is this machine's own.
    fn start(
        &mut self,
        row: (usize, usize),
        commands: &[&str],
        follows: Vec<String>,
        enabled: bool,
        what: String,
        how: &str,
    ) {
        let tunnel = TUNNELS.as_ref().and_then(|r| commands.iter().find_map(|c| Some((*c, r.captures(c)?))));
        let known = self.pieces.iter().any(|p| p.keys.iter().any(|k| follows.contains(k)));
        if tunnel.is_none() && !known {
            return;
        }
        let rung = Some(if enabled { Rung::Enabled } else { Rung::Configured });
        let base = Piece { rows: vec![row], rung, chain: 0, passive: !enabled, ..Piece::default() };
        match tunnel {
            Some((command, found)) => {
                let to = found
                    .name("to")
                    .map(|t| t.as_str().rsplit_once('@').map_or(t.as_str(), |(_, host)| host).to_owned());
                let mut keys = vec![format!("start:{what}")];
                keys.extend(to.iter().map(|t| format!("host:{}", host_of(t))));
                keys.extend(
                    follows
                        .into_iter()
                        .filter(|f| f.starts_with("prog:") && self.pieces.iter().any(|p| p.keys.contains(f))),
                );
                let told = format!("{what} {how}: {command}");
                self.pieces.push(Piece { keys, name: Some((2, subject(&what))), told, ..base });
            }
            None => self.pieces.push(Piece {
                follows,
                name: Some((2, subject(&what))),
                told: format!("{what} {how}"),
                ..base
            }),
        }
    }
    fn listeners(&mut self) {
        for (row, l) in self.of(&self.ground.inventory.listeners, |l| l.system) {
            let program = l.program.rsplit('/').next().unwrap_or_default();
            let tool = self
                .tools
                .by_id(program)
                .or_else(|| self.tools.by_unit(program))
                .or_else(|| self.tools.by_unit(&l.service))
                .or_else(|| self.tools.by_program(&l.program));
            let Some(tool) = tool else { continue };
            let piece = Piece {
                rows: vec![(self.ids.listeners, row)],
                chain: 3,
                told: format!(
                    "{} listens on {} port {} of {}",
                    l.program,
                    l.protocol,
                    l.port,
                    if l.address.is_empty() { "*" } else { &l.address }
                ),
                keys: vec![key(tool)],
                ..Piece::default()
            };
            if tool.stock {
                self.stock.push(piece);
            } else {
                self.pieces.push(Piece { follows: piece.keys.clone(), keys: Vec::new(), ..piece });
            }
        }
    }
    fn events(&mut self) {
        for (row, e) in self.of(&self.ground.inventory.events, |e| e.system) {
            if &*e.class != "remote-access" {
                continue;
            }
            let named = e.fields.iter().find_map(|f| f.strip_prefix("tool=")).unwrap_or(&e.program);
            let named = named.rsplit('/').next().unwrap_or(named);
            let tool = self
                .tools
                .by_id(named)
                .or_else(|| self.tools.by_unit(named))
                .or_else(|| self.tools.by_id(e.kind.split('-').next().unwrap_or(&e.kind)));
            if tool.is_some_and(|t| t.stock) {
                continue; // logins by stock servers are told by rules of their own
            }
            let when = e.time.map(|t| format!("{t} ")).unwrap_or_default();
            let times = if e.count > 1 { format!(", {} times", e.count) } else { String::new() };
            let mut keys: Vec<String> = tool.map(key).into_iter().collect();
            for field in ["connection=", "interface=", "if="] {
                keys.extend(e.fields.iter().filter_map(|f| f.strip_prefix(field)).map(|v| format!("peer:{v}")));
            }
            if keys.is_empty() {
                keys.push("log".into());
            }
            self.pieces.push(Piece {
                rows: vec![(self.ids.events, row)],
                rung: Some(Rung::Used),
                chain: 5,
                keys,
                name: Some((6, tool.map_or_else(|| "log records of remote access".to_owned(), |t| t.name.clone()))),
                told: format!("{when}{}: {}{times}", e.program, e.text),
                ..Piece::default()
            });
        }
    }
    /// Keys for the far end, and forwarding.
    fn context(&mut self) {
        for (row, k) in self.of(&self.ground.inventory.keys, |k| k.system) {
            if &*k.kind == "known-host" && !k.host.is_empty() {
                let follows: Vec<String> = k.host.split(',').map(|h| format!("host:{}", host_of(h))).collect();
                if self.pieces.iter().any(|p| p.keys.iter().any(|key| follows.contains(key))) {
                    let told = format!("{} is a known SSH host of {}", k.host, k.user);
                    self.pieces.push(Piece {
                        rows: vec![(self.ids.keys, row)],
                        chain: 4,
                        follows,
                        told,
                        ..Piece::default()
                    });
                }
            }
        }
    }
    fn links(self) -> Vec<Link> {
        let mut links = join(self.pieces);
        links.retain(|l| l.rung().is_some());
        for link in &mut links {
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

/// Keys of the files that command lines name: settings of a tunnel, or the program that a wrapper runs.
fn paths_in(commands: &[String]) -> Vec<String> {
    commands
        .iter()
        .flat_map(|c| c.split(|ch: char| ch.is_whitespace() || matches!(ch, '=' | '"' | '\'' | ';' | '@')))
        .filter(|w| w.starts_with('/'))
        .flat_map(|w| [format!("file:{w}"), format!("prog:{w}")])
        .collect()
}
