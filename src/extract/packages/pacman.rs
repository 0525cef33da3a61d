//! Packages of Arch and its kin: one tar archive with metadata at its top, among it a manifest of all contents.
//! Format: alpm-package(7), .PKGINFO, and .MTREE as bsdtar writes it (gzip).
use super::members::Members;
use super::{Reading, info};
use crate::base::Digest;
use crate::inventory::PackageManifest;
use std::collections::HashMap;

pub(super) fn read(reading: &Reading, tree: &Members) -> Result<PackageManifest, String> {
    let about = tree.find(".PKGINFO").ok_or("no package: it has no .PKGINFO")?;
    let about = tree.text(about)?;
    let config: Vec<String> = about
        .lines()
        .filter_map(|l| l.split_once('='))
        .filter(|(k, _)| k.trim() == "backup")
        .map(|(_, v)| format!("/{}", v.trim()))
        .collect();
    let manifest = tree.find(".MTREE").ok_or("no package: it has no .MTREE")?;
    let decoded = reading.decoded(&tree.open(manifest)?).map_err(|e| format!(".MTREE: {e}"))?;
    let len = decoded.len();
    if len > super::LONGEST {
        return Err(format!(".MTREE: {len} bytes are too long"));
    }
    let mut text = vec![0; usize::try_from(len).unwrap_or(0)];
    decoded.read_at(0, &mut text).map_err(|e| format!(".MTREE: {e}"))?;
    let mut listed = sums(&String::from_utf8_lossy(&text))?;
    let mut manifest = PackageManifest {
        family: "pacman".into(),
        name: info(&about, "pkgname").into(),
        version: info(&about, "pkgver").into(),
        architecture: info(&about, "arch").into(),
        ..PackageManifest::default()
    };
    for (mut file, found) in tree.files()? {
        let path = file.path.display();
        if let (Some(found), Some(listed)) = (found, listed.remove(&path))
            && found.sha256 != listed
        {
            return Err(format!("it contradicts itself: {path} has not the SHA-256 that its .MTREE lists"));
        }
        match path.strip_prefix("/.") {
            Some(name) if !name.contains('/') => {
                if name == "INSTALL" {
                    manifest.scripts.push(name.to_owned());
                }
            }
            _ => {
                file.config = config.contains(&path);
                manifest.files.push(file);
            }
        }
    }
    if let Some(path) = listed.keys().min() {
        return Err(format!("it contradicts itself: {path} is listed in its .MTREE and is not in it"));
    }
    Ok(manifest)
}

/// SHA-256 by path; names are escaped in octal.
fn sums(text: &str) -> Result<HashMap<String, Digest>, String> {
    let mut sums = HashMap::new();
    for line in text.lines().filter(|l| l.starts_with("./")) {
        let Some(name) = line.split(' ').next() else { continue };
        let Some(sum) = line.split(' ').find_map(|w| w.strip_prefix("sha256digest=")) else { continue };
        let sum = Digest::parse(sum).ok_or_else(|| format!(".MTREE: {sum:?} is no SHA-256"))?;
        let path = unescaped(name.trim_start_matches('.').as_bytes());
        sums.insert(crate::base::Name::new(&path).display(), sum);
    }
    Ok(sums)
}

/// `\040` is a byte.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, more)) = rest.split_first() {
        let digits = more.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        let escaped = digits.and_then(|d| u8::from_str_radix(d, 8).ok()).filter(|_| *byte == b'\\');
        out.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { more.get(3..).unwrap_or_default() } else { more };
    }
    out
}
