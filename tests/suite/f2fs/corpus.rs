//! Images that another project populated with the kernel's driver.
use crate::look::{Image, Look, check_places, corpus, unpacked};

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let Some(dir) = corpus() else { return };
    let mut seen = 0;
    for item in std::fs::read_dir(dir.join("syzkaller/f2fs")).into_iter().flatten() {
        let path = item.unwrap().path();
        let Some(bytes) = unpacked(&path) else { continue };
        let name = path.display();
        let source = Image::from_bytes(&bytes).source();
        let look = Look::at(&source, "f2fs").unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(look.read("/file0/file0"), b"syzkaller".repeat(200)[..1050], "{name}");
        assert_eq!(look.read("/file2"), vec![0; 9000], "{name}");
        assert_eq!(look.get("/file2").node, look.get("/file3").node, "{name}");
        assert_eq!(look.get("/file1").len(), 10, "{name}");
        assert_eq!(look.read("/file.cold").len(), 100, "{name}");
        let attributes = &look.get("/file1").stat.as_ref().unwrap().xattrs;
        assert_eq!(attributes.len(), 2, "{name}: {attributes:?}");
        assert!(attributes.iter().all(|(n, _)| n.bytes().starts_with(b"user.xattr")), "{name}: {attributes:?}");
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:?}");
        check_places(&look, &bytes);
        seen += 1;
    }
    eprintln!("{seen} populated images");
    assert!(seen > 0);
}
