//! SquashFS of version 3, as old routers have it. No tool of today writes it: the images are laid out here, byte by
//! byte, in both byte orders; squashfs-tools' `unsquashfs`, which still reads it, says that they are right.
use crate::host::same_content;
use crate::look::{Image, Look, Random, exercise, pattern, rounds, run, tool, tools};
use cranescope::fs::NodeKind;
use cranescope::image::Source;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BLOCK: usize = 1 << 16;
const META: usize = 8192;

type Pack = fn(&[u8]) -> Vec<u8>;

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}
/// A `.lzma` stream by xz-utils.
fn lzma(data: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, data).unwrap();
    run(tool("xz").args(["-c", "--format=lzma", "--lzma1=dict=64KiB"]).arg(&path)).stdout
}
fn lzma_short(data: &[u8]) -> Vec<u8> {
    let mut packed = lzma(data);
    packed.drain(5..13);
    packed
}
fn lzma_bare(data: &[u8]) -> Vec<u8> {
    lzma(data).split_off(13)
}

/// Numbers and fields of bits in one byte order.
#[derive(Clone, Copy)]
struct Order(bool);
impl Order {
    fn n(self, value: u64, bytes: usize) -> Vec<u8> {
        if self.0 { value.to_be_bytes()[8 - bytes..].to_vec() } else { value.to_le_bytes()[..bytes].to_vec() }
    }
    /// Two fields in a word of `bits`, the first of `first` bits.
    fn two(self, a: u64, b: u64, bits: u32, first: u32) -> Vec<u8> {
        let word = if self.0 { a << (bits - first) | b } else { a | b << first };
        self.n(word, bits as usize / 8)
    }
}

/// Metadata blocks, as they are filled.
struct Meta {
    out: Vec<u8>,
    open: Vec<u8>,
    order: Order,
    pack: Pack,
    marked: bool,
}
impl Meta {
    fn place(&self) -> (u64, u64) {
        (self.out.len() as u64, self.open.len() as u64)
    }
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.open.push(*byte);
            if self.open.len() == META {
                self.flush();
            }
        }
    }
    fn flush(&mut self) {
        let packed = (self.pack)(&self.open);
        let (word, bytes) = if packed.len() < self.open.len() {
            (packed.len(), packed)
        } else {
            (self.open.len() | 0x8000, self.open.clone())
        };
        self.out.extend(self.order.n(word as u64, 2));
        self.out.extend(self.marked.then_some(0xff));
        self.out.extend(bytes);
        self.open.clear();
    }
    fn done(mut self) -> Vec<u8> {
        if !self.open.is_empty() {
            self.flush();
        }
        self.out
    }
}

enum Item {
    File(Vec<u8>),
    Link(&'static str),
    Device(u64),
    Fifo,
    Folder(Vec<(String, Item)>),
}

struct Writer {
    order: Order,
    pack: Pack,
    image: Vec<u8>,
    inodes: Meta,
    folders: Meta,
    tails: Vec<u8>,
    /// Where each inode stands, by its number.
    places: Vec<(u64, u64)>,
}
impl Writer {
    fn block(&mut self, data: &[u8]) -> u64 {
        let packed = (self.pack)(data);
        let (word, bytes) =
            if packed.len() < data.len() { (packed.len(), packed) } else { (data.len() | 1 << 24, data.to_vec()) };
        self.image.extend(bytes);
        word as u64
    }
    /// Writes an item; gives type, number and place of its inode.
    fn item(&mut self, item: &Item) -> (u64, u64, (u64, u64)) {
        let o = self.order;
        let mut more = Vec::new();
        let kind = match item {
            Item::File(data) => {
                let start = self.image.len() as u64;
                let tail = if data.len() < 5 * BLOCK { data.len() % BLOCK } else { 0 };
                let whole = data.len() - tail;
                let words: Vec<u64> = data[..whole]
                    .chunks(BLOCK)
                    .map(|b| if b.iter().all(|x| *x == 0) { 0 } else { self.block(b) })
                    .collect();
                let (fragment, offset) = if tail > 0 { (0, self.tails.len() as u64) } else { (u64::from(u32::MAX), 0) };
                self.tails.extend(&data[whole..]);
                // The larger form, with links and a length of 64 bits, is used for files of several blocks.
                let large = words.len() > 2;
                if large {
                    more.extend(o.n(1, 4));
                }
                more.extend([o.n(start, 8), o.n(fragment, 4), o.n(offset, 4)].concat());
                more.extend(o.n(data.len() as u64, if large { 8 } else { 4 }));
                more.extend(words.iter().flat_map(|w| o.n(*w, 4)));
                if large { 9 } else { 2 }
            }
            Item::Link(target) => {
                more.extend([o.n(1, 4), o.n(target.len() as u64, 2), target.as_bytes().to_vec()].concat());
                3
            }
            Item::Device(number) => {
                more.extend([o.n(1, 4), o.n(*number, 2)].concat());
                5
            }
            Item::Fifo => {
                more.extend(o.n(1, 4));
                6
            }
            Item::Folder(children) => {
                let mut list: Vec<(&str, (u64, u64, (u64, u64)))> = Vec::new();
                for (name, child) in children {
                    let made = self.item(child);
                    list.push((name, made));
                }
                list.sort_by_key(|(name, _)| name.as_bytes());
                let place = self.folders.place();
                let mut len = 0_u64;
                let mut rest = list.as_slice();
                while let Some((_, (_, base, (block, _)))) = rest.first() {
                    let fits = rest.iter().take(256).take_while(|(_, (_, n, (b, _)))| {
                        b == block && (i64::try_from(*n).unwrap() - i64::try_from(*base).unwrap()).abs() < 30_000
                    });
                    let count = fits.count();
                    self.folders.put(&[o.n(count as u64 - 1, 1), o.n(*block, 4), o.n(*base, 4)].concat());
                    len += 9;
                    for (name, (kind, number, (_, offset))) in &rest[..count] {
                        let delta = number.wrapping_sub(*base) & 0xffff;
                        // Entries have the plain type, whatever form the inode has.
                        let kind = if *kind > 7 { kind - 7 } else { *kind };
                        let entry = [o.two(*offset, kind, 16, 13), o.n(name.len() as u64 - 1, 1), o.n(delta, 2)];
                        self.folders.put(&[entry.concat(), name.as_bytes().to_vec()].concat());
                        len += 5 + name.len() as u64;
                    }
                    rest = &rest[count..];
                }
                let folders = children.iter().filter(|(_, c)| matches!(c, Item::Folder(_))).count() as u64;
                more.extend(o.n(2 + folders, 4));
                if list.len() > 100 {
                    more.extend(o.two(len + 3, place.1, 40, 27));
                    more.extend([o.n(place.0, 4), o.n(0, 2), o.n(0, 4)].concat());
                    8
                } else {
                    more.extend(o.two(len + 3, place.1, 32, 19));
                    more.extend([o.n(place.0, 4), o.n(0, 4)].concat());
                    1
                }
            }
        };
        let number = self.places.len() as u64 + 1;
        let place = self.inodes.place();
        self.places.push(place);
        let mode = if matches!(item, Item::Folder(_)) { 0o755 } else { 0o640 };
        // The owner is the second of the list; the group that of a list of its own for odd numbers, else the owner's.
        let group = if number % 2 == 1 { 0 } else { 255 };
        let head = [o.two(kind, mode, 16, 4), vec![1, group], o.n(1_234_567_890, 4), o.n(number, 4)].concat();
        self.inodes.put(&[head, more].concat());
        (kind, number, place)
    }
}

fn tree() -> Item {
    let text = b"The quick brown crane lifts a container. ".repeat(9000);
    let mut sparse = vec![0; 3 * BLOCK];
    sparse[2 * BLOCK..].copy_from_slice(&pattern(9, BLOCK));
    let many = (0..700).map(|n| (format!("entry number {n}"), Item::File(n.to_string().into_bytes())));
    let deep = (0..30).fold(Item::Folder(vec![("leaf".into(), Item::Link("../../x"))]), |inner, n| {
        Item::Folder(vec![(format!("d{n}"), inner)])
    });
    let named = |name: &str, item| (name.to_owned(), item);
    Item::Folder(vec![
        named("empty", Item::File(Vec::new())),
        named("text", Item::File(text)),
        named("noise", Item::File(pattern(3, 300_123))),
        named("sparse", Item::File(sparse)),
        named("whole", Item::File(pattern(5, BLOCK))),
        named("long", Item::File(b"abcdefgh".repeat(50_000))),
        named(&"n".repeat(255), Item::File(b"long name".to_vec())),
        named("岸桥", Item::File(b"UTF-8".to_vec())),
        named("a\nb\u{1b}", Item::File(b"control characters".to_vec())),
        named("link", Item::Link("/etc/passwd")),
        named("console", Item::Device(0x0501)),
        named("fifo", Item::Fifo),
        named("nothing", Item::Folder(Vec::new())),
        named("many", Item::Folder(many.collect())),
        named("deep", deep),
    ])
}

fn image(big: bool, magic: [u8; 4], pack: Pack, marked: bool) -> Vec<u8> {
    let order = Order(big);
    let meta = || Meta { out: Vec::new(), open: Vec::new(), order, pack, marked };
    let (inodes, folders) = (meta(), meta());
    let mut w = Writer { order, pack, image: vec![0; 119], inodes, folders, tails: Vec::new(), places: Vec::new() };
    let (_, count, root) = w.item(&tree());
    // All tails stand in one fragment block or in several: here each has room in the first.
    assert!(w.tails.len() <= BLOCK, "{}", w.tails.len());
    let (start, tails) = (w.image.len() as u64, std::mem::take(&mut w.tails));
    let word = w.block(&tails);
    let places = w.places.clone();
    let Writer { mut image, inodes, folders, .. } = w;
    let n = |value: u64, bytes| order.n(value, bytes);
    let mut table = |bytes: &[u8]| {
        let at = image.len() as u64;
        image.extend(bytes);
        at
    };
    let inode_table = table(&inodes.done());
    let folder_table = table(&folders.done());
    let mut listed = |bytes: Vec<u8>| {
        let mut starts = Vec::new();
        for piece in bytes.chunks(META) {
            let mut one = meta();
            one.put(piece);
            starts.push(table(&one.done()));
        }
        table(&starts.iter().flat_map(|s| n(*s, 8)).collect::<Vec<u8>>())
    };
    let fragments = listed([n(start, 8), n(word, 4), n(0, 4)].concat());
    let lookup = listed(places.iter().flat_map(|(block, offset)| n(block << 16 | offset, 8)).collect());
    let owners = table(&[n(0, 4), n(1000, 4)].concat());
    let groups = table(&n(2000, 4));
    let used = image.len() as u64;
    let flags = 0x40 | 0x80 | if marked { 4 } else { 0 };
    let head = [
        magic.to_vec(),
        n(count, 4),
        vec![0; 20],
        n(3, 2),
        n(1, 2),
        n(BLOCK as u64 & 0xffff, 2),
        n(16, 2),
        vec![flags, 2, 1],
        n(1_234_567_890, 4),
        n(root.0 << 16 | root.1, 8),
        n(BLOCK as u64, 4),
        n(1, 4),
        vec![0; 4],
        n(used, 8),
        n(owners, 8),
        n(groups, 8),
        n(inode_table, 8),
        n(folder_table, 8),
        n(fragments, 8),
        n(lookup, 8),
    ]
    .concat();
    assert_eq!(head.len(), 119);
    image[..119].copy_from_slice(&head);
    image.resize(image.len().next_multiple_of(4096), 0);
    image
}

/// Everything of [`tree`] is there as it was put in.
fn same(look: &Look) {
    fn walk(look: &Look, path: &str, item: &Item, count: &mut usize) {
        *count += 1;
        let entry = look.get(if path.is_empty() { "/" } else { path });
        let stat = entry.stat.as_ref().unwrap();
        assert_eq!(stat.times.modified.unwrap().seconds, 1_234_567_890, "{path}");
        assert_eq!(stat.uid, 1000, "{path}");
        assert_eq!(stat.gid, if entry.node.number % 2 == 1 { 2000 } else { 1000 }, "{path}");
        match item {
            Item::File(data) => assert!(look.read(path) == *data, "{path}"),
            Item::Link(target) => assert_eq!(look.fs().read_link(entry.node).unwrap(), target.as_bytes()),
            Item::Device(number) => {
                assert_eq!((stat.kind, stat.device), (NodeKind::CharDevice, Some((5, 1))), "{number}");
            }
            Item::Fifo => assert_eq!(stat.kind, NodeKind::Fifo),
            Item::Folder(children) => {
                assert_eq!((stat.kind, stat.mode), (NodeKind::Directory, 0o755));
                for (name, child) in children {
                    walk(look, &format!("{path}/{name}"), child, count);
                }
            }
        }
    }
    let mut count = 0;
    walk(look, "", &tree(), &mut count);
    assert_eq!(look.live().count(), count);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn both_byte_orders_as_unsquashfs_reads_them() {
    for (big, magic) in [(false, *b"hsqs"), (true, *b"sqsh")] {
        let image = Image::from_bytes(&image(big, magic, zlib, false));
        let look = image.look("squashfs");
        same(&look);
        let features = &look.fs().info().features;
        assert!(features.iter().any(|f| f == "version-3.1") && features.iter().any(|f| f == "big-endian") == big);
        if !tools(&["unsquashfs"]) {
            continue;
        }
        let to = image.folder().join(format!("out-{big}"));
        // Devices are not made by everybody: their absence is no failure here.
        let made = tool("unsquashfs").args(["-no-progress", "-d"]).arg(&to).arg(image.path()).output().unwrap();
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(to.join("many/entry number 699").is_file(), "{said}");
        for entry in look.live().filter(|e| e.is_file()) {
            let path = std::path::Path::new(std::str::from_utf8(entry.path.bytes()).unwrap());
            same_content(&look, entry, &to.join(path.strip_prefix("/").unwrap()), &entry.path.display());
        }
    }
}

#[test]
fn makers_signatures_and_compressors() {
    if !tools(&["xz"]) {
        return;
    }
    let packs: [(&[u8; 4], bool, Pack, &str); 6] = [
        (b"shsq", false, zlib, "gzip"),
        (b"sqlz", true, lzma, "lzma"),
        (b"hsqt", false, lzma, "lzma"),
        (b"qshs", true, lzma_short, "lzma-with-short-headers"),
        (b"tqsh", true, lzma_bare, "lzma-without-headers"),
        (b"hsqs", false, lzma_bare, "lzma-without-headers"),
    ];
    for (magic, big, pack, name) in packs {
        let source: Source = Arc::new(image(big, *magic, pack, magic == b"shsq"));
        let look = Look::at(&source, "squashfs").unwrap();
        same(&look);
        let features = &look.fs().info().features;
        assert!(features.contains(&format!("compressor-{name}")), "{features:?}");
    }
}

#[test]
fn damage_and_cuts() {
    let whole = image(true, *b"sqsh", zlib, false);
    for len in (0..200).chain((200..whole.len()).step_by(whole.len() / 60)) {
        exercise(&(Arc::new(whole[..len].to_vec()) as Source), "squashfs");
    }
    let mut random = Random(33);
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(12) {
            // Mostly in the header and in the tables at the end.
            let from = if random.below(3) == 0 { 4 } else { (bytes.len() as u64).saturating_sub(30_000) };
            let span = if from == 4 { 115 } else { bytes.len() as u64 - from };
            let at = usize::try_from(from + random.below(span)).unwrap();
            bytes[at] = [0, 0xff, bytes[at] ^ 1, 0x80][usize::try_from(random.below(4)).unwrap()];
        }
        let start = Instant::now();
        let source: Source = Arc::new(bytes);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&source, "squashfs")));
        assert!(ran.is_ok() && start.elapsed() < Duration::from_secs(10), "round {round}");
    }
}
