//! How long an erase block is, and where a device ends: UBI writes down neither.
use super::headers::{Erase, HEADER};
use crate::image::{ReadError, Source};
use std::collections::BTreeMap;

/// Headers are looked for at multiples of this; no flash has smaller pages that hold one.
const STEP: u64 = 1024;
/// Bytes that are searched for the distance between headers, and headers that are enough.
const SEARCHED: u64 = 256 << 20;
const ENOUGH: usize = 2048;
/// No chip has longer erase blocks.
const LONGEST: u64 = 64 << 20;
const CHUNK: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Bytes of a physical erase block.
    pub(super) block: u64,
    pub(super) first: Erase,
    /// Whether the length follows from a distance between headers; else there is only one.
    pub(super) measured: bool,
}

impl Geometry {
    /// The distance at which most headers follow each other, from the one at the start on.
    pub(super) fn find(source: &Source) -> Result<Option<Self>, ReadError> {
        let Some(first) = Erase::at(source, 0)? else { return Ok(None) };
        let least = u64::from(first.data).saturating_add(1);
        let mut distances: BTreeMap<u64, usize> = BTreeMap::new();
        let mut last = 0;
        let mut met = 0;
        let mut buf = vec![0; CHUNK];
        let end = source.len().min(SEARCHED);
        let mut at = 0_u64;
        while at < end && met < ENOUGH {
            let n = match source.read_at(at, &mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                // What cannot be read holds no header; the scan tells it.
                Err(_) => 0,
            };
            let window = buf.get(..n).unwrap_or_default();
            for offset in (0..window.len()).step_by(usize::try_from(STEP).unwrap_or(1024)) {
                let here = at.saturating_add(offset as u64);
                let head = window.get(offset..offset.saturating_add(HEADER)).unwrap_or_default();
                let fits = |e: &Erase| (e.vid, e.data) == (first.vid, first.data);
                if here > 0 && head.starts_with(b"UBI#") && Erase::parse(head).as_ref().is_some_and(fits) {
                    let count = distances.entry(here.saturating_sub(last)).or_default();
                    *count = count.saturating_add(1);
                    last = here;
                    met = met.saturating_add(1);
                }
            }
            at = at.saturating_add(CHUNK as u64);
        }
        let fitting = distances.iter().filter(|(d, _)| (least..=LONGEST).contains(*d));
        let block = fitting.max_by_key(|(distance, count)| (**count, std::cmp::Reverse(**distance))).map(|(d, _)| *d);
        let alone = source.len().max(least).min(LONGEST);
        Ok(Some(Self { block: block.unwrap_or(alone), first, measured: block.is_some() }))
    }

    /// Bytes from the start to the end of the last block with a header of this device.
    pub(super) fn extent(&self, source: &Source) -> u64 {
        let mut end = 0;
        let mut at = 0;
        while at < source.len() {
            // What cannot be read ends nothing.
            if let Ok(Some(erase)) = Erase::at(source, at) {
                if erase.image != self.first.image || (erase.vid, erase.data) != (self.first.vid, self.first.data) {
                    break;
                }
                end = at.saturating_add(self.block);
            }
            at = at.saturating_add(self.block);
        }
        end.min(source.len())
    }
}
