//! What the correlations need to know of a system: which package vouches for a file, and whether
//! any package database is there to vouch at all.
use super::tables::Look;
use crate::base::{Evidence, Name};
use crate::baseline::Baselines;
use crate::inventory::{File, Inventory, Scene, Start, SystemInfo};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

/// How a file stands to the packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::judge) enum Vouched {
    /// Owned, and not known to differ.
    Owned,
    /// An owned configuration file that somebody edited.
    Edited,
    /// An owned list of this machine's own, of whose content the package tells nothing.
    Unproven,
    /// Owned by no package, but as the list of another package manager says.
    Component,
    /// Owned, and its content differs from the package's manifest.
    Differs,
    Unowned,
    /// No package database that could vouch.
    NoDatabase,
    /// There is no such file (or it was not read).
    Absent,
}

impl Vouched {
    /// A package ships it as it is.
    pub(in crate::judge) fn is_stock(self) -> bool {
        self == Self::Owned
    }
    /// A database exists and does not vouch for the content.
    pub(in crate::judge) fn is_altered(self) -> bool {
        matches!(self, Self::Unowned | Self::Differs)
    }
    pub(in crate::judge) fn words(self) -> &'static str {
        match self {
            Self::Owned => "as its package ships it",
            Self::Edited => "a configuration file that differs from what its package shipped",
            Self::Unproven => "a list that the machine's owner fills in, of a package without digests",
            Self::Component => "not of the system's packages, and as the component that it belongs to lists it",
            Self::Differs => "differs from its package's manifest",
            Self::Unowned => "owned by no package",
            Self::NoDatabase => "no package database to ask",
            Self::Absent => "not on this disk",
        }
    }
}

/// Indices over one inventory, made once for all correlations.
pub(in crate::judge) struct Ground<'a> {
    inventory: &'a Inventory,
    pub(in crate::judge) baselines: &'a Baselines,
    files: HashMap<(Option<u32>, &'a Name), usize>,
    databases: BTreeSet<Option<u32>>,
    pub(in crate::judge) systems: BTreeSet<Option<u32>>,
    /// Every file has its row; before that, a file without one counts as its package ships it, unless
    /// it is known that none does.
    whole: bool,
    systems_known: &'a [SystemInfo],
}

impl<'a> Ground<'a> {
    pub(in crate::judge) fn new(
        baselines: &'a Baselines,
        scene: &'a Scene,
        inventory: &'a Inventory,
        whole: bool,
    ) -> Self {
        let mut files = HashMap::with_capacity(inventory.files.len());
        let mut databases = BTreeSet::new();
        let mut systems = BTreeSet::new();
        for (at, system) in scene.systems.iter().enumerate() {
            if let Ok(id) = u32::try_from(at) {
                systems.insert(Some(id));
                if !system.package_database.is_empty() {
                    databases.insert(Some(id));
                }
            }
        }
        for (at, file) in inventory.files.iter().enumerate() {
            systems.insert(file.system);
            if !file.deleted && file.covered.is_empty() {
                files.insert((file.system, &file.path), at);
                if !file.package_check.is_empty() {
                    databases.insert(file.system);
                }
            }
        }
        for table in inventory.all() {
            if table.table().name != "files" {
                systems.extend((0..table.len()).map(|r| table.system(r)));
            }
        }
        Self { inventory, baselines, files, databases, systems, whole, systems_known: &scene.systems }
    }
    /// The tables that one correlation looks at.
    pub(in crate::judge) fn look<L: Look<'a>>(&self) -> L {
        L::of(self.inventory)
    }
    /// Rows of a table.
    pub(in crate::judge) fn count(&self, table: &str) -> Option<usize> {
        self.inventory.table(table).map(crate::inventory::AnyTable::len)
    }
    pub(in crate::judge) fn has_database(&self, system: Option<u32>) -> bool {
        self.databases.contains(&system)
    }
    pub(in crate::judge) fn is_windows(&self, system: Option<u32>) -> bool {
        self.info(system).is_some_and(|i| i.os.family == "windows")
    }
    /// The live file at a path: its row and what it is.
    pub(in crate::judge) fn file(&self, system: Option<u32>, path: &Name) -> Option<(usize, &'a File)> {
        let at = *self.files.get(&(system, path))?;
        Some((at, self.inventory.files.get(at)?))
    }
    pub(in crate::judge) fn vouched(&self, system: Option<u32>, path: &Name) -> Vouched {
        if !self.has_database(system) {
            return if self.file(system, path).is_some() { Vouched::NoDatabase } else { Vouched::Absent };
        }
        match self.file(system, path) {
            None if !self.whole && self.is_unowned(system, path) => Vouched::Unowned,
            None if !self.whole => Vouched::Owned,
            None => Vouched::Absent,
            Some((_, file)) => match &*file.package_check {
                "unowned" => Vouched::Unowned,
                "component-ok" => Vouched::Component,
                "differs" | "component-differs" => Vouched::Differs,
                "conffile-changed" => Vouched::Edited,
                _ => Vouched::Owned,
            },
        }
    }
    fn info(&self, system: Option<u32>) -> Option<&'a SystemInfo> {
        system.and_then(|s| self.systems_known.get(usize::try_from(s).ok()?))
    }
    fn is_unowned(&self, system: Option<u32>, path: &Name) -> bool {
        self.info(system).is_some_and(|i| i.unowned.binary_search(path).is_ok())
    }
    /// How the file stands in which a row was read.
    pub(in crate::judge) fn source(&self, system: Option<u32>, evidence: &Evidence) -> Vouched {
        let vouched = self.vouched(system, &evidence.path);
        let unproven = || self.file(system, &evidence.path).is_some_and(|(_, f)| &*f.package_check == "no-digest");
        if vouched == Vouched::Owned && is_own_list(&evidence.path) && unproven() { Vouched::Unproven } else { vouched }
    }
    /// Of the programs that `prog:` keys name, those that no package vouches for: rows and words.
    pub(in crate::judge) fn unvouched(&self, system: Option<u32>, keys: &[String]) -> (Vec<usize>, String) {
        let mut rows = Vec::new();
        let mut told = String::new();
        for path in keys.iter().filter_map(|k| k.strip_prefix("prog:")) {
            let path = Name::from(path);
            let vouched = self.vouched(system, &path);
            let Some((row, file)) = self.file(system, &path).filter(|_| vouched.is_altered()) else { continue };
            if matches!(&*file.content, "elf" | "script") && !rows.contains(&row) {
                rows.push(row);
                let _ = write!(told, "; it runs {path}, which is {}", vouched.words());
            }
        }
        (rows, told)
    }
    /// Starts of this machine's own, and how each comes about; but for those that other tables tell.
    pub(in crate::judge) fn own_starts<'s>(
        &self,
        system: Option<u32>,
        starts: &'s [Start],
    ) -> Vec<(usize, &'s Start, String)> {
        let rows = starts.iter().enumerate().filter(|(_, s)| s.system == system);
        let own = rows.filter(|(_, s)| !is_told_elsewhere(s) && !self.source(system, &s.evidence).is_stock());
        let how = |s: &Start| {
            if s.enabled { format!("comes about by {}: {}", s.when, s.trigger) } else { "is not enabled".to_owned() }
        };
        own.map(|(row, s)| (row, s, how(s))).collect()
    }
    /// The package that owns a file.
    pub(in crate::judge) fn package(&self, system: Option<u32>, path: &Name) -> Option<&'a str> {
        self.file(system, path).and_then(|(_, f)| f.package.as_deref())
    }
}

/// Lists of commands in which a line more is a start more; opkg's packages have no digest of them but where they are
/// marked as settings.
fn is_own_list(path: &Name) -> bool {
    const LISTS: [&[u8]; 4] = [b"/etc/inittab", b"/etc/rc.local", b"/etc/rc.d/rc.local", b"/etc/crontab"];
    const FOLDERS: [&[u8]; 2] = [b"/etc/crontabs/", b"/var/spool/cron/"];
    LISTS.contains(&path.bytes()) || FOLDERS.iter().any(|f| path.bytes().starts_with(f))
}

/// Starts whose rows in services, tasks and interfaces are looked at, and those inside of containers. Of ifupdown the
/// interfaces tell their own commands, and not the scripts in its folders.
fn is_told_elsewhere(start: &Start) -> bool {
    let by = &*start.by;
    if by == "ifupdown" {
        return &*start.kind != "script";
    }
    let told = [
        "systemd",
        "systemd-user",
        "dbus",
        "dbus-user",
        "sysv",
        "inittab",
        "rc.local",
        "inetd",
        "xinetd",
        "cron",
        "anacron",
        "at",
        "incron",
        "dpkg",
        "docker",
        "compose",
        "quadlet",
        "lxc",
        "kubernetes",
        "windows-service",
    ];
    told.contains(&by) || by.starts_with("systemd-user:")
}
