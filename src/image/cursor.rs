//! `Read + Seek` over a source, for crates that want a cursor; made per call, so reads stay `&self`.
use super::ReadAt;
use std::io;

pub struct Cursor<'a> {
    source: &'a dyn ReadAt,
    position: u64,
}
impl<'a> Cursor<'a> {
    pub fn new(source: &'a dyn ReadAt) -> Self {
        Self { source, position: 0 }
    }
}
impl io::Read for Cursor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read_at(self.position, buf).map_err(io::Error::other)?;
        self.position = self.position.saturating_add(n as u64);
        Ok(n)
    }
}
impl io::Seek for Cursor<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        use io::SeekFrom::{Current, End, Start};
        let position = match to {
            Start(n) => Some(n),
            End(d) => self.source.len().checked_add_signed(d),
            Current(d) => self.position.checked_add_signed(d),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
