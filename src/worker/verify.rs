//! An image read from end to end: hashes compared with those that its container stores, bad chunks named.
use super::link::Link;
use super::look::Files;
use super::protocol::Checked;
use crate::base::{Cancelled, Gaps, Progress, Run, Stage};
use crate::extract::hash_image::{Wanted, hash_image};
use crate::extract::{Input, Sink};
use crate::image::{self, Source, Store};
use crate::inventory::StoredHash;

/// Places that are named one by one.
const MAX_NAMED: usize = 10_000;
const SECTOR: usize = 512;

pub(super) fn verify(
    inputs: Vec<Input>,
    link: &Link,
    progress: &Progress,
) -> Result<Result<Vec<Checked>, String>, Cancelled> {
    let store = Store::new(link.scratch());
    let mut all = Vec::new();
    for (number, input) in (0..).zip(inputs) {
        let gaps = Gaps::default();
        if input.folder.is_some() {
            all.push(Checked { container: "folder".into(), is_bare: true, ..Checked::default() });
            continue;
        }
        let opened = image::open_with(image::join(input.segments), number, &Files(link, number), &gaps, &store);
        let (format, container) = match opened {
            Ok(opened) => opened,
            Err(e) => return Ok(Err(format!("{}: {e}", input.name))),
        };
        let stored = |(algorithm, stored)| StoredHash { algorithm, stored, ..StoredHash::default() };
        let mut checked = Checked {
            container: format.name.to_owned(),
            size: container.disk.len(),
            is_bare: format.name == "raw",
            stored_hashes: container.stored_hashes.into_iter().map(stored).collect(),
            gaps: gaps.take(),
            ..Checked::default()
        };
        if !checked.is_bare {
            progress.begin(checked.size);
            link.stage(Stage::HashingImages, checked.size);
            let wanted = Wanted::for_algorithms(checked.stored_hashes.iter().map(|h| h.algorithm.as_str()));
            let hashes = hash_image(&container.disk, wanted, &Gaps::default(), progress)?;
            checked.sha256 = hashes.sha256.map(|d| d.to_string());
            for hash in &mut checked.stored_hashes {
                hash.compare(hashes.hex(&hash.algorithm));
            }
            checked.unreadable = named(&container.disk, &hashes.unreadable, progress)?;
        }
        all.push(checked);
    }
    Ok(Ok(all))
}

/// The errors of runs that cannot be read, each once, in order: a chunk's error names the chunk.
fn named(disk: &Source, runs: &[Run], progress: &Progress) -> Result<Vec<String>, Cancelled> {
    let mut found: Vec<String> = Vec::new();
    let mut more = 0_u64;
    for run in runs {
        let mut at = run.offset;
        while at < run.end() {
            progress.step(0)?;
            if let Err(e) = disk.read_at(at, &mut [0; SECTOR])
                && found.last() != Some(&e.what)
            {
                if found.len() < MAX_NAMED {
                    found.push(e.what);
                } else {
                    more = more.saturating_add(run.end().saturating_sub(at));
                    break;
                }
            }
            at = at.saturating_add(SECTOR as u64);
        }
    }
    if more > 0 {
        found.push(format!("{more} bytes more in further places"));
    }
    Ok(found)
}
