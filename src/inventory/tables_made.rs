//! Tables of what a system is made of beside its packages, and of whom it trusts. Columns are facts of the evidence.
use super::record::record;
use crate::base::{Digest, Name, Time};
use std::sync::Arc;

record! {
    /// Libraries and programs of other package managers, and what programs were built from.
    Component in "components", key [ecosystem, name, version, path] {
        name: String,
        version: String,
        /// python, node, go, rust, php, ruby, java.
        ecosystem: Arc<str>,
        /// installed (files of its own), built-in (compiled into the program at `path`), listed (a lock file names it).
        how: Arc<str>,
        /// The file that tells: its metadata, the program it is built into, the lock file.
        path: Name,
        /// Digest of its source by that file: `h1:…` of Go, `sha512-…` of npm.
        sum: String,
        /// Where its source came from, as far as it is told: a registry, a folder, what it was replaced by (`=> path version`).
        origin: String,
        /// What `files.package` calls it for the files that it lists; empty where it lists none.
        owner: String,
        /// Paths that it lists.
        files: u64,
        /// Digests that it lists.
        listed: u64,
        /// Files whose digest was checked and matches, of those that no package owns.
        matching: u64,
        /// Of those, paths that differ from its digest.
        differing: Vec<String>,
        /// Paths that it lists with a digest and that are not there.
        missing: Vec<String>,
        /// The system's package that owns `path`.
        package: Option<Arc<str>>,
        /// How `path` compares with that package, as in files.
        package_check: Arc<str>,
        /// Why the running system does not show `path`, as in files; empty if it does.
        covered: Arc<str>,
    }
}
record! {
    /// X.509 certificates: authorities that programs trust, and those that servers and clients show.
    Certificate in "certificates", key [subject, fingerprint, path, number] {
        /// `CN=…, O=…, C=…`, as its fields stand.
        subject: String,
        issuer: String,
        /// Hex.
        serial: String,
        /// SHA-256 of the certificate itself.
        fingerprint: Option<Digest>,
        not_before: Option<Time>,
        not_after: Option<Time>,
        /// Kind and bits of its key: `rsa 2048`, `ec 256`.
        key: String,
        /// Algorithm of the signature on it, which is not verified.
        signature: String,
        /// May issue others, by its basic constraints; `None` where it has none (version 1).
        authority: Option<bool>,
        /// Subject and issuer are the same.
        self_issued: bool,
        /// Further names it is for.
        names: Vec<String>,
        /// The file it lies in.
        path: Name,
        /// Its place among the certificates of the file, from 1.
        number: u32,
        /// The store of trusted authorities that the file belongs to: system, source (what is put into the system's), nss, program; empty if it is none.
        store: Arc<str>,
        /// A private key lies in the same file.
        private_key: bool,
        /// The package that owns the file.
        package: Option<Arc<str>>,
        /// How the file compares with that package, as in files.
        package_check: Arc<str>,
        /// A file that is as its package ships it holds this certificate.
        packaged: bool,
        /// Why the running system does not show the file, as in files; empty if it does.
        covered: Arc<str>,
    }
}
record! {
    /// Images and containers that lie on the disk.
    Container in "containers", key [runtime, kind, name, digest] {
        /// docker, podman, containerd, lxc, lxd, nspawn, flatpak, snap.
        runtime: Arc<str>,
        /// image, container.
        kind: Arc<str>,
        /// Name with tag, or the container's own; empty for an image that has none.
        name: String,
        /// `sha256:…` of the image's settings or manifest; of a container its id.
        digest: String,
        /// Of a container: the image it was made of.
        image: String,
        created: Option<Time>,
        /// Number of layers.
        layers: u32,
        /// Layers that the image lists and that are not on this disk.
        layers_missing: u32,
        /// Program and arguments it starts with.
        command: String,
        user: String,
        /// `8080/tcp`; of a container with what they are led to: `0.0.0.0:80 -> 8080/tcp`.
        ports: Vec<String>,
        /// Where its files lie on this disk: the layers' folders, top first, or its root.
        roots: Vec<String>,
        /// Program that starts inside, as it lies on this disk.
        program: Option<Name>,
        /// Of a container: running or stopped when the disk was last written.
        state: Arc<str>,
        /// Network, capabilities and folders of the host it was given, privileges: `key=value`.
        details: Vec<String>,
    }
}
