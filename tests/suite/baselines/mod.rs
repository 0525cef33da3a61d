//! Where baselines come from and what their word is worth: signatures, sets of hashes, lists of other tools, packages.
mod lists;
mod packages;
mod signed;

use crate::common::{cranescope, plant};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it and asserts its exit code; standard output and standard error.
pub(super) fn told(folder: &Path, code: i32, arguments: &[&str]) -> (String, String) {
    let (found, out, error) = crate::common::run(folder, arguments);
    assert_eq!(found, code, "{arguments:?}: {out}{error}");
    (out, error)
}

/// A shell command that must succeed; its standard output.
pub(super) fn shell(folder: &Path, command: &str) -> String {
    let mut run = Command::new("timeout");
    let output = run.args(["60", "sh", "-c", command]).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A small system.
pub(super) fn system(root: &Path) {
    plant(
        root,
        &[
            ("/etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("/usr/bin/one", "#!/bin/sh\necho one\n"),
            ("/usr/bin/two", "#!/bin/sh\necho two\n"),
        ],
    );
}

/// The report of an examination.
pub(super) fn report(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let case = tempfile::tempdir_in(folder).unwrap();
    let case = case.path().join("x.cranecase");
    let output = cranescope()
        .arg("examine")
        .args(arguments)
        .args(["--quiet", "--json", "-", "--case"])
        .arg(case)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
