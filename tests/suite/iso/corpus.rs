//! Images that another project populated.
use crate::look::{Image, Look, check_places, corpus, unpacked};

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let Some(dir) = corpus() else { return };
    let mut seen = 0;
    for item in std::fs::read_dir(dir.join("syzkaller/iso9660")).into_iter().flatten() {
        let path = item.unwrap().path();
        let Some(bytes) = unpacked(&path) else { continue };
        let name = path.display();
        let look = Look::at(&Image::from_bytes(&bytes).source(), "iso9660").unwrap_or_else(|e| panic!("{name}: {e}"));
        // Rock Ridge and Joliet keep the names; without them they are in capitals.
        let plain = look.tree.get(b"/file0").is_none();
        let at = |path: &str| if plain { path.to_uppercase() } else { path.to_owned() };
        assert_eq!(look.read(at("/file0/file0")), b"syzkaller".repeat(200)[..1050], "{name}");
        assert_eq!(look.read(at("/file2")), vec![0; 9000], "{name}");
        assert_eq!(look.read(at("/file3")), vec![0; 9000], "{name}");
        assert_eq!(look.get(at("/file1")).len(), 10, "{name}");
        assert_eq!(
            look.content(look.get(if plain { "/FILE.COL" } else { "/file.cold" })).unwrap().len(),
            100,
            "{name}"
        );
        check_places(&look, &bytes);
        let gaps = look.gaps();
        assert!(gaps.iter().all(|g| g.what.contains("UDF")), "{name}: {gaps:?}");
        assert_eq!(gaps.len(), usize::from(look.fs().info().features.contains(&"udf".to_owned())), "{name}");
        seen += 1;
    }
    eprintln!("{seen} populated images");
    assert!(seen > 0);
}
