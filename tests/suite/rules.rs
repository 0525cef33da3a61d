//! Every rule proves itself, through the real pipeline, on the file trees in its own file.
use cranescope::baseline::Baselines;
use cranescope::extract::examine_text;
use cranescope::judge::{Finding, Knowledge, Policy, Rule, RuleTest, TEST_GROUND, judge};

/// The rules as they lie in the source tree: a rule can be tried without building anew.
fn knowledge() -> Knowledge {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/rules");
    Knowledge::load(&[dir])
        .unwrap_or_else(|errors| panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

fn findings(knowledge: &Knowledge, baselines: &Baselines, tree: &str) -> Vec<Finding> {
    let (scene, inventory, gaps) = examine_text(&format!("{TEST_GROUND}\n{tree}"));
    judge(knowledge, baselines, &Policy::default(), "2026-01-01", &scene, &inventory, &gaps).findings
}

fn flagged(knowledge: &Knowledge, rule: &Rule, test: &RuleTest) -> Vec<String> {
    let baselines = test.given().unwrap_or_else(|e| panic!("{}: {}: {e}", rule.id, test.name));
    findings(knowledge, &baselines, &test.tree).into_iter().filter(|f| f.rule == rule.id).map(|f| f.subject).collect()
}

#[test]
fn rules_flag_what_they_say() {
    let knowledge = knowledge();
    let mut wrong = Vec::new();
    for rule in knowledge.rules() {
        for test in &rule.tests {
            let got = flagged(&knowledge, rule, test);
            if got != test.flags {
                wrong.push(format!("{}: {}: expected {:?}, got {got:?}", rule.id, test.name, test.flags));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_test_each_way_and_is_named_after_its_file() {
    let knowledge = knowledge();
    for rule in knowledge.rules() {
        assert!(rule.tests.iter().any(|t| !t.flags.is_empty()), "{}: no test that flags", rule.id);
        assert!(rule.tests.iter().any(|t| t.flags.is_empty()), "{}: no test that does not", rule.id);
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/rules/{}.toml", rule.id));
        assert!(file.is_file(), "{} is not in {}", rule.id, file.display());
    }
}

#[test]
fn the_ground_alone_raises_nothing() {
    let knowledge = knowledge();
    assert_eq!(findings(&knowledge, &Baselines::default(), ""), []);
}

/// Reports are read by counsel of both sides: observations, no accusations.
#[test]
fn words_are_neutral() {
    let knowledge = knowledge();
    let banned = ["backdoor", "spy", "hidden", "suspicious", "disguise", "tamper", "malicious", "attacker", "implant"];
    for rule in knowledge.rules() {
        let w = &rule.words;
        for text in [&rule.title, &w.observed, &w.supports, &w.does_not_show, &w.ordinary_explanations, &w.check] {
            let text = text.to_lowercase();
            for word in banned {
                assert!(!text.contains(word), "{}: '{word}' in: {text}", rule.id);
            }
        }
        assert!(rule.words.attack.iter().all(|t| t.starts_with('T')), "{}", rule.id);
    }
}
