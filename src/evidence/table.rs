//! What a system is told to mount: lines of fstab(5) and mount units of systemd.mount(5).
use super::namespace::Namespace;
use super::system::System;
use super::tree::Entry;
use crate::base::{Gaps, Name};
use crate::format::unitfile;
use crate::fs::NodeKind;
use std::collections::BTreeMap;

/// Small files only: what identifies a system never is large.
pub(super) const SMALL: u64 = 1 << 20;
/// Lines of one system that are followed.
const MAX_LINES: usize = 10_000;

/// One mount as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) device: String,
    /// Absolute, without a slash at its end; `""` for the root.
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) options: Vec<String>,
    /// `fstab line 3`, or the unit's name.
    pub(super) by: String,
    /// The file it stands in.
    pub(super) path: Name,
    /// Words of the line; six are all.
    pub(super) fields: usize,
}

impl Line {
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
    /// The value of the last option of this name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find_map(|o| o.strip_prefix(name)?.strip_prefix('='))
    }
    pub(super) fn is_bind(&self) -> bool {
        self.has("bind") || self.has("rbind")
    }
    pub(super) fn is_overlay(&self) -> bool {
        matches!(self.kind.as_str(), "overlay" | "overlayfs")
    }
}

/// `\040` and its kin, as fstab(5) writes blanks.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Options apart: commas separate, but for those after a backslash and within double quotes.
pub(super) fn options(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted && !escaped => all.push(String::new()),
            other => {
                if let Some(last) = all.last_mut() {
                    last.push(other);
                }
            }
        }
        escaped = c == '\\' && !escaped;
    }
    all.retain(|o| !o.is_empty());
    all
}

fn mount_point(at: &str) -> Option<String> {
    let at = unescape(at);
    at.starts_with('/').then(|| at.trim_end_matches('/').to_owned())
}

/// The lines of `/etc/fstab`; what cannot be read is a gap.
pub(super) fn fstab(root: &System, gaps: &Gaps) -> Vec<Line> {
    let Some(entry) = root.resolve("/etc/fstab").filter(|e| e.is_file()) else { return Vec::new() };
    let here = gaps.at(|p| p.path = Some(Name::from("/etc/fstab")));
    let text = match root.read(entry, SMALL) {
        Ok(text) => text,
        Err(e) => {
            here.add("fstab", format!("not read: {e}; only the root is known of what this system mounts"), 0);
            return Vec::new();
        }
    };
    if text.truncated {
        here.add("fstab", format!("read to byte {SMALL} only"), entry.len().saturating_sub(SMALL));
    }
    let mut lines = Vec::new();
    for (number, line, _) in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(device), Some(at), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        if device.starts_with('#') {
            continue;
        }
        let Some(at) = mount_point(at) else { continue };
        if lines.len() >= MAX_LINES {
            here.add("fstab", format!("budget: {MAX_LINES} lines; the rest was not followed"), 0);
            break;
        }
        lines.push(Line {
            device: unescape(device),
            at,
            kind: kind.to_owned(),
            options: options(&unescape(words.next().unwrap_or_default())),
            by: format!("fstab line {number}"),
            path: entry.path.clone(),
            fields: line.split_whitespace().count(),
        });
    }
    lines
}

/// Folders of units, the strongest first.
const UNITS: &[&str] =
    &["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Mount units that something starts. One that nothing starts is a gap where it describes an overlay.
pub(super) fn units(root: &System, gaps: &Gaps) -> Vec<Line> {
    let mut files: BTreeMap<Vec<u8>, &Entry> = BTreeMap::new();
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for folder in UNITS {
        for entry in root.glob(&format!("{folder}/*.mount")) {
            files.entry(entry.path.file_name().to_vec()).or_insert(entry);
        }
        let starts = root.glob(&format!("{folder}/*.{{wants,requires,upholds}}/*.mount"));
        wanted.extend(starts.iter().map(|e| e.path.file_name().to_vec()));
    }
    let mut lines = Vec::new();
    for (name, entry) in files {
        let unit = Name::new(&name);
        let target = (entry.kind() == NodeKind::Symlink).then(|| root.resolve(entry.path.bytes())).flatten();
        let Some(file) = target.or(Some(entry)).filter(|e| e.is_file() && !e.is_empty()) else { continue };
        let here = gaps.at(|p| {
            p.filesystem = Some(file.fs);
            p.path = Some(file.path.clone());
        });
        let mut items = Vec::new();
        let dropins = UNITS.iter().flat_map(|f| root.glob(&format!("{f}/{unit}.d/*.conf")));
        let mut sorted: BTreeMap<Vec<u8>, &Entry> = BTreeMap::new();
        for one in dropins {
            sorted.entry(one.path.file_name().to_vec()).or_insert(one);
        }
        for one in std::iter::once(file).chain(sorted.into_values()) {
            match root.read(one, SMALL) {
                Ok(text) => items.extend(unitfile::parse(&text.bytes).items),
                Err(e) => here.add("mount units", format!("{}: not read: {e}", one.path), one.len()),
            }
        }
        let last = |key: &str| {
            let of = items.iter().rev().find(|i| i.section == "Mount" && i.key == key);
            of.map(|i| i.value.trim().replace("%%", "%")).unwrap_or_default()
        };
        let Some(at) = mount_point(&last("Where")) else { continue };
        let line = Line {
            device: last("What"),
            at,
            kind: last("Type"),
            options: options(&last("Options")),
            by: unit.display(),
            path: file.path.clone(),
            fields: 0,
        };
        if wanted.contains(&name) {
            if lines.len() < MAX_LINES {
                lines.push(line);
            }
        } else if line.is_overlay() {
            here.add("mount units", format!("an overlay at {}, which nothing starts at boot; not merged", line.at), 0);
        }
    }
    lines
}

/// Parts of `lowerdir=`: colons separate, a backslash takes their meaning; after `::` come layers for contents only.
pub(super) fn lower_dirs(text: &str) -> Vec<(String, bool)> {
    let mut all: Vec<(String, bool)> = Vec::new();
    let (mut part, mut data, mut escaped) = (String::new(), false, false);
    for c in text.chars().chain([':']) {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ':' if !escaped => {
                if part.is_empty() {
                    data = !all.is_empty();
                } else {
                    all.push((std::mem::take(&mut part), data));
                }
            }
            other => part.push(other),
        }
        escaped = false;
    }
    all
}

/// Enters the mounts that lie in memory only.
pub(super) fn memory(lines: &[Line], space: &mut Namespace) {
    for line in lines.iter().filter(|l| matches!(l.kind.as_str(), "tmpfs" | "ramfs")) {
        space.in_memory(line.at.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_layers_are_taken_apart() {
        assert_eq!(options("ro,lowerdir=/a\\,b:/c,\"x,y\""), ["ro", "lowerdir=/a\\,b:/c", "x,y"]);
        let lowers =
            |t| lower_dirs(t).into_iter().map(|(p, d)| format!("{p}{}", if d { "!" } else { "" })).collect::<Vec<_>>();
        assert_eq!(lowers("/a:/b\\:c::/d::/e"), ["/a", "/b:c", "/d!", "/e!"]);
        assert_eq!(lowers("/a"), ["/a"]);
        let line = Line { options: options("bind,subvol=a,subvol=b"), ..Line::default() };
        assert_eq!((line.is_bind(), line.value("subvol"), line.value("x")), (true, Some("b"), None));
    }
}
