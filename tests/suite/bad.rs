//! Evidence that does not open as it should, through the whole program: an image that names itself, a group with a
//! missing disk, a wrong key. Each is one gap that names its place, or one line; the rest is read, it ends within ten
//! seconds, and memory stays bounded.
use crate::common::{cranescope, have, plant};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_secs(10);
/// KiB of address space that parent and worker may have each, the program itself among it.
const MOST: u32 = 1_500_000;

/// Exit code, standard output and standard error.
fn bounded(at: &Path, arguments: &[&str]) -> (i32, String, String) {
    let began = Instant::now();
    let script = format!("ulimit -v {MOST}; exec timeout 60 \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(cranescope().get_program()).args(arguments).current_dir(at);
    let out = command.output().unwrap();
    assert!(began.elapsed() < LONGEST, "{arguments:?}: {:?}", began.elapsed());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(out.stdout), text(out.stderr))
}

fn examined(at: &Path, arguments: &[&str]) -> Value {
    let more = ["--case", "x.cranecase", "--overwrite", "--json", "-", "--quiet", "--as-of", "2026-01-01"];
    let (code, json, said) = bounded(at, &[&["examine"], arguments, &more].concat());
    assert_eq!((code, said.as_str()), (0, ""), "{arguments:?}");
    let strict = bounded(at, &[&["examine"], arguments, &more, &["--strict"]].concat());
    assert_eq!(strict.0, 6, "{arguments:?}: {}", strict.2);
    serde_json::from_str(&json).unwrap()
}

fn gaps(report: &Value, word: &str) -> Vec<Value> {
    let all = report["gaps"].as_array().unwrap().iter();
    all.filter(|g| g["what"].as_str().unwrap().contains(word)).cloned().collect()
}

/// A packed disk of `tests/data/volumes`, unpacked.
fn unpack(name: &str, to: &Path) {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/volumes").join(name);
    let packed = std::fs::read(packed).unwrap();
    let mut from = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).unwrap();
    std::io::copy(&mut from, &mut std::fs::File::create(to).unwrap()).unwrap();
}

/// What is recognised and left alone: a gap says what it is, and that nothing of the disk in it was read.
#[test]
fn containers_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut apple = vec![0_u8; 1 << 20];
    apple.splice((1 << 20) - 512..(1 << 20) - 508, *b"koly");
    std::fs::write(at.join("a.dmg"), apple).unwrap();
    assert_eq!(gaps(&examined(at, &["a.dmg"]), "Apple disk image (DMG)").len(), 1);
    let python = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n\
        for name in sys.argv[2:]: z.writestr(name, 'aff4://c21070c3\\n' * 99)\nz.close()";
    let zip = |name: &str, members: &[&str]| {
        let made =
            Command::new("timeout").args(["60", "python3", "-c", python, name]).args(members).current_dir(at).status();
        assert!(made.unwrap().success());
    };
    zip("a.aff4", &["container.description", "version.txt", "information.turtle"]);
    let found = gaps(&examined(at, &["a.aff4"]), "AFF4");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0]["bytes"].as_u64().unwrap() > 4096 && found[0]["where"]["offset"] == 0, "{found:?}");
    // A zip archive that is none.
    zip("b.zip", &["description", "version.txt"]);
    let plain = ["examine", "b.zip", "--case", "x.cranecase", "--overwrite", "--quiet", "--strict"];
    assert_eq!(bounded(at, &plain).0, 0);
}

#[test]
fn a_wrong_key_is_one_gap_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // With a line's end, of the form of a recovery password, bytes that are no text and many.
    let recovery = ["000011"; 8].join("-");
    let wrong: [&[u8]; 3] = [b"wrong\n", recovery.as_bytes(), &[0xff; 600]];
    for name in ["luks1-xts", "luks1-cbc", "luks2-4k", "luks2-argon2id", "bitlocker"] {
        let image = format!("{name}.img");
        if name == "bitlocker" {
            std::fs::write(at.join(&image), crate::bitlocker::sample()).unwrap();
        } else {
            unpack(&format!("luks/{image}.zst"), &at.join(&image));
        }
        let closed = examined(at, &[&image]);
        let id = closed["volumes"][0]["id"].as_str().unwrap().to_owned();
        for (number, key) in wrong.iter().enumerate() {
            std::fs::write(at.join("key"), key).unwrap();
            let key = format!("{id}=key");
            let report = examined(at, &[&image, "--key", &key]);
            let told = gaps(&report, "encrypted: ");
            assert_eq!(report["gaps"].as_array().unwrap().len(), 1, "{name} {number}: {}", report["gaps"]);
            assert!(told[0]["what"].as_str().unwrap().ends_with("the key given for it does not open it"), "{told:?}");
            assert_eq!(told[0]["where"]["volume"].as_str(), Some(id.as_str()), "{told:?}");
            assert_eq!(told[0]["bytes"], closed["volumes"][0]["size"], "{told:?}");
            let (code, out, said) = bounded(at, &["ls", &image, "--key", &key]);
            assert_eq!((code, out.as_str(), said.trim_end().lines().count()), (3, "", 1), "{said}");
            assert!(said.contains("the key given for it does not open it"), "{said}");
        }
    }
}

#[test]
fn a_group_with_a_missing_disk_gives_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["pv1.img", "pv2.img", "pv3.img"] {
        unpack(&format!("lvm/{name}.zst"), &at.join(name));
    }
    let (code, json, said) =
        bounded(at, &["examine", "pv1.img", "pv2.img", "pv3.img", "--case", "a.cranecase", "--json", "-", "--quiet"]);
    assert_eq!(code, 0, "{said}");
    let whole: Value = serde_json::from_str(&json).unwrap();
    let files = |report: &Value| -> Vec<(String, String)> {
        let label = |fs: &Value| {
            let volume = report["filesystems"].as_array().unwrap().iter().find(|f| f["id"] == *fs).unwrap();
            volume["volume"].as_str().unwrap().to_owned()
        };
        let of = |row: &Value| {
            let place = row["evidence"]["filesystem"].clone();
            Some((format!("{}{}", label(&place), row["path"].as_str()?), row["sha256"].as_str()?.to_owned()))
        };
        report["inventory"]["files"].as_array().unwrap().iter().filter_map(of).collect()
    };
    let everything = files(&whole);
    for missing in ["pv1.img", "pv2.img", "pv3.img"] {
        let images: Vec<&str> = ["pv1.img", "pv2.img", "pv3.img"].into_iter().filter(|n| *n != missing).collect();
        let report = examined(at, &images);
        let told = gaps(&report, "volume group crane-vg: the physical volume pv");
        assert_eq!(told.len(), 1, "{missing}: {told:?}");
        let what = told[0]["what"].as_str().unwrap();
        assert!(what.contains("is not part of the evidence; on it lies: "), "{what}");
        assert!(told[0]["where"]["volume"].is_string() && told[0]["bytes"].as_u64() > Some(0), "{told:?}");
        let left = files(&report);
        assert!(left.iter().all(|file| everything.contains(file)), "{missing}: another content");
        assert!(!left.is_empty(), "{missing}: nothing of the rest is read");
    }
}

#[test]
fn an_image_that_names_itself_is_one_gap_of_the_program() {
    if !have("qemu-img") || !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), crate::common::SMALL_SYSTEM);
    crate::common::ext4(at, &at.join("root"), "disk.img");
    for format in ["qcow2", "vmdk"] {
        let name = format!("disk.{format}");
        let script = format!(
            "qemu-img convert -O {format} disk.img {name} && qemu-img create -q -f {format} -b {name} -F {format} top && \
             mv top {name}"
        );
        let made = Command::new("timeout").args(["60", "sh", "-c", &script]).current_dir(at).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let report = examined(at, &[&name]);
        let mut told = gaps(&report, "comes back to");
        // That nothing could be searched for follows from it.
        told.retain(|g| g["by"] != "search");
        assert_eq!(told.len(), 1, "{format}: {}", report["gaps"]);
        assert!(told[0]["where"]["image"].is_string(), "{told:?}");
        let (code, _, said) = bounded(at, &["ls", &name]);
        assert!(code == 3 && said.trim_end().lines().count() == 1 && said.contains("comes back to"), "{code}: {said}");
    }
}
