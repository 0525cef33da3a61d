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
