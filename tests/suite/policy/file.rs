//! The policy file: each fault with its line, the example and the manual with every key.
use cranescope::judge::{Knowledge, Policy, policy_manual};
use std::path::Path;

#[test]
fn each_fault_of_a_policy_is_told_with_its_line() {
    const HEAD: &str = "schema = \"cranescope-policy/1\"\nname = \"n\"\n";
    let entry = |conditions: &str| {
        format!(
            "{HEAD}[listeners]\nundeclared = \"breach\"\n[[listeners.allow]]\n{conditions}\nreason = \"r\"\nowner = \"o\"\n"
        )
    };
    for (text, at, what) in [
        (HEAD.replace("policy/1", "policy/9"), 1, "`schema` is not cranescope-policy/1"),
        ("name = \"n\"\n".to_owned(), 0, "is missing"),
        ("schema = \"cranescope-policy/1\"\n".to_owned(), 0, "`name` is missing"),
        (format!("{HEAD}colour = 1\n"), 3, "no key `colour`"),
        (format!("{HEAD}[listener]\n"), 3, "no key `listener`"),
        (format!("{HEAD}[acceptance]\nmax-severity = \"grave\"\n"), 4, "a severity is one of"),
        (format!("{HEAD}[acceptance]\nmost = \"low\"\n"), 4, "no key `most`"),
        (format!("{HEAD}[listeners]\n"), 3, "`undeclared` is missing"),
        (format!("{HEAD}[listeners]\nundeclared = \"no\"\n"), 4, "must be \"breach\""),
        (format!("{HEAD}[listeners]\nundeclared = \"allow\"\nallowed = 1\n"), 5, "no key `allowed`"),
        (format!("{HEAD}[listeners]\nundeclared = \"allow\"\nallow = 1\n"), 5, "two brackets"),
        (entry("prot = \"tcp\""), 6, "no key `prot`"),
        (entry("port = true"), 6, "port: expected text"),
        (entry("port = { range = \"90-80\" }"), 6, "ends before it begins"),
        (entry("address = { in = \"10.1.2.3/24\" }"), 6, "bits are set behind its prefix"),
        (entry("address = { in = \"10.1.2.0/40\" }"), 6, "longer than 32"),
        (entry("port = { near = 1 }"), 6, "unknown condition"),
        (entry("program = { regex = \"(\" }"), 6, "program: "),
        (entry("# nothing"), 5, "it names no column"),
        (entry("port = 1\nuntil = \"2026-02-30\""), 7, "no day"),
        (entry("port = 1").replace("\"r\"", "\"\""), 7, "`reason` is empty"),
        (entry("port = 1").replace("reason = \"r\"\n", ""), 5, "`reason` is missing"),
        (entry("port = 1").replace("owner = \"o\"", "owner = 5"), 8, "`owner` must be text"),
        (entry("port = 1\nseverity = \"low\""), 7, "no key `severity`"),
        (entry("port = 1 2"), 6, ""),
        (
            format!("{}[[listeners.allow]]\nport = 1\nreason = \"s\"\nowner = \"o\"\n", entry("port = 1")),
            9,
            "means the same as line 5",
        ),
        (
            format!("{}[[listeners.forbid]]\nport = [1, 2]\nreason = \"s\"\nowner = \"o\"\n", entry("port = 1")),
            9,
            "it forbids a listening port that line 5 allows",
        ),
        (
            format!(
                "{HEAD}[modems]\nundeclared = \"breach\"\n[[modems.allow]]\nimei = \"490154203237518\"\nusb = \"2c7c:0125\"\nreason = \"r\"\nowner = \"o\"\n[[modems.forbid]]\nimei = \"490154203237518\"\nreason = \"r\"\nowner = \"o\"\n"
            ),
            10,
            "it forbids a modem link that line 5 allows",
        ),
        (
            format!(
                "{HEAD}[systems]\nundeclared = \"breach\"\n[[systems.allow]]\nversion = {{ at-least = \"13\", below = \"12\" }}\nreason = \"r\"\nowner = \"o\"\n"
            ),
            6,
            "no version is at least 13",
        ),
        (format!("issued = 2026-05-01\n{}", entry("port = 1\nuntil = 2026-04-30")), 6, "before the policy was issued"),
        (format!("{HEAD}[devices]\nundeclared = \"breach\"\n"), 4, "no key `undeclared`"),
    ] {
        let errors = Policy::parse("p.toml", &text).map(|_| panic!("accepted:\n{text}")).unwrap_err();
        let found = errors.iter().any(|e| e.line == at && e.what.contains(what));
        assert!(found, "line {at}, {what}: {errors:?}\n{text}");
    }
    // All at once.
    let many = entry("port = true\nprot = 1\nuntil = \"never\"").replace("\"o\"", "\"\"");
    let errors = Policy::parse("p.toml", &many).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [6, 7, 8, 10], "{errors:?}");
}

#[test]
fn the_example_and_the_manual_hold_every_key() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let example = std::fs::read_to_string(docs.join("policy-example.toml")).unwrap();
    let policy = Policy::load(&docs.join("policy-example.toml")).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(policy.over("2026-02-01").is_empty());
    assert_eq!(policy.over("2027-12-31").len(), 3);
    let sentences = policy.sentences().join("\n");
    assert!(sentences.contains("allows a modem link with apn `telemetry.terminal.example`"), "{sentences}");
    assert!(!sentences.contains("It says nothing of"), "{sentences}");
    let manual = policy_manual(&Knowledge::load(&[]).unwrap());
    let page = docs.join("policy.md");
    if std::env::var_os("CRANESCOPE_WRITE_DOCS").is_some() {
        std::fs::write(&page, &manual).unwrap();
    }
    let there = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(there == manual, "docs/policy.md is not what the program says; CRANESCOPE_WRITE_DOCS=1 writes it");
    // Every section and every column of the manual's tables stands in the example's part of that section.
    let mut sections = 0;
    for part in manual.split("\n### ").skip(1) {
        let name = part.lines().next().unwrap();
        let (before, after) = example.split_once(&format!("\n[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]"));
        let about = before.rsplit("\n\n").next().unwrap();
        let own = format!("{about}\n{}", after.split("\n# ").next().unwrap());
        for column in part.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()) {
            let mut words = own.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(words.any(|w| w == column), "{name}: {column} is not in the example");
        }
        sections += 1;
    }
    assert_eq!(sections, 13);
    for key in ["max-severity", "breach-severity", "undeclared", "severity", "reason", "owner", "until", "by", "issued"]
    {
        assert!(example.lines().any(|l| l.starts_with(&format!("{key} = "))), "{key}");
    }
    for key in ["glob", "regex", "not", "in", "range", "at-least", "below", "more", "less"] {
        assert!(example.contains(&format!("{key} = ")), "{key}");
    }
}
