//! Rules over contents (YARA files in `--rules`): run over what nothing vouches for, inside the confined worker, found
//! again without the image, told where they could not be run.
#![cfg(unix)]
#![cfg_attr(not(feature = "yara"), allow(dead_code, unused_imports))]
use crate::common::{SMALL_SYSTEM, ext4, have, plant, report, run};
use serde_json::Value;
use std::path::Path;

const RULES: &str = r#"
rule tunnel : remote c2 {
    meta:
        description = "Names of a tunnel's settings"
        severity = "critical"
        attack = "T1572, none"
        reference = "https://example.org/tunnel"
    strings:
        $key = "vkey"
        $server = /serv[a-z]r=/
    condition: any of them
}
rule nothing { strings: $a = "is in no file at all" condition: $a }
"#;

/// A disk with a package of two files, one of them changed, and three programs of no package.
fn disk(at: &Path) {
    let root = at.join("root");
    plant(&root, SMALL_SYSTEM);
    let owned = "#!/bin/sh\necho vkey owned\n";
    let helper = "#!/bin/sh\n# settings\nserver=198.51.100.7\nvkey=1\n";
    let sum = |text: &str| {
        use md5::Digest as _;
        md5::Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let sums = format!("{}  usr/bin/owned\n{}  usr/bin/changed\n", sum(owned), sum("as it was"));
    plant(
        &root,
        &[
            (
                "/var/lib/dpkg/status",
                "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n",
            ),
            ("/var/lib/dpkg/info/tool.list", "/usr/bin/owned\n/usr/bin/changed\n"),
            ("/var/lib/dpkg/info/tool.md5sums", &sums),
            ("/usr/bin/owned", owned),
            ("/usr/bin/changed", "#!/bin/sh\necho vkey changed\n"),
            ("/opt/copy", owned),
            ("/opt/helper", helper),
            ("/opt/same", helper),
            ("/opt/notes.txt", "vkey\n"),
        ],
    );
    ext4(at, &root, "disk.img");
}

fn examine(at: &Path, arguments: &[&str]) -> (i32, String) {
    let all = ["examine", "disk.img", "--json", "r.json", "--as-of", "2026-01-01", "--quiet", "--overwrite"];
    let (code, _, err) = run(at, &[&all, arguments].concat());
    (code, err)
}

fn of_rule<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    report["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == rule).collect()
}
fn inputs(report: &Value, rule: &str) -> String {
    let found = report["searched"].as_array().unwrap().iter().find(|s| s["rule"] == rule);
    found.unwrap_or_else(|| panic!("{rule} did not search"))["inputs"].as_str().unwrap().to_owned()
}

#[cfg(not(feature = "yara"))]
#[test]
fn a_build_without_it_refuses_the_file_by_name() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    disk(at);
    plant(at, &[("rules/tools.yar", RULES)]);
    let (code, err) = examine(at, &["--rules", "rules"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("rules/tools.yar") && err.contains("feature `yara`"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[cfg(feature = "yara")]
#[test]
fn what_nothing_vouches_for_is_looked_at_and_told_to_the_byte() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    disk(at);
    plant(at, &[("rules/tools.yar", RULES), ("rules/README.txt", "no rule")]);
    let (code, err) = examine(at, &["--rules", "rules", "--threads", "1"]);
    assert_eq!(code, 0, "{err}");
    let first = report(&at.join("r.json"));
    let found = of_rule(&first, "yara-tools-tunnel");
    let subjects: Vec<&str> = found.iter().map(|f| f["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["/opt/helper", "/opt/same", "/usr/bin/changed"]);
    for finding in &found {
        assert_eq!(finding["severity"], "high", "a match alone is no more");
        assert_eq!(finding["title"], "Names of a tunnel's settings");
        assert_eq!((&finding["category"], &finding["attack"]), (&"integrity".into(), &serde_json::json!(["T1572"])));
    }
    let observed = found[0]["observed"].as_str().unwrap();
    for words in ["$key at byte 41 (4 bytes)", "$server at byte 21 (7 bytes)", "owned by no package", "rule tunnel"] {
        assert!(observed.contains(words), "{observed}");
    }
    // The bytes of the image are those that the rule names.
    let image = std::fs::read(at.join("disk.img")).unwrap();
    let mut texts: Vec<String> = Vec::new();
    for evidence in found[0]["evidence"].as_array().unwrap().iter().filter(|e| !e["length"].is_null()) {
        assert_eq!((&evidence["path"], evidence["image_runs"].as_array().unwrap().len()), (&"/opt/helper".into(), 1));
        let run = &evidence["image_runs"][0];
        let number = |key: &str| usize::try_from(run[key].as_u64().unwrap()).unwrap();
        let (start, len) = (number("offset"), number("length"));
        texts.push(String::from_utf8_lossy(&image[start..start + len]).into_owned());
    }
    texts.sort();
    assert_eq!(texts, ["server=", "vkey"]);
    // /bin/sh of the small system, two alike, the changed one; not what its package vouches for, nor a copy of it.
    assert_eq!(inputs(&first, "yara-tools-nothing"), "4 programs and scripts that nothing vouches for");
    assert_eq!(first["inventory"]["content_matches"].as_array().unwrap().len(), 4 + 2 * 2 + 1);

    // The same at any thread count, and from the saved case.
    assert_eq!(examine(at, &["--rules", "rules", "--threads", "4", "--case", "b.cranecase"]).0, 0);
    assert_eq!(report(&at.join("r.json")), first);
    let judged = |rules: &[&str]| {
        let all = [&["judge", "disk.cranecase", "--as-of", "2026-01-01"], rules].concat();
        let (code, _, err) = run(at, &all);
        assert_eq!(code, 0, "{err}");
        assert_eq!(err.contains("need the content of 4"), rules.last() == Some(&"other"), "{err}");
        let written = run(at, &["report", "disk.cranecase", "--format", "json", "-o", "j.json"]);
        assert_eq!(written.0, 0, "{}", written.2);
        report(&at.join("j.json"))
    };
    let again = judged(&["--rules", "rules"]);
    assert_eq!((&again["findings"], &again["searched"]), (&first["findings"], &first["searched"]));
    assert!(of_rule(&judged(&[]), "yara-tools-tunnel").is_empty(), "rules that are not given say nothing");

    // Other rules were never run: they say that they need the content.
    plant(at, &[("other/more.yara", "rule more { condition: true }")]);
    let other = judged(&["--rules", "other"]);
    assert!(of_rule(&other, "yara-more-more").is_empty());
    assert_eq!(inputs(&other, "yara-more-more"), "0 of 4 programs and scripts that nothing vouches for");
    let reasons = other["verdict"]["reasons"].to_string();
    assert!(reasons.contains("YARA rules of more.yara") && reasons.contains("need the content of 4"), "{reasons}");
    // And an examination by them is another one.
    let (code, _, err) = run(at, &["examine", "disk.img", "--rules", "other", "--case", "disk.cranecase"]);
    assert!(code == 2 && err.contains("rules ("), "{code} {err}");
}

#[cfg(feature = "yara")]
#[test]
fn faults_of_rule_files_are_told_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(at, &[("disk.img", "x"), ("same/a.yar", "rule a { condition: true }"), ("same/a.yara", "")]);
    for (name, text, told) in [
        ("syntax", "rule a {\n condition: $x\n}", "rules/x.yar:2: "),
        (
            "severity",
            "rule a { condition: true }\nrule b {\n meta:\n severity = \"worst\"\n condition: true }",
            "rules/x.yar:4: ",
        ),
        ("category", "rule b {\n meta: category = \"policy\"\n condition: true }", "rules/x.yar:2: "),
        ("include", "include \"other.yar\"", "rules/x.yar:1: include"),
    ] {
        plant(at, &[("rules/x.yar", text)]);
        let (code, err) = examine(at, &["--rules", "rules"]);
        assert_eq!(code, 2, "{name}: {err}");
        assert!(err.contains(told) && err.lines().count() == 1, "{name}: {err}");
    }
    let (code, err) = examine(at, &["--rules", "same"]);
    assert!(code == 2 && err.contains("same/a.yara: called like"), "{code} {err}");
}

/// A rule that goes on for minutes over one file costs that file its time, and no other anything.
#[cfg(feature = "yara")]
#[test]
fn a_rule_without_end_is_ended_and_the_rest_is_looked_at() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let root = at.join("root");
    plant(&root, SMALL_SYSTEM);
    plant(&root, &[("/opt/z", "#!/bin/sh\na\n")]);
    std::fs::write(root.join("opt/long"), [b"#!/bin/sh\n".to_vec(), vec![b'a'; 6 << 20]].concat()).unwrap();
    ext4(at, &root, "disk.img");
    plant(
        at,
        &[(
            "rules/x.yar",
            "rule endless { strings: $a = /(a+)+$/ condition: $a }\nrule sh { condition: filesize > 0 }",
        )],
    );
    let start = std::time::Instant::now();
    let (code, err) = examine(at, &["--rules", "rules"]);
    assert_eq!(code, 0, "{err}");
    assert!(start.elapsed() >= cranescope::base::yara::LIMIT);
    let report = report(&at.join("r.json"));
    let gaps: Vec<&Value> = report["gaps"].as_array().unwrap().iter().filter(|g| g["by"] == "content-rules").collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0]["where"].to_string().contains("/opt/long"), "{:?}", gaps[0]);
    let what = gaps[0]["what"].as_str().unwrap();
    assert!(what.contains("YARA rules of x.yar") && what.contains("longer than 5 seconds"), "{what}");
    let subjects: Vec<&Value> = of_rule(&report, "yara-x-sh").iter().map(|f| &f["subject"]).collect();
    assert_eq!(subjects, ["/bin/sh", "/opt/z"]);
    assert!(inputs(&report, "yara-x-endless").starts_with("2 of 3 programs"), "{}", inputs(&report, "yara-x-endless"));
}

/// Conditions on log lines as other systems of rules have them: a field that begins with or holds a text, a pattern, and
/// so many of one kind within a time.
#[test]
fn rules_of_the_examiner_count_lines_within_a_time() {
    use cranescope::base::{Evidence, Time};
    use cranescope::baseline::Baselines;
    use cranescope::inventory::{Event, Inventory, Scene};
    use cranescope::judge::{Knowledge, Policy, judge};
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rule = |id: &str, count: &str| {
        let words = "supports = 'x'\ndoes-not-show = 'x'\nordinary-explanations = 'x'\ncheck = 'x'\n";
        let when = "[where]\nprogram = 'sshd'\ntext = { glob = 'Failed password**', regex = 'from \\S+' }\nfields = { regex = '^user=' }\n";
        format!(
            "id = '{id}'\ntitle = 'x'\ncategory = 'account'\nseverity = 'medium'\ntable = 'events'\nsubject = '{{kind}}'\n\
             observed = 'x'\n{words}{when}{count}"
        )
    };
    plant(
        at,
        &[
            ("rules/many.toml", &rule("many-within", "[count]\nat-least = 5\nwithin = 60\n")),
            ("rules/all.toml", &rule("many-at-all", "[count]\nat-least = 7\n")),
        ],
    );
    let knowledge = Knowledge::load(&[at.join("rules")]).unwrap();
    let event = |second: i64, count: u32, last: i64| Event {
        time: Some(Time::seconds(second)),
        last: (count > 1).then(|| Time::seconds(last)),
        kind: "sshd-failed".into(),
        program: "sshd".to_owned(),
        text: "Failed password for root from 198.51.100.7".to_owned(),
        fields: vec!["user=root".to_owned()],
        count,
        evidence: Evidence { path: "/var/log/auth.log".into(), line: Some(1), ..Evidence::default() },
        ..Event::default()
    };
    let found = |events: Vec<Event>| -> Vec<String> {
        let inventory = Inventory { events: std::sync::Arc::new(events), ..Inventory::default() };
        let (scene, policy) = (Scene::default(), Policy::default());
        let judged = judge(&knowledge, &Baselines::default(), &policy, "2026-01-01", &scene, &inventory, &[]);
        judged.findings.into_iter().map(|f| f.rule).filter(|r| r.starts_with("many-")).collect()
    };
    let spread = |step: i64, many: i64| (0..many).map(|n| event(1000 + n * step, 1, 0)).collect::<Vec<_>>();
    assert_eq!(found(spread(15, 5)), ["many-within"], "five in sixty seconds, both ends included");
    assert!(found(spread(16, 5)).is_empty());
    assert_eq!(found(spread(600, 7)), ["many-at-all"]);
    assert!(found(spread(600, 6)).is_empty());
    assert_eq!(found(vec![event(1000, 5, 1030)]), ["many-within"], "one row that stands for five");
    assert!(found(vec![event(1000, 5, 9000)]).is_empty(), "which lie far apart");
    let other = Event { program: "login".into(), ..event(1000, 9, 1001) };
    assert!(found(vec![other]).is_empty());
    for (count, told) in [
        ("[count]\nat-least = 0\n", "at-least"),
        ("[count]\nat-least = 2\nwithin = 5\nof = 'text'\n", "no column `text`"),
    ] {
        plant(at, &[("rules/many.toml", &rule("many-within", count))]);
        let errors = Knowledge::load(&[at.join("rules")]).unwrap_err();
        assert!(errors.len() == 1 && errors[0].what.contains(told) && errors[0].line > 0, "{errors:?}");
    }
}
