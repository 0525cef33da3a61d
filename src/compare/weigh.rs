//! How telling a difference is: the documented order by which differences are ranked.
use crate::baseline::named as cell;
use crate::inventory::AnyTable;
use serde::Serialize;

/// What a difference bears on, the most telling first. The order of the variants is the order of the ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Ways out and in: connections, listeners, hosts that configuration names, modems.
    Ways,
    /// What starts by itself: services, tasks, starts, what the boot loader is told.
    Starts,
    /// Programs and modules that no package owns, or that run with another's rights; containers.
    Programs,
    /// Accounts, keys, rights, trusted authorities.
    Accounts,
    /// Packaged files whose content is not that of the package.
    Altered,
    /// Interfaces, routes, packet filter, names.
    Traffic,
    /// Settings, and files of /etc.
    Configuration,
    /// Packages and components, and what follows from their versions.
    Packages,
    /// All else.
    Rest,
}

impl Class {
    pub const ALL: &[Self] = &[
        Self::Ways,
        Self::Starts,
        Self::Programs,
        Self::Accounts,
        Self::Altered,
        Self::Traffic,
        Self::Configuration,
        Self::Packages,
        Self::Rest,
    ];
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ways => "ways out and in",
            Self::Starts => "what starts",
            Self::Programs => "programs of no package, or with other rights",
            Self::Accounts => "accounts, keys and rights",
            Self::Altered => "packaged files with other content",
            Self::Traffic => "interfaces, routes, packet filter, names",
            Self::Configuration => "configuration",
            Self::Packages => "packages",
            Self::Rest => "other",
        }
    }
}

/// A kernel module by its name.
pub(super) fn is_module(path: &str) -> bool {
    [".ko", ".ko.xz", ".ko.gz", ".ko.zst"].iter().any(|end| path.ends_with(end))
}

/// Settings of sshd that say who is let in, and how.
const LETS_IN: &[&str] = &[
    "PermitRootLogin",
    "PasswordAuthentication",
    "PermitEmptyPasswords",
    "KbdInteractiveAuthentication",
    "AuthenticationMethods",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "AuthorizedPrincipalsFile",
    "AuthorizedPrincipalsCommand",
    "TrustedUserCAKeys",
    "AllowUsers",
    "AllowGroups",
    "DenyUsers",
    "DenyGroups",
];

/// Python's bytecode, which is loaded without its source being looked at.
fn is_bytecode(path: &str) -> bool {
    [".pyc", ".pyo"].iter().any(|end| path.ends_with(end))
}

/// A kernel or its initramfs: it runs before anything else.
fn starts_the_system(path: &str) -> bool {
    let name = path.strip_prefix("/boot/").unwrap_or_default();
    ["initrd", "initramfs", "vmlinuz", "vmlinux"].iter().any(|begin| name.starts_with(begin))
}

/// Of accounts and groups those that let nobody in by themselves: what packages make for their services.
fn is_quiet(table: &dyn AnyTable, row: usize) -> bool {
    let of = |column: &str| cell(table, row, column);
    match table.table().name {
        "accounts" => of("login") == "false" && of("uid") != "0",
        "groups" => of("members").is_empty() && of("gid") != "0",
        _ => false,
    }
}

/// Whether a package vouches for a file's content, by the machine's own database.
pub(super) fn is_as_shipped(check: &str) -> bool {
    matches!(check, "ok" | "conffile-ok")
}

/// What a row bears on; `check` is what the machine's package database says of the file it was read from.
pub(super) fn class(table: &dyn AnyTable, row: usize, check: &str) -> Class {
    let of = |column: &str| cell(table, row, column);
    match table.table().name {
        "endpoints" if of("class") == "loopback" => Class::Configuration,
        "connections" | "listeners" | "leases" | "endpoints" => Class::Ways,
        "devices"
            if matches!(
                of("class").as_str(),
                "cellular" | "cellular-vendor" | "maybe-cellular" | "satellite" | "phone" | "sim"
            ) =>
        {
            Class::Ways
        }
        "interfaces" if matches!(of("kind").as_str(), "ppp" | "wwan" | "tunnel" | "wifi") => Class::Ways,
        "services" | "tasks" | "starts" => Class::Starts,
        "boot_environment" if matches!(of("role").as_str(), "command" | "arguments") => Class::Starts,
        "containers" => Class::Programs,
        "drivers" if !is_as_shipped(check) => Class::Programs,
        "files" | "binaries" => file_class(table, row, check),
        "accounts" | "groups" if is_quiet(table, row) => Class::Configuration,
        "accounts" | "groups" | "sudoers" | "keys" => Class::Accounts,
        "settings" if of("program") == "sshd" && LETS_IN.contains(&of("name").as_str()) => Class::Accounts,
        "certificates" if !of("store").is_empty() && of("packaged") != "true" => Class::Accounts,
        "interfaces" | "routes" | "firewall" | "names" => Class::Traffic,
        "settings" | "driver_settings" | "boot_environment" => Class::Configuration,
        "packages" | "components" => Class::Packages,
        _ => Class::Rest,
    }
}

fn file_class(table: &dyn AnyTable, row: usize, check: &str) -> Class {
    let of = |column: &str| cell(table, row, column);
    let path = of("path");
    if table.table().name == "files" && of("deleted") == "true" {
        return Class::Rest;
    }
    let mode = u32::from_str_radix(&of("mode"), 8).unwrap_or_default();
    let privileged = of("kind") == "file" && (mode & 0o6000 != 0 || !of("capabilities").is_empty());
    let loaded = of("kind") == "file" && (is_bytecode(&path) || starts_the_system(&path));
    let runs = loaded || table.table().name == "binaries" || super::variation::is_guarded(table, row);
    match check {
        "differs" | "component-differs" => Class::Altered,
        _ if privileged => Class::Programs,
        check if runs && !is_as_shipped(check) => Class::Programs,
        _ if path.starts_with("/etc/") || path.starts_with("/boot/") => Class::Configuration,
        _ => Class::Rest,
    }
}
