//! Live systems: squashfs files on a medium, and a persistent layer over them. Debian's live-boot
//! (`live/*.squashfs`, `persistence.conf`), Ubuntu's casper (`casper/*.squashfs`, `writable`, `casper-rw`), by the
//! behaviour of their initramfs scripts.
use super::{Further, Root, Stack, Upper, folder_of};
use crate::base::Name;
use crate::evidence::devices::called;
use crate::evidence::identify::Candidate;
use crate::evidence::overlay::Marks;
use crate::evidence::view::Folder;

/// Lines of a `persistence.conf` that are followed.
const MAX_LINES: usize = 256;

pub(super) fn stack(root: &Root<'_, '_>) -> Option<Stack> {
    let own = file_of(root.candidate)?;
    let (folder, name) = own.rsplit_once('/')?;
    let by = match folder.rsplit('/').next() {
        Some("live") => "live-boot",
        Some("casper") => "casper",
        _ => return None,
    };
    let mut stack = Stack::new(by, &root.folder);
    // Its layers are the further images of the folder, as this scheme orders them.
    let siblings: Vec<(&str, &Candidate<'_>)> = root
        .all
        .iter()
        .filter(|c| c.volume.parent == root.candidate.volume.parent && c.volume.image == root.candidate.volume.image)
        .filter_map(|c| Some((file_of(c)?.strip_prefix(folder)?.strip_prefix('/')?, c)))
        .filter(|(n, _)| !n.contains('/'))
        .collect();
    let names: Vec<&str> = siblings.iter().map(|(n, _)| *n).collect();
    let order = if by == "casper" { casper(root, &names) } else { live_boot(root, folder, &names) };
    if !order.iter().any(|n| n == name) {
        root.gaps.add("layers", format!("{own} is none of the layers that {by} would use: {}", order.join(", ")), 0);
        return Some(stack);
    }
    stack.lowers = order
        .iter()
        .filter_map(|n| siblings.iter().find(|(s, _)| s == n))
        .map(|(_, c)| Folder::root(c.tree.clone()))
        .collect();
    if by == "casper" {
        casper_upper(root, &mut stack);
    } else {
        live_upper(root, &mut stack);
    }
    Some(stack)
}

/// The path of the file that a file system lies in, with its medium's own root as `/`.
fn file_of<'a>(candidate: &Candidate<'a>) -> Option<&'a str> {
    (candidate.volume.scheme == "file").then_some(candidate.volume.label.as_str()).filter(|l| !l.is_empty())
}

/// Layers of casper, topmost first: `a.squashfs` lies below `a.b.squashfs`, which lies below `a.b.c.squashfs`. Which
/// chain is used the parameter `layerfs-path` says; without it `filesystem.squashfs`, else the longest chain.
fn casper(root: &Root<'_, '_>, names: &[&str]) -> Vec<String> {
    let images: Vec<&&str> = names.iter().filter(|n| n.ends_with(".squashfs")).collect();
    let told = root.parameter("layerfs-path").map(|(_, v)| v.rsplit('/').next().unwrap_or_default().to_owned());
    let top = told.filter(|t| images.iter().any(|n| **n == t.as_str())).or_else(|| {
        if images.iter().any(|n| **n == "filesystem.squashfs") {
            return Some("filesystem.squashfs".to_owned());
        }
        let longest =
            images.iter().max_by_key(|n| (n.matches('.').count(), std::cmp::Reverse(n.len()), std::cmp::Reverse(**n)));
        longest.map(|n| (**n).to_string())
    });
    let Some(top) = top else { return Vec::new() };
    let mut stem = top.trim_end_matches(".squashfs").to_owned();
    let mut order = Vec::new();
    loop {
        let name = format!("{stem}.squashfs");
        if images.iter().any(|n| **n == name.as_str()) {
            order.push(name);
        }
        match stem.rsplit_once('.') {
            Some((shorter, _)) => stem = shorter.to_owned(),
            None => return order,
        }
    }
}

/// Layers of live-boot, topmost first: the images that `NAME.module` lists in order, else all by name; each later
/// one lies above the earlier.
fn live_boot(root: &Root<'_, '_>, folder: &str, names: &[&str]) -> Vec<String> {
    const KINDS: &[&str] = &["squashfs", "ext2", "ext3", "ext4", "xfs", "jffs2"];
    let module = root.parameter("module").map_or("filesystem", |(_, v)| v);
    let medium = root.all.iter().find(|c| Some(c.filesystem.volume) == root.candidate.volume.parent);
    let listed = medium.and_then(|m| {
        let path = format!("{folder}/{module}.module");
        let entry = m.tree.get(path.as_bytes()).filter(|e| e.is_file())?;
        let source = m.tree.open(entry).ok()?;
        let mut bytes = vec![0; usize::try_from(source.len()).ok()?.min(64 << 10)];
        let n = source.read_at(0, &mut bytes).ok()?;
        bytes.truncate(n);
        Some(String::from_utf8_lossy(&bytes).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    });
    let mut order = listed.unwrap_or_else(|| {
        let image = |n: &&&str| n.rsplit_once('.').is_some_and(|(_, e)| KINDS.contains(&e));
        let mut all: Vec<String> = names.iter().filter(image).map(|n| (*n).to_owned()).collect();
        all.sort();
        all
    });
    order.retain(|n| names.contains(&n.as_str()));
    order.reverse();
    order
}

/// A file system of this label, or in a file of this name at the root of one.
fn by_label<'a, 'c>(root: &Root<'a, 'c>, label: &str) -> Option<&'a Candidate<'c>> {
    let of = |c: &&Candidate<'_>| {
        c.filesystem.label == label || c.volume.label == label || file_of(c) == Some(format!("/{label}").as_str())
    };
    let near = |c: &&Candidate<'_>| c.volume.image == root.candidate.volume.image;
    root.all.iter().filter(near).find(of).or_else(|| root.all.iter().find(of))
}

/// casper writes to `upper` of the file system `writable` or `casper-rw`, where `persistent` stands on the command line.
fn casper_upper(root: &Root<'_, '_>, stack: &mut Stack) {
    let asked = root.parameter("persistent").is_some();
    let found = ["writable", "casper-rw"].iter().find_map(|l| by_label(root, l));
    let Some(found) = found else {
        stack.upper = if asked { Upper::Missing } else { Upper::Memory };
        if asked {
            root.gaps.add(
                "layers",
                "persistent, and no file system is writable or casper-rw: only the read-only layers are shown",
                0,
            );
        }
        return;
    };
    if !asked && !root.lines.is_empty() {
        let what = format!(
            "{} is a persistent layer, and no command line says persistent; shown as if one did",
            called(found)
        );
        root.gaps.add("layers", what, 0);
    }
    // Before it had work folders casper wrote to the root of the file system, with aufs' marks.
    let (folder, marks) = match folder_of(found, "/upper") {
        Some(folder) => (folder, Marks::default()),
        None => (Folder::root(found.tree.clone()), Marks { aufs: true, early: true, ..Marks::default() }),
    };
    stack.named = called(found);
    stack.marks = marks;
    stack.upper = Upper::Disk(folder);
}

/// live-boot makes the mounts that `persistence.conf` of the file system `persistence` lists.
fn live_upper(root: &Root<'_, '_>, stack: &mut Stack) {
    let asked = root.parameter("persistence").is_some();
    stack.upper = Upper::Memory;
    let Some(found) = by_label(root, "persistence") else {
        if asked {
            stack.upper = Upper::Missing;
            "persistence".clone_into(&mut stack.named);
            root.gaps.add(
                "layers",
                "persistence, and no file system of the evidence is it: only the read-only layers are shown",
                0,
            );
        }
        return;
    };
    let here = root.gaps.at(|p| {
        p.filesystem = Some(found.tree.id);
        p.path = Some(Name::from("/persistence.conf"));
    });
    let entry = found.tree.get(b"/persistence.conf").filter(|e| e.is_file());
    let Some(entry) = entry else {
        here.add("layers", "a persistent layer without a persistence.conf: live-boot does not use it", 0);
        return;
    };
    if !asked && !root.lines.is_empty() {
        here.add("layers", "no command line says persistence; shown as if one did", 0);
    }
    let read = found.tree.open(entry).map_err(|e| e.to_string()).and_then(|source| {
        let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0).min(64 << 10)];
        let n = source.read_at(0, &mut bytes).map_err(|e| e.to_string())?;
        bytes.truncate(n);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    let text = match read {
        Ok(text) => text,
        Err(e) => {
            here.add("layers", format!("not read: {e}"), entry.len());
            return;
        }
    };
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).take(MAX_LINES) {
        let (at, options) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let options: Vec<&str> = options.split([',', ' ', '\t']).filter(|o| !o.is_empty()).collect();
        let source = options.iter().find_map(|o| o.strip_prefix("source=")).unwrap_or(at);
        let source = source.trim_matches('/');
        let source = if matches!(source, "." | "") { String::new() } else { format!("/{source}") };
        let at = at.trim_end_matches('/');
        let unsafe_path = |p: &str| p.split('/').any(|c| matches!(c, "." | ".."));
        if (!at.is_empty() && !at.starts_with('/')) || unsafe_path(at) || unsafe_path(&source) {
            here.add("layers", format!("{line}: not a mount that live-boot makes"), 0);
            continue;
        }
        // The last of the three words counts.
        let how = options.iter().rev().find(|o| matches!(**o, "union" | "bind" | "link")).copied().unwrap_or("bind");
        let folder = if how == "union" { format!("{source}/rw") } else { source.clone() };
        let Some(folder) = folder_of(found, &folder) else {
            here.add("layers", format!("{line}: {folder} is not there yet: nothing was written through it"), 0);
            continue;
        };
        let named = called(found);
        match how {
            "link" => here.add("layers", format!("{line}: single links into the running system; not shown"), 0),
            "union" if at.is_empty() => {
                stack.named = named;
                stack.upper = Upper::Disk(folder);
            }
            "union" => stack.further.push(Further::Union { at: at.to_owned(), upper: folder, named }),
            _ if at.is_empty() => {
                stack.lowers = vec![folder];
                stack.named = named;
                stack.upper = Upper::None;
            }
            _ => stack.further.push(Further::Folder { at: at.to_owned(), folder }),
        }
    }
}
