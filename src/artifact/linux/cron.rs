//! Commands started by time without systemd: crontabs in all distributions' places, the
//! `cron.daily` folders, anacron, at, incron (crontab(5), anacrontab(5), at(1), incrontab(5)).
use super::program;
use super::starts::{Way, cut};
use crate::artifact::{Artifact, Os, Out, TEXT_LIMIT};
use crate::base::{Name, Time};
use crate::evidence::{Entry, System, Text};
use crate::format::lines::{Line, lines};
use crate::inventory::{Setting, Start, Task};
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.cron",
    about: "Commands started by time: cron in all its places, anacron, at, incron",
    os: Os::Linux,
    reads: &[
        "/etc/crontab",
        "/etc/cron.d/*",
        "/etc/cron.{hourly,daily,weekly,monthly,yearly}/*",
        "/etc/periodic/{15min,hourly,daily,weekly,monthly}/*",
        "/var/spool/cron/{crontabs,tabs,}/*",
        "/var/cron/tabs/*",
        "/etc/crontabs/*",
        "/etc/anacrontab",
        "/var/spool/{cron/atjobs,at,atjobs,at/spool}/*",
        "/etc/incron.d/*",
        "/var/spool/incron/*",
        "/etc/{cron,at,incron}.{allow,deny}",
    ],
    references: &["crontab(5)", "cron(8)", "anacrontab(5)", "at(1)", "incrontab(5)", "run-parts(8)"],
    extract,
};

/// Lines of one file that become tasks; a real crontab has dozens.
const MAX_TASKS: usize = 10_000;
const NOT_RUN: &str = "no program that reads it, or not a name or mode that it takes";
/// Folders whose executables run-parts starts.
const PARTS: &[(&str, &str)] = &[
    ("/etc/cron.hourly", "@hourly"),
    ("/etc/cron.daily", "@daily"),
    ("/etc/cron.weekly", "@weekly"),
    ("/etc/cron.monthly", "@monthly"),
    ("/etc/cron.yearly", "@yearly"),
    ("/etc/periodic/15min", "*/15 * * * *"),
    ("/etc/periodic/hourly", "@hourly"),
    ("/etc/periodic/daily", "@daily"),
    ("/etc/periodic/weekly", "@weekly"),
    ("/etc/periodic/monthly", "@monthly"),
];

fn extract(system: &System, out: &Out) {
    let run = Daemons::find(system);
    out.each(system, &["/etc/crontab"], |t| crontab(system, out, t, None, run.cron));
    out.each(system, &["/etc/cron.d/*"], |t| {
        let read = run.cron && run.accepts(t.entry.path.file_name());
        crontab(system, out, t, None, read);
    });
    let spools = [
        "/var/spool/cron/crontabs/*",
        "/var/spool/cron/tabs/*",
        "/var/spool/cron/*",
        "/var/cron/tabs/*",
        "/etc/crontabs/*",
    ];
    out.each(system, &spools, |t| {
        let user = Name::new(t.entry.path.file_name()).display();
        crontab(system, out, t, Some(&user), run.cron);
    });
    for (folder, schedule) in PARTS {
        parts(system, out, folder, schedule, &run);
    }
    out.each(system, &["/etc/anacrontab"], |t| anacron(system, out, t, run.anacron));
    let users = accounts(system);
    let jobs = ["/var/spool/cron/atjobs/*", "/var/spool/at/*", "/var/spool/atjobs/*", "/var/spool/at/spool/*"];
    out.each(system, &jobs, |t| at_job(system, out, t, &users, run.at));
    out.each(system, &["/etc/incron.d/*", "/var/spool/incron/*"], |t| incron(system, out, t, run.incron));
    out.each(system, &["/etc/{cron,at,incron}.{allow,deny}"], |text| {
        for line in lines(&text.bytes).filter(|l| !l.text.trim().is_empty()) {
            let file = Name::new(text.entry.path.file_name()).display();
            let program = file.split('.').next().unwrap_or_default().into();
            out.push(Setting {
                program,
                name: file,
                value: line.text.trim().to_owned(),
                effective: true,
                evidence: text.line_at(line.number, line.run),
                ..Setting::default()
            });
        }
    });
}

/// Which of the programs that read these files are on the disk at all.
#[allow(clippy::struct_excessive_bools)] // five independent facts
struct Daemons {
    cron: bool,
    anacron: bool,
    at: bool,
    incron: bool,
    /// Debian's cron and run-parts take plain names only.
    plain_names: bool,
}
impl Daemons {
    fn find(system: &System) -> Self {
        let has = |names: &[&str]| names.iter().any(|n| program::lookup(system, n, program::PATH).is_some());
        Self {
            cron: has(&["cron", "crond", "fcron", "systemd-cron"]),
            anacron: has(&["anacron"]),
            at: has(&["atd", "atrun"]),
            incron: has(&["incrond"]),
            plain_names: system.resolve("/var/lib/dpkg/status").is_some(),
        }
    }
    fn accepts(&self, name: &[u8]) -> bool {
        if self.plain_names {
            return name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        }
        let ends = [".rpmsave", ".rpmorig", ".rpmnew", ".swp", ",v", "~"];
        !name.starts_with(b".") && !name.starts_with(b"#") && !ends.iter().any(|e| name.ends_with(e.as_bytes()))
    }
}

/// The assignments above a line: decide which shell and which programs.
#[derive(Default)]
struct Environment {
    shell: String,
    path: Vec<String>,
    telling: Vec<String>,
}
impl Environment {
    fn set(&mut self, name: &str, value: &str) {
        let value = value.trim().trim_matches(['"', '\'']);
        match name {
            "SHELL" => value.clone_into(&mut self.shell),
            "PATH" => self.path = value.split(':').map(str::to_owned).collect(),
            _ => {}
        }
        if [
            "SHELL",
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "BASH_ENV",
            "ENV",
            "PYTHONPATH",
            "PERL5LIB",
            "HOME",
        ]
        .contains(&name)
        {
            self.telling.retain(|t| !t.starts_with(&format!("{name}=")));
            self.telling.push(format!("{name}={}", cut(value)));
        } else if !self.telling.iter().any(|t| t == name) && self.telling.len() < 100 {
            self.telling.push(name.to_owned());
        }
    }
    fn path(&self) -> Vec<&str> {
        if self.path.is_empty() { program::PATH.to_vec() } else { self.path.iter().map(String::as_str).collect() }
    }
}

/// A file in crontab(5)'s format; with a user field in each line unless `owner` says whose it is.
fn crontab(system: &System, out: &Out, text: &Text<'_>, owner: Option<&str>, enabled: bool) {
    let mut environment = Environment::default();
    let mut count = 0_usize;
    for line in lines(&text.bytes) {
        let Some(body) = body(out, text, &line) else { continue };
        if let Some((name, value)) = assignment(body) {
            environment.set(name, value);
            continue;
        }
        let fields = if body.starts_with('@') { 1 } else { 5 };
        let (schedule, rest) = take_words(body, fields);
        let (user, command) = owner.map_or_else(|| take_words(rest, 1), |owner| (owner, rest));
        // A leading minus asks cron not to log.
        let first = schedule.trim_start_matches('-').chars().next();
        if command.is_empty() || !first.is_some_and(|c| c.is_ascii_digit() || matches!(c, '*' | '@' | '~')) {
            out.gap_line(text.entry, line.number, "no crontab line");
            continue;
        }
        count = count.saturating_add(1);
        if count > MAX_TASKS {
            out.gap_line(text.entry, line.number, "budget: tasks of one file; the rest was not read");
            return;
        }
        let found = program::of_shell(system, before_percent(command), &environment.path());
        let when = if schedule.trim() == "@reboot" { "boot" } else { "schedule" };
        let way = Way::root("cron", when).user(user).only(enabled, NOT_RUN);
        let row = way.start(&text.entry.path.display(), schedule.trim(), text.line_at(line.number, line.run));
        out.push(found.clone().fill(Start { command: cut(command), ..row }));
        for variable in
            environment.telling.iter().filter(|t| t.starts_with("LD_PRELOAD=") || t.starts_with("LD_AUDIT="))
        {
            let (name, library) = variable.split_once('=').unwrap_or_default();
            let real = system.canonical(library.as_bytes());
            let evidence = text.line_at(line.number, line.run);
            out.push(way.library(&text.entry.path.display(), name, library, real, evidence));
        }
        out.push(Task {
            name: text.entry.path.display(),
            manager: "cron".into(),
            schedule: schedule.split_whitespace().collect::<Vec<_>>().join(" "),
            user: user.to_owned(),
            command: cut(command),
            program: found.program,
            enabled,
            environment: environment.telling.clone(),
            evidence: text.line_at(line.number, line.run),
            ..Task::default()
        });
    }
}

/// The executables of a `cron.daily` folder.
fn parts(system: &System, out: &Out, folder: &str, schedule: &str, run: &Daemons) {
    for entry in system.glob(&format!("{folder}/*")) {
        let Some(target) = system.resolve(entry.path.bytes()).filter(|t| t.is_file()) else { continue };
        if entry.path.file_name() == b".placeholder" {
            continue;
        }
        let executable = target.stat.as_ref().is_some_and(|s| s.mode & 0o111 != 0);
        // Read, so that its hash stands in the evidence; longer ones are hashed with all files.
        if target.len() <= TEXT_LIMIT {
            let _ = out.read(system, target);
        }
        let enabled = executable && (run.cron || run.anacron) && run.accepts(entry.path.file_name());
        let way = Way::root("cron", "schedule").only(enabled, NOT_RUN);
        out.extend(way.file(system, entry, schedule));
        out.push(Task {
            name: entry.path.display(),
            manager: "cron".into(),
            schedule: schedule.to_owned(),
            user: "root".to_owned(),
            command: entry.path.display(),
            program: Some(target.path.clone()),
            enabled,
            evidence: system.evidence(target),
            ..Task::default()
        });
    }
}

fn anacron(system: &System, out: &Out, text: &Text<'_>, enabled: bool) {
    let mut environment = Environment::default();
    for line in lines(&text.bytes).take(MAX_TASKS) {
        let Some(body) = body(out, text, &line) else { continue };
        if let Some((name, value)) = assignment(body) {
            environment.set(name, value);
            continue;
        }
        let (period, rest) = take_words(body, 1);
        let (delay, rest) = take_words(rest, 1);
        let (job, command) = take_words(rest, 1);
        if command.is_empty() {
            out.gap_line(text.entry, line.number, "no anacrontab line");
            continue;
        }
        let unit = if period.starts_with('@') { "" } else { " days" };
        let schedule = format!("every {period}{unit}, after {delay} minutes");
        let found = program::of_shell(system, command, &environment.path());
        let name = format!("{} {job}", text.entry.path.display());
        let row = Way::root("anacron", "schedule").only(enabled, NOT_RUN);
        let row = row.start(&name, &schedule, text.line_at(line.number, line.run));
        out.push(found.clone().fill(Start { command: cut(command), ..row }));
        out.push(Task {
            name,
            manager: "anacron".into(),
            schedule,
            user: "root".to_owned(),
            command: cut(command),
            program: found.program,
            enabled,
            environment: environment.telling.clone(),
            evidence: text.line_at(line.number, line.run),
            ..Task::default()
        });
    }
}

/// A job of at(1): its name holds queue, number and minute; its text is a shell script that first
/// sets the environment and changes to the folder the job was made in.
fn at_job(system: &System, out: &Out, text: &Text<'_>, users: &BTreeMap<String, String>, enabled: bool) {
    let name = Name::new(text.entry.path.file_name()).display();
    if name.starts_with('.') {
        return;
    }
    let minutes = name.get(6..14).filter(|_| name.len() == 14).and_then(|h| i64::from_str_radix(h, 16).ok());
    let Some(minutes) = minutes else {
        out.gap(text.entry, "no job of at");
        return;
    };
    let mut uid = String::new();
    let mut commands = Vec::new();
    let mut script = false;
    let mut line_of = None;
    for line in lines(&text.bytes).take(100_000) {
        if let Some(rest) = line.text.strip_prefix("# atrun uid=") {
            rest.split_whitespace().next().unwrap_or_default().clone_into(&mut uid);
        }
        let body = line.text.trim();
        if script && !body.is_empty() && !body.starts_with('#') && !body.contains("marcinDELIMITER") {
            commands.push(body.to_owned());
            line_of = line_of.or(Some((line.number, line.run)));
        }
        // The end of `cd FOLDER || { … }`.
        script |= line.text.as_ref() == "}";
    }
    let command = commands.join("; ");
    let (schedule, user) =
        (Time::seconds(minutes.saturating_mul(60)).to_string(), users.get(&uid).cloned().unwrap_or(uid));
    let evidence = line_of.map_or_else(|| text.evidence(), |(n, run)| text.line_at(n, run));
    let way = Way::root("at", "schedule").user(&user).only(enabled, NOT_RUN);
    let start = way.shell(system, &text.entry.path.display(), &schedule, &command, evidence.clone());
    let program = start.program.clone();
    out.push(start);
    out.push(Task {
        name: text.entry.path.display(),
        manager: "at".into(),
        schedule,
        user,
        program,
        command: cut(&command),
        enabled,
        evidence,
        ..Task::default()
    });
}

fn incron(system: &System, out: &Out, text: &Text<'_>, enabled: bool) {
    let of_system = text.entry.path.bytes().starts_with(b"/etc/");
    for line in lines(&text.bytes).take(MAX_TASKS) {
        let Some(body) = body(out, text, &line) else { continue };
        let (path, rest) = take_words(body, 1);
        let (mask, command) = take_words(rest, 1);
        if command.is_empty() {
            out.gap_line(text.entry, line.number, "no incrontab line");
            continue;
        }
        let user = if of_system { "root".to_owned() } else { Name::new(text.entry.path.file_name()).display() };
        let schedule = format!("{path} {mask}");
        let way = Way::root("incron", "event").user(&user).only(enabled, NOT_RUN);
        let evidence = text.line_at(line.number, line.run);
        let start = way.shell(system, &text.entry.path.display(), &schedule, command, evidence);
        let program = start.program.clone();
        out.push(start);
        out.push(Task {
            name: text.entry.path.display(),
            manager: "incron".into(),
            schedule,
            user,
            command: cut(command),
            program,
            enabled,
            evidence: text.line_at(line.number, line.run),
            ..Task::default()
        });
    }
}

/// uid → name.
fn accounts(system: &System) -> BTreeMap<String, String> {
    let text = system.resolve("/etc/passwd").and_then(|e: &Entry| system.read(e, TEXT_LIMIT).ok());
    let mut all = BTreeMap::new();
    for line in text.iter().flat_map(|t| lines(&t.bytes)) {
        let mut fields = line.text.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) {
            all.entry(uid.to_owned()).or_insert_with(|| name.to_owned());
        }
    }
    all
}

/// The trimmed line, unless it is empty or a comment; a cut line is a gap and still read.
fn body<'l>(out: &Out, text: &Text<'_>, line: &'l Line<'_>) -> Option<&'l str> {
    let body = line.text.trim();
    if line.cut {
        out.gap_line(text.entry, line.number, "budget: line; only its first 64 KiB were read");
    }
    (!body.is_empty() && !body.starts_with('#')).then_some(body)
}

/// `NAME = value`, as crontab(5) allows.
fn assignment(body: &str) -> Option<(&str, &str)> {
    let (name, value) = body.split_once('=')?;
    let name = name.trim().trim_matches(['"', '\'']);
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (fits && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, value))
}

/// The first `n` words as written, and what follows them.
fn take_words(text: &str, n: usize) -> (&str, &str) {
    let mut rest = text.trim_start();
    for _ in 0..n {
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
    let taken = text.len().saturating_sub(rest.len());
    (text.get(..taken).unwrap_or_default().trim(), rest)
}

/// What the shell is given: up to the first `%` that no backslash guards; the rest is its input.
fn before_percent(command: &str) -> &str {
    let mut guarded = false;
    for (at, c) in command.char_indices() {
        if c == '%' && !guarded {
            return command.get(..at).unwrap_or_default();
        }
        guarded = c == '\\';
    }
    command
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
