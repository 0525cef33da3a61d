//! Journal replay against e2fsck: the overlay must show what a replay writes.
use super::image::{Image, odd_tree, pattern, tools, unreplayed};
use crate::look::Look;
use cranescope::base::{Name, Run};
use std::fmt::Write as _;

/// Every live name with its size, times and content.
fn state(look: &Look) -> Vec<(Name, u64, String, String)> {
    look.live()
        .map(|e| {
            let stat = e.stat.as_ref().unwrap();
            let content = if e.is_file() { look.content(e).unwrap() } else { Vec::new() };
            let content = cranescope::base::short_id("sha256", &[&content]);
            (e.path.clone(), stat.len, format!("{:?} {:?} {}", stat.kind, stat.times, stat.links), content)
        })
        .collect()
}

/// Journals the newer image's blocks into the older one, in `steps` transactions, and gives it back.
fn journaled(old: &Image, new: &[u8], open: &str, steps: usize) -> Image {
    let image = Image::from_bytes(&old.bytes());
    let before = old.bytes();
    let bs = usize::try_from(image.look().fs().info().block_size).unwrap();
    let changed: Vec<usize> =
        (0..before.len() / bs).filter(|n| before[n * bs..(n + 1) * bs] != new[n * bs..(n + 1) * bs]).collect();
    assert!(changed.len() > 3);
    let data = image.scratch("newer", new);
    let mut script = format!("{open}\n");
    for part in changed.chunks(changed.len().div_ceil(steps)) {
        let content: Vec<u8> = part.iter().flat_map(|n| new[n * bs..(n + 1) * bs].to_vec()).collect();
        let file = image.scratch(&format!("part-{}", part[0]), &content);
        let list = part.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        writeln!(script, "jw -b {list} {}", file.display()).unwrap();
    }
    script.push_str("jc\n");
    let log = image.change(&script);
    assert!(!log.contains("rror") && !log.contains("Usage"), "{log}");
    std::fs::remove_file(data).unwrap();
    image
}

#[test]
fn the_overlay_equals_what_a_replay_writes() {
    if !tools() {
        return;
    }
    let tree = odd_tree(60);
    for (options, open) in [
        (&["-t", "ext4", "-b", "1024", "-O", "^64bit,^metadata_csum"][..], "jo"),
        (&["-t", "ext4", "-b", "1024", "-O", "64bit,^metadata_csum"], "jo"),
        (&["-t", "ext4", "-b", "1024", "-O", "64bit,metadata_csum"], "jo -c -v 3"),
        (&["-t", "ext4", "-b", "4096", "-O", "^64bit,metadata_csum"], "jo -c -v 2"),
        (&["-t", "ext3", "-b", "1024"], "jo"),
    ] {
        let old = Image::make(options, 60_000, Some(tree.path()));
        // The newer state: another file, one that begins like a journal block, a deletion, a rename.
        let new = Image::from_bytes(&old.bytes());
        let mut magic = pattern(4, 9000);
        magic[..4].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98]);
        let file = new.scratch("file", &magic);
        new.change(&format!(
            "write {} added\nrm size-4096\nmkdir fresh\nsif size-1 mtime 12345\nsif size-1 mtime_extra 0x8",
            file.display()
        ));
        for steps in [1, 4] {
            let image = journaled(&old, &new.bytes(), open, steps);
            let look = image.look();
            let raw = unreplayed(&image.source());
            assert!(raw.tree.get(b"/added").is_none(), "{options:?}: the journal alone holds it");
            assert!(raw.gaps().iter().any(|g| g.what.contains("newer copies of blocks")));
            assert!(look.read("/added") == magic, "{options:?} {steps}");
            assert!(!look.fs().info().clean && look.gaps().is_empty(), "{options:?}");
            // Bytes from the journal lie in the journal.
            let source = look.tree.open(look.get("/added")).unwrap();
            let bytes = image.bytes();
            let pieces = source.locate(Run::new(1024 * 4, 1024));
            let at = usize::try_from(pieces[0].offset).unwrap();
            assert_eq!(bytes[at..at + 1024], magic[4096..5120], "{options:?}");
            // The oracle writes the replay into a copy.
            let copy = Image::from_bytes(&bytes);
            copy.run("e2fsck", &["-y", "-E", "journal_only"]);
            let replayed = copy.look();
            assert!(replayed.fs().info().clean);
            for (ours, theirs) in state(&look).iter().zip(&state(&replayed)) {
                assert_eq!(ours, theirs, "{options:?} {steps}");
            }
            assert_eq!(look.live().count(), replayed.live().count());
        }
    }
}

#[test]
fn revoked_blocks_stay_as_they_are() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "1024", "-O", "64bit,metadata_csum"], 20_000, None);
    let content = pattern(1, 3072);
    let host = image.scratch("host", &content);
    image.change(&format!("write {} f", host.display()));
    let block = |n: u32| -> u64 { image.ask(&format!("bmap f {n}")).trim().parse().unwrap() };
    let (first, second) = (block(0), block(1));
    let other = image.scratch("other", &[0xaa; 1024]);
    let log = image
        .change(&format!("jo -c\njw -b {first} {o}\njw -b {second} {o}\njw -r {first}\njc\n", o = other.display()));
    let look = image.look();
    let mut wanted = content.clone();
    wanted[1024..2048].fill(0xaa);
    assert!(look.read("/f") == wanted, "{log}");
    let copy = Image::from_bytes(&image.bytes());
    copy.run("e2fsck", &["-y", "-E", "journal_only"]);
    assert!(copy.look().read("/f") == wanted);
}

#[test]
fn a_damaged_journal_is_told_and_its_sound_part_is_used() {
    if !tools() {
        return;
    }
    let image = Image::make(&["-t", "ext4", "-b", "1024", "-O", "64bit,metadata_csum"], 20_000, None);
    let content = pattern(1, 3072);
    let host = image.scratch("host", &content);
    image.change(&format!("write {} f", host.display()));
    let block = |n: u32| -> u64 { image.ask(&format!("bmap f {n}")).trim().parse().unwrap() };
    let (first, second) = (block(0), block(1));
    let other = image.scratch("other", &[0xaa; 1024]);
    let third = image.scratch("third", &[0xbb; 1024]);
    image.change(&format!("jo -c\njw -b {first} {}\njw -b {second} {}\njc\n", other.display(), third.display()));
    let bytes = image.bytes();
    let at = bytes.windows(1024).step_by(1024).position(|w| w == [0xbb; 1024]).unwrap() * 1024;
    image.write(at as u64 + 10, &[0]);
    let look = image.look();
    let mut wanted = content;
    wanted[..1024].fill(0xaa);
    assert!(look.read("/f") == wanted);
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains("checksum of a block in the journal differs")), "{gaps:?}");
}
