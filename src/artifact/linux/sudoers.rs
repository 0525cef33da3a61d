//! Who may become whom: sudoers(5) with its included files and aliases, doas.conf(5), and the
//! polkit rules that answer for it are left to their own artifact.
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{Entry, System, Text};
use crate::inventory::{Setting, SudoRule};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.sudoers",
    about: "Rules of sudo and doas, aliases resolved, with who needs no password.",
    os: Os::Linux,
    reads: &[
        "/etc/sudoers",
        "/etc/sudoers.d/*",
        "files that @include and @includedir name",
        "/etc/doas.conf",
        "/etc/doas.d/*.conf",
    ],
    references: &["sudoers(5)", "doas.conf(5)"],
    extract,
};

/// sudo's own limit.
const MAX_DEPTH: usize = 128;
const MAX_FILES: usize = 1024;
const MAX_RULES: usize = 20_000;
/// Longest list an alias may grow to; longer ones stay by name.
const MAX_LIST: usize = 4096;

/// A logical line: continued lines joined, comments off.
struct Line {
    text: String,
    number: u32,
    run: Run,
}

/// A user specification before aliases are resolved.
struct Spec<'a> {
    entry: &'a Entry,
    line: Line,
}

struct Reader<'a, 'o> {
    system: &'a System,
    out: &'o Out,
    host: String,
    open: BTreeSet<Vec<u8>>,
    files: usize,
    aliases: BTreeMap<(char, String), Vec<String>>,
    specs: Vec<Spec<'a>>,
    texts: BTreeMap<Vec<u8>, Text<'a>>,
}

fn extract(system: &System, out: &Out) {
    let host = system.info.hostname.clone();
    let mut reader = Reader {
        system,
        out,
        host,
        open: BTreeSet::new(),
        files: 0,
        aliases: BTreeMap::new(),
        specs: Vec::new(),
        texts: BTreeMap::new(),
    };
    match system.resolve("/etc/sudoers") {
        Some(entry) => reader.file(entry, 0),
        // A folder alone is read by nothing, but it is what an image without its sudoers shows.
        None => reader.folder("/etc/sudoers.d", 0),
    }
    reader.rules();
    out.each(system, &["/etc/doas.conf", "/etc/doas.d/*.conf"], |text| doas(text, out));
}

impl<'a> Reader<'a, '_> {
    fn file(&mut self, entry: &'a Entry, depth: usize) {
        self.files = self.files.saturating_add(1);
        if depth > MAX_DEPTH || self.files > MAX_FILES {
            self.out.gap(entry, "budget: include nesting; not read");
            return;
        }
        let path = entry.path.bytes().to_vec();
        if !self.open.insert(path.clone()) {
            self.out.gap(entry, "an include leads to this file again; read once");
            return;
        }
        let Some(text) = self.out.read(self.system, entry) else { return };
        for line in logical(&text) {
            let (word, rest) = split(&line.text);
            match word {
                "@include" | "#include" => {
                    if let Some(target) = self.target(rest, entry) {
                        match self.system.resolve(target.as_bytes()).filter(|e| e.is_file()) {
                            Some(found) => self.file(found, depth.saturating_add(1)),
                            None => {
                                self.out.gap_line(entry, line.number, format!("includes {target}, which is not there"));
                            }
                        }
                    }
                }
                "@includedir" | "#includedir" => {
                    if let Some(target) = self.target(rest, entry) {
                        self.folder(&target, depth.saturating_add(1));
                    }
                }
                _ if word.starts_with('#')
                    && !word.get(1..).is_some_and(|d| d.starts_with(|c: char| c.is_ascii_digit())) => {}
                "User_Alias" | "Runas_Alias" | "Host_Alias" | "Cmnd_Alias" | "Cmd_Alias" => {
                    self.alias(word.chars().next().unwrap_or('U'), rest);
                }
                _ if word.starts_with("Defaults") => self.defaults(&text, word, rest, &line),
                _ => self.specs.push(Spec { entry: text.entry, line }),
            }
        }
        self.texts.insert(text.entry.path.bytes().to_vec(), text);
    }
    /// `%h` stands for the short host name; a relative path starts beside the file.
    fn target(&self, rest: &str, entry: &Entry) -> Option<String> {
        let name = rest.trim().trim_matches('"').replace("\\ ", " ");
        let host = self.host.split('.').next().unwrap_or_default();
        let name = name.replace("%h", host);
        match name.chars().next()? {
            '/' => Some(name),
            _ => Some(format!("{}/{name}", String::from_utf8_lossy(entry.path.parent()))),
        }
    }
    fn folder(&mut self, path: &str, depth: usize) {
        let Some(dir) = self.system.canonical(path.as_bytes()) else { return };
        let prefix = dir.join(b"");
        let at = self.system.entries().partition_point(|e| e.path.bytes() < prefix.bytes());
        let below = self.system.entries().iter().skip(at).take_while(|e| e.path.bytes().starts_with(prefix.bytes()));
        for entry in below.filter(|e| e.path.parent() == dir.bytes() && !e.is_dir()) {
            // sudo passes over names with a dot or a final tilde.
            let name = entry.path.file_name();
            if name.contains(&b'.') || name.ends_with(b"~") {
                continue;
            }
            if let Some(found) = self.system.resolve(entry.path.bytes()).filter(|e| e.is_file()) {
                self.file(found, depth);
            }
        }
    }
    fn alias(&mut self, kind: char, rest: &str) {
        for one in rest.split(':') {
            if let Some((name, list)) = one.split_once('=') {
                self.aliases.insert((kind, name.trim().to_owned()), items(list));
            }
        }
    }
    fn defaults(&self, text: &Text<'_>, word: &str, rest: &str, line: &Line) {
        for item in items(rest) {
            let (name, value) = item.split_once('=').unwrap_or((item.as_str(), ""));
            self.out.push(Setting {
                program: "sudo".into(),
                scope: word.strip_prefix("Defaults").unwrap_or_default().to_owned(),
                name: name.trim().trim_end_matches('+').to_owned(),
                value: value.trim().trim_matches('"').to_owned(),
                effective: true,
                evidence: text.line_at(line.number, line.run),
                ..Setting::default()
            });
        }
    }
    /// Members of a list with the aliases in it replaced, also within each other.
    fn resolve(&self, kind: char, list: &[String]) -> String {
        let mut done = BTreeSet::new();
        let mut todo: Vec<String> = list.iter().rev().cloned().collect();
        let mut all = Vec::new();
        while let Some(item) = todo.pop() {
            let (not, name) = item.strip_prefix('!').map_or(("", item.as_str()), |n| ("!", n));
            match self.aliases.get(&(kind, name.to_owned())) {
                Some(members) if all.len().saturating_add(todo.len()) < MAX_LIST && done.insert(name.to_owned()) => {
                    todo.extend(members.iter().rev().map(|m| format!("{not}{m}")));
                }
                _ => all.push(item),
            }
        }
        all.join(", ")
    }
    fn rules(&self) {
        let mut count = 0_usize;
        for spec in &self.specs {
            let Some(text) = self.texts.get(spec.entry.path.bytes()) else { continue };
            let Some((who, rest)) = users(&spec.line.text) else {
                self.out.gap_line(spec.entry, spec.line.number, "not a rule of sudoers(5)");
                continue;
            };
            let who = self.resolve('U', &items(who));
            for part in outside(rest, ':') {
                let Some((hosts, commands)) = part.split_once('=') else {
                    self.out.gap_line(spec.entry, spec.line.number, "not a rule of sudoers(5)");
                    continue;
                };
                // A list of run-as users that does not end: sudo refuses the file.
                if items(commands).iter().any(|item| item.starts_with('(') && !item.contains(')')) {
                    self.out.gap_line(spec.entry, spec.line.number, "not a rule of sudoers(5)");
                    continue;
                }
                let hosts = self.resolve('H', &items(hosts));
                for group in self.commands(commands) {
                    count = count.saturating_add(1);
                    if count > MAX_RULES {
                        self.out.gap(spec.entry, "budget: rules; the rest was not listed");
                        return;
                    }
                    self.out.push(SudoRule {
                        by: "sudo".into(),
                        who: who.clone(),
                        hosts: hosts.clone(),
                        evidence: text.line_at(spec.line.number, spec.line.run),
                        ..group
                    });
                }
            }
        }
    }
    /// Commands with the same run-as and tags, one row each; both carry over to the commands after them.
    fn commands(&self, text: &str) -> Vec<SudoRule> {
        let mut rules: Vec<(String, bool, Vec<String>)> = Vec::new();
        let mut runas = String::new();
        let mut nopasswd = false;
        for item in items(text) {
            let mut rest = item.as_str();
            if let Some(inner) = rest.strip_prefix('(')
                && let Some((list, after)) = inner.split_once(')')
            {
                let (users, groups) = list.split_once(':').unwrap_or((list, ""));
                let users = self.resolve('R', &items(users));
                let groups = self.resolve('R', &items(groups));
                runas = if groups.is_empty() { users } else { format!("{users} : {groups}") };
                rest = after.trim_start();
            }
            while let Some((tag, after)) = tag(rest) {
                match tag {
                    "NOPASSWD" => nopasswd = true,
                    "PASSWD" => nopasswd = false,
                    _ => {}
                }
                rest = after;
            }
            let command = self.resolve('C', &[rest.trim().to_owned()]);
            match rules.last_mut() {
                Some((r, n, list)) if *r == runas && *n == nopasswd => list.push(command),
                _ => rules.push((runas.clone(), nopasswd, vec![command])),
            }
        }
        let build = |(runas, nopasswd, list): (String, bool, Vec<String>)| SudoRule {
            by: "sudo".into(),
            // Without a list, sudo runs as root.
            runas: if runas.is_empty() { "root".to_owned() } else { runas },
            nopasswd,
            commands: list.join(", "),
            ..SudoRule::default()
        };
        rules.into_iter().map(build).collect()
    }
}

/// `NOPASSWD:` and its kin, and options such as `TIMEOUT=5` before a command.
fn tag(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_uppercase() || c == '_'))?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    if let Some(after) = rest.trim_start().strip_prefix(':') {
        return Some((name, after.trim_start()));
    }
    let after = rest.strip_prefix('=').filter(|_| !name.starts_with("ALL"))?;
    let end = after.find(char::is_whitespace)?;
    Some((name, after.get(end..)?.trim_start()))
}

/// Splits at commas outside quotes, brackets and escapes.
fn items(list: &str) -> Vec<String> {
    outside(list, ',').into_iter().map(|i| i.trim().to_owned()).filter(|i| !i.is_empty()).collect()
}

fn outside(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_usize);
    let mut parts = Vec::new();
    let mut from = 0;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth = depth.saturating_add(1),
            ')' if !quoted => depth = depth.saturating_sub(1),
            // The colon of a tag (`NOPASSWD:`) ends a word; the one between rules stands alone.
            ':' if at == ':' && !text.get(..i).is_some_and(|t| t.ends_with(char::is_whitespace)) => {}
            c if c == at && !quoted && depth == 0 => {
                parts.extend(text.get(from..i));
                from = i.saturating_add(c.len_utf8());
            }
            _ => {}
        }
    }
    parts.extend(text.get(from..));
    parts
}

/// The users of a specification: words joined by commas, up to a blank that no comma touches.
fn users(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                let (before, after) = text.split_at(at);
                let after = after.trim_start();
                if !before.trim_end().ends_with([',', '!']) && !after.starts_with(',') {
                    return Some((before, after)).filter(|(_, a)| a.contains('='));
                }
            }
            _ => {}
        }
    }
    None
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}

/// Joins continued lines and takes comments off; `#include`, `#includedir` and `#1000` are no comments.
fn logical(text: &Text<'_>) -> Vec<Line> {
    let mut all = Vec::new();
    let mut open: Option<Line> = None;
    for (number, raw, run) in text.lines() {
        let goes_on = open.is_some();
        let mut line = open.take().unwrap_or(Line { text: String::new(), number, run });
        line.run.len = run.end().saturating_sub(line.run.offset);
        // As sudo does: blanks at the start of a line that goes on are none of it.
        let raw = if goes_on { raw.trim_start() } else { &raw };
        if let Some(start) = raw.strip_suffix('\\') {
            line.text.push_str(start);
            open = Some(line);
            continue;
        }
        line.text.push_str(raw);
        all.push(line);
    }
    all.extend(open);
    for line in &mut all {
        let trimmed = line.text.trim();
        let keep = ["#include ", "#includedir ", "#include\t", "#includedir\t"].iter().any(|k| trimmed.starts_with(k));
        let mut cut = trimmed.len();
        let mut quoted = false;
        let mut before = ' ';
        for (at, c) in trimmed.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '#' if !quoted && before != '\\' && !keep => {
                    let id = trimmed
                        .get(at.saturating_add(1)..)
                        .is_some_and(|r| r.starts_with(|d: char| d.is_ascii_digit()));
                    if !id || !matches!(before, ' ' | '\t' | ',' | '!' | '(' | '%') {
                        cut = at;
                        break;
                    }
                }
                _ => {}
            }
            before = c;
        }
        line.text = trimmed.get(..cut).unwrap_or_default().trim_end().to_owned();
    }
    all.retain(|l| !l.text.is_empty());
    all
}

/// `permit|deny [options] identity [as target] [cmd command [args …]]`.
fn doas(text: &Text<'_>, out: &Out) {
    for (number, line, run) in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        if verb != "permit" && verb != "deny" {
            out.gap_line(text.entry, number, "not a rule of doas.conf(5)");
            continue;
        }
        let mut rule =
            SudoRule { by: "doas".into(), hosts: "ALL".to_owned(), runas: "ALL".to_owned(), ..SudoRule::default() };
        let mut in_braces = false;
        let mut command = Vec::new();
        while let Some(word) = words.next() {
            match word {
                _ if in_braces => in_braces = !word.ends_with('}'),
                _ if !command.is_empty() => command.push(word),
                "nopass" => rule.nopasswd = true,
                "persist" | "keepenv" | "nolog" => {}
                "setenv" => in_braces = true,
                "as" => rule.runas = words.next().unwrap_or_default().to_owned(),
                "cmd" => command.extend(words.next()),
                who if rule.who.is_empty() => rule.who = who.replacen(':', "%", 1),
                _ => {}
            }
        }
        rule.commands = if command.is_empty() { "ALL".to_owned() } else { command.join(" ") };
        if verb == "deny" {
            rule.commands = format!("!{}", rule.commands);
        }
        out.push(SudoRule { evidence: text.line_at(number, run), ..rule });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn rules_with_aliases_includes_and_tags() {
        let s = system(
            r#"/etc/sudoers
    # comment
    Defaults env_reset, secure_path="/usr/bin:/bin"
    Defaults:op !authenticate
    User_Alias VENDOR = alice, bob : OPS = VENDOR, %ops
    Cmnd_Alias NET = /sbin/ip, /sbin/route, \
        /usr/sbin/tcpdump
    Cmnd_Alias LOOP = LOOP, /bin/x
    Runas_Alias DB = mysql, #1002
    root ALL=(ALL:ALL) ALL
    OPS crane1, crane2 = (root) NOPASSWD: NET, PASSWD: /bin/ls -l, (DB) /bin/cat
    #1000 ALL = NOPASSWD:LOOP # trailing
    carol ALL = /bin/a : HOST2 = NOPASSWD: SETENV: sha256:abcd /bin/b
    @includedir /etc/sudoers.d
    #include /etc/sudoers.extra
    broken

/etc/sudoers.d/10-x
    %sudo	ALL=(ALL:ALL) NOPASSWD: ALL
    @include /etc/sudoers

/etc/sudoers.d/README.md
    evil ALL=ALL

/etc/sudoers.extra
    "dom user" ALL=(ALL) ALL

/etc/doas.conf
    permit nopass keepenv :wheel as root cmd /usr/bin/apt args update
    permit persist op
    deny guest
"#,
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::SudoRule(s) => Some(format!(
                    "{}|{}|{}|{}|{}",
                    s.who,
                    s.hosts,
                    s.runas,
                    s.commands,
                    if s.nopasswd { "N" } else { "-" }
                )),
                _ => None,
            })
            .collect();
        assert_eq!(
            seen,
            [
                "root|ALL|ALL : ALL|ALL|-",
                "alice, bob, %ops|crane1, crane2|root|/sbin/ip, /sbin/route, /usr/sbin/tcpdump|N",
                "alice, bob, %ops|crane1, crane2|root|/bin/ls -l|-",
                "alice, bob, %ops|crane1, crane2|mysql, #1002|/bin/cat|-",
                "#1000|ALL|root|LOOP, /bin/x|N",
                "carol|ALL|root|/bin/a|-",
                "carol|HOST2|root|sha256:abcd /bin/b|N",
                "%sudo|ALL|ALL : ALL|ALL|N",
                "\"dom user\"|ALL|ALL|ALL|-",
                "%wheel|ALL|root|/usr/bin/apt args update|N",
                "op|ALL|ALL|ALL|-",
                "guest|ALL|ALL|!ALL|-",
            ]
        );
        let settings: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Setting(s) => Some(format!("{}|{}={}", s.scope, s.name, s.value)),
                _ => None,
            })
            .collect();
        assert_eq!(settings, ["|env_reset=", "|secure_path=/usr/bin:/bin", ":op|!authenticate="]);
        let what: Vec<_> = gaps.iter().map(|g| g.what.as_str()).collect();
        assert_eq!(what, ["an include leads to this file again; read once", "line 15: not a rule of sudoers(5)"]);
    }
}
