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
    assert!(
        finding["observed"].as_str().unwrap().contains(&format!("the known-bad set {name} (by SHA-256).")),
        "{finding}"
    );
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
    // A case that was made without it has no MD5, and says so.
    told(dir, 0, &["examine", "root", "--quiet", "--case", "plain.cranecase", "--as-of", "2026-01-01"]);
    let judged = ["judge", "plain.cranecase", "--baseline", "md5.set", "--as-of", "2026-01-01"];
    told(dir, 0, &judged);
    told(dir, 0, &["report", "plain.cranecase", "--format", "json", "-o", "plain.json"]);
    let plain: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("plain.json")).unwrap()).unwrap();
    let reasons = plain["verdict"]["reasons"].to_string();
    assert!(reasons.contains("knows 2 contents by MD5 alone, and the files of this case have no MD5"), "{reasons}");
    assert!(subjects(&plain, "content-known-bad").is_empty());
    assert!(plain["inventory"]["files"].as_array().unwrap().iter().all(|f| f["md5"] == "" && f["sha1"] == ""));
    // Examined again with it, it stays one kind of case.
    told(
        dir,
        0,
        &["examine", "root", "--quiet", "--case", "plain.cranecase", "--as-of", "2026-01-01", "--baseline", "md5.set"],
    );
    let (listed, _) =
        told(dir, 0, &["list", "files", "plain.cranecase", "--where", "path=/usr/bin/two", "--format", "json"]);
    assert!(listed.contains("\"md5\": \"\"") || listed.contains("\"md5\":\"\""), "{listed}");

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

/// Lists without a SHA-256: the examination makes what they know contents by, and says by what it found them.
#[test]
fn contents_known_by_sha1_or_md5_alone_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    system(&dir.join("root"));
    // Several pieces long, and one that a package manifest may have no part in.
    let long: Vec<u8> = (0..5_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    std::fs::create_dir_all(dir.join("root/opt")).unwrap();
    std::fs::write(dir.join("root/opt/long"), &long).unwrap();
    std::fs::write(dir.join("root/opt/empty"), "").unwrap();
    let tool = |name: &str, path: &str| {
        let out = std::process::Command::new(name).arg(dir.join("root").join(path)).output().unwrap();
        String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    for (command, word, column, other) in [("md5sum", "MD5", "md5", "sha1"), ("sha1sum", "SHA-1", "sha1", "md5")] {
        shell(dir, &format!("{command} root/usr/bin/two root/opt/* > list"));
        told(dir, 0, &["baseline", "import", "list", "-o", "bad.set", "--kind", "known-bad"]);
        told(dir, 0, &["baseline", "import", "list", "-o", "good.set"]);
        let found = report(dir, &["root", "--baseline", "bad.set", "--baseline", "good.set"]);
        assert_eq!(subjects(&found, "content-known-bad"), ["/opt/long", "/usr/bin/two"], "{word}");
        let all = found["findings"].as_array().unwrap();
        let finding = all.iter().find(|f| f["rule"] == "content-known-bad" && f["subject"] == "/opt/long").unwrap();
        let (observed, value) = (finding["observed"].as_str().unwrap(), tool(command, "opt/long"));
        assert!(observed.contains(&format!("{word} {value}")), "{observed}");
        assert!(observed.contains(&format!("the known-bad set bad (by {word}).")), "{observed}");
        assert!(finding["check"].as_str().unwrap().contains(command), "{finding}");
        assert_eq!(finding["baseline"]["verdict"], "known", "{finding}");
        assert_eq!(finding["baseline"]["by"], format!("good (the content, by {word})"), "{finding}");
        // Every hashed file has it, and what was not asked for is not made.
        let files = found["inventory"]["files"].as_array().unwrap();
        for f in files.iter().filter(|f| f["kind"] == "file") {
            let path = f["path"].as_str().unwrap().trim_start_matches('/');
            assert_eq!(f[column].as_str().unwrap(), tool(command, path), "{path}");
            assert_eq!(f[other], "", "{path}");
        }
        let reasons = found["verdict"]["reasons"].to_string();
        assert!(!reasons.contains("alone"), "{reasons}");
        // The images of a check are examined for this set as well.
        let (_, error) = told(dir, 1, &["baseline", "check", "root", "--baseline", "good.set"]);
        assert!(!error.contains("alone"), "{error}");
        let (_, error) = told(dir, 1, &["baseline", "check", "root", "--baseline", "good.set", "--format", "json"]);
        assert!(!error.contains("alone"), "{error}");
    }
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
    let asked = (0..2 * MANY).step_by(step).map(|n| (n < MANY) == set.holds_content(&value(n).into()).is_some());
    assert!(asked.into_iter().all(|right| right));
    let each = started.elapsed() / u32::try_from(2 * MANY / step as u64).unwrap();
    println!("import {imported:?}, {most} KiB anonymous, {size} bytes; open {opened:?}; a question {each:?}");
    assert!(most < 300 << 10 && size < MANY * 33 && each.as_micros() < 200);
}
