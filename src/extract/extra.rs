//! The stages beyond the four phases: hashes of whole images, and the second reader.
use super::hash_image::{Wanted, hash_image};
use super::layout::{Input, Layout};
use super::{Sink, item_key, second_reader};
use crate::base::{Cancelled, Digest, Gaps, Progress, Stage};
use crate::evidence::{Entry, Tree};
use crate::image::{self, Segment, Source};
use crate::inventory::StoredHash;
use std::sync::Arc;

/// Enters what the imagers recorded; with `compute`, hashes every image and compares.
pub(super) fn image_hashes(
    layout: &mut Layout,
    stored: &[Vec<StoredHash>],
    compute: bool,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    for (info, stored) in layout.scene.images.iter_mut().zip(stored) {
        info.stored_hashes.extend(stored.iter().cloned());
    }
    if !compute {
        return Ok(());
    }
    let total = layout.images.iter().map(|i| i.len()).fold(0, u64::saturating_add);
    progress.begin(total);
    sink.stage(Stage::HashingImages, total);
    for (number, source) in layout.images.iter().enumerate() {
        let gaps = Gaps::default().at(|p| p.image = u32::try_from(number).ok());
        let Some(info) = layout.scene.images.get_mut(number) else { continue };
        let wanted = Wanted::for_algorithms(info.stored_hashes.iter().map(|h| h.algorithm.as_str()));
        let hashes = hash_image(source, wanted, &gaps, progress)?;
        info.sha256 = hashes.sha256.map(|d| d.to_string());
        for hash in &mut info.stored_hashes {
            hash.compare(hashes.hex(&hash.algorithm));
        }
        info.bytes.unreadable = hashes.unreadable.iter().map(|r| r.len).fold(0, u64::saturating_add);
        info.bytes.read = info.bytes.read.saturating_sub(info.bytes.unreadable);
        sink.commit(&[], Vec::new(), gaps.take());
    }
    Ok(())
}

/// What an image was before anything was read of it.
pub(super) struct First {
    source: Source,
    sha256: Option<Digest>,
}

/// Hashes the images that are asked for.
pub(super) fn first_hashes(
    inputs: &[Input],
    wanted: &[bool],
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<Vec<Option<First>>, Cancelled> {
    let mut all = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        if !wanted.get(number).is_some_and(|w| *w) {
            all.push(None);
            continue;
        }
        let segments = input.segments.iter().map(|s| Segment { source: s.source.clone(), name: s.name.clone() });
        let source = image::join(segments.collect());
        progress.begin(source.len());
        sink.stage(Stage::Opening, source.len());
        // What cannot be read is told by the hash at the end.
        let sha256 = hash_image(&source, Wanted::default(), &Gaps::default(), progress)?.sha256;
        all.push(Some(First { source, sha256 }));
    }
    Ok(all)
}

/// Tells of the images that are no longer what they were.
pub(super) fn compare_first(
    layout: &mut Layout,
    first: Vec<Option<First>>,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    for (number, first) in first.into_iter().enumerate() {
        let (Some(First { source, sha256 }), Some(info)) = (first, layout.scene.images.get_mut(number)) else {
            continue;
        };
        let now = if info.container == "raw" {
            info.sha256.clone()
        } else {
            let hashes = hash_image(&source, Wanted::default(), &Gaps::default(), progress)?;
            hashes.sha256.map(|d| d.to_string())
        };
        let then = sha256.map(|d| d.to_string());
        if now == then {
            continue;
        }
        let text = |hash: Option<String>| {
            hash.map_or_else(|| "not readable as a whole".to_owned(), |h| format!("SHA-256 {h}"))
        };
        let changed = format!("{}: {} when opened, {} at the end", info.path, text(then), text(now));
        let gaps = Gaps::default().at(|p| p.image = u32::try_from(number).ok());
        gaps.add("evidence", format!("the evidence changed during the examination: {changed}"), 0);
        info.changed.push(changed);
        sink.commit(&[], Vec::new(), gaps.take());
    }
    Ok(())
}

/// Reads every file system that has one with its second reader, and compares.
pub(super) fn second_readers(
    layout: &mut Layout,
    trees: &[Arc<Tree>],
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    progress.begin(0);
    sink.stage(Stage::SecondReader, 0);
    // Contents of what runs and of what decides; names and sizes of everything.
    let contents =
        |e: &Entry| e.path.bytes().starts_with(b"/etc/") || e.stat.as_ref().is_some_and(|s| s.mode & 0o111 != 0);
    for tree in trees {
        let key = item_key(&("second reader", tree.id));
        if !sink.enter(key, &format!("second reader of file system {}", tree.id.0)) {
            continue;
        }
        let gaps = Gaps::default();
        let read = second_reader::compare(tree, &contents, &gaps, progress)?;
        if let (Some(read), Some(info)) = (read, layout.scene.filesystems.get_mut(tree.id.0 as usize)) {
            info.second_reader = Some((&read).into());
        }
        sink.commit(&[key], Vec::new(), gaps.take());
    }
    Ok(())
}
