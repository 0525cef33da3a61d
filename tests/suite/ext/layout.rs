//! Sound images in many layouts: what was put in comes out.
use super::image::{Image, compare, odd_tree, pattern, tools};
use crate::look::{Look, check_places};
use cranescope::base::Name;
use cranescope::fs::NodeKind;
use std::fmt::Write as _;

/// Options for mke2fs, size in KiB.
const LAYOUTS: &[(&[&str], u32)] = &[
    (&["-t", "ext2", "-b", "1024", "-I", "128"], 40_000),
    (&["-t", "ext2", "-b", "4096", "-O", "^filetype"], 40_000),
    (&["-t", "ext2", "-r", "0"], 40_000),
    (&["-t", "ext3", "-b", "1024"], 40_000),
    (&["-t", "ext3", "-b", "4096", "-I", "128", "-J", "size=4"], 60_000),
    (&["-t", "ext4", "-b", "1024"], 40_000),
    (&["-t", "ext4", "-b", "2048"], 40_000),
    (&["-t", "ext4", "-b", "4096", "-O", "64bit,metadata_csum"], 60_000),
    (&["-t", "ext4", "-b", "4096", "-O", "^64bit,^metadata_csum,uninit_bg"], 60_000),
    (&["-t", "ext4", "-b", "1024", "-O", "^extents,^64bit,metadata_csum"], 60_000),
    (&["-t", "ext4", "-b", "4096", "-O", "inline_data"], 60_000),
    (&["-t", "ext4", "-b", "1024", "-O", "inline_data,metadata_csum", "-I", "512"], 60_000),
    (&["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,^sparse_super"], 60_000),
    (&["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,64bit,metadata_csum"], 90_000),
    (&["-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "16384"], 90_000),
    (&["-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"], 90_000),
    (&["-t", "ext4", "-b", "1024", "-O", "sparse_super2"], 60_000),
    (&["-t", "ext4", "-b", "4096", "-O", "casefold", "-E", "encoding=utf8"], 60_000),
    (&["-t", "ext4", "-b", "1024", "-O", "ea_inode,large_dir,project,quota"], 60_000),
    (
        &["-t", "ext4", "-b", "4096", "-O", "metadata_csum,metadata_csum_seed,orphan_file,fast_commit", "-I", "1024"],
        90_000,
    ),
    (&["-t", "ext4", "-b", "1024", "-g", "1024", "-N", "20000", "-O", "^flex_bg"], 60_000),
    (&["-t", "ext4", "-b", "65536"], 200_000),
];

#[test]
fn every_layout_reads_back() {
    if !tools() {
        return;
    }
    let tree = odd_tree(600);
    for (options, kib) in LAYOUTS {
        let image = Image::make(options, *kib, Some(tree.path()));
        let look = image.look();
        eprintln!("{options:?}: {} entries", look.tree.entries.len());
        assert_eq!(look.gaps(), [], "{options:?}");
        compare(&look, tree.path());
        check_places(&look, &image.bytes());
        assert_eq!(look.gone().count(), 0, "{options:?}");
        assert_eq!(look.fs().info().label, "crane");
        assert_eq!(look.fs().info().uuid, "6a0bd1c2-3e2f-4c55-8a6e-000102030405");
        assert!(look.fs().info().clean, "{options:?}");
        check_free(&image, &look, options);
        check_features(&image, &look);
        check_kind(&image, &look);
    }
}

/// Free blocks as dumpe2fs counts them.
fn check_free(image: &Image, look: &Look, options: &[&str]) {
    let text = image.run("dumpe2fs", &[]);
    let bs = u64::from(look.fs().info().block_size);
    let cluster = field(&text, "Cluster size:").and_then(|c| c.parse::<u64>().ok()).unwrap_or(bs);
    let mut wanted = Vec::new();
    for line in text.lines() {
        let Some(list) = line.trim().strip_prefix("Free blocks: ").filter(|l| line.starts_with("  ") && !l.is_empty())
        else {
            continue;
        };
        for range in list.split(", ") {
            let (a, b) = range.split_once('-').unwrap_or((range, range));
            let (a, b): (u64, u64) = (a.parse().unwrap(), b.parse().unwrap());
            wanted.push((a * bs, (b + 1) * bs));
        }
    }
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (a, b) in wanted {
        match joined.last_mut() {
            Some(last) if last.1 == a => last.1 = b,
            _ => joined.push((a, b)),
        }
    }
    let got: Vec<_> = look.fs().unallocated().iter().map(|r| (r.offset, r.end())).collect();
    if cluster == bs {
        assert_eq!(got, joined, "{options:?}");
    } else {
        let sum = |l: &[(u64, u64)]| l.iter().map(|(a, b)| b - a).sum::<u64>();
        assert!(sum(&got) > 0 && sum(&got).abs_diff(sum(&joined)) < cluster * 4, "{options:?}");
    }
}
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|l| l.strip_prefix(name)).map(str::trim)
}
fn check_features(image: &Image, look: &Look) {
    let text = image.run("dumpe2fs", &["-h"]);
    let mut wanted: Vec<&str> =
        field(&text, "Filesystem features:").unwrap().split_whitespace().filter(|f| *f != "(none)").collect();
    wanted.sort_unstable();
    assert_eq!(look.fs().info().features, wanted);
}
fn check_kind(image: &Image, look: &Look) {
    let path = image.path();
    let Ok(out) = std::process::Command::new("blkid").args(["-p", "-o", "value", "-s", "TYPE"]).arg(path).output()
    else {
        return;
    };
    assert_eq!(look.fs().info().kind, String::from_utf8_lossy(&out.stdout).trim());
}

#[test]
fn a_directory_of_twelve_thousand_names() {
    if !tools() {
        return;
    }
    let tree = odd_tree(12_000);
    for options in [&["-t", "ext4", "-b", "1024", "-N", "16000"][..], &["-t", "ext2", "-b", "4096", "-N", "16000"]] {
        let image = Image::make(options, 60_000, Some(tree.path()));
        // Builds the hash index that mke2fs -d leaves out.
        image.run("e2fsck", &["-fyD"]);
        let look = image.look();
        compare(&look, tree.path());
        assert_eq!(look.gaps(), []);
    }
}

#[test]
fn what_only_debugfs_can_make() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "1024", "-O", "metadata_csum,ea_inode", "-I", "256"], 60_000, None);
    let content = pattern(3, 200_000);
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let host = image.scratch("content", &content);
    let cap = image.scratch("cap", &capability);
    let value = image.scratch("value", &pattern(8, 700));
    // debugfs takes one block of it at most, which still needs an inode of its own.
    let large = image.scratch("large", &pattern(9, 1024));
    let mut script = String::new();
    writeln!(script, "write {} file", host.display()).unwrap();
    writeln!(script, "ea_set -f {} file security.capability", cap.display()).unwrap();
    writeln!(script, "ea_set file user.note hello").unwrap();
    writeln!(script, "ea_set -f {} file user.in-block", value.display()).unwrap();
    writeln!(script, "ea_set -f {} file trusted.large", large.display()).unwrap();
    writeln!(script, "mknod tty c 4 64\nmknod disk b 259 65535\nmknod pipe p").unwrap();
    writeln!(script, "symlink link {}", "z".repeat(200)).unwrap();
    writeln!(script, "write {} allocated\nfallocate allocated 200 400", host.display()).unwrap();
    writeln!(script, "sif allocated size 350000").unwrap();
    writeln!(script, "sif file mtime 0x6553f100\nsif file mtime_extra 0x1dcd6501").unwrap();
    writeln!(script, "sif file crtime 0x80000000\nsif file crtime_extra 0x4").unwrap();
    writeln!(script, "sif file flags 0x80070\nsif file uid 70000\nsif file gid 65537").unwrap();
    for n in 0..40 {
        writeln!(script, "write {} part-{n:02}", value.display()).unwrap();
    }
    for n in (0..40).step_by(2) {
        writeln!(script, "rm part-{n:02}").unwrap();
    }
    let log = image.change(&script);
    let look = image.look();
    assert_eq!(look.gaps(), [], "{log}");
    assert!(look.read("/file") == content);
    let stat = look.get("/file").stat.clone().unwrap();
    let attribute = |name: &str| stat.xattrs.iter().find(|(n, _)| *n == Name::from(name)).map(|(_, v)| v.clone());
    assert_eq!(attribute("security.capability").unwrap(), capability);
    assert_eq!(attribute("user.note").unwrap(), b"hello");
    assert!(attribute("user.in-block").unwrap() == pattern(8, 700));
    assert!(attribute("trusted.large").unwrap() == pattern(9, 1024));
    assert_eq!(stat.xattrs.len(), 4);
    // 2023 plus one epoch of 2^32 seconds; 0x1dcd6501 >> 2 nanoseconds.
    let modified = stat.times.modified.unwrap();
    assert_eq!(
        (modified.seconds, modified.nanos, u8::from(modified.digits)),
        (0x6553_f100 + (1 << 32), 0x0773_5940, 9)
    );
    let created = stat.times.created.unwrap();
    assert_eq!((created.seconds, created.nanos), (-(1 << 31), 1));
    assert_eq!((stat.uid, stat.gid), (70_000, 65_537));
    assert_eq!(stat.flags, ["immutable", "append", "nodump"]);
    let device = |path: &str| look.get(path).stat.clone().unwrap();
    assert_eq!((device("/tty").kind, device("/tty").device), (NodeKind::CharDevice, Some((4, 64))));
    assert_eq!((device("/disk").kind, device("/disk").device), (NodeKind::BlockDevice, Some((259, 65_535))));
    assert_eq!((device("/pipe").kind, device("/pipe").device), (NodeKind::Fifo, None));
    assert_eq!(look.fs().read_link(look.get("/link").node).unwrap(), "z".repeat(200).as_bytes());
    // Allocated but never written: zeros, whatever lies there.
    let allocated = look.read("/allocated");
    assert_eq!(allocated.len(), 350_000);
    assert!(allocated[..200_000] == content && allocated[200_000..].iter().all(|b| *b == 0));
    check_places(&look, &image.bytes());
}

#[test]
fn a_fragmented_file_with_a_deep_tree() {
    if !tools() {
        return;
    }
    // 1 KiB blocks: an extent block holds 84, so every second block free makes a tree of depth 2.
    for options in [&["-t", "ext4", "-b", "1024", "-N", "9000"][..], &["-t", "ext2", "-b", "1024", "-N", "9000"]] {
        let image = Image::make(options, 60_000, None);
        let one = image.scratch("one", &[7; 1024]);
        let big = pattern(5, 9_000_000);
        let host = image.scratch("big", &big);
        let mut script = String::new();
        for n in 0..8_000 {
            writeln!(script, "write {} f{n}", one.display()).unwrap();
        }
        image.change(&script);
        // Free every second block of the first half.
        let mut script: String = (0..8_000).step_by(2).fold(String::new(), |mut s, n| {
            writeln!(s, "rm f{n}").unwrap();
            s
        });
        writeln!(script, "write {} big", host.display()).unwrap();
        image.change(&script);
        let look = image.look();
        assert!(look.read("/big") == big, "{options:?}");
        let pieces = look.tree.open(look.get("/big")).unwrap().locate(cranescope::base::Run::new(0, 9_000_000));
        assert!(pieces.len() > 500, "{options:?}: only {} pieces", pieces.len());
        assert_eq!(look.gaps(), []);
    }
}
