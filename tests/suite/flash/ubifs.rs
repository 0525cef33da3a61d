//! UBIFS as mkfs.ubifs writes it, against its source; then a journal, deleted files and damage written on top.
use super::folder::{populate, same};
use super::ubi::{assembled, ubinize};
use crate::look::{Image, Look, Random, check_places, exercise, pattern, rounds, run, tool, tools};
use cranescope::fs::{FsError, NodeKind, Options};
use cranescope::image::Source;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LEB: usize = 126_976;

fn mkfs(root: &Path, options: &[&str]) -> Image {
    let image = Image::empty(0);
    let mut command = tool("mkfs.ubifs");
    run(command
        .arg("-r")
        .arg(root)
        .args(["-m", "2048", "-e", "126976", "-c", "400", "-o"])
        .arg(image.path())
        .args(options));
    image
}

#[test]
fn every_compressor_gives_the_source() {
    if !tools(&["mkfs.ubifs", "ubinize"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    populate(&root, 1500);
    let contexts = folder.path().join("contexts");
    std::fs::write(&contexts, "/.* system_u:object_r:crane_t:s0\n").unwrap();
    // Of attributes this mkfs writes SELinux's alone.
    let label = b"system_u:object_r:crane_t:s0\0".to_vec();
    let labels = [("/text", "security.selinux", label.clone()), ("/deep", "security.selinux", label)];
    for options in [&["-x", "lzo"][..], &["-x", "zlib", "-f", "4"], &["-x", "zstd"], &["-x", "none", "-k", "test"]] {
        let what = format!("{options:?}");
        let image = mkfs(&root, options);
        let look = image.look("ubifs");
        same(&look, &root, &[], &what);
        check_places(&look, &image.bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{what}: {gaps:?}");
        assert_eq!(look.gone().count(), 0);
        let info = look.fs().info();
        assert!(info.kind == "ubifs" && info.clean && info.uuid.len() == 36, "{info:?}");
    }
    // With attributes, through UBI, with places in the dump.
    let image = mkfs(&root, &["-x", "lzo", &format!("--selinux={}", contexts.display())]);
    std::fs::copy(image.path(), folder.path().join("fs")).unwrap();
    let config = "[a]\nmode=ubi\nimage=fs\nvol_id=0\nvol_type=dynamic\nvol_name=rootfs\nvol_size=40MiB\n";
    let dump = ubinize(folder.path(), ["131072", "2048", "2048"], config);
    let (made, gaps) = assembled(&dump.source());
    assert_eq!(gaps, []);
    let look = Look::at(made[0].source.as_ref().unwrap(), "ubifs").unwrap();
    same(&look, &root, &labels, "in UBI");
    check_places(&look, &dump.bytes());
}

fn crc(bytes: &[u8]) -> u32 {
    !crc32fast::hash(bytes)
}
fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
fn close(node: &mut [u8]) {
    let sum = crc(&node[8..]);
    node[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// Every node that holds: byte and length.
fn nodes(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for at in (0..bytes.len().saturating_sub(24)).step_by(8) {
        if bytes[at..at + 4] != [0x31, 0x18, 0x10, 0x06] {
            continue;
        }
        let len = le32(bytes, at + 16) as usize;
        if at + len <= bytes.len() && len >= 24 && crc(&bytes[at + 8..at + len]) == le32(bytes, at + 4) {
            all.push((at, len));
        }
    }
    all
}

/// An image whose journal can be written.
struct Journal {
    bytes: Vec<u8>,
    sequence: u64,
    /// The block that is written.
    bud: usize,
    at: usize,
}
impl Journal {
    fn new(mut bytes: Vec<u8>) -> Self {
        let blocks = le32(&bytes, 40) as usize;
        bytes.resize(blocks.max(bytes.len() / LEB + 2) * LEB, 0xff);
        let bud = bytes.len() / LEB - 1;
        bytes[40..44].copy_from_slice(&u32::try_from(bud + 1).unwrap().to_le_bytes());
        close(&mut bytes[..4096]);
        let mut new = Self { bytes, sequence: 1 << 40, bud, at: 0 };
        // Behind the commit's beginning, which fills a page.
        let mut reference = vec![0; 40];
        reference[..4].copy_from_slice(&u32::try_from(bud).unwrap().to_le_bytes());
        let node = new.node(8, &reference);
        let mut log = 3 * LEB;
        while new.bytes[log..log + 2048].iter().any(|b| *b != 0xff) {
            log += 2048;
        }
        new.bytes[log..log + node.len()].copy_from_slice(&node);
        new
    }
    fn node(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut node = vec![0x31, 0x18, 0x10, 0x06, 0, 0, 0, 0];
        node.extend(self.sequence.to_le_bytes());
        node.extend(u32::try_from(body.len() + 24).unwrap().to_le_bytes());
        node.extend([kind, 0, 0, 0]);
        node.extend(body);
        close(&mut node);
        node
    }
    fn write(&mut self, kind: u8, body: &[u8]) {
        let node = self.node(kind, body);
        let at = self.bud * LEB + self.at;
        self.bytes[at..at + node.len()].copy_from_slice(&node);
        self.at = (self.at + node.len()).next_multiple_of(8);
    }
    fn key(inode: u32, kind: u32, number: u32) -> Vec<u8> {
        [&inode.to_le_bytes()[..], &(kind << 29 | number).to_le_bytes(), &[0; 8]].concat()
    }
    fn inode(&mut self, number: u32, size: u64, links: u32, mode: u32) {
        let mut body = Self::key(number, 0, 0);
        body.resize(136, 0);
        body[24..32].copy_from_slice(&size.to_le_bytes());
        for (at, second) in [(32, 1_700_000_001_u64), (40, 1_700_000_002), (48, 1_700_000_003)] {
            body[at..at + 8].copy_from_slice(&second.to_le_bytes());
        }
        body[60..64].copy_from_slice(&123_456_789_u32.to_le_bytes());
        body[68..72].copy_from_slice(&links.to_le_bytes());
        body[80..84].copy_from_slice(&mode.to_le_bytes());
        self.write(0, &body);
    }
    fn name(&mut self, directory: u32, hash: u32, name: &[u8], inode: u32) {
        let mut body = Self::key(directory, 2, hash);
        body.extend(u64::from(inode).to_le_bytes());
        body.extend([0, 0]);
        body.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        body.extend([0; 4]);
        body.extend(name);
        body.push(0);
        self.write(2, &body);
    }
    fn data(&mut self, inode: u32, block: u32, data: &[u8]) {
        let mut body = Self::key(inode, 1, block);
        body.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        body.extend([0; 4]);
        body.extend(data);
        self.write(1, &body);
    }
    fn cut(&mut self, inode: u32, old: u64, new: u64) {
        let body = [&inode.to_le_bytes()[..], &[0; 12], &old.to_le_bytes(), &new.to_le_bytes()].concat();
        self.write(4, &body);
    }
    fn look(&self, replay_journal: bool) -> Look {
        let source: Source = Arc::new(self.bytes.clone());
        Look::with(&source, "ubifs", &Options { replay_journal, ..Options::default() }).unwrap()
    }
}

fn small() -> Option<Image> {
    if !tools(&["mkfs.ubifs"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("etc/config")).unwrap();
    std::fs::write(root.join("etc/config/network"), b"option apn 'x'\n").unwrap();
    std::fs::write(root.join("gone"), pattern(1, 10_000)).unwrap();
    std::fs::write(root.join("shrunk"), pattern(2, 50_000)).unwrap();
    std::fs::write(root.join("kept"), pattern(3, 5000)).unwrap();
    for n in 0..300 {
        std::fs::write(root.join(format!("etc/file {n}")), pattern(n, 600)).unwrap();
    }
    Some(mkfs(root, &["-x", "lzo"]))
}
/// Inode, and hash of the name by its entry's key.
fn known(bytes: &[u8], look: &Look, path: &str) -> (u32, u32) {
    let inode = u32::try_from(look.get(path).node.number).unwrap();
    let name = path.rsplit('/').next().unwrap().as_bytes();
    let at = nodes(bytes).into_iter().find(|(at, len)| {
        bytes[at + 20] == 2 && le32(bytes, at + 40) == inode && bytes[at + 56..at + len - 1] == *name
    });
    (inode, le32(bytes, at.unwrap().0 + 28) & 0x1fff_ffff)
}

#[test]
fn a_journal_is_replayed_and_what_it_deleted_is_listed() {
    let Some(image) = small() else { return };
    let plain = image.look("ubifs");
    let bytes = image.bytes();
    let mut journal = Journal::new(bytes.clone());
    let (gone, hash) = known(&bytes, &plain, "/gone");
    journal.name(1, hash, b"gone", 0);
    journal.inode(gone, 10_000, 0, 0o100_644);
    let (shrunk, _) = known(&bytes, &plain, "/shrunk");
    journal.inode(shrunk, 5000, 1, 0o100_600);
    journal.cut(shrunk, 50_000, 5000);
    journal.data(shrunk, 3, b"far behind");
    journal.inode(shrunk, 3 * 4096 + 10, 1, 0o100_600);
    journal.inode(5000, 3, 1, 0o100_755);
    journal.data(5000, 0, b"new");
    // The hash of another name: both stand under one key.
    let (kept, hash) = known(&bytes, &plain, "/kept");
    journal.name(1, hash, b"added", 5000);
    // Written and removed again, never committed.
    journal.inode(5001, 6, 1, 0o100_644);
    journal.data(5001, 0, b"secret");
    journal.name(1, 77, b"short-lived", 5001);
    journal.name(1, 77, b"short-lived", 0);
    journal.inode(5001, 6, 0, 0o100_644);
    // Moved to another name.
    let (renamed, hash) = known(&bytes, &plain, "/etc/file 7");
    let etc = u32::try_from(plain.get("/etc").node.number).unwrap();
    journal.name(etc, hash, b"file 7", 0);
    journal.name(1, 99, b"moved", renamed);
    // With every name UBIFS writes the directory's inode, whose size counts its names.
    journal.inode(1, 480, 3, 0o40_755);
    journal.inode(etc, 20_960, 2, 0o40_755);

    let before = journal.look(false);
    assert_eq!(before.read("/gone"), pattern(1, 10_000));
    assert!(before.tree.get(b"/added").is_none());

    let look = journal.look(true);
    assert!(look.tree.get(b"/gone").is_none() && look.tree.get(b"/etc/file 7").is_none());
    assert_eq!(look.read("/added"), b"new");
    assert_eq!((look.read("/kept"), look.get("/kept").node.number), (pattern(3, 5000), u64::from(kept)));
    assert_eq!(look.read("/moved"), pattern(7, 600));
    let mut expected = pattern(2, 5000);
    expected.truncate(4096);
    let have = look.read("/shrunk");
    assert_eq!(
        (have.len(), &have[..4096], &have[8192..12_288], &have[12_288..]),
        (12_298, &expected[..], &[0; 4096][..], &b"far behind"[..])
    );
    let stat = look.get("/added").stat.clone().unwrap();
    assert_eq!(stat.times.changed.map(|t| t.to_string()).as_deref(), Some("2023-11-14T22:13:22.123456789Z"));
    assert_eq!((stat.mode, stat.times.accessed.map(|t| t.seconds)), (0o755, Some(1_700_000_001)));

    let deleted: Vec<_> = look.gone().map(|e| (e.path.to_string(), e.len())).collect();
    let expected = [("/etc/file 7", 600), ("/gone", 10_000), ("/short-lived", 6)].map(|(p, n)| (p.to_owned(), n));
    assert_eq!(deleted, expected);
    let find = |path: &str| look.gone().find(|e| e.path.bytes() == path.as_bytes()).unwrap();
    assert_eq!(look.content(find("/gone")).unwrap(), pattern(1, 10_000));
    assert_eq!(look.content(find("/short-lived")).unwrap(), b"secret");
    let death = find("/gone").stat.as_ref().unwrap().times.deleted.unwrap();
    assert_eq!(death.seconds, 1_700_000_002);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:?}");

    // A write that was cut off at the end of the journal.
    let at = journal.bud * LEB + journal.at;
    journal.bytes[at..at + 40].fill(0x31);
    let gaps = journal.look(true).gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].what.contains("a write that was cut off") && gaps[0].bytes == 40, "{gaps:?}");
}

#[test]
fn a_damaged_index_is_made_up_for() {
    let Some(image) = small() else { return };
    let whole = image.bytes();
    let look = image.look("ubifs");
    let expected: Vec<_> = look.live().map(|e| (e.path.clone(), e.len())).collect();
    let all = nodes(&whole);
    let of = |kind: u8| all.iter().filter(|(at, _)| whole[at + 20] == kind).map(|(at, _)| *at).collect::<Vec<_>>();
    let leaf = of(9).into_iter().find(|at| whole[at + 26] == 0).unwrap();
    for (what, places, said) in [
        ("a node of the index", vec![leaf], "searched for among all nodes"),
        ("all of the index", of(9), "searched for among all nodes"),
        ("one master node", vec![LEB], "no master node in block 1 holds"),
        ("both", of(7), "files are put together from all nodes"),
        ("superblock", vec![0], "the superblock is lost"),
    ] {
        let mut bytes = whole.clone();
        for at in places {
            bytes[at + 30] ^= 0x55;
        }
        let source: Source = Arc::new(bytes);
        let look = Look::at(&source, "ubifs").unwrap();
        let have: Vec<_> = look.live().map(|e| (e.path.clone(), e.len())).collect();
        assert_eq!(have, expected, "{what}");
        assert_eq!(look.read("/gone"), pattern(1, 10_000), "{what}");
        let gaps = look.gaps();
        assert!(gaps.iter().any(|g| g.what.contains(said)), "{what}: {gaps:?}");
    }
    // Damage to data and inodes is told where it is met.
    let mut bytes = whole.clone();
    let shrunk = look.get("/shrunk").node.number;
    let block = of(1)
        .into_iter()
        .find(|at| u64::from(le32(&whole, at + 24)) == shrunk && le32(&whole, at + 28) & 0xff == 4)
        .unwrap();
    bytes[block + 60] ^= 1;
    let source: Source = Arc::new(bytes);
    let look = Look::at(&source, "ubifs").unwrap();
    let error = look.content(look.get("/shrunk")).unwrap_err();
    assert!(matches!(&error, FsError::Read(e) if e.offset == 16_384 && e.what.contains(&block.to_string())), "{error}");
    let file = look.tree.open(look.get("/shrunk")).unwrap();
    let mut rest = vec![0; 50_000];
    assert_eq!(file.read_at(20_480, &mut rest).unwrap(), 50_000 - 20_480);
    assert!(rest[..50_000 - 20_480] == pattern(2, 50_000)[20_480..]);
}

#[test]
fn cut_and_flipped_images_neither_panic_nor_hang() {
    let Some(image) = small() else { return };
    let whole = image.bytes();
    let all = nodes(&whole);
    for cut in [0, 24, 4095, 4096, LEB, 2 * LEB + 511, 3 * LEB + 10, whole.len() / 2, whole.len() - 1] {
        let source: Source = Arc::new(whole[..cut].to_vec());
        match Look::at(&source, "ubifs") {
            Ok(look) => assert!(!look.gaps().is_empty(), "cut at {cut}"),
            Err(e) => assert!(!e.to_string().is_empty()),
        }
        exercise(&source, "ubifs");
    }
    let mut random = Random(7);
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(12) {
            let kinds: &[u8] = if random.below(2) == 0 { &[6, 7, 9, 10] } else { &[0, 1, 2] };
            let wanted: Vec<_> = all.iter().filter(|(at, _)| kinds.contains(&whole[at + 20])).collect();
            let (at, len) = *wanted[usize::try_from(random.below(wanted.len() as u64)).unwrap()];
            let place = at + 8 + usize::try_from(random.below(len.min(200) as u64 - 8)).unwrap();
            bytes[place] = [0, 0xff, bytes[place] ^ 1, 0x80][usize::try_from(random.below(4)).unwrap()];
            if random.below(8) > 0 && le32(&bytes, at + 16) as usize == len {
                close(&mut bytes[at..at + len]);
            }
        }
        let start = Instant::now();
        let source: Source = Arc::new(bytes);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "ubifs")));
        assert!(ran.is_ok(), "round {round}");
        assert!(start.elapsed() < Duration::from_secs(10), "round {round}: {:?}", start.elapsed());
    }
}

#[test]
fn an_orphan_is_listed_as_deleted() {
    let Some(image) = small() else { return };
    let plain = image.look("ubifs");
    let bytes = image.bytes();
    let mut journal = Journal::new(bytes.clone());
    journal.inode(6000, 5, 0, 0o100_644);
    let (kept, _) = known(&bytes, &plain, "/kept");
    // Given up and linked again: it stays.
    journal.inode(kept, 5000, 0, 0o100_644);
    journal.inode(kept, 5000, 1, 0o100_644);
    let look = journal.look(true);
    assert_eq!(look.read("/kept"), pattern(3, 5000));
    let gone: Vec<_> = look.gone().map(|e| (e.path.to_string(), e.kind())).collect();
    assert_eq!(gone, [("/$deleted/6000".to_owned(), NodeKind::File)]);
}
