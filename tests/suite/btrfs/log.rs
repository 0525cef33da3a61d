//! The log of what was synchronised: an image is copied while it is mounted, read here with the log laid over, and
//! compared with what the kernel shows after its own replay on that copy.
use super::image::{Exact, compare, make, mount, timed, usable};
use crate::look::{Image, Look, pattern};
use cranescope::fs::Options;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

fn synced(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}
fn open(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

fn before(root: &Path) {
    std::fs::create_dir_all(root.join("dir/below")).unwrap();
    for n in 0..30 {
        std::fs::write(root.join(format!("dir/file-{n}")), pattern(n, 20_000)).unwrap();
    }
    std::fs::write(root.join("grown"), pattern(1, 10_000)).unwrap();
    std::fs::write(root.join("cut"), pattern(2, 200_000)).unwrap();
    std::fs::write(root.join("holed"), pattern(3, 200_000)).unwrap();
    std::fs::write(root.join("over"), pattern(4, 200_000)).unwrap();
    for (name, value) in [("user.kept", b"1"), ("user.gone", b"2")] {
        rustix::fs::lsetxattr(root.join("grown"), name, value, rustix::fs::XattrFlags::empty()).unwrap();
    }
}

fn after(root: &Path) {
    let dir = root.join("dir");
    // New, grown, cut, holed, overwritten, reserved.
    std::fs::write(dir.join("new"), pattern(50, 70_000)).unwrap();
    synced(&dir.join("new"));
    std::fs::write(dir.join("small"), b"inline").unwrap();
    synced(&dir.join("small"));
    let grown = open(&root.join("grown"));
    grown.write_all_at(&pattern(51, 9000), 300_000).unwrap();
    rustix::fs::removexattr(root.join("grown"), "user.gone").unwrap();
    rustix::fs::lsetxattr(root.join("grown"), "user.new", b"3", rustix::fs::XattrFlags::empty()).unwrap();
    grown.sync_all().unwrap();
    let cut = open(&root.join("cut"));
    cut.set_len(50_001).unwrap();
    cut.sync_all().unwrap();
    let holed = open(&root.join("holed"));
    let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&holed, punch, 40_960, 81_920).unwrap();
    holed.sync_all().unwrap();
    let over = open(&root.join("over"));
    over.write_all_at(&pattern(52, 12_288), 45_056).unwrap();
    rustix::fs::fallocate(&over, rustix::fs::FallocateFlags::KEEP_SIZE, 400_000, 100_000).unwrap();
    over.sync_all().unwrap();
    // Names: renamed, linked, removed, with a directory synchronised.
    std::fs::rename(dir.join("file-1"), dir.join("renamed")).unwrap();
    synced(&dir.join("renamed"));
    std::fs::hard_link(dir.join("file-2"), dir.join("below/linked")).unwrap();
    synced(&dir.join("below/linked"));
    std::fs::remove_file(dir.join("file-3")).unwrap();
    std::fs::remove_file(dir.join("file-4")).unwrap();
    std::os::unix::fs::symlink("../target", dir.join("link")).unwrap();
    std::fs::create_dir(dir.join("made")).unwrap();
    std::fs::write(dir.join("made/inside"), pattern(53, 5000)).unwrap();
    synced(&dir.join("made/inside"));
    synced(&dir);
    // What was not synchronised is not there.
    std::fs::write(root.join("unsaid"), b"lost").unwrap();
}

/// An image as it lay on the disk in the middle of the work.
fn dirty(options: &[&str], first: impl FnOnce(&Path), then: impl FnOnce(&Path)) -> Option<Image> {
    let image = make(options, 160);
    let mounted = mount(&[&image.path()], image.folder(), "noatime,commit=300")?;
    first(&mounted.at);
    assert!(timed("btrfs").args(["filesystem", "sync"]).arg(&mounted.at).output().unwrap().status.success());
    then(&mounted.at);
    let copy = Image::from_bytes(&image.bytes());
    drop(mounted);
    Some(copy)
}

#[test]
fn a_log_is_replayed_as_the_kernel_does() {
    if !usable() {
        return;
    }
    for options in [&[][..], &["-O", "^no-holes", "-n", "4096"]] {
        let Some(image) = dirty(options, before, after) else { return };
        let look = image.look("btrfs");
        assert!(!look.fs().info().clean);
        let without =
            Look::with(&image.source(), "btrfs", &Options { replay_journal: false, ..Options::default() }).unwrap();
        assert!(without.tree.get(b"/dir/new").is_none() && without.tree.get(b"/dir/file-3").is_some());
        assert!(without.gaps().iter().any(|g| g.what.contains("left out as asked")));
        assert!(look.read("/dir/new") == pattern(50, 70_000));
        assert!(look.tree.get(b"/dir/file-3").is_none() && look.tree.get(b"/unsaid").is_none());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{gaps:#?}");
        let Some(mounted) = mount(&[&image.path()], image.folder(), "noatime") else { return };
        compare(&look, &mounted.at, Exact::ButTimesOfDirectories);
    }
}

#[test]
fn a_log_that_is_damaged_is_said() {
    if !usable() {
        return;
    }
    let Some(image) = dirty(&["-m", "single"], before, after) else { return };
    let whole = image.bytes();
    let sb = &whole[65_536..69_632];
    let log = u64::from_le_bytes(sb[0x60..0x68].try_into().unwrap());
    let mut bytes = whole.clone();
    // The tree of logs, wherever it lies: by the place that it says itself.
    let at =
        (0..whole.len()).step_by(4096).find(|at| *at > 69_632 && whole[at + 48..at + 56] == log.to_le_bytes()).unwrap();
    bytes[at..at + 4096].fill(0);
    let look = Image::from_bytes(&bytes).look("btrfs");
    assert!(look.tree.get(b"/dir/new").is_none());
    assert!(look.read("/dir/file-5") == pattern(5, 20_000));
    let gaps = look.gaps();
    assert!(gaps.iter().any(|g| g.what.contains("list of logs is damaged")), "{gaps:#?}");
}
