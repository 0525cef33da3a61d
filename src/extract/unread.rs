//! Volumes and areas that nothing interprets: laid out by what a flash chip says of itself, empty, or weighed.
use super::bytes::{Class as Bytes, Filling};
use super::density::Densities;
use super::layout::{Layout, Means};
use super::scan::{Above, Role, Spot};
use crate::base::Run;
use crate::fs;
use crate::image::Source;
use crate::image::magic;
use crate::inventory::VolumeState;
use crate::volume;

/// Longest area that is read to see whether it is empty.
const ZERO_CHECK: u64 = 256 << 20;

impl Layout {
    /// A flash chip whose layout stands in the boot loader's environment or in a device tree on it.
    pub(super) fn laid_out(&mut self, spot: &Spot, source: &Source, means: &Means<'_>) -> Option<VolumeState> {
        let id = self.volume_id(spot.volume);
        // A partition of such a layout is not divided by it again.
        let own = self.scene.volumes.get(spot.volume as usize).map(|v| v.scheme.clone()).unwrap_or_default();
        if ["mtdparts", "fixed-partitions"].contains(&own.as_str())
            || !(means.enter)(&format!("layout of the flash in {id}"))
        {
            return None;
        }
        let (scheme, parts) = volume::flash::parts(source, &spot.gaps)?;
        let above = Above::parts_of(spot, &id);
        self.add_parts(&above, scheme, parts, source, means, &spot.gaps);
        Some(VolumeState::Read)
    }

    /// Whether a run holds nothing: zeros, or erased flash from end to end. Counts it so.
    pub(super) fn is_empty(&mut self, spot: &Spot, source: &Source) -> bool {
        match filled(source) {
            Some(0) => {
                if spot.role == Role::Whole {
                    let what = "the whole image is zeros: nothing was ever written to the disk, it was erased, or it encrypts itself \
                                and was locked when it was acquired";
                    spot.gaps.add("volume", what, 0);
                }
                self.claim(spot, source, Run::new(0, source.len()), Bytes::Zero);
            }
            Some(0xff) if !spot.in_file => self.claims.note(source, Run::new(0, source.len()), Filling::Erased),
            Some(0xff) => {}
            _ => return false,
        }
        true
    }

    /// Counts what the bytes of an area are that nothing interprets.
    pub(super) fn fill(&mut self, spot: &Spot, source: &Source, fillings: &Densities) {
        for run in &fillings.zero {
            self.claim(spot, source, *run, Bytes::Zero);
        }
        if spot.in_file {
            return;
        }
        for (runs, filling) in [(&fillings.erased, Filling::Erased), (&fillings.dense, Filling::Dense)] {
            for run in runs {
                self.claims.note(source, *run, filling);
            }
        }
    }

    /// An area that no entry of the table claims: told if it is not empty and begins like something.
    pub(super) fn unclaimed(&mut self, spot: &Spot, source: &Source) {
        if self.is_empty(spot, source) {
            return;
        }
        if let Some(info) = self.scene.volumes.get_mut(spot.volume as usize) {
            info.state = VolumeState::Unsupported;
        }
        if let Some(name) = fs::recognise(source)
            .map(|f| f.name)
            .or_else(|| magic::name(&**source).filter(|m| !m.bytes.is_empty()).map(|m| m.name))
        {
            let what = format!("no table entry claims this area, and it begins like {name}");
            spot.gaps.add("volume", what, source.len());
        }
        let mut fillings = Densities::default();
        fillings.weigh(source, ZERO_CHECK);
        if source.len() > ZERO_CHECK {
            let what = format!(
                "no table entry claims this area; whether it is dense was looked at in its first {ZERO_CHECK} bytes"
            );
            spot.gaps.add("volume", what, source.len().saturating_sub(ZERO_CHECK));
        }
        fillings.tell(&[], &spot.gaps);
        self.fill(spot, source, &fillings);
    }
}

/// The byte that every byte is, if it is zero or that of erased flash; `None` as well where it is too long to look
/// or cannot be read.
fn filled(source: &Source) -> Option<u8> {
    if source.len() > ZERO_CHECK {
        return None;
    }
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    let mut byte = None;
    while at < source.len() {
        let n = source.read_at(at, &mut buf).ok().filter(|n| *n > 0)?;
        let window = buf.get(..n)?;
        let wanted = *byte.get_or_insert(*window.first()?);
        if !matches!(wanted, 0 | 0xff) || window.iter().any(|b| *b != wanted) {
            return None;
        }
        at = at.saturating_add(n as u64);
    }
    byte.or(Some(0))
}
