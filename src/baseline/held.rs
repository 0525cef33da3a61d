//! Every file of a system held against baselines: what they vouch for, and of the rest what kind of file it is by the
//! place where it lies.
use super::sets::Baselines;
use super::verdict::Standing;
use crate::inventory::{File, Inventory};

/// A file and what baselines say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Row of `files`.
    pub row: usize,
    pub standing: Standing,
    /// The set that says it; of packages also which.
    pub by: String,
    /// Why a file of no package may be there.
    pub class: &'static str,
    /// A program, a library or a script.
    pub is_program: bool,
}

/// Where files lie that no package ships, and what they are; the first that fits.
const CLASSES: &[(&str, &str)] = &[
    ("/var/log/", "log"),
    ("/var/lib/dpkg/", "package database"),
    ("/var/lib/rpm/", "package database"),
    ("/usr/lib/sysimage/", "package database"),
    ("/usr/lib/opkg/", "package database"),
    ("/lib/apk/", "package database"),
    ("/var/lib/apk/", "package database"),
    ("/var/lib/pacman/", "package database"),
    ("/var/cache/", "cache"),
    ("/var/lib/apt/", "package lists"),
    ("/etc/ssl/certs/", "generated at install"),
    ("/etc/alternatives/", "generated at install"),
    ("/etc/rc", "generated at install"),
    ("/etc/ld.so.cache", "generated at install"),
    ("/etc/", "configuration"),
    ("/boot/", "generated at install"),
    ("/run/", "state"),
    ("/tmp/", "temporary"),
    ("/var/tmp/", "temporary"),
    ("/var/", "state"),
    ("/home/", "user"),
    ("/root/", "user"),
    ("/usr/local/", "local"),
    ("/opt/", "local"),
    ("/srv/", "local"),
];

fn class(file: &File) -> &'static str {
    let path = file.path.bytes();
    let contains = |part: &[u8]| path.windows(part.len()).any(|w| w == part);
    if contains(b"/__pycache__/") || path.ends_with(b"/gschemas.compiled") || path.ends_with(b"/mimeinfo.cache") {
        return "generated at install";
    }
    // Lists that depmod makes.
    if contains(b"/modules/") && contains(b"/modules.") {
        return "generated at install";
    }
    let found = CLASSES.iter().find(|(place, _)| path.starts_with(place.as_bytes()));
    match found {
        Some((_, class)) => class,
        // Alternatives and wanted-by links are made by maintainer scripts.
        None if &*file.kind == "symlink" => "link",
        None => "other",
    }
}

impl Baselines {
    /// Files and symlinks of installed systems (or of all file systems, where none is installed), as the running system
    /// shows them, in the order of the table.
    pub fn files(&self, inventory: &Inventory) -> Vec<Held> {
        let has_system = inventory.files.iter().any(|f| f.system.is_some());
        let shown = |f: &File| {
            !f.deleted
                && f.covered.is_empty()
                && f.archive.is_none()
                && matches!(&*f.kind, "file" | "symlink")
                && f.system.is_some() == has_system
        };
        let rows = inventory.files.iter().enumerate().filter(|(_, f)| shown(f));
        let held = |(row, file): (usize, &File)| {
            let (verdict, _) = self.row(&*inventory.files, row);
            let is_program = matches!(&*file.content, "elf" | "script");
            Held { row, standing: verdict.verdict, by: verdict.by, class: class(file), is_program }
        };
        rows.map(held).collect()
    }
}
