//! Signatures: made here and read by minisign, made by minisign and read here, and every way in which they are wrong.
use super::{report, shell, system, told};
use crate::common::have;
use std::path::Path;

/// A baseline of a small system, and a pair of keys without a passphrase.
fn ground(dir: &Path) {
    system(&dir.join("root"));
    told(dir, 0, &["baseline", "build", "root", "-o", "golden.baseline", "--by", "A. Analyst", "--reason", "accepted"]);
    told(dir, 0, &["baseline", "new-key", "-o", "ours.key", "--no-passphrase"]);
}

#[test]
fn signed_here_is_verified_by_minisign_and_the_other_way_round() {
    if !have("minisign") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ground(dir);
    told(dir, 0, &["baseline", "sign", "golden.baseline", "--key", "ours.key", "--comment", "crane 7, accepted"]);
    let theirs = shell(dir, "minisign -V -p ours.key.pub -m golden.baseline");
    assert!(theirs.contains("crane 7, accepted"), "{theirs}");
    let (out, _) = told(dir, 0, &["baseline", "verify", "golden.baseline", "--key", "ours.key.pub"]);
    assert!(out.contains("whole; signed by key") && out.contains("crane 7, accepted"), "{out}");

    // Their keys, with and without a passphrase; ours encrypted, read by them.
    std::fs::write(dir.join("phrase"), "open sesame\n").unwrap();
    shell(dir, "minisign -G -W -f -p theirs.pub -s theirs.key");
    shell(dir, "printf 'open sesame\\nopen sesame\\n' | minisign -G -f -p sealed.pub -s sealed.key");
    shell(dir, "minisign -S -s theirs.key -m golden.baseline -t 'by them'");
    let (out, _) =
        told(dir, 0, &["baseline", "verify", "golden.baseline", "--key", "ours.key.pub", "--key", "theirs.pub"]);
    assert!(out.contains("by them"), "{out}");
    // The form before 0.10, over the bytes themselves.
    shell(dir, "minisign -S -l -s theirs.key -m golden.baseline -t 'the old way'");
    let (out, _) = told(dir, 0, &["baseline", "verify", "golden.baseline", "--key", "theirs.pub"]);
    assert!(out.contains("the old way"), "{out}");
    for key in ["theirs.key", "sealed.key"] {
        told(dir, 0, &["baseline", "sign", "golden.baseline", "--key", key, "--passphrase", "phrase"]);
        shell(dir, &format!("minisign -V -q -p {} -m golden.baseline", key.replace("key", "pub")));
    }
    std::fs::write(dir.join("wrong"), "open barley").unwrap();
    let sign = ["baseline", "sign", "golden.baseline", "--key", "sealed.key", "--passphrase", "wrong"];
    let (_, error) = told(dir, 2, &sign);
    assert!(error.contains("sealed.key: Wrong password"), "{error}");
    told(dir, 0, &["baseline", "new-key", "-o", "sealed-ours.key", "--passphrase", "phrase"]);
    shell(dir, "printf 'open sesame\\n' | minisign -S -s sealed-ours.key -m golden.baseline");
    told(dir, 0, &["baseline", "verify", "golden.baseline", "--key", "sealed-ours.key.pub"]);
}

#[test]
fn what_no_given_key_signed_is_marked_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ground(dir);
    let examine = ["root", "--baseline", "golden.baseline"];
    let keyed = ["root", "--baseline", "golden.baseline", "--baseline-key", "ours.key.pub"];
    let used = |arguments: &[&str]| {
        let report = report(dir, arguments);
        (report["run"]["baselines"][0].clone(), report["verdict"]["reasons"].to_string())
    };
    let (unsigned, reasons) = used(&examine);
    assert_eq!(unsigned["trust"]["state"], "unsigned");
    assert_eq!((&unsigned["name"], &unsigned["kind"]), (&"golden".into(), &"known-good".into()));
    assert!(reasons.contains("the baseline golden is unsigned"), "{reasons}");

    told(dir, 0, &["baseline", "sign", "golden.baseline", "--key", "ours.key"]);
    let (unknown, reasons) = used(&examine);
    assert_eq!(unknown["trust"]["state"], "unknown-key");
    assert!(reasons.contains("which was not given with --baseline-key"), "{reasons}");
    let (signed, reasons) = used(&keyed);
    assert_eq!(signed["trust"]["state"], "signed");
    assert!(!reasons.contains("the baseline golden"), "{reasons}");

    // Judged again: the same marks, on the terminal and in the page.
    told(dir, 0, &["examine", "root", "--case", "c.cranecase", "--quiet"]);
    let (_, error) = told(dir, 0, &["judge", "c.cranecase", "--baseline", "golden.baseline"]);
    assert!(error.contains("the baseline golden is signed by key"), "{error}");
    told(dir, 0, &["report", "c.cranecase", "--format", "html", "-o", "c.html"]);
    let page = std::fs::read_to_string(dir.join("c.html")).unwrap();
    assert!(page.contains("the signature was not checked"), "no mark in the page");
    told(dir, 0, &["judge", "c.cranecase"]);
    told(dir, 0, &["report", "c.cranecase", "--format", "html", "-o", "c.html"]);
    assert!(!std::fs::read_to_string(dir.join("c.html")).unwrap().contains("the signature was not checked"));

    // A signature that is none counts as no signature.
    std::fs::write(dir.join("golden.baseline.minisig"), "untrusted comment: x\nnothing\n").unwrap();
    let (broken, reasons) = used(&keyed);
    assert_eq!(broken["trust"]["state"], "broken");
    assert!(reasons.contains("counts as unsigned"), "{reasons}");
    let (out, _) = told(dir, 1, &["baseline", "verify", "golden.baseline", "--key", "ours.key.pub"]);
    assert!(out.contains("cannot be read"), "{out}");
}

#[test]
fn a_changed_byte_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ground(dir);
    told(dir, 0, &["baseline", "sign", "golden.baseline", "--key", "ours.key"]);
    let good = std::fs::read_to_string(dir.join("golden.baseline")).unwrap();
    let examine =
        ["examine", "root", "--quiet", "--baseline", "golden.baseline", "--baseline-key", "ours.key.pub", "--case"];
    let refused = |case: &str| told(dir, 2, &[&examine[..], &[case]].concat()).1;

    // One whose own checksum was made to fit again: only the signature tells.
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap();
    lines[0] = lines[0].replace("accepted", "excepted");
    let body: String = lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
    let mut end: serde_json::Value = serde_json::from_str(&last).unwrap();
    end["sha256"] = cranescope::base::hex(&<sha2::Sha256 as sha2::Digest>::digest(body.as_bytes())).into();
    std::fs::write(dir.join("golden.baseline"), format!("{body}{end}\n")).unwrap();
    let error = refused("a.cranecase");
    assert!(error.starts_with("cranescope: golden.baseline: the signature in golden.baseline.minisig"), "{error}");
    assert!(!dir.join("a.cranecase").exists(), "a case was made all the same");
    let (out, _) = told(dir, 1, &["baseline", "verify", "golden.baseline", "--key", "ours.key.pub"]);
    assert!(out.contains("is not of this content"), "{out}");
    // Without the key it can be used, and says that nothing was checked.
    assert_eq!(
        report(dir, &["root", "--baseline", "golden.baseline"])["run"]["baselines"][0]["trust"]["state"],
        "unknown-key"
    );

    // A comment that was changed is a signature that was changed.
    std::fs::write(dir.join("golden.baseline"), &good).unwrap();
    let signature = std::fs::read_to_string(dir.join("golden.baseline.minisig")).unwrap();
    std::fs::write(dir.join("golden.baseline.minisig"), signature.replace("hashed", "hushed")).unwrap();
    assert!(refused("b.cranecase").contains("is not of this content"));

    for (key, what) in [("golden.baseline", "not a public key"), ("nowhere", "cannot be read")] {
        let (_, error) = told(dir, 2, &["baseline", "verify", "golden.baseline", "--key", key]);
        assert!(error.contains(&format!("{key}: {what}")), "{error}");
    }
}
