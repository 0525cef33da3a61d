//! Kernel command lines, as boot loaders hold them: GRUB, the Boot Loader Specification, syslinux and extlinux,
//! the Raspberry Pi's `cmdline.txt`, U-Boot's environment as text or as its own block. The rows of the inventory are
//! the artifact's (`linux.kernel-cmdline`); here they tell what a system is made of.
use super::identify::Candidate;
use super::table::SMALL;
use super::tree::Entry;
use crate::base::{Gaps, Name};
use std::collections::BTreeMap;

/// One command line.
#[derive(Clone, Debug, Default)]
pub(super) struct BootLine {
    /// The image whose file system holds it.
    pub(super) image: u32,
    /// Position of the candidate that holds it.
    pub(super) candidate: usize,
    pub(super) path: Name,
    pub(super) parameters: Vec<(String, String)>,
    /// The entry that is started if nobody chooses another.
    pub(super) default: bool,
}

impl BootLine {
    /// The value of the last parameter of this name; `""` for one without a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// The part of a file system that `rootflags=` names: `subvol=` or `subvolid=`, as options.
    pub(super) fn root_options(&self) -> Vec<String> {
        self.get("rootflags").map(super::table::options).unwrap_or_default()
    }
}

/// What boot loaders remember: which slot is to be tried next.
#[derive(Clone, Debug, Default)]
pub(super) struct BootState {
    pub(super) image: u32,
    pub(super) path: Name,
    pub(super) values: BTreeMap<String, String>,
}

/// Command lines of one examination; more is an attack.
const MAX_LINES: usize = 2_000;
/// Where boot loaders keep their texts, as ends of paths.
const TEXTS: &[&[u8]] = &[
    b"/grub.cfg",
    b"/extlinux.conf",
    b"/syslinux.cfg",
    b"/isolinux.cfg",
    b"/live.cfg",
    b"/txt.cfg",
    b"/cmdline.txt",
    b"/uEnv.txt",
    b"/armbianEnv.txt",
    b"/extraEnv.txt",
    b"/boot.cmd",
    b"/boot.scr",
    b"/etc/kernel/cmdline",
    b"/loopback.cfg",
];
const ENVIRONMENTS: &[&[u8]] =
    &[b"/grubenv", b"/uboot.env", b"/uboot-redund.env", b"/mender_grubenv1/env", b"/mender_grubenv2/env"];

/// Parameters of a command line: blanks separate, double quotes hold them together.
pub(super) fn parameters(line: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in line.chars().chain([' ']) {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    let whole = std::mem::take(&mut word);
                    let (name, value) = whole.split_once('=').unwrap_or((&whole, ""));
                    all.push((name.to_owned(), value.to_owned()));
                }
            }
            other => word.push(other),
        }
    }
    all
}

/// All command lines and what loaders remember, of all file systems, in their order.
pub(super) fn all(candidates: &[Candidate<'_>], gaps: &Gaps) -> (Vec<BootLine>, Vec<BootState>) {
    let (mut lines, mut states) = (Vec::new(), Vec::new());
    let unused = super::copies::unused(candidates);
    for (number, candidate) in candidates.iter().enumerate() {
        let image = candidate.volume.image;
        for entry in candidate.tree.entries.iter().filter(|e| !e.deleted && e.is_file()) {
            let path = entry.path.bytes();
            let ends = |list: &[&[u8]]| list.iter().any(|t| path.ends_with(t));
            let bls = path.ends_with(b".conf") && entry.path.parent().ends_with(b"/loader/entries");
            if !ends(TEXTS) && !ends(ENVIRONMENTS) && !bls {
                continue;
            }
            if unused.contains(&(candidate.tree.id, entry.node)) {
                continue;
            }
            let Some(bytes) = small(candidate, entry, gaps) else { continue };
            if ends(ENVIRONMENTS) {
                states.push(BootState { image, path: entry.path.clone(), values: environment(&bytes) });
            }
            let text = String::from_utf8_lossy(&bytes);
            for (parameters, default) in command_lines(path, &text, bls) {
                if lines.len() >= MAX_LINES {
                    gaps.add("boot", format!("budget: {MAX_LINES} kernel command lines; the rest was not read"), 0);
                    return (lines, states);
                }
                let path = entry.path.clone();
                lines.push(BootLine { image, candidate: number, path, parameters, default });
            }
        }
    }
    (lines, states)
}

fn small(candidate: &Candidate<'_>, entry: &Entry, gaps: &Gaps) -> Option<Vec<u8>> {
    let gaps = gaps.at(|p| {
        p.filesystem = Some(candidate.tree.id);
        p.path = Some(entry.path.clone());
        p.inode = Some(entry.node.number);
    });
    let read = candidate.tree.open(entry).map_err(|e| e.to_string()).and_then(|source| {
        let len = usize::try_from(source.len().min(SMALL)).unwrap_or(0);
        let mut bytes = vec![0; len];
        let n = source.read_at(0, &mut bytes).map_err(|e| e.to_string())?;
        bytes.truncate(n);
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Some(bytes),
        Err(e) => {
            gaps.add("boot", format!("not read: {e}"), entry.len());
            None
        }
    }
}

/// The command lines of a text, and whether each is the default entry's.
fn command_lines(path: &[u8], text: &str, bls: bool) -> Vec<(Vec<(String, String)>, bool)> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let word = |line: &str, keys: &[&str]| {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace)?;
        keys.iter().any(|k| first.eq_ignore_ascii_case(k)).then(|| rest.trim().to_owned())
    };
    if bls {
        return text.lines().filter_map(|l| word(l, &["options"])).map(|l| (parameters(&l), true)).collect();
    }
    match name {
        b"grub.cfg" | b"loopback.cfg" => grub(text),
        b"cmdline.txt" | b"cmdline" => {
            let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
            lines.map(|l| (parameters(l), true)).collect()
        }
        b"uEnv.txt" | b"armbianEnv.txt" | b"extraEnv.txt" | b"boot.cmd" | b"boot.scr" | b"uboot.env"
        | b"uboot-redund.env" | b"env" | b"grubenv" => {
            let keys = ["bootargs", "extraargs", "optargs", "cmdline", "append"];
            let lines = text.split(['\n', '\0']).filter_map(|l| {
                let l = l.trim().trim_start_matches("setenv ").trim_start();
                let (key, value) = l.split_once(['=', ' '])?;
                keys.contains(&key.trim()).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
            });
            lines.map(|l| (parameters(&l), true)).collect()
        }
        _ => {
            let default = text.lines().find_map(|l| word(l, &["default", "ontimeout"]));
            let (mut label, mut first, mut out) = (String::new(), None::<String>, Vec::new());
            for line in text.lines() {
                if let Some(name) = word(line, &["label"]) {
                    first.get_or_insert_with(|| name.clone());
                    label = name;
                } else if let Some(arguments) = word(line, &["append"]) {
                    let chosen = default.as_ref().or(first.as_ref()).is_none_or(|d| *d == label);
                    out.push((parameters(&arguments), chosen));
                }
            }
            out
        }
    }
}

/// Lines of GRUB's menu; the default is a number or a title.
fn grub(text: &str) -> Vec<(Vec<(String, String)>, bool)> {
    let quoted = |line: &str| {
        let mark = line.find(['\'', '"'])?;
        let quote = line.get(mark..)?.chars().next()?;
        line.get(mark.saturating_add(1)..)?.split(quote).next().map(str::to_owned)
    };
    let set = text.lines().rev().find_map(|l| {
        let value = l.trim().strip_prefix("set default=")?.trim_matches(['"', '\'']).to_owned();
        (!value.contains('$')).then_some(value)
    });
    let wanted = set.unwrap_or_else(|| "0".to_owned());
    let (mut index, mut current, mut out) = (0_u32, true, Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with("menuentry ") {
            let title = quoted(line).unwrap_or_default();
            current = wanted == index.to_string() || wanted == title || line.contains(&format!("'{wanted}'"));
            index = index.saturating_add(1);
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        if matches!(first, "linux" | "linux16" | "linuxefi") {
            let rest = line.get(first.len()..).unwrap_or_default().trim_start();
            out.push((parameters(rest.split_once(char::is_whitespace).map_or("", |(_, a)| a)), current));
        }
    }
    out
}

/// `NAME=value` settings, apart by line ends (GRUB) or zero bytes (U-Boot, behind a checksum and perhaps a flag).
fn environment(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let named = |from: &&[u8]| {
        let name = from.iter().position(|b| *b == b'=').and_then(|at| from.get(..at));
        name.is_some_and(|n| !n.is_empty() && n.iter().all(is_name))
    };
    // The checksum, and the flag of a redundant block, may hold any byte.
    let start = [0_usize, 4, 5].iter().filter_map(|n| bytes.get(*n..)).find(named).unwrap_or(bytes);
    for part in start.split(|b| matches!(b, b'\n' | 0)).filter(|p| p.len() < 65_536) {
        if named(&part)
            && let Some((name, value)) = String::from_utf8_lossy(part).split_once('=')
        {
            values.entry(name.to_owned()).or_insert_with(|| value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<String> {
        let told = |(parameters, default): (Vec<(String, String)>, bool)| {
            let words: Vec<String> = parameters.into_iter().map(|(n, v)| format!("{n}:{v}")).collect();
            format!("{}{}", words.join(" "), if default { " *" } else { "" })
        };
        command_lines(path.as_bytes(), text, path.ends_with("e.conf")).into_iter().map(told).collect()
    }

    #[test]
    fn every_loader_tells_its_lines() {
        let grub = "set default=\"${saved}\"\nset default=1\nmenuentry 'A' {\n linux /vmlinuz root=LABEL=a quiet\n}\nmenuentry \"B\" {\n linux /vmlinuz boot=live x=\"1 2\"\n}\n";
        assert_eq!(lines("/boot/grub/grub.cfg", grub), ["root:LABEL=a quiet:", "boot:live x:1 2 *"]);
        let extlinux = "DEFAULT b\nLABEL a\n APPEND root=/dev/sda1\nLABEL b\n APPEND root=/dev/sda2\n";
        assert_eq!(lines("/extlinux/extlinux.conf", extlinux), ["root:/dev/sda1", "root:/dev/sda2 *"]);
        assert_eq!(lines("/loader/entries/e.conf", "title x\noptions root=UUID=1 rw\n"), ["root:UUID=1 rw: *"]);
        assert_eq!(lines("/cmdline.txt", "boot=overlay root=PARTUUID=1-02\n"), ["boot:overlay root:PARTUUID=1-02 *"]);
        assert_eq!(lines("/uEnv.txt", "x=1\nbootargs=root=/dev/mmcblk0p2 ro\n"), ["root:/dev/mmcblk0p2 ro: *"]);
        assert_eq!(lines("/boot.cmd", "setenv bootargs \"root=/dev/sda2 ro\"\n"), ["root:/dev/sda2 ro: *"]);
    }

    #[test]
    fn environments_are_read_behind_their_checksum() {
        let mut block = vec![0xde, 0xad, b'=', 0xef, 1];
        block.extend_from_slice(b"BOOT_ORDER=B A\0BOOT_B_LEFT=3\0\0\xff\xff");
        let values = environment(&block);
        assert_eq!((values["BOOT_ORDER"].as_str(), values["BOOT_B_LEFT"].as_str()), ("B A", "3"));
        assert_eq!(environment(b"# GRUB Environment Block\nsaved_entry=x\n####")["saved_entry"], "x");
    }
}
