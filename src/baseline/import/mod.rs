//! Lists of hashes that other tools made, one file a format. Each is read from end to end, in bounded memory, before
//! anything of it is used.
mod aide;
mod csv;
mod cyclonedx;
mod hashdeep;
mod mtree;
mod nsrl;
mod spdx;
mod sums;

use super::file::BaselineError;
use super::gather::Hashes;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// A format of lists.
pub struct Importer {
    pub name: &'static str,
    pub about: &'static str,
    /// What of a list a set does not keep.
    pub limits: &'static str,
    /// Whether a file is of this format, by its first bytes.
    probe: fn(&[u8]) -> bool,
    read: fn(&Path, &mut Each<'_>) -> Result<(), Fault>,
}

/// Every format, in the order in which a file is tried.
pub const ALL: &[Importer] = &[
    nsrl::IMPORTER,
    hashdeep::IMPORTER,
    aide::IMPORTER,
    cyclonedx::IMPORTER,
    spdx::IMPORTER,
    spdx::TAG_VALUE,
    mtree::IMPORTER,
    sums::IMPORTER,
    csv::IMPORTER,
];

/// Takes an entry of a list; its own failures are of the machine.
pub type Each<'a> = dyn FnMut(&Hashes) -> io::Result<()> + 'a;

/// Why a list is not taken.
#[derive(Debug)]
pub enum Fault {
    /// It is not as its format has it: line (0 for the whole) and words.
    List(u64, String),
    /// This machine: a full disk.
    Machine(io::Error),
}
impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Self::Machine(e)
    }
}

/// Bytes that a format is known by.
const HEAD: u64 = 64 << 10;
/// Longest line.
const LONGEST: u64 = 1 << 20;
/// Longest document that must be in memory as a whole.
const MOST_WHOLE: u64 = 1 << 30;

/// The format of a file: the one that is asked for, or the first that knows its beginning.
pub fn of(path: &Path, asked: Option<&str>) -> Result<&'static Importer, BaselineError> {
    let fail = |what: String| BaselineError { file: path.display().to_string(), line: 0, what };
    let names = || ALL.iter().map(|i| i.name).collect::<Vec<_>>().join(", ");
    if let Some(asked) = asked {
        return ALL
            .iter()
            .find(|i| i.name == asked)
            .ok_or_else(|| fail(format!("no format {asked}; there are: {}", names())));
    }
    let unread = |e: io::Error| fail(format!("cannot be read: {e}"));
    let mut head = Vec::new();
    open(path).map_err(unread)?.take(HEAD).read_to_end(&mut head).map_err(unread)?;
    ALL.iter().find(|i| (i.probe)(&head)).ok_or_else(|| {
        let found: String = String::from_utf8_lossy(&head).chars().take(60).collect();
        let found = found.lines().next().unwrap_or_default();
        fail(format!("no list that is known; it begins with {found:?}; there are: {}", names()))
    })
}

impl Importer {
    /// Reads a list.
    pub fn read(&self, path: &Path, each: &mut Each<'_>) -> Result<(), Fault> {
        (self.read)(path, each)
    }
}

/// Opens a list, unpacked where it is gzip.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let n = file.read(&mut magic)?;
    let file = File::open(path)?;
    Ok(if n == 2 && magic == [0x1f, 0x8b] {
        Box::new(BufReader::with_capacity(1 << 16, flate2::read::MultiGzDecoder::new(BufReader::new(file))))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, file))
    })
}

/// Reads line by line, without line ends; `each` gets the number of a line, its bytes, and whether to go on is its word.
fn lines(path: &Path, each: &mut dyn FnMut(u64, &[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let unread = |line: u64, e: &io::Error| Fault::List(line, format!("cannot be read: {e}"));
    let mut from = open(path).map_err(|e| unread(0, &e))?;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let n = from.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(|e| unread(number, &e))?;
        if n == 0 {
            break;
        }
        if n as u64 == LONGEST && !line.ends_with(b"\n") {
            return Err(Fault::List(number, format!("the line is longer than {LONGEST} bytes")));
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        each(number, text.strip_suffix(b"\r").unwrap_or(text))?;
    }
    Ok(())
}

/// A JSON document.
fn json(path: &Path) -> Result<serde_json::Value, Fault> {
    let mut text = Vec::new();
    let read = open(path).and_then(|from| from.take(MOST_WHOLE).read_to_end(&mut text));
    let n = read.map_err(|e| Fault::List(0, format!("cannot be read: {e}")))?;
    if n as u64 == MOST_WHOLE {
        return Err(Fault::List(0, format!("longer than {MOST_WHOLE} bytes")));
    }
    serde_json::from_slice(&text).map_err(|e| Fault::List(e.line() as u64, format!("not JSON: {e}")))
}

/// Whether the head begins as a JSON object that names this key.
fn is_json_with(head: &[u8], key: &str) -> bool {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('{') && text.contains(&format!("\"{key}\""))
}

/// The name of a kind of hash as lists write it: `SHA-256`, `sha256digest`, `SHA256`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Sha256,
    Sha1,
    Md5,
}
fn named(name: &str) -> Option<Named> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    Some(match plain.trim_end_matches("digest").trim_end_matches("hash") {
        "sha256" => Named::Sha256,
        "sha1" => Named::Sha1,
        "md5" => Named::Md5,
        _ => return None,
    })
}

/// Takes a value of a named kind; `false` if it is no value of that kind.
fn take(hashes: &mut Hashes, kind: Named, hex: &str) -> bool {
    let mut other = Hashes::default();
    let fits = other.set_hex(hex);
    match kind {
        Named::Sha256 if fits && other.sha256.is_some() => hashes.sha256 = other.sha256,
        Named::Sha1 if fits && other.sha1.is_some() => hashes.sha1 = other.sha1,
        Named::Md5 if fits && other.md5.is_some() => hashes.md5 = other.md5,
        _ => return false,
    }
    true
}

/// Refuses a list without one usable entry: its format was mistaken, or it has other hashes only.
fn some(found: bool, expected: &str) -> Result<(), Fault> {
    if found { Ok(()) } else { Err(Fault::List(0, format!("no entry in it: expected {expected}"))) }
}

#[cfg(test)]
mod tests;
