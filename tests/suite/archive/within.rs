//! Archives in the file system of a disk, and archives as exhibits, through the whole program.
use super::made;
use crate::common::{SMALL_SYSTEM, ext4, have, plant, report, run};
use serde_json::Value;
use std::path::Path;

fn rows<'a>(report: &'a Value, table: &str) -> &'a Vec<Value> {
    report["inventory"][table].as_array().unwrap()
}
fn hash(path: &Path) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(std::fs::read(path).unwrap()).iter().map(|b| format!("{b:02x}")).collect()
}
fn examine(folder: &Path, image: &str) -> Value {
    let (code, _, error) =
        run(folder, &["examine", image, "--case", "case", "--overwrite", "--json", "r.json", "--quiet"]);
    assert_eq!(code, 0, "{error}");
    report(&folder.join("r.json"))
}

#[test]
fn what_lies_in_archives_is_listed_and_not_installed() {
    if !have("mke2fs") || !have("cpio") || !have("zip") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    plant(&at("root"), SMALL_SYSTEM);
    // Another system's files, with an account of their own and a tunnel.
    plant(
        &at("other"),
        &[
            ("/etc/os-release", "ID=debian\nPRETTY_NAME=\"Other\"\n"),
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nintruder:x:0:0::/root:/bin/sh\n"),
            ("/bin/sh", "#!/bin/true\n"),
            ("/usr/bin/frpc", "\x7fELF not really"),
            ("/etc/frp/frpc.toml", "serverAddr = \"203.0.113.9\"\n"),
        ],
    );
    std::fs::create_dir_all(at("root/boot")).unwrap();
    std::fs::create_dir_all(at("root/srv")).unwrap();
    made(&at("other"), &["sh", "-c", "find . | cpio --quiet -o -H newc | zstd -q > ../root/boot/initrd.img-6.1.0"]);
    made(&at("other"), &["tar", "-cf", "../root/srv/backup.tar", "."]);
    made(&at("other"), &["tar", "-czf", "../root/srv/backup.tar.gz", "."]);
    made(&at("other"), &["zip", "-q", "-r", "../root/srv/backup.zip", "."]);
    made(&at("root/srv"), &["sh", "-c", "echo a log | gzip > log.tar.old.gz"]);
    let image = ext4(dir.path(), &at("root"), "disk.img");
    let report = examine(dir.path(), "disk.img");
    let systems = report["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1, "{systems:#?}");
    let filesystems = report["filesystems"].as_array().unwrap();
    let kinds: Vec<&str> = filesystems.iter().map(|f| f["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ext4", "cpio", "tar", "tar", "zip"]);
    let initramfs = systems[0]["initramfs"].as_array().unwrap();
    assert_eq!(initramfs.len(), 1);
    assert_eq!(initramfs[0]["path"], "/boot/initrd.img-6.1.0");
    assert_eq!(initramfs[0]["filesystem"], filesystems[1]["id"]);
    let passwd: Vec<&Value> = rows(&report, "files").iter().filter(|f| f["path"] == "/etc/passwd").collect();
    assert_eq!(passwd.len(), 5);
    let other = hash(&at("other/etc/passwd"));
    assert_eq!(passwd.iter().filter(|f| f["sha256"] == other.as_str()).count(), 4);
    assert_eq!(passwd.iter().filter(|f| f["covered"] == "archive").count(), 4);
    assert_eq!(passwd.iter().filter(|f| f["archive"] == "/srv/backup.tar.gz").count(), 1);
    // Nothing of it is an account, a program or a finding of the system that holds it.
    assert!(!rows(&report, "accounts").iter().any(|a| a["name"] == "intruder"));
    assert!(!rows(&report, "binaries").iter().any(|b| b["path"] == "/usr/bin/frpc"));
    // Only that the initramfs has a program which the system has not is told: it is made of the system's own.
    let findings = report["findings"].as_array().unwrap();
    let told: Vec<&Value> = findings.iter().filter(|f| f.to_string().contains("frp")).collect();
    let [told] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(
        (&told["rule"], &told["subject"]),
        (&"initramfs-program-alone".into(), &"/boot/initrd.img-6.1.0".into())
    );
    let words: Vec<(&str, &str)> = rows(&report, "files")
        .iter()
        .filter(|f| f["against_system"] != "" && f["kind"] == "file")
        .map(|f| (f["path"].as_str().unwrap(), f["against_system"].as_str().unwrap()))
        .collect();
    assert_eq!(
        words,
        [
            ("/bin/sh", "on-disk"),
            ("/etc/frp/frpc.toml", "alone"),
            ("/etc/os-release", "changed"),
            ("/etc/passwd", "changed"),
            ("/usr/bin/frpc", "alone"),
        ]
    );
    // The bytes of a stored member are where they are said to be.
    let disk = std::fs::read(&image).unwrap();
    let mut stored = 0;
    for file in passwd.iter().filter(|f| f["sha256"] == other.as_str()) {
        for run in file["evidence"]["image_runs"].as_array().unwrap() {
            let number = |key: &str| usize::try_from(run[key].as_u64().unwrap()).unwrap();
            if run["kind"] == "stored" {
                stored += 1;
                let bytes = &disk[number("offset")..number("offset") + number("length")];
                assert!(std::fs::read(at("other/etc/passwd")).unwrap().ends_with(bytes));
            }
        }
    }
    assert!(stored > 0);
    let (code, listing, _) = run(dir.path(), &["ls", "disk.img", "2:/etc"]);
    assert!(code == 0 && listing.contains("os-release"), "{listing}");
}

#[test]
fn an_archive_as_an_exhibit_is_a_system() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    plant(&root, SMALL_SYSTEM);
    made(&root, &["tar", "-czf", "../system.tar.gz", "."]);
    let report = examine(dir.path(), "system.tar.gz");
    assert_eq!(report["images"][0]["container"], "gzip");
    let systems = report["systems"].as_array().unwrap();
    assert_eq!((systems.len(), systems[0]["hostname"].as_str()), (1, Some("crane-7")));
    assert!(rows(&report, "accounts").iter().any(|a| a["name"] == "service"));
    let (code, text, _) = run(dir.path(), &["cat", "system.tar.gz", "/etc/hostname"]);
    assert_eq!((code, text.as_str()), (0, "crane-7\n"));
    // Evidence in a wrapping: the archive in an archive that is no system.
    made(dir.path(), &["tar", "-cf", "delivery.tar", "system.tar.gz"]);
    let report = examine(dir.path(), "delivery.tar");
    assert_eq!(report["systems"].as_array().unwrap().len(), 1);
    assert_eq!(report["filesystems"].as_array().unwrap().len(), 2);
}
