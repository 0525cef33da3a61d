//! What the headers of layers that are not read tell all the same: which device this is, and what it vouches for.
//! Formats: `Documentation/admin-guide/device-mapper/verity.rst` and `dm-integrity.rst` of the kernel with the
//! superblocks of cryptsetup; Android Verified Boot 2.0, `avb_vbmeta_image.h`.
use crate::base::hex;
use crate::image::{Source, read_exact};

/// One line on a header that begins the source, by the name that its signature has; empty where nothing is known of it.
pub fn described(source: &Source, name: &str) -> String {
    let read = |len: usize| read_exact(&**source, 0, len).ok().flatten().unwrap_or_default();
    match name {
        "dm-verity hash device" => verity(&read(512)),
        "dm-integrity device" => integrity(&read(64)),
        "Android verified boot metadata (vbmeta)" => vbmeta(&read(256)),
        _ => None,
    }
    .unwrap_or_default()
}

fn le32(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(b.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
fn le64(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(b.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
fn be32(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(b.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
fn text(b: &[u8], at: usize, len: usize) -> Option<String> {
    let bytes = b.get(at..at.checked_add(len)?)?.split(|b| *b == 0).next()?;
    Some(String::from_utf8_lossy(bytes).escape_debug().to_string())
}

fn verity(b: &[u8]) -> Option<String> {
    let salt = usize::from(u16::from_le_bytes(b.get(80..82)?.try_into().ok()?)).min(256);
    let uuid = hex(b.get(16..32)?);
    let (blocks, size) = (le64(b, 72)?, le32(b, 64)?);
    let algorithm = text(b, 32, 32)?;
    let salt = hex(b.get(88..88_usize.checked_add(salt)?)?);
    Some(format!(
        "hash type {}, {algorithm}, {blocks} data blocks of {size} bytes, hash blocks of {} bytes, salt {}, UUID {uuid}; the \
         root hash is kept elsewhere, so that nothing is checked against it",
        le32(b, 12)?,
        le32(b, 68)?,
        if salt.is_empty() { "none" } else { &salt },
    ))
}

fn integrity(b: &[u8]) -> Option<String> {
    let tag = u16::from_le_bytes(b.get(10..12)?.try_into().ok()?);
    let (sectors, flags) = (le64(b, 16)?, le32(b, 24)?);
    let bits = [
        (1, "journal of MACs"),
        (2, "recalculating"),
        (4, "bitmap in place of the journal"),
        (8, "padding fixed"),
        (16, "HMAC fixed"),
    ];
    let flags: Vec<&str> = bits.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let flags = if flags.is_empty() { "no flags".to_owned() } else { flags.join(", ") };
    Some(format!("version {}, {sectors} sectors of data, tags of {tag} bytes, {flags}", b.get(8)?))
}

fn vbmeta(b: &[u8]) -> Option<String> {
    let algorithm = match be32(b, 28)? {
        0 => "not signed",
        1 => "signed with RSA 2048 (SHA-256)",
        2 => "signed with RSA 4096 (SHA-256)",
        3 => "signed with RSA 8192 (SHA-256)",
        4 => "signed with RSA 2048 (SHA-512)",
        5 => "signed with RSA 4096 (SHA-512)",
        6 => "signed with RSA 8192 (SHA-512)",
        _ => "signed in an unknown way",
    };
    let flags = be32(b, 120)?;
    let off = [(1, "; verity is switched off by its flags"), (2, "; verification is switched off by its flags")];
    let off: String = off.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, what)| *what).collect();
    let by = text(b, 128, 48)?;
    Some(format!("{algorithm}, made by “{by}”{off}; what it vouches for is not checked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn headers_tell_what_they_vouch_for() {
        let mut verity = b"verity\0\0".to_vec();
        verity.extend([1, 0, 0, 0, 1, 0, 0, 0]);
        verity.extend([0xab; 16]);
        verity.extend(b"sha256");
        verity.resize(64, 0);
        verity.extend([0, 16, 0, 0, 0, 16, 0, 0]);
        verity.extend(1234_u64.to_le_bytes());
        verity.extend([4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        verity.resize(4096, 0);
        let source: Source = Arc::new(verity.clone());
        let told = described(&source, "dm-verity hash device");
        assert!(told.starts_with(
            "hash type 1, sha256, 1234 data blocks of 4096 bytes, hash blocks of 4096 bytes, salt 01020304"
        ));
        let mut vbmeta = vec![0; 256];
        vbmeta.splice(28..32, 2_u32.to_be_bytes());
        vbmeta.splice(120..124, 3_u32.to_be_bytes());
        vbmeta.splice(128..141, *b"avbtool 1.2.0");
        let source: Source = Arc::new(vbmeta);
        let told = described(&source, "Android verified boot metadata (vbmeta)");
        assert!(told.contains("RSA 4096 (SHA-256), made by “avbtool 1.2.0”; verity is switched off"), "{told}");
        for end in 0..verity.len().min(400) {
            verity.truncate(400 - end);
            let source: Source = Arc::new(verity.clone());
            let names = ["dm-verity hash device", "dm-integrity device", "Android verified boot metadata (vbmeta)"];
            names.iter().for_each(|name| drop(described(&source, name)));
        }
    }
}
