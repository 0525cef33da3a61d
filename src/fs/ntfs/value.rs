//! Values of a file's attributes put together from all its records: content, streams, indexes.
use super::Volume;
use super::content::{Content, Resident};
use super::list::Node;
use super::raw::name;
use super::record::Record;
use super::runs::{Extent, LOST, decode};
use crate::image::Source;
use std::sync::Arc;

pub(super) const COMPRESSED: u16 = 0x00ff;
pub(super) const ENCRYPTED: u16 = 0x4000;
pub(super) const SPARSE: u16 = 0x8000;

/// One value: all attributes of a kind and name together.
pub(super) struct Value {
    /// UTF-8; empty for the content itself.
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    /// Power of two of the clusters that are compressed together.
    pub(super) unit: u16,
    /// Bytes.
    pub(super) len: u64,
    pub(super) body: Body,
}

pub(super) enum Body {
    Resident {
        record: Record,
        at: usize,
    },
    Runs {
        extents: Vec<Extent>,
        /// Bytes that were ever written.
        initialized: u64,
    },
}

impl Value {
    /// Bytes of storage that the value has of its own.
    pub(super) fn allocated(&self, cluster: u64) -> u64 {
        let Body::Runs { extents, .. } = &self.body else { return 0 };
        let clusters = extents.iter().filter(|e| e.is_stored()).map(|e| e.len).fold(0, u64::saturating_add);
        clusters.saturating_mul(cluster)
    }
    /// A value in clusters, as it is stored; `None` if it stands in a record.
    pub(super) fn content(self, volume: &Volume) -> Option<Content> {
        let Body::Runs { extents, initialized } = self.body else { return None };
        let initialized = initialized.min(self.len);
        Some(Content { disk: volume.disk.clone(), len: self.len, initialized, extents: extents.into() })
    }
    /// The bytes as they are stored: neither decompressed nor decrypted.
    pub(super) fn stored(self, volume: &Volume) -> Source {
        match self.body {
            Body::Resident { record, at } => {
                let len = usize::try_from(self.len).unwrap_or(0);
                Arc::new(Resident { mft: volume.mft.content.clone(), record, at, len })
            }
            Body::Runs { extents, initialized } => Arc::new(Content {
                disk: volume.disk.clone(),
                len: self.len,
                initialized: initialized.min(self.len),
                extents: extents.into(),
            }),
        }
    }
}

/// A part of a value: in which record, and at which byte of it.
struct Part<'a> {
    name: &'a [u8],
    lowest: u64,
    record: &'a Record,
    at: usize,
}

/// All values of one kind, sorted by name, in the way that NTFS names them.
pub(super) fn values(volume: &Volume, node: &Node, kind: u32) -> Vec<Value> {
    let mut parts = Vec::new();
    node.attributes(|record, a| {
        if a.kind == kind {
            parts.push(Part { name: a.name(), lowest: a.lowest(), record, at: a.at });
        }
    });
    parts.sort_by_key(|p| (p.name, p.lowest));
    parts.chunk_by(|a, b| a.name == b.name).filter_map(|parts| joined(volume, node, parts)).collect()
}

/// The value of one kind and name (in UTF-16).
pub(super) fn value(volume: &Volume, node: &Node, kind: u32, wanted: &[u8]) -> Option<Value> {
    let mut parts = Vec::new();
    node.attributes(|record, a| {
        if a.kind == kind && a.name() == wanted {
            parts.push(Part { name: a.name(), lowest: a.lowest(), record, at: a.at });
        }
    });
    parts.sort_by_key(|p| p.lowest);
    joined(volume, node, &parts)
}

fn joined(volume: &Volume, node: &Node, parts: &[Part<'_>]) -> Option<Value> {
    let number = node.base.number;
    let here = |part: &Part<'_>| volume.mft.volume_offset(part.record.number).saturating_add(part.at as u64);
    let note = |what, part: &Part<'_>| {
        if node.base.is_used() {
            volume.damage.note(what, number, here(part), 0);
        }
    };
    let head = parts.first()?;
    let first = head.record.attribute(head.at)?;
    let mut value = Value {
        name: name(head.name),
        flags: first.flags(),
        unit: first.unit(),
        len: 0,
        body: Body::Runs { extents: Vec::new(), initialized: 0 },
    };
    if first.is_resident() {
        let Some(bytes) = first.value() else {
            note("value of a file reaches beyond its record", head);
            return Some(value);
        };
        let at = head.at.saturating_add(first.value_at().unwrap_or(0));
        value.len = bytes.len() as u64;
        value.body = Body::Resident { record: head.record.clone(), at };
        return Some(value);
    }
    let mut extents: Vec<Extent> = Vec::new();
    for part in parts {
        let Some(a) = part.record.attribute(part.at).filter(|a| !a.is_resident()) else { continue };
        let end = extents.last().map_or(0, Extent::end);
        if part.lowest < end {
            note("two parts of a file cover the same clusters; the later one was left out", part);
            continue;
        }
        if part.lowest > end {
            note("a part of a file is missing between those that were found", part);
            extents.push(Extent { vcn: end, lcn: LOST, len: part.lowest.saturating_sub(end) });
        }
        if let Err(what) = decode(a.runs(), part.lowest, &mut extents) {
            note(what, part);
        }
    }
    let (mut len, mut initialized) = (first.len(), first.initialized());
    if head.lowest != 0 {
        // The sizes stood in the part that is missing.
        len = extents.last().map_or(0, Extent::end).saturating_mul(volume.disk.cluster);
        initialized = len;
    }
    value.len = len;
    value.body = Body::Runs { extents, initialized };
    Some(value)
}
