//! Damage made on purpose: it costs what it covers, and a gap says so.
use super::layout::{TOOLS, copy, make, mtool};
use crate::look::{Image, Look, pattern, tools};
use std::sync::Arc;

/// FAT32 of 64 MiB with one sector a cluster: places of its parts in bytes.
struct Parts {
    bytes: Vec<u8>,
    table: usize,
    table_len: usize,
    heap: usize,
}
impl Parts {
    fn new(image: &Image) -> Self {
        let bytes = image.bytes();
        let word = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let table = word(14) * 512;
        let table_len = usize::try_from(u32::from_le_bytes(bytes[36..40].try_into().unwrap())).unwrap() * 512;
        Self { table, table_len, heap: table + 2 * table_len, bytes }
    }
    /// Byte of the short entry that begins with this name.
    fn entry(&self, name: &[u8]) -> usize {
        self.bytes[self.heap..].chunks(32).position(|e| e.starts_with(name)).unwrap() * 32 + self.heap
    }
    fn first(&self, entry: usize) -> usize {
        let half = |at: usize| usize::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]));
        half(entry + 20) << 16 | half(entry + 26)
    }
    fn set_next(&mut self, cluster: usize, next: u32) {
        for copy in 0..2 {
            let at = self.table + copy * self.table_len + cluster * 4;
            self.bytes[at..at + 4].copy_from_slice(&next.to_le_bytes());
        }
    }
    fn look(self) -> Look {
        Look::at(&(Arc::new(self.bytes) as cranescope::image::Source), "fat").unwrap()
    }
}

fn sample() -> Image {
    let image = make(&["-F", "32", "-s", "1", "-n", "SAMPLE"], 64);
    let root = image.folder().join("root");
    std::fs::create_dir_all(root.join("DIR")).unwrap();
    for (name, seed) in [("ONE", 1), ("TWO", 2), ("DIR/THREE", 3), ("a longer name", 4)] {
        std::fs::write(root.join(name), pattern(seed, 5000)).unwrap();
    }
    copy(&image, &root);
    image
}
fn said(look: &Look, what: &str) -> u64 {
    let gaps = look.gaps();
    gaps.iter().find(|g| g.what.contains(what)).unwrap_or_else(|| panic!("{what}: {gaps:#?}")).bytes
}

#[test]
fn a_lost_boot_sector_is_read_from_its_copy() {
    if !tools(TOOLS) {
        return;
    }
    let image = sample();
    let mut bytes = image.bytes();
    bytes[..512].fill(0);
    let source: cranescope::image::Source = Arc::new(bytes);
    assert!(cranescope::fs::recognise(&source).is_none());
    assert_eq!(cranescope::fs::recognise_damaged(&source).unwrap().name, "fat");
    let look = Look::at(&source, "fat").unwrap();
    assert!(look.read("/ONE") == pattern(1, 5000));
    said(&look, "its copy at 3072 is used");
}

#[test]
fn a_boot_sector_that_its_copy_contradicts_is_told() {
    if !tools(TOOLS) {
        return;
    }
    let told = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sample().bytes();
        change(&mut bytes);
        let source: cranescope::image::Source = Arc::new(bytes);
        let look = Look::at(&source, "fat").unwrap();
        look.gaps().iter().filter(|g| g.what.contains("its copy at 3072 place")).count()
    };
    assert_eq!(told(&|_| ()), 0);
    // Sectors of a table, and a label, which places nothing.
    assert_eq!(told(&|bytes| bytes[36] ^= 1), 1);
    assert_eq!(told(&|bytes| bytes[71] ^= 1), 0);
}

#[test]
fn where_the_first_table_is_damaged_the_second_serves() {
    if !tools(TOOLS) {
        return;
    }
    let mut parts = Parts::new(&sample());
    let (from, to) = (parts.table, parts.table + parts.table_len);
    parts.bytes[from + 8..to].fill(0);
    let look = parts.look();
    assert!(look.read("/ONE") == pattern(1, 5000));
    assert!(look.read("/DIR/THREE") == pattern(3, 5000));
    said(&look, "copies of the table differ");
    let mut parts = Parts::new(&sample());
    let (from, to) = (parts.table, parts.table + parts.table_len);
    parts.bytes[from..to].fill(0x5a);
    let look = parts.look();
    assert!(look.read("/TWO") == pattern(2, 5000));
    said(&look, "copy 2 is used");
}

#[test]
fn rings_and_crossed_chains_end() {
    if !tools(TOOLS) {
        return;
    }
    let mut parts = Parts::new(&sample());
    let one = parts.first(parts.entry(b"ONE "));
    parts.set_next(one + 2, u32::try_from(one).unwrap());
    let look = parts.look();
    assert_eq!(said(&look, "leads back into itself"), 5000 - 3 * 512);
    let source = look.tree.open(look.get("/ONE")).unwrap();
    let mut buf = [0; 1536];
    assert_eq!(source.read_at(0, &mut buf).unwrap(), 1536);
    assert!(buf[..] == pattern(1, 5000)[..1536]);
    assert!(source.read_at(1536, &mut buf).is_err());

    let mut parts = Parts::new(&sample());
    let (one, two) = (parts.first(parts.entry(b"ONE ")), parts.first(parts.entry(b"TWO ")));
    parts.set_next(one + 2, u32::try_from(two + 3).unwrap());
    let look = parts.look();
    assert_eq!(said(&look, "cross-linked"), 7 * 512);
    // What the chain of the first file was cut from is in use, and no file leads there.
    assert!(look.gone().any(|e| e.path.bytes() == format!("/$deleted/{}", one + 3).as_bytes()));
}

#[test]
fn a_directory_within_itself_and_clusters_marked_bad() {
    if !tools(TOOLS) {
        return;
    }
    let mut parts = Parts::new(&sample());
    let (dir, entry) = (parts.entry(b"DIR "), parts.entry(b"THREE "));
    let first = u16::try_from(parts.first(dir)).unwrap();
    // The file in it becomes a directory that is the same one.
    parts.bytes[entry + 11] = 0x10;
    parts.bytes[entry + 26..entry + 28].copy_from_slice(&first.to_le_bytes());
    parts.set_next(20_000, 0x0fff_fff7);
    let look = parts.look();
    assert!(look.live().count() < 10);
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains("shares clusters")), "{gaps:#?}");
    assert!(gaps.iter().any(|g| g.what.starts_with("1 clusters are marked bad") && g.bytes == 512), "{gaps:#?}");
}

#[test]
fn a_long_name_that_lost_its_file_is_said() {
    if !tools(TOOLS) {
        return;
    }
    let mut parts = Parts::new(&sample());
    let entry = parts.entry(b"ALONGE~1");
    parts.bytes[entry] = b'B';
    let look = parts.look();
    said(&look, "long name without a file's entry");
    assert!(look.read("/BLONGE~1") == pattern(4, 5000));
}

#[test]
fn a_mark_of_the_driver_and_names_of_other_code_pages() {
    if !tools(TOOLS) {
        return;
    }
    let image = sample();
    mtool(&image, "mdel", &["::TWO"]);
    let mut parts = Parts::new(&image);
    let entry = parts.entry(b"ONE ");
    parts.bytes[entry..entry + 4].copy_from_slice(b"\xb0\xb6\xc7\xc5");
    parts.bytes[65] |= 1;
    let look = parts.look();
    assert!(!look.fs().info().clean);
    assert!(look.read(b"/\xb0\xb6\xc7\xc5") == pattern(1, 5000));
}
