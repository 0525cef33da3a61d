//! Real images from other projects' tests: populated ones, and those that once broke a reader or a repairer.
use super::image::{mount, timed, usable};
use crate::common::have;
use crate::look::{Image, Look, below, check_places, corpus, exercise, unpacked};
use cranescope::image::Source;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = below(dir).into_iter().map(|(_, path)| path).filter(|p| p.is_file()).collect();
    found.sort();
    found
}

#[test]
fn populated_images_hold_what_was_put_into_them() {
    let Some(dir) = corpus() else { return };
    let mut seen = 0;
    // Each is 128 MiB of little content; one in three has every checksum and feature of all.
    for path in files(&dir.join("syzkaller/btrfs")).into_iter().step_by(3) {
        let name = path.display();
        let bytes = Arc::new(unpacked(&path).unwrap());
        let look = Look::at(&(bytes.clone() as Source), "btrfs").unwrap_or_else(|e| panic!("{name}: {e}"));
        seen += 1;
        assert_eq!(look.read("/file0/file0"), b"syzkaller".repeat(200)[..1050], "{name}");
        assert_eq!(look.read("/file2"), vec![0; 9000], "{name}");
        assert_eq!(look.get("/file2").node, look.get("/file3").node, "{name}");
        assert_eq!(look.get("/file1").len(), 10, "{name}");
        assert_eq!(look.read("/file.cold").len(), 100, "{name}");
        let attributes = &look.get("/file1").stat.as_ref().unwrap().xattrs;
        assert_eq!(attributes.iter().filter(|(n, _)| n.bytes().starts_with(b"user.xattr")).count(), 2, "{name}");
        check_places(&look, &bytes);
        look.fs().unallocated();
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:#?}");
    }
    eprintln!("{seen} populated images");
}

/// Images made by `btrfs-image` hold metadata only, and are restored by it; some are many gigabytes long, with holes.
fn restored(path: &Path) -> Option<Image> {
    let image = Image::empty(0);
    let plain = image.folder().join("plain");
    if path.extension().is_some_and(|e| e == "xz") {
        let to = std::fs::File::create(&plain).unwrap();
        timed("xz").args(["-dc"]).arg(path).stdout(to).status().unwrap();
    } else {
        std::fs::copy(path, &plain).unwrap();
    }
    let mut magic = [0; 8];
    let at = std::fs::File::open(&plain).unwrap();
    let is_image = std::os::unix::fs::FileExt::read_exact_at(&at, &mut magic, 65_600).is_ok() && magic == *b"_BHRfS_M";
    if is_image {
        std::fs::rename(&plain, image.path()).unwrap();
        return Some(image);
    }
    let out = timed("btrfs-image").arg("-r").arg(&plain).arg(image.path()).output().unwrap();
    out.status.success().then_some(image)
}

#[test]
fn images_that_broke_others_list_what_the_kernel_lists_or_say_why_not() {
    let Some(dir) = corpus() else { return };
    if !usable() || !have("btrfs-image") || !have("xz") {
        return;
    }
    let (mut seen, mut mounted_too) = (0, 0);
    for path in files(&dir.join("btrfs_progs")) {
        let name = path.display().to_string();
        let Some(image) = restored(&path) else { continue };
        seen += 1;
        let start = Instant::now();
        exercise(&image.source(), "btrfs");
        assert!(start.elapsed() < Duration::from_secs(10), "{name}: {:?}", start.elapsed());
        let look = Look::at(&image.source(), "btrfs");
        let gaps = look.as_ref().map(Look::gaps).unwrap_or_default();
        // A log would be carried out by the kernel on the image; here it is laid over.
        let Some(mounted) = mount(&[&image.path()], image.folder(), "noatime") else { continue };
        mounted_too += 1;
        let look = look.unwrap_or_else(|e| panic!("{name}: {e}"));
        for (path, host) in below(&mounted.at) {
            let listed = look.tree.get(&path);
            assert!(listed.is_some() || !gaps.is_empty(), "{name}: {} is not listed", host.display());
            let Ok(meta) = std::fs::symlink_metadata(&host) else { continue };
            if let Some(stat) = listed.and_then(|e| e.stat.as_ref()).filter(|_| meta.is_file()) {
                assert!(stat.len == meta.len() || !gaps.is_empty(), "{name}: size of {}", host.display());
            }
        }
    }
    eprintln!("{seen} images, {mounted_too} of them mount");
}
