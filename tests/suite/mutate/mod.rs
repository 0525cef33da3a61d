//! Images of every format with a structure damaged and its checksum mended: no reader panics, hangs or reads without
//! end, and what is lost against the intact image is told by a gap.
//!
//! `CRANESCOPE_MUTATIONS=N` asks for more mutants an image than are made by default. `long` (ignored otherwise) goes on
//! with each subject until nothing new is told: docs/fuzzing.md says how. `CRANESCOPE_MUTANT=subject:number` shows one.
mod disks;
mod hives;
mod run;
mod systems;

use crate::look::rounds;
use run::{Run, Subject};
use std::time::Instant;

fn subjects() -> impl Iterator<Item = &'static Subject> {
    systems::SUBJECTS.iter().chain(disks::SUBJECTS).chain(hives::SUBJECTS)
}

/// Runs this many mutants of each subject of a name, and fails on what must not be.
fn hold(name: &str) {
    for subject in subjects().filter(|s| s.name == name) {
        let start = Instant::now();
        let Some(mut run) = Run::new(subject) else { continue };
        for seed in 0..rounds().div_ceil(4 * subject.slow) {
            run.one(seed);
        }
        report(subject, &run, start);
        let tally = &run.tally;
        assert!(tally.faults.is_empty(), "{name}: {:#?}", tally.faults);
        assert!(tally.told > 0 || tally.mutants < 10, "{name}: no mutant was noticed");
        assert!(tally.silent.is_empty(), "{name}: lost without a word: {:#?}", tally.silent);
    }
}

fn report(subject: &Subject, run: &Run, start: Instant) {
    let tally = &run.tally;
    eprintln!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s |",
        subject.name,
        tally.mutants,
        tally.same,
        tally.told,
        tally.whole,
        tally.silent.values().map(|s| s.0).sum::<u64>(),
        tally.faults.len(),
        tally.words.len(),
        start.elapsed().as_secs_f64()
    );
}

macro_rules! hold {
    ($($test:ident: $name:literal,)*) => {
        const HELD: &[&str] = &[$($name,)*];
        $(#[test] fn $test() { hold($name); })*
    };
}
hold! {
    ext4: "ext4", ext2: "ext2", ext4_inline: "ext4-inline", ext4_bigalloc: "ext4-bigalloc", ext4_meta_bg: "ext4-meta-bg",
    xfs: "xfs", btrfs: "btrfs", ntfs: "ntfs", f2fs: "f2fs", erofs: "erofs",
    squashfs: "squashfs", fat12: "fat12", fat16: "fat16", fat32: "fat32", exfat: "exfat", ubifs: "ubifs", jffs2: "jffs2", iso: "iso", tar: "tar",
    cpio: "cpio", zip: "zip",
    gpt: "gpt", mbr: "mbr", lvm: "lvm2", luks: "luks", ubi: "ubi",
    e01: "E01", vhdx: "VHDX", vhd: "VHD", qcow2: "QCOW2", vmdk: "VMDK", vdi: "VDI",
    registry: "registry",
}

#[test]
fn every_subject_is_held() {
    let names: Vec<&str> = subjects().map(|s| s.name).collect();
    assert_eq!(names.len(), HELD.len());
    assert!(names.iter().all(|n| HELD.contains(n)), "{names:?}");
}

/// Until this many mutants in a row told nothing new.
const QUIET: u64 = 3000;

#[test]
#[ignore = "runs until nothing new is told: minutes for each subject"]
fn long() {
    let only = std::env::var("CRANESCOPE_SUBJECT").unwrap_or_default();
    let number = |name: &str, otherwise| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (quiet, seconds) = (number("CRANESCOPE_QUIET", QUIET), number("CRANESCOPE_SECONDS", u64::MAX));
    eprintln!("| subject | mutants | same | told | whole | silent | faults | kinds | time |");
    let mut failed = false;
    for subject in subjects().filter(|s| only.is_empty() || only.split(',').any(|o| o == s.name)) {
        let start = Instant::now();
        let Some(mut run) = Run::new(subject) else { continue };
        eprintln!("{}: {:?}", subject.name, run.structures());
        let mut seed = number("CRANESCOPE_FIRST", 1 << 32);
        while run.tally.since_news < quiet && start.elapsed().as_secs() < seconds {
            run.one(seed);
            seed += 1;
        }
        for (class, (count, example)) in &run.tally.silent {
            eprintln!("  {count} {class}: {example}");
        }
        for fault in &run.tally.faults {
            eprintln!("  FAULT {fault}");
        }
        report(subject, &run, start);
        failed |= !run.tally.faults.is_empty() || !run.tally.silent.is_empty();
    }
    assert!(!failed);
}

/// The fuzzer's first seeds: small images of every subject, as they are and with a few changes.
#[test]
#[ignore = "writes into the folder that CRANESCOPE_SEEDS names"]
fn seeds() {
    if std::env::var_os("CRANESCOPE_SEEDS").is_none() {
        return;
    }
    systems::SMALL.store(true, std::sync::atomic::Ordering::Relaxed);
    for subject in subjects() {
        let target = match subject.name {
            name if name.starts_with("ext2") || name.starts_with("ext4") => "ext".to_owned(),
            name if name.starts_with("fat") => "fat".to_owned(),
            "iso" => "iso9660".to_owned(),
            name => name.to_ascii_lowercase(),
        };
        let Some(run) = Run::new(subject) else { continue };
        for seed in 0..16 {
            let mut packed = if seed == 0 { run.intact() } else { run.image(seed) };
            if seed % 2 == 0 && subject.layout.mend.is_some() {
                packed[3] = b'1';
                packed[2] = b'M';
            }
            crate::seeds::put(&target, &format!("{}-{seed}", subject.name), &packed);
        }
    }
}

/// Of the example that a failed run names.
#[test]
fn one() {
    let Ok(asked) = std::env::var("CRANESCOPE_MUTANT") else { return };
    let (name, seed) = asked.split_once(':').unwrap();
    let subject = subjects().find(|s| s.name == name).unwrap();
    let Some(mut run) = Run::new(subject) else { return };
    run.one(seed.parse().unwrap());
    eprintln!("{:#?} {:#?} {:#?}", run.tally.words, run.tally.silent, run.tally.faults);
    if let Ok(path) = std::env::var("CRANESCOPE_KEEP") {
        std::fs::write(path, run.image(seed.parse().unwrap())).unwrap();
    }
}
