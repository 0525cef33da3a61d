//! One row of the files table: an entry, its inode, and what reading its content gave.
use crate::base::{Digest, Evidence, ImageRun, Name, hex};
use crate::evidence::{Entry, Tree};
use crate::format::acl;
use crate::fs::{NAME_TIMES, NodeKind, OWNERS, is_told, name_times, owners};
use crate::inventory::{File, Mode};
use std::sync::Arc;

/// What the pass over the contents learned of a regular file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub sha256: Option<Digest>,
    /// Empty unless asked for.
    pub sha1: String,
    /// Empty unless asked for.
    pub md5: String,
    pub unhashed: Arc<str>,
    pub kind: &'static str,
    pub runs: Vec<ImageRun>,
}

/// Who owns an entry and whether it is as shipped; see `files.package_check`.
#[derive(Clone, Debug, Default)]
pub(super) struct Vouched {
    pub package: Option<Arc<str>>,
    pub check: &'static str,
}

pub(super) fn file_row(system: Option<u32>, tree: &Tree, entry: &Entry, content: Content, vouched: Vouched) -> File {
    let evidence = Evidence {
        filesystem: entry.fs,
        path: entry.path.clone(),
        node: entry.node,
        deleted: entry.deleted,
        sha256: content.sha256,
        image_runs: content.runs,
        ..Evidence::default()
    };
    let mut row = File {
        system,
        path: entry.path.clone(),
        kind: entry.kind().as_str().into(),
        content: content.kind.into(),
        sha256: content.sha256,
        sha1: content.sha1,
        md5: content.md5,
        unhashed: content.unhashed,
        package: vouched.package,
        package_check: vouched.check.into(),
        deleted: entry.deleted,
        layer: entry.layer.clone().unwrap_or_default(),
        covered: entry.covered.as_str().into(),
        evidence,
        ..File::default()
    };
    let Some(stat) = &entry.stat else { return row };
    row.size = stat.len;
    row.allocated = stat.allocated;
    row.mode = Mode(stat.mode);
    row.uid = stat.uid;
    row.gid = stat.gid;
    row.links = stat.links;
    row.modified = stat.times.modified;
    row.accessed = stat.times.accessed;
    row.changed = stat.times.changed;
    row.created = stat.times.created;
    row.deleted_at = stat.times.deleted;
    row.flags = stat.flags.iter().map(|f| (*f).to_owned()).collect();
    let value = |wanted: &[u8]| stat.xattrs.iter().find(|(name, _)| name.bytes() == wanted).map(|(_, v)| v.as_slice());
    row.name_times = value(NAME_TIMES).map(name_times).unwrap_or_default().into();
    let (owner, group) = value(OWNERS).map(owners).unwrap_or_default();
    (row.owner_sid, row.group_sid) = (owner.into(), group.into());
    row.xattrs = stat.xattrs.iter().filter(|(n, _)| !is_told(n.bytes())).map(|(name, _)| name.display()).collect();
    row.acl = acl::text(value).into();
    row.capabilities = value(b"security.capability").map(capabilities).unwrap_or_default().into();
    if stat.kind == NodeKind::Symlink && !entry.deleted {
        row.target = tree.fs.read_link(entry.node).ok().map(Name::from);
    }
    row
}

/// `vfs_cap_data` (linux/capability.h) in the notation of getcap(8); hex if it is none.
fn capabilities(value: &[u8]) -> String {
    let word = |at: usize| value.get(at..at.saturating_add(4)).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let Some(magic) = word(0) else { return hex(value) };
    let (permitted, inheritable) = match (magic >> 24, value.len()) {
        (1, 12) => (u64::from(word(4).unwrap_or(0)), u64::from(word(8).unwrap_or(0))),
        (2, 20) | (3, 24) => {
            let wide = |low, high| u64::from(word(low).unwrap_or(0)) | (u64::from(word(high).unwrap_or(0)) << 32);
            (wide(4, 12), wide(8, 16))
        }
        _ => return hex(value),
    };
    let effective = if magic & 1 == 1 { "e" } else { "" };
    let named = |bits: u64| {
        (0..64_usize)
            .filter(|bit| bits >> bit & 1 == 1)
            .map(|bit| CAPABILITIES.get(bit).map_or_else(|| format!("cap_{bit}"), |n| format!("cap_{n}")))
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut parts = Vec::new();
    if permitted & inheritable != 0 {
        parts.push(format!("{}={effective}ip", named(permitted & inheritable)));
    }
    if permitted & !inheritable != 0 {
        parts.push(format!("{}={effective}p", named(permitted & !inheritable)));
    }
    if inheritable & !permitted != 0 {
        parts.push(format!("{}=i", named(inheritable & !permitted)));
    }
    parts.join(" ")
}

/// capabilities(7), by bit.
const CAPABILITIES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_as_getcap_writes_them() {
        // What setcap cap_net_raw+ep writes.
        let ping = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(capabilities(&ping), "cap_net_raw=ep");
        assert_eq!(capabilities(&[1, 2]), "0102");
    }
}
