//! The shipped samples: what is found, and what an independent reader lists.
use crate::common::{report, run};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn samples_give_what_they_are_expected_to() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut seen = 0;
    for sample in std::fs::read_dir(samples).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        let folder = tempfile::tempdir().unwrap();
        let image = sample.join("disk.img");
        let arguments = [
            "examine",
            image.to_str().unwrap(),
            "--json",
            "r.json",
            "--quiet",
            "--second-reader",
            "--as-of",
            "2026-12-31",
        ];
        let (code, _, err) = run(folder.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        let json = report(&folder.path().join("r.json"));
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(sample.join("expected.json")).unwrap()).unwrap();
        let found: Vec<serde_json::Value> = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| serde_json::json!({"rule": f["rule"], "severity": f["severity"], "rung": f["rung"], "subject": f["subject"]}))
            .collect();
        assert_eq!(serde_json::Value::from(found), expected, "{}", sample.display());
        assert!(json["gaps"].as_array().unwrap().is_empty(), "{}", json["gaps"]);
        assert_eq!(json["filesystems"][0]["second_reader"]["differ"], 0);
        // Every name that fls lists is in the inventory.
        let ours: BTreeSet<&str> =
            json["inventory"]["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
        for line in std::fs::read_to_string(sample.join("oracle.txt")).unwrap().lines() {
            let (inode, path) = line.split_once(":\t").unwrap();
            if !inode.starts_with("V/V") {
                assert!(ours.contains(format!("/{path}").as_str()), "{}: {path} is missing", sample.display());
            }
        }
        seen += 1;
    }
    assert!(seen > 0);
}
