//! Registry hives of a Windows system: found whatever the case of their paths, opened with the transaction logs beside
//! them, and cited byte by byte, in the hive or in the log that has the byte.
use super::system::System;
use super::tree::Entry;
use crate::base::{Evidence, Run};
use crate::format::hive::{Fault, Hive, Key, MAX_HIVE, MAX_LOG, Value, is_hive, kinds, string, strings};
use crate::fs::FsError;
use std::sync::OnceLock;

/// Folders of Windows, by their usual names.
const WINDOWS: &[&str] = &["/windows", "/winnt"];
/// Folders that hold the users' own.
const USERS: &[&str] = &["/users", "/documents and settings"];
/// Longest text of a value that is shown beside a row.
const EXCERPT: usize = 300;
/// Bytes of a value's text that are read.
const TEXT: usize = 8 << 10;

/// What a hive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    System,
    Software,
    /// Settings of this user.
    User(String),
    /// Something else; the name of its file.
    Other(String),
}
impl Holds {
    /// Where the running system has it.
    pub fn at(&self) -> String {
        match self {
            Self::System => r"HKLM\SYSTEM".to_owned(),
            Self::Software => r"HKLM\SOFTWARE".to_owned(),
            Self::User(name) => format!(r"HKU\{name}"),
            Self::Other(name) => name.clone(),
        }
    }
}

/// What happened to a file on the way: the file, the byte in it, what, and how many bytes it covers.
type Tell<'t> = dyn FnMut(&Entry, Option<u64>, String, u64) + 't;

/// The hives that tell of programs and devices, in the order of their paths.
pub fn hives(system: &System) -> Vec<(&Entry, Holds)> {
    let mut found: Vec<(&Entry, Holds)> = Vec::new();
    let mut add = |path: String, holds: Holds| {
        if let Some(entry) = system.folded(&path).filter(|e| e.is_file())
            && !found.iter().any(|(e, _)| e.path == entry.path)
        {
            found.push((entry, holds));
        }
    };
    let user = |name: &str| Holds::User(name.to_owned());
    for windows in WINDOWS {
        add(format!("{windows}/system32/config/system"), Holds::System);
        add(format!("{windows}/system32/config/software"), Holds::Software);
        add(format!("{windows}/system32/config/default"), user(".DEFAULT"));
        for service in ["LocalService", "NetworkService"] {
            add(format!("{windows}/serviceprofiles/{service}/ntuser.dat"), user(service));
        }
    }
    for users in USERS {
        let Some(folder) = system.folded(users) else { continue };
        let prefix = folder.path.join(b"");
        let prefix = prefix.bytes();
        let inside = system.below(prefix).filter(|e| e.is_dir());
        for home in inside.filter(|e| e.path.bytes().get(prefix.len()..).is_some_and(|rest| !rest.contains(&b'/'))) {
            let name = String::from_utf8_lossy(home.path.file_name()).into_owned();
            add(format!("{}/ntuser.dat", home.path.lossy()), user(&name));
        }
    }
    // Hives that were brought by themselves; what they hold, they tell.
    if !system.info.partial.is_empty() {
        for entry in alone(system.entries()) {
            if begins_as_hive(system.open(entry)) {
                found.push((entry, Holds::Other(String::from_utf8_lossy(entry.path.file_name()).into_owned())));
            }
        }
    }
    found.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    found
}

/// A hive with its logs, as files of a system.
pub struct Registry<'a> {
    pub hive: Hive,
    pub holds: Holds,
    pub root: Option<Key>,
    system: &'a System,
    /// The hive, then its logs.
    files: Vec<(&'a Entry, OnceLock<Evidence>)>,
}

impl<'a> Registry<'a> {
    /// Reads a hive and its logs. What stands in the way is told.
    pub fn open(system: &'a System, entry: &'a Entry, holds: Holds, tell: &mut Tell<'_>) -> Option<Self> {
        let bytes = read(system, entry, MAX_HIVE, "hive", tell)?;
        let mut files = vec![entry];
        let mut logs = Vec::new();
        for extension in ["LOG", "LOG1", "LOG2"] {
            let path = format!("{}.{extension}", entry.path.lossy());
            if let Some(log) = system.folded(&path).filter(|e| e.is_file())
                && let Some(bytes) = read(system, log, MAX_LOG, "transaction log", tell)
            {
                files.push(log);
                logs.push(bytes);
            }
        }
        let hive = match Hive::open(bytes, &logs) {
            Ok(hive) => hive,
            Err(why) => {
                tell(entry, Some(0), format!("registry hive not read: {why}"), entry.len());
                return None;
            }
        };
        let root = hive.root();
        let holds = match (holds, &root) {
            (Holds::Other(name), Some(root)) => {
                let has = |name: &str| hive.subkey(root, name).is_some();
                if has("Select") && (has("ControlSet001") || has("ControlSet002")) {
                    Holds::System
                } else if has("Microsoft") && has("Classes") {
                    Holds::Software
                } else if has("Software") && has("Environment") {
                    Holds::User(name)
                } else {
                    Holds::Other(name)
                }
            }
            (holds, _) => holds,
        };
        Some(Self { hive, holds, root, system, files: files.into_iter().map(|e| (e, OnceLock::new())).collect() })
    }
    pub fn system(&self) -> &'a System {
        self.system
    }
    /// The file that a fault names.
    pub fn file(&self, fault: &Fault) -> Option<&'a Entry> {
        self.files.get(fault.file).map(|(e, _)| *e)
    }
    /// The key at a path from the root on.
    pub fn key(&self, path: &str) -> Option<Key> {
        self.hive.find(self.root.as_ref()?, path)
    }
    /// A value of a key as text: of type SZ or EXPAND_SZ, or a number in decimal.
    pub fn text(&self, key: &Key, name: &str) -> Option<String> {
        self.hive.value(key, name).and_then(|v| self.shown(&v)).filter(|t| !t.is_empty())
    }
    /// A value as text, whatever its type; `None` for bytes that are none.
    pub fn shown(&self, value: &Value) -> Option<String> {
        let data = self.data(value);
        Some(match value.kind {
            kinds::SZ | kinds::EXPAND_SZ | kinds::LINK => string(&data),
            kinds::MULTI_SZ => strings(&data).join(", "),
            kinds::DWORD => u32::from_le_bytes(*data.first_chunk()?).to_string(),
            kinds::QWORD => u64::from_le_bytes(*data.first_chunk()?).to_string(),
            _ => return None,
        })
    }
    fn data(&self, value: &Value) -> Vec<u8> {
        let is_text = matches!(value.kind, kinds::SZ | kinds::EXPAND_SZ | kinds::LINK | kinds::MULTI_SZ);
        if is_text && value.len as usize > TEXT {
            self.hive.tell_cut(value, TEXT);
        }
        self.hive.data(value, TEXT)
    }
    pub fn texts(&self, key: &Key, name: &str) -> Vec<String> {
        let Some(value) = self.hive.value(key, name) else { return Vec::new() };
        let data = self.data(&value);
        let all = if value.kind == kinds::MULTI_SZ { strings(&data) } else { vec![string(&data)] };
        all.into_iter().filter(|t| !t.is_empty()).collect()
    }
    pub fn number(&self, key: &Key, name: &str) -> Option<u32> {
        let value = self.hive.value(key, name).filter(|v| matches!(v.kind, kinds::DWORD | kinds::BINARY))?;
        self.hive.data(&value, 4).first_chunk().map(|b| u32::from_le_bytes(*b))
    }
    /// A key as evidence: its cell, and when it was changed.
    pub fn of_key(&self, path: &str, key: &Key) -> Evidence {
        let excerpt = key.written.map(|t| format!("last written {t}"));
        Evidence { excerpt, ..self.evidence(key.run, path) }
    }
    /// A value as evidence: the bytes of its data, or those of the value where it has none.
    pub fn of_value(&self, path: &str, value: &Value) -> Evidence {
        let run = self.hive.data_run(value).unwrap_or(value.run);
        let name = if value.name.is_empty() { "(default)".to_owned() } else { value.name.lossy().into_owned() };
        let excerpt = self.shown(value).map(|t| t.chars().take(EXCERPT).collect());
        Evidence { excerpt, ..self.evidence(run, &format!(r"{path}\{name}")) }
    }
    fn evidence(&self, run: Run, path: &str) -> Evidence {
        let (number, run) = self.hive.lies(run);
        let Some((entry, whole)) = self.files.get(number) else { return Evidence::default() };
        let part = whole.get_or_init(|| self.system.evidence(entry)).part(run);
        Evidence { key: Some(format!(r"{}\{path}", self.holds.at())), ..part }
    }
}

fn read(system: &System, entry: &Entry, limit: u64, what: &str, tell: &mut Tell<'_>) -> Option<Vec<u8>> {
    let text: Result<_, FsError> = system.read(entry, limit);
    match text {
        Ok(text) => {
            if text.truncated {
                let rest = entry.len().saturating_sub(limit);
                tell(entry, Some(limit), format!("budget: {what}; read to byte {limit} only"), rest);
            } else if (text.bytes.len() as u64) < entry.len() {
                let at = text.bytes.len() as u64;
                tell(entry, Some(at), format!("{what}: its bytes end here"), entry.len().saturating_sub(at));
            }
            Some(text.bytes)
        }
        Err(e) => {
            tell(entry, None, format!("{what} not read: {e}"), entry.len());
            None
        }
    }
}

/// Files at the top of a folder of which the first bytes are looked at.
const MAX_ALONE: usize = 500;

/// Files at the top that are long enough for a hive.
pub(super) fn alone(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let is_top = |e: &&Entry| e.path.bytes().iter().rposition(|b| *b == b'/') == Some(0);
    entries.iter().filter(|e| !e.deleted && e.is_file() && e.len() >= 4096).filter(is_top).take(MAX_ALONE)
}

/// Whether a file begins as a hive does, and not as the log of one; what cannot be read does not.
pub(super) fn begins_as_hive(source: Result<crate::image::Source, FsError>) -> bool {
    let is = |head: Vec<u8>| is_hive(&head) && head.get(28..32) == Some(&[0; 4]);
    source.is_ok_and(|s| crate::image::read_exact(&*s, 0, 32).ok().flatten().is_some_and(is))
}
