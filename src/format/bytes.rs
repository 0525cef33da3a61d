//! A file of the evidence as the readers of formats see it: a length, and bytes at a place.

/// Fills a buffer from a byte of the file; fewer bytes at its end.
pub type Read<'a> = dyn Fn(u64, &mut [u8]) -> Result<usize, String> + 'a;

/// A file that is read piece by piece.
pub struct Bytes<'a> {
    /// Bytes of the file.
    pub len: u64,
    pub read: &'a Read<'a>,
}
impl Bytes<'_> {
    /// `len` bytes at `offset`, all of them. Nothing is reserved for what lies behind the end.
    pub fn exact(&self, offset: u64, len: u64) -> Result<Vec<u8>, String> {
        offset.checked_add(len).filter(|end| *end <= self.len).ok_or("it ends behind the file")?;
        let mut out = vec![0; usize::try_from(len).map_err(|e| e.to_string())?];
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|r| !r.is_empty()) {
            match (self.read)(offset.saturating_add(filled as u64), room)? {
                0 => return Err("it ends behind what could be read".to_owned()),
                n => filled = filled.saturating_add(n),
            }
        }
        Ok(out)
    }
}
