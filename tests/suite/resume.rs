//! An examination that was stopped goes on in its case, and ends with the report of one that was not.
#![cfg(unix)]
use crate::common::{SMALL_SYSTEM, cranescope, ext4, have, newc, plant, report, run};
use cranescope::session::{Came, Plan, Stage, Watch, examine, open_case};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn disk() -> Option<tempfile::TempDir> {
    have("mke2fs").then(|| {
        let folder = tempfile::tempdir().unwrap();
        plant(&folder.path().join("root"), SMALL_SYSTEM);
        let log = "Mar  1 10:00:00 crane-7 pppd[7]: Connect: ppp0 <--> /dev/ttyUSB3\n";
        let unpacked = newc(&[("init", "#!/bin/sh\nexec switch_root /root\n"), ("etc/岸桥.conf", "x=1\n")]);
        let more = [("/var/log/syslog", log), ("/boot/initrd.img-6.1.0", &unpacked), ("/srv/kept.cpio", &unpacked)];
        plant(&folder.path().join("root"), &more);
        ext4(folder.path(), &folder.path().join("root"), "disk.img");
        folder
    })
}

fn plan(at: &Path, case: &str) -> Plan {
    Plan { second_reader: true, ..crate::common::plan(at, case) }
}

/// Examines until `stage` begins, and stops there.
fn stop_at(plan: &Plan, stage: Stage) {
    let own: Arc<OnceLock<Arc<Watch>>> = Arc::default();
    let inside = own.clone();
    let watch = Arc::new(Watch::new(move || {
        if let Some(watch) = inside.get().filter(|w| w.status().stage >= stage) {
            watch.cancel();
        }
    }));
    own.set(watch.clone()).ok().unwrap();
    assert_eq!(examine(plan, &watch).unwrap_err().code, 5);
}

#[test]
fn a_stopped_examination_goes_on() {
    let Some(folder) = disk() else { return };
    let at = folder.path();
    let whole = examine(&plan(at, "whole.cranecase"), &Watch::unattended()).unwrap();
    assert_eq!(whole.past, Came::Nothing);
    assert!(whole.data.scene.systems[0].logs.first.is_some(), "the sample has no logs");
    assert_eq!(whole.data.scene.systems[0].initramfs.len(), 1, "the sample boots from nothing");
    assert_eq!(whole.data.scene.filesystems.len(), 3);
    for (n, stages) in [
        &[Stage::Metadata][..],
        &[Stage::Configuration],
        &[Stage::Contents],
        &[Stage::SecondReader],
        &[Stage::Configuration, Stage::Contents, Stage::SecondReader],
    ]
    .into_iter()
    .enumerate()
    {
        let plan = plan(at, &format!("{n}.cranecase"));
        stages.iter().for_each(|stage| stop_at(&plan, *stage));
        open_case(plan.case.as_ref().unwrap()).unwrap();
        let data = examine(&plan, &Watch::unattended()).unwrap();
        if stages.last() > Some(&Stage::Configuration) {
            assert!(matches!(data.past, Came::Items(n) if n > 0), "{stages:?}: {:?}", data.past);
        }
        let saved = open_case(plan.case.as_ref().unwrap()).unwrap();
        for data in [&*data.data, &saved] {
            assert_eq!(data.scene, whole.data.scene, "{stages:?}");
            assert_eq!(data.inventory, whole.data.inventory, "{stages:?}");
            assert_eq!(data.gaps, whole.data.gaps, "{stages:?}");
            assert_eq!(data.findings, whole.data.findings, "{stages:?}");
            assert_eq!(data.searched, whole.data.searched, "{stages:?}");
        }
    }
}

#[test]
fn a_killed_examination_goes_on() {
    let Some(folder) = disk() else { return };
    let at = folder.path();
    fn arguments(case: &str) -> [&str; 7] {
        ["examine", "disk.img", "--case", case, "--quiet", "--as-of", "2026-01-01"]
    }
    let whole = [&arguments("whole.cranecase")[..], &["--json", "whole.json"]].concat();
    assert_eq!(run(at, &whole).0, 0);
    let whole = report(&at.join("whole.json"));
    let mut killed = 0;
    for (n, delay) in [3, 10, 20, 40, 60, 90, 130, 200].into_iter().enumerate() {
        let case = format!("{n}.cranecase");
        for _ in 0..2 {
            let mut child = cranescope()
                .args(arguments(&case))
                .current_dir(at)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(delay));
            child.kill().unwrap();
            killed += u32::from(!child.wait().unwrap().success());
        }
        let (code, _, err) = run(at, &[&arguments(&case)[..], &["--json", "r.json"]].concat());
        assert_eq!(code, 0, "killed after {delay} ms: {err}");
        assert!(report(&at.join("r.json")) == whole, "killed after {delay} ms: the report differs");
        assert_eq!(run(at, &["verify", &case]).0, 0, "killed after {delay} ms");
    }
    assert!(killed > 0, "nothing was killed in time");
}

#[test]
fn what_was_examined_is_not_examined_again() {
    let Some(folder) = disk() else { return };
    let at = folder.path();
    let examine = |more: &[&str]| run(at, &[&["examine", "disk.img", "--as-of", "2026-01-01"], more].concat());
    assert_eq!(examine(&["--json", "a.json"]).0, 0);
    let before = std::fs::read(at.join("disk.cranecase")).unwrap();
    let (code, out, err) = examine(&["--json", "b.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("nothing was read again"), "{out}");
    assert!(report(&at.join("a.json")) == report(&at.join("b.json")));
    assert!(std::fs::read(at.join("disk.cranecase")).unwrap() == before, "the case was written again");
    // More is asked for: only that is read.
    let (code, out, err) = examine(&["--json", "c.json", "--hash-image"]);
    assert!(code == 0 && out.contains("resumed: "), "{out} {err}");
    let mut hashed = report(&at.join("c.json"));
    assert_eq!(hashed["images"][0]["sha256"].as_str().unwrap().len(), 64);
    hashed["images"][0]["sha256"] = serde_json::Value::Null;
    assert!(hashed == report(&at.join("a.json")), "the hash is not all that differs");
    // What was read once stays read.
    let (code, out, _) = examine(&["--json", "d.json"]);
    assert!(code == 0 && out.contains("nothing was read again"), "{out}");
    assert!(report(&at.join("c.json")) == report(&at.join("d.json")));
}

#[test]
fn a_case_of_something_else_is_refused() {
    let Some(folder) = disk() else { return };
    let at = folder.path();
    let examine = |more: &[&str]| run(at, &[&["examine", "disk.img", "--quiet"], more].concat());
    assert_eq!(examine(&[]).0, 0);
    let refused = |(code, _, err): (i32, String, String), why: &str| {
        assert_eq!((code, err.trim_end().lines().count()), (2, 1), "{err}");
        assert!(err.contains("disk.cranecase") && err.contains(why) && err.contains("--overwrite"), "{err}");
    };
    std::fs::create_dir(at.join("rules")).unwrap();
    let rule = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/rules")).unwrap();
    let rule = std::fs::read_to_string(rule.map(|e| e.unwrap().path()).min().unwrap()).unwrap();
    let other = rule.replacen("id = \"", "id = \"other-", 1);
    std::fs::write(at.join("rules/other.toml"), other).unwrap();
    refused(examine(&["--rules", "rules"]), "rules (");
    refused(examine(&["--show-secrets"]), "--show-secrets (not given then, given now)");
    std::fs::copy(at.join("disk.img"), at.join("other.img")).unwrap();
    refused(run(at, &["examine", "other.img", "--case", "disk.cranecase"]), "evidence (");
    refused(run(at, &["examine", "disk.img", "other.img"]), "evidence (1 images then, 2 now)");
    let image = std::fs::OpenOptions::new().append(true).open(at.join("disk.img")).unwrap();
    image.set_len(image.metadata().unwrap().len() + 512).unwrap();
    refused(examine(&[]), "bytes then");
    assert_eq!(examine(&["--overwrite"]).0, 0);
    assert_eq!(examine(&[]).0, 0);
}

#[test]
fn two_processes_never_write_one_case() {
    let Some(folder) = disk() else { return };
    let at = folder.path();
    assert_eq!(run(at, &["examine", "disk.img", "--quiet"]).0, 0);
    let other = rusqlite::Connection::open(at.join("disk.cranecase")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let busy = |arguments: &[&str]| {
        let (code, _, err) = run(at, arguments);
        assert_eq!((code, err.trim_end().lines().count()), (4, 1), "{arguments:?}: {err}");
        assert!(err.contains("disk.cranecase: another process"), "{err}");
    };
    busy(&["examine", "disk.img", "--overwrite"]);
    busy(&["examine", "disk.img"]);
    busy(&["judge", "disk.cranecase"]);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(run(at, &["judge", "disk.cranecase"]).0, 0);
    // An empty file is a case that was stopped before it began.
    std::fs::write(at.join("empty.cranecase"), "").unwrap();
    assert_eq!(run(at, &["report", "empty.cranecase", "-o", "-"]).0, 3);
    assert_eq!(run(at, &["examine", "disk.img", "--case", "empty.cranecase", "--quiet"]).0, 0);
}

#[test]
fn verify_tells_whether_the_log_is_whole() {
    let Some(folder) = disk() else { return };
    let at = folder.path();
    assert_eq!(run(at, &["examine", "disk.img", "--quiet"]).0, 0);
    let (code, out, err) = run(at, &["verify", "disk.cranecase"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("2 lines") && out.contains("chain is whole"), "{out}");
    let db = rusqlite::Connection::open(at.join("disk.cranecase")).unwrap();
    db.execute("UPDATE log SET what = 'something else' WHERE number = 2", []).unwrap();
    drop(db);
    let (code, out, err) = run(at, &["verify", "disk.cranecase"]);
    assert!(code == 1 && out.contains("line 2"), "{code}: {out} {err}");
    // A raw image stores no hash of itself.
    let (code, _, err) = run(at, &["verify", "disk.img"]);
    assert_eq!((code, err.trim_end().lines().count()), (2, 1), "{err}");
    assert!(err.contains("raw") && err.contains("--intake"), "{err}");
    assert_eq!(run(at, &["verify", "nowhere.img"]).0, 3);
}
