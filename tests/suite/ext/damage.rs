//! Damaged and hostile images: what is lost is named, and nothing more is lost.
use super::image::{Image, odd_tree, pattern, tools};
use crate::look::Look;
use cranescope::base::{PieceKind, Run};
use cranescope::fs::{FsError, NodeKind};
use std::fmt::Write as _;

const PLAIN: &[&str] =
    &["-t", "ext4", "-b", "1024", "-O", "metadata_csum,64bit,^resize_inode", "-g", "2048", "-N", "4096"];

fn whats(look: &Look) -> Vec<String> {
    look.gaps().into_iter().map(|g| format!("{}: {}", g.at, g.what)).collect()
}
fn block_of(image: &Image, text: &str) -> u64 {
    let out = image.ask(text);
    out.split(|c: char| !c.is_ascii_digit()).find_map(|w| w.parse().ok()).unwrap_or_else(|| panic!("{text}: {out}"))
}
fn inode_of(look: &Look, path: &str) -> u64 {
    look.get(path).node.number
}

#[test]
fn a_lost_superblock_is_taken_from_a_backup() {
    if !tools() {
        return;
    }
    let tree = odd_tree(50);
    for options in [PLAIN, &["-t", "ext4", "-b", "4096"], &["-t", "ext2", "-b", "1024"]] {
        let image = Image::make(options, 200_000, Some(tree.path()));
        let whole = image.look();
        let paths = |l: &Look| l.live().map(|e| e.path.clone()).collect::<Vec<_>>();
        image.write(1024, &[0; 1024]);
        assert!(!(crate::look::format("ext").probe)(&image.source()));
        let look = image.look();
        assert_eq!(paths(&look), paths(&whole), "{options:?}");
        assert!(whats(&look)[0].contains("its backup at byte"), "{options:?}");
    }
}

#[test]
fn a_checksum_of_the_superblock_is_a_gap_only() {
    if !tools() {
        return;
    }
    let image = Image::make(PLAIN, 20_000, None);
    image.write(1024 + 0x34, &[9]);
    assert_eq!(whats(&image.look()), ["volume_offset 1024: checksum of the superblock differs"]);
}

#[test]
fn a_damaged_group_descriptor_is_taken_from_its_backup() {
    if !tools() {
        return;
    }
    let tree = odd_tree(300);
    let image = Image::make(PLAIN, 60_000, Some(tree.path()));
    let whole = image.look();
    // The descriptors stand in the block after the superblock; groups 2 and 3 of 64 bytes each.
    image.write(2048 + 128, &[0xa5; 128]);
    let look = image.look();
    assert_eq!(look.live().count(), whole.live().count());
    super::image::compare(&look, tree.path());
    assert_eq!(
        whats(&look),
        ["volume_offset 2176: group descriptor damaged; a backup of it was used (2 block groups: 2, 3)"]
    );
    // Without any backup only that group's inodes are lost.
    let mut bytes = image.bytes();
    for group in 1..30_usize {
        let at = (1 + group * 2048 + 1) * 1024 + 128;
        if bytes.len() > at + 128 {
            let is_copy = bytes[at - 128 - 1024 + 0x38..at - 128 - 1024 + 0x3a] == [0x53, 0xef];
            if is_copy {
                bytes[at..at + 128].fill(0xa5);
            }
        }
    }
    let image = Image::from_bytes(&bytes);
    let look = image.look();
    let text = whats(&look);
    assert!(text.iter().any(|t| t.contains("points outside the volume; its inodes are lost")), "{text:?}");
    let unread = look.live().filter(|e| e.stat.is_none()).count();
    assert!(unread > 0 && look.live().count() == whole.live().count(), "{unread}");
    assert!(look.live().filter(|e| e.stat.is_some()).count() > 100);
}

#[test]
fn many_bad_inodes_are_one_gap() {
    if !tools() {
        return;
    }
    let tree = odd_tree(500);
    let image = Image::make(PLAIN, 60_000, Some(tree.path()));
    let whole = image.look();
    let text = image.run("dumpe2fs", &[]);
    // Flip a spare byte in every inode of group 1.
    let line = text.lines().skip_while(|l| !l.starts_with("Group 1:")).find(|l| l.contains("Inode table at")).unwrap();
    let first: u64 = line.split("at ").nth(1).unwrap().split(['-', ' ']).next().unwrap().parse().unwrap();
    let per_group: u64 =
        text.lines().find_map(|l| l.strip_prefix("Inodes per group:")).unwrap().trim().parse().unwrap();
    for n in 0..per_group {
        image.write(first * 1024 + n * 256 + 0x10, &[0x77]);
    }
    let look = image.look();
    let gaps = whats(&look);
    assert_eq!(look.live().count(), whole.live().count());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        gaps[0].contains("checksum of the inode differs (") && gaps[0].contains("all in block group 1"),
        "{gaps:?}"
    );
}

#[test]
fn damaged_directory_extent_and_attribute_blocks_have_their_place() {
    if !tools() {
        return;
    }
    let image = Image::make(PLAIN, 60_000, Some(odd_tree(300).path()));
    let value = image.scratch("value", &pattern(8, 600));
    image.change(&format!("ea_set -f {} size-1024 user.in-block", value.display()));
    let many = block_of(&image, "bmap many 2");
    let sparse = image.ask("extents sparse");
    assert!(sparse.contains("Level"), "{sparse}");
    image.write(many * 1024 + 20, &[0x55]);
    let text = image.ask("stat size-1024");
    let acl: u64 = text.split("File ACL: ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    image.write(acl * 1024 + 1020, &[1]);
    let look = image.look();
    let gaps = whats(&look);
    assert!(
        gaps.iter().any(|g| g.contains(&format!("volume_offset {}", many * 1024))
            && g.contains("checksum of a directory block differs")),
        "{gaps:?}"
    );
    assert!(
        gaps.iter().any(|g| g.contains(&format!("volume_offset {}", acl * 1024))
            && g.contains("checksum of an attribute block differs")),
        "{gaps:?}"
    );
    // Break the chain of a directory block: the rest of the block, not of the directory, is lost.
    let before = look.live().count();
    image.write(many * 1024 + 4, &[3, 0]);
    let look = image.look();
    assert!(look.live().count() < before && look.live().count() > before - 40);
    assert!(whats(&look).iter().any(|g| g.contains("chain of directory entries is broken")));
    assert!(look.gone().count() > 5, "names after the break are listed as slack");
}

#[test]
fn a_broken_extent_block_costs_its_part_of_the_file() {
    if !tools() {
        return;
    }
    let image = Image::make(PLAIN, 60_000, None);
    let one = image.scratch("one", &[7; 1024]);
    let big = pattern(5, 1_500_000);
    let host = image.scratch("big", &big);
    let mut script = String::new();
    (0..2000).for_each(|n| writeln!(script, "write {} f{n}", one.display()).unwrap());
    (0..2000).step_by(2).for_each(|n| writeln!(script, "rm f{n}").unwrap());
    writeln!(script, "write {} big", host.display()).unwrap();
    image.change(&script);
    let look = image.look();
    assert!(look.read("/big") == big);
    let text = image.ask("extents big");
    // Lines are `level/ depth  entry/ entries  logical - logical  physical  length`; the lowest index
    // level names the leaf blocks.
    let leaf: u64 = text
        .lines()
        .filter_map(|l| {
            let words: Vec<&str> = l.split_whitespace().collect();
            let level: u64 = words.first()?.strip_suffix('/')?.parse().ok()?;
            let depth: u64 = words.get(1)?.parse().ok()?;
            (level + 1 == depth).then(|| words.iter().rev().nth(1)?.parse().ok())?
        })
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"));
    image.write(leaf * 1024, &[0; 4]);
    let look = image.look();
    let source = look.tree.open(look.get("/big")).unwrap();
    let mut buf = vec![0; big.len()];
    assert!(source.read_at(0, &mut buf).is_err());
    let good = (0..big.len() / 1024)
        .filter(|n| {
            let mut buf = [0; 1024];
            source.read_at(*n as u64 * 1024, &mut buf).is_ok_and(|_| buf == big[n * 1024..(n + 1) * 1024])
        })
        .count();
    assert!(good > 900 && good < big.len() / 1024, "{good}");
    assert!(whats(&look).iter().any(|g| g.contains("extent")));
}

#[test]
fn a_file_that_claims_sixteen_tebibytes_costs_nothing() {
    if !tools() {
        return;
    }
    for options in [PLAIN, &["-t", "ext2", "-b", "1024"]] {
        let image = Image::make(options, 20_000, None);
        let host = image.scratch("x", b"head");
        image.change(&format!(
            "write {} huge\nsif huge size 0xfffffff0000\nmkdir d\nsif d size 0x7fffffff",
            host.display()
        ));
        let look = image.look();
        let source = look.tree.open(look.get("/huge")).unwrap();
        assert_eq!(source.len(), 0xfff_ffff_0000);
        let mut end = [1; 16];
        assert_eq!(source.read_at(0xfff_fffe_fff0, &mut end), Ok(16));
        assert_eq!(end, [0; 16]);
        let pieces = source.locate(Run::new(0, source.len()));
        assert!(pieces.len() <= 2 && pieces.iter().map(|p| p.len).sum::<u64>() == source.len());
        assert_eq!(pieces.last().unwrap().kind, PieceKind::Hole);
    }
}

#[test]
fn loops_in_map_and_tree_end() {
    if !tools() {
        return;
    }
    // A triple-indirect block that points at itself, in every slot.
    let image = Image::make(&["-t", "ext2", "-b", "1024"], 20_000, None);
    let host = image.scratch("x", &pattern(1, 4096));
    image.change(&format!("write {} loop\nsif loop size 0x7ffffffff", host.display()));
    let block = block_of(&image, "bmap loop 1");
    let all: Vec<u8> = (0..256).flat_map(|_| u32::try_from(block).unwrap().to_le_bytes()).collect();
    image.write(block * 1024, &all);
    image.change(&format!("sif loop block[DIND] {block}\nsif loop block[TIND] {block}\nsif loop block[IND] {block}"));
    let look = image.look();
    let source = look.tree.open(look.get("/loop")).unwrap();
    assert!(source.locate(Run::new(0, source.len())).len() < 2_000_000);
    assert!(whats(&look).iter().any(|g| g.contains("leads to one block twice")));
    // A directory that is its own child.
    image.change("mkdir d\nlink d d/self");
    let look = image.look();
    assert!(look.live().count() < 20);
}

#[test]
fn truncated_images_say_what_is_missing() {
    if !tools() {
        return;
    }
    let tree = odd_tree(300);
    let image = Image::make(PLAIN, 60_000, Some(tree.path()));
    let bytes = image.bytes();
    for keep in [100_usize, 1500, 3000, 300_000, 2_000_000, 5_000_000] {
        let cut = Image::from_bytes(&bytes[..keep]);
        match Look::at(&cut.source(), "ext") {
            Ok(look) => assert!(whats(&look).iter().any(|g| g.contains("of them exist")), "{keep}"),
            Err(FsError::Corrupt { .. }) => assert!(keep < 2048, "{keep}"),
            Err(e) => panic!("{keep}: {e}"),
        }
    }
}

#[test]
fn deleted_names_and_contents_come_back() {
    if !tools() {
        return;
    }
    for options in [PLAIN, &["-t", "ext2", "-b", "1024", "-O", "^filetype"], &["-t", "ext3", "-b", "4096"]] {
        let image = Image::make(options, 60_000, None);
        let (one, two) = (pattern(1, 5000), pattern(2, 100_000));
        let (a, b) = (image.scratch("one", &one), image.scratch("two", &two));
        image.change(&format!(
            "mkdir dir\ncd dir\nwrite {} first\nwrite {} second\nwrite {} stays\nwrite {} third\ncd /\nwrite {} nameless\nln nameless x",
            a.display(), b.display(), a.display(), a.display(), b.display()
        ));
        let before = image.look();
        let second = inode_of(&before, "/dir/second");
        let nameless = inode_of(&before, "/nameless");
        // `kill_file` frees the inode, `unlink` only the name.
        image.change(&format!("rm dir/second\nrm dir/third\nkill_file <{nameless}>\nunlink nameless"));
        let look = image.look();
        let found = look.gone().find(|e| e.path.bytes() == b"/dir/second").unwrap_or_else(|| panic!("{options:?}"));
        assert_eq!(found.node.number, second);
        let stat = found.stat.clone().unwrap();
        assert_eq!((stat.kind, stat.len, stat.links), (NodeKind::File, 100_000, 0));
        assert_eq!(stat.times.deleted.unwrap().seconds, 1_700_000_000);
        assert!(look.content(found).unwrap() == two);
        assert!(look.tree.get(b"/dir/second").is_none() && look.tree.get(b"/dir/stays").is_some());
        let lost = look.gone().find(|e| e.node.number == nameless).unwrap();
        assert!(look.content(lost).unwrap() == two);
        // The number passes to another file: the old name keeps it, but not its content.
        image.change(&format!("write {} new1\nwrite {} new2\nwrite {} new3", a.display(), a.display(), a.display()));
        let look = image.look();
        let reused = look.live().find(|e| e.node.number == second);
        if let (Some(_), Some(old)) = (reused, look.gone().find(|e| e.path.bytes() == b"/dir/second")) {
            assert!(old.stat.is_none() && look.content(old).is_err());
        }
        // No live name is listed as deleted.
        let live: std::collections::HashSet<_> = look.live().map(|e| (e.path.clone(), e.node.number)).collect();
        assert!(look.gone().all(|e| !live.contains(&(e.path.clone(), e.node.number))));
    }
}

#[test]
fn old_bytes_of_an_index_are_no_deleted_names() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "4096", "-O", "^metadata_csum"], 60_000, None);
    let content = image.scratch("one", b"content");
    image.change(&format!(
        "mkdir dir\ncd dir\nwrite {} gone-before\nwrite {} stays-behind",
        content.display(),
        content.display()
    ));
    image.change("rm dir/gone-before");
    let mut bytes = std::fs::read(image.path()).unwrap();
    let at = bytes.windows(12).position(|w| w == b"stays-behind").unwrap();
    // Pairs of a hash and a block, as an index of a large folder has them; one looks like an entry with a name of three bytes.
    let pairs: [u32; 10] = [
        0x0010_00d8,
        0x0102_e4f6,
        0xac,
        0x0103_024c,
        0x0010_03e0,
        0x0103_073e,
        0x0010_00e4,
        0x0103_0882,
        0xe8,
        0x0103_2158,
    ];
    let slack = at - at % 4096 + 3000;
    for (n, pair) in pairs.iter().enumerate() {
        bytes[slack + 4 * n..slack + 4 * n + 4].copy_from_slice(&pair.to_le_bytes());
    }
    let look = Look::at(&Image::from_bytes(&bytes).source(), "ext").unwrap();
    let gone: Vec<_> = look.gone().filter(|e| !e.path.bytes().is_empty()).map(|e| e.path.clone()).collect();
    assert_eq!(gone.iter().map(cranescope::base::Name::bytes).collect::<Vec<_>>(), [b"/dir/gone-before".as_slice()]);
}
