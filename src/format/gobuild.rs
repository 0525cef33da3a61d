//! What a Go program says it was built from.
//!
//! Build information: package `debug/buildinfo` of the Go sources describes both layouts (pointers
//! up to Go 1.17, inline strings since). It is searched as raw bytes, so that missing section headers
//! do not matter. Where it was wiped, the line table (`internal/abi` PCLnTab, `debug/gosym`) still
//! names the source files and functions, and with them the modules.
use super::elf::Elf;
use memchr::memmem;
use std::collections::{BTreeMap, BTreeSet};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The first bytes of a line table, of either byte order: its magic number and two zero bytes.
const LINE_TABLES: [&[u8]; 8] = [
    b"\xf1\xff\xff\xff\0\0",
    b"\xf0\xff\xff\xff\0\0",
    b"\xfa\xff\xff\xff\0\0",
    b"\xfb\xff\xff\xff\0\0",
    b"\xff\xff\xff\xf1\0\0",
    b"\xff\xff\xff\xf0\0\0",
    b"\xff\xff\xff\xfa\0\0",
    b"\xff\xff\xff\xfb\0\0",
];
/// A module list longer than this is none.
const MAX_TEXT: usize = 4 << 20;
/// Modules kept of one program.
const MAX_DEPS: usize = 2000;
/// Bytes of names read from one line table.
const MAX_NAMES: usize = 16 << 20;

/// Byte strings of which every Go program has at least one, for a search that covers other things too.
/// The last three belong to its runtime: they stay when the build information is wiped.
pub const MARKS: [&[u8]; 4] = [MAGIC, b"runtime.goexit", b"runtime.newproc", b"all goroutines are asleep"];

/// A module that a program was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    pub path: String,
    pub version: String,
    /// `h1:…`; empty where nothing tells it.
    pub sum: String,
    /// `path version` of what stands in for it.
    pub replaced: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoBuild {
    /// `go1.22.3`, or `go1.20+` where only the line table's layout tells.
    pub version: String,
    /// Path of the main package.
    pub path: String,
    /// Main module's path; empty where nothing tells it.
    pub module: String,
    pub module_version: String,
    /// `path version`, sorted; with `=> path version` where one was replaced.
    pub deps: Vec<String>,
    /// The main module, where its version is told, and the others, sorted.
    pub modules: Vec<Module>,
    /// Build settings as written: `GOOS=linux`, `vcs.revision=…`.
    pub settings: Vec<String>,
    /// The build information is missing or empty, and this comes from the line table.
    pub from_line_table: bool,
}

/// `None` if this is no Go program. `elf` leads addresses back to bytes; without it only what needs none is read.
pub fn parse(bytes: &[u8], elf: Option<&Elf>) -> Option<GoBuild> {
    let info = memmem::find_iter(bytes, MAGIC).take(64).find_map(|at| build_info(bytes, at, elf));
    let complete = info.as_ref().is_some_and(|i| !i.module.is_empty() || !i.path.is_empty());
    if complete {
        return info;
    }
    let table = line_table(bytes);
    match (info, table) {
        (Some(info), Some(table)) => Some(GoBuild { version: info.version, ..table }),
        (info, table) => info.or(table),
    }
}

fn build_info(bytes: &[u8], at: usize, elf: Option<&Elf>) -> Option<GoBuild> {
    let blob = bytes.get(at..)?;
    let pointer_size = *blob.get(14)?;
    let flags = *blob.get(15)?;
    let (version, modules) = if flags & 2 != 0 {
        let rest = blob.get(32..)?;
        let (version, rest) = counted(rest)?;
        (version, counted(rest).map_or(b"".as_slice(), |(m, _)| m))
    } else {
        let big = flags & 1 != 0;
        let size = usize::from(pointer_size);
        let at = |n: usize| word(blob, 16_usize.checked_add(n.checked_mul(size)?)?, size, big);
        let elf = elf?;
        let string = |header: u64| -> Option<&[u8]> {
            let header = elf.at_address(bytes, header)?;
            let (data, len) = (word(header, 0, size, big)?, word(header, size, size, big)?);
            elf.at_address(bytes, data)?.get(..usize::try_from(len).ok()?)
        };
        (string(at(0)?)?, at(1).and_then(string).unwrap_or_default())
    };
    if version.len() > 256 || modules.len() > MAX_TEXT {
        return None;
    }
    let version = String::from_utf8_lossy(version).into_owned();
    if !version.starts_with("go") && !version.starts_with("devel") {
        return None;
    }
    // The list stands between two 16-byte markers.
    let end = modules.len().saturating_sub(16);
    let modules = if modules.len() >= 33 { modules.get(16..end).unwrap_or_default() } else { &[] };
    let mut found = GoBuild { version, ..GoBuild::default() };
    read_modules(&String::from_utf8_lossy(modules), &mut found);
    Some(found)
}

fn read_modules(text: &str, found: &mut GoBuild) {
    let mut deps: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (key, first, second) =
            (fields.next(), fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let sum = fields.next().unwrap_or_default().to_owned();
        if matches!(key, Some("mod" | "dep")) && found.modules.len() <= MAX_DEPS {
            let (path, version) = (first.to_owned(), second.to_owned());
            found.modules.push(Module { path, version, sum, ..Module::default() });
        } else if let (Some("=>"), Some(last)) = (key, found.modules.last_mut()) {
            last.replaced = format!("{first} {second}").trim_end().to_owned();
            last.sum = sum;
        }
        match key {
            Some("path") => first.clone_into(&mut found.path),
            Some("mod") => {
                first.clone_into(&mut found.module);
                second.clone_into(&mut found.module_version);
            }
            Some("dep") if deps.len() < MAX_DEPS => deps.push(format!("{first} {second}").trim_end().to_owned()),
            Some("=>") => {
                if let Some(last) = deps.last_mut() {
                    last.push_str(format!(" => {first} {second}").trim_end());
                }
            }
            Some("build") if found.settings.len() < 200 => found.settings.push(first.to_owned()),
            _ => {}
        }
    }
    deps.sort();
    deps.dedup();
    found.deps = deps;
    found.modules.sort();
}

/// A string after its length as a varint.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0_u64;
    for (i, byte) in bytes.iter().take(9).enumerate() {
        let shift = u32::try_from(i).ok()?.checked_mul(7)?;
        len |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            let rest = bytes.get(i.checked_add(1)?..)?;
            let len = usize::try_from(len).ok()?;
            return Some((rest.get(..len)?, rest.get(len..)?));
        }
    }
    None
}

fn word(bytes: &[u8], at: usize, size: usize, big: bool) -> Option<u64> {
    let raw = bytes.get(at..at.checked_add(size)?)?;
    if !matches!(size, 4 | 8) {
        return None;
    }
    let fold = |n: u64, b: &u8| (n << 8) | u64::from(*b);
    Some(if big { raw.iter().fold(0, fold) } else { raw.iter().rev().fold(0, fold) })
}

/// What the line table's names tell, where there is no build information.
fn line_table(bytes: &[u8]) -> Option<GoBuild> {
    LINE_TABLES.iter().find_map(|mark| {
        let big = mark.starts_with(b"\xff");
        let magic = mark.get(if big { 3 } else { 0 }).copied()?;
        memmem::find_iter(bytes, mark).take(64).find_map(|at| names_at(bytes, at, magic, big))
    })
}

fn names_at(bytes: &[u8], at: usize, magic: u8, big: bool) -> Option<GoBuild> {
    let table = bytes.get(at..)?;
    let (quantum, size) = (*table.get(6)?, usize::from(*table.get(7)?));
    if !matches!(quantum, 1 | 2 | 4) || !matches!(size, 4 | 8) {
        return None;
    }
    let field = |n: usize| {
        word(table, 8_usize.checked_add(n.checked_mul(size)?)?, size, big).and_then(|v| usize::try_from(v).ok())
    };
    // Which header fields hold the offsets of the function names, of the unit table behind them, of the
    // file names and of what follows those.
    let (version, names) = match magic {
        0xf1 => ("go1.20+", Some([3, 4, 5, 6])),
        0xf0 => ("go1.18+", Some([3, 4, 5, 6])),
        0xfa => ("go1.16+", Some([2, 3, 4, 5])),
        0xfb => ("go1.2+", None),
        _ => return None,
    };
    let functions = field(0)?;
    if functions == 0 || functions > table.len() {
        return None;
    }
    let (function_names, file_names) = if let Some(fields) = names {
        let [a, b, c, d] = fields.map(field);
        (table.get(a?..b?)?, table.get(c?..d?)?)
    } else {
        // Names and everything else lie mixed behind the table of functions.
        let rest = table.get(functions.checked_mul(size)?.checked_mul(2)?.min(table.len())..)?;
        (rest, rest)
    };
    let function_names = function_names.get(..MAX_NAMES).unwrap_or(function_names);
    let file_names = file_names.get(..MAX_NAMES).unwrap_or(file_names);
    let mut found = GoBuild { version: version.into(), from_line_table: true, ..GoBuild::default() };
    let deps = versions(file_names);
    found.module = main_module(function_names, &deps);
    found.deps = deps.into_iter().take(MAX_DEPS).collect();
    let module = |dep: &String| {
        let (path, version) = dep.split_once(' ').unwrap_or((dep, ""));
        Module { path: path.to_owned(), version: version.to_owned(), ..Module::default() }
    };
    found.modules = found.deps.iter().map(module).collect();
    Some(found)
}

/// `path version` of every module whose files lie in a module cache, or were named by `-trimpath`.
fn versions(files: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in memmem::find_iter(files, b"@v") {
        let start = memchr::memrchr(0, files.get(..at).unwrap_or_default()).map_or(0, |n| n.saturating_add(1));
        let path = files.get(start..at).unwrap_or_default();
        let rest = files.get(at.saturating_add(1)..).unwrap_or_default();
        let end = rest.iter().take(100).position(|b| *b == b'/' || *b == 0);
        let (Ok(path), Some(Ok(version))) =
            (std::str::from_utf8(path), end.and_then(|e| rest.get(..e)).map(std::str::from_utf8))
        else {
            continue;
        };
        let path = path.rsplit_once("/pkg/mod/").map_or(path, |(_, module)| module);
        if path.len() <= 300 && is_module(path) {
            // Capital letters stand as `!x` in the cache.
            let mut plain = String::with_capacity(path.len());
            let mut capital = false;
            for c in path.chars() {
                if c == '!' {
                    capital = true;
                } else {
                    plain.push(if capital { c.to_ascii_uppercase() } else { c });
                    capital = false;
                }
            }
            found.insert(format!("{plain} {version}"));
        }
        if found.len() >= MAX_DEPS {
            break;
        }
    }
    found
}

/// A path that begins with a host name.
fn is_module(path: &str) -> bool {
    let host = path.split('/').next().unwrap_or_default();
    host.contains('.')
        && !host.starts_with('.')
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        && path.bytes().all(|b| b.is_ascii_graphic())
}

/// The module with the most functions that is none of the dependencies.
fn main_module(functions: &[u8], deps: &BTreeSet<String>) -> String {
    let deps: Vec<&str> = deps.iter().filter_map(|d| d.split_once(' ').map(|(path, _)| path)).collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in functions.split(|b| *b == 0) {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        // Package path: up to the first dot behind the last slash (before type arguments and receivers).
        let plain = name.split(['[', '(', '{']).next().unwrap_or_default();
        let Some((folder, last)) = plain.rsplit_once('/') else {
            continue;
        };
        let package = last.split('.').next().unwrap_or_default();
        let end = folder.len().saturating_add(1).saturating_add(package.len());
        let package = plain.get(..end).unwrap_or_default();
        if package.len() > 300 || !is_module(package) || package.contains("/vendor/") || package.starts_with("type:") {
            continue;
        }
        let root = root(package);
        let within = |dep: &str| {
            dep.starts_with(root) || package.strip_prefix(dep).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        if package.starts_with("golang.org/x/") || deps.iter().any(|d| within(d)) {
            continue;
        }
        let n = counts.entry(root).or_default();
        *n = n.saturating_add(1);
        if counts.len() > MAX_DEPS {
            break;
        }
    }
    let most = counts.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    most.map(|(module, _)| (*module).to_owned()).unwrap_or_default()
}

/// The part of a package path that names a repository: three steps at the hosts that use an owner, else two.
fn root(package: &str) -> &str {
    let owner = ["github.com/", "gitlab.com/", "gitee.com/", "bitbucket.org/", "codeberg.org/"];
    let steps = if owner.iter().any(|o| package.starts_with(o)) { 3 } else { 2 };
    let end = package.match_indices('/').nth(steps - 1).map_or(package.len(), |(at, _)| at);
    // Names in the table write dots of the last step as %2e.
    package.get(..end).unwrap_or(package)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const MARK: [u8; 16] =
        [0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02, 0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18, 0xe6];
    const LIST: &str = "path\texample.com/crane/cmd/agent\nmod\texample.com/crane\tv1.2.3\th1:x=\n\
        dep\tgithub.com/z/mux\tv0.1.0\th1:y=\ndep\tgithub.com/a/b\tv2.0.0\n=>\t./b\t(devel)\t\nbuild\tGOOS=linux\n";

    fn list() -> Vec<u8> {
        [MARK.as_slice(), LIST.as_bytes(), MARK.as_slice()].concat()
    }
    fn check(found: &GoBuild, version: &str) {
        assert_eq!((found.version.as_str(), found.path.as_str()), (version, "example.com/crane/cmd/agent"));
        assert_eq!((found.module.as_str(), found.module_version.as_str()), ("example.com/crane", "v1.2.3"));
        assert_eq!(found.deps, ["github.com/a/b v2.0.0 => ./b (devel)", "github.com/z/mux v0.1.0"]);
        let told = |m: &Module| format!("{} {} {} [{}]", m.path, m.version, m.sum, m.replaced);
        let modules: Vec<String> = found.modules.iter().map(told).collect();
        assert_eq!(
            modules,
            [
                "example.com/crane v1.2.3 h1:x= []",
                "github.com/a/b v2.0.0  [./b (devel)]",
                "github.com/z/mux v0.1.0 h1:y= []"
            ]
        );
        assert_eq!(found.settings, ["GOOS=linux"]);
        assert!(!found.from_line_table);
    }

    #[test]
    fn inline_strings() {
        let mut bytes = vec![7; 100];
        bytes.extend(MAGIC);
        bytes.extend([8, 2]);
        bytes.extend([0; 16]);
        bytes.extend([8]);
        bytes.extend(b"go1.22.3");
        let list = list();
        bytes.push(u8::try_from(list.len() & 0x7f).unwrap() | 0x80);
        bytes.push(u8::try_from(list.len() >> 7).unwrap());
        bytes.extend(&list);
        check(&parse(&bytes, None).unwrap(), "go1.22.3");
        for end in 0..bytes.len() {
            let _ = parse(&bytes[..end], None);
        }
    }

    #[test]
    fn strings_behind_pointers_of_either_order() {
        for big in [false, true] {
            let word = |n: u64| if big { n.to_be_bytes() } else { n.to_le_bytes() };
            let list = list();
            let mut bytes = vec![0; 64];
            bytes.extend(MAGIC);
            bytes.extend([8, u8::from(big)]);
            bytes.extend(word(0x40_0100));
            bytes.extend(word(0x40_0110));
            bytes.resize(0x100, 0);
            bytes.extend(word(0x40_0200));
            bytes.extend(word(8));
            bytes.extend(word(0x40_0208));
            bytes.extend(word(list.len() as u64));
            bytes.resize(0x200, 0);
            bytes.extend(b"go1.16.2");
            bytes.extend(&list);
            let elf = Elf { segments: vec![(0x40_0000, 0, bytes.len() as u64)], ..Elf::default() };
            check(&parse(&bytes, Some(&elf)).unwrap(), "go1.16.2");
            assert_eq!(parse(&bytes, None), None);
        }
    }

    /// The Go command is a Go program; `go version -m` reads it too.
    #[test]
    fn agrees_with_go_itself_and_does_without_build_information() {
        let Ok(out) = std::process::Command::new("go").args(["env", "GOROOT"]).output() else {
            eprintln!("skipped: no Go on this machine");
            return;
        };
        let path = format!("{}/bin/go", String::from_utf8_lossy(&out.stdout).trim());
        let mut bytes = std::fs::read(&path).unwrap();
        let told = std::process::Command::new("go").args(["version", "-m", &path]).output().unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let elf = Elf::parse(&bytes);
        let found = parse(&bytes, elf.as_ref()).unwrap();
        assert_eq!(told.lines().next().unwrap(), format!("{path}: {}", found.version));
        assert!(told.contains(&format!("\tpath\t{}\n", found.path)));
        let settings = told.lines().filter_map(|l| l.strip_prefix("\tbuild\t")).count();
        assert_eq!(found.settings.len(), settings);
        while let Some(at) = memmem::find(&bytes, MAGIC) {
            bytes[at..at + 14].fill(0);
        }
        let wiped = parse(&bytes, elf.as_ref()).unwrap();
        assert!(wiped.from_line_table && wiped.version.starts_with("go1."), "{wiped:?}");
    }

    #[test]
    fn names_of_the_line_table_tell_the_module() {
        let functions = b"\0main.main\0runtime.main\0github.com/o/tool/client.(*T).Run\0github.com/o/tool/server.New\0\
            github.com/dep/mux.Dial\0golang.org/x/sys/unix.Open\0type:.eq.github.com/q/r.T\0";
        let files =
            b"/root/go/pkg/mod/github.com/dep/mux@v1.4.0/mux.go\0/src/tool/main.go\0github.com/!up/case@v0.1.0/a.go\0";
        let deps = versions(files);
        assert_eq!(deps.iter().collect::<Vec<_>>(), ["github.com/Up/case v0.1.0", "github.com/dep/mux v1.4.0"]);
        assert_eq!(main_module(functions, &deps), "github.com/o/tool");
        assert_eq!(main_module(b"main.main\0", &deps), "");
    }
}
