//! Exports: nothing outside the chosen folder whatever names and links say; names, bytes and hashes as they were.
use crate::common::{ext4, have, plant, run};
use crate::look::{below, pattern};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Names that would lead a careless writer astray.
fn hostile() -> BTreeSet<Vec<u8>> {
    let mut names: BTreeSet<Vec<u8>> = [
        "...",
        "....",
        "..\\",
        "..\\..\\x",
        "C:",
        "C:\\x",
        "\\\\host\\share",
        "a:b",
        "x::$DATA",
        "-rf",
        "~",
        "~root",
        "$HOME",
        "`id`",
        "$(id)",
        ";id",
        "|id",
        "&id",
        "*",
        "?",
        "\"",
        "'",
        "<x>",
        " ",
        "  ",
        "x ",
        "x.",
        "x. ",
        " x",
        "%",
        "%2F",
        "%2e%2e",
        "..%2f..%2fx",
        "manifest.json",
        "files",
        "=cmd|x",
        "<img onerror=x>",
        "CON",
        "con",
        "Con.txt",
        "NUL",
        "AUX.",
        "PRN",
        "COM1",
        "com9.log",
        "LPT1",
        "CLOCK$",
        ".git",
        ".htaccess",
        "desktop.ini",
        "README",
        "readme",
        "ReadMe",
        "岸桥",
        "說明",
        "\u{202e}gpj.exe",
        "a\u{200b}b",
        "\u{feff}x",
        "e\u{301}",
        "é",
        "\u{2024}\u{2024}",
        "．．",
        "／etc／passwd",
        "\u{0}x",
    ]
    .iter()
    .map(|n| n.as_bytes().to_vec())
    .filter(|n| !n.contains(&0))
    .collect();
    names.extend((1..32_u8).map(|b| vec![b'x', b, b'y']));
    names.extend((0x80..=0xff_u8).map(|b| vec![b]));
    names.extend([b"\x1b[2J\x1b]0;x\x07".to_vec(), b"\xb0\xb6\xc7\xc5".to_vec(), b"\xed\xa0\x80".to_vec(), vec![0x7f]]);
    names.extend([
        vec![b'n'; 255],
        vec![0xff; 255],
        "岸".repeat(85).into_bytes(),
        [vec![b'n'; 254], vec![b'.']].concat(),
    ]);
    names.extend((0..20).map(|n| [b"..".as_slice(), &[0x80 + n], b".."].concat()));
    names
}

fn path(root: &Path, name: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(name))
}

/// Everything below a folder with its content.
fn everything(root: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let read = |p: &Path| if p.is_file() { std::fs::read(p).unwrap() } else { Vec::new() };
    below(root).into_iter().map(|(name, path)| (name, read(&path))).collect()
}

/// What was written as a name, read back.
fn original(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = name.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let digits: Vec<u8> = bytes.by_ref().take(2).collect();
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
    }
    out
}

#[test]
fn two_hundred_hostile_names_stay_in_the_folder_and_come_back() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (root, evidence) = (at.join("root"), hostile());
    assert!(evidence.len() >= 200, "{}", evidence.len());
    plant(at, &[("canary/kept", "kept\n")]);
    std::fs::create_dir(&root).unwrap();
    let mut wanted = BTreeMap::new();
    for (number, name) in (0..).zip(&evidence) {
        // Each as a file and as a folder that holds one of them.
        std::fs::write(path(&root, name), pattern(number, 100 + usize::try_from(number).unwrap())).unwrap();
        wanted.insert([b"/", name.as_slice()].concat(), pattern(number, 100 + usize::try_from(number).unwrap()));
        let dir = path(&root, b"in").join(OsStr::from_bytes(name));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(path(&dir, name), b"inner").unwrap();
        wanted.insert([b"/in/", name.as_slice(), b"/", name].concat(), b"inner".to_vec());
    }
    let canary = at.join("canary");
    for (name, target) in
        [("out", canary.as_path()), ("shadow", Path::new("/etc/shadow")), ("up", Path::new("../../.."))]
    {
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    let image = ext4(at, &root, "disk.img");
    let before = everything(at);
    let (code, out, said) = run(at, &["export", image.to_str().unwrap(), "0:/", "--to", "exported"]);
    assert_eq!((code, said.as_str()), (0, ""), "{out}");
    let to = at.join("exported");
    let mut after = everything(at);
    after.retain(|name, _| !name.starts_with(b"/exported"));
    assert!(before == after, "something outside the folder changed");
    let all = below(&to);
    assert!(all.iter().all(|(_, p)| !p.symlink_metadata().unwrap().is_symlink()));
    assert!(all.iter().all(|(name, _)| std::str::from_utf8(name).is_ok_and(|n| !n.chars().any(char::is_control))));

    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(to.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["schema"], "cranescope-export/1");
    let disk = std::fs::read(&image).unwrap();
    let mut found = BTreeMap::new();
    let mut links = 0;
    for entry in manifest["entries"].as_array().unwrap() {
        let bytes = |key: &str| base64::engine::general_purpose::STANDARD.decode(entry[key].as_str().unwrap()).unwrap();
        let name = bytes("path_bytes");
        assert_eq!(entry["gaps"], serde_json::json!([]), "{entry}");
        if entry["kind"] == "symlink" {
            assert!(entry["written_as"].is_null() && !bytes("target_bytes").is_empty());
            links += 1;
        }
        let Some(as_name) = entry["written_as"].as_str() else { continue };
        let written = std::fs::read(to.join(as_name)).unwrap();
        assert_eq!(entry["sha256"], cranescope::base::hex(&Sha256::digest(&written)));
        assert_eq!(entry["size"].as_u64(), Some(written.len() as u64));
        // The image has the same bytes where the manifest says.
        let mut from_image = Vec::new();
        for run in entry["image_runs"].as_array().unwrap() {
            let number = |key: &str| usize::try_from(run[key].as_u64().unwrap()).unwrap();
            from_image.extend_from_slice(&disk[number("offset")..number("offset") + number("length")]);
        }
        assert!(from_image == written, "{as_name}");
        let last = as_name.rsplit('/').next().unwrap();
        if !last.contains("%~") {
            assert_eq!(original(last), name.rsplit(|b| *b == b'/').next().unwrap(), "{as_name}");
        }
        found.insert(name, written);
    }
    assert_eq!(links, 3);
    assert!(found == wanted, "{} of {}", found.len(), wanted.len());
    // Nothing is written over.
    let (code, _, said) = run(at, &["export", image.to_str().unwrap(), "0:/", "--to", "exported"]);
    assert!(code == 2 && said.contains("not empty"), "{said}");
}

#[test]
fn times_holes_and_deleted_files_are_kept() {
    if !have("mke2fs") || !have("debugfs") {
        return;
    }
    use std::os::unix::fs::{FileExt, MetadataExt};
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), &[("d/gone", "still here\n"), ("d/kept", "kept\n")]);
    let sparse = std::fs::File::create(at.join("root/d/sparse")).unwrap();
    sparse.set_len(30 << 20).unwrap();
    sparse.write_all_at(b"end", 20 << 20).unwrap();
    let image = ext4(at, &at.join("root"), "disk.img");
    for command in ["rm /d/gone", "set_inode_field /d/kept mtime 1000000000"] {
        let done =
            std::process::Command::new("timeout").args(["60", "debugfs", "-w", "-R", command]).arg(&image).output();
        assert!(done.unwrap().status.success());
    }
    let (code, _, said) = run(at, &["export", "disk.img", "0:/d", "--to", "out"]);
    assert_eq!(code, 0, "{said}");
    let read = |name: &str| std::fs::read(at.join("out/files/d").join(name)).unwrap();
    assert_eq!((read("kept"), read("gone")), (b"kept\n".to_vec(), b"still here\n".to_vec()));
    let meta = std::fs::metadata(at.join("out/files/d/sparse")).unwrap();
    assert!(meta.len() == 30 << 20 && meta.blocks() * 512 < 4 << 20);
    assert_eq!(std::fs::metadata(at.join("out/files/d/kept")).unwrap().mtime(), 1_000_000_000);
    let (code, _, said) = run(at, &["export", "disk.img", "0:/none", "--to", "other"]);
    assert!(code == 3 && said.contains("nothing is there"), "{code} {said}");
}
