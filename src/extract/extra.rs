//! The stages beyond the four phases: hashes of whole images.
use super::Sink;
use super::hash_image::{Wanted, hash_image};
use super::layout::Layout;
use crate::base::{Cancelled, Gaps, Progress, Stage};
use crate::inventory::StoredHash;

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
            hash.computed = hashes.hex(&hash.algorithm);
            hash.matches = hash.computed.as_ref().map(|c| c.eq_ignore_ascii_case(&hash.stored));
        }
        info.bytes.unreadable = hashes.unreadable.iter().map(|r| r.len).fold(0, u64::saturating_add);
        info.bytes.read = info.bytes.read.saturating_sub(info.bytes.unreadable);
        sink.commit(&[], Vec::new(), gaps.take());
    }
    Ok(())
}
