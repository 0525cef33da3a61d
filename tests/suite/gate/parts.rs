//! What divides, joins or locks volumes: a sample each, made by a partitioner or by Linux itself.
use crate::look::{Image, run, tool, tools};
use cranescope::base::{Budget, Gaps};
use cranescope::image::{Slice, Source};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Where a sample comes from.
enum Sample {
    /// A script for sfdisk, `label:` first.
    Table(&'static str),
    /// A table of this kind, made by parted.
    Parted(&'static str),
    /// A packed disk of `tests/data/volumes`.
    Disk(&'static str),
    /// Made by the tests themselves.
    Made(fn() -> Vec<u8>),
    /// A tool, and a script that writes `made` with it.
    Script(&'static str, &'static str),
}
use Sample::{Disk, Made, Parted, Script, Table};

const SAMPLES: &[(&str, Sample)] = &[
    ("gpt", Table("label: gpt\nstart=2048, size=8192\nstart=20480, size=8192\n")),
    ("mbr", Table("label: dos\nstart=2048, size=8192, type=83\nstart=20480, size=8192, type=c\n")),
    ("apm", Parted("mac")),
    ("bsd", Parted("bsd")),
    ("lvm2", Disk("lvm/pv1.img.zst")),
    (
        "ubi",
        Script(
            "ubinize",
            "printf '[a]\\nmode=ubi\\nvol_id=0\\nvol_type=dynamic\\nvol_name=a\\nvol_size=1MiB\\n' >ini && \
             ubinize -p 128KiB -m 2048 -o made ini",
        ),
    ),
    // The manager takes those of several devices only.
    ("btrfs", Script("mkfs.btrfs", "truncate -s 128M made other && mkfs.btrfs -q -d raid1 -m raid1 made other")),
    ("md", Disk("md/disk1.img.zst")),
    ("luks", Disk("luks/luks2-4k.img.zst")),
    ("bitlocker", Made(crate::bitlocker::sample)),
];

fn source(sample: &Sample) -> Option<Source> {
    match sample {
        Table(script) => {
            if !tools(&["sfdisk"]) {
                return None;
            }
            let image = Image::empty(64);
            let script_file = image.folder().join("script");
            std::fs::write(&script_file, script).unwrap();
            let mut command = tool("sfdisk");
            run(command.arg("-q").arg(image.path()).stdin(std::fs::File::open(script_file).unwrap()));
            Some(Arc::new(image.bytes()))
        }
        Parted(label) => {
            if !tools(&["parted"]) {
                return None;
            }
            let image = Image::empty(64);
            // Before its kind of file system, a partition of this label has a name.
            let part: &[&str] = if *label == "mac" { &["mkpart", "disk", "ext2"] } else { &["mkpart", "ext2"] };
            let mut command = tool("parted");
            run(command.arg("-s").arg(image.path()).args(["mklabel", label]).args(part).args(["1MiB", "20MiB"]));
            Some(Arc::new(image.bytes()))
        }
        Made(make) => Some(Arc::new(make())),
        Script(needed, script) => {
            if !tools(&[needed]) {
                return None;
            }
            let folder = tempfile::tempdir().unwrap();
            run(tool("sh").args(["-c", script]).current_dir(folder.path()));
            Some(Arc::new(std::fs::read(folder.path().join("made")).unwrap()))
        }
        Disk(name) => {
            let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/volumes").join(name);
            let mut bytes = Vec::new();
            let packed = std::fs::File::open(packed).unwrap();
            ruzstd::decoding::StreamingDecoder::new(packed).unwrap().read_to_end(&mut bytes).unwrap();
            Some(Arc::new(bytes))
        }
    }
}

/// The parts of a disk that has a table.
fn parts(disk: &Source) -> Vec<Source> {
    let Some(scheme) = cranescope::volume::recognise(disk) else { return Vec::new() };
    let parts = (scheme.read)(disk, &Gaps::default(), Budget::default()).unwrap();
    let slice = |p: &cranescope::volume::Part| Arc::new(Slice::new(disk.clone(), p.run)) as Source;
    parts.iter().map(slice).collect()
}

#[test]
fn every_member_that_handles_volumes_recognises_its_sample() {
    use cranescope::volume;
    let schemes = volume::ALL.iter().map(|s| (s.name, s.probe));
    let managers = volume::MANAGERS.iter().map(|m| (m.name, m.probe));
    let encryptions = volume::ENCRYPTIONS.iter().map(|e| (e.name, e.probe));
    for (name, probe) in schemes.chain(managers).chain(encryptions) {
        let (_, sample) =
            SAMPLES.iter().find(|s| s.0.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("{name} has no sample"));
        let Some(disk) = source(sample) else { continue };
        let within = parts(&disk);
        let own: Vec<_> = std::iter::once(&disk).chain(&within).filter(|s| probe(s)).collect();
        assert!(!own.is_empty(), "{name} does not recognise its sample");
        for source in own {
            let encryptions = volume::ENCRYPTIONS.iter().filter(|e| (e.probe)(source)).map(|e| e.name);
            let takers = encryptions.chain(volume::MANAGERS.iter().filter(|m| (m.probe)(source)).map(|m| m.name));
            let others: Vec<_> = takers.filter(|taker| *taker != name).collect();
            assert!(others.is_empty(), "{name}: taken for {others:?}");
        }
    }
}
