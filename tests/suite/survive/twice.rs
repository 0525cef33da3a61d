//! Two programs at once on one case: never two writers.
use super::{bytes_but_run, disk, whole};
use crate::common::{cranescope, rounds, run};
use std::process::Stdio;

#[test]
fn two_at_once_are_never_two_writers() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let whole = whole(at);
    let rounds = rounds(4, 50);
    let mut refused = 0;
    for round in 0..rounds {
        let case = format!("{round}.cranecase");
        let overwrite: &[&str] = if round % 2 == 1 { &["--overwrite"] } else { &[] };
        let start = |name: &str| {
            cranescope()
                .args(["examine", "disk.img", "--case", &case, "--json", name, "--quiet", "--as-of", "2026-01-01"])
                .args(overwrite)
                .current_dir(at)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let both = ["a.json", "b.json"].map(|name| (name, start(name)));
        let mut done = 0;
        for (name, child) in both {
            let out = child.wait_with_output().unwrap();
            let err = String::from_utf8_lossy(&out.stderr);
            match out.status.code() {
                Some(0) => {
                    done += 1;
                    assert!(bytes_but_run(&at.join(name)) == whole, "round {round}: the report differs");
                }
                Some(4) => {
                    refused += 1;
                    assert_eq!(err.trim_end().lines().count(), 1, "round {round}: {err}");
                    assert!(err.contains(&case), "round {round}: {err}");
                }
                other => panic!("round {round}: exit {other:?}: {err}"),
            }
        }
        assert!(done > 0, "round {round}: nobody examined");
        let (code, out, _) = run(at, &["verify", &case]);
        assert_eq!(code, 0, "round {round}: {out}");
        // What was begun was ended before anything else was begun.
        let db = rusqlite::Connection::open(at.join(&case)).unwrap();
        let mut lines = db.prepare("SELECT what FROM log ORDER BY number").unwrap();
        let lines: Vec<String> = lines.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        for pair in lines.chunks(2) {
            assert!(pair[0].contains("begun") || pair[0].contains("resumed"), "round {round}: {lines:?}");
            assert!(pair.len() == 2 && pair[1].contains("finished"), "round {round}: {lines:?}");
        }
    }
    println!("{rounds} rounds of two: {refused} were refused, no case had two writers");
}
