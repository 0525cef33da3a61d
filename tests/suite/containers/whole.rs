//! Containers through the program itself: the same report from each, `verify`, and a sample for every member.
use super::ewf::acquire;
use super::help::*;
use super::machines::{FORMS, convert};
use crate::common::{have, report, run as program};
use std::collections::BTreeSet;
use std::path::Path;

/// The report of an image, without what tells of its container.
fn examined(folder: &Path, image: &str) -> (serde_json::Value, serde_json::Value) {
    let arguments = [
        "examine",
        image,
        "--case",
        "x.cranecase",
        "--overwrite",
        "--json",
        "r.json",
        "--quiet",
        "--as-of",
        "2026-12-31",
    ];
    let (code, _, err) = program(folder, &arguments);
    assert_eq!(code, 0, "{image}: {err}");
    let mut json = report(&folder.join("r.json"));
    let images = json["images"].take();
    // The scope and the volumes name the images by ids; these are the disk's own, so they stay.
    (json, images)
}

#[test]
fn the_same_disk_gives_the_same_report() {
    if !have("qemu-img") || !have("ewfacquire") {
        return;
    }
    let folder = folder();
    std::fs::copy(sample(), folder.path().join("disk.img")).unwrap();
    let (expected, raw) = examined(folder.path(), "disk.img");
    assert!(expected["findings"].as_array().is_some_and(|f| !f.is_empty()));
    acquire(folder.path(), "disk", &["-c", "fast"]);
    let one_each = ["deflate.qcow2", "stream.vmdk", "split.vmdk", "dynamic.vhd", "dynamic.vhdx", "dynamic.vdi"];
    let mut names = vec!["disk.E01", "disk.Ex01", "disk.001"];
    let bytes = std::fs::read(sample()).unwrap();
    std::fs::write(folder.path().join("disk.Ex01"), super::ex01::whole(&bytes)).unwrap();
    // A set cut into equal pieces.
    for (number, part) in (1..).zip(bytes.chunks(2 << 20)) {
        std::fs::write(folder.path().join(format!("disk.{number:03}")), part).unwrap();
    }
    for (name, program) in [("disk.dd.gz", "gzip"), ("disk.img.xz", "xz"), ("disk.img.zst", "zstd")] {
        if have(program) {
            let script = format!("{program} -1 -c < \"$0\" > \"$1\"");
            let to = folder.path().join(name);
            run("timeout", &["60", "sh", "-c", &script, sample().to_str().unwrap(), to.to_str().unwrap()]);
            names.push(name);
        }
    }
    for (name, format, options) in FORMS.iter().filter(|f| one_each.contains(&f.0)) {
        convert(&sample(), &folder.path().join(name), format, options);
        names.push(name);
    }
    assert!(names.len() >= 9);
    for name in names {
        let (json, images) = examined(folder.path(), name);
        assert_eq!(images[0]["id"], raw[0]["id"], "{name}");
        assert_eq!(images[0]["size"], raw[0]["size"], "{name}");
        assert_eq!(images[0]["bytes"], raw[0]["bytes"], "{name}");
        assert_eq!(images[0]["container"] == raw[0]["container"], name == "disk.001", "{name}");
        assert!(json == expected, "{name}: the report differs");
    }
}

#[test]
fn verify_compares_and_names_bad_chunks() {
    if !have("ewfacquire") || !have("qemu-img") {
        return;
    }
    let folder = folder();
    acquire(folder.path(), "a", &["-c", "fast", "-d", "sha1"]);
    let verify = |name: &str| program(folder.path(), &["verify", name]);
    let (code, out, err) = verify("a.E01");
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(out.matches(", as it was stored").count(), 2, "{out}");
    // Two chunks of it.
    let path = folder.path().join("a.E01");
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[60_000] ^= 1;
    bytes[400_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (code, out, _) = verify("a.E01");
    assert_eq!((code, out.matches("not readable: chunk ").count()), (1, 2), "{out}");
    assert!(out.contains("not compared"), "{out}");
    // A stored hash of other bytes: its section's checksum is made to fit again.
    let digest = whole.windows(7).position(|w| w == b"digest\0").unwrap() + 76;
    let mut bytes = whole.clone();
    bytes[digest] ^= 1;
    let mut sum = libdeflater::Adler32::new();
    sum.update(&bytes[digest..digest + 76]);
    bytes[digest + 76..digest + 80].copy_from_slice(&sum.sum().to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let (code, out, _) = verify("a.E01");
    assert_eq!((code, out.contains("is stored, but the disk gives")), (1, true), "{out}");
    convert(&sample(), &folder.path().join("b.qcow2"), "qcow2", &[]);
    let (code, out, _) = verify("b.qcow2");
    assert_eq!((code, out.contains("stores no hashes")), (0, true), "{out}");
}

/// What the imager stored is in the report, and compared where the image is hashed.
#[test]
fn stored_hashes_and_acquisition_facts_are_reported() {
    if !have("ewfacquire") {
        return;
    }
    let folder = folder();
    acquire(folder.path(), "a", &["-c", "fast", "-S", "1M"]);
    let arguments = ["examine", "a.E01", "--hash-image", "--json", "r.json", "--quiet"];
    let (code, _, err) = program(folder.path(), &arguments);
    assert_eq!(code, 0, "{err}");
    let json = report(&folder.path().join("r.json"));
    let image = &json["images"][0];
    assert_eq!(image["container"], "E01");
    assert_eq!(image["stored_hashes"][0]["algorithm"], "md5");
    assert_eq!(image["stored_hashes"][0]["matches"], true);
    let details = image["details"].as_array().unwrap();
    assert!(details.iter().any(|d| d["field"] == "case number" && d["value"] == "case 7"), "{details:?}");
}

/// A packed image is not taken for a disk without anything on it.
#[test]
fn packed_images_are_told() {
    for head in [&[0x1f, 0x8b, 8, 0][..], b"\xfd7zXZ\0", &[0x28, 0xb5, 0x2f, 0xfd]] {
        let mut bytes = head.to_vec();
        bytes.resize(4096, 7);
        let opened = open_source(std::sync::Arc::new(bytes), &cranescope::image::Alone).unwrap();
        assert!(opened.gaps.iter().any(|g| g.what.contains("unpack it")), "{:?}", opened.gaps);
    }
}

/// Every container that `formats` lists was opened by one of the tests here.
#[test]
fn every_container_has_a_sample() {
    let sampled = FORMS.iter().map(|(name, ..)| match name.rsplit('.').next().unwrap() {
        "qcow2" => "QCOW2",
        "vmdk" => "VMDK",
        "vhd" => "VHD",
        "vhdx" => "VHDX",
        "vdi" => "VDI",
        other => panic!("{other}"),
    });
    let sampled: BTreeSet<&str> = sampled.chain(["E01", "Ex01", "raw"]).collect();
    // Compressed streams have tests of their own.
    let listed = cranescope::image::ALL.iter().filter(|f| !cranescope::image::is_stream(f));
    let listed: BTreeSet<&str> = listed.map(|f| f.name).collect();
    assert_eq!(sampled, listed);
}
