//! Small files that decide who gets in or what is loaded into every program: the dynamic loader's
//! preload and search path, trusted hosts of the r-commands, TCP wrappers, terminals of root, account
//! sources, password defaults, what the journal keeps.
use super::dropins;
use super::starts::{Way, library_folders, search};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name};
use crate::evidence::{Entry, System, Text};
use crate::inventory::Setting;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.access",
    about: "Preloaded libraries, library paths, trusted hosts, TCP wrappers, root's terminals, account sources, password defaults, journal storage.",
    os: Os::Linux,
    reads: &[
        "/etc/ld.so.preload",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d/*.conf",
        "/etc/{hosts.equiv,shosts.equiv,ssh/shosts.equiv,hosts.allow,hosts.deny,securetty,login.defs,nsswitch.conf}",
        "/{root,home/*}/{.rhosts,.shosts}",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/journald.conf{,.d/*.conf}",
    ],
    references: &[
        "ld.so(8)",
        "ldconfig(8)",
        "hosts.equiv(5)",
        "hosts_access(5)",
        "securetty(5)",
        "login.defs(5)",
        "nsswitch.conf(5)",
        "journald.conf(5)",
    ],
    extract,
};

/// What of login.defs bears on who gets in; the rest is about mail and terminals.
const LOGIN_DEFS: &[&str] = &[
    "ENCRYPT_METHOD",
    "PASS_MAX_DAYS",
    "PASS_MIN_DAYS",
    "PASS_MIN_LEN",
    "PASS_WARN_AGE",
    "LOGIN_RETRIES",
    "LOGIN_TIMEOUT",
    "UID_MIN",
    "UID_MAX",
    "SYS_UID_MIN",
    "SYS_UID_MAX",
    "UMASK",
    "HOME_MODE",
    "SU_WHEEL_ONLY",
    "SULOG_FILE",
    "CONSOLE",
    "NOLOGINS_FILE",
    "FAIL_DELAY",
    "MD5_CRYPT_ENAB",
    "SHA_CRYPT_MIN_ROUNDS",
    "SHA_CRYPT_MAX_ROUNDS",
    "YESCRYPT_COST_FACTOR",
    "ENV_PATH",
    "ENV_SUPATH",
    "DEFAULT_HOME",
    "HUSHLOGIN_FILE",
    "NONEXISTENT",
    "FAKE_SHELL",
    "PREVENT_NO_AUTH",
];
/// Databases of nsswitch that say where accounts and rights come from.
const NSSWITCH: &[&str] = &["passwd", "group", "shadow", "gshadow", "sudoers", "hosts", "initgroups", "netgroup"];
const MAX_INCLUDES: usize = 1024;

/// A setting that counts.
pub(super) fn setting(program: &str, scope: &str, name: &str, value: &str, evidence: Evidence) -> Setting {
    Setting {
        program: program.into(),
        scope: scope.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        effective: true,
        evidence,
        ..Setting::default()
    }
}

/// Lines without comments and blanks around them.
fn plain(text: &Text<'_>, mut each: impl FnMut(u32, &str, Evidence)) {
    for (number, line, run) in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            each(number, line, text.line_at(number, run));
        }
    }
}

fn extract(system: &System, out: &Out) {
    preload(system, out);
    let mut seen = BTreeSet::new();
    if let Some(main) = system.resolve("/etc/ld.so.conf") {
        library_paths(system, main, &mut seen, out);
    }
    trusted(system, out);
    for (path, name) in [("/etc/hosts.allow", "allow"), ("/etc/hosts.deny", "deny")] {
        out.each_text(system, &[path], |text| {
            plain(text, |_, line, evidence| out.push(setting("tcp-wrappers", "", name, line, evidence)));
        });
    }
    out.each_text(system, &["/etc/securetty"], |text| {
        plain(text, |_, line, evidence| out.push(setting("securetty", "", "tty", line, evidence)));
    });
    login_defs(system, out);
    let mut sources = BTreeMap::new();
    out.each_text(system, &["/etc/nsswitch.conf"], |text| {
        plain(text, |_, line, evidence| {
            if let Some((database, services)) = line.split_once(':') {
                let bare = services.split(['[', ']']).step_by(2).flat_map(str::split_whitespace);
                for service in bare.take(64) {
                    let known = sources.entry(service.to_owned());
                    let (of, _) = known.or_insert_with(|| (Vec::new(), evidence.clone()));
                    of.push(database.trim().to_owned());
                }
            }
            if let Some((name, value)) = line.split_once(':').filter(|(n, _)| NSSWITCH.contains(&n.trim())) {
                let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
                out.push(setting("nsswitch", "", name.trim(), &value, evidence));
            }
        });
    });
    journald(system, out);
    if sources.is_empty() {
        return;
    }
    let folders = library_folders(system);
    for (service, (databases, evidence)) in sources {
        // The C library has these itself, or does not have them at all.
        let written = format!("libnss_{service}.so.2");
        let Some(found) = search(system, &folders, &written) else { continue };
        let way = Way::root("nss", "program").user("");
        let trigger = format!("lookup of {}", databases.join(", "));
        out.push(way.library(&service, &trigger, &written, Some(found), evidence));
    }
}

/// Libraries are separated by blanks or colons; `#` starts a comment (glibc).
fn preload(system: &System, out: &Out) {
    out.each_text(system, &["/etc/ld.so.preload"], |text| {
        plain(text, |_, line, evidence| {
            for library in line.split([' ', '\t', ':']).filter(|l| !l.is_empty()) {
                out.push(setting("ld.so", "preload", "ld.so.preload", library, evidence.clone()));
                let way = Way::root("ld.so", "program").user("");
                let found = search(system, &library_folders(system), library);
                let trigger = "every dynamically linked program";
                out.push(way.library("ld.so.preload", trigger, library, found, evidence.clone()));
            }
        });
    });
}

/// `include PATTERN` leads on; a file is read once.
fn library_paths<'a>(system: &'a System, first: &'a Entry, seen: &mut BTreeSet<Name>, out: &Out) {
    let mut todo = vec![first];
    while let Some(entry) = todo.pop() {
        if !seen.insert(entry.path.clone()) {
            continue;
        }
        if seen.len() > MAX_INCLUDES {
            out.gap(entry, "budget: include; not read");
            return;
        }
        let Some(text) = out.read(system, entry) else { continue };
        let mut found = Vec::new();
        plain(&text, |_, line, evidence| {
            if let Some(patterns) = line.strip_prefix("include ").or_else(|| line.strip_prefix("include\t")) {
                for pattern in patterns.split_whitespace() {
                    let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/{pattern}") };
                    found.extend(system.glob(&pattern).into_iter().filter_map(|e| system.resolve(e.path.bytes())));
                }
            } else if !line.starts_with("hwcap") {
                for path in line.split([' ', '\t', ':', ',']).filter(|p| !p.is_empty()) {
                    out.push(setting("ld.so", "path", "ld.so.conf", path, evidence.clone()));
                }
            }
        });
        todo.extend(found.into_iter().rev());
    }
}

fn trusted(system: &System, out: &Out) {
    for path in ["/etc/hosts.equiv", "/etc/shosts.equiv", "/etc/ssh/shosts.equiv"] {
        out.each_text(system, &[path], |text| {
            plain(text, |_, line, evidence| out.push(setting("rhosts", "", "trusts", line, evidence)));
        });
    }
    for user in super::accounts::users(system) {
        for file in [".rhosts", ".shosts"] {
            let Some(entry) = system.resolve(user.home.join(file.as_bytes()).bytes()) else { continue };
            let Some(text) = out.read(system, entry) else { continue };
            plain(&text, |_, line, evidence| out.push(setting("rhosts", &user.name, "trusts", line, evidence)));
        }
    }
}

fn login_defs(system: &System, out: &Out) {
    out.each_text(system, &["/etc/login.defs"], |text| {
        plain(text, |_, line, evidence| {
            let (name, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            if LOGIN_DEFS.contains(&name) {
                out.push(setting("login.defs", "", name, value.trim(), evidence));
            }
        });
    });
}

/// Every key of journald.conf and its drop-ins; the last one counts.
fn journald(system: &System, out: &Out) {
    let mut rows = Vec::new();
    for text in dropins::conf(system, "systemd/journald.conf") {
        plain(&text, |_, line, evidence| {
            if let Some((name, value)) = line.split_once('=') {
                rows.push(setting("journald", "", name.trim(), value.trim(), evidence));
            }
        });
    }
    let last: BTreeMap<String, usize> = rows.iter().enumerate().map(|(at, r)| (r.name.clone(), at)).collect();
    for (at, row) in rows.into_iter().enumerate() {
        out.push(Setting { effective: last.get(&row.name) == Some(&at), ..row });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn each_file_gives_its_settings() {
        let s = system(
            "/etc/passwd
    op:x:1000:1000::/home/op:/bin/sh

/etc/ld.so.preload
    /lib/a.so:/lib/b.so # c
    /lib/d.so

/etc/ld.so.conf
    include /etc/ld.so.conf.d/*.conf

/etc/ld.so.conf.d/x.conf
    # libs
    /opt/vendor/lib
    include /etc/ld.so.conf

/etc/hosts.equiv
    + +

/home/op/.rhosts
    10.0.0.5 root

/etc/hosts.allow
    ALL: 10.0.0.0/8

/etc/securetty
    tty1

/etc/login.defs
    ENCRYPT_METHOD YESCRYPT
    MAIL_DIR /var/mail

/etc/nsswitch.conf
    passwd:   files   sss
    networks: files

/etc/systemd/journald.conf
    [Journal]
    Storage=persistent
    #Seal=yes

/usr/lib/systemd/journald.conf.d/a.conf
    [Journal]
    Storage=volatile
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Setting(s) => Some(format!("{}|{}|{}|{}|{}", s.program, s.scope, s.name, s.value, s.effective)),
                Row::Start(_) => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            seen,
            [
                "ld.so|preload|ld.so.preload|/lib/a.so|true",
                "ld.so|preload|ld.so.preload|/lib/b.so|true",
                "ld.so|preload|ld.so.preload|/lib/d.so|true",
                "ld.so|path|ld.so.conf|/opt/vendor/lib|true",
                "rhosts||trusts|+ +|true",
                "rhosts|op|trusts|10.0.0.5 root|true",
                "tcp-wrappers||allow|ALL: 10.0.0.0/8|true",
                "securetty||tty|tty1|true",
                "login.defs||ENCRYPT_METHOD|YESCRYPT|true",
                "nsswitch||passwd|files sss|true",
                "journald||Storage|persistent|false",
                "journald||Storage|volatile|true",
            ]
        );
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
