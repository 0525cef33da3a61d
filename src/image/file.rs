//! A file of the acquisition that the parent opened, read-only.
use super::{ReadAt, ReadError};
use crate::base::{Piece, PieceKind, Run};
use std::fs::File;

/// A file or block device. Its bytes are stored as they are.
pub struct OpenFile {
    file: File,
    /// As the examiner knows it; for messages.
    name: String,
    /// Bytes; for a block device the device's size.
    len: u64,
}

impl OpenFile {
    pub fn new(file: File, name: String, len: u64) -> Self {
        Self { file, name, len }
    }
}

impl ReadAt for OpenFile {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let end = left.min(buf.len());
        let mut done = 0_usize;
        while done < end {
            let at = offset.saturating_add(done as u64);
            let Some(part) = buf.get_mut(done..end) else { break };
            let fail = |what: String| ReadError { offset: at, what: format!("{}: {what}", self.name) };
            match read_file_at(&self.file, part, at) {
                Ok(0) => {
                    let left = self.len.saturating_sub(at);
                    return Err(fail(format!("ends {left} bytes early; the file changed while it was read")));
                }
                Ok(n) => done = done.saturating_add(n),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(fail(e.to_string())),
            }
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let offset = bytes.offset.min(self.len);
        let len = bytes.len.min(self.len.saturating_sub(offset));
        vec![Piece { image: 0, offset, len, kind: PieceKind::Stored }]
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}
#[cfg(windows)]
fn read_file_at(file: &File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}
