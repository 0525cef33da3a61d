//! Raw images: one file, a split set in order, or a block device. The bytes are the disk's own.
use super::{Format, ReadAt, ReadError, Segment};
use crate::base::{Piece, PieceKind, Run};
use std::sync::Arc;

pub(super) const FORMAT: Format = Format {
    name: "raw",
    about: "raw image, split raw image (.001, .000, .aa …) or block device",
    limits: "",
    probe: |_| true,
    open: |segments, image, _| Ok(Arc::new(RawImage::new(segments, image))),
};

pub struct RawImage {
    segments: Vec<Segment>,
    /// First byte of each segment in the image.
    starts: Vec<u64>,
    len: u64,
    image: u32,
}

impl RawImage {
    pub fn new(segments: Vec<Segment>, image: u32) -> Self {
        let mut len = 0_u64;
        let mut starts = Vec::with_capacity(segments.len());
        for segment in &segments {
            starts.push(len);
            len = len.saturating_add(segment.len);
        }
        Self { segments, starts, len, image }
    }
    /// The segment that holds `offset`, and the offset in it.
    fn segment(&self, offset: u64) -> Option<(&Segment, u64)> {
        let at = self.starts.partition_point(|s| *s <= offset).checked_sub(1)?;
        let inside = offset.saturating_sub(*self.starts.get(at)?);
        self.segments.get(at).map(|s| (s, inside)).filter(|(s, i)| *i < s.len)
    }
}

impl ReadAt for RawImage {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0_usize;
        while done < buf.len() {
            let at = offset.saturating_add(done as u64);
            let Some((segment, inside)) = self.segment(at) else {
                break;
            };
            let left = usize::try_from(segment.len.saturating_sub(inside)).unwrap_or(usize::MAX);
            let end = done.saturating_add(left).min(buf.len());
            let Some(part) = buf.get_mut(done..end) else {
                break;
            };
            let fail = |what: String| ReadError { offset: at, what: format!("{}: {what}", segment.name) };
            match read_file_at(&segment.file, part, inside) {
                Ok(0) => {
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
        vec![Piece { image: self.image, offset, len, kind: PieceKind::Stored }]
    }
}

#[cfg(unix)]
fn read_file_at(file: &std::fs::File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}
#[cfg(windows)]
fn read_file_at(file: &std::fs::File, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}
