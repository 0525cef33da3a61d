//! Which crates a Rust program was built from, by the source paths in its panic messages.
//!
//! The compiler writes `…/registry/src/INDEX-HASH/NAME-VERSION/src/FILE.rs` (or, for vendored crates,
//! `NAME-VERSION/src/FILE.rs`) for every place that may panic; stripping does not remove it.
use super::elf;
use flate2::read::ZlibDecoder;
use memchr::memmem;
use std::collections::BTreeSet;
use std::io::Read as _;

/// Crates kept of one program.
const MAX_CRATES: usize = 1000;
/// Occurrences looked at in one file.
const MAX_HITS: usize = 2_000_000;
/// Longest folder name looked at.
const MAX_NAME: usize = 128;

/// Strings of which every Rust program that kept its panic messages has at least one.
pub const MARKS: &[&str] = &["/registry/src/", "library/core/src/", "library/std/src/", "library/alloc/src/"];

/// Longest list of a program, decoded; real ones have some kilobytes.
const MAX_LIST: u64 = 8 << 20;

/// A crate as cargo-auditable lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// crates.io, git, local, registry.
    pub source: String,
}

/// What the section `.dep-v0` lists (the format of cargo-auditable: JSON, compressed by zlib), sorted; `None` where there
/// is no such section. The error says what is wrong with it.
pub fn audited(bytes: &[u8]) -> Option<Result<Vec<Crate>, String>> {
    memmem::find(bytes, b".dep-v0")?;
    let sections = elf::sections(bytes);
    let (_, packed) = sections.iter().find(|(name, _)| name == b".dep-v0")?;
    Some(listed(packed))
}

fn listed(packed: &[u8]) -> Result<Vec<Crate>, String> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MAX_LIST).read_to_end(&mut text).map_err(|e| e.to_string())?;
    let list: serde_json::Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let packages = list.get("packages").and_then(|p| p.as_array()).ok_or("it lists no packages")?;
    let text = |package: &serde_json::Value, key: &str| {
        package.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
    };
    let one =
        |p: &serde_json::Value| Crate { name: text(p, "name"), version: text(p, "version"), source: text(p, "source") };
    let mut all: Vec<Crate> = packages.iter().take(MAX_CRATES).map(one).filter(|c| !c.name.is_empty()).collect();
    all.sort();
    Ok(all)
}

/// `name version`, sorted.
pub fn parse(bytes: &[u8]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for at in memmem::find_iter(bytes, b"/src/").take(MAX_HITS) {
        let from = at.saturating_sub(MAX_NAME);
        let Some(folder) = bytes.get(from..at) else {
            continue;
        };
        let start = folder.iter().rposition(|b| !is_part(*b)).map_or(0, |n| n.saturating_add(1));
        let Some(text) = folder.get(start..).and_then(|f| std::str::from_utf8(f).ok()) else {
            continue;
        };
        // Panic paths lie back to back: what stands before, without a slash, belongs to another string.
        let bounded = start > 0 || from == 0;
        if !bounded || !is_source(bytes, at.saturating_add(5)) {
            continue;
        }
        if let Some(name) = name_and_version(text) {
            found.insert(name);
            if found.len() >= MAX_CRATES {
                break;
            }
        }
    }
    found.into_iter().collect()
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+')
}

/// Whether a path to a Rust source follows: `lib.rs`, `net/tcp.rs`.
fn is_source(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let rest = rest.get(..200).unwrap_or(rest);
    let end = rest.iter().position(|b| !(is_part(*b) || *b == b'/')).unwrap_or(rest.len());
    memmem::find(rest.get(..end).unwrap_or_default(), b".rs").is_some()
}

fn name_and_version(folder: &str) -> Option<String> {
    // The version begins behind the first hyphen that a digit and, further on, two dots follow.
    for (at, _) in folder.match_indices('-') {
        let (name, version) = (folder.get(..at)?, folder.get(at.checked_add(1)?..)?);
        let mut numbers = version.splitn(3, '.');
        let whole = |n: Option<&str>| n.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if whole(numbers.next())
            && whole(numbers.next())
            && numbers.next().is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b != b'.' && b != b'+')
        {
            return Some(format!("{name} {version}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_registry_and_vendored_paths() {
        let blob = b"\0/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/runtime/mod.rs\
            /home/u/.cargo/registry/src/github.com-1ecc6299db9ec823/bore-cli-0.6.0/src/client.rs\
            vendor/sha2-0.11.0-rc.2+x/src/lib.rs /usr/src/linux-6.1/src/main.c foo-1.2/src/x.rs";
        assert_eq!(parse(blob), ["bore-cli 0.6.0", "sha2 0.11.0-rc.2+x", "tokio 1.54.1"]);
        assert!(parse(b"/src//src/-1.2.3/src/a.rs").is_empty());
    }

    /// A section put into a program by objcopy, as cargo-auditable's linker does it.
    #[test]
    fn the_list_of_cargo_auditable() {
        use std::io::Write as _;
        let pack = |text: &str| {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            assert!(to.write_all(text.as_bytes()).is_ok());
            to.finish().unwrap_or_default()
        };
        let text = r#"{"packages":[{"name":"tokio","version":"1.2.3","source":"crates.io","dependencies":[1]},
            {"name":"agent","version":"0.1.0","source":"local","root":true},{"version":"9"}]}"#;
        let expected = [("agent", "0.1.0", "local"), ("tokio", "1.2.3", "crates.io")];
        let told = |all: Vec<Crate>| all.into_iter().map(|c| (c.name, c.version, c.source)).collect::<Vec<_>>();
        let expected: Vec<_> =
            expected.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect();
        assert_eq!(listed(&pack(text)).map(told), Ok(expected.clone()));
        assert!(listed(&pack("[1")).is_err() && listed(b"no zlib").is_err() && listed(&pack("{}")).is_err());
        assert!(audited(b"\x7fELF and .dep-v0 in a text").is_none());
        let Ok(dir) = tempfile::tempdir() else { panic!("no folder") };
        let (section, program) = (dir.path().join("s"), dir.path().join("p"));
        assert!(std::fs::write(&section, pack(text)).is_ok());
        let add = format!(".dep-v0={}", section.display());
        let done =
            std::process::Command::new("objcopy").args(["--add-section", &add, "/bin/true"]).arg(&program).status();
        if !done.is_ok_and(|d| d.success()) {
            eprintln!("skipped: no objcopy on this machine");
            return;
        }
        let bytes = std::fs::read(&program).unwrap_or_default();
        assert_eq!(audited(&bytes).map(|r| r.map(told)), Some(Ok(expected)));
    }

    #[test]
    fn finds_the_crates_of_this_very_test() {
        let own = std::fs::read(std::env::current_exe().unwrap_or_default()).unwrap_or_default();
        let crates = parse(&own);
        assert!(crates.iter().any(|c| c.starts_with("memchr 2.")), "{crates:?}");
        assert!(crates.iter().any(|c| c.starts_with("goblin 0.10")), "{crates:?}");
    }
}
