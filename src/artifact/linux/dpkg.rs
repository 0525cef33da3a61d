//! The dpkg database: packages, the paths they own, diversions, overrides, alternatives.
//!
//! Formats: deb-control(5) stanzas in `status` (distroless images: one file each in `status.d`);
//! `info/NAME[:ARCH].list` (paths) and `.md5sums` (md5sum(1)); `diversions` (three lines each:
//! original, diverted to, package or `:`); `statoverride` (user, group, mode, path); the
//! alternatives database of update-alternatives(1).
use super::accounts::Ids;
use crate::artifact::ownership::{Builder, Listed, Sum};
use crate::artifact::{Artifact, Os, Out, Ownership, Shipped};
use crate::base::{Md5, Name};
use crate::evidence::{Entry, System, Text};
use crate::format::deb822::{self, Stanza};
use crate::inventory::{Package, Setting};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(in crate::artifact) const ARTIFACT: Artifact = Artifact {
    name: "linux.dpkg",
    about: "The dpkg database: packages and the paths they own, diversions and permission overrides",
    os: Os::Linux,
    reads: &[
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/status.d/*",
        "/var/lib/dpkg/updates/*",
        "/var/lib/dpkg/info/*",
        "/var/lib/dpkg/diversions",
        "/var/lib/dpkg/statoverride",
        "/var/lib/dpkg/alternatives/*",
        "/var/lib/apt/extended_states",
    ],
    references: &["dpkg(1)", "deb822(5)", "dpkg-divert(1)", "dpkg-statoverride(1)", "update-alternatives(1)"],
    extract,
};

const INFO: &str = "/var/lib/dpkg/info/";
const SCRIPTS: [&[u8]; 6] = [b"config", b"postinst", b"postrm", b"preinst", b"prerm", b"triggers"];
const MAX_PACKAGES: usize = 200_000;

/// What the administrator changed about packages: diversions and permission overrides, as settings.
fn extract(system: &System, out: &Out) {
    let setting = |scope: &str, name: &[u8], value: String, evidence| Setting {
        program: "dpkg".into(),
        scope: scope.into(),
        name: Name::new(name).display(),
        value,
        effective: true,
        evidence,
        ..Setting::default()
    };
    if let Some(text) = read(system, out, "/var/lib/dpkg/diversions") {
        for (line, [from, to, by]) in triples(&text, out) {
            let by = if by == b":" { "the administrator".into() } else { Name::new(by).display() };
            let value = format!("{} by {by}", Name::new(to).display());
            out.push(setting("diversion", from, value, text.line(line)));
        }
    }
    if let Some(text) = read(system, out, "/var/lib/dpkg/statoverride") {
        for (number, line, run) in text.lines() {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some(user), Some(group), Some(mode), Some(path)) => {
                    let value = format!("{user} {group} {mode}");
                    out.push(setting("statoverride", path.as_bytes(), value, text.line_at(number, run)));
                }
                _ if line.trim().is_empty() => {}
                _ => out.gap_line(text.entry, number, "no permission override"),
            }
        }
    }
}

/// Reads the database into an index of owned paths; `None` where there is no database.
pub(in crate::artifact) fn ownership(system: &System, out: &Out) -> Option<Ownership> {
    let packages = packages(system, out)?;
    let mut builder = Builder::new(system);
    let diversions = diversions(system, out, &mut builder);
    let overrides = overrides(system, out, &mut builder);
    let mut unnamed: BTreeSet<&[u8]> = BTreeSet::new();
    let mut infos: HashMap<&[u8], &Entry> = HashMap::new();
    for entry in system.glob(&format!("{INFO}*")) {
        let name = entry.path.file_name();
        infos.insert(name, entry);
        if let Some(stem) = name.strip_suffix(b".list") {
            unnamed.insert(stem);
        }
    }
    for known in packages.into_values() {
        let Known { mut package, conffiles, distroless } = known;
        let qualified = format!("{}:{}", package.name, package.architecture);
        let stem = [qualified.as_bytes(), package.name.as_bytes()]
            .into_iter()
            .find(|s| infos.contains_key([s, b".list".as_slice()].concat().as_slice()))
            .unwrap_or(package.name.as_bytes())
            .to_vec();
        unnamed.remove(stem.as_slice());
        let info = |ending: &[u8]| infos.get([stem.as_slice(), b".", ending].concat().as_slice()).copied();
        package.scripts =
            SCRIPTS.iter().filter(|s| info(s).is_some()).map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        let list = info(b"list").and_then(|e| {
            package.installed = e.stat.as_ref().and_then(|s| s.times.modified);
            out.read(system, e)
        });
        let sums = match &distroless {
            Some(dir) => system.resolve(dir.join(format!("{}.md5sums", package.name).as_bytes()).bytes()),
            None => info(b"md5sums"),
        };
        let sums = sums.and_then(|e| out.read(system, e));
        let mut digests = sums.as_ref().map(|t| md5sums(t, out)).unwrap_or_default();
        let name = package.name.clone();
        if list.is_none() && distroless.is_none() && !package.state.ends_with("not-installed") {
            out.gap_at(system, &format!("{INFO}{name}.list"), "the package's files list is not there");
        }
        builder.package(package);
        let mut own = |path: &[u8], md5: Option<Md5>, conffile: bool| {
            let sum = md5.map(Sum::Md5);
            let real = builder.canonical(path);
            let shipped = overrides.get(&real);
            match diversions.get(&real).filter(|(_, by)| **by != *name.as_bytes()) {
                Some((to, _)) => builder.add(Listed { path: to, sum, conffile, diverted: true, ..Listed::default() }),
                None => builder.add(Listed { path, sum, conffile, shipped, ..Listed::default() }),
            }
        };
        if let Some(text) = &list {
            for path in text.bytes.split(|b| *b == b'\n').filter(|p| !p.is_empty()) {
                let conffile = conffiles.get(path);
                let digest = digests.remove(path.strip_prefix(b"/").unwrap_or(path));
                own(path, conffile.copied().flatten().or(digest), conffile.is_some());
            }
        } else {
            // Without a list the manifest is all there is; sorted, as the map has no order.
            let mut rest: Vec<_> = digests.into_iter().collect();
            rest.sort();
            for (path, digest) in rest {
                own(&[b"/", path.as_slice()].concat(), Some(digest), false);
            }
        }
    }
    for stem in unnamed {
        if let Some(entry) = infos.get([stem, b".list"].concat().as_slice()) {
            out.gap(entry, "files list of a package that the status file does not name; not used");
        }
    }
    builder.settle();
    let links = alternatives(system, out, &mut builder);
    builder.alternatives(&links);
    Some(builder.finish(|what| out.gap_at(system, INFO, what)))
}

struct Known {
    package: Package,
    /// Path → digest as shipped (`None` where the database has no digest yet).
    conffiles: HashMap<Vec<u8>, Option<Md5>>,
    /// The folder that holds its manifest, on a system with a status file for each package.
    distroless: Option<Name>,
}

/// Every package that the status files name, by name and architecture.
fn packages(system: &System, out: &Out) -> Option<BTreeMap<(String, String), Known>> {
    let mut all = BTreeMap::new();
    let status = system.resolve("/var/lib/dpkg/status");
    let single = system.glob("/var/lib/dpkg/status.d/*");
    if status.is_none() && single.is_empty() {
        return None;
    }
    // What dpkg had not yet merged into the status file when it was last stopped; in order.
    let updates = system.glob("/var/lib/dpkg/updates/*").into_iter().filter(|e| {
        let name = e.path.file_name();
        !name.is_empty() && name.iter().all(u8::is_ascii_digit)
    });
    for entry in status.into_iter().chain(updates) {
        if let Some(text) = out.read(system, entry) {
            known(&text, None, out, &mut all);
        }
    }
    for entry in single {
        if !entry.path.bytes().ends_with(b".md5sums")
            && let Some(text) = out.read(system, entry)
        {
            known(&text, Some(&Name::new(entry.path.parent())), out, &mut all);
        }
    }
    let mut automatic = BTreeSet::new();
    if let Some(text) = read(system, out, "/var/lib/apt/extended_states") {
        for stanza in deb822::stanzas(&text.bytes) {
            if stanza.get("Auto-Installed") == Some(b"1") {
                automatic.insert((stanza.text("Package"), stanza.text("Architecture")));
            }
        }
        for (key, known) in &mut all {
            // apt marks an architecture-independent package under the native one.
            let any = key.1 == "all" && automatic.iter().any(|(n, _)| *n == key.0);
            known.package.automatic = Some(any || automatic.contains(key));
        }
    }
    Some(all)
}

fn known(text: &Text<'_>, distroless: Option<&Name>, out: &Out, all: &mut BTreeMap<(String, String), Known>) {
    for stanza in deb822::stanzas(&text.bytes) {
        if let Some(line) = stanza.malformed {
            out.gap_line(text.entry, line, "neither a field nor a continuation");
        }
        let (name, architecture) = (stanza.text("Package"), stanza.text("Architecture"));
        if name.is_empty() {
            if stanza.malformed.is_none() {
                out.gap_line(text.entry, stanza.line, "a stanza without a package name");
            }
            continue;
        }
        if all.len() >= MAX_PACKAGES {
            out.gap_line(text.entry, stanza.line, "budget: packages; the rest was not read");
            return;
        }
        let state = stanza.text("Status");
        let key = (name, architecture);
        if state.ends_with("not-installed") {
            all.remove(&key);
            continue;
        }
        let package = Package {
            name: key.0.as_str().into(),
            version: stanza.text("Version"),
            architecture: key.1.as_str().into(),
            manager: "dpkg".into(),
            state,
            section: stanza.text("Section"),
            maintainer: stanza.text("Maintainer"),
            source: stanza.text("Source"),
            evidence: text.line_at(stanza.line, stanza.run),
            ..Package::default()
        };
        let conffiles = conffiles(&stanza);
        all.insert(key, Known { package, conffiles, distroless: distroless.cloned() });
    }
}

/// `Conffiles:` has lines of a path, a digest (or `newconffile`) and flags (`obsolete`, `remove-on-upgrade`).
fn conffiles(stanza: &Stanza<'_>) -> HashMap<Vec<u8>, Option<Md5>> {
    let mut all = HashMap::new();
    for line in stanza.lines("Conffiles") {
        // The path may hold spaces: the first word from the right that is a digest ends it.
        let mut end = line.len();
        let mut found = None;
        while let Some(cut) = line.get(..end).and_then(|l| l.iter().rposition(|b| *b == b' ')) {
            let word = line.get(cut.saturating_add(1)..end).unwrap_or_default();
            let digest = std::str::from_utf8(word).ok().and_then(Md5::parse);
            end = cut;
            if digest.is_some() || word == b"newconffile" {
                found = digest;
                break;
            }
        }
        let path = line.get(..end).unwrap_or_default().trim_ascii();
        if path.starts_with(b"/") {
            all.insert(path.to_vec(), found);
        }
    }
    all
}

/// Path without its leading slash → digest.
fn md5sums(text: &Text<'_>, out: &Out) -> HashMap<Vec<u8>, Md5> {
    let mut all = HashMap::new();
    let mut bad = None;
    for (number, line) in (1_u32..).zip(text.bytes.split(|b| *b == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        // md5sum(1) marks a line whose name it escaped by a backslash in front.
        let (escaped, line) = line.strip_prefix(b"\\").map_or((false, line), |l| (true, l));
        let digest = line.get(..32).and_then(|h| std::str::from_utf8(h).ok()).and_then(Md5::parse);
        let path = line.get(34..).filter(|p| !p.is_empty() && line.get(32) == Some(&b' '));
        if let (Some(digest), Some(path)) = (digest, path) {
            let path = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")).unwrap_or(path);
            let path = if escaped { unescape(path) } else { path.to_vec() };
            all.insert(path, digest);
        } else {
            bad = bad.or(Some(number));
        }
    }
    if let Some(line) = bad {
        out.gap_line(text.entry, line, "no digest and path; lines of this kind were not used");
    }
    all
}

fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(b) = bytes.next() {
        match (b, b == &b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(other) => out.push(*other),
                None => out.push(b'\\'),
            },
            (b, false) => out.push(*b),
        }
    }
    out
}

/// The lines of the diversions file in threes, with the line each begins at.
fn triples<'a>(text: &'a Text<'_>, out: &Out) -> Vec<(u32, [&'a [u8]; 3])> {
    let lines: Vec<&[u8]> = text.bytes.split(|b| *b == b'\n').collect();
    let mut all = Vec::new();
    for (number, three) in (1_u32..).step_by(3).zip(lines.chunks(3)) {
        match three {
            [from, to, by] if from.starts_with(b"/") && to.starts_with(b"/") && !by.is_empty() => {
                all.push((number, [*from, *to, *by]));
            }
            rest if rest.iter().all(|l| l.is_empty()) => {}
            _ => {
                out.gap_line(text.entry, number, "no diversion; the rest was not used");
                break;
            }
        }
    }
    all
}

/// Canonical original → where it goes and for whom it does not (`:` for nobody).
fn diversions(system: &System, out: &Out, builder: &mut Builder<'_>) -> HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)> {
    let Some(text) = read(system, out, "/var/lib/dpkg/diversions") else {
        return HashMap::new();
    };
    let all = triples(&text, out);
    all.into_iter().map(|(_, [from, to, by])| (builder.canonical(from), (to.to_vec(), by.to_vec()))).collect()
}

/// What statoverride says of canonical paths; the archives' own permissions are in no database.
fn overrides(system: &System, out: &Out, builder: &mut Builder<'_>) -> HashMap<Vec<u8>, Shipped> {
    let Some(text) = read(system, out, "/var/lib/dpkg/statoverride") else { return HashMap::new() };
    let ids = Ids::of(system);
    let mut all = HashMap::new();
    for (_, line, _) in text.lines() {
        let mut words = line.splitn(4, ' ');
        // Lines that are none are told where the overrides are listed.
        if let (Some(user), Some(group), Some(mode), Some(path)) =
            (words.next(), words.next(), words.next(), words.next())
        {
            let mode = u32::from_str_radix(mode, 8).ok().filter(|m| *m <= 0o7777);
            let shipped = Shipped { mode, uid: ids.user(user), gid: ids.group(group), ..Shipped::default() };
            all.insert(builder.canonical(path.as_bytes()), shipped);
        }
    }
    all
}

/// Links of the alternatives database that point where it says: owner's index and path.
fn alternatives(system: &System, out: &Out, builder: &mut Builder<'_>) -> Vec<(usize, Vec<u8>)> {
    let mut owned = Vec::new();
    out.each(system, &["/var/lib/dpkg/alternatives/*"], |text| {
        let mut lines = text.bytes.split(|b| *b == b'\n');
        let (Some(b"auto" | b"manual"), Some(link)) = (lines.next(), lines.next()) else {
            out.gap(text.entry, "no alternatives record");
            return;
        };
        let group = text.entry.path.file_name().to_vec();
        let mut names = vec![(group, link.to_vec())];
        while let Some(name) = lines.next().filter(|n| !n.is_empty()) {
            names.push((name.to_vec(), lines.next().unwrap_or_default().to_vec()));
        }
        let link_at = |path: &[u8]| system.get(path).and_then(|e| system.link_target(e));
        let current = |name: &[u8]| link_at(&[b"/etc/alternatives/", name].concat());
        let chosen = names.first().and_then(|(n, _)| current(n));
        // Each choice: its path, its priority, then one line for each further name.
        while let Some(path) = lines.next().filter(|p| !p.is_empty()) {
            let further: Vec<&[u8]> =
                std::iter::once(path).chain(lines.by_ref().skip(1).take(names.len().saturating_sub(1))).collect();
            if chosen.as_ref().is_none_or(|c| c.bytes() != path) {
                continue;
            }
            let owner = builder.owner(path);
            for ((name, link), target) in names.iter().zip(further) {
                let Some(index) = builder.owner(target).or(owner).filter(|_| !target.is_empty()) else { continue };
                if current(name).is_none_or(|c| c.bytes() != target) {
                    continue;
                }
                let in_etc = [b"/etc/alternatives/", name.as_slice()].concat();
                let link = builder.canonical(link);
                if link_at(&link).is_some_and(|t| t.bytes() == in_etc) {
                    owned.push((index, link));
                }
                owned.push((index, in_etc));
            }
        }
    });
    owned
}

fn read<'a>(system: &'a System, out: &Out, path: &str) -> Option<Text<'a>> {
    out.read(system, system.resolve(path)?)
}
