//! The stages beyond the four phases: hashes of whole images, and the second reader.
use super::hash_image::{Wanted, hash_image};
use super::layout::Layout;
use super::{Sink, item_key, second_reader};
use crate::base::{Cancelled, Gaps, Progress, Stage};
use crate::evidence::{Entry, Tree};
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
