//! Every seed of every fuzz target, replayed: what the fuzzer once found stays mended. The targets are those of the
//! fuzz crate; here they run on any toolchain.
use crate::look::{run, tool, tools};
use crate::targets::{self, Target};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// A seed that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(1);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds")
}

/// Folders of the seeds: one for each target that has some.
fn seeds() -> Vec<(&'static Target, Vec<PathBuf>)> {
    let list = |dir: &Path| {
        let mut all: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    };
    let target = |dir: &PathBuf| {
        let name = dir.file_name().unwrap().to_str().unwrap();
        targets::find(name).unwrap_or_else(|| panic!("tests/seeds/{name} is no target's"))
    };
    list(&folder()).iter().filter(|d| d.is_dir()).map(|dir| (target(dir), list(dir))).collect()
}

#[test]
fn no_seed_brings_its_target_down() {
    let all = seeds();
    assert!(all.iter().map(|(_, files)| files.len()).sum::<usize>() >= 30, "the seeds were not found");
    let mut failed = Vec::new();
    for (target, files) in all {
        for file in files {
            let data = std::fs::read(&file).unwrap();
            assert!(data.len() <= 200 << 10, "{}: a seed is small", file.display());
            let (done, ended) = channel();
            let run = move || {
                target.run(&data, crate::kit::Reach::WHOLE);
                done.send(()).unwrap();
            };
            let thread = std::thread::Builder::new().name("seed".into()).spawn(run).unwrap();
            match ended.recv_timeout(PATIENCE) {
                Ok(()) => thread.join().unwrap(),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => failed.push(format!("{} hangs", file.display())),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    failed.push(format!("{} panics", file.display()));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_member_of_every_table_is_a_target() {
    use cranescope::{fs, image, volume};
    let members = image::ALL.iter().map(|m| m.name).chain(volume::ALL.iter().map(|m| m.name));
    let members = members.chain(volume::MANAGERS.iter().map(|m| m.name));
    let members = members.chain(volume::ENCRYPTIONS.iter().map(|m| m.name)).chain(fs::ALL.iter().map(|m| m.name));
    for member in members {
        let is_target = targets::ALL.iter().any(|t| t.member() == Some(member));
        assert!(is_target, "{member} is not fuzzed: a line in fuzz/src/targets/mod.rs");
    }
    for target in targets::ALL {
        let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
        let line = format!("name = \"{}\"", target.name.replace('-', "_"));
        assert!(manifest.contains(&line), "fuzz/Cargo.toml has no binary for {}", target.name);
    }
}

/// Parsers that are no target of their own, and the target that runs them (empty: they parse nothing).
const WITHIN: &[(&str, &str)] = &[
    ("bytes", ""),
    ("hive", "registry"),
    ("lines", "tags"),
    ("little", ""),
    ("mod", ""),
    ("search", ""),
    ("traces", "tags"),
    ("usbids", "modem-alias"),
];

#[test]
fn every_parser_is_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/format");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let target = WITHIN.iter().find(|w| w.0 == name).map_or(name.replace('_', "-"), |w| w.1.to_owned());
        let is_target = target.is_empty() || targets::find(&target).is_some();
        assert!(is_target, "src/format/{name} is not fuzzed: a line in fuzz/src/targets/mod.rs");
    }
}

/// Writes a first seed into the folder that was asked for; nothing where none was.
pub(crate) fn put(target: &str, name: &str, data: &[u8]) {
    let Some(folder) = std::env::var_os("CRANESCOPE_SEEDS").map(|f| PathBuf::from(f).join(target)) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), data).unwrap();
}

/// The fuzzer's first seeds of what only the tests here can make.
#[test]
#[ignore = "writes into the folder that CRANESCOPE_SEEDS names"]
fn seeds_of_images() {
    use crate::kit::Disk;
    put("l01", "small", &crate::containers::l01::small());
    put("ex01", "small", &Disk::of(&crate::containers::ex01::whole(b"crane 7\n")).pack());
    put("bitlocker", "clear", &Disk::of(&crate::bitlocker::clear()).pack());
    // Two devices of one file system, one behind the other.
    for kind in ["raid0", "raid1", "single"].into_iter().filter(|_| tools(&["mkfs.btrfs"])) {
        let folder = tempfile::tempdir().unwrap();
        let devices = ["first", "second"].map(|name| folder.path().join(name));
        for device in &devices {
            std::fs::File::create(device).unwrap().set_len(130 << 20).unwrap();
        }
        let metadata = if kind == "single" { "dup" } else { kind };
        run(tool("mkfs.btrfs").args(["-q", "-f", "-m", metadata, "-d", kind]).args(&devices));
        let both = devices.map(|device| std::fs::read(device).unwrap()).concat();
        put("btrfs-devices", kind, &Disk::of(&both).pack());
    }
}

/// The fuzzer's first seeds of what parent and worker say, and of the files that the parent opens.
#[test]
#[ignore = "writes into the folder that CRANESCOPE_SEEDS names"]
fn seeds_of_the_parent() {
    use cranescope::worker::protocol::{Given, Job, Order, Report, SegmentSpec, Serve, encode};
    if std::env::var_os("CRANESCOPE_SEEDS").is_none() {
        return;
    }
    let text: String = crate::common::SMALL_SYSTEM
        .iter()
        .map(|(path, text)| format!("{path}\n{}\n", text.lines().map(|l| format!("    {l}\n")).collect::<String>()))
        .collect();
    let (scene, inventory, gaps) = cranescope::extract::examine_text(&text);
    let mut stream = encode(&Report::Scene(Box::new(scene))).unwrap();
    let rows = inventory.into_rows();
    for (n, row) in rows.iter().enumerate().step_by(5) {
        let commit = Report::Commit { items: vec![n as u64], rows: vec![row.clone()], gaps: Vec::new() };
        put("report", &format!("row-{n}"), &encode(&commit).unwrap());
    }
    stream.extend(encode(&Report::Commit { items: vec![1], rows, gaps }).unwrap());
    stream.extend(encode(&Report::EntryEnd { gaps: vec![(1, 2, "x".into())] }).unwrap());
    stream.extend(encode(&Report::Finished).unwrap());
    put("report", "stream", &stream);
    for (name, job) in
        [("text", Job::Text { tree: text }), ("verify", Job::Verify), ("mount", Job::Mount { skip: vec![1] })]
    {
        let order = Order {
            images: Vec::new(),
            threads: 2,
            replay_journal: true,
            keys: Vec::new(),
            nand: None,
            unconfined: false,
            scratch: 0,
            job,
        };
        put("order", name, &encode(&order).unwrap());
    }
    put("order", "given", &encode(&Given::File(SegmentSpec { name: "a".into(), len: 7 })).unwrap());
    put("order", "serve", &encode(&Serve { requests: vec![vec![1, 2]], banned: vec![3] }).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let files = [("/etc/os-release", "ID=debian\n"), ("/etc/hostname", "crane-7\n")];
    crate::common::plant(&dir.path().join("root"), &files);
    let said = crate::common::run(dir.path(), &["examine", "root", "--case", "c.cranecase", "--no-sandbox", "--quiet"]);
    assert_eq!(said.0, 0, "{}", said.2);
    put("case", "small", &std::fs::read(dir.path().join("c.cranecase")).unwrap());
    let said = crate::common::run(dir.path(), &["baseline", "build", "c.cranecase", "-o", "b"]);
    assert_eq!(said.0, 0, "{}", said.2);
    put("baseline", "small", &std::fs::read(dir.path().join("b")).unwrap());
}
