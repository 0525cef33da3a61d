//! Real MFTs without their volumes: the indexes are gone, so every name must come from the records.
use super::image::Image;
use crate::look::{Look, corpus};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Where the unnamed content of a record lies: first cluster and length of each run.
fn runs(record: &[u8]) -> (Vec<(u64, u64)>, u64) {
    let mut at = usize::try_from(number(record, 0x14, 2)).unwrap();
    while number(record, at, 4) != 0x80 {
        at += usize::try_from(number(record, at + 4, 4)).unwrap();
    }
    let allocated = number(record, at + 0x28, 8);
    let mut run = at + usize::try_from(number(record, at + 0x20, 2)).unwrap();
    let (mut out, mut first) = (Vec::new(), 0_u64);
    while record[run] != 0 {
        let (count, place) = (usize::from(record[run] & 15), usize::from(record[run] >> 4));
        let raw = number(record, run + 1 + count, place);
        let negative = place > 0 && record[run + count + place] >= 0x80;
        let fill = if negative && place < 8 { u64::MAX << (place * 8) } else { 0 };
        first = first.wrapping_add(raw | fill);
        out.push((first, number(record, run + 1, count)));
        run += 1 + count + place;
    }
    (out, allocated)
}

/// A volume on which the MFT stands where it says that it does, and nothing else.
fn volume(mft: &[u8], record: usize) -> Image {
    let (runs, allocated) = runs(mft);
    let clusters: u64 = runs.iter().map(|r| r.1).sum();
    let cluster = allocated / clusters;
    let end = runs.iter().map(|r| r.0 + r.1).max().unwrap() * cluster + (1 << 20);
    let image = Image::from_bytes(&[]);
    let file = std::fs::File::options().write(true).open(image.path()).unwrap();
    file.set_len(end).unwrap();
    let mut boot = vec![0; 512];
    boot[..11].copy_from_slice(b"\xeb\x52\x90NTFS    ");
    boot[11..13].copy_from_slice(&512_u16.to_le_bytes());
    boot[13] = u8::try_from(cluster / 512).unwrap();
    boot[0x28..0x30].copy_from_slice(&(end / 512).to_le_bytes());
    boot[0x30..0x38].copy_from_slice(&runs[0].0.to_le_bytes());
    boot[0x38..0x40].copy_from_slice(&2_u64.to_le_bytes());
    boot[0x40] = if record == 1024 { 0xf6 } else { 0xf4 };
    boot[0x44] = 0xf4;
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all_at(&boot, 0).unwrap();
    let mut done = 0_usize;
    for (first, len) in runs {
        let n = usize::try_from(len * cluster).unwrap().min(mft.len() - done);
        file.write_all_at(&mft[done..done + n], first * cluster).unwrap();
        done += n;
    }
    image
}

fn read(name: &str) -> Option<Vec<u8>> {
    std::fs::read(corpus()?.join("dfir_ntfs").join(name)).ok()
}

#[test]
fn every_record_of_a_bare_mft_is_listed() {
    let mut seen = 0;
    for (name, record) in [
        ("unicode.mft", 1024),
        ("deleted.mft", 1024),
        ("orphan.mft", 1024),
        ("different_la.mft", 1024),
        ("compressed_sparse.mft", 1024),
        ("4k-large.mft", 4096),
    ] {
        let Some(mft) = read(name) else { continue };
        seen += 1;
        let image = volume(&mft, record);
        let look = Look::at(&image.source(), "ntfs").unwrap();
        let of = |deleted: bool| -> BTreeSet<u64> {
            look.tree.entries.iter().filter(|e| e.deleted == deleted).map(|e| e.node.number).collect()
        };
        let (live, gone) = (of(false), of(true));
        for (n, bytes) in mft.chunks_exact(record).enumerate().skip(24) {
            let base = number(bytes, 0x20, 8);
            if !bytes.starts_with(b"FILE") || base != 0 || number(bytes, 0x18, 4) < 0x60 {
                continue;
            }
            let used = bytes[0x16] & 1 == 1;
            let listed = if used { &live } else { &gone };
            assert!(listed.contains(&(n as u64)), "{name}: record {n}, in use: {used}");
        }
        // The directories of the one with larger records have no index beside them.
        assert!(look.gaps().iter().any(|g| g.what.contains("index")) || record == 4096, "{name}");
    }
    eprintln!("{seen} MFTs");
}

#[test]
fn names_and_sizes_are_those_that_fls_told() {
    let Some((mft, list)) = read("unicode.mft").zip(read("unicode.fls")) else { return };
    let look = Look::at(&volume(&mft, 1024).source(), "ntfs").unwrap();
    let mut seen = 0;
    for line in String::from_utf8(list).unwrap().lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let address = cells[0].split_whitespace().next_back().unwrap();
        let parts: Vec<&str> = address.trim_end_matches(':').split('-').collect();
        // Other attributes than contents and directories are no entries of their own.
        if parts.get(1) != Some(&"128") && !line.starts_with("d/d") || line.contains("$OrphanFiles") {
            continue;
        }
        seen += 1;
        let entry = look.get(format!("/{}", cells[1]));
        assert_eq!(entry.node.number.to_string(), parts[0], "{}", cells[1]);
        if parts[1] == "128" {
            assert_eq!(entry.len().to_string(), cells[6], "{}", cells[1]);
        }
        let time = entry.stat.as_ref().unwrap().times.modified.unwrap().to_string();
        assert_eq!(time.get(..19), cells[2].get(..19).map(|t| t.replace(' ', "T")).as_deref(), "{}", cells[1]);
    }
    assert!(seen > 30, "{seen}");
}
