//! The differential gate: every member of every list has a sample that a tool of others made, is recognised in it,
//! and shows exactly what was put in. A member without a sample fails.
mod big;
mod content;
mod files;
mod parts;

use crate::host::{attributes, same_content, same_kind};
use crate::look::{Image, Look, below};
use content::{BIG, BIG_NAME, Can};
use cranescope::fs::NodeKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Everything below `root` is in the image as it was put in, and nothing else but `own`: what the format has itself.
fn compare(look: &Look, root: &Path, can: Can, own: &[&str]) {
    let wanted = below(root);
    for (path, host) in &wanted {
        let entry = look.get(path);
        let stat = entry.stat.as_ref().unwrap_or_else(|| panic!("{}: nothing is known of it", entry.path));
        let meta = std::fs::symlink_metadata(host).unwrap();
        let name = &entry.path;
        same_kind(stat, &meta, &name.display());
        if can.posix {
            assert_eq!((stat.uid, stat.gid), (meta.uid(), meta.gid()), "{name}");
            if !meta.is_symlink() {
                assert_eq!(stat.mode, meta.mode() & 0o7777, "{name}");
            }
        }
        if can.time > 0 {
            let modified = stat.times.modified.unwrap_or_else(|| panic!("{name} has no time"));
            let host = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            let ours = i128::from(modified.seconds) * 1_000_000_000 + i128::from(modified.nanos);
            assert!((host - ours).abs() < i128::from(can.time), "{name}: {modified} is not {host}");
        }
        if stat.kind == NodeKind::File {
            assert_eq!(stat.len, meta.len(), "{name}");
            if can.hard {
                assert_eq!(u64::from(stat.links), meta.nlink(), "{name}");
            }
        }
        if stat.kind == NodeKind::File && meta.len() > 1 << 32 {
            big(look, path);
        } else {
            same_content(look, entry, host, &name.display());
        }
        if can.xattrs {
            for wanted in attributes(host).iter().filter(|(key, _)| key.bytes().starts_with(b"user.")) {
                assert!(stat.xattrs.contains(wanted), "{name}: {}", wanted.0);
            }
        }
    }
    let names: std::collections::BTreeSet<&[u8]> = wanted.iter().map(|w| w.0.as_slice()).collect();
    let is_own = |path: &[u8]| path == b"/" || own.iter().any(|o| path.starts_with(o.as_bytes()));
    let more: Vec<String> = look
        .live()
        .filter(|e| !names.contains(e.path.bytes()) && !is_own(e.path.bytes()))
        .map(|e| e.path.display())
        .collect();
    assert!(more.is_empty(), "nobody put them in: {more:?}");
    if can.hard {
        assert_eq!(look.get("/text").node, look.get("/deep/same text").node);
    }
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
}

/// The file of over 4 GiB: what was written, and zeros where nothing was.
fn big(look: &Look, path: &[u8]) {
    assert_eq!(path, format!("/{BIG_NAME}").as_bytes());
    let source = look.tree.open(look.get(path)).unwrap();
    assert_eq!(source.len(), 5 << 30);
    let read = |at: u64, len: usize| {
        let mut buf = vec![1; len];
        let n = source.read_at(at, &mut buf).unwrap();
        buf.truncate(n);
        buf
    };
    for (at, len) in BIG {
        assert!(read(*at, *len) == crate::look::pattern(*at, *len), "{at}");
    }
    for at in [1 << 20, 2 << 30, (4 << 30) + 70_000, (5 << 30) - 70_000] {
        assert!(read(at, 4096).iter().all(|b| *b == 0), "{at}");
    }
}

/// An image of a format, made from a folder.
struct Subject {
    /// The member's name in its list.
    name: &'static str,
    can: Can,
    tools: &'static [&'static str],
    /// Makes the image; `false` where this machine cannot, after saying why.
    make: fn(&Path, &Image) -> bool,
    /// How paths begin that the format has itself.
    own: &'static [&'static str],
}
