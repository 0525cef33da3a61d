//! Real files of this machine against `readelf`, and damaged ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn readelf(arguments: &[&str], path: &Path) -> Option<String> {
    let out = Command::new("readelf").args(arguments).arg("-W").arg(path).env("LC_ALL", "C").output().ok()?;
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Some tens of programs and libraries of this machine.
fn samples() -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for (dir, most) in [
        ("/usr/bin", 60),
        ("/usr/sbin", 20),
        ("/usr/lib/x86_64-linux-gnu", 40),
        ("/usr/lib/x86_64-linux-gnu/security", 5),
    ] {
        let Ok(entries) = std::fs::read_dir(dir) else {
            continue;
        };
        let mut here: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.is_file() && !p.is_symlink()).collect();
        here.sort();
        all.extend(here.into_iter().filter(|p| head(p).is_some_and(|h| h == *b"\x7fELF")).take(most));
    }
    all
}

fn head(path: &Path) -> Option<[u8; 4]> {
    use std::io::Read;
    let mut head = [0; 4];
    std::fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    Some(head)
}

#[test]
fn agrees_with_readelf() {
    let samples = samples();
    if samples.is_empty() || readelf(&["-h"], &samples[0]).is_none() {
        eprintln!("skipped: no readelf, or no ELF files, on this machine");
        return;
    }
    for path in &samples {
        let bytes = std::fs::read(path).unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        let dynamic = readelf(&["-d"], path).unwrap();
        let quoted = |tag: &str| -> Vec<String> {
            let lines = dynamic.lines().filter(|l| l.contains(tag));
            lines.filter_map(|l| Some(l.split_once('[')?.1.trim_end_matches(']').to_owned())).collect()
        };
        assert_eq!(elf.libraries, quoted("(NEEDED)"), "{}", path.display());
        assert_eq!(elf.soname, quoted("(SONAME)").join(""), "{}", path.display());
        let pie = dynamic.lines().any(|l| l.contains("FLAGS_1") && l.contains("PIE"));
        let header = readelf(&["-h"], path).unwrap();
        let kind = if header.contains("REL (") {
            "relocatable"
        } else if pie || header.contains("EXEC (") {
            "executable"
        } else {
            "shared"
        };
        assert_eq!(elf.kind, kind, "{}", path.display());
        let notes = readelf(&["-n"], path).unwrap();
        let build_id = notes.split("Build ID: ").nth(1).and_then(|r| r.split_whitespace().next()).unwrap_or_default();
        assert_eq!(elf.build_id, build_id, "{}", path.display());
        let segments = readelf(&["-l"], path).unwrap();
        let interpreter = segments.lines().find_map(|l| l.trim().strip_prefix("[Requesting program interpreter: "));
        assert_eq!(elf.interpreter, interpreter.unwrap_or_default().trim_end_matches(']'), "{}", path.display());
        let sections = readelf(&["-S"], path).unwrap();
        assert_eq!(elf.stripped, !sections.contains(" SYMTAB "), "{}", path.display());
        let symbols = readelf(&["--dyn-syms"], path).unwrap();
        let expected: BTreeSet<String> = symbols
            .lines()
            .filter(|l| l.contains(" UND "))
            .filter_map(|l| l.split_whitespace().nth(7))
            .map(|n| n.split('@').next().unwrap().to_owned())
            .filter(|n| imports::is_telling(n.as_bytes()))
            .collect();
        assert_eq!(elf.imports, expected.into_iter().collect::<Vec<_>>(), "{}", path.display());
        assert_eq!(elf.packed, "", "{}", path.display());
        assert!(elf.problems.is_empty(), "{}: {:?}", path.display(), elf.problems);
    }
    eprintln!("{} files agree with readelf", samples.len());
}

/// The same facts must come out with the section table cut away, as `sstrip` does.
#[test]
fn needs_no_section_headers() {
    let mut seen = 0;
    for path in samples().iter().take(60) {
        let mut bytes = std::fs::read(path).unwrap();
        let whole = Elf::parse(&bytes).unwrap();
        if whole.bits != 64 || whole.big_endian {
            continue;
        }
        bytes[0x28..0x30].fill(0);
        bytes[0x3a..0x40].fill(0);
        let wiped = Elf::parse(&bytes).unwrap();
        assert!(!wiped.has_sections);
        assert_eq!(Elf { stripped: whole.stripped, has_sections: true, ..wiped }, whole, "{}", path.display());
        seen += 1;
    }
    if seen == 0 {
        eprintln!("skipped: no 64-bit ELF files on this machine");
    }
}

#[test]
fn survives_thousands_of_damaged_files() {
    let Ok(bytes) = std::fs::read("/bin/ls") else {
        eprintln!("skipped: no /bin/ls on this machine");
        return;
    };
    let mut seed = 1_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    let dynamic = memchr::memmem::find(&bytes, b"libc.so.6").unwrap_or(0x1000);
    let mut bad = bytes.clone();
    for round in 0..6000 {
        let mut touched = Vec::new();
        for _ in 0..=next() % 6 {
            let at = match next() % 4 {
                0 => next() % 64,
                1 => next() % 1024,
                2 => dynamic.saturating_sub(next() % 4096),
                _ => next() % bytes.len(),
            };
            let value = [0, 0xff, 0x7f, 0x80, 1, next() & 0xff][next() % 6];
            touched.push(at);
            bad[at] = u8::try_from(value).unwrap();
        }
        let end = if round % 5 == 0 { next() % bytes.len() } else { bytes.len() };
        let elf = Elf::parse(&bad[..end]);
        let _ = sections(&bad[..end]);
        let _ = crate::format::kmod::parse(&bad[..end]);
        let _ = crate::format::gobuild::parse(&bad[..end], elf.as_ref());
        for at in touched {
            bad[at] = bytes[at];
        }
    }
}

#[test]
fn says_what_it_could_not_read() {
    let Ok(bytes) = std::fs::read("/bin/ls") else {
        eprintln!("skipped: no /bin/ls on this machine");
        return;
    };
    let whole = Elf::parse(&bytes).unwrap();
    // A class byte that means nothing: the rest is still read.
    let mut bad = bytes.clone();
    bad[4] = 9;
    let read = Elf::parse(&bad).unwrap();
    assert_eq!((read.libraries, read.interpreter), (whole.libraries.clone(), whole.interpreter.clone()));
    assert_eq!(read.problems.len(), 1);
    // More program headers than the file can hold.
    let mut bad = bytes.clone();
    bad[0x38..0x3a].fill(0xfe);
    assert!(Elf::parse(&bad).unwrap().problems.iter().any(|p| p.contains("program headers announced")));
    assert_eq!(Elf::parse(&bytes[..40]), None);
    assert_eq!(Elf::parse(b"#!/bin/sh"), None);
}
