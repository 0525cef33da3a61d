//! Access control lists of POSIX 1003.1e draft 17, in the forms in which file systems and archives keep them: the
//! attribute that Linux shows (version 2), the shorter one on the disks of ext, F2FS and JFFS2 (version 1), that of
//! XFS (big-endian), and the text of pax archives.
//! Format: `linux/posix_acl_xattr.h`, `fs/ext4/acl.h` and `fs/xfs/libxfs/xfs_format.h` for the layouts; acl(5).
use super::little::{u16_at, u32_at};
use std::fmt::Write as _;

/// Attribute, what its entries are called in addition, and how they are kept.
const NAMES: &[(&[u8], &str, Form)] = &[
    (b"system.posix_acl_access", "", Form::Linux),
    (b"trusted.SGI_ACL_FILE", "", Form::Xfs),
    (b"SCHILY.acl.access", "", Form::Text),
    (b"system.posix_acl_default", "default:", Form::Linux),
    (b"trusted.SGI_ACL_DEFAULT", "default:", Form::Xfs),
    (b"SCHILY.acl.default", "default:", Form::Text),
];

#[derive(Clone, Copy)]
enum Form {
    Linux,
    Xfs,
    Text,
}

const USER: u32 = 0x02;
const GROUP: u32 = 0x08;

/// More entries than the kernel keeps in any list; longer ones are shown up to here.
const MAX: usize = 4096;

fn be32_at(bytes: &[u8], at: usize) -> Option<u32> {
    u32_at(bytes, at).map(u32::swap_bytes)
}

/// The lists among a file's attributes as `getfacl` writes their entries, separated by commas; empty where there are none. A
/// list that is broken is shown as far as it goes, with `…` at its end.
pub fn text<'a>(attribute: impl Fn(&[u8]) -> Option<&'a [u8]>) -> String {
    let mut out = String::new();
    let mut told = None;
    for (name, prefix, form) in NAMES {
        // One list in two forms, as tar may write it, is one list.
        let Some(value) = attribute(name).filter(|_| told != Some(*prefix)) else { continue };
        told = Some(*prefix);
        let whole = match form {
            Form::Linux => linux(value, prefix, &mut out),
            Form::Xfs => xfs(value, prefix, &mut out),
            Form::Text => written(value, prefix, &mut out),
        };
        if whole.is_none() {
            add(&mut out, format_args!("{prefix}…"));
        }
    }
    out
}

fn add(out: &mut String, entry: std::fmt::Arguments<'_>) {
    if !out.is_empty() {
        out.push(',');
    }
    // Writing into text does not fail.
    let _ = out.write_fmt(entry);
}

fn entry(out: &mut String, prefix: &str, tag: u32, id: u32, bits: u32) -> Option<()> {
    let rights = [(4, 'r'), (2, 'w'), (1, 'x')].map(|(bit, letter)| if bits & bit == 0 { '-' } else { letter });
    let rights: String = rights.iter().collect();
    match tag {
        0x01 => add(out, format_args!("{prefix}user::{rights}")),
        USER => add(out, format_args!("{prefix}user:{id}:{rights}")),
        0x04 => add(out, format_args!("{prefix}group::{rights}")),
        GROUP => add(out, format_args!("{prefix}group:{id}:{rights}")),
        0x10 => add(out, format_args!("{prefix}mask::{rights}")),
        0x20 => add(out, format_args!("{prefix}other::{rights}")),
        _ => return None,
    }
    Some(())
}

/// Both versions; `None` where the value does not end with an entry.
fn linux(value: &[u8], prefix: &str, out: &mut String) -> Option<()> {
    let version = u32_at(value, 0)?;
    let mut at = 4;
    for _ in 0..MAX {
        if at == value.len() {
            return Some(());
        }
        let (tag, bits) = (u32::from(u16_at(value, at)?), u32::from(u16_at(value, at.checked_add(2)?)?));
        let has_id = version == 2 || matches!(tag, USER | GROUP);
        let id = if has_id { u32_at(value, at.checked_add(4)?)? } else { 0 };
        entry(out, prefix, tag, id, bits)?;
        at = at.checked_add(if has_id { 8 } else { 4 })?;
    }
    None
}

fn xfs(value: &[u8], prefix: &str, out: &mut String) -> Option<()> {
    let count = usize::try_from(be32_at(value, 0)?).ok()?;
    let mut at = 4_usize;
    for _ in 0..count.min(MAX) {
        let bits = u32::from(u16_at(value, at.checked_add(8)?)?.swap_bytes());
        entry(out, prefix, be32_at(value, at)?, be32_at(value, at.checked_add(4)?)?, bits)?;
        at = at.checked_add(12)?;
    }
    (count <= MAX).then_some(())
}

/// Text of `tar --acls`: entries, separated by commas or lines, with the names of accounts and perhaps their numbers.
fn written(value: &[u8], prefix: &str, out: &mut String) -> Option<()> {
    let text = std::str::from_utf8(value).ok()?;
    for entry in text.split([',', '\n']).map(str::trim).filter(|e| !e.is_empty() && !e.starts_with('#')).take(MAX) {
        if entry.chars().any(char::is_control) || entry.matches(':').count() < 2 {
            return None;
        }
        add(out, format_args!("{prefix}{entry}"));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &'static [u8], value: &[u8]) -> String {
        text(|wanted| (wanted == name).then_some(value))
    }

    #[test]
    fn each_form_tells_the_same() {
        let wide = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16,
            0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
        ];
        let narrow = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 7, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 16, 0, 7, 0, 32, 0, 0, 0];
        let mut xfs = vec![0, 0, 0, 5];
        for (tag, id, bits) in [(1_u8, 0_u16, 6_u8), (2, 1000, 7), (4, 0, 4), (16, 0, 7), (32, 0, 0)] {
            xfs.extend([0, 0, 0, tag, 0, 0]);
            xfs.extend(id.to_be_bytes());
            xfs.extend([0, bits, 0, 0]);
        }
        let expected = "user::rw-,user:1000:rwx,group::r--,mask::rwx,other::---";
        assert_eq!(one(b"system.posix_acl_access", &wide), expected);
        assert_eq!(one(b"system.posix_acl_access", &narrow), expected);
        assert_eq!(one(b"trusted.SGI_ACL_FILE", &xfs), expected);
        assert_eq!(one(b"SCHILY.acl.access", expected.as_bytes()), expected);
        let default = expected.split(',').map(|e| format!("default:{e}")).collect::<Vec<_>>().join(",");
        assert_eq!(one(b"system.posix_acl_default", &wide), default);
    }
    #[test]
    fn broken_lists_are_shown_as_far_as_they_go() {
        let narrow = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 7, 0, 0xe8, 3];
        assert_eq!(one(b"system.posix_acl_access", &narrow), "user::rw-,…");
        assert_eq!(one(b"system.posix_acl_access", &[]), "…");
        assert_eq!(one(b"trusted.SGI_ACL_FILE", &[255, 255, 255, 255]), "…");
        assert_eq!(one(b"SCHILY.acl.access", b"user::rw-\n\x1b[2Ja:b:c"), "user::rw-,…");
        assert_eq!(one(b"none", b"x"), "");
        let both = |name: &[u8]| name.starts_with(b"SCHILY").then_some(b"user::r--".as_slice());
        assert_eq!(text(both), "user::r--,default:user::r--");
    }
}
