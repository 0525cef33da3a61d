//! What the claims of a partition table mean together: order, overlaps, and the bytes that nothing claims.
use super::{Part, PartKind};
use crate::base::{Gaps, Run};

/// Name of the space that offsets of the source are in, by what the ledger says of it.
fn space(gaps: &Gaps) -> &'static str {
    if gaps.here().volume.is_some() { "volume_offset" } else { "image_offset" }
}

/// Where a partition scheme reports: a ledger with the scheme's name and the name of the space.
pub(super) struct Report<'a> {
    pub gaps: &'a Gaps,
    pub by: &'static str,
}
impl Report<'_> {
    /// Something at byte `offset` of the source; `bytes` of evidence are lost by it.
    pub(super) fn at(&self, offset: u64, what: impl std::fmt::Display, bytes: u64) {
        self.gaps.add_at(self.by, space(self.gaps), offset, what, bytes);
    }
}

/// A run without claim.
fn unallocated(run: Run) -> Part {
    Part {
        index: 0,
        run,
        kind: PartKind::Unallocated,
        type_name: "unallocated".into(),
        label: String::new(),
        uuid: String::new(),
    }
}

/// A run that holds a table or part of one.
pub(super) fn table(offset: u64, len: u64, what: &str) -> Part {
    Part { kind: PartKind::Table, type_name: what.into(), ..unallocated(Run::new(offset, len)) }
}

/// How a part is called in a gap.
fn called(part: &Part) -> String {
    match part.kind {
        PartKind::Partition => format!("partition {}", part.index),
        _ => part.type_name.clone(),
    }
}

/// Cuts the claims to the source, sorts them, reports what lies beyond or overlaps, and fills what is
/// left with [`PartKind::Unallocated`]: together the parts cover `0..len` without a hole. A byte stands
/// in two parts only where a gap names the overlap.
pub(super) fn cover(claims: Vec<Part>, len: u64, report: &Report<'_>) -> Vec<Part> {
    let mut parts = Vec::with_capacity(claims.len());
    for mut part in claims {
        let claimed = part.run;
        part.run.len = claimed.len.min(len.saturating_sub(claimed.offset));
        let lost = claimed.len.saturating_sub(part.run.len);
        if lost > 0 {
            let what = format!(
                "{} claims bytes {} to {}, {lost} of them beyond the end at {len}",
                called(&part),
                claimed.offset,
                claimed.end()
            );
            report.at(claimed.offset, what, lost);
        }
        if part.run.len > 0 {
            parts.push(part);
        }
    }
    parts.sort_by_key(|p| (p.run.offset, p.run.len, p.index));
    let mut out: Vec<Part> = Vec::with_capacity(parts.len().saturating_mul(2));
    // The claim that reaches furthest so far, as (end, name).
    let mut reach = (0_u64, String::new());
    for part in parts {
        if part.run.offset > reach.0 {
            out.push(unallocated(Run::new(reach.0, part.run.offset.saturating_sub(reach.0))));
        } else if part.run.offset < reach.0 {
            let shared = reach.0.min(part.run.end()).saturating_sub(part.run.offset);
            let what = format!("{} overlaps {} by {shared} bytes", called(&part), reach.1);
            report.at(part.run.offset, what, 0);
        }
        if part.run.end() > reach.0 {
            reach = (part.run.end(), called(&part));
        }
        out.push(part);
    }
    if reach.0 < len {
        out.push(unallocated(Run::new(reach.0, len.saturating_sub(reach.0))));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn partition(index: u32, offset: u64, len: u64) -> Part {
        Part { index, kind: PartKind::Partition, ..unallocated(Run::new(offset, len)) }
    }

    #[test]
    fn covers_exactly_and_names_what_does_not_fit() {
        let gaps = Gaps::default();
        let report = Report { gaps: &gaps, by: "mbr" };
        let claims = vec![
            partition(2, 300, 200),
            table(0, 100, "MBR"),
            partition(1, 200, 150),
            partition(3, 900, 200),
            partition(4, 5000, 10),
        ];
        let parts = cover(claims, 1000, &report);
        let shown: Vec<_> = parts.iter().map(|p| (p.index, p.run.offset, p.run.len)).collect();
        assert_eq!(shown, [(0, 0, 100), (0, 100, 100), (1, 200, 150), (2, 300, 200), (0, 500, 400), (3, 900, 100)]);
        let said: Vec<_> = gaps.take().into_iter().map(|g| (g.at.offset.unwrap().1, g.what)).collect();
        assert_eq!(said[0], (900, "partition 3 claims bytes 900 to 1100, 100 of them beyond the end at 1000".into()));
        assert_eq!(said[1], (5000, "partition 4 claims bytes 5000 to 5010, 10 of them beyond the end at 1000".into()));
        assert_eq!(said[2], (300, "partition 2 overlaps partition 1 by 50 bytes".into()));
        assert_eq!(said.len(), 3);
    }
}
