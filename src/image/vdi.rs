//! VDI, the disk of VirtualBox: blocks that are found through one table.
//!
//! The format is described by VirtualBox's own source (`VDICore.h`) and forum, and read by QEMU and libvdi.
use super::blocks::BlockTable;
use super::fields::{Fields, guid};
use super::{Container, Extent, Format, Map, Mapped, OpenError, ReadError, Source, read_exact};
use crate::base::Name;
use std::sync::Arc;

const BY: &str = "VDI";
const SIGNATURE: u32 = 0xbeda_107f;
const NEVER_WRITTEN: u64 = 0xffff_ffff;
const DISCARDED: u64 = 0xffff_fffe;

pub(super) const FORMAT: Format = Format {
    name: "VDI",
    about: "VirtualBox disk, dynamic and of fixed size",
    limits: "of a differencing disk only its own blocks are read, as it names its parent by an identifier, not as a file; \
             version 0 is not read",
    probe: |source| {
        let bytes = read_exact(&**source, 0x40, 4).ok().flatten().map(Fields);
        bytes.and_then(|f| f.le32(0)) == Some(SIGNATURE)
    },
    open: |opening| {
        let source = &opening.source;
        let cut = || OpenError::Corrupt { at: 0x40, what: "the header is cut".into() };
        let head = Fields(read_exact(&**source, 0, 0x1b8)?.ok_or_else(cut)?);
        let word = |at: usize| head.le32(at).map(u64::from).ok_or_else(cut);
        let version = word(0x44)?;
        if version >> 16 != 1 {
            return Err(OpenError::Unsupported(format!("VDI version {}.{}", version >> 16, version & 0xffff)));
        }
        let (block, extra, blocks) = (word(0x178)?, word(0x17c)?, word(0x180)?);
        let len = head.le64(0x170).ok_or_else(cut)?;
        if block == 0 || !block.is_multiple_of(512) {
            return Err(OpenError::Corrupt { at: 0x178, what: format!("blocks of {block} bytes") });
        }
        if len > blocks.saturating_mul(block) {
            let what = format!("{blocks} blocks of {block} bytes do not make a disk of {len}");
            return Err(OpenError::Corrupt { at: 0x170, what });
        }
        let kind = match word(0x4c)? {
            1 => "dynamic",
            2 => "fixed size",
            3 => "undo",
            4 => "differencing",
            _ => "unknown",
        };
        let mut details =
            vec![("kind".to_owned(), kind.to_owned()), ("identifier".into(), guid(head.bytes(0x188, 16)))];
        let comment = head.bytes(0x54, 256).split(|b| *b == 0).next().unwrap_or_default();
        if !comment.is_empty() {
            details.push(("comment".into(), Name::new(comment).display()));
        }
        let parent = (kind == "differencing" || kind == "undo").then(|| guid(head.bytes(0x1a8, 16)));
        if let Some(parent) = &parent {
            details.push(("parent".into(), parent.clone()));
            let what =
                format!("its parent is known as {parent} only; blocks that it does not hold itself are not read");
            opening.gaps.add(BY, what, 0);
        }
        let table = BlockTable::new(source.clone(), word(0x154)?, blocks, 4, false);
        let (data, step) = (word(0x158)?, block.saturating_add(extra));
        let place = |entry: u64| (entry < DISCARDED).then(|| entry.saturating_mul(step).saturating_add(data));
        if let Some(what) = table.check(place, step, (data, source.len())) {
            opening.gaps.add_at(BY, "image_offset", word(0x154)?, what, 0);
        }
        let disk = Disk { file: source.clone(), table, data, block, extra, len, parent };
        Ok(Container { disk: Arc::new(Mapped(disk)), stored_hashes: Vec::new(), details })
    },
};

struct Disk {
    file: Source,
    table: BlockTable,
    /// First byte of the blocks in the file.
    data: u64,
    block: u64,
    /// Bytes before each block.
    extra: u64,
    len: u64,
    parent: Option<String>,
}

impl Map for Disk {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let inside = offset.rem_euclid(self.block);
        let len = self.block.saturating_sub(inside);
        let failed = |what: String| ReadError { offset, what };
        let entry = self.table.entry(offset.div_euclid(self.block)).map_err(failed)?;
        if entry == DISCARDED {
            return Ok(Extent::Hole { len });
        }
        if entry == NEVER_WRITTEN {
            return Ok(match &self.parent {
                None => Extent::Hole { len },
                Some(parent) => Extent::Absent { len, what: format!("it lies in the parent {parent}") },
            });
        }
        let step = self.block.saturating_add(self.extra);
        let start = entry.saturating_mul(step).saturating_add(self.data).saturating_add(self.extra);
        Ok(Extent::Stored { source: self.file.clone(), offset: start.saturating_add(inside), len })
    }
}
