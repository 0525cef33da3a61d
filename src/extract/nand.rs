//! Images that are dumps of NAND flash with spare areas: the pages become a volume that is scanned like any disk, the
//! spare areas one that nothing interprets. Places lead to the dump as it was acquired.
use super::bytes::Class as Bytes;
use super::layout::{Layout, Means};
use super::scan::{Role, Spot};
use crate::base::{Gaps, Run};
use crate::image::Source;
use crate::inventory::{VolumeInfo, VolumeState};
use crate::volume::nand::{self, Parts};

/// The scheme of both volumes.
const SCHEME: &str = "nand";

impl Layout {
    /// The parts of a dump, if the examiner gave their shape or it is certain.
    pub(super) fn pages(&self, image: u32, disk: &Source, means: &Means<'_>, gaps: &Gaps) -> Option<Parts> {
        let is_raw = self.scene.images.get(image as usize).is_some_and(|i| i.container == "raw");
        if let Some(given) = means.nand.filter(|_| is_raw) {
            if disk.len() >= given.both() {
                return Some(nand::split(disk, given, "given by the examiner", gaps));
            }
            gaps.add(SCHEME, format!("the image is shorter than a page and spare area of {given}"), 0);
        }
        if !is_raw || !(means.enter)(&format!("shape of image {image}")) {
            return None;
        }
        let (geometry, how) = nand::guess(disk)?;
        Some(nand::split(disk, geometry, how, gaps))
    }

    pub(super) fn add_nand(
        &mut self,
        image: u32,
        id: &str,
        disk: &Source,
        parts: &Parts,
        means: &Means<'_>,
        gaps: &Gaps,
    ) {
        if let Some(info) = self.scene.images.get_mut(image as usize) {
            info.details.extend(parts.details.clone());
        }
        let type_name = format!("NAND pages with spare areas, {}", parts.geometry);
        let whole = VolumeInfo { image, scheme: "none".into(), size: disk.len(), type_name, ..VolumeInfo::default() };
        let of: [&[u8]; 3] = [id.as_bytes(), b"none", &0_u64.to_le_bytes()];
        let Some(volume) = self.add_volume(whole, &of, disk.clone(), gaps) else { return };
        if let Some(info) = self.scene.volumes.get_mut(volume as usize) {
            info.state = VolumeState::Read;
        }
        let gaps = gaps.at(|p| p.volume = Some(volume));
        let spot = Spot { volume, image, depth: 0, in_file: false, role: Role::Whole, gaps };
        let inner = |index: u32, type_name: &str, source: &Source| VolumeInfo {
            image,
            parent: Some(volume),
            scheme: SCHEME.into(),
            index,
            size: source.len(),
            type_name: type_name.to_owned(),
            ..VolumeInfo::default()
        };
        self.go_on(&spot, inner(1, "pages", &parts.data), &parts.data, Role::Disk, means);
        let mut info = inner(2, "spare areas", &parts.spare);
        info.state = VolumeState::Unsupported;
        let own = self.volume_id(volume);
        let of: [&[u8]; 3] = [own.as_bytes(), SCHEME.as_bytes(), b"spare"];
        if self.add_volume(info, &of, parts.spare.clone(), &spot.gaps).is_some() {
            self.claim(&spot, &parts.spare, Run::new(0, parts.spare.len()), Bytes::Unparsed);
        }
    }
}
