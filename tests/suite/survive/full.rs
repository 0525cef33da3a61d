//! A disk that is full, at many sizes: one clear message, exit 4, a case that can be gone on with, and a report that
//! is the old one or a whole new one.
use super::{bytes_but_run, disk, examine, whole};
use crate::common::{cranescope, rounds, run};
use std::path::Path;
use std::process::Command;

/// A file system of so many KiB, unmounted in the end.
struct Small<'a>(&'a Path);
impl Small<'_> {
    fn command(program: &str, arguments: &[&str]) -> bool {
        let done = Command::new("timeout").args(["60", program]).args(arguments).output();
        done.is_ok_and(|d| d.status.success())
    }
    fn mount(at: &Path, kib: u64) -> Option<Small<'_>> {
        let mounted = Self::command("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs", at.to_str()?]);
        mounted.then_some(Small(at))
    }
    fn grow(&self) {
        assert!(Self::command("mount", &["-o", "remount,size=256m", self.0.to_str().unwrap()]));
    }
}
impl Drop for Small<'_> {
    fn drop(&mut self) {
        let at = self.0.to_str().unwrap();
        if !Self::command("umount", &[at]) {
            Self::command("umount", &["-l", at]);
        }
    }
}

fn told_once(kib: u64, code: i32, err: &str) -> bool {
    assert!(code == 0 || code == 4, "{kib} KiB: exit {code}: {err}");
    if code == 4 {
        assert_eq!(err.trim_end().lines().count(), 1, "{kib} KiB: {err}");
        assert!(err.contains("space") || err.contains("r.json") || err.contains("full.cranecase"), "{kib} KiB: {err}");
    }
    code == 4
}

#[test]
fn a_full_disk_leaves_a_case_to_go_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let whole = whole(at);
    let needed = (std::fs::metadata(at.join("whole.cranecase")).unwrap().len() >> 10) * 2
        + (std::fs::metadata(at.join("r.json")).unwrap().len() >> 10);
    let small = at.join("small");
    std::fs::create_dir(&small).unwrap();
    let sizes = u64::from(rounds(6, 50));
    let mut full = 0;
    for n in 1..=sizes {
        let kib = (needed * n / sizes).max(8);
        let Some(disk) = Small::mount(&small, kib) else {
            eprintln!("skipped: no file system can be mounted here; limits of file sizes are tried instead");
            break;
        };
        std::fs::write(small.join("r.json"), "old").unwrap();
        let into = ["--case", "small/full.cranecase", "--json", "small/r.json", "--quiet", "--as-of", "2026-01-01"];
        let arguments = [&["examine", "disk.img"], &into[..]].concat();
        let (code, _, err) = run(at, &arguments);
        if told_once(kib, code, &err) {
            full += 1;
            let report = std::fs::read_to_string(small.join("r.json")).unwrap();
            assert!(report == "old" || bytes_but_run(&small.join("r.json")) == whole, "{kib} KiB: half a report");
        }
        assert!(!small.join("r.json.part").exists(), "{kib} KiB");
        disk.grow();
        let (code, _, err) = run(at, &arguments);
        assert_eq!(code, 0, "{kib} KiB, with room: {err}");
        assert!(bytes_but_run(&small.join("r.json")) == whole, "{kib} KiB: the report differs");
        assert_eq!(run(at, &["verify", "small/full.cranecase"]).0, 0, "{kib} KiB");
    }
    println!("{full} of {sizes} sizes were too small; every case was gone on with");
}

/// Where nobody may mount: files may not grow beyond so many KiB.
#[test]
fn a_limit_of_file_sizes_is_told_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let whole = whole(at);
    let needed = std::fs::metadata(at.join("whole.cranecase")).unwrap().len() >> 10;
    let sizes = u64::from(rounds(3, 50));
    // The last is room enough, and less than a worker would allow itself.
    assert!(needed < 8 << 10, "{needed}");
    for (n, kib) in (0..).zip((0..sizes).map(|n| needed * n / sizes).chain([8 << 10])) {
        let case = format!("{n}-full.cranecase");
        // Blocks of 512 bytes; a process is told by an error, not killed.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
        let out = Command::new("sh")
            .args(["-c", &script])
            .arg(cranescope().get_program())
            .args(["examine", "disk.img", "--case", &case, "--json", "r.json", "--quiet", "--as-of", "2026-01-01"])
            .current_dir(at)
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        let is_full = told_once(kib, out.status.code().unwrap_or(-1), &err);
        assert!(!is_full || kib < 8 << 10, "{err}");
        let (code, _, err) = examine(at, &case);
        assert_eq!(code, 0, "{kib} KiB, without the limit: {err}");
        assert!(bytes_but_run(&at.join("r.json")) == whole, "{kib} KiB: the report differs");
    }
}
