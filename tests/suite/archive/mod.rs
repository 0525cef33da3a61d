//! The readers of archives against the tools that make them, and archives within the evidence; where a tool is
//! missing the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod corpus;
mod hostile;
mod initramfs;
mod tree;
mod within;
mod zip;

use crate::look::{Look, below};
use cranescope::base::Gaps;
use cranescope::fs::NodeKind;
use cranescope::image::{Alone, OpenFile, Source};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Runs a tool that must not hang.
pub(super) fn made(folder: &Path, line: &[&str]) -> bool {
    let out = Command::new("timeout").arg("60").args(line).current_dir(folder).env("LC_ALL", "C.UTF-8").output();
    let out = out.unwrap();
    assert!(out.status.success(), "{line:?}: {}", String::from_utf8_lossy(&out.stderr));
    true
}

/// What a tool makes of these bytes.
pub(super) fn through(line: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new("timeout").arg("60").args(line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let out = child.wait_with_output().unwrap();
    drop(writer.join().unwrap());
    assert!(out.status.success(), "{line:?}");
    out.stdout
}

/// An acquired file as its own image; compressed streams are opened as containers.
pub(super) fn acquired(bytes: &[u8]) -> Source {
    opened(Arc::new(bytes.to_vec()), &Gaps::default())
}
pub(super) fn opened(source: Source, gaps: &Gaps) -> Source {
    cranescope::image::open(source, 0, &Alone, gaps).unwrap().1.disk
}
pub(super) fn of_file(path: &Path) -> Source {
    let file = std::fs::File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    opened(Arc::new(OpenFile::new(file, "archive".into(), len)), &Gaps::default())
}

/// A folder with what archives find hard: odd names, sparse and hard-linked files, links, empty folders, a name of
/// 255 bytes, deep paths.
pub(super) fn awkward(root: &Path) {
    let put = |name: &[u8], content: &[u8]| {
        let path = root.join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    put(b"etc/config/network", b"config interface 'lan'\n");
    put("岸桥/配置.txt".as_bytes(), "桥\n".as_bytes());
    put(b"gbk-\xb0\xb6\xc7\xc5", b"gbk");
    put(b"control-\x1b[2J-\n", b"control");
    put(b"empty", b"");
    put(&[b'n'; 255], b"long name");
    let deep: Vec<u8> = [b"deep".as_slice(), &b"/0123456789".repeat(40)].concat();
    put(&[deep.as_slice(), b"/file"].concat(), b"deep");
    put(b"block", &crate::look::pattern(7, 512));
    put(b"large", &crate::look::pattern(9, 3_000_001));
    std::fs::create_dir(root.join("hollow")).unwrap();
    std::fs::hard_link(root.join("large"), root.join("zz-same-as-large")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
    std::os::unix::fs::symlink("x".repeat(300), root.join("long-link")).unwrap();
}
/// Two files with holes: in the middle and at both ends; more parts than a header of GNU holds.
pub(super) fn sparse(root: &Path) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(root.join("sparse")).unwrap();
    file.write_all_at(b"begin", 1 << 20).unwrap();
    file.write_all_at(&crate::look::pattern(3, 70_000), 5 << 20).unwrap();
    file.set_len(9 << 20).unwrap();
    let many = std::fs::File::create(root.join("sparse-many")).unwrap();
    for n in 0..60_u64 {
        many.write_all_at(format!("part {n}").as_bytes(), n * (128 << 10)).unwrap();
    }
    many.set_len(8 << 20).unwrap();
}

/// Every name, kind, content, target, mode and time below `root` is in the archive as it is there, and nothing else.
pub(super) fn same_as(look: &Look, root: &Path, with_owner: bool) {
    use std::os::unix::fs::MetadataExt;
    let expected = below(root);
    let listed: Vec<&[u8]> = look.live().map(|e| e.path.bytes()).filter(|p| *p != b"/").collect();
    let names: Vec<&[u8]> = expected.iter().map(|(p, _)| p.as_slice()).collect();
    assert_eq!(listed.len(), names.len(), "{listed:?}");
    for (path, real) in &expected {
        let entry = look.get(path);
        let meta = std::fs::symlink_metadata(real).unwrap();
        let stat = entry.stat.as_ref().unwrap();
        if meta.is_file() {
            assert_eq!(stat.kind, NodeKind::File, "{}", entry.path);
            assert_eq!(stat.len, meta.len(), "{}", entry.path);
            assert!(look.read(path) == std::fs::read(real).unwrap(), "{}", entry.path);
        } else if meta.is_symlink() {
            let target = std::fs::read_link(real).unwrap();
            assert_eq!(look.fs().read_link(entry.node).unwrap(), target.as_os_str().as_bytes());
            continue;
        } else {
            assert_eq!(stat.kind, NodeKind::Directory, "{}", entry.path);
        }
        if with_owner {
            assert_eq!(stat.mode, meta.mode() & 0o7777, "{}", entry.path);
            assert_eq!((stat.uid, stat.gid), (meta.uid(), meta.gid()), "{}", entry.path);
            assert_eq!(stat.times.modified.unwrap().seconds, meta.mtime(), "{}", entry.path);
        }
    }
}
