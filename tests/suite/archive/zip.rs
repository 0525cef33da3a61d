//! zip as Info-ZIP, 7-Zip and Python's zipfile write it.
use super::{acquired, awkward, made, of_file, same_as};
use crate::common::have;
use crate::look::{Look, check_places};

#[test]
fn of_info_zip() {
    if !have("zip") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    // Info-ZIP itself cannot write this one.
    std::fs::remove_file(root.join("control-\x1b[2J-\n")).unwrap();
    for (name, options) in [("deflated", "-9"), ("stored", "-0"), ("packed", "-Zb")] {
        made(dir.path(), &["sh", "-c", &format!("cd root && zip -q -y -r {options} ../{name}.zip .")]);
        let path = dir.path().join(format!("{name}.zip"));
        let look = Look::at(&of_file(&path), "zip").unwrap();
        assert_eq!(look.gaps(), [], "{name}");
        same_as(&look, &root, true);
        check_places(&look, &std::fs::read(&path).unwrap());
        // A program in front moves everything.
        let moved = [b"PK\x03\x04 in front".as_slice(), &std::fs::read(&path).unwrap()].concat();
        same_as(&Look::at(&acquired(&moved), "zip").unwrap(), &root, true);
    }
    // To a pipe: sizes behind the members, 64-bit records.
    made(dir.path(), &["sh", "-c", "cd root && zip -q -y -r -fz - . > ../wide.zip"]);
    let look = Look::at(&of_file(&dir.path().join("wide.zip")), "zip").unwrap();
    assert_eq!(look.gaps(), []);
    same_as(&look, &root, true);
    made(dir.path(), &["sh", "-c", "cd root && zip -q -P secret ../locked.zip block empty"]);
    let look = Look::at(&of_file(&dir.path().join("locked.zip")), "zip").unwrap();
    let gaps = look.gaps();
    assert!(gaps.len() == 1 && gaps[0].what.contains("encrypted") && gaps[0].what.contains("block"), "{gaps:?}");
    assert!(look.content(look.get("/block")).unwrap_err().to_string().contains("encrypted"));
}

const PYTHON: &str = r#"
import zipfile, sys
with zipfile.ZipFile("py.zip", "w") as z:
    z.writestr(zipfile.ZipInfo("岸桥/配置.txt"), "bridge")
    z.writestr("../up", "up")
    z.writestr("/etc/passwd", "root")
    z.writestr("twice", "one")
    z.writestr("twice", "two")
    z.writestr("lzma", "x" * 1000, zipfile.ZIP_LZMA)
    with z.open(zipfile.ZipInfo("wide"), "w", force_zip64=True) as f:
        f.write(b"wide")
"#;

#[test]
fn of_python_and_damaged() {
    if !have("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["python3", "-W", "ignore", "-c", PYTHON]);
    let bytes = std::fs::read(dir.path().join("py.zip")).unwrap();
    let look = Look::at(&acquired(&bytes), "zip").unwrap();
    let gaps = look.gaps();
    assert!(gaps.len() == 1 && gaps[0].what.contains("method 14 (lzma)"), "{gaps:?}");
    for (path, content) in
        [("/岸桥/配置.txt", "bridge"), ("/../up", "up"), ("/etc/passwd", "root"), ("/twice", "two"), ("/wide", "wide")]
    {
        assert_eq!(look.read(path), content.as_bytes(), "{path}");
    }
    assert_eq!(look.gone().count(), 1);
    // A changed byte of a packed member is told when it is read, not passed on.
    made(
        dir.path(),
        &[
            "python3",
            "-c",
            "import zipfile; zipfile.ZipFile('d.zip','w',zipfile.ZIP_DEFLATED).writestr('a', bytes(range(256))*99)",
        ],
    );
    let mut bytes = std::fs::read(dir.path().join("d.zip")).unwrap();
    let look = Look::at(&acquired(&bytes), "zip").unwrap();
    assert_eq!(look.read("/a"), (0..=255).collect::<Vec<u8>>().repeat(99));
    bytes[60] ^= 0x10;
    let look = Look::at(&acquired(&bytes), "zip").unwrap();
    assert!(look.content(look.get("/a")).is_err());
    // Without its directory nothing is listed, and that is an error.
    assert!(Look::at(&acquired(&bytes[..bytes.len() - 30]), "zip").is_err());
}
