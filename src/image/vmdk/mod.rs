//! VMDK, the disk of VMware: one file or a descriptor with many, sparse, flat or compressed, and delta disks
//! upon a parent.
//!
//! Specified by VMware, "Virtual Disk Format 5.0"; the older `COWD` form after the libvmdk documentation.
mod descriptor;
mod sparse;

use super::fields::Fields;
use super::parent::Below;
use super::{Container, Extent, Format, Map, Mapped, OpenError, Opening, ReadError, Source, read_exact};
use crate::base::{Name, Wanted};
use descriptor::{Descriptor, Kind};
use sparse::Sparse;
use std::sync::Arc;

const BY: &str = "VMDK";
/// Longest descriptor that is read.
const MAX_TEXT: u64 = 1 << 20;
const MAX_EXTENTS: usize = 10_000;
const SESPARSE: u64 = 0xcafe_babe;

pub(super) const FORMAT: Format = Format {
    name: "VMDK",
    about: "VMware disk: monolithic, split in 2 GB extents, sparse, flat, streamOptimized, delta disks with their parents",
    limits: "seSparse extents of ESX and raw device mappings are recognized, not read",
    probe: |source| {
        let head = read_exact(&**source, 0, 21).ok().flatten().unwrap_or_default();
        head.starts_with(b"KDMV") || head.starts_with(b"COWD") || is_text(&head)
    },
    open,
};

fn is_text(head: &[u8]) -> bool {
    head.get(..21).is_some_and(|h| h.eq_ignore_ascii_case(b"# Disk DescriptorFile"))
}

fn open(opening: &Opening<'_>) -> Result<Container, OpenError> {
    let source = &opening.source;
    let head = read_exact(&**source, 0, 21)?.unwrap_or_default();
    if is_text(&head) {
        let len = usize::try_from(source.len().min(MAX_TEXT)).unwrap_or(0);
        let text = read_exact(&**source, 0, len)?.unwrap_or_default();
        return from_descriptor(opening, &Descriptor::parse(&text), None);
    }
    let own = Sparse::open(source)?;
    if let Some(text) = own.descriptor(source)? {
        return from_descriptor(opening, &Descriptor::parse(&text), Some(own));
    }
    if head.starts_with(b"KDMV") {
        let what = "an extent without its descriptor: name the descriptor (.vmdk) to have the whole disk read";
        opening.gaps.add(BY, what, 0);
    }
    own.note(opening);
    let len = own.len;
    let part = Part { start: 0, len, bytes: Bytes::Sparse(own) };
    Ok(Container::of(Arc::new(Mapped(Disk { parts: vec![part], len, below: Below::Nothing }))))
}

/// A disk of the extents that the descriptor lists; `own` is the file that it stands in itself.
fn from_descriptor(
    opening: &Opening<'_>,
    descriptor: &Descriptor,
    own: Option<Sparse>,
) -> Result<Container, OpenError> {
    let corrupt = |what: String| OpenError::Corrupt { at: 0, what };
    if descriptor.extents.is_empty() || descriptor.extents.len() > MAX_EXTENTS {
        return Err(corrupt(format!("the descriptor lists {} extents", descriptor.extents.len())));
    }
    let mut details = vec![("kind".to_owned(), Name::new(descriptor.kind.as_bytes()).display())];
    details.push(("content identifier".into(), Name::new(descriptor.cid.as_bytes()).display()));
    if descriptor.is_encrypted {
        return Err(OpenError::Unsupported("encrypted (VMware)".into()));
    }
    let mut parts = Vec::new();
    let mut start = 0_u64;
    let mut own = own;
    for extent in &descriptor.extents {
        let len = extent.sectors.checked_mul(512).ok_or_else(|| corrupt("an extent is larger than any disk".into()))?;
        // A file with its descriptor inside has one extent, itself, whatever name it bears by now.
        let is_own = descriptor.extents.len() == 1 && own.is_some();
        let bytes = match (extent.kind, own.take().filter(|_| is_own)) {
            (Kind::Zero, _) => Ok(Bytes::Zero),
            (Kind::Sparse, Some(own)) => {
                own.note(opening);
                Ok(Bytes::Sparse(own))
            }
            (Kind::Unread, _) => Err(format!("an extent of the kind {} is not read", extent.word)),
            (kind, _) => further(opening, extent, kind),
        };
        let bytes = bytes.unwrap_or_else(|why| {
            let what = format!("extent {}: {why}", parts.len());
            opening.gaps.add_at(BY, "image_offset", start, &what, len);
            Bytes::Missing(what)
        });
        if let Bytes::Sparse(sparse) = &bytes
            && sparse.len < len
        {
            let what =
                format!("extent {}: its header tells of {} bytes, the descriptor of {len}", parts.len(), sparse.len);
            opening.gaps.add_at(BY, "image_offset", 0, what, len.saturating_sub(sparse.len));
        }
        parts.push(Part { start, len, bytes });
        start = start.checked_add(len).ok_or_else(|| corrupt("the extents are larger than any disk".into()))?;
    }
    if parts.iter().all(|p| matches!(p.bytes, Bytes::Missing(_))) {
        let wanted = descriptor.extents.first().map_or_else(String::new, |e| Name::new(&e.file).display());
        return Err(OpenError::Missing { wanted, why: "none of the extents can be read".into() });
    }
    let mut below = Below::Nothing;
    if let Some(name) = &descriptor.parent {
        details.push(("parent".into(), Name::new(name).display()));
        let known = ("content identifier", descriptor.parent_cid.as_str());
        below = Below::known(opening, &[Wanted::Named(name.clone())], false, Some(known));
    }
    Ok(Container { disk: Arc::new(Mapped(Disk { parts, len: start, below })), stored_hashes: Vec::new(), details })
}

/// An extent in a file of its own.
fn further(opening: &Opening<'_>, extent: &descriptor::Extent, kind: Kind) -> Result<Bytes, String> {
    let wanted = Wanted::Named(extent.file.clone());
    let segment = opening.files.ask(&wanted).map_err(|why| format!("{wanted}: {why}"))?;
    if kind == Kind::Flat {
        let offset = extent.offset.saturating_mul(512);
        let needed = offset.saturating_add(extent.sectors.saturating_mul(512));
        if segment.source.len() < needed {
            let missing = needed.saturating_sub(segment.source.len());
            opening.gaps.add(BY, format!("{}: {missing} bytes at its end are missing", segment.name), missing);
        }
        return Ok(Bytes::Flat(segment.source, offset));
    }
    let sparse = Sparse::open(&segment.source).map_err(|e| format!("{}: {e}", segment.name))?;
    sparse.note(opening);
    Ok(Bytes::Sparse(sparse))
}

enum Bytes {
    Zero,
    Flat(Source, u64),
    Sparse(Sparse),
    Missing(String),
}

struct Part {
    start: u64,
    len: u64,
    bytes: Bytes,
}

struct Disk {
    parts: Vec<Part>,
    len: u64,
    below: Below,
}

impl Map for Disk {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let beyond = || ReadError { offset, what: "no extent holds it".into() };
        let part = self.parts.partition_point(|p| p.start <= offset).checked_sub(1).and_then(|n| self.parts.get(n));
        let part = part.ok_or_else(beyond)?;
        let inside = offset.saturating_sub(part.start);
        let left = part.len.checked_sub(inside).filter(|l| *l > 0).ok_or_else(beyond)?;
        Ok(match &part.bytes {
            Bytes::Zero => Extent::Hole { len: left },
            Bytes::Missing(why) => Extent::Absent { len: left, what: why.clone() },
            Bytes::Flat(source, at) => {
                let at = at.saturating_add(inside);
                match source.len().saturating_sub(at) {
                    0 => Extent::Absent { len: left, what: "the extent's file ends before it".into() },
                    there => Extent::Stored { source: source.clone(), offset: at, len: left.min(there) },
                }
            }
            Bytes::Sparse(sparse) => {
                let failed = |what: String| ReadError { offset, what };
                match sparse.at(inside).map_err(failed)? {
                    (None, len) => self.below.at(offset, len.min(left)),
                    (Some(extent), len) => cut(extent, len.min(left)),
                }
            }
        })
    }
}

fn cut(extent: Extent, len: u64) -> Extent {
    match extent {
        Extent::Stored { source, offset, .. } => Extent::Stored { source, offset, len },
        Extent::Hole { .. } => Extent::Hole { len },
        Extent::Absent { what, .. } => Extent::Absent { len, what },
    }
}

/// The header of a sparse extent as the file begins with it.
fn head(source: &Source, at: u64) -> Result<Option<Fields>, ReadError> {
    Ok(read_exact(&**source, at, 512)?.map(Fields))
}
