//! What starts a path, where it listens, and what the logs and keys say of it.
use super::{View, key, line_key};
use crate::judge::finding::Rung;
use crate::judge::links::facts::Tool;
use crate::judge::links::frame::{Piece, subject};
use crate::judge::links::periods;
use crate::judge::unexamined::host_of;
use regex::Regex;
use std::sync::LazyLock;

/// Classes of tools that let somebody in by themselves, once they run.
pub(super) const LETS_IN: &[&str] = &[
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

impl View<'_> {
    pub(super) fn starts(&mut self) {
        for (row, s) in self.of(self.look.services, |s| s.system) {
            if &*s.state == "alias" {
                continue; // another name of a unit that has a row of its own
            }
            if &*s.manager == "windows" && self.windows_service(row, s) {
                continue;
            }
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
            let row = (self.ids.services, row);
            let commands: Vec<&str> =
                s.commands.iter().map(|c| c.split_once('=').map_or(c.as_str(), |(_, c)| c)).collect();
            if stock {
                self.stock_start(row, tool, follows, s.enabled, &what);
            } else {
                follows.extend(paths_in(&s.commands));
                follows.push(format!("file:{}", s.evidence.path.lossy()));
                follows.push(line_key(&s.evidence)); // what a list of starts sets up in the same line
                self.start(row, &commands, follows, s.enabled, &what, &how);
            }
        }
        for (row, t) in self.of(self.look.tasks, |t| t.system) {
            if !self.ground.source(self.system, &t.evidence).is_stock() {
                let mut follows: Vec<String> = t.program.iter().map(|p| format!("prog:{}", p.lossy())).collect();
                follows.extend(paths_in(std::slice::from_ref(&t.command)));
                follows.push(line_key(&t.evidence));
                let what = format!("the scheduled command '{}'", t.command);
                self.start(
                    (self.ids.tasks, row),
                    &[&t.command],
                    follows,
                    t.enabled,
                    &what,
                    &format!("runs at {}", t.schedule),
                );
            }
        }
        for (row, s, how) in self.ground.own_starts(self.system, self.look.starts) {
            if self.windows_run(row, s, &how) {
                continue;
            }
            let mut follows: Vec<String> = s.program.iter().map(|p| format!("prog:{}", p.lossy())).collect();
            follows.extend(paths_in(std::slice::from_ref(&s.command)));
            follows.push(line_key(&s.evidence));
            let what = format!("the start of {} by {}", s.name, s.by);
            self.start((self.ids.starts, row), &[&s.command], follows, s.enabled, &what, &how);
        }
        for (row, i) in self.of(self.look.interfaces, |i| i.system) {
            let commands: Vec<&str> = i.details.iter().map(String::as_str).collect();
            let what = format!("a command of the interface {}", i.name);
            self.start(
                (self.ids.interfaces, row),
                &commands,
                vec![line_key(&i.evidence)],
                i.auto,
                &what,
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
        let stock = self.stock.iter().any(|p| p.keys.iter().any(|k| follows.contains(k)))
            || tool.is_some_and(|t| self.is_stock(t));
        let told = format!("{what} is {} by its package's default", if enabled { "enabled" } else { "not enabled" });
        let piece = Piece { rows: vec![row], chain: 0, told, passive: !enabled, ..Piece::default() };
        if stock {
            self.stock.push(Piece { keys: tool.map(key).into_iter().collect(), ..piece });
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
        what: &str,
        how: &str,
    ) {
        let tunnel = TUNNELS.as_ref().and_then(|r| commands.iter().find_map(|c| Some((*c, r.captures(c)?))));
        let mut follows = follows;
        follows.extend(commands.iter().flat_map(|c| ssh_hosts(c)));
        let known = self.pieces.iter().any(|p| p.keys.iter().any(|k| follows.contains(k)));
        if tunnel.is_none() && !known {
            return;
        }
        let rung = Some(if enabled { Rung::Enabled } else { Rung::Configured });
        let (programs, unvouched) = self.ground.unvouched(self.system, &follows);
        let mut rows = vec![row];
        rows.extend(programs.into_iter().map(|f| (self.ids.files, f)));
        let base = Piece { rows, rung, chain: 0, passive: !enabled, ..Piece::default() };
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
                        .filter(|f| !f.starts_with("tool:") && self.pieces.iter().any(|p| p.keys.contains(f))),
                );
                let told = format!("{what} {how}: {command}{unvouched}");
                self.pieces.push(Piece { keys, name: Some((2, subject(what))), told, ..base });
            }
            None => self.pieces.push(Piece {
                follows,
                name: Some((2, subject(what))),
                told: format!("{what} {how}{unvouched}"),
                ..base
            }),
        }
    }
    pub(super) fn listeners(&mut self) {
        for (row, l) in self.of(self.look.listeners, |l| l.system) {
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
            if self.is_stock(tool) {
                self.stock.push(piece);
            } else {
                self.pieces.push(Piece { follows: piece.keys.clone(), keys: Vec::new(), ..piece });
            }
        }
    }
    pub(super) fn events(&mut self) {
        for (row, e) in self.of(self.look.events, |e| e.system) {
            if &*e.class != "remote-access" || self.weak_events.contains(&*e.kind) {
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
                name: Some((6, recorded(tool))),
                told: format!("{when}{}: {}{times}", e.program, e.text),
                lowers: periods::foreign(&e.recorded_as).into_iter().collect(),
                ..Piece::default()
            });
        }
    }
    /// Periods in which a tunnel was in use. The lines behind them are events as well; these have start and end.
    pub(super) fn sessions(&mut self) {
        for (row, s) in self.of(self.look.sessions, |s| s.system) {
            if &*s.kind != "tunnel" {
                continue;
            }
            let program = s.program.split(',').next().unwrap_or_default();
            let tool = self.tools.by_id(program).or_else(|| self.tools.by_unit(program)).filter(|t| !t.stock);
            let mut keys: Vec<String> = tool.map(key).into_iter().collect();
            for name in [&s.connection, &s.interface].into_iter().filter(|n| !n.is_empty()) {
                keys.push(format!("peer:{name}"));
            }
            keys.extend(s.peer.iter().map(|p| format!("host:{}", host_of(p))));
            if keys.is_empty() {
                keys.push("log".into());
            }
            self.pieces.push(Piece {
                rows: vec![(self.ids.sessions, row)],
                rung: Some(Rung::Used),
                chain: 5,
                keys,
                name: Some((6, recorded(tool))),
                told: periods::told(s),
                lowers: periods::foreign(&s.recorded_as).into_iter().collect(),
                ..Piece::default()
            });
        }
    }
    /// Keys for the far end, and forwarding.
    pub(super) fn context(&mut self) {
        for (row, k) in self.of(self.look.keys, |k| k.system) {
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
}

/// What records of use are called: by their tool, where it is known.
fn recorded(tool: Option<&Tool>) -> String {
    tool.map_or_else(|| "log records of remote access".to_owned(), |t| t.name.clone())
}

/// Keys of the far ends that a command gives to an SSH client by name: its settings say what the name stands for.
fn ssh_hosts(command: &str) -> Vec<String> {
    let mut words = command.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '='));
    let client =
        |w: &str| matches!(w.rsplit('/').next().unwrap_or(w), "ssh" | "autossh" | "sftp" | "sshuttle" | "rsync");
    if !words.by_ref().any(client) {
        return Vec::new();
    }
    let host = |w: &str| w.rsplit('@').next().unwrap_or(w).split(':').next().unwrap_or_default().to_owned();
    words.filter(|w| !w.is_empty() && !w.starts_with('-')).map(|w| format!("ssh:{}", host(w))).collect()
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
