//! Environments of U-Boot as rows: every variable of every copy, which copy is used, what the two differ in, and the
//! kernel command lines that they hold. Format: `env/common.c` and the manual "Environment Variables" of U-Boot.
use super::linux::bootargs;
use super::{Artifact, Os, Out};
use crate::base::{Evidence, Name};
use crate::evidence::System;
use crate::inventory::{BootVariable, Setting};
use std::collections::{BTreeMap, BTreeSet};

/// Texts of the same kind that scripts of the boot loader take variables from.
pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.boot-environment",
    about: "Variables that U-Boot's scripts take from texts; those of its environments in flash and in files come with the volumes.",
    os: Os::Linux,
    reads: &[TEXTS],
    references: &["https://docs.u-boot.org/en/latest/usage/environment.html", "fw_printenv(1)"],
    extract,
};
/// The name of the reader of environments in flash and in files.
pub(crate) const BY: &str = "boot-environment";
const TEXTS: &str = "/boot/{uEnv,armbianEnv,orangepiEnv,extraEnv}.txt";
/// Variables of one text; what `bootcmd` runs, step by step.
const MOST: usize = 20_000;

/// One copy of an environment.
pub(crate) struct Copy {
    pub place: String,
    /// Its number, where there are two.
    pub number: u32,
    pub used: Option<bool>,
    pub checksum: &'static str,
    pub flag: Option<u8>,
    /// Names, values and where each stands, in their order.
    pub variables: Vec<(Vec<u8>, Vec<u8>, Evidence)>,
}
impl Copy {
    fn values(&self) -> BTreeMap<&[u8], &[u8]> {
        let mut values = BTreeMap::new();
        for (name, value, _) in &self.variables {
            values.entry(name.as_slice()).or_insert(value.as_slice());
        }
        values
    }
}

fn extract(system: &System, out: &Out) {
    let paths = ["/boot/uEnv.txt", "/boot/armbianEnv.txt", "/boot/orangepiEnv.txt", "/boot/extraEnv.txt"];
    out.each(system, &paths, |text| {
        let mut variables = Vec::new();
        for (number, line, run) in text.lines() {
            let Some((name, value)) = line.trim().split_once('=').filter(|(n, _)| is_name(n)) else { continue };
            if variables.len() >= MOST {
                out.gap_line(text.entry, number, "budget: variables; the rest was not listed");
                break;
            }
            variables.push((name.as_bytes().to_vec(), value.as_bytes().to_vec(), text.line_at(number, run)));
        }
        let place = text.entry.path.display();
        let copy = Copy { place, number: 0, used: None, checksum: "none", flag: None, variables };
        variables_of(&copy, None, out);
    });
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The rows of one environment's copies.
pub(crate) fn rows(copies: &[Copy], out: &Out) {
    for (n, copy) in copies.iter().enumerate() {
        let other = copies.iter().enumerate().find(|(m, c)| *m != n && c.checksum == "ok").map(|(_, c)| c);
        variables_of(copy, other, out);
        if copy.used == Some(true) {
            command_lines(copy, out);
        }
    }
}

fn variables_of(copy: &Copy, other: Option<&Copy>, out: &Out) {
    let others = other.map(Copy::values);
    let reached = reached(copy);
    for (name, value, evidence) in &copy.variables {
        let differs = others.as_ref().filter(|_| copy.checksum == "ok").map(|o| o.get(name.as_slice()).copied());
        let (name, shown) = (Name::new(name).display(), Name::new(value).display());
        // What another value was is as secret as this one: it is masked by the same name.
        let was = match differs {
            Some(None) => "(not set)".to_owned(),
            Some(Some(was)) if was != value.as_slice() => masked(&name, &Name::new(was).display(), out),
            _ => String::new(),
        };
        out.push(BootVariable {
            role: role(&name, &reached).into(),
            value: shown,
            place: copy.place.clone(),
            copy: copy.number,
            used: copy.used,
            checksum: copy.checksum.into(),
            flag: copy.flag.map(|f| f.to_string()).unwrap_or_default(),
            other: was,
            evidence: Evidence { key: Some(name.clone()), ..evidence.clone() },
            name,
            ..BootVariable::default()
        });
    }
}

fn masked(name: &str, value: &str, out: &Out) -> String {
    if crate::base::secret::is_secret(name) { out.secret(value).to_owned() } else { value.to_owned() }
}

fn role(name: &str, reached: &BTreeSet<String>) -> &'static str {
    match name {
        "bootargs" | "extraargs" | "optargs" | "bootargs_append" => "arguments",
        "serverip" | "ipaddr" | "netmask" | "gatewayip" | "ethaddr" | "eth1addr" | "ethact" | "ethprime"
        | "bootfile" | "rootpath" | "tftpserverip" | "dnsip" | "hostname" | "netdev" | "autoload" => "network",
        "bootdelay" | "bootstopkey" | "bootstopkeysha256" | "preboot" | "stdin" | "silent" => "delay",
        "BOOT_ORDER" | "mender_boot_part" | "upgrade_available" | "bootcount" | "bootlimit" | "altbootcmd"
        | "rootpart" | "bootpart" | "active_slot" | "boot_slot" | "slot" | "swupdate_slot" | "ustate" => "slot",
        name if name.starts_with("BOOT_") && name.ends_with("_LEFT") => "slot",
        name if reached.contains(name) => "command",
        _ => "",
    }
}

/// The variables whose commands `bootcmd` runs, itself among them: by the words behind `run`, as far as they are no
/// variables themselves.
fn reached(copy: &Copy) -> BTreeSet<String> {
    let values = copy.values();
    let mut found = BTreeSet::new();
    let mut open = vec!["bootcmd".to_owned()];
    while let Some(name) = open.pop() {
        let Some(value) = values.get(name.as_bytes()).filter(|_| found.len() < MOST) else { continue };
        if !found.insert(name) {
            continue;
        }
        let text = String::from_utf8_lossy(value);
        for command in commands(&text) {
            let mut words = command.split_whitespace().skip_while(|w| KEYWORDS.contains(w));
            if words.next() == Some("run") {
                open.extend(words.filter(|w| is_name(w)).map(str::to_owned));
            }
        }
    }
    found
}

/// Words of the shell in front of a command.
const KEYWORDS: &[&str] = &["if", "then", "else", "elif", "do", "while", "until", "!"];

/// The commands of a line, apart by `;`, `&&`, `||` and line ends, quotes kept together.
fn commands(text: &str) -> Vec<&str> {
    let (mut all, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, ';' | '\n' | '&' | '|') => {
                all.extend(text.get(start..at));
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    all.extend(text.get(start..));
    all.into_iter().map(str::trim).filter(|c| !c.is_empty()).collect()
}

/// The kernel command lines of the copy that is used: `bootargs`, and what commands set it to. Those of commands that
/// `bootcmd` runs count, and `bootargs` itself only if none of them does.
fn command_lines(copy: &Copy, out: &Out) {
    let reached = reached(copy);
    let mut lines: Vec<(String, String, bool, &Evidence)> = Vec::new();
    for (name, value, evidence) in &copy.variables {
        let (name, text) = (Name::new(name).display(), String::from_utf8_lossy(value));
        if name == "bootargs" {
            lines.push((name, text.into_owned(), true, evidence));
            continue;
        }
        for command in commands(&text) {
            let words = command.trim_start_matches(|c: char| c.is_whitespace());
            let set = ["setenv bootargs ", "env set bootargs ", "then setenv bootargs ", "else setenv bootargs "];
            let Some(line) = set.iter().find_map(|s| words.strip_prefix(s)) else { continue };
            let line = line.trim().trim_matches(['"', '\'']);
            lines.push((name.clone(), line.to_owned(), reached.contains(&name), evidence));
        }
    }
    let set_again = lines.iter().any(|(name, _, counts, _)| name != "bootargs" && *counts);
    for (name, line, counts, evidence) in lines {
        let counts = counts && !(name == "bootargs" && set_again);
        for parameter in bootargs::parameters(&line) {
            let (key, value) = parameter.split_once('=').unwrap_or((&parameter, ""));
            out.push(Setting {
                program: "kernel-cmdline".into(),
                scope: format!("U-Boot {name}, {}", copy.place),
                name: Name::from(key).display(),
                value: Name::from(value.trim_matches('"')).display(),
                effective: counts,
                evidence: Evidence { key: Some(name.clone()), ..evidence.clone() },
                ..Setting::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Row;

    fn copy(number: u32, used: bool, variables: &[(&str, &str)]) -> Copy {
        let variable =
            |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec(), Evidence::default());
        Copy {
            place: format!("env{number}"),
            number,
            used: Some(used),
            checksum: "ok",
            flag: Some(7),
            variables: variables.iter().map(variable).collect(),
        }
    }
    fn told(copies: &[Copy]) -> Vec<String> {
        let out = Out::new(None, BY);
        rows(copies, &out);
        let (rows, gaps) = out.take();
        assert!(gaps.is_empty());
        let line = |r: &Row| match r {
            Row::BootVariable(v) => format!("{}:{}={} [{}] <{}>", v.place, v.name, v.value, v.role, v.other),
            Row::Setting(s) => format!("{}: {}={} {}", s.scope, s.name, s.value, s.effective),
            other => panic!("{other:?}"),
        };
        rows.iter().map(line).collect()
    }

    #[test]
    fn copies_are_compared_and_what_is_run_is_followed() {
        let used = copy(
            1,
            true,
            &[
                ("bootcmd", "if test -n ${x}; then run setup load; fi; run nothing ${y}"),
                ("setup", "setenv bootargs \"console=ttyS0 init=/bin/sh; x\" && true"),
                ("load", "tftpboot 0x80000 kernel || run setup"),
                ("old", "setenv bootargs root=/dev/sda1"),
                ("bootargs", "root=/dev/mtdblock3"),
                ("wifi_password", "topsecret"),
                ("serverip", "192.0.2.7"),
            ],
        );
        let other = copy(2, false, &[("bootcmd", "bootm"), ("wifi_password", "before"), ("serverip", "192.0.2.7")]);
        let lines = told(&[used, other]);
        let expected = [
            "env1:bootcmd=if test -n ${x}; then run setup load; fi; run nothing ${y} [command] <bootm>",
            "env1:setup=setenv bootargs \"console=ttyS0 init=/bin/sh; x\" && true [command] <(not set)>",
            "env1:load=tftpboot 0x80000 kernel || run setup [command] <(not set)>",
            "env1:old=setenv bootargs root=/dev/sda1 [] <(not set)>",
            "env1:bootargs=root=/dev/mtdblock3 [arguments] <(not set)>",
            "env1:serverip=192.0.2.7 [network] <>",
            "U-Boot setup, env1: console=ttyS0 true",
            "U-Boot setup, env1: init=/bin/sh; true",
            "U-Boot old, env1: root=/dev/sda1 false",
            "U-Boot bootargs, env1: root=/dev/mtdblock3 false",
            "env2:serverip=192.0.2.7 [network] <>",
        ];
        for wanted in expected {
            assert!(lines.iter().any(|l| l == wanted), "{wanted}\n{lines:#?}");
        }
        let all = lines.join("\n");
        assert!(!all.contains("topsecret") && !all.contains("before"), "{all}");
    }

    #[test]
    fn what_runs_itself_ends() {
        let lines = told(&[copy(0, true, &[("bootcmd", "run a"), ("a", "run b;run a"), ("b", "run a bootcmd")])]);
        assert_eq!(lines.iter().filter(|l| l.contains("[command]")).count(), 3);
    }
}
