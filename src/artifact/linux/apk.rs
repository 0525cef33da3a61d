//! The apk database of Alpine: packages and the paths they own.
//!
//! Format: apk-package(5) and the installed database of apk-tools: records of `X:value` lines, in which `F:` names a
//! folder and `M:` its owner and permissions, `R:` a file in it and `a:` its owner and permissions, `Z:` the file's digest (`Q1` SHA-1, `Q2` SHA-256 in base64; of a link, that of its
//! target).
use crate::artifact::ownership::{Builder, Listed, Sum};
use crate::artifact::{Out, Ownership, Shipped};
use crate::base::{Digest, Sha1};
use crate::evidence::{System, Text};
use crate::fs::NodeKind;
use crate::inventory::Package;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest as _;
use std::collections::BTreeMap;

/// Of apk 2 and of apk 3.
const HOMES: &[&str] = &["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
const MAX_PACKAGES: usize = 200_000;
/// What apk protects below this folder is the administrator's, but for these.
const PROTECTED: &[u8] = b"etc/";
const NOT_PROTECTED: &[&[u8]] = &[b"etc/init.d/", b"etc/apk/"];

/// One package as its record says.
#[derive(Default)]
struct Record {
    package: Package,
    files: Vec<Listing>,
}

/// A path without its leading slash, as a record lists it.
struct Listing {
    path: Vec<u8>,
    sum: Option<Sum>,
    shipped: Shipped,
}
impl Listing {
    /// What has no line of its own has these permissions.
    fn new(path: Vec<u8>, mode: u32) -> Self {
        let shipped = Shipped { mode: Some(mode), uid: Some(0), gid: Some(0), ..Shipped::default() };
        Self { path, sum: None, shipped }
    }
}

/// `uid:gid:mode`, as `a:` and `M:` have it.
fn attributes(value: &[u8]) -> Option<Shipped> {
    let text = std::str::from_utf8(value).ok()?;
    let mut fields = text.split(':');
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let mode = u32::from_str_radix(fields.next()?, 8).ok().filter(|m| *m <= 0o7777)?;
    Some(Shipped { mode: Some(mode), uid: Some(uid), gid: Some(gid), ..Shipped::default() })
}

/// Reads the database into an index of owned paths; `None` where there is no database.
pub(in crate::artifact) fn ownership(system: &System, out: &Out) -> Option<Ownership> {
    let entry = HOMES.iter().find_map(|path| system.resolve(path))?;
    let text = out.read(system, entry)?;
    let mut all: BTreeMap<(String, u32), Record> = BTreeMap::new();
    let mut record = Record::default();
    let mut folder = Vec::new();
    let (mut first, mut bad) = (0, None);
    let mut keep = |record: &mut Record, first: u32| {
        let record = std::mem::take(record);
        if !record.package.name.is_empty() && all.len() < MAX_PACKAGES {
            all.insert((record.package.name.to_string(), first), record);
        } else if !record.files.is_empty() {
            out.gap_line(text.entry, first, "a record without a name, or over the budget of packages; not used");
        }
    };
    let mut at = 0_u64;
    for (number, line) in (1_u32..).zip(text.bytes.split(|b| *b == b'\n')) {
        let run = crate::base::Run::new(at, line.len() as u64);
        at = at.saturating_add(line.len() as u64).saturating_add(1);
        let [kind, b':', value @ ..] = line else {
            if line.is_empty() {
                keep(&mut record, first);
                folder.clear();
            } else {
                bad = bad.or(Some(number));
            }
            continue;
        };
        let said = || String::from_utf8_lossy(value).into_owned();
        match kind {
            b'P' => {
                first = number;
                record.package.name = said().as_str().into();
                record.package.evidence = text.line_at(number, run);
            }
            b'V' => record.package.version = said(),
            b'A' => record.package.architecture = said().as_str().into(),
            b'm' => record.package.maintainer = said(),
            b'o' => record.package.source = said(),
            b'F' if value.is_empty() => folder = Vec::new(),
            b'F' => {
                record.files.push(Listing::new(value.to_vec(), 0o755));
                folder = [value, b"/"].concat();
            }
            b'R' => record.files.push(Listing::new([folder.as_slice(), value].concat(), 0o644)),
            b'a' | b'M' => {
                if let Some(last) = record.files.last_mut() {
                    let said = attributes(value);
                    bad = bad.or(said.is_none().then_some(number));
                    last.shipped = said.unwrap_or_default();
                }
            }
            b'Z' => {
                if let Some(last) = record.files.last_mut() {
                    last.sum = sum(value);
                    bad = bad.or(last.sum.is_none().then_some(number));
                }
            }
            _ => {}
        }
    }
    keep(&mut record, first);
    if let Some(line) = bad {
        out.gap_line(
            text.entry,
            line,
            "no line of a package, or a digest of no known kind; lines of this kind were not used",
        );
    }
    Some(index(system, all, &text, out))
}

fn index(system: &System, all: BTreeMap<(String, u32), Record>, text: &Text<'_>, out: &Out) -> Ownership {
    let scripts = scripts(system);
    let world = world(system, out);
    let mut builder = Builder::new(system);
    for Record { mut package, files } in all.into_values() {
        package.manager = "apk".into();
        package.state = "installed".into();
        package.automatic = world.as_ref().map(|w| !w.iter().any(|name| **name == *package.name));
        package.scripts = scripts.get(&*package.name).cloned().unwrap_or_default();
        builder.package(package);
        for Listing { path, sum, shipped } in files {
            let conffile = path.starts_with(PROTECTED) && !NOT_PROTECTED.iter().any(|p| path.starts_with(p));
            let path = [b"/".as_slice(), &path].concat();
            // The digest of a link is that of its target: what stands there is compared at once.
            let link = builder.canonical(&path);
            let link = system.get(&link).filter(|e| e.kind() == NodeKind::Symlink).and_then(|e| system.link_target(e));
            let same =
                link.is_some_and(|target| sum == Some(Sum::Sha1(Sha1(sha1::Sha1::digest(target.bytes()).into()))));
            let sum = sum.filter(|_| !same);
            builder.add(Listed { path: &path, sum, conffile, shipped: Some(&shipped), ..Listed::default() });
        }
    }
    builder.finish(|what| out.gap(text.entry, what))
}

fn sum(value: &[u8]) -> Option<Sum> {
    let (kind, digest) = value.split_at_checked(2)?;
    let digest = STANDARD.decode(digest).ok()?;
    match kind {
        b"Q1" => Some(Sum::Sha1(Sha1(digest.try_into().ok()?))),
        b"Q2" => Some(Sum::Sha256(Digest(digest.try_into().ok()?))),
        _ => None,
    }
}

/// Names of what was asked for by name; `None` if that is not known.
fn world(system: &System, out: &Out) -> Option<Vec<String>> {
    let text = out.read(system, system.resolve("/etc/apk/world")?)?;
    let name = |word: &str| word.split(['=', '<', '>', '~', '@']).next().unwrap_or_default().to_owned();
    Some(text.text().split_whitespace().map(name).collect())
}

/// Package → its scripts, by the names of the members of apk's archive of them, where it lies unpacked.
fn scripts(system: &System) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in system.glob("/lib/apk/db/scripts/*") {
        // NAME-VERSION.Q1DIGEST.KIND
        let name = String::from_utf8_lossy(entry.path.file_name()).into_owned();
        let parts: Vec<&str> = name.rsplitn(3, '.').collect();
        if let [kind, _, package] = parts.as_slice() {
            let stem = package.rsplitn(3, '-').nth(2).unwrap_or(package);
            all.entry(stem.to_owned()).or_default().push((*kind).to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::system;
    use super::*;
    use crate::artifact::ownership::Sums;

    #[test]
    fn packages_own_what_their_records_say() {
        let of = |text: &[u8]| STANDARD.encode(sha1::Sha1::digest(text));
        let s = system(&format!(
            "/lib/apk/db/installed
    C:Q1p4SxKLVhnDjoLlBLtSpBEzdJBmk=
    P:busybox
    V:1.36.1-r15
    A:x86_64
    m:Natanael Copa
    o:busybox
    F:bin
    R:busybox
    a:0:0:755
    Z:Q1{}
    R:sh
    a:0:0:777
    Z:Q1{}
    R:ash
    Z:Q1{}
    R:damaged
    Z:Q9AAAA
    F:etc
    R:securetty
    Z:Q1{}

    P:nameless-follows
    V:1

    F:x
    R:y
/etc/apk/world
    busybox>1 other
/bin/busybox
    program
/bin/sh -> /bin/busybox
/bin/ash -> /tmp/evil
/bin/planted
    x
/etc/securetty
    changed
",
            of(b"program\n"),
            of(b"/bin/busybox"),
            of(b"/bin/busybox"),
            of(b"tty\n"),
        ));
        let out = Out::new(Some(0), "test");
        let all = Ownership::read(&s, &out).unwrap();
        let word = |path: &str, text: Option<&[u8]>| {
            let sha1 = text.map(|t| Sha1(sha1::Sha1::digest(t).into()));
            all.vouch(s.get(path).unwrap(), &Sums { sha1, ..Sums::default() }).1
        };
        assert_eq!(word("/bin/busybox", Some(b"program\n")), "ok");
        assert_eq!(word("/bin/busybox", Some(b"other")), "differs");
        assert_eq!(word("/bin/busybox", None), "unchecked");
        assert_eq!(word("/bin/sh", None), "no-digest");
        assert_eq!(word("/bin/ash", None), "differs");
        assert_eq!(word("/bin/planted", None), "unowned");
        assert_eq!(word("/etc/securetty", Some(b"changed\n")), "conffile-changed");
        let packages = all.packages(s.entries().iter().map(|e| e.path.bytes()));
        let [busybox, _] = packages.as_slice() else { panic!("{packages:?}") };
        assert_eq!((&*busybox.name, &*busybox.manager, busybox.files, busybox.listed), ("busybox", "apk", 7, 3));
        assert_eq!(busybox.automatic, Some(false));
        let gaps: Vec<String> = out.take().1.into_iter().map(|g| g.what).collect();
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert!(gaps.iter().any(|g| g.contains("a digest of no known kind")), "{gaps:?}");
    }
}
