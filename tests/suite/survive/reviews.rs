//! What an examiner decided and was told is saved is never lost: not by a kill, not by an examination that goes on.
use super::{disk, examine};
use crate::common::{Dice, rounds, run};
use cranescope::base::Time;
use cranescope::judge::Review;
use cranescope::session::{add_review, open_case};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const CASE: &str = "CRANESCOPE_TEST_CASE";
const FINDING: &str = "CRANESCOPE_TEST_FINDING";

/// Not a test of its own: the program that is killed. Adds reviews and says which are saved.
#[test]
#[ignore = "started by the test below"]
fn reviewer() {
    let (Ok(case), Ok(finding)) = (std::env::var(CASE), std::env::var(FINDING)) else { return };
    for n in 0.. {
        let review = Review {
            examiner: "wu".into(),
            disposition: "accepted".into(),
            note: format!("note {n}"),
            at: Time::now(),
        };
        add_review(case.as_ref(), &finding, &review).unwrap();
        println!("saved {n}");
    }
}

#[test]
fn acknowledged_reviews_are_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    assert_eq!(examine(at, "c.cranecase").0, 0);
    let case = at.join("c.cranecase");
    let finding = open_case(&case).unwrap().findings[0].id.clone();
    let reviews = || {
        let data = open_case(&case).unwrap();
        data.findings.into_iter().find(|f| f.id == finding).unwrap().reviews
    };
    let mut dice = Dice::new(20);
    let rounds = rounds(4, 100);
    let mut acknowledged = 0;
    for _ in 0..rounds {
        let had = reviews().len();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "survive::reviews::reviewer", "--ignored", "--nocapture"])
            .envs([(CASE, case.to_str().unwrap()), (FINDING, &finding)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let said = std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).filter(|l| l.contains("saved")).count()
        });
        std::thread::sleep(Duration::from_millis(100 + dice.below(400)));
        child.kill().unwrap();
        child.wait().unwrap();
        let saved = said.join().unwrap();
        let has = reviews().len();
        assert!(has >= had + saved && has <= had + saved + 1, "{had} before, {saved} acknowledged, {has} now");
        acknowledged += saved;
    }
    assert!(acknowledged > 0);
    let before = reviews();
    // An examination that goes on since more is asked for, stopped by a kill and gone on with.
    let asked = ["examine", "disk.img", "--case", "c.cranecase", "--hash-image", "--quiet", "--as-of", "2026-01-01"];
    let mut child = crate::common::cranescope().args(asked).current_dir(at).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(60));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(reviews(), before);
    assert_eq!(run(at, &asked).0, 0);
    assert_eq!(reviews(), before);
    assert_eq!(run(at, &["verify", "c.cranecase"]).0, 0);
    println!("{acknowledged} reviews were acknowledged over {rounds} kills, none is lost");
}
