//! SSH keys: who is let in by key, the host's own keys, private keys at hand, hosts that were reached.
//! sshd(8) "AUTHORIZED_KEYS FILE FORMAT" and "SSH_KNOWN_HOSTS FILE FORMAT", dropbear(8).
use super::accounts::{User, users};
use super::sshd;
use super::starts::Way;
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name};
use crate::evidence::{Entry, System, Text};
use crate::format::putty::StoredHost;
use crate::format::sshkey::{Certificate, HostLine, KeyLine, PrivateKey, PublicKey};
use crate::inventory::Key;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.ssh-keys",
    about: "Authorized keys, host keys, private keys, certificates and known hosts of OpenSSH, dropbear and PuTTY.",
    os: Os::Linux,
    reads: &[
        "/**/.ssh/*",
        "/{root,home/*}/{.putty,.config/putty}/sshhostkeys",
        "/etc/ssh/**",
        "/etc/dropbear/*",
        "/etc/dropbear-initramfs/*",
        "AuthorizedKeysFile, TrustedUserCAKeys, HostKey, HostCertificate and GlobalKnownHostsFile of sshd_config",
    ],
    references: &["sshd(8)", "sshd_config(5)", "ssh-keygen(1)", "dropbear(8)"],
    extract,
};

/// A file of authorized keys and whom it admits; no account means every account.
struct Admitting<'a> {
    entry: &'a Entry,
    user: String,
    /// Every line is an authority, not a key.
    authorities: bool,
}

/// Private keys are small; a longer file is none.
const KEY_FILE: u64 = 64 << 10;
/// Lines of one file that become rows; known_hosts of a fleet's master can be long, no system needs more.
const MAX_LINES: usize = 20_000;

/// Names of accounts that some file of authorized keys admits.
pub(super) fn users_with_keys(system: &System) -> BTreeSet<String> {
    let users = users(system);
    let mut found = BTreeSet::new();
    for file in admitting(system, &users) {
        let Ok(text) = system.read(file.entry, crate::artifact::TEXT_LIMIT) else { continue };
        if text.lines().any(|(_, line, _)| KeyLine::parse(&line).is_some()) && !file.authorities {
            found.insert(file.user);
        }
    }
    found
}

/// Every file of authorized keys: those that sshd's settings name, the usual ones of each home, and
/// whatever else lies in a folder `.ssh` under such a name.
fn admitting<'a>(system: &'a System, users: &[User]) -> Vec<Admitting<'a>> {
    let mut all: BTreeMap<(&[u8], String), Admitting<'a>> = BTreeMap::new();
    let mut add = |path: &[u8], user: &str, authorities: bool| {
        if let Some(entry) = system.resolve(path).filter(|e| e.is_file()) {
            let item = Admitting { entry, user: user.to_owned(), authorities };
            all.entry((entry.path.bytes(), user.to_owned())).or_insert(item);
        }
    };
    let named = sshd::values(system, "authorizedkeysfile");
    for user in users {
        for file in ["/.ssh/authorized_keys", "/.ssh/authorized_keys2"] {
            add(&[user.home.bytes(), file.as_bytes()].concat(), &user.name, false);
        }
        for pattern in named.iter().flat_map(|v| v.split_whitespace()).filter(|v| *v != "none") {
            add(&expand(pattern, user), &user.name, false);
        }
        add(format!("/etc/ssh/authorized_keys/{}", user.name).as_bytes(), &user.name, false);
    }
    for path in ["/etc/dropbear/authorized_keys", "/etc/dropbear-initramfs/authorized_keys"] {
        add(path.as_bytes(), "root", false);
    }
    add(b"/etc/dropbear/initramfs/authorized_keys", "root", false);
    for path in sshd::values(system, "trustedusercakeys") {
        add(path.as_bytes(), "", true);
    }
    let mut known: BTreeSet<Name> = all.values().map(|a| a.entry.path.clone()).collect();
    let loose = system.glob("/etc/ssh/authorized_keys*").into_iter();
    let homes = system
        .entries()
        .iter()
        .filter(|e| e.path.file_name().starts_with(b"authorized_keys") && e.path.parent().ends_with(b"/.ssh"));
    for entry in loose.chain(homes) {
        if known.insert(entry.path.clone()) && entry.is_file() {
            let user = owner(users, entry);
            all.entry((entry.path.bytes(), user.clone())).or_insert(Admitting { entry, user, authorities: false });
        }
    }
    all.into_values().collect()
}

/// The tokens of AuthorizedKeysFile: sshd_config(5) "TOKENS".
fn expand(pattern: &str, user: &User) -> Vec<u8> {
    let mut path = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('h')) => path.extend_from_slice(user.home.bytes()),
            ('%', Some('u')) => path.extend_from_slice(user.name.as_bytes()),
            ('%', Some('U')) => path.extend_from_slice(user.uid.to_string().as_bytes()),
            ('%', Some('%')) => path.push(b'%'),
            (c, _) => path.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if path.starts_with(b"/") { path } else { [user.home.bytes(), b"/", path.as_slice()].concat() }
}

/// The account in whose home a file lies, or else its owner as `#uid`.
fn owner(users: &[User], entry: &Entry) -> String {
    let path = entry.path.bytes();
    let within = |u: &&User| {
        !matches!(u.home.bytes(), b"" | b"/") && path.strip_prefix(u.home.bytes()).is_some_and(|r| r.starts_with(b"/"))
    };
    match users.iter().filter(within).max_by_key(|u| u.home.bytes().len()) {
        Some(user) => user.name.clone(),
        None => entry.stat.as_ref().map_or_else(String::new, |s| format!("#{}", s.uid)),
    }
}

fn extract(system: &System, out: &Out) {
    let users = users(system);
    let mut done = BTreeSet::new();
    for file in admitting(system, &users) {
        if let Some(text) = out.read(system, file.entry) {
            authorized(&text, &file, out);
            done.insert(file.entry.path.clone());
        }
    }
    let mut hosts: Vec<Name> = ["hostkey", "hostcertificate"]
        .iter()
        .flat_map(|k| sshd::values(system, k))
        .filter_map(|p| system.canonical(p.as_bytes()))
        .collect();
    hosts.sort();
    for home in ["/root", "/home/*"] {
        let files = [format!("{home}/.putty/sshhostkeys"), format!("{home}/.config/putty/sshhostkeys")];
        out.each(system, &files.each_ref().map(String::as_str), |text| {
            putty_hosts(text, &owner(&users, text.entry), out);
        });
    }
    let of_host = |path: &[u8]| path.starts_with(b"/etc/ssh/") || path.starts_with(b"/etc/dropbear");
    let candidates = system.entries().iter().filter(|e| {
        let path = e.path.bytes();
        e.is_file() && (of_host(path) || e.path.parent().ends_with(b"/.ssh") || hosts.binary_search(&e.path).is_ok())
    });
    for entry in candidates {
        if !done.insert(entry.path.clone()) {
            continue;
        }
        let host = of_host(entry.path.bytes()) || hosts.binary_search(&entry.path).is_ok();
        let user = if host { String::new() } else { owner(&users, entry) };
        let name = entry.path.file_name();
        if name.starts_with(b"known_hosts") || name.starts_with(b"ssh_known_hosts") {
            if let Some(text) = out.read(system, entry) {
                known_hosts(&text, &user, out);
            }
        } else if entry.len() <= KEY_FILE {
            key_file(system, entry, &user, host, out);
        }
    }
}

fn authorized(text: &Text<'_>, file: &Admitting<'_>, out: &Out) {
    let mut rows = 0_usize;
    for (number, line, run) in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let Some(found) = KeyLine::parse(trimmed) else {
            out.gap_line(text.entry, number, "no key that can be decoded");
            continue;
        };
        rows = rows.saturating_add(1);
        if rows > MAX_LINES {
            out.gap_line(text.entry, number, "budget: lines; the rest of the keys was not listed");
            break;
        }
        let authority = file.authorities || found.options.split(',').any(|o| o.eq_ignore_ascii_case("cert-authority"));
        let kind = if authority { "certificate-authority" } else { "authorized" };
        if let Some(command) = forced(&found.options) {
            let way = Way::root("sshd", "login").user(&file.user);
            let trigger = format!("login with {}", found.key.fingerprint());
            out.push(way.shell(text.system(), "authorized_keys", &trigger, &command, text.line_at(number, run)));
        }
        out.push(row(kind, &file.user, &found.key, found.options, found.comment, text.line_at(number, run)));
    }
}

/// The value of `command="…"` among a key's options; a backslash takes a quote as it is.
fn forced(options: &str) -> Option<String> {
    let at = options.to_ascii_lowercase().find("command=\"")?;
    let mut command = String::new();
    let mut chars = options.get(at.saturating_add(9)..)?.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(command),
            '\\' => command.extend(chars.next()),
            c => command.push(c),
        }
    }
    None
}

fn row(kind: &str, user: &str, key: &PublicKey, options: String, comment: String, evidence: Evidence) -> Key {
    let options = match &key.certificate {
        Some(c) => [options, describe(c)].iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join(" "),
        None => options,
    };
    Key {
        kind: kind.into(),
        user: user.to_owned(),
        algorithm: key.bits().map_or_else(|| key.algorithm.clone(), |b| format!("{} {b}", key.algorithm)),
        fingerprint: key.fingerprint(),
        comment,
        options,
        evidence,
        ..Key::default()
    }
}

fn describe(c: &Certificate) -> String {
    let until = match i64::try_from(c.valid_before) {
        Ok(t) => crate::base::Time::seconds(t).to_string(),
        Err(_) => "forever".to_owned(),
    };
    let kind = if c.host { "host" } else { "user" };
    let names = c.principals.join(",");
    format!("certificate={kind} id={:?} principals={names} until={until} signed-by={}", c.key_id, c.authority)
}

fn known_hosts(text: &Text<'_>, user: &str, out: &Out) {
    let mut rows = 0_usize;
    for (number, line, run) in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let Some(found) = HostLine::parse(trimmed) else {
            out.gap_line(text.entry, number, "no host key that can be decoded");
            continue;
        };
        rows = rows.saturating_add(1);
        if rows > MAX_LINES {
            out.gap_line(text.entry, number, "budget: lines; the rest of the hosts was not listed");
            break;
        }
        let kind = if found.marker == "@cert-authority" { "certificate-authority" } else { "known-host" };
        let hashed = if found.hashed { "hashed" } else { "" };
        let options = [found.marker.as_str(), hashed].iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>();
        let new = row(kind, user, &found.key, options.join(" "), found.comment, text.line_at(number, run));
        out.push(Key { host: found.hosts, ..new });
    }
}

/// The hosts that PuTTY knows.
fn putty_hosts(text: &Text<'_>, user: &str, out: &Out) {
    let mut rows = 0_usize;
    for (number, line, run) in text.lines() {
        if line.trim().is_empty() {
            continue;
        }
        let Some(found) = StoredHost::parse(&line) else {
            out.gap_line(text.entry, number, "no host key that can be decoded");
            continue;
        };
        rows = rows.saturating_add(1);
        if rows > MAX_LINES {
            out.gap_line(text.entry, number, "budget: lines; the rest of the hosts was not listed");
            break;
        }
        let host = if found.port == "22" { found.host } else { format!("[{}]:{}", found.host, found.port) };
        let new = row("known-host", user, &found.key, "putty".into(), String::new(), text.line_at(number, run));
        out.push(Key { host, ..new });
    }
}

/// A private key, a public key beside none, or a certificate.
fn key_file(system: &System, entry: &Entry, user: &str, host: bool, out: &Out) {
    let name = entry.path.file_name();
    let dropbear = name.starts_with(b"dropbear_") || name.ends_with(b".db");
    let public = name.ends_with(b".pub");
    if !public && !dropbear && !host && !head_is_private(system, entry) {
        return;
    }
    let Some(text) = out.read(system, entry) else { return };
    if public {
        public_file(system, &text, user, host, out);
        return;
    }
    let parsed = if dropbear {
        PrivateKey::parse_dropbear(&text.bytes).or_else(|| PrivateKey::parse(&text.bytes))
    } else {
        PrivateKey::parse(&text.bytes)
    };
    let Some(key) = parsed else {
        if dropbear || PrivateKey::looks_like(&text.bytes) {
            out.gap(entry, "a private key by its name or head that cannot be decoded");
        }
        return;
    };
    // What the private file does not say stands in the public one beside it.
    let beside = || {
        let path = [entry.path.bytes(), b".pub"].concat();
        let text = system.read(system.resolve(path)?, KEY_FILE).ok()?;
        KeyLine::parse(text.text().lines().next()?)
    };
    let side = if key.public.is_none() || key.comment.is_empty() { beside() } else { None };
    let comment = if key.comment.is_empty() { side.as_ref().map(|s| s.comment.clone()) } else { Some(key.comment) };
    let public = key.public.or(side.map(|s| s.key));
    let kind = if host { "host" } else { "private" };
    let base = Key {
        kind: kind.into(),
        user: user.to_owned(),
        algorithm: key.algorithm,
        comment: comment.clone().unwrap_or_default(),
        evidence: text.evidence(),
        ..Key::default()
    };
    let full = match public {
        Some(p) => row(kind, user, &p, String::new(), comment.unwrap_or_default(), text.evidence()),
        None => base,
    };
    out.push(Key { encrypted: Some(key.encrypted), ..full });
}

fn head_is_private(system: &System, entry: &Entry) -> bool {
    let mut head = [0; 256];
    let n = system.open(entry).ok().and_then(|s| s.read_at(0, &mut head).ok()).unwrap_or(0);
    PrivateKey::looks_like(head.get(..n).unwrap_or_default())
}

fn public_file(system: &System, text: &Text<'_>, user: &str, host: bool, out: &Out) {
    let found = text.lines().find_map(|(n, l, run)| KeyLine::parse(&l).map(|k| (n, run, k)));
    let Some((number, run, line)) = found else { return };
    let stem = text.entry.path.bytes().strip_suffix(b".pub").unwrap_or_default();
    let kind = match line.key.certificate {
        Some(_) => "certificate",
        // The private file beside it tells the same and more.
        None if system.resolve(stem).is_some() => return,
        None if host => "host",
        None => "public",
    };
    out.push(row(kind, user, &line.key, line.options, line.comment, text.line_at(number, run)));
}

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
