//! Evidence in layers: damaged starts, volumes within volumes, files that an image names.
use crate::common::{SMALL_SYSTEM, have, plant, report, run};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Runs a tool that must succeed.
fn tool(program: &str, arguments: &[&str]) {
    let out = Command::new(program).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// An ext4 disk with several block groups, and so with backup superblocks.
fn grouped(at: &Path, name: &str) {
    plant(&at.join("root"), SMALL_SYSTEM);
    let (root, image) = (at.join("root"), at.join(name));
    tool(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-b", "1024", "-d", root.to_str().unwrap(), image.to_str().unwrap(), "40M"],
    );
}

/// Every file of a report: path, size, hash.
fn files(report: &Value) -> Vec<(String, u64, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let rows = report["inventory"]["files"].as_array().unwrap();
    rows.iter().map(|f| (text(&f["path"]), f["size"].as_u64().unwrap_or(0), text(&f["sha256"]))).collect()
}

fn examined(at: &Path, arguments: &[&str]) -> Value {
    let all = [&["examine"], arguments, &["--json", "r.json", "--overwrite", "--as-of", "2026-01-01"]].concat();
    let (code, _, err) = run(at, &all);
    assert_eq!(code, 0, "{err}");
    report(&at.join("r.json"))
}

#[test]
fn a_wiped_superblock_costs_nothing_but_a_gap() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    grouped(at, "disk.img");
    let whole = examined(at, &["disk.img"]);
    assert!(files(&whole).len() >= SMALL_SYSTEM.len());
    let mut bytes = std::fs::read(at.join("disk.img")).unwrap();
    bytes[1024..2048].fill(0);
    std::fs::write(at.join("wiped.img"), bytes).unwrap();
    let wiped = examined(at, &["wiped.img"]);
    assert_eq!(files(&wiped), files(&whole));
    let gaps: Vec<&str> = wiped["gaps"].as_array().unwrap().iter().map(|g| g["what"].as_str().unwrap()).collect();
    assert!(gaps.iter().any(|g| g.contains("superblock damaged") && g.contains("its backup at byte")), "{gaps:?}");
}

/// A packed disk of `tests/data/volumes`, unpacked into `at`.
fn unpack(name: &str, at: &Path) {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/volumes").join(name);
    let packed = std::fs::read(packed).unwrap();
    let mut from = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).unwrap();
    std::io::copy(&mut from, &mut std::fs::File::create(at).unwrap()).unwrap();
}

/// The volumes of a report of one scheme: label, state, whether it has a parent and a file system.
fn volumes(report: &Value, scheme: &str) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let of = report["volumes"].as_array().unwrap().iter().filter(|v| v["scheme"] == scheme);
    of.map(|v| (text(&v["label"]), format!("{} {}", text(&v["state"]), v["filesystem"].is_string()))).collect()
}

#[test]
fn a_group_over_three_images_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for n in 1..=3 {
        unpack(&format!("lvm/pv{n}.img.zst"), &at.join(format!("pv{n}.img")));
    }
    let whole = examined(at, &["pv1.img", "pv2.img", "pv3.img"]);
    let listed = volumes(&whole, "lvm2");
    let read = listed.iter().filter(|(_, state)| state == "read true").count();
    assert_eq!((listed.len(), read), (10, 9), "{listed:?}");
    assert_eq!(whole["gaps"].as_array().unwrap().len(), 0);
    // The order of the images is no matter but for their own list.
    let turned = examined(at, &["pv3.img", "pv1.img", "pv2.img"]);
    assert_eq!(volumes(&turned, "lvm2"), listed);
    for image in whole["images"].as_array().unwrap() {
        let sum: u64 = image["bytes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(sum, image["size"].as_u64().unwrap());
    }
    for volume in whole["volumes"].as_array().unwrap().iter().filter(|v| v["scheme"] == "lvm2") {
        assert!(volume["parent"].is_string(), "{volume}");
    }
    let part = examined(at, &["pv1.img"]);
    let gaps: Vec<&str> = part["gaps"].as_array().unwrap().iter().map(|g| g["what"].as_str().unwrap()).collect();
    for missing in ["pv1", "pv2"] {
        assert!(gaps.iter().any(|g| g.contains(&format!("physical volume {missing} "))), "{gaps:?}");
    }
}

/// A disk with a table, whose second partition holds `inner`.
fn partitioned(at: &Path, inner: &Path, name: &str) {
    let content = std::fs::read(inner).unwrap();
    let image = at.join(name);
    let mut bytes = vec![0; (2 << 20) + content.len() + (1 << 20)];
    bytes[2 << 20..][..content.len()].copy_from_slice(&content);
    std::fs::write(&image, bytes).unwrap();
    let sectors = content.len() / 512;
    let script = format!("label: gpt\nstart=2048,size=2048\nstart=4096,size={sectors}\n");
    let mut child = Command::new("sfdisk")
        .args(["-q", "-w", "never", image.to_str().unwrap()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_disk_within_a_file_within_a_disk_leads_back_to_the_image() {
    if !have("mke2fs") || !have("sfdisk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), SMALL_SYSTEM);
    grouped(at, "inner.img");
    partitioned(at, &at.join("inner.img"), "machine.raw");
    std::fs::create_dir_all(at.join("outer/var/machines")).unwrap();
    std::fs::copy(at.join("machine.raw"), at.join("outer/var/machines/guest.raw")).unwrap();
    let (root, image) = (at.join("outer"), at.join("outer.img"));
    tool("mke2fs", &["-q", "-F", "-t", "ext4", "-d", root.to_str().unwrap(), image.to_str().unwrap(), "96M"]);
    partitioned(at, &at.join("outer.img"), "disk.img");
    let report = examined(at, &["disk.img"]);
    assert_eq!(report["filesystems"].as_array().unwrap().len(), 2);
    let guest = report["volumes"].as_array().unwrap().iter().find(|v| v["scheme"] == "file").unwrap();
    assert_eq!(guest["label"], "/var/machines/guest.raw");
    assert_eq!(report["systems"][0]["hostname"], "crane-7");
    // What the rows say of the inner file system's bytes holds for the outermost image.
    let disk = std::fs::read(at.join("disk.img")).unwrap();
    let inner = &report["filesystems"][1]["id"];
    let files = report["inventory"]["files"].as_array().unwrap();
    let row = files.iter().find(|f| f["path"] == "/etc/passwd").unwrap();
    let evidence = &row["evidence"];
    assert_eq!(&evidence["filesystem"], inner);
    let mut bytes = Vec::new();
    for run in evidence["image_runs"].as_array().unwrap() {
        assert_eq!(run["kind"], "stored");
        let number = |field: &str| usize::try_from(run[field].as_u64().unwrap()).unwrap();
        let (from, len) = (number("offset"), number("length"));
        bytes.extend_from_slice(&disk[from..from + len]);
    }
    let planted = SMALL_SYSTEM.iter().find(|(path, _)| *path == "/etc/passwd").unwrap().1;
    assert_eq!(String::from_utf8(bytes).unwrap(), planted);
}

#[test]
fn a_dump_without_a_table_is_searched() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    grouped(at, "inner.img");
    let inner = std::fs::read(at.join("inner.img")).unwrap();
    // Boot code, a boot image with its header, then a file system off any partition's border.
    let mut dump: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut header = [0_u8; 64];
    header[..4].copy_from_slice(&[0x27, 0x05, 0x19, 0x56]);
    header[12..16].copy_from_slice(&5000_u32.to_be_bytes());
    header[32..38].copy_from_slice(b"kernel");
    let sum = crc32fast::hash(&header);
    header[4..8].copy_from_slice(&sum.to_be_bytes());
    dump.extend_from_slice(&header);
    dump.resize(1 << 19, 0xff);
    dump.extend_from_slice(&inner);
    dump.resize(dump.len() + 70_000, 0xff);
    std::fs::write(at.join("flash.bin"), dump).unwrap();
    let report = examined(at, &["flash.bin"]);
    let found = volumes(&report, "search");
    assert_eq!(found.len(), 2, "{found:?}");
    let kinds: Vec<&str> = report["volumes"].as_array().unwrap().iter().map(|v| v["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["", "U-Boot image \"kernel\"", "ext"]);
    assert_eq!(report["systems"][0]["hostname"], "crane-7");
    let wiped = report["gaps"].as_array().unwrap().iter().map(|g| g["what"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(wiped.iter().any(|g| g.contains("2 structures were found further on")), "{wiped:?}");
}

/// What the gaps of a report say.
fn said(report: &Value) -> Vec<String> {
    report["gaps"].as_array().unwrap().iter().map(|g| g["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_opens_an_encrypted_volume_and_nothing_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    unpack("luks/luks2-argon2id.img.zst", &at.join("disk.img"));
    std::fs::write(at.join("key"), "crane secret\n").unwrap();
    std::fs::write(at.join("other"), "wrong secret\n").unwrap();
    let closed = examined(at, &["disk.img"]);
    let volume = closed["volumes"][0].clone();
    assert_eq!((&volume["state"], closed["filesystems"].as_array().unwrap().len()), (&"encrypted".into(), 0));
    let id = volume["id"].as_str().unwrap();
    assert!(said(&closed)[0].contains("LUKS2") && said(&closed)[0].contains(&format!("--key {id}=FILE")));
    assert_eq!(closed["images"][0]["bytes"]["encrypted"], closed["images"][0]["size"]);
    let open = examined(at, &["disk.img", "--key", &format!("{id}=key")]);
    assert_eq!(said(&open), Vec::<String>::new());
    assert_eq!(volumes(&open, "luks"), [("crane-data".to_owned(), "read true".to_owned())]);
    assert_eq!(open["volumes"][1]["parent"], *id);
    let by_uuid = examined(at, &["disk.img", "--key", "6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f03=key"]);
    assert_eq!(files(&by_uuid), files(&open));
    for path in ["disk.cranecase", "r.json"] {
        let bytes = std::fs::read(at.join(path)).unwrap();
        assert!(!bytes.windows(12).any(|w| w == b"crane secret"), "{path}");
    }
    let wrong = examined(at, &["disk.img", "--key", &format!("{id}=other"), "--key", "vol-none=key"]);
    assert!(said(&wrong).iter().any(|g| g.contains("the key given for it does not open it")), "{wrong}");
    assert!(said(&wrong).iter().any(|g| g.contains("vol-none, which is no encrypted volume here")));
    let (code, _, err) = run(at, &["examine", "disk.img", "--key", "vol-1=none", "--case", "n.cranecase"]);
    assert_eq!((code, err.lines().count()), (2, 1), "{err}");
    assert!(!at.join("n.cranecase").exists());
    let (code, out, err) = run(at, &["cat", "disk.img", "/name", "--key", &format!("{id}=key")]);
    assert_eq!((code, out.as_str()), (0, "luks2-argon2id\n"), "{err}");
}

/// The corpus' own LUKS1 volume, with the password its makers publish.
#[test]
fn the_luks1_volume_of_the_corpus_opens() {
    let shared = std::env::var_os("CRANESCOPE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), std::path::PathBuf::from);
    let Ok(packed) = std::fs::read(shared.join("corpus/dfvfs_big/luks1.raw.zst")) else {
        eprintln!("skipped: the corpus is not here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut from = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).unwrap();
    std::io::copy(&mut from, &mut std::fs::File::create(at.join("luks1.raw")).unwrap()).unwrap();
    std::fs::write(at.join("key"), "luksde-TEST").unwrap();
    let closed = examined(at, &["luks1.raw"]);
    let key = format!("{}=key", closed["volumes"][0]["id"].as_str().unwrap());
    let open = examined(at, &["luks1.raw", "--key", &key]);
    assert_eq!(volumes(&open, "luks")[0].1, "read true");
    assert!(files(&open).iter().any(|(path, ..)| path == "/passwords.txt"), "{:?}", files(&open));
}

#[test]
fn arrays_over_partitions_of_four_images_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for n in 1..=4 {
        unpack(&format!("md/disk{n}.img.zst"), &at.join(format!("disk{n}.img")));
    }
    let report = examined(at, &["disk1.img", "disk2.img", "disk3.img", "disk4.img"]);
    let arrays = volumes(&report, "md");
    assert_eq!(arrays.iter().filter(|(_, state)| state == "read true").count(), 10, "{arrays:?}");
    assert_eq!(said(&report), Vec::<String>::new());
}
