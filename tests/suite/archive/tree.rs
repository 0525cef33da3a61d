//! tar and cpio, in all their forms, as GNU tar, bsdtar and GNU cpio write them.
use super::{acquired, awkward, made, of_file, same_as, sparse, through};
use crate::common::have;
use crate::look::{Look, check_places};

#[test]
fn every_form_of_tar() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    for form in ["gnu", "posix", "oldgnu"] {
        made(dir.path(), &["tar", "-C", "root", "--format", form, "-cf", form, "."]);
        let look = Look::at(&of_file(&dir.path().join(form)), "tar").unwrap();
        assert_eq!(look.gaps(), [], "{form}");
        same_as(&look, &root, true);
        check_places(&look, &std::fs::read(dir.path().join(form)).unwrap());
        // A hard link is the same inode.
        let (a, b) = (look.get("/large"), look.get("/zz-same-as-large"));
        assert_eq!(a.node, b.node, "{form}");
        assert_eq!(a.stat.as_ref().unwrap().links, 2, "{form}");
    }
    // What the old forms can say at all.
    for name in ["deep", "n", "long-link"] {
        let gone = if name == "n" { "n".repeat(255) } else { name.to_owned() };
        drop(std::fs::remove_dir_all(root.join(&gone)).or_else(|_| std::fs::remove_file(root.join(&gone))));
    }
    for form in ["ustar", "v7"] {
        made(dir.path(), &["tar", "-C", "root", "--format", form, "-cf", form, "."]);
        let look = Look::at(&of_file(&dir.path().join(form)), "tar").unwrap();
        assert_eq!(look.gaps(), [], "{form}");
        same_as(&look, &root, true);
    }
}

#[test]
fn sparse_files_of_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    sparse(&root);
    std::fs::write(root.join("z-behind"), b"what follows is found").unwrap();
    let forms: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for form in forms {
        let line = [&["tar", "-C", "root", "-Scf", "archive", "--sort=name"], form, &["."]].concat();
        made(dir.path(), &line);
        let bytes = std::fs::read(dir.path().join("archive")).unwrap();
        assert!(bytes.len() < 1 << 20, "{form:?} is not sparse");
        let look = Look::at(&acquired(&bytes), "tar").unwrap();
        assert_eq!(look.gaps(), [], "{form:?}");
        same_as(&look, &root, true);
        check_places(&look, &bytes);
        assert!(look.get("/sparse").stat.as_ref().unwrap().allocated < 1 << 20, "{form:?}");
    }
}

#[test]
fn attributes_global_headers_and_bsdtar() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    let set = std::process::Command::new("setfattr")
        .args(["-n", "user.crane", "-v", "a=b\n7", "empty"])
        .current_dir(&root)
        .status();
    let has_attributes = set.is_ok_and(|s| s.success());
    if has_attributes {
        made(dir.path(), &["tar", "-C", "root", "--xattrs", "--format=posix", "-cf", "with", "."]);
        let look = Look::at(&of_file(&dir.path().join("with")), "tar").unwrap();
        let stat = look.get("/empty").stat.clone().unwrap();
        assert_eq!(stat.xattrs, [("user.crane".into(), b"a=b\n7".to_vec())]);
    } else {
        eprintln!("skipped: no setfattr, or a file system without attributes");
    }
    made(
        dir.path(),
        &[
            "tar",
            "-C",
            "root",
            "--format=posix",
            "--pax-option=globexthdr.name=g,comment=x,uid=4711",
            "-cf",
            "global",
            ".",
        ],
    );
    let look = Look::at(&of_file(&dir.path().join("global")), "tar").unwrap();
    assert_eq!(look.gaps(), []);
    assert_eq!(look.get("/empty").stat.as_ref().unwrap().uid, 4711);
    if have("bsdtar") {
        for form in ["pax", "gnutar"] {
            made(dir.path(), &["bsdtar", "-C", "root", "--format", form, "-cf", "bsd", "."]);
            let look = Look::at(&of_file(&dir.path().join("bsd")), "tar").unwrap();
            assert_eq!(look.gaps(), [], "{form}");
            same_as(&look, &root, true);
        }
    }
}

#[test]
fn every_compression_of_tar() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    made(dir.path(), &["tar", "-C", "root", "-cf", "plain", "."]);
    let plain = std::fs::read(dir.path().join("plain")).unwrap();
    for tool in ["gzip", "xz", "zstd", "bzip2", "lzma", "lz4", "lzop"] {
        if !have(tool) {
            continue;
        }
        let packed = through(&[tool, "-c"], &plain);
        let look = Look::at(&acquired(&packed), "tar").unwrap();
        assert_eq!(look.gaps(), [], "{tool}");
        same_as(&look, &root, true);
        // Two members of the format one behind the other are one stream.
        let (a, b) = plain.split_at(100_000);
        let twice = [through(&[tool, "-c"], a), through(&[tool, "-c"], b)].concat();
        if tool != "lzop" {
            let disk = acquired(&twice);
            assert_eq!(disk.len(), plain.len() as u64, "{tool}");
        }
        for cut in [packed.len() / 2, packed.len() - 1] {
            let gaps = cranescope::base::Gaps::default();
            let Some(part) = packed.get(..cut).filter(|_| packed.len() > 9) else { continue };
            let disk = super::opened(std::sync::Arc::new(part.to_vec()), &gaps);
            assert!(disk.len() <= plain.len() as u64);
            // The last byte of lzma is at times only what its range coder flushes, lz4 and lzop end in words that
            // say no more than the file's end does: all came out then.
            let mut out = vec![0; plain.len()];
            let whole = disk.read_at(0, &mut out).is_ok_and(|n| n == plain.len()) && out == plain;
            let says_nothing = cut == packed.len() - 1 && whole && matches!(tool, "lzma" | "lz4" | "lzop");
            assert!(says_nothing || !gaps.take().is_empty(), "{tool} cut at {cut} of {}", packed.len());
        }
    }
}

#[test]
fn every_form_of_cpio() {
    if !have("cpio") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    // A name with a line's end needs -0.
    for form in ["newc", "crc", "odc", "bin"] {
        let line = format!("cd root && find . -print0 | cpio -0 --quiet -o -H {form} > ../{form}");
        made(dir.path(), &["sh", "-c", &line]);
        let bytes = std::fs::read(dir.path().join(form)).unwrap();
        let look = Look::at(&acquired(&bytes), "cpio").unwrap();
        assert_eq!(look.gaps(), [], "{form}");
        same_as(&look, &root, form != "bin");
        check_places(&look, &bytes);
        if form == "newc" {
            assert_eq!(look.get("/large").node, look.get("/zz-same-as-large").node);
        }
        if form == "bin" {
            // The other byte order: every word of every header swapped.
            let swapped = swap(&bytes);
            let look = Look::at(&acquired(&swapped), "cpio").unwrap();
            same_as(&look, &root, false);
        }
    }
}

/// An old binary archive in the other byte order.
fn swap(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at + 26 <= bytes.len() && bytes[at..at + 2] == [0xc7, 0x71] {
        let word = |n: usize| usize::from(u16::from_le_bytes([bytes[at + n], bytes[at + n + 1]]));
        let (name, len) = (word(20), word(22) << 16 | word(24));
        for pair in out[at..at + 26].chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        at += 26 + name.next_multiple_of(2) + len.next_multiple_of(2);
    }
    out
}

#[test]
fn names_stay_names_and_later_members_count() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    std::fs::write(root.join("a"), b"first").unwrap();
    made(root, &["tar", "-cf", "t", "--transform", "s,^a,../../up,", "a"]);
    made(root, &["tar", "-rPf", "t", "--transform", "s,^a,/etc/shadow,", "a"]);
    made(root, &["tar", "-rf", "t", "a"]);
    std::fs::write(root.join("a"), b"second").unwrap();
    made(root, &["tar", "-rf", "t", "a"]);
    std::os::unix::fs::symlink("/etc", root.join("l")).unwrap();
    made(root, &["tar", "-rf", "t", "l"]);
    made(root, &["tar", "-rf", "t", "--transform", "s,^a,l/passwd,", "a"]);
    let look = Look::at(&of_file(&root.join("t")), "tar").unwrap();
    let flags = |path: &str| look.get(path).stat.clone().unwrap().flags.clone();
    assert_eq!(flags("/../../up"), ["name-leads-up"]);
    assert_eq!(flags("/etc/shadow"), ["absolute-name"]);
    assert_eq!(look.read("/a"), b"second");
    let gone: Vec<_> = look.gone().collect();
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].path.bytes(), look.content(gone[0]).unwrap()), (&b"/a"[..], b"first".to_vec()));
    // The link is there, and what was to go through it as well.
    assert_eq!(look.live().filter(|e| e.path.bytes() == b"/l").count(), 2);
    assert_eq!(flags("/l/passwd"), ["name-goes-through-link"]);
}
