//! Archives that are cut, damaged or made to harm.
use super::{acquired, awkward, made, sparse, through};
use crate::common::{have, run};
use crate::look::{Look, Random, exercise, rounds};
use cranescope::base::Gaps;
use std::path::Path;
use std::time::{Duration, Instant};

/// Small archives of every format, by its name.
fn samples(folder: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let root = folder.join("root");
    std::fs::create_dir(&root).unwrap();
    awkward(&root);
    sparse(&root);
    std::fs::remove_file(root.join("large")).unwrap();
    std::fs::remove_file(root.join("control-\x1b[2J-\n")).unwrap();
    std::fs::write(root.join("zz-same-as-large"), b"small").unwrap();
    let mut all = Vec::new();
    for form in ["gnu", "posix"] {
        made(folder, &["tar", "-C", "root", "-Scf", form, "--format", form, "."]);
        all.push(("tar", std::fs::read(folder.join(form)).unwrap()));
    }
    if have("cpio") {
        for form in ["newc", "odc", "bin"] {
            let line = format!(
                "cd {}/root && rm -f sparse* && find . -print0 | cpio -0 --quiet -o -H {form}",
                folder.display()
            );
            all.push(("cpio", through(&["sh", "-c", &line], b"")));
        }
        let newc = all[all.len() - 3].1.clone();
        all.push(("cpio", through(&["gzip", "-c"], &newc)));
    }
    if have("zip") {
        made(folder, &["sh", "-c", "cd root && rm -f sparse* && zip -q -y -r ../z.zip ."]);
        all.push(("zip", std::fs::read(folder.join("z.zip")).unwrap()));
    }
    if have("ar") {
        made(folder, &["ar", "rc", "a.a", "gnu", "posix"]);
        all.push(("ar", std::fs::read(folder.join("a.a")).unwrap()));
    }
    all
}

#[test]
fn cut_and_mutated_archives_cost_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    for (format, bytes) in samples(dir.path()) {
        for _ in 0..rounds().div_ceil(4) {
            let cut = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            exercise(&acquired(&bytes[..cut]), format);
            let mut bad = bytes.clone();
            for _ in 0..=random.below(8) {
                let near = if random.below(2) == 0 { 2048 } else { bad.len() as u64 };
                let at = usize::try_from(random.below(near.min(bad.len() as u64))).unwrap();
                bad[at] = u8::try_from(random.below(256)).unwrap();
            }
            exercise(&acquired(&bad), format);
        }
    }
}

#[test]
fn a_cut_at_every_header_is_told_and_keeps_what_stands_before() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..6 {
        std::fs::write(dir.path().join(format!("f{n}")), format!("content {n}").repeat(n * 100)).unwrap();
    }
    made(dir.path(), &["tar", "-cf", "t", "f0", "f1", "f2", "f3", "f4", "f5"]);
    let bytes = std::fs::read(dir.path().join("t")).unwrap();
    let end = 6 * 512 + (1..6_usize).map(|n| (n * 900).next_multiple_of(512)).sum::<usize>();
    let mut before = 0;
    for cut in (512..end).step_by(128) {
        let look = Look::at(&acquired(&bytes[..cut]), "tar").unwrap();
        let count = look.live().filter(|e| e.is_file()).count();
        assert!(count >= before && count >= 1);
        before = count;
        let whole = look.live().filter(|e| e.is_file()).all(|e| look.content(e).is_ok());
        assert!(cut % 512 == 0 && whole || !look.gaps().is_empty(), "nothing is said of a cut at {cut}");
    }
    assert_eq!(before, 6);
    // A damaged header costs that member only.
    let mut bad = bytes.clone();
    bad[512 + 10] ^= 0xff;
    let look = Look::at(&acquired(&bad), "tar").unwrap();
    assert_eq!(look.live().filter(|e| e.is_file()).count(), 5);
    assert!(look.gaps().iter().any(|g| g.what.contains("damaged header") && g.bytes > 0));
}

/// A gigabyte of zeros in every compression, as a tar, an initramfs and a stream of its own.
#[test]
fn bombs_end_at_their_budget() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let zeros = 1_u64 << 30;
    // The first member of a tar says that it holds all that follows.
    let file = dir.path().join("zeros");
    std::fs::File::create(&file).unwrap().set_len(zeros).unwrap();
    made(dir.path(), &["sh", "-c", "tar -cf - zeros | zstd -q -c -3 > bomb.tar.zst"]);
    made(dir.path(), &["sh", "-c", "tar -cf - zeros | xz -0 -c > bomb.tar.xz"]);
    for bomb in ["bomb.tar.zst", "bomb.tar.xz"] {
        let bytes = std::fs::read(dir.path().join(bomb)).unwrap();
        let gaps = Gaps::default();
        let since = Instant::now();
        let disk = super::opened(std::sync::Arc::new(bytes), &gaps);
        assert!(disk.len() < 200 << 20, "{bomb}");
        let told = gaps.take();
        assert!(told.len() == 1 && told[0].what.contains("budget: ratio"), "{bomb}: {told:?}");
        assert!(since.elapsed() < Duration::from_secs(10), "{bomb}");
        let look = Look::at(&disk, "tar").unwrap();
        assert!(look.content(look.get("/zeros")).is_err() || disk.len() > 64 << 20);
        assert!(look.gaps().iter().any(|g| g.what.contains("ends within the member")), "{bomb}");
    }
    assert!(begun.elapsed() < Duration::from_mins(1));
}

const OVERLAP: &str = r#"
import struct, zlib
body = zlib.compressobj(9, zlib.DEFLATED, -15)
data = body.compress(bytes(20 << 20)) + body.flush()
local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, 0, len(data), 20 << 20, 1, 0) + b"a" + data
entries = b"".join(struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 33, 0, len(data), 20 << 20, 5, 0, 0, 0, 0, 0, 0) + b"%05d" % n for n in range(5000))
open("bomb.zip", "wb").write(local + entries + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 5000, 5000, len(entries), len(local), 0))
"#;

/// Members that share their bytes: a hundred gigabytes out of a hundred kilobytes.
#[test]
fn overlapping_members_of_zip_end_at_their_budget() {
    if !have("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), &["python3", "-c", OVERLAP]);
    let look = Look::at(&acquired(&std::fs::read(dir.path().join("bomb.zip")).unwrap()), "zip").unwrap();
    assert_eq!(look.live().filter(|e| e.is_file()).count(), 5000);
    let readable: u64 =
        look.live().filter(|e| e.is_file() && look.tree.open(e).is_ok()).map(cranescope::evidence::Entry::len).sum();
    assert!(readable < 300 << 20, "{readable}");
    assert!(look.gaps().iter().any(|g| g.what.contains("budget: ratio")));
}

/// A zip that holds itself, as far as the examination is concerned: zips in zips deeper than any budget.
#[test]
fn zips_in_zips_end_at_a_depth() {
    if !have("zip") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("innermost"), b"x").unwrap();
    made(dir.path(), &["zip", "-q", "0.zip", "innermost"]);
    for n in 1..12 {
        made(dir.path(), &["zip", "-q", &format!("{n}.zip"), &format!("{}.zip", n - 1)]);
    }
    let (code, _, error) =
        run(dir.path(), &["examine", "11.zip", "--case", "c", "--json", "r.json", "--quiet", "--threads", "2"]);
    assert_eq!(code, 0, "{error}");
    let report = crate::common::report(&dir.path().join("r.json"));
    let gaps = report["gaps"].as_array().unwrap();
    assert!(
        gaps.iter().any(|g| g["what"].as_str().unwrap().contains("budget: images and archives within")),
        "{gaps:?}"
    );
    assert!(report["filesystems"].as_array().unwrap().len() < 8);
}

#[test]
fn a_hundred_thousand_members_are_linear() {
    let time = |count: usize| {
        let mut bytes = Vec::new();
        for n in 0..count {
            let name = format!("d{}/e{}/f{n}\0", n % 7, n % 1000);
            let head = format!(
                "070701{:08x}000081a4{}00000001{:08x}{}{:08x}00000000",
                n,
                "0".repeat(16),
                0,
                "0".repeat(40),
                name.len()
            );
            let start = bytes.len();
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.resize(start + (bytes.len() - start).next_multiple_of(4), 0);
        }
        bytes.extend_from_slice(b"07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!\0\0\0\0");
        let source = acquired(&bytes);
        let since = Instant::now();
        let look = Look::at(&source, "cpio").unwrap();
        assert_eq!(look.gaps(), []);
        assert_eq!(look.live().filter(|e| e.is_file()).count(), count);
        since.elapsed()
    };
    time(1000);
    let (small, large) = (time(10_000), time(100_000));
    assert!(large < small * 40 + Duration::from_secs(1), "{small:?} {large:?}");
}
