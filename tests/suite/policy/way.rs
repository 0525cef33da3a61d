//! The way of an analyst on the command line: a draft, filled in, checked, judged by, then one thing less.
use super::{SYSTEM, line, reasons, review};
use crate::common::{plant, report, run};
use cranescope::case::Outcome;
use cranescope::judge::TEST_GROUND;
use std::path::Path;

/// The made system as a folder.
fn folder(at: &Path, tree: &str) {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut links = Vec::new();
    for line in tree.lines() {
        match line.strip_prefix("    ") {
            Some(text) => {
                if let Some(file) = files.last_mut() {
                    file.1.push_str(text);
                    file.1.push('\n');
                }
            }
            None if line.is_empty() => {}
            None if line.contains(" -> ") => links.push(line.split_once(" -> ").unwrap()),
            None => {
                let path = line.split(' ').next().unwrap().to_owned();
                files.retain(|(p, _)| *p != path);
                files.push((path, String::new()));
            }
        }
    }
    let all: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    plant(at, &all);
    for (path, target) in links {
        let path = at.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }
}

#[test]
fn from_a_draft_to_a_verdict() {
    let folder_of = tempfile::tempdir().unwrap();
    let at = folder_of.path();
    folder(&at.join("crane"), &format!("{TEST_GROUND}\n{SYSTEM}"));
    let examine = |extra: &[&str]| {
        let base = ["examine", "crane", "--case", "c.cranecase", "--json", "r.json", "--as-of", "2030-01-01"];
        run(at, &[&base[..], extra].concat())
    };
    let (code, _, err) = examine(&["--quiet"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(report(&at.join("r.json"))["verdict"]["result"], "not-assessed");
    // A draft is not accepted as it stands: the lines say why.
    let (code, _, err) = run(at, &["policy", "draft", "c.cranecase", "-o", "p.toml"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(at, &["policy", "draft", "c.cranecase", "-o", "p.toml"]);
    assert_eq!(code, 2, "nothing is overwritten: {err}");
    let draft = std::fs::read_to_string(at.join("p.toml")).unwrap();
    let empty = line(&draft, "reason = \"\"");
    let (code, _, err) = run(at, &["policy", "check", "p.toml"]);
    assert!(code == 2 && err.contains(&format!("p.toml:{empty}: `reason` is empty")), "{code} {err}");
    let (code, _, err) = examine(&["--policy", "p.toml"]);
    assert!(code == 2 && err.contains("`reason` is empty"), "{code} {err}");
    // Filled in, it is a policy that declares what is there.
    let text =
        draft.replace("reason = \"\"", "reason = \"as delivered\"").replace("owner = \"\"", "owner = \"Terminal IT\"");
    std::fs::write(at.join("p.toml"), &text).unwrap();
    let (code, out, err) = run(at, &["policy", "check", "p.toml"]);
    assert!(code == 0 && out.contains("allows a service with") && out.contains("plc.service"), "{code} {out} {err}");
    let (code, out, err) = examine(&["--policy", "p.toml"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("conformity to the policy Draft from c (p.toml): no-breach"), "{out}");
    let whole = report(&at.join("r.json"));
    let verdict = whole["verdict"].clone();
    assert_eq!(verdict["policy"], "Draft from c");
    assert_eq!(verdict["policy_file"], "p.toml");
    let keys: Vec<&String> = verdict.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["result", "policy", "counts", "reasons", "policy_file", "policy_sha256"]);
    // Judged again without its image: the same in every byte but the run.
    std::fs::rename(at.join("crane"), at.join("away")).unwrap();
    let (code, _, err) = run(at, &["judge", "c.cranecase", "--policy", "p.toml", "--as-of", "2030-01-01"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(at, &["report", "c.cranecase", "--format", "json", "-o", "again.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(report(&at.join("again.json")) == whole, "judge and examine differ");
    // One thing less in the policy: a breach, with its line, in every report. The case keeps the policy's text.
    let plc = text.split("\n\n").filter(|b| !b.contains("plc.service")).collect::<Vec<_>>().join("\n\n");
    std::fs::write(at.join("less.toml"), &plc).unwrap();
    let (code, out, err) = run(at, &["judge", "c.cranecase", "--policy", "less.toml", "--as-of", "2030-01-01"]);
    assert_eq!(code, 0, "{err}");
    let said = line(&plc, "[services]") + 1;
    let sentence = format!("less.toml:{said}: service plc.service systemd is not declared");
    assert!(out.contains(": breach\n") && out.contains(&sentence), "{out}");
    for (format, needle) in [("html", "Breaches, by line"), ("csv", ",breach,"), ("sarif", "\"breach\"")] {
        let (code, out, err) = run(at, &["report", "c.cranecase", "--format", format, "-o", "-"]);
        assert!(code == 0 && out.contains(needle), "{format}: {err}");
        if format == "html" {
            assert!(out.contains(&sentence) && out.contains("<code>max-severity = &quot;low&quot;</code>"), "{out}");
        }
    }
    // A review of a breach is in the verdict's words and changes no result; what a review does is in the log.
    let data = cranescope::session::open_case(&at.join("c.cranecase")).unwrap();
    assert_eq!(data.verdict.assessment.as_ref().unwrap().text, plc);
    let breach = data.findings.iter().find(|f| f.rule == "policy-services").unwrap().id.clone();
    cranescope::session::add_review(&at.join("c.cranecase"), &breach, &review("benign")).unwrap();
    let data = cranescope::session::open_case(&at.join("c.cranecase")).unwrap();
    assert_eq!(data.verdict.result, Outcome::Breach);
    assert!(data.verdict.reasons.iter().any(|r| r.starts_with("1 breach was reviewed")), "{}", reasons(&data));
    // And without a policy, nothing is assessed.
    let (code, out, err) = run(at, &["judge", "c.cranecase", "--as-of", "2030-01-01"]);
    assert!(code == 0 && !out.contains("conformity"), "{out} {err}");
    let (code, _, err) = run(at, &["judge", "c.cranecase", "--policy", "absent.toml"]);
    assert!(code == 2 && err.contains("absent.toml: cannot be read"), "{code} {err}");
}
