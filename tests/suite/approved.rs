//! Projects of controllers against the archive that was approved: by what differs between the two, and by a baseline.
use crate::common::{have, plant, run};
use std::path::Path;

const PROJECT: &str =
    "<?xml version=\"1.0\"?>\n<RSLogix5000Content SoftwareRevision=\"32.00\">\n<Controller Name=\"HOIST\"/>\n";
const PANEL: &str = "<?xml version=\"1.0\"?>\n<TcSmProject TcSmVersion=\"1.0\">\n</TcSmProject>\n";

fn output(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, error) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {error}");
    out
}

#[test]
fn a_project_is_compared_with_the_approved_archive() {
    if !have("zip") {
        println!("skipped: there is no zip");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    plant(&at("approved"), &[("/hoist/main.L5X", PROJECT), ("/panel/panel.tsproj", PANEL)]);
    let packed = std::process::Command::new("timeout")
        .args(["60", "zip", "-q", "-r", "../approved.zip", "."])
        .current_dir(at("approved"))
        .status();
    assert!(packed.unwrap().success());
    // As delivered: one project is as approved, one has another controller in it, one was never approved.
    let changed = PROJECT.replace("HOIST", "HOISU");
    plant(
        &at("delivered"),
        &[("/hoist/main.L5X", &changed), ("/panel/panel.tsproj", PANEL), ("/hoist/extra.L5X", PROJECT)],
    );
    let differences = output(dir.path(), &["compare", "approved.zip", "delivered"]);
    let rows: Vec<&str> = differences.lines().filter(|l| l.starts_with("  ") && !l.starts_with("      ")).collect();
    assert!(rows.iter().any(|r| r.starts_with("  ~ /hoist/main.L5X")), "{differences}");
    assert!(rows.iter().any(|r| r.starts_with("  + /hoist/extra.L5X")), "{differences}");
    assert!(!differences.contains("panel.tsproj"), "{differences}");
    assert!(differences.lines().any(|l| l.starts_with("      sha256: ")), "{differences}");

    // The same by a baseline: of the approved archive itself nothing is unknown.
    output(dir.path(), &["baseline", "build", "approved.zip", "-o", "approved.baseline", "--origin", "approved"]);
    let same = output(dir.path(), &["compare", "approved.zip", "approved"]);
    let files = same.lines().skip_while(|l| *l != "files").take_while(|l| *l == "files" || l.starts_with("  "));
    assert!(files.filter(|l| l.starts_with("  ")).all(|l| !l.contains(".L5X") && !l.contains(".tsproj")), "{same}");
    let arguments = ["examine", "delivered", "--case", "x.cranecase", "--baseline", "approved.baseline", "--json", "-"];
    let report: serde_json::Value =
        serde_json::from_str(&output(dir.path(), &[&arguments[..], &["--quiet"]].concat())).unwrap();
    assert_eq!(report["schema"], "cranescope-report/1");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("/hoist/main.L5X") && gaps.contains("Rockwell Logix project"), "{gaps}");
}
