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

/// A library that plays a kernel without Landlock and seccomp, at no cost to what runs under it.
const BARE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
long syscall(long number, ...) {
    static long (*real)(long, ...);
    if (number == SYS_seccomp || number == SYS_landlock_create_ruleset) { errno = ENOSYS; return -1; }
    if (!real) real = dlsym(RTLD_NEXT, "syscall");
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long);
    long e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    return real(number, a, b, c, d, e, f);
}
"#;

/// Processor time of all children that have ended, in seconds.
fn children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks = |n: usize| after.split_whitespace().nth(n).unwrap().parse::<f64>().unwrap();
    // cutime and cstime, fields 16 and 17 of proc(5).
    (ticks(13) + ticks(14)) / 100.0
}

/// The same findings with confinement and without, and at most 5 % more processor time; measured where the long way
/// is asked for, since other tests' children count as well.
#[test]
fn confinement_costs_little() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let long = crate::common::rounds(0, 1) == 1;
    if long {
        for n in 0..2000 {
            let text = format!("{n}\n").repeat(300);
            plant(&at.join("root"), &[(&format!("/srv/{}/{n}.txt", n % 50), &text)]);
        }
    }
    if !disk(at) || !have("cc") || sandbox(at).is_none() {
        return;
    }
    std::fs::write(at.join("bare.c"), BARE).unwrap();
    let library = at.join("bare.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
        .arg(&library)
        .arg(at.join("bare.c"))
        .arg("-ldl")
        .status();
    assert!(built.unwrap().success());
    let worker = |name: &str, variables: &str| {
        let script = at.join(name);
        let text = format!("#!/bin/sh\n{variables} exec {} worker\n", env!("CARGO_BIN_EXE_cranescope"));
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    };
    let workers = [worker("with", ""), worker("without", &format!("LD_PRELOAD={}", library.display()))];
    let run = |worker: &Path| {
        let plan = cranescope::session::Plan {
            images: vec![at.join("disk.img")],
            case: Some(at.join("cost.cranecase")),
            overwrite: true,
            worker: Some(worker.to_owned()),
            no_sandbox: true,
            hash_image: true,
            ..Default::default()
        };
        let before = children();
        let data = cranescope::session::examine(&plan, &cranescope::session::Watch::unattended()).unwrap().data;
        // The worker's end is waited for on a thread of its own.
        std::thread::sleep(std::time::Duration::from_millis(100));
        (children() - before, data)
    };
    let ((_, confined), (_, bare)) = (run(&workers[0]), run(&workers[1]));
    assert!(bare.run.sandbox.contains("not in force: Landlock: ") && bare.run.sandbox.contains("seccomp: "));
    assert!(!confined.run.sandbox.contains("not in force"), "{}", confined.run.sandbox);
    assert_eq!((&confined.inventory, &confined.findings), (&bare.inventory, &bare.findings));
    if long {
        let (mut with, mut without) = (0.0, 0.0);
        for _ in 0..25 {
            with += run(&workers[0]).0;
            without += run(&workers[1]).0;
        }
        let cost = (with / without - 1.0) * 100.0;
        println!("25 examinations: {with:.2} s of processor time confined, {without:.2} s not: {cost:.1} %");
        assert!(cost <= 5.0, "{cost:.1} %");
    }
}
