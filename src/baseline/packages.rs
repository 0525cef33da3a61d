//! Files as packages ship them: what a distribution vouches for, from outside of the examined system.
//!
//! The file is JSON lines like that of rows, schema `cranescope-packages/1`: `["package", family, name, version,
//! architecture]`, then for each of its files `["file", path, kind, mode, uid, gid, target, config, sha256]`, with `null`
//! where the package does not say. Inodes, times and attributes are not vouched for.
use super::file::{About, Sealed};
use crate::base::{Digest, Name};
use crate::inventory::{File, PackageManifest};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A package that is vouched for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// deb, rpm, apk, opkg, pacman.
    pub family: Box<str>,
    pub name: Box<str>,
    pub version: Box<str>,
    pub architecture: Box<str>,
}

/// A file as a package ships it.
#[derive(Clone, Debug)]
pub struct Shipped {
    /// Position of its package.
    pub package: u32,
    is_link: bool,
    mode: Option<u16>,
    uid: Option<u32>,
    gid: Option<u32>,
    target: Option<Box<str>>,
    /// The package expects that it is edited.
    pub config: bool,
    sha256: Option<Digest>,
}

/// How a file stands to what a package ships at its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Content, kind, permissions and owner.
    Same,
    /// The same content; permissions or owner differ, which maintainer scripts may set.
    Attributes,
    /// Another content, or another kind of file.
    Differs,
    /// Its content was not hashed, or the package ships none that could be compared.
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct PackageSet {
    packages: Vec<Package>,
    /// Hash of a path, and a position in `files`; sorted.
    paths: Vec<([u8; 16], u32)>,
    files: Vec<Shipped>,
    /// Content, and a position in `files`; sorted.
    contents: Vec<(Digest, u32)>,
}

type FileLine = (String, String, String, Option<u16>, Option<u32>, Option<u32>, Option<String>, bool, Option<String>);

/// Folders that systems merged below /usr: packages may still ship into the old ones.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"];

impl PackageSet {
    pub(super) fn line(&mut self, text: &str) -> Result<(), String> {
        if text.starts_with("[\"package\"") {
            let (_, family, name, version, architecture): (String, Box<str>, Box<str>, Box<str>, Box<str>) =
                serde_json::from_str(text).map_err(|e| format!("not a package: {e}"))?;
            self.packages.push(Package { family, name, version, architecture });
            return Ok(());
        }
        let (word, path, kind, mode, uid, gid, target, config, sha256): FileLine =
            serde_json::from_str(text).map_err(|e| format!("not a file: {e}"))?;
        if word != "file" {
            return Err(format!("a line of {word:?}"));
        }
        let package = u32::try_from(self.packages.len()).unwrap_or(0).checked_sub(1);
        let package = package.ok_or("a file before the first package")?;
        let sha256 = match sha256 {
            Some(text) => Some(Digest::parse(&text).ok_or("the SHA-256 is not 64 hex digits")?),
            None => None,
        };
        let at = u32::try_from(self.files.len()).map_err(|_| "more files than a set can hold")?;
        self.paths.push((path_hash(&path), at));
        self.contents.extend(sha256.map(|s| (s, at)));
        let target = target.map(String::into_boxed_str);
        self.files.push(Shipped { package, is_link: kind == "symlink", mode, uid, gid, target, config, sha256 });
        Ok(())
    }
    pub(super) fn finish(&mut self) {
        self.paths.sort_unstable();
        self.contents.sort_unstable();
    }
    pub(super) fn holds_content(&self, sha256: &Digest) -> bool {
        self.with_content(sha256).is_some()
    }
    /// A package that ships this content, at whatever path.
    pub fn with_content(&self, sha256: &Digest) -> Option<&Package> {
        let at = self.contents.partition_point(|(s, _)| s < sha256);
        let (found, file) = self.contents.get(at)?;
        if found != sha256 {
            return None;
        }
        self.package(self.files.get(*file as usize)?)
    }
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        [("packages", self.packages.len() as u64), ("files", self.files.len() as u64)].into()
    }
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }
    pub fn package(&self, shipped: &Shipped) -> Option<&Package> {
        self.packages.get(shipped.package as usize)
    }
    /// What packages ship at a path; on a system with a merged /usr also what they ship at the old one.
    pub fn at(&self, path: &Name) -> Vec<&Shipped> {
        let text = path.display();
        let mut found: Vec<&Shipped> = self.of(&text).collect();
        if let Some(rest) = text.strip_prefix("/usr/") {
            let first = rest.split('/').next().unwrap_or_default();
            if MERGED.contains(&first) {
                found.extend(self.of(&format!("/{rest}")));
            }
        }
        found
    }
    fn of(&self, path: &str) -> impl Iterator<Item = &Shipped> {
        let hash = path_hash(path);
        let from = self.paths.partition_point(|(h, _)| *h < hash);
        let rest = self.paths.get(from..).unwrap_or_default();
        rest.iter().take_while(move |(h, _)| *h == hash).filter_map(|(_, at)| self.files.get(*at as usize))
    }
}

impl Shipped {
    /// How a file of the examined system stands to this.
    pub fn likeness(&self, file: &File) -> Likeness {
        if self.is_link {
            let target = file.target.as_ref().map(Name::display);
            return if target.as_deref() == self.target.as_deref() && &*file.kind == "symlink" {
                Likeness::Same
            } else {
                Likeness::Differs
            };
        }
        if &*file.kind != "file" {
            return Likeness::Differs;
        }
        match (self.sha256, file.sha256) {
            (Some(ours), Some(theirs)) if ours == theirs => {
                let mode = self.mode.is_none_or(|m| u32::from(m) == file.mode.0 & 0o7777);
                let owner = self.uid.is_none_or(|u| u == file.uid) && self.gid.is_none_or(|g| g == file.gid);
                if mode && owner { Likeness::Same } else { Likeness::Attributes }
            }
            (Some(_), Some(_)) => Likeness::Differs,
            _ => Likeness::Unknown,
        }
    }
}

fn path_hash(path: &str) -> [u8; 16] {
    super::volatile::key_hash("packaged", &[path.to_owned()])
}

/// Writes the lines of packages, in the order of family, name, version and architecture. The same packages give the same
/// bytes.
pub fn build_packages(about: &About, packages: &mut [PackageManifest], out: &mut dyn Write) -> io::Result<u64> {
    packages.sort_by(|a, b| a.key().cmp(&b.key()));
    let mut lines = Sealed::begin(about, out)?;
    let mut last = None;
    for p in packages.iter() {
        // The same package in two files is one.
        if last == Some(p.key()) {
            continue;
        }
        last = Some(p.key());
        lines.row(&serde_json::to_string(&("package", &p.family, &p.name, &p.version, &p.architecture))?)?;
        for f in &p.files {
            let target = f.target.as_ref().map(Name::display);
            let sha256 = f.sha256.map(|s| s.to_string());
            let line = ("file", f.path.display(), &f.kind, f.mode, f.uid, f.gid, target, f.config, sha256);
            lines.row(&serde_json::to_string(&line)?)?;
        }
    }
    lines.end()
}
