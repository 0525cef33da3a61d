//! What starts, beside units, init scripts and tasks: one file a kind of place. Each way gives a row of `starts`;
//! readers of other tables (units, crontabs, PAM, udev …) make theirs with the same [`Way`].
pub(crate) mod containers;
pub(crate) mod described;
pub(crate) mod desktop;
pub(crate) mod hooks;
pub(crate) mod inits;
pub(crate) mod interpreters;
pub(crate) mod logging;
pub(crate) mod machines;
pub(crate) mod packages;
pub(crate) mod plc;

pub(crate) mod servers;
pub(crate) mod shells;
pub(crate) mod sourced;
pub(crate) mod supervisors;
#[cfg(test)]
pub(crate) mod testing;

use super::program::{self, Found, PATH};
use crate::artifact::Out;
use crate::base::{Evidence, Name};
use crate::evidence::{Entry, System, Text};
use crate::format::ini::Ini;
use crate::format::lines::{Line, lines};
use crate::inventory::Start;

/// The longest command that goes into a row; the file has it whole.
const MAX_COMMAND: usize = 4096;
/// Words of a command that go into a row.
const MAX_WORDS: usize = 256;
/// Lines of one file that are looked at; a real one has thousands at most.
const MAX_LINES: usize = 100_000;

/// Who starts something, when, and as whom: what the lines of one file share.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) by: &'a str,
    pub(crate) when: &'a str,
    pub(crate) user: &'a str,
    pub(crate) enabled: bool,
    /// What leads to it, or keeps it from running.
    pub(crate) why: &'a str,
}

impl<'a> Way<'a> {
    /// As root, and nothing keeps it.
    pub(crate) fn root(by: &'a str, when: &'a str) -> Self {
        Self { by, when, user: "root", enabled: true, why: "" }
    }
    pub(crate) fn user(self, user: &'a str) -> Self {
        Self { user, ..self }
    }
    /// Runs only if `is`; `why` says what it depends on.
    pub(crate) fn only(self, is: bool, why: &'a str) -> Self {
        Self { enabled: self.enabled && is, why: if is { self.why } else { why }, ..self }
    }
    /// A row of this way without a command.
    pub(crate) fn start(&self, name: &str, trigger: &str, evidence: Evidence) -> Start {
        Start {
            by: self.by.into(),
            name: name.to_owned(),
            when: self.when.into(),
            trigger: cut(trigger),
            kind: "command".into(),
            user: self.user.to_owned(),
            enabled: self.enabled,
            why: if self.why.is_empty() { Vec::new() } else { vec![self.why.to_owned()] },
            evidence,
            ..Start::default()
        }
    }
    /// A command line that a shell reads.
    pub(crate) fn shell(&self, system: &System, name: &str, trigger: &str, command: &str, evidence: Evidence) -> Start {
        let found = program::of_shell(system, command, PATH);
        found.fill(Start { command: cut(command), ..self.start(name, trigger, evidence) })
    }
    /// A command line whose words are its program and arguments; quotes hold words together.
    pub(crate) fn words(&self, system: &System, name: &str, trigger: &str, command: &str, evidence: Evidence) -> Start {
        let words = crate::format::lines::words(command);
        let found = program::of_words(system, &words, PATH);
        found.fill(Start { command: cut(command), ..self.start(name, trigger, evidence) })
    }
    /// A file that is run, or read by a shell, as it is; `entry` may be a link to it. Gives no row for a folder, and
    /// none for a link that leads nowhere.
    pub(crate) fn file(&self, system: &System, entry: &Entry, trigger: &str) -> Option<Start> {
        let target = system.resolve(entry.path.bytes()).filter(|t| t.is_file())?;
        Some(Start {
            kind: "script".into(),
            command: entry.path.display(),
            program: Some(target.path.clone()),
            ..self.start(&entry.path.display(), trigger, system.evidence(target))
        })
    }
    /// Code that is loaded into a program; `written` is how it is named, `program` where it lies.
    pub(crate) fn library(
        &self,
        name: &str,
        trigger: &str,
        written: &str,
        program: Option<Name>,
        evidence: Evidence,
    ) -> Start {
        Start {
            kind: "library".into(),
            command: cut(written),
            program: program.or_else(|| written.starts_with('/').then(|| Name::from(written))),
            ..self.start(name, trigger, evidence)
        }
    }
}

impl Found {
    /// A row of what this comes down to.
    pub(crate) fn fill(self, start: Start) -> Start {
        let arguments = joined(&self.arguments);
        Start { program: self.program, wrappers: self.wrappers.iter().map(Name::display).collect(), arguments, ..start }
    }
}

/// Words as a shell would read them again.
pub(crate) fn joined(words: &[String]) -> String {
    let plain = |w: &str| !w.is_empty() && !w.contains(|c: char| c.is_whitespace() || "\"'\\;&|<>()`$".contains(c));
    let one = |w: &String| if plain(w) { w.clone() } else { format!("'{}'", w.replace('\'', "'\\''")) };
    cut(&words.iter().take(MAX_WORDS).map(one).collect::<Vec<_>>().join(" "))
}

/// Live entries that fit a pattern, sorted. Its choices are taken apart first, so that each is looked for from a folder
/// of its own and through that folder's links.
pub(crate) fn glob<'a>(system: &'a System, pattern: &str) -> Vec<&'a Entry> {
    let mut all: Vec<&Entry> = choices(pattern).iter().flat_map(|p| system.glob(p)).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    all
}

/// The first so many of a list; what is over is a gap.
pub(crate) fn at_most<'a>(entries: Vec<&'a Entry>, most: usize, what: &str, out: &Out) -> Vec<&'a Entry> {
    let mut entries = entries;
    if let Some(over) = entries.get(most) {
        out.gap(over, format!("budget: {what}; this and the rest were not listed"));
        entries.truncate(most);
    }
    entries
}

/// The patterns that a pattern with `{a,b}` stands for.
pub(crate) fn choices(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(one) = todo.pop() {
        let open =
            one.split_once('{').and_then(|(head, rest)| rest.split_once('}').map(|(inner, tail)| (head, inner, tail)));
        match open {
            Some((head, inner, tail)) => todo.extend(inner.split(',').rev().map(|c| format!("{head}{c}{tail}"))),
            None => done.push(one),
        }
    }
    done
}

/// Whether somebody may run the file, links followed.
pub(crate) fn is_executable(system: &System, entry: &Entry) -> bool {
    system.resolve(entry.path.bytes()).and_then(|t| t.stat.as_ref()).is_some_and(|s| s.mode & 0o111 != 0)
}

/// The folders in which libraries lie, the loader's own order left aside.
pub(crate) fn library_folders(system: &System) -> Vec<String> {
    let mut all: Vec<String> = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"].map(str::to_owned).into();
    for root in ["/usr/lib", "/lib"] {
        let folders = system.glob(&format!("{root}/*-linux-*")).into_iter().filter(|e| e.is_dir());
        all.extend(folders.take(64).map(|e| e.path.lossy().into_owned()));
    }
    all
}
/// The first of the folders that has the file; a path is taken as it is.
pub(crate) fn search(system: &System, folders: &[String], name: &str) -> Option<Name> {
    if name.starts_with('/') {
        return system.canonical(name.as_bytes());
    }
    folders.iter().find_map(|folder| system.canonical(format!("{folder}/{name}").as_bytes()))
}

/// The lines of a small file; what is over, cut or no text is a gap.
pub(crate) fn bounded<'t>(text: &'t Text<'_>, out: &Out) -> Vec<Line<'t>> {
    let entry = text.entry;
    if !crate::format::lines::is_text(&text.bytes) {
        out.gap(entry, "a binary in place of a text; not read");
        return Vec::new();
    }
    let mut all = Vec::new();
    for line in lines(&text.bytes) {
        if all.len() >= MAX_LINES {
            out.gap_line(entry, line.number, "budget: lines; the rest was not read");
            break;
        }
        if line.cut {
            out.gap_line(entry, line.number, "budget: line; only its first 64 KiB were read");
        }
        all.push(line);
    }
    all
}

/// Sections of settings; the first line that fits no rule is a gap.
pub(crate) fn sections(text: &Text<'_>, out: &Out) -> Ini {
    if !crate::format::lines::is_text(&text.bytes) {
        out.gap(text.entry, "a binary in place of a text; not read");
        return Ini::default();
    }
    let ini = Ini::parse(&text.bytes);
    if let Some((line, what)) = ini.problems.first() {
        out.gap_line(text.entry, *line, what);
    }
    ini
}

/// Whether one of these programs is on the disk, along the usual path.
pub(crate) fn has(system: &System, programs: &[&str]) -> bool {
    programs.iter().any(|p| program::lookup(system, p, PATH).is_some())
}

pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_COMMAND) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
