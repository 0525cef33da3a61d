//! A file's bytes: parts of it that nodes hold, the newer over the older. What none holds is a hole.
use super::node::Part;
use super::{Volume, codec};
use crate::base::{Piece, PieceKind, Run};
use crate::fs::raw::size;
use crate::image::{ReadAt, ReadError, pieces, read_exact};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stretch of the file that one node holds: behind its last byte, and the node.
type Stretch = (u64, Part);

pub(super) struct Content {
    volume: Arc<Volume>,
    len: u64,
    /// By first byte; not overlapping.
    parts: BTreeMap<u64, Stretch>,
}

impl Content {
    /// `parts` in the order of their versions.
    pub(super) fn new<'a>(volume: &Arc<Volume>, len: u64, parts: impl Iterator<Item = &'a Part>) -> Self {
        let mut map = BTreeMap::new();
        for part in parts.filter(|p| p.len > 0) {
            lay(&mut map, part);
        }
        Self { volume: volume.clone(), len, parts: map }
    }
    /// The node that holds a byte, or none, and where that ends.
    fn part(&self, at: u64) -> (Option<&Part>, u64) {
        if let Some((_, (end, part))) = self.parts.range(..=at).next_back().filter(|(_, (end, _))| *end > at) {
            return (Some(part), (*end).min(self.len));
        }
        (None, self.parts.range(at..).next().map_or(self.len, |(start, _)| *start).min(self.len))
    }
    fn decoded(&self, part: &Part) -> Result<Arc<Vec<u8>>, String> {
        self.volume.blocks.get(part.at, || {
            let failed = |e: &dyn std::fmt::Display| format!("node at volume_offset {}: {e}", part.at);
            let bytes = read_exact(&*self.volume.source, part.at, size(u64::from(part.packed)));
            let bytes = bytes.map_err(|e| failed(&e))?.ok_or_else(|| failed(&"beyond the end of the volume"))?;
            codec::decode(part.compressor, &bytes, size(u64::from(part.len))).map_err(|e| failed(&e))
        })
    }
}

/// Lays a part over what is there.
fn lay(map: &mut BTreeMap<u64, Stretch>, part: &Part) {
    let start = u64::from(part.offset);
    let end = start.saturating_add(u64::from(part.len));
    if let Some((first, (old, under))) = map.range(..start).next_back().map(|(k, v)| (*k, v.clone())) {
        if old > end {
            map.insert(end, (old, under.clone()));
        }
        if old > start {
            map.insert(first, (start, under));
        }
    }
    while let Some((first, (old, under))) = map.range(start..end).next().map(|(k, v)| (*k, v.clone())) {
        map.remove(&first);
        if old > end {
            map.insert(end, (old, under));
        }
    }
    map.insert(start, (end, part.clone()));
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let total = buf.len().min(size(self.len.saturating_sub(offset)));
        let mut done = 0_usize;
        while done < total {
            let at = offset.saturating_add(done as u64);
            let (part, until) = self.part(at);
            let end = done.saturating_add(size(until.saturating_sub(at))).min(total);
            let Some(to) = buf.get_mut(done..end).filter(|p| !p.is_empty()) else { break };
            match part {
                Some(part) if part.compressor != codec::ZERO => {
                    let fail = |what| ReadError { offset: at, what };
                    let from = size(at.saturating_sub(u64::from(part.offset)));
                    let decoded = self.decoded(part).map_err(fail)?;
                    let bytes = decoded.get(from..from.saturating_add(to.len()));
                    to.copy_from_slice(bytes.ok_or_else(|| fail("a node holds less than it says".to_owned()))?);
                }
                _ => to.fill(0),
            }
            done = end;
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        while at < end {
            let (part, until) = self.part(at);
            let len = until.min(end).saturating_sub(at);
            if len == 0 {
                break;
            }
            match part {
                Some(part) if matches!(part.compressor, codec::NONE | codec::COPY) => {
                    let from = part.at.saturating_add(at.saturating_sub(u64::from(part.offset)));
                    out.extend(pieces(&*self.volume.source, Run::new(from, len)));
                }
                Some(part) if part.compressor != codec::ZERO => {
                    let run = Run::new(part.at, u64::from(part.packed));
                    let first = self.volume.source.locate(run).first().map_or((0, part.at), |p| (p.image, p.offset));
                    out.push(Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded });
                }
                _ => match out.last_mut() {
                    Some(last) if last.kind == PieceKind::Hole => last.len = last.len.saturating_add(len),
                    _ => out.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Hole }),
                },
            }
            at = at.saturating_add(len);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::node::Order;
    use super::*;

    #[test]
    fn newer_parts_lie_over_older_ones() {
        let part = |offset: u32, len: u32, version: u32| {
            let mut node = vec![0; 68];
            for (at, n) in [(16, version), (44, offset), (52, len)] {
                node.splice(at..at + 4, n.to_le_bytes());
            }
            let sum = super::super::node::crc(node.get(..60).unwrap());
            node.splice(64..68, sum.to_le_bytes());
            Part::parse(Order { big: false }, &node, 0, false).unwrap()
        };
        let mut map = BTreeMap::new();
        for (version, (offset, len)) in (1..).zip([(0, 100), (20, 10), (25, 50), (90, 30), (0, 5), (26, 2)]) {
            lay(&mut map, &part(offset, len, version));
        }
        let have: Vec<_> = map.iter().map(|(start, (end, p))| (*start, *end, p.version)).collect();
        assert_eq!(
            have,
            [(0, 5, 5), (5, 20, 1), (20, 25, 2), (25, 26, 3), (26, 28, 6), (28, 75, 3), (75, 90, 1), (90, 120, 4)]
        );
    }
}
