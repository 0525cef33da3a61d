//! Killed at any moment, parent or worker, and gone on with: the report is the one of a run that nobody disturbed.
use super::{bytes_but_run, damage, disk, examine};
use crate::common::{Dice, cranescope, rounds, run};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn start(at: &Path, case: &str) -> Child {
    cranescope()
        .args(["examine", "disk.img", "--case", case, "--json", "r.json", "--quiet", "--as-of", "2026-01-01"])
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|w| w.parse().ok()).collect()
}

fn kill(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

/// So many kills, spread over cases; each case is finished after some of them, and compared.
fn killed(at: &Path, name: &str, kills: u32, dice: &mut Dice) {
    let begun = Instant::now();
    let (code, _, err) = examine(at, &format!("{name}-whole.cranecase"));
    assert_eq!(code, 0, "{err}");
    let took = begun.elapsed();
    let whole = bytes_but_run(&at.join("r.json"));
    let (mut parents, mut workers, mut cases, mut late) = (0, 0, 0, 0);
    while parents + workers < kills {
        let case = format!("{name}-{cases}.cranecase");
        cases += 1;
        for _ in 0..=dice.below(6) {
            let mut child = start(at, &case);
            std::thread::sleep(took.mul_f64(f64::from(u32::try_from(dice.below(1000)).unwrap()) / 1000.0));
            let worker = children(child.id()).first().copied();
            if dice.below(3) == 0 {
                // The worker only: the examination goes on at once, in another one.
                let hit = worker.is_some_and(kill);
                let done = child.wait().unwrap();
                assert_eq!(done.code(), Some(0), "{name}: a killed worker ended the examination");
                workers += u32::from(hit);
                late += u32::from(!hit);
                assert!(
                    bytes_but_run(&at.join("r.json")) == whole,
                    "{name}: the report differs after a worker's death"
                );
                break;
            }
            child.kill().unwrap();
            let ended = child.wait().unwrap().code() == Some(0);
            parents += u32::from(!ended);
            late += u32::from(ended);
            let until = Instant::now() + Duration::from_secs(20);
            while worker.is_some_and(alive) {
                assert!(Instant::now() < until, "{name}: a worker lives on without its parent");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let (code, _, err) = examine(at, &case);
        assert_eq!(code, 0, "{name}: {err}");
        assert!(bytes_but_run(&at.join("r.json")) == whole, "{name}: the report differs after kills");
        let (code, out, err) = run(at, &["verify", &case]);
        assert_eq!(code, 0, "{name}: {out} {err}");
        std::fs::remove_file(at.join(&case)).unwrap();
    }
    println!(
        "{name}: {parents} parents and {workers} workers killed over {cases} cases ({late} ended before), all reports alike"
    );
}

#[test]
fn kills_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    if !disk(folder.path()) {
        return;
    }
    let mut dice = Dice::new(18);
    killed(folder.path(), "sound", rounds(4, 200), &mut dice);
    damage(folder.path());
    killed(folder.path(), "damaged", rounds(4, 200), &mut dice);
}
