//! Makes images, mounts them with the kernel, and compares.
use crate::host::{attributes, same_content, same_kind};
use crate::look::{Image, Look, below, run, tool};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program; `CRANESCOPE_EROFS_UTILS` names a folder with newer ones than are installed.
pub(super) fn limited(name: &str) -> Command {
    let newer = std::env::var_os("CRANESCOPE_EROFS_UTILS").map(|dir| PathBuf::from(dir).join(name));
    let Some(program) = newer.filter(|p| p.exists()) else { return tool(name) };
    let mut command = tool("timeout");
    command.arg("60").arg(program);
    command
}

/// The image, or none where the installed tool does not know an option or fails on a tree (older ones do).
pub(super) fn make(root: &Path, options: &[&str]) -> Option<Image> {
    let image = Image::empty(0);
    let out = limited("mkfs.erofs").args(options).arg(image.path()).arg(root).output().unwrap();
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        eprintln!("skipped {options:?}: {}", said.lines().last().unwrap_or_default());
        return None;
    }
    Some(image)
}

/// Unmounted when the value goes.
pub(super) struct Mounted(pub(super) PathBuf);
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = limited("umount").arg("-l").arg(&self.0).output();
    }
}
/// Mounts it; none, and a word, where this kernel does not.
pub(super) fn mount(image: &Image) -> Option<Mounted> {
    let at = image.folder().join("mount");
    std::fs::create_dir_all(&at).unwrap();
    let out = limited("mount").args(["-t", "erofs", "-o", "loop,ro"]).arg(image.path()).arg(&at).output().unwrap();
    if !out.status.success() {
        eprintln!("not mounted: {}", String::from_utf8_lossy(&out.stderr).trim());
        return None;
    }
    Some(Mounted(at))
}

/// What `fsck.erofs` extracts; none where it does not.
pub(super) fn extract(image: &Image) -> Option<PathBuf> {
    let out = image.folder().join("out");
    let run = limited("fsck.erofs").arg(format!("--extract={}", out.display())).arg(image.path()).output().unwrap();
    if run.status.success() && out.is_dir() {
        return Some(out);
    }
    eprintln!("not extracted: {}", String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or_default());
    None
}

/// Names, kinds, sizes, owners, modes, links, times, devices, attributes, targets and contents are those of the
/// mount; of an extraction (`mounted` is false) names, targets and contents.
pub(super) fn compare(look: &Look, root: &Path, mounted: bool, what: &str) -> usize {
    let wanted = below(root);
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    let ours: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    assert!(ours == names, "{what}: {} names, {} expected", ours.len(), names.len());
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        let kind = meta.file_type();
        let name = format!("{what}: {}", entry.path);
        if mounted {
            assert_eq!(entry.node.number, meta.ino(), "{name}");
            assert_eq!(stat.len, meta.len(), "{name}");
            assert_eq!((stat.uid, stat.gid, stat.mode), (meta.uid(), meta.gid(), meta.mode() & 0o7777), "{name}");
            assert_eq!(u64::from(stat.links), meta.nlink(), "{name}");
            let modified = stat.times.modified.unwrap();
            assert_eq!((modified.seconds, i64::from(modified.nanos)), (meta.mtime(), meta.mtime_nsec()), "{name}");
            let mut have = stat.xattrs.clone();
            have.sort();
            assert!(have == attributes(host), "attributes of {name}");
            if kind.is_file() {
                assert_eq!(stat.allocated, meta.blocks() * 512, "{name}");
            }
        }
        same_kind(stat, &meta, &name);
        same_content(look, entry, host, &name);
    }
    wanted.len()
}

/// Sets an attribute where the folder takes it.
pub(super) fn attribute(path: &Path, name: &str, value: &str) {
    let set = tool("setfattr").args(["-h", "-n", name, "-v", value]).arg(path).output();
    if !set.is_ok_and(|o| o.status.success()) {
        eprintln!("attribute {name} not set");
    }
}
/// Makes a node where root runs the test.
pub(super) fn node(path: &Path, kind: &[&str]) {
    if rustix::process::geteuid().is_root() {
        run(tool("mknod").arg(path).args(kind));
    }
}
