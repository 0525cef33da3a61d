//! Real images from other projects' tests: what `fls` lists is listed, or a gap says why not.
use super::image::Image;
use crate::look::{Look, corpus, unpacked};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The images of the corpus that are NTFS volumes.
fn images() -> Vec<(String, Vec<u8>)> {
    let Some(dir) = corpus() else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = vec![dir.join("dfir_ntfs/ntfs3.raw.gz")];
    files.extend(std::fs::read_dir(dir.join("syzkaller/ntfs")).into_iter().flatten().map(|e| e.unwrap().path()));
    files.extend(
        std::fs::read_dir(dir.join("sleuthkit_test_data/fuzzing")).into_iter().flatten().map(|e| e.unwrap().path()),
    );
    files.sort();
    let made_by_windows = windows(&dir);
    let named = |p: &PathBuf| p.strip_prefix(&dir).unwrap().display().to_string();
    files
        .iter()
        .filter(|p| p.to_string_lossy().contains("ntfs"))
        .filter_map(|p| Some((named(p), unpacked(p)?)))
        .chain(made_by_windows)
        .collect()
}

/// The volume in dfvfs' dynamic VHD, as `qemu-img` unpacks it.
fn windows(dir: &Path) -> Option<(String, Vec<u8>)> {
    let name = "dfvfs_big/ntfs-dynamic.vhd.zst";
    let packed = unpacked(&dir.join(name))?;
    let at = tempfile::tempdir().unwrap();
    let (vhd, raw) = (at.path().join("vhd"), at.path().join("raw"));
    std::fs::write(&vhd, packed).unwrap();
    let out = Command::new("qemu-img").args(["convert", "-f", "vpc", "-O", "raw"]).arg(&vhd).arg(&raw).output().ok()?;
    out.status.success().then(|| (name.to_owned(), std::fs::read(raw).unwrap()[128 * 512..6144 * 512].to_vec()))
}

#[test]
fn a_volume_that_windows_made() {
    let Some((_, bytes)) = corpus().and_then(|dir| windows(&dir)) else { return };
    let look = Look::at(&Image::from_bytes(&bytes).source(), "ntfs").unwrap();
    assert!(look.read("/passwords.txt").starts_with(b"place,user,password"));
    assert_eq!(look.read("/a_directory/another_file"), b"This is another file. \r\n");
    let link = look.get("/a_link");
    assert_eq!(look.fs().read_link(link.node).unwrap(), b"x:/a_directory/another_file");
    assert_eq!(look.get("/passwords.txt").stat.as_ref().unwrap().flags, ["archive"]);
    assert_eq!(look.gaps().iter().map(|g| &g.what).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Live and deleted names as `fls` lists them: record number and path. Attributes that are no
/// streams of files (indexes of `$ObjId` and its kin) and its own virtual entries are left out.
fn fls(image: &Image) -> Option<BTreeSet<(u64, String)>> {
    let out = Command::new("timeout").args(["20", "fls", "-r", "-p", "-f", "ntfs"]).arg(image.path()).output().ok()?;
    let mut found = BTreeSet::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let Some((head, path)) = line.split_once(":\t") else { continue };
        let address = head.split_whitespace().next_back()?.trim_end_matches("(realloc)");
        let mut parts = address.split('-');
        let (number, kind) = (parts.next()?.parse().ok()?, parts.next());
        let is_stream = kind.is_none_or(|k| k == "128") || head.contains("d/d");
        if is_stream && !path.starts_with("$OrphanFiles") {
            found.insert((number, format!("/{path}")));
        }
    }
    Some(found)
}

#[test]
fn the_corpus_lists_what_fls_lists() {
    let all = images();
    if all.is_empty() {
        return;
    }
    if Command::new("fls").arg("-V").output().is_err() {
        eprintln!("skipped: sleuthkit is not installed");
        return;
    }
    let mut unexplained = Vec::new();
    let (mut opened, mut names) = (0, 0);
    for (name, bytes) in &all {
        let image = Image::from_bytes(bytes);
        let start = Instant::now();
        let listed = fls(&image).unwrap_or_default();
        let look = match Look::at(&image.source(), "ntfs") {
            Ok(look) => look,
            Err(e) => {
                eprintln!("{name}: {e}; fls lists {}", listed.len());
                assert!(listed.is_empty(), "{name}");
                continue;
            }
        };
        opened += 1;
        names += listed.len();
        let ours: BTreeSet<(u64, String)> = look
            .tree
            .entries
            .iter()
            .map(|e| (e.node.number, String::from_utf8_lossy(e.path.bytes()).into_owned()))
            .collect();
        let gaps = look.gaps();
        let missing: Vec<_> = listed.difference(&ours).take(5).collect();
        if !missing.is_empty() {
            eprintln!("{name}: {missing:?}; {gaps:?}");
            if gaps.is_empty() {
                unexplained.push(name.clone());
            }
        }
        for entry in look.live().filter(|e| e.is_file()) {
            let _ = look.content(entry);
        }
        look.fs().unallocated();
        assert!(start.elapsed() < Duration::from_mins(1), "{name} took {:?}", start.elapsed());
    }
    eprintln!("{} images: {opened} opened, {names} names of fls", all.len());
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert!(opened + 2 >= all.len(), "{opened} of {}", all.len());
}

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let mut seen = 0;
    for (name, bytes) in images().iter().filter(|(n, _)| n.starts_with("syzkaller/ntfs/")) {
        let image = Image::from_bytes(bytes);
        let Ok(look) = Look::at(&image.source(), "ntfs") else { continue };
        // Some of the images were never written to.
        if look.tree.get(b"/file1").is_none() {
            continue;
        }
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
        assert!(look.gaps().is_empty(), "{name}: {:?}", look.gaps());
    }
    assert!(seen == 0 || seen >= 14, "{seen}");
}
