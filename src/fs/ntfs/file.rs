//! One file: what is known of it, and its bytes.
use super::compressed::{Compressed, MAX_UNIT};
use super::folder::streams;
use super::list::{Node, gather};
use super::names::{Standard, flags};
use super::raw::corrupt;
use super::record::{DATA, FILE_NAME, INDEX_ALLOCATION, INDEX_ROOT, STANDARD_INFORMATION};
use super::reparse::{Meaning, meaning};
use super::value::{Body, COMPRESSED, ENCRYPTED, SPARSE, Value, value, values};
use super::{NAME_TIMES, Volume, bitmap, extended, names, security, wof};
use crate::base::{Name, NodeId};
use crate::fs::{FsError, NodeKind, Stat, Times};
use crate::image::Source;
use std::sync::{Arc, Mutex};

/// Name of the stream in which the Windows overlay keeps a file's content.
pub(super) const WOF_STREAM: &[u8] = b"WofCompressedData";

/// The file behind a node (or behind a node of one of its streams).
pub(super) fn node(volume: &Volume, id: NodeId) -> Result<Node, FsError> {
    let node = gather(id.number, &volume.mft, &volume.damage)?;
    if id.generation >> 48 != 0 || u64::from(node.base.sequence()) != id.generation & 0xffff {
        let here = volume.mft.volume_offset(id.number);
        return Err(corrupt(here, format!("record {} of the MFT belongs to another file by now", id.number)));
    }
    Ok(node)
}

/// Which of a file's streams a node names.
fn stream_of(volume: &Volume, node: &Node, id: NodeId) -> Result<Option<Value>, FsError> {
    if id.generation >> 16 == 0 {
        return Ok(None);
    }
    let found = streams(volume, node).into_iter().find(|(n, _)| *n == id);
    found.map(|(_, value)| Some(value)).ok_or(FsError::NotFound(id))
}

fn standard(node: &Node) -> Option<Standard> {
    let mut found = None;
    node.attributes(|_, a| {
        if a.kind == STANDARD_INFORMATION {
            found = found.or(a.value().and_then(Standard::parse));
        }
    });
    found
}

/// The names of a file: how many it has (those for DOS not counted), and the first `$FILE_NAME`.
struct OwnName<'a> {
    count: u32,
    value: Option<&'a [u8]>,
}

fn own_name(node: &Node) -> OwnName<'_> {
    let mut own = OwnName { count: 0, value: None };
    let mut dos = None;
    node.attributes(|_, a| {
        if a.kind != FILE_NAME {
            return;
        }
        if a.value().and_then(names::FileName::parent).is_some() {
            own.count = own.count.saturating_add(1);
            own.value = own.value.or(a.value());
        } else {
            dos = dos.or(a.value());
        }
    });
    own.value = own.value.or(dos);
    own
}

fn meaning_of(volume: &Volume, node: &Node) -> Meaning {
    meaning(volume, node, standard(node).is_some_and(|s| s.flags & names::SYSTEM != 0))
}

/// Whether a stream is only the form in which the file's content itself is kept.
pub(super) fn is_storage(volume: &Volume, node: &Node, stream: &Value) -> bool {
    stream.name == WOF_STREAM && matches!(meaning_of(volume, node), Meaning::Wof(_))
}

pub(super) fn stat(volume: &Volume, id: NodeId) -> Result<Stat, FsError> {
    let node = node(volume, id)?;
    let standard = standard(&node);
    let mut stat = Stat {
        kind: NodeKind::File,
        len: 0,
        allocated: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 0,
        times: Times::default(),
        flags: flags(standard.map_or(0, |s| s.flags)),
        xattrs: Vec::new(),
        device: None,
    };
    let own = own_name(&node);
    stat.links = own.count.max(1);
    // Without the one set of times the other is better than none.
    let name_times = own.value.and_then(|value| value.get(8..40));
    stat.times = standard.map(|s| s.times).or(name_times.and_then(|t| names::times(t, 0))).unwrap_or_default();
    stat.xattrs.extend(security::of(volume, &node));
    if let Some(stream) = stream_of(volume, &node, id)? {
        stat.len = stream.len;
        stat.allocated = stream.allocated(volume.disk.cluster);
        note_flags(&mut stat, stream.flags);
        return Ok(stat);
    }
    if let (Some(value), Some(standard)) = (name_times, standard)
        && names::times(value, 0) != Some(standard.times)
    {
        stat.xattrs.push((Name::new(NAME_TIMES), value.to_vec()));
    }
    extended::attributes(volume, &node, &mut stat);
    if node.base.is_directory() {
        stat.kind = NodeKind::Directory;
        let blocks = values(volume, &node, INDEX_ALLOCATION);
        stat.allocated = blocks.iter().map(|b| b.allocated(volume.disk.cluster)).fold(0, u64::saturating_add);
        let roots = if blocks.is_empty() { values(volume, &node, INDEX_ROOT) } else { blocks };
        stat.len = roots.iter().map(|b| b.len).fold(0, u64::saturating_add);
    } else if let Some(data) = value(volume, &node, DATA, b"") {
        stat.len = data.len;
        stat.allocated = data.allocated(volume.disk.cluster);
        note_flags(&mut stat, data.flags);
    }
    match meaning(volume, &node, standard.is_some_and(|s| s.flags & names::SYSTEM != 0)) {
        Meaning::Link(target) => {
            stat.kind = NodeKind::Symlink;
            stat.len = target.len() as u64;
        }
        Meaning::Special(kind, device) => {
            stat.kind = kind;
            stat.device = device.or(stat.device);
        }
        Meaning::Wof(_) => {
            stat.flags.push("compressed-by-overlay");
            let kept = streams(volume, &node).into_iter().find(|(_, s)| s.name == WOF_STREAM);
            stat.allocated = kept.map_or(stat.allocated, |(_, s)| s.allocated(volume.disk.cluster));
        }
        Meaning::Plain | Meaning::Elsewhere(_) | Meaning::Unknown(_) => {}
    }
    Ok(stat)
}

/// What a stream's own flags add to those of its file.
fn note_flags(stat: &mut Stat, bits: u16) {
    for (bit, name) in [(COMPRESSED, "compressed"), (ENCRYPTED, "encrypted"), (SPARSE, "sparse")] {
        if bits & bit != 0 && !stat.flags.contains(&name) {
            stat.flags.push(name);
        }
    }
}

pub(super) fn link(volume: &Volume, id: NodeId) -> Result<Vec<u8>, FsError> {
    let node = node(volume, id)?;
    match meaning_of(volume, &node) {
        Meaning::Link(target) => Ok(target),
        _ => Err(corrupt(volume.mft.volume_offset(id.number), "not a symbolic link")),
    }
}

pub(super) fn open(volume: &Volume, id: NodeId) -> Result<Source, FsError> {
    let node = node(volume, id)?;
    if let Some(stream) = stream_of(volume, &node, id)? {
        return still_there(volume, &node, &stream).and_then(|()| content(volume, id, stream));
    }
    match meaning_of(volume, &node) {
        Meaning::Link(target) => return Ok(Arc::new(target)),
        Meaning::Special(..) => {
            return Err(FsError::Unsupported("a device, pipe or socket has no content".to_owned()));
        }
        Meaning::Elsewhere(what) if !node.base.is_directory() => return Err(FsError::Unsupported(what.to_owned())),
        Meaning::Wof(number) => return overlay(volume, &node, number),
        _ => {}
    }
    let kind = if node.base.is_directory() { INDEX_ALLOCATION } else { DATA };
    let found = values(volume, &node, kind).into_iter().find(|v| kind != DATA || v.name.is_empty());
    match found {
        Some(data) => still_there(volume, &node, &data).and_then(|()| content(volume, id, data)),
        None => Ok(Arc::new(Vec::new())),
    }
}

/// Refuses the content of a deleted file whose clusters belong to another file by now.
fn still_there(volume: &Volume, node: &Node, stream: &Value) -> Result<(), FsError> {
    match &stream.body {
        Body::Runs { extents, .. } if !node.base.is_used() && bitmap::in_use(volume, extents) => {
            let what = "the clusters of this deleted file are in use again: its content is not there any more";
            Err(FsError::Unsupported(what.to_owned()))
        }
        _ => Ok(()),
    }
}

/// The content of a file that the Windows overlay compresses.
fn overlay(volume: &Volume, node: &Node, number: u32) -> Result<Source, FsError> {
    let here = volume.mft.volume_offset(node.base.number);
    let algorithm = wof::algorithm(number).ok_or_else(|| {
        FsError::Unsupported(format!("content compressed by the Windows overlay with algorithm {number}"))
    })?;
    let len = value(volume, node, DATA, b"").map_or(0, |d| d.len);
    let kept = values(volume, node, DATA).into_iter().find(|v| v.name == WOF_STREAM);
    let kept = kept.ok_or_else(|| corrupt(here, "stream of the overlay's compressed content is missing"))?;
    still_there(volume, node, &kept)?;
    let id = NodeId { number: node.base.number, generation: 0 };
    Ok(Arc::new(wof::Overlay::new(content(volume, id, kept)?, len, algorithm)))
}

pub(super) fn open_stream(volume: &Volume, id: NodeId, wanted: &[u8]) -> Result<Source, FsError> {
    let node = node(volume, id)?;
    let found = streams(volume, &node).into_iter().find(|(_, s)| s.name == wanted);
    let (_, stream) = found.ok_or(FsError::NotFound(id))?;
    content(volume, id, stream)
}

/// The bytes of a stream, decompressed.
fn content(volume: &Volume, id: NodeId, stream: Value) -> Result<Source, FsError> {
    if stream.flags & ENCRYPTED != 0 {
        return Err(FsError::Unsupported("content encrypted by EFS; no key".to_owned()));
    }
    let Value { flags, unit, len, .. } = stream;
    let clusters = match &stream.body {
        Body::Runs { extents, initialized } if flags & COMPRESSED != 0 && unit != 0 => {
            extents.last().map(|e| (e.end(), (*initialized).min(len)))
        }
        _ => None,
    };
    let Some((end, initialized)) = clusters else { return Ok(stream.stored(volume)) };
    let cluster = volume.disk.cluster;
    let unit = cluster.checked_shl(u32::from(unit)).filter(|u| *u <= MAX_UNIT && *u >= cluster && unit < 16);
    let here = volume.mft.volume_offset(id.number);
    let unit = unit.ok_or_else(|| corrupt(here, "compression unit of an impossible size"))?;
    if flags & COMPRESSED != 1 {
        return Err(FsError::Unsupported(format!("compression method {}", flags & COMPRESSED)));
    }
    let whole = end.saturating_mul(cluster);
    let stored = Value { len: whole, ..stream };
    let mut stored = stored.content(volume).ok_or_else(|| corrupt(here, "stream without clusters"))?;
    stored.initialized = whole;
    Ok(Arc::new(Compressed { stored, unit, len, initialized, last: Mutex::default() }))
}
