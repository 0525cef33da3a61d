//! Files as the Windows overlay filter compresses them: chunks made by wimlib, put into a file's
//! stream and named by a reparse point.
use super::image::{Image, text, tools};
use crate::look::{check_places, pattern};
use cranescope::base::{PieceKind, Run};
use std::process::Command;

/// The compressed form of a content as it stands in a WIM archive: the table of chunks, then those.
fn compressed(content: &[u8], method: &str, chunk: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), content).unwrap();
    let wim = dir.path().join("archive.wim");
    let mut command = Command::new("wimcapture");
    let out = command.arg(&tree).arg(&wim).args([&format!("--compress={method}"), &format!("--chunk-size={chunk}")]);
    let out = out.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let wim = std::fs::read(wim).unwrap();
    let number = |at: usize, len: usize| (0..len).rev().fold(0_usize, |n, i| n << 8 | usize::from(wim[at + i]));
    // The header tells where the list of resources is, each with its size, place and full size.
    let (list, at) = (number(48, 7), number(56, 8));
    let entry = (at..at + list).step_by(50).find(|e| number(e + 16, 8) == content.len()).unwrap();
    assert_eq!(wim[entry + 7] & 4, 4, "not compressed");
    wim[number(entry + 8, 8)..][..number(entry, 7)].to_vec()
}

fn program() -> Vec<u8> {
    // Machine code has the call instructions that LZX treats by themselves.
    let mut bytes = std::fs::read("/proc/self/exe").unwrap();
    bytes.truncate(700_001);
    bytes
}

#[test]
fn every_algorithm_of_the_overlay_gives_the_content() {
    if !tools() {
        return;
    }
    if Command::new("wimcapture").arg("--version").output().is_err() {
        eprintln!("skipped: wimlib is not installed");
        return;
    }
    let contents = [
        ("program", program()),
        ("text", text(3, 300_000)),
        ("mixed", [text(1, 50_000), pattern(2, 70_000), vec![0; 90_000], text(4, 3)].concat()),
        ("short", text(5, 900)),
    ];
    let kinds = [(0_u32, "XPRESS", "4K"), (1, "LZX", "32K"), (2, "XPRESS", "8K"), (3, "XPRESS", "16K")];
    let image = Image::make(&[], 64);
    image.write(|root| {
        for (name, content) in &contents {
            for (number, method, chunk) in kinds {
                let path = root.join(format!("{name}-{number}"));
                std::fs::File::create(&path).unwrap().set_len(content.len() as u64).unwrap();
                let stream = root.join(format!("{name}-{number}:WofCompressedData"));
                std::fs::write(&stream, compressed(content, method, chunk)).unwrap();
                let words = [0x8000_0017, 16, 1, 2, 1, number];
                let hex: String =
                    words.iter().flat_map(|w: &u32| w.to_le_bytes()).map(|b| format!("{b:02x}")).collect();
                let mut command = Command::new("setfattr");
                let out = command.args(["-h", "-n", "system.ntfs_reparse_data", "-v", &format!("0x{hex}")]).arg(&path);
                let out = out.output().unwrap();
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            }
        }
    });
    let look = image.look();
    for (name, content) in &contents {
        for (number, ..) in kinds {
            let path = format!("/{name}-{number}");
            assert!(look.read(&path) == *content, "{path}");
            let entry = look.get(&path);
            assert!(entry.stat.as_ref().unwrap().flags.contains(&"compressed-by-overlay"), "{path}");
            let pieces = look.tree.open(entry).unwrap().locate(Run::new(0, content.len() as u64));
            assert!(pieces.iter().any(|p| p.kind == PieceKind::Decoded && p.offset > 0), "{path}");
            // The stream is the form in which the content is kept, not another one.
            assert!(look.tree.get(format!("{path}:WofCompressedData").as_bytes()).is_none());
        }
    }
    check_places(&look, &image.bytes());
    assert!(look.gaps().is_empty(), "{:?}", look.gaps());
    damaged(&image);
}

/// Flipped bytes in the compressed streams: an error or other bytes, never a panic.
fn damaged(image: &Image) {
    let whole = image.bytes();
    let look = image.look();
    let mut random = crate::look::Random(77);
    for entry in look.live().filter(|e| e.path.bytes().starts_with(b"/text-")) {
        let first = look.tree.open(entry).unwrap().locate(Run::new(0, 1))[0].offset;
        let mut failed = 0;
        for _ in 0..12 {
            let mut bytes = whole.clone();
            let at = usize::try_from(first + random.below(3000)).unwrap();
            bytes[at] ^= 1 << random.below(8);
            let source: cranescope::image::Source = std::sync::Arc::new(bytes);
            let look = crate::look::Look::at(&source, "ntfs").unwrap();
            failed += u32::from(look.content(look.get(entry.path.bytes())).is_err());
        }
        assert!(failed > 0, "{}", entry.path);
    }
}
