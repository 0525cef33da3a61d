//! The image is written, cut, grown, replaced or taken away in the middle of the examination.
use super::{at_stage, plan};
use crate::common::{rounds, run};
use crate::survive::disk;
use cranescope::session::{Stage, Watch, examine};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

type Change = fn(&Path);

fn writable(image: &Path) -> File {
    File::options().write(true).open(image).unwrap()
}

/// What is done, and the word of the report for it.
const CHANGES: &[(&str, Change)] = &[
    ("modified", |image| writable(image).write_all_at(&[0x5a; 4096], 9 << 20).unwrap()),
    ("status", |image| {
        // The writer sets the time of modification back.
        let file = writable(image);
        let before = file.metadata().unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        file.write_all_at(&[0x5a; 4096], 9 << 20).unwrap();
        file.set_modified(before).unwrap();
    }),
    ("bytes when opened", |image| writable(image).set_len(5 << 20).unwrap()),
    ("bytes when opened", |image| writable(image).set_len(64 << 20).unwrap()),
    ("modified", |image| writable(image).set_modified(SystemTime::UNIX_EPOCH).unwrap()),
    ("no longer at its path", |image| std::fs::remove_file(image).unwrap()),
    ("another file", |image| {
        let other = image.with_extension("other");
        std::fs::copy(image, &other).unwrap();
        std::fs::rename(other, image).unwrap();
    }),
];

#[test]
fn a_change_in_the_middle_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let image = at.join("disk.img");
    std::fs::copy(&image, at.join("kept.img")).unwrap();
    let sound = examine(&plan(at, "sound.cranecase"), &Watch::unattended()).unwrap().data;
    assert!(sound.scene.images[0].changed.is_empty() && sound.gaps.iter().all(|g| g.by != "evidence"));
    let stages = [Stage::Contents, Stage::Metadata, Stage::Configuration, Stage::Joining];
    let mut told = 0;
    for stage in &stages[..rounds(1, 4) as usize] {
        for (word, change) in CHANGES {
            std::fs::remove_file(&image).ok();
            std::fs::copy(at.join("kept.img"), &image).unwrap();
            let of = image.clone();
            let change = *change;
            let watch = at_stage(*stage, move || change(&of));
            let data = examine(&plan(at, "changed.cranecase"), &watch).unwrap().data;
            let stamp = &data.scene.images[0].changed;
            assert!(stamp.len() == 1 && stamp[0].contains(word), "{word} at {stage:?}: {stamp:?}");
            let gap = data.gaps.iter().find(|g| g.by == "evidence").unwrap();
            assert!(gap.at.image == Some(0) && gap.what.contains("the evidence changed"), "{gap:?}");
            assert!(data.verdict.reasons.iter().any(|r| r.contains("the evidence changed")), "{:?}", data.verdict);
            // The report and the case say it as well.
            let (code, json, err) = run(at, &["report", "changed.cranecase", "--format", "json", "-o", "-"]);
            assert_eq!(code, 0, "{err}");
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert!(json["images"][0]["changed"][0].as_str().unwrap().contains(word), "{json}");
            told += 1;
        }
    }
    println!("{told} changes in the middle of an examination, all told");
}

/// A loop device, taken away when it goes out of scope.
struct Device(std::path::PathBuf);
impl Device {
    fn of(image: &Path) -> Option<Self> {
        let out = crate::look::tool("losetup").args(["--find", "--show"]).arg(image).output().ok()?;
        let name = String::from_utf8(out.stdout).ok()?;
        out.status.success().then(|| Self(name.trim().into()))
    }
}
impl Drop for Device {
    fn drop(&mut self) {
        drop(crate::look::tool("losetup").arg("--detach").arg(&self.0).status());
    }
}

/// A block device has no times: it is hashed before and after.
#[test]
fn a_change_of_a_device_is_told_by_its_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    let Some(device) = Device::of(&at.join("disk.img")) else {
        eprintln!("skipped: no loop device to be had");
        return;
    };
    let plan = |case: &str| {
        let images = vec![device.0.clone()];
        cranescope::session::Plan { images, hash_image: true, ..plan(at, case) }
    };
    let sound = examine(&plan("sound.cranecase"), &Watch::unattended()).unwrap().data;
    assert_eq!(sound.scene.images[0].changed, Vec::<String>::new());
    assert!(sound.scene.images[0].sha256.is_some());
    let of = device.0.clone();
    let watch = at_stage(Stage::Contents, move || {
        writable(&of).write_all_at(&[0x5a; 4096], 9 << 20).unwrap();
    });
    let data = examine(&plan("changed.cranecase"), &watch).unwrap().data;
    let stamp = &data.scene.images[0].changed;
    assert!(stamp.len() == 1 && stamp[0].matches("SHA-256").count() == 2, "{stamp:?}");
    let gap = data.gaps.iter().find(|g| g.by == "evidence").unwrap();
    assert!(gap.at.image == Some(0) && gap.what.contains("the evidence changed"), "{gap:?}");
    assert!(data.verdict.reasons.iter().any(|r| r.contains("the evidence changed")), "{:?}", data.verdict);
}
