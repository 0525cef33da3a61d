//! Real images from other projects' tests, most of them of version 4.
use crate::look::{Image, Look, corpus, unpacked};
use std::time::{Duration, Instant};

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let Some(dir) = corpus() else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join("syzkaller/xfs")).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut seen = 0;
    for path in &files {
        let name = path.display();
        let image = Image::from_bytes(&unpacked(path).unwrap());
        let start = Instant::now();
        let look = Look::at(&image.source(), "xfs").unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(look.tree.get(b"/file1").is_some(), "{name}: {:?}", look.gaps());
        seen += 1;
        let expected = b"syzkaller".repeat(200);
        assert_eq!(look.read("/file0/file0"), expected[..1050], "{name}");
        assert_eq!(look.read("/file2"), vec![0; 9000], "{name}");
        assert_eq!(look.get("/file2").node, look.get("/file3").node, "{name}");
        assert_eq!(look.get("/file1").len(), 10, "{name}");
        assert_eq!(look.get("/file.cold").len(), 100, "{name}");
        let link = look.get("/file0/file1");
        assert_eq!(link.kind().as_str(), "symlink", "{name}");
        assert!(!look.fs().read_link(link.node).unwrap().is_empty(), "{name}");
        let attributes = &look.get("/file1").stat.as_ref().unwrap().xattrs;
        assert!(attributes.iter().any(|(n, v)| n.bytes() == b"user.xattr1" && !v.is_empty()), "{name}: {attributes:?}");
        look.fs().unallocated();
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:?}");
        assert!(start.elapsed() < Duration::from_mins(1), "{name}");
    }
    assert!(files.is_empty() || seen > 10, "{seen}");
}
