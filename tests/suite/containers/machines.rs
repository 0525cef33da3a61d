//! The disks of virtual machines: every form that qemu-img writes, chains of them, damage, the corpus.
use super::help::*;
use crate::common::have;
use std::path::{Path, PathBuf};

/// Every form: file name, format, options of qemu-img.
pub(super) const FORMS: &[(&str, &str, &[&str])] = &[
    ("v3.qcow2", "qcow2", &[]),
    ("v2.qcow2", "qcow2", &["-o", "compat=0.10"]),
    ("small.qcow2", "qcow2", &["-o", "cluster_size=512"]),
    ("large.qcow2", "qcow2", &["-o", "cluster_size=2M"]),
    ("deflate.qcow2", "qcow2", &["-c"]),
    ("zstd.qcow2", "qcow2", &["-c", "-o", "compression_type=zstd"]),
    ("small-deflate.qcow2", "qcow2", &["-c", "-o", "cluster_size=4k"]),
    ("subclusters.qcow2", "qcow2", &["-o", "extended_l2=on,cluster_size=128k"]),
    ("prepared.qcow2", "qcow2", &["-o", "preallocation=metadata"]),
    ("sparse.vmdk", "vmdk", &[]),
    ("zeroed.vmdk", "vmdk", &["-o", "zeroed_grain=on"]),
    ("flat.vmdk", "vmdk", &["-o", "subformat=monolithicFlat"]),
    ("split.vmdk", "vmdk", &["-o", "subformat=twoGbMaxExtentSparse"]),
    ("splitflat.vmdk", "vmdk", &["-o", "subformat=twoGbMaxExtentFlat"]),
    ("stream.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]),
    ("dynamic.vhd", "vpc", &["-o", "force_size=on"]),
    ("fixed.vhd", "vpc", &["-o", "force_size=on,subformat=fixed"]),
    ("dynamic.vhdx", "vhdx", &[]),
    ("fixed.vhdx", "vhdx", &["-o", "subformat=fixed"]),
    ("small.vhdx", "vhdx", &["-o", "block_size=1M,block_state_zero=off"]),
    ("dynamic.vdi", "vdi", &[]),
    ("fixed.vdi", "vdi", &["-o", "static=on"]),
];

pub(super) fn convert(from: &Path, to: &Path, format: &str, options: &[&str]) {
    let ends = [from.to_str().unwrap(), to.to_str().unwrap()];
    run("qemu-img", &[&["convert", "-O", format], options, &ends[..]].concat());
}

/// The sample with a stretch of noise in it, and an odd number of sectors: what does not compress, and a
/// disk that ends within a block.
fn raw(folder: &Path) -> (PathBuf, Vec<u8>) {
    let mut bytes = std::fs::read(sample()).unwrap();
    let mut random = Random(7);
    for byte in &mut bytes[5 << 20..(5 << 20) + 300_000] {
        *byte = u8::try_from(random.below(256)).unwrap();
    }
    bytes.extend([0x5a; 512]);
    let path = folder.join("disk.raw");
    std::fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

#[test]
fn every_form_gives_the_raw_disk() {
    if !have("qemu-img") {
        return;
    }
    let folder = folder();
    let (path, bytes) = raw(folder.path());
    for (name, format, options) in FORMS {
        let to = folder.path().join(name);
        convert(&path, &to, format, options);
        let opened = open(&to).unwrap_or_else(|e| panic!("{name}: {e}"));
        let extension = name.rsplit('.').next().unwrap();
        assert!(opened.format.eq_ignore_ascii_case(extension), "{name}: {}", opened.format);
        assert_eq!(opened.gaps, [], "{name}");
        same(&opened.disk, &bytes, name);
    }
}

/// A small disk made by `qemu-img create` upon another, written to by `qemu-io`.
fn delta(folder: &Path, name: &str, format: &str, base: &str, writes: &[&str]) -> PathBuf {
    let to = folder.join(name);
    let base_path = folder.join(base);
    let [to_text, base_text] = [&to, &base_path].map(|p| p.to_str().unwrap());
    let of = if base == "disk.raw" { "raw" } else { format };
    run("qemu-img", &["create", "-q", "-f", format, "-b", base_text, "-F", of, to_text]);
    for write in writes {
        run("qemu-io", &["-f", format, "-c", write, to_text]);
    }
    to
}

#[test]
fn chains_are_followed_and_what_is_missing_is_named() {
    if !have("qemu-img") || !have("qemu-io") {
        return;
    }
    let folder = folder();
    let (path, mut bytes) = raw(folder.path());
    for (format, extension) in [("qcow2", "qcow2"), ("vmdk", "vmdk")] {
        let base = format!("base.{extension}");
        convert(&path, &folder.path().join(&base), format, &[]);
        let middle = format!("middle.{extension}");
        delta(folder.path(), &middle, format, &base, &["write -P 0x41 1000k 70k", "write -z 2M 64k"]);
        let top = delta(folder.path(), &format!("top.{extension}"), format, &middle, &["write -P 0x42 1020k 3k"]);
        let mut expected = bytes.clone();
        expected[1000 << 10..1070 << 10].fill(0x41);
        expected[2 << 20..(2 << 20) + (64 << 10)].fill(0);
        expected[1020 << 10..1023 << 10].fill(0x42);
        let opened = open(&top).unwrap();
        assert_eq!(opened.gaps, [], "{format}");
        same(&opened.disk, &expected, format);
        // Without what it builds on, its own bytes are there and the rest is not.
        std::fs::rename(folder.path().join(&middle), folder.path().join("away")).unwrap();
        let opened = open(&top).unwrap();
        assert!(opened.gaps.iter().any(|g| g.what.contains(&middle)), "{:?}", opened.gaps);
        let mut own = [0; 3 << 10];
        assert_eq!(opened.disk.read_at(1020 << 10, &mut own), Ok(3 << 10));
        assert!(own.iter().all(|b| *b == 0x42));
        let lost = opened.disk.read_at(4 << 20, &mut own).unwrap_err();
        assert!(lost.what.contains(&middle) && lost.offset == 4 << 20, "{lost}");
    }
    // Upon a raw disk that begins like a container: the image says that it is raw.
    bytes[..4].copy_from_slice(b"QFI\xfb");
    std::fs::write(&path, &bytes).unwrap();
    let top = delta(folder.path(), "raw-base.qcow2", "qcow2", "disk.raw", &["write -P 0x43 0 1k"]);
    bytes[..1 << 10].fill(0x43);
    same(&open(&top).unwrap().disk, &bytes, "upon raw");
}

#[test]
fn a_chain_that_comes_back_is_one_line() {
    if !have("qemu-img") {
        return;
    }
    let folder = folder();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["a.qcow2", "b.qcow2"] {
        run("qemu-img", &["create", "-q", "-f", "qcow2", &at(name), "1M"]);
    }
    for (of, base) in [("a.qcow2", "a.qcow2"), ("a.qcow2", "b.qcow2"), ("b.qcow2", "a.qcow2")] {
        run("qemu-img", &["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, &at(of)]);
        let opened = open(&folder.path().join(of)).unwrap();
        let back = opened.gaps.iter().filter(|g| g.what.contains("comes back to")).count();
        assert_eq!(back, usize::from(base != "b.qcow2"), "{:?}", opened.gaps);
        assert!(opened.disk.read_at(0, &mut [0; 512]).is_err() || base == "b.qcow2");
    }
}

/// Puts `bytes` at `offset` and the structure's CRC-32C at `sum`, counted with that field as zeros.
fn sealed(mut bytes: Vec<u8>, sum: usize) -> Vec<u8> {
    bytes[sum..sum + 4].fill(0);
    let crc = crc32c::crc32c(&bytes);
    bytes[sum..sum + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A log that was not carried out: it holds the block table, and the file has zeros in its place.
#[test]
fn a_log_is_replayed_in_memory() {
    if !have("qemu-img") {
        return;
    }
    let folder = folder();
    let (path, raw) = raw(folder.path());
    let to = folder.path().join("log.vhdx");
    convert(&path, &to, "vhdx", &["-o", "block_size=1M"]);
    let mut bytes = std::fs::read(&to).unwrap();
    let number =
        |bytes: &[u8], at: usize| usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
    // The block table, by its identifier in the region table.
    let entry = bytes[0x3_0000..0x4_0000].windows(4).position(|w| w == [0x66, 0x77, 0xc2, 0x2d]).unwrap() + 0x3_0000;
    let table = number(&bytes, entry + 16);
    let sector = bytes[table..table + 4096].to_vec();
    bytes[table..table + 4096].fill(0);
    std::fs::write(&to, &bytes).unwrap();
    let (lost, _) = content(&open(&to).unwrap().disk);
    assert!(lost != raw && lost.len() == raw.len());
    // Two entries, the second one at the ring's end and going on at its start; an older one stands beside them.
    let id = [7; 16];
    let (log_at, log_len) = (number(&bytes, 0x1_0000 + 72), 1 << 20);
    let write = |bytes: &mut Vec<u8>, at: usize, sequence: u64, tail: u32, data: &[u8]| {
        let mut entry = vec![0; 8192];
        entry[..4].copy_from_slice(b"loge");
        entry[8..12].copy_from_slice(&8192_u32.to_le_bytes());
        entry[12..16].copy_from_slice(&tail.to_le_bytes());
        entry[16..24].copy_from_slice(&sequence.to_le_bytes());
        entry[24..28].copy_from_slice(&1_u32.to_le_bytes());
        entry[32..48].copy_from_slice(&id);
        entry[64..68].copy_from_slice(b"desc");
        entry[68..72].copy_from_slice(&data[4092..]);
        entry[72..80].copy_from_slice(&data[..8]);
        entry[80..88].copy_from_slice(&(table as u64).to_le_bytes());
        entry[88..96].copy_from_slice(&sequence.to_le_bytes());
        entry[4096..4100].copy_from_slice(b"data");
        entry[4104..8188].copy_from_slice(&data[8..4092]);
        entry[8188..].copy_from_slice(&u32::try_from(sequence).unwrap().to_le_bytes());
        for (n, byte) in sealed(entry, 4).into_iter().enumerate() {
            bytes[log_at + (at + n) % log_len] = byte;
        }
    };
    let tail = u32::try_from(log_len - 12288).unwrap();
    write(&mut bytes, 65536, 3, 65536, &[9; 4096]);
    write(&mut bytes, log_len - 12288, 10, tail, &[0xff; 4096]);
    write(&mut bytes, log_len - 4096, 11, tail, &sector);
    for header in [0x1_0000, 0x2_0000] {
        let mut head = bytes[header..header + 4096].to_vec();
        head[48..64].copy_from_slice(&id);
        bytes.splice(header..header + 4096, sealed(head, 4));
    }
    std::fs::write(&to, &bytes).unwrap();
    let opened = open(&to).unwrap();
    assert_eq!(opened.gaps, []);
    assert!(opened.details.iter().any(|(_, v)| v == "2 entries replayed in memory"), "{:?}", opened.details);
    same(&opened.disk, &raw, "log");
    // With a damaged last entry the sequence ends before it; the one that is left does not lead to the disk.
    bytes[log_at + log_len - 4096 + 100] ^= 1;
    std::fs::write(&to, &bytes).unwrap();
    let (broken, errors) = content(&open(&to).unwrap().disk);
    assert!(broken != raw && !errors.is_empty());
}

#[test]
fn parts_elsewhere_and_what_is_not_read() {
    if !have("qemu-img") {
        return;
    }
    let folder = folder();
    let (path, bytes) = raw(folder.path());
    let at = |name: &str| folder.path().join(name);
    let data = format!("data_file={}", at("data.bin").display());
    convert(&path, &at("external.qcow2"), "qcow2", &["-o", &data]);
    same(&open(&at("external.qcow2")).unwrap().disk, &bytes, "external data file");
    std::fs::remove_file(at("data.bin")).unwrap();
    assert!(open(&at("external.qcow2")).err().unwrap().contains("data.bin"));
    // Snapshots are said; the disk is the active state.
    convert(&path, &at("snapshots.qcow2"), "qcow2", &[]);
    run("qemu-img", &["snapshot", "-c", "before", at("snapshots.qcow2").to_str().unwrap()]);
    let opened = open(&at("snapshots.qcow2")).unwrap();
    assert!(opened.gaps.iter().any(|g| g.what.starts_with("1 internal snapshots")), "{:?}", opened.gaps);
    same(&opened.disk, &bytes, "with snapshots");
    let secret =
        ["--object", "secret,id=s,data=x", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"];
    convert(&path, &at("locked.qcow2"), "qcow2", &secret);
    assert!(open(&at("locked.qcow2")).err().unwrap().contains("encrypted"));
    // An extent of a split disk that is missing.
    convert(&path, &at("split.vmdk"), "vmdk", &["-o", "subformat=monolithicFlat"]);
    std::fs::remove_file(at("split-flat.vmdk")).unwrap();
    assert!(open(&at("split.vmdk")).err().unwrap().contains("split-flat.vmdk"));
}

#[test]
fn counts_that_are_not_held_against_the_tables_are_told() {
    if !have("qemu-img") {
        return;
    }
    use std::os::unix::fs::FileExt;
    let folder = folder();
    let (path, bytes) = raw(folder.path());
    let image = folder.path().join("a.qcow2");
    convert(&path, &image, "qcow2", &["-o", "cluster_size=512"]);
    let told = |what: &str| open(&image).unwrap().gaps.iter().any(|g| g.what.contains(what));
    assert!(!told("counts of use"));
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&image).unwrap();
    // More clusters than are looked at: the file got longer, and holds nothing there.
    let len = file.metadata().unwrap().len();
    file.set_len(40 << 30).unwrap();
    assert!(told("budget: clusters of the file"));
    same(&open(&image).unwrap().disk, &bytes, "long");
    file.set_len(len).unwrap();
    // The table of counts lies behind the file's end; the disk does not need it.
    file.write_all_at(&(1_u64 << 40).to_be_bytes(), 48).unwrap();
    assert!(told("the counts of use of its clusters cannot be read"));
    same(&open(&image).unwrap().disk, &bytes, "without counts");
}

#[test]
fn damage_is_an_error_with_a_place() {
    if !have("qemu-img") {
        return;
    }
    let folder = folder();
    let (path, _) = raw(folder.path());
    for (name, format, options) in FORMS {
        let to = folder.path().join(name);
        convert(&path, &to, format, options);
        let bytes = std::fs::read(&to).unwrap();
        let mut borders: Vec<u64> = [4, 8, 64, 72, 104, 112, 512, 1024, 1536, 4096].to_vec();
        borders.extend((1..=32).map(|n| n << 16));
        borders.extend([512, 1024, 1536, 1 << 16].map(|n| (bytes.len() as u64).saturating_sub(n)));
        if bytes.len() > 2 << 20 && options.iter().any(|o| o.contains("fixed") || o.contains("static")) {
            continue;
        }
        let header = if *format == "vhdx" { 4 << 20 } else { 1 << 18 };
        eprintln!("{name}");
        mangle(&bytes, &borders, header, &Beside(folder.path().join("none")));
    }
}

/// What the corpus holds: the parts of a test disk, whole and upon each other.
#[test]
fn images_of_the_corpus() {
    use sha2::Digest as _;
    let folder = folder();
    for name in ["fat-parent.vhd", "fat-parent.vhdx", "fat-differential.vhdx", "ntfs-dynamic.vhd", "ntfs-fixed.vhdx"] {
        let Some(path) = shared(&format!("dfvfs_big/{name}.zst")) else { return };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).unwrap();
        let mut from = ruzstd::decoding::StreamingDecoder::new(file).unwrap();
        std::io::Read::read_to_end(&mut from, &mut bytes).unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    for name in ["dfvfs/fat-differential.vhd", "dfvfs/image.vhd", "dfvfs/image-differential.vhd", "dfvfs/ext2.vhd"] {
        let Some(path) = shared(name) else { return };
        std::fs::copy(path, folder.path().join(name.rsplit('/').next().unwrap())).unwrap();
    }
    let read = |name: &str| {
        let opened = open(&folder.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        // Two of them were edited without their checksums.
        let is_edited = name.starts_with("image");
        let told = opened.gaps.iter().all(|g| is_edited && g.what.starts_with("the checksum of the "));
        assert!(told && opened.gaps.is_empty() != is_edited, "{name}: {:?}", opened.gaps);
        let (bytes, errors) = content(&opened.disk);
        assert_eq!(errors, Vec::<String>::new(), "{name}");
        bytes
    };
    for (name, magic, at) in [
        ("fat-parent.vhd", &b"\x55\xaa"[..], 510),
        ("fat-differential.vhd", b"\x55\xaa", 510),
        ("fat-parent.vhdx", b"\x55\xaa", 510),
        ("fat-differential.vhdx", b"\x55\xaa", 510),
        ("ntfs-dynamic.vhd", b"\x55\xaa", 510),
        ("ntfs-fixed.vhdx", b"\x55\xaa", 510),
        ("image.vhd", b"\x53\xef", 1080),
        ("image-differential.vhd", b"\x53\xef", 1080),
        ("ext2.vhd", b"\x53\xef", 1080),
    ] {
        let bytes = read(name);
        assert_eq!(&bytes[at..at + magic.len()], magic, "{name}");
        if !have("qemu-img") || name.contains("differential") || name.starts_with("image") {
            continue;
        }
        // An independent reader of the same container.
        let format = if name.ends_with('x') { "vhdx" } else { "vpc" };
        let to = folder.path().join("raw");
        let from = folder.path().join(name);
        let ends = [from.to_str().unwrap(), to.to_str().unwrap()];
        run("qemu-img", &[&["convert", "-f", format, "-O", "raw"], &ends[..]].concat());
        let theirs = std::fs::read(&to).unwrap();
        // qemu-img rounds the size of some of these to whole cylinders.
        let len = theirs.len().min(bytes.len());
        let digest = |b: &[u8]| sha2::Sha256::digest(&b[..len]);
        assert_eq!(digest(&bytes), digest(&theirs), "{name}");
    }
    for (name, format) in [
        ("plaso/image.qcow2", "qcow2"),
        ("plaso/image.vmdk", "vmdk"),
        ("plaso/image.vhd", "vpc"),
        ("keramics/qcow/fat16.qcow2", "qcow2"),
        ("sleuthkit/image.vhd", "vpc"),
        ("sleuthkit/image.vmdk", "vmdk"),
    ] {
        let Some(path) = shared(name) else { continue };
        let opened = open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (bytes, errors) = content(&opened.disk);
        assert_eq!(errors, Vec::<String>::new(), "{name}");
        if have("qemu-img") {
            let to = folder.path().join("raw");
            let ends = [path.to_str().unwrap(), to.to_str().unwrap()];
            run("qemu-img", &[&["convert", "-f", format, "-O", "raw"], &ends[..]].concat());
            let theirs = std::fs::read(&to).unwrap();
            let len = theirs.len().min(bytes.len());
            assert!(bytes[..len] == theirs[..len] && len >= 64 << 10, "{name}");
        }
    }
    let Some(old) = shared("sleuthkit/image.qcow") else { return };
    assert!(open(&old).err().unwrap().contains("QCOW version 1"));
}
