//! The pacman database of Arch and its kin: packages and the paths they own.
//!
//! Formats: `local/NAME-VERSION/desc` and `files` (`%KEY%`, then a value a line); `mtree`, a gzip of mtree(5).
use crate::artifact::ownership::{Builder, Listed, Sum};
use crate::artifact::{Out, Ownership, Shipped};
use crate::base::Time;
use crate::evidence::{System, Text};
use crate::format::decompress::Compression;
use crate::inventory::Package;
use std::collections::{BTreeMap, HashMap};

const HOME: &str = "/var/lib/pacman/local";
const MAX_PACKAGES: usize = 200_000;
/// Decoded bytes of a package's manifest.
const MANIFEST: u64 = 64 << 20;

/// Reads the database into an index of owned paths; `None` where there is no database.
pub(in crate::artifact) fn ownership(system: &System, out: &Out) -> Option<Ownership> {
    system.resolve(HOME)?;
    let mut all: BTreeMap<(String, String), (Package, String)> = BTreeMap::new();
    for folder in system.glob(&format!("{HOME}/*")).into_iter().filter(|e| e.is_dir()) {
        let home = folder.path.lossy().into_owned();
        let Some(text) = system.resolve(format!("{home}/desc")).and_then(|e| out.read(system, e)) else {
            out.gap_at(system, &format!("{home}/desc"), "the package's description is not there");
            continue;
        };
        if all.len() >= MAX_PACKAGES {
            out.gap(folder, "budget: packages; the rest was not read");
            break;
        }
        let package = package(&text);
        if package.name.is_empty() {
            out.gap(text.entry, "a description without a name");
            continue;
        }
        all.insert((package.name.to_string(), home.clone()), (package, home));
    }
    let mut builder = Builder::new(system);
    for (mut package, home) in all.into_values() {
        let there = |name: &str| system.resolve(format!("{home}/{name}"));
        package.scripts = there("install").map(|_| "install".to_owned()).into_iter().collect();
        let sums = if let Some(text) = there("mtree").and_then(|e| out.read(system, e)) {
            manifest(&text, out)
        } else {
            out.gap_at(system, &format!("{home}/mtree"), "the package's manifest is not there");
            HashMap::new()
        };
        builder.package(package);
        let Some(list) = there("files").and_then(|e| out.read(system, e)) else {
            out.gap_at(system, &format!("{home}/files"), "the package's files list is not there");
            continue;
        };
        let sections = sections(&list);
        let own = |name: &str| sections.get(name).map(|(_, v)| v.as_slice()).unwrap_or_default();
        // PATH, a tab, MD5 as shipped.
        let backup: HashMap<&[u8], Option<Sum>> = own("BACKUP")
            .iter()
            .filter_map(|line| {
                let cut = line.iter().rposition(|b| *b == b'\t')?;
                let (path, digest) = line.split_at(cut);
                Some((path, std::str::from_utf8(digest.trim_ascii()).ok().and_then(Sum::parse)))
            })
            .collect();
        for path in own("FILES") {
            let known = backup.get(path);
            let listed = sums.get(path.strip_suffix(b"/").unwrap_or(path));
            let sum = listed.and_then(|l| l.0).or(known.copied().flatten());
            let shipped = listed.map(|l| &l.1);
            let path = [b"/".as_slice(), path].concat();
            builder.add(Listed { path: &path, sum, conffile: known.is_some(), shipped, ..Listed::default() });
        }
    }
    Some(builder.finish(|what| out.gap_at(system, HOME, what)))
}

/// Key → the line it stands on, and its values.
fn sections<'a>(text: &'a Text<'_>) -> BTreeMap<String, (u32, Vec<&'a [u8]>)> {
    let mut all: BTreeMap<String, (u32, Vec<&[u8]>)> = BTreeMap::new();
    let mut key = String::new();
    for (number, line) in (1_u32..).zip(text.bytes.split(|b| *b == b'\n')) {
        match line {
            [b'%', name @ .., b'%'] if !name.is_empty() => {
                key = String::from_utf8_lossy(name).into_owned();
                all.entry(key.clone()).or_default().0 = number;
            }
            [] => {}
            value => all.entry(key.clone()).or_default().1.push(value),
        }
    }
    all
}

fn package(text: &Text<'_>) -> Package {
    let sections = sections(text);
    let said = |name: &str| {
        let value = sections.get(name).and_then(|(_, values)| values.first());
        value.map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default()
    };
    let line = sections.get("NAME").map_or(1, |(line, _)| line.saturating_add(1));
    let seconds = said("INSTALLDATE").parse().ok();
    Package {
        name: said("NAME").as_str().into(),
        version: said("VERSION"),
        architecture: said("ARCH").as_str().into(),
        manager: "pacman".into(),
        state: "installed".into(),
        section: said("GROUPS"),
        maintainer: said("PACKAGER"),
        source: said("BASE"),
        // Said of packages that something else needed only.
        automatic: Some(said("REASON") == "1"),
        installed: seconds.map(Time::seconds),
        evidence: text.line(line),
        ..Package::default()
    }
}

/// What a line of the manifest says beside its digest; `defaults` are those of the last `/set`.
fn attributes(line: &[u8], defaults: &Shipped) -> Shipped {
    let word = |key: &[u8]| line.split(|b| *b == b' ').find_map(|w| w.strip_prefix(key));
    let number = |key: &[u8], radix: u32| {
        word(key).and_then(|w| u32::from_str_radix(std::str::from_utf8(w).ok()?.trim(), radix).ok())
    };
    Shipped {
        mode: number(b"mode=", 8).map(|m| m & 0o7777).or(defaults.mode),
        uid: number(b"uid=", 10).or(defaults.uid),
        gid: number(b"gid=", 10).or(defaults.gid),
        target: word(b"link=").map(|t| unescape(t).into()),
        capabilities: None,
    }
}

/// Path without its leading slash → digest, owner and permissions.
fn manifest(text: &Text<'_>, out: &Out) -> HashMap<Vec<u8>, (Option<Sum>, Shipped)> {
    let plain = match Compression::recognise(&text.bytes).map(|c| c.decode(&text.bytes, MANIFEST)) {
        Some(Ok(plain)) => plain,
        Some(Err(e)) => {
            out.gap(text.entry, e);
            return HashMap::new();
        }
        None => text.bytes.clone(),
    };
    let mut all = HashMap::new();
    let mut bad = None;
    let mut defaults = Shipped::default();
    for (number, line) in (1_u32..).zip(plain.split(|b| *b == b'\n')) {
        if line.starts_with(b"/set ") {
            defaults = attributes(line, &Shipped::default());
            continue;
        }
        let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty());
        let Some(path) = words.next().and_then(|w| w.strip_prefix(b"./")) else { continue };
        let word = |key: &[u8]| line.split(|b| *b == b' ').find_map(|w| w.strip_prefix(key));
        let words = [word(b"sha256digest="), word(b"md5digest=")];
        let sum = words.iter().flatten().find_map(|w| Sum::parse(std::str::from_utf8(w).ok()?));
        if sum.is_none() {
            bad = bad.or(words.iter().any(Option::is_some).then_some(number));
        }
        all.insert(unescape(path), (sum, attributes(line, &defaults)));
    }
    if let Some(line) = bad {
        out.gap_line(text.entry, line, "a digest of no known kind; lines of this kind were not used");
    }
    all
}

/// `\NNN` in octal.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).filter(|_| *first == b'\\').and_then(|o| {
            let text = std::str::from_utf8(o).ok()?;
            u8::from_str_radix(text, 8).ok()
        });
        out.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { more.get(3..).unwrap_or_default() } else { more };
    }
    out
}
