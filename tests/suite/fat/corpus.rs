//! Real images from other projects' tests: what `fls` lists is listed, or a gap says why not.
use super::layout::fls;
use crate::look::{Image, Look, corpus, tools, unpacked};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The images of the corpus that are FAT or exFAT volumes.
fn images() -> Vec<(String, Vec<u8>)> {
    let Some(dir) = corpus() else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = vec![dir.join("dfvfs_big/fat12.raw.zst")];
    for folder in ["dfir_ntfs", "syzkaller/fat", "syzkaller/exfat"] {
        files.extend(std::fs::read_dir(dir.join(folder)).into_iter().flatten().map(|e| e.unwrap().path()));
    }
    files.sort();
    let named = |p: &PathBuf| p.strip_prefix(&dir).unwrap().display().to_string();
    let wanted = |p: &&PathBuf| {
        let name = named(p);
        let packed = p.extension().is_some_and(|e| e == "gz" || e == "zst");
        name.starts_with("syzkaller") || (name.contains("fat") && packed)
    };
    files.iter().filter(wanted).filter_map(|p| Some((named(p), unpacked(p)?))).collect()
}

#[test]
fn the_corpus_lists_what_fls_lists() {
    let all = images();
    if all.is_empty() || !tools(&["fls"]) {
        return;
    }
    let mut unexplained = Vec::new();
    let (mut opened, mut names) = (0, 0);
    for (name, bytes) in &all {
        let image = Image::from_bytes(bytes);
        let start = Instant::now();
        let exfat = bytes.get(3..8) == Some(b"EXFAT");
        let listed = fls(&image.path(), if exfat { "exfat" } else { "fat" });
        let look = match Look::at(&image.source(), if exfat { "exfat" } else { "fat" }) {
            Ok(look) => look,
            Err(e) => {
                eprintln!("{name}: {e}; fls lists {}", listed.len());
                assert!(listed.is_empty(), "{name}");
                continue;
            }
        };
        opened += 1;
        names += listed.len();
        // The sleuthkit writes `_` for what a deleted name lost.
        let same = |path: &str| path.replace(['?', '_'], "_").chars().filter(|c| !c.is_control()).collect::<String>();
        let ours: BTreeSet<String> =
            look.tree.entries.iter().map(|e| same(&String::from_utf8_lossy(e.path.bytes()))).collect();
        // Where directories lead back into each other it repeats them; here each stands once.
        let numbers: BTreeSet<u64> = look.live().map(|e| e.node.number).collect();
        let is_missing = |(path, gone): &(String, bool), inode: u64| {
            !ours.contains(&same(path)) && (*gone || !numbers.contains(&inode))
        };
        let missing: Vec<_> = listed.iter().filter(|(k, t)| is_missing(k, t.inode)).map(|(k, _)| k).take(5).collect();
        let gaps = look.gaps();
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
}

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let mut seen = 0;
    for (name, bytes) in images().iter().filter(|(n, _)| n.starts_with("syzkaller/")) {
        let image = Image::from_bytes(bytes);
        let format = if name.contains("exfat") { "exfat" } else { "fat" };
        let Ok(look) = Look::at(&image.source(), format) else { continue };
        let path = |p: &str| if look.tree.get(p.as_bytes()).is_some() { p.to_owned() } else { p.to_uppercase() };
        if look.tree.get(path("/file1").as_bytes()).is_none() {
            continue;
        }
        seen += 1;
        let expected = b"syzkaller".repeat(200);
        assert_eq!(look.read(path("/file0/file0")), expected[..1050], "{name}");
        assert_eq!(look.read(path("/file2")), vec![0; 9000], "{name}");
        assert_eq!(look.get(path("/file1")).len(), 10, "{name}");
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:?}");
    }
    eprintln!("{seen} populated images");
}

#[test]
fn facts_of_the_sources_own_tests() {
    let Some(dir) = corpus() else { return };
    let image = Image::from_bytes(&unpacked(&dir.join("dfvfs_big/fat12.raw.zst")).unwrap());
    let look = image.look("fat");
    assert_eq!(look.get("/passwords.txt").len(), 116);
    assert_eq!(look.get("/a_directory/another_file").len(), 22);
    // Written by Windows: names and times by its own program.
    let image = Image::from_bytes(&unpacked(&dir.join("dfir_ntfs/exfat_win.raw.gz")).unwrap());
    let Ok(look) = Look::at(&image.source(), "exfat") else { return };
    let told = std::fs::read(dir.join("dfir_ntfs/exfat_win_stat.txt")).unwrap();
    let mut checked = 0;
    for line in String::from_utf8_lossy(&told).lines() {
        let part: Vec<&str> = line.split('\t').collect();
        // Names beyond ASCII did not survive in that list.
        if !line.is_ascii() && line.contains('\u{fffd}') {
            continue;
        }
        let [path, modified, accessed, created, size] = part.as_slice() else { continue };
        let stat = look.get(path).stat.clone().unwrap();
        let is = |time: Option<cranescope::base::Time>, told: &str| {
            // The program showed the clock of a machine three hours ahead.
            let time = time.map(|t| cranescope::base::Time { seconds: t.seconds + 3 * 3600, ..t });
            let ours = time.map(|t| t.to_string().replace('T', " ").replace('Z', "")).unwrap_or_default();
            let trim = |t: &str| {
                if t.contains('.') { t.trim_end_matches('0').trim_end_matches('.').to_owned() } else { t.to_owned() }
            };
            assert_eq!(trim(&ours), trim(told), "{path}");
        };
        is(stat.times.modified, modified);
        is(stat.times.accessed, accessed);
        is(stat.times.created, created);
        if look.get(path).is_file() {
            assert_eq!(stat.len.to_string(), *size, "{path}");
        }
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}
