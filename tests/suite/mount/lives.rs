//! A mount ends as it should, however its processes end; a worker that dies costs nobody a read.
use super::{Mounting, for_a_while, timed, usable};
use crate::common::{ext4, have, plant};
use crate::look::pattern;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

fn disk(folder: &Path) -> PathBuf {
    plant(&folder.join("root"), &[("/a/small", "small\n")]);
    for number in 0..6 {
        std::fs::write(folder.join(format!("root/a/{number}")), pattern(number, 1 << 20)).unwrap();
    }
    ext4(folder, &folder.join("root"), "disk.img")
}

fn ready() -> bool {
    usable() && have("mke2fs")
}

/// The process that answers the kernel.
fn worker(of: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    let all = children.split_whitespace().filter_map(|c| c.parse().ok());
    let is_worker = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c.split(|b| *b == 0).nth(1) == Some(b"worker"))
    };
    // Threads have children of their own in the list.
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).ok()?;
    let more = tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("children")).ok());
    let more: Vec<u32> =
        more.flat_map(|c| c.split_whitespace().filter_map(|c| c.parse().ok()).collect::<Vec<_>>()).collect();
    all.chain(more).find(is_worker)
}

#[test]
fn signals_unmount_and_open_files_are_no_hindrance() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = disk(folder.path());
    for signal in ["INT", "TERM", "HUP"] {
        let mut mounting = Mounting::start(&image, &[]);
        assert!(mounting.is_mounted());
        let mut open = std::fs::File::open(mounting.at.join("volumes/0/a/0")).unwrap();
        mounting.signal(signal);
        assert_eq!(mounting.wait().and_then(|s| s.code()), Some(0), "{signal}");
        assert!(!mounting.is_mounted(), "{signal}");
        assert!(open.read_to_end(&mut Vec::new()).is_err());
    }
}

#[test]
fn whoever_unmounts_ends_the_process() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut mounting = Mounting::start(&disk(folder.path()), &[]);
    assert!(timed("umount").arg(&mounting.at).status().unwrap().success());
    assert_eq!(mounting.wait().and_then(|s| s.code()), Some(0));
}

#[test]
fn a_killed_parent_leaves_no_mount_and_no_worker() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut mounting = Mounting::start(&disk(folder.path()), &[]);
    let worker = worker(mounting.child.id()).unwrap();
    mounting.signal("KILL");
    assert!(mounting.wait().is_some());
    assert!(for_a_while(|| (!mounting.is_mounted()).then_some(())).is_some(), "still mounted");
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    };
    assert!(for_a_while(gone).is_some(), "the worker lives on");
}

#[test]
fn killed_workers_cost_no_read() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mounting = Mounting::start(&disk(folder.path()), &[]);
    let files = mounting.at.join("volumes/0/a");
    for round in 0..3 {
        std::thread::scope(|scope| {
            // Past the kernel's cache, so that each read asks the worker.
            let readers: Vec<_> = (0..6)
                .map(|number| {
                    let path = files.join(number.to_string());
                    scope.spawn(move || {
                        let out =
                            timed("dd").arg(format!("if={}", path.display())).args(["bs=4k", "iflag=direct"]).output();
                        out.unwrap().stdout == pattern(number, 1 << 20)
                    })
                })
                .collect();
            let pid = for_a_while(|| worker(mounting.child.id())).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5 + round * 20));
            assert!(timed("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
            for reader in readers {
                assert!(reader.join().unwrap(), "round {round}");
            }
        });
    }
    assert_eq!(std::fs::read(files.join("small")).unwrap(), b"small\n");
    assert_eq!(std::fs::read(files.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}
