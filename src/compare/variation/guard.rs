//! What no rule of expected variation explains, whoever wrote it.
use crate::baseline::named as cell;
use crate::inventory::AnyTable;

/// Tables of which whole rows are never expected variation: what runs, starts, lets in or leads out.
pub(super) const WHOLE_ROWS: &[&str] = &[
    "binaries",
    "services",
    "tasks",
    "starts",
    "connections",
    "routes",
    "firewall",
    "listeners",
    "endpoints",
    "drivers",
    "packages",
    "containers",
    "accounts",
    "groups",
    "sudoers",
    "boot_environment",
];

/// Folders in which no rule may stand for all that lies there.
pub(super) const TOO_BROAD: &[&str] = &[
    "/",
    "/etc/",
    "/usr/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/local/",
    "/usr/share/",
    "/usr/libexec/",
    "/opt/",
    "/boot/",
    "/home/",
    "/root/",
    "/srv/",
    "/var/",
    "/var/lib/",
    "/var/spool/",
];

/// Whether the row is of a kind that no rule explains but for its times.
pub(in crate::compare) fn is_guarded(table: &dyn AnyTable, row: usize) -> bool {
    let of = |column: &str| cell(table, row, column);
    match table.table().name {
        "files" => is_program(table, row),
        "binaries" | "drivers" => true,
        "accounts" => of("login") == "true" || of("uid") == "0",
        "keys" => !matches!(of("kind").as_str(), "host" | "known-host"),
        _ => false,
    }
}

/// A file that can run, or be loaded into what runs; a device node.
pub(in crate::compare) fn is_program(table: &dyn AnyTable, row: usize) -> bool {
    let of = |column: &str| cell(table, row, column);
    let mode = u32::from_str_radix(&of("mode"), 8).unwrap_or_default();
    let executable = match of("kind").as_str() {
        "file" => mode & 0o6111 != 0,
        "directory" => mode & 0o6000 == 0o6000,
        "char-device" | "block-device" => true,
        _ => false,
    };
    executable
        || !of("capabilities").is_empty()
        || matches!(of("content").as_str(), "elf" | "script" | "pe")
        || crate::compare::weigh::is_module(&of("path"))
}
