//! The merged tree against the kernel's overlay mount of the same layers: names, kinds, sizes, owners, permissions,
//! attributes, contents.
use crate::host::kind;
use crate::look::{Look, tools};
use cranescope::base::{FsId, Gaps, Name};
use cranescope::evidence::{Entry, Folder, Layer, Marks, Merged, Tree, View, merge};
use cranescope::fs::NodeKind;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A command that cannot hang.
pub(super) fn timed(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", program]).env("LC_ALL", "C.UTF-8");
    command
}
pub(super) fn done(command: &mut Command) -> bool {
    let out = command.output().unwrap();
    if !out.status.success() {
        eprintln!("{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    out.status.success()
}

/// A mount that goes with the value.
pub(super) struct Mounted(pub(super) PathBuf);
impl Mounted {
    /// `None` where this machine does not let one mount.
    pub(super) fn new(at: &Path, arguments: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        done(timed("mount").args(arguments).arg(at)).then(|| Self(at.to_owned()))
    }
}
impl Drop for Mounted {
    fn drop(&mut self) {
        if !done(timed("umount").arg(&self.0)) {
            done(timed("umount").arg("-l").arg(&self.0));
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Runs shell lines in a folder; every one of them must succeed.
fn shell(folder: &Path, script: &str) {
    let mut command = timed("sh");
    command.args(["-eu", "-c", script]).current_dir(folder);
    assert!(done(&mut command), "{script}");
}

/// What a file is, as both sides tell it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    kind: NodeKind,
    len: u64,
    mode: u32,
    owner: (u32, u32),
    target: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    sha256: String,
}

/// What a mount shows, by path. Names that are listed and cannot be looked up are none.
fn shown(root: &Path) -> BTreeMap<Vec<u8>, Told> {
    let mut all = BTreeMap::new();
    let xattrs = attributes(root);
    let mut todo = vec![(root.to_path_buf(), Vec::new())];
    while let Some((at, path)) = todo.pop() {
        let Ok(meta) = std::fs::symlink_metadata(&at) else { continue };
        let kind = kind(meta.file_type());
        let name = if path.is_empty() { b"/".to_vec() } else { path.clone() };
        let told = Told {
            kind,
            len: if kind == NodeKind::Directory { 0 } else { meta.len() },
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            target: std::fs::read_link(&at).map(|t| t.as_os_str().as_bytes().to_vec()).unwrap_or_default(),
            xattrs: xattrs.get(&name).cloned().unwrap_or_default(),
            sha256: if kind == NodeKind::File { digest(&std::fs::read(&at).unwrap()) } else { String::new() },
        };
        if kind == NodeKind::Directory {
            for item in std::fs::read_dir(&at).unwrap() {
                let item = item.unwrap();
                todo.push((item.path(), [path.as_slice(), b"/", item.file_name().as_bytes()].concat()));
            }
        }
        all.insert(name, told);
    }
    all
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Extended attributes by path, as `getfattr` lists them.
fn attributes(root: &Path) -> BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>> {
    let out = timed("getfattr")
        .args(["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."])
        .current_dir(root)
        .output()
        .unwrap();
    let (mut all, mut path) = (BTreeMap::<_, BTreeMap<_, _>>::new(), Vec::new());
    for line in out.stdout.split(|b| *b == b'\n') {
        if let Some(file) = line.strip_prefix(b"# file: ") {
            let file = file.strip_prefix(b".").unwrap_or(file);
            path =
                if file.is_empty() { b"/".to_vec() } else { [b"/", file.strip_prefix(b"/").unwrap_or(file)].concat() };
        } else if let Some(at) = line.iter().position(|b| *b == b'=') {
            let hex = std::str::from_utf8(&line[at + 1..]).unwrap().trim_start_matches("0x");
            let value = (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect();
            all.entry(path.clone()).or_default().insert(line[..at].to_vec(), value);
        }
    }
    all
}

/// What the merged tree shows, by path.
fn merged(all: &Merged) -> BTreeMap<Vec<u8>, Told> {
    let told = |e: &Entry| {
        let stat = e.stat.as_ref().unwrap();
        let tree = all.trees.iter().find(|t| t.id == e.fs).unwrap();
        let content = || {
            let source = tree.open(e).unwrap();
            let mut bytes = vec![0; usize::try_from(source.len()).unwrap()];
            source.read_at(0, &mut bytes).unwrap();
            digest(&bytes)
        };
        let target = if stat.kind == NodeKind::Symlink { tree.fs.read_link(e.node).unwrap() } else { Vec::new() };
        Told {
            kind: stat.kind,
            len: if stat.kind == NodeKind::Directory { 0 } else { stat.len },
            mode: stat.mode,
            owner: (stat.uid, stat.gid),
            target,
            xattrs: stat.xattrs.iter().map(|(n, v)| (n.bytes().to_vec(), v.clone())).collect(),
            sha256: if stat.kind == NodeKind::File { content() } else { String::new() },
        }
    };
    all.entries.iter().map(|e| (e.path.bytes().to_vec(), told(e))).collect()
}

fn same(kernel: &BTreeMap<Vec<u8>, Told>, ours: &BTreeMap<Vec<u8>, Told>, what: &str) {
    for (path, told) in kernel {
        assert_eq!(ours.get(path), Some(told), "{what}: {}", Name::new(path));
    }
    let more: Vec<_> = ours.keys().filter(|p| !kernel.contains_key(*p)).map(|p| Name::new(p)).collect();
    assert!(more.is_empty(), "{what}: not in the kernel's tree: {more:?}");
    eprintln!("{what}: {} names equal", kernel.len());
}

/// The lowest layer.
const BASE: &str = r#"
mkdir -p etc/deep/er usr/bin usr/lib many gone/with/content swap link home/a home/b "odd name" rename/me/inner
echo base > etc/a; echo base > etc/b; echo base > etc/deep/c; echo base > etc/deep/er/d
head -c 300000 /dev/urandom > usr/bin/big; chmod 4755 usr/bin/big; chown 12:34 usr/bin/big
truncate -s 5M usr/lib/sparse; printf x | dd of=usr/lib/sparse bs=1 seek=3000000 conv=notrunc 2>/dev/null
for n in $(seq 1 400); do echo $n > many/$n; done
echo 1 > gone/with/content/x; echo file > swap/file; mkdir swap/folder; echo in > swap/folder/in
echo hard > link/one; ln link/one link/two; ln -s one link/soft; mkfifo link/fifo; mknod link/null c 1 3
printf 'gbk' > "$(printf 'odd name/\260\266\307\305')"; printf 'ctl' > "$(printf 'odd name/a\033b')"
setfattr -n user.note -v base etc/a; setfattr -n user.note -v folder etc; setfattr -n trusted.own -v t etc/b
echo i > rename/me/inner/i; echo m > rename/me/m; chown 5:6 rename/me
"#;
/// What is done through a first mount; its upper layer becomes the middle one.
const FIRST: &str = r"
rm etc/a; echo first > etc/new; echo changed > etc/b
rm -r gone; mkdir gone; echo other > gone/new
rm -r swap/folder; echo now-a-file > swap/folder; rm swap/file; mkdir swap/file; echo in > swap/file/in
mv rename/me rename/you; echo added > rename/you/added
chmod 600 usr/bin/big; chown 7:8 usr/lib/sparse
rm link/one; for n in 1 2 3; do rm many/$n; done
setfattr -n user.note -v first etc/deep; mv home/a home/c; mkdir home/a; echo fresh > home/a/f
";
/// What is done through a second mount over both.
const SECOND: &str = r#"
echo back > etc/a; rm etc/new; mv etc/deep etc/moved; mv etc/moved/er/d etc/moved/er/e
mv rename/you you; rm you/added; mkdir -p far/away; mv you far/away/me; echo x > far/away/me/inner/x
rm -r gone; rm -r swap/file; echo again > swap/file
mv many other; rm other/10; echo new > other/new; touch "other/$(printf '\260')"
chmod 640 usr/bin/big; chown 1:1 link/two; ln link/two link/three; rm link/soft; ln -s elsewhere link/soft
rm -r home; mkdir home; mknod link/dev b 8 1; setfattr -n trusted.own -v u far
"#;

struct Layers {
    look: Look,
    kernel: BTreeMap<Vec<u8>, Told>,
}

/// Makes the layers on one ext4 image through the kernel's own mounts; `None` where one cannot mount here.
fn make(folder: &Path, options: &str) -> Option<Layers> {
    let image = folder.join("disk.img");
    std::fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    assert!(done(timed("mke2fs").args(["-q", "-F", "-t", "ext4", "-O", "^inline_data"]).arg(&image)));
    let disk = Mounted::new(&folder.join("mnt"), &["-o", "loop", image.to_str().unwrap()])?;
    shell(&disk.0, "mkdir base mid top work1 work2");
    shell(&disk.0.join("base"), BASE);
    let mount = |layers: &str, at: &str| {
        let options = format!("{layers},{options}").replace('@', disk.0.to_str().unwrap());
        Mounted::new(&folder.join(at), &["-t", "overlay", "-o", &options, "overlay"])
    };
    let first = mount("lowerdir=@/base,upperdir=@/mid,workdir=@/work1", "first")?;
    shell(&first.0, FIRST);
    drop(first);
    let second = mount("lowerdir=@/mid:@/base,upperdir=@/top,workdir=@/work2", "second")?;
    shell(&second.0, SECOND);
    drop(second);
    let last = mount("lowerdir=@/top:@/mid:@/base", "last")?;
    let kernel = shown(&last.0);
    drop(last);
    drop(disk);
    let file = std::fs::File::open(&image).unwrap();
    let len = file.metadata().unwrap().len();
    let source = Arc::new(cranescope::image::OpenFile::new(file, "image".into(), len));
    let disk = cranescope::image::open(source, 0, &cranescope::image::Alone, &Gaps::default()).unwrap().1.disk;
    Some(Layers { look: Look::at(&disk, "ext").unwrap(), kernel })
}

fn layer(tree: &Arc<Tree>, path: &str) -> Layer {
    let folder = Folder { view: View::Tree(tree.clone()), path: path.as_bytes().to_vec() };
    Layer { folder, name: path.into(), data_only: false }
}

/// Whether this machine can make the layers; says so where not.
fn able() -> bool {
    if !is_root() {
        eprintln!("skipped: only root can mount overlays with trusted attributes");
        return false;
    }
    tools(&["mke2fs", "getfattr", "setfattr"])
}

#[test]
fn three_layers_are_what_the_kernel_shows() {
    if !able() {
        return;
    }
    for options in ["redirect_dir=on,metacopy=on", "redirect_dir=on,metacopy=off", "redirect_dir=off,metacopy=off"] {
        let folder = tempfile::tempdir().unwrap();
        // Without redirects a folder of a lower layer cannot be renamed: `mv` copies it then.
        let Some(Layers { look, kernel }) = make(folder.path(), options) else {
            eprintln!("skipped: this machine does not mount overlays");
            return;
        };
        let tree = Arc::new(look.tree);
        let gaps = Gaps::default();
        let layers = [layer(&tree, "/top"), layer(&tree, "/mid"), layer(&tree, "/base")];
        let all = merge(&layers, Marks::default(), &gaps);
        same(&kernel, &merged(&all), options);
        assert_eq!(gaps.take(), []);
        // Every live entry of the layers is seen or covered.
        let inside = |e: &&Entry| {
            ["/top", "/mid", "/base"]
                .iter()
                .any(|l| e.path.bytes() == l.as_bytes() || e.path.bytes().starts_with(format!("{l}/").as_bytes()))
        };
        let nodes: std::collections::BTreeSet<_> =
            all.entries.iter().chain(&all.covered).map(|e| (e.node.number, e.node.generation)).collect();
        for entry in tree.entries.iter().filter(|e| !e.deleted).filter(inside) {
            assert!(nodes.contains(&(entry.node.number, entry.node.generation)), "{options}: {} is lost", entry.path);
        }
        assert_eq!(tree.id, FsId(0));
    }
}

/// A squashfs below, as it is delivered; the writable layer on ext4.
#[test]
fn a_squashfs_with_a_writable_layer_is_what_the_kernel_shows() {
    if !able() || !tools(&["mksquashfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("base")).unwrap();
    shell(&at.join("base"), BASE);
    let squashfs = at.join("root.squashfs");
    let mut pack = timed("mksquashfs");
    pack.arg(at.join("base")).arg(&squashfs).args(["-quiet", "-no-progress", "-noappend"]);
    assert!(done(&mut pack));
    let image = at.join("data.img");
    std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    assert!(done(timed("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&image)));
    let mounts = (|| {
        let lower = Mounted::new(&at.join("lower"), &["-t", "squashfs", "-o", "loop,ro", squashfs.to_str().unwrap()])?;
        let data = Mounted::new(&at.join("data"), &["-o", "loop", image.to_str().unwrap()])?;
        shell(&data.0, "mkdir upper work");
        let path = |p: &Path| p.to_str().unwrap().to_owned();
        let options = format!(
            "lowerdir={},upperdir={d}/upper,workdir={d}/work,redirect_dir=on,metacopy=on",
            path(&lower.0),
            d = path(&data.0)
        );
        Some((Mounted::new(&at.join("root"), &["-t", "overlay", "-o", &options, "overlay"])?, data, lower))
    })();
    let Some((root, data, lower)) = mounts else {
        eprintln!("skipped: this machine does not mount squashfs or overlays");
        return;
    };
    shell(&root.0, FIRST);
    let kernel = shown(&root.0);
    drop((root, data, lower));
    let open = |path: &Path, format: &str, id: u32| {
        let file = std::fs::File::open(path).unwrap();
        let len = file.metadata().unwrap().len();
        let source = Arc::new(cranescope::image::OpenFile::new(file, "image".into(), len));
        let disk = cranescope::image::open(source, 0, &cranescope::image::Alone, &Gaps::default()).unwrap().1.disk;
        let look = Look::at(&disk, format).unwrap();
        Arc::new(
            Tree::index(look.fs().clone(), FsId(id), &Gaps::default(), &cranescope::base::Progress::default()).unwrap(),
        )
    };
    let layers = [layer(&open(&image, "ext", 0), "/upper"), layer(&open(&squashfs, "squashfs", 1), "")];
    let gaps = Gaps::default();
    let all = merge(&layers, Marks::default(), &gaps);
    same(&kernel, &merged(&all), "squashfs");
    assert_eq!(gaps.take(), []);
    let told: Vec<String> = all
        .entries
        .iter()
        .filter(|e| e.path.bytes() == b"/etc/b")
        .map(|e| e.layer.as_deref().unwrap().to_owned())
        .collect();
    assert_eq!(told, ["/upper"]);
}
