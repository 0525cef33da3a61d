//! L01: logical evidence as EnCase writes it, made here by the published description, since no free program writes it;
//! read back by libewf's own tools and by us.
use super::help::*;
use crate::common::{have, report};
use cranescope::base::Gaps;
use cranescope::fs::{self, Options};
use md5::Digest as _;
use std::path::Path;

/// Bytes of a chunk.
const CHUNK: usize = 32768;
const COLUMNS: &str =
    "p\tn\tid\topr\tsrc\tsub\tcid\tjq\tcr\tac\twr\tmo\tdl\taq\tha\tls\tdu\tlo\tpo\tmid\tcfi\tbe\tpm\tlpt";

fn adler(bytes: &[u8]) -> u32 {
    libdeflater::adler32(bytes)
}
fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}
/// With its checksum behind it.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(adler(&bytes).to_le_bytes());
    bytes
}

/// A segment that is written section by section.
struct Out(Vec<u8>);
impl Out {
    fn new(number: u16) -> Self {
        Self([b"LVF\x09\x0d\x0a\xff\x00\x01".as_slice(), &number.to_le_bytes(), &[0, 0]].concat())
    }
    fn add(&mut self, kind: &str, data: &[u8]) {
        let (at, size) = (self.0.len() as u64, 76 + data.len() as u64);
        let next = if matches!(kind, "done" | "next") { at } else { at + size };
        let mut head = kind.as_bytes().to_vec();
        head.resize(16, 0);
        head.extend([next.to_le_bytes(), size.to_le_bytes()].concat());
        head.resize(72, 0);
        self.0.extend(summed(head));
        self.0.extend(data);
    }
    /// Chunks of contents, with their table and its copy.
    fn chunks(&mut self, contents: &[u8]) {
        let base = u32::try_from(self.0.len()).unwrap() + 76;
        let (mut data, mut entries) = (Vec::new(), Vec::new());
        for chunk in contents.chunks(CHUNK) {
            let packed = zlib(chunk);
            let place = base + u32::try_from(data.len()).unwrap();
            if packed.len() < chunk.len() {
                entries.push(place | 1 << 31);
                data.extend(packed);
            } else {
                entries.push(place);
                data.extend(summed(chunk.to_vec()));
            }
        }
        self.add("sectors", &data);
        let head = summed(words(&[u32::try_from(entries.len()).unwrap(), 0, 0, 0, 0]));
        let table = [head, summed(words(&entries))].concat();
        self.add("table", &table);
        self.add("table2", &table);
    }
}

struct Item {
    path: &'static str,
    content: Vec<u8>,
    /// The MD5 that the list tells of it.
    md5: String,
}

fn items() -> Vec<Item> {
    let item = |path, content: Vec<u8>| {
        let md5 = cranescope::base::hex(&md5::Md5::digest(&content));
        Item { path, content, md5 }
    };
    vec![
        item("C/Windows/notes.txt", b"hello crane\n".repeat(10)),
        item("C/Windows/random.bin", crate::look::pattern(3, 90_001)),
        item("C/Windows/System32/drivers/etc/hosts", b"127.0.0.1 localhost\n".to_vec()),
        item("C/empty", Vec::new()),
        item("C/岸桥-😀.log", b"lifted 40 t\n".repeat(9000)),
    ]
}

/// The list of files, and their contents one behind another.
fn list(items: &[Item]) -> (Vec<u8>, Vec<u8>) {
    #[derive(Default)]
    struct Folder<'a>(Vec<(&'a str, Node<'a>)>);
    enum Node<'a> {
        Folder(Folder<'a>),
        File(String),
    }
    fn write(out: &mut String, name: &str, folder: &Folder<'_>, count: &mut u32) {
        *count += 1;
        *out +=
            &format!("0\t{}\n1\t{name}\t{count}\t33554432{}0{}0\t\n", folder.0.len(), "\t".repeat(12), "\t".repeat(7));
        for (name, node) in &folder.0 {
            match node {
                Node::Folder(folder) => write(out, name, folder, count),
                Node::File(rest) => {
                    *count += 1;
                    *out += &format!("0\t0\n\t{name}\t{count}\t{rest}\n");
                }
            }
        }
    }
    let (mut root, mut contents) = (Folder::default(), Vec::new());
    for item in items {
        let at = contents.len();
        // A file without bytes has one, which is none of its own.
        contents.extend(if item.content.is_empty() { b"\0" } else { item.content.as_slice() });
        let len = contents.len() - at;
        let rest = format!(
            "8\t1\t\t\t\t1142163845\t1142163846\t1142163847\t1142163848\t\t\t{}\t{}\t\t\t\t\t\t1 {at:x} {len:x}\t0\t",
            item.md5,
            item.content.len()
        );
        let mut folder = &mut root;
        let (path, name) = item.path.rsplit_once('/').unwrap();
        for part in path.split('/') {
            let known = folder.0.iter().position(|(n, _)| *n == part);
            let at = known.unwrap_or(folder.0.len());
            if known.is_none() {
                folder.0.push((part, Node::Folder(Folder::default())));
            }
            let Node::Folder(next) = &mut folder.0[at].1 else { panic!("{part}") };
            folder = next;
        }
        folder.0.push((name, Node::File(rest)));
    }
    let (mut entries, mut count) = (String::new(), 0);
    write(&mut entries, "", &root, &mut count);
    let text = format!(
        "5\nrec\ntb\tcl\n{}\t\n\nperm\n0\t1\np\tn\ts\tpr\tnta\tnti\n0\t0\n1\t\t\t\t\t\n\nsrce\n1\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq\n\
         0\t1\n1\t\t\t\t\t\t\t\t\t\n0\t0\n\tC\t1\tEX-1\t1000\t\t\t\t0\t1142163845\n\nsub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n1\t\t\t\t\t\n\n\
         entry\n{count}\t1\n{COLUMNS}\n{entries}\n",
        contents.len()
    );
    let text = utf16(&text);
    let mut head = md5::Md5::digest(&text).to_vec();
    head.extend((text.len() as u64).to_le_bytes());
    head.resize(48, 0);
    let sum = adler(&head);
    head[24..28].copy_from_slice(&sum.to_le_bytes());
    ([head, text].concat(), contents)
}

/// The set in as many segments as contents are cut into, and the list behind the last.
fn segments(items: &[Item], cuts: usize) -> Vec<Vec<u8>> {
    let (list, contents) = list(items);
    let mut volume = words(&[14, 0, 64, 512, u32::try_from(contents.len().div_ceil(512)).unwrap()]);
    volume.resize(1048, 0);
    volume[36] = 1;
    volume[64..80].fill(7);
    let volume = summed(volume);
    let header = "1\nmain\na\tc\tn\te\tt\tav\tov\tm\tu\tp\nplans\tcase 7\tEX-1\tA. Weber\tnotes\t7.10\tWindows\t1142163845\t1142163845\t0\n\n";
    let header = zlib(&[b"\xff\xfe".to_vec(), utf16(header)].concat());
    let per = contents.len().div_ceil(CHUNK).div_ceil(cuts) * CHUNK;
    let parts: Vec<&[u8]> = contents.chunks(per).collect();
    let mut out = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let mut segment = Out::new(u16::try_from(n + 1).unwrap());
        if n == 0 {
            segment.add("header2", &header);
            segment.add("header2", &header);
            segment.add("volume", &volume);
        } else {
            segment.add("data", &volume);
        }
        segment.chunks(part);
        if n + 1 == parts.len() {
            segment.add("ltree", &list);
            if n == 0 {
                segment.add("data", &volume);
            }
            segment.add("hash", &summed([md5::Md5::digest(&contents).to_vec(), vec![0; 16]].concat()));
            segment.add("done", b"");
        } else {
            segment.add("next", b"");
        }
        out.push(segment.0);
    }
    out
}

fn write(folder: &Path, segments: &[Vec<u8>]) -> std::path::PathBuf {
    for (n, bytes) in segments.iter().enumerate() {
        std::fs::write(folder.join(format!("plans.L{:02}", n + 1)), bytes).unwrap();
    }
    folder.join("plans.L01")
}

/// The tree of an opened set, and the gaps of the container and of the tree.
fn tree(path: &Path) -> (cranescope::evidence::Tree, Vec<String>) {
    let opened = open(path).unwrap();
    let gaps = Gaps::default();
    let options = Options { gaps: gaps.clone(), ..Options::default() };
    let format = fs::recognise(&opened.disk).unwrap();
    assert_eq!(format.name, "l01");
    let fs = (format.open)(&opened.disk, &options).unwrap();
    let progress = cranescope::base::Progress::default();
    let tree = cranescope::evidence::Tree::index(fs, cranescope::base::FsId(0), &gaps, &progress).unwrap();
    let said = opened.gaps.into_iter().chain(gaps.take()).map(|g| g.what).collect();
    (tree, said)
}

#[test]
pub(crate) fn files_are_those_that_libewf_exports() {
    let items = items();
    for cuts in [1, 3] {
        let folder = folder();
        let path = write(folder.path(), &segments(&items, cuts));
        let (tree, said) = tree(&path);
        assert_eq!(said, [""; 0]);
        let files: Vec<_> = tree.entries.iter().filter(|e| e.is_file()).collect();
        assert_eq!(files.len(), items.len());
        for item in &items {
            let entry = tree.get(format!("/{}", item.path).as_bytes()).unwrap();
            assert_eq!(entry.len(), item.content.len() as u64, "{}", item.path);
            let source = tree.open(entry).unwrap();
            let mut bytes = vec![0; item.content.len()];
            assert_eq!(source.read_at(0, &mut bytes), Ok(bytes.len()));
            assert!(bytes == item.content, "{}", item.path);
            let times = entry.stat.as_ref().unwrap().times;
            assert_eq!(times.created.unwrap().seconds, 1_142_163_845);
            assert_eq!(times.changed.unwrap().seconds, 1_142_163_848);
        }
        if !have("ewfexport") {
            continue;
        }
        let out = folder.path().join("out");
        let arguments =
            ["60", "ewfexport", "-u", "-q", "-f", "files", "-t", out.to_str().unwrap(), path.to_str().unwrap()];
        run("timeout", &arguments);
        for item in &items {
            assert!(std::fs::read(out.join(item.path)).unwrap() == item.content, "{}", item.path);
        }
    }
}

#[test]
fn an_examination_lists_hashes_and_compares() {
    let mut items = items();
    items[0].md5 = "00".repeat(15) + "01";
    let folder = folder();
    write(folder.path(), &segments(&items, 1));
    let said = crate::common::run(
        folder.path(),
        &["examine", "plans.L01", "--case", "case", "--json", "r.json", "--quiet", "--hash-image"],
    );
    assert_eq!(said.0, 0, "{}", said.2);
    let report = report(&folder.path().join("r.json"));
    assert_eq!(report["filesystems"][0]["type"], "l01");
    let details = report["filesystems"][0]["details"].to_string();
    assert!(details.contains("evidence number EX-1") && details.contains("acquired 2006-03-12T11:44:05Z"), "{details}");
    let rows = report["inventory"]["files"].as_array().unwrap();
    for item in &items {
        let row = rows.iter().find(|r| r["path"] == format!("/{}", item.path)).unwrap();
        use sha2::Digest as _;
        assert_eq!(row["sha256"], cranescope::base::hex(&sha2::Sha256::digest(&item.content)), "{}", item.path);
        let flags = row["flags"].to_string();
        let expected = if item.path.ends_with("notes.txt") { "md5-differs" } else { "md5-as-acquired" };
        assert!(flags.contains(expected) && flags.contains("archive"), "{}: {flags}", item.path);
        assert_eq!(row["modified"], "2006-03-12T11:44:07Z");
    }
    let gaps: Vec<&serde_json::Value> = report["gaps"].as_array().unwrap().iter().collect();
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    assert!(gaps[0]["what"].as_str().unwrap().contains("MD5 is not the one"), "{gaps:#?}");
    // Evidence leads into the "disk": the list, then the contents.
    let (code, out, error) = crate::common::run(folder.path(), &["cat", "plans.L01", "/C/Windows/notes.txt"]);
    assert_eq!((code, out.as_bytes()), (0, items[0].content.as_slice()), "{error}");
}

#[test]
fn damage_costs_what_it_hits() {
    let items = items();
    let whole = segments(&items, 1).remove(0);
    let folder = folder();
    let find =
        |kind: &str| whole.windows(16).position(|w| w.starts_with(kind.as_bytes()) && w[kind.len()] == 0).unwrap();
    let tree_of = |bytes: &[u8]| {
        let path = folder.path().join("d.L01");
        std::fs::write(&path, bytes).unwrap();
        tree(&path)
    };
    // Within the text of the list: the MD5 differs, and the entries are still there.
    let mut bytes = whole.clone();
    let ltree = find("ltree") + 76;
    let note = utf16("notes");
    let at = ltree + whole[ltree..].windows(note.len()).position(|w| w == note).unwrap();
    bytes[at] = b'v';
    let (tree, said) = tree_of(&bytes);
    assert!(tree.get(b"/C/Windows/votes.txt").is_some());
    assert_eq!(said, ["the list of files differs from the MD5 that stands before it"]);
    // A chunk: the file that has it, and no other.
    let mut bytes = whole.clone();
    bytes[find("sectors") + 76 + 5] ^= 0xff;
    let (tree, _) = tree_of(&bytes);
    let read = |path: &[u8]| {
        let source = tree.open(tree.get(path).unwrap()).unwrap();
        source.read_at(0, &mut [0; 10])
    };
    assert!(read(b"/C/Windows/notes.txt").is_err());
    assert_eq!(read("/C/岸桥-😀.log".as_bytes()), Ok(10));
    // Without the list the contents are there, and a gap says so.
    let opened = |bytes: &[u8]| {
        let path = folder.path().join("d.L01");
        std::fs::write(&path, bytes).unwrap();
        open(&path).unwrap()
    };
    let cut = opened(&whole[..find("ltree")]);
    assert!(cut.gaps.iter().any(|g| g.what.contains("list of files (ltree) is not there")), "{:?}", cut.gaps);
    assert_eq!(cut.disk.len(), list(&items).1.len() as u64);
    // Cut at every structure, and mutated.
    let mut borders = vec![0, 9, 13];
    let mut at = 13;
    while at + 76 <= whole.len() {
        let next = usize::try_from(u64::from_le_bytes(whole[at + 16..at + 24].try_into().unwrap())).unwrap();
        borders.extend([at, at + 16, at + 72, at + 76, at + 100, at + 124].map(|n| n as u64));
        if next <= at {
            break;
        }
        at = next;
    }
    mangle(&whole, &borders, 4096, &Beside(folder.path().join("none")));
    // The list itself cut and mutated, as the reader of the tree sees it.
    let (list, contents) = list(&items);
    let mut random = Random(11);
    for round in 0..400_usize {
        let mut bytes = [list.clone(), contents[..1000].to_vec()].concat();
        if round < 200 {
            bytes.truncate(round * list.len() / 200);
        } else {
            for _ in 0..3 {
                let at = usize::try_from(random.below(list.len() as u64)).unwrap();
                bytes[at] = u8::try_from(random.below(256)).unwrap();
            }
        }
        let source: cranescope::image::Source = std::sync::Arc::new(bytes);
        crate::look::exercise(&source, "l01");
    }
}

/// A set in one file, for tests of all containers.
pub(crate) fn small() -> Vec<u8> {
    segments(&items(), 1).remove(0)
}
