//! Workers that fail in every way there is, at an item of the evidence: the parent lives, its memory is bounded, what
//! was found is kept, and the item is a gap. Nothing in the program helps with that: the worker of these tests is this
//! very test binary, which hands everything on between the real worker and the parent until the item comes.
#![cfg(target_os = "linux")]
use crate::common::{Dice, SMALL_SYSTEM, ext4, have, plant, rounds};
use cranescope::base::{Gap, Name, Place};
use cranescope::inventory::{File, Scene, Service};
use cranescope::session::{Limits, Plan, Stage, Watch, examine, open_case, verify};
use cranescope::worker::protocol::{Confinement, Job, Order, Report, encode, receive, receive_files, send, send_files};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const FAULT: &str = "CRANESCOPE_TEST_FAULT";
const CULPRIT: &str = "CRANESCOPE_TEST_CULPRIT";
const AT: &str = "CRANESCOPE_TEST_AT";
/// A whole gigabyte for all of a parent is what is promised.
const MOST: u64 = 1 << 20;

/// Ways to fail at an item.
const FAULTS: [&str; 9] = ["abort", "overflow", "allocate", "loop", "exit", "malformed", "endless", "chatter", "huge"];

#[allow(unconditional_recursion, clippy::only_used_in_recursion)]
fn overflow(n: u64) -> u64 {
    black_box([n; 64])[7] + overflow(n + 1)
}

/// Fails as it was told to. Comes back where the parent has hung up.
fn fail(how: &str, to: &mut UnixStream) {
    match how {
        "abort" => std::process::abort(),
        "overflow" => _ = black_box(overflow(0)),
        "allocate" => {
            let mut all = black_box(Vec::<u8>::with_capacity(1 << 40));
            all.resize(1 << 40, 1);
            drop(black_box(all));
        }
        "loop" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        "exit" | "all" => {}
        "malformed" => {
            let mut dice = Dice::new(u64::from(std::process::id()));
            let body: Vec<u8> = (0..100).map(|_| dice.roll().to_le_bytes()[0] | 0x80).collect();
            drop(to.write_all(&100_u32.to_le_bytes()).and_then(|()| to.write_all(&body)));
            std::thread::sleep(Duration::from_secs(5));
        }
        "endless" => {
            // Rows without end, each of an item of its own.
            for item in 0.. {
                let row = File { path: Name::from("/x".repeat(2000).as_str()), size: item, ..File::default() };
                let rows = (0..50).map(|_| row.clone().into()).collect();
                if send(to, &Report::Commit { items: vec![item], rows, gaps: Vec::new() }).is_err() {
                    break;
                }
            }
        }
        "chatter" => {
            let frame = encode(&Report::Leave { items: Vec::new() }).unwrap().repeat(1000);
            while to.write_all(&frame).is_ok() {}
        }
        _ => {
            // One of the longest frames that are read at all, and then one that says it is longer.
            let empty = Report::Commit { items: Vec::new(), rows: Vec::new(), gaps: Vec::new() };
            let head = encode(&empty).unwrap();
            let mut body = head[4..].to_vec();
            body.resize(200 << 20, 0);
            let len = u32::try_from(body.len()).unwrap();
            drop(to.write_all(&len.to_le_bytes()).and_then(|()| to.write_all(&body)));
            drop(to.write_all(&u32::MAX.to_le_bytes()));
            std::thread::sleep(Duration::from_secs(5));
        }
    }
    std::process::exit(0);
}

fn frame(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    from.read_exact(&mut len).ok()?;
    let mut all = len.to_vec();
    all.resize(4 + u32::from_le_bytes(len) as usize, 0);
    from.read_exact(&mut all[4..]).ok()?;
    Some(all)
}

/// Not a test of its own: the worker. Between parent and real worker it only looks at what is announced.
#[test]
#[ignore = "started by the tests below"]
#[allow(clippy::zombie_processes, reason = "this process ends with it")]
fn worker() {
    let Ok(how) = std::env::var(FAULT) else { return };
    let culprit = std::env::var(CULPRIT).ok().and_then(|c| c.parse::<u64>().ok());
    let mut parent = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let order: Order = receive(&mut &parent).unwrap().unwrap();
    let files = receive_files(&parent, order.images.iter().map(|i| i.segments.len()).sum()).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cranescope"))
        .arg("worker")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    send(&mut ours, &order).unwrap();
    send_files(&ours, &files).unwrap();
    let Job::Examine { skip, unread, .. } = order.job else { return };
    let parse_only = how.starts_with("parse-");
    let is_culprit = |item: &u64| {
        let chosen = how == "all" || culprit == Some(*item);
        chosen && !unread.contains(item) && !(skip.contains(item) && parse_only)
    };
    let mut seed = Dice::new(culprit.unwrap_or(0) + u64::from(std::process::id()));
    let mut stage = Stage::Opening;
    while let Some(mut bytes) = frame(&mut ours) {
        let report: Report = receive(&mut bytes.as_slice()).unwrap().unwrap();
        if let Report::Stage { stage: now, .. } = report {
            stage = now;
        }
        let announced = match &report {
            Report::Enter { item, .. } => vec![*item],
            Report::Take { items, .. } => items.clone(),
            _ => Vec::new(),
        };
        if how == "record" && stage >= Stage::Configuration {
            let mut to = std::fs::File::options().append(true).create(true).open("items").unwrap();
            announced.iter().for_each(|item| writeln!(to, "{item}").unwrap());
        }
        if how == "mutate" && !matches!(report, Report::Confined(_)) && seed.below(12) == 0 {
            for _ in 0..=seed.below(3) {
                let at = 4 + usize::try_from(seed.below(bytes.len() as u64 - 4)).unwrap();
                bytes[at] = seed.roll().to_le_bytes()[0];
            }
        }
        if parent.write_all(&bytes).is_err() {
            break;
        }
        let from = if how == "all" { Stage::Contents } else { Stage::Configuration };
        if stage >= from && announced.iter().any(is_culprit) {
            drop(child.kill());
            fail(how.trim_start_matches("parse-"), &mut parent);
        }
    }
    drop(child.wait());
}

/// A worker program that is [`worker`].
fn script(at: &Path, how: &str, culprit: Option<u64>) -> PathBuf {
    let script = at.join("worker");
    let text = format!(
        "#!/bin/sh\ncd {}\n{FAULT}={how} {CULPRIT}={} exec {} --exact faults::worker --ignored --nocapture\n",
        at.display(),
        culprit.map(|c| c.to_string()).unwrap_or_default(),
        std::env::current_exe().unwrap().display(),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn plan(at: &Path, worker: PathBuf, case: &str) -> Plan {
    Plan {
        images: vec![at.join("disk.img")],
        case: Some(at.join(case)),
        worker: Some(worker),
        as_of: Some("2026-01-01".into()),
        overwrite: true,
        threads: 2,
        limits: Limits { silence: Duration::from_secs(2), ..Limits::default() },
        ..Plan::default()
    }
}

fn disk(at: &Path) -> bool {
    if have("mke2fs") {
        plant(&at.join("root"), SMALL_SYSTEM);
        for n in 0..40 {
            plant(&at.join("root"), &[(&format!("/srv/{n}.txt"), "crane\n")]);
        }
        ext4(at, &at.join("root"), "disk.img");
        return true;
    }
    false
}

fn files(data: &cranescope::case::CaseData) -> BTreeMap<Vec<u8>, File> {
    data.inventory.files.iter().map(|f| (f.path.bytes().to_vec(), f.clone())).collect()
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Not a test of its own: a parent alone in its process, so that its memory is its own.
#[test]
#[ignore = "started by the tests below"]
fn parent() {
    let (Ok(at), Ok(how)) = (std::env::var(AT), std::env::var(FAULT)) else { return };
    let at = Path::new(&at);
    let sound = open_case(&at.join("sound.cranecase")).unwrap();
    let items: Vec<u64> =
        std::fs::read_to_string(at.join("items")).unwrap().lines().map(|l| l.parse().unwrap()).collect();
    let items: Vec<u64> = items.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    assert!(items.len() > 40);
    let mut dice = Dice::new(how.bytes().map(u64::from).sum());
    let rounds = rounds(1, 100);
    for round in 0..rounds {
        let culprit = items[usize::try_from(dice.below(items.len() as u64)).unwrap()];
        // Half of them kill the parser only: the file is still read and hashed then.
        let named = if round % 2 == 0 { format!("parse-{how}") } else { how.clone() };
        let mut plan = plan(at, script(at, &named, Some(culprit)), &format!("{how}.cranecase"));
        if how == "endless" {
            plan.limits.bytes = 100 << 20;
        }
        let done = examine(&plan, &Watch::unattended()).unwrap_or_else(|e| panic!("{named}, round {round}: {e}")).data;
        let gap = |words: &str| done.gaps.iter().any(|g| g.by == "worker" && g.what.contains(words));
        let rows = files(&done);
        if how == "endless" {
            // From such a worker nothing more is taken; what was found before is kept, and the report says so.
            assert!(gap("budget: the workers sent more than"), "{named}, round {round}: {:?}", done.gaps);
        } else {
            assert!(gap("the worker died"), "{named}, round {round}: {:?}", done.gaps);
            let sound = files(&sound);
            let differ: Vec<_> =
                sound.iter().filter(|(path, row)| rows.get(*path) != Some(row)).map(|(p, _)| Name::new(p)).collect();
            assert!(differ.len() <= 1, "{named}, round {round}: {differ:?}");
        }
        assert!(verify(plan.case.as_deref().unwrap(), &Plan::default()).unwrap().whole);
    }
    assert!(peak() < MOST, "{how}: {} KiB", peak());
    println!("{how}: {rounds} workers failed so; the parent had at most {} MiB", peak() >> 10);
}

#[test]
fn the_parent_survives_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let sound = examine(&plan(at, script(at, "record", None), "sound.cranecase"), &Watch::unattended()).unwrap().data;
    assert!(sound.gaps.is_empty(), "{:?}", sound.gaps);
    // Some of them alone, by their names.
    let only = std::env::var("CRANESCOPE_FAULTS").unwrap_or_default();
    for how in FAULTS.into_iter().filter(|how| only.is_empty() || only.split(',').any(|o| o == *how)) {
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::parent", "--ignored", "--nocapture"])
            .envs([(AT, at.to_str().unwrap()), (FAULT, how)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success() && said.contains("workers failed so"),
            "{how}: {said}{}",
            String::from_utf8_lossy(&out.stderr)
        );
        said.lines().filter(|l| l.contains("workers failed so")).for_each(|l| println!("{l}"));
    }
}

/// Every item kills: each is a gap, and the case ends.
#[test]
fn an_image_that_kills_every_worker_is_a_case_of_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !have("mke2fs") {
        return;
    }
    plant(&at.join("root"), SMALL_SYSTEM);
    ext4(at, &at.join("root"), "disk.img");
    let done = examine(&plan(at, script(at, "all", None), "all.cranecase"), &Watch::unattended()).unwrap().data;
    let of = |word: &str| done.gaps.iter().filter(|g| g.what.contains(word)).count();
    let died = of("the worker died");
    // Each file, and the search of the space that no file has.
    assert_eq!(of("the worker died reading it"), SMALL_SYSTEM.len(), "{:?}", done.gaps);
    assert_eq!((of("unallocated space of"), died), (1, SMALL_SYSTEM.len() + 1), "{:?}", done.gaps);
    let rows = files(&done);
    for (path, _) in SMALL_SYSTEM {
        let row = &rows[path.as_bytes()];
        assert!(row.sha256.is_none() && !row.unhashed.is_empty(), "{path}: {row:?}");
    }
    println!("{died} items killed their workers, each is a gap");
}

/// What a worker says is changed on its way: whatever comes of it, the parent lives and the case is whole.
#[test]
fn a_worker_that_lies_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let mut outcomes = BTreeMap::new();
    for round in 0..rounds(6, 300) {
        let case = format!("{round}.cranecase");
        let plan = plan(at, script(at, "mutate", Some(u64::from(round) * 1000)), &case);
        let outcome = match examine(&plan, &Watch::unattended()) {
            Ok(_) => 0,
            Err(failure) => failure.code,
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
        assert!(verify(&at.join(&case), &Plan::default()).unwrap().whole, "round {round}");
        let (code, _, err) = crate::common::run(at, &["report", &case, "--format", "json", "-o", "r.json"]);
        assert!((code == 0 || code == 3) && !err.contains("panicked"), "round {round}: {code}: {err}");
        std::fs::remove_file(at.join(&case)).unwrap();
    }
    println!("examinations under changed messages ended with {outcomes:?}");
}

/// Messages with changed bytes: each is read or refused, and costs no more memory than it says.
#[test]
fn mutated_messages_are_read_or_refused() {
    let gap = Gap { at: Place { image: Some(1), ..Place::default() }, by: "x".into(), what: "y".into(), bytes: 9 };
    let file = File { path: Name::new(b"/a\xff"), size: 7, ..File::default() };
    let service = Service { name: "x".into(), ..Service::default() };
    let confined = Confinement { parts: vec!["a".into()], denied: vec!["b".into()], missing: Vec::new() };
    let messages = [
        Report::Commit { items: vec![1, 2], rows: vec![file.into(), service.into()], gaps: vec![gap.clone(), gap] },
        Report::Scene(Box::new(Scene {
            images: vec![cranescope::inventory::ImageInfo::default()],
            ..Scene::default()
        })),
        Report::Take { items: vec![1, 2, 3], names: vec!["a".into(), "b".into()] },
        Report::Enter { item: 1, name: "walk".into() },
        Report::Stage { stage: Stage::Contents, total: 7 },
        Report::Confined(confined),
        Report::Bytes(vec![1; 40]),
        Report::EntryEnd { gaps: vec![(1, 2, "z".into())] },
        Report::Failed { what: "nothing".into() },
    ];
    let frames: Vec<Vec<u8>> = messages.iter().map(|m| encode(m).unwrap()).collect();
    let mut dice = Dice::new(21);
    let (mut read, mut refused) = (0, 0);
    let total = rounds(60_000, 1_000_000);
    for n in 0..total {
        let mut frame = frames[n as usize % frames.len()].clone();
        for _ in 0..=dice.below(4) {
            let at = usize::try_from(dice.below(frame.len() as u64)).unwrap();
            match dice.below(4) {
                0 => frame[at] ^= 1 << dice.below(8),
                1 => frame[at] = dice.roll().to_le_bytes()[0],
                2 => frame.truncate(at.max(1)),
                _ => frame.insert(at, dice.roll().to_le_bytes()[0]),
            }
        }
        let mut from = frame.as_slice();
        match receive::<Report>(&mut from) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read > 0 && refused > read, "{read} {refused}");
    println!("{total} changed messages: {read} read, {refused} refused");
}
