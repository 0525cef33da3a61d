//! Accounts and groups: passwd(5), shadow(5), group(5), gshadow(5).
//!
//! Password hashes are named by kind (crypt(5)) and never leave the evidence: excerpts mask them.
use super::ssh;
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name, Time};
use crate::evidence::{System, Text};
use crate::inventory::{Account, Group, Setting};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.accounts",
    about: "Accounts and groups, the kind of their passwords, and who can log in.",
    os: Os::Linux,
    reads: &[
        "/etc/{passwd,shadow,group,gshadow}",
        "/var/lib/extrausers/{passwd,shadow,group,gshadow}",
        "/usr/lib/{passwd,group}",
    ],
    references: &["passwd(5)", "shadow(5)", "group(5)", "gshadow(5)", "crypt(5)", "nologin(8)"],
    extract,
};

/// Directories that hold account files: the usual one, `libnss-extrausers`, `nss_altfiles`.
const PLACES: &[&str] = &["/etc", "/var/lib/extrausers", "/usr/lib"];
const DAY: i64 = 86_400;

/// A line of passwd(5), as far as others need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    comment: String,
    pub(super) home: Name,
    shell: String,
    password: String,
}

impl User {
    pub(super) fn shell(&self) -> &str {
        &self.shell
    }
}

/// Every account the system lists, in file order; lines that are none are left to [`extract`] to report.
pub(super) fn users(system: &System) -> Vec<User> {
    let mut all = Vec::new();
    for place in PLACES {
        let Some(text) = read(system, place, "passwd") else { continue };
        all.extend(text.bytes.split(|b| *b == b'\n').filter_map(user));
    }
    all
}

/// Numbers of accounts and groups by name, for databases that tell owners by name.
#[derive(Debug)]
pub(super) struct Ids {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}
impl Ids {
    pub(super) fn of(system: &System) -> Self {
        let mut users = BTreeMap::new();
        for user in self::users(system) {
            users.entry(user.name).or_insert(user.uid);
        }
        let mut groups = BTreeMap::new();
        for place in PLACES {
            let Some(text) = read(system, place, "group") else { continue };
            for (_, line, _) in text.lines() {
                let mut fields = line.split(':');
                if let (Some(name), Some(gid)) = (fields.next(), fields.nth(1).and_then(|g| g.trim().parse().ok())) {
                    groups.entry(name.to_owned()).or_insert(gid);
                }
            }
        }
        // Whatever the files say, this one is 0.
        users.entry("root".to_owned()).or_insert(0);
        groups.entry("root".to_owned()).or_insert(0);
        Self { users, groups }
    }
    /// By name, or by number behind `#`; `None` for a name that no file has.
    pub(super) fn user(&self, name: &str) -> Option<u32> {
        name.strip_prefix('#').map_or_else(|| self.users.get(name).copied(), |number| number.parse().ok())
    }
    pub(super) fn group(&self, name: &str) -> Option<u32> {
        name.strip_prefix('#').map_or_else(|| self.groups.get(name).copied(), |number| number.parse().ok())
    }
}

fn read<'a>(system: &'a System, place: &str, file: &str) -> Option<Text<'a>> {
    let entry = system.resolve(format!("{place}/{file}")).filter(|e| e.is_file())?;
    system.read(entry, crate::artifact::TEXT_LIMIT).ok()
}

fn user(line: &[u8]) -> Option<User> {
    let mut fields = line.split(|b| *b == b':');
    let mut text = || fields.next().map(|f| String::from_utf8_lossy(f).into_owned());
    let (name, password, uid, gid, comment) = (text()?, text()?, text()?, text()?, text()?);
    let home = fields.next()?;
    let shell = fields.next().map(|f| String::from_utf8_lossy(f.trim_ascii()).into_owned()).unwrap_or_default();
    let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
    (!name.is_empty() && !name.starts_with('#')).then(|| User {
        name,
        uid,
        gid,
        comment,
        home: Name::new(home),
        shell,
        password,
    })
}

fn extract(system: &System, out: &Out) {
    let keyed = ssh::users_with_keys(system);
    for place in PLACES {
        let groups = groups(system, place, out);
        let shadow = shadow(system, place, out);
        let Some(entry) = system.resolve(format!("{place}/passwd")) else { continue };
        let Some(text) = out.read(system, entry) else { continue };
        let mut at = 0_usize;
        for (number, line, run) in text.lines() {
            let raw = text.bytes.get(at..).unwrap_or_default();
            let raw = raw.split(|b| *b == b'\n').next().unwrap_or_default();
            at = at.saturating_add(raw.len()).saturating_add(1);
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if trimmed.starts_with(['+', '-']) {
                out.push(Setting {
                    program: "nsswitch".into(),
                    scope: text.entry.path.display(),
                    name: "compat-entry".into(),
                    value: trimmed.to_owned(),
                    effective: true,
                    evidence: text.line_at(number, run),
                    ..Setting::default()
                });
                continue;
            }
            let Some(user) = user(raw) else {
                out.gap_line(text.entry, number, "not a passwd entry");
                continue;
            };
            let (password, changed) = password(&user, &shadow);
            let days = shadow.get(&user.name).map(|s| (s.expires, s.days)).unwrap_or_default();
            let (expires, [min_days, max_days, warn_days, inactive_days]) = days;
            let evidence = mask(text.line_at(number, run), &user.password, out);
            let found = account(system, user, &password, &groups, &keyed, evidence);
            out.push(Account { changed, expires, min_days, max_days, warn_days, inactive_days, ..found });
        }
    }
}

fn account(
    system: &System,
    user: User,
    password: &str,
    groups: &[(String, u32, Vec<String>)],
    keyed: &BTreeSet<String>,
    evidence: Evidence,
) -> Account {
    let usable = !matches!(password, "none" | "locked" | "disabled");
    let member: BTreeSet<&String> = groups
        .iter()
        .filter(|(_, gid, members)| *gid == user.gid || members.contains(&user.name))
        .map(|(name, ..)| name)
        .collect();
    Account {
        login: shell_admits(system, &user.shell) && (usable || keyed.contains(&user.name)),
        groups: member.into_iter().cloned().collect(),
        password: password.into(),
        name: user.name,
        uid: user.uid,
        gid: user.gid,
        comment: user.comment,
        home: user.home,
        shell: user.shell,
        evidence,
        ..Account::default()
    }
}

/// Whether the shell lets anyone in: no shell means `/bin/sh`; a shell that leads to nologin or false does not.
pub(super) fn shell_admits(system: &System, shell: &str) -> bool {
    let end = system.canonical(shell.as_bytes()).unwrap_or_else(|| Name::from(shell));
    let refuses = |name: &[u8]| matches!(name, b"nologin" | b"false" | b"true" | b"sync" | b"halt" | b"shutdown");
    !refuses(end.file_name()) && !refuses(Name::from(shell).file_name())
}

struct Shadow {
    password: String,
    changed: Option<Time>,
    expires: Option<Time>,
    /// At least, at most, of warning, until it is refused altogether.
    days: [Option<u32>; 4],
}

/// The kind of an account's password and when it was set.
fn password(user: &User, shadow: &BTreeMap<String, Shadow>) -> (String, Option<Time>) {
    let entry = shadow.get(&user.name);
    let changed = entry.and_then(|s| s.changed);
    // "x" sends to shadow, and for BusyBox "*" does as well (dropbear asks shadow whatever stands here); anything else in
    // passwd itself counts as it stands.
    match (user.password.as_str(), entry) {
        ("x" | "*", Some(s)) => (kind(&s.password).to_owned(), changed),
        ("x", None) => ("none".to_owned(), None),
        (own, _) => (kind(own).to_owned(), changed),
    }
}

/// Names a password field by the prefixes of crypt(5); the hash itself is looked at no further.
pub(super) fn kind(field: &str) -> &'static str {
    if field.is_empty() {
        return "empty";
    }
    if let Some(rest) = field.strip_prefix('!') {
        let rest = rest.trim_start_matches('!');
        return if rest.is_empty() || rest == "*" { "disabled" } else { "locked" };
    }
    const PREFIXES: &[(&str, &str)] = &[
        ("$y$", "yescrypt"),
        ("$gy$", "gost-yescrypt"),
        ("$7$", "scrypt"),
        ("$6$", "sha512"),
        ("$5$", "sha256"),
        ("$2", "bcrypt"),
        ("$1$", "md5"),
        ("$apr1$", "md5"),
        ("$md5", "sunmd5"),
        ("$sha1$", "sha1"),
        ("$3$", "nt"),
        ("_", "bsdi-des"),
    ];
    if let Some((_, name)) = PREFIXES.iter().find(|(p, _)| field.starts_with(p)) {
        return name;
    }
    let crypt = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '/';
    match field.len() {
        13 if field.chars().all(crypt) => "des",
        _ if field.starts_with('*') => "disabled",
        // No crypt(3) method yields this text, so no password matches it.
        _ if !field.starts_with('$') && field.len() < 13 => "disabled",
        _ => "unknown",
    }
}

fn shadow(system: &System, place: &str, out: &Out) -> BTreeMap<String, Shadow> {
    let mut all = BTreeMap::new();
    let entry = system.resolve(format!("{place}/shadow"));
    let Some(text) = entry.and_then(|e| out.read(system, e)) else { return all };
    for (number, line, _) in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '+', '-']) {
            continue;
        }
        let fields: Vec<&str> = line.split(':').collect();
        let (Some(name), Some(password)) = (fields.first(), fields.get(1)) else {
            out.gap_line(text.entry, number, "not a shadow entry");
            continue;
        };
        let day = |field: usize| {
            let days: Option<i64> = fields.get(field).and_then(|d| d.parse().ok()).filter(|d| *d > 0);
            days.and_then(|d| d.checked_mul(DAY)).map(Time::seconds)
        };
        let (changed, expires) = (day(2), day(7));
        let count = |field: usize| fields.get(field).and_then(|d| d.trim().parse().ok());
        let days = [count(3), count(4), count(5), count(6)];
        // The first entry of a name is the one the C library finds.
        all.entry((*name).to_owned()).or_insert(Shadow { password: (*password).to_owned(), changed, expires, days });
    }
    all
}

fn groups(system: &System, place: &str, out: &Out) -> Vec<(String, u32, Vec<String>)> {
    let mut all = Vec::new();
    let secrets = group_passwords(system, place, out);
    let entry = system.resolve(format!("{place}/group"));
    let Some(text) = entry.and_then(|e| out.read(system, e)) else { return all };
    for (number, line, run) in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '+', '-']) {
            continue;
        }
        let mut fields = line.split(':');
        let (name, password, gid) = (fields.next(), fields.next(), fields.next().and_then(|g| g.parse().ok()));
        let (Some(name), Some(password), Some(gid)) = (name, password, gid) else {
            out.gap_line(text.entry, number, "not a group entry");
            continue;
        };
        let members = fields.next().unwrap_or_default().split(',').map(str::trim).filter(|m| !m.is_empty());
        let members: Vec<String> = members.map(str::to_owned).collect();
        let evidence = mask(text.line_at(number, run), password, out);
        let hash = if password == "x" { secrets.get(name).map_or("", String::as_str) } else { password };
        // Anyone who knows a group's password can enter the group (newgrp).
        if !matches!(kind(hash), "empty" | "disabled" | "locked") {
            out.push(Setting {
                program: "group".into(),
                scope: name.to_owned(),
                name: "password".into(),
                value: kind(hash).to_owned(),
                effective: true,
                evidence: evidence.clone(),
                ..Setting::default()
            });
        }
        out.push(Group { name: name.to_owned(), gid, members: members.clone(), evidence, ..Group::default() });
        all.push((name.to_owned(), gid, members));
    }
    all
}

fn group_passwords(system: &System, place: &str, out: &Out) -> BTreeMap<String, String> {
    let entry = system.resolve(format!("{place}/gshadow"));
    let Some(text) = entry.and_then(|e| out.read(system, e)) else { return BTreeMap::new() };
    let text = text.text();
    let pairs = text.lines().filter_map(|l| l.split_once(':').map(|(name, rest)| (name, rest.split(':').next())));
    pairs.map(|(name, hash)| (name.to_owned(), hash.unwrap_or_default().to_owned())).collect()
}

/// Takes a password hash out of an excerpt.
fn mask(mut evidence: Evidence, secret: &str, out: &Out) -> Evidence {
    if !matches!(secret, "" | "x" | "*" | "!")
        && let Some(excerpt) = &mut evidence.excerpt
    {
        *excerpt = excerpt.replacen(&format!(":{secret}:"), &format!(":{}:", out.secret(secret)), 1);
    }
    evidence
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn password_kinds() {
        for (field, name) in [
            ("", "empty"),
            ("*", "disabled"),
            ("!", "disabled"),
            ("!!", "disabled"),
            ("!*", "disabled"),
            ("!$6$a$b", "locked"),
            ("$y$j9T$x$y", "yescrypt"),
            ("$6$salt$hash", "sha512"),
            ("$2b$12$abc", "bcrypt"),
            ("$1$ab$cd", "md5"),
            ("abJnggxhB/yWI", "des"),
            ("*LK*", "disabled"),
            ("NP", "disabled"),
            ("$zz$", "unknown"),
        ] {
            assert_eq!(kind(field), name, "{field}");
        }
    }

    #[test]
    fn who_can_log_in() {
        let s = system(
            "/etc/passwd
    root:x:0:0:root:/root:/bin/bash
    daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
    toor:x:0:0::/root2:/bin/sh
    op:x:1000:1000:Operator,,,:/home/op:/bin/bash
    key:x:1001:1001::/home/key:/bin/bash
    keyed-nologin:x:1002:1002::/home/kn:/usr/bin/odd
    old:$1$ab$cdefgh:1003:100::/home/old:
    nopw:x:1004:100::/home/nopw:/bin/bash
    starred:*:1005:100::/var:/bin/ash
    locked:*:1006:100::/var:/bin/ash
    +@netgroup::::::
    this is no entry

/etc/shadow
    root:!:19000:0:99999:7:::
    daemon:*:19000:0:99999:7:::
    toor:$6$a$b:19001:0:99999:7:::
    op::19002:0:99999:7:::
    key:!:19002:0:99999:7:::
    keyed-nologin:!:19002::::::
    starred:$6$a$b:19003::::::
    locked:*:0::::::

/etc/group
    root:x:0:
    sudo:x:27:op,key
    users:$6$x$y:100:

/usr/bin/odd -> ../sbin/nologin

/usr/sbin/nologin
    x

/home/key/.ssh/authorized_keys
    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1Dtj6cLkYJ3G6y8L8oOZQ9nqkQyUOhK3JzJq3kzRrB k@x

/home/kn/.ssh/authorized_keys
    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1Dtj6cLkYJ3G6y8L8oOZQ9nqkQyUOhK3JzJq3kzRrB k@x
",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Account(a) => Some((a.name.as_str(), a.uid, &*a.password, a.login)),
                _ => None,
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("root", 0, "disabled", false),
                ("daemon", 1, "disabled", false),
                ("toor", 0, "sha512", true),
                ("op", 1000, "empty", true),
                ("key", 1001, "disabled", true),
                ("keyed-nologin", 1002, "disabled", false),
                ("old", 1003, "md5", true),
                ("nopw", 1004, "none", false),
                ("starred", 1005, "sha512", true),
                ("locked", 1006, "disabled", false),
            ]
        );
        let Some(Row::Account(op)) = rows.iter().find(|r| matches!(r, Row::Account(a) if a.name == "op")) else {
            panic!("no op");
        };
        assert_eq!(op.groups, ["sudo"]);
        assert_eq!(op.changed.unwrap().to_string(), "2022-01-10T00:00:00Z");
        assert_eq!((op.min_days, op.max_days, op.warn_days, op.inactive_days), (Some(0), Some(99_999), Some(7), None));
        assert_eq!(op.evidence.line, Some(4));
        let shown = format!("{rows:?}");
        assert!(!shown.contains("cdefgh") && !shown.contains("$6$"), "a hash is shown");
        assert!(rows.iter().any(|r| matches!(r, Row::Setting(s) if s.name == "compat-entry")));
        assert!(
            rows.iter().any(|r| matches!(r, Row::Setting(s) if s.program.as_ref() == "group" && s.scope == "users"))
        );
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].what.contains("line 12"), "{gaps:?}");
    }
}
