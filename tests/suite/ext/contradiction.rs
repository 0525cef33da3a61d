//! Parts of an image that contradict each other, made by debugfs: each is told with its place, and no sound image is.
use super::image::{Image, pattern, tools};
use cranescope::fs::NodeKind;

fn told(image: &Image) -> Vec<String> {
    let look = image.look();
    // As an examination does: what is free is asked for as well, where links lead, and contents.
    look.fs().unallocated();
    for entry in look.live() {
        match entry.kind() {
            NodeKind::Symlink => drop(look.fs().read_link(entry.node).unwrap()),
            NodeKind::File => drop(look.tree.open(entry)),
            _ => {}
        }
    }
    let gaps = look.gaps();
    assert!(gaps.iter().all(|g| g.at.offset.is_some() || g.at.path.is_some()), "{gaps:?}");
    gaps.into_iter().map(|g| g.what).collect()
}

fn sound(options: &[&str]) -> Image {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), pattern(5, 20_000)).unwrap();
    std::os::unix::fs::symlink("short", folder.path().join("link")).unwrap();
    std::fs::create_dir(folder.path().join("many")).unwrap();
    for n in 0..200 {
        std::fs::write(folder.path().join(format!("many/name-of-some-length-{n:03}")), "").unwrap();
    }
    let image = Image::make(&[options, &["-b", "1024", "-N", "512"]].concat(), 6_000, Some(folder.path()));
    assert_eq!(told(&image), Vec::<String>::new(), "{options:?}");
    image
}

const PLAIN: &[&str] = &["-t", "ext4", "-O", "^metadata_csum,^resize_inode"];

#[test]
fn what_contradicts_itself_is_told() {
    if !tools() {
        return;
    }
    for (options, commands, words) in [
        (PLAIN, "set_inode_field /file links_count 0", "says that no name leads to it"),
        (PLAIN, "set_inode_field /file size 100", "stored behind the end of the file"),
        (&["-t", "ext2"][..], "set_inode_field /file size 100", "stored behind the end of the file"),
        (PLAIN, "set_inode_field /file extra_isize 3", "extra fields have an impossible length"),
        (PLAIN, "set_inode_field /many/name-of-some-length-007 flags 0x10000000", "inline content, which"),
        (PLAIN, "set_inode_field /link size 9", "the target of a link"),
        (PLAIN, "set_inode_field /file mode 0040755", "another kind of file than their inodes"),
        (PLAIN, "set_super_value min_extra_isize 1", "extra fields of inodes that do not fit"),
        (PLAIN, "feature ^has_journal\nset_super_value journal_inum 0", "a journal is there"),
        (PLAIN, "set_bg 0 free_blocks_count 7", "the count of free blocks differs"),
        (&["-t", "ext4"], "set_bg 0 itable_unused 9999\nset_bg 0 checksum calc", "more inodes never used than can be"),
        (&["-t", "ext2"], "set_inode_field /file block[0] 1", "over structures of the file system"),
        (&["-t", "ext4", "-O", "bigalloc", "-C", "4096"], "", ""),
    ] {
        let image = sound(options);
        let said = image.change(commands);
        let told = told(&image);
        assert!(words.is_empty() || told.iter().any(|t| t.contains(words)), "{commands}: {told:?} {said}");
    }
}

#[test]
fn blocks_marked_as_bad_are_told() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext2", "-b", "1024"], 4000, None);
    let list = image.scratch("list", b"3000\n3001\n3002\n");
    let bad = Image::make(&["-t", "ext2", "-b", "1024", "-l", list.to_str().unwrap()], 4000, None);
    assert_eq!(told(&image), Vec::<String>::new());
    let look = bad.look();
    let gaps = look.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].what, "3 blocks are marked as bad; no file has them");
    assert_eq!((gaps[0].at.offset.as_ref().unwrap().1, gaps[0].bytes), (3000 * 1024, 3 * 1024));
}

/// The index that e2fsck makes of a directory is whole; every change of it is told, and the names are all there.
#[test]
fn an_index_that_does_not_fit_its_directory_is_told() {
    if !tools() {
        return;
    }
    let image = sound(PLAIN);
    image.run("e2fsck", &["-fyD"]);
    let place = image.ask("bmap /many 0");
    let root: u64 = place.trim().parse().unwrap_or_else(|_| panic!("{place}"));
    assert!(image.ask("stat /many").contains("Flags: 0x81000"), "e2fsck made no index");
    assert_eq!(told(&image), Vec::<String>::new());
    let names = image.look().live().count();
    let whole = image.bytes();
    // Function of the hash, depth, a block that is led to twice.
    for (at, value) in [(28, 240), (30, 8), (44, 1)] {
        let image = Image::from_bytes(&whole);
        image.write(root * 1024 + at, &[value]);
        assert!(told(&image).iter().any(|t| t.contains("index of a directory contradicts it")), "{at}");
        assert_eq!(image.look().live().count(), names);
    }
}
