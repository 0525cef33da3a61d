//! Every container cut at its structures' borders: what was lost is told (one error line, or gaps and read errors with
//! their places), nothing runs on, nothing else is made of it. And images that name themselves as what they build on.
use super::help::*;
use super::machines::convert;
use crate::common::{have, run as program};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the task allows for any of them.
const LONGEST: Duration = Duration::from_secs(10);

/// A small disk with contents of every kind: text, noise, zeros, and an end within a block.
fn disk() -> Vec<u8> {
    let mut bytes = std::fs::read(sample()).unwrap();
    bytes.truncate(2539 * 512);
    bytes.extend(crate::look::pattern(5, 150_016));
    bytes
}

/// Name, and bytes of one file; further files lie in the folder.
fn images(folder: &Path, raw: &[u8]) -> Vec<(String, Vec<u8>)> {
    let at = |name: &str| folder.join(name);
    std::fs::write(at("disk.raw"), raw).unwrap();
    let mut names: Vec<&str> = Vec::new();
    if have("qemu-img") {
        for (name, format, options) in [
            ("disk.qcow2", "qcow2", &["-c"][..]),
            ("plain.qcow2", "qcow2", &[]),
            ("disk.vmdk", "vmdk", &["-o", "subformat=streamOptimized"]),
            ("sparse.vmdk", "vmdk", &[]),
            ("disk.vhd", "vpc", &["-o", "force_size=on"]),
            ("disk.vhdx", "vhdx", &["-o", "block_size=1M"]),
            ("disk.vdi", "vdi", &[]),
        ] {
            convert(&at("disk.raw"), &at(name), format, options);
            names.push(name);
        }
    }
    if have("ewfacquire") {
        let (target, source) = (at("disk"), at("disk.raw"));
        run("ewfacquire", &["-u", "-q", "-c", "fast", "-t", target.to_str().unwrap(), source.to_str().unwrap()]);
        names.push("disk.E01");
    }
    std::fs::write(at("disk.Ex01"), super::ex01::whole(raw)).unwrap();
    names.push("disk.Ex01");
    std::fs::write(at("disk.L01"), super::l01::small()).unwrap();
    names.push("disk.L01");
    for (name, tool) in
        [("disk.gz", "gzip"), ("disk.xz", "xz"), ("disk.zst", "zstd"), ("disk.bz2", "bzip2"), ("disk.lz4", "lz4")]
    {
        if have(tool) {
            let script = format!("{tool} -1 -c < disk.raw > {name}");
            run("timeout", &["60", "sh", "-c", &format!("cd '{}' && {script}", folder.display())]);
            names.push(name);
        }
    }
    names.into_iter().map(|name| (name.to_owned(), std::fs::read(at(name)).unwrap())).collect()
}

/// Bytes at which structures begin or end: fields of headers, blocks, the places that the format itself tells, and
/// some in between.
fn borders(name: &str, bytes: &[u8]) -> Vec<usize> {
    let len = bytes.len();
    let mut all: Vec<usize> = vec![4, 8, 13, 16, 64, 72, 76, 104, 112, 128, 512, 1024, 1536, 2048, 4096, 8192];
    all.extend((1..=24).map(|n| n << 16));
    all.extend((1..=3).map(|n| n << 20));
    all.extend([1, 4, 8, 12, 36, 76, 152, 512, 1024, 1536, 4096].map(|n| len.saturating_sub(n)));
    all.extend((1..12).map(|n| n * len / 12));
    // Sections of version 1 of EWF tell where the next begins.
    if name.ends_with("E01") || name.ends_with("L01") {
        let mut at = 13;
        while let Some(next) = bytes.get(at + 16..at + 24) {
            let next = usize::try_from(u64::from_le_bytes(next.try_into().unwrap())).unwrap();
            all.extend([at, at + 76]);
            if next <= at {
                break;
            }
            at = next;
        }
    }
    all.retain(|at| *at > 0 && *at < len);
    all.sort_unstable();
    all.dedup();
    all
}

/// The whole disk in large pieces; how many of them could not be read.
fn drain(disk: &cranescope::image::Source) -> (Vec<u8>, usize) {
    let len = usize::try_from(disk.len().min(64 << 20)).unwrap();
    let (mut bytes, mut failed) = (vec![0; len], 0);
    for part in (0..len).step_by(64 << 10) {
        let end = (part + (64 << 10)).min(len);
        match disk.read_at(part as u64, &mut bytes[part..end]) {
            Ok(n) => assert_eq!(n, end - part, "a short count within the disk"),
            Err(_) => failed += 1,
        }
    }
    (bytes, failed)
}

#[test]
fn what_a_cut_takes_is_told() {
    let folder = folder();
    let raw = disk();
    let all = images(folder.path(), &raw);
    assert!(all.len() >= 2);
    for (name, bytes) in &all {
        let whole = open_source(Arc::new(bytes.clone()), &cranescope::image::Alone).unwrap();
        assert_eq!(whole.gaps, [], "{name}");
        let (expected, failed) = drain(&whole.disk);
        assert_eq!(failed, 0, "{name}");
        assert!(name == "disk.L01" || expected[..raw.len()] == raw, "{name}");
        let mut told = 0;
        for cut in borders(name, bytes) {
            let began = Instant::now();
            match open_source(Arc::new(bytes[..cut].to_vec()), &cranescope::image::Alone) {
                Err(line) => {
                    assert!(!line.is_empty() && !line.contains('\n'), "{name} at {cut}: {line}");
                    told += 1;
                }
                // What is shorter than its own magic is nothing but bytes.
                Ok(opened) if opened.format == "raw" && cut <= 128 => {}
                Ok(opened) => {
                    let (content, failed) = drain(&opened.disk);
                    let is_told = failed > 0 || !opened.gaps.is_empty();
                    assert!(
                        is_told || content == expected,
                        "{name} at {cut} of {}: less is there, and nothing says so",
                        bytes.len()
                    );
                    told += usize::from(is_told);
                }
            }
            assert!(began.elapsed() < LONGEST, "{name} at {cut}: {:?}", began.elapsed());
        }
        assert!(told > 10, "{name}: {told}");
    }
}

/// The same through the whole program, with its limits: an end within ten seconds, one line or a listing.
#[test]
fn the_program_ends_on_each() {
    let folder = folder();
    for (name, bytes) in images(folder.path(), &disk()) {
        let cut = folder.path().join("cut").with_extension(name.rsplit('.').next().unwrap());
        std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let began = Instant::now();
        let (code, _, error) = program(folder.path(), &["ls", cut.to_str().unwrap()]);
        assert!(matches!(code, 0 | 2 | 3), "{name}: {code} {error}");
        assert!(code == 0 || error.trim().lines().count() == 1, "{name}: {error}");
        assert!(began.elapsed() < LONGEST, "{name}: {:?}", began.elapsed());
    }
}

/// Opens an image that was given the name of what it builds on.
fn itself(path: &Path) {
    let began = Instant::now();
    let opened = open(path).unwrap();
    let back: Vec<&str> = opened.gaps.iter().map(|g| g.what.as_str()).filter(|w| w.contains("comes back to")).collect();
    assert_eq!(back.len(), 1, "{}: {:?}", path.display(), opened.gaps);
    drain(&opened.disk);
    assert!(began.elapsed() < LONGEST);
}

#[test]
fn an_image_that_names_itself_is_one_gap() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    if have("qemu-img") {
        for (format, name) in [("qcow2", "a.qcow2"), ("vmdk", "a.vmdk")] {
            convert(&sample(), &at(name), format, &[]);
            let top = at("top");
            let ends = ["-b", name, "-F", format, "top"];
            let arguments =
                [&["-C", folder.path().to_str().unwrap(), "qemu-img", "create", "-q", "-f", format], &ends[..]]
                    .concat();
            run("env", &arguments);
            std::fs::rename(top, at(name)).unwrap();
            itself(&at(name));
        }
    }
    let place = |name: &str, bytes: Option<Vec<u8>>| -> Option<PathBuf> {
        let path = at(name);
        std::fs::write(&path, bytes?).unwrap();
        Some(path)
    };
    let vhd = shared("dfvfs/fat-differential.vhd").map(|p| std::fs::read(p).unwrap());
    let vhdx = shared("dfvfs_big/fat-differential.vhdx.zst").and_then(|p| crate::look::unpacked(&p));
    for path in [place("fat-parent.vhd", vhd), place("fat-parent.vhdx", vhdx)].into_iter().flatten() {
        itself(&path);
    }
}
