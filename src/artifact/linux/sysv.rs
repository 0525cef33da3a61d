//! System V init and its kin: init.d scripts with their LSB headers and rc links, inittab (also
//! BusyBox's, and what OpenWrt's scripts hand to procd), rc.local, inetd and xinetd (init(8), inittab(5), insserv(8), inetd.conf(5), xinetd.conf(5)).
//! What a systemd unit of the same name replaces is listed, but not as enabled.
use super::starts::{Way, cut, described};
use super::{program, systemd};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name};
use crate::evidence::{Entry, System, Text};
use crate::format::lines::lines;
use crate::inventory::{Listener, Service, Start};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.sysv",
    about: "init.d scripts and their rc links, the commands they hand to procd, inittab, rc.local, inetd and xinetd",
    os: Os::Linux,
    reads: &[
        "/etc/init.d/*",
        "/etc/rc.d/init.d/*",
        "/etc/rc?.d/*",
        "/etc/rc.d/rc?.d/*",
        "/etc/rc.d/*",
        "/etc/insserv/overrides/*",
        "/etc/inittab",
        "/etc/rc.local",
        "/etc/rc.d/rc.local",
        "/etc/inetd.conf",
        "/etc/inetd.d/*",
        "/etc/xinetd.conf",
        "/etc/xinetd.d/*",
    ],
    references: &[
        "init(8)",
        "inittab(5)",
        "insserv(8)",
        "systemd-sysv-generator(8)",
        "inetd.conf(5)",
        "xinetd.conf(5)",
    ],
    extract,
};

const MAX_COMMANDS: usize = 200;
const MAX_ROWS: usize = 10_000;

fn extract(system: &System, out: &Out) {
    let machine = Machine::read(system);
    scripts(system, out, &machine);
    inittab(system, out, &machine);
    rc_local(system, out, &machine);
    inetd(system, out);
    xinetd(system, out);
}

/// What decides whether a script is started at all.
struct Machine {
    systemd: bool,
    units: BTreeSet<String>,
    /// Runlevels a boot passes through.
    levels: String,
}
impl Machine {
    fn read(system: &System) -> Self {
        let text = system.resolve("/etc/inittab").and_then(|e| system.read(e, 1 << 20).ok());
        let default = text.as_ref().and_then(|t| {
            lines(&t.bytes).find_map(|l| {
                let mut fields = l.text.split(':').skip(1);
                let (level, action) = (fields.next()?.trim().to_owned(), fields.next()?.trim().to_owned());
                (action == "initdefault" && !l.text.starts_with('#')).then_some(level)
            })
        });
        let systemd = systemd::is_init(system);
        let levels = if systemd { None } else { default }.map_or("2345S".to_owned(), |d| format!("{d}S"));
        let units = if systemd { systemd::unit_names(system) } else { BTreeSet::new() };
        Self { systemd, units, levels }
    }
    /// The unit that takes a script's place.
    fn shadow(&self, script: &str) -> Option<String> {
        let unit = format!("{}.service", script.strip_suffix(".sh").unwrap_or(script));
        self.units.contains(&unit).then_some(unit)
    }
}

fn scripts(system: &System, out: &Out, machine: &Machine) {
    // Script name → links that start it, with their runlevels. OpenWrt keeps them in rc.d itself.
    let mut starts: BTreeMap<String, BTreeSet<(String, char)>> = BTreeMap::new();
    for level in "0123456789S".chars() {
        for folder in [format!("/etc/rc{level}.d"), format!("/etc/rc.d/rc{level}.d")] {
            links(system, &folder, level, &mut starts);
        }
    }
    links(system, "/etc/rc.d", 'S', &mut starts);
    let mut seen = BTreeSet::new();
    for entry in ["/etc/init.d/*", "/etc/rc.d/init.d/*"].iter().flat_map(|p| system.glob(p)) {
        let name = Name::new(entry.path.file_name()).display();
        let Some(file) = system.resolve(entry.path.bytes()).filter(|f| f.is_file()) else { continue };
        if matches!(
            name.as_str(),
            "README" | "skeleton" | "functions" | ".depend.boot" | ".depend.start" | ".depend.stop"
        ) || !seen.insert(name.clone())
        {
            continue;
        }
        let Some(text) = out.read(system, file) else { continue };
        let header = Header::read(&text);
        let overrides = system.resolve(format!("/etc/insserv/overrides/{name}"));
        let shadow = machine.shadow(&name);
        let executable = file.stat.as_ref().is_some_and(|s| s.mode & 0o111 != 0);
        let found: Vec<String> = starts
            .get(&name)
            .into_iter()
            .flatten()
            .filter(|(_, level)| machine.levels.contains(*level))
            .map(|(path, _)| path.clone())
            .collect();
        let linked = !found.is_empty();
        let state = match (&shadow, linked) {
            (Some(_), _) => "shadowed",
            (None, true) if machine.systemd => "generated",
            (None, true) => "enabled",
            (None, false) => "disabled",
        };
        let enabled = shadow.is_none() && linked && executable;
        let mut commands = vec![format!("{} start", entry.path.display())];
        commands.extend(header.daemon.as_ref().map(|(d, _)| format!("DAEMON={d}")));
        let why = format!("is {state}");
        let way = Way::root("sysv", if enabled { "boot" } else { "manual" }).only(enabled, &why);
        out.extend(way.file(system, entry, &found.join(" ")).map(|s| Start {
            name: name.clone(),
            arguments: "start".to_owned(),
            why: if enabled { found.clone() } else { s.why.clone() },
            ..s
        }));
        if described::is_procd(&text.bytes) {
            let way = Way::root("procd", way.when).only(enabled, &why);
            let (instances, over) = described::instances(&text.bytes);
            for i in instances {
                let at = text.line_at(i.line, i.run);
                let row = way.words(system, &name, "procd_set_param command", &i.command, at);
                out.push(Start { why: if enabled { found.clone() } else { row.why.clone() }, ..row });
            }
            if over {
                out.gap(text.entry, "budget: lines and instances of procd; the rest was not listed");
            }
        }
        out.push(Service {
            name,
            manager: "sysv".into(),
            kind: "script".into(),
            description: header.description,
            state: state.into(),
            enabled,
            enabled_by: found,
            commands,
            program: Some(file.path.clone()),
            aliases: shadow.into_iter().collect(),
            dropins: overrides.map(|e| e.path.display()).into_iter().collect(),
            evidence: header.daemon.map_or_else(|| text.evidence(), |(_, e)| e),
            ..Service::default()
        });
    }
}

/// `S20name` links of one runlevel's folder: by what they point to, or by their own name.
fn links(system: &System, folder: &str, level: char, starts: &mut BTreeMap<String, BTreeSet<(String, char)>>) {
    for entry in system.glob(&format!("{folder}/S*")) {
        let own = entry.path.file_name();
        let digits = own.iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || entry.is_dir() {
            continue;
        }
        let by_name = own.get(digits.saturating_add(1)..).unwrap_or_default();
        let target = system.link_target(entry);
        let script = target.as_ref().map_or(by_name, |t| t.file_name());
        starts.entry(Name::new(script).display()).or_default().insert((entry.path.display(), level));
    }
}

/// What a script says of itself.
#[derive(Default)]
struct Header {
    description: String,
    /// The program it starts, where it names one in the customary variable.
    daemon: Option<(String, Evidence)>,
}
impl Header {
    fn read(text: &Text<'_>) -> Self {
        let mut header = Self::default();
        let mut inside = false;
        for line in lines(&text.bytes).take(2000) {
            let body = line.text.trim();
            match body {
                "### BEGIN INIT INFO" => inside = true,
                "### END INIT INFO" => inside = false,
                _ => {}
            }
            if let Some(short) = body.strip_prefix("# Short-Description:").filter(|_| inside) {
                header.description = cut(short.trim());
            }
            if let Some(daemon) = ["DAEMON=", "PROG="].iter().find_map(|k| body.strip_prefix(k))
                && header.daemon.is_none()
            {
                let path = daemon.trim_matches(['"', '\'']).split_whitespace().next().unwrap_or_default();
                if path.starts_with('/') {
                    header.daemon = Some((cut(path), text.line_at(line.number, line.run)));
                }
            }
        }
        header
    }
}

fn inittab(system: &System, out: &Out, machine: &Machine) {
    out.each(system, &["/etc/inittab"], |text| {
        for line in lines(&text.bytes).take(MAX_ROWS) {
            let body = line.text.trim();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            let mut fields = body.splitn(4, ':');
            let (Some(id), Some(levels), Some(action), Some(process)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                out.gap_line(text.entry, line.number, "no inittab line");
                continue;
            };
            if action == "initdefault" || process.is_empty() {
                continue;
            }
            let always =
                matches!(action, "sysinit" | "boot" | "bootwait" | "askfirst" | "shutdown" | "restart" | "ctrlaltdel")
                    || action.starts_with("power")
                    || action == "kbrequest";
            // BusyBox knows no runlevels: an empty field means always.
            let enabled = !machine.systemd
                && action != "off"
                && (always || levels.is_empty() || levels.chars().any(|c| machine.levels.contains(c)));
            let process = process.trim_start_matches(['+', '-', '@']);
            let found = program::of_shell(system, process, program::PATH);
            let when = match action {
                "shutdown" | "restart" => "stop",
                "ctrlaltdel" | "kbrequest" => "event",
                a if a.starts_with("power") => "event",
                _ => "boot",
            };
            let way = Way::root("inittab", when).only(enabled, "another init, or not in the runlevels of a boot");
            let trigger = format!("{action} {levels}");
            let start = way.start(
                &format!("inittab:{id}:{}", line.number),
                trigger.trim(),
                text.line_at(line.number, line.run),
            );
            out.push(found.clone().fill(Start { command: cut(process), ..start }));
            let mut commands = vec![cut(process)];
            commands.extend(found.wrappers.iter().map(|w| format!("wrapper={}", w.display())));
            out.push(Service {
                name: format!("inittab:{id}:{}", line.number),
                manager: "inittab".into(),
                kind: action.into(),
                state: if enabled { "enabled" } else { "disabled" }.into(),
                enabled,
                enabled_by: vec![text.entry.path.display()],
                commands,
                program: found.program,
                restart: if action == "respawn" { "always" } else { "" }.into(),
                evidence: text.line_at(line.number, line.run),
                ..Service::default()
            });
        }
    });
}

fn rc_local(system: &System, out: &Out, machine: &Machine) {
    let mut seen = BTreeSet::new();
    for path in ["/etc/rc.local", "/etc/rc.d/rc.local"] {
        let Some(file) = system.resolve(path).filter(|f| f.is_file() && seen.insert(f.path.clone())) else { continue };
        let Some(text) = out.read(system, file) else { continue };
        let executable = file.stat.as_ref().is_some_and(|s| s.mode & 0o111 != 0);
        let unit = machine.units.contains("rc-local.service");
        let enabled = executable && (!machine.systemd || unit);
        let mut commands = Vec::new();
        let mut first: Option<(Evidence, Option<Name>)> = None;
        for line in lines(&text.bytes) {
            let body = line.text.trim();
            if body.is_empty() || body.starts_with('#') || body == "exit 0" {
                continue;
            }
            if commands.len() >= MAX_COMMANDS {
                out.gap_line(text.entry, line.number, "budget: commands; the rest of the script is not listed");
                break;
            }
            let found = program::of_shell(system, body, program::PATH);
            let way = Way::root("rc.local", "boot").only(enabled, "not executable, or nothing runs it");
            let start = way.start("rc.local", "last of the boot", text.line_at(line.number, line.run));
            out.push(found.clone().fill(Start { command: cut(body), ..start }));
            let found = found.program;
            first.get_or_insert_with(|| (text.line_at(line.number, line.run), None));
            if let Some((evidence, program)) = first.as_mut().filter(|(_, p)| p.is_none() && found.is_some()) {
                (*evidence, *program) = (text.line_at(line.number, line.run), found);
            }
            commands.push(cut(body));
        }
        let (evidence, inner) = first.unwrap_or_else(|| (text.evidence(), None));
        commands.extend(inner.iter().map(|_| format!("wrapper={}", file.path.display())));
        out.push(Service {
            name: "rc.local".into(),
            manager: "sysv".into(),
            kind: "script".into(),
            state: if enabled { "enabled" } else { "disabled" }.into(),
            enabled,
            enabled_by: if enabled { vec![file.path.display()] } else { Vec::new() },
            commands,
            program: inner.or_else(|| Some(file.path.clone())),
            evidence,
            ..Service::default()
        });
    }
}

fn inetd(system: &System, out: &Out) {
    let runs = ["inetd", "openbsd-inetd", "inetutils-inetd", "busybox"]
        .iter()
        .any(|p| program::lookup(system, p, program::PATH).is_some());
    out.each(system, &["/etc/inetd.conf", "/etc/inetd.d/*"], |text| {
        for line in lines(&text.bytes).take(MAX_ROWS) {
            let body = line.text.trim();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            let words: Vec<String> = body.split_whitespace().map(str::to_owned).collect();
            let [service, _kind, protocol, _wait, user, server, rest @ ..] = words.as_slice() else {
                out.gap_line(text.entry, line.number, "no inetd line");
                continue;
            };
            // The words after the program begin with its own name.
            let run: Vec<String> = std::iter::once(server.clone()).chain(rest.iter().skip(1).cloned()).collect();
            let user = user.split(['.', ':']).next().unwrap_or_default();
            let found = if server == "internal" {
                program::Found::default()
            } else {
                program::of_words(system, &run, program::PATH)
            };
            let evidence = text.line_at(line.number, line.run);
            super_server(out, "inetd", runs, service, protocol, user, &run, found, text.entry, evidence);
        }
    });
}

fn xinetd(system: &System, out: &Out) {
    let runs = program::lookup(system, "xinetd", program::PATH).is_some();
    out.each(system, &["/etc/xinetd.conf", "/etc/xinetd.d/*"], |text| {
        let mut service: Option<(String, u32)> = None;
        let mut set: BTreeMap<String, String> = BTreeMap::new();
        for line in lines(&text.bytes).take(100_000) {
            let body = line.text.trim();
            if let Some(name) = body.strip_prefix("service ") {
                service = Some((name.trim().trim_end_matches('{').trim().to_owned(), line.number));
                set.clear();
            } else if body == "}" {
                let Some((name, at)) = service.take() else { continue };
                let get = |k: &str| set.get(k).cloned().unwrap_or_default();
                let words: Vec<String> = std::iter::once(get("server"))
                    .chain(get("server_args").split_whitespace().map(str::to_owned))
                    .filter(|w| !w.is_empty())
                    .collect();
                let found = program::of_words(system, &words, program::PATH);
                let enabled = runs && get("disable") != "yes";
                let protocol = if get("protocol").is_empty() { "tcp".to_owned() } else { get("protocol") };
                let port = if get("port").is_empty() { name } else { get("port") };
                super_server(
                    out,
                    "xinetd",
                    enabled,
                    &port,
                    &protocol,
                    &get("user"),
                    &words,
                    found,
                    text.entry,
                    text.line(at),
                );
            } else if let Some((key, value)) = body.split_once('=').filter(|_| service.is_some()) {
                set.insert(key.trim_end_matches(['+', '-']).trim().to_owned(), value.trim().to_owned());
            }
        }
    });
}

#[allow(clippy::too_many_arguments)]
fn super_server(
    out: &Out,
    manager: &str,
    enabled: bool,
    service: &str,
    protocol: &str,
    user: &str,
    run: &[String],
    found: program::Found,
    file: &Entry,
    evidence: Evidence,
) {
    let way = Way::root(manager, "connection").user(user).only(enabled, "disabled, or no such super-server");
    let start = way.start(&format!("{service}/{protocol}"), protocol, evidence.clone());
    out.push(found.clone().fill(Start { command: cut(&run.join(" ")), ..start }));
    let mut commands = vec![cut(&run.join(" "))];
    commands.extend(found.wrappers.iter().map(|w| format!("wrapper={}", w.display())));
    let (address, port) = service.rsplit_once(':').unwrap_or(("*", service));
    if enabled && matches!(protocol, "tcp" | "udp" | "tcp6" | "udp6" | "tcp4" | "udp4" | "tcp46" | "udp46") {
        out.push(Listener {
            protocol: protocol.get(..3).unwrap_or_default().into(),
            address: address.to_owned(),
            port: port.to_owned(),
            program: found.program.as_ref().map(Name::display).unwrap_or_default(),
            service: format!("{manager}:{service}"),
            evidence: evidence.clone(),
            ..Listener::default()
        });
    }
    out.push(Service {
        name: format!("{service}/{protocol}"),
        manager: manager.into(),
        kind: "socket".into(),
        state: if enabled { "enabled" } else { "disabled" }.into(),
        enabled,
        enabled_by: if enabled { vec![file.path.display()] } else { Vec::new() },
        user: user.to_owned(),
        commands,
        program: found.program,
        listens: vec![format!("{service}/{protocol}")],
        evidence,
        ..Service::default()
    });
}

#[cfg(test)]
#[path = "sysv_tests.rs"]
mod tests;
