//! Images that another project populated.
use crate::look::{Image, Look, check_places, corpus, unpacked};

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let Some(dir) = corpus() else { return };
    let mut seen = 0;
    for item in std::fs::read_dir(dir.join("syzkaller/erofs")).into_iter().flatten() {
        let path = item.unwrap().path();
        let Some(bytes) = unpacked(&path) else { continue };
        let name = path.display();
        let look = Look::at(&Image::from_bytes(&bytes).source(), "erofs").unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(look.read("/file0/file0"), b"syzkaller".repeat(200)[..1050], "{name}");
        assert_eq!(look.read("/file2"), vec![0; 9000], "{name}");
        assert_eq!(look.get("/file2").node, look.get("/file3").node, "{name}");
        assert_eq!(look.get("/file1").len(), 10, "{name}");
        assert_eq!(look.read("/file.cold").len(), 100, "{name}");
        check_places(&look, &bytes);
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:?}");
        seen += 1;
    }
    eprintln!("{seen} populated images");
    assert!(seen > 0);
}
