//! A log that is cited: where a line of it lies in the images.
use super::scan::Spot;
use crate::base::{Evidence, ImageRun, Run};
use crate::evidence::{Entry, System};

/// A file that is cited, opened once for all its lines.
pub(super) struct Cited {
    whole: Evidence,
    /// `None` for compressed files: their lines exist only decoded, so the runs are those of the whole.
    source: Option<crate::image::Source>,
}
impl Cited {
    pub(super) fn new(system: &System, entry: &Entry) -> Self {
        let packed = [b".gz".as_slice(), b".xz", b".zst"].iter().any(|e| entry.path.bytes().ends_with(e));
        Self { whole: system.evidence(entry), source: if packed { None } else { system.open(entry).ok() } }
    }
    pub(super) fn line(&self, spot: Spot, text: &str) -> Evidence {
        if spot.line == 0 && spot.seqnum == 0 {
            return self.whole.clone();
        }
        let line = (spot.line != 0).then_some(spot.line);
        let key = (spot.seqnum != 0).then(|| format!("__SEQNUM={}", spot.seqnum));
        let mut found = Evidence { line, key, excerpt: Some(text.to_owned()), ..self.whole.clone() };
        if let Some(source) = &self.source {
            let range = Run::new(spot.offset, spot.len);
            let mut at = range.offset;
            found.range = Some(range);
            found.image_runs.clear();
            for p in source.locate(range) {
                found.image_runs.push(ImageRun {
                    image: p.image,
                    file_offset: at,
                    offset: p.offset,
                    len: p.len,
                    kind: p.kind,
                });
                at = at.saturating_add(p.len);
            }
        }
        found
    }
}
