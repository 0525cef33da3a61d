//! Registry hives: what hivexml, an independent reader, shows of real ones is shown, with the same places; damaged
//! ones end in gaps with a place.
mod artifacts;

use crate::look::{corpus, run, tool, tools, unpacked};
use cranescope::format::hive::{Hive, State, is_hive};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All hives below the corpus, with their logs, by their paths.
fn hives() -> Vec<(String, Vec<u8>, Vec<Vec<u8>>)> {
    let Some(dir) = corpus() else { return Vec::new() };
    let mut folders = vec![dir.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let of_hives = ["yarp", "dfwinreg", "ez_registry", "hivex", "notatin", "regipy", "plaso", "plaso_big"];
            let below = entry.path();
            let first = below.strip_prefix(&dir).unwrap().components().next().unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                _ if of_hives.iter().any(|n| first.as_os_str() == *n) => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    let read = |p: &Path| if p.extension().is_some_and(|e| e == "zst") { unpacked(p) } else { plain(p) };
    let beside = |p: &Path| {
        let name = p.file_name().unwrap().to_string_lossy().to_lowercase();
        let (stem, packed) = name.strip_suffix(".xz").map_or((&*name, ""), |s| (s, ".xz"));
        let logs = ["log", "log1", "log2"].map(|e| format!("{stem}.{e}{packed}"));
        let there = |log: &String| {
            let of = |f: &&PathBuf| {
                f.parent() == p.parent() && f.file_name().unwrap().to_string_lossy().to_lowercase() == *log
            };
            files.iter().find(of).and_then(|f| read(f))
        };
        logs.iter().filter_map(there).collect::<Vec<_>>()
    };
    let is_big = |b: &[u8]| b.len() > 24 << 20 && std::env::var_os("CRANESCOPE_LONG").is_none();
    let named = |p: &Path| p.strip_prefix(&dir).unwrap().display().to_string();
    let whole = |p: &PathBuf| {
        let bytes = read(p).filter(|b| is_hive(b) && !is_big(b))?;
        // Logs begin in the same way.
        let is_log = bytes.get(28).is_some_and(|kind| *kind != 0);
        (!is_log).then(|| (named(p), bytes, beside(p)))
    };
    files.iter().filter_map(whole).collect()
}
fn plain(path: &Path) -> Option<Vec<u8>> {
    if path.extension().is_some_and(|e| e == "xz") {
        return tools(&["xz"]).then(|| run(tool("xz").args(["-dc"]).arg(path)).stdout);
    }
    std::fs::read(path).ok()
}

/// A key or a value: path, name, kind, time in seconds, the byte at which its cell begins, and that of its data.
type Item = (String, String, String, u64, u64);

/// A path whose names end at their first zero, as hivexml gives them.
fn short(path: &str) -> String {
    path.split('\\').map(|n| n.split('\0').next().unwrap()).collect::<Vec<_>>().join("\\")
}

/// What this reader shows.
fn ours(hive: &Hive) -> BTreeSet<Item> {
    let mut items = BTreeSet::new();
    hive.check(&mut |v| {
        let path = String::from_utf8_lossy(v.path).into_owned();
        let time = v.key.written.map(|t| t.to_string()).unwrap_or_default();
        items.insert((short(&path), String::new(), time.get(..19).unwrap_or_default().to_owned(), v.key.run.offset, 0));
        for value in v.values {
            // Of data in several cells hivexml names the one that leads to them.
            let is_one = value.len > 4 && value.len <= 16_344;
            let data = if is_one { hive.data_run(value).map_or(0, |r| r.offset - 4) } else { 0 };
            let kind = match value.kind {
                0 => "none",
                1 => "string",
                2 => "expand",
                3 => "binary",
                4 => "int32",
                5 => "int32-big-endian",
                6 => "link",
                7 => "string-list",
                8 => "resource-list",
                9 => "resource-description",
                10 => "resource-requirements",
                11 => "int64",
                _ => "unknown",
            };
            // Of a value that is nothing hivexml gives no place.
            if value.len == 0 && !(1..=11).contains(&value.kind) {
                continue;
            }
            items.insert((short(&path), short(&value.name.lossy()), kind.to_owned(), value.run.offset, data));
        }
    });
    items
}

/// What hivexml shows; `None` where it gives up.
fn theirs(bytes: &[u8]) -> Option<BTreeSet<Item>> {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("hive");
    std::fs::write(&at, bytes).unwrap();
    let out = tool("hivexml").arg(&at).output().unwrap();
    if !out.status.success() {
        return None;
    }
    let text = String::from_utf8(out.stdout).ok()?;
    let mut items = BTreeSet::new();
    let mut path: Vec<String> = Vec::new();
    let mut value: Option<(String, String)> = None;
    let (mut time, mut places, mut depth) = (String::new(), Vec::new(), 0);
    for tag in text.split('<').skip(1) {
        let name = tag.split([' ', '>', '/']).next().unwrap();
        let attribute = |key: &str| {
            let from = tag.split(&format!(" {key}=\"")).nth(1)?;
            Some(escaped(from.split('"').next().unwrap()))
        };
        match name {
            _ if tag.starts_with("/value") => {
                let (key, kind) = value.take().unwrap();
                let data = places.get(1).copied().unwrap_or(0);
                items.insert((path[1..].join("\\"), key, kind, places[0], data));
            }
            _ if tag.starts_with("/node") => drop(path.pop()),
            "node" => {
                path.push(attribute("name").unwrap());
                depth = path.len();
            }
            "mtime" => tag.split('>').nth(1).unwrap_or_default().trim_end_matches('Z').clone_into(&mut time),
            "value" if tag.contains("/>") => {}
            "value" => {
                value = Some((attribute("key").unwrap_or_default(), attribute("type").unwrap_or_default()));
                places.clear();
            }
            "byte_run" => {
                let number = |key| attribute(key).unwrap().parse::<u64>().unwrap();
                let at = number("file_offset");
                if value.is_some() {
                    places.push(if number("len") > 16_344 { 0 } else { at });
                } else if depth == path.len() {
                    items.insert((path[1..].join("\\"), String::new(), std::mem::take(&mut time), at, 0));
                }
            }
            _ => {}
        }
    }
    Some(items)
}
fn escaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    let mut out = String::new();
    let mut rest = plain.as_str();
    while let Some(at) = rest.find("&#") {
        let (number, after) = rest[at + 2..].split_once(';').unwrap();
        let code =
            number.strip_prefix('x').map_or_else(|| number.parse().unwrap(), |h| u32::from_str_radix(h, 16).unwrap());
        out.push_str(&rest[..at]);
        out.push(char::from_u32(code).unwrap());
        rest = after;
    }
    (out + rest).replace("&apos;", "'").replace("&amp;", "&")
}

#[test]
fn the_corpus_shows_what_hivexml_shows() {
    let all = hives();
    if all.is_empty() || !tools(&["hivexml"]) {
        return;
    }
    let mut wrong = Vec::new();
    let (mut compared, mut items) = (0, 0);
    for (name, bytes, logs) in &all {
        let hive = match Hive::open(bytes.clone(), logs) {
            Ok(hive) => hive,
            Err(why) => {
                eprintln!("{name}: refused: {why}");
                continue;
            }
        };
        let mine = ours(&hive);
        let faults = hive.faults();
        eprintln!("{name}: {} keys and values, {:?}, {} faults", mine.len(), hive.state(), faults.len());
        for fault in faults.iter().take(6) {
            eprintln!("    {}:{} {}", fault.file, fault.offset, fault.what);
        }
        // Its copy with the logs applied, said to be clean.
        let mut whole = hive.bytes().to_vec();
        whole[8..12].copy_from_slice(&bytes[4..8]);
        whole[36..44].copy_from_slice(&[hive.header().root.to_le_bytes(), hive.header().bins.to_le_bytes()].concat());
        crate::kit::hives::seal(&mut whole[..4096]);
        let Some(other) = theirs(&whole) else {
            eprintln!("    hivexml gives up");
            if faults.is_empty() {
                wrong.push(format!("{name}: hivexml gives up, and nothing is told"));
            }
            continue;
        };
        compared += 1;
        items += other.len();
        let missing: Vec<_> = other.difference(&mine).take(3).collect();
        let more: Vec<_> = mine.difference(&other).take(3).collect();
        if !missing.is_empty() || (faults.is_empty() && !more.is_empty()) {
            wrong.push(format!("{name}: missing {missing:?}, more {more:?}"));
        }
    }
    eprintln!("{compared} of {} hives compared, {items} keys and values", all.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 20);
}

#[test]
fn logs_lead_to_what_windows_made_of_them() {
    let Some(dir) = corpus() else { return };
    let at = |n: &str| std::fs::read(dir.join("yarp/NewDirtyHive1").join(n)).unwrap();
    let logs = [at("NewDirtyHive.LOG1"), at("NewDirtyHive.LOG2")];
    let hive = Hive::open(at("NewDirtyHive"), &logs).unwrap();
    assert!(matches!(hive.state(), State::Recovered { .. }), "{:?} {:?}", hive.state(), hive.faults());
    let windows = Hive::open(at("RecoveredHive_Windows10"), &[]).unwrap();
    assert_eq!(ours(&hive), ours(&windows));
}

#[test]
fn what_is_damaged_says_where() {
    let damaged = [
        "yarp/BadListHive",
        "yarp/BogusKeyNamesHive",
        "yarp/DeletedDataHiveTruncated",
        "yarp/InvalidParentHive",
        "yarp/WrongOrderHive",
        "plaso/regf/corrupt_sub_key_list.hiv",
        "ez_registry/SAN(OTHER)",
        "yarp/BadLogHive2/BadLogHive",
        "yarp/GarbageHive",
    ];
    let all = hives();
    for name in damaged.iter().filter(|_| !all.is_empty()) {
        let (_, bytes, logs) = all.iter().find(|(n, ..)| n == name).unwrap();
        let hive = Hive::open(bytes.clone(), logs).unwrap();
        hive.check(&mut |_| ());
        let faults = hive.faults();
        assert!(faults.iter().any(|f| f.offset > 0 || f.file > 0), "{name}: {faults:?}");
    }
}
