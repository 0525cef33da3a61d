//! Settings of the SSH servers: sshd_config(5) with Include and Match, dropbear's defaults file.
//! Only what is written down becomes a row; built-in defaults are not invented.
use super::starts::Way;
use crate::artifact::{Artifact, Os, Out, TEXT_LIMIT};
use crate::base::Evidence;
use crate::evidence::{Entry, System, Text};
use crate::inventory::Setting;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.sshd",
    about: "What sshd and dropbear are set to: every directive, with the one that counts marked.",
    os: Os::Linux,
    reads: &[
        "/etc/ssh/sshd_config",
        "files that Include names: /etc/ssh/sshd_config.d/*.conf",
        "/etc/default/{ssh,dropbear}",
        "/etc/sysconfig/sshd",
        "/etc/config/dropbear",
        "/etc/dropbear/dropbear.conf",
    ],
    references: &["sshd_config(5)", "sshd(8)", "dropbear(8)"],
    extract,
};

const MAIN: &str = "/etc/ssh/sshd_config";
/// sshd itself refuses deeper nesting.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 512;
const MAX_DIRECTIVES: usize = 50_000;

/// Directives that add up instead of the first one winning.
const CUMULATIVE: &[&str] = &[
    "port",
    "listenaddress",
    "hostkey",
    "hostcertificate",
    "acceptenv",
    "allowusers",
    "denyusers",
    "allowgroups",
    "denygroups",
    "subsystem",
    "setenv",
    "logverbose",
    "include",
];

/// One directive as written.
pub(super) struct Directive {
    /// `Match` and its criteria, or empty.
    pub(super) scope: String,
    name: String,
    pub(super) value: String,
    effective: bool,
    evidence: Evidence,
}

/// The values of a directive (in lower case), of every scope.
pub(super) fn values(system: &System, name: &str) -> Vec<String> {
    let found = directives(system, &mut |_, _| {}).into_iter();
    found.filter(|d| d.name.eq_ignore_ascii_case(name)).map(|d| d.value).collect()
}

/// Reads the configuration in the order in which sshd does; `gap` is told what could not be read.
fn directives(system: &System, gap: &mut dyn FnMut(&Entry, String)) -> Vec<Directive> {
    let mut reader = Reader { system, gap, open: Vec::new(), found: Vec::new(), seen: BTreeSet::new(), files: 0 };
    if let Some(entry) = system.resolve(MAIN) {
        reader.file(entry, "");
    }
    reader.found
}

struct Reader<'a, 'g> {
    system: &'a System,
    gap: &'g mut dyn FnMut(&Entry, String),
    /// Files being read, to stop at cycles.
    open: Vec<&'a [u8]>,
    found: Vec<Directive>,
    /// Scope and name of what was set already.
    seen: BTreeSet<(String, String)>,
    files: usize,
}

impl<'a> Reader<'a, '_> {
    fn file(&mut self, entry: &'a Entry, outer: &str) {
        self.files = self.files.saturating_add(1);
        if self.open.contains(&entry.path.bytes()) {
            (self.gap)(entry, "Include leads back to this file; not read again".to_owned());
            return;
        }
        if self.open.len() >= MAX_DEPTH || self.files > MAX_FILES {
            (self.gap)(entry, "budget: Include nesting; not read".to_owned());
            return;
        }
        let text = match self.system.read(entry, TEXT_LIMIT) {
            Ok(text) => text,
            Err(e) => return (self.gap)(entry, e.to_string()),
        };
        if text.truncated {
            (self.gap)(entry, "budget: text; only its first 16 MiB were read".to_owned());
        }
        self.open.push(entry.path.bytes());
        self.lines(&text, outer);
        self.open.pop();
    }
    fn lines(&mut self, text: &Text<'_>, outer: &str) {
        // A Match holds until the next one or the end of its file.
        let mut scope = outer.to_owned();
        for (number, line, run) in text.lines() {
            let Some((name, value)) = directive(&line) else { continue };
            if self.found.len() >= MAX_DIRECTIVES {
                (self.gap)(text.entry, format!("line {number}: budget: directives; the rest was not read"));
                return;
            }
            let key = name.to_ascii_lowercase();
            if key == "match" {
                scope = if outer.is_empty() { format!("Match {value}") } else { format!("{outer} / Match {value}") };
                continue;
            }
            let first = self.seen.insert((scope.clone(), key.clone()));
            self.found.push(Directive {
                scope: scope.clone(),
                name: name.to_owned(),
                value: value.clone(),
                effective: first || CUMULATIVE.contains(&key.as_str()),
                evidence: text.line_at(number, run),
            });
            if key == "include" {
                for pattern in value.split_whitespace() {
                    let path =
                        if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
                    for entry in self.system.glob(&path) {
                        if let Some(entry) = self.system.resolve(entry.path.bytes()).filter(|e| e.is_file()) {
                            self.file(entry, &scope);
                        }
                    }
                }
            }
        }
    }
}

/// `Name value`, `Name=value`, values quoted; comments and empty lines are none.
fn directive(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    // A comment may follow the value since OpenSSH 8.5; quotes protect the mark.
    let mut value = String::new();
    let mut quoted = false;
    for c in rest.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted && value.ends_with(char::is_whitespace) => break,
            _ => value.push(c),
        }
    }
    (!name.is_empty()).then(|| (name, value.trim_end().to_owned()))
}

fn extract(system: &System, out: &Out) {
    for d in directives(system, &mut |entry, what| out.gap(entry, what)) {
        let key = d.name.to_ascii_lowercase();
        let command = match key.as_str() {
            "authorizedkeyscommand" | "authorizedprincipalscommand" => Some(("root", d.value.as_str())),
            "forcecommand" => Some(("", d.value.as_str())),
            "subsystem" => d.value.split_once(char::is_whitespace).map(|(_, c)| ("", c.trim())),
            _ => None,
        };
        let real = |c: &&str| !matches!(*c, "none" | "internal-sftp" | "");
        if let Some((user, command)) = command.filter(|(_, c)| real(c)) {
            let way = Way::root("sshd", "login").user(user).only(d.effective, "an earlier line has its place");
            let trigger = if d.scope.is_empty() { "every login over ssh" } else { d.scope.as_str() };
            out.push(way.shell(system, &d.name, trigger, command, d.evidence.clone()));
        }
        out.push(Setting {
            program: "sshd".into(),
            scope: d.scope,
            name: d.name,
            value: d.value,
            effective: d.effective,
            evidence: d.evidence,
            ..Setting::default()
        });
    }
    for (path, program) in [
        ("/etc/default/ssh", "sshd"),
        ("/etc/sysconfig/sshd", "sshd"),
        ("/etc/default/dropbear", "dropbear"),
        ("/etc/dropbear/dropbear.conf", "dropbear"),
        ("/etc/config/dropbear", "dropbear"),
    ] {
        out.each_text(system, &[path], |text| options(text, program, out));
    }
}

/// `NAME=value` lines of a shell fragment, and `option name value` of OpenWrt.
fn options(text: &Text<'_>, program: &str, out: &Out) {
    for (number, line, run) in text.lines() {
        let line = line.trim();
        let pair = match line.strip_prefix("option ").or_else(|| line.strip_prefix("list ")) {
            Some(rest) => rest.trim().split_once(char::is_whitespace),
            None if line.starts_with('#') => None,
            None => line.split_once('='),
        };
        let Some((name, value)) = pair else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        if value.is_empty() {
            continue;
        }
        out.push(Setting {
            program: program.into(),
            scope: text.entry.path.display(),
            name: name.trim().to_owned(),
            value: value.to_owned(),
            effective: true,
            evidence: text.line_at(number, run),
            ..Setting::default()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn first_match_wins_and_includes_are_read_in_place() {
        let s = system(
            "/etc/ssh/sshd_config
    Include /etc/ssh/sshd_config.d/*.conf
    Port 22
    Port 2222
    PermitRootLogin no
    PasswordAuthentication=yes # kept
    Match User op Address 10.0.0.0/8
        PermitRootLogin yes
        X11Forwarding no
    Match all
        Include extra.conf

/etc/ssh/sshd_config.d/10-a.conf
    permitrootlogin prohibit-password
    AuthorizedKeysFile \"/etc/keys/%u\" .ssh/authorized_keys

/etc/ssh/sshd_config.d/20-b.conf
    PermitRootLogin yes
    Include /etc/ssh/sshd_config

/etc/ssh/extra.conf
    GatewayPorts yes

/etc/default/ssh
    # Options
    SSHD_OPTS=\"-p 2022\"
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Setting(s) if !s.name.eq_ignore_ascii_case("include") => {
                    Some(format!("{}|{}={}|{}", s.scope, s.name, s.value, s.effective))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            seen,
            [
                "|permitrootlogin=prohibit-password|true",
                "|AuthorizedKeysFile=/etc/keys/%u .ssh/authorized_keys|true",
                "|PermitRootLogin=yes|false",
                "|Port=22|true",
                "|Port=2222|true",
                "|PermitRootLogin=no|false",
                "|PasswordAuthentication=yes|true",
                "Match User op Address 10.0.0.0/8|PermitRootLogin=yes|true",
                "Match User op Address 10.0.0.0/8|X11Forwarding=no|true",
                "Match all|GatewayPorts=yes|true",
                "/etc/default/ssh|SSHD_OPTS=-p 2022|true",
            ]
        );
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].what.contains("leads back"));
    }
}
