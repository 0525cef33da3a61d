//! Cranes of one delivery compared: what one alone has comes first, expected variation stays apart; and one crane in time.
mod fleet;
mod plants;

use crate::common::{plant, run};
use fleet::{
    COMMON, ODD, UNIT, base_packages, compared, examined, fleet, install, list, make_own, mode, package, program,
    quiet, text, words,
};
use plants::{PLANTS, TEN};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn clean_sisters_differ_in_expected_ways_only() {
    let Some(fleet) = fleet() else { return };
    let cases: Vec<&Path> = fleet.cases.iter().map(PathBuf::as_path).collect();
    let json = compared(&cases, &["--expected"]);
    assert_eq!(json["mode"], "sisters");
    let said: Vec<&Value> = list(&json, "differences").iter().map(|d| &d["label"]).collect();
    assert!(said.is_empty(), "{said:?}");
    // All that differs between the trees, by another tool, is in it.
    let differing = files_that_differ(&fleet.roots);
    let told: BTreeSet<String> = list(&json["expected"], "differences")
        .iter()
        .filter(|d| d["table"] == "files")
        .map(|d| d["key"]["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(differing.len() >= 7, "{differing:?}");
    assert!(differing.is_subset(&told), "{:?}", differing.difference(&told));
    for rule in ["ssh-host-keys", "machine-id", "hostname-file", "interface-address", "log-contents", "own-names"] {
        assert!(json["expected"]["by_rule"][rule].as_u64() > Some(0), "{rule}: {}", json["expected"]["by_rule"]);
    }
    // The same bytes again.
    let again = compared(&cases, &["--expected"]);
    assert!(json == again);
}

/// Paths of files that `diff -rq` names between the first tree and the others.
fn files_that_differ(roots: &[PathBuf]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let first = &roots[0];
    for other in &roots[1..] {
        let out = Command::new("diff").args(["-rq", "--no-dereference"]).args([first, other]).output().unwrap();
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            if let Some(rest) = line.strip_prefix("Files ") {
                let path = rest.split(" and ").next().unwrap();
                all.insert(path.strip_prefix(text(first)).unwrap().to_owned());
            } else if let Some(rest) = line.strip_prefix("Only in ") {
                let (folder, name) = rest.split_once(": ").unwrap();
                let below = folder.strip_prefix(text(first)).or_else(|| folder.strip_prefix(text(other))).unwrap();
                all.insert(format!("{below}/{name}"));
            }
        }
    }
    all
}

#[test]
fn what_one_sister_alone_has_comes_first() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("plants");
    std::fs::create_dir_all(&at).unwrap();
    let mut wrong = Vec::new();
    for (number, (what, word, change)) in PLANTS.iter().enumerate() {
        let root = at.join(format!("root-{number}"));
        quiet("cp", &["-a", text(&fleet.roots[ODD]), text(&root)]);
        change(&root);
        let case = examined(&at, &root, &format!("planted-{number}"));
        let mut cases: Vec<&Path> = fleet.cases.iter().map(PathBuf::as_path).collect();
        cases[ODD] = &case;
        let json = compared(&cases, &[]);
        let differences = list(&json, "differences");
        let first = differences.first().map(words).unwrap_or_default();
        if !first.contains(word) {
            wrong.push(format!("{what}: {first}"));
        }
        // Nothing of the other machines is told beside it.
        let others: Vec<String> =
            differences.iter().filter(|d| d["odd"] != serde_json::json!([ODD])).map(words).collect();
        if !others.is_empty() {
            wrong.push(format!("{what}: beside it {others:?}"));
        }
        if differences.len() > 4 {
            wrong.push(format!(
                "{what}: {} differences {:?}",
                differences.len(),
                differences.iter().map(words).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ten_plants_against_the_approved_sister_are_these_ten() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("ten");
    std::fs::create_dir_all(&at).unwrap();
    let approved = text(&fleet.cases[0]);
    let (code, _, error) = run(&at, &["baseline", "build", approved, "-o", "a.baseline", "--origin", "approved"]);
    assert_eq!(code, 0, "{error}");
    let root = at.join("root");
    quiet("cp", &["-a", text(&fleet.roots[1]), text(&root)]);
    TEN.iter().for_each(|(.., change)| change(&root));
    examined(&at, &root, "planted");
    let above_info = |case: &str| -> Vec<String> {
        let (code, _, error) = run(&at, &["judge", case, "--baseline", "a.baseline"]);
        assert_eq!(code, 0, "{error}");
        let (code, _, error) = run(&at, &["report", case, "--format", "json", "-o", "r.json"]);
        assert_eq!(code, 0, "{error}");
        let json = crate::common::report(&at.join("r.json"));
        let loud = list(&json, "findings").iter().filter(|f| f["severity"] != "info");
        loud.map(|f| format!("{} {}", f["rule"].as_str().unwrap(), f["subject"].as_str().unwrap())).collect()
    };
    for sister in 0..2 {
        let own = at.join(format!("sister-{sister}.cranecase"));
        std::fs::copy(&fleet.cases[sister], &own).unwrap();
        assert_eq!(above_info(text(&own)), [] as [&str; 0]);
    }
    let found = above_info("planted.cranecase");
    for (what, word, _) in TEN {
        assert!(found.iter().any(|f| f.contains(word)), "{what}: {found:#?}");
    }
    let others: Vec<&String> = found.iter().filter(|f| !TEN.iter().any(|(_, word, _)| f.contains(word))).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn what_all_share_is_not_hidden_and_a_delivery_does_not_vouch_for_it() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("shared");
    std::fs::create_dir_all(&at).unwrap();
    let mut cases = Vec::new();
    for number in 0..3 {
        let root = at.join(format!("root-{number}"));
        quiet("cp", &["-a", text(&fleet.roots[number]), text(&root)]);
        for (.., change) in PLANTS.iter().filter(|(_, word, _)| ["authorized", "telemetry", "wg0"].contains(word)) {
            change(&root);
        }
        cases.push(examined(&at, &root, &format!("all-{number}")));
    }
    let cases: Vec<&Path> = cases.iter().map(PathBuf::as_path).collect();
    let unvouched = |more: &[&str]| -> (String, Value) {
        let json = compared(&cases, more);
        assert_eq!(list(&json, "differences").len(), 0, "{}", json["differences"]);
        let all: Vec<String> = list(&json, "unvouched").iter().map(|u| u["key"].to_string()).collect();
        (all.join("\n"), json)
    };
    let (without, json) = unvouched(&[]);
    for word in ["authorized", "telemetry", "wg0"] {
        assert!(without.contains(word), "{word}: {without}");
    }
    // Of what a package brought, only the machines' own database speaks.
    assert!(!without.contains("spreader.service"), "{without}");
    assert!(json["own_word"].as_u64() > Some(0));
    for (origin, vouches) in [("delivery", false), ("approved", true)] {
        let file = format!("{origin}.baseline");
        let (code, _, error) = run(&at, &["baseline", "build", "all-0.cranecase", "-o", &file, "--origin", origin]);
        assert_eq!(code, 0, "{error}");
        let (with, json) = unvouched(&["--baseline", text(&at.join(&file))]);
        assert_eq!(with.contains("telemetry"), !vouches, "{origin}: {with}");
        assert_eq!(list(&json, "not_vouching").len(), usize::from(!vouches));
        assert!(json["machines"][0]["notes"].to_string().contains("judged again"));
    }
    what_the_contract_declares_is_vouched_for(&at, &cases, &json);
}

/// Declares the tunnel, and no account.
const CONTRACT: &str = "\
schema = \"cranescope-policy/1\"
name = \"Quay cranes\"
[connections]
undeclared = \"breach\"
[[connections.allow]]
name = \"wg0\"
reason = \"annex 3\"
owner = \"Terminal IT\"
[accounts]
undeclared = \"breach\"
";

/// The same cases with a delivery policy, and then judged by it: what it declares on all is counted, the rest stays.
fn what_the_contract_declares_is_vouched_for(at: &Path, cases: &[&Path], without: &Value) {
    std::fs::write(at.join("crane.toml"), CONTRACT).unwrap();
    let told = |json: &Value, table: &str| -> Vec<String> {
        let rows = list(json, "unvouched").iter().filter(|u| u["table"] == table);
        rows.map(|u| u["key"].to_string()).collect()
    };
    let has = |json: &Value, table: &str, word: &str| told(json, table).iter().any(|key| key.contains(word));
    assert!(has(without, "connections", "wg0") && has(without, "keys", "authorized"), "{}", without["unvouched"]);
    assert!(without["policy"].is_null() && without["declared"] == 0);
    let by = |more: &[&str]| {
        let json = compared(cases, more);
        assert!(json["policy"].is_string() && json["declared"].as_u64() > Some(0), "{json}");
        // No section speaks of keys, and what is not declared is not vouched for.
        assert!(!has(&json, "connections", "wg0") && has(&json, "keys", "authorized"), "{}", json["unvouched"]);
        assert_eq!(told(&json, "accounts"), told(without, "accounts"));
        let notes = json["machines"][1]["notes"].to_string();
        assert!(notes.contains("by the delivery policy") && notes.contains(": breach"), "{notes}");
        json
    };
    let given = by(&["--policy", text(&at.join("crane.toml"))]);
    for case in cases {
        let (code, _, error) = run(at, &["judge", text(case), "--policy", "crane.toml", "--as-of", "2026-01-01"]);
        assert_eq!(code, 0, "{error}");
    }
    let kept = by(&[]);
    assert_eq!((&kept["unvouched"], &kept["declared"]), (&given["unvouched"], &given["declared"]));
    // One that was judged by none: what was lowered in the others must not look like a difference.
    let (code, _, error) = run(at, &["judge", text(cases[1]), "--as-of", "2026-01-01"]);
    assert_eq!(code, 0, "{error}");
    let mixed = compared(cases, &[]);
    assert!(mixed["policy"].is_null(), "{mixed}");
    assert!(mixed["machines"][0]["notes"].to_string().contains("without a delivery policy"), "{}", mixed["machines"]);
    assert_eq!(mixed["unvouched"], without["unvouched"]);
}

#[test]
fn rules_are_learnt_and_wait_for_approval() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("learnt");
    std::fs::create_dir_all(&at).unwrap();
    let mut cases = Vec::new();
    for number in 0..2 {
        let root = at.join(format!("root-{number}"));
        quiet("cp", &["-a", text(&fleet.roots[number]), text(&root)]);
        let state = format!("/var/lib/spreader/run-{}.db", 2024 + number);
        plant(
            &root,
            &[
                ("/etc/spreader.local", &format!("{number}")),
                (&state, "x"),
                ("/opt/tool", &format!("#!/bin/sh\n{number}\n")),
            ],
        );
        mode(&root.join("opt/tool"), 0o755);
        cases.push(examined(&at, &root, &format!("good-{number}")));
    }
    let names: Vec<&str> = cases.iter().map(|c| text(c)).collect();
    let (code, out, error) = run(&at, &["variation", "learn", names[0], names[1], "-o", "learnt.toml"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("rules proposed"), "{out}");
    let learnt = std::fs::read_to_string(at.join("learnt.toml")).unwrap();
    assert!(learnt.contains("path = \"/var/lib/spreader/run-#.db\""), "{learnt}");
    assert!(learnt.contains("path = \"/etc/spreader.local\"") && learnt.contains("learnt-from"), "{learnt}");
    assert!(!learnt.contains("/opt/tool") && !learnt.contains("approved = true"), "{learnt}");
    let cases: Vec<&Path> = cases.iter().map(PathBuf::as_path).collect();
    let file = at.join("learnt.toml");
    let labels = |json: &Value| list(json, "differences").iter().map(words).collect::<Vec<_>>().join("\n");
    let waiting = compared(&cases, &["--variation", text(&file)]);
    assert!(labels(&waiting).contains("/etc/spreader.local"), "{}", labels(&waiting));
    assert!(list(&waiting["expected"], "not_applied").len() >= 2);
    std::fs::write(&file, learnt.replace("approved = false", "approved = true")).unwrap();
    let applied = labels(&compared(&cases, &["--variation", text(&file)]));
    assert!(!applied.contains("spreader") && applied.contains("/opt/tool"), "{applied}");
    std::fs::write(&file, "schema = 1\n[[rule]]\nid = \"x\"\n").unwrap();
    let (code, _, error) = run(&at, &["compare", names[0], names[1], "--variation", "learnt.toml"]);
    assert_eq!((code, error.lines().count()), (2, 1), "{error}");
}

#[test]
fn three_years_of_updates_are_told_from_changes_by_hand() {
    if fleet().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let root = at.join("root");
    plant(&root, COMMON);
    install(&root, &base_packages(at));
    make_own(&root, 0);
    let before = examined(at, &root, "delivered");
    // Updates by dpkg, one new package, one removed; then changes by hand, one of them in a packaged file.
    let (spreader, helper) = (program("echo"), program("sleep"));
    let updated = package(
        at,
        "spreader",
        "2.0",
        &[
            ("/usr/bin/spreader", &spreader, 0o755),
            ("/usr/bin/spreader-helper", &helper, 0o755),
            ("/usr/bin/spreader-tune", &helper, 0o755),
            (
                "/usr/lib/systemd/system/spreader.service",
                UNIT.replace("spreader\n[", "spreader --v2\n[").as_bytes(),
                0o644,
            ),
            ("/etc/spreader.conf", b"speed = 1\n", 0o644),
        ],
    );
    let new = package(at, "hoistlib", "3.1", &[("/usr/lib/hoist/libhoist.so.3", &helper, 0o644)]);
    install(&root, &[updated, new]);
    let (flag, log) = (format!("--root={}", text(&root)), format!("--log={}/var/log/dpkg.log", text(&root)));
    quiet("dpkg", &[&flag, &log, "--force-not-root", "--force-bad-path", "-r", "login"]);
    for (.., change) in PLANTS.iter().filter(|(_, word, _)| ["toor", "/usr/local/bin/bridge"].contains(word)) {
        change(&root);
    }
    std::fs::write(root.join("usr/sbin/sshd"), program("sleep")).unwrap();
    let after = examined(at, &root, "year-later");
    let json = compared(&[&before, &after], &[]);
    assert_eq!(json["mode"], "time");
    let by = |whose: &str| -> Vec<String> {
        list(&json, "differences").iter().filter(|d| d["hand"]["whose"] == whose).map(words).collect()
    };
    // What dpkg's own log tells of after the delivery, and nothing else, is the package manager's.
    let log = std::fs::read_to_string(root.join("var/log/dpkg.log")).unwrap();
    let logged: BTreeSet<&str> = log
        .lines()
        .filter_map(|l| match l.split(' ').collect::<Vec<_>>()[2..] {
            ["upgrade" | "remove", name, ..] | ["install", name, "<none>", "3.1"] => name.split(':').next(),
            _ => None,
        })
        .collect();
    assert_eq!(logged.iter().copied().collect::<Vec<_>>(), ["hoistlib", "login", "spreader"]);
    let managed = by("package-manager");
    for name in &logged {
        assert!(managed.iter().any(|d| d.contains(&format!("\"packages\" \"{name} |"))), "{name}: {managed:#?}");
    }
    assert_eq!(managed.len(), logged.len(), "{managed:#?}");
    let updates = managed.join(" ");
    for path in
        ["/usr/bin/spreader ", "/usr/bin/spreader-tune", "/usr/lib/systemd/system/spreader.service", "libhoist.so.3"]
    {
        assert!(updates.contains(path.trim()), "{path}: {updates}");
    }
    let hands = by("unknown").join("\n");
    for path in ["toor", "/usr/local/bin/bridge", "/usr/sbin/sshd"] {
        assert!(hands.contains(path) && !updates.contains(path), "{path}: {hands}");
    }
    assert!(by("login").is_empty() && by("package-unlogged").is_empty());
    // Findings moved, too: the account is new.
    let new: Vec<&Value> = list(&json, "findings").iter().filter(|f| f["change"] == "new").collect();
    assert!(new.iter().any(|f| f["rule"] == "account-with-uid-zero"), "{}", json["findings"]);
}

#[test]
fn formats_and_wrong_use() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.as_path();
    let (a, b) = (text(&fleet.cases[0]), text(&fleet.cases[1]));
    let (code, out, error) = run(at, &["compare", a, b, "--format", "csv", "--expected", "-o", "c.csv"]);
    assert_eq!((code, out.as_str()), (0, ""), "{error}");
    let csv = std::fs::read_to_string(at.join("c.csv")).unwrap();
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.starts_with("rank,part,class,table,key,odd,columns,crane-0,crane-1,") && columns == 16, "{csv}");
    assert!(csv.contains("machine-id"), "{csv}");
    let (code, out, _) = run(at, &["compare", a, b]);
    assert_eq!(code, 0);
    assert!(out.starts_with("--- crane-0  (sts-4100)\n+++ crane-1  (sts-4101)\n"), "{out}");
    assert!(out.contains("expected variation (") && out.contains("shared by all"), "{out}");
    assert_eq!(run(at, &["compare", a]).0, 2);
    assert_eq!(run(at, &["compare", a, b, "--sisters", "--in-time"]).0, 2);
    assert_eq!(run(at, &["compare", a, b, a, "--in-time"]).0, 2);
    let (code, out, _) = run(at, &["variation", "show"]);
    assert!(code == 0 && out.contains("ssh-host-keys (rows of keys)"), "{out}");
}
