//! The outside contract: verbs, exit codes, one clear line for everything that goes wrong.
use crate::common::{SMALL_SYSTEM, ext4, have, plant, report, run};
use std::path::{Path, PathBuf};

/// A folder with `disk.img`, a small system.
fn disk() -> Option<(tempfile::TempDir, PathBuf)> {
    have("mke2fs").then(|| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        plant(&root, SMALL_SYSTEM);
        let image = ext4(folder.path(), &root, "disk.img");
        (folder, image)
    })
}

#[test]
fn examine_leaves_a_case_and_a_report() {
    let Some((folder, _)) = disk() else { return };
    let at = folder.path();
    let (code, out, err) = run(at, &["examine", "disk.img", "--json", "r.json", "--as-of", "2026-01-01"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("crane-7") && out.contains("case: disk.cranecase"), "{out}");
    let json = report(&at.join("r.json"));
    assert_eq!(json["schema"], "cranescope-report/1");
    assert_eq!(json["systems"][0]["hostname"], "crane-7");
    assert_eq!(json["verdict"]["result"], "not-assessed");
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    let expected = [
        "schema",
        "tool",
        "scope",
        "images",
        "volumes",
        "filesystems",
        "systems",
        "inventory",
        "findings",
        "searched",
        "unexamined",
        "gaps",
        "verdict",
    ];
    assert_eq!(keys, expected);
    let rules: Vec<&str> = json["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"account-with-uid-zero") && rules.contains(&"cellular-link"), "{rules:?}");
    // The case says the same as the report, in every byte but the run.
    let (code, _, err) = run(at, &["report", "disk.cranecase", "--format", "json", "-o", "again.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(report(&at.join("again.json")) == json, "report and examine --json differ");
    // A case is known by what it is, not by its name.
    std::fs::copy(at.join("disk.cranecase"), at.join("renamed.img")).unwrap();
    let is_case = |name: &str| cranescope::session::is_case(&at.join(name));
    assert!(is_case("disk.cranecase") && is_case("renamed.img"));
    assert!(!is_case("disk.img") && !is_case("absent") && !is_case("root"));
}

#[test]
fn evidence_leads_to_the_bytes_of_the_image() {
    let Some((folder, image)) = disk() else { return };
    let (code, _, err) = run(folder.path(), &["examine", "disk.img", "--json", "r.json", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    let json = report(&folder.path().join("r.json"));
    let disk = std::fs::read(image).unwrap();
    let mut checked = 0;
    for (path, text) in SMALL_SYSTEM {
        let file = json["inventory"]["files"].as_array().unwrap().iter().find(|f| f["path"] == *path).unwrap();
        let runs = file["evidence"]["image_runs"].as_array().unwrap();
        let number = |v: &serde_json::Value| usize::try_from(v.as_u64().unwrap()).unwrap();
        let mut bytes = Vec::new();
        for run in runs.iter().filter(|r| r["kind"] == "stored") {
            let at = number(&run["offset"]);
            bytes.extend_from_slice(&disk[at..at + number(&run["length"])]);
            checked += 1;
        }
        assert_eq!(bytes, text.as_bytes(), "{path}");
    }
    assert!(checked >= SMALL_SYSTEM.len());
}

#[test]
fn the_report_is_the_same_at_any_thread_count() {
    let Some((folder, _)) = disk() else { return };
    let mut seen = Vec::new();
    for threads in ["1", "2", "4", "2"] {
        let arguments = [
            "examine",
            "disk.img",
            "--overwrite",
            "--json",
            "r.json",
            "--quiet",
            "--threads",
            threads,
            "--as-of",
            "2026-01-01",
        ];
        let (code, _, err) = run(folder.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        // Byte for byte, but for the line that holds the run.
        let text = std::fs::read_to_string(folder.path().join("r.json")).unwrap();
        seen.push(text.lines().filter(|l| !l.starts_with("\"run\":")).collect::<Vec<_>>().join("\n"));
    }
    assert!(seen.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn looking_inside() {
    let Some((folder, _)) = disk() else { return };
    let at = folder.path();
    assert_eq!(run(at, &["cat", "disk.img", "/etc/hostname"]).1, "crane-7\n");
    let (code, out, _) = run(at, &["ls", "disk.img", "/opt/岸桥"]);
    assert!(code == 0 && out.contains("说明.txt"), "{out}");
    let (code, _, err) = run(at, &["cat", "disk.img", "/no/such"]);
    assert_eq!((code, err.lines().count()), (3, 1), "{err}");
    let (_, out, _) = run(at, &["list", "accounts", "disk.img", "--where", "uid=0", "--format", "csv"]);
    assert_eq!(out.lines().count(), 3, "{out}");
    let (_, out, _) = run(at, &["formats"]);
    assert!(out.contains("ext4") && out.contains("gpt") && out.contains("raw"), "{out}");
    assert_eq!(run(at, &["list", "nonsense", "disk.img"]).0, 2);
}

#[test]
fn fail_on_and_strict_set_the_exit_code() {
    let Some((folder, _)) = disk() else { return };
    let examine = |more: &[&str]| {
        let arguments = [&["examine", "disk.img", "--overwrite", "--quiet"], more].concat();
        run(folder.path(), &arguments).0
    };
    assert_eq!(examine(&["--fail-on", "low"]), 1);
    assert_eq!(examine(&["--fail-on", "critical"]), 0);
    assert_eq!(examine(&["--fail-on", "worst"]), 2);
    // 16 KiB short: the file system says it is longer than the disk.
    let whole = std::fs::read(folder.path().join("disk.img")).unwrap();
    std::fs::write(folder.path().join("cut.img"), &whole[..whole.len() - (1 << 14)]).unwrap();
    let (code, _, err) = run(folder.path(), &["examine", "cut.img", "--strict", "--quiet"]);
    assert_eq!(code, 6, "{err}");
}

/// Every mistake: its exit code, and one line on stderr that names the thing.
#[test]
fn mistakes_are_told_in_one_line() {
    let Some((folder, _)) = disk() else { return };
    let at = folder.path();
    std::fs::write(at.join("empty.img"), b"").unwrap();
    std::fs::write(at.join("noise.img"), vec![0x5a; 1 << 20]).unwrap();
    std::fs::write(at.join("no.cranecase"), "this is no case").unwrap();
    std::fs::create_dir(at.join("rules")).unwrap();
    std::fs::write(at.join("rules/broken.toml"), "id = \"broken\"\nseverity = \"loud\"\n").unwrap();
    let (code, _, err) = run(at, &["examine", "disk.img", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["examine", "nowhere.img"], 3, "nowhere.img"),
        (&["examine", "."], 2, "lies in the evidence folder"),
        (&["examine", "rules", "--case", "rules/x.cranecase"], 2, "lies in the evidence folder rules"),
        (&["examine", "empty.img"], 3, "empty.img"),
        (&["examine", "noise.img", "--case", "disk.cranecase"], 2, "disk.cranecase"),
        (&["examine", "disk.img", "--case", "no.cranecase", "--overwrite"], 3, "no.cranecase"),
        (&["examine", "disk.img", "--case", "no/such/folder/x.cranecase"], 4, "x.cranecase"),
        (&["examine", "disk.img", "--case", "y.cranecase", "--rules", "rules"], 2, "broken.toml"),
        (&["examine", "disk.img", "--case", "z.cranecase", "--json", "no/such/r.json", "--quiet"], 4, "r.json"),
        (&["judge", "no.cranecase"], 3, "no.cranecase"),
        (&["report", "nowhere.cranecase", "-o", "-"], 3, "nowhere.cranecase"),
        (&["explain", "no-such-rule"], 2, "no-such-rule"),
    ];
    for (arguments, expected, named) in cases {
        let (code, _, err) = run(at, arguments);
        assert_eq!(code, *expected, "{arguments:?}: {err}");
        assert_eq!(err.trim_end().lines().count(), 1, "{arguments:?}: {err}");
        assert!(err.contains(named), "{arguments:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    assert_eq!(
        std::fs::read_to_string(at.join("no.cranecase")).unwrap(),
        "this is no case",
        "a file that is no case was replaced"
    );
    // Noise is evidence too: it opens, and a gap says that nothing is known of it.
    let (code, _, err) = run(at, &["examine", "noise.img", "--json", "n.json", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    assert!(!report(&at.join("n.json"))["gaps"].as_array().unwrap().is_empty());
    assert_eq!(run(at, &["examine"]).0, 2);
    assert_eq!(run(at, &["--version"]).0, 0);
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half() {
    let Some((folder, _)) = disk() else { return };
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: no /dev/full here");
        return;
    }
    std::os::unix::fs::symlink(full, folder.path().join("r.json.part")).unwrap();
    std::fs::write(folder.path().join("r.json"), "old").unwrap();
    let (code, _, err) = run(folder.path(), &["examine", "disk.img", "--json", "r.json", "--quiet"]);
    assert_eq!(code, 4, "{err}");
    assert_eq!(std::fs::read_to_string(folder.path().join("r.json")).unwrap(), "old");
}

#[test]
fn evidence_is_not_touched() {
    let Some((folder, image)) = disk() else { return };
    let mut permissions = std::fs::metadata(&image).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&image, permissions).unwrap();
    let before = (std::fs::read(&image).unwrap(), std::fs::metadata(&image).unwrap().modified().unwrap());
    let (code, _, err) = run(folder.path(), &["examine", "disk.img", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    let after = (std::fs::read(&image).unwrap(), std::fs::metadata(&image).unwrap().modified().unwrap());
    assert!(before == after);
}
