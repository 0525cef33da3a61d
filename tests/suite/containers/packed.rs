//! Packed images that cannot be read from the middle: unpacked once into a temporary file that the examiner is told
//! of, in the folder that was named; without one they are read all the same. And the worker's hold on that file.
use super::help::run as tool;
use crate::common::{Dice, cranescope, have, plant, run};
use cranescope::base::Wanted;
use cranescope::worker::protocol::{Given, ImageSpec, Job, Order, Report, SegmentSpec, receive, send, send_files};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

/// More than stays decoded in memory.
const NOISE: usize = 216 << 20;

/// Of signal(7): a file longer than the process may have.
const SIGXFSZ: i32 = 25;

/// A disk of noise and two small files, in one frame of Zstandard: `disk.zst`.
fn disk(at: &Path) -> bool {
    if !have("zstd") || !have("mke2fs") {
        return false;
    }
    let (mut dice, mut noise) = (Dice::new(11), Vec::with_capacity(NOISE));
    while noise.len() < NOISE {
        noise.extend_from_slice(&dice.roll().to_le_bytes());
    }
    plant(&at.join("root"), &[("/etc/hostname", "crane-7\n"), ("/srv/last", "the last one\n")]);
    std::fs::write(at.join("root/srv/noise"), noise).unwrap();
    let script = "mke2fs -q -F -t ext4 -d root disk.img 260M && zstd -q -1 disk.img -o disk.zst && rm -r disk.img root";
    tool("timeout", &["120", "sh", "-c", &format!("cd '{}' && {script}", at.display())]);
    true
}

#[test]
fn one_frame_is_unpacked_once_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    std::fs::create_dir(at.join("scratch")).unwrap();
    let files = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    let before = files(at);
    let report = |scratch: &[&str], name: &str| {
        let case = format!("{name}.cranecase");
        let (code, json, said) =
            run(at, &[&["examine", "disk.zst", "--case", &case, "--json", "-", "--quiet"], scratch].concat());
        assert_eq!(code, 0, "{said}");
        let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let told = json["run"]["scratch"].as_str().unwrap().to_owned();
        json.as_object_mut().unwrap().shift_remove("run").unwrap();
        (told, json)
    };
    let (told, with) = report(&["--scratch", "scratch"], "with");
    let bytes: u64 = told.split(' ').next().unwrap().parse().unwrap();
    // What memory had no room for, in whole pieces, and of zeros nothing.
    assert!(bytes > 20 << 20 && bytes < 64 << 20 && told.contains("temporary file in scratch"), "{told}");
    let (told, without) = report(&["--scratch", "none"], "without");
    assert!(told.contains("wants no temporary file"), "{told}");
    assert!(with == without, "the report differs by what is no evidence");
    let (told, beside) = report(&[], "beside");
    assert!(told.contains("temporary file in .,") && beside == with, "{told}");
    assert_eq!((files(&at.join("scratch")), files(at)), (0, before + 3), "nothing is left but three cases");
    // The log of the case has it as well, and a verb without a case says it.
    let log = rusqlite_log(&at.join("with.cranecase"));
    assert!(log.iter().any(|line| line.contains("temporary file in scratch")), "{log:?}");
    let (code, text, said) = run(at, &["cat", "disk.zst", "0:/srv/last", "--scratch", "scratch"]);
    assert_eq!((code, text.as_str()), (0, "the last one\n"), "{said}");
    assert!(said.contains("temporary file in scratch") && said.trim_end().lines().count() == 1, "{said}");
    // A folder that is none costs the file only.
    let (code, text, said) = run(at, &["cat", "disk.zst", "0:/srv/last", "--scratch", "nowhere"]);
    assert_eq!((code, text.as_str()), (0, "the last one\n"), "{said}");
    assert!(said.contains("nowhere: ") && said.trim_end().lines().count() == 1, "{said}");
    a_worker_cannot_write_more_than_it_was_promised(at);
}

fn rusqlite_log(case: &Path) -> Vec<String> {
    let db = rusqlite::Connection::open(case).unwrap();
    let mut all = db.prepare("SELECT what FROM log").unwrap();
    all.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect()
}

/// A worker that was promised one megabyte and is then told that the file may be a gigabyte: the kernel ends it.
fn a_worker_cannot_write_more_than_it_was_promised(at: &Path) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let child = cranescope().arg("worker").stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).spawn();
    let mut child = child.unwrap();
    let image = File::open(at.join("disk.zst")).unwrap();
    let segments = vec![SegmentSpec { name: "disk.zst".into(), len: image.metadata().unwrap().len() }];
    let order = Order {
        images: vec![ImageSpec { name: "disk.zst".into(), segments, folder: None }],
        threads: 1,
        replay_journal: true,
        keys: Vec::new(),
        nand: None,
        unconfined: true,
        scratch: 1 << 20,
        job: Job::Verify,
    };
    send(&mut &ours, &order).unwrap();
    send_files(&ours, &[image]).unwrap();
    let file = tempfile::tempfile_in(at).unwrap();
    while let Ok(Some(report)) = receive::<Report>(&mut &ours) {
        if let Report::Want { wanted, .. } = report {
            assert_eq!(wanted, Wanted::Scratch { is_full: false });
            send(&mut &ours, &Given::File(SegmentSpec { name: "x".into(), len: 1 << 30 })).unwrap();
            send_files(&ours, &[file.try_clone().unwrap()]).unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGXFSZ), "{status}");
    assert!(file.metadata().unwrap().len() <= 16 << 20);
}

/// How a tool packs its input, for every compressed stream that `formats` lists.
const STREAMS: &[(&str, &str, &str)] = &[
    ("gzip", "gzip", "gzip -1 -c"),
    ("xz", "xz", "xz -0 -c"),
    ("zstd", "zstd", "zstd -q -1 -c"),
    ("bzip2", "bzip2", "bzip2 -1 -c"),
    ("lz4", "lz4", "lz4 -q -1 -c"),
    ("lz4-legacy", "lz4", "lz4 -q -l -c"),
    ("lzop", "lzop", "lzop -1 -c"),
    ("lzma", "xz", "xz -0 --format=lzma -c"),
];

#[test]
fn every_stream_has_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let raw = [crate::look::pattern(2, 1 << 20), vec![b'c'; 1 << 20], crate::look::pattern(4, 77_777)].concat();
    std::fs::write(folder.path().join("raw"), &raw).unwrap();
    for format in cranescope::image::ALL.iter().filter(|f| cranescope::image::is_stream(f)) {
        let (name, needed, script) =
            STREAMS.iter().find(|s| s.0 == format.name).unwrap_or_else(|| panic!("{} has no sample", format.name));
        if !have(needed) {
            continue;
        }
        let script = format!("cd '{}' && {script} < raw > packed", folder.path().display());
        tool("timeout", &["60", "sh", "-c", &script]);
        let packed = std::fs::read(folder.path().join("packed")).unwrap();
        let opened = super::help::open_source(std::sync::Arc::new(packed), &cranescope::image::Alone).unwrap();
        assert_eq!(opened.format, *name);
        super::help::same(&opened.disk, &raw, name);
        assert_eq!(opened.gaps, [], "{name}");
    }
}
