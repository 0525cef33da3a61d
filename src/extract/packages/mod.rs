//! Packages of distributions as they come from their publishers: what each ships, from its own metadata and contents,
//! which must agree. A package that is damaged in any place, or contradicts itself, is no package: nothing of it is used.
mod apk;
mod debian;
mod members;
mod pacman;
mod rpm;

use crate::base::Gaps;
use crate::image::{Alone, Source, Store, open_with, read_exact};
use crate::inventory::PackageManifest;
use members::Members;

/// Longest text of a package's metadata, in bytes.
const LONGEST: u64 = 64 << 20;

/// Reads a package. The error says why it is none, or what is damaged.
pub fn read(source: &Source, store: &Store) -> Result<PackageManifest, String> {
    let head = read_exact(&**source, 0, 8).map_err(|e| e.to_string())?.ok_or("it is shorter than any package")?;
    let reading = Reading { gaps: Gaps::default(), store: store.clone() };
    let mut manifest = if head.starts_with(b"!<arch>\n") {
        debian::read(&reading, &reading.tree(source, "ar")?, "deb")
    } else if head.starts_with(rpm::MAGIC) {
        rpm::read(&reading, source)
    } else {
        let decoded = reading.decoded(source)?;
        let tree = reading.tree(&decoded, "tar").map_err(|_| "no package: neither deb, rpm, apk, ipk nor pkg.tar")?;
        if tree.find("debian-binary").is_some() {
            debian::read(&reading, &tree, "opkg")
        } else if tree.find(".MTREE").is_some() {
            pacman::read(&reading, &tree)
        } else if tree.find(".PKGINFO").is_some() {
            apk::read(&reading, source, &tree)
        } else {
            Err("a tar archive that is no package: it has neither debian-binary nor .PKGINFO".into())
        }
    }?;
    reading.whole()?;
    if manifest.name.is_empty() || manifest.version.is_empty() {
        return Err("its metadata names no package or no version".into());
    }
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    manifest.scripts.sort();
    Ok(manifest)
}

/// What every reader of packages needs: a ledger in which nothing may stand at the end.
struct Reading {
    gaps: Gaps,
    store: Store,
}
impl Reading {
    /// What a compressed stream holds; anything else as it is.
    fn decoded(&self, source: &Source) -> Result<Source, String> {
        let (_, container) =
            open_with(source.clone(), 0, &Alone, &self.gaps, &self.store).map_err(|e| e.to_string())?;
        Ok(container.disk)
    }
    /// The members of an archive of this format.
    fn tree(&self, source: &Source, format: &str) -> Result<Members, String> {
        let format = crate::fs::ALL.iter().find(|f| f.name == format).ok_or("no such archive")?;
        let options =
            crate::fs::Options { gaps: self.gaps.clone(), store: self.store.clone(), ..crate::fs::Options::default() };
        Members::new((format.open)(source, &options).map_err(|e| e.to_string())?)
    }
    /// Nothing was damaged so far.
    fn whole(&self) -> Result<(), String> {
        match self.gaps.take().first() {
            Some(gap) => Err(format!("damaged: {}: {}", gap.by, gap.what)),
            None => Ok(()),
        }
    }
}

/// `key = value` lines of `.PKGINFO`: the first value of a key.
fn info<'a>(text: &'a str, key: &str) -> &'a str {
    let pairs = text.lines().filter_map(|l| l.split_once('='));
    pairs.map(|(k, v)| (k.trim(), v.trim())).find(|(k, _)| *k == key).map_or("", |(_, v)| v)
}
