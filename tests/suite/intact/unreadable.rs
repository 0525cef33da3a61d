//! Blocks that cannot be read, and a disk that is pulled. The worker runs with a library that lets reads fail as a
//! failing disk's do: a read ends before the bad block, and one that begins in it is EIO.
use super::plan;
use crate::common::{Dice, have, rounds};
use crate::survive::disk;
use cranescope::base::{PieceKind, Run};
use cranescope::session::{Plan, Watch, examine};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BLOCK: u64 = 4096;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
static unsigned long long from[65536], to[65536];
static int count;
static long left = -1;
static ssize_t (*real)(int, void *, size_t, off64_t);
__attribute__((constructor)) static void load(void) {
    real = dlsym(RTLD_NEXT, "pread64");
    if (getenv("READS")) left = atol(getenv("READS"));
    FILE *f = getenv("BAD") ? fopen(getenv("BAD"), "r") : 0;
    unsigned long long a, n;
    while (f && count < 65536 && fscanf(f, "%llu %llu", &a, &n) == 2) { from[count] = a; to[count++] = a + n; }
    if (f) fclose(f);
}
ssize_t pread64(int fd, void *buf, size_t len, off64_t at) {
    if (left >= 0 && __sync_fetch_and_sub(&left, 1) <= 0) { left = 0; errno = ENODEV; return -1; }
    for (int n = 0; n < count; n++) {
        if ((unsigned long long)at >= from[n] && (unsigned long long)at < to[n]) { errno = EIO; return -1; }
        if ((unsigned long long)at < from[n] && at + len > from[n]) len = from[n] - at;
    }
    return real(fd, buf, len, at);
}
"#;

/// A worker program whose reads fail: `variables` say which.
fn failing(at: &Path, variables: &str) -> Option<PathBuf> {
    let library = at.join("failing.so");
    if !library.exists() {
        std::fs::write(at.join("failing.c"), SHIM).unwrap();
        if !have("cc") {
            return None;
        }
        let options = ["-shared", "-fPIC", "-O1", "-w", "-o"];
        let built = Command::new("cc").args(options).arg(&library).arg(at.join("failing.c")).arg("-ldl").status();
        assert!(built.unwrap().success());
    }
    let script = at.join("worker");
    let text = format!(
        "#!/bin/sh\n{variables} LD_PRELOAD={} exec {} worker\n",
        library.display(),
        env!("CARGO_BIN_EXE_cranescope")
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(script)
}

/// Of an ext4 image without a journal to replay: the blocks of each inode's own record, and of each folder's entries.
struct Places {
    table: BTreeMap<u64, u64>,
    inode_size: u64,
    inodes_per_group: u64,
    folders: BTreeMap<u64, Vec<u64>>,
}
impl Places {
    fn of(image: &Path, folders: &BTreeSet<u64>) -> Self {
        let out = Command::new("dumpe2fs").arg(image).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let value = |key: &str| -> u64 {
            let line = text.lines().find(|l| l.starts_with(key)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(value("Block size:"), BLOCK);
        let mut table = BTreeMap::new();
        for line in text.lines().filter_map(|l| l.trim().strip_prefix("Inode table at ")) {
            let first = line.split('-').next().unwrap().parse().unwrap();
            table.insert(table.len() as u64, first);
        }
        let folders = folders
            .iter()
            .map(|inode| {
                let out =
                    Command::new("debugfs").args(["-R", &format!("blocks <{inode}>")]).arg(image).output().unwrap();
                let text = String::from_utf8_lossy(&out.stdout).into_owned();
                (*inode, text.split_whitespace().filter_map(|w| w.parse().ok()).collect())
            })
            .collect();
        Self { table, inode_size: value("Inode size:"), inodes_per_group: value("Inodes per group:"), folders }
    }
    fn record(&self, inode: u64) -> u64 {
        let (group, index) = ((inode - 1) / self.inodes_per_group, (inode - 1) % self.inodes_per_group);
        self.table[&group] + index * self.inode_size / BLOCK
    }
}

#[test]
fn every_readable_file_is_there_and_the_map_of_the_rest_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) || !have("debugfs") || !have("dumpe2fs") {
        return;
    }
    let image = at.join("disk.img");
    let sound = examine(&plan(at, "sound.cranecase"), &Watch::unattended()).unwrap().data;
    let outer = |f: &&cranescope::inventory::File| f.evidence.filesystem.0 == 0;
    let rows = sound.inventory.files.iter().filter(outer);
    let inodes: BTreeMap<Vec<u8>, u64> =
        rows.clone().map(|f| (f.path.bytes().to_vec(), f.evidence.node.number)).chain([(b"/".to_vec(), 2)]).collect();
    let folders: BTreeSet<u64> =
        rows.clone().filter(|f| &*f.kind == "directory").map(|f| f.evidence.node.number).chain([2]).collect();
    assert!(folders.len() > 20, "{folders:?}");
    let places = Places::of(&image, &folders);
    let blocks = std::fs::metadata(&image).unwrap().len() / BLOCK;
    let mut dice = Dice::new(16);
    let (mut listed, mut hidden, mut hashed) = (0, 0, 0);
    let rounds = rounds(2, 50);
    for round in 0..rounds {
        // One block in a hundred; the first holds what says that this is a file system at all.
        let bad: BTreeSet<u64> = (1..blocks).filter(|_| dice.below(100) == 0).collect();
        let mut text = String::new();
        bad.iter().for_each(|b| writeln!(text, "{} {BLOCK}", b * BLOCK).unwrap());
        std::fs::write(at.join("bad"), text).unwrap();
        let Some(worker) = failing(at, &format!("BAD={}", at.join("bad").display())) else { return };
        let plan = Plan { worker: Some(worker), hash_image: true, ..plan(at, "bad.cranecase") };
        let data = examine(&plan, &Watch::unattended()).unwrap().data;
        // The map: exactly the injected blocks, neighbors as one run.
        let mut map: Vec<Run> = Vec::new();
        for block in &bad {
            match map.last_mut().filter(|r| r.end() == block * BLOCK) {
                Some(last) => last.len += BLOCK,
                None => map.push(Run::new(block * BLOCK, BLOCK)),
            }
        }
        let told: Vec<Run> = data
            .gaps
            .iter()
            .filter(|g| g.by == "hash" && g.at.image == Some(0))
            .filter_map(|g| {
                Some(Run::new(g.at.offset.as_ref().filter(|(space, _)| space == "image_offset")?.1, g.bytes))
            })
            .collect();
        assert_eq!(told, map, "round {round}");
        assert_eq!(data.scene.images[0].bytes.unreadable, bad.len() as u64 * BLOCK);
        assert_eq!(data.scene.images[0].sha256, None);
        let found: BTreeMap<&[u8], &cranescope::inventory::File> =
            data.inventory.files.iter().filter(outer).map(|f| (f.path.bytes(), f)).collect();
        for row in rows.clone() {
            let path = row.path.bytes();
            let mut ways = (1..path.len()).filter(|n| path[*n] == b'/').map(|n| &path[..n]).chain([&b"/"[..]]);
            let reachable = ways.all(|way| {
                let inode = inodes[way];
                !bad.contains(&places.record(inode)) && places.folders[&inode].iter().all(|b| !bad.contains(b))
            });
            let name = row.path.display();
            if !reachable || bad.contains(&places.record(row.evidence.node.number)) {
                hidden += 1;
                continue;
            }
            let Some(now) = found.get(path) else { panic!("round {round}: {name} is readable and not listed") };
            listed += 1;
            let whole = row
                .evidence
                .image_runs
                .iter()
                .filter(|r| r.kind == PieceKind::Stored)
                .all(|r| (r.offset / BLOCK..=(r.offset + r.len - 1) / BLOCK).all(|b| !bad.contains(&b)));
            if whole {
                hashed += 1;
                assert_eq!(now.sha256, row.sha256, "round {round}: {name}");
            } else {
                assert_eq!(now.sha256, None, "round {round}: {name} has a bad block");
                let gap = data.gaps.iter().any(|g| g.at.path.as_ref().is_some_and(|p| p.bytes() == path));
                assert!(gap, "round {round}: {name} has a bad block and no gap");
            }
        }
    }
    println!(
        "{rounds} rounds of 1 % bad blocks: {listed} readable files listed, {hashed} of them hashed whole, {hidden} behind bad metadata; every map exact"
    );
}

#[test]
fn a_disk_that_is_pulled_ends_in_a_case_with_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    // How often a whole examination reads.
    let rounds = u64::from(rounds(4, 60));
    let mut cases = 0;
    for round in 0..rounds {
        let reads = (round * round * 900).checked_div((rounds - 1) * (rounds - 1)).unwrap_or(0);
        let Some(worker) = failing(at, &format!("READS={reads}")) else { return };
        let begun = Instant::now();
        let done = examine(&Plan { worker: Some(worker), ..plan(at, "pulled.cranecase") }, &Watch::unattended());
        assert!(begun.elapsed() < Duration::from_mins(1), "after {reads} reads: {:?}", begun.elapsed());
        match done {
            Ok(done) => cases += usize::from(!done.data.gaps.is_empty()),
            Err(failure) => assert_eq!(failure.code, 3, "after {reads} reads: {failure}"),
        }
        let case = cranescope::session::open_case(&at.join("pulled.cranecase")).unwrap();
        assert!(reads > 800 || !case.gaps.is_empty(), "after {reads} reads nothing is missing");
    }
    assert!(cases > 0);
    // The evidence is as it was.
    let mut first = [0; 2];
    std::fs::File::open(at.join("disk.img")).unwrap().read_exact_at(&mut first, 1024 + 56).unwrap();
    assert_eq!(first, [0x53, 0xef]);
    println!("{rounds} disks pulled, {cases} cases with gaps, none hung");
}
