//! What names, sizes and layouts can do on FAT, written by mtools, read back by the sleuthkit.
use crate::look::{Image, Look, check_places, pattern, run, tool, tools};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const TOOLS: &[&str] = &["mkfs.fat", "mcopy", "fls", "icat"];

pub(super) fn make(options: &[&str], mib: u64) -> Image {
    let image = Image::empty(mib);
    run(tool("mkfs.fat").args(options).arg(image.path()));
    image
}
pub(super) fn mtool(image: &Image, name: &str, arguments: &[&str]) {
    run(tool(name).arg("-i").arg(image.path()).args(arguments));
}
/// Copies a folder's content into the image.
pub(super) fn copy(image: &Image, from: &Path) {
    let mut command = tool("mcopy");
    command.args(["-s", "-m", "-Q", "-i"]).arg(image.path());
    let mut names: Vec<_> = std::fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    run(command.args(names).arg("::"));
}

/// A name as `fls -m` tells it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) inode: u64,
    size: u64,
    /// Access, modification, creation in seconds.
    times: [i64; 3],
}

/// Live and deleted names with `fls`, by path.
pub(super) fn fls(image: &Path, kind: &str) -> BTreeMap<(String, bool), Told> {
    let out = tool("fls").args(["-r", "-p", "-m", "/", "-z", "UTC", "-f", kind]).arg(image).output().unwrap();
    let mut found = BTreeMap::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let part: Vec<&str> = line.rsplitn(10, '|').collect();
        let [birth, _, modified, accessed, size, _, _, _, inode, name] = part.as_slice() else { continue };
        let name = name.trim_start_matches("0|");
        if name.starts_with("/$") || name.contains("(Volume Label Entry)") {
            continue;
        }
        let (name, gone) = match name.strip_suffix(" (deleted)") {
            Some(name) => (name, true),
            None => (name.strip_suffix(" (deleted-realloc)").unwrap_or(name), name.ends_with("(deleted-realloc)")),
        };
        let number = |t: &str| t.parse().unwrap_or(0);
        let times = [number(accessed), number(modified), number(birth)];
        let told = Told { inode: inode.parse().unwrap(), size: size.parse().unwrap(), times };
        found.insert((name.to_owned(), gone), told);
    }
    found
}

/// Live names, numbers, sizes, times and (where asked) contents are those the sleuthkit tells.
pub(super) fn compare(look: &Look, image: &Image, kind: &str, contents: bool) -> usize {
    let told = fls(&image.path(), kind);
    let wanted: Vec<&String> = told.keys().filter(|k| !k.1).map(|k| &k.0).collect();
    let ours: Vec<String> = look
        .live()
        .filter(|e| e.path.bytes() != b"/")
        .map(|e| String::from_utf8_lossy(e.path.bytes()).into_owned())
        .collect();
    if !ours.iter().eq(wanted.iter().copied()) {
        let missing: Vec<_> = wanted.iter().filter(|w| !ours.contains(w)).take(9).collect();
        let more: Vec<_> = ours.iter().filter(|o| !wanted.contains(o)).take(9).collect();
        panic!("missing: {missing:?}; more: {more:?}");
    }
    for ((name, _), told) in told.iter().filter(|(k, _)| !k.1) {
        let entry = look.get(name);
        let stat = entry.stat.as_ref().unwrap();
        assert_eq!(entry.node.number, told.inode, "{name}");
        let time = |t: Option<cranescope::base::Time>| t.map_or(0, |t| t.seconds);
        let times = [stat.times.accessed, stat.times.modified, stat.times.created].map(time);
        assert_eq!(times, told.times, "{name}");
        if !entry.is_file() {
            continue;
        }
        assert_eq!(stat.len, told.size, "{name}");
        if contents {
            let out = run(tool("icat").args(["-f", kind]).arg(image.path()).arg(told.inode.to_string()));
            assert!(look.content(entry).unwrap() == out.stdout, "content of {name}");
        }
    }
    told.len()
}

fn fill(root: &Path, names: usize) {
    let put = |path: &str, bytes: &[u8]| std::fs::write(root.join(path), bytes).unwrap();
    for len in [0, 1, 511, 512, 513, 4095, 4096, 4097, 70_000, 300_000] {
        put(&format!("size-{len}.bin"), &pattern(len as u64, len));
    }
    put("UPPER.TXT", b"8.3");
    put("lower.txt", b"marked as small");
    put("Mixed.Txt", b"needs a long name");
    put("岸桥-配置.conf", b"beyond ASCII");
    put("emoji-😀", b"beyond the first plane");
    put("thirteen-long", b"a name that fills its part");
    put(&"n".repeat(190), b"fifteen parts");
    put(".profile", b"begins with a dot");
    std::fs::create_dir_all(root.join("a/b/c/d/e/f/g/a directory with a long name")).unwrap();
    put("a/b/c/d/e/f/g/a directory with a long name/deep", b"deep");
    std::fs::create_dir(root.join("many")).unwrap();
    for n in 0..names {
        put(&format!("many/entry-with-a-longer-name-{n:06}"), b"");
    }
}

/// Holes among the clusters, and a file that fills them.
fn fragment(image: &Image) {
    let dir = image.folder().join("pieces");
    std::fs::create_dir(&dir).unwrap();
    for n in 0..40 {
        std::fs::write(dir.join(format!("p{n}")), pattern(n, 9000)).unwrap();
    }
    copy(image, &dir);
    for n in (0..40).step_by(2) {
        mtool(image, "mdel", &[&format!("::p{n}")]);
    }
    let large = image.folder().join("large");
    std::fs::create_dir(&large).unwrap();
    std::fs::write(large.join("scattered"), pattern(99, 300_000)).unwrap();
    copy(image, &large);
}

fn check(options: &[&str], kind: &str, mib: u64, names: usize) -> (Look, Image) {
    let image = make(options, mib);
    let root = image.folder().join("root");
    std::fs::create_dir(&root).unwrap();
    fill(&root, names);
    copy(&image, &root);
    fragment(&image);
    let look = image.look("fat");
    compare(&look, &image, kind, true);
    check_places(&look, &image.bytes());
    (look, image)
}

#[test]
fn names_sizes_and_contents_are_those_of_other_readers() {
    if !tools(TOOLS) {
        return;
    }
    for (options, kind, mib, width) in [
        (&["-F", "12", "-n", "CRANE 7", "-s", "8"][..], "fat12", 8, "fat12"),
        (&["-F", "16", "-n", "CRANE 7", "-s", "1"], "fat16", 16, "fat16"),
        (&["-F", "32", "-n", "CRANE 7", "-s", "1", "-i", "1a2b3c4d"], "fat32", 64, "fat32"),
        (&["-F", "32", "-n", "CRANE 7", "-s", "1", "-S", "4096"], "fat32", 300, "fat32"),
    ] {
        let (look, _) = check(options, kind, mib, 60);
        let info = look.fs().info();
        assert_eq!((info.kind.as_str(), info.label.as_str(), info.features[0].as_str()), ("vfat", "CRANE 7", width));
        assert!(info.clean);
        // The deleted pieces are told, and what is taken from clusters is said to be.
        let gaps = look.gaps();
        assert!(gaps.iter().all(|g| g.what.starts_with("deleted files whose chain")), "{gaps:#?}");
        if options.contains(&"-i") {
            assert_eq!(info.uuid, "1a2b-3c4d");
        }
    }
}

#[test]
fn twelve_thousand_names_in_one_directory() {
    if !tools(TOOLS) {
        return;
    }
    // Written as a file and then made a directory: mtools needs minutes for so many names.
    let image = make(&["-F", "32", "-s", "1"], 64);
    let root = image.folder().join("root");
    std::fs::create_dir_all(&root).unwrap();
    let mut bytes = Vec::new();
    let mut entry = |name: &[u8], attribute: u8| {
        let mut entry = [0; 32];
        entry[..11].copy_from_slice(name);
        entry[11] = attribute;
        for at in [16, 18, 24] {
            entry[at..at + 2].copy_from_slice(&(42_u16 << 9 | 1 << 5 | 1).to_le_bytes());
        }
        bytes.extend(entry);
    };
    entry(b".          ", 0x10);
    entry(b"..         ", 0x10);
    for n in 0..12_000 {
        entry(format!("N{n:07}BIN").as_bytes(), 0x20);
    }
    std::fs::write(root.join("MANY"), bytes).unwrap();
    copy(&image, &root);
    let mut bytes = image.bytes();
    let entry = bytes.chunks(32).position(|e| e.starts_with(b"MANY       ")).unwrap() * 32;
    bytes[entry + 11] = 0x10;
    bytes[entry + 28..entry + 32].fill(0);
    // It leads to itself, as every directory does.
    let own = bytes.chunks(32).position(|e| e.starts_with(b".          ")).unwrap() * 32;
    for half in [20..22, 26..28] {
        bytes.copy_within(entry + half.start..entry + half.end, own + half.start);
    }
    let image = Image::from_bytes(&bytes);
    let start = std::time::Instant::now();
    let look = image.look("fat");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(compare(&look, &image, "fat32", false), 12_001);
    let gaps = look.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn deleted_files_and_folders_are_listed_with_what_is_left() {
    if !tools(TOOLS) {
        return;
    }
    let image = make(&["-F", "32", "-s", "1"], 64);
    let root = image.folder().join("root");
    std::fs::create_dir_all(root.join("kept/gone/below")).unwrap();
    let put = |path: &str, bytes: &[u8]| std::fs::write(root.join(path), bytes).unwrap();
    put("kept/a long name.txt", b"within one cluster");
    put("kept/SHORT.TXT", b"short");
    put("kept/large", &pattern(3, 50_000));
    put("kept/gone/below/deep file", b"deep");
    put("stays", b"live");
    copy(&image, &root);
    for path in ["::kept/a long name.txt", "::kept/SHORT.TXT", "::kept/large"] {
        mtool(&image, "mdel", &[path]);
    }
    mtool(&image, "mdeltree", &["::kept/gone"]);
    let look = image.look("fat");
    let gone = |path: &str| {
        let all = || look.gone().map(|e| e.path.display()).collect::<Vec<_>>();
        look.gone().find(|e| e.path.bytes() == path.as_bytes()).unwrap_or_else(|| panic!("{path}: {:?}", all()))
    };
    assert_eq!(look.content(gone("/kept/a long name.txt")).unwrap(), b"within one cluster");
    assert_eq!(look.content(gone("/kept/?HORT.TXT")).unwrap(), b"short");
    assert!(look.content(gone("/kept/?arge")).unwrap() == pattern(3, 50_000));
    assert!(gone("/kept/?arge").stat.as_ref().unwrap().flags.contains(&"clusters-guessed"));
    assert!(gone("/kept/?one").is_dir());
    assert_eq!(look.content(gone("/kept/?one/?elow/deep file")).unwrap(), b"deep");
    assert_eq!(look.read("/stays"), b"live");
    let free = look.fs().unallocated();
    let place = look.tree.open(gone("/kept/?arge")).unwrap().locate(cranescope::base::Run::new(0, 1))[0];
    assert!(free.iter().any(|r| r.offset <= place.offset && place.offset < r.end()));
}
