//! The RPM database: packages and the paths they own, with the digests of their headers.
use super::accounts::Ids;
use super::starts::{Way, cut};
use crate::artifact::ownership::{Builder, Listed, Sum};
use crate::artifact::{Out, Ownership, Shipped};
use crate::base::{Evidence, Time};
use crate::evidence::{Entry, System, image_runs};
use crate::format::bytes::Bytes;
use crate::format::rpm::{self, Header, Seal, Stored, tag};
use crate::inventory::{Package, Start};
use std::collections::BTreeMap;

/// Where distributions keep it: newer ones, older ones (often a link to the first), image-based ones.
const HOMES: &[&str] = &["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"];
/// SQLite, rpm's own, Berkeley DB.
const NAMES: &[&str] = &["rpmdb.sqlite", "Packages.db", "Packages"];
const MAX_PACKAGES: usize = 200_000;
/// Flags of files (rpm's `rpmfiles.h`).
const CONFIG: u64 = 1;
const MISSING_OK: u64 = 8;
const GHOST: u64 = 64;
/// Algorithms of digests (RFC 4880).
const MD5: u64 = 1;
const SHA1: u64 = 2;
const SHA256: u64 = 8;

/// What of a file is compared, by its flags of verification (rpm's `rpmvf.h`).
const LINK_TO: u64 = 1 << 2;
const USER: u64 = 1 << 3;
const GROUP: u64 = 1 << 4;
const MODE: u64 = 1 << 6;
const CAPABILITIES: u64 = 1 << 8;
/// The bits of a mode that tell a symbolic link.
const KIND: u64 = 0o170_000;
const LINK: u64 = 0o120_000;

/// A path as a header lists it.
struct File {
    path: Vec<u8>,
    sum: Option<Sum>,
    conffile: bool,
    optional: bool,
    shipped: Option<Shipped>,
}

/// Reads the database into an index of owned paths; `None` where there is no database.
pub(in crate::artifact) fn ownership(system: &System, out: &Out) -> Option<Ownership> {
    let mut there: Vec<&Entry> = Vec::new();
    for path in HOMES.iter().flat_map(|home| NAMES.iter().map(move |name| format!("{home}/{name}"))) {
        let found = system.resolve(path).filter(|e| e.is_file() && !e.is_empty());
        there.extend(found.filter(|e| !there.iter().any(|o| (o.fs, o.node) == (e.fs, e.node))));
    }
    let (first, others) = there.split_first()?;
    for other in others {
        out.gap(other, format!("a further database of packages beside {}; not used", first.path.display()));
    }
    let mut all: BTreeMap<(String, String, String, u32), (Package, Vec<File>)> = BTreeMap::new();
    let ids = Ids::of(system);
    let done = read(system, first, out, &mut |stored, evidence| {
        if all.len() >= MAX_PACKAGES {
            out.gap(first, "budget: packages; the rest was not read");
            return false;
        }
        let told = |what: &str| {
            let at = stored.place.map_or(0, |p| p.offset);
            out.gap_in(first, at, format!("package {}: {what}", stored.number), stored.blob.len() as u64);
        };
        match Header::parse(&stored.blob) {
            Err(what) => told(&what),
            // The key of a signer is kept as a package of this name.
            Ok(header) if header.text(tag::NAME) == "gpg-pubkey" => {}
            Ok(header) => {
                let package = package(&header, evidence);
                if package.name.is_empty() {
                    told("a header without a name");
                } else {
                    scripts(system, &header, &package, out);
                    let key = (package.name.to_string(), package.architecture.to_string(), package.version.clone());
                    all.insert((key.0, key.1, key.2, stored.number), (package, files(&header, &ids, &told)));
                }
            }
        }
        true
    });
    if let Err(what) = done {
        out.gap(first, format!("database of packages not read: {what}"));
        return None;
    }
    let mut builder = Builder::new(system);
    for (package, files) in all.into_values() {
        builder.package(package);
        for File { path, sum, conffile, optional, shipped } in &files {
            let (sum, conffile, optional) = (*sum, *conffile, *optional);
            builder.add(Listed { path, sum, conffile, optional, shipped: shipped.as_ref(), ..Listed::default() });
        }
    }
    Some(builder.finish(|what| out.gap(first, what)))
}

/// Every header of the database, with its evidence.
fn read(
    system: &System,
    entry: &Entry,
    out: &Out,
    each: &mut dyn FnMut(Stored, Evidence) -> bool,
) -> Result<(), String> {
    let source = system.open(entry).map_err(|e| e.to_string())?;
    let log = system.resolve([entry.path.bytes(), b"-wal".as_slice()].concat());
    let log = match log.filter(|e| e.is_file() && !e.is_empty()).map(|e| (e, system.open(e))) {
        Some((_, Ok(log))) => Some(log),
        Some((e, Err(error))) => {
            out.gap(e, format!("what was written last to the database is not read: {error}"));
            None
        }
        None => None,
    };
    let own = |at: u64, to: &mut [u8]| source.read_at(at, to).map_err(|e| e.to_string());
    let other = |at: u64, to: &mut [u8]| match &log {
        Some(log) => log.read_at(at, to).map_err(|e| e.to_string()),
        None => Ok(0),
    };
    let file = Bytes { len: source.len(), read: &own };
    let log = log.as_ref().map(|log| Bytes { len: log.len(), read: &other });
    let whole = Evidence { image_runs: Vec::new(), ..system.evidence(entry) };
    rpm::headers(file, log, &mut |at, what| out.gap_in(entry, at, what, 0), &mut |stored| {
        let key = Some(format!("package {}", stored.number));
        let runs = image_runs(&source, stored.place);
        let evidence = Evidence { range: stored.place, image_runs: runs, key, ..whole.clone() };
        each(stored, evidence)
    })
}

fn package(header: &Header<'_>, evidence: Evidence) -> Package {
    let version = format!("{}-{}", header.text(tag::VERSION), header.text(tag::RELEASE));
    let maker = [tag::VENDOR, tag::PACKAGER].into_iter().map(|t| header.text(t)).find(|t| !t.is_empty());
    let seconds = header.number(tag::INSTALL_TIME).and_then(|s| i64::try_from(s).ok());
    let state = match header.seal() {
        Seal::Fits => "installed",
        Seal::Differs => "installed; its header differs from the header's own digest",
        Seal::None => "installed; its header has no digest",
    };
    Package {
        name: header.text(tag::NAME).as_str().into(),
        version: header.number(tag::EPOCH).map_or_else(|| version.clone(), |epoch| format!("{epoch}:{version}")),
        architecture: header.text(tag::ARCH).as_str().into(),
        manager: "rpm".into(),
        state: state.to_owned(),
        section: header.text(tag::GROUP),
        maintainer: maker.unwrap_or_default(),
        source: header.text(tag::SOURCE_RPM),
        installed: seconds.map(Time::seconds),
        scripts: tag::SCRIPTS
            .iter()
            // One may be a program alone, without a text.
            .filter(|(text, program, _)| header.has(*text) || header.has(*program))
            .map(|(.., name)| (*name).to_owned())
            .collect(),
        evidence,
        ..Package::default()
    }
}

/// Scripts of one package that become rows.
const MAX_SCRIPTS: usize = 200;

/// What a package runs when it, or another one, is put in or taken out.
fn scripts(system: &System, header: &Header<'_>, package: &Package, out: &Out) {
    let mut count = 0_usize;
    for (text, program, kind) in tag::SCRIPTS {
        let (texts, programs) = (header.texts(*text), header.texts(*program));
        // The program of a script stands as several words, those of triggers one for each of them.
        let several = kind.ends_with("trigger");
        let each = if several { texts.len() } else { usize::from(!texts.is_empty() || !programs.is_empty()) };
        let past = matches!(*kind, "pretrans" | "prein" | "postin" | "posttrans");
        for n in 0..each {
            count = count.saturating_add(1);
            if count > MAX_SCRIPTS {
                out.gap_system(system, format!("budget: scripts of package {}; the rest was not listed", package.name));
                return;
            }
            let words: Vec<String> = programs
                .iter()
                .skip(if several { n } else { 0 })
                .take(if several { 1 } else { 16 })
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect();
            let script = texts.get(n).map(|t| String::from_utf8_lossy(t).into_owned()).unwrap_or_default();
            let way = Way::root("rpm", "package").only(!past, "it ran when the package was installed");
            let trigger = format!("{kind} of {}", package.name);
            let key = package.evidence.key.as_ref().map(|k| format!("{k} {kind}"));
            let evidence = Evidence { key, ..package.evidence.clone() };
            let row = way.start(&package.name, &trigger, evidence);
            let program = words.first().filter(|w| w.starts_with('/'));
            let command = if script.is_empty() { words.join(" ") } else { script };
            out.push(Start {
                kind: "script".into(),
                command: cut(&command),
                program: program.map(|p| system.canonical(p.as_bytes()).unwrap_or_else(|| p.as_str().into())),
                ..row
            });
        }
    }
}

/// The files of a package. Lists of different lengths are told; what is missing counts as not said.
fn files(header: &Header<'_>, ids: &Ids, told: &dyn Fn(&str)) -> Vec<File> {
    let (names, folders) = (header.texts(tag::BASE_NAMES), header.texts(tag::DIR_NAMES));
    let indexes = header.numbers(tag::DIR_INDEXES);
    let paths: Vec<Vec<u8>> = if names.is_empty() {
        header.texts(tag::OLD_FILE_NAMES).into_iter().map(<[u8]>::to_vec).collect()
    } else {
        let path = |(n, name): (usize, &&[u8])| {
            let folder = indexes.get(n).and_then(|i| folders.get(usize::try_from(*i).ok()?))?;
            Some([folder, *name].concat())
        };
        names.iter().enumerate().map_while(path).collect()
    };
    let (digests, flags, states) =
        (header.texts(tag::FILE_DIGESTS), header.numbers(tag::FILE_FLAGS), header.numbers(tag::FILE_STATES));
    if paths.len() < names.len() || paths.len() > digests.len() || paths.len() > flags.len() {
        told("its lists of files are of different lengths; what is missing is not compared");
    }
    let wanted = match header.number(tag::FILE_DIGEST_ALGORITHM).unwrap_or(MD5) {
        MD5 => 32,
        SHA1 => 40,
        SHA256 => 64,
        other => {
            told(&format!("digests of kind {other} are not compared"));
            0
        }
    };
    if wanted > 0 && digests.iter().any(|d| !d.is_empty() && parsed(d, wanted).is_none()) {
        told("some of its digests are none; those are not compared");
    }
    let (modes, verify) = (header.numbers(tag::FILE_MODES), header.numbers(tag::FILE_VERIFY_FLAGS));
    let (users, groups) = (header.texts(tag::FILE_USER_NAMES), header.texts(tag::FILE_GROUP_NAMES));
    let (targets, capabilities) = (header.texts(tag::FILE_LINK_TOS), header.texts(tag::FILE_CAPABILITIES));
    let shipped = |n: usize, ghost: bool| {
        // Without flags everything is compared.
        let compared = |what: u64| verify.get(n).is_none_or(|v| v & what != 0);
        let name = |of: &[&[u8]]| of.get(n).map(|name| String::from_utf8_lossy(name).into_owned());
        let mode = modes.get(n).copied();
        let link = mode.is_some_and(|m| m & KIND == LINK);
        let target = targets.get(n).filter(|t| !t.is_empty() && link && !ghost && compared(LINK_TO));
        let own = capabilities.get(n).map_or(b"".as_slice(), |c| c);
        Shipped {
            mode: mode.filter(|_| compared(MODE)).and_then(|m| u32::try_from(m & 0o7777).ok()),
            uid: name(&users).filter(|_| compared(USER)).and_then(|u| ids.user(&u)),
            gid: name(&groups).filter(|_| compared(GROUP)).and_then(|g| ids.group(&g)),
            capabilities: compared(CAPABILITIES).then(|| String::from_utf8_lossy(own).as_ref().into()),
            target: target.map(|t| (*t).into()),
        }
    };
    let file = |(n, path): (usize, Vec<u8>)| {
        let flags = flags.get(n).copied().unwrap_or(0);
        // Replaced by another package, left out, of another architecture.
        let elsewhere = states.get(n).is_some_and(|s| *s != 0);
        let ghost = flags & GHOST != 0;
        let digest = digests.get(n).filter(|_| !ghost && !elsewhere);
        File {
            path,
            sum: digest.and_then(|d| parsed(d, wanted)),
            conffile: flags & CONFIG != 0,
            optional: ghost || elsewhere || flags & MISSING_OK != 0,
            shipped: (!elsewhere && modes.len() >= names.len()).then(|| shipped(n, ghost)),
        }
    };
    paths.into_iter().filter(|p| p.starts_with(b"/")).enumerate().map(file).collect()
}

/// A digest of as many hex digits as its kind has.
fn parsed(digest: &[u8], wanted: usize) -> Option<Sum> {
    let text = std::str::from_utf8(digest).ok().filter(|d| d.len() == wanted)?;
    Sum::parse(text)
}
