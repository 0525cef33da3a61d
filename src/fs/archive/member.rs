//! One member of an archive: what its header says, and where its bytes stand.
use crate::base::{Name, Run};
use crate::fs::extents::{At, Extent, Extents};
use crate::fs::{FsError, NodeKind, Stat, Times};
use crate::image::{Codec, Forward, Source, Store};
use std::sync::Arc;

/// Where a member's bytes stand.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Nothing,
    /// Target of a symlink.
    Target(Box<[u8]>),
    /// In one run of the archive's bytes, from this one on.
    At(u64),
    /// In several runs, sorted; what lies between is zero.
    Sparse(Box<[Extent]>),
    /// Packed on its own.
    Packed(Box<Packed>),
    /// It cannot be read: why.
    Lost(Arc<str>),
}

#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) input: Run,
    pub(super) codec: Codec,
    pub(super) sum: u32,
}

/// What a header says, as a format reads it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: NodeKind,
    /// Bytes.
    pub(super) len: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) times: Times,
    pub(super) device: Option<(u32, u32)>,
    pub(super) xattrs: Vec<(Name, Vec<u8>)>,
    pub(super) flags: Vec<&'static str>,
    pub(super) body: Body,
}
impl Member {
    pub(super) fn new(name: Vec<u8>, kind: NodeKind) -> Self {
        Self {
            name,
            kind,
            len: 0,
            mode: if kind == NodeKind::Directory { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            times: Times::default(),
            device: None,
            xattrs: Vec::new(),
            flags: Vec::new(),
            body: Body::Nothing,
        }
    }
    /// What is kept of it: an archive may hold a million.
    pub(super) fn kept(self) -> Kept {
        let Self { name: _, kind, len, mode, uid, gid, times, device, xattrs, flags, body } = self;
        let is_plain = device.is_none() && xattrs.is_empty() && flags.is_empty();
        let more = (!is_plain).then(|| Box::new(More { device, xattrs, flags }));
        Kept { kind, len, mode, uid, gid, times, body, more }
    }
}

/// What most members have nothing of.
#[derive(Clone, Debug, Default)]
struct More {
    device: Option<(u32, u32)>,
    xattrs: Vec<(Name, Vec<u8>)>,
    flags: Vec<&'static str>,
}

/// A member without its name.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) kind: NodeKind,
    /// Bytes.
    pub(super) len: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    times: Times,
    pub(super) body: Body,
    more: Option<Box<More>>,
}
impl Kept {
    /// Notes what is odd about it, once.
    pub(super) fn flag(&mut self, flag: &'static str) {
        let flags = &mut self.more.get_or_insert_default().flags;
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    }
    pub(super) fn stat(&self, links: u32) -> Stat {
        let More { device, xattrs, flags } = self.more.as_deref().cloned().unwrap_or_default();
        let allocated = match &self.body {
            Body::Sparse(list) => list.iter().map(|e| e.len).fold(0, u64::saturating_add),
            Body::Packed(packed) => packed.input.len,
            _ => self.len,
        };
        Stat {
            kind: self.kind,
            len: self.len,
            allocated,
            mode: self.mode & 0o7777,
            uid: self.uid,
            gid: self.gid,
            links,
            times: self.times,
            flags,
            xattrs,
            device,
        }
    }
    /// Its bytes, out of the archive's.
    pub(super) fn open(&self, archive: &Source, store: &Store) -> Result<Source, FsError> {
        if self.kind != NodeKind::File {
            return Ok(Arc::new(Vec::new()));
        }
        Ok(match &self.body {
            Body::Nothing | Body::Target(_) => Arc::new(Vec::new()),
            Body::At(from) => {
                let there = archive.len().saturating_sub(*from).min(self.len);
                self.extents(archive, vec![Extent { start: 0, len: there, at: At::Volume(*from) }])
            }
            Body::Sparse(list) => self.extents(archive, list.to_vec()),
            Body::Packed(packed) => {
                let Packed { input, codec, sum } = **packed;
                Arc::new(Forward::new(archive.clone(), input, codec, self.len, Some(sum), Some(store.clone())))
            }
            Body::Lost(why) => return Err(FsError::Unsupported(why.to_string())),
        })
    }
    /// A file of these parts; what the archive is too short for is lost.
    fn extents(&self, archive: &Source, list: Vec<Extent>) -> Source {
        let mut parts = Vec::with_capacity(list.len().saturating_add(1));
        let mut end = 0_u64;
        for part in list {
            let At::Volume(from) = part.at else { continue };
            let there = archive.len().saturating_sub(from).min(part.len);
            end = part.end();
            if there > 0 {
                parts.push(Extent { len: there, ..part });
            }
            if there < part.len {
                let (start, len) = (part.start.saturating_add(there), part.len.saturating_sub(there));
                parts.push(Extent { start, len, at: At::Lost(CUT) });
            }
        }
        if end < self.len && matches!(self.body, Body::At(_)) {
            parts.push(Extent { start: end, len: self.len.saturating_sub(end), at: At::Lost(CUT) });
        }
        Arc::new(Extents { volume: archive.clone(), len: self.len, valid: self.len, list: parts.into() })
    }
}
/// Why a part of a member cannot be read.
const CUT: &str = "the archive ends within this member";
