//! A writable layer that the configuration of the root asks for: Debian's and Ubuntu's `overlayroot` package
//! (`/etc/overlayroot.conf`, the parameter `overlayroot=`), by the behaviour of its initramfs script.
use super::{Recurse, Root, Stack, Upper, folder_of};
use crate::evidence::devices::{self, Meant};
use crate::evidence::table::options;
use crate::evidence::view::Folder;

pub(super) fn stack(root: &Root<'_, '_>) -> Option<Stack> {
    let (value, by) = setting(root)?;
    let (mode, rest) = match value.split_once(':') {
        Some((mode, rest)) => (mode, rest.to_owned()),
        None if value.starts_with("/dev/") => ("device", format!("dev={value}")),
        None => (value.as_str(), String::new()),
    };
    let options = options(&rest);
    let get = |name: &str| options.iter().rev().find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
    let mut stack = Stack::new(&by, &root.folder);
    let recurse = get("recurse") != Some("0");
    let device = match mode {
        "tmpfs" => {
            stack.upper = Upper::Memory;
            stack.recurse = recurse.then_some(Recurse { below: None, state: "memory" });
            return Some(stack);
        }
        "device" | "crypt" => get("dev").unwrap_or_default().to_owned(),
        "disabled" | "" => return None,
        other => {
            root.gaps.add("layers", format!("{by}: overlayroot is {other}, which is none of its modes"), 0);
            return None;
        }
    };
    let device = if device.contains('=') || device.starts_with('/') { device } else { format!("/dev/{device}") };
    stack.named.clone_from(&device);
    let found = match devices::meant(&device, "", root.candidate, root.all) {
        Meant::One(found) => Some(found),
        Meant::None | Meant::Several(_) if mode == "crypt" => opened(root, &device),
        Meant::None | Meant::Several(_) => None,
    };
    let folder = get("dir").unwrap_or("/overlay");
    let folder = format!("/{}", folder.trim_matches('/'));
    if let Some((found, layer)) = found.and_then(|f| Some((f, folder_of(f, &folder)?))) {
        stack.recurse = recurse.then(|| Recurse { below: Some(layer.clone()), state: "disk" });
        stack.named = devices::called(found);
        stack.upper = Upper::Disk(layer);
    } else {
        let why = if found.is_some() { format!("has no folder {folder}") } else { "is not in the evidence".to_owned() };
        let what = format!("{by}: its writable layer's device {device} {why}: only the layer below is shown");
        root.gaps.add("layers", what, 0);
        stack.upper = Upper::Missing;
        stack.recurse = recurse.then_some(Recurse { below: None, state: "missing" });
    }
    Some(stack)
}

/// The file system behind an encrypted device.
fn opened<'a, 'c>(root: &Root<'a, 'c>, device: &str) -> Option<&'a crate::evidence::identify::Candidate<'c>> {
    let digits = |d: &str| d.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u32>().ok());
    let inner: Vec<_> = root.all.iter().filter(|c| c.volume.scheme == "luks").collect();
    let numbered = |c: &&&crate::evidence::identify::Candidate<'_>| digits(device) == Some(c.volume.index);
    inner.iter().find(numbered).or_else(|| inner.first().filter(|_| inner.len() == 1)).copied()
}

/// `overlayroot` as it counts: the command line, else the local file, else the packaged one; with who says so.
fn setting(root: &Root<'_, '_>) -> Option<(String, String)> {
    if let Some((line, value)) = root.parameter("overlayroot") {
        return Some((value.to_owned(), line.path.display()));
    }
    for path in ["/etc/overlayroot.local.conf", "/etc/overlayroot.conf"] {
        let text = root.text(path).unwrap_or_default();
        let value = text.lines().rev().find_map(|l| l.trim().strip_prefix("overlayroot="));
        if let Some(value) = value {
            return Some((value.trim().trim_matches(['"', '\'']).to_owned(), path.to_owned()));
        }
    }
    None
}

/// Where a mount's own layer lies below the layers' folder.
pub(in super::super) fn layer_below(below: &Folder, at: &str) -> Option<Folder> {
    let folder = Folder { view: below.view.clone(), path: [below.path.as_slice(), at.as_bytes()].concat() };
    folder.entry().is_some_and(crate::evidence::tree::Entry::is_dir).then_some(folder)
}
