//! The worker is confined before it parses, the report says how, and without it nothing is parsed unasked.
#![cfg(target_os = "linux")]
use crate::common::{SMALL_SYSTEM, ext4, have, plant, run};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn disk(at: &Path) -> bool {
    if !have("mke2fs") {
        return false;
    }
    plant(&at.join("root"), SMALL_SYSTEM);
    ext4(at, &at.join("root"), "disk.img");
    true
}

/// What this kernel gives: the sentence of the report.
fn sandbox(at: &Path) -> Option<String> {
    let (code, json, said) = run(at, &["examine", "disk.img", "--case", "a.cranecase", "--json", "-", "--quiet"]);
    if code == 4 {
        assert!(said.contains("not confined") && said.contains("--no-sandbox"), "{said}");
        eprintln!("skipped: this kernel lacks a part: {said}");
        return None;
    }
    assert_eq!(code, 0, "{said}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    Some(report["run"]["sandbox"].as_str().unwrap().to_owned())
}

#[test]
fn the_report_says_what_was_tried_and_denied() {
    let folder = tempfile::tempdir().unwrap();
    if !disk(folder.path()) {
        return;
    }
    let Some(words) = sandbox(folder.path()) else { return };
    for part in ["Landlock", "seccomp", "MiB of memory", "denied: connect, write a file, read another file, execute"] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!words.contains("not in force"), "{words}");
    assert!(!Path::new("/tmp/cranescope-must-not-be-written").exists());
}

/// A kernel that lacks seccomp's filter is played by a program that denies the call before the worker starts.
#[test]
fn without_confinement_nothing_is_parsed_unless_the_examiner_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) || !have("strace") || sandbox(at).is_none() {
        return;
    }
    // The tracer lets the calls fail as a kernel without them would.
    let script = at.join("old-kernel");
    let text = format!(
        "#!/bin/sh\nexec strace -f -o /dev/null -e trace=landlock_create_ruleset,seccomp \
         -e inject=landlock_create_ruleset:error=ENOSYS -e inject=seccomp:error=EINVAL {} worker\n",
        env!("CARGO_BIN_EXE_cranescope")
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let plan = |case: &str, no_sandbox| cranescope::session::Plan {
        images: vec![at.join("disk.img")],
        case: Some(at.join(case)),
        worker: Some(script.clone()),
        no_sandbox,
        ..Default::default()
    };
    let watch = cranescope::session::Watch::unattended();
    let refused = cranescope::session::examine(&plan("refused.cranecase", false), &watch).unwrap_err();
    assert_eq!(refused.code, 4);
    for word in ["Landlock", "seccomp", "--no-sandbox"] {
        assert!(refused.message.contains(word) && !refused.message.contains('\n'), "{refused}");
    }
    let done = cranescope::session::examine(&plan("allowed.cranecase", true), &watch).unwrap();
    let words = &done.data.run.sandbox;
    assert!(words.contains("not in force: Landlock: ") && words.contains("seccomp: "), "{words}");
    assert!(done.data.inventory.rows() > 0);
}

/// A whole run, watched from outside: no evidence opened for writing, and after its confinement a worker opens
/// nothing, connects to nothing and starts nothing.
#[test]
fn no_worker_opens_connects_or_executes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) || !have("strace") || sandbox(at).is_none() {
        return;
    }
    let trace = at.join("trace");
    let calls = "trace=open,openat,openat2,creat,socket,connect,bind,listen,execve,execveat,fork,vfork,clone,seccomp";
    let out = Command::new("timeout")
        .args(["120", "strace", "-f", "-qq", "-y", "-e", calls, "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_cranescope"))
        .args(["examine", "disk.img", "--case", "traced.cranecase", "--json", "traced.json", "--quiet", "--hash-image"])
        .current_dir(at)
        .output()
        .unwrap();
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("ptrace") || said.contains("PTRACE"), "{said}");
        eprintln!("skipped: processes cannot be traced here");
        return;
    }
    let text = std::fs::read_to_string(&trace).unwrap();
    let call = |line: &str| line.split_once(' ').map(|(pid, rest)| (pid.to_owned(), rest.trim().to_owned())).unwrap();
    let confined: BTreeSet<String> =
        text.lines().map(call).filter(|(_, c)| c.starts_with("seccomp(") && c.ends_with("= 0")).map(|c| c.0).collect();
    assert_eq!(confined.len(), 1, "one worker: {confined:?}");
    let mut seen = 0;
    let mut inside = BTreeSet::new();
    let mut tried = 0;
    for (pid, call) in text.lines().map(call) {
        if call.contains("disk.img") && call.starts_with("open") {
            assert!(call.contains("O_RDONLY") && !call.contains("O_WRONLY") && !call.contains("O_RDWR"), "{call}");
            seen += 1;
        }
        if call.starts_with("seccomp(") {
            inside.insert(pid);
        } else if inside.contains(&pid) && !call.starts_with("+++") && !call.ends_with("<unfinished ...>") {
            // Its own threads are what `clone` may make.
            let thread = call.starts_with("clone(") || call.starts_with("<... clone resumed>");
            if thread && let Some(id) = call.rsplit("= ").next().filter(|id| id.parse::<u32>().is_ok()) {
                assert!(call.contains("CLONE_THREAD") || call.starts_with("<..."), "{call}");
                inside.insert(id.to_owned());
            } else {
                assert!(call.contains("= -1 E"), "a confined worker: {call}");
                tried += 1;
            }
        }
    }
    assert!(seen > 0 && tried >= 4, "{seen} {tried}");
}
