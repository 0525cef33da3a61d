//! Packages of Alpine and of OpenWrt before its third form: gzip streams one behind another, of a signature, of metadata
//! and of contents, that together are one tar archive.
//! Format: "Apk spec" of the Alpine wiki (v2); the third form (ADB) is not read.
use super::members::Members;
use super::{Reading, info};
use crate::image::{Cursor, Source};
use crate::inventory::PackageManifest;
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};
use std::io::{BufReader, Read, Seek as _, SeekFrom};

pub(super) fn read(_: &Reading, source: &Source, tree: &Members) -> Result<PackageManifest, String> {
    let about = tree.find(".PKGINFO").ok_or("no package: it has no .PKGINFO")?;
    let about = tree.text(about)?;
    let listed = info(&about, "datahash");
    if !listed.is_empty() && contents_hash(source)? != listed {
        return Err("it contradicts itself: its contents have not the SHA-256 that its .PKGINFO lists".into());
    }
    let mut manifest = PackageManifest {
        family: "apk".into(),
        name: info(&about, "pkgname").into(),
        version: info(&about, "pkgver").into(),
        architecture: info(&about, "arch").into(),
        ..PackageManifest::default()
    };
    for (file, _) in tree.files()? {
        let path = file.path.display();
        match path.strip_prefix("/.") {
            // Signature, metadata and scripts stand at the top, with names that begin with a dot.
            Some(name) if !name.contains('/') => {
                if !name.starts_with("SIGN.") && name != "PKGINFO" {
                    manifest.scripts.push(name.to_owned());
                }
            }
            _ => manifest.files.push(file),
        }
    }
    // What lies in /etc is protected when apk upgrades, as conffiles are.
    manifest.files.iter_mut().for_each(|f| f.config = f.path.bytes().starts_with(b"/etc/"));
    Ok(manifest)
}

/// SHA-256 of the last gzip stream as it stands, which holds the contents.
fn contents_hash(source: &Source) -> Result<String, String> {
    let fail = |e: std::io::Error| e.to_string();
    let mut starts = vec![0_u64];
    let mut at = 0_u64;
    loop {
        let mut cursor = Cursor::new(&**source);
        cursor.seek(SeekFrom::Start(at)).map_err(fail)?;
        let mut counted = Counted { from: BufReader::new(cursor), taken: 0 };
        let mut decoder = GzDecoder::new(&mut counted);
        std::io::copy(&mut decoder, &mut std::io::sink()).map_err(fail)?;
        at = at.saturating_add(counted.taken);
        if at >= source.len() || starts.len() > 3 || counted.taken == 0 {
            break;
        }
        starts.push(at);
    }
    let mut cursor = Cursor::new(&**source);
    cursor.seek(SeekFrom::Start(starts.last().copied().unwrap_or(0))).map_err(fail)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = cursor.read(&mut buffer).map_err(fail)?;
        if n == 0 {
            return Ok(crate::base::hex(&hash.finalize()));
        }
        hash.update(buffer.get(..n).unwrap_or_default());
    }
}

/// Counts the bytes that a decoder really takes.
struct Counted<R> {
    from: BufReader<R>,
    taken: u64,
}
impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(into)?;
        self.taken = self.taken.saturating_add(n as u64);
        Ok(n)
    }
}
impl<R: Read> std::io::BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.from.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        self.taken = self.taken.saturating_add(amount as u64);
        self.from.consume(amount);
    }
}
