//! Where else accounts and rights come from: account records of systemd (userdb), directories and domains (Kerberos, SSSD,
//! LDAP, winbind), what PAM's modules of access and attempts are told, the ranges of subordinate numbers, the list of
//! shells; and what passwd(5) and shadow(5) were before their last change, by the copies that their tools leave.
use super::access::setting;
use super::accounts::{kind, shell_admits, users};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name, Time};
use crate::evidence::{Entry, System, Text};
use crate::format::ini::Ini;
use crate::format::keytab;
use crate::format::tree::Tree;
use crate::inventory::{Account, Key};
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.account-sources",
    about: "Account records of systemd, Kerberos and its keys, SSSD, LDAP and winbind, access rules of PAM's modules, subordinate numbers, shells, and how account files were before their last change",
    os: Os::Linux,
    reads: &[
        "/{etc,run,usr/local/lib,usr/lib}/userdb/*.user",
        "/etc/krb5.conf",
        "/etc/krb5.conf.d/*",
        "/**/*.keytab",
        "/etc/sssd/sssd.conf",
        "/etc/sssd/conf.d/*.conf",
        "/etc/{nslcd,ldap,libnss-ldap,pam_ldap}.conf",
        "/etc/{ldap,openldap}/ldap.conf",
        "/etc/samba/smb.conf",
        "/etc/security/{access,time,faillock,pwquality}.conf",
        "/etc/security/{access,pwquality}.conf.d/*.conf",
        "/etc/{subuid,subgid,shells}",
        "/etc/{passwd,shadow}-",
    ],
    references: &[
        "nss-systemd(8)",
        "krb5.conf(5)",
        "sssd.conf(5)",
        "nslcd.conf(5)",
        "access.conf(5)",
        "faillock.conf(5)",
        "subuid(5)",
        "shells(5)",
    ],
    extract,
};

/// Lines of one file that become rows.
const MAX_LINES: usize = 5_000;
const DAY: i64 = 86_400;
/// Longest table of keys.
const KEYTAB: u64 = 1 << 20;
/// What of smb.conf says where accounts come from.
const SAMBA: &[&str] =
    &["security", "realm", "workgroup", "idmap", "winbind", "template", "passdb backend", "map to guest"];

fn extract(system: &System, out: &Out) {
    out.each(system, &["/{etc,run,usr/local/lib,usr/lib}/userdb/*.user"], |text| record(system, text, out));
    out.each(system, &["/etc/krb5.conf", "/etc/krb5.conf.d/*"], |text| kerberos(text, out));
    for entry in system.entries().iter().filter(|e| e.is_file() && e.path.bytes().ends_with(b".keytab")) {
        keys(system, entry, out);
    }
    let sections =
        |program: &'static str, keep: &'static [&'static str]| move |text: &Text<'_>| ini(program, keep, text, out);
    out.each(system, &["/etc/sssd/sssd.conf", "/etc/sssd/conf.d/*.conf"], sections("sssd", &[]));
    out.each(system, &["/etc/samba/smb.conf"], sections("samba", SAMBA));
    let plain = ["/etc/{nslcd,ldap,libnss-ldap,pam_ldap}.conf", "/etc/{ldap,openldap}/ldap.conf"];
    out.each(system, &plain, |text| words("ldap", text, out));
    for (program, patterns) in [
        ("faillock", ["/etc/security/faillock.conf", ""]),
        ("pwquality", ["/etc/security/pwquality.conf", "/etc/security/pwquality.conf.d/*.conf"]),
    ] {
        out.each(system, &patterns, |text| words(program, text, out));
    }
    for (program, name, patterns) in [
        ("pam_access", "rule", ["/etc/security/access.conf", "/etc/security/access.conf.d/*.conf"]),
        ("pam_time", "rule", ["/etc/security/time.conf", ""]),
        ("shells", "shell", ["/etc/shells", ""]),
    ] {
        out.each(system, &patterns, |text| {
            lines(text, out, |line, evidence| out.push(setting(program, "", name, line, evidence)));
        });
    }
    for program in ["subuid", "subgid"] {
        out.each(system, &[&format!("/etc/{program}")], |text| {
            lines(text, out, |line, evidence| {
                let (user, range) = line.split_once(':').unwrap_or((line, ""));
                out.push(setting(program, user, "range", range, evidence));
            });
        });
    }
    before(system, out);
}

/// Lines without comments, bounded.
fn lines(text: &Text<'_>, out: &Out, mut each: impl FnMut(&str, Evidence)) {
    let mut count = 0_usize;
    for (number, line, run) in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        count = count.saturating_add(1);
        if count > MAX_LINES {
            out.gap_line(text.entry, number, "budget: lines; the rest was not listed");
            return;
        }
        each(line, text.line_at(number, run));
    }
}

/// `key value` and `key = value`; a key alone is a switch.
fn words(program: &str, text: &Text<'_>, out: &Out) {
    lines(text, out, |line, evidence| {
        let (name, value) = line.split_once(['=', ' ', '\t']).unwrap_or((line, ""));
        push(program, "", name.trim(), value.trim_start_matches(['=', ' ', '\t']).trim(), evidence, out);
    });
}

/// A setting whose value is masked where its name tells a secret that these programs alone call so.
fn push(program: &str, scope: &str, name: &str, value: &str, mut evidence: Evidence, out: &Out) {
    let low = name.to_ascii_lowercase();
    let secret = ["authtok", "bindpw", "pass"].iter().any(|s| low.contains(s))
        && !low.ends_with("type")
        && !low.contains("backend");
    let shown = if secret && !value.is_empty() { out.secret(value) } else { value };
    if shown != value
        && let Some(excerpt) = &mut evidence.excerpt
    {
        *excerpt = excerpt.replace(value, shown);
    }
    out.push(setting(program, scope, name, shown, evidence));
}

fn ini(program: &str, keep: &[&str], text: &Text<'_>, out: &Out) {
    let ini = Ini::parse(&text.bytes);
    if let Some((line, what)) = ini.problems.first() {
        out.gap_line(text.entry, *line, what);
    }
    let all = ini.sections.iter().flat_map(|s| s.entries.iter().map(move |e| (s, e)));
    let wanted = |key: &str| keep.is_empty() || keep.iter().any(|k| key.to_ascii_lowercase().starts_with(k));
    let mut count = 0_usize;
    for (section, entry) in all.filter(|(_, e)| wanted(&e.key)) {
        count = count.saturating_add(1);
        if count > MAX_LINES {
            out.gap_line(text.entry, entry.line, "budget: lines; the rest was not listed");
            return;
        }
        push(program, &section.name, &entry.key, &entry.value, text.line_at(entry.line, entry.run), out);
    }
}

/// Sections in brackets; `NAME = {` opens a part of its own, down to the `}` that ends it.
fn kerberos(text: &Text<'_>, out: &Out) {
    let (mut section, mut parts) = (String::new(), Vec::<String>::new());
    lines(text, out, |line, evidence| {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            parts.clear();
            return;
        }
        if line.starts_with('}') {
            parts.pop();
            return;
        }
        let (name, value) = line.split_once('=').map_or((line, ""), |(n, v)| (n.trim(), v.trim()));
        if value == "{" {
            // Real files have one or two.
            if parts.len() < 16 {
                parts.push(name.to_owned());
            }
            return;
        }
        let scope = std::iter::once(&section).chain(&parts).cloned().collect::<Vec<_>>().join(" ");
        push("krb5", &scope, name, value, evidence, out);
    });
}

fn keys(system: &System, entry: &Entry, out: &Out) {
    let text = match system.read(entry, KEYTAB) {
        Ok(text) => text,
        Err(e) => {
            out.gap(entry, e);
            return;
        }
    };
    if text.truncated {
        out.gap(entry, "budget: table of keys; only its first bytes were read");
    }
    let (found, problem) = keytab::read(&text.bytes);
    for key in found {
        let image_runs = system.open(entry).map(|s| crate::evidence::image_runs(&s, Some(key.run))).unwrap_or_default();
        let evidence = Evidence { range: Some(key.run), image_runs, ..text.evidence() };
        let time = Time::seconds(i64::from(key.time));
        out.push(Key {
            kind: "keytab".into(),
            user: key.principal,
            algorithm: key.algorithm,
            comment: format!("version {}, of {time}", key.version),
            evidence,
            ..Key::default()
        });
    }
    if let Some(what) = problem {
        out.gap(entry, format!("table of Kerberos keys: {what}"));
    }
}

/// A user record (systemd.io, "JSON User Records"); hashes of passwords stand in its private part beside it.
fn record(system: &System, text: &Text<'_>, out: &Out) {
    let tree = Tree::json(&text.bytes);
    let leaf = |tree: &Tree, way: &str| tree.leaves.iter().find(|l| l.dotted() == way).cloned();
    let value = |way: &str| leaf(&tree, way).map(|l| l.value).unwrap_or_default();
    let Some(name) = leaf(&tree, "userName") else {
        out.gap(text.entry, "an account record without a name");
        return;
    };
    let number = |way: &str| value(way).parse::<u32>().ok();
    let Some(uid) = number("uid") else {
        // The link NUMBER.user, or a record that leaves its number to whoever reads it.
        out.gap_line(text.entry, name.line, "an account record without a number");
        return;
    };
    let private = [text.entry.path.bytes(), b"-privileged"].concat();
    let private = system.resolve(private).and_then(|e| out.read(system, e));
    let hash = match private {
        Some(private) => leaf(&Tree::json(&private.bytes), "hashedPassword.0").map(|l| l.value),
        None => leaf(&tree, "privileged.hashedPassword.0").map(|l| l.value),
    };
    let password = hash.as_deref().map_or("none", kind);
    let shell = value("shell");
    let locked = value("locked") == "true";
    let usable = !locked && !matches!(password, "none" | "locked" | "disabled");
    let evidence = Evidence { key: Some("userName".to_owned()), ..text.line_at(name.line, name.run) };
    out.push(Account {
        login: usable && shell_admits(system, &shell),
        password: if locked { "locked".into() } else { password.into() },
        uid,
        gid: number("gid").unwrap_or(uid),
        comment: value("realName"),
        home: Name::from(value("homeDirectory")),
        shell,
        name: name.value,
        evidence: Evidence { excerpt: None, ..evidence },
        ..Account::default()
    });
}

/// What the copies that vipw(8) and its kin leave hold differently: the last change, as far as it can be told.
fn before(system: &System, out: &Out) {
    let shadow = |path: &str| system.resolve(path).and_then(|e| out.read(system, e));
    if let (Some(now), Some(old)) = (shadow("/etc/shadow"), shadow("/etc/shadow-")) {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let of = |text: &Text<'_>| -> BTreeMap<String, (u32, Vec<String>)> {
            let all = text.lines().take(MAX_LINES).map(|(n, l, _)| (n, fields(&l)));
            all.filter_map(|(n, f)| Some((f.first().filter(|f| !f.is_empty())?.clone(), (n, f)))).collect()
        };
        let (now_of, old_of) = (of(&now), of(&old));
        for (name, (number, was)) in &old_of {
            let field = |f: &[String], n: usize| f.get(n).cloned().unwrap_or_default();
            let told = match now_of.get(name) {
                None => "the account is gone".to_owned(),
                Some((_, is)) if field(is, 1) != field(was, 1) => {
                    let date = field(is, 2).parse::<i64>().ok().and_then(|d| d.checked_mul(DAY)).map(Time::seconds);
                    let date = date
                        .map(|d| format!(", of {}", d.to_string().get(..10).unwrap_or_default()))
                        .unwrap_or_default();
                    let (a, b) = (kind(&field(was, 1)), kind(&field(is, 1)));
                    format!("set anew: {a} before, {b} now{date}")
                }
                Some((_, is)) if is.get(2..) != was.get(2..) => "other days of its password".to_owned(),
                Some(_) => continue,
            };
            let hash = field(was, 1);
            let mut evidence = old.line(*number);
            if let Some(excerpt) = evidence.excerpt.as_mut().filter(|_| hash.len() > 2) {
                *excerpt = excerpt.replace(&hash, out.secret(&hash));
            }
            out.push(setting("accounts", "/etc/shadow-", name, &told, evidence));
        }
        for (name, _) in now_of.iter().filter(|(n, _)| !old_of.contains_key(*n)) {
            out.push(setting("accounts", "/etc/shadow-", name, "the account is new", old.evidence()));
        }
    }
    let Some(old) = shadow("/etc/passwd-") else { return };
    let now: BTreeMap<String, (u32, String, String)> =
        users(system).into_iter().map(|u| (u.name.clone(), (u.uid, u.home.display(), u.shell().to_owned()))).collect();
    for (number, line, run) in old.lines().take(MAX_LINES) {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, _, home, shell] = *fields.as_slice() else { continue };
        let told = match now.get(name) {
            None => "the account is gone".to_owned(),
            Some((own, at, with)) => {
                let changes = [
                    ("number", uid, own.to_string()),
                    ("home", home, at.clone()),
                    ("shell", shell.trim(), with.clone()),
                ];
                let changes: Vec<String> = changes
                    .iter()
                    .filter(|(_, was, is)| was != is)
                    .map(|(what, was, is)| format!("{what} {was} -> {is}"))
                    .collect();
                if changes.is_empty() {
                    continue;
                }
                changes.join(", ")
            }
        };
        let mut evidence = old.line_at(number, run);
        if let (Some(excerpt), Some(hash)) = (evidence.excerpt.as_mut(), fields.get(1).filter(|h| h.len() > 2)) {
            *excerpt = excerpt.replace(hash, out.secret(hash));
        }
        out.push(setting("accounts", "/etc/passwd-", name, &told, evidence));
    }
}

#[cfg(test)]
#[path = "account_sources_tests.rs"]
mod tests;
