//! JFFS2 as mkfs.jffs2 writes it, against its source; then versions, deletions and damage written on top.
use super::folder::{attributes, populate, same};
use crate::look::{Image, Look, Random, check_places, exercise, rounds, run, tool, tools};
use cranescope::image::Source;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn mkfs(root: &Path, options: &[&str]) -> Image {
    let image = Image::empty(0);
    let mut command = tool("mkfs.jffs2");
    run(command.arg("-r").arg(root).args(["-e", "128KiB", "-o"]).arg(image.path()).args(options));
    image
}

#[test]
fn every_compressor_and_order_gives_the_source() {
    if !tools(&["mkfs.jffs2", "sumtool"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    populate(&root, 1200);
    let attributes = attributes(&root);
    eprintln!("{} attributes", attributes.len());
    for options in [
        &["-l", "--with-xattr"][..],
        &["-b", "--with-xattr", "-X", "lzo", "-x", "zlib", "-x", "rtime"],
        &["-b", "-m", "none", "-n"],
        &["-l", "-x", "zlib", "-x", "lzo", "-s", "0x1000", "-p"],
        &["-l", "-m", "size", "-X", "lzo"],
    ] {
        let what = format!("{options:?}");
        let image = mkfs(&root, options);
        let look = image.look("jffs2");
        let expected = if options.contains(&"--with-xattr") { attributes.as_slice() } else { &[] };
        same(&look, &root, expected, &what);
        check_places(&look, &image.bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        assert_eq!(look.gone().count(), 0, "{what}");
        let order = if options.contains(&"-b") { "big-endian" } else { "little-endian" };
        assert_eq!(look.fs().info().features, [order]);
        let format = crate::look::format("jffs2");
        assert_eq!(
            (format.size)(&image.source()).map(|n| n.next_multiple_of(16 << 10)),
            Some((image.bytes().len() as u64).next_multiple_of(16 << 10)),
            "{what}"
        );
    }
    // With summaries.
    let image = mkfs(&root, &["-l"]);
    let summed = Image::empty(0);
    run(tool("sumtool").args(["-l", "-e", "128KiB", "-i"]).arg(image.path()).arg("-o").arg(summed.path()));
    let look = summed.look("jffs2");
    same(&look, &root, &[], "sumtool");
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:?}");
}

fn crc(bytes: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new_with_initial(u32::MAX);
    hash.update(bytes);
    !hash.finalize()
}

/// Writes nodes, little-endian.
#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    obsolete: bool,
}
impl Log {
    fn node(&mut self, kind: u16, len: usize, fields: &[u32]) -> Vec<u8> {
        let mut node = vec![0x85, 0x19];
        node.extend(kind.to_le_bytes());
        node.extend(u32::try_from(len).unwrap().to_le_bytes());
        let sum = crc(&node);
        node.extend(sum.to_le_bytes());
        if self.obsolete {
            node[3] &= !0x20;
        }
        for field in fields {
            node.extend(field.to_le_bytes());
        }
        node
    }
    fn push(&mut self, node: &[u8]) {
        self.bytes.extend(node);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0xff);
    }
    fn name(&mut self, parent: u32, version: u32, inode: u32, name: &str) {
        let mut node = self.node(0xe001, 40 + name.len(), &[parent, version, inode, 1_600_000_000]);
        node.extend([u8::try_from(name.len()).unwrap(), 8, 0, 0]);
        let kept = node[3];
        node[3] |= 0x20;
        let sum = crc(&node);
        node[3] = kept;
        node.extend(sum.to_le_bytes());
        node.extend(crc(name.as_bytes()).to_le_bytes());
        node.extend(name.as_bytes());
        self.push(&node);
    }
    fn file(&mut self, inode: u32, version: u32, size: u32, offset: u32, data: &[u8]) {
        let len = u32::try_from(data.len()).unwrap();
        let mut node = self.node(0xe002, 68 + data.len(), &[inode, version, 0o100_644, 0]);
        for field in [size, 1_600_000_001, 1_600_000_002, 1_600_000_003, offset, len, len, 0] {
            node.extend(field.to_le_bytes());
        }
        let kept = node[3];
        node[3] |= 0x20;
        let sums = [crc(data), crc(&node)];
        node[3] = kept;
        for sum in sums {
            node.extend(sum.to_le_bytes());
        }
        node.extend(data);
        self.push(&node);
    }
    fn look(&self) -> Look {
        let source: Source = Arc::new(self.bytes.clone());
        Look::at(&source, "jffs2").unwrap()
    }
}

#[test]
fn the_newest_versions_count_and_older_ones_tell_what_was_deleted() {
    let mut log = Log::default();
    log.file(2, 1, 10, 0, b"0123456789");
    log.name(1, 1, 2, "config");
    log.file(2, 2, 10, 3, b"abc");
    log.file(3, 1, 6, 0, b"secret");
    log.name(1, 2, 3, "gone");
    log.name(1, 3, 0, "gone");
    // Replaced, as editors do it.
    log.file(4, 1, 3, 0, b"old");
    log.name(1, 4, 4, "settings");
    log.file(5, 1, 3, 0, b"new");
    log.name(1, 5, 5, "settings");
    // Cut, and written again behind a hole.
    log.file(6, 1, 8, 0, b"12345678");
    log.name(1, 6, 6, "cut");
    log.file(6, 2, 2, 0, b"");
    log.file(6, 3, 9, 8, b"9");
    // The inode of a name is lost.
    log.name(1, 7, 99, "lost");
    log.name(1, 8, 0, "lost");
    log.file(7, 1, 4, 0, b"bare");
    log.obsolete = true;
    log.file(8, 1, 5, 0, b"faint");
    log.name(1, 9, 8, "marked");
    let look = log.look();
    let live: Vec<_> = look.live().map(|e| e.path.to_string()).collect();
    assert_eq!(live, ["/", "/config", "/cut", "/settings"]);
    assert_eq!(look.read("/config"), b"012abc6789");
    assert_eq!(look.read("/settings"), b"new");
    assert_eq!(look.read("/cut"), b"123456789");
    let gone: Vec<_> = look.gone().map(|e| (e.path.to_string(), look.content(e).ok())).collect();
    let expected = [
        ("/$deleted/7", Some(&b"bare"[..])),
        ("/gone", Some(b"secret")),
        ("/lost", None),
        ("/marked", Some(b"faint")),
        ("/settings", Some(b"old")),
    ];
    assert_eq!(gone, expected.map(|(p, c)| (p.to_owned(), c.map(<[u8]>::to_vec))));
    let times = look.get("/config").stat.as_ref().unwrap().times;
    assert_eq!(times.modified.map(|t| t.to_string()).as_deref(), Some("2020-09-13T12:26:42Z"));
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn damage_is_told_and_older_data_count() {
    let mut log = Log::default();
    log.file(2, 1, 10, 0, b"0123456789");
    log.name(1, 1, 2, "config");
    let at = log.bytes.len();
    log.file(2, 2, 10, 3, b"abc");
    let behind = log.bytes.len();
    log.file(3, 1, 3, 0, b"end");
    log.name(1, 2, 3, "end");
    let whole = log.bytes.clone();
    // The data of a newer part were not all written.
    log.bytes[at + 69] = 0xff;
    let look = log.look();
    assert_eq!((look.read("/config"), look.read("/end")), (b"0123456789".to_vec(), b"end".to_vec()));
    let gaps = look.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        gaps[0].what.contains("older ones count") && gaps[0].at.to_string().contains(&format!("volume_offset {at}"))
    );
    // A node of which nothing holds: what follows is still found.
    log.bytes = whole.clone();
    log.bytes[at..behind].fill(0x31);
    let look = log.look();
    assert_eq!((look.read("/config"), look.read("/end")), (b"0123456789".to_vec(), b"end".to_vec()));
    let gaps = look.gaps();
    assert!(gaps.len() == 1 && gaps[0].bytes == (behind - at) as u64, "{gaps:?}");
    // A header that holds, of a length that does not.
    log.bytes = whole[..at].to_vec();
    let node = log.node(0x2004, 1 << 30, &[]);
    log.push(&node);
    log.bytes.extend(&whole[behind..]);
    assert_eq!(log.look().read("/end"), b"end");
    for cut in 0..whole.len() {
        let source: Source = Arc::new(whole[..cut].to_vec());
        exercise(&source, "jffs2");
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    if !tools(&["mkfs.jffs2"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for n in 0..60 {
        std::fs::create_dir_all(folder.path().join(format!("d{}", n % 7))).unwrap();
        std::fs::write(folder.path().join(format!("d{}/f{n}", n % 7)), b"text ".repeat(n * 40)).unwrap();
    }
    std::os::unix::fs::symlink("d1/f1", folder.path().join("link")).unwrap();
    for options in
        [&["-l"][..], &["-b", "-m", "none"], &["-l", "-x", "zlib"], &["-l", "-X", "lzo", "-x", "zlib", "-x", "rtime"]]
    {
        let whole = mkfs(folder.path(), options).bytes();
        let magic: [u8; 2] = if options.contains(&"-b") { [0x19, 0x85] } else { [0x85, 0x19] };
        let nodes: Vec<usize> = (0..whole.len() - 68).step_by(4).filter(|at| whole[*at..*at + 2] == magic).collect();
        assert!(nodes.len() > 100);
        let put = |bytes: &mut [u8], at: usize, sum: u32| {
            let sum = if options.contains(&"-b") { sum.to_be_bytes() } else { sum.to_le_bytes() };
            bytes[at..at + 4].copy_from_slice(&sum);
        };
        let mut random = Random(options.len() as u64);
        for round in 0..rounds() {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(20) {
                let at = nodes[usize::try_from(random.below(nodes.len() as u64)).unwrap()];
                let place = at + 4 + usize::try_from(random.below(60)).unwrap();
                bytes[place] = [0, 0xff, bytes[place] ^ 1, 0x80][usize::try_from(random.below(4)).unwrap()];
                if random.below(8) > 0 {
                    let sum = crc(&bytes[at..at + 8]);
                    put(&mut bytes, at + 8, sum);
                    let (counted, field) =
                        if bytes[at + 2] & 3 == 2 || bytes[at + 3] & 3 == 2 { (60, 64) } else { (32, 32) };
                    let sum = crc(&bytes[at..at + counted]);
                    put(&mut bytes, at + field, sum);
                }
            }
            let start = Instant::now();
            let source: Source = Arc::new(bytes);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "jffs2")));
            assert!(ran.is_ok(), "{options:?}, round {round}");
            assert!(start.elapsed() < Duration::from_secs(10), "{options:?}, round {round}");
        }
    }
}
