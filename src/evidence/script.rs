//! Mounts that an init script of the root makes before the real init runs: Yocto's `overlayfs-etc` (`/sbin/preinit`),
//! and scripts of a vendor's own. Only plain `mount` commands, with variables that the script itself sets.
use super::system::System;
use super::table::{Line, SMALL, options};
use crate::base::{Gaps, Name};
use std::collections::BTreeMap;

/// Scripts that run in place of init, or right before it.
const SCRIPTS: &[&str] = &[
    "/sbin/preinit",
    "/sbin/init",
    "/sbin/init.sh",
    "/init",
    "/sbin/overlay-init",
    "/sbin/init-overlay.sh",
    "/usr/sbin/init-overlays",
];
/// Mounts of one script.
const MAX_LINES: usize = 200;

pub(super) fn lines(root: &System, gaps: &Gaps) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    let mut seen = Vec::new();
    for path in SCRIPTS {
        let Some(entry) = root.resolve(path).filter(|e| e.is_file() && e.len() <= SMALL) else { continue };
        if seen.contains(&entry.path) {
            continue;
        }
        seen.push(entry.path.clone());
        let here = gaps.at(|p| {
            p.filesystem = Some(entry.fs);
            p.path = Some(entry.path.clone());
        });
        // A program is recognised by its first bytes, so that it is not read whole.
        let head = root.open(entry).map_err(|e| e.to_string()).and_then(|s| {
            let mut head = [0; 2];
            s.read_at(0, &mut head).map(|_| head).map_err(|e| e.to_string())
        });
        match head {
            Ok(head) if &head == b"#!" => {}
            Ok(_) => continue,
            Err(e) => {
                here.add("layers", format!("not read: {e}"), entry.len());
                continue;
            }
        }
        match root.read(entry, SMALL) {
            Ok(text) => all.extend(of(&text.text(), &entry.path, &here)),
            Err(e) => here.add("layers", format!("not read: {e}"), entry.len()),
        }
    }
    all
}

fn of(text: &str, path: &Name, gaps: &Gaps) -> Vec<Line> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut all = Vec::new();
    let joined = text.replace("\\\n", " ");
    for (number, line) in (1..).zip(joined.lines()) {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let assignment =
            line.trim_start_matches("export ").trim_start_matches("local ").trim_start_matches("readonly ");
        if let Some((name, value)) = assignment.split_once('=')
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            let words = words(value);
            let value = words.first().and_then(|v| expand(v, &variables)).filter(|_| words.len() <= 1);
            match value.or_else(|| value_of_nothing(&words)) {
                Some(value) => drop(variables.insert(name.to_owned(), value)),
                None => drop(variables.remove(name)),
            }
            continue;
        }
        for command in line.split([';', '|', '&']) {
            let all_words = words(command);
            let Some(at) = all_words
                .iter()
                .position(|w| matches!(w.as_str(), "mount" | "/bin/mount" | "/usr/bin/mount" | "/sbin/mount"))
            else {
                continue;
            };
            let by = format!("{path} line {number}");
            let rest = all_words.get(at.saturating_add(1)..).unwrap_or_default();
            match mount(rest, &variables, &by, path) {
                Some(line) if all.len() < MAX_LINES => all.push(line),
                Some(_) => return all,
                None if command.contains("overlay") => {
                    gaps.add(
                        "layers",
                        format!("line {number}: an overlay whose folders the script works out as it runs; not merged"),
                        0,
                    );
                }
                None => {}
            }
        }
    }
    all
}

/// An assignment of nothing is an empty value.
fn value_of_nothing(words: &[String]) -> Option<String> {
    words.is_empty().then(String::new)
}

/// `mount -t TYPE -o OPTIONS DEVICE FOLDER`.
fn mount(words: &[String], variables: &BTreeMap<String, String>, by: &str, path: &Name) -> Option<Line> {
    let mut line = Line { by: by.to_owned(), path: path.clone(), fields: 6, ..Line::default() };
    let mut plain = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-t" => line.kind = expand(rest.next()?, variables)?,
            "-o" => line.options.extend(options(&expand(rest.next()?, variables)?)),
            "--bind" | "-B" => line.options.push("bind".to_owned()),
            "--rbind" | "-R" => line.options.push("rbind".to_owned()),
            "--move" | "-M" => return None,
            w if w.starts_with(['>', '<']) || w.starts_with("2>") => break,
            w => match (w.strip_prefix("-t"), w.strip_prefix("-o")) {
                (Some(kind), _) if !kind.is_empty() => line.kind = expand(kind, variables)?,
                (_, Some(given)) if !given.is_empty() => line.options.extend(options(&expand(given, variables)?)),
                _ if w.starts_with('-') => {}
                _ => plain.push(expand(w, variables)?),
            },
        }
    }
    let [device, at] = plain.as_slice() else { return None };
    if !at.starts_with('/') || line.options.iter().any(|o| o == "remount") {
        return None;
    }
    line.device.clone_from(device);
    at.trim_end_matches('/').clone_into(&mut line.at);
    (!line.at.is_empty()).then_some(line)
}

/// Words apart, quotes removed; what stands behind `#` is a remark.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let (mut word, mut open, mut quote) = (String::new(), false, None);
    for c in text.chars().chain([' ']) {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                open = true;
            }
            ('#', None) if !open => break,
            (c, None) if c.is_whitespace() => {
                if open {
                    all.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (c, _) => {
                word.push(c);
                open = true;
            }
        }
    }
    all
}

/// `$NAME` and `${NAME}` replaced; `None` where a value is not known or is the result of a command.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '`']) {
        out.push_str(rest.get(..at)?);
        rest = rest.get(at..)?.strip_prefix('$')?;
        let name = if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}')?;
            rest = inner.get(end.saturating_add(1)..)?;
            inner.get(..end)?
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let name = rest.get(..end)?;
            rest = rest.get(end..)?;
            name
        };
        let (name, fallback) = name.split_once(":-").map_or((name, None), |(n, f)| (n, Some(f)));
        let value =
            variables.get(name).map(String::as_str).filter(|v| !v.is_empty() || fallback.is_none()).or(fallback)?;
        out.push_str(value);
        if out.len() > 65_536 {
            return None;
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_of_a_script_are_read_with_its_own_variables() {
        let text = "#!/bin/sh
# mount -t overlay a /b
echo \"PREINIT: Start\"
DATA=\"/data\"
UPPER=${DATA}/overlay-etc/upper
WORK=$DATA/overlay-etc/work
mkdir -p $DATA
if mount -n -o defaults,noatime -t ext4 /dev/mmcblk0p3 $DATA; then
    mkdir -p $UPPER
    mount -n -t overlay \\
        -o upperdir=$UPPER \\
        -o lowerdir=/etc -o workdir=$WORK,index=off $UPPER /etc || echo failed
fi
mount -o remount,rw /
mount -t proc proc /proc
mount --bind /data/home /home
";
        let gaps = Gaps::default();
        let told: Vec<String> = of(text, &Name::from("/sbin/preinit"), &gaps)
            .into_iter()
            .map(|l| format!("{} {} {} {}", l.device, l.at, l.kind, l.options.join(",")))
            .collect();
        let expected = [
            "/dev/mmcblk0p3 /data ext4 defaults,noatime",
            "/data/overlay-etc/upper /etc overlay upperdir=/data/overlay-etc/upper,lowerdir=/etc,workdir=/data/overlay-etc/work,index=off",
            "proc /proc proc ",
            "/data/home /home  bind",
        ];
        assert_eq!(told, expected);
        assert_eq!(gaps.take(), []);
        let unknown = "X=$(blkid -L data)\nmount -t overlay -o lowerdir=/,upperdir=$X/up,workdir=$X/w o /mnt\n";
        assert_eq!(of(unknown, &Name::from("/init"), &gaps), []);
        assert_eq!(gaps.take().len(), 1);
    }
}
