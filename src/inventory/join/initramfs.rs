//! What an initramfs holds against the system that it starts: it is made of that system's files, by scripts that
//! packages ship, so a program in it that is none of them was put there by somebody else, or is older than they are.
use crate::base::Digest;
use crate::inventory::{File, Inventory};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Fills `files.against_system`.
pub(super) fn compare(inventory: &mut Inventory) {
    let archived = |f: &File| f.archive.as_ref().is_some_and(|a| is_initramfs(a.bytes())) && &*f.kind == "file";
    let own: Vec<usize> =
        inventory.files.iter().enumerate().filter(|(_, f)| archived(f) && !f.deleted).map(|(at, _)| at).collect();
    if own.is_empty() {
        return;
    }
    let at = |n: &usize| inventory.files.get(*n);
    let contents: HashSet<Digest> = own.iter().filter_map(at).filter_map(|f| f.sha256).collect();
    let names: HashSet<&[u8]> = own.iter().filter_map(at).map(|f| f.path.file_name()).collect();
    // Content → whether a package vouches for a file that has it.
    let mut vouched: HashMap<Digest, bool> = HashMap::new();
    let mut there: HashSet<&[u8]> = HashSet::new();
    for file in inventory.files.iter().filter(|f| f.system.is_some() && f.covered.is_empty() && !f.deleted) {
        if let Some(content) = file.sha256.filter(|c| contents.contains(c)) {
            *vouched.entry(content).or_default() |= matches!(&*file.package_check, "ok" | "conffile-ok");
        }
        if &*file.kind != "directory" && names.contains(file.path.file_name()) {
            there.insert(file.path.file_name());
        }
    }
    let word = |file: &File| match file.sha256.map(|c| vouched.get(&c)) {
        None => "",
        Some(Some(true)) => "packaged",
        Some(Some(false)) => "on-disk",
        Some(None) if there.contains(file.path.file_name()) => "changed",
        Some(None) => "alone",
    };
    let words: Vec<(usize, &'static str)> = own.iter().filter_map(|n| Some((*n, word(at(n)?)))).collect();
    let files = Arc::make_mut(&mut inventory.files);
    for (at, word) in words {
        if let Some(file) = files.get_mut(at) {
            file.against_system = word.into();
        }
    }
}

/// Whether an archive at this path is an initramfs: by its place and name, as boot loaders find it.
pub fn is_initramfs(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    path.starts_with(b"/boot/") || name.starts_with(b"initrd") || name.starts_with(b"initramfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, archive: Option<&str>, check: &str, sha: u8) -> File {
        File {
            path: path.into(),
            kind: "file".into(),
            system: archive.is_none().then_some(0),
            archive: archive.map(Into::into),
            covered: if archive.is_some() { "archive".into() } else { Arc::default() },
            package_check: check.into(),
            sha256: (sha > 0).then_some(Digest([sha; 32])),
            ..File::default()
        }
    }

    #[test]
    fn programs_are_held_against_those_of_the_system() {
        let initrd = Some("/boot/initrd.img-6.1.0");
        let mut inventory = Inventory {
            files: Arc::new(vec![
                file("/usr/bin/tool", None, "ok", 1),
                file("/usr/local/bin/own", None, "unowned", 2),
                file("/usr/lib/initramfs-tools/bin/busybox", None, "ok", 3),
                file("/usr/bin/twice", None, "unowned", 1),
                file("/bin/renamed", initrd, "", 1),
                file("/bin/own", initrd, "", 2),
                file("/bin/busybox", initrd, "", 4),
                file("/sbin/implant", initrd, "", 5),
                file("/unread", initrd, "", 0),
                file("/sbin/implant", Some("/home/a.tar"), "", 5),
            ]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            compare(&mut inventory);
            let words: Vec<&str> = inventory.files.iter().skip(4).map(|f| &*f.against_system).collect();
            assert_eq!(words, ["packaged", "on-disk", "changed", "alone", "", ""]);
        }
    }
}
