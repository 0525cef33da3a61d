//! What was deleted, and what was synced after the checkpoint, in images that are changed as the kernel changes them.
use super::image::*;
use crate::look::{Look, pattern, tools};
use cranescope::fs::Options;

/// A folder with enough names for a block of them.
fn image() -> Option<Vec<u8>> {
    if !tools(TOOLS) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("dir")).unwrap();
    for n in 0..400 {
        std::fs::write(root.join(format!("dir/file {n:03}")), pattern(n, 9000)).unwrap();
    }
    std::fs::write(root.join("small"), b"short").unwrap();
    Some(make(&root, &[]).bytes())
}

/// Takes a name out of its block of entries.
fn unlink(bytes: &mut [u8], name: &[u8]) {
    let main = main_area(bytes);
    let is_block = |at: usize| {
        let block = at / BLOCK * BLOCK;
        let inside = at - block;
        inside >= 2384 && (inside - 2384).is_multiple_of(8) && word(bytes, block + 4072) != word(bytes, block + 4076)
    };
    let found = (main..bytes.len() - name.len()).filter(|at| bytes[*at..].starts_with(name)).find(|at| is_block(*at));
    let at = found.unwrap();
    let (block, first) = (at / BLOCK * BLOCK, (at % BLOCK - 2384) / 8);
    for n in first..first + name.len().div_ceil(8) {
        bytes[block + n / 8] &= !(1 << (n % 8));
    }
}
/// Takes an inode out of the table of nodes, and its block out of the segment's information.
fn free(bytes: &mut [u8], ino: u32) {
    let at = inode(bytes, ino);
    let block = u32::try_from(at / BLOCK).unwrap();
    let entry: Vec<u8> = [ino.to_le_bytes(), block.to_le_bytes()].concat();
    let (nat, ssa, sit) = (area(bytes, 84), area(bytes, 88), area(bytes, 80));
    let mut cleared = 0;
    for place in (nat..ssa).chain(area(bytes, 76)..sit) {
        if bytes[place..].starts_with(&entry) {
            bytes[place + 4..place + 8].fill(0);
            cleared += 1;
        }
    }
    assert!(cleared > 0);
    let number = at / BLOCK - main_area(bytes) / BLOCK;
    let (segment, inside) = (number / 512, number % 512);
    for copy in [0, word(bytes, 1024 + 56) as usize / 2 * 512 * BLOCK] {
        let place = sit + copy + segment / 55 * BLOCK + segment % 55 * 74 + 2 + inside / 8;
        bytes[place] &= !(0x80 >> (inside % 8));
    }
}

#[test]
fn deleted_files_are_listed_with_what_is_left_of_them() {
    let Some(mut bytes) = image() else { return };
    let whole = look(&bytes);
    assert_eq!(whole.gone().count(), 0);
    let ino = |path: &str| u32::try_from(whole.get(path).node.number).unwrap();
    let (one, two) = (ino("/dir/file 100"), ino("/dir/file 101"));
    // One is deleted whole; of the other the inode is gone as well.
    for (name, ino) in [("file 100", one), ("file 101", two)] {
        unlink(&mut bytes, name.as_bytes());
        free(&mut bytes, ino);
    }
    let at = inode(&bytes, two);
    bytes[at..at + BLOCK].fill(0);
    let look = look(&bytes);
    assert!(look.tree.get(b"/dir/file 100").is_none());
    let gone: Vec<String> = look.gone().map(|e| e.path.display()).collect();
    assert_eq!(gone, ["/dir/file 100", "/dir/file 101"]);
    let entry = |path: &str| look.gone().find(|e| e.path.bytes() == path.as_bytes()).unwrap();
    assert_eq!(entry("/dir/file 100").len(), 9000);
    // Its blocks are still marked as in use: they may be another's by now.
    let error = look.content(entry("/dir/file 100")).unwrap_err().to_string();
    assert!(error.contains("given to another"), "{error}");
    assert!(entry("/dir/file 101").stat.as_ref().unwrap().flags.contains(&"name-only"));
    assert!(look.content(entry("/dir/file 101")).is_err());
}

#[test]
fn what_was_synced_after_the_checkpoint_is_shown() {
    let Some(mut bytes) = image() else { return };
    let whole = look(&bytes);
    let small = inode(&bytes, u32::try_from(whole.get("/small").node.number).unwrap());
    let cp = checkpoint(&bytes);
    let root = word(&bytes, 1024 + 96);
    let (segment, offset) =
        (word(&bytes, cp + 40) as usize, usize::from(bytes[cp + 70]) | usize::from(bytes[cp + 71]) << 8);
    let next = main_area(&bytes) + (segment * 512 + offset) * BLOCK;
    // As a sync of the file under a new name leaves it: the inode again, marked, where the next node was due.
    let mut node = bytes[small..small + BLOCK].to_vec();
    let at = node.windows(5).position(|w| w == b"short").unwrap();
    let flags = word(&bytes, cp + 132);
    let text = at > 300;
    assert!(text, "the file stands in its inode");
    node[at..at + 5].copy_from_slice(b"synce");
    node[92..98].copy_from_slice(b"renewn");
    put(&mut node, 88, 5);
    put(&mut node, 84, root);
    put(&mut node, 4072 + 8, 1 << 1 | 1 << 2);
    node[4072 + 12..4072 + 20].copy_from_slice(&bytes[cp..cp + 8]);
    if flags & 0x40 != 0 {
        let sum_at = word(&bytes, cp + 164) as usize;
        let sum = word(&bytes, cp + sum_at);
        put(&mut node, 4072 + 16, sum);
    }
    put(&mut node, 4072 + 20, 0);
    bytes[next..next + BLOCK].copy_from_slice(&node);
    let replayed = look(&bytes);
    assert_eq!(replayed.read("/small"), b"synce");
    assert_eq!(replayed.read("/renew"), b"synce");
    assert!(!replayed.fs().info().clean);
    let as_it_stands =
        Look::with(&source(&bytes), "f2fs", &Options { replay_journal: false, ..Options::default() }).unwrap();
    assert_eq!(as_it_stands.read("/small"), b"short");
    assert!(as_it_stands.tree.get(b"/renew").is_none());
    let gaps = as_it_stands.gaps();
    assert!(gaps.iter().any(|g| g.what.contains("1 nodes were synced after the checkpoint")), "{gaps:?}");
}
