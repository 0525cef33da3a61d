//! Makes images and looks into them.
use crate::look::{self, Look, below};
use cranescope::fs::{NodeKind, Options};
use cranescope::image::Source;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether e2fsprogs can be run; says so where it cannot.
pub(super) fn tools() -> bool {
    look::tools(&["mke2fs", "debugfs", "dumpe2fs", "e2fsck"])
}
fn tool(name: &str) -> Command {
    let mut command = look::tool(name);
    command.env("LC_ALL", "C").env("MKE2FS_CONFIG", config()).env("E2FSPROGS_FAKE_TIME", "1700000000");
    command
}

/// The defaults that distributions ship, so that the machine's own do not matter.
fn config() -> &'static Path {
    static DIR: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    static PATH: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    PATH.get_or_init(|| {
        let path = DIR.get_or_init(|| tempfile::tempdir().unwrap()).path().join("mke2fs.conf");
        let text = "[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384
[fs_types]
ext3 = {
 features = has_journal
}
ext4 = {
 features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
small = {
 inode_ratio = 4096
}
floppy = {
 inode_ratio = 8192
}
";
        std::fs::write(&path, text).unwrap();
        path
    })
}

pub(super) struct Image(look::Image);
impl std::ops::Deref for Image {
    type Target = look::Image;
    fn deref(&self) -> &look::Image {
        &self.0
    }
}

/// Numbers that repeat from run to run.
pub(super) struct Random(pub(super) u64);
impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

impl Image {
    /// `options` as for mke2fs; `kib` is the size.
    pub(super) fn make(options: &[&str], kib: u32, from: Option<&Path>) -> Self {
        let image = Self(look::Image::from_bytes(&[]));
        let mut command = tool("mke2fs");
        command.args(["-q", "-F", "-U", "6a0bd1c2-3e2f-4c55-8a6e-000102030405", "-L", "crane"]).args(options);
        if let Some(dir) = from {
            command.arg("-d").arg(dir);
        }
        let out = command.arg(image.path()).arg(kib.to_string()).output().unwrap();
        assert!(out.status.success(), "mke2fs {options:?}: {}", String::from_utf8_lossy(&out.stderr));
        image
    }
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(look::Image::from_bytes(bytes))
    }
    /// Runs debugfs commands that write.
    pub(super) fn change(&self, commands: &str) -> String {
        let script = self.folder().join("commands");
        std::fs::write(&script, commands).unwrap();
        let out = tool("debugfs").args(["-w", "-f"]).arg(&script).arg(self.path()).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
    pub(super) fn ask(&self, command: &str) -> String {
        let out = tool("debugfs").args(["-R", command]).arg(self.path()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
    pub(super) fn run(&self, program: &str, args: &[&str]) -> String {
        let out = tool(program).args(args).arg(self.path()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
    pub(super) fn write(&self, at: u64, bytes: &[u8]) {
        std::fs::File::options().write(true).open(self.path()).unwrap().write_all_at(bytes, at).unwrap();
    }
    pub(super) fn look(&self) -> Look {
        self.0.look("ext")
    }
    /// A file of the test's own directory, to be written into the image.
    pub(super) fn scratch(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// An image opened as it lies there, without what its journal would write.
pub(super) fn unreplayed(source: &Source) -> Look {
    Look::with(source, "ext", &Options { replay_journal: false, ..Options::default() }).unwrap()
}

/// Bytes that differ at every place.
pub(super) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A directory with everything that names and sizes can do.
pub(super) fn odd_tree(names: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let put = |path: &[u8], bytes: &[u8]| std::fs::write(root.join(OsStr::from_bytes(path)), bytes).unwrap();
    for (n, len) in
        [0, 1, 59, 60, 61, 150, 1023, 1024, 1025, 4095, 4096, 4097, 70_000, 1_300_000].into_iter().enumerate()
    {
        put(format!("size-{len}").as_bytes(), &pattern(n as u64 * 77 + 5, len));
    }
    put(b"gbk-\xb0\xb6\xc7\xc5", b"quay crane");
    put(b"invalid-\xff\xfe\xc0", b"bytes");
    put("岸桥-配置.conf".as_bytes(), b"utf-8");
    put(b"control-\x01\x1b[2J\n\t", b"control");
    put(&[b'n'; 255], b"long name");
    put(b" lead and trail ", b"spaces");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/h")).unwrap();
    std::fs::write(root.join("a/b/c/d/e/f/g/h/deep"), b"deep").unwrap();
    std::fs::hard_link(root.join("size-70000"), root.join("a/linked")).unwrap();
    std::os::unix::fs::symlink("size-1", root.join("fast")).unwrap();
    std::os::unix::fs::symlink("t".repeat(59), root.join("fast-59")).unwrap();
    std::os::unix::fs::symlink("t".repeat(60), root.join("slow-60")).unwrap();
    std::os::unix::fs::symlink("/x".repeat(400), root.join("slow-800")).unwrap();
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..names {
        std::fs::write(root.join(format!("many/entry-with-a-longer-name-{n:06}")), b"").unwrap();
    }
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"head", 0).unwrap();
    sparse.write_all_at(&pattern(9, 5000), 300_001).unwrap();
    sparse.write_all_at(b"tail", 9_000_000).unwrap();
    dir
}

/// Compares the live tree with a directory of this machine: names, kinds, sizes, modes, times to
/// the second, link targets and every byte.
pub(super) fn compare(look: &Look, root: &Path) {
    use std::os::unix::fs::MetadataExt;
    let wanted = below(root);
    let listed: Vec<&[u8]> =
        look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/" && !p.starts_with(b"/lost+found")).collect();
    let names: Vec<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    assert_eq!(listed.len(), names.len());
    assert!(listed == names, "names differ");
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap();
        let meta = std::fs::symlink_metadata(host).unwrap();
        assert_eq!(stat.mode, meta.mode() & 0o7777, "{}", entry.path);
        assert_eq!(stat.times.modified.unwrap().seconds, meta.mtime(), "{}", entry.path);
        if meta.is_dir() {
            assert_eq!(stat.kind, NodeKind::Directory);
        } else if meta.is_symlink() {
            assert_eq!(stat.kind, NodeKind::Symlink);
            let target = look.fs().read_link(entry.node).unwrap();
            assert_eq!(target, std::fs::read_link(host).unwrap().as_os_str().as_bytes(), "{}", entry.path);
        } else {
            assert_eq!(stat.len, meta.len(), "{}", entry.path);
            assert_eq!(u64::from(stat.links), meta.nlink(), "{}", entry.path);
            assert!(look.content(entry).unwrap() == std::fs::read(host).unwrap(), "content of {}", entry.path);
        }
    }
}
