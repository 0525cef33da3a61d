//! Several devices, all profiles, and what is left where devices are missing: through the whole frame, which puts
//! them together.
use super::image::{Exact, compare, mount, run, timed, usable};
use crate::look::{Image, Look, pattern};
use cranescope::base::{FsId, Gap, Gaps, Progress};
use cranescope::evidence::Tree;
use cranescope::extract::{Input, Request, Sink, index};
use cranescope::image::{OpenFile, Segment};
use cranescope::inventory::{Row, Scene};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Keeps gaps and the last scene.
#[derive(Default)]
struct Kept(Mutex<(Vec<Gap>, Scene)>);
impl Sink for Kept {
    fn enter(&self, _: u64, _: &str) -> bool {
        true
    }
    fn is_done(&self, _: u64) -> bool {
        false
    }
    fn stage(&self, _: cranescope::base::Stage, _: u64) {}
    fn scene(&self, scene: &Scene) {
        self.0.lock().unwrap().1 = scene.clone();
    }
    fn commit(&self, _: &[u64], _: Vec<Row>, gaps: Vec<Gap>) {
        self.0.lock().unwrap().0.extend(gaps);
    }
}

struct Found {
    looks: Vec<Look>,
    gaps: Vec<Gap>,
    scene: Scene,
}
impl Found {
    fn says(&self, what: &str) -> bool {
        self.gaps.iter().any(|g| g.what.contains(what))
    }
}

fn examine(images: &[&Path]) -> Found {
    let inputs = images.iter().map(|path| {
        let file = std::fs::File::open(path).unwrap();
        let len = file.metadata().unwrap().len();
        let name = path.display().to_string();
        let source = Arc::new(OpenFile::new(file, name.clone(), len));
        Input { name: name.clone(), segments: vec![Segment { source, name }], folder: None }
    });
    let kept = Kept::default();
    let indexed = index(inputs.collect(), &Request::default(), &kept, &Progress::default()).unwrap();
    let (gaps, scene) = kept.0.into_inner().unwrap();
    let looks = indexed.layout.filesystems.iter().map(|fs| {
        let gaps = Gaps::default();
        Look { tree: Tree::index(fs.clone(), FsId(0), &gaps, &Progress::default()).unwrap(), gaps }
    });
    Found { looks: looks.collect(), gaps, scene }
}

fn make(count: usize, mib: u64, options: &[&str]) -> Vec<Image> {
    let images: Vec<Image> = (0..count).map(|_| Image::empty(mib)).collect();
    run(timed("mkfs.btrfs").args(["-q", "-f"]).args(options).args(images.iter().map(Image::path)));
    images
}
fn fill(root: &Path) {
    for n in 0..12 {
        std::fs::create_dir(root.join(format!("dir-{n}"))).unwrap();
        for (m, len) in [100, 5000, 300_000, 900_000].into_iter().enumerate() {
            std::fs::write(root.join(format!("dir-{n}/file-{m}")), pattern(n * 10 + m as u64, len)).unwrap();
        }
    }
}
/// How many of the files that were written are read whole, and none of them wrongly.
fn read_back(look: &Look) -> usize {
    let mut good = 0;
    for n in 0..12 {
        for (m, len) in [100, 5000, 300_000, 900_000].into_iter().enumerate() {
            let path = format!("/dir-{n}/file-{m}");
            let Some(entry) = look.tree.get(path.as_bytes()) else { continue };
            if let Ok(bytes) = look.content(entry) {
                assert!(bytes == pattern(n * 10 + m as u64, len), "{path}");
                good += 1;
            }
        }
    }
    good
}

#[test]
fn every_profile_is_read_over_all_devices_and_without_those_it_can_do_without() {
    if !usable() {
        return;
    }
    // Profile, devices, how many may be missing.
    for (profile, count, spare) in [
        ("raid0", 3, 0),
        ("raid1", 3, 1),
        ("raid1c3", 3, 2),
        ("raid10", 4, 1),
        ("raid5", 3, 1),
        ("raid6", 4, 2),
        ("single", 2, 0),
    ] {
        let images = make(count, 200, &["-d", profile, "-m", if spare > 0 { profile } else { "raid1" }]);
        let paths: Vec<_> = images.iter().map(Image::path).collect();
        let all: Vec<&Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
        let folder = images[0].folder();
        let Some(mounted) = mount(&all, folder, "noatime") else { return };
        fill(&mounted.at);
        drop(mounted);
        let mut turned = all.clone();
        turned.reverse();
        let found = examine(&turned);
        assert!(found.gaps.is_empty(), "{profile}: {:#?}", found.gaps);
        assert_eq!(found.looks.len(), 1, "{profile}");
        let mounted = mount(&all, folder, "ro").unwrap();
        compare(&found.looks[0], &mounted.at, Exact::All);
        drop(mounted);
        let volume = found.scene.volumes.iter().find(|v| v.filesystem.is_some()).unwrap();
        assert_eq!((volume.scheme.as_str(), volume.members.len()), ("btrfs", count), "{profile}");
        for entry in found.looks[0].live().filter(|e| e.is_file()) {
            let source = found.looks[0].tree.open(entry).unwrap();
            let bytes = found.looks[0].content(entry).unwrap();
            let mut at = 0;
            for piece in source.locate(cranescope::base::Run::new(0, bytes.len() as u64)) {
                let len = usize::try_from(piece.len).unwrap();
                let mut there = vec![0; len];
                let image = std::fs::File::open(turned[piece.image as usize]).unwrap();
                std::os::unix::fs::FileExt::read_exact_at(&image, &mut there, piece.offset).unwrap();
                assert!(there == bytes[at..at + len], "{profile} {}", entry.path);
                at += len;
            }
            assert_eq!(at, bytes.len());
        }
        for lost in 1..=spare {
            let left: Vec<&Path> = all[lost..].to_vec();
            let found = examine(&left);
            assert!(found.says("device 1 (uuid"), "{profile}: {:#?}", found.gaps);
            assert_eq!(read_back(&found.looks[0]), 48, "{profile} without {lost}");
        }
        if spare == 0 {
            let found = examine(&all[1..]);
            assert!(found.says("is not part of the evidence"), "{profile}: {:#?}", found.gaps);
            let good = read_back(&found.looks[0]);
            assert!((1..48).contains(&good), "{profile}: {good}");
        }
    }
}

#[test]
fn parity_makes_up_for_what_its_checksum_says_is_wrong() {
    if !usable() {
        return;
    }
    for (profile, count, wrong) in [("raid5", 3, 1), ("raid6", 4, 2)] {
        let images = make(count, 200, &["-d", profile, "-m", "raid1"]);
        let paths: Vec<_> = images.iter().map(Image::path).collect();
        let all: Vec<&Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
        let Some(mounted) = mount(&all, images[0].folder(), "noatime") else { return };
        let bytes = pattern(4, 900_000);
        std::fs::write(mounted.at.join("file"), &bytes).unwrap();
        drop(mounted);
        // Blocks of the file on some devices: overwritten.
        let mut overwritten = 0;
        for path in &paths[..wrong] {
            let mut image = std::fs::read(path).unwrap();
            for piece in bytes.chunks_exact(4096) {
                for at in (0..image.len()).step_by(4096) {
                    if image[at..at + 4096] == *piece {
                        image[at..at + 4096].fill(0x55);
                        overwritten += 1;
                    }
                }
            }
            std::fs::write(path, image).unwrap();
        }
        assert!(overwritten > 50, "{overwritten}");
        let found = examine(&all);
        assert!(found.looks[0].read("/file") == bytes, "{profile}");
    }
}

#[test]
fn a_seed_and_what_grew_from_it_are_two_file_systems() {
    if !usable() {
        return;
    }
    let images = [Image::empty(160), Image::empty(200)];
    run(timed("mkfs.btrfs").args(["-q", "-f"]).arg(images[0].path()));
    let Some(mounted) = mount(&[&images[0].path()], images[0].folder(), "noatime") else { return };
    std::fs::write(mounted.at.join("from-the-seed"), pattern(1, 50_000)).unwrap();
    drop(mounted);
    run(timed("btrfstune").args(["-S", "1"]).arg(images[0].path()));
    let Some(mounted) = mount(&[&images[0].path()], images[0].folder(), "ro") else { return };
    let out = timed("losetup").args(["-f", "--show"]).arg(images[1].path()).output().unwrap();
    let device = String::from_utf8(out.stdout).unwrap().trim().to_owned();
    run(timed("btrfs").args(["device", "add", "-f", &device]).arg(&mounted.at));
    run(timed("mount").args(["-o", "remount,rw"]).arg(&mounted.at));
    std::fs::write(mounted.at.join("added"), pattern(2, 50_000)).unwrap();
    drop(mounted);
    let _ = timed("btrfs").args(["device", "scan", "--forget", &device]).output();
    run(timed("losetup").args(["-d", &device]));
    let found = examine(&[&images[1].path(), &images[0].path()]);
    assert_eq!(found.looks.len(), 2, "{:#?}", found.gaps);
    let grown = found.looks.iter().find(|l| l.tree.get(b"/added").is_some()).unwrap();
    assert!(grown.read("/from-the-seed") == pattern(1, 50_000) && grown.read("/added") == pattern(2, 50_000));
    let details = &grown.fs().info().details;
    assert!(details.iter().any(|(_, text)| text.contains("a seed of file system")), "{details:#?}");
    assert!(found.gaps.is_empty(), "{:#?}", found.gaps);
    let alone = examine(&[&images[1].path()]);
    assert!(alone.says("a seed of file system"), "{:#?}", alone.gaps);
}
