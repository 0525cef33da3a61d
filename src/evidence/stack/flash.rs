//! OpenWrt and its kin: a squashfs root, and `rootfs_data` on JFFS2, UBIFS, F2FS or ext4 over it; extroot, which
//! takes a further device's layer instead. By the behaviour of OpenWrt's fstools (`mount_root`, `block extroot`).
use super::{Further, Root, Stack, Upper, folder_of};
use crate::base::Name;
use crate::evidence::devices::called;
use crate::evidence::identify::Candidate;
use crate::evidence::overlay::Marks;
use crate::evidence::view::{Folder, View};
use crate::fs::NodeKind;

/// The label of the writable volume.
const DATA: &str = "rootfs_data";
/// Longest text that is read of these file systems.
const SMALL: usize = 64 << 10;

pub(super) fn stack(root: &Root<'_, '_>) -> Option<Stack> {
    let kind = root.candidate.filesystem.kind.as_str();
    let has = |p: &str| root.alone.resolve(p).is_some();
    let openwrt = has("/etc/openwrt_release") || has("/sbin/mount_root");
    // On a writable root there is no layer.
    if !openwrt || !(kind.starts_with("squashfs") || kind == "erofs" || kind == "text") {
        return None;
    }
    let mut stack = Stack::new("OpenWrt", &root.folder);
    DATA.clone_into(&mut stack.named);
    let Some(data) = data(root) else {
        if kind == "text" {
            return None;
        }
        stack.upper = Upper::Missing;
        let what = format!("no file system of the evidence is its {DATA}: only the read-only layer is shown");
        root.gaps.add("layers", what, 0);
        return Some(stack);
    };
    let (folder, marks) = layer_of(data);
    note_state(root, data);
    let data = match extroot(root, data, &folder) {
        Some(other) => other,
        None => data,
    };
    let (folder, marks) = if folder_is_of(&folder, data) { (folder, marks) } else { layer_of(data) };
    stack.named = called(data);
    stack.marks = marks;
    stack.upper = Upper::Disk(folder);
    stack.further.push(Further::Folder { at: "/overlay".to_owned(), folder: Folder::root(data.tree.clone()) });
    Some(stack)
}

fn folder_is_of(folder: &Folder, candidate: &Candidate<'_>) -> bool {
    matches!(&folder.view, View::Tree(tree) if tree.id == candidate.tree.id)
}

/// The layer that a writable file system holds: `upper`, or all of it before overlayfs had a work folder.
fn layer_of(data: &Candidate<'_>) -> (Folder, Marks) {
    match folder_of(data, "/upper") {
        Some(folder) => (folder, Marks::default()),
        None => (Folder::root(data.tree.clone()), Marks { early: true, ..Marks::default() }),
    }
}

/// The writable file system of this root: by its label, else by what it holds, on the same image.
fn data<'a, 'c>(root: &Root<'a, 'c>) -> Option<&'a Candidate<'c>> {
    let other = |c: &&Candidate<'_>| c.tree.id != root.candidate.tree.id;
    let near = |c: &&Candidate<'_>| c.volume.image == root.candidate.volume.image;
    let label = |c: &&Candidate<'_>| {
        let labels = [c.volume.label.as_str(), c.filesystem.label.as_str()];
        labels.iter().any(|l| l.rsplit(':').next() == Some(DATA) || *l == DATA)
    };
    let state = |c: &&Candidate<'_>| c.tree.get(b"/.fs_state").is_some();
    let layered = |c: &&Candidate<'_>| {
        [b"/upper".as_slice(), b"/work"].iter().all(|p| c.tree.get(p).is_some_and(crate::evidence::tree::Entry::is_dir))
    };
    let all = || root.all.iter().filter(other);
    // Of several the one beside the root counts: a device with two firmwares has two.
    let beside = |c: &&Candidate<'_>| {
        c.volume.parent == root.candidate.volume.parent || c.volume.parent == Some(root.candidate.filesystem.volume)
    };
    all()
        .filter(near)
        .find(|c| label(c) && beside(c))
        .or_else(|| all().filter(near).find(label))
        .or_else(|| all().filter(near).find(state))
        .or_else(|| all().filter(near).find(layered))
        .or_else(|| all().find(label))
}

/// A small file of another file system.
fn text(root: &Root<'_, '_>, of: &Candidate<'_>, path: &[u8]) -> Option<String> {
    let entry = of.tree.get(path).filter(|e| e.is_file())?;
    let read = of.tree.open(entry).map_err(|e| e.to_string()).and_then(|source| {
        let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0).min(SMALL)];
        let n = source.read_at(0, &mut bytes).map_err(|e| e.to_string())?;
        bytes.truncate(n);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    match read {
        Ok(text) => Some(text),
        Err(e) => {
            let here = root.gaps.at(|p| {
                p.filesystem = Some(of.tree.id);
                p.path = Some(entry.path.clone());
            });
            here.add("layers", format!("not read: {e}"), entry.len());
            None
        }
    }
}

/// `.fs_state`, a link to a number: 1 says that the layer was still being filled, and that the next start empties it.
fn note_state(root: &Root<'_, '_>, data: &Candidate<'_>) {
    let entry = data.tree.get(b"/.fs_state").filter(|e| e.kind() == NodeKind::Symlink);
    let state = entry.and_then(|e| data.tree.fs.read_link(e.node).ok());
    if state.as_deref() == Some(b"1") {
        let here = root.gaps.at(|p| {
            p.filesystem = Some(data.tree.id);
            p.path = Some(Name::from("/.fs_state"));
        });
        here.add("layers", "the writable layer is marked as not ready: the system would empty it at its next start", 0);
    }
}

/// The further device that `config mount` of `/etc/config/fstab` puts in place of `rootfs_data`.
fn extroot<'a, 'c>(root: &Root<'a, 'c>, data: &'a Candidate<'c>, layer: &Folder) -> Option<&'a Candidate<'c>> {
    let in_layer = [layer.path.as_slice(), b"/etc/config/fstab"].concat();
    let config = text(root, data, &in_layer).or_else(|| root.text("/etc/config/fstab"))?;
    let section = sections(&config).into_iter().find(|s| {
        let get = |k: &str| s.iter().find(|(n, _)| n == k).map(|(_, v)| v.as_str());
        matches!(get("target"), Some("/overlay" | "/")) && get("enabled").is_none_or(|e| e != "0")
    })?;
    let get = |k: &str| section.iter().find(|(n, _)| n == k).map(|(_, v)| v.clone());
    let means = |c: &&Candidate<'_>| {
        if let Some(uuid) = get("uuid") {
            return c.filesystem.uuid.eq_ignore_ascii_case(&uuid);
        }
        if let Some(label) = get("label") {
            return c.filesystem.label == label;
        }
        get("device").is_some_and(|d| crate::evidence::devices::names(&d, c, None))
            && c.volume.image != root.candidate.volume.image
    };
    let here = root.gaps.at(|p| {
        p.filesystem = Some(data.tree.id);
        p.path = Some(Name::from(in_layer.clone()));
    });
    let named = ["uuid", "label", "device"].iter().find_map(|k| Some(format!("{k} {}", get(k)?))).unwrap_or_default();
    let Some(found) = root.all.iter().find(means) else {
        let what = format!(
            "the writable layer is to lie on a further device ({named}), which the evidence does not have; the one of {DATA} is shown"
        );
        here.add("layers", what, 0);
        return None;
    };
    if get("target").as_deref() == Some("/") {
        let what =
            format!("the whole root is to lie on a further device ({named}); that file system is a system of its own");
        here.add("layers", what, 0);
        return None;
    }
    // The device remembers which root it belongs to; versions of the system differ in whether they ask.
    let mark = text(root, found, b"/etc/.extroot-uuid").unwrap_or_default();
    let own = &root.candidate.filesystem.uuid;
    if !mark.trim().is_empty() && !own.is_empty() && !mark.trim().eq_ignore_ascii_case(own) {
        let what = format!(
            "the further device ({named}) is marked for the root {}, not for {own}: a system that asks refuses it",
            mark.trim()
        );
        here.add("layers", what, 0);
    }
    (found.tree.id != data.tree.id).then_some(found)
}

/// The `config mount` sections of a UCI file as options and values.
fn sections(text: &str) -> Vec<Vec<(String, String)>> {
    let mut all: Vec<Vec<(String, String)>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("config") => {
                inside = words.next().map(|w| w.trim_matches(['\'', '"'])) == Some("mount");
                if inside {
                    all.push(Vec::new());
                }
            }
            Some("option") if inside => {
                let name = words.next().unwrap_or_default().trim_matches(['\'', '"']).to_owned();
                let value = words.collect::<Vec<_>>().join(" ");
                if let Some(section) = all.last_mut() {
                    section.push((name, value.trim_matches(['\'', '"']).to_owned()));
                }
            }
            _ => {}
        }
    }
    all
}
