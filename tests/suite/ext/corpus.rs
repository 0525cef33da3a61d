//! Real images with known damage, from other projects' tests: at least what `fls` lists, or a gap.
use super::image::{Image, unreplayed};
use crate::look::{Look, corpus};
use std::collections::HashSet;
use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

/// The ext images of the corpus, unpacked, that are whole file systems.
pub(super) fn images() -> Vec<(String, Vec<u8>)> {
    let Some(dir) = corpus() else {
        return Vec::new();
    };
    let index = std::fs::read_to_string(dir.join("index.tsv")).unwrap();
    let mut out = Vec::new();
    for line in index.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (source, file, format, container) = (cells[0], cells[1], cells[4], cells[5]);
        if format != "ext" || file.contains("expect") {
            continue;
        }
        let path = dir.join(source).join(file);
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let mut plain = Vec::new();
        match container {
            "" | "raw" => plain = bytes,
            "gz" => {
                if flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(256 << 20).read_to_end(&mut plain).is_err()
                {
                    continue;
                }
            }
            "zst" => {
                let Ok(mut decoder) = ruzstd::decoding::StreamingDecoder::new(bytes.as_slice()) else { continue };
                if decoder.read_to_end(&mut plain).is_err() {
                    continue;
                }
            }
            _ => continue,
        }
        out.push((format!("{source}/{file}"), plain));
    }
    out
}

/// A path as far as `fls` shows it: control characters and what is no UTF-8 come out as `^`.
fn shown(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = path.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { *b } else { b'^' }).collect();
    out.dedup_by(|a, b| *a == b'^' && *b == b'^');
    out
}

/// Inode numbers of the live names `fls` lists, by path; its own virtual entries left out.
fn fls(image: &Image, typed: bool) -> Option<HashSet<(u64, Vec<u8>)>> {
    let out =
        Command::new("timeout").args(["20", "fls", "-r", "-p", "-u", "-f", "ext"]).arg(image.path()).output().ok()?;
    let mut found = HashSet::new();
    // Where the time limit stops it, the last line is cut off.
    let whole = out.stdout.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    for line in out.stdout[..whole].split(|b| *b == b'\n') {
        let Some(tab) = line.iter().position(|b| *b == b'\t') else { continue };
        let head = String::from_utf8_lossy(&line[..tab]).into_owned();
        // An entry without a kind where entries have one: hash values of an index block, taken for a name.
        if typed && head.starts_with("-/") || head.starts_with("-/-") {
            continue;
        }
        let inode = head.trim_end_matches(':').split_whitespace().next_back()?.split('-').next()?.parse().ok();
        let Some(inode) = inode else { continue };
        let path = [b"/", &line[tab + 1..]].concat();
        if !path.starts_with(b"/$OrphanFiles") {
            found.insert((inode, shown(&path)));
        }
    }
    Some(found)
}

#[test]
fn the_corpus_lists_what_fls_lists() {
    let all = images();
    if all.is_empty() {
        return;
    }
    if Command::new("fls").arg("-V").output().is_err() {
        eprintln!("skipped: sleuthkit is not installed");
        return;
    }
    let (mut opened, mut refused, mut explained) = (0, 0, 0);
    let mut unexplained: Vec<String> = Vec::new();
    for (name, bytes) in &all {
        let image = Image::from_bytes(bytes);
        let start = Instant::now();
        let look = Look::at(&image.source(), "ext");
        assert!(start.elapsed() < Duration::from_mins(1), "{name} took {:?}", start.elapsed());
        let typed = look.as_ref().is_ok_and(|l| l.fs().info().features.iter().any(|f| f == "filetype"));
        let listed = fls(&image, typed).unwrap_or_default();
        let start = Instant::now();
        let look = match look {
            Ok(look) => look,
            Err(e) => {
                refused += 1;
                eprintln!("{name}: {e}; fls lists {}", listed.len());
                continue;
            }
        };
        opened += 1;
        let ours: HashSet<(u64, Vec<u8>)> =
            look.tree.entries.iter().map(|e| (e.node.number, shown(e.path.bytes()))).collect();
        let gaps = look.gaps();
        // fls does not replay journals.
        let raw = unreplayed(&image.source());
        let unreplayed: HashSet<(u64, Vec<u8>)> =
            raw.tree.entries.iter().map(|e| (e.node.number, shown(e.path.bytes()))).collect();
        let missing: Vec<_> = listed.iter().filter(|e| !ours.contains(*e) && !unreplayed.contains(*e)).collect();
        if !missing.is_empty() {
            explained += 1;
            let some: Vec<_> =
                missing.iter().take(3).map(|(i, p)| format!("{i} {}", String::from_utf8_lossy(p))).collect();
            eprintln!(
                "{name}: fls lists {} more ({some:?}); gaps {:?}",
                missing.len(),
                gaps.iter().map(|g| &g.what).collect::<Vec<_>>()
            );
            if gaps.is_empty() {
                unexplained.push(format!("{name}: {some:?}"));
            }
        }
        for entry in look.live().filter(|e| e.is_file()) {
            let _ = look.content(entry);
        }
        look.fs().unallocated();
        assert!(start.elapsed() < Duration::from_secs(90), "{name} took {:?}", start.elapsed());
    }
    eprintln!("{} images: {opened} opened, {refused} refused, {explained} with a gap for what fls lists", all.len());
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert!(opened * 100 >= all.len() * 90, "{opened} of {}", all.len());
}
