//! Folders as evidence: loose files, an unpacked root, what must not be followed or opened.
use crate::common::{SMALL_SYSTEM, plant, report, run};
use serde_json::Value;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

fn rows<'a>(report: &'a Value, table: &str) -> &'a Vec<Value> {
    report["inventory"][table].as_array().unwrap()
}
fn file<'a>(report: &'a Value, path: &str) -> &'a Value {
    let found = rows(report, "files").iter().find(|f| f["path"] == path);
    found.unwrap_or_else(|| panic!("{path} is not listed"))
}
fn hash(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
fn examine(folder: &Path, image: &str) -> Value {
    let arguments =
        ["examine", image, "--case", "case", "--overwrite", "--json", "r.json", "--quiet", "--examiner", "x"];
    let (code, _, error) = run(folder, &arguments);
    assert_eq!(code, 0, "{error}");
    report(&folder.join("r.json"))
}

const TALK: &str = "AT+CGSN\r\n490154203237518\r\nOK\r\nAT+CIMI\r\n460001234567890\r\nOK\r\nAT+QCCID\r\n\
    +QCCID: 89860123456789012348\r\nOK\r\nAT+CGDCONT?\r\n+CGDCONT: 1,\"IP\",\"m2m.example\"\r\nOK\r\n";

#[test]
fn loose_files_are_listed_hashed_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join("loose").join(name);
    plant(
        &at(""),
        &[
            ("/sim/modem.txt", TALK),
            ("/plc/crane.L5X", "<?xml version=\"1.0\"?>\n<RSLogix5000Content SoftwareRevision=\"32.00\">\n"),
            ("/note", "text\n"),
            ("/empty", ""),
        ],
    );
    std::fs::write(dir.path().join("outside"), "not evidence").unwrap();
    symlink(dir.path().join("outside"), at("out")).unwrap();
    symlink(dir.path(), at("up")).unwrap();
    std::fs::hard_link(at("note"), at("same")).unwrap();
    std::fs::write(at("").join(std::ffi::OsStr::from_bytes(b"gbk-\xb0\xb6")), "gbk").unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(fifo.success());
    // An archive of a router, whose configuration is a system's of its own.
    plant(&dir.path().join("router"), SMALL_SYSTEM);
    super::archive::made(&dir.path().join("router"), &["tar", "-czf", "../loose/backup.tar.gz", "."]);

    let report = examine(dir.path(), "loose");
    assert_eq!(report["images"][0]["container"], "folder");
    let listed: Vec<&str> = rows(&report, "files")
        .iter()
        .filter(|f| f["evidence"]["filesystem"] == report["filesystems"][0]["id"])
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    let mut expected: Vec<&str> = vec![
        "/",
        "/backup.tar.gz",
        "/empty",
        "/gbk-\\xb0\\xb6",
        "/note",
        "/out",
        "/pipe",
        "/plc",
        "/plc/crane.L5X",
        "/same",
        "/sim",
        "/sim/modem.txt",
        "/up",
    ];
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!(file(&report, "/note")["sha256"], hash(b"text\n"));
    assert_eq!(file(&report, "/empty")["sha256"], hash(b""));
    assert_eq!(file(&report, "/same")["sha256"], hash(b"text\n"));
    let meta = std::fs::metadata(at("note")).unwrap();
    assert_eq!(file(&report, "/note")["uid"], u64::from(meta.uid()));
    assert_eq!(file(&report, "/note")["links"], 2);
    assert_eq!(file(&report, "/out")["kind"], "symlink");
    assert_eq!(file(&report, "/pipe")["kind"], "fifo");
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains(&hash(b"not evidence")), "a link was followed out of the folder");
    // Modem and SIM, with the lines that say so.
    let devices = rows(&report, "devices");
    let serials: Vec<&str> = devices.iter().map(|d| d["serial"].as_str().unwrap()).collect();
    assert_eq!(serials, ["89860123456789012348", "490154203237518"]);
    let connection = rows(&report, "connections").iter().find(|c| c["manager"] == "at-transcript").unwrap();
    assert_eq!(connection["apn"], "m2m.example");
    assert!(connection["details"].to_string().contains("imsi=460001234567890"));
    assert_eq!(connection["evidence"]["line"], 11);
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("Rockwell Logix project (L5X) (by its content, made with 32.00)"), "{gaps}");
    // The router in the archive.
    assert_eq!(report["systems"].as_array().unwrap().len(), 1);
    assert_eq!(report["systems"][0]["hostname"], "crane-7");
    let (code, text, _) = run(dir.path(), &["cat", "loose", "0:/note"]);
    assert_eq!((code, text.as_str()), (0, "text\n"));
    let (code, text, _) = run(dir.path(), &["ls", "loose", "0:/sim"]);
    assert!(code == 0 && text.contains("modem.txt"), "{text}");
    // Again: all is read, and nothing of it differs; after a change it is another piece of evidence.
    let again = ["examine", "loose", "--case", "case", "--quiet", "--examiner", "x"];
    assert_eq!(run(dir.path(), &again).0, 0);
    std::fs::write(at("note"), "other\n").unwrap();
    let (code, _, error) = run(dir.path(), &again);
    assert_eq!(code, 2, "{error}");
}

#[test]
fn an_unpacked_root_is_a_system() {
    let dir = tempfile::tempdir().unwrap();
    plant(&dir.path().join("root"), SMALL_SYSTEM);
    symlink("../usr/lib/os-release", dir.path().join("root/etc/os-release.link")).unwrap();
    let report = examine(dir.path(), "root");
    assert_eq!(report["systems"][0]["hostname"], "crane-7");
    assert!(rows(&report, "accounts").iter().any(|a| a["name"] == "service"));
    assert!(report["findings"].as_array().unwrap().iter().any(|f| f["category"] == "modem"), "the dial-up peer");
    let (code, text, _) = run(dir.path(), &["cat", "root", "/etc/hostname"]);
    assert_eq!((code, text.as_str()), (0, "crane-7\n"));
    let (code, text, _) = run(dir.path(), &["ls", "root", "/etc/ppp"]);
    assert!(code == 0 && text.contains("peers"), "{text}");
}

#[test]
fn many_files_cost_a_question_each() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5000 {
        let folder = dir.path().join("many").join(format!("d{}", n % 50));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("f{n}")), format!("content {n}")).unwrap();
    }
    let since = std::time::Instant::now();
    let report = examine(dir.path(), "many");
    assert!(since.elapsed() < std::time::Duration::from_secs(30), "{:?}", since.elapsed());
    let files = rows(&report, "files");
    assert_eq!(files.iter().filter(|f| f["kind"] == "file").count(), 5000);
    assert!(files.iter().filter(|f| f["kind"] == "file").all(|f| f["sha256"].is_string()));
    assert_eq!(file(&report, "/d7/f57")["sha256"], hash(b"content 57"));
}

/// Sets an attribute; `false` where this machine's file system or rights do not allow it.
fn set(path: &Path, name: &str, value: &str) -> bool {
    let out =
        std::process::Command::new("timeout").args(["60", "setfattr", "-n", name, "-v", value]).arg(path).output();
    out.is_ok_and(|o| o.status.success())
}

#[test]
fn attributes_of_files_are_listed_in_folders_and_archives() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("loose");
    plant(&root, &[("/in/ping", "program\n"), ("/plain", "nothing\n")]);
    let acl_value = "0x0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000000ffffffff";
    let ping = root.join("in/ping");
    let allowed = set(&ping, "user.crane", "40 t")
        && set(&ping, "security.capability", "0x0100000200200000000000000000000000000000")
        && set(&ping, "system.posix_acl_access", acl_value)
        && set(&root.join("in"), "user.folder", "yes")
        && set(&root.join("in"), "system.posix_acl_default", acl_value);
    if !allowed {
        eprintln!("skipped: extended attributes cannot be set here (attr, root, a file system that has them)");
        return;
    }
    let tar = ["60", "tar", "--xattrs", "--xattrs-include=*", "--acls", "-cf", "loose.tar", "-C", "loose", "."];
    let made = std::process::Command::new("timeout").args(tar).current_dir(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for image in ["loose", "loose.tar"] {
        let report = examine(dir.path(), image);
        let row = file(&report, "/in/ping");
        assert_eq!(row["capabilities"], "cap_net_raw=ep", "{image}");
        // tar writes the names of accounts that it knows, and may leave out the mask's comment.
        let acl = row["acl"].as_str().unwrap();
        assert!(acl.starts_with("user::rw-,user:") && acl.contains(":rwx,group::r--,mask::rwx,other::---"), "{acl}");
        let names = row["xattrs"].to_string();
        assert!(names.contains("user.crane") && names.contains("security.capability"), "{image}: {names}");
        let folder = file(&report, "/in");
        assert!(folder["acl"].as_str().unwrap().contains("default:user:"), "{image}: {folder}");
        assert!(folder["xattrs"].to_string().contains("user.folder"), "{image}: {folder}");
        let plain = file(&report, "/plain");
        assert_eq!((&plain["acl"], &plain["xattrs"]), (&"".into(), &serde_json::json!([])), "{image}");
    }
}
