//! The case survives: kills, full disks, two programs at once, a changed log. Each test here has a share in every
//! run; with `CRANESCOPE_LONG` set it goes the whole way and prints its figure.
#![cfg(unix)]
mod columns;
mod full;
mod kills;
mod log;
mod reviews;
mod twice;

use crate::common::{SMALL_SYSTEM, ext4, have, plant, run};
use std::path::Path;
use std::process::Command;

/// The report, byte for byte, without the line that holds the run.
pub(crate) fn bytes_but_run(report: &Path) -> String {
    let text = std::fs::read_to_string(report).unwrap();
    text.lines().filter(|l| !l.starts_with("\"run\":")).collect::<Vec<_>>().join("\n")
}

/// Examines `disk.img` into `case`, with the report `r.json`.
fn examine(at: &Path, case: &str) -> (i32, String, String) {
    run(at, &["examine", "disk.img", "--case", case, "--json", "r.json", "--quiet", "--as-of", "2026-01-01"])
}

/// The report of an examination that nothing disturbs, without its run; the case is `whole.cranecase`.
fn whole(at: &Path) -> String {
    assert_eq!(examine(at, "whole.cranecase").0, 0);
    bytes_but_run(&at.join("r.json"))
}

/// A system with something to read: files, logs, archives, an image within the image.
pub(crate) fn disk(at: &Path) -> bool {
    if !have("mke2fs") {
        return false;
    }
    let root = at.join("root");
    plant(&root, SMALL_SYSTEM);
    let log: String =
        (0..2000).map(|n| format!("Mar  1 10:{:02}:{:02} crane-7 pppd[7]: line {n}\n", n / 60 % 60, n % 60)).collect();
    plant(&root, &[("/var/log/syslog", &log)]);
    for n in 0..400 {
        plant(&root, &[(&format!("/srv/data/{}/{n}.txt", n % 20), &format!("{n}\n").repeat(n * 7 % 900 + 1))]);
    }
    let tar =
        Command::new("tar").args(["-C", root.to_str().unwrap(), "-czf"]).arg(at.join("a.tar.gz")).arg("srv").status();
    if tar.is_ok_and(|s| s.success()) {
        std::fs::rename(at.join("a.tar.gz"), root.join("srv/archive.tar.gz")).unwrap();
    }
    plant(&at.join("inner"), &[("/etc/hostname", "inner\n"), ("/file", "in an image in an image\n")]);
    let inner = ext4(at, &at.join("inner"), "inner.img");
    std::fs::rename(inner, root.join("srv/inner.img")).unwrap();
    let image = ext4(at, &root, "disk.img");
    std::fs::File::options().write(true).open(image).unwrap().set_len(16 << 20).unwrap();
    true
}

/// The same with damage: single bytes in the file system's own structures, and its end cut off.
pub(crate) fn damage(at: &Path) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().read(true).write(true).open(at.join("disk.img")).unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    // The first megabyte holds group descriptors and inode tables.
    for _ in 0..400 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_at(&state.to_le_bytes()[..1], 8192 + state % (1 << 20)).unwrap();
    }
    file.set_len((16 << 20) - (1 << 16)).unwrap();
}
