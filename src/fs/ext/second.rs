//! The second, independent reader of ext file systems: the crate `ext4-view`, over the same bytes.
//! It replays the journal itself. It knows paths only and reads a block at a time, so its reads of
//! the volume go through a small window.
use crate::base::Name;
use crate::fs::{NodeKind, SecondEntry, SecondReader};
use crate::image::Source;
use ext4_view::{Ext4, Ext4Read, FileType, Path};
use std::error::Error;

/// Bytes read ahead.
const WINDOW: usize = 128 << 10;
/// Bytes handed on at once.
const PIECE: usize = 256 << 10;

/// The volume, read through one window.
struct Window {
    source: Source,
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes wanted, if the window holds them.
    fn held(&self, at: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.at)?).ok()?;
        self.bytes.get(from..from.checked_add(len)?)
    }
}

impl Ext4Read for Window {
    fn read(&mut self, at: u64, dst: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        if let Some(held) = self.held(at, dst.len()) {
            dst.copy_from_slice(held);
            return Ok(());
        }
        if dst.len() < WINDOW {
            self.bytes.resize(WINDOW, 0);
            self.at = at;
            let n = self.source.read_at(at, &mut self.bytes);
            self.bytes.truncate(n.as_ref().map_or(0, |n| *n));
            if let Some(held) = self.held(at, dst.len()) {
                dst.copy_from_slice(held);
                return Ok(());
            }
        }
        // Larger than the window, at the end, or beside bytes that cannot be read.
        let n = self.source.read_at(at, dst)?;
        if n == dst.len() { Ok(()) } else { Err("the volume ends before".into()) }
    }
}

pub(super) fn open<'a>(source: &Source) -> Result<Box<dyn SecondReader + 'a>, String> {
    let window = Window { source: source.clone(), at: 0, bytes: Vec::new() };
    match Ext4::load(Box::new(window)) {
        Ok(fs) => Ok(Box::new(View(fs))),
        Err(e) => Err(e.to_string()),
    }
}

struct View(Ext4);

fn kind(kind: FileType) -> NodeKind {
    match kind {
        FileType::Regular => NodeKind::File,
        FileType::Directory => NodeKind::Directory,
        FileType::Symlink => NodeKind::Symlink,
        FileType::CharacterDevice => NodeKind::CharDevice,
        FileType::BlockDevice => NodeKind::BlockDevice,
        FileType::Fifo => NodeKind::Fifo,
        FileType::Socket => NodeKind::Socket,
    }
}

impl SecondReader for View {
    fn name(&self) -> &'static str {
        "ext4-view"
    }
    fn list(&mut self, dir: &Name) -> Result<Vec<SecondEntry>, String> {
        let path = Path::try_from(dir.bytes()).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        for entry in self.0.read_dir(path).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            let name = entry.file_name();
            if matches!(name.as_ref(), b"." | b"..") {
                continue;
            }
            let data = entry.metadata().map_err(|e| format!("{}: {e}", name.display()))?;
            out.push(SecondEntry {
                name: Name::new(name.as_ref()),
                kind: kind(data.file_type()).as_str(),
                len: data.len(),
            });
        }
        out.sort();
        Ok(out)
    }
    fn read(&mut self, path: &Name, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String> {
        let path = Path::try_from(path.bytes()).map_err(|e| e.to_string())?;
        let mut file = self.0.open(path).map_err(|e| e.to_string())?;
        let mut piece = vec![0; PIECE];
        loop {
            let mut filled = 0_usize;
            while let Some(rest) = piece.get_mut(filled..).filter(|r| !r.is_empty()) {
                match file.read_bytes(rest).map_err(|e| e.to_string())? {
                    0 => break,
                    n => filled = filled.saturating_add(n),
                }
            }
            if filled == 0 || !each(piece.get(..filled).unwrap_or_default()) {
                return Ok(());
            }
        }
    }
}
