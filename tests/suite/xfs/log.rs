//! The log: an image is copied while it is mounted, read here with the log carried out in memory, and compared with
//! what the kernel shows after its own recovery of that copy.
use super::image::{compare, make, mount, usable, write};
use crate::look::{Image, Look, pattern};
use cranescope::fs::Options;
use cranescope::image::Source;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

fn synced(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn before(root: &Path) {
    std::fs::create_dir_all(root.join("dir/below")).unwrap();
    for n in 0..60 {
        std::fs::write(root.join(format!("dir/a-file-with-a-name-{n:03}")), pattern(n, 9000)).unwrap();
    }
    std::fs::write(root.join("grown"), pattern(1, 10_000)).unwrap();
    std::fs::write(root.join("cut"), pattern(2, 200_000)).unwrap();
}

fn after(root: &Path) {
    let dir = root.join("dir");
    for n in 0..40 {
        std::fs::write(dir.join(format!("below/new-{n}")), pattern(100 + n, 5000)).unwrap();
        synced(&dir.join(format!("below/new-{n}")));
    }
    let open = |name: &str| OpenOptions::new().write(true).open(root.join(name)).unwrap();
    let grown = open("grown");
    // Every second block, so that the extents need a tree.
    for n in 0..60_u64 {
        grown.write_all_at(&pattern(n, 4096), n * 8192 + 16_384).unwrap();
        grown.sync_data().unwrap();
    }
    for n in 0..30 {
        let name = format!("user.attribute-{n}");
        rustix::fs::lsetxattr(root.join("grown"), name, &pattern(n, 60), rustix::fs::XattrFlags::empty()).unwrap();
    }
    grown.sync_all().unwrap();
    let cut = open("cut");
    cut.set_len(50_001).unwrap();
    cut.sync_all().unwrap();
    std::fs::rename(dir.join("a-file-with-a-name-001"), dir.join("renamed")).unwrap();
    std::fs::hard_link(dir.join("a-file-with-a-name-002"), dir.join("below/linked")).unwrap();
    std::fs::remove_file(dir.join("a-file-with-a-name-003")).unwrap();
    std::os::unix::fs::symlink("../target", dir.join("link")).unwrap();
    std::os::unix::fs::symlink("x".repeat(700), dir.join("long-link")).unwrap();
    std::fs::create_dir(dir.join("made")).unwrap();
    for n in 0..70 {
        std::fs::write(dir.join(format!("made/a-file-in-the-new-directory-{n}")), pattern(n, 10)).unwrap();
    }
    synced(&dir.join("made/a-file-in-the-new-directory-3"));
    synced(&dir);
}

/// An image as it lay on the disk in the middle of the work.
fn dirty(options: &[&str]) -> Option<Image> {
    let image = make(options, 96);
    if !write(&image, before) {
        return None;
    }
    let mounted = mount(&image, "loop,noatime")?;
    after(&mounted.at);
    Some(Image::from_bytes(&image.bytes()))
}

#[test]
fn a_log_is_replayed_as_the_kernel_does() {
    if !usable() {
        return;
    }
    for options in [&[][..], &["-l", "su=32768", "-i", "size=1024", "-n", "size=8192"]] {
        let Some(image) = dirty(options) else { return };
        let look = image.look("xfs");
        assert!(!look.fs().info().clean);
        let gaps: Vec<_> = look.gaps().into_iter().filter(|g| !g.what.contains("a mount would finish")).collect();
        assert!(gaps.is_empty(), "{options:?}: {gaps:#?}");
        let without =
            Look::with(&image.source(), "xfs", &Options { replay_journal: false, ..Options::default() }).unwrap();
        assert!(without.gaps().iter().any(|g| g.what.contains("left out as asked")));
        assert!(without.tree.get(b"/dir/below/new-7").is_none());
        assert!(look.read("/dir/below/new-7") == pattern(107, 5000));
        let mounted = mount(&image, "loop,noatime").unwrap();
        assert!(compare(&look, &mounted.at) > 150);
        drop(mounted);
        assert!(image.look("xfs").fs().info().clean);
    }
}

#[test]
fn a_log_that_is_damaged_is_replayed_up_to_there_and_said() {
    if !usable() {
        return;
    }
    let Some(image) = dirty(&[]) else { return };
    let whole = image.bytes();
    let field = |at: usize| u64::from_be_bytes(whole[at..at + 8].try_into().unwrap());
    let word = |at: usize| u64::from(u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()));
    let bits = u32::from(whole[124]);
    let (group, inside) = (field(48) >> bits, field(48) & ((1 << bits) - 1));
    let start = usize::try_from((group * word(84) + inside) * 4096).unwrap();
    let end = start + usize::try_from(word(96) * 4096).unwrap();
    let records: Vec<usize> =
        (start..end).step_by(512).filter(|at| whole[*at..at + 4] == [0xfe, 0xed, 0xba, 0xbe]).collect();
    let number = |at: usize| u64::from_be_bytes(whole[at + 16..at + 24].try_into().unwrap());
    let mut order = records.clone();
    order.sort_by_key(|at| number(*at));
    assert!(order.len() > 5, "{order:?}");
    // One before the newest: what stands behind it is not replayed. The newest: it alone is not.
    for (at, place) in [(order[order.len() - 2], 700), (order[order.len() - 2], 13), (order[order.len() - 1], 700)] {
        let mut bytes = whole.clone();
        bytes[at + place] ^= 0x41;
        let look = Look::at(&(Arc::new(bytes) as Source), "xfs").unwrap();
        assert!(look.tree.get(b"/dir/a-file-with-a-name-005").is_some());
        let gaps = look.gaps();
        assert!(gaps.iter().any(|g| g.what.contains("the log was replayed up to")), "{at} {place}: {gaps:#?}");
    }
}
