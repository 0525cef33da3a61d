//! Workers die; the examination does not. The report is the same as if nothing had happened.
#![cfg(unix)]
use crate::common::{SMALL_SYSTEM, ext4, have, newc, plant};
use cranescope::session::{Plan, Watch, examine};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A worker program that is killed `delay` seconds after its start, the first `times` times.
fn mortal(folder: &Path, times: u32, delay: &str) -> std::path::PathBuf {
    let script = folder.join(format!("worker-{times}-{delay}"));
    let text = format!(
        "#!/bin/bash\ncount={counter}\nn=$(cat $count 2>/dev/null || echo 0)\necho $((n+1)) >$count\n\
         if [ $n -ge {times} ]; then exec {bin} worker; fi\n{bin} worker <&0 & pid=$!\n/bin/sleep {delay}\nkill -9 $pid\nwait $pid\nexit 1\n",
        counter = script.with_extension("count").display(),
        bin = env!("CARGO_BIN_EXE_cranescope"),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn plan(folder: &Path, worker: &Path, case: &str) -> Plan {
    Plan {
        images: vec![folder.join("disk.img")],
        case: Some(folder.join(case)),
        worker: Some(worker.to_owned()),
        as_of: Some("2026-01-01".into()),
        ..Plan::default()
    }
}

#[test]
fn killed_workers_cost_nothing() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), SMALL_SYSTEM);
    // Its members have rows in a file system that each life finds a little later than the disk's.
    plant(&at.join("root"), &[("/boot/initrd.img-6.1.0", &newc(&[("init", "#!/bin/sh\n")]))]);
    ext4(at, &at.join("root"), "disk.img");
    let whole =
        examine(&plan(at, Path::new(env!("CARGO_BIN_EXE_cranescope")), "whole.cranecase"), &Watch::unattended());
    let whole = whole.unwrap().data;
    assert!(!whole.findings.is_empty());
    assert_eq!(whole.scene.filesystems.len(), 2);
    for (n, delay) in ["0", "0.01", "0.03", "0.06", "0.1"].into_iter().enumerate() {
        let worker = mortal(at, 3, delay);
        let data = examine(&plan(at, &worker, &format!("{n}.cranecase")), &Watch::unattended()).unwrap().data;
        assert_eq!(data.findings, whole.findings, "killed after {delay} s");
        assert_eq!(data.inventory, whole.inventory, "killed after {delay} s");
        assert_eq!(data.gaps, whole.gaps, "killed after {delay} s");
    }
}

#[test]
fn a_worker_that_never_works_ends_in_a_gap_and_not_in_a_loop() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), SMALL_SYSTEM);
    ext4(at, &at.join("root"), "disk.img");
    let failure = examine(&plan(at, Path::new("/bin/false"), "x.cranecase"), &Watch::unattended()).unwrap_err();
    assert_eq!(failure.code, 3, "{failure}");
    let case = cranescope::session::open_case(&at.join("x.cranecase")).unwrap();
    assert!(case.gaps.iter().any(|g| g.what.contains("worker died")), "{:?}", case.gaps);
}
