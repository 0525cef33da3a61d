//! What follows from a package's change: rows read from files that are as it ships them, and what its manager, its
//! maintainer scripts and triggers write beside them. Each kind says which package it is of; none of it is taken for what
//! follows from a package that did not change, or that was written while no package changed. Programs are none of it, but
//! for the manager's own scripts.
use super::Difference;
use super::fold::{Files, table};
use super::runs::Runs;
use super::variation::is_program;
use super::weigh::is_as_shipped;
use crate::baseline::named as cell;
use crate::inventory::{AnyTable, File, Inventory};
use std::collections::{BTreeMap, BTreeSet};

/// One kind of what follows.
pub(super) struct Kind {
    pub(super) id: &'static str,
    /// For the manual.
    pub(super) why: &'static str,
    /// Whether the file must have been written while packages changed.
    in_a_run: bool,
    /// Packages of whose change a row may be, the likeliest first; none where it is of no such kind.
    of: fn(&Ground<'_>, &Row<'_>) -> Option<Vec<String>>,
}

/// A row of a difference on one machine.
struct Row<'a> {
    machine: usize,
    system: Option<u32>,
    table: &'a dyn AnyTable,
    at: usize,
    /// The file it was read from.
    path: &'a str,
    file: Option<&'a File>,
    /// The columns in which the difference lies.
    columns: &'a [(&'static str, Vec<Option<String>>)],
}

/// All kinds, those that stand on a package's own word first.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        id: "shipped",
        why: "read from a file that is as the package ships it on every machine that has it",
        in_a_run: false,
        of: shipped,
    },
    Kind {
        id: "program-moved",
        why: "a start whose program's path alone differs, each of them as a package ships it",
        in_a_run: false,
        of: program_moved,
    },
    Kind {
        id: "installation-files",
        why: "the package's own lists, digests and maintainer scripts in `/var/lib/dpkg/info`",
        in_a_run: true,
        of: installation_files,
    },
    Kind { id: "diversions", why: "a diversion that the package itself asked for", in_a_run: true, of: diversions },
    Kind {
        id: "bytecode",
        why: "Python's bytecode of a source that the package ships, or of the interpreter's version that came or went",
        in_a_run: true,
        of: bytecode,
    },
    Kind {
        id: "links",
        why: "a link of alternatives, of certificates, of the SysV sequence or to the kernel that leads to a file as the package ships it",
        in_a_run: true,
        of: links,
    },
    Kind {
        id: "alternatives",
        why: "the list of an alternative that leads to a file as the package ships it",
        in_a_run: true,
        of: alternatives,
    },
    Kind {
        id: "enabled-units",
        why: "a link that enables the package's unit, of which deb-systemd-helper has a record, and these records",
        in_a_run: true,
        of: enabled_units,
    },
    Kind {
        id: "authorities",
        why: "certificates of the store, each of which a package ships, and the file that holds nothing else",
        in_a_run: true,
        of: authorities,
    },
    Kind {
        id: "kernel",
        why: "indexes of modules and the initramfs of a kernel that came or went",
        in_a_run: true,
        of: kernel,
    },
    Kind {
        id: "made",
        why: "what a trigger makes from files of packages: MIME types, the hardware database, catalogs of XML and SGML",
        in_a_run: true,
        of: made,
    },
    Kind {
        id: "folders",
        why: "folders in which nothing else differs than what follows from packages",
        in_a_run: false,
        of: |_, _| None,
    },
];

/// The kinds by which differences stand under packages, with what they mean.
pub fn following() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().map(|k| (k.id, k.why))
}

/// What the kinds look at.
pub(super) struct Ground<'a> {
    inventories: &'a [&'a Inventory],
    files: &'a [Files<'a>],
    /// Packages that came, went or are of another version.
    changed: BTreeSet<(Option<u32>, String)>,
    runs: Vec<Runs>,
    /// Of each kind of what triggers make the changed packages that ship something in its folders.
    inputs: BTreeMap<(Option<u32>, usize), BTreeSet<String>>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(
        inventories: &'a [&'a Inventory],
        files: &'a [Files<'a>],
        changed: BTreeSet<(Option<u32>, String)>,
    ) -> Self {
        let mut inputs: BTreeMap<(Option<u32>, usize), BTreeSet<String>> = BTreeMap::new();
        for file in inventories.iter().flat_map(|i| i.files.iter()) {
            let (Some(package), Some(path)) = (&file.package, file.path.plain()) else { continue };
            for (at, made) in MADE.iter().enumerate().filter(|(_, m)| path.starts_with(m.from)) {
                let known = (file.system, package.to_string());
                if is_as_shipped(&file.package_check) && changed.contains(&known) && made.from.len() < path.len() {
                    inputs.entry((file.system, at)).or_default().insert(known.1);
                }
            }
        }
        let runs = inventories.iter().map(|i| Runs::of(i)).collect();
        Self { inventories, files, changed, runs, inputs }
    }
    /// The changed package from which a difference follows, and by which kind.
    pub(super) fn of(&self, d: &Difference) -> Option<(String, &'static Kind)> {
        let mut rows = Vec::new();
        for (machine, row) in d.rows.iter().enumerate().filter_map(|(m, row)| Some((m, (*row)?))) {
            let table = table(self.inventories, machine, d.table)?;
            let path = table.evidence(row)?.path.plain()?;
            let file = self.files.get(machine)?.file(d.system, path);
            rows.push(Row { machine, system: d.system, table, at: row, path, file, columns: &d.columns });
        }
        KINDS.iter().find_map(|kind| Some((self.by(kind, d, &rows)?, kind)))
    }
    fn by(&self, kind: &Kind, d: &Difference, rows: &[Row<'_>]) -> Option<String> {
        let mut all = Vec::new();
        // The later machine's package first.
        for row in rows.iter().rev() {
            all.extend((kind.of)(self, row)?);
            let odd = d.odd.contains(&row.machine);
            if kind.in_a_run && odd && !self.runs.get(row.machine)?.hold(row.file?) {
                return None;
            }
        }
        all.into_iter().find(|package| self.is_changed(d.system, package))
    }
    fn is_changed(&self, system: Option<u32>, package: &str) -> bool {
        self.changed.contains(&(system, package.to_owned()))
    }
    /// The package that ships what lies at a path as it is there: its content, a folder, a link to what a package ships.
    fn owner(&self, machine: usize, system: Option<u32>, path: &str) -> Option<String> {
        let files = self.files.get(machine)?;
        let file = files.file(system, path)?;
        let package = file.package.as_ref()?.to_string();
        let is_own = match &*file.kind {
            "file" => is_as_shipped(&file.package_check),
            "directory" => file.package_check.as_ref() == "no-digest",
            "symlink" => {
                file.package_check.as_ref() == "no-digest"
                    && (file.target.as_ref().is_some_and(|t| t.bytes() == b"/dev/null")
                        || files.resolved(file).is_some_and(|f| is_as_shipped(&f.package_check) || is_folder(f)))
            }
            _ => false,
        };
        is_own.then_some(package)
    }
    /// The package that ships what a link leads to.
    fn leads_to(&self, row: &Row<'_>, link: &File) -> Option<String> {
        let at = self.files.get(row.machine)?.resolved(link)?;
        is_as_shipped(&at.package_check).then(|| at.package.as_ref().map(ToString::to_string))?
    }
}

fn is_folder(file: &File) -> bool {
    &*file.kind == "directory" && &*file.package_check == "no-digest"
}

fn is_file(row: &Row<'_>) -> bool {
    row.table.table().name == "files"
}

fn shipped(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let file = row.file?;
    // What carries no digest may be a folder or a link, of which a list of names says enough where nothing was read through it.
    let named = is_file(row) && &*file.package_check == "no-digest" && matches!(&*file.kind, "directory" | "symlink");
    let named = named.then(|| file.package.as_ref().map(ToString::to_string)).flatten();
    named.or_else(|| ground.owner(row.machine, row.system, row.path)).map(|owner| vec![owner])
}

fn program_moved(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    if row.table.table().name != "starts" || !matches!(row.columns, [("program", _)]) {
        return None;
    }
    let program = cell(row.table, row.at, "program");
    ground.owner(row.machine, row.system, &program).map(|owner| vec![owner])
}

/// The package of which dpkg keeps a file, and what it is.
pub(super) fn of_database(path: &str) -> Option<(&str, &str)> {
    let name = path.strip_prefix("/var/lib/dpkg/info/")?;
    let (package, kind) = name.rsplit_once('.')?;
    const KEPT: &[&str] = &[
        "list",
        "md5sums",
        "conffiles",
        "shlibs",
        "symbols",
        "triggers",
        "templates",
        "config",
        "preinst",
        "postinst",
        "prerm",
        "postrm",
    ];
    let package = package.split(':').next().unwrap_or(package);
    KEPT.contains(&kind).then_some((package, kind))
}

fn installation_files(_: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    of_database(row.path).map(|(package, _)| vec![package.to_owned()])
}

fn diversions(_: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let of = |column: &str| cell(row.table, row.at, column);
    let is_diversion = row.table.table().name == "settings" && of("program") == "dpkg" && of("scope") == "diversion";
    let value = of("value");
    let (_, package) = value.rsplit_once(" by ").filter(|_| is_diversion)?;
    Some(vec![package.to_owned()])
}

fn bytecode(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let (folder, name) = row.path.rsplit_once('/').filter(|_| is_file(row))?;
    let (module, rest) = name.strip_suffix(".pyc")?.rsplit_once(".cpython-")?;
    let source = format!("{}/{module}.py", folder.strip_suffix("/__pycache__")?);
    let owner = ground.owner(row.machine, row.system, &source)?;
    // `311` is Python 3.11.
    let version = rest.split('.').next().and_then(|v| v.split_at_checked(1)).map(|(a, b)| format!("{a}.{b}"))?;
    let interpreters = ["python{}-minimal", "python{}", "libpython{}-minimal", "libpython{}-stdlib"];
    let interpreters = interpreters.iter().map(|p| p.replace("{}", &version));
    Some(std::iter::once(owner).chain(interpreters).collect())
}

fn links(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let link = row.file.filter(|f| is_file(row) && &*f.kind == "symlink")?;
    let target = link.target.as_ref()?.plain()?;
    let (folder, name) = row.path.rsplit_once('/')?;
    let sequence = folder.strip_prefix("/etc/rc").and_then(|f| f.strip_suffix(".d"));
    let fits = matches!(folder, "/etc/alternatives" | "/etc/ssl/certs")
        || target.starts_with("/etc/alternatives/")
        || sequence.is_some_and(|level| level.len() == 1)
        || folder.is_empty() && matches!(name, "vmlinuz" | "vmlinuz.old" | "initrd.img" | "initrd.img.old");
    if !fits {
        return None;
    }
    if let Some(version) = target.rsplit_once("boot/initrd.img-").map(|(_, version)| version) {
        return ground.owner(row.machine, row.system, &format!("/boot/vmlinuz-{version}")).map(|owner| vec![owner]);
    }
    ground.leads_to(row, link).map(|owner| vec![owner])
}

fn alternatives(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let name = row.path.strip_prefix("/var/lib/dpkg/alternatives/").filter(|_| is_file(row))?;
    let link = ground.files.get(row.machine)?.file(row.system, &format!("/etc/alternatives/{name}"))?;
    ground.leads_to(row, link).map(|owner| vec![owner])
}

fn enabled_units(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let file = row.file.filter(|_| is_file(row))?;
    for (helper, settings, units) in [
        ("/var/lib/systemd/deb-systemd-helper-enabled", "/etc/systemd/system", "/usr/lib/systemd/system"),
        ("/var/lib/systemd/deb-systemd-user-helper-enabled", "/etc/systemd/user", "/usr/lib/systemd/user"),
    ] {
        let unit = |name: &str| ground.owner(row.machine, row.system, &format!("{units}/{name}"));
        if let Some(name) = row.path.strip_prefix(helper).filter(|_| &*file.kind == "file" && file.size < 4096) {
            let name = name.rsplit_once('/')?.1;
            return unit(name.strip_suffix(".dsh-also").unwrap_or(name)).map(|owner| vec![owner]);
        }
        if let Some(name) = row.path.strip_prefix(settings).filter(|_| &*file.kind == "symlink") {
            let record = format!("{helper}{name}");
            ground.files.get(row.machine)?.file(row.system, &record)?;
            return ground.leads_to(row, file).map(|owner| vec![owner]);
        }
    }
    None
}

fn authorities(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    const STORE: &str = "/etc/ssl/certs/ca-certificates.crt";
    let owner = || Some(vec!["ca-certificates".to_owned()]);
    match row.table.table().name {
        "certificates" if row.path.starts_with("/etc/ssl/certs/") => {
            (cell(row.table, row.at, "packaged") == "true").then(owner)?
        }
        "files" if row.path == STORE => {
            let all = &ground.inventories.get(row.machine)?.certificates;
            let mut of_store =
                all.iter().filter(|c| c.system == row.system && c.path.bytes() == STORE.as_bytes()).peekable();
            (of_store.peek().is_some() && of_store.all(|c| c.packaged)).then(owner)?
        }
        "files" if row.path == "/etc/ca-certificates.conf" => owner(),
        _ => None,
    }
}

fn kernel(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    row.file.filter(|f| is_file(row) && &*f.kind == "file" && !is_program(row.table, row.at))?;
    let index = || {
        let (version, name) = row.path.strip_prefix("/usr/lib/modules/")?.split_once('/')?;
        (name.starts_with("modules.") && !name.contains('/')).then_some(version)
    };
    let version = row.path.strip_prefix("/boot/initrd.img-").or_else(index)?;
    ground.owner(row.machine, row.system, &format!("/boot/vmlinuz-{version}")).map(|owner| vec![owner])
}

/// What triggers make from other files.
struct Made {
    /// Beginnings of paths.
    at: &'static [&'static str],
    /// The package whose program makes it.
    by: &'static [&'static str],
    /// The folder of what it is made from; empty where packages register by scripts.
    from: &'static str,
}

const MADE: &[Made] = &[
    Made { at: &["/usr/share/mime/"], by: &["shared-mime-info"], from: "/usr/share/mime/packages/" },
    Made { at: &["/usr/lib/udev/hwdb.bin"], by: &["udev", "systemd-hwdb"], from: "/usr/lib/udev/hwdb.d/" },
    Made {
        at: &["/etc/xml/", "/var/lib/xml-core/", "/usr/local/share/xml/"],
        by: &["xml-core"],
        from: "/usr/share/xml/",
    },
    Made {
        at: &["/etc/sgml/", "/var/lib/sgml-base/", "/usr/local/share/sgml/"],
        by: &["sgml-base"],
        from: "/usr/share/sgml/",
    },
];

fn made(ground: &Ground<'_>, row: &Row<'_>) -> Option<Vec<String>> {
    let file = row.file.filter(|_| is_file(row))?;
    let is_data = matches!(&*file.kind, "file" | "symlink" | "directory") && !is_program(row.table, row.at);
    // What a package was to put there is its own, or is not as it ships it.
    if !is_data || file.package.is_some() {
        return None;
    }
    let fits = |m: &&Made| m.at.iter().any(|at| row.path.starts_with(at)) && !row.path.starts_with(m.from);
    let (at, made) = MADE.iter().enumerate().find(|(_, m)| fits(m))?;
    let inputs = ground.inputs.get(&(row.system, at)).into_iter().flatten().cloned();
    Some(made.by.iter().map(|p| (*p).to_owned()).chain(inputs).collect())
}
