//! A volume: its logical blocks one after the other, wherever they lie. What none holds reads as erased flash.
use super::geometry::Geometry;
use super::scan::Physical;
use crate::base::{Piece, PieceKind, Run};
use crate::image::{Extent, Map, ReadAt, ReadError, Source};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Logical {
    pub(super) device: Source,
    pub(super) geometry: Geometry,
    pub(super) blocks: BTreeMap<u32, Physical>,
    /// Bytes of a logical block that are the volume's.
    pub(super) usable: u64,
    pub(super) is_static: bool,
    /// Bytes.
    pub(super) len: u64,
    pub(super) erased: Source,
}

impl Map for Logical {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let impossible = || ReadError { offset, what: "a logical block of no size".to_owned() };
        let number = offset.checked_div(self.usable).ok_or_else(impossible)?;
        let inside = offset.checked_rem(self.usable).ok_or_else(impossible)?;
        let rest = self.usable.saturating_sub(inside);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(physical) = self.blocks.get(&number) {
            let data = physical.at.saturating_add(u64::from(self.geometry.first.data));
            let stored = if self.is_static { self.usable.min(u64::from(physical.head.data_size)) } else { self.usable };
            return Ok(match stored.checked_sub(inside).filter(|len| *len > 0) {
                Some(len) => Extent::Stored { source: self.device.clone(), offset: data.saturating_add(inside), len },
                None => Extent::Absent { len: rest, what: format!("logical block {number} holds less than it should") },
            });
        }
        if self.is_static {
            return Ok(Extent::Absent { len: rest, what: format!("no erase block holds logical block {number}") });
        }
        let next = self.blocks.range(number..).next().map(|(n, _)| u64::from(*n).saturating_mul(self.usable));
        let len = next.unwrap_or(self.len).max(offset.saturating_add(rest)).saturating_sub(offset);
        Ok(Extent::Stored { source: self.erased.clone(), offset: 0, len })
    }
}

/// Erased flash, as long as anyone asks for.
struct Erased;
impl ReadAt for Erased {
    fn len(&self) -> u64 {
        u64::MAX
    }
    fn read_at(&self, _: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        buf.fill(0xff);
        Ok(buf.len())
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        vec![Piece { image: 0, offset: 0, len: bytes.len, kind: PieceKind::Hole }]
    }
}
pub(super) fn erased() -> Source {
    Arc::new(Erased)
}
