//! A few megabytes that say that they hold gigabytes of content: the largest files are listed and not read, with a gap
//! that names the budget, and everything smaller is read.
use crate::common::{have, report, run};
use std::io::Write;
use std::process::{Command, Stdio};

/// Allocated and never written, so that it is neither sparse nor anything in the packed image.
const SCRIPT: &str =
    "write small small\nwrite small large\nfallocate large 0 640000\nset_inode_field large size 2600000000\n";

#[test]
fn of_far_too_much_content_the_smallest_files_are_read() {
    if !have("mke2fs") || !have("debugfs") || !have("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("small"), "crane\n").unwrap();
    std::fs::File::create(at.join("plain.img")).unwrap().set_len(3 << 30).unwrap();
    let tool = |program: &str, arguments: &[&str], input: &str| {
        let mut child = Command::new("timeout")
            .args(["60", program])
            .args(arguments)
            .current_dir(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{program}");
    };
    tool("mke2fs", &["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-N", "64", "plain.img"], "");
    tool("debugfs", &["-w", "plain.img"], SCRIPT);
    tool("qemu-img", &["convert", "-O", "qcow2", "plain.img", "disk.qcow2"], "");
    let stored = std::fs::metadata(at.join("disk.qcow2")).unwrap().len();
    assert!(stored < 8 << 20, "{stored} bytes: this image does not show what is meant");
    let (code, _, said) =
        run(at, &["examine", "disk.qcow2", "--case", "c.cranecase", "--json", "r.json", "--quiet", "--no-sandbox"]);
    assert!(code == 0 || code == 3, "{said}");
    let report = report(&at.join("r.json"));
    let file = |path: &str| {
        let files = report["inventory"]["files"].as_array().unwrap();
        files.iter().find(|f| f["path"] == path).unwrap_or_else(|| panic!("{path} is not listed")).clone()
    };
    let large = file("/large");
    assert_eq!((&large["unhashed"], &large["size"]), (&"budget: bytes of contents".into(), &2_600_000_000_u64.into()));
    assert!(large["sha256"].is_null());
    assert!(file("/small")["sha256"].is_string());
    let gaps = report["gaps"].as_array().unwrap();
    let told: Vec<_> =
        gaps.iter().filter(|g| g["what"].as_str().unwrap().starts_with("budget: bytes of contents")).collect();
    assert_eq!(told.len(), 1, "{gaps:?}");
    assert_eq!((&told[0]["where"]["path"], &told[0]["bytes"]), (&"/large".into(), &2_600_000_000_u64.into()));
}
