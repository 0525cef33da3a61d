//! What a package says of the files that it ships: read by a worker, taken into a baseline by its parent.
use crate::base::{Digest, Name};
use serde::{Deserialize, Serialize};

/// One package, read from its own file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageManifest {
    /// deb, opkg, rpm, apk, pacman.
    pub family: String,
    pub name: String,
    pub version: String,
    pub architecture: String,
    /// Files and symlinks, by path.
    pub files: Vec<PackagedFile>,
    /// Names of its maintainer scripts.
    pub scripts: Vec<String>,
}
impl PackageManifest {
    /// What tells it from others.
    pub fn key(&self) -> (&str, &str, &str, &str) {
        (&self.family, &self.name, &self.version, &self.architecture)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagedFile {
    /// In the running system.
    pub path: Name,
    /// file or symlink.
    pub kind: String,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: Option<u16>,
    /// Where the package says it by number, or says root.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub target: Option<Name>,
    /// The package expects that it is edited, or that it does not exist yet.
    pub config: bool,
    pub sha256: Option<Digest>,
}
