//! Data runs: where the clusters of a value lie.
//! Format: "Data Runs" in the Linux-NTFS project's documentation.
use super::raw::u8_at;

/// A run that exists as zeros only.
pub(super) const HOLE: u64 = u64::MAX;
/// A run whose place is not known, because what leads to it is damaged.
pub(super) const LOST: u64 = u64::MAX - 1;

/// Clusters that follow one another in the value and on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// First cluster of the value.
    pub(super) vcn: u64,
    /// First cluster of the volume, [`HOLE`] or [`LOST`].
    pub(super) lcn: u64,
    /// Clusters; at least 1.
    pub(super) len: u64,
}
impl Extent {
    pub(super) fn end(&self) -> u64 {
        self.vcn.saturating_add(self.len)
    }
    pub(super) fn is_stored(&self) -> bool {
        self.lcn < LOST
    }
}

/// Decodes runs that begin at the cluster `vcn` of a value. The error keeps what came before the
/// damage.
pub(super) fn decode(bytes: &[u8], mut vcn: u64, out: &mut Vec<Extent>) -> Result<(), &'static str> {
    let mut at = 0_usize;
    let mut lcn = 0_i64;
    while let Some(head) = u8_at(bytes, at).filter(|h| *h != 0) {
        let (counts, places) = (usize::from(head & 15), usize::from(head >> 4));
        let from = at.saturating_add(1);
        let middle = from.saturating_add(counts);
        let end = middle.saturating_add(places);
        let (Some(count), Some(place)) = (bytes.get(from..middle), bytes.get(middle..end)) else {
            return Err("data runs end within a run");
        };
        if counts > 8 || places > 8 {
            return Err("data run with a number of more than eight bytes");
        }
        let len = u64::try_from(signed(count)).ok().filter(|n| *n > 0).ok_or("data run without clusters")?;
        if vcn.checked_add(len).is_none_or(|end| end >= LOST) {
            return Err("data run beyond any file");
        }
        if places == 0 {
            push(out, Extent { vcn, lcn: HOLE, len });
        } else {
            lcn = lcn.checked_add(signed(place)).ok_or("data run beyond any volume")?;
            let start = u64::try_from(lcn).map_err(|_| "data run before the volume")?;
            push(out, Extent { vcn, lcn: start, len });
        }
        vcn = vcn.saturating_add(len);
        at = end;
    }
    Ok(())
}

/// Appends an extent, joined with the one before where both are one.
fn push(out: &mut Vec<Extent>, new: Extent) {
    if let Some(last) = out.last_mut()
        && last.end() == new.vcn
        && ((last.lcn == HOLE && new.lcn == HOLE)
            || (last.is_stored() && new.is_stored() && last.lcn.checked_add(last.len) == Some(new.lcn)))
    {
        last.len = last.len.saturating_add(new.len);
        return;
    }
    out.push(new);
}

fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 };
    let mut whole = [fill; 8];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    i64::from_le_bytes(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<(u64, u64, u64)>, Result<(), &'static str>) {
        let mut out = Vec::new();
        let end = decode(bytes, 3, &mut out);
        (out.iter().map(|e| (e.vcn, e.lcn, e.len)).collect(), end)
    }

    #[test]
    fn runs_forward_backward_and_sparse() {
        // The published example 21 18 34 56 00, then one back, a hole, and one that touches.
        let (runs, end) = all(&[0x21, 0x18, 0x34, 0x56, 0x11, 0x02, 0xf0, 0x01, 0x05, 0x11, 0x03, 0x02, 0x00, 0xff]);
        assert_eq!(runs, [(3, 0x5634, 0x18), (0x1b, 0x5624, 2), (0x1d, HOLE, 5), (0x22, 0x5626, 3)]);
        assert!(end.is_ok());
        assert_eq!(all(&[0x11, 2, 9, 0x11, 2, 2, 0]).0, [(3, 9, 4)]);
    }
    #[test]
    fn damage_keeps_what_came_before() {
        let (runs, end) = all(&[0x11, 2, 9, 0x11, 0, 2]);
        assert_eq!((runs.len(), end), (1, Err("data run without clusters")));
        assert_eq!(all(&[0x11, 2, 9, 0x21, 7, 2]).1, Err("data runs end within a run"));
        assert_eq!(all(&[0x11, 2, 0x80]).1, Err("data run before the volume"));
        assert!(all(&[0x91, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]).1.is_err());
        let mut far = vec![0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1];
        far.extend(far.clone());
        far.extend(far.clone());
        assert!(all(&far).1.is_err());
    }
}
