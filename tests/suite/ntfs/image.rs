//! Makes images, mounts them with ntfs-3g, and looks into them.
use crate::look::{self, Look, Mount, Random, below, tool};
use cranescope::evidence::Entry;
use cranescope::fs::NodeKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether images can be made and mounted; says so where they cannot.
pub(super) fn tools() -> bool {
    let fuse = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !fuse {
        eprintln!("skipped: FUSE cannot be used");
    }
    look::tools(&["mkntfs", "ntfs-3g", "umount"]) && fuse
}

pub(super) struct Image(look::Image);
impl std::ops::Deref for Image {
    type Target = look::Image;
    fn deref(&self) -> &look::Image {
        &self.0
    }
}
impl Image {
    /// An empty file system of so many MiB.
    pub(super) fn make(options: &[&str], mib: u64) -> Self {
        let image = Self(look::Image::empty(mib));
        let out = tool("mkntfs").args(["-F", "-q", "-Q"]).args(options).arg(image.path()).output().unwrap();
        assert!(out.status.success(), "mkntfs: {}", String::from_utf8_lossy(&out.stderr));
        image
    }
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(look::Image::from_bytes(bytes))
    }
    /// Mounts it; unmounted when the value goes.
    pub(super) fn mount(&self, options: &str) -> Mount {
        let at = self.folder().join("mount");
        std::fs::create_dir_all(&at).unwrap();
        let out = tool("ntfs-3g").args(["-o", options]).arg(self.path()).arg(&at).output().unwrap();
        assert!(out.status.success(), "ntfs-3g: {}", String::from_utf8_lossy(&out.stderr));
        Mount { at, device: None }
    }
    /// Writes into it through a mount.
    pub(super) fn write(&self, fill: impl FnOnce(&Path)) {
        let mount = self.mount("compression,streams_interface=windows,no_def_opts");
        fill(&mount.at);
    }
    pub(super) fn look(&self) -> Look {
        self.0.look("ntfs")
    }
}

/// Text that compresses, and not by repeating itself only.
pub(super) fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["crane", "gantry", "hoist", "spreader", "trolley", "boom", "winch", "quay"];
    let mut random = Random(seed);
    let mut out = Vec::with_capacity(len + 32);
    while out.len() < len {
        let word = WORDS[usize::try_from(random.below(8)).unwrap()];
        out.extend_from_slice(format!("{word} {} ", random.below(1000)).as_bytes());
    }
    out.truncate(len);
    out
}

/// Compares the live tree with a mounted one: names, kinds, sizes, times to the last digit, link
/// targets and every byte. The file system's own files and named streams are left out.
pub(super) fn compare(look: &Look, root: &Path) -> usize {
    let wanted = below(root);
    let is_stream = |e: &Entry| e.node.generation >> 16 != 0;
    let listed: Vec<&[u8]> = look
        .live()
        .filter(|e| !is_stream(e))
        .map(|e| e.path.bytes())
        .filter(|p| *p != b"/" && !p.starts_with(b"/$"))
        .collect();
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).filter(|p| !p.starts_with(b"/$")).collect();
    assert_eq!(listed.len(), names.len());
    assert!(listed == names, "names differ");
    for (path, host) in wanted.iter().filter(|w| !w.0.starts_with(b"/$")) {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        let time = |s: i64, n: i64| (s, u32::try_from(n).unwrap());
        let ours = |t: Option<cranescope::base::Time>| t.map(|t| (t.seconds, t.nanos)).unwrap();
        assert_eq!(ours(stat.times.modified), time(meta.mtime(), meta.mtime_nsec()), "{}", entry.path);
        assert_eq!(ours(stat.times.changed), time(meta.ctime(), meta.ctime_nsec()), "{}", entry.path);
        assert_eq!(ours(stat.times.accessed), time(meta.atime(), meta.atime_nsec()), "{}", entry.path);
        if meta.is_dir() {
            assert_eq!(stat.kind, NodeKind::Directory, "{}", entry.path);
        } else if meta.is_symlink() {
            assert_eq!(stat.kind, NodeKind::Symlink, "{}", entry.path);
            let target = look.fs().read_link(entry.node).unwrap();
            assert_eq!(target, std::fs::read_link(host).unwrap().as_os_str().as_bytes(), "{}", entry.path);
        } else {
            assert_eq!(stat.kind, NodeKind::File, "{}", entry.path);
            assert_eq!(stat.len, meta.len(), "{}", entry.path);
            assert_eq!(u64::from(stat.links), meta.nlink(), "{}", entry.path);
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {}", entry.path);
        }
    }
    wanted.len()
}
