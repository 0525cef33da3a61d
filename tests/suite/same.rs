//! The same evidence gives the same bytes of report: however often, on however many threads, wherever and by whom it
//! is examined.
#![cfg(unix)]
use crate::common::{cranescope, have, rounds};
use crate::survive::{bytes_but_run, damage, disk};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An XFS disk with archives in it; its own tool fills it without a mount.
fn xfs(at: &Path) -> Option<PathBuf> {
    let mut proto = String::from("/x\n0 0\nd--755 0 0\n");
    let root = at.join("root");
    for (name, from) in
        [("archive.tar.gz", "srv/archive.tar.gz"), ("log", "var/log/syslog"), ("inner.img", "srv/inner.img")]
    {
        writeln!(proto, "{name} ---644 0 0 {}", root.join(from).display()).unwrap();
    }
    for folder in 0..30 {
        writeln!(proto, "d{folder} d--755 0 0").unwrap();
        for file in 0..10 {
            writeln!(proto, "f{file} ---644 0 0 {}", root.join("etc/passwd").display()).unwrap();
        }
        proto.push_str("$\n");
    }
    proto.push_str("$\n");
    std::fs::write(at.join("proto"), proto).unwrap();
    let image = at.join("xfs.img");
    std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let made = Command::new("timeout")
        .args(["60", "mkfs.xfs", "--unsupported", "-q", "-m", "uuid=6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f01", "-p"])
        .arg(at.join("proto"))
        .arg(&image)
        .output();
    let made = made.is_ok_and(|m| m.status.success());
    if !made {
        eprintln!("skipped: mkfs.xfs is not here or too old");
    }
    made.then_some(image)
}

/// The members of a volume group that real Linux made.
fn group(at: &Path) -> Vec<PathBuf> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/volumes/lvm");
    ["pv1", "pv2", "pv3"]
        .map(|name| {
            let image = at.join(format!("{name}.img"));
            let packed = std::fs::File::open(kept.join(format!("{name}.img.zst"))).unwrap();
            std::fs::write(&image, zstd(packed)).unwrap();
            image
        })
        .to_vec()
}
fn zstd(packed: std::fs::File) -> Vec<u8> {
    let out = Command::new("zstd").args(["-dcq"]).stdin(packed).output().unwrap();
    assert!(out.status.success());
    out.stdout
}

fn examine(at: &Path, images: &[PathBuf], change: impl FnOnce(&mut Command)) -> PathBuf {
    let (case, report) = (at.join("same.cranecase"), at.join("same.json"));
    let mut command = cranescope();
    command.arg("examine").args(images).arg("--case").arg(&case).arg("--json").arg(&report);
    command
        .args(["--overwrite", "--quiet", "--hash-image", "--second-reader", "--as-of", "2026-01-01"])
        .current_dir(at);
    change(&mut command);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    report
}

/// The evidence of these tests, by name.
fn evidence(at: &Path) -> Vec<(&'static str, Vec<PathBuf>)> {
    let mut all = Vec::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/crane-pc/disk.img");
    all.push(("sample", vec![sample]));
    if disk(at) {
        let mut many = if have("zstd") { group(at) } else { Vec::new() };
        many.extend(xfs(at));
        damage(at);
        all.push(("damaged", vec![at.join("disk.img")]));
        many.push(at.join("disk.img"));
        all.push(("volume group, XFS, archives, damaged", many));
    }
    all
}

#[test]
fn ten_runs_on_any_number_of_threads_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, images) in evidence(at) {
        let mut seen: Option<String> = None;
        let threads = ["1", "2", "4", "3", "8", "1", "2", "4", "2", "4"];
        let runs = rounds(3, 10) as usize;
        for threads in &threads[..runs] {
            let text = bytes_but_run(&examine(at, &images, |c| {
                c.args(["--threads", threads]);
            }));
            assert!(text.len() > 1000);
            let first = seen.get_or_insert_with(|| text.clone());
            assert!(
                *first == text,
                "{name}: the report differs at {threads} threads: {}",
                first_difference(first, &text)
            );
        }
        println!("{name}: {runs} runs alike");
    }
}

fn first_difference(a: &str, b: &str) -> String {
    let pair = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    pair.map_or_else(|| "length".to_owned(), |(a, b)| format!("{a:.400} | {b:.400}"))
}

#[test]
fn surroundings_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_, images) = evidence(at).pop().unwrap();
    let plain = bytes_but_run(&examine(at, &images, |_| ()));
    let elsewhere = at.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let other = elsewhere.clone();
    type Change = Box<dyn Fn(&mut Command)>;
    let variables = |pairs: &'static [(&str, &str)]| -> Change {
        Box::new(move |c| {
            c.envs(pairs.iter().copied());
        })
    };
    let changes: Vec<(&str, Change)> = vec![
        ("time zone", variables(&[("TZ", "Asia/Shanghai")])),
        ("another", variables(&[("TZ", "America/St_Johns")])),
        ("language", variables(&[("LANG", "zh_CN.GBK"), ("LC_ALL", "tr_TR.UTF-8"), ("LANGUAGE", "de")])),
        ("home", variables(&[("HOME", "/nonexistent"), ("XDG_CONFIG_HOME", "/nonexistent"), ("USER", "somebody")])),
        (
            "nothing at all",
            Box::new(|c| {
                c.env_clear();
            }),
        ),
        (
            "folder",
            Box::new(move |c| {
                c.current_dir(&other);
            }),
        ),
    ];
    for (name, change) in changes {
        let text = bytes_but_run(&examine(at, &images, |c| change(c)));
        assert!(text == plain, "{name}: {}", first_difference(&plain, &text));
    }
    // Rights that new files are given by default.
    let mut words: Vec<String> = vec!["examine".into()];
    words.extend(images.iter().map(|i| i.display().to_string()));
    let more = [
        "--case",
        "u.cranecase",
        "--json",
        "u.json",
        "--quiet",
        "--hash-image",
        "--second-reader",
        "--as-of",
        "2026-01-01",
    ];
    words.extend(more.map(String::from));
    let done = Command::new("sh")
        .args(["-c", "umask 0777; exec \"$0\" \"$@\""])
        .arg(cranescope().get_program())
        .args(&words)
        .current_dir(&elsewhere)
        .output()
        .unwrap();
    if done.status.success() {
        assert!(bytes_but_run(&elsewhere.join("u.json")) == plain, "the report differs under another umask");
    } else {
        // Nobody but root reads a case that nobody may read.
        assert_eq!(done.status.code(), Some(4), "{}", String::from_utf8_lossy(&done.stderr));
    }
    // Images named in another order: other positions, the same facts and findings.
    let reversed: Vec<PathBuf> = images.iter().rev().cloned().collect();
    let turned = std::fs::read(examine(at, &reversed, |_| ())).unwrap();
    let straight = std::fs::read(examine(at, &images, |_| ())).unwrap();
    let [straight, turned]: [serde_json::Value; 2] = [straight, turned].map(|b| {
        let mut report = serde_json::from_slice(&b).unwrap();
        holes_lie_nowhere(&mut report);
        report
    });
    let set = |value: &serde_json::Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(ToString::to_string).collect()
    };
    for table in straight["inventory"].as_object().unwrap().keys() {
        let (a, b) = (set(&straight["inventory"][table]), set(&turned["inventory"][table]));
        assert!(a == b, "{table}: {:?} | {:?}", a.difference(&b).next(), b.difference(&a).next());
    }
    let ids = |report: &serde_json::Value| -> BTreeSet<String> {
        report["findings"].as_array().unwrap().iter().map(|f| f["id"].to_string()).collect()
    };
    assert_eq!(ids(&straight), ids(&turned));
    assert_eq!(set(&straight["gaps"]), set(&turned["gaps"]));
}

/// What is a hole or is missing is in no image; the first stands there.
fn holes_lie_nowhere(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(list) => list.iter_mut().for_each(holes_lie_nowhere),
        serde_json::Value::Object(map) => {
            if map.get("kind").is_some_and(|k| k == "hole" || k == "absent") {
                map.remove("image");
            }
            map.values_mut().for_each(holes_lie_nowhere);
        }
        _ => {}
    }
}
