//! Lists as the real tools write them, made into sets, and files held against these.
use super::{report, shell, system, told};
use crate::common::have;
use std::path::Path;

/// Finding ids and subjects of a rule.
fn subjects(report: &serde_json::Value, rule: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|f| f["rule"] == rule).map(|f| f["subject"].as_str().unwrap().to_owned()).collect()
}

/// Writes a list by a tool, makes a known-bad set of it, and examines a system that has one of its contents.
fn finds(dir: &Path, tool: &str, command: &str, format: &str) {
    if !have(tool) {
        return;
    }
    let name = format!("{format}-{}", tool.replace('/', "-"));
    shell(dir, command);
    let set = format!("{name}.set");
    let (out, _) = told(dir, 0, &["baseline", "import", "list", "-o", &set, "--kind", "known-bad"]);
    assert!(out.contains(&format!("({format})")), "{tool}: {out}");
    let (shown, _) = told(dir, 0, &["baseline", "show", &set]);
    assert!(shown.contains("kind       known-bad") && shown.contains("signature  unsigned"), "{shown}");
    let found = report(dir, &["root", "--baseline", &set]);
    assert_eq!(subjects(&found, "content-known-bad"), ["/usr/bin/two"], "{tool}: {out}");
    let finding = found["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "content-known-bad").unwrap();
    assert_eq!((&finding["severity"], &finding["category"]), (&"high".into(), &"integrity".into()));
    assert!(finding["observed"].as_str().unwrap().contains(&format!("the known-bad set {name}.")), "{finding}");
}

#[test]
fn lists_of_real_tools_become_sets() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    system(&dir.join("root"));
    // Another folder has one content of the system, and others.
    crate::common::plant(
        &dir.join("bad"),
        &[("/x/copy, of \"two\"", "#!/bin/sh\necho two\n"), ("/y", "something else\n"), ("/z", "")],
    );
    finds(dir, "sha256sum", "find bad -type f -exec sha256sum {} + > list", "sums");
    finds(dir, "cksum", "find bad -type f -exec sha256sum --tag {} + > list", "sums");
    finds(dir, "hashdeep", "hashdeep -r -c md5,sha256 bad > list", "hashdeep");
    finds(dir, "mtree", "mtree -c -K sha256 -p bad > list", "mtree");
    std::fs::write(
        dir.join("aide.conf"),
        format!("database_out=file:{0}/list\ngzip_dbout=no\n{0}/bad p+u+g+s+sha256\n", dir.display()),
    )
    .unwrap();
    finds(dir, "aide", "rm -f list; aide --init -c aide.conf", "aide");
    let packed = "rm -f list; sed -i s/gzip_dbout=no/gzip_dbout=yes/ aide.conf; aide --init -c aide.conf";
    finds(dir, "/usr/bin/aide", packed, "aide");
}

#[test]
fn a_set_that_cannot_be_asked_says_so_and_a_list_that_is_wrong_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    system(&dir.join("root"));
    shell(dir, "md5sum root/usr/bin/* > md5 && sha256sum root/usr/bin/* > sha256");
    let (_, error) = told(dir, 0, &["baseline", "import", "md5", "-o", "md5.set", "--kind", "known-bad"]);
    assert!(error.contains("no entry has a SHA-256"), "{error}");
    let reasons = report(dir, &["root", "--baseline", "md5.set"])["verdict"]["reasons"].to_string();
    assert!(reasons.contains("the baseline md5 knows 2 contents by MD5 alone"), "{reasons}");

    // Known to be good: told, and never a reason to lower.
    told(dir, 0, &["baseline", "import", "sha256", "-o", "good.set", "--origin", "approved"]);
    assert!(subjects(&report(dir, &["root", "--baseline", "good.set"]), "content-known-bad").is_empty());

    shell(dir, "(cat sha256; echo nonsense) > wrong");
    let (_, error) = told(dir, 2, &["baseline", "import", "wrong", "-o", "wrong.set"]);
    assert!(error.starts_with("cranescope: wrong:3: expected a SHA-256"), "{error}");
    told(dir, 2, &["baseline", "import", "sha256", "--from", "nsrl", "-o", "wrong.set"]);
    let (_, error) = told(dir, 2, &["baseline", "import", "sha256", "--from", "nothing", "-o", "wrong.set"]);
    assert!(error.contains("no format nothing; there are: nsrl, hashdeep"), "{error}");
    let left: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|f| f.contains("wrong.set")), "{left:?}");

    // A byte of a set.
    let mut bytes = std::fs::read(dir.join("good.set")).unwrap();
    bytes[20] ^= 1;
    std::fs::write(dir.join("good.set"), bytes).unwrap();
    let (_, error) = told(dir, 2, &["examine", "root", "--quiet", "--case", "x.cranecase", "--baseline", "good.set"]);
    assert!(error.starts_with("cranescope: good.set: ") && error.contains("changed"), "{error}");
}

/// Ten million hashes: what making a set costs and what a question costs, for benches/README.md.
#[test]
#[ignore = "a measurement: writes 1.1 GB and takes minutes"]
fn ten_million_hashes_are_imported_and_asked() {
    use cranescope::base::Digest;
    use cranescope::baseline::{Keys, Set};
    use sha2::Digest as _;
    use std::io::Write as _;
    const MANY: u64 = 10_000_000;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let value = |n: u64| Digest(sha2::Sha256::digest(n.to_le_bytes()).into());
    let mut list = std::io::BufWriter::new(std::fs::File::create(dir.join("list")).unwrap());
    for n in 0..MANY {
        writeln!(list, "{}  file-{n}", value(n)).unwrap();
    }
    drop(list);
    let started = std::time::Instant::now();
    let mut import = crate::common::cranescope()
        .args(["baseline", "import", "list", "-o", "ten.set"])
        .current_dir(dir)
        .spawn()
        .unwrap();
    let mut most = 0;
    let status = loop {
        let told = std::fs::read_to_string(format!("/proc/{}/status", import.id())).unwrap_or_default();
        let anonymous = told.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap_or_default();
        most = most.max(anonymous.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0));
        if let Some(status) = import.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(status.success());
    let imported = started.elapsed();
    let size = std::fs::metadata(dir.join("ten.set")).unwrap().len();
    let started = std::time::Instant::now();
    let set = Set::load(&dir.join("ten.set"), &Keys::default()).unwrap();
    let opened = started.elapsed();
    let started = std::time::Instant::now();
    let step = 97;
    let asked = (0..2 * MANY).step_by(step).map(|n| (n < MANY) == set.holds_content(&value(n)));
    assert!(asked.into_iter().all(|right| right));
    let each = started.elapsed() / u32::try_from(2 * MANY / step as u64).unwrap();
    println!("import {imported:?}, {most} KiB anonymous, {size} bytes; open {opened:?}; a question {each:?}");
    assert!(most < 300 << 10 && size < MANY * 33 && each.as_micros() < 200);
}
